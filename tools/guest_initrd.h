/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_initrd.h - the first file system of one machine: what `vine guest build` made, and behind
 * it an archive with what its plan says.
 */
#ifndef VINE_TOOLS_GUEST_INITRD_H
#define VINE_TOOLS_GUEST_INITRD_H

#include "guest_plan.h"

/* Make it in `folder`. Says what goes wrong. Returns a status and the path, for free(). */
int guest_initrd_make(const struct guest_plan *plan, const struct guest_plan_machine *machine,
                      const char *folder, char **ret_path);

/* Write it, `base` and what is said of the machine, to a descriptor that messages call `path`. Says
 * what goes wrong. Returns a status. */
int guest_initrd_write(int fd, const char *path, const char *base,
                       const struct guest_plan_machine *machine);

/* Copy a file, as one that everybody may read. Says what goes wrong. Returns a status. */
int guest_initrd_copy(const char *from, const char *to);

#endif
