/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/launch/own_metrics.h - what the runtime counts of itself, as metrics of each core.
 *
 * Owns:     the values of a core from registering to freeing.
 * Threads:  that core's.
 * Blocking: never.
 * Trust:    not concerned.
 * Limits:   none.
 */
#ifndef VINE_CORE_LAUNCH_OWN_METRICS_H
#define VINE_CORE_LAUNCH_OWN_METRICS_H

#include <vine/base.h>

struct vine__arena;
struct vine__own_metrics;

/* Register those of the calling core: its loop, its groups as it meets them, and its arena, if that
 * is not NULL. Returns 0 or a negative error; `*ret_own` has to be freed in any case. */
VINE_MUST_CHECK int vine__own_metrics_start(struct vine__own_metrics **ret_own,
                                            struct vine__arena *arena);

/* When the core's metrics are no more. NULL is allowed. */
void vine__own_metrics_free(struct vine__own_metrics *own);

#endif
