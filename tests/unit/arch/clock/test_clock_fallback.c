/* SPDX-License-Identifier: Apache-2.0 */
/* The clock on a machine without a steady counter. */
#include "arch/clock/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void without_a_counter_ticks_are_nanoseconds(void **state)
{
    (void)state;
    const uint64_t before_ns = vine__clock_now_ns();
    const uint64_t ticks = vine__clock_ticks();
    const uint64_t after_ns = vine__clock_now_ns();
    assert_true(before_ns <= ticks && ticks <= after_ns);
    assert_true(vine__clock_ticks_to_ns(123456789) == 123456789);
    assert_true(vine__clock_ns_to_ticks(123456789) == 123456789);
    assert_true(vine__clock_ticks_to_ns(UINT64_MAX) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_counter_ticks_are_nanoseconds),
    };
    /* What the first caller would find out. */
    vine__store_release_u32(&vine__clock_source_word, VINE__CLOCK_MONOTONIC);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
