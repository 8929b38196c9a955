/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a submission's 56 private bytes to a call whose arguments are checked.
 *
 * Two kinds of wrong: what a correct library can be made to send by its user ends the task alone
 * (decode returns a positive Vine error); what no correct library sends breaks the pipe (negative,
 * with the reason in pipe->why).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "core/talk/served_internal.h"
#include "core/talk/type.h"
#include "utils/bits.h"
#include "utils/hostile.h"

#define TOKEN_BYTES sizeof(struct vine_token)
/* Longer than any appliance lives. */
#define DEADLINE_MOST_NS (UINT64_C(1) << 58)

#define DEADLINE_BYTES sizeof(uint64_t)
#define BYTES_MAX      (VINE_TASK_BYTES_MAX + DEADLINE_BYTES)
#define DESCRIPTOR_BYTES_MAX                                                                       \
    (sizeof(struct vine_wire_descriptor) + VINE_TASK_DATA_MAX * TOKEN_BYTES + BYTES_MAX)

static int broken(struct vine__served *pipe, const char *what, unsigned long long value)
{
    vine__why_say(&pipe->why, "%s (%llu)", what, value);
    return -VINE_EPROTOCOL;
}

int vine__served_resolve(struct vine__served *pipe, const struct vine_token *token,
                         const void **ret_memory)
{
    struct vine__mirror *mirror = &pipe->mirror;
    bool is_more = false;
    int error =
        vine__mirror_find(mirror, token->extent, token->offset_units, token->length, ret_memory);

    if (error == -EAGAIN) {
        error = pipe->link_to.operations->receive(&pipe->link_to, &pipe->why);
        if (error < 0)
            return error;
        is_more = error > 0;
        pipe->changes += is_more; /* held for it, it comes back for the rest */
        error = vine__mirror_find(mirror, token->extent, token->offset_units, token->length,
                                  ret_memory);
    }
    if (error == -VINE_EQUOTA) {
        error = vine__mirror_map(mirror, token->extent);
        if (error == -VINE_EQUOTA)
            return VINE_EQUOTA;
        if (error < 0 && error != -EINPROGRESS)
            return broken(pipe, "an extent that cannot be mapped", token->extent);
        if (!error)
            error = vine__mirror_find(mirror, token->extent, token->offset_units, token->length,
                                      ret_memory);
    }
    switch (error) {
    case 0:
        return 0;
    case -EINPROGRESS:
        return VINE__HELD;
    case -EAGAIN:
        return is_more ? VINE__HELD
                       : broken(pipe, "a token names an extent that was never announced",
                                token->extent);
    default:
        return broken(pipe, "a token names memory beyond its extent", token->length);
    }
}

/* The task that this one comes after was published before it, and we may have taken it or not. This
 * one is held until we have. Only a ring of channels whose next tasks wait for each other is held
 * for ever, and an application that makes one waits for itself. */
static int see_predecessor(const struct vine_call *call)
{
    struct vine__served *pipe = call->pipe;
    const uint64_t position = call->after_position;

    if (call->after_channel >= pipe->channel_count) {
        /* Relaxed: a bound, and no channel is followed here. */
        const uint32_t count = vine__load_relaxed_u32(&pipe->mirror.layout->board.channels.value);

        if (VINE__HOSTILE(call->after_channel >= count))
            return broken(pipe, "a task that waits for one of no channel", call->after_channel);
        return VINE__HELD;
    }

    const struct vine__served_channel *channel = pipe->channels[call->after_channel];
    const struct vine_spsc_consumer *ring = &channel->submissions;

    if (VINE__HOSTILE(call->after_channel == call->channel && position >= ring->position - 1))
        return broken(pipe, "a task that waits for itself or one behind it", position);
    if (position < ring->position)
        return position == ring->position - 1 && channel->is_held ? VINE__HELD : 0;

    const struct vine_slot *slot = &ring->slots[position & (ring->slot_count - 1)];

    if (VINE__HOSTILE(position - ring->position >= ring->slot_count ||
                      vine__load_relaxed_u64(&slot->sequence) != position + 1))
        return broken(pipe, "a task that waits for one that was never issued", position);
    return VINE__HELD;
}

