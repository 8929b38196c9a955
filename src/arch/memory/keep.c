/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that others are to write anew while somebody here still reads what it held: a private copy
 * takes its place. The copy is made elsewhere and moved, by one call that threads which read there
 * wait for: they find the one or the other, of the same content, and never nothing.
 */
#include "arch/memory/memory_internal.h"

#include "utils/assert.h"

#include <errno.h>
#include <sys/mman.h>

int vine__memory_keep(struct vine__memory *memory, vine__memory_copy_fn copy, void *context)
{
    const size_t bytes = (size_t)memory->mapped_bytes;

    VINE_ASSERT(memory->base != NULL && !memory->is_writable);

    unsigned char *const kept = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (kept == MAP_FAILED)
        return -errno;
    copy(kept, memory->base, context);

    int error = 0;

    if (madvise(kept, bytes, MADV_DONTFORK) != 0 || mprotect(kept, bytes, PROT_READ) != 0 ||
        mremap(kept, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, memory->base) == MAP_FAILED) {
        error = -errno;
        (void)munmap(kept, bytes);
    }
    return error;
}
