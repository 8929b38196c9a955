/* SPDX-License-Identifier: Apache-2.0 */
/* Commands on keys and values. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/resp_server/resp_server_internal.h"
#include "core/resp_server/times.h"
#include "utils/assert.h"

static struct vine_keyspace_entry *find(struct vine__resp_run *run, uint32_t index)
{
    const struct vine_resp_argument *const key = &run->arguments[index];

    return vine_keyspace_find(run->keyspace, key->bytes, key->size_bytes);
}

static struct vine_keyspace_entry *get(struct vine__resp_run *run, uint32_t index)
{
    const struct vine_resp_argument *const key = &run->arguments[index];

    return vine_keyspace_get(run->keyspace, key->bytes, key->size_bytes);
}

/* Hold an entry until its value has been sent. */
static void hold(struct vine__resp_run *run, struct vine_keyspace_entry *entry)
{
    vine_keyspace_hold(entry);
    run->session->held = entry;
}

int vine__resp_get(struct vine__resp_run *run)
{
    if (run->is_first) {
        struct vine_keyspace_entry *const entry = get(run, 1);

        if (entry == NULL) {
            (void)vine_resp_write_null(run->writer);
            return 0;
        }
        hold(run, entry);
    }
    return vine__resp_send_held(run);
}

/* ---- SET ------------------------------------------------------------------------------------- */

struct set_options {
    bool if_absent, if_present, gets, keeps;
    const struct vine__resp_unit *unit; /* of the time that is given, or NULL */
    const struct vine_resp_argument *time;
};

static const struct vine__resp_unit *unit_of(const struct vine_resp_argument *argument)
{
    static const struct {
        const char *word;
        const struct vine__resp_unit *unit;
    } units[] = {
        {"ex", &vine__resp_in_seconds},
        {"px", &vine__resp_in_ms},
        {"exat", &vine__resp_at_second},
        {"pxat", &vine__resp_at_ms},
    };

    for (size_t n = 0; n < sizeof(units) / sizeof(units[0]); n++)
        if (vine__resp_is(argument, units[n].word))
            return units[n].unit;
    return NULL;
}

/* Returns whether they are such options. As with Redis, one may be said twice. */
static bool parse_set_options(const struct vine__resp_run *run, struct set_options *options)
{
    for (uint32_t n = 3; n < run->argument_count; n++) {
        const struct vine_resp_argument *const option = &run->arguments[n];
        const struct vine__resp_unit *const unit = unit_of(option);

        if (vine__resp_is(option, "nx") && !options->if_present) {
            options->if_absent = true;
        } else if (vine__resp_is(option, "xx") && !options->if_absent) {
            options->if_present = true;
        } else if (vine__resp_is(option, "get")) {
            options->gets = true;
        } else if (vine__resp_is(option, "keepttl") && options->unit == NULL) {
            options->keeps = true;
        } else if (unit != NULL && !options->keeps && n + 1 < run->argument_count &&
                   (options->unit == NULL || options->unit == unit)) {
            options->unit = unit;
            options->time = &run->arguments[++n];
        } else {
            return false;
        }
    }
    return true;
}

/* Give a key the value that is argument `index`. Returns 0 or -ENOMEM. */
static int store(struct vine__resp_run *run, uint32_t index, int64_t deadline_ms)
{
    const struct vine_resp_argument *const key = &run->arguments[index - 1];
    struct vine_resp_argument *const value = &run->arguments[index];
    struct vine_keyspace_entry *const prepared = vine__resp_take_owner(value);
    int error;

    if (prepared == NULL)
        return vine_keyspace_set(run->keyspace, key->bytes, key->size_bytes, value->bytes,
                                 value->size_bytes, deadline_ms);
    error = vine_keyspace_put(run->keyspace, prepared, deadline_ms);
    if (error != 0)
        vine_keyspace_release(run->keyspace, prepared);
    return error;
}

/* What SET answers where it does not say what was there before. */
static int answer_set(struct vine__resp_run *run, bool was_set)
{
    if (was_set)
        return vine__resp_ok(run);
    (void)vine_resp_write_null(run->writer);
    return 0;
}

static int set(struct vine__resp_run *run)
{
    struct set_options options = {.if_absent = false};
    int64_t deadline_ms = VINE_KEYSPACE_NEVER;
    struct vine_keyspace_entry *former;
    bool is_wanted;

    if (!parse_set_options(run, &options))
        return vine__resp_error(run, "ERR syntax error");
    if (options.keeps)
        deadline_ms = VINE_KEYSPACE_KEEP;
    if (options.unit != NULL &&
        !vine__resp_time_ahead(run, options.time, options.unit, "set", &deadline_ms))
        return 0;
    former = options.gets ? get(run, 1) : find(run, 1);
    is_wanted = former == NULL ? !options.if_present : !options.if_absent;
    if (options.gets && former != NULL)
        hold(run, former);
    if (is_wanted && store(run, 2, deadline_ms) != 0)
        return vine__resp_no_memory(run);
    if (!options.gets)
        return answer_set(run, is_wanted);
    if (former != NULL)
        return vine__resp_send_held(run);
    (void)vine_resp_write_null(run->writer);
    return 0;
}

