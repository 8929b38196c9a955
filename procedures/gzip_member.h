/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procedures/gzip_member.h - the parts of a gzip member that isa-l makes: a header, slices of which
 * each is compressed by itself, and a trailer.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: never.
 * Trust:    private memory only: the match finder reads the input many times.
 * Limits:   slices of VINE_SLICE_BYTES.
 */
#ifndef VINE_GZIP_MEMBER_H
#define VINE_GZIP_MEMBER_H

#include <isa-l/igzip_lib.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shipped_internal.h"

struct vine__gzip_member {
    uint64_t bytes; /* of input, so far */
    uint32_t sum;   /* their CRC-32 */
    bool is_begun;  /* the header is written */
};

/* isa-l's working memory; no level takes a larger buffer than the last. */
struct vine__gzip_scratch {
    struct isal_zstream stream;
    _Alignas(VINE_CACHE_LINE) uint8_t level_buffer[ISAL_DEF_LVL3_DEFAULT];
};

struct vine__gzip_output {
    uint8_t *bytes;
    size_t room, size;
};

/* Each returns 0, -VINE_EOVERFLOW: there is no room, or -VINE_EFAILED. The header is written once.
 */
int vine__gzip_begin(struct vine__gzip_member *member, struct vine__gzip_output *output);
/* Compress one slice, which is not empty, into blocks that end on a byte. What it holds is counted
 * by vine__gzip_count. */
int vine__gzip_slice(struct vine__gzip_scratch *scratch, uint32_t level, const uint8_t *input,
                     size_t size, struct vine__gzip_output *output);
void vine__gzip_count(struct vine__gzip_member *member, const uint8_t *input, size_t size);
/* The last block, which is empty, and the trailer. */
int vine__gzip_finish(const struct vine__gzip_member *member, struct vine__gzip_output *output);

#endif
