/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a start in words. See explain.h. */
#include "core/launch/explain.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "utils/assert.h"
#include "utils/tables.h"

static const char *const names[] = {VINE__STEPS(VINE_TABLE_SECOND_COMMA)};

/* In parentheses: one text, of however many literals. */
#define STEP_TEXT(step, name, text) (text),
static const char *const texts[] = {VINE__STEPS(STEP_TEXT)};

const char *vine__step_name(enum vine__step step)
{
    VINE_ASSERT((unsigned int)step < VINE__STEP_COUNT);
    return names[step];
}

const char *vine__step_text(enum vine__step step)
{
    VINE_ASSERT((unsigned int)step < VINE__STEP_COUNT);
    return texts[step];
}

void vine__explain_step(const struct vine__lines *lines, enum vine__step step, const char *format,
                        ...)
{
    char text[VINE__LINE_BYTES];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    vine__lines_add(lines, "%2u. %s: %s", (unsigned int)step + 1, vine__step_name(step), text);
}

void vine__explain_more(const struct vine__lines *lines, const char *format, ...)
{
    char text[VINE__LINE_BYTES];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    vine__lines_add(lines, "    %s", text);
}

/* "--smp 4", with whose wish it is, or "default". */
static const char *said(const char *name, const struct vine__launch_value *value, char *ret_text,
                        size_t capacity)
{
    if (!vine__is_asked(value))
        snprintf(ret_text, capacity, "default");
    else
        snprintf(ret_text, capacity, "--%s %.200s%s", name, value->text,
                 value->origin == VINE__ORIGIN_PROGRAM ? ", the program's own default" : "");
    return ret_text;
}

#define SAID_BYTES 256

static const char *plural(uint32_t count)
{
    return count == 1 ? "" : "s";
}

static void explain_affinity(const struct vine__lines *lines,
                             const struct vine__launch_options *options,
                             const struct vine__plan *plan)
{
    char text[SAID_BYTES];

    if (plan == NULL)
        vine__explain_step(lines, VINE__STEP_AFFINITY, "not decided");
    else if (options->overprovisioned.number != 0 && !vine__is_asked(&options->thread_affinity))
        vine__explain_step(lines, VINE__STEP_AFFINITY,
                           "threads are not bound to processors (--overprovisioned)");
    else
        vine__explain_step(lines, VINE__STEP_AFFINITY, "%s (%s)",
                           plan->is_pinned ? "each thread is bound to its processor"
                                           : "threads are not bound to processors",
                           said("thread-affinity", &options->thread_affinity, text, sizeof(text)));
}

static void explain_cpus(const struct vine__lines *lines, const char *name,
                         const struct vine__cpus_fact *fact)
{
    char list[VINE__CPUS_TEXT_BYTES];

    vine__cpus_format(&fact->cpus, list, sizeof(list));
    if (fact->is_known)
        vine__explain_more(lines, "%-10s %s (%s)", name, list, fact->source);
    else
        vine__explain_more(lines, "%-10s says nothing", name);
}

