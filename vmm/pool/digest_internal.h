/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest_internal.h - XXH3, 128 bits, as `xxhsum -H2` prints it.
 */
#ifndef VINE_VMM_POOL_DIGEST_INTERNAL_H
#define VINE_VMM_POOL_DIGEST_INTERNAL_H

#include "vmm/pool/roll.h"

#include <xxhash.h>

void vine__digest_print(const XXH3_state_t *sum, char ret_digest[VINE__DIGEST_BYTES]);

#endif
