/* SPDX-License-Identifier: Apache-2.0 */
/* Values by key and type, and whether all that is needed is there. See utils/config.h. */
#include "utils/config.h"

#include <vine/error.h>

#include "utils/assert.h"
#include "utils/config_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How much of a value a message repeats. */
#define SHOWN_MAX 60

void vine__config_origin(const struct vine__config_entry *entry, char *ret_text, size_t capacity)
{
    VINE_ASSERT(capacity > 0);
    if (entry->line == 0)
        snprintf(ret_text, capacity, "%s", entry->source);
    else
        snprintf(ret_text, capacity, "%s:%u", entry->source, entry->line);
}

const struct vine__config_entry *vine__config_next_unknown(const struct vine__config *config,
                                                           const struct vine__config_key *keys,
                                                           uint32_t key_count, uint32_t *index)
{
    while (*index < config->count) {
        const struct vine__config_entry *entry = &config->entries[(*index)++];
        uint32_t i = 0;
        while (i < key_count && strcmp(keys[i].key, entry->key) != 0)
            i++;
        if (i == key_count)
            return entry;
    }
    return NULL;
}

/* The value of a key whose absence is worth a reason. */
static int look_up(const struct vine__config *config, const char *key,
                   const struct vine__config_entry **ret_entry,
                   struct vine__config_reason *ret_reason)
{
    *ret_entry = vine__config_find(config, key);
    if (*ret_entry != NULL)
        return 0;
    return vine__config_refuse(ret_reason, -ENOENT, "%s: the required key '%s' is missing",
                               config->sources != NULL ? config->sources : "the configuration",
                               key);
}

/* A value that is not of its type; `wanted` says what one would be. */
static int malformed(const struct vine__config_entry *entry, int error, const char *wanted,
                     struct vine__config_reason *ret_reason)
{
    if (error == -ENOMEM)
        return vine__config_refuse(ret_reason, error, "%s: out of memory", entry->source);
    char origin[VINE__CONFIG_REASON_MAX / 2];
    vine__config_origin(entry, origin, sizeof(origin));
    return vine__config_refuse(ret_reason, -VINE_ECONFIG, "%s: %s: '%.*s%s' is %s%s", origin,
                               entry->key, SHOWN_MAX, entry->value,
                               strlen(entry->value) > SHOWN_MAX ? "..." : "",
                               error == -ERANGE ? "beyond 64 bits; it should be " : "not ", wanted);
}

#define WANTED_SIZE     "a size (like 4096, 64K, 512M or 2GiB)"
#define WANTED_UNSIGNED "a whole number from 0 on"
#define WANTED_BOOL     "0 or 1"
#define WANTED_DURATION "a time (like 250us, 100ms, 1.5s, 2min or 0)"

int vine__config_get_size(const struct vine__config *config, const char *key, uint64_t *ret_bytes,
                          struct vine__config_reason *ret_reason)
{
    const struct vine__config_entry *entry;
    int error = look_up(config, key, &entry, ret_reason);
    if (error != 0)
        return error;
    error = vine__parse_size(entry->value, ret_bytes);
    return error == 0 ? 0 : malformed(entry, error, WANTED_SIZE, ret_reason);
}

int vine__config_get_unsigned(const struct vine__config *config, const char *key,
                              uint64_t *ret_value, struct vine__config_reason *ret_reason)
{
    const struct vine__config_entry *entry;
    int error = look_up(config, key, &entry, ret_reason);
    if (error != 0)
        return error;
    error = vine__parse_unsigned(entry->value, ret_value);
    return error == 0 ? 0 : malformed(entry, error, WANTED_UNSIGNED, ret_reason);
}

int vine__config_get_bool(const struct vine__config *config, const char *key, bool *ret_value,
                          struct vine__config_reason *ret_reason)
{
    const struct vine__config_entry *entry;
    int error = look_up(config, key, &entry, ret_reason);
    if (error != 0)
        return error;
    error = vine__parse_bool(entry->value, ret_value);
    return error == 0 ? 0 : malformed(entry, error, WANTED_BOOL, ret_reason);
}

