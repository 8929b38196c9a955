/* SPDX-License-Identifier: Apache-2.0 */
/* A run, and the gate that leads out of it for a moment. */
#include "arch/guard/guard_internal.h"

#include "utils/assert.h"

#include <errno.h>

int vine__guard_run(struct vine__guard_region *region, void (*fn)(void *), void *argument,
                    struct vine__guard_fault *ret_fault)
{
    struct vine__guard_thread *const thread = vine__guard_current;
    bool is_to_close = false; /* of the region nothing is looked at without need */
    int is_abandoned;

    VINE_ASSERT(thread != NULL && thread->region == NULL);
    if (vine__guard.kind == VINE__GUARD_MPROTECT && !region->is_open) {
        const int error = vine__guard_open(region);
        if (error != 0)
            return error;
        is_to_close = true;
    }
    thread->region = region;
    thread->run_count++;
    vine__fiber_enter(thread->fiber, &fn, &argument);
    if (vine__guard.kind == VINE__GUARD_PKU)
        is_abandoned =
            vine__guard_switch_rights(&thread->outside_sp, fn, argument, thread->stack_end,
                                      vine__guard.rights[region->colour]);
    else
        is_abandoned = vine__guard_switch(&thread->outside_sp, fn, argument, thread->stack_end);
    vine__fiber_left(thread->fiber, is_abandoned != 0);
    thread->region = NULL;
    if (is_to_close)
        vine__guard_close(region);
    if (!is_abandoned)
        return 0;
    *ret_fault = thread->fault;
    return -EFAULT;
}

int vine__guard_gate(int (*fn)(struct vine__guard_region *region, uintptr_t argument),
                     uintptr_t argument)
{
    struct vine__guard_thread *const thread = vine__guard_current;

    if (thread == NULL)
        return -EPERM;
    vine__guard_take_rights();

    struct vine__guard_region *const region = thread->region;
    if (region == NULL)
        return -EPERM;
    thread->is_outside = true;

    const int result = fn(region, argument);

    thread->is_outside = false;

    if (vine__guard.kind == VINE__GUARD_PKU)
        vine__guard_rights_write(vine__guard.rights[region->colour]);
    return result;
}

bool vine__guard_is_inside(void)
{
    const uintptr_t thread = (uintptr_t)vine__guard_current;
    const uintptr_t here = (uintptr_t)__builtin_frame_address(0);

    /* By the stack that is in use: what the thread knows cannot be read from inside. */
    return thread != 0 && here - thread < vine__guard.page_bytes + VINE__GUARD_STACK_GUARD_BYTES +
                                              vine__guard.stack_bytes;
}
