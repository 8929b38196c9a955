/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_rings.h - the doorbells of one run: a server of bells, a peer of it for each machine, and
 * who may ring whom.
 */
#ifndef VINE_TOOLS_GUEST_RINGS_H
#define VINE_TOOLS_GUEST_RINGS_H

#include "arch/wake/signaller.h"
#include "vmm/engine/engine.h"

#include "guest_plan.h"

struct guest_rings {
    int control_fd; /* -1: there are none */
    pid_t server;   /* for people: it is no child of ours, and its number may be another's by now */
    int server_pidfd; /* -1: none */
    char socket[96];
    /* Numbers at this server, of machines and of processes that have a link's end; a server that
     * was started anew knows of none. VINE_STATUS_NO_DOORBELL, which is nobody's. */
    uint32_t ids[GUEST_PLAN_MACHINES_MAX];
    uint32_t host_ids[GUEST_PLAN_LINKS_MAX];
    int changes_fds[GUEST_PLAN_MACHINES_MAX]; /* rung when a machine's status page has changed */
    struct vine__signaller signaller; /* by this: QEMU, which the guest may rule, has them */
};

/* There are none yet. */
void guest_rings_init(struct guest_rings *rings);

/* Start the server in `folder`, and connect to it. Says what goes wrong. Returns a status. */
int guest_rings_open(struct guest_rings *rings, const char *folder);

/* Give machine `index` of the plan its doorbell. Returns a status. */
int guest_rings_add(struct guest_rings *rings, uint32_t index, struct vine__machine *machine);

/* The machine has ended, and with it its doorbell: another one for its next start. Who may ring it
 * has to be said anew. Returns 0 or a negative error. */
int guest_rings_renew(struct guest_rings *rings, uint32_t index, struct vine__machine *machine);

/* Let the machines ring each other that a link is between. Returns 0 or a negative error. */
int guest_rings_allow(struct guest_rings *rings, const struct guest_plan_link *link);

/* Let them ring each other no more: no link is between them now. It does not matter to whoever has
 * taken the link away whether that fails: a bell means no more than that somebody may look. */
void guest_rings_forbid(struct guest_rings *rings, const struct guest_plan_link *link);

/* End the server, and wait for its end. */
void guest_rings_close(struct guest_rings *rings);

#endif
