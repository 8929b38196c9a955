/* SPDX-License-Identifier: Apache-2.0 */
/*
 * appliance/ending.h - who has told an appliance on reactors to end, and what becomes of that.
 *
 * Owns:     a thread, since a core that a handler never leaves hears of no signal.
 * Threads:  that of core 0.
 * Blocking: ending_end joins the thread.
 * Trust:    not concerned.
 * Limits:   one in a process.
 */
#ifndef VINE_APPLIANCE_ENDING_H
#define VINE_APPLIANCE_ENDING_H

#include "../tools/server.h"

/* Take SIGTERM and SIGINT from here on, and SIGHUP, which has the libraries looked at again. The
 * first drains; the second, or the end of the time for that, gives up what runs; what does not heed
 * that ends the process. On core 0. Returns 0, or a negative error. */
VINE_MUST_CHECK int ending_begin(const struct server *server);

/* The appliance is about to be destroyed. Also where ending_begin has failed. */
void ending_end(void);

#endif
