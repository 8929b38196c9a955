/* SPDX-License-Identifier: Apache-2.0 */
/* What a coroutine learns of its task: copied into its heap by a function outside. And how it asks
 * for the next one. */
#include <errno.h>
#include <string.h>

#include <vine/handler.h>

#include "core/appliance/stream_internal.h"
#include "core/process/process.h"
#include "core/state/state.h"
#include "utils/inside.h"

struct question {
    struct vine_handled *handled;
};

static int64_t answer(struct vine_outside *outside, const void *asked)
{
    const struct question *const question = asked;
    struct vine__stream *const stream = vine__stream_of(vine__process_running_connection());
    const struct vine_handled *facts;

    if (stream == NULL)
        return -ENOENT;
    if (!vine_outside_can_write(outside, question->handled, sizeof *facts))
        return -EFAULT;
    facts = vine__stream_facts(stream);
    if (facts == NULL)
        return -ENOENT;
    memcpy(question->handled, facts, sizeof *facts);
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

VINE__INSIDE void vine__task_next_begin(struct vine_coroutine *that)
{
    if (that != that->inside->first)
        vine__misuse(that, "vine_task_next is its first coroutine's");
    that->deadline_ns = 0; /* that of a task is not the next one's */
    vine__ask(that, VINE__ASK_NEXT, 0, 0, NULL);
}

void vine__stream_say(struct vine__stream *stream, const char *reason)
{
    memset(stream->reason, 0, sizeof stream->reason);
    memcpy(stream->reason, reason, strnlen(reason, VINE_REASON_MAX));
    stream->has_reason = stream->reason[0] != 0;
}

static int64_t take_reason(struct vine_outside *outside, const void *asked)
{
    struct vine__stream *const stream = vine__stream_of(vine__process_running_connection());

    (void)outside;
    if (stream == NULL)
        return -ENOENT;
    vine__stream_say(stream, asked);
    return 0;
}

VINE__INSIDE void vine__handled_reason(struct vine_coroutine *that, const char *text)
{
    size_t size = 0;

    while (size < VINE_REASON_MAX && text[size] != 0)
        size++;
    /* Its end is copied too, or it is as long as may be. */
    vine__outside(that, take_reason, text, size < VINE_REASON_MAX ? size + 1 : size);
    if (that->error == 0 && that->result != 0)
        vine__raise(that, (int)that->result);
}
