/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/base.h - the few macros and types that every other header of Vine uses.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: never.
 * Trust:    not concerned.
 * Limits:   VINE_CACHE_LINE is part of the layout of shared memory; it is told to the peer.
 */
#ifndef VINE_BASE_H
#define VINE_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define VINE_BEGIN_DECLARATIONS extern "C" {
#define VINE_END_DECLARATIONS   }
#else
#define VINE_BEGIN_DECLARATIONS
#define VINE_END_DECLARATIONS
#endif

/* A function that libvine.so shows; everything else is hidden. */
#define VINE_API __attribute__((visibility("default")))

/* A return value that the caller has to look at. */
#define VINE_MUST_CHECK __attribute__((warn_unused_result))

/* printf-like: `index` (of the format) and `first` count parameters from 1. */
#define VINE_PRINTF(index, first) __attribute__((format(printf, index, first)))

/* Bytes that travel between two cores at once. Shared words of different writers keep this
 * distance. */
#define VINE_CACHE_LINE 64

/* The `type` whose field `member` is at `pointer`: from what a callback is given to the object that
 * it is a part of. A pointer to another type than the field's draws a warning. */
#define VINE_CONTAINER_OF(pointer, type, member)                                                   \
    ((type *)(void *)((char *)(1 ? (pointer) : &((type *)0)->member) - offsetof(type, member)))

#define VINE_NS_PER_SECOND 1000000000ULL

/* A time-out that never ends. Waits end all the same when the other side is lost. */
#define VINE_FOREVER UINT64_MAX

enum vine_log_level {
    VINE_LOG_ERROR,
    VINE_LOG_WARNING,
    VINE_LOG_INFO,
    VINE_LOG_DEBUG,
};

/* Takes the reasons that a library has no other way to tell. `message` is one line without a
 * newline, valid during the call. Called from whichever thread found the reason; it must not call
 * back into the object that it was given to. */
typedef void (*vine_log_fn)(void *context, enum vine_log_level level, const char *message);

#endif
