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

/* What is to be told of an end. */
void vine__service_tell(const struct vine_service *service, const struct vine__process_end *end);

#endif
