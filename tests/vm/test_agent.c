/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine timeout=1200 */
/*
 * Several applications of one machine share its link through `vine agent`, and several threads the
 * channels of another one.
 *
 * Fault model: kill -9 of an application whose task runs at the far appliance, of another one that
 * is under load, and of the agent. Each application compares every byte.
 */
#include "vm/machines.h"

static struct machines run;

static const char plan[] =
    "'machines': ["
    "{'name': 'zip', 'kernel_options': ['quiet'], "
    "'files': {'procs/endless.so': '$/plugins/endless.so'}, 'init': ["
    "'keep appliance /usr/bin/vine appliance --listen pci:auto -v --workers 3 --procs /procs']},"
    "{'name': 'app', @, 'init': ["
    "'keep agent /usr/bin/vine agent --wait --verbose --appliance pci:many --listen /run/agent',"
    "'start apps /link agent /run/agent', 'start threads /link threads pci:few 4']}],"
    "'links': [{'name': 'many', 'application': 'app', 'appliance': 'zip', 'size': '16M'},"
    "{'name': 'few', 'application': 'app', 'appliance': 'zip', 'size': '1M'}]}";

static int set_up(void **state)
{
    (void)state;
    machines_start(&run, plan);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    refuse_line(&run, 0, "zip", "appliance ended");
    refuse_line(&run, 0, "zip", "appliance was ended");
    machines_end(&run);
    return 0;
}

static void a_killed_applications_task_ends_at_the_far_side(void **state)
{
    (void)state;
    (void)expect_line(&run, 0, "app", "agent: endless is killed");
    refuse_line(&run, 0, "app", "endless: ");
    (void)expect_line(&run, 0, "zip", "endless: nobody wants it");
    /* The agent lives meanwhile. */
    (void)expect_line(&run, 0, "app", "agent: three is killed");
}

static void the_others_go_on_when_one_is_killed(void **state)
{
    const size_t at = expect_line(&run, 0, "app", "agent: three is killed");
    const size_t end = expect_line(&run, at, "app", "agent: it is killed itself");

    (void)state;
    for (size_t i = at; i < end; i++)
        assert_false(line_is(&run.lines[i], "app", "line", ": lost"));
}

static void the_agents_death_is_told_and_the_next_one_serves(void **state)
{
    const size_t at = expect_line(&run, 0, "app", "agent: it is killed itself");

    (void)state;
    (void)expect_line(&run, at, "zip", "closed: ");
    for (size_t i = 0; i < 2; i++) {
        const char *const names[] = {"one", "two"};
        char text[48];

        (void)snprintf(text, sizeof(text), "load %s: lost", names[i]);
        const size_t lost = expect_line(&run, at, "app", text);

        (void)snprintf(text, sizeof(text), "load %s: served", names[i]);
        (void)expect_line(&run, lost, "app", text);
    }
}

static void threads_beyond_the_channels_are_told(void **state)
{
    (void)state;
    (void)expect_line(&run, 0, "app",
                      "threads: 3 of 4 share one of 2 channels; their appliance says 1: 4");
    (void)expect_line(&run, 0, "app", "threads: 0 share when they have ended");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_applications_task_ends_at_the_far_side),
        cmocka_unit_test(the_others_go_on_when_one_is_killed),
        cmocka_unit_test(the_agents_death_is_told_and_the_next_one_serves),
        cmocka_unit_test(threads_beyond_the_channels_are_told),
    };
    const int status = machines_prepare();

    return status != 0 ? status : cmocka_run_group_tests(tests, set_up, tear_down);
}
