/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/socket/splice.c - bytes from one socket to another, inside.
 *
 * What has come already, and whatever comes from or goes to a pipe, is copied once, here. From one
 * connection to another the rest goes by outside, in blocks that are received into and sent, and
 * does not come into the heap. Outside may hand back at any time; then it goes on here.
 */

#include "core/socket/socket.h"

#define BEYOND_MIN 32768U /* for less it costs more than it saves */

/* `that->step`: where it is, as seen from here. */
enum step {
    STEP_HERE,
    STEP_BEYOND, /* outside has it */
    STEP_BACK,   /* and has just handed it back */
};

VINE__INSIDE void vine__splice(struct vine_coroutine *that, struct vine_socket *from,
                               struct vine_socket *to, uint64_t size_bytes)
{
    vine__write_begin(that, to, NULL, 0);
    to = that->on;
    vine__read_begin(that, from, NULL, 0);
    from = that->on;
    if (from->input != NULL && from->input == to->output)
        vine__misuse(that, "vine_splice of a pipe into itself");
    that->operand = to;
    that->operand_size = size_bytes;
    that->step = STEP_HERE;
}

/* What is there to be read, in one piece. */
VINE__INSIDE static uint32_t peek(struct vine_socket *from, const unsigned char **ret_bytes)
{
    if (from->input != NULL)
        return vine__flow_peek(from->input, ret_bytes);
    *ret_bytes = from->in.bytes + from->in.at;
    return vine__incoming_left(&from->in);
}

VINE__INSIDE static void skip(struct vine_coroutine *that, struct vine_socket *from, uint32_t size)
{
    if (from->input != NULL)
        vine__flow_skip(that, from->input, size);
    else
        from->in.at += size;
}

/* Let outside go on with it, if it can. Returns whether it does. */
VINE__INSIDE static bool goes_beyond(struct vine_coroutine *that, struct vine_socket *from,
                                     struct vine_socket *to)
{
    const uint64_t left = that->operand_size - that->operand_at;
    struct vine__splicing *splicing;

    if (from->input != NULL || to->output != NULL || from->is_receiving || from->in.is_end ||
        from->in.error != 0 || to->out.error != 0 || left < BEYOND_MIN || that->step == STEP_BACK)
        return false;
    splicing = (void *)vine__beyond_create(that, sizeof(*splicing));
    if (splicing == NULL) {
        that->error = 0; /* it goes on here */
        return false;
    }
    splicing->bytes = left;
    splicing->to = to->place;
    splicing->beyond.waits = &to->writer;
    to->writer = that;
    from->reader = that;
    that->waits = &from->reader;
    that->step = STEP_BEYOND;
    vine__ask(that, VINE__ASK_SPLICE, from->place, (uintptr_t)splicing, NULL);
    return true;
}

/* Nothing is there. Returns whether it is over. */
VINE__INSIDE static bool want(struct vine_coroutine *that, struct vine_socket *from,
                              struct vine_socket *to)
{
    if (goes_beyond(that, from, to))
        return false;
    that->step = STEP_HERE;
    return from->input != NULL ? vine__flow_want(that, from->input)
                               : vine__socket_want(that, from, 0);
}

VINE__INSIDE bool vine__spliced(struct vine_coroutine *that)
{
    struct vine_socket *const from = that->on;
    struct vine_socket *const to = that->operand;

    if (that->step == STEP_BEYOND) {
        that->operand_at += (uint64_t)that->result;
        that->step = STEP_BACK;
    }
    while (that->operand_at < that->operand_size) {
        const uint64_t left = that->operand_size - that->operand_at;
        const unsigned char *bytes;
        uint32_t size = peek(from, &bytes);

        if (size == 0) {
            if (!want(that, from, to))
                return false;
            break;
        }
        if (size > left)
            size = (uint32_t)left;
        size = to->output != NULL ? vine__flow_put(that, to->output, bytes, size)
                                  : vine__socket_put(that, to, bytes, size);
        if (size == 0)
            return that->error != 0;
        skip(that, from, size);
        that->operand_at += size;
    }
    that->result = (int64_t)that->operand_at;
    return true;
}
