/* SPDX-License-Identifier: Apache-2.0 */
/*
 * services/http.c - HTTP/1.1: files below a root, or `hello` on every path.
 *
 * One coroutine a connection: wait for a request, answer it, and again. Answers to requests that
 * came together go out together.
 */

#include "http.h"

/* Made once, and read by all. */
static char hello_bytes[256];
static struct vine_http_ready hello;

static int begin(const void *nothing)
{
    (void)nothing;
    return vine_http_ready_init(&hello, hello_bytes, sizeof(hello_bytes), 200, "text/plain",
                                vine_http_slice("hello"));
}

static volatile char *volatile nowhere; /* of which compilers know nothing */

/* What a mistake of ours would do: measured and tested by it, and seen by no sanitizer before. */
VINE_SERVICE_CODE __attribute__((no_sanitize("address", "thread", "undefined"))) static void
crash(void)
{
    *nowhere = 1;
}

VINE_SERVICE_CODE static bool is_crash_wished(const struct http *http)
{
    const struct vine_http_request *const request = &http->exchange.request;

    return http->wishes->crash != NULL &&
           vine_http_is(vine_http_text(&request->head, request->path), http->wishes->crash);
}

VINE_SERVICE_CODE void http_tell(const struct vine_coroutine *that, const struct http *http)
{
    if (http->wishes->access_log != NULL)
        http_access_tell(that, http->access, http->exchange.writer.bytes,
                         http->exchange.writer.size);
}

VINE_COROUTINE(http)
{
    struct http *self;

    vine_begin();
    self->wishes = vine_argument();
    self->exchange.idle_ns = self->wishes->idle_ns;
    self->exchange.header_ns = self->wishes->header_ns;
    self->exchange.body_ns = self->wishes->body_ns;
    do {
        vine_http_next(&self->exchange);
        if (!self->exchange.has_request)
            vine_return();
        if (self->wishes->access_log != NULL) {
            vine_alloc(self->access, sizeof(*self->access));
            http_access_note(self->access, &self->exchange.request);
        }
        if (is_crash_wished(self))
            crash();
        if (self->wishes->root.number != 0) {
            vine_call(http_file, self);
        } else {
            vine_http_drop(&self->exchange);
            if (vine_http_ready_fits(&self->exchange.request))
                vine_http_answer_ready(&self->exchange, &hello);
            else if (self->exchange.request.method == VINE_HTTP_CONNECT)
                vine_http_refuse(&self->exchange, 501, "there are no tunnels here");
            else
                vine_http_answer(&self->exchange, 200, "text/plain", "hello", 5);
            http_tell(that, self);
        }
        if (self->access != NULL) {
            vine_free(self->access);
            self->access = NULL;
        }
    } while (self->exchange.keeps_alive);

    vine_catch(self->error)
    {
        vine_http_fail(&self->exchange, self->error);
        http_tell(that, self);
    }
    vine_end();
}

VINE_SERVICE(http, .summary = "HTTP/1.1: files (--root), or \"hello\" (--hello)", .begin = begin,
             .farewell = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n"
                         "Connection: close\r\n\r\n",
             .refusal = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                        "Retry-After: 1\r\nConnection: close\r\n\r\n");
