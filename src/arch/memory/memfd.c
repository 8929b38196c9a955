/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that has no name and is sent to its reader over a Unix socket.
 *
 * The owner keeps a writable mapping that it made before it sealed; FUTURE_WRITE lets nobody make
 * another one, write() or punch, the owner included. Every page is written once before the sealing:
 * pages that are merely allocated look like holes, and a reader refuses holes.
 */
#include "arch/memory/memory_internal.h"

#include "utils/assert.h"
#include "utils/atomic.h"
#include "utils/bits.h"

#include <vine/error.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Linux 6.3: no one can ever execute it. Headers of Debian 12 do not have it. */
#define NOEXEC_SEAL 0x0008U

static int create(struct vine__memory *memory, const struct vine__memory_options *options)
{
    const char *const name = options->name != NULL ? options->name : "vine";
    const unsigned int flags =
        MFD_CLOEXEC | MFD_ALLOW_SEALING | (options->huge_pages ? MFD_HUGETLB : 0U);

    (void)snprintf(memory->label, sizeof(memory->label), "memfd %s", name);
    memory->fd = memfd_create(name, flags | NOEXEC_SEAL);
    if (memory->fd < 0 && errno == EINVAL)
        memory->fd = memfd_create(name, flags);
    if (memory->fd < 0) {
        const int error = -errno;
        return vine__memory_refuse(options, error, "cannot create %s: %s", memory->label,
                                   vine_error_text(error));
    }

    struct stat status;
    if (fstat(memory->fd, &status) != 0)
        return -errno;
    memory->page_bytes =
        options->huge_pages ? (uint64_t)status.st_blksize : (uint64_t)sysconf(_SC_PAGESIZE);
    memory->size_bytes = vine__round_up_u64(options->size_bytes, memory->page_bytes);
    if (ftruncate(memory->fd, (off_t)memory->size_bytes) != 0) {
        const int error = -errno;
        return vine__memory_refuse(options, error, "%s: cannot have %llu bytes: %s", memory->label,
                                   (unsigned long long)memory->size_bytes, vine_error_text(error));
    }

    const int error =
        options->in_steps ? 0 : vine__memory_allocate(memory->fd, memory->size_bytes, options);
    if (error == -ENOSPC || error == -ENOMEM)
        return vine__memory_refuse(options, -ENOMEM, "%s: cannot allocate %llu bytes%s",
                                   memory->label, (unsigned long long)memory->size_bytes,
                                   options->huge_pages ? " of huge pages" : "");
    if (error != 0)
        return error;
    if (fstat(memory->fd, &status) != 0)
        return -errno;
    VINE_ASSERT((uint64_t)status.st_size == memory->size_bytes);
    return 0;
}

/* Every page is written to. */
static void touch(struct vine__memory *memory, uint64_t from_bytes, uint64_t bytes)
{
    for (uint64_t at = from_bytes; at < from_bytes + bytes; at += memory->page_bytes)
        vine__store_relaxed_u64((uint64_t *)((unsigned char *)memory->base + at), 0);
}

int vine__memory_memfd_fill(struct vine__memory *memory, uint64_t from_bytes, uint64_t bytes)
{
    int error;

    do {
        error = posix_fallocate(memory->fd, (off_t)from_bytes, (off_t)bytes);
    } while (error == EINTR);
    if (error != 0)
        return error == ENOSPC ? -ENOMEM : -error;
    touch(memory, from_bytes, bytes);
    return 0;
}

int vine__memory_memfd_seal(struct vine__memory *memory)
{
    return fcntl(memory->fd, F_ADD_SEALS,
                 F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) == 0
               ? 0
               : -errno;
}

static int finish(struct vine__memory *memory, const struct vine__memory_options *options)
{
    if (options->in_steps)
        return vine__memory_begin_steps(memory, -1);
    touch(memory, 0, memory->size_bytes);

    const int error = vine__memory_memfd_seal(memory);
    if (error != 0)
        return vine__memory_refuse(options, error, "%s: cannot be sealed: %s", memory->label,
                                   vine_error_text(error));
    return 0;
}

const struct vine__memory_ops vine__memory_memfd_ops = {
    .create = create,
    .finish = finish,
};
