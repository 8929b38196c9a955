/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks as a connection: what its micro-process receives and sends, and when its tasks end. */
#include "core/appliance/stream_internal.h"

#include <errno.h>
#include <string.h>

#include <vine/error.h>

#include "arch/guard/closed.h"
#include "core/network/network.h"
#include "utils/bits.h"
#include "utils/container_of.h"

#define VIEW_BYTES 16384U

static const struct vine__connection_ops stream_ops;

struct vine__stream *vine__stream_of(struct vine_connection *connection)
{
    return connection != NULL && connection->ops == &stream_ops
               ? VINE_CONTAINER_OF(connection, struct vine__stream, base)
               : NULL;
}

static struct vine__executed *in_of(struct vine__list *node)
{
    return VINE_CONTAINER_OF(node, struct vine__executed, in);
}

static struct vine__executed *out_of(struct vine__list *node)
{
    return VINE_CONTAINER_OF(node, struct vine__executed, out);
}

/* ---- tasks ----------------------------------------------------------------------------------- */

/* As the coroutine says, or why it failed. */
static void end_call(const struct vine__stream *stream, struct vine_call *call, int error)
{
    if (error != 0 && error == stream->error && stream->has_reason)
        vine_call_reason(call, "%s", stream->reason);
    vine__call_end(call, error);
}

static void end_task(struct vine__executed *task, int error)
{
    struct vine__stream *const stream = task->kept;

    stream->is_told |= error != 0 && error == stream->error;
    vine__list_remove(&task->in);
    vine__list_remove(&task->out);
    end_call(stream, vine__executed_call(task), error);
}

static void settle_soon(struct vine__stream *stream)
{
    if (stream->is_single)
        return;
    stream->has_to_settle = stream->is_adding;
    if (!stream->is_adding)
        vine_work_post(&stream->settle);
}

/* Whether the micro-process waits for what no task has brought yet. */
static bool wants_more(const struct vine__stream *stream)
{
    return stream->base.reader != NULL && !stream->base.reader->has_ended;
}

/* Those without input that were written to end: nothing follows at once. The first is the only one
 * of them that may have room left. */
static void end_written(struct vine__stream *stream)
{
    struct vine__list *const first = vine__list_first(&stream->rooms);

    if (first != NULL && out_of(first)->input_size == 0 && out_of(first)->written > 0)
        end_task(out_of(first), 0);
}

static void end_taken(struct vine__stream *stream)
{
    struct vine__list *first;

    while ((first = vine__list_first(&stream->taken)) != NULL)
        end_task(in_of(first), 0);
}

/* Nothing will be written any more. */
static void end_rooms(struct vine__stream *stream)
{
    for (struct vine__list *node = stream->rooms.next; node != &stream->rooms;) {
        struct vine__executed *const task = out_of(node);

        node = node->next;
        vine__list_remove(&task->out);
        if (task->taken == task->input_size)
            end_task(task, 0);
    }
}

static void settle(struct vine_work *work)
{
    struct vine__stream *const stream = VINE_CONTAINER_OF(work, struct vine__stream, settle);

    if (stream->base.users > 0 && stream->sends.first == NULL) {
        vine_work_post(work); /* who has sent may be about to send more */
        return;
    }
    if (stream->is_over || stream->is_shut)
        end_rooms(stream);
    else if (stream->sends.first == NULL)
        end_written(stream);
    if (wants_more(stream))
        end_taken(stream);
    vine__stream_look(stream);
}

/* All of it was taken. */
static void see_taken(struct vine__stream *stream, struct vine__executed *task)
{
    vine__list_remove(&task->in);
    if (stream->is_single)
        return;
    if (task->written == task->room || stream->is_shut)
        end_task(task, 0);
    else
        vine__list_push_back(&stream->taken, &task->in);
}

/* Its room is full. */
static void see_full(struct vine__stream *stream, struct vine__executed *task)
{
    vine__list_remove(&task->out);
    if (!stream->is_single && task->taken == task->input_size)
        end_task(task, 0);
}

/* ---- reading --------------------------------------------------------------------------------- */

