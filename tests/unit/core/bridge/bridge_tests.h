/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unit/core/bridge/bridge_tests.h - a bridge over a channel of this process, and what its callbacks
 * saw.
 */
#ifndef VINE_TESTS_UNIT_CORE_BRIDGE_BRIDGE_TESTS_H
#define VINE_TESTS_UNIT_CORE_BRIDGE_BRIDGE_TESTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vine/bridge.h>
#include <vine/error.h>

struct question {
    uint32_t a;
    uint32_t b;
};

struct answer {
    uint64_t sum;
    unsigned char rest[VINE_CHANNEL_BYTES - 8];
};

VINE_BRIDGE_TYPES(adder, struct question, struct answer);

/* What one operation came to. */
struct outcome {
    int calls;
    int status;
    uint64_t sum;
};

static inline void note(void *context, int status, const struct answer *answer)
{
    struct outcome *outcome = context;

    outcome->calls++;
    outcome->status = status;
    if ((answer != NULL) != (status == 0))
        outcome->calls += 100;
    outcome->sum = answer != NULL ? answer->sum : 0;
}

static inline void *zeroed(size_t size)
{
    void *memory = aligned_alloc(64, size);

    assert_non_null(memory);
    memset(memory, 0, size);
    return memory;
}

struct fixture {
    void *memory[2];
    struct vine_completer end;
    struct adder_completer completer;
    struct adder_driver driver;
};

/* Over two spsc rings; the driver is not made yet. */
static inline struct vine_submitter open_rings(struct fixture *fixture, uint32_t submission_slots,
                                               uint32_t completion_slots)
{
    const struct vine_channel_options options = {
        .size_bytes = sizeof options,
        .submission_slots = submission_slots,
        .completion_slots = completion_slots,
        .wait = {.mode = VINE_WAIT_SLEEPY},
    };
    struct vine_submitter submitter;

    fixture->memory[0] = zeroed(vine_channel_side_size(submission_slots));
    fixture->memory[1] = zeroed(vine_channel_side_size(completion_slots));
    assert_int_equal(
        vine_submitter_init(&submitter, fixture->memory[0], fixture->memory[1], &options), 0);
    assert_int_equal(
        vine_completer_init(&fixture->end, fixture->memory[1], fixture->memory[0], &options), 0);
    fixture->completer.end = &fixture->end;
    return submitter;
}

/* Over two mpmc queues of `slots` each. */
static inline struct vine_submitter open_queues(struct fixture *fixture, uint32_t slots)
{
    const size_t size = vine_mpmc_size(slots);
    struct vine_submitter submitter;
    struct vine_mpmc queues[2];

    for (int i = 0; i < 2; i++) {
        fixture->memory[i] = zeroed(size);
        assert_int_equal(vine_mpmc_format(fixture->memory[i], size, slots), 0);
        assert_int_equal(vine_mpmc_attach(&queues[i], fixture->memory[i], size), 0);
    }
    assert_int_equal(vine_submitter_init_mpmc(&submitter, &queues[0], &queues[1], NULL), 0);
    assert_int_equal(vine_completer_init_mpmc(&fixture->end, &queues[0], &queues[1], NULL), 0);
    fixture->completer.end = &fixture->end;
    return submitter;
}

static inline void make_driver(struct fixture *fixture, const struct vine_submitter *submitter,
                               enum vine_op_cache_kind cache)
{
    const struct vine_bridge_options options = {.size_bytes = sizeof options, .cache = cache};

    assert_int_equal(adder_driver_create(submitter, &options, &fixture->driver), 0);
}

static inline void free_memory(struct fixture *fixture)
{
    free(fixture->memory[0]);
    free(fixture->memory[1]);
}

static inline void close_all(struct fixture *fixture)
{
    adder_close_submit(fixture->driver.submit);
    adder_close_receive(fixture->driver.receive);
    free_memory(fixture);
}

/* Submit 20 + 22, with a deadline; 0: none. */
static inline int ask(struct fixture *fixture, struct outcome *outcome, uint64_t deadline_ns,
                      struct vine_operation_id *ret_id)
{
    const struct question question = {20, 22};
    const struct adder_operation operation = {
        .callback = note, .context = outcome, .deadline_ns = deadline_ns, .kind = 5};

    return adder_submit(fixture->driver.submit, &question, &operation, ret_id);
}

/* What the other side does. */
static inline struct adder_ticket take(struct fixture *fixture)
{
    struct adder_ticket ticket = {{0}};
    struct question question = {0};

    assert_int_equal(adder_submission(fixture->completer, &ticket, &question), 0);
    assert_int_equal(question.a, 20);
    assert_int_equal(question.b, 22);
    return ticket;
}

static inline void answer_with(struct fixture *fixture, struct adder_ticket ticket, uint64_t sum)
{
    const struct answer answer = {.sum = sum};

    assert_int_equal(adder_complete(fixture->completer, ticket, &answer), 0);
}

static inline struct vine_bridge_stats stats_of(struct fixture *fixture)
{
    struct vine_bridge_stats stats;

    adder_get_stats(fixture->driver.receive, &stats);
    assert_int_equal(stats.submitted, stats.completed + stats.abandoned + stats.timed_out +
                                          stats.lost + stats.pending);
    return stats;
}

#endif
