/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream: writes are tasks of a session with an input alone, reads are tasks with room alone.
 *
 * A place holds a task from its issue until it has ended and, if it brought something, until that
 * was read. Reads are issued ahead, as many as the window has, so that the coroutine can write; a
 * write finds a free place or waits. What the coroutine writes goes to tasks that have room in the
 * order of their issue, so that it is read in that order, which `number` keeps. Where a procedure
 * has a result and no output every task may bring something, writes too.
 */
#include <vine/stream.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "core/ring/deadline.h"
#include "core/talk/pipe_internal.h"
#include "utils/bits.h"

#define MAGIC        0x5254535453454e49ULL
#define CHUNK_BYTES  65536U
#define WINDOW       4U
#define INLINE_BYTES 512U /* what has an input as well travels with its task, up to here */
#define SCALAR_BYTES sizeof(uint64_t)
#define PLACES       (2U * VINE_STREAM_WINDOW_MAX + 1)

enum place_kind {
    PLACE_WRITE,
    PLACE_READ,
    PLACE_END,
};

struct place {
    enum place_kind kind;
    struct vine_task *task; /* NULL: free */
    uint64_t number;        /* in the order of issue */
    bool has_ended;         /* and what it brought was not read */
    size_t read_bytes;      /* of that */
    struct vine_data *input;
    struct vine_data *output;
};

struct vine_stream {
    uint64_t magic;
    struct vine_pipe *pipe;
    struct vine_procedure *procedure;
    struct vine_session *session;
    struct vine_accelerator *accelerator;
    struct vine_data *no_input; /* NULL: the procedure has none */
    uint32_t chunk_bytes;
    uint32_t bytes_max; /* that may travel with a task, behind its scalars; 0: none */
    uint32_t scalar_count;
    uint64_t scalars[VINE_ARGUMENTS_MAX];
    void (*stirred)(void *context);
    void *context;
    bool is_begun;  /* a task has brought the scalars */
    bool is_ended;  /* the last input was issued */
    bool is_at_end; /* nothing more comes */
    bool is_given_up;
    bool has_scalars_all;
    int error; /* why it failed */
    char reason[VINE_REASON_MAX + 1];
    int write_error; /* the same, or -EPIPE */
    uint64_t numbers;
    struct place *mapped;
    uint32_t place_count;
    struct place places[PLACES]; /* writes, reads, and one for the end */
};

/* ---- opening --------------------------------------------------------------------------------- */

static bool is_of_bytes(const struct vine_argument *argument)
{
    return argument->min == 0 && ((argument->kind != VINE_INPUT && argument->kind != VINE_OUTPUT) ||
                                  vine__type_bytes(argument->data_type) == 1);
}

/* Whether bytes can go in and out, and how: fills in what the tasks will need to know. */
static int see_arguments(struct vine_stream *stream)
{
    const struct vine_procedure_info *info = &stream->procedure->info;
    uint64_t chunk_bytes = stream->chunk_bytes;
    uint32_t scalar_count = 0;
    bool has_way_out = stream->procedure->output_count > 0;

    if (!info->has_streams)
        return -VINE_ESESSION;
    if (stream->procedure->input_count > 1 || stream->procedure->output_count > 1)
        return -VINE_EARGUMENT;
    for (uint32_t i = 0; i < info->argument_count; i++) {
        const struct vine_argument *argument = &info->arguments[i];

        if (argument->kind == VINE_SCALAR) {
            if (scalar_count < stream->scalar_count &&
                (stream->scalars[scalar_count] < argument->min ||
                 stream->scalars[scalar_count] > argument->max))
                return -VINE_EARGUMENT;
            scalar_count++;
            continue;
        }
        has_way_out |= argument->kind == VINE_RESULT;
        if (argument->kind == VINE_BYTES)
            stream->bytes_max = (uint32_t)vine__min_u64(argument->max, VINE_TASK_BYTES_MAX);
        else if (argument->kind != VINE_RESULT)
            chunk_bytes = vine__min_u64(chunk_bytes, argument->max);
        if (argument->kind != VINE_RESULT && !is_of_bytes(argument))
            return -VINE_EARGUMENT;
    }
    stream->bytes_max = (uint32_t)vine__min_u64(stream->bytes_max,
                                                VINE_TASK_BYTES_MAX - scalar_count * SCALAR_BYTES);
    stream->has_scalars_all = stream->scalar_count == scalar_count;
    if (stream->scalar_count > scalar_count || !has_way_out || chunk_bytes == 0)
        return -VINE_EARGUMENT;
    stream->chunk_bytes = (uint32_t)chunk_bytes;
    return 0;
}

