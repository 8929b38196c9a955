/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many queues should lie between the threads of applications and an appliance? One for each
 * thread, with one producer, is what ships. Beside it: one for all, or one for each processor,
 * chosen by the thread's number, either lock-free or with a lock; with an appliance that polls, and
 * one that sleeps until it is woken.
 *
 * Four threads share the first processor, as they would if there were more of them than processors.
 *
 *   bench_queues [ROUNDS]    9 without
 */
#include "contests.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>

#include <vine/mpmc.h>
#include <vine/spsc.h>
#include <vine/wait.h>

#define THREADS    4u
#define PROCESSORS 2u
#define SLOTS      256u

/* The ways, and how many queues each has. */
enum way { OWN, LOCK_FREE, LOCK_FREE_EACH, LOCKED, LOCKED_EACH, WAYS };
static const uint32_t queue_counts[WAYS] = {THREADS, 1, PROCESSORS, 1, PROCESSORS};

/* A queue of one producer in its half, and in the other one how far it was read and who sleeps. */
struct single {
    struct vine_slot slots[SLOTS] __attribute__((aligned(64)));
};
struct single_end {
    uint64_t consumed __attribute__((aligned(64)));
    struct vine_sleep_line line;
};
struct half {
    struct single queues[WAYS][THREADS];
    struct single_end ends[WAYS][THREADS];
};

static struct vine_spsc_producer producers[WAYS][THREADS];
static struct vine_spsc_consumer consumers[WAYS][THREADS];
static struct vine_waiter waiters[WAYS][THREADS];
static struct vine_waker wakers[WAYS][THREADS];
static pthread_mutex_t locks[PROCESSORS] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};
static struct vine_mpmc shared_queues[WAYS][PROCESSORS]; /* the follower's, or to be cloned */
static int bell; /* an eventfd: how an appliance that sleeps over several queues is woken */

static bool is_lock_free(enum way way)
{
    return way == LOCK_FREE || way == LOCK_FREE_EACH;
}

static void open_single(struct half *ours, const struct half *theirs, enum way way, uint32_t n)
{
    const struct vine_wait_options options = {
        .size_bytes = sizeof(options), .mode = VINE_WAIT_SLEEPY, .spin_ns = 1};

    bench_check(vine_spsc_producer_init(&producers[way][n], ours->queues[way][n].slots, SLOTS,
                                        &theirs->ends[way][n].consumed),
                "producer");
    bench_check(vine_spsc_consumer_init(&consumers[way][n], theirs->queues[way][n].slots, SLOTS,
                                        &ours->ends[way][n].consumed),
                "consumer");
    bench_check(vine_waiter_init(&waiters[way][n], &ours->ends[way][n].line, &options), "waiter");
    bench_check(vine_waker_init(&wakers[way][n], &theirs->ends[way][n].line, VINE_WAIT_SLEEPY),
                "waker");
    vine_waker_use_eventfd(&wakers[way][n], bell);
}

static void open(struct duet *duet)
{
    const size_t size = vine_mpmc_size(SLOTS);
    size_t place = 0;

    bench_require(DUET_AT_OPEN + sizeof(struct half) <= DUET_HALF_BYTES, "half");
    for (enum way way = 0; way < WAYS; way++)
        for (uint32_t n = 0; n < queue_counts[way]; n++) {
            unsigned char *memory = duet->shared + place * size;

            if (!is_lock_free(way)) {
                open_single((struct half *)(void *)(duet->ours + DUET_AT_OPEN),
                            (const struct half *)(const void *)(duet->theirs + DUET_AT_OPEN), way,
                            n);
                continue;
            }
            place++;
            bench_require(place * size <= DUET_SHARED_BYTES, "room");
            if (duet->side == 0)
                bench_check(vine_mpmc_format(memory, size, SLOTS), "format");
            bench_check(vine_mpmc_attach(&shared_queues[way][n], memory, size), "attach");
        }
}

/* ---- submitters ------------------------------------------------------------------------------ */

struct submitter {
    pthread_t thread;
    enum way way;
    uint32_t queue;
    uint64_t count;
    bool wakes;
    struct vine_mpmc handle;
};

static bool push_single(struct submitter *self, const void *message)
{
    struct vine_spsc_producer *producer = &producers[self->way][self->queue];

    if (vine_spsc_push(producer, message, DUET_BYTES) != 0)
        return false;
    if (self->wakes)
        vine_wake_consumer(&wakers[self->way][self->queue], producer);
    return true;
}

static bool push(struct submitter *self, const void *message)
{
    bool is_pushed;

    if (self->way == OWN)
        return push_single(self, message);
    if (is_lock_free(self->way)) {
        is_pushed = vine_mpmc_push(&self->handle, message, DUET_BYTES) == 0;
        if (is_pushed && self->wakes)
            vine_mpmc_wake_consumers(&self->handle, 1);
        return is_pushed;
    }
    (void)pthread_mutex_lock(&locks[self->queue]);
    is_pushed = push_single(self, message);
    (void)pthread_mutex_unlock(&locks[self->queue]);
    return is_pushed;
}

