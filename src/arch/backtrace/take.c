/* SPDX-License-Identifier: Apache-2.0 */
/*
 * By the unwinder of the compiler's own library, which goes by tables: an optimised program keeps
 * no chain of frames. It finds tables without a lock and without memory (_dl_find_object, in glibc
 * from 2.35 on), but is itself loaded when it is first used.
 */
#include "arch/backtrace/backtrace_internal.h"

#include <execinfo.h>

#define FRAMES_MAX 64 /* the handler's own included */

void vine__backtrace_prepare(void)
{
    void *frames[2];

    (void)backtrace(frames, 2);
}

uint32_t vine__backtrace_take(void **ret_frames, uint32_t frames_max, void *context)
{
    void *frames[FRAMES_MAX];
    const int taken = backtrace(frames, FRAMES_MAX);
    const uint32_t count = taken > 0 ? (uint32_t)taken : 0;
    uint32_t first = 0;
    uint32_t kept = 0;

    /* What is not among them (a sanitizer calls handlers later, from a place of its own) hides
     * nothing then. */
    if (context != NULL)
        while (first < count && frames[first] != vine__context_place(context))
            first++;
    if (first == count)
        first = count > 0 ? 1 : 0; /* this function */
    while (first < count && kept < frames_max)
        ret_frames[kept++] = frames[first++];
    return kept;
}
