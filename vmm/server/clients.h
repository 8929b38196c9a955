/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/clients.h - who may do what: each client's socket, permissions, limits and VMs.
 *
 * Owns:     its clients, in memory; they are the same after vine__clients_print and _parse.
 * Threads:  one at a time on one list.
 * Blocking: _load reads a file (state_file.h); others never.
 * Trust:    a file may hold anything: what is wrong is told by where it is, and nothing of it is
 *           taken.
 * Limits:   the constants. Format: docs/formats/clients.md.
 *
 * A VM belongs to one client at most, and a socket's path to one; the list keeps that so.
 */
#ifndef VINE_VMM_SERVER_CLIENTS_H
#define VINE_VMM_SERVER_CLIENTS_H

#include <vine/base.h>

#include "vmm/pool/names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define VINE__CLIENTS_VERSION   1
#define VINE__CLIENTS_MAX       4096
#define VINE__CLIENT_NAME_BYTES 32   /* with the zero; [A-Za-z0-9_-]+ */
#define VINE__CLIENT_PATH_BYTES 108  /* with the zero; of sockets */
#define VINE__CLIENT_UID_BYTES  33   /* with the zero; a VM's, 32 hexadecimal digits */
#define VINE__CLIENTS_VMS_MAX   8192 /* of all together */
#define VINE__CLIENTS_WHY_BYTES 256
#define VINE__CLIENT_NOBODY     UINT32_MAX /* no user, no group */

/* What all VMs of a client may have together, and one kernel. */
struct vine__client_limits {
    uint32_t vms;
    uint64_t memory_bytes; /* of those that run */
    uint32_t kernel_bytes; /* of a kernel, and of an initrd */
    uint64_t disk_bytes;   /* of all that was uploaded */
};

struct vine__client_vm {
    char uid[VINE__CLIENT_UID_BYTES];
    /* The pool that has it, or is just getting it, or losing it: where it has not when it is
     * opened, there is no such VM any more. "": nobody knows, until one is opened that has it. */
    char pool[VINE__POOL_NAME_BYTES];
};

struct vine__client {
    char name[VINE__CLIENT_NAME_BYTES];
    char path[VINE__CLIENT_PATH_BYTES];
    uint32_t mode;        /* of the socket, 0 to 0777 */
    uint32_t user, group; /* whose the socket is; VINE__CLIENT_NOBODY: the server's own */
    uint16_t permissions; /* enum vine_server_permission */
    char pool[VINE__POOL_NAME_BYTES]; /* where its VMs are made; "": it can make none */
    struct vine__client_limits limits;
    struct vine__client_vm *vms; /* in the order in which they were made */
    uint32_t vm_count;
    char fault[VINE__CLIENTS_WHY_BYTES]; /* why its socket is not there; "": it is */
    bool is_new;     /* it is not on the disk yet: what it has may be taken from it again; */
    bool is_leaving; /* or is on the disk still. It is in no text for the file */
};

/* All zero: none. */
struct vine__clients {
    struct vine__client **all; /* each stays where it is until it is removed */
    uint32_t count;
};

void vine__clients_fini(struct vine__clients *clients);

/* Read them out of a text; `file` is how it is called in `why`. Returns 0; -EINVAL, and `why` says
 * what is wrong where; -ENOMEM. */
VINE_MUST_CHECK int vine__clients_parse(const char *file, const char *bytes, size_t size,
                                        struct vine__clients *ret_clients,
                                        char why[VINE__CLIENTS_WHY_BYTES]);

/* The text, for free(), as it is told, and as the file has it. NULL: no memory. */
char *vine__clients_print(const struct vine__clients *clients);
char *vine__clients_print_file(const struct vine__clients *clients);

/* From the file, which may be missing: then there are none. Returns as _parse, or the error of the
 * file, with `why`. */
VINE_MUST_CHECK int vine__clients_load(const char *path, struct vine__clients *ret_clients,
                                       char why[VINE__CLIENTS_WHY_BYTES]);

/* The client of this name, of this VM; or NULL. */
struct vine__client *vine__clients_find(const struct vine__clients *clients, const char *name);
struct vine__client *vine__clients_owner(const struct vine__clients *clients, const char *uid);

/* Add one, a copy. Returns 0; -EINVAL, -EEXIST and what
 * is wrong in `why`; -ENOSPC: there are as many as may be; -ENOMEM. */
VINE_MUST_CHECK int vine__clients_add(struct vine__clients *clients,
                                      const struct vine__client *client,
                                      char why[VINE__CLIENTS_WHY_BYTES]);

/* Take one out of the list, with its VMs, for vine__client_destroy; NULL: there is none. */
VINE_MUST_CHECK struct vine__client *vine__clients_detach(struct vine__clients *clients,
                                                          const char *name);
void vine__client_destroy(struct vine__client *client);

/* The VM of this UID, of this pool, is this client's from now on. Returns 0; -EEXIST: it is
 * somebody's; -ENOSPC: there are as many as its limit says, or as may be; -EINVAL: it is no UID;
 * -ENOMEM. */
VINE_MUST_CHECK int vine__clients_give(struct vine__clients *clients, struct vine__client *client,
                                       const char *uid, const char *pool);
/* It is nobody's. Returns 0, or -ENOENT: it was not this client's. */
VINE_MUST_CHECK int vine__clients_take(struct vine__client *client, const char *uid);
/* It is of this pool. Returns as _take. */
VINE_MUST_CHECK int vine__clients_place(struct vine__client *client, const char *uid,
                                        const char *pool);

/* Whether the socket's mode admits a peer of this user, with these groups, its own among them;
 * `self` and `self_group` are the server's. */
bool vine__client_admits(const struct vine__client *client, uid_t self, gid_t self_group,
                         uid_t user, const gid_t *groups, uint32_t group_count);

#endif
