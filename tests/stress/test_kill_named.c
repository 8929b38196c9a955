/* SPDX-License-Identifier: Apache-2.0 */
/* test: long=3000 */
/*
 * kill -9 of either side of a named segment at random points, which nobody tells the other of.
 *
 * Fault model: processes die at any instruction; nothing else goes wrong. The next application is
 * served, whatever the last one left; a next appliance takes the segment over; an application's
 * tasks all end, each as done, failed or lost, within a second in which the machine runs it; one
 * that goes on with the next appliance loses no task that may run twice, and no byte of a result;
 * and nothing stays, neither a descriptor or mapping in who survived nor a name when the last
 * appliance has gone.
 */
#include "harness/emulator.h"
#include "harness/folder.h"
#include "stress/stay.h"

#include <sys/stat.h>

static unsigned rounds(void)
{
    return getenv("VINE_TEST_LONG") ? 1000 : 20;
}

static const char *kind; /* "file:" or "shm:" */

static void make_address(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/vine-kill-XXXXXX");
    assert_int_equal(folder_make(folder), 0);
    if (strcmp(kind, "file:") == 0)
        (void)snprintf(path, sizeof path, "file:%s/segment", folder);
    else
        (void)snprintf(path, sizeof path, "shm:vine-kill-%d", (int)getpid());
    half_name = strrchr(path, '/') != NULL ? strrchr(path, '/') : strchr(path, ':') + 1;
}

static bool has_name(void)
{
    struct stat status;
    char name[sizeof path + 16];

    (void)snprintf(name, sizeof name, "%s%s", strcmp(kind, "file:") == 0 ? "" : "/dev/shm/",
                   path + strlen(kind));
    return lstat(name, &status) == 0;
}

/* Until it has an appliance and nobody else; what an application can do is done once. */
static void use_once(void)
{
    struct load load;

    open_until_it_works(&load);
    ping(&load);
    vine_pipe_close(load.pipe);
}

/* The last appliance goes by itself, and takes the name with it. */
static void end_appliance(pid_t server)
{
    int status;

    assert_true(has_name());
    assert_int_equal(kill(server, SIGTERM), 0);
    assert_int_equal(waitpid(server, &status, 0), server);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_false(has_name());
}

static void dead_applications_leave_nothing_in_the_appliance(void **state)
{
    skip_if_emulated("tells a process another start time of itself than others see");
    const pid_t server = start(be_appliance);

    (void)state;
    use_once();

    const unsigned descriptors = descriptors_of(server);
    const unsigned mappings = mappings_of(server);

    assert_true(mappings >= 1);
    for (unsigned round = 0; round < rounds(); round++) {
        die(start(be_application));
        /* The next one comes at once, or after one that leaves in good order. */
        if (round % 4 == 0)
            use_once();
    }
    use_once();
    wait_for_release(server, descriptors, mappings);
    end_appliance(server);
}

static void a_dead_appliance_loses_tasks_but_none_unaccounted(void **state)
{
    skip_if_emulated("tells a process another start time of itself than others see");
    unsigned late = 0;
    pid_t server = start(be_appliance);

    (void)state;
    for (unsigned round = 0; round < rounds(); round++) {
        int status;

        use_once();
        death->died_ns = 0;

        const pid_t application = start(be_application);

        die(server);
        __atomic_store_n(&death->died_ns, now_ns(), __ATOMIC_RELAXED);
        assert_int_equal(waitpid(application, &status, 0), application);
        assert_true(WIFEXITED(status));
        late += WEXITSTATUS(status) == WAS_LATE;
        if (WEXITSTATUS(status) != WAS_LATE)
            assert_int_equal(WEXITSTATUS(status), 0);
        /* What the dead one left is taken over. */
        server = start(be_appliance);
    }
    print_message("%u deaths; tasks ended within %llu ms\n", rounds(),
                  (unsigned long long)(death->worst_ns / 1000000));
    assert_int_equal(late, 0);
    use_once();
    end_appliance(server);
}

static void two_that_die_one_after_the_other_keep_nobody_out(void **state)
{
    skip_if_emulated("tells a process another start time of itself than others see");
    pid_t server = start(be_appliance);

    (void)state;
    for (unsigned round = 0; round < rounds(); round++) {
        use_once();

        const pid_t application = start(be_application);

        if (rand_r(&seed) % 2 == 0) {
            die(server);
            die(application);
        } else {
            die(application);
            die(server);
        }
        server = start(be_appliance);
    }
    use_once();
    end_appliance(server);
}

/* ---- one that goes on ------------------------------------------------------------------------ */

static void an_application_that_goes_on_loses_nothing_that_may_run_twice(void **state)
{
    skip_if_emulated("tells a process another start time of itself than others see");
    pid_t server = start(be_appliance);

    (void)state;
    use_once();
    server = have_it_stay(server, rounds(), be_appliance, be_one_that_stays);
    use_once();
    end_appliance(server);
}

static void one_that_dies_while_it_waits_keeps_nobody_out(void **state)
{
    skip_if_emulated("tells a process another start time of itself than others see");
    pid_t server = start(be_appliance);

    (void)state;
    for (unsigned round = 0; round < rounds(); round++) {
        use_once();
        memset(stay, 0, sizeof *stay);

        const pid_t application = start(be_one_that_stays);

        die(server);
        if (rand_r(&seed) % 2 == 0)
            random_moment();
        server = start(be_appliance);
        die(application);
    }
    use_once();
    end_appliance(server);
}

static int setup(void **state)
{
    kind = *state;
    make_address();
    share_deaths(1);
    share_stay();
    print_message("%s\n", path);
    choose_seed();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return rmdir(folder); /* nothing else lies there */
}

#define KILL(test, kind) cmocka_unit_test_prestate_setup_teardown(test, setup, teardown, kind)

int main(void)
{
    static char file[] = "file:";
    static char shm[] = "shm:";
    const struct CMUnitTest tests[] = {
        KILL(dead_applications_leave_nothing_in_the_appliance, file),
        KILL(dead_applications_leave_nothing_in_the_appliance, shm),
        KILL(a_dead_appliance_loses_tasks_but_none_unaccounted, file),
        KILL(a_dead_appliance_loses_tasks_but_none_unaccounted, shm),
        KILL(two_that_die_one_after_the_other_keep_nobody_out, file),
        KILL(two_that_die_one_after_the_other_keep_nobody_out, shm),
        KILL(an_application_that_goes_on_loses_nothing_that_may_run_twice, file),
        KILL(an_application_that_goes_on_loses_nothing_that_may_run_twice, shm),
        KILL(one_that_dies_while_it_waits_keeps_nobody_out, file),
        KILL(one_that_dies_while_it_waits_keeps_nobody_out, shm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
