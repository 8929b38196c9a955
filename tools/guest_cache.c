/* SPDX-License-Identifier: Apache-2.0 */
#include "guest_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <vine/error.h>

#include "message.h"
#include "output.h"
#include "status.h"

static int wait_for_others(int fd)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        message_note("another build works in the cache: waiting for it");
    while (flock(fd, LOCK_EX) < 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

static int refuse(const char *folder, int error)
{
    message_error("cannot keep downloads in %s: %s", message_escape(folder),
                  vine_error_text(error));
    return STATUS_FAILED;
}

int guest_cache_name(char ret_folder[GUEST_CACHE_FOLDER_BYTES])
{
    const char *const cache = getenv("XDG_CACHE_HOME"), *const home = getenv("HOME");
    const bool has_cache = cache != NULL && cache[0] == '/';

    if (!has_cache && (home == NULL || home[0] != '/'))
        return -ENOENT;
    return snprintf(ret_folder, GUEST_CACHE_FOLDER_BYTES, "%s%s/vine/guest",
                    has_cache ? cache : home, has_cache ? "" : "/.cache") < GUEST_CACHE_FOLDER_BYTES
               ? 0
               : -ENAMETOOLONG;
}

int guest_cache_find(char ret_folder[GUEST_CACHE_FOLDER_BYTES])
{
    int error = guest_cache_name(ret_folder);

    if (error == -ENOENT) {
        message_error("neither XDG_CACHE_HOME nor HOME says where downloads are kept");
        return STATUS_FAILED;
    }
    if (error == 0)
        error = output_make_folder(ret_folder);
    return error == 0 ? STATUS_DONE : refuse(ret_folder, error);
}

int guest_cache_open(struct guest_cache *ret_cache)
{
    const int status = guest_cache_find(ret_cache->folder);
    int error;

    if (status != STATUS_DONE)
        return status;
    ret_cache->fd = open(ret_cache->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    error = ret_cache->fd < 0 ? -errno : wait_for_others(ret_cache->fd);
    return error == 0 ? STATUS_DONE : refuse(ret_cache->folder, error);
}

void guest_cache_close(struct guest_cache *cache)
{
    close(cache->fd);
}
