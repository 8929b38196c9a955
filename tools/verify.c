/* SPDX-License-Identifier: Apache-2.0 */
#include "verify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vine/error.h>

#include "local.h"

#define VERIFY_BYTES (256U << 10)

struct verifier {
    int packed;
    int plain;
    off_t packed_at;
    off_t plain_at;
    struct local_opener *opener;
    verify_stop_fn stop;
    bool may_end; /* between frames */
    unsigned char input[VERIFY_BYTES];
    unsigned char opened[VERIFY_BYTES];
    unsigned char expected[VERIFY_BYTES];
};

/* Read as much as there is, up to `size`. */
static ssize_t read_fully(int fd, void *bytes, size_t size, off_t offset)
{
    size_t done = 0;

    while (done < size) {
        const ssize_t got = pread(fd, (char *)bytes + done, size - done, offset + (off_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

/* The procedure whose results this recipe's results, or sources, are. */
static const char *packer_of(const struct recipe *recipe)
{
    if (strcmp(recipe->procedure, "unzstd") == 0)
        return "zstd";
    if (strcmp(recipe->procedure, "gunzip") == 0)
        return "gzip";
    return local_is_packer(recipe->procedure) ? recipe->procedure : NULL;
}

bool verify_knows(const struct recipe *recipe)
{
    return packer_of(recipe) != NULL || local_is_sum(recipe->procedure);
}

static int compare_opened(struct verifier *verifier, size_t made)
{
    const ssize_t got = read_fully(verifier->plain, verifier->expected, made, verifier->plain_at);

    if (got < 0)
        return (int)got;
    if ((size_t)got != made || memcmp(verifier->opened, verifier->expected, made) != 0)
        return -VINE_EDATA;
    verifier->plain_at += (off_t)made;
    return 0;
}

/* Undo one piece of input. */
static int open_piece(struct verifier *verifier, size_t size)
{
    size_t at = 0;
    bool filled = false;

    /* A full output may have more behind it, though all the input is taken. */
    while (at < size || (filled && !verifier->may_end)) {
        struct local_piece piece = {
            .input = verifier->input + at,
            .size = size - at,
            .output = verifier->opened,
            .room = VERIFY_BYTES,
        };
        const int outcome = local_open(verifier->opener, &piece);
        if (outcome < 0)
            return outcome;
        const int error = compare_opened(verifier, piece.made);
        if (error < 0)
            return error;
        verifier->may_end = outcome == 1;
        filled = piece.made == VERIFY_BYTES;
        if (piece.taken == 0 && piece.made == 0)
            return at < size ? -VINE_EDATA : 0;
        at += piece.taken;
    }
    return 0;
}

static int compare_all(struct verifier *verifier)
{
    for (;;) {
        const ssize_t got =
            read_fully(verifier->packed, verifier->input, VERIFY_BYTES, verifier->packed_at);
        if (got < 0)
            return (int)got;
        if (got == 0)
            break;
        if (verifier->stop())
            return -EINTR;
        const int error = open_piece(verifier, (size_t)got);
        if (error < 0)
            return error;
        verifier->packed_at += got;
    }
    const ssize_t more = read_fully(verifier->plain, verifier->expected, 1, verifier->plain_at);
    if (more < 0)
        return (int)more;
    return verifier->may_end && more == 0 ? 0 : -VINE_EDATA;
}

int verify_files(const struct recipe *recipe, int source, int result, verify_stop_fn stop)
{
    const char *packer = packer_of(recipe);
    struct verifier *verifier = malloc(sizeof(*verifier));
    const bool expands = recipe->takes_suffix_off;

    if (verifier == NULL)
        return -ENOMEM;
    verifier->packed = expands ? source : result;
    verifier->plain = expands ? result : source;
    verifier->packed_at = 0;
    verifier->plain_at = 0;
    verifier->stop = stop;
    verifier->may_end = strcmp(packer, "copy") == 0; /* an empty copy is whole */
    verifier->opener = local_opener_create(packer, expands);
    const int error = verifier->opener != NULL ? compare_all(verifier) : -ENOMEM;
    local_opener_destroy(verifier->opener);
    free(verifier);
    return error;
}

int verify_sum(const char *procedure, int source, const unsigned char *sum, size_t size,
               verify_stop_fn stop)
{
    struct local_sum *own = local_sum_create(procedure);
    unsigned char *bytes = malloc(VERIFY_BYTES);
    unsigned char expected[LOCAL_SUM_MAX];
    ssize_t got = own != NULL && bytes != NULL ? 1 : -ENOMEM;

    for (off_t at = 0; got > 0; at += got) {
        got = stop() ? -EINTR : read_fully(source, bytes, VERIFY_BYTES, at);
        if (got > 0)
            local_sum_add(own, bytes, (size_t)got);
    }
    int error = (int)got;
    if (error == 0 && (local_sum_final(own, expected) != size || memcmp(expected, sum, size) != 0))
        error = -VINE_EDATA;
    local_sum_destroy(own);
    free(bytes);
    return error;
}
