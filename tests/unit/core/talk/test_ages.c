/* SPDX-License-Identifier: Apache-2.0 */
/* Since when boxes are there, by notes of some of them. The clock is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/talk/ages.h"

#define EVERY 20u

/* Boxes come, one a tick, and are noted as the appliance notes them. */
static uint64_t make(struct vine__ages *ages, uint32_t first, uint64_t now, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++, now++)
        if (vine__ages_want(ages, now, EVERY))
            vine__ages_note(ages, first + i, now);
    return now;
}

static void nothing_is_noted_more_often_than_it_has_to_be(void **state)
{
    struct vine__ages ages = {0};

    (void)state;
    assert_true(vine__ages_want(&ages, 5, EVERY));
    vine__ages_note(&ages, 1, 5);
    assert_false(vine__ages_want(&ages, 5 + EVERY, EVERY));
    assert_true(vine__ages_want(&ages, 6 + EVERY, EVERY));
    assert_false(vine__ages_want(&ages, 2, EVERY)); /* clocks of two processors differ */
    make(&ages, 2, 6, 1000);
    assert_in_range(ages.count, 45, 50);
}

static void a_box_is_never_older_than_it_is_told_to_be(void **state)
{
    struct vine__ages ages = {0};
    const uint32_t boxes = 1000000, first = UINT32_MAX - 500000; /* generations come around */
    const uint64_t now = make(&ages, first, 1000, boxes);

    (void)state;
    assert_in_range(ages.count, 2, VINE__AGES);
    for (uint32_t i = 0; i < boxes; i += 997) {
        const uint64_t age = now - (1000 + i);
        const uint64_t told = now - vine__ages_since(&ages, first + i, now);

        assert_true(told >= age);
        assert_true(told <= age + age / 3 + 2 * EVERY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_noted_more_often_than_it_has_to_be),
        cmocka_unit_test(a_box_is_never_older_than_it_is_told_to_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
