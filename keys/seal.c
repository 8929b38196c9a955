/* SPDX-License-Identifier: Apache-2.0 */
#include "seal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include <vine/error.h>

#include "hidden.h"

#define SEALED_BYTES (VINE_SEAL_CHUNK_BYTES + VINE_SEAL_TAG_BYTES)

static EVP_CIPHER *cipher; /* for the process */
static EVP_KDF *kdf;

/* What a file's chunks have in common, and which one is next. */
struct stream {
    EVP_CIPHER_CTX *context;
    uint8_t prefix[VINE_SEAL_PREFIX_BYTES];
    uint32_t index;
    bool is_over; /* after its last chunk, or an error */
};

/* Bytes wait here until it is known whether theirs is the last chunk: so one more has to come. */
struct sealer {
    struct stream stream;
    struct vine_seal_header header;
    bool has_header; /* it was put out */
    size_t held;
    uint8_t chunk[VINE_SEAL_CHUNK_BYTES];
};

struct opener {
    struct stream stream;
    const struct keyring *keyring;
    const struct key *wanted;
    bool has_header; /* it was read */
    size_t held;
    uint8_t chunk[SEALED_BYTES];
};

int seal_prepare(void)
{
    cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    return cipher != NULL && kdf != NULL ? 0 : -VINE_EFAILED;
}

/* ---- keys made of keys ----------------------------------------------------------------------- */

struct part {
    const uint8_t *bytes;
    size_t size;
};

static OSSL_PARAM parameter(const char *name, struct part part)
{
    /* OpenSSL reads it, and has no const in this place. */
    return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)part.bytes, part.size);
}

/* HKDF-SHA-256; a salt without bytes is none. */
static int derive(const uint8_t *key, struct part salt, struct part info, uint8_t *ret_bytes,
                  size_t size)
{
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        parameter(OSSL_KDF_PARAM_KEY, (struct part){key, VINE_SEAL_KEY_BYTES}),
        parameter(OSSL_KDF_PARAM_INFO, info),
        salt.size > 0 ? parameter(OSSL_KDF_PARAM_SALT, salt) : OSSL_PARAM_construct_end(),
        OSSL_PARAM_construct_end(),
    };
    const bool is_done =
        context != NULL && EVP_KDF_derive(context, ret_bytes, size, parameters) > 0;

    EVP_KDF_CTX_free(context);
    return is_done ? 0 : -VINE_EFAILED;
}

int seal_key_id(const uint8_t key[VINE_SEAL_KEY_BYTES], uint8_t ret_id[VINE_SEAL_ID_BYTES])
{
    static const uint8_t info[] = VINE_SEAL_INFO_ID;

    return derive(key, (struct part){NULL, 0}, (struct part){info, sizeof(info) - 1}, ret_id,
                  VINE_SEAL_ID_BYTES);
}

/* The file's own key and prefix, of its key and its header. A header in which anything was changed
 * leads to another key, with which nothing authenticates. */
static int begin_stream(struct stream *stream, const struct key *key,
                        const struct vine_seal_header *header, bool seals)
{
    const size_t before_salt = offsetof(struct vine_seal_header, salt);
    uint8_t info[sizeof(VINE_SEAL_INFO_FILE) - 1 + offsetof(struct vine_seal_header, salt)];
    uint8_t *made = hidden_allocate(VINE_SEAL_KEY_BYTES + VINE_SEAL_PREFIX_BYTES);

    memcpy(info, VINE_SEAL_INFO_FILE, sizeof(VINE_SEAL_INFO_FILE) - 1);
    memcpy(info + sizeof(VINE_SEAL_INFO_FILE) - 1, header, before_salt);
    stream->context = EVP_CIPHER_CTX_new();
    if (made == NULL || stream->context == NULL) {
        hidden_free(made);
        return -ENOMEM;
    }

    int error = derive(key->bytes, (struct part){header->salt, sizeof(header->salt)},
                       (struct part){info, sizeof(info)}, made,
                       VINE_SEAL_KEY_BYTES + VINE_SEAL_PREFIX_BYTES);
    if (error == 0 &&
        EVP_CipherInit_ex2(stream->context, cipher, made, NULL, seals ? 1 : 0, NULL) != 1)
        error = -VINE_EFAILED;
    memcpy(stream->prefix, made + VINE_SEAL_KEY_BYTES, VINE_SEAL_PREFIX_BYTES);
    hidden_free(made);
    return error;
}

/* ---- chunks ---------------------------------------------------------------------------------- */

/* The nonce of the next chunk. No index comes twice, and the last one none: so no nonce of a file's
 * key does. */
