/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Filters (vine/filter.h): bytes through a function beside the core, more of them than came or
 * fewer, and each way in which they end. */
#include "handlers.h"

#include <vine/filter.h>
#include <vine/stream.h>

#define CHUNK 16384U
#define TOTAL 3000000U

/* ---- filters --------------------------------------------------------------------------------- */

struct state {
    uint64_t wish;
    uint64_t seen;
    unsigned char half;
    bool has_half;
};

static uint32_t begun, ended; /* atomic */

static int begin_state(void *state, const void *argument)
{
    ((struct state *)state)->wish = *(const uint64_t *)argument;
    (void)__atomic_fetch_add(&begun, 1, __ATOMIC_RELAXED);
    return 0;
}

static void end_state(void *state)
{
    (void)state;
    (void)__atomic_fetch_add(&ended, 1, __ATOMIC_RELAXED);
}

/* Each byte twice. */
static int double_step(void *context, struct vine_filter_step *step)
{
    struct state *const state = context;

    while (step->written < step->room) {
        if (state->has_half) {
            step->output[step->written++] = state->half;
            state->has_half = false;
        } else if (step->taken < step->input_bytes) {
            state->half = step->input[step->taken++];
            step->output[step->written++] = state->half;
            state->has_half = true;
        } else {
            break;
        }
    }
    return state->has_half || step->taken < step->input_bytes ? VINE_FILTER_MORE
                                                              : VINE_FILTER_ENOUGH;
}

/* How many there were, at the end. */
static int count_step(void *context, struct vine_filter_step *step)
{
    struct state *const state = context;

    state->seen += step->input_bytes;
    step->taken = step->input_bytes;
    if (step->is_last) {
        assert_true(step->room >= sizeof state->seen);
        memcpy(step->output, &state->seen, sizeof state->seen);
        step->written = sizeof state->seen;
    }
    return VINE_FILTER_ENOUGH;
}

/* An error behind so many bytes, which come out as they are. */
static int fail_step(void *context, struct vine_filter_step *step)
{
    struct state *const state = context;

    while (step->taken < step->input_bytes && step->written < step->room) {
        if (state->seen++ == state->wish) {
            step->reason = "there is one more";
            return -VINE_EDATA;
        }
        step->output[step->written++] = step->input[step->taken++];
    }
    return step->taken < step->input_bytes ? VINE_FILTER_MORE : VINE_FILTER_ENOUGH;
}

static int stuck_step(void *context, struct vine_filter_step *step)
{
    (void)context, (void)step;
    return VINE_FILTER_MORE;
}

static int refuse_to_begin(void *state, const void *argument)
{
    (void)state, (void)argument;
    return -VINE_EVERSION;
}

static uint64_t charge_much(const void *argument)
{
    (void)argument;
    return 1ULL << 40;
}

/* Asks for memory a hundred times, `wish` in all, and then counts. */
static int grow_step(void *context, struct vine_filter_step *step)
{
    struct state *const state = context;

    if (state->half == 100)
        return count_step(context, step);
    state->half++;
    step->more_memory = state->wish / 100;
    return VINE_FILTER_MORE;
}

#define FILTER(...)                                                                                \
    {                                                                                              \
        .size_bytes = sizeof(struct vine_filter_type), .state_bytes = sizeof(struct state),        \
        .begin = begin_state, .end = end_state, __VA_ARGS__                                        \
    }

static const struct vine_filter_type doubling = FILTER(.step = double_step);
static const struct vine_filter_type counting = FILTER(.step = count_step);
static const struct vine_filter_type failing = FILTER(.step = fail_step);
static const struct vine_filter_type stuck = FILTER(.step = stuck_step);
static const struct vine_filter_type costly = FILTER(.step = count_step, .charge = charge_much);
static const struct vine_filter_type growing = FILTER(.step = grow_step);
static const struct vine_filter_type refusing = {
    .size_bytes = sizeof refusing, .state_bytes = 1, .begin = refuse_to_begin, .step = count_step};

/* ---- handlers -------------------------------------------------------------------------------- */

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

VINE_COROUTINE(goes_through)
{
    struct {
        const struct vine_filter_type *type;
        struct vine_handled handled;
        uint64_t wish;
        struct vine_socket *filter;
        struct vine_coroutine *feeder;
    } *self;

    vine_begin();
    self->type = vine_argument();
    vine_handled(&self->handled);
    self->wish = self->handled.scalar_count > 0 ? self->handled.scalars[0] << 20 : 100000;
    vine_filter(self->filter, self->type, &self->wish, sizeof self->wish);
    vine_child(feeds, &self->filter, self->feeder);
    vine_forward(self->filter, that->socket);
    vine_join(self->feeder);
    vine_end();
}

