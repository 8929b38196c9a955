/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/engine_machines.h - VMs run by QEMU: struct vine__machines over vmm/engine, on a
 * thread of its own.
 *
 * Owns:     its thread, the machines that run and the links between them; some threads more
 *           where accelerators are tried; RUNTIME/machines.json.
 * Threads:  core 0's. All machines are its thread's, in one loop, which waits for none of them.
 * Blocking: never: what comes of anything is told on core 0. The thread blocks for the
 *           milliseconds in which a QEMU is executed, or a piece of a link's memory is filled.
 * Trust:    kernels, initrds and disks may be anything; a guest may have taken its QEMU over.
 * Limits:   descriptors: about eight for each VM, and those of its links.
 *
 * A link is made when both its ends are there, and goes with its application. Its appliance may end
 * and come back: it finds the link as its application has it. Whoever starts later gets it at its
 * boot, the other one has it plugged in while it runs.
 */
#ifndef VINE_VMM_SERVER_ENGINE_MACHINES_H
#define VINE_VMM_SERVER_ENGINE_MACHINES_H

#include <vine/base.h>

#include "vmm/server/machines.h"
#include "vmm/server/server_conf.h"

#include <stdbool.h>
#include <sys/types.h>

struct vine__engine_options {
    const char *runtime;       /* a folder for sockets, the server's own; short enough for them */
    const char *logs;          /* a folder for UID.log, what VMs have said */
    const char *console_links; /* a folder for UID-vttyS0 */
    const char *qemu;          /* NULL: qemu-system-x86_64 of the path */
    enum vine__server_accelerator accelerator;
    uint64_t log_bytes;
    uid_t user_id; /* of QEMU; 0: as we are */
    gid_t group_id;
    bool leaves_vms; /* they outlive the engine, however that ends */
    /* The program that serves doorbells in the background at the path that comes behind these
     * words, of which NULL is the last one. NULL: VMs have no doorbells. */
    const char *const *bells;
    /* On core 0: a VM is in that state now, as vine__registry_tell has it; and what somebody should
     * know of one, or, without a UID and perhaps within vine__engine_open, of the file that is
     * named instead. */
    void (*tell)(void *context, const char *uid, enum vine__vm_state state, const char *ended_by,
                 const char *text);
    void (*note)(void *context, const char *uid, const char *name, const char *text);
    void *context;
};

/* The options' strings are copied. Core 0. Returns 0 or an error. */
VINE_MUST_CHECK int vine__engine_open(const struct vine__engine_options *options,
                                      struct vine__machines **ret_machines);

/*
 * UIDs of VMs that a former engine has left running, as far as they have not been resumed: nobody
 * may change what they boot from, and who starts one goes on with it. The engine's, until the next
 * call. Core 0.
 */
const char (*vine__engine_left(struct vine__machines *machines,
                               uint32_t *ret_count))[VINE__VM_UID_BYTES];

/* Go on with such VMs. */
struct vine__engine_resume {
    /* Whoever asks fills in these, and leaves all of it alone until `done`... */
    struct vine__boot **boots; /* which stay as those of a start */
    uint32_t count;
    /* On core 0: this VM runs, as `found` says, which is the engine's; or that is NULL, `why` says
     * what is wrong, and nothing runs it any more. Behind the last one, `done`. */
    void (*resumed)(struct vine__engine_resume *resume, struct vine__boot *boot,
                    const struct vine__machines_found *found, const char *why);
    void (*done)(struct vine__engine_resume *resume);
    /* ...the engine's. */
    struct vine__engine *engine;
    struct vine__engine_resumed *results;
    struct vine__errand errand;
};
void vine__engine_resume(struct vine__machines *machines, struct vine__engine_resume *resume);

/* All that runs is left running, for the next engine, or else killed, and told off; then `closed`
 * is called on core 0. Nothing is asked any more. Core 0, before reactors stop. */
void vine__engine_close(struct vine__machines *machines, void (*closed)(void *context),
                        void *context);

#endif
