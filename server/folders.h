/* SPDX-License-Identifier: Apache-2.0 */
/*
 * folders.h - the server's folders: made with modes that keep others out, and locked, so that there
 * is one server at a place.
 */
#ifndef VINE_SERVER_FOLDERS_H
#define VINE_SERVER_FOLDERS_H

#include <stdbool.h>

#include "vmm/server/places.h"

struct folders {
    char logs[VINE__PLACE_BYTES];
    char locks[2][VINE__PLACE_BYTES];
    int lock_fds[2]; /* -1: not locked */
};

/* Says what goes wrong. Returns a status. */
int folders_open(const struct vine__places *places, struct folders *ret_folders);
void folders_close(struct folders *folders);

#endif