#define THROUGH(name, filter)                                                                      \
    VINE_COROUTINE(name)                                                                           \
    {                                                                                              \
        struct {                                                                                   \
            int unused;                                                                            \
        } *self;                                                                                  \
        vine_begin();                                                                              \
        vine_call(goes_through, (void *)(uintptr_t) & (filter));                                   \
        vine_end();                                                                                \
    }

THROUGH(doubles, doubling)
THROUGH(counts, counting)
THROUGH(breaks, failing)
THROUGH(sticks, stuck)
THROUGH(is_costly, costly)
THROUGH(grows, growing)
THROUGH(refuses, refusing)

/* Two of them, one behind the other, by hand: what was written has to come, though no end does. */
VINE_COROUTINE(talks)
{
    struct {
        uint64_t wish;
        struct vine_socket *one, *other;
        char text[16];
        ssize_t length;
        int error;
    } *self;

    vine_begin();
    self->wish = 0;
    vine_filter(self->one, &doubling, &self->wish, sizeof self->wish);
    vine_filter(self->other, &doubling, &self->wish, sizeof self->wish);
    vine_write_on(self->one, "ab", 2);
    vine_read_all_on(self->one, self->length, self->text, 4);
    vine_write_on(self->other, self->text, 4);
    vine_read_all_on(self->other, self->length, self->text, 8);
    vine_write(self->text, (size_t)self->length);
    vine_close(self->one);
    vine_deadline(VINE_NS_PER_SECOND / 100);
    vine_read_on(self->other, self->length, self->text, 1);
    vine_catch(self->error)
    {
        vine_deadline(0);
        vine_writef(" %d", self->error);
    }
    vine_end();
}

static const struct vine_procedure_definition procedures[] = {
    HANDLER(doubles), HANDLER(counts),    HANDLER(breaks), HANDLER(sticks),
    HANDLER(refuses), HANDLER(is_costly), HANDLER(talks),  HANDLER(grows),
};

static void serve_with(void (*run)(struct vine_pipe *pipe, struct application *application),
                       uint32_t count)
{
    begun = ended = 0;
    serve(procedures, sizeof procedures / sizeof procedures[0], NULL, 0);
    serve_applications(run, count);
    serve_no_more();
    assert_int_equal(begun, ended);
}

static struct vine_stream *stream_of(struct vine_pipe *pipe, const char *name)
{
    const struct vine_stream_options options = {.size_bytes = sizeof options, .chunk_bytes = CHUNK};
    struct vine_stream *stream = NULL;

    assert_int_equal(vine_stream_open(pipe, procedure_of(pipe, name), &options, &stream), 0);
    return stream;
}

static unsigned char byte_at(size_t at)
{
    return (unsigned char)(at * 31 + (at >> 9));
}

/* ---- whole ----------------------------------------------------------------------------------- */

static void double_all(struct vine_pipe *pipe, struct application *application)
{
    struct vine_stream *stream = stream_of(pipe, "doubles");
    unsigned char *bytes = malloc(3 * CHUNK);
    size_t written = 0, got = 0, size = 1;
    uint64_t sum = 0;

    (void)application;
    assert_non_null(bytes);
    while (size > 0) {
        const size_t part = TOTAL - written < 3 * CHUNK ? TOTAL - written : 3 * CHUNK;
        int error;

        for (size_t i = 0; i < part; i++)
            bytes[i] = byte_at(written + i);
        size = 0;
        error = written < TOTAL ? vine_stream_write(stream, bytes, part, LIMIT_NS, &size) : 0;
        assert_true(error == 0 || error == -EAGAIN);
        written += error == 0 ? size : 0;
        if (written == TOTAL)
            assert_int_equal(vine_stream_end(stream, LIMIT_NS), 0);
        size = 0;
        error = vine_stream_read(stream, bytes, 3 * CHUNK,
                                 written == TOTAL || error == -EAGAIN ? LIMIT_NS : 0, &size);
        assert_true(error == 0 || (error == -EAGAIN && written < TOTAL));
        for (size_t i = 0; error == 0 && i < size; i++)
            assert_int_equal(bytes[i], byte_at((got + i) / 2));
        got += error == 0 ? size : 0;
        size = error == 0 ? size : 1;
    }
    assert_int_equal(got, 2 * TOTAL);
    vine_stream_close(stream);

    stream = stream_of(pipe, "counts");
    for (written = 0; written < TOTAL; written += size)
        assert_int_equal(vine_stream_write(stream, bytes,
                                           TOTAL - written < CHUNK ? TOTAL - written : CHUNK,
                                           LIMIT_NS, &size),
                         0);
    assert_int_equal(vine_stream_end(stream, LIMIT_NS), 0);
    assert_int_equal(vine_stream_read(stream, &sum, sizeof sum, LIMIT_NS, &size), 0);
    assert_int_equal(size, sizeof sum);
    assert_int_equal(sum, TOTAL);
    vine_stream_close(stream);
    free(bytes);
}

