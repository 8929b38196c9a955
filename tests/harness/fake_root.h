/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_root.h - a folder with a `proc` and a `sys` of a test's own.
 */
#ifndef VINE_TESTS_FAKE_ROOT_H
#define VINE_TESTS_FAKE_ROOT_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char fake_root[] = "/tmp/vine-root-XXXXXX";

static inline int fake_root_make(void **state)
{
    (void)state;
    memcpy(fake_root + sizeof(fake_root) - 7, "XXXXXX", 6);
    return mkdtemp(fake_root) == NULL ? -1 : 0;
}

static inline int fake_root_remove_one(const char *path, const struct stat *status, int type,
                                       struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

static inline int fake_root_remove(void **state)
{
    (void)state;
    return nftw(fake_root, fake_root_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A file at "/proc/meminfo" and the like, with the folders above it. */
static inline void fake_root_write(const char *path, const char *text)
{
    char whole[1024];
    FILE *file;

    snprintf(whole, sizeof(whole), "%s%s", fake_root, path);
    for (char *slash = whole + sizeof(fake_root); (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        (void)mkdir(whole, 0700);
        *slash = '/';
    }
    file = fopen(whole, "w");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) {
        fprintf(stderr, "cannot write %s\n", whole);
        abort();
    }
}

#endif
