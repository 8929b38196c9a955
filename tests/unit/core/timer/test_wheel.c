/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * The timer wheel, one behaviour after the other. The clock is the test's. Random sequences against
 * a plain list are in test_wheel_oracle.c.
 */
#include "core/timer/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TIMERS 600

static struct vine__wheel wheel;
static struct vine_timer timers[TIMERS];

static void start(uint64_t resolution_ns, uint64_t now_ns)
{
    memset(timers, 0, sizeof(timers));
    vine__wheel_init(&wheel, resolution_ns, now_ns);
}

/* The next due timer, however many have to be moved before it. */
static struct vine_timer *pop(uint64_t now_ns)
{
    struct vine_timer *timer = NULL;
    uint64_t next_ns = 0;

    do {
        timer = vine__wheel_pop_due(&wheel, now_ns);
        next_ns = vine__wheel_next_ns(&wheel);
    } while (timer == NULL && next_ns <= now_ns && next_ns != VINE_FOREVER);
    assert_true(vine__wheel_validate(&wheel));
    return timer;
}

static void an_empty_wheel_has_nothing_due_and_nothing_to_wait_for(void **state)
{
    (void)state;
    start(1024, 5);
    assert_null(pop(5));
    assert_null(pop(UINT64_MAX));
    assert_true(vine__wheel_next_ns(&wheel) == VINE_FOREVER);
}

static void cancelling_what_is_not_armed_says_so(void **state)
{
    (void)state;
    start(1024, 0);
    assert_false(vine__wheel_cancel(&wheel, &timers[0]));
    vine__wheel_arm(&wheel, &timers[0], 5000);
    assert_true(vine_timer_is_armed(&timers[0]));
    assert_true(vine__wheel_cancel(&wheel, &timers[0]));
    assert_false(vine_timer_is_armed(&timers[0]));
    assert_false(vine__wheel_cancel(&wheel, &timers[0]));
    assert_true(vine__wheel_next_ns(&wheel) == VINE_FOREVER);
    assert_null(pop(1 << 20));
}

static void stopping_what_is_not_armed_says_so(void **state)
{
    (void)state;
    start(1024, 0);
    assert_false(vine__wheel_stop(&timers[0]));
    vine__wheel_arm(&wheel, &timers[0], 5000);
    assert_true(vine__wheel_stop(&timers[0]));
    assert_false(vine_timer_is_armed(&timers[0]));
    assert_false(vine__wheel_stop(&timers[0]));
    assert_false(vine__wheel_cancel(&wheel, &timers[0]));
    assert_true(vine__wheel_next_ns(&wheel) == VINE_FOREVER);
}

static void a_stopped_timer_does_not_come(void **state)
{
    (void)state;
    start(1, 0);
    for (size_t n = 0; n < 20; n++)
        vine__wheel_arm(&wheel, &timers[n], 1000 + n);
    for (size_t n = 0; n < 20; n += 2)
        assert_true(vine__wheel_stop(&timers[n]));
    assert_int_equal(vine__wheel_count(&wheel, 100), 10);
    for (size_t n = 1; n < 20; n += 2)
        assert_ptr_equal(pop(UINT64_MAX), &timers[n]);
    assert_null(pop(UINT64_MAX));
    assert_true(vine__wheel_next_ns(&wheel) == VINE_FOREVER);
}

static void a_stopped_timer_may_be_armed_for_any_time(void **state)
{
    static const uint64_t times_ns[] = {1,    999,   1000,    1001,       70000,
                                        5000, 99999, 1 << 30, UINT64_MAX, 2000};
    (void)state;

    for (size_t n = 0; n < sizeof(times_ns) / sizeof(times_ns[0]); n++) {
        for (size_t before = 0; before < 2; before++) {
            start(1, 0);
            vine__wheel_arm(&wheel, &timers[0], 1000);
            if (before == 1)
                vine__wheel_arm(&wheel, &timers[0], 80000); /* put off, and lies where it lay */
            assert_true(vine__wheel_stop(&timers[0]));
            vine__wheel_arm(&wheel, &timers[0], times_ns[n]);
            assert_true(vine_timer_is_armed(&timers[0]));
            assert_null(pop(times_ns[n] - 1));
            assert_true(times_ns[n] == UINT64_MAX || pop(times_ns[n]) == &timers[0]);
        }
    }
}

