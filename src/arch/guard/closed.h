/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/guard/closed.h - memory for what the runtime alone may read and write.
 *
 * Owns:     where there are protection keys one range of addresses, which is mapped as it is used
 *           and has the runtime's key; and for each thread a few free blocks.
 * Threads:  any; a block may be freed by another one than that which took it.
 * Blocking: never; when none of a size is left it takes a lock for some tens of instructions, and
 *           may be a system call.
 * Trust:    blocks carry no guards: who writes beyond one is not found out.
 * Limits:   VINE__CLOSED_BLOCK_MAX bytes a block; VINE__CLOSED_RANGE_BYTES in all.
 *
 * Without keys it is libc's calloc and free, and costs as much.
 *
 * Caveats:  it is no core's memory: --memory and --lock-memory do not count it, and what was taken
 *           stays the process's.
 */
#ifndef VINE_ARCH_GUARD_CLOSED_H
#define VINE_ARCH_GUARD_CLOSED_H

#include <stddef.h>
#include <stdint.h>

#include <vine/base.h>

#define VINE__CLOSED_BLOCK_MAX   (UINT64_C(16) << 20)
#define VINE__CLOSED_RANGE_BYTES (UINT64_C(64) << 30)

/* Zero. Returns NULL: no memory. */
void *vine__closed_alloc(size_t size_bytes);
void *vine__closed_alloc_lines(size_t size_bytes); /* at a cache line */
void *vine__closed_alloc_raw(size_t size_bytes);   /* not zero, for who writes all of it */
void vine__closed_free(void *block);               /* NULL is allowed */

/* A block of more bytes with what was in `block`, which is freed, and zero behind it. Returns NULL:
 * no memory, and `block` stays. */
void *vine__closed_grow(void *block, size_t old_bytes, size_t size_bytes);

/* The calling thread ends, or has nothing more to do with this: others may have its free blocks. */
void vine__closed_leave(void);

/* Begin to have a range, whether or not there are keys: arch/guard does, once it has some, and
 * tests do. What was taken before stays where it is. */
void vine__closed_open(void);

#endif
