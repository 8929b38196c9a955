/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/poll/poll_internal.h - what the backends share.
 *
 * Each backend embeds `struct vine__poller` as its first field and is reached through the table
 * that it points to. What ends without the kernel (nothing, a cancelled one that still waited, a
 * worker's) goes through the list `ended`, from which poll and sleep hand it out.
 */
#ifndef VINE_ARCH_POLL_INTERNAL_H
#define VINE_ARCH_POLL_INTERNAL_H

#include "arch/poll/poll.h"
#include "arch/wake/eventfd.h"
#include "utils/assert.h"
#include "utils/atomic.h"
#include "utils/container_of.h"

#include <errno.h>

/* Where an operation is; its field `state`. */
enum vine__poll_state {
    VINE__POLL_STATE_IDLE,       /* its owner's */
    VINE__POLL_STATE_WAITING,    /* begun; the kernel does not know of it yet */
    VINE__POLL_STATE_CANCELLED,  /* the same, and it will not */
    VINE__POLL_STATE_KERNEL,     /* handed to the kernel, or to whoever stands for it */
    VINE__POLL_STATE_CANCELLING, /* the same, and in the list of those that the kernel is still to
                                   be asked to cancel */
    VINE__POLL_STATE_WORKER,     /* queued for a worker, or with one */
    VINE__POLL_STATE_ENDED,      /* in `ended` */
};

struct vine__poll_workers;
struct io_uring_buf_ring;

/* What a backend does; a NULL is -ENOSYS. */
struct vine__poll_backend_table {
    const char *name;
    void (*begin)(struct vine__poller *poller, struct vine__operation *operation);
    void (*cancel)(struct vine__poller *poller, struct vine__operation *operation);
    bool (*flush)(struct vine__poller *poller);
    bool (*has_news)(const struct vine__poller *poller); /* NULL: never known */
    uint32_t (*poll)(struct vine__poller *poller, uint32_t count_max);
    /* Sets *ret_is_over where the sleep is to end though nothing has ended. */
    uint32_t (*wait)(struct vine__poller *poller, uint32_t count_max, uint64_t timeout_ns,
                     bool *ret_is_over);
    void (*cancel_all)(struct vine__poller *poller); /* again and again until nothing is pending */
    void (*destroy)(struct vine__poller *poller);
    int (*buffers_register)(struct vine__poller *poller, struct vine__poll_buffers *buffers);
    void (*buffers_unregister)(struct vine__poller *poller, struct vine__poll_buffers *buffers);
    int (*register_file)(struct vine__poller *poller, int fd, uint32_t *ret_index);
    void (*unregister_file)(struct vine__poller *poller, uint32_t index);
    int (*register_buffers)(struct vine__poller *poller, const struct iovec *buffers,
                            uint32_t count);
};

struct vine__poller {
    const struct vine__poll_backend_table *backend;
    uint32_t pending;
    bool is_closing;
    bool is_handing_out; /* a function is being called */
    int wake_fd;         /* an eventfd; -1 where a backend has none */
    struct vine_fifo ended;
    struct vine__poll_workers *workers;          /* NULL until the first is needed */
    const void *fetched[VINE__POLL_FETCHED_MAX]; /* after a sleep; NULL: no more of them */
    struct vine__poll_buffers *groups[VINE__POLL_GROUPS_MAX];

    /* Written by other threads. */
    _Alignas(VINE_CACHE_LINE) uint32_t is_woken; /* a wake that no sleep has taken yet */
    uint32_t has_done;                           /* the workers have something for us */
};

/* A group of provided buffers: the ring in which they are given back, io_uring's own layout for
 * every backend, and the buffers behind it in the same mapping. */
struct vine__poll_buffers {
    struct vine__poller *poller;
    struct io_uring_buf_ring *ring;
    unsigned char *bytes;
    size_t mapping_bytes;
    uint32_t count;
    uint32_t size_bytes;
    uint16_t group;
    uint16_t tail; /* of the ring: how many were given back, modulo 2^16 */
    uint16_t head; /* how many were taken, where it is not the kernel that takes */
};

/* The operation of a node, which is not NULL. */
static inline struct vine__operation *vine__poll_operation(struct vine_fifo_node *node)
{
    return VINE_CONTAINER_OF(node, struct vine__operation, node);
}

/* The operations of a queue, one after the other; NULL behind the last. */
static inline struct vine__operation *vine__poll_first(const struct vine_fifo *fifo)
{
    struct vine_fifo_node *node = vine_fifo_first(fifo);

    return node == NULL ? NULL : vine__poll_operation(node);
}

static inline struct vine__operation *vine__poll_next(const struct vine__operation *operation)
{
    struct vine_fifo_node *node = operation->node.next;

    return node == NULL ? NULL : vine__poll_operation(node);
}

#define VINE__POLL_FOR_EACH(operation, fifo)                                                       \
    for (struct vine__operation *operation = vine__poll_first(fifo); (operation) != NULL;          \
         (operation) = vine__poll_next(operation))

/* The first of them, taken out, or NULL. */
static inline struct vine__operation *vine__poll_pop(struct vine_fifo *fifo)
{
    struct vine_fifo_node *node = vine_fifo_pop(fifo);

    return node == NULL ? NULL : vine__poll_operation(node);
}

/* It has ended, and is to be handed out by the next poll. */
static inline void vine__poll_ended(struct vine__poller *poller, struct vine__operation *operation,
                                    int32_t result)
{
    operation->result = result;
    operation->state = VINE__POLL_STATE_ENDED;
    vine_fifo_push(&poller->ended, &operation->node);
}

/* A sleep is over, and what its owner needs now may be in no cache: all of it at once takes as long
 * as one line of it. */
static inline void vine__poll_fetch(const struct vine__poller *poller)
{
    for (uint32_t i = 0; i < VINE__POLL_FETCHED_MAX && poller->fetched[i] != NULL; i++)
        __builtin_prefetch(poller->fetched[i]);
}

/* Call its function. Without VINE__POLL_MORE this is the end: the operation is its owner's again,
 * who may free it. */
static inline void vine__poll_hand_out(struct vine__poller *poller,
                                       struct vine__operation *operation, int32_t result,
                                       uint32_t flags)
{
    if ((flags & VINE__POLL_MORE) == 0) {
        operation->state = VINE__POLL_STATE_IDLE;
        poller->pending--;
    }
    operation->fn(operation, result, flags);
}

/* Hand out at most `count_max` of `ended`, of those that are there now. Returns how many. */
uint32_t vine__poll_hand_out_ended(struct vine__poller *poller, uint32_t count_max);

/* What an operation has that is cancelled as it waits, where `result` counts what was done of it:
 * that, or -ECANCELED. */
int32_t vine__poll_cancelled(const struct vine__operation *operation);

/* Whether a wake has come; it is taken. Asked by the sleeps of the backends. */
bool vine__poll_take_wake(struct vine__poller *poller);

/* End the system call in which the poller's thread sleeps, or its next one. Any thread. */
static inline void vine__poll_signal(const struct vine__poller *poller)
{
    const int error = poller->wake_fd < 0 ? 0 : vine__eventfd_signal(poller->wake_fd);

    VINE_ASSERT(error == 0);
}

/* ---- operations as plain system calls -------------------------------------------------------- */

/* Do what a worker is for, and wait for it. Returns what it ends with. Any thread. */
int32_t vine__poll_run(const struct vine__operation *operation);

/* ---- workers --------------------------------------------------------------------------------- */

/* Let a worker run it. Never fails: it ends with the error if there can be no worker. */
void vine__workers_begin(struct vine__poller *poller, struct vine__operation *operation);

/* End it with -ECANCELED if no worker has begun with it. */
void vine__workers_cancel(struct vine__poller *poller, struct vine__operation *operation);

/* The same for all that no worker has begun with. */
void vine__workers_cancel_all(struct vine__poller *poller);

/* Move what workers have done to `ended`. */
void vine__workers_collect(struct vine__poller *poller);

/* Nothing may be with them. */
void vine__workers_destroy(struct vine__poller *poller);

/* ---- provided buffers ------------------------------------------------------------------------ */

/* The next free one, for backends that take them themselves. Returns false if there is none. */
bool vine__poll_buffers_take(struct vine__poll_buffers *buffers, uint16_t *ret_index);

/* Give back the one that was taken last, unused: it will be the next again. */
void vine__poll_buffers_untake(struct vine__poll_buffers *buffers);

/* ---- backends -------------------------------------------------------------------------------- */

int vine__poll_uring_create(struct vine__poller **ret_poller, uint32_t queue_depth, char *ret_why);
int vine__poll_epoll_create(struct vine__poller **ret_poller);

/* What those start with, and end with. */
int vine__poll_init(struct vine__poller *poller, const struct vine__poll_backend_table *backend);
void vine__poll_fini(struct vine__poller *poller);

#endif
