/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/pools_file.c - see pools_file.h. */

#include "vmm/server/pools_file.h"

#include "vmm/pool/names.h"
#include "vmm/server/server_conf.h"
#include "vmm/server/state_file.h"

#include <vine/error.h>

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 1

void vine__pool_paths_fini(struct vine__pool_paths *paths)
{
    for (uint32_t i = 0; i < paths->count; i++)
        free(paths->all[i]);
    paths->count = 0;
}

/* Where it is, or the count. */
static uint32_t place_of(const struct vine__pool_paths *paths, const char *path)
{
    uint32_t at = 0;

    while (at < paths->count && strcmp(paths->all[at], path) != 0)
        at++;
    return at;
}

int vine__pool_paths_add(struct vine__pool_paths *paths, const char *path)
{
    if (place_of(paths, path) < paths->count)
        return 0;
    if (paths->count == VINE__POOL_PATHS_MAX)
        return -ENOSPC;
    paths->all[paths->count] = strdup(path);
    if (paths->all[paths->count] == NULL)
        return -ENOMEM;
    paths->count++;
    return 0;
}

void vine__pool_paths_remove(struct vine__pool_paths *paths, const char *path)
{
    const uint32_t at = place_of(paths, path);

    if (at == paths->count)
        return;
    free(paths->all[at]);
    paths->count--;
    memmove(&paths->all[at], &paths->all[at + 1], (paths->count - at) * sizeof(paths->all[0]));
}

/* ---- the file -------------------------------------------------------------------------------- */

static int read_paths(const char *file, json_t *root, struct vine__pool_paths *paths, char *why)
{
    json_t *array, *element;
    json_error_t error;
    int version;
    size_t i;

    if (json_unpack_ex(root, &error, JSON_STRICT, "{s:i, s:o}", "version", &version, "pools",
                       &array) != 0) {
        (void)snprintf(why, VINE__POOL_PATHS_WHY_BYTES, "%.120s: %.100s", file, error.text);
        return -EINVAL;
    }
    if (version != VERSION || !json_is_array(array)) {
        (void)snprintf(why, VINE__POOL_PATHS_WHY_BYTES, "%.120s: %s", file,
                       version != VERSION ? "version: it is not 1" : "pools: it is a list");
        return -EINVAL;
    }
    json_array_foreach(array, i, element)
    {
        const char *const path = json_string_value(element);

        if (path == NULL || !vine__server_conf_is_pool(path)) {
            (void)snprintf(
                why, VINE__POOL_PATHS_WHY_BYTES,
                "%.100s: pools[%zu]: it is an absolute FOLDER/NAME; and " VINE__PATH_RULE, file, i);
            return -EINVAL;
        }
        if (vine__pool_paths_add(paths, path) != 0) {
            (void)snprintf(why, VINE__POOL_PATHS_WHY_BYTES, "%.120s: more than %d pools", file,
                           VINE__POOL_PATHS_MAX);
            return -EINVAL;
        }
    }
    return 0;
}

int vine__pool_paths_load(const char *file, struct vine__pool_paths *ret_paths,
                          char why[VINE__POOL_PATHS_WHY_BYTES])
{
    struct vine__pool_paths paths = {.count = 0};
    json_error_t json_error;
    json_t *root;
    char *bytes;
    size_t size;
    int error = vine__state_file_read(file, &bytes, &size);

    if (error == -ENOENT) {
        *ret_paths = paths;
        return 0;
    }
    if (error != 0) {
        (void)snprintf(why, VINE__POOL_PATHS_WHY_BYTES, "%.120s: %s", file, vine_error_text(error));
        return error;
    }
    root = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &json_error);
    free(bytes);
    if (root == NULL) {
        (void)snprintf(why, VINE__POOL_PATHS_WHY_BYTES, "%.120s:%d: %.100s", file, json_error.line,
                       json_error.text);
        return -EINVAL;
    }
    error = read_paths(file, root, &paths, why);
    json_decref(root);
    if (error != 0)
        vine__pool_paths_fini(&paths);
    else
        *ret_paths = paths;
    return error;
}

char *vine__pool_paths_print(const struct vine__pool_paths *paths)
{
    json_t *const array = json_array();
    json_t *root;
    char *text;

    for (uint32_t i = 0; i < paths->count; i++)
        if (json_array_append_new(array, json_string(paths->all[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    root = json_pack("{s:i, s:o}", "version", VERSION, "pools", array);
    text = root != NULL ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    return text;
}
