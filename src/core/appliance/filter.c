/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter: a connection whose other end is a function on a worker.
 *
 * Towards the micro-process it is a connection like any other. What is sent is copied into a ring,
 * and what is received out of another; between them an errand runs the filter's steps as long as
 * there is something to take and room for what comes of it, and is begun again when there is.
 *
 * The lock guards the places of both rings, which the core and a worker move: it is held for some
 * ten instructions, a few times for each 64 KiB, and never while bytes are copied or a step runs.
 * So a worker goes on with what has come meanwhile without the core, which it would have to wake
 * and wait for twice. What the lock does not guard is the core's, or the errand's while it is one.
 */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>
#include <vine/filter.h>

#include "arch/guard/closed.h"
#include "core/appliance/stream_internal.h"
#include "core/network/network.h"
#include "core/socket/socket.h"
#include "utils/bits.h"
#include "utils/container_of.h"
#include "utils/inside.h"

#define VIEW_BYTES 16384U
#define STEP_BYTES 65536U                  /* of input or output */
#define TURN_BYTES (16U * STEP_BYTES)      /* that a worker takes before others have their turn */
#define ROOM_BYTES (VINE_FILTER_BYTES / 4) /* worth telling of */

/* Bytes of a ring that are there are those from `taken` to `put`, both counted since the beginning.
 */
struct ring {
    unsigned char *bytes;
    uint64_t taken, put; /* lock */
};

struct filter {
    struct vine_connection base;
    struct vine__errand errand;
    struct vine__stream *stream; /* which is there as long as this */
    struct vine_appliance *part;
    const struct vine_filter_type *type;
    uint64_t charged;
    /* The errand's, in a word of their own: compilers read neighbours of what they look at. */
    void *state;
    bool is_begun, has_more;
    bool is_over; /* the state has been ended */

    struct vine__send_queue sends;
    unsigned char *view;
    struct vine_work looking; /* whether there is enough for an errand */
    struct vine_work letting_go;
    uint64_t put_before;
    bool is_shut;    /* nothing more is written */
    bool is_errand;  /* one is under way */
    bool is_closing; /* end_all was called */

    pthread_mutex_t lock;
    struct ring in, out;
    bool is_last;                     /* lock: nothing comes behind what is in `in` */
    bool is_made;                     /* lock: nor behind what is in `out` */
    bool awaits;                      /* lock: the core waits for something in `out`, */
    bool awaits_room;                 /* lock: or for room in `in` */
    int error;                        /* lock */
    uint64_t wanted;                  /* lock: memory that is to be charged before the next step */
    char reason[VINE_REASON_MAX + 1]; /* lock: of the error, or empty */
    _Alignas(max_align_t) unsigned char argument[VINE_FILTER_ARGUMENT_MAX];
};

struct asked {
    const struct vine_filter_type *type;
    unsigned char argument[VINE_FILTER_ARGUMENT_MAX];
};

VINE_STATIC_ASSERT(sizeof(struct asked) <= VINE__MAKING_BYTES, "an ask has room for it");

static struct filter *filter_of(struct vine_connection *base)
{
    return VINE_CONTAINER_OF(base, struct filter, base);
}

/* The piece of a ring from `at` on, at most `size` bytes. */
static unsigned char *piece(const struct ring *ring, uint64_t at, uint64_t *size)
{
    const uint64_t place = at % VINE_FILTER_BYTES;

    *size = vine__min_u64(*size, VINE_FILTER_BYTES - place);
    return ring->bytes + place;
}

/* ---- on a worker ----------------------------------------------------------------------------- */

static int begin(struct filter *filter)
{
    filter->state = calloc(1, filter->type->state_bytes);
    if (filter->state == NULL)
        return -ENOMEM;
    filter->is_begun = true;
    if (filter->type->begin == NULL)
        return 0;

    const int error = filter->type->begin(filter->state, filter->argument);

    filter->is_begun = error == 0;
    return error;
}

