/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "utils/vinetalk_config.h"
#include "utils/vinetalk_keys.h"

#include "message.h"
#include "status.h"

/* With commas between them; NULL: no memory. */
static char *join(const struct option_list *list)
{
    size_t size = 1;
    char *joined;

    for (size_t i = 0; i < list->count; i++)
        size += strlen(list->texts[i]) + 1;
    joined = calloc(1, size);
    for (size_t i = 0, at = 0; joined != NULL && i < list->count; i++)
        at += (size_t)snprintf(joined + at, size - at, "%s%s", i > 0 ? "," : "", list->texts[i]);
    return joined;
}

static int add_option(struct settings *settings, const struct option *option, const void *values,
                      struct vine__config_reason *reason)
{
    const void *place = (const char *)values + option->offset;
    char said[64], number[32];
    const char *text = number;
    char *joined = NULL;

    if (option->kind == OPTION_TEXT)
        text = *(const char *const *)place;
    else if (option->kind == OPTION_FLAG)
        text = "1";
    else if (option->kind == OPTION_LIST)
        text = joined = join(place);
    else
        snprintf(number, sizeof(number), "%llu%s", (unsigned long long)*(const uint64_t *)place,
                 option->kind == OPTION_TIME ? "ns" : "");
    snprintf(said, sizeof(said), "--%s", option->name);
    const int error = text == NULL
                          ? -ENOMEM
                          : vine__config_set(&settings->config, option->key, text, said, reason);

    free(joined);
    return error;
}

static int add_options(struct settings *settings, const struct arguments *arguments,
                       struct vine__config_reason *reason)
{
    for (size_t i = 0; i < arguments->verb->option_count; i++) {
        const struct option *option = &arguments->verb->options[i];

        if (option->key == NULL || (arguments->given & 1ULL << i) == 0)
            continue;
        const int error = add_option(settings, option, arguments->values, reason);
        if (error < 0)
            return error;
    }
    return 0;
}

static int load(struct settings *settings, const struct arguments *arguments,
                struct vine__config_reason *reason)
{
    int error = vine__vinetalk_load(&settings->config, reason);

    if (error == 0)
        error = add_options(settings, arguments, reason);
    if (error == 0)
        error = vine__config_add_fallbacks(&settings->config, vinetalk_keys, VINETALK_KEY_COUNT,
                                           reason);
    if (error == 0)
        error = vine__vinetalk_check(&settings->config, NULL, reason);
    return error;
}

static int find_address(struct settings *settings)
{
    const struct vine__config_entry *appliance = vine__config_find(&settings->config, "appliance");
    const struct vine__config_entry *segment = vine__config_find(&settings->config, "shm_file");

    if (appliance != NULL)
        settings->address = strdup(appliance->value);
    else if (segment != NULL)
        settings->address = strdup("vinetalk:"); /* it reads the same layers */
    else
        return 0;
    return settings->address != NULL ? 0 : -ENOMEM;
}

int settings_load(struct settings *settings, const struct arguments *arguments)
{
    struct vine__config_reason reason = {""};
    const struct vine__config_entry *unknown;
    uint32_t index = 0;

    *settings = (struct settings){0};
    int error = load(settings, arguments, &reason);
    if (error == 0)
        error = find_address(settings);
    if (error < 0) {
        message_error("%s", reason.text[0] != '\0' ? reason.text : vine_error_text(error));
        settings_free(settings);
        return status_of_connect(error == -VINE_ECONFIG || error == -EACCES ? error
                                                                            : -VINE_ECONFIG);
    }
    while ((unknown = vine__config_next_unknown(&settings->config, vinetalk_keys,
                                                VINETALK_KEY_COUNT, &index)) != NULL)
        message_warning("%s:%u: unknown key '%s'", unknown->source, unknown->line, unknown->key);
    return STATUS_DONE;
}

void settings_free(struct settings *settings)
{
    free(settings->address);
    vine__config_fini(&settings->config);
    *settings = (struct settings){0};
}

uint64_t settings_number(const struct settings *settings, const char *key)
{
    uint64_t value = 0;

    return vine__config_get_size(&settings->config, key, &value, NULL) == 0 ? value : 0;
}

uint64_t settings_ns(const struct settings *settings, const char *key)
{
    uint64_t ns = 0;

    return vine__config_get_duration(&settings->config, key, &ns, NULL) == 0 ? ns : 0;
}

const char *settings_text(const struct settings *settings, const char *key, const char *otherwise)
{
    const struct vine__config_entry *entry = vine__config_find(&settings->config, key);

    return entry != NULL ? entry->value : otherwise;
}

char *settings_path(const struct settings *settings, const char *key)
{
    char *path = NULL;

    return vine__config_get_path(&settings->config, key, &path, NULL) == 0 ? path : NULL;
}

const char *settings_address(const struct settings *settings)
{
    return settings->address;
}
