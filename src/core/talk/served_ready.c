/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which channels of a pipe are looked at: those on its list. Who publishes in another one changes a
 * bit (ready.h), and is on the list from then on. Who had nothing for a while is taken off, which
 * takes a barrier and one more look: what was published without a bit, because its channel seemed
 * to be on the list, is found then.
 *
 *   application: write slot; [fence]; read `listed`; change its bit
 *   loop:        write `listed`; barrier; read slot
 *
 * `listed` and `answered` are kept in private memory and never read back. Bits of channels that are
 * not open mean nothing, whoever sets them: they are neither answered nor looked at.
 */
#include "core/talk/served_internal.h"
#include "utils/bits.h"

static uint64_t bit_of(uint32_t channel)
{
    return UINT64_C(1) << channel;
}

/* A bit for each channel that is open. */
static uint64_t opened(const struct vine__served *pipe)
{
    return pipe->channel_count < 64 ? bit_of(pipe->channel_count) - 1 : UINT64_MAX;
}

static void enlist(struct vine__served *pipe, uint64_t channels)
{
    pipe->listed |= channels;
    pipe->found |= channels;
    if (pipe->agreement.ready)
        vine__store_relaxed_u64(&pipe->half.layout->board.sleep_epoch.listed, pipe->listed);
}

void vine__served_enlist(struct vine__served *pipe, uint32_t channel)
{
    enlist(pipe, bit_of(channel));
}

void vine__served_hear(struct vine__served *pipe, uint64_t ready)
{
    const uint64_t changed = pipe->agreement.ready ? (ready ^ pipe->answered) & opened(pipe) : 0;

    if (changed == 0)
        return;
    pipe->answered ^= changed;
    vine__store_relaxed_u64(&pipe->half.layout->board.sleep_epoch.answered, pipe->answered);
    enlist(pipe, changed);
}

bool vine__served_is_told(const struct vine__served *pipe)
{
    /* W2 pairs with W1. */
    const uint64_t ready = vine__load_acquire_u64(&pipe->mirror.layout->board.channels.ready);

    return pipe->agreement.ready && ((ready ^ pipe->answered) & opened(pipe)) != 0;
}

/* Whether there is something in a channel, room for it or not: 1, 0 or negative. */
static int has_message(const struct vine__served_channel *channel)
{
    return channel->is_held ? 1 : vine__spsc_ready(&channel->submissions);
}

bool vine__served_thin_out(struct vine__served *pipe, uint64_t now_ticks)
{
    uint64_t idle;

    if (!pipe->agreement.ready ||
        vine__elapsed(pipe->thinned_ticks, now_ticks) < pipe->appliance->active_ticks)
        return false;
    idle = pipe->listed & ~pipe->found;
    pipe->thinned_ticks = now_ticks;
    pipe->found = 0;
    if (idle == 0)
        return false;
    pipe->leaving = idle;
    pipe->listed &= ~idle;
    for (uint64_t left = idle; left != 0; left &= left - 1)
        vine__spsc_consumer_publish(&pipe->channels[__builtin_ctzll(left)]->submissions);
    vine__store_relaxed_u64(&pipe->half.layout->board.sleep_epoch.listed, pipe->listed);
    return true;
}

/* Those of these channels back onto the list that have something. What is wrong with one, its visit
 * tells. */
static void enlist_if_ready(struct vine__served *pipe, uint64_t channels)
{
    uint64_t ready = 0;

    for (uint64_t left = channels; left != 0; left &= left - 1)
        if (has_message(pipe->channels[__builtin_ctzll(left)]) != 0)
            ready |= left & -left;
    if (ready != 0)
        enlist(pipe, ready);
}

void vine__served_look_once_more(struct vine__served *pipe)
{
    enlist_if_ready(pipe, pipe->leaving);
    pipe->leaving = 0;
}

void vine__served_look_at_all(struct vine__served *pipe)
{
    enlist_if_ready(pipe, opened(pipe) & ~pipe->listed);
}
