/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Connections over descriptors that a process was given: pipes, files, and sockets. */
#include "network_tests.h"

#include <signal.h>
#include <sys/stat.h>

/* What becomes of a connection, at the test's ends: `to` is written to it, `from` read. */
struct ends {
    int to, from;
    struct vine_connection *connection;
};

static void open_pipes(struct ends *ends)
{
    int in[2], out[2];

    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(vine_connection_adopt(in[0], out[1], &ends->connection), 0);
    assert_int_equal(fcntl(in[0], F_GETFD), -1);
    assert_int_equal(fcntl(out[1], F_GETFD), -1);
    ends->to = in[1];
    ends->from = out[0];
}

static void close_ends(struct ends *ends)
{
    if (ends->to >= 0)
        close(ends->to);
    close(ends->from);
    close_connection(ends->connection);
}

static void what_is_no_stream_is_refused(void **state)
{
    const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int folder = open("/", O_RDONLY | O_CLOEXEC);
    const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct vine_connection *connection = NULL;
    int messages[2];

    (void)state;
    open_cores(1);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, messages), 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&name, sizeof(sa_family_t)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(vine_connection_adopt(-1, 1, &connection), -EBADF);
    assert_int_equal(vine_connection_adopt(nothing, 1000, &connection), -EBADF);
    assert_int_equal(vine_connection_adopt(nothing, nothing, &connection), -EBADF);
    assert_int_equal(vine_connection_adopt(folder, folder, &connection), -EINVAL);
    assert_int_equal(vine_connection_adopt(listener, listener, &connection), -EINVAL);
    assert_int_equal(vine_connection_adopt(messages[0], messages[0], &connection), -EINVAL);
    assert_null(connection);
    /* All of them are still open. */
    assert_int_equal(close(listener), 0);
    assert_int_equal(close(folder), 0);
    assert_int_equal(close(nothing), 0);
    assert_int_equal(close(messages[0]), 0);
    close(messages[1]);
    close_cores();
}

static void pipes_carry_both_ways_and_end_by_themselves(void **state)
{
    const struct iovec pieces[] = {{(void *)(uintptr_t) "", 0},
                                   {(void *)(uintptr_t) "an", 2},
                                   {(void *)(uintptr_t) "swer", 4}};
    struct received received;
    struct sent sent = {.calls = 0};
    struct ends ends;
    char bytes[16];

    (void)state;
    open_cores(1);
    open_pipes(&ends);
    assert_int_equal(write(ends.to, "question", 8), 8);
    assert_int_equal(receive_one(ends.connection, &received), 8);
    assert_memory_equal(received.bytes, "question", 8);
    vine_send_vector(ends.connection, &sent.send, pieces, 3, on_sent);
    until(sent.calls == 1);
    assert_int_equal(sent.error, 0);
    assert_int_equal(read(ends.from, bytes, sizeof(bytes)), 6);
    assert_memory_equal(bytes, "answer", 6);
    /* The other one ends, again and again; ours is still open. */
    close(ends.to);
    ends.to = -1;
    assert_int_equal(receive_one(ends.connection, &received), 0);
    assert_int_equal(receive_one(ends.connection, &received), 0);
    assert_int_equal(send_all(ends.connection, "x", 1), 0);
    assert_int_equal(read(ends.from, bytes, sizeof(bytes)), 1);
    vine_shutdown_send(ends.connection, &sent.send, on_sent);
    until(sent.calls == 2);
    assert_int_equal(sent.error, 0);
    assert_int_equal(read(ends.from, bytes, sizeof(bytes)), 0);
    assert_int_equal(send_all(ends.connection, "x", 1), -EPIPE);
    close_ends(&ends);
    close_cores();
}

static void a_pipe_that_nobody_reads_is_an_error(void **state)
{
    struct ends ends;

    (void)state;
    open_cores(1);
    open_pipes(&ends);
    close(ends.from);
    ends.from = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(send_all(ends.connection, "x", 1), -EPIPE);
    close_ends(&ends);
    close_cores();
}

