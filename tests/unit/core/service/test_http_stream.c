/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Heads and bodies as operations of coroutines: however they are cut, the same comes of them, and
 * what is wrong with them is raised. */
#include "../process/process_tests.h"

#include <vine/http_proxy.h>
#include <vine/http_stream.h>

#define FIELDS_MAX 8

/* Tells the path of each request, and its body: in parts, or, of PUT, passed on to the answer. */
VINE_COROUTINE(telling)
{
    struct {
        int size;
        struct vine_http_request request;
        struct vine_http_stream stream;
        struct vine_http_field fields[FIELDS_MAX];
        char path[32];
    } *self;

    vine_begin();
    for (;;) {
        vine_http_request_init(&self->request, self->fields, FIELDS_MAX, 1000);
        vine_http_read_request(self->size, &self->stream, that->socket, &self->request);
        if (self->size == 0)
            break;
        if (self->size < 0)
            vine_raise(self->size);
        memset(self->path, 0, sizeof self->path);
        memcpy(self->path, vine_http_text(&self->request.head, self->request.path).text,
               self->request.path.size < 31 ? self->request.path.size : 31);
        vine_skip((size_t)self->size);
        vine_writef("%s:", self->path);
        vine_http_read_body(&self->stream, that->socket, self->request.framing,
                            self->request.content_length);
        if (self->request.method == VINE_HTTP_PUT) {
            vine_http_pass_body(&self->stream, that->socket,
                                self->request.framing == VINE_HTTP_CHUNKED);
        } else {
            do {
                vine_http_read_part(&self->stream);
                vine_write(self->stream.data.text, self->stream.data.size);
            } while (self->stream.data.size > 0);
        }
        vine_writef(";");
    }
    vine_end();
}

#define HOST "HTTP/1.1\r\nHost: a\r\n"

static const char all[] = "GET /a " HOST "\r\n"
                          "POST /b " HOST "Content-Length: 5\r\n\r\nhello"
                          "POST /c " HOST "Transfer-Encoding: chunked\r\n\r\n"
                          "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n"
                          "POST /d " HOST "Content-Length: 0\r\n\r\n"
                          "PUT /e " HOST "Content-Length: 3\r\n\r\nput"
                          "GET /f " HOST "\r\n";
static const char told[] = "/a:;/b:hello;/c:abcde;/d:;/e:put;/f:;";

static void requests_are_the_same_wherever_they_are_cut(void **state)
{
    struct one one;

    (void)state;
    open_processes();
    for (size_t cut = 0; cut < sizeof(all); cut++) {
        start_one(&one, &vine__type_telling, NULL);
        assert_int_equal(write(one.fd, all, cut), cut);
        for (uint32_t i = 0; i < 20; i++)
            step_all();
        say_to(&one, all + cut);
        expect(&one, told);
        finish_one(&one, 0);
    }
    close_cores();
}

/* A chunk for each part that has come: only all of them together are known. */
static void a_body_of_chunks_is_passed_on_as_chunks(void **state)
{
    struct one one;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_telling, NULL);
    say_to(&one,
           "PUT /x " HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nc\r\n0123456789ab\r\n"
           "0\r\n\r\n");
    expect(&one, "/x:3\r\nabc\r\nc\r\n0123456789ab\r\n0\r\n\r\n;");
    finish_one(&one, 0);
    close_cores();
}

static void what_is_wrong_or_cut_short_is_raised(void **state)
{
    static const struct {
        const char *said;
        int error;
    } table[] = {
        {"GET / HTTP/1.1\r\n\r\n", -VINE_EPROTOCOL}, /* without Host */
        {"POST /c " HOST "Transfer-Encoding: chunked\r\n\r\nx\r\n", -VINE_EPROTOCOL},
        {"PUT /c " HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd", -VINE_EPROTOCOL},
        {"POST /c " HOST "Content-Length: 5\r\n\r\nhell", -ECONNRESET},
        {"PUT /c " HOST "Content-Length: 5\r\n\r\nhell", -ECONNRESET},
        {"POST /c " HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", -ECONNRESET},
        {"GET / HT", 0}, /* nobody has asked for anything */
    };
    struct one one;

    (void)state;
    open_processes();
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        start_one(&one, &vine__type_telling, NULL);
        say_to(&one, table[i].said);
        assert_int_equal(shutdown(one.fd, SHUT_WR), 0);
        until(one.ends == 1);
        finish_one(&one, table[i].error);
    }
    close_cores();
}

static void a_head_is_passed_on_at_once_or_not_at_all(void **state)
{
    static const char text[] = "GET /a " HOST "Connection: x\r\nX: 1\r\n\r\n";
    static const char connect[] = "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n";
    const struct vine_http_forward forward = {.size_bytes = sizeof(forward)};
    struct vine_http_field fields[FIELDS_MAX];
    struct vine_http_request request;
    char room[64];

    (void)state;
    vine_http_request_init(&request, fields, FIELDS_MAX, 1000);
    assert_true(vine_http_request_parse(&request, text, sizeof(text) - 1) > 0);
    assert_int_equal(vine_http_pass_request(room, 8, &request, &forward), -ENOSPC);
    const int size = vine_http_pass_request(room, sizeof(room), &request, &forward);

    assert_int_equal(size, 28);
    assert_memory_equal(room, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n", 28);
    vine_http_request_init(&request, fields, FIELDS_MAX, 1000);
    assert_true(vine_http_request_parse(&request, connect, sizeof(connect) - 1) > 0);
    assert_int_equal(vine_http_pass_request(room, sizeof(room), &request, &forward),
                     -VINE_EPROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_the_same_wherever_they_are_cut),
        cmocka_unit_test(a_body_of_chunks_is_passed_on_as_chunks),
        cmocka_unit_test(what_is_wrong_or_cut_short_is_raised),
        cmocka_unit_test(a_head_is_passed_on_at_once_or_not_at_all),
    };

    return run_by_both(tests);
}
