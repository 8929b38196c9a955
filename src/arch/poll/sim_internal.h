/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/poll/sim_internal.h - the simulated kernel's own.
 */
#ifndef VINE_ARCH_POLL_SIM_INTERNAL_H
#define VINE_ARCH_POLL_SIM_INTERNAL_H

#include "arch/poll/poll_internal.h"
#include "arch/poll/sim.h"

#define VINE__SIM_BACKLOG 128U

/* It has to wait for what another does. */
#define VINE__SIM_NOT_NOW INT32_MIN

/* Bytes on their way in one direction. */
struct vine__sim_flow {
    unsigned char *bytes;
    uint32_t capacity;
    uint32_t head;
    uint32_t count;
    uint32_t references; /* of the two ends */
    bool is_ended;       /* nothing more is written */
    bool is_broken;      /* nothing more is read */
    bool is_reset;
};

/* A file or folder. */
struct vine__sim_node {
    char *path; /* NULL once it is unlinked */
    unsigned char *bytes;
    uint64_t size;
    uint32_t mode;
    uint32_t references; /* of descriptors, and one of its path */
};

enum vine__sim_kind {
    VINE__SIM_CLOSED,
    VINE__SIM_SOCKET, /* not connected */
    VINE__SIM_STREAM, /* `in` and `out`, or one of them */
    VINE__SIM_LISTENER,
    VINE__SIM_FILE,
};

struct vine__sim_pair {
    struct vine__sim_flow *in;
    struct vine__sim_flow *out;
};

struct vine__sim_descriptor {
    uint8_t kind; /* enum vine__sim_kind */
    int32_t error_next;
    uint32_t open_flags;
    struct vine__sim_pair flows;
    struct vine__sim_node *node;
    uint64_t position;
    struct sockaddr_storage address; /* a listener's */
    uint32_t address_size;
    uint32_t backlog_count;
    struct vine__sim_pair *backlog; /* [VINE__SIM_BACKLOG], connections not yet accepted */
};

/* What the test has told of an operation that it took. */
struct vine__sim_news {
    struct vine__sim_news *next;
    struct vine__operation *operation;
    int32_t result;
    uint32_t flags;
    uint16_t buffer;
};

struct vine__sim_poller {
    struct vine__poller poller;
    struct vine__sim *sim;
    struct vine__sim_poller *next; /* of the simulation */
    struct vine_fifo held;         /* begun and not ended; `backend` holds when it is to be tried */
    struct vine_fifo taken;        /* the same, of the test's own */
    struct vine__sim_news *news_first, **news_last;
    struct vine__operation *cursor; /* of `held`: the next that a poll looks at */
    uint64_t sleep_until_ns;
};

struct vine__sim {
    struct vine__sim_options options;
    uint64_t now_ns;
    uint64_t random;
    uint64_t disk_used;
    struct vine__sim_poller *pollers;
    struct vine__sim_descriptor *descriptors;
    uint32_t descriptor_count; /* ever made */
    uint32_t descriptor_room;
    uint32_t open_count;
    struct vine__sim_node **nodes;
    uint32_t node_count;
};

/* When what begins now is to be tried. */
uint64_t vine__sim_after_latency(struct vine__sim *sim);

/* Whether something of that chance happens now. */
bool vine__sim_happens(struct vine__sim *sim, uint32_t per_thousand);

/* How much of `size` is moved this time. */
uint32_t vine__sim_shortened(struct vine__sim *sim, uint32_t size);

/* The open descriptor, or NULL. */
struct vine__sim_descriptor *vine__sim_find(const struct vine__sim *sim, int fd);

/* A new one. Returns its number, -EMFILE or -ENOMEM. */
int vine__sim_open(struct vine__sim *sim, const struct vine__sim_descriptor *descriptor);

/* The operations of a descriptor end at their next try, which is now. */
void vine__sim_descriptor_ends(struct vine__sim *sim, int fd);

/* Something has changed for who waits for that flow, or for that descriptor: tried again soon. */
void vine__sim_flow_changed(struct vine__sim *sim, const struct vine__sim_flow *flow);
void vine__sim_descriptor_changed(struct vine__sim *sim,
                                  const struct vine__sim_descriptor *descriptor);

void vine__sim_flow_reset(struct vine__sim *sim, struct vine__sim_pair flows);
void vine__sim_flows_close(struct vine__sim *sim, struct vine__sim_pair flows);
void vine__sim_node_unref(struct vine__sim *sim, struct vine__sim_node *node);

/* Try an operation on a stream or listener, on an open file, and on a path. Return the result and
 * its flags, or VINE__SIM_NOT_NOW. */
int32_t vine__sim_try_stream(struct vine__sim *sim, struct vine__operation *operation,
                             struct vine__sim_descriptor *descriptor, uint32_t *ret_flags);
int32_t vine__sim_try_file(struct vine__sim *sim, struct vine__operation *operation,
                           struct vine__sim_descriptor *descriptor);
int32_t vine__sim_try_path(struct vine__sim *sim, struct vine__operation *operation);

#endif
