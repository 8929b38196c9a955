/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/registry_internal.h - between the files that know VMs, change them and run them. */
#ifndef VINE_VMM_SERVER_REGISTRY_INTERNAL_H
#define VINE_VMM_SERVER_REGISTRY_INTERNAL_H

#include "vmm/server/registry.h"

/* registry.c */

/* A refusal: the error, with its reason. */
enum vine_server_error vine__registry_refuse(char why[VINE__SERVER_WHY_BYTES],
                                             enum vine_server_error error, const char *text);

/* A VM that was made or found is among the others from now on; or is not any more, and freed. */
void vine__registry_remember(struct vine__registry *registry, struct vine__vm *vm);
void vine__registry_forget(struct vine__registry *registry, struct vine__vm *vm);
void vine__vm_free(struct vine__vm *vm);

/* These facts are its own, in the place of those that it has. */
void vine__vm_take_facts(struct vine__vm *vm, struct vine__vm_facts *facts);

/* Nothing of a former engine's is left of it. */
void vine__vm_clear(const struct vine__registry *registry, const char *uid);

/* There is no such VM any more: nor is what it has said. */
void vine__vm_forget(const struct vine__registry *registry, const char *uid);

/* The console of one that runs is for its owner. */
void vine__vm_give_console(const struct vine__vm *vm);

/* Whether a former engine's process of it runs, as the engine says. */
bool vine__vm_is_left(const struct vine__vm *vm);

/* Tell its watchers of its state; or those of its former owner that it is another's. */
void vine__registry_hear(struct vine__registry *registry, const struct vine__vm *vm);
void vine__registry_lose(struct vine__registry *registry, const struct vine__vm *vm,
                         const struct vine__client *former);

/* Whether the client has, or is about to have, one that it calls so. */
bool vine__registry_has_name(const struct vine__registry *registry,
                             const struct vine__client *client, const char *name);

/* registry_change.c */

/* It is idle and off: nobody is at its files. */
VINE_MUST_CHECK enum vine_server_error vine__vm_check_idle(const struct vine__vm *vm,
                                                           char why[VINE__SERVER_WHY_BYTES]);

/* No request is at it, be it off or not. */
VINE_MUST_CHECK enum vine_server_error vine__vm_check_settled(const struct vine__vm *vm,
                                                              char why[VINE__SERVER_WHY_BYTES]);

/* Who waits for what is under way. */
void vine__vm_set_asker(struct vine__vm *vm, struct vine__asker *asker);
void vine__vm_answer(struct vine__vm *vm, enum vine_server_error error, const char *why,
                     const char *text);

/* Have the store do this, and then call `done`, with the VM in that phase meanwhile. What else the
 * task needs is there. */
void vine__vm_begin(struct vine__vm *vm, enum vine__vm_phase phase, enum vine__vm_store_task task,
                    void (*done)(struct vine__vm_store_work *work));

/* The VM at whose work the store was. */
struct vine__vm *vine__vm_of_work(struct vine__vm_store_work *work);

#endif
