/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/keeper.h - VMs that are started by nobody: when the server begins, as their autostart
 * says, and when they have ended, as their restart says.
 *
 * Owns:     a timer for each VM that has ended and is to start again; a list of those that run, in
 *           STATE/running.json, by which the next server knows. Who is in the former server's list,
 *           and whose pool was not opened yet, stays in it.
 * Threads:  the registry's.
 * Blocking: never. The list is written (saver.h) when a VM whose autostart is `as_before` has
 *           ended, and before it runs.
 * Trust:    configurations were checked; the list may be anything.
 * Limits:   none.
 *
 * Who has ended while no server ran, and was not told to, starts again as its autostart says, too.
 * Who has ended starts again after VINE__KEEPER_FIRST_NS, and after twice as long each time that
 * it ends again before it has run for VINE__KEEPER_WELL_NS; it is in VINE__VM_BACKOFF until then.
 * Whoever starts it meanwhile begins anew. One that was told to end, then too, does not start
 * again.
 */
#ifndef VINE_VMM_SERVER_KEEPER_H
#define VINE_VMM_SERVER_KEEPER_H

#include <vine/timer.h>

#include "vmm/server/registry.h"

#include <jansson.h>

#define VINE__KEEPER_FIRST_NS   (1 * UINT64_C(1000000000))
#define VINE__KEEPER_LAST_NS    (60 * UINT64_C(1000000000))
#define VINE__KEEPER_WELL_NS    (60 * UINT64_C(1000000000))
#define VINE__KEEPER_PATH_BYTES 4096

struct vine__keeper {
    struct vine__registry *registry; /* private */
    struct vine__watcher watcher;
    struct vine__restarter restarter;
    struct vine_list kept; /* VMs of which something has to be remembered */
    json_t *absent;        /* UIDs that ran before, and are not in the registry yet */
    enum vine_clock clock;
    struct vine__saved_file file;
    char path[VINE__KEEPER_PATH_BYTES];
    void (*note)(void *context, const char *uid, const char *name, const char *text);
    bool is_open;
};

/* `note` is told what somebody should know of a VM, or, without a UID, of the file that is named
 * instead. */
void vine__keeper_init(struct vine__keeper *keeper, struct vine__registry *registry,
                       struct vine__saver *saver, const char *state,
                       void (*note)(void *context, const char *uid, const char *name,
                                    const char *text));

/* Watch from now on: before a VM is resumed, which may have ended while no server ran. Once. */
void vine__keeper_begin(struct vine__keeper *keeper);

/* Of VMs that the registry has adopted since the last time, start what starts by itself; before it
 * has begun, and after it has ended, none. */
void vine__keeper_look(struct vine__keeper *keeper);

/* The list stays as it is. One that has not begun is allowed. */
void vine__keeper_fini(struct vine__keeper *keeper);

#endif