static int take_options(const struct vine_stream_options *options, struct vine_stream_options *own)
{
    memset(own, 0, sizeof *own);
    if (options != NULL) {
        const size_t size = options->size_bytes ? options->size_bytes : sizeof *own;

        if (size > sizeof *own || size < sizeof(size_t))
            return -EINVAL;
        memcpy(own, options, size);
    }
    if (own->chunk_bytes == 0)
        own->chunk_bytes = CHUNK_BYTES;
    if (own->writes_max == 0)
        own->writes_max = WINDOW;
    if (own->reads_max == 0)
        own->reads_max = WINDOW;
    return own->writes_max > VINE_STREAM_WINDOW_MAX || own->reads_max > VINE_STREAM_WINDOW_MAX ||
                   own->scalar_count > VINE_ARGUMENTS_MAX
               ? -EINVAL
               : 0;
}

/* An input of no bytes, which all tasks can share that have none. */
static int make_no_input(struct vine_stream *stream)
{
    int error;

    if (stream->procedure->input_count == 0)
        return 0;
    error = vine_data_create(stream->pipe, stream->procedure->inputs[0]->data_type, 1,
                             &stream->no_input);
    return error ? error : vine_data_resize(stream->no_input, 0);
}

/* Room of the tasks that read; of the others none, as each task has an output of its own. */
static int make_outputs(struct vine_stream *stream)
{
    int error = 0;

    if (stream->procedure->output_count == 0)
        return 0;
    for (uint32_t i = 0; i < stream->place_count && !error; i++) {
        struct place *place = &stream->places[i];

        error =
            vine_data_expect(stream->pipe, stream->procedure->outputs[0]->data_type,
                             place->kind == PLACE_READ ? stream->chunk_bytes : 0, &place->output);
    }
    return error;
}

static void free_stream(struct vine_stream *stream)
{
    for (uint32_t i = 0; i < stream->place_count; i++) {
        vine_task_free(stream->places[i].task);
        vine_data_free(stream->places[i].input);
        vine_data_free(stream->places[i].output);
    }
    vine_data_free(stream->no_input);
    vine_session_close(stream->session);
    stream->magic = 0;
    free(stream);
}

int vine_stream_open(struct vine_pipe *pipe, struct vine_procedure *procedure,
                     const struct vine_stream_options *options, struct vine_stream **ret_stream)
{
    struct vine_stream_options own;
    struct vine_stream *stream;
    int error = take_options(options, &own);

    if (error)
        return error;
    stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return -ENOMEM;
    stream->magic = MAGIC;
    stream->pipe = pipe;
    stream->procedure = procedure;
    stream->accelerator = own.accelerator;
    stream->chunk_bytes = own.chunk_bytes;
    stream->stirred = own.stirred;
    stream->context = own.context;
    stream->scalar_count = own.scalar_count;
    if (own.scalar_count > 0)
        memcpy(stream->scalars, own.scalars, own.scalar_count * SCALAR_BYTES);
    for (uint32_t i = 0; i < own.writes_max + own.reads_max + 1; i++)
        stream->places[stream->place_count++].kind = i < own.writes_max ? PLACE_WRITE
                                                     : i < own.writes_max + own.reads_max
                                                         ? PLACE_READ
                                                         : PLACE_END;
    error = see_arguments(stream);
    if (!error)
        error = vine__session_open(pipe, procedure, true, &stream->session);
    if (!error)
        error = make_no_input(stream);
    if (!error)
        error = make_outputs(stream);
    if (error) {
        free_stream(stream);
        return error;
    }
    *ret_stream = stream;
    return 0;
}

