/* SPDX-License-Identifier: Apache-2.0 */
/* needs: liburing */
/*
 * By what a core that sleeps is woken, by any of 1, 64 and 1,000 pipes: from the write to an
 * eventfd until the thread knows which pipe it was, and how much processor time that takes it; and
 * what it costs to arm a pipe, in time and in the kernel's memory.
 *
 *   one epoll descriptor, which has all pipes' eventfds and is armed as one poll in io_uring, anew
 *   after each wake-up: what core/appliance does
 *   a poll in io_uring for each pipe, armed for all times
 *   one eventfd that all pipes share, read by io_uring; then all pipes' words are looked at
 *
 *   bench_rouse [ROUNDS]    11 without
 */
#include "bench.h"

#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "utils/atomic.h"

#define PIPES_MOST   1000U
#define MEMORY_PIPES 8000U /* for what the kernel has of each */
#define EVENTS       40U   /* of a round */
#define ROUNDS_MOST  41U
#define REST_NS      1000000L
#define DEPTH        1024U

enum way { EPOLL, POLLS, SHARED, WAYS };

static const char *const names[WAYS] = {"one epoll descriptor in the ring",
                                        "a poll in the ring for each", "one eventfd for all"};

/* What an application has raised: a line for each, as in its half. */
struct word {
    _Alignas(64) uint32_t is_raised; /* atomic */
};

struct sleeper {
    enum way way;
    uint32_t pipe_count;
    pthread_t thread;
    pthread_barrier_t armed;
    int fds[MEMORY_PIPES]; /* of the pipes, or fds[0] of all */
    int epoll_fd;
    uint64_t count; /* that was read */
    struct io_uring ring;
    struct word *words;
    uint64_t woken_ns; /* atomic: when it knew; 0: it sleeps */
    uint32_t found;    /* who it was */
    double arming_ns, processor_ns;
};

static struct sleeper sleeper;

static double thread_ns(void)
{
    struct timespec used;

    bench_require(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) == 0, "clock_gettime");
    return (double)used.tv_sec * 1e9 + (double)used.tv_nsec;
}

/* ---- arming ---------------------------------------------------------------------------------- */

static struct io_uring_sqe *next_entry(void)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&sleeper.ring);

    if (entry == NULL) {
        bench_require(io_uring_submit(&sleeper.ring) >= 0, "submit");
        entry = io_uring_get_sqe(&sleeper.ring);
    }
    bench_require(entry != NULL, "an entry");
    return entry;
}

static void arm_epoll(void)
{
    io_uring_prep_poll_add(next_entry(), sleeper.epoll_fd, POLLIN);
}

static void arm_shared(void)
{
    io_uring_prep_read(next_entry(), sleeper.fds[0], &sleeper.count, sizeof sleeper.count, 0);
}

static void arm_pipe(uint32_t pipe)
{
    if (sleeper.way == EPOLL) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = pipe};

        bench_require(epoll_ctl(sleeper.epoll_fd, EPOLL_CTL_ADD, sleeper.fds[pipe], &event) == 0,
                      "epoll_ctl");
    } else if (sleeper.way == POLLS) {
        struct io_uring_sqe *const entry = next_entry();

        io_uring_prep_poll_multishot(entry, sleeper.fds[pipe], POLLIN);
        io_uring_sqe_set_data64(entry, pipe);
    }
}

static void arm_all(void)
{
    const uint64_t begin_ns = bench_now_ns();

    for (uint32_t pipe = 0; pipe < sleeper.pipe_count; pipe++)
        arm_pipe(pipe);
    if (sleeper.way == EPOLL)
        arm_epoll();
    else if (sleeper.way == SHARED)
        arm_shared();
    bench_require(io_uring_submit(&sleeper.ring) >= 0, "submit");
    sleeper.arming_ns = (double)(bench_now_ns() - begin_ns) / sleeper.pipe_count;
}

static void open_all(enum way way, uint32_t pipe_count)
{
    const uint32_t fd_count = way == SHARED ? 1 : pipe_count;

    sleeper.way = way;
    sleeper.pipe_count = pipe_count;
    for (uint32_t i = 0; i < fd_count; i++) {
        sleeper.fds[i] = eventfd(0, EFD_CLOEXEC | (way == SHARED ? 0 : EFD_NONBLOCK));
        bench_require(sleeper.fds[i] >= 0, "eventfd");
    }
    sleeper.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    bench_require(sleeper.epoll_fd >= 0, "epoll");
    memset(sleeper.words, 0, PIPES_MOST * sizeof *sleeper.words);
}

