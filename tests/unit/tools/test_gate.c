/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=tools links=procedures */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tools/gate.h"

enum { GREEDY = 1, MODEST, THIRD };

static struct gate gate;

static bool comes_in(struct gate_pass *pass, uint64_t owner, uint64_t needs)
{
    gate_come(&gate, pass, owner, needs);
    return gate_wait(&gate, pass, 0);
}

static void an_owner_that_holds_its_share_waits_and_others_pass(void **state)
{
    (void)state;
    struct gate_pass greedy[3], modest;

    gate_init(&gate, 100, 25);
    assert_true(comes_in(&greedy[0], GREEDY, 20));
    assert_false(comes_in(&greedy[1], GREEDY, 6));
    assert_true(comes_in(&greedy[2], GREEDY, 5)); /* fits what is left of the share */
    assert_true(comes_in(&modest, MODEST, 25));
    gate_go(&gate, &greedy[0]);
    assert_true(gate_wait(&gate, &greedy[1], 0));
    gate_go(&gate, &greedy[1]);
    gate_go(&gate, &greedy[2]);
    gate_go(&gate, &modest);
    gate_fini(&gate);
}

static void who_does_not_fit_is_not_passed_by_small_ones(void **state)
{
    (void)state;
    struct gate_pass first, large, small, nothing;

    gate_init(&gate, 100, 25);
    assert_true(comes_in(&first, GREEDY, 25));
    assert_false(comes_in(&large, MODEST, 90)); /* more than a share, and alone of its owner */
    assert_false(comes_in(&small, THIRD, 1));
    assert_true(comes_in(&nothing, THIRD, 0)); /* takes nothing from anybody */
    gate_go(&gate, &first);
    assert_true(gate_wait(&gate, &large, 0));
    assert_true(gate_wait(&gate, &small, 0));
    gate_go(&gate, &large);
    gate_go(&gate, &small);
    gate_go(&gate, &nothing);
    gate_fini(&gate);
}

static void what_needs_more_than_there_is_comes_in_alone(void **state)
{
    (void)state;
    struct gate_pass huge, small;

    gate_init(&gate, 100, 25);
    assert_true(comes_in(&huge, GREEDY, UINT64_MAX));
    assert_false(comes_in(&small, MODEST, 1));
    gate_go(&gate, &huge);
    assert_true(gate_wait(&gate, &small, 0));
    gate_go(&gate, &small);
    gate_fini(&gate);
}

static void who_goes_before_it_was_let_in_takes_nothing_away(void **state)
{
    (void)state;
    struct gate_pass first, waiting, next;

    gate_init(&gate, 100, 100);
    assert_true(comes_in(&first, GREEDY, 60));
    assert_false(comes_in(&waiting, MODEST, 60));
    assert_false(comes_in(&next, THIRD, 40));
    gate_go(&gate, &waiting);
    assert_true(gate_wait(&gate, &next, 0));
    gate_go(&gate, &first);
    gate_go(&gate, &next);
    assert_int_equal(gate.used, 0);
    gate_fini(&gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_owner_that_holds_its_share_waits_and_others_pass),
        cmocka_unit_test(who_does_not_fit_is_not_passed_by_small_ones),
        cmocka_unit_test(what_needs_more_than_there_is_comes_in_alone),
        cmocka_unit_test(who_goes_before_it_was_let_in_takes_nothing_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
