/* SPDX-License-Identifier: Apache-2.0 */
/* test: timeout=120 long=900 */
/*
 * A hostile appliance against an ordinary application.
 *
 * Fault model: the appliance writes anything into its half at any moment, sends anything over its
 * socket, answers nothing, and stops half way. It lives in a process of its own; a crash of the
 * application, a wait longer than it should be, or a task that never ends is what fails a test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/ring/spsc_inline.h"
#include "hostile/raw_appliance.c"

#define HANG_GUARD_SECONDS 10
#define SHORT_NS           100000000ULL
#define LOSS_NS            1500000000ULL /* a second, and some for slow machines */
#define LATEST_NS          (3 * LOSS_NS)

struct fixture {
    char folder[64];
    char path[96];
    pid_t appliance;
    int leash; /* what holds on to it lives until this is closed */
    struct vine_pipe *pipe;
    struct vine_procedure *echo;
};

typedef void (*play_fn)(struct raw_appliance *raw, const void *part);

/* Reads until the test lets go. */
static int leash_end;

static void stay(void)
{
    char byte;

    (void)!read(leash_end, &byte, 1);
}

static void begin(struct fixture *fixture, play_fn play, const void *part)
{
    int ready[2];
    int leash[2];
    char byte = 0;

    (void)alarm(HANG_GUARD_SECONDS);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(pipe2(leash, O_CLOEXEC), 0);
    (void)unlink(fixture->path);
    fixture->appliance = fork();
    assert_true(fixture->appliance >= 0);
    if (fixture->appliance == 0) {
        static struct raw_appliance raw;

        (void)alarm(0);
        close(leash[1]);
        leash_end = leash[0];
        raw_appliance_listen(&raw, fixture->path);
        if (write(ready[1], "", 1) == 1)
            play(&raw, part);
        stay();
        _exit(0);
    }
    close(leash[0]);
    close(ready[1]);
    fixture->leash = leash[1];
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
}

static void kill_appliance(struct fixture *fixture)
{
    assert_int_equal(kill(fixture->appliance, SIGKILL), 0);
}

static void end(struct fixture *fixture)
{
    int status = 0;

    vine_pipe_close(fixture->pipe);
    fixture->pipe = NULL;
    fixture->echo = NULL;
    (void)kill(fixture->appliance, SIGTERM);
    assert_int_equal(waitpid(fixture->appliance, &status, 0), fixture->appliance);
    /* By us, or by itself in good order: it has no bugs to speak of. */
    assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGKILL
                                    : WEXITSTATUS(status) == 0);
    close(fixture->leash);
    (void)alarm(0);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/vine-hostile-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/socket", fixture->folder);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    char lock[128];

    (void)snprintf(lock, sizeof lock, "%s.lock", fixture->path);
    (void)unlink(fixture->path);
    (void)unlink(lock);
    (void)rmdir(fixture->folder);
    free(fixture);
    return 0;
}

/* ---- the ordinary application ----------------------------------------------------------------- */

static int open_pipe(struct fixture *fixture)
{
    const struct vine_pipe_options options = {
        .size_bytes = sizeof options,
        .connect_timeout_ns = 4 * SHORT_NS,
    };

    return vine_pipe_open(fixture->path, &options, &fixture->pipe);
}

static void open_echo(struct fixture *fixture)
{
    assert_int_equal(open_pipe(fixture), 0);
    assert_int_equal(vine_procedure_get(fixture->pipe, "echo", &fixture->echo), 0);
}

struct job {
    struct vine_data *input;
    struct vine_data *output;
    struct vine_task *task;
};

static int issue(struct fixture *fixture, struct job *job)
{
    static const char text[] = "hello";
    int error;

    memset(job, 0, sizeof *job);
    error = vine_data_create(fixture->pipe, VINE_TYPE_BYTES, sizeof text, &job->input);
    if (!error)
        error = vine_data_write(job->input, 0, text, sizeof text);
    if (!error)
        error = vine_data_expect(fixture->pipe, VINE_TYPE_BYTES, 64, &job->output);

    const struct vine_task_options options = {
        .size_bytes = sizeof options,
        .inputs = &job->input,
        .input_count = 1,
        .outputs = &job->output,
        .output_count = 1,
    };

    if (!error)
        error = vine_task_issue(fixture->pipe, fixture->echo, &options, &job->task);
    return error;
}