static void explain_processors(const struct vine__lines *lines,
                               const struct vine__topology *topology,
                               const struct vine__launch_options *options,
                               const struct vine__plan *plan)
{
    struct vine__cpus chosen = {0};
    char list[VINE__CPUS_TEXT_BYTES];

    for (uint32_t i = 0; plan != NULL && i < plan->core_count; i++)
        vine__cpus_add(&chosen, plan->cores[i].cpu);
    if (plan == NULL)
        vine__explain_step(lines, VINE__STEP_PROCESSORS, "not decided");
    else
        vine__explain_step(lines, VINE__STEP_PROCESSORS, "%u core%s on %u processor%s: %s",
                           plan->core_count, plural(plan->core_count), vine__cpus_count(&chosen),
                           plural(vine__cpus_count(&chosen)), plan->cores_why);
    vine__explain_more(lines, "%-10s %u processor%s, %u core%s, %u package%s, %u node%s (%s)",
                       "machine", topology->processor_count, plural(topology->processor_count),
                       topology->core_count, plural(topology->core_count), topology->package_count,
                       plural(topology->package_count), topology->node_count,
                       plural(topology->node_count), topology->source);
    if (options->process_count > 1)
        vine__explain_more(lines, "%-10s %u of %u, which has its part of processors and memory",
                           "process", options->process_index, options->process_count);
    explain_cpus(lines, "mask", &topology->mask);
    explain_cpus(lines, "cgroup", &topology->group);
    for (uint32_t i = 0; i < topology->fact_count; i++)
        if (topology->facts[i].kind == VINE__FACT_TIME_LIMIT)
            vine__explain_more(lines, "%-10s that of %llu.%02llu processors (%s)", "time",
                               (unsigned long long)(topology->facts[i].value / 1000),
                               (unsigned long long)(topology->facts[i].value % 1000 / 10),
                               topology->facts[i].source);
    if (vine__is_asked(&options->cpuset))
        vine__explain_more(lines, "%-10s %s", "--cpuset", options->cpuset.text);
    if (vine__is_asked(&options->smp))
        vine__explain_more(lines, "%-10s %s", "--smp", options->smp.text);
    if (plan == NULL)
        return;
    vine__cpus_format(&plan->usable, list, sizeof(list));
    vine__explain_more(lines, "%-10s %s", "usable", list);
    vine__cpus_format(&chosen, list, sizeof(list));
    vine__explain_more(lines, "%-10s %s", "chosen", list);
}

/* What a fact about memory is for, and whether the plan goes by it. */
static const char *use_of(const struct vine__fact *fact, const struct vine__plan *plan)
{
    if (plan == NULL)
        return "";
    if (fact == plan->total)
        return fact->value == plan->bound_bytes ? ", which counts" : ", more than the limit";
    if (fact == plan->limit)
        return fact->value == plan->bound_bytes ? ", which counts" : ", more than there is";
    return "";
}

static void explain_memory_facts(const struct vine__lines *lines,
                                 const struct vine__topology *topology,
                                 const struct vine__plan *plan)
{
    static const char *const kinds[] = {
        [VINE__FACT_MEMORY_TOTAL] = "total",
        [VINE__FACT_MEMORY_NODES] = "nodes",
        [VINE__FACT_MEMORY_AVAILABLE] = "available",
        [VINE__FACT_MEMORY_LIMIT] = "limit",
    };
    const struct vine__fact *const available =
        vine__topology_least(topology, VINE__FACT_MEMORY_AVAILABLE);
    char bytes[VINE__BYTES_TEXT];

    for (uint32_t i = 0; i < topology->fact_count; i++) {
        const struct vine__fact *const fact = &topology->facts[i];

        if (fact->kind != VINE__FACT_TIME_LIMIT)
            vine__explain_more(lines, "%-10s %s (%s)%s", kinds[fact->kind],
                               vine__bytes_text(fact->value, bytes), fact->source,
                               use_of(fact, plan));
    }
    if (plan != NULL && !plan->is_huge && available != NULL &&
        available->value < plan->memory_bytes)
        vine__explain_more(lines, "%-10s others use some of it now, which the cores would miss",
                           "note");
}

static uint64_t taken_of_node(const struct vine__plan *plan, uint32_t node)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < plan->core_count; i++)
        for (uint32_t j = 0; j < plan->cores[i].piece_count; j++)
            if (plan->cores[i].pieces[j].node == node)
                bytes += plan->cores[i].pieces[j].bytes;
    return bytes;
}

/* The plan goes by the total, of which a node has its part: by hwloc's count of a node that may be
 * less. Where memory is bound to that node, what is not there would be missed. */
static void explain_small_nodes(const struct vine__lines *lines,
                                const struct vine__topology *topology,
                                const struct vine__plan *plan)
{
    char taken[VINE__BYTES_TEXT], has[VINE__BYTES_TEXT];

    for (uint32_t i = 0; i < topology->node_count && !plan->is_huge; i++) {
        const uint64_t bytes = taken_of_node(plan, i);
        const struct vine__node *const node = &topology->nodes[i];

        if (node->memory_bytes > 0 && bytes > node->memory_bytes)
            vine__explain_more(
                lines, "%-10s cores get %s of node %u, and by %s it has %s%s", "note",
                vine__bytes_text(bytes, taken), node->os_index,
                topology->is_described ? "the description" : "hwloc",
                vine__bytes_text(node->memory_bytes, has),
                topology->node_count > 1
                    ? ", to which what they get is bound: right would be less --memory"
                    : ": if that is right, right would be less --memory");
    }
}

