/* SPDX-License-Identifier: Apache-2.0 */
/* arch/guard/fiber_none.h - without a sanitizer the function is called as it is. Where valgrind's
 * header was at hand when this was built, valgrind knows the stack, too, and takes none for a part
 * of another one that lies near. */
#ifndef VINE_ARCH_GUARD_FIBER_NONE_H
#define VINE_ARCH_GUARD_FIBER_NONE_H

#include "arch/guard/fiber_state.h"
#include "utils/atomic.h"

#include <stdint.h>

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif

#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(start, end) ((void)(start), (void)(end), 0UL)
#define VALGRIND_STACK_DEREGISTER(stack)    ((void)(stack))
#endif

VINE__ALWAYS_INLINE void vine__fiber_init(struct vine__fiber *fiber)
{
    fiber->of_inside =
        (void *)(uintptr_t)VALGRIND_STACK_REGISTER(fiber->stack, fiber->stack + fiber->stack_bytes);
}

VINE__ALWAYS_INLINE void vine__fiber_fini(struct vine__fiber *fiber)
{
    VALGRIND_STACK_DEREGISTER((unsigned long)(uintptr_t)fiber->of_inside);
}

VINE__ALWAYS_INLINE void vine__fiber_enter(struct vine__fiber *fiber, void (**fn)(void *),
                                           void **argument)
{
    (void)fiber;
    (void)fn;
    (void)argument;
}

VINE__ALWAYS_INLINE void vine__fiber_left(struct vine__fiber *fiber, bool is_abandoned)
{
    (void)fiber;
    (void)is_abandoned;
}

#endif
