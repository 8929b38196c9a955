/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Handlers that have an appliance do a part of their work, which is the very same one, on the same
 * core: streams to its coroutines, more than there is room for, and each of their ends. */
#include "plain_handlers.h"

#include <vine/stream.h>

#define TOTAL 600000U
#define CHUNK 16384U

static struct vine_remote next, nobody;
static char next_path[64]; /* leads to wherever the test serves */

/* ---- handlers -------------------------------------------------------------------------------- */

VINE_COROUTINE(send_back)
{
    char *self;

    vine_begin();
    vine_forward(vine_argument(), that->socket);
    vine_end();
}

VINE_COROUTINE(relay)
{
    struct {
        struct vine_socket *next;
        struct vine_coroutine *back;
    } *self;

    vine_begin();
    vine_connect_remote(self->next, next, "echo");
    vine_child(send_back, self->next, self->back);
    vine_forward(that->socket, self->next);
    vine_close_output_on(self->next);
    vine_join(self->back);
    vine_end();
}

/* What its input names is connected to, has a byte written and is read to its end, which is how
 * this one ends, too. */
VINE_COROUTINE(asks)
{
    struct {
        char name[64], bytes[64];
        ssize_t length;
        struct vine_socket *socket;
    } *self;

    vine_begin();
    vine_read_all(self->length, self->name, sizeof self->name - 1);
    vine_connect_remote(self->socket, self->name[0] == '-' ? nobody : next,
                        self->name + (self->name[0] == '-'));
    if (strcmp(self->name, "waits") == 0) /* from the others an end comes, be it late */
        vine_deadline(VINE_NS_PER_SECOND / 10);
    vine_write_on(self->socket, "x", 1);
    do {
        vine_read_on(self->socket, self->length, self->bytes, sizeof self->bytes);
        vine_write(self->bytes, (size_t)self->length);
    } while (self->length > 0);
    vine_catch(self->length)
    {
        vine_writef("%d", (int)self->length);
    }
    vine_end();
}

/* Says nothing, until nothing more comes. */
VINE_COROUTINE(waits)
{
    char *self;

    vine_begin();
    vine_hang_up(that->socket);
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

static int run_plain(struct vine_call *call)
{
    (void)call;
    return 0;
}

static const struct vine_procedure_definition procedures[] = {
    HANDLER(echo),
    HANDLER(waits),
    HANDLER(relay),
    HANDLER(asks),
    HANDLER(says_and_fails),
    {.size_bytes = sizeof(struct vine_procedure_definition), .name = "plain", .run = run_plain},
};

static void serve_with(void (*run)(struct vine_pipe *pipe, struct application *application),
                       uint32_t count)
{
    serve(procedures, sizeof procedures / sizeof procedures[0], NULL, 0);
    (void)unlink(next_path);
    assert_int_equal(symlink(served.path, next_path), 0);
    serve_applications(run, count);
    serve_no_more();
}

/* ---- what an application sees ---------------------------------------------------------------- */

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

/* Write what there is room for. Returns how far that has come. */
static size_t write_some(struct vine_stream *stream, size_t written, unsigned char *bytes)
{
    const size_t part = TOTAL - written < CHUNK ? TOTAL - written : CHUNK;
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

static void relay_all(struct vine_pipe *pipe, struct application *application)
{
    struct vine_stream *stream = stream_of(pipe, "relay");
    unsigned char *bytes = malloc(CHUNK);
    size_t written = 0, got = 0, size = 1;

    (void)application;
    assert_non_null(bytes);
    while (size > 0) {
        int error;

        written = write_some(stream, written, bytes);
        error = vine_stream_read(stream, bytes, CHUNK, written == TOTAL ? LIMIT_NS : 0, &size);
        assert_true(error == 0 || (error == -EAGAIN && written < TOTAL));
        for (size_t i = 0; error == 0 && i < size; i++)
            assert_int_equal(bytes[i], byte_at(got + i));
        got += error == 0 ? size : 0;
        size = error == 0 ? size : 1;
    }
    assert_int_equal(got, TOTAL);
    vine_stream_close(stream);
    free(bytes);
}

static void bytes_go_through_two_pipes_and_back(void **state)
{
    (void)state;
    serve_with(relay_all, 1);
}

/* A pipe of the core has room for some twenty streams. */
static void streams_that_find_no_room_wait_in_turn(void **state)
{
    (void)state;
    serve_with(relay_all, 40);
}

static void give_up(struct vine_pipe *pipe, struct application *application)
{
    struct vine_stream *stream = stream_of(pipe, "relay");
    char bytes[8] = "abcdefg";
    size_t size = 0;

    (void)application;
    assert_int_equal(vine_stream_write(stream, bytes, sizeof bytes, LIMIT_NS, &size), 0);
    assert_int_equal(vine_stream_read(stream, bytes, sizeof bytes, LIMIT_NS, &size), 0);
    vine_stream_close(stream);
}

/* Nothing is left of either, as is seen by serve_applications. */
static void who_is_given_up_gives_the_other_one_up(void **state)
{
    (void)state;
    serve_with(give_up, 8);
}

static void expect_of(struct vine_pipe *pipe, const char *name, const char *expected)
{
    char said[64];
    size_t size = 0;

    assert_int_equal(vine_pipe_call(pipe, "asks", name, strlen(name), said, sizeof said - 1, &size),
                     0);
    said[size] = '\0';
    assert_string_equal(said, expected);
}

static void ask_for_each(struct vine_pipe *pipe, struct application *application)
{
    char number[16];

    (void)application;
    (void)snprintf(number, sizeof number, "%d", -VINE_EPROCEDURE);
    expect_of(pipe, "never", number);
    (void)snprintf(number, sizeof number, "%d", -VINE_ESESSION);
    expect_of(pipe, "plain", number);
    (void)snprintf(number, sizeof number, "%d", -VINE_ENOAPPLIANCE);
    expect_of(pipe, "-echo", number);
    (void)snprintf(number, sizeof number, "%d", -ETIMEDOUT);
    expect_of(pipe, "waits", number);
    (void)snprintf(number, sizeof number, "some%d", -VINE_EDATA);
    expect_of(pipe, "says_and_fails", number);
}

static void how_a_stream_ends_is_raised_where_it_is_read(void **state)
{
    (void)state;
    serve_with(ask_for_each, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_through_two_pipes_and_back),
        cmocka_unit_test(streams_that_find_no_room_wait_in_turn),
        cmocka_unit_test(who_is_given_up_gives_the_other_one_up),
        cmocka_unit_test(how_a_stream_ends_is_raised_where_it_is_read),
    };
    int failed;

    serve_own_pipes = 1;
    (void)snprintf(next_path, sizeof next_path, "/tmp/vine-test-next-%d", (int)getpid());
    if (vine_remote_add(next_path, &next) != 0 ||
        vine_remote_add("/tmp/vine-test-nobody/socket", &nobody) != 0)
        return 1;
    failed = run_by_all_guards(tests);
    (void)unlink(next_path);
    return failed;
}