static int begin_chunk(struct stream *stream, bool is_last)
{
    uint8_t nonce[VINE_SEAL_NONCE_BYTES];

    if (stream->index == UINT32_MAX)
        return -VINE_ETOOBIG;
    memcpy(nonce, stream->prefix, VINE_SEAL_PREFIX_BYTES);
    for (unsigned i = 0; i < 4; i++)
        nonce[VINE_SEAL_PREFIX_BYTES + i] = (uint8_t)(stream->index >> (24 - 8 * i));
    nonce[VINE_SEAL_NONCE_BYTES - 1] = is_last ? 1 : 0;
    stream->index++;
    return EVP_CipherInit_ex2(stream->context, NULL, NULL, nonce, -1, NULL) == 1 ? 0
                                                                                 : -VINE_EFAILED;
}

static int seal_chunk(struct stream *stream, const uint8_t *plain, size_t size, bool is_last,
                      uint8_t *output)
{
    const int error = begin_chunk(stream, is_last);
    int made = 0;

    if (error < 0)
        return error;
    if ((size > 0 && EVP_CipherUpdate(stream->context, output, &made, plain, (int)size) != 1) ||
        EVP_CipherFinal_ex(stream->context, output + size, &made) != 1 ||
        EVP_CIPHER_CTX_ctrl(stream->context, EVP_CTRL_AEAD_GET_TAG, VINE_SEAL_TAG_BYTES,
                            output + size) != 1)
        return -VINE_EFAILED;
    return 0;
}

/* In place; `size` counts the tag. */
static int open_chunk(struct stream *stream, uint8_t *sealed, size_t size, bool is_last)
{
    const size_t plain = size - VINE_SEAL_TAG_BYTES;
    const int error = begin_chunk(stream, is_last);
    int made = 0;

    if (error < 0)
        return error;
    if (EVP_CIPHER_CTX_ctrl(stream->context, EVP_CTRL_AEAD_SET_TAG, VINE_SEAL_TAG_BYTES,
                            sealed + plain) != 1 ||
        (plain > 0 && EVP_CipherUpdate(stream->context, sealed, &made, sealed, (int)plain) != 1))
        return -VINE_EFAILED;
    return EVP_CipherFinal_ex(stream->context, sealed + plain, &made) == 1 ? 0 : -VINE_EAUTHENTIC;
}

static size_t smaller(size_t one, size_t other)
{
    return one < other ? one : other;
}

/* ---- sealing --------------------------------------------------------------------------------- */

static void put_word(uint8_t *bytes, uint32_t word)
{
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(word >> (8 * i));
}

static bool fill_random(uint8_t *bytes, size_t size)
{
    /* Not more than 256 bytes: it is not interrupted, and waits only where the kernel has no
     * entropy yet. */
    return getrandom(bytes, size, 0) == (ssize_t)size;
}

int sealer_create(const struct key *key, struct sealer **ret_sealer)
{
    struct sealer *sealer = calloc(1, sizeof(*sealer));

    if (sealer == NULL)
        return -ENOMEM;
    memcpy(sealer->header.magic, VINE_SEAL_MAGIC, sizeof(sealer->header.magic));
    put_word(sealer->header.version, VINE_SEAL_VERSION);
    put_word(sealer->header.chunk_bytes, VINE_SEAL_CHUNK_BYTES);
    memcpy(sealer->header.key_id, key->id, sizeof(sealer->header.key_id));

    int error = fill_random(sealer->header.salt, sizeof(sealer->header.salt)) ? 0 : -VINE_EFAILED;
    if (error == 0)
        error = begin_stream(&sealer->stream, key, &sealer->header, true);
    if (error < 0) {
        sealer_destroy(sealer);
        return error;
    }
    *ret_sealer = sealer;
    return 0;
}

static int put(struct seal_piece *piece, const void *bytes, size_t size)
{
    if (piece->room - piece->made < size)
        return -VINE_EOVERFLOW;
    memcpy(piece->output + piece->made, bytes, size);
    piece->made += size;
    return 0;
}

static int seal_held(struct sealer *sealer, struct seal_piece *piece, bool is_last)
{
    const size_t size = sealer->held + VINE_SEAL_TAG_BYTES;

    if (piece->room - piece->made < size)
        return -VINE_EOVERFLOW;

    const int error = seal_chunk(&sealer->stream, sealer->chunk, sealer->held, is_last,
                                 piece->output + piece->made);

    piece->made += size;
    sealer->held = 0;
    return error;
}

