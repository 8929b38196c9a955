/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime long=1800 */
/*
 * Sixty-four applications at once at an appliance on three reactors, all as busy as they can be,
 * and killed at any moment.
 *
 * Fault model: applications die at any instruction; others take their places. Whoever stays is
 * served all the while, and in the end the appliance has what it had in the beginning.
 */
#define SERVE serve_on_reactors

#include "harness/folder.h"
#include "harness/serve_on_reactors.h"
#include "stress/kill.h"

#define CROWD 64

static unsigned rounds(void)
{
    return getenv("VINE_TEST_LONG") ? 2000 : 24;
}

static void end(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_crowd_that_dies_leaves_who_stays_served(void **state)
{
    const pid_t server = start(be_appliance);
    pid_t applications[CROWD];
    struct load load;
    int status = 0;

    (void)state;
    open_until_it_works(&load);
    ping(&load);

    const unsigned descriptors = descriptors_of(server);
    const unsigned mappings = mappings_of(server);

    for (int i = 0; i < CROWD; i++)
        applications[i] = start(be_application);
    for (unsigned round = 0; round < rounds(); round++) {
        pid_t *const one = &applications[rand_r(&seed) % CROWD];

        random_moment();
        end(*one);
        *one = start(be_application);
        ping(&load);
    }
    for (int i = 0; i < CROWD; i++)
        end(applications[i]);
    wait_for_release(server, descriptors, mappings);
    ping(&load);
    vine_pipe_close(load.pipe);
    assert_int_equal(kill(server, SIGTERM), 0);
    assert_int_equal(waitpid(server, &status, 0), server);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Of each application all tasks end, as done, failed or lost. */
static void an_appliance_that_dies_under_a_crowd_loses_nothing_unaccounted(void **state)
{
    const pid_t server = start(be_appliance);
    pid_t applications[CROWD];
    struct load load;
    int status = 0;

    (void)state;
    open_until_it_works(&load);
    for (int i = 0; i < CROWD; i++)
        applications[i] = start(be_application);
    for (int i = 0; i < CROWD; i++) {
        random_moment();
        ping(&load);
    }
    vine_pipe_close(load.pipe);
    assert_int_equal(kill(server, SIGKILL), 0);
    assert_int_equal(waitpid(server, NULL, 0), server);
    for (int i = 0; i < CROWD; i++) {
        assert_int_equal(waitpid(applications[i], &status, 0), applications[i]);
        assert_true(WIFEXITED(status));
        assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == WAS_LATE);
    }
}

static int setup(void **state)
{
    (void)state;
    prepare_one();
    return 0;
}

static int teardown(void **state)
{
    char lock[128];

    (void)state;
    (void)snprintf(lock, sizeof lock, "%s.lock", path);
    (void)unlink(lock);
    (void)unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_crowd_that_dies_leaves_who_stays_served, setup, teardown),
        cmocka_unit_test_setup_teardown(
            an_appliance_that_dies_under_a_crowd_loses_nothing_unaccounted, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
