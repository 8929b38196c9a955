/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receiving on the kernel's sockets. What the kernel does for a connection (`receiving`) and what
 * its reader wants are brought together by serve(), which is called whenever one of them changes.
 */
#include "core/network/posix_internal.h"

#include <errno.h>
#include <string.h>

#include "arch/guard/closed.h"
#include "utils/atomic.h"
#include "utils/bits.h"
#include "utils/container_of.h"

/* The kernel may fill many buffers before it hears that it shall stop: it does so by itself. */
#define RECEIVE_AHEAD_BYTES (VINE_RECEIVE_AHEAD * POSIX_BUFFER_BYTES)

static void on_received_ahead(struct vine__operation *operation, int32_t result, uint32_t flags);
static void on_received_into(struct vine__operation *operation, int32_t result, uint32_t flags);

/* ---- what the kernel does -------------------------------------------------------------------- */

static void wait_no_more(struct posix_connection *connection)
{
    if (VINE__LIKELY(!connection->is_waiting))
        return;
    vine__list_remove(&connection->waiting);
    connection->is_waiting = false;
    connection->receive = (struct vine__operation){.fn = NULL};
}

static void begin_ahead(struct posix_connection *connection)
{
    struct vine__operation *const operation = &connection->receive;
    uint32_t extent = 0;
    const int error = vine__posix_pool_choose(connection->pool, &extent);

    if (error == -ENOMEM) { /* there is none that would ever come back */
        vine__receive_end(connection->base.reader, NULL, error);
        return;
    }
    if (error != 0) {
        if (!connection->is_waiting)
            vine__list_push_back(&connection->pool->waiting, &connection->waiting);
        connection->is_waiting = true;
        return;
    }
    wait_no_more(connection);
    connection->extent = (uint8_t)extent;
    operation->fn = on_received_ahead;
    operation->kind = VINE__POLL_RECEIVE;
    operation->is_multishot = true;
    operation->fd = connection->fd;
    operation->flags = 0;
    operation->size = RECEIVE_AHEAD_BYTES;
    operation->buffers = connection->pool->extents[extent].buffers;
    connection->receiving = POSIX_RECEIVES_AHEAD;
    vine__poller_begin(connection->base.network->poller, operation);
}

static int expect_descriptors(struct posix_connection *connection,
                              const struct vine_receive *reader)
{
    struct vine__operation *const operation = &connection->receive;
    struct posix_message *message = NULL; /* until it has ended */

    if (vine__posix_message(&message) == NULL)
        return -ENOMEM;
    message->pieces[0] = (struct iovec){.iov_base = reader->into, .iov_len = reader->into_bytes};
    message->header.msg_iovlen = 1;
    vine__posix_message_expect(message, reader->descriptors_max);
    operation->kind = VINE__POLL_RECEIVE_MESSAGE;
    operation->flags = MSG_CMSG_CLOEXEC;
    operation->message = &message->header;
    return 0;
}

static void begin_into(struct posix_connection *connection, struct vine_receive *reader)
{
    struct vine__operation *const operation = &connection->receive;

    wait_no_more(connection);
    operation->fn = on_received_into;
    operation->is_multishot = false;
    operation->fd = connection->fd;
    if (reader->descriptors == NULL) {
        operation->kind = VINE__POLL_RECEIVE;
        operation->flags = 0;
        operation->bytes = reader->into;
        operation->size = reader->into_bytes;
    } else if (expect_descriptors(connection, reader) != 0) {
        vine__receive_end(reader, NULL, -ENOMEM);
        return;
    }
    connection->receiving = POSIX_RECEIVES_INTO;
    vine__poller_begin(connection->base.network->poller, operation);
}

static void cancel(struct posix_connection *connection)
{
    if (connection->is_cancelling)
        return;
    connection->is_cancelling = true;
    vine__poller_cancel(connection->base.network->poller, &connection->receive);
}

/* ---- what is held ---------------------------------------------------------------------------- */

static void hold(struct posix_connection *connection, uint32_t buffer)
{
    if (connection->held_first == POSIX_NO_BUFFER)
        connection->held_first = buffer;
    else
        vine__posix_held(connection->pool, connection->held_last)->next = buffer;
    connection->held_last = buffer;
    connection->held_count++;
}

/* The first one, which is not held any more. */
static uint32_t take_held(struct posix_connection *connection)
{
    const uint32_t buffer = connection->held_first;

    connection->held_first = vine__posix_held(connection->pool, buffer)->next;
    connection->held_count--;
    connection->held_offset = 0;
    return buffer;
}