/* What there is to be done. The lock is held. Returns whether there is anything. */
static bool prepare(const struct filter *filter, struct vine_filter_step *step)
{
    uint64_t size = vine__min_u64(filter->in.put - filter->in.taken, STEP_BYTES);
    uint64_t room =
        vine__min_u64(VINE_FILTER_BYTES - (filter->out.put - filter->out.taken), STEP_BYTES);

    if (filter->error != 0 || filter->is_made || filter->wanted > 0 || room == 0)
        return false;
    *step = (struct vine_filter_step){
        .input = piece(&filter->in, filter->in.taken, &size),
        .output = piece(&filter->out, filter->out.put, &room),
        .room = (size_t)room,
        .input_bytes = (size_t)size,
        .is_last = filter->is_last && size == filter->in.put - filter->in.taken,
    };
    return size > 0 || filter->has_more || step->is_last;
}

static void tell_core(struct filter *filter)
{
    const bool has_bytes = filter->out.put > filter->out.taken || filter->is_made;
    const bool has_room = VINE_FILTER_BYTES - (filter->in.put - filter->in.taken) >= ROOM_BYTES;

    if (!(filter->awaits && has_bytes) && !(filter->awaits_room && has_room))
        return;
    filter->awaits = false;
    filter->awaits_room = false;
    vine__errand_tell(&filter->errand);
}

/* How a step has ended. The lock is held. */
static void take(struct filter *filter, const struct vine_filter_step *step, int result)
{
    if (result == VINE_FILTER_MORE && step->taken == 0 && step->written == 0 &&
        step->more_memory == 0)
        result = -VINE_EFAILED;
    if (result == VINE_FILTER_ENOUGH && step->taken < step->input_bytes)
        result = -VINE_EFAILED;
    if (filter->error == 0 && result < 0) {
        filter->error = result;
        (void)snprintf(filter->reason, sizeof filter->reason, "%s",
                       step->reason != NULL ? step->reason : "");
    }
    filter->wanted = result == VINE_FILTER_MORE ? step->more_memory : 0;
    filter->has_more = result == VINE_FILTER_MORE;
    filter->in.taken += step->taken;
    filter->out.put += step->written;
    filter->is_made = result == VINE_FILTER_ENOUGH && step->is_last;
    tell_core(filter);
}

static void run(struct vine__errand *errand)
{
    struct filter *const filter = VINE_CONTAINER_OF(errand, struct filter, errand);
    const int error = filter->is_begun ? 0 : begin(filter);
    struct vine_filter_step step;
    uint64_t worked = 0;

    pthread_mutex_lock(&filter->lock);
    if (filter->error == 0)
        filter->error = error;
    while (worked < TURN_BYTES && prepare(filter, &step)) {
        pthread_mutex_unlock(&filter->lock);

        const int result = filter->type->step(filter->state, &step);

        VINE_ASSERT(step.taken <= step.input_bytes && step.written <= step.room);
        worked += vine__max_u64(step.taken, step.written);
        pthread_mutex_lock(&filter->lock);
        take(filter, &step, result);
    }
    pthread_mutex_unlock(&filter->lock);
}

static void end_state(struct filter *filter)
{
    if (filter->is_begun && filter->type->end != NULL)
        filter->type->end(filter->state);
    free(filter->state);
    free(filter->in.bytes);
    free(filter->out.bytes);
    filter->is_over = true;
}

static void run_end(struct vine__errand *errand)
{
    end_state(VINE_CONTAINER_OF(errand, struct filter, errand));
}

/* ---- the core: bytes ------------------------------------------------------------------------- */

static void look_soon(struct filter *filter)
{
    if (!filter->is_errand && !filter->is_closing)
        vine_work_post(&filter->looking);
}

