/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pipes move by load: what each core shows of itself, and what it does about it (balance.h says
 * when). A core decides alone, of pipes that it has; they go as messages (vine_core_call), and no
 * lock is taken. Two cores that see the same idle one at once are kept apart by what they add to
 * its load as they decide, which stands until that one looks itself.
 */
#include "core/appliance/balance.h"

#include "arch/clock/clock.h"
#include "core/appliance/serving_internal.h"
#include "utils/assert.h"
#include "utils/atomic.h"
#include "utils/container_of.h"

#define PERIOD_NS    100000000 /* between two looks */
#define LIMIT_NS     10000000  /* that tasks of a pipe which is to leave may take to end */
#define PIPE_REST_NS VINE_NS_PER_SECOND

enum vine__balance_advice vine__balance_look(struct vine__balance *balance, uint32_t own,
                                             uint32_t least)
{
    if (balance->resting > 0) {
        balance->resting--;
        return VINE__BALANCE_STAY;
    }
    if (own < VINE__BALANCE_BUSY || own < least + VINE__BALANCE_APART) {
        balance->lasting = 0;
        return VINE__BALANCE_STAY;
    }
    balance->lasting++;
    if (balance->lasting == 1)
        return VINE__BALANCE_MEASURE;
    if (balance->lasting < VINE__BALANCE_LASTING)
        return VINE__BALANCE_STAY;
    *balance = (struct vine__balance){.resting = VINE__BALANCE_REST};
    return VINE__BALANCE_MOVE;
}

/* ---- from core to core ----------------------------------------------------------------------- */

static int64_t take(void *argument)
{
    const struct vine__moved *const moved = argument;

    vine__serving_take(moved->to->appliance, moved->pipe);
    return 0;
}

static void be_taken(struct vine_core_call *call)
{
    struct vine__moved *const moved = VINE_CONTAINER_OF(call, struct vine__moved, call);
    struct vine__part *const part = moved->from;

    moved->pipe = NULL;
    part->moving--;
    vine__part_end_if_silent(part);
}

void vine__part_send(void *context, struct vine__served *pipe, uint32_t to)
{
    struct vine__part *const part = context;

    for (uint32_t i = 0; i < VINE__MOVES_MAX; i++) {
        struct vine__moved *const moved = &part->moves[i];

        if (moved->pipe != NULL)
            continue;
        *moved = (struct vine__moved){.from = part, .to = &part->serving->parts[to], .pipe = pipe};
        part->moving++;
        vine_core_call(&moved->call, to, take, moved, be_taken);
        return;
    }
    vine__serving_take(part->appliance, pipe); /* as many are on their way as may be */
}

static bool is_there(const struct vine__part *part)
{
    /* A2 pairs with A1. One that could not be made takes none. */
    return vine__load_acquire_pointer((void *const *)(uintptr_t)&part->appliance) != NULL;
}

uint32_t vine__serving_move_from(struct vine_serving *serving, uint32_t core,
                                 const struct vine__serving_move *move)
{
    VINE_ASSERT(core == vine_core() && move->to != core);
    /* What listens in a segment or at links is core 0's alone. */
    if (core >= serving->core_count || move->to >= serving->core_count)
        return 0;

    const struct vine__part *const part = &serving->parts[core];

    if (!is_there(part) || part->is_over || !is_there(&serving->parts[move->to]))
        return 0;
    return vine__serving_move_off(part->appliance, move);
}

/* ---- loads ----------------------------------------------------------------------------------- */

/* What a core has that looked lately; one that has not sleeps. */
static uint32_t load_of(const struct vine__part *part, uint64_t now_ticks)
{
    const uint64_t looked_ticks = vine__load_relaxed_u64(&part->looked_ticks);

    if ((int64_t)(now_ticks - looked_ticks) > (int64_t)vine__clock_ns_to_ticks(3 * PERIOD_NS))
        return 0;
    return vine__load_relaxed_u32(&part->load);
}

