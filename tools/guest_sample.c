/* SPDX-License-Identifier: Apache-2.0 */
#include "guest_sample.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* Returns how many bytes came of it; of what cannot be read, none do. */
static size_t take_file(const char *path, unsigned char *bytes, size_t size)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    size_t taken = 0;
    ssize_t got = 1;

    while (fd >= 0 && got > 0 && taken < size) {
        got = read(fd, bytes + taken, size - taken);
        taken += got > 0 ? (size_t)got : 0;
    }
    if (fd >= 0)
        (void)close(fd);
    return taken;
}

static int by_name(const FTSENT **one, const FTSENT **other)
{
    return strcmp((*one)->fts_name, (*other)->fts_name);
}

static int take_tree(const char *path, unsigned char *bytes, size_t size, size_t *ret_taken)
{
    char *const paths[] = {(char *)(uintptr_t)path, NULL};
    FTS *const tree = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
    FTSENT *entry;

    if (tree == NULL)
        return -errno;
    while (*ret_taken < size && (entry = fts_read(tree)) != NULL)
        if (entry->fts_info == FTS_F)
            *ret_taken += take_file(entry->fts_accpath, bytes + *ret_taken, size - *ret_taken);
    (void)fts_close(tree);
    return 0;
}

int guest_sample_fill(const char *path, unsigned char *bytes, size_t size)
{
    size_t taken = 0;
    int error;

    if (path == NULL) {
        for (size_t i = 0; i < size; i++)
            bytes[i] = (unsigned char)(i * 31 + i / 256);
        return 0;
    }
    error = take_tree(path, bytes, size, &taken);
    if (error != 0)
        return error;
    for (size_t i = taken; taken > 0 && i < size; i++)
        bytes[i] = bytes[i - taken];
    return taken > 0 ? 0 : -ENODATA;
}
