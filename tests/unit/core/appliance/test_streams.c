/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* An application's streams (vine/stream.h) before coroutines: whole, both ways at once, and each of
 * their ends. */
#include "plain_handlers.h"

#include <vine/stream.h>

#define TOTAL 2000000U
#define CHUNK 16384U

/* ---- handlers -------------------------------------------------------------------------------- */

VINE_COROUTINE(fails)
{
    struct {
        char byte;
        ssize_t length;
    } *self;

    vine_begin();
    vine_read(self->length, &self->byte, 1);
    vine_raise(-VINE_EDATA);
    vine_end();
}

VINE_COROUTINE(says_and_fails)
{
    struct {
        char byte;
        ssize_t length;
    } *self;

    vine_begin();
    vine_read(self->length, &self->byte, 1);
    vine_write("some", 4);
    vine_drain();
    vine_raise(-VINE_EDATA);
    vine_end();
}

static int shut_and_read;

/* Ends what it writes, reads on, and fails unless that is as it should be. */
VINE_COROUTINE(shuts_first)
{
    struct {
        char text[8];
        ssize_t length;
    } *self;

    vine_begin();
    vine_write("done", 4);
    vine_close_output();
    vine_read_all(self->length, self->text, sizeof self->text);
    if (self->length != 4 || memcmp(self->text, "more", 4) != 0)
        vine_raise(-VINE_EDATA);
    __atomic_fetch_add(&shut_and_read, 1, __ATOMIC_ACQ_REL);
    vine_end();
}

static const struct vine_procedure_definition procedures[] = {
    HANDLER(echo),           HANDLER(reads_a_byte), HANDLER(fails),
    HANDLER(says_and_fails), HANDLER(sleeps),       HANDLER(shuts_first),
};

static void serve_with(void (*run)(struct vine_pipe *pipe, struct application *application),
                       uint32_t count)
{
    serve(procedures, sizeof procedures / sizeof procedures[0], NULL, 0);
    serve_applications(run, count);
    serve_no_more();
}

static struct vine_stream *stream_of(struct vine_pipe *pipe, const char *name)
{
    const struct vine_stream_options options = {
        .size_bytes = sizeof options, .chunk_bytes = CHUNK, .writes_max = 2, .reads_max = 2};
    struct vine_stream *stream = NULL;

    assert_int_equal(vine_stream_open(pipe, procedure_of(pipe, name), &options, &stream), 0);
    return stream;
}

static unsigned char byte_at(size_t at)
{
    return (unsigned char)(at * 31 + (at >> 9));
}

/* ---- tests ----------------------------------------------------------------------------------- */

/* Write what there is room for. Returns how far that has come. */
static size_t write_some(struct vine_stream *stream, size_t written, unsigned char *bytes,
                         size_t room)
{
    const size_t part = TOTAL - written < room ? TOTAL - written : room;
    size_t size = 0;
    int error;

    if (part == 0) {
        assert_int_equal(vine_stream_end(stream, LIMIT_NS), 0);
        return written;
    }
    for (size_t i = 0; i < part; i++)
        bytes[i] = byte_at(written + i);
    error = vine_stream_write(stream, bytes, part, LIMIT_NS, &size);
    assert_true(error == 0 || error == -EAGAIN);
    return written + size;
}

static void echo_all(struct vine_pipe *pipe, struct application *application)
{
    struct vine_stream *stream = stream_of(pipe, "echo");
    unsigned char *bytes = malloc(3 * CHUNK);
    size_t written = 0;
    size_t got = 0;
    size_t size = 1;

    (void)application;
    assert_non_null(bytes);
    while (size > 0) {
        int error;

        written = write_some(stream, written, bytes, 3 * CHUNK);
        error = vine_stream_read(stream, bytes, 3 * CHUNK, written == TOTAL ? LIMIT_NS : 0, &size);
        assert_true(error == 0 || (error == -EAGAIN && written < TOTAL));
        for (size_t i = 0; error == 0 && i < size; i++)
            assert_int_equal(bytes[i], byte_at(got + i));
        got += error == 0 ? size : 0;
        size = error == 0 ? size : 1;
    }
    assert_int_equal(got, TOTAL);
    assert_int_equal(vine_stream_error(stream), 0);
    vine_stream_close(stream);
    free(bytes);
}

static void what_is_written_comes_back_in_order(void **state)
{
    (void)state;
    serve_with(echo_all, 1);
}

static void several_applications_stream_at_once(void **state)
{
    (void)state;
    serve_with(echo_all, 3);
}

static void leave_early(struct vine_pipe *pipe, struct application *application)
{
    struct vine_stream *stream = stream_of(pipe, "reads_a_byte");
    char text[8];
    size_t got = 0;
    size_t size = 1;

    (void)application;
    assert_int_equal(vine_stream_write(stream, "x", 1, LIMIT_NS, &size), 0);
    while (size > 0) {
        assert_int_equal(vine_stream_read(stream, text + got, sizeof text - got, LIMIT_NS, &size),
                         0);
        got += size;
    }
    assert_int_equal(got, 4);
    assert_memory_equal(text, "done", 4);

    int error;

    do /* it might have ended nothing but what it writes */
        error = vine_stream_write(stream, "more", 4, LIMIT_NS, &size);
    while (error == 0);
    assert_int_equal(error, -EPIPE);
    assert_int_equal(vine_stream_error(stream), 0);
    vine_stream_close(stream);
}