static int seal_piece(struct sealer *sealer, struct seal_piece *piece)
{
    int error = 0;

    if (!sealer->has_header)
        error = put(piece, &sealer->header, sizeof(sealer->header));
    sealer->has_header = true;
    for (size_t at = 0; error == 0 && at < piece->size;) {
        if (sealer->held == VINE_SEAL_CHUNK_BYTES) {
            error = seal_held(sealer, piece, false);
            continue;
        }

        const size_t taken = smaller(VINE_SEAL_CHUNK_BYTES - sealer->held, piece->size - at);

        memcpy(sealer->chunk + sealer->held, piece->input + at, taken);
        sealer->held += taken;
        at += taken;
    }
    if (error == 0 && piece->is_last)
        error = seal_held(sealer, piece, true);
    return error;
}

int sealer_add(struct sealer *sealer, struct seal_piece *piece)
{
    piece->made = 0;
    if (sealer->stream.is_over)
        return -VINE_ESESSION;

    const int error = seal_piece(sealer, piece);

    sealer->stream.is_over = error < 0 || piece->is_last;
    return error;
}

void sealer_destroy(struct sealer *sealer)
{
    if (sealer == NULL)
        return;
    EVP_CIPHER_CTX_free(sealer->stream.context);
    OPENSSL_cleanse(sealer, sizeof(*sealer));
    free(sealer);
}

/* ---- opening --------------------------------------------------------------------------------- */

int opener_create(const struct keyring *keyring, const struct key *wanted,
                  struct opener **ret_opener)
{
    struct opener *opener = calloc(1, sizeof(*opener));

    if (opener == NULL)
        return -ENOMEM;
    opener->keyring = keyring;
    opener->wanted = wanted;
    *ret_opener = opener;
    return 0;
}

static int read_header(struct opener *opener)
{
    struct vine_seal_header header;
    uint8_t version[4], chunk_bytes[4];

    memcpy(&header, opener->chunk, sizeof(header));
    put_word(version, VINE_SEAL_VERSION);
    put_word(chunk_bytes, VINE_SEAL_CHUNK_BYTES);
    if (memcmp(header.magic, VINE_SEAL_MAGIC, sizeof(header.magic)) != 0 ||
        memcmp(header.version, version, sizeof(version)) != 0 ||
        memcmp(header.chunk_bytes, chunk_bytes, sizeof(chunk_bytes)) != 0)
        return -VINE_EDATA;

    const struct key *key = keyring_find_id(opener->keyring, header.key_id);

    if (key == NULL ||
        (opener->wanted != NULL && memcmp(key->id, opener->wanted->id, sizeof(key->id)) != 0))
        return -VINE_EKEY;
    opener->has_header = true;
    opener->held = 0;
    return begin_stream(&opener->stream, key, &header, false);
}

static int open_held(struct opener *opener, struct seal_piece *piece, bool is_last)
{
    if (opener->held < VINE_SEAL_TAG_BYTES)
        return -VINE_EAUTHENTIC;

    const size_t plain = opener->held - VINE_SEAL_TAG_BYTES;
    int error = open_chunk(&opener->stream, opener->chunk, opener->held, is_last);

    if (error == 0)
        error = put(piece, opener->chunk, plain);
    opener->held = 0;
    return error;
}

static int open_piece(struct opener *opener, struct seal_piece *piece)
{
    int error = 0;

    for (size_t at = 0; error == 0 && at < piece->size;) {
        const size_t full = opener->has_header ? SEALED_BYTES : sizeof(struct vine_seal_header);

        /* Full, and there is more: so it is not the last one. */
        if (opener->held == full) {
            error = open_held(opener, piece, false);
            continue;
        }

        const size_t taken = smaller(full - opener->held, piece->size - at);

        memcpy(opener->chunk + opener->held, piece->input + at, taken);
        opener->held += taken;
        at += taken;
        if (!opener->has_header && opener->held == full)
            error = read_header(opener);
    }
    if (error == 0 && piece->is_last)
        error = opener->has_header ? open_held(opener, piece, true) : -VINE_EDATA;
    return error;
}

int opener_add(struct opener *opener, struct seal_piece *piece)
{
    piece->made = 0;
    if (opener->stream.is_over)
        return -VINE_ESESSION;

    const int error = open_piece(opener, piece);

    opener->stream.is_over = error < 0 || piece->is_last;
    return error;
}

void opener_destroy(struct opener *opener)
{
    if (opener == NULL)
        return;
    EVP_CIPHER_CTX_free(opener->stream.context);
    OPENSSL_cleanse(opener, sizeof(*opener));
    free(opener);
}
