/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/socket/pipe.c - bytes between coroutines of one heap.
 *
 * A pipe has memory while there is something in it, or somebody may still look at what there was:
 * it is given back where a reader finds nothing and waits.
 */

#include "core/socket/socket.h"

#define ROOM_MIN 256U

/* ---- memory ---------------------------------------------------------------------------------- */

VINE__INSIDE static void give_back(struct vine__flow *pipe)
{
    vine__disown(pipe->owner, pipe->ring.bytes);
    pipe->ring = (struct vine__ring){0};
}

/* What was looked at is not any more. */
VINE__INSIDE static void look_away(struct vine__flow *pipe)
{
    vine__disown(pipe->owner, pipe->looked_at);
    pipe->looked_at = NULL;
    pipe->is_looked_at = false;
}

/* Returns whether it has so much room now. */
VINE__INSIDE static bool move(struct vine__flow *pipe, uint32_t room)
{
    unsigned char *const was = pipe->ring.bytes;
    unsigned char *const bytes = vine__own(pipe->owner, room);

    if (bytes == NULL)
        return false;
    vine__ring_move(&pipe->ring, bytes, room);
    if (pipe->is_looked_at && pipe->looked_at == NULL)
        pipe->looked_at = was;
    else
        vine__disown(pipe->owner, was);
    return true;
}

/* Something has come, or will not any more. */
VINE__INSIDE static void came(struct vine__flow *pipe)
{
    vine__wake_first(&pipe->reading, 0);
    vine__pollers_wake(pipe->owner->inside);
}

/* ---- reading --------------------------------------------------------------------------------- */

VINE__INSIDE bool vine__flow_is_at_end(const struct vine__flow *pipe)
{
    return pipe->is_shut || pipe->is_deaf || (pipe->has_writers && pipe->writers == 0);
}

/* Something was taken. */
VINE__INSIDE static void took(struct vine__flow *pipe)
{
    vine__wake_first(&pipe->writing, 0);
}

/* There is not enough. Returns whether it is over. */
VINE__INSIDE bool vine__flow_want(struct vine_coroutine *that, struct vine__flow *pipe)
{
    if (pipe->ring.size == 0)
        give_back(pipe);
    if (vine__flow_is_at_end(pipe))
        return true;
    vine__wait(that, &pipe->reading);
    took(pipe); /* there is room, and who drains has not to wait for one that waits */
    return false;
}

VINE__INSIDE bool vine__flow_read(struct vine_coroutine *that)
{
    struct vine__flow *const pipe = that->on->input;

    look_away(pipe);
    that->result = (int64_t)vine__ring_take(&pipe->ring, that->operand, that->operand_size);
    if (that->result == 0)
        return that->operand_size == 0 || vine__flow_want(that, pipe);
    took(pipe);
    return true;
}

VINE__INSIDE bool vine__flow_read_all(struct vine_coroutine *that)
{
    struct vine__flow *const pipe = that->on->input;
    const size_t size =
        vine__ring_take(&pipe->ring, (unsigned char *)that->operand + that->operand_at,
                        that->operand_size - that->operand_at);

    look_away(pipe);
    that->operand_at += size;
    that->result = (int64_t)that->operand_at;
    if (size > 0)
        took(pipe);
    return that->operand_at == that->operand_size || vine__flow_want(that, pipe);
}

VINE__INSIDE bool vine__flow_readline(struct vine_coroutine *that)
{
    struct vine__flow *const pipe = that->on->input;
    char *const text = that->operand;
    const size_t room = that->operand_size - 1;
    bool is_line = false;
    const size_t size =
        vine__ring_line(&pipe->ring, text + that->operand_at, room - that->operand_at, &is_line);

    look_away(pipe);
    that->operand_at += size;
    if (size > 0)
        took(pipe);
    if (!is_line && that->operand_at < room && !vine__flow_want(that, pipe))
        return false;
    text[that->operand_at] = '\0';
    that->result = (int64_t)that->operand_at;
    return true;
}

VINE__INSIDE bool vine__flow_look(struct vine_coroutine *that)
{
    struct vine__flow *const pipe = that->on->input;
    struct vine__ring *const ring = &pipe->ring;

    look_away(pipe);
    while (pipe->room_max < that->operand_size)
        pipe->room_max *= 2;
    if (ring->size < that->operand_size && !vine__flow_want(that, pipe))
        return false;
    if (ring->at + ring->size > ring->room && !move(pipe, ring->room)) {
        vine__raise(that, -ENOMEM);
        return true;
    }
    pipe->is_looked_at = true;
    that->operand = ring->bytes + ring->at;
    that->result = ring->size;
    return true;
}

