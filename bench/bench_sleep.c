/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Round trips when waiting: spinning; spinning and then sleeping, as it ships; sleeping at once, in
 * both wait modes. Beside them a bare futex, an eventfd and a blocking Unix socket, and a no-op
 * task between two sides that sleep at once. Every payload is copied in and out.
 *
 *   bench_sleep [ROUNDS]    15 without
 */
#include "contests.h"
#include "serving.h"

#include "arch/wake/futex.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vine/spsc.h>
#include <vine/wait.h>

#define SLOTS 64U

/* A ring and whoever sleeps at its ends. */
struct way {
    struct vine_sleep_line line;
    uint64_t consumed __attribute__((aligned(64)));
    struct vine_slot slots[SLOTS] __attribute__((aligned(64)));
};

enum {
    SPINNING,
    THEN_SLEEPING_STREAM,
    THEN_SLEEPING_SLEEPY,
    SLEEPING_STREAM,
    SLEEPING_SLEEPY,
    WAYS,
};

/* What a futex and an eventfd carry. */
struct letter {
    uint32_t sequence;
    unsigned char payload[DUET_BYTES];
} __attribute__((aligned(64)));

struct half {
    struct way ways[WAYS];
    struct letter letter;
    struct letter mail;
};

struct end {
    struct vine_spsc_producer producer;
    struct vine_spsc_consumer consumer;
    struct vine_waiter waiter;
    struct vine_waker waker;
};

static struct end ends[WAYS];
static struct half *ours;
static const struct half *theirs;
static uint32_t letter;
static uint32_t mail;
static int eventfds[2]; /* signalled by each side */
static int sockets[2];
static struct bench_application stream;
static struct bench_application sleepy;

static void open_way(unsigned which, enum vine_wait_mode mode, uint64_t spin_ns)
{
    const struct vine_wait_options options = {
        .size_bytes = sizeof(options), .mode = mode, .spin_ns = spin_ns};
    struct way *mine = &ours->ways[which];
    const struct way *other = &theirs->ways[which];
    struct end *end = &ends[which];

    bench_check(vine_spsc_producer_init(&end->producer, mine->slots, SLOTS, &other->consumed),
                "producer");
    bench_check(vine_spsc_consumer_init(&end->consumer, other->slots, SLOTS, &mine->consumed),
                "consumer");
    bench_check(vine_waiter_init(&end->waiter, &mine->line, &options), "waiter");
    bench_check(vine_waker_init(&end->waker, &other->line, mode), "waker");
}

static void open(struct duet *duet)
{
    bench_require(DUET_AT_OPEN + sizeof(struct half) <= DUET_HALF_BYTES, "half");
    ours = (struct half *)(void *)(duet->ours + DUET_AT_OPEN);
    theirs = (const struct half *)(const void *)(duet->theirs + DUET_AT_OPEN);
    bench_require(vine_wait_mode_choose(VINE_WAIT_STREAM) == VINE_WAIT_STREAM, "membarrier");
    open_way(SPINNING, VINE_WAIT_STREAM, 0);
    open_way(THEN_SLEEPING_STREAM, VINE_WAIT_STREAM, 0);
    open_way(THEN_SLEEPING_SLEEPY, VINE_WAIT_SLEEPY, 0);
    open_way(SLEEPING_STREAM, VINE_WAIT_STREAM, 1);
    open_way(SLEEPING_SLEEPY, VINE_WAIT_SLEEPY, 1);
}

/* ---- ours ------------------------------------------------------------------------------------ */

static bool push(struct end *end, const void *message)
{
    if (vine_spsc_push(&end->producer, message, DUET_BYTES) != 0)
        return false;
    vine_wake_consumer(&end->waker, &end->producer);
    return true;
}

static bool pop(struct end *end, void *message)
{
    bench_check(vine_wait_message(&end->waiter, &end->consumer, UINT64_MAX), "wait");
    return vine_spsc_pop(&end->consumer, message) == 0;
}

ROUND_TRIP(spinning, vine_spsc_push(&ends[SPINNING].producer, message, DUET_BYTES) == 0,
           vine_spsc_pop(&ends[SPINNING].consumer, message) == 0)

#define WAITING(name, which)                                                                       \
    ROUND_TRIP(name, push(&ends[which], message), pop(&ends[which], message))

WAITING(then_sleeping_stream, THEN_SLEEPING_STREAM)
WAITING(then_sleeping_sleepy, THEN_SLEEPING_SLEEPY)
WAITING(sleeping_stream, SLEEPING_STREAM)
WAITING(sleeping_sleepy, SLEEPING_SLEEPY)

/* ---- peers ----------------------------------------------------------------------------------- */

static bool send_letter(const void *message)
{
    memcpy(ours->letter.payload, message, DUET_BYTES);
    vine__store_release_u32(&ours->letter.sequence, letter);
    return vine__futex_wake(&ours->letter.sequence, 1) >= 0;
}

