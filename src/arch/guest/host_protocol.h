/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/guest/host_protocol.h - how a process of the host gets an end of a link: what it is told on
 * a Unix socket (SOCK_SEQPACKET) by whoever runs the other end's machine.
 *
 * The process connects and says nothing. One message comes, with descriptors behind it if `outcome`
 * is 0: the status page, the application's memory, the appliance's memory, and the socket of a
 * server of bells if `vector_count` is not 0. Only the memory of the process's own end can be
 * written by its descriptor. The end is the process's until it closes the connection, before which
 * it sends one byte, or dies. Integers are the machine's own: both sides run on it.
 */
#ifndef VINE_ARCH_GUEST_HOST_PROTOCOL_H
#define VINE_ARCH_GUEST_HOST_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#include "utils/assert.h"

#define VINE_HOST_END_MAGIC   UINT64_C(0x444e455453484956) /* the bytes "VIHSTEND" */
#define VINE_HOST_END_VERSION 1

enum vine_host_end_outcome {
    VINE_HOST_END_GIVEN = 0,
    VINE_HOST_END_BUSY = 1, /* another process has it */
    VINE_HOST_END_GONE = 2, /* the link is being taken away, or its machines are */
};

enum vine_host_end_descriptor {
    VINE_HOST_END_PAGE,
    VINE_HOST_END_APPLICATION,
    VINE_HOST_END_APPLIANCE,
    VINE_HOST_END_BELLS,
    VINE_HOST_END_DESCRIPTORS,
};

struct vine_host_end {
    uint64_t magic;
    uint32_t version;
    uint32_t outcome;      /* enum vine_host_end_outcome */
    uint32_t place;        /* of the link, in the status page */
    uint32_t vector_count; /* of the process's doorbell; 0: it has none */
};

/* clang-format off: one field a line */
VINE_LAYOUT(vine_host_end, 24);
VINE_FIELD(vine_host_end, magic, 0);
VINE_FIELD(vine_host_end, version, 8);
VINE_FIELD(vine_host_end, outcome, 12);
VINE_FIELD(vine_host_end, place, 16);
VINE_FIELD(vine_host_end, vector_count, 20);
/* clang-format on */

#endif