int vine__config_get_duration(const struct vine__config *config, const char *key, uint64_t *ret_ns,
                              struct vine__config_reason *ret_reason)
{
    const struct vine__config_entry *entry;
    int error = look_up(config, key, &entry, ret_reason);
    if (error != 0)
        return error;
    error = vine__parse_duration(entry->value, ret_ns);
    return error == 0 ? 0 : malformed(entry, error, WANTED_DURATION, ret_reason);
}

int vine__config_get_string(const struct vine__config *config, const char *key,
                            const char **ret_value, struct vine__config_reason *ret_reason)
{
    const struct vine__config_entry *entry;
    const int error = look_up(config, key, &entry, ret_reason);
    if (error == 0)
        *ret_value = entry->value;
    return error;
}

int vine__config_get_path(const struct vine__config *config, const char *key, char **ret_path,
                          struct vine__config_reason *ret_reason)
{
    const struct vine__config_entry *entry;
    int error = look_up(config, key, &entry, ret_reason);
    if (error != 0)
        return error;
    error = vine__expand_path(entry->value, getenv("HOME"), ret_path);
    if (error == 0)
        return 0;
    return malformed(entry, error,
                     error == -ENOENT ? "a path that can be known, since $HOME is not set"
                                      : "a path: of names with ~, only ~ and ~/... are understood",
                     ret_reason);
}

/* ---- Checks --------------------------------------------------------------------------------- */

/* Whether a number or a size is within its key's limits. */
static int check_limits(const struct vine__config *config, const struct vine__config_key *key,
                        uint64_t value, struct vine__config_reason *ret_reason)
{
    uint64_t least = 0, greatest = UINT64_MAX;
    char origin[VINE__CONFIG_REASON_MAX / 2];

    int (*const parse)(const char *, uint64_t *) =
        key->type == VINE__CONFIG_DURATION ? vine__parse_duration : vine__parse_size;

    if ((key->least == NULL || parse(key->least, &least) == 0) && value >= least &&
        (key->greatest == NULL || parse(key->greatest, &greatest) == 0) && value <= greatest)
        return 0;
    const struct vine__config_entry *entry = vine__config_find(config, key->key);
    vine__config_origin(entry, origin, sizeof(origin));
    return vine__config_refuse(ret_reason, -VINE_ECONFIG, "%s: %s: '%.*s' is not from %s to %s",
                               origin, key->key, SHOWN_MAX, entry->value,
                               key->least != NULL ? key->least : "0",
                               key->greatest != NULL ? key->greatest : "2^64 - 1");
}

/* Whether one value is what its key takes. */
static int check_value(const struct vine__config *config, const struct vine__config_key *key,
                       struct vine__config_reason *ret_reason)
{
    uint64_t number;
    bool is_on;
    char *path = NULL;
    int error;
    switch (key->type) {
    case VINE__CONFIG_SIZE:
        error = vine__config_get_size(config, key->key, &number, ret_reason);
        return error != 0 ? error : check_limits(config, key, number, ret_reason);
    case VINE__CONFIG_UNSIGNED:
        error = vine__config_get_unsigned(config, key->key, &number, ret_reason);
        return error != 0 ? error : check_limits(config, key, number, ret_reason);
    case VINE__CONFIG_DURATION:
        error = vine__config_get_duration(config, key->key, &number, ret_reason);
        return error != 0 ? error : check_limits(config, key, number, ret_reason);
    case VINE__CONFIG_BOOL:
        return vine__config_get_bool(config, key->key, &is_on, ret_reason);
    case VINE__CONFIG_PATH:
        error = vine__config_get_path(config, key->key, &path, ret_reason);
        free(path);
        return error;
    case VINE__CONFIG_STRING:
        return 0;
    }
    return 0;
}

int vine__config_check(const struct vine__config *config, const struct vine__config_key *keys,
                       uint32_t key_count, const char *group,
                       struct vine__config_reason *ret_reason)
{
    for (uint32_t i = 0; i < key_count; i++) {
        const struct vine__config_entry *entry;
        if (vine__config_find(config, keys[i].key) != NULL) {
            const int error = check_value(config, &keys[i], ret_reason);
            if (error != 0)
                return error;
        } else if (keys[i].required && group != NULL && strcmp(keys[i].group, group) == 0) {
            (void)look_up(config, keys[i].key, &entry, ret_reason);
            return -VINE_ECONFIG;
        }
    }
    return 0;
}
