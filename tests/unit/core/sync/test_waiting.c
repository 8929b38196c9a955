/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * How a wait ends, whatever it is for: by its deadline, by an abort source, by being cancelled, or
 * with what it waited for; once, and never within a call of the one who waits.
 */
#include "unit/core/sync/sync_tests.h"

#include <vine/condition.h>
#include <vine/semaphore.h>

static void waiting_twice_at_once(void)
{
    struct vine_condition condition;

    vine_condition_init(&condition);
    start_guests();
    vine_condition_wait(&condition, &guests[0].waiting);
    vine_condition_wait(&condition, &guests[0].waiting);
}

static void waiting_again_before_the_function_was_called(void)
{
    struct vine_condition condition;

    vine_condition_init(&condition);
    start_guests();
    vine_condition_wait(&condition, &guests[0].waiting);
    vine_condition_signal(&condition);
    vine_condition_wait(&condition, &guests[0].waiting);
}

static void ending_a_source_with_which_somebody_waits(void)
{
    struct vine_condition condition;
    struct vine_abort_source source;

    vine_condition_init(&condition);
    vine_abort_source_init(&source);
    start_guests();
    vine_waiting_set_abort(&guests[0].waiting, &source);
    vine_condition_wait(&condition, &guests[0].waiting);
    vine_abort_source_fini(&source);
}

static void what_is_in_use_is_not_used_for_something_else(void **state)
{
    (void)state;
    assert_true(fails_an_assertion(waiting_twice_at_once));
    assert_true(fails_an_assertion(waiting_again_before_the_function_was_called));
    assert_true(fails_an_assertion(ending_a_source_with_which_somebody_waits));
}

static void cancelling_who_does_not_wait_says_so(void **state)
{
    struct vine_semaphore semaphore;
    (void)state;

    start_guests();
    vine_semaphore_init(&semaphore, 1);
    assert_false(vine_waiting_cancel(&guests[0].waiting));
    vine_semaphore_wait(&semaphore, &guests[0].waiting, 1);
    assert_false(vine_waiting_is_idle(&guests[0].waiting));
    assert_false(vine_waiting_cancel(&guests[0].waiting)); /* it has its unit already */
    run_core(0);
    ASSERT_ENDED(0, 0, 1);
    assert_false(vine_waiting_cancel(&guests[0].waiting));
    run_core(0);
    assert_int_equal(guests[0].calls, 1);
    vine_semaphore_fini(&semaphore);
}

static void a_deadline_ends_it_and_not_before(void **state)
{
    struct vine_condition condition;
    (void)state;

    start_guests();
    vine_condition_init(&condition);
    vine_waiting_set_deadline(&guests[0].waiting, now_ns() + 100);
    vine_condition_wait(&condition, &guests[0].waiting);
    run_core(99);
    assert_int_equal(guests[0].calls, 0);
    run_core(DEADLINE_SLACK_NS + 1);
    ASSERT_ENDED(0, -ETIMEDOUT, 1);
    vine_condition_signal(&condition);
    run_core(1000);
    assert_int_equal(guests[0].calls, 1);
    vine_condition_fini(&condition);
    assert_true(core_is_idle());
}

static void a_deadline_that_has_passed_ends_it_but_not_at_once(void **state)
{
    struct vine_condition condition;
    (void)state;

    start_guests();
    vine_condition_init(&condition);
    vine_waiting_set_deadline(&guests[0].waiting, 1);
    vine_condition_wait(&condition, &guests[0].waiting);
    assert_int_equal(guests[0].calls, 0);
    run_core(DEADLINE_SLACK_NS);
    ASSERT_ENDED(0, -ETIMEDOUT, 1);
    vine_condition_fini(&condition);
}

static void neither_0_nor_forever_is_a_deadline(void **state)
{
    struct vine_condition condition;
    (void)state;

    start_guests();
    vine_condition_init(&condition);
    vine_waiting_set_deadline(&guests[0].waiting, 0);
    vine_condition_wait(&condition, &guests[0].waiting);
    vine_waiting_set_deadline(&guests[1].waiting, VINE_FOREVER);
    vine_condition_wait(&condition, &guests[1].waiting);
    run_core(DEADLINE_SLACK_NS + 1);
    assert_int_equal(guests[0].calls + guests[1].calls, 0);
    assert_true(core_is_idle());
    vine_condition_broadcast(&condition);
    run_core(0);
    assert_int_equal(guests[0].calls + guests[1].calls, 2);
    vine_condition_fini(&condition);
}

static void a_deadline_that_did_not_come_leaves_no_timer(void **state)
{
    struct vine_condition condition;
    (void)state;

    start_guests();
    vine_condition_init(&condition);
    vine_waiting_set_deadline(&guests[0].waiting, now_ns() + 100);
    vine_condition_wait(&condition, &guests[0].waiting);
    vine_condition_signal(&condition);
    run_core(0);
    ASSERT_ENDED(0, 0, 1);
    assert_true(core_is_idle());
    vine_condition_fini(&condition);
}

