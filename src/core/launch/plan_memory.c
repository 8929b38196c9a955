/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory, and from which nodes. See plan.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/launch/plan_internal.h"
#include "utils/assert.h"

#define RESERVE_BYTES (UINT64_C(1536) << 20)

/* value * part / whole, without overflow; `part` is at most `whole`. */
static uint64_t scale(uint64_t value, uint64_t part, uint64_t whole)
{
    return (uint64_t)((unsigned __int128)value * part / whole);
}

static uint64_t floor_to(uint64_t value, uint64_t unit)
{
    return value - value % unit;
}

static uint64_t bytes_of(const struct vine__launch_value *value, uint64_t whole)
{
    return value->is_percent ? scale(whole, value->number, UINT64_C(100) * 1000) : value->number;
}

/* The part of this process, of those that serve side by side. */
static uint64_t part_of(const struct vine__planner *planner, uint64_t bytes)
{
    const uint32_t count = planner->options->process_count;

    return count > 1 ? bytes / count : bytes;
}

static void find_bound(struct vine__planner *planner)
{
    const struct vine__topology *const topology = planner->topology;
    struct vine__plan *const plan = planner->plan;

    plan->total = vine__topology_least(topology, VINE__FACT_MEMORY_TOTAL);
    if (plan->total == NULL)
        plan->total = vine__topology_least(topology, VINE__FACT_MEMORY_NODES);
    plan->limit = vine__topology_least(topology, VINE__FACT_MEMORY_LIMIT);
    if (plan->total != NULL)
        plan->bound_bytes = plan->total->value;
    if (plan->limit != NULL && (plan->total == NULL || plan->limit->value < plan->total->value))
        plan->bound_bytes = plan->limit->value;
}

/* What is left to everybody else: on an ordinary machine as much as a kernel and a few daemons
 * want, on a large one a part of it, and on a small one no more than a quarter. */
static void find_reserve(struct vine__planner *planner)
{
    const struct vine__launch_value *const asked = &planner->options->reserve_memory;
    struct vine__plan *const plan = planner->plan;
    const uint64_t part = scale(plan->bound_bytes, 7, 100);
    char have[VINE__BYTES_TEXT];

    plan->reserve_bytes = part > RESERVE_BYTES ? part : RESERVE_BYTES;
    if (plan->reserve_bytes > plan->bound_bytes / 4)
        plan->reserve_bytes = plan->bound_bytes / 4;
    if (!vine__is_asked(asked))
        return;
    if (plan->bound_bytes > 0 && bytes_of(asked, plan->bound_bytes) >= plan->bound_bytes) {
        vine__mistakes_add(planner->mistakes,
                           "--reserve-memory %s: there are %s, and cores need some of them; right "
                           "would be less, or nothing",
                           asked->text, vine__bytes_text(plan->bound_bytes, have));
        return;
    }
    plan->reserve_bytes = bytes_of(asked, plan->bound_bytes);
}

static const char *source_of_bound(const struct vine__plan *plan)
{
    return plan->limit != NULL && plan->limit->value == plan->bound_bytes ? plan->limit->source
                                                                          : plan->total->source;
}

static void sum_ordinary(struct vine__planner *planner)
{
    const struct vine__launch_value *const asked = &planner->options->memory;
    struct vine__plan *const plan = planner->plan;
    const uint64_t most = plan->bound_bytes - plan->reserve_bytes;
    char have[VINE__BYTES_TEXT], kept[VINE__BYTES_TEXT], right[VINE__BYTES_TEXT];

    plan->unit_bytes = VINE__PLAN_UNIT_BYTES;
    if (plan->bound_bytes == 0) {
        plan->memory_bytes = asked->number;
        if (!vine__is_asked(asked) || asked->is_percent)
            vine__mistakes_add(planner->mistakes,
                               "--memory: neither /proc/meminfo nor hwloc says how much there is; "
                               "right would be a size, as --memory 4G");
        return;
    }
    plan->memory_bytes = vine__is_asked(asked) ? bytes_of(asked, plan->bound_bytes) : most;
    if (plan->memory_bytes <= most)
        return;
    vine__mistakes_add(planner->mistakes,
                       "--memory %s: there are %s (%s), of which %s are reserved; right would be "
                       "at most %s (--memory %lluM), or another --reserve-memory",
                       asked->text, vine__bytes_text(plan->bound_bytes, have),
                       source_of_bound(plan), vine__bytes_text(plan->reserve_bytes, kept),
                       vine__bytes_text(most, right), (unsigned long long)(most >> 20));
    plan->memory_bytes = most;
}

