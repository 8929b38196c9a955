/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/registry.h - what the server knows of its VMs: whose they are, and their states, which
 * events keep; and what is under way with each. No question touches a VM.
 *
 * Owns:     its VMs; clients, engine and store stay the caller's.
 * Threads:  core 0's.
 * Blocking: never. What takes long is work of a store, an engine or a saver: it goes on whatever
 *           becomes of who has asked for it, who is told when it is done.
 * Trust:    what a client asks for goes through vine__registry_find, which knows of a VM of others
 *           no more than of one that is not there: it is looked for under the client's own number.
 * Limits:   those of clients.h.
 */
#ifndef VINE_VMM_SERVER_REGISTRY_H
#define VINE_VMM_SERVER_REGISTRY_H

#include <vine/base.h>
#include <vine/hash_table.h>
#include <vine/list.h>

#include "vmm/server/clients.h"
#include "vmm/server/machines.h"
#include "vmm/server/saver.h"

#include <stdbool.h>
#include <stdint.h>

#define VINE__VM_PARAMETERS_BYTES 4096

/* What is under way with a VM. Only one that is idle and off is changed or started. */
enum vine__vm_phase {
    VINE__VM_IDLE,
    VINE__VM_LEFT,      /* a former engine's: it runs, and was not resumed yet; */
    VINE__VM_STUCK,     /* or could not be: a start tries again */
    VINE__VM_UPLOADING, /* a client sends a file */
    VINE__VM_CHANGING,  /* the store makes, changes or removes it */
    VINE__VM_TAKING_OUT,
    VINE__VM_EXECUTING, /* the engine starts it */
    VINE__VM_EXECUTED,  /* the engine has it */
    VINE__VM_PUTTING_BACK,
};

/* Who is told what came of a request. */
struct vine__asker {
    /* Its maker's: called once, but never within the call that has asked. */
    void (*done)(struct vine__asker *asker);
    struct vine__vm *vm; /* the registry's: at which work is under way; NULL: none is */
    /* What came of it: an error with its reason, or the UID of a VM that was made, the console of
     * one that was started. A request that is refused at once has these as well. */
    enum vine_server_error error;
    char why[VINE__SERVER_WHY_BYTES];
    char text[VINE__VM_CONSOLE_BYTES];
};

struct vine__vm {
    struct vine_hash_node of_owner, of_all;
    struct vine_list link; /* of all, in the order in which they were made */
    struct vine__client *owner;
    char uid[VINE__CLIENT_UID_BYTES];
    char name[VINE__VM_NAME_BYTES]; /* for its owner; its pool's is among the facts */
    struct vine__vm_facts facts;
    char *own_configuration; /* with its owner's names; NULL: it is that of the facts */
    enum vine__vm_state state;
    const char *ended_by;                      /* a word, or "" */
    char ended_text[VINE__SERVER_WHY_BYTES];   /* a sentence, or "" */
    char unsaved_text[VINE__SERVER_WHY_BYTES]; /* why its disks are not back in the pool, or "" */
    char noted[VINE__SERVER_WHY_BYTES];        /* what should be known of it while it runs, or "" */
    uint64_t start_count;
    char console[VINE__VM_CONSOLE_BYTES]; /* "": it is off, or that is not known yet */
    char *parameters;                     /* of its last start, or NULL */
    uint64_t reserved_bytes;              /* what an upload will bring */
    bool starts_again;                    /* once it is off */
    bool ended_unseen;                    /* while no server ran; until that is heard of */
    bool is_new; /* it was adopted, and the keeper has not looked at it yet */

    struct vine__registry *registry; /* private, from here on */
    enum vine__vm_phase phase;
    struct vine__asker *asker;   /* who waits for that; or NULL */
    struct vine__saving saving;  /* of that it is made, or removed */
    struct vine__giving *giving; /* that is under way; or NULL */
    struct vine__vm_store_work store_work;
    struct vine__machines_work machines_work;
    struct vine__boot *boot;      /* from when it was taken out until it is off */
    char *text;                   /* that the store reads */
    bool is_to_end;               /* as soon as the engine has it, */
    bool is_to_end_hard;          /* at once, or */
    uint64_t end_ms;              /* with so much time */
    enum vine_server_error error; /* why it was not started */
};