/* What the two verbs are there for. */
static void stopping_and_arming_for_later_touches_the_timer_alone(void **state)
{
    static struct vine__wheel wheel_before;
    static struct vine_timer before[TIMERS];
    (void)state;

    start(1024, 0);
    for (size_t n = 0; n < TIMERS; n++)
        vine__wheel_arm(&wheel, &timers[n], (5000 + n) << 20);
    memcpy(&wheel_before, &wheel, sizeof(wheel));
    memcpy(before, timers, sizeof(timers));
    for (uint64_t round = 0; round < 100; round++) {
        assert_true(vine__wheel_stop(&timers[7]));
        vine__wheel_arm(&wheel, &timers[7], (5100 + round * 17 % 50) << 20);
    }
    assert_true(vine__wheel_validate(&wheel));
    timers[7] = before[7];
    assert_memory_equal(&wheel_before, &wheel, sizeof(wheel));
    assert_memory_equal(before, timers, sizeof(timers));
}

static void what_was_popped_is_not_armed(void **state)
{
    (void)state;
    start(1, 0);
    vine__wheel_arm(&wheel, &timers[0], 7);
    assert_ptr_equal(pop(7), &timers[0]);
    assert_false(vine_timer_is_armed(&timers[0]));
    assert_false(vine__wheel_cancel(&wheel, &timers[0]));
}

static void a_timer_is_due_at_its_time_and_not_before(void **state)
{
    static const uint64_t resolutions_ns[] = {1, 1000, 1024, 10000000};
    (void)state;

    for (size_t n = 0; n < sizeof(resolutions_ns) / sizeof(resolutions_ns[0]); n++) {
        for (uint64_t delay_ns = 1; delay_ns < UINT64_C(1) << 62; delay_ns = delay_ns * 3 + 1) {
            const uint64_t now_ns = 123456789;
            const uint64_t due_ns = now_ns + delay_ns;

            start(resolutions_ns[n], now_ns);
            vine__wheel_arm(&wheel, &timers[0], due_ns);
            assert_null(pop(due_ns - 1));
            assert_ptr_equal(pop(due_ns + resolutions_ns[n] - 1), &timers[0]);
        }
    }
}

static void what_is_due_in_the_past_is_due_now(void **state)
{
    (void)state;
    start(1024, 1 << 30);
    vine__wheel_arm(&wheel, &timers[0], 0);
    vine__wheel_arm(&wheel, &timers[1], 1 << 30);
    vine__wheel_arm(&wheel, &timers[2], 77);
    assert_true(vine__wheel_next_ns(&wheel) <= 1 << 30);
    for (int n = 0; n < 3; n++)
        assert_ptr_equal(pop(1 << 30), &timers[n]);
    assert_null(pop(1 << 30));
}

static void forever_never_comes(void **state)
{
    static const uint64_t resolutions_ns[] = {1, 1024, UINT64_C(1) << 40};
    (void)state;

    for (size_t n = 0; n < sizeof(resolutions_ns) / sizeof(resolutions_ns[0]); n++) {
        start(resolutions_ns[n], 1000);
        vine__wheel_arm(&wheel, &timers[0], VINE_FOREVER);
        vine__wheel_arm(&wheel, &timers[1], 5000);
        vine__wheel_arm(&wheel, &timers[1], VINE_FOREVER); /* moved there */
        vine__wheel_arm(&wheel, &timers[2], VINE_FOREVER);
        vine__wheel_arm(&wheel, &timers[2], UINT64_C(1) << 50); /* moved from there */
        assert_ptr_equal(pop(UINT64_C(1) << 51), &timers[2]);
        assert_null(pop(VINE_FOREVER - 1));
        assert_null(pop(VINE_FOREVER));
        assert_true(vine__wheel_next_ns(&wheel) == VINE_FOREVER);
        assert_true(vine__wheel_cancel(&wheel, &timers[0]));
        assert_true(vine__wheel_cancel(&wheel, &timers[1]));
    }
}

static void the_last_times_of_a_clock_can_be_waited_for(void **state)
{
    (void)state;
    start(1, 3);
    vine__wheel_arm(&wheel, &timers[0], UINT64_MAX - 2);
    vine__wheel_arm(&wheel, &timers[1], UINT64_C(1) << 63);
    assert_ptr_equal(pop(UINT64_C(1) << 63), &timers[1]);
    assert_null(pop(UINT64_MAX - 3));
    assert_ptr_equal(pop(UINT64_MAX - 2), &timers[0]);
}

