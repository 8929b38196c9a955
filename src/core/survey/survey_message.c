/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in the rings of a channel: submissions that were not taken, completions that were not
 * read, and tasks that were taken and not completed, as far as both rings still hold them.
 *
 * What a message names is followed only while its owner keeps it: a descriptor of a task whose
 * completion is in the ring may hold something else by now.
 */
#include "core/survey/survey_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vine/box.h>
#include <vine/procedure.h>
#include <vine/talk.h>

#include "core/talk/message.h"
#include "utils/bits.h"

#define TOKEN_BYTES ((uint32_t)sizeof(struct vine_token))
/* With a deadline, which may be beyond the bytes of the task. */
#define BYTES_MAX      (VINE_TASK_BYTES_MAX + 8u)
#define DESCRIPTOR_MAX (sizeof(struct vine_wire_descriptor) + VINE_TASK_DATA_MAX * 16u + BYTES_MAX)
#define RESULT_MAX     32u
/* Operations are looked for among each other up to here. */
#define COMPARED_MAX 8192u

struct messages {
    struct vine__look *look;
    uint32_t channel;
    const struct vine__ring_look *submissions;
    const struct vine__ring_look *completions;
    uint64_t *completed; /* operations of the completions in the ring, sorted */
    uint64_t completed_count;
    uint64_t *pending; /* of tasks that were not taken */
    uint64_t pending_count;
};

/* ---- operations ------------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
    const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

static void collect_completed(struct messages *messages)
{
    const struct vine__ring_look *ring = messages->completions;

    messages->completed = calloc(ring->slot_count + 1, sizeof *messages->completed);
    if (messages->completed == NULL || ring->slots == NULL)
        return;
    for (uint64_t i = 0; i < ring->slot_count; i++) {
        struct vine_wire_completion completion;

        if (ring->slots[i].sequence == 0 || ring->slots[i].sequence > ring->to)
            continue;
        memcpy(&completion, ring->slots[i].payload, sizeof completion);
        messages->completed[messages->completed_count++] = completion.operation;
    }
    qsort(messages->completed, messages->completed_count, sizeof *messages->completed, compare);
}

static bool is_completed(const struct messages *messages, uint64_t operation)
{
    return messages->completed != NULL &&
           bsearch(&operation, messages->completed, messages->completed_count,
                   sizeof *messages->completed, compare) != NULL;
}

static struct vine__survey_use *use_of(struct messages *messages, uint16_t procedure)
{
    struct vine__survey *survey = messages->look->survey;
    uint32_t i = 0;

    while (i < survey->use_count && survey->uses[i].procedure != procedure)
        i++;
    if (i == VINE__SURVEY_USES) {
        survey->uses[i - 1].is_rest = true;
        return &survey->uses[i - 1];
    }
    if (i == survey->use_count) {
        survey->uses[i].procedure = procedure;
        survey->use_count++;
    }
    return &survey->uses[i];
}

/* ---- what a submission names ----------------------------------------------------------------- */

static void look_at_token(struct vine__look *look, uint64_t offset, uint32_t side,
                          const struct vine_token *token)
{
    const uint64_t at = (uint64_t)token->offset_units * VINE_TALK_UNIT;
    char text[72];

    if (token->extent != 0) {
        vine__survey_fault(look, offset, "extent 0: a named half does not grow",
                           "a token of extent %u", token->extent);
        return;
    }
    if (at < sizeof(struct vine_half_layout) ||
        !vine__range_is_within_u64(at, token->length, look->sizes[side])) {
        (void)snprintf(text, sizeof text, "from 12800 on, within %" PRIu64 " bytes of the %s",
                       look->sizes[side], side == VINE__APPLICATION ? "application" : "appliance");
        vine__survey_fault(look, offset, text, "a token of %u bytes at %" PRIu64, token->length,
                           at);
    } else if (side == VINE__APPLIANCE && token->generation == 0) {
        vine__survey_fault(look, offset, "1 at least", "a token of generation 0");
    }
}

static void look_at_argument(struct messages *messages, uint64_t offset,
                             const struct vine_token *token, struct vine__survey_use *use)
{
    if ((token->type & VINE_WIRE_TYPE_EXPECT) != 0) {
        use->room_bytes += token->length;
        return;
    }
    use->inputs++;
    use->input_bytes += token->length;
    look_at_token(messages->look, offset,
                  (token->type & VINE_WIRE_TYPE_THEIRS) != 0 ? VINE__APPLIANCE : VINE__APPLICATION,
                  token);
}

