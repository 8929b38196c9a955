/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Which network stacks there are, and that the options' table names the same ones. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/launch/options.h"
#include "core/network/network.h"

static void a_stack_that_is_none_is_refused_and_the_chosen_one_stays(void **state)
{
    (void)state;
    assert_int_equal(vine__network_choose_stack("posix"), 0);
    assert_int_equal(vine__network_choose_stack("posi"), -ENOENT);
    assert_int_equal(vine__network_choose_stack(""), -ENOENT);
    assert_string_equal(vine__network_stack_text(), "posix: the kernel's");
}

/* Its text is what the core's start hands on, given or not. */
static void each_word_of_the_option_names_a_stack(void **state)
{
    static char name[] = "program", words[] = "--network-stack=posix",
                other[] = "--network-stack=x";
    char *given[] = {name, words, NULL}, *wrong[] = {name, other, NULL};
    struct vine__launch_options options = {0};
    struct vine__mistakes mistakes = {0};

    (void)state;
    assert_int_equal(vine__launch_options_init(&options, NULL, 2, wrong, &mistakes), -EINVAL);
    for (int argc = 1; argc <= 2; argc++) {
        assert_int_equal(vine__launch_options_init(&options, NULL, argc, given, &mistakes), 0);
        assert_int_equal(vine__network_choose_stack(options.network_stack.text), 0);
        vine__launch_options_fini(&options);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stack_that_is_none_is_refused_and_the_chosen_one_stays),
        cmocka_unit_test(each_word_of_the_option_names_a_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
