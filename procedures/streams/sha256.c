/* SPDX-License-Identifier: Apache-2.0 */
/* The digest of a stream, by OpenSSL. */
#include <errno.h>

#include <openssl/evp.h>
#include <vine/error.h>

#include "streams_internal.h"

#define SHA256_BYTES 32

struct sha256_stream {
    EVP_MD_CTX *context;
};

static int sha256_begin(void *state, const void *argument)
{
    struct sha256_stream *const stream = state;
    EVP_MD *const algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    int error = algorithm == NULL ? -VINE_EFAILED : 0;

    (void)argument;
    stream->context = error == 0 ? EVP_MD_CTX_new() : NULL;
    if (error == 0 && stream->context == NULL)
        error = -ENOMEM;
    if (error == 0 && EVP_DigestInit_ex2(stream->context, algorithm, NULL) != 1)
        error = -VINE_EFAILED;
    EVP_MD_free(algorithm); /* the context holds it */
    if (error != 0)
        EVP_MD_CTX_free(stream->context);
    return error;
}

/* It writes nothing but the digest, for which there is room. */
static int sha256_step(void *state, struct vine_filter_step *step)
{
    const struct sha256_stream *const stream = state;
    unsigned int size = 0;

    if (step->room < SHA256_BYTES ||
        EVP_DigestUpdate(stream->context, step->input, step->input_bytes) != 1)
        return -VINE_EFAILED;
    step->taken = step->input_bytes;
    if (!step->is_last)
        return VINE_FILTER_ENOUGH;
    if (EVP_DigestFinal_ex(stream->context, step->output, &size) != 1 || size != SHA256_BYTES)
        return -VINE_EFAILED;
    step->written = size;
    return VINE_FILTER_ENOUGH;
}

static void sha256_end(void *state)
{
    EVP_MD_CTX_free(((struct sha256_stream *)state)->context);
}

static const struct vine_filter_type sha256_filter = {
    .size_bytes = sizeof sha256_filter,
    .state_bytes = sizeof(struct sha256_stream),
    .begin = sha256_begin,
    .step = sha256_step,
    .end = sha256_end,
};

VINE_COROUTINE(vine__stream_sha256)
{
    struct {
        struct vine__through through;
    } *self;

    vine_begin();
    self->through.type = &sha256_filter;
    self->through.level = 0;
    vine_call(vine__through, &self->through);
    vine_end();
}
