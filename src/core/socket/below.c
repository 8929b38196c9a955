/* SPDX-License-Identifier: Apache-2.0 */
/* core/socket/below.c - files of the outside that a coroutine asks for, inside. */

#include <string.h>

#include <vine/below.h>

#include "core/socket/socket.h"
#include "utils/container_of.h"

/* ---- opening --------------------------------------------------------------------------------- */

VINE__INSIDE void vine__below_open(struct vine_coroutine *that, struct vine_root root,
                                   const char *path)
{
    const size_t bytes = path != NULL ? strlen(path) + 1 : 0;
    struct vine__below *below;

    if (path == NULL)
        vine__misuse(that, "vine_open_below of nothing");
    that->operand = NULL;
    that->operand_at = 0;
    that->result = -ENAMETOOLONG;
    if (bytes > VINE_BELOW_PATH_MAX)
        return;
    below = (void *)vine__beyond_create(that, sizeof(*below) + bytes);
    if (below == NULL)
        return;
    below->root = root.number;
    memcpy(below->path, path, bytes);
    that->operand = &below->file;
}

VINE__INSIDE bool vine__below_opened(struct vine_coroutine *that)
{
    struct vine__below *below;

    if (that->operand == NULL)
        return true;
    below = VINE_CONTAINER_OF(that->operand, struct vine__below, file);
    if (that->operand_at++ == 0) {
        vine__ask(that, VINE__ASK_OPEN, below->beyond.at_end.place, (uintptr_t)below, NULL);
        return false;
    }
    /* Told as what it is without its sign: what is below 0 is raised. */
    that->result = -that->result;
    if (that->result != 0) {
        vine__beyond_leave(&below->beyond);
        that->operand = NULL;
    }
    return true;
}

VINE__INSIDE static struct vine__below *known(const struct vine_coroutine *that,
                                              struct vine_below *file)
{
    struct vine__below *const below = VINE_CONTAINER_OF(file, struct vine__below, file);

    if (file == NULL || !below->beyond.at_end.is_beyond)
        vine__misuse(that, "no file that is open");
    return below;
}

/* ---- sending --------------------------------------------------------------------------------- */

VINE__INSIDE void vine__below_send(struct vine_coroutine *that, struct vine_socket *socket,
                                   struct vine_below *file, uint64_t offset, uint64_t size_bytes)
{
    struct vine__below *const below = known(that, file);

    vine__write_begin(that, socket, NULL, 0);
    if (that->on->output != NULL)
        vine__misuse(that, "vine_send_file to a pipe between coroutines");
    if (file->is_folder) {
        vine__raise(that, -EISDIR);
        return;
    }
    below->offset = offset;
    below->size = size_bytes;
    that->operand = below;
    that->operand_size = size_bytes;
    that->result = 0;
}

VINE__INSIDE bool vine__below_sent(struct vine_coroutine *that)
{
    struct vine_socket *const socket = that->on;

    if (that->operand_size == 0 || that->operand_at++ > 0)
        return true;
    if (socket->out.error != 0) {
        that->error = socket->out.error;
        return true;
    }
    /* Until outside says that all is well again: nothing may be written behind a part of it. */
    socket->out.error = -EPIPE;
    socket->writer = that;
    that->waits = &socket->writer;
    vine__ask(that, VINE__ASK_SEND_FILE, socket->place, (uintptr_t)that->operand, NULL);
    return false;
}

VINE__INSIDE void vine__below_close(struct vine_coroutine *that, struct vine_below *file)
{
    vine__beyond_leave(&known(that, file)->beyond);
}
