/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/process/origin.c - what micro-processes were started with. Nearly all of a core were started
 * with the same, and have it together.
 */

#include "arch/guard/closed.h"
#include "core/process/process_internal.h"

#define LOOKS_MAX 4U /* among those that were taken last */

static bool is_same(const struct vine__process_options *a, const struct vine__process_options *b)
{
    return a->type == b->type && a->kind == b->kind && a->argument == b->argument &&
           a->ended == b->ended && a->gone == b->gone && a->rests == b->rests &&
           a->dismissed == b->dismissed && a->context == b->context;
}

struct origin *vine__origin_take(struct processes *core,
                                 const struct vine__process_options *options)
{
    struct origin *origin = core->origins;

    for (uint32_t i = 0; i < LOOKS_MAX && origin != NULL; i++, origin = origin->next)
        if (is_same(&origin->options, options)) {
            origin->users++;
            return origin;
        }
    origin = vine__closed_alloc(sizeof(*origin));
    if (origin == NULL)
        return NULL;
    origin->options = *options;
    origin->users = 1;
    origin->next = core->origins;
    if (origin->next != NULL)
        origin->next->link = &origin->next;
    origin->link = &core->origins;
    core->origins = origin;
    return origin;
}

void vine__origin_give(struct origin *origin)
{
    if (--origin->users > 0)
        return;
    *origin->link = origin->next;
    if (origin->next != NULL)
        origin->next->link = origin->link;
    vine__closed_free(origin);
}
