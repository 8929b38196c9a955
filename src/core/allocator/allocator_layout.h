/* SPDX-License-Identifier: Apache-2.0 */
/*
 * allocator_layout.h - what the books of an allocator look like. Of shared ones every byte is in
 * docs/formats/allocator.md.
 *
 * The books are position-independent: blocks are named by their index in the table of blocks, parts
 * of the extent by granules from its start. In shared memory header, table and extent lie behind
 * one another; private books have header and table.
 *
 *   header | table: a power of two of 32-byte entries, entry 0 is the edge | extent
 *
 * The table is hashed: a block's entry lies in one of 16 buckets of 4 that follow from its offset,
 * nearly always the first, so that an offset leads to its block within one or two adjacent cache
 * lines, and nothing else is needed to find it. Entries do not move, unless the table doubles.
 *
 * Truth:  the entries in state LIVE, each with key and length. Everything else (neighbours, lists,
 *         sums) follows from them and is made anew when a holder of the lock has died. So an entry
 *         becomes LIVE, or ceases to be, by one store of `state_units`, and `key` never changes
 *         while it is LIVE.
 */
#ifndef VINE_ALLOCATOR_LAYOUT_H
#define VINE_ALLOCATOR_LAYOUT_H

#include "utils/assert.h"

#include <stddef.h>
#include <stdint.h>

#define VINE__ALLOCATOR_MAGIC   UINT64_C(0x73636f6c62656e76) /* "vneblocs" */
#define VINE__ALLOCATOR_VERSION 1u

enum {
    /* A list of free blocks holds sizes within 1/32 of an octave. 26 octaves are used; 32 are laid
     * out, so that no bit of a damaged bitmap leads outside. */
    VINE__SUB_BITS = 5,
    VINE__SUB_COUNT = 1 << VINE__SUB_BITS,
    VINE__OCTAVE_COUNT = 32,
    VINE__BIN_COUNT = VINE__OCTAVE_COUNT * VINE__SUB_COUNT,
    VINE__QUICK_COUNT = 288, /* quick lists serve the smallest size classes only */
    VINE__BUCKET_ENTRIES = 4,
    VINE__BUCKET_CHOICES = 16,
};

VINE_STATIC_ASSERT(VINE__SUB_COUNT == 32, "a word of `sub` has a bit for each bin of an octave");

enum vine__allocator_status {
    VINE__ALLOCATOR_INITIALIZING = 1,
    VINE__ALLOCATOR_READY = 2,
    VINE__ALLOCATOR_CORRUPTED = 3,
};

/* The upper two bits of `state_units`. */
#define VINE__BLOCK_UNUSED     0u         /* an entry without a block */
#define VINE__BLOCK_FREE       (1u << 30) /* in a bin */
#define VINE__BLOCK_LIVE       (2u << 30) /* handed out */
#define VINE__BLOCK_QUICK      (3u << 30) /* free, in a quick list: not merged with neighbours */
#define VINE__BLOCK_STATE_MASK (3u << 30)
#define VINE__BLOCK_UNITS_MASK 0x3fffffffu

/* One block; zeros are an unused entry. Entry 0 stands at both ends of the extent and of each list;
 * it is in state LIVE, so that nothing merges with it, and takes stores meant for nobody. */
struct vine__block {
    uint32_t key; /* granules from the start of the extent, plus 1; 0: no block */
    uint32_t state_units;
    uint32_t before; /* neighbours by address; 0 at the ends */
    uint32_t after;
    union {
        struct {
            uint32_t list_before; /* FREE only */
            uint32_t list_after;  /* FREE and QUICK */
        };
        struct {
            uint32_t slack_bytes; /* LIVE: granted and not asked for */
            uint32_t generation;  /* LIVE, of a box; 0 elsewhere */
        };
    };
    uint32_t references; /* LIVE, of a box: their count, a mark, freed but referred to; box.c */
    uint16_t type;       /* LIVE, of a box */
    /* 1: that neighbour is in state FREE. Kept by stores alone, so that freeing has to wait for the
     * lines of those neighbours only that it merges with. */
    uint8_t before_is_free;
    uint8_t after_is_free;
};

struct vine__quick_list {
    uint32_t head;
    uint16_t count;
    uint16_t count_max;
};

struct vine__allocator_header {
    uint64_t magic;
    uint32_t version;
    uint32_t fingerprint; /* VINE__ALLOCATOR_FINGERPRINT */
    uint32_t status;      /* enum vine__allocator_status; stored last at creation */
    uint32_t strategy;
    uint32_t granule_bytes;
    uint32_t unit_count; /* granules of the extent */
    uint64_t total_bytes;
    uint64_t table_offset;
    uint64_t extent_offset;
    uint64_t reserved;

