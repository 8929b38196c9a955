/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Writing to somebody who may not read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arch/console/console.h"

static void a_full_pipe_is_refused_and_stays_a_blocking_one(void **state)
{
    const char line[] = "a line of a log, which is written whole or not at all\n";
    char bytes[4096];
    int ends[2];
    int error = 0;
    uint32_t written = 0;
    size_t read_bytes = 0;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    while ((error = vine__console_write(ends[1], line, strlen(line))) == 0)
        assert_true(++written < 100000);
    assert_int_equal(error, -EAGAIN);
    assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(close(ends[1]), 0);
    for (ssize_t size; (size = read(ends[0], bytes, sizeof(bytes))) > 0;)
        read_bytes += (size_t)size;
    assert_int_equal(read_bytes, written * strlen(line));
    assert_int_equal(close(ends[0]), 0);
}

static void a_full_socket_is_refused(void **state)
{
    int ends[2];
    int error;
    uint32_t written = 0;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    while ((error = vine__console_write(ends[1], "line\n", 5)) == 0)
        assert_true(++written < 10000000);
    assert_int_equal(error, -EAGAIN);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void a_pipe_without_a_reader_ends_nobody(void **state)
{
    struct sigaction action;
    sigset_t pending;
    int ends[2];

    (void)state;
    /* What ends a process by default is still set, and comes to nothing. */
    (void)signal(SIGPIPE, SIG_DFL); /* whoever runs this may ignore it */
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(vine__console_write(ends[1], "line\n", 5), -EPIPE);
    assert_int_equal(sigaction(SIGPIPE, NULL, &action), 0);
    assert_true(action.sa_handler == SIG_DFL);
    assert_int_equal(sigpending(&pending), 0);
    assert_int_equal(sigismember(&pending, SIGPIPE), 0);
    assert_int_equal(close(ends[1]), 0);
    assert_int_equal(vine__console_write(ends[1], "line\n", 5), -EBADF);
}

static void more_than_a_pipe_takes_at_once_is_refused(void **state)
{
    char bytes[VINE__CONSOLE_BYTES_MAX + 1] = "";

    (void)state;
    assert_int_equal(vine__console_write(STDERR_FILENO, bytes, sizeof(bytes)), -EINVAL);
}

static void a_file_takes_what_comes(void **state)
{
    FILE *const file = tmpfile();
    char bytes[16] = "";

    (void)state;
    assert_non_null(file);
    assert_int_equal(vine__console_write(fileno(file), "one\n", 4), 0);
    assert_int_equal(vine__console_write(fileno(file), "two\n", 4), 0);
    assert_int_equal(pread(fileno(file), bytes, sizeof(bytes), 0), 8);
    assert_string_equal(bytes, "one\ntwo\n");
    (void)fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_pipe_is_refused_and_stays_a_blocking_one),
        cmocka_unit_test(a_full_socket_is_refused),
        cmocka_unit_test(a_pipe_without_a_reader_ends_nobody),
        cmocka_unit_test(more_than_a_pipe_takes_at_once_is_refused),
        cmocka_unit_test(a_file_takes_what_comes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
