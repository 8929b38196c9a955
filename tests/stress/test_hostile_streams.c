/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime long=1800 */
/*
 * Hostile applications against handlers that are coroutines, on three reactors, with each guard
 * that this machine has.
 *
 * Fault model: an application issues what no correct library does, in any order: tasks of any
 * procedure and session, with any place and use, last ones and more behind them, inputs that change
 * while they are read, rooms that are never read, deadlines, cancels and ends of what is there and
 * what is not; it does not take completions for a while, and vanishes in the middle. Handlers echo,
 * keep, never read, never stop writing, crash, do not heed a cancel, stay for the next task, and
 * hand bytes to workers. What holds: others, with sixty-three pipes, are served all the while; a
 * pipe to which nothing impossible happened stays open; and when the hostile ones are gone the
 * appliance holds what it held before. Chance is the same again with VINE_TEST_SEED.
 */
#include <poll.h>

#include <vine/coroutine.h>
#include <vine/filter.h>
#include <vine/handler.h>

#include "harness/serve_on_reactors.h"

static int serve_streams(const char *path, const struct vine_appliance_options *options,
                         int (*offers)(struct vine_appliance *appliance), uint32_t worker_count);

#define SERVE serve_streams
#define CROWD 62
#include "hostile/application_fixture.h"
#include "hostile/holdings.h"
#include "hostile/words.h"

#define ROOM_MAX 40000u

static unsigned seed;

static uint32_t chance(uint32_t of)
{
    return (uint32_t)rand_r(&seed) % of;
}

/* ---- handlers -------------------------------------------------------------------------------- */

VINE_COROUTINE(returns)
{
    struct {
        int unused;
    } *self;

    vine_begin();
    vine_forward(that->socket, that->socket);
    vine_end();
}

/* What it has read is in its heap, and goes back at the end. */
VINE_COROUTINE(keeps)
{
    struct {
        char bytes[2000];
        ssize_t length;
    } *self;

    vine_begin();
    vine_read_all(self->length, self->bytes, sizeof self->bytes);
    vine_write(self->bytes, (size_t)self->length);
    vine_end();
}

VINE_COROUTINE(never_reads)
{
    struct {
        int unused;
    } *self;

    vine_begin();
    vine_sleep(1000 * VINE_NS_PER_SECOND);
    vine_end();
}

VINE_COROUTINE(never_stops)
{
    struct {
        char bytes[3000];
    } *self;

    vine_begin();
    for (;;)
        vine_write(self->bytes, sizeof self->bytes);
    vine_end();
}

VINE_COROUTINE(crashes)
{
    struct {
        char bytes[10];
        ssize_t length;
    } *self;

    vine_begin();
    vine_read(self->length, self->bytes, sizeof self->bytes);
    __builtin_trap(); /* several cores at once: tsan would see a write to one address as a race */
    vine_end();
}

VINE_COROUTINE(clings)
{
    struct {
        char byte;
        ssize_t length;
        int error;
    } *self;

    vine_begin();
again:
    for (;;) {
        vine_read(self->length, &self->byte, 1);
        vine_sleep(1000 * VINE_NS_PER_SECOND);
    }
    vine_catch(self->error)
    {
        goto again;
    }
    vine_end();
}

VINE_COROUTINE(stays)
{
    struct {
        char bytes[100];
        ssize_t length;
        bool is_there;
    } *self;

    vine_begin();
    do {
        vine_read(self->length, self->bytes, sizeof self->bytes);
        vine_write(self->bytes, (size_t)self->length);
        vine_task_next(self->is_there);
    } while (self->is_there);
    vine_end();
}

VINE_COROUTINE(raises)
{
    struct {
        char why[12];
        ssize_t length;
    } *self;

    vine_begin();
    vine_read(self->length, self->why, 1);
    vine_write(self->why, 1);
    memcpy(self->why, "as it does", 11);
    vine_handled_reason(self->why);
    vine_raise(-VINE_EDATA);
    vine_end();
}

