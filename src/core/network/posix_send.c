/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending on the kernel's sockets: a queue, of which the first one is the kernel's. Who is cut off
 * half way leaves a stream that nothing can follow.
 */
#include "core/network/posix_internal.h"

#include <errno.h>

#include "arch/guard/closed.h"
#include "arch/net/socket.h"
#include "utils/atomic.h"
#include "utils/bits.h"
#include "utils/container_of.h"

/* The kernel goes on by itself after a part. */
#define SEND_FLAGS  (MSG_NOSIGNAL | MSG_WAITALL)
#define AT_ONCE_MAX (1U << 30)

static void begin_next(struct posix_connection *connection);

/* ---- what it is done with -------------------------------------------------------------------- */

struct posix_sending *vine__posix_sending_take(struct posix_connection *connection)
{
    struct posix_pools *const pools = connection->base.network->state;
    struct posix_sending *sending = pools->sendings;

    if (VINE__LIKELY(sending != NULL))
        pools->sendings = sending->next;
    else
        sending = vine__closed_alloc(sizeof(*sending));
    if (sending != NULL)
        sending->connection = connection;
    connection->sending = sending;
    return sending;
}

void vine__posix_sending_give(struct posix_connection *connection)
{
    struct posix_pools *const pools = connection->base.network->state;
    struct posix_sending *const sending = connection->sending;

    connection->sending = NULL;
    sending->next = pools->sendings;
    pools->sendings = sending;
}

