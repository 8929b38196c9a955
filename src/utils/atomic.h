/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utils/atomic.h - atomic access to plain words, with the memory order in the name.
 *
 * Owns:     nothing. Shared words are plain uint32_t and uint64_t (public headers compile as C++
 *           too), naturally aligned; every access to one that another thread, process or machine
 *           may touch goes through here.
 * Threads:  any.
 * Blocking: never.
 * Trust:    a load reads the word exactly once. Keep its result in a local, check the local, use
 *           the local.
 * Limits:   32 and 64 bits, pointers within one process, and a compare-and-swap of two words.
 *
 * For every width W of u32, u64:
 *   vine__load_relaxed_W(p)              vine__load_acquire_W(p)
 *   vine__store_relaxed_W(p, v)          vine__store_release_W(p, v)
 *   vine__exchange_acq_rel_W(p, v)       the value before
 *   vine__fetch_add_relaxed_W(p, v)      vine__fetch_add_acq_rel_W(p, v)      the value before
 *   vine__fetch_sub_acq_rel_W(p, v)      the value before
 *   vine__fetch_or_acq_rel_W(p, v)       vine__fetch_and_acq_rel_W(p, v)      the value before
 *   vine__compare_exchange_acq_rel_W(p, &expected, desired)   strong; true if it stored; if not,
 *                                        `expected` holds what was found, read with acquire
 *   vine__compare_exchange_acq_rel_pair(pair, expected, desired)   of two u64 at once, the first
 *                                        at a multiple of 16 bytes; true if it stored both; it may
 *                                        fail while somebody else writes what was there before
 *
 * Caveats:  ThreadSanitizer does not understand fences. Code that needs one for its correctness
 *           and not only for its sleep protocol should put the order on an access instead.
 */
#ifndef VINE_UTILS_ATOMIC_H
#define VINE_UTILS_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#define VINE__ALWAYS_INLINE       static inline __attribute__((always_inline))
#define VINE__LIKELY(condition)   __builtin_expect(!!(condition), 1)
#define VINE__UNLIKELY(condition) __builtin_expect(!!(condition), 0)

#define VINE__ATOMIC_DEFINE(suffix, type)                                                          \
    VINE__ALWAYS_INLINE type vine__load_relaxed_##suffix(const type *word)                         \
    {                                                                                              \
        return __atomic_load_n(word, __ATOMIC_RELAXED);                                            \
    }                                                                                              \
    VINE__ALWAYS_INLINE type vine__load_acquire_##suffix(const type *word)                         \
    {                                                                                              \
        return __atomic_load_n(word, __ATOMIC_ACQUIRE);                                            \
    }                                                                                              \
    VINE__ALWAYS_INLINE void vine__store_relaxed_##suffix(type *word, type value)                  \
    {                                                                                              \
        __atomic_store_n(word, value, __ATOMIC_RELAXED);                                           \
    }                                                                                              \
    VINE__ALWAYS_INLINE void vine__store_release_##suffix(type *word, type value)                  \
    {                                                                                              \
        __atomic_store_n(word, value, __ATOMIC_RELEASE);                                           \
    }                                                                                              \
    VINE__ALWAYS_INLINE type vine__exchange_acq_rel_##suffix(type *word, type value)               \
    {                                                                                              \
        return __atomic_exchange_n(word, value, __ATOMIC_ACQ_REL);                                 \
    }                                                                                              \
    VINE__ALWAYS_INLINE bool vine__compare_exchange_acq_rel_##suffix(type *word, type *expected,   \
                                                                     type desired)                 \
    {                                                                                              \
        return __atomic_compare_exchange_n(word, expected, desired, false, __ATOMIC_ACQ_REL,       \
                                           __ATOMIC_ACQUIRE);                                      \
    }

