/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procedures/shipped_internal.h - what the procedures share: their definitions, slices of long
 * work, room for aligned state.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: never.
 * Trust:    not concerned.
 * Limits:   none.
 */
#ifndef VINE_SHIPPED_INTERNAL_H
#define VINE_SHIPPED_INTERNAL_H

#include <stdint.h>

#include "procedures.h"
#include "utils/assert.h"

extern const struct vine_procedure_definition vine_shipped_noop;
extern const struct vine_procedure_definition vine_shipped_copy;
extern const struct vine_procedure_definition vine_shipped_sha256;
extern const struct vine_procedure_definition vine_shipped_blake2b;
extern const struct vine_procedure_definition vine_shipped_crc32;
extern const struct vine_procedure_definition vine_shipped_xxh3;
extern const struct vine_procedure_definition vine_shipped_zstd;
extern const struct vine_procedure_definition vine_shipped_unzstd;
extern const struct vine_procedure_definition vine_shipped_gzip;
extern const struct vine_procedure_definition vine_shipped_gunzip;

/* Long work is done in slices of this many bytes, with a look for a cancel before each: 2 ms of
 * SHA-256, half a millisecond of a memcpy's time. */
#define VINE_SLICE_BYTES (4u << 20)

/* What a state of `type` takes, so that vine__state_of finds room for its alignment. */
#define VINE_STATE_BYTES(type) (sizeof(type) + _Alignof(type) - 1)
#define VINE_STATE(type, call_state)                                                               \
    ((type *)vine__aligned((call_state), _Alignof(type), sizeof(type)))

/* The first multiple of `alignment` at or behind `memory`: an appliance promises no more than
 * malloc does, and the libraries' contexts want cache lines. */
static inline void *vine__aligned(void *memory, size_t alignment, size_t size)
{
    VINE_ASSERT(size % alignment == 0);
    return (void *)(((uintptr_t)memory + alignment - 1) & ~(uintptr_t)(alignment - 1));
}

/* Feed `bytes` to a hash in slices. Returns 0; -VINE_ECANCELED; what `update` returned. */
typedef int (*vine__update_fn)(void *context, const void *bytes, size_t size);
int vine__update_in_slices(struct vine_call *call, vine__update_fn update, void *context,
                           const void *bytes, size_t size);

/* As vine_call_output, but never NULL: where there is no room there is still a place to point
 * to. */
uint8_t *vine__output_of(struct vine_call *call, uint32_t argument, size_t *ret_room);

/* Put a word in a result, most or least significant byte first. */
void vine__put_be32(uint8_t bytes[4], uint32_t word);
void vine__put_be64(uint8_t bytes[8], uint64_t word);
void vine__put_le64(uint8_t bytes[8], uint64_t word);

/* Set the VINE_RESULT of unzstd and gunzip. Returns what vine_call_result does. */
int vine__expand_result(struct vine_call *call, uint64_t consumed, uint64_t flags);

#endif
