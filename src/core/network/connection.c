/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections as their owners see them: operations are prepared here, handed to the stack or layer
 * below, and their functions called when it has ended them.
 *
 * A connection's memory lives until its owner has closed it, the stack has let go of it, and the
 * functions of all its operations have been called.
 */
#include "arch/guard/closed.h"
#include "arch/guard/guard.h"
#include "arch/net/socket.h"
#include "core/network/network.h"
#include "core/network/network_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "utils/atomic.h"
#include "utils/container_of.h"

/* ---- life ------------------------------------------------------------------------------------ */

void vine__connection_init(struct vine_connection *connection, struct vine__network *network,
                           const struct vine__connection_ops *ops, bool is_counted)
{
    connection->ops = ops;
    connection->network = network;
    connection->colour = VINE__CONNECTION_UNCOLOURED;
    vine__list_push_back(&network->connections, &connection->link);
    if (connection->is_layer)
        return;
    network->counts.connections++;
    if (!is_counted)
        (void)vine__fetch_add_relaxed_u64(&vine__network_loads[network->core].connections, 1);
}

int vine_connection_adopt(int fd_in, int fd_out, struct vine_connection **ret_connection)
{
    struct vine__network *network;
    const int error = vine__network_here(&network);

    return error != 0 ? error : network->stack->adopt(network, fd_in, fd_out, ret_connection);
}

void vine__connection_paint(struct vine_connection *connection, uint32_t colour)
{
    VINE_ASSERT(colour < VINE__GUARD_COLOURS_MAX && connection->reader == NULL);
    connection->colour = (uint8_t)colour;
    if (connection->ops->paint != NULL)
        connection->ops->paint(connection);
}

unsigned char *vine__view_take(const struct vine_connection *connection, size_t size_bytes)
{
    void *view = NULL;

    if (connection->colour == VINE__CONNECTION_UNCOLOURED)
        return malloc(size_bytes);
    return vine__guard_memory_map_coloured(size_bytes, connection->colour, &view) == 0 ? view
                                                                                       : NULL;
}

void vine__view_give(const struct vine_connection *connection, unsigned char *view,
                     size_t size_bytes)
{
    if (connection->colour == VINE__CONNECTION_UNCOLOURED)
        free(view);
    else if (view != NULL)
        vine__guard_memory_unmap(view, size_bytes);
}

bool vine__connection_sends_files(const struct vine_connection *connection)
{
    return connection->ops->sends_files;
}

bool vine__send_at_once(struct vine_connection *connection, const unsigned char *bytes, size_t size)
{
    return connection->ops->send_at_once != NULL && !connection->is_aborted &&
           connection->ops->send_at_once(connection, bytes, size);
}

bool vine__connection_may_reset(const struct vine_connection *connection)
{
    return !connection->never_resets;
}

void vine__connection_watch_end(struct vine_connection *connection, struct vine_work *ended)
{
    VINE_ASSERT(!connection->is_closed);
    connection->ended = ended;
    if (ended != NULL && !connection->is_aborted && connection->ops->watch_end != NULL)
        connection->ops->watch_end(connection);
}

void vine__connection_look(struct vine_connection *connection)
{
    struct vine__network *const network = connection->network;
    struct vine_work *const closed = connection->closed;

    if (connection->users != 0 || connection->reader != NULL || !connection->has_let_go ||
        !connection->is_closed)
        return;
    if (connection->deadline != NULL)
        (void)vine_timer_cancel(&connection->deadline->timer);
    vine__closed_free(connection->deadline);
    vine__list_remove(&connection->link);
    if (!connection->is_layer) {
        network->counts.connections--;
        vine__listener_unchoose(network->core);
    }
    connection->ops->free(connection);
    if (closed != NULL)
        vine_work_post(closed);
    vine__network_look(network);
}

void vine__connection_let_go(struct vine_connection *connection)
{
    VINE_ASSERT(connection->is_aborted && !connection->has_let_go);
    connection->has_let_go = true;
    if (connection->is_closed)
        vine__connection_look(connection);
    else
        vine__network_look(connection->network);
}

