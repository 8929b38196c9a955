/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hidden.h - memory for keys and for what ciphers make of them.
 *
 * Owns:     one region, made once and never given back.
 * Threads:  hidden_init before there are any; all else any.
 * Blocking: a lock held for some tens of instructions.
 * Trust:    not concerned.
 * Limits:   HIDDEN_BYTES; what comes beyond them, or in one piece of more than 64 KiB, is ordinary
 *           memory, which is cleared when it is given back like all other.
 *
 * Where the kernel has it (memfd_secret), the region is mapped here and nowhere else, not even for
 * the kernel itself, and nobody can have it read: not a debugger, not /proc, not root. Elsewhere it
 * is locked, so that it is never swapped out, and in no core dump.
 */
#ifndef VINE_KEYS_HIDDEN_H
#define VINE_KEYS_HIDDEN_H

#include <stddef.h>

#define HIDDEN_BYTES (2U << 20)

enum hidden_kind {
    HIDDEN_SECRET,   /* from the kernel too */
    HIDDEN_LOCKED,   /* from swap and dumps */
    HIDDEN_UNLOCKED, /* from dumps alone: the limit on locked memory is too low */
};

/* Make the region, and have OpenSSL take its memory from there: before anything of it was called.
 * Returns 0, or a negated errno. */
int hidden_init(enum hidden_kind *ret_kind);

/* All zero; NULL without memory. */
void *hidden_allocate(size_t size);

/* Clears it. NULL is allowed. */
void hidden_free(void *memory);

#endif
