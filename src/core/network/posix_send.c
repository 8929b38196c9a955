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

/* ---- ends ------------------------------------------------------------------------------------ */

static void end_first(struct posix_connection *connection, int error)
{
    struct vine_send *const send = vine__send_queue_take(&connection->sends);

    if (VINE__UNLIKELY(error != 0 && send->sent != 0))
        connection->is_broken = true;
    vine__send_end(send, error);
}

static void on_sent(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct posix_connection *const connection =
        VINE_CONTAINER_OF(operation, struct posix_connection, send);
    int error;

    (void)flags;
    connection->is_sending = false;
    if (vine__send_went(connection->sends.first, &connection->base.network->counts, result, &error))
        end_first(connection, error);
    if (VINE__UNLIKELY(connection->base.is_aborted))
        vine__posix_connection_look(connection);
    else if (connection->sends.first != NULL)
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
    struct vine__operation *const operation = &connection->send;

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
    struct vine__operation *const operation = &connection->send;
    struct posix_message *const message = vine__posix_message(&connection->message);

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
    struct vine_send *const send = connection->sends.first;
    struct vine__operation *const operation = &connection->send;
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
    while (connection->sends.first != NULL) {
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

    vine__send_queue_add(&connection->sends, send);
    if (connection->sends.first == send)
        begin_next(connection);
}

void vine__posix_send_cancel(struct vine_connection *base, struct vine_send *send)
{
    struct posix_connection *const connection = vine__posix_of(base);

    if (connection->sends.first == send) {
        vine__poller_cancel(base->network->poller, &connection->send);
    } else {
        vine__send_queue_remove(&connection->sends, send);
        vine__send_end(send, send->wish);
    }
}

void vine__posix_send_abort(struct posix_connection *connection)
{
    struct vine_send *const first = connection->sends.first;

    if (first == NULL)
        return;
    vine__send_queue_cancel_rest(&connection->sends);
    /* It is the kernel's: the first of a queue has always begun. */
    if (first->wish == 0) {
        first->wish = -ECANCELED;
        vine__poller_cancel(connection->base.network->poller, &connection->send);
    }
}

void vine__posix_send_fini(struct posix_connection *connection)
{
    vine__closed_free(connection->message);
    connection->message = NULL;
}
