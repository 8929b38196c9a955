/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/supervise/supervise_internal.h - the supervisor's own.
 *
 * It is one thread that waits for descriptors: signals, the pidfds of its processes, and what they
 * say. A place is what is to be kept filled, with a process that serves; another one may be coming
 * (a rolling restart), and others may be leaving.
 *
 *     processes = those that are some place's `current` or `coming`, and those that leave
 */
#ifndef VINE_CORE_SUPERVISE_INTERNAL_H
#define VINE_CORE_SUPERVISE_INTERNAL_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include <vine/log.h>
#include <vine/network.h>
#include <vine/supervise.h>

#include "arch/process/spawn.h"
#include "core/supervise/status_protocol.h"
#include "core/supervise/supervise.h"
#include "utils/list.h"

#define SUPERVISE_LOG "supervise"

#define EXIT_FAILED 1
#define EXIT_USAGE  2

/* ---- supervised.c: what is inherited --------------------------------------------------------- */

/* Take the sockets that were passed to this very process out of the environment: at most
 * `count_max` of `ret_listeners`, whose names lie in `*ret_names`, which is for free(). Returns how
 * many there are. */
uint32_t vine__inherited_take(struct vine_inherited *ret_listeners, uint32_t count_max,
                              char **ret_names);

/* How long this process has when it shall end. */
void vine__supervised_set_drain(uint64_t drain_ns);

/* ---- listeners.c ----------------------------------------------------------------------------- */

struct listening {
    int fd;
    bool is_own; /* opened here, and not passed by systemd */
    const char *name;
    struct vine_address address;
    uint64_t device, inode; /* of a Unix socket's name */
};

struct listeners {
    struct listening all[VINE_SUPERVISE_LISTENERS_MAX];
    uint32_t count;
    char *names;
};

/* Open what is asked for, and take what was passed. Returns an exit code, 0: all are there. */
int vine__listeners_open(struct listeners *listeners, const struct vine_supervise_options *options);

/* Let nobody else connect to what is our own; who has connected can still be accepted. */
void vine__listeners_refuse_more(struct listeners *listeners);

void vine__listeners_close(struct listeners *listeners);

/* ---- manager.c: what systemd is told --------------------------------------------------------- */

struct manager {
    char *where;          /* $NOTIFY_SOCKET, or NULL */
    uint64_t watchdog_ns; /* between two words to its watchdog; 0: it has none */
    uint64_t next_ns;     /* the next of these */
    bool has_failed;      /* that was told */
};

/* Take it out of the environment. */
void vine__manager_init(struct manager *manager);
void vine__manager_fini(struct manager *manager);
void vine__manager_tell(struct manager *manager, const char *format, ...) VINE_PRINTF(2, 3);

/* Feed the watchdog if it is time. */
void vine__manager_feed(struct manager *manager, uint64_t now_ns);

/* ---- process.c ------------------------------------------------------------------------------- */

/* What the loop waits for. */
enum watched_kind {
    WATCHED_SIGNALS,
    WATCHED_LIFE,
    WATCHED_STATUS,
};

struct process;

struct watched {
    uint8_t kind; /* enum watched_kind */
    struct process *process;
};

struct process {
    struct vine__list link;
    struct place *place;
    struct vine__spawned spawned;
    struct watched life, status;
    int status_fd; /* -1: it has closed its end */
    bool is_ready;
    bool is_leaving; /* it has been told to end */
    bool is_killed;  /* since it took too long */
    bool has_ended;  /* and is freed at the end of the turn */
    uint64_t started_ns;
    uint64_t deadline_ns; /* to be ready, or to end */
    size_t line_length;
    char line[STATUS_LINE_BYTES];
    char words[VINE_SUPERVISED_WORDS_BYTES + 1];
};

struct place {
    uint32_t index;
    struct process *current; /* NULL: it is to be started */
    struct process *coming;  /* to take its place; NULL: none */
    uint64_t start_ns;       /* without a `current`: when to start one */
    uint64_t ended_ns;       /* when the last one that served had died; 0: told, or none has */
    pid_t ended_pid;
    uint32_t failures; /* one after the other, of processes that were never ready */
};

struct supervisor {
    struct vine_supervise_options options;
    int argc;
    char **argv;
    char path[PATH_MAX];
    struct listeners listeners;
    struct manager manager;
    struct watched signals;
    int signals_fd;
    int epoll_fd;
    bool had_terminal; /* which it shall not outlive */
    struct vine__list processes;
    uint32_t process_count;
    struct place *places;
    uint32_t place_count;
    bool was_any_ready; /* ever */
    bool was_told_ready;
    bool is_stopping;
    bool is_hastened;
    bool restarts_again; /* SIGHUP came during a rolling restart */
    uint32_t rolling;    /* the place whose turn it is; `place_count`: none */
    int code;
};

/* Start a process for a place, as its `coming` or, where that has none, its `current`. Returns 0 or
 * a negative error, which was told. */
VINE_MUST_CHECK int vine__member_start(struct supervisor *supervisor, struct place *place);

/* Have it end: SIGTERM, and after `patience_ns` SIGKILL. */
void vine__member_leave(struct process *process, uint64_t now_ns, uint64_t patience_ns);

void vine__member_kill(struct process *process);

/* Read what it says. Returns whether it has become ready by that. */
bool vine__member_hear(struct supervisor *supervisor, struct process *process);

/* "process 1 (pid 123) WHAT", in the log. */
void vine__member_log(enum vine_log_level level, const struct process *process, const char *what);

/* Free one that was reaped. */
void vine__member_free(struct supervisor *supervisor, struct process *process);

/* ---- places.c -------------------------------------------------------------------------------- */

/* Fill those that are empty and whose time has come. */
void vine__places_fill(struct supervisor *supervisor, uint64_t now_ns);

/* In how many there is one that serves. */
uint32_t vine__places_count_ready(const struct supervisor *supervisor);

/* Exchange all processes for new ones, one after the other. */
void vine__places_exchange(struct supervisor *supervisor, uint64_t now_ns);

/* End, since somebody wants that, who is named by `why`; the next time faster. */
void vine__places_stop(struct supervisor *supervisor, const char *why, uint64_t now_ns);

/* What has become of a process. */
void vine__places_see_ready(struct supervisor *supervisor, struct process *process,
                            uint64_t now_ns);
void vine__places_see_end(struct supervisor *supervisor, struct process *process, int status,
                          uint64_t now_ns);

#endif
