/* SPDX-License-Identifier: Apache-2.0 */
/* Pages for files, and on which node they lie. */
#include "arch/memory/memory_internal.h"

#include "utils/assert.h"

#include <vine/error.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define NODES_MAX   1024
#define WORD_BITS   64
#define HUGETLBFS   0x958458f6U /* HUGETLBFS_MAGIC of <linux/magic.h> */
#define POLICY_BIND 2           /* MPOL_BIND of <numaif.h>, which would need libnuma's package */

int vine__memory_bind(void *base, uint64_t bytes, const struct vine__memory_options *options)
{
    uint64_t nodes[NODES_MAX / WORD_BITS] = {0};

    if (options->numa_node == VINE__MEMORY_NODE_ANY)
        return 0;
    if (options->numa_node < 0 || options->numa_node >= NODES_MAX)
        return vine__memory_refuse(options, -EINVAL, "there is no NUMA node %d",
                                   options->numa_node);
    nodes[options->numa_node / WORD_BITS] |= UINT64_C(1) << (options->numa_node % WORD_BITS);
    /* The kernel counts one bit less than it is told. */
    if (syscall(SYS_mbind, base, bytes, POLICY_BIND, nodes, NODES_MAX + 1, 0) != 0) {
        const int error = -errno;
        return vine__memory_refuse(options, error, "cannot bind memory to NUMA node %d: %s",
                                   options->numa_node, vine_error_text(error));
    }
    return 0;
}

/* The policy of shared memory belongs to the file and not to the mapping, so it outlives the
 * mapping that it was set through, and is there before the first page is. */
static int bind_file(int fd, uint64_t bytes, const struct vine__memory_options *options)
{
    if (options->numa_node == VINE__MEMORY_NODE_ANY)
        return 0;

    void *const base = mmap(NULL, (size_t)bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        return -errno;
    const int error = vine__memory_bind(base, bytes, options);
    VINE_ASSERT(munmap(base, (size_t)bytes) == 0);
    return error;
}

int vine__memory_allocate(int fd, uint64_t bytes, const struct vine__memory_options *options)
{
    int error = bind_file(fd, bytes, options);
    if (error != 0)
        return error;
    do {
        error = posix_fallocate(fd, 0, (off_t)bytes);
    } while (error == EINTR);
    return -error;
}

uint64_t vine__memory_huge_page_size(int fd)
{
    struct statfs status;

    /* Not st_blksize: tmpfs with transparent huge pages reports their size there. */
    if (fstatfs(fd, &status) != 0 || (uint32_t)status.f_type != HUGETLBFS)
        return 0;
    return (uint64_t)status.f_bsize;
}
