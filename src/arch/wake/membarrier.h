/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/wake/membarrier.h - a full fence on every other processor, paid by the one who asks.
 *
 * Owns:     nothing; registering lasts as long as the process and is inherited by fork.
 * Threads:  any.
 * Blocking: vine__membarrier_all takes some 2 us. The first vine__membarrier_register of a process
 *           that has several threads waits until each processor has passed through its scheduler:
 *           milliseconds, and seconds where many want to run. With one thread, and ever after, it
 *           takes no time.
 * Trust:    a process that did not register is not reached. Register before telling the other side
 *           that you did; a peer that lies about it can lose its own wake-ups and nobody else's.
 * Limits:   one kernel: never between machines.
 *
 * It lets the fast side of a sleep protocol do without its fence: who goes to sleep raises its
 * flag, calls vine__membarrier_all(), and looks once more.
 */
#ifndef VINE_ARCH_WAKE_MEMBARRIER_H
#define VINE_ARCH_WAKE_MEMBARRIER_H

#include <vine/base.h>

/* Be reached by the barriers of others. Any thread, any number of times; may block the first time.
 * Returns 0, or -ENOSYS: the kernel (before 4.16, or under a filter) cannot. */
VINE_MUST_CHECK int vine__membarrier_register(void);

/* Make every thread of every registered process pass a full memory barrier. Any thread.
 * Returns 0, or -ENOSYS. */
VINE_MUST_CHECK int vine__membarrier_all(void);

#endif
