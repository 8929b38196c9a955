/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utils/bits.h - arithmetic on unsigned words that has an easy way to be wrong.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: never.
 * Trust:    the functions that say `_overflows` take any value; the others state what they need.
 * Limits:   64 bits.
 */
#ifndef VINE_UTILS_BITS_H
#define VINE_UTILS_BITS_H

#include "utils/assert.h"

#include <stdbool.h>
#include <stdint.h>

static inline bool vine__is_power_of_two_u64(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* The greatest n with 2^n <= value. `value` is not 0. */
static inline uint32_t vine__log2_u64(uint64_t value)
{
    VINE_ASSERT(value != 0);
    return 63U - (uint32_t)__builtin_clzll(value);
}

/* The smallest power of two that is not below `value`, which is at most 2^63; 1 for 0. */
static inline uint64_t vine__ceil_power_of_two_u64(uint64_t value)
{
    VINE_ASSERT(value <= UINT64_C(1) << 63);
    return value <= 1 ? 1 : UINT64_C(1) << (vine__log2_u64(value - 1) + 1);
}

/* `align` is a power of two. */
static inline uint64_t vine__round_down_u64(uint64_t value, uint64_t align)
{
    VINE_ASSERT(vine__is_power_of_two_u64(align));
    return value & ~(align - 1);
}

/* `align` is a power of two and the result fits: for sizes of our own. */
static inline uint64_t vine__round_up_u64(uint64_t value, uint64_t align)
{
    VINE_ASSERT(vine__is_power_of_two_u64(align));
    VINE_ASSERT(value <= UINT64_MAX - (align - 1));
    return (value + (align - 1)) & ~(align - 1);
}

/* The same for values that we did not make: true, and nothing stored, if the result does not
 * fit. `align` is a power of two. */
static inline bool vine__round_up_overflows_u64(uint64_t value, uint64_t align, uint64_t *ret)
{
    VINE_ASSERT(vine__is_power_of_two_u64(align));
    if (value > UINT64_MAX - (align - 1))
        return true;
    *ret = (value + (align - 1)) & ~(align - 1);
    return false;
}

/* `align` is a power of two. */
static inline bool vine__is_aligned_u64(uint64_t value, uint64_t align)
{
    VINE_ASSERT(vine__is_power_of_two_u64(align));
    return (value & (align - 1)) == 0;
}

/* True, and nothing stored, if a + b does not fit. */
static inline bool vine__add_overflows_u64(uint64_t a, uint64_t b, uint64_t *ret)
{
    uint64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return true;
    *ret = sum;
    return false;
}

/* True, and nothing stored, if a * b does not fit. */
static inline bool vine__multiply_overflows_u64(uint64_t a, uint64_t b, uint64_t *ret)
{
    uint64_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return true;
    *ret = product;
    return false;
}

/* Whether [offset, offset + size) lies within [0, limit); no sum can wrap. */
static inline bool vine__range_is_within_u64(uint64_t offset, uint64_t size, uint64_t limit)
{
    return size <= limit && offset <= limit - size;
}

/* Index of the lowest set bit. `value` is not 0. */
static inline uint32_t vine__lowest_bit_u64(uint64_t value)
{
    VINE_ASSERT(value != 0);
    return (uint32_t)__builtin_ctzll(value);
}

static inline uint64_t vine__min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t vine__max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

#endif
