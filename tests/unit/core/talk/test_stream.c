/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams of an application, before coroutines that an executor of the test's own plays on the
 * appliance's loop: by the first scalar one that echoes, that takes nothing until it is told, that
 * fails, that ends early; and one with a result.
 */
#include "served.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <vine/stream.h>

#include "core/talk/executor.h"
#include "core/talk/pipe_internal.h"

#define HELD_MAX  (64U << 10) /* what a part that is played keeps before it waits for its reader */
#define CHUNK     4096U
#define TASKS_MAX 64

enum part {
    PART_ECHO,
    PART_DEAF, /* an echo once somebody says so */
    PART_FAILS,
    PART_LEAVES,
};

struct run {
    enum part part;
    struct vine__session *session;
    struct vine_call *inputs[TASKS_MAX];
    struct vine_call *rooms[TASKS_MAX];
    uint32_t input_count, room_count;
    unsigned char held[HELD_MAX];
    size_t held_bytes;
    uint64_t sum; /* of all bytes, where there is a result */
    bool has_result, has_last, is_over;
    int error;
};

static struct {
    uint32_t hears;   /* atomic: those that are deaf do */
    uint32_t running; /* atomic */
    uint32_t cut;     /* atomic: sessions that ended before their input did */
    uint64_t taken;   /* atomic: bytes */
} played;

static void end_first(struct vine_call **calls, uint32_t *count, int status)
{
    struct vine_call *call = calls[0];

    memmove(calls, calls + 1, --*count * sizeof(*calls));
    vine__call_end(call, status);
}

static void end_all(struct run *run, int status)
{
    run->is_over = true;
    run->error = status;
    while (run->input_count > 0)
        end_first(run->inputs, &run->input_count, status == 0 ? -VINE_ESESSION : status);
    while (run->room_count > 0)
        end_first(run->rooms, &run->room_count, status);
}

static void take_input(struct run *run)
{
    while (run->input_count > 0) {
        struct vine_call *call = run->inputs[0];
        struct vine__executed *executed = vine__call_executed(call);
        const uint64_t size = vine__call_executed(call)->input_size;
        size_t part = (size_t)(size - executed->taken);

        if (part > HELD_MAX - run->held_bytes)
            part = HELD_MAX - run->held_bytes;
        if (part == 0 && size > 0)
            return;
        vine__call_input_copy(call, executed->taken, run->held + run->held_bytes, part);
        executed->taken += part;
        (void)__atomic_fetch_add(&played.taken, part, __ATOMIC_RELEASE);
        for (size_t i = 0; run->has_result && i < part; i++)
            run->sum += run->held[run->held_bytes + i];
        if (!run->has_result)
            run->held_bytes += part;
        if (executed->taken == size)
            end_first(run->inputs, &run->input_count, 0);
    }
}

static void put(struct run *run)
{
    while (run->held_bytes > 0 && run->room_count > 0) {
        struct vine_call *call = run->rooms[0];
        struct vine__executed *executed = vine__call_executed(call);
        size_t part = (size_t)(vine__call_executed(call)->room - executed->written);

        if (part > run->held_bytes)
            part = run->held_bytes;
        vine__call_output_copy(call, executed->written, run->held, part);
        executed->written += part;
        memmove(run->held, run->held + part, run->held_bytes - part);
        run->held_bytes -= part;
        end_first(run->rooms, &run->room_count, 0); /* and does not write more at once */
    }
}

static void play(struct run *run)
{
    if (run->is_over)
        return;
    if (run->part == PART_DEAF && __atomic_load_n(&played.hears, __ATOMIC_ACQUIRE) == 0)
        return;
    if (run->part == PART_FAILS && run->input_count > 0) {
        end_all(run, -VINE_EDATA);
        return;
    }
    for (size_t before = SIZE_MAX; before != run->held_bytes + run->input_count;) {
        before = run->held_bytes + run->input_count;
        take_input(run);
        if (run->has_result && run->has_last && run->held_bytes == 0 && run->sum != UINT64_MAX) {
            memcpy(run->held, &run->sum, sizeof run->sum);
            run->held_bytes = sizeof run->sum;
            run->sum = UINT64_MAX;
        }
        put(run);
    }
    if (run->input_count == 0 && run->held_bytes == 0 &&
        (run->has_last ||
         (run->part == PART_LEAVES && __atomic_load_n(&played.taken, __ATOMIC_ACQUIRE) > 0)))
        end_all(run, 0);
}

