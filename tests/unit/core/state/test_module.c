/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * The tables of programs and libraries that have coroutines: known from their load to their unload.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <vine/state.h>

#include "core/state/state.h"

#define MANY 1000 /* more than there are numbers */

static void a_module_that_is_gone_is_none(void **state)
{
    static const struct vine_coroutine_type types[1];
    struct vine__module module = {.types = types, .types_end = types + 1};

    (void)state;
    vine__module_add(&module);
    const uint32_t number = module.number;
    assert_in_range(number, 1, vine__module_count());
    assert_ptr_equal(vine__module_at(number), &module);
    assert_ptr_equal(vine__type_of(number, 0), types);
    vine__module_add(&module); /* each of its files does */
    assert_int_equal(module.number, number);

    vine__module_drop(&module);
    assert_null(vine__module_at(number));
    assert_null(vine__type_of(number, 0));
    assert_null(vine__point_of(number, 1));
    vine__module_drop(&module);
}

static void numbers_are_used_again(void **state)
{
    struct vine__module stays = {.number = 0}, comes = {.number = 0};

    (void)state;
    vine__module_add(&stays);
    for (int i = 0; i < MANY; i++) {
        vine__module_add(&comes);
        assert_int_not_equal(comes.number, stays.number);
        assert_ptr_equal(vine__module_at(comes.number), &comes);
        vine__module_drop(&comes);
    }
    assert_ptr_equal(vine__module_at(stays.number), &stays);
    vine__module_drop(&stays);
}

static void a_number_that_nobody_can_have_is_none(void **state)
{
    (void)state;
    assert_null(vine__module_at(0));
    assert_null(vine__module_at(255));
    assert_null(vine__module_at(256));
    assert_null(vine__module_at(UINT32_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_module_that_is_gone_is_none),
        cmocka_unit_test(numbers_are_used_again),
        cmocka_unit_test(a_number_that_nobody_can_have_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