    /* The lock of shared books: who holds them, as process id and, above it, the lower half of its
     * start time; 0 for nobody. */
    uint64_t owner;
    uint32_t wake_sequence; /* raised by who lets go while somebody sleeps */
    uint32_t sleeper;       /* 1: somebody sleeps on wake_sequence */
    uint64_t lock_reserved[6];

    /* What changes with each operation begins a line. */
    uint32_t table_bits;  /* the table has 2^table_bits entries */
    uint32_t entries_max; /* of which so many may be in use, beside the edge */
    uint32_t entry_count; /* and so many are */
    uint32_t live_count;
    uint32_t free_count;
    uint32_t quick_count;
    uint32_t live_units;
    uint32_t quick_units;
    uint64_t live_bytes;
    uint32_t cursor_units; /* bump: where the next block begins */
    uint32_t repairs;
    uint32_t octaves; /* bit o: sub[o] is not 0 */
    uint32_t sums_reserved[3];

    uint32_t sub[VINE__OCTAVE_COUNT]; /* bit s: bin o * 32 + s is not empty */
    uint32_t bins[VINE__BIN_COUNT];
    struct vine__quick_list quick[VINE__QUICK_COUNT];
};

#define VINE__ALLOCATOR_FINGERPRINT                                                                \
    ((uint32_t)(sizeof(struct vine__allocator_header) << 16 | sizeof(struct vine__block) << 8 |    \
                VINE__BUCKET_CHOICES << 3 | VINE__SUB_BITS))

/* clang-format off: one field a line. Who writes what is on lines of its own: 64, 128. */
VINE_LAYOUT(vine__block, 32); /* a bucket is two cache lines */
VINE_FIELD(vine__block, key, 0);
VINE_FIELD(vine__block, state_units, 4);
VINE_FIELD(vine__block, before, 8);
VINE_FIELD(vine__block, after, 12);
VINE_FIELD(vine__block, list_before, 16);
VINE_FIELD(vine__block, list_after, 20);
VINE_FIELD(vine__block, slack_bytes, 16);
VINE_FIELD(vine__block, generation, 20);
VINE_FIELD(vine__block, references, 24);
VINE_FIELD(vine__block, type, 28);
VINE_FIELD(vine__block, before_is_free, 30);
VINE_FIELD(vine__block, after_is_free, 31);
VINE_LAYOUT(vine__quick_list, 8);
VINE_FIELD(vine__quick_list, head, 0);
VINE_FIELD(vine__quick_list, count, 4);
VINE_FIELD(vine__quick_list, count_max, 6);
VINE_LAYOUT(vine__allocator_header, 6720);
VINE_FIELD(vine__allocator_header, magic, 0);
VINE_FIELD(vine__allocator_header, version, 8);
VINE_FIELD(vine__allocator_header, fingerprint, 12);
VINE_FIELD(vine__allocator_header, status, 16);
VINE_FIELD(vine__allocator_header, strategy, 20);
VINE_FIELD(vine__allocator_header, granule_bytes, 24);
VINE_FIELD(vine__allocator_header, unit_count, 28);
VINE_FIELD(vine__allocator_header, total_bytes, 32);
VINE_FIELD(vine__allocator_header, table_offset, 40);
VINE_FIELD(vine__allocator_header, extent_offset, 48);
VINE_FIELD(vine__allocator_header, owner, 64);
VINE_FIELD(vine__allocator_header, wake_sequence, 72);
VINE_FIELD(vine__allocator_header, sleeper, 76);
VINE_FIELD(vine__allocator_header, table_bits, 128);
VINE_FIELD(vine__allocator_header, entries_max, 132);
VINE_FIELD(vine__allocator_header, entry_count, 136);
VINE_FIELD(vine__allocator_header, live_count, 140);
VINE_FIELD(vine__allocator_header, free_count, 144);
VINE_FIELD(vine__allocator_header, quick_count, 148);
VINE_FIELD(vine__allocator_header, live_units, 152);
VINE_FIELD(vine__allocator_header, quick_units, 156);
VINE_FIELD(vine__allocator_header, live_bytes, 160);
VINE_FIELD(vine__allocator_header, cursor_units, 168);
VINE_FIELD(vine__allocator_header, repairs, 172);
VINE_FIELD(vine__allocator_header, octaves, 176);
VINE_FIELD(vine__allocator_header, sub, 192);
VINE_FIELD(vine__allocator_header, bins, 320);
VINE_FIELD(vine__allocator_header, quick, 4416);
VINE_STATIC_ASSERT(VINE__ALLOCATOR_FINGERPRINT == 0x1a402085u, "docs/formats/allocator.md");
/* clang-format on */

#endif