/* ---- tasks ----------------------------------------------------------------------------------- */

static bool is_over(const struct vine_stream *stream)
{
    return stream->is_at_end || stream->error != 0;
}

static void fail(struct vine_stream *stream, int error)
{
    /* A task that came too late knows less than one that was there. */
    if (stream->error == 0 || stream->error == -VINE_ESESSION)
        stream->error = error;
    stream->write_error = stream->error;
}

static void stir(struct vine_task *task, int status, void *context)
{
    const struct vine_stream *stream = context;

    (void)task, (void)status; /* who looks at it sees that */
    stream->stirred(stream->context);
}

/* The first task brings the scalars. Those that bring bytes repeat them, which come before. */
static int issue(struct vine_stream *stream, struct place *place, struct vine_data *input,
                 const void *bytes, size_t size)
{
    unsigned char packed[VINE_TASK_BYTES_MAX];
    const size_t scalar_bytes =
        !stream->is_begun || size > 0 ? stream->scalar_count * SCALAR_BYTES : 0;
    const struct vine_task_options options = {
        .size_bytes = sizeof options,
        .accelerator = stream->accelerator,
        .bytes = packed,
        .bytes_size = scalar_bytes + size,
        .inputs = input != NULL ? &input : &stream->no_input,
        .input_count = stream->procedure->input_count,
        .outputs = &place->output,
        .output_count = stream->procedure->output_count,
        .session = stream->session,
        .session_last = place->kind == PLACE_END,
        .callback = stream->stirred != NULL ? stir : NULL,
        .context = stream,
    };
    int error;

    VINE_ASSERT(place->task == NULL && scalar_bytes + size <= sizeof packed);
    memcpy(packed, stream->scalars, scalar_bytes);
    if (size > 0)
        memcpy(packed + scalar_bytes, bytes, size);
    error = vine__task_issue(stream->pipe, stream->procedure, &options, 0, &place->task);
    if (error)
        return error;
    place->number = ++stream->numbers;
    place->has_ended = false;
    place->read_bytes = 0;
    stream->is_begun = true;
    return 0;
}

static void let_go(struct place *place)
{
    vine_task_free(place->task);
    place->task = NULL;
    place->has_ended = false;
}

static size_t brought_bytes(const struct vine_stream *stream, const struct place *place)
{
    return stream->procedure->output_count > 0 ? (size_t)vine_data_size(place->output)
                                               : vine_task_result(place->task, NULL, 0);
}

/* Whether what a place's task brings, if anything, is to be read here. */
static bool may_bring(const struct vine_stream *stream, const struct place *place)
{
    return place->kind == PLACE_READ || stream->procedure->output_count == 0;
}

/* See whether it has ended. One that failed, or brought nothing, leaves its place; but for a read,
 * whose nothing is the end. */
static void look_at(struct vine_stream *stream, struct place *place)
{
    int status;

    if (place->task == NULL || place->has_ended)
        return;
    status = vine_task_poll(place->task);
    if (status == -EAGAIN)
        return;
    place->has_ended = true;
    if (status == 0 && (place->kind == PLACE_READ || brought_bytes(stream, place) > 0))
        return;
    /* It takes nothing more, and ended well. */
    if (status == -VINE_ESESSION && place->kind != PLACE_READ && stream->error == 0) {
        stream->write_error = -EPIPE;
    } else if (status != 0) {
        fail(stream, status);
        if (stream->error == status && stream->reason[0] == 0)
            (void)vine_task_reason(place->task, stream->reason, sizeof stream->reason);
    }
    let_go(place);
}

static void look_at_all(struct vine_stream *stream)
{
    for (uint32_t i = 0; i < stream->place_count; i++)
        look_at(stream, &stream->places[i]);
}

/* Have room for what the coroutine writes. What cannot be issued now can be later. */
static int read_ahead(struct vine_stream *stream)
{
    for (uint32_t i = 0; i < stream->place_count && !is_over(stream); i++) {
        struct place *place = &stream->places[i];
        int error;

        if (place->kind != PLACE_READ || place->task != NULL)
            continue;
        error = issue(stream, place, NULL, NULL, 0);
        if (error == -EAGAIN)
            return 0;
        if (error)
            return error;
    }
    return 0;
}

