/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/type.h - what both sides know of data types.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: never.
 * Trust:    any number may be asked for; one that nobody defined counts in bytes.
 * Limits:   those of enum vine_data_type.
 */
#ifndef VINE_CORE_TALK_TYPE_H
#define VINE_CORE_TALK_TYPE_H

#include <stdint.h>

#include <vine/talk.h>

/* Bytes of one element. */
static inline uint32_t vine__type_bytes(uint32_t data_type)
{
    switch (data_type) {
    case VINE_TYPE_U32:
    case VINE_TYPE_F32:
        return 4;
    case VINE_TYPE_U64:
    case VINE_TYPE_F64:
        return 8;
    default:
        return 1;
    }
}

#endif
