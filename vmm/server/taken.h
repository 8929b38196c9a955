/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/taken.h - what was taken out of a pool for a VM to run from, and is written down
 * before it is used: files in a folder of the VM's own, and taken.json, which says what they were.
 *
 * Owns:     nothing; the files are on the disk.
 * Threads:  one at a time on one VM.
 * Blocking: reads and writes of files, which are synced.
 * Trust:    the folder is the server's own, and only those files are touched whose names are told
 *           here. The record is checked as any other file: who cannot read it does not throw away
 *           what is beside it.
 * Limits:   VINE__TAKEN_FILES_MAX. Format: docs/formats/taken.md.
 */
#ifndef VINE_VMM_SERVER_TAKEN_H
#define VINE_VMM_SERVER_TAKEN_H

#include <vine/base.h>

#include "vmm/pool/roll.h"

#include <stdbool.h>
#include <stdint.h>

#define VINE__TAKEN_VERSION     1
#define VINE__TAKEN_FILES_MAX   (2 + 2 * VINE__VM_DISKS_MAX)
#define VINE__TAKEN_BYTES       4096 /* of a path, with the zero */
#define VINE__TAKEN_SCOPE_BYTES 17

struct vine__taken_file {
    enum vine__vm_file file;
    char disk[VINE__VM_NAME_BYTES];  /* of a disk */
    uint64_t size_bytes;             /* of what the pool had when it was taken out, */
    char digest[VINE__DIGEST_BYTES]; /* which is "" where nobody knows */
    bool may_be_written;
};

struct vine__taken {
    char folder[VINE__TAKEN_BYTES];
    char uid[VINE__VM_UID_BYTES];
    char name[VINE__VM_NAME_BYTES];
    char pool[VINE__POOL_NAME_BYTES];
    /* Of who took it out first, of arch/peer/identity.h; "": nobody knows. */
    char scope[VINE__TAKEN_SCOPE_BYTES];
    bool is_there; /* there is a record; else nothing in the folder counts */
    bool is_going; /* its VM is being removed: where the pool has it not, none of this counts */
    struct vine__taken_file files[VINE__TAKEN_FILES_MAX];
    uint32_t file_count;
};

/* Look after what was taken out of the VM of this UID, in a folder below `machines`. Returns 0, or
 * an error: there is a record that cannot be read. The problem says what. */
VINE_MUST_CHECK int vine__taken_load(const char *machines, const char *uid,
                                     struct vine__taken *ret_taken, struct vine__problem *problem);

/* Make its folder. Returns 0 or an error, with a problem. */
VINE_MUST_CHECK int vine__taken_begin(const struct vine__taken *taken,
                                      struct vine__problem *problem);

/* The file of it, or NULL. */
struct vine__taken_file *vine__taken_find(struct vine__taken *taken, enum vine__vm_file file,
                                          const char *disk);

/* Where it lies. Returns false: the path is too long. */
bool vine__taken_path(const struct vine__taken *taken, enum vine__vm_file file, const char *disk,
                      char ret_path[VINE__TAKEN_BYTES]);

/* The file that is open was copied, and nobody has written to it since, which is seen from now on.
 * It is on the disk. Returns 0 or an error. */
VINE_MUST_CHECK int vine__taken_mark(int fd);

/* Whether somebody has written to the file, or may have. It is there. */
bool vine__taken_is_changed(const struct vine__taken *taken, const char *path);

/* It is taken out now, by us. */
void vine__taken_begin_scope(struct vine__taken *taken);

/* Write it down; all files were. Returns 0 or an error, with a problem. */
VINE_MUST_CHECK int vine__taken_save(struct vine__taken *taken, struct vine__problem *problem);

/* Call `work` with all that was taken out and can be read, or was begun to be. */
typedef void (*vine__taken_fn)(void *context, struct vine__taken *taken);
void vine__taken_for_each(const char *machines, vine__taken_fn work, void *context);

/* All of it is of no use any more: the record first, then the files and the folder, if there is
 * nothing else in it. */
void vine__taken_discard(struct vine__taken *taken);

#endif
