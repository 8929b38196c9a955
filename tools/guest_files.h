/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_files.h - the files that go into a guest, each read whole, and the shared libraries that
 * programs among them need.
 */
#ifndef VINE_TOOLS_GUEST_FILES_H
#define VINE_TOOLS_GUEST_FILES_H

#include <stddef.h>

#include "vmm/image/cpio.h"

struct guest_files {
    struct cpio_entry *entries; /* path and bytes are for free() */
    size_t count;
};

/* Read a file of ours; it is a program in the guest if it is one here. A program's libraries come
 * with it. `path` is where it goes. Returns a status; what went wrong was told. */
int guest_files_add(struct guest_files *files, const char *source, const char *path);

/* Add bytes that are for free(), and now the object's. Returns a status. */
int guest_files_add_bytes(struct guest_files *files, const char *path, void *bytes, size_t size);

/* Make them an archive. Returns a status. */
int guest_files_pack(struct guest_files *files, void **ret_bytes, size_t *ret_size);

void guest_files_free(struct guest_files *files);

/* Read a whole file for free(). Returns 0 or a negated errno. */
int guest_files_read(const char *source, void **ret_bytes, size_t *ret_size, mode_t *ret_mode);

#endif
