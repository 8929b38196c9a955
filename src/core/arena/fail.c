/* SPDX-License-Identifier: Apache-2.0 */
/* Allocations that fail because a test asked for it. */
#include "core/arena/arena_internal.h"

#include <errno.h>

uint32_t vine__arena_fail_armed;
static uint64_t left_of_all; /* counts down to 0, and is not touched there */
static uint64_t injected;

void vine__arena_fail_nth(uint64_t nth)
{
    vine__arena_thread.fail_left = nth;
}

void vine__arena_fail_nth_of_all(uint64_t nth)
{
    /* Relaxed: an allocation that runs beside this call may be counted or not. */
    vine__store_relaxed_u64(&left_of_all, nth);
    vine__store_relaxed_u32(&vine__arena_fail_armed, nth > 0);
}

/* Whoever takes the last one of the count off fails; others may count below it meanwhile, and wrap
 * around to where nobody ever comes. */
static bool fails_of_all(void)
{
    if (vine__load_relaxed_u32(&vine__arena_fail_armed) == 0)
        return false;
    if (vine__fetch_add_relaxed_u64(&left_of_all, UINT64_MAX) != 1)
        return false;
    vine__store_relaxed_u32(&vine__arena_fail_armed, 0);
    return true;
}

bool vine__arena_fails_now(void)
{
    struct vine__arena_thread *const thread = &vine__arena_thread;
    bool fails = thread->fail_left == 1;

    if (thread->is_spared)
        return false;
    if (thread->fail_left > 0)
        thread->fail_left--;
    fails |= fails_of_all();
    if (fails) {
        (void)vine__fetch_add_relaxed_u64(&injected, 1);
        errno = ENOMEM;
    }
    return fails;
}

uint64_t vine__arena_injected_failures(void)
{
    return vine__load_relaxed_u64(&injected);
}
