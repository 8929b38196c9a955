/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Requests by HTTP, one after the other, and their answers: what ends the connection and what keeps
 * it, and what a client is told that has done wrong or nothing for too long. */
#include "../process/process_tests.h"

#include <vine/http_router.h>

#define ONE_MS UINT64_C(1000000)
#define LARGE  5000U /* more than goes with a head */

/* What it answers is said by the path. */
VINE_COROUTINE(answering)
{
    struct {
        struct vine_http_exchange http;
        char path[32];
        int error;
    } *self;
    static const char large[LARGE] = {[LARGE - 1] = 'z'};

    vine_begin();
    self->http.idle_ns = 4000 * ONE_MS;
    self->http.header_ns = 2000 * ONE_MS;
    self->http.body_ns = 1000 * ONE_MS;
    self->http.allowed = VINE_HTTP_ON(GET) | VINE_HTTP_ON(PUT);
    do {
        vine_http_next(&self->http);
        if (!self->http.has_request)
            break;
        memset(self->path, 0, sizeof self->path);
        memcpy(self->path, vine_http_text(&self->http.request.head, self->http.request.path).text,
               self->http.request.path.size < 31 ? self->http.request.path.size : 31);
        if (strcmp(self->path, "/unread") != 0)
            vine_http_drop(&self->http);
        if (strcmp(self->path, "/large") == 0)
            vine_http_answer(&self->http, 200, "a/b", large, sizeof large);
        else if (strcmp(self->path, "/405") == 0)
            vine_http_refuse(&self->http, 405, NULL);
        else if (strcmp(self->path, "/404") == 0)
            vine_http_refuse(&self->http, 404, "not here");
        else if (strcmp(self->path, "/raise") == 0)
            vine_raise(-ENOENT);
        else
            vine_http_answer(&self->http, 200, "a/b", "hello", 5);
        if (strcmp(self->path, "/half") == 0) {
            self->http.is_half = true;
            vine_raise(-ENOENT);
        }
    } while (self->http.keeps_alive);
    vine_catch(self->error)
    {
        vine_http_fail(&self->http, self->error);
    }
    vine_end();
}

#define HEAD(method, path) method " " path " HTTP/1.1\r\nHost: a\r\n"
#define BODY               "Content-Length: 3\r\n\r\nabc"

/* What comes until the end of the connection, Date left out, and zeros to be seen. */
static void read_answers(struct one *one, char *text, size_t size)
{
    size_t used = 0;

    for (;;) {
        const ssize_t part = read(one->fd, text + used, size - 1 - used);

        if (part == 0)
            break;
        assert_true(part > 0 || errno == EAGAIN);
        used += part > 0 ? (size_t)part : 0;
        assert_true(used < size - 1);
        step_all();
    }
    for (size_t i = 0; i < used; i++)
        if (text[i] == '\0')
            text[i] = '0';
    text[used] = '\0';
    for (char *date = strstr(text, "Date: "); date != NULL; date = strstr(date, "Date: "))
        memmove(date, date + 37, strlen(date + 37) + 1);
}

#define OK      "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 5\r\n"
#define HELLO   OK "\r\nhello"
#define GOODBYE OK "Connection: close\r\n\r\nhello"
#define ERROR(status, length, connection)                                                          \
    "HTTP/1.1 " status "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " length    \
    "\r\n" connection "\r\n" status
#define CLOSE "Connection: close\r\n"

/* A request and, behind it, another one: whether that is answered is seen, too. */
static void answers_are(const char *request, const char *expected)
{
    static char text[4 * LARGE];
    struct one one;

    start_one(&one, &vine__type_answering, NULL);
    say_to(&one, request);
    say_to(&one, HEAD("GET", "/last") "Connection: close\r\n\r\n");
    read_answers(&one, text, sizeof text);
    if (strcmp(text, expected) != 0)
        fail_msg("%s\nis answered by\n%s\ninstead of\n%s", request, text, expected);
    finish_one(&one, 0);
}

static void what_ends_the_connection_is_not_answered_behind(void **state)
{
    (void)state;
    open_processes();
    answers_are(HEAD("PUT", "/unread") BODY, GOODBYE);
    answers_are("GET / HTTP/1.1\r\n\r\n",
                ERROR("400 Bad Request", "40", CLOSE) ": a request without Host\n");
    answers_are(HEAD("PUT", "/") "Transfer-Encoding: chunked\r\n\r\nx\r\n",
                ERROR("400 Bad Request", "16", CLOSE) "\n");
    answers_are(HEAD("GET", "/raise") "\r\n", ERROR("500 Internal Server Error", "26", CLOSE) "\n");
    answers_are(HEAD("GET", "/half") "\r\n", HELLO);
    close_cores();
}

