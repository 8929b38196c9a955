/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bridge in one thread: what it refuses, what a lying completer comes to, and each way in which
 * an operation ends. The clock is the test's. All of it with both caches.
 */
#include <errno.h>

#include "core/bridge/bridge_internal.h"
#include "unit/core/bridge/bridge_tests.h"

#define LIMIT (100 * VINE_NS_PER_SECOND)

static enum vine_op_cache_kind cache; /* under test */

/* Four operations at most. */
static void start(struct fixture *fixture)
{
    const struct vine_submitter submitter = open_rings(fixture, 8, 4);

    make_driver(fixture, &submitter, cache);
}

static void impossible_options_are_refused(void **state)
{
    struct fixture fixture;
    struct vine_submitter submitter = open_rings(&fixture, 8, 4);
    struct vine_bridge_options options = {.size_bytes = sizeof options, .operations_max = 5};
    struct adder_driver driver = {{NULL}, {NULL}};
    (void)state;

    assert_int_equal(adder_driver_create(&submitter, &options, &driver), -EINVAL);
    options.operations_max = 4;
    options.cache = (enum vine_op_cache_kind)7;
    assert_int_equal(adder_driver_create(&submitter, &options, &driver), -EINVAL);
    options.cache = cache;
    options.size_bytes--;
    assert_int_equal(adder_driver_create(&submitter, &options, &driver), -EINVAL);
    options.size_bytes++;
    assert_int_equal(vine_submitter_submit(&submitter, "", 1), 0);
    assert_int_equal(adder_driver_create(&submitter, &options, &driver), -EBUSY);
    assert_null(driver.submit.handle);
    assert_null(driver.receive.handle);
    free_memory(&fixture);
}

static void only_a_locked_cache_over_mpmc_queues_is_for_many_threads(void **state)
{
    struct fixture fixture;
    struct adder_submit_handle submit = {NULL};
    struct adder_receive_handle receive = {NULL};
    (void)state;

    start(&fixture);
    assert_int_equal(adder_clone_submit(fixture.driver.submit, &submit), -EINVAL);
    assert_int_equal(adder_clone_receive(fixture.driver.receive, &receive), -EINVAL);
    close_all(&fixture);

    const struct vine_submitter submitter = open_queues(&fixture, 4);
    struct outcome outcomes[4] = {{0}};

    make_driver(&fixture, &submitter, cache);
    if (cache == VINE_OP_CACHE_UNLOCKED) {
        assert_int_equal(adder_clone_submit(fixture.driver.submit, &submit), -EINVAL);
        assert_int_equal(adder_clone_receive(fixture.driver.receive, &receive), -EINVAL);
        close_all(&fixture);
        return;
    }
    assert_int_equal(adder_clone_submit(fixture.driver.submit, &submit), 0);
    assert_int_equal(adder_clone_receive(fixture.driver.receive, &receive), 0);
    for (int i = 0; i < 4; i++) {
        const struct question question = {20, 22};
        const struct adder_operation operation = {.callback = note, .context = &outcomes[i]};

        assert_int_equal(
            adder_submit(i % 2 ? submit : fixture.driver.submit, &question, &operation, NULL), 0);
    }
    assert_int_equal(ask(&fixture, &outcomes[0], 0, NULL), -EAGAIN); /* one cache for both */
    for (int i = 0; i < 3; i++)
        answer_with(&fixture, take(&fixture), 42);
    assert_int_equal(adder_receive(receive), 3);
    adder_close_receive(receive);
    answer_with(&fixture, take(&fixture), 42);
    assert_int_equal(adder_receive(fixture.driver.receive), 1);
    adder_close_submit(submit);
    for (int i = 0; i < 4; i++)
        assert_int_equal(outcomes[i].calls, 1);
    close_all(&fixture);
}

