/* SPDX-License-Identifier: Apache-2.0 */
/* test: long=900 */
/*
 * A hostile appliance against an ordinary application: what it writes as completions.
 *
 * Fault model: the appliance writes anything into its half at any moment, sends anything over its
 * socket, answers nothing, and stops half way. It lives in a process of its own; a crash of the
 * application, a wait longer than it should be, or a task that never ends is what fails a test.
 */
#include "hostile/appliance_fixture.h"

/* ---- one wrong completion -------------------------------------------------------------------- */

struct wrong {
    const char *what;
    void (*play)(struct raw_appliance *raw, const struct vine_wire_submission *submission,
                 struct vine_wire_completion *completion);
    int task_status;
    int pipe_status;
    uint64_t ids_refused;
};

static void complete_wrongly(struct raw_appliance *raw, const void *part)
{
    const struct wrong *wrong = part;
    struct vine_wire_submission submission;

    raw_appliance_begin(raw);
    raw_appliance_take(raw, &submission);

    const struct vine_token token = raw_appliance_token(raw, "hello", 6);
    struct vine_wire_completion completion = raw_appliance_good(&submission, &token);

    wrong->play(raw, &submission, &completion);
    raw_appliance_complete(raw, &completion);
}

static void try_wrong(struct fixture *fixture, const struct wrong *wrong)
{
    struct vine_pipe_stats stats;
    struct job job;

    begin(fixture, complete_wrongly, wrong);
    open_echo(fixture);
    assert_int_equal(issue(fixture, &job), 0);

    const int status = vine_task_wait(job.task, LATEST_NS);

    vine_pipe_get_stats(fixture->pipe, &stats);
    if (status != wrong->task_status || stats.ids_refused != wrong->ids_refused)
        print_error("%s: the task ended with %d, %d ids refused\n", wrong->what, status,
                    (int)stats.ids_refused);
    assert_int_equal(status, wrong->task_status);
    assert_int_equal(stats.ids_refused, wrong->ids_refused);
    assert_int_equal(vine_pipe_status(fixture->pipe), wrong->pipe_status);
    all_have_ended(fixture);
    let_go(&job);
    end(fixture);
}

static void try_all(struct fixture *fixture, const struct wrong *wrongs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        try_wrong(fixture, &wrongs[i]);
}

#define PLAY(name)                                                                                 \
    static void name(struct raw_appliance *raw, const struct vine_wire_submission *submission,     \
                     struct vine_wire_completion *completion)

#define UNUSED_PLAY (void)raw, (void)submission

PLAY(an_unknown_id)
{
    struct vine_wire_completion other = *completion;

    (void)submission;
    other.operation = UINT64_MAX;
    raw_appliance_complete(raw, &other);
    other.operation = 0;
    raw_appliance_complete(raw, &other);
}

PLAY(ids_that_differ_by_a_bit)
{
    struct vine_wire_completion other = *completion;

    for (uint32_t bit = 0; bit < 64; bit++) {
        other.operation = submission->operation ^ 1ULL << bit;
        raw_appliance_complete(raw, &other);
    }
}

PLAY(the_id_of_a_task_that_has_ended)
{
    struct vine_wire_completion other = *completion;

    /* The question for the procedure was the first use of the first place. */
    other.operation = (submission->operation & UINT32_MAX) | ((submission->operation >> 32) - 1)
                                                                 << 32;
    raw_appliance_complete(raw, &other);
}

PLAY(unknown_kinds)
{
    struct vine_wire_completion other = *completion;

    (void)submission;
    other.kind = 0;
    raw_appliance_complete(raw, &other);
    other.kind = 255;
    raw_appliance_complete(raw, &other);
}

static void forged_ids_are_refused_and_counted(void **state)
{
    static const struct wrong wrongs[] = {
        {"unknown", an_unknown_id, 0, 0, 2},
        {"by a bit", ids_that_differ_by_a_bit, 0, 0, 64},
        {"late", the_id_of_a_task_that_has_ended, 0, 0, 1},
        {"kinds", unknown_kinds, 0, 0, 2},
    };

    try_all(*state, wrongs, sizeof wrongs / sizeof wrongs[0]);
}

PLAY(status_of_one)
{
    UNUSED_PLAY, completion->status = 1;
}
PLAY(status_of_all_bits)
{
    UNUSED_PLAY, completion->status = UINT16_MAX;
}
PLAY(status_of_no_error)
{
    UNUSED_PLAY, completion->status = 1000;
}
PLAY(status_of_loss)
{
    UNUSED_PLAY, completion->status = VINE_EPEERLOST;
}

