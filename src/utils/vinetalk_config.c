/* SPDX-License-Identifier: Apache-2.0 */
#include "utils/vinetalk_config.h"

#include <vine/error.h>

#include "utils/vinetalk_keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define MACHINE_FILE       "/etc/vine/vine.conf"
#define USER_FILE          "/vine/vine.conf"
#define ENVIRONMENT_PREFIX "VINE_"

static int add_optional(struct vine__config *config, const char *path,
                        struct vine__config_reason *ret_reason)
{
    const int error = vine__config_add_file(config, path, ret_reason);
    return error == -ENOENT || error == -ENOTDIR ? 0 : error;
}

/* The file at `folder` followed by `rest`. */
static int add_below(struct vine__config *config, const char *folder, const char *rest,
                     struct vine__config_reason *ret_reason)
{
    char *path;
    if (asprintf(&path, "%s%s", folder, rest) < 0)
        return -ENOMEM;
    const int error = add_optional(config, path, ret_reason);
    free(path);
    return error;
}

int vine__vinetalk_load(struct vine__config *config, struct vine__config_reason *ret_reason)
{
    int error = add_optional(config, MACHINE_FILE, ret_reason);
    const char *home = getenv("HOME");
    const char *user_folder = getenv("XDG_CONFIG_HOME");
    const bool has_home = home != NULL && home[0] != '\0';

    if (error == 0 && user_folder != NULL && user_folder[0] == '/')
        error = add_below(config, user_folder, USER_FILE, ret_reason);
    else if (error == 0 && has_home)
        error = add_below(config, home, "/.config" USER_FILE, ret_reason);
    if (error == 0 && has_home)
        error = add_below(config, home, "/.vinetalk", ret_reason);
    if (error == 0)
        error = vine__config_add_environment(config, ENVIRONMENT_PREFIX, vinetalk_keys,
                                             VINETALK_KEY_COUNT, ret_reason);
    return error;
}

int vine__vinetalk_load_file(struct vine__config *config, const char *path,
                             struct vine__config_reason *ret_reason)
{
    char *expanded = NULL;
    int error = vine__expand_path(path, getenv("HOME"), &expanded);
    if (error != 0) {
        if (ret_reason != NULL)
            snprintf(ret_reason->text, sizeof(ret_reason->text), "%.200s: %s", path,
                     error == -ENOENT ? "$HOME is not set" : vine_error_text(error));
        return error;
    }
    error = vine__config_add_file(config, expanded, ret_reason);
    free(expanded);
    return error;
}

int vine__vinetalk_check(const struct vine__config *config, const char *architecture,
                         struct vine__config_reason *ret_reason)
{
    return vine__config_check(config, vinetalk_keys, VINETALK_KEY_COUNT, architecture, ret_reason);
}
