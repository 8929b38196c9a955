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

#include <stdbool.h>

#include <vine/base.h>

/* Signals come to the calling reactor from now on. Returns 0 or a negative error. */
VINE_MUST_CHECK int vine__launch_signals_open(void);

/* SIGUSR1 comes to the watcher and not to core 0, which may be blocked. Whether the program handles
 * it: then core 0 hears of it. On any thread but a reactor's. */
bool vine__launch_signals_take_user(void);

/* Before its poller is destroyed: what waits there is cancelled. */
void vine__launch_signals_close(void);

/* When its poller is gone. */
void vine__launch_signals_fini(void);

#endif
