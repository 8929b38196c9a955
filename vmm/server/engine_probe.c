/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/engine_probe.c - which accelerator boots a VM: see engine_internal.h.
 *
 * What a VM boots from is copied out of its pool for each start: an answer is remembered by what is
 * in these files, so that each kernel is tried once.
 */

#include "vmm/server/engine_internal.h"

#include <vine/error.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#define TIMEOUT_NS    (5 * VINE_NS_PER_SECOND) /* where KVM boots a guest, it takes one */
#define MEMORY_BYTES  (UINT64_C(256) << 20)
#define PIECE_BYTES   (256U << 10)
#define CONTENT_BYTES 40

static int add_file(XXH3_state_t *sum, const char *path, char *piece)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ssize_t got;

    if (fd < 0)
        return -errno;
    while ((got = read(fd, piece, PIECE_BYTES)) > 0)
        (void)XXH3_128bits_update(sum, piece, (size_t)got);
    (void)close(fd);
    return got < 0 ? -errno : 0;
}

/* Returns an error: then it is tried each time. */
static int name_content(const struct vine__boot *boot, char content[CONTENT_BYTES])
{
    XXH3_state_t *const sum = XXH3_createState();
    char *const piece = malloc(PIECE_BYTES);
    int error = sum != NULL && piece != NULL ? 0 : -ENOMEM;

    if (error == 0) {
        (void)XXH3_128bits_reset(sum);
        error = add_file(sum, boot->kernel, piece);
    }
    if (error == 0 && boot->initrd != NULL) {
        (void)XXH3_128bits_update(sum, "", 1); /* where the one ends and the other one begins */
        error = add_file(sum, boot->initrd, piece);
    }
    if (error == 0) {
        const XXH128_hash_t hash = XXH3_128bits_digest(sum);

        (void)snprintf(content, CONTENT_BYTES, "xxh3:%016llx%016llx",
                       (unsigned long long)hash.high64, (unsigned long long)hash.low64);
    }
    free(piece);
    (void)XXH3_freeState(sum);
    return error;
}

static void name_folder(const struct vine__engine_options *options, uint32_t number,
                        char folder[VINE__ENGINE_PATH_BYTES])
{
    (void)snprintf(folder, VINE__ENGINE_PATH_BYTES, "%s/probe-%u", options->runtime, number);
}

void vine__engine_probe_clear(const struct vine__engine_options *options, uint32_t number)
{
    char folder[VINE__ENGINE_PATH_BYTES];

    name_folder(options, number, folder);
    vine__probe_clear(folder);
    (void)rmdir(folder); /* unless there are answers */
}

enum vine__accelerator vine__engine_probe(const struct vine__engine_options *options,
                                          const struct vine__boot *boot, uint32_t number,
                                          char why[VINE__PROBE_TEXT_BYTES])
{
    const struct vine__machine_description description = {
        .qemu = options->qemu,
        .memory_bytes = MEMORY_BYTES,
        .cpu_count = 1,
        .kernel = boot->kernel,
        .initrd = boot->initrd,
    };
    char folder[VINE__ENGINE_PATH_BYTES];
    char content[CONTENT_BYTES];
    struct vine__probe_options probe = {
        .description = &description,
        .folder = folder,
        .timeout_ns = TIMEOUT_NS,
        .user_id = options->user_id,
        .group_id = options->group_id,
    };

    name_folder(options, number, folder);
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        (void)snprintf(why, VINE__PROBE_TEXT_BYTES, "it cannot be tried: %s",
                       vine_error_text(-errno));
        return VINE__ACCELERATOR_TCG;
    }
    if (!vine__engine_give(options, boot)) {
        (void)snprintf(why, VINE__PROBE_TEXT_BYTES, "its files cannot be given to QEMU's user");
        return VINE__ACCELERATOR_TCG;
    }
    if (name_content(boot, content) == 0)
        probe.content = content;
    return vine__probe_accelerator(&probe, why);
}
