/* SPDX-License-Identifier: Apache-2.0 */
/* needs: runtime */
/*
 * A no-op task of an appliance elsewhere that a coroutine awaits (vine_await): the round trip of
 * one after the other, and what each costs where 16 coroutines of a micro-process await at once;
 * beside the same no-op as an ordinary application has it, alone and with 64 in flight. Both have
 * turns at the same appliance, which polls on a processor of its own.
 *
 *   bench_await [ROUNDS]    21 without
 */
#include "serving.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <vine/coroutine.h>
#include <vine/runtime.h>

#include "arch/guard/guard.h"
#include "core/process/process.h"
#include "utils/atomic.h"

#define ROUNDS_MOST 99U
#define TRIPS       4000U /* a round */
#define AT_ONCE     16U
#define LOOK_NS     1000000L /* of who waits for its turn */

enum turn { APPLICATION, COROUTINES, NOBODY };

/* Between the application and the process that has the coroutines. */
static struct shared {
    uint32_t turn; /* atomic */
    uint64_t alone_ns, at_once_ns;
} *shared;

static struct vine_remote remote;
static const char *path;

/* ---- coroutines ------------------------------------------------------------------------------ */

VINE_COROUTINE(awaits)
{
    struct {
        uint32_t n;
        size_t size;
    } *self;

    vine_begin();
    for (self->n = *(const uint32_t *)vine_argument(); self->n > 0; self->n--)
        vine_await(self->size, remote, "noop", .scalar_count = 0);
    vine_end();
}

VINE_COROUTINE(has_turns)
{
    struct {
        uint64_t begin_ns;
        uint32_t count, n;
        struct vine_coroutine *children[AT_ONCE];
    } *self;

    vine_begin();
    for (;;) {
        /* Pairs with the release in give_turn. */
        while (vine__load_acquire_u32(&shared->turn) != COROUTINES)
            vine_sleep(LOOK_NS);
        self->begin_ns = bench_now_ns();
        self->count = TRIPS;
        vine_call(awaits, &self->count);
        shared->alone_ns = bench_now_ns() - self->begin_ns;
        self->begin_ns = bench_now_ns();
        self->count = TRIPS / AT_ONCE;
        for (self->n = 0; self->n < AT_ONCE; self->n++)
            vine_child(awaits, &self->count, self->children[self->n]);
        for (self->n = 0; self->n < AT_ONCE; self->n++)
            vine_join(self->children[self->n]);
        shared->at_once_ns = bench_now_ns() - self->begin_ns;
        /* Pairs with the acquire in give_turn: the times. */
        vine__store_release_u32(&shared->turn, APPLICATION);
    }
    vine_end();
}

static void ended(void *context, const struct vine__process_end *end)
{
    (void)context;
    fprintf(stderr, "bench_await: the coroutines ended by %d\n", end->error);
    _exit(1);
}

static int begin(int argc, char **argv)
{
    const struct vine__guard_options guard = {.wanted = VINE__GUARD_NONE};
    const struct vine__processes_options processes = {.count_max = 16, .sockets_max = 2 * AT_ONCE};
    const struct vine__process_options options = {.type = &vine__type_has_turns, .ended = ended};
    char why[VINE__GUARD_WHY_BYTES];

    (void)argc;
    (void)argv;
    bench_check(vine_remote_add(path, &remote), "the appliance");
    bench_check(vine__guard_choose(&guard, why), why);
    bench_check(vine__processes_prepare(), "the coroutines that there are");
    bench_check(vine__processes_start(&processes), "micro-processes");
    bench_check(vine__process_start(NULL, &options), "a micro-process");
    return VINE_MAIN_GOES_ON;
}

