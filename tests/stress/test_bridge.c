/* SPDX-License-Identifier: Apache-2.0 */
/* test: long=900 */
/*
 * Bridges between threads: every operation ends once, whoever ends it, and with its own answer.
 *
 * Fault model: the completer answers out of order, twice, late, with ids that it guesses, or not at
 * all, and is lost at a random moment. A guess may complete an operation that waits: then its
 * answer is LIE. Time-outs, abandoning and full rings happen at the same time on other threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <vine/bridge.h>
#include <vine/error.h>

#include "utils/atomic.h"

#define LIE UINT64_MAX

struct question {
    uint64_t number;
};

struct answer {
    uint64_t twice;
};

VINE_BRIDGE_TYPES(doubler, struct question, struct answer);

struct round;

/* One operation. */
struct record {
    struct round *round;
    uint64_t number;
    uint32_t ends;      /* atomic: callbacks, and calls that abandoned it */
    uint32_t submitted; /* atomic */
    struct vine_operation_id id;
};

struct round {
    struct doubler_driver driver;
    struct vine_completer end;
    void *memory[2];
    struct record *records;
    uint32_t record_count;
    uint32_t next;       /* atomic: record */
    uint64_t clock;      /* atomic: goes on as things happen */
    uint32_t is_lost;    /* atomic: the completer is gone */
    uint32_t stop;       /* atomic: who receives is done */
    uint64_t mismatches; /* atomic: an answer that belonged to another operation */
};

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static int is_long(void)
{
    return getenv("VINE_TEST_LONG") != NULL;
}

static void ended(void *context, int status, const struct answer *answer)
{
    struct record *record = context;

    if (status == 0 && answer->twice != LIE && answer->twice != 2 * record->number)
        (void)vine__fetch_add_relaxed_u64(&record->round->mismatches, 1);
    (void)vine__fetch_add_relaxed_u32(&record->ends, 1);
}

/* ---- the other side -------------------------------------------------------------------------- */

#define KEPT 8 /* tickets that an answer is due for, or was given */

struct completer {
    struct round *round;
    struct vine_completer end;
    uint64_t seed;
};

static void lie(struct doubler_completer completer, const struct doubler_ticket *kept,
                uint64_t *seed)
{
    const struct answer answer = {.twice = LIE};
    struct doubler_ticket ticket = kept[next_random(seed) % KEPT];

    switch (next_random(seed) % 4) {
    case 0: /* the next use of its place */
        ticket.id.value += 1ULL << 32;
        break;
    case 1: /* another place */
        ticket.id.value ^= next_random(seed) % 64;
        break;
    case 2: /* another kind */
        ticket.id.value ^= 1ULL << 24;
        break;
    default: /* again, or too early */
        break;
    }
    (void)!doubler_complete(completer, ticket, &answer);
}

static void *complete(void *context)
{
    struct completer *self = context;
    struct round *round = self->round;
    const struct doubler_completer completer = {.end = &self->end};
    struct doubler_ticket kept[KEPT] = {{{0}}};
    uint64_t numbers[KEPT] = {0};
    int is_due[KEPT] = {0};
    uint32_t idle = 0;
    const uint64_t lost_after =
        round->record_count / 2 + next_random(&self->seed) % round->record_count;

    while (vine__load_acquire_u32(&round->is_lost) == 0) {
        const uint32_t place = (uint32_t)(next_random(&self->seed) % KEPT);
        const struct answer answer = {.twice = 2 * numbers[place]};
        struct doubler_ticket ticket;
        struct question question;

        /* Some are never answered; a full ring keeps them due. */
        if (is_due[place] && next_random(&self->seed) % 512 != 0 &&
            doubler_complete(completer, kept[place], &answer) != 0) {
            sched_yield();
            continue;
        }
        is_due[place] = 0;
        if (next_random(&self->seed) % 4 == 0)
            lie(completer, kept, &self->seed);
        if (doubler_submission(completer, &ticket, &question) == 0) {
            kept[place] = ticket;
            numbers[place] = question.number;
            is_due[place] = 1;
            idle = 0;
        } else {
            sched_yield();
        }
        /* What was never answered has used up all places, or nearly so. */
        if (vine__load_relaxed_u32(&round->next) >= lost_after || idle++ > 10000)
            vine__store_release_u32(&round->is_lost, 1);
    }
    return NULL;
}

/* ---- our side -------------------------------------------------------------------------------- */

struct receiving {
    struct round *round;
    struct doubler_receive_handle handle;
};

