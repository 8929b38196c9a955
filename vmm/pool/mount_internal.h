/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount_internal.h - images that the system has mounted.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: mount and umount, programs of the system.
 * Trust:    mount tells what it wants; what is mounted is the kernel's word.
 * Limits:   a mount counts if this process can see it: those of other mount namespaces do not.
 */
#ifndef VINE_VMM_POOL_MOUNT_INTERNAL_H
#define VINE_VMM_POOL_MOUNT_INTERNAL_H

#include "vmm/pool/problem.h"

#include <vine/base.h>

#include <stdbool.h>

/* Mount an image read-only. What is there of it already, which an owner that was killed has left,
 * goes first. */
VINE_MUST_CHECK int vine__mount(const char *image, const char *point,
                                struct vine__problem *problem);
void vine__unmount(const char *point);

/* That nobody has this file mounted; or nobody so that the kernel writes into it, which it does
 * wherever it likes. Returns 0; -EBUSY and where, and how to end that. */
VINE_MUST_CHECK int vine__mount_check(int fd, const char *image, bool only_written,
                                      struct vine__problem *problem);

#endif
