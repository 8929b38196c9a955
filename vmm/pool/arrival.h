/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/pool/arrival.h - the bytes of a large file, on their way into a pool ahead of the change that
 * gives them a name: as many at a time as one likes, with other changes in between.
 *
 *     begin, any number of pieces, vine__pool_change_place, free
 *
 * Owns:     blocks of the image that are free, and that no other change of this pool takes. On the
 *           disk they stay free until they are placed, so that nothing is left of an arrival that
 *           ends, however it does.
 * Threads:  one at a time, that of the pool.
 * Blocking: reads and writes of files; each piece is synced: nobody waits for more than one.
 * Trust:    the bytes may be anything.
 * Limits:   those of NAME.json. Of a pool that is mounted there is none.
 */
#ifndef VINE_VMM_POOL_ARRIVAL_H
#define VINE_VMM_POOL_ARRIVAL_H

#include "vmm/pool/pool.h"
#include "vmm/pool/source.h"

#include <vine/base.h>

struct vine__arrival;

/* One of no bytes, of a pool that is owned, read in place, and loaded. Returns 0 or -ENOMEM. */
VINE_MUST_CHECK int vine__pool_arrival_begin(struct vine__pool *pool,
                                             struct vine__arrival **ret_arrival,
                                             struct vine__problem *problem);

/*
 * Read on from the source, at most some so many bytes, while no change is under way.
 *
 * Returns 0: all of it is there; 1: there is more; -ESTALE: the pool was closed; -ENOSPC; -EFBIG;
 * another error. The problem says what.
 */
VINE_MUST_CHECK int vine__pool_arrive(struct vine__pool *pool, struct vine__arrival *arrival,
                                      enum vine__vm_file file, const struct vine__source *source,
                                      uint64_t most_bytes, struct vine__problem *problem);

/* NULL is allowed, and that the pool is closed. */
void vine__arrival_free(struct vine__arrival *arrival);

#endif
