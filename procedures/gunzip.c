/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procedures/gunzip.c - decompress gzip by isa-l: members one after the other.
 *
 * Copied: the decoder checks what it reads and reads it again.
 *
 * What follows the last member is treated as gzip treats it: zero bytes are padding; other bytes
 * that do not begin a member are ignored and told as VINE_EXPAND_GARBAGE; a single one is a file
 * cut short.
 */
#include <isa-l/igzip_lib.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include <vine/error.h>

#include "gzip_header.h"
#include "shipped_internal.h"

enum {
    GUNZIP_INPUT,
    GUNZIP_OUTPUT,
    GUNZIP_PROGRESS,
};

static const struct vine_argument gunzip_arguments[] = {
    [GUNZIP_INPUT] = {"input", VINE_INPUT, VINE_TYPE_BYTES, 0, VINE_SHIPPED_DATA_MAX},
    [GUNZIP_OUTPUT] = {"output", VINE_OUTPUT, VINE_TYPE_BYTES, 0, VINE_SHIPPED_DATA_MAX},
    [GUNZIP_PROGRESS] = {"progress", VINE_RESULT, 0, sizeof(struct vine_expand_result),
                         sizeof(struct vine_expand_result)},
};

enum gunzip_place {
    GUNZIP_IN_HEADER, /* of the first member, or of a later one behind its first byte */
    GUNZIP_IN_BODY,   /* and its trailer */
    GUNZIP_BETWEEN,   /* behind a member */
    GUNZIP_IN_ZEROS,  /* padding behind the last member */
    GUNZIP_IN_GARBAGE,
};

struct gunzip_state {
    struct inflate_state inflate; /* meaningful in a body */
    struct vine__gzip_header header;
    uint8_t place;   /* enum gunzip_place */
    uint8_t garbage; /* one byte behind the last member that begins no other: maybe more follow */
    bool is_first;
};

struct gunzip_input {
    const uint8_t *bytes;
    size_t size, position;
};

struct gunzip_output {
    uint8_t *bytes;
    size_t room, made;
};

static pthread_once_t gunzip_once = PTHREAD_ONCE_INIT;
static pthread_key_t gunzip_key; /* each thread's struct gunzip_state */
static int gunzip_key_error;

static void gunzip_prepare(void)
{
    gunzip_key_error = pthread_key_create(&gunzip_key, free);
}

static void gunzip_start(struct gunzip_state *state)
{
    isal_inflate_init(&state->inflate);
    state->header = (struct vine__gzip_header){0};
    state->place = GUNZIP_IN_HEADER;
    state->garbage = 0;
    state->is_first = true;
}

static int gunzip_begin(void *call_state)
{
    gunzip_start(VINE_STATE(struct gunzip_state, call_state));
    return 0;
}

/* NULL: no memory, or no key. */
static struct gunzip_state *gunzip_state_of_thread(void)
{
    struct gunzip_state *state;

    pthread_once(&gunzip_once, gunzip_prepare);
    if (gunzip_key_error != 0)
        return NULL;
    state = pthread_getspecific(gunzip_key);
    if (!state) {
        state = malloc(sizeof(*state));
        if (!state || pthread_setspecific(gunzip_key, state) != 0) {
            free(state);
            return NULL;
        }
    }
    gunzip_start(state);
    return state;
}

static bool gunzip_is_whole(const struct gunzip_state *state)
{
    return state->place == GUNZIP_BETWEEN || state->place == GUNZIP_IN_ZEROS ||
           (state->place == GUNZIP_IN_GARBAGE && state->garbage > 1);
}

static int gunzip_header(struct gunzip_state *state, struct gunzip_input *input)
{
    const uint8_t *next = input->bytes + input->position;
    size_t offered = input->size - input->position;
    size_t taken;
    int status;

    if (!state->is_first && state->header.index == 0) {
        offered = 1; /* so that we see whether the second byte goes with it */
    } else if (!state->is_first && state->header.index == 1 && *next != 0x8b) {
        state->place = GUNZIP_IN_GARBAGE;
        state->garbage = 1;
        return 0;
    }
    status = vine__gzip_header_feed(&state->header, next, offered, &taken);
    if (status < 0)
        return status;
    input->position += taken;
    if (state->header.part == VINE_GZIP_DONE) {
        isal_inflate_reset(&state->inflate);
        state->inflate.crc_flag = ISAL_GZIP_NO_HDR_VER;
        state->place = GUNZIP_IN_BODY;
    }
    return 0;
}