static pid_t fork_coroutines(void)
{
    char name[] = "bench_await", cores[] = "--smp=1";
    char *arguments[] = {name, cores, NULL};
    pid_t pid;

    (void)fflush(stdout);
    pid = fork();
    bench_require(pid >= 0, "fork");
    if (pid > 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    bench_pin(0);
    bench_require(vine_main(2, arguments, NULL, begin) == 0, "reactors");
    _exit(0);
}

/* ---- rounds ---------------------------------------------------------------------------------- */

/* Returns when they have had it. */
static void give_turn(void)
{
    const struct timespec look = {.tv_nsec = LOOK_NS};

    /* Pairs with the acquire in has_turns. */
    vine__store_release_u32(&shared->turn, COROUTINES);
    /* Pairs with the release in has_turns. */
    while (vine__load_acquire_u32(&shared->turn) != APPLICATION)
        (void)nanosleep(&look, NULL);
}

struct figures {
    double trip[ROUNDS_MOST], stream[ROUNDS_MOST]; /* ns, of the application */
    double alone[ROUNDS_MOST], at_once[ROUNDS_MOST];
};

static void play(const struct bench_application *application, struct figures *figures,
                 uint32_t round)
{
    struct bench_noops noops = {.next = 0};
    uint64_t begin_ns = bench_now_ns();

    bench_noop_trips(application, TRIPS);
    figures->trip[round] = (double)(bench_now_ns() - begin_ns) / TRIPS;
    bench_noop_stream(application, &noops, NOOPS_IN_FLIGHT);
    begin_ns = bench_now_ns();
    bench_noop_stream(application, &noops, TRIPS);
    figures->stream[round] = (double)(bench_now_ns() - begin_ns) / TRIPS;
    bench_noop_drain(&noops);
    give_turn();
    figures->alone[round] = (double)shared->alone_ns / TRIPS;
    figures->at_once[round] = (double)shared->at_once_ns / TRIPS;
}

static void print(const char *what, double *ns, double *to, const char *beside, uint32_t rounds)
{
    struct bench_row row = {.limit = NULL};
    double ratios[ROUNDS_MOST], more[ROUNDS_MOST];

    for (uint32_t round = 0; round < rounds; round++) {
        ratios[round] = ns[round] / to[round];
        more[round] = ns[round] - to[round];
    }
    (void)snprintf(row.what, sizeof row.what, "%s", what);
    (void)snprintf(row.measured, sizeof row.measured, "%.0f ns", bench_median(ns, rounds));
    (void)snprintf(row.ratio, sizeof row.ratio, "%.2f", bench_median(ratios, rounds));
    (void)snprintf(row.ratio + strlen(row.ratio), sizeof row.ratio - strlen(row.ratio),
                   " (%.2f .. %.2f)", ratios[rounds / 4], ratios[rounds - 1 - rounds / 4]);
    (void)snprintf(row.beside, sizeof row.beside, "%s, %.0f ns; %+.0f ns", beside,
                   bench_median(to, rounds), bench_median(more, rounds));
    bench_table_row(&row);
}

int main(int argument_count, char **arguments)
{
    const char *const asked = argument_count > 1 ? arguments[1] : getenv("VINE_BENCH_ROUNDS");
    const long rounds = asked != NULL ? strtol(asked, NULL, 10) : 21;
    const struct bench_serving_options options = {.is_pinned = true};
    static struct figures figures;
    struct bench_application application;
    struct bench_serving serving;
    pid_t coroutines;

    bench_require(rounds >= 1 && rounds <= (long)ROUNDS_MOST, "rounds");
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    bench_require(shared != MAP_FAILED, "memory");
    bench_serving_start(&serving, &options);
    path = serving.path;
    coroutines = fork_coroutines();
    bench_pin(0);
    bench_application_open(&application, &serving, VINE_WAIT_STREAM, 0);
    for (uint32_t round = 0; round <= (uint32_t)rounds; round++) /* the first one warms up */
        play(&application, &figures, round > 0 ? round - 1 : 0);
    bench_table_begin("Tasks that coroutines await",
                      "Medians of interleaved rounds; a no-op, there and back.");
    print("awaited one after the other", figures.alone, figures.trip, "an application's",
          (uint32_t)rounds);
    print("awaited by 16 coroutines at once", figures.at_once, figures.stream,
          "an application's with 64 in flight", (uint32_t)rounds);
    bench_table_end();
    vine_pipe_close(application.pipe);
    bench_require(kill(coroutines, SIGKILL) == 0 && waitpid(coroutines, NULL, 0) == coroutines,
                  "the coroutines' end");
    bench_serving_stop(&serving);
    return 0;
}