static struct vine__part *least_of_others(const struct vine__part *own, uint64_t now_ticks,
                                          uint32_t *ret_load)
{
    struct vine_serving *const serving = own->serving;
    struct vine__part *least = NULL;

    *ret_load = UINT32_MAX;
    for (uint32_t core = 0; core < serving->core_count; core++) {
        struct vine__part *const part = &serving->parts[core];
        const uint32_t load = part == own ? UINT32_MAX : load_of(part, now_ticks);

        if (load >= *ret_load || !is_there(part))
            continue;
        least = part;
        *ret_load = load;
    }
    return least;
}

/* What its coroutines, and all other work of this core, have used so far. */
static uint64_t worked_ticks(void)
{
    const struct vine__reactor *const reactor = vine__reactor_self();
    struct vine__group_counts counts;
    uint64_t used_ns = 0;

    for (uint32_t id = 0; id < vine__reactor_group_count(reactor); id++) {
        vine__reactor_get_group(reactor, id, &counts);
        used_ns += counts.holds ? 0 : counts.used_ns; /* its children have it */
    }
    return vine__clock_ns_to_ticks(used_ns);
}

static uint64_t in_core(uint64_t ticks, uint64_t of_ticks)
{
    const uint64_t load = ticks * VINE__BALANCE_CORE / (of_ticks + 1);

    return load < VINE__BALANCE_CORE ? load : VINE__BALANCE_CORE;
}

static void measure(struct vine__part *part, uint64_t now_ticks)
{
    part->measured_ticks = now_ticks;
    part->worked_before_ticks = worked_ticks();
    vine__serving_measure(part->appliance);
}

static void move_some(struct vine__part *part, struct vine__part *to, uint32_t apart,
                      uint64_t now_ticks)
{
    const uint64_t span_ticks = now_ticks - part->measured_ticks;
    const uint64_t apart_ticks = span_ticks / VINE__BALANCE_CORE * apart;
    const struct vine__serving_move move = {
        .to = to->core,
        .count_max = VINE__MOVES_MAX,
        .limit_ns = LIMIT_NS,
        .least_ticks = apart_ticks / 64,
        .most_ticks = apart_ticks / 2,
        .coroutines_ticks = worked_ticks() - part->worked_before_ticks,
        .rest_ticks = vine__clock_ns_to_ticks(PIPE_REST_NS),
    };

    /* Relaxed, both ways: loads are hints. */
    if (vine__serving_move_from(part->serving, part->core, &move) > 0)
        (void)vine__fetch_add_acq_rel_u32(&to->load, apart / 2);
}

void vine__part_balance(struct vine__part *part, uint64_t now_ticks)
{
    const uint64_t elapsed_ticks = now_ticks - part->looked_ticks;

    if (elapsed_ticks < part->period_ticks)
        return;

    const uint64_t used_ticks = vine__serving_used(part->appliance) + worked_ticks();
    const uint32_t own = (uint32_t)in_core(used_ticks - part->used_before_ticks, elapsed_ticks);
    uint32_t least;
    struct vine__part *to;

    part->used_before_ticks = used_ticks;
    vine__store_relaxed_u32(&part->load, own);
    vine__store_relaxed_u64(&part->looked_ticks, now_ticks);
    to = least_of_others(part, now_ticks, &least);
    if (to == NULL || part->serving->options.pipes_stay || part->moving > 0)
        return;
    switch (vine__balance_look(&part->balance, own, least)) {
    case VINE__BALANCE_MEASURE:
        measure(part, now_ticks);
        break;
    case VINE__BALANCE_MOVE:
        move_some(part, to, own - least, now_ticks);
        break;
    default:
        break;
    }
}

void vine__part_balance_begin(struct vine__part *part)
{
    part->period_ticks = vine__clock_ns_to_ticks(PERIOD_NS);
    part->used_before_ticks = worked_ticks();
    vine__store_relaxed_u64(&part->looked_ticks, vine__clock_ticks());
    vine__serving_set_mover(part->appliance, vine__part_send, part);
}