static void let_go(struct job *job)
{
    unsigned char bytes[64];
    const uint64_t size = job->output != NULL ? vine_data_size(job->output) : 0;

    /* Whatever it is said to be: it can be read. */
    assert_true(size <= sizeof bytes);
    if (size > 0)
        assert_int_equal(vine_data_read(job->output, 0, bytes, size), 0);
    vine_task_free(job->task);
    vine_data_free(job->output);
    vine_data_free(job->input);
}

/* All that was issued has ended in one of three ways. */
static void all_have_ended(struct fixture *fixture)
{
    struct vine_pipe_stats stats;

    vine_pipe_get_stats(fixture->pipe, &stats);
    assert_int_equal(stats.tasks_in_flight, 0);
    assert_int_equal(stats.tasks_issued, stats.tasks_done + stats.tasks_failed + stats.tasks_lost);
}

/* ---- one wrong completion --------------------------------------------------------------------- */

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
TOKEN(token_over_the_end, token.offset_units = (VINE__HALF_BYTES - VINE_SEGMENT_HEADER_BYTES) / 64)
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

/* ---- after the first completion --------------------------------------------------------------- */

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

/* ---- channels --------------------------------------------------------------------------------- */

static void open_impossible_channel(struct raw_appliance *raw, const void *part)
{
    const struct vine_channel_layout *record = part;
    struct vine_channel_layout *ours;

    raw->grant.tasks_max = record->wait_mode;
    raw_appliance_accept(raw);
    raw_appliance_welcome(raw);
    raw_appliance_meet(raw);
    ours = &raw->half.layout->channels[0];
    ours->slot_count = record->slot_count;
    ours->ring_extent = record->ring_extent;
    ours->ring_offset_units = record->ring_offset_units;
    raw_appliance_open_channel(raw);
}

static void impossible_channels_end_the_pipe(void **state)
{
    struct fixture *fixture = *state;
    /* wait_mode: how many tasks are granted */
    static const struct vine_channel_layout records[] = {
        {.wait_mode = 16, .slot_count = 0},
        {.wait_mode = 16, .slot_count = 3},
        {.wait_mode = 16, .slot_count = 8},
        {.wait_mode = 16, .slot_count = 4096},
        {.wait_mode = 16, .slot_count = 1u << 31},
        {.wait_mode = 16, .slot_count = 256, .ring_offset_units = UINT32_MAX},
        {.wait_mode = 16, .slot_count = 256, .ring_extent = 1},
        {.wait_mode = 16, .slot_count = 256, .ring_extent = UINT32_MAX},
        {.wait_mode = 1, .slot_count = 1},
        {.wait_mode = 1, .slot_count = 0},
    };

    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        begin(fixture, open_impossible_channel, &records[i]);
        assert_int_equal(open_pipe(fixture), 0);
        assert_int_equal(vine_procedure_get(fixture->pipe, "echo", &fixture->echo),
                         -VINE_EPROTOCOL);
        assert_int_equal(vine_pipe_status(fixture->pipe), -VINE_EPROTOCOL);
        all_have_ended(fixture);
        end(fixture);
    }
}

/* ---- the handshake ---------------------------------------------------------------------------- */

struct greeting {
    uint16_t major, minor;
    uint32_t channels_max, tasks_max;
    uint64_t memory_max_bytes, half_bytes;
    int error;
};

static void greet(struct raw_appliance *raw, const void *part)
{
    const struct greeting *greeting = part;
    const struct vine_talk_welcome welcome = {
        .head = VINE__TALK_HEAD(VINE_TALK_WELCOME, welcome),
        .major = greeting->major,
        .minor = greeting->minor,
        .channels_max = greeting->channels_max,
        .tasks_max = greeting->tasks_max,
        .memory_max_bytes = greeting->memory_max_bytes,
        .features = UINT64_MAX,
        .half_bytes = greeting->half_bytes,
        .name = "\x1b[31m",
    };
    const int memory = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    raw_appliance_accept(raw);
    must(posix_fallocate(memory, 0, VINE__HALF_BYTES), "memory");
    must(vine__talk_send(raw->socket_fd, &welcome, memory, 0), "send");
}

