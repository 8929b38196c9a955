/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/store_internal.h"

#include "vmm/pool/bytes_internal.h"
#include "vmm/pool/journal_layout.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

/* What a change of a pool needs is some hundred units; a file that claims more than this is not
 * read into memory. */
#define UNITS_MAX (UINT64_C(1) << 22)

static void put_sum(XXH128_hash_t sum, unsigned char ret_sum[VINE_JOURNAL_SUM_BYTES])
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, sum);
    memcpy(ret_sum, canonical.digest, VINE_JOURNAL_SUM_BYTES);
}

int vine__journal_superblock_sum(int fd, unsigned char ret_sum[VINE_JOURNAL_SUM_BYTES])
{
    unsigned char unit[VINE_JOURNAL_UNIT_BYTES];
    const int error =
        vine__read_at(fd, unit, sizeof(unit), VINE_JOURNAL_SUPERBLOCK * (uint64_t)sizeof(unit));

    if (error == 0)
        put_sum(XXH3_128bits(unit, sizeof(unit)), ret_sum);
    return error;
}

/* All of it in memory. */
static unsigned char *compose(const struct vine__store *store, size_t size)
{
    const struct vine__overlay *const overlay = &store->overlay;
    unsigned char *const bytes = calloc(1, size);
    struct vine_journal_header header = {
        .magic = VINE_JOURNAL_MAGIC,
        .version = htole32(VINE_JOURNAL_VERSION),
        .unit_bytes = htole32(VINE_JOURNAL_UNIT_BYTES),
        .unit_count = htole64(overlay->count),
        .image_bytes = htole64(store->size_bytes),
    };

    if (bytes == NULL || vine__journal_superblock_sum(store->fd, header.superblock_before) != 0) {
        free(bytes);
        return NULL;
    }
    unsigned char *at = bytes + sizeof(header);
    for (size_t i = 0; i < overlay->count; i++, at += sizeof(uint64_t))
        memcpy(at, &(uint64_t){htole64(overlay->units[i]->index)}, sizeof(uint64_t));
    memcpy(header.superblock_after, header.superblock_before, sizeof(header.superblock_after));
    for (size_t i = 0; i < overlay->count; i++, at += VINE_JOURNAL_UNIT_BYTES) {
        memcpy(at, overlay->units[i]->bytes, VINE_JOURNAL_UNIT_BYTES);
        if (overlay->units[i]->index == VINE_JOURNAL_SUPERBLOCK)
            put_sum(XXH3_128bits(at, VINE_JOURNAL_UNIT_BYTES), header.superblock_after);
    }
    memcpy(bytes, &header, sizeof(header));
    put_sum(XXH3_128bits(bytes, size), header.sum);
    memcpy(bytes, &header, sizeof(header));
    return bytes;
}

/* Whoever may read the image may read what belongs over it. Not everybody may give a file away. */
static int share(const struct vine__store *store, int fd)
{
    struct stat status;

    if (fstat(store->fd, &status) != 0)
        return -errno;
    (void)!fchown(fd, status.st_uid, status.st_gid);
    return fchmod(fd, status.st_mode & 0666) != 0 ? -errno : 0;
}

int vine__journal_write(struct vine__store *store)
{
    const size_t size = sizeof(struct vine_journal_header) +
                        store->overlay.count * (sizeof(uint64_t) + VINE_JOURNAL_UNIT_BYTES);
    unsigned char *const bytes = compose(store, size);
    int error = -ENOMEM;

    if (bytes == NULL)
        return error;
    /* One that was cut counts for nothing, so that it may grow under its own name. There is none by
     * now that counts, and what has the name instead is neither followed nor written to. */
    const int fd = unlink(store->journal) == 0 || errno == ENOENT
                       ? open(store->journal, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)
                       : -1;

    error = fd < 0 ? -errno : vine__write_at(fd, bytes, size, 0);
    if (error == 0)
        error = share(store, fd);
    if (error == 0 && fsync(fd) != 0)
        error = -errno;
    if (fd >= 0)
        (void)close(fd);
    if (error == 0)
        error = vine__settle_folder_of(store->journal);
    if (error != 0 && fd >= 0)
        (void)unlink(store->journal);
    free(bytes);
    return error;
}

