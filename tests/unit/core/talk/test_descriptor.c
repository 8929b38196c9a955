/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptor of a pipe: what makes it readable, and what does not. No test goes by the time-out
 * that arming tells, but those of it, so that a wake that is lost hangs. */
#include "served.h"

#include <poll.h>
#include <sys/wait.h>

#include "core/talk/pipe_internal.h"
#include "harness/emulator.h"

struct scene {
    struct served served;
    struct vine_pipe *pipe;
    int fd;
};

static int set_up(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);

    assert_non_null(scene);
    served_start(&scene->served, NULL, 2);
    scene->pipe = served_open(&scene->served, NULL);
    assert_int_equal(vine_pipe_descriptor(scene->pipe, &scene->fd), 0);
    *state = scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *scene = *state;

    vine_pipe_close(scene->pipe);
    served_stop(&scene->served);
    free(scene);
    return 0;
}

static bool is_readable(int fd)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN};

    return poll(&polled, 1, 0) == 1;
}

static void wait_until_readable(int fd)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&polled, 1, (int)(LIMIT / 1000000)), 1);
    assert_true((polled.revents & POLLIN) != 0);
}

/* Until it sleeps. Returns how many tasks have ended. */
static int arm(struct vine_pipe *pipe)
{
    uint64_t timeout_ns = 0;
    int ended = 0;

    while (timeout_ns == 0) {
        const int more = vine_pipe_arm(pipe, &timeout_ns);

        assert_true(more >= 0);
        ended += more;
    }
    return ended;
}

static void count(struct vine_task *task, int status, void *context)
{
    (void)task;
    *(int *)context += status == 0;
}

static struct vine_task *issue_noop(struct vine_pipe *pipe, int *counter)
{
    const struct vine_task_options options = {
        .size_bytes = sizeof options, .callback = count, .context = counter};
    struct vine_task *task = NULL;

