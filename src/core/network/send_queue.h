/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/network/send_queue.h - the sends of a connection, which go out one after the other: what all
 * kinds of connections do with them. Their makers' own.
 */
#ifndef VINE_CORE_NETWORK_SEND_QUEUE_H
#define VINE_CORE_NETWORK_SEND_QUEUE_H

#include <errno.h>

#include "core/network/connection.h"
#include "utils/atomic.h"

struct vine__send_queue {
    struct vine_send *first, *last; /* NULL, both: there is none */
};

static inline void vine__send_queue_add(struct vine__send_queue *queue, struct vine_send *send)
{
    if (queue->first == NULL)
        queue->first = send;
    else
        queue->last->next = send;
    queue->last = send;
}

static inline struct vine_send *vine__send_queue_take(struct vine__send_queue *queue)
{
    struct vine_send *const send = queue->first;

    queue->first = send->next;
    if (queue->first == NULL)
        queue->last = NULL;
    return send;
}

/* One that is in it. */
static inline void vine__send_queue_remove(struct vine__send_queue *queue, struct vine_send *send)
{
    struct vine_send *before = queue->first;

    if (before == send) {
        (void)vine__send_queue_take(queue);
        return;
    }
    VINE_ASSERT(before != NULL);
    while (before->next != send) {
        before = before->next;
        VINE_ASSERT(before != NULL);
    }
    before->next = send->next;
    if (queue->last == send)
        queue->last = before;
}

/* All of a queue but the first one, which is under way, end by -ECANCELED. */
static inline void vine__send_queue_cancel_rest(struct vine__send_queue *queue)
{
    struct vine_send *const first = queue->first;

    for (struct vine_send *send = first->next, *next; send != NULL; send = next) {
        next = send->next;
        vine__send_end(send, -ECANCELED);
    }
    first->next = NULL;
    queue->last = first;
}

/* All of a queue end by `error`, but those of which something else was wished. */
static inline void vine__send_queue_end(struct vine__send_queue *queue, int error)
{
    while (queue->first != NULL) {
        struct vine_send *const send = vine__send_queue_take(queue);

        vine__send_end(send, send->wish != 0 ? send->wish : error);
    }
}

/* The next bytes of one, from `send->sent` on, in one piece. It is not at its end. */
static inline const unsigned char *vine__send_piece(const struct vine_send *send, size_t *ret_size)
{
    size_t at = send->sent;

    if (send->vector_count == 0) {
        *ret_size = send->size - at;
        return send->bytes + at;
    }
    for (uint32_t i = 0;; i++) {
        VINE_ASSERT(i < send->vector_count);
        if (at < send->vector[i].iov_len) {
            *ret_size = send->vector[i].iov_len - at;
            return (const unsigned char *)send->vector[i].iov_base + at;
        }
        at -= send->vector[i].iov_len;
    }
}

/* What the kernel says of one that it was given: so many bytes went out, or an error. Returns
 * whether that was the end of it, and how it is to be told. */
static inline bool vine__send_went(struct vine_send *send, struct vine_network_counts *counts,
                                   int32_t result, int *ret_error)
{
    if (VINE__LIKELY(result > 0)) {
        send->sent += (uint32_t)result;
        counts->sent_bytes += (uint32_t)result;
        counts->sends++;
        *ret_error = VINE__LIKELY(send->sent == send->size) ? 0 : send->wish;
        return send->sent == send->size || send->wish != 0;
    }
    if (send->wish != 0) {
        *ret_error = result == 0 || result == -ECANCELED || result == -EINTR ? send->wish : result;
        return true;
    }
    if (result == -EINTR || result == -EAGAIN)
        return false;
    counts->send_errors++;
    *ret_error = result != 0 ? result : -EIO; /* no progress is no way to go on */
    return true;
}

#endif
