/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/engine/console.h - the terminal that QEMU makes of a guest's console, the symbolic link by
 * which people find it, and the log of what the guest said.
 *
 * Owns:     nothing.
 * Threads:  any; one at a time for a link, and one at a time that rotates a log.
 * Blocking: for the disk, and for nobody: what is read may be rotated meanwhile.
 * Trust:    QEMU may name any terminal: only one whose master it holds itself is taken. A link is
 *           often in a folder where everybody may write: nothing that is another's, and nothing
 *           that is no link to a terminal, is followed, replaced or removed. Whoever may write in
 *           the folder can keep a link from being made.
 * Limits:   a terminal is /dev/pts/N.
 */
#ifndef VINE_VMM_ENGINE_CONSOLE_H
#define VINE_VMM_ENGINE_CONSOLE_H

#include <vine/base.h>

#include "vmm/engine/description.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define VINE__CONSOLE_TERMINAL_BYTES 24

/*
 * The path of the terminal that a QEMU says it has made, as query-chardev names it, like
 * "pty:/dev/pts/7". From then on it is its owner's, whoever QEMU runs as.
 *
 * Returns 0; -EINVAL  no terminal is named so; -EPERM  it is not this process's; or what the system
 * said.
 */
VINE_MUST_CHECK int vine__console_terminal(pid_t pid, const char *filename,
                                           const struct vine__console_owner *owner,
                                           char ret_path[VINE__CONSOLE_TERMINAL_BYTES]);

/*
 * Make `link` lead to the terminal; one of our own that leads to some terminal is replaced.
 *
 * Returns 0; -EEXIST  something else has the name; -EPERM  others may rename what is in the folder;
 * -EINVAL  the path has no name at its end; or what the system said.
 */
VINE_MUST_CHECK int vine__console_link_make(const char *link, const char *terminal);

/* Remove it, if it is our own and leads there, or with NULL to any terminal. */
void vine__console_link_remove(const char *link, const char *terminal);

/*
 * Keep a log that somebody appends to from growing: if it is longer than so many bytes, all whole
 * blocks of it, or the last so many bytes and a block of these, become PATH.1, instead of what that
 * was before. Work that was interrupted by our end is finished. A log that is not there is short
 * enough.
 *
 * What is appended meanwhile is kept where the file system can cut off a file's beginning (ext4,
 * xfs). Where it cannot (tmpfs, btrfs), what comes between the last look at the log's length and
 * its truncation, some microseconds, is lost.
 *
 * Returns 0, or what the system said.
 */
VINE_MUST_CHECK int vine__console_log_rotate(const char *path, uint64_t bytes_max);

/* The last of what was said, at most `room` bytes, of both files, each byte once and in order.
 * Returns how many; 0 also if there is no log. */
size_t vine__console_log_tail(const char *path, char *bytes, size_t room);

/* Both files go, and what an interrupted rotation has left. Nobody appends to it, or reads it. */
void vine__console_log_remove(const char *path);

#endif