static void explain_memory(const struct vine__lines *lines, const struct vine__topology *topology,
                           const struct vine__launch_options *options,
                           const struct vine__plan *plan)
{
    char bytes[VINE__BYTES_TEXT], each[VINE__BYTES_TEXT], text[SAID_BYTES];

    if (plan == NULL) {
        vine__explain_step(lines, VINE__STEP_MEMORY, "not decided");
        explain_memory_facts(lines, topology, plan);
        return;
    }
    vine__explain_step(lines, VINE__STEP_MEMORY, "%s for %u core%s, %s each (%s)",
                       vine__bytes_text(plan->memory_bytes, bytes), plan->core_count,
                       plural(plan->core_count),
                       vine__bytes_text(plan->cores[0].memory_bytes, each),
                       said("memory", &options->memory, text, sizeof(text)));
    explain_memory_facts(lines, topology, plan);
    if (!plan->is_huge)
        vine__explain_more(lines, "%-10s %s (%s)", "reserved",
                           vine__bytes_text(plan->reserve_bytes, bytes),
                           said("reserve-memory", &options->reserve_memory, text, sizeof(text)));
    vine__explain_more(lines, "%-10s %s", "unit", vine__bytes_text(plan->unit_bytes, bytes));
    explain_small_nodes(lines, topology, plan);
}

static void explain_huge_pages(const struct vine__lines *lines,
                               const struct vine__topology *topology,
                               const struct vine__launch_options *options,
                               const struct vine__plan *plan)
{
    const struct vine__huge_pages *const huge = &topology->huge;
    char size[VINE__BYTES_TEXT];

    if (!vine__is_asked(&options->hugepages)) {
        vine__explain_step(lines, VINE__STEP_HUGE_PAGES, "none are asked for (--hugepages)");
        return;
    }
    if (topology->is_described) {
        vine__explain_step(lines, VINE__STEP_HUGE_PAGES,
                           "--hugepages %s: a description does not say how many there are",
                           options->hugepages.text);
        return;
    }
    if (huge->error != 0) {
        vine__explain_step(lines, VINE__STEP_HUGE_PAGES, "--hugepages %s: no mount of hugetlbfs",
                           options->hugepages.text);
        return;
    }
    vine__bytes_text(huge->page_bytes, size);
    if (plan == NULL)
        vine__explain_step(lines, VINE__STEP_HUGE_PAGES, "%s has pages of %s", huge->path, size);
    else
        vine__explain_step(lines, VINE__STEP_HUGE_PAGES, "%llu of %s from %s",
                           (unsigned long long)(plan->memory_bytes / huge->page_bytes), size,
                           huge->path);
    vine__explain_more(lines, "%-10s %llu (%s)", "free", (unsigned long long)huge->free_count,
                       huge->source);
    for (uint32_t i = 0; i < topology->node_count; i++)
        vine__explain_more(lines, "%-10s %llu on node %u", "",
                           (unsigned long long)topology->nodes[i].huge_page_count,
                           topology->nodes[i].os_index);
}

static void explain_lock(const struct vine__lines *lines, const struct vine__topology *topology,
                         const struct vine__launch_options *options, const struct vine__plan *plan)
{
    char bytes[VINE__BYTES_TEXT], text[SAID_BYTES];

    vine__explain_step(lines, VINE__STEP_LOCK_MEMORY, "%s (%s)",
                       options->lock_memory.number == 0 ? "no" : "yes",
                       said("lock-memory", &options->lock_memory, text, sizeof(text)));
    if (plan != NULL && plan->is_huge)
        vine__explain_more(lines, "huge pages are never swapped out");
    if (topology->is_described)
        return;
    if (topology->lock_bytes == UINT64_MAX)
        vine__explain_more(lines, "%-10s none (RLIMIT_MEMLOCK)", "limit");
    else
        vine__explain_more(lines, "%-10s %s (RLIMIT_MEMLOCK)%s", "limit",
                           vine__bytes_text(topology->lock_bytes, bytes),
                           topology->may_lock_beyond ? ", which CAP_IPC_LOCK lifts" : "");
}