static void impossible_statuses_are_failures_of_the_task_alone(void **state)
{
    static const struct wrong wrongs[] = {
        {"1", status_of_one, -VINE_EFAILED, 0, 0},
        {"65535", status_of_all_bits, -VINE_EFAILED, 0, 0},
        {"1000", status_of_no_error, -VINE_EFAILED, 0, 0},
        {"lost", status_of_loss, -VINE_EPEERLOST, 0, 0},
    };

    try_all(*state, wrongs, sizeof wrongs / sizeof wrongs[0]);
}

#define CORRUPT -VINE_ECORRUPT, -VINE_ECORRUPT, 0

PLAY(shape_of_all_bits)
{
    UNUSED_PLAY, completion->shape = UINT8_MAX;
}
PLAY(shape_too_long)
{
    UNUSED_PLAY, completion->shape = VINE_WIRE_SHAPE(63, 1);
}
PLAY(shape_just_too_long)
{
    UNUSED_PLAY, completion->shape = VINE_WIRE_SHAPE(17, 1);
}
PLAY(shape_without_token)
{
    UNUSED_PLAY, completion->shape = VINE_WIRE_SHAPE(0, 0);
}
PLAY(shape_of_two_tokens)
{
    UNUSED_PLAY, completion->shape = VINE_WIRE_SHAPE(0, 2);
}

static void impossible_shapes_end_the_pipe(void **state)
{
    static const struct wrong wrongs[] = {
        {"all bits", shape_of_all_bits, CORRUPT},     {"63 bytes", shape_too_long, CORRUPT},
        {"17 bytes", shape_just_too_long, CORRUPT},   {"no token", shape_without_token, CORRUPT},
        {"two tokens", shape_of_two_tokens, CORRUPT},
    };

    try_all(*state, wrongs, sizeof wrongs / sizeof wrongs[0]);
}

static struct vine_token token_of(const struct vine_wire_completion *completion)
{
    struct vine_token token;

    memcpy(&token, completion->body + VINE_RESULT_MAX - sizeof token, sizeof token);
    return token;
}

static void put_token(struct vine_wire_completion *completion, const struct vine_token *token)
{
    memcpy(completion->body + VINE_RESULT_MAX - sizeof *token, token, sizeof *token);
}

#define TOKEN(name, change)                                                                        \
    PLAY(name)                                                                                     \
    {                                                                                              \
        struct vine_token token = token_of(completion);                                            \
                                                                                                   \
        UNUSED_PLAY;                                                                               \
        change;                                                                                    \
        put_token(completion, &token);                                                             \
    }

TOKEN(token_far_out, token.offset_units = UINT32_MAX)
/* The header of sealed memory counts as a part of it, and that of a named segment does not. */
TOKEN(token_over_the_end,
      token.offset_units = (VINE__HALF_BYTES -
                            (raw->named != NULL ? 0 : VINE_SEGMENT_HEADER_BYTES)) /
                           VINE_TALK_UNIT)
TOKEN(token_of_unknown_extent, token.extent = 1)
TOKEN(token_of_impossible_extent, token.extent = UINT16_MAX)
TOKEN(token_of_other_type, token.type = VINE_TYPE_U64)
TOKEN(token_of_all_types, token.type = UINT16_MAX)
TOKEN(token_longer_than_asked, token.length = 65)
TOKEN(token_of_all_bits_length, token.length = UINT32_MAX)
TOKEN(token_of_no_length, token.length = 0)
TOKEN(token_of_ones, memset(&token, 0xff, sizeof token))

static void impossible_tokens_end_the_pipe(void **state)
{
    static const struct wrong wrongs[] = {
        {"far out", token_far_out, CORRUPT},
        {"over the end", token_over_the_end, CORRUPT},
        {"unknown extent", token_of_unknown_extent, CORRUPT},
        {"impossible extent", token_of_impossible_extent, CORRUPT},
        {"other type", token_of_other_type, CORRUPT},
        {"all types", token_of_all_types, CORRUPT},
        {"longer than asked", token_longer_than_asked, CORRUPT},
        {"of 2^32-1 bytes", token_of_all_bits_length, CORRUPT},
        {"of no bytes", token_of_no_length, CORRUPT},
        {"ones", token_of_ones, CORRUPT},
    };

    try_all(*state, wrongs, sizeof wrongs / sizeof wrongs[0]);
}