static void impossible_welcomes_are_refused(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t half = VINE__HALF_BYTES;
    const struct greeting greetings[] = {
        {99, 0, 4, 16, 4 * half, half, -VINE_EVERSION},
        {1, 99, 4, 16, 4 * half, half, -VINE_EVERSION},
        {1, 0, 0, 16, 4 * half, half, -VINE_EPROTOCOL},
        {1, 0, 65, 16, 4 * half, half, -VINE_EPROTOCOL},
        {1, 0, 4, 0, 4 * half, half, -VINE_EPROTOCOL},
        {1, 0, 4, UINT32_MAX, 4 * half, half, -VINE_EPROTOCOL},
        {1, 0, 4, 16, half, half, -VINE_EPROTOCOL},
        {1, 0, 4, 16, 0, half, -VINE_EPROTOCOL},
        {1, 0, 4, 16, 4 * half, half, -VINE_EUNSEALED},
        {1, 0, 4, 16, UINT64_MAX, half, -VINE_EUNSEALED},
    };

    for (size_t i = 0; i < sizeof greetings / sizeof greetings[0]; i++) {
        begin(fixture, greet, &greetings[i]);
        assert_int_equal(open_pipe(fixture), greetings[i].error);
        end(fixture);
    }
}

static void say_garbage(struct raw_appliance *raw, const void *part)
{
    unsigned char garbage[300];
    const size_t *size = part;

    raw_appliance_accept(raw);
    memset(garbage, (int)*size, sizeof garbage);
    must(vine__peer_send(raw->socket_fd, garbage, *size, NULL, 0, 0), "send");
}

static void garbage_instead_of_a_welcome_is_refused(void **state)
{
    struct fixture *fixture = *state;

    for (size_t size = 1; size < 300; size += 37) {
        begin(fixture, say_garbage, &size);
        assert_int_equal(open_pipe(fixture), -VINE_EPROTOCOL);
        end(fixture);
    }
}

static void say_nothing(struct raw_appliance *raw, const void *part)
{
    (void)part;
    raw_appliance_accept(raw);
}

static void hang_up_at_once(struct raw_appliance *raw, const void *part)
{
    (void)part;
    raw_appliance_accept(raw);
    close(raw->socket_fd);
}

static void who_answers_no_hello_is_not_waited_for(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture, say_nothing, NULL);
    assert_int_equal(open_pipe(fixture), -ETIMEDOUT);
    end(fixture);
    begin(fixture, hang_up_at_once, NULL);
    assert_int_equal(open_pipe(fixture), -VINE_EPEERLOST);
    end(fixture);
}

/* ---- what comes over the socket --------------------------------------------------------------- */

struct growth {
    uint32_t index;
    uint64_t said_bytes;
    uint64_t real_bytes;
    int seals;
    int error;
};

static void grow_wrongly(struct raw_appliance *raw, const void *part)
{
    const struct growth *growth = part;
    const struct vine_talk_extent extent = {
        .head = VINE__TALK_HEAD(VINE_TALK_EXTENT, extent),
        .index = growth->index,
        .size_bytes = growth->said_bytes,
    };
    const int memory = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    raw_appliance_begin(raw);
    must(posix_fallocate(memory, 0, (off_t)growth->real_bytes), "memory");
    must(fcntl(memory, F_ADD_SEALS, growth->seals), "seals");
    must(vine__talk_send(raw->link.socket_fd, &extent, memory, 0), "send");
}

