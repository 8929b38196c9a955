/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=keys */
/*
 * Sealed files: whatever is done to one is noticed, and nothing of it comes out that does not
 * authenticate.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <vine/error.h>

#include "unit/keys/ring_of.h"

/* Sizes at which something changes. */
static const size_t sizes[] = {0,         1,         15,
                               16,        17,        CHUNK - 1,
                               CHUNK,     CHUNK + 1, 2 * CHUNK - 1,
                               2 * CHUNK, CHUNK * 3, 3 * CHUNK + 77};

static struct keyring ring;

static struct bytes sealed_of(size_t size)
{
    struct bytes plain = plain_of(size);
    struct bytes sealed = seal_whole(&ring.keys[0], plain);

    free(plain.at);
    return sealed;
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void what_was_not_sealed_is_refused(void **state)
{
    struct bytes junk = plain_of(1000), empty = {junk.at, 0}, sealed = sealed_of(10);

    (void)state;
    assert_int_equal(open_whole(&ring, junk), -VINE_EDATA);
    assert_int_equal(open_whole(&ring, empty), -VINE_EDATA);
    sealed.at[8] = 2; /* a later version */
    assert_int_equal(open_whole(&ring, sealed), -VINE_EDATA);
    free(junk.at);
    free(sealed.at);
}

static void every_flipped_bit_is_noticed_and_nothing_comes_out(void **state)
{
    struct bytes sealed = sealed_of(50), plain;

    (void)state;
    for (size_t bit = 0; bit < sealed.size * 8; bit++) {
        sealed.at[bit / 8] ^= (uint8_t)(1u << bit % 8);

        const int error = open_in_steps(&ring, NULL, sealed, SIZE_MAX, &plain);

        assert_true(error == -VINE_EDATA || error == -VINE_EKEY || error == -VINE_EAUTHENTIC);
        assert_int_equal(plain.size, 0);
        free(plain.at);
        sealed.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(open_whole(&ring, sealed), 0);
    free(sealed.at);
}

static void every_truncation_is_noticed(void **state)
{
    struct bytes sealed = sealed_of(2 * CHUNK + 20);
    const size_t whole = sealed.size;
    /* Near its borders, at each byte; elsewhere, here and there. */
    const size_t borders[] = {0, HEAD, HEAD + CHUNK + TAG, HEAD + 2 * (CHUNK + TAG), whole};

    (void)state;
    for (size_t i = 0; i < sizeof borders / sizeof borders[0]; i++)
        for (size_t at = borders[i] < 40 ? 0 : borders[i] - 40; at < borders[i] + 40; at++) {
            struct bytes cut = {sealed.at, at};

            if (at < whole)
                assert_int_equal(open_whole(&ring, cut),
                                 at < HEAD ? -VINE_EDATA : -VINE_EAUTHENTIC);
        }
    assert_int_equal(open_whole(&ring, sealed), 0);
    free(sealed.at);
}

static void what_is_appended_is_noticed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct bytes sealed = sealed_of(sizes[i]);
        const size_t whole = sealed.size;

        for (size_t more = 1; more < 70; more += 17) {
            sealed.size = whole + more;
            assert_int_equal(open_whole(&ring, sealed), -VINE_EAUTHENTIC);
        }
        sealed.size = whole + CHUNK + TAG;
        assert_int_equal(open_whole(&ring, sealed), -VINE_EAUTHENTIC);
        free(sealed.at);
    }
}

static uint8_t *chunk_of(struct bytes sealed, size_t index)
{
    return sealed.at + HEAD + index * (CHUNK + TAG);
}

