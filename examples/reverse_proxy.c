/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reverse proxy: each request goes on to another server of HTTP/1.1, the origin, over a
 * connection of its own, and its answer comes back. Heads are written anew from what was understood
 * of them; bodies are moved from one socket to the other, and a large one never comes into the
 * heap. A service as a library:
 *
 *     ORIGIN=localhost:8080 vine serve ./reverse_proxy.so --listen 127.0.0.1:7012
 */
#include <stdlib.h>

#include <vine/coroutine.h>
#include <vine/http_proxy.h>

#define HEAD_MAX   16000
#define FIELDS_MAX 64
#define IDLE_NS    (60 * VINE_NS_PER_SECOND) /* between two requests */
#define ANSWER_NS  (60 * VINE_NS_PER_SECOND) /* for the origin's answer, and for each body */

static const char *origin;

static int begin(const void *argument)
{
    (void)argument;
    origin = getenv("ORIGIN");
    return origin != NULL ? 0 : -EINVAL;
}

/* ---- bodies ---------------------------------------------------------------------------------- */

struct passing {
    struct vine_socket *from, *to;
    struct vine_http_body body;
    bool in_chunks; /* as it is sent */
};

VINE_COROUTINE(pass_body)
{
    struct {
        struct passing *it;
        const char *bytes;
        size_t size, wanted, used;
        uint64_t moved;
        int progress;
        struct vine_http_slice data;
    } *self;

    vine_begin();
    self->it = vine_argument();
    vine_deadline(ANSWER_NS);
    for (self->wanted = 0; self->progress != VINE_HTTP_END;) {
        if (!self->it->in_chunks && vine_http_body_direct(&self->it->body) > 0) {
            vine_splice(self->moved, self->it->from, self->it->to,
                        vine_http_body_direct(&self->it->body));
            vine_http_body_moved(&self->it->body, self->moved);
            self->wanted = vine_http_body_direct(&self->it->body) > 0 ? 1 : 0;
        }
        vine_look_on(self->it->from, self->size, self->bytes, self->wanted);
        if (self->size < self->wanted) {
            if (vine_http_body_closed(&self->it->body) != 0)
                vine_raise(-ECONNRESET);
            break;
        }
        self->progress =
            vine_http_body_next(&self->it->body, self->bytes, self->size, &self->used, &self->data);
        if (self->progress < 0)
            vine_raise(self->progress);
        if (self->it->in_chunks && self->data.size > 0)
            vine_writef_on(self->it->to, "%zx\r\n", self->data.size);
        vine_write_on(self->it->to, self->data.text, self->data.size);
        if (self->it->in_chunks && self->data.size > 0)
            vine_write_on(self->it->to, VINE_HTTP_CHUNK_END, 2);
        vine_skip_on(self->it->from, self->used);
        self->wanted = self->progress == VINE_HTTP_MORE ? self->size - self->used + 1 : 0;
    }
    if (self->it->in_chunks)
        vine_write_on(self->it->to, VINE_HTTP_BODY_END, strlen(VINE_HTTP_BODY_END));
    vine_end();
}

/* ---- heads ----------------------------------------------------------------------------------- */

/* Each returns its size, or a negative error. */

static int write_request(char *room, size_t room_size, const struct vine_http_request *request)
{
    static const struct vine_http_forward forward = {
        .size_bytes = sizeof(forward), .via = "vine", .closes = true, .answers_expect = true};
    struct vine_http_writer writer;

    vine_http_writer_init(&writer, room, room_size);
    vine_http_forward_request(&writer, request, &forward);
    vine_http_write_end(&writer);
    return vine_http_writer_result(&writer);
}

static int write_response(char *room, size_t room_size, const struct vine_http_response *response,
                          const struct vine_http_request *request,
                          struct vine_http_reply_plan *ret_plan)
{
    static const struct vine_http_forward forward = {.size_bytes = sizeof(forward), .via = "vine"};
    struct vine_http_writer writer;

    vine_http_writer_init(&writer, room, room_size);
    vine_http_forward_response(&writer, response, request, &forward, ret_plan);
    vine_http_write_end(&writer);
    return vine_http_writer_result(&writer);
}

