/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/poll/sim_internal.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* ---- flows ----------------------------------------------------------------------------------- */

static struct vine__sim_flow *flow_create(const struct vine__sim *sim)
{
    struct vine__sim_flow *flow = calloc(1, sizeof(*flow));

    if (flow == NULL)
        return NULL;
    flow->bytes = malloc(sim->options.stream_bytes);
    if (flow->bytes == NULL) {
        free(flow);
        return NULL;
    }
    flow->capacity = sim->options.stream_bytes;
    flow->references = 2;
    return flow;
}

static void flow_unref(struct vine__sim_flow *flow)
{
    if (flow == NULL || --flow->references > 0)
        return;
    free(flow->bytes);
    free(flow);
}

static void flow_copy_in(struct vine__sim_flow *flow, const unsigned char *bytes, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        flow->bytes[(flow->head + flow->count + i) % flow->capacity] = bytes[i];
    flow->count += size;
}

static void flow_copy_out(struct vine__sim_flow *flow, unsigned char *bytes, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        bytes[i] = flow->bytes[(flow->head + i) % flow->capacity];
    flow->head = (flow->head + size) % flow->capacity;
    flow->count -= size;
}

void vine__sim_flow_reset(struct vine__sim *sim, struct vine__sim_pair flows)
{
    struct vine__sim_flow *both[2] = {flows.in, flows.out};

    for (int i = 0; i < 2; i++)
        if (both[i] != NULL) {
            both[i]->is_reset = true;
            both[i]->count = 0;
            vine__sim_flow_changed(sim, both[i]);
        }
}

void vine__sim_flows_close(struct vine__sim *sim, struct vine__sim_pair flows)
{
    if (flows.out != NULL)
        flows.out->is_ended = true;
    if (flows.in != NULL)
        flows.in->is_broken = true;
    vine__sim_flow_changed(sim, flows.out);
    vine__sim_flow_changed(sim, flows.in);
    flow_unref(flows.out);
    flow_unref(flows.in);
}

/* Two ends; `*ret_there` sees the other way round what `*ret_here` does. */
static int make_pair(const struct vine__sim *sim, struct vine__sim_pair *ret_here,
                     struct vine__sim_pair *ret_there)
{
    struct vine__sim_flow *in = flow_create(sim);
    struct vine__sim_flow *out = flow_create(sim);

    if (in == NULL || out == NULL) {
        for (int i = 0; i < 2; i++) {
            flow_unref(in);
            flow_unref(out);
        }
        return -ENOMEM;
    }
    *ret_here = (struct vine__sim_pair){.in = in, .out = out};
    *ret_there = (struct vine__sim_pair){.in = out, .out = in};
    return 0;
}

static int open_both(struct vine__sim *sim, struct vine__sim_pair here, struct vine__sim_pair there,
                     int ret_fds[2])
{
    const int one = vine__sim_open(
        sim, &(struct vine__sim_descriptor){.kind = VINE__SIM_STREAM, .flows = here});

    if (one < 0) {
        vine__sim_flows_close(sim, here);
        vine__sim_flows_close(sim, there);
        return one;
    }
    const int two = vine__sim_open(
        sim, &(struct vine__sim_descriptor){.kind = VINE__SIM_STREAM, .flows = there});

    if (two < 0) {
        vine__sim_close(sim, one);
        vine__sim_flows_close(sim, there);
        return two;
    }
    ret_fds[0] = one;
    ret_fds[1] = two;
    return 0;
}

int vine__sim_socketpair(struct vine__sim *sim, int ret_fds[2])
{
    struct vine__sim_pair here;
    struct vine__sim_pair there;
    const int error = make_pair(sim, &here, &there);

    return error != 0 ? error : open_both(sim, here, there, ret_fds);
}

int vine__sim_pipe(struct vine__sim *sim, int ret_fds[2])
{
    struct vine__sim_flow *flow = flow_create(sim);

    if (flow == NULL)
        return -ENOMEM;
    return open_both(sim, (struct vine__sim_pair){.in = flow}, (struct vine__sim_pair){.out = flow},
                     ret_fds);
}

int vine__sim_socket(struct vine__sim *sim, int *ret_fd)
{
    const int fd = vine__sim_open(sim, &(struct vine__sim_descriptor){.kind = VINE__SIM_SOCKET});

    if (fd < 0)
        return fd;
    *ret_fd = fd;
    return 0;
}

int vine__sim_listen(struct vine__sim *sim, const struct sockaddr *address, uint32_t address_size,
                     int *ret_fd)
{
    struct vine__sim_descriptor listener = {.kind = VINE__SIM_LISTENER,
                                            .address_size = address_size};

    if (address_size > sizeof(listener.address))
        return -EINVAL;
    memcpy(&listener.address, address, address_size);
    listener.backlog = calloc(VINE__SIM_BACKLOG, sizeof(*listener.backlog));
    if (listener.backlog == NULL)
        return -ENOMEM;
    const int fd = vine__sim_open(sim, &listener);

    if (fd < 0) {
        free(listener.backlog);
        return fd;
    }
    *ret_fd = fd;
    return 0;
}

