/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors: the lowest free number is next, as with a kernel, so that who uses one that was
 * closed uses another's. They begin where no kernel has any.
 */
#include "sim/world_internal.h"

#include "utils/assert.h"

#include <errno.h>
#include <stdlib.h>

static struct {
    struct world_descriptor *at;
    uint32_t count, open;
} table;

int world_descriptor_open(const struct world_descriptor *descriptor)
{
    const uint32_t most = world.options.descriptor_max != 0 ? world.options.descriptor_max : 1024;
    uint32_t index = 0;

    if (table.open >= most)
        return -EMFILE;
    while (index < table.count && table.at[index].is_open)
        index++;
    if (index == table.count) {
        table.at = realloc(table.at, ++table.count * sizeof(*table.at));
        VINE_ASSERT(table.at != NULL);
    }
    table.at[index] = *descriptor;
    table.at[index].is_open = true;
    table.open++;
    return VINE__SIM_FD_FIRST + (int)index;
}

struct world_descriptor *world_descriptor_find(int fd)
{
    const uint32_t index = (uint32_t)(fd - VINE__SIM_FD_FIRST);

    world_holds(fd >= VINE__SIM_FD_FIRST && index < table.count && table.at[index].is_open,
                "descriptor %d is used and not open", fd);
    return &table.at[index];
}

void world_descriptor_close(int fd)
{
    struct world_descriptor *const descriptor = world_descriptor_find(fd);
    const struct world_descriptor was = *descriptor;

    world_holds(was.under_way == 0, "descriptor %d is closed with %u operations under way", fd,
                was.under_way);
    *descriptor = (struct world_descriptor){.is_open = false};
    table.open--;
    if (was.file != NULL)
        world_file_unref(was.file);
    if (was.socket != NULL)
        world_socket_close(was.socket);
}

uint32_t world_descriptors_open(void)
{
    return table.open;
}

void world_descriptors_clear(void)
{
    for (uint32_t index = 0; index < table.count; index++)
        if (table.at[index].is_open && table.at[index].file != NULL)
            world_file_unref(table.at[index].file);
    free(table.at);
    table.at = NULL;
    table.count = 0;
    table.open = 0;
}