int vine__resp_set(struct vine__resp_run *run)
{
    if (!run->is_first)
        return vine__resp_send_held(run);
    if (run->argument_count == 3) /* most have no options */
        return store(run, 2, VINE_KEYSPACE_NEVER) == 0 ? vine__resp_ok(run)
                                                       : vine__resp_no_memory(run);
    return set(run);
}

/* ---- several keys ---------------------------------------------------------------------------- */

/* All that is there is held at once, in the place of the keys: what others change while the reply
 * goes out changes nothing of it. */
static void hold_all(struct vine__resp_run *run)
{
    for (uint32_t n = 1; n < run->argument_count; n++) {
        struct vine_keyspace_entry *const entry = get(run, n);
        struct vine_keyspace_entry *const key = vine__resp_take_owner(&run->arguments[n]);

        if (entry != NULL)
            vine_keyspace_hold(entry);
        if (key != NULL)
            vine_keyspace_release(run->keyspace, key);
        run->arguments[n].owner = entry;
    }
    run->session->next = 1;
}

int vine__resp_mget(struct vine__resp_run *run)
{
    struct vine_resp_session *const session = run->session;

    if (run->is_first) {
        hold_all(run);
        (void)vine_resp_write_array(run->writer, run->argument_count - 1);
    }
    for (; session->next < run->argument_count; session->next++) {
        if (session->held == NULL)
            session->held = vine__resp_take_owner(&run->arguments[session->next]);
        if (session->held != NULL) {
            if (vine__resp_send_held(run) != 0)
                return -ENOBUFS;
        } else {
            if (vine_resp_writer_room(run->writer) < VINE__RESP_NULL_BYTES)
                return -ENOBUFS;
            (void)vine_resp_write_null(run->writer);
        }
    }
    return 0;
}

int vine__resp_mset(struct vine__resp_run *run)
{
    struct vine_resp_argument *const arguments = run->arguments;

    if (run->argument_count % 2 == 0)
        return vine__resp_wrong_arity(run, "mset");
    for (uint32_t n = 2; n < run->argument_count; n += 2) {
        struct vine_keyspace_entry *entry;

        if (arguments[n].owner != NULL)
            continue;
        if (vine_keyspace_prepare(run->keyspace, arguments[n - 1].bytes,
                                  arguments[n - 1].size_bytes, arguments[n].size_bytes,
                                  &entry) != 0)
            return vine__resp_no_memory(run);
        if (arguments[n].size_bytes > 0)
            memcpy(vine_keyspace_prepared_value(entry), arguments[n].bytes,
                   arguments[n].size_bytes);
        arguments[n].owner = entry;
    }
    for (uint32_t n = 2; n < run->argument_count; n += 2) {
        const int error = store(run, n, VINE_KEYSPACE_NEVER);

        VINE_ASSERT(error == 0);
    }
    return vine__resp_ok(run);
}

int vine__resp_del(struct vine__resp_run *run)
{
    int64_t count = 0;

    for (uint32_t n = 1; n < run->argument_count; n++) {
        struct vine_keyspace_entry *const entry = find(run, n);

        if (entry == NULL)
            continue;
        vine_keyspace_remove(run->keyspace, entry);
        count++;
    }
    return vine__resp_integer(run, count);
}

int vine__resp_exists(struct vine__resp_run *run)
{
    int64_t count = 0;

    for (uint32_t n = 1; n < run->argument_count; n++)
        count += get(run, n) != NULL;
    return vine__resp_integer(run, count);
}

int vine__resp_dbsize(struct vine__resp_run *run)
{
    struct vine_keyspace_stats stats;

    vine_keyspace_stats(run->keyspace, &stats);
    return vine__resp_integer(run, (int64_t)stats.keys);
}

/* ---- numbers --------------------------------------------------------------------------------- */

static int add(struct vine__resp_run *run, int64_t increment)
{
    const struct vine_resp_argument *const key = &run->arguments[1];
    struct vine_keyspace_entry *const entry = find(run, 1);
    int64_t number = 0;
    char text[32];
    int size;

    if (entry != NULL) {
        struct vine_resp_argument value = {.bytes = NULL};
        size_t value_bytes;

        value.bytes = vine_keyspace_value(entry, &value_bytes);
        value.size_bytes = (uint32_t)value_bytes;
        if (!vine__resp_number(run, &value, &number))
            return 0;
    }
    if (__builtin_add_overflow(number, increment, &number))
        return vine__resp_error(run, "ERR increment or decrement would overflow");
    size = snprintf(text, sizeof(text), "%lld", (long long)number);
    if (vine_keyspace_set(run->keyspace, key->bytes, key->size_bytes, text, (size_t)size,
                          VINE_KEYSPACE_KEEP) != 0)
        return vine__resp_no_memory(run);
    return vine__resp_integer(run, number);
}

int vine__resp_incr(struct vine__resp_run *run)
{
    return add(run, 1);
}

int vine__resp_decr(struct vine__resp_run *run)
{
    return add(run, -1);
}

int vine__resp_incrby(struct vine__resp_run *run)
{
    int64_t increment;

    return vine__resp_number(run, &run->arguments[2], &increment) ? add(run, increment) : 0;
}

int vine__resp_decrby(struct vine__resp_run *run)
{
    int64_t decrement;

    if (!vine__resp_number(run, &run->arguments[2], &decrement))
        return 0;
    if (decrement == INT64_MIN)
        return vine__resp_error(run, "ERR decrement would overflow");
    return add(run, -decrement);
}
