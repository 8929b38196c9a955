/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/resp_server/times.h - the times that commands give and tell.
 *
 * Owns:     nothing.
 * Threads:  the session's.
 * Blocking: never.
 * Trust:    arguments may be anything.
 * Limits:   milliseconds since 1970, in 63 bits.
 */
#ifndef VINE_CORE_RESP_SERVER_TIMES_H
#define VINE_CORE_RESP_SERVER_TIMES_H

#include "core/resp_server/resp_server_internal.h"

#include <stdbool.h>
#include <stdint.h>

/* In what a time is given, and from when on. */
struct vine__resp_unit {
    int64_t ms;
    bool is_from_now;
};

extern const struct vine__resp_unit vine__resp_in_seconds, vine__resp_in_ms, vine__resp_at_second,
    vine__resp_at_ms;

/* The time that an argument of `command` says, which is more than 0 in its unit. Returns false, and
 * has answered, if it is none. */
bool vine__resp_time_ahead(struct vine__resp_run *run, const struct vine_resp_argument *argument,
                           const struct vine__resp_unit *unit, const char *command,
                           int64_t *ret_ms);

#endif
