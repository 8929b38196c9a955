/* SPDX-License-Identifier: Apache-2.0 */
/* What a pipe makes the appliance hold is one sum with one bound, whatever it is: halves, sessions,
 * records, copies. What does not fit ends a task, and never the pipe. */
#include "harness/procedures.h"
#include "hostile/stepped_appliance.h"

#include <sched.h>

enum { NOOP, FILL, ENDS, HOLD, COPY, WAIT, PAIR };

#define MIB   (1u << 20)
#define QUOTA (8ULL * MIB)
#define TURNS 1000

static struct stepped stepped;
static struct raw_application raw;
static struct vine__served *pipe_of_test;

/* ---- procedures ------------------------------------------------------------------------------ */

static int run_fill(struct vine_call *call)
{
    size_t room;

    (void)vine_call_output(call, 0, &room);
    return vine_call_output_size(call, 0, room);
}

/* Charges so many bytes, or gives them back. */
static int run_hold(struct vine_call *call)
{
    return vine_call_charge(call, (int64_t)vine_call_scalar(call, 0, 0));
}

/* Until the test lets it go. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int running;
    int most;
    bool is_open;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int run_copy(struct vine_call *call)
{
    size_t size;

    (void)vine_call_bytes(call, 0, &size);
    pthread_mutex_lock(&gate.lock);
    gate.running++;
    if (gate.running > gate.most)
        gate.most = gate.running;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.is_open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    gate.running--;
    pthread_mutex_unlock(&gate.lock);
    return 0;
}

static const struct vine_argument fill_arguments[] = {
    {"output", VINE_OUTPUT, VINE_TYPE_BYTES, 0, UINT32_MAX}};
static const struct vine_argument pair_arguments[] = {
    {"first", VINE_OUTPUT, VINE_TYPE_BYTES, 0, UINT32_MAX},
    {"second", VINE_OUTPUT, VINE_TYPE_BYTES, 0, UINT32_MAX}};
static const struct vine_argument ends_arguments[] = {
    {"input", VINE_INPUT, VINE_TYPE_BYTES, 1, UINT32_MAX}, {"ends", VINE_RESULT, 0, 2, 2}};
static const struct vine_argument hold_arguments[] = {{"bytes", VINE_SCALAR, 0, 0, UINT64_MAX}};
static const struct vine_argument copy_arguments[] = {
    {"input", VINE_INPUT, VINE_TYPE_BYTES, 1, UINT32_MAX}};

#define ARGUMENTS(list) .arguments = (list), .argument_count = sizeof(list) / sizeof((list)[0])

static const struct vine_procedure_definition procedures[] = {
    [NOOP] = {.size_bytes = sizeof procedures[0],
              .name = "noop",
              .flags = VINE_PROCEDURE_SHORT,
              .run = run_noop},
    [FILL] = {.size_bytes = sizeof procedures[0],
              .name = "fill",
              .flags = VINE_PROCEDURE_SHORT,
              .run = run_fill,
              ARGUMENTS(fill_arguments)},
    [ENDS] = {.size_bytes = sizeof procedures[0],
              .name = "ends",
              .flags = VINE_PROCEDURE_SHORT | VINE_ARGUMENTS_SHARED,
              .run = run_ends,
              ARGUMENTS(ends_arguments)},
    [HOLD] = {.size_bytes = sizeof procedures[0],
              .name = "hold",
              .flags = VINE_PROCEDURE_SHORT,
              .run = run_hold,
              .state_bytes = 1000,
              ARGUMENTS(hold_arguments)},
    [COPY] = {.size_bytes = sizeof procedures[0],
              .name = "copy",
              .run = run_copy,
              ARGUMENTS(copy_arguments)},
    [WAIT] = {.size_bytes = sizeof procedures[0], .name = "wait", .run = run_noop},
    [PAIR] = {.size_bytes = sizeof procedures[0],
              .name = "pair",
              .flags = VINE_PROCEDURE_SHORT,
              .run = run_noop,
              ARGUMENTS(pair_arguments)},
};

/* ---- an appliance and an application --------------------------------------------------------- */

static void start(uint32_t channels)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof options,
                                                   .memory_max_bytes = QUOTA};

    stepped_start(&stepped, &options);
    stepped.appliance->turn_ticks = UINT64_MAX / 4; /* time is not what is looked at */
    for (size_t i = 0; i < sizeof procedures / sizeof procedures[0]; i++)
        assert_int_equal(vine_appliance_register(stepped.appliance, &procedures[i]), 0);
    stepped_open(&stepped, &raw, channels);
    pipe_of_test = stepped_newest(&stepped);
    assert_true(pipe_of_test->quota.bytes_max <= QUOTA);
}

