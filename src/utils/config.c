/* SPDX-License-Identifier: Apache-2.0 */
/* Lines and layers. See utils/config.h. */
#include "utils/config.h"

#include <vine/error.h>

#include "utils/assert.h"
#include "utils/config_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int vine__config_refuse(struct vine__config_reason *ret_reason, int error, const char *format, ...)
{
    if (ret_reason != NULL) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(ret_reason->text, sizeof(ret_reason->text), format, arguments);
        va_end(arguments);
    }
    return error;
}

/* ---- Entries -------------------------------------------------------------------------------- */

/* Key, value and source lie in one block that begins with the key. */
static bool make_entry(struct vine__config_entry *ret_entry, const struct vine__config_entry *from)
{
    const size_t key_size = strlen(from->key) + 1;
    const size_t value_size = strlen(from->value) + 1;
    const size_t source_size = strlen(from->source) + 1;
    char *block = malloc(key_size + value_size + source_size);
    if (block == NULL)
        return false;
    memcpy(block, from->key, key_size);
    memcpy(block + key_size, from->value, value_size);
    memcpy(block + key_size + value_size, from->source, source_size);
    *ret_entry = (struct vine__config_entry){
        .key = block,
        .value = block + key_size,
        .source = block + key_size + value_size,
        .line = from->line,
    };
    return true;
}

static void free_entry(struct vine__config_entry *entry)
{
    free((char *)(uintptr_t)entry->key);
}

static struct vine__config_entry *find(const struct vine__config *config, const char *key)
{
    for (uint32_t i = 0; i < config->count; i++) {
        if (strcmp(config->entries[i].key, key) == 0)
            return &config->entries[i];
    }
    return NULL;
}

/* Append a copy, for a layer that is being read. */
static int append(struct vine__config *layer, const struct vine__config_entry *from,
                  struct vine__config_reason *ret_reason)
{
    if (layer->count == VINE__CONFIG_ENTRIES_MAX)
        return vine__config_refuse(ret_reason, -ENOSPC, "%s:%u: more than %d keys", from->source,
                                   from->line, VINE__CONFIG_ENTRIES_MAX);
    if (layer->entries == NULL) {
        layer->entries = calloc(VINE__CONFIG_ENTRIES_MAX, sizeof(*layer->entries));
        if (layer->entries == NULL)
            return vine__config_refuse(ret_reason, -ENOMEM, "%s: out of memory", from->source);
    }
    if (!make_entry(&layer->entries[layer->count], from))
        return vine__config_refuse(ret_reason, -ENOMEM, "%s: out of memory", from->source);
    layer->count++;
    return 0;
}

/* Move the layer's entries into the config, where they win; all or none. The layer is gone. */
static int merge(struct vine__config *config, struct vine__config *layer, const char *source,
                 struct vine__config_reason *ret_reason)
{
    uint32_t added = 0;
    for (uint32_t i = 0; i < layer->count; i++)
        added += find(config, layer->entries[i].key) == NULL;
    if (config->count + added > VINE__CONFIG_ENTRIES_MAX) {
        vine__config_fini(layer);
        return vine__config_refuse(ret_reason, -ENOSPC,
                                   "%s: more than %d keys together with what was read before",
                                   source, VINE__CONFIG_ENTRIES_MAX);
    }
    if (config->entries == NULL) {
        config->entries = layer->entries;
        config->count = layer->count;
        *layer = (struct vine__config){0};
        return 0;
    }
    for (uint32_t i = 0; i < layer->count; i++) {
        struct vine__config_entry *old = find(config, layer->entries[i].key);
        if (old != NULL)
            free_entry(old);
        else
            old = &config->entries[config->count++];
        *old = layer->entries[i];
    }
    layer->count = 0;
    vine__config_fini(layer);
    return 0;
}

void vine__config_fini(struct vine__config *config)
{
    for (uint32_t i = 0; i < config->count; i++)
        free_entry(&config->entries[i]);
    free(config->entries);
    free(config->sources);
    *config = (struct vine__config){0};
}

/* ---- Lines ---------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_key_character(char c)
{
    return c > ' ' && c < 0x7f && c != '=';
}

static bool is_control(char c)
{
    return ((unsigned char)c < ' ' && c != '\t') || c == 0x7f;
}

/* Where one came from, for messages. */
struct place {
    const char *source;
    uint32_t line;
    struct vine__config_reason *ret_reason;
};

