/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine timeout=600 long=3600 */
/*
 * What is killed under load at a link between machines, and what the others notice of it.
 *
 * Fault model: kill -9, at any moment, of an application in a machine that lives, of the appliance
 * in a machine that lives, of the QEMU of either, and of the server of doorbells. Three machines:
 * `zip` serves, `app` suffers, `two` must not notice what befalls `app`. All data that crosses is
 * random and compared byte by byte.
 */
#include "vm/machines.h"

static struct machines run;

static const char plan[] =
    "'links_max': 3, 'machines': ["
    "{'name': 'zip', @, 'init': ["
    "'keep appliance /usr/bin/vine appliance --listen pci:auto -v',"
    "'start watch /link watch appliance']},"
    "{'name': 'app', @, 'init': ['start load /link load pci:one']},"
    "{'name': 'two', @, 'init': ['start load /link load pci:two']}],"
    "'links': [{'name': 'one', 'application': 'app', 'appliance': 'zip', 'size': '16M'},"
    "{'name': 'two', 'application': 'two', 'appliance': 'zip', 'size': '16M'}]}";

/* Memory and descriptors of the appliance, as it was seen last. */
struct use {
    unsigned long pid, anonymous, mapped;
    unsigned files;
};

static struct use use_of_appliance(void)
{
    const size_t at = expect_line(&run, run.count, "zip", "watch: pid");
    struct use use = {0};

    assert_int_equal(sscanf(run.lines[at].text, "watch: pid %lu anonymous %lu mapped %lu files %u",
                            &use.pid, &use.anonymous, &use.mapped, &use.files),
                     4);
    return use;
}

static void has_not_grown(struct use before)
{
    const struct use after = use_of_appliance();

    print_message("the appliance: %lu KiB of its own, %lu mapped, %u files; then %lu, %lu, %u\n",
                  before.anonymous, before.mapped, before.files, after.anonymous, after.mapped,
                  after.files);
    assert_int_equal(after.pid, before.pid);
    /* A pipe more or less, as the moment has it; each that was left behind would count. */
    assert_true(after.files <= before.files + 6);
    assert_true(after.anonymous <= before.anonymous + 4096);
    assert_true(after.mapped <= before.mapped + 40 * 1024);
}

static void nothing_is_wrong(void)
{
    static const char *const machines[] = {"app", "two"};

    for (size_t i = 0; i < 2; i++)
        refuse_line(&run, 0, machines[i], "WRONG");
    refuse_line(&run, 0, "zip", "appliance was ended by signal 6");
    refuse_line(&run, 0, "zip", "appliance was ended by signal 11");
}

static unsigned rounds(unsigned few)
{
    return is_long() ? 50 : few;
}

/* Something between 0 and 100 ms, so that a kill comes at any moment. */
static void any_moment(void)
{
    (void)poll(NULL, 0, rand() % 100);
}

