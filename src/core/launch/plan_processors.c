/* SPDX-License-Identifier: Apache-2.0 */
/* Which processors. See plan.h. */
#include <stdio.h>
#include <string.h>

#include "core/launch/plan_internal.h"
#include "utils/assert.h"
#include "utils/tables.h"

static struct vine__cpus all_of(const struct vine__topology *topology)
{
    struct vine__cpus cpus = {0};

    for (uint32_t i = 0; i < topology->processor_count; i++)
        vine__cpus_add(&cpus, topology->processors[i].cpu);
    return cpus;
}

/* Add "4-5 WHAT (SOURCE)" for those of `outside` that `cpus` lacks, and leave the others. */
static void tell_lack(struct vine__cpus *outside, const struct vine__cpus *cpus, const char *what,
                      const char *source, char ret_text[512])
{
    struct vine__cpus lack = *outside;
    const size_t length = strlen(ret_text);
    char list[VINE__CPUS_TEXT_BYTES / 4];

    vine__cpus_remove(&lack, cpus);
    if (vine__cpus_count(&lack) == 0)
        return;
    vine__cpus_remove(outside, &lack);
    vine__cpus_format(&lack, list, sizeof(list));
    snprintf(ret_text + length, 512 - length, "%s%s %s (%.100s)", length > 0 ? ", " : "", list,
             what, source);
}

/* Of processors that may not be used, which ones for which reason. */
static void tell_outside(const struct vine__topology *topology, struct vine__cpus outside,
                         char ret_text[512])
{
    const struct vine__cpus all = all_of(topology);

    ret_text[0] = '\0';
    tell_lack(&outside, &all, "not there", topology->source, ret_text);
    if (topology->mask.is_known)
        tell_lack(&outside, &topology->mask.cpus, "not in the process's mask",
                  topology->mask.source, ret_text);
    if (topology->group.is_known)
        tell_lack(&outside, &topology->group.cpus, "not in its cgroup", topology->group.source,
                  ret_text);
}

/* Where several processes serve side by side each has a part of the processors, in the topology's
 * order, so that siblings and neighbours stay together; where there are fewer processors than
 * processes, one that others have, too. */
static void take_part(struct vine__planner *planner)
{
    const struct vine__topology *const topology = planner->topology;
    const uint32_t index = planner->options->process_index;
    const uint32_t count = planner->options->process_count;
    struct vine__plan *const plan = planner->plan;
    const uint32_t usable_count = vine__cpus_count(&plan->usable);
    struct vine__cpus part = {0};
    uint32_t seen = 0;

    if (count < 2 || usable_count == 0)
        return;
    uint32_t first = (uint32_t)((uint64_t)usable_count * index / count);
    uint32_t end = (uint32_t)((uint64_t)usable_count * (index + 1) / count);

    if (first == end) {
        first = index % usable_count;
        end = first + 1;
    }
    for (uint32_t i = 0; i < topology->processor_count; i++) {
        const uint32_t cpu = topology->processors[i].cpu;

        if (!vine__cpus_has(&plan->usable, cpu))
            continue;
        if (seen >= first && seen < end)
            vine__cpus_add(&part, cpu);
        seen++;
    }
    plan->usable = part;
}

static void find_usable(struct vine__planner *planner)
{
    const struct vine__topology *const topology = planner->topology;
    const struct vine__launch_value *const cpuset = &planner->options->cpuset;
    struct vine__plan *const plan = planner->plan;
    struct vine__cpus asked, outside;
    char list[VINE__CPUS_TEXT_BYTES], allowed[VINE__CPUS_TEXT_BYTES], why[512];

    plan->allowed = all_of(topology);
    if (topology->mask.is_known)
        vine__cpus_keep(&plan->allowed, &topology->mask.cpus);
    if (topology->group.is_known)
        vine__cpus_keep(&plan->allowed, &topology->group.cpus);
    plan->usable = plan->allowed;
    if (vine__cpus_count(&plan->allowed) == 0) {
        tell_outside(topology, all_of(topology), why);
        vine__mistakes_add(planner->mistakes, "no processor may be used: %s",
                           why[0] == '\0' ? "none is known" : why);
        return;
    }
    if (!vine__is_asked(cpuset) || vine__cpus_parse(cpuset->text, &asked) != 0)
        return;
    outside = asked;
    vine__cpus_remove(&outside, &plan->allowed);
    if (vine__cpus_count(&outside) == 0) {
        plan->usable = asked;
        return;
    }
    vine__cpus_format(&outside, list, sizeof(list));
    vine__cpus_format(&plan->allowed, allowed, sizeof(allowed));
    tell_outside(topology, outside, why);
    vine__mistakes_add(planner->mistakes,
                       "--cpuset %s: %s may not be used: %s; right would be a part of %s",
                       cpuset->text, list, why, allowed);
}

