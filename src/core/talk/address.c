/* SPDX-License-Identifier: Apache-2.0 */
#include "core/talk/address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vine/error.h>

#include "arch/guest/guest.h"
#include "arch/peer/peer.h"
#include "utils/runtime_folder.h"
#include "utils/vinetalk_config.h"
#include "utils/vinetalk_keys.h"

#define FROM_FILE "vinetalk:"
#define FROM_HOST "link:"

static const struct {
    const char *prefix;
    enum vine_segment_backend backend;
} segments[] = {
    {"file:", VINE_SEGMENT_FILE},
    {"shm:", VINE_SEGMENT_POSIX},
    {"pci:", VINE_SEGMENT_IVSHMEM},
};

static const char *prefix_of(enum vine_segment_backend backend)
{
    size_t i = 0;

    while (segments[i].backend != backend)
        i++;
    return segments[i].prefix;
}

static int put(char *to, size_t size, const char *text, struct vine__why *why)
{
    const size_t length = strlen(text);

    if (length >= size) {
        vine__why_say(why, "the address `%.40s...` is too long", text);
        return -ENAMETOOLONG;
    }
    memcpy(to, text, length + 1);
    return 0;
}

static int put_variable(char *to, size_t size, const char *variable, struct vine__why *why)
{
    const char *value = getenv(variable);

    return value != NULL ? put(to, size, value, why) : 0;
}

/* Whether `pci:` names a link between machines, where the host has told us of any, and not a
 * device: those have colons or slashes. */
static bool names_link(const struct vine__address *address)
{
    return strpbrk(address->name, ":/") == NULL &&
           vine__guest_is_told(address->command_line[0] != 0 ? address->command_line : NULL);
}

/* Where names live has to be ours alone. */
static int runtime_path(const char *name, bool listen, char *ret_path, size_t size,
                        struct vine__why *why)
{
    char folder[VINE__PEER_PATH_BYTES];

    if (vine__runtime_folder(folder, sizeof folder) != 0) {
        vine__why_say(why, "XDG_RUNTIME_DIR is too long for a socket's path");
        return -ENAMETOOLONG;
    }

    /* Without the folder nobody listens, and connecting says so. */
    if (listen || access(folder, F_OK) == 0) {
        const int error = vine__private_folder(folder);

        if (error) {
            vine__why_say(why, "%s has to be a folder that is yours alone (mode 0700): %s", folder,
                          vine_error_text(error));
            return error == -EPERM || error == -ELOOP ? -EACCES : error;
        }
    }

    const int length = snprintf(ret_path, size, "%s/%s", folder, name);

    if (length < 0 || (size_t)length >= VINE__PEER_PATH_BYTES) {
        vine__why_say(why, "%s/%.40s is too long for a socket's path", folder, name);
        return -ENAMETOOLONG;
    }
    return 0;
}

/* What a configuration file says of a named segment. */
static int from_file(const char *path, struct vine__address *address, struct vine__why *why)
{
    struct vine__config config;
    struct vine__config_reason reason;
    char *file = NULL;
    bool is_bar = false;

    memset(&config, 0, sizeof config);
    memset(&reason, 0, sizeof reason);

    /* One file, or all that configures us. */
    int error = path[0] ? vine__vinetalk_load_file(&config, path, &reason)
                        : vine__vinetalk_load(&config, &reason);

    if (!error)
        error = vine__vinetalk_check(&config, VINETALK_ARCHITECTURE_SHM, &reason);
    if (!error)
        error = vine__config_add_fallbacks(&config, vinetalk_keys, VINETALK_KEY_COUNT, &reason);
    if (!error)
        error = vine__config_get_path(&config, "shm_file", &file, &reason);
    if (!error)
        error = vine__config_get_size(&config, "shm_size", &address->segment_bytes, &reason);
    if (!error)
        error = vine__config_get_size(&config, "shm_off", &address->offset_bytes, &reason);
    if (!error)
        error = vine__config_get_bool(&config, "shm_trunc", &address->truncate, &reason);
    if (!error)
        error = vine__config_get_bool(&config, "shm_ivshmem", &is_bar, &reason);
    if (error) {
        vine__why_say(why, "%s", reason.text);
        if (error != -EACCES && error != -ENOMEM)
            error = -VINE_ECONFIG; /* also a file that is not there, or none */
    } else {
        address->backend = strchr(file, '/') != NULL ? VINE_SEGMENT_FILE : VINE_SEGMENT_POSIX;
        if (is_bar) {
            address->backend = VINE_SEGMENT_IVSHMEM;
            address->truncate = false;
        }
        error = put(address->name, sizeof address->name, file, why);
    }
    free(file);
    vine__config_fini(&config);
    return error;
}

