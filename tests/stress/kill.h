/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/stress/kill.h - an appliance and an application that can be killed at any moment, and what
 * is seen of them from outside.
 *
 * Owns:     nothing.
 * Threads:  one of the test, two of the appliance, each in processes of their own.
 * Blocking: until processes end.
 * Trust:    not concerned.
 * Limits:   for test programs alone: everything is static. `path` is the address of both.
 */
#ifndef VINE_TESTS_STRESS_KILL_H
#define VINE_TESTS_STRESS_KILL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <vine/vine.h>

#include "harness/procedures.h"

#define IN_FLIGHT  24
#define ECHO_BYTES 20000          /* of an input, less than that many */
#define PROMPT_NS  1000000000ULL  /* in which pending tasks end after a loss */
#define TICK_NS    10000000ULL    /* how often an application looks whether the machine runs it */
#define HANG_NS    60000000000ULL /* nothing takes that long unless it hangs */
#define WAS_LATE   12             /* how an application ends whose tasks took longer */

static char folder[64];
static char path[96];
static unsigned seed;

static inline uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* What the test tells an application of the appliance's death, and the other way round. */
struct death {
    uint64_t died_ns;  /* 0: not yet */
    uint64_t worst_ns; /* the longest that tasks took to end, without what the machine stalled */
};

static struct death *death; /* shared with all children that are started from here on */

static inline void share_deaths(size_t count)
{
    death = mmap(NULL, count * sizeof *death, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                 -1, 0);
    assert_true(death != MAP_FAILED);
}

/* Each run plays another one, unless it is told which. */
static inline void choose_seed(void)
{
    const char *const told = getenv("VINE_TEST_SEED");

    seed = told != NULL ? (unsigned)strtoul(told, NULL, 0) : (unsigned)getpid();
    print_message("seed %u\n", seed);
}

/* For tests with one address: a socket in a folder of its own. */
static inline void prepare_one(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/vine-kill-XXXXXX");
    assert_int_equal(folder_make(folder), 0);
    (void)snprintf(path, sizeof path, "%s/socket", folder);
    share_deaths(1);
    choose_seed();
}

/* A moment between nothing and a few milliseconds, mostly short. */
static inline void random_moment(void)
{
    const struct timespec moment = {.tv_nsec = (rand_r(&seed) % 3000) * (rand_r(&seed) % 1000)};

    nanosleep(&moment, NULL);
}

/* ---- the appliance --------------------------------------------------------------------------- */

static struct vine_appliance *appliance;

/* Bytes that the appliance holds of malloc's. */
static inline int run_held(struct vine_call *call)
{
    const struct mallinfo2 info = mallinfo2();
    const uint64_t held = info.uordblks + info.hblkhd;

    return vine_call_result(call, &held, sizeof held);
}

static inline int run_count(struct vine_call *call)
{
    uint64_t *count = vine_call_state(call);

    if (count != NULL)
        ++*count;
    return 0;
}

static const struct vine_argument echo_arguments[] = {
    {"input", VINE_INPUT, VINE_TYPE_BYTES, 0, 1u << 20},
    {"output", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 1u << 20},
};

static const struct vine_argument held_arguments[] = {
    {"bytes", VINE_RESULT, 0, sizeof(uint64_t), sizeof(uint64_t)},
};

static const struct vine_procedure_definition definitions[] = {
    {.size_bytes = sizeof definitions[0],
     .name = "held",
     .run = run_held,
     .arguments = held_arguments,
     .argument_count = 1,
     .flags = VINE_PROCEDURE_SHORT},
    {.size_bytes = sizeof definitions[0],
     .name = "noop",
     .run = run_noop,
     .flags = VINE_PROCEDURE_SHORT},
    {.size_bytes = sizeof definitions[0],
     .name = "echo",
     .run = run_echo,
     .arguments = echo_arguments,
     .argument_count = 2},
    {.size_bytes = sizeof definitions[0],
     .name = "count",
     .run = run_count,
     .state_bytes = sizeof(uint64_t)},
};

static inline void *work(void *context)
{
    vine_appliance_work(context);
    return NULL;
}

static inline void stop(int number)
{
    (void)number;
    vine_appliance_stop(appliance);
}

static inline int offer(struct vine_appliance *to)
{
    int error = 0;

    for (size_t i = 0; error == 0 && i < sizeof definitions / sizeof definitions[0]; i++)
        error = vine_appliance_register(to, &definitions[i]);
    return error;
}

/* How it is served: returns an exit code. */
#ifndef SERVE
#define SERVE serve_by_loop
#endif

/* With one worker. */
__attribute__((unused)) static int serve_by_loop(const char *at,
                                                 const struct vine_appliance_options *options,
                                                 int (*offers)(struct vine_appliance *to),
                                                 uint32_t worker_count)
{
    pthread_t worker;

    if (worker_count != 1 || vine_appliance_create(options, &appliance) != 0)
        return 1;
    signal(SIGTERM, stop);
    if (offers(appliance) != 0)
        return 2;
    if (vine_appliance_listen(appliance, at) != 0)
        return 3;
    if (pthread_create(&worker, NULL, work, appliance) != 0)
        return 4;

    const int error = vine_appliance_serve(appliance);

    pthread_join(worker, NULL);
    vine_appliance_destroy(appliance);
    return error ? 5 : 0;
}

