/* SPDX-License-Identifier: Apache-2.0 */
/* core/service/service_internal.h - between services that listen and those that run once. */
#ifndef VINE_CORE_SERVICE_SERVICE_INTERNAL_H
#define VINE_CORE_SERVICE_SERVICE_INTERNAL_H

#include <vine/service.h>

#include "core/process/process.h"

/* The guard, the coroutines that there are, this core, and what the service itself begins with.
 * Returns 0 or a negative error. */
VINE_MUST_CHECK int vine__service_prepare(const struct vine_service *service,
                                          const struct vine_service_options *options);

/* What micro-processes of a service have in common. */
struct vine__service_kind {
    struct vine__process_kind base;
    const struct vine_service *service;
};
void vine__service_kind_init(struct vine__service_kind *kind, const struct vine_service *service);

/* crash.c: this process may end by a fault, and says what it did then. */
void vine__service_tell_ends(void);

#endif
