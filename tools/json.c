/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "status.h"
#include "utils/atomic.h"

static uint32_t has_printed; /* by whichever thread */

static int print(json_t *value, size_t flags)
{
    if (value == NULL) {
        message_error("out of memory");
        return STATUS_FAILED;
    }
    vine__store_relaxed_u32(&has_printed, 1);
    flockfile(stdout);
    (void)json_dumpf(value, stdout, flags); /* stdout's error is looked at when all is printed */
    putchar('\n');
    funlockfile(stdout);
    json_decref(value);
    return STATUS_DONE;
}

json_t *json_read_object(const char *path)
{
    json_error_t error;
    json_t *const json = strcmp(path, "-") == 0
                             ? json_loadf(stdin, JSON_REJECT_DUPLICATES, &error)
                             : json_load_file(path, JSON_REJECT_DUPLICATES, &error);

    if (json_is_object(json))
        return json;
    if (json != NULL)
        message_error("%s: this is no JSON object", message_escape(path));
    else if (error.line > 0)
        message_error("%s:%d:%d: %s", message_escape(path), error.line, error.column,
                      message_escape(error.text));
    else
        message_error("%s", message_escape(error.text)); /* which names it */
    json_decref(json);
    return NULL;
}

json_t *json_unsigned(uint64_t number)
{
    return number <= INT64_MAX ? json_integer((json_int_t)number) : json_real((double)number);
}

int json_print(json_t *value)
{
    return print(value, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
}

int json_print_line(json_t *value)
{
    return print(value, JSON_COMPACT | JSON_REAL_PRECISION(15));
}

void json_print_failure(int status)
{
    const char *error = message_last_error();

    if (vine__load_relaxed_u32(&has_printed) != 0)
        return;
    json_t *object = json_object();
    json_set_name(object, "error", error[0] != '\0' ? error : status_text(status));
    json_object_set_new(object, "exit_status", json_integer(status));
    (void)json_print_line(object);
}

/* Bytes of the UTF-8 character at `text`, control characters among them (JSON escapes them); 0 if
 * there is none. */
static size_t character_length(const char *text)
{
    const unsigned char first = (unsigned char)text[0];

    if (first < 0x80)
        return 1;
    const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    for (size_t i = 1; i < length; i++)
        if (text[i] == '\0')
            return 0;
    json_t *string = json_stringn(text, length); /* NULL where it is not UTF-8 */
    const size_t valid = string != NULL ? length : 0;
    json_decref(string);
    return valid;
}

static void set_invalid_name(json_t *object, const char *key, const char *name)
{
    const size_t size = strlen(name);
    char *text = malloc(3 * size + 1);
    char *hex = malloc(2 * size + 1);
    char key_hex[64];

    if (text != NULL && hex != NULL) {
        char *end = text;
        for (const char *at = name; *at != '\0';) {
            const size_t length = character_length(at);
            memcpy(end, length > 0 ? at : "\xef\xbf\xbd", length > 0 ? length : 3);
            end += length > 0 ? length : 3;
            at += length > 0 ? length : 1;
        }
        *end = '\0';
        for (size_t i = 0; i < size; i++)
            snprintf(hex + 2 * i, 3, "%02x", (unsigned char)name[i]);
        snprintf(key_hex, sizeof(key_hex), "%s_hex", key);
        json_object_set_new(object, key, json_string(text));
        json_object_set_new(object, key_hex, json_string(hex));
    }
    free(text);
    free(hex);
}

void json_set_name(json_t *object, const char *key, const char *name)
{
    json_t *string = json_string(name);

    if (string != NULL)
        json_object_set_new(object, key, string);
    else
        set_invalid_name(object, key, name);
}
