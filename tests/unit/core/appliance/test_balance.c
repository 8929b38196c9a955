/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* When a core gives pipes away: by what it and the others show of themselves alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/appliance/balance.h"

#define FULL VINE__BALANCE_CORE

/* So many looks in a row; returns how many of them move. */
static uint32_t look(struct vine__balance *balance, uint32_t own, uint32_t least, uint32_t looks)
{
    uint32_t moves = 0;

    for (uint32_t i = 0; i < looks; i++)
        moves += vine__balance_look(balance, own, least) == VINE__BALANCE_MOVE;
    return moves;
}

static void one_that_is_not_busy_gives_nothing_away(void **state)
{
    struct vine__balance balance = {0};

    (void)state;
    assert_int_equal(look(&balance, VINE__BALANCE_BUSY - 1, 0, 1000), 0);
}

static void one_that_is_as_busy_as_the_others_gives_nothing_away(void **state)
{
    struct vine__balance balance = {0};

    (void)state;
    assert_int_equal(look(&balance, FULL, FULL - VINE__BALANCE_APART + 1, 1000), 0);
    assert_int_equal(look(&balance, FULL, FULL, 1000), 0);
    assert_int_equal(look(&balance, FULL, UINT32_MAX - FULL, 1000), 0);
}

static void what_does_not_last_moves_nothing(void **state)
{
    struct vine__balance balance = {0};

    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(look(&balance, FULL, 0, VINE__BALANCE_LASTING - 1), 0);
        assert_int_equal(look(&balance, FULL, FULL, 1), 0);
    }
}

static void it_measures_before_it_moves(void **state)
{
    struct vine__balance balance = {0};

    (void)state;
    assert_int_equal(vine__balance_look(&balance, FULL, 0), VINE__BALANCE_MEASURE);
    for (uint32_t i = 2; i < VINE__BALANCE_LASTING; i++)
        assert_int_equal(vine__balance_look(&balance, FULL, 0), VINE__BALANCE_STAY);
    assert_int_equal(vine__balance_look(&balance, FULL, 0), VINE__BALANCE_MOVE);
}

static void it_rests_after_a_move(void **state)
{
    struct vine__balance balance = {0};
    const uint32_t round = VINE__BALANCE_LASTING + VINE__BALANCE_REST;

    (void)state;
    assert_int_equal(look(&balance, FULL, 0, VINE__BALANCE_LASTING), 1);
    assert_int_equal(look(&balance, FULL, 0, round - 1), 0);
    assert_int_equal(look(&balance, FULL, 0, 1), 1);
    assert_int_equal(look(&balance, FULL, 0, 10 * round), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_is_not_busy_gives_nothing_away),
        cmocka_unit_test(one_that_is_as_busy_as_the_others_gives_nothing_away),
        cmocka_unit_test(what_does_not_last_moves_nothing),
        cmocka_unit_test(it_measures_before_it_moves),
        cmocka_unit_test(it_rests_after_a_move),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
