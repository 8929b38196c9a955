/* SPDX-License-Identifier: Apache-2.0 */
#include "utils/bits.h"
#include "utils/tables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_sum_that_wraps_is_refused_and_stores_nothing(void **state)
{
    (void)state;
    uint64_t result = 7;
    assert_true(vine__add_overflows_u64(UINT64_MAX, 1, &result));
    assert_true(vine__add_overflows_u64(1, UINT64_MAX, &result));
    assert_true(vine__add_overflows_u64(UINT64_MAX, UINT64_MAX, &result));
    assert_int_equal(result, 7);
    assert_false(vine__add_overflows_u64(UINT64_MAX, 0, &result));
    assert_true(result == UINT64_MAX);
}

static void a_product_that_wraps_is_refused_and_stores_nothing(void **state)
{
    (void)state;
    uint64_t result = 7;
    assert_true(vine__multiply_overflows_u64(UINT64_C(1) << 32, UINT64_C(1) << 32, &result));
    assert_int_equal(result, 7);
    assert_false(vine__multiply_overflows_u64(UINT64_C(1) << 32, (UINT64_C(1) << 32) - 1, &result));
    assert_true(result == ((UINT64_C(1) << 32) - 1) << 32);
}

static void rounding_up_beyond_64_bits_is_refused(void **state)
{
    (void)state;
    uint64_t result = 7;
    assert_true(vine__round_up_overflows_u64(UINT64_MAX, 2, &result));
    assert_true(vine__round_up_overflows_u64(UINT64_MAX - 4094, 4096, &result));
    assert_int_equal(result, 7);
    assert_false(vine__round_up_overflows_u64(UINT64_MAX - 4095, 4096, &result));
    assert_true(result == UINT64_MAX - 4095);
    assert_false(vine__round_up_overflows_u64(UINT64_MAX, 1, &result));
    assert_true(result == UINT64_MAX);
}

static void a_range_beyond_its_limit_is_refused_also_where_the_sum_would_wrap(void **state)
{
    (void)state;
    assert_false(vine__range_is_within_u64(1, UINT64_MAX, 100));
    assert_false(vine__range_is_within_u64(UINT64_MAX, 1, 100));
    assert_false(vine__range_is_within_u64(UINT64_MAX, UINT64_MAX, 100));
    assert_false(vine__range_is_within_u64(100, 1, 100));
    assert_false(vine__range_is_within_u64(101, 0, 100));
    assert_true(vine__range_is_within_u64(100, 0, 100));
    assert_true(vine__range_is_within_u64(0, 100, 100));
    assert_true(vine__range_is_within_u64(99, 1, 100));
}

static void powers_of_two_are_told_from_others(void **state)
{
    (void)state;
    assert_false(vine__is_power_of_two_u64(0));
    for (uint32_t i = 0; i < 64; i++) {
        const uint64_t power = UINT64_C(1) << i;
        assert_true(vine__is_power_of_two_u64(power));
        assert_int_equal(vine__log2_u64(power), i);
        assert_int_equal(vine__lowest_bit_u64(power), i);
        assert_true(vine__ceil_power_of_two_u64(power) == power);
        if (i > 1) {
            assert_false(vine__is_power_of_two_u64(power - 1));
            assert_int_equal(vine__log2_u64(power - 1), i - 1);
            assert_true(vine__ceil_power_of_two_u64(power - 1) == power);
        }
        if (i > 1 && i < 63)
            assert_true(vine__ceil_power_of_two_u64(power + 1) == power << 1);
    }
    assert_int_equal(vine__ceil_power_of_two_u64(0), 1);
}

static void rounding_keeps_multiples(void **state)
{
    (void)state;
    assert_int_equal(vine__round_up_u64(0, 64), 0);
    assert_int_equal(vine__round_up_u64(1, 64), 64);
    assert_int_equal(vine__round_up_u64(64, 64), 64);
    assert_int_equal(vine__round_down_u64(127, 64), 64);
    assert_int_equal(vine__round_down_u64(64, 64), 64);
    assert_true(vine__is_aligned_u64(128, 64));
    assert_false(vine__is_aligned_u64(129, 64));
    assert_int_equal(vine__min_u64(1, 2), 1);
    assert_int_equal(vine__max_u64(1, 2), 2);
}

#define COLOURS(X)                                                                                 \
    X(RED, "red")                                                                                  \
    X(GREEN, "green")                                                                              \
    X(BLUE, "blue")
enum colour { COLOURS(VINE_TABLE_FIRST_COMMA) };
static const char *const colour_names[] = {COLOURS(VINE_TABLE_SECOND_COMMA)};

static void a_table_gives_the_same_rows_everywhere(void **state)
{
    (void)state;
    assert_int_equal(VINE_TABLE_COUNT(COLOURS), 3);
    assert_int_equal(VINE_ARRAY_COUNT(colour_names), 3);
    assert_string_equal(colour_names[BLUE], "blue");
    assert_string_equal(VINE_STRINGIFY(VINE_TABLE_ONE(0)), "+1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sum_that_wraps_is_refused_and_stores_nothing),
        cmocka_unit_test(a_product_that_wraps_is_refused_and_stores_nothing),
        cmocka_unit_test(rounding_up_beyond_64_bits_is_refused),
        cmocka_unit_test(a_range_beyond_its_limit_is_refused_also_where_the_sum_would_wrap),
        cmocka_unit_test(powers_of_two_are_told_from_others),
        cmocka_unit_test(rounding_keeps_multiples),
        cmocka_unit_test(a_table_gives_the_same_rows_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
