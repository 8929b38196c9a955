/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The epoll backend: what can be done at once is done when it is flushed, what cannot waits at its
 * descriptor's watch until epoll says that something has changed there, and what would block goes
 * to the workers. Epoll is edge-triggered: an operation waits only after it was tried in vain, so
 * that whatever comes later is a change.
 *
 * Multishot operations stay at the front of their queue, and are tried again until in vain.
 */
#include "arch/poll/epoll_internal.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/guard/closed.h"

#define EVENTS_MAX 256

/* How often a watch is tried before others have their turn. */
#define TRIES_MAX 32U

#define IN_EVENTS  (EPOLLIN | EPOLLRDHUP | EPOLLPRI | EPOLLHUP | EPOLLERR)
#define OUT_EVENTS (EPOLLOUT | EPOLLHUP | EPOLLERR)

static const uint32_t queue_events[VINE__WATCH_READY] = {IN_EVENTS, OUT_EVENTS};

static struct vine__epoll *epoll_of(struct vine__poller *poller)
{
    return VINE_CONTAINER_OF(poller, struct vine__epoll, poller);
}

/* ---- what has been begun --------------------------------------------------------------------- */

static void epoll_begin(struct vine__poller *poller, struct vine__operation *operation)
{
    operation->state = VINE__POLL_STATE_WAITING;
    operation->result = 0;
    vine_fifo_push(&epoll_of(poller)->fresh, &operation->node);
}

static void start_on_watch(struct vine__epoll *epoll, struct vine__operation *operation)
{
    struct vine__watch *watch;
    uint32_t flags;
    const uint32_t queue = vine__watch_queue_of(operation);
    const int error = operation->is_fixed ? -EBADF : vine__watch_of(epoll, operation->fd, &watch);

    if (error != 0) {
        vine__poll_ended(&epoll->poller, operation, error);
        return;
    }
    /* One that may have many ends has them in a poll. Readiness is told by epoll itself, once for
     * what is there at first. */
    if (operation->is_multishot) {
        vine__watch_push(epoll, watch, operation);
        if (queue == VINE__WATCH_READY)
            vine__watch_arm(epoll, watch);
        else
            vine__watch_is_due(epoll, watch, queue_events[queue]);
        return;
    }
    if (queue == VINE__WATCH_READY || vine_fifo_is_empty(&watch->queues[queue])) {
        const int32_t result = vine__epoll_try(operation, &flags);

        if (result != VINE__EPOLL_NOT_NOW) {
            vine__poll_ended(&epoll->poller, operation, result);
            return;
        }
    }
    vine__watch_push(epoll, watch, operation);
    vine__watch_arm(epoll, watch);
}

/* Whether operations on it may sleep on a disk, and are never said to be ready. */
static int is_file(int fd, bool *ret_is_file)
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return -errno;
    *ret_is_file = S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) || S_ISBLK(status.st_mode);
    return 0;
}

static void start_on_what_it_is(struct vine__epoll *epoll, struct vine__operation *operation)
{
    bool is_on_file = false;
    const int error = is_file(operation->fd, &is_on_file);

    if (error != 0) {
        vine__poll_ended(&epoll->poller, operation, error);
    } else if (operation->kind == VINE__POLL_CLOSE) {
        vine__watch_forget(epoll, operation->fd);
        if (is_on_file)
            vine__workers_begin(&epoll->poller, operation);
        else
            vine__poll_ended(&epoll->poller, operation, vine__poll_run(operation));
    } else if (is_on_file) {
        vine__workers_begin(&epoll->poller, operation);
    } else {
        start_on_watch(epoll, operation);
    }
}

static void start(struct vine__epoll *epoll, struct vine__operation *operation)
{
    if (operation->state == VINE__POLL_STATE_CANCELLED) {
        vine__poll_ended(&epoll->poller, operation, -ECANCELED);
        return;
    }
    switch (operation->kind) {
    case VINE__POLL_READ:
    case VINE__POLL_WRITE:
    case VINE__POLL_READV:
    case VINE__POLL_WRITEV:
    case VINE__POLL_CLOSE:
        start_on_what_it_is(epoll, operation);
        break;
    case VINE__POLL_ACCEPT:
    case VINE__POLL_CONNECT:
    case VINE__POLL_RECEIVE:
    case VINE__POLL_SEND:
    case VINE__POLL_RECEIVE_MESSAGE:
    case VINE__POLL_SEND_MESSAGE:
    case VINE__POLL_READY:
        start_on_watch(epoll, operation);
        break;
    case VINE__POLL_SHUTDOWN:
        vine__poll_ended(&epoll->poller, operation,
                         shutdown(operation->fd, (int)operation->flags) == 0 ? 0 : -errno);
        break;
    case VINE__POLL_WORD:
        vine__poll_ended(&epoll->poller, operation, -ENOSYS);
        break;
    default:
        vine__workers_begin(&epoll->poller, operation);
        break;
    }
}

