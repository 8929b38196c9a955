/* SPDX-License-Identifier: Apache-2.0 */
#include "keys_shut.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/landlock.h>

#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

/* Links lead to what has a name of its own. Returns 0 or a negated errno. */
static int allow(int rules, int folder, const char *name)
{
    struct landlock_path_beneath_attr beneath = {
        .parent_fd = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC),
    };
    struct stat status;
    int error = 0;

    if (beneath.parent_fd < 0)
        return errno == ENOENT || errno == EACCES ? 0 : -errno; /* gone, or not ours to reach */
    if (fstat(beneath.parent_fd, &status) != 0)
        error = -errno;
    else if (S_ISLNK(status.st_mode))
        error = 0;
    else {
        beneath.allowed_access = S_ISDIR(status.st_mode) ? READING : LANDLOCK_ACCESS_FS_READ_FILE;
        if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) != 0)
            error = -errno;
    }
    close(beneath.parent_fd);
    return error;
}

/* All that lies in the folder, but for what is on the way. Takes the descriptor. */
static int allow_all_but(int rules, int fd, const char *way)
{
    DIR *folder = fdopendir(fd);
    struct dirent *entry;
    int error = 0;

    if (folder == NULL) {
        error = -errno;
        close(fd);
        return error;
    }
    while (error == 0 && (entry = readdir(folder)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strcmp(entry->d_name, way) != 0)
            error = allow(rules, fd, entry->d_name);
    closedir(folder);
    return error;
}

/* `path` is absolute and has no links in it; it is cut up. */
static int allow_around(int rules, char *path)
{
    char *rest = path + 1;
    int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = fd < 0 ? -errno : 0;
    char *name;

    while (error == 0 && (name = strsep(&rest, "/")) != NULL) {
        const int next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        const int listed = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        /* What cannot be listed stays closed. */
        error = next < 0 ? -errno : listed >= 0 ? allow_all_but(rules, listed, name) : 0;
        close(fd);
        fd = next;
    }
    if (fd >= 0)
        close(fd);
    return error;
}

int keys_shut(const char *folder)
{
    const struct landlock_ruleset_attr reading = {.handled_access_fs = READING};
    char *path = realpath(folder, NULL);
    int rules = -1, error = path == NULL ? -errno : 0;

    if (error == 0 && strcmp(path, "/") == 0)
        error = -EINVAL;
    if (error == 0) {
        rules = (int)syscall(SYS_landlock_create_ruleset, &reading,
                             sizeof(reading.handled_access_fs), 0);
        if (rules < 0)
            error = errno == ENOSYS || errno == EOPNOTSUPP ? -EOPNOTSUPP : -errno;
    }
    if (error == 0)
        error = allow_around(rules, path);
    if (error == 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
                       syscall(SYS_landlock_restrict_self, rules, 0) != 0))
        error = -errno;
    if (rules >= 0)
        close(rules);
    free(path);
    return error;
}
