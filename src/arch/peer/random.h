/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/peer/random.h - random bytes from the kernel.
 */
#ifndef VINE_ARCH_PEER_RANDOM_H
#define VINE_ARCH_PEER_RANDOM_H

#include <vine/base.h>

#include <stddef.h>

/* Fill `buffer` with bytes that nobody can predict. Any thread. Blocks only in the first moments
 * after the machine's boot. Returns 0 or a negative error, after which the buffer is undefined. */
VINE_MUST_CHECK int vine__random_bytes(void *buffer, size_t size_bytes);

#endif