static size_t take_input(struct vine__stream *stream, unsigned char *to, size_t size)
{
    struct vine__list *first;
    size_t at = 0;

    while (at < size && (first = vine__list_first(&stream->inputs)) != NULL) {
        struct vine__executed *const task = in_of(first);
        const size_t part = (size_t)vine__min_u64(size - at, task->input_size - task->taken);

        vine__call_input_copy(vine__executed_call(task), task->taken, to + at, part);
        task->taken += part;
        at += part;
        if (task->taken == task->input_size)
            see_taken(stream, task);
    }
    return at;
}

/* Those with neither input nor room are over at their turn. */
static void pass_empty(struct vine__stream *stream)
{
    struct vine__list *first;

    while ((first = vine__list_first(&stream->inputs)) != NULL && in_of(first)->input_size == 0)
        see_taken(stream, in_of(first));
}

static void end_receive(struct vine__stream *stream, struct vine_receive *reader,
                        const unsigned char *bytes, size_t size)
{
    const bool runs_now = stream->runs_now;

    stream->runs_now = false; /* who reads may ask for more within the call */
    if (runs_now)
        vine__receive_end_now(reader, bytes, (int64_t)size);
    else
        vine__receive_end(reader, bytes, (int64_t)size);
}

static void serve_reader(struct vine__stream *stream)
{
    struct vine_receive *const reader = stream->base.reader;
    unsigned char *to;
    size_t size;

    pass_empty(stream);
    if (!wants_more(stream))
        return;
    if (vine__list_is_empty(&stream->inputs)) {
        if (stream->has_last)
            vine__receive_end(reader, NULL, 0);
        else
            settle_soon(stream);
        return;
    }
    if (reader->into == NULL && stream->view == NULL)
        stream->view = vine__view_take(&stream->base, VIEW_BYTES);
    to = reader->into != NULL ? reader->into : stream->view;
    if (to == NULL) {
        vine__receive_end(reader, NULL, -ENOMEM);
        return;
    }
    size = take_input(stream, to, reader->into != NULL ? reader->into_bytes : VIEW_BYTES);
    pass_empty(stream);
    end_receive(stream, reader, to, size);
}

static void stream_receive(struct vine_connection *base, struct vine_receive *receive)
{
    struct vine__stream *const stream = vine__stream_of(base);

    if (receive->descriptors != NULL)
        vine__receive_end(receive, NULL, -EOPNOTSUPP);
    else if (stream->is_over)
        vine__receive_end(receive, NULL, -ECONNRESET);
    else
        serve_reader(stream);
}

static void stream_receive_cancel(struct vine_connection *base, struct vine_receive *receive)
{
    (void)base;
    vine__receive_end(receive, NULL, receive->wish);
}

