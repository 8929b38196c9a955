/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/service/service.h - what there is beside connections for those who run micro-processes for
 * something else: core/appliance, for tasks.
 *
 * Owns:     nothing.
 * Threads:  as each function says.
 * Blocking: never.
 * Trust:    not concerned.
 * Limits:   none.
 */
#ifndef VINE_CORE_SERVICE_SERVICE_H
#define VINE_CORE_SERVICE_SERVICE_H

#include <vine/service.h>

#include "core/process/process.h"

/* prepare.c: the guard, the coroutines that there are, this core, and what the service itself
 * begins with. Core 0. Returns 0 or a negative error. */
VINE_MUST_CHECK int vine__service_prepare(const struct vine_service *service,
                                          const struct vine_service_options *options);

/* The calling core has micro-processes from now on. Returns 0 or a negative error. */
VINE_MUST_CHECK int vine__service_start_core(const struct vine_service *service,
                                             const struct vine_service_options *options);

/* crash.c: a line for a micro-process that has failed, with its kind's name. A `crashed`. */
void vine__service_tell_crash(const struct vine__process_kind *kind,
                              const struct vine__process_end *end);

/* load.c: all code of the library in which `address` lies counts as its coroutines', where that is
 * not the program itself, or a library that has the runtime. One thread at a time. Returns 0 or
 * -ENOSPC. */
VINE_MUST_CHECK int vine__service_add_library(const void *address);

#endif
