/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/wake/futex.h - sleep until a 32-bit word changes, between threads or processes.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: the waits, for at most their time-out.
 * Trust:    the word may lie in memory that a peer writes: a wait reads it once, in the kernel, and
 *           decides nothing by it but to sleep. A peer can wake us for nothing or never; so each
 *           wait has a time-out, and what it waited for is checked again after it.
 * Limits:   words are naturally aligned. Time-outs are relative, of CLOCK_MONOTONIC; VINE_FOREVER
 *           means none.
 *
 * The plain calls work between processes (the word lies in memory that both map as shared, at
 * whatever address); the `_private` ones are cheaper and stay within one process. Waiting and
 * waking both work on a mapping that is read-only, if its memory is shared.
 */
#ifndef VINE_ARCH_WAKE_FUTEX_H
#define VINE_ARCH_WAKE_FUTEX_H

#include <vine/base.h>

#include <stdint.h>

/*
 * Sleep while *word == expected. Any thread.
 *
 * Returns 0             woken, perhaps for nothing, or the word differs: look again;
 *         -ETIMEDOUT    the time is over;
 *         -EINTR        a signal was handled;
 *         -EFAULT       the word is not in memory, or is private memory mapped read-only.
 */
VINE_MUST_CHECK int vine__futex_wait(const uint32_t *word, uint32_t expected, uint64_t timeout_ns);
VINE_MUST_CHECK int vine__futex_wait_private(const uint32_t *word, uint32_t expected,
                                             uint64_t timeout_ns);

/*
 * The same for a word that may lie in the memory of a device, on which nobody can sleep: there it
 * returns 0 after a tenth of a millisecond at most, so that who waits in a loop looks so often.
 */
VINE_MUST_CHECK int vine__futex_wait_or_look(const uint32_t *word, uint32_t expected,
                                             uint64_t timeout_ns);

/* Wake at most `count` sleepers. Any thread; async-signal-safe.
 * Returns the number woken, or a negative error. */
int vine__futex_wake(const uint32_t *word, int count);
int vine__futex_wake_private(const uint32_t *word, int count);

#endif
