/* SPDX-License-Identifier: Apache-2.0 */
/* core/socket/socket.c - reading from sockets and writing to them, inside. */

#include <stdarg.h>
#include <stdio.h>

#include <vine/heap.h>

#include "core/socket/socket.h"
#include "utils/atomic.h"

/* ---- reading --------------------------------------------------------------------------------- */

VINE__INSIDE void vine__read_begin(struct vine_coroutine *that, struct vine_socket *socket,
                                   void *bytes, size_t size_bytes)
{
    if (socket == NULL)
        vine__misuse(that, "it has no socket");
    if (socket->source != NULL)
        socket = socket->source;
    if (socket->input != NULL ? socket->input->reading.first != NULL : socket->reader != NULL)
        vine__misuse(that, "another coroutine reads from its socket");
    if (VINE__UNLIKELY(vine__is_local(that, bytes)))
        vine__misuse(that, "it reads into a local variable, which is gone once it has to wait");
    that->on = socket;
    that->operand = bytes;
    that->operand_size = size_bytes;
    that->operand_at = 0;
}

/* Nothing is there, or not enough: at the end of all, or ask for more, of which `kept` bytes that
 * are there stay in front. Returns whether it is over. */
VINE__INSIDE bool vine__socket_want(struct vine_coroutine *that, struct vine_socket *socket,
                                    uint32_t kept)
{
    if (socket->in.error != 0) {
        that->error = socket->in.error;
        return true;
    }
    if (socket->in.is_end)
        return true;
    socket->reader = that;
    that->waits = &socket->reader;
    if (socket->is_receiving) {
        vine__block(that);
    } else {
        socket->is_receiving = true;
        vine__ask(that, VINE__ASK_RECEIVE, socket->place, kept, &socket->is_receiving);
    }
    return false;
}

VINE__INSIDE bool vine__read(struct vine_coroutine *that)
{
    struct vine_socket *const socket = that->on;

    if (socket->input != NULL)
        return vine__flow_read(that);
    that->result = (int64_t)vine__incoming_take(&socket->in, that->operand, that->operand_size);
    return that->result > 0 || that->operand_size == 0 || vine__socket_want(that, socket, 0);
}

VINE__INSIDE bool vine__read_all(struct vine_coroutine *that)
{
    struct vine_socket *const socket = that->on;

    if (socket->input != NULL)
        return vine__flow_read_all(that);
    that->operand_at +=
        vine__incoming_take(&socket->in, (unsigned char *)that->operand + that->operand_at,
                            that->operand_size - that->operand_at);
    that->result = (int64_t)that->operand_at;
    return that->operand_at == that->operand_size || vine__socket_want(that, socket, 0);
}

VINE__INSIDE bool vine__readline(struct vine_coroutine *that)
{
    struct vine_socket *const socket = that->on;
    char *const text = that->operand;
    bool is_line = false;

    if (that->operand_size == 0)
        vine__misuse(that, "vine_readline into nothing");
    if (socket->input != NULL)
        return vine__flow_readline(that);

    const size_t room = that->operand_size - 1;

    that->operand_at += vine__incoming_line(&socket->in, text + that->operand_at,
                                            room - that->operand_at, &is_line);
    if (!is_line && that->operand_at < room && !vine__socket_want(that, socket, 0))
        return false;
    text[that->operand_at] = '\0';
    that->result = (int64_t)that->operand_at;
    return true;
}

VINE__INSIDE bool vine__look(struct vine_coroutine *that)
{
    struct vine_socket *const socket = that->on;
    const uint32_t left = vine__incoming_left(&socket->in);

    if (that->operand_size > VINE_LOOK_MAX) {
        vine__raise(that, -EMSGSIZE);
        return true;
    }
    if (socket->input != NULL)
        return vine__flow_look(that);
    if (left < that->operand_size && !vine__socket_want(that, socket, left))
        return false;
    that->operand = (void *)(uintptr_t)(socket->in.bytes + socket->in.at);
    that->result = left;
    return true;
}

VINE__INSIDE void vine__skip(struct vine_coroutine *that, struct vine_socket *socket,
                             size_t size_bytes)
{
    if (socket == NULL)
        vine__misuse(that, "it has no socket");
    if (socket->source != NULL)
        socket = socket->source;
    if (socket->input != NULL) {
        vine__flow_skip(that, socket->input, size_bytes);
        return;
    }
    if (size_bytes > vine__incoming_left(&socket->in))
        vine__misuse(that, "vine_skip of more than there is");
    socket->in.at += (uint32_t)size_bytes;
}