static inline int be_appliance(void)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof options,
                                                   .memory_max_bytes = 8u << 20,
                                                   .channels_max = 4,
                                                   .segment_bytes = 1u << 20};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return SERVE(path, &options, offer, 1);
}

static inline pid_t start(int (*body)(void))
{
    const pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(body());
    return pid;
}

/* ---- an application -------------------------------------------------------------------------- */

struct load {
    struct vine_pipe *pipe;
    struct vine_procedure *noop, *echo, *count;
    struct vine_task *tasks[IN_FLIGHT];
    uint64_t issued, done, failed, lost;
};

/* How long the machine did not run us since the death: what a thread that sleeps for a tick at a
 * time overslept. A second of ours is one in which it runs us. */
static uint64_t tick_begin_ns;
static uint64_t stalled_ns;

static inline uint64_t overslept_ns(uint64_t begin_ns, uint64_t end_ns)
{
    return end_ns - begin_ns > 2 * TICK_NS ? end_ns - begin_ns - TICK_NS : 0;
}

static inline void *keep_time(void *context)
{
    (void)context;
    for (;;) {
        const struct timespec tick = {.tv_nsec = TICK_NS};
        const uint64_t begin_ns = now_ns();

        __atomic_store_n(&tick_begin_ns, begin_ns, __ATOMIC_RELEASE);
        nanosleep(&tick, NULL);
        if (__atomic_load_n(&death->died_ns, __ATOMIC_RELAXED) != 0)
            __atomic_fetch_add(&stalled_ns, overslept_ns(begin_ns, now_ns()), __ATOMIC_RELAXED);
    }
    return NULL;
}

/* Whether the tasks took longer than was promised to end. */
static inline bool were_late(void)
{
    const uint64_t died_ns = __atomic_load_n(&death->died_ns, __ATOMIC_RELAXED);
    const uint64_t end_ns = now_ns();

    if (died_ns == 0)
        return false; /* sooner than the test itself heard of it */

    const uint64_t begin_ns = __atomic_load_n(&tick_begin_ns, __ATOMIC_ACQUIRE);
    const uint64_t excused_ns = __atomic_load_n(&stalled_ns, __ATOMIC_RELAXED) +
                                (end_ns > begin_ns ? overslept_ns(begin_ns, end_ns) : 0);
    const uint64_t took_ns = end_ns - died_ns > excused_ns ? end_ns - died_ns - excused_ns : 0;

    if (took_ns > death->worst_ns)
        death->worst_ns = took_ns;
    return took_ns > PROMPT_NS;
}

static inline int open_load(struct load *load)
{
    int error = vine_pipe_open(path, NULL, &load->pipe);

    if (!error)
        error = vine_procedure_get(load->pipe, "noop", &load->noop);
    if (!error)
        error = vine_procedure_get(load->pipe, "echo", &load->echo);
    if (!error)
        error = vine_procedure_get(load->pipe, "count", &load->count);
    return error;
}

static inline int issue(struct load *load, struct vine_task **ret_task)
{
    struct vine_data *input = NULL;
    struct vine_data *output = NULL;
    struct vine_session *session = NULL;
    struct vine_task_options options = {.size_bytes = sizeof options};
    const uint64_t bytes = (uint64_t)(rand_r(&seed) % ECHO_BYTES);
    int error = 0;

    switch (rand_r(&seed) % 4) {
    case 0:
        error = vine_data_create(load->pipe, VINE_TYPE_BYTES, bytes, &input);
        if (!error)
            error = vine_data_expect(load->pipe, VINE_TYPE_BYTES, bytes, &output);
        options.inputs = &input;
        options.input_count = 1;
        options.outputs = &output;
        options.output_count = 1;
        if (!error)
            error = vine_task_issue(load->pipe, load->echo, &options, ret_task);
        /* Freed at once: the task keeps it as long as it needs it. */
        vine_data_free(input);
        vine_data_free(output);
        return error;
    case 1:
        error = vine_session_open(load->pipe, load->count, &session);
        options.session = session;
        options.session_last = rand_r(&seed) % 2 == 0;
        if (!error)
            error = vine_task_issue(load->pipe, load->count, &options, ret_task);
        vine_session_close(session);
        return error;
    default:
        return vine_task_issue(load->pipe, load->noop, NULL, ret_task);
    }
}

static inline void account(struct load *load, int status)
{
    if (status == 0)
        load->done++;
    else if (status == -VINE_EPEERLOST)
        load->lost++;
    else
        load->failed++;
}

