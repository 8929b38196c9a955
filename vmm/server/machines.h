/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/machines.h - what the VM server asks of who runs its VMs, and what of who stores them:
 * an engine and a store behind two tables of calls.
 *
 * Owns:     nothing; engines and stores are their makers'.
 * Threads:  the server's one.
 * Blocking: no call waits for a VM: what becomes of one is told later, by vine__registry_tell. A
 *           store writes.
 * Trust:    names, configurations and files come from clients; the registry has looked at names and
 *           sizes alone.
 * Limits:   theirs.
 */
#ifndef VINE_VMM_SERVER_MACHINES_H
#define VINE_VMM_SERVER_MACHINES_H

#include <vine/base.h>

#include "vmm/server/clients.h"
#include "vmm/server/server_protocol.h"

#include <stddef.h>
#include <stdint.h>

#define VINE__SERVER_WHY_BYTES 240

/* X(value, word) */
#define VINE__VM_STATES(X)                                                                         \
    X(VINE__VM_OFF, "off")                                                                         \
    X(VINE__VM_STARTING, "starting")                                                               \
    X(VINE__VM_RUNNING, "running")                                                                 \
    X(VINE__VM_PAUSED, "paused")                                                                   \
    X(VINE__VM_STOPPING, "stopping")                                                               \
    X(VINE__VM_DELETED, "deleted") /* is told, and then it is not there */

enum vine__vm_state {
#define VINE__VM_STATE_VALUE(value, word) value,
    VINE__VM_STATES(VINE__VM_STATE_VALUE)
#undef VINE__VM_STATE_VALUE
};

/* What a client may upload. */
enum vine__vm_upload {
    VINE__UPLOAD_KERNEL,
    VINE__UPLOAD_INITRD,
    VINE__UPLOAD_DISK,
    VINE__UPLOAD_COUNT,
};

/* ---- an engine ------------------------------------------------------------------------------- */

struct vine__machines;

struct vine__machines_calls {
    /* Start the VM of this UID. Its states are told after this has returned, VINE__VM_OFF at last;
     * or it is refused, with a reason. *ret_console is copied. */
    enum vine_server_error (*start)(struct vine__machines *machines, const char *uid,
                                    const char *parameters, const char **ret_console,
                                    char why[VINE__SERVER_WHY_BYTES]);
    /* One that was started, and is not told off yet: press its button, and after these milliseconds
     * quit it and kill it; or kill it at once. */
    void (*stop)(struct vine__machines *machines, const char *uid, uint64_t timeout_ms);
    void (*kill)(struct vine__machines *machines, const char *uid);
    /* The last bytes of what its guest has said, at most `room`. Returns how many. */
    size_t (*log)(struct vine__machines *machines, const char *uid, char *bytes, size_t room);
};

/* The first field of an engine. */
struct vine__machines {
    const struct vine__machines_calls *calls;
};

/* ---- a store --------------------------------------------------------------------------------- */

/* What a store says of a VM. */
struct vine__store_facts {
    const char *configuration; /* JSON; until the VM is changed */
    size_t configuration_bytes;
    uint64_t memory_bytes; /* what it takes when it runs */
};

struct vine__store;

/* What is refused is refused with a reason. */
struct vine__store_calls {
    enum vine_server_error (*create)(struct vine__store *store, const char *name,
                                     char ret_uid[VINE__CLIENT_UID_BYTES],
                                     struct vine__store_facts *ret_facts,
                                     char why[VINE__SERVER_WHY_BYTES]);
    enum vine_server_error (*remove)(struct vine__store *store, const char *uid,
                                     char why[VINE__SERVER_WHY_BYTES]);
    enum vine_server_error (*configure)(struct vine__store *store, const char *uid,
                                        const char *json, size_t size,
                                        struct vine__store_facts *ret_facts,
                                        char why[VINE__SERVER_WHY_BYTES]);
    /* A file of this size, from the descriptor's beginning; which stays the caller's. */
    enum vine_server_error (*put)(struct vine__store *store, const char *uid,
                                  enum vine__vm_upload upload, int fd, uint64_t size,
                                  char why[VINE__SERVER_WHY_BYTES]);
};

struct vine__store {
    const struct vine__store_calls *calls;
};

#endif
