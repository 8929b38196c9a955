/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scratch.h - a directory of a test's own, which is the current one while the test runs.
 */
#ifndef VINE_TESTS_SCRATCH_H
#define VINE_TESTS_SCRATCH_H

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch_path[64];

static inline int scratch_enter(void **state)
{
    (void)state;
    snprintf(scratch_path, sizeof(scratch_path), "/tmp/vine-test-XXXXXX");
    return mkdtemp(scratch_path) != NULL && chdir(scratch_path) == 0 ? 0 : -1;
}

static inline int scratch_remove(const char *path, const struct stat *status, int kind,
                                 struct FTW *where)
{
    (void)status, (void)kind, (void)where;
    return remove(path);
}

static inline int scratch_leave(void **state)
{
    (void)state;
    if (chdir("/") != 0)
        return -1;
    return nftw(scratch_path, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void scratch_write(const char *path, const void *bytes, size_t size)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
}

static inline void scratch_text(const char *path, const char *text)
{
    scratch_write(path, text, strlen(text));
}

/* The whole file as a string; for the caller to free. */
static inline char *scratch_read(const char *path)
{
    const int fd = open(path, O_RDONLY);
    struct stat status;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    char *text = malloc((size_t)status.st_size + 1);
    assert_non_null(text);
    assert_int_equal(read(fd, text, (size_t)status.st_size), status.st_size);
    text[status.st_size] = '\0';
    close(fd);
    return text;
}

#endif
