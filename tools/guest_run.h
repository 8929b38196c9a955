/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_run.h - the state of one `vine guest run`: its machines, its links, who may control it.
 */
#ifndef VINE_TOOLS_GUEST_RUN_H
#define VINE_TOOLS_GUEST_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "vmm/engine/engine.h"

#include "guest_attach.h"
#include "guest_console.h"
#include "guest_control.h"
#include "guest_folder.h"
#include "guest_plan.h"
#include "guest_rings.h"

struct run_values {
    const char *guest;
    const char *control, *log, *console;
    bool quiet, verbose, json, probe;
};

/* A machine of the run. */
struct guest {
    const struct guest_plan_machine *plan;
    struct vine__machine *machine; /* NULL: not made */
    char *kernel, *initrd;         /* what is made for it in the run's folder; or NULL */
    struct vine__machine_description description;
    struct guest_console console;
    bool is_started; /* told to start */
    bool has_ended;
};

/* A link of the run, of its file or plugged since. */
struct guest_link {
    struct vine__machine_link *link; /* NULL: the place is free */
    struct guest_plan_link plan;     /* its name is `name` */
    char name[VINE_STATUS_NAME_BYTES];
    struct guest_host *host; /* of the end that is a process of this machine's; or NULL */
    uint32_t places[2];
    bool is_held[2]; /* that machine has its end, or has not let go of it yet */
    bool is_going;
};

struct run {
    const struct run_values *values;
    struct guest_plan plan;
    char folder[GUEST_FOLDER_BYTES]; /* our own, for sockets and initrds */
    int folder_fd;                   /* its lock */
    char theirs[96];                 /* in it, for sockets that QEMU makes: its user's */
    char console[96];                /* of the machine that the terminal is attached to, or "" */
    struct guest_attach attach;
    enum vine__accelerator accelerator;
    uid_t user_id; /* of QEMU; 0: ours */
    gid_t group_id;
    struct guest guests[GUEST_PLAN_MACHINES_MAX];
    struct guest_link links[GUEST_PLAN_LINKS_MAX];
    struct guest_rings rings;
    struct guest_control *control;  /* NULL: nobody controls us */
    char network[112], serial[112]; /* sockets between the two machines */
    FILE *log;                      /* or NULL */
    int signal_fd;
    int hosts_fd;   /* where processes that have ends are heard; -1: none may */
    uint32_t stops; /* signals that we got */
    bool is_stopping;
    int status;
};

/* Start a machine that is off, once more or for the first time. Returns NULL, or why not. */
const char *guest_run_start(struct run *run, struct guest *guest);

/* End all of it: as by the first signal. */
void guest_run_end(struct run *run);

#endif
