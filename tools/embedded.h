/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embedded.h - an appliance of the command's own, in a process of its own, that ends with it.
 */
#ifndef VINE_TOOLS_EMBEDDED_H
#define VINE_TOOLS_EMBEDDED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define EMBEDDED_FOLDER_MAX 96 /* so that a socket below it can be named */

struct embedded {
    pid_t pid;
    char folder[EMBEDDED_FOLDER_MAX]; /* ours alone, for its socket; "": there is none */
    char address[EMBEDDED_FOLDER_MAX + 8];
    bool is_apart; /* set before the start: off the first processor, which the caller keeps to */
};

/* Its socket lies in a folder that is made for it, with a name that nobody can have taken, in
 * $XDG_RUNTIME_DIR, $TMPDIR or /tmp: the first that will do. Whichever of the two processes lives
 * longer takes the folder away. */

/* Start one and wait until it listens. Call it before any thread is started and any pipe opened.
 * `workers` 0: one for each processor, since the command itself mostly waits. Returns a status;
 * what went wrong was told. */
int embedded_start(struct embedded *embedded, uint32_t workers);

/* Have it drain, and wait for its end. One that was not started is allowed. */
void embedded_stop(struct embedded *embedded);

#endif