static int copy_step(void *state, struct vine_filter_step *step)
{
    const size_t size = step->input_bytes < step->room ? step->input_bytes : step->room;

    (void)state;
    if (size > 0)
        memcpy(step->output, step->input, size);
    step->taken = step->written = size;
    return size < step->input_bytes ? VINE_FILTER_MORE : VINE_FILTER_ENOUGH;
}

static const struct vine_filter_type copying = {
    .size_bytes = sizeof copying, .state_bytes = 1, .step = copy_step};

VINE_COROUTINE(feeds)
{
    struct {
        struct vine_socket *filter;
    } *self;

    vine_begin();
    self->filter = *(struct vine_socket *const *)vine_argument();
    vine_forward(that->socket, self->filter);
    vine_close_output_on(self->filter);
    vine_end();
}

VINE_COROUTINE(filters)
{
    struct {
        struct vine_socket *filter;
        struct vine_coroutine *feeder;
    } *self;

    vine_begin();
    vine_filter(self->filter, &copying, NULL, 0);
    vine_child(feeds, &self->filter, self->feeder);
    vine_forward(self->filter, that->socket);
    vine_join(self->feeder);
    vine_end();
}

static const struct vine_argument in_and_out[] = {
    {"number", VINE_SCALAR, 0, 0, UINT64_MAX},
    {"in", VINE_INPUT, VINE_TYPE_BYTES, 0, UINT64_MAX},
    {"out", VINE_OUTPUT, VINE_TYPE_BYTES, 0, ROOM_MAX},
    {"text", VINE_BYTES, 0, 0, 4096},
};

static const struct vine_argument in_and_result[] = {
    {"in", VINE_INPUT, VINE_TYPE_BYTES, 0, UINT64_MAX},
    {"result", VINE_RESULT, 0, 0, 32},
};

#define HANDLER(handler, form, ...)                                                                \
    {                                                                                              \
        .size_bytes = sizeof(struct vine_procedure_definition), .name = #handler,                  \
        .arguments = form, .argument_count = VINE_ARRAY_COUNT(form),                               \
        .coroutine = VINE_COROUTINE_OF(handler), __VA_ARGS__                                       \
    }

/* Of those that have both: what is not of a stream is the function's. */
static int run_alone(struct vine_call *call)
{
    size_t size = 0, room = 0;

    (void)vine_call_bytes(call, 1, &size);
    (void)vine_call_output(call, 2, &room);
    return size <= room ? vine_call_output_size(call, 2, 0) : -VINE_EOVERFLOW;
}

static const struct vine_procedure_definition offered[] = {
    HANDLER(returns, in_and_out),
    HANDLER(keeps, in_and_out),
    HANDLER(never_reads, in_and_out),
    HANDLER(never_stops, in_and_out),
    HANDLER(crashes, in_and_out),
    HANDLER(clings, in_and_out),
    HANDLER(stays, in_and_out),
    HANDLER(raises, in_and_out),
    HANDLER(filters, in_and_out, .run = run_alone),
    {
        .size_bytes = sizeof(struct vine_procedure_definition),
        .name = "either",
        .arguments = in_and_out,
        .argument_count = VINE_ARRAY_COUNT(in_and_out),
        .coroutine = VINE_COROUTINE_OF(keeps),
        .run = run_alone,
        .state_bytes = 100,
    },
    {
        .size_bytes = sizeof(struct vine_procedure_definition),
        .name = "sums",
        .arguments = in_and_result,
        .argument_count = VINE_ARRAY_COUNT(in_and_result),
        .coroutine = VINE_COROUTINE_OF(keeps),
    },
};

#define OFFERED VINE_ARRAY_COUNT(offered)

static int offer_streams(struct vine_appliance *appliance)
{
    int error = offer(appliance);

    for (size_t i = 0; error == 0 && i < OFFERED; i++)
        error = vine_appliance_register(appliance, &offered[i]);
    return error;
}

static uint8_t isolation;

static int serve_streams(const char *path, const struct vine_appliance_options *options,
                         int (*offers)(struct vine_appliance *appliance), uint32_t worker_count)
{
    const struct vine_service_options coroutines = {
        .size_bytes = sizeof coroutines,
        .isolation = isolation,
        .heap_bytes = 16384,
        .connections = 600,
        .drain_ns = VINE_NS_PER_SECOND,
    };

    (void)offers;
    (void)worker_count;
    serving_on_reactors.coroutines = &coroutines;
    return serve_on_reactors(path, options, offer_streams, 2);
}