/* How many cores there are if nobody says: as many as there are processors, but no more than the
 * time that may be used carries, since a core that is made to wait holds up those that wait for
 * it. */
static void count_by_itself(struct vine__planner *planner, uint32_t usable_count)
{
    const struct vine__fact *const time =
        vine__topology_least(planner->topology, VINE__FACT_TIME_LIMIT);
    const bool is_chosen = vine__is_asked(&planner->options->cpuset);
    const uint32_t processes =
        planner->options->process_count > 1 ? planner->options->process_count : 1;
    struct vine__plan *const plan = planner->plan;
    uint32_t count = usable_count;

    snprintf(plan->cores_why, sizeof(plan->cores_why), "%s%s",
             is_chosen ? "all of --cpuset" : "all that may be used",
             processes > 1 ? ", divided among the processes" : "");
    if (time != NULL && !is_chosen && time->value / 1000 / processes < count) {
        count = time->value < UINT64_C(1000) * processes
                    ? 1
                    : (uint32_t)(time->value / 1000 / processes);
        snprintf(plan->cores_why, sizeof(plan->cores_why),
                 "%u of %u: time is limited to that of %llu.%02llu (%.150s)", count, usable_count,
                 (unsigned long long)(time->value / 1000),
                 (unsigned long long)(time->value % 1000 / 10), time->source);
    }
    if (count > VINE__PLAN_CORES_MAX) {
        count = VINE__PLAN_CORES_MAX;
        snprintf(plan->cores_why, sizeof(plan->cores_why), "%u of %u: there can be no more", count,
                 usable_count);
    }
    plan->core_count = count > 0 ? count : 1; /* none is told of already */
}

void vine__plan_count_cores(struct vine__planner *planner)
{
    const struct vine__launch_options *const options = planner->options;
    const bool is_shared = options->overprovisioned.number != 0;
    struct vine__plan *const plan = planner->plan;
    uint32_t usable_count;
    char list[VINE__CPUS_TEXT_BYTES], whose[64] = "";

    VINE_STATIC_ASSERT(VINE__PLAN_CORES_MAX == 64, "as the table of options says of --smp");
    VINE_STATIC_ASSERT(VINE__PLAN_CORES_MAX <= VINE_CORES_MAX, "each core is a reactor");
    plan->is_pinned = options->thread_affinity.number != 0 &&
                      (!is_shared || vine__is_asked(&options->thread_affinity));
    plan->idle_poll_ns =
        is_shared && !vine__is_asked(&options->idle_poll_time) ? 0 : options->idle_poll_time.number;
    if (is_shared && options->poll_mode.number != 0)
        vine__mistakes_add(planner->mistakes,
                           "--poll-mode: a core that never sleeps leaves its processor to nobody, "
                           "and --overprovisioned shares it; right would be one of the two, or "
                           "--overprovisioned with a time by --idle-poll-time-us");
    find_usable(planner);
    take_part(planner);
    usable_count = vine__cpus_count(&plan->usable);
    if (!vine__is_asked(&options->smp)) {
        count_by_itself(planner, usable_count);
        return;
    }
    plan->core_count = (uint32_t)options->smp.number;
    snprintf(plan->cores_why, sizeof(plan->cores_why), "--smp %u of %u", plan->core_count,
             usable_count);
    if (plan->core_count <= usable_count || is_shared || usable_count == 0)
        return;
    vine__cpus_format(&plan->usable, list, sizeof(list));
    if (options->process_count > 1)
        snprintf(whose, sizeof(whose), " by process %u of %u", options->process_index,
                 options->process_count);
    vine__mistakes_add(planner->mistakes,
                       "--smp %u: there %s %u processor%s that may be used%s (%s); right would be "
                       "at most --smp %u, or --overprovisioned too, by which cores share "
                       "processors",
                       plan->core_count, usable_count == 1 ? "is" : "are", usable_count,
                       usable_count == 1 ? "" : "s", whose, list, usable_count);
    plan->core_count = usable_count;
}

