/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/engine/machine_internal.h - what a machine's files share: its life (machine.c), what QEMU
 * says (machine_events.c), what is plugged into it (plug.c), and its links (link.c).
 */
#ifndef VINE_VMM_ENGINE_MACHINE_INTERNAL_H
#define VINE_VMM_ENGINE_MACHINE_INTERNAL_H

#include "vmm/engine/arguments.h"
#include "vmm/engine/child.h"
#include "vmm/engine/console.h"
#include "vmm/engine/link.h"
#include "vmm/engine/machine.h"
#include "vmm/engine/qmp.h"
#include "vmm/engine/status.h"

/* One memory behind one root port, on its way in or out. Each step but FREE, PLUGGED and LEAVING
 * awaits an answer. */
enum vine__plug_step {
    VINE__PLUG_FREE,
    VINE__PLUG_ADDING_FD,
    VINE__PLUG_ADDING_MEMORY,
    VINE__PLUG_ADDING_DEVICE,
    VINE__PLUG_PLUGGED,
    VINE__PLUG_LETTING_GO, /* device_del was sent */
    VINE__PLUG_LEAVING,    /* and heard; DEVICE_DELETED is to come */
    VINE__PLUG_REMOVING_MEMORY,
    VINE__PLUG_REMOVING_FD,
};

struct vine__plug {
    enum vine__plug_step step;
    uint64_t command_id;
    uint64_t deadline_ns; /* of LEAVING */
    json_int_t fdset;     /* -1: it was inherited */
};

struct vine__place {
    struct vine__machine_link *link; /* NULL: free, unless its plugs are still on their way out */
    enum vine_status_end end;
    bool is_plugged;   /* both halves are there, or will be from the start: the page says so */
    bool is_going;     /* whatever half is there, or comes to be, is taken out again */
    char refusal[256]; /* why it is going before it was there; "": it was taken away */
    struct vine__plug plugs[2];
};

/* What QEMU says is there of a half. */
struct vine__plug_found {
    bool has_fdset;
    bool has_memory;
    bool has_device;
    json_int_t fdset;
};

/* What is asked of a QEMU that was found running. */
enum vine__adoption_question {
    VINE__ADOPTION_CONSOLE,
    VINE__ADOPTION_FDSETS,
    VINE__ADOPTION_MEMORIES,
    VINE__ADOPTION_DEVICES,
    VINE__ADOPTION_STATUS, /* the last */
    VINE__ADOPTION_QUESTIONS,
};

struct vine__adoption {
    bool has_vanished; /* its process had ended */
    uint64_t retry_ns; /* when it is connected to, while it is not */
    uint64_t tell_ns;  /* when it is told that it does not answer */
    uint64_t ids[VINE__ADOPTION_QUESTIONS];
    struct vine__plug_found halves[VINE_STATUS_LINKS_MAX][2];
};

/* How far the stopping has come. */
enum vine__stopping {
    VINE__STOPPING_NOT,
    VINE__STOPPING_BUTTON,
    VINE__STOPPING_QUIT,
    VINE__STOPPING_KILL,
};

/* An event that nobody has taken yet: most say nothing, and all of them are few. */
struct vine__told {
    enum vine__machine_event_kind kind;
    uint32_t place;
    char *text; /* NULL: "" */
};

struct vine__machine {
    uint32_t magic;
    struct vine__machine_description description;
    struct vine__machine_options options;
    char qmp_path[108];

    enum vine__machine_state state;
    enum vine__machine_end end;
    char end_text[VINE__MACHINE_TEXT_BYTES];

    int epoll_fd;
    int timer_fd;
    int console_fd;
    struct vine__child process;
    struct vine__qmp *qmp; /* NULL: none, or lost */
    bool qmp_polls_writes;

    enum vine__stopping stopping;
    uint64_t stopping_deadline_ns;
    uint64_t press_again_ns; /* while it is told by the button */
    bool was_pressed;
    uint64_t console_id;                             /* of the question for its terminal */
    char console_path[VINE__CONSOLE_TERMINAL_BYTES]; /* "": none, or not known yet */
    bool has_console_link;
    uint64_t log_check_ns; /* when its log is looked at next */
    bool log_was_told;     /* that it cannot be kept to its limit */
    uint64_t resume_id;    /* the first `cont`: its answer says that the machine has started */
    char shutdown_reason[32];
    bool has_panicked;
    bool has_run;
    bool is_killed_for;        /* it broke the protocol: end_text says how */
    uint64_t lost_deadline_ns; /* it closed its control socket: it is to end by then */

    struct vine__adoption *adoption; /* as long as not all is known of it */

    struct vine__status status;
    uint32_t doorbell_peer;
    int doorbell_fd;            /* for the next start; -1: none */
    struct vine__place *places; /* as many as the description has */

    struct vine__told events[VINE__MACHINE_EVENTS_MAX]; /* a ring */
    uint32_t event_first;
    uint32_t event_count;
};

