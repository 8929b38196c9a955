/* SPDX-License-Identifier: Apache-2.0 */
/* A channel of an application: opened, met by the appliance, and messages that are no tasks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "core/talk/pipe_internal.h"
#include "utils/bits.h"
#include "utils/hostile.h"

static struct vine__channel *make_channel(struct vine_pipe *pipe, bool is_shared)
{
    struct vine__channel *channel = aligned_alloc(VINE_CACHE_LINE, sizeof *channel);
    const uint32_t index = pipe->channel_count;

    if (channel == NULL)
        return NULL;
    memset(channel, 0, sizeof *channel);
    channel->pipe = pipe;
    channel->ours = &pipe->half.layout->channels[index];
    channel->index = index;
    channel->tasks_max = pipe->tasks_max;
    channel->is_stream = pipe->is_stream;
    channel->is_shared = is_shared;
    channel->spin_ticks = pipe->spin_ticks_max;
    vine__ready_init(&channel->ready, pipe->agreement.ready, index, pipe->half.layout,
                     pipe->mirror.layout);
    (void)pthread_mutex_init(&channel->issue_lock, NULL);
    vine__op_cache_init(&channel->tasks, sizeof(struct vine_task), VINE__OPS_MAX);
    return channel;
}

void vine__channel_destroy(struct vine__channel *channel)
{
    /* Of tasks that nobody freed. */
    for (uint32_t i = 0; i < channel->tasks.count; i++) {
        struct vine_task *task = (struct vine_task *)(void *)vine__op_at(&channel->tasks, i);

        if (task->has_reason)
            vine__task_forget_reason(task);
    }
    vine__op_cache_fini(&channel->tasks);
    vine__thread_unref(channel->owner);
    (void)pthread_mutex_destroy(&channel->issue_lock);
    free(channel);
}

/* The ring is written to before the appliance has answered: it finds the messages when it opens its
 * end. So opening does not block. */
int vine__channel_open(struct vine_pipe *pipe, bool is_shared, struct vine__channel **ret_channel)
{
    const uint32_t slot_count = vine__ring_slots(pipe->tasks_max);
    const uint64_t ring_bytes = (uint64_t)slot_count * sizeof(struct vine_slot);
    /* Who renews the pipe, behind its lock, sees all channels that there are. */
    const int unusable = vine__pipe_check(pipe);
    struct vine__channel *channel = unusable ? NULL : make_channel(pipe, is_shared);
    struct vine__box box;

    if (unusable)
        return unusable;

    if (channel == NULL)
        return -ENOMEM;

    int error = vine__half_alloc(&pipe->half, ring_bytes, &box);

    if (error) {
        vine__channel_destroy(channel);
        return -VINE_EQUOTA;
    }
    memset(box.memory, 0, ring_bytes);
    channel->slots = box.memory;
    channel->slot_count = slot_count;
    error = vine_spsc_producer_init(&channel->producer, box.memory, slot_count,
                                    &pipe->mirror.layout->channels[channel->index].consumed.value);
    VINE_ASSERT(error == 0);
    channel->ours->slot_count = slot_count;
    channel->ours->ring_extent = box.extent;
    channel->ours->ring_offset_units = box.offset_units;
    channel->ours->wait_mode = channel->is_stream ? VINE_WAIT_STREAM : VINE_WAIT_SLEEPY;
    vine__store_relaxed_u32(&channel->ours->state, 1); /* the count below shows the record */
    pipe->channels[channel->index] = channel;
    /* N1 pairs with N2. */
    vine__store_release_u32(&pipe->channel_count, channel->index + 1);
    /* B1 pairs with B2: the record before the count that admits it. */
    vine__store_release_u32(&pipe->half.layout->board.channels.value, channel->index + 1);
    vine__pipe_wake(pipe, channel);
    *ret_channel = channel;
    return 0;
}

int vine__channel_meet(struct vine__channel *channel)
{
    struct vine_pipe *pipe = channel->pipe;
    const struct vine_channel_layout *theirs = &pipe->mirror.layout->channels[channel->index];

    if (channel->has_completions)
        return 1;
    /* What it has is the former appliance's. */
    if (VINE__UNLIKELY(channel->is_left))
        return 0;
    /* B4 pairs with B3: the record is written. */
    if (vine__load_acquire_u32(&theirs->state) != 1)
        return 0;

    const uint32_t slot_count = vine__load_relaxed_u32(&theirs->slot_count);
    const uint64_t ring_bytes = (uint64_t)slot_count * sizeof(struct vine_slot);
    const uint32_t extent = vine__load_relaxed_u32(&theirs->ring_extent);
    const struct vine_token ring = {
        .extent = (uint16_t)extent,
        .offset_units = vine__load_relaxed_u32(&theirs->ring_offset_units),
        .length = (uint32_t)ring_bytes,
    };
    const void *slots = NULL;
    struct vine__why why;

    if (!vine__is_power_of_two_u64(slot_count) || slot_count < VINE_SPSC_SLOTS_MIN ||
        slot_count < channel->tasks_max || slot_count > VINE_SPSC_SLOTS_MAX ||
        extent >= VINE_TALK_EXTENTS_MAX || vine__pipe_resolve(pipe, &ring, &slots) != 0) {
        vine__why_say(&why, "impossible completions of channel %u: %u slots, extent %u, offset %u",
                      channel->index, slot_count, extent, ring.offset_units);
        vine__pipe_break(pipe, -VINE_EPROTOCOL, true, why.text);
        return -VINE_EPROTOCOL;
    }

    const int error = vine_spsc_consumer_init(&channel->completions, slots, slot_count,
                                              &channel->ours->consumed.value);

    VINE_ASSERT(error == 0); /* extents are aligned to pages, offsets to slots */
    channel->has_completions = true;
    return 1;
}

