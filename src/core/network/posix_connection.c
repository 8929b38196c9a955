/* SPDX-License-Identifier: Apache-2.0 */
#include "core/network/posix_internal.h"

#include <errno.h>

#include "arch/guard/closed.h"
#include "arch/net/socket.h"
#include "utils/atomic.h"
#include "utils/container_of.h"

/* ---- the end --------------------------------------------------------------------------------- */

static void on_closed(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct posix_connection *const connection =
        VINE_CONTAINER_OF(operation, struct posix_connection, receive);

    (void)flags;
    /* A poller that is going down has not done it. */
    if (result == -ECANCELED)
        vine__socket_close(connection->fd);
    connection->fd = -1;
    if (VINE__UNLIKELY(connection->base.is_shed))
        vine__posix_shed_ended(&connection->base);
    vine__connection_let_go(&connection->base);
}

void vine__posix_connection_look(struct posix_connection *connection)
{
    if (!connection->base.is_aborted || connection->is_closing || connection->is_sending ||
        connection->receiving != POSIX_RECEIVES_NOT)
        return;
    connection->is_closing = true;
    /* Not before: a view may be what is being sent. */
    vine__posix_receive_fini(connection);
    VINE_ASSERT(connection->sending == NULL && !connection->is_waiting);
    connection->receive =
        (struct vine__operation){.fn = on_closed, .kind = VINE__POLL_CLOSE, .fd = connection->fd};
    vine__poller_begin(connection->base.network->poller, &connection->receive);
}

static void posix_end_all(struct vine_connection *base)
{
    struct posix_connection *const connection = vine__posix_of(base);
    struct posix_sending *const sending = connection->sending;

    if (sending != NULL && sending->connect != NULL) {
        sending->connect->wish = -ECANCELED;
        vine__poller_cancel(base->network->poller, &sending->operation);
    }
    vine__posix_receive_abort(connection);
    vine__posix_send_abort(connection);
    vine__posix_connection_look(connection);
}

static void posix_free(struct vine_connection *base)
{
    vine__closed_free(vine__posix_of(base));
}

static int posix_get_address(struct vine_connection *base, bool is_peer,
                             struct vine_address *ret_address)
{
    const struct posix_connection *const connection = vine__posix_of(base);
    struct vine_address address = {0};
    int error;

    if (connection->fd < 0)
        return -ENOTCONN;
    if (is_peer)
        error = vine__socket_get_peer(connection->fd, &address.any, sizeof(address.local),
                                      &address.size_bytes);
    else
        error = vine__socket_get_address(connection->fd, &address.any, sizeof(address.local),
                                         &address.size_bytes);
    if (error == 0)
        *ret_address = address;
    return error;
}

static int posix_get_socket(const struct vine_connection *base)
{
    const int fd = VINE_CONTAINER_OF(base, const struct posix_connection, base)->fd;

    return fd < 0 ? -ENOTCONN : fd;
}

const struct vine__connection_ops vine__posix_connection_ops = {
    .sends_files = true,
    .receive = vine__posix_receive,
    .receive_cancel = vine__posix_receive_cancel,
    .paint = vine__posix_paint,
    .send = vine__posix_send,
    .send_cancel = vine__posix_send_cancel,
    .end_all = posix_end_all,
    .get_address = posix_get_address,
    .get_socket = posix_get_socket,
    .watch_end = vine__posix_watch_end,
    .free = posix_free,
};

/* ---- the beginning --------------------------------------------------------------------------- */

struct posix_connection *vine__posix_connection_create(struct vine__network *network, int fd,
                                                       bool is_local, bool is_counted)
{
    struct posix_connection *const connection = vine__closed_alloc(sizeof(*connection));

    if (connection == NULL) {
        vine__socket_close(fd);
        return NULL;
    }
    connection->pool = &((struct posix_pools *)network->state)->plain;
    connection->fd = fd;
    connection->is_local = is_local;
    connection->held_first = POSIX_NO_BUFFER;
    connection->view = POSIX_NO_BUFFER;
    vine__connection_init(&connection->base, network, &vine__posix_connection_ops, is_counted);
    return connection;
}

static void on_connected(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct posix_sending *const sending =
        VINE_CONTAINER_OF(operation, struct posix_sending, operation);
    struct posix_connection *const connection = sending->connection;
    struct vine_connect *const connect = sending->connect;

    (void)flags;
    connection->is_sending = false;
    sending->connect = NULL;
    vine__posix_sending_give(connection);
    if (result == 0) {
        connection->base.network->counts.connected++;
        vine__connect_end(connect, 0, &connection->base);
        vine__posix_connection_look(connection);
        return;
    }
    if ((result == -ECANCELED || result == -EINTR) && connect->wish != 0)
        result = connect->wish;
    connection->base.network->counts.connect_failures += result != -ECANCELED;
    vine__connect_end(connect, result, NULL);
    vine__posix_connection_look(connection);
    vine__connection_drop(&connection->base);
}

static int open_socket(const struct vine_connect *connect, int *ret_fd)
{
    const struct vine__socket_options options = {
        .gathers_small_writes = connect->gathers_small_writes,
        .keepalive_s = connect->keepalive_s,
        .receive_bytes = connect->receive_bytes,
        .send_bytes = connect->send_bytes,
    };
    int fd;
    int error = vine__socket_create(connect->address.any.sa_family, SOCK_STREAM, &options, &fd);

    if (error != 0)
        return error;
    if (connect->from != NULL)
        error = vine__socket_bind(fd, &connect->from->any, connect->from->size_bytes);
    if (error != 0) {
        vine__socket_close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

void vine__posix_connect(struct vine__network *network, struct vine_connect *connect)
{
    struct posix_connection *connection = NULL;
    int fd;
    int error = open_socket(connect, &fd);

    if (error == 0) {
        connection = vine__posix_connection_create(
            network, fd, connect->address.any.sa_family == AF_UNIX, false);
        error = connection == NULL || vine__posix_sending_take(connection) == NULL ? -ENOMEM : 0;
    }
    if (error != 0) {
        vine__connect_end(connect, error, NULL);
        if (connection != NULL)
            vine__connection_drop(&connection->base);
        return;
    }
    connect->begun = &connection->base;
    connection->sending->connect = connect;
    connection->is_sending = true;
    connection->sending->operation = (struct vine__operation){
        .fn = on_connected,
        .kind = VINE__POLL_CONNECT,
        .fd = fd,
        .address = &connect->address.any,
        .offset = 0,
        .size = connect->address.size_bytes,
    };
    vine__poller_begin(network->poller, &connection->sending->operation);
}

void vine__posix_connect_cancel(struct vine_connect *connect)
{
    const struct posix_connection *const connection = vine__posix_of(connect->begun);

    vine__poller_cancel(connection->base.network->poller, &connection->sending->operation);
}
