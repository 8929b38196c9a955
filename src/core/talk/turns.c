/* SPDX-License-Identifier: Apache-2.0 */
#include "core/talk/turns.h"

#include <vine/appliance.h>

#include "utils/assert.h"
#include "utils/bits.h"
#include "utils/container_of.h"

#define TICKS_MOST (UINT64_C(1) << 50)

/* How many of the late jobs make a new usual one. */
#define USUAL_OF 4

#define TURN_OF(at) VINE_CONTAINER_OF(at, struct vine__turn, node)

static int compare(const struct vine_set_node *a, const struct vine_set_node *b)
{
    const struct vine__turn *left = TURN_OF(a), *right = TURN_OF(b);

    if (left->virtual_ticks != right->virtual_ticks)
        return left->virtual_ticks < right->virtual_ticks ? -1 : 1;
    return left->order < right->order ? -1 : left->order > right->order;
}

void vine__turns_init(struct vine__turns *turns)
{
    *turns = (struct vine__turns){0};
    vine_set_init(&turns->waiting, compare);
}

/* Each job costs something, so that who does nothing but little has turns with the others. */
static uint64_t cost_of(const struct vine__turn *turn, uint64_t ticks)
{
    VINE_ASSERT(turn->shares > 0);
    return vine__min_u64(ticks, TICKS_MOST) * VINE_APPLIANCE_SHARES / turn->shares + 1;
}

static void insert(struct vine__turns *turns, struct vine__turn *turn)
{
    turn->order = ++turns->order;
    turn->is_waiting = true;
    (void)vine_set_insert(&turns->waiting, &turn->node);
}

void vine__turns_wait(struct vine__turns *turns, struct vine__turn *turn)
{
    VINE_ASSERT(!turn->is_waiting);
    turn->virtual_ticks = vine__max_u64(turn->virtual_ticks, turns->virtual_ticks);
    insert(turns, turn);
}

void vine__turns_leave(struct vine__turns *turns, struct vine__turn *turn)
{
    VINE_ASSERT(turn->is_waiting);
    vine_set_remove(&turns->waiting, &turn->node);
    turn->is_waiting = false;
}

struct vine__turn *vine__turns_next(struct vine__turns *turns)
{
    struct vine_set_node *first = vine_set_first(&turns->waiting);

    if (first == NULL)
        return NULL;

    struct vine__turn *turn = TURN_OF(first);

    vine__turns_leave(turns, turn);
    turns->virtual_ticks = turn->virtual_ticks;
    return turn;
}

uint64_t vine__turns_take(struct vine__turn *turn)
{
    const uint64_t counted = cost_of(turn, turn->usual_ticks);

    turn->virtual_ticks += counted;
    return counted;
}

void vine__turns_pay(struct vine__turns *turns, struct vine__turn *turn, uint64_t counted,
                     uint64_t ran_ticks)
{
    const bool was_waiting = turn->is_waiting;

    if (was_waiting)
        vine__turns_leave(turns, turn);
    turn->virtual_ticks += cost_of(turn, ran_ticks);
    turn->virtual_ticks -= vine__min_u64(counted, turn->virtual_ticks);
    turn->usual_ticks =
        (turn->usual_ticks * (USUAL_OF - 1) + vine__min_u64(ran_ticks, TICKS_MOST)) / USUAL_OF;
    if (was_waiting)
        insert(turns, turn);
}
