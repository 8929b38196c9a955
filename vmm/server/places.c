/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/places.c - see places.h. */

#include "vmm/server/places.h"

#include "utils/runtime_folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int join(const char *folder, const char *between, const char *rest,
                char path[VINE__PLACE_BYTES])
{
    const int size = snprintf(path, VINE__PLACE_BYTES, "%s%s%s", folder, between, rest);

    return size < 0 || size >= VINE__PLACE_BYTES ? -ENAMETOOLONG : 0;
}

/* Below the folder that the variable names, or else below one of the user's home. */
static int find_users(const char *variable, const char *below_home, const char *rest,
                      char path[VINE__PLACE_BYTES])
{
    const char *const folder = getenv(variable);
    const char *const home = getenv("HOME");

    if (folder != NULL && folder[0] == '/')
        return join(folder, "", rest, path);
    if (home == NULL || home[0] != '/')
        return -ENOENT;
    return join(home, below_home, rest, path);
}

int vine__places_find(bool is_root, struct vine__places *ret_places)
{
    struct vine__places *const places = ret_places;
    int error;

    if (is_root) {
        (void)join("/etc", "/vine", "/server.conf", places->configuration);
        (void)join("/var", "/lib", "/vine", places->state);
        return join("/run", "/vine", "", places->runtime);
    }
    error = find_users("XDG_CONFIG_HOME", "/.config", "/vine/server.conf", places->configuration);
    if (error == 0)
        error = find_users("XDG_STATE_HOME", "/.local/state", "/vine", places->state);
    if (error == 0)
        error = vine__runtime_folder(places->runtime, sizeof(places->runtime));
    return error;
}