/* ---- a hostile application ------------------------------------------------------------------- */

#define IN_FLIGHT_MAX 96u
#define RESULTS_MAX   64u
#define PLACES        6u
#define SPACE_BYTES   60000u

static struct {
    struct vine__box space; /* of its inputs, which change */
    uint64_t operation;     /* the next one's */
    uint32_t in_flight, result_count;
    struct vine_token results[RESULTS_MAX]; /* that it has not given back */
    uint64_t issued, ended[2];              /* well, and not */
} hostile;

static uint16_t numbers[OFFERED]; /* of the procedures, at the appliance */

static void join_hostile(struct fixture *fixture)
{
    open_bad(fixture);
    memset(&hostile.space, 0, sizeof hostile.space);
    hostile.in_flight = hostile.result_count = 0;
    assert_int_equal(vine__half_alloc(&fixture->bad.half, SPACE_BYTES, &hostile.space), 0);
}

static uint16_t any_session(void)
{
    return chance(4) == 0 ? 0 : (uint16_t)((1 + chance(PLACES)) | chance(3) << 8);
}

static struct vine_token any_input(void)
{
    const uint32_t offset = chance(SPACE_BYTES / 64);
    uint32_t length = chance(3) == 0 ? chance(SPACE_BYTES - offset * 64) : chance(64);

    if (chance(8) == 0)
        length = 0;
    return (struct vine_token){.extent = (uint16_t)hostile.space.extent,
                               .offset_units = hostile.space.offset_units + offset,
                               .length = length,
                               .type = VINE_TYPE_BYTES};
}

static struct vine_wire_submission any_task(void)
{
    const uint32_t which = chance(OFFERED);
    struct vine_wire_submission submission = task(numbers[which]);
    const bool has_result = which == OFFERED - 1;
    const struct vine_token tokens[2] = {
        any_input(), expect_token(chance(4) == 0 ? chance(ROOM_MAX) : chance(100))};
    uint32_t bytes = chance(9);

    if (has_result || chance(50) == 0) /* an argument that is missing, or is too much */
        put_tokens(&submission, tokens, 1);
    else
        put_tokens(&submission, tokens, 2);
    if (!has_result)
        submission.shape |= (uint8_t)bytes;
    submission.operation = ++hostile.operation;
    submission.session = any_session();
    if (chance(30) == 0) /* of the protocol itself, with what is none of its arguments */
        submission.procedure = (uint16_t)chance(VINE_WIRE_PROCEDURES_FROM);
    if (chance(20) == 0)
        submission.kind |= VINE_WIRE_SESSION_LAST;
    if (chance(2) == 0)
        submission.kind |= VINE_WIRE_STREAM;
    if (chance(10) == 0 && !has_result) {
        const uint64_t deadline_ns = chance(3) == 0 ? 0 : (uint64_t)chance(50000000);

        submission.kind |= VINE_WIRE_HAS_DEADLINE;
        submission.shape = (uint8_t)((submission.shape & 0xc0) | 8);
        memcpy(submission.body, &deadline_ns, sizeof deadline_ns);
    }
    return submission;
}

static void submit(struct fixture *fixture, const struct vine_wire_submission *submission)
{
    if (raw_submit(&fixture->bad, 0, submission) != 0)
        return; /* the ring is full */
    if ((submission->kind & VINE_WIRE_KIND_MASK) == VINE_WIRE_TASK) {
        hostile.in_flight++;
        hostile.issued++;
    }
}

static void take_completions(struct fixture *fixture)
{
    struct vine_wire_completion completion;

    while (vine_spsc_pop(&fixture->bad.channels[0].consumer, &completion) == 0) {
        struct vine_token token;

        assert_true(hostile.in_flight > 0);
        assert_true(completion.operation != 0 && completion.operation <= hostile.operation);
        hostile.in_flight--;
        hostile.ended[completion.status != 0]++;
        if (VINE_WIRE_SHAPE_TOKENS(completion.shape) == 0)
            continue;
        memcpy(&token, completion.body + VINE_RESULT_MAX - sizeof token, sizeof token);
        if (token.length > 0 && hostile.result_count < RESULTS_MAX)
            hostile.results[hostile.result_count++] = token;
    }
}