/* Which of its core's processors each is, of those that may be used: 0 the first. */
static void rank(struct vine__planner *planner)
{
    const struct vine__topology *const topology = planner->topology;
    const struct vine__processor *const processors = topology->processors;

    for (uint32_t i = 0; i < topology->processor_count; i++)
        for (uint32_t j = 0; j < i; j++)
            planner->scratch.ranks[i] += processors[j].core == processors[i].core &&
                                         vine__cpus_has(&planner->plan->usable, processors[j].cpu);
}

static uint32_t *cache_of(struct vine__planner *planner, const struct vine__processor *processor)
{
    const uint32_t none = planner->topology->cache_count;

    return &planner->scratch.on_cache[processor->cache < none ? processor->cache : none];
}

/* Whether `a` is the better one to take next. */
static bool is_better(struct vine__planner *planner, uint32_t a, uint32_t b)
{
    const struct vine__plan_scratch *const scratch = &planner->scratch;
    const struct vine__processor *const at_a = &planner->topology->processors[a];
    const struct vine__processor *const at_b = &planner->topology->processors[b];

    if (scratch->ranks[a] != scratch->ranks[b])
        return scratch->ranks[a] < scratch->ranks[b];
    if (scratch->on_node[at_a->node] != scratch->on_node[at_b->node])
        return scratch->on_node[at_a->node] < scratch->on_node[at_b->node];
    return *cache_of(planner, at_a) < *cache_of(planner, at_b);
}

static void choose_next(struct vine__planner *planner)
{
    const struct vine__topology *const topology = planner->topology;
    bool *const chosen = planner->scratch.chosen;
    uint32_t best = VINE__TOPOLOGY_NONE;

    for (uint32_t i = 0; i < topology->processor_count; i++)
        if (!chosen[i] && vine__cpus_has(&planner->plan->usable, topology->processors[i].cpu) &&
            (best == VINE__TOPOLOGY_NONE || is_better(planner, i, best)))
            best = i;
    VINE_ASSERT(best != VINE__TOPOLOGY_NONE);
    chosen[best] = true;
    planner->scratch.on_node[topology->processors[best].node]++;
    ++*cache_of(planner, &topology->processors[best]);
}

static void place_core(struct vine__planner *planner, uint32_t core, uint32_t index)
{
    const struct vine__processor *const processor = &planner->topology->processors[index];

    planner->plan->cores[core] = (struct vine__plan_core){
        .processor = index, .cpu = processor->cpu, .node = processor->node, .io_core = core};
}

void vine__plan_choose_processors(struct vine__planner *planner)
{
    const struct vine__topology *const topology = planner->topology;
    struct vine__plan *const plan = planner->plan;
    const uint32_t usable_count = vine__cpus_count(&plan->usable);
    const uint32_t count = plan->core_count < usable_count ? plan->core_count : usable_count;
    uint32_t core = 0;

    VINE_ASSERT(count > 0);
    rank(planner);
    for (uint32_t i = 0; i < count; i++)
        choose_next(planner);
    /* Neighbours get neighbouring numbers. Where cores share processors (--overprovisioned), those
     * of one follow each other. */
    for (uint32_t i = 0, at = 0; i < topology->processor_count; i++) {
        if (!planner->scratch.chosen[i])
            continue;
        at++;
        for (; core < (uint64_t)plan->core_count * at / count; core++)
            place_core(planner, core, i);
    }
}