/* How those waits end that follow. Returns 0  look again; -ETIMEDOUT, or -EAGAIN without time; or
 * another error. */
static int see_time(const struct vine__deadline *deadline)
{
    if (!deadline->is_over)
        return 0;
    return deadline->timeout_ns == 0 ? -EAGAIN : -ETIMEDOUT;
}

/* Wait for any task of the stream. */
static int wait_for_any(struct vine_stream *stream, struct vine__deadline *deadline)
{
    struct vine_task *tasks[PLACES];
    const uint64_t left_ns = vine__deadline_left(deadline);
    uint32_t count = 0;
    size_t index = 0;
    int status = see_time(deadline);

    if (status)
        return status;
    for (uint32_t i = 0; i < stream->place_count; i++)
        if (stream->places[i].task != NULL && !stream->places[i].has_ended)
            tasks[count++] = stream->places[i].task;
    status = vine_task_wait_any(tasks, count, left_ns, &index);
    return status == -ETIMEDOUT || status == -EDEADLK || status == -VINE_EFORK ? status : 0;
}

/* Wait until a further task can be issued by this thread. */
static int wait_for_channel(struct vine_stream *stream, struct vine__deadline *deadline)
{
    struct vine_pipe *pipe = stream->pipe;
    const uint32_t turn = vine__load_acquire_u32(&pipe->memory_turn); /* T2 pairs with T1 */
    const uint64_t left_ns = vine__deadline_left(deadline);
    struct vine__channel *channel = NULL;
    int error = see_time(deadline);

    if (!error)
        error = vine__thread_channel(pipe, &channel);
    if (error)
        return error;
    if (vine__this_thread.called != NULL)
        return -EDEADLK;
    /* Full of tasks, or else of messages. */
    if (vine__channel_in_flight(channel) >= channel->tasks_max)
        return vine__channel_wait(channel, NULL, left_ns);
    vine__pipe_wait_for_memory(pipe, turn);
    return vine__pipe_ready(pipe);
}

/* ---- writing --------------------------------------------------------------------------------- */

static struct place *find_free(struct vine_stream *stream)
{
    for (uint32_t i = 0; i < stream->place_count; i++)
        if (stream->places[i].kind == PLACE_WRITE && stream->places[i].task == NULL &&
            &stream->places[i] != stream->mapped)
            return &stream->places[i];
    return NULL;
}

/* All places of writes are taken. Whether one comes free only when something was read: it was
 * brought by a write, or has left no room for more. */
static bool has_to_read(const struct vine_stream *stream)
{
    bool is_there = false;
    bool is_room = false;

    if (stream->is_at_end)
        return false;
    for (uint32_t i = 0; i < stream->place_count; i++) {
        const struct place *place = &stream->places[i];

        if (place->kind == PLACE_WRITE && place->has_ended)
            return true;
        is_there |= place->has_ended;
        is_room |= place->kind == PLACE_READ && place->task != NULL && !place->has_ended;
    }
    return is_there && !is_room;
}

static int check_writing(struct vine_stream *stream)
{
    VINE_ASSERT(stream->magic == MAGIC);
    if (vine__forked(stream->pipe->generation))
        return -VINE_EFORK;
    if (stream->mapped != NULL)
        return -EBUSY;
    look_at_all(stream);
    if (stream->write_error != 0)
        return stream->write_error;
    /* Who has ended what it writes may read on. */
    return stream->is_ended ? -EPIPE : 0;
}

/* A free place, until the time is over. */
static int wait_for_place(struct vine_stream *stream, struct vine__deadline *deadline,
                          struct place **ret_place)
{
    for (;;) {
        int error = check_writing(stream);

        if (!error)
            error = read_ahead(stream);
        if (error)
            return error;
        *ret_place = find_free(stream);
        if (*ret_place != NULL)
            return 0;
        if (has_to_read(stream))
            return -EAGAIN;
        error = wait_for_any(stream, deadline);
        if (error)
            return error;
    }
}

