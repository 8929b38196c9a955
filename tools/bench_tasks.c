/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_tasks.c - the floor (a cache line that goes to another core and back) and tasks that do
 * nothing.
 */
#include <errno.h>
#include <pthread.h>
#include <stdalign.h>

#include "arch/cpu/cpu.h"
#include "utils/atomic.h"

#include "bench.h"
#include "human.h"
#include "processors.h"

#define P50 500000
#define P99 990000

/* Round trips between looks at the clock: few enough that a batch in which the other thread had to
 * wait for its processor is one of many. */
#define LINE_BATCH 50

struct lines {
    alignas(VINE_CACHE_LINE) uint64_t there;
    alignas(VINE_CACHE_LINE) uint64_t back;
};

#define LINE_STOP UINT64_MAX

static void *echo_line(void *context)
{
    struct lines *lines = context;
    uint64_t seen = 0;

    processors_keep_to(PROCESSORS_OTHERS);
    for (;;) {
        const uint64_t value = vine__load_acquire_u64(&lines->there);
        if (value == LINE_STOP)
            return NULL;
        if (value != seen) {
            seen = value;
            vine__store_release_u64(&lines->back, value);
        }
        vine__cpu_relax();
    }
}

int bench_line(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample)
{
    struct times *times = bench->times;
    struct lines lines = {0};
    pthread_t echo;
    uint64_t count = 0, now;

    if (!processors_keep_to(PROCESSORS_FIRST))
        return -ENOTSUP; /* with one processor there is no other core */
    if (pthread_create(&echo, NULL, echo_line, &lines) != 0)
        return -EAGAIN;
    const uint64_t begin = human_now_ns();
    uint64_t before = begin;
    do {
        for (int i = 0; i < LINE_BATCH; i++) {
            vine__store_release_u64(&lines.there, ++count);
            while (vine__load_acquire_u64(&lines.back) != count)
                vine__cpu_relax();
        }
        now = human_now_ns();
        times_record(times, (now - before) / LINE_BATCH);
        before = now;
    } while (now - begin < budget_ns);
    vine__store_release_u64(&lines.there, LINE_STOP);
    pthread_join(echo, NULL);
    ret_sample->value = (double)times_percentile(times, P50);
    return 0;
}

int bench_noop(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample)
{
    const struct vine_task_options options = {.size_bytes = sizeof(options)};
    struct times *times = bench->times;
    const uint64_t begin = human_now_ns();
    uint64_t before = begin, now;

    do {
        const int error =
            vine_task_run(bench->pipe, bench->noop, &options, VINE_NS_PER_SECOND, NULL, NULL);
        if (error < 0)
            return error;
        now = human_now_ns();
        times_record(times, now - before);
        before = now;
    } while (now - begin < budget_ns);
    ret_sample->value = (double)times_percentile(times, P50);
    ret_sample->p99 = (double)times_percentile(times, P99);
    return 0;
}

int bench_noop_rate(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample)
{
    const struct vine_task_options options = {.size_bytes = sizeof(options),
                                              .accelerator = bench->parallel};
    struct vine_task *tasks[BENCH_IN_FLIGHT];
    const uint64_t begin = human_now_ns();
    uint64_t count = 0, now;
    int error = 0;

    for (unsigned i = 0; i < BENCH_IN_FLIGHT; i++)
        tasks[i] = NULL;
    do {
        for (unsigned i = 0; i < BENCH_IN_FLIGHT && error == 0; i++) {
            if (tasks[i] != NULL) {
                error = vine_task_wait(tasks[i], VINE_NS_PER_SECOND);
                vine_task_free(tasks[i]);
                tasks[i] = NULL;
                count++;
            }
            if (error == 0)
                error = vine_task_issue(bench->pipe, bench->noop, &options, &tasks[i]);
        }
        now = human_now_ns();
    } while (error == 0 && now - begin < budget_ns);
    for (unsigned i = 0; i < BENCH_IN_FLIGHT; i++) {
        if (tasks[i] != NULL && error == 0)
            error = vine_task_wait(tasks[i], VINE_NS_PER_SECOND);
        vine_task_free(tasks[i]);
    }
    ret_sample->value = (double)count * 1e9 / (double)(now - begin);
    return error;
}
