/* SPDX-License-Identifier: Apache-2.0 */
/* needs: runtime */
/*
 * What a task costs more where its handler is a coroutine than where it is a plain function: the
 * same appliance on a reactor has both, and the same pipes bring tasks to the one and to the other
 * in turns, with 10 micro-processes and with 10,000. Beside it the physical limit, a bare run in as
 * many heaps that touches as many pages of each.
 *
 *   bench_handlers [ROUNDS]    11 without
 *
 * VINE_BENCH_ROWS=TEXT: only those rows in whose name it is. VINE_BENCH_GUARD=NAME: only that
 * guard; VINE_BENCH_HEAPS=10 or 10000: only so many.
 */
#include "serving.h"

#include "arch/guard/guard.h"
#include "core/heap/heap.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vine/coroutine.h>
#include <vine/handler.h>
#include <vine/runtime.h>
#include <vine/serving.h>

#define MANY       10000u
#define FEW        10u
#define A_PIPE     125u /* heaps of a pipe, where there are many: its sessions are 255 at most */
#define PIPES      (MANY / A_PIPE)
#define TASKS      10000u /* a round */
#define ROUNDS_MAX 99
#define PAGES      1u /* of a heap that a task touches */

/* ---- handlers -------------------------------------------------------------------------------- */

static int run_noop(struct vine_call *call)
{
    (void)call;
    return 0;
}

/* What it is sent is what it answers. */
static int run_echo(struct vine_call *call)
{
    size_t size = 0;
    const void *const bytes = vine_call_bytes(call, 0, &size);

    return vine_call_result(call, bytes, size);
}

VINE_COROUTINE(once)
{
    struct {
        int unused;
    } *self;

    vine_begin();
    vine_end();
}

VINE_COROUTINE(loops)
{
    struct {
        bool is_there;
    } *self;

    vine_begin();
    do
        vine_task_next(self->is_there);
    while (self->is_there);
    vine_end();
}

/* A task, or what a session brings. */
VINE_COROUTINE(loops_and_echoes)
{
    struct {
        char bytes[16];
        ssize_t length;
        bool is_there;
    } *self;

    vine_begin();
    do {
        vine_read(self->length, self->bytes, sizeof self->bytes);
        vine_write(self->bytes, (size_t)self->length);
        vine_task_next(self->is_there);
    } while (self->is_there);
    vine_end();
}

VINE_COROUTINE(echoes)
{
    struct {
        char bytes[16];
        ssize_t length;
    } *self;

    vine_begin();
    for (;;) {
        vine_read(self->length, self->bytes, sizeof self->bytes);
        if (self->length == 0)
            break;
        vine_write(self->bytes, (size_t)self->length);
    }
    vine_end();
}

static const struct vine_argument bytes_and_result[] = {
    {"bytes", VINE_BYTES, 0, 0, 16},
    {"result", VINE_RESULT, 0, 0, 16},
};

#define SIZED     .size_bytes = sizeof(struct vine_procedure_definition)
#define ARGUMENTS .arguments = bytes_and_result, .argument_count = 2

/* One of a row, of which each task has its turn: as many as there are heaps of a pipe. */
enum { PLAIN_NOOP, PLAIN_ECHO, ONCE, LOOPS, LOOPS_ECHO, ECHOES, PROCEDURES };

static const struct vine_procedure_definition procedures[PROCEDURES] = {
    [PLAIN_NOOP] = {SIZED, .name = "noop", .run = run_noop, .flags = VINE_PROCEDURE_SHORT},
    [PLAIN_ECHO] = {SIZED, .name = "echo", .run = run_echo, .flags = VINE_PROCEDURE_SHORT,
                    .state_bytes = 8, ARGUMENTS},
    [ONCE] = {SIZED, .name = "once", .coroutine = VINE_COROUTINE_OF(once)},
    [LOOPS] = {SIZED, .name = "loops", .coroutine = VINE_COROUTINE_OF(loops)},
    [LOOPS_ECHO] = {SIZED, .name = "loops-echo", .coroutine = VINE_COROUTINE_OF(loops_and_echoes),
                    ARGUMENTS},
    [ECHOES] = {SIZED, .name = "echoes", .coroutine = VINE_COROUTINE_OF(echoes), ARGUMENTS},
};

