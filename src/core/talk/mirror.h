/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/mirror.h - the other side's half of a pipe: what it writes and we read.
 *
 * Owns:     our mappings of it.
 * Threads:  one at a time adds extents; vine__mirror_resolve may run on any meanwhile.
 * Blocking: never.
 * Trust:    everything behind these pointers may change at any moment. Only offsets that
 *           vine__mirror_resolve found in bounds are followed.
 * Limits:   VINE_TALK_EXTENTS_MAX extents, `bytes_max` bytes in all.
 */
#ifndef VINE_CORE_TALK_MIRROR_H
#define VINE_CORE_TALK_MIRROR_H

#include <vine/segment.h>

#include "arch/memory/memory.h"
#include "core/talk/talk_layout.h"

struct vine__mirror_extent {
    const unsigned char *base;
    uint64_t size_bytes;
    struct vine__memory *memory; /* NULL for extent 0 */
};

struct vine__mirror {
    struct vine_segment *segment; /* NULL in a named segment, which the link holds */
    const struct vine_half_layout *layout;
    uint32_t extent_count; /* published with release */
    uint64_t size_bytes;
    uint64_t bytes_max;
    struct vine__mirror_extent extents[VINE_TALK_EXTENTS_MAX];
};

/* Map the half behind `fd`, which stays the caller's. `uuid` is what its header has to say.
 * Returns 0 or a negative code with a sentence in `why`. */
VINE_MUST_CHECK int vine__mirror_open(struct vine__mirror *mirror, int fd, uint64_t claimed_bytes,
                                      const uint8_t uuid[16], uint64_t bytes_max, char *why,
                                      size_t why_size);

/* The same for a part of a named segment. */
VINE_MUST_CHECK int vine__mirror_place(struct vine__mirror *mirror, const void *memory,
                                       uint64_t size_bytes);

void vine__mirror_close(struct vine__mirror *mirror);

/* Map a further extent. Returns 0; -VINE_EPROTOCOL  not the next index; -VINE_EQUOTA;
 * -VINE_EUNSEALED, -VINE_ETRUNCATED as vine__memory_from_fd. */
VINE_MUST_CHECK int vine__mirror_add(struct vine__mirror *mirror, uint32_t index, int fd,
                                     uint64_t claimed_bytes);

/* The memory that an extent, offset and length name, or NULL if any of it lies outside. An extent
 * that is not known yet sets *ret_unknown, if not NULL: its message may still wait. */
const void *vine__mirror_resolve(const struct vine__mirror *mirror, uint32_t extent,
                                 uint32_t offset_units, uint64_t length_bytes, bool *ret_unknown);

#endif
