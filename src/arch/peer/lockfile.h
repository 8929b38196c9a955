/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/peer/lockfile.h - one holder of a name at a time, whatever way the holder ends.
 *
 * Owns:     the lock's descriptor is the caller's; releasing closes it and removes the file.
 * Threads:  any.
 * Blocking: never.
 * Trust:    the kernel's lock (flock) decides; the pid that the file holds is told to people and
 *           decides nothing. The file lies in a folder that others cannot write. Of several
 *           processes that have its descriptor one holds the lock, as they agree.
 * Limits:   one machine; not on file systems without flock.
 *
 * Caveats:  the lock belongs to the open file, so that a child forked by the holder keeps it until
 *           it ends or calls exec.
 */
#ifndef VINE_ARCH_PEER_LOCKFILE_H
#define VINE_ARCH_PEER_LOCKFILE_H

#include <vine/base.h>

#include <stdbool.h>
#include <sys/types.h>

/*
 * Take the lock at `path`, creating the file with mode 0600.
 *
 * Returns 0         and the descriptor to keep open (close-on-exec);
 *         -EBUSY    somebody has it; `ret_holder`, if not NULL, is their pid or 0 if unknown;
 *         -ELOOP    the path is a symbolic link; another negative error.
 */
VINE_MUST_CHECK int vine__lockfile_acquire(const char *path, int *ret_fd, pid_t *ret_holder);

/* Have the file say that we hold the lock, whose descriptor another process of ours sent us. */
void vine__lockfile_say_holder(int fd);

/* Have the file say that we let go of the lock, which another process of ours has too. */
void vine__lockfile_say_let_go(int fd);

/* Whether the last one that held it said so. */
bool vine__lockfile_is_let_go(int fd);

/* Remove the file and give the lock up. */
void vine__lockfile_release(const char *path, int fd);

#endif