/* Copy a descriptor once into private memory, check it, and point the call's bytes into it. */
static int read_descriptor(struct vine_call *call, const struct vine_token *token,
                           const unsigned char **ret_tokens, uint32_t *ret_token_count)
{
    struct vine__served *pipe = call->pipe;
    struct vine_wire_descriptor head;
    const void *shared = NULL;

    if (VINE__HOSTILE(token->length < sizeof head || token->length > DESCRIPTOR_BYTES_MAX))
        return broken(pipe, "a descriptor of impossible size", token->length);

    const int error = vine__served_resolve(pipe, token, &shared);

    if (error)
        return error;
    if (vine__quota_take(&pipe->quota, token->length) != 0)
        return VINE_EQUOTA;
    call->block_bytes = token->length;
    call->block = malloc(token->length);
    if (call->block == NULL)
        return VINE_EQUOTA;
    memcpy(call->block, shared, token->length);
    memcpy(&head, call->block, sizeof head);
    if (VINE__HOSTILE(head.token_count > VINE_TASK_DATA_MAX || head.bytes_size > BYTES_MAX ||
                      head.size_bytes != token->length ||
                      head.size_bytes !=
                          sizeof head + head.token_count * TOKEN_BYTES + head.bytes_size))
        return broken(pipe, "a descriptor whose parts do not add up", head.size_bytes);
    if (VINE__HOSTILE(head.has_after && head.after_channel >= pipe->agreement.channels_max))
        return broken(pipe, "a descriptor that waits for an impossible channel",
                      head.after_channel);
    call->has_after = head.has_after != 0;
    call->after_channel = head.after_channel;
    call->after_operation = head.after_operation;
    call->after_position = head.after_position;
    *ret_tokens = (const unsigned char *)call->block + sizeof head;
    *ret_token_count = head.token_count;
    call->bytes = *ret_tokens + head.token_count * TOKEN_BYTES;
    call->bytes_size = head.bytes_size;
    return call->has_after ? see_predecessor(call) : 0;
}

/* Split a slot's body into bytes and tokens. */
static int read_body(struct vine_call *call, const struct vine_wire_submission *submission,
                     const unsigned char **ret_tokens, uint32_t *ret_token_count)
{
    const uint32_t bytes = VINE_WIRE_SHAPE_BYTES(submission->shape);
    const uint32_t tokens = VINE_WIRE_SHAPE_TOKENS(submission->shape);

    if (tokens == VINE_WIRE_DESCRIPTOR) {
        struct vine_token token;

        if (VINE__HOSTILE(bytes != 0))
            return broken(call->pipe, "a submission with a descriptor and bytes", bytes);
        memcpy(&token, submission->body + VINE_WIRE_BODY_BYTES - TOKEN_BYTES, sizeof token);
        return read_descriptor(call, &token, ret_tokens, ret_token_count);
    }
    if (VINE__HOSTILE(bytes + tokens * TOKEN_BYTES > VINE_WIRE_BODY_BYTES))
        return broken(call->pipe, "a submission of impossible shape", submission->shape);
    memcpy(call->inline_bytes, submission->body, VINE_WIRE_BODY_BYTES);
    call->bytes = call->inline_bytes;
    call->bytes_size = bytes;
    *ret_tokens = call->inline_bytes + VINE_WIRE_BODY_BYTES - tokens * TOKEN_BYTES;
    *ret_token_count = tokens;
    return 0;
}

static int check_length(const struct vine_argument *argument, const struct vine_token *token)
{
    if ((token->type & VINE_WIRE_TYPE_MASK) != argument->data_type ||
        token->length % vine__type_bytes(argument->data_type) != 0)
        return VINE_EARGUMENT;
    if (token->length > argument->max)
        return VINE_ETOOBIG;
    return token->length < argument->min ? VINE_EARGUMENT : 0;
}

static int bind_input(struct vine_call *call, const struct vine_argument *argument,
                      const struct vine_token *token)
{
    struct vine__served *pipe = call->pipe;
    struct vine__call_input *input = &call->inputs[call->input_count];

    if (token->type & VINE_WIRE_TYPE_EXPECT)
        return VINE_EARGUMENT;

    int error = check_length(argument, token);

    if (error)
        return error;
    input->is_ours = (token->type & VINE_WIRE_TYPE_THEIRS) != 0;
    input->size_bytes = token->length;
    input->token = *token;
    if (input->is_ours) {
        void *memory = NULL;

        input->token.type &= VINE_WIRE_TYPE_MASK;
        error = vine_box_resolve(pipe->half.book, &input->token, NULL, &memory);
        if (!error)
            error = vine_box_ref(pipe->half.book, &input->token);
        if (error)
            return VINE_ETOKEN;
        input->memory = memory;
    } else {
        error = vine__served_resolve(pipe, token, &input->memory);
        if (error)
            return error;
    }
    call->input_count++;
    return 0;
}

/* Room in our half that nobody can name yet. */
static int create_box(const struct vine_call *call, uint32_t type, uint32_t length,
                      struct vine_box *ret_box)
{
    struct vine__served *pipe = call->pipe;
    const uint64_t theirs = pipe->mirror.told_bytes;

    /* What the application has of the halves is not ours to take. */
    if (pipe->half.announce != NULL)
        pipe->half.bytes_max = pipe->agreement.memory_max_bytes > theirs
                                   ? pipe->agreement.memory_max_bytes - theirs
                                   : 0;

    const int error = vine__half_create_box(&pipe->half, (uint16_t)(type | VINE__TYPE_UNFINISHED),
                                            length, call->procedure, ret_box);

    if (error == 0 &&
        VINE__UNLIKELY(vine__ages_want(&pipe->ages, call->seen_ticks, pipe->appliance->ages_ticks)))
        vine__ages_note(&pipe->ages, ret_box->token.generation, call->seen_ticks);
    if (error == 0 || error == VINE__HELD)
        return error;
    return error == -VINE_ETOOBIG ? VINE_ETOOBIG : VINE_EQUOTA;
}