static void a_completion_meets_its_operation_whatever_the_order(void **state)
{
    struct fixture fixture;
    struct outcome outcomes[4] = {{0}};
    struct adder_ticket tickets[4];
    (void)state;

    start(&fixture);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ask(&fixture, &outcomes[i], 0, NULL), 0);
        tickets[i] = take(&fixture);
        assert_int_equal(adder_ticket_kind(tickets[i]), 5);
    }
    assert_int_equal(adder_receive(fixture.driver.receive), 0);
    for (int i = 4; i-- > 0;)
        answer_with(&fixture, tickets[i], 100 + (uint64_t)i);
    for (int i = 0; i < 4; i++)
        assert_int_equal(outcomes[i].calls, 0);
    assert_int_equal(adder_receive(fixture.driver.receive), 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(outcomes[i].calls, 1);
        assert_int_equal(outcomes[i].status, 0);
        assert_int_equal(outcomes[i].sum, 100 + i);
    }
    assert_int_equal(stats_of(&fixture).completed, 4);
    close_all(&fixture);
}

static void an_operation_that_nobody_wants_to_hear_of_may_have_no_callback(void **state)
{
    struct fixture fixture;
    const struct question question = {20, 22};
    const struct adder_operation operation = {.deadline_ns = 5};
    (void)state;

    start(&fixture);
    for (int i = 0; i < 3; i++)
        assert_int_equal(adder_submit(fixture.driver.submit, &question, &operation, NULL), 0);
    answer_with(&fixture, take(&fixture), 1);
    assert_int_equal(adder_receive(fixture.driver.receive), 1);
    assert_int_equal(adder_expire(fixture.driver.receive, 5), 2);
    close_all(&fixture);
}

static void wrong_ids_are_counted_and_dropped(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    struct outcome other = {0};
    struct vine_operation_id id;
    struct adder_ticket ticket;
    struct vine_bridge_stats stats;
    (void)state;

    start(&fixture);
    assert_int_equal(ask(&fixture, &outcome, 0, &id), 0);
    ticket = take(&fixture);
    assert_int_equal(ticket.id.value, id.value);

    const uint64_t wrong[] = {
        UINT64_MAX,                /* unknown */
        id.value + 4,              /* unknown: there are four places */
        id.value | 0xffffff,       /* unknown */
        id.value + 1,              /* forged: a place that nobody has used */
        id.value + (1ULL << 32),   /* forged: its next use */
        id.value - (1ULL << 32),   /* forged or a duplicate: the use before the first */
        id.value ^ (1ULL << 24),   /* wrong kind */
        id.value & ~0xff000000ULL, /* wrong kind */
    };

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        answer_with(&fixture, (struct adder_ticket){{wrong[i]}}, 666);
        assert_int_equal(adder_receive(fixture.driver.receive), 1);
    }
    stats = stats_of(&fixture);
    assert_int_equal(outcome.calls, 0);
    assert_int_equal(stats.pending, 1);
    assert_int_equal(stats.unknown, 3);
    assert_int_equal(stats.forged, 2);
    assert_int_equal(stats.duplicate, 1);
    assert_int_equal(stats.wrong_kind, 2);

    answer_with(&fixture, ticket, 42);
    answer_with(&fixture, ticket, 43);
    assert_int_equal(adder_receive(fixture.driver.receive), 2);
    assert_int_equal(outcome.calls, 1);
    assert_int_equal(outcome.sum, 42);
    assert_int_equal(stats_of(&fixture).duplicate, 2);

    /* The same when its place is in use again. */
    for (int i = 0; i < 4; i++)
        assert_int_equal(ask(&fixture, &other, 0, NULL), 0);
    answer_with(&fixture, ticket, 44);
    assert_int_equal(adder_receive(fixture.driver.receive), 1);
    assert_int_equal(outcome.calls, 1);
    assert_int_equal(other.calls, 0);
    assert_int_equal(stats_of(&fixture).duplicate, 3);
    close_all(&fixture);
    assert_int_equal(other.calls, 4);
    assert_int_equal(other.status, -VINE_ECLOSED);
}