static void tell_no_huge_pages(struct vine__planner *planner)
{
    const struct vine__huge_pages *const huge = &planner->topology->huge;
    const char *const path = planner->options->hugepages.text;

    if (huge->error == -EMEDIUMTYPE)
        vine__mistakes_add(planner->mistakes,
                           "--hugepages %s: this is no mount of hugetlbfs; right would be one, as "
                           "`mount -t hugetlbfs none PATH` makes it",
                           path);
    else
        vine__mistakes_add(planner->mistakes,
                           "--hugepages %s: %s; right would be a mount of hugetlbfs, as "
                           "`mount -t hugetlbfs none PATH` makes it",
                           path, strerror(-huge->error));
}

/* Huge pages were set apart before: nothing is reserved of them, and no limit of ordinary memory
 * counts. */
static void sum_huge(struct vine__planner *planner)
{
    const struct vine__huge_pages *const huge = &planner->topology->huge;
    const struct vine__launch_value *const asked = &planner->options->memory;
    struct vine__plan *const plan = planner->plan;
    const char *const path = planner->options->hugepages.text;
    char size[VINE__BYTES_TEXT], have[VINE__BYTES_TEXT], each[VINE__BYTES_TEXT];

    if (huge->error != 0) {
        tell_no_huge_pages(planner);
        sum_ordinary(planner);
        return;
    }
    plan->is_huge = true;
    plan->unit_bytes = VINE__PLAN_UNIT_BYTES;
    if (huge->page_bytes > plan->unit_bytes) /* both are powers of two */
        plan->unit_bytes = huge->page_bytes;

    const uint64_t free_bytes = huge->free_count * huge->page_bytes;
    /* What others have taken of theirs by now is not free, so of itself this has all that is. */
    const uint64_t wanted_bytes = vine__is_asked(asked)
                                      ? part_of(planner, bytes_of(asked, plan->bound_bytes))
                                      : (uint64_t)plan->core_count * plan->unit_bytes;
    const uint64_t wanted_count = (wanted_bytes + huge->page_bytes - 1) / huge->page_bytes;

    plan->memory_bytes = vine__is_asked(asked) ? wanted_bytes : free_bytes;
    vine__bytes_text(huge->page_bytes, size);
    vine__bytes_text(free_bytes, have);
    vine__bytes_text(plan->unit_bytes, each);
    if (planner->options->process_count > 1 && !vine__is_asked(asked)) {
        vine__mistakes_add(planner->mistakes,
                           "--hugepages %s: the first of %u processes would take all pages that "
                           "are free, %s (%s); right would be --memory %lluM at most, for all",
                           path, planner->options->process_count, have, huge->source,
                           (unsigned long long)(free_bytes >> 20));
        return;
    }
    if (wanted_count <= huge->free_count)
        return;
    vine__mistakes_add(planner->mistakes,
                       "--hugepages %s: %llu pages of %s are needed%s%s%s, and %llu are free, %s "
                       "(%s); right would be at least %llu free ones, as by writing to "
                       "nr_hugepages there%s",
                       path, (unsigned long long)wanted_count, size,
                       vine__is_asked(asked) ? " for --memory " : ", ",
                       vine__is_asked(asked) ? asked->text : each,
                       vine__is_asked(asked) ? "" : " a core", (unsigned long long)huge->free_count,
                       have, huge->source, (unsigned long long)wanted_count,
                       vine__is_asked(asked) ? ", or less --memory" : "");
    plan->memory_bytes = free_bytes;
}