/* What follows a member. */
static void gunzip_between(struct gunzip_state *state, struct gunzip_input *input)
{
    const uint8_t next = input->bytes[input->position];

    if (next == 0) {
        state->place = GUNZIP_IN_ZEROS;
    } else if (next == 0x1f) {
        state->header = (struct vine__gzip_header){0};
        state->is_first = false;
        state->place = GUNZIP_IN_HEADER;
    } else {
        state->place = GUNZIP_IN_GARBAGE;
    }
}

/* Inflate at most a slice. */
static int gunzip_body(struct gunzip_state *state, struct gunzip_input *input,
                       struct gunzip_output *output)
{
    struct inflate_state *inflate = &state->inflate;
    const size_t left = output->room - output->made;
    const uint32_t slice = (uint32_t)(left > VINE_SLICE_BYTES ? VINE_SLICE_BYTES : left);
    const uint32_t offered = (uint32_t)(input->size - input->position);
    int result;

    inflate->next_in = (uint8_t *)(uintptr_t)(input->bytes + input->position); /* only read */
    inflate->avail_in = offered;
    inflate->next_out = output->bytes + output->made;
    inflate->avail_out = slice;
    result = isal_inflate(inflate);
    if (result < 0)
        return -VINE_EDATA;
    input->position += offered - inflate->avail_in;
    output->made += slice - inflate->avail_out;
    if (inflate->block_state == ISAL_BLOCK_FINISH)
        state->place = GUNZIP_BETWEEN;
    return 0;
}

/* Go on until the input is used up and nothing more comes, or the room is full. */
static int gunzip_stream(struct vine_call *call, struct gunzip_state *state,
                         struct gunzip_input *input, struct gunzip_output *output)
{
    for (;;) {
        const size_t position_before = input->position, made_before = output->made;
        int status = 0;

        if (state->place != GUNZIP_IN_BODY && input->position == input->size)
            return 0;
        if (vine_call_is_canceled(call))
            return -VINE_ECANCELED;
        switch ((enum gunzip_place)state->place) {
        case GUNZIP_IN_HEADER:
            status = gunzip_header(state, input);
            break;
        case GUNZIP_IN_BODY:
            status = gunzip_body(state, input, output);
            if (status == 0 && state->place == GUNZIP_IN_BODY &&
                input->position == position_before && output->made == made_before)
                return 0;
            break;
        case GUNZIP_BETWEEN:
            gunzip_between(state, input);
            break;
        case GUNZIP_IN_ZEROS:
            while (input->position < input->size && input->bytes[input->position] == 0)
                input->position++;
            if (input->position < input->size) {
                state->place = GUNZIP_IN_GARBAGE;
                state->garbage = 1;
            }
            break;
        case GUNZIP_IN_GARBAGE:
            if (state->garbage > 0 || input->size - input->position > 1)
                state->garbage = 2;
            else
                state->garbage = 1;
            input->position = input->size;
            break;
        }
        if (status < 0)
            return status;
    }
}

static int gunzip(struct vine_call *call)
{
    void *call_state = vine_call_state(call);
    struct gunzip_state *state;
    struct gunzip_input input = {0};
    struct gunzip_output output = {0};
    uint64_t flags = 0;
    int status;

    output.bytes = vine__output_of(call, GUNZIP_OUTPUT, &output.room);
    input.bytes = vine_call_bytes(call, GUNZIP_INPUT, &input.size);
    if (call_state)
        state = VINE_STATE(struct gunzip_state, call_state);
    else
        state = gunzip_state_of_thread();
    if (!state)
        return -ENOMEM;
    status = gunzip_stream(call, state, &input, &output);
    if (status < 0)
        return status;

    if (state->place == GUNZIP_IN_BODY && output.made == output.room)
        flags |= VINE_EXPAND_MORE;
    if (gunzip_is_whole(state))
        flags |= VINE_EXPAND_ENDED;
    if (state->place == GUNZIP_IN_GARBAGE && state->garbage > 1)
        flags |= VINE_EXPAND_GARBAGE;
    if (!call_state || vine_call_is_last(call)) {
        if (input.position < input.size || (!call_state && (flags & VINE_EXPAND_MORE)))
            return -VINE_EOVERFLOW;
        if (!(flags & VINE_EXPAND_ENDED))
            return -VINE_EDATA;
    }
    status = vine_call_output_size(call, GUNZIP_OUTPUT, output.made);
    return status < 0 ? status : vine__expand_result(call, input.position, flags);
}

const struct vine_procedure_definition vine_shipped_gunzip = {
    .size_bytes = sizeof(struct vine_procedure_definition),
    .name = "gunzip",
    .summary = "decompress gzip",
    .flags = VINE_ARGUMENTS_COPIED,
    .arguments = gunzip_arguments,
    .argument_count = 3,
    .run = gunzip,
    .state_bytes = VINE_STATE_BYTES(struct gunzip_state),
    .begin = gunzip_begin,
};