static size_t write_error(char *room, size_t room_size, unsigned status)
{
    struct vine_http_writer writer;

    vine_http_writer_init(&writer, room, room_size);
    (void)vine_http_write_error(&writer, NULL, status, NULL, NULL);
    return writer.size;
}

/* ---- requests -------------------------------------------------------------------------------- */

/* An operation of our own: look at more and more of what comes until `parse` has all of a head;
 * `self->head_size` is 0 if the peer ends before. */
#define READ_HEAD(socket, parse)                                                                   \
    for (self->head_size = 0, self->wanted = 1; self->head_size == 0;) {                           \
        vine_look_on((socket), self->size, self->bytes, self->wanted);                             \
        if (self->size < self->wanted)                                                             \
            break;                                                                                 \
        self->head_size = (parse);                                                                 \
        self->wanted = self->size + 1;                                                             \
    }

VINE_COROUTINE(reverse_proxy)
{
    struct {
        struct vine_socket *origin;
        const char *bytes; /* what came */
        char *room;
        size_t size, wanted, room_size;
        int head_size, written, error;
        unsigned status; /* to answer with when something fails; 0: it is too late for that */
        struct vine_http_request request;
        struct vine_http_response response;
        struct vine_http_reply_plan plan;
        struct passing passing;
        struct vine_http_field fields[FIELDS_MAX];
    } *self;

    vine_begin();
    do {
        self->status = 0;
        vine_deadline(IDLE_NS);
        vine_http_request_init(&self->request, self->fields, FIELDS_MAX, HEAD_MAX);
        READ_HEAD(that->socket, vine_http_request_parse(&self->request, self->bytes, self->size));
        if (self->head_size == 0)
            break;
        self->status = self->head_size < 0 ? self->request.head.refusal.status : 502;
        if (self->head_size < 0 || !vine_http_may_forward(&self->request))
            vine_raise(-VINE_EPROTOCOL);

        vine_deadline(ANSWER_NS);
        vine_connect(self->origin, origin);
        vine_room_on(self->origin, self->room_size, self->room, VINE_LOOK_MAX);
        self->written = write_request(self->room, self->room_size, &self->request);
        if (self->written < 0)
            vine_raise(-VINE_EPROTOCOL);
        vine_wrote_on(self->origin, (size_t)self->written);
        vine_skip((size_t)self->head_size);
        if (self->request.expects_continue)
            vine_write(VINE_HTTP_CONTINUE, strlen(VINE_HTTP_CONTINUE));
        self->passing = (struct passing){.from = that->socket, .to = self->origin};
        self->passing.in_chunks = self->request.framing == VINE_HTTP_CHUNKED;
        vine_http_body_init(&self->passing.body, self->request.framing,
                            self->request.content_length);
        vine_call(pass_body, &self->passing);

        do {
            vine_http_response_init(&self->response, self->request.method, self->fields, FIELDS_MAX,
                                    HEAD_MAX);
            READ_HEAD(self->origin,
                      vine_http_response_parse(&self->response, self->bytes, self->size));
            if (self->head_size <= 0 || self->response.is_tunnel)
                vine_raise(-VINE_EPROTOCOL);
            vine_room(self->room_size, self->room, VINE_LOOK_MAX);
            self->written = write_response(self->room, self->room_size, &self->response,
                                           &self->request, &self->plan);
            if (self->written < 0)
                vine_raise(-VINE_EPROTOCOL);
            if (!self->response.is_interim || self->request.minor > 0)
                vine_wrote((size_t)self->written);
            vine_skip_on(self->origin, (size_t)self->head_size);
        } while (self->response.is_interim);
        self->status = 0;
        self->passing = (struct passing){.from = self->origin, .to = that->socket};
        self->passing.in_chunks = self->plan.framing == VINE_HTTP_CHUNKED && !self->plan.omits_body;
        vine_http_body_init(&self->passing.body, self->response.framing,
                            self->response.content_length);
        vine_call(pass_body, &self->passing);
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
