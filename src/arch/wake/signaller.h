/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/wake/signaller.h - signal an eventfd that a hostile process holds too.
 *
 * Owns:     one context of the kernel's asynchronous I/O.
 * Threads:  one at a time.
 * Blocking: vine__signaller_signal never, whatever became of the eventfd: the kernel adds to it
 *           at the end of an operation, and adds nothing if it is full. A write would sleep once
 *           somebody has filled it and cleared its O_NONBLOCK. Closing: for some 30 ms.
 * Trust:    the kernel's word; none in other holders of the eventfd.
 * Limits:   1.2 us a signal, where a write takes 0.3.
 */
#ifndef VINE_ARCH_WAKE_SIGNALLER_H
#define VINE_ARCH_WAKE_SIGNALLER_H

#include <vine/base.h>

struct vine__signaller {
    unsigned long context; /* 0: none */
    int null_fd;
};

/* Returns 0 or a negative error: -ENOSYS where the kernel has no such I/O. */
VINE_MUST_CHECK int vine__signaller_open(struct vine__signaller *ret_signaller);
/* Nothing happens to a zeroed one. */
void vine__signaller_close(struct vine__signaller *signaller);

/* Add one to its count. Returns 0, or a negative error: -ENOTCONN of a zeroed signaller, -EINVAL if
 * it is no eventfd. */
VINE_MUST_CHECK int vine__signaller_signal(const struct vine__signaller *signaller, int event_fd);

#endif