void vine__connection_abort(struct vine_connection *connection)
{
    struct vine_receive *const reader = connection->reader;

    if (connection->is_aborted)
        return;
    connection->is_aborted = true;
    /* Its function has not seen the view, which goes now. */
    if (reader != NULL && reader->has_ended && reader->into == NULL) {
        reader->bytes = NULL;
        reader->size = -ECANCELED;
    }
    connection->ops->end_all(connection);
}

void vine_connection_close(struct vine_connection *connection, struct vine_work *done)
{
    VINE_ASSERT(!connection->is_closed);
    connection->is_closed = true;
    connection->closed = done;
    /* The stack tells of the end in a later turn, unless it has done so. */
    const bool has_let_go = connection->has_let_go;

    vine__connection_abort(connection);
    if (has_let_go)
        vine__connection_look(connection);
}

void vine__connection_drop(struct vine_connection *connection)
{
    vine_connection_close(connection, NULL);
}

int vine_connection_get_peer(struct vine_connection *connection, struct vine_address *ret_address)
{
    return connection->ops->get_address(connection, true, ret_address);
}

int vine_connection_get_address(struct vine_connection *connection,
                                struct vine_address *ret_address)
{
    return connection->ops->get_address(connection, false, ret_address);
}

static int socket_of(const struct vine_connection *connection)
{
    if (connection->ops->get_socket == NULL)
        return -EOPNOTSUPP;
    return connection->ops->get_socket(connection);
}

int vine_connection_get_credentials(struct vine_connection *connection,
                                    struct vine_credentials *ret_credentials)
{
    struct vine_credentials *const credentials = ret_credentials;
    const int fd = socket_of(connection);
    struct vine__socket_credentials peer;
    const int error = fd < 0 ? fd
                             : vine__socket_get_credentials(fd, &peer, credentials->groups,
                                                            VINE_CREDENTIALS_GROUPS_MAX);

    if (error != 0)
        return error;
    credentials->process = peer.process;
    credentials->user = peer.user;
    credentials->group = peer.group;
    credentials->group_count = peer.group_count;
    return 0;
}

void vine__connection_hang_up(struct vine_connection *connection)
{
    const int fd = socket_of(connection);

    if (fd < 0 || vine__socket_shutdown(fd, SHUT_RDWR) != 0)
        vine__connection_abort(connection);
}

/* ---- receiving ------------------------------------------------------------------------------- */

/* A connection waits for what comes again and again, mostly with one among many others that have a
 * deadline, too: so the timer is the connection's, and is stopped, not cancelled, which touches
 * nobody else's. It is there from the first deadline on. A send is mostly over at once, before the
 * neighbours of its timer are out of the cache; and there may be several. Theirs are their own. */

static void call_receive(struct vine_work *work)
{
    struct vine_receive *const receive = VINE_CONTAINER_OF(work, struct vine_receive, work);
    struct vine_connection *const connection = receive->connection;

    if (VINE__UNLIKELY(receive->has_deadline))
        (void)vine_timer_stop(&connection->deadline->timer);
    connection->reader = NULL;
    if (VINE__UNLIKELY(connection->is_closed))
        vine__connection_look(connection);
    receive->fn(receive);
}

void vine__receive_end_now(struct vine_receive *receive, const unsigned char *bytes, int64_t size)
{
    VINE_ASSERT_SLOW(!receive->has_ended);
    receive->bytes = bytes;
    receive->size = size;
    receive->has_ended = true;
    call_receive(&receive->work);
}

static void end_receive_soon(struct vine_receive *receive, int wish)
{
    if (receive->connection == NULL || receive->has_ended)
        return;
    receive->wish = wish;
    receive->connection->ops->receive_cancel(receive->connection, receive);
}

static void time_out_receive(struct vine_timer *timer)
{
    struct vine_connection *const connection =
        VINE_CONTAINER_OF(timer, struct vine__deadline, timer)->connection;

    VINE_ASSERT(connection->reader != NULL); /* else it would have been stopped */
    connection->network->counts.deadlines += !connection->reader->has_ended;
    end_receive_soon(connection->reader, -ETIMEDOUT);
}

