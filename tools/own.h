/* SPDX-License-Identifier: Apache-2.0 */
/* own.h - files that were built or installed with this command. */
#ifndef VINE_TOOLS_OWN_H
#define VINE_TOOLS_OWN_H

#include <stddef.h>

/* NAME beside this command, or in ../lib/vine from there. Returns a status, and has told if there
 * is none. */
int own_find(const char *name, char *ret_path, size_t size);

#endif
