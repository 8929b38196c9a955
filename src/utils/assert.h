/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utils/assert.h - what to do when our own code is wrong.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: a failed assertion never returns.
 * Trust:    never assert what a peer, guest, file or socket wrote: that is an error to return.
 * Limits:   a condition has no side effects, since VINE_ASSERT_SLOW may not evaluate it.
 */
#ifndef VINE_UTILS_ASSERT_H
#define VINE_UTILS_ASSERT_H

/* Write one line to standard error and abort. Any thread; this and the next are the only places
 * of the libraries that print. */
__attribute__((noreturn, cold, noinline)) void vine__assert_failed(const char *condition,
                                                                   const char *file, int line);

/* Write `text`, which ends with a newline, to standard error, for who goes on to fail otherwise.
 * Any thread; no lock, no memory. */
__attribute__((cold, noinline)) void vine__assert_say(const char *text);

/* Always on: cheap conditions, in every build. */
#define VINE_ASSERT(condition)                                                                     \
    (__builtin_expect(!(condition), 0) ? vine__assert_failed(#condition, __FILE__, __LINE__)       \
                                       : (void)0)

/* Debug builds only: conditions that may walk a structure. Release builds still compile it, so
 * that it cannot rot and its variables count as used. */
#ifdef NDEBUG
#define VINE_BUILD_IS_DEBUG         0
#define VINE_ASSERT_SLOW(condition) ((void)sizeof(!(condition)))
#else
#define VINE_BUILD_IS_DEBUG         1
#define VINE_ASSERT_SLOW(condition) VINE_ASSERT(condition)
#endif

#define VINE_STATIC_ASSERT(condition, text) _Static_assert(condition, text)

/* What crosses a boundary: a line for each struct's size, and one for each of its fields
 * (tests/tidy/check_layouts.sh). `offsetof` is the includer's. */
#define VINE_LAYOUT(type, bytes)                                                                   \
    VINE_STATIC_ASSERT(sizeof(struct type) == (bytes), #type " has " #bytes " bytes")
#define VINE_FIELD(type, field, at)                                                                \
    VINE_STATIC_ASSERT(offsetof(struct type, field) == (at), #type "." #field " lies at " #at)

#endif
