/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/image/cpio.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HEADER_BYTES 110
#define BLOCK_BYTES  512
#define TRAILER      "TRAILER!!!"

struct writer {
    unsigned char *bytes; /* NULL: only count */
    size_t size;
    uint32_t inode;
};

static void write_bytes(struct writer *writer, const void *bytes, size_t size, size_t alignment)
{
    const size_t padding = (alignment - (writer->size + size) % alignment) % alignment;

    if (writer->bytes != NULL) {
        if (size > 0)
            memcpy(writer->bytes + writer->size, bytes, size);
        memset(writer->bytes + writer->size + size, 0, padding);
    }
    writer->size += size + padding;
}

static void write_entry(struct writer *writer, const char *path, size_t path_length, mode_t mode,
                        const void *bytes, size_t size)
{
    char header[HEADER_BYTES + 1 + CPIO_PATH_MAX];
    const uint32_t inode = mode == 0 ? 0 : ++writer->inode;

    /* magic, inode, mode, uid, gid, links, mtime, size, device and node (major, minor), the name's
     * length with its zero, and a sum that this format leaves empty. */
    const int length = snprintf(header, sizeof(header),
                                "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%.*s",
                                inode, mode, 0, 0, S_ISDIR(mode) ? 2 : 1, 0, (uint32_t)size, 0, 0,
                                0, 0, (uint32_t)path_length + 1, 0, (int)path_length, path);
    write_bytes(writer, header, (size_t)length + 1, 4);
    write_bytes(writer, bytes, size, 4);
}

static bool is_path(const char *path)
{
    const size_t length = strlen(path);

    if (length == 0 || length >= CPIO_PATH_MAX)
        return false;
    for (const char *part = path;; part++) {
        const size_t size = strcspn(part, "/");
        if (size == 0 || (size == 1 && part[0] == '.') ||
            (size == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        part += size;
        if (*part == '\0')
            return true;
    }
}

static int check(const struct cpio_entry *entry)
{
    const bool has_bytes = S_ISREG(entry->mode) || S_ISLNK(entry->mode);

    if (!is_path(entry->path) || (!has_bytes && !S_ISDIR(entry->mode)) ||
        (entry->size > 0 && !has_bytes) || entry->size > UINT32_MAX)
        return -EINVAL;
    return 0;
}

/* By path, where a slash comes before all else: what is below a directory follows it at once. */
static int compare(const void *one, const void *other)
{
    const unsigned char *a = (const unsigned char *)((const struct cpio_entry *)one)->path;
    const unsigned char *b = (const unsigned char *)((const struct cpio_entry *)other)->path;

    while (*a != '\0' && *a == *b)
        a++, b++;
    const int left = *a == '/' ? 1 : *a == '\0' ? 0 : *a + 1;
    const int right = *b == '/' ? 1 : *b == '\0' ? 0 : *b + 1;
    return left - right;
}

/* Write the directories of `path` that are not those of `previous`. Returns -ENOTDIR if that is one
 * of them and no directory. */
static int write_parents(struct writer *writer, const char *path, const struct cpio_entry *previous)
{
    for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        const size_t length = (size_t)(slash - path);
        const char *before = previous != NULL ? previous->path : "";

        if (strncmp(before, path, length) == 0 && before[length] == '/')
            continue;
        if (previous != NULL && strncmp(before, path, length) == 0 && before[length] == '\0') {
            if (!S_ISDIR(previous->mode))
                return -ENOTDIR;
            continue;
        }
        write_entry(writer, path, length, S_IFDIR | 0755, NULL, 0);
    }
    return 0;
}

static int write_all(struct writer *writer, const struct cpio_entry *entries, size_t count,
                     const struct cpio_entry **ret_wrong)
{
    for (size_t i = 0; i < count; i++) {
        const struct cpio_entry *const previous = i > 0 ? &entries[i - 1] : NULL;
        int error = write_parents(writer, entries[i].path, previous);

        if (previous != NULL && strcmp(previous->path, entries[i].path) == 0)
            error = -EEXIST;
        if (error < 0) {
            *ret_wrong = &entries[i];
            return error;
        }
        write_entry(writer, entries[i].path, strlen(entries[i].path), entries[i].mode,
                    entries[i].bytes, entries[i].size);
    }
    write_entry(writer, TRAILER, sizeof(TRAILER) - 1, 0, NULL, 0);
    write_bytes(writer, NULL, 0, BLOCK_BYTES);
    return 0;
}

int cpio_make(struct cpio_entry *entries, size_t count, void **ret_bytes, size_t *ret_size,
              const struct cpio_entry **ret_wrong)
{
    struct writer counting = {0}, writer = {0};

    for (size_t i = 0; i < count; i++) {
        const int error = check(&entries[i]);
        if (error < 0) {
            *ret_wrong = &entries[i];
            return error;
        }
    }
    if (count > 0)
        qsort(entries, count, sizeof(entries[0]), compare);
    const int error = write_all(&counting, entries, count, ret_wrong);
    if (error < 0)
        return error;
    writer.bytes = malloc(counting.size);
    if (writer.bytes == NULL)
        return -ENOMEM;
    (void)write_all(&writer, entries, count, ret_wrong);
    *ret_bytes = writer.bytes;
    *ret_size = writer.size;
    return 0;
}
