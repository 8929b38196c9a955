/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/cpu/cpu_x86_64.h - the instructions of x86-64. See arch/cpu/cpu.h.
 */
#ifndef VINE_ARCH_CPU_CPU_X86_64_H
#define VINE_ARCH_CPU_CPU_X86_64_H

#include "utils/atomic.h"

#include <stdbool.h>
#include <stdint.h>

VINE__ALWAYS_INLINE void vine__cpu_relax(void)
{
    __builtin_ia32_pause();
}

/* What the builtin becomes only for newer processors than the oldest; those do nothing then. */
VINE__ALWAYS_INLINE void vine__prefetch_to_write(const void *line)
{
    __asm__ __volatile__("prefetchw %0" : : "m"(*(const char *)line));
}

/* Every processor has it but some of 2003 to 2006. */
VINE__ALWAYS_INLINE bool vine__swap_pair(uint64_t *pair, const uint64_t expected[2],
                                         const uint64_t desired[2])
{
    uint64_t low = expected[0];
    uint64_t high = expected[1];
    bool is_stored;

    __asm__ __volatile__("lock cmpxchg16b (%[pair])"
                         : "=@ccz"(is_stored), "+a"(low), "+d"(high)
                         : [pair] "r"(pair), "b"(desired[0]), "c"(desired[1])
                         : "memory");
    return is_stored;
}

#endif
