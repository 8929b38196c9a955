/* SPDX-License-Identifier: Apache-2.0 */
/* arch/guard/fiber_asan.h - AddressSanitizer knows a stack by its bounds, and keeps the frames of
 * one that are looked at after their return. */
#ifndef VINE_ARCH_GUARD_FIBER_ASAN_H
#define VINE_ARCH_GUARD_FIBER_ASAN_H

#include "arch/guard/fiber_state.h"
#include "utils/atomic.h"

#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

static inline void vine__fiber_main(void *context)
{
    struct vine__fiber *const fiber = context;

    __sanitizer_finish_switch_fiber(fiber->of_inside, &fiber->outside_stack,
                                    &fiber->outside_stack_bytes);
    fiber->fn(fiber->argument);
    __sanitizer_start_switch_fiber(&fiber->of_inside, fiber->outside_stack,
                                   fiber->outside_stack_bytes);
}

VINE__ALWAYS_INLINE void vine__fiber_init(struct vine__fiber *fiber)
{
    fiber->of_inside = NULL;
}

/* What is kept of the stack is told away from there. */
VINE__ALWAYS_INLINE void vine__fiber_fini(struct vine__fiber *fiber)
{
    if (fiber->of_inside == NULL)
        return;

    void *of_outside = NULL;
    const void *stack = NULL;
    size_t stack_bytes = 0;

    __sanitizer_start_switch_fiber(&of_outside, fiber->stack, fiber->stack_bytes);
    __sanitizer_finish_switch_fiber(fiber->of_inside, &stack, &stack_bytes);
    __sanitizer_start_switch_fiber(NULL, stack, stack_bytes);
    __sanitizer_finish_switch_fiber(of_outside, NULL, NULL);
}

VINE__ALWAYS_INLINE void vine__fiber_enter(struct vine__fiber *fiber, void (**fn)(void *),
                                           void **argument)
{
    fiber->fn = *fn;
    fiber->argument = *argument;
    *fn = vine__fiber_main;
    *argument = fiber;
    __sanitizer_start_switch_fiber(&fiber->of_outside, fiber->stack, fiber->stack_bytes);
}

VINE__ALWAYS_INLINE void vine__fiber_left(struct vine__fiber *fiber, bool is_abandoned)
{
    if (is_abandoned) {
        __sanitizer_start_switch_fiber(NULL, fiber->outside_stack, fiber->outside_stack_bytes);
        fiber->of_inside = NULL;
        __asan_unpoison_memory_region(fiber->stack, fiber->stack_bytes);
    }
    __sanitizer_finish_switch_fiber(fiber->of_outside, NULL, NULL);
}

#endif
