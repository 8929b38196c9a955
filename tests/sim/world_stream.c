/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections as TCP's. What may go wrong, by the chances of the options: nothing arrives for a
 * while; both ends are reset, with what was on its way; less is moved than was asked for, down to
 * a byte; a multishot receive ends by itself. Who closes with something unread, or is sent
 * something after it has closed, resets the other end. An error is told to one operation, as a
 * kernel does: what comes after sees the end of the stream, or -EPIPE.
 */
#include "sim/world_net.h"

#include "utils/assert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT_BYTES 1460
#define BUFFER_BYTES  16384

/* ---- queues ---------------------------------------------------------------------------------- */

static void queue_open(struct world_queue *queue)
{
    queue->room =
        world.options.net_buffer_bytes != 0 ? world.options.net_buffer_bytes : BUFFER_BYTES;
    queue->at = malloc(queue->room);
    VINE_ASSERT(queue->at != NULL);
}

static void queue_put(struct world_queue *queue, const unsigned char *bytes, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        queue->at[(queue->head + queue->count + i) % queue->room] = bytes[i];
    queue->count += size;
}

static void queue_take(struct world_queue *queue, unsigned char *ret_bytes, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        ret_bytes[i] = queue->at[(queue->head + i) % queue->room];
    queue->head = (queue->head + size) % queue->room;
    queue->count -= size;
}

/* ---- what is on its way ---------------------------------------------------------------------- */

static void die(struct world_socket *socket, int error)
{
    if (socket->is_dead)
        return;
    socket->is_dead = true;
    socket->error = error;
    socket->out.count = 0;
    world_never(&socket->segment);
    world_socket_changed(socket);
}

void world_stream_reset(struct world_socket *socket, int error)
{
    die(socket, error);
    if (socket->other != NULL)
        die(socket->other, error);
}

static void arrive(struct world_event *event);

/* Have the next segment arrive, if there is one and room for it. */
static void go_on(struct world_socket *socket)
{
    const bool has_bytes = socket->out.count > 0;
    const bool has_room = socket->other->in.count < socket->other->in.room;
    const bool is_stalled = world_happens(world.options.net_stall);

    if (socket->is_dead || socket->segment.place != 0 || socket->has_sent_end)
        return;
    if (has_bytes ? has_room || socket->other->is_closed || socket->other->is_dead
                  : socket->sends_end)
        world_after(&socket->segment, 10 * US, is_stalled ? 300 * MS : 200 * US, arrive);
}

static void arrive_end(struct world_socket *socket)
{
    socket->has_sent_end = true;
    socket->other->has_end = true;
    world_socket_changed(socket->other);
}

static void arrive(struct world_event *event)
{
    struct world_socket *const socket = VINE_CONTAINER_OF(event, struct world_socket, segment);
    struct world_socket *const other = socket->other;
    unsigned char bytes[SEGMENT_BYTES];
    uint32_t most =
        world.options.net_segment_bytes != 0 ? world.options.net_segment_bytes : SEGMENT_BYTES;

    if (world_happens(world.options.net_reset)) {
        world_stream_reset(socket, ECONNRESET);
        return;
    }
    if (other->is_dead || (other->is_closed && socket->out.count > 0)) {
        die(socket, socket->has_end ? EPIPE : ECONNRESET);
        return;
    }
    most = most < socket->out.count ? most : socket->out.count;
    most = most < other->in.room - other->in.count ? most : other->in.room - other->in.count;
    if (most > 0) {
        const uint32_t size =
            world_happens(world.options.net_short) ? (uint32_t)world_between(1, most) : most;

        queue_take(&socket->out, bytes, size);
        queue_put(&other->in, bytes, size);
        world_socket_changed(other);
        world_socket_changed(socket);
    } else if (socket->out.count == 0 && socket->sends_end) {
        arrive_end(socket);
    }
    go_on(socket);
}

/* ---- lives ----------------------------------------------------------------------------------- */

void world_stream_pair(struct world_socket *here, struct world_socket *there)
{
    here->kind = WORLD_SOCKET_STREAM;
    here->other = there;
    there->other = here;
    queue_open(&here->in);
    queue_open(&here->out);
    queue_open(&there->in);
    queue_open(&there->out);
}

void world_stream_shut(struct world_socket *socket)
{
    socket->sends_end = true;
    go_on(socket);
    world_socket_changed(socket);
}

void world_stream_close(struct world_socket *socket)
{
    if (socket->other == NULL || socket->is_dead)
        return;
    if (socket->in.count > 0) {
        die(socket->other, socket->other->has_end ? EPIPE : ECONNRESET);
        die(socket, ECONNRESET);
        return;
    }
    socket->sends_end = true;
    go_on(socket);
    go_on(socket->other); /* what it has on its way ends here */
}

/* ---- operations ------------------------------------------------------------------------------ */