static void begin(void *context, struct vine_call *call)
{
    struct vine__session *session = vine__call_session(call);
    struct run *run = vine__session_kept(session);
    uint64_t scalars[VINE_ARGUMENTS_MAX] = {0};
    const bool has_input = vine__call_executed(call)->input_size > 0;

    (void)context;
    if (run == NULL) {
        run = calloc(1, sizeof *run);
        (void)vine__call_scalars(call, scalars);
        run->part = (enum part)scalars[0];
        run->has_result = strcmp(vine_call_definition(call)->name, "sum") == 0;
        run->session = session;
        vine__session_keep(session, run);
        (void)__atomic_fetch_add(&played.running, 1, __ATOMIC_RELEASE);
    }
    vine__call_executed(call)->kept = run;
    run->has_last |= vine_call_is_last(call);
    if (run->is_over) {
        vine__call_end(call, run->error != 0 || has_input ? -VINE_ESESSION : 0);
        return;
    }
    if (has_input || (run->has_result && vine__call_executed(call)->room == 0) ||
        (!run->has_result && vine__call_executed(call)->room == 0))
        run->inputs[run->input_count++] = call;
    else
        run->rooms[run->room_count++] = call;
    play(run);
}

static void forget(struct vine_call **calls, uint32_t *count, const struct vine_call *call)
{
    for (uint32_t i = 0; i < *count; i++)
        if (calls[i] == call)
            memmove(calls + i, calls + i + 1, (--*count - i) * sizeof(*calls));
}

static void cancel(void *context, struct vine_call *call)
{
    struct run *run = vine__call_executed(call)->kept;

    (void)context;
    forget(run->inputs, &run->input_count, call);
    forget(run->rooms, &run->room_count, call);
    vine__call_end(call, -VINE_ECANCELED);
}

static void session_ended(void *context, void *kept, bool is_pipe_over)
{
    struct run *run = kept;

    (void)context, (void)is_pipe_over;
    if (!run->has_last)
        (void)__atomic_fetch_add(&played.cut, 1, __ATOMIC_RELEASE);
    if (!run->is_over)
        end_all(run, -VINE_ECANCELED);
    vine__session_leave(run->session);
    free(run);
    (void)__atomic_fetch_sub(&played.running, 1, __ATOMIC_RELEASE);
}

static int check(void *context, const struct vine_procedure_definition *definition)
{
    (void)context, (void)definition;
    return 0;
}

static const struct vine__executor executor = {.bytes = sizeof(struct run),
                                               .check = check,
                                               .begin = begin,
                                               .cancel = cancel,
                                               .session_ended = session_ended};

/* Nobody looks into it. */
static const struct vine_coroutine_type *const some_coroutine = (const void *)&some_coroutine;

static const struct vine_argument play_arguments[] = {
    {"part", VINE_SCALAR, 0, 0, PART_LEAVES},
    {"in", VINE_INPUT, VINE_TYPE_BYTES, 0, 1u << 20},
    {"out", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 1u << 20},
    {"text", VINE_BYTES, 0, 0, 4000},
};
static const struct vine_argument small_arguments[] = {
    {"text", VINE_BYTES, 0, 0, 100},
    {"out", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 100},
};
static const struct vine_argument sum_arguments_of_stream[] = {
    {"in", VINE_INPUT, VINE_TYPE_BYTES, 0, 1u << 20},
    {"sum", VINE_RESULT, 0, 0, 8},
};
static const struct vine_argument strict_arguments[] = {
    {"in", VINE_INPUT, VINE_TYPE_BYTES, 1, 1u << 20},
    {"out", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 1u << 20},
};
static const struct vine_argument blind_arguments[] = {
    {"in", VINE_INPUT, VINE_TYPE_BYTES, 0, 1u << 20},
};

#define DEFINE(procedure, list)                                                                    \
    {                                                                                              \
        .size_bytes = sizeof(struct vine_procedure_definition), .name = (procedure),               \
        .coroutine = (const void *)&some_coroutine, SERVED_ARGUMENTS(list)                         \
    }

static const struct vine_procedure_definition definitions[] = {
    DEFINE("play", play_arguments),         DEFINE("small", small_arguments),
    DEFINE("sum", sum_arguments_of_stream), DEFINE("strict", strict_arguments),
    DEFINE("blind", blind_arguments),
};

