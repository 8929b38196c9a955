/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime timeout=60 */
/* A service that runs for what this process was given as its input and output. */
#include "../network/network_tests.h"

#include <vine/coroutine.h>

VINE_COROUTINE(numbering)
{
    struct {
        int line;
        char text[64];
        ssize_t length;
    } *self;

    vine_begin();
    for (self->line = 1;; self->line++) {
        vine_readline(self->length, self->text, sizeof self->text);
        if (self->length == 0)
            break;
        vine_writef("%d: %s", self->line, self->text);
    }
    vine_end();
}

VINE_SERVICE(numbering, .summary = "number lines");

struct run {
    uint32_t calls;
    int error;
};

static void done(void *context, int error)
{
    struct run *const run = context;

    run->calls++;
    run->error = error;
}

static void lines_from_a_pipe_come_out_numbered(void **state)
{
    const struct vine_service_options options = {.size_bytes = sizeof(options),
                                                 .isolation = VINE_ISOLATE_MPROTECT};
    struct run run = {.calls = 0};
    struct vine_connection *connection;
    char bytes[64];
    int in[2], out[2];

    (void)state;
    open_cores(1);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(vine_connection_adopt(in[0], out[1], &connection), 0);
    assert_int_equal(
        vine_service_run_here(&vine_service_numbering, connection, &options, done, &run), 0);
    assert_int_equal(write(in[1], "one\ntwo\nlast", 12), 12);
    step_often();
    assert_int_equal(run.calls, 0);
    close(in[1]);
    until(run.calls == 1);
    assert_int_equal(run.error, 0);
    assert_int_equal(read(out[0], bytes, sizeof(bytes)), 21);
    assert_memory_equal(bytes, "1: one\n2: two\n3: last", 21);
    assert_int_equal(read(out[0], bytes, sizeof(bytes)), 0);
    close(out[0]);
    close_cores();
}

static void it_ends_when_the_reactors_stop(void **state)
{
    const struct vine_service_options options = {.size_bytes = sizeof(options),
                                                 .isolation = VINE_ISOLATE_NONE};
    struct run run = {.calls = 0};
    struct vine_connection *connection;
    int in[2], out[2];

    (void)state;
    open_cores(1);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(vine_connection_adopt(in[0], out[1], &connection), 0);
    assert_int_equal(
        vine_service_run_here(&vine_service_numbering, connection, &options, done, &run), 0);
    step_often();
    vine_stop(0);
    for (uint32_t i = 0; i < 100; i++) {
        stepped.clock_ns += 10 * 1000 * 1000;
        step_all();
    }
    until(run.calls == 1);
    assert_int_equal(run.error, -ECANCELED);
    close(in[1]);
    close(out[0]);
    close_cores();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_from_a_pipe_come_out_numbered),
        cmocka_unit_test(it_ends_when_the_reactors_stop),
    };

    return run_by_both(tests);
}
