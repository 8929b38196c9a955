/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve_progress.h - the line at the bottom of a terminal that tells what an appliance is doing.
 *
 * A thread of its own asks the appliance for its counters, four times a second; where stderr is no
 * terminal there is none.
 */
#ifndef VINE_TOOLS_SERVE_PROGRESS_H
#define VINE_TOOLS_SERVE_PROGRESS_H

#include <pthread.h>
#include <stdbool.h>

struct vine_appliance;

struct serve_progress {
    struct vine_appliance *appliance;
    pthread_t thread;
    bool has_thread;
    int stop_fd;
};

/* Returns 0 or a negated errno. All signals are blocked in the thread. */
int serve_progress_begin(struct serve_progress *progress, struct vine_appliance *appliance);

/* Before the appliance is destroyed. Also of one that is zero, or did not begin. */
void serve_progress_end(struct serve_progress *progress);

#endif
