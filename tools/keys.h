/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys.h - `seal` and `open` in an appliance that has no key: they are those of a process of its
 * own, vine-keys, to which each task is handed on as an agent does.
 *
 * Owns:     that process, the folder of its socket, the pipe to it, and a thread that watches the
 *           pipe.
 * Threads:  one calls these.
 * Blocking: keys_start until the other process serves; keys_close until it has ended.
 * Trust:    procedure libraries run in this process, and are not to have the keys. So the folder of
 *           keys is closed to this process, and to all it starts, before any of them is loaded, and
 *           the other one lets nobody look into it.
 * Limits:   one of each program.
 */
#ifndef VINE_TOOLS_KEYS_H
#define VINE_TOOLS_KEYS_H

#include <stdint.h>

struct vine_appliance;
struct keys;

/* So many sessions of one pipe may be open at once: those of the process of keys are for all. */
#define KEYS_SESSIONS_MAX 63

/* Have the keys of `folder` read and kept by another process, and do without the folder from here
 * on; before any thread is started or library loaded. `libraries` (may be NULL) is the folder of
 * procedure libraries, which must not be around it. Returns a status; what was wrong was told. */
int keys_start(const char *folder, const char *libraries, uint32_t threads, struct keys **ret_keys);

/* Offer the procedures, once, and again whenever the process of keys is a new one, until
 * keys_detach. Returns 0, or a negative code after it was told. */
int keys_attach(struct keys *keys, struct vine_appliance *appliance);

/* While the appliance still is there; NULL is allowed, as it is below. */
void keys_detach(struct keys *keys);

/* End the process, and forget it; after the appliance. */
void keys_close(struct keys *keys);

#endif