struct vine__restarter {
    /* Says of a VM that has ended whether it starts again by itself: then it is VINE__VM_BACKOFF
     * until somebody starts it, or it is told to end. It is called before anybody hears of the end,
     * and not of one that was told to end. */
    bool (*restarts)(struct vine__restarter *restarter, const struct vine__vm *vm);
    /* One starts. Returns whether that is written down, and `saving` told when it is: it does not
     * run before that. */
    bool (*remembers)(struct vine__restarter *restarter, const struct vine__vm *vm,
                      struct vine__saving *saving);
};

/* Hears of what becomes of VMs. */
struct vine__watcher {
    struct vine_list link;
    /* NULL: of all VMs. */
    const struct vine__client *client;
    /* May not add or remove watchers, nor change anything of the registry. */
    void (*heard)(struct vine__watcher *watcher, const struct vine__vm *vm);
    /* The VM was the client's, and is another's from now on. NULL: it is not told. */
    void (*lost)(struct vine__watcher *watcher, const struct vine__vm *vm);
};

struct vine__registry {
    struct vine__clients *clients; /* whoever has made the registry fills in these... */
    struct vine__machines *machines;
    struct vine__vm_store *store;
    struct vine__saved_file clients_file;    /* all zero: they are saved nowhere */
    const char *upload_folder;               /* where what comes is kept until all of it has */
    struct vine_hash_table of_owner, of_all; /* ...and the rest is its own */
    struct vine_list vms;
    struct vine_list making; /* VMs that are not there yet */
    struct vine_list watchers;
    struct vine__restarter *restarter; /* NULL: none does */
    uint32_t count;
    bool is_ending; /* nothing starts any more */
};

void vine__registry_init(struct vine__registry *registry, struct vine__clients *clients,
                         struct vine__machines *machines, struct vine__vm_store *store);
/* Neither engine nor store has any work of it. */
void vine__registry_fini(struct vine__registry *registry);

/* The VM of this UID among those of the client, or with NULL among all; or NULL. Any bytes. */
struct vine__vm *vine__registry_find(const struct vine__registry *registry,
                                     const struct vine__client *client, const char *uid,
                                     size_t size);

/*
 * One that the store has already. Its owner is the client that has its UID, or nobody, and then it
 * is found among all alone. The facts are the registry's from now on.
 *
 * Returns 0; -EEXIST: there is one of this UID; -ENOMEM. With an error they stay the caller's.
 */
VINE_MUST_CHECK int vine__registry_adopt(struct vine__registry *registry,
                                         struct vine__vm_facts *facts);

/*
 * A pool was opened, and has the VMs of these facts; and if `is_all` no others. Those that clients
 * have in it, and it has not, are theirs no more; but for those at which work is under way, which
 * tells by itself. Before the facts are adopted.
 */
void vine__registry_resolve(struct vine__registry *registry, const char *pool,
                            const struct vine__vm_facts *facts, uint32_t count, bool is_all);

/* An idle one that is off, or backs off, is not there any more; its files are, and it stays its
 * owner's. */
void vine__registry_drop(struct vine__registry *registry, struct vine__vm *vm);

/* One that is off runs already, as the engine has found: this is what it was booted from, the
 * registry's from now on. What becomes of it is told by vine__registry_tell. */
void vine__registry_resume(struct vine__vm *vm, struct vine__boot *boot,
                           const struct vine__machines_found *found);
/* Or it cannot be resumed. Until either is said, nobody changes or starts one that was left; nor
 * does anybody change it then, if the engine says that it runs still: it can be started, which
 * tries that again, and killed. */
void vine__registry_give_up(struct vine__vm *vm, const char *why);

/* Put back what was taken out of VMs that are off, and could not be, or was when another server
 * ended. */
void vine__registry_settle(struct vine__registry *registry);

/* A VM that gets another owner. */
struct vine__giving {
    /* Its maker's: called once, when that is on the disk, or not; never within the call. */
    void (*done)(struct vine__giving *giving);
    enum vine_server_error error;
    char why[VINE__SERVER_WHY_BYTES];
    struct vine__vm *vm; /* private */
    struct vine__client *to;
    struct vine__saving saving;
};

/* Whose it is: a client's, or with NULL nobody's, as soon as that is on the disk. While a request
 * is at it, it stays whose it was. With DONE it is under way; else it is refused, with a reason. */
VINE_MUST_CHECK enum vine_server_error vine__registry_give(struct vine__registry *registry,
                                                           struct vine__vm *vm,
                                                           struct vine__client *client,
                                                           struct vine__giving *giving);

/* A client is about to be removed: its VMs are nobody's. Nothing of it is kept or written. */
void vine__registry_leave(struct vine__registry *registry, const struct vine__client *client);