/* ---- operations ------------------------------------------------------------------------------ */

static int32_t try_accept(struct vine__sim *sim, const struct vine__operation *operation,
                          struct vine__sim_descriptor *listener, uint32_t *ret_flags)
{
    if (listener->kind != VINE__SIM_LISTENER)
        return -EINVAL;
    if (listener->backlog_count == 0)
        return VINE__SIM_NOT_NOW;
    const int listener_fd = operation->fd;
    const int fd =
        vine__sim_open(sim, &(struct vine__sim_descriptor){.kind = VINE__SIM_STREAM,
                                                           .flows = listener->backlog[0]});

    if (fd < 0)
        return fd;
    listener = vine__sim_find(sim, listener_fd); /* the table may have moved */
    memmove(listener->backlog, listener->backlog + 1,
            --listener->backlog_count * sizeof(*listener->backlog));
    if (operation->is_multishot)
        *ret_flags = VINE__POLL_MORE;
    return fd;
}

static int32_t try_connect(struct vine__sim *sim, const struct vine__operation *operation,
                           struct vine__sim_descriptor *socket)
{
    if (socket->kind != VINE__SIM_SOCKET)
        return -EISCONN;
    for (uint32_t i = 0; i < sim->descriptor_count; i++) {
        struct vine__sim_descriptor *listener = &sim->descriptors[i];
        struct vine__sim_pair here;

        if (listener->kind != VINE__SIM_LISTENER || listener->address_size != operation->size ||
            memcmp(&listener->address, operation->address, operation->size) != 0)
            continue;
        if (listener->backlog_count == VINE__SIM_BACKLOG)
            return -EAGAIN;
        const int error = make_pair(sim, &here, &listener->backlog[listener->backlog_count]);

        if (error != 0)
            return error;
        listener->backlog_count++;
        socket->kind = VINE__SIM_STREAM;
        socket->flows = here;
        vine__sim_descriptor_changed(sim, listener);
        return 0;
    }
    return -ECONNREFUSED;
}

/* One stretch of memory to or from a flow, as much as goes. */
static int32_t move(struct vine__sim *sim, struct vine__sim_flow *flow, bool is_receive,
                    void *bytes, uint32_t size)
{
    if (flow == NULL)
        return -EBADF; /* the other end of a pipe */
    if (flow->is_reset)
        return -ECONNRESET;
    if (!is_receive && (flow->is_broken || flow->is_ended))
        return -EPIPE;
    if (size == 0)
        return 0;
    const uint32_t most = is_receive ? flow->count : flow->capacity - flow->count;

    if (most == 0)
        return is_receive && flow->is_ended ? 0 : VINE__SIM_NOT_NOW;
    const uint32_t moved = vine__sim_shortened(sim, size < most ? size : most);

    if (is_receive)
        flow_copy_out(flow, bytes, moved);
    else
        flow_copy_in(flow, bytes, moved);
    vine__sim_flow_changed(sim, flow);
    return (int32_t)moved;
}

static int32_t move_vector(struct vine__sim *sim, struct vine__sim_flow *flow, bool is_receive,
                           const struct iovec *vector, size_t count)
{
    int32_t total = 0;

    for (size_t i = 0; i < count; i++) {
        const int32_t moved =
            move(sim, flow, is_receive, vector[i].iov_base, (uint32_t)vector[i].iov_len);

        if (moved < 0)
            return total > 0 ? total : moved;
        total += moved;
        if ((size_t)moved < vector[i].iov_len)
            break;
    }
    return total;
}

/* With MSG_WAITALL until all of it has moved: `result` counts. */
static int32_t move_bytes(struct vine__sim *sim, struct vine__sim_flow *flow, bool is_receive,
                          struct vine__operation *operation)
{
    const bool is_socket =
        operation->kind != VINE__POLL_READ && operation->kind != VINE__POLL_WRITE;
    const bool is_all = is_socket && (operation->flags & MSG_WAITALL) != 0;

    for (;;) {
        const int32_t done = operation->result;
        const uint32_t left = operation->size - (uint32_t)done;
        const int32_t moved =
            move(sim, flow, is_receive, (unsigned char *)operation->bytes + done, left);

        if (moved == VINE__SIM_NOT_NOW && is_socket && (operation->flags & MSG_DONTWAIT) != 0)
            return done > 0 ? done : -EAGAIN;
        if (moved == VINE__SIM_NOT_NOW)
            return moved;
        if (moved <= 0)
            return done > 0 ? done : moved;
        if (!is_all || (uint32_t)moved == left)
            return done + moved;
        operation->result += moved;
    }
}

