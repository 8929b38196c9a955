/* SPDX-License-Identifier: Apache-2.0 */
/* needs: runtime liburing */
/*
 * The first event after a sleep: from the write to an eventfd until a thread that waited for it
 * runs, by read and by a bare io_uring, beside a reactor that reads the same, until the work that
 * it posts runs. After 2 and 10 ms; and after so long that whoever watches the reactor sleeps, too,
 * and has to be told.
 */
#include "bench.h"

#include <liburing.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "arch/thread/thread.h"
#include "core/reactor/reactor.h"
#include "core/watch/watch.h"
#include "utils/atomic.h"

#define EVENTS_MOST  25 /* of a round, of which the median counts */
#define ROUNDS_MOST  41
#define SHORT_NS     2000000ULL
#define SHORT_ROUNDS 41
#define SHORT_EVENTS 25
#define MIDDLE_NS    10000000ULL
#define LONG_NS      140000000ULL /* the watcher sleeps 100 ms after the last core */
#define LONG_ROUNDS  11
#define LONG_EVENTS  9
#define BLOCKED_NS   25000000ULL /* as --blocked-reactor-notify-ms has it */
#define IDLE_POLL_NS 200000ULL   /* as --idle-poll-time-us */

enum way {
    BARE,
    RING,
    ALONE,
    WATCHED,
    WAYS,
};

struct sleeper {
    enum way way;
    pthread_t thread;
    int fd;
    uint64_t count;
    uint64_t woken_ns; /* atomic: when it ran; 0: it sleeps */
    uint64_t ended_ns; /* when its operation ended, before the work */
    uint64_t slept;    /* how often the kernel has put it to sleep, when it ran */
    uint32_t number;   /* of the thread */
    bool has_ended;
    pthread_barrier_t made, begins;
    struct vine__mesh *mesh;
    struct vine__reactor *reactor;
    struct vine__watch *watch;
    struct vine__operation reading;
    struct vine_work work;
};

static struct sleeper sleepers[WAYS];

static void note(struct sleeper *sleeper)
{
    const uint64_t now_ns = bench_now_ns();
    struct rusage usage;

    bench_require(getrusage(RUSAGE_THREAD, &usage) == 0, "getrusage");
    sleeper->slept = (uint64_t)usage.ru_nvcsw;
    /* Pairs with the acquire in wake. */
    vine__store_release_u64(&sleeper->woken_ns, now_ns);
}

static bool is_reactor(const struct sleeper *sleeper)
{
    return sleeper->way == ALONE || sleeper->way == WATCHED;
}

/* ---- those who sleep ------------------------------------------------------------------------- */

static void sleep_in_read(struct sleeper *sleeper)
{
    while (!sleeper->has_ended) {
        bench_require(read(sleeper->fd, &sleeper->count, sizeof(sleeper->count)) > 0, "eventfd");
        note(sleeper);
    }
}

static void sleep_in_ring(struct sleeper *sleeper)
{
    struct io_uring ring;
    struct io_uring_cqe *cqe;

    bench_check(
        io_uring_queue_init(64, &ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN),
        "io_uring");
    (void)io_uring_register_ring_fd(&ring);
    while (!sleeper->has_ended) {
        io_uring_prep_read(io_uring_get_sqe(&ring), sleeper->fd, &sleeper->count,
                           sizeof(sleeper->count), (uint64_t)-1);
        bench_require(io_uring_submit_and_wait(&ring, 1) >= 0, "io_uring");
        bench_check(io_uring_wait_cqe(&ring, &cqe), "io_uring");
        io_uring_cqe_seen(&ring, cqe);
        note(sleeper);
    }
    io_uring_queue_exit(&ring);
}

static void read_on(struct vine_work *work)
{
    struct sleeper *const sleeper = VINE_CONTAINER_OF(work, struct sleeper, work);

    if (sleeper->has_ended)
        vine_stop(0);
    note(sleeper);
    if (!sleeper->has_ended)
        vine__reactor_begin(&sleeper->reading);
}

static void has_read(struct vine__operation *reading, int32_t result, uint32_t flags)
{
    struct sleeper *const sleeper = VINE_CONTAINER_OF(reading, struct sleeper, reading);

    (void)flags;
    sleeper->ended_ns = bench_now_ns();
    bench_check(result < 0 ? result : 0, "eventfd");
    vine_work_post(&sleeper->work);
}

