/* SPDX-License-Identifier: Apache-2.0 */
/* core/poll/reach.c - what memory a micro-process may touch, for those outside who touch it in its
 * place. */

#include "core/poll/poll_internal.h"

/* It wraps where they lie before the start. */
static bool is_within(const void *start, size_t start_bytes, const void *bytes, size_t size_bytes)
{
    const uintptr_t at = (uintptr_t)bytes - (uintptr_t)start;

    return at <= start_bytes && size_bytes <= start_bytes - at;
}

/* Whether one of its sockets has these bytes: as what came, or as a block that is written on. */
static bool has_socket_with(struct vine__polling *polling, const void *bytes, size_t size_bytes,
                            bool is_for_reading)
{
    const uint32_t places = polling->furthers != NULL ? VINE__PLACES_MAX : 1;

    for (uint32_t place = 0; place < places; place++) {
        const struct vine__outlet *const outlet = vine__outlet_at(polling, place);

        if (outlet == NULL)
            continue;
        if (is_for_reading && outlet->view != NULL &&
            is_within(outlet->view, outlet->view_size, bytes, size_bytes))
            return true;
        if (outlet->written != NULL &&
            is_within(outlet->written, VINE__BLOCK_BYTES, bytes, size_bytes))
            return true;
    }
    return false;
}

/* Whether it lies in its heap, as far as that may be touched, or in a block to write into. */
static bool is_writable(const struct vine__polling *polling, const void *bytes, size_t size_bytes)
{
    const struct vine__guard_region *const region = &polling->heap->region;
    const struct vine__blocks *const blocks = &polling->core->blocks[region->colour];

    if (size_bytes == 0 || vine__guard_region_has(region, (uintptr_t)bytes, size_bytes))
        return true;
    for (uint32_t i = 0; i < VINE__LENT_MAX; i++)
        if (blocks->lent[i] != NULL &&
            is_within(blocks->lent[i], VINE__BLOCK_BYTES, bytes, size_bytes))
            return true;
    return false;
}

bool vine__polling_can_write(struct vine__polling *polling, const void *bytes, size_t size_bytes)
{
    return is_writable(polling, bytes, size_bytes) ||
           has_socket_with(polling, bytes, size_bytes, false);
}

bool vine__polling_can_read(struct vine__polling *polling, const void *bytes, size_t size_bytes)
{
    return has_socket_with(polling, bytes, size_bytes, true) ||
           is_writable(polling, bytes, size_bytes);
}