/* Returns whether all of it is in the ring. Nobody else moves `put`. */
static bool put(struct filter *filter, struct vine_send *send)
{
    uint64_t room;

    while (send->sent < send->size) {
        size_t piece_size;
        const unsigned char *const bytes = vine__send_piece(send, &piece_size);
        uint64_t size;

        pthread_mutex_lock(&filter->lock);
        room = VINE_FILTER_BYTES - (filter->in.put - filter->in.taken);
        filter->awaits_room = room == 0;
        pthread_mutex_unlock(&filter->lock);
        size = vine__min_u64(piece_size, room);
        if (size == 0)
            return false;

        unsigned char *const to = piece(&filter->in, filter->in.put, &size);

        memcpy(to, bytes, (size_t)size);
        send->sent += (size_t)size;
        pthread_mutex_lock(&filter->lock);
        filter->in.put += size;
        pthread_mutex_unlock(&filter->lock);
    }
    return true;
}

static int error_of(struct filter *filter)
{
    pthread_mutex_lock(&filter->lock);

    const int error = filter->error;

    pthread_mutex_unlock(&filter->lock);
    if (error != 0 && filter->reason[0] != 0) /* which stays as it is from then on */
        vine__stream_say(filter->stream, filter->reason);
    return error;
}

static void send_on(struct filter *filter)
{
    const int error = error_of(filter);

    if (error != 0)
        vine__send_queue_end(&filter->sends, error);
    while (filter->sends.first != NULL) {
        if (filter->sends.first->kind == VINE__SEND_SHUTDOWN) {
            filter->is_shut = true;
            pthread_mutex_lock(&filter->lock);
            filter->is_last = true;
            pthread_mutex_unlock(&filter->lock);
        } else if (!put(filter, filter->sends.first)) {
            break;
        }
        vine__send_end(vine__send_queue_take(&filter->sends), 0);
        if (filter->is_shut)
            vine__send_queue_end(&filter->sends, -EPIPE);
    }
    look_soon(filter);
}

static size_t take_out(struct filter *filter, unsigned char *to, uint64_t size, uint64_t there)
{
    size_t at = 0;

    size = vine__min_u64(size, there);
    while (at < size) {
        uint64_t part = size - at;
        const unsigned char *const from = piece(&filter->out, filter->out.taken + at, &part);

        memcpy(to + at, from, (size_t)part);
        at += (size_t)part;
    }
    pthread_mutex_lock(&filter->lock);
    filter->out.taken += at;
    pthread_mutex_unlock(&filter->lock);
    look_soon(filter);
    return at;
}

static void serve_reader(struct filter *filter)
{
    struct vine_receive *const reader = filter->base.reader;
    unsigned char *to;
    uint64_t there;
    bool is_end;
    int error;

    if (reader == NULL || reader->has_ended)
        return;
    pthread_mutex_lock(&filter->lock);
    there = filter->out.put - filter->out.taken;
    is_end = there == 0 && filter->is_made;
    error = there == 0 ? filter->error : 0;
    filter->awaits = there == 0 && !is_end && error == 0;
    pthread_mutex_unlock(&filter->lock);
    if (error != 0)
        (void)error_of(filter);
    if (error != 0 || is_end)
        vine__receive_end(reader, NULL, error);
    if (error != 0 || there == 0)
        return;
    if (reader->into == NULL && filter->view == NULL)
        filter->view = vine__view_take(&filter->base, VIEW_BYTES);
    to = reader->into != NULL ? reader->into : filter->view;
    if (to == NULL)
        vine__receive_end(reader, NULL, -ENOMEM);
    else
        vine__receive_end(reader, to,
                          (int64_t)take_out(filter, to,
                                            reader->into != NULL ? reader->into_bytes : VIEW_BYTES,
                                            there));
}

/* ---- the core: errands ----------------------------------------------------------------------- */

/* Not for each few bytes: whoever has written may be about to write more. */
static void look(struct vine_work *work)
{
    struct filter *const filter = VINE_CONTAINER_OF(work, struct filter, looking);
    struct vine_filter_step step;

    if (filter->is_errand || filter->is_closing)
        return;
    pthread_mutex_lock(&filter->lock);

    const uint64_t put_now = filter->in.put;
    const bool can_run = prepare(filter, &step);
    const bool is_little = put_now - filter->in.taken < STEP_BYTES && !filter->is_last;

    pthread_mutex_unlock(&filter->lock);
    if (can_run && is_little && put_now != filter->put_before) {
        filter->put_before = put_now;
        vine_work_post(work);
    } else if (can_run) {
        filter->is_errand = vine__errand_begin(filter->part, &filter->errand);
        if (!filter->is_errand) {
            filter->error = -ECANCELED; /* nobody else touches it any more */
            serve_reader(filter);
            send_on(filter);
        }
    }
}

