/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/engine_internal.h - what the engine's files share: its thread and loop
 * (engine_machines.c), a VM's life (engine_vm.c), its accelerator (engine_probe.c), links
 * (engine_links.c) and what they bring beside them (engine_wires.c), doorbells (engine_bells.c),
 * what outlives us (engine_kept.c). All of it is the thread's but where it says otherwise.
 */
#ifndef VINE_VMM_SERVER_ENGINE_INTERNAL_H
#define VINE_VMM_SERVER_ENGINE_INTERNAL_H

#include <vine/list.h>

#include "arch/wake/signaller.h"
#include "vmm/engine/engine.h"
#include "vmm/server/engine_machines.h"

#include <jansson.h>
#include <stdbool.h>

#define VINE__ENGINE_PATH_BYTES 4096
#define VINE__ENGINE_PROBERS    8

struct vine__engine_bells {
    int control_fd;                   /* -1: not connected */
    uint64_t retry_ns;                /* not before then; VINE_FOREVER: VMs have none */
    bool was_there;                   /* and is to be there again, if it ends */
    struct vine__signaller signaller; /* by this: QEMU, which the guest may rule, has eventfds */
};

struct vine__engine {
    struct vine__machines base;
    struct vine__engine_options options; /* which nobody changes */
    char *texts[5];                      /* of which its strings are */
    struct vine__errands *errands;       /* ours; core 0's, but to run them and to return */
    /* Core 0's; NULL: there is nothing to try. A client's VMs have one of them, so that whoever
     * brings kernels that do not boot waits for them himself. */
    struct vine__errands *probers[VINE__ENGINE_PROBERS];
    void (*closed)(void *context); /* core 0's */
    void *closed_context;
    int epoll_fd;
    struct vine_list vms;
    struct vine_list links;
    struct vine_list starts; /* that wait for a link's memory */
    struct vine__engine_bells bells;
    struct vine__groups *groups;            /* NULL: there are none, or none was wanted yet */
    char no_groups[VINE__SERVER_WHY_BYTES]; /* why not; "": it is not known */
    /* What a former engine has left running, as it has written that down, until it is adopted. */
    json_t *left, *left_links;
    char (*left_uids)[VINE__VM_UID_BYTES]; /* core 0's copy */
    uint32_t left_count;
    uint64_t link_number; /* of the next one that is made */
    bool is_changed;      /* something is to be written down */
};

/* Sockets of an appliance beside a link, kept by both ends. */
enum vine__engine_wire {
    VINE__ENGINE_NETWORK,
    VINE__ENGINE_SERIAL,
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
    char *parameters; /* as they came, */
    char *words;      /* and cut */
    const char **kernel_options;
    char *console, *log; /* paths */
    char *wires[VINE__ENGINE_WIRE_COUNT];
    uint64_t stop_deadline_ns; /* of CLOCK_MONOTONIC; VINE_FOREVER: it is not being stopped */
    bool starts_again;         /* then; for who comes after us */
    bool is_adopted;
    uint32_t bell;  /* its number there; VINE_STATUS_NO_DOORBELL */
    int changes_fd; /* rung when its status page has changed; -1 */
};

