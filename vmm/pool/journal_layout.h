/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_layout.h - NAME.img.journal: what an operation writes over what was in use of an image,
 * whole, before the first byte of it is written there. Little-endian; docs/formats/pool.md.
 *
 *     header | unit_count indices, ascending, 8 bytes each | unit_count units
 */
#ifndef VINE_VMM_POOL_JOURNAL_LAYOUT_H
#define VINE_VMM_POOL_JOURNAL_LAYOUT_H

#include "utils/assert.h"

#include <stddef.h>
#include <stdint.h>

#define VINE_JOURNAL_SUFFIX     ".journal"
#define VINE_JOURNAL_MAGIC      "VINEREDO"
#define VINE_JOURNAL_VERSION    1
#define VINE_JOURNAL_UNIT_BYTES 1024
#define VINE_JOURNAL_SUM_BYTES  16
/* The superblock of ext4 is this unit. */
#define VINE_JOURNAL_SUPERBLOCK 1

struct vine_journal_header {
    char magic[8];
    uint32_t version;
    uint32_t unit_bytes;
    uint64_t unit_count;
    uint64_t image_bytes;
    /* XXH3, 128 bits in canonical order, of the image's superblock before and after: the journal is
     * for an image that has one of the two. */
    uint8_t superblock_before[VINE_JOURNAL_SUM_BYTES];
    uint8_t superblock_after[VINE_JOURNAL_SUM_BYTES];
    /* Of the whole file, with zeros here: one that was cut by a crash is none. */
    uint8_t sum[VINE_JOURNAL_SUM_BYTES];
};

VINE_LAYOUT(vine_journal_header, 80);
VINE_FIELD(vine_journal_header, magic, 0);
VINE_FIELD(vine_journal_header, version, 8);
VINE_FIELD(vine_journal_header, unit_bytes, 12);
VINE_FIELD(vine_journal_header, unit_count, 16);
VINE_FIELD(vine_journal_header, image_bytes, 24);
VINE_FIELD(vine_journal_header, superblock_before, 32);
VINE_FIELD(vine_journal_header, superblock_after, 48);
VINE_FIELD(vine_journal_header, sum, 64);

#endif
