/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/wake/epoll.h"

#include <errno.h>
#include <sys/epoll.h>

#define EVENTS_MAX 64

int vine__epoll_create(int *ret_fd)
{
    const int fd = epoll_create1(EPOLL_CLOEXEC);

    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

int vine__epoll_add(int epoll_fd, int fd, void *context)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = context};

    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

int vine__epoll_add_signal(int epoll_fd, int event_fd, void *context)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = context};

    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event_fd, &event) == 0 ? 0 : -errno;
}

void vine__epoll_remove(int epoll_fd, int fd)
{
    (void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

int vine__epoll_wait(int epoll_fd, struct vine__epoll_event *ret_events, int count,
                     uint64_t timeout_ns)
{
    struct epoll_event events[EVENTS_MAX];
    /* Rounded up: a wait that ends early would spin. */
    const uint64_t timeout_ms = timeout_ns / 1000000 + (timeout_ns % 1000000 != 0);
    const int found = epoll_wait(epoll_fd, events, count < EVENTS_MAX ? count : EVENTS_MAX,
                                 timeout_ms > INT32_MAX ? -1 : (int)timeout_ms);

    if (found < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < found; i++) {
        ret_events[i].context = events[i].data.ptr;
        ret_events[i].is_hung_up = (events[i].events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) != 0;
    }
    return found;
}