void vine__posix_sendings_fini(struct posix_pools *pools)
{
    while (pools->sendings != NULL) {
        struct posix_sending *const sending = pools->sendings;

        pools->sendings = sending->next;
        vine__closed_free(sending->message);
        vine__closed_free(sending);
    }
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void end_first(struct posix_connection *connection, int error)
{
    struct posix_sending *const sending = connection->sending;
    struct vine_send *const send = vine__send_queue_take(&sending->sends);

    if (VINE__UNLIKELY(error != 0 && send->sent != 0))
        connection->is_broken = true;
    vine__send_end(send, error);
    if (VINE__LIKELY(sending->sends.first == NULL))
        vine__posix_sending_give(connection);
}

static void on_sent(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    const struct posix_sending *const sending =
        VINE_CONTAINER_OF(operation, struct posix_sending, operation);
    struct posix_connection *const connection = sending->connection;
    int error;

    (void)flags;
    connection->is_sending = false;
    if (vine__send_went(sending->sends.first, &connection->base.network->counts, result, &error))
        end_first(connection, error);
    if (VINE__UNLIKELY(connection->base.is_aborted))
        vine__posix_connection_look(connection);
    else
        begin_next(connection);
}

void vine__posix_send_see(struct posix_connection *connection, int outcome)
{
    if (outcome <= 0)
        end_first(connection, outcome);
    if (connection->base.is_aborted)
        vine__posix_connection_look(connection);
    else if (outcome <= 0)
        begin_next(connection);
}

/* ---- beginnings ------------------------------------------------------------------------------ */

static void begin_bytes(struct posix_connection *connection, const struct vine_send *send)
{
    struct vine__operation *const operation = &connection->sending->operation;

    operation->kind = VINE__POLL_SEND;
    operation->flags = SEND_FLAGS;
    operation->bytes = (void *)(uintptr_t)(send->bytes + send->sent);
    operation->size = (uint32_t)vine__min_u64(send->size - send->sent, AT_ONCE_MAX);
}

/* The next pieces, from where the last ones ended: the first may have gone out in part. */
static uint32_t gather(const struct vine_send *send, struct iovec *pieces)
{
    size_t skip = send->sent;
    size_t left = AT_ONCE_MAX;
    uint32_t count = 0;

    for (uint32_t i = 0; i < send->vector_count && count < POSIX_PIECES_AT_ONCE && left > 0; i++) {
        const struct iovec *const piece = &send->vector[i];

        if (skip >= piece->iov_len) {
            skip -= piece->iov_len;
            continue;
        }
        pieces[count].iov_base = (unsigned char *)piece->iov_base + skip;
        pieces[count].iov_len = (size_t)vine__min_u64(piece->iov_len - skip, left);
        left -= pieces[count].iov_len;
        skip = 0;
        count++;
    }
    return count;
}

static int begin_message(struct posix_connection *connection, const struct vine_send *send)
{
    struct vine__operation *const operation = &connection->sending->operation;
    struct posix_message *const message = vine__posix_message(&connection->sending->message);

    if (message == NULL)
        return -ENOMEM;
    if (send->kind == VINE__SEND_VECTOR) {
        message->header.msg_iovlen = gather(send, message->pieces);
    } else {
        message->pieces[0] = (struct iovec){.iov_base = (void *)(uintptr_t)send->bytes,
                                            .iov_len = vine__min_u64(send->size, AT_ONCE_MAX)};
        message->header.msg_iovlen = 1;
        vine__posix_message_put(message, send->descriptors, send->descriptor_count);
    }
    operation->kind = VINE__POLL_SEND_MESSAGE;
    operation->flags = SEND_FLAGS;
    operation->message = &message->header;
    return 0;
}

static int check_descriptors(const struct posix_connection *connection,
                             const struct vine_send *send)
{
    if (!connection->is_local)
        return -EOPNOTSUPP;
    return send->size == 0 || send->descriptor_count > VINE_DESCRIPTORS_MAX ? -EINVAL : 0;
}

/* Returns 1: the kernel has it, or how it has ended. */
static int begin_first(struct posix_connection *connection)
{
    struct vine_send *const send = connection->sending->sends.first;
    struct vine__operation *const operation = &connection->sending->operation;
    int error = 0;

    if (VINE__UNLIKELY(connection->is_broken))
        return -EPIPE;
    if (VINE__UNLIKELY(send->kind == VINE__SEND_SHUTDOWN))
        return vine__socket_shutdown(connection->fd, SHUT_WR);
    if (VINE__UNLIKELY(send->kind == VINE__SEND_FILE))
        return send->size == 0 ? 0 : vine__posix_send_file(connection);
    if (VINE__UNLIKELY(send->kind == VINE__SEND_DESCRIPTORS))
        error = check_descriptors(connection, send);
    if (VINE__UNLIKELY(error != 0 || send->size == 0))
        return error;
    /* Descriptors go with the first byte. */
    if (VINE__LIKELY(send->kind == VINE__SEND_BYTES ||
                     (send->kind == VINE__SEND_DESCRIPTORS && send->sent != 0)))
        begin_bytes(connection, send);
    else
        error = begin_message(connection, send);
    if (error != 0)
        return error;
    operation->fn = on_sent;
    operation->fd = connection->fd;
    connection->is_sending = true;
    vine__poller_begin(connection->base.network->poller, operation);
    return 1;
}

static void begin_next(struct posix_connection *connection)
{
    while (connection->sending != NULL) {
        const int error = begin_first(connection);

        if (error > 0)
            return;
        end_first(connection, error);
    }
}

/* ---- as the connection is asked -------------------------------------------------------------- */

void vine__posix_send(struct vine_connection *base, struct vine_send *send)
{
    struct posix_connection *const connection = vine__posix_of(base);

    if (connection->sending == NULL && vine__posix_sending_take(connection) == NULL) {
        vine__send_end(send, -ENOMEM);
        return;
    }
    vine__send_queue_add(&connection->sending->sends, send);
    if (connection->sending->sends.first == send)
        begin_next(connection);
}

void vine__posix_send_cancel(struct vine_connection *base, struct vine_send *send)
{
    struct posix_sending *const sending = vine__posix_of(base)->sending;

    if (sending->sends.first == send) {
        vine__poller_cancel(base->network->poller, &sending->operation);
    } else {
        vine__send_queue_remove(&sending->sends, send);
        vine__send_end(send, send->wish);
    }
}

void vine__posix_send_abort(struct posix_connection *connection)
{
    struct posix_sending *const sending = connection->sending;
    struct vine_send *const first = sending != NULL ? sending->sends.first : NULL;

    if (first == NULL)
        return;
    vine__send_queue_cancel_rest(&sending->sends);
    /* It is the kernel's: the first of a queue has always begun. */
    if (first->wish == 0) {
        first->wish = -ECANCELED;
        vine__poller_cancel(connection->base.network->poller, &sending->operation);
    }
}
