/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/upload.h - a buffer on its way from a client to the store: to a file without a name as
 * it comes, and from there as a whole.
 *
 * Owns:     of its VM the right to be changed, until the end, when it is the registry's; and the
 *           file, once it has got it.
 * Threads:  the registry's.
 * Blocking: never; whoever has the bytes makes the file and writes them, in a way of his own.
 * Trust:    bytes may be anything; as many come as were said, or it is abandoned.
 * Limits:   those of the VM's owner: of a kernel or an initrd, and of all that it has uploaded.
 */
#ifndef VINE_VMM_SERVER_UPLOAD_H
#define VINE_VMM_SERVER_UPLOAD_H

#include "vmm/server/registry.h"

/* All zero: none is under way. */
struct vine__upload {
    struct vine__registry *registry;
    struct vine__vm *vm; /* NULL: none */
    enum vine__vm_upload kind;
    int fd; /* -1: whoever writes the file has not given it yet */
    uint64_t size_bytes;
    uint64_t done_bytes;
};

/* Begin one of this size; or it is refused, with a reason. */
VINE_MUST_CHECK enum vine_server_error
vine__upload_begin(struct vine__upload *upload, struct vine__registry *registry,
                   struct vine__vm *vm, enum vine__vm_upload kind, uint64_t size_bytes,
                   char why[VINE__SERVER_WHY_BYTES]);

/* So many bytes more were written to its file, from `done_bytes` on; or there was this errno. What
 * is refused is abandoned, too. */
VINE_MUST_CHECK enum vine_server_error vine__upload_wrote(struct vine__upload *upload, size_t size,
                                                          int error,
                                                          char why[VINE__SERVER_WHY_BYTES]);

/* All of it is there, and the file, which the store closes: the store takes it, and the asker is
 * told when the VM has it, in the place of what it had. */
void vine__upload_end(struct vine__upload *upload, struct vine__asker *asker);

/* Nothing has been. None is allowed. */
void vine__upload_abandon(struct vine__upload *upload);

#endif