static void give_back(struct fixture *fixture)
{
    struct vine_wire_submission release = {.kind = VINE_WIRE_RELEASE};

    if (hostile.result_count == 0)
        return;
    put_tokens(&release, &hostile.results[hostile.result_count - 1], 1);
    if (raw_submit(&fixture->bad, 0, &release) == 0)
        hostile.result_count--;
}

static void do_anything(struct fixture *fixture)
{
    const struct vine_wire_submission cancel = {
        .kind = VINE_WIRE_CANCEL,
        .operation = hostile.operation > 40 ? hostile.operation - chance(40) : chance(4)};
    const struct vine_wire_submission end = {.kind = VINE_WIRE_SESSION_END,
                                             .session = any_session()};
    struct vine_wire_submission submission;

    switch (chance(12)) {
    case 0:
        submit(fixture, &cancel);
        break;
    case 1:
        submit(fixture, &end);
        break;
    case 2:
        memset((char *)hostile.space.memory + chance(SPACE_BYTES - 1000), (int)chance(256), 1000);
        break;
    case 3:
        give_back(fixture);
        break;
    default:
        if (hostile.in_flight >= IN_FLIGHT_MAX)
            break;
        submission = any_task();
        submit(fixture, &submission);
    }
}

/* A pipe to which nothing impossible happened is open. */
static void expect_open(struct fixture *fixture)
{
    struct pollfd poll_fd = {.fd = fixture->bad.link.socket_fd, .events = POLLRDHUP};

    if (vine__load_relaxed_u32(&fixture->bad.mirror.layout->board.closed.value) != 0) {
        const int error = raw_wait_closed(&fixture->bad);

        fail_msg("closed with %d: %s", error, fixture->bad.why.text);
    }
    assert_true(poll(&poll_fd, 1, 0) == 0 || (poll_fd.revents & POLLRDHUP) == 0);
}

static void one_hostile_life(struct fixture *fixture, uint32_t steps)
{
    join_hostile(fixture);
    for (uint32_t i = 0; i < steps; i++) {
        do_anything(fixture);
        if (chance(20) == 0)
            take_completions(fixture);
        if (i % 500 == 499) {
            good_is_served(fixture);
            expect_open(fixture);
        }
    }
    expect_open(fixture);
    raw_close(&fixture->bad);
}

static void streams_of_a_hostile_application_hurt_nobody(void **state)
{
    struct fixture *fixture = *state;
    const uint32_t lives = getenv("VINE_TEST_LONG") != NULL ? 1000 : 25;

    seed = word_seed();
    print_message("seed %u\n", seed);
    for (size_t i = 0; i < OFFERED; i++)
        numbers[i] = find_procedure(&fixture->good, offered[i].name);
    one_hostile_life(fixture, 100); /* what stays, as memory of its cores */

    const struct holdings before = holdings_of(fixture->appliance);

    memset(&hostile, 0, sizeof hostile);
    for (uint32_t life = 0; life < lives; life++)
        one_hostile_life(fixture, 200 + chance(4000));
    print_message("%llu tasks: %llu ended well, %llu did not\n", (unsigned long long)hostile.issued,
                  (unsigned long long)hostile.ended[0], (unsigned long long)hostile.ended[1]);
    assert_true(hostile.ended[0] > 0 && hostile.ended[1] > 0);
    wait_until_it_holds(fixture, before);
}

/* ---- all guards ------------------------------------------------------------------------------ */

static int setup_none(void **state)
{
    isolation = VINE_ISOLATE_NONE;
    return setup(state);
}

static int setup_best(void **state)
{
    isolation = VINE_ISOLATE_BEST;
    return setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(streams_of_a_hostile_application_hurt_nobody, setup_none,
                                        teardown),
        cmocka_unit_test_setup_teardown(streams_of_a_hostile_application_hurt_nobody, setup_best,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
