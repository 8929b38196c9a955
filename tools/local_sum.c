/* SPDX-License-Identifier: Apache-2.0 */
#include "local.h"

#include <blake2.h>
#include <isa-l/crc.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "utils/tables.h"

struct local_sum {
    const struct local_sum_kind *kind;
    EVP_MD *algorithm; /* looked up once: that costs as much as hashing 4 KiB */
    EVP_MD_CTX *sha256;
    blake2b_state *blake2b;
    XXH3_state_t *xxh3;
    uint32_t crc32;
};

struct local_sum_kind {
    const char *procedure;
    bool (*reset)(struct local_sum *sum); /* makes its state, too, the first time */
    void (*add)(struct local_sum *sum, const void *bytes, size_t size);
    size_t (*final)(struct local_sum *sum, unsigned char *ret_bytes);
};

static bool sha256_reset(struct local_sum *sum)
{
    if (sum->sha256 == NULL) {
        sum->algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
        sum->sha256 = EVP_MD_CTX_new();
    }
    return sum->algorithm != NULL && sum->sha256 != NULL &&
           EVP_DigestInit_ex2(sum->sha256, sum->algorithm, NULL) == 1;
}

static void sha256_add(struct local_sum *sum, const void *bytes, size_t size)
{
    EVP_DigestUpdate(sum->sha256, bytes, size);
}

static size_t sha256_final(struct local_sum *sum, unsigned char *ret_bytes)
{
    unsigned size = 0;

    EVP_DigestFinal_ex(sum->sha256, ret_bytes, &size);
    return size;
}

static bool blake2b_reset(struct local_sum *sum)
{
    /* Its type asks for the alignment of a cache line. */
    if (sum->blake2b == NULL)
        sum->blake2b = aligned_alloc(64, (sizeof(*sum->blake2b) + 63) / 64 * 64);
    return sum->blake2b != NULL && blake2b_init(sum->blake2b, 32) == 0;
}

static void blake2b_add(struct local_sum *sum, const void *bytes, size_t size)
{
    blake2b_update(sum->blake2b, bytes, size);
}

static size_t blake2b_end(struct local_sum *sum, unsigned char *ret_bytes)
{
    blake2b_final(sum->blake2b, ret_bytes, 32);
    return 32;
}

static bool crc32_reset(struct local_sum *sum)
{
    sum->crc32 = 0;
    return true;
}

static void crc32_add(struct local_sum *sum, const void *bytes, size_t size)
{
    sum->crc32 = crc32_gzip_refl(sum->crc32, bytes, size);
}

static size_t crc32_final(struct local_sum *sum, unsigned char *ret_bytes)
{
    for (int i = 0; i < 4; i++)
        ret_bytes[i] = (unsigned char)(sum->crc32 >> (24 - 8 * i));
    return 4;
}

static bool xxh3_reset(struct local_sum *sum)
{
    if (sum->xxh3 == NULL)
        sum->xxh3 = XXH3_createState();
    return sum->xxh3 != NULL && XXH3_64bits_reset(sum->xxh3) == XXH_OK;
}

static void xxh3_add(struct local_sum *sum, const void *bytes, size_t size)
{
    XXH3_64bits_update(sum->xxh3, bytes, size);
}

static size_t xxh3_final(struct local_sum *sum, unsigned char *ret_bytes)
{
    XXH64_canonical_t canonical;

    XXH64_canonicalFromHash(&canonical, XXH3_64bits_digest(sum->xxh3));
    memcpy(ret_bytes, canonical.digest, sizeof(canonical.digest));
    return sizeof(canonical.digest);
}

static const struct local_sum_kind kinds[] = {
    {"sha256", sha256_reset, sha256_add, sha256_final},
    {"blake2b", blake2b_reset, blake2b_add, blake2b_end},
    {"crc32", crc32_reset, crc32_add, crc32_final},
    {"xxh3", xxh3_reset, xxh3_add, xxh3_final},
};

static const struct local_sum_kind *find_kind(const char *procedure)
{
    for (size_t i = 0; i < VINE_ARRAY_COUNT(kinds); i++)
        if (strcmp(kinds[i].procedure, procedure) == 0)
            return &kinds[i];
    return NULL;
}

bool local_is_sum(const char *procedure)
{
    return find_kind(procedure) != NULL;
}

struct local_sum *local_sum_create(const char *procedure)
{
    const struct local_sum_kind *kind = find_kind(procedure);
    struct local_sum *sum = kind != NULL ? calloc(1, sizeof(*sum)) : NULL;

    if (sum == NULL)
        return NULL;
    sum->kind = kind;
    if (!kind->reset(sum)) {
        local_sum_destroy(sum);
        return NULL;
    }
    return sum;
}

void local_sum_reset(struct local_sum *sum)
{
    (void)sum->kind->reset(sum); /* its state is there already */
}

void local_sum_add(struct local_sum *sum, const void *bytes, size_t size)
{
    if (size > 0)
        sum->kind->add(sum, bytes, size);
}

size_t local_sum_final(struct local_sum *sum, unsigned char *ret_bytes)
{
    return sum->kind->final(sum, ret_bytes);
}

void local_sum_destroy(struct local_sum *sum)
{
    if (sum == NULL)
        return;
    EVP_MD_CTX_free(sum->sha256);
    EVP_MD_free(sum->algorithm);
    free(sum->blake2b);
    XXH3_freeState(sum->xxh3);
    free(sum);
}
