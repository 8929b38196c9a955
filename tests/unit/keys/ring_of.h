/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/keys/ring_of.h - keys without a folder, and files sealed and opened in one call.
 */
#ifndef VINE_TESTS_RING_OF_H
#define VINE_TESTS_RING_OF_H

#include <stdlib.h>
#include <string.h>

#include "hidden.h"
#include "keyring.h"
#include "seal.h"

#define CHUNK VINE_SEAL_CHUNK_BYTES
#define TAG   VINE_SEAL_TAG_BYTES
#define HEAD  sizeof(struct vine_seal_header)

struct bytes {
    uint8_t *at;
    size_t size;
};

/* Key n is the byte n, 32 times. */
static inline struct keyring ring_of(unsigned count)
{
    struct keyring ring = {.keys = calloc(count, sizeof(struct key)), .count = count};

    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(ring.keys[i].name, sizeof ring.keys[i].name, "key-%u", i + 1);
        memset(ring.keys[i].bytes, (int)i + 1, VINE_SEAL_KEY_BYTES);
        assert_int_equal(seal_key_id(ring.keys[i].bytes, ring.keys[i].id), 0);
    }
    return ring;
}

/* As many bytes as are wanted, which repeat after no power of two. */
static inline struct bytes plain_of(size_t size)
{
    struct bytes plain = {malloc(size + 1), size};

    for (size_t i = 0; i < size; i++)
        plain.at[i] = (uint8_t)(i * 131 + i / 251);
    return plain;
}

/* In pieces of `step` bytes; the last one may be empty. Each gets exactly the room that it needs
 * at most. */
static inline int seal_in_steps(const struct key *key, struct bytes plain, size_t step,
                                struct bytes *ret_sealed)
{
    struct sealer *sealer;
    struct bytes sealed = {calloc(1, plain.size + plain.size / 1024 + 262144), 0};
    size_t at = 0;
    int error = sealer_create(key, &sealer);

    for (bool is_last = false; error == 0 && !is_last;) {
        const size_t size = step < plain.size - at ? step : plain.size - at;
        struct seal_piece piece = {.input = plain.at + at, .size = size};

        is_last = size < step || step == 0;
        piece.is_last = is_last;
        piece.room = SEAL_ROOM(size);
        piece.output = malloc(piece.room);
        error = sealer_add(sealer, &piece);
        if (error == 0) {
            memcpy(sealed.at + sealed.size, piece.output, piece.made);
            sealed.size += piece.made;
        }
        free(piece.output);
        at += size;
    }
    sealer_destroy(sealer);
    *ret_sealed = sealed;
    return error;
}

static inline struct bytes seal_whole(const struct key *key, struct bytes plain)
{
    struct bytes sealed;

    assert_int_equal(seal_in_steps(key, plain, SIZE_MAX, &sealed), 0);
    return sealed;
}

/* What came out before an error is told too. */
static inline int open_in_steps(const struct keyring *ring, const struct key *wanted,
                                struct bytes sealed, size_t step, struct bytes *ret_plain)
{
    struct opener *opener;
    struct bytes plain = {calloc(1, sealed.size + 262144), 0};
    size_t at = 0;
    int error = opener_create(ring, wanted, &opener);

    for (bool is_last = false; error == 0 && !is_last;) {
        const size_t size = step < sealed.size - at ? step : sealed.size - at;
        /* A copy of its own, for the sanitizers to watch. */
        uint8_t *input = malloc(size + (size == 0));
        struct seal_piece piece = {.input = input, .size = size};

        memcpy(input, sealed.at + at, size);
        is_last = size < step || step == 0;
        piece.is_last = is_last;
        piece.room = OPEN_ROOM(size);
        piece.output = malloc(piece.room);
        error = opener_add(opener, &piece);
        memcpy(plain.at + plain.size, piece.output, piece.made);
        plain.size += piece.made;
        free(piece.output);
        free(input);
        at += size;
    }
    opener_destroy(opener);
    *ret_plain = plain;
    return error;
}

static inline int open_whole(const struct keyring *ring, struct bytes sealed)
{
    struct bytes plain;
    const int error = open_in_steps(ring, NULL, sealed, SIZE_MAX, &plain);

    free(plain.at);
    return error;
}

/* Before anything of OpenSSL is used; for a main of tests. */
static inline int keys_prepared(void)
{
    enum hidden_kind kind;

    return hidden_init(&kind) == 0 && seal_prepare() == 0 ? 0 : 1;
}

#endif
