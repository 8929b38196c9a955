/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/configuration.h"

#include "utils/bits.h"
#include "vmm/pool/configuration_internal.h"
#include "vmm/pool/json.h"

#include <errno.h>
#include <string.h>

#define MEMORY_BYTES (UINT64_C(256) << 20)
#define LINK_BYTES   (UINT64_C(64) << 20)

static const char *const autostart_words[] = {"never", "always", "as_before"};
static const char *const restart_words[] = {"never", "on_failure", "always"};

const char *vine__vm_autostart_text(enum vine__vm_autostart autostart)
{
    return autostart_words[autostart];
}

const char *vine__vm_restart_text(enum vine__vm_restart restart)
{
    return restart_words[restart];
}

/* A name of `key`: a machine's, a disk's, a link's or a group's, which all follow one rule. */
static const char *read_name(struct vine__json_reader *reader, const json_t *object,
                             const char *key, const char *otherwise)
{
    const char *const name = vine__json_text(reader, object, key, otherwise);

    if (name != NULL && !vine__vm_is_name(name))
        vine__json_wrong(reader, key, VINE__VM_NAME_RULE);
    return name;
}

uint32_t vine__vm_links_read(struct vine__json_reader *reader, const json_t *object,
                             const char *application,
                             struct vine__vm_link links[VINE__VM_LINKS_MAX])
{
    static const char *const all_keys[] = {"application", "name",    "appliance", "size",
                                           "channels",    "network", "serial",    NULL};
    /* Whose links they are need not be said where they are a machine's own. */
    const char *const *const keys = all_keys + (application != NULL ? 1 : 0);
    const json_t *const list = vine__json_list(reader, object, "links", VINE__VM_LINKS_MAX);
    uint32_t count = 0;

    for (; count < json_array_size(list) && vine__json_is_well(reader); count++) {
        const json_t *const value = json_array_get(list, count);
        struct vine__vm_link *const link = &links[count];

        vine__json_stand_at(reader, "links[%u]", count);
        if (!vine__json_expect(reader, value, keys))
            break;
        link->application =
            application != NULL ? application : read_name(reader, value, "application", NULL);
        link->appliance = read_name(reader, value, "appliance", NULL);
        link->name =
            read_name(reader, value, "name", link->appliance != NULL ? link->appliance : "");
        link->size_bytes = vine__json_size(reader, value, "size", LINK_BYTES);
        link->channels = vine__json_count(reader, value, "channels", 0, VINE__VM_CHANNELS_MAX);
        link->has_network = vine__json_flag(reader, value, "network", false);
        link->has_serial = vine__json_flag(reader, value, "serial", false);
        if (!vine__is_power_of_two_u64(link->size_bytes) ||
            link->size_bytes < VINE__VM_LINK_BYTES_MIN ||
            link->size_bytes > VINE__VM_LINK_BYTES_MAX)
            vine__json_wrong(reader, "size", "is a power of two, from 4 KiB to 64 GiB");
        if (link->channels == 0 && json_object_get(value, "channels") != NULL)
            vine__json_wrong(reader, "channels", "is 1 to %d", VINE__VM_CHANNELS_MAX);
        if (!vine__json_is_well(reader))
            break;
        if (strcmp(link->application, link->appliance) == 0)
            vine__json_wrong(reader, "appliance", "is the application itself");
        for (uint32_t i = 0; i < count; i++)
            if (strcmp(links[i].name, link->name) == 0 &&
                strcmp(links[i].application, link->application) == 0)
                vine__json_wrong(reader, "name", "there are two links \"%s\"", link->name);
    }
    vine__json_stand_at(reader, "%s", "");
    return count;
}

static void read_disks(struct vine__json_reader *reader, const json_t *object,
                       struct vine__vm_configuration *configuration)
{
    static const char *const keys[] = {"name", "read_only", NULL};
    const json_t *const list = vine__json_list(reader, object, "disks", VINE__VM_DISKS_MAX);

    for (uint32_t i = 0; i < json_array_size(list) && vine__json_is_well(reader); i++) {
        const json_t *const value = json_array_get(list, i);
        struct vine__vm_disk *const disk = &configuration->disks[i];

        vine__json_stand_at(reader, "disks[%u]", i);
        if (!vine__json_expect(reader, value, keys))
            break;
        disk->name = read_name(reader, value, "name", NULL);
        disk->is_read_only = vine__json_flag(reader, value, "read_only", false);
        for (uint32_t other = 0; disk->name != NULL && other < i; other++)
            if (strcmp(configuration->disks[other].name, disk->name) == 0)
                vine__json_wrong(reader, "name", "there are two disks \"%s\"", disk->name);
        configuration->disk_count = i + 1;
    }
    vine__json_stand_at(reader, "%s", "");
}

static void read_kernel_options(struct vine__json_reader *reader, const json_t *object,
                                struct vine__vm_configuration *configuration)
{
    const json_t *const list =
        vine__json_list(reader, object, "kernel_options", VINE__VM_KERNEL_OPTIONS_MAX);

    for (uint32_t i = 0; i < json_array_size(list); i++) {
        const char *const word = json_string_value(json_array_get(list, i));
        bool is_word = word != NULL && word[0] != '\0' && strlen(word) < 256;

        for (const char *at = word; is_word && *at != '\0'; at++)
            is_word = *at > ' ' && *at <= '~';
        if (!is_word)
            vine__json_wrong(reader, "kernel_options", "[%u] is no word of printable ASCII", i);
        configuration->kernel_options[i] = word;
        configuration->kernel_option_count = i + 1;
    }
}