/* Outputs and result that do not fit into a completion's slot get a block of our half. That has to
 * be there before the handler runs, too: a task that was done is not lost for want of it. */
static int prepare_parcel(struct vine_call *call)
{
    const struct vine_procedure_definition *definition = call->definition;
    const uint32_t tokens_bytes = call->output_count * (uint32_t)TOKEN_BYTES;
    uint32_t result_max = 0;

    for (uint32_t i = 0; i < definition->argument_count; i++)
        if (definition->arguments[i].kind == VINE_RESULT)
            result_max = (uint32_t)definition->arguments[i].max;
    if (call->output_count <= 2 && tokens_bytes + result_max <= VINE_RESULT_MAX)
        return 0;

    const int error = create_box(
        call, VINE_TYPE_BYTES,
        (uint32_t)sizeof(struct vine_wire_descriptor) + tokens_bytes + result_max, &call->parcel);

    call->has_parcel = error == 0;
    return error;
}

static int bind_output(struct vine_call *call, const struct vine_argument *argument,
                       const struct vine_token *token)
{
    struct vine__served *pipe = call->pipe;
    struct vine__call_output *output = &call->outputs[call->output_count];
    struct vine_box box;

    if ((token->type & VINE_WIRE_TYPE_EXPECT) == 0)
        return VINE_EARGUMENT;

    int error = check_length(argument, token);

    if (error)
        return error;
    output->memory = NULL;
    output->room_bytes = token->length;
    output->size_bytes = 0;
    if (token->length > pipe->agreement.memory_max_bytes)
        return VINE_ETOOBIG;
    if (token->length > 0) {
        /* Taken before the handler runs. */
        error = create_box(call, token->type & VINE_WIRE_TYPE_MASK, token->length, &box);
        if (error)
            return error;
        output->memory = box.memory;
        output->token = box.token;
    }
    call->output_count++;
    return 0;
}

static int check_bytes(const struct vine_call *call)
{
    const struct vine_procedure_definition *definition = call->definition;
    size_t at = 0;

    for (uint32_t i = 0; i < definition->argument_count; i++) {
        const struct vine_argument *argument = &definition->arguments[i];

        if (argument->kind == VINE_SCALAR && at < call->bytes_size) {
            uint64_t value;

            if (call->bytes_size - at < sizeof value)
                return VINE_EARGUMENT;
            memcpy(&value, call->bytes + at, sizeof value);
            if (value < argument->min || value > argument->max)
                return VINE_EARGUMENT;
            at += sizeof value;
        } else if (argument->kind == VINE_BYTES) {
            const size_t size = call->bytes_size - at;

            if (size > argument->max)
                return VINE_ETOOBIG;
            if (size < argument->min)
                return VINE_EARGUMENT;
            at = call->bytes_size;
        }
    }
    return at == call->bytes_size ? 0 : VINE_EARGUMENT;
}

/* The last bytes of a task that has a deadline say for how long it is wanted. */
static int take_deadline(struct vine_call *call, const struct vine_wire_submission *submission)
{
    uint64_t wanted_ns;

    if ((submission->kind & VINE_WIRE_HAS_DEADLINE) == 0)
        return call->bytes_size > VINE_TASK_BYTES_MAX
                   ? broken(call->pipe, "a task with too many bytes", call->bytes_size)
                   : 0;
    if (VINE__HOSTILE(call->bytes_size < DEADLINE_BYTES))
        return broken(call->pipe, "a task whose deadline is missing", call->bytes_size);
    call->bytes_size -= (uint32_t)DEADLINE_BYTES;
    memcpy(&wanted_ns, call->bytes + call->bytes_size, sizeof wanted_ns);
    vine__list_init(&call->timed);
    call->deadline_ticks =
        call->seen_ticks + vine__clock_ns_to_ticks(vine__min_u64(wanted_ns, DEADLINE_MOST_NS));
    call->deadline_ticks += call->deadline_ticks == 0; /* that would be none */
    return 0;
}

int vine__served_decode(struct vine_call *call, const struct vine_wire_submission *submission)
{
    const struct vine_procedure_definition *definition = call->definition;
    const unsigned char *tokens = NULL;
    uint32_t token_count = 0;
    uint32_t token_next = 0;
    int error = read_body(call, submission, &tokens, &token_count);

    if (!error)
        error = take_deadline(call, submission);
    if (error)
        return error;
    error = check_bytes(call);
    for (uint32_t i = 0; i < definition->argument_count && !error; i++) {
        const struct vine_argument *argument = &definition->arguments[i];
        struct vine_token token;

        if (argument->kind != VINE_INPUT && argument->kind != VINE_OUTPUT)
            continue;
        if (token_next == token_count)
            return VINE_EARGUMENT;
        memcpy(&token, tokens + token_next++ * TOKEN_BYTES, sizeof token);
        error = argument->kind == VINE_INPUT ? bind_input(call, argument, &token)
                                             : bind_output(call, argument, &token);
    }
    if (!error && token_next != token_count)
        error = VINE_EARGUMENT;
    return error ? error : prepare_parcel(call);
}
