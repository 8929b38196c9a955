/* SPDX-License-Identifier: Apache-2.0 */
/*
 * complete_names.h - names that stand nowhere in the tables of verbs: of a VM server, asked now, or
 * in a pool that is here. What is wrong is told as ever; whoever completes keeps it from the person
 * who types.
 */
#ifndef VINE_TOOLS_COMPLETE_NAMES_H
#define VINE_TOOLS_COMPLETE_NAMES_H

/* A name, which is safe to be typed, and what it is, or NULL. */
typedef void (*complete_name_fn)(void *context, const char *name, const char *what);

/* `socket` as in vm_server_open. */
void complete_vms(const char *socket, complete_name_fn offer, void *context);
void complete_clients(const char *socket, complete_name_fn offer, void *context);

/* By their names; or by their places, FOLDER/NAME, or NAME of one that is here. */
void complete_pool_names(const char *socket, complete_name_fn offer, void *context);
void complete_pool_places(const char *socket, complete_name_fn offer, void *context);

/* The machines of the pool at this place. */
void complete_machines(const char *pool, complete_name_fn offer, void *context);

#endif
