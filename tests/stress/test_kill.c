/* SPDX-License-Identifier: Apache-2.0 */
/* test: long=3000 */
/*
 * kill -9 of either side at random points.
 *
 * Fault model: processes die at any instruction; nothing else goes wrong. After each death the
 * survivor goes on: an appliance serves others and takes back what the dead held; an application's
 * tasks all end, each as done, failed or lost, within a second in which the machine runs it; a
 * restarted appliance serves again.
 */
#include "harness/folder.h"
#include "stress/kill.h"

#define SCENES  5  /* appliances that die at about the same time */
#define WARM_UP 50 /* deaths until the appliance has allocated what it keeps */

/* What it may hold more after all further deaths: less than if each left the smallest object that
 * malloc has, 32 bytes, or a page; beside pages that malloc has for threads which are busier later
 * than before. */
#define HELD_MORE_MAX(deaths)      (24 * (int64_t)(deaths))
#define ANONYMOUS_MORE_MAX(deaths) (4096 * (int64_t)(deaths) + (1 << 20))

/* In the short form. */
#ifndef ROUNDS
#define ROUNDS 150
#endif

static unsigned rounds(void)
{
    return getenv("VINE_TEST_LONG") ? 5000 : ROUNDS;
}

static struct death *deaths;

/* Each scene has a socket of its own. */
static void go_to(unsigned scene)
{
    (void)snprintf(path, sizeof path, "%s/socket%u", folder, scene);
    death = deaths + scene;
}

/* A sanitizer has a malloc of its own, which keeps what was given back; within an emulator, what it
 * translates is among ours. */
static void check_growth(uint64_t held_more, uint64_t anonymous_more, unsigned count)
{
    const char *sanitizer = getenv("VINE_SANITIZE");

    print_message("%u deaths left %lld bytes of malloc, %lld of pages\n", count,
                  (long long)held_more, (long long)anonymous_more);
    if ((sanitizer != NULL && sanitizer[0] != 0) || getenv("VINE_TEST_EMULATED") != NULL)
        return;
    assert_true((int64_t)held_more < HELD_MORE_MAX(count));
    assert_true((int64_t)anonymous_more < ANONYMOUS_MORE_MAX(count));
}

static void dead_applications_leave_nothing_in_the_appliance(void **state)
{
    const pid_t server = start(be_appliance);
    struct load load;
    uint64_t held = 0;
    uint64_t anonymous = 0;
    int status;

    (void)state;
    open_until_it_works(&load);
    ping(&load);
    echo_largest(&load);
    (void)held_by(&load); /* what is counted of a procedure is made when it is first called */

    const unsigned descriptors = descriptors_of(server);
    const unsigned mappings = mappings_of(server);

    assert_true(mappings >= 2); /* both halves of our own pipe */
    for (unsigned round = 0; round < rounds(); round++) {
        const pid_t application = start(be_application);

        random_moment();
        assert_int_equal(kill(application, SIGKILL), 0);
        assert_int_equal(waitpid(application, NULL, 0), application);
        ping(&load);
        if (round + 1 == WARM_UP) {
            wait_for_release(server, descriptors, mappings);
            held = held_by(&load);
            anonymous = anonymous_of(server);
        }
    }
    wait_for_release(server, descriptors, mappings);

    check_growth(held_by(&load) - held, anonymous_of(server) - anonymous, rounds() - WARM_UP);
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
    death->died_ns = 0;
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
            __atomic_store_n(&deaths[i].died_ns, now_ns(), __ATOMIC_RELAXED);
        }
        for (unsigned i = 0; i < SCENES; i++)
            late += end(&scenes[i], i > 0);
    }
    for (unsigned i = 1; i < SCENES; i++)
        if (deaths[i].worst_ns > deaths[0].worst_ns)
            deaths[0].worst_ns = deaths[i].worst_ns;
    print_message("%u deaths; tasks ended within %llu ms\n", rounds(),
                  (unsigned long long)(deaths[0].worst_ns / 1000000));
    assert_int_equal(late, 0);
    for (unsigned i = 0; i < SCENES; i++) {
        go_to(i);
        remove_socket();
    }
}

static int setup(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/vine-kill-XXXXXX");
    assert_int_equal(folder_make(folder), 0);
    share_deaths(SCENES);
    deaths = death;
    go_to(0);
    choose_seed();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return rmdir(folder); /* nothing else lies there */
}

/* malloc without caches, in which what was given back counts as in use. It reads this before any of
 * us runs. */
static void start_without_caches(char **arguments)
{
    if (getenv("GLIBC_TUNABLES") != NULL)
        return;
    (void)setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0", 1);
    (void)execv("/proc/self/exe", arguments);
}

int main(int argc, char **argv)
{
    (void)argc;
    start_without_caches(argv);

    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(dead_applications_leave_nothing_in_the_appliance, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_dead_appliance_loses_tasks_but_none_unaccounted, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
