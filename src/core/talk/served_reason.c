/* SPDX-License-Identifier: Apache-2.0 */
/* Why a task failed, in the completion of it: its body is free where there is no result. */
#include <string.h>

#include <vine/error.h>

#include "core/talk/served_internal.h"

/* A block for a reason that does not fit into a slot, in memory that is there: a half does not grow
 * for it. */
static bool write_long_reason(struct vine_call *call, const char *text, uint32_t size,
                              struct vine_wire_completion *completion)
{
    struct vine__half *half = &call->pipe->half;
    const struct vine_wire_descriptor head = {
        .size_bytes = (uint32_t)sizeof head + size,
        .bytes_size = size,
    };
    struct vine_box box;

    if (!call->pipe->agreement.reasons ||
        vine_box_create(half->book, (struct vine_box_type){VINE_TYPE_BYTES}, head.size_bytes,
                        &box) != 0)
        return false;
    memcpy(box.memory, &head, sizeof head);
    memcpy((unsigned char *)box.memory + sizeof head, text, size);
    completion->shape = VINE_WIRE_SHAPE(0, VINE_WIRE_DESCRIPTOR);
    memcpy(completion->body + VINE_RESULT_MAX - sizeof box.token, &box.token, sizeof box.token);
    return true;
}

void vine__served_write_reason(struct vine_call *call, struct vine_wire_completion *completion)
{
    const char *text = call->reason != NULL ? call->reason->text : vine_error_text(call->status);
    const size_t size = strnlen(text, VINE_REASON_MAX);

    if (size > VINE_RESULT_MAX && write_long_reason(call, text, (uint32_t)size, completion))
        return;
    memcpy(completion->body, text, size < VINE_RESULT_MAX ? size : VINE_RESULT_MAX);
    if (size > VINE_RESULT_MAX)
        memcpy(completion->body + VINE_RESULT_MAX - 3, "...", 3);
    completion->shape =
        VINE_WIRE_SHAPE(size < VINE_RESULT_MAX ? (uint32_t)size : VINE_RESULT_MAX, 0);
}
