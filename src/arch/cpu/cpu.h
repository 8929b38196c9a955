/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/cpu/cpu.h - instructions that neither the language nor libc has, inline.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: never.
 * Trust:    a pair may lie in memory that another process writes; what is found there is compared,
 *           and not told.
 * Limits:   x86-64 and aarch64: others have no file here, and no build.
 *
 * Which of cpu_x86_64.h and cpu_aarch64.h is in use follows from the compiler's target. Each has
 *
 *   vine__cpu_relax()                 tell the processor that this is a spin loop: its sibling gets
 *                                     the core's resources
 *   vine__prefetch_to_write(line)     have the cache line that will be written at once, where
 *                                     reading it first would fetch it twice
 *   vine__swap_pair(...)              what the function below is made of
 */
#ifndef VINE_ARCH_CPU_CPU_H
#define VINE_ARCH_CPU_CPU_H

#include "utils/atomic.h"

#include <stdbool.h>
#include <stdint.h>

#if defined(__x86_64__)
#include "arch/cpu/cpu_x86_64.h"
#elif defined(__aarch64__)
#include "arch/cpu/cpu_aarch64.h"
#else
#error "a segment's holders need a compare-and-swap of 16 bytes"
#endif

/* ThreadSanitizer does not look into assembly: it is told of the order there. */
#if defined(__SANITIZE_THREAD__)
#define VINE__TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define VINE__TSAN 1
#endif
#endif
#ifdef VINE__TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define VINE__TSAN_ACQUIRE(address) __tsan_acquire(address)
#define VINE__TSAN_RELEASE(address) __tsan_release(address)
#else
#define VINE__TSAN_ACQUIRE(address) ((void)(address))
#define VINE__TSAN_RELEASE(address) ((void)(address))
#endif

/* Compare and swap two u64 at once, the first at a multiple of 16 bytes. The builtins for 16 bytes
 * are calls of libatomic, which libc alone does not have, and whose locks would be of one process.
 * Returns true if it stored both; it may fail while somebody else writes what was there before. */
VINE__ALWAYS_INLINE bool vine__compare_exchange_acq_rel_pair(uint64_t *pair,
                                                             const uint64_t expected[2],
                                                             const uint64_t desired[2])
{
    VINE__TSAN_RELEASE(pair);
    const bool is_stored = vine__swap_pair(pair, expected, desired);
    VINE__TSAN_ACQUIRE(pair);
    return is_stored;
}

#endif