static void chunks_in_another_order_are_noticed(void **state)
{
    static uint8_t kept[CHUNK + TAG];
    struct bytes sealed = sealed_of(4 * CHUNK);

    (void)state;
    for (size_t one = 0; one < 4; one++)
        for (size_t other = one + 1; other < 4; other++) {
            memcpy(kept, chunk_of(sealed, one), sizeof kept);
            memmove(chunk_of(sealed, one), chunk_of(sealed, other), sizeof kept);
            memcpy(chunk_of(sealed, other), kept, sizeof kept);
            assert_int_equal(open_whole(&ring, sealed), -VINE_EAUTHENTIC);
            memcpy(kept, chunk_of(sealed, one), sizeof kept);
            memmove(chunk_of(sealed, one), chunk_of(sealed, other), sizeof kept);
            memcpy(chunk_of(sealed, other), kept, sizeof kept);
        }
    assert_int_equal(open_whole(&ring, sealed), 0);
    /* One left out, and one twice. */
    memmove(chunk_of(sealed, 1), chunk_of(sealed, 2), 2 * sizeof kept);
    sealed.size -= sizeof kept;
    assert_int_equal(open_whole(&ring, sealed), -VINE_EAUTHENTIC);
    sealed.size += sizeof kept;
    memcpy(chunk_of(sealed, 1), chunk_of(sealed, 0), sizeof kept);
    assert_int_equal(open_whole(&ring, sealed), -VINE_EAUTHENTIC);
    free(sealed.at);
}

static void chunks_of_another_file_of_the_same_key_are_noticed(void **state)
{
    struct bytes one = sealed_of(3 * CHUNK), other = sealed_of(3 * CHUNK);

    (void)state;
    for (size_t index = 0; index < 3; index++) {
        struct bytes spliced = {malloc(one.size), one.size};

        memcpy(spliced.at, one.at, one.size);
        memcpy(chunk_of(spliced, index), chunk_of(other, index), CHUNK + TAG);
        assert_int_equal(open_whole(&ring, spliced), -VINE_EAUTHENTIC);
        free(spliced.at);
    }
    free(one.at);
    free(other.at);
}

static void no_byte_of_a_spoiled_chunk_comes_out(void **state)
{
    struct bytes sealed = sealed_of(3 * CHUNK), plain, wanted = plain_of(3 * CHUNK);

    (void)state;
    chunk_of(sealed, 1)[CHUNK + TAG - 1] ^= 1; /* its last byte */
    for (size_t step = 1000; step < 2 * CHUNK; step += 30000) {
        assert_int_equal(open_in_steps(&ring, NULL, sealed, step, &plain), -VINE_EAUTHENTIC);
        assert_int_equal(plain.size, CHUNK); /* the one before it */
        assert_memory_equal(plain.at, wanted.at, CHUNK);
        free(plain.at);
    }
    free(wanted.at);
    free(sealed.at);
}

static void another_key_is_refused_before_anything_is_tried(void **state)
{
    struct bytes sealed = sealed_of(100), plain;
    const struct keyring others = {ring.keys + 1, 1};

    (void)state;
    assert_int_equal(open_whole(&others, sealed), -VINE_EKEY);
    assert_int_equal(open_in_steps(&ring, &ring.keys[1], sealed, SIZE_MAX, &plain), -VINE_EKEY);
    free(plain.at);
    assert_int_equal(open_in_steps(&ring, &ring.keys[0], sealed, SIZE_MAX, &plain), 0);
    free(plain.at);
    /* Nor does it authenticate where its header claims that key. */
    memcpy(sealed.at + offsetof(struct vine_seal_header, key_id), others.keys[0].id,
           VINE_SEAL_ID_BYTES);
    assert_int_equal(open_whole(&ring, sealed), -VINE_EAUTHENTIC);
    free(sealed.at);
}

static void too_little_room_is_an_overflow_and_ends_the_file(void **state)
{
    static uint8_t out[200], in[100];
    struct sealer *sealer;
    struct seal_piece piece = {.input = in, .size = 100, .output = out, .is_last = true};

    (void)state;
    for (piece.room = 0; piece.room < 180; piece.room++) {
        assert_int_equal(sealer_create(&ring.keys[0], &sealer), 0);
        assert_int_equal(sealer_add(sealer, &piece), -VINE_EOVERFLOW);
        assert_int_equal(sealer_add(sealer, &piece), -VINE_ESESSION);
        sealer_destroy(sealer);
    }
    assert_int_equal(sealer_create(&ring.keys[0], &sealer), 0);
    assert_int_equal(sealer_add(sealer, &piece), 0);
    assert_int_equal(sealer_add(sealer, &piece), -VINE_ESESSION); /* it had its last piece */
    sealer_destroy(sealer);
}

/* ---- what goes well -------------------------------------------------------------------------- */

