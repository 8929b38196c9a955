/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procedures/expand.h - what both decompressors tell whoever has them go on: frames (members) that
 * follow each other, cut anywhere.
 *
 * Owns:     nothing.
 * Threads:  one at a time.
 * Blocking: never.
 * Trust:    stands any bytes, in private memory that does not change.
 * Limits:   a call takes and makes what it is given, and no more.
 */
#ifndef VINE_EXPAND_H
#define VINE_EXPAND_H

#include <stddef.h>
#include <stdint.h>

#define VINE__EXPAND_REASON_MAX 127

struct vine__expand_input {
    const uint8_t *bytes;
    size_t size, position;
};

struct vine__expand_output {
    uint8_t *bytes;
    size_t room, made;
};

enum vine__expand_result {
    VINE__EXPAND_ENOUGH = 0, /* all was taken, and nothing comes without more */
    VINE__EXPAND_FULL = 1,   /* the room is full: what was taken may hold more */
    VINE__EXPAND_NEEDS = 2,  /* memory, before it goes on */
};

#endif