/* machine.c */
VINE_PRINTF(4, 5)
void vine__machine_tell(struct vine__machine *machine, enum vine__machine_event_kind kind,
                        uint32_t place, const char *format, ...);
VINE_MUST_CHECK int vine__machine_command(struct vine__machine *machine, const char *command,
                                          json_t *arguments, int fd, uint64_t *ret_id);
/* Set the timer anew, since some deadline has changed. */
void vine__machine_arm(struct vine__machine *machine);
bool vine__machine_is_up(const struct vine__machine *machine);
/* Its process runs: all else follows. */
void vine__machine_begin(struct vine__machine *machine);
VINE_MUST_CHECK int vine__machine_watch(struct vine__machine *machine, int operation, int fd,
                                        uint32_t events);

/* descriptors.c: what QEMU inherits, and our own ends of its control socket and console. */
VINE_MUST_CHECK int vine__descriptors_open(struct vine__machine *machine,
                                           struct vine__arguments_descriptors *ret_descriptors,
                                           int *ret_control_fd, int *ret_console_fd, char *why,
                                           size_t why_size);
void vine__descriptors_close(struct vine__arguments_descriptors *descriptors);
/* Connect to a Unix socket. -EAGAIN: it has too many who wait, and `flags` say SOCK_NONBLOCK. */
VINE_MUST_CHECK int vine__descriptors_connect(const char *path, int flags, int *ret_fd);
uint32_t vine__descriptors_list(const struct vine__arguments_descriptors *descriptors,
                                int ret_list[VINE__CHILD_INHERITED_MAX]);

/* machine_events.c: read what QEMU has said, and see to it. */
void vine__machine_hear(struct vine__machine *machine);
/* The process is gone: say how, and tell its links. */
void vine__machine_conclude(struct vine__machine *machine);
/* Let the guest go; or say that it was found running, or standing still. */
void vine__machine_start_guest(struct vine__machine *machine);
void vine__machine_found(struct vine__machine *machine);
/* It broke the protocol. */
void vine__machine_kill_for(struct vine__machine *machine, const char *why);
/* QEMU has said where its console is. Returns whether that can be. */
bool vine__machine_take_console(struct vine__machine *machine,
                                const struct vine__qmp_message *answer);

/* adoption.c: of a machine that is being adopted. */
void vine__adoption_ask(struct vine__machine *machine);
void vine__adoption_retry(struct vine__machine *machine); /* it has closed its control socket */
bool vine__adoption_answered(struct vine__machine *machine,
                             const struct vine__qmp_message *message);
void vine__adoption_deleted(struct vine__machine *machine, const char *device);
void vine__adoption_expire(struct vine__machine *machine, uint64_t now_ns);
uint64_t vine__adoption_deadline_ns(const struct vine__machine *machine);
void vine__adoption_end(struct vine__machine *machine);

/* plug.c */
VINE_MUST_CHECK int vine__plug_in(struct vine__machine *machine, uint32_t place);
void vine__plug_out(struct vine__machine *machine, uint32_t place);
/* It was found running, with this behind the ports of a place: what is whole and has its link
 * stays, and all else goes. */
void vine__plug_found(struct vine__machine *machine, uint32_t place,
                      const struct vine__plug_found found[2]);
/* It was started: these were inherited. It is up: do what had to wait for that. */
void vine__plug_inherited(struct vine__machine *machine);
void vine__plug_resume(struct vine__machine *machine);
/* Whether the answer was for a plug. */
bool vine__plug_answered(struct vine__machine *machine, const struct vine__qmp_message *message);
void vine__plug_deleted(struct vine__machine *machine, const char *device);
void vine__plug_expire(struct vine__machine *machine, uint64_t now_ns);
uint64_t vine__plug_deadline_ns(const struct vine__machine *machine);
/* The machine is off: nothing is plugged, and what was on its way out is gone. */
void vine__plug_forget(struct vine__machine *machine);

/* link.c: what becomes of an end when its machine changes. */
void vine__machine_link_fill_arguments(const struct vine__machine_link *link,
                                       enum vine_status_end end,
                                       struct vine__arguments_link *ret_arguments);
/* The end was taken by its machine: a new generation, in this state. */
void vine__machine_link_taken(struct vine__machine_link *link, enum vine_status_end end,
                              enum vine_status_side_state state);
void vine__machine_link_set_side(struct vine__machine_link *link, enum vine_status_end end,
                                 enum vine_status_side_state state, enum vine_status_reason reason);
/* Say in the page of the end's machine that the link is there. */
void vine__machine_link_enter(struct vine__machine_link *link, enum vine_status_end end);
/* The machine has let go of it, or could not take it: the end is free, and so is the place. */
void vine__machine_link_let_go(struct vine__machine_link *link, enum vine_status_end end);
/* Another process goes on with the machine: nobody is told. */
void vine__machine_link_release(struct vine__machine_link *link, enum vine_status_end end);
/* Bring the pages of both ends up to date. */
void vine__machine_link_publish(struct vine__machine_link *link);

#endif
