/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/trusting.h - stands in for utils/hostile.h in the library that bench/ compares ours with.
 *
 * It is included before everything else and takes that header's place, so that each check of what a
 * hostile peer may have done is compiled, and left out. Never link this into anything that is used.
 */
#ifndef VINE_UTILS_HOSTILE_H
#define VINE_UTILS_HOSTILE_H

#define VINE__HOSTILE(condition) (0 && (condition))

#endif
