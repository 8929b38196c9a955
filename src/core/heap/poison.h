/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/heap/poison.h - telling AddressSanitizer, or valgrind, which parts of a heap are in use;
 * without them nothing.
 *
 * VINE__HEAP_HIDE   nobody may touch it
 * VINE__HEAP_SHOW   it may be touched, and what stands there is known
 * VINE__HEAP_LEND   it may be touched, and has to be written before it is read
 *
 * Who looks at whatever stands in a heap, in use or not, is VINE__HEAP_UNSEEN, and looks between
 * VINE__MEMCHECK_LOOK_BEGINS and _ENDS.
 */
#ifndef VINE_CORE_HEAP_POISON_H
#define VINE_CORE_HEAP_POISON_H

#include "utils/memcheck.h"

#if defined(__SANITIZE_ADDRESS__)
#define VINE__HEAP_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define VINE__HEAP_ASAN 1
#endif
#endif

#define VINE__HEAP_UNSEEN __attribute__((no_sanitize("address")))

#if defined(VINE__HEAP_ASAN)
#include <sanitizer/asan_interface.h>
#define VINE__HEAP_HIDE(start, size_bytes) __asan_poison_memory_region((start), (size_bytes))
#define VINE__HEAP_SHOW(start, size_bytes) __asan_unpoison_memory_region((start), (size_bytes))
#define VINE__HEAP_LEND(start, size_bytes) __asan_unpoison_memory_region((start), (size_bytes))
#else
#define VINE__HEAP_HIDE(start, size_bytes) VINE__MEMCHECK_CLOSED(start, size_bytes)
#define VINE__HEAP_SHOW(start, size_bytes) VINE__MEMCHECK_KNOWN(start, size_bytes)
#define VINE__HEAP_LEND(start, size_bytes) VINE__MEMCHECK_UNKNOWN(start, size_bytes)
#endif

#endif
