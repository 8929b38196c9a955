/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/heap.h - memory of a micro-process.
 *
 * Owns:     nothing; all of it is the heap's, and goes with it.
 * Threads:  coroutines, for the heap that they run in.
 * Blocking: never.
 * Trust:    no other micro-process can read or write it while it does not run, as far as the guard
 *           holds (--isolate; docs/guides/service.md has what each of them stops).
 * Limits:   the heap's greatest size (--heap). Blocks have 32 bytes of their own.
 *
 * vine_alloc takes from the stack of the heap, and is given back at the latest when the coroutine
 * ends that has taken it: what is freed in the opposite order costs the least, another order is
 * allowed. What outlives the coroutine comes from vine_keep. malloc is not for coroutines: what it
 * gives is open to all micro-processes, and stays when a coroutine fails.
 */
#ifndef VINE_HEAP_H
#define VINE_HEAP_H

#include <vine/state.h>

VINE_BEGIN_DECLARATIONS

/* `pointer_lvalue` becomes `size_bytes` of zeroed memory, aligned for anything. Raises -ENOMEM: the
 * heap is as large as it may be; vine_heap_explain says what there would have to be. */
#define vine_alloc(pointer_lvalue, size_bytes)                                                     \
    vine__do_at("vine_alloc", (pointer_lvalue) = vine__alloc(that, (size_bytes)))

/* Give it back: the coroutine that has taken it. NULL is allowed. */
#define vine_free(pointer) vine__do_at("vine_free", vine__free(that, (pointer)))

/* The same for memory that stays until it is freed, or the micro-process ends. */
#define vine_keep(pointer_lvalue, size_bytes)                                                      \
    vine__do_at("vine_keep", (pointer_lvalue) = vine__keep(that, (size_bytes)))
#define vine_unkeep(pointer) vine__do_at("vine_unkeep", vine__unkeep(that, (pointer)))

/* What the heap was short of, the last time: "heap of N pages: M bytes more would need K pages, and
 * L are allowed". */
#define VINE_HEAP_TEXT_BYTES    192
#define vine_heap_explain(text) vine__heap_text(that, (text))

VINE_API void *vine__alloc(struct vine_coroutine *that, size_t size_bytes);
VINE_API void vine__free(struct vine_coroutine *that, void *pointer);
VINE_API void *vine__keep(struct vine_coroutine *that, size_t size_bytes);
VINE_API void vine__unkeep(struct vine_coroutine *that, void *pointer);
VINE_API void vine__heap_text(struct vine_coroutine *that, char text[VINE_HEAP_TEXT_BYTES]);

VINE_END_DECLARATIONS

#endif
