/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
#include "unit/core/sync/sync_tests.h"

#include <vine/semaphore.h>

static void ending_one_for_which_somebody_waits(void)
{
    struct vine_semaphore semaphore;

    start_guests();
    vine_semaphore_init(&semaphore, 0);
    vine_semaphore_wait(&semaphore, &guests[0].waiting, 1);
    vine_semaphore_fini(&semaphore);
}

static void putting_in_more_than_can_be_counted(void)
{
    struct vine_semaphore semaphore;

    start_guests();
    vine_semaphore_init(&semaphore, UINT64_MAX);
    vine_semaphore_signal(&semaphore, 1);
}

static void what_must_not_be_done_fails_an_assertion(void **state)
{
    (void)state;
    assert_true(fails_an_assertion(ending_one_for_which_somebody_waits));
    assert_true(fails_an_assertion(putting_in_more_than_can_be_counted));
}

static void trying_for_more_than_there_is_takes_nothing(void **state)
{
    struct vine_semaphore semaphore;
    (void)state;

    start_guests();
    vine_semaphore_init(&semaphore, 3);
    assert_int_equal(vine_semaphore_try_wait(&semaphore, 4), -EAGAIN);
    assert_int_equal(vine_semaphore_units(&semaphore), 3);
    assert_int_equal(vine_semaphore_try_wait(&semaphore, 3), 0);
    assert_int_equal(vine_semaphore_try_wait(&semaphore, 1), -EAGAIN);
    vine_semaphore_signal(&semaphore, 1);
    assert_int_equal(vine_semaphore_try_wait(&semaphore, 1), 0);
    vine_semaphore_fini(&semaphore);
}

static void who_breaks_it_ends_all_and_those_who_come_later(void **state)
{
    struct vine_semaphore semaphore;
    (void)state;

    start_guests();
    vine_semaphore_init(&semaphore, 1);
    vine_semaphore_wait(&semaphore, &guests[0].waiting, 2);
    vine_semaphore_wait(&semaphore, &guests[1].waiting, 1);
    vine_semaphore_break(&semaphore);
    vine_semaphore_break(&semaphore);
    assert_int_equal(guest_calls, 0);
    vine_semaphore_wait(&semaphore, &guests[2].waiting, 1);
    run_core(0);
    for (uint32_t n = 0; n < 3; n++)
        ASSERT_ENDED(n, -VINE_ECLOSED, n + 1);
    assert_int_equal(vine_semaphore_try_wait(&semaphore, 1), -VINE_ECLOSED);
    vine_semaphore_signal(&semaphore, 1);
    assert_int_equal(vine_semaphore_units(&semaphore), 2);
    vine_semaphore_fini(&semaphore);
}

static void units_that_are_there_are_taken_at_once_and_told_later(void **state)
{
    struct vine_semaphore semaphore;
    (void)state;

    start_guests();
    vine_semaphore_init(&semaphore, 3);
    vine_semaphore_wait(&semaphore, &guests[0].waiting, 2);
    assert_int_equal(guests[0].calls, 0);
    assert_int_equal(vine_semaphore_units(&semaphore), 1);
    assert_false(vine_semaphore_has_waiters(&semaphore));
    run_core(0);
    ASSERT_ENDED(0, 0, 1);
    vine_semaphore_fini(&semaphore);
}

static void nobody_overtakes(void **state)
{
    struct vine_semaphore semaphore;
    (void)state;

    start_guests();
    vine_semaphore_init(&semaphore, 2);
    vine_semaphore_wait(&semaphore, &guests[0].waiting, 5);
    vine_semaphore_wait(&semaphore, &guests[1].waiting, 1);
    assert_int_equal(vine_semaphore_try_wait(&semaphore, 1), -EAGAIN);
    run_core(0);
    assert_int_equal(guest_calls, 0);
    vine_semaphore_signal(&semaphore, 2);
    run_core(0);
    assert_int_equal(guest_calls, 0);
    vine_semaphore_signal(&semaphore, 2);
    assert_int_equal(guest_calls, 0);
    run_core(0);
    ASSERT_ENDED(0, 0, 1);
    ASSERT_ENDED(1, 0, 2);
    assert_int_equal(vine_semaphore_units(&semaphore), 0);
    vine_semaphore_fini(&semaphore);
}

