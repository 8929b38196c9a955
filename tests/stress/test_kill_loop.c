/* SPDX-License-Identifier: Apache-2.0 */
/* test: long=3000 */
/*
 * kill -9 of an appliance at random points, before an application whose loop waits for the pipe's
 * descriptor and for nothing else.
 *
 * Fault model: the appliance dies at any instruction; nothing else goes wrong. The loop does not
 * use the time-outs that arming tells it, so that a wake that is lost hangs. It notices the death
 * by the descriptor, and all tasks end, each as done, failed or lost, within a second in which the
 * machine runs it. A second thread issues and waits meanwhile, on a channel of its own and for
 * tasks of the loop's.
 */
#include <poll.h>

#include "harness/folder.h"
#include "stress/kill.h"

static unsigned rounds(void)
{
    return getenv("VINE_TEST_LONG") ? 2000 : 60;
}

struct loop {
    struct load load;
    pthread_t other;
    uint32_t is_over; /* atomic */
    int fd;
    unsigned in_flight;
    int issue_error;
};

static void on_end(struct vine_task *task, int status, void *context)
{
    struct loop *loop = context;

    /* The other thread may run this while the loop does. */
    __atomic_fetch_add(status == 0                 ? &loop->load.done
                       : status == -VINE_EPEERLOST ? &loop->load.lost
                                                   : &loop->load.failed,
                       1, __ATOMIC_RELAXED);
    __atomic_fetch_sub(&loop->in_flight, 1, __ATOMIC_RELEASE);
    vine_task_free(task);
}

static void *wait_and_take_part(void *context)
{
    struct loop *loop = context;
    int status = 0;

    while (status == 0 && __atomic_load_n(&loop->is_over, __ATOMIC_ACQUIRE) == 0) {
        struct timespec moment = {.tv_nsec = 300000};

        status = vine_task_run(loop->load.pipe, loop->load.noop, NULL, HANG_NS, NULL, NULL);
        (void)!vine_pipe_status(loop->load.pipe); /* reads what was sent to wake the loop */
        nanosleep(&moment, NULL);
    }
    return NULL;
}

/* Returns 0, or why nothing more can be issued. */
static int fill_up(struct loop *loop)
{
    const struct vine_task_options options = {
        .size_bytes = sizeof options, .callback = on_end, .context = loop};
    const unsigned most = 1 + (unsigned)rand_r(&seed) % IN_FLIGHT;

    while (__atomic_load_n(&loop->in_flight, __ATOMIC_ACQUIRE) < most) {
        struct vine_task *task = NULL;
        int error;

        __atomic_fetch_add(&loop->in_flight, 1, __ATOMIC_RELAXED);
        error = vine_task_issue(loop->load.pipe, loop->load.noop, &options, &task);
        if (error) {
            __atomic_fetch_sub(&loop->in_flight, 1, __ATOMIC_RELAXED);
            return error == -EAGAIN || error == -VINE_EQUOTA ? 0 : error;
        }
        loop->load.issued++;
    }
    return 0;
}

static int turn(struct loop *loop)
{
    struct pollfd polled = {.fd = loop->fd, .events = POLLIN};
    uint64_t timeout_ns = 0;
    const int ended = vine_pipe_arm(loop->load.pipe, &timeout_ns);

    if (ended < 0)
        return ended;
    if (timeout_ns == 0)
        return 0;
    /* A task that the other thread has ended, and not yet called back, makes it readable after. */
    if (poll(&polled, 1, (int)(HANG_NS / 1000000)) != 1)
        return -ETIMEDOUT;
    if (rand_r(&seed) % 4 == 0)
        vine_pipe_disarm(loop->load.pipe);
    return 0;
}

static int run_loop(struct loop *loop)
{
    int error = 0;

    while (!error) {
        error = turn(loop);
        if (!error)
            error = fill_up(loop);
    }
    if (error != -VINE_EPEERLOST)
        return 14;
    /* What the other thread drains it ends soon, and a loop that asks again is told no more. */
    while (__atomic_load_n(&loop->in_flight, __ATOMIC_ACQUIRE) > 0) {
        struct timespec moment = {.tv_nsec = 1000000};

        (void)!vine_pipe_poll(loop->load.pipe);
        nanosleep(&moment, NULL);
    }
    return 0;
}

static int be_loop(void)
{
    static struct loop loop;
    pthread_t keeper;
    int error;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (pthread_create(&keeper, NULL, keep_time, NULL) != 0)
        return 13;
    seed ^= (unsigned)getpid();
    error = open_load(&loop.load);
    if (!error)
        error = vine_pipe_descriptor(loop.load.pipe, &loop.fd);
    if (error)
        return error == -VINE_EPEERLOST || error == -VINE_ENOAPPLIANCE ? 0 : 10;
    if (pthread_create(&loop.other, NULL, wait_and_take_part, &loop) != 0)
        return 13;
    error = fill_up(&loop);
    if (!error || error == -VINE_EPEERLOST)
        error = run_loop(&loop);

    const bool is_late = were_late();

    __atomic_store_n(&loop.is_over, 1, __ATOMIC_RELEASE);
    pthread_join(loop.other, NULL);
    if (error)
        return error;
    if (loop.load.issued != loop.load.done + loop.load.failed + loop.load.lost)
        return 11;
    vine_pipe_close(loop.load.pipe);
    return is_late ? WAS_LATE : 0;
}

static void a_loop_sees_each_task_end_until_its_appliance_dies(void **state)
{
    char lock[128];
    unsigned late = 0;

    (void)state;
    for (unsigned round = 0; round < rounds(); round++) {
        struct load load;
        pid_t server;
        pid_t application;
        int status = 0;

        death->died_ns = 0;
        server = start(be_appliance);
        open_until_it_works(&load);
        vine_pipe_close(load.pipe);
        application = start(be_loop);
        random_moment();
        if (round % 8 == 0) {
            const struct timespec longer = {.tv_nsec = 100000000};

            nanosleep(&longer, NULL);
        }
        assert_int_equal(kill(server, SIGKILL), 0);
        assert_int_equal(waitpid(server, NULL, 0), server);
        __atomic_store_n(&death->died_ns, now_ns(), __ATOMIC_RELAXED);
        assert_int_equal(waitpid(application, &status, 0), application);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == WAS_LATE)
            late++;
        else
            assert_int_equal(WEXITSTATUS(status), 0);
    }
    assert_int_equal(late, 0);
    print_message("%u deaths; tasks ended within %llu ms\n", rounds(),
                  (unsigned long long)(death->worst_ns / 1000000));
    (void)snprintf(lock, sizeof lock, "%s.lock", path);
    assert_int_equal(unlink(lock), 0);
    assert_int_equal(unlink(path), 0);
}

static int setup(void **state)
{
    (void)state;
    prepare_one();
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
        cmocka_unit_test_setup_teardown(a_loop_sees_each_task_end_until_its_appliance_dies, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
