/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/bytes_internal.h"
#include "vmm/pool/pool_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOPS_MAX 8

static int fail(struct vine__problem *problem, int error, const char *path)
{
    return vine__problem_set(problem, error, "%s: %s", path, strerror(-error));
}

static bool is_ours(uid_t owner)
{
    return owner == 0 || owner == geteuid();
}

/* Whether nobody but us and root can have made this link, nor put another one into its place: what
 * it leads to is written to, and by root perhaps. */
static bool is_trusted(const char *path, const struct stat *link)
{
    char *const folder = vine__folder_of(path);
    struct stat status;
    const bool is_there = folder != NULL && stat(folder, &status) == 0;

    free(folder);
    return is_there && is_ours(link->st_uid) && is_ours(status.st_uid) &&
           ((status.st_mode & (S_IWGRP | S_IWOTH)) == 0 || (status.st_mode & S_ISVTX) != 0);
}

/* Where a link leads, for free(). NULL: an error, in errno. */
static char *read_link(const char *path)
{
    char target[PATH_MAX], *const folder = vine__folder_of(path), *whole = NULL;
    const ssize_t size = readlink(path, target, sizeof(target));

    if (size == (ssize_t)sizeof(target))
        errno = ENAMETOOLONG;
    else if (size >= 0 && folder != NULL &&
             asprintf(&whole, "%s%.*s", target[0] == '/' ? "" : folder, (int)size, target) < 0)
        whole = NULL;
    free(folder);
    return whole;
}

int vine__pool_resolve(const char *path, char **ret_path, struct vine__problem *problem)
{
    char *at = strdup(path);
    int error = at == NULL ? fail(problem, -ENOMEM, path) : 0;
    struct stat status;

    for (int hops = 0; error == 0 && lstat(at, &status) == 0 && S_ISLNK(status.st_mode); hops++) {
        char *next = NULL;

        if (hops == HOPS_MAX)
            error = fail(problem, -ELOOP, path);
        else if (!is_trusted(at, &status))
            error = vine__problem_set(problem, -EPERM,
                                      "%s: is a symbolic link that somebody else can have made, or "
                                      "may replace, and is not followed",
                                      at);
        else if ((next = read_link(at)) == NULL)
            error = fail(problem, -errno, at);
        else if (!vine__path_is_plain(next))
            error =
                vine__problem_set(problem, -EINVAL, "%s: leads to %s: " VINE__PATH_RULE, at, next);
        if (error == 0) {
            free(at);
            at = next;
        } else {
            free(next);
        }
    }
    if (error != 0)
        free(at);
    else
        *ret_path = at;
    return error;
}