static void a_full_cache_registers_nothing(void **state)
{
    struct fixture fixture;
    struct outcome outcomes[5] = {{0}};
    struct vine_operation_id id = {77};
    (void)state;

    start(&fixture);
    for (int i = 0; i < 4; i++)
        assert_int_equal(ask(&fixture, &outcomes[i], 0, NULL), 0);
    assert_int_equal(ask(&fixture, &outcomes[4], 0, &id), -EAGAIN);
    assert_int_equal(id.value, 77);
    assert_int_equal(stats_of(&fixture).submitted, 4);
    answer_with(&fixture, take(&fixture), 42);
    assert_int_equal(ask(&fixture, &outcomes[4], 0, &id), -EAGAIN);
    assert_int_equal(adder_receive(fixture.driver.receive), 1);
    assert_int_equal(ask(&fixture, &outcomes[4], 0, &id), 0);
    assert_int_not_equal(id.value, 77);
    close_all(&fixture);
}

static void a_full_ring_registers_nothing(void **state)
{
    struct fixture fixture;
    const struct vine_submitter submitter = open_rings(&fixture, 2, 4);
    struct outcome outcomes[3] = {{0}};
    struct vine_operation_id id = {77};
    (void)state;

    make_driver(&fixture, &submitter, cache);
    for (int i = 0; i < 2; i++)
        assert_int_equal(ask(&fixture, &outcomes[i], 0, NULL), 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(ask(&fixture, &outcomes[2], 3, &id), -EAGAIN);
    assert_int_equal(id.value, 77);
    assert_int_equal(stats_of(&fixture).pending, 2);
    assert_int_equal(adder_expire(fixture.driver.receive, 3), 0);
    assert_int_equal(adder_lost(fixture.driver.receive), 2);
    assert_int_equal(outcomes[2].calls, 0);
    close_all(&fixture);
}

static void a_corrupt_ring_is_reported_and_nothing_is_lost(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    struct outcome refused = {0};
    (void)state;

    start(&fixture);
    assert_int_equal(ask(&fixture, &outcome, 0, NULL), 0);
    ((struct vine_slot *)((struct vine_channel_side *)fixture.memory[1] + 1))->sequence = 3;
    assert_int_equal(adder_receive(fixture.driver.receive), -VINE_ECORRUPT);
    assert_int_equal(adder_receive_wait(fixture.driver.receive, LIMIT), -VINE_ECORRUPT);
    assert_int_equal(outcome.calls, 0);
    assert_int_equal(adder_lost(fixture.driver.receive), 1);
    assert_int_equal(outcome.calls, 1);
    assert_int_equal(outcome.status, -VINE_EPEERLOST);
    close_all(&fixture);

    /* The ring that we fill, by the other side's position, which is looked at when it is full. */
    const struct vine_submitter submitter = open_rings(&fixture, 2, 4);

    make_driver(&fixture, &submitter, cache);
    for (int i = 0; i < 2; i++)
        assert_int_equal(ask(&fixture, &outcome, 0, NULL), 0);
    ((struct vine_channel_side *)fixture.memory[1])->consumed.value = 999;
    assert_int_equal(ask(&fixture, &refused, 0, NULL), -VINE_ECORRUPT);
    assert_int_equal(stats_of(&fixture).pending, 2);
    close_all(&fixture);
    assert_int_equal(outcome.calls, 3);
    assert_int_equal(refused.calls, 0);
}

static void an_abandoned_operation_is_not_told_and_keeps_its_place(void **state)
{
    struct fixture fixture;
    struct outcome outcomes[5] = {{0}};
    struct vine_operation_id ids[4];
    struct adder_ticket tickets[4];
    (void)state;

    start(&fixture);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ask(&fixture, &outcomes[i], 0, &ids[i]), 0);
        tickets[i] = take(&fixture);
    }
    assert_int_equal(adder_abandon(fixture.driver.submit, ids[1]), 0);
    assert_int_equal(adder_abandon(fixture.driver.submit, ids[1]), -EALREADY);
    assert_int_equal(adder_abandon(fixture.driver.submit, (struct vine_operation_id){UINT64_MAX}),
                     -EALREADY);
    assert_int_equal(ask(&fixture, &outcomes[4], 0, NULL), -EAGAIN);
    answer_with(&fixture, tickets[1], 42);
    answer_with(&fixture, tickets[2], 42);
    assert_int_equal(adder_receive(fixture.driver.receive), 2);
    assert_int_equal(outcomes[1].calls, 0);
    assert_int_equal(outcomes[2].calls, 1);
    assert_int_equal(stats_of(&fixture).late, 1);
    assert_int_equal(stats_of(&fixture).abandoned, 1);
    assert_int_equal(adder_abandon(fixture.driver.submit, ids[2]), -EALREADY);
    assert_int_equal(ask(&fixture, &outcomes[4], 0, NULL), 0);
    assert_int_equal(ask(&fixture, &outcomes[4], 0, NULL), 0);
    assert_int_equal(ask(&fixture, &outcomes[4], 0, NULL), -EAGAIN);
    answer_with(&fixture, tickets[1], 42);
    assert_int_equal(adder_receive(fixture.driver.receive), 1);
    assert_int_equal(stats_of(&fixture).late, 1);
    assert_int_equal(stats_of(&fixture).duplicate, 1);
    /* An id of an earlier use abandons nothing. */
    assert_int_equal(adder_abandon(fixture.driver.submit, ids[1]), -EALREADY);
    assert_int_equal(stats_of(&fixture).pending, 4);
    close_all(&fixture);
    assert_int_equal(outcomes[1].calls, 0);
}

