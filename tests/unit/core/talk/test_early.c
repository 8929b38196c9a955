/* SPDX-License-Identifier: Apache-2.0 */
/* Each thread of an application has a channel of its own: what is said of a task or a session may
 * come over another one, and be read before it. */
#include "harness/procedures.h"
#include "hostile/stepped_appliance.h"

#include <sched.h>

enum { NOOP, COUNTS, WAITS };

#define CHANNELS 3
#define TURNS    1000000
#define LIMIT_NS 60000000000ULL

static struct stepped stepped;
static struct raw_application raw;
static uint64_t operations;

/* Until it is canceled. */
static int run_waits(struct vine_call *call)
{
    const uint64_t start_ns = vine__clock_now_ns();

    while (!vine_call_is_canceled(call)) {
        if (vine__clock_now_ns() - start_ns > LIMIT_NS)
            return -VINE_EDEADLINE;
        (void)sched_yield();
    }
    return -VINE_ECANCELED;
}

/* How many tasks of its session there were before. */
static int run_counts(struct vine_call *call)
{
    unsigned char *const count = vine_call_state(call);
    const unsigned char before = (*count)++;

    return vine_call_result(call, &before, sizeof before);
}

static const struct vine_argument counts_arguments[] = {{"before", VINE_RESULT, 0, 1, 1}};

static const struct vine_procedure_definition procedures[] = {
    [NOOP] = {.size_bytes = sizeof procedures[0], .name = "noop", .run = run_noop},
    [COUNTS] = {.size_bytes = sizeof procedures[0],
                .name = "counts",
                .flags = VINE_PROCEDURE_SHORT,
                .run = run_counts,
                .state_bytes = 1,
                .arguments = counts_arguments,
                .argument_count = 1},
    [WAITS] = {.size_bytes = sizeof procedures[0], .name = "waits", .run = run_waits},
};

static int start(void **state)
{
    (void)state;
    stepped_start(&stepped, NULL);
    for (size_t i = 0; i < sizeof procedures / sizeof procedures[0]; i++)
        assert_int_equal(vine_appliance_register(stepped.appliance, &procedures[i]), 0);
    stepped_open(&stepped, &raw, CHANNELS);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    raw_close(&raw);
    stepped_stop(&stepped);
    return 0;
}

/* ---- cancels --------------------------------------------------------------------------------- */

static uint64_t issue(uint32_t procedure, uint32_t channel)
{
    stepped_submit(&raw, channel, stepped_task(procedure, ++operations));
    return operations;
}

static void cancel(uint32_t through, uint32_t channel, uint64_t operation)
{
    struct vine_wire_submission message = {.kind = VINE_WIRE_CANCEL, .operation = operation};

    memcpy(message.body, &channel, sizeof channel);
    message.shape = VINE_WIRE_SHAPE(sizeof channel, 0);
    stepped_submit(&raw, through, message);
}

static void expect(uint32_t channel, uint64_t operation, uint32_t status)
{
    const struct vine_wire_completion completion =
        stepped_complete(&stepped, &raw, channel, TURNS, NULL);

    assert_int_equal(completion.operation, operation);
    assert_int_equal(completion.status, status);
}

/* Channels are visited in some order: each is before another one here. */
static void a_cancel_that_comes_before_its_task_is_heeded(void **state)
{
    (void)state;
    for (uint32_t channel = 0; channel < CHANNELS; channel++)
        for (uint32_t through = 0; through < CHANNELS; through++) {
            const uint64_t operation = issue(WAITS, channel);

            cancel(through, channel, operation);
            expect(channel, operation, VINE_ECANCELED);
        }
}

static void of_those_that_lie_in_a_ring_it_means_one(void **state)
{
    (void)state;
    for (uint32_t channel = 0; channel < CHANNELS; channel++)
        for (uint32_t through = 0; through < CHANNELS; through++) {
            const uint64_t before = issue(NOOP, channel);
            const uint64_t operation = issue(WAITS, channel);
            const uint64_t after = issue(NOOP, channel);

            cancel(through, channel, operation);
            cancel(through, channel, operation);
            cancel(through, channel, after + 1); /* which is not there */
            for (int i = 0; i < 3; i++) {
                const struct vine_wire_completion completion =
                    stepped_complete(&stepped, &raw, channel, TURNS, NULL);

                assert_in_range(completion.operation, before, after);
                assert_int_equal(completion.status,
                                 completion.operation == operation ? VINE_ECANCELED : 0);
            }
        }
    /* And nothing of it is left: the ring's slots are used again. */
    for (uint32_t i = 0; i < 2 * RAW_SLOTS; i++)
        expect(i % CHANNELS, issue(NOOP, i % CHANNELS), 0);
}

static void a_cancel_of_a_channel_that_is_not_there_says_nothing(void **state)
{
    (void)state;
    cancel(0, CHANNELS, 1);
    cancel(0, VINE_TALK_CHANNELS_MAX, 1);
    cancel(0, UINT32_MAX, 1);
    expect(0, issue(NOOP, 0), 0);
}

/* ---- sessions -------------------------------------------------------------------------------- */

