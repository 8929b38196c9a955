/* SPDX-License-Identifier: Apache-2.0 */
#include "connect.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include <vine/error.h>

#include "human.h"
#include "message.h"
#include "status.h"

#define RETRY_MS 200

struct attempt {
    char reason[512]; /* the last one that the library gave */
    bool is_verbose;
};

static void keep_reason(void *context, enum vine_log_level level, const char *message)
{
    struct attempt *attempt = context;

    if (level <= VINE_LOG_WARNING)
        snprintf(attempt->reason, sizeof(attempt->reason), "%s", message);
    else if (attempt->is_verbose)
        message_note("%s", message);
}

static const char *address_of(const struct connection *connection)
{
    return connection->address != NULL ? connection->address : connection->embedded.address;
}

/* The pipe keeps the callback for its life, so what it writes to must live as long. */
static int try_open(const struct connection *connection, struct vine_pipe **ret_pipe,
                    const char **ret_reason)
{
    static struct attempt attempt;
    const struct vine_pipe_options options = {
        .size_bytes = sizeof(options),
        .name = "vine",
        .spin_ns = connection->spin_ns,
        .log = keep_reason,
        .log_context = &attempt,
    };

    attempt = (struct attempt){.is_verbose = connection->is_verbose};
    const int error = vine_pipe_open(address_of(connection), &options, ret_pipe);
    *ret_reason = attempt.reason[0] != '\0' ? attempt.reason : vine_error_text(error);
    return error;
}

static void tell(int error, const char *reason)
{
    message_error("%s (%s)", message_escape(reason), vine_error_name(error));
}

int connection_open(struct connection *connection, struct vine_pipe **ret_pipe)
{
    const char *reason;

    if (connection->address == NULL && connection->embedded.pid == 0) {
        const int status = embedded_start(&connection->embedded, connection->workers);
        if (status != STATUS_DONE)
            return status;
    }
    const int error = try_open(connection, ret_pipe, &reason);
    if (error < 0)
        tell(error, reason);
    return status_of_connect(error);
}

int connection_reopen(struct connection *connection, uint64_t seconds, struct vine_pipe **ret_pipe)
{
    const uint64_t until = human_now_ns() + seconds * VINE_NS_PER_SECOND;
    const char *reason = "";
    int error = -VINE_ENOAPPLIANCE;

    if (connection->address == NULL) {
        /* Whatever became of our own: another one. */
        embedded_stop(&connection->embedded);
        if (embedded_start(&connection->embedded, connection->workers) != STATUS_DONE)
            return STATUS_TRY_AGAIN;
    }
    do {
        error = try_open(connection, ret_pipe, &reason);
        if (error == 0)
            return STATUS_DONE;
        if (poll(NULL, 0, RETRY_MS) < 0) /* somebody wants to stop */
            break;
    } while (human_now_ns() < until);
    tell(error, reason);
    return STATUS_TRY_AGAIN;
}

void connection_close(struct connection *connection)
{
    embedded_stop(&connection->embedded);
}
