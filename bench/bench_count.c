/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions and system calls of a no-op task and of a message, counted by stepping through
 * them, with and without the checks of hostile peers. Counts, not times: a loaded machine gives the
 * same ones.
 *
 *   bench_count [PROGRAM]    PROGRAM: another build's peer_noop, in place of the library without
 *                            checks
 *
 * While one side is stepped through, the other one runs freely and is always done first: so no
 * waiting is counted, and what is left is the path itself, its share of the loop included.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"
#include "peer.h"
#include "tracing.h"

#include "utils/atomic.h"

#define TIMES 3

/* An application with its appliance, and where that one counts the no-ops. */
struct pair {
    struct bench_peer application;
    pid_t appliance;
    const uint64_t *noops;
};

static void start(struct pair *pair, const char *program)
{
    char argument[16];
    const int fd = memfd_create("count", 0);

    bench_require(fd >= 0 && ftruncate(fd, 4096) == 0, "memfd_create");
    pair->noops = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    bench_require(pair->noops != MAP_FAILED, "mmap");
    (void)snprintf(argument, sizeof(argument), "%d", fd);
    bench_require(bench_peer_start(&pair->application, program, argument) &&
                      fscanf(pair->application.from, "%d", &pair->appliance) == 1,
                  program);
    (void)close(fd);
}

static void order(const struct pair *pair, const char *name, uint64_t count, int times)
{
    (void)fprintf(pair->application.to, "%s %lu %d\n", name, (unsigned long)count, times);
    (void)fflush(pair->application.to);
}

static void finish(const struct pair *pair)
{
    char answer[8];

    bench_require(fscanf(pair->application.from, "%7s", answer) == 1, "a peer");
}

static void do_it(const struct pair *pair, const char *name, uint64_t count)
{
    order(pair, name, count, 1);
    finish(pair);
}

static double least(const double values[TIMES])
{
    double found = values[0];

    for (int n = 1; n < TIMES; n++)
        found = values[n] < found ? values[n] : found;
    return found;
}

/* The steps of the application to do NAME `count` times over: the least of TIMES. */
static double step_application(const struct pair *pair, const char *name, uint64_t count)
{
    const pid_t pid = pair->application.pid;
    double steps[TIMES];

    bench_require(trace_begin(pid), "ptrace");
    order(pair, name, count, TIMES);
    trace_run_to_mark(pid);
    for (int time = 0; time < TIMES; time++)
        steps[time] = (double)trace_step_to_mark(pid);
    trace_end(pid);
    finish(pair);
    return least(steps);
}

/* Instructions of the application for each NAME. */
static double application_steps(const struct pair *pair, const char *name, uint64_t count)
{
    const double empty = step_application(pair, name, 0); /* to the mark and back */

    return (step_application(pair, name, count) - empty) / (double)count;
}

/* Instructions of the appliance for each no-op of NAME, `count` a time. */
static double appliance_steps(const struct pair *pair, const char *name, uint64_t count)
{
    double steps[TIMES];
    uint64_t at;

    order(pair, name, (TIMES + 2) * count + 2000, 1);
    bench_require(trace_begin(pair->appliance), "ptrace");
    at = vine__load_relaxed_u64(pair->noops) + count;
    (void)trace_step_to_value(pair->appliance, pair->noops, at);
    for (int time = 0; time < TIMES; time++) {
        at += count;
        steps[time] = (double)trace_step_to_value(pair->appliance, pair->noops, at);
    }
    trace_end(pair->appliance);
    finish(pair);
    return least(steps) / (double)count;
}

/* ---- system calls ---------------------------------------------------------------------------- */

#define CALL_TASKS 20000u
#define CALL_TIMES 15

static bool has_answered(void *context)
{
    const struct pair *pair = context;
    struct pollfd answer = {.fd = fileno(pair->application.from), .events = POLLIN};

    return poll(&answer, 1, 0) == 1;
}

static struct trace_calls calls_of_application(const struct pair *pair, uint64_t count)
{
    const pid_t pid = pair->application.pid;
    struct trace_calls calls;

    bench_require(trace_begin(pid), "ptrace");
    order(pair, "stream", count, 1);
    trace_run_to_mark(pid);
    trace_calls_to_mark(pid, &calls);
    trace_end(pid);
    finish(pair);
    return calls;
}

static struct trace_calls application_calls(struct pair *pair)
{
    struct trace_calls calls = calls_of_application(pair, CALL_TASKS);

    calls.others -= calls_of_application(pair, 0).others;
    return calls;
}

static struct trace_calls appliance_calls(struct pair *pair)
{
    struct trace_calls calls;

    do_it(pair, "stream", 1000);
    bench_require(trace_begin(pair->appliance), "ptrace");
    order(pair, "stream", CALL_TASKS, 1);
    trace_calls_until(pair->appliance, has_answered, pair, &calls);
    trace_end(pair->appliance);
    finish(pair);
    return calls;
}

/* The least of some runs: a side that loses its processor to somebody else for 2 ms is thought
 * idle, and has to be woken. */
