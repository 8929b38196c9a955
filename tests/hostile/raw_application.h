/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/hostile/raw_application.h - an application without libvine's manners: it shakes hands,
 * opens channels and then writes whatever a test wants into every shared word.
 *
 * Owns:     its halves, rings and socket.
 * Threads:  one.
 * Blocking: for RAW_LIMIT_NS at most, a hang guard.
 * Trust:    none is deserved.
 * Limits:   channels as the appliance grants.
 */
#ifndef VINE_TESTS_HOSTILE_RAW_APPLICATION_H
#define VINE_TESTS_HOSTILE_RAW_APPLICATION_H

#include <vine/spsc.h>
#include <vine/talk.h>

#include "core/talk/half.h"
#include "core/talk/link.h"
#include "core/talk/mirror.h"
#include "core/talk/ready.h"

#define RAW_LIMIT_NS 60000000000ULL
#define RAW_SLOTS    256u

struct raw_channel {
    struct vine_slot *slots; /* ours, to write anything into */
    struct vine_spsc_producer producer;
    struct vine_spsc_consumer consumer;
    struct vine__ready ready;
};

struct raw_application {
    struct vine__link link;
    struct vine__half half;
    struct vine__mirror mirror;
    struct vine__agreement agreement;
    uint64_t limit_ns; /* of a wait; who expects no answer may lower it */
    uint32_t channel_count;
    struct raw_channel channels[VINE_TALK_CHANNELS_MAX];
    struct vine__why why;
};

/* At a socket, a named segment or a link. 0 or a negative code of who makes the link. */
int raw_open(struct raw_application *raw, const char *address);
/* The same as one that does not know these features. */
int raw_open_without(struct raw_application *raw, const char *address, uint32_t features);
void raw_close(struct raw_application *raw);

/* Open the next channel properly. 0, or -VINE_EPEERLOST if the appliance did not answer. */
int raw_open_channel(struct raw_application *raw);

/* Send a submission as it stands and wake the appliance. */
int raw_submit(struct raw_application *raw, uint32_t channel,
               const struct vine_wire_submission *submission);

/* Wait for a completion. 0; -VINE_EPEERLOST  the appliance closed the pipe or took too long. */
int raw_complete(struct raw_application *raw, uint32_t channel,
                 struct vine_wire_completion *ret_completion);

/* Wait until the appliance has closed the pipe; the error that it named, 0 if it did not. */
int raw_wait_closed(struct raw_application *raw);

/* Whether it works still: a lookup of a procedure that there is not. */
int raw_ping(struct raw_application *raw, uint32_t channel);

#endif
