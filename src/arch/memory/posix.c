/* SPDX-License-Identifier: Apache-2.0 */
/* POSIX shared memory: a name in the one flat folder that the system keeps for it. */
#include "arch/memory/memory_internal.h"

#include <vine/error.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* The name with exactly one slash, at its front, as shm_open wants it. */
static int system_name(const struct vine__memory_options *options, char name[NAME_MAX + 2])
{
    const char *const bare = options->name[0] == '/' ? options->name + 1 : options->name;
    const size_t size = strlen(bare);

    if (size == 0 || size > NAME_MAX || strchr(bare, '/') != NULL || strcmp(bare, ".") == 0 ||
        strcmp(bare, "..") == 0)
        return vine__memory_refuse(options, -EINVAL,
                                   "'%s' is no name for POSIX shared memory: 1 to %d bytes, and no "
                                   "slash but one at the front",
                                   options->name, NAME_MAX);
    name[0] = '/';
    memcpy(name + 1, bare, size + 1);
    return 0;
}

static int open_name(struct vine__memory *memory, const struct vine__memory_options *options,
                     int flags)
{
    char name[NAME_MAX + 2];

    const int refused = system_name(options, name);
    if (refused != 0)
        return refused;
    (void)snprintf(memory->label, sizeof(memory->label), "/dev/shm%.*s",
                   (int)sizeof(memory->label) - 9, name);
    memory->fd = shm_open(name, flags, 0600);
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
    char name[NAME_MAX + 2];

    const int refused = system_name(options, name);
    if (refused != 0)
        return refused;
    return shm_unlink(name) == 0 ? 0 : -errno;
}

static int create(struct vine__memory *memory, const struct vine__memory_options *options)
{
    /* Exclusively first, so that we know whether a failure has to take the name away again. */
    int error = open_name(memory, options, O_RDWR | O_CREAT | O_EXCL);
    const bool is_new = error == 0;

    if (error == -EEXIST && !options->create_new)
        error = open_name(memory, options, O_RDWR);
    if (error == 0)
        error = vine__memory_grow_named(memory, options);
    if (error != 0 && is_new)
        (void)remove_name(options);
    return error;
}

static int open_existing(struct vine__memory *memory, const struct vine__memory_options *options)
{
    const int error = open_name(memory, options, memory->is_writable ? O_RDWR : O_RDONLY);
    if (error != 0)
        return error;
    return vine__memory_measure_named(memory, options);
}

const struct vine__memory_ops vine__memory_posix_ops = {
    .create = create,
    .open = open_existing,
    .remove = remove_name,
};
