/* SPDX-License-Identifier: Apache-2.0 */
#include "folders.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vine/error.h>

#include "../tools/message.h"
#include "../tools/status.h"

#include "arch/peer/lockfile.h"

#define SOCKET_NAME_BYTES 46 /* the longest one in the runtime folder: "/wires/UID.serial" */
#define SOCKET_PATH_BYTES 108

/* Root's QEMU is another user's, and clients may be: they pass through, and list nothing. */
static mode_t mode_of_ours(void)
{
    return geteuid() == 0 ? 0711 : 0700;
}

/* All that are missing on the way, and the folder itself. */
static int make(const char *path)
{
    char part[VINE__PLACE_BYTES];
    const size_t length = strlen(path);

    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        (void)snprintf(part, sizeof(part), "%.*s", (int)i, path);
        if (mkdir(part, path[i] == '\0' ? mode_of_ours() : 0755) != 0 && errno != EEXIST)
            return -errno;
    }
    return 0;
}

/* One of ours, into which nobody else writes. */
static int open_folder(const char *path)
{
    struct stat status;
    const int error = make(path);

    if (error != 0) {
        message_error("%s: %s", message_escape(path), vine_error_text(error));
        return status_of_error(error);
    }
    if (lstat(path, &status) != 0 || !S_ISDIR(status.st_mode)) {
        message_error("%s: it is no folder", message_escape(path));
        return STATUS_FAILED;
    }
    if (status.st_uid != geteuid()) {
        message_error("%s: it is user %u's", message_escape(path), (unsigned)status.st_uid);
        return STATUS_DENIED;
    }
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        message_error("%s: others may write there", message_escape(path));
        return STATUS_DENIED;
    }
    return STATUS_DONE;
}

static int lock(const char *folder, char path[VINE__PLACE_BYTES], int *ret_fd)
{
    pid_t holder = 0;
    int error;

    if (snprintf(path, VINE__PLACE_BYTES, "%s/server.lock", folder) >= VINE__PLACE_BYTES) {
        message_error("%s: too long a path", message_escape(folder));
        return STATUS_USAGE;
    }
    error = vine__lockfile_acquire(path, ret_fd, &holder);
    if (error == 0)
        return STATUS_DONE;
    if (error == -EBUSY)
        message_error("%s: another server is there, process %d", message_escape(folder),
                      (int)holder);
    else
        message_error("%s: %s", message_escape(path), vine_error_text(error));
    return status_of_error(error);
}

int folders_open(const struct vine__places *places, struct folders *ret_folders)
{
    struct folders *const folders = ret_folders;
    int status;

    *folders = (struct folders){.lock_fds = {-1, -1}};
    if (strlen(places->runtime) + SOCKET_NAME_BYTES > SOCKET_PATH_BYTES) {
        message_error("%s: too long for paths of sockets below it",
                      message_escape(places->runtime));
        return STATUS_USAGE;
    }
    status = open_folder(places->state);
    if (status == STATUS_DONE)
        status = open_folder(places->runtime);
    if (status == STATUS_DONE)
        status = lock(places->state, folders->locks[0], &folders->lock_fds[0]);
    if (status == STATUS_DONE && strcmp(places->state, places->runtime) != 0)
        status = lock(places->runtime, folders->locks[1], &folders->lock_fds[1]);
    if (status == STATUS_DONE) {
        (void)snprintf(folders->logs, sizeof(folders->logs), "%.*s/machines",
                       VINE__PLACE_BYTES - 10, places->state);
        status = open_folder(folders->logs);
    }
    if (status == STATUS_DONE) {
        (void)snprintf(folders->logs, sizeof(folders->logs), "%.*s/logs", VINE__PLACE_BYTES - 10,
                       places->state);
        status = open_folder(folders->logs);
    }
    if (status != STATUS_DONE)
        folders_close(folders);
    return status;
}

void folders_close(struct folders *folders)
{
    for (int i = 0; i < 2; i++)
        if (folders->lock_fds[i] >= 0)
            vine__lockfile_release(folders->locks[i], folders->lock_fds[i]);
    folders->lock_fds[0] = folders->lock_fds[1] = -1;
}