struct vine__engine_link {
    struct vine_list node;
    char name[VINE_STATUS_NAME_BYTES];
    char uids[2][VINE__VM_UID_BYTES]; /* by enum vine_status_end */
    struct vine__machine_link *link;
    uint64_t size_bytes; /* of each half */
    int filled;      /* 0; -EAGAIN: it is being filled, and nobody has it; or why it could not be */
    uint64_t number; /* by which its halves are kept, once they are full */
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
struct vine__engine_start {
    const struct vine__boot *boot;
    const char *parameters;
    enum vine__accelerator accelerator;
    struct vine__console_owner owner; /* of its console */
    bool is_adopted;                  /* it runs: */
    uint32_t doorbell_vectors;        /* with so many */
};
/* Let QEMU's user read what it boots from. Any thread. */
bool vine__engine_give(const struct vine__engine_options *options, const struct vine__boot *boot);
/* Make a VM that is off. Returns an error, and why. */
enum vine_server_error vine__engine_make(struct vine__engine *engine,
                                         const struct vine__engine_start *start,
                                         struct vine__engine_vm **ret_vm,
                                         char why[VINE__SERVER_WHY_BYTES]);
/* One that is off is gone; its links lose it. */
void vine__engine_unmake(struct vine__engine_vm *vm);
/* Returns an error, and why. */
enum vine_server_error vine__engine_run(struct vine__engine *engine,
                                        const struct vine__engine_start *start,
                                        char why[VINE__SERVER_WHY_BYTES],
                                        char console[VINE__VM_CONSOLE_BYTES]);
/* Where others find its console: the link, or the terminal where that could not be made; "": it is
 * not known yet. */
const char *vine__engine_console(const struct vine__engine_vm *vm);
void vine__engine_stop(struct vine__engine_vm *vm, uint64_t timeout_ms, bool starts_again);
/* Its descriptor is readable. It may be gone afterwards. */
void vine__engine_hear(struct vine__engine_vm *vm);
/* Whoever should have powered off by now is told to quit. Returns when to look again. */
uint64_t vine__engine_expire(struct vine__engine *engine, uint64_t now_ns);
/* Kill all; or leave all as they are, for the next engine. */
void vine__engine_kill_all(struct vine__engine *engine);
void vine__engine_release_all(struct vine__engine *engine);

/* engine_probe.c, on a thread of its own: what runs it, and why. */
enum vine__accelerator vine__engine_probe(const struct vine__engine_options *options,
                                          const struct vine__boot *boot, uint32_t number,
                                          char why[VINE__PROBE_TEXT_BYTES]);

/* What one that was killed while it tried has left there; what it knew stays. */
void vine__engine_probe_clear(const struct vine__engine_options *options, uint32_t number);

/* engine_links.c: what becomes of links when a VM... */
/* ...is to start: what is missing is made. Returns false: not before it is full, or has failed. */
bool vine__engine_links_prepare(struct vine__engine *engine, const struct vine__boot *boot);
/* ...is not to, any more. */
void vine__engine_links_abandon(struct vine__engine *engine, const char *uid);
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
/* Take one from both its ends. */
void vine__engine_links_remove(struct vine__engine *engine, struct vine__engine_link *link);
/* Fill a piece of one that is being filled; whether there is none. */
void vine__engine_links_fill(struct vine__engine *engine);
bool vine__engine_links_are_filled(const struct vine__engine *engine);
/* Leave all as they are. */
void vine__engine_links_release(struct vine__engine *engine);

/* engine_kept.c: what is kept for the next engine, */
void vine__engine_keep_pages(const struct vine__engine_vm *vm);
/* That it has a process, from when that is there: the bells are, as long as it runs. */
void vine__engine_keep_process(const struct vine__engine_vm *vm);
void vine__engine_forget_run(const struct vine__engine_vm *vm);
/* Whoever has kept it has ended: all of it is with the next one. */
void vine__engine_keep_all(struct vine__engine *engine);
void vine__engine_keep_link(struct vine__engine *engine, struct vine__engine_link *link);
void vine__engine_forget_link(struct vine__engine *engine, const struct vine__engine_link *link);
/* Returns 0 or an error: then it is tried again with the next change. */
int vine__engine_save(struct vine__engine *engine);
/* and what a former one has: read before the thread is there; adopted. */
void vine__engine_load(struct vine__engine *engine);
bool vine__engine_is_left(const struct vine__engine *engine, const char *uid);
enum vine_server_error vine__engine_adopt(struct vine__engine *engine,
                                          const struct vine__boot *boot,
                                          char why[VINE__SERVER_WHY_BYTES],
                                          struct vine__engine_vm **ret_vm);
/* End one that was left. Returns false: it was not. */
bool vine__engine_end_left(struct vine__engine *engine, const char *uid);
void vine__engine_adopt_links(struct vine__engine *engine);

/* engine_wires.c: the networks and serial ports that a VM's links bring are described; and their
 * sockets are forgotten, and removed, or left to who runs on. */
enum vine_server_error vine__engine_wires(struct vine__engine_vm *vm,
                                          char why[VINE__SERVER_WHY_BYTES]);
void vine__engine_unwire(struct vine__engine_vm *vm, bool removes);

/* engine_bells.c */
void vine__engine_bells_open(struct vine__engine *engine);
void vine__engine_bells_close(struct vine__engine *engine);
/* The connection says something: it is lost, since nothing is said unasked. */
void vine__engine_bells_lose(struct vine__engine *engine);
/* Have another one. Returns when to try again. */
uint64_t vine__engine_bells_renew(struct vine__engine *engine, uint64_t now_ns);
/* Before a VM's machine is made: whether it may have a doorbell. */
bool vine__engine_bells_are_there(struct vine__engine *engine);
/* Give it one. Returns false: there is none for it. */
bool vine__engine_bells_add(struct vine__engine_vm *vm);
/* One that was adopted has this one. */
void vine__engine_bells_resume(struct vine__engine_vm *vm, uint32_t bell);
void vine__engine_bells_remove(struct vine__engine_vm *vm);
/* Without that: it goes on. */
void vine__engine_bells_leave(struct vine__engine_vm *vm);
/* Two VMs are linked; or are no more. */
void vine__engine_bells_allow(const struct vine__engine_vm *one,
                              const struct vine__engine_vm *other);
void vine__engine_bells_forbid(const struct vine__engine_vm *one,
                               const struct vine__engine_vm *other);
void vine__engine_bells_ring(void *context, struct vine__machine *machine);

/* Descriptors that outlive us, by names. Returns one, the caller's; -1: there is none. */
void vine__engine_keep(struct vine__engine *engine, const char *name, int fd);
int vine__engine_kept(struct vine__engine *engine, const char *name);
void vine__engine_forget(struct vine__engine *engine, const char *name);

#endif
