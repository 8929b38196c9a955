/* SPDX-License-Identifier: Apache-2.0 */
/* Putting together what a machine has. See topology.h. */
#include "arch/topology/topology_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "utils/assert.h"
#include "utils/config.h"

int vine__proc_read(const char *root, const char *path, char *ret_text, size_t capacity)
{
    char whole[PATH_MAX];
    size_t length = 0;
    int error = 0;
    const int path_length = snprintf(whole, sizeof(whole), "%s%s", root, path);

    if (path_length < 0 || (size_t)path_length >= sizeof(whole))
        return -ENAMETOOLONG;

    const int fd = open(whole, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return -errno;
    for (;;) {
        const ssize_t got = read(fd, ret_text + length, capacity - 1 - length);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            error = -errno;
        if (got <= 0)
            break;
        length += (size_t)got;
        if (length == capacity - 1) {
            error = -EFBIG;
            break;
        }
    }
    close(fd);
    if (error != 0)
        return error;
    while (length > 0 && (ret_text[length - 1] == '\n' || ret_text[length - 1] == ' '))
        length--;
    ret_text[length] = '\0';
    return (int)length;
}

int vine__proc_read_number(const char *root, const char *path, uint64_t *ret_number)
{
    char text[32];
    const int length = vine__proc_read(root, path, text, sizeof(text));

    return length < 0 ? length : vine__parse_unsigned(text, ret_number);
}

void vine__topology_add_fact(struct vine__topology *topology, enum vine__fact_kind kind,
                             uint64_t value, const char *source)
{
    struct vine__fact *fact = NULL;

    if (topology->fact_count < VINE__FACTS_MAX) {
        fact = &topology->facts[topology->fact_count++];
    } else {
        for (uint32_t i = 0; i < VINE__FACTS_MAX; i++)
            if (topology->facts[i].kind == kind && topology->facts[i].value > value &&
                (fact == NULL || topology->facts[i].value > fact->value))
                fact = &topology->facts[i];
        if (fact == NULL)
            return;
    }
    fact->kind = kind;
    fact->value = value;
    snprintf(fact->source, sizeof(fact->source), "%s", source);
}

const struct vine__fact *vine__topology_least(const struct vine__topology *topology,
                                              enum vine__fact_kind kind)
{
    const struct vine__fact *least = NULL;

    for (uint32_t i = 0; i < topology->fact_count; i++)
        if (topology->facts[i].kind == kind &&
            (least == NULL || topology->facts[i].value < least->value))
            least = &topology->facts[i];
    return least;
}

const struct vine__fact *vine__topology_greatest(const struct vine__topology *topology,
                                                 enum vine__fact_kind kind)
{
    const struct vine__fact *greatest = NULL;

    for (uint32_t i = 0; i < topology->fact_count; i++)
        if (topology->facts[i].kind == kind &&
            (greatest == NULL || topology->facts[i].value > greatest->value))
            greatest = &topology->facts[i];
    return greatest;
}

static bool knows(const struct vine__topology *topology, uint32_t cpu)
{
    for (uint32_t i = 0; i < topology->processor_count; i++)
        if (topology->processors[i].cpu == cpu)
            return true;
    return false;
}

/* The kernel lets us run on processors of which hwloc may not have heard: without /sys, or since
 * one was plugged in. Each counts as a core of its own. */
static int add_from_mask(struct vine__topology *topology)
{
    const struct vine__cpus *const mask = &topology->mask.cpus;
    const uint32_t count_max = topology->processor_count + vine__cpus_count(mask);

    if (!topology->mask.is_known || topology->is_described)
        return 0;

    struct vine__processor *const processors =
        realloc(topology->processors, (count_max + 1) * sizeof(processors[0]));

    if (processors == NULL)
        return -ENOMEM;
    topology->processors = processors;
    for (uint32_t cpu = vine__cpus_next(mask, 0); cpu < VINE__CPUS_MAX;
         cpu = vine__cpus_next(mask, cpu + 1))
        if (!knows(topology, cpu))
            processors[topology->processor_count++] =
                (struct vine__processor){.cpu = cpu,
                                         .core = topology->core_count++,
                                         .package = VINE__TOPOLOGY_NONE,
                                         .cache = VINE__TOPOLOGY_NONE};
    return 0;
}

/* Whoever counts on nodes finds one. */
static int ensure_node(struct vine__topology *topology)
{
    if (topology->node_count > 0)
        return 0;
    if (topology->nodes == NULL)
        topology->nodes = calloc(1, sizeof(topology->nodes[0]));
    if (topology->nodes == NULL)
        return -ENOMEM;
    topology->node_count = 1;
    return 0;
}

static int fill(struct vine__topology *topology, const struct vine__topology_options *options,
                char *scratch, struct vine__config_reason *ret_reason)
{
    const char *root = options->root;
    int error;

    topology->is_described = options->description != NULL;
    topology->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    topology->lock_bytes = UINT64_MAX;
    snprintf(topology->source, sizeof(topology->source), "%s",
             topology->is_described ? options->description : "hwloc");
    error = vine__topology_find_processors(topology, options->description, ret_reason);
    if (error == 0)
        error = ensure_node(topology);
    if (error != 0)
        return error;
    if (root == NULL && topology->is_described)
        return 0;
    if (root == NULL || strcmp(root, "/") == 0)
        root = "";
    vine__topology_find_process(topology, root, scratch);
    vine__topology_find_group(topology, root, scratch);
    if (options->hugepages != NULL)
        vine__topology_find_huge_pages(topology, root, options->hugepages);
    return add_from_mask(topology);
}

int vine__topology_create(struct vine__topology **ret_topology,
                          const struct vine__topology_options *options,
                          struct vine__config_reason *ret_reason)
{
    struct vine__topology *const topology = calloc(1, sizeof(*topology));
    char *const scratch = malloc(VINE__PROC_FILE_BYTES);
    int error = -ENOMEM;

    if (topology != NULL && scratch != NULL)
        error = fill(topology, options, scratch, ret_reason);
    free(scratch);
    if (error != 0) {
        vine__topology_destroy(topology);
        return error;
    }
    *ret_topology = topology;
    return 0;
}

void vine__topology_destroy(struct vine__topology *topology)
{
    if (topology == NULL)
        return;
    free(topology->processors);
    free(topology->nodes);
    free(topology);
}
