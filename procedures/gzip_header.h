/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procedures/gzip_header.h - the header of a gzip member (RFC 1952), byte by byte, so that it may
 * be cut anywhere.
 *
 * Owns:     nothing; the parser is the caller's memory, all zero at a member's start.
 * Threads:  one at a time.
 * Blocking: never.
 * Trust:    stands any bytes. Names and comments are skipped, never stored.
 * Limits:   none: a header may be as long as its sender likes.
 */
#ifndef VINE_GZIP_HEADER_H
#define VINE_GZIP_HEADER_H

#include <stddef.h>
#include <stdint.h>

enum vine__gzip_part {
    VINE_GZIP_FIXED,     /* the ten bytes that every member has */
    VINE_GZIP_EXTRA_LOW, /* the size of the extra field */
    VINE_GZIP_EXTRA_HIGH,
    VINE_GZIP_EXTRA,
    VINE_GZIP_NAME,
    VINE_GZIP_COMMENT,
    VINE_GZIP_SUM_LOW, /* of the header itself */
    VINE_GZIP_SUM_HIGH,
    VINE_GZIP_DONE,
};

struct vine__gzip_header {
    uint8_t part; /* enum vine__gzip_part */
    uint8_t flags;
    uint16_t left;  /* bytes of the extra field */
    uint32_t index; /* of the next byte among the fixed ones */
    uint32_t sum;   /* CRC-32 of the header so far */
};

/*
 * Take header bytes from `bytes` until the header is complete (`part` is VINE_GZIP_DONE) or they
 * are used up; *ret_taken tells how many were taken.
 *
 * Returns 0; -VINE_EDATA  not gzip, not deflate, unknown flags, or the header's sum is wrong.
 */
int vine__gzip_header_feed(struct vine__gzip_header *header, const uint8_t *bytes, size_t size,
                           size_t *ret_taken);

#endif
