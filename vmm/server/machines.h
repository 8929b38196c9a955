/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/machines.h - what the VM server asks of who runs its VMs: an engine behind a table of
 * calls.
 *
 * Owns:     nothing; engines are their makers'.
 * Threads:  core 0's. An engine may run elsewhere, and tells of what it does here.
 * Blocking: never: what becomes of a VM is told later, by vine__registry_tell.
 * Trust:    kernel parameters come from clients, and files from them and their guests.
 * Limits:   theirs.
 */
#ifndef VINE_VMM_SERVER_MACHINES_H
#define VINE_VMM_SERVER_MACHINES_H

#include <vine/base.h>

#include "vmm/engine/description.h"
#include "vmm/server/vm_store.h"

#include <stddef.h>
#include <stdint.h>

#define VINE__VM_CONSOLE_BYTES 128

/* X(value, word) */
#define VINE__VM_STATES(X)                                                                         \
    X(VINE__VM_OFF, "off")                                                                         \
    X(VINE__VM_STARTING, "starting")                                                               \
    X(VINE__VM_RUNNING, "running")                                                                 \
    X(VINE__VM_PAUSED, "paused")                                                                   \
    X(VINE__VM_STOPPING, "stopping")                                                               \
    X(VINE__VM_BACKOFF, "backoff") /* it is off, and starts again by itself, after a while */      \
    X(VINE__VM_DELETED, "deleted") /* is told, and then it is not there */

enum vine__vm_state {
#define VINE__VM_STATE_VALUE(value, word) value,
    VINE__VM_STATES(VINE__VM_STATE_VALUE)
#undef VINE__VM_STATE_VALUE
};

struct vine__machines;

/* A start. */
struct vine__machines_work {
    /* Whoever asks fills in these, and leaves all of it alone until `done`... */
    void (*done)(struct vine__machines_work *work); /* on core 0, once, never within `start` */
    const struct vine__boot *boot;
    const char *parameters;           /* more of the kernel's command line */
    struct vine__console_owner owner; /* of its console */
    /* ...which finds here what came of it. */
    enum vine_server_error error;
    char why[VINE__SERVER_WHY_BYTES];
    char console[VINE__VM_CONSOLE_BYTES]; /* its path, or "": it is told with the state */
    /* The engine's. */
    void *machines;
    struct vine__errand errand;
};

/* A VM of a former engine that runs, or did: what the engine knows of it. */
struct vine__machines_found {
    const char *console; /* its path, or "" */
    const char *parameters;
    bool has_ended;    /* meanwhile, which is told next */
    bool is_stopping;  /* it was told to end, and that goes on with the time that it has left, */
    bool starts_again; /* and what its stop has said of that */
};

struct vine__machines_calls {
    /* Start the VM of this boot, which stays as it is until `done` has told an error, or the VM was
     * told off. It is done when QEMU was executed. States are told after that, VINE__VM_OFF at
     * last, which is told once nothing has its files any more. */
    void (*start)(struct vine__machines *machines, struct vine__machines_work *work);
    /* One that was started, and is not told off yet: press its button, and after these milliseconds
     * quit it and kill it; or kill it at once. A start that is not done may end by it, with
     * BAD_STATE, or go on, and then this is asked again. That it is to start again then is nothing
     * to the engine, but it keeps that for the next one, with all of the stop. */
    void (*stop)(struct vine__machines *machines, const char *uid, uint64_t timeout_ms,
                 bool starts_again);
    void (*kill)(struct vine__machines *machines, const char *uid);
    /* The last bytes of what its guest has said, at most `room`. Returns how many. */
    size_t (*log)(struct vine__machines *machines, const char *uid, char *bytes, size_t room);
    /* Whether a former engine has left this VM running, and this one was not told to go on with it
     * yet. It can be killed. NULL: there are none. */
    bool (*is_left)(const struct vine__machines *machines, const char *uid);
    /* Whose the console of one that was started or found is from now on. NULL: an engine that has
     * ended has none. */
    void (*give)(struct vine__machines *machines, const char *uid,
                 const struct vine__console_owner *owner);
    /* Nothing runs this VM: what a former engine has left where others look for it is taken away.
     * NULL: nothing is left. */
    void (*clear)(struct vine__machines *machines, const char *uid);
    /* There is no such VM any more: what it has said goes behind it. NULL: that is not kept. */
    void (*forget)(struct vine__machines *machines, const char *uid);
};

/* The first field of an engine. */
struct vine__machines {
    const struct vine__machines_calls *calls;
};

#endif