static void stop(void)
{
    raw_close(&raw);
    stepped_stop(&stepped);
}

static uint64_t held(void)
{
    const uint64_t bytes = vine__quota_held(&pipe_of_test->quota);

    assert_true(bytes <= pipe_of_test->quota.bytes_max);
    return bytes;
}

static uint32_t complete(void)
{
    return stepped_complete(&stepped, &raw, 0, TURNS, NULL).status;
}

static uint32_t fill(uint32_t room)
{
    struct vine_wire_submission submission = stepped_task(FILL, 1);
    const struct vine_token token = stepped_expect(room);

    stepped_give(&submission, NULL, 0, &token, 1);
    stepped_submit(&raw, 0, submission);
    return complete();
}

static uint32_t pair(uint32_t first_room, uint32_t second_room)
{
    struct vine_wire_submission submission = stepped_task(PAIR, 1);
    const struct vine_token tokens[] = {stepped_expect(first_room), stepped_expect(second_room)};

    stepped_give(&submission, NULL, 0, tokens, 2);
    stepped_submit(&raw, 0, submission);
    return complete();
}

static uint32_t ends(struct vine_token token)
{
    struct vine_wire_submission submission = stepped_task(ENDS, 1);

    stepped_give(&submission, NULL, 0, &token, 1);
    stepped_submit(&raw, 0, submission);
    return complete();
}

static uint32_t hold(uint16_t session, int64_t bytes)
{
    struct vine_wire_submission submission = stepped_task(HOLD, 1);

    submission.session = session;
    stepped_give(&submission, &bytes, sizeof bytes, NULL, 0);
    stepped_submit(&raw, 0, submission);
    return complete();
}

static void end_session(uint16_t session)
{
    const struct vine_wire_submission submission = {.kind = VINE_WIRE_SESSION_END,
                                                    .session = session};

    stepped_submit(&raw, 0, submission);
}

/* Leave less than `bytes` of room. */
static void hold_all_but(uint64_t bytes)
{
    for (int64_t charge = QUOTA; charge > 0; charge /= 2)
        while (vine__quota_room(&pipe_of_test->quota) > bytes &&
               vine__quota_room(&pipe_of_test->quota) - bytes >= (uint64_t)charge)
            assert_int_equal(hold(0x0101, charge), 0);
}