static void close_all(void)
{
    const uint32_t fd_count = sleeper.way == SHARED ? 1 : sleeper.pipe_count;

    io_uring_queue_exit(&sleeper.ring);
    for (uint32_t i = 0; i < fd_count; i++)
        (void)close(sleeper.fds[i]);
    (void)close(sleeper.epoll_fd);
}

static void open_ring(void)
{
    struct io_uring_params parameters = {.flags = IORING_SETUP_SINGLE_ISSUER |
                                                  IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
                                         .cq_entries = 2 * MEMORY_PIPES};

    bench_check(io_uring_queue_init_params(DEPTH, &sleeper.ring, &parameters), "io_uring");
    (void)io_uring_register_ring_fd(&sleeper.ring);
}

/* ---- the one that sleeps --------------------------------------------------------------------- */

static void take_count(uint32_t pipe)
{
    uint64_t count;

    bench_require(read(sleeper.fds[pipe], &count, sizeof count) == sizeof count, "read");
}

static uint32_t find_raised(void)
{
    for (uint32_t pipe = 0; pipe < sleeper.pipe_count; pipe++)
        /* Pairs with the release in wake. */
        if (vine__load_acquire_u32(&sleeper.words[pipe].is_raised) != 0) {
            vine__store_relaxed_u32(&sleeper.words[pipe].is_raised, 0);
            return pipe;
        }
    bench_require(false, "somebody who was raised");
    return 0;
}

/* Sleep until a pipe is raised; returns which. */
static uint32_t sleep_once(void)
{
    struct io_uring_cqe *completion;
    struct epoll_event event;
    uint32_t pipe = 0;

    bench_require(io_uring_submit_and_wait(&sleeper.ring, 1) >= 0, "wait");
    bench_check(io_uring_peek_cqe(&sleeper.ring, &completion), "a completion");
    bench_require(completion->res > 0, "an event");
    if (sleeper.way == POLLS)
        pipe = (uint32_t)io_uring_cqe_get_data64(completion);
    io_uring_cqe_seen(&sleeper.ring, completion);
    if (sleeper.way == SHARED) {
        arm_shared();
        return find_raised();
    }
    if (sleeper.way == EPOLL) {
        bench_require(epoll_wait(sleeper.epoll_fd, &event, 1, 0) == 1, "epoll_wait");
        pipe = event.data.u32;
        arm_epoll();
    }
    take_count(pipe);
    return pipe;
}

static void *sleep_and_wake(void *nothing)
{
    double begin_ns;

    bench_pin(1);
    open_ring();
    arm_all();
    (void)pthread_barrier_wait(&sleeper.armed);
    begin_ns = thread_ns();
    for (uint32_t n = 0; n < EVENTS; n++) {
        sleeper.found = sleep_once();
        /* Pairs with the acquire in wake. */
        vine__store_release_u64(&sleeper.woken_ns, bench_now_ns());
    }
    sleeper.processor_ns = (thread_ns() - begin_ns) / EVENTS;
    return nothing;
}

/* ---- rounds ---------------------------------------------------------------------------------- */

/* Returns how long it took. */
static double wake(uint32_t pipe)
{
    const uint64_t one = 1;
    const uint64_t begin_ns = bench_now_ns();
    uint64_t woken_ns;

    /* Pairs with the acquire in find_raised. */
    vine__store_release_u32(&sleeper.words[pipe].is_raised, 1);
    bench_require(write(sleeper.fds[sleeper.way == SHARED ? 0 : pipe], &one, sizeof one) ==
                      sizeof one,
                  "write");
    /* Pairs with the release in sleep_and_wake. */
    while ((woken_ns = vine__load_acquire_u64(&sleeper.woken_ns)) == 0)
        continue;
    bench_require(sleeper.found == pipe, "the pipe that was raised");
    vine__store_relaxed_u64(&sleeper.woken_ns, 0);
    return (double)(woken_ns - begin_ns);
}

struct figures {
    double latency_ns[ROUNDS_MOST], processor_ns[ROUNDS_MOST], arming_ns[ROUNDS_MOST];
};

