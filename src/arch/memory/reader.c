/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/memory/reader.h"

#include "arch/memory/memory_internal.h"

#include <vine/error.h>

#include "utils/bits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* O_NONBLOCK: a fifo is refused at once instead of waited for. */
#define FLAGS (O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)

static int open_named(struct vine__memory_reader *reader,
                      const struct vine__memory_options *options)
{
    if (options->backend == VINE__MEMORY_FILE) {
        (void)snprintf(reader->label, sizeof(reader->label), "%s", options->name);
        reader->fd = open(options->name, FLAGS);
    } else if (options->backend == VINE__MEMORY_POSIX) {
        const char *const bare = options->name[0] == '/' ? options->name + 1 : options->name;

        (void)snprintf(reader->label, sizeof(reader->label), "/dev/shm/%s", bare);
        if (bare[0] == '\0' || strchr(bare, '/') != NULL)
            return -EINVAL;
        reader->fd = shm_open(options->name, FLAGS, 0);
    } else {
        return -EOPNOTSUPP;
    }
    return reader->fd < 0 ? -errno : 0;
}

static int open_device(struct vine__memory_reader *reader,
                       const struct vine__memory_options *options)
{
    struct vine__memory_options for_reading = *options;

    for_reading.protection = VINE__MEMORY_READ;
    for_reading.exclusive = false;

    const int error = vine__memory_open(&for_reading, &reader->memory);

    if (error == 0)
        (void)snprintf(reader->label, sizeof(reader->label), "%s",
                       vine__memory_label(reader->memory));
    return error;
}

int vine__memory_reader_open(struct vine__memory_reader *reader,
                             const struct vine__memory_options *options)
{
    struct stat facts;

    *reader = (struct vine__memory_reader){.fd = -1, .offset_bytes = options->offset_bytes};
    if (options->backend == VINE__MEMORY_IVSHMEM)
        return open_device(reader, options);

    const int error = open_named(reader, options);

    if (error != 0)
        return vine__memory_refuse(options, error, "cannot open %s: %s", reader->label,
                                   error == -ELOOP ? "it is a symbolic link"
                                                   : vine_error_text(error));
    if (fstat(reader->fd, &facts) != 0 || !S_ISREG(facts.st_mode)) {
        vine__memory_reader_close(reader);
        return vine__memory_refuse(options, -EINVAL, "%s is not a regular file", reader->label);
    }
    reader->owner_uid = facts.st_uid;
    reader->mode = facts.st_mode;
    return 0;
}

void vine__memory_reader_close(struct vine__memory_reader *reader)
{
    if (reader->fd >= 0)
        (void)close(reader->fd);
    reader->fd = -1;
    vine__memory_close(reader->memory);
    reader->memory = NULL;
}

uint64_t vine__memory_reader_size(const struct vine__memory_reader *reader)
{
    struct stat facts;

    if (reader->memory != NULL)
        return vine__memory_size(reader->memory);
    if (fstat(reader->fd, &facts) != 0 || facts.st_size < 0)
        return 0;

    const uint64_t size = (uint64_t)facts.st_size;

    return size > reader->offset_bytes ? size - reader->offset_bytes : 0;
}

static size_t read_device(const struct vine__memory *memory, uint64_t offset_bytes,
                          unsigned char *bytes, size_t size)
{
    const uint64_t end_bytes = vine__memory_size(memory);
    const size_t count =
        offset_bytes < end_bytes ? vine__min_u64(size, end_bytes - offset_bytes) : 0;

    if (count > 0)
        memcpy(bytes, (const unsigned char *)vine__memory_base(memory) + offset_bytes, count);
    return count;
}

static size_t read_file(const struct vine__memory_reader *reader, uint64_t offset_bytes,
                        unsigned char *bytes, size_t size)
{
    size_t done = 0;

    while (done < size && offset_bytes + size < VINE__MEMORY_BYTES_MAX) {
        const ssize_t count = pread(reader->fd, bytes + done, size - done,
                                    (off_t)(reader->offset_bytes + offset_bytes + done));

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            break;
        done += (size_t)count;
    }
    return done;
}

size_t vine__memory_reader_read(const struct vine__memory_reader *reader, uint64_t offset_bytes,
                                void *ret_bytes, size_t size)
{
    const size_t done = reader->memory != NULL
                            ? read_device(reader->memory, offset_bytes, ret_bytes, size)
                            : read_file(reader, offset_bytes, ret_bytes, size);

    memset((unsigned char *)ret_bytes + done, 0, size - done);
    return done;
}
