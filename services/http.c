/* SPDX-License-Identifier: Apache-2.0 */
/*
 * services/http.c - HTTP/1.1: `hello` on every path, or 404.
 *
 * One coroutine a connection: read a head, read the body and throw it away, answer, and again.
 * Answers to requests that came together go out together.
 */

#include <time.h>

#include <vine/http.h>
#include <vine/http_writer.h>

#include "http_access.h"
#include "services.h"

#define HEAD_MAX   16000
#define FIELDS_MAX 64
#define ROOM_MIN   1024                     /* for an answer without a body, or a small one */
#define ANSWER_NS  (2 * VINE_NS_PER_SECOND) /* for the last one, that of an error */

struct http {
    const struct service_wishes *wishes;
    const char *bytes; /* what came */
    char *room;
    size_t size, wanted, room_size;
    int head_size; /* 0: it is not whole */
    int error;
    size_t answered;            /* bytes of the answer's head and what is with it */
    struct http_access *access; /* while a request is answered that is logged; or NULL */
    bool keeps;                 /* the connection, for another request */
    struct vine_http_date date;
    struct vine_http_body body;
    struct vine_http_request request;
    struct vine_http_field fields[FIELDS_MAX];
};

/* Answer with an error, the request's own where `status` is 0. Returns how much of the room that
 * took. */
VINE_SERVICE_CODE static size_t refuse(struct http *http, unsigned status, const char *what)
{
    const bool is_understood = http->head_size > 0;
    struct vine_http_writer writer;

    vine_http_writer_init(&writer, http->room, http->room_size);
    http->keeps = vine_http_write_error(&writer, is_understood ? &http->request : NULL, status,
                                        what, vine_http_date_refresh(&http->date, time(NULL)));
    return writer.size;
}

/* What a mistake of ours would do: measured and tested by it, and seen by no sanitizer before. */
VINE_SERVICE_CODE __attribute__((no_sanitize("address", "thread", "undefined"))) static void
crash(void)
{
    volatile char *volatile nowhere = NULL;

    *nowhere = 1;
}

VINE_SERVICE_CODE static size_t answer(struct http *http)
{
    struct vine_http_writer writer;

    if (http->wishes->crash != NULL && http->request.framing == VINE_HTTP_NO_BODY &&
        vine_http_is(vine_http_text(&http->request.head, http->request.path), http->wishes->crash))
        crash();
    if (!http->wishes->hello)
        return refuse(http, 404, NULL);

    const struct vine_http_reply reply = {
        .size_bytes = sizeof(reply),
        .request = &http->request,
        .date = vine_http_date_refresh(&http->date, time(NULL)),
        .content_type = "text/plain",
        .status = 200,
    };

    vine_http_writer_init(&writer, http->room, http->room_size);
    http->keeps = vine_http_write_small(&writer, &reply, vine_http_slice("hello"));
    return writer.size;
}

/* Read a body and throw it away. Raises -VINE_EPROTOCOL. */
VINE_COROUTINE(drop_body)
{
    struct {
        struct http *http;
        struct vine_http_slice data;
        size_t used;
        int progress;
    } *self;

    vine_begin();
    self->http = vine_argument();
    do {
        vine_deadline(self->http->wishes->body_ns);
        vine_look(self->http->size, self->http->bytes, self->http->wanted);
        if (self->http->size < self->http->wanted)
            vine_raise(-ECONNRESET);
        self->progress = vine_http_body_next(&self->http->body, self->http->bytes, self->http->size,
                                             &self->used, &self->data);
        if (self->progress < 0)
            vine_raise(self->progress);
        vine_skip(self->used);
        self->http->wanted =
            self->progress == VINE_HTTP_MORE ? self->http->size - self->used + 1 : 0;
    } while (self->progress != VINE_HTTP_END);
    vine_end();
}

VINE_COROUTINE(http)
{
    struct http *self;

    vine_begin();
    self->wishes = vine_argument();
    do {
        self->head_size = 0;
        vine_http_request_init(&self->request, self->fields, FIELDS_MAX, HEAD_MAX);
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
            vine_room(self->room_size, self->room, ROOM_MIN);
            self->answered =
                refuse(self, self->request.head.refusal.status, self->request.head.refusal.what);
            if (self->wishes->access_log != NULL)
                http_access_tell(that, NULL, self->room, self->answered);
            vine_wrote(self->answered);
            break;
        }
        if (self->wishes->access_log != NULL) {
            vine_alloc(self->access, sizeof(*self->access));
            http_access_note(self->access, &self->request);
        }
        vine_skip((size_t)self->head_size);
        if (self->request.framing != VINE_HTTP_NO_BODY) {
            if (self->request.expects_continue)
                vine_write(VINE_HTTP_CONTINUE, strlen(VINE_HTTP_CONTINUE));
            vine_http_body_init(&self->body, self->request.framing, self->request.content_length);
            self->wanted = 0;
            vine_call(drop_body, self);
        }
        vine_room(self->room_size, self->room, ROOM_MIN);
        self->answered = answer(self);
        vine_wrote(self->answered);
        if (self->access != NULL) {
            http_access_tell(that, self->access, self->room, self->answered);
            vine_free(self->access);
            self->access = NULL;
        }
    } while (self->keeps);

    vine_catch(self->error)
    {
        /* Who was silent between two requests hears nothing. */
        if (self->error == -ETIMEDOUT && self->head_size == 0 && self->wanted == 1)
            vine_return();
        self->head_size = 0;
        vine_deadline(ANSWER_NS);
        vine_room(self->room_size, self->room, ROOM_MIN);
        self->answered = refuse(self,
                                self->error == -ETIMEDOUT        ? 408
                                : self->error == -VINE_EPROTOCOL ? 400
                                                                 : 500,
                                NULL);
        if (self->wishes->access_log != NULL)
            http_access_tell(that, self->access, self->room, self->answered);
        vine_wrote(self->answered);
    }
    vine_end();
}

VINE_SERVICE(http, .summary = "HTTP/1.1: \"hello\" (--hello), or 404",
             .farewell = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n"
                         "Connection: close\r\n\r\n",
             .refusal = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                        "Retry-After: 1\r\nConnection: close\r\n\r\n");
