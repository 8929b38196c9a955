/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler sees of its task. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "core/talk/appliance_internal.h"
#include "core/talk/message.h"
#include "utils/assert.h"

/* How many arguments of this kind stand before `argument`; asserts that it is of this kind itself,
 * since a handler that mixes its own arguments up is a mistake of ours. */
static uint32_t place_of(const struct vine_call *call, uint32_t argument, uint32_t kind)
{
    uint32_t place = 0;

    VINE_ASSERT(argument < call->definition->argument_count);
    VINE_ASSERT(call->definition->arguments[argument].kind == kind);
    for (uint32_t i = 0; i < argument; i++)
        place += call->definition->arguments[i].kind == kind;
    return place;
}

static uint32_t scalar_count(const struct vine_call *call)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < call->definition->argument_count; i++)
        count += call->definition->arguments[i].kind == VINE_SCALAR;
    return count;
}

uint64_t vine_call_scalar(const struct vine_call *call, uint32_t argument, uint64_t otherwise)
{
    const size_t at = place_of(call, argument, VINE_SCALAR) * sizeof(uint64_t);
    uint64_t value;

    if (at + sizeof value > call->bytes_size)
        return otherwise;
    memcpy(&value, call->bytes + at, sizeof value);
    return value;
}

const void *vine_call_bytes(const struct vine_call *call, uint32_t argument, size_t *ret_size)
{
    VINE_ASSERT(argument < call->definition->argument_count);
    if (call->definition->arguments[argument].kind == VINE_BYTES) {
        const size_t at = scalar_count(call) * sizeof(uint64_t);

        *ret_size = call->bytes_size > at ? call->bytes_size - at : 0;
        return call->bytes + (*ret_size ? at : 0);
    }

    const uint32_t place = place_of(call, argument, VINE_INPUT);

    *ret_size = place < call->input_count ? call->inputs[place].size_bytes : 0;
    return *ret_size ? call->inputs[place].memory : "";
}

static struct vine__call_output *output_of(struct vine_call *call, uint32_t argument)
{
    const uint32_t place = place_of(call, argument, VINE_OUTPUT);

    return place < call->output_count ? &call->outputs[place] : NULL;
}

void *vine_call_output(struct vine_call *call, uint32_t argument, size_t *ret_room)
{
    struct vine__call_output *output = output_of(call, argument);

    if (output == NULL || output->memory == NULL) {
        *ret_room = 0;
        return NULL;
    }
    *ret_room = output->room_bytes;
    return output->memory;
}

int vine_call_output_size(struct vine_call *call, uint32_t argument, size_t size)
{
    struct vine__call_output *output = output_of(call, argument);

    if (output == NULL)
        return size ? -VINE_EOVERFLOW : 0;
    if (size > output->room_bytes)
        return -VINE_EOVERFLOW;
    output->size_bytes = size;
    return 0;
}

int vine_call_result(struct vine_call *call, const void *bytes, size_t size)
{
    const struct vine_procedure_definition *definition = call->definition;

    for (uint32_t i = 0; i < definition->argument_count; i++) {
        if (definition->arguments[i].kind != VINE_RESULT)
            continue;
        if (size > definition->arguments[i].max)
            return -VINE_EOVERFLOW;
        memcpy(call->result, bytes, size);
        call->result_size = (uint32_t)size;
        return 0;
    }
    return -VINE_EOVERFLOW;
}

void *vine_call_state(const struct vine_call *call)
{
    return call->session ? call->session->state : NULL;
}

bool vine_call_is_last(const struct vine_call *call)
{
    return call->is_last;
}

bool vine_call_is_canceled(const struct vine_call *call)
{
    return vine__load_relaxed_u32(&call->canceled) != 0;
}

const struct vine_procedure_definition *vine_call_definition(const struct vine_call *call)
{
    return call->definition;
}

const void *vine_call_task_bytes(const struct vine_call *call, size_t *ret_size)
{
    *ret_size = call->bytes_size;
    return call->bytes;
}

void vine_call_reason(struct vine_call *call, const char *format, ...)
{
    va_list arguments;

    if (call->reason == NULL) {
        if (vine__quota_take(&call->pipe->quota, sizeof *call->reason) != 0)
            return;
        call->reason = malloc(sizeof *call->reason);
        if (call->reason == NULL) {
            vine__quota_give(&call->pipe->quota, sizeof *call->reason);
            return;
        }
    }
    va_start(arguments, format);
    (void)vsnprintf(call->reason->text, sizeof call->reason->text, format, arguments);
    va_end(arguments);
    vine__talk_tame(call->reason->text, sizeof call->reason->text);
}

uint64_t vine_call_pipe(const struct vine_call *call)
{
    return call->pipe->number;
}

int vine_call_charge(struct vine_call *call, int64_t bytes)
{
    struct vine__quota *quota = &call->pipe->quota;
    struct vine__session *session = call->session;
    int error = 0;

    VINE_ASSERT(session != NULL);
    VINE_ASSERT(bytes >= 0 || session->charged_bytes >= -bytes);
    if (bytes < 0)
        vine__quota_give(quota, (uint64_t)-bytes);
    else
        error = vine__quota_take(quota, (uint64_t)bytes);
    if (!error)
        session->charged_bytes += bytes; /* its tasks run one at a time */
    return error;
}
