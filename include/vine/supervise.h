/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/supervise.h - a service whose processes may die: a supervisor keeps the sockets on which it
 * listens, and starts whoever has died anew.
 *
 * Owns:     in the supervisor, listening sockets and processes until all of them have ended. In a
 *           process that serves, what vine_supervised tells of; its sockets are the caller's.
 * Threads:  vine_supervise is called once, by the main thread, before there is another one. What a
 *           process says to its supervisor, any thread may say.
 * Blocking: vine_supervise, in the supervisor, until the end. Nothing else.
 * Trust:    what a process says to its supervisor is shown and never believed; one that misbehaves
 *           is killed and started anew. Sockets that systemd passes are checked.
 * Limits:   VINE_SUPERVISE_PROCESSES_MAX processes, VINE_SUPERVISE_LISTENERS_MAX sockets,
 *           VINE_SUPERVISED_WORDS_BYTES of last words.
 *
 * The supervisor opens the sockets, or has them from systemd (LISTEN_FDS), and runs the same
 * program again, with the same arguments, as often as there shall be processes. In each of those
 * vine_supervise returns at once: they accept from the same sockets (vine_listen_descriptor), call
 * vine_supervised_ready, and serve. The sockets are never closed in between, so that nobody who
 * connects is refused while a process dies, or is exchanged.
 *
 * Signals of the supervisor:
 *   SIGTERM, SIGINT   nobody else may connect; the processes get SIGTERM, finish what they have
 *                     accepted, and end; who takes longer than `drain_ns` is killed. The end, code
 *                     0. A second one: a second more for each of them
 *   SIGHUP            a rolling restart: one after the other is exchanged for a new one, of the
 *                     program that has its path by then, and gets SIGTERM when that one is ready.
 *                     If the terminal has gone: the end
 *   SIGUSR1           passed on
 * To systemd ($NOTIFY_SOCKET) it says READY=1 when all are ready, RELOADING=1, STOPPING=1, STATUS=
 * and, while one of them serves, WATCHDOG=1.
 *
 * Caveats:  a process dies with its supervisor, at once. It has an empty standard input. It is in a
 *           group of its own, so that ^C comes by the supervisor alone.
 */
#ifndef VINE_SUPERVISE_H
#define VINE_SUPERVISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vine/base.h>

VINE_BEGIN_DECLARATIONS

#define VINE_SUPERVISE_PROCESSES_MAX 256
#define VINE_SUPERVISE_LISTENERS_MAX 64
#define VINE_SUPERVISED_WORDS_BYTES  512

/* Texts of a command line: an option that may be given more than once. */
struct vine_texts {
    const char *const *texts;
    size_t count;
};

/* Zeroed fields are the defaults. */
struct vine_supervise_options {
    size_t size_bytes;          /* sizeof(struct vine_supervise_options) */
    struct vine_texts listen;   /* addresses, as vine_address_parse reads them */
    const char *listen_default; /* if there is none, and systemd passes none either; or NULL */
    uint64_t process_count;     /* 0: 1 */
    uint64_t start_ns;          /* in which a process has to be ready; 0: a minute */
    uint64_t drain_ns;          /* in which it has to end; 0: 15 seconds */
    bool is_unused;             /* for vine_main: there is no supervisor after all */
};

/*
 * Options of a program (vine/runtime.h) that set fields of `wishes`, a struct
 * vine_supervise_options: --listen, --processes, --drain-timeout.
 */
#define VINE_SUPERVISE_OPTIONS(wishes)                                                             \
    {.name = "listen",                                                                             \
     .kind = VINE_OPTION_ADDRESSES,                                                                \
     .value = &(wishes).listen,                                                                    \
     .shown = "ADDRESS",                                                                           \
     .help = "where to listen, any number of times: HOST:PORT, [HOST]:PORT, unix:PATH or "         \
             "unix:@NAME"},                                                                        \
        {.name = "processes",                                                                      \
         .kind = VINE_OPTION_COUNT,                                                                \
         .value = &(wishes).process_count,                                                         \
         .fallback = "1",                                                                          \
         .least = "1",                                                                             \
         .greatest = "256",                                                                        \
         .help = "how many processes serve, each with reactors of its own"},                       \
        {.name = "drain-timeout",                                                                  \
         .kind = VINE_OPTION_MILLISECONDS,                                                         \
         .value = &(wishes).drain_ns,                                                              \
         .fallback = "15000",                                                                      \
         .least = "1",                                                                             \
         .help =                                                                                   \
             "how long a process that shall end may take for what it has accepted, until it is "   \
             "killed"},

/* What vine_supervise returns in a process that serves; the same as VINE_MAIN_GOES_ON. */
#define VINE_SUPERVISE_GOES_ON (-1)

/*
 * Become the supervisor, or go on as one of its processes. What happens is logged (vine/log.h), as
 * of the module `supervise`. Main thread, once.
 *
 * A process that dies is started anew at once. Where one dies again and again before it was ready,
 * ever more time passes in between; and if none of all has ever been ready, that is the end.
 *
 * Returns VINE_SUPERVISE_GOES_ON  in a process that serves. In the supervisor, an exit code:
 *         0  it was told to stop;
 *         1  a socket cannot be had, or no process has become ready;
 *         2  an address is none; or the first processes ended with 2, the command line being wrong.
 */
VINE_API VINE_MUST_CHECK int vine_supervise(int argc, char **argv,
                                            const struct vine_supervise_options *options);

/* A socket that listens. */
struct vine_inherited {
    int fd;           /* close-on-exec, for vine_listen_descriptor */
    const char *name; /* that systemd gives it (FileDescriptorName=), or "" */
};

struct vine_supervised {
    uint32_t index; /* which of the processes: from 0, and the same for one that takes its place */
    uint32_t process_count;
    uint64_t drain_ns; /* in which it has to end when it is told to; then it is killed */
    uint32_t listener_count;
    const struct vine_inherited *listeners;
};

/* What this process has of its supervisor, or NULL: it has none. Any thread, after
 * vine_supervise. */
VINE_API const struct vine_supervised *vine_supervised(void);

/* This process serves. Any thread; of several calls the first counts, and without a supervisor
 * nothing happens. */
VINE_API void vine_supervised_ready(void);

/* What the supervisor tells if this process dies: of several the last. One line; the rest of a
 * longer one is lost. Any thread, and signal handlers. */
VINE_API void vine_supervised_last_words(const char *line);

VINE_END_DECLARATIONS

#endif