static void operations_end_when_their_time_is_over(void **state)
{
    struct fixture fixture;
    struct adder_receive_handle receive;
    struct outcome outcomes[5] = {{0}};
    struct adder_ticket tickets[4];
    const uint64_t deadlines[] = {300, 100, 0, 200};
    (void)state;

    start(&fixture);
    receive = fixture.driver.receive;
    assert_int_equal(adder_next_deadline(receive), VINE_FOREVER);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ask(&fixture, &outcomes[i], deadlines[i], NULL), 0);
        tickets[i] = take(&fixture);
    }
    assert_int_equal(adder_next_deadline(receive), 100);
    assert_int_equal(adder_expire(receive, 99), 0);
    assert_int_equal(adder_expire(receive, 100), 1);
    assert_int_equal(outcomes[1].calls, 1);
    assert_int_equal(outcomes[1].status, -ETIMEDOUT);
    assert_int_equal(adder_next_deadline(receive), 200);
    assert_int_equal(adder_expire(receive, 150), 0);
    answer_with(&fixture, tickets[3], 42);
    assert_int_equal(adder_receive(receive), 1);
    assert_int_equal(ask(&fixture, &outcomes[4], 120, NULL), 0);     /* late when it is born */
    assert_int_equal(ask(&fixture, &outcomes[4], 0, NULL), -EAGAIN); /* 1 keeps its place */
    assert_int_equal(adder_next_deadline(receive), 120);
    assert_int_equal(adder_expire(receive, 1000), 2);
    assert_int_equal(adder_next_deadline(receive), VINE_FOREVER);
    assert_int_equal(adder_expire(receive, UINT64_MAX - 1), 0);
    answer_with(&fixture, tickets[1], 42);
    assert_int_equal(adder_receive(receive), 1);
    assert_int_equal(outcomes[1].calls, 1);
    assert_int_equal(stats_of(&fixture).late, 1);
    assert_int_equal(stats_of(&fixture).timed_out, 3);
    assert_int_equal(outcomes[2].calls, 0);
    close_all(&fixture);
    assert_int_equal(outcomes[0].calls, 1);
    assert_int_equal(outcomes[2].status, -VINE_ECLOSED);
    assert_int_equal(outcomes[3].status, 0);
}

