/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/registry.h - what the server knows of its VMs: whose they are, and their states, which
 * events keep. No question touches a VM.
 *
 * Owns:     its VMs; clients, engine and store stay the caller's.
 * Threads:  one.
 * Blocking: as the store, where a VM is changed; else never.
 * Trust:    what a client asks for goes through vine__registry_find, which knows of a VM of others
 *           no more than of one that is not there: it is looked for under the client's own number.
 * Limits:   those of clients.h.
 */
#ifndef VINE_VMM_SERVER_REGISTRY_H
#define VINE_VMM_SERVER_REGISTRY_H

#include <vine/base.h>
#include <vine/hash_table.h>
#include <vine/list.h>

#include "vmm/server/machines.h"

#include <stdbool.h>

#define VINE__VM_CONSOLE_BYTES    128
#define VINE__VM_PARAMETERS_BYTES 4096

struct vine__vm {
    struct vine_hash_node of_owner, of_all;
    struct vine_list link; /* of all, in the order in which they were made */
    struct vine__client *owner;
    char uid[VINE__CLIENT_UID_BYTES];
    char name[VINE__CLIENT_NAME_BYTES];
    struct vine__store_facts facts;
    enum vine__vm_state state;
    const char *ended_by;                    /* a word, or "" */
    char ended_text[VINE__SERVER_WHY_BYTES]; /* a sentence, or "" */
    uint64_t start_count;
    char console[VINE__VM_CONSOLE_BYTES];
    char *parameters; /* of its last start, or NULL */
    uint64_t upload_bytes[VINE__UPLOAD_COUNT];
    bool is_uploading;       /* somebody is at its files, */
    uint64_t reserved_bytes; /* and will bring so much */
    bool starts_again;       /* once it is off */
};

/* Hears of what becomes of VMs. */
struct vine__watcher {
    struct vine_list link;
    /* NULL: of all VMs. */
    const struct vine__client *client;
    /* May not add or remove watchers, nor change anything of the registry. */
    void (*heard)(struct vine__watcher *watcher, const struct vine__vm *vm);
};

struct vine__registry {
    struct vine__clients *clients; /* whoever has made the registry fills in these... */
    struct vine__machines *machines;
    struct vine__store *store;
    const char *clients_path;  /* where they are saved after each change; NULL: nowhere */
    const char *upload_folder; /* where what comes is kept until all of it has */
    struct vine_hash_table of_owner, of_all; /* ...and the rest is its own */
    struct vine_list vms;
    struct vine_list watchers;
    uint32_t count;
};

void vine__registry_init(struct vine__registry *registry, struct vine__clients *clients,
                         struct vine__machines *machines, struct vine__store *store);
void vine__registry_fini(struct vine__registry *registry);

/* The VM of this UID among those of the client, or with NULL among all; or NULL. Any bytes. */
struct vine__vm *vine__registry_find(const struct vine__registry *registry,
                                     const struct vine__client *client, const char *uid,
                                     size_t size);

/* One that the store has already: its owner is the client that has its UID, or nobody, and then it
 * is found among all alone. Returns 0 or -ENOMEM. */
VINE_MUST_CHECK int vine__registry_adopt(struct vine__registry *registry, const char *uid,
                                         const char *name, const struct vine__store_facts *facts,
                                         const uint64_t upload_bytes[VINE__UPLOAD_COUNT]);

/* Those of the client, or with NULL all, in the order in which they were made; for free(). NULL: no
 * memory. */
VINE_MUST_CHECK struct vine__vm **vine__registry_collect(const struct vine__registry *registry,
                                                         const struct vine__client *client,
                                                         uint32_t *ret_count);

/* Changes of a client's VMs, which are refused with a reason. */
VINE_MUST_CHECK enum vine_server_error vine__registry_create(struct vine__registry *registry,
                                                             struct vine__client *client,
                                                             const char *name, size_t size,
                                                             struct vine__vm **ret_vm,
                                                             char why[VINE__SERVER_WHY_BYTES]);
VINE_MUST_CHECK enum vine_server_error vine__registry_remove(struct vine__registry *registry,
                                                             struct vine__vm *vm,
                                                             char why[VINE__SERVER_WHY_BYTES]);
VINE_MUST_CHECK enum vine_server_error vine__registry_configure(struct vine__registry *registry,
                                                                struct vine__vm *vm,
                                                                const char *json, size_t size,
                                                                char why[VINE__SERVER_WHY_BYTES]);

/* Its execution. What becomes of it is told to watchers. */
VINE_MUST_CHECK enum vine_server_error vine__registry_start(struct vine__registry *registry,
                                                            struct vine__vm *vm,
                                                            const char *parameters, size_t size,
                                                            char why[VINE__SERVER_WHY_BYTES]);
VINE_MUST_CHECK enum vine_server_error vine__registry_stop(struct vine__registry *registry,
                                                           struct vine__vm *vm, uint64_t timeout_ms,
                                                           bool starts_again);
VINE_MUST_CHECK enum vine_server_error vine__registry_kill(struct vine__registry *registry,
                                                           struct vine__vm *vm);

/* For engines: the VM of this UID is in that state now. With VINE__VM_OFF come what ended it, a
 * word that stays, and a sentence. */
void vine__registry_tell(struct vine__registry *registry, const char *uid,
                         enum vine__vm_state state, const char *ended_by, const char *text);

/* What a client's VMs take: memory of those that are not off; all that was uploaded or is now. */
uint64_t vine__registry_memory(const struct vine__registry *registry,
                               const struct vine__client *client);
uint64_t vine__registry_disk(const struct vine__registry *registry,
                             const struct vine__client *client);

void vine__registry_watch(struct vine__registry *registry, struct vine__watcher *watcher);
void vine__registry_unwatch(struct vine__watcher *watcher);

const char *vine__vm_state_word(enum vine__vm_state state);
/* Returns false: it is no state's word. */
bool vine__vm_state_read(const char *word, size_t size, enum vine__vm_state *ret_state);

#endif