static void let_go(struct vine_work *work)
{
    struct filter *const filter = VINE_CONTAINER_OF(work, struct filter, letting_go);

    if (filter->looking.is_posted)
        vine_work_post(work); /* behind that one */
    else
        vine__connection_let_go(&filter->base);
}

static void end_it(struct filter *filter)
{
    filter->errand.run = run_end;
    filter->is_errand = vine__errand_begin(filter->part, &filter->errand);
    if (filter->is_errand)
        return;
    end_state(filter);
    vine_work_post(&filter->letting_go);
}

static void told(struct vine__errand *errand)
{
    struct filter *const filter = VINE_CONTAINER_OF(errand, struct filter, errand);

    if (filter->is_closing)
        return;
    serve_reader(filter);
    send_on(filter);
}

/* No errand is under way. */
static void pay(struct filter *filter)
{
    const uint64_t wanted = filter->wanted;

    filter->wanted = 0;
    if (wanted > 0 && vine__stream_charge(filter->stream, wanted) == 0)
        filter->charged += wanted;
    else if (wanted > 0 && filter->error == 0)
        filter->error = -VINE_EQUOTA;
}

static void ended(struct vine__errand *errand)
{
    struct filter *const filter = VINE_CONTAINER_OF(errand, struct filter, errand);

    filter->is_errand = false;
    pay(filter);
    if (filter->is_over)
        vine_work_post(&filter->letting_go);
    else if (filter->is_closing)
        end_it(filter);
    else
        told(errand);
}

/* ---- as a connection ------------------------------------------------------------------------- */

static void filter_receive(struct vine_connection *base, struct vine_receive *receive)
{
    if (receive->descriptors != NULL)
        vine__receive_end(receive, NULL, -EOPNOTSUPP);
    else
        serve_reader(filter_of(base));
}

static void filter_receive_cancel(struct vine_connection *base, struct vine_receive *receive)
{
    (void)base;
    vine__receive_end(receive, NULL, receive->wish);
}

static void filter_send(struct vine_connection *base, struct vine_send *send)
{
    struct filter *const filter = filter_of(base);

    if (send->kind == VINE__SEND_DESCRIPTORS) {
        vine__send_end(send, -EOPNOTSUPP);
        return;
    }
    if (filter->is_shut) {
        vine__send_end(send, send->kind == VINE__SEND_SHUTDOWN ? 0 : -EPIPE);
        return;
    }
    vine__send_queue_add(&filter->sends, send);
    if (filter->sends.first == send)
        send_on(filter);
}

/* What would follow one of which a part is in would follow a gap. */
static void filter_send_cancel(struct vine_connection *base, struct vine_send *send)
{
    struct filter *const filter = filter_of(base);

    vine__send_queue_remove(&filter->sends, send);
    vine__send_end(send, send->wish);
    if (send->sent > 0) {
        pthread_mutex_lock(&filter->lock);
        if (filter->error == 0)
            filter->error = -ECANCELED;
        pthread_mutex_unlock(&filter->lock);
        serve_reader(filter);
    }
    send_on(filter);
}

static void filter_end_all(struct vine_connection *base)
{
    struct filter *const filter = filter_of(base);

    filter->is_closing = true;
    pthread_mutex_lock(&filter->lock);
    if (filter->error == 0)
        filter->error = -ECANCELED; /* a step is the last one */
    pthread_mutex_unlock(&filter->lock);
    if (base->reader != NULL && !base->reader->has_ended)
        vine__receive_end(base->reader, NULL, -ECANCELED);
    vine__send_queue_end(&filter->sends, -ECANCELED);
    if (!filter->is_errand)
        end_it(filter);
}

