/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/engine/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Linux 6.3: no one can ever execute it. Headers of Debian 12 do not have it. */
#define NOEXEC_SEAL 0x0008U

int vine__machine_memory_create_empty(const char *name, uint64_t size_bytes, int *ret_fd)
{
    int error = 0;
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | NOEXEC_SEAL);

    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)size_bytes) != 0)
        error = -errno;
    if (error == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        error = -errno;
    if (error != 0) {
        (void)close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

int vine__machine_memory_fill(int fd, uint64_t from, uint64_t size_bytes)
{
    int error;

    do
        error = posix_fallocate(fd, (off_t)from, (off_t)size_bytes);
    while (error == EINTR);
    return error == ENOSPC ? -ENOMEM : -error;
}

int vine__machine_memory_create(const char *name, uint64_t size_bytes, int *ret_fd)
{
    int fd = -1;
    int error = vine__machine_memory_create_empty(name, size_bytes, &fd);

    if (error != 0)
        return error;
    error = vine__machine_memory_fill(fd, 0, size_bytes);
    if (error == 0)
        *ret_fd = fd;
    else
        (void)close(fd);
    return error;
}

int vine__machine_memory_check(int fd, uint64_t size_bytes)
{
    const int wanted = F_SEAL_SHRINK | F_SEAL_GROW;
    const int seals = fcntl(fd, F_GET_SEALS);
    struct stat status;

    return seals >= 0 && (seals & wanted) == wanted && fstat(fd, &status) == 0 &&
                   (uint64_t)status.st_size == size_bytes
               ? 0
               : -EINVAL;
}

int vine__machine_memory_map(int fd, uint64_t size_bytes, void **ret_base)
{
    void *const base = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (base == MAP_FAILED)
        return -errno;
    /* A child of fork has no business here. */
    (void)madvise(base, size_bytes, MADV_DONTFORK);
    *ret_base = base;
    return 0;
}

void vine__machine_memory_unmap(void *base, uint64_t size_bytes)
{
    if (base != NULL)
        (void)munmap(base, size_bytes);
}
