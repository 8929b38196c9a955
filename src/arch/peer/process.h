/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/peer/process.h - whether another process still lives.
 *
 * Owns:     a pidfd is the caller's, to be closed with close(2).
 * Threads:  any.
 * Blocking: never (a read of /proc excepted).
 * Trust:    a pid alone says nothing, since pids are reused; a pid and its start time name a
 *           process for good, as far as this boot of the machine goes.
 * Limits:   start times count clock ticks (10 ms) since boot.
 */
#ifndef VINE_ARCH_PEER_PROCESS_H
#define VINE_ARCH_PEER_PROCESS_H

#include <vine/base.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A descriptor that stays with this very process. Any thread.
 * Returns 0; -ESRCH; -ENOSYS (kernels before 5.3, or a filter); another negative error. */
VINE_MUST_CHECK int vine__process_pidfd(pid_t pid, int *ret_pidfd);

/* Whether the process of a pidfd has ended. Any thread. Returns 1, 0, or a negative error. */
VINE_MUST_CHECK int vine__peer_is_dead(int pidfd);

/* Send a signal to the process of a pidfd. Any thread. Returns 0; -ESRCH  it has ended; another
 * negative error. */
VINE_MUST_CHECK int vine__process_signal(int pidfd, int number);

/* When a process started, in ticks since boot. Any thread.
 * Returns 0; -ESRCH if there is none, or only its zombie; another negative error. */
VINE_MUST_CHECK int vine__process_start_time(pid_t pid, uint64_t *ret_ticks);

/* Whether the process that had this pid and start time still runs; a zombie does not. Any thread.
 * Where /proc cannot be read, a pid that exists counts as alive. */
bool vine__process_is_alive(pid_t pid, uint64_t start_ticks);

#endif
