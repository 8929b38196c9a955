/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/appliance/coroutines.h - what runs the coroutine procedures of an appliance's part.
 *
 * Owns:     streams, and with them micro-processes: one for each task outside of a session, and one
 *           for each session.
 * Threads:  the part's core, but for making procedures known.
 * Blocking: never.
 * Trust:    what tasks bring is copied once; what a micro-process does is its own (core/process).
 * Limits:   heaps, by the core; a pipe's quota holds what each may take.
 */
#ifndef VINE_CORE_APPLIANCE_COROUTINES_H
#define VINE_CORE_APPLIANCE_COROUTINES_H

#include <vine/appliance.h>
#include <vine/service.h>

struct vine__coroutines;

/*
 * Have the coroutine procedures of a part run on the calling core, whose guard, heaps and
 * micro-processes are prepared. Before anything is registered there. Of `options` isolation,
 * heap_bytes, connections, sockets, drain_ns and run_ns mean something.
 *
 * Returns 0, -ENOMEM; -EOPNOTSUPP: the isolation cannot be had; or another negative error.
 */
VINE_MUST_CHECK int vine__coroutines_create(struct vine_appliance *part,
                                            const struct vine_service_options *options,
                                            struct vine__coroutines **ret_coroutines);

/* Post `none` when there is no stream left: none begins any more. */
void vine__coroutines_wait(struct vine__coroutines *coroutines, struct vine_work *none);

/* How many streams there are: they keep their pipes. */
uint32_t vine__coroutines_count(const struct vine__coroutines *coroutines);

/* There is no stream left, and the part is destroyed. NULL is allowed. */
void vine__coroutines_destroy(struct vine__coroutines *coroutines);

#endif