static void print_calls(const char *side, struct pair *pair,
                        struct trace_calls (*count)(struct pair *pair))
{
    struct bench_row row = {.limit = "somebody else's work: in none of the runs were both sides "
                                     "awake all the time"};
    struct trace_calls calls = count(pair);

    for (int time = 1; time < CALL_TIMES; time++) {
        const struct trace_calls again = count(pair);

        if (again.others < calls.others)
            calls = again;
    }
    (void)snprintf(row.what, sizeof(row.what), "system calls in %u no-op tasks: %s", CALL_TASKS,
                   side);
    (void)snprintf(row.measured, sizeof(row.measured), "%lu", (unsigned long)calls.others);
    (void)snprintf(row.bar, sizeof(row.bar), "none");
    row.is_met = calls.others == 0;
    bench_table_row(&row);
    row = (struct bench_row){.limit = NULL};
    (void)snprintf(row.what, sizeof(row.what), "beside them, not for tasks: %s", side);
    (void)snprintf(row.measured, sizeof(row.measured), "%lu looks, %lu offers, %lu barriers",
                   (unsigned long)calls.looks, (unsigned long)calls.offers,
                   (unsigned long)calls.barriers);
    bench_table_row(&row);
}

/* ---- the tables ------------------------------------------------------------------------------ */

static double print_steps(const char *what, double with, double without, const char *beside)
{
    struct bench_row row = {.limit = NULL};

    (void)snprintf(row.what, sizeof(row.what), "%s", what);
    (void)snprintf(row.measured, sizeof(row.measured), "%.1f", with);
    (void)snprintf(row.ratio, sizeof(row.ratio), "%.3f", with / without);
    (void)snprintf(row.beside, sizeof(row.beside), "%s, %.1f", beside, without);
    bench_table_row(&row);
    return with / without;
}

struct path {
    const char *what;
    const char *name;  /* of the peer's deed */
    const char *after; /* what undoes it; NULL: nothing */
    uint64_t count;
};

static void print_application(const struct path *path, const struct pair pairs[2],
                              const char *beside)
{
    double steps[2];

    for (int n = 0; n < 2; n++) {
        steps[n] = application_steps(&pairs[n], path->name, path->count);
        if (path->after != NULL)
            do_it(&pairs[n], path->after, path->count * TIMES);
    }
    (void)print_steps(path->what, steps[0], steps[1], beside);
}

static void print_appliance(const struct path *path, const struct pair pairs[2], const char *beside)
{
    double steps[2];

    for (int n = 0; n < 2; n++)
        steps[n] = appliance_steps(&pairs[n], path->name, path->count);
    (void)print_steps(path->what, steps[0], steps[1], beside);
}

int main(int argc, char **argv)
{
    static const struct path messages[] = {
        {"spsc push of 56 B", "push", "pop", 32},
        {"spsc pop", "pop", NULL, 32},
        {"spsc push, 32 at a time", "push_32", "pop_32", 32},
        {"spsc pop, 32 at a time", "pop_32", NULL, 32},
        {"mpmc push of 56 B", "mpmc_push", "mpmc_pop", 32},
        {"mpmc pop", "mpmc_pop", NULL, 32},
    };
    static const struct path trip[] = {
        {"no-op task, one at a time: application", "trips", NULL, 4},
        {"no-op task, one at a time: appliance", "trips", NULL, 4},
    };
    static const struct path stream[] = {
        {"no-op task, 64 in flight: application", "stream", NULL, 64},
        {"no-op task, 64 in flight: appliance", "stream", NULL, 64},
    };
    const char *beside = argc > 1 ? "the other build" : "without checks";
    struct pair pairs[2];

    start(&pairs[0], "peer_noop");
    start(&pairs[1], argc > 1 ? argv[1] : "peer_trusting");
    if (!trace_begin(pairs[0].appliance)) {
        printf("nothing is counted: this system does not let a process be traced\n");
        return 0;
    }
    trace_end(pairs[0].appliance);
    bench_table_begin(
        "Instructions and system calls",
        "Counted by single steps; the least of some runs, since what is more is waiting. The "
        "ratio is to the same built without the checks of hostile peers. Apart from tasks, an "
        "appliance looks at its descriptors each 20 us, has a barrier for whom it looks at no "
        "longer, once a millisecond at most, and who spins for 4 us offers its processor to "
        "others.");
    print_calls("application", &pairs[0], application_calls);
    print_calls("appliance", &pairs[0], appliance_calls);
    for (int n = 0; n < 2; n++)
        do_it(&pairs[n], "awake", 1);
    print_application(&trip[0], pairs, beside);
    print_appliance(&trip[1], pairs, beside);
    for (int n = 0; n < 2; n++)
        do_it(&pairs[n], "stream", 64);
    print_application(&stream[0], pairs, beside);
    print_appliance(&stream[1], pairs, beside);
    for (size_t n = 0; n < sizeof(messages) / sizeof(messages[0]); n++) {
        if (messages[n].after == NULL)
            for (int side = 0; side < 2; side++)
                do_it(&pairs[side], messages[n - 1].name, messages[n].count * TIMES);
        print_application(&messages[n], pairs, beside);
    }
    bench_table_end();
    for (int n = 0; n < 2; n++)
        bench_peer_stop(&pairs[n].application);
    return 0;
}
