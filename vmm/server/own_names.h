/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/own_names.h - what a client calls its VMs: one that it has made is CLIENT.NAME in its
 * pool, and NAME for the client, in configurations too.
 *
 * Owns:     nothing.
 * Threads:  core 0's.
 * Blocking: never.
 * Trust:    a client's configuration may be anything. Of machines it can name its own alone: those
 *           of others are as if they were not there.
 * Limits:   those of a configuration.
 */
#ifndef VINE_VMM_SERVER_OWN_NAMES_H
#define VINE_VMM_SERVER_OWN_NAMES_H

#include "vmm/server/registry.h"

/* The part of a whole name that this client says; all of it, if it is not made of the client's. */
const char *vine__own_name(const struct vine__client *client, const char *whole);

/* A configuration with the names of its VM's owner, for free(). NULL: it has no others, or there is
 * no memory. */
char *vine__own_names_show(const struct vine__client *owner, const char *json, size_t size);

/* Make of a sentence of the pool's one for this client, in place: its VMs are called as it calls
 * them, and a configuration is not called by its file. */
void vine__own_names_speak(const struct vine__client *client, char *sentence);

/* Whether a VM of the same pool says that it is linked to this one, which cannot be removed then;
 * and which, in its owner's words, or with `is_owners` not in whole names. */
bool vine__own_names_linked(const struct vine__vm *vm, bool is_owners,
                            char why[VINE__SERVER_WHY_BYTES]);

/* What this client says, its VMs' owner, with whole names, for free(). BAD_VALUE: what is no JSON
 * object, and a link to a VM that the client has not in this pool. */
VINE_MUST_CHECK enum vine_server_error vine__own_names_read(const struct vine__vm *vm,
                                                            const char *json, size_t size,
                                                            char **ret_whole, size_t *ret_size,
                                                            char why[VINE__SERVER_WHY_BYTES]);

#endif