/* ---- the appliance --------------------------------------------------------------------------- */

static enum vine__guard_kind guard_kind;
static cpu_set_t processors; /* that there are, before one is chosen */
static const char *path;
static const struct vine_appliance_options *how;

static struct vine_procedure_definition offered[PROCEDURES][A_PIPE];
static char names[PROCEDURES][A_PIPE][24];

static const char *name_of(uint32_t procedure, uint32_t number)
{
    (void)snprintf(names[procedure][number], sizeof names[procedure][number], "%s.%u",
                   procedures[procedure].name, number);
    return names[procedure][number];
}

/* A session is of one procedure anyway; tasks have a micro-process for each of these. */
static void offer(struct vine_appliance *appliance)
{
    for (uint32_t procedure = 0; procedure < PROCEDURES; procedure++)
        for (uint32_t number = 0; number < A_PIPE; number++) {
            struct vine_procedure_definition *const one = &offered[procedure][number];

            *one = procedures[procedure];
            one->name = name_of(procedure, number);
            bench_check(vine_appliance_register(appliance, one), "register");
        }
}

static int begin(int argc, char **argv)
{
    static const uint8_t isolations[] = {
        [VINE__GUARD_NONE] = VINE_ISOLATE_NONE,
        [VINE__GUARD_MPROTECT] = VINE_ISOLATE_MPROTECT,
        [VINE__GUARD_PKU] = VINE_ISOLATE_PKU,
    };
    const struct vine_service_options coroutines = {.size_bytes = sizeof coroutines,
                                                    .isolation = isolations[guard_kind]};
    const struct vine_serving_options options = {
        .size_bytes = sizeof options, .appliance = how, .coroutines = &coroutines};
    struct vine_serving *serving = NULL;

    (void)argc;
    (void)argv;
    bench_check(vine_serving_create(&options, &serving), "create");
    bench_serving_offer(vine_serving_appliance(serving));
    offer(vine_serving_appliance(serving));
    bench_check(vine_serving_start(serving, path), "start");
    return VINE_MAIN_GOES_ON;
}

static void serve(const char *at, const struct vine_appliance_options *options)
{
    char name[] = "bench_handlers", cores[] = "--smp=1";
    char *arguments[] = {name, cores, NULL};

    path = at;
    how = options;
    bench_require(vine_main(2, arguments, NULL, begin) == 0, "reactors");
}

/* ---- tasks ----------------------------------------------------------------------------------- */

/* Where tasks go to, by turns. */
struct target {
    struct vine_pipe *pipe;
    struct vine_procedure *procedure;
    struct vine_session *session;
};

static struct bench_application applications[PIPES];
static struct target targets[PROCEDURES][MANY];

static void open_targets(uint32_t procedure, uint32_t count, bool has_sessions)
{
    const uint32_t pipes = count > A_PIPE ? PIPES : 1;

    for (uint32_t i = 0; i < count; i++) {
        struct target *const target = &targets[procedure][i];
        const struct bench_application *const application = &applications[i % pipes];

        target->pipe = application->pipe;
        target->procedure = bench_application_procedure(
            application, name_of(procedure, has_sessions ? 0 : i / pipes));
        if (has_sessions)
            bench_check(vine_session_open(target->pipe, target->procedure, &target->session),
                        "session");
    }
}

static void close_targets(uint32_t procedure, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        vine_session_close(targets[procedure][i].session);
    memset(targets[procedure], 0, sizeof targets[procedure]);
}

static void issue(const struct target *target, bool has_bytes, struct vine_task **ret_task)
{
    const struct vine_task_options options = {.size_bytes = sizeof options,
                                              .bytes = has_bytes ? "12345678" : NULL,
                                              .bytes_size = has_bytes ? 8 : 0,
                                              .session = target->session};

    bench_check(vine_task_issue(target->pipe, target->procedure, &options, ret_task), "issue");
}

static void end(struct vine_task *task)
{
    bench_check(vine_task_wait(task, VINE_FOREVER), "wait");
    vine_task_free(task);
}

