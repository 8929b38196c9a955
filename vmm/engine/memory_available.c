/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory can be filled before the kernel ends somebody to get it. */
#include "vmm/engine/memory.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where a control group says what it may have, of either version of them. */
struct kind {
    const char *folder;
    const char *limit, *used;
    const char *reclaimable[2]; /* of memory.stat: pages of files, which are given up when needed */
};

static const struct kind unified = {
    .folder = "/sys/fs/cgroup",
    .limit = "memory.max",
    .used = "memory.current",
    .reclaimable = {"inactive_file ", "active_file "},
};
static const struct kind alone = {
    .folder = "/sys/fs/cgroup/memory",
    .limit = "memory.limit_in_bytes",
    .used = "memory.usage_in_bytes",
    .reclaimable = {"total_inactive_file ", "total_active_file "},
};

/* The number behind `key`, with which a line begins. Returns whether there is one: "max" is
 * none. */
static bool read_number(const char *path, const char *key, uint64_t *ret_value)
{
    FILE *const file = fopen(path, "re");
    const size_t length = strlen(key);
    bool is_there = false;
    char line[256];

    while (file != NULL && !is_there && fgets(line, sizeof(line), file) != NULL) {
        char *end = line;

        if (strncmp(line, key, length) != 0)
            continue;
        *ret_value = strtoull(line + length, &end, 10);
        is_there = end != line + length;
    }
    if (file != NULL)
        (void)fclose(file);
    return is_there;
}

static uint64_t left_of_group(const char *folder, const struct kind *kind)
{
    uint64_t limit, used, cached;
    char path[4400];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, kind->limit);
    if (!read_number(path, "", &limit))
        return UINT64_MAX;
    (void)snprintf(path, sizeof(path), "%s/%s", folder, kind->used);
    if (!read_number(path, "", &used))
        return UINT64_MAX;
    (void)snprintf(path, sizeof(path), "%s/memory.stat", folder);
    for (int i = 0; i < 2; i++)
        if (read_number(path, kind->reclaimable[i], &cached))
            used -= cached < used ? cached : used;
    return limit > used ? limit - used : 0;
}

/* The least of what is left to a group and to all those above it. In a container the path may be
 * one of the host's, and only the top is seen. */
static uint64_t left_of_groups(const char *root, const struct kind *kind, const char *group)
{
    uint64_t least = UINT64_MAX;
    char folder[4200];
    const size_t top = (size_t)snprintf(folder, sizeof(folder), "%s%s", root, kind->folder);

    (void)snprintf(folder + top, sizeof(folder) - top, "%s", group);
    for (;;) {
        const uint64_t left = left_of_group(folder, kind);
        char *const slash = strrchr(folder + top, '/');

        least = left < least ? left : least;
        if (slash == NULL)
            return least;
        *slash = '\0';
    }
}

uint64_t vine__machine_memory_available(const char *root)
{
    char path[4200];
    char line[4096];
    uint64_t least = UINT64_MAX;
    uint64_t kib;

    (void)snprintf(path, sizeof(path), "%s/proc/meminfo", root);
    if (read_number(path, "MemAvailable:", &kib))
        least = kib * 1024;
    (void)snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
    FILE *const groups = fopen(path, "re");

    /* ID:CONTROLLERS:PATH; a unified one has no controllers there. */
    while (groups != NULL && fgets(line, sizeof(line), groups) != NULL) {
        char *const controllers = strchr(line, ':');
        char *const group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;

        line[strcspn(line, "\n")] = '\0';
        if (group == NULL)
            continue;
        *group = '\0';
        const struct kind *const kind = controllers[1] == '\0'                  ? &unified
                                        : strstr(controllers, "memory") != NULL ? &alone
                                                                                : NULL;
        const uint64_t left = kind != NULL ? left_of_groups(root, kind, group + 1) : UINT64_MAX;

        least = left < least ? left : least;
    }
    if (groups != NULL)
        (void)fclose(groups);
    return least;
}
