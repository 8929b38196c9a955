/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/console/console.h - lines to somebody who may not read them.
 *
 * Owns:     nothing; the descriptor stays its owner's, flags included: others share what it is open
 *           on, so that it is not made non-blocking.
 * Threads:  any.
 * Blocking: never, for pipes and sockets. Where the kernel does not know how to write without
 *           waiting (terminals, some file systems) it is asked for room first; then another process
 *           that writes there at the same moment may take that room, and we wait for its reader.
 * Trust:    whoever has the other end may read or not.
 * Limits:   VINE__CONSOLE_BYTES_MAX at once, which pipes take whole or not at all.
 */
#ifndef VINE_ARCH_CONSOLE_CONSOLE_H
#define VINE_ARCH_CONSOLE_CONSOLE_H

#include <vine/base.h>

#define VINE__CONSOLE_BYTES_MAX 4096

/* Returns 0, -EAGAIN: there is no room now and nothing was written, or the error of write(2). */
VINE_MUST_CHECK int vine__console_write(int fd, const char *text, size_t size_bytes);

/* Wait until there may be room, or `timeout_ms` is over. */
void vine__console_wait(int fd, int timeout_ms);

#endif
