/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a pipe has to know of the appliance that it goes on with: its numbers of our procedures; and
 * what that has to know of us: the virtual accelerators. Asked by tasks of the protocol's own
 * procedures, one at a time, in the first channel, which is the caller's: see renew.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "arch/wake/futex.h"
#include "core/ring/deadline.h"
#include "core/talk/pipe_internal.h"
#include "utils/bits.h"

#define ROOM_BYTES     (64u << 10) /* of the list of procedures, tried first */
#define ROOM_BYTES_MAX (1u << 20)  /* what the protocol takes */
#define LOOKS          256         /* at the ring, before each is followed by a nap */
#define NAP_NS         200000

/* One question, and its answer. */
struct exchange {
    struct vine_wire_submission submission;
    struct vine_wire_completion completion;
};

/* Until the completion is there. */
static int await_completion(struct vine__channel *channel, struct exchange *exchange,
                            struct vine__deadline *deadline)
{
    struct vine_pipe *pipe = channel->pipe;

    for (uint32_t looks = 0;; looks++) {
        int error = vine__channel_meet(channel);

        if (error > 0)
            error = vine__spsc_pop(&channel->completions, &exchange->completion);
        else if (error == 0)
            error = -EAGAIN;
        if (error != -EAGAIN)
            return error;
        if (looks < LOOKS)
            continue;

        const uint64_t left_ns = vine__deadline_left(deadline);

        error = vine__renew_hear(pipe);
        if (!error && vine__pipe_is_closed(pipe))
            error = -VINE_EPEERLOST;
        if (error)
            return error;
        if (deadline->is_over)
            return -ETIMEDOUT;
        if (channel->has_completions)
            (void)!vine__futex_wait_or_look(vine__spsc_next_word(&channel->completions),
                                            vine__spsc_old_word(&channel->completions),
                                            vine__min_u64(left_ns, NAP_NS));
        else
            (void)!vine__futex_wait_or_look(&pipe->mirror.layout->channels[channel->index].state, 0,
                                            vine__min_u64(left_ns, NAP_NS));
    }
}

/* Returns 0 when there is an answer, whatever it says. */
static int ask(struct vine__channel *channel, struct exchange *exchange,
               struct vine__deadline *deadline)
{
    const uint64_t operation = channel->producer.position;
    int error;

    exchange->submission.operation = operation;
    exchange->submission.kind = VINE_WIRE_TASK;
    error = vine__spsc_push(&channel->producer, &exchange->submission, sizeof exchange->submission);
    if (error)
        return error;
    vine__channel_tell(channel->pipe, channel);
    error = await_completion(channel, exchange, deadline);
    return !error && exchange->completion.operation != operation ? -VINE_ECORRUPT : error;
}

static int refusal(const struct exchange *exchange)
{
    const uint16_t status = exchange->completion.status;

    return status == 0                                ? 0
           : status > 1000 && status < VINE_ERROR_END ? -(int)status
                                                      : -VINE_EFAILED;
}

/* A private copy of the only output, which is given back. */
static int copy_output(struct vine__channel *channel, const struct exchange *exchange,
                       unsigned char **ret_bytes, size_t *ret_size)
{
    struct vine_wire_submission release = {
        .kind = VINE_WIRE_RELEASE,
        .shape = VINE_WIRE_SHAPE(0, 1),
    };
    struct vine_token token;
    const void *memory = NULL;
    unsigned char *bytes;

    if (VINE_WIRE_SHAPE_TOKENS(exchange->completion.shape) != 1)
        return -VINE_ECORRUPT;
    memcpy(&token, exchange->completion.body + VINE_RESULT_MAX - sizeof token, sizeof token);
    if (token.length > ROOM_BYTES_MAX)
        return -VINE_ECORRUPT;
    bytes = malloc((size_t)token.length + 1);
    if (bytes == NULL)
        return -ENOMEM;
    *ret_size = token.length;
    *ret_bytes = bytes;
    if (token.length == 0)
        return 0; /* it lies nowhere */
    if (vine__pipe_resolve(channel->pipe, &token, &memory) != 0) {
        free(bytes);
        return -VINE_ECORRUPT;
    }
    memcpy(bytes, memory, token.length);
    memcpy(release.body + VINE_WIRE_BODY_BYTES - sizeof token, &token, sizeof token);
    return vine__spsc_push(&channel->producer, &release, sizeof release);
}

/* ---- procedures ------------------------------------------------------------------------------ */