/* Returns ns a task: one at a time, or so many at once. */
static double play(uint32_t procedure, uint32_t count, uint32_t in_flight)
{
    struct vine_task *tasks[NOOPS_IN_FLIGHT] = {NULL};
    const bool has_bytes = procedures[procedure].argument_count > 0;
    const uint64_t begin_ns = bench_now_ns();

    for (uint32_t n = 0; n < TASKS; n++) {
        struct vine_task **const task = &tasks[n % in_flight];

        if (*task != NULL)
            end(*task);
        issue(&targets[procedure][n % count], has_bytes, task);
    }
    for (uint32_t n = 0; n < in_flight; n++)
        if (tasks[(TASKS + n) % in_flight] != NULL)
            end(tasks[(TASKS + n) % in_flight]);
    return (double)(bench_now_ns() - begin_ns) / TASKS;
}

/* ---- the physical limit ---------------------------------------------------------------------- */

static struct vine__heap *heaps[MANY];
static struct vine__heap_pool *pool;

static void touch(void *context)
{
    volatile uint64_t *const words = context;

    words[0]++;
}

static void open_heaps(void)
{
    const struct vine__guard_options options = {.wanted = guard_kind};
    const struct vine__heap_pool_options of_pool = {.count_max = MANY};
    char why[VINE__GUARD_WHY_BYTES];

    bench_check(vine__guard_choose(&options, why), why);
    bench_check(vine__guard_thread_start(), "a thread's stacks");
    bench_check(vine__heap_pool_create(&of_pool, &pool), "a pool");
    for (uint32_t n = 0; n < MANY; n++) {
        bench_check(vine__heap_take(pool, VINE__HEAP_ANY_COLOUR, &heaps[n]), "a heap");
        heaps[n]->region.start[0] = 1;
        vine__guard_close(&heaps[n]->region);
    }
}

static void close_heaps(void)
{
    for (uint32_t n = 0; n < MANY; n++)
        vine__heap_give(heaps[n]);
    vine__heap_pool_destroy(pool);
    vine__guard_thread_stop();
}

static double play_bare(uint32_t count)
{
    const uint64_t begin_ns = bench_now_ns();
    struct vine__guard_fault fault;

    for (uint32_t n = 0; n < TASKS; n++) {
        struct vine__guard_region *const region = &heaps[n % count]->region;

        bench_check(vine__guard_run(region, touch, region->start, &fault), "run");
    }
    return (double)(bench_now_ns() - begin_ns) / TASKS;
}

/* ---- rows ------------------------------------------------------------------------------------ */

struct contest {
    const char *name;
    uint32_t plain, coroutine;
    bool has_sessions;
    bool has_bar;
};

static const struct contest contests[] = {
    {"a micro-process for each: a no-op", PLAIN_NOOP, ONCE, false, false},
    {"warm: a no-op", PLAIN_NOOP, LOOPS, false, true},
    {"warm: 8 bytes and back", PLAIN_ECHO, LOOPS_ECHO, false, true},
    {"session: 8 bytes and back", PLAIN_ECHO, ECHOES, true, true},
};

struct played {
    uint32_t rounds;
    double plain[ROUNDS_MAX], coroutine[ROUNDS_MAX], bare[ROUNDS_MAX]; /* ns */
};

static void print(const struct contest *contest, uint32_t count, uint32_t in_flight,
                  struct played *played)
{
    struct bench_row row = {.limit = "the run in its heap, its bytes, and what it asks for"};
    const uint32_t rounds = played->rounds;
    double more[ROUNDS_MAX], median;
    double bar_ns = count == FEW ? 30 : 200;

    if (guard_kind == VINE__GUARD_PKU && count == FEW)
        bar_ns = 80;
    for (uint32_t round = 0; round < rounds; round++)
        more[round] = played->coroutine[round] - played->plain[round];
    median = bench_median(more, rounds);
    (void)snprintf(row.what, sizeof row.what, "%s, %u heaps, %s: %s", vine__guard_name(guard_kind),
                   count, in_flight == 1 ? "alone" : "64 in flight", contest->name);
    (void)snprintf(row.beside, sizeof row.beside, "plain %.0f ns; bare run %.1f ns",
                   bench_median(played->plain, rounds), bench_median(played->bare, rounds));
    (void)snprintf(row.ratio, sizeof row.ratio, "%+.0f ns (%+.0f .. %+.0f)", median,
                   more[rounds / 4], more[rounds - 1 - rounds / 4]);
    (void)snprintf(row.measured, sizeof row.measured, "%.0f ns",
                   bench_median(played->coroutine, rounds));
    if (contest->has_bar && guard_kind != VINE__GUARD_MPROTECT) {
        (void)snprintf(row.bar, sizeof row.bar, "at most + %.0f ns", bar_ns);
        row.is_met = median <= bar_ns;
    }
    bench_table_row(&row);
}

