/* SPDX-License-Identifier: Apache-2.0 */
/* needs: runtime */
/*
 * What a no-op task costs where the appliance is on a reactor, beside the plain loop of
 * vine_appliance_serve: one at a time, and 64 in flight from one thread.
 *
 *   bench_serving [ROUNDS]    21 without
 */
#include "duet.h"
#include "serving.h"

#include <stddef.h>

#include <vine/runtime.h>
#include <vine/serving.h>

#define WORSE 1.15 /* than the plain loop, at most */

/* An application of one of the two, in both wait modes. */
struct side {
    struct bench_serving serving;
    struct bench_application stream, sleepy;
};

static struct side plain, reactor;
static struct bench_noops noops;

/* ---- an appliance on a reactor --------------------------------------------------------------- */

static const char *path;
static const struct vine_appliance_options *how;

static int begin(int argc, char **argv)
{
    const struct vine_serving_options options = {.size_bytes = sizeof(options), .appliance = how};
    struct vine_serving *serving = NULL;

    (void)argc;
    (void)argv;
    bench_check(vine_serving_create(&options, &serving), "create");
    bench_serving_offer(vine_serving_appliance(serving));
    bench_check(vine_serving_start(serving, path), "start");
    return VINE_MAIN_GOES_ON;
}

/* On the processor that it is pinned to: one core. */
static void serve(const char *at, const struct vine_appliance_options *options)
{
    char name[] = "bench_serving", cores[] = "--smp=1";
    char *arguments[] = {name, cores, NULL};

    path = at;
    how = options;
    bench_require(vine_main(2, arguments, NULL, begin) == 0, "reactors");
}

/* ---- contests -------------------------------------------------------------------------------- */

static void plain_stream_trips(struct duet *duet, uint64_t count)
{
    (void)duet;
    bench_noop_trips(&plain.stream, count);
}

static void plain_sleepy_trips(struct duet *duet, uint64_t count)
{
    (void)duet;
    bench_noop_trips(&plain.sleepy, count);
}

static void plain_rate(struct duet *duet, uint64_t count)
{
    (void)duet;
    bench_noop_stream(&plain.stream, &noops, count);
    bench_noop_drain(&noops);
}

static void reactor_stream_trips(struct duet *duet, uint64_t count)
{
    (void)duet;
    bench_noop_trips(&reactor.stream, count);
}

static void reactor_sleepy_trips(struct duet *duet, uint64_t count)
{
    (void)duet;
    bench_noop_trips(&reactor.sleepy, count);
}

static void reactor_rate(struct duet *duet, uint64_t count)
{
    (void)duet;
    bench_noop_stream(&reactor.stream, &noops, count);
    bench_noop_drain(&noops);
}

static const struct duet_contest plain_stream = {
    .name = "plain loop: no-op task, `stream`",
    .lead = plain_stream_trips,
    .count = 20000,
};

static const struct duet_contest reactor_stream = {
    .name = "reactor: no-op task, `stream`",
    .lead = reactor_stream_trips,
    .count = 20000,
    .against = &plain_stream,
    .bar = WORSE,
    .limit = "the rest of a turn of the reactor, between two looks at the ring",
};

static const struct duet_contest plain_sleepy = {
    .name = "plain loop: no-op task, `sleepy`",
    .lead = plain_sleepy_trips,
    .count = 20000,
};

static const struct duet_contest reactor_sleepy = {
    .name = "reactor: no-op task, `sleepy`",
    .lead = reactor_sleepy_trips,
    .count = 20000,
    .against = &plain_sleepy,
    .bar = WORSE,
    .limit = "the same",
};

/* In ns a task, as its reference is: what a ratio wants. */
static const struct duet_contest plain_busy = {
    .name = "plain loop: a no-op of 64 in flight",
    .lead = plain_rate,
    .count = 200000,
};

static const struct duet_contest reactor_busy = {
    .name = "reactor: a no-op of 64 in flight",
    .lead = reactor_rate,
    .count = 200000,
    .against = &plain_busy,
    .bar = WORSE,
    .limit = "the same",
};

static void open_side(struct side *side, const struct bench_serving_options *options)
{
    bench_serving_start(&side->serving, options);
    bench_application_open(&side->stream, &side->serving, VINE_WAIT_STREAM, 0);
    bench_application_open(&side->sleepy, &side->serving, VINE_WAIT_SLEEPY, 0);
}

static void close_side(struct side *side)
{
    vine_pipe_close(side->stream.pipe);
    vine_pipe_close(side->sleepy.pipe);
    bench_serving_stop(&side->serving);
}

int main(int argc, char **argv)
{
    static const struct duet_contest *const contests[] = {
        &plain_stream, &reactor_stream, &plain_sleepy, &reactor_sleepy,
        &plain_busy,   &reactor_busy,   NULL};
    const int rounds = duet_rounds(argc, argv, 21);

    open_side(&plain, &(struct bench_serving_options){.is_pinned = true});
    open_side(&reactor, &(struct bench_serving_options){.is_pinned = true, .serve = serve});
    duet_play("No-op tasks on a reactor", contests, rounds, NULL);
    close_side(&plain);
    close_side(&reactor);
    return 0;
}
