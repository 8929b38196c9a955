/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/pool/change.h - a change of a pool, which is there as a whole or not at all, whatever ends
 * it: an error, a full pool, a full disk, the end of the process or of the machine's power.
 *
 *     begin, any number of steps, end
 *
 * Owns:     what a change needs, from begin to end.
 * Threads:  one at a time, that of the pool.
 * Blocking: reads and writes of files, which are synced; at the end it waits for who reads the pool
 *           just then.
 * Trust:    configurations and sources may be anything.
 * Limits:   those of NAME.json. No change makes a machine unusable that was usable, nor leaves one
 *           that it has touched unusable.
 */
#ifndef VINE_VMM_POOL_CHANGE_H
#define VINE_VMM_POOL_CHANGE_H

#include "vmm/pool/arrival.h"
#include "vmm/pool/pool.h"
#include "vmm/pool/source.h"

#include <vine/base.h>

#include <jansson.h>

struct vine__pool_change;

/* Of a pool that is owned, read in place, and loaded. What was loaded is valid until the end. */
VINE_MUST_CHECK int vine__pool_change_begin(struct vine__pool *pool,
                                            struct vine__pool_change **ret_change,
                                            struct vine__problem *problem);

/*
 * A new machine, of which nothing is there but its name and its UID (NULL: a new one): give it a
 * configuration too.
 *
 * Returns 0; -EINVAL: it can be no name, or no UID; -EEXIST: the name, its hash or the UID is
 * another machine's; -EDQUOT: there are as many as may be; another error. The problem says what, as
 * with all steps.
 */
VINE_MUST_CHECK int vine__pool_change_add(struct vine__pool_change *change, const char *name,
                                          const char *uid, struct vine__problem *problem);

/* A configuration in place of the one that the machine has. `json` is the caller's. */
VINE_MUST_CHECK int vine__pool_change_configure(struct vine__pool_change *change, const char *name,
                                                const json_t *json, struct vine__problem *problem);

/* A kernel, an initrd or a disk, in place of the one that the machine has. */
VINE_MUST_CHECK int vine__pool_change_put(struct vine__pool_change *change, const char *name,
                                          enum vine__vm_file file, const char *disk,
                                          const struct vine__source *source,
                                          struct vine__problem *problem);

/* The same of one that has arrived as a whole, ahead of the change. Of an arrival that was placed
 * nothing is left but to free it, whatever becomes of the change. */
VINE_MUST_CHECK int vine__pool_change_place(struct vine__pool_change *change, const char *name,
                                            enum vine__vm_file file, const char *disk,
                                            struct vine__arrival *arrival,
                                            struct vine__problem *problem);

/* Take an initrd or a disk away. */
VINE_MUST_CHECK int vine__pool_change_take(struct vine__pool_change *change, const char *name,
                                           enum vine__vm_file file, const char *disk,
                                           struct vine__problem *problem);

/* A machine, with all that it has. */
VINE_MUST_CHECK int vine__pool_change_remove(struct vine__pool_change *change, const char *name,
                                             struct vine__problem *problem);

/* Let it be there; or, where a step failed (`is_good` is false), let nothing have been. The pool is
 * to be loaded again; or if it cannot be read (vine__pool_can_be_read), closed. Returns 0, or an
 * error: nothing was changed, unless the problem says that the change is in the journal. */
VINE_MUST_CHECK int vine__pool_change_end(struct vine__pool_change *change, bool is_good,
                                          struct vine__problem *problem);

/* A new pool: NAME.img of this size, and NAME.json, of which `settings` is the text (NULL: without
 * limits and links). Returns 0; -EEXIST: there is one; -EINVAL; another error. */
VINE_MUST_CHECK int vine__pool_create(const char *folder, const char *name, uint64_t size_bytes,
                                      const char *settings, struct vine__problem *problem);

#endif
