/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/half.h - our half of a pipe: what we write and the other side reads.
 *
 * Owns:     the half's memory, its extents, and the allocators' books, which are private.
 * Threads:  one at a time; the caller locks. vine__half_layout may be used by any.
 * Blocking: never; growing makes system calls and zeroes pages, at once or in steps.
 * Trust:    nothing is read back from the half that the other side could have changed.
 * Limits:   VINE_TALK_EXTENTS_MAX extents, `bytes_max` bytes in all.
 */
#ifndef VINE_CORE_TALK_HALF_H
#define VINE_CORE_TALK_HALF_H

#include <stdbool.h>

#include <vine/allocator.h>
#include <vine/box.h>
#include <vine/segment.h>

#include "arch/memory/memory.h"
#include "core/talk/quota.h"
#include "core/talk/talk_layout.h"
#include "core/talk/why.h"

#define VINE__HALF_BYTES      (128u << 10)  /* of a new one */
#define VINE__HALF_BYTES_MOST (16ULL << 20) /* of an application's, when it says hello */

struct vine__half_extent {
    unsigned char *base; /* of the extent */
    uint64_t size_bytes;
    uint64_t heap_offset; /* where the allocator's memory begins */
    uint64_t books_bytes; /* of the allocator, as they were charged */
    struct vine_allocator *allocator;
    struct vine__memory *memory; /* NULL for extent 0, which is the segment's */
};

/* Tells the other side of a new extent. Returns 0 or a negative code, and then nothing was told. */
typedef int (*vine__half_announce_fn)(void *context, uint32_t index,
                                      const struct vine__half_extent *extent);

struct vine__half {
    struct vine_segment *segment;    /* NULL in a named segment, which the link holds */
    struct vine_half_layout *layout; /* written, and never read back */
    struct vine_box_book *book;      /* of the boxes whose tokens the other side gives back */
    uint32_t extent_count;
    uint64_t size_bytes;             /* of all extents */
    uint64_t bytes_max;              /* may be set anew while in use */
    vine__half_announce_fn announce; /* NULL: cannot grow */
    void *announce_context;
    struct vine__quota *quota; /* what it takes is charged to; NULL: nobody */
    bool in_steps;             /* grow by vine__half_grow_step */
    int growth_error; /* with which the last growth ended; the next who needs one gets it */
    struct vine__memory *growing; /* an extent in the making, or NULL */
    struct vine__half_extent extents[VINE_TALK_EXTENTS_MAX];
};

/* What we allocated. */
struct vine__box {
    void *memory;
    uint64_t size_bytes;  /* as asked for */
    uint64_t heap_offset; /* what the extent's allocator calls it */
    uint32_t extent;
    uint32_t offset_units;
};

struct vine__half_options {
    const uint8_t *uuid; /* 16 bytes */
    uint32_t owner_uid;
    uint32_t peer_uid;
    uint32_t side; /* enum vine_segment_side */
    uint64_t generation;
    uint64_t bytes_max;
    const char *device; /* PCI address of memory that we alone write; NULL: a memfd */
    uint64_t device_bytes;
    const char *sysfs_root;
    struct vine__why *why;
};

/* Slots of a ring for so many tasks in flight: they take three quarters of it, for who reads tells
 * of what it has read a quarter at a time, and the rest is for messages. */
uint32_t vine__ring_slots(uint32_t tasks_max);

/* The list of numbers that both sides' builds have to agree on. */
uint64_t vine__half_fingerprint(void);

/* Make a half in a sealed memfd, which grows, or in a device, of which it takes all. Returns 0 or a
 * negative code; *half is then untouched. */
VINE_MUST_CHECK int vine__half_create(struct vine__half *half,
                                      const struct vine__half_options *options);

/* Lay a half out in `size_bytes` of zeroed memory of a named segment, which keeps it. */
VINE_MUST_CHECK int vine__half_place(struct vine__half *half, void *memory, uint64_t size_bytes);

/* From here on charge what it takes, and what it has. */
void vine__half_charge(struct vine__half *half, struct vine__quota *quota);

/* Give everything back. Accepts a zeroed one. */
void vine__half_close(struct vine__half *half);

/* Give back a part of a half that is not used any more. Returns whether to go on before closing. */
bool vine__half_close_step(struct vine__half *half, uint64_t step_bytes);

/* Allocate, growing if need be. The memory is aligned to 64 and holds whatever was there before.
 * Returns 0; -EINPROGRESS  it has begun to grow (in_steps): try again when that is over;
 * -VINE_EQUOTA; -VINE_ETOOBIG  larger than any; -ENOMEM; or why it could not grow. */
VINE_MUST_CHECK int vine__half_alloc(struct vine__half *half, uint64_t size_bytes,
                                     struct vine__box *ret_box);
void vine__half_free(struct vine__half *half, const struct vine__box *box);

/* The same for a box of `book`, with a token that the other side may give back; `length` is not 0,
 * and `mark` as in core/allocator/marks.h. It is freed by vine_box_free. */
VINE_MUST_CHECK int vine__half_create_box(struct vine__half *half, uint16_t type, uint64_t length,
                                          uint32_t mark, struct vine_box *ret_box);

/* A part of a growth that was begun. Returns 1  there is more to do; 0  it has grown, and the other
 * side was told; a negative code. */
VINE_MUST_CHECK int vine__half_grow_step(struct vine__half *half, uint64_t step_bytes);

#endif
