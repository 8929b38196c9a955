/* SPDX-License-Identifier: Apache-2.0 */
/* arch/guard/fiber_state.h - what a sanitizer has to be told of a scratch stack. */
#ifndef VINE_ARCH_GUARD_FIBER_STATE_H
#define VINE_ARCH_GUARD_FIBER_STATE_H

#include <stdbool.h>
#include <stddef.h>

/* At the end of the scratch stack, where both sides may read it. */
struct vine__fiber {
    void (*fn)(void *);
    void *argument;
    unsigned char *stack;
    size_t stack_bytes;
    void *of_inside; /* what the sanitizer keeps of this stack */
    void *of_outside;
    const void *outside_stack;
    size_t outside_stack_bytes;
};

#endif
