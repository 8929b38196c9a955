/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* A service that runs for what this process was given as its input and output. */
#include "../network/network_tests.h"

#include <vine/coroutine.h>
#include <vine/error.h>

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

VINE_COROUTINE(resting)
{
    struct {
        size_t size;
        char *bytes;
    } *self;

    vine_begin();
    for (;;) {
        vine_park();
        vine_look(self->size, self->bytes, 1);
        if (self->size == 0)
            break;
        vine_skip(self->size);
    }
    vine_end();
}

VINE_SERVICE(resting, .summary = "hold nothing while nothing comes");

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

/* One that waits, one that has been parked, and one of somebody else. */
static void who_is_hung_up_on_ends_and_others_go_on(void **state)
{
    const struct vine_service_options options = {.size_bytes = sizeof(options),
                                                 .isolation = VINE_ISOLATE_NONE};
    struct run runs[3] = {{.calls = 0}};
    int fds[3][2];
    char byte;

    (void)state;
    open_cores(1);
    for (int i = 0; i < 3; i++) {
        const struct vine_service *const service =
            i == 1 ? &vine_service_resting : &vine_service_numbering;
        struct vine_connection *connection;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds[i]), 0);
        assert_int_equal(vine_connection_adopt(fds[i][0], fds[i][0], &connection), 0);
        assert_int_equal(vine_service_run_here(service, connection, &options, done, &runs[i]), 0);
    }
    for (int i = 0; i < 400; i++) {
        stepped.clock_ns += VINE_NS_PER_SECOND / 10;
        step_all();
    }
    vine_service_hang_up(done, &runs[0]);
    vine_service_hang_up(done, &runs[1]);
    vine_service_hang_up(done, &runs[1]);
    until(runs[0].calls == 1 && runs[1].calls == 1);
    vine_service_hang_up(done, &runs[0]);
    assert_int_equal(read(fds[0][1], &byte, 1), 0);
    assert_int_equal(read(fds[1][1], &byte, 1), 0);
    step_often();
    assert_int_equal(runs[2].calls, 0);
    close(fds[2][1]);
    until(runs[2].calls == 1);
    assert_int_equal(runs[0].calls + runs[1].calls, 2);
    close(fds[0][1]);
    close(fds[1][1]);
    close_cores();
}

/* Opens as many sockets as it can, and says how many. */
VINE_COROUTINE(opening)
{
    struct {
        int count, more_error;
        struct vine_socket *more;
    } *self;

    vine_begin();
    for (;; self->count++)
        vine_listen_at(self->more, "127.0.0.1:0");
    vine_catch(self->more_error)
    {
        vine_writef("%d %d\n", self->count, self->more_error == -EMFILE);
    }
    vine_end();
}

VINE_SERVICE(opening, .sockets = 2);

static void expect_sockets(uint32_t wished, const char *said)
{
    const struct vine_service_options options = {
        .size_bytes = sizeof(options), .isolation = VINE_ISOLATE_NONE, .sockets = wished};
    struct run run = {.calls = 0};
    struct vine_connection *connection;
    char bytes[64] = "";
    int out[2];

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(
        vine_connection_adopt(open("/dev/null", O_RDONLY | O_CLOEXEC), out[1], &connection), 0);
    assert_int_equal(vine_service_run_here(&vine_service_opening, connection, &options, done, &run),
                     0);
    until(run.calls == 1);
    assert_true(read(out[0], bytes, sizeof(bytes) - 1) > 0);
    assert_string_equal(bytes, said);
    close(out[0]);
}

static void a_connection_has_as_many_sockets_as_its_service_and_the_options_say(void **state)
{
    (void)state;
    open_cores(1);
    expect_sockets(0, "2 1\n");
    expect_sockets(5, "5 1\n");
    expect_sockets(0, "5 1\n"); /* the greatest counts for all of a core */
    expect_sockets(1000, "63 1\n");
    close_cores();
}

/* Has what it needs at the second time. */
static int begin(const void *argument)
{
    uint32_t *const begins = (uint32_t *)(uintptr_t)argument;

    return (*begins)++ == 0 ? -ENOENT : 0;
}

static void who_refuses_to_begin_does_not_run_until_it_begins(void **state)
{
    static const int results[] = {-VINE_ECONFIG, 0, 0};
    static struct vine_service services[2]; /* what has begun stays so, here by either backend */
    static uint32_t used;
    uint32_t begins = 0, expected = 0;
    const struct vine_service_options options = {
        .size_bytes = sizeof(options), .isolation = VINE_ISOLATE_NONE, .argument = &begins};
    struct vine_service *const choosy = &services[used++];
    struct vine_connection *connection;
    struct run run = {.calls = 0};

    (void)state;
    *choosy = vine_service_numbering;
    choosy->name = "choosy";
    choosy->begin = begin;
    open_cores(1);
    for (size_t i = 0; i < 3; i++) {
        const int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
        const int out = open("/dev/null", O_WRONLY | O_CLOEXEC);

        assert_int_equal(vine_connection_adopt(in, out, &connection), 0);
        assert_int_equal(vine_service_run_here(choosy, connection, &options, done, &run),
                         results[i]);
        expected += results[i] == 0;
        until(run.calls == expected);
    }
    assert_int_equal(begins, 2);
    close_cores();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_from_a_pipe_come_out_numbered),
        cmocka_unit_test(it_ends_when_the_reactors_stop),
        cmocka_unit_test(who_is_hung_up_on_ends_and_others_go_on),
        cmocka_unit_test(a_connection_has_as_many_sockets_as_its_service_and_the_options_say),
        cmocka_unit_test(who_refuses_to_begin_does_not_run_until_it_begins),
    };

    return run_by_both(tests);
}