/* Around each power of 256 ticks a timer goes down from one level to the next. */
static void cascades_at_the_borders_of_all_levels_keep_the_order(void **state)
{
    (void)state;
    for (uint32_t border = 8; border < 64; border += 8) {
        for (uint64_t from = 0; from < 3; from++) {
            const uint64_t middle = UINT64_C(1) << border;
            uint64_t now = from == 0 ? 0 : middle / 2 + from - 2;

            start(1, now);
            for (size_t n = 0; n < 9; n++) /* backwards: the order is not that of arming */
                vine__wheel_arm(&wheel, &timers[n], middle + 4 - n);
            for (size_t n = 9; n-- > 0;) {
                now = middle + 4 - n;
                assert_null(pop(now - 1));
                assert_true(vine__wheel_next_ns(&wheel) <= now);
                assert_ptr_equal(pop(now), &timers[n]);
            }
            assert_null(pop(UINT64_MAX));
        }
    }
}

static void a_jump_by_years_pops_all_in_order(void **state)
{
    const uint64_t year_ns = UINT64_C(365) * 86400 * VINE_NS_PER_SECOND;
    uint64_t due_ns = 1;
    (void)state;

    start(1, 0);
    for (size_t n = 0; n < 60; n++, due_ns = due_ns * 4 / 3 + 1)
        vine__wheel_arm(&wheel, &timers[59 - n], due_ns);
    assert_true(due_ns < 100 * year_ns);
    for (size_t n = 60; n-- > 0;)
        assert_ptr_equal(pop(100 * year_ns), &timers[n]);
    assert_null(pop(100 * year_ns));
    vine__wheel_arm(&wheel, &timers[0], 100 * year_ns + 5);
    assert_null(pop(100 * year_ns + 4));
    assert_ptr_equal(pop(100 * year_ns + 5), &timers[0]);
}

static void a_clock_that_goes_back_makes_nothing_early(void **state)
{
    (void)state;
    start(1, 1000);
    vine__wheel_arm(&wheel, &timers[0], 2000);
    assert_null(pop(1900));
    assert_null(pop(100));
    vine__wheel_arm(&wheel, &timers[1], 1500);
    assert_null(vine__wheel_pop_due(&wheel, 1400));
    assert_ptr_equal(pop(1900), &timers[1]);
    assert_null(pop(1999));
    assert_ptr_equal(pop(2000), &timers[0]);
}

static void timers_of_one_tick_come_in_the_order_of_arming(void **state)
{
    (void)state;
    start(1024, 0);
    for (size_t n = 0; n < TIMERS; n++)
        vine__wheel_arm(&wheel, &timers[n], UINT64_C(70000) * 1024);
    for (size_t n = 0; n < TIMERS; n++)
        assert_ptr_equal(pop(UINT64_C(70000) * 1024), &timers[n]);
}

static void moving_a_timer_changes_when_it_is_due(void **state)
{
    (void)state;
    start(1, 0);
    vine__wheel_arm(&wheel, &timers[0], 100000);
    vine__wheel_arm(&wheel, &timers[0], 50); /* to before */
    assert_null(pop(49));
    assert_ptr_equal(pop(50), &timers[0]);
    vine__wheel_arm(&wheel, &timers[0], 60);
    for (uint64_t due_ns = 61; due_ns < 10000; due_ns++) /* behind, again and again */
        vine__wheel_arm(&wheel, &timers[0], due_ns);
    assert_null(pop(9998));
    assert_ptr_equal(pop(9999), &timers[0]);
    assert_null(pop(UINT64_MAX));
}

static void a_move_to_later_does_not_hide_what_is_due_before(void **state)
{
    (void)state;
    start(1, 0);
    vine__wheel_arm(&wheel, &timers[0], 300);
    vine__wheel_arm(&wheel, &timers[1], 1000);
    vine__wheel_arm(&wheel, &timers[0], 1000000);
    assert_true(vine__wheel_next_ns(&wheel) <= 1000);
    assert_null(pop(999));
    assert_true(vine__wheel_next_ns(&wheel) <= 1000);
    assert_ptr_equal(pop(1000), &timers[1]);
    assert_ptr_equal(pop(1000000), &timers[0]);
}

/* How often an idle loop would wake before it finds something due. */
static uint32_t wakes_before_due(uint64_t due_ns)
{
    uint32_t wakes = 0;

    for (;;) {
        const uint64_t next_ns = vine__wheel_next_ns(&wheel);

        assert_true(next_ns <= due_ns);
        if (vine__wheel_pop_due(&wheel, next_ns) != NULL)
            return wakes;
        wakes++;
    }
}

