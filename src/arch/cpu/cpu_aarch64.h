/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/cpu/cpu_aarch64.h - the instructions of aarch64. See arch/cpu/cpu.h.
 */
#ifndef VINE_ARCH_CPU_CPU_AARCH64_H
#define VINE_ARCH_CPU_CPU_AARCH64_H

#include "utils/atomic.h"

#include <stdbool.h>
#include <stdint.h>

/* `isb` waits for a few tens of cycles; `yield` is a no-op on most cores. */
VINE__ALWAYS_INLINE void vine__cpu_relax(void)
{
    __asm__ __volatile__("isb" ::: "memory");
}

VINE__ALWAYS_INLINE void vine__prefetch_to_write(const void *line)
{
    __builtin_prefetch(line, 1);
}

/* What is read is both words of one moment only if the store succeeds. */
VINE__ALWAYS_INLINE bool vine__swap_pair(uint64_t *pair, const uint64_t expected[2],
                                         const uint64_t desired[2])
{
    uint64_t low;
    uint64_t high;
    uint32_t has_failed;

    __asm__ __volatile__(
        "1: ldaxp %[low], %[high], [%[pair]]\n"
        "   mov %w[has_failed], #1\n"
        "   cmp %[low], %[expected_low]\n"
        "   ccmp %[high], %[expected_high], #0, eq\n"
        "   b.ne 2f\n"
        "   stlxp %w[has_failed], %[desired_low], %[desired_high], [%[pair]]\n"
        "   cbnz %w[has_failed], 1b\n"
        "2:"
        : [low] "=&r"(low), [high] "=&r"(high), [has_failed] "=&r"(has_failed)
        : [pair] "r"(pair), [expected_low] "r"(expected[0]), [expected_high] "r"(expected[1]),
          [desired_low] "r"(desired[0]), [desired_high] "r"(desired[1])
        : "cc", "memory");
    return has_failed == 0;
}

#endif
