/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/vectoring/vectoring.h - the bytes of a socket in both directions, as a coroutine meets them.
 *
 * Owns:     nothing. What came lies in a buffer of the core's, and what goes out in a block of the
 *           core's, both of the heap's colour; an idle socket has neither.
 * Threads:  who runs in the heap.
 * Blocking: never; who finds nothing, or no room, asks outside.
 * Trust:    it is the heap's own; outside reads `size` once, and checks it.
 * Limits:   what came is one piece, what goes out one block at a time.
 */
#ifndef VINE_CORE_VECTORING_VECTORING_H
#define VINE_CORE_VECTORING_VECTORING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "utils/inside.h"

struct vine__incoming {
    const unsigned char *bytes;
    uint32_t at; /* what was read of it */
    uint32_t size;
    bool is_end; /* nothing follows */
    int error;   /* which stays */
};

struct vine__outgoing {
    unsigned char *bytes; /* NULL: there is no block */
    uint32_t size;        /* that was written */
    uint32_t room;        /* of the block */
    int error;            /* which stays */
};

/* Bytes on their way from coroutine to coroutine: `size` of them from `at` on, around the end. The
 * memory, `room` bytes, a power of two or 0, is its user's. */
struct vine__ring {
    unsigned char *bytes;
    uint32_t room;
    uint32_t at;
    uint32_t size;
};

static inline uint32_t vine__incoming_left(const struct vine__incoming *incoming)
{
    return incoming->size - incoming->at;
}

/* Copy out at most `size` bytes. Returns how many. */
size_t vine__incoming_take(struct vine__incoming *incoming, void *bytes, size_t size);

/* The same up to the first newline, which goes along. `*ret_is_line`: it was there. */
size_t vine__incoming_line(struct vine__incoming *incoming, char *text, size_t size,
                           bool *ret_is_line);

/* The same for a ring. */
size_t vine__ring_put(struct vine__ring *ring, const void *bytes, size_t size);
size_t vine__ring_take(struct vine__ring *ring, void *bytes, size_t size);
size_t vine__ring_line(struct vine__ring *ring, char *text, size_t size, bool *ret_is_line);

static inline void vine__ring_skip(struct vine__ring *ring, uint32_t size)
{
    ring->at = (ring->at + size) & (ring->room - 1);
    ring->size -= size;
}

/* It lies elsewhere from now on, in one piece. */
void vine__ring_move(struct vine__ring *ring, unsigned char *bytes, uint32_t room);

/* Append what there is room for. Returns how many bytes. */
size_t vine__outgoing_put(struct vine__outgoing *outgoing, const void *bytes, size_t size);

#endif
