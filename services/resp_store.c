/* SPDX-License-Identifier: Apache-2.0 */
/* services/resp_store.c - the keyspace of services/resp.c, outside of all connections. */

#include "resp_store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <vine/error.h>
#include <vine/keyspace.h>
#include <vine/resp_server.h>
#include <vine/timer.h>

#include "services.h"

#define EXPIRE_AT_ONCE 1000
#define EXPIRE_NS      (VINE_NS_PER_SECOND / 10)

/* Of one connection. */
struct session {
    struct vine_kept kept;
    struct vine_resp_session resp;
};

static struct vine_resp_server server = {.version = VINE_VERSION};
static struct vine_timer clock_timer;

/* ---- time ------------------------------------------------------------------------------------ */

/* The keyspace's time is that of day, and looked at once a turn. */
static void tell_time(void)
{
    static uint64_t told_ns;
    const uint64_t turn_ns = vine_clock_now(VINE_CLOCK_COARSE);
    struct timespec now;

    if (turn_ns == told_ns)
        return;
    told_ns = turn_ns;
    (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
    vine_keyspace_set_time(server.keyspace,
                           (int64_t)now.tv_sec * 1000 + (int64_t)now.tv_nsec / 1000000);
}

/* What nobody asks for any more goes, too. */
static void expire(struct vine_timer *timer)
{
    tell_time();
    if (vine_keyspace_expire(server.keyspace, EXPIRE_AT_ONCE) == EXPIRE_AT_ONCE)
        vine_timer_arm_after(timer, 0);
    else
        vine_timer_arm_after(timer, EXPIRE_NS);
}

int resp_store_begin(const void *argument)
{
    const struct service_wishes *const wishes = argument;
    struct vine_keyspace_options options = {.size_bytes = sizeof(options)};
    int error = -EIO;

    if (wishes != NULL)
        options.bytes_max = wishes->memory_bytes;
    if (getrandom(options.hash_key, sizeof(options.hash_key), 0) == sizeof(options.hash_key))
        error = vine_keyspace_create(&options, &server.keyspace);
    if (error != 0)
        return error;
    tell_time();
    server.started_ms = vine_keyspace_time(server.keyspace);
    vine_timer_init(&clock_timer, VINE_CLOCK_COARSE, expire);
    vine_timer_arm_after(&clock_timer, EXPIRE_NS);
    return 0;
}

/* ---- sessions -------------------------------------------------------------------------------- */

static void end(struct vine_kept *kept)
{
    struct session *const session = (struct session *)kept;

    vine_resp_session_fini(&session->resp);
    server.connections--;
    free(session);
}

/* Of who calls; its first call begins it. NULL: no memory. */
static struct session *session_of(struct vine_outside *outside)
{
    struct session *session = (struct session *)vine_outside_kept(outside);

    if (session != NULL)
        return session;
    session = calloc(1, sizeof(*session));
    if (session == NULL)
        return NULL;
    session->kept.end = end;
    vine_resp_session_init(&session->resp, &server);
    vine_outside_keep(outside, &session->kept);
    server.connections++;
    server.connections_taken++;
    return session;
}

/* A copy of its arguments, which are looked at nowhere else: none of them lies elsewhere than where
 * who asks may read. Returns false if one does. */
static bool read_arguments(const struct vine_outside *outside, const struct resp_asked *asked,
                           struct vine_resp_argument copy[RESP_ARGUMENTS_MAX])
{
    const size_t size = asked->argument_count * sizeof(*copy);

    if (asked->argument_count > RESP_ARGUMENTS_MAX ||
        !vine_outside_can_read(outside, asked->arguments, size))
        return false;
    for (uint32_t n = 0; n < asked->argument_count; n++) {
        copy[n] = asked->arguments[n];
        copy[n].owner = NULL;
        if (!vine_outside_can_read(outside, copy[n].bytes, copy[n].size_bytes))
            return false;
    }
    return true;
}

int64_t resp_execute(struct vine_outside *outside, const void *argument)
{
    const struct resp_asked *const asked = argument;
    struct session *const session = session_of(outside);
    struct vine_resp_argument arguments[RESP_ARGUMENTS_MAX];
    struct vine_resp_writer writer;
    uint32_t count = 0;
    int64_t result;

    if (session == NULL)
        return -ENOMEM;
    if (asked->size_bytes < VINE_RESP_ROOM_MIN ||
        !vine_outside_can_write(outside, asked->bytes, asked->size_bytes))
        return -EFAULT;
    tell_time();
    if (!vine_resp_is_executing(&session->resp)) {
        if (!read_arguments(outside, asked, arguments))
            return -EFAULT;
        count = asked->argument_count;
    }
    vine_resp_writer_init(&writer, asked->bytes, asked->size_bytes, session->resp.protocol);
    result =
        vine_resp_execute(&session->resp, arguments, count, &writer) == -ENOBUFS ? RESP_GOES_ON : 0;
    if (session->resp.is_closing)
        result |= RESP_CLOSES;
    return result | (int64_t)writer.size_bytes;
}

int64_t resp_take(struct vine_outside *outside, const void *argument)
{
    const struct resp_asked *const asked = argument;
    struct session *const session = session_of(outside);
    struct vine_resp_argument arguments[RESP_ARGUMENTS_MAX];

    if (session == NULL)
        return -ENOMEM;
    if (vine_resp_is_executing(&session->resp) || !read_arguments(outside, asked, arguments))
        return -EFAULT;
    vine_resp_take(&session->resp, arguments, asked->argument_count);
    return 0;
}

int64_t resp_take_payload(struct vine_outside *outside, const void *argument)
{
    const struct resp_asked *const asked = argument;
    struct session *const session = session_of(outside);

    if (session == NULL)
        return -ENOMEM;
    if (vine_resp_is_executing(&session->resp) || asked->size_bytes > VINE_RESP_BULK_BYTES_MAX)
        return -EFAULT;
    vine_resp_take_payload(&session->resp, asked->size_bytes);
    return 0;
}

int64_t resp_put_payload(struct vine_outside *outside, const void *argument)
{
    const struct resp_asked *const asked = argument;
    struct session *const session = session_of(outside);

    if (session == NULL)
        return -ENOMEM;
    if (!vine_outside_can_read(outside, asked->bytes, asked->size_bytes) ||
        vine_resp_put_payload(&session->resp, asked->bytes, asked->size_bytes) != 0)
        return -EFAULT;
    return 0;
}
