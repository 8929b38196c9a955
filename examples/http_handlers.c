/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_handlers - a service that answers HTTP by handlers of one's own, each for a path: a
 * greeting, and what a body of any size sums up to.
 *
 *     vine serve ./http_handlers.so --listen 127.0.0.1:8080
 *     curl http://127.0.0.1:8080/hello/you
 *     seq 1 100000 | curl -T - http://127.0.0.1:8080/sum
 *
 * To be noticed: what is wanted of a head is taken from it before its bytes go, and a body is read
 * as it comes, so that a client may send gigabytes through a heap of 64 KiB.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <vine/coroutine.h>
#include <vine/http.h>
#include <vine/http_resource.h>
#include <vine/http_router.h>
#include <vine/http_writer.h>

enum { INDEX, HELLO, SUM };

static const struct vine_http_route routes[] = {
    {VINE_HTTP_ON(GET), INDEX, "/"},
    {VINE_HTTP_ON(GET), HELLO, "/hello/:name"},
    {VINE_HTTP_ON(POST) | VINE_HTTP_ON(PUT), SUM, "/sum"},
};

struct connection {
    size_t room_size;
    char *room;
    int head; /* bytes of it; 0: it is not whole; below: it is none */
    bool keeps;
    unsigned status;
    struct vine_http_match match;
    char name[64];
    uint64_t sum, number;
    struct vine_http_date date;
    struct vine_http_stream stream;
    struct vine_http_request request;
    struct vine_http_field fields[32];
};

/* Numbers in decimal, with anything between them; one may be cut anywhere. */
static void add(struct connection *self, struct vine_http_slice data)
{
    for (size_t i = 0; i < data.size; i++) {
        if (data.text[i] >= '0' && data.text[i] <= '9') {
            self->number = 10 * self->number + (uint64_t)(data.text[i] - '0');
        } else {
            self->sum += self->number;
            self->number = 0;
        }
    }
}

/* Who answers, and with what of the head. */
static void choose(struct connection *self)
{
    const struct vine_http_slice path = vine_http_text(&self->request.head, self->request.path);

    self->status = vine_http_route(routes, sizeof(routes) / sizeof(routes[0]),
                                   (enum vine_http_method)self->request.method, path, &self->match);
    self->sum = self->number = 0;
    if (self->status == 200 && self->match.route->id == HELLO) {
        const int size = vine_http_unescape(vine_http_parameter(&self->match, "name"), false,
                                            self->name, sizeof(self->name) - 1);

        self->status = size == -EINVAL ? 400 : size < 0 ? 414 : 200;
        self->name[size < 0 ? 0 : size] = '\0';
    }
}

/* The answer, into the room that there is. Returns its size. */
static size_t answer(struct connection *self)
{
    const char *const date = vine_http_date_refresh(&self->date, time(NULL));
    struct vine_http_writer writer;
    char text[128] = "GET /hello/NAME, PUT /sum\n";

    vine_http_writer_init(&writer, self->room, self->room_size);
    if (self->head < 0 || (self->status != 200 && self->status != 405)) {
        self->keeps =
            vine_http_write_error(&writer, self->head < 0 ? NULL : &self->request,
                                  self->head < 0 ? self->request.head.refusal.status : self->status,
                                  self->head < 0 ? self->request.head.refusal.what : NULL, date);
        return writer.size;
    }

    const struct vine_http_reply reply = {.size_bytes = sizeof(reply),
                                          .request = &self->request,
                                          .date = date,
                                          .content_type = "text/plain",
                                          .status = (uint16_t)self->status};

    if (self->status == 405) {
        struct vine_http_reply_plan plan;

        vine_http_write_reply(&writer, &reply, &plan);
        vine_http_write_allow(&writer, self->match.allowed);
        vine_http_write_end(&writer);
        self->keeps = plan.keeps_alive;
        return writer.size;
    }
    if (self->match.route->id == HELLO)
        (void)snprintf(text, sizeof(text), "hello %s\n", self->name);
    if (self->match.route->id == SUM)
        (void)snprintf(text, sizeof(text), "%llu\n", (unsigned long long)self->sum);
    self->keeps = vine_http_write_small(&writer, &reply, vine_http_slice(text));
    return writer.size;
}

VINE_COROUTINE(http_handlers)
{
    struct connection *self;

    vine_begin();
    do {
        vine_http_request_init(&self->request, self->fields, 32, 8000);
        vine_deadline(60 * VINE_NS_PER_SECOND);
        vine_http_read_request(self->head, &self->stream, that->socket, &self->request);
        if (self->head == 0)
            break;
        if (self->head > 0) {
            choose(self);
            vine_skip((size_t)self->head);
            if (self->request.expects_continue)
                vine_write(VINE_HTTP_CONTINUE, strlen(VINE_HTTP_CONTINUE));
            vine_http_read_body(&self->stream, that->socket, self->request.framing,
                                self->request.content_length);
            do {
                vine_deadline(30 * VINE_NS_PER_SECOND);
                vine_http_read_part(&self->stream);
                add(self, self->stream.data);
            } while (self->stream.data.size > 0);
            self->sum += self->number;
        }
        vine_room(self->room_size, self->room, 1024);
        vine_wrote(answer(self));
    } while (self->keeps);
    vine_end();
}

VINE_SERVICE(http_handlers, .summary = "HTTP by handlers: a greeting, and sums");
