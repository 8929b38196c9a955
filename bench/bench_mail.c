/* SPDX-License-Identifier: Apache-2.0 */
/* needs: runtime */
/*
 * Mail between two micro-processes: what a message of 64 bytes costs while the mailbox is always
 * full, and what a request and its answer cost, on one core and between two that poll, with each
 * guard that there is here. Beside them what a message has to cost in any case: the same copied
 * into a ring of as many slots and out of it, on one core by one thread, between two by two. They
 * play in turns.
 *
 *   bench_mail [ROUNDS]    11 without
 */
#include "bench.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vine/coroutine.h>

#include "arch/cpu/cpu.h"
#include "arch/guard/guard.h"
#include "core/process/process.h"
#include "core/reactor/reactor.h"
#include "utils/atomic.h"

#define ROUNDS_MAX 99
#define COUNT      50000U
#define BARE_COUNT 1000000U
#define SLOTS      VINE_MAIL_WAITING_MAX
#define CORES_MAX  2

struct letter {
    unsigned char bytes[64];
};

static struct {
    uint32_t cores;
    bool are_requests;
    uint64_t begin_ns, end_ns;
    uint32_t ended; /* atomic: of the two micro-processes */
    pthread_barrier_t barrier;
    struct vine__mesh *mesh;
} played;

/* ---- bare ------------------------------------------------------------------------------------ */

static struct ring {
    _Alignas(VINE_CACHE_LINE) uint32_t pushed;
    _Alignas(VINE_CACHE_LINE) uint32_t popped;
    _Alignas(VINE_CACHE_LINE) struct letter slots[SLOTS];
} there, back;

static void push(struct ring *ring, uint32_t number, const struct letter *letter)
{
    /* P1 pairs with C2: the slot has been read. */
    while (number - vine__load_acquire_u32(&ring->popped) == SLOTS)
        vine__cpu_relax();
    memcpy(&ring->slots[number % SLOTS], letter, sizeof(*letter));
    /* P2 pairs with C1: the bytes before their number. */
    vine__store_release_u32(&ring->pushed, number + 1);
}

static void pop(struct ring *ring, uint32_t number, struct letter *ret_letter)
{
    /* C1 pairs with P2. */
    while (vine__load_acquire_u32(&ring->pushed) == number)
        vine__cpu_relax();
    memcpy(ret_letter, &ring->slots[number % SLOTS], sizeof(*ret_letter));
    /* The copy is what is measured: nobody may leave it out. */
    __asm__ volatile("" : : "r"(ret_letter) : "memory");
    /* C2 pairs with P1. */
    vine__store_release_u32(&ring->popped, number + 1);
}

static double bare_alone(void)
{
    struct letter letter = {.bytes = {1}};
    const uint64_t begin_ns = bench_now_ns();

    for (uint32_t number = 0; number < BARE_COUNT; number += SLOTS) {
        for (uint32_t i = 0; i < SLOTS; i++)
            push(&there, number + i, &letter);
        for (uint32_t i = 0; i < SLOTS; i++)
            pop(&there, number + i, &letter);
        if (!played.are_requests)
            continue;
        for (uint32_t i = 0; i < SLOTS; i++)
            push(&back, number + i, &letter);
        for (uint32_t i = 0; i < SLOTS; i++)
            pop(&back, number + i, &letter);
    }
    return (double)(bench_now_ns() - begin_ns) / BARE_COUNT;
}

static void *follow(void *nothing)
{
    struct letter letter;

    bench_pin(1);
    (void)pthread_barrier_wait(&played.barrier);
    for (uint32_t number = 0; number < BARE_COUNT; number++) {
        pop(&there, number, &letter);
        if (played.are_requests)
            push(&back, number, &letter);
    }
    return nothing;
}

static void *lead(void *nothing)
{
    struct letter letter = {.bytes = {1}};

    bench_pin(0);
    (void)pthread_barrier_wait(&played.barrier);
    played.begin_ns = bench_now_ns();
    for (uint32_t number = 0; number < BARE_COUNT; number++) {
        push(&there, number, &letter);
        if (played.are_requests)
            pop(&back, number, &letter);
    }
    return nothing;
}

