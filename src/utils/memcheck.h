/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utils/memcheck.h - telling valgrind what it cannot see of memory, in debug builds where its
 * header was at hand; elsewhere nothing. A release build tells it nothing, because each request
 * costs a dozen instructions whether valgrind runs the program or not.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: never.
 * Trust:    the caller's own memory.
 * Limits:   a build with a sanitizer, which does not run under valgrind, tells nothing either.
 *
 * VINE__MEMCHECK_CLOSED    nobody may touch it
 * VINE__MEMCHECK_KNOWN     it may be touched, and what stands there was written
 * VINE__MEMCHECK_UNKNOWN   it may be touched, and has to be written before anything depends on it
 * VINE__MEMCHECK_LOOK_BEGINS, _ENDS   between them anything may be read
 */
#ifndef VINE_UTILS_MEMCHECK_H
#define VINE_UTILS_MEMCHECK_H

#include "utils/assert.h"

#if VINE_BUILD_IS_DEBUG && defined(__has_include) && !defined(__SANITIZE_ADDRESS__) &&             \
    !defined(__SANITIZE_THREAD__)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#endif
#endif

#if defined(VALGRIND_MAKE_MEM_DEFINED)
#define VINE__MEMCHECK_CLOSED(start, size_bytes)                                                   \
    ((void)VALGRIND_MAKE_MEM_NOACCESS((start), (size_bytes)))
#define VINE__MEMCHECK_KNOWN(start, size_bytes)                                                    \
    ((void)VALGRIND_MAKE_MEM_DEFINED((start), (size_bytes)))
#define VINE__MEMCHECK_UNKNOWN(start, size_bytes)                                                  \
    ((void)VALGRIND_MAKE_MEM_UNDEFINED((start), (size_bytes)))
#define VINE__MEMCHECK_LOOK_BEGINS() VALGRIND_DISABLE_ERROR_REPORTING
#define VINE__MEMCHECK_LOOK_ENDS()   VALGRIND_ENABLE_ERROR_REPORTING
#else
#define VINE__MEMCHECK_CLOSED(start, size_bytes)  ((void)(start), (void)(size_bytes))
#define VINE__MEMCHECK_KNOWN(start, size_bytes)   ((void)(start), (void)(size_bytes))
#define VINE__MEMCHECK_UNKNOWN(start, size_bytes) ((void)(start), (void)(size_bytes))
#define VINE__MEMCHECK_LOOK_BEGINS()              ((void)0)
#define VINE__MEMCHECK_LOOK_ENDS()                ((void)0)
#endif

#endif
