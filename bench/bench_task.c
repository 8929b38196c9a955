/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a no-op task costs with all checks on, beside the bare mailbox: one at a time, and 64 in
 * flight from one thread, in both wait modes.
 *
 *   bench_task [ROUNDS]    21 without
 */
#include "duet.h"
#include "serving.h"

#include <stddef.h>

static struct bench_application stream;
static struct bench_application sleepy;
static struct bench_noops noops;

static void stream_trips(struct duet *duet, uint64_t count)
{
    (void)duet;
    bench_noop_trips(&stream, count);
}

static void sleepy_trips(struct duet *duet, uint64_t count)
{
    (void)duet;
    bench_noop_trips(&sleepy, count);
}

static void stream_rate(struct duet *duet, uint64_t count)
{
    (void)duet;
    bench_noop_stream(&stream, &noops, count);
    bench_noop_drain(&noops);
}

static void sleepy_rate(struct duet *duet, uint64_t count)
{
    (void)duet;
    bench_noop_stream(&sleepy, &noops, count);
    bench_noop_drain(&noops);
}

/* 11 million tasks a second are 1.8 in a near mailbox's round trip of 160 ns. */
#define RATE_NEAR     11
#define RATE_PER_TRIP 1.8

static const struct duet_contest trip_stream = {
    .name = "no-op task, `stream`",
    .lead = stream_trips,
    .count = 20000,
    .against = &duet_mailbox,
    .bar = 2.0,
    .limit = "the instructions of both sides between one line's arrival and the next one's "
             "departure (see the count below)",
};

static const struct duet_contest trip_sleepy = {
    .name = "no-op task, `sleepy`",
    .lead = sleepy_trips,
    .count = 20000,
    .against = &duet_mailbox,
    .bar = 2.0,
    .limit = "the same, and one full fence on each side",
};

static const struct duet_contest rate_stream = {
    .name = "no-op tasks, 64 in flight, `stream`",
    .lead = stream_rate,
    .count = 200000,
    .unit = DUET_MILLIONS,
    .against = &duet_mailbox,
    .is_per_trip = true,
    .bar = RATE_PER_TRIP,
    .bar_near = RATE_NEAR,
    .limit = "the instructions of the slower side; near, both sides share one core's units",
};

static const struct duet_contest rate_sleepy = {
    .name = "no-op tasks, 64 in flight, `sleepy`",
    .lead = sleepy_rate,
    .count = 200000,
    .unit = DUET_MILLIONS,
    .against = &duet_mailbox,
    .is_per_trip = true,
};

int main(int argc, char **argv)
{
    static const struct duet_contest *const contests[] = {&duet_mailbox, &trip_stream, &trip_sleepy,
                                                          &rate_stream,  &rate_sleepy, NULL};
    const int rounds = duet_rounds(argc, argv, 21);
    struct bench_serving serving;

    bench_serving_start(&serving, &(struct bench_serving_options){.is_pinned = true});
    bench_application_open(&stream, &serving, VINE_WAIT_STREAM, 0);
    bench_application_open(&sleepy, &serving, VINE_WAIT_SLEEPY, 0);
    duet_play("No-op tasks, all checks on", contests, rounds, NULL);
    vine_pipe_close(stream.pipe);
    vine_pipe_close(sleepy.pipe);
    bench_serving_stop(&serving);
    return 0;
}
