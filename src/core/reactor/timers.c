/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers of a core: a wheel for each clock. One that is due leaves its wheel for the list of its
 * group, whose one piece of work calls them; so that cancelling it is taking it out of a list,
 * wherever it is.
 */
#include "core/reactor/reactor_internal.h"

#include "utils/bits.h"
#include "utils/container_of.h"

#define STEADY_NS     1000ULL /* how exact a wheel is */
#define COARSE_NS     10000000ULL
#define TAKEN_AT_ONCE 4096

static uint64_t now_of(const struct vine__reactor *reactor, uint8_t clock)
{
    if (clock == VINE_CLOCK_STEADY)
        return vine__reactor_clock_ns(reactor);
    return clock == VINE_CLOCK_COARSE ? reactor->now_ns : reactor->manual_ns;
}

uint64_t vine_clock_now(enum vine_clock clock)
{
    return now_of(vine__reactor_here(), (uint8_t)clock);
}

void vine_clock_advance(uint64_t by_ns)
{
    struct vine__reactor *const reactor = vine__reactor_here();

    if (vine__add_overflows_u64(reactor->manual_ns, by_ns, &reactor->manual_ns))
        reactor->manual_ns = UINT64_MAX - 1;
}

void vine_timer_init(struct vine_timer *timer, enum vine_clock clock, vine_timer_fn fn)
{
    VINE_ASSERT(clock < VINE_CLOCK_COUNT && fn != NULL);
    *timer = (struct vine_timer){
        .fn = fn, .clock = (uint8_t)clock, .group = vine__reactor_here()->group};
}

static void take_out(struct vine_timer *timer)
{
    timer->node.prev->next = timer->node.next;
    timer->node.next->prev = timer->node.prev;
    timer->node.prev = NULL;
    timer->is_due = false;
    timer->is_armed = false;
}

static void arm(struct vine_timer *timer, uint64_t due_ns, uint64_t period_ns)
{
    struct vine__reactor *const reactor = vine__reactor_here();

    if (timer->is_due)
        take_out(timer);
    timer->period_ns = period_ns;
    vine__wheel_arm(&reactor->wheels[timer->clock], timer, due_ns);
}

void vine_timer_arm_at(struct vine_timer *timer, uint64_t due_ns)
{
    arm(timer, due_ns, 0);
}

static uint64_t later_by(const struct vine_timer *timer, uint64_t delay_ns)
{
    uint64_t due_ns = VINE_FOREVER;

    (void)vine__add_overflows_u64(now_of(vine__reactor_here(), timer->clock), delay_ns, &due_ns);
    return due_ns;
}

void vine_timer_arm_after(struct vine_timer *timer, uint64_t delay_ns)
{
    arm(timer, later_by(timer, delay_ns), 0);
}

void vine_timer_arm_every(struct vine_timer *timer, uint64_t period_ns)
{
    VINE_ASSERT(period_ns > 0);
    arm(timer, later_by(timer, period_ns), period_ns);
}

bool vine_timer_cancel(struct vine_timer *timer)
{
    if (timer->is_due)
        take_out(timer);
    else
        return vine__wheel_cancel(&vine__reactor_here()->wheels[timer->clock], timer);
    return true;
}

bool vine_timer_stop(struct vine_timer *timer)
{
    if (!timer->is_due)
        return vine__wheel_stop(timer);
    take_out(timer);
    return true;
}

static void put_due(struct vine__reactor *reactor, struct vine_timer *timer)
{
    struct vine__group *const group = vine__group_find(reactor, timer->group);

    timer->is_due = true;
    timer->is_armed = true;
    timer->node.next = &group->due;
    timer->node.prev = group->due.prev;
    group->due.prev->next = &timer->node;
    group->due.prev = &timer->node;
    vine__work_post_to(reactor, &group->timers);
}

void vine__timer_call(struct vine_timer *timer)
{
    VINE_ASSERT(!timer->is_due && timer->node.prev == NULL);
    timer->period_ns = 0;
    put_due(vine__reactor_here(), timer);
}

static void arm_next(struct vine__reactor *reactor, struct vine_timer *timer)
{
    const uint64_t now_ns = now_of(reactor, timer->clock);
    uint64_t periods = 1;
    uint64_t due_ns = VINE_FOREVER;

    if (now_ns > timer->due_ns)
        periods += (now_ns - timer->due_ns) / timer->period_ns;
    (void)vine__add_overflows_u64(timer->due_ns, periods * timer->period_ns, &due_ns);
    vine__wheel_arm(&reactor->wheels[timer->clock], timer, due_ns);
}

static void call_due(struct vine_work *work)
{
    struct vine__reactor *const reactor = vine__reactor_here();
    struct vine__group *const group = VINE_CONTAINER_OF(work, struct vine__group, timers);

    while (group->due.next != &group->due) {
        struct vine_timer *const timer =
            VINE_CONTAINER_OF(group->due.next, struct vine_timer, node);

        take_out(timer);
        if (timer->period_ns != 0)
            arm_next(reactor, timer);
        timer->fn(timer);
        if (vine_need_preempt()) {
            vine_work_post(work);
            break;
        }
    }
}

/* A pop that found nothing may have moved so many that are not due yet that it goes on later. */
static bool is_moving(const struct vine__wheel *wheel)
{
    return wheel->open != NULL;
}

bool vine__timers_take(struct vine__reactor *reactor)
{
    uint32_t taken = 0;
    bool is_busy = false;

    /* What is due to the microsecond is late by this turn at most: the clock was read in it. */
    for (uint32_t clock = 0; clock < VINE_CLOCK_COUNT; clock++) {
        struct vine__wheel *const wheel = &reactor->wheels[clock];
        const uint64_t now_ns = clock == VINE_CLOCK_MANUAL ? reactor->manual_ns : reactor->now_ns;
        struct vine_timer *timer;

        while (taken < TAKEN_AT_ONCE && (timer = vine__wheel_pop_due(wheel, now_ns)) != NULL) {
            put_due(reactor, timer);
            taken++;
        }
        is_busy |= is_moving(wheel);
    }
    reactor->counts.timers += taken;
    return is_busy || taken > 0;
}

bool vine__timers_are_exact(const struct vine__reactor *reactor)
{
    return reactor->wheels[VINE_CLOCK_STEADY].levels != 0;
}

uint64_t vine__timers_next_ns(struct vine__reactor *reactor)
{
    return vine__min_u64(vine__wheel_next_ns(&reactor->wheels[VINE_CLOCK_STEADY]),
                         vine__wheel_next_ns(&reactor->wheels[VINE_CLOCK_COARSE]));
}

void vine__timers_init_group(struct vine__reactor *reactor, uint32_t id)
{
    struct vine__group *const group = &reactor->groups[id];

    group->due.next = &group->due;
    group->due.prev = &group->due;
    group->timers = (struct vine_work){.fn = call_due, .group = (uint8_t)id};
}

void vine__timers_init(struct vine__reactor *reactor)
{
    const uint64_t now_ns = vine__reactor_clock_ns(reactor);

    reactor->now_ns = now_ns;
    reactor->back_by_ns = now_ns;
    vine__wheel_init(&reactor->wheels[VINE_CLOCK_STEADY], STEADY_NS, now_ns);
    vine__wheel_init(&reactor->wheels[VINE_CLOCK_COARSE], COARSE_NS, now_ns);
    vine__wheel_init(&reactor->wheels[VINE_CLOCK_MANUAL], STEADY_NS, 0);
}
