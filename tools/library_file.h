/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tools/library_file.h - a private, sealed copy of a file that may be loaded, or the reason why
 * not.
 *
 * Owns:     the descriptors that it returns are the caller's.
 * Threads:  any.
 * Blocking: for the file system.
 * Trust:    see tools/library.h. What is checked is what was opened, and what was opened is what is
 *           copied.
 * Limits:   VINE_LIBRARY_BYTES_MAX.
 */
#ifndef VINE_TOOLS_LIBRARY_FILE_H
#define VINE_TOOLS_LIBRARY_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/stat.h>

#include <vine/base.h>

#define LIBRARY_REASON_BYTES 160

/* Tells one version of a file from the next. All zero: never seen. */
struct library_identity {
    uint64_t device, inode, size_bytes;
    int64_t changed_ns, modified_ns;
};

/* Whether only the user and root may change it; if not, why is in `reason`. */
bool library_is_ours(const struct stat *status, char reason[LIBRARY_REASON_BYTES]);

bool library_is_same(const struct library_identity *one, const struct library_identity *other);

/*
 * Copy the file `name` of `directory` into a sealed memfd, unless it is `seen` already.
 * *ret_identity tells what was looked at, if it could be opened, also on failure.
 *
 * Returns 0 and the copy;
 *         -EALREADY  it is the version that was seen;
 *         -EAGAIN    it is being written: look again later;
 *         another negative code, and why in `reason`.
 */
VINE_MUST_CHECK int library_copy(int directory, const char *name,
                                 const struct library_identity *seen,
                                 struct library_identity *ret_identity, int *ret_copy,
                                 char reason[LIBRARY_REASON_BYTES]);

#endif
