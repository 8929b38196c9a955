/* SPDX-License-Identifier: Apache-2.0 */
/* What posix and file have in common: a file with an owner, a size and an end. */
#include "arch/memory/memory_internal.h"

#include "utils/bits.h"

#include <vine/error.h>

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

int vine__memory_check_owner(struct vine__memory *memory,
                             const struct vine__memory_options *options)
{
    struct stat status;

    if (fstat(memory->fd, &status) != 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return vine__memory_refuse(options, -EINVAL, "%s is not a regular file", memory->label);
    /* Whoever owns it can cut it off while we use it: it has to be us. */
    if (status.st_uid != geteuid())
        return vine__memory_refuse(options, -EACCES, "%s belongs to user %u, and we are %u",
                                   memory->label, (unsigned int)status.st_uid,
                                   (unsigned int)geteuid());
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return vine__memory_refuse(options, -EACCES, "%s can be written by others (mode %03o)",
                                   memory->label, (unsigned int)status.st_mode & 0777U);
    memory->page_bytes = vine__memory_huge_page_size(memory->fd);
    if (memory->page_bytes == 0)
        memory->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    return 0;
}

int vine__memory_grow_named(struct vine__memory *memory, const struct vine__memory_options *options)
{
    struct stat status;
    const uint64_t size_bytes = vine__round_up_u64(options->size_bytes, memory->page_bytes);
    const uint64_t end = options->offset_bytes + size_bytes;

    if (fstat(memory->fd, &status) != 0)
        return -errno;
    const uint64_t real_before = (uint64_t)status.st_size;
    int error = 0;
    if (real_before < end && ftruncate(memory->fd, (off_t)end) != 0)
        error = -errno;
    if (error == 0)
        error = vine__memory_allocate(memory->fd, end, options);
    if (error != 0) {
        if (real_before < end)
            (void)!ftruncate(memory->fd, (off_t)real_before);
        return vine__memory_refuse(options, error, "%s: cannot allocate %llu bytes: %s",
                                   memory->label, (unsigned long long)end, vine_error_text(error));
    }

    if (fstat(memory->fd, &status) != 0)
        return -errno;
    if ((uint64_t)status.st_size < end)
        return vine__memory_refuse(options, -VINE_ETRUNCATED,
                                   "%s has %llu bytes where %llu were allocated", memory->label,
                                   (unsigned long long)status.st_size, (unsigned long long)end);
    memory->size_bytes = size_bytes;
    memory->offset_bytes = options->offset_bytes;
    return 0;
}

int vine__memory_measure_named(struct vine__memory *memory,
                               const struct vine__memory_options *options)
{
    struct stat status;

    if (fstat(memory->fd, &status) != 0)
        return -errno;
    const uint64_t real = (uint64_t)status.st_size;
    if (real == 0)
        return vine__memory_refuse(options, -VINE_ETRUNCATED, "%s is empty", memory->label);
    if (real <= options->offset_bytes ||
        !vine__range_is_within_u64(options->offset_bytes, options->size_bytes, real))
        return vine__memory_refuse(
            options, -VINE_ETRUNCATED, "%s has %llu bytes, and %llu at offset %llu are asked for",
            memory->label, (unsigned long long)real, (unsigned long long)options->size_bytes,
            (unsigned long long)options->offset_bytes);
    memory->size_bytes =
        options->size_bytes != 0 ? options->size_bytes : real - options->offset_bytes;
    memory->offset_bytes = options->offset_bytes;
    return 0;
}
