/* SPDX-License-Identifier: Apache-2.0 */
/* INFO and CONFIG: what the server tells of itself. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/resp_server/resp_server_internal.h"
#include "utils/assert.h"

/* The version whose commands these are, for clients that go by it. */
#define REDIS_VERSION "7.0.0"

struct text {
    char bytes[VINE__RESP_INFO_BYTES];
    size_t size;
};

VINE_PRINTF(2, 3) static void append(struct text *text, const char *format, ...)
{
    const size_t room = sizeof(text->bytes) - text->size;
    va_list arguments;
    int size;

    va_start(arguments, format);
    size = vsnprintf(text->bytes + text->size, room, format, arguments);
    va_end(arguments);
    VINE_ASSERT(size >= 0 && (size_t)size < room);
    text->size += (size_t)size;
}

/* ---- INFO ------------------------------------------------------------------------------------ */

static void tell_server(const struct vine__resp_run *run, struct text *text)
{
    const int64_t up_ms = vine_keyspace_time(run->keyspace) - run->server->started_ms;

    append(text,
           "vine_version:%.*s\r\nredis_version:%s\r\nredis_mode:standalone\r\n"
           "uptime_in_seconds:%" PRId64 "\r\n",
           VINE__RESP_VERSION_BYTES, run->server->version, REDIS_VERSION,
           up_ms < 0 ? 0 : up_ms / 1000);
}

static void tell_clients(const struct vine__resp_run *run, struct text *text)
{
    append(text, "connected_clients:%" PRIu64 "\r\n", run->server->connections);
}

static void tell_memory(const struct vine__resp_run *run, struct text *text)
{
    struct vine_keyspace_stats stats;

    vine_keyspace_stats(run->keyspace, &stats);
    append(text,
           "used_memory:%" PRIu64 "\r\nmaxmemory:%" PRIu64 "\r\n"
           "maxmemory_policy:noeviction\r\n",
           stats.bytes, stats.bytes_max);
}

static void tell_stats(const struct vine__resp_run *run, struct text *text)
{
    struct vine_keyspace_stats stats;

    vine_keyspace_stats(run->keyspace, &stats);
    append(text,
           "total_connections_received:%" PRIu64 "\r\ntotal_commands_processed:%" PRIu64 "\r\n"
           "total_error_replies:%" PRIu64 "\r\nexpired_keys:%" PRIu64 "\r\n"
           "refused_for_memory:%" PRIu64 "\r\nkeyspace_hits:%" PRIu64 "\r\n"
           "keyspace_misses:%" PRIu64 "\r\n",
           run->server->connections_taken, run->server->commands, run->server->errors,
           stats.expired, stats.refused, stats.hits, stats.misses);
}

static void tell_keyspace(const struct vine__resp_run *run, struct text *text)
{
    struct vine_keyspace_stats stats;

    vine_keyspace_stats(run->keyspace, &stats);
    if (stats.keys > 0)
        append(text, "db0:keys=%" PRIu64 ",expires=%" PRIu64 ",avg_ttl=0\r\n", stats.keys,
               stats.deadlines);
}

static const struct section {
    const char *name, *title;
    void (*tell)(const struct vine__resp_run *run, struct text *text);
} sections[] = {
    {"server", "Server", tell_server},       {"clients", "Clients", tell_clients},
    {"memory", "Memory", tell_memory},       {"stats", "Stats", tell_stats},
    {"keyspace", "Keyspace", tell_keyspace},
};

static bool is_wanted(const struct vine__resp_run *run, const struct section *section)
{
    for (uint32_t n = 1; n < run->argument_count; n++) {
        const struct vine_resp_argument *const name = &run->arguments[n];

        if (vine__resp_is(name, section->name) || vine__resp_is(name, "all") ||
            vine__resp_is(name, "default") || vine__resp_is(name, "everything"))
            return true;
    }
    return run->argument_count == 1;
}

int vine__resp_info(struct vine__resp_run *run)
{
    struct text text = {.size = 0};

    /* All at once: a moment later it would be another text. */
    if (vine_resp_writer_room(run->writer) < VINE__RESP_INFO_BYTES + VINE__RESP_ROOM)
        return -ENOBUFS;
    for (size_t n = 0; n < sizeof(sections) / sizeof(sections[0]); n++) {
        if (!is_wanted(run, &sections[n]))
            continue;
        append(&text, "%s# %s\r\n", text.size == 0 ? "" : "\r\n", sections[n].title);
        sections[n].tell(run, &text);
    }
    (void)vine_resp_write_verbatim(run->writer, "txt", text.bytes, text.size);
    return 0;
}

/* ---- CONFIG ---------------------------------------------------------------------------------- */

#define SETTING_MEMORY 1 /* the index of the one that is not a constant */

static const struct {
    const char *name, *value;
} settings[] = {
    {"maxmemory-policy", "noeviction"},
    {"maxmemory", NULL},
    {"save", ""},
    {"appendonly", "no"},
    {"databases", "1"},
};

#define SETTING_COUNT (sizeof(settings) / sizeof(settings[0]))

static char lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte;
}

/* Whether a name matches a pattern of '*' and '?' and letters in any case. A '*' takes as little as
 * will do; where what follows it does not match, the last one takes one more. So this takes at most
 * the product of both sizes. */
static bool matches(const struct vine_resp_argument *pattern, const char *name)
{
    const char *at = pattern->bytes, *const end = pattern->bytes + pattern->size_bytes;
    const char *star = NULL, *from = NULL;

    while (*name != '\0') {
        if (at < end && *at == '*') {
            star = ++at;
            from = name;
        } else if (at < end && (*at == '?' || lower(*at) == *name)) {
            at++;
            name++;
        } else if (star != NULL) {
            at = star;
            name = ++from;
        } else {
            return false;
        }
    }
    while (at < end && *at == '*')
        at++;
    return at == end;
}

/* Whether any argument names a setting. */
static bool is_asked_for(const struct vine__resp_run *run, const char *name)
{
    for (uint32_t n = 2; n < run->argument_count; n++)
        if (matches(&run->arguments[n], name))
            return true;
    return false;
}

int vine__resp_config_get(struct vine__resp_run *run)
{
    struct vine_keyspace_stats stats;
    char memory[24];
    size_t count = 0;

    for (size_t n = 0; n < SETTING_COUNT; n++)
        count += is_asked_for(run, settings[n].name);
    vine_keyspace_stats(run->keyspace, &stats);
    (void)snprintf(memory, sizeof(memory), "%" PRIu64, stats.bytes_max);
    (void)vine_resp_write_map(run->writer, count);
    for (size_t n = 0; n < SETTING_COUNT; n++) {
        const char *const value = n == SETTING_MEMORY ? memory : settings[n].value;

        if (!is_asked_for(run, settings[n].name))
            continue;
        (void)vine_resp_write_bulk(run->writer, settings[n].name, strlen(settings[n].name));
        (void)vine_resp_write_bulk(run->writer, value, strlen(value));
    }
    return 0;
}