static bool add_up(const struct vine_wire_descriptor *head, uint32_t length, uint32_t bytes_max)
{
    return head->size_bytes == length && head->token_count <= VINE_TASK_DATA_MAX &&
           head->bytes_size <= bytes_max &&
           head->size_bytes == sizeof *head + head->token_count * TOKEN_BYTES + head->bytes_size;
}

/* Copy a descriptor of a half. Returns whether its head is one. */
static bool read_descriptor(struct vine__look *look, uint64_t offset, uint32_t side,
                            const struct vine_token *token, uint32_t bytes_max,
                            unsigned char block[static DESCRIPTOR_MAX])
{
    const uint64_t at = (uint64_t)token->offset_units * VINE_TALK_UNIT;
    struct vine_wire_descriptor head;
    char text[64];

    if (token->length < sizeof head || token->length > DESCRIPTOR_MAX) {
        (void)snprintf(text, sizeof text, "32 to %zu bytes", (size_t)DESCRIPTOR_MAX);
        vine__survey_fault(look, offset, text, "a descriptor of %u bytes", token->length);
        return false;
    }
    if (token->extent != 0 || at < sizeof(struct vine_half_layout) ||
        !vine__range_is_within_u64(at, token->length, look->sizes[side])) {
        look_at_token(look, offset, side, token);
        return false;
    }
    if (!vine__survey_read(look, look->bases[side] + at, block, token->length))
        return false;
    memcpy(&head, block, sizeof head);
    if (add_up(&head, token->length, bytes_max))
        return true;
    (void)snprintf(text, sizeof text, "parts that add up to %u bytes", token->length);
    vine__survey_fault(look, look->bases[side] + at, text,
                       "a descriptor of %u bytes with %u tokens and %u bytes", head.size_bytes,
                       head.token_count, head.bytes_size);
    return false;
}

static void look_at_descriptor(struct messages *messages, uint64_t offset,
                               const struct vine_token *token, struct vine__survey_use *use)
{
    unsigned char block[DESCRIPTOR_MAX];
    struct vine_wire_descriptor head;
    struct vine__look *look = messages->look;
    const uint64_t at =
        look->bases[VINE__APPLICATION] + (uint64_t)token->offset_units * VINE_TALK_UNIT;

    if (!read_descriptor(look, offset, VINE__APPLICATION, token, BYTES_MAX, block))
        return;
    memcpy(&head, block, sizeof head);
    for (uint32_t i = 0; i < head.token_count; i++) {
        struct vine_token argument;

        memcpy(&argument, block + sizeof head + i * TOKEN_BYTES, sizeof argument);
        look_at_argument(messages, at + sizeof head + i * TOKEN_BYTES, &argument, use);
    }
    if (head.has_after != 0 && head.after_channel >= look->survey->channel_count)
        vine__survey_fault(look, at + 12, "a channel that is open",
                           "a task after one of channel %u", head.after_channel);
}

/* ---- submissions ----------------------------------------------------------------------------- */

static void look_at_task(struct messages *messages, uint64_t offset,
                         const struct vine_wire_submission *submission)
{
    const uint32_t bytes = VINE_WIRE_SHAPE_BYTES(submission->shape);
    const uint32_t tokens = VINE_WIRE_SHAPE_TOKENS(submission->shape);
    struct vine__survey_use *use = use_of(messages, submission->procedure);
    struct vine_token token;

    use->waiting++;
    if (submission->session != 0 && VINE_WIRE_SESSION_PLACE(submission->session) == 0)
        vine__survey_fault(messages->look, offset + 12, "a place from 1 to 255", "session %u",
                           submission->session);
    if (tokens == VINE_WIRE_DESCRIPTOR && bytes == 0) {
        memcpy(&token, submission->body + VINE_WIRE_BODY_BYTES - TOKEN_BYTES, sizeof token);
        look_at_descriptor(messages, offset + 16 + VINE_WIRE_BODY_BYTES - TOKEN_BYTES, &token, use);
        return;
    }
    if (tokens == VINE_WIRE_DESCRIPTOR || bytes + tokens * TOKEN_BYTES > VINE_WIRE_BODY_BYTES) {
        vine__survey_fault(messages->look, offset + 15, "40 bytes of body at most",
                           "shape %u: %u bytes and %u tokens", submission->shape, bytes, tokens);
        return;
    }
    for (uint32_t i = 0; i < tokens; i++) {
        const uint32_t at = VINE_WIRE_BODY_BYTES - (tokens - i) * TOKEN_BYTES;

        memcpy(&token, submission->body + at, sizeof token);
        look_at_argument(messages, offset + 16 + at, &token, use);
    }
}

