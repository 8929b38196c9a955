/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/service/turn_away.c - connections for which there is no room. Each is told so and listened
 * to for a moment, since a socket that is closed with something unread may cost the peer what it
 * was sent; but only so many at once, and beyond that they are closed.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <vine/error.h>
#include <vine/log.h>

#include "arch/guard/closed.h"
#include "arch/net/socket.h"
#include "core/reactor/reactor.h"
#include "core/service/service_internal.h"
#include "utils/container_of.h"

#define LEAVING_MAX  64U
#define LEAVE_NS     VINE_NS_PER_SECOND
#define LEAVE_BYTES  65536
#define TELL_EACH_NS VINE_NS_PER_SECOND

/* Of who has the only descriptor that there is: others wait for it. */
#define LEAVE_SOON_NS VINE_ACCEPT_REST_NS

/* ---- telling of them ------------------------------------------------------------------------- */

static void tell(struct vine_timer *timer)
{
    struct vine__service_core *const core =
        VINE_CONTAINER_OF(timer, struct vine__service_core, tell);

    core->is_telling = false;
    vine_log("service", VINE_LOG_WARNING, "%s: %" PRIu32 " connection%s turned away: %s",
             core->running->kind.service->name, core->told_count,
             core->told_count == 1 ? " was" : "s were", core->why);
    core->told_count = 0;
}

static void tell_later(struct vine__service_core *core, enum vine__away reason)
{
    const struct vine_service_options *const options = &core->running->options;

    core->told_count++;
    if (core->is_telling)
        return;
    core->is_telling = true;
    if (reason == VINE__AWAY_FULL)
        (void)snprintf(core->why, sizeof(core->why), "%" PRIu32 " are there, and no more may be",
                       options->connections_max);
    else if (reason == VINE__AWAY_RATE)
        (void)snprintf(core->why, sizeof(core->why),
                       "a client comes more often than %" PRIu32 " times a second",
                       options->client_rate);
    else if (reason == VINE__AWAY_DESCRIPTORS)
        (void)snprintf(core->why, sizeof(core->why),
                       "no descriptor is left, of %" PRIu64 " that the process may have: raise "
                       "`ulimit -n`, LimitNOFILE= of systemd",
                       vine__socket_limit());
    else
        vine__process_explain(core->why);
    vine_timer_init(&core->tell, VINE_CLOCK_COARSE, tell);
    vine_timer_arm_after(&core->tell, TELL_EACH_NS);
}

/* ---- one ------------------------------------------------------------------------------------- */

struct leaving {
    struct vine__service_core *core;
    struct vine_connection *connection;
    uint64_t until_ns;
    int64_t thrown_away;
    union {
        struct vine_send send;
        struct vine_receive receive;
        struct vine_work closed;
    };
};

static void closed(struct vine_work *work)
{
    struct leaving *const leaving = VINE_CONTAINER_OF(work, struct leaving, closed);

    leaving->core->leaving--;
    vine__closed_free(leaving);
}

static void leave(struct leaving *leaving)
{
    vine_work_init(&leaving->closed, closed);
    vine_connection_close(leaving->connection, &leaving->closed);
}

static void heard(struct vine_receive *receive)
{
    struct leaving *const leaving = VINE_CONTAINER_OF(receive, struct leaving, receive);

    if (receive->size > 0)
        leaving->thrown_away += receive->size;
    if (receive->size <= 0 || leaving->thrown_away > LEAVE_BYTES)
        leave(leaving);
    else
        vine_receive(leaving->connection, receive, heard);
}

static void told_all(struct vine_send *send)
{
    struct leaving *const leaving = VINE_CONTAINER_OF(send, struct leaving, send);

    if (send->error != 0) {
        leave(leaving);
        return;
    }
    memset(&leaving->receive, 0, sizeof(leaving->receive));
    leaving->receive.deadline_ns = leaving->until_ns;
    vine_receive(leaving->connection, &leaving->receive, heard);
}

static void told(struct vine_send *send)
{
    struct leaving *const leaving = VINE_CONTAINER_OF(send, struct leaving, send);

    if (send->error != 0)
        leave(leaving);
    else
        vine_shutdown_send(leaving->connection, send, told_all);
}

void vine__service_turn_away(struct vine__service_core *core, struct vine_connection *connection,
                             enum vine__away reason, bool may_be_told)
{
    const char *const text = core->running->kind.service->refusal;
    struct leaving *leaving = NULL;

    core->turned_away[reason]++;
    tell_later(core, reason);
    if (text != NULL && may_be_told && core->leaving < LEAVING_MAX)
        leaving = vine__closed_alloc(sizeof(*leaving));
    if (leaving == NULL) {
        vine_connection_close(connection, NULL);
        return;
    }
    core->leaving++;
    leaving->core = core;
    leaving->connection = connection;
    leaving->until_ns = vine_clock_now(VINE_CLOCK_COARSE) +
                        (reason == VINE__AWAY_DESCRIPTORS ? LEAVE_SOON_NS : LEAVE_NS);
    leaving->send.deadline_ns = leaving->until_ns;
    vine_send(connection, &leaving->send, text, strlen(text), told);
}