static void put_descriptor(struct raw_appliance *raw, struct vine_wire_completion *completion,
                           const struct vine_wire_descriptor *descriptor, uint32_t length)
{
    unsigned char block[512] = {0};

    memcpy(block, descriptor, sizeof *descriptor);

    struct vine_token token = raw_appliance_token(raw, block, sizeof block);

    token.length = length;
    put_token(completion, &token);
    completion->shape = VINE_WIRE_SHAPE(0, VINE_WIRE_DESCRIPTOR);
}

#define DESCRIPTOR(name, block_length, ...)                                                        \
    PLAY(name)                                                                                     \
    {                                                                                              \
        const struct vine_wire_descriptor descriptor = {__VA_ARGS__};                              \
                                                                                                   \
        (void)submission;                                                                          \
        put_descriptor(raw, completion, &descriptor, block_length);                                \
    }

DESCRIPTOR(descriptor_too_short, 31, .size_bytes = 31)
DESCRIPTOR(descriptor_too_long, 4096, .size_bytes = 4096)
DESCRIPTOR(descriptor_of_other_size, 48, .size_bytes = 4096, .token_count = 1)
DESCRIPTOR(descriptor_of_nine_tokens, 32 + 9 * 16, .size_bytes = 32 + 9 * 16, .token_count = 9)
DESCRIPTOR(descriptor_of_many_tokens, 48, .size_bytes = 48, .token_count = UINT16_MAX)
DESCRIPTOR(descriptor_of_many_bytes, 48, .size_bytes = 48, .bytes_size = UINT32_MAX)
DESCRIPTOR(descriptor_that_wraps, 48, .size_bytes = 48, .token_count = 2,
           .bytes_size = UINT32_MAX - 15)
DESCRIPTOR(descriptor_without_tokens, 32, .size_bytes = 32)
DESCRIPTOR(descriptor_of_half_an_answer, 48 + 32, .size_bytes = 48 + 32, .token_count = 1)

PLAY(descriptor_out_of_bounds)
{
    const struct vine_token token = {.offset_units = UINT32_MAX, .length = 48};

    UNUSED_PLAY;
    put_token(completion, &token);
    completion->shape = VINE_WIRE_SHAPE(0, VINE_WIRE_DESCRIPTOR);
}

static void descriptors_that_do_not_add_up_end_the_pipe(void **state)
{
    static const struct wrong wrongs[] = {
        {"too short", descriptor_too_short, CORRUPT},
        {"too long", descriptor_too_long, CORRUPT},
        {"other size", descriptor_of_other_size, CORRUPT},
        {"9 tokens", descriptor_of_nine_tokens, CORRUPT},
        {"many tokens", descriptor_of_many_tokens, CORRUPT},
        {"many bytes", descriptor_of_many_bytes, CORRUPT},
        {"wraps", descriptor_that_wraps, CORRUPT},
        {"no tokens", descriptor_without_tokens, CORRUPT},
        {"half an answer", descriptor_of_half_an_answer, CORRUPT},
        {"out of bounds", descriptor_out_of_bounds, CORRUPT},
    };

    try_all(*state, wrongs, sizeof wrongs / sizeof wrongs[0]);
}

PLAY(sequence_of_the_future)
{
    struct vine_slot *next = vine__spsc_slot_at(&raw->producer, 0);

    (void)submission, (void)completion;
    vine__store_release_u64(&next->sequence, 77);
    (void)vine__futex_wake((uint32_t *)(void *)&next->sequence, INT32_MAX);
    stay();
}

PLAY(sequence_of_ones)
{
    struct vine_slot *next = vine__spsc_slot_at(&raw->producer, 0);

    (void)submission, (void)completion;
    vine__store_release_u64(&next->sequence, UINT64_MAX);
    (void)vine__futex_wake((uint32_t *)(void *)&next->sequence, INT32_MAX);
    stay();
}

static void impossible_sequence_numbers_end_the_pipe(void **state)
{
    static const struct wrong wrongs[] = {
        {"77", sequence_of_the_future, CORRUPT},
        {"ones", sequence_of_ones, CORRUPT},
    };

    try_all(*state, wrongs, sizeof wrongs / sizeof wrongs[0]);
}

/* ---- after the first completion -------------------------------------------------------------- */

static void complete_twice(struct raw_appliance *raw, const void *part)
{
    struct vine_wire_submission submission;

    (void)part;
    raw_appliance_begin(raw);
    for (;;) {
        raw_appliance_take(raw, &submission);

        const struct vine_token token = raw_appliance_token(raw, "hello", 6);
        const struct vine_wire_completion completion = raw_appliance_good(&submission, &token);

        raw_appliance_complete(raw, &completion);
        raw_appliance_complete(raw, &completion);
    }
}

