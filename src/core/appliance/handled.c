/* SPDX-License-Identifier: Apache-2.0 */
/* What a coroutine learns of its task: copied into its heap by a function outside. */
#include <errno.h>
#include <string.h>

#include <vine/handler.h>

#include "core/appliance/stream_internal.h"
#include "core/process/process.h"
#include "utils/inside.h"

struct question {
    struct vine_handled *handled;
};

static int64_t answer(struct vine_outside *outside, const void *asked)
{
    const struct question *const question = asked;
    const struct vine__stream *const stream = vine__stream_of(vine__process_running_connection());

    if (stream == NULL)
        return -ENOENT;
    if (!vine_outside_can_write(outside, question->handled, sizeof stream->facts))
        return -EFAULT;
    memcpy(question->handled, &stream->facts, sizeof stream->facts);
    return 0;
}

VINE__INSIDE void vine__handled_get(struct vine_coroutine *that, struct vine_handled *handled)
{
    /* In the frame's heap, as what is asked with has to be: the place that is written anyway. */
    handled->size_bytes = (size_t)(uintptr_t)handled;
    vine__outside(that, answer, handled, sizeof(struct question));
    if (that->error == 0 && that->result != 0)
        vine__raise(that, (int)that->result);
}
