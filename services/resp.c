/* SPDX-License-Identifier: Apache-2.0 */
/*
 * services/resp.c - keys and values in memory, by Redis' protocol (docs/guides/resp.md).
 *
 * All connections share one keyspace, and so are on one core. Replies to commands that came
 * together go out together.
 */

#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <vine/keyspace.h>
#include <vine/resp.h>
#include <vine/resp_server.h>
#include <vine/timer.h>

#include "services.h"

#define ARGUMENTS      32 /* without memory of their own */
#define EXPIRE_AT_ONCE 1000

static const struct vine_resp_limits limits = {
    .arguments_max = 1024,
    .bulk_bytes_max = VINE_LOOK_MAX - 1024,
    .inline_bytes_max = VINE_LOOK_MAX - 1024,
    .command_bytes_max = VINE_LOOK_MAX - 1,
};

static struct vine_resp_server server = {.version = VINE_VERSION};
static struct vine_timer clock_timer;

VINE_SERVICE_CODE static void tell_time(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
    vine_keyspace_set_time(server.keyspace,
                           (int64_t)now.tv_sec * 1000 + (int64_t)now.tv_nsec / 1000000);
}

/* What nobody asks for any more goes, too. */
static void expire(struct vine_timer *timer)
{
    (void)timer;
    tell_time();
    (void)vine_keyspace_expire(server.keyspace, EXPIRE_AT_ONCE);
}

static int begin(void)
{
    struct vine_keyspace_options options = {.size_bytes = sizeof(options)};
    int error = -EIO;

    if (getrandom(options.hash_key, sizeof(options.hash_key), 0) == sizeof(options.hash_key))
        error = vine_keyspace_create(&options, &server.keyspace);
    if (error != 0)
        return error;
    tell_time();
    server.started_ms = vine_keyspace_time(server.keyspace);
    vine_timer_init(&clock_timer, VINE_CLOCK_COARSE, expire);
    vine_timer_arm_every(&clock_timer, VINE_NS_PER_SECOND / 10);
    return 0;
}

VINE_COROUTINE(resp)
{
    struct {
        char *bytes, *room;
        size_t size, used, wanted, room_size;
        enum vine_resp_status status;
        int result, error;
        struct vine_resp_argument *arguments;
        uint32_t argument_room;
        struct vine_resp_parser parser;
        struct vine_resp_session session;
        struct vine_resp_writer writer;
        struct vine_resp_argument few[ARGUMENTS];
        char problem[VINE_RESP_PROBLEM_BYTES];
    } *self;

    vine_begin();
    server.connections++;
    server.connections_taken++;
    vine_resp_session_init(&self->session, &server);
    self->arguments = self->few;
    self->argument_room = ARGUMENTS;
    vine_resp_parser_init(&self->parser, &limits, self->arguments, self->argument_room);
    self->wanted = 1;
    for (;;) {
        vine_look(self->size, self->bytes, self->wanted);
        if (self->size < self->wanted)
            vine_return();
        tell_time();
        self->used = 0;
        for (;;) {
            self->status =
                vine_resp_parse(&self->parser, self->bytes + self->used, self->size - self->used);
            if (self->status == VINE_RESP_ROOM) {
                /* The old room goes when the connection does. */
                self->argument_room *= 4;
                vine_alloc(self->arguments, self->argument_room * sizeof(*self->arguments));
                memcpy(self->arguments, self->parser.arguments,
                       self->argument_room / 4 * sizeof(*self->arguments));
                vine_resp_parser_set_room(&self->parser, self->arguments, self->argument_room);
                continue;
            }
            if (self->status != VINE_RESP_COMPLETE)
                break;
            do {
                vine_room(self->room_size, self->room, VINE_RESP_ROOM_MIN);
                vine_resp_writer_init(&self->writer, self->room, self->room_size,
                                      self->session.protocol);
                self->result = vine_resp_execute(&self->session, self->parser.arguments,
                                                 self->parser.argument_count, &self->writer);
                vine_wrote(self->writer.size_bytes);
            } while (self->result == -ENOBUFS);
            self->used += self->parser.consumed_bytes;
            if (self->session.is_closing)
                vine_return();
        }
        vine_skip(self->used);
        if (self->status == VINE_RESP_BROKEN) {
            (void)vine_resp_parser_problem(&self->parser, self->problem);
            vine_writef("-ERR %s\r\n", self->problem);
            vine_return();
        }
        self->wanted = self->size - self->used + self->parser.more_bytes;
    }
    vine_catch(self->error)
    {
        if (self->error == -EFAULT || self->error == -ENOMEM)
            vine_writef("-ERR %s\r\n", self->error == -ENOMEM ? "out of memory" : "internal error");
    }
    vine_finally()
    {
        server.connections--;
        vine_resp_session_fini(&self->session, self->parser.arguments, self->parser.argument_count);
    }
    vine_end();
}

VINE_SERVICE(resp, .summary = "keys and values in memory, by Redis' protocol", .begin = begin,
             .is_on_one_core = true, .farewell = "-ERR internal error\r\n");
