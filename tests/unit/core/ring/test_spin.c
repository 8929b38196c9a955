/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a spinner makes of its offers of the processor, with a clock of the test's own and a
 * processor on which others run for as long as the test says.
 */
#include "arch/clock/clock.h"
#include "arch/wake/yield.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static uint64_t now;
static uint64_t others_run; /* how long each offer takes */
static unsigned offers;

static void offer(void)
{
    offers++;
    now += others_run;
}

#define vine__clock_ticks() now
#define vine__yield()       offer()
#include "core/ring/spin.h"

#define DECLINED 300
#define MOMENT   3000
#define LONG     3000000
#define LOOK     20

/* Looks so often without finding anything. Returns how many of them it was. */
static unsigned look(struct vine_spinner *spinner, struct vine__spin *spin, unsigned count)
{
    unsigned looked = 0;

    while (looked < count && vine__spin_step(spinner, spin, now)) {
        now += LOOK;
        looked++;
    }
    return looked;
}

static struct vine_spinner make(uint64_t taken_for)
{
    now = 1000000;
    others_run = taken_for;
    offers = 0;
    return (struct vine_spinner){.yield_ticks = VINE__SPIN_YIELD_NS,
                                 .taken_ticks = VINE__SPIN_TAKEN_NS,
                                 .crowded_ticks = VINE__SPIN_CROWDED_NS};
}

static void who_is_alone_spins_on_and_offers_now_and_then(void **state)
{
    (void)state;
    struct vine_spinner spinner = make(DECLINED);
    struct vine__spin spin;

    for (int wait = 0; wait < 100; wait++) {
        assert_true(vine__spin_begin(&spinner, &spin, now));
        assert_int_equal(look(&spinner, &spin, 1000), 1000);
        vine__spin_found(&spinner, &spin);
    }
    /* 20 us of looking, an offer after each 4. */
    assert_in_range(offers, 400, 600);
    assert_int_equal(spinner.crowded, 0);
}

static void who_shares_its_processor_begins_with_an_offer(void **state)
{
    (void)state;
    struct vine_spinner spinner = make(MOMENT);
    struct vine__spin spin;

    assert_true(vine__spin_begin(&spinner, &spin, now));
    while (offers == 0)
        assert_int_equal(look(&spinner, &spin, 1), 1);
    vine__spin_found(&spinner, &spin);
    for (unsigned wait = 1; wait < 1000; wait++) {
        assert_true(vine__spin_begin(&spinner, &spin, now));
        assert_int_equal(look(&spinner, &spin, 1), 1);
        assert_int_equal(offers, 1 + wait);
        vine__spin_found(&spinner, &spin);
    }
    /* The other side has gone to a processor of its own: one offer tells. */
    others_run = DECLINED;
    assert_true(vine__spin_begin(&spinner, &spin, now));
    assert_int_equal(look(&spinner, &spin, 1), 1);
    vine__spin_found(&spinner, &spin);
    offers = 0;
    assert_true(vine__spin_begin(&spinner, &spin, now));
    assert_int_equal(look(&spinner, &spin, 1), 1);
    assert_int_equal(offers, 0);
}

static void a_processor_that_strangers_want_is_left_to_them_for_some_waits(void **state)
{
    (void)state;
    static const unsigned calm[] = {1, 2, 4, 8, 16, 32, 64, 64};
    struct vine_spinner spinner = make(LONG);
    struct vine__spin spin;

    for (unsigned times = 1; times <= 8; times++) {
        assert_true(vine__spin_begin(&spinner, &spin, now));
        assert_true(look(&spinner, &spin, 1000) < 1000);
        assert_int_equal(offers, times);
        assert_int_equal(spinner.crowded, times);
        for (unsigned wait = 0; wait < calm[times - 1]; wait++)
            assert_false(vine__spin_begin(&spinner, &spin, now));
    }
    others_run = DECLINED;
    assert_true(vine__spin_begin(&spinner, &spin, now));
    assert_int_equal(look(&spinner, &spin, 1000), 1000);
    assert_int_equal(spinner.crowded, 8);
}

static void to_be_taken_from_now_and_then_costs_a_wait(void **state)
{
    (void)state;
    struct vine_spinner spinner = make(DECLINED);
    struct vine__spin spin;

    for (unsigned times = 0; times < 100; times++) {
        others_run = LONG;
        assert_true(vine__spin_begin(&spinner, &spin, now));
        assert_true(look(&spinner, &spin, 1000) < 1000);
        assert_false(vine__spin_begin(&spinner, &spin, now));
        others_run = DECLINED;
        for (unsigned wait = 0; wait < 10; wait++) {
            assert_true(vine__spin_begin(&spinner, &spin, now));
            assert_int_equal(look(&spinner, &spin, 10), 10);
            vine__spin_found(&spinner, &spin);
        }
    }
}

static void what_comes_while_others_run_for_long_is_no_reason_to_change(void **state)
{
    (void)state;
    struct vine_spinner spinner = make(LONG);
    struct vine__spin spin;

    for (unsigned wait = 1; wait < 10; wait++) {
        assert_true(vine__spin_begin(&spinner, &spin, now));
        while (offers < wait)
            assert_int_equal(look(&spinner, &spin, 1), 1);
        assert_int_equal(spinner.together, 0);
        vine__spin_found(&spinner, &spin); /* the other side worked for us meanwhile */
    }
    assert_int_equal(spinner.crowded, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_alone_spins_on_and_offers_now_and_then),
        cmocka_unit_test(who_shares_its_processor_begins_with_an_offer),
        cmocka_unit_test(a_processor_that_strangers_want_is_left_to_them_for_some_waits),
        cmocka_unit_test(to_be_taken_from_now_and_then_costs_a_wait),
        cmocka_unit_test(what_comes_while_others_run_for_long_is_no_reason_to_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