static void read_groups(struct vine__json_reader *reader, const json_t *object,
                        struct vine__vm_configuration *configuration)
{
    const json_t *const list =
        vine__json_list(reader, object, "accelerator_groups", VINE__VM_GROUPS_MAX);

    for (uint32_t i = 0; i < json_array_size(list); i++) {
        const char *const name = json_string_value(json_array_get(list, i));

        if (name == NULL || !vine__vm_is_name(name))
            vine__json_wrong(reader, "accelerator_groups", "[%u]: " VINE__VM_NAME_RULE, i);
        configuration->accelerator_groups[i] = name;
        configuration->accelerator_group_count = i + 1;
    }
}

static void read_limits(struct vine__json_reader *reader, const json_t *object,
                        struct vine__vm_configuration *configuration)
{
    static const char *const keys[] = {"memory", "cpu_percent", "cpu_weight", "processes", NULL};
    const json_t *const value = json_object_get(object, "limits");
    struct vine__vm_limits *const limits = &configuration->limits;

    vine__json_stand_at(reader, "limits");
    if (value != NULL && vine__json_expect(reader, value, keys)) {
        limits->memory_bytes = vine__json_size(reader, value, "memory", 0);
        limits->cpu_percent =
            vine__json_count(reader, value, "cpu_percent", 0, 100 * VINE__VM_CPUS_MAX);
        limits->cpu_weight = vine__json_count(reader, value, "cpu_weight", 0, 10000);
        limits->processes = vine__json_count(reader, value, "processes", 0, 1000000);
        if (limits->memory_bytes != 0 && limits->memory_bytes <= configuration->memory_bytes)
            vine__json_wrong(reader, "memory",
                             "leaves QEMU nothing beside the memory of its guest");
    }
    vine__json_stand_at(reader, "%s", "");
}

/* Which of these words a policy is. */
static uint32_t read_policy(struct vine__json_reader *reader, const json_t *object, const char *key,
                            const char *const words[3])
{
    const char *const word = vine__json_text(reader, object, key, words[0]);

    for (uint32_t i = 0; word != NULL && i < 3; i++)
        if (strcmp(word, words[i]) == 0)
            return i;
    vine__json_wrong(reader, key, "is none of \"%s\", \"%s\", \"%s\"", words[0], words[1],
                     words[2]);
    return 0;
}

static void read_all(struct vine__json_reader *reader, const json_t *object,
                     struct vine__vm_configuration *configuration)
{
    static const char *const keys[] = {
        "version", "name",   "memory",    "processors", "kernel_options",     "disks",
        "links",   "limits", "autostart", "restart",    "accelerator_groups", NULL};

    vine__json_version(reader, object, VINE__VM_CONFIGURATION_VERSION);
    if (!vine__json_expect(reader, object, keys))
        return;
    configuration->name = read_name(reader, object, "name", NULL);
    configuration->memory_bytes = vine__json_size(reader, object, "memory", MEMORY_BYTES);
    if (configuration->memory_bytes % (UINT64_C(1) << 20) != 0 ||
        configuration->memory_bytes < VINE__VM_MEMORY_MIN ||
        configuration->memory_bytes > VINE__VM_MEMORY_MAX)
        vine__json_wrong(reader, "memory", "is whole MiB, from 128 MiB to 4 TiB");
    configuration->cpu_count = vine__json_count(reader, object, "processors", 1, VINE__VM_CPUS_MAX);
    if (configuration->cpu_count == 0)
        vine__json_wrong(reader, "processors", "is 1 to %d", VINE__VM_CPUS_MAX);
    if (!vine__json_is_well(reader))
        return;
    read_kernel_options(reader, object, configuration);
    read_disks(reader, object, configuration);
    configuration->link_count =
        vine__vm_links_read(reader, object, configuration->name, configuration->links);
    read_limits(reader, object, configuration);
    configuration->autostart =
        (enum vine__vm_autostart)read_policy(reader, object, "autostart", autostart_words);
    configuration->restart =
        (enum vine__vm_restart)read_policy(reader, object, "restart", restart_words);
    read_groups(reader, object, configuration);
}

int vine__vm_configuration_parse(const char *file, const void *bytes, size_t size,
                                 struct vine__vm_configuration *ret_configuration,
                                 struct vine__problem *problem)
{
    struct vine__json_reader reader = {.file = file, .problem = problem};
    struct vine__vm_configuration configuration = {0};

    configuration.json = vine__json_parse(&reader, bytes, size);
    if (configuration.json == NULL)
        return -EINVAL;
    read_all(&reader, configuration.json, &configuration);
    if (!vine__json_is_well(&reader)) {
        vine__vm_configuration_fini(&configuration);
        return -EINVAL;
    }
    *ret_configuration = configuration;
    return 0;
}

void vine__vm_configuration_fini(struct vine__vm_configuration *configuration)
{
    json_decref(configuration->json);
    *configuration = (struct vine__vm_configuration){0};
}

json_t *vine__vm_configuration_new(const char *name)
{
    return json_pack("{s:i, s:s}", "version", VINE__VM_CONFIGURATION_VERSION, "name", name);
}