VINE__INSIDE uint32_t vine__flow_peek(struct vine__flow *pipe, const unsigned char **ret_bytes)
{
    const struct vine__ring *const ring = &pipe->ring;

    look_away(pipe);
    *ret_bytes = ring->bytes + ring->at;
    return ring->at + ring->size > ring->room ? ring->room - ring->at : ring->size;
}

VINE__INSIDE void vine__flow_skip(struct vine_coroutine *that, struct vine__flow *pipe,
                                  size_t size_bytes)
{
    if (size_bytes > pipe->ring.size)
        vine__misuse(that, "vine_skip of more than there is");
    if (size_bytes == 0)
        return;
    vine__ring_skip(&pipe->ring, (uint32_t)size_bytes);
    took(pipe);
}

VINE__INSIDE void vine__flow_close_input(struct vine__flow *pipe)
{
    pipe->is_deaf = true;
    look_away(pipe);
    give_back(pipe);
    took(pipe);
    vine__pollers_wake(pipe->owner->inside);
}

/* ---- writing --------------------------------------------------------------------------------- */

VINE__INSIDE int vine__flow_error(const struct vine__flow *pipe)
{
    return pipe->is_shut || pipe->is_deaf || (pipe->has_readers && pipe->readers == 0) ? -EPIPE : 0;
}

/* Room for `size` bytes, or some of them. Returns false: there is none. */
VINE__INSIDE static bool has_room(struct vine__flow *pipe, size_t size)
{
    const uint32_t wanted =
        pipe->ring.size + (uint32_t)(size < pipe->room_max ? size : pipe->room_max);
    uint32_t room = pipe->ring.room > ROOM_MIN ? pipe->ring.room : ROOM_MIN;

    while (room < wanted && room < pipe->room_max)
        room *= 2;
    if (room > pipe->ring.room)
        (void)move(pipe, room); /* without memory what there is has to do */
    return pipe->ring.size < pipe->ring.room;
}

VINE__INSIDE uint32_t vine__flow_put(struct vine_coroutine *that, struct vine__flow *pipe,
                                     const unsigned char *bytes, size_t size_bytes)
{
    uint32_t size;

    that->error = vine__flow_error(pipe);
    if (that->error != 0)
        return 0;
    if (!has_room(pipe, size_bytes)) {
        if (pipe->ring.size == 0)
            vine__raise(that, -ENOMEM);
        else
            vine__wait(that, &pipe->writing);
        return 0;
    }
    size = (uint32_t)vine__ring_put(&pipe->ring, bytes, size_bytes);
    came(pipe);
    return size;
}

VINE__INSIDE bool vine__flow_write(struct vine_coroutine *that)
{
    while (that->operand_at < that->operand_size) {
        const uint32_t size = vine__flow_put(
            that, that->on->output, (const unsigned char *)that->operand + that->operand_at,
            that->operand_size - that->operand_at);

        if (size == 0)
            return that->error != 0;
        that->operand_at += size;
    }
    return true;
}

/* What may be written in one piece, behind what there is. */
VINE__INSIDE static uint32_t piece(const struct vine__ring *ring)
{
    const uint32_t end = ring->at + ring->size;

    return end < ring->room ? ring->room - end : ring->room - ring->size;
}

VINE__INSIDE bool vine__flow_room(struct vine_coroutine *that)
{
    struct vine__flow *const pipe = that->on->output;
    struct vine__ring *const ring = &pipe->ring;
    const uint32_t least = that->operand_size > 0 ? (uint32_t)that->operand_size : 1;

    that->error = vine__flow_error(pipe);
    if (that->error != 0)
        return true;
    while (pipe->room_max < least)
        pipe->room_max *= 2;
    if (pipe->room_max - ring->size < least) {
        vine__wait(that, &pipe->writing);
        return false;
    }
    if (!has_room(pipe, least) || ring->room - ring->size < least ||
        (piece(ring) < least && !move(pipe, ring->room))) {
        vine__raise(that, -ENOMEM);
        return true;
    }
    that->operand = ring->bytes + ((ring->at + ring->size) & (ring->room - 1));
    that->result = piece(ring);
    return true;
}