static void explain_queues(const struct vine__lines *lines,
                           const struct vine__launch_options *options,
                           const struct vine__plan *plan)
{
    char queues[SAID_BYTES], requests[SAID_BYTES];

    if (plan == NULL)
        vine__explain_step(lines, VINE__STEP_IO_QUEUES, "not decided");
    else
        vine__explain_step(
            lines, VINE__STEP_IO_QUEUES,
            "%u for %u core%s (%s), each hands at most %u operations to the kernel (%s)",
            plan->io_queue_count, plan->core_count, plural(plan->core_count),
            said("num-io-queues", &options->num_io_queues, queues, sizeof(queues)),
            plan->io_requests_max,
            said("max-io-requests", &options->max_io_requests, requests, sizeof(requests)));
}

/* "8 GiB", or "4 GiB of node 0, 4 GiB of node 1". */
static void describe_memory(const struct vine__topology *topology,
                            const struct vine__plan_core *core, char *ret_text, size_t capacity)
{
    char bytes[VINE__BYTES_TEXT];
    size_t length = 0;

    if (core->piece_count == 1 && core->pieces[0].node == core->node) {
        snprintf(ret_text, capacity, "%s", vine__bytes_text(core->memory_bytes, bytes));
        return;
    }
    for (uint32_t i = 0; i < core->piece_count && length < capacity; i++) {
        const int added =
            snprintf(ret_text + length, capacity - length, "%s%s of node %u", i == 0 ? "" : ", ",
                     vine__bytes_text(core->pieces[i].bytes, bytes),
                     topology->nodes[core->pieces[i].node].os_index);

        length += added < 0 ? 0 : (size_t)added;
    }
}

static void explain_allocation(const struct vine__lines *lines,
                               const struct vine__topology *topology, const struct vine__plan *plan)
{
    if (plan == NULL) {
        vine__explain_step(lines, VINE__STEP_ALLOCATION, "not decided");
        return;
    }
    vine__explain_step(lines, VINE__STEP_ALLOCATION, "over the topology (%s)", topology->source);
    vine__explain_more(lines, "%5s  %9s  %9s  %-12s %s", "core", "processor", "NUMA node",
                       "I/O queue", "memory");
    for (uint32_t i = 0; i < plan->core_count; i++) {
        const struct vine__plan_core *const core = &plan->cores[i];
        char queue[32] = "its own", memory[VINE__LINE_BYTES / 2];

        if (core->io_core != i)
            snprintf(queue, sizeof(queue), "of core %u", core->io_core);
        describe_memory(topology, core, memory, sizeof(memory));
        vine__explain_more(lines, "%5u  %9u  %9u  %-12s %s", i, core->cpu,
                           topology->nodes[core->node].os_index, queue, memory);
    }
}

void vine__explain_plan(const struct vine__lines *lines, const struct vine__topology *topology,
                        const struct vine__launch_options *options, const struct vine__plan *plan)
{
    if (lines->fn == NULL)
        return;
    explain_affinity(lines, options, plan);
    explain_processors(lines, topology, options, plan);
    explain_memory(lines, topology, options, plan);
    explain_huge_pages(lines, topology, options, plan);
    explain_lock(lines, topology, options, plan);
    explain_queues(lines, options, plan);
    explain_allocation(lines, topology, plan);
}

void vine__explain_described(const struct vine__lines *lines, const struct vine__topology *topology,
                             const struct vine__launch_options *options,
                             const struct vine__plan *plan)
{
    for (enum vine__step step = VINE__STEP_SIGNALS; step < VINE__STEP_AFFINITY; step++)
        vine__explain_step(lines, step, "not done, as nothing starts: %s", vine__step_text(step));
    vine__explain_plan(lines, topology, options, plan);
    for (enum vine__step step = VINE__STEP_ALLOCATION + 1; step < VINE__STEP_COUNT; step++)
        vine__explain_step(lines, step, "not done, as nothing starts: %s", vine__step_text(step));
}
