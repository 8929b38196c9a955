/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
#include "unit/core/sync/sync_tests.h"

#include <vine/gate.h>

static void leaving_more_often_than_entering(void)
{
    struct vine_gate gate;

    vine_gate_init(&gate);
    vine_gate_leave(&gate);
}

static void ending_one_with_somebody_inside(void)
{
    struct vine_gate gate;

    vine_gate_init(&gate);
    if (vine_gate_enter(&gate) == 0)
        vine_gate_fini(&gate);
}

static void what_must_not_be_done_fails_an_assertion(void **state)
{
    (void)state;
    assert_true(fails_an_assertion(leaving_more_often_than_entering));
    assert_true(fails_an_assertion(ending_one_with_somebody_inside));
}

static void a_closed_gate_lets_nobody_in(void **state)
{
    struct vine_gate gate;
    (void)state;

    start_guests();
    vine_gate_init(&gate);
    assert_false(vine_gate_is_closed(&gate));
    assert_int_equal(vine_gate_enter(&gate), 0);
    vine_gate_close(&gate, &guests[0].waiting);
    assert_true(vine_gate_is_closed(&gate));
    assert_int_equal(vine_gate_enter(&gate), -VINE_ECLOSED);
    assert_int_equal(vine_gate_count(&gate), 1);
    vine_gate_leave(&gate);
    assert_int_equal(vine_gate_enter(&gate), -VINE_ECLOSED);
    run_core(0);
    ASSERT_ENDED(0, 0, 1);
    vine_gate_fini(&gate);
}

static void closing_ends_when_the_last_has_left_and_not_at_once(void **state)
{
    struct vine_gate gate;
    (void)state;

    start_guests();
    vine_gate_init(&gate);
    assert_int_equal(vine_gate_enter(&gate), 0);
    assert_int_equal(vine_gate_enter(&gate), 0);
    vine_gate_leave(&gate);
    assert_int_equal(vine_gate_enter(&gate), 0);
    vine_gate_close(&gate, &guests[0].waiting);
    vine_gate_leave(&gate);
    run_core(0);
    assert_int_equal(guests[0].calls, 0);
    vine_gate_leave(&gate);
    assert_int_equal(guests[0].calls, 0);
    run_core(0);
    ASSERT_ENDED(0, 0, 1);
    vine_gate_fini(&gate);
}

static void closing_an_empty_gate_ends_but_not_at_once(void **state)
{
    struct vine_gate gate;
    (void)state;

    start_guests();
    vine_gate_init(&gate);
    vine_gate_close(&gate, &guests[0].waiting);
    assert_int_equal(guests[0].calls, 0);
    run_core(0);
    ASSERT_ENDED(0, 0, 1);
    vine_gate_fini(&gate);
}

static void who_gave_up_waiting_may_wait_again(void **state)
{
    struct vine_gate gate;
    (void)state;

    start_guests();
    vine_gate_init(&gate);
    assert_int_equal(vine_gate_enter(&gate), 0);
    vine_waiting_set_deadline(&guests[0].waiting, now_ns() + 10);
    vine_gate_close(&gate, &guests[0].waiting);
    run_core(10 + DEADLINE_SLACK_NS);
    ASSERT_ENDED(0, -ETIMEDOUT, 1);
    assert_int_equal(vine_gate_enter(&gate), -VINE_ECLOSED);
    vine_gate_close(&gate, &guests[1].waiting);
    vine_gate_close(&gate, &guests[2].waiting);
    vine_gate_leave(&gate);
    run_core(0);
    ASSERT_ENDED(1, 0, 2);
    ASSERT_ENDED(2, 0, 3);
    vine_gate_fini(&gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_must_not_be_done_fails_an_assertion),
        cmocka_unit_test(a_closed_gate_lets_nobody_in),
        cmocka_unit_test(closing_ends_when_the_last_has_left_and_not_at_once),
        cmocka_unit_test(closing_an_empty_gate_ends_but_not_at_once),
        cmocka_unit_test(who_gave_up_waiting_may_wait_again),
    };
    return cmocka_run_group_tests(tests, NULL, stop_core);
}
