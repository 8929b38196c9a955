/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=pool */
/*
 * The texts of a pool: the first byte of the input says whether the rest is vms.json, a machine's
 * configuration or NAME.json. Whatever it is: it is read, within the limits, or what is wrong is
 * said.
 */
#include <stdlib.h>
#include <string.h>

#include "utils/assert.h"
#include "vmm/pool/configuration.h"
#include "vmm/pool/roll.h"
#include "vmm/pool/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static void check_links(const struct vine__vm_link *links, uint32_t count)
{
    VINE_ASSERT(count <= VINE__VM_LINKS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        VINE_ASSERT(vine__vm_is_name(links[i].name) && vine__vm_is_name(links[i].application) &&
                    vine__vm_is_name(links[i].appliance));
        VINE_ASSERT(links[i].channels <= VINE__VM_CHANNELS_MAX);
    }
}

static void read_configuration(const uint8_t *bytes, size_t size)
{
    struct vine__vm_configuration configuration = {0};
    struct vine__problem problem = {.text = ""};

    if (vine__vm_configuration_parse("f", bytes, size, &configuration, &problem) != 0) {
        VINE_ASSERT(problem.text[0] != '\0' && configuration.json == NULL);
        return;
    }
    VINE_ASSERT(vine__vm_is_name(configuration.name));
    VINE_ASSERT(configuration.memory_bytes >= VINE__VM_MEMORY_MIN &&
                configuration.memory_bytes <= VINE__VM_MEMORY_MAX);
    VINE_ASSERT(configuration.disk_count <= VINE__VM_DISKS_MAX);
    for (uint32_t i = 0; i < configuration.disk_count; i++)
        VINE_ASSERT(vine__vm_is_name(configuration.disks[i].name));
    check_links(configuration.links, configuration.link_count);
    vine__vm_configuration_fini(&configuration);
}

static void read_roll(const uint8_t *bytes, size_t size)
{
    struct vine__problem problem = {.text = ""};
    struct vine__pool_roll roll = {0};

    if (vine__pool_roll_parse(bytes, size, &roll, &problem) != 0) {
        VINE_ASSERT(problem.text[0] != '\0');
        return;
    }
    for (uint32_t i = 0; i < roll.count; i++)
        if (roll.entries[i].problem.text[0] == '\0') {
            VINE_ASSERT(vine__vm_is_name(roll.entries[i].name));
            VINE_ASSERT(vine__vm_is_uid(roll.entries[i].uid));
            VINE_ASSERT(vine__pool_roll_find(&roll, roll.entries[i].name) == &roll.entries[i]);
        }
    vine__pool_roll_fini(&roll);
}

static void read_settings(const uint8_t *bytes, size_t size)
{
    struct vine__pool_settings settings = {0};
    struct vine__problem problem = {.text = ""};

    if (vine__pool_settings_parse("f", bytes, size, &settings, &problem) != 0) {
        VINE_ASSERT(problem.text[0] != '\0');
        return;
    }
    check_links(settings.links, settings.link_count);
    vine__pool_settings_fini(&settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    if (size_bytes == 0)
        return 0;
    /* A copy, so that a sanitizer sees its end. */
    uint8_t *const copy = malloc(size_bytes - 1 + (size_bytes == 1));
    VINE_ASSERT(copy != NULL);
    memcpy(copy, bytes + 1, size_bytes - 1);
    if (bytes[0] == 'v')
        read_roll(copy, size_bytes - 1);
    else if (bytes[0] == 'c')
        read_configuration(copy, size_bytes - 1);
    else if (bytes[0] == 'p')
        read_settings(copy, size_bytes - 1);
    free(copy);
    return 0;
}