/* ---- writing --------------------------------------------------------------------------------- */

VINE__INSIDE void vine__write_begin(struct vine_coroutine *that, struct vine_socket *socket,
                                    const void *bytes, size_t size_bytes)
{
    if (socket == NULL)
        vine__misuse(that, "it has no socket");
    if (socket->sink != NULL)
        socket = socket->sink;
    if (socket->output != NULL ? socket->output->writing.first != NULL : socket->writer != NULL)
        vine__misuse(that, "another coroutine writes to its socket");
    if (VINE__UNLIKELY(vine__is_local(that, bytes)))
        vine__misuse(that, "it writes from a local variable, which is gone once it has to wait");
    vine__disown(that, that->scratch);
    that->scratch = NULL;
    that->on = socket;
    that->operand = (void *)(uintptr_t)bytes;
    that->operand_size = size_bytes;
    that->operand_at = 0;
}

/* A block to write into, if it has none. Returns whether there is room. */
VINE__INSIDE static bool has_room(struct vine__inside *inside, struct vine_socket *socket)
{
    if (socket->out.bytes == NULL) {
        if (inside->lent_used == VINE__LENT_MAX || inside->record->lent[inside->lent_used] == NULL)
            return false;
        socket->out.bytes = inside->record->lent[inside->lent_used++];
        socket->out.room = inside->record->lent_bytes;
        socket->out.size = 0;
        socket->block = (uint8_t)inside->lent_used;
    }
    socket->is_dirty = true;
    return socket->out.size < socket->out.room;
}

VINE__INSIDE static void want_room(struct vine_coroutine *that, struct vine_socket *socket)
{
    socket->writer = that;
    that->waits = &socket->writer;
    vine__ask(that, VINE__ASK_ROOM, socket->place, 0, NULL);
}

VINE__INSIDE uint32_t vine__socket_put(struct vine_coroutine *that, struct vine_socket *socket,
                                       const unsigned char *bytes, size_t size_bytes)
{
    if (VINE__UNLIKELY(socket->out.error != 0)) {
        that->error = socket->out.error;
        return 0;
    }
    if (!has_room(that->inside, socket)) {
        want_room(that, socket);
        return 0;
    }
    return (uint32_t)vine__outgoing_put(&socket->out, bytes, size_bytes);
}

VINE__INSIDE static bool write_out(struct vine_coroutine *that)
{
    while (that->operand_at < that->operand_size) {
        const uint32_t size = vine__socket_put(
            that, that->on, (const unsigned char *)that->operand + that->operand_at,
            that->operand_size - that->operand_at);

        if (size == 0)
            return that->error != 0;
        that->operand_at += size;
    }
    return true;
}

VINE__INSIDE bool vine__write(struct vine_coroutine *that)
{
    const bool is_over = that->on->output != NULL ? vine__flow_write(that) : write_out(that);

    if (is_over && that->scratch != NULL) {
        vine__disown(that, that->scratch);
        that->scratch = NULL;
    }
    return is_over;
}

VINE__INSIDE bool vine__room(struct vine_coroutine *that)
{
    struct vine_socket *const socket = that->on;

    if (that->operand_size > VINE_LOOK_MAX) {
        vine__raise(that, -EMSGSIZE);
        return true;
    }
    if (socket->output != NULL)
        return vine__flow_room(that);
    if (VINE__UNLIKELY(socket->out.error != 0)) {
        that->error = socket->out.error;
        return true;
    }
    if (!has_room(that->inside, socket) ||
        socket->out.room - socket->out.size < that->operand_size) {
        want_room(that, socket);
        return false;
    }
    that->operand = socket->out.bytes + socket->out.size;
    that->result = socket->out.room - socket->out.size;
    return true;
}

VINE__INSIDE void vine__wrote(struct vine_coroutine *that, struct vine_socket *socket,
                              size_t size_bytes)
{
    if (socket == NULL)
        vine__misuse(that, "it has no socket");
    if (socket->sink != NULL)
        socket = socket->sink;
    if (socket->output != NULL) {
        vine__flow_wrote(that, socket->output, size_bytes);
        return;
    }
    if (size_bytes > socket->out.room - socket->out.size)
        vine__misuse(that, "vine_wrote of more than there was room for");
    socket->out.size += (uint32_t)size_bytes;
}