static void loss_ends_what_is_pending_once(void **state)
{
    struct fixture fixture;
    struct outcome outcomes[5] = {{0}};
    struct vine_operation_id ids[4];
    (void)state;

    start(&fixture);
    for (int i = 0; i < 4; i++)
        assert_int_equal(ask(&fixture, &outcomes[i], i == 3 ? 9 : 0, &ids[i]), 0);
    answer_with(&fixture, take(&fixture), 42);
    assert_int_equal(adder_receive(fixture.driver.receive), 1);
    assert_int_equal(adder_abandon(fixture.driver.submit, ids[1]), 0);
    assert_int_equal(adder_expire(fixture.driver.receive, 9), 1);
    answer_with(&fixture, take(&fixture), 42); /* too late */
    assert_int_equal(adder_lost(fixture.driver.receive), 1);
    assert_int_equal(adder_lost(fixture.driver.receive), 0);
    assert_int_equal(adder_receive(fixture.driver.receive), -VINE_EPEERLOST);
    assert_int_equal(adder_receive_wait(fixture.driver.receive, LIMIT), -VINE_EPEERLOST);
    assert_int_equal(ask(&fixture, &outcomes[4], 0, NULL), -VINE_EPEERLOST);
    assert_int_equal(adder_abandon(fixture.driver.submit, ids[2]), -EALREADY);

    const int statuses[] = {0, 0, -VINE_EPEERLOST, -ETIMEDOUT};

    for (int i = 0; i < 4; i++) {
        assert_int_equal(outcomes[i].calls, i == 1 ? 0 : 1);
        assert_int_equal(outcomes[i].status, statuses[i]);
    }
    assert_int_equal(stats_of(&fixture).lost, 1);
    assert_int_equal(stats_of(&fixture).pending, 0);
    close_all(&fixture);
    assert_int_equal(outcomes[2].calls, 1);
    assert_int_equal(outcomes[4].calls, 0);
}

static void closing_ends_what_is_pending_and_refuses_more(void **state)
{
    struct fixture fixture;
    struct outcome outcomes[2] = {{0}};
    (void)state;

    start(&fixture);
    /* Nobody receives any more. */
    assert_int_equal(ask(&fixture, &outcomes[0], 0, NULL), 0);
    adder_close_receive(fixture.driver.receive);
    assert_int_equal(outcomes[0].status, -VINE_ECLOSED);
    assert_int_equal(ask(&fixture, &outcomes[1], 0, NULL), -VINE_ECLOSED);
    adder_close_submit(fixture.driver.submit);
    assert_int_equal(outcomes[0].calls, 1);
    assert_int_equal(outcomes[1].calls, 0);
    free_memory(&fixture);

    /* Nobody submits any more: what is on its way arrives. */
    start(&fixture);
    assert_int_equal(ask(&fixture, &outcomes[0], 0, NULL), 0);
    assert_int_equal(ask(&fixture, &outcomes[1], 0, NULL), 0);
    adder_close_submit(fixture.driver.submit);
    answer_with(&fixture, take(&fixture), 42);
    assert_int_equal(adder_receive(fixture.driver.receive), 1);
    assert_int_equal(outcomes[0].status, 0);
    assert_int_equal(outcomes[1].calls, 0);
    adder_close_receive(fixture.driver.receive);
    assert_int_equal(outcomes[1].calls, 1);
    assert_int_equal(outcomes[1].status, -VINE_ECLOSED);
    free_memory(&fixture);
    adder_close_submit((struct adder_submit_handle){NULL});
    adder_close_receive((struct adder_receive_handle){NULL});
}

/* Submit as a thread does that looked at `over` just before it was set. */
static int ask_unseen(struct fixture *fixture, struct outcome *outcome)
{
    struct vine__bridge *bridge = fixture->driver.submit.handle->bridge;
    const uint32_t over = vine__exchange_acq_rel_u32(&bridge->over, 0);
    const int error = ask(fixture, outcome, 0, NULL);

    vine__store_release_u32(&bridge->over, over);
    return error;
}

