/* SPDX-License-Identifier: Apache-2.0 */
/* core/heap/poison.h - telling AddressSanitizer which parts of a heap are in use; without it
 * nothing. */
#ifndef VINE_CORE_HEAP_POISON_H
#define VINE_CORE_HEAP_POISON_H

#if defined(__SANITIZE_ADDRESS__)
#define VINE__HEAP_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define VINE__HEAP_ASAN 1
#endif
#endif

/* For who looks at whatever stands in a heap, in use or not. */
#define VINE__HEAP_UNSEEN __attribute__((no_sanitize("address")))

#if defined(VINE__HEAP_ASAN)
#include <sanitizer/asan_interface.h>
#define VINE__HEAP_HIDE(start, size_bytes) __asan_poison_memory_region((start), (size_bytes))
#define VINE__HEAP_SHOW(start, size_bytes) __asan_unpoison_memory_region((start), (size_bytes))
#else
#define VINE__HEAP_HIDE(start, size_bytes) ((void)(start), (void)(size_bytes))
#define VINE__HEAP_SHOW(start, size_bytes) ((void)(start), (void)(size_bytes))
#endif

#endif
