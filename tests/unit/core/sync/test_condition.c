/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
#include "unit/core/sync/sync_tests.h"

#include <vine/condition.h>

static void ending_one_for_which_somebody_waits(void)
{
    struct vine_condition condition;

    start_guests();
    vine_condition_init(&condition);
    vine_condition_wait(&condition, &guests[0].waiting);
    vine_condition_fini(&condition);
}

static void one_for_which_somebody_waits_is_not_ended(void **state)
{
    (void)state;
    assert_true(fails_an_assertion(ending_one_for_which_somebody_waits));
}

static void a_broken_one_lets_nobody_wait(void **state)
{
    struct vine_condition condition;
    (void)state;

    start_guests();
    vine_condition_init(&condition);
    vine_condition_wait(&condition, &guests[0].waiting);
    vine_condition_break(&condition);
    vine_condition_wait(&condition, &guests[1].waiting);
    assert_int_equal(guest_calls, 0);
    assert_false(vine_condition_has_waiters(&condition));
    run_core(0);
    ASSERT_ENDED(0, -VINE_ECLOSED, 1);
    ASSERT_ENDED(1, -VINE_ECLOSED, 2);
    vine_condition_signal(&condition);
    vine_condition_broadcast(&condition);
    vine_condition_fini(&condition);
}

static void a_signal_that_nobody_waits_for_is_lost(void **state)
{
    struct vine_condition condition;
    (void)state;

    start_guests();
    vine_condition_init(&condition);
    vine_condition_signal(&condition);
    vine_condition_broadcast(&condition);
    vine_condition_wait(&condition, &guests[0].waiting);
    run_core(0);
    assert_int_equal(guest_calls, 0);
    vine_condition_signal(&condition);
    run_core(0);
    ASSERT_ENDED(0, 0, 1);
    vine_condition_fini(&condition);
}

static void a_signal_is_for_the_first_and_a_broadcast_for_all(void **state)
{
    struct vine_condition condition;
    (void)state;

    start_guests();
    vine_condition_init(&condition);
    for (int n = 0; n < 4; n++)
        vine_condition_wait(&condition, &guests[n].waiting);
    vine_condition_signal(&condition);
    assert_int_equal(guest_calls, 0);
    run_core(0);
    ASSERT_ENDED(0, 0, 1);
    assert_int_equal(guest_calls, 1);
    vine_condition_broadcast(&condition);
    vine_condition_wait(&condition, &guests[4].waiting); /* after it */
    run_core(0);
    for (uint32_t n = 1; n < 4; n++)
        ASSERT_ENDED(n, 0, n + 1);
    assert_int_equal(guests[4].calls, 0);
    assert_true(vine_condition_has_waiters(&condition));
    assert_true(vine_waiting_cancel(&guests[4].waiting));
    run_core(0);
    vine_condition_fini(&condition);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_for_which_somebody_waits_is_not_ended),
        cmocka_unit_test(a_broken_one_lets_nobody_wait),
        cmocka_unit_test(a_signal_that_nobody_waits_for_is_lost),
        cmocka_unit_test(a_signal_is_for_the_first_and_a_broadcast_for_all),
    };
    return cmocka_run_group_tests(tests, NULL, stop_core);
}