static void works(void)
{
    stepped_submit(&raw, 0, stepped_task(NOOP, 1));
    assert_int_equal(complete(), 0);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void results_and_sessions_and_extents_share_one_bound(void **state)
{
    (void)state;
    uint64_t result_bytes = 0;
    uint64_t own_bytes = 0;

    start(1);
    hold_all_but(100000);
    assert_true(held() > QUOTA - QUOTA / 8);
    assert_int_equal(fill(MIB), VINE_EQUOTA);
    assert_int_equal(ends(stepped_own(&raw, MIB)), VINE_EQUOTA);
    works();
    assert_int_equal(hold(0x0101, MIB), VINE_EQUOTA);
    /* The session has failed, so that it holds nothing. */
    while (fill(MIB) == 0)
        result_bytes += MIB;
    /* Beside the application's extent, which was told of and is not held: so there is room that no
     * half may take, but not for as much as if results were not counted. */
    assert_in_range(result_bytes, QUOTA / 4, QUOTA);
    assert_int_equal(hold(0x0202, (int64_t)(QUOTA - result_bytes)), VINE_EQUOTA);
    works();
    stop();

    start(1);
    for (;;) {
        struct vine__box box;

        if (vine__half_alloc(&raw.half, MIB, &box) != 0)
            break;
        const struct vine_token token = {.offset_units = box.offset_units,
                                         .length = MIB,
                                         .type = VINE_TYPE_BYTES,
                                         .extent = (uint16_t)box.extent};
        raw.half.bytes_max = QUOTA - QUOTA / 8 - VINE__HALF_BYTES;
        if (ends(token) != 0)
            break;
        own_bytes += MIB;
    }
    assert_in_range(own_bytes, QUOTA / 2, QUOTA);
    assert_int_equal(fill(2 * MIB), VINE_EQUOTA);
    works();
    stop();
}

/* The large one brings an extent of just its size, and all outputs are prepared once more. */
static void outputs_that_fit_fit_in_any_order(void **state)
{
    (void)state;
    start(1);
    assert_int_equal(pair(4 * MIB, 64), 0);
    assert_true(vine__quota_room(&pipe_of_test->quota) < 4 * MIB);
    stop();

    start(1);
    assert_int_equal(pair(64, 4 * MIB), 0);
    stop();
}

static void all_is_given_back_but_the_halves(void **state)
{
    (void)state;
    start(1);
    works();
    assert_int_equal(hold(0x0101, 1), 0);
    end_session(0x0101);
    works();
    const uint64_t before = held();
    for (uint16_t session = 1; session < 20; session++)
        assert_int_equal(hold((uint16_t)(0x0200 | session), 100), 0);
    assert_true(held() >= before + 19 * (1000 + 100));
    assert_int_equal(hold(0x0201, -100), 0);
    for (uint16_t session = 1; session < 20; session++)
        end_session((uint16_t)(0x0200 | session));
    works();
    assert_int_equal(held(), before);
    assert_int_equal(hold(0x0301, QUOTA), VINE_EQUOTA);
    assert_int_equal(held(), before);
    stop();
}

/* An extent that came when there was no room is mapped when there is. */
static void an_extent_without_room_is_mapped_when_there_is_some(void **state)
{
    (void)state;
    start(1);
    hold_all_but(100000);
    const struct vine_token token = stepped_own(&raw, MIB);
    unsigned char *memory = raw.half.extents[token.extent].base + token.offset_units * 64ULL;
    memory[0] = 3;
    memory[MIB - 1] = 4;
    assert_int_equal(ends(token), VINE_EQUOTA);
    assert_int_equal(pipe_of_test->mirror.extent_count, 2);
    assert_null(pipe_of_test->mirror.extents[1].base);
    works();
    end_session(0x0101);
    assert_int_equal(ends(token), 0);
    assert_non_null(pipe_of_test->mirror.extents[1].base);
    assert_int_equal(pipe_of_test->mirror.extents[1].fd, -1);
    stop();
}

static void bounds_of_an_extent_without_room_are_known(void **state)
{
    (void)state;
    start(1);
    hold_all_but(100000);
    struct vine_token token = stepped_own(&raw, MIB);
    assert_int_equal(ends(token), VINE_EQUOTA);
    token.length = UINT32_MAX;
    struct vine_wire_submission submission = stepped_task(ENDS, 1);
    stepped_give(&submission, NULL, 0, &token, 1);
    stepped_submit(&raw, 0, submission);
    for (int i = 0; i < 8; i++)
        stepped_turn(&stepped);
    assert_int_equal(raw_wait_closed(&raw), VINE_EPROTOCOL);
    stop();
}

/* What is kept to be mapped later is memory: the other end of our socket would never hang up. */
static void what_is_no_memory_is_not_kept_until_there_is_room(void **state)
{
    (void)state;
    const struct vine_talk_extent extent = {
        .head = VINE__TALK_HEAD(VINE_TALK_EXTENT, extent), .index = 1, .size_bytes = MIB};

    start(1);
    hold_all_but(MIB / 2);
    assert_int_equal(vine__talk_send(raw.link.socket_fd, &extent, raw.link.socket_fd, 0), 0);
    for (uint32_t i = 0; stepped_stats(&stepped).pipes_open > 0; i++) {
        assert_true(i < TURNS);
        stepped_turn(&stepped);
    }
    assert_int_equal(raw_wait_closed(&raw), VINE_EUNSEALED);
    stop();
}

static void a_task_without_room_for_its_record_is_refused_alone(void **state)
{
    (void)state;
    uint32_t refused = 0;
    uint32_t done = 0;

    start(1);
    works();
    hold_all_but(20000);
    for (uint64_t i = 0; i < 150; i++)
        stepped_submit(&raw, 0, stepped_task(WAIT, i));
    for (int i = 0; i < 300; i++) {
        struct vine_wire_completion completion;

        stepped_turn(&stepped);
        (void)held();
        while (vine_spsc_pop(&raw.channels[0].consumer, &completion) == 0) {
            assert_true(completion.status == 0 || completion.status == VINE_EQUOTA);
            refused += completion.status != 0;
            done += completion.status == 0;
        }
    }
    assert_int_equal(refused + done, 150);
    assert_true(refused > 0);
    assert_true(done >= VINE__OPS_A_SLAB);
    works();
    stop();
}

static void a_task_without_room_for_its_descriptor_is_refused_alone(void **state)
{
    (void)state;
    const struct vine_wire_descriptor head = {.size_bytes = 4096, .bytes_size = 4096 - sizeof head};
    struct vine_wire_submission submission = stepped_task(NOOP, 1);

    start(1);
    works();
    const struct vine_token token = stepped_own(&raw, 4096);
    memcpy(raw.half.extents[token.extent].base + token.offset_units * 64ULL, &head, sizeof head);
    stepped_give(&submission, NULL, 0, &token, 1);
    submission.shape = VINE_WIRE_SHAPE(0, VINE_WIRE_DESCRIPTOR);
    stepped_submit(&raw, 0, submission);
    assert_int_equal(complete(), VINE_EARGUMENT); /* noop takes no bytes */
    const uint64_t before = held();
    hold_all_but(2000);
    stepped_submit(&raw, 0, submission);
    assert_int_equal(complete(), VINE_EQUOTA);
    end_session(0x0101);
    works();
    assert_int_equal(held(), before);
    stop();
}

/* ---- copies ---------------------------------------------------------------------------------- */

static void *work(void *appliance)
{
    vine_appliance_work(appliance);
    return NULL;
}

/* What runs is copied, and what is copied is held: with room for one, one runs at a time. */
static void copies_of_inputs_wait_for_each_other(void **state)
{
    (void)state;
    struct vine_wire_submission submission = stepped_task(COPY, 0);
    pthread_t workers[2];
    bool is_seen = false;

    start(1);
    gate.is_open = false;
    gate.most = 0;
    const struct vine_token token = stepped_own(&raw, MIB);
    assert_int_equal(ends(token), 0);
    const uint64_t before = held();
    hold_all_but(MIB + MIB / 2);
    /* They are of two virtual accelerators, so that no order keeps them apart. */
    pipe_of_test->accelerators[1] = (struct vine__virtual_accelerator){true, false};
    submission.accelerator = 1;
    stepped_give(&submission, NULL, 0, &token, 1);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&workers[i], NULL, work, stepped.appliance), 0);
    /* Where nobody works the loop does, and would wait at the gate. */
    while (vine__load_relaxed_u32(&stepped.appliance->common->worker_count) < 2)
        (void)sched_yield();
    for (uint64_t i = 0; i < 4; i++) {
        submission.operation = i;
        stepped_submit(&raw, 0, submission);
    }
    while (!is_seen) {
        stepped_turn(&stepped);
        pthread_mutex_lock(&gate.lock);
        is_seen = gate.running > 0;
        pthread_mutex_unlock(&gate.lock);
    }
    (void)held();
    pthread_mutex_lock(&gate.lock);
    gate.is_open = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    for (int i = 0; i < 4; i++) {
        struct vine_wire_completion completion;

        while (vine_spsc_pop(&raw.channels[0].consumer, &completion) != 0)
            stepped_turn(&stepped);
        assert_int_equal(completion.status, 0);
    }
    assert_int_equal(gate.most, 1);
    end_session(0x0101);
    works();
    assert_true(held() <= before + VINE__OPS_A_SLAB * sizeof(struct vine_call) +
                              vine__table_bytes(pipe_of_test->agreement.tasks_max));
    pthread_mutex_lock(&stepped.appliance->common->jobs_lock);
    stepped.appliance->common->workers_end = true;
    pthread_cond_broadcast(&stepped.appliance->common->jobs_ready);
    pthread_mutex_unlock(&stepped.appliance->common->jobs_lock);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(workers[i], NULL), 0);
    stop();
}

