/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/socket_name.c - see socket_name.h. */

#include "vmm/server/socket_name.h"

#include "vmm/engine/folder.h"

#include <vine/error.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_folder(const char *path, const char **ret_name, int *ret_fd,
                       char why[VINE__CLIENTS_WHY_BYTES])
{
    char at[VINE__FOLDER_PATH_BYTES];
    const int error = vine__folder_open_of(path, ret_name, ret_fd, at);

    if (error == -EPERM)
        (void)snprintf(why, VINE__CLIENTS_WHY_BYTES,
                       "%.160s can be changed by others than root and the server", at);
    else if (error != 0)
        (void)snprintf(why, VINE__CLIENTS_WHY_BYTES, "%.160s: %s", at, vine_error_text(error));
    return error;
}

int vine__socket_name_check(const char *path, char why[VINE__CLIENTS_WHY_BYTES])
{
    struct stat status;
    const char *name;
    int fd;
    int error = open_folder(path, &name, &fd, why);

    if (error != 0)
        return error;
    if (fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISSOCK(status.st_mode)) {
        (void)snprintf(why, VINE__CLIENTS_WHY_BYTES, "%.160s is there, and is no socket", path);
        error = -EEXIST;
    }
    (void)close(fd);
    return error;
}

/* By the held file alone: once it is the user's, in a sticky folder, he may put another there. */
static int give(int fd, const struct vine__client *client, struct vine__socket_name *name)
{
    const uid_t user = client->user != VINE__CLIENT_NOBODY ? client->user : (uid_t)-1;
    const gid_t group = client->group != VINE__CLIENT_NOBODY ? client->group : (gid_t)-1;
    struct stat status;
    char own[32];

    if (fstat(fd, &status) != 0)
        return -errno;
    if (!S_ISSOCK(status.st_mode) || status.st_uid != geteuid())
        return -EPERM;
    *name = (struct vine__socket_name){.device = status.st_dev, .inode = status.st_ino};
    (void)snprintf(own, sizeof(own), "/proc/self/fd/%d", fd);
    if ((user != (uid_t)-1 || group != (gid_t)-1) && chown(own, user, group) != 0)
        return -errno;
    return chmod(own, client->mode) != 0 ? -errno : 0;
}

int vine__socket_name_give(const struct vine__client *client, struct vine__socket_name *ret_name,
                           char why[VINE__CLIENTS_WHY_BYTES])
{
    const char *name;
    int folder, fd;
    int error = open_folder(client->path, &name, &folder, why);

    if (error != 0)
        return error;
    fd = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    error = fd < 0 ? -errno : give(fd, client, ret_name);
    if (fd >= 0)
        (void)close(fd);
    (void)close(folder);
    if (error != 0)
        (void)snprintf(why, VINE__CLIENTS_WHY_BYTES, "%s: %s", client->path,
                       vine_error_text(error));
    return error;
}

void vine__socket_name_remove(const char *path, const struct vine__socket_name *name)
{
    const char *file;
    struct stat status;
    int folder;

    if (name->inode == 0 || vine__folder_open_of(path, &file, &folder, NULL) != 0)
        return;
    if (fstatat(folder, file, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_dev == name->device &&
        status.st_ino == name->inode)
        (void)unlinkat(folder, file, 0);
    (void)close(folder);
}