static bool receive_letter(void *message)
{
    const uint32_t *word = &theirs->letter.sequence;

    while (vine__load_acquire_u32(word) != letter)
        (void)!vine__futex_wait(word, letter - 1, UINT64_MAX);
    memcpy(message, theirs->letter.payload, DUET_BYTES);
    return true;
}

static bool send_mail(const struct duet *duet, const void *message)
{
    memcpy(ours->mail.payload, message, DUET_BYTES);
    vine__store_release_u32(&ours->mail.sequence, mail);
    return eventfd_write(eventfds[duet->side], 1) == 0;
}

static bool receive_mail(const struct duet *duet, void *message)
{
    eventfd_t count = 0;

    bench_require(eventfd_read(eventfds[!duet->side], &count) == 0 &&
                      vine__load_acquire_u32(&theirs->mail.sequence) == mail,
                  "eventfd");
    memcpy(message, theirs->mail.payload, DUET_BYTES);
    return true;
}

ROUND_TRIP(futex, (letter += duet->side == 0, send_letter(message)),
           (letter += duet->side == 1, receive_letter(message)))
ROUND_TRIP(eventfd, (mail += duet->side == 0, send_mail(duet, message)),
           (mail += duet->side == 1, receive_mail(duet, message)))
ROUND_TRIP(sockets, write(sockets[duet->side], message, DUET_BYTES) == DUET_BYTES,
           read(sockets[duet->side], message, DUET_BYTES) == DUET_BYTES)

/* ---- tasks ----------------------------------------------------------------------------------- */

static void stream_task(struct duet *duet, uint64_t count)
{
    (void)duet;
    bench_noop_trips(&stream, count);
}

static void sleepy_task(struct duet *duet, uint64_t count)
{
    (void)duet;
    bench_noop_trips(&sleepy, count);
}

#define TASK(text, function)                                                                       \
    {                                                                                              \
        .name = text, .lead = function, .count = 1000, .against = &futex                           \
    }

static const struct duet_contest spin =
    CONTEST("spinning", spinning, 10000, DUET_NS, &duet_mailbox, 0);
static const struct duet_contest then_stream =
    CONTEST("spinning, then sleeping, `stream`", then_sleeping_stream, 10000, DUET_NS, &spin, 1.6);
static const struct duet_contest then_sleepy =
    CONTEST("spinning, then sleeping, `sleepy`", then_sleeping_sleepy, 10000, DUET_NS, &spin, 1.6);
static const struct duet_contest futex = CONTEST("peer: futex", futex, 1000, DUET_NS, NULL, 0);
static const struct duet_contest eventfds_trip =
    CONTEST("peer: eventfd", eventfd, 1000, DUET_NS, &futex, 0);
static const struct duet_contest sockets_trip =
    CONTEST("peer: Unix socket, blocking", sockets, 1000, DUET_NS, &futex, 0);
static const struct duet_contest asleep_sleepy =
    CONTEST("sleeping at once, `sleepy`", sleeping_sleepy, 1000, DUET_NS, &futex, 1.1);
static struct duet_contest asleep_stream =
    CONTEST("sleeping at once, `stream`", sleeping_stream, 1000, DUET_NS, &futex, 1.5);
static const struct duet_contest task_stream =
    TASK("no-op task, both sides sleep at once, `stream`", stream_task);
static const struct duet_contest task_sleepy =
    TASK("no-op task, both sides sleep at once, `sleepy`", sleepy_task);

int main(int argc, char **argv)
{
    static const struct duet_contest *const contests[] = {
        &duet_mailbox, &spin,          &then_stream,   &then_sleepy, &futex,       &eventfds_trip,
        &sockets_trip, &asleep_sleepy, &asleep_stream, &task_sleepy, &task_stream, NULL};
    const int rounds = duet_rounds(argc, argv, 15);
    struct bench_serving serving;

    asleep_stream.limit = "two membarriers a round trip, each of which interrupts the other "
                          "processor if it runs one of the two processes";
    eventfds[0] = eventfd(0, EFD_CLOEXEC);
    eventfds[1] = eventfd(0, EFD_CLOEXEC);
    bench_require(eventfds[0] >= 0 && eventfds[1] >= 0, "eventfd");
    bench_require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0, "socketpair");
    bench_serving_start(&serving, &(struct bench_serving_options){.is_pinned = true, .spin_ns = 1});
    bench_application_open(&stream, &serving, VINE_WAIT_STREAM, 1);
    bench_application_open(&sleepy, &serving, VINE_WAIT_SLEEPY, 1);
    duet_play("Waiting: round trips of 56 bytes", contests, rounds, open);
    vine_pipe_close(stream.pipe);
    vine_pipe_close(sleepy.pipe);
    bench_serving_stop(&serving);
    return 0;
}