VINE__INSIDE void vine__writef(struct vine_coroutine *that, struct vine_socket *socket,
                               const char *format, ...)
{
    va_list list, again;
    char *text = NULL;
    int length;

    vine__write_begin(that, socket, NULL, 0);
    socket = that->on;
    if (socket->output == NULL && socket->out.error != 0) {
        vine__raise(that, socket->out.error);
        return;
    }
    va_start(list, format);
    va_copy(again, list);
    if (socket->output == NULL && has_room(that->inside, socket)) {
        const uint32_t room = socket->out.room - socket->out.size;

        length = vsnprintf((char *)socket->out.bytes + socket->out.size, room, format, list);
        if (length >= 0 && (uint32_t)length < room) {
            socket->out.size += (uint32_t)length;
            goto out;
        }
    } else {
        length = vsnprintf(NULL, 0, format, list);
    }
    if (length < 0) {
        vine__raise(that, -EINVAL);
        goto out;
    }
    text = vine__own(that, (size_t)length + 1);
    if (text == NULL) {
        vine__raise(that, -ENOMEM);
        goto out;
    }
    (void)vsnprintf(text, (size_t)length + 1, format, again);
    that->scratch = text;
    that->operand = text;
    that->operand_size = (size_t)length;
out:
    va_end(again);
    va_end(list);
}

VINE__INSIDE void vine__flush(struct vine_coroutine *that, struct vine_socket *socket)
{
    if (socket == NULL)
        vine__misuse(that, "it has no socket");
    if (socket->sink != NULL)
        socket = socket->sink;
    that->error = socket->output != NULL ? vine__flow_error(socket->output) : socket->out.error;
}

VINE__INSIDE void vine__drain(struct vine_coroutine *that, struct vine_socket *socket)
{
    vine__write_begin(that, socket, NULL, 0);
    that->operand_size = VINE__ASK_SENT;
}

VINE__INSIDE void vine__close_output(struct vine_coroutine *that, struct vine_socket *socket)
{
    vine__write_begin(that, socket, NULL, 0);
    that->operand_size = VINE__ASK_NO_MORE;
    if (that->on->output != NULL)
        vine__flow_shut(that->on->output);
}

VINE__INSIDE void vine__close_input(struct vine_coroutine *that, struct vine_socket *socket)
{
    vine__read_begin(that, socket, NULL, 0);
    socket = that->on;
    if (socket->input != NULL) {
        vine__flow_close_input(socket->input);
        return;
    }
    socket->in.is_end = true;
    socket->in.at = socket->in.size;
}

VINE__INSIDE bool vine__drained(struct vine_coroutine *that)
{
    if (that->on->output != NULL)
        return that->operand_size == VINE__ASK_NO_MORE || vine__flow_drained(that);
    if (that->operand_at++ > 0)
        return true; /* it was asked for, and answered */
    that->on->writer = that;
    that->waits = &that->on->writer;
    vine__ask(that, (enum vine__ask_kind)that->operand_size, that->on->place, 0, NULL);
    return false;
}

/* ---- what a run brings ----------------------------------------------------------------------- */

VINE__INSIDE void vine__socket_received(struct vine_socket *socket, const struct vine__item *item)
{
    struct vine_coroutine *const reader = socket->reader;

    socket->is_receiving = false;
    if (item->bytes != NULL) {
        socket->in.bytes = item->bytes;
        if (!item->is_more)
            socket->in.at = 0;
        socket->in.size = (uint32_t)item->result;
    }
    if (item->is_end)
        socket->in.is_end = true;
    if (item->result < 0)
        socket->in.error = (int)item->result;
    if (reader == NULL)
        return;
    if (item->result < 0)
        reader->error = (int)item->result;
    vine__wake(reader, item->result);
}

VINE__INSIDE void vine__socket_renew(struct vine_socket *socket, const struct vine__item *item)
{
    if (item->result == 0)
        return;
    socket->in = (struct vine__incoming){
        .bytes = item->bytes, .size = (uint32_t)(item->result - 1), .is_end = item->is_end};
    socket->out = (struct vine__outgoing){.error = 0};
}
