/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is a file: on tmpfs, on hugetlbfs, or on a disk, where it is the page cache. */
#include "arch/memory/memory_internal.h"

#include <vine/error.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int open_file(struct vine__memory *memory, const struct vine__memory_options *options,
                     int flags)
{
    (void)snprintf(memory->label, sizeof(memory->label), "%s", options->name);
    /* O_NOFOLLOW: a link in a directory that others may write could lead to any file of ours.
     * O_NONBLOCK: a fifo is refused at once instead of waited for. */
    memory->fd = open(options->name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (memory->fd < 0) {
        const int error = -errno;
        return vine__memory_refuse(options, error, "cannot open %s: %s", memory->label,
                                   error == -ELOOP ? "it is a symbolic link"
                                                   : vine_error_text(error));
    }
    return vine__memory_check_owner(memory, options);
}

static int remove_name(const struct vine__memory_options *options)
{
    return unlink(options->name) == 0 ? 0 : -errno;
}

static int create(struct vine__memory *memory, const struct vine__memory_options *options)
{
    /* Exclusively first, so that we know whether a failure has to take the name away again. */
    int error = open_file(memory, options, O_RDWR | O_CREAT | O_EXCL);
    const bool is_new = error == 0;

    if (error == -EEXIST && !options->create_new)
        error = open_file(memory, options, O_RDWR);
    if (error == 0)
        error = vine__memory_grow_named(memory, options);
    if (error != 0 && is_new)
        (void)remove_name(options);
    return error;
}

static int open_existing(struct vine__memory *memory, const struct vine__memory_options *options)
{
    const int error = open_file(memory, options, memory->is_writable ? O_RDWR : O_RDONLY);
    if (error != 0)
        return error;
    return vine__memory_measure_named(memory, options);
}

const struct vine__memory_ops vine__memory_file_ops = {
    .create = create,
    .open = open_existing,
    .remove = remove_name,
};
