/* SPDX-License-Identifier: Apache-2.0 */
/* arch/guard/fiber_tsan.h - ThreadSanitizer counts calls and returns: those of an abandoned stack
 * are thrown away with what it kept of it. */
#ifndef VINE_ARCH_GUARD_FIBER_TSAN_H
#define VINE_ARCH_GUARD_FIBER_TSAN_H

#include "arch/guard/fiber_state.h"
#include "utils/atomic.h"

#include <sanitizer/tsan_interface.h>

VINE__ALWAYS_INLINE void vine__fiber_init(struct vine__fiber *fiber)
{
    fiber->of_inside = __tsan_create_fiber(0);
}

VINE__ALWAYS_INLINE void vine__fiber_fini(struct vine__fiber *fiber)
{
    __tsan_destroy_fiber(fiber->of_inside);
}

VINE__ALWAYS_INLINE void vine__fiber_enter(struct vine__fiber *fiber, void (**fn)(void *),
                                           void **argument)
{
    (void)fn;
    (void)argument;
    fiber->of_outside = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(fiber->of_inside, 0);
}

VINE__ALWAYS_INLINE void vine__fiber_left(struct vine__fiber *fiber, bool is_abandoned)
{
    __tsan_switch_to_fiber(fiber->of_outside, 0);
    if (!is_abandoned)
        return;
    __tsan_destroy_fiber(fiber->of_inside);
    fiber->of_inside = __tsan_create_fiber(0);
}

#endif