/* A message leaves as many slots as tasks may still need. The caller is the channel's issuer. */
static bool push_message(struct vine__channel *channel, const struct vine_wire_submission *message)
{
    struct vine_pipe *pipe = channel->pipe;
    const uint32_t wanted = channel->tasks_max - vine__channel_in_flight(channel) + 1;
    const int reserved = vine__spsc_reserve(&channel->producer, wanted);

    if (reserved < 0)
        vine__pipe_break(pipe, reserved, true, "an impossible position in a submission ring");
    if (reserved < (int)wanted)
        return false;
    memcpy(vine__spsc_slot_at(&channel->producer, 0)->payload, message, sizeof *message);
    vine__spsc_publish(&channel->producer, 1);
    vine__channel_tell(pipe, channel);
    return true;
}

__attribute__((noinline)) void vine__channel_tell_slow(struct vine__channel *channel)
{
    vine__ready_tell(&channel->ready);
    if (!channel->is_stream)
        vine__fence_full();
}

void vine__channel_flush_slow(struct vine__channel *channel)
{
    struct vine_pipe *pipe = channel->pipe;

    if (vine__pipe_check(pipe) != 0)
        return;
    pthread_mutex_lock(&pipe->lock);
    while (pipe->kept_first != NULL && push_message(channel, &pipe->kept_first->message)) {
        struct vine__kept_message *sent = pipe->kept_first;

        pipe->kept_first = sent->next;
        if (pipe->kept_first == NULL)
            pipe->kept_last = NULL;
        vine__store_give(&pipe->messages, sent);
        (void)vine__fetch_sub_acq_rel_u32(&pipe->kept_count, 1);
    }
    pthread_mutex_unlock(&pipe->lock);
}

void vine__pipe_flush_slow(struct vine_pipe *pipe)
{
    struct vine__channel *channel = NULL;

    if (vine__thread_channel(pipe, &channel) != 0)
        return;
    vine__channel_lock(channel);
    vine__channel_flush(channel);
    vine__channel_unlock(channel);
}

/* The pipe's lock is held. Without memory for the note, the appliance keeps what the message would
 * have freed until the pipe is closed. */
static void keep(struct vine_pipe *pipe, const struct vine_wire_submission *message)
{
    struct vine__kept_message *kept = vine__store_take(&pipe->messages);

    VINE_ASSERT((pipe->kept_first == NULL) == (pipe->kept_last == NULL));
    if (kept == NULL)
        return;
    kept->message = *message;
    if (pipe->kept_last == NULL)
        pipe->kept_first = kept;
    else
        pipe->kept_last->next = kept;
    pipe->kept_last = kept;
    (void)vine__fetch_add_acq_rel_u32(&pipe->kept_count, 1);
}

/* More than an appliance that reads can have us keep: it is told once of each result, which has a
 * line of memory at least, of each task in flight and of each session, in two ways. */
static uint64_t kept_max(const struct vine_pipe *pipe)
{
    return vine__load_relaxed_u64(&pipe->mirror_bytes) / VINE_CACHE_LINE +
           (uint64_t)pipe->channels_max * pipe->tasks_max + 2 * VINE_WIRE_SESSION_PLACES;
}

void vine__pipe_tell(struct vine_pipe *pipe, const struct vine_wire_submission *message,
                     uint32_t renewal)
{
    struct vine__channel *channel = NULL;
    const int error = vine__pipe_check(pipe);
    bool is_sent = false;

    if (error != 0 && error != VINE__RENEWED_SOON)
        return;
    if (error == 0 && vine__thread_channel(pipe, &channel) == 0) {
        vine__channel_lock(channel);
        if (vine__pipe_check(pipe) == 0 && vine__pipe_renewals(pipe) == renewal) {
            vine__channel_flush(channel);
            is_sent = push_message(channel, message);
        }
        vine__channel_unlock(channel);
    }
    if (is_sent)
        return;
    pthread_mutex_lock(&pipe->lock);
    /* Else to nobody: who would understand it is gone. One that has just come is not asked before
     * all is joined. */
    if (vine__pipe_renewals(pipe) == renewal)
        keep(pipe, message);
    pthread_mutex_unlock(&pipe->lock);
    if (VINE__HOSTILE(vine__load_relaxed_u32(&pipe->kept_count) > kept_max(pipe)))
        vine__pipe_break(pipe, -VINE_EPROTOCOL, true, "it ends tasks, and reads no messages");
}
