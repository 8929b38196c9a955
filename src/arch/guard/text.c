/* SPDX-License-Identifier: Apache-2.0 */
/* Whose text an address is. */
#include "arch/guard/guard_internal.h"

#include "utils/atomic.h"

#include <errno.h>

struct range {
    uintptr_t start;
    uintptr_t end;
};

static struct range texts[VINE__GUARD_TEXTS_MAX];
static uint32_t text_count; /* atomic: T1, T2 */

/* Of the section of utils/inside.h, by the linker; NULL: nothing of it was linked. */
extern const char __start_vine_inside[] __attribute__((weak, visibility("hidden")));
extern const char __stop_vine_inside[] __attribute__((weak, visibility("hidden")));

int vine__guard_add_text(const void *start, const void *end)
{
    const uint32_t count = vine__load_relaxed_u32(&text_count);

    for (uint32_t i = 0; i < count; i++)
        if (texts[i].start == (uintptr_t)start && texts[i].end == (uintptr_t)end)
            return 0;
    if (count == VINE__GUARD_TEXTS_MAX)
        return -ENOSPC;
    texts[count] = (struct range){(uintptr_t)start, (uintptr_t)end};
    /* T1 (release) pairs with T2: the range before its count. */
    vine__store_release_u32(&text_count, count + 1);
    return 0;
}

bool vine__guard_text_is_added(uintptr_t address)
{
    /* T2 (acquire) pairs with T1: the ranges that are counted are there. */
    const uint32_t count = vine__load_acquire_u32(&text_count);

    for (uint32_t i = 0; i < count; i++)
        if (address - texts[i].start < texts[i].end - texts[i].start)
            return true;
    return false;
}

bool vine__guard_text_has(uintptr_t address)
{
    return address - (uintptr_t)__start_vine_inside <
               (uintptr_t)__stop_vine_inside - (uintptr_t)__start_vine_inside ||
           vine__guard_text_is_added(address);
}
