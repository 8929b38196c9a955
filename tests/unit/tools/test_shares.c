/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=tools links=procedures */
/* Who has how many shares, as an operator says it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/shares.h"
#include "tools/status.h"

static struct shares shares;

static int tear_down(void **state)
{
    (void)state;
    shares_fini(&shares);
    return 0;
}

static uint32_t of(int64_t uid, int64_t pid)
{
    const struct vine_appliance_event opened = {.uid = uid, .pid = pid};

    return shares_of(&shares, &opened);
}

static void what_is_no_rule_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "user:0",
        "user:0=",
        "user:0=0",
        "user:0=10001",
        "user:0=many",
        "0=5",
        "exe:=5",
        "exe:vine=5",
        "group:x=5",
        "user:=5",
        "user:0=5,",
        "=5",
        "user:0=5,,user:1=5",
        "user:nobody-has-this-name=5",
        "user:4294967295=5",
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(shares_init(&shares, wrong[i]), STATUS_USAGE);
        shares_fini(&shares);
    }
}

static void without_rules_all_have_the_usual_ones(void **state)
{
    (void)state;
    assert_int_equal(shares_init(&shares, NULL), STATUS_DONE);
    assert_int_equal(shares.count, 0);
    assert_int_equal(of(0, getpid()), 0);
}

static void the_first_rule_that_fits_counts(void **state)
{
    char own[512] = "", text[700];

    (void)state;
    assert_true(readlink("/proc/self/exe", own, sizeof own - 1) > 0);
    (void)snprintf(text, sizeof text, "user:7=20,exe:%s=300,user:root=50,exe:/bin/no=10000", own);
    assert_int_equal(shares_init(&shares, text), STATUS_DONE);
    assert_int_equal(shares.count, 4);
    assert_int_equal(of(7, getpid()), 20);
    assert_int_equal(of(0, getpid()), 300);
    assert_int_equal(of(0, 0), 50);    /* a process that is not known */
    assert_int_equal(of(-1, 0), 0);    /* nobody vouches for it */
    assert_int_equal(of(12345, 1), 0); /* another program */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_is_no_rule_is_refused, tear_down),
        cmocka_unit_test_teardown(without_rules_all_have_the_usual_ones, tear_down),
        cmocka_unit_test_teardown(the_first_rule_that_fits_counts, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
