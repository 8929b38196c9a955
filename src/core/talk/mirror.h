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

#include <stdbool.h>

#include <vine/segment.h>

#include "arch/memory/memory.h"
#include "core/talk/quota.h"
#include "core/talk/talk_layout.h"
#include "core/talk/why.h"

struct vine__mirror_extent {
    const unsigned char *base; /* NULL: not mapped, or not yet */
    uint64_t size_bytes;
    struct vine__memory *memory; /* NULL for extent 0 */
    int fd;                      /* kept while there is no room to map it; -1: none */
};

struct vine__mirror {
    struct vine_segment *segment; /* NULL for an appliance in a named segment, which it has */
    const struct vine_half_layout *layout;
    bool is_kept;              /* a private copy of what it held */
    uint32_t extent_count;     /* published with release */
    uint64_t size_bytes;       /* of what is mapped */
    uint64_t told_bytes;       /* of all extents that we were told of */
    uint64_t bytes_max;        /* of those: what was agreed, whatever messages claim */
    struct vine__quota *quota; /* what is mapped is charged to; NULL: nobody */
    bool in_steps;             /* map large extents by vine__mirror_grow_step */
    uint32_t growing_index;
    struct vine__memory *growing; /* an extent that is being looked through, or NULL */
    struct vine__mirror_extent extents[VINE_TALK_EXTENTS_MAX];
};

struct vine__mirror_options {
    int fd; /* of the half; stays the caller's */
    uint64_t claimed_bytes;
    const uint8_t *uuid; /* 16 bytes: what its header has to say */
    uint64_t bytes_max;
    const char *device; /* PCI address of memory that we can only read; NULL: `fd`, `uuid` */
    const char *sysfs_root;
    enum vine_segment_kind kind; /* of a device: whose half it has to be */
    struct vine__why *why;
};

/* Map the other side's half. Returns 0 or a negative code with a sentence in `why`. */
VINE_MUST_CHECK int vine__mirror_open(struct vine__mirror *mirror,
                                      const struct vine__mirror_options *options);

/* The same for a part of a named segment. */
VINE_MUST_CHECK int vine__mirror_place(struct vine__mirror *mirror, const void *memory,
                                       uint64_t size_bytes);

/* From here on charge what is mapped, and what is mapped already. */
void vine__mirror_charge(struct vine__mirror *mirror, struct vine__quota *quota);

/* Of a mirror whose memory the next writer gets as well: keep a private copy of what `copy` copies,
 * at the same addresses, and let go of the rest. Returns 0, also where that was done before; or a
 * negative code. */
VINE_MUST_CHECK int vine__mirror_keep(struct vine__mirror *mirror,
                                      void (*copy)(unsigned char *to, const unsigned char *from,
                                                   void *context),
                                      void *context);

void vine__mirror_close(struct vine__mirror *mirror);

/* Unmap a part of a mirror that is not used any more. Returns whether to go on before closing. */
bool vine__mirror_close_step(struct vine__mirror *mirror, uint64_t step_bytes);

/* Take a further extent, which is mapped at once, in steps, or, where the quota has no room for it,
 * when it is needed and there is room. Returns 0; -VINE_EPROTOCOL  not the next index; -VINE_EQUOTA
 * beyond bytes_max; -VINE_EUNSEALED, -VINE_ETRUNCATED as vine__memory_from_fd. */
VINE_MUST_CHECK int vine__mirror_add(struct vine__mirror *mirror, uint32_t index, int fd,
                                     uint64_t claimed_bytes);

/* Map an extent that is not mapped. Returns 0; -EINPROGRESS  this one or another is being mapped in
 * steps; -VINE_EQUOTA  there is still no room; another negative code as vine__mirror_add. */
VINE_MUST_CHECK int vine__mirror_map(struct vine__mirror *mirror, uint32_t index);

/* A part of a mapping that was begun. Returns 1  there is more to do; 0  it is mapped; a negative
 * code as vine__mirror_add. */
VINE_MUST_CHECK int vine__mirror_grow_step(struct vine__mirror *mirror, uint64_t step_bytes);

/*
 * Find the memory that an extent, offset and length name.
 *
 * Returns 0             *ret_memory is where it lies;
 *         -EAGAIN       the extent is not known: its message may still wait;
 *         -VINE_EQUOTA  the extent is not mapped;
 *         -VINE_ETOKEN  some of it lies outside.
 */
VINE_MUST_CHECK int vine__mirror_find(const struct vine__mirror *mirror, uint32_t extent,
                                      uint32_t offset_units, uint64_t length_bytes,
                                      const void **ret_memory);

/* The same: the memory or NULL; an extent that is not known sets *ret_unknown, if not NULL. */
const void *vine__mirror_resolve(const struct vine__mirror *mirror, uint32_t extent,
                                 uint32_t offset_units, uint64_t length_bytes, bool *ret_unknown);

#endif
