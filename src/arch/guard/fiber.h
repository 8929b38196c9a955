/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/guard/fiber.h - telling a sanitizer that a thread changes its stack; without one nothing.
 *
 * Owns:     what the sanitizer keeps of a scratch stack, from vine__fiber_init to _fini.
 * Threads:  the stack's.
 * Blocking: never.
 * Trust:    not concerned.
 * Limits:   gcc's and clang's address and thread sanitizers.
 *
 * In the order of a run: _enter outside, _main inside, which calls the function, _left outside
 * again. All but _main are inline always, for a function's own frame belongs to one stack.
 */
#ifndef VINE_ARCH_GUARD_FIBER_H
#define VINE_ARCH_GUARD_FIBER_H

#include "arch/guard/fiber_state.h"

#if defined(__SANITIZE_ADDRESS__)
#define VINE__FIBER_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define VINE__FIBER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define VINE__FIBER_ASAN 1
#elif __has_feature(thread_sanitizer)
#define VINE__FIBER_TSAN 1
#endif
#endif

#if defined(VINE__FIBER_ASAN)
#include "arch/guard/fiber_asan.h"
#elif defined(VINE__FIBER_TSAN)
#include "arch/guard/fiber_tsan.h"
#else
#include "arch/guard/fiber_none.h"
#endif

#endif
