/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_wire.h - what a link between virtual machines is measured beside: a TCP connection, a
 * virtio-serial port, and the bare memory of a link, each with an echo at its other end.
 *
 * A message on a stream is 8 bytes, how many follow and how many are to come back, and those that
 * follow. On bare memory it is one line there and one back.
 */
#ifndef VINE_TOOLS_GUEST_WIRE_H
#define VINE_TOOLS_GUEST_WIRE_H

#include <stdint.h>

#include "arch/memory/memory.h"
#include "arch/wake/doorbell.h"

/* Bytes of a stream to a port, by address and by name. Return a descriptor or a negated errno. */
int guest_wire_connect(const char *address); /* ADDRESS:PORT */
int guest_wire_serial(const char *name);     /* of the virtio-serial port */

/* Send so many bytes and take as many back. Returns 0 or a negated errno. */
int guest_wire_trip(int fd, const void *bytes, void *ret_bytes, uint32_t size);

/* Answer one message. Returns 0 or a negated errno; -ECONNRESET: it is over. */
int guest_wire_answer(int fd, unsigned char *buffer, uint32_t size);

/* The memory of a link, without a pipe in it. */
struct guest_lines {
    struct vine__memory *ours, *theirs;
    uint64_t *there; /* that we write */
    const uint64_t *back;
};

/* Open this machine's end of the link. Says what is wrong. Returns a status. */
int guest_lines_open(const char *name, struct guest_lines *ret_lines);
void guest_lines_close(struct guest_lines *lines);

/* The doorbells of a link, without a pipe: this machine's, and whom to ring at the other end. */
struct guest_bell {
    struct vine__doorbell *doorbell;
    uint32_t vector; /* of ours, that the other end rings */
    uint32_t peer, peer_vector;
};

/* The same for them. */
int guest_bell_open(const char *name, struct guest_bell *ret_bell);
void guest_bell_close(struct guest_bell *bell);

#endif
