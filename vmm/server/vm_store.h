/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/vm_store.h - what the VM server asks of whoever stores its VMs: a store behind one
 * call, which takes work and tells when it is done.
 *
 * Owns:     nothing; stores are their makers'.
 * Threads:  core 0's. A store may do its work elsewhere, and tells of it here.
 * Blocking: never.
 * Trust:    names, configurations and files come from clients; the registry has looked at names and
 *           sizes alone.
 * Limits:   theirs. At most one piece of work at a VM at a time.
 */
#ifndef VINE_VMM_SERVER_VM_STORE_H
#define VINE_VMM_SERVER_VM_STORE_H

#include "vmm/server/boot.h"
#include "vmm/server/errand.h"
#include "vmm/server/server_protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VINE__SERVER_WHY_BYTES 240

/* What a client may upload. */
enum vine__vm_upload {
    VINE__UPLOAD_KERNEL,
    VINE__UPLOAD_INITRD,
    VINE__UPLOAD_DISK, /* `root` */
    VINE__UPLOAD_COUNT,
};

/* What a store says of a VM. */
struct vine__vm_facts {
    char uid[VINE__VM_UID_BYTES];
    char name[VINE__VM_NAME_BYTES]; /* in its pool */
    char pool[VINE__POOL_NAME_BYTES];
    char *configuration; /* JSON; whoever has these facts frees it. NULL: it cannot be read */
    size_t configuration_bytes;
    char *problem;         /* why it cannot be started, or NULL; as above */
    uint64_t memory_bytes; /* what it takes when it runs, with its links */
    uint64_t upload_bytes[VINE__UPLOAD_COUNT];
    enum vine__vm_autostart autostart;
    enum vine__vm_restart restart;
    bool is_taken_out; /* something of it was, and is not back */
};

void vine__vm_facts_fini(struct vine__vm_facts *facts);

enum vine__vm_store_task {
    /* Make one, of this name and this UID, which nobody has, in this pool. */
    VINE__VM_CREATE,
    VINE__VM_REMOVE,
    /* Give it the configuration. */
    VINE__VM_CONFIGURE,
    /* Give it the file, from the descriptor's beginning. */
    VINE__VM_PUT,
    /* Take out what it boots from. Disks that were taken out before, and are not back, are what it
     * boots from again: a guest may have written to them. Of one that runs this is its boot. */
    VINE__VM_TAKE_OUT,
    /* Put back what its guest may have written. Nothing runs it any more. Where it fails all of it
     * stays where it is, until this is asked again, or it is taken out. */
    VINE__VM_PUT_BACK,
};

struct vine__vm_store_work {
    /* Whoever asks fills in these, and leaves all of it alone until `done`... */
    enum vine__vm_store_task task;
    void (*done)(struct vine__vm_store_work *work); /* on core 0, once, never within `begin` */
    const char *uid;
    const char *pool; /* which has it */
    const char *name; /* of CREATE */
    const char *json; /* of CONFIGURE */
    size_t json_bytes;
    enum vine__vm_upload upload; /* of PUT */
    int fd;                      /* the store's, which closes it: of a large file that takes long */
    uint64_t size_bytes;
    /* ...which finds here what came of it: facts are told by CREATE, CONFIGURE, PUT and PUT_BACK,
     * and the asker's from then on, as is the boot of TAKE_OUT. There are none with an error. */
    enum vine_server_error error;
    char why[VINE__SERVER_WHY_BYTES];
    bool is_in_doubt; /* with an error of CREATE or REMOVE: nobody knows whether it is there, until
                         its pool is opened again */
    struct vine__vm_facts facts;
    struct vine__boot *boot;
    /* The store's. */
    void *store, *opened, *state, *haul;
    struct vine__errand errand;
};

/* The first field of a store. */
struct vine__vm_store {
    void (*begin)(struct vine__vm_store *store, struct vine__vm_store_work *work);
};

#endif
