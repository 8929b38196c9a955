/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=tools links=procedures links=engine */
/* What `vine doctor` says of a machine's links: what the host tells, and what it tells no more. */
#include "harness/fake_machines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "../tools/doctor_links.h"

#define STATUS "quiet " VINE_GUEST_STATUS_OPTION FAKE_STATUS_BDF

static struct fake_host host;
static struct doctor_row rows[DOCTOR_LINK_ROWS_MAX];

static int set_up(void **state)
{
    (void)state;
    fake_start(&host);
    fake_use(&host, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fake_stop(&host);
    return 0;
}

static const struct doctor_row *row_of(const char *name)
{
    const size_t count = doctor_links(rows);

    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

static void a_link_that_is_there_is_one_row(void **state)
{
    (void)state;
    fake_plug(&host, 0, "zip");
    fake_set_command_line(&host, 0, STATUS " vine.link=zip,application,0");
    assert_non_null(row_of("link zip"));
    assert_null(strstr(row_of("link zip")->finding.what, "unplugged"));
    assert_non_null(strstr(row_of("status page")->finding.what, "1 link in"));
    assert_int_equal(doctor_links(rows), 3);
}

static void a_link_of_the_start_that_is_no_more_is_told(void **state)
{
    const struct doctor_row *row;

    (void)state;
    fake_plug(&host, 0, "zip");
    fake_set_command_line(&host, 0,
                          STATUS " vine.link=zip,application,0 vine.link=gone,"
                                 "application,3 vine.link= vine.link=half,appliance");
    row = row_of("link gone");
    assert_non_null(row);
    assert_int_equal(row->finding.verdict, DOCTOR_PARTLY);
    assert_string_equal(row->finding.what,
                        "was in place 3 when this machine started; unplugged since");
    assert_int_equal(doctor_links(rows), 4);
    fake_unplug(&host, 0);
    assert_non_null(row_of("link zip"));
    assert_non_null(strstr(row_of("link zip")->finding.what, "unplugged"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_link_that_is_there_is_one_row, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_link_of_the_start_that_is_no_more_is_told, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