static void tell_end(uint32_t through, uint16_t session, bool is_cut)
{
    const struct vine_wire_submission message = {
        .kind = VINE_WIRE_SESSION_END | (is_cut ? VINE_WIRE_SESSION_CUT : 0), .session = session};

    stepped_submit(&raw, through, message);
}

/* A task of the session: the status with which it ends, or how many there were before, as
 * BEFORE(n). */
#define BEFORE(count) (0x10000u | (count))

static uint32_t count(uint16_t session)
{
    struct vine_wire_submission submission = stepped_task(COUNTS, ++operations);
    struct vine_wire_completion completion;

    submission.session = session;
    stepped_submit(&raw, 0, submission);
    completion = stepped_complete(&stepped, &raw, 0, TURNS, NULL);
    assert_int_equal(completion.operation, operations);
    return completion.status != 0 ? completion.status : BEFORE(completion.body[0]);
}

/* So that the channel is visited before that which `count` uses. */
static void turn(void)
{
    for (int i = 0; i < 10; i++)
        stepped_turn(&stepped);
}

static void a_session_that_was_cut_before_its_tasks_does_not_begin(void **state)
{
    (void)state;
    tell_end(1, 0x0105, true);
    turn();
    assert_int_equal(count(0x0105), VINE_ECANCELED);
    assert_int_equal(count(0x0105), VINE_ECANCELED);
    assert_int_equal(stepped_newest(&stepped)->session_count, 0);
    /* Told once more that it is over, nothing is left of it. */
    tell_end(1, 0x0105, false);
    turn();
    assert_int_equal(count(0x0105), BEFORE(0));
    tell_end(0, 0x0105, false);
}

static void one_that_was_cut_in_its_middle_does_not_begin_anew(void **state)
{
    (void)state;
    assert_int_equal(count(0x0206), BEFORE(0));
    assert_int_equal(count(0x0206), BEFORE(1));
    tell_end(1, 0x0206, true);
    turn();
    assert_int_equal(count(0x0206), VINE_ECANCELED);
    /* The next use of its place is another session. */
    assert_int_equal(count(0x0306), BEFORE(0));
    tell_end(2, 0x0206, false);
    tell_end(2, 0x0206, true);
    turn();
    assert_int_equal(count(0x0306), BEFORE(1));
    tell_end(0, 0x0306, false);
}

static void the_next_use_of_a_place_is_cut_before_the_former_has_ended(void **state)
{
    (void)state;
    assert_int_equal(count(0xff07), BEFORE(0));
    tell_end(1, 0x0007, true); /* uses are counted around */
    turn();
    assert_int_equal(count(0xff07), BEFORE(1));
    tell_end(2, 0xff07, false);
    turn();
    assert_int_equal(count(0x0007), VINE_ECANCELED);
    tell_end(1, 0x0007, false);
    turn();
    assert_int_equal(count(0x0107), BEFORE(0));
    tell_end(0, 0x0107, false);
}

static void a_cut_that_its_end_has_overtaken_says_nothing(void **state)
{
    (void)state;
    assert_int_equal(count(0x0108), BEFORE(0));
    tell_end(1, 0x0108, false);
    turn();
    tell_end(2, 0x0108, true);
    turn();
    assert_int_equal(count(0x0108), BEFORE(0));
    tell_end(0, 0x0108, false);
}

/* A task that is not even begun: it brings what its procedure does not take. */
static void refuse(uint16_t session)
{
    struct vine_wire_submission submission = stepped_task(COUNTS, ++operations);

    submission.session = session;
    stepped_give(&submission, "x", 1, NULL, 0);
    stepped_submit(&raw, 0, submission);
    expect(0, operations, VINE_EARGUMENT);
}

static void those_behind_a_task_that_was_refused_do_not_go_on_without_it(void **state)
{
    (void)state;
    assert_int_equal(count(0x0109), BEFORE(0));
    refuse(0x0109);
    assert_int_equal(count(0x0109), VINE_ESESSION);
    assert_int_equal(count(0x0209), BEFORE(0));
    tell_end(0, 0x0209, false);
    /* Nor do they begin where it was the first. */
    refuse(0x010a);
    assert_int_equal(count(0x010a), VINE_ESESSION);
    tell_end(0, 0x010a, false);
    assert_int_equal(count(0x020a), BEFORE(0));
    tell_end(0, 0x020a, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cancel_that_comes_before_its_task_is_heeded),
        cmocka_unit_test(of_those_that_lie_in_a_ring_it_means_one),
        cmocka_unit_test(a_cancel_of_a_channel_that_is_not_there_says_nothing),
        cmocka_unit_test(a_session_that_was_cut_before_its_tasks_does_not_begin),
        cmocka_unit_test(one_that_was_cut_in_its_middle_does_not_begin_anew),
        cmocka_unit_test(the_next_use_of_a_place_is_cut_before_the_former_has_ended),
        cmocka_unit_test(a_cut_that_its_end_has_overtaken_says_nothing),
        cmocka_unit_test(those_behind_a_task_that_was_refused_do_not_go_on_without_it),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
