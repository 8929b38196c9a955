/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/stress/stay.h - an application that goes on with the next appliance, whenever the one that
 * it has is killed.
 *
 * Owns:     nothing.
 * Threads:  one of the test, one of the application.
 * Blocking: until processes end.
 * Trust:    not concerned.
 * Limits:   for test programs alone, as kill.h.
 */
#ifndef VINE_TESTS_STRESS_STAY_H
#define VINE_TESTS_STRESS_STAY_H

#include "stress/kill.h"

#define KEPT_MAX   8 /* results that are looked at again when other appliances have come */
#define ECHO_FEW   (ECHO_BYTES / 4)
#define WAS_LOST   21 /* how it ends where a task that may run twice was lost */
#define WAS_WRONG  22 /* where a result was not what was sent */
#define WAS_BROKEN 23 /* where the pipe was over */

/* In memory that the test and its children share. */
static struct stay {
    uint32_t is_over;
    uint32_t is_open;
    uint64_t renewals; /* of the application, as it last said */
} *stay;

struct kept {
    struct vine_data *data;
    unsigned char letter;
};

static inline bool is_whole(const struct kept *kept)
{
    const unsigned char *bytes = vine_data_view(kept->data);

    for (uint64_t i = 0; i < vine_data_size(kept->data); i++)
        if (bytes[i] != kept->letter)
            return false;
    return true;
}

/* Have bytes sent back by a task that may run twice. Returns 0, or how the application ends. */
static inline int echo_again(struct load *load, struct kept *kept)
{
    struct vine_data *input = NULL;
    const uint64_t bytes = 1 + (uint64_t)(rand_r(&seed) % ECHO_FEW);
    struct vine_task_options options = {.size_bytes = sizeof options,
                                        .inputs = &input,
                                        .input_count = 1,
                                        .outputs = &kept->data,
                                        .output_count = 1,
                                        .idempotent = true};
    int error = vine_data_create(load->pipe, VINE_TYPE_BYTES, bytes, &input);

    if (!error)
        error = vine_data_expect(load->pipe, VINE_TYPE_BYTES, bytes, &kept->data);
    if (error)
        return WAS_BROKEN;
    kept->letter = (unsigned char)rand_r(&seed);
    memset(vine_data_map(input), kept->letter, bytes);
    error = vine_task_run(load->pipe, load->echo, &options, HANG_NS, NULL, NULL);
    vine_data_free(input);
    if (error)
        return error == -VINE_EPEERLOST ? WAS_LOST : WAS_BROKEN;
    return vine_data_size(kept->data) == bytes && is_whole(kept) ? 0 : WAS_WRONG;
}

static inline void let_go(struct vine_task *task, int status, void *context)
{
    struct load *load = context;

    account(load, status);
    vine_task_free(task);
}

static inline int be_one_that_stays(void)
{
    const struct vine_pipe_options options = {.size_bytes = sizeof options,
                                              .reconnect_ns = HANG_NS};
    struct kept kept[KEPT_MAX] = {{0}};
    struct load load = {0};
    struct vine_pipe_stats stats;
    int how = 0;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    seed ^= (unsigned)getpid();
    if (vine_pipe_open(path, &options, &load.pipe) != 0 ||
        vine_procedure_get(load.pipe, "noop", &load.noop) != 0 ||
        vine_procedure_get(load.pipe, "echo", &load.echo) != 0)
        return WAS_BROKEN;
    __atomic_store_n(&stay->is_open, 1, __ATOMIC_RELEASE);
    while (how == 0 && __atomic_load_n(&stay->is_over, __ATOMIC_ACQUIRE) == 0) {
        struct kept *one = &kept[rand_r(&seed) % KEPT_MAX];
        const struct vine_task_options maybe_lost = {
            .size_bytes = sizeof maybe_lost, .callback = let_go, .context = &load};
        struct vine_task *task;

        if (one->data != NULL && !is_whole(one))
            how = WAS_WRONG;
        vine_data_free(one->data);
        one->data = NULL;
        for (int i = 0; i < IN_FLIGHT && how == 0; i++)
            load.issued += vine_task_issue(load.pipe, load.noop, &maybe_lost, &task) == 0;
        if (how == 0)
            how = echo_again(&load, one);
        vine_pipe_get_stats(load.pipe, &stats);
        __atomic_store_n(&stay->renewals, stats.renewals, __ATOMIC_RELEASE);
    }
    for (int i = 0; i < KEPT_MAX; i++)
        if (kept[i].data != NULL && how == 0 && !is_whole(&kept[i]))
            how = WAS_WRONG;
    while (how == 0 && load.done + load.failed + load.lost < load.issued)
        if (vine_pipe_poll(load.pipe) < 0)
            how = WAS_BROKEN;
    vine_pipe_close(load.pipe);
    return how;
}

static inline void share_stay(void)
{
    stay = mmap(NULL, sizeof *stay, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(stay != MAP_FAILED);
}

static inline void die(pid_t process)
{
    random_moment();
    assert_int_equal(kill(process, SIGKILL), 0);
    assert_int_equal(waitpid(process, NULL, 0), process);
}

/* Kill one appliance after the other under it; `server` is the first, and the last is returned. */
static inline pid_t have_it_stay(pid_t server, unsigned rounds, int (*appliance_body)(void),
                                 int (*application_body)(void))
{
    uint64_t renewals = 0;
    int status = 0;

    memset(stay, 0, sizeof *stay);

    const pid_t application = start(application_body);

    while (__atomic_load_n(&stay->is_open, __ATOMIC_ACQUIRE) == 0)
        sched_yield();
    for (unsigned round = 0; round < rounds; round++) {
        die(server);
        server = start(appliance_body);
        /* Now and then one that has not been greeted dies, too. */
        while (round % 3 != 0 && waitpid(application, &status, WNOHANG) == 0 &&
               __atomic_load_n(&stay->renewals, __ATOMIC_ACQUIRE) == renewals)
            sched_yield();
        renewals = __atomic_load_n(&stay->renewals, __ATOMIC_ACQUIRE);
    }
    __atomic_store_n(&stay->is_over, 1, __ATOMIC_RELEASE);
    assert_int_equal(waitpid(application, &status, 0), application);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    print_message("%u deaths, %llu renewals\n", rounds, (unsigned long long)stay->renewals);
    assert_true(stay->renewals > 0);
    return server;
}

#endif
