/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes for a pipe that is about to be left to another process: it lies in the rings, and is
 * for the next appliance. Only who cancels a task that still runs here is heard, since its end may
 * be all that the pipe waits for. Messages are looked at and stay where they are: a cancel of what
 * lies in a ring, too, is the next appliance's, or is read once more, as the pipe stays after all.
 */
#include <string.h>

#include "core/talk/served_internal.h"

/* A consumer that goes on behind what was looked at, and takes nothing. */
static struct vine_spsc_consumer ahead_of(const struct vine__served_channel *channel)
{
    struct vine_spsc_consumer ahead = channel->submissions;

    if (channel->ahead - ahead.position <= ahead.slot_count)
        ahead.position = channel->ahead;
    return ahead;
}

static void cancel(struct vine__served *pipe, const struct vine_wire_submission *submission)
{
    uint32_t channel;

    memcpy(&channel, submission->body, sizeof channel);
    (void)vine__job_cancel(pipe, channel, submission->operation);
}

/* Returns how many messages there were. What is wrong with a ring its next visit tells. */
static int look_ahead(struct vine__served *pipe, uint32_t index)
{
    struct vine__served_channel *channel = pipe->channels[index];
    struct vine_spsc_consumer ahead = ahead_of(channel);
    struct vine_wire_submission submission;
    int count = 0;

    for (; count < (int)ahead.slot_count && vine__spsc_ready(&ahead) > 0; count++) {
        memcpy(&submission, vine__spsc_next(&ahead)->payload, sizeof submission);
        ahead.position++;
        if ((submission.kind & VINE_WIRE_KIND_MASK) == VINE_WIRE_CANCEL)
            cancel(pipe, &submission);
    }
    channel->ahead = ahead.position;
    return count;
}

int vine__served_look_ahead(struct vine__served *pipe)
{
    int count = 0;

    if (pipe->jobs_taken == 0)
        return 0;
    /* W2 pairs with W1. */
    vine__served_hear(pipe, vine__load_acquire_u64(&pipe->mirror.layout->board.channels.ready));
    for (uint64_t left = pipe->listed; left != 0; left &= left - 1)
        count += look_ahead(pipe, (uint32_t)__builtin_ctzll(left));
    return count;
}

bool vine__served_is_any_ahead(const struct vine__served *pipe)
{
    if (pipe->jobs_taken == 0)
        return false;
    if (vine__served_is_told(pipe))
        return true;
    for (uint64_t left = pipe->listed; left != 0; left &= left - 1) {
        const struct vine_spsc_consumer ahead = ahead_of(pipe->channels[__builtin_ctzll(left)]);

        if (vine__spsc_ready(&ahead) > 0)
            return true;
    }
    return false;
}
