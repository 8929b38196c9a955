/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/engine/machine.h - the life of one machine, as an object in a caller's poll loop.
 *
 * Owns:     QEMU's process, its control socket and the name of that, the machine's status page. The
 *           description's strings and arrays stay the caller's, as long as the machine exists.
 * Threads:  one for a machine and all those that it has links to.
 * Blocking: vine__machine_start waits until QEMU is executed, some milliseconds; nothing waits for
 *           what QEMU or a guest does. A machine that hangs costs its caller nothing.
 * Trust:    QEMU may say anything (it may have been taken over): whoever breaks the protocol is
 *           killed, and that counts as a crash.
 * Limits:   VINE__MACHINE_EVENTS_MAX events not taken: older ones make room.
 *
 * A loop over several machines polls vine__machine_fd of each for reading. When it is readable the
 * caller calls vine__machine_process, then takes events until there is none:
 *
 *     while (poll(fds, count, -1) >= 0)
 *         for (i = 0; i < count; i++) {
 *             if (fds[i].revents == 0)
 *                 continue;
 *             vine__machine_process(machines[i]);
 *             while (vine__machine_next_event(machines[i], &event))
 *                 if (event.kind == VINE__MACHINE_ENDED) ...
 *         }
 *
 * Time-outs are part of that descriptor. State can be asked for at any time and touches no machine.
 */
#ifndef VINE_VMM_ENGINE_MACHINE_H
#define VINE_VMM_ENGINE_MACHINE_H

#include <vine/base.h>

#include "vmm/engine/description.h"
#include "vmm/engine/group.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define VINE__MACHINE_TEXT_BYTES 320
#define VINE__MACHINE_EVENTS_MAX 64

struct vine__machine;

struct vine__machine_options {
    const char *folder; /* where NAME.qmp, the control socket, is put: the user's own */
    uid_t user_id;      /* QEMU runs as this user; 0: as we do. Kernel and initrd are read by it */
    gid_t group_id;
    /* It runs in a control group of its name with these limits; NULL: in ours. The groups outlive
     * the machine. */
    struct vine__groups *groups;
    struct vine__group_limits limits;
    bool dies_with_us;  /* see vmm/engine/child.h */
    bool starts_paused; /* until vine__machine_resume */
    /* 0 is the default in brackets. */
    uint64_t start_timeout_ns;   /* until QEMU takes commands (60 s) */
    uint64_t command_timeout_ns; /* until it answers one (30 s) */
    uint64_t button_timeout_ns;  /* how long a guest may take to power off when told to (30 s) */
    uint64_t quit_timeout_ns;    /* how long QEMU may take to quit (5 s) */
    uint64_t unplug_timeout_ns;  /* how long a guest may take to let go of a device (30 s) */
    uint64_t log_check_ns;       /* how often its console's log is kept to its limit (0.1 to 5 s) */
    /* Called when something in the machine's status page has changed: ring its doorbell. It must
     * not call back into the engine. */
    void (*on_page_change)(void *context, struct vine__machine *machine);
    /* Called within a start when its process is there, and is not QEMU yet: it can be identified
     * (adoption.h), and becomes QEMU once this has returned 0. If this returns an error the start
     * does; and if we end meanwhile, so does the process. NULL: nothing is to be done. */
    int (*on_process)(void *context, struct vine__machine *machine);
    void *context;
};

enum vine__machine_state {
    VINE__MACHINE_OFF,      /* not started yet, or ended: vine__machine_ended_by says how */
    VINE__MACHINE_STARTING, /* QEMU runs; its guest does not yet */
    VINE__MACHINE_RUNNING,
    VINE__MACHINE_PAUSED,
};

/* What ended it. X(value, word) */
#define VINE__MACHINE_ENDS(X)                                                                      \
    X(VINE__END_NONE, "none")           /* it was never started, or has not ended */               \
    X(VINE__END_SHUTDOWN, "shutdown")   /* the guest powered off by itself */                      \
    X(VINE__END_STOPPED, "stopped")     /* told to, the guest powered off */                       \
    X(VINE__END_QUIT, "quit")           /* told to, the guest did not; QEMU quit */                \
    X(VINE__END_KILLED, "killed")       /* told to, not even QEMU did */                           \
    X(VINE__END_RESET, "reset")         /* the guest wants to be started anew */                   \
    X(VINE__END_PANIC, "panic")         /* the guest's kernel gave up */                           \
    X(VINE__END_CRASH, "crash")         /* QEMU ended and nobody had told it to */                 \
    X(VINE__END_UNSTARTED, "unstarted") /* it ended before its guest ran */                        \
    X(VINE__END_VANISHED, "vanished")   /* it ended while nobody watched it: see adoption.h */

enum vine__machine_end {
#define VINE__MACHINE_END_VALUE(value, word) value,
    VINE__MACHINE_ENDS(VINE__MACHINE_END_VALUE)
#undef VINE__MACHINE_END_VALUE
};

enum vine__machine_event_kind {
    VINE__MACHINE_STARTED, /* the guest runs, or would if it had not been told to start paused */
    VINE__MACHINE_PAUSES,
    VINE__MACHINE_RESUMES,
    VINE__MACHINE_BUTTON,    /* the power button was pressed */
    VINE__MACHINE_RESETS,    /* the guest starts anew within the same QEMU */
    VINE__MACHINE_PLUGGED,   /* the link in `place` is there */
    VINE__MACHINE_UNPLUGGED, /* it is gone, and the place is free */
    VINE__MACHINE_REFUSED,   /* what was to be done was not; `text` says what and why. With `place`,
                               a link could not be plugged, or does not come off; without, QEMU did
                               not do it, or the link of its console or its log cannot be made */
    VINE__MACHINE_ENDED,     /* always the last one */
};

