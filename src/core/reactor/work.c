/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work and whose turn it is. Each group has a queue; of those that have work the one that has used
 * least of its part runs next (a virtual time as in stride scheduling, Waldspurger 1995: what a
 * group uses is divided by its shares). A group that comes back from having nothing to do begins
 * where the others are: it is owed nothing for the time in which it slept.
 */
#include "core/reactor/reactor_internal.h"

#include "utils/bits.h"

#define LOOK_EVERY  4 /* functions between two looks at the clock, which takes as long as a few */
#define RUN_AT_ONCE 65536

static struct vine__group *group_of(struct vine__reactor *reactor, uint32_t id)
{
    return &reactor->groups[id];
}

static double later(double a, double b)
{
    return a > b ? a : b;
}

/* Make it known that the group has work. Its time begins at that of its siblings. */
static void activate(struct vine__reactor *reactor, uint32_t id)
{
    struct vine__group *const group = group_of(reactor, id);
    struct vine__group *const parent = group_of(reactor, group->parent);

    if (parent->holds) {
        if (parent->active == 0)
            activate(reactor, group->parent);
        parent->active |= 1U << id;
        group->used = later(group->used, parent->floor);
    } else {
        reactor->active |= 1U << id;
        group->used = later(group->used, reactor->floor);
    }
}

/* The same for work that never was in a queue. */
static void catch_up(struct vine__reactor *reactor, uint32_t id)
{
    struct vine__group *const group = group_of(reactor, id);
    const struct vine__group *const parent = group_of(reactor, group->parent);

    group->used = later(group->used, parent->holds ? parent->floor : reactor->floor);
    if (parent->holds)
        catch_up(reactor, group->parent);
}

static void deactivate(struct vine__reactor *reactor, uint32_t id)
{
    struct vine__group *const group = group_of(reactor, id);
    struct vine__group *const parent = group_of(reactor, group->parent);

    if (!parent->holds) {
        reactor->active &= ~(1U << id);
        return;
    }
    parent->active &= ~(1U << id);
    if (parent->active == 0)
        deactivate(reactor, group->parent);
}

static uint64_t xorshift(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static inline void post(struct vine__reactor *reactor, struct vine_work *work, bool goes_first)
{
    struct vine__group *const group = vine__group_find(reactor, work->group);

    if (work->is_posted)
        return;
    VINE_ASSERT(!group->holds);
    work->is_posted = true;
    reactor->backlog++;
    work->next = NULL;
    if (group->first == NULL) {
        group->first = work;
        group->last = work;
        activate(reactor, work->group);
    } else if (VINE__UNLIKELY(goes_first)) {
        work->next = group->first;
        group->first = work;
    } else {
        group->last->next = work;
        group->last = work;
    }
}

/* Nobody may count on an order that he was not promised. */
void vine__work_post_to(struct vine__reactor *reactor, struct vine_work *work)
{
    post(reactor, work,
         VINE__UNLIKELY(reactor->random != 0) && (xorshift(&reactor->random) & 1) != 0);
}

/* What goes first overtakes all of these alike, so that they keep their order. */
void vine__work_post_in_order(struct vine__reactor *reactor, struct vine_work *work)
{
    post(reactor, work, false);
}

void vine_work_init(struct vine_work *work, vine_work_fn fn)
{
    const struct vine__reactor *const reactor = vine__self;

    *work = (struct vine_work){.fn = fn, .group = reactor != NULL ? reactor->group : 0};
}

void vine_work_set_group(struct vine_work *work, struct vine_group group)
{
    VINE_ASSERT(!work->is_posted);
    work->group = group.id;
}

void vine_work_post(struct vine_work *work)
{
    vine__work_post_to(vine__reactor_here(), work);
}

bool vine_need_preempt(void)
{
    const struct vine__reactor *const reactor = vine__reactor_here();

    return (int64_t)(vine__reactor_ticks(reactor) - reactor->quota_end_ticks) >= 0;
}

/* Of those of `active` who has used least; `active` is not 0. */
static uint32_t choose(struct vine__reactor *reactor, uint32_t active)
{
    uint32_t least = vine__lowest_bit_u64(active);

    for (uint32_t left = active & (active - 1); left != 0; left &= left - 1) {
        const uint32_t id = vine__lowest_bit_u64(left);

        if (group_of(reactor, id)->used < group_of(reactor, least)->used)
            least = id;
    }
    return least;
}

static void charge(struct vine__reactor *reactor, uint32_t id, uint64_t ticks)
{
    struct vine__group *const group = group_of(reactor, id);
    struct vine__group *const parent = group_of(reactor, group->parent);
    double *const floor = parent->holds ? &parent->floor : &reactor->floor;

    *floor = later(*floor, group->used);
    group->ticks += ticks;
    group->used += (double)ticks * group->weight;
    if (parent->holds)
        charge(reactor, group->parent, ticks);
}

/* Run a group's work until it has none or the quota of the turn is used. Returns the time. */
static uint64_t run_group(struct vine__reactor *reactor, uint32_t id, uint64_t start_ticks)
{
    struct vine__group *const group = group_of(reactor, id);
    uint64_t now_ticks = start_ticks;
    uint32_t count = 0;

    reactor->group = (uint8_t)id;
    while (group->first != NULL && count < RUN_AT_ONCE) {
        struct vine_work *const work = group->first;

        group->first = work->next;
        work->is_posted = false;
        reactor->backlog--;
        work->fn(work);
        count++;
        if (count % LOOK_EVERY == 0) {
            now_ticks = vine__reactor_ticks(reactor);
            if ((int64_t)(now_ticks - reactor->quota_end_ticks) >= 0)
                break;
        }
    }
    reactor->group = 0;
    if (count % LOOK_EVERY != 0)
        now_ticks = vine__reactor_ticks(reactor);
    if (group->first == NULL)
        deactivate(reactor, id);
    group->works += count;
    reactor->counts.works += count;
    charge(reactor, id, now_ticks - start_ticks);
    return now_ticks;
}

/* Charge a function that has run without having been in a queue, as if it had been. */
void vine__work_ran_one(struct vine__reactor *reactor, uint8_t id, uint64_t start_ticks)
{
    reactor->group = 0;
    reactor->worked_ticks = vine__reactor_ticks(reactor);
    group_of(reactor, id)->works++;
    reactor->counts.works++;
    catch_up(reactor, id);
    charge(reactor, id, reactor->worked_ticks - start_ticks);
}

bool vine__work_run(struct vine__reactor *reactor)
{
    if (reactor->active == 0)
        return false;
    reactor->counts.backlog_most = vine__max_u64(reactor->counts.backlog_most, reactor->backlog);

    const uint64_t start_ticks = vine__reactor_ticks(reactor);
    uint64_t now_ticks = start_ticks;

    reactor->quota_end_ticks = start_ticks + reactor->quota_ticks;
    do {
        uint32_t id = choose(reactor, reactor->active);

        if (group_of(reactor, id)->holds)
            id = choose(reactor, group_of(reactor, id)->active);
        now_ticks = run_group(reactor, id, now_ticks);
    } while (reactor->active != 0 && (int64_t)(now_ticks - reactor->quota_end_ticks) < 0);
    reactor->worked_ticks = now_ticks;
    return true;
}

void vine__work_init_groups(struct vine__reactor *reactor)
{
    reactor->group_count = 0;
    (void)vine__group_find(reactor, 0);
}
