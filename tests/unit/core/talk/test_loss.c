/* SPDX-License-Identifier: Apache-2.0 */
/* The other side goes away; and what a forked child may do. */
#include "served.h"

#include "harness/emulator.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* An appliance in a process of its own, to be killed. It says by a pipe that it listens. */
static char folder[32];
static char path[64];

static pid_t start_process(void)
{
    int ready[2];
    char byte;

    if (folder[0] == 0) {
        (void)snprintf(folder, sizeof folder, "/tmp/vine-test-XXXXXX");
        assert_non_null(mkdtemp(folder));
        (void)snprintf(path, sizeof path, "%s/socket", folder);
    }
    assert_int_equal(pipe(ready), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct vine_appliance *appliance = NULL;
        pthread_t workers[2];

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        gate_set(false);
        close(ready[0]);
        if (vine_appliance_create(NULL, &appliance) != 0)
            _exit(2);
        for (size_t i = 0; i < SERVED_PROCEDURES; i++)
            if (vine_appliance_register(appliance, &served_procedures[i]) != 0)
                _exit(3);
        if (vine_appliance_listen(appliance, path) != 0)
            _exit(4);
        for (int i = 0; i < 2; i++)
            if (pthread_create(&workers[i], NULL, served_work, appliance) != 0)
                _exit(5);
        served_wait_for_workers(appliance, 2);
        (void)!write(ready[1], "r", 1);
        _exit(vine_appliance_serve(appliance) == 0 ? 0 : 6);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void kill_process(pid_t pid)
{
    int status;

    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

/* A loss is told within a second. A busy machine may be late now and then, our code may not be late
 * each time. `lose` says how long it took. */
static void is_told_within_a_second(uint64_t (*lose)(void))
{
    uint64_t took_ns = lose();

    for (int i = 0; i < 9 && took_ns >= SECOND; i++)
        took_ns = lose();
    assert_true(took_ns < SECOND);
}

static struct vine_pipe *open_path(void)
{
    struct vine_pipe *pipe = NULL;

    assert_int_equal(vine_pipe_open(path, NULL, &pipe), 0);
    return pipe;
}

static int calls;

static void count_lost(struct vine_task *task, int status, void *context)
{
    (void)context;
    assert_int_equal(status, -VINE_EPEERLOST);
    vine_task_free(task);
    calls++;
}

static uint64_t lose_pending_tasks(void)
{
    const pid_t pid = start_process();
    struct vine_pipe *pipe = open_path();
    struct vine_task *tasks[10];
    struct vine_task_options options = {.size_bytes = sizeof options, .callback = count_lost};
    struct vine_pipe_stats stats;
    struct vine_data *data = NULL;

    for (int i = 0; i < 10; i++)
        tasks[i] = gate_issue(pipe, 0, NULL);
    calls = 0;
    (void)gate_issue(pipe, 0, &options);
    kill_process(pid);
    const uint64_t start = now_ns();
    for (int i = 0; i < 10; i++) {
        assert_int_equal(vine_task_wait(tasks[i], LIMIT), -VINE_EPEERLOST);
        vine_task_free(tasks[i]);
    }
    const uint64_t took_ns = now_ns() - start;
    assert_int_equal(calls, 1);
    assert_int_equal(vine_pipe_status(pipe), -VINE_EPEERLOST);
    assert_int_equal(vine_pipe_poll(pipe), -VINE_EPEERLOST);
    assert_int_equal(vine_data_create(pipe, VINE_TYPE_BYTES, 1, &data), -VINE_EPEERLOST);
    vine_pipe_get_stats(pipe, &stats);
    assert_int_equal(stats.tasks_lost, 11);
    assert_int_equal(stats.tasks_in_flight, 0);
    vine_pipe_close(pipe);
    return took_ns;
}

static void pending_tasks_end_with_the_loss_of_the_appliance(void **state)
{
    (void)state;
    is_told_within_a_second(lose_pending_tasks);
}

static uint64_t lose_what_is_polled(void)
{
    const pid_t pid = start_process();
    struct vine_pipe *pipe = open_path();
    struct vine_task *task = gate_issue(pipe, 0, NULL);
    int status;

    kill_process(pid);
    const uint64_t start = now_ns();
    while ((status = vine_task_poll(task)) == -EAGAIN)
        assert_true(now_ns() - start < LIMIT);
    const uint64_t took_ns = now_ns() - start;
    assert_int_equal(status, -VINE_EPEERLOST);
    vine_task_free(task);
    vine_pipe_close(pipe);
    return took_ns;
}

static void who_only_polls_learns_it_too(void **state)
{
    (void)state;
    is_told_within_a_second(lose_what_is_polled);
}

static void *wait_for(void *task)
{
    assert_int_equal(vine_task_wait(task, LIMIT), -VINE_EPEERLOST);
    return NULL;
}

static uint64_t lose_what_threads_wait_for(void)
{
    const pid_t pid = start_process();
    struct vine_pipe *pipe = open_path();
    struct vine_task *tasks[6];
    pthread_t threads[6];

    for (int i = 0; i < 6; i++) {
        tasks[i] = gate_issue(pipe, 0, NULL);
        assert_int_equal(pthread_create(&threads[i], NULL, wait_for, tasks[i]), 0);
    }
    kill_process(pid);
    const uint64_t start = now_ns();
    for (int i = 0; i < 6; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    const uint64_t took_ns = now_ns() - start;
    vine_pipe_close(pipe);
    return took_ns;
}

static void every_waiting_thread_is_woken(void **state)
{
    (void)state;
    is_told_within_a_second(lose_what_threads_wait_for);
}

static void a_restarted_appliance_serves_a_new_pipe(void **state)
{
    (void)state;
    pid_t pid = start_process();
    struct vine_pipe *old = open_path();
    char output[8];

    assert_int_equal(vine_pipe_call(old, "turn", "a", 1, output, 8, NULL), 0);
    kill_process(pid);
    pid = start_process();
    struct vine_pipe *new = open_path();
    assert_int_equal(vine_pipe_call(new, "turn", "b", 1, output, 8, NULL), 0);
    assert_int_equal(output[0], 'B');
    assert_int_equal(vine_pipe_call(old, "turn", "a", 1, output, 8, NULL), -VINE_EPEERLOST);
    vine_pipe_close(old);
    vine_pipe_close(new);
    kill_process(pid);
}

static void an_appliance_that_drains_says_so_and_ends_what_it_took(void **state)
{
    (void)state;
    struct served served;

    served_start(&served, NULL, 1);
    struct vine_pipe *pipe = served_open(&served, NULL);
    struct vine_procedure *noop = served_get(pipe, "noop");
    struct vine_accelerator *parallel = NULL;
    assert_int_equal(vine_accelerator_acquire(pipe, NULL, VINE_PARALLEL, &parallel), 0);
    const struct vine_task_options aside = {.size_bytes = sizeof aside, .accelerator = parallel};
    struct vine_task *taken = gate_issue(pipe, 0, NULL);
    gate_wait_for(1);
    vine_appliance_stop(served.appliance);
    struct vine_pipe *refused = NULL;
    while (vine_task_run(pipe, noop, &aside, LIMIT, NULL, NULL) == 0)
        ; /* until the loop has seen it */
    assert_int_equal(vine_task_run(pipe, noop, &aside, LIMIT, NULL, NULL), -VINE_EDRAINING);
    assert_true(vine_pipe_open(served.path, NULL, &refused) < 0);
    gate_set(true);
    assert_int_equal(vine_task_wait(taken, LIMIT), 0);
    vine_task_free(taken);
    const uint64_t start = now_ns();
    while (vine_pipe_status(pipe) == 0)
        assert_true(now_ns() - start < LIMIT);
    assert_int_equal(vine_pipe_status(pipe), -VINE_EDRAINING);
    assert_int_equal(vine_task_run(pipe, noop, NULL, LIMIT, NULL, NULL), -VINE_EDRAINING);
    vine_pipe_close(pipe);
    served_stop(&served);
}

/* In the child: 0 if every call says what it has to. */
static int use_in_child(struct vine_pipe *pipe, struct vine_procedure *noop, struct vine_task *task,
                        struct vine_data *data)
{
    struct vine_procedure *procedure = NULL;
    struct vine_task *further = NULL;
    struct vine_data *made = NULL;
    struct vine_pipe *own = NULL;
    struct vine_pipe_stats stats;
    size_t index;
    char output[8];

    if (vine_pipe_status(pipe) != -VINE_EFORK || vine_pipe_poll(pipe) != -VINE_EFORK)
        return 1;
    if (vine_procedure_get(pipe, "noop", &procedure) != -VINE_EFORK)
        return 2;
    if (vine_task_issue(pipe, noop, NULL, &further) != -VINE_EFORK)
        return 3;
    if (vine_task_wait(task, LIMIT) != -VINE_EFORK || vine_task_poll(task) != -VINE_EFORK ||
        vine_task_cancel(task) != -VINE_EFORK ||
        vine_task_wait_any(&task, 1, LIMIT, &index) != -VINE_EFORK)
        return 4;
    if (vine_data_create(pipe, VINE_TYPE_BYTES, 1, &made) != -VINE_EFORK ||
        vine_data_write(data, 0, "a", 1) != -VINE_EFORK ||
        vine_data_read(data, 0, output, 1) != -VINE_EFORK || vine_data_map(data) != NULL ||
        vine_data_view(data) != NULL)
        return 5;
    vine_pipe_get_stats(pipe, &stats);
    vine_task_free(task);
    vine_data_free(data);
    vine_pipe_close(pipe);
    if (vine_pipe_open(path, NULL, &own) != 0)
        return 6;
    if (vine_pipe_call(own, "turn", "c", 1, output, 8, NULL) != 0 || output[0] != 'C')
        return 7;
    vine_pipe_close(own);
    return 0;
}

static void a_child_is_told_that_a_pipe_does_not_survive_fork(void **state)
{
    (void)state;
    skip_if_emulated("wipes no memory on fork");
    const pid_t appliance = start_process();
    struct vine_pipe *pipe = open_path();
    struct vine_procedure *noop = served_get(pipe, "noop");
    struct vine_task *task = gate_issue(pipe, 0, NULL);
    struct vine_data *data = NULL;
    int status = 0;

    assert_int_equal(vine_data_create(pipe, VINE_TYPE_BYTES, 8, &data), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(use_in_child(pipe, noop, task, data));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    /* The parent's pipe has noticed nothing. */
    assert_int_equal(vine_task_cancel(task), 0);
    assert_int_equal(vine_task_wait(task, LIMIT), -VINE_ECANCELED);
    assert_int_equal(vine_data_write(data, 0, "12345678", 8), 0);
    assert_int_equal(vine_pipe_status(pipe), 0);
    vine_pipe_close(pipe);
    kill_process(appliance);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pending_tasks_end_with_the_loss_of_the_appliance),
        cmocka_unit_test(who_only_polls_learns_it_too),
        cmocka_unit_test(every_waiting_thread_is_woken),
        cmocka_unit_test(a_restarted_appliance_serves_a_new_pipe),
        cmocka_unit_test(an_appliance_that_drains_says_so_and_ends_what_it_took),
        cmocka_unit_test(a_child_is_told_that_a_pipe_does_not_survive_fork),
    };
    const int failures = cmocka_run_group_tests(tests, NULL, NULL);
    char lock[80];

    (void)snprintf(lock, sizeof lock, "%s.lock", path);
    (void)unlink(lock);
    (void)unlink(path);
    (void)rmdir(folder);
    return failures;
}
