/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/pool/roll.h - the virtual machines of a pool and how large their files are: vms.json.
 *
 * Owns:     a roll holds its entries and the JSON that they were read from.
 * Threads:  one at a time on one roll.
 * Blocking: never.
 * Trust:    the text may be anything. What is wrong with one entry is that entry's problem, and the
 *           others are as they are.
 * Limits:   VINE__POOL_VMS_MAX entries. Format: docs/formats/pool.md.
 */
#ifndef VINE_VMM_POOL_ROLL_H
#define VINE_VMM_POOL_ROLL_H

#include "vmm/pool/configuration.h"
#include "vmm/pool/names.h"
#include "vmm/pool/problem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define VINE__ROLL_VERSION   1
#define VINE__ROLL_BYTES_MAX (16 * 1024 * 1024)
#define VINE__POOL_VMS_MAX   8192
#define VINE__DIGEST_BYTES   33 /* XXH3, 128 bits, in hexadecimal digits, with the zero */

struct vine__pool_file {
    bool is_there;
    uint64_t size_bytes;
    char digest[VINE__DIGEST_BYTES]; /* "": nobody has looked, as after a guest's writes */
};

struct vine__pool_disk {
    char name[VINE__VM_NAME_BYTES];
    struct vine__pool_file file;
};

struct vine__pool_entry {
    char name[VINE__VM_NAME_BYTES]; /* "": it has none that could be one */
    char uid[VINE__VM_UID_BYTES];
    char hash[VINE__VM_HASH_BYTES];
    struct vine__pool_file kernel;
    struct vine__pool_file initrd;
    struct vine__pool_disk disks[VINE__VM_DISKS_MAX];
    uint32_t disk_count;
    struct vine__problem problem;
};

struct vine__pool_roll {
    json_t *json;
    struct vine__pool_entry *entries;
    uint32_t count;
};

/* Returns 0, though entries may have problems; -EINVAL: the problem says what is wrong with all of
 * it; -ENOMEM. */
VINE_MUST_CHECK int vine__pool_roll_parse(const void *bytes, size_t size,
                                          struct vine__pool_roll *ret_roll,
                                          struct vine__problem *problem);

/* An empty one. Returns 0 or -ENOMEM. */
VINE_MUST_CHECK int vine__pool_roll_init(struct vine__pool_roll *ret_roll);

/* One that was not made, all zero, is allowed. */
void vine__pool_roll_fini(struct vine__pool_roll *roll);

/* The entry of this name, or NULL. */
const struct vine__pool_entry *vine__pool_roll_find(const struct vine__pool_roll *roll,
                                                    const char *name);

/* The entry, other than `name`'s own, that has this hash, or NULL. */
const struct vine__pool_entry *vine__pool_roll_find_hash(const struct vine__pool_roll *roll,
                                                         const char *hash, const char *name);

/* Put the entry in, in place of one of its name. Returns 0 or -ENOMEM. */
VINE_MUST_CHECK int vine__pool_roll_put(struct vine__pool_roll *roll,
                                        const struct vine__pool_entry *entry);

/* Take an entry out. */
void vine__pool_roll_remove(struct vine__pool_roll *roll, const char *name);

/* The text, for free(). NULL: no memory. */
char *vine__pool_roll_print(const struct vine__pool_roll *roll);

/* An entry as JSON, as the file has it. NULL: no memory. */
json_t *vine__pool_entry_json(const struct vine__pool_entry *entry);

#endif