static bool is_same(const struct vine_procedure *known, const struct vine_procedure *told)
{
    bool is_same = known->info.argument_count == told->info.argument_count &&
                   known->info.has_sessions == told->info.has_sessions &&
                   known->info.has_streams == told->info.has_streams &&
                   known->info.has_streams_only == told->info.has_streams_only;

    for (uint32_t i = 0; is_same && i < known->info.argument_count; i++) {
        const struct vine_argument *one = &known->info.arguments[i];
        const struct vine_argument *other = &told->info.arguments[i];

        is_same = one->kind == other->kind && one->data_type == other->data_type &&
                  one->min == other->min && one->max == other->max;
    }
    return is_same;
}

/* The pipe's lock is held. */
static void learn(struct vine_pipe *pipe, const struct vine_procedure *told)
{
    for (struct vine_procedure *known = pipe->procedures; known != NULL; known = known->next) {
        if (strcmp(known->info.name, told->info.name) != 0)
            continue;
        known->id = told->id;
        vine__store_relaxed_u32(&known->error, is_same(known, told) ? 0 : VINE_ECHANGED);
    }
}

static int learn_all(struct vine_pipe *pipe, const unsigned char *bytes, size_t size)
{
    int error = size % sizeof(struct vine_wire_description) != 0 ? -VINE_EPROTOCOL : 0;

    pthread_mutex_lock(&pipe->lock);
    for (struct vine_procedure *known = pipe->procedures; known != NULL; known = known->next)
        vine__store_relaxed_u32(&known->error, VINE_EPROCEDURE);
    for (size_t at = 0; at < size && !error; at += sizeof(struct vine_wire_description)) {
        struct vine_procedure told = {0};
        struct vine_wire_description wire;

        memcpy(&wire, bytes + at, sizeof wire);
        error = vine__procedure_understand(&wire, &told);
        if (!error)
            learn(pipe, &told);
    }
    pthread_mutex_unlock(&pipe->lock);
    return error;
}

static int ask_for_procedures(struct vine__channel *channel, struct vine__deadline *deadline)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    int error = -VINE_EOVERFLOW;

    for (uint32_t room = ROOM_BYTES; error == -VINE_EOVERFLOW && room <= ROOM_BYTES_MAX;
         room *= 4) {
        const struct vine_token token = {
            .length = room,
            .type = VINE_TYPE_BYTES | VINE_WIRE_TYPE_EXPECT,
        };
        struct exchange exchange = {
            .submission = {.procedure = VINE_WIRE_LIST_PROCEDURES, .shape = VINE_WIRE_SHAPE(0, 1)}};

        memcpy(exchange.submission.body + VINE_WIRE_BODY_BYTES - sizeof token, &token,
               sizeof token);
        error = ask(channel, &exchange, deadline);
        if (!error)
            error = refusal(&exchange);
        if (!error)
            error = copy_output(channel, &exchange, &bytes, &size);
    }
    if (error)
        return error;
    error = learn_all(channel->pipe, bytes, size);
    free(bytes);
    return error;
}

/* ---- accelerators ---------------------------------------------------------------------------- */

/* One that it does not give is none: tasks of it end with that. */
static int acquire(struct vine__channel *channel, const struct vine_accelerator *accelerator,
                   struct vine__deadline *deadline)
{
    struct exchange exchange = {
        .submission = {.procedure = VINE_WIRE_ACQUIRE_ACCELERATOR,
                       .shape = VINE_WIRE_SHAPE(sizeof(struct vine_wire_acquire), 0)}};
    struct vine_wire_acquire request = {.accelerator = accelerator->id,
                                        .order = accelerator->order};

    VINE_STATIC_ASSERT(sizeof request <= VINE_WIRE_BODY_BYTES, "a request travels in its slot");
    memcpy(request.type, accelerator->type, sizeof request.type);
    memcpy(exchange.submission.body, &request, sizeof request);
    return ask(channel, &exchange, deadline);
}

static struct vine_accelerator *acquired_at(struct vine_pipe *pipe, uint32_t index)
{
    pthread_mutex_lock(&pipe->lock);

    struct vine_accelerator *accelerator = pipe->accelerator_at[index];
    const bool is_acquired =
        accelerator != NULL && vine__load_relaxed_u32(&accelerator->is_acquired) != 0;

    pthread_mutex_unlock(&pipe->lock);
    return is_acquired ? accelerator : NULL;
}

int vine__renew_ask(struct vine_pipe *pipe, uint64_t timeout_ns)
{
    struct vine__deadline deadline = vine__deadline_after(timeout_ns);
    int error;

    if (pipe->channel_count == 0)
        return 0; /* nothing was asked for before */
    error = ask_for_procedures(pipe->channels[0], &deadline);
    for (uint32_t i = 1; i < VINE__ACCELERATORS && !error; i++) {
        const struct vine_accelerator *accelerator = acquired_at(pipe, i);

        if (accelerator != NULL)
            error = acquire(pipe->channels[0], accelerator, &deadline);
    }
    return error;
}
