/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime long=300 */
/*
 * `vine serve http` and clients that are no browsers: some send byte by byte, some never end what
 * they have begun, some never read, and some hide a request in another one.
 */
#include "harness/logged.h"

#include <inttypes.h>

#include "http_clients.h"

static const char *const backends[] = {"--reactor-backend=auto", "--reactor-backend=epoll"};

/* Somebody else, who is served all the time. */
static int other;

static void others_are_served(uint32_t times)
{
    for (uint32_t n = 0; n < times; n++)
        assert_int_equal(ask(other), 200);
}

/* ---- who sends slowly ------------------------------------------------------------------------ */

enum { SLOW = 100 };

static void who_sends_byte_by_byte_is_answered_and_holds_up_nobody(void **state)
{
    static const char text[] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "3\r\nabc\r\n0\r\nA: b\r\n\r\n";
    int fds[SLOW];

    (void)state;
    for (size_t way = 0; way < 2; way++) {
        serve("http", "--hello", "--smp=1", backends[way]);
        other = connect_now();
        for (int n = 0; n < SLOW; n++)
            fds[n] = connect_now();
        for (size_t at = 0; at < sizeof(text) - 1; at++) {
            char byte;

            /* Nobody is answered before the end. */
            assert_int_equal(recv(fds[at % SLOW], &byte, 1, MSG_DONTWAIT), -1);
            for (int n = 0; n < SLOW; n++)
                assert_int_equal(send(fds[n], text + at, 1, MSG_NOSIGNAL), 1);
            others_are_served(2);
        }
        for (int n = 0; n < SLOW; n++) {
            char answer[ANSWER_BYTES];

            assert_int_equal(receive_answer(fds[n], answer), 200);
            assert_int_equal(ask(fds[n]), 200);
            (void)close(fds[n]);
        }
        (void)close(other);
        stop_serving();
    }
}

/* However it goes on, a head has its time as a whole. */
static void who_never_ends_a_head_is_told_after_its_time(void **state)
{
    char text[ANSWER_BYTES];
    struct pollfd answered = {.events = POLLIN};

    (void)state;
    serve("http", "--hello", "--smp=1", "--header-timeout=300");
    other = connect_now();
    answered.fd = connect_now();
    assert_true(send_text(answered.fd, "GET / HTTP/1.1\r\nHost: a\r\nA: "));
    while (poll(&answered, 1, 1) ==
           0) { /* a byte a millisecond: what a head may have lasts longer */
        assert_int_equal(send(answered.fd, "a", 1, MSG_NOSIGNAL), 1);
        others_are_served(1);
    }
    assert_int_equal(receive_answer(answered.fd, text), 408);
    (void)close(answered.fd);
    (void)close(other);
    stop_serving();
}

/* ---- who does not read ----------------------------------------------------------------------- */