static void who_waits_on_pipes_is_cancelled_and_closed(void **state)
{
    static char large[1 << 20];
    struct received received = {.calls = 0};
    struct sent sent = {.calls = 0};
    struct sent behind = {.calls = 0};
    struct ends ends;

    (void)state;
    open_cores(1);
    open_pipes(&ends);
    received.receive.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + VINE_NS_PER_SECOND;
    vine_receive(ends.connection, &received.receive, on_received);
    step_often();
    assert_int_equal(received.calls, 0);
    stepped.clock_ns += 2 * VINE_NS_PER_SECOND;
    until(received.calls == 1);
    assert_int_equal(received.size, -ETIMEDOUT);
    assert_int_equal(write(ends.to, "late", 4), 4);
    assert_int_equal(receive_one(ends.connection, &received), 4);
    received = (struct received){.calls = 0};
    vine_receive(ends.connection, &received.receive, on_received);
    step_often();
    vine_receive_cancel(&received.receive);
    until(received.calls == 1);
    assert_int_equal(received.size, -ECANCELED);
    vine_receive(ends.connection, &received.receive, on_received);
    vine_send(ends.connection, &sent.send, large, sizeof(large), on_sent);
    vine_send(ends.connection, &behind.send, large, 1, on_sent);
    step_often();
    assert_int_equal(sent.calls, 0);
    close_connection(ends.connection);
    assert_int_equal(received.calls, 2);
    assert_int_equal(received.size, -ECANCELED);
    assert_int_equal(sent.error, -ECANCELED);
    assert_int_equal(behind.error, -ECANCELED);
    close(ends.to);
    close(ends.from);
    close_cores();
}

static void files_are_read_to_their_end_and_written(void **state)
{
    char in[] = "/tmp/vine-adopted-XXXXXX", out[] = "/tmp/vine-adopted-XXXXXX";
    const int fd_in = mkstemp(in);
    const int fd_out = mkstemp(out);
    struct vine_connection *connection;
    struct received received;
    struct stat status;

    (void)state;
    open_cores(1);
    assert_int_equal(write(fd_in, "content", 7), 7);
    assert_int_equal(lseek(fd_in, 0, SEEK_SET), 0);
    assert_int_equal(vine_connection_adopt(fd_in, fd_out, &connection), 0);
    assert_int_equal(receive_one(connection, &received), 7);
    assert_memory_equal(received.bytes, "content", 7);
    assert_int_equal(receive_one(connection, &received), 0);
    assert_int_equal(send_all(connection, "one", 3), 0);
    assert_int_equal(send_all(connection, "two", 3), 0);
    close_connection(connection);
    assert_int_equal(stat(out, &status), 0);
    assert_int_equal(status.st_size, 6);
    unlink(in);
    unlink(out);
    close_cores();
}

static void a_socket_is_a_connection_like_any_other(void **state)
{
    struct vine_connection *connection;
    struct vine_address address;
    struct received received;
    int pair[2];
    char byte;

    (void)state;
    open_cores(1);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    assert_int_equal(vine_connection_adopt(pair[0], dup(pair[0]), &connection), 0);
    assert_int_equal(write(pair[1], "abc", 3), 3);
    assert_int_equal(receive_one(connection, &received), 3);
    assert_int_equal(send_all(connection, "x", 1), 0);
    assert_int_equal(read(pair[1], &byte, 1), 1);
    assert_int_equal(vine_connection_get_peer(connection, &address), 0);
    close_connection(connection);
    assert_int_equal(read(pair[1], &byte, 1), 0);
    close(pair[1]);
    close_cores();
}

static void standard_input_leaves_nothing_in_its_place(void **state)
{
    const int before = fcntl(0, F_DUPFD_CLOEXEC, 10);
    struct vine_connection *connection;
    struct stat nothing, now;
    int in[2], out[2];

    (void)state;
    open_cores(1);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(dup2(in[0], 0), 0);
    close(in[0]);
    assert_int_equal(vine_connection_adopt(0, out[1], &connection), 0);
    assert_int_equal(stat("/dev/null", &nothing), 0);
    assert_int_equal(fstat(0, &now), 0);
    assert_int_equal(now.st_rdev, nothing.st_rdev);
    close_connection(connection);
    close(in[1]);
    close(out[0]);
    if (before >= 0) {
        (void)dup2(before, 0);
        close(before);
    } else {
        close(0);
    }
    close_cores();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_stream_is_refused),
        cmocka_unit_test(pipes_carry_both_ways_and_end_by_themselves),
        cmocka_unit_test(a_pipe_that_nobody_reads_is_an_error),
        cmocka_unit_test(who_waits_on_pipes_is_cancelled_and_closed),
        cmocka_unit_test(files_are_read_to_their_end_and_written),
        cmocka_unit_test(a_socket_is_a_connection_like_any_other),
        cmocka_unit_test(standard_input_leaves_nothing_in_its_place),
    };

    return run_by_both(tests);
}
