/* SPDX-License-Identifier: Apache-2.0 */
/*
 * services/http.c - HTTP/1.1: files below a root, or `hello` on every path.
 *
 * One coroutine a connection: read a head, read the body and throw it away, answer, and again.
 * Answers to requests that came together go out together.
 */

#include <time.h>

#include "http.h"

#define ANSWER_NS (2 * VINE_NS_PER_SECOND) /* for the last one, that of an error */

/* Made once, and read by all. */
static char hello_bytes[256];
static struct vine_http_ready hello;

static int begin(const void *nothing)
{
    (void)nothing;
    return vine_http_ready_init(&hello, hello_bytes, sizeof(hello_bytes), 200, "text/plain",
                                vine_http_slice("hello"));
}

VINE_SERVICE_CODE const char *http_date(struct http *http)
{
    return vine_http_date_refresh(&http->date, time(NULL));
}

VINE_SERVICE_CODE size_t http_refuse(struct http *http, unsigned status, const char *what)
{
    const bool is_understood = http->head_size > 0;
    struct vine_http_writer writer;

    vine_http_writer_init(&writer, http->room, http->room_size);
    http->keeps = vine_http_write_error(&writer, is_understood ? &http->request : NULL, status,
                                        what, http_date(http));
    return writer.size;
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
    return http->wishes->crash != NULL &&
           vine_http_is(vine_http_text(&http->request.head, http->request.path),
                        http->wishes->crash);
}

VINE_SERVICE_CODE void http_tell(const struct vine_coroutine *that, const struct http *http)
{
    if (http->wishes->access_log != NULL)
        http_access_tell(that, http->access, http->room, http->answered);
}

VINE_SERVICE_CODE static size_t answer(struct http *http)
{
    struct vine_http_writer writer;

    if (vine_http_ready_fits(&http->request)) {
        http->keeps = true;
        return vine_http_ready_write(&hello, http_date(http), http->room);
    }
    if (http->request.method == VINE_HTTP_CONNECT)
        return http_refuse(http, 501, "there are no tunnels here");

    const struct vine_http_reply reply = {
        .size_bytes = sizeof(reply),
        .request = &http->request,
        .date = http_date(http),
        .content_type = "text/plain",
        .status = 200,
    };

    vine_http_writer_init(&writer, http->room, http->room_size);
    http->keeps = vine_http_write_small(&writer, &reply, vine_http_slice("hello"));
    return writer.size;
}

VINE_COROUTINE(http_drop)
{
    struct {
        struct http *http;
        struct vine_http_stream stream;
    } *self;

    vine_begin();
    self->http = vine_argument();
    vine_skip((size_t)self->http->head_size);
    if (self->http->request.expects_continue)
        vine_write(VINE_HTTP_CONTINUE, strlen(VINE_HTTP_CONTINUE));
    vine_http_read_body(&self->stream, that->socket, self->http->request.framing,
                        self->http->request.content_length);
    do {
        vine_deadline(self->http->wishes->body_ns);
        vine_http_read_part(&self->stream);
    } while (self->stream.data.size > 0);
    vine_end();
}

VINE_COROUTINE(http)
{
    struct http *self;

    vine_begin();
    self->wishes = vine_argument();
    do {
        self->head_size = 0;
        vine_http_request_init(&self->request, self->fields, HTTP_FIELDS_MAX, HTTP_HEAD_MAX);
        vine_deadline(self->wishes->idle_ns);
        self->wanted = 1;
        vine_park();
        do {
            vine_look(self->size, self->bytes, self->wanted);
            if (self->size < self->wanted)
                vine_return();
            self->head_size = vine_http_request_parse(&self->request, self->bytes, self->size);
            if (self->head_size == 0 && self->wanted == 1)
                vine_deadline(self->wishes->header_ns);
            self->wanted = self->size + 1;
        } while (self->head_size == 0);
        if (self->head_size < 0) {
            vine_room(self->room_size, self->room, HTTP_ROOM_MIN);
            self->answered = http_refuse(self, self->request.head.refusal.status,
                                         self->request.head.refusal.what);
            http_tell(that, self);
            vine_wrote(self->answered);
            break;
        }
        /* At the end a client that asks on and on is told with its last answer; what it has sent
         * already is answered before. */
        if (vine_is_draining() &&
            (self->request.framing != VINE_HTTP_NO_BODY || self->size == (size_t)self->head_size))
            self->request.keeps_alive = false;
        if (self->wishes->access_log != NULL) {
            vine_alloc(self->access, sizeof(*self->access));
            http_access_note(self->access, &self->request);
        }
        if (is_crash_wished(self))
            crash();
        if (self->wishes->root.number != 0) {
            vine_call(http_file, self);
        } else {
            if (self->request.framing != VINE_HTTP_NO_BODY)
                vine_call(http_drop, self);
            else
                vine_skip((size_t)self->head_size);
            vine_room(self->room_size, self->room, HTTP_ROOM_MIN);
            self->answered = answer(self);
            http_tell(that, self);
            vine_wrote(self->answered);
        }
        if (self->access != NULL) {
            vine_free(self->access);
            self->access = NULL;
        }
    } while (self->keeps);

    vine_catch(self->error)
    {
        /* Who was silent between two requests hears nothing, whether its time or the service's was
         * over, and who gets half a file sees that. */
        if (self->is_half)
            vine_return();
        if ((self->error == -ETIMEDOUT || self->error == -ECANCELED) && self->head_size == 0 &&
            self->wanted == 1)
            vine_return();
        self->head_size = 0;
        vine_deadline(ANSWER_NS);
        vine_room(self->room_size, self->room, HTTP_ROOM_MIN);
        self->answered = http_refuse(self,
                                     self->error == -ETIMEDOUT        ? 408
                                     : self->error == -VINE_EPROTOCOL ? 400
                                                                      : 500,
                                     NULL);
        http_tell(that, self);
        vine_wrote(self->answered);
    }
    vine_end();
}

VINE_SERVICE(http, .summary = "HTTP/1.1: files (--root), or \"hello\" (--hello)", .begin = begin,
             .farewell = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n"
                         "Connection: close\r\n\r\n",
             .refusal = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                        "Retry-After: 1\r\nConnection: close\r\n\r\n");
