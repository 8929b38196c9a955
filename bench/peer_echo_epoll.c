/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Echo by a bare epoll loop on one thread: what bench_echo compares with. No checks, no limits, no
 * memory of its own for a connection. It serves until it is killed.
 */
#include "bench.h"
#include "echo_socket.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_AT_ONCE 512
#define BUFFER_BYTES   8192

static void watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    bench_require(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

static void accept_all(int epoll, int listening)
{
    for (;;) {
        const int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0)
            return;
        watch(epoll, fd);
    }
}

static void serve(int fd)
{
    static unsigned char bytes[BUFFER_BYTES];
    const ssize_t size = recv(fd, bytes, sizeof(bytes), 0);

    if (size < 0 && errno == EAGAIN)
        return;
    /* An echo that does not fit the socket is not what is measured here. */
    if (size <= 0 || send(fd, bytes, (size_t)size, MSG_NOSIGNAL) != size)
        (void)close(fd);
}

int main(void)
{
    static struct epoll_event events[EVENTS_AT_ONCE];
    const int listening = echo_listen(SOCK_NONBLOCK);
    const int epoll = epoll_create1(EPOLL_CLOEXEC);

    bench_require(epoll >= 0, "epoll_create1");
    watch(epoll, listening);
    for (;;) {
        const int count = epoll_wait(epoll, events, EVENTS_AT_ONCE, -1);

        bench_require(count >= 0 || errno == EINTR, "epoll_wait");
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listening)
                accept_all(epoll, listening);
            else
                serve(events[i].data.fd);
        }
    }
}