static bool epoll_flush(struct vine__poller *poller)
{
    struct vine__epoll *epoll = epoll_of(poller);
    const bool is_any = !vine_fifo_is_empty(&epoll->fresh);
    struct vine__operation *operation;

    /* Nothing is begun by what this calls. */
    while ((operation = vine__poll_pop(&epoll->fresh)) != NULL)
        start(epoll, operation);
    return is_any;
}

static void epoll_cancel(struct vine__poller *poller, struct vine__operation *operation)
{
    struct vine__epoll *epoll = epoll_of(poller);
    struct vine__watch *watch;
    const int error = vine__watch_of(epoll, operation->fd, &watch);

    VINE_ASSERT(error == 0);
    vine__watch_remove(epoll, watch, operation);
    vine__poll_ended(poller, operation, vine__poll_cancelled(operation));
}

static void epoll_cancel_all(struct vine__poller *poller)
{
    struct vine__epoll *epoll = epoll_of(poller);

    VINE__POLL_FOR_EACH(at, &epoll->fresh)
    {
        at->state = VINE__POLL_STATE_CANCELLED;
    }
    for (uint32_t i = 0; i < epoll->chunk_count; i++)
        for (uint32_t k = 0; epoll->chunks[i] != NULL && k < VINE__WATCHES_PER_CHUNK; k++)
            vine__watch_end_all(epoll, &epoll->chunks[i][k], -ECANCELED);
}

/* ---- what has come --------------------------------------------------------------------------- */

/* A poll in the kernel of at most `timeout_ns`; what it tells of is due. */
static void gather(struct vine__epoll *epoll, uint64_t timeout_ns)
{
    struct epoll_event events[EVENTS_MAX];
    const struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / VINE_NS_PER_SECOND),
                                     .tv_nsec = (long)(timeout_ns % VINE_NS_PER_SECOND)};
    int count = epoll_pwait2(epoll->epoll_fd, events, EVENTS_MAX,
                             timeout_ns == VINE_FOREVER ? NULL : &timeout, NULL);

    if (count < 0 && errno == ENOSYS) {
        /* Before 5.11. Rounded up: a sleep that ends early would spin. */
        const uint64_t timeout_ms = timeout_ns / 1000000 + (timeout_ns % 1000000 != 0);

        count = epoll_wait(epoll->epoll_fd, events, EVENTS_MAX,
                           timeout_ms > INT32_MAX ? -1 : (int)timeout_ms);
    }
    for (int i = 0; i < count; i++)
        if (events[i].data.ptr != NULL) /* else we were woken */
            vine__watch_is_due(epoll, events[i].data.ptr, events[i].events);
}

/* Call the function for one result of an operation that waits at a watch. */
static void tell(struct vine__epoll *epoll, struct vine__watch *watch,
                 struct vine__operation *operation, int32_t result, uint32_t flags)
{
    if ((flags & VINE__POLL_MORE) == 0)
        vine__watch_remove(epoll, watch, operation);
    vine__poll_hand_out(&epoll->poller, operation, result, flags);
}

/* Try what waits in a queue, from the front, until it is in vain. Returns how many functions were
 * called; if there may be more the watch is due again. */
static uint32_t serve_queue(struct vine__epoll *epoll, struct vine__watch *watch, uint32_t queue,
                            uint32_t count_max)
{
    uint32_t count = 0;
    uint32_t flags;

    while (!vine_fifo_is_empty(&watch->queues[queue])) {
        struct vine__operation *operation = vine__poll_first(&watch->queues[queue]);

        if (count == count_max) {
            vine__watch_is_due(epoll, watch, queue_events[queue]);
            break;
        }
        const int32_t result = vine__epoll_try(operation, &flags);

        if (result == VINE__EPOLL_NOT_NOW)
            break;
        count++;
        tell(epoll, watch, operation, result, flags);
    }
    return count;
}

/* Readiness is asked for each by itself, if `events` are of those that it waits for. Functions may
 * change the queue: who has been asked goes to its end, and as many are asked as there are now. */
static uint32_t serve_ready(struct vine__epoll *epoll, struct vine__watch *watch, uint32_t events,
                            uint32_t count_max)
{
    struct vine_fifo *queue = &watch->queues[VINE__WATCH_READY];
    uint32_t length = 0;
    uint32_t count = 0;
    uint32_t flags;

    VINE__POLL_FOR_EACH(at, queue)
    {
        length++;
    }
    for (; length > 0 && !vine_fifo_is_empty(queue); length--) {
        struct vine__operation *operation = vine__poll_first(queue);

        if (count == count_max) {
            vine__watch_is_due(epoll, watch, events);
            break;
        }
        const bool is_asked = (events & (operation->flags | EPOLLERR | EPOLLHUP)) != 0;
        const int32_t result = is_asked ? vine__epoll_try(operation, &flags) : VINE__EPOLL_NOT_NOW;

        (void)vine_fifo_pop(queue);
        vine_fifo_push(queue, &operation->node);
        if (result != VINE__EPOLL_NOT_NOW) {
            count++;
            tell(epoll, watch, operation, result, flags);
        }
    }
    return count;
}

