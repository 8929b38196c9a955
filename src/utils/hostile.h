/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utils/hostile.h - the word by which a check says that it is there for a hostile peer.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: never.
 * Trust:    a condition is about private copies of what the peer wrote.
 * Limits:   conditions without side effects: bench/ builds a library in which none of them is
 *           evaluated, to tell what they cost.
 *
 * VINE__HOSTILE(condition) is true only if the other side did what no correct library does. Whoever
 * sees it ends the pipe, or refuses what it was told. What a correct library can be made to send by
 * its user is checked without this word.
 */
#ifndef VINE_UTILS_HOSTILE_H
#define VINE_UTILS_HOSTILE_H

#define VINE__HOSTILE(condition) __builtin_expect(!!(condition), 0)

#endif
