/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procedures.h - `seal` and `open`, as the process of keys offers them to its one application.
 *
 * Owns:     constant definitions.
 * Threads:  any, once key_procedures_init was called.
 * Blocking: never, but for the processor time.
 * Trust:    none in what the application sends. Inputs are read in place, each byte once.
 * Limits:   KEY_DATA_MAX bytes of an input; a session has no limit but that of a sealed file.
 *
 * name  arguments             without a session; in one
 * seal  key, input, output    a whole file; a file in pieces, whose first names the key
 * open  [key], input, output  the same. No byte comes out before it authenticates, but that the
 *                             file is whole is known with the last task alone
 */
#ifndef VINE_KEYS_PROCEDURES_H
#define VINE_KEYS_PROCEDURES_H

#include <vine/procedure.h>

#include "keyring.h"
#include "seal.h" /* SEAL_ROOM, OPEN_ROOM */

#define KEY_DATA_MAX (1ULL << 30)

extern const struct vine_procedure_definition key_seal, key_open;

/* The keys that they use from now on. */
void key_procedures_init(const struct keyring *keyring);

#endif
