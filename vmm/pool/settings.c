/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/settings.h"

#include "vmm/pool/configuration_internal.h"
#include "vmm/pool/json.h"
#include "vmm/pool/roll.h"

#include <errno.h>

static void read_limits(struct vine__json_reader *reader, const json_t *object,
                        struct vine__pool_limits *limits)
{
    static const char *const keys[] = {"vms", "kernel", "disk", NULL};
    const json_t *const value = json_object_get(object, "limits");

    vine__json_stand_at(reader, "limits");
    if (value != NULL && vine__json_expect(reader, value, keys)) {
        limits->vms = vine__json_count(reader, value, "vms", 0, VINE__POOL_VMS_MAX);
        limits->kernel_bytes = vine__json_size(reader, value, "kernel", 0);
        limits->disk_bytes = vine__json_size(reader, value, "disk", 0);
    }
    vine__json_stand_at(reader, "%s", "");
}

static void read_all(struct vine__json_reader *reader, const json_t *object,
                     struct vine__pool_settings *settings)
{
    static const char *const keys[] = {"version", "mount", "limits", "links", NULL};

    vine__json_version(reader, object, VINE__POOL_SETTINGS_VERSION);
    if (!vine__json_expect(reader, object, keys))
        return;
    settings->mount_point = vine__json_text(reader, object, "mount", "");
    if (settings->mount_point != NULL && settings->mount_point[0] != '/')
        vine__json_wrong(reader, "mount", "is no absolute path");
    read_limits(reader, object, &settings->limits);
    settings->link_count = vine__vm_links_read(reader, object, NULL, settings->links);
}

int vine__pool_settings_parse(const char *file, const void *bytes, size_t size,
                              struct vine__pool_settings *ret_settings,
                              struct vine__problem *problem)
{
    struct vine__json_reader reader = {.file = file, .problem = problem};
    struct vine__pool_settings settings = {.json = vine__json_parse(&reader, bytes, size)};

    if (settings.json == NULL)
        return -EINVAL;
    read_all(&reader, settings.json, &settings);
    if (!vine__json_is_well(&reader)) {
        vine__pool_settings_fini(&settings);
        return -EINVAL;
    }
    *ret_settings = settings;
    return 0;
}

void vine__pool_settings_fini(struct vine__pool_settings *settings)
{
    json_decref(settings->json);
    *settings = (struct vine__pool_settings){0};
}