static void write_behind_the_end(struct vine_pipe *pipe, struct application *application)
{
    struct vine_stream *stream = stream_of(pipe, "shuts_first");
    char text[8];
    size_t got = 0;
    size_t size = 1;

    (void)application;
    while (size > 0) {
        assert_int_equal(vine_stream_read(stream, text + got, sizeof text - got, LIMIT_NS, &size),
                         0);
        got += size;
    }
    assert_int_equal(got, 4);
    assert_int_equal(vine_stream_write(stream, "more", 4, LIMIT_NS, &size), 0);
    assert_int_equal(size, 4);
    assert_int_equal(vine_stream_end(stream, LIMIT_NS), 0);
    vine_stream_close(stream); /* what is on its way arrives, as long as there is a pipe */
    while (__atomic_load_n(&shut_and_read, __ATOMIC_ACQUIRE) == 0)
        sched_yield();
}

static void a_coroutine_that_has_ended_its_output_reads_on(void **state)
{
    (void)state;
    shut_and_read = 0;
    serve_with(write_behind_the_end, 1);
    assert_int_equal(shut_and_read, 1);
}

static void a_coroutine_that_ends_early_takes_nothing_more(void **state)
{
    (void)state;
    serve_with(leave_early, 1);
}

static void hear_why(struct vine_pipe *pipe, struct application *application)
{
    struct vine_stream *stream = stream_of(pipe, "fails");
    char byte;
    size_t size = 0;

    (void)application;
    assert_int_equal(vine_stream_write(stream, "x", 1, LIMIT_NS, &size), 0);
    assert_int_equal(vine_stream_read(stream, &byte, 1, LIMIT_NS, &size), -VINE_EDATA);
    assert_int_equal(vine_stream_write(stream, "x", 1, LIMIT_NS, &size), -VINE_EDATA);
    assert_int_equal(vine_stream_error(stream), -VINE_EDATA);
    vine_stream_close(stream);
}

static void hear_what_and_why(struct vine_pipe *pipe, struct application *application)
{
    struct vine_stream *stream = stream_of(pipe, "says_and_fails");
    char text[8];
    size_t got = 0;
    size_t size = 0;

    (void)application;
    assert_int_equal(vine_stream_write(stream, "x", 1, LIMIT_NS, &size), 0);
    while (got < 4) {
        assert_int_equal(vine_stream_read(stream, text + got, sizeof text - got, LIMIT_NS, &size),
                         0);
        got += size;
    }
    assert_memory_equal(text, "some", 4);
    assert_int_equal(vine_stream_read(stream, text, 1, LIMIT_NS, &size), -VINE_EDATA);
    assert_int_equal(vine_stream_error(stream), -VINE_EDATA);
    vine_stream_close(stream);
}

static void what_was_written_before_an_error_is_read_before_it(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 20; i++)
        serve_with(hear_what_and_why, 1);
}

static void what_a_coroutine_raises_is_told(void **state)
{
    (void)state;
    serve_with(hear_why, 1);
}

static void give_up(struct vine_pipe *pipe, struct application *application)
{
    struct vine_stream *stream = stream_of(pipe, "sleeps");
    char bytes[CHUNK] = "";
    size_t written = 0;
    size_t size = 0;

    (void)application;
    while (vine_stream_write(stream, bytes, sizeof bytes, VINE_NS_PER_SECOND / 50, &size) == 0)
        written += size;
    assert_int_equal(written, 2 * CHUNK); /* nobody takes any of it */
    vine_stream_cancel(stream);
    assert_int_equal(vine_stream_read(stream, bytes, 1, LIMIT_NS, &size), -VINE_ECANCELED);
    vine_stream_close(stream);
}

/* Nothing more would have come, but it has not been read to its end. */
static void give_up_behind_the_end(struct vine_pipe *pipe, struct application *application)
{
    struct vine_stream *stream = stream_of(pipe, "sleeps");
    char byte = 0;
    size_t size = 0;

    (void)application;
    assert_int_equal(vine_stream_write(stream, "x", 1, LIMIT_NS, &size), 0);
    assert_int_equal(vine_stream_end(stream, LIMIT_NS), 0);
    assert_int_equal(vine_stream_read(stream, &byte, 1, VINE_NS_PER_SECOND / 50, &size),
                     -ETIMEDOUT);
    vine_stream_close(stream);
}

/* That nothing is left of it there is what serving waits for. */
static void what_is_given_up_ends_there_too(void **state)
{
    (void)state;
    serve_with(give_up, 1);
    serve_with(give_up_behind_the_end, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_comes_back_in_order),
        cmocka_unit_test(several_applications_stream_at_once),
        cmocka_unit_test(a_coroutine_that_ends_early_takes_nothing_more),
        cmocka_unit_test(a_coroutine_that_has_ended_its_output_reads_on),
        cmocka_unit_test(what_a_coroutine_raises_is_told),
        cmocka_unit_test(what_was_written_before_an_error_is_read_before_it),
        cmocka_unit_test(what_is_given_up_ends_there_too),
    };

    return run_by_all_guards(tests);
}