void vine_receive_cancel(struct vine_receive *receive)
{
    end_receive_soon(receive, -ECANCELED);
}

/* Make sure that it has one. Returns whether it has. */
static bool have_deadline(struct vine_connection *connection)
{
    if (VINE__LIKELY(connection->deadline != NULL))
        return true;
    connection->deadline = vine__closed_alloc(sizeof(*connection->deadline));
    if (connection->deadline == NULL)
        return false;
    connection->deadline->connection = connection;
    vine_timer_init(&connection->deadline->timer, VINE_CLOCK_COARSE, time_out_receive);
    return true;
}

/* Returns 0, or -ENOMEM: its deadline cannot be kept. */
static int prepare_receive(struct vine_connection *connection, struct vine_receive *receive,
                           vine_receive_fn fn)
{
    int error = 0;

    receive->fn = fn;
    receive->connection = connection;
    receive->descriptor_count = 0;
    receive->wish = 0;
    receive->has_ended = false;
    receive->has_deadline = receive->deadline_ns != 0 && !connection->is_aborted;
    vine_work_init(&receive->work, call_receive);
    connection->reader = receive;
    if (VINE__UNLIKELY(receive->has_deadline)) {
        if (have_deadline(connection))
            vine_timer_arm_at(&connection->deadline->timer, receive->deadline_ns);
        else
            error = -ENOMEM;
        receive->has_deadline = error == 0;
    }
    return error;
}

static void begin_receive(struct vine_connection *connection, struct vine_receive *receive,
                          vine_receive_fn fn)
{
    VINE_ASSERT(!connection->is_closed && connection->reader == NULL);

    const int error = prepare_receive(connection, receive, fn);

    if (VINE__UNLIKELY(connection->is_aborted || error != 0))
        vine__receive_end(receive, NULL, error != 0 ? error : -VINE_ECLOSED);
    else
        connection->ops->receive(connection, receive);
}

bool vine__receive_move(struct vine_receive *from, struct vine_receive *to, vine_receive_fn fn)
{
    struct vine_connection *const connection = from->connection;

    if (connection == NULL || connection->reader != from || from->has_ended || from->wish != 0 ||
        from->into != NULL || connection->is_aborted ||
        (to->deadline_ns != 0 && !have_deadline(connection)))
        return false;
    if (from->has_deadline)
        (void)vine_timer_stop(&connection->deadline->timer);
    to->into = NULL;
    to->descriptors = NULL;
    return prepare_receive(connection, to, fn) == 0;
}

void vine_receive(struct vine_connection *connection, struct vine_receive *receive,
                  vine_receive_fn fn)
{
    receive->into = NULL;
    receive->descriptors = NULL;
    begin_receive(connection, receive, fn);
}

void vine_receive_into(struct vine_connection *connection, struct vine_receive *receive,
                       void *bytes, size_t size, vine_receive_fn fn)
{
    VINE_ASSERT(bytes != NULL && size != 0);
    receive->into = bytes;
    receive->into_bytes = size < INT32_MAX ? (uint32_t)size : INT32_MAX;
    receive->descriptors = NULL;
    begin_receive(connection, receive, fn);
}

void vine_receive_descriptors(struct vine_connection *connection, struct vine_receive *receive,
                              void *bytes, size_t size, int *descriptors, uint32_t count_max,
                              vine_receive_fn fn)
{
    VINE_ASSERT(bytes != NULL && size != 0);
    VINE_ASSERT(count_max != 0 && count_max <= VINE_DESCRIPTORS_MAX);
    receive->into = bytes;
    receive->into_bytes = size < INT32_MAX ? (uint32_t)size : INT32_MAX;
    receive->descriptors = descriptors;
    receive->descriptors_max = (uint8_t)count_max;
    begin_receive(connection, receive, fn);
}

/* ---- sending --------------------------------------------------------------------------------- */

