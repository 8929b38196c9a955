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

int guest_cache_open(struct guest_cache *ret_cache)
{
    const char *const cache = getenv("XDG_CACHE_HOME"), *const home = getenv("HOME");
    const bool has_cache = cache != NULL && cache[0] == '/';

    if (!has_cache && (home == NULL || home[0] != '/')) {
        message_error("neither XDG_CACHE_HOME nor HOME says where downloads are kept");
        return STATUS_FAILED;
    }
    const int length = snprintf(ret_cache->folder, sizeof(ret_cache->folder), "%s%s/vine/guest",
                                has_cache ? cache : home, has_cache ? "" : "/.cache");
    int error = (size_t)length >= sizeof(ret_cache->folder) ? -ENAMETOOLONG
                                                            : output_make_folder(ret_cache->folder);
    if (error == 0) {
        ret_cache->fd = open(ret_cache->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        error = ret_cache->fd < 0 ? -errno : wait_for_others(ret_cache->fd);
    }
    if (error == 0)
        return STATUS_DONE;
    message_error("cannot keep downloads in %s: %s", message_escape(ret_cache->folder),
                  vine_error_text(error));
    return STATUS_FAILED;
}

void guest_cache_close(struct guest_cache *cache)
{
    close(cache->fd);
}
