/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/signal.h - signals of the process as events on core 0.
 *
 * Owns:     nothing; a handler is the caller's memory while it is registered.
 * Threads:  core 0's.
 * Blocking: never. No thread is interrupted by a signal that is an event: all of them are blocked,
 *           and the kernel hands them over like any other input.
 * Trust:    whoever may send the process a signal.
 * Limits:   signals that come faster than they are taken count once, as ever.
 *
 * Without a handler SIGINT and SIGTERM stop the reactors with the exit code 0, and a second one of
 * either ends the process at once, as does one that comes when the loops have ended and what they
 * began has not; SIGHUP, SIGPIPE and the like do nothing. SIGUSR1 has
 * the state of all cores written to standard error, of those that are blocked as well.
 *
 * Caveats:  SIGRTMAX is the runtime's own: it interrupts a core that is blocked, to find out where.
 *           A system call in which the core waits may end with EINTR by that.
 */
#ifndef VINE_SIGNAL_H
#define VINE_SIGNAL_H

#include <vine/base.h>

VINE_BEGIN_DECLARATIONS

struct vine_signal_handler;
typedef void (*vine_signal_fn)(struct vine_signal_handler *handler);

/* Private fields. In use while it is registered. */
struct vine_signal_handler {
    struct vine_signal_handler *next;
    vine_signal_fn fn;
    int number;
};

/*
 * Have `fn` called on core 0 each time that this signal has come, in place of what happens without;
 * of several handlers of a signal each is called. Who takes SIGTERM or SIGINT so calls vine_stop
 * when it is time. It may register, and forget itself or others. Core 0 only.
 *
 * Returns 0, or -EINVAL: no signal, or none that is an event (SIGKILL, SIGSTOP, SIGRTMAX, those of
 *         faults, of a shell's job control, and of profilers).
 */
VINE_API VINE_MUST_CHECK int vine_signal_handle(struct vine_signal_handler *handler, int number,
                                                vine_signal_fn fn);

/* Call it no more; without a handler a signal does what it did before. Core 0 only. */
VINE_API void vine_signal_forget(struct vine_signal_handler *handler);

VINE_END_DECLARATIONS

#endif
