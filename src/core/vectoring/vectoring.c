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