static void who_gives_up_lets_those_behind_it_through(void **state)
{
    struct vine_semaphore semaphore;
    struct vine_abort_source source;
    (void)state;

    start_guests();
    vine_abort_source_init(&source);
    vine_semaphore_init(&semaphore, 3);
    vine_waiting_set_deadline(&guests[0].waiting, now_ns() + 10);
    vine_waiting_set_abort(&guests[2].waiting, &source);
    vine_semaphore_wait(&semaphore, &guests[0].waiting, 9);
    vine_semaphore_wait(&semaphore, &guests[1].waiting, 1);
    vine_semaphore_wait(&semaphore, &guests[2].waiting, 9);
    vine_semaphore_wait(&semaphore, &guests[3].waiting, 1);
    vine_semaphore_wait(&semaphore, &guests[4].waiting, 9);
    vine_semaphore_wait(&semaphore, &guests[5].waiting, 1);
    run_core(10 + DEADLINE_SLACK_NS);
    ASSERT_ENDED(0, -ETIMEDOUT, 1);
    ASSERT_ENDED(1, 0, 2);
    assert_int_equal(guest_calls, 2);
    vine_abort_request(&source);
    run_core(0);
    ASSERT_ENDED(2, -ECANCELED, 3);
    ASSERT_ENDED(3, 0, 4);
    assert_true(vine_waiting_cancel(&guests[4].waiting));
    run_core(0);
    ASSERT_ENDED(4, -ECANCELED, 5);
    ASSERT_ENDED(5, 0, 6);
    assert_int_equal(vine_semaphore_units(&semaphore), 0);
    vine_abort_source_fini(&source);
    vine_semaphore_fini(&semaphore);
}

static void whoever_leaves_from_the_middle_leaves_the_order_of_the_others(void **state)
{
    struct vine_semaphore semaphore;
    (void)state;

    start_guests();
    vine_semaphore_init(&semaphore, 0);
    for (int n = 0; n < 5; n++)
        vine_semaphore_wait(&semaphore, &guests[n].waiting, 1);
    assert_true(vine_waiting_cancel(&guests[2].waiting)); /* middle */
    assert_true(vine_waiting_cancel(&guests[4].waiting)); /* last */
    assert_true(vine_waiting_cancel(&guests[0].waiting)); /* first */
    vine_semaphore_wait(&semaphore, &guests[5].waiting, 1);
    vine_semaphore_signal(&semaphore, 3);
    run_core(0);
    ASSERT_ENDED(1, 0, 4);
    ASSERT_ENDED(3, 0, 5);
    ASSERT_ENDED(5, 0, 6);
    vine_semaphore_fini(&semaphore);
}

static void no_units_are_had_at_once_unless_somebody_waits(void **state)
{
    struct vine_semaphore semaphore;
    (void)state;

    start_guests();
    vine_semaphore_init(&semaphore, 0);
    vine_semaphore_wait(&semaphore, &guests[0].waiting, 0);
    run_core(0);
    ASSERT_ENDED(0, 0, 1);
    vine_semaphore_wait(&semaphore, &guests[1].waiting, 1);
    vine_semaphore_wait(&semaphore, &guests[2].waiting, 0);
    run_core(0);
    assert_int_equal(guest_calls, 1);
    vine_semaphore_signal(&semaphore, 1);
    run_core(0);
    ASSERT_ENDED(1, 0, 2);
    ASSERT_ENDED(2, 0, 3);
    vine_semaphore_fini(&semaphore);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_must_not_be_done_fails_an_assertion),
        cmocka_unit_test(trying_for_more_than_there_is_takes_nothing),
        cmocka_unit_test(who_breaks_it_ends_all_and_those_who_come_later),
        cmocka_unit_test(units_that_are_there_are_taken_at_once_and_told_later),
        cmocka_unit_test(nobody_overtakes),
        cmocka_unit_test(who_gives_up_lets_those_behind_it_through),
        cmocka_unit_test(whoever_leaves_from_the_middle_leaves_the_order_of_the_others),
        cmocka_unit_test(no_units_are_had_at_once_unless_somebody_waits),
    };
    return cmocka_run_group_tests(tests, NULL, stop_core);
}