#define VINE__ATOMIC_DEFINE_ARITHMETIC(suffix, type)                                               \
    VINE__ALWAYS_INLINE type vine__fetch_add_relaxed_##suffix(type *word, type value)              \
    {                                                                                              \
        return __atomic_fetch_add(word, value, __ATOMIC_RELAXED);                                  \
    }                                                                                              \
    VINE__ALWAYS_INLINE type vine__fetch_add_acq_rel_##suffix(type *word, type value)              \
    {                                                                                              \
        return __atomic_fetch_add(word, value, __ATOMIC_ACQ_REL);                                  \
    }                                                                                              \
    VINE__ALWAYS_INLINE type vine__fetch_sub_acq_rel_##suffix(type *word, type value)              \
    {                                                                                              \
        return __atomic_fetch_sub(word, value, __ATOMIC_ACQ_REL);                                  \
    }                                                                                              \
    VINE__ALWAYS_INLINE type vine__fetch_or_acq_rel_##suffix(type *word, type value)               \
    {                                                                                              \
        return __atomic_fetch_or(word, value, __ATOMIC_ACQ_REL);                                   \
    }                                                                                              \
    VINE__ALWAYS_INLINE type vine__fetch_and_acq_rel_##suffix(type *word, type value)              \
    {                                                                                              \
        return __atomic_fetch_and(word, value, __ATOMIC_ACQ_REL);                                  \
    }

VINE__ATOMIC_DEFINE(u32, uint32_t)
VINE__ATOMIC_DEFINE(u64, uint64_t)
VINE__ATOMIC_DEFINE_ARITHMETIC(u32, uint32_t)
VINE__ATOMIC_DEFINE_ARITHMETIC(u64, uint64_t)

/* Pointers are for words of one process: none lies in shared memory. */
VINE__ALWAYS_INLINE void *vine__load_acquire_pointer(void *const *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

VINE__ALWAYS_INLINE void *vine__load_relaxed_pointer(void *const *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

VINE__ALWAYS_INLINE void vine__store_relaxed_pointer(void **word, void *value)
{
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

VINE__ALWAYS_INLINE void vine__store_release_pointer(void **word, void *value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

VINE__ALWAYS_INLINE bool vine__compare_exchange_acq_rel_pointer(void **word, void **expected,
                                                                void *desired)
{
    return __atomic_compare_exchange_n(word, expected, desired, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}

/* gcc says at every fence that ThreadSanitizer ignores it; the caveat above says so once. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan"
#endif

/* Nothing moves over it, stores before loads after it included. */
VINE__ALWAYS_INLINE void vine__fence_full(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* What came before is seen by whoever sees a later store. */
VINE__ALWAYS_INLINE void vine__fence_release(void)
{
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

/* What follows is not read before an earlier load. */
VINE__ALWAYS_INLINE void vine__fence_acquire(void)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
}

/* The compiler moves nothing over it; the processor may. Enough where membarrier makes the
 * other side's full fence for both. */
VINE__ALWAYS_INLINE void vine__compiler_barrier(void)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

/* Tell the processor that this is a spin loop: its sibling gets the core's resources. One
 * instruction without an effect on memory, which every translation unit wants inline; so it is
 * here and not below arch. */
#if defined(__x86_64__) || defined(__i386__)
VINE__ALWAYS_INLINE void vine__cpu_relax(void)
{
    __builtin_ia32_pause();
}
#elif defined(__aarch64__)
/* `isb` waits for a few tens of cycles; `yield` is a no-op on most cores. */
VINE__ALWAYS_INLINE void vine__cpu_relax(void)
{
    __asm__ __volatile__("isb" ::: "memory");
}
#else
VINE__ALWAYS_INLINE void vine__cpu_relax(void)
{
    vine__compiler_barrier();
}
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

/* The builtins for 16 bytes are calls of libatomic, which libc alone does not have, and whose locks
 * would be of one process. */
#if defined(__x86_64__)
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
#elif defined(__aarch64__)
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
#else
#error "a segment's holders need a compare-and-swap of 16 bytes"
#endif

VINE__ALWAYS_INLINE bool vine__compare_exchange_acq_rel_pair(uint64_t *pair,
                                                             const uint64_t expected[2],
                                                             const uint64_t desired[2])
{
    VINE__TSAN_RELEASE(pair);
    const bool is_stored = vine__swap_pair(pair, expected, desired);
    VINE__TSAN_ACQUIRE(pair);
    return is_stored;
}

/* Have the cache line that will be written at once, where reading it first would fetch it twice. */
#if defined(__x86_64__)
/* What the builtin becomes only for newer processors than the oldest; those do nothing then. */
VINE__ALWAYS_INLINE void vine__prefetch_to_write(const void *line)
{
    __asm__ __volatile__("prefetchw %0" : : "m"(*(const char *)line));
}
#else
VINE__ALWAYS_INLINE void vine__prefetch_to_write(const void *line)
{
    __builtin_prefetch(line, 1);
}
#endif

#endif