static void bad_extents_end_the_pipe(void **state)
{
    struct fixture *fixture = *state;
    const int sealed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
    const struct growth growths[] = {
        {1, 65536, 65536, 0, -VINE_EUNSEALED},
        {1, 65536, 65536, F_SEAL_GROW, -VINE_EUNSEALED},
        {1, 65536, 4096, sealed, -VINE_ETRUNCATED},
        {0, 65536, 65536, sealed, -VINE_EPROTOCOL},
        {2, 65536, 65536, sealed, -VINE_EPROTOCOL},
        {UINT32_MAX, 65536, 65536, sealed, -VINE_EPROTOCOL},
        {1, 0, 65536, sealed, -VINE_EQUOTA},
        {1, UINT64_MAX, 65536, sealed, -VINE_EQUOTA},
    };

    for (size_t i = 0; i < sizeof growths / sizeof growths[0]; i++) {
        struct job job;
        int error;

        begin(fixture, grow_wrongly, &growths[i]);
        open_echo(fixture);
        error = issue(fixture, &job);
        if (!error)
            error = vine_task_wait(job.task, LATEST_NS);
        if (error != growths[i].error)
            print_error("growth %zu\n", i);
        assert_int_equal(error, growths[i].error);
        assert_int_equal(vine_pipe_status(fixture->pipe), growths[i].error);
        all_have_ended(fixture);
        let_go(&job);
        end(fixture);
    }
}

static void send_garbage(struct raw_appliance *raw, const void *part)
{
    unsigned char garbage[300];
    const size_t *size = part;

    raw_appliance_begin(raw);
    memset(garbage, (int)*size, sizeof garbage);
    must(vine__peer_send(raw->link.socket_fd, garbage, *size, NULL, 0, 0), "send");
}

static void garbage_on_the_socket_ends_the_pipe(void **state)
{
    struct fixture *fixture = *state;

    for (size_t size = 1; size < 300; size += 37) {
        struct job job;
        int error;

        begin(fixture, send_garbage, &size);
        open_echo(fixture);
        error = issue(fixture, &job);
        if (!error)
            error = vine_task_wait(job.task, LATEST_NS);
        assert_int_equal(error, -VINE_EPROTOCOL);
        all_have_ended(fixture);
        let_go(&job);
        end(fixture);
    }
}

/* ---- silence and death ------------------------------------------------------------------------ */

static void begin_and_stay(struct raw_appliance *raw, const void *part)
{
    (void)part;
    raw_appliance_begin(raw);
}

/* Wait for a loss that has happened; say how long it took. */
static void lost_soon(struct fixture *fixture, struct job *jobs, uint32_t count)
{
    const uint64_t start_ns = vine__clock_now_ns();

    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(vine_task_wait(jobs[i].task, LATEST_NS), -VINE_EPEERLOST);
        let_go(&jobs[i]);
    }
    assert_true(vine__clock_now_ns() - start_ns < LOSS_NS);
    assert_int_equal(vine_pipe_status(fixture->pipe), -VINE_EPEERLOST);
    all_have_ended(fixture);
}

static void no_answer_is_a_time_out_and_then_a_loss(void **state)
{
    struct fixture *fixture = *state;
    struct job jobs[16];

    begin(fixture, begin_and_stay, NULL);
    open_echo(fixture);
    for (uint32_t i = 0; i < 16; i++)
        assert_int_equal(issue(fixture, &jobs[i]), 0);
    assert_int_equal(vine_task_wait(jobs[3].task, SHORT_NS), -ETIMEDOUT);
    assert_int_equal(vine_task_cancel(jobs[3].task), 0);
    assert_int_equal(vine_task_wait(jobs[3].task, SHORT_NS), -ETIMEDOUT);
    assert_int_equal(vine_pipe_status(fixture->pipe), 0);
    kill_appliance(fixture);
    lost_soon(fixture, jobs, 16);
    end(fixture);
}

static void hang_up_later(struct raw_appliance *raw, const void *part)
{
    struct vine_wire_submission submission;

    (void)part;
    raw_appliance_begin(raw);
    raw_appliance_take(raw, &submission);
    raw_appliance_hang_up(raw);
}

static void a_hang_up_half_way_is_a_loss(void **state)
{
    struct fixture *fixture = *state;
    struct job job;

    begin(fixture, hang_up_later, NULL);
    open_echo(fixture);
    assert_int_equal(issue(fixture, &job), 0);
    lost_soon(fixture, &job, 1);
    end(fixture);
}