static void one_timer_an_hour_ahead_wakes_nobody_before(void **state)
{
    (void)state;
    const uint64_t now_ns = 987654321987;
    const uint64_t due_ns = now_ns + 3600 * VINE_NS_PER_SECOND;

    start(1024, now_ns);
    vine__wheel_arm(&wheel, &timers[0], due_ns);
    assert_int_equal(wakes_before_due(due_ns + 1023), 0);
    vine__wheel_arm(&wheel, &timers[0], due_ns + 3600 * VINE_NS_PER_SECOND);
    assert_int_equal(wakes_before_due(due_ns + 3600 * VINE_NS_PER_SECOND + 1023), 0);
}

static void many_timers_an_hour_ahead_wake_once_a_level_before(void **state)
{
    (void)state;
    const uint64_t due_ns = 3600 * VINE_NS_PER_SECOND;

    start(1024, 0);
    for (size_t n = 0; n < 100; n++)
        vine__wheel_arm(&wheel, &timers[n], due_ns);
    assert_true(wakes_before_due(due_ns + 1023) < VINE__WHEEL_LEVELS);
}

/* How often an idle loop wakes until it may sleep for ever; nothing is due meanwhile. */
static uint32_t wakes_in_vain(void)
{
    for (uint32_t wakes = 0;; wakes++) {
        const uint64_t next_ns = vine__wheel_next_ns(&wheel);

        if (next_ns == VINE_FOREVER)
            return wakes;
        assert_null(vine__wheel_pop_due(&wheel, next_ns));
    }
}

static void a_stopped_timer_wakes_an_idle_loop_once_at_most(void **state)
{
    (void)state;
    for (size_t count = 1; count <= 200; count = count * 3 + 1) {
        start(1024, 0);
        for (size_t n = 0; n < count; n++) {
            vine__wheel_arm(&wheel, &timers[n], (n + 1) * n * 7919 * 1024);
            vine__wheel_arm(&wheel, &timers[n], 3600 * VINE_NS_PER_SECOND);
            assert_true(vine__wheel_stop(&timers[n]));
        }
        assert_true(wakes_in_vain() <= count);
    }
}

static void a_stopped_timer_does_not_make_an_armed_one_late(void **state)
{
    (void)state;
    start(1024, 0);
    vine__wheel_arm(&wheel, &timers[0], 3000000);
    vine__wheel_arm(&wheel, &timers[1], 3000100);
    assert_true(vine__wheel_stop(&timers[0]));
    assert_int_equal(wakes_before_due(3000100 + 1023), 0);
}

static void a_timer_of_ten_thousand_requests_wakes_an_idle_loop_as_one_of_one(void **state)
{
    (void)state;
    start(1024, 0);
    for (uint64_t request = 0; request < 10000; request++) {
        vine__wheel_arm(&wheel, &timers[0], (30000 + request) << 20);
        assert_true(vine__wheel_stop(&timers[0]));
    }
    assert_true(wakes_in_vain() <= 1);
}

static void a_slot_of_many_is_opened_by_and_by(void **state)
{
    size_t count = 0;
    (void)state;

    start(1, 0);
    for (size_t n = 0; n < TIMERS; n++)
        vine__wheel_arm(&wheel, &timers[n], 70000 + TIMERS - n);
    assert_true(TIMERS > 2 * VINE__WHEEL_MOVES_MAX);
    /* One call is not enough to move all of them, and says that there is more. */
    assert_null(vine__wheel_pop_due(&wheel, 65536));
    assert_true(vine__wheel_next_ns(&wheel) <= 65536);
    assert_true(vine__wheel_validate(&wheel));
    /* What is armed and cancelled meanwhile finds its place too. */
    assert_true(vine__wheel_cancel(&wheel, &timers[TIMERS - 1]));
    assert_true(vine__wheel_cancel(&wheel, &timers[0]));
    vine__wheel_arm(&wheel, &timers[TIMERS - 2], 65536);
    vine__wheel_arm(&wheel, &timers[1], 65536);
    assert_null(vine__wheel_pop_due(&wheel, 65536));
    assert_ptr_equal(pop(65536), &timers[TIMERS - 2]);
    assert_ptr_equal(pop(65536), &timers[1]);
    for (uint64_t now_ns = 65536; now_ns <= 70000 + TIMERS; now_ns++) {
        struct vine_timer *timer = pop(now_ns);

        count += timer != NULL;
        assert_true(timer == NULL || timer->due_ns == now_ns);
    }
    assert_int_equal(count, TIMERS - 4);
}

