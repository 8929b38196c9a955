/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procedures/gunzip.c - decompress gzip by isa-l: members one after the other.
 *
 * Copied: the decoder checks what it reads and reads it again.
 *
 * What was ignored behind the last member is told as VINE_EXPAND_GARBAGE.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include <vine/error.h>

#include "gunzip_members.h"
#include "shipped_internal.h"

#include "utils/bits.h"

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

static pthread_once_t gunzip_once = PTHREAD_ONCE_INIT;
static pthread_key_t gunzip_key; /* each thread's struct vine__gunzip */
static int gunzip_key_error;

static void gunzip_prepare(void)
{
    gunzip_key_error = pthread_key_create(&gunzip_key, free);
}

static int gunzip_begin(void *call_state)
{
    vine__gunzip_init(VINE_STATE(struct vine__gunzip, call_state));
    return 0;
}

/* NULL: no memory, or no key. */
static struct vine__gunzip *gunzip_state_of_thread(void)
{
    struct vine__gunzip *members;

    pthread_once(&gunzip_once, gunzip_prepare);
    if (gunzip_key_error != 0)
        return NULL;
    members = pthread_getspecific(gunzip_key);
    if (!members) {
        members = malloc(sizeof(*members));
        if (!members || pthread_setspecific(gunzip_key, members) != 0) {
            free(members);
            return NULL;
        }
    }
    vine__gunzip_init(members);
    return members;
}

/* Go on until the input is used up and nothing more comes, or the room is full. */
static int gunzip_stream(struct vine_call *call, struct vine__gunzip *members,
                         struct vine__expand_input *input, struct vine__expand_output *output)
{
    const size_t room = output->room;
    int status;

    do {
        if (vine_call_is_canceled(call))
            return -VINE_ECANCELED;
        output->room = vine__min_u64(room, output->made + VINE_SLICE_BYTES);
        status = vine__gunzip_go(members, input, output);
    } while (status == VINE__EXPAND_FULL && output->made < room);
    output->room = room;
    if (status < 0)
        vine_call_reason(call, "%s", members->reason);
    return status;
}

static int gunzip(struct vine_call *call)
{
    void *call_state = vine_call_state(call);
    struct vine__gunzip *members;
    struct vine__expand_input input = {0};
    struct vine__expand_output output = {0};
    uint64_t flags = 0;
    int status;

    output.bytes = vine__output_of(call, GUNZIP_OUTPUT, &output.room);
    input.bytes = vine_call_bytes(call, GUNZIP_INPUT, &input.size);
    if (call_state)
        members = VINE_STATE(struct vine__gunzip, call_state);
    else
        members = gunzip_state_of_thread();
    if (!members)
        return -ENOMEM;
    status = gunzip_stream(call, members, &input, &output);
    if (status < 0)
        return status;

    if (status == VINE__EXPAND_FULL)
        flags |= VINE_EXPAND_MORE;
    if (vine__gunzip_is_whole(members))
        flags |= VINE_EXPAND_ENDED;
    if (vine__gunzip_has_garbage(members))
        flags |= VINE_EXPAND_GARBAGE;
    if (!call_state || vine_call_is_last(call)) {
        if (input.position < input.size || (!call_state && (flags & VINE_EXPAND_MORE)))
            return -VINE_EOVERFLOW;
        status = vine__gunzip_finish(members);
        if (status < 0) {
            vine_call_reason(call, "%s", members->reason);
            return status;
        }
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
    .state_bytes = VINE_STATE_BYTES(struct vine__gunzip),
    .begin = gunzip_begin,
};
