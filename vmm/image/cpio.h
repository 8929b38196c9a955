/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpio.h - an archive as the kernel unpacks it into its first file system (newc), made in memory.
 *
 * The same entries make the same bytes, whatever their order: they are sorted by path, owned by
 * root, of the year 1970, and numbered one after another. Archives may follow each other in one
 * initrd; a file in a later one replaces its namesake, so that what differs from guest to guest
 * stands in a small archive behind a large one that is made once.
 *
 * Limits: a file has less than 4 GiB, a path CPIO_PATH_MAX bytes with its zero.
 */
#ifndef VINE_VMM_IMAGE_CPIO_H
#define VINE_VMM_IMAGE_CPIO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <vine/base.h>

#define CPIO_PATH_MAX 1024

struct cpio_entry {
    const char *path;  /* without a slash before it, "." or ".." in it */
    mode_t mode;       /* with S_IFREG, S_IFDIR or S_IFLNK */
    const void *bytes; /* of a file; the target of a link; none of a directory */
    size_t size;
};

/*
 * Make an archive of these entries, and of the directories (0755) above them that are not among
 * them; the array is sorted. Its size is a multiple of 512.
 *
 * Returns 0; -EINVAL: a path or a mode is none, or a size is too large; -EEXIST: a path is there
 * twice; -ENOTDIR: a path leads through what is no directory; *ret_wrong is its entry then.
 * -ENOMEM. What it returns is for free().
 */
VINE_MUST_CHECK int cpio_make(struct cpio_entry *entries, size_t count, void **ret_bytes,
                              size_t *ret_size, const struct cpio_entry **ret_wrong);

#endif
