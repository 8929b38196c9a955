/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utils/name.h - what may name a machine, a link, a disk, a peer of the bells or a program of a
 * guest, before it is part of a path or of somebody's command line.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: never.
 * Trust:    the text may be anything, and need not end.
 * Limits:   the caller's.
 */
#ifndef VINE_UTILS_NAME_H
#define VINE_UTILS_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define VINE__NAME_RULE "letters, digits, `.`, `_`, `-`"

/* Whether it is 1 to size - 1 of these, and then ends. NULL is none. */
static inline bool vine__is_name(const char *text, size_t size)
{
    const size_t length = text != NULL ? strnlen(text, size) : 0;

    return length > 0 && length < size &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               length;
}

#endif
