/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/errand.h - a thread for what takes long, beside core 0, and what they ask of each
 * other: functions to be called on the other side.
 *
 *     core 0                              the thread
 *     vine__errands_send(errand, fn)  ->  fn(errand), within vine__errands_run
 *     fn(errand), from its loop       <-  vine__errands_return(errand, fn)
 *
 * Owns:     the thread, and an errand while it is on its way: from when it is sent until its
 *           function is called. It lies in something of the sender's, and is nobody's afterwards:
 *           its function may free it, or send it on or back.
 * Threads:  core 0 of reactors, where this is opened and closed; and its own thread. Which calls
 *           are whose is said of each.
 * Blocking: the thread alone, in vine__errands_run, if it says so. Core 0 never waits for it.
 * Trust:    both are one process.
 * Limits:   none: errands are the senders' memory. They are called in the order in which they were
 *           sent, each way.
 */
#ifndef VINE_VMM_SERVER_ERRAND_H
#define VINE_VMM_SERVER_ERRAND_H

#include <vine/base.h>

#include <stdbool.h>

struct vine__errand;
typedef void (*vine__errand_fn)(struct vine__errand *errand);

/* To be embedded. Private fields. */
struct vine__errand {
    struct vine__errand *next;
    vine__errand_fn fn;
};

struct vine__errands;

/*
 * Start a thread, called `name` (15 bytes of it), which calls `loop`. That one calls
 * vine__errands_run again and again, and returns when that has returned false; *ret_errands is
 * there before it is called. NULL: the thread does nothing else. It runs wherever the process may.
 * Core 0.
 *
 * Returns 0, or an error: there is no thread, and *ret_errands is NULL.
 */
VINE_MUST_CHECK int vine__errands_open(const char *name, void (*loop)(void *context), void *context,
                                       struct vine__errands **ret_errands);

/* End it: the thread does all that was sent, and `closed` is called on core 0 when it is gone and
 * all that it has returned was called. Nothing is sent any more. Core 0, before reactors stop. */
void vine__errands_close(struct vine__errands *errands, void (*closed)(void *context),
                         void *context);

/* Have `fn(errand)` called on the thread. Core 0. */
void vine__errands_send(struct vine__errands *errands, struct vine__errand *errand,
                        vine__errand_fn fn);

/* Have `fn(errand)` called on the thread once more, behind what has come meanwhile. The thread,
 * which does not end before that. */
void vine__errands_again(struct vine__errands *errands, struct vine__errand *errand,
                         vine__errand_fn fn);

/* Have `fn(errand)` called on core 0. The thread. Where reactors have stopped it is not called. */
void vine__errands_return(struct vine__errands *errands, struct vine__errand *errand,
                          vine__errand_fn fn);

/* Call all that was sent, and if `waits` wait for some first. Returns false: nothing will be sent
 * any more. The thread. */
VINE_MUST_CHECK bool vine__errands_run(struct vine__errands *errands, bool waits);

/* Readable while there is something to run, for who waits for other things too. The thread's. */
int vine__errands_fd(const struct vine__errands *errands);

#endif
