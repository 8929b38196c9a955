/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/engine/folder.h - folders in which a name of ours stays ours.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: as the file system.
 * Trust:    a path may lead anywhere, and whoever can write a folder of it may change at any moment
 *           where that is: such folders are refused.
 * Limits:   VINE__FOLDER_PATH_BYTES of a path, with all links in it, VINE__FOLDER_LINKS_MAX links.
 */
#ifndef VINE_VMM_ENGINE_FOLDER_H
#define VINE_VMM_ENGINE_FOLDER_H

#include <vine/base.h>

#define VINE__FOLDER_PATH_BYTES 1024
#define VINE__FOLDER_LINKS_MAX  16

/*
 * Whether nobody but us and root can take away or rename what is ours in the folder: it is ours or
 * root's, and nobody else writes it, or it is sticky.
 *
 * Returns 0, -EPERM, or what fstat says.
 */
VINE_MUST_CHECK int vine__folder_check(int fd);

/*
 * Open the folder that has the name which an absolute path ends with, if that path is ours to the
 * end: all folders on the way are as vine__folder_check has it, and all links ours or root's.
 *
 * Returns 0 and a descriptor (O_PATH), for close, and the name within `path`; -EINVAL: no such
 *         path; -EPERM: somebody else could change it; -ELOOP, -ENAMETOOLONG; what open says. Of
 *         these `ret_at`, if it is not NULL, says at which part of the way.
 */
VINE_MUST_CHECK int vine__folder_open_of(const char *path, const char **ret_name, int *ret_fd,
                                         char ret_at[VINE__FOLDER_PATH_BYTES]);

#endif
