/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of a heap's slot, of which the first ones may be touched and the others may not.
 *
 * Where the kernel can, what may not be touched is marked in the page table: the slot stays one
 * mapping, whatever it grows to, and growing takes no lock that faults of other threads wait for.
 * Elsewhere it is a mapping of its own without rights, and a slot is two.
 *
 * Under `mprotect` a slot that is closed has no rights at all, and its marks are there all the
 * same. It is opened whole, and kept a mapping of its own by a flag that its neighbours do not
 * have and that changes nothing: to split mappings and to join them again costs as much as all the
 * rest.
 */
#include "arch/guard/guard_internal.h"

#include "utils/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define MARK            102 /* MADV_GUARD_INSTALL of <linux/mman.h>, from Linux 6.13 on */
#define UNMARK          103 /* MADV_GUARD_REMOVE */
#define OPEN            (PROT_READ | PROT_WRITE)
#define MAPPINGS_MAX    UINT64_C(65530)     /* of a process, where the kernel does not say */
#define HUGE_PAGE_BYTES (UINT64_C(2) << 20) /* the smallest that the kernel makes by itself */
#define DIGITS_MAX      24

bool vine__guard_markers_exist(void)
{
    void *const page = mmap(NULL, vine__guard.page_bytes, PROT_NONE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    const bool exist = page != MAP_FAILED && madvise(page, vine__guard.page_bytes, MARK) == 0;

    if (page != MAP_FAILED)
        (void)munmap(page, vine__guard.page_bytes);
    return exist;
}

int vine__guard_pages_reserve(size_t size_bytes, void **ret_start)
{
    void *const start =
        mmap(NULL, size_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (start == MAP_FAILED)
        return -errno;
    *ret_start = start;
    return 0;
}

void vine__guard_pages_release(void *start, size_t size_bytes)
{
    VINE_ASSERT(munmap(start, size_bytes) == 0);
}

uint32_t vine__guard_pages_mappings(void)
{
    return vine__guard.has_markers ? 1 : 2;
}

uint64_t vine__guard_pages_mappings_max(void)
{
    char text[DIGITS_MAX] = "";
    const int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return MAPPINGS_MAX;

    const ssize_t length = read(fd, text, sizeof(text) - 1);

    (void)close(fd);
    return length > 0 ? strtoull(text, NULL, 10) : MAPPINGS_MAX;
}

/* Rights of pages that are not closed, with the colour where there is one. */
static int allow(void *start, size_t size_bytes, int protection, uint32_t colour)
{
    if (vine__guard.kind == VINE__GUARD_PKU)
        return vine__guard_pku_protect(start, size_bytes, protection,
                                       vine__guard.keys.colours[colour]);
    return mprotect(start, size_bytes, protection) == 0 ? 0 : -errno;
}

static int advise(void *start, size_t size_bytes, int advice)
{
    return madvise(start, size_bytes, advice) == 0 ? 0 : -errno;
}

int vine__guard_pages_prepare(struct vine__guard_region *region, uint32_t number)
{
    int error;

    VINE_ASSERT(region->colour < vine__guard.colour_count && region->size_bytes == 0);
    /* A heap is a few small pages. A kernel that knows no huge ones has nothing to be told; and
     * what is smaller than such a page, and a mapping of its own, never is one. */
    if (vine__guard.kind != VINE__GUARD_MPROTECT || number % 2 != 0 ||
        region->slot_bytes >= HUGE_PAGE_BYTES)
        (void)madvise(region->start, region->slot_bytes, MADV_NOHUGEPAGE);
    if (!vine__guard.has_markers)
        return 0;
    error = advise(region->start, region->slot_bytes, MARK);
    if (error == 0 && vine__guard.kind != VINE__GUARD_MPROTECT)
        error = allow(region->start, region->slot_bytes, OPEN, region->colour);
    return error;
}

/* Whether pages are given their rights when they begin to be used, and lose them afterwards. */
static bool has_rights_by_page(const struct vine__guard_region *region)
{
    return !vine__guard.has_markers &&
           (vine__guard.kind != VINE__GUARD_MPROTECT || region->is_open);
}

int vine__guard_pages_grow(struct vine__guard_region *region, size_t size_bytes)
{
    unsigned char *const start = region->start + region->size_bytes;
    const size_t more = size_bytes - region->size_bytes;
    int error = 0;

    VINE_ASSERT(size_bytes > region->size_bytes && size_bytes <= region->slot_bytes &&
                size_bytes % vine__guard.page_bytes == 0);
    if (vine__guard.has_markers)
        error = advise(start, more, UNMARK);
    else if (has_rights_by_page(region))
        error = allow(start, more, OPEN, region->colour);
    if (error == 0)
        region->size_bytes = size_bytes;
    return error;
}

int vine__guard_pages_shrink(struct vine__guard_region *region, size_t size_bytes)
{
    unsigned char *const start = region->start + size_bytes;
    const size_t less = region->size_bytes - size_bytes;
    int error;

    VINE_ASSERT(size_bytes < region->size_bytes && size_bytes % vine__guard.page_bytes == 0);
    error = advise(start, less, vine__guard.has_markers ? MARK : MADV_DONTNEED);
    if (error == 0 && has_rights_by_page(region))
        error = allow(start, less, PROT_NONE, region->colour);
    if (error == 0)
        region->size_bytes = size_bytes;
    return error;
}

/* Of a closed region, or for one: with marks the whole slot. */
static int protect(struct vine__guard_region *region, int protection)
{
    const size_t bytes = vine__guard.has_markers ? region->slot_bytes : region->size_bytes;

    if (bytes != 0 && mprotect(region->start, bytes, protection) != 0)
        return -errno;
    region->is_open = protection == OPEN;
    return 0;
}

int vine__guard_open(struct vine__guard_region *region)
{
    if (vine__guard.kind != VINE__GUARD_MPROTECT || region->is_open)
        return 0;
    return protect(region, OPEN);
}

void vine__guard_close(struct vine__guard_region *region)
{
    /* It is a mapping of its own, so that the kernel needs no more of them for this. */
    if (vine__guard.kind == VINE__GUARD_MPROTECT && region->is_open)
        VINE_ASSERT(protect(region, PROT_NONE) == 0);
}

void vine__guard_pages_drop(const struct vine__guard_region *region)
{
    VINE_ASSERT(madvise(region->start, region->size_bytes, MADV_DONTNEED) == 0);
}