static int32_t receive_provided(struct vine__sim *sim, struct vine__sim_flow *flow,
                                struct vine__operation *operation, uint32_t *ret_flags)
{
    struct vine__poll_buffers *buffers = operation->buffers;
    uint16_t index;

    if (!vine__poll_buffers_take(buffers, &index))
        return -ENOBUFS;
    const int32_t moved =
        move(sim, flow, true, vine__poll_buffer(buffers, index), buffers->size_bytes);

    if (moved <= 0) {
        vine__poll_buffers_untake(buffers);
        return moved;
    }
    operation->buffer = index;
    *ret_flags = VINE__POLL_MORE | VINE__POLL_BUFFER;
    return moved;
}

static int32_t try_ready(const struct vine__operation *operation,
                         const struct vine__sim_descriptor *descriptor, uint32_t *ret_flags)
{
    const struct vine__sim_flow *in = descriptor->flows.in;
    const struct vine__sim_flow *out = descriptor->flows.out;
    uint32_t ready = 0;

    if (descriptor->backlog_count > 0 || (in != NULL && (in->count > 0 || in->is_ended)))
        ready |= POLLIN;
    if (out != NULL && (out->count < out->capacity || out->is_broken))
        ready |= POLLOUT;
    ready &= operation->flags;
    if ((in != NULL && in->is_reset) || (out != NULL && out->is_reset))
        ready |= POLLERR | POLLHUP;
    if (ready == 0)
        return VINE__SIM_NOT_NOW;
    if (operation->is_multishot)
        *ret_flags = VINE__POLL_MORE;
    return (int32_t)ready;
}

static int32_t try_shutdown(struct vine__sim *sim, const struct vine__operation *operation,
                            const struct vine__sim_descriptor *descriptor)
{
    if (descriptor->kind != VINE__SIM_STREAM)
        return -ENOTCONN;
    if (operation->flags != SHUT_RD && descriptor->flows.out != NULL)
        descriptor->flows.out->is_ended = true;
    if (operation->flags != SHUT_WR && descriptor->flows.in != NULL)
        descriptor->flows.in->is_ended = true;
    vine__sim_flow_changed(sim, descriptor->flows.out);
    vine__sim_flow_changed(sim, descriptor->flows.in);
    return 0;
}

static int32_t try_transfer(struct vine__sim *sim, struct vine__operation *operation,
                            const struct vine__sim_descriptor *descriptor, uint32_t *ret_flags)
{
    struct vine__sim_flow *in = descriptor->flows.in;
    struct vine__sim_flow *out = descriptor->flows.out;

    switch (operation->kind) {
    case VINE__POLL_READ:
        return move_bytes(sim, in, true, operation);
    case VINE__POLL_RECEIVE:
        return operation->is_multishot ? receive_provided(sim, in, operation, ret_flags)
                                       : move_bytes(sim, in, true, operation);
    case VINE__POLL_WRITE:
    case VINE__POLL_SEND:
        return move_bytes(sim, out, false, operation);
    case VINE__POLL_READV:
        return move_vector(sim, in, true, operation->vector, operation->size);
    case VINE__POLL_WRITEV:
        return move_vector(sim, out, false, operation->vector, operation->size);
    case VINE__POLL_RECEIVE_MESSAGE:
        operation->message->msg_controllen = 0;
        operation->message->msg_flags = 0;
        return move_vector(sim, in, true, operation->message->msg_iov,
                           operation->message->msg_iovlen);
    case VINE__POLL_SEND_MESSAGE:
        return move_vector(sim, out, false, operation->message->msg_iov,
                           operation->message->msg_iovlen);
    default:
        return -EINVAL;
    }
}

int32_t vine__sim_try_stream(struct vine__sim *sim, struct vine__operation *operation,
                             struct vine__sim_descriptor *descriptor, uint32_t *ret_flags)
{
    switch (operation->kind) {
    case VINE__POLL_ACCEPT:
        return try_accept(sim, operation, descriptor, ret_flags);
    case VINE__POLL_CONNECT:
        return try_connect(sim, operation, descriptor);
    case VINE__POLL_READY:
        return try_ready(operation, descriptor, ret_flags);
    case VINE__POLL_SHUTDOWN:
        return try_shutdown(sim, operation, descriptor);
    default:
        break;
    }
    if (descriptor->kind != VINE__SIM_STREAM)
        return -ENOTCONN;
    if (vine__sim_happens(sim, sim->options.error_per_thousand))
        vine__sim_flow_reset(sim, descriptor->flows);
    return try_transfer(sim, operation, descriptor, ret_flags);
}