static void call_send(struct vine_work *work)
{
    struct vine_send *const send = VINE_CONTAINER_OF(work, struct vine_send, work);
    struct vine_connection *const connection = send->connection;

    if (VINE__UNLIKELY(send->has_deadline))
        (void)vine_timer_cancel(&send->timer);
    connection->users--;
    if (VINE__UNLIKELY(connection->is_closed))
        vine__connection_look(connection);
    send->fn(send);
}

static void end_send_soon(struct vine_send *send, int wish)
{
    if (send->connection == NULL || send->has_ended || send->wish != 0)
        return;
    send->wish = wish;
    send->connection->ops->send_cancel(send->connection, send);
}

static void time_out_send(struct vine_timer *timer)
{
    struct vine_send *const send = VINE_CONTAINER_OF(timer, struct vine_send, timer);

    send->connection->network->counts.deadlines += !send->has_ended && send->wish == 0;
    end_send_soon(send, -ETIMEDOUT);
}

void vine_send_cancel(struct vine_send *send)
{
    end_send_soon(send, -ECANCELED);
}

/* What is sent has been filled in. */
static void begin_send(struct vine_connection *connection, struct vine_send *send,
                       enum vine__send_kind kind, vine_send_fn fn)
{
    VINE_ASSERT(!connection->is_closed);
    send->error = 0;
    send->sent = 0;
    send->fn = fn;
    send->connection = connection;
    send->next = NULL;
    send->kind = (uint8_t)kind;
    send->has_ended = false;
    send->has_deadline = send->deadline_ns != 0 && !connection->is_aborted;
    send->wish = 0;
    vine_work_init(&send->work, call_send);
    connection->users++;
    if (VINE__UNLIKELY(connection->is_aborted)) {
        vine__send_end(send, -VINE_ECLOSED);
        return;
    }
    if (VINE__UNLIKELY(send->has_deadline)) {
        vine_timer_init(&send->timer, VINE_CLOCK_COARSE, time_out_send);
        vine_timer_arm_at(&send->timer, send->deadline_ns);
    }
    connection->ops->send(connection, send);
}

void vine_send(struct vine_connection *connection, struct vine_send *send, const void *bytes,
               size_t size, vine_send_fn fn)
{
    send->bytes = bytes;
    send->size = size;
    send->vector_count = 0;
    send->descriptor_count = 0;
    begin_send(connection, send, VINE__SEND_BYTES, fn);
}

void vine_send_vector(struct vine_connection *connection, struct vine_send *send,
                      const struct iovec *vector, uint32_t count, vine_send_fn fn)
{
    VINE_ASSERT(count <= VINE_SEND_PIECES_MAX);
    send->vector = vector;
    send->vector_count = count;
    send->size = 0;
    for (uint32_t i = 0; i < count; i++)
        send->size += vector[i].iov_len;
    send->descriptor_count = 0;
    begin_send(connection, send, VINE__SEND_VECTOR, fn);
}

void vine_shutdown_send(struct vine_connection *connection, struct vine_send *send, vine_send_fn fn)
{
    send->bytes = NULL;
    send->size = 0;
    send->vector_count = 0;
    send->descriptor_count = 0;
    begin_send(connection, send, VINE__SEND_SHUTDOWN, fn);
}

void vine_send_descriptors(struct vine_connection *connection, struct vine_send *send,
                           const void *bytes, size_t size, const int *descriptors, uint32_t count,
                           vine_send_fn fn)
{
    send->bytes = bytes;
    send->size = size;
    send->vector_count = 0;
    send->descriptors = descriptors;
    send->descriptor_count =
        (uint8_t)(count <= VINE_DESCRIPTORS_MAX ? count : VINE_DESCRIPTORS_MAX + 1);
    begin_send(connection, send, VINE__SEND_DESCRIPTORS, fn);
}

void vine__send_file(struct vine_connection *connection, struct vine_send *send, const int *file_fd,
                     uint64_t offset, size_t size, vine_send_fn fn)
{
    VINE_ASSERT(connection->ops->sends_files);
    send->offset = offset;
    send->size = size;
    send->vector_count = 0;
    send->descriptors = file_fd;
    send->descriptor_count = 0;
    begin_send(connection, send, VINE__SEND_FILE, fn);
}
