/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.h - what happens to an appliance of the command, an object a line on standard output
 * (`vine appliance --json`). docs/guides/operation.md lists the events.
 *
 * Threads: any; lines are whole. Blocking: until somebody reads standard output.
 */
#ifndef VINE_TOOLS_EVENTS_H
#define VINE_TOOLS_EVENTS_H

#include <vine/appliance.h>

#include "library.h"

/* `core_count` of reactors, or 0: it has none. `behind`: the address of the appliance that an agent
 * hands tasks to, or NULL. */
void events_listening(const struct vine_appliance *appliance, uint32_t worker_count,
                      uint32_t core_count, const char *behind);

/* That one was lost, if `error` is one, or is back with so many procedures. */
void events_behind(const char *behind, int error, const char *reason, uint32_t procedure_count);

/* A vine_appliance_event_fn. */
void events_appliance(void *context, const struct vine_appliance_event *event);

/* The news of a vine_library_watcher. */
void events_library(const struct vine_library_news *news);

/* The last one, with what was done and, if `error` is one, why it ended: `reason`, or the text of
 * the error where that is "". `appliance` may be NULL: it never was. */
void events_stopped(struct vine_appliance *appliance, int error, const char *reason, int status);

#endif
