/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_memory.h - a store of VMs that is gone with the process, and does what it is
 * asked for when it is told to.
 *
 * Owns:     its VMs, and a descriptor for each file that one has.
 * Threads:  one.
 * Blocking: never.
 * Trust:    configurations may be anything: JSON of at most VINE__STORE_CONFIGURATION_BYTES_MAX
 *           without a key that is there twice, whose "memory" is a size.
 * Limits:   none of its own.
 */
#ifndef VINE_TESTS_STORE_MEMORY_H
#define VINE_TESTS_STORE_MEMORY_H

#include <vine/base.h>

#include "vmm/server/vm_store.h"

#define VINE__STORE_CONFIGURATION_BYTES_MAX (64 * 1024)
#define VINE__STORE_MEMORY_BYTES            (UINT64_C(256) << 20) /* where nothing is said */

/* Returns 0 or -ENOMEM. */
VINE_MUST_CHECK int vine__store_memory_create(struct vine__vm_store **ret_store);
void vine__store_memory_destroy(struct vine__vm_store *store);

/* Do what it was asked for first. Returns whether there was anything. */
bool vine__store_memory_step(struct vine__vm_store *store);

/* From now on all work of this kind fails in this way; with DONE it does not. */
void vine__store_memory_fail(struct vine__vm_store *store, enum vine__vm_store_task task,
                             enum vine_server_error error);

/* From now on all work of this kind is done, and told to have failed: nobody knows what came of it.
 */
void vine__store_memory_be_silent(struct vine__vm_store *store, enum vine__vm_store_task task);

/* All that it has, for free(), as are the facts. */
uint32_t vine__store_memory_list(const struct vine__vm_store *store,
                                 struct vine__vm_facts **ret_facts);

/* A file of a VM, to be read; -1: it has none. The store's. */
int vine__store_memory_file(const struct vine__vm_store *store, const char *uid,
                            enum vine__vm_upload upload);

/* Whether something of it was taken out, and is not back. */
bool vine__store_memory_is_out(const struct vine__vm_store *store, const char *uid);

#endif
