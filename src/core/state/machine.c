/* SPDX-License-Identifier: Apache-2.0 */
/* core/state/machine.c - what the macros of a coroutine call: where it goes on, and where it goes
 * when something is raised. */

#include <stdarg.h>
#include <stdio.h>

#include "core/state/state.h"
#include "utils/assert.h"

VINE__INSIDE void *vine__frame(struct vine_coroutine *that, size_t size_bytes)
{
    that->frame = vine__heap_alloc(&that->inside->heap, size_bytes > 0 ? size_bytes : 1);
    if (that->frame == NULL) {
        vine__raise(that, -ENOMEM);
        vine__leave(that);
    }
    return that->frame;
}

VINE__INSIDE void vine__lost(const struct vine_coroutine *that)
{
    vine__misuse(that, "its state is overwritten");
}

/* Rare, and so a walk: errors are raised seldom, and tables are short. */
VINE__INSIDE static const struct vine__point *find(const struct vine__point *points,
                                                   const struct vine__point *points_end,
                                                   const void *base, uint32_t kind)
{
    for (const struct vine__point *point = points; point < points_end; point++)
        if (point->base == base && point->kind == kind)
            return point;
    return NULL;
}

VINE__INSIDE const void *vine__unwind(struct vine_coroutine *that, const struct vine__point *points,
                                      const struct vine__point *points_end, const void *base)
{
    const struct vine__point *point = NULL;

    if (that->error != 0 && that->phase < VINE__PHASE_CAUGHT)
        point = find(points, points_end, base, VINE__POINT_CATCH);
    if (point == NULL && that->phase < VINE__PHASE_FINALLY)
        point = find(points, points_end, base, VINE__POINT_FINALLY);
    return point != NULL ? point->label : NULL;
}

VINE__INSIDE int vine__caught(struct vine_coroutine *that)
{
    const int error = that->error;

    that->phase = VINE__PHASE_CAUGHT;
    that->error = 0;
    return error;
}

VINE__INSIDE void vine__finally(struct vine_coroutine *that)
{
    if (that->phase == VINE__PHASE_FINALLY)
        vine__misuse(that, "vine_finally is come to twice");
    that->phase = VINE__PHASE_FINALLY;
    that->pending = that->error;
    that->error = 0;
}

VINE__INSIDE void vine__leave(struct vine_coroutine *that)
{
    if (that->error == 0)
        that->error = that->pending;
    that->status = VINE__COROUTINE_LEFT;
}

VINE__INSIDE void vine__raise(struct vine_coroutine *that, int error)
{
    if (error >= 0)
        vine__misuse(that, "what is raised is a negative number");
    that->error = error;
}

#define MISUSE_BYTES 256

VINE__INSIDE void vine__misuse(const struct vine_coroutine *that, const char *format, ...)
{
    const struct vine_coroutine_type *const type = vine__type_of(that->module, that->type);
    const struct vine__point *const point = vine__point_of(that->module, that->state);
    char why[MISUSE_BYTES];
    char text[2 * MISUSE_BYTES];
    va_list list;

    va_start(list, format);
    (void)vsnprintf(why, sizeof why, format, list);
    va_end(list);
    (void)snprintf(text, sizeof text, "%s:%u: coroutine %s: %s\n", type != NULL ? type->file : "?",
                   point != NULL ? point->line : 0, type != NULL ? type->name : "?", why);
    vine__assert_say(text);
    __builtin_trap();
}
