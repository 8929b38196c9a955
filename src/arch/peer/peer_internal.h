/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/peer/peer_internal.h - what the files of this folder share.
 */
#ifndef VINE_ARCH_PEER_INTERNAL_H
#define VINE_ARCH_PEER_INTERNAL_H

#include "arch/peer/peer.h"

#include <poll.h>
#include <stdint.h>
#include <sys/un.h>

/* Returns 0, -EINVAL (empty) or -ENAMETOOLONG. */
int vine__peer_address(const char *path, struct sockaddr_un *ret_address);

/* The point of CLOCK_MONOTONIC that is `timeout_ns` away; 0 for no wait, VINE_FOREVER for no
 * end. */
uint64_t vine__peer_deadline(uint64_t timeout_ns);

/* The name of a process's folder below /proc: 32 bytes are enough. */
void vine__process_folder(pid_t pid, char *path, size_t size_bytes);

/* Wait until `fd` has one of `events` or has failed. Returns 0; -EAGAIN after the deadline. */
int vine__peer_poll(int fd, short events, uint64_t deadline_ns);

#endif