static int give_memory(struct vine_stream *stream, struct place *place)
{
    if (place->input != NULL)
        return vine_data_resize(place->input, stream->chunk_bytes);
    return vine_data_create(stream->pipe, stream->procedure->inputs[0]->data_type,
                            stream->chunk_bytes, &place->input);
}

/* Whether so many bytes go with a task itself. */
static bool is_inline(const struct vine_stream *stream, size_t size)
{
    const bool has_input = stream->procedure->input_count > 0;

    return stream->has_scalars_all && size <= stream->bytes_max &&
           (!has_input || size <= INLINE_BYTES);
}

/* Write a part of it from a free place. Returns 0, and how much; -EAGAIN  the channel is full. */
static int write_part(struct vine_stream *stream, struct place *place, const void *bytes,
                      size_t size, size_t *ret_size)
{
    int error;

    if (stream->procedure->input_count == 0) {
        if (stream->bytes_max == 0 || !stream->has_scalars_all)
            return -EPIPE; /* it reads nothing */
        size = vine__min_u64(size, stream->bytes_max);
    }
    if (is_inline(stream, size)) {
        *ret_size = size;
        return issue(stream, place, NULL, bytes, size);
    }
    size = vine__min_u64(size, stream->chunk_bytes);
    *ret_size = size;
    error = give_memory(stream, place);
    if (!error)
        error = vine_data_write(place->input, 0, bytes, size);
    if (!error)
        error = vine_data_resize(place->input, size);
    return error ? error : issue(stream, place, place->input, NULL, 0);
}

int vine_stream_write(struct vine_stream *stream, const void *bytes, size_t size,
                      uint64_t timeout_ns, size_t *ret_size)
{
    struct vine__deadline deadline = vine__deadline_after(timeout_ns);
    size_t written = 0;
    int error = check_writing(stream);

    (void)vine__deadline_left(&deadline); /* it begins */
    while (!error && written < size) {
        struct place *place = NULL;
        size_t part = 0;

        error = wait_for_place(stream, &deadline, &place);
        if (error)
            break;
        error = write_part(stream, place, (const unsigned char *)bytes + written, size - written,
                           &part);
        if (!error)
            written += part;
        else if (error == -EAGAIN)
            error = wait_for_channel(stream, &deadline);
    }
    /* What went wrong behind a part of it is told next time. */
    if (error && written == 0)
        return error;
    *ret_size = written;
    return 0;
}

int vine_stream_map(struct vine_stream *stream, uint64_t timeout_ns, void **ret_memory,
                    size_t *ret_size)
{
    struct vine__deadline deadline = vine__deadline_after(timeout_ns);
    struct place *place = NULL;
    int error = check_writing(stream);

    (void)vine__deadline_left(&deadline); /* it begins */
    if (!error && stream->procedure->input_count == 0)
        error = -VINE_EARGUMENT;
    if (!error)
        error = wait_for_place(stream, &deadline, &place);
    if (!error)
        error = give_memory(stream, place);
    if (error)
        return error;
    stream->mapped = place;
    *ret_memory = vine_data_map(place->input);
    *ret_size = stream->chunk_bytes;
    return 0;
}

int vine_stream_commit(struct vine_stream *stream, size_t size)
{
    struct place *place = stream->mapped;
    int error;

    if (place == NULL || size > stream->chunk_bytes)
        return -EINVAL;
    stream->mapped = NULL;
    error = check_writing(stream);
    if (error || size == 0)
        return error;
    error = vine_data_resize(place->input, size);
    if (!error)
        error = issue(stream, place, place->input, NULL, 0);
    if (error == -EAGAIN)
        stream->mapped = place;
    return error;
}

