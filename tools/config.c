/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <vine/segment.h>

#include "utils/vinetalk_keys.h"

#include "json.h"
#include "message.h"
#include "settings.h"
#include "status.h"
#include "verb.h"

/* What stands beside the backends: two devices for one pipe. */
#define LINK "link"

struct config_values {
    const char *appliance;
    bool json;
};

/* What a pipe bears whose memory is of this kind. A device by itself is one memory that both sides
 * write; a link is two of them, each of which its reader can only read: it has a row of its own. */
static bool stands_anybody(enum vine_segment_backend backend)
{
    return vine_segment_backend_trust(backend) == VINE_SEGMENT_HOSTILE_SAFE &&
           backend != VINE_SEGMENT_IVSHMEM;
}

static const char *trust_text(enum vine_segment_backend backend)
{
    if (backend == VINE_SEGMENT_IVSHMEM)
        return "for parties of one user: one shared device, which both sides write";
    return stands_anybody(backend) ? "the other side can be anybody" : "for parties of one user";
}

static const char *trust_name(enum vine_segment_backend backend)
{
    return stands_anybody(backend) ? "hostile-safe" : "one-user";
}

/* Where a value comes from. */
static const char *origin_of(const struct vine__config_entry *entry, char *ret_text, size_t size)
{
    if (entry == NULL)
        return "not set";
    vine__config_origin(entry, ret_text, size);
    return ret_text;
}

static void print_row(const char *key, const char *value, const char *origin)
{
    const int fd = fileno(stdout);

    printf("%s%-14s%s %-28s %s%s%s\n", message_colour_of(fd, COLOUR_BOLD), key,
           message_colour_of(fd, COLOUR_PLAIN), message_escape(value),
           message_colour_of(fd, COLOUR_DIM), message_escape(origin),
           message_colour_of(fd, COLOUR_PLAIN));
}

static void print_text(const struct settings *settings)
{
    char origin[512];

    for (uint32_t i = 0; i < VINETALK_KEY_COUNT; i++) {
        const struct vine__config_entry *entry =
            vine__config_find(&settings->config, vinetalk_keys[i].key);
        print_row(vinetalk_keys[i].key, entry != NULL ? entry->value : "-",
                  origin_of(entry, origin, sizeof(origin)));
    }
    printf("\nsegments, and whom a pipe over them can bear\n");
    for (int i = 0; i < VINE_SEGMENT_BACKEND_COUNT; i++)
        printf("  %-12s %s\n", vine_segment_backend_name((enum vine_segment_backend)i),
               trust_text((enum vine_segment_backend)i));
    printf("  %-12s %s\n", LINK,
           "the other side can be anybody: two devices, each written by one side");
    printf("  A link is pci:NAME in a virtual machine, link:PATH in a process of its host.\n");
    printf("  A named segment carries both halves: it is for parties of one user, whatever holds "
           "it.\n");
}

static int print_json(const struct settings *settings)
{
    json_t *keys = json_object(), *segments = json_object();
    char origin[512];

    for (uint32_t i = 0; i < VINETALK_KEY_COUNT; i++) {
        const struct vine__config_entry *entry =
            vine__config_find(&settings->config, vinetalk_keys[i].key);
        json_t *row = json_object();
        if (entry != NULL)
            json_set_name(row, "value", entry->value);
        else
            json_object_set_new(row, "value", json_null());
        json_set_name(row, "origin", origin_of(entry, origin, sizeof(origin)));
        json_object_set_new(row, "help", json_string(vinetalk_keys[i].help));
        json_object_set_new(keys, vinetalk_keys[i].key, row);
    }
    for (int i = 0; i < VINE_SEGMENT_BACKEND_COUNT; i++)
        json_object_set_new(segments, vine_segment_backend_name((enum vine_segment_backend)i),
                            json_string(trust_name((enum vine_segment_backend)i)));
    json_object_set_new(segments, LINK, json_string("hostile-safe"));
    return json_print(json_pack("{s:o, s:o}", "settings", keys, "segments", segments));
}

static int run_config(const struct arguments *arguments)
{
    const struct config_values *values = arguments->values;
    struct settings settings;
    int status = settings_load(&settings, arguments);

    if (status != STATUS_DONE)
        return status;
    if (values->json)
        status = print_json(&settings);
    else
        print_text(&settings);
    settings_free(&settings);
    return status;
}

static const struct option config_options[] = {
    {.name = "appliance",
     .letter = 'a',
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     .offset = offsetof(struct config_values, appliance),
     .value = "ADDRESS",
     .key = "appliance",
     .help = "as other verbs take it, to see that an option wins"},
    {.name = "json",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct config_values, json),
     .help = "print JSON"},
};

static const char *const config_description[] = {
    "Shows each setting, its value, and the file and line, variable or option that gave it. The "
    "layers are defaults, /etc/vine/vine.conf, $XDG_CONFIG_HOME/vine/vine.conf, "
    "~/.vinetalk, "
    "VINE_KEY in the environment, and options; the later wins.",
    "Also shows over which kinds of memory a pipe stands a hostile peer.",
    NULL,
};

const struct verb verb_config = {
    .name = "config",
    .synopsis = "",
    .description = config_description,
    .options = config_options,
    .option_count = sizeof(config_options) / sizeof(config_options[0]),
    .values_size = sizeof(struct config_values),
    .run = run_config,
};
