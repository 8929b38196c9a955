/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is made, checked, or unmapped in steps: for who serves others between them. A large
 * memfd takes a tenth of a second and more to allocate, and tens of milliseconds to look through
 * for holes or to unmap.
 */
#include "arch/memory/memory_internal.h"

#include "utils/assert.h"
#include "utils/bits.h"

#include <vine/error.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int vine__memory_begin_steps(struct vine__memory *memory, int fd)
{
    struct stat status;

    memory->is_in_steps = true;
    if (memory->is_writable)
        return 0;
    /* The descriptor stays the caller's, and is looked at until the last step. */
    memory->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (memory->fd < 0 || fstat(memory->fd, &status) != 0)
        return -errno;
    memory->blocks = (uint64_t)status.st_blocks;
    return 0;
}

/* A hole is filled by the reading of it, and then the file has more blocks than before. Nobody
 * takes pages out of a file that is sealed. */
static int check_pages(struct vine__memory *memory, uint64_t bytes)
{
    struct stat status;
    unsigned char *const from = (unsigned char *)memory->base + memory->ready_bytes;

    if (madvise(from, (size_t)bytes, MADV_POPULATE_READ) != 0) {
        if (errno != EINVAL)
            return errno == ENOMEM ? -ENOMEM : -VINE_EUNSEALED;
        /* A kernel before 5.14: all of it at once. */
        const off_t hole = lseek(memory->fd, 0, SEEK_HOLE);
        if (hole < 0 || (uint64_t)hole < memory->size_bytes)
            return -VINE_EUNSEALED;
        memory->ready_bytes = memory->mapped_bytes - bytes;
    }
    if (fstat(memory->fd, &status) != 0)
        return -errno;
    return (uint64_t)status.st_blocks == memory->blocks ? 0 : -VINE_EUNSEALED;
}

static int end_steps(struct vine__memory *memory)
{
    memory->is_in_steps = false;
    if (memory->is_writable)
        return vine__memory_memfd_seal(memory);
    (void)close(memory->fd);
    memory->fd = -1;
    return 0;
}

int vine__memory_step(struct vine__memory *memory, uint64_t step_bytes)
{
    if (!memory->is_in_steps)
        return 0;

    const uint64_t left_bytes = memory->mapped_bytes - memory->ready_bytes;
    const uint64_t whole_bytes =
        vine__max_u64(vine__round_down_u64(step_bytes, memory->page_bytes), memory->page_bytes);
    const uint64_t bytes = vine__min_u64(whole_bytes, left_bytes);
    const int error = memory->is_writable
                          ? vine__memory_memfd_fill(memory, memory->ready_bytes, bytes)
                          : check_pages(memory, bytes);

    if (error != 0)
        return error;
    memory->ready_bytes += bytes;
    VINE_ASSERT(memory->ready_bytes <= memory->mapped_bytes);
    return memory->ready_bytes < memory->mapped_bytes ? 1 : end_steps(memory);
}

bool vine__memory_unmap_step(struct vine__memory *memory, uint64_t step_bytes)
{
    const uint64_t bytes = vine__round_down_u64(step_bytes, memory->page_bytes);

    VINE_ASSERT(bytes > 0);
    if (memory->pid != (uint64_t)getpid() || memory->reserved_bytes <= bytes)
        return false;
    memory->reserved_bytes -= bytes;
    VINE_ASSERT(munmap((unsigned char *)memory->reserved + memory->reserved_bytes, bytes) == 0);
    return true;
}
