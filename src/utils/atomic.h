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
 * Limits:   32 and 64 bits, and pointers within one process; two words: arch/cpu/cpu.h.
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

VINE__ALWAYS_INLINE void *vine__exchange_acq_rel_pointer(void **word, void *value)
{
    return __atomic_exchange_n(word, value, __ATOMIC_ACQ_REL);
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

/* No load moves from before it to after it. */
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

#endif