/* Two threads of their own: who is pinned pins those that it makes. */
static double bare_between(void)
{
    pthread_t leader, follower;

    (void)pthread_barrier_init(&played.barrier, NULL, 2);
    bench_require(pthread_create(&leader, NULL, lead, NULL) == 0, "thread");
    bench_require(pthread_create(&follower, NULL, follow, NULL) == 0, "thread");
    (void)pthread_join(leader, NULL);
    (void)pthread_join(follower, NULL);
    played.end_ns = bench_now_ns();
    (void)pthread_barrier_destroy(&played.barrier);
    return (double)(played.end_ns - played.begin_ns) / BARE_COUNT;
}

static double play_bare(void)
{
    memset(&there, 0, sizeof(there));
    memset(&back, 0, sizeof(back));
    return played.cores == 1 ? bare_alone() : bare_between();
}

/* ---- mail ------------------------------------------------------------------------------------ */

VINE_COROUTINE(takes)
{
    struct {
        struct vine_mailbox *box;
        struct letter letter;
        uint32_t i;
    } *self;

    vine_begin();
    vine_mail_open(self->box, struct letter);
    vine_mail_publish(self->box, "box");
    for (self->i = 0; self->i < COUNT; self->i++) {
        vine_mail_recv(self->box, struct letter, self->letter);
        if (self->i == 0)
            played.begin_ns = bench_now_ns();
    }
    played.end_ns = bench_now_ns();
    vine_end();
}

VINE_COROUTINE(answers)
{
    struct {
        struct vine_mailbox *box;
        struct letter letter;
        uint32_t i;
    } *self;

    vine_begin();
    vine_mail_open_requests(self->box, struct letter, struct letter);
    vine_mail_publish(self->box, "box");
    for (self->i = 0; self->i < COUNT; self->i++) {
        vine_mail_listen(self->box, struct letter, self->letter);
        if (self->i == 0)
            played.begin_ns = bench_now_ns();
        vine_mail_respond(self->box, struct letter, self->letter);
    }
    played.end_ns = bench_now_ns();
    vine_end();
}

/* Once the other one has begun. */
VINE_COROUTINE(finds)
{
    struct {
        struct vine_mail_address *found;
        int error;
    } *self;

    vine_begin();
    self->found = vine_argument();
    vine_mail_find("box", *self->found);
    vine_catch(self->error)
    {
        vine_sleep(1000 * 1000);
    }
    vine_end();
}

VINE_COROUTINE(sends)
{
    struct {
        struct vine_mail_address to;
        struct letter letter;
        uint32_t i;
    } *self;

    vine_begin();
    while (self->to.key == 0)
        vine_call(finds, &self->to);
    for (self->i = 0; self->i < COUNT && !played.are_requests; self->i++)
        vine_mail_send(self->to, struct letter, self->letter);
    for (self->i = 0; self->i < COUNT && played.are_requests; self->i++)
        vine_mail_request(self->to, struct letter, self->letter, struct letter, self->letter);
    vine_end();
}

static void ended(void *context, const struct vine__process_end *end)
{
    (void)context;
    bench_check(end->error, "a micro-process");
    if (vine__fetch_add_relaxed_u32(&played.ended, 1) == 1)
        vine_stop(0);
}

static void start(const struct vine_coroutine_type *type)
{
    const struct vine__process_options options = {.type = type, .ended = ended};

    bench_check(vine__process_start(NULL, &options), "a micro-process");
}

static void *play_core(void *context)
{
    const uint32_t core = *(const uint32_t *)context;
    const struct vine__poller_options polling = {0};
    const struct vine__processes_options options = {.count_max = 16};
    struct vine__poller *poller;
    struct vine__reactor *reactor;

    bench_pin(core == 0 ? 0 : 1);
    bench_check(vine__poller_create(&poller, &polling), "poller");
    bench_check(vine__reactor_create(&reactor, played.mesh, core, poller), "reactor");
    (void)pthread_barrier_wait(&played.barrier);
    (void)vine__reactor_enter(reactor);
    bench_check(vine__processes_start(&options), "micro-processes");
    if (core == 0)
        start(played.are_requests ? &vine__type_answers : &vine__type_takes);
    if (core == played.cores - 1)
        start(&vine__type_sends);
    vine__reactor_run(reactor);
    (void)pthread_barrier_wait(&played.barrier);
    vine__reactor_destroy(reactor);
    return NULL;
}

