/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program_internal.h - run a program of the system to its end: mount, umount, mkfs.ext4, e2fsck.
 */
#ifndef VINE_VMM_POOL_PROGRAM_INTERNAL_H
#define VINE_VMM_POOL_PROGRAM_INTERNAL_H

#include <vine/base.h>

#define VINE__PROGRAM_SAID_BYTES 400

/*
 * Run it, found where the system's programs are, in the locale C and without input. It has
 * `kept_fds` open, of which the last one is -1 (NULL: none): a lock that it holds on even if we are
 * killed, or a file of which it is told as /proc/self/fd/N, whatever has its name by then.
 *
 * Returns its exit code, with the last line that it said, but for indented ones, in `ret_said`; or
 * a negative error: it could not be run (-ENOENT: it is not there), or was ended by a signal
 * (-EINTR).
 */
VINE_MUST_CHECK int vine__program_run(const char *const *words, const int *kept_fds,
                                      char ret_said[VINE__PROGRAM_SAID_BYTES]);

#endif