static void what_keeps_it_is_answered_in_turn(void **state)
{
    (void)state;
    open_processes();
    answers_are(HEAD("GET", "/") "\r\n", HELLO GOODBYE);
    answers_are(HEAD("PUT", "/") BODY, HELLO GOODBYE);
    answers_are(HEAD("PUT", "/") "Expect: 100-continue\r\n" BODY,
                "HTTP/1.1 100 Continue\r\n\r\n" HELLO GOODBYE);
    answers_are(HEAD("HEAD", "/") "\r\n", OK "\r\n" GOODBYE);
    answers_are(HEAD("GET", "/404") "\r\n",
                ERROR("404 Not Found", "24", "") ": not here\n" GOODBYE);
    answers_are(HEAD("PUT", "/405") BODY, "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n"
                                          "Allow: GET, PUT\r\n\r\n" GOODBYE);
    close_cores();
}

static void a_large_answer_follows_its_head(void **state)
{
    static char expected[2 * LARGE];
    const int size =
        snprintf(expected, sizeof(expected),
                 "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: %u\r\n\r\n", LARGE);

    (void)state;
    memset(expected + size, '0', LARGE);
    expected[(size_t)size + LARGE - 1] = 'z';
    (void)snprintf(expected + (size_t)size + LARGE, sizeof(GOODBYE), "%s", GOODBYE);
    open_processes();
    answers_are(HEAD("GET", "/large") "\r\n", expected);
    close_cores();
}

/* So long after that something has come it is still there; a moment later it has its answer. */
static void silence_is(const char *said, uint64_t patience_ns, const char *expected)
{
    char text[512];
    struct one one;

    start_one(&one, &vine__type_answering, NULL);
    step_often();
    say_to(&one, said);
    step_often();
    advance(patience_ns - 200 * ONE_MS);
    assert_int_equal(read(one.fd, text, 1), -1);
    advance(400 * ONE_MS);
    read_answers(&one, text, sizeof text);
    assert_string_equal(text, expected);
    finish_one(&one, 0);
}

static void who_is_silent_is_told_where_it_has_begun(void **state)
{
    (void)state;
    open_processes();
    silence_is("GET / HT", 2000 * ONE_MS, ERROR("408 Request Timeout", "20", CLOSE) "\n");
    silence_is(HEAD("PUT", "/") "Content-Length: 3\r\n\r\na", 1000 * ONE_MS,
               ERROR("408 Request Timeout", "20", CLOSE) "\n");
    close_cores();
}

static void between_two_requests_silence_is_the_end_without_a_word(void **state)
{
    struct one one;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_answering, NULL);
    say_to(&one, HEAD("GET", "/404") "\r\n");
    step_often();
    while (vine__process_count() > 0)
        advance(VINE_NS_PER_SECOND / 100); /* until it has parked */
    assert_int_equal(one.ends, 0);
    say_to(&one, HEAD("GET", "/404") "\r\n");
    advance(3900 * ONE_MS);
    assert_int_equal(one.goings, 0);
    advance(200 * ONE_MS);
    until(one.goings == 1);
    close(one.fd);
    close_cores();
}

static void who_asks_on_is_told_of_the_end(void **state)
{
    static char text[1024];
    struct one one;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_answering, NULL);
    say_to(&one, "GET / HTTP/1.1\r\n");
    step_often();
    vine_stop(0);
    step_often();
    say_to(&one, "Host: a\r\n\r\n");
    read_answers(&one, text, sizeof text);
    assert_string_equal(text, GOODBYE);
    finish_one(&one, 0);
    close_cores();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_ends_the_connection_is_not_answered_behind),
        cmocka_unit_test(what_keeps_it_is_answered_in_turn),
        cmocka_unit_test(a_large_answer_follows_its_head),
        cmocka_unit_test(who_is_silent_is_told_where_it_has_begun),
        cmocka_unit_test(between_two_requests_silence_is_the_end_without_a_word),
        cmocka_unit_test(who_asks_on_is_told_of_the_end),
    };

    return run_by_all_guards(tests);
}
