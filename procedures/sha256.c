/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procedures/sha256.c - SHA-256 by OpenSSL, as `sha256sum` prints it.
 *
 * Shared: the hash goes the same way whatever it reads. OpenSSL looks an algorithm up by name,
 * which costs more than hashing a small message, so it is looked up once; and a context is
 * allocated, so each thread keeps one for tasks without a session.
 */
#include <errno.h>
#include <pthread.h>

#include <openssl/evp.h>
#include <vine/error.h>

#include "shipped_internal.h"

#define SHA256_BYTES 32

enum {
    SHA256_INPUT,
    SHA256_DIGEST,
};

static const struct vine_argument sha256_arguments[] = {
    [SHA256_INPUT] = {"input", VINE_INPUT, VINE_TYPE_BYTES, 0, VINE_SHIPPED_DATA_MAX},
    [SHA256_DIGEST] = {"digest", VINE_RESULT, 0, SHA256_BYTES, SHA256_BYTES},
};

struct sha256_state {
    EVP_MD_CTX *context;
};

static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256_algorithm; /* kept for the process; NULL: this OpenSSL has none */
static pthread_key_t sha256_key; /* each thread's EVP_MD_CTX */
static int sha256_key_error;

static void sha256_free(void *context)
{
    EVP_MD_CTX_free(context);
}

static void sha256_prepare(void)
{
    sha256_algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    sha256_key_error = pthread_key_create(&sha256_key, sha256_free);
}

static EVP_MD_CTX *sha256_context_of_thread(void)
{
    EVP_MD_CTX *context = pthread_getspecific(sha256_key);

    if (context)
        return context;
    context = EVP_MD_CTX_new();
    if (context && pthread_setspecific(sha256_key, context) != 0) {
        EVP_MD_CTX_free(context);
        return NULL;
    }
    return context;
}

static void sha256_end(void *call_state)
{
    struct sha256_state *state = call_state;

    EVP_MD_CTX_free(state->context);
    state->context = NULL;
}

static int sha256_begin(void *call_state)
{
    struct sha256_state *state = call_state;

    pthread_once(&sha256_once, sha256_prepare);
    if (!sha256_algorithm)
        return -VINE_EFAILED;
    state->context = EVP_MD_CTX_new();
    if (state->context && EVP_DigestInit_ex2(state->context, sha256_algorithm, NULL))
        return 0;
    sha256_end(state);
    return -ENOMEM;
}

static int sha256_update(void *context, const void *bytes, size_t size)
{
    return EVP_DigestUpdate(context, bytes, size) ? 0 : -VINE_EFAILED;
}

static int sha256(struct vine_call *call)
{
    struct sha256_state *state = vine_call_state(call);
    EVP_MD_CTX *context;
    uint8_t digest[SHA256_BYTES];
    size_t size;
    const void *input = vine_call_bytes(call, SHA256_INPUT, &size);
    int status;

    if (state) {
        context = state->context;
    } else {
        pthread_once(&sha256_once, sha256_prepare);
        if (!sha256_algorithm || sha256_key_error != 0)
            return -VINE_EFAILED;
        context = sha256_context_of_thread();
        if (!context || !EVP_DigestInit_ex2(context, sha256_algorithm, NULL))
            return -ENOMEM;
    }
    status = vine__update_in_slices(call, sha256_update, context, input, size);
    if (status < 0 || (state && !vine_call_is_last(call)))
        return status;
    if (!EVP_DigestFinal_ex(context, digest, NULL))
        return -VINE_EFAILED;
    return vine_call_result(call, digest, sizeof(digest));
}

const struct vine_procedure_definition vine_shipped_sha256 = {
    .size_bytes = sizeof(struct vine_procedure_definition),
    .name = "sha256",
    .summary = "SHA-256 of the input",
    .flags = VINE_ARGUMENTS_SHARED,
    .arguments = sha256_arguments,
    .argument_count = 2,
    .run = sha256,
    .short_input_max = 8192, /* 4 us */
    .state_bytes = sizeof(struct sha256_state),
    .begin = sha256_begin,
    .end = sha256_end,
};