static int set_up(void **state)
{
    (void)state;
    machines_start(&run, plan);
    (void)expect_line(&run, 0, "app", "pci:one: served");
    (void)expect_line(&run, 0, "two", "pci:two: served");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    machines_end(&run);
    return 0;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void an_applications_killed_qemu_is_told_to_the_appliance_alone(void **state)
{
    struct times told = {0}, again = {0};
    struct use before = {0};

    (void)state;
    for (unsigned i = 0; i < rounds(2); i++) {
        const pid_t pid = pid_of(&run, "app");

        any_moment();
        const size_t from = run.count;
        const uint64_t killed_ns = vine__clock_now_ns();

        assert_int_equal(kill(pid, SIGKILL), 0);
        const size_t at = expect_line(&run, from, "zip", "link one is lost");

        times_add(&told, run.lines[at].ns - killed_ns);
        (void)expect_event(&run, from, "app", "ended", "");
        tell(&run, "start app");
        const size_t served = expect_line(&run, from, "app", "pci:one: served");

        times_add(&again, run.lines[served].ns - killed_ns);
        (void)expect_lines(&run, served, "two", "good", 1);
        refuse_line(&run, from, "two", "lost");
        /* By then all has been needed once. */
        if (i == 0)
            before = use_of_appliance();
    }
    times_print(&told, "kills of an application's QEMU; the appliance is told after");
    times_print(&again, "... and the machine, started anew, is served after");
    has_not_grown(before);
    nothing_is_wrong();
}

static void the_appliances_killed_qemu_is_told_to_all_applications(void **state)
{
    static const char *const machines[] = {"app", "two"};
    struct times told = {0}, again = {0};

    (void)state;
    for (unsigned i = 0; i < rounds(1); i++) {
        const pid_t pid = pid_of(&run, "zip");

        any_moment();
        const size_t from = run.count;
        const uint64_t killed_ns = vine__clock_now_ns();

        assert_int_equal(kill(pid, SIGKILL), 0);
        for (size_t m = 0; m < 2; m++)
            times_add(&told,
                      run.lines[expect_line(&run, from, machines[m], "lost")].ns - killed_ns);
        (void)expect_event(&run, from, "zip", "ended", "");
        tell(&run, "start zip");
        for (size_t m = 0; m < 2; m++)
            times_add(&again,
                      run.lines[expect_line(&run, from, machines[m], "served")].ns - killed_ns);
    }
    times_print(&told, "kills of the appliance's QEMU; an application is told after");
    times_print(&again, "... and is served by the next one after");
    nothing_is_wrong();
}

static void without_the_server_of_doorbells_all_goes_on(void **state)
{
    struct times again = {0};

    (void)state;
    for (unsigned i = 0; i < rounds(1); i++) {
        const pid_t pid = bells_of(&run);

        any_moment();
        const size_t from = run.count;

        assert_int_equal(kill(pid, SIGKILL), 0);
        (void)expect_lines(&run, from, "app", "good", 2);
        (void)expect_lines(&run, from, "two", "good", 2);
        refuse_line(&run, from, "app", "lost");
        refuse_line(&run, from, "two", "lost");
        /* And whoever comes anew is served, by bells or without. */
        tell(&run, "kill app");
        (void)expect_event(&run, from, "app", "ended", "");
        const uint64_t started_ns = vine__clock_now_ns();

        tell(&run, "start app");
        const size_t served = expect_line(&run, from, "app", "pci:one: served");

        times_add(&again, run.lines[served].ns - started_ns);
        (void)expect_lines(&run, served, "app", "good", 1);
        assert_true(bells_of(&run) != pid);
    }
    times_print(&again, "kills of the server of bells; a machine started then is served after");
    nothing_is_wrong();
}

/* ---- in machines that live ------------------------------------------------------------------- */

static void killed_applications_of_a_living_machine_leave_room_for_the_next(void **state)
{
    char inner[4096];
    struct machines *const outer = &run;
    struct times told = {0};

    (void)state;
    (void)snprintf(inner, sizeof(inner),
                   "'machines': ["
                   "{'name': 'zip', @, 'init': ["
                   "'keep appliance /usr/bin/vine appliance --listen pci:auto -v',"
                   "'start watch /link watch appliance']},"
                   "{'name': 'app', @, 'init': ['run killed /link killed pci:one %u']}],"
                   "'links': [{'name': 'one', 'application': 'app', 'appliance': 'zip', "
                   "'size': '16M'}]}",
                   rounds(6));
    machines_start(outer, inner);
    (void)expect_line(outer, 0, "app", "killed: number 2");
    const struct use before = use_of_appliance();
    const size_t at = expect_line(outer, 0, "app", "killed ended with");

    print_message("%s\n", outer->lines[expect_line(outer, 0, "app", "the next one served")].text);
    assert_non_null(strstr(outer->lines[at].text, "killed ended with 0"));
    /* Of those that nobody followed at once. */
    for (size_t i = 0; i < at; i++) {
        unsigned number;

        if (sscanf(outer->lines[i].text, "killed: number %u", &number) != 1 || number % 2 != 0)
            continue;
        times_add(&told,
                  outer->lines[expect_line(outer, i, "zip", "closed: ")].ns - outer->lines[i].ns);
    }
    times_print(&told, "kills of an application in a machine that lives; the appliance is told "
                       "after");
    has_not_grown(before);
    refuse_line(outer, 0, "app", "WRONG");
    machines_end(outer);
}

static void a_killed_appliance_of_a_living_machine_is_followed_by_the_next(void **state)
{
    struct times told = {0}, again = {0};
    size_t at = 0;

    (void)state;
    machines_start(&run, "'machines': ["
                         "{'name': 'zip', @, 'init': ["
                         "'keep appliance /usr/bin/vine appliance --listen pci:auto -v',"
                         "'start killer /link killer appliance 4000']},"
                         "{'name': 'app', @, 'init': ['start load /link load pci:one']}],"
                         "'links': [{'name': 'one', 'application': 'app', 'appliance': 'zip', "
                         "'size': '16M'}]}");
    (void)expect_line(&run, 0, "app", "served");
    for (unsigned i = 0; i < rounds(2); i++) {
        at = expect_line(&run, at, "zip", "killer: number");
        const uint64_t killed_ns = run.lines[at].ns;

        times_add(&told, run.lines[expect_line(&run, at, "app", "lost")].ns - killed_ns);
        times_add(&again, run.lines[expect_line(&run, at, "app", "served")].ns - killed_ns);
        at++;
    }
    times_print(&told, "kills of an appliance in a machine that lives; told after");
    times_print(&again, "... and served by the next one after");
    refuse_line(&run, 0, "app", "WRONG");
    machines_end(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_applications_killed_qemu_is_told_to_the_appliance_alone),
        cmocka_unit_test(the_appliances_killed_qemu_is_told_to_all_applications),
        cmocka_unit_test(without_the_server_of_doorbells_all_goes_on),
    };
    const struct CMUnitTest inner_tests[] = {
        cmocka_unit_test(killed_applications_of_a_living_machine_leave_room_for_the_next),
        cmocka_unit_test(a_killed_appliance_of_a_living_machine_is_followed_by_the_next),
    };
    const int status = machines_prepare();

    if (status != 0)
        return status;
    srand((unsigned)vine__clock_now_ns());
    return cmocka_run_group_tests(tests, set_up, tear_down) +
           cmocka_run_group_tests(inner_tests, NULL, NULL);
}
