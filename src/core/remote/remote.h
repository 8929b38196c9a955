/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/remote/remote.h - tasks of appliances elsewhere, as core/poll has them for coroutines.
 *
 * Owns:     as vine/remote.h.
 * Threads:  the core's.
 * Blocking: never.
 * Trust:    as vine/remote.h.
 * Limits:   as vine/remote.h.
 */
#ifndef VINE_CORE_REMOTE_REMOTE_H
#define VINE_CORE_REMOTE_REMOTE_H

#include <vine/remote.h>

/* As vine_remote_run, of an input that is the caller's until this returns alone, and whose output
 * is kept where it came until it is taken. What it has written to `output` is nothing. */
void vine__remote_begin(struct vine_remote_task *task, struct vine_remote remote,
                        const char *procedure, vine_remote_fn fn);

/* Behind its end, if that was well: copy `output_bytes`. Returns 0 or a negative error. */
int vine__remote_take(struct vine_remote_task *task, void *output);

/* Behind its end: be done with it. */
void vine__remote_done(struct vine_remote_task *task);

#endif