static void end_view(struct posix_connection *connection)
{
    const uint32_t buffer = connection->view;

    if (buffer == POSIX_NO_BUFFER)
        return;
    connection->view = POSIX_NO_BUFFER;
    vine__posix_release(connection->pool, buffer);
}

static void give_view(struct posix_connection *connection, struct vine_receive *reader)
{
    const uint32_t offset = connection->held_offset;
    const uint32_t buffer = take_held(connection);

    connection->view = buffer;
    vine__receive_end(reader, vine__posix_bytes(connection->pool, buffer) + offset,
                      vine__posix_held(connection->pool, buffer)->size - offset);
}

static void give_copy(struct posix_connection *connection, struct vine_receive *reader)
{
    uint32_t done = 0;

    while (done < reader->into_bytes && connection->held_first != POSIX_NO_BUFFER) {
        const uint32_t buffer = connection->held_first;
        const uint32_t left =
            vine__posix_held(connection->pool, buffer)->size - connection->held_offset;
        const uint32_t size = (uint32_t)vine__min_u64(left, reader->into_bytes - done);

        memcpy(reader->into + done,
               vine__posix_bytes(connection->pool, buffer) + connection->held_offset, size);
        done += size;
        connection->held_offset = (uint16_t)(connection->held_offset + size);
        if (size == left)
            vine__posix_release(connection->pool, take_held(connection));
    }
    vine__receive_end(reader, reader->into, done);
}

/* ---- bringing both together ------------------------------------------------------------------ */

static void serve_into(struct posix_connection *connection, struct vine_receive *reader)
{
    if (connection->held_first != POSIX_NO_BUFFER)
        give_copy(connection, reader);
    else if (connection->receiving == POSIX_RECEIVES_AHEAD)
        cancel(connection); /* and we come back when it has ended */
    else if (connection->has_end)
        vine__receive_end(reader, NULL, connection->end);
    else if (connection->receiving == POSIX_RECEIVES_NOT)
        begin_into(connection, reader);
}

static void serve(struct posix_connection *connection)
{
    struct vine_receive *const reader = connection->base.reader;

    if (reader == NULL || reader->has_ended || connection->base.is_aborted)
        return;
    if (reader->into != NULL)
        serve_into(connection, reader);
    else if (connection->held_first != POSIX_NO_BUFFER)
        give_view(connection, reader);
    else if (connection->has_end)
        vine__receive_end(reader, NULL, connection->end);
    else if (connection->receiving == POSIX_RECEIVES_NOT)
        begin_ahead(connection);
}

static void count(struct posix_connection *connection, int32_t result)
{
    struct vine_network_counts *const counts = &connection->base.network->counts;

    counts->received_bytes += (uint32_t)result;
    counts->receives++;
}

static void see_end(struct posix_connection *connection, int32_t result)
{
    /* What we have asked for, and what passes, is no end. */
    if (result == -ENOBUFS)
        connection->base.network->counts.buffers_missed++;
    else if (result == -ECANCELED && connection->is_cancelling)
        return;
    else if (result <= 0 && result != -EINTR && result != -EAGAIN) {
        connection->has_end = true;
        connection->end = result;
        connection->base.network->counts.receive_errors += result < 0;
        vine__connection_tell_end(&connection->base);
    }
}

/* Nobody has asked for what is held. */
static void hold_back(struct posix_connection *connection)
{
    const struct posix_pool *const pool = connection->pool;
    const uint32_t scarce = pool->first << (pool->extents_max - 1) >> 1;
    /* Beyond this many buffers in use nobody holds more than the one that came unasked. */
    const uint32_t most = pool->used < scarce ? VINE_RECEIVE_AHEAD : 1;

    if (connection->held_count < most || connection->is_cancelling)
        return;
    cancel(connection);
}

