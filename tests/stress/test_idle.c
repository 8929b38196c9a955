/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nothing spins when idle.
 *
 * An appliance in a process of its own, with idle pipes, and an application that waits for a task
 * that does not end, are watched for a second: neither may use more than a twentieth of a processor
 * in it. What is counted is the processor's time, which others can take from us but not add to
 * ours; whoever spins gets more than that on any machine that is not loaded twenty times over.
 */
#include <vine/appliance.h>
#include <vine/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/emulator.h"
#include "harness/procedures.h"

#define PIPES    100
#define WATCH_NS VINE_NS_PER_SECOND
#define MOST_NS  (WATCH_NS / 20)
#define WATCHES  5

static char folder[] = "/tmp/vine-idle-XXXXXX";
static char path[64];

/* ---- the appliance --------------------------------------------------------------------------- */

/* Blocks, as one does that waits for a device, until the test lets go. */
static int leash[2];

static int run_sleep(struct vine_call *call)
{
    char byte;

    (void)call;
    (void)!read(leash[0], &byte, 1);
    return 0;
}

static void *work(void *appliance)
{
    vine_appliance_work(appliance);
    return NULL;
}

static struct vine_appliance *stopped;

static void on_term(int number)
{
    (void)number;
    vine_appliance_stop(stopped);
    vine_appliance_stop(stopped);
}

static void be_appliance(int ready)
{
    static const struct vine_procedure_definition procedures[] = {
        {.size_bytes = sizeof procedures[0],
         .name = "noop",
         .flags = VINE_PROCEDURE_SHORT,
         .run = run_noop},
        {.size_bytes = sizeof procedures[0], .name = "sleep", .run = run_sleep},
    };
    struct vine_appliance *appliance = NULL;
    pthread_t worker;

    if (vine_appliance_create(NULL, &appliance) != 0 ||
        vine_appliance_register(appliance, &procedures[0]) != 0 ||
        vine_appliance_register(appliance, &procedures[1]) != 0 ||
        vine_appliance_listen(appliance, path) != 0 ||
        pthread_create(&worker, NULL, work, appliance) != 0)
        _exit(2);
    stopped = appliance;
    (void)signal(SIGTERM, on_term);
    if (write(ready, "", 1) != 1 || vine_appliance_serve(appliance) != 0)
        _exit(3);
    (void)pthread_join(worker, NULL);
    vine_appliance_destroy(appliance);
    _exit(0);
}

static pid_t start_appliance(void)
{
    int ready[2];
    char byte;

    assert_int_equal(pipe(leash), 0);
    assert_int_equal(pipe(ready), 0);

    const pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(leash[1]);
        be_appliance(ready[1]);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

/* ---- the watch ------------------------------------------------------------------------------- */

static uint64_t now_ns(clockid_t clock)
{
    struct timespec time;

    assert_int_equal(clock_gettime(clock, &time), 0);
    return (uint64_t)time.tv_sec * VINE_NS_PER_SECOND + (uint64_t)time.tv_nsec;
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state)
{
    char lock[80];

    (void)state;
    (void)snprintf(lock, sizeof lock, "%s/socket.lock", folder);
    (void)unlink(lock);
    *strrchr(lock, '.') = 0;
    (void)unlink(lock);
    return rmdir(folder);
}

static void watch(int pipe_count)
{
    const pid_t pid = start_appliance();
    struct vine_pipe *pipes[PIPES];
    struct vine_procedure *sleeper = NULL;
    struct vine_task *task = NULL;
    clockid_t appliance_clock;

    assert_int_equal(clock_getcpuclockid(pid, &appliance_clock), 0);
    for (int i = 0; i < pipe_count; i++) {
        assert_int_equal(vine_pipe_open(path, NULL, &pipes[i]), 0);
        assert_int_equal(vine_pipe_call(pipes[i], "noop", NULL, 0, NULL, 0, NULL), 0);
    }
    assert_int_equal(vine_procedure_get(pipes[0], "sleep", &sleeper), 0);
    assert_int_equal(vine_task_issue(pipes[0], sleeper, NULL, &task), 0);
    /* What a last task leaves behind is spun for, for a moment: let it pass. */
    assert_int_equal(vine_task_wait(task, VINE_NS_PER_SECOND / 4), -ETIMEDOUT);

    uint64_t theirs_used_ns = WATCH_NS;
    uint64_t ours_used_ns = WATCH_NS;

    /* Whoever spins does so in each of them; a virtual machine that is stopped for a moment is
     * charged for it in one. */
    for (int i = 0; i < WATCHES && (theirs_used_ns >= MOST_NS || ours_used_ns >= MOST_NS); i++) {
        const uint64_t theirs_ns = now_ns(appliance_clock);
        const uint64_t ours_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID);

        assert_int_equal(vine_task_wait(task, WATCH_NS), -ETIMEDOUT);
        theirs_used_ns = now_ns(appliance_clock) - theirs_ns;
        ours_used_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID) - ours_ns;
        print_message("in a second: appliance %llu us, application %llu us\n",
                      (unsigned long long)theirs_used_ns / 1000,
                      (unsigned long long)ours_used_ns / 1000);
    }
    assert_true(theirs_used_ns < MOST_NS);
    assert_true(ours_used_ns < MOST_NS);
    close(leash[1]);
    assert_int_equal(vine_task_wait(task, VINE_FOREVER), 0);
    vine_task_free(task);
    for (int i = 0; i < pipe_count; i++)
        vine_pipe_close(pipes[i]);

    int status = 0;

    assert_int_equal(kill(pid, SIGTERM), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void neither_side_spins_while_nothing_happens(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof path, "%s/socket", folder);
    watch(PIPES);
}

static void nor_do_the_two_of_a_named_segment(void **state)
{
    (void)state;
    skip_if_emulated("tells a process another start time of itself than others see");
    (void)snprintf(path, sizeof path, "file:%s/segment", folder);
    watch(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neither_side_spins_while_nothing_happens),
        cmocka_unit_test(nor_do_the_two_of_a_named_segment),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
