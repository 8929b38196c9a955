/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/mail/mail.h - mail of a micro-process as those see it who run it.
 *
 * Owns:     for each core its mailboxes, what is in them, and what its micro-processes have sent
 *           and wait for.
 * Threads:  each core for itself; between cores go calls of the reactor.
 * Blocking: never.
 * Trust:    what lies in a heap is copied once and checked. Who writes nonsense there is told of by
 *           -VINE_ECORRUPT, and loses its own mail alone.
 * Limits:   those of vine/mail.h, and VINE__MAIL_CORE_BYTES of messages in a core's mailboxes.
 *
 * A message is copied out of the sender's heap when it is sent, travels as a letter to the core of
 * the mailbox, and is copied into the receiver's heap when that one runs. A call to another core
 * never fails and never waits for what is there, so that two cores that send to each other do not
 * stand in each other's way. Letters are each one coroutine's, which waits; of those that are on
 * their way to a core, waited for or given up, there are so many of a micro-process and so many of
 * each pair of cores, and others wait their turn at the sender's (under_way.c).
 */
#ifndef VINE_CORE_MAIL_MAIL_H
#define VINE_CORE_MAIL_MAIL_H

#include "core/heap/heap.h"
#include "core/state/state.h"

#define VINE__MAIL_CORE_BYTES (UINT64_C(64) << 20)

/* ---- a core ---------------------------------------------------------------------------------- */

/* The calling core begins to have mail. Again: nothing. Returns 0 or -ENOMEM. */
VINE_MUST_CHECK int vine__mail_core_start(void);

/* None of its micro-processes has any more; `done` is called once nothing is under way. */
void vine__mail_core_stop(void (*done)(void *context), void *context);

/* ---- a micro-process ------------------------------------------------------------------------- */

struct vine__mail;
typedef void (*vine__mail_wake_fn)(void *context);

/* `wake` is called when there is something to bring in, and has a later turn do that. NULL: no
 * memory. */
struct vine__mail *vine__mail_create(const struct vine__heap *heap, vine__mail_wake_fn wake,
                                     void *context);

/* The micro-process has ended, and its heap is gone. NULL is allowed. */
void vine__mail_destroy(struct vine__mail *mail);

/* One ask, which is a copy, of the coroutine at `place`. Its heap is open. Returns 0,
 * -VINE_ECORRUPT, or -ENOMEM: it cannot be answered. */
VINE_MUST_CHECK int vine__mail_ask(struct vine__mail *mail, const struct vine__ask *ask,
                                   uint32_t place);

/* After each run and its asks: what is not waited for any more, and mailboxes whose coroutine has
 * ended, are over. Its heap is open. */
void vine__mail_look(struct vine__mail *mail);

/* Put into the record what is to be brought in, and into the heap, which is open, what goes with
 * it. Returns whether that was all. */
bool vine__mail_bring(struct vine__mail *mail, struct vine__record *record);

/* ---- inside ---------------------------------------------------------------------------------- */

/* VINE__ITEM_MAIL. */
void vine__mail_came(struct vine__inside *inside, const struct vine__item *item);

#endif
