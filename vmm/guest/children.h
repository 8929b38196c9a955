/* SPDX-License-Identifier: Apache-2.0 */
/*
 * children.h - the programs that init has started, and all the orphans that fall to it.
 *
 * When one of ours ends, a line says how (docs/formats/init.md). SIGCHLD is to be blocked.
 */
#ifndef VINE_VMM_GUEST_CHILDREN_H
#define VINE_VMM_GUEST_CHILDREN_H

#include <stdbool.h>

enum child_kind {
    CHILD_RUN,   /* has the console's input; what comes next waits for its end */
    CHILD_START, /* beside the others */
    CHILD_KEEP,  /* the same, and started again a second after it has ended */
};

/* Start a program; `name` and `argv` are kept. What does not work is told. */
void children_start(const char *name, char **argv, enum child_kind kind);

/* Collect all that have ended, and start again what is due. */
void children_look(void);

/* Whether a CHILD_RUN is running. */
bool children_are_awaited(void);

/* Milliseconds until children_look has something to start; -1: nothing. */
int children_patience_ms(void);

/* Ask all processes to end, and after five seconds have them killed. Returns when none is left. */
void children_end(void);

#endif
