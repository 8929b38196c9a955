/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/keyspace/siphash.h - a hash with a secret: who does not know it cannot make keys meet.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: never.
 * Trust:    bytes may be anything and be chosen by anybody who neither knows the key nor sees the
 *           hashes.
 * Limits:   a hash of 64 bits for tables, and no signature: SipHash-1-3 is what tables need of it.
 *
 * J.-P. Aumasson, D. J. Bernstein: SipHash: a fast short-input PRF, 2012. The two counts of rounds
 * are parameters, so that the vectors of the paper (2 and 4) can be held against it.
 */
#ifndef VINE_CORE_KEYSPACE_SIPHASH_H
#define VINE_CORE_KEYSPACE_SIPHASH_H

#include "utils/assert.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

VINE_STATIC_ASSERT(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "its words are little-endian");

struct vine__siphash {
    uint64_t v[4];
};

static inline uint64_t vine__siphash_word(const unsigned char *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof(word));
    return word;
}

static inline uint64_t vine__siphash_rotated(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static inline void vine__siphash_rounds(struct vine__siphash *state, unsigned count)
{
    uint64_t *const v = state->v;

    for (unsigned n = 0; n < count; n++) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = vine__siphash_rotated(v[1], 13) ^ v[0];
        v[3] = vine__siphash_rotated(v[3], 16) ^ v[2];
        v[0] = vine__siphash_rotated(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = vine__siphash_rotated(v[1], 17) ^ v[2];
        v[3] = vine__siphash_rotated(v[3], 21) ^ v[0];
        v[2] = vine__siphash_rotated(v[2], 32);
    }
}

static inline void vine__siphash_take(struct vine__siphash *state, uint64_t word, unsigned rounds)
{
    state->v[3] ^= word;
    vine__siphash_rounds(state, rounds);
    state->v[0] ^= word;
}

static inline __attribute__((always_inline)) uint64_t vine__siphash(const void *from, size_t size,
                                                                    const unsigned char key[16],
                                                                    unsigned rounds,
                                                                    unsigned last_rounds)
{
    const uint64_t k0 = vine__siphash_word(key), k1 = vine__siphash_word(key + 8);
    const unsigned char *bytes = from;
    struct vine__siphash state = {{
        k0 ^ UINT64_C(0x736f6d6570736575),
        k1 ^ UINT64_C(0x646f72616e646f6d),
        k0 ^ UINT64_C(0x6c7967656e657261),
        k1 ^ UINT64_C(0x7465646279746573),
    }};
    uint64_t last = (uint64_t)size << 56;

    for (; size >= 8; size -= 8, bytes += 8)
        vine__siphash_take(&state, vine__siphash_word(bytes), rounds);
    for (size_t n = 0; n < size; n++)
        last |= (uint64_t)bytes[n] << (8 * n);
    vine__siphash_take(&state, last, rounds);
    state.v[2] ^= 0xff;
    vine__siphash_rounds(&state, last_rounds);
    return state.v[0] ^ state.v[1] ^ state.v[2] ^ state.v[3];
}

#endif
