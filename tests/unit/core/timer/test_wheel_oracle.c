/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * The timer wheel against an array that is searched: random arming, putting off, bringing forward,
 * stopping, cancelling and advancing, from one printed seed (VINE_TEST_SEED repeats one). What is
 * popped is itself a callback: it arms and cancels others. And a million timers at once.
 */
#include "core/timer/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define TIMERS  64
#define STEPS   100000
#define MILLION 1000000

static struct vine__wheel wheel;
static uint64_t random_state;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void seed(void)
{
    const char *given = getenv("VINE_TEST_SEED");

    random_state = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u;
    random_state |= 1;
    print_message("VINE_TEST_SEED=%llu\n", (unsigned long long)random_state);
}

/* ---- the oracle ------------------------------------------------------------------------------ */

struct known {
    struct vine_timer timer;
    bool is_armed;
    uint64_t due_ns;
    uint64_t floor_tick; /* where the wheel was when it was armed: it comes no sooner than that */
};

static struct known known[TIMERS];
static uint32_t shift;
static uint64_t now_ns;
static uint32_t popped;
static uint64_t reached_tick; /* of what was popped last, or of the last time at which none was */

/* Times cluster where levels meet, and in what is near; some are past, some are never. */
static uint64_t random_due(void)
{
    const uint64_t pick = next_random() % 16;
    const uint64_t border = UINT64_C(1) << (8 * (next_random() % 8));
    const uint64_t unit = UINT64_C(1) << shift;
    uint64_t delay_ns = 0;

    if (pick == 0)
        return VINE_FOREVER;
    if (pick == 1)
        return next_random() % (now_ns + 1);
    if (pick == 2)
        return next_random() >> next_random() % 64; /* anything */
    if (pick < 6)
        delay_ns = next_random() % (4 * unit);
    else if (pick < 10)
        delay_ns = next_random() % (1024 * unit);
    else if (pick < 13)
        delay_ns = next_random() % (UINT64_C(1) << (next_random() % 40) << shift);
    else
        return ((now_ns / unit | (border - 1)) + next_random() % 3) * unit + next_random() % 3;
    return delay_ns > UINT64_MAX - now_ns ? VINE_FOREVER : now_ns + delay_ns;
}

static uint64_t tick_of(uint64_t due_ns)
{
    const uint64_t unit = UINT64_C(1) << shift;

    return due_ns > UINT64_MAX - (unit - 1) ? UINT64_MAX : due_ns / unit + (due_ns % unit != 0);
}

/* When it has to be popped, as a tick. */
static uint64_t turn_of(const struct known *one)
{
    const uint64_t tick = tick_of(one->due_ns);

    return tick < one->floor_tick ? one->floor_tick : tick;
}

static uint64_t random_move(uint64_t from_ns)
{
    const uint64_t by_ns = next_random() % (UINT64_C(1) << (next_random() % 44));

    if (next_random() % 2 == 0)
        return from_ns > by_ns ? from_ns - by_ns : 0;
    return from_ns < UINT64_MAX - by_ns ? from_ns + by_ns : UINT64_MAX;
}

static void arm(struct known *one)
{
    /* Also a stopped one has a time, from which the next is put off or brought forward. */
    one->due_ns = next_random() % 2 == 0 ? random_due() : random_move(one->due_ns);
    one->is_armed = true;
    one->floor_tick = reached_tick;
    vine__wheel_arm(&wheel, &one->timer, one->due_ns);
    assert_true(vine_timer_is_armed(&one->timer));
}

static void cancel(struct known *one)
{
    assert_int_equal(vine__wheel_cancel(&wheel, &one->timer), one->is_armed);
    assert_false(vine_timer_is_armed(&one->timer));
    one->is_armed = false;
}

static void stop(struct known *one)
{
    assert_int_equal(vine__wheel_stop(&one->timer), one->is_armed);
    assert_false(vine_timer_is_armed(&one->timer));
    one->is_armed = false;
}

/* The memory of one that was cancelled is the caller's. */
static void free_and_make(struct known *one)
{
    cancel(one);
    memset(&one->timer, 0xa5, sizeof(one->timer));
    memset(&one->timer, 0, sizeof(one->timer));
}

static void change_one(void)
{
    struct known *one = &known[next_random() % TIMERS];
    const uint64_t pick = next_random() % 8;

    if (pick == 0)
        cancel(one);
    else if (pick == 1)
        free_and_make(one);
    else if (pick < 4)
        stop(one);
    else
        arm(one);
}

static uint64_t armed_count(void)
{
    uint64_t count = 0;

    for (size_t n = 0; n < TIMERS; n++)
        count += known[n].is_armed;
    return count;
}

static uint64_t first_turn(void)
{
    uint64_t first = UINT64_MAX;

    for (size_t n = 0; n < TIMERS; n++)
        if (known[n].is_armed && turn_of(&known[n]) < first)
            first = turn_of(&known[n]);
    return first;
}

