/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/peer/fork_guard.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

void *vine__fork_guard_page;

/* Generations given out by this process and those it was forked from; a child inherits it, which
 * keeps its numbers apart from its parent's. */
static uint64_t last_generation;

static int make_page(void)
{
    const size_t size_bytes = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return -errno;
    if (madvise(page, size_bytes, MADV_WIPEONFORK) != 0) {
        const int error = errno;
        munmap(page, size_bytes);
        return -error;
    }
    void *expected = NULL;
    /* G1 (release) pairs with G2. Another thread was faster: its page serves as well. */
    if (!vine__compare_exchange_acq_rel_pointer(&vine__fork_guard_page, &expected, page))
        munmap(page, size_bytes);
    return 0;
}

int vine__fork_guard_init(uint64_t *ret_generation)
{
    /* Relaxed: looked at alone. */
    if (vine__load_relaxed_pointer(&vine__fork_guard_page) == NULL) {
        const int error = make_page();
        if (error != 0)
            return error;
    }
    /* G2 (acquire) pairs with G1: the page was mapped, and set to be wiped, before. */
    uint64_t *word = (uint64_t *)vine__load_acquire_pointer(&vine__fork_guard_page);
    /* Relaxed, and no pair below: a generation is a number and nothing lies behind it. */
    uint64_t found = vine__load_relaxed_u64(word);
    if (found == 0) {
        const uint64_t ours = vine__fetch_add_relaxed_u64(&last_generation, 1) + 1;
        if (vine__compare_exchange_acq_rel_u64(word, &found, ours))
            found = ours;
    }
    *ret_generation = found;
    return 0;
}
