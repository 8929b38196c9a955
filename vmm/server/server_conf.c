/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/server_conf.c - see server_conf.h. */

#include "vmm/server/server_conf.h"

#include "utils/tables.h"
#include "vmm/pool/json.h"
#include "vmm/pool/names.h"
#include "vmm/server/service.h"
#include "vmm/server/state_file.h"

#include <vine/error.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOG_BYTES     (UINT64_C(1) << 20)
#define LOG_BYTES_MIN (UINT64_C(4) << 10)
#define LOG_BYTES_MAX (UINT64_C(1) << 30)

static const char nothing_said[] = "{\"version\": 1}";

bool vine__server_accelerator_read(const char *word, enum vine__server_accelerator *ret)
{
    static const char *const words[] = {
        [VINE__SERVER_ACCELERATOR_AUTO] = "auto",
        [VINE__SERVER_ACCELERATOR_KVM] = "kvm",
        [VINE__SERVER_ACCELERATOR_TCG] = "tcg",
    };

    for (size_t i = 0; i < VINE_ARRAY_COUNT(words); i++)
        if (strcmp(word, words[i]) == 0) {
            *ret = (enum vine__server_accelerator)i;
            return true;
        }
    return false;
}

bool vine__server_conf_is_pool(const char *path)
{
    const char *const slash = path != NULL ? strrchr(path, '/') : NULL;

    return slash != NULL && path[0] == '/' && vine__pool_is_name(slash + 1) &&
           vine__path_is_plain(path);
}

static void read_pools(struct vine__json_reader *reader, const json_t *object,
                       struct vine__server_conf *conf)
{
    const json_t *const list =
        vine__json_list(reader, object, "pools", VINE__SERVER_CONF_POOLS_MAX);

    for (uint32_t i = 0; i < json_array_size(list); i++) {
        const char *const path = json_string_value(json_array_get(list, i));

        if (!vine__server_conf_is_pool(path))
            vine__json_wrong(reader, "pools",
                             "[%u] is no absolute path FOLDER/NAME; and " VINE__PATH_RULE, i);
        for (uint32_t other = 0; vine__server_conf_is_pool(path) && other < i; other++)
            if (strcmp(conf->pools[other], path) == 0)
                vine__json_wrong(reader, "pools", "\"%s\" is there twice", path);
        if (!vine__json_is_well(reader))
            return;
        conf->pools[i] = path;
        conf->pool_count = i + 1;
    }
}

static void read_all(struct vine__json_reader *reader, const json_t *object,
                     struct vine__server_conf *conf)
{
    static const char *const keys[] = {
        "version",  "pools",       "console_links", "user",        "group", "qemu",
        "log_size", "accelerator", "mount_pools",   "connections", NULL};
    const char *word;

    vine__json_version(reader, object, VINE__SERVER_CONF_VERSION);
    if (!vine__json_expect(reader, object, keys))
        return;
    read_pools(reader, object, conf);
    conf->console_links = vine__json_text(reader, object, "console_links", "/tmp");
    if (conf->console_links != NULL && strcmp(conf->console_links, "runtime") == 0)
        conf->console_links = NULL;
    else if (conf->console_links != NULL && conf->console_links[0] != '/')
        vine__json_wrong(reader, "console_links", "is neither an absolute path nor \"runtime\"");
    else if (conf->console_links != NULL && !vine__path_is_plain(conf->console_links))
        vine__json_wrong(reader, "console_links", VINE__PATH_RULE);
    conf->user = vine__json_text(reader, object, "user", "nobody");
    conf->group = vine__json_text(reader, object, "group", "");
    conf->qemu = vine__json_text(reader, object, "qemu", "");
    if (conf->qemu != NULL && !vine__path_is_plain(conf->qemu))
        vine__json_wrong(reader, "qemu", VINE__PATH_RULE);
    word = vine__json_text(reader, object, "accelerator", "auto");
    if (word != NULL && !vine__server_accelerator_read(word, &conf->accelerator))
        vine__json_wrong(reader, "accelerator", "is none of \"auto\", \"kvm\", \"tcg\"");
    conf->mounts_pools = vine__json_flag(reader, object, "mount_pools", false);
    conf->log_bytes = vine__json_size(reader, object, "log_size", LOG_BYTES);
    if (conf->log_bytes < LOG_BYTES_MIN || conf->log_bytes > LOG_BYTES_MAX)
        vine__json_wrong(reader, "log_size", "is from 4K to 1G");
    conf->connections_max = vine__json_count(
        reader, object, "connections", VINE__SERVER_CONNECTIONS, VINE__SERVER_CONNECTIONS_MAX);
    if (conf->connections_max == 0)
        vine__json_wrong(reader, "connections", "is from 1 to %d", VINE__SERVER_CONNECTIONS_MAX);
}

int vine__server_conf_parse(const char *file, const void *bytes, size_t size,
                            struct vine__server_conf *ret_conf, struct vine__problem *problem)
{
    struct vine__json_reader reader = {.file = file, .problem = problem};
    struct vine__server_conf conf = {.json = vine__json_parse(&reader, bytes, size)};

    if (conf.json == NULL)
        return -EINVAL;
    read_all(&reader, conf.json, &conf);
    if (!vine__json_is_well(&reader)) {
        vine__server_conf_fini(&conf);
        return -EINVAL;
    }
    *ret_conf = conf;
    return 0;
}

int vine__server_conf_load(const char *path, struct vine__server_conf *ret_conf,
                           struct vine__problem *problem)
{
    char *bytes = NULL;
    size_t size;
    int error = vine__state_file_read(path, &bytes, &size);

    if (error == -ENOENT)
        return vine__server_conf_parse(path, nothing_said, sizeof(nothing_said) - 1, ret_conf,
                                       problem);
    if (error != 0)
        return vine__problem_set(problem, error, "%s: %s", path, vine_error_text(error));
    error = vine__server_conf_parse(path, bytes, size, ret_conf, problem);
    free(bytes);
    return error;
}

void vine__server_conf_fini(struct vine__server_conf *conf)
{
    json_decref(conf->json);
    *conf = (struct vine__server_conf){0};
}
