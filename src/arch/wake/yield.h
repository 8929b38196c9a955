/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/wake/yield.h - let somebody else have the processor.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: as long as the others that want this processor run; some 300 ns if nobody does.
 * Trust:    not concerned.
 * Limits:   a hint: who spins still needs a bound of its own.
 */
#ifndef VINE_ARCH_WAKE_YIELD_H
#define VINE_ARCH_WAKE_YIELD_H

/* Any thread. */
void vine__yield(void);

#endif
