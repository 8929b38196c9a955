/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utils/runtime_folder.h - where appliances are found by name.
 *
 * Owns:     nothing.
 * Threads:  any, as long as nobody changes the environment.
 * Blocking: never.
 * Trust:    the environment is the user's own. Whether the folder is, who uses it checks.
 * Limits:   none.
 */
#ifndef VINE_UTILS_RUNTIME_FOLDER_H
#define VINE_UTILS_RUNTIME_FOLDER_H

#include <stddef.h>

#include <vine/base.h>

/*
 * $XDG_RUNTIME_DIR/vine; where that is not set to an absolute path, for root /run/vine, else
 * /tmp/vine-UID. It need not exist.
 *
 * Returns 0, or -ENAMETOOLONG.
 */
VINE_MUST_CHECK int vine__runtime_folder(char *ret_path, size_t size);

#endif
