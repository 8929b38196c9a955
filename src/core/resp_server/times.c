/* SPDX-License-Identifier: Apache-2.0 */
/* Commands on how long keys stay. */
#include "core/resp_server/times.h"

#define MS_PER_SECOND 1000

const struct vine__resp_unit vine__resp_in_seconds = {.ms = MS_PER_SECOND, .is_from_now = true};
const struct vine__resp_unit vine__resp_in_ms = {.ms = 1, .is_from_now = true};
const struct vine__resp_unit vine__resp_at_second = {.ms = MS_PER_SECOND, .is_from_now = false};
const struct vine__resp_unit vine__resp_at_ms = {.ms = 1, .is_from_now = false};

/* A count of units as a time. Returns whether there is such a time. */
static bool time_of(const struct vine__resp_run *run, int64_t count,
                    const struct vine__resp_unit *unit, int64_t *ret_ms)
{
    const int64_t from_ms = unit->is_from_now ? vine_keyspace_time(run->keyspace) : 0;
    int64_t ms;

    if (__builtin_mul_overflow(count, unit->ms, &ms) || __builtin_add_overflow(ms, from_ms, &ms))
        return false;
    *ret_ms = ms;
    return true;
}

static bool invalid_time(struct vine__resp_run *run, const char *command)
{
    vine__resp_error(run, "ERR invalid expire time in '%s' command", command);
    return false;
}

bool vine__resp_time_ahead(struct vine__resp_run *run, const struct vine_resp_argument *argument,
                           const struct vine__resp_unit *unit, const char *command, int64_t *ret_ms)
{
    int64_t count;

    if (!vine__resp_number(run, argument, &count))
        return false;
    if (count <= 0 || !time_of(run, count, unit, ret_ms) || *ret_ms <= 0)
        return invalid_time(run, command);
    return true;
}

/* ---- EXPIRE and its kin ---------------------------------------------------------------------- */

struct expire_options {
    bool nx, xx, gt, lt;
};

/* Returns false, and has answered, if they are none. */
static bool parse_options(struct vine__resp_run *run, struct expire_options *options)
{
    for (uint32_t n = 3; n < run->argument_count; n++) {
        const struct vine_resp_argument *const option = &run->arguments[n];

        if (vine__resp_is(option, "nx")) {
            options->nx = true;
        } else if (vine__resp_is(option, "xx")) {
            options->xx = true;
        } else if (vine__resp_is(option, "gt")) {
            options->gt = true;
        } else if (vine__resp_is(option, "lt")) {
            options->lt = true;
        } else {
            const int size = option->size_bytes < 128 ? (int)option->size_bytes : 128;

            vine__resp_error(run, "ERR Unsupported option %.*s", size, option->bytes);
            return false;
        }
    }
    if (options->nx && (options->xx || options->gt || options->lt)) {
        vine__resp_error(run,
                         "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if (options->gt && options->lt) {
        vine__resp_error(run, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    return true;
}

/* Whether a key with that deadline is to get the other one. No deadline is later than any. */
static bool are_met(const struct expire_options *options, int64_t deadline_ms, int64_t to_ms)
{
    const bool is_endless = deadline_ms == VINE_KEYSPACE_NEVER;

    if ((options->nx && !is_endless) || (options->xx && is_endless))
        return false;
    if (options->gt && (is_endless || to_ms <= deadline_ms))
        return false;
    return !(options->lt && !is_endless && to_ms >= deadline_ms);
}

static int expire(struct vine__resp_run *run, const struct vine__resp_unit *unit,
                  const char *command)
{
    const struct vine_resp_argument *const key = &run->arguments[1];
    struct expire_options options = {.nx = false};
    struct vine_keyspace_entry *entry;
    int64_t count, to_ms = 0;

    if (!parse_options(run, &options) || !vine__resp_number(run, &run->arguments[2], &count))
        return 0;
    if (!time_of(run, count, unit, &to_ms)) {
        (void)invalid_time(run, command);
        return 0;
    }
    entry = vine_keyspace_find(run->keyspace, key->bytes, key->size_bytes);
    if (entry == NULL || !are_met(&options, vine_keyspace_deadline(entry), to_ms))
        return vine__resp_integer(run, 0);
    if (to_ms <= vine_keyspace_time(run->keyspace))
        vine_keyspace_remove(run->keyspace, entry);
    else if (vine_keyspace_set_deadline(run->keyspace, entry, to_ms) != 0)
        return vine__resp_no_memory(run);
    return vine__resp_integer(run, 1);
}

int vine__resp_expire(struct vine__resp_run *run)
{
    return expire(run, &vine__resp_in_seconds, "expire");
}

int vine__resp_pexpire(struct vine__resp_run *run)
{
    return expire(run, &vine__resp_in_ms, "pexpire");
}

int vine__resp_expireat(struct vine__resp_run *run)
{
    return expire(run, &vine__resp_at_second, "expireat");
}

int vine__resp_pexpireat(struct vine__resp_run *run)
{
    return expire(run, &vine__resp_at_ms, "pexpireat");
}

int vine__resp_persist(struct vine__resp_run *run)
{
    const struct vine_resp_argument *const key = &run->arguments[1];
    struct vine_keyspace_entry *const entry =
        vine_keyspace_find(run->keyspace, key->bytes, key->size_bytes);

    if (entry == NULL || vine_keyspace_deadline(entry) == VINE_KEYSPACE_NEVER)
        return vine__resp_integer(run, 0);
    if (vine_keyspace_set_deadline(run->keyspace, entry, VINE_KEYSPACE_NEVER) != 0)
        return vine__resp_no_memory(run);
    return vine__resp_integer(run, 1);
}

/* ---- TTL and its kin ------------------------------------------------------------------------- */

#define NO_KEY      (-2)
#define NO_DEADLINE (-1)

/* A key's deadline in a unit, rounded to the nearest, as Redis does. */
static int tell(struct vine__resp_run *run, const struct vine__resp_unit *unit)
{
    const struct vine_resp_argument *const key = &run->arguments[1];
    const struct vine_keyspace_entry *const entry =
        vine_keyspace_get(run->keyspace, key->bytes, key->size_bytes);
    int64_t ms;

    if (entry == NULL)
        return vine__resp_integer(run, NO_KEY);
    ms = vine_keyspace_deadline(entry);
    if (ms == VINE_KEYSPACE_NEVER)
        return vine__resp_integer(run, NO_DEADLINE);
    if (unit->is_from_now)
        ms -= vine_keyspace_time(run->keyspace);
    return vine__resp_integer(run, ms / unit->ms +
                                       (ms % unit->ms >= unit->ms - unit->ms / 2 && unit->ms > 1));
}

int vine__resp_ttl(struct vine__resp_run *run)
{
    return tell(run, &vine__resp_in_seconds);
}

int vine__resp_pttl(struct vine__resp_run *run)
{
    return tell(run, &vine__resp_in_ms);
}

int vine__resp_expiretime(struct vine__resp_run *run)
{
    return tell(run, &vine__resp_at_second);
}

int vine__resp_pexpiretime(struct vine__resp_run *run)
{
    return tell(run, &vine__resp_at_ms);
}