static void duplicates_end_no_other_task(void **state)
{
    struct fixture *fixture = *state;
    struct vine_pipe_stats stats;
    struct job job;

    begin(fixture, complete_twice, NULL);
    open_echo(fixture);
    for (uint64_t i = 1; i <= 40; i++) {
        assert_int_equal(issue(fixture, &job), 0);
        assert_int_equal(vine_task_wait(job.task, LATEST_NS), 0);
        let_go(&job);
    }
    vine_pipe_get_stats(fixture->pipe, &stats);
    assert_int_equal(stats.tasks_done, 41);
    assert_true(stats.ids_refused >= 39 && stats.ids_refused <= 40);
    all_have_ended(fixture);
    end(fixture);
}

static void flood(struct raw_appliance *raw, const void *part)
{
    const struct vine_wire_completion nobodys = {.operation = 12345, .kind = VINE_WIRE_TASK};

    (void)part;
    raw_appliance_begin(raw);
    for (;;)
        (void)!vine_spsc_push(&raw->producer, &nobodys, sizeof nobodys);
}

static void a_flood_of_nobodys_completions_lengthens_no_wait(void **state)
{
    struct fixture *fixture = *state;
    size_t index = 0;
    struct job job;

    begin(fixture, flood, NULL);
    open_echo(fixture);
    assert_int_equal(issue(fixture, &job), 0);
    assert_int_equal(vine_task_wait(job.task, SHORT_NS), -ETIMEDOUT);
    assert_int_equal(vine_task_wait_any(&job.task, 1, SHORT_NS, &index), -ETIMEDOUT);
    assert_int_equal(vine_task_poll(job.task), -EAGAIN);
    kill_appliance(fixture);
    assert_int_equal(vine_task_wait(job.task, LATEST_NS), -VINE_EPEERLOST);
    all_have_ended(fixture);
    let_go(&job);
    end(fixture);
}

static void say_impossible_position(struct raw_appliance *raw, const void *part)
{
    (void)part;
    raw_appliance_begin(raw);
    vine__store_release_u64(&raw->half.layout->channels[0].consumed.value, 1u << 30);
}

static void impossible_positions_end_the_pipe(void **state)
{
    struct fixture *fixture = *state;
    struct job jobs[16];
    uint32_t count = 0;
    int error = 0;

    begin(fixture, say_impossible_position, NULL);
    open_echo(fixture);
    /* Abandoned tasks keep their places, messages fill the ring. */
    while (count < 16 && (error = issue(fixture, &jobs[count])) == 0)
        count++;
    assert_true(error == 0 || error == -VINE_ECORRUPT);
    if (error)
        let_go(&jobs[count]);
    kill_appliance(fixture);
    for (uint32_t i = 0; i < count; i++) {
        error = vine_task_wait(jobs[i].task, LATEST_NS);
        assert_true(error == -VINE_ECORRUPT || error == -VINE_EPEERLOST);
        let_go(&jobs[i]);
    }
    assert_true(vine_pipe_status(fixture->pipe) < 0);
    all_have_ended(fixture);
    end(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOSTILE(forged_ids_are_refused_and_counted),
        HOSTILE(impossible_statuses_are_failures_of_the_task_alone),
        HOSTILE(impossible_shapes_end_the_pipe),
        HOSTILE(impossible_tokens_end_the_pipe),
        HOSTILE(descriptors_that_do_not_add_up_end_the_pipe),
        HOSTILE(impossible_sequence_numbers_end_the_pipe),
        HOSTILE(duplicates_end_no_other_task),
        HOSTILE(a_flood_of_nobodys_completions_lengthens_no_wait),
        HOSTILE(impossible_positions_end_the_pipe),
    };
    const struct CMUnitTest named[] = {
        HOSTILE_NAMED(forged_ids_are_refused_and_counted),
        HOSTILE_NAMED(impossible_statuses_are_failures_of_the_task_alone),
        HOSTILE_NAMED(impossible_shapes_end_the_pipe),
        HOSTILE_NAMED(impossible_tokens_end_the_pipe),
        HOSTILE_NAMED(descriptors_that_do_not_add_up_end_the_pipe),
        HOSTILE_NAMED(impossible_sequence_numbers_end_the_pipe),
        HOSTILE_NAMED(duplicates_end_no_other_task),
        HOSTILE_NAMED(a_flood_of_nobodys_completions_lengthens_no_wait),
        HOSTILE_NAMED(impossible_positions_end_the_pipe),
    };

    signal(SIGPIPE, SIG_IGN);

    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    if (!is_emulated("tells a process another start time of itself than others see"))
        failed += cmocka_run_group_tests(named, NULL, NULL);
    return failed;
}