struct scene {
    struct served served;
    struct vine_pipe *pipe;
};

static void offer(struct vine_appliance *appliance)
{
    vine__appliance_set_executor(appliance, &executor, NULL);
    for (size_t i = 0; i < sizeof definitions / sizeof definitions[0]; i++)
        assert_int_equal(vine_appliance_register(appliance, &definitions[i]), 0);
}

static int set_up(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);

    assert_non_null(scene);
    memset(&played, 0, sizeof played);
    served_start(&scene->served, NULL, 1);
    offer(scene->served.appliance);
    scene->pipe = served_open(&scene->served, NULL);
    *state = scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *scene = *state;

    vine_pipe_close(scene->pipe);
    served_stop(&scene->served);
    assert_int_equal(__atomic_load_n(&played.running, __ATOMIC_ACQUIRE), 0);
    free(scene);
    return 0;
}

static struct vine_stream *open_part(struct vine_pipe *pipe, uint64_t part)
{
    const struct vine_stream_options options = {.size_bytes = sizeof options,
                                                .scalars = &part,
                                                .scalar_count = 1,
                                                .chunk_bytes = CHUNK,
                                                .writes_max = 3,
                                                .reads_max = 2};
    struct vine_stream *stream = NULL;

    assert_int_equal(vine_stream_open(pipe, served_get(pipe, "play"), &options, &stream), 0);
    return stream;
}

static unsigned char byte_at(size_t at)
{
    return (unsigned char)(at * 31 + (at >> 9));
}

static void fill(unsigned char *bytes, size_t from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_at(from + i);
}

static void compare(const unsigned char *bytes, size_t from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != byte_at(from + i))
            fail_msg("byte %zu is not what was written", from + i);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void what_is_no_stream_is_refused(void **state)
{
    struct scene *scene = *state;
    struct vine_stream_options options = {.size_bytes = sizeof options};
    struct vine_stream *stream = NULL;
    const uint64_t scalars[] = {PART_LEAVES + 1, 0};
    const char *const others[] = {"strict", "blind"};

    assert_int_equal(vine_stream_open(scene->pipe, served_get(scene->pipe, "turn"), NULL, &stream),
                     -VINE_ESESSION);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(
            vine_stream_open(scene->pipe, served_get(scene->pipe, others[i]), NULL, &stream),
            -VINE_EARGUMENT);
    options.scalars = scalars;
    options.scalar_count = 1;
    assert_int_equal(
        vine_stream_open(scene->pipe, served_get(scene->pipe, "play"), &options, &stream),
        -VINE_EARGUMENT);
    options.scalar_count = 2;
    assert_int_equal(
        vine_stream_open(scene->pipe, served_get(scene->pipe, "play"), &options, &stream),
        -VINE_EARGUMENT);
    options.scalar_count = 0;
    options.writes_max = VINE_STREAM_WINDOW_MAX + 1;
    assert_int_equal(
        vine_stream_open(scene->pipe, served_get(scene->pipe, "play"), &options, &stream), -EINVAL);
    options.size_bytes = sizeof options + 1;
    assert_int_equal(
        vine_stream_open(scene->pipe, served_get(scene->pipe, "play"), &options, &stream), -EINVAL);
    assert_null(stream);
    vine_stream_close(NULL);
}