static int take_error(struct world_socket *socket)
{
    const int error = socket->error;

    socket->error = 0;
    return -error;
}

static uint32_t shortened(uint32_t size)
{
    return size > 1 && world_happens(world.options.net_short) ? (uint32_t)world_between(1, size)
                                                              : size;
}

static int32_t receive(struct world_socket *socket, unsigned char *bytes, uint32_t size)
{
    const uint32_t count = socket->in.count;

    if (count > 0) {
        const uint32_t moved = shortened(count < size ? count : size);

        queue_take(&socket->in, bytes, moved);
        go_on(socket->other); /* which has room now, and may be closed */
        return (int32_t)moved;
    }
    if (socket->error != 0)
        return take_error(socket);
    return socket->has_end || socket->is_dead ? 0 : WORLD_NOT_NOW;
}

/* Into buffers that are provided, until nothing is left. Returns how it ends. */
static int32_t receive_on(struct world_socket *socket, struct world_request *request,
                          uint32_t *ret_flags, uint16_t *ret_buffer)
{
    const struct vine__operation *const operation = request->operation;
    unsigned char *bytes;
    uint32_t size;

    for (;;) {
        if (socket->in.count == 0)
            return receive(socket, NULL, 0);
        if (!vine__sim_take_buffer(operation, ret_buffer, &bytes, &size))
            return -ENOBUFS;
        const int32_t moved = receive(socket, bytes, size);
        const bool is_enough = operation->size != 0 && world.seed % 2 == 0 &&
                               request->done + (uint32_t)moved >= operation->size;

        request->done += (uint32_t)moved;
        *ret_flags = VINE__POLL_BUFFER;
        if (is_enough || world_chance(50) == 0)
            return moved;
        world_tell(request, moved, VINE__POLL_BUFFER | VINE__POLL_MORE, *ret_buffer);
        *ret_flags = 0;
    }
}

static int32_t send_out(struct world_socket *socket, const unsigned char *bytes, uint32_t size)
{
    const uint32_t room = socket->out.room - socket->out.count;

    if (socket->error != 0)
        return take_error(socket);
    if (socket->is_dead || socket->sends_end)
        return -EPIPE;
    if (room == 0)
        return WORLD_NOT_NOW;
    const uint32_t moved = shortened(room < size ? room : size);

    queue_put(&socket->out, bytes, moved);
    go_on(socket);
    return (int32_t)moved;
}

/* All of it, for as long as nothing is wrong. */
static int32_t send_all(struct world_socket *socket, struct world_request *request)
{
    const struct vine__operation *const operation = request->operation;

    for (;;) {
        const int32_t done = (int32_t)request->done;
        const uint32_t left = operation->size - (uint32_t)done;
        const int32_t moved =
            done > 0 && (socket->is_dead || socket->error != 0)
                ? 0 /* the error is for the next one */
                : send_out(socket, (const unsigned char *)operation->bytes + done, left);

        if (moved == WORLD_NOT_NOW)
            return moved;
        if (moved <= 0)
            return done > 0 ? done : moved;
        request->done += (uint32_t)moved;
        if ((uint32_t)moved == left || (operation->flags & MSG_WAITALL) == 0 ||
            world_chance(100) == 0)
            return (int32_t)request->done;
    }
}

static int32_t send_vector(struct world_socket *socket, const struct msghdr *message)
{
    int32_t total = 0;

    world_holds(message->msg_controllen == 0, "descriptors are not simulated");
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        const struct iovec *const part = &message->msg_iov[i];
        const int32_t moved =
            part->iov_len > 0 ? send_out(socket, part->iov_base, (uint32_t)part->iov_len) : 0;

        if (moved < 0)
            return total > 0 ? total : moved;
        total += moved;
        if ((size_t)moved < part->iov_len)
            break;
    }
    return total;
}

static int32_t try_multishot(struct world_socket *socket, struct world_request *request)
{
    uint32_t flags = 0;
    uint16_t buffer = 0;
    const int32_t result = receive_on(socket, request, &flags, &buffer);

    if (result == WORLD_NOT_NOW || flags == 0)
        return result;
    /* The last one has a buffer: it is told here, as an end. */
    request->mark = (uint64_t)buffer + 1;
    return result;
}

int32_t world_stream_try(struct world_socket *socket, struct world_request *request)
{
    const struct vine__operation *const operation = request->operation;

    switch (operation->kind) {
    case VINE__POLL_RECEIVE:
        if (operation->is_multishot)
            return try_multishot(socket, request);
        return receive(socket, operation->bytes, operation->size);
    case VINE__POLL_SEND:
        return send_all(socket, request);
    case VINE__POLL_SEND_MESSAGE:
        return send_vector(socket, operation->message);
    default:
        world_break("an operation of kind %d on a connection", operation->kind);
    }
}