static void a_copy_that_never_fits_ends_its_task(void **state)
{
    (void)state;
    struct vine_wire_submission submission = stepped_task(COPY, 1);

    start(1);
    gate.is_open = true;
    const struct vine_token token = stepped_own(&raw, MIB);
    assert_int_equal(ends(token), 0);
    stepped_give(&submission, NULL, 0, &token, 1);
    stepped_submit(&raw, 0, submission);
    assert_int_equal(complete(), 0);
    hold_all_but(MIB / 2);
    stepped_submit(&raw, 0, submission);
    assert_int_equal(complete(), VINE_EQUOTA);
    works();
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_and_sessions_and_extents_share_one_bound),
        cmocka_unit_test(outputs_that_fit_fit_in_any_order),
        cmocka_unit_test(all_is_given_back_but_the_halves),
        cmocka_unit_test(an_extent_without_room_is_mapped_when_there_is_some),
        cmocka_unit_test(bounds_of_an_extent_without_room_are_known),
        cmocka_unit_test(what_is_no_memory_is_not_kept_until_there_is_room),
        cmocka_unit_test(a_task_without_room_for_its_record_is_refused_alone),
        cmocka_unit_test(a_task_without_room_for_its_descriptor_is_refused_alone),
        cmocka_unit_test(copies_of_inputs_wait_for_each_other),
        cmocka_unit_test(a_copy_that_never_fits_ends_its_task),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