static void die_and_leave_a_child(struct raw_appliance *raw, const void *part)
{
    struct vine_wire_submission submission;

    (void)part;
    raw_appliance_begin(raw);
    raw_appliance_take(raw, &submission);
    /* The child keeps the socket open: nobody hears of a hang-up. */
    if (fork() == 0)
        stay();
    _exit(0);
}

static void a_child_that_keeps_the_socket_hides_no_death(void **state)
{
    struct fixture *fixture = *state;
    struct job job;

    begin(fixture, die_and_leave_a_child, NULL);
    open_echo(fixture);
    assert_int_equal(issue(fixture, &job), 0);
    lost_soon(fixture, &job, 1);
    end(fixture);
}

static void welcome_and_die(struct raw_appliance *raw, const void *part)
{
    (void)part;
    raw_appliance_accept(raw);
    raw_appliance_welcome(raw);
    (void)first_channel(raw);
    _exit(0);
}

static void a_death_before_the_first_answer_ends_the_question(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture, welcome_and_die, NULL);
    assert_int_equal(open_pipe(fixture), 0);
    assert_int_equal(vine_procedure_get(fixture->pipe, "echo", &fixture->echo), -VINE_EPEERLOST);
    all_have_ended(fixture);
    end(fixture);
}

/* ---- descriptions ----------------------------------------------------------------------------- */

struct answer {
    struct vine_wire_description description;
    uint32_t size;
};

static void describe_wrongly(struct raw_appliance *raw, const void *part)
{
    const struct answer *answer = part;

    raw_appliance_accept(raw);
    raw_appliance_welcome(raw);
    raw_appliance_meet(raw);
    raw_appliance_open_channel(raw);
    raw_appliance_describe(raw, &answer->description, answer->size);
    raw_appliance_describe(raw, &answer->description, answer->size);
}

#define ANSWERS 10

static void wrong_descriptions_are_refused(void **state)
{
    struct fixture *fixture = *state;
    static struct answer answers[ANSWERS];
    struct vine_procedure *found = NULL;

    for (size_t i = 0; i < ANSWERS; i++) {
        answers[i].description = raw_appliance_description("echo");
        answers[i].size = sizeof answers[i].description;
    }
    memset(answers[0].description.name, 'x', sizeof answers[0].description.name);
    answers[1].description.argument_count = 1000;
    answers[2].description.argument_count = UINT32_MAX;
    answers[3].description.id = VINE_WIRE_LOOKUP;
    answers[4].description.arguments[0].kind = 99;
    answers[5].description.arguments[1].data_type = 0;
    answers[6].description.arguments[1].data_type = UINT32_MAX;
    answers[7].description.name[0] = 0;
    answers[8].size--;
    answers[9].size = 1;
    for (size_t i = 0; i < ANSWERS; i++) {
        begin(fixture, describe_wrongly, &answers[i]);
        assert_int_equal(open_pipe(fixture), 0);
        assert_int_equal(vine_procedure_get(fixture->pipe, "echo", &found), -VINE_EPROTOCOL);
        assert_int_equal(vine_procedure_list(fixture->pipe, &found, 1), -VINE_EPROTOCOL);
        end(fixture);
    }
}

static void texts_of_a_description_are_ended_and_printable(void **state)
{
    struct fixture *fixture = *state;
    static struct answer answer;
    const struct vine_procedure_info *info;

    answer.description = raw_appliance_description("echo");
    answer.size = sizeof answer.description;
    memset(answer.description.summary, '\x1b', sizeof answer.description.summary);
    memset(answer.description.accelerator_type, 0xff, sizeof answer.description.accelerator_type);
    memset(answer.description.arguments[0].name, '\n', sizeof answer.description.arguments[0].name);
    begin(fixture, describe_wrongly, &answer);
    open_echo(fixture);
    info = vine_procedure_describe(fixture->echo);
    assert_int_equal(strlen(info->summary), sizeof info->summary - 1);
    assert_int_equal(strlen(info->accelerator_type), sizeof info->accelerator_type - 1);
    assert_int_equal(info->summary[0], '?');
    assert_int_equal(info->arguments[0].name[0], '?');
    end(fixture);
}

