/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/peer/standard.h - the descriptors 0, 1 and 2.
 */
#ifndef VINE_ARCH_PEER_STANDARD_H
#define VINE_ARCH_PEER_STANDARD_H

/* Take the places of standard streams that a program was started without, so that no socket or
 * memory of its own comes to stand there, for others to write into. To use them goes on to be an
 * error. First of all in a program, before it has threads; fails for want of descriptors alone, and
 * then nothing else can be opened either. */
void vine__standard_hold(void);

#endif
