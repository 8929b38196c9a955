/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
#include "unit/core/sync/sync_tests.h"

#include <vine/abort.h>

#define HEARERS 4

static struct vine_abort_subscription hearers[HEARERS];
static int heard[HEARERS]; /* as which of all, from 1 */
static int heard_count;

static void hear(struct vine_abort_subscription *subscription)
{
    heard[subscription - hearers] = ++heard_count;
}

static void start(struct vine_abort_source *source)
{
    start_core();
    memset(heard, 0, sizeof(heard));
    heard_count = 0;
    vine_abort_source_init(source);
}

static void ending_a_source_that_has_a_subscription(void)
{
    struct vine_abort_source source;

    start(&source);
    if (vine_abort_subscribe(&source, &hearers[0], hear) == 0)
        vine_abort_source_fini(&source);
}

static void a_source_is_not_ended_before_its_subscriptions(void **state)
{
    (void)state;
    assert_true(fails_an_assertion(ending_a_source_that_has_a_subscription));
}

static void who_comes_too_late_is_told_and_not_called(void **state)
{
    struct vine_abort_source source;
    (void)state;

    start(&source);
    assert_false(vine_abort_is_requested(&source));
    vine_abort_request(&source);
    assert_true(vine_abort_is_requested(&source));
    assert_int_equal(vine_abort_subscribe(&source, &hearers[0], hear), -ECANCELED);
    assert_false(vine_abort_unsubscribe(&hearers[0]));
    run_core(0);
    assert_int_equal(heard_count, 0);
    vine_abort_source_fini(&source);
}

static void all_subscribers_are_called_once_in_their_order_and_not_at_once(void **state)
{
    struct vine_abort_source source;
    (void)state;

    start(&source);
    for (int n = 0; n < HEARERS; n++)
        assert_int_equal(vine_abort_subscribe(&source, &hearers[HEARERS - 1 - n], hear), 0);
    run_core(0);
    assert_int_equal(heard_count, 0);
    vine_abort_request(&source);
    vine_abort_request(&source);
    assert_int_equal(heard_count, 0);
    run_core(0);
    for (int n = 0; n < HEARERS; n++)
        assert_int_equal(heard[n], HEARERS - n);
    vine_abort_request(&source);
    run_core(0);
    assert_int_equal(heard_count, HEARERS);
    vine_abort_source_fini(&source);
}

static void who_unsubscribed_is_not_called(void **state)
{
    struct vine_abort_source source;
    (void)state;

    start(&source);
    for (int n = 0; n < HEARERS; n++)
        assert_int_equal(vine_abort_subscribe(&source, &hearers[n], hear), 0);
    assert_true(vine_abort_unsubscribe(&hearers[1]));
    assert_false(vine_abort_unsubscribe(&hearers[1]));
    assert_true(vine_abort_unsubscribe(&hearers[3]));
    vine_abort_request(&source);
    run_core(0);
    assert_int_equal(heard_count, 2);
    assert_int_equal(heard[0], 1);
    assert_int_equal(heard[2], 2);
    assert_false(vine_abort_unsubscribe(&hearers[2]));
    vine_abort_source_fini(&source);
}

static void who_unsubscribed_after_the_request_is_not_called_either(void **state)
{
    struct vine_abort_source source;
    (void)state;

    start(&source);
    for (int n = 0; n < HEARERS; n++)
        assert_int_equal(vine_abort_subscribe(&source, &hearers[n], hear), 0);
    vine_abort_request(&source);
    assert_true(vine_abort_unsubscribe(&hearers[1]));
    assert_false(vine_abort_unsubscribe(&hearers[1]));
    assert_true(vine_abort_unsubscribe(&hearers[3]));
    memset(&hearers[1], 0xa5, sizeof(hearers[1])); /* its memory is ours */
    memset(&hearers[3], 0xa5, sizeof(hearers[3]));
    vine_abort_source_fini(&source);
    memset(&source, 0xa5, sizeof(source));
    run_core(0);
    assert_int_equal(heard_count, 2);
    assert_int_equal(heard[0], 1);
    assert_int_equal(heard[2], 2);
}

static bool was_changed[HEARERS];

/* It ends its own subscription and that of the next one. */
static void hear_and_unsubscribe(struct vine_abort_subscription *subscription)
{
    hear(subscription);
    was_changed[0] = vine_abort_unsubscribe(subscription);
    was_changed[1] = vine_abort_unsubscribe(&hearers[1]);
}

static void who_is_called_first_may_unsubscribe_who_would_be_next(void **state)
{
    struct vine_abort_source source;
    (void)state;

    start(&source);
    assert_int_equal(vine_abort_subscribe(&source, &hearers[0], hear_and_unsubscribe), 0);
    assert_int_equal(vine_abort_subscribe(&source, &hearers[1], hear), 0);
    assert_int_equal(vine_abort_subscribe(&source, &hearers[2], hear), 0);
    vine_abort_request(&source);
    run_core(0);
    assert_false(was_changed[0]);
    assert_true(was_changed[1]);
    assert_int_equal(heard_count, 2);
    assert_int_equal(heard[0], 1);
    assert_int_equal(heard[2], 2);
    vine_abort_source_fini(&source);
}

static struct vine_group heard_in;

static void hear_group(struct vine_abort_subscription *subscription)
{
    hear(subscription);
    heard_in = vine_group_current();
}

static void a_subscriber_is_called_in_the_group_in_which_it_subscribed(void **state)
{
    const struct vine_group root = {0};
    struct vine_abort_source source;
    struct vine_group group;
    (void)state;

    start(&source);
    assert_int_equal(vine_group_create("hearers", 10, root, 0, &group), 0);
    const struct vine_group before = vine__group_enter(group);

    assert_int_equal(vine_abort_subscribe(&source, &hearers[0], hear_group), 0);
    (void)vine__group_enter(before);
    vine_abort_request(&source);
    run_core(0);
    assert_int_equal(heard_count, 1);
    assert_int_equal(heard_in.id, group.id);
    vine_abort_source_fini(&source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_source_is_not_ended_before_its_subscriptions),
        cmocka_unit_test(who_comes_too_late_is_told_and_not_called),
        cmocka_unit_test(all_subscribers_are_called_once_in_their_order_and_not_at_once),
        cmocka_unit_test(who_unsubscribed_is_not_called),
        cmocka_unit_test(who_unsubscribed_after_the_request_is_not_called_either),
        cmocka_unit_test(who_is_called_first_may_unsubscribe_who_would_be_next),
        cmocka_unit_test(a_subscriber_is_called_in_the_group_in_which_it_subscribed),
    };
    return cmocka_run_group_tests(tests, NULL, stop_core);
}
