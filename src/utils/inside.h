/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utils/inside.h - the word for functions of ours that run within a micro-process.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: never.
 * Trust:    such a function has the rights of one heap and of nothing else: whatever the service
 *           did to that heap, it may trap, and touches nothing beyond.
 * Limits:   it takes no lock, calls no malloc and nothing that does, and has no static state.
 *
 * All of them lie in one section of the text. A fault there counts as the service's own, which ends
 * one micro-process; a fault elsewhere in the runtime's text ends the process (arch/guard/guard.h).
 */
#ifndef VINE_UTILS_INSIDE_H
#define VINE_UTILS_INSIDE_H

/* Clones that a compiler makes of a function need not stay in its section. */
#if defined(__clang__)
#define VINE__INSIDE __attribute__((section("vine_inside")))
#else
#define VINE__INSIDE __attribute__((section("vine_inside"), noclone))
#endif

/* What must hold of a heap that the service may have overwritten: else its micro-process faults. */
#define VINE__INSIDE_CHECK(condition)                                                              \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            __builtin_trap();                                                                      \
    } while (0)

#endif