static void sleep_in_reactor(struct sleeper *sleeper)
{
    vine__reactor_run(sleeper->reactor);
    (void)pthread_barrier_wait(&sleeper->made); /* whoever watches has gone */
    vine__reactor_destroy(sleeper->reactor);
}

static void make_reactor(struct sleeper *sleeper)
{
    const struct vine__mesh_options options = {.core_count = 1, .idle_poll_ns = IDLE_POLL_NS};
    const struct vine__poller_options poller_options = {0};
    struct vine__poller *poller;

    bench_check(vine__mesh_create(&sleeper->mesh, &options), "mesh");
    bench_check(vine__poller_create(&poller, &poller_options), "poller");
    bench_check(vine__reactor_create(&sleeper->reactor, sleeper->mesh, 0, poller), "reactor");
    vine_work_init(&sleeper->work, read_on);
    sleeper->reading = (struct vine__operation){
        .fn = has_read,
        .kind = VINE__POLL_READ,
        .fd = sleeper->fd,
        .bytes = &sleeper->count,
        .size = sizeof(sleeper->count),
        .offset = VINE__POLL_STREAM,
    };
    (void)vine__reactor_enter(sleeper->reactor);
    vine__reactor_begin(&sleeper->reading);
    (void)vine__reactor_enter(NULL);
}

static void *play(void *context)
{
    struct sleeper *const sleeper = context;

    bench_pin(1);
    sleeper->number = vine__thread_number();
    if (is_reactor(sleeper))
        make_reactor(sleeper);
    (void)pthread_barrier_wait(&sleeper->made);
    (void)pthread_barrier_wait(&sleeper->begins);
    if (sleeper->way == BARE)
        sleep_in_read(sleeper);
    else if (sleeper->way == RING)
        sleep_in_ring(sleeper);
    else
        sleep_in_reactor(sleeper);
    return NULL;
}

static void start(struct sleeper *sleeper, enum way way)
{
    sleeper->way = way;
    sleeper->fd = eventfd(0, EFD_CLOEXEC);
    bench_require(sleeper->fd >= 0, "eventfd");
    (void)pthread_barrier_init(&sleeper->made, NULL, 2);
    (void)pthread_barrier_init(&sleeper->begins, NULL, 2);
    bench_require(pthread_create(&sleeper->thread, NULL, play, sleeper) == 0, "thread");
    (void)pthread_barrier_wait(&sleeper->made);
    if (way == WATCHED) {
        const struct vine__watched core = {
            .reactor = sleeper->reactor, .thread = sleeper->thread, .number = sleeper->number};
        const struct vine__watch_options options = {
            .mesh = sleeper->mesh, .cores = &core, .core_count = 1, .blocked_ns = BLOCKED_NS};

        bench_check(vine__watch_start(&sleeper->watch, &options), "watch");
    }
    (void)pthread_barrier_wait(&sleeper->begins);
}

static void stop(struct sleeper *sleeper)
{
    sleeper->has_ended = true; /* the eventfd is a barrier */
    bench_require(eventfd_write(sleeper->fd, 1) == 0, "eventfd");
    if (is_reactor(sleeper)) {
        vine__watch_stop(sleeper->watch);
        (void)pthread_barrier_wait(&sleeper->made);
    }
    (void)pthread_join(sleeper->thread, NULL);
    vine__watch_destroy(sleeper->watch);
    if (sleeper->mesh != NULL)
        vine__mesh_destroy(sleeper->mesh);
    (void)close(sleeper->fd);
}

/* ---- contests -------------------------------------------------------------------------------- */

/* What was measured of one way, in nanoseconds: of the events of a round, and its median. */
struct times {
    double ran_one[EVENTS_MOST];   /* from the write until it ran */
    double ended_one[EVENTS_MOST]; /* of a reactor: until its operation had ended */
    double ran[ROUNDS_MOST];
    double ended[ROUNDS_MOST];
    uint64_t slept; /* events before which it did sleep */
};

