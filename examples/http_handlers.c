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

#include <vine/coroutine.h>
#include <vine/http_resource.h>
#include <vine/http_router.h>

enum { INDEX, HELLO, SUM };

static const struct vine_http_route routes[] = {
    {VINE_HTTP_ON(GET), INDEX, "/"},
    {VINE_HTTP_ON(GET), HELLO, "/hello/:name"},
    {VINE_HTTP_ON(POST) | VINE_HTTP_ON(PUT), SUM, "/sum"},
};

struct connection {
    struct vine_http_exchange http;
    struct vine_http_match match;
    unsigned status;
    int error;
    uint64_t sum, number;
    char name[64], text[128];
};

/* Who answers, and with what of the head. */
static void choose(struct connection *self)
{
    const struct vine_http_request *const request = &self->http.request;

    self->status = vine_http_route(routes, sizeof(routes) / sizeof(routes[0]), request->method,
                                   vine_http_text(&request->head, request->path), &self->match);
    self->http.allowed = self->match.allowed;
    if (self->status == 200 && self->match.route->id == HELLO) {
        const int size = vine_http_unescape(vine_http_parameter(&self->match, "name"), false,
                                            self->name, sizeof(self->name) - 1);

        self->status = size == -EINVAL ? 400 : size < 0 ? 414 : 200;
        self->name[size < 0 ? 0 : size] = '\0';
    }
}

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

static void compose(struct connection *self)
{
    switch (self->match.route->id) {
    case HELLO:
        (void)snprintf(self->text, sizeof(self->text), "hello %s\n", self->name);
        break;
    case SUM:
        (void)snprintf(self->text, sizeof(self->text), "%llu\n",
                       (unsigned long long)(self->sum + self->number));
        break;
    default:
        (void)snprintf(self->text, sizeof(self->text), "GET /hello/NAME, PUT /sum\n");
    }
}

VINE_COROUTINE(http_handlers)
{
    struct connection *self;

    vine_begin();
    do {
        vine_http_next(&self->http);
        if (!self->http.has_request)
            break;
        choose(self);
        self->sum = self->number = 0;
        do {
            vine_http_next_part(&self->http);
            add(self, self->http.stream.data);
        } while (self->http.stream.data.size > 0);
        if (self->status == 200) {
            compose(self);
            vine_http_answer(&self->http, 200, "text/plain", self->text, strlen(self->text));
        } else {
            vine_http_refuse(&self->http, self->status, NULL);
        }
    } while (self->http.keeps_alive);
    vine_catch(self->error)
    {
        vine_http_fail(&self->http, self->error);
    }
    vine_end();
}

VINE_SERVICE(http_handlers, .summary = "HTTP by handlers: a greeting, and sums");
