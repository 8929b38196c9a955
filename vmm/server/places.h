/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/places.h - where the VM server keeps what it keeps.
 *
 * Owns:     nothing.
 * Threads:  any, as long as nobody changes the environment.
 * Blocking: never.
 * Trust:    the environment is the user's own. Whether a folder is, who uses it checks.
 * Limits:   paths of VINE__PLACE_BYTES.
 */
#ifndef VINE_VMM_SERVER_PLACES_H
#define VINE_VMM_SERVER_PLACES_H

#include <vine/base.h>

#include <stdbool.h>

#define VINE__PLACE_BYTES 4096 /* with the zero */

struct vine__places {
    char configuration[VINE__PLACE_BYTES]; /* a file */
    char state[VINE__PLACE_BYTES];         /* a folder: what outlives the machine's power */
    char runtime[VINE__PLACE_BYTES];       /* another one: what does not */
};

/*
 * Those of root, /etc/vine/server.conf, /var/lib/vine, /run/vine; or of a user,
 * $XDG_CONFIG_HOME/vine/server.conf (~/.config), $XDG_STATE_HOME/vine (~/.local/state),
 * $XDG_RUNTIME_DIR/vine (/tmp/vine-UID). None of them need exist.
 *
 * Returns 0; -ENOENT: the user has no home; -ENAMETOOLONG.
 */
VINE_MUST_CHECK int vine__places_find(bool is_root, struct vine__places *ret_places);

#endif