/* Issue and wait until the appliance is gone; then all that was issued is accounted for. */
static inline int be_application(void)
{
    struct load load = {0};
    pthread_t keeper;
    int error;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (pthread_create(&keeper, NULL, keep_time, NULL) != 0)
        return 13;
    seed ^= (unsigned)getpid();
    error = open_load(&load);
    if (error)
        return error == -VINE_EPEERLOST || error == -VINE_ENOAPPLIANCE ? 0 : 10;
    while (!error) {
        struct vine_task **slot = &load.tasks[rand_r(&seed) % IN_FLIGHT];

        if (*slot != NULL) {
            const int status = vine_task_wait(*slot, VINE_FOREVER);

            account(&load, status);
            vine_task_free(*slot);
            *slot = NULL;
            if (status == -VINE_EPEERLOST)
                break;
        }
        error = issue(&load, slot);
        if (error == 0)
            load.issued++;
        else if (error == -EAGAIN || error == -VINE_EQUOTA)
            error = 0;
    }

    for (int i = 0; i < IN_FLIGHT; i++) {
        if (load.tasks[i] == NULL)
            continue;
        account(&load, vine_task_wait(load.tasks[i], HANG_NS));
        vine_task_free(load.tasks[i]);
    }
    if (load.issued != load.done + load.failed + load.lost)
        return 11;

    const bool is_late = were_late();

    vine_pipe_close(load.pipe);
    return is_late ? WAS_LATE : 0;
}

/* ---- what is left behind --------------------------------------------------------------------- */

static inline unsigned entries_of(const char *name)
{
    DIR *directory = opendir(name);
    unsigned count = 0;

    if (directory == NULL)
        return 0;
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static inline unsigned descriptors_of(pid_t pid)
{
    char name[64];

    (void)snprintf(name, sizeof name, "/proc/%d/fd", (int)pid);
    return entries_of(name);
}

/* Mappings of halves, whose names have `half_name` in them; what an allocator maps for itself is
 * none of our business. */
static const char *half_name = "/memfd:";

static inline unsigned mappings_of(pid_t pid)
{
    char line[512];
    unsigned count = 0;

    (void)snprintf(line, sizeof line, "/proc/%d/maps", (int)pid);

    FILE *file = fopen(line, "r");

    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL)
        count += strstr(line, half_name) != NULL;
    fclose(file);
    return count;
}

/* What malloc gave to the appliance, the least of several answers: what a dead application's pipe
 * was made of is given back after its mappings. */
static inline uint64_t held_by(struct load *load)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    struct vine_procedure *held = NULL;
    uint64_t least = UINT64_MAX;

    assert_int_equal(vine_procedure_get(load->pipe, "held", &held), 0);
    for (int look = 0; look < 50; look++) {
        uint64_t bytes = 0;
        size_t size = sizeof bytes;

        assert_int_equal(vine_task_run(load->pipe, held, NULL, HANG_NS, &bytes, &size), 0);
        assert_int_equal(size, sizeof bytes);
        if (bytes < least)
            least = bytes;
        nanosleep(&pause, NULL);
    }
    return least;
}

/* Memory of its own that a process has touched, malloc's or not. */
static inline uint64_t anonymous_of(pid_t pid)
{
    char line[256];
    unsigned long long kib = 0;

    (void)snprintf(line, sizeof line, "/proc/%d/smaps_rollup", (int)pid);

    FILE *file = fopen(line, "r");

    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Anonymous: %llu", &kib) == 1)
            break;
    fclose(file);
    return kib << 10;
}

/* Until the appliance holds as little as before; the deaths reach it one by one. */
static inline void wait_for_release(pid_t pid, unsigned descriptors, unsigned mappings)
{
    const uint64_t start_ns = now_ns();

    while (descriptors_of(pid) > descriptors || mappings_of(pid) > mappings) {
        const struct timespec pause = {.tv_nsec = 1000000};

        assert_true(now_ns() - start_ns < HANG_NS);
        nanosleep(&pause, NULL);
    }
}

static inline void open_until_it_works(struct load *load)
{
    const uint64_t start_ns = now_ns();
    int error;

    do {
        memset(load, 0, sizeof *load);
        error = open_load(load);
        if (error)
            vine_pipe_close(load->pipe);
        assert_true(now_ns() - start_ns < HANG_NS);
    } while (error);
}

/* The largest input once: the worker keeps the memory that it copied it to. */
static inline void echo_largest(struct load *load)
{
    struct vine_data *input = NULL;
    struct vine_data *output = NULL;

    assert_int_equal(vine_data_create(load->pipe, VINE_TYPE_BYTES, ECHO_BYTES, &input), 0);
    assert_int_equal(vine_data_expect(load->pipe, VINE_TYPE_BYTES, ECHO_BYTES, &output), 0);

    const struct vine_task_options options = {.size_bytes = sizeof options,
                                              .inputs = &input,
                                              .input_count = 1,
                                              .outputs = &output,
                                              .output_count = 1};

    assert_int_equal(vine_task_run(load->pipe, load->echo, &options, HANG_NS, NULL, NULL), 0);
    vine_data_free(input);
    vine_data_free(output);
}

static inline void ping(struct load *load)
{
    assert_int_equal(vine_task_run(load->pipe, load->noop, NULL, HANG_NS, NULL, NULL), 0);
}

#endif
