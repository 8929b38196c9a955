/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/engine/console.h"

#include "vmm/engine/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TERMINALS "/dev/pts/"

/* ---- terminals ------------------------------------------------------------------------------- */

/* The number of a terminal's path, or -1. */
static long number_of(const char *path)
{
    const size_t length = strlen(TERMINALS);
    char *end;

    if (strncmp(path, TERMINALS, length) != 0 || path[length] < '0' || path[length] > '9')
        return -1;
    if (strlen(path + length) > 9)
        return -1;
    const long number = strtol(path + length, &end, 10);

    return *end == '\0' ? number : -1;
}

/* Whether this descriptor of the process is the master of that terminal: the kernel says so. */
static bool is_master(int folder_fd, const char *name, long number)
{
    char line[64];
    long index;
    bool is_it = false;
    const int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC);
    FILE *const file = fd >= 0 ? fdopen(fd, "r") : NULL;

    if (file == NULL && fd >= 0)
        (void)close(fd);
    while (file != NULL && !is_it && fgets(line, sizeof(line), file) != NULL)
        is_it = sscanf(line, "tty-index: %ld", &index) == 1 && index == number;
    if (file != NULL)
        (void)fclose(file);
    return is_it;
}

static int check_master(pid_t pid, long number)
{
    char path[48];
    const struct dirent *entry;
    bool is_its = false;

    (void)snprintf(path, sizeof(path), "/proc/%ld/fdinfo", (long)pid);
    DIR *const folder = opendir(path);

    if (folder == NULL)
        return -errno;
    while (!is_its && (entry = readdir(folder)) != NULL)
        is_its = entry->d_name[0] != '.' && is_master(dirfd(folder), entry->d_name, number);
    (void)closedir(folder);
    return is_its ? 0 : -EPERM;
}

static int give(const char *path, const struct vine__console_owner *owner)
{
    const mode_t mode = owner->mode != 0 ? owner->mode & 0666 : 0600;

    if (geteuid() == 0 && chown(path, owner->user_id, owner->group_id) != 0)
        return -errno;
    return chmod(path, mode) != 0 ? -errno : 0;
}

int vine__console_terminal(pid_t pid, const char *filename, const struct vine__console_owner *owner,
                           char ret_path[VINE__CONSOLE_TERMINAL_BYTES])
{
    char path[VINE__CONSOLE_TERMINAL_BYTES];
    char own[32];
    int error;

    if (strncmp(filename, "pty:", 4) != 0 || number_of(filename + 4) < 0)
        return -EINVAL;
    const long number = number_of(filename + 4);

    (void)snprintf(path, sizeof(path), TERMINALS "%ld", number);
    /* Held before it is looked at whose it is: its number cannot become another's by then. */
    const int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    error = check_master(pid, number);
    (void)snprintf(own, sizeof(own), "/proc/self/fd/%d", fd);
    if (error == 0)
        error = give(own, owner);
    (void)close(fd);
    if (error == 0)
        memcpy(ret_path, path, sizeof(path));
    return error;
}

/* ---- the link -------------------------------------------------------------------------------- */

/* Open the folder of a link, and find its name in it. */
static int open_folder(const char *link, const char **ret_name, int *ret_fd)
{
    const char *const slash = strrchr(link, '/');
    const char *const name = slash != NULL ? slash + 1 : link;
    char *folder;

    if (name[0] == '\0')
        return -EINVAL;
    if (slash == NULL)
        folder = strdup(".");
    else
        folder = slash == link ? strdup("/") : strndup(link, (size_t)(slash - link));
    if (folder == NULL)
        return -ENOMEM;
    const int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const int error = fd < 0 ? -errno : 0;

    free(folder);
    if (error != 0)
        return error;
    *ret_name = name;
    *ret_fd = fd;
    return 0;
}

/* Whether it is a link of ours to a terminal, which one if `terminal` is not NULL. */
static bool is_ours(int folder_fd, const char *name, const char *terminal)
{
    char target[VINE__CONSOLE_TERMINAL_BYTES];
    struct stat status;

    if (fstatat(folder_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISLNK(status.st_mode) ||
        status.st_uid != geteuid())
        return false;
    const ssize_t size = readlinkat(folder_fd, name, target, sizeof(target));

    if (size < 0 || size == sizeof(target))
        return false;
    target[size] = '\0';
    return terminal != NULL ? strcmp(target, terminal) == 0 : number_of(target) >= 0;
}

int vine__console_link_make(const char *link, const char *terminal)
{
    const char *name;
    int fd;
    int error = open_folder(link, &name, &fd);

    if (error != 0)
        return error;
    error = vine__folder_check(fd);
    if (error == 0 && is_ours(fd, name, NULL) && unlinkat(fd, name, 0) != 0)
        error = -errno;
    if (error == 0 && symlinkat(terminal, fd, name) != 0)
        error = -errno;
    (void)close(fd);
    return error;
}

void vine__console_link_remove(const char *link, const char *terminal)
{
    const char *name;
    int fd;

    if (open_folder(link, &name, &fd) != 0)
        return;
    if (vine__folder_check(fd) == 0 && is_ours(fd, name, terminal))
        (void)unlinkat(fd, name, 0);
    (void)close(fd);
}
