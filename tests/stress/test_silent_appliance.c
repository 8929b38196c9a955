/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An appliance that lives, shakes hands, and then says nothing.
 *
 * Fault model: no completion ever comes, though the process lives and its half is in order. Every
 * call that waits for it ends with -ETIMEDOUT when the pipe's `call_timeout_ns` is over; the
 * fixture's alarm ends the test where one does not. That no call ends before its time is looked at
 * too, since that needs no fast machine.
 */
#include "hostile/appliance_fixture.h"

/* Also what the first question, which is answered, may take: that much on a busy machine. */
#define CALL_NS VINE_NS_PER_SECOND

static void open_patiently(struct fixture *fixture, bool throttle, uint64_t call_timeout_ns)
{
    const struct vine_pipe_options options = {
        .size_bytes = sizeof options,
        .throttle = throttle,
        .call_timeout_ns = call_timeout_ns,
    };

    assert_int_equal(vine_pipe_open(fixture->path, &options, &fixture->pipe), 0);
}

/* A call takes as long as it may; its clock is another one than ours. */
#define ENDS_IN_TIME(call, time_ns)                                                                \
    do {                                                                                           \
        const uint64_t start_ns = vine__clock_now_ns();                                            \
        assert_int_equal((call), -ETIMEDOUT);                                                      \
        assert_true(vine__clock_now_ns() - start_ns >= (time_ns) / 100 * 99);                      \
    } while (0)

static void welcome_and_stay(struct raw_appliance *raw, const void *part)
{
    (void)part;
    raw_appliance_accept(raw);
    raw_appliance_welcome(raw);
}

static void questions_end_with_the_time_of_a_call(void **state)
{
    struct fixture *fixture = *state;
    struct vine_accelerator *accelerator = NULL;
    struct vine_accelerator_info info;
    unsigned char byte = 0;

    begin(fixture, welcome_and_stay, NULL);
    open_patiently(fixture, false, SHORT_NS);
    ENDS_IN_TIME(vine_procedure_get(fixture->pipe, "echo", &fixture->echo), SHORT_NS);
    ENDS_IN_TIME(vine_procedure_list(fixture->pipe, &fixture->echo, 1), SHORT_NS);
    ENDS_IN_TIME(vine_accelerator_list(fixture->pipe, NULL, &info, 1), SHORT_NS);
    ENDS_IN_TIME(vine_accelerator_acquire(fixture->pipe, NULL, VINE_PARALLEL, &accelerator),
                 SHORT_NS);
    ENDS_IN_TIME(vine_pipe_call(fixture->pipe, "echo", &byte, 1, &byte, 1, NULL), SHORT_NS);
    assert_null(fixture->echo);
    assert_null(accelerator);
    assert_int_equal(vine_pipe_status(fixture->pipe), 0);
    end(fixture);
}

static void begin_and_stay(struct raw_appliance *raw, const void *part)
{
    (void)part;
    raw_appliance_begin(raw);
}

static void a_call_of_a_known_procedure_ends_with_its_time(void **state)
{
    struct fixture *fixture = *state;
    unsigned char byte = 0;

    begin(fixture, begin_and_stay, NULL);
    open_patiently(fixture, false, CALL_NS);
    assert_int_equal(vine_procedure_get(fixture->pipe, "echo", &fixture->echo), 0);
    ENDS_IN_TIME(vine_pipe_call(fixture->pipe, "echo", &byte, 1, &byte, 1, NULL), CALL_NS);
    end(fixture);
}

static void a_full_channel_throttles_no_longer_than_a_call(void **state)
{
    struct fixture *fixture = *state;
    struct job jobs[17];

    begin(fixture, begin_and_stay, NULL);
    open_patiently(fixture, true, CALL_NS);
    assert_int_equal(vine_procedure_get(fixture->pipe, "echo", &fixture->echo), 0);
    for (uint32_t i = 0; i < 16; i++)
        assert_int_equal(issue(fixture, &jobs[i]), 0);
    ENDS_IN_TIME(issue(fixture, &jobs[16]), CALL_NS);
    for (uint32_t i = 0; i < 17; i++)
        let_go(&jobs[i]);
    end(fixture);
}

static void a_full_pipe_throttles_no_longer_than_a_call(void **state)
{
    struct fixture *fixture = *state;
    struct vine_data *datas[64];
    uint32_t count = 0;
    struct job job;
    int error = 0;

    begin(fixture, begin_and_stay, NULL);
    open_patiently(fixture, true, CALL_NS);
    assert_int_equal(vine_procedure_get(fixture->pipe, "echo", &fixture->echo), 0);
    assert_int_equal(issue(fixture, &job), 0); /* whose end might make room */

    const uint64_t start_ns = vine__clock_now_ns();

    while (error == 0 && count < 64) {
        error = vine_data_create(fixture->pipe, VINE_TYPE_BYTES, 512u << 10, &datas[count]);
        count += error == 0;
    }
    assert_int_equal(error, -ETIMEDOUT);
    assert_true(vine__clock_now_ns() - start_ns >= CALL_NS / 100 * 99);
    while (count > 0)
        vine_data_free(datas[--count]);
    let_go(&job);
    end(fixture);
}

/* What was asked for and not waited for is not forgotten: it is released behind its acquisition,
 * and its number means nothing else before the appliance has read that. */
static void acquire_late(struct raw_appliance *raw, const void *part)
{
    struct vine_wire_submission acquire, release;
    struct vine_wire_completion completion = {.kind = VINE_WIRE_TASK};
    struct vine_wire_acquire request;
    uint16_t released;

    (void)part;
    raw_appliance_begin(raw);
    raw_appliance_take(raw, &acquire);
    must(acquire.procedure == VINE_WIRE_ACQUIRE_ACCELERATOR ? 0 : -VINE_EPROTOCOL, "acquire");
    raw_appliance_take(raw, &release);
    must(release.procedure == VINE_WIRE_RELEASE_ACCELERATOR ? 0 : -VINE_EPROTOCOL, "release");
    memcpy(&request, acquire.body, sizeof request);
    memcpy(&released, release.body, sizeof released);
    must(request.accelerator == released ? 0 : -VINE_EPROTOCOL, "another number");
    completion.operation = acquire.operation;
    raw_appliance_complete(raw, &completion);
    completion.operation = release.operation;
    raw_appliance_complete(raw, &completion);
}

static void an_accelerator_that_came_too_late_is_released(void **state)
{
    struct fixture *fixture = *state;
    struct vine_accelerator *accelerator = NULL;
    struct vine_pipe_stats stats;

    begin(fixture, acquire_late, NULL);
    open_patiently(fixture, false, CALL_NS);
    assert_int_equal(vine_procedure_get(fixture->pipe, "echo", &fixture->echo), 0);
    ENDS_IN_TIME(vine_accelerator_acquire(fixture->pipe, NULL, VINE_ORDERED, &accelerator),
                 CALL_NS);
    do {
        assert_true(vine_pipe_poll(fixture->pipe) >= 0);
        vine_pipe_get_stats(fixture->pipe, &stats);
    } while (stats.tasks_in_flight > 0);
    all_have_ended(fixture);
    end(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOSTILE(questions_end_with_the_time_of_a_call),
        HOSTILE(a_call_of_a_known_procedure_ends_with_its_time),
        HOSTILE(a_full_channel_throttles_no_longer_than_a_call),
        HOSTILE(a_full_pipe_throttles_no_longer_than_a_call),
        HOSTILE(an_accelerator_that_came_too_late_is_released),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
