/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/json.h"

#include "utils/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void vine__json_stand_at(struct vine__json_reader *reader, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(reader->at, sizeof(reader->at), format, arguments);
    va_end(arguments);
}

void vine__json_wrong(struct vine__json_reader *reader, const char *key, const char *format, ...)
{
    char text[256];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    const char *const dot = reader->at[0] != '\0' && key[0] != '\0' ? "." : "";
    const char *const colon = reader->at[0] != '\0' || key[0] != '\0' ? ": " : "";

    (void)vine__problem_set(reader->problem, -EINVAL, "%s: %s%s%s%s%s", reader->file, reader->at,
                            dot, key, colon, text);
}

bool vine__json_is_well(const struct vine__json_reader *reader)
{
    return reader->problem->text[0] == '\0';
}

json_t *vine__json_parse(struct vine__json_reader *reader, const void *bytes, size_t size)
{
    json_error_t error;
    json_t *const root = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &error);

    if (root == NULL)
        (void)vine__problem_set(reader->problem, -EINVAL, "%s:%d:%d: %s", reader->file, error.line,
                                error.column, error.text);
    else if (!json_is_object(root))
        vine__json_wrong(reader, "", "this is no JSON object");
    if (root != NULL && !vine__json_is_well(reader)) {
        json_decref(root);
        return NULL;
    }
    return root;
}

bool vine__json_expect(struct vine__json_reader *reader, const json_t *value,
                       const char *const *keys)
{
    const char *key;
    json_t *unused;

    if (!json_is_object(value)) {
        vine__json_wrong(reader, "", "this is no object");
        return false;
    }
    /* jansson's loops want a value that may be changed, and change nothing. */
    json_t *object = json_incref((json_t *)(uintptr_t)value);
    json_object_foreach(object, key, unused)
    {
        size_t i = 0;

        while (keys[i] != NULL && strcmp(keys[i], key) != 0)
            i++;
        if (keys[i] == NULL)
            vine__json_wrong(reader, "", "\"%s\" is not known here", key);
    }
    json_decref(object);
    return vine__json_is_well(reader);
}

const char *vine__json_text(struct vine__json_reader *reader, const json_t *object, const char *key,
                            const char *otherwise)
{
    const json_t *const value = json_object_get(object, key);

    if (value == NULL && otherwise != NULL)
        return otherwise[0] != '\0' ? otherwise : NULL;
    if (!json_is_string(value)) {
        vine__json_wrong(reader, key, value == NULL ? "is missing" : "is no text");
        return NULL;
    }
    return json_string_value(value);
}

uint64_t vine__json_size(struct vine__json_reader *reader, const json_t *object, const char *key,
                         uint64_t otherwise)
{
    const json_t *const value = json_object_get(object, key);
    uint64_t bytes = otherwise;

    if (json_is_integer(value) && json_integer_value(value) >= 0)
        bytes = (uint64_t)json_integer_value(value);
    else if (value != NULL &&
             (!json_is_string(value) || vine__parse_size(json_string_value(value), &bytes) != 0))
        vine__json_wrong(reader, key, "is no size, such as \"64M\"");
    return bytes;
}

uint32_t vine__json_count(struct vine__json_reader *reader, const json_t *object, const char *key,
                          uint32_t otherwise, uint32_t most)
{
    const json_t *const value = json_object_get(object, key);

    if (value == NULL)
        return otherwise;
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > most) {
        vine__json_wrong(reader, key, "is no number from 0 to %u", most);
        return otherwise;
    }
    return (uint32_t)json_integer_value(value);
}

bool vine__json_flag(struct vine__json_reader *reader, const json_t *object, const char *key,
                     bool otherwise)
{
    const json_t *const value = json_object_get(object, key);

    if (value != NULL && !json_is_boolean(value))
        vine__json_wrong(reader, key, "is neither true nor false");
    return value != NULL ? json_is_true(value) : otherwise;
}

const json_t *vine__json_list(struct vine__json_reader *reader, const json_t *object,
                              const char *key, size_t most)
{
    const json_t *const value = json_object_get(object, key);

    if (value == NULL)
        return NULL;
    if (!json_is_array(value) || json_array_size(value) > most) {
        vine__json_wrong(reader, key, "is no list of at most %zu", most);
        return NULL;
    }
    return value;
}

void vine__json_version(struct vine__json_reader *reader, const json_t *object, uint32_t known)
{
    const uint32_t version = vine__json_count(reader, object, "version", 0, UINT32_MAX);

    if (version != known)
        vine__json_wrong(reader, "version", "is %u, and this program knows %u", version, known);
}
