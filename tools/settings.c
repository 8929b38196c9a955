/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "utils/tables.h"

#include "message.h"
#include "status.h"

/* X(key, type, group, fallback, help) */
#define SETTINGS(X)                                                                                \
    X("appliance", VINE__CONFIG_STRING, "command", NULL, "the address of the appliance to use")    \
    X("listen", VINE__CONFIG_STRING, "appliance", NULL, "the address at which to serve")           \
    X("workers", VINE__CONFIG_UNSIGNED, "appliance", NULL,                                         \
      "threads that run tasks; one less than there are processors if nobody says")                 \
    X("procs", VINE__CONFIG_PATH, "appliance", NULL, "a directory of procedure libraries")         \
    X("jobs", VINE__CONFIG_UNSIGNED, "run", "64", "tasks in flight at most")                       \
    X("chunk", VINE__CONFIG_SIZE, "run", "1M", "bytes of a file that go with one task")            \
    X("reconnect", VINE__CONFIG_UNSIGNED, "run", "10",                                             \
      "seconds for which a lost appliance is sought again")                                        \
    X("shm_file", VINE__CONFIG_PATH, "shm", NULL,                                                  \
      "a named segment: a name of POSIX shared memory, or a path")                                 \
    X("shm_size", VINE__CONFIG_SIZE, "shm", NULL, "its size")                                      \
    X("shm_off", VINE__CONFIG_SIZE, "shm", NULL, "where in the file it begins")                    \
    X("shm_trunc", VINE__CONFIG_BOOL, "shm", NULL, "1: its creator makes it anew")                 \
    X("shm_ivshmem", VINE__CONFIG_BOOL, "shm", NULL, "1: the file is the memory of a PCI device")  \
    X("tracer_path", VINE__CONFIG_PATH, "tracer", NULL, "where traces are written")                \
    X("tracer_events", VINE__CONFIG_UNSIGNED, "tracer", NULL, "how many events a thread keeps")

#define SETTING_ROW(key, type, group, fallback, help) {key, type, group, false, fallback, help},
const struct vine__config_key settings_keys[] = {SETTINGS(SETTING_ROW)};
#undef SETTING_ROW
const uint32_t settings_key_count = VINE_ARRAY_COUNT(settings_keys);

/* A directory of the environment, or one below $HOME; NULL if there is neither. Allocates. */
static char *path_below(const char *variable, const char *home_path, const char *file)
{
    const char *directory = variable != NULL ? getenv(variable) : NULL;
    const char *home = getenv("HOME");
    char *path = NULL;

    /* A relative $XDG_CONFIG_HOME is to be ignored, says its specification. */
    if (directory != NULL && directory[0] == '/') {
        if (asprintf(&path, "%s/%s", directory, file) < 0)
            return NULL;
    } else if (home != NULL && home[0] != '\0') {
        if (asprintf(&path, "%s/%s%s", home, home_path, file) < 0)
            return NULL;
    }
    return path;
}

static int add_file(struct settings *settings, const char *path, struct vine__config_reason *reason)
{
    if (path == NULL)
        return 0;
    const int error = vine__config_add_file(&settings->config, path, reason);
    return error == -ENOENT || error == -ENOTDIR ? 0 : error;
}

static int add_files(struct settings *settings, struct vine__config_reason *reason)
{
    char *user = path_below("XDG_CONFIG_HOME", ".config/", "vine/vine.conf");
    char *vinetalk = path_below(NULL, "", ".vinetalk");
    int error = add_file(settings, "/etc/vine/vine.conf", reason);

    if (error == 0)
        error = add_file(settings, user, reason);
    if (error == 0)
        error = add_file(settings, vinetalk, reason);
    free(user);
    free(vinetalk);
    return error;
}

static int add_option(struct settings *settings, const struct option *option, const void *values,
                      struct vine__config_reason *reason)
{
    const void *place = (const char *)values + option->offset;
    char said[64], number[32];
    const char *text = number;

    if (option->kind == OPTION_TEXT) {
        text = *(const char *const *)place;
        if (text == NULL)
            return 0;
    } else {
        const uint64_t value = *(const uint64_t *)place;
        if (value == 0)
            return 0;
        snprintf(number, sizeof(number), "%llu", (unsigned long long)value);
    }
    snprintf(said, sizeof(said), "--%s", option->name);
    return vine__config_set(&settings->config, option->key, text, said, reason);
}

static int add_options(struct settings *settings, const struct arguments *arguments,
                       struct vine__config_reason *reason)
{
    for (size_t i = 0; i < arguments->verb->option_count; i++) {
        const struct option *option = &arguments->verb->options[i];

        if (option->key == NULL)
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
    int error = add_files(settings, reason);

    if (error == 0)
        error = vine__config_add_environment(&settings->config, "VINE_", settings_keys,
                                             settings_key_count, reason);
    if (error == 0)
        error = add_options(settings, arguments, reason);
    if (error == 0)
        error = vine__config_add_fallbacks(&settings->config, settings_keys, settings_key_count,
                                           reason);
    if (error == 0)
        error =
            vine__config_check(&settings->config, settings_keys, settings_key_count, NULL, reason);
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
    while ((unknown = vine__config_next_unknown(&settings->config, settings_keys,
                                                settings_key_count, &index)) != NULL)
        message_warning("%s:%u: unknown key '%s'", unknown->source, unknown->line, unknown->key);
    return STATUS_DONE;
}

void settings_free(struct settings *settings)
{
    free(settings->address);
    vine__config_fini(&settings->config);
    *settings = (struct settings){0};
}

uint64_t settings_number(const struct settings *settings, const char *key, uint64_t otherwise)
{
    uint64_t value = otherwise;

    if (vine__config_get_size(&settings->config, key, &value, NULL) < 0)
        return otherwise;
    return value;
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
