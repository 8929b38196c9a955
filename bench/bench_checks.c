/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the checks of hostile peers cost: the same no-op tasks over the library as it ships, and
 * over one that was built without those checks (see bench/trusting.h). `bench/run count` has the
 * same in instructions.
 *
 *   bench_checks [ROUNDS [PROGRAM]]    21 rounds; PROGRAM: another build's peer_noop, to be
 *                                      compared with instead
 */
#include "duet.h"
#include "peer.h"

#include <stdlib.h>

static struct bench_peer ours;
static struct bench_peer other;

static void order(struct bench_peer *peer, const char *name, uint64_t count)
{
    char answer[8];

    (void)fprintf(peer->to, "%s %lu 1\n", name, (unsigned long)count);
    (void)fflush(peer->to);
    bench_require(fscanf(peer->from, "%7s", answer) == 1, "a peer");
}

static void start(struct bench_peer *peer, const char *program)
{
    int pid;

    bench_require(bench_peer_start(peer, program, NULL) && fscanf(peer->from, "%d", &pid) == 1,
                  program);
}

static void our_trips(struct duet *duet, uint64_t count)
{
    (void)duet;
    order(&ours, "trips", count);
}

static void other_trips(struct duet *duet, uint64_t count)
{
    (void)duet;
    order(&other, "trips", count);
}

static void our_stream(struct duet *duet, uint64_t count)
{
    (void)duet;
    order(&ours, "stream", count);
}

static void other_stream(struct duet *duet, uint64_t count)
{
    (void)duet;
    order(&other, "stream", count);
}

static const struct duet_contest trips_without = {
    .name = "no-op task, without checks",
    .lead = other_trips,
    .count = 20000,
    .against = &duet_mailbox,
};
static const struct duet_contest trips_with = {
    .name = "no-op task",
    .lead = our_trips,
    .count = 20000,
    .against = &trips_without,
    .bar = 1.10,
    .limit = "the instructions that `bench/run count` shows",
};
static const struct duet_contest stream_without = {
    .name = "no-op tasks, 64 in flight, without checks",
    .lead = other_stream,
    .count = 200000,
    .unit = DUET_MILLIONS,
};
static const struct duet_contest stream_with = {
    .name = "no-op tasks, 64 in flight",
    .lead = our_stream,
    .count = 200000,
    .unit = DUET_MILLIONS,
    .against = &stream_without,
    .bar = 0.91, /* 1 / 1.10 */
    .limit = "the instructions that `bench/run count` shows",
};

int main(int argc, char **argv)
{
    static const struct duet_contest *const contests[] = {
        &duet_mailbox, &trips_without, &trips_with, &stream_without, &stream_with, NULL};
    const int rounds = duet_rounds(argc, argv, 21);

    start(&ours, "peer_noop");
    start(&other, argc > 2 ? argv[2] : "peer_trusting");
    duet_play("The price of the checks of hostile peers", contests, rounds, NULL);
    bench_peer_stop(&ours);
    bench_peer_stop(&other);
    return 0;
}
