/* SPDX-License-Identifier: Apache-2.0 */
/* arch/guard/fiber_none.h - without a sanitizer the function is called as it is. */
#ifndef VINE_ARCH_GUARD_FIBER_NONE_H
#define VINE_ARCH_GUARD_FIBER_NONE_H

#include "arch/guard/fiber_state.h"
#include "utils/atomic.h"

VINE__ALWAYS_INLINE void vine__fiber_init(struct vine__fiber *fiber)
{
    (void)fiber;
}

VINE__ALWAYS_INLINE void vine__fiber_fini(struct vine__fiber *fiber)
{
    (void)fiber;
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
