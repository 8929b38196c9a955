/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/poll/uring_internal.h"

#include <sys/resource.h>

#include "arch/guard/closed.h"

/* 8 bytes each in the kernel and 4 here, once a file is registered at all. */
#define FILES_MAX 16384U

static struct vine__uring *uring_of(struct vine__poller *poller)
{
    return VINE_CONTAINER_OF(poller, struct vine__uring, poller);
}

int vine__uring_buffers_register(struct vine__poller *poller, struct vine__poll_buffers *buffers)
{
    struct io_uring_buf_reg registration = {.ring_addr = (uint64_t)(uintptr_t)buffers->ring,
                                            .ring_entries = buffers->count,
                                            .bgid = buffers->group};

    return io_uring_register_buf_ring(&uring_of(poller)->ring, &registration, 0);
}

void vine__uring_buffers_unregister(struct vine__poller *poller, struct vine__poll_buffers *buffers)
{
    (void)io_uring_unregister_buf_ring(&uring_of(poller)->ring, buffers->group);
}

/* Room for as many as the process may have open, within FILES_MAX. */
static int make_places(struct vine__uring *uring)
{
    struct rlimit limit = {0};
    uint32_t count = FILES_MAX;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < count)
        count = (uint32_t)limit.rlim_cur;
    uint32_t *places = vine__closed_alloc(count * sizeof(*places));

    if (places == NULL)
        return -ENOMEM;
    const int error = io_uring_register_files_sparse(&uring->ring, count);

    if (error < 0) {
        vine__closed_free(places);
        return error;
    }
    /* The lowest is taken first: they are taken from the end. */
    for (uint32_t i = 0; i < count; i++)
        places[i] = count - 1 - i;
    uring->files_free = places;
    uring->file_free_count = count;
    uring->file_count = count;
    return 0;
}

int vine__uring_register_file(struct vine__poller *poller, int fd, uint32_t *ret_index)
{
    struct vine__uring *uring = uring_of(poller);
    int error = uring->file_count > 0 ? 0 : make_places(uring);

    if (error != 0)
        return error;
    if (uring->file_free_count == 0)
        return -ENFILE;
    if (fd < 0)
        return -EBADF; /* -1 would clear the place, and succeed */
    const uint32_t index = uring->files_free[uring->file_free_count - 1];

    error = io_uring_register_files_update(&uring->ring, index, &fd, 1);
    if (error < 0)
        return error;
    uring->file_free_count--;
    *ret_index = index;
    return 0;
}

void vine__uring_unregister_file(struct vine__poller *poller, uint32_t index)
{
    struct vine__uring *uring = uring_of(poller);
    const int none = -1;

    VINE_ASSERT(index < uring->file_count && uring->file_free_count < uring->file_count);
    (void)io_uring_register_files_update(&uring->ring, index, &none, 1);
    uring->files_free[uring->file_free_count++] = index;
}

int vine__uring_register_buffers(struct vine__poller *poller, const struct iovec *buffers,
                                 uint32_t count)
{
    return io_uring_register_buffers(&uring_of(poller)->ring, buffers, count);
}

void vine__uring_files_fini(struct vine__uring *uring)
{
    if (uring->file_count > 0)
        (void)io_uring_unregister_files(&uring->ring);
    vine__closed_free(uring->files_free);
    uring->files_free = NULL;
    uring->file_count = 0;
}