static void what_is_submitted_while_everything_ends_is_ended_too(void **state)
{
    struct fixture fixture;
    struct outcome outcomes[3] = {{0}};
    (void)state;

    start(&fixture);
    assert_int_equal(adder_lost(fixture.driver.receive), 0);
    assert_int_equal(ask_unseen(&fixture, &outcomes[0]), 0);
    assert_int_equal(adder_receive(fixture.driver.receive), -VINE_EPEERLOST);
    assert_int_equal(outcomes[0].calls, 1);
    assert_int_equal(outcomes[0].status, -VINE_EPEERLOST);
    assert_int_equal(ask_unseen(&fixture, &outcomes[1]), 0);
    adder_close_receive(fixture.driver.receive);
    assert_int_equal(outcomes[1].status, -VINE_EPEERLOST);
    assert_int_equal(ask_unseen(&fixture, &outcomes[2]), 0);
    adder_close_submit(fixture.driver.submit);
    assert_int_equal(outcomes[2].status, -VINE_EPEERLOST);
    for (int i = 0; i < 3; i++)
        assert_int_equal(outcomes[i].calls, 1);
    free_memory(&fixture);
}

/* ---- callbacks ------------------------------------------------------------------------------- */

struct again {
    struct fixture *fixture;
    int left;
    int within;
    int errors[3];
    struct outcome outcome;
};

static void submit_again(void *context, int status, const struct answer *answer)
{
    struct again *again = context;
    const struct question question = {20, 22};
    const struct adder_operation operation = {.callback = submit_again, .context = again};

    note(&again->outcome, status, answer);
    if (again->within++ > 0)
        again->outcome.calls += 1000; /* called within a submission */
    again->errors[0] = adder_receive(again->fixture->driver.receive);
    again->errors[1] = adder_expire(again->fixture->driver.receive, 1);
    again->errors[2] = adder_lost(again->fixture->driver.receive);
    /* The cache was full, and there is room: the operation that ends is over. */
    if (again->left-- > 0 &&
        adder_submit(again->fixture->driver.submit, &question, &operation, NULL) != 0)
        again->outcome.calls += 10000;
    again->within--;
}

static void a_callback_submits_but_does_not_receive(void **state)
{
    struct fixture fixture;
    struct outcome others[3] = {{0}};
    struct again again = {.fixture = &fixture, .left = 3};
    const struct question question = {20, 22};
    const struct adder_operation operation = {.callback = submit_again, .context = &again};
    (void)state;

    start(&fixture);
    assert_int_equal(adder_submit(fixture.driver.submit, &question, &operation, NULL), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(&fixture, &others[i], 0, NULL), 0);

    struct adder_ticket ticket = take(&fixture);

    for (int i = 0; i < 3; i++)
        (void)take(&fixture);
    for (int i = 0; i < 4; i++) {
        answer_with(&fixture, ticket, 42);
        assert_int_equal(adder_receive(fixture.driver.receive), 1);
        for (int n = 0; n < 3; n++)
            assert_int_equal(again.errors[n], -EDEADLK);
        if (i < 3)
            ticket = take(&fixture);
    }
    assert_int_equal(again.outcome.calls, 4);
    /* In what loss calls, too. */
    again.left = 1;
    assert_int_equal(adder_submit(fixture.driver.submit, &question, &operation, NULL), 0);
    assert_int_equal(adder_lost(fixture.driver.receive), 4);
    assert_int_equal(again.outcome.calls, 10005); /* refused: the other side is lost */
    close_all(&fixture);
}

static void a_callback_of_closing_does_not_receive(void **state)
{
    struct fixture fixture;
    struct again again = {.fixture = &fixture, .left = 1};
    const struct question question = {20, 22};
    const struct adder_operation operation = {.callback = submit_again, .context = &again};
    (void)state;

    start(&fixture);
    assert_int_equal(adder_submit(fixture.driver.submit, &question, &operation, NULL), 0);
    adder_close_receive(fixture.driver.receive);
    for (int n = 0; n < 3; n++)
        assert_int_equal(again.errors[n], -EDEADLK);
    assert_int_equal(again.outcome.calls, 10001); /* refused: the bridge is over */
    assert_int_equal(again.outcome.status, -VINE_ECLOSED);
    adder_close_submit(fixture.driver.submit);
    free_memory(&fixture);
}

