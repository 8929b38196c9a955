/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - the process that has the keys: an appliance of two procedures, for one application.
 *
 * Owns:     its keys, its address, its threads.
 * Threads:  called by the only one there is.
 * Blocking: until it is killed.
 * Trust:    none in its application: what an appliance checks, it checks.
 * Limits:   one pipe at a time.
 */
#ifndef VINE_KEYS_WORKER_H
#define VINE_KEYS_WORKER_H

#include <stdbool.h>
#include <sys/types.h>

struct worker_options {
    const char *folder;  /* of the keys, as people know it */
    int folder_fd;       /* the same */
    const char *address; /* where to listen */
    unsigned threads;
    int report_fd; /* gets an empty line when it listens */
    bool is_first; /* why it does not is told there too, and else on stderr */
    pid_t parent;  /* with which it ends */
};

/* The process's exit code: 2 for what is wrong with the keys, 77 where they may not be read or are
 * not kept well, 1 for all else. */
int worker_run(const struct worker_options *options);

#endif
