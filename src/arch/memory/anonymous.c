/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of one process, shared by its threads: both ends of a pipe in one program, and tests. */
#include "arch/memory/memory_internal.h"

#include "utils/bits.h"

#include <vine/error.h>

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The size of the huge pages that MAP_HUGETLB takes, told by a memfd of the same kind; 0 if there
 * are none. */
static uint64_t huge_page_bytes(void)
{
    struct stat status;
    const int fd = memfd_create("vine-page-size", MFD_CLOEXEC | MFD_HUGETLB);
    if (fd < 0)
        return 0;
    const uint64_t bytes = fstat(fd, &status) == 0 ? (uint64_t)status.st_blksize : 0;
    (void)close(fd);
    return bytes;
}

static int create(struct vine__memory *memory, const struct vine__memory_options *options)
{
    (void)snprintf(memory->label, sizeof(memory->label), "anonymous memory");
    memory->page_bytes = options->huge_pages ? huge_page_bytes() : (uint64_t)sysconf(_SC_PAGESIZE);
    if (memory->page_bytes == 0)
        return vine__memory_refuse(options, -EOPNOTSUPP, "this kernel has no huge pages");
    memory->size_bytes = vine__round_up_u64(options->size_bytes, memory->page_bytes);

    /* Huge pages are reserved by mmap itself, which fails if there are too few. */
    const int error =
        vine__memory_map(memory, options, MAP_ANONYMOUS | (options->huge_pages ? MAP_HUGETLB : 0));
    return error == 0 ? vine__memory_bind(memory->base, memory->mapped_bytes, options) : error;
}

const struct vine__memory_ops vine__memory_anonymous_ops = {
    .create = create,
};