static void *receive(void *context)
{
    const struct receiving *self = context;

    while (vine__load_acquire_u32(&self->round->stop) == 0) {
        if (doubler_receive(self->handle) == 0)
            sched_yield();
        doubler_expire(self->handle, vine__fetch_add_relaxed_u64(&self->round->clock, 1));
        if (vine__load_acquire_u32(&self->round->is_lost) != 0)
            doubler_lost(self->handle);
    }
    return NULL;
}

static void abandon(struct round *round, struct doubler_submit_handle handle, uint32_t index)
{
    struct record *record = &round->records[index];

    if (vine__load_acquire_u32(&record->submitted) && doubler_abandon(handle, record->id) == 0)
        (void)vine__fetch_add_relaxed_u32(&record->ends, 1);
}

struct submitting {
    struct round *round;
    struct doubler_submit_handle handle;
    uint64_t seed;
};

/* Until the other side is lost, or there are no more records: then it is lost, too. */
static void *submit(void *context)
{
    struct submitting *self = context;
    struct round *round = self->round;

    for (;;) {
        const uint32_t index = vine__fetch_add_relaxed_u32(&round->next, 1);
        const struct question question = {.number = index};
        struct doubler_operation operation = {.callback = ended, .kind = (uint8_t)index};
        struct record *record;
        int error;

        if (index >= round->record_count) {
            vine__store_release_u32(&round->is_lost, 1);
            return NULL;
        }
        record = &round->records[index];
        record->round = round;
        record->number = index;
        operation.context = record;
        if (next_random(&self->seed) % 2)
            operation.deadline_ns =
                vine__load_relaxed_u64(&round->clock) + next_random(&self->seed) % 64 + 1;
        while ((error = doubler_submit(self->handle, &question, &operation, &record->id)) ==
               -EAGAIN)
            sched_yield();
        if (error)
            return NULL;
        vine__store_release_u32(&record->submitted, 1);
        if (next_random(&self->seed) % 8 == 0)
            abandon(round, self->handle,
                    index - (uint32_t)(next_random(&self->seed) % 4) % (index + 1));
    }
}

/* What has happened in all rounds of a test: all that the fault model says. */
static struct vine_bridge_stats seen;

static void add_to_seen(const struct round *round)
{
    struct vine_bridge_stats stats;

    doubler_get_stats(round->driver.receive, &stats);
    seen.completed += stats.completed;
    seen.abandoned += stats.abandoned;
    seen.timed_out += stats.timed_out;
    seen.late += stats.late;
    seen.duplicate += stats.duplicate;
    seen.unknown += stats.unknown;
    seen.forged += stats.forged;
    seen.wrong_kind += stats.wrong_kind;
}

static void check_seen(void)
{
    assert_true(seen.completed > 0 && seen.abandoned > 0 && seen.timed_out > 0);
    assert_true(seen.late > 0 && seen.duplicate > 0 && seen.unknown > 0);
    assert_true(seen.forged > 0 && seen.wrong_kind > 0);
    memset(&seen, 0, sizeof seen);
}

static void check(struct round *round)
{
    for (uint32_t i = 0; i < round->record_count; i++)
        assert_int_equal(round->records[i].ends, round->records[i].submitted);
    assert_int_equal(round->mismatches, 0);
}

static void open_round(struct round *round, uint32_t record_count)
{
    memset(round, 0, sizeof *round);
    round->clock = 1;
    round->record_count = record_count;
    round->records = calloc(record_count, sizeof *round->records);
    assert_non_null(round->records);
}

static void *zeroed(size_t size)
{
    void *memory = aligned_alloc(64, size);

    assert_non_null(memory);
    memset(memory, 0, size);
    return memory;
}

static void free_round(struct round *round)
{
    free(round->memory[0]);
    free(round->memory[1]);
    free(round->records);
}

