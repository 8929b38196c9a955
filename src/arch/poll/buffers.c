/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/poll/poll_internal.h"

#include <liburing.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch/guard/closed.h"

static size_t round_up_to_pages(size_t size_bytes)
{
    const size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);

    return (size_bytes + page_bytes - 1) / page_bytes * page_bytes;
}

#define HUGE_BYTES ((size_t)2 << 20)

/* The kernel fills the buffers in turn, so that each is of another page than the last: large ones
 * spare a miss of the translations for each receive. Where the kernel has none to give they are
 * ordinary ones. Returns MAP_FAILED: no memory. */
static void *map(size_t size_bytes)
{
    const size_t spare_bytes = size_bytes >= HUGE_BYTES ? HUGE_BYTES : 0;
    unsigned char *const bytes = mmap(NULL, size_bytes + spare_bytes, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (bytes == MAP_FAILED || spare_bytes == 0)
        return bytes;
    const size_t skip_bytes = -(size_t)(uintptr_t)bytes & (HUGE_BYTES - 1);

    if (skip_bytes > 0)
        (void)munmap(bytes, skip_bytes);
    if (skip_bytes < spare_bytes)
        (void)munmap(bytes + skip_bytes + size_bytes, spare_bytes - skip_bytes);
    (void)madvise(bytes + skip_bytes, size_bytes, MADV_HUGEPAGE);
    return bytes + skip_bytes;
}

int vine__poller_buffers_create(struct vine__poller *poller, uint32_t count, uint32_t size_bytes,
                                struct vine__poll_buffers **ret_buffers)
{
    uint16_t group = 0;

    if (count == 0 || count > VINE__POLL_BUFFERS_MAX || (count & (count - 1)) != 0 ||
        size_bytes == 0 || size_bytes > INT32_MAX)
        return -EINVAL;
    while (group < VINE__POLL_GROUPS_MAX && poller->groups[group] != NULL)
        group++;
    if (group == VINE__POLL_GROUPS_MAX)
        return -ENOSPC;

    struct vine__poll_buffers *buffers = vine__closed_alloc(sizeof(*buffers));
    if (buffers == NULL)
        return -ENOMEM;

    /* The kernel wants the ring at the start of a page. */
    const size_t ring_bytes = round_up_to_pages(count * sizeof(struct io_uring_buf));
    const size_t mapping_bytes = ring_bytes + round_up_to_pages((size_t)count * size_bytes);
    void *mapping = map(mapping_bytes);
    if (mapping == MAP_FAILED) {
        vine__closed_free(buffers);
        return -ENOMEM;
    }
    *buffers = (struct vine__poll_buffers){.poller = poller,
                                           .ring = mapping,
                                           .bytes = (unsigned char *)mapping + ring_bytes,
                                           .mapping_bytes = mapping_bytes,
                                           .count = count,
                                           .size_bytes = size_bytes,
                                           .group = group};
    for (uint32_t i = 0; i < count; i++)
        vine__poll_buffer_release(buffers, (uint16_t)i);

    const int error = poller->backend->buffers_register == NULL
                          ? 0
                          : poller->backend->buffers_register(poller, buffers);
    if (error != 0) {
        (void)munmap(mapping, mapping_bytes);
        vine__closed_free(buffers);
        return error;
    }
    poller->groups[group] = buffers;
    *ret_buffers = buffers;
    return 0;
}

void vine__poller_buffers_destroy(struct vine__poller *poller, struct vine__poll_buffers *buffers)
{
    if (buffers == NULL)
        return;
    VINE_ASSERT(buffers->poller == poller && poller->groups[buffers->group] == buffers);
    if (poller->backend->buffers_unregister != NULL)
        poller->backend->buffers_unregister(poller, buffers);
    poller->groups[buffers->group] = NULL;
    (void)munmap(buffers->ring, buffers->mapping_bytes);
    vine__closed_free(buffers);
}

unsigned char *vine__poll_buffer(const struct vine__poll_buffers *buffers, uint16_t index)
{
    VINE_ASSERT(index < buffers->count);
    return buffers->bytes + (size_t)index * buffers->size_bytes;
}

unsigned char *vine__poll_buffers_ring(const struct vine__poll_buffers *buffers,
                                       size_t *ret_size_bytes)
{
    *ret_size_bytes = (size_t)(buffers->bytes - (unsigned char *)buffers->ring);
    return (unsigned char *)buffers->ring;
}

unsigned char *vine__poll_buffers_bytes(const struct vine__poll_buffers *buffers,
                                        size_t *ret_size_bytes)
{
    size_t ring_bytes;

    (void)vine__poll_buffers_ring(buffers, &ring_bytes);
    *ret_size_bytes = buffers->mapping_bytes - ring_bytes;
    return buffers->bytes;
}

void vine__poll_buffer_release(struct vine__poll_buffers *buffers, uint16_t index)
{
    struct io_uring_buf *slot = &buffers->ring->bufs[buffers->tail & (buffers->count - 1)];

    VINE_ASSERT(index < buffers->count);
    /* Field by field: the last one of the first slot is the ring's tail. */
    slot->addr = (uint64_t)(uintptr_t)vine__poll_buffer(buffers, index);
    slot->len = buffers->size_bytes;
    slot->bid = index;
    /* Pairs with the kernel's read of the tail: the slot before its position. */
    io_uring_smp_store_release(&buffers->ring->tail, ++buffers->tail);
}

bool vine__poll_buffers_take(struct vine__poll_buffers *buffers, uint16_t *ret_index)
{
    if (buffers->head == buffers->tail)
        return false;
    *ret_index = buffers->ring->bufs[buffers->head++ & (buffers->count - 1)].bid;
    return true;
}

void vine__poll_buffers_untake(struct vine__poll_buffers *buffers)
{
    buffers->head--;
}
