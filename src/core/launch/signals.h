/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/launch/signals.h - the process's signals as events of core 0.
 *
 * Owns:     the descriptor from which signals are taken, while it is open; one in a process.
 * Threads:  core 0's.
 * Blocking: never.
 * Trust:    whoever may send the process a signal.
 * Limits:   none.
 */
#ifndef VINE_CORE_LAUNCH_SIGNALS_H
#define VINE_CORE_LAUNCH_SIGNALS_H

#include <vine/base.h>

/* Signals come to the calling reactor from now on. Returns 0 or a negative error. */
VINE_MUST_CHECK int vine__launch_signals_open(void);

/* Before its poller is destroyed: what waits there is cancelled. */
void vine__launch_signals_close(void);

/* When its poller is gone. */
void vine__launch_signals_fini(void);

#endif
