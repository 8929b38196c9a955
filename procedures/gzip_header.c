/* SPDX-License-Identifier: Apache-2.0 */
#include "gzip_header.h"

#include <isa-l/crc.h>

#include <vine/error.h>

#include "utils/assert.h"

#define GZIP_FIXED_BYTES   10
#define GZIP_FLAG_SUM      0x02
#define GZIP_FLAG_EXTRA    0x04
#define GZIP_FLAG_NAME     0x08
#define GZIP_FLAG_COMMENT  0x10
#define GZIP_FLAGS_UNKNOWN 0xe0 /* among them encryption, which nobody has */

/* The first part at or behind `part` that the flags say is there. */
static uint8_t part_from(uint8_t flags, uint8_t part)
{
    if (part <= VINE_GZIP_EXTRA_LOW && (flags & GZIP_FLAG_EXTRA))
        return VINE_GZIP_EXTRA_LOW;
    if (part <= VINE_GZIP_NAME && (flags & GZIP_FLAG_NAME))
        return VINE_GZIP_NAME;
    if (part <= VINE_GZIP_COMMENT && (flags & GZIP_FLAG_COMMENT))
        return VINE_GZIP_COMMENT;
    if (part <= VINE_GZIP_SUM_LOW && (flags & GZIP_FLAG_SUM))
        return VINE_GZIP_SUM_LOW;
    return VINE_GZIP_DONE;
}

static int take_fixed(struct vine__gzip_header *header, uint8_t byte)
{
    static const uint8_t expected[3] = {0x1f, 0x8b, 8}; /* the magic, and deflate */

    if (header->index < sizeof(expected) && byte != expected[header->index])
        return -VINE_EDATA;
    if (header->index == 3) {
        if (byte & GZIP_FLAGS_UNKNOWN)
            return -VINE_EDATA;
        header->flags = byte;
    }
    header->index++;
    if (header->index == GZIP_FIXED_BYTES)
        header->part = part_from(header->flags, VINE_GZIP_EXTRA_LOW);
    return 0;
}

static int take(struct vine__gzip_header *header, uint8_t byte)
{
    const uint32_t sum = header->sum;

    header->sum = crc32_gzip_refl(sum, &byte, 1);
    switch (header->part) {
    case VINE_GZIP_FIXED:
        return take_fixed(header, byte);
    case VINE_GZIP_EXTRA_LOW:
        header->left = byte;
        header->part = VINE_GZIP_EXTRA_HIGH;
        return 0;
    case VINE_GZIP_EXTRA_HIGH:
        header->left = (uint16_t)(header->left | byte << 8);
        header->part =
            header->left > 0 ? VINE_GZIP_EXTRA : part_from(header->flags, VINE_GZIP_NAME);
        return 0;
    case VINE_GZIP_EXTRA:
        header->left--;
        if (header->left == 0)
            header->part = part_from(header->flags, VINE_GZIP_NAME);
        return 0;
    case VINE_GZIP_NAME:
        if (byte == 0)
            header->part = part_from(header->flags, VINE_GZIP_COMMENT);
        return 0;
    case VINE_GZIP_COMMENT:
        if (byte == 0)
            header->part = part_from(header->flags, VINE_GZIP_SUM_LOW);
        return 0;
    case VINE_GZIP_SUM_LOW:
        if (byte != (sum & 0xff))
            return -VINE_EDATA;
        header->sum = sum;
        header->part = VINE_GZIP_SUM_HIGH;
        return 0;
    default:
        VINE_ASSERT(header->part == VINE_GZIP_SUM_HIGH);
        if (byte != (sum >> 8 & 0xff))
            return -VINE_EDATA;
        header->part = VINE_GZIP_DONE;
        return 0;
    }
}

int vine__gzip_header_feed(struct vine__gzip_header *header, const uint8_t *bytes, size_t size,
                           size_t *ret_taken)
{
    size_t taken = 0;

    while (taken < size && header->part != VINE_GZIP_DONE) {
        const int status = take(header, bytes[taken]);

        if (status < 0)
            return status;
        taken++;
    }
    *ret_taken = taken;
    return 0;
}