static void files_of_every_size_come_back_however_they_are_cut(void **state)
{
    static const size_t steps[] = {1, 7, 64, 80, 1000, CHUNK, CHUNK + TAG, 100000, SIZE_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct bytes plain = plain_of(sizes[i]);

        for (size_t j = 0; j < sizeof steps / sizeof steps[0]; j++) {
            struct bytes sealed, back;

            if (sizes[i] / steps[j] > 2000)
                continue;
            assert_int_equal(seal_in_steps(&ring.keys[1], plain, steps[j], &sealed), 0);
            for (size_t k = j % 2; k < sizeof steps / sizeof steps[0]; k += 2) {
                if (sizes[i] / steps[k] > 2000)
                    continue;
                assert_int_equal(open_in_steps(&ring, NULL, sealed, steps[k], &back), 0);
                assert_int_equal(back.size, plain.size);
                assert_memory_equal(back.at, plain.at, plain.size);
                free(back.at);
            }
            /* The format has one form for a file's size. */
            const size_t chunks = sizes[i] == 0 ? 1 : (sizes[i] - 1) / CHUNK + 1;

            assert_int_equal(sealed.size, HEAD + sizes[i] + chunks * TAG);
            free(sealed.at);
        }
        free(plain.at);
    }
}

static void every_file_has_a_salt_of_its_own(void **state)
{
    enum { FILES = 500 };
    static uint8_t salts[FILES][VINE_SEAL_SALT_BYTES];

    (void)state;
    for (unsigned i = 0; i < FILES; i++) {
        struct bytes sealed = sealed_of(0);

        memcpy(salts[i], sealed.at + HEAD - VINE_SEAL_SALT_BYTES, VINE_SEAL_SALT_BYTES);
        free(sealed.at);
        for (unsigned j = 0; j < i; j++)
            assert_memory_not_equal(salts[i], salts[j], VINE_SEAL_SALT_BYTES);
    }
}

/* ---- another implementation of the format ---------------------------------------------------- */

/* HKDF by RFC 5869, of one block and a part of the second. */
static void other_hkdf(const uint8_t *key, const uint8_t *salt, size_t salt_size,
                       const uint8_t *info, size_t info_size, uint8_t *ret_bytes, size_t size)
{
    uint8_t inner[32], block[32], text[32 + 128 + 1];
    unsigned length;

    assert_non_null(
        HMAC(EVP_sha256(), salt, (int)salt_size, key, VINE_SEAL_KEY_BYTES, inner, &length));
    for (uint8_t n = 1; size > 0; n++) {
        const size_t before = n > 1 ? 32 : 0, taken = size < 32 ? size : 32;

        memcpy(text, block, before);
        memcpy(text + before, info, info_size);
        text[before + info_size] = n;
        assert_non_null(
            HMAC(EVP_sha256(), inner, 32, text, before + info_size + 1, block, &length));
        memcpy(ret_bytes, block, taken);
        ret_bytes += taken;
        size -= taken;
    }
}

static void other_block(const uint8_t *key, const uint8_t in[16], uint8_t ret_out[16])
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int made;

    assert_int_equal(EVP_EncryptInit_ex(context, EVP_aes_256_ecb(), NULL, key, NULL), 1);
    assert_int_equal(EVP_EncryptUpdate(context, ret_out, &made, in, 16), 1);
    EVP_CIPHER_CTX_free(context);
}

/* x = x * h in GF(2^128), bit by bit, as SP 800-38D has it. */
static void other_multiply(uint8_t x[16], const uint8_t h[16])
{
    uint8_t z[16] = {0}, v[16];

    memcpy(v, h, 16);
    for (unsigned bit = 0; bit < 128; bit++) {
        if ((x[bit / 8] >> (7 - bit % 8) & 1) != 0)
            for (unsigned i = 0; i < 16; i++)
                z[i] ^= v[i];

        const bool carry = (v[15] & 1) != 0;

        for (unsigned i = 15; i > 0; i--)
            v[i] = (uint8_t)(v[i] >> 1 | v[i - 1] << 7);
        v[0] >>= 1;
        if (carry)
            v[0] ^= 0xe1;
    }
    memcpy(x, z, 16);
}

