/* SPDX-License-Identifier: Apache-2.0 */
/* test: timeout=300 long=3000 */
/*
 * kill -9 of either side at random points.
 *
 * Fault model: processes die at any instruction; nothing else goes wrong. After each death the
 * survivor goes on: an appliance serves others and takes back what the dead held; an application's
 * tasks all end, each as done, failed or lost, within a second; a restarted appliance serves again.
 * A busy machine may be late now and then: at least half of the ends have to keep their second.
 */
#include "stress/kill.h"

#define SCENES 5 /* appliances that die at about the same time */

static unsigned rounds(void)
{
    return getenv("VINE_TEST_LONG") ? 5000 : 150;
}

/* Each scene has a socket of its own. */
static void go_to(unsigned scene)
{
    (void)snprintf(path, sizeof path, "%s/socket%u", folder, scene);
}

static void dead_applications_leave_nothing_in_the_appliance(void **state)
{
    const pid_t server = start(be_appliance);
    struct load load;
    int status;

    (void)state;
    open_until_it_works(&load);
    ping(&load);

    const unsigned descriptors = descriptors_of(server);
    const unsigned mappings = mappings_of(server);

    assert_true(mappings >= 2); /* both halves of our own pipe */
    for (unsigned round = 0; round < rounds(); round++) {
        const pid_t application = start(be_application);

        random_moment();
        assert_int_equal(kill(application, SIGKILL), 0);
        assert_int_equal(waitpid(application, NULL, 0), application);
        ping(&load);
    }
    wait_for_release(server, descriptors, mappings);
    ping(&load);
    vine_pipe_close(load.pipe);
    kill(server, SIGTERM);
    assert_int_equal(waitpid(server, &status, 0), server);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* What a killed appliance cannot take away; the next one would take it over. */
static void remove_socket(void)
{
    char lock[128];

    (void)snprintf(lock, sizeof lock, "%s.lock", path);
    assert_int_equal(unlink(lock), 0);
    assert_int_equal(unlink(path), 0);
}

struct scene {
    pid_t server;
    pid_t applications[2];
    struct load load;
};

static void begin(struct scene *scene)
{
    scene->server = start(be_appliance);
    open_until_it_works(&scene->load);
    for (int i = 0; i < 2; i++)
        scene->applications[i] = start(be_application);
}

/* All that was issued has ended. Returns how many of the applications were late. */
static unsigned end(struct scene *scene, bool asks)
{
    unsigned late = 0;
    int status = 0;

    for (int i = 0; i < 2; i++) {
        assert_int_equal(waitpid(scene->applications[i], &status, 0), scene->applications[i]);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == WAS_LATE)
            late++;
        else
            assert_int_equal(WEXITSTATUS(status), 0);
    }
    /* Who was idle learns it from what it does next; some ask first, which is quicker. */
    if (asks)
        assert_int_equal(vine_pipe_status(scene->load.pipe), -VINE_EPEERLOST);
    assert_int_equal(vine_task_run(scene->load.pipe, scene->load.noop, NULL, HANG_NS, NULL, NULL),
                     -VINE_EPEERLOST);
    vine_pipe_close(scene->load.pipe);
    return late;
}

static void a_dead_appliance_loses_tasks_but_none_unaccounted(void **state)
{
    struct scene scenes[SCENES];
    unsigned late = 0;

    (void)state;
    for (unsigned round = 0; round < rounds(); round += SCENES) {
        for (unsigned i = 0; i < SCENES; i++) {
            go_to(i);
            begin(&scenes[i]);
        }
        for (unsigned i = 0; i < SCENES; i++) {
            random_moment();
            assert_int_equal(kill(scenes[i].server, SIGKILL), 0);
            assert_int_equal(waitpid(scenes[i].server, NULL, 0), scenes[i].server);
        }
        for (unsigned i = 0; i < SCENES; i++)
            late += end(&scenes[i], i > 0);
    }
    print_message("%u deaths, %u of %u ends were late\n", rounds(), late, 2 * rounds());
    assert_true(late <= rounds());
    for (unsigned i = 0; i < SCENES; i++) {
        go_to(i);
        remove_socket();
    }
}

static int setup(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/vine-kill-XXXXXX");
    assert_non_null(mkdtemp(folder));
    go_to(0);
    seed = getenv("VINE_TEST_SEED") ? (unsigned)strtoul(getenv("VINE_TEST_SEED"), NULL, 0)
                                    : (unsigned)getpid();
    print_message("seed %u\n", seed);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return rmdir(folder); /* nothing else lies there */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(dead_applications_leave_nothing_in_the_appliance, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_dead_appliance_loses_tasks_but_none_unaccounted, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
