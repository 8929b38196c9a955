/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine timeout=1200 long=5400 */
/*
 * What is killed under load at a link between machines, and what the others notice of it.
 *
 * Fault model: kill -9, at any moment, of an application in a machine that lives, of the appliance
 * in a machine that lives, of the QEMU of either, and of the server of doorbells. Three machines:
 * `zip` serves, `app` suffers, `two` must not notice what befalls `app`. All data that crosses is
 * random and compared byte by byte.
 */
#include "vm/machines.h"

#include <dirent.h>

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

/* ---- what is held ---------------------------------------------------------------------------- */

/* What a process holds that it may fail to give back. */
struct use {
    unsigned long pid;
    unsigned long anonymous, room; /* KiB of its own, and of its address space */
    unsigned mapped;               /* mappings of files, devices and shared memory */
    unsigned files;                /* descriptors */
};

/* The three that outlive what is killed, where they are not the victim. */
struct uses {
    struct use run, bells, appliance;
};

static unsigned long number_of(const char *path, const char *key)
{
    char line[512];
    unsigned long number = 0;
    FILE *const file = fopen(path, "re");

    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        if (key == NULL)
            number += strchr(line, '/') != NULL;
        else if (strncmp(line, key, strlen(key)) == 0)
            number = strtoul(line + strlen(key), NULL, 10);
    }
    (void)fclose(file);
    return number;
}

static struct use use_of(pid_t pid)
{
    char path[64];
    struct use use = {.pid = (unsigned long)pid};

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    use.anonymous = number_of(path, "RssAnon:");
    use.room = number_of(path, "VmSize:");
    (void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
    use.mapped = (unsigned)number_of(path, NULL);
    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *const folder = opendir(path);

    assert_non_null(folder);
    while (readdir(folder) != NULL)
        use.files++;
    (void)closedir(folder);
    return use;
}

/* As its machine says it next. */
static struct use use_of_appliance(void)
{
    const size_t at = expect_line(&run, run.count, "zip", "watch: pid");
    struct use use = {0};

    assert_int_equal(sscanf(run.lines[at].text,
                            "watch: pid %lu anonymous %lu room %lu mapped %u files %u", &use.pid,
                            &use.anonymous, &use.room, &use.mapped, &use.files),
                     5);
    return use;
}

static struct uses uses_now(void)
{
    return (struct uses){
        .run = use_of(run.pid), .bells = use_of(bells_of(&run)), .appliance = use_of_appliance()};
}

static bool has_grown(const struct use *before, const struct use *after)
{
    return after->files > before->files || after->mapped > before->mapped ||
           after->anonymous > before->anonymous + 4096 || after->room > before->room + 40 * 1024;
}

static void print_use(const char *who, const struct use *before, const struct use *after)
{
    print_message("%s: %lu KiB of its own, %lu of room, %u mapped, %u files; then %lu, %lu, %u, "
                  "%u\n",
                  who, before->anonymous, before->room, before->mapped, before->files,
                  after->anonymous, after->room, after->mapped, after->files);
}

/* What has ended may still be about to be given back; what was lost never is. */
static void have_not_grown(const struct uses *before)
{
    const uint64_t begin_ns = vine__clock_now_ns();
    struct uses after;
    bool grown;

    do {
        after = uses_now();
        grown = has_grown(&before->run, &after.run) || has_grown(&before->bells, &after.bells) ||
                has_grown(&before->appliance, &after.appliance);
    } while (grown && vine__clock_now_ns() - begin_ns < GUARD_NS);
    print_use("vine guest run", &before->run, &after.run);
    print_use("the server of bells", &before->bells, &after.bells);
    print_use("the appliance", &before->appliance, &after.appliance);
    assert_false(grown);
}

/* ---- what is said ---------------------------------------------------------------------------- */

static void nothing_is_wrong(void)
{
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
    struct uses before = {0};

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
            before = uses_now();
    }
    times_judge(&told, "kills of an application's QEMU; the appliance is told after");
    times_print(&again, "... and the machine, started anew, is served after");
    have_not_grown(&before);
    assert_int_equal(use_of_appliance().pid, before.appliance.pid);
    nothing_is_wrong();
}