/* Pages that are locked are there at once, so they have to be allowed and to be there. */
static void check_lock(struct vine__planner *planner)
{
    const struct vine__topology *const topology = planner->topology;
    const struct vine__fact *const available =
        vine__topology_least(topology, VINE__FACT_MEMORY_AVAILABLE);
    struct vine__plan *const plan = planner->plan;
    char wanted[VINE__BYTES_TEXT], have[VINE__BYTES_TEXT];

    plan->is_locked = planner->options->lock_memory.number != 0;
    if (!plan->is_locked || plan->is_huge) /* huge pages are never swapped out */
        return;
    vine__bytes_text(plan->memory_bytes, wanted);
    if (plan->memory_bytes > topology->lock_bytes && !topology->may_lock_beyond)
        vine__mistakes_add(planner->mistakes,
                           "--lock-memory 1: %s would be locked, and RLIMIT_MEMLOCK allows %s; "
                           "right would be a higher limit (ulimit -l, LimitMEMLOCK=), less "
                           "--memory, or --lock-memory 0",
                           wanted, vine__bytes_text(topology->lock_bytes, have));
    if (available != NULL && plan->memory_bytes > available->value)
        vine__mistakes_add(planner->mistakes,
                           "--lock-memory 1: %s would be taken at once, and %s could be had now "
                           "(%s); right would be --memory %lluM at most, or --lock-memory 0",
                           wanted, vine__bytes_text(available->value, have), available->source,
                           (unsigned long long)(available->value >> 20));
}

/* As many cores as there is memory for; who asked for more is told. */
static void fit_cores(struct vine__planner *planner)
{
    struct vine__plan *const plan = planner->plan;
    const uint64_t fitting = plan->memory_bytes / plan->unit_bytes;
    char have[VINE__BYTES_TEXT], each[VINE__BYTES_TEXT];

    if (fitting >= plan->core_count || planner->mistakes->count > 0)
        return;
    vine__bytes_text(plan->memory_bytes, have);
    vine__bytes_text(plan->unit_bytes, each);
    if (fitting > 0 && !vine__is_asked(&planner->options->smp) &&
        !vine__is_asked(&planner->options->cpuset)) {
        snprintf(plan->cores_why, sizeof(plan->cores_why),
                 "%llu of %u: %s of memory suffice for no more, %s each",
                 (unsigned long long)fitting, plan->core_count, have, each);
        plan->core_count = (uint32_t)fitting;
        return;
    }
    vine__mistakes_add(planner->mistakes,
                       "--memory: %s for %u core%s is too little, each needs %s; right would be "
                       "more --memory, less --reserve-memory%s",
                       have, plan->core_count, plan->core_count == 1 ? "" : "s", each,
                       plan->core_count > 1 ? ", or fewer cores by --smp" : "");
}

void vine__plan_sum_memory(struct vine__planner *planner)
{
    find_bound(planner);
    find_reserve(planner);
    if (vine__is_asked(&planner->options->hugepages) && !planner->topology->is_described)
        sum_huge(planner);
    else
        sum_ordinary(planner);
    if (!planner->plan->is_huge)
        planner->plan->memory_bytes = part_of(planner, planner->plan->memory_bytes);
    check_lock(planner);
    fit_cores(planner);
}

/* What each node has for cores: of ordinary memory its part of what the whole machine has beyond
 * the reserve. A node's own count may be of another day than the total (see topology.h), so it
 * says how large a part is. */
static void find_room(struct vine__planner *planner)
{
    const struct vine__topology *const topology = planner->topology;
    const struct vine__plan *const plan = planner->plan;
    const uint64_t total = plan->total == NULL ? 0 : plan->total->value;
    const uint64_t spare = total > plan->reserve_bytes ? total - plan->reserve_bytes : 0;
    uint64_t sum = 0;

    for (uint32_t i = 0; i < topology->node_count; i++)
        sum += plan->is_huge ? topology->nodes[i].huge_page_count : topology->nodes[i].memory_bytes;
    for (uint32_t i = 0; i < topology->node_count; i++) {
        uint64_t *const room = &planner->scratch.room[i];

        if (sum == 0 || (!plan->is_huge && spare == 0))
            *room = UINT64_MAX; /* nobody says */
        else if (plan->is_huge)
            *room = topology->nodes[i].huge_page_count * plan->unit_bytes;
        else
            *room = scale(spare, topology->nodes[i].memory_bytes, sum);
        *room = floor_to(*room, plan->unit_bytes);
    }
}

