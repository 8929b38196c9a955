/* SPDX-License-Identifier: Apache-2.0 */
#include "guest_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/engine/description.h"

#include "message.h"
#include "status.h"

#define PREFIX    "vine-guest-"
#define TEMPLATE  "/" PREFIX "XXXXXX"
#define DEPTH_MAX 2
#define TRIES_MAX 16

/* A socket's path has 107 bytes, and the longest name in the folder is that of a link's. */
#define PARENT_MAX                                                                                 \
    (107 - (sizeof(TEMPLATE) - 1) - (sizeof("/link-") - 1) - (VINE_STATUS_NAME_BYTES - 1))

_Static_assert(PARENT_MAX + sizeof(TEMPLATE) <= GUEST_FOLDER_BYTES, "it fits");

/* All below an open folder; whoever may write there cannot lead us elsewhere. */
static void empty(int fd, int depth)
{
    DIR *const folder = fdopendir(fd);
    const struct dirent *entry;

    if (folder == NULL) {
        (void)close(fd);
        return;
    }
    while ((entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            unlinkat(fd, entry->d_name, 0) == 0 || depth == DEPTH_MAX)
            continue;

        const int below =
            openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (below >= 0)
            empty(below, depth + 1);
        (void)unlinkat(fd, entry->d_name, AT_REMOVEDIR);
    }
    (void)closedir(folder);
}

/* A folder of ours that nobody has locked was left behind. It stays locked until it is gone. */
static void sweep_one(int parent_fd, const char *name)
{
    const int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;

    if (fd < 0)
        return;
    if (fstat(fd, &status) == 0 && status.st_uid == geteuid() &&
        flock(fd, LOCK_EX | LOCK_NB) == 0) {
        const int below = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (below >= 0)
            empty(below, 1);
        (void)unlinkat(parent_fd, name, AT_REMOVEDIR);
    }
    (void)close(fd);
}

static void sweep(const char *parent)
{
    DIR *const folder = opendir(parent);
    const struct dirent *entry;

    while (folder != NULL && (entry = readdir(folder)) != NULL)
        if (strncmp(entry->d_name, PREFIX, sizeof(PREFIX) - 1) == 0)
            sweep_one(dirfd(folder), entry->d_name);
    if (folder != NULL)
        (void)closedir(folder);
}

/* Whether it is ours: somebody who sweeps may have been here before the lock. */
static bool lock(const char *path, int *ret_fd)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat here, there;

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &here) == 0 &&
        stat(path, &there) == 0 && here.st_ino == there.st_ino && here.st_dev == there.st_dev) {
        *ret_fd = fd;
        return true;
    }
    if (fd >= 0)
        (void)close(fd);
    return false;
}

int guest_folder_make(char ret_path[GUEST_FOLDER_BYTES], int *ret_fd)
{
    const char *parent = getenv("TMPDIR");

    if (parent == NULL || parent[0] == '\0')
        parent = "/tmp";
    if (strlen(parent) > PARENT_MAX) {
        message_warning(
            "TMPDIR has more than %d bytes, too many for sockets below it: /tmp is used",
            (int)PARENT_MAX);
        parent = "/tmp";
    }
    sweep(parent);
    for (int i = 0; i < TRIES_MAX; i++) {
        (void)snprintf(ret_path, GUEST_FOLDER_BYTES, "%s" TEMPLATE, parent);
        if (mkdtemp(ret_path) == NULL)
            break;
        if (lock(ret_path, ret_fd))
            return STATUS_DONE;
    }
    message_error("cannot make a folder in %s: %m", message_escape(parent));
    ret_path[0] = '\0';
    return STATUS_FAILED;
}
