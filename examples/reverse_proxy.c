/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reverse proxy: each request goes on to another server of HTTP/1.1, the origin, over a
 * connection of its own, and its answer comes back. Heads are written anew from what was understood
 * of them; bodies are moved from one socket to the other, and a large one never comes into the
 * heap. A service as a library:
 *
 *     ORIGIN=localhost:8080 vine serve ./reverse_proxy.so --listen 127.0.0.1:7012
 *     ORIGIN=https://example.org:443 vine serve ./reverse_proxy.so --listen 127.0.0.1:7012
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vine/coroutine.h>
#include <vine/http_proxy.h>

#define HEAD_MAX   16000
#define FIELDS_MAX 64
#define IDLE_NS    (60 * VINE_NS_PER_SECOND) /* between two requests */
#define ANSWER_NS  (60 * VINE_NS_PER_SECOND) /* for the origin's answer, and for each body */

static const char *origin;
static bool is_secret;

static int begin(const void *argument)
{
    (void)argument;
    origin = getenv("ORIGIN");
    is_secret = origin != NULL && strncmp(origin, "https://", 8) == 0;
    if (is_secret)
        origin += 8;
    if (origin != NULL)
        return 0;
    (void)fputs("reverse_proxy: ORIGIN says which server it is, as localhost:8080\n", stderr);
    return -EINVAL;
}

static const struct vine_http_forward to_origin = {
    .size_bytes = sizeof(to_origin), .via = "vine", .closes = true, .answers_expect = true};
static const struct vine_http_forward to_client = {.size_bytes = sizeof(to_client), .via = "vine"};

VINE_SERVICE_CODE static size_t write_error(char *room, size_t room_size, unsigned status)
{
    struct vine_http_writer writer;

    vine_http_writer_init(&writer, room, room_size);
    (void)vine_http_write_error(&writer, NULL, status, NULL, NULL);
    return writer.size;
}

VINE_COROUTINE(reverse_proxy)
{
    struct {
        struct vine_socket *origin;
        char *room;
        size_t room_size, head_size;
        int size, error; /* of a head that is read, or written */
        unsigned status; /* to answer with when something fails; 0: it is too late for that */
        struct vine_http_request request;
        struct vine_http_response response;
        struct vine_http_reply_plan plan;
        struct vine_http_stream stream;
        struct vine_http_field fields[FIELDS_MAX];
    } *self;

    vine_begin();
    do {
        self->status = 0;
        vine_deadline(IDLE_NS);
        vine_http_request_init(&self->request, self->fields, FIELDS_MAX, HEAD_MAX);
        vine_http_read_request(self->size, &self->stream, that->socket, &self->request);
        if (self->size == 0)
            break;
        self->status = self->size < 0 ? self->request.head.refusal.status : 502;
        if (self->size < 0 || !vine_http_may_forward(&self->request))
            vine_raise(-VINE_EPROTOCOL);
        self->head_size = (size_t)self->size;

        vine_deadline(ANSWER_NS);
        if (is_secret)
            vine_connect_tls(self->origin, origin);
        else
            vine_connect(self->origin, origin);
        vine_room_on(self->origin, self->room_size, self->room, VINE_LOOK_MAX);
        self->size =
            vine_http_pass_request(self->room, self->room_size, &self->request, &to_origin);
        if (self->size < 0)
            vine_raise(-VINE_EPROTOCOL);
        vine_wrote_on(self->origin, (size_t)self->size);
        vine_skip(self->head_size);
        if (self->request.expects_continue)
            vine_write(VINE_HTTP_CONTINUE, strlen(VINE_HTTP_CONTINUE));
        vine_http_read_body(&self->stream, that->socket, self->request.framing,
                            self->request.content_length);
        vine_http_pass_body(&self->stream, self->origin,
                            self->request.framing == VINE_HTTP_CHUNKED);

        do {
            vine_http_response_init(&self->response, self->request.method, self->fields, FIELDS_MAX,
                                    HEAD_MAX);
            vine_http_read_response(self->size, &self->stream, self->origin, &self->response);
            if (self->size <= 0 || self->response.is_tunnel)
                vine_raise(-VINE_EPROTOCOL);
            self->head_size = (size_t)self->size;
            vine_room(self->room_size, self->room, VINE_LOOK_MAX);
            self->size = vine_http_pass_response(self->room, self->room_size, &self->response,
                                                 &self->request, &to_client, &self->plan);
            if (self->size < 0)
                vine_raise(-VINE_EPROTOCOL);
            if (!self->response.is_interim || self->request.minor > 0)
                vine_wrote((size_t)self->size);
            vine_skip_on(self->origin, self->head_size);
        } while (self->response.is_interim);
        self->status = 0;
        vine_http_read_body(&self->stream, self->origin, self->response.framing,
                            self->response.content_length);
        vine_http_pass_body(&self->stream, that->socket,
                            self->plan.framing == VINE_HTTP_CHUNKED && !self->plan.omits_body);
        vine_close(self->origin);
    } while (self->plan.keeps_alive);

    vine_catch(self->error)
    {
        if (self->status == 0)
            vine_return();
        vine_deadline(IDLE_NS);
        vine_room(self->room_size, self->room, VINE_LOOK_MAX);
        vine_wrote(write_error(self->room, self->room_size,
                               self->error == -ETIMEDOUT ? 504 : self->status));
    }
    vine_end();
}

VINE_SERVICE(reverse_proxy, .summary = "HTTP/1.1 for a server at $ORIGIN", .begin = begin);
