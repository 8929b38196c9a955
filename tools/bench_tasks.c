/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_tasks.c - the floor (a cache line that goes to another core and back) and tasks that do
 * nothing.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdalign.h>

#include "utils/atomic.h"
#include "utils/histogram.h"

#include "bench.h"
#include "human.h"

#define P50 500000
#define P99 990000

/* Round trips between looks at the clock. */
#define LINE_BATCH 1000

struct lines {
    alignas(VINE_CACHE_LINE) uint64_t there;
    alignas(VINE_CACHE_LINE) uint64_t back;
    cpu_set_t echo_processor;
};

#define LINE_STOP UINT64_MAX

static void *echo_line(void *context)
{
    struct lines *lines = context;
    uint64_t seen = 0;

    pthread_setaffinity_np(pthread_self(), sizeof(cpu_set_t), &lines->echo_processor);
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

/* The first two processors that we may use. */
static bool choose_processors(cpu_set_t *ret_own, cpu_set_t *ret_echo)
{
    cpu_set_t allowed;
    unsigned chosen = 0;

    CPU_ZERO(ret_own);
    CPU_ZERO(ret_echo);
    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
        return false;
    for (size_t i = 0; i < CPU_SETSIZE && chosen < 2; i++)
        if (CPU_ISSET(i, &allowed))
            CPU_SET(i, chosen++ == 0 ? ret_own : ret_echo);
    return chosen == 2;
}

int bench_line(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample)
{
    struct lines lines = {0};
    cpu_set_t before, own;
    pthread_t echo;
    uint64_t count = 0, now;

    (void)bench;
    if (!choose_processors(&own, &lines.echo_processor))
        return -ENOTSUP; /* with one processor there is no other core */
    if (pthread_create(&echo, NULL, echo_line, &lines) != 0)
        return -EAGAIN;
    sched_getaffinity(0, sizeof(before), &before);
    sched_setaffinity(0, sizeof(own), &own);
    const uint64_t begin = human_now_ns();
    do {
        for (int i = 0; i < LINE_BATCH; i++) {
            vine__store_release_u64(&lines.there, ++count);
            while (vine__load_acquire_u64(&lines.back) != count)
                vine__cpu_relax();
        }
        now = human_now_ns();
    } while (now - begin < budget_ns);
    vine__store_release_u64(&lines.there, LINE_STOP);
    sched_setaffinity(0, sizeof(before), &before);
    pthread_join(echo, NULL);
    ret_sample->value = (double)(now - begin) / (double)count;
    return 0;
}

int bench_noop(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample)
{
    const struct vine_task_options options = {.size_bytes = sizeof(options)};
    struct vine__histogram times;
    const uint64_t begin = human_now_ns();
    uint64_t before = begin, now;

    vine__histogram_init(&times);
    do {
        const int error =
            vine_task_run(bench->pipe, bench->noop, &options, VINE_NS_PER_SECOND, NULL, NULL);
        if (error < 0)
            return error;
        now = human_now_ns();
        vine__histogram_record(&times, now - before);
        before = now;
    } while (now - begin < budget_ns);
    ret_sample->value = (double)vine__histogram_percentile(&times, P50);
    ret_sample->p99 = (double)vine__histogram_percentile(&times, P99);
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
