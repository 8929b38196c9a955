/* SPDX-License-Identifier: Apache-2.0 */
/*
 * services/resp_store.h - the keys and values that all connections of services/resp.c share, and
 * what their coroutines ask of them by vine_outside.
 *
 * Owns:     one keyspace, and a session for each connection.
 * Threads:  core 0, which has all connections.
 * Blocking: never.
 * Trust:    the functions below believe nothing of what coroutines say.
 * Limits:   RESP_ARGUMENTS_MAX arguments a call; the keyspace's own.
 */
#ifndef SERVICES_RESP_STORE_H
#define SERVICES_RESP_STORE_H

#include <vine/outside.h>
#include <vine/resp.h>

#define RESP_ARGUMENTS_MAX 32

/* What is asked with. */
struct resp_asked {
    const struct vine_resp_argument *arguments; /* those that were not taken yet */
    uint32_t argument_count;
    uint32_t size_bytes; /* of the payload, or of what is there of it; of the room */
    char *bytes;
};

/* Begin to serve. Returns 0 or a negative error. */
int resp_store_begin(const void *wishes);

/* Execute a command, with room for its reply. Returns how much of it was written, and these: */
#define RESP_WRITTEN 0xffffffff
#define RESP_GOES_ON 0x100000000 /* the rest of it: ask again, with other room */
#define RESP_CLOSES  0x200000000 /* and then nothing more */
int64_t resp_execute(struct vine_outside *outside, const void *asked);

/* Take arguments of a command that has not come whole. */
int64_t resp_take(struct vine_outside *outside, const void *asked);

/* The next argument is of that size; here is some of it. */
int64_t resp_take_payload(struct vine_outside *outside, const void *asked);
int64_t resp_put_payload(struct vine_outside *outside, const void *asked);

#endif
