/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/poll/epoll_internal.h - the epoll backend's own.
 *
 * A watch is what we know of a descriptor: the operations that wait for it, in three queues, each
 * tried from its front. Watches are made once for each number of a descriptor and stay until the
 * poller goes; their addresses are what epoll tells us.
 *
 * Invariant: an operation is in a queue of its descriptor's watch if and only if its state is
 * VINE__POLL_STATE_KERNEL; `queued_count` is how many there are.
 */
#ifndef VINE_ARCH_POLL_EPOLL_INTERNAL_H
#define VINE_ARCH_POLL_EPOLL_INTERNAL_H

#include "arch/poll/poll_internal.h"

enum {
    VINE__WATCH_IN,    /* receives, accepts, reads */
    VINE__WATCH_OUT,   /* sends, connects, writes */
    VINE__WATCH_READY, /* VINE__POLL_READY: of any direction, and they keep nobody waiting */
    VINE__WATCH_QUEUES,
};

struct vine__watch {
    struct vine__watch *next; /* in the poller's `due` */
    int fd;
    uint32_t armed;  /* what epoll has been asked for since something began to wait here */
    uint32_t events; /* that have come and were not acted upon */
    bool is_due;     /* in `due` */
    bool is_added;   /* epoll may know of the descriptor; not so if it was closed meanwhile */
    struct vine_fifo queues[VINE__WATCH_QUEUES];
};

#define VINE__WATCHES_PER_CHUNK 64U

struct vine__epoll {
    struct vine__poller poller;
    int epoll_fd;
    struct vine_fifo fresh;  /* begun, and not yet looked at */
    struct vine__watch *due; /* with something to try, in order */
    struct vine__watch *due_last;
    uint32_t queued_count;
    uint32_t chunk_count;
    struct vine__watch **chunks; /* of VINE__WATCHES_PER_CHUNK, by descriptor; NULL: none yet */
};

/* Which of a watch's queues it belongs to. */
uint32_t vine__watch_queue_of(const struct vine__operation *operation);

/* The watch of a descriptor, made where there is none. Returns 0, -EBADF or -ENOMEM. */
int vine__watch_of(struct vine__epoll *epoll, int fd, struct vine__watch **ret_watch);

/* Put an operation into its queue, and out of it again. */
void vine__watch_push(struct vine__epoll *epoll, struct vine__watch *watch,
                      struct vine__operation *operation);
void vine__watch_remove(struct vine__epoll *epoll, struct vine__watch *watch,
                        struct vine__operation *operation);

/* Have epoll tell of whatever the queues wait for. Where it cannot all that wait end with why. */
void vine__watch_arm(struct vine__epoll *epoll, struct vine__watch *watch);

/* Something has come, or is to be tried: it is due. */
void vine__watch_is_due(struct vine__epoll *epoll, struct vine__watch *watch, uint32_t events);

/* All that wait end with `error`. */
void vine__watch_end_all(struct vine__epoll *epoll, struct vine__watch *watch, int error);

/* The descriptor is about to be closed. */
void vine__watch_forget(struct vine__epoll *epoll, int fd);

void vine__watches_fini(struct vine__epoll *epoll);

/* What vine__epoll_try returns where the descriptor is not ready. */
#define VINE__EPOLL_NOT_NOW INT32_MIN

/* Try an operation on a descriptor, without ever waiting. Returns its result, and the flags that go
 * with it; or VINE__EPOLL_NOT_NOW. */
int32_t vine__epoll_try(struct vine__operation *operation, uint32_t *ret_flags);

#endif
