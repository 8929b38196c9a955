/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/engine/folder.c - see folder.h. */

#include "vmm/engine/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_ours(const struct stat *status)
{
    return status->st_uid == 0 || status->st_uid == geteuid();
}

int vine__folder_check(int fd)
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return -errno;
    if ((status.st_mode & S_ISVTX) == 0 && (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return -EPERM;
    return is_ours(&status) ? 0 : -EPERM;
}

/* Where we are on the way, and what is left of it. */
struct way {
    int fd;
    uint32_t link_count;
    char rest[VINE__FOLDER_PATH_BYTES];
    char at[VINE__FOLDER_PATH_BYTES]; /* where we have been, for people */
};

static int go_to(struct way *way, int fd)
{
    if (way->fd >= 0)
        (void)close(way->fd);
    way->fd = fd;
    return vine__folder_check(fd);
}

static int go_to_root(struct way *way)
{
    const int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    (void)snprintf(way->at, sizeof(way->at), "/");
    return fd < 0 ? -errno : go_to(way, fd);
}

/* A link takes the place of its name in the rest of the way. */
static int follow(struct way *way, int link, const char *behind)
{
    char target[VINE__FOLDER_PATH_BYTES];
    const ssize_t size = readlinkat(link, "", target, sizeof(target));
    const size_t behind_bytes = strlen(behind);

    if (size < 0)
        return -errno;
    if (++way->link_count > VINE__FOLDER_LINKS_MAX)
        return -ELOOP;
    if ((size_t)size + 1 + behind_bytes >= sizeof(way->rest))
        return -ENAMETOOLONG;
    memmove(way->rest + size + 1, behind, behind_bytes + 1);
    memcpy(way->rest, target, (size_t)size);
    way->rest[size] = '/';
    if (target[0] == '/')
        return go_to_root(way);
    *strrchr(way->at, '/') = '\0';
    return 0;
}

static void note(struct way *way, const char *name)
{
    size_t at = strlen(way->at);

    if (at + 1 + strlen(name) >= sizeof(way->at))
        return;
    if (at == 0 || way->at[at - 1] != '/')
        way->at[at++] = '/';
    memcpy(way->at + at, name, strlen(name) + 1);
}

static int step(struct way *way, const char *name, const char *behind)
{
    const int fd = openat(way->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;
    int error = 0;

    note(way, name);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &status) != 0) {
        error = -errno;
    } else if (S_ISDIR(status.st_mode)) {
        memmove(way->rest, behind, strlen(behind) + 1);
        return go_to(way, fd);
    } else if (!S_ISLNK(status.st_mode)) {
        error = -ENOTDIR;
    } else {
        error = is_ours(&status) ? follow(way, fd, behind) : -EPERM;
    }
    (void)close(fd);
    return error;
}

static int walk(struct way *way)
{
    int error = go_to_root(way);

    while (error == 0) {
        const char *const from = way->rest + strspn(way->rest, "/");
        const size_t size = strcspn(from, "/");
        char name[VINE__FOLDER_PATH_BYTES];

        if (size == 0)
            break;
        memcpy(name, from, size);
        name[size] = '\0';
        error = step(way, name, from + size);
    }
    return error;
}

int vine__folder_open_of(const char *path, const char **ret_name, int *ret_fd,
                         char ret_at[VINE__FOLDER_PATH_BYTES])
{
    const char *const slash = strrchr(path, '/');
    struct way way = {.fd = -1};
    int error;

    if (ret_at != NULL)
        (void)snprintf(ret_at, VINE__FOLDER_PATH_BYTES, "%s", path);
    if (path[0] != '/' || slash[1] == '\0')
        return -EINVAL;
    if ((size_t)(slash - path) >= sizeof(way.rest))
        return -ENAMETOOLONG;
    memcpy(way.rest, path, (size_t)(slash - path));
    error = walk(&way);
    if (error == 0) {
        *ret_name = slash + 1;
        *ret_fd = way.fd;
        return 0;
    }
    if (ret_at != NULL)
        memcpy(ret_at, way.at, sizeof(way.at));
    if (way.fd >= 0)
        (void)close(way.fd);
    return error;
}
