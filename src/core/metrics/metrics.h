/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/metrics/metrics.h - metrics as those see them who start and end a core.
 *
 * Owns:     a core's list of metrics.
 * Threads:  that core's.
 * Blocking: never.
 * Trust:    not concerned.
 * Limits:   none.
 */
#ifndef VINE_CORE_METRICS_METRICS_H
#define VINE_CORE_METRICS_METRICS_H

#include <stdint.h>

#include <vine/metrics.h>

/* Tell those of the calling core whose names begin with `prefix`, and are no histograms, a line
 * each: "vine_process_parked 12". What is 0 is left out. Returns 0 or -ENOMEM. */
VINE_MUST_CHECK int vine__metrics_tell(const char *prefix,
                                       void (*line)(void *context, const char *line),
                                       void *context);

/* Forget all metrics that `core` still has. When its reactor has gone. */
void vine__metrics_end(uint32_t core);

#endif
