/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/engine/memory.h - memory that machines share, made by the host.
 *
 * Owns:     the descriptor is the caller's, to be closed with close(2).
 * Threads:  any.
 * Blocking: filling allocates pages, some milliseconds for as many MiB; so does creating, all.
 * Trust:    sealed against shrinking, growing and unsealing, so that no access of a QEMU or a host
 *           process that maps it can fault. Not against further writers, as the memory of a pipe
 *           is: QEMU maps it by itself, and anew after each start. Which guest may write is what
 *           its QEMU maps; a guest that has taken its QEMU over may write both halves of its links.
 * Limits:   sizes are powers of two, since they become a PCI BAR.
 */
#ifndef VINE_VMM_ENGINE_MEMORY_H
#define VINE_VMM_ENGINE_MEMORY_H

#include <vine/base.h>

#include <stdint.h>

/* Returns 0 and the descriptor, close-on-exec; -ENOMEM; or what the system said. */
VINE_MUST_CHECK int vine__machine_memory_create(const char *name, uint64_t size_bytes, int *ret_fd);

/* The same without its pages, which are filled from `from` on, in any pieces, before anybody writes
 * there: now, and not as a fault of whoever does so first when memory is short. */
VINE_MUST_CHECK int vine__machine_memory_create_empty(const char *name, uint64_t size_bytes,
                                                      int *ret_fd);
VINE_MUST_CHECK int vine__machine_memory_fill(int fd, uint64_t from, uint64_t size_bytes);

/* Whether it is one that was made so: of this size, and sealed. Returns 0; -EINVAL  it is not. */
VINE_MUST_CHECK int vine__machine_memory_check(int fd, uint64_t size_bytes);

/* How many bytes can be filled before the kernel ends somebody to get them: what it deems
 * available, or is left to our control group and those above it, by the files below `root` ("":
 * this machine's). Swap does not count. UINT64_MAX: nothing says. */
uint64_t vine__machine_memory_available(const char *root);

/* Map it to write. Returns 0, or what the system said. */
VINE_MUST_CHECK int vine__machine_memory_map(int fd, uint64_t size_bytes, void **ret_base);
void vine__machine_memory_unmap(void *base, uint64_t size_bytes);

#endif