static void play(enum way way, uint32_t pipe_count, struct figures *figures, uint32_t round)
{
    const struct timespec rest = {.tv_nsec = REST_NS};
    double latencies[EVENTS];

    open_all(way, pipe_count);
    bench_require(pthread_create(&sleeper.thread, NULL, sleep_and_wake, NULL) == 0, "thread");
    (void)pthread_barrier_wait(&sleeper.armed);
    for (uint32_t n = 0; n < EVENTS; n++) {
        (void)nanosleep(&rest, NULL); /* it sleeps by then, mostly, and its processor, too */
        latencies[n] = wake((n * 607 + 13) % pipe_count);
    }
    bench_require(pthread_join(sleeper.thread, NULL) == 0, "join");
    close_all();
    figures->latency_ns[round] = bench_median(latencies, EVENTS);
    figures->processor_ns[round] = sleeper.processor_ns;
    figures->arming_ns[round] = sleeper.arming_ns;
}

/* What the kernel has allocated for itself, in bytes. */
static double kernel_bytes(void)
{
    FILE *const file = fopen("/proc/meminfo", "r");
    char line[128];
    double kib = 0;

    bench_require(file != NULL, "/proc/meminfo");
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Slab: %lf", &kib) == 1)
            break;
    (void)fclose(file);
    return kib * 1024;
}

/* Of each pipe beyond its descriptor. */
static double armed_bytes(enum way way)
{
    double bytes;

    open_all(way, MEMORY_PIPES);
    open_ring();
    bytes = kernel_bytes();
    arm_all();
    bytes = (kernel_bytes() - bytes) / MEMORY_PIPES;
    close_all();
    return bytes;
}

static void print(uint32_t pipe_count, struct figures *figures, uint32_t rounds,
                  const double *bytes)
{
    double ratios[ROUNDS_MOST];

    for (uint32_t way = 0; way < WAYS; way++) {
        struct bench_row row = {.limit = NULL};

        for (uint32_t round = 0; round < rounds; round++)
            ratios[round] = figures[way].latency_ns[round] / figures[EPOLL].latency_ns[round];
        (void)snprintf(row.what, sizeof row.what, "%u: %s", pipe_count, names[way]);
        (void)snprintf(row.beside, sizeof row.beside,
                       "epoll's; processor %.1f us, arming %.0f ns, %.0f B",
                       bench_median(figures[way].processor_ns, rounds) / 1e3,
                       bench_median(figures[way].arming_ns, rounds), bytes[way]);
        if (way != EPOLL) {
            const double median = bench_median(ratios, rounds);

            (void)snprintf(row.ratio, sizeof row.ratio, "%.2f (%.2f .. %.2f)", median,
                           ratios[rounds / 4], ratios[rounds - 1 - rounds / 4]);
        }
        /* The last, for it sorts what the ratios are made of. */
        (void)snprintf(
            row.measured, sizeof row.measured, "%.1f us",
            bench_median(memcpy(ratios, figures[way].latency_ns, sizeof ratios), rounds) / 1e3);
        bench_table_row(&row);
    }
}

int main(int argument_count, char **arguments)
{
    static const uint32_t counts[] = {1, 64, PIPES_MOST};
    static struct figures figures[WAYS];
    const char *const asked = argument_count > 1 ? arguments[1] : getenv("VINE_BENCH_ROUNDS");
    const long rounds = asked != NULL ? strtol(asked, NULL, 10) : 11;
    struct rlimit files;
    double bytes[WAYS];

    bench_require(rounds >= 1 && rounds <= (long)ROUNDS_MOST, "rounds");
    bench_require(getrlimit(RLIMIT_NOFILE, &files) == 0, "getrlimit");
    files.rlim_cur = files.rlim_max;
    bench_require(setrlimit(RLIMIT_NOFILE, &files) == 0, "descriptors");
    sleeper.words = aligned_alloc(64, PIPES_MOST * sizeof *sleeper.words);
    bench_require(sleeper.words != NULL, "memory");
    bench_require(pthread_barrier_init(&sleeper.armed, NULL, 2) == 0, "barrier");
    bench_pin(0);
    for (uint32_t way = 0; way < WAYS; way++)
        bytes[way] = armed_bytes((enum way)way);
    bench_table_begin(
        "A core that sleeps is woken by one of so many pipes",
        "Medians of interleaved rounds: until it knows which; and of each wake-up the "
        "processor time, of each pipe what it takes to arm it, and the kernel's "
        "memory for that.");
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        for (uint32_t round = 0; round <= (uint32_t)rounds; round++) /* the first one warms up */
            for (uint32_t way = 0; way < WAYS; way++)
                play((enum way)way, counts[i], &figures[way], round > 0 ? round - 1 : 0);
        print(counts[i], figures, (uint32_t)rounds, bytes);
    }
    bench_table_end();
    return 0;
}
