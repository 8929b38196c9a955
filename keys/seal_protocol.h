/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal_protocol.h - what a sealed file is made of, byte by byte (docs/formats/sealed.md).
 */
#ifndef VINE_KEYS_SEAL_PROTOCOL_H
#define VINE_KEYS_SEAL_PROTOCOL_H

#include <stdint.h>

#include "utils/assert.h"

#define VINE_SEAL_KEY_BYTES  32
#define VINE_SEAL_ID_BYTES   16
#define VINE_SEAL_SALT_BYTES 32
#define VINE_SEAL_TAG_BYTES  16
#define VINE_KEY_NAME_MAX    64

#define VINE_SEAL_MAGIC       "VINESEAL"
#define VINE_SEAL_VERSION     1     /* AES-256-GCM, HKDF-SHA-256 */
#define VINE_SEAL_CHUNK_BYTES 65536 /* of plain text; of the last one, at most */

/* How a file begins. Words are least significant byte first. */
struct vine_seal_header {
    uint8_t magic[8];
    uint8_t version[4];
    uint8_t chunk_bytes[4];
    uint8_t key_id[VINE_SEAL_ID_BYTES];
    uint8_t salt[VINE_SEAL_SALT_BYTES]; /* random, of this file alone */
};

VINE_STATIC_ASSERT(sizeof(struct vine_seal_header) == 64, "the header has no holes");

/* What HKDF is told beside key and salt: this word, and for a file the header before the salt. */
#define VINE_SEAL_INFO_FILE "vine seal file"
#define VINE_SEAL_INFO_ID   "vine seal key id"

/* A chunk's nonce: the file's prefix, the chunk's index with the most significant byte first, and 1
 * for the last chunk of the file, 0 for all others. */
#define VINE_SEAL_PREFIX_BYTES 7
#define VINE_SEAL_NONCE_BYTES  12

#endif