VINE__INSIDE void vine__flow_wrote(struct vine_coroutine *that, struct vine__flow *pipe,
                                   size_t size_bytes)
{
    if (size_bytes > pipe->ring.room - pipe->ring.size)
        vine__misuse(that, "vine_wrote of more than there was room for");
    pipe->ring.size += (uint32_t)size_bytes;
    if (size_bytes > 0)
        came(pipe);
}

VINE__INSIDE bool vine__flow_drained(struct vine_coroutine *that)
{
    struct vine__flow *const pipe = that->on->output;

    if (pipe->ring.size == 0 || pipe->reading.first != NULL)
        return true;
    if (pipe->is_deaf || (pipe->has_readers && pipe->readers == 0)) {
        that->error = -EPIPE;
        return true;
    }
    vine__wait(that, &pipe->writing);
    return false;
}

VINE__INSIDE void vine__flow_shut(struct vine__flow *pipe)
{
    pipe->is_shut = true;
    vine__wake_all(&pipe->reading, 0);
    vine__pollers_wake(pipe->owner->inside);
}

/* ---- making ---------------------------------------------------------------------------------- */

/* A socket and, behind it, so many pipes. NULL: -ENOMEM is raised. */
VINE__INSIDE static struct vine__flow *make(struct vine_coroutine *that, uint32_t sockets,
                                            uint32_t pipes)
{
    struct vine__flow *const pipe =
        vine__own(that, pipes * sizeof(struct vine__flow) + sockets * sizeof(struct vine_socket));

    if (pipe == NULL) {
        vine__raise(that, -ENOMEM);
        return NULL;
    }
    for (uint32_t i = 0; i < pipes; i++) {
        pipe[i].room_max = VINE_PIPE_BYTES;
        pipe[i].owner = that;
    }
    return pipe;
}

VINE__INSIDE struct vine_socket *vine__pipe(struct vine_coroutine *that)
{
    struct vine__flow *const pipe = make(that, 1, 1);

    if (pipe == NULL)
        return NULL;

    struct vine_socket *const socket = (void *)(pipe + 1);

    socket->input = pipe;
    socket->output = pipe;
    return socket;
}

VINE__INSIDE struct vine_socket *vine__pair(struct vine_coroutine *that)
{
    struct vine__flow *const pipes = make(that, 2, 2);

    if (pipes == NULL)
        return NULL;

    struct vine_socket *const sockets = (void *)(pipes + 2);

    sockets[0].input = &pipes[0];
    sockets[0].output = &pipes[1];
    sockets[1].input = &pipes[1];
    sockets[1].output = &pipes[0];
    that->operand = &sockets[1];
    return &sockets[0];
}

/* A child's own: when it ends, so do its directions. */
struct joint {
    struct vine_socket socket;
    struct vine__at_end reads, writes;
};

VINE__INSIDE static void join(struct vine_coroutine *child, struct joint *joint,
                              struct vine_socket *input, struct vine_socket *output)
{
    struct vine__flow *const in = input->input;
    struct vine__flow *const out = output->output;

    joint->socket.input = in;
    joint->socket.output = out;
    joint->socket.source = in != NULL ? NULL : input->source != NULL ? input->source : input;
    joint->socket.sink = out != NULL ? NULL : output->sink != NULL ? output->sink : output;
    if (in != NULL) {
        in->has_readers = true;
        in->readers++;
        joint->reads = (struct vine__at_end){.count = &in->readers, .waiters = &in->writing};
        vine__at_end_add(child, &joint->reads);
    }
    if (out != NULL) {
        out->has_writers = true;
        out->writers++;
        joint->writes = (struct vine__at_end){.count = &out->writers, .waiters = &out->reading};
        vine__at_end_add(child, &joint->writes);
    }
    child->socket = &joint->socket;
}

VINE__INSIDE struct vine_coroutine *vine__child_on(struct vine_coroutine *that,
                                                   const struct vine_coroutine_type *type,
                                                   void *argument, struct vine_socket *input,
                                                   struct vine_socket *output)
{
    struct vine_coroutine *child;
    struct joint *joint;

    if (input == NULL || output == NULL)
        vine__misuse(that, "vine_child_on without a socket");
    joint = vine__own(that, sizeof(*joint));
    if (joint == NULL) {
        vine__raise(that, -ENOMEM);
        return NULL;
    }
    child = vine__child(that, type, argument, VINE__CHILD_JOINED);
    if (child == NULL) {
        vine__disown(that, joint);
        return NULL;
    }
    vine__pass(that, child, joint);
    join(child, joint, input, output);
    return child;
}