static void wrong_use_is_refused(void **state)
{
    struct scene *scene = *state;
    struct vine_stream *stream = open_part(scene->pipe, PART_ECHO);
    void *memory = NULL;
    size_t size = 0;
    char byte = 0;

    assert_int_equal(vine_stream_commit(stream, 1), -EINVAL);
    assert_int_equal(vine_stream_read(stream, &byte, 0, 0, &size), -EINVAL);
    assert_int_equal(vine_stream_map(stream, LIMIT, &memory, &size), 0);
    assert_int_equal(size, CHUNK);
    assert_int_equal(vine_stream_write(stream, "x", 1, LIMIT, &size), -EBUSY);
    assert_int_equal(vine_stream_map(stream, LIMIT, &memory, &size), -EBUSY);
    assert_int_equal(vine_stream_end(stream, LIMIT), -EBUSY);
    assert_int_equal(vine_stream_commit(stream, CHUNK + 1), -EINVAL);
    assert_int_equal(vine_stream_commit(stream, 0), 0);
    assert_int_equal(vine_stream_end(stream, LIMIT), 0);
    assert_int_equal(vine_stream_end(stream, LIMIT), 0);
    assert_int_equal(vine_stream_write(stream, "x", 1, LIMIT, &size), -EPIPE);
    assert_int_equal(vine_stream_error(stream), 0);
    vine_stream_close(stream);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void what_is_written_comes_back_in_order(void **state)
{
    struct scene *scene = *state;
    struct vine_stream *stream = open_part(scene->pipe, PART_ECHO);
    const size_t total = 3000000;
    static unsigned char bytes[3 * CHUNK];
    size_t written = 0;
    size_t got = 0;
    size_t size;

    for (;;) {
        /* Now small, now larger than a chunk. */
        size_t part = 1 + (written * 7) % sizeof bytes;
        int error = -EAGAIN;

        part = part < total - written ? part : total - written;
        if (part > 0) {
            fill(bytes, written, part);
            error = vine_stream_write(stream, bytes, part, LIMIT, &size);
            assert_true(error == 0 || error == -EAGAIN);
            written += error == 0 ? size : 0;
        } else {
            assert_int_equal(vine_stream_end(stream, LIMIT), 0);
        }
        /* Nothing need be there, unless it has to be before more can be written. */
        error = vine_stream_read(stream, bytes, sizeof bytes, part == 0 ? LIMIT : 0, &size);
        assert_true(error == 0 || error == -EAGAIN);
        if (error == 0 && size == 0)
            break;
        if (error == 0) {
            compare(bytes, got, size);
            got += size;
        }
    }
    assert_int_equal(got, total);
    assert_int_equal(written, total);
    /* The end stays. */
    assert_int_equal(vine_stream_read(stream, bytes, 1, LIMIT, &size), 0);
    assert_int_equal(size, 0);
    assert_int_equal(vine_stream_error(stream), 0);
    vine_stream_close(stream);
}

static void what_is_filled_in_place_comes_back(void **state)
{
    struct scene *scene = *state;
    struct vine_stream *stream = open_part(scene->pipe, PART_ECHO);
    unsigned char bytes[CHUNK];
    void *memory = NULL;
    struct vine_pipe_stats before, after;
    size_t got = 0;
    size_t size;

    vine_pipe_get_stats(scene->pipe, &before);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(vine_stream_map(stream, LIMIT, &memory, &size), 0);
        fill(memory, i * 1000, 1000);
        assert_int_equal(vine_stream_commit(stream, 1000), 0);
        for (size_t part = 0; part < 1000; part += size) {
            assert_int_equal(vine_stream_read(stream, bytes, sizeof bytes, LIMIT, &size), 0);
            compare(bytes, got, size);
            got += size;
        }
    }
    vine_pipe_get_stats(scene->pipe, &after);
    assert_int_equal(after.bytes_copied - before.bytes_copied, 20000); /* out of it alone */
    vine_stream_close(stream);
}

static void bytes_that_travel_with_tasks_are_a_stream_too(void **state)
{
    struct scene *scene = *state;
    struct vine_stream *stream = NULL;
    char text[300];
    char back[300];
    size_t written = 0;
    size_t got = 0;
    size_t size = 0;
    void *memory;

    assert_int_equal(vine_stream_open(scene->pipe, served_get(scene->pipe, "small"), NULL, &stream),
                     0);
    assert_int_equal(vine_stream_map(stream, 0, &memory, &size), -VINE_EARGUMENT);
    fill((unsigned char *)text, 0, sizeof text);
    assert_int_equal(vine_stream_write(stream, text, sizeof text, LIMIT, &written), 0);
    assert_int_equal(written, sizeof text);
    assert_int_equal(vine_stream_end(stream, LIMIT), 0);
    do {
        assert_int_equal(
            vine_stream_read(stream, back + got, sizeof back - got + (got == 300), LIMIT, &size),
            0);
        got += size;
    } while (size > 0);
    assert_int_equal(got, sizeof text);
    assert_memory_equal(back, text, sizeof text);
    vine_stream_close(stream);
}

