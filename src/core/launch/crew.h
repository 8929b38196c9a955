/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/launch/crew.h - the threads of a plan: started, joined by barriers, run, and gone again.
 *
 * Owns:     threads, arenas, pollers, reactors and their mesh, from start to end of vine__crew_run.
 * Threads:  the program's main thread, which becomes core 0.
 * Blocking: vine__crew_run returns when the reactors have stopped.
 * Trust:    the plan is our own.
 * Limits:   the plan's.
 *
 *   S1  a member that fails: release of `has_failed`   pairs with S2: its error and its text
 *   S2  all, behind each barrier: acquire of it        pairs with S1
 *   S3  who starts threads: release of `started`       pairs with S4: the barrier is ready
 *   S4  each thread: acquire of it                     pairs with S3
 */
#ifndef VINE_CORE_LAUNCH_CREW_H
#define VINE_CORE_LAUNCH_CREW_H

#include <stdbool.h>
#include <stdint.h>

#include <vine/base.h>

#include "core/launch/explain.h"
#include "core/launch/options.h"
#include "core/launch/plan.h"

#define VINE__CREW_WHY_BYTES 320

struct vine__crew_options {
    const struct vine__plan *plan;
    const struct vine__topology *topology;
    const struct vine__launch_options *options;
    const struct vine__lines *lines; /* get the steps, from MAIN_THREAD on */
    int (*app_main)(int argc, char **argv);
};

/*
 * Start everything, call app_main on core 0, and return when all has stopped.
 *
 * Returns 0, `*ret_code` is the exit code, and `*ret_is_cut_short` tells that what was to stop had
 *         not within the limit; or a negative error, and `ret_why` says what could not be had.
 */
VINE_MUST_CHECK int vine__crew_run(const struct vine__crew_options *options, int *ret_code,
                                   bool *ret_is_cut_short, char ret_why[VINE__CREW_WHY_BYTES]);

#endif