static void others_may_be_armed_and_cancelled_between_two_that_are_due(void **state)
{
    (void)state;
    start(1, 0);
    for (size_t n = 0; n < 6; n++)
        vine__wheel_arm(&wheel, &timers[n], 1000);
    vine__wheel_arm(&wheel, &timers[6], 1001);
    assert_ptr_equal(pop(2000), &timers[0]);
    assert_true(vine__wheel_cancel(&wheel, &timers[1])); /* due now */
    assert_true(vine__wheel_cancel(&wheel, &timers[6])); /* due in the next slot */
    vine__wheel_arm(&wheel, &timers[2], 3000);           /* due now, and then not */
    vine__wheel_arm(&wheel, &timers[7], 500);            /* due now */
    vine__wheel_arm(&wheel, &timers[0], 1500);           /* itself */
    assert_ptr_equal(pop(2000), &timers[3]);
    assert_ptr_equal(pop(2000), &timers[4]);
    assert_ptr_equal(pop(2000), &timers[5]);
    assert_ptr_equal(pop(2000), &timers[7]);
    assert_ptr_equal(pop(2000), &timers[0]);
    assert_null(pop(2999));
    assert_ptr_equal(pop(3000), &timers[2]);
    assert_true(vine__wheel_next_ns(&wheel) == VINE_FOREVER);
}

static void all_of_an_open_slot_may_be_cancelled(void **state)
{
    (void)state;
    start(1, 0);
    for (size_t n = 0; n < 4; n++)
        vine__wheel_arm(&wheel, &timers[n], 1000);
    vine__wheel_arm(&wheel, &timers[4], 1000 + 256);
    assert_ptr_equal(pop(1000), &timers[0]);
    for (size_t n = 1; n < 4; n++)
        assert_true(vine__wheel_cancel(&wheel, &timers[n]));
    assert_null(pop(1000));
    vine__wheel_arm(&wheel, &timers[1], 1000 + 256); /* the same slot, one turn of it later */
    assert_null(pop(1000 + 255));
    assert_ptr_equal(pop(1000 + 256), &timers[4]);
    assert_ptr_equal(pop(1000 + 256), &timers[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_wheel_has_nothing_due_and_nothing_to_wait_for),
        cmocka_unit_test(cancelling_what_is_not_armed_says_so),
        cmocka_unit_test(stopping_what_is_not_armed_says_so),
        cmocka_unit_test(a_stopped_timer_does_not_come),
        cmocka_unit_test(a_stopped_timer_may_be_armed_for_any_time),
        cmocka_unit_test(stopping_and_arming_for_later_touches_the_timer_alone),
        cmocka_unit_test(what_was_popped_is_not_armed),
        cmocka_unit_test(a_timer_is_due_at_its_time_and_not_before),
        cmocka_unit_test(what_is_due_in_the_past_is_due_now),
        cmocka_unit_test(forever_never_comes),
        cmocka_unit_test(the_last_times_of_a_clock_can_be_waited_for),
        cmocka_unit_test(cascades_at_the_borders_of_all_levels_keep_the_order),
        cmocka_unit_test(a_jump_by_years_pops_all_in_order),
        cmocka_unit_test(a_clock_that_goes_back_makes_nothing_early),
        cmocka_unit_test(timers_of_one_tick_come_in_the_order_of_arming),
        cmocka_unit_test(moving_a_timer_changes_when_it_is_due),
        cmocka_unit_test(a_move_to_later_does_not_hide_what_is_due_before),
        cmocka_unit_test(one_timer_an_hour_ahead_wakes_nobody_before),
        cmocka_unit_test(many_timers_an_hour_ahead_wake_once_a_level_before),
        cmocka_unit_test(a_stopped_timer_wakes_an_idle_loop_once_at_most),
        cmocka_unit_test(a_stopped_timer_does_not_make_an_armed_one_late),
        cmocka_unit_test(a_timer_of_ten_thousand_requests_wakes_an_idle_loop_as_one_of_one),
        cmocka_unit_test(a_slot_of_many_is_opened_by_and_by),
        cmocka_unit_test(others_may_be_armed_and_cancelled_between_two_that_are_due),
        cmocka_unit_test(all_of_an_open_slot_may_be_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