/* Copy the key at the start of the line, which has a character. Returns its length, or an error. */
static int parse_key(const struct place *place, const char *line, size_t length,
                     char key[VINE__CONFIG_KEY_MAX + 1])
{
    size_t size = 0;
    while (size < length && is_key_character(line[size]))
        size++;
    if (size < length && !is_blank(line[size]) && line[size] != '=')
        return vine__config_refuse(
            place->ret_reason, -VINE_ECONFIG,
            "%s:%u: byte %zu of the key is 0x%02x, not a printable ASCII character", place->source,
            place->line, size + 1, (unsigned char)line[size]);
    if (size == 0)
        return vine__config_refuse(place->ret_reason, -VINE_ECONFIG, "%s:%u: no key before '='",
                                   place->source, place->line);
    if (size > VINE__CONFIG_KEY_MAX)
        return vine__config_refuse(place->ret_reason, -VINE_ECONFIG,
                                   "%s:%u: the key '%.*s...' has %zu characters; %d are allowed",
                                   place->source, place->line, VINE__CONFIG_KEY_MAX, line, size,
                                   VINE__CONFIG_KEY_MAX);
    memcpy(key, line, size);
    key[size] = '\0';
    return (int)size;
}

/* Find the value within what follows the key: moves its start, returns its length. */
static size_t trim_value(const char **text, size_t length)
{
    const char *at = *text;
    const char *end = at + length;
    while (at < end && is_blank(*at))
        at++;
    if (at < end && *at == '=') {
        at++;
        while (at < end && is_blank(*at))
            at++;
    }
    for (const char *c = at; c < end; c++) {
        /* The blank before may belong to what was skipped: KEY #comment. */
        if (*c == '#' && is_blank(c[-1])) {
            end = c;
            break;
        }
    }
    while (end > at && is_blank(end[-1]))
        end--;
    *text = at;
    return (size_t)(end - at);
}

/* One line without its end. */
static int parse_line(struct vine__config *layer, const struct place *place, const char *line,
                      size_t length)
{
    const uint32_t number = place->line;
    if (length > VINE__CONFIG_LINE_MAX)
        return vine__config_refuse(place->ret_reason, -VINE_ECONFIG,
                                   "%s:%u: the line has %zu bytes; %d are allowed", place->source,
                                   number, length, VINE__CONFIG_LINE_MAX);
    while (length > 0 && is_blank(line[0])) {
        line++;
        length--;
    }
    if (length == 0)
        return 0;
    if (memchr(line, '\0', length) != NULL)
        return vine__config_refuse(place->ret_reason, -VINE_ECONFIG,
                                   "%s:%u: the line has a NUL byte", place->source, number);
    if (line[0] == '#')
        return 0;

    char key[VINE__CONFIG_KEY_MAX + 1];
    const int key_length = parse_key(place, line, length, key);
    if (key_length < 0)
        return key_length;
    const char *text = line + key_length;
    const size_t text_length = trim_value(&text, length - (size_t)key_length);
    if (text_length == 0)
        return vine__config_refuse(place->ret_reason, -VINE_ECONFIG,
                                   "%s:%u: the key '%s' has no value", place->source, number, key);
    for (size_t i = 0; i < text_length; i++) {
        if (is_control(text[i]))
            return vine__config_refuse(place->ret_reason, -VINE_ECONFIG,
                                       "%s:%u: the value of '%s' has the control character 0x%02x",
                                       place->source, number, key, (unsigned char)text[i]);
    }
    const struct vine__config_entry *other = find(layer, key);
    if (other != NULL)
        return vine__config_refuse(place->ret_reason, -VINE_ECONFIG,
                                   "%s:%u: the key '%s' was given before, in line %u",
                                   place->source, number, key, other->line);

    char value[VINE__CONFIG_LINE_MAX + 1];
    memcpy(value, text, text_length);
    value[text_length] = '\0';
    const struct vine__config_entry entry = {
        .key = key, .value = value, .source = place->source, .line = number};
    return append(layer, &entry, place->ret_reason);
}

/* ---- Layers --------------------------------------------------------------------------------- */

int vine__config_add_memory(struct vine__config *config, const char *source, const void *bytes,
                            size_t size_bytes, struct vine__config_reason *ret_reason)
{
    if (size_bytes > VINE__CONFIG_FILE_MAX)
        return vine__config_refuse(ret_reason, -VINE_ECONFIG, "%s: larger than %d bytes", source,
                                   VINE__CONFIG_FILE_MAX);
    struct vine__config layer = {0};
    struct place place = {.source = source, .line = 0, .ret_reason = ret_reason};
    const char *at = size_bytes > 0 ? bytes : "";
    const char *end = at + size_bytes;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *line_end = newline != NULL ? newline : end;
        const char *next = newline != NULL ? newline + 1 : end;
        if (line_end > at && line_end[-1] == '\r')
            line_end--;
        place.line++;
        const int error = parse_line(&layer, &place, at, (size_t)(line_end - at));
        if (error != 0) {
            vine__config_fini(&layer);
            return error;
        }
        at = next;
    }
    return merge(config, &layer, source, ret_reason);
}

