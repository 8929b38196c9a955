/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulation: its clock and chances, its descriptors, and the backend by which a poller tries
 * its operations.
 */
#include "arch/poll/sim_internal.h"

#include <stdlib.h>
#include <string.h>

#define DESCRIPTORS_DEFAULT 65536U
#define STREAM_DEFAULT      65536U
#define DISK_DEFAULT        (1ULL << 30)

/* ---- clock and chances ----------------------------------------------------------------------- */

/* splitmix64, by Sebastiano Vigna. */
uint64_t vine__sim_random(struct vine__sim *sim)
{
    uint64_t mixed = sim->random += 0x9e3779b97f4a7c15ULL;

    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
    return mixed ^ (mixed >> 31);
}

bool vine__sim_happens(struct vine__sim *sim, uint32_t per_thousand)
{
    return per_thousand > 0 && vine__sim_random(sim) % 1000 < per_thousand;
}

uint32_t vine__sim_shortened(struct vine__sim *sim, uint32_t size)
{
    if (size < 2 || !vine__sim_happens(sim, sim->options.short_per_thousand))
        return size;
    return (uint32_t)(1 + vine__sim_random(sim) % (size - 1));
}

uint64_t vine__sim_now_ns(const struct vine__sim *sim)
{
    return sim->now_ns;
}

void vine__sim_advance(struct vine__sim *sim, uint64_t to_ns)
{
    VINE_ASSERT(to_ns >= sim->now_ns && to_ns != VINE_FOREVER);
    sim->now_ns = to_ns;
}

uint64_t vine__sim_after_latency(struct vine__sim *sim)
{
    const uint64_t range = sim->options.latency_max_ns - sim->options.latency_min_ns;

    return sim->now_ns + sim->options.latency_min_ns +
           (range == 0 ? 0 : vine__sim_random(sim) % (range + 1));
}

/* ---- descriptors ----------------------------------------------------------------------------- */

struct vine__sim_descriptor *vine__sim_find(const struct vine__sim *sim, int fd)
{
    if (fd < VINE__SIM_FD_FIRST || (uint32_t)(fd - VINE__SIM_FD_FIRST) >= sim->descriptor_count)
        return NULL;
    struct vine__sim_descriptor *descriptor = &sim->descriptors[fd - VINE__SIM_FD_FIRST];

    return descriptor->kind == VINE__SIM_CLOSED ? NULL : descriptor;
}

int vine__sim_open(struct vine__sim *sim, const struct vine__sim_descriptor *descriptor)
{
    if (sim->open_count >= sim->options.descriptor_max)
        return -EMFILE;
    if (sim->descriptor_count == sim->descriptor_room) {
        const uint32_t room = sim->descriptor_room == 0 ? 64 : sim->descriptor_room * 2;
        struct vine__sim_descriptor *grown =
            realloc(sim->descriptors, room * sizeof(*sim->descriptors));

        if (grown == NULL)
            return -ENOMEM;
        sim->descriptors = grown;
        sim->descriptor_room = room;
    }
    sim->descriptors[sim->descriptor_count] = *descriptor;
    sim->open_count++;
    return VINE__SIM_FD_FIRST + (int)sim->descriptor_count++;
}

uint32_t vine__sim_descriptors(const struct vine__sim *sim)
{
    return sim->open_count;
}

void vine__sim_close(struct vine__sim *sim, int fd)
{
    struct vine__sim_descriptor *descriptor = vine__sim_find(sim, fd);

    if (descriptor == NULL)
        return;
    vine__sim_descriptor_ends(sim, fd);
    vine__sim_flows_close(sim, descriptor->flows);
    for (uint32_t i = 0; i < descriptor->backlog_count; i++) {
        vine__sim_flow_reset(sim, descriptor->backlog[i]);
        vine__sim_flows_close(sim, descriptor->backlog[i]);
    }
    free(descriptor->backlog);
    vine__sim_node_unref(sim, descriptor->node);
    *descriptor = (struct vine__sim_descriptor){.kind = VINE__SIM_CLOSED};
    sim->open_count--;
}

void vine__sim_reset(struct vine__sim *sim, int fd)
{
    const struct vine__sim_descriptor *descriptor = vine__sim_find(sim, fd);

    if (descriptor != NULL)
        vine__sim_flow_reset(sim, descriptor->flows);
}

void vine__sim_fail_next(struct vine__sim *sim, int fd, int32_t error)
{
    struct vine__sim_descriptor *descriptor = vine__sim_find(sim, fd);

    VINE_ASSERT(descriptor != NULL && error < 0);
    descriptor->error_next = error;
}

/* ---- life ------------------------------------------------------------------------------------ */

int vine__sim_create(struct vine__sim **ret_sim, const struct vine__sim_options *options)
{
    if (options->latency_min_ns > options->latency_max_ns || options->short_per_thousand > 1000 ||
        options->error_per_thousand > 1000)
        return -EINVAL;
    struct vine__sim *sim = calloc(1, sizeof(*sim));

    if (sim == NULL)
        return -ENOMEM;
    sim->options = *options;
    sim->random = options->seed;
    sim->now_ns = VINE_NS_PER_SECOND;
    if (sim->options.descriptor_max == 0)
        sim->options.descriptor_max = DESCRIPTORS_DEFAULT;
    if (sim->options.stream_bytes == 0)
        sim->options.stream_bytes = STREAM_DEFAULT;
    if (sim->options.disk_bytes == 0)
        sim->options.disk_bytes = DISK_DEFAULT;
    *ret_sim = sim;
    return 0;
}

void vine__sim_destroy(struct vine__sim *sim)
{
    if (sim == NULL)
        return;
    VINE_ASSERT(sim->pollers == NULL);
    for (uint32_t i = 0; i < sim->descriptor_count; i++)
        vine__sim_close(sim, VINE__SIM_FD_FIRST + (int)i);
    while (sim->node_count > 0)
        vine__sim_node_unref(sim, sim->nodes[sim->node_count - 1]);
    free(sim->nodes);
    free(sim->descriptors);
    free(sim);
}