/* ---- anything --------------------------------------------------------------------------------- */

struct chance {
    unsigned seed;
    unsigned rounds;
};

static void act_at_random(struct raw_appliance *raw, unsigned *seed)
{
    struct vine_wire_submission submission = {.operation = (uint64_t)rand_r(seed)};
    uint64_t *word = (uint64_t *)(void *)raw->half.layout +
                     (unsigned)rand_r(seed) % ((VINE__HALF_BYTES - VINE_SEGMENT_HEADER_BYTES) / 8);

    switch (rand_r(seed) % 16) {
    case 0:
        vine__store_relaxed_u64(word, (uint64_t)rand_r(seed));
        return;
    case 1:
        vine__store_relaxed_u64(word, UINT64_MAX << (rand_r(seed) % 64));
        return;
    default:
        break;
    }
    (void)!vine_spsc_pop(&raw->consumer, &submission);

    const struct vine_token token = {
        .offset_units = (uint32_t)rand_r(seed) % 2100, .length = 6, .type = VINE_TYPE_BYTES};
    struct vine_wire_completion completion = raw_appliance_good(&submission, &token);
    unsigned char *bytes = (unsigned char *)&completion;

    if (rand_r(seed) % 4 == 0)
        bytes[(unsigned)rand_r(seed) % sizeof completion] = (unsigned char)rand_r(seed);
    raw_appliance_complete(raw, &completion);
}

static void be_random(struct raw_appliance *raw, const void *part)
{
    struct chance chance = *(const struct chance *)part;

    for (unsigned round = 0; round < chance.rounds; round++) {
        raw_appliance_begin(raw);
        for (unsigned i = 0; i < 300; i++) {
            act_at_random(raw, &chance.seed);
            (void)sched_yield();
        }
        raw_appliance_hang_up(raw);
    }
}

static void random_words_in_the_half_hurt_nobody(void **state)
{
    struct fixture *fixture = *state;
    const char *seed_text = getenv("VINE_TEST_SEED");
    const struct chance chance = {
        .seed = seed_text ? (unsigned)strtoul(seed_text, NULL, 0) : (unsigned)getpid(),
        .rounds = getenv("VINE_TEST_LONG") ? 5000 : 200,
    };

    print_message("seed %u, %u rounds\n", chance.seed, chance.rounds);
    begin(fixture, be_random, &chance);
    for (unsigned round = 0; round < chance.rounds; round++) {
        struct job jobs[16];
        uint32_t count = 0;

        (void)alarm(HANG_GUARD_SECONDS);
        open_echo(fixture);
        while (count < 16) {
            const int error = issue(fixture, &jobs[count]);

            if (error) {
                let_go(&jobs[count]);
                break;
            }
            if (count++ % 4 == 3)
                (void)!vine_pipe_poll(fixture->pipe);
        }
        for (uint32_t i = 0; i < count; i++) {
            assert_int_not_equal(vine_task_wait(jobs[i].task, LATEST_NS), -ETIMEDOUT);
            let_go(&jobs[i]);
        }
        all_have_ended(fixture);
        vine_pipe_close(fixture->pipe);
        fixture->pipe = NULL;
    }
    end(fixture);
}

#define HOSTILE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

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
        HOSTILE(impossible_channels_end_the_pipe),
        HOSTILE(impossible_welcomes_are_refused),
        HOSTILE(garbage_instead_of_a_welcome_is_refused),
        HOSTILE(who_answers_no_hello_is_not_waited_for),
        HOSTILE(bad_extents_end_the_pipe),
        HOSTILE(garbage_on_the_socket_ends_the_pipe),
        HOSTILE(no_answer_is_a_time_out_and_then_a_loss),
        HOSTILE(a_hang_up_half_way_is_a_loss),
        HOSTILE(a_child_that_keeps_the_socket_hides_no_death),
        HOSTILE(a_death_before_the_first_answer_ends_the_question),
        HOSTILE(wrong_descriptions_are_refused),
        HOSTILE(texts_of_a_description_are_ended_and_printable),
        HOSTILE(random_words_in_the_half_hurt_nobody),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
