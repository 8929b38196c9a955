/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Ten thousand channels at an appliance on three reactors: 62 threads that have each a channel of
 * their own in every one of 162 pipes. All of them have tasks, then one alone has, until the
 * appliance looks at the others no more, and then all have some again.
 *
 * What holds: each task ends with its own answer, and the appliance has counted all channels and
 * all tasks, of each pipe.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vine/error.h>
#include <vine/inspect.h>

#include "arch/clock/clock.h"
#include "harness/folder.h"
#include "harness/serve_on_reactors.h"
#include "utils/atomic.h"

#define THREADS  62u /* beside the main one: the last of 64 channels would be shared */
#define PIPES    162u
#define IN_ALL   (THREADS * PIPES)
#define TOGETHER 4u                    /* tasks in flight on a channel */
#define ALONE_NS (20 * 1000 * 1000ULL) /* an idle channel is looked at for 6 ms at most */

static char folder[64];
static char path[96];
static pid_t server;
static struct vine_pipe *pipes[PIPES];
static struct vine_procedure *next_of[PIPES];
static pthread_barrier_t barrier;
static uint64_t alone; /* tasks of the one that had some while the others had none */

/* ---- the appliance --------------------------------------------------------------------------- */

static int run_next(struct vine_call *call)
{
    const uint64_t next = vine_call_scalar(call, 0, 0) + 1;

    return vine_call_result(call, &next, sizeof next);
}

static const struct vine_argument next_arguments[] = {
    {"number", VINE_SCALAR, 0, 0, UINT64_MAX},
    {"next", VINE_RESULT, 0, 8, 8},
};

static const struct vine_procedure_definition next_definition = {
    .size_bytes = sizeof next_definition,
    .name = "next",
    .flags = VINE_PROCEDURE_SHORT,
    .arguments = next_arguments,
    .argument_count = 2,
    .run = run_next,
};

static int offer(struct vine_appliance *appliance)
{
    return vine_appliance_register(appliance, &next_definition);
}

static int be_appliance(void)
{
    const struct vine_appliance_options options = {
        .size_bytes = sizeof options,
        .memory_max_bytes = 8u << 20,
        .channels_max = 64,
        .tasks_max = 2 * TOGETHER,
    };

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    return serve_on_reactors(path, &options, offer, 0);
}

static void start_appliance(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/vine-channels-XXXXXX");
    assert_int_equal(folder_make(folder), 0);
    (void)snprintf(path, sizeof path, "%s/socket", folder);
    server = fork();
    assert_true(server >= 0);
    if (server == 0)
        _exit(be_appliance());
}

static void open_pipes(void)
{
    for (uint32_t i = 0; i < PIPES; i++) {
        int error;

        do {
            assert_int_equal(waitpid(server, NULL, WNOHANG), 0);
            error = vine_pipe_open(path, NULL, &pipes[i]);
        } while (error == -VINE_ENOAPPLIANCE);
        assert_int_equal(error, 0);
        assert_int_equal(vine_procedure_get(pipes[i], "next", &next_of[i]), 0);
    }
}

/* ---- an application's threads ---------------------------------------------------------------- */

/* Several tasks in flight on this thread's channel of a pipe. */
static void use_channel(uint32_t pipe, uint64_t number)
{
    struct vine_task *tasks[TOGETHER];

    for (uint32_t i = 0; i < TOGETHER; i++) {
        const uint64_t argument = number + i;
        const struct vine_task_options options = {
            .size_bytes = sizeof options, .bytes = &argument, .bytes_size = sizeof argument};

        assert_int_equal(vine_task_issue(pipes[pipe], next_of[pipe], &options, &tasks[i]), 0);
    }
    for (uint32_t i = 0; i < TOGETHER; i++) {
        uint64_t answer = 0;

        assert_int_equal(vine_task_wait(tasks[i], VINE_FOREVER), 0);
        assert_int_equal(vine_task_result(tasks[i], &answer, sizeof answer), sizeof answer);
        assert_true(answer == number + i + 1);
        vine_task_free(tasks[i]);
    }
}

/* Each thread begins with another pipe. */
static void use_all(uint64_t thread)
{
    for (uint32_t i = 0; i < PIPES; i++)
        use_channel((uint32_t)((thread * 5 + i) % PIPES), thread << 32 | i << 8);
}

static void *be_thread(void *argument)
{
    const uint64_t thread = (uint64_t)(uintptr_t)argument;

    use_all(thread);
    (void)pthread_barrier_wait(&barrier);
    if (thread == 0) {
        const uint64_t start_ns = vine__clock_now_ns();

        while (vine__clock_now_ns() - start_ns < ALONE_NS) {
            use_channel(0, alone);
            alone += TOGETHER;
        }
    }
    (void)pthread_barrier_wait(&barrier);
    use_all(thread);
    return NULL;
}

/* ---- what the appliance has counted ---------------------------------------------------------- */

static void expect_facts(void)
{
    static struct vine_pipe_facts facts[PIPES + 1];
    uint64_t tasks = 0, channels = 0;

    assert_int_equal(vine_inspect_pipes(pipes[0], facts, PIPES + 1), PIPES);
    for (uint32_t i = 0; i < PIPES; i++) {
        assert_false(facts[i].is_closed);
        assert_int_equal(facts[i].tasks_failed, 0);
        tasks += facts[i].tasks_done;
        channels += facts[i].channels;
    }
    assert_int_equal(tasks, 2ULL * IN_ALL * TOGETHER + alone);
    assert_int_equal(channels, IN_ALL + PIPES); /* this thread asked for the procedures */
}

static void all_of_ten_thousand_channels_are_served(void **state)
{
    pthread_t threads[THREADS];
    int status = 0;

    (void)state;
    assert_true(IN_ALL >= 10000);
    start_appliance();
    open_pipes();
    assert_int_equal(pthread_barrier_init(&barrier, NULL, THREADS), 0);
    for (uint64_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, be_thread, (void *)(uintptr_t)i), 0);
    for (uint32_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    expect_facts();
    for (uint32_t i = 0; i < PIPES; i++)
        vine_pipe_close(pipes[i]);
    assert_int_equal(kill(server, SIGTERM), 0);
    assert_int_equal(waitpid(server, &status, 0), server);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    (void)unlink(path);
    (void)rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_ten_thousand_channels_are_served),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