static void a_result_is_read_behind_the_end(void **state)
{
    struct scene *scene = *state;
    struct vine_stream *stream = NULL;
    unsigned char bytes[10000];
    uint64_t expected = 0;
    uint64_t sum = 0;
    size_t got = 0;
    size_t size;

    fill(bytes, 0, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        expected += bytes[i];
    assert_int_equal(vine_stream_open(scene->pipe, served_get(scene->pipe, "sum"), NULL, &stream),
                     0);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(vine_stream_write(stream, bytes + i * 1000, 1000, LIMIT, &size), 0);
        assert_int_equal(size, 1000);
    }
    assert_int_equal(vine_stream_read(stream, &sum, sizeof sum, 0, &size), -EAGAIN);
    assert_int_equal(vine_stream_end(stream, LIMIT), 0);
    while (got < sizeof sum) { /* in two parts */
        assert_int_equal(vine_stream_read(stream, (char *)&sum + got, 4, LIMIT, &size), 0);
        got += size;
    }
    assert_int_equal(sum, expected);
    assert_int_equal(vine_stream_read(stream, &sum, sizeof sum, LIMIT, &size), 0);
    assert_int_equal(size, 0);
    vine_stream_close(stream);
}

/* ---- back-pressure --------------------------------------------------------------------------- */

/* In chunks, as many as fit, and then some more attempts. */
static size_t write_until_full(struct vine_stream *stream)
{
    unsigned char bytes[CHUNK];
    size_t written = 0;
    size_t size = 0;

    for (int attempts = 0; attempts < 2000;) {
        int error;

        fill(bytes, written, sizeof bytes);
        error = vine_stream_write(stream, bytes, sizeof bytes, SECOND / 10000, &size);
        assert_true(error == 0 || error == -EAGAIN || error == -ETIMEDOUT);
        written += error == 0 ? size : 0;
        attempts += error != 0;
        if (error)
            sched_yield();
    }
    return written;
}

static void who_is_not_heard_waits_with_a_window_full(void **state)
{
    struct scene *scene = *state;
    struct vine_stream *stream = open_part(scene->pipe, PART_DEAF);
    unsigned char bytes[CHUNK];
    size_t size = 0;

    assert_int_equal(write_until_full(stream), 3 * CHUNK);
    assert_int_equal(vine_stream_write(stream, bytes, 1, 0, &size), -EAGAIN);
    assert_int_equal(vine_stream_read(stream, bytes, 1, 0, &size), -EAGAIN);
    assert_int_equal(vine_stream_read(stream, bytes, 1, SECOND / 100, &size), -ETIMEDOUT);
    assert_int_equal(__atomic_load_n(&played.taken, __ATOMIC_ACQUIRE), 0);
    __atomic_store_n(&played.hears, 1, __ATOMIC_RELEASE);
    assert_int_equal(vine_stream_end(stream, LIMIT), 0); /* which it notices */
    for (size_t got = 0; got < 3 * CHUNK; got += size) {
        assert_int_equal(vine_stream_read(stream, bytes, sizeof bytes, LIMIT, &size), 0);
        assert_true(size > 0);
        compare(bytes, got, size);
    }
    assert_int_equal(vine_stream_read(stream, bytes, 1, LIMIT, &size), 0);
    assert_int_equal(size, 0);
    vine_stream_close(stream);
}