static void pop_all(void)
{
    const uint64_t now_tick = now_ns >> shift;
    uint32_t calls = 0;

    for (;;) {
        struct vine_timer *timer = vine__wheel_pop_due(&wheel, now_ns);
        struct known *one = (struct known *)(void *)timer;

        if (timer == NULL && vine__wheel_next_ns(&wheel) > now_ns)
            break;
        if (timer == NULL)
            continue;
        assert_true(one->is_armed);
        assert_true(one->due_ns <= now_ns);
        assert_true(turn_of(one) == first_turn()); /* nobody else's was before */
        assert_true(turn_of(one) >= reached_tick);
        reached_tick = turn_of(one);
        one->is_armed = false;
        popped++;
        if (calls++ < 100 && next_random() % 2 == 0)
            change_one();
    }
    reached_tick = now_tick;
    assert_true(first_turn() > now_tick);
}

static void advance(void)
{
    const uint64_t next_ns = vine__wheel_next_ns(&wheel);
    const uint64_t pick = next_random() % 8;
    const uint64_t first = first_turn();

    /* It is a lower bound, and there is none where nothing is armed. */
    assert_true(first == UINT64_MAX ? true : next_ns <= first << shift);
    if (pick < 3 && next_ns != VINE_FOREVER) {
        if (next_ns > now_ns + 1 && next_random() % 2 == 0) {
            now_ns = next_ns - 1; /* nothing is due before it */
            assert_null(vine__wheel_pop_due(&wheel, now_ns));
        }
        now_ns = next_ns > now_ns ? next_ns : now_ns;
    } else {
        const uint64_t by_ns = next_random() % (UINT64_C(1) << (next_random() % 44));

        now_ns += pick == 7 ? by_ns : by_ns % (UINT64_C(2048) << shift);
    }
    pop_all();
}

static void begin(uint64_t resolution_ns, uint64_t from_ns)
{
    memset(known, 0, sizeof(known));
    shift = (uint32_t)__builtin_ctzll(resolution_ns);
    now_ns = from_ns;
    reached_tick = now_ns >> shift;
    vine__wheel_init(&wheel, resolution_ns, now_ns);
}

static void run_oracle(uint64_t resolution_ns, uint64_t from_ns)
{
    uint32_t popped_before = popped;

    begin(resolution_ns, from_ns);
    for (uint32_t step = 0; step < STEPS; step++) {
        if (now_ns >= UINT64_C(1) << 62) /* it came near to the end of time */
            begin(resolution_ns, from_ns);
        if (next_random() % 4 == 0)
            advance();
        else
            change_one();
        if (step % 64 == 0) {
            assert_true(vine__wheel_validate(&wheel));
            assert_true(vine__wheel_count(&wheel, UINT64_MAX) == armed_count());
        }
    }
    assert_true(popped - popped_before > STEPS / 10);
}

static void random_sequences_come_out_as_from_a_sorted_list(void **state)
{
    (void)state;
    seed();
    run_oracle(1, 0);
    run_oracle(1, next_random() >> 8);
    run_oracle(1024, 0);
    run_oracle(1024, next_random() >> 8);
    run_oracle(UINT64_C(1) << 23, next_random() >> 8);
}

/* ---- a million ------------------------------------------------------------------------------- */

static void a_million_timers_come_each_at_its_time(void **state)
{
    const uint64_t range_ns = 60 * VINE_NS_PER_SECOND;
    const uint64_t begin_ns = 123456789123;
    struct vine_timer *timers = calloc(MILLION, sizeof(*timers));
    uint64_t time_ns = begin_ns;
    uint32_t armed = 0;
    (void)state;

    seed();
    assert_non_null(timers);
    vine__wheel_init(&wheel, 1024, begin_ns);
    for (size_t n = 0; n < MILLION; n++)
        vine__wheel_arm(&wheel, &timers[n], begin_ns + next_random() % range_ns);
    for (size_t n = 0; n < MILLION; n++) /* a sixth is cancelled, or stopped, or moved */
        if (n % 6 == 0)
            (void)vine__wheel_cancel(&wheel, &timers[next_random() % MILLION]);
        else if (n % 6 == 3)
            (void)vine__wheel_stop(&timers[next_random() % MILLION]);
        else if (n % 3 == 1)
            vine__wheel_arm(&wheel, &timers[n], begin_ns + next_random() % range_ns);
    for (size_t n = 0; n < MILLION; n++)
        armed += vine_timer_is_armed(&timers[n]);
    assert_true(armed > MILLION / 2);
    assert_true(vine__wheel_count(&wheel, 2 * MILLION) == armed);
    assert_true(vine__wheel_validate(&wheel));
    while (time_ns < begin_ns + range_ns + 1024) {
        const uint64_t before_ns = time_ns;
        struct vine_timer *timer = NULL;

        time_ns += 1 + next_random() % 10000000;
        do {
            timer = vine__wheel_pop_due(&wheel, time_ns);
            if (timer == NULL)
                continue;
            armed--;
            assert_true(timer->due_ns <= time_ns);
            assert_true(timer->due_ns + 1024 > before_ns);
        } while (timer != NULL || vine__wheel_next_ns(&wheel) <= time_ns);
    }
    assert_int_equal(armed, 0);
    assert_true(vine__wheel_next_ns(&wheel) == VINE_FOREVER);
    assert_true(vine__wheel_validate(&wheel));
    free(timers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_sequences_come_out_as_from_a_sorted_list),
        cmocka_unit_test(a_million_timers_come_each_at_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
