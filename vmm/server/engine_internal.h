/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/engine_internal.h - what the engine's files share: its thread and loop
 * (engine_machines.c), a VM's life (engine_vm.c), links (engine_links.c) and what they bring beside
 * them (engine_wires.c), doorbells (engine_bells.c). All of it is the thread's but where it says
 * otherwise.
 */
#ifndef VINE_VMM_SERVER_ENGINE_INTERNAL_H
#define VINE_VMM_SERVER_ENGINE_INTERNAL_H

#include <vine/list.h>

#include "arch/wake/signaller.h"
#include "vmm/engine/engine.h"
#include "vmm/server/engine_machines.h"

#include <stdbool.h>

#define VINE__ENGINE_PATH_BYTES 4096

struct vine__engine_bells {
    int control_fd;                   /* -1: not connected */
    bool has_failed;                  /* for now: VMs that start have none */
    struct vine__signaller signaller; /* by this: QEMU, which the guest may rule, has eventfds */
};

struct vine__engine {
    struct vine__machines base;
    struct vine__engine_options options; /* which nobody changes */
    char *texts[5];                      /* of which its strings are */
    struct vine__errands *errands;       /* ours; core 0's, but to run them and to return */
    struct vine__errands *prober;        /* core 0's; NULL: there is nothing to try */
    void (*closed)(void *context);       /* core 0's */
    void *closed_context;
    int epoll_fd;
    struct vine_list vms;
    struct vine_list links;
    struct vine__engine_bells bells;
};

/* Sockets of a VM beside its links. */
enum vine__engine_wire {
    VINE__ENGINE_OWN_NETWORK,
    VINE__ENGINE_OTHER_NETWORK, /* of the VM at the other end */
    VINE__ENGINE_SERIAL,        /* the appliance's, for both */
    VINE__ENGINE_WIRE_COUNT,
};

/* A VM that runs, or is about to. */
struct vine__engine_vm {
    struct vine_list node;
    struct vine__engine *engine;
    const struct vine__boot *boot;
    struct vine__machine *machine;
    struct vine__machine_description description;
    struct vine__machine_disk disks[VINE__VM_DISKS_MAX];
    char name[VINE__MACHINE_NAME_BYTES]; /* the engine's: its UID but for the last digit */
    char *parameters;                    /* cut into words */
    const char **kernel_options;
    char *console, *log; /* paths */
    char *wires[VINE__ENGINE_WIRE_COUNT];
    uint64_t stop_deadline_ns; /* VINE_FOREVER: it is not being stopped */
    bool has_started;
    uint32_t bell;  /* its number there; VINE_STATUS_NO_DOORBELL */
    int changes_fd; /* rung when its status page has changed; -1 */
};

struct vine__engine_link {
    struct vine_list node;
    char name[VINE_STATUS_NAME_BYTES];
    char uids[2][VINE__VM_UID_BYTES]; /* by enum vine_status_end */
    struct vine__machine_link *link;
    uint32_t places[2];
    bool is_held[2]; /* that VM has its end, or has not let go of it yet */
    bool is_going;
    bool is_refused; /* one of them could not take it: until it starts anew */
};

/* engine_machines.c. For core 0 to hear. */
void vine__engine_tell(struct vine__engine *engine, const char *uid, enum vine__vm_state state,
                       const char *ended_by, const char *text);
void vine__engine_note(struct vine__engine *engine, const struct vine__boot *boot,
                       const char *format, ...) VINE_PRINTF(3, 4);

/* engine_vm.c */
struct vine__engine_vm *vine__engine_find(const struct vine__engine *engine, const char *uid);
/* Returns an error, and why. */
enum vine_server_error vine__engine_start(struct vine__engine *engine,
                                          const struct vine__boot *boot, const char *parameters,
                                          enum vine__accelerator accelerator,
                                          char why[VINE__SERVER_WHY_BYTES],
                                          char console[VINE__VM_CONSOLE_BYTES]);
void vine__engine_stop(struct vine__engine_vm *vm, uint64_t timeout_ms);
/* Its descriptor is readable. It may be gone afterwards. */
void vine__engine_hear(struct vine__engine_vm *vm);
/* Whoever should have powered off by now is told to quit. Returns when to look again. */
uint64_t vine__engine_expire(struct vine__engine *engine, uint64_t now_ns);
/* Kill all. */
void vine__engine_kill_all(struct vine__engine *engine);

/* engine_links.c: what becomes of links when a VM... */
/* ...is about to start. Returns an error, and why. */
enum vine_server_error vine__engine_links_begin(struct vine__engine_vm *vm,
                                                char why[VINE__SERVER_WHY_BYTES]);
/* ...can take what could not be given to it before; or has let go of something. */
void vine__engine_links_settle(struct vine__engine *engine);
/* ...has let go of the link in that place, or `is_refused`: it could not take it, or does not let
 * go of it. */
void vine__engine_links_gone(struct vine__engine_vm *vm, uint32_t place, bool is_refused);
/* ...has ended. */
void vine__engine_links_end(struct vine__engine_vm *vm);

/* engine_wires.c: the networks and serial ports that a VM's links bring are described; and its
 * sockets are removed, and forgotten. */
enum vine_server_error vine__engine_wires(struct vine__engine_vm *vm,
                                          char why[VINE__SERVER_WHY_BYTES]);
void vine__engine_unwire(struct vine__engine_vm *vm);

/* engine_bells.c */
void vine__engine_bells_open(struct vine__engine *engine);
void vine__engine_bells_close(struct vine__engine *engine);
/* Before a VM's machine is made: whether it may have a doorbell. */
bool vine__engine_bells_are_there(struct vine__engine *engine);
/* Give it one. Returns false: there is none for it. */
bool vine__engine_bells_add(struct vine__engine_vm *vm);
void vine__engine_bells_remove(struct vine__engine_vm *vm);
/* Two VMs are linked; or are no more. */
void vine__engine_bells_allow(const struct vine__engine_vm *one,
                              const struct vine__engine_vm *other);
void vine__engine_bells_forbid(const struct vine__engine_vm *one,
                               const struct vine__engine_vm *other);
void vine__engine_bells_ring(void *context, struct vine__machine *machine);

#endif
