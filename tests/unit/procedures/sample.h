/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/procedures/sample.h - data to hash and compress, from a seed: text-like, random, runs.
 */
#ifndef VINE_TESTS_SAMPLE_H
#define VINE_TESTS_SAMPLE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "utils/assert.h"

enum sample_kind {
    SAMPLE_TEXT,
    SAMPLE_RANDOM,
    SAMPLE_RUNS,
    SAMPLE_ZEROS,
    SAMPLE_KINDS,
};

/* xorshift64*: small, and the same everywhere. */
static inline uint64_t sample_next(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * 0x2545f4914f6cdd1dULL;
}

/* Below `count`, which is not 0. */
static inline size_t sample_below(uint64_t *seed, size_t count)
{
    return (size_t)(sample_next(seed) % count);
}

static inline void sample_text(uint64_t *seed, uint8_t *bytes, size_t size)
{
    static const char *const words[] = {"pipe", "half",  "ring",   "task",  "segment", "worker",
                                        "of",   "the",   "and",    "token", "extent",  "bridge",
                                        "box",  "state", "\n    ", "(",     ");\n",    "0x"};
    size_t at = 0;

    while (at < size) {
        const char *word = words[sample_below(seed, sizeof(words) / sizeof(words[0]))];

        for (size_t index = 0; word[index] != 0 && at < size; index++)
            bytes[at++] = (uint8_t)word[index];
        if (at < size)
            bytes[at++] = sample_next(seed) % 16 == 0 ? (uint8_t)sample_next(seed) : ' ';
    }
}

static inline void sample_fill(enum sample_kind kind, uint64_t *seed, uint8_t *bytes, size_t size)
{
    switch (kind) {
    case SAMPLE_TEXT:
        sample_text(seed, bytes, size);
        return;
    case SAMPLE_RANDOM:
        for (size_t at = 0; at < size; at++)
            bytes[at] = (uint8_t)(sample_next(seed) >> 56);
        return;
    case SAMPLE_RUNS:
        for (size_t at = 0; at < size;) {
            const size_t run = 1 + sample_below(seed, 300);
            const uint8_t byte = (uint8_t)sample_next(seed);

            for (size_t index = 0; index < run && at < size; index++)
                bytes[at++] = byte;
        }
        return;
    default:
        memset(bytes, 0, size);
    }
}

/* Freed by the caller. */
static inline uint8_t *sample_make(enum sample_kind kind, uint64_t seed, size_t size)
{
    uint8_t *bytes = malloc(size > 0 ? size : 1);

    VINE_ASSERT(bytes);
    sample_fill(kind, &seed, bytes, size);
    return bytes;
}

#endif