static void measure(const struct contest *contest, uint32_t count, uint32_t in_flight,
                    uint32_t rounds)
{
    struct played played = {.rounds = rounds};

    for (uint32_t round = 0; round <= rounds; round++) {
        const uint32_t at = round > 0 ? round - 1 : 0; /* the first one warms up */

        played.plain[at] = play(contest->plain, count, in_flight);
        played.coroutine[at] = play(contest->coroutine, count, in_flight);
        played.bare[at] = play_bare(count);
    }
    print(contest, count, in_flight, &played);
}

static void play_contest(const struct contest *contest, uint32_t count, uint32_t rounds)
{
    const struct bench_serving_options options = {.is_pinned = true, .serve = serve};
    const uint32_t pipes = count > A_PIPE ? PIPES : 1;
    struct bench_serving serving;

    bench_require(sched_setaffinity(0, sizeof processors, &processors) == 0, "processors");
    bench_serving_start(&serving, &options);
    bench_pin(0);
    open_heaps(); /* not before: the appliance is to begin without */
    for (uint32_t i = 0; i < pipes; i++)
        bench_application_open(&applications[i], &serving, VINE_WAIT_STREAM, 0);
    open_targets(contest->plain, count, contest->has_sessions);
    open_targets(contest->coroutine, count, contest->has_sessions);
    measure(contest, count, 1, rounds);
    measure(contest, count, NOOPS_IN_FLIGHT, rounds);
    close_targets(contest->plain, count);
    close_targets(contest->coroutine, count);
    for (uint32_t i = 0; i < pipes; i++)
        vine_pipe_close(applications[i].pipe);
    close_heaps();
    bench_serving_stop(&serving);
}

static bool is_wanted(const char *variable, const char *value)
{
    const char *const wanted = getenv(variable);

    return wanted == NULL || strcmp(wanted, value) == 0;
}

static void run(enum vine__guard_kind kind, uint32_t rounds)
{
    const char *const wanted = getenv("VINE_BENCH_ROWS");
    char title[64], why[VINE__GUARD_WHY_BYTES];

    if (!is_wanted("VINE_BENCH_GUARD", vine__guard_name(kind)))
        return;
    if (vine__guard_check(kind, why) != 0) {
        printf("Left out: `%s`, for %s.\n\n", vine__guard_name(kind), why);
        return;
    }
    guard_kind = kind;
    (void)snprintf(title, sizeof title, "Coroutine handlers over plain ones, `%s`",
                   vine__guard_name(kind));
    bench_table_begin(title, "Medians of interleaved rounds; what is compared is the difference.");
    for (size_t n = 0; n < sizeof contests / sizeof contests[0]; n++)
        if (wanted == NULL || strstr(contests[n].name, wanted) != NULL) {
            if (is_wanted("VINE_BENCH_HEAPS", "10"))
                play_contest(&contests[n], FEW, rounds);
            if (is_wanted("VINE_BENCH_HEAPS", "10000"))
                play_contest(&contests[n], MANY, rounds);
        }
    bench_table_end();
}

int main(int argument_count, char **arguments)
{
    const char *asked = argument_count > 1 ? arguments[1] : getenv("VINE_BENCH_ROUNDS");
    const long rounds = asked != NULL ? strtol(asked, NULL, 10) : 11;

    bench_require(rounds >= 1 && rounds <= ROUNDS_MAX, "rounds");
    bench_require(sched_getaffinity(0, sizeof processors, &processors) == 0, "processors");
    run(VINE__GUARD_NONE, (uint32_t)rounds);
    run(VINE__GUARD_MPROTECT, (uint32_t)rounds);
    run(VINE__GUARD_PKU, (uint32_t)rounds);
    return 0;
}