static int filter_get_address(struct vine_connection *base, bool is_peer,
                              struct vine_address *ret_address)
{
    (void)base, (void)is_peer, (void)ret_address;
    return -ENOTCONN;
}

static void filter_free(struct vine_connection *base)
{
    struct filter *const filter = filter_of(base);

    vine__view_give(base, filter->view, VIEW_BYTES);
    vine__stream_discharge(filter->stream, filter->charged);
    (void)pthread_mutex_destroy(&filter->lock);
    vine__closed_free(filter);
}

static const struct vine__connection_ops filter_ops = {
    .receive = filter_receive,
    .receive_cancel = filter_receive_cancel,
    .send = filter_send,
    .send_cancel = filter_send_cancel,
    .end_all = filter_end_all,
    .get_address = filter_get_address,
    .free = filter_free,
};

/* ---- made ------------------------------------------------------------------------------------ */

static int fill_in(struct filter *filter, const struct asked *asked)
{
    int error;

    filter->type = asked->type;
    memcpy(filter->argument, asked->argument, sizeof filter->argument);
    filter->charged = 2ULL * VINE_FILTER_BYTES + asked->type->state_bytes +
                      (asked->type->charge != NULL ? asked->type->charge(filter->argument) : 0);
    error = vine__stream_charge(filter->stream, filter->charged);
    if (error != 0) {
        filter->charged = 0;
        return error;
    }
    filter->in.bytes = malloc(VINE_FILTER_BYTES);
    filter->out.bytes = malloc(VINE_FILTER_BYTES);
    return filter->in.bytes == NULL || filter->out.bytes == NULL ? -ENOMEM : 0;
}

static int make(struct vine_connection *own, const void *asked, struct vine_connection **ret)
{
    struct vine__stream *const stream = vine__stream_of(own);
    struct vine__network *network = NULL;
    struct filter *filter;
    int error = stream == NULL ? -EOPNOTSUPP : vine__network_here(&network);

    if (error != 0)
        return error;
    filter = vine__closed_alloc(sizeof *filter);
    if (filter == NULL)
        return -ENOMEM;
    filter->stream = stream;
    filter->part = vine__coroutines_part(stream->core);
    error = fill_in(filter, asked);
    if (error != 0) {
        vine__stream_discharge(stream, filter->charged);
        free(filter->in.bytes);
        free(filter->out.bytes);
        vine__closed_free(filter);
        return error;
    }
    (void)pthread_mutex_init(&filter->lock, NULL);
    filter->errand = (struct vine__errand){.run = run, .told = told, .ended = ended};
    vine_work_init(&filter->looking, look);
    vine_work_init(&filter->letting_go, let_go);
    filter->base.is_layer = true; /* it is no connection of the core's load */
    filter->base.never_resets = true;
    vine__connection_init(&filter->base, network, &filter_ops, false);
    *ret = &filter->base;
    return 0;
}

/* What the coroutine was written to ask for: that is not read out of its heap later. */
static int64_t ask(struct vine_outside *outside, const void *asked)
{
    return vine__outside_make(outside, make, asked, sizeof(struct asked));
}

/* ---- inside ---------------------------------------------------------------------------------- */

VINE__INSIDE void vine__filter(struct vine_coroutine *that, const struct vine_filter_type *type,
                               const void *argument, size_t argument_bytes)
{
    struct asked asked = {.type = type};

    if (argument_bytes > sizeof asked.argument)
        vine__misuse(that, "vine_filter with %zu bytes: there may be %d", argument_bytes,
                     VINE_FILTER_ARGUMENT_MAX);
    if (argument_bytes > 0)
        memcpy(asked.argument, argument, argument_bytes);
    vine__make(that, &asked, sizeof asked);
    if (that->on != NULL)
        vine__outside(that, ask, VINE_CONTAINER_OF(that->on, struct vine__further, socket)->text,
                      sizeof asked);
}

VINE__INSIDE bool vine__filtered(struct vine_coroutine *that)
{
    return vine__made(that);
}