int vine_stream_end(struct vine_stream *stream, uint64_t timeout_ns)
{
    struct vine__deadline deadline = vine__deadline_after(timeout_ns);
    struct place *place = &stream->places[stream->place_count - 1];
    int error = check_writing(stream);

    (void)vine__deadline_left(&deadline); /* it begins */
    while (!error && !stream->is_ended) {
        error = issue(stream, place, NULL, NULL, 0);
        if (!error)
            stream->is_ended = true;
        else if (error == -EAGAIN)
            error = wait_for_channel(stream, &deadline);
    }
    if (error == -EPIPE) { /* nobody reads it */
        stream->is_ended = true;
        return 0;
    }
    if (!error)
        (void)!read_ahead(stream);
    return error;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Whose turn it is to be read: the one that was issued first. */
static struct place *find_first(struct vine_stream *stream)
{
    struct place *first = NULL;

    for (uint32_t i = 0; i < stream->place_count; i++) {
        struct place *place = &stream->places[i];

        if (place->task != NULL && may_bring(stream, place) &&
            (first == NULL || place->number < first->number))
            first = place;
    }
    return first;
}

/* Of one that has ended. Returns 0 and how much, or a negative code. */
static int take(struct vine_stream *stream, struct place *place, void *bytes, size_t size,
                size_t *ret_size)
{
    const size_t brought = brought_bytes(stream, place);
    const size_t part = vine__min_u64(size, brought - place->read_bytes);
    unsigned char result[VINE_RESULT_MAX];
    int error = 0;

    if (brought == 0)
        stream->is_at_end = true; /* a read with nothing */
    if (stream->procedure->output_count > 0) {
        error = vine_data_read(place->output, place->read_bytes, bytes, part);
    } else {
        (void)vine_task_result(place->task, result, sizeof result);
        memcpy(bytes, result + place->read_bytes, part);
    }
    if (error)
        return error;
    place->read_bytes += part;
    if (place->read_bytes == brought)
        let_go(place);
    *ret_size = part;
    return 0;
}

int vine_stream_read(struct vine_stream *stream, void *bytes, size_t size, uint64_t timeout_ns,
                     size_t *ret_size)
{
    struct vine__deadline deadline = vine__deadline_after(timeout_ns);
    int error;

    VINE_ASSERT(stream->magic == MAGIC);
    if (vine__forked(stream->pipe->generation))
        return -VINE_EFORK;
    if (size == 0)
        return -EINVAL;
    (void)vine__deadline_left(&deadline); /* it begins */
    for (;;) {
        struct place *place;

        look_at_all(stream);
        place = find_first(stream);
        if (stream->is_at_end) {
            *ret_size = 0;
            return 0;
        }
        if (stream->is_given_up)
            return stream->error;
        if (place != NULL && place->has_ended) {
            error = take(stream, place, bytes, size, ret_size);
            if (!error)
                (void)!read_ahead(stream); /* what is wrong with it the next call finds, too */
            return error;
        }
        /* One that was issued before the one that failed may have brought something. */
        if (stream->error != 0 && place == NULL)
            return stream->error;
        error = read_ahead(stream);
        if (!error)
            error = find_first(stream) != NULL ? wait_for_any(stream, &deadline)
                                               : wait_for_channel(stream, &deadline);
        if (error)
            return error;
    }
}

/* ---- the end --------------------------------------------------------------------------------- */

void vine_stream_cancel(struct vine_stream *stream)
{
    VINE_ASSERT(stream->magic == MAGIC);
    if (vine__forked(stream->pipe->generation) || is_over(stream))
        return;
    fail(stream, -VINE_ECANCELED);
    stream->is_given_up = true;
    if (!stream->is_begun)
        return;
    for (uint32_t i = 0; i < stream->place_count; i++)
        if (stream->places[i].task != NULL && !stream->places[i].has_ended)
            (void)!vine_task_cancel(stream->places[i].task);
    /* Not when they have ended: nobody may look at that any more. */
    vine__session_cut(stream->session);
}

int vine_stream_error(const struct vine_stream *stream)
{
    return stream->error;
}

void vine_stream_close(struct vine_stream *stream)
{
    if (stream == NULL || vine__forked(stream->pipe->generation))
        return;
    vine_stream_cancel(stream);
    free_stream(stream);
}

const char *vine_stream_reason(const struct vine_stream *stream)
{
    VINE_ASSERT(stream->magic == MAGIC);
    return stream->reason;
}
