/* SPDX-License-Identifier: Apache-2.0 */
/* The layer that a file holds. See utils/config.h. */
#include "utils/config.h"

#include <vine/error.h>

#include "utils/config_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The list of files that were looked at, for messages about what is missing, with one more. */
static char *with_source(const struct vine__config *config, const char *path, const char *remark)
{
    char *joined;
    const bool is_first = config->sources == NULL;
    const int length = asprintf(&joined, "%s%s%s%s", is_first ? "" : config->sources,
                                is_first ? "" : ", ", path, remark);
    return length < 0 ? NULL : joined;
}

/* At most `capacity` bytes. Returns 0 or a negated errno. */
static int read_all(int fd, char *buffer, size_t capacity, size_t *ret_size)
{
    size_t size = 0;
    while (size < capacity) {
        const ssize_t got = read(fd, buffer + size, capacity - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        size += (size_t)got;
    }
    *ret_size = size;
    return 0;
}

static int add_bytes(struct vine__config *config, const char *path, const char *bytes, size_t size,
                     struct vine__config_reason *ret_reason)
{
    char *sources = with_source(config, path, "");
    if (sources == NULL)
        return vine__config_refuse(ret_reason, -ENOMEM, "%s: out of memory", path);
    const int error = vine__config_add_memory(config, path, bytes, size, ret_reason);
    if (error != 0) {
        free(sources);
        return error;
    }
    free(config->sources);
    config->sources = sources;
    return 0;
}

int vine__config_add_file(struct vine__config *config, const char *path,
                          struct vine__config_reason *ret_reason)
{
    /* Non-blocking: a fifo would have us wait for its writer, before we can see what it is. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        const int error = -errno;
        char *sources = error == -ENOENT ? with_source(config, path, " (absent)") : NULL;
        if (sources != NULL) {
            free(config->sources);
            config->sources = sources;
        }
        return vine__config_refuse(ret_reason, error, "%s: %s", path, vine_error_text(error));
    }
    struct stat found;
    int error = fstat(fd, &found) == 0 ? 0 : -errno;
    if (error == 0 && !S_ISREG(found.st_mode))
        error = S_ISDIR(found.st_mode) ? -EISDIR : -EINVAL;
    char *buffer = NULL;
    size_t size = 0;
    if (error == 0) {
        /* One byte more than allowed tells a file that is too large, also one that grows. */
        buffer = malloc(VINE__CONFIG_FILE_MAX + 1);
        error = buffer == NULL ? -ENOMEM : read_all(fd, buffer, VINE__CONFIG_FILE_MAX + 1, &size);
    }
    close(fd);
    if (error == 0 && size > VINE__CONFIG_FILE_MAX)
        error = -EFBIG;
    if (error == -EINVAL)
        (void)vine__config_refuse(ret_reason, error, "%s: not a regular file", path);
    else if (error != 0)
        (void)vine__config_refuse(ret_reason, error, "%s: %s", path, vine_error_text(error));
    if (error == 0)
        error = add_bytes(config, path, buffer, size, ret_reason);
    free(buffer);
    return error;
}
