/* SPDX-License-Identifier: Apache-2.0 */
/*
 * services/resp.c - keys and values in memory, by Redis' protocol (docs/guides/resp.md).
 *
 * A connection takes commands apart in a heap of its own, and asks the store, which all share and
 * which is outside, to execute them. Replies to commands that came together go out together. What
 * is larger than what can be looked at goes to the store as it comes. Who is idle holds no heap:
 * what is known of a session is the store's.
 */

#include <vine/coroutine.h>
#include <vine/resp.h>
#include <vine/resp_server.h>

#include "resp_store.h"
#include "services.h"

#define PAYLOAD_MIN 4096
#define ANSWER_NS   (2 * VINE_NS_PER_SECOND) /* for the last one, that of an error */

static const struct vine_resp_limits limits = {
    .arguments_max = VINE_RESP_ARGUMENTS_MAX,
    .bulk_bytes_max = VINE_RESP_BULK_BYTES_MAX,
    .inline_bytes_max = VINE_LOOK_MAX - 2,
    .command_bytes_max = UINT32_MAX, /* what there is of it is taken when it becomes too much */
    .payload_bytes_min = PAYLOAD_MIN,
};

/* Ask the store, which answers at once. */
#define ask(function, count, pointer, size)                                                        \
    do {                                                                                           \
        self->asked.argument_count = (count);                                                      \
        self->asked.bytes = (pointer);                                                             \
        self->asked.size_bytes = (uint32_t)(size);                                                 \
        vine_outside(self->result, function, &self->asked, sizeof(self->asked));                   \
        if (self->result < 0)                                                                      \
            vine_raise((int)self->result);                                                         \
    } while (0)

VINE_COROUTINE(resp)
{
    struct {
        const struct service_wishes *wishes;
        char *bytes, *room;
        size_t size, used, least, room_size;
        size_t payload, part; /* what is missing of a large argument; what is there of that */
        int64_t result;
        int error;
        enum vine_resp_status status;
        bool is_between; /* two commands: nothing of the next one has been taken */
        bool is_half;    /* some of one has come, and more has to, in time */
        struct resp_asked asked;
        struct vine_resp_parser parser;
        struct vine_resp_argument arguments[RESP_ARGUMENTS_MAX];
        char problem[VINE_RESP_PROBLEM_BYTES];
    } *self;

    vine_begin();
    self->wishes = vine_argument();
    vine_resp_parser_init(&self->parser, &limits, self->arguments, RESP_ARGUMENTS_MAX);
    self->asked.arguments = self->arguments;
    ask(resp_take, 0, NULL, 0); /* here we are */
    self->least = 1;
    self->is_between = true;
    for (;;) {
        self->is_half = !self->is_between || self->used < self->size;
        if (self->is_half)
            vine_deadline(self->wishes->body_ns);
        else
            vine_park();
        vine_look(self->size, self->bytes, self->least);
        if (self->size < self->least)
            vine_return();
        self->used = 0;
        for (;;) {
            if (self->payload > 0) {
                self->part = self->size - self->used;
                if (self->part > self->payload)
                    self->part = self->payload;
                ask(resp_put_payload, 0, self->bytes + self->used, self->part);
                self->used += self->part;
                self->payload -= self->part;
                self->least = 1;
                if (self->payload > 0)
                    break;
            }
            self->status =
                vine_resp_parse(&self->parser, self->bytes + self->used, self->size - self->used);
            if (self->status == VINE_RESP_COMPLETE) {
                if (self->is_half)
                    vine_deadline(VINE_FOREVER);
                self->is_half = false;
                do {
                    vine_room(self->room_size, self->room, VINE_RESP_ROOM_MIN);
                    ask(resp_execute, self->parser.argument_count, self->room, self->room_size);
                    vine_wrote(self->result & RESP_WRITTEN);
                } while (self->result & RESP_GOES_ON);
                if (self->result & RESP_CLOSES)
                    vine_return();
                self->used += self->parser.consumed_bytes;
                self->is_between = true;
                continue;
            }
            if (self->status == VINE_RESP_BROKEN) {
                (void)vine_resp_parser_problem(&self->parser, self->problem);
                vine_writef("-ERR %s\r\n", self->problem);
                vine_return();
            }
            self->least = self->size - self->used + self->parser.more_bytes;
            if (self->status == VINE_RESP_MORE && self->least <= VINE_LOOK_MAX)
                break;
            /* It is too much to be looked at, or has too many arguments: they go ahead. */
            vine_resp_parser_cut(&self->parser, self->bytes + self->used);
            self->is_between = false;
            ask(resp_take, self->parser.cut_count, NULL, 0);
            self->used += self->parser.consumed_bytes;
            self->payload = self->parser.payload_bytes;
            if (self->payload > 0)
                ask(resp_take_payload, 0, NULL, self->payload);
            self->least -= self->parser.consumed_bytes;
            if (self->least > VINE_LOOK_MAX)
                self->least = VINE_LOOK_MAX;
            if (self->status == VINE_RESP_MORE)
                break;
        }
        vine_skip(self->used);
    }
    vine_catch(self->error)
    {
        vine_deadline(ANSWER_NS);
        if (self->error == -EFAULT || self->error == -ENOMEM || self->error == -ETIMEDOUT)
            vine_writef("-ERR %s\r\n", self->error == -ENOMEM      ? "out of memory"
                                       : self->error == -ETIMEDOUT ? "the rest has not come"
                                                                   : "internal error");
    }
    vine_end();
}

VINE_SERVICE(resp, .summary = "keys and values in memory, by Redis' protocol",
             .begin = resp_store_begin, .is_on_one_core = true,
             .farewell = "-ERR internal error\r\n",
             .refusal = "-ERR max number of clients reached\r\n");
