/* SPDX-License-Identifier: Apache-2.0 */
/* A stream of members, decompressed by isa-l. */
#include <vine/error.h>

#include "../gunzip_members.h"
#include "../shipped_internal.h"
#include "streams_internal.h"

static struct vine__gunzip *gunzip_of(void *state)
{
    return VINE_STATE(struct vine__gunzip, state);
}

static int gunzip_begin(void *state, const void *argument)
{
    (void)argument;
    vine__gunzip_init(gunzip_of(state));
    return 0;
}

static int gunzip_step(void *state, struct vine_filter_step *step)
{
    struct vine__gunzip *const members = gunzip_of(state);
    struct vine__expand_input input = {step->input, step->input_bytes, 0};
    struct vine__expand_output output = {step->output, step->room, 0};
    int result = vine__gunzip_go(members, &input, &output);

    step->taken = input.position;
    step->written = output.made;
    if (result == VINE__EXPAND_ENOUGH && step->is_last)
        result = vine__gunzip_finish(members);
    if (result < 0)
        step->reason = members->reason;
    return result <= 0 ? result : VINE_FILTER_MORE;
}

const struct vine_filter_type vine__filter_gunzip = {
    .size_bytes = sizeof vine__filter_gunzip,
    .state_bytes = VINE_STATE_BYTES(struct vine__gunzip),
    .begin = gunzip_begin,
    .step = gunzip_step,
};

VINE_COROUTINE(vine__stream_gunzip)
{
    struct {
        struct vine__through through;
    } *self;

    vine_begin();
    self->through.type = &vine__filter_gunzip;
    self->through.level = 0;
    vine_call(vine__through, &self->through);
    vine_end();
}
