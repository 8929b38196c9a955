/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending files on the kernel's sockets: as much at a time as the socket has room for, by one call,
 * since what paces a connection (bbr) takes each call for a burst of its own: a file of 1 MiB in
 * four parts took three times the processor time of one in a single call. Reading from the disk
 * waits: a worker of the poller's does that, for what is not in memory.
 */
#include "core/network/posix_internal.h"

#include <errno.h>
#include <poll.h>

#include "arch/net/socket.h"
#include "arch/storage/beneath.h"
#include "utils/bits.h"
#include "utils/container_of.h"

#define AT_ONCE_MAX (2048 * 1024U)

static size_t part_of(const struct vine_send *send)
{
    return (size_t)vine__min_u64(send->size, AT_ONCE_MAX);
}

/* On another thread; this core leaves the send alone until it has ended. */
static int32_t fetch(void *context)
{
    const struct vine_send *const send = context;

    return vine__beneath_fetch(*send->descriptors, send->offset, part_of(send));
}

static int send_part(struct posix_connection *connection);

static void go_on(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    const struct posix_sending *const sending =
        VINE_CONTAINER_OF(operation, struct posix_sending, operation);
    struct posix_connection *const connection = sending->connection;
    const struct vine_send *const send = sending->sends.first;
    int outcome;

    (void)flags;
    connection->is_sending = false;
    if (send->wish != 0)
        outcome = send->wish;
    else if (result < 0 && result != -EINTR && result != -EAGAIN)
        outcome = result;
    else if (operation->kind == VINE__POLL_CALL) /* it is here, or was: once is enough */
        outcome = send_part(connection);
    else
        outcome = vine__posix_send_file(connection);
    vine__posix_send_see(connection, outcome);
}

static int wait_for(struct posix_connection *connection, enum vine__poll_kind kind)
{
    struct vine__operation *const operation = &connection->sending->operation;

    *operation = (struct vine__operation){.fn = go_on, .kind = (uint8_t)kind};
    if (kind == VINE__POLL_CALL) {
        operation->call = fetch;
        operation->context = connection->sending->sends.first;
    } else {
        operation->fd = connection->fd;
        operation->flags = POLLOUT;
    }
    connection->is_sending = true;
    vine__poller_begin(connection->base.network->poller, operation);
    return 1;
}

static int send_part(struct posix_connection *connection)
{
    struct vine_network_counts *const counts = &connection->base.network->counts;
    struct vine_send *const send = connection->sending->sends.first;
    const size_t part = part_of(send);
    const int64_t sent =
        vine__socket_send_file(connection->fd, *send->descriptors, send->offset, part);

    if (sent == 0)
        return -EIO; /* the file is shorter than it was */
    if (sent < 0 && sent != -EAGAIN && sent != -EINTR) {
        counts->send_errors++;
        return (int)sent;
    }
    if (sent <= 0)
        return wait_for(connection, VINE__POLL_READY);
    send->sent = (size_t)sent;
    counts->sent_bytes += (size_t)sent;
    counts->sends++;
    return 0;
}

int vine__posix_send_file(struct posix_connection *connection)
{
    const struct vine_send *const send = connection->sending->sends.first;

    if (!vine__beneath_is_here(*send->descriptors, send->offset, part_of(send)))
        return wait_for(connection, VINE__POLL_CALL);
    return send_part(connection);
}