static void look_at_release(struct messages *messages, uint64_t offset,
                            const struct vine_wire_submission *submission)
{
    const uint32_t tokens = VINE_WIRE_SHAPE_TOKENS(submission->shape);

    if (tokens == 0 || tokens == VINE_WIRE_DESCRIPTOR) {
        vine__survey_fault(messages->look, offset + 15, "1 or 2 tokens", "a release of shape %u",
                           submission->shape);
        return;
    }
    for (uint32_t i = 0; i < tokens; i++) {
        const uint32_t at = VINE_WIRE_BODY_BYTES - (tokens - i) * TOKEN_BYTES;
        struct vine_token token;

        memcpy(&token, submission->body + at, sizeof token);
        look_at_token(messages->look, offset + 16 + at, VINE__APPLIANCE, &token);
    }
}

static void look_at_waiting(struct messages *messages, uint64_t position)
{
    const struct vine__ring_look *ring = messages->submissions;
    const uint64_t index = position & (ring->slot_count - 1);
    const uint64_t offset = ring->base + index * sizeof *ring->slots + 8;
    struct vine_wire_submission submission;
    uint32_t kind;

    memcpy(&submission, ring->slots[index].payload, sizeof submission);
    kind = submission.kind & VINE_WIRE_KIND_MASK;
    vine__survey_at(messages->look, "application's half, channel %u, slot %" PRIu64,
                    messages->channel, index);
    switch (kind) {
    case VINE_WIRE_TASK:
        if (is_completed(messages, submission.operation))
            break; /* it was taken, and that was not told yet */
        if (messages->pending != NULL)
            messages->pending[messages->pending_count++] = submission.operation;
        look_at_task(messages, offset, &submission);
        break;
    case VINE_WIRE_RELEASE:
        look_at_release(messages, offset, &submission);
        break;
    case VINE_WIRE_CANCEL:
    case VINE_WIRE_SESSION_END:
        break;
    default:
        vine__survey_fault(messages->look, offset + 14, "1 to 4", "kind %u", kind);
    }
}

static void look_at_pending(struct messages *messages)
{
    const uint64_t count = messages->pending_count;
    const uint32_t tasks_max = messages->look->survey->tasks_max;
    char text[48];

    vine__survey_at(messages->look, "application's half, channel %u", messages->channel);
    if (tasks_max != 0 && count > tasks_max) {
        (void)snprintf(text, sizeof text, "%u at most, as were granted", tasks_max);
        vine__survey_fault(messages->look, messages->submissions->base, text,
                           "%" PRIu64 " tasks in flight", count);
    }
    if (count > COMPARED_MAX)
        return;
    qsort(messages->pending, count, sizeof *messages->pending, compare);
    for (uint64_t i = 1; i < count; i++)
        if (messages->pending[i] == messages->pending[i - 1])
            vine__survey_fault(
                messages->look, messages->submissions->base, "operations that differ",
                "two tasks in flight with the operation %" PRIu64, messages->pending[i]);
}

/* Those that were taken, in the last lap. */
static void count_under_way(struct messages *messages)
{
    const struct vine__ring_look *ring = messages->submissions;

    if (messages->completions->slots == NULL)
        return;
    for (uint64_t i = 0; i < ring->slot_count; i++) {
        const uint64_t sequence = ring->slots[i].sequence;
        struct vine_wire_submission submission;

        memcpy(&submission, ring->slots[i].payload, sizeof submission);
        if (sequence == 0 || sequence > ring->from || sequence + ring->slot_count <= ring->from ||
            (submission.kind & VINE_WIRE_KIND_MASK) != VINE_WIRE_TASK ||
            is_completed(messages, submission.operation))
            continue;
        messages->look->survey->channels[messages->channel].under_way++;
        use_of(messages, submission.procedure)->under_way++;
    }
}

/* ---- completions ----------------------------------------------------------------------------- */

/* The procedure of a task that was taken; 0: its submission is not in the ring any more. */
static uint16_t procedure_of(const struct messages *messages, uint64_t operation)
{
    const struct vine__ring_look *ring = messages->submissions;

    for (uint64_t i = 0; ring->slots != NULL && i < ring->slot_count; i++) {
        struct vine_wire_submission submission;

        memcpy(&submission, ring->slots[i].payload, sizeof submission);
        if (ring->slots[i].sequence != 0 && submission.operation == operation &&
            (submission.kind & VINE_WIRE_KIND_MASK) == VINE_WIRE_TASK)
            return submission.procedure;
    }
    return 0;
}