/* Those of the client, or with NULL all, in the order in which they were made; for free(). NULL: no
 * memory. */
VINE_MUST_CHECK struct vine__vm **vine__registry_collect(const struct vine__registry *registry,
                                                         const struct vine__client *client,
                                                         uint32_t *ret_count);

/*
 * Changes of VMs, which are under way when DONE is returned: the asker is told what came of them.
 * Any other error is a refusal, with its reason in asker->why. A file is the registry's, to close,
 * whatever comes of it. `is_owners`: who asks says and hears names of the VM's owner.
 */
VINE_MUST_CHECK enum vine_server_error vine__registry_create(struct vine__registry *registry,
                                                             struct vine__client *client,
                                                             const char *name, size_t size,
                                                             struct vine__asker *asker);
VINE_MUST_CHECK enum vine_server_error vine__registry_remove(struct vine__vm *vm, bool is_owners,
                                                             struct vine__asker *asker);
/* With names as its owner says them, or whole ones (own_names.h). */
VINE_MUST_CHECK enum vine_server_error vine__registry_configure(struct vine__vm *vm, bool is_owners,
                                                                const char *json, size_t size,
                                                                struct vine__asker *asker);
void vine__registry_put(struct vine__vm *vm, enum vine__vm_upload upload, int fd,
                        uint64_t size_bytes, struct vine__asker *asker);

/* Its execution, in the same way; who is told of it is so when its console is there. What becomes
 * of it then is told to watchers. */
VINE_MUST_CHECK enum vine_server_error vine__registry_start(struct vine__vm *vm,
                                                            const char *parameters, size_t size,
                                                            struct vine__asker *asker);
/* One that is off starts again by itself, as its restarter knows. Not within what is heard. */
void vine__registry_back_off(struct vine__vm *vm);
/* These have begun when they return. Of one that backs off they are done: it is off, or started. */
VINE_MUST_CHECK enum vine_server_error vine__registry_stop(struct vine__vm *vm, uint64_t timeout_ms,
                                                           bool starts_again,
                                                           char why[VINE__SERVER_WHY_BYTES]);
VINE_MUST_CHECK enum vine_server_error vine__registry_kill(struct vine__vm *vm,
                                                           char why[VINE__SERVER_WHY_BYTES]);

/* All that run are stopped, as one by itself is, and from now on nothing starts, by whomever. */
void vine__registry_stop_all(struct vine__registry *registry);

/* Who has asked is not told any more; the work goes on. One who has not is allowed. */
void vine__registry_unask(struct vine__asker *asker);

/* For engines: the VM of this UID is in that state now. With VINE__VM_OFF come what ended it, a
 * word that stays, and a sentence; with others the text is its console's path, or "". */
void vine__registry_tell(struct vine__registry *registry, const char *uid,
                         enum vine__vm_state state, const char *ended_by, const char *text);

/* And what somebody should know of one that runs, or is found to: until it has ended. */
void vine__registry_note(struct vine__vm *vm, const char *text);

/* Have the list of clients written (saver.h); and what a client is told of the error of that. */
void vine__registry_save(struct vine__registry *registry, struct vine__saving *saving);
VINE_MUST_CHECK enum vine_server_error vine__registry_saved(int error,
                                                            char why[VINE__SERVER_WHY_BYTES]);

/* What a client's VMs take: memory of those that are not off; all that was uploaded or is now. */
uint64_t vine__registry_memory(const struct vine__registry *registry,
                               const struct vine__client *client);
uint64_t vine__registry_disk(const struct vine__registry *registry,
                             const struct vine__client *client);

void vine__registry_watch(struct vine__registry *registry, struct vine__watcher *watcher);
void vine__registry_unwatch(struct vine__watcher *watcher);

/* Whether nothing runs it, nor is about to. */
bool vine__vm_is_off(const struct vine__vm *vm);

/* What ended it last, a word and a sentence, either perhaps "". Of one that is off and not as it
 * should be that comes first: it is `unusable`, with what is wrong with it, or `unsaved`, since its
 * disks are not back in the pool; and of one that runs what should be known of it, without a word.
 * The sentence may lie in the room. */
#define VINE__VM_END_BYTES 560
const char *vine__vm_end_word(const struct vine__vm *vm);
const char *vine__vm_end_text(const struct vine__vm *vm, char room[VINE__VM_END_BYTES]);

const char *vine__vm_state_word(enum vine__vm_state state);
/* Returns false: it is no state's word. */
bool vine__vm_state_read(const char *word, size_t size, enum vine__vm_state *ret_state);

#endif