/* Ask, and read nothing, until the service reads no more either. Returns how many bytes it took. */
static size_t ask_in_vain(int fd)
{
    static const char text[] = REQUEST REQUEST REQUEST REQUEST;
    size_t sent = 0;
    uint32_t refused = 0;

    while (refused < 20) {
        const size_t at = sent % (sizeof(text) - 1);
        const ssize_t size =
            send(fd, text + at, sizeof(text) - 1 - at, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (size > 0) {
            sent += (size_t)size;
            refused = 0;
        } else {
            assert_int_equal(errno, EAGAIN);
            others_are_served(100);
            refused++;
        }
        assert_true(sent < (64 << 20)); /* else it takes whatever comes */
    }
    return sent;
}

static void who_does_not_read_costs_little_memory_and_is_answered_later(void **state)
{
    (void)state;
    for (size_t way = 0; way < 2; way++) {
        char text[ANSWER_BYTES];
        uint64_t before, after;
        size_t sent, count = 0;
        int fd;

        serve("http", "--hello", "--smp=1", backends[way]);
        other = connect_now();
        others_are_served(100);
        before = private_bytes(logged_pid_at(0));
        fd = connect_now();
        sent = ask_in_vain(fd);
        after = private_bytes(logged_pid_at(0));
        print_message("%zu bytes of requests, %" PRId64 " of memory\n", sent,
                      (int64_t)(after - before));
        if (!is_sanitized())
            assert_true(after < before + (4 << 20));
        /* Then it reads all: an answer for each request that is whole, and nothing else. The end of
         * the last one is sent then. */
        (void)shutdown(fd, SHUT_WR);
        for (size_t have = 0;;) {
            const ssize_t size = recv(fd, text + have, ANSWER_BYTES - 1 - have, 0);
            const char *at = text, *end;

            assert_true(size >= 0);
            if (size == 0) {
                assert_int_equal(have, 0);
                break;
            }
            have += (size_t)size;
            text[have] = '\0';
            while ((end = strstr(at, "\r\n\r\nhello")) != NULL) {
                assert_memory_equal(at, "HTTP/1.1 200 ", 13);
                at = end + 9;
                count++;
            }
            have -= (size_t)(at - text);
            memmove(text, at, have);
        }
        assert_int_equal(count, sent / (sizeof(REQUEST) - 1));
        (void)close(fd);
        (void)close(other);
        stop_serving();
    }
}

/* Behind what is written last a service's connection has half a minute. */
static void who_never_reads_loses_its_connection_in_time(void **state)
{
    struct pollfd gone = {.events = 0};

    (void)state;
    serve("http", "--hello", "--smp=1", "--idle-timeout=300", "--header-timeout=300",
          "--body-timeout=300");
    other = connect_now();
    gone.fd = connect_now();
    (void)ask_in_vain(gone.fd);
    while (poll(&gone, 1, 10) == 0)
        others_are_served(1);
    assert_true((gone.revents & (POLLHUP | POLLERR)) != 0);
    (void)close(gone.fd);
    (void)close(other);
    stop_serving();
}

/* ---- who hides a request --------------------------------------------------------------------- */

#define HIDDEN "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST   "POST / HTTP/1.1\r\nHost: a\r\n"

/* Each is one that some servers take for one request and others for two. */
static const char *const smuggling[] = {
    POST "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" HIDDEN,
    POST "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n" HIDDEN,
    POST "Content-Length: 0\r\nContent-Length: 33\r\n\r\n" HIDDEN,
    POST "Content-Length: 33, 0\r\n\r\n" HIDDEN,
    POST "Content-Length: +33\r\n\r\n" HIDDEN,
    POST "Content-Length: 0x21\r\n\r\n" HIDDEN,
    POST "Content-Length: 3 3\r\n\r\n" HIDDEN,
    POST "Content-Length : 33\r\n\r\n" HIDDEN,
    POST "Content-Length:\r\n 33\r\n\r\n" HIDDEN,
    POST "X: x\nContent-Length: 33\r\n\r\n" HIDDEN,
    POST "X: x\rContent-Length: 33\r\n\r\n" HIDDEN,
    POST "Content-Length: -1\r\n\r\n" HIDDEN,
    POST "Content-Length: 18446744073709551616\r\n\r\n" HIDDEN,
    POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" HIDDEN,
    POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" HIDDEN,
    POST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" HIDDEN,
    POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" HIDDEN,
    POST "Transfer-Encoding:\x0b"
         "chunked\r\n\r\n0\r\n\r\n" HIDDEN,
    POST " Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" HIDDEN,
    POST "X: x\n\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" HIDDEN,
    POST "Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n" HIDDEN,
    POST "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" HIDDEN,
    POST "Transfer-Encoding: chunked\r\n\r\n0\n\n" HIDDEN,
    POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabcX0\r\n\r\n" HIDDEN,
    POST "Transfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n" HIDDEN,
    POST "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n" HIDDEN,
    POST "Transfer-Encoding: chunked\r\n\r\n0;\n\r\n\r\n" HIDDEN,
    POST "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 33\r\n\r\n" HIDDEN,
    "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" HIDDEN,
    "GET / HTTP/1.1\nHost: a\n\n" HIDDEN,
    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" HIDDEN,
    "GET / HTTP/1.1\r\n Host: a\r\n\r\n" HIDDEN,
    "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n" HIDDEN,
};

/* One refusal, and the end: what is behind is nobody's request. */
static void a_request_that_is_hidden_in_another_one_is_not_answered(void **state)
{
    (void)state;
    for (size_t way = 0; way < 2; way++) {
        serve("http", "--hello", "--smp=1", backends[way]);
        for (size_t n = 0; n < sizeof(smuggling) / sizeof(smuggling[0]); n++) {
            char text[4 * ANSWER_BYTES];
            size_t size = 0;
            ssize_t part;
            const int fd = connect_now();

            assert_true(send_text(fd, smuggling[n]));
            (void)shutdown(fd, SHUT_WR);
            while ((part = recv(fd, text + size, sizeof(text) - 1 - size, 0)) > 0)
                size += (size_t)part;
            text[size] = '\0';
            if (part != 0 || (strncmp(text, "HTTP/1.1 400 ", 13) != 0 &&
                              strncmp(text, "HTTP/1.1 501 ", 13) != 0))
                fail_msg("%s\nis answered: %s", smuggling[n], text);
            if (strstr(text + 1, "HTTP/1.1 ") != NULL)
                fail_msg("%s\nis two requests: %s", smuggling[n], text);
            (void)close(fd);
        }
        stop_serving();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_that_is_hidden_in_another_one_is_not_answered),
        cmocka_unit_test(who_never_ends_a_head_is_told_after_its_time),
        cmocka_unit_test(who_sends_byte_by_byte_is_answered_and_holds_up_nobody),
        cmocka_unit_test(who_does_not_read_costs_little_memory_and_is_answered_later),
    };
    const struct CMUnitTest long_tests[] = {
        /* half a minute each */
        cmocka_unit_test(who_never_reads_loses_its_connection_in_time),
    };
    int failed = cmocka_run_group_tests(tests, logged_open, logged_close);

    if (getenv("VINE_TEST_LONG") != NULL)
        failed += cmocka_run_group_tests(long_tests, logged_open, logged_close);
    return failed;
}