/* One that submits, one that receives, one that lies. */
static void run_alone(uint64_t seed, enum vine_op_cache_kind cache)
{
    const struct vine_channel_options channel = {
        .size_bytes = sizeof channel, .submission_slots = 2, .completion_slots = 16};
    const struct vine_bridge_options options = {.size_bytes = sizeof options, .cache = cache};
    struct vine_submitter submitter;
    struct completer completer = {.round = NULL};
    struct submitting submitting;
    struct receiving receiving;
    struct round round;
    pthread_t threads[2];

    open_round(&round, is_long() ? 200000 : 20000);
    round.memory[0] = zeroed(vine_channel_side_size(2));
    round.memory[1] = zeroed(vine_channel_side_size(16));
    assert_int_equal(vine_submitter_init(&submitter, round.memory[0], round.memory[1], &channel),
                     0);
    assert_int_equal(
        vine_completer_init(&completer.end, round.memory[1], round.memory[0], &channel), 0);
    assert_int_equal(doubler_driver_create(&submitter, &options, &round.driver), 0);
    completer.round = &round;
    completer.seed = seed;
    receiving = (struct receiving){.round = &round, .handle = round.driver.receive};
    submitting = (struct submitting){&round, round.driver.submit, seed};
    assert_int_equal(pthread_create(&threads[0], NULL, complete, &completer), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, receive, &receiving), 0);
    (void)submit(&submitting);
    vine__store_release_u32(&round.stop, 1);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    add_to_seen(&round);
    if (seed % 2) {
        doubler_close_submit(round.driver.submit);
        doubler_close_receive(round.driver.receive);
    } else {
        doubler_close_receive(round.driver.receive);
        doubler_close_submit(round.driver.submit);
    }
    check(&round);
    free_round(&round);
}

static void each_operation_ends_once_between_three_threads(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= (is_long() ? 40 : 4); seed++)
        run_alone(seed, VINE_OP_CACHE_UNLOCKED);
    check_seen();
}

static void the_same_with_a_lock(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= (is_long() ? 20 : 2); seed++)
        run_alone(seed, VINE_OP_CACHE_LOCKED);
    check_seen();
}

/* ---- many of each ---------------------------------------------------------------------------- */

#define MANY 3

static void run_many(uint64_t seed)
{
    const size_t size = vine_mpmc_size(16);
    const struct vine_bridge_options options = {.size_bytes = sizeof options,
                                                .cache = VINE_OP_CACHE_LOCKED};
    struct vine_mpmc queues[2];
    struct vine_submitter submitter;
    struct completer completers[2];
    struct submitting submitting[MANY];
    struct receiving receiving[2];
    struct round round;
    pthread_t threads[MANY + 4];

    open_round(&round, is_long() ? 200000 : 20000);
    for (int i = 0; i < 2; i++) {
        round.memory[i] = zeroed(size);
        assert_int_equal(vine_mpmc_format(round.memory[i], size, 16), 0);
        assert_int_equal(vine_mpmc_attach(&queues[i], round.memory[i], size), 0);
    }
    assert_int_equal(vine_submitter_init_mpmc(&submitter, &queues[0], &queues[1], NULL), 0);
    assert_int_equal(vine_completer_init_mpmc(&round.end, &queues[0], &queues[1], NULL), 0);
    assert_int_equal(doubler_driver_create(&submitter, &options, &round.driver), 0);
    for (int i = 0; i < 2; i++) {
        completers[i] = (struct completer){.round = &round, .seed = seed + (uint64_t)i};
        assert_int_equal(vine_completer_clone(&completers[i].end, &round.end), 0);
        receiving[i].round = &round;
        assert_int_equal(doubler_clone_receive(round.driver.receive, &receiving[i].handle), 0);
    }
    for (int i = 0; i < MANY; i++) {
        submitting[i] = (struct submitting){.round = &round, .seed = seed * 31 + (uint64_t)i};
        assert_int_equal(doubler_clone_submit(round.driver.submit, &submitting[i].handle), 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, complete, &completers[i]), 0);
        assert_int_equal(pthread_create(&threads[2 + i], NULL, receive, &receiving[i]), 0);
    }
    for (int i = 0; i < MANY; i++)
        assert_int_equal(pthread_create(&threads[4 + i], NULL, submit, &submitting[i]), 0);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(pthread_join(threads[4 + i], NULL), 0);
    vine__store_release_u32(&round.stop, 1);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    add_to_seen(&round);
    for (int i = 0; i < MANY; i++)
        doubler_close_submit(submitting[i].handle);
    for (int i = 0; i < 2; i++)
        doubler_close_receive(receiving[i].handle);
    doubler_close_submit(round.driver.submit);
    doubler_close_receive(round.driver.receive);
    check(&round);
    free_round(&round);
}

static void each_operation_ends_once_among_many_threads(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= (is_long() ? 40 : 4); seed++)
        run_many(seed);
    check_seen();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_operation_ends_once_between_three_threads),
        cmocka_unit_test(the_same_with_a_lock),
        cmocka_unit_test(each_operation_ends_once_among_many_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
