/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/socket/socket.h - a socket as it lies in a heap, and what a run brings it.
 *
 * Owns:     the inside of sockets.
 * Threads:  who runs in the heap; vine__socket_init outside, before anything runs.
 * Blocking: never.
 * Trust:    inside. Outside knows a socket by its place among those of the process, and reads `out`
 *           and `block` once.
 * Limits:   one reader and one writer at a time.
 */
#ifndef VINE_CORE_SOCKET_SOCKET_H
#define VINE_CORE_SOCKET_SOCKET_H

#include <vine/socket.h>

#include "core/state/state.h"
#include "core/vectoring/vectoring.h"

struct vine_socket {
    struct vine__incoming in;
    struct vine__outgoing out;
    struct vine_coroutine *reader; /* who is blocked */
    struct vine_coroutine *writer;
    struct vine_socket *dirty; /* the next one that is */
    uint16_t place;            /* among those of the process */
    uint8_t block;             /* which of the record's blocks it has taken in this run, from 1 */
    bool is_dirty;
    bool is_receiving; /* outside has been asked for more */
};

static inline void vine__socket_init(struct vine_socket *socket, uint16_t place)
{
    *socket = (struct vine_socket){.place = place};
}

/* VINE__ITEM_RECEIVED. Inside. */
void vine__socket_received(struct vine_socket *socket, const struct vine__item *item);

#endif