/* What holds for a file's keys and values holds for those of other sources. */
static int check_pair(const char *key, const char *value, const char *source,
                      struct vine__config_reason *ret_reason)
{
    size_t size = 0;
    while (is_key_character(key[size]))
        size++;
    if (size == 0 || key[size] != '\0' || size > VINE__CONFIG_KEY_MAX || key[0] == '#')
        return vine__config_refuse(ret_reason, -VINE_ECONFIG,
                                   "%s: not a key: 1 to %d printable characters", source,
                                   VINE__CONFIG_KEY_MAX);
    if (value[0] == '\0')
        return vine__config_refuse(ret_reason, -VINE_ECONFIG, "%s: the key '%s' has no value",
                                   source, key);
    if (strlen(value) > VINE__CONFIG_LINE_MAX)
        return vine__config_refuse(ret_reason, -VINE_ECONFIG,
                                   "%s: the value of '%s' is longer than %d bytes", source, key,
                                   VINE__CONFIG_LINE_MAX);
    for (const char *c = value; *c != '\0'; c++) {
        if (is_control(*c))
            return vine__config_refuse(ret_reason, -VINE_ECONFIG,
                                       "%s: the value of '%s' has the control character 0x%02x",
                                       source, key, (unsigned char)*c);
    }
    return 0;
}

static int append_pair(struct vine__config *layer, const char *key, const char *value,
                       const char *source, struct vine__config_reason *ret_reason)
{
    const struct vine__config_entry entry = {.key = key, .value = value, .source = source};
    const int error = check_pair(key, value, source, ret_reason);
    return error != 0 ? error : append(layer, &entry, ret_reason);
}

int vine__config_set(struct vine__config *config, const char *key, const char *value,
                     const char *source, struct vine__config_reason *ret_reason)
{
    struct vine__config layer = {0};
    const int error = append_pair(&layer, key, value, source, ret_reason);
    if (error != 0) {
        vine__config_fini(&layer);
        return error;
    }
    return merge(config, &layer, source, ret_reason);
}

/* "$PREFIXKEY" in capitals. */
static void variable_of(const char *prefix, const char *key, char *ret_text, size_t capacity)
{
    const int length = snprintf(ret_text, capacity, "$%s%s", prefix, key);
    VINE_ASSERT(length > 0 && (size_t)length < capacity);
    for (char *c = ret_text + 1 + strlen(prefix); *c != '\0'; c++) {
        if (*c >= 'a' && *c <= 'z')
            *c = (char)(*c - 'a' + 'A');
        else if (!(*c >= 'A' && *c <= 'Z') && !(*c >= '0' && *c <= '9'))
            *c = '_';
    }
}

int vine__config_add_environment(struct vine__config *config, const char *prefix,
                                 const struct vine__config_key *keys, uint32_t key_count,
                                 struct vine__config_reason *ret_reason)
{
    struct vine__config layer = {0};
    for (uint32_t i = 0; i < key_count; i++) {
        char name[64 + VINE__CONFIG_KEY_MAX];
        variable_of(prefix, keys[i].key, name, sizeof(name));
        const char *value = getenv(name + 1);
        if (value == NULL || value[0] == '\0' || find(&layer, keys[i].key) != NULL)
            continue;
        const int error = append_pair(&layer, keys[i].key, value, name, ret_reason);
        if (error != 0) {
            vine__config_fini(&layer);
            return error;
        }
    }
    return merge(config, &layer, "the environment", ret_reason);
}

int vine__config_add_fallbacks(struct vine__config *config, const struct vine__config_key *keys,
                               uint32_t key_count, struct vine__config_reason *ret_reason)
{
    struct vine__config layer = {0};
    for (uint32_t i = 0; i < key_count; i++) {
        if (keys[i].fallback == NULL || find(config, keys[i].key) != NULL ||
            find(&layer, keys[i].key) != NULL)
            continue;
        const int error = append_pair(&layer, keys[i].key, keys[i].fallback, "default", ret_reason);
        if (error != 0) {
            vine__config_fini(&layer);
            return error;
        }
    }
    return merge(config, &layer, "the defaults", ret_reason);
}

const struct vine__config_entry *vine__config_find(const struct vine__config *config,
                                                   const char *key)
{
    return find(config, key);
}
