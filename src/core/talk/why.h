/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/why.h - a sentence for people that goes with an error: why there is no pipe, or why
 * there is none any more.
 *
 * Owns:     its text.
 * Threads:  one at a time.
 * Blocking: never.
 * Trust:    what a peer wrote is made printable before it gets here (vine__talk_tame).
 * Limits:   what is too long is cut off.
 */
#ifndef VINE_CORE_TALK_WHY_H
#define VINE_CORE_TALK_WHY_H

#include <vine/base.h>

#define VINE__WHY_MAX 320

struct vine__why {
    char text[VINE__WHY_MAX]; /* empty: nothing was said */
};

void vine__why_say(struct vine__why *why, const char *format, ...) VINE_PRINTF(2, 3);

#endif