    assert_int_equal(vine_task_issue(pipe, served_get(pipe, "noop"), &options, &task), 0);
    return task;
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void a_pipe_is_not_armed_before_it_has_a_descriptor(void **state)
{
    struct scene *scene = *state;
    struct vine_pipe *pipe = served_open(&scene->served, NULL);
    uint64_t timeout_ns = 77;
    int fd = -1;

    vine_pipe_disarm(pipe);
    assert_int_equal(vine_pipe_arm(pipe, &timeout_ns), -EINVAL);
    assert_int_equal(timeout_ns, 77);
    assert_int_equal(vine_pipe_descriptor(pipe, &fd), 0);
    assert_true(fd >= 0);
    assert_int_equal(vine_pipe_arm(pipe, &timeout_ns), 0);
    assert_true(timeout_ns > 0);
    vine_pipe_close(pipe);
}

static void a_pipe_has_one_descriptor(void **state)
{
    struct scene *scene = *state;
    int fd = -1;

    assert_int_equal(vine_pipe_descriptor(scene->pipe, &fd), 0);
    assert_int_equal(fd, scene->fd);
    vine_pipe_disarm(scene->pipe);
}

struct inside {
    struct vine_pipe *pipe;
    bool has_run;
    int error;
};

static void arm_inside(struct vine_task *task, int status, void *context)
{
    struct inside *inside = context;
    uint64_t timeout_ns;

    (void)task, (void)status;
    inside->has_run = true;
    vine_pipe_disarm(inside->pipe);
    inside->error = vine_pipe_arm(inside->pipe, &timeout_ns);
}

static void a_callback_does_not_arm(void **state)
{
    struct scene *scene = *state;
    struct inside inside = {.pipe = scene->pipe};
    const struct vine_task_options options = {
        .size_bytes = sizeof options, .callback = arm_inside, .context = &inside};
    struct vine_task *task = NULL;

    assert_int_equal(vine_task_issue(scene->pipe, served_get(scene->pipe, "noop"), &options, &task),
                     0);
    while ((void)arm(scene->pipe), !inside.has_run)
        wait_until_readable(scene->fd);
    assert_int_equal(inside.error, -EDEADLK);
    vine_task_free(task);
}

static void a_child_has_no_descriptor(void **state)
{
    struct scene *scene = *state;
    int status;

    (void)arm(scene->pipe);

    const pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        uint64_t timeout_ns;
        int fd;

        vine_pipe_disarm(scene->pipe);
        if (vine_pipe_descriptor(scene->pipe, &fd) != -VINE_EFORK)
            _exit(1);
        if (vine_pipe_arm(scene->pipe, &timeout_ns) != -VINE_EFORK)
            _exit(2);
        vine_pipe_close(scene->pipe);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_false(is_readable(scene->fd));
}

/* ---- what makes it readable ------------------------------------------------------------------ */

static void a_task_that_ends_makes_it_readable(void **state)
{
    struct scene *scene = *state;
    int done = 0;
    struct vine_task_options options = {
        .size_bytes = sizeof options, .callback = count, .context = &done};

    for (int i = 0; i < 20; i++) {
        struct vine_task *task = gate_issue(scene->pipe, 1, &options);

        gate_wait_for(1);
        (void)arm(scene->pipe);
        assert_int_equal(done, i);
        assert_false(is_readable(scene->fd));
        gate_set(true);
        wait_until_readable(scene->fd);
        while (done == i)
            (void)arm(scene->pipe);
        assert_int_equal(vine_task_poll(task), 0);
        vine_task_free(task);
        gate_set(false);
    }
}

static void what_ended_before_is_told_by_arming(void **state)
{
    struct scene *scene = *state;
    struct vine_task *task = NULL;
    int done = 0;

    /* The appliance has taken both, in order, and said so before it answered the second one. */
    task = issue_noop(scene->pipe, &done);
    (void)arm(scene->pipe);
    assert_int_equal(
        vine_task_run(scene->pipe, served_get(scene->pipe, "noop"), NULL, LIMIT, NULL, NULL), 0);
    assert_int_equal(done, 1);
    assert_true(arm(scene->pipe) >= 1);
    assert_int_equal(arm(scene->pipe), 0);
    vine_task_free(task);
}

static void tasks_end_one_by_one_without_a_wake_lost(void **state)
{
    struct scene *scene = *state;
    int done = 0;

    for (int i = 0; i < 2000; i++) {
        struct vine_task *task = issue_noop(scene->pipe, &done);

        while (arm(scene->pipe), done == i)
            wait_until_readable(scene->fd);
        vine_task_free(task);
    }
    assert_int_equal(done, 2000);
}

struct second {
    struct scene *scene;
    int done;
    struct vine_task *task;
    pthread_t thread;
};

static void *issue_and_leave(void *context)
{
    struct second *second = context;
    struct vine_task_options options = {
        .size_bytes = sizeof options, .callback = count, .context = &second->done};

    second->task = gate_issue(second->scene->pipe, 2, &options);
    return NULL;
}

static void a_channel_that_is_opened_meanwhile_is_heard(void **state)
{
    struct second second = {.scene = *state};
    struct scene *scene = *state;

    (void)served_get(scene->pipe, "gate"); /* what is asked for ends too */
    (void)arm(scene->pipe);
    assert_int_equal(pthread_create(&second.thread, NULL, issue_and_leave, &second), 0);
    assert_int_equal(pthread_join(second.thread, NULL), 0);
    assert_int_equal(scene->pipe->channel_count, 2);
    gate_wait_for(1);
    gate_set(true);
    wait_until_readable(scene->fd);
    while (second.done == 0)
        (void)arm(scene->pipe);
    vine_task_free(second.task);
}

static void *wait_for_task(void *context)
{
    struct second *second = context;

    return (void *)(intptr_t)vine_task_wait(second->task, LIMIT);
}

static void what_another_thread_ends_is_told(void **state)
{
    struct scene *scene = *state;
    struct second second = {.scene = scene};

    for (int i = 0; i < 50; i++) {
        struct vine_task *ours = issue_noop(scene->pipe, &second.done);
        void *status = NULL;

        /* It ends our task while it waits for its own, and the loop goes by polling alone. */
        second.task = gate_issue(scene->pipe, 3, NULL);
        assert_int_equal(pthread_create(&second.thread, NULL, wait_for_task, &second), 0);
        while ((void)arm(scene->pipe), vine_task_poll(ours) == -EAGAIN)
            wait_until_readable(scene->fd);
        gate_set(true);
        while ((void)arm(scene->pipe), vine_task_poll(second.task) == -EAGAIN)
            wait_until_readable(scene->fd);
        assert_int_equal(pthread_join(second.thread, &status), 0);
        assert_ptr_equal(status, NULL);
        vine_task_free(ours);
        vine_task_free(second.task);
        gate_set(false);
    }
    assert_int_equal(second.done, 50);
}

/* It reads from the socket what was sent to wake the loop. */
static void a_wake_that_another_thread_reads_is_passed_on(void **state)
{
    struct scene *scene = *state;
    struct vine_task *task = gate_issue(scene->pipe, 4, NULL);
    const uint32_t heard = scene->pipe->link.wakes_heard;

    gate_wait_for(1);
    (void)arm(scene->pipe);
    gate_set(true);
    while (scene->pipe->link.wakes_heard == heard)
        assert_int_equal(vine__pipe_look(scene->pipe), 0);
    assert_true(is_readable(scene->fd));
    while ((void)arm(scene->pipe), vine_task_poll(task) == -EAGAIN)
        wait_until_readable(scene->fd);
    vine_task_free(task);
}

/* ---- what it costs --------------------------------------------------------------------------- */

static void who_is_awake_is_not_woken(void **state)
{
    struct scene *scene = *state;
    struct vine_procedure *noop = served_get(scene->pipe, "noop");

    (void)arm(scene->pipe);
    vine_pipe_disarm(scene->pipe);
    assert_int_equal(vine_pipe_status(scene->pipe), 0);

    const uint32_t heard = scene->pipe->link.wakes_heard;

    for (int i = 0; i < 1000; i++)
        assert_int_equal(vine_task_run(scene->pipe, noop, NULL, LIMIT, NULL, NULL), 0);
    assert_false(is_readable(scene->fd));
    assert_int_equal(vine_pipe_status(scene->pipe), 0);
    assert_int_equal(scene->pipe->link.wakes_heard, heard);
}

static void a_sleep_costs_one_wake(void **state)
{
    struct scene *scene = *state;
    struct vine_procedure *noop = served_get(scene->pipe, "noop");

    (void)arm(scene->pipe);

    const uint32_t heard = scene->pipe->link.wakes_heard;

    for (int i = 0; i < 1000; i++)
        assert_int_equal(vine_task_run(scene->pipe, noop, NULL, LIMIT, NULL, NULL), 0);
    wait_until_readable(scene->fd);
    assert_int_equal(vine_pipe_status(scene->pipe), 0);
    assert_int_equal(scene->pipe->link.wakes_heard, heard + 1);
}

static void arming_again_changes_nothing_while_nothing_ends(void **state)
{
    struct scene *scene = *state;

    (void)arm(scene->pipe);

    const uint32_t epoch = scene->pipe->descriptor.epoch;

    assert_int_equal(epoch & 1, 1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(arm(scene->pipe), 0);
    assert_int_equal(scene->pipe->descriptor.epoch, epoch);
}

/* ---- the end of a pipe, and where nobody rings ----------------------------------------------- */

static void note(struct vine_task *task, int status, void *context)
{
    (void)task;
    *(int *)context = status;
}

static void the_end_of_the_pipe_makes_it_readable(void **state)
{
    struct scene *scene = *state;
    struct served other;
    struct vine_task *task;
    struct vine_pipe *pipe;
    uint64_t timeout_ns;
    int status = 0;
    int error = 0;
    int fd = -1;
    struct vine_task_options options = {
        .size_bytes = sizeof options, .callback = note, .context = &status};

    (void)scene;
    served_start(&other, NULL, 1);
    pipe = served_open(&other, NULL);
    assert_int_equal(vine_pipe_descriptor(pipe, &fd), 0);
    task = gate_issue(pipe, 5, &options);
    gate_wait_for(1);
    (void)arm(pipe);
    assert_false(is_readable(fd));
    vine_appliance_stop(other.appliance);
    vine_appliance_stop(other.appliance); /* and gives its task up */
    while ((error = vine_pipe_arm(pipe, &timeout_ns)) >= 0)
        if (timeout_ns > 0)
            wait_until_readable(fd);
    assert_int_equal(error, -VINE_EDRAINING);
    assert_int_equal(status, -VINE_ECANCELED);
    assert_true(is_readable(fd));
    assert_int_equal(vine_pipe_descriptor(pipe, &fd), -VINE_EDRAINING);
    vine_task_free(task);
    vine_pipe_close(pipe);
    served_stop(&other);
}

static void who_cannot_be_rung_for_is_told_to_look_often(void **state)
{
    skip_if_emulated("tells a process another start time of itself than others see");
    const struct vine_appliance_options options = {.size_bytes = sizeof options,
                                                   .segment_bytes = 1u << 20};
    struct served named;
    struct vine_pipe *pipe;
    struct vine_task *task;
    uint64_t timeout_ns = 0;
    int fd = -1;

    (void)state;
    served_start_at(&named, "file:", &options, 1);
    pipe = served_open(&named, NULL);
    assert_int_equal(vine_pipe_descriptor(pipe, &fd), 0);
    task = gate_issue(pipe, 6, NULL);
    gate_wait_for(1);
    while (timeout_ns == 0)
        assert_true(vine_pipe_arm(pipe, &timeout_ns) >= 0);
    assert_true(timeout_ns <= 2000000);
    assert_false(is_readable(fd));
    gate_set(true);
    while (vine_pipe_arm(pipe, &timeout_ns) == 0) {
        struct pollfd polled = {.fd = fd, .events = POLLIN};

        (void)poll(&polled, 1, timeout_ns == 0 ? 0 : (int)(timeout_ns / 1000000) + 1);
    }
    assert_int_equal(vine_task_poll(task), 0);
    vine_task_free(task);
    vine_pipe_close(pipe);
    served_stop(&named);
}

/* One that says it rings, and does not: the application alone knows that it sleeps. */
static void who_is_not_rung_for_finds_it_after_the_time_out(void **state)
{
    struct scene *scene = *state;
    uint32_t *epoch = &scene->pipe->half.layout->board.sleep_epoch.value;
    struct vine_task *task = gate_issue(scene->pipe, 7, NULL);
    struct pollfd polled = {.fd = scene->fd, .events = POLLIN};
    uint64_t timeout_ns = 0;

    gate_wait_for(1);
    (void)arm(scene->pipe);
    assert_true(vine_pipe_arm(scene->pipe, &timeout_ns) == 0);
    assert_in_range(timeout_ns, 100000000, VINE_NS_PER_SECOND);
    vine__store_relaxed_u32(epoch, 0);
    gate_set(true);
    /* Nothing tells of it, however long it takes. */
    while (vine__spsc_ready(&scene->pipe->channels[0]->completions) == 0)
        sched_yield();
    assert_int_equal(poll(&polled, 1, 0), 0);
    assert_int_equal(arm(scene->pipe), 1);
    assert_int_equal(vine_task_poll(task), 0);
    vine_task_free(task);
}

#define WITH_SCENE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SCENE(a_pipe_is_not_armed_before_it_has_a_descriptor),
        WITH_SCENE(a_pipe_has_one_descriptor),
        WITH_SCENE(a_callback_does_not_arm),
        WITH_SCENE(a_child_has_no_descriptor),
        WITH_SCENE(a_task_that_ends_makes_it_readable),
        WITH_SCENE(what_ended_before_is_told_by_arming),
        WITH_SCENE(tasks_end_one_by_one_without_a_wake_lost),
        WITH_SCENE(a_channel_that_is_opened_meanwhile_is_heard),
        WITH_SCENE(what_another_thread_ends_is_told),
        WITH_SCENE(a_wake_that_another_thread_reads_is_passed_on),
        WITH_SCENE(who_is_awake_is_not_woken),
        WITH_SCENE(a_sleep_costs_one_wake),
        WITH_SCENE(arming_again_changes_nothing_while_nothing_ends),
        WITH_SCENE(the_end_of_the_pipe_makes_it_readable),
        cmocka_unit_test(who_cannot_be_rung_for_is_told_to_look_often),
        WITH_SCENE(who_is_not_rung_for_finds_it_after_the_time_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