/* Whether all of it was written. */
static bool is_whole(unsigned char *bytes, size_t size)
{
    struct vine_journal_header header;
    unsigned char sum[VINE_JOURNAL_SUM_BYTES];

    if (size < sizeof(header))
        return false;
    memcpy(&header, bytes, sizeof(header));
    memset(bytes + offsetof(struct vine_journal_header, sum), 0, sizeof(header.sum));
    put_sum(XXH3_128bits(bytes, size), sum);
    return memcmp(sum, header.sum, sizeof(sum)) == 0;
}

/* Whether it is one that we understand, for an image of this size. */
static bool is_ours(const unsigned char *bytes, size_t size, const struct vine__store *store)
{
    struct vine_journal_header header;

    memcpy(&header, bytes, sizeof(header));
    const uint64_t count = le64toh(header.unit_count);
    if (memcmp(header.magic, VINE_JOURNAL_MAGIC, sizeof(header.magic)) != 0 ||
        le32toh(header.version) != VINE_JOURNAL_VERSION ||
        le32toh(header.unit_bytes) != VINE_JOURNAL_UNIT_BYTES || count > UNITS_MAX ||
        le64toh(header.image_bytes) != store->size_bytes ||
        size != sizeof(header) + count * (sizeof(uint64_t) + VINE_JOURNAL_UNIT_BYTES))
        return false;
    for (uint64_t i = 0, last = 0; i < count; i++) {
        uint64_t index;

        memcpy(&index, bytes + sizeof(header) + i * sizeof(index), sizeof(index));
        index = le64toh(index);
        if (index >= store->size_bytes / VINE_JOURNAL_UNIT_BYTES || (i > 0 && index <= last))
            return false;
        last = index;
    }
    return true;
}

static int take(struct vine__store *store, const unsigned char *bytes, size_t size)
{
    struct vine_journal_header header;
    unsigned char sum[VINE_JOURNAL_SUM_BYTES];
    int error =
        is_ours(bytes, size, store) ? vine__journal_superblock_sum(store->fd, sum) : -ESTALE;

    memcpy(&header, bytes, sizeof(header));
    if (error == 0 && memcmp(sum, header.superblock_before, sizeof(sum)) != 0 &&
        memcmp(sum, header.superblock_after, sizeof(sum)) != 0)
        error = -ESTALE;
    const uint64_t count = le64toh(header.unit_count);
    const unsigned char *const indices = bytes + sizeof(header);
    const unsigned char *const units = indices + count * sizeof(uint64_t);
    for (uint64_t i = 0; error == 0 && i < count; i++) {
        uint64_t index;

        memcpy(&index, indices + i * sizeof(index), sizeof(index));
        error =
            vine__overlay_put(&store->overlay, le64toh(index), units + i * VINE_JOURNAL_UNIT_BYTES);
    }
    return error;
}

int vine__journal_read(struct vine__store *store, bool *ret_is_there, struct vine__problem *problem)
{
    const uint64_t most = sizeof(struct vine_journal_header) +
                          UNITS_MAX * (sizeof(uint64_t) + VINE_JOURNAL_UNIT_BYTES);
    struct vine__problem why = {.text = ""};
    void *bytes = NULL;
    size_t size = 0;
    int error = vine__read_file(store->journal, most, &bytes, &size, &why);

    *ret_is_there = error == 0;
    if (error != 0)
        return error == -ENOENT ? 0 : vine__problem_set(problem, error, "%s", why.text);
    if (is_whole(bytes, size))
        error = take(store, bytes, size);
    free(bytes);
    if (error == -ESTALE)
        return vine__problem_set(problem, error,
                                 "%s: does not fit to %s as it is now, which was replaced, or "
                                 "written by another program; remove one of the two",
                                 store->journal, store->path);
    return error != 0
               ? vine__problem_set(problem, error, "%s: %s", store->journal, strerror(-error))
               : 0;
}

bool vine__journal_is_there(const char *image)
{
    char *path = NULL;
    const bool is_there =
        asprintf(&path, "%s" VINE_JOURNAL_SUFFIX, image) >= 0 && access(path, F_OK) == 0;

    free(path);
    return is_there;
}

void vine__journal_forget(const char *image)
{
    char *path = NULL;

    if (asprintf(&path, "%s" VINE_JOURNAL_SUFFIX, image) >= 0) {
        (void)unlink(path);
        free(path);
    }
}

int vine__journal_remove(struct vine__store *store)
{
    if (unlink(store->journal) != 0)
        return errno == ENOENT ? 0 : -errno;
    return vine__settle_folder_of(store->journal);
}