static void wake(enum way way, uint64_t asleep_ns, struct times *times, size_t event)
{
    const struct timespec moment = {.tv_nsec = (long)asleep_ns};
    struct sleeper *const sleeper = &sleepers[way];
    const uint64_t before = sleeper->slept;
    uint64_t woken_ns;

    (void)nanosleep(&moment, NULL);
    vine__store_relaxed_u64(&sleeper->woken_ns, 0);
    const uint64_t start_ns = bench_now_ns();

    bench_require(eventfd_write(sleeper->fd, 1) == 0, "eventfd");
    while ((woken_ns = vine__load_acquire_u64(&sleeper->woken_ns)) == 0) /* pairs with note */
        (void)usleep(100);
    times->slept += sleeper->slept > before;
    times->ran_one[event] = (double)(woken_ns - start_ns);
    times->ended_one[event] = (double)(sleeper->ended_ns - start_ns);
}

static void play_round(uint64_t asleep_ns, struct times times[WAYS], size_t round, size_t events)
{
    for (size_t event = 0; event < events; event++)
        for (size_t turn = 0; turn < WAYS; turn++) {
            const enum way way = (event + turn) % WAYS;

            wake(way, asleep_ns, &times[way], event);
        }
    for (enum way way = BARE; way < WAYS; way++) {
        times[way].ran[round] = bench_median(times[way].ran_one, events);
        times[way].ended[round] = bench_median(times[way].ended_one, events);
    }
}

static void row(const char *what, const char *when, const double *measured, const double *bare,
                size_t count, double bar)
{
    double sorted[ROUNDS_MOST], ratio[ROUNDS_MOST];
    struct bench_row out = {.is_met = true};

    for (size_t i = 0; i < count; i++) {
        sorted[i] = measured[i];
        ratio[i] = measured[i] / bare[i];
    }
    const double median = bench_median(ratio, count);

    (void)snprintf(out.what, sizeof(out.what), "%s, after %s", what, when);
    (void)snprintf(out.measured, sizeof(out.measured), "%.0f ns", bench_median(sorted, count));
    if (measured != bare) {
        (void)snprintf(out.ratio, sizeof(out.ratio), "%.2f (%.2f .. %.2f)", median,
                       ratio[count / 4], ratio[3 * count / 4]);
        (void)snprintf(out.beside, sizeof(out.beside), "bare eventfd");
    }
    if (bar > 0) {
        (void)snprintf(out.bar, sizeof(out.bar), "at most %.2f", bar);
        out.is_met = median <= bar;
        out.limit = "caches that are cold, mostly for the kernel's way through io_uring, which a "
                    "bare one pays, too";
    }
    bench_table_row(&out);
}

static void contest(const char *when, uint64_t asleep_ns, size_t rounds, size_t events)
{
    static struct times times[WAYS];
    struct bench_row sleeps = {.what = "events before which the sleeper did sleep", .is_met = true};
    uint64_t slept = 0;

    memset(times, 0, sizeof(times));
    for (size_t round = 0; round < rounds; round++)
        play_round(asleep_ns, times, round, events);
    for (enum way way = BARE; way < WAYS; way++)
        slept += times[way].slept;
    const double *const bare = times[BARE].ran;

    row("a bare eventfd", when, bare, bare, rounds, 0);
    row("bare io_uring", when, times[RING].ran, bare, rounds, 0);
    row("a reactor, until its operation has ended", when, times[ALONE].ended, bare, rounds, 0);
    row("a reactor, until its work runs", when, times[ALONE].ran, bare, rounds, 1.1);
    row("the same, watched", when, times[WATCHED].ran, bare, rounds, 1.1);
    (void)snprintf(sleeps.measured, sizeof(sleeps.measured), "%.1f %%",
                   100.0 * (double)slept / (double)(WAYS * rounds * events));
    bench_table_row(&sleeps);
}

int main(void)
{
    for (enum way way = BARE; way < WAYS; way++)
        start(&sleepers[way], way);
    bench_pin(0);
    bench_table_begin(
        "The first event after a sleep",
        "Medians of rounds, each the median of 25 or 9 events beside a bare eventfd's.");
    contest("2 ms", SHORT_NS, SHORT_ROUNDS, SHORT_EVENTS);
    contest("10 ms", MIDDLE_NS, LONG_ROUNDS, LONG_EVENTS);
    contest("140 ms", LONG_NS, LONG_ROUNDS, LONG_EVENTS);
    bench_table_end();
    for (enum way way = BARE; way < WAYS; way++)
        stop(&sleepers[way]);
    return 0;
}