static double play_mail(void)
{
    const struct vine__mesh_options options = {.core_count = played.cores, .is_polled = true};
    static uint32_t numbers[CORES_MAX] = {0, 1};
    pthread_t threads[CORES_MAX];

    played.ended = 0;
    bench_check(vine__mesh_create(&played.mesh, &options), "mesh");
    (void)pthread_barrier_init(&played.barrier, NULL, played.cores);
    for (uint32_t i = 0; i < played.cores; i++)
        bench_require(pthread_create(&threads[i], NULL, play_core, &numbers[i]) == 0, "thread");
    for (uint32_t i = 0; i < played.cores; i++)
        (void)pthread_join(threads[i], NULL);
    (void)pthread_barrier_destroy(&played.barrier);
    vine__mesh_destroy(played.mesh);
    return (double)(played.end_ns - played.begin_ns) / (COUNT - 1);
}

/* ---- the contests ---------------------------------------------------------------------------- */

static void measure(uint32_t cores, bool are_requests, uint32_t rounds)
{
    struct bench_row row = {.is_met = true};
    double bare[ROUNDS_MAX], mail[ROUNDS_MAX], ratios[ROUNDS_MAX];
    const char *const what = are_requests ? "request and answer" : "message";
    const char *const where = cores == 1 ? "one core" : "two cores";

    played.cores = cores;
    played.are_requests = are_requests;
    for (uint32_t round = 0; round < rounds; round++) {
        bare[round] = play_bare();
        mail[round] = play_mail();
        ratios[round] = mail[round] / bare[round];
    }
    (void)snprintf(row.what, sizeof(row.what), "bare ring, %s: %s", where, what);
    (void)snprintf(row.measured, sizeof(row.measured), "%.1f ns", bench_median(bare, rounds));
    bench_table_row(&row);
    (void)snprintf(row.what, sizeof(row.what), "mail, %s: %s", where, what);
    (void)snprintf(row.measured, sizeof(row.measured), "%.0f ns", bench_median(mail, rounds));
    (void)snprintf(row.ratio, sizeof(row.ratio), "%.1f", bench_median(ratios, rounds));
    (void)snprintf(row.beside, sizeof(row.beside), "bare ring");
    bench_table_row(&row);
}

static void run(enum vine__guard_kind kind, uint32_t rounds)
{
    const struct vine__guard_options options = {.wanted = kind, .has_rings = true};
    char why[VINE__GUARD_WHY_BYTES];
    char title[64], note[128];

    if (vine__guard_choose(&options, why) != 0) {
        printf("Left out: `%s`, for %s.\n\n", vine__guard_name(kind), why);
        return;
    }
    (void)snprintf(title, sizeof(title), "Mail between micro-processes, isolated by %s",
                   vine__guard_name(kind));
    (void)snprintf(note, sizeof(note),
                   "Messages of 64 bytes, mailboxes of %u. Medians of %u interleaved rounds.",
                   SLOTS, rounds);
    bench_table_begin(title, note);
    measure(1, false, rounds);
    measure(1, true, rounds);
    measure(2, false, rounds);
    measure(2, true, rounds);
    bench_table_end();
}

int main(int argument_count, char **arguments)
{
    const char *const asked = argument_count > 1 ? arguments[1] : getenv("VINE_BENCH_ROUNDS");
    const long rounds_asked = asked != NULL ? strtol(asked, NULL, 10) : 11;
    const uint32_t rounds = (uint32_t)rounds_asked;

    bench_require(rounds_asked >= 1 && rounds_asked <= ROUNDS_MAX, "1 to 99 rounds");
    vine__guard_prepare();
    bench_check(vine__processes_prepare(), "the coroutines that there are");
    run(VINE__GUARD_NONE, rounds);
    run(VINE__GUARD_MPROTECT, rounds);
    run(VINE__GUARD_PKU, rounds);
    return 0;
}
