/* SPDX-License-Identifier: Apache-2.0 */
/* core/vectoring/vectoring.c - copying to and from a socket's buffers. */

#include <string.h>

#include "core/vectoring/vectoring.h"

VINE__INSIDE size_t vine__incoming_take(struct vine__incoming *incoming, void *bytes, size_t size)
{
    const uint32_t left = vine__incoming_left(incoming);

    if (size > left)
        size = left;
    if (size == 0)
        return 0;
    memcpy(bytes, incoming->bytes + incoming->at, size);
    incoming->at += (uint32_t)size;
    return size;
}

VINE__INSIDE size_t vine__incoming_line(struct vine__incoming *incoming, char *text, size_t size,
                                        bool *ret_is_line)
{
    const uint32_t left = vine__incoming_left(incoming);
    const unsigned char *const from = incoming->bytes + incoming->at;

    *ret_is_line = false;
    if (size > left)
        size = left;
    if (size == 0)
        return 0;

    const unsigned char *const newline = memchr(from, '\n', size);

    *ret_is_line = newline != NULL;
    if (newline != NULL)
        size = (size_t)(newline - from) + 1;
    memcpy(text, from, size);
    incoming->at += (uint32_t)size;
    return size;
}

VINE__INSIDE size_t vine__outgoing_put(struct vine__outgoing *outgoing, const void *bytes,
                                       size_t size)
{
    const uint32_t room = outgoing->room - outgoing->size;

    if (size > room)
        size = room;
    memcpy(outgoing->bytes + outgoing->size, bytes, size);
    outgoing->size += (uint32_t)size;
    return size;
}

/* ---- rings ----------------------------------------------------------------------------------- */

/* The two pieces that `size` bytes from `from` on are. Returns the length of the first. */
VINE__INSIDE static size_t first_piece(const struct vine__ring *ring, uint32_t from, size_t size)
{
    const size_t straight = ring->room - from;

    return size < straight ? size : straight;
}

VINE__INSIDE size_t vine__ring_put(struct vine__ring *ring, const void *bytes, size_t size)
{
    const uint32_t left = ring->room - ring->size;

    if (size > left)
        size = left;
    if (size == 0)
        return 0;

    const uint32_t to = (ring->at + ring->size) & (ring->room - 1);
    const size_t first = first_piece(ring, to, size);

    memcpy(ring->bytes + to, bytes, first);
    memcpy(ring->bytes, (const unsigned char *)bytes + first, size - first);
    ring->size += (uint32_t)size;
    return size;
}

VINE__INSIDE static void copy(const struct vine__ring *ring, void *bytes, size_t size)
{
    const size_t first = first_piece(ring, ring->at, size);

    memcpy(bytes, ring->bytes + ring->at, first);
    memcpy((unsigned char *)bytes + first, ring->bytes, size - first);
}

VINE__INSIDE size_t vine__ring_take(struct vine__ring *ring, void *bytes, size_t size)
{
    if (size > ring->size)
        size = ring->size;
    if (size == 0)
        return 0;
    copy(ring, bytes, size);
    vine__ring_skip(ring, (uint32_t)size);
    return size;
}

VINE__INSIDE size_t vine__ring_line(struct vine__ring *ring, char *text, size_t size,
                                    bool *ret_is_line)
{
    *ret_is_line = false;
    if (size > ring->size)
        size = ring->size;
    if (size == 0)
        return 0;

    const size_t first = first_piece(ring, ring->at, size);
    const unsigned char *newline = memchr(ring->bytes + ring->at, '\n', first);

    if (newline != NULL)
        size = (size_t)(newline - (ring->bytes + ring->at)) + 1;
    else if (first < size && (newline = memchr(ring->bytes, '\n', size - first)) != NULL)
        size = first + (size_t)(newline - ring->bytes) + 1;
    *ret_is_line = newline != NULL;
    return vine__ring_take(ring, text, size);
}

VINE__INSIDE void vine__ring_move(struct vine__ring *ring, unsigned char *bytes, uint32_t room)
{
    if (ring->size > 0)
        copy(ring, bytes, ring->size);
    ring->bytes = bytes;
    ring->room = room;
    ring->at = 0;
}
