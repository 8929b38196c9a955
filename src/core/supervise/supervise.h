/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/supervise/supervise.h - what the start of a program has to know of its supervisor.
 *
 * Owns:     nothing.
 * Threads:  the main thread, before there is another one.
 * Blocking: never.
 * Trust:    the environment names its process; one that is meant for another one is none.
 * Limits:   those of vine/supervise.h.
 */
#ifndef VINE_CORE_SUPERVISE_SUPERVISE_H
#define VINE_CORE_SUPERVISE_SUPERVISE_H

#include <stdbool.h>

#include <vine/supervise.h>

/* Whether this process has a supervisor; what there is of it is taken over by the first call. */
bool vine__supervised_init(void);

#endif