struct vine__machine_event {
    enum vine__machine_event_kind kind;
    uint32_t place;                      /* of a link; UINT32_MAX: none */
    char text[VINE__MACHINE_TEXT_BYTES]; /* for a person, without the machine's name */
};

/* Make a machine that is off. Returns 0; -EINVAL and a sentence in `why`; -ENOMEM; or what the
 * system said. */
VINE_MUST_CHECK int vine__machine_create(const struct vine__machine_description *description,
                                         const struct vine__machine_options *options,
                                         struct vine__machine **ret_machine, char *why,
                                         size_t why_size);

/* Kill it if it runs, take it out of its links, and give everything back. NULL is fine. Blocks
 * until a killed QEMU is gone. */
void vine__machine_close(struct vine__machine *machine);

/* Start it; a machine that has ended may be started again. VINE__MACHINE_STARTED follows, or
 * VINE__MACHINE_ENDED. Returns 0; -EBUSY  it runs; another negative error, and a sentence in
 * `why`. */
VINE_MUST_CHECK int vine__machine_start(struct vine__machine *machine, char *why, size_t why_size);

/* Stand still, go on. Events follow. Returns 0; -ESRCH  it does not run; -EAGAIN  it takes no
 * commands now, or too many await their answers; another negative error. */
VINE_MUST_CHECK int vine__machine_pause(struct vine__machine *machine);
VINE_MUST_CHECK int vine__machine_resume(struct vine__machine *machine);

/* End it: the power button, for which one that is paused goes on; if the guest does not power off
 * in time, quit; if QEMU does not, kill. One that is not up yet is told to quit at once.
 * VINE__MACHINE_ENDED follows.
 * Returns 0, also if it is being stopped already; -ESRCH  it is off. */
VINE_MUST_CHECK int vine__machine_stop(struct vine__machine *machine);

/* End it now, by quit (its disks are flushed) or by SIGKILL. Returns as the one above. */
VINE_MUST_CHECK int vine__machine_quit(struct vine__machine *machine);
VINE_MUST_CHECK int vine__machine_kill(struct vine__machine *machine);

/* Readable when vine__machine_process has something to do. The same as long as the machine
 * exists. */
int vine__machine_fd(const struct vine__machine *machine);
void vine__machine_process(struct vine__machine *machine);

/* Take the next event. Returns whether there was one. */
bool vine__machine_next_event(struct vine__machine *machine, struct vine__machine_event *ret_event);

/* Poll and process until there is an event. Returns 0; -ETIMEDOUT. For who has one machine, and
 * tests. */
VINE_MUST_CHECK int vine__machine_wait_event(struct vine__machine *machine, uint64_t timeout_ns,
                                             struct vine__machine_event *ret_event);

/* What is known of it, at once and whatever state it is in. */
enum vine__machine_state vine__machine_state_of(const struct vine__machine *machine);
enum vine__machine_end vine__machine_ended_by(const struct vine__machine *machine);
const char *vine__machine_end_word(enum vine__machine_end end);
const char *vine__machine_end_text(const struct vine__machine *machine); /* one sentence, or "" */
const char *vine__machine_name(const struct vine__machine *machine);
pid_t vine__machine_pid(const struct vine__machine *machine); /* of QEMU; 0: off */

/* Where the guest says things, of VINE__CONSOLE_PIPE: non-blocking, to be read while it runs,
 * since a full pipe stops the guest. -1: none. It is another one after each start. */
int vine__machine_console_fd(const struct vine__machine *machine);

/* The terminal of VINE__CONSOLE_PTY, "/dev/pts/7", and the link that leads there, which is the
 * description's: from VINE__MACHINE_STARTED on until it has ended, and NULL before and after. No
 * link: it could not be made, and VINE__MACHINE_REFUSED has said why. The terminal is its
 * owner's, of the description or to whom it was given last; who has it open keeps it. */
VINE_MUST_CHECK int vine__machine_give_console(struct vine__machine *machine,
                                               const struct vine__console_owner *owner);
const char *vine__machine_console_path(const struct vine__machine *machine);
const char *vine__machine_console_link(const struct vine__machine *machine);

/* Tell the guest its own number at the doorbells, and those at the other ends of its links. */
void vine__machine_set_doorbell(struct vine__machine *machine, uint32_t peer);

/* Hand over a connection to the server of doorbells, for the next start; the descriptor is the
 * machine's from now on. */
void vine__machine_give_doorbell(struct vine__machine *machine, int fd);

/* Have its doorbell, under its name, at the server of bells behind a connection (bells_client.h),
 * for the next start; and what its guest is told by that its status page has changed, an eventfd
 * that is the caller's. Returns 0, or what the server's client says. */
VINE_MUST_CHECK int vine__machine_join_bells(struct vine__machine *machine, int control_fd,
                                             uint32_t *ret_id, int *ret_changes_fd);

/* The rate of this machine's time stamp counter, for a description. 0: not known. */
uint64_t vine__machine_clock_khz(void);

#endif