static void *submit(void *context)
{
    struct submitter *self = context;
    const unsigned char message[DUET_BYTES] = {1};

    for (uint64_t n = 0; n < self->count; n++)
        while (!push(self, message))
            (void)sched_yield(); /* another thread's turn */
    return NULL;
}

static void lead(enum way way, uint64_t count, bool wakes)
{
    struct submitter submitters[THREADS];

    for (uint32_t n = 0; n < THREADS; n++) {
        struct submitter *submitter = &submitters[n];

        *submitter = (struct submitter){
            .way = way, .queue = n % queue_counts[way], .count = count / THREADS, .wakes = wakes};
        if (is_lock_free(way))
            vine_mpmc_clone(&submitter->handle, &shared_queues[way][submitter->queue]);
        bench_require(pthread_create(&submitter->thread, NULL, submit, submitter) == 0, "thread");
    }
    for (uint32_t n = 0; n < THREADS; n++)
        (void)pthread_join(submitters[n].thread, NULL);
}

/* ---- the appliance --------------------------------------------------------------------------- */

static bool pop(enum way way, uint32_t queue, void *message)
{
    return is_lock_free(way) ? vine_mpmc_pop(&shared_queues[way][queue], message) == 0
                             : vine_spsc_pop(&consumers[way][queue], message) == 0;
}

/* Over several queues by the bell; over one on itself. */
static void sleep_over(enum way way)
{
    static struct vine_waiter waiter;
    const struct vine_wait_options options = {.size_bytes = sizeof(options), .spin_ns = 1};
    bool is_ready = false;
    uint32_t armed = 0;
    eventfd_t count = 0;

    if (is_lock_free(way)) {
        bench_check(vine_mpmc_waiter_init(&waiter, &options), "waiter");
        bench_check(vine_mpmc_wait_message(&shared_queues[way][0], &waiter, UINT64_MAX), "wait");
        return;
    }
    for (; armed < queue_counts[way] && !is_ready; armed++)
        is_ready = vine_wait_arm_message(&waiters[way][armed], &consumers[way][armed]) != 0;
    if (!is_ready)
        (void)eventfd_read(bell, &count);
    while (armed-- > 0)
        vine_wait_disarm(&waiters[way][armed]);
}

static void follow(enum way way, uint64_t count, bool sleeps)
{
    unsigned char message[DUET_BYTES];
    uint64_t taken = 0;

    while (taken < count / THREADS * THREADS) {
        const uint64_t before = taken;

        for (uint32_t n = 0; n < queue_counts[way]; n++)
            for (uint32_t burst = 0; burst < 32 && pop(way, n, message); burst++)
                taken++;
        if (taken != before)
            continue;
        if (sleeps)
            sleep_over(way);
        else
            vine__cpu_relax();
    }
}

#define WAY(name, way, sleeps)                                                                     \
    static void lead_##name(struct duet *duet, uint64_t count)                                     \
    {                                                                                              \
        (void)duet;                                                                                \
        lead(way, count, sleeps);                                                                  \
    }                                                                                              \
    static void follow_##name(struct duet *duet, uint64_t count)                                   \
    {                                                                                              \
        (void)duet;                                                                                \
        follow(way, count, sleeps);                                                                \
    }

WAY(own, OWN, false)
WAY(free, LOCK_FREE, false)
WAY(free_each, LOCK_FREE_EACH, false)
WAY(locked, LOCKED, false)
WAY(locked_each, LOCKED_EACH, false)
WAY(own_woken, OWN, true)
WAY(free_woken, LOCK_FREE, true)
WAY(locked_woken, LOCKED, true)
WAY(locked_each_woken, LOCKED_EACH, true)

static const struct duet_contest own =
    CONTEST("a queue for each thread, polled", own, 200000, DUET_MILLIONS, NULL, 0);

#define BESIDE(text, name) CONTEST(text, name, 200000, DUET_MILLIONS, &own, 0)

static const struct duet_contest others[] = {
    BESIDE("one for all, lock-free, polled", free),
    BESIDE("one for each processor, lock-free, polled", free_each),
    BESIDE("one for all, with a lock, polled", locked),
    BESIDE("one for each processor, with a lock, polled", locked_each),
    BESIDE("a queue for each thread, woken", own_woken),
    BESIDE("one for all, lock-free, woken", free_woken),
    BESIDE("one for all, with a lock, woken", locked_woken),
    BESIDE("one for each processor, with a lock, woken", locked_each_woken),
};

int main(int argc, char **argv)
{
    static const struct duet_contest *contests[2 + sizeof(others) / sizeof(others[0])] = {&own};

    for (size_t n = 0; n < sizeof(others) / sizeof(others[0]); n++)
        contests[1 + n] = &others[n];
    bell = eventfd(0, EFD_CLOEXEC);
    bench_require(bell >= 0, "eventfd");
    duet_play("How many queues: four threads of one processor, one appliance on the other",
              contests, duet_rounds(argc, argv, 9), open);
    return 0;
}
