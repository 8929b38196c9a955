/* SPDX-License-Identifier: Apache-2.0 */
#include "gate.h"

#include <time.h>

#include <vine/base.h>

#include "utils/assert.h"
#include "utils/container_of.h"

#define PASS_OF(node) VINE_CONTAINER_OF(node, struct gate_pass, link)

void gate_init(struct gate *gate, uint64_t room, uint64_t share)
{
    pthread_mutex_init(&gate->lock, NULL);
    pthread_cond_init(&gate->changed, NULL);
    vine__list_init(&gate->passes);
    gate->room = room;
    gate->share = share;
    gate->used = 0;
}

void gate_fini(struct gate *gate)
{
    VINE_ASSERT(vine__list_is_empty(&gate->passes));
    pthread_cond_destroy(&gate->changed);
    pthread_mutex_destroy(&gate->lock);
}

static uint64_t held_by(struct gate *gate, uint64_t owner)
{
    uint64_t held = 0;

    VINE_LIST_FOR_EACH(node, &gate->passes)
    {
        const struct gate_pass *pass = PASS_OF(node);
        held += pass->is_in && pass->owner == owner ? pass->needs : 0;
    }
    return held;
}

static bool fits(uint64_t held, uint64_t needs, uint64_t most)
{
    return held == 0 || needs == 0 || (held <= most && needs <= most - held);
}

/* Let in whoever may. There are as many passes as threads that work, which are few. */
static void admit(struct gate *gate)
{
    bool is_full = false;

    VINE_LIST_FOR_EACH(node, &gate->passes)
    {
        struct gate_pass *pass = PASS_OF(node);

        if (pass->is_in || !fits(held_by(gate, pass->owner), pass->needs, gate->share))
            continue;
        is_full = is_full || !fits(gate->used, pass->needs, gate->room);
        if (is_full && pass->needs > 0)
            continue;
        pass->is_in = true;
        gate->used += pass->needs;
    }
}

void gate_come(struct gate *gate, struct gate_pass *pass, uint64_t owner, uint64_t needs)
{
    *pass = (struct gate_pass){.owner = owner, .needs = needs};
    pthread_mutex_lock(&gate->lock);
    vine__list_push_back(&gate->passes, &pass->link);
    admit(gate);
    pthread_mutex_unlock(&gate->lock);
}

bool gate_wait(struct gate *gate, struct gate_pass *pass, uint64_t timeout_ns)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    const uint64_t nanoseconds = (uint64_t)until.tv_nsec + timeout_ns;
    until.tv_sec += (time_t)(nanoseconds / VINE_NS_PER_SECOND);
    until.tv_nsec = (long)(nanoseconds % VINE_NS_PER_SECOND);
    pthread_mutex_lock(&gate->lock);
    while (!pass->is_in &&
           pthread_cond_clockwait(&gate->changed, &gate->lock, CLOCK_MONOTONIC, &until) == 0)
        continue;
    const bool is_in = pass->is_in;
    pthread_mutex_unlock(&gate->lock);
    return is_in;
}

void gate_go(struct gate *gate, struct gate_pass *pass)
{
    pthread_mutex_lock(&gate->lock);
    vine__list_remove(&pass->link);
    if (pass->is_in)
        gate->used -= pass->needs;
    admit(gate);
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}