static void a_flood_of_completions_ends_the_call(void **state)
{
    struct fixture fixture;
    const struct vine_submitter submitter = open_rings(&fixture, 64, 64);
    const struct vine_bridge_options options = {
        .size_bytes = sizeof options, .cache = cache, .operations_max = 20};
    (void)state;

    assert_int_equal(adder_driver_create(&submitter, &options, &fixture.driver), 0);
    for (uint64_t i = 0; i < 50; i++)
        answer_with(&fixture, (struct adder_ticket){{i}}, 1);
    assert_int_equal(adder_receive(fixture.driver.receive), 20);
    assert_int_equal(adder_receive_wait(fixture.driver.receive, LIMIT), 20);
    assert_int_equal(adder_receive(fixture.driver.receive), 10);
    close_all(&fixture);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void count_call(void *context)
{
    ++*(unsigned *)context;
}

static void who_waits_is_told(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    unsigned calls = 0;
    (void)state;

    start(&fixture);
    assert_int_equal(adder_receive_wait(fixture.driver.receive, 0), -ETIMEDOUT);
    assert_int_equal(adder_receive_wait(fixture.driver.receive, 1000), -ETIMEDOUT);
    assert_int_equal(vine_completer_notify_call(&fixture.end, count_call, &calls), 0);
    assert_int_equal(adder_arm(fixture.driver.receive), 0);
    assert_int_equal(ask(&fixture, &outcome, 0, NULL), 0);
    answer_with(&fixture, take(&fixture), 42);
    assert_int_equal(calls, 1);
    adder_disarm(fixture.driver.receive);
    assert_int_equal(adder_arm(fixture.driver.receive), -EALREADY);
    assert_int_equal(adder_receive_wait(fixture.driver.receive, LIMIT), 1);
    assert_int_equal(outcome.sum, 42);
    close_all(&fixture);
}

static int choose_locked(void **state)
{
    (void)state;
    cache = VINE_OP_CACHE_LOCKED;
    return 0;
}

static int choose_unlocked(void **state)
{
    (void)state;
    cache = VINE_OP_CACHE_UNLOCKED;
    return 0;
}

#define WITH_BOTH(test)                                                                            \
    cmocka_unit_test_setup(test, choose_unlocked), cmocka_unit_test_setup(test, choose_locked)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BOTH(impossible_options_are_refused),
        WITH_BOTH(only_a_locked_cache_over_mpmc_queues_is_for_many_threads),
        WITH_BOTH(a_completion_meets_its_operation_whatever_the_order),
        WITH_BOTH(an_operation_that_nobody_wants_to_hear_of_may_have_no_callback),
        WITH_BOTH(wrong_ids_are_counted_and_dropped),
        WITH_BOTH(a_full_cache_registers_nothing),
        WITH_BOTH(a_full_ring_registers_nothing),
        WITH_BOTH(a_corrupt_ring_is_reported_and_nothing_is_lost),
        WITH_BOTH(an_abandoned_operation_is_not_told_and_keeps_its_place),
        WITH_BOTH(operations_end_when_their_time_is_over),
        WITH_BOTH(loss_ends_what_is_pending_once),
        WITH_BOTH(closing_ends_what_is_pending_and_refuses_more),
        WITH_BOTH(what_is_submitted_while_everything_ends_is_ended_too),
        WITH_BOTH(a_callback_submits_but_does_not_receive),
        WITH_BOTH(a_callback_of_closing_does_not_receive),
        WITH_BOTH(a_flood_of_completions_ends_the_call),
        WITH_BOTH(who_waits_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
