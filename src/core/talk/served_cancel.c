/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cancels. Any thread of an application cancels a task, through its own channel: so the message may
 * come before the task, which lies in another ring, or is held at its head. It was issued before
 * it was canceled, and that makes it findable: its slot is marked, and the mark is heeded when the
 * task is taken.
 */
#include <stdlib.h>
#include <string.h>

#include "arch/clock/clock.h"
#include "core/talk/served_internal.h"

#define WORD_BITS 64u

static bool is_of(const struct vine_wire_submission *submission, uint64_t operation)
{
    return (submission->kind & VINE_WIRE_KIND_MASK) == VINE_WIRE_TASK &&
           submission->operation == operation;
}

/* Returns its mark's word, or NULL: without room for marks the cancel has come too early. */
static uint64_t *mark_at(struct vine__served_channel *channel, uint64_t position, uint64_t *ret_bit)
{
    const uint32_t slot = (uint32_t)(position & (channel->submissions.slot_count - 1));
    const size_t words = (channel->submissions.slot_count + WORD_BITS - 1) / WORD_BITS;

    *ret_bit = UINT64_C(1) << slot % WORD_BITS;
    if (channel->marks == NULL) {
        if (vine__quota_take(&channel->pipe->quota, words * sizeof *channel->marks) != 0)
            return NULL;
        channel->marks = calloc(words, sizeof *channel->marks);
        if (channel->marks == NULL) {
            vine__quota_give(&channel->pipe->quota, words * sizeof *channel->marks);
            return NULL;
        }
    }
    return &channel->marks[slot / WORD_BITS];
}

static void mark(struct vine__served_channel *channel, uint64_t operation)
{
    struct vine_spsc_consumer ahead = channel->submissions;
    struct vine_wire_submission submission;
    uint64_t *word;
    uint64_t bit;

    if (channel->is_held && is_of(&channel->held, operation)) {
        channel->is_canceled = true;
        return;
    }
    for (uint32_t i = 0; i < ahead.slot_count && vine__spsc_ready(&ahead) > 0;
         i++, ahead.position++) {
        memcpy(&submission, vine__spsc_next(&ahead)->payload, sizeof submission);
        if (!is_of(&submission, operation))
            continue;
        word = mark_at(channel, ahead.position, &bit);
        if (word != NULL && (*word & bit) == 0) {
            *word |= bit;
            channel->mark_count++;
        }
        return;
    }
}

int vine__served_take_cancel(struct vine__served *pipe, uint32_t channel_index,
                             const struct vine_wire_submission *submission)
{
    uint32_t channel;

    memcpy(&channel, submission->body, sizeof channel);
    if (vine__job_cancel(pipe, channel, submission->operation) || channel == channel_index)
        return 0;
    if (channel < pipe->channel_count) {
        mark(pipe->channels[channel], submission->operation);
        pipe->seen_ticks = vine__clock_ticks(); /* a ring may have been searched */
        return 0;
    }
    /* Relaxed: who opens it reads it again. */
    return channel < vine__load_relaxed_u32(&pipe->mirror.layout->board.channels.value) ? VINE__HELD
                                                                                        : 0;
}

bool vine__served_take_mark(struct vine__served_channel *channel, uint64_t position)
{
    uint64_t bit;
    uint64_t *word = mark_at(channel, position, &bit);

    if ((*word & bit) == 0)
        return false;
    *word &= ~bit;
    channel->mark_count--;
    return true;
}
