/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/hostile/raw_appliance.h - an appliance without libvine's manners: it shakes hands,
 * describes a procedure and then answers with whatever a test wants.
 *
 * Owns:     its half, ring, listener and socket, or segment.
 * Threads:  one, of a process of its own.
 * Blocking: for RAW_APPLIANCE_NS at most, a hang guard; then the process ends.
 * Trust:    none is deserved.
 * Limits:   one application at a time, its first channel.
 */
#ifndef VINE_TESTS_HOSTILE_RAW_APPLIANCE_H
#define VINE_TESTS_HOSTILE_RAW_APPLIANCE_H

#include <vine/box.h>
#include <vine/spsc.h>
#include <vine/talk.h>

#include "arch/peer/peer.h"
#include "core/talk/half.h"
#include "core/talk/link.h"
#include "core/talk/message.h"
#include "core/talk/mirror.h"

#define RAW_APPLIANCE_NS    60000000000ULL
#define RAW_APPLIANCE_SLOTS 256u
#define RAW_SEGMENT_BYTES   (2 * VINE__HALF_BYTES + VINE_SEGMENT_HEADER_BYTES) /* the least */
#define RAW_PROCEDURE       VINE_WIRE_PROCEDURES_FROM

struct raw_appliance {
    struct vine__peer_listener listener;
    struct vine_segment *named; /* instead of a socket; its applications come by claims */
    uint32_t epoch;             /* the claim that was answered */
    int socket_fd;              /* of an application that has not been welcomed */
    int half_fd;
    struct vine_talk_hello hello;
    struct vine__link link;
    struct vine__half half;
    struct vine__mirror mirror;
    struct vine__agreement agreement;
    struct vine__grant grant;
    struct vine_slot *slots; /* of its completions, to write anything into */
    struct vine_spsc_producer producer;
    struct vine_spsc_consumer consumer;
    struct vine__why why;
};

/* Whatever fails here ends the process with a line on stderr: nothing of it is what a test is
 * about.
 */
void raw_appliance_listen(struct raw_appliance *raw, const char *path); /* or file: or pci: */
void raw_appliance_accept(struct raw_appliance *raw);                   /* and read the hello */
void raw_appliance_welcome(struct raw_appliance *raw);
void raw_appliance_hang_up(struct raw_appliance *raw);

/* Wait for the first channel and allocate our ring; say nothing of it yet. */
void raw_appliance_meet(struct raw_appliance *raw);
/* Tell of the ring. */
void raw_appliance_open_channel(struct raw_appliance *raw);

/* Wait for the next submission and leave it there: what we said before has been read by then. */
void raw_appliance_wait(struct raw_appliance *raw);
/* Wait for the next task; other messages are passed over. */
void raw_appliance_take(struct raw_appliance *raw, struct vine_wire_submission *ret_submission);
/* Write a completion as it stands and wake who sleeps on it. */
void raw_appliance_complete(struct raw_appliance *raw,
                            const struct vine_wire_completion *completion);

/* A block of our half with `bytes` in it, as a token. */
struct vine_token raw_appliance_token(struct raw_appliance *raw, const void *bytes, uint32_t size);
/* A good completion of `submission` with one token. */
struct vine_wire_completion raw_appliance_good(const struct vine_wire_submission *submission,
                                               const struct vine_token *token);

/* Bytes in and bytes out. */
struct vine_wire_description raw_appliance_description(const char *name);
/* Answer the next submission, which asks for a procedure. */
void raw_appliance_describe(struct raw_appliance *raw, const void *answer, uint32_t size);

/* From hello to the description of "echo". */
void raw_appliance_begin(struct raw_appliance *raw);

#endif
