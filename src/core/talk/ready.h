/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/ready.h - how a thread of an application tells of a channel that is not on the
 * appliance's list: by one bit, which it changes.
 *
 * Owns:     nothing; the bit is one of the word in the application's half.
 * Threads:  the channel's issuer.
 * Blocking: never.
 * Trust:    what the appliance says is read once at each step. The worst that it can bring about is
 *           that its own application sets a bit in vain, or sets none and is served late.
 * Limits:   one word of bits: VINE_TALK_CHANNELS_MAX channels.
 *
 * The memory order (the appliance's side is in served_ready.c, the proof in tests/model/ready.pml):
 *   W1  application: release of `ready`             pairs with W2: the message before its bit
 *   W2  appliance: acquire of `ready`               pairs with W1
 * A thread publishes, looks at the list, changes its bit, looks at the sleep epoch: a full fence
 * comes before each of the two looks, or in `stream` channels the appliance's membarrier, which it
 * calls between what it says there and its look at the rings.
 */
#ifndef VINE_CORE_TALK_READY_H
#define VINE_CORE_TALK_READY_H

#include <stdbool.h>

#include "core/talk/talk_layout.h"
#include "utils/atomic.h"

struct vine__ready {
    uint64_t bit; /* the channel's; 0: bits were not agreed on, and all channels are on the list */
    uint64_t now; /* as it stands in our word: `bit` or 0 */
    uint64_t *word;                      /* in our half */
    const struct vine_line_sleep *heard; /* on the appliance's board */
};

static inline void vine__ready_init(struct vine__ready *ready, bool is_agreed, uint32_t channel,
                                    struct vine_half_layout *ours,
                                    const struct vine_half_layout *theirs)
{
    *ready = (struct vine__ready){
        .bit = is_agreed ? UINT64_C(1) << channel : 0,
        .word = &ours->board.channels.ready,
        .heard = &theirs->board.sleep_epoch,
    };
}

/* Whether the appliance looks at the channel by itself. */
VINE__ALWAYS_INLINE bool vine__ready_is_listed(const struct vine__ready *ready)
{
    return (~vine__load_relaxed_u64(&ready->heard->listed) & ready->bit) == 0;
}

/* Make the bit differ from the appliance's, unless it does so already: it is looked at then. */
static inline void vine__ready_tell(struct vine__ready *ready)
{
    if ((vine__load_relaxed_u64(&ready->heard->answered) & ready->bit) != ready->now)
        return;
    ready->now ^= ready->bit;
    /* W1 pairs with W2. */
    if (ready->now != 0)
        (void)vine__fetch_or_acq_rel_u64(ready->word, ready->bit);
    else
        (void)vine__fetch_and_acq_rel_u64(ready->word, ~ready->bit);
}

#endif
