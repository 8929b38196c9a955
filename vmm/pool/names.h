/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/pool/names.h - how pools and their virtual machines are called, and the files in them.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: never.
 * Trust:    a name may be anything, and need not end within what it may have.
 * Limits:   the constants.
 */
#ifndef VINE_VMM_POOL_NAMES_H
#define VINE_VMM_POOL_NAMES_H

#include <vine/base.h>

#include <stdbool.h>
#include <stdint.h>

#define VINE__POOL_NAME_BYTES 65 /* with the zero, as all of these */
#define VINE__POOL_BYTES_MIN  (UINT64_C(16) << 20)
#define VINE__VM_NAME_BYTES   32 /* what an engine's machine may be called */
#define VINE__VM_HASH_BYTES   17
#define VINE__VM_UID_BYTES    33
#define VINE__POOL_PATH_BYTES 96 /* of a file within a pool */

#define VINE__POOL_NAME_RULE                                                                       \
    "a pool's name is 1 to 64 printable ASCII characters without `/` and `..`, and does not "      \
    "begin with `.` or `-`"
#define VINE__VM_NAME_RULE "a name is 1 to 31 of A-Z, a-z, 0-9, `.`, `_`, `-`, and not `.` or `..`"

#define VINE__VM_NEW_NAME_RULE VINE__VM_NAME_RULE "; a VM's does not begin with `-`"

/* Files of a pool: below its image's root. */
#define VINE__POOL_ROLL    "vms.json"
#define VINE__POOL_KERNELS "kernels"
#define VINE__POOL_BLOCKS  "blocks"

/* Whether this path ends no piece of a sentence that it stands in: who may not be told of a file is
 * told what stands around the pieces that have a `/`. */
#define VINE__PATH_RULE "a path here has neither `: ` nor `; ` in it"
bool vine__path_is_plain(const char *path);

bool vine__pool_is_name(const char *name);
bool vine__vm_is_name(const char *name);

/* Whether a VM may get this name, which is not taken for an option. Older ones stay. */
bool vine__vm_is_new_name(const char *name);

/* 32 lower-case hexadecimal digits. */
bool vine__vm_is_uid(const char *text);

/* One that nobody has: 128 random bits. Returns 0 or the system's error. */
VINE_MUST_CHECK int vine__vm_new_uid(char ret_uid[VINE__VM_UID_BYTES]);

/* HASH of a name: FNV-1a of its bytes, 64 bits, as 16 lower-case hexadecimal digits. */
void vine__vm_hash(const char *name, char ret_hash[VINE__VM_HASH_BYTES]);

/* What a virtual machine has in a pool beside its line in vms.json. */
enum vine__vm_file { VINE__VM_CONFIGURATION, VINE__VM_KERNEL, VINE__VM_INITRD, VINE__VM_DISK };

/* "kernels/HASH.vmLinuz" and so on; `disk` is a disk's name. */
void vine__vm_path(const char *hash, enum vine__vm_file file, const char *disk,
                   char ret_path[VINE__POOL_PATH_BYTES]);

#endif
