/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/wake/epoll.h - sleep until one of many descriptors has something to say.
 *
 * Owns:     the epoll descriptor is the caller's, to be closed with close(2).
 * Threads:  any; one waits.
 * Blocking: vine__epoll_wait for its time-out.
 * Trust:    the kernel's word.
 * Limits:   the process's descriptors.
 */
#ifndef VINE_ARCH_WAKE_EPOLL_H
#define VINE_ARCH_WAKE_EPOLL_H

#include <vine/base.h>

#include <stdbool.h>
#include <stdint.h>

struct vine__epoll_event {
    void *context;
    bool is_hung_up; /* the other end is closed; there may be something to read still */
};

/* Returns 0 and the descriptor, or a negative error. */
VINE_MUST_CHECK int vine__epoll_create(int *ret_fd);

/* Watch `fd` until it is closed (its last copy, in this process or another) or removed. */
VINE_MUST_CHECK int vine__epoll_add(int epoll_fd, int fd, void *context);
void vine__epoll_remove(int epoll_fd, int fd);

/* As vine__epoll_add, of an eventfd that is never read: each time that it is signalled is told. */
VINE_MUST_CHECK int vine__epoll_add_signal(int epoll_fd, int event_fd, void *context);

/* Returns how many events came, 0 after the time-out or a signal, or a negative error. */
VINE_MUST_CHECK int vine__epoll_wait(int epoll_fd, struct vine__epoll_event *ret_events, int count,
                                     uint64_t timeout_ns);

#endif
