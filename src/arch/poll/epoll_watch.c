/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/guard/closed.h"
#include "arch/poll/epoll_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

uint32_t vine__watch_queue_of(const struct vine__operation *operation)
{
    switch (operation->kind) {
    case VINE__POLL_READ:
    case VINE__POLL_READV:
    case VINE__POLL_ACCEPT:
    case VINE__POLL_RECEIVE:
    case VINE__POLL_RECEIVE_MESSAGE:
        return VINE__WATCH_IN;
    case VINE__POLL_READY:
        return VINE__WATCH_READY;
    default:
        return VINE__WATCH_OUT;
    }
}

static struct vine__watch *find(const struct vine__epoll *epoll, int fd)
{
    const uint32_t chunk = (uint32_t)fd / VINE__WATCHES_PER_CHUNK;

    if (fd < 0 || chunk >= epoll->chunk_count || epoll->chunks[chunk] == NULL)
        return NULL;
    return &epoll->chunks[chunk][(uint32_t)fd % VINE__WATCHES_PER_CHUNK];
}

static int add_chunk(struct vine__epoll *epoll, uint32_t chunk)
{
    if (chunk >= epoll->chunk_count) {
        const uint32_t count = (chunk + 1) * 2;
        struct vine__watch **chunks =
            vine__closed_grow(epoll->chunks, epoll->chunk_count * sizeof(struct vine__watch *),
                              count * sizeof(struct vine__watch *));

        if (chunks == NULL)
            return -ENOMEM;
        epoll->chunks = chunks;
        epoll->chunk_count = count;
    }
    struct vine__watch *watches = vine__closed_alloc(VINE__WATCHES_PER_CHUNK * sizeof(*watches));

    if (watches == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < VINE__WATCHES_PER_CHUNK; i++)
        watches[i].fd = (int)(chunk * VINE__WATCHES_PER_CHUNK + i);
    epoll->chunks[chunk] = watches;
    return 0;
}

int vine__watch_of(struct vine__epoll *epoll, int fd, struct vine__watch **ret_watch)
{
    struct vine__watch *watch = find(epoll, fd);

    if (fd < 0)
        return -EBADF;
    if (watch == NULL) {
        const int error = add_chunk(epoll, (uint32_t)fd / VINE__WATCHES_PER_CHUNK);

        if (error != 0)
            return error;
        watch = find(epoll, fd);
    }
    *ret_watch = watch;
    return 0;
}

void vine__watch_push(struct vine__epoll *epoll, struct vine__watch *watch,
                      struct vine__operation *operation)
{
    operation->state = VINE__POLL_STATE_KERNEL;
    vine_fifo_push(&watch->queues[vine__watch_queue_of(operation)], &operation->node);
    epoll->queued_count++;
}

static bool is_idle(const struct vine__watch *watch)
{
    return vine_fifo_is_empty(&watch->queues[VINE__WATCH_IN]) &&
           vine_fifo_is_empty(&watch->queues[VINE__WATCH_OUT]) &&
           vine_fifo_is_empty(&watch->queues[VINE__WATCH_READY]);
}

void vine__watch_remove(struct vine__epoll *epoll, struct vine__watch *watch,
                        struct vine__operation *operation)
{
    const bool was_there =
        vine_fifo_remove(&watch->queues[vine__watch_queue_of(operation)], &operation->node);

    VINE_ASSERT(was_there);
    epoll->queued_count--;
    /* From here on the descriptor may be closed, and its number be another's: who waits next asks
     * epoll anew. */
    if (is_idle(watch))
        watch->armed = 0;
}

/* The bits of poll(2) are those of epoll. */
static uint32_t wanted(const struct vine__watch *watch)
{
    uint32_t events = 0;

    if (!vine_fifo_is_empty(&watch->queues[VINE__WATCH_IN]))
        events |= EPOLLIN | EPOLLRDHUP;
    if (!vine_fifo_is_empty(&watch->queues[VINE__WATCH_OUT]))
        events |= EPOLLOUT;
    VINE__POLL_FOR_EACH(at, &watch->queues[VINE__WATCH_READY])
    {
        events |= at->flags;
    }
    return events;
}

void vine__watch_arm(struct vine__epoll *epoll, struct vine__watch *watch)
{
    const uint32_t events = wanted(watch);

    /* Nothing waits, or epoll knows: EPOLLET has it tell of each change from now on. `armed` is
     * never 0 while something waits, even if it waits for errors alone. */
    if (is_idle(watch) || ((events & ~watch->armed) == 0 && watch->armed != 0))
        return;
    struct epoll_event event = {.events = events | watch->armed | EPOLLET, .data.ptr = watch};
    int operation = watch->is_added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    int result = epoll_ctl(epoll->epoll_fd, operation, watch->fd, &event);

    /* The number is another descriptor's than it was, or that of one that was closed with a copy
     * left open. */
    if (result != 0 && (errno == ENOENT || errno == EEXIST)) {
        operation = operation == EPOLL_CTL_MOD ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
        result = epoll_ctl(epoll->epoll_fd, operation, watch->fd, &event);
    }
    watch->is_added = result == 0;
    watch->armed = event.events;
    if (result != 0)
        vine__watch_end_all(epoll, watch, -errno);
}

void vine__watch_is_due(struct vine__epoll *epoll, struct vine__watch *watch, uint32_t events)
{
    watch->events |= events;
    if (watch->is_due)
        return;
    watch->is_due = true;
    watch->next = NULL;
    if (epoll->due == NULL)
        epoll->due = watch;
    else
        epoll->due_last->next = watch;
    epoll->due_last = watch;
}

void vine__watch_end_all(struct vine__epoll *epoll, struct vine__watch *watch, int error)
{
    for (uint32_t i = 0; i < VINE__WATCH_QUEUES; i++)
        while (!vine_fifo_is_empty(&watch->queues[i])) {
            struct vine__operation *operation = vine__poll_first(&watch->queues[i]);

            vine__watch_remove(epoll, watch, operation);
            vine__poll_ended(&epoll->poller, operation, error);
        }
}

void vine__watch_forget(struct vine__epoll *epoll, int fd)
{
    struct vine__watch *watch = find(epoll, fd);

    if (watch == NULL)
        return;
    vine__watch_end_all(epoll, watch, -ECANCELED);
    if (watch->is_added)
        (void)epoll_ctl(epoll->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    watch->is_added = false;
}

void vine__watches_fini(struct vine__epoll *epoll)
{
    for (uint32_t i = 0; i < epoll->chunk_count; i++)
        vine__closed_free(epoll->chunks[i]);
    vine__closed_free(epoll->chunks);
    epoll->chunks = NULL;
    epoll->chunk_count = 0;
}