static void the_appliances_killed_qemu_is_told_to_all_applications(void **state)
{
    static const char *const machines[] = {"app", "two"};
    struct times told = {0}, again = {0};
    const struct uses before = uses_now();

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
    times_judge(&told, "kills of the appliance's QEMU; an application is told after");
    times_print(&again, "... and is served by the next one after");
    have_not_grown(&before);
    nothing_is_wrong();
}

static void without_the_server_of_doorbells_all_goes_on(void **state)
{
    struct times again = {0};
    struct uses before = {0};

    (void)state;
    for (unsigned i = 0; i < rounds(2); i++) {
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
        /* The server's is that of a new one, which has this machine alone. */
        if (i == 0)
            before = uses_now();
    }
    times_print(&again, "kills of the server of bells; a machine started then is served after");
    have_not_grown(&before);
    nothing_is_wrong();
}

/* ---- in machines that live ------------------------------------------------------------------- */

static void killed_applications_of_a_living_machine_leave_room_for_the_next(void **state)
{
    char inner[4096];
    struct machines *const outer = &run;
    struct times told = {0}, told_by_next = {0};
    size_t closed = 0;

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
    const struct uses before = uses_now();
    const size_t at = expect_line(outer, 0, "app", "killed ended with");

    print_message("%s\n", outer->lines[expect_line(outer, 0, "app", "the next one served")].text);
    assert_non_null(strstr(outer->lines[at].text, "killed ended with 0"));
    /* Lines of two machines may come to us in another order than they were said in. */
    for (size_t i = 0; i < at; i++) {
        unsigned number;

        if (sscanf(outer->lines[i].text, "killed: number %u", &number) != 1)
            continue;
        closed = expect_line(outer, closed, "zip", "closed: ") + 1;
        const uint64_t killed_ns = outer->lines[i].ns, closed_ns = outer->lines[closed - 1].ns;

        times_add(number % 2 == 0 ? &told : &told_by_next,
                  closed_ns > killed_ns ? closed_ns - killed_ns : 0);
    }
    assert_int_equal(told.count + told_by_next.count, rounds(6));
    times_judge(&told, "kills of an application in a machine that lives; the appliance is told "
                       "after");
    times_judge(&told_by_next, "... and where another one follows at once, after");
    have_not_grown(&before);
    assert_int_equal(use_of_appliance().pid, before.appliance.pid);
    /* As many as were killed, so that none was taken for another's. */
    refuse_line(outer, closed, "zip", "closed: ");
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
                         "'start watch /link watch appliance',"
                         "'start killer /link killer appliance 4000']},"
                         "{'name': 'app', @, 'init': ['start load /link load pci:one']}],"
                         "'links': [{'name': 'one', 'application': 'app', 'appliance': 'zip', "
                         "'size': '16M'}]}");
    (void)expect_line(&run, 0, "app", "served");
    const struct uses before = uses_now();

    for (unsigned i = 0; i < rounds(2); i++) {
        at = expect_line(&run, at, "zip", "killer: number");
        const uint64_t killed_ns = run.lines[at].ns;

        times_add(&told, run.lines[expect_line(&run, at, "app", "lost")].ns - killed_ns);
        times_add(&again, run.lines[expect_line(&run, at, "app", "served")].ns - killed_ns);
        at++;
    }
    times_judge(&told, "kills of an appliance in a machine that lives; told after");
    times_print(&again, "... and served by the next one after");
    have_not_grown(&before);
    machines_end(&run);
}

/* A pattern of names says which of them. */
int main(int argc, char **argv)
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
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    srand((unsigned)vine__clock_now_ns());
    return cmocka_run_group_tests(tests, set_up, tear_down) +
           cmocka_run_group_tests(inner_tests, NULL, NULL);
}