static void a_deadline_is_for_one_wait(void **state)
{
    struct vine_condition condition;
    (void)state;

    start_guests();
    vine_condition_init(&condition);
    vine_waiting_set_deadline(&guests[0].waiting, now_ns() + 100);
    vine_condition_wait(&condition, &guests[0].waiting);
    vine_condition_signal(&condition);
    run_core(0);
    vine_condition_wait(&condition, &guests[0].waiting);
    run_core(1000 + DEADLINE_SLACK_NS);
    assert_int_equal(guests[0].calls, 1);
    vine_condition_broadcast(&condition);
    run_core(0);
    assert_int_equal(guests[0].calls, 2);
    assert_int_equal(guests[0].result, 0);
    vine_condition_fini(&condition);
}

static void a_request_ends_all_that_wait_with_its_source(void **state)
{
    struct vine_condition condition;
    struct vine_semaphore semaphore;
    struct vine_abort_source source;
    (void)state;

    start_guests();
    vine_condition_init(&condition);
    vine_semaphore_init(&semaphore, 0);
    vine_abort_source_init(&source);
    for (int n = 0; n < 3; n++)
        vine_waiting_set_abort(&guests[n].waiting, &source);
    vine_condition_wait(&condition, &guests[0].waiting);
    vine_semaphore_wait(&semaphore, &guests[1].waiting, 1);
    vine_condition_wait(&condition, &guests[3].waiting); /* without a source */
    vine_abort_request(&source);
    assert_int_equal(guest_calls, 0);
    run_core(0);
    ASSERT_ENDED(0, -ECANCELED, 1);
    ASSERT_ENDED(1, -ECANCELED, 2);
    assert_int_equal(guests[3].calls, 0);

    /* Who comes after it does not wait, and takes nothing. */
    vine_semaphore_signal(&semaphore, 5);
    vine_semaphore_wait(&semaphore, &guests[2].waiting, 1);
    assert_int_equal(guests[2].calls, 0);
    run_core(0);
    ASSERT_ENDED(2, -ECANCELED, 3);
    assert_int_equal(vine_semaphore_units(&semaphore), 5);

    vine_abort_source_fini(&source);
    vine_condition_break(&condition);
    run_core(0);
    ASSERT_ENDED(3, -VINE_ECLOSED, 4);
    vine_condition_fini(&condition);
    vine_semaphore_fini(&semaphore);
}

static void the_first_end_is_the_only_one(void **state)
{
    struct vine_condition condition;
    struct vine_abort_source source;
    (void)state;

    start_guests();
    vine_condition_init(&condition);
    vine_abort_source_init(&source);
    for (int n = 0; n < 4; n++) {
        vine_waiting_set_abort(&guests[n].waiting, &source);
        vine_waiting_set_deadline(&guests[n].waiting, now_ns() + 10);
        vine_condition_wait(&condition, &guests[n].waiting);
    }
    vine_condition_signal(&condition);
    assert_true(vine_waiting_cancel(&guests[1].waiting));
    assert_false(vine_waiting_cancel(&guests[1].waiting));
    vine_abort_request(&source);
    vine_condition_break(&condition);
    run_core(1000 + DEADLINE_SLACK_NS);
    ASSERT_ENDED(0, 0, 1);
    ASSERT_ENDED(1, -ECANCELED, 2);
    ASSERT_ENDED(2, -ECANCELED, 3);
    ASSERT_ENDED(3, -ECANCELED, 4);
    assert_true(core_is_idle());
    vine_abort_source_fini(&source);
    vine_condition_fini(&condition);
}

/* One that waits anew from within its function, until it is told to end. */
static struct vine_condition again_condition;

static void wait_again(struct vine_waiting *waiting)
{
    note_end(waiting);
    if (vine_waiting_result(waiting) == 0)
        vine_condition_wait(&again_condition, waiting);
}

static void a_function_may_wait_again(void **state)
{
    (void)state;
    start_guests();
    vine_condition_init(&again_condition);
    vine_waiting_init(&guests[0].waiting, wait_again);
    vine_condition_wait(&again_condition, &guests[0].waiting);
    for (uint32_t n = 1; n < 5; n++) {
        vine_condition_broadcast(&again_condition);
        run_core(0);
        assert_int_equal(guests[0].calls, n);
    }
    vine_condition_break(&again_condition);
    run_core(0);
    assert_int_equal(guests[0].calls, 5);
    assert_int_equal(guests[0].result, -VINE_ECLOSED);
    vine_condition_fini(&again_condition);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_in_use_is_not_used_for_something_else),
        cmocka_unit_test(cancelling_who_does_not_wait_says_so),
        cmocka_unit_test(a_deadline_ends_it_and_not_before),
        cmocka_unit_test(a_deadline_that_has_passed_ends_it_but_not_at_once),
        cmocka_unit_test(neither_0_nor_forever_is_a_deadline),
        cmocka_unit_test(a_deadline_that_did_not_come_leaves_no_timer),
        cmocka_unit_test(a_deadline_is_for_one_wait),
        cmocka_unit_test(a_request_ends_all_that_wait_with_its_source),
        cmocka_unit_test(the_first_end_is_the_only_one),
        cmocka_unit_test(a_function_may_wait_again),
    };
    return cmocka_run_group_tests(tests, NULL, stop_core);
}
