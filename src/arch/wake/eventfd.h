/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/wake/eventfd.h - a counter that an event loop can wait for.
 *
 * Owns:     the descriptor is the caller's; close(2) ends it.
 * Threads:  any.
 * Blocking: never, but see Caveats.
 * Trust:    draining is safe whatever another holder of the descriptor does. Signalling is for
 *           holders that trust each other.
 * Limits:   64-bit count.
 *
 * Caveats:  whoever shares an eventfd can clear its O_NONBLOCK and fill its counter; a write would
 *           then sleep for ever. Towards a hostile peer, wake by futex, by a datagram
 *           (vine__peer_send) or as arch/wake/signaller.h does.
 */
#ifndef VINE_ARCH_WAKE_EVENTFD_H
#define VINE_ARCH_WAKE_EVENTFD_H

#include <vine/base.h>

#include <stdint.h>

/* Make one: close-on-exec, non-blocking, count 0. Any thread.
 * Returns 0 and the descriptor, or a negative error. */
VINE_MUST_CHECK int vine__eventfd_create(int *ret_fd);

/* Add one to the count. Any thread; async-signal-safe. A counter that is full counts as signalled.
 * Returns 0, or a negative error. */
VINE_MUST_CHECK int vine__eventfd_signal(int fd);

/* Take the count and set it to 0. Any thread.
 * Returns 0 and the count; -EAGAIN if it is 0; another negative error. */
VINE_MUST_CHECK int vine__eventfd_drain(int fd, uint64_t *ret_count);

#endif