static void take(struct vine__planner *planner, struct vine__plan_core *core, uint32_t node,
                 uint64_t bytes)
{
    struct vine__plan *const plan = planner->plan;
    struct vine__plan_piece *const pieces = &plan->pieces[core->pieces - plan->pieces];
    uint64_t *const room = &planner->scratch.room[node];

    if (bytes == 0)
        return;
    *room -= bytes < *room ? bytes : *room;
    core->memory_bytes += bytes;
    for (uint32_t i = 0; i < core->piece_count; i++)
        if (pieces[i].node == node) {
            pieces[i].bytes += bytes;
            return;
        }
    pieces[core->piece_count++] = (struct vine__plan_piece){node, bytes};
}

/* What a core still lacks, from the other nodes, the closest numbers first. What nobody has, since
 * units did not divide evenly, is asked of its own node all the same. */
static void take_elsewhere(struct vine__planner *planner, struct vine__plan_core *core,
                           uint64_t each)
{
    const uint32_t node_count = planner->topology->node_count;

    for (uint32_t far = 1; far < node_count; far++)
        for (uint32_t side = 0; side < 2; side++) {
            /* Beyond the ends this wraps to numbers that are no node. */
            const uint32_t node = side == 0 ? core->node + far : core->node - far;
            const uint64_t missing = each - core->memory_bytes;

            if (node < node_count)
                take(planner, core, node,
                     missing < planner->scratch.room[node] ? missing : planner->scratch.room[node]);
        }
    take(planner, core, core->node, each - core->memory_bytes);
}

struct vine__plan_place vine__plan_place(const struct vine__topology *topology,
                                         const struct vine__plan_core *core)
{
    struct vine__plan_place place = {.node = VINE__ARENA_NODE_ANY};

    if (topology->node_count < 2)
        return place;
    if (core->piece_count == 1) {
        place.node = (int)topology->nodes[core->pieces[0].node].os_index;
        return place;
    }
    for (uint32_t i = 0; i < core->piece_count && i < VINE__ARENA_PIECES_MAX; i++)
        place.pieces[place.piece_count++] = (struct vine__reservation_piece){
            .node = (int)topology->nodes[core->pieces[i].node].os_index,
            .size_bytes = core->pieces[i].bytes,
        };
    return place;
}

void vine__plan_divide_memory(struct vine__planner *planner)
{
    struct vine__plan *const plan = planner->plan;
    const uint64_t each = floor_to(plan->memory_bytes / plan->core_count, plan->unit_bytes);

    VINE_ASSERT(each > 0);
    find_room(planner);
    memset(planner->scratch.on_node, 0,
           planner->topology->node_count * sizeof(planner->scratch.on_node[0]));
    for (uint32_t i = 0; i < plan->core_count; i++)
        planner->scratch.on_node[plan->cores[i].node]++;
    for (uint32_t i = 0; i < plan->core_count; i++) {
        struct vine__plan_core *const core = &plan->cores[i];
        uint32_t *const here = &planner->scratch.on_node[core->node];
        const uint64_t fair = floor_to(planner->scratch.room[core->node] / *here, plan->unit_bytes);

        core->pieces = &plan->pieces[(size_t)i * planner->topology->node_count];
        take(planner, core, core->node, fair < each ? fair : each);
        --*here;
    }
    plan->memory_bytes = 0;
    for (uint32_t i = 0; i < plan->core_count; i++) {
        take_elsewhere(planner, &plan->cores[i], each);
        plan->memory_bytes += plan->cores[i].memory_bytes;
    }
}