/* AES-256-GCM without further data, by the block cipher alone. */
static void other_gcm(const uint8_t *key, const uint8_t nonce[12], const uint8_t *plain,
                      size_t size, uint8_t *ret_sealed)
{
    uint8_t h[16] = {0}, counter[16], stream[16], sum[16] = {0}, lengths[16] = {0};

    other_block(key, h, h);
    memcpy(counter, nonce, 12);
    for (size_t at = 0; at < size; at += 16) {
        const size_t n = size - at < 16 ? size - at : 16;
        const uint32_t number = (uint32_t)(at / 16) + 2;

        for (unsigned i = 0; i < 4; i++)
            counter[12 + i] = (uint8_t)(number >> (24 - 8 * i));
        other_block(key, counter, stream);
        for (size_t i = 0; i < n; i++) {
            ret_sealed[at + i] = plain[at + i] ^ stream[i];
            sum[i] ^= ret_sealed[at + i];
        }
        other_multiply(sum, h);
    }
    for (unsigned i = 0; i < 8; i++)
        lengths[8 + i] = (uint8_t)(((uint64_t)size * 8) >> (56 - 8 * i));
    for (unsigned i = 0; i < 16; i++)
        sum[i] ^= lengths[i];
    other_multiply(sum, h);
    memcpy(counter + 12, "\0\0\0\1", 4);
    other_block(key, counter, stream);
    for (unsigned i = 0; i < 16; i++)
        ret_sealed[size + i] = sum[i] ^ stream[i];
}

static void sealed_bytes_are_those_of_another_implementation(void **state)
{
    static uint8_t expected[CHUNK + TAG];
    const size_t size = CHUNK + 100;
    struct bytes plain = plain_of(size), sealed = seal_whole(&ring.keys[2], plain);
    uint8_t id[16], made[39], info[sizeof "vine seal file" - 1 + 32], nonce[12] = {0};

    (void)state;
    /* RFC 5869: without a salt it is as many zeros as the hash has bytes. */
    other_hkdf(ring.keys[2].bytes, (const uint8_t[32]){0}, 32, (const uint8_t *)"vine seal key id",
               16, id, 16);
    assert_memory_equal(sealed.at, "VINESEAL\1\0\0\0\0\0\1\0", 16);
    assert_memory_equal(sealed.at + 16, id, 16);
    memcpy(info, "vine seal file", 14);
    memcpy(info + 14, sealed.at, 32);
    other_hkdf(ring.keys[2].bytes, sealed.at + 32, 32, info, sizeof info, made, sizeof made);
    memcpy(nonce, made + 32, 7);
    other_gcm(made, nonce, plain.at, CHUNK, expected);
    assert_memory_equal(sealed.at + HEAD, expected, CHUNK + TAG);
    nonce[10] = 1; /* the second, */
    nonce[11] = 1; /* and the last */
    other_gcm(made, nonce, plain.at + CHUNK, 100, expected);
    assert_memory_equal(sealed.at + HEAD + CHUNK + TAG, expected, 100 + TAG);
    assert_int_equal(sealed.size, HEAD + size + 2 * TAG);
    free(plain.at);
    free(sealed.at);
}

static int prepare(void **state)
{
    (void)state;
    ring = ring_of(3);
    return 0;
}

static int clear(void **state)
{
    (void)state;
    free(ring.keys);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_not_sealed_is_refused),
        cmocka_unit_test(every_flipped_bit_is_noticed_and_nothing_comes_out),
        cmocka_unit_test(every_truncation_is_noticed),
        cmocka_unit_test(what_is_appended_is_noticed),
        cmocka_unit_test(chunks_in_another_order_are_noticed),
        cmocka_unit_test(chunks_of_another_file_of_the_same_key_are_noticed),
        cmocka_unit_test(no_byte_of_a_spoiled_chunk_comes_out),
        cmocka_unit_test(another_key_is_refused_before_anything_is_tried),
        cmocka_unit_test(too_little_room_is_an_overflow_and_ends_the_file),
        cmocka_unit_test(files_of_every_size_come_back_however_they_are_cut),
        cmocka_unit_test(every_file_has_a_salt_of_its_own),
        cmocka_unit_test(sealed_bytes_are_those_of_another_implementation),
    };

    if (keys_prepared() != 0)
        return 1;
    return cmocka_run_group_tests(tests, prepare, clear);
}
