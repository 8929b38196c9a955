/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections are accepted on core 0 and each is handed to the core that has the fewest, those on
 * their way counted with them. Where its pipe goes later balance.c says.
 */
#include "core/appliance/serving_internal.h"

#include <errno.h>

#include "arch/guard/closed.h"
#include "utils/atomic.h"
#include "utils/container_of.h"

struct handed {
    struct vine_core_call call;
    struct vine__part *part;
    int fd;
    bool is_awaited;
};

/* A2 pairs with A1. */
static struct vine_appliance *appliance_of(const struct vine__part *part)
{
    return vine__load_acquire_pointer((void *const *)(uintptr_t)&part->appliance);
}

static uint32_t load_of(const struct vine__part *part)
{
    const struct vine_appliance *const appliance = appliance_of(part);

    /* One that could not be made takes none. One that is being made is there when it takes what is
     * handed to it: calls to a core begin in order. */
    if (part->has_failed)
        return UINT32_MAX;
    return (appliance != NULL ? vine__serving_load(appliance) : 0) + part->handed;
}

static struct vine__part *choose(const struct vine_serving *serving)
{
    uint32_t least = 0;

    for (uint32_t core = 1; core < serving->core_count; core++)
        if (load_of(&serving->parts[core]) < load_of(&serving->parts[least]))
            least = core;
    return &serving->parts[least];
}

static int64_t take(void *argument)
{
    const struct handed *const handed = argument;

    if (handed->part->appliance == NULL)
        return -ENOMEM;
    vine__serving_adopt(handed->part->appliance, handed->fd, handed->is_awaited);
    return 0;
}

static void be_taken(struct vine_core_call *call)
{
    struct handed *const handed = VINE_CONTAINER_OF(call, struct handed, call);
    struct vine__part *const part = handed->part;

    if (vine_core_call_result(call) != 0)
        vine__serving_adopt(part->serving->first, handed->fd, handed->is_awaited);
    vine__closed_free(handed);
    part->handed--;
    part->serving->handed--;
    vine__serving_end_if_over(part->serving);
}

void vine__serving_spread(void *context, int fd, bool is_awaited)
{
    struct vine_serving *const serving = context;
    struct vine__part *const part = choose(serving);
    struct handed *const handed = part->core != 0 ? vine__closed_alloc(sizeof(*handed)) : NULL;

    if (handed == NULL) {
        vine__serving_adopt(serving->first, fd, is_awaited);
        return;
    }
    *handed = (struct handed){.part = part, .fd = fd, .is_awaited = is_awaited};
    part->handed++;
    serving->handed++;
    vine_core_call(&handed->call, part->core, take, handed, be_taken);
}