/* Whatever it does the memory is that of the windows, and who writes is told to read. */
static void who_does_not_read_is_not_written_to_without_bounds(void **state)
{
    struct scene *scene = *state;
    struct vine_stream *stream = open_part(scene->pipe, PART_ECHO);
    struct vine_pipe_stats before, after;
    unsigned char bytes[CHUNK];
    size_t written;
    size_t more;
    size_t got = 0;
    size_t size = 0;

    written = write_until_full(stream);
    assert_in_range(written, (3 + 2) * CHUNK, HELD_MAX + (3 + 2) * CHUNK);
    assert_int_equal(vine_stream_write(stream, bytes, 1, LIMIT, &size), -EAGAIN);
    vine_pipe_get_stats(scene->pipe, &before);
    more = write_until_full(stream);
    assert_true(written + more <= HELD_MAX + (3 + 2) * CHUNK);
    written += more;
    vine_pipe_get_stats(scene->pipe, &after);
    assert_int_equal(after.memory_bytes, before.memory_bytes);
    assert_int_equal(vine_stream_end(stream, LIMIT), 0);
    do {
        assert_int_equal(vine_stream_read(stream, bytes, sizeof bytes, LIMIT, &size), 0);
        compare(bytes, got, size);
        got += size;
    } while (size > 0);
    assert_int_equal(got, written);
    vine_stream_close(stream);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void the_reason_of_an_error_is_told_both_ways(void **state)
{
    struct scene *scene = *state;
    struct vine_stream *stream = open_part(scene->pipe, PART_FAILS);
    char byte = 0;
    size_t size;

    assert_int_equal(vine_stream_write(stream, "x", 1, LIMIT, &size), 0);
    assert_int_equal(vine_stream_read(stream, &byte, 1, LIMIT, &size), -VINE_EDATA);
    assert_int_equal(vine_stream_read(stream, &byte, 1, LIMIT, &size), -VINE_EDATA);
    assert_int_equal(vine_stream_write(stream, "x", 1, LIMIT, &size), -VINE_EDATA);
    assert_int_equal(vine_stream_end(stream, LIMIT), -VINE_EDATA);
    assert_int_equal(vine_stream_error(stream), -VINE_EDATA);
    vine_stream_close(stream);
}

static void who_leaves_early_is_no_error_but_to_who_writes(void **state)
{
    struct scene *scene = *state;
    struct vine_stream *stream = open_part(scene->pipe, PART_LEAVES);
    char bytes[10];
    size_t size;

    assert_int_equal(vine_stream_write(stream, "hello", 5, LIMIT, &size), 0);
    assert_int_equal(vine_stream_read(stream, bytes, sizeof bytes, LIMIT, &size), 0);
    assert_int_equal(size, 5);
    assert_memory_equal(bytes, "hello", 5);
    assert_int_equal(vine_stream_read(stream, bytes, sizeof bytes, LIMIT, &size), 0);
    assert_int_equal(size, 0);

    /* It might have ended nothing but what it writes: who goes on hears of it soon. */
    int error;

    do
        error = vine_stream_write(stream, "more", 4, LIMIT, &size);
    while (error == 0);
    assert_int_equal(error, -EPIPE);
    assert_int_equal(vine_stream_end(stream, LIMIT), 0);
    assert_int_equal(vine_stream_error(stream), 0);
    vine_stream_close(stream);
}

static void wait_until_nothing_runs(void)
{
    while (__atomic_load_n(&played.running, __ATOMIC_ACQUIRE) > 0)
        sched_yield();
}

static void what_is_given_up_ends_there_too(void **state)
{
    struct scene *scene = *state;
    struct vine_stream *stream = open_part(scene->pipe, PART_DEAF);
    char byte = 0;
    size_t size;

    (void)write_until_full(stream);
    vine_stream_cancel(stream);
    wait_until_nothing_runs(); /* though nobody polls here */
    assert_int_equal(__atomic_load_n(&played.cut, __ATOMIC_ACQUIRE), 1);
    assert_int_equal(vine_stream_read(stream, &byte, 1, LIMIT, &size), -VINE_ECANCELED);
    assert_int_equal(vine_stream_write(stream, &byte, 1, LIMIT, &size), -VINE_ECANCELED);
    assert_int_equal(vine_stream_end(stream, LIMIT), -VINE_ECANCELED);
    assert_int_equal(vine_stream_error(stream), -VINE_ECANCELED);
    vine_stream_cancel(stream);
    vine_stream_close(stream);
}

static void a_stream_that_is_closed_unread_ends_there_too(void **state)
{
    struct scene *scene = *state;

    for (int i = 0; i < 300; i++) { /* more than there are sessions */
        struct vine_stream *stream = open_part(scene->pipe, PART_ECHO);
        size_t size;
        int error = i % 3 == 0 ? 0 : vine_stream_write(stream, "x", 1, LIMIT, &size);

        if (!error && i % 3 == 2)
            error = vine_stream_end(stream, LIMIT);
        assert_int_equal(error, 0);
        vine_stream_close(stream);
        while (vine_pipe_poll(scene->pipe) > 0)
            continue;
    }
    /* What found no room in the ring goes out with what follows. */
    while (__atomic_load_n(&played.running, __ATOMIC_ACQUIRE) > 0)
        assert_true(vine_pipe_poll(scene->pipe) >= 0);
}

static void many_streams_go_on_at_once_in_one_loop(void **state)
{
    struct scene *scene = *state;
    struct vine_stream *streams[5];
    size_t written[5] = {0};
    size_t got[5] = {0};
    const size_t total = 200000;
    unsigned char bytes[CHUNK];
    unsigned ended = 0;
    size_t size;

    for (int i = 0; i < 5; i++)
        streams[i] = open_part(scene->pipe, PART_ECHO);
    while (ended < 5)
        for (int i = 0; i < 5; i++) {
            const size_t part = total - written[i] < CHUNK ? total - written[i] : CHUNK;
            int error;

            fill(bytes, written[i], part);
            if (part > 0 && vine_stream_write(streams[i], bytes, part, 0, &size) == 0)
                written[i] += size;
            else if (part == 0)
                (void)!vine_stream_end(streams[i], 0);
            if (got[i] == SIZE_MAX)
                continue;
            error = vine_stream_read(streams[i], bytes, sizeof bytes, 0, &size);
            assert_true(error == 0 || error == -EAGAIN);
            if (error == 0 && size == 0) {
                assert_int_equal(got[i], total);
                got[i] = SIZE_MAX;
                ended++;
            } else if (error == 0) {
                compare(bytes, got[i], size);
                got[i] += size;
            }
        }
    for (int i = 0; i < 5; i++)
        vine_stream_close(streams[i]);
}

/* An appliance in a process of its own, to be killed. */
static void the_death_of_the_appliance_ends_it(void **state)
{
    char folder[] = "/tmp/vine-stream-XXXXXX";
    struct vine_pipe *pipe = NULL;
    unsigned char bytes[CHUNK] = {0};
    char path[64];
    char lock[80];
    int ready[2];
    pid_t child;

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/socket", folder);
    for (int round = 0; round < 20; round++) {
        struct vine_stream *stream;
        char byte;
        size_t size = 0;
        int error = 0;

        assert_int_equal(pipe2(ready, 0), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct vine_appliance *appliance = NULL;

            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (vine_appliance_create(NULL, &appliance) != 0)
                _exit(1);
            offer(appliance);
            if (vine_appliance_listen(appliance, path) != 0)
                _exit(2);
            (void)!write(ready[1], "r", 1);
            _exit(vine_appliance_serve(appliance) == 0 ? 0 : 3);
        }
        close(ready[1]);
        assert_int_equal(read(ready[0], &byte, 1), 1);
        close(ready[0]);
        assert_int_equal(vine_pipe_open(path, NULL, &pipe), 0);
        stream = open_part(pipe, PART_ECHO);
        for (int i = 0; error == 0; i++) {
            if (i == round)
                assert_int_equal(kill(child, SIGKILL), 0);
            error = vine_stream_write(stream, bytes, sizeof bytes, LIMIT, &size);
            if (error == 0 || error == -EAGAIN)
                error = vine_stream_read(stream, bytes, sizeof bytes, LIMIT, &size);
        }
        assert_int_equal(error, -VINE_EPEERLOST);
        assert_int_equal(vine_stream_error(stream), -VINE_EPEERLOST);
        assert_int_equal(vine_stream_end(stream, LIMIT), -VINE_EPEERLOST);
        assert_int_equal(waitpid(child, NULL, 0), child);
        vine_stream_close(stream);
        vine_pipe_close(pipe);
    }
    (void)unlink(path);
    (void)snprintf(lock, sizeof lock, "%s.lock", path);
    (void)unlink(lock);
    assert_int_equal(rmdir(folder), 0);
}

#define WITH_SCENE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SCENE(what_is_no_stream_is_refused),
        WITH_SCENE(wrong_use_is_refused),
        WITH_SCENE(what_is_written_comes_back_in_order),
        WITH_SCENE(what_is_filled_in_place_comes_back),
        WITH_SCENE(bytes_that_travel_with_tasks_are_a_stream_too),
        WITH_SCENE(a_result_is_read_behind_the_end),
        WITH_SCENE(who_is_not_heard_waits_with_a_window_full),
        WITH_SCENE(who_does_not_read_is_not_written_to_without_bounds),
        WITH_SCENE(the_reason_of_an_error_is_told_both_ways),
        WITH_SCENE(who_leaves_early_is_no_error_but_to_who_writes),
        WITH_SCENE(what_is_given_up_ends_there_too),
        WITH_SCENE(a_stream_that_is_closed_unread_ends_there_too),
        WITH_SCENE(many_streams_go_on_at_once_in_one_loop),
        cmocka_unit_test(the_death_of_the_appliance_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