static void look_at_result(struct messages *messages, uint64_t offset,
                           const struct vine_token *token, struct vine__survey_use *use)
{
    static const struct vine_token empty;

    if (memcmp(token, &empty, sizeof empty) == 0)
        return;
    use->results++;
    use->result_bytes += token->length;
    if ((token->type & ~VINE_WIRE_TYPE_MASK) != 0)
        vine__survey_fault(messages->look, offset + 12, "a data type below 16384",
                           "a result of type %u", token->type);
    look_at_token(messages->look, offset, VINE__APPLIANCE, token);
}

static void look_at_parcel(struct messages *messages, uint64_t offset,
                           const struct vine_token *token, struct vine__survey_use *use)
{
    unsigned char block[DESCRIPTOR_MAX];
    struct vine_wire_descriptor head;
    struct vine__look *look = messages->look;
    const uint64_t at =
        look->bases[VINE__APPLIANCE] + (uint64_t)token->offset_units * VINE_TALK_UNIT;

    if (!read_descriptor(look, offset, VINE__APPLIANCE, token, VINE_REASON_MAX, block))
        return;
    memcpy(&head, block, sizeof head);
    for (uint32_t i = 0; i < head.token_count; i++) {
        struct vine_token result;

        memcpy(&result, block + sizeof head + i * TOKEN_BYTES, sizeof result);
        look_at_result(messages, at + sizeof head + i * TOKEN_BYTES, &result, use);
    }
}

static void look_at_unread(struct messages *messages, uint64_t position)
{
    const struct vine__ring_look *ring = messages->completions;
    const uint64_t index = position & (ring->slot_count - 1);
    const uint64_t offset = ring->base + index * sizeof *ring->slots + 8;
    struct vine__look *look = messages->look;
    struct vine_wire_completion completion;
    struct vine__survey_use *use;
    struct vine_token token;

    memcpy(&completion, ring->slots[index].payload, sizeof completion);
    use = use_of(messages, procedure_of(messages, completion.operation));
    use->completed++;
    const uint32_t bytes = VINE_WIRE_SHAPE_BYTES(completion.shape);
    const uint32_t tokens = VINE_WIRE_SHAPE_TOKENS(completion.shape);

    vine__survey_at(look, "appliance's half, channel %u, slot %" PRIu64, messages->channel, index);
    if (completion.kind != VINE_WIRE_TASK)
        vine__survey_fault(look, offset + 10, "1", "a completion of kind %u", completion.kind);
    if (completion.status != 0 && vine__error_from_wire(completion.status, 0) == 0)
        vine__survey_fault(look, offset + 8, "0, or 1001 to 1999", "status %u", completion.status);
    if (completion.status != 0)
        return; /* a reason; one that makes no sense is none */
    if (tokens == VINE_WIRE_DESCRIPTOR ? bytes != 0 : bytes + tokens * TOKEN_BYTES > RESULT_MAX) {
        vine__survey_fault(look, offset + 11, "32 bytes of body at most",
                           "shape %u: %u bytes and %u tokens", completion.shape, bytes, tokens);
        return;
    }
    for (uint32_t i = 0; i < tokens && (tokens != VINE_WIRE_DESCRIPTOR || i == 0); i++) {
        const uint32_t count = tokens == VINE_WIRE_DESCRIPTOR ? 1 : tokens;
        const uint32_t at = RESULT_MAX - (count - i) * TOKEN_BYTES;

        memcpy(&token, completion.body + at, sizeof token);
        if (tokens == VINE_WIRE_DESCRIPTOR)
            look_at_parcel(messages, offset + 24 + at, &token, use);
        else
            look_at_result(messages, offset + 24 + at, &token, use);
    }
}

void vine__survey_at_messages(struct vine__look *look, uint32_t channel,
                              const struct vine__ring_look *submissions,
                              const struct vine__ring_look *completions)
{
    struct messages messages = {
        .look = look,
        .channel = channel,
        .submissions = submissions,
        .completions = completions,
    };

    collect_completed(&messages);
    if (submissions->slots != NULL) {
        messages.pending = calloc(submissions->slot_count + 1, sizeof *messages.pending);
        for (uint64_t at = submissions->from; at < submissions->to; at++)
            look_at_waiting(&messages, at);
        if (messages.pending != NULL)
            look_at_pending(&messages);
        count_under_way(&messages);
    }
    if (completions->slots != NULL)
        for (uint64_t at = completions->from; at < completions->to; at++)
            look_at_unread(&messages, at);
    free(messages.completed);
    free(messages.pending);
}
