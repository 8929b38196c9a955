/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/control.h - what the server's control socket asks for, which is no client's business:
 * who its clients are, whose VMs are whose, and what becomes of the server.
 *
 * Owns:     nothing.
 * Threads:  the registry's.
 * Blocking: never; what was asked is done when it is on the disk (saver.h).
 * Trust:    whoever is let in at the control socket may do all that the server may. What it says is
 *           checked all the same.
 * Limits:   those of clients.h.
 */
#ifndef VINE_VMM_SERVER_CONTROL_H
#define VINE_VMM_SERVER_CONTROL_H

#include "vmm/server/places.h"
#include "vmm/server/pools_file.h"
#include "vmm/server/registry.h"

/* What was asked, and takes its time: it goes on whatever becomes of who has asked. */
struct vine__control_asked {
    /* Who waits fills in these when he has got it. `done` is called when it is over, never within
     * the call that has asked. NULL: nobody waits. */
    void (*done)(struct vine__control_asked *asked);
    void *context;
    /* What came of it. */
    bool is_done;
    enum vine_server_error error;
    char why[VINE__SERVER_WHY_BYTES];
    char *text;                                         /* of POOLS: JSON */
    void (*destroy)(struct vine__control_asked *asked); /* private */
};

/* It is done: who waits is told. */
void vine__control_end(struct vine__control_asked *asked);
/* Nobody waits for it any more; it goes on, if it is not done. NULL is allowed. */
void vine__control_leave(struct vine__control_asked *asked);

struct vine__control {
    /* The program fills in these... */
    const char *path; /* of the control socket */
    const char *version;
    const struct vine__places *places;
    const char *faults;                 /* of our own files, a list as JSON; NULL: none */
    struct vine__vm_store *store;       /* of pools; NULL: there are none */
    bool mounts_pools;                  /* that are opened here, by the system */
    struct vine__pool_paths pools;      /* that were opened here, as places->state has them, */
    struct vine__saved_file pools_file; /* here */
    /* The server is to end, after the answer; and all VMs with it, or not. */
    void (*stop)(struct vine__control *control, bool stops_vms);
    /* The pool of this name was opened, and VMs of it may run already: once the registry knows,
     * perhaps within the call, vine__control_pools_settled is called, and who has opened it
     * answered. NULL: that is at once. */
    void (*opened)(struct vine__control *control, const char *pool);
    struct vine_list opening; /* control_pools.c's: who waits for that. All zero: nobody */
    /* ...and whoever serves clients these. */
    struct vine__registry *registry;
    void *server;
    /* Have the client's socket. Returns 0 or a negative error. */
    int (*open_socket)(struct vine__control *control, struct vine__client *client);
    /* End it, if there is one, and all of its connections. The client, which is in no list any
     * more, is freed. */
    void (*close_socket)(struct vine__control *control, struct vine__client *client);
};

/* Changes, which are under way when DONE is returned; any other error is a refusal, with its reason
 * in `why`.
 *
 * Add those of a text of clients.json, which are one and has no VMs; its socket is there. */
VINE_MUST_CHECK enum vine_server_error
vine__control_add_client(struct vine__control *control, const char *json, size_t size,
                         struct vine__control_asked **ret_asked, char why[VINE__SERVER_WHY_BYTES]);

/* Take one away, its socket and its connections with it. Its VMs are nobody's then, and run on. */
VINE_MUST_CHECK enum vine_server_error
vine__control_remove_client(struct vine__control *control, const char *name, size_t size,
                            struct vine__control_asked **ret_asked,
                            char why[VINE__SERVER_WHY_BYTES]);

/* The VM is that client's from then on, and nobody else's; without a name nobody's at all. */
VINE_MUST_CHECK enum vine_server_error vine__control_give_vm(struct vine__control *control,
                                                             struct vine__vm *vm, const char *name,
                                                             size_t size,
                                                             struct vine__control_asked **ret_asked,
                                                             char why[VINE__SERVER_WHY_BYTES]);

#endif