/* $VINE_APPLIANCE and the configuration, in one look: the former counts as part of the latter. */
static int configured(char *ret_address, size_t size, struct vine__why *why)
{
    struct vine__config config;
    struct vine__config_reason reason;
    const char *value = NULL;

    memset(&config, 0, sizeof config);
    memset(&reason, 0, sizeof reason);

    int error = vine__vinetalk_load(&config, &reason);

    if (!error && vine__config_find(&config, "appliance") != NULL)
        error = vine__config_get_string(&config, "appliance", &value, &reason);
    if (error)
        vine__why_say(why, "%s", reason.text);
    else
        error = put(ret_address, size, value ? value : "default", why);
    vine__config_fini(&config);
    return error;
}

int vine__address_resolve(const char *address, bool listen, struct vine__address *ret_address,
                          struct vine__why *why)
{
    char chosen[4096];
    int error =
        address ? put(chosen, sizeof chosen, address, why) : configured(chosen, sizeof chosen, why);

    memset(ret_address, 0, sizeof *ret_address);
    if (!error)
        error = put_variable(ret_address->sysfs_root, sizeof ret_address->sysfs_root, "VINE_SYSFS",
                             why);
    if (!error)
        error = put_variable(ret_address->command_line, sizeof ret_address->command_line,
                             "VINE_CMDLINE", why);
    if (error)
        return error;
    if (chosen[0] == 0) {
        vine__why_say(why, "the address is empty");
        return -VINE_ECONFIG;
    }
    for (size_t i = 0; i < sizeof segments / sizeof segments[0]; i++) {
        const size_t length = strlen(segments[i].prefix);

        if (strncmp(chosen, segments[i].prefix, length) != 0)
            continue;
        if (chosen[length] == 0) {
            vine__why_say(why, "the address `%s` names nothing", chosen);
            return -VINE_ECONFIG;
        }
        ret_address->backend = segments[i].backend;
        error = put(ret_address->name, sizeof ret_address->name, chosen + length, why);
        ret_address->is_link =
            ret_address->backend == VINE_SEGMENT_IVSHMEM && names_link(ret_address);
        ret_address->is_named = !ret_address->is_link;
        return error ? error : put(ret_address->text, sizeof ret_address->text, chosen, why);
    }
    if (strncmp(chosen, FROM_HOST, strlen(FROM_HOST)) == 0) {
        ret_address->is_link = true;
        (void)snprintf(ret_address->name, sizeof ret_address->name, "auto");
        error =
            put(ret_address->socket, sizeof ret_address->socket, chosen + strlen(FROM_HOST), why);
        if (!error && ret_address->socket[0] == 0) {
            vine__why_say(why, "the address `%s` names nothing", chosen);
            error = -VINE_ECONFIG;
        }
        return error ? error : put(ret_address->text, sizeof ret_address->text, chosen, why);
    }
    if (strncmp(chosen, FROM_FILE, strlen(FROM_FILE)) == 0) {
        ret_address->is_named = true;
        error = from_file(chosen + strlen(FROM_FILE), ret_address, why);
        if (!error)
            (void)snprintf(ret_address->text, sizeof ret_address->text, "%s%s",
                           prefix_of(ret_address->backend), ret_address->name);
        return error;
    }
    if (strchr(chosen, '/') != NULL) {
        if (strlen(chosen) >= VINE__PEER_PATH_BYTES) {
            vine__why_say(why, "%.60s... is too long for a socket's path", chosen);
            return -ENAMETOOLONG;
        }
        return put(ret_address->text, sizeof ret_address->text, chosen, why);
    }
    if (strchr(chosen, ':') != NULL) {
        vine__why_say(why,
                      "the address `%.60s` has a prefix that is none of file:, shm:, pci:, "
                      "link:, vinetalk:",
                      chosen);
        return -VINE_ECONFIG;
    }
    return runtime_path(chosen, listen, ret_address->text, sizeof ret_address->text, why);
}

void vine__address_to_segment(const struct vine__address *address,
                              struct vine_segment_options *ret_options)
{
    vine_segment_options_init(ret_options);
    ret_options->backend = address->backend;
    ret_options->name = address->name;
    ret_options->segment_bytes = address->segment_bytes;
    ret_options->offset_bytes = address->offset_bytes;
    ret_options->truncate = address->truncate;
    /* A guest's share of a link belongs to one process. */
    ret_options->exclusive = true;
    ret_options->sysfs_root = address->sysfs_root[0] != 0 ? address->sysfs_root : NULL;
}