static uint32_t serve(struct vine__epoll *epoll, struct vine__watch *watch, uint32_t count_max)
{
    const uint32_t events = watch->events;
    uint32_t count = 0;

    watch->events = 0;
    /* Who waits for readiness hears of it before others have taken what there is. */
    count += serve_ready(epoll, watch, events, count_max - count);
    for (uint32_t queue = 0; queue < VINE__WATCH_READY; queue++)
        if ((events & queue_events[queue]) != 0)
            count += serve_queue(epoll, watch, queue, count_max - count);
    vine__watch_arm(epoll, watch);
    return count;
}

static uint32_t hand_out(struct vine__epoll *epoll, uint32_t count_max)
{
    const struct vine__watch *last = epoll->due == NULL ? NULL : epoll->due_last;
    /* Who always has some that have ended leaves a part for what is ready. */
    const uint32_t ended_max = last == NULL ? count_max : count_max - count_max / 2;
    uint32_t count;

    if (vine__load_relaxed_u32(&epoll->poller.has_done) != 0)
        vine__workers_collect(&epoll->poller);
    count = vine__poll_hand_out_ended(&epoll->poller, ended_max);
    while (epoll->due != NULL && count < count_max) {
        struct vine__watch *watch = epoll->due;
        const uint32_t left = count_max - count;

        epoll->due = watch->next;
        watch->is_due = false;
        count += serve(epoll, watch, left < TRIES_MAX ? left : TRIES_MAX);
        if (watch == last)
            break;
    }
    return count;
}

static bool has_something(const struct vine__epoll *epoll)
{
    return epoll->due != NULL || !vine_fifo_is_empty(&epoll->poller.ended) ||
           vine__load_relaxed_u32(&epoll->poller.has_done) != 0;
}

static uint32_t epoll_poll(struct vine__poller *poller, uint32_t count_max)
{
    struct vine__epoll *epoll = epoll_of(poller);

    (void)epoll_flush(poller);
    if (epoll->queued_count > 0)
        gather(epoll, 0);
    return hand_out(epoll, count_max);
}

static uint32_t epoll_wait_for(struct vine__poller *poller, uint32_t count_max, uint64_t timeout_ns,
                               bool *ret_is_over)
{
    struct vine__epoll *epoll = epoll_of(poller);
    uint32_t count = epoll_poll(poller, count_max);

    *ret_is_over = vine__poll_take_wake(poller);
    if (*ret_is_over || count > 0)
        return count;
    const bool is_quiet = !has_something(epoll) && vine_fifo_is_empty(&epoll->fresh);

    gather(epoll, is_quiet ? timeout_ns : 0);
    vine__poll_fetch(poller);
    count = hand_out(epoll, count_max);
    *ret_is_over = vine__poll_take_wake(poller);
    return count;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void epoll_destroy(struct vine__poller *poller)
{
    struct vine__epoll *epoll = epoll_of(poller);

    vine__poll_fini(poller);
    vine__watches_fini(epoll);
    (void)close(epoll->epoll_fd);
    vine__closed_free(epoll);
}

static const struct vine__poll_backend_table epoll_table = {
    .name = "epoll",
    .begin = epoll_begin,
    .cancel = epoll_cancel,
    .flush = epoll_flush,
    .poll = epoll_poll,
    .wait = epoll_wait_for,
    .cancel_all = epoll_cancel_all,
    .destroy = epoll_destroy,
};

int vine__poll_epoll_create(struct vine__poller **ret_poller)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    struct vine__epoll *epoll = vine__closed_alloc_lines(sizeof(*epoll));
    int error;

    if (epoll == NULL)
        return -ENOMEM;
    epoll->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll->epoll_fd < 0) {
        error = -errno;
        vine__closed_free(epoll);
        return error;
    }
    epoll->poller.wake_fd = -1;
    error = vine__poll_init(&epoll->poller, &epoll_table);
    if (error == 0 && epoll_ctl(epoll->epoll_fd, EPOLL_CTL_ADD, epoll->poller.wake_fd, &event) != 0)
        error = -errno;
    if (error != 0) {
        epoll_destroy(&epoll->poller);
        return error;
    }
    *ret_poller = &epoll->poller;
    return 0;
}
