/* SPDX-License-Identifier: Apache-2.0 */
/* What hwloc knows: processors, what they share, nodes and their memory. See topology.h. */
#include "arch/topology/topology_internal.h"

#include <errno.h>
#include <hwloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "utils/config.h"

#define WRONG_BYTES 512

static int refuse(struct vine__config_reason *ret_reason, const char *description, const char *what)
{
    if (ret_reason != NULL)
        snprintf(ret_reason->text, sizeof(ret_reason->text), "'%s': %s", description, what);
    return -EINVAL;
}

static int describe(hwloc_topology_t hwloc, const char *description,
                    struct vine__config_reason *ret_reason)
{
    struct stat status;
    char wrong[WRONG_BYTES];

    if (stat(description, &status) == 0 && !S_ISDIR(status.st_mode)) {
        if (access(description, R_OK) != 0)
            return refuse(ret_reason, description, strerror(errno));
        if (hwloc_topology_set_xml(hwloc, description) < 0 || hwloc_topology_load(hwloc) < 0)
            return refuse(ret_reason, description,
                          "this file is no topology in hwloc's XML; right would be one that "
                          "`lstopo FILE.xml` wrote");
        return 0;
    }
    /* Of one that does not end so hwloc (2.9) keeps memory when it refuses it. */
    if (vine__topology_ends_in_pu(description) &&
        hwloc_topology_set_synthetic(hwloc, description) == 0 && hwloc_topology_load(hwloc) == 0)
        return 0;
    vine__topology_tell_wrong(description, wrong, sizeof(wrong));
    return refuse(ret_reason, description, wrong);
}

/* The closest node that has memory, else the closest one: a processor may have several, of
 * different kinds, of which the first is the ordinary one. */
static uint32_t node_of(hwloc_topology_t hwloc, hwloc_obj_t processor)
{
    uint32_t closest = VINE__TOPOLOGY_NONE, index = 0;

    for (hwloc_obj_t node = NULL;
         (node = hwloc_get_next_obj_by_type(hwloc, HWLOC_OBJ_NUMANODE, node)) != NULL; index++) {
        if (!hwloc_bitmap_isset(processor->nodeset, node->os_index))
            continue;
        if (node->attr->numanode.local_memory > 0)
            return index;
        if (closest == VINE__TOPOLOGY_NONE)
            closest = index;
    }
    return closest == VINE__TOPOLOGY_NONE ? 0 : closest;
}

static uint32_t index_above(hwloc_topology_t hwloc, hwloc_obj_type_t type, hwloc_obj_t processor)
{
    const hwloc_obj_t above = hwloc_get_ancestor_obj_by_type(hwloc, type, processor);

    return above == NULL ? VINE__TOPOLOGY_NONE : above->logical_index;
}

static uint32_t count_of(hwloc_topology_t hwloc, hwloc_obj_type_t type)
{
    const int count = hwloc_get_nbobjs_by_type(hwloc, type);

    return count < 0 ? 0 : (uint32_t)count;
}

static void copy_processors(struct vine__topology *topology, hwloc_topology_t hwloc)
{
    for (hwloc_obj_t unit = NULL;
         (unit = hwloc_get_next_obj_by_type(hwloc, HWLOC_OBJ_PU, unit)) != NULL;) {
        struct vine__processor *const processor = &topology->processors[topology->processor_count];

        if (unit->os_index >= VINE__CPUS_MAX)
            continue; /* it has none, or one that no kernel gives */
        processor->cpu = unit->os_index;
        processor->core = index_above(hwloc, HWLOC_OBJ_CORE, unit);
        if (processor->core == VINE__TOPOLOGY_NONE)
            processor->core = unit->logical_index; /* nobody says that it shares anything */
        if (processor->core >= topology->core_count)
            topology->core_count = processor->core + 1;
        processor->package = index_above(hwloc, HWLOC_OBJ_PACKAGE, unit);
        processor->cache = index_above(hwloc, HWLOC_OBJ_L3CACHE, unit);
        processor->node = node_of(hwloc, unit);
        topology->processor_count++;
    }
    topology->package_count = count_of(hwloc, HWLOC_OBJ_PACKAGE);
    topology->cache_count = count_of(hwloc, HWLOC_OBJ_L3CACHE);
}

static void copy_nodes(struct vine__topology *topology, hwloc_topology_t hwloc, const char *source)
{
    uint64_t total_bytes = 0;

    for (hwloc_obj_t node = NULL;
         (node = hwloc_get_next_obj_by_type(hwloc, HWLOC_OBJ_NUMANODE, node)) != NULL;) {
        struct vine__node *const copy = &topology->nodes[topology->node_count++];

        copy->os_index = node->os_index;
        copy->memory_bytes = node->attr->numanode.local_memory;
        total_bytes += copy->memory_bytes;
    }
    if (total_bytes > 0)
        vine__topology_add_fact(topology, VINE__FACT_MEMORY_NODES, total_bytes, source);
}

static int copy_all(struct vine__topology *topology, hwloc_topology_t hwloc, const char *source)
{
    const uint32_t processors = count_of(hwloc, HWLOC_OBJ_PU);
    const uint32_t nodes = count_of(hwloc, HWLOC_OBJ_NUMANODE);

    topology->processors = calloc(processors + 1, sizeof(topology->processors[0]));
    topology->nodes = calloc(nodes + 1, sizeof(topology->nodes[0]));
    if (topology->processors == NULL || topology->nodes == NULL)
        return -ENOMEM;
    copy_processors(topology, hwloc);
    copy_nodes(topology, hwloc, source);
    return 0;
}

/* Who says how much memory nodes have. Of words that do not it is hwloc. */
static const char *source_of(const char *description)
{
    if (description == NULL)
        return "hwloc";
    return access(description, F_OK) == 0 || strstr(description, "memory=") != NULL
               ? "the description"
               : "the description has none, and hwloc takes 1 GiB a node";
}

int vine__topology_find_processors(struct vine__topology *topology, const char *description,
                                   struct vine__config_reason *ret_reason)
{
    hwloc_topology_t hwloc;
    int error = 0;

    if (hwloc_topology_init(&hwloc) < 0)
        return -ENOMEM;
    /* All processors: which of them are allowed is another fact. And the thread that asks stays
     * where it is. */
    hwloc_topology_set_flags(hwloc, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED |
                                        HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING);
    if (description != NULL)
        error = describe(hwloc, description, ret_reason);
    else if (hwloc_topology_load(hwloc) < 0)
        error = -ENODATA;
    if (error == 0)
        error = copy_all(topology, hwloc, source_of(description));
    hwloc_topology_destroy(hwloc);
    if (error == -ENODATA) {
        snprintf(topology->source, sizeof(topology->source), "no word of hwloc's");
        return 0; /* the mask of the process knows processors, too */
    }
    return error;
}