static void on_received_ahead(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct posix_connection *const connection =
        VINE_CONTAINER_OF(operation, struct posix_connection, receive);
    struct posix_pool *const pool = connection->pool;

    if (VINE__LIKELY((flags & VINE__POLL_BUFFER) != 0)) {
        const uint32_t buffer = vine__posix_taken(pool, connection->extent, operation->buffer,
                                                  result > 0 ? (uint32_t)result : 0);

        if (result > 0 && !connection->base.is_aborted)
            hold(connection, buffer);
        else
            vine__posix_release(pool, buffer);
    }
    if (VINE__LIKELY(result > 0))
        count(connection, result);
    else
        see_end(connection, result);
    if (VINE__UNLIKELY((flags & VINE__POLL_MORE) == 0)) {
        connection->receiving = POSIX_RECEIVES_NOT;
        connection->is_cancelling = false;
        if (connection->held_first != POSIX_NO_BUFFER && connection->base.reader == NULL)
            connection->base.network->counts.held_back++;
        if (connection->base.is_aborted) {
            vine__posix_connection_look(connection);
            return;
        }
    }
    serve(connection);
    if (connection->held_first != POSIX_NO_BUFFER && connection->receiving == POSIX_RECEIVES_AHEAD)
        hold_back(connection);
}

static int32_t take_descriptors(struct posix_connection *connection, struct vine_receive *reader,
                                int32_t result)
{
    struct posix_message *const message = vine__posix_message_of(connection->receive.message);
    const int count =
        result > 0 ? vine__posix_message_take(message, reader->descriptors, reader->descriptors_max)
                   : 0;

    vine__closed_free(message);
    if (result <= 0)
        return result;
    if (count < 0)
        return count;
    reader->descriptor_count = (uint16_t)count;
    return result;
}

static void on_received_into(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct posix_connection *const connection =
        VINE_CONTAINER_OF(operation, struct posix_connection, receive);
    struct vine_receive *const reader = connection->base.reader;

    (void)flags;
    VINE_ASSERT(reader != NULL && reader->into != NULL && !reader->has_ended);
    if (result > 0)
        count(connection, result);
    else
        see_end(connection, result);
    connection->receiving = POSIX_RECEIVES_NOT;
    connection->is_cancelling = false;
    if (reader->descriptors != NULL)
        result = take_descriptors(connection, reader, result);
    if (result > 0 || result == -EMSGSIZE)
        vine__receive_end(reader, reader->into, result);
    else if (reader->wish != 0)
        vine__receive_end(reader, NULL, reader->wish);
    if (connection->base.is_aborted)
        vine__posix_connection_look(connection);
    else
        serve(connection);
}

/* ---- as the connection is asked -------------------------------------------------------------- */

void vine__posix_receive(struct vine_connection *base, struct vine_receive *receive)
{
    struct posix_connection *const connection = vine__posix_of(base);

    end_view(connection);
    /* Nothing is held and the kernel is at it: the common case. */
    if (VINE__LIKELY(connection->receiving == POSIX_RECEIVES_AHEAD) &&
        connection->held_first == POSIX_NO_BUFFER && receive->into == NULL)
        return;
    serve(connection);
}

void vine__posix_watch_end(struct vine_connection *base)
{
    struct posix_connection *const connection = vine__posix_of(base);

    if (connection->has_end)
        vine__connection_tell_end(base);
    else if (connection->receiving == POSIX_RECEIVES_NOT &&
             connection->held_count < VINE_RECEIVE_AHEAD)
        begin_ahead(connection);
}

void vine__posix_receive_resume(struct posix_connection *connection)
{
    const struct vine_receive *const reader = connection->base.reader;

    wait_no_more(connection);
    if (reader != NULL && !reader->has_ended && connection->receiving == POSIX_RECEIVES_NOT)
        begin_ahead(connection);
}

void vine__posix_receive_cancel(struct vine_connection *base, struct vine_receive *receive)
{
    struct posix_connection *const connection = vine__posix_of(base);

    wait_no_more(connection);
    if (connection->receiving == POSIX_RECEIVES_INTO)
        cancel(connection);
    else
        vine__receive_end(receive, NULL, receive->wish);
}

void vine__posix_receive_abort(struct posix_connection *connection)
{
    struct vine_receive *const reader = connection->base.reader;

    wait_no_more(connection);
    if (reader != NULL && !reader->has_ended) {
        reader->wish = -ECANCELED;
        if (connection->receiving != POSIX_RECEIVES_INTO)
            vine__receive_end(reader, NULL, -ECANCELED);
    }
    if (connection->receiving != POSIX_RECEIVES_NOT)
        cancel(connection);
}

void vine__posix_receive_fini(struct posix_connection *connection)
{
    end_view(connection);
    while (connection->held_first != POSIX_NO_BUFFER)
        vine__posix_release(connection->pool, take_held(connection));
}
