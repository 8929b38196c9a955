/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal.h - sealing files and opening them, piece by piece (docs/formats/sealed.md).
 *
 * Owns:     a sealer or opener owns its cipher's context, in hidden memory, and one chunk.
 * Threads:  one at a time on one; seal_prepare before any.
 * Blocking: never; seal_prepare reads what OpenSSL wants.
 * Trust:    sealed bytes may be anything. Nothing of a chunk is handed out before it authenticates,
 *           and the source is read once, so that it may change meanwhile.
 * Limits:   2^32 - 1 chunks a file: 256 TiB.
 *
 * The construction is that of Tink's AES-GCM-HKDF streaming, as proven by Hoang and Shen in
 * "Security of Streaming Encryption in Google's Tink Library" (CCS 2020); the end's mark in the
 * nonce is STREAM's (Hoang, Reyhanitabar, Rogaway, Vizar: "Online Authenticated-Encryption and its
 * Nonce-Reuse Misuse-Resistance", CRYPTO 2015).
 */
#ifndef VINE_KEYS_SEAL_H
#define VINE_KEYS_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vine/base.h>

#include "keyring.h"

/* The room that a piece of `size` bytes needs: what was held back of those before it may come out
 * with it. */
#define SEAL_ROOM(size) ((size) + (size) / 2048 + 131072)
#define OPEN_ROOM(size) ((size) + 131072)

struct sealer;
struct opener;

/* Look the algorithms up. Returns 0, or -VINE_EFAILED: this OpenSSL lacks one. */
int seal_prepare(void);

/* By what files name a key: a hash of it, of which nothing of the key can be had. Returns 0, or
 * -VINE_EFAILED. */
int seal_key_id(const uint8_t key[VINE_SEAL_KEY_BYTES], uint8_t ret_id[VINE_SEAL_ID_BYTES]);

/* Begin a file: with a key of its own, made of this one and of a new random number. Returns 0,
 * -ENOMEM, -VINE_EFAILED. */
int sealer_create(const struct key *key, struct sealer **ret_sealer);

/* The next piece of a file, or its last, and what comes out of it by now. Returns 0, or a negative
 * code, after which the file cannot go on; -VINE_EOVERFLOW: the room is too small; -VINE_ETOOBIG.
 */
struct seal_piece {
    const uint8_t *input;
    size_t size;
    bool is_last;
    uint8_t *output;
    size_t room;
    size_t made; /* told by the call */
};

int sealer_add(struct sealer *sealer, struct seal_piece *piece);
void sealer_destroy(struct sealer *sealer);

/* Begin to open a file, by the key that it names; `wanted`, if not NULL, has to be that one.
 * Returns 0, -ENOMEM. */
int opener_create(const struct keyring *keyring, const struct key *wanted,
                  struct opener **ret_opener);

/* As sealer_add; -VINE_EDATA: it was not sealed, or by a later version; -VINE_EKEY: there is no
 * such key, or it is not the wanted one; -VINE_EAUTHENTIC: the last of them tells too that the file
 * ends before its time. */
int opener_add(struct opener *opener, struct seal_piece *piece);
void opener_destroy(struct opener *opener);

#endif
