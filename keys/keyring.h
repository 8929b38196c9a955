/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyring.h - the keys of a folder, one a file, by the names of the files.
 *
 * Owns:     a keyring owns its keys, in hidden memory.
 * Threads:  read by one; looked up by any, as long as nobody frees it.
 * Blocking: keyring_read reads files.
 * Trust:    none in who else could have written the folder or a file, and none in what is in them.
 * Limits:   KEYRING_KEYS_MAX keys; names of VINE_KEY_NAME_MAX bytes.
 */
#ifndef VINE_KEYS_KEYRING_H
#define VINE_KEYS_KEYRING_H

#include <stddef.h>
#include <stdint.h>

#include <vine/base.h>

#include "seal_protocol.h"

#define KEYRING_KEYS_MAX   256
#define KEYRING_REASON_MAX 512

struct key {
    char name[VINE_KEY_NAME_MAX + 1];
    uint8_t id[VINE_SEAL_ID_BYTES]; /* what sealed files say of it */
    uint8_t bytes[VINE_SEAL_KEY_BYTES];
};

struct keyring {
    struct key *keys;
    size_t count;
};

/* Whether the folder may hold keys at all: ours or root's, and written by nobody else. Returns 0,
 * or -EACCES or another negated errno and why. */
int keyring_check_folder(int fd, char ret_reason[KEYRING_REASON_MAX]);

/*
 * Read all keys of the folder. What its name begins with a dot is passed over; whatever else is no
 * key that only its owner can read is an error, which names it. seal_prepare comes before this.
 *
 * Returns 0; -ENOENT  there is none; -EACCES, -VINE_ECONFIG, another negated errno: with a reason
 * that holds nothing of a key.
 */
int keyring_read(int fd, struct keyring *ret_keyring, char ret_reason[KEYRING_REASON_MAX]);
void keyring_free(struct keyring *keyring);

/* NULL: there is none. The name need not end with a zero. */
const struct key *keyring_find(const struct keyring *keyring, const char *name, size_t length);
const struct key *keyring_find_id(const struct keyring *keyring,
                                  const uint8_t id[VINE_SEAL_ID_BYTES]);

#endif
