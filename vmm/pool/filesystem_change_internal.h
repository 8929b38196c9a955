/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filesystem_change_internal.h - what the two files on file systems share.
 */
#ifndef VINE_VMM_POOL_FILESYSTEM_CHANGE_INTERNAL_H
#define VINE_VMM_POOL_FILESYSTEM_CHANGE_INTERNAL_H

#include "vmm/pool/filesystem_internal.h"

/* Say an error of libext2fs about `path`. Returns it as ours; 0 for 0. */
int vine__filesystem_error(const struct vine__filesystem *filesystem, errcode_t error,
                           const char *path, struct vine__problem *problem);

/* The folder of a path, and the name in it. Returns 0; -ENOENT; -ENOTDIR; another error. */
VINE_MUST_CHECK int vine__filesystem_folder(const struct vine__filesystem *filesystem,
                                            const char *path, const char **ret_name,
                                            ext2_ino_t *ret_folder, struct vine__problem *problem);

/* What is at a path, whatever it is. Returns as that does. */
VINE_MUST_CHECK int vine__filesystem_look(const struct vine__filesystem *filesystem,
                                          const char *path, ext2_ino_t *ret_inode,
                                          struct ext2_inode *ret_record,
                                          struct vine__problem *problem);

#endif
