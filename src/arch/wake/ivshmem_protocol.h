/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/wake/ivshmem_protocol.h - what QEMU's doorbell device is told over its socket, and what it
 * shows to its guest. QEMU's docs/specs/ivshmem-spec.txt is where this comes from.
 *
 * A stream of little-endian int64 messages with at most one descriptor each, from the server alone:
 * the version; the receiver's own id; VINE_IVSHMEM_MEMORY with a descriptor; and from then on an id
 * with an eventfd, once for each vector in its order, for every peer that may be rung and for the
 * receiver itself; an id without one for a peer that left.
 */
#ifndef VINE_ARCH_WAKE_IVSHMEM_PROTOCOL_H
#define VINE_ARCH_WAKE_IVSHMEM_PROTOCOL_H

#define VINE_IVSHMEM_VERSION 0
#define VINE_IVSHMEM_MEMORY  (-1)

/* Ids are below this; 0xffff is nobody's. */
#define VINE_IVSHMEM_IDS 0xffffU

/* BAR 0, 32-bit registers: the own id, and the bell, to which `peer << 16 | vector` is written. */
#define VINE_IVSHMEM_BAR_BYTES 256
#define VINE_IVSHMEM_SELF      8
#define VINE_IVSHMEM_BELL      12

#endif