static void stream_watch_end(struct vine_connection *base)
{
    const struct vine__stream *const stream = vine__stream_of(base);

    if (stream->has_last || stream->is_over || stream->is_left)
        vine__connection_tell_end(base);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Into the first task that has room. Returns how many bytes: 0 if none has any. */
static size_t put_some(struct vine__stream *stream, const unsigned char *bytes, size_t size)
{
    struct vine__list *const first = vine__list_first(&stream->rooms);
    struct vine__executed *task;
    size_t part;

    if (first == NULL)
        return 0;
    task = out_of(first);
    part = (size_t)vine__min_u64(size, task->room - task->written);
    vine__call_output_copy(vine__executed_call(task), task->written, bytes, part);
    task->written += part;
    if (task->written == task->room)
        see_full(stream, task);
    return part;
}

/* Returns whether all of it is in tasks now. */
static bool put(struct vine__stream *stream, struct vine_send *send)
{
    while (send->sent < send->size) {
        size_t size;
        const unsigned char *const piece = vine__send_piece(send, &size);

        size = put_some(stream, piece, size);
        if (size == 0)
            return false;
        send->sent += size;
    }
    return true;
}

static void send_on(struct vine__stream *stream)
{
    while (stream->sends.first != NULL) {
        if (stream->sends.first->kind == VINE__SEND_SHUTDOWN) {
            stream->is_shut = true;
        } else if (!put(stream, stream->sends.first)) {
            if (!stream->is_single)
                break; /* until a further task has room */
            stream->has_overflown = true;
            vine__send_queue_end(&stream->sends, -EPIPE);
            break;
        }
        vine__send_end(vine__send_queue_take(&stream->sends), 0);
        if (stream->is_shut)
            vine__send_queue_end(&stream->sends, -EPIPE);
    }
    settle_soon(stream);
}

static void stream_send(struct vine_connection *base, struct vine_send *send)
{
    struct vine__stream *const stream = vine__stream_of(base);

    if (send->kind == VINE__SEND_DESCRIPTORS) {
        vine__send_end(send, -EOPNOTSUPP);
        return;
    }
    if (stream->is_over || stream->is_shut || stream->is_left || stream->has_overflown) {
        vine__send_end(send, stream->is_shut && send->kind == VINE__SEND_SHUTDOWN ? 0 : -EPIPE);
        return;
    }
    vine__send_queue_add(&stream->sends, send);
    if (stream->sends.first == send)
        send_on(stream);
}

/* Whether there is so much room in all. */
static bool has_room(const struct vine__stream *stream, uint64_t size)
{
    VINE_LIST_FOR_EACH(node, &stream->rooms)
    {
        const struct vine__executed *const task = out_of(node);

        if (size <= task->room - task->written)
            return true;
        size -= task->room - task->written;
    }
    return false;
}

static bool stream_send_at_once(struct vine_connection *base, const unsigned char *bytes,
                                size_t size)
{
    struct vine__stream *const stream = vine__stream_of(base);

    if (stream->is_over || stream->is_shut || stream->is_left || stream->has_overflown ||
        stream->sends.first != NULL || !has_room(stream, size))
        return false;
    for (size_t at = 0; at < size;)
        at += put_some(stream, bytes + at, size - at);
    settle_soon(stream);
    return true;
}

/* What of it is in tasks already stays there, and is told. */
static void stream_send_cancel(struct vine_connection *base, struct vine_send *send)
{
    struct vine__stream *const stream = vine__stream_of(base);
    const bool is_half = send->sent > 0;

    vine__send_queue_remove(&stream->sends, send);
    vine__send_end(send, send->wish);
    if (is_half) {
        stream->is_shut = true; /* nothing can follow */
        vine__send_queue_end(&stream->sends, -EPIPE);
    }
    send_on(stream);
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* Nothing is read or written any more: how do those end that are there? */
static void end_tasks(struct vine__stream *stream, int error)
{
    struct vine__executed *const only = stream->only;
    struct vine__list *first;

    stream->only = NULL;
    if (only != NULL)
        end_task(only, error);
    while ((first = vine__list_first(&stream->inputs)) != NULL)
        end_task(in_of(first), error);
    while ((first = vine__list_first(&stream->rooms)) != NULL)
        end_task(out_of(first), error);
}

void vine__stream_fail(struct vine__stream *stream, int error)
{
    struct vine__list *first;

    if (stream->is_over)
        return;
    if (stream->has_overflown && error == -EPIPE)
        error = -VINE_EOVERFLOW; /* which is why */
    stream->is_over = true;
    stream->error = error;
    if (!stream->is_single)
        end_written(stream); /* what was written before is read before */
    while ((first = vine__list_first(&stream->taken)) != NULL)
        end_task(in_of(first), in_of(first)->written > 0 ? 0 : error);
    end_tasks(stream, error);
    vine__send_queue_end(&stream->sends, -EPIPE);
    if (wants_more(stream))
        vine__receive_end(stream->base.reader, NULL, -ECONNRESET);
    if (stream->has_connection)
        vine__connection_tell_end(&stream->base);
}

void vine__stream_finish(struct vine__stream *stream)
{
    struct vine__list *first;

    if (stream->is_over)
        return;
    if (stream->is_cut) {
        vine__stream_fail(stream, -VINE_EFAILED);
        return;
    }
    stream->is_over = true;
    if (stream->is_single) {
        const int error = stream->has_overflown ? -VINE_EOVERFLOW : 0;

        end_tasks(stream, error);
        return;
    }
    end_rooms(stream);
    while ((first = vine__list_first(&stream->inputs)) != NULL)
        end_task(in_of(first), in_of(first)->input_size == 0 ? 0 : -VINE_ESESSION);
}

static void let_go(struct vine_work *work)
{
    struct vine__stream *const stream = VINE_CONTAINER_OF(work, struct vine__stream, letting_go);

    vine__connection_let_go(&stream->base);
}

static void stream_end_all(struct vine_connection *base)
{
    struct vine__stream *const stream = vine__stream_of(base);
    struct vine_receive *const reader = base->reader;

    if (reader != NULL && !reader->has_ended)
        vine__receive_end(reader, NULL, -ECANCELED);
    stream->is_cut = stream->sends.first != NULL && !stream->is_left;
    vine__send_queue_end(&stream->sends, -ECANCELED);
    vine_work_post(&stream->letting_go);
}

static int stream_get_address(struct vine_connection *base, bool is_peer,
                              struct vine_address *ret_address)
{
    (void)base, (void)is_peer, (void)ret_address;
    return -ENOTCONN;
}

static void stream_free(struct vine_connection *base)
{
    struct vine__stream *const stream = vine__stream_of(base);

    vine__view_give(base, stream->view, VIEW_BYTES);
    stream->view = NULL;
    stream->has_connection = false;
    vine__stream_look(stream);
}

static const struct vine__connection_ops stream_ops = {
    .receive = stream_receive,
    .receive_cancel = stream_receive_cancel,
    .send = stream_send,
    .send_at_once = stream_send_at_once,
    .send_cancel = stream_send_cancel,
    .end_all = stream_end_all,
    .get_address = stream_get_address,
    .watch_end = stream_watch_end,
    .free = stream_free,
};

bool vine__stream_cancel(struct vine__stream *stream, struct vine_call *call)
{
    struct vine__executed *const task = vine__call_executed(call);

    if (stream->is_single)
        return true;
    if (task->taken == 0 && task->written == 0) {
        stream->is_given_up = true; /* if its session ends, too */
        end_task(task, -VINE_ECANCELED);
        return false;
    }
    if (task->taken == task->input_size) {
        end_task(task, 0); /* what was written is not lost */
        return false;
    }
    vine__stream_fail(stream, -VINE_ECANCELED); /* what follows would follow a gap */
    return true;
}

void vine__stream_leave(struct vine__stream *stream)
{
    stream->is_left = true;
    stream->has_last = true;
    vine__send_queue_end(&stream->sends, -EPIPE);
    if (!stream->has_connection || stream->is_over)
        return;
    vine__connection_tell_end(&stream->base);
    serve_reader(stream);
}

/* ---- tasks come ------------------------------------------------------------------------------ */

/* The first to come after it has failed is told why, unless one that was there has been. */
static int why_none_follows(struct vine__stream *stream)
{
    if (stream->error == 0 || stream->is_told)
        return -VINE_ESESSION;
    stream->is_told = true;
    return stream->error;
}

void vine__stream_add(struct vine__stream *stream, struct vine_call *call)
{
    struct vine__executed *const task = vine__call_executed(call);
    const bool is_last = vine_call_is_last(call);

    task->kept = stream;
    stream->only = stream->is_single ? task : NULL;
    if (stream->is_over && stream->error == 0 && task->input_size == 0) {
        vine__call_end(call, 0); /* the end */
        return;
    }
    if (stream->is_over || (stream->has_last && !stream->is_single && task->input_size > 0)) {
        end_call(stream, call, why_none_follows(stream));
        return;
    }
    stream->has_last |= is_last;
    if (task->input_size > 0 || task->room == 0)
        vine__list_push_back(&stream->inputs, &task->in);
    if (task->room > 0 && stream->is_shut && task->input_size == 0) {
        vine__call_end(call, 0);
        return;
    }
    if (task->room > 0 && !stream->is_shut)
        vine__list_push_back(&stream->rooms, &task->out);
    if (!stream->has_connection)
        return;
    if (stream->has_last)
        vine__connection_tell_end(&stream->base);
    serve_reader(stream);
    send_on(stream);
}

/* ---- its quota ------------------------------------------------------------------------------- */

int vine__stream_charge(struct vine__stream *stream, uint64_t bytes)
{
    if (stream->session != NULL)
        return vine__session_charge(stream->session, bytes);
    return stream->only != NULL ? vine__executed_charge(stream->only, bytes) : -VINE_EQUOTA;
}

/* What was charged to a task goes with that. */
void vine__stream_discharge(struct vine__stream *stream, uint64_t bytes)
{
    if (stream->session != NULL)
        vine__session_discharge(stream->session, bytes);
}

/* ---- made ------------------------------------------------------------------------------------ */

static void see_facts(struct vine__stream *stream, struct vine_call *call)
{
    const struct vine__executed *const task = vine__call_executed(call);

    stream->facts = (struct vine_handled){
        .size_bytes = sizeof stream->facts,
        .pipe = vine_call_pipe(call),
        .is_session = !stream->is_single,
        .input_bytes = task->input_size,
        .room_bytes = task->room,
    };
    stream->facts.scalar_count = vine__call_scalars(call, stream->facts.scalars);
    stream->has_facts = true;
}

const struct vine_handled *vine__stream_facts(struct vine__stream *stream)
{
    if (!stream->has_facts && stream->only != NULL)
        see_facts(stream, vine__executed_call(stream->only));
    return stream->has_facts ? &stream->facts : NULL;
}

void vine__stream_add_now(struct vine__stream *stream, struct vine_call *call)
{
    stream->is_adding = true;
    stream->runs_now = true;
    stream->has_to_settle = false;
    vine__stream_add(stream, call);
    stream->runs_now = false;
    stream->is_adding = false;
    if (stream->has_to_settle)
        settle(&stream->settle);
}

void vine__stream_rest(struct vine__stream *stream)
{
    struct vine__executed *const only = stream->only;

    stream->has_facts = false;
    stream->has_reason = false; /* what was said of one task is none of the next one's */
    if (only->input_size + only->room > 0 || vine__list_is_linked(&only->in)) {
        end_tasks(stream, 0);
        return;
    }
    stream->only = NULL;
    vine__call_end(vine__executed_call(only), 0);
}

bool vine__stream_renew(struct vine__stream *stream, struct vine_call *call, size_t *ret_size)
{
    struct vine__executed *const task = vine__call_executed(call);

    if (task->input_size > 0 && stream->view == NULL)
        stream->view = vine__view_take(&stream->base, VIEW_BYTES);
    if (task->input_size > 0 && stream->view == NULL)
        return false;
    task->kept = stream;
    stream->only = task;
    stream->is_shut = false;
    stream->has_overflown = false;
    if (task->room > 0)
        vine__list_push_back(&stream->rooms, &task->out);
    *ret_size = 0;
    if (task->input_size > 0) {
        vine__list_push_back(&stream->inputs, &task->in);
        *ret_size = take_input(stream, stream->view, VIEW_BYTES);
    }
    return true;
}

struct vine__stream *vine__stream_create(struct vine__coroutines *core, struct vine_call *call)
{
    struct vine__network *network = NULL;
    struct vine__stream *stream;

    if (vine__network_here(&network) != 0)
        return NULL;
    stream = vine__closed_alloc_lines(sizeof *stream);
    if (stream == NULL)
        return NULL;
    stream->core = core;
    stream->is_single = vine__call_session(call) == NULL;
    stream->has_last = stream->is_single;
    stream->has_connection = true;
    vine__list_init(&stream->inputs);
    vine__list_init(&stream->rooms);
    vine__list_init(&stream->taken);
    vine_work_init(&stream->settle, settle);
    vine_work_init(&stream->letting_go, let_go);
    stream->base.is_layer = true; /* it is no connection of the core's load */
    stream->base.never_resets = true;
    vine__connection_init(&stream->base, network, &stream_ops, false);
    if (!stream->is_single)
        see_facts(stream, call); /* of its first task, which may be gone when somebody asks */
    return stream;
}