static void what_a_filter_makes_of_it_comes_in_order(void **state)
{
    (void)state;
    serve_with(double_all, 2);
}

static void talk_through(struct vine_pipe *pipe, struct application *application)
{
    struct issued issued = issue(pipe, "talks", NULL, "", 0, 100, false);

    (void)application;
    expect_text(&issued, "aaaabbbb -110");
}

/* Of a task without a session, too. */
static void little_is_not_kept_until_there_is_more(void **state)
{
    (void)state;
    serve_with(talk_through, 2);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void expect_failure(struct vine_pipe *pipe, const char *name, int expected, size_t comes)
{
    struct vine_stream *stream = stream_of(pipe, name);
    unsigned char bytes[CHUNK];
    size_t got = 0, size = 0;
    int error = 0;

    for (size_t i = 0; i < CHUNK; i++)
        bytes[i] = byte_at(i);
    while (error == 0 || error == -EAGAIN) {
        error = vine_stream_write(stream, bytes, CHUNK, LIMIT_NS, &size);
        if (error == 0)
            continue;
        error = vine_stream_read(stream, bytes, CHUNK, LIMIT_NS, &size);
        got += error == 0 ? size : 0;
    }
    assert_int_equal(error, expected);
    assert_true(got <= comes);
    assert_int_equal(vine_stream_error(stream), expected);
    assert_string_equal(vine_stream_reason(stream),
                        expected == -VINE_EDATA ? "there is one more" : "");
    vine_stream_close(stream);
}

/* With so many MiB. Returns how it ended. */
static int grow(struct vine_pipe *pipe, uint64_t megabytes)
{
    const struct vine_stream_options options = {
        .size_bytes = sizeof options, .scalars = &megabytes, .scalar_count = 1};
    struct vine_stream *stream = NULL;
    uint64_t count = 0;
    size_t size = 0;
    int error;

    assert_int_equal(vine_stream_open(pipe, procedure_of(pipe, "grows"), &options, &stream), 0);
    assert_int_equal(vine_stream_write(stream, "12345", 5, LIMIT_NS, &size), 0);
    error = vine_stream_end(stream, LIMIT_NS);
    if (error == 0)
        error = vine_stream_read(stream, &count, sizeof count, LIMIT_NS, &size);
    if (error == 0) {
        assert_int_equal(size, sizeof count);
        assert_int_equal(count, 5);
    }
    vine_stream_close(stream);
    return error;
}

static void grow_often(struct vine_pipe *pipe, struct application *application)
{
    (void)application;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(grow(pipe, 100), 0);
        assert_int_equal(grow(pipe, 1000), -VINE_EQUOTA);
    }
}

static void what_a_filter_asks_for_is_the_pipes_until_it_is_gone(void **state)
{
    (void)state;
    serve_with(grow_often, 1);
}

static void fail_in_all_ways(struct vine_pipe *pipe, struct application *application)
{
    (void)application;
    expect_failure(pipe, "breaks", -VINE_EDATA, 100000);
    expect_failure(pipe, "sticks", -VINE_EFAILED, 0);
    expect_failure(pipe, "refuses", -VINE_EVERSION, 0);
    expect_failure(pipe, "is_costly", -VINE_EQUOTA, 0);
}

static void why_a_filter_fails_is_told(void **state)
{
    (void)state;
    serve_with(fail_in_all_ways, 1);
}

static void leave_at_once(struct vine_pipe *pipe, struct application *application)
{
    struct vine_stream *stream = stream_of(pipe, "doubles");
    unsigned char bytes[CHUNK] = "";
    size_t size = 0;

    for (uint32_t i = 0; i < application->number; i++)
        (void)!vine_stream_write(stream, bytes, sizeof bytes, 0, &size);
    vine_stream_close(stream);
}

/* The state of each that has begun has been ended, whoever left. */
static void one_that_is_left_is_ended(void **state)
{
    (void)state;
    serve_with(leave_at_once, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_filter_makes_of_it_comes_in_order),
        cmocka_unit_test(little_is_not_kept_until_there_is_more),
        cmocka_unit_test(why_a_filter_fails_is_told),
        cmocka_unit_test(what_a_filter_asks_for_is_the_pipes_until_it_is_gone),
        cmocka_unit_test(one_that_is_left_is_ended),
    };

    return run_by_all_guards(tests);
}
