/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/ages.h - since when boxes of a pipe are there, without a word in each.
 *
 * Owns:     nothing. It lies in its pipe.
 * Threads:  the loop.
 * Blocking: never.
 * Trust:    not concerned.
 * Limits:   what it tells is too old by a hundredth of a second or, of what is old, by a third at
 *           most.
 *
 * A book gives generations to its boxes in order. So it is enough to note now and then which one
 * came at what time: a box is younger than the last note that is not behind it. Notes are kept the
 * closer together the younger they are, and what is told of goes by the loop's clock, which nobody
 * reads for it.
 */
#ifndef VINE_CORE_TALK_AGES_H
#define VINE_CORE_TALK_AGES_H

#include <stdbool.h>
#include <stdint.h>

#define VINE__AGES          64u
#define VINE__AGES_EVERY_NS 10000000u

struct vine__ages {
    uint32_t count;
    struct vine__age {
        uint32_t generation; /* of the box that was made then */
        uint64_t ticks;
    } notes[VINE__AGES];
};

/* Whether a box that is made now is to be noted. */
static inline bool vine__ages_want(const struct vine__ages *ages, uint64_t now_ticks,
                                   uint64_t every_ticks)
{
    return ages->count == 0 ||
           (int64_t)(now_ticks - ages->notes[ages->count - 1].ticks) > (int64_t)every_ticks;
}

void vine__ages_note(struct vine__ages *ages, uint32_t generation, uint64_t now_ticks);

/* Since when the box of this generation is there, at most. */
uint64_t vine__ages_since(const struct vine__ages *ages, uint32_t generation, uint64_t now_ticks);

#endif
