/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel says of this process and of memory. See topology.h.
 *
 * The kernel's calls speak of this very process, so under another root the files that say the same
 * are read in their place.
 */
#include "arch/topology/topology_internal.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define CAPABILITY_IPC_LOCK 14 /* linux/capability.h */

/* What follows `label` and blanks in a text of lines, or NULL. */
static const char *find_line(const char *text, const char *label)
{
    const size_t length = strlen(label);

    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, label, length) == 0)
            return line + length + strspn(line + length, " \t");
    }
    return NULL;
}

static bool find_number(const char *text, const char *label, int base, uint64_t *ret_number)
{
    const char *const at = find_line(text, label);
    char *end;

    if (at == NULL || strchr("0123456789abcdef", *at) == NULL || *at == '\0') /* nor a line's end */
        return false;
    errno = 0;

    const uint64_t number = strtoull(at, &end, base);

    if (end == at || errno != 0)
        return false;
    *ret_number = number;
    return true;
}

static void find_memory(struct vine__topology *topology, const char *root, char *scratch)
{
    uint64_t kib;

    if (vine__proc_read(root, "/proc/meminfo", scratch, VINE__PROC_FILE_BYTES) < 0)
        return;
    if (find_number(scratch, "MemTotal:", 10, &kib) && kib > 0 && kib <= UINT64_MAX / 1024)
        vine__topology_add_fact(topology, VINE__FACT_MEMORY_TOTAL, kib * 1024,
                                "/proc/meminfo, MemTotal");
    if (find_number(scratch, "MemAvailable:", 10, &kib) && kib <= UINT64_MAX / 1024)
        vine__topology_add_fact(topology, VINE__FACT_MEMORY_AVAILABLE, kib * 1024,
                                "/proc/meminfo, MemAvailable");
}

static void find_mask_by_call(struct vine__topology *topology)
{
    struct vine__cpus_fact *const mask = &topology->mask;

    if (sched_getaffinity(0, sizeof(mask->cpus.words), (cpu_set_t *)(void *)mask->cpus.words) < 0)
        return;
    mask->is_known = true;
    snprintf(mask->source, sizeof(mask->source), "sched_getaffinity");
}

/* `status` is the text of /proc/self/status. */
static void find_mask_by_file(struct vine__topology *topology, const char *status)
{
    struct vine__cpus_fact *const mask = &topology->mask;
    const char *const list = find_line(status, "Cpus_allowed_list:");
    char text[4096];

    if (list == NULL)
        return;

    const size_t length = strcspn(list, "\n");

    if (length >= sizeof(text))
        return;
    memcpy(text, list, length);
    text[length] = '\0';
    if (length == 0 || vine__cpus_parse(text, &mask->cpus) != 0)
        return;
    mask->is_known = true;
    snprintf(mask->source, sizeof(mask->source), "/proc/self/status, Cpus_allowed_list");
}

static void add_space_limit(struct vine__topology *topology, uint64_t bytes)
{
    vine__topology_add_fact(topology, VINE__FACT_MEMORY_LIMIT, bytes, "RLIMIT_AS");
}

static void find_limits_by_call(struct vine__topology *topology)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0)
        topology->lock_bytes = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        add_space_limit(topology, limit.rlim_cur);
}

static void find_limits_by_file(struct vine__topology *topology, const char *root, char *scratch)
{
    uint64_t bytes;

    if (vine__proc_read(root, "/proc/self/limits", scratch, VINE__PROC_FILE_BYTES) < 0)
        return;
    if (find_number(scratch, "Max locked memory", 10, &bytes))
        topology->lock_bytes = bytes;
    if (find_number(scratch, "Max address space", 10, &bytes))
        add_space_limit(topology, bytes);
}

void vine__topology_find_process(struct vine__topology *topology, const char *root, char *scratch)
{
    const bool is_here = root[0] == '\0';
    uint64_t capabilities;

    find_memory(topology, root, scratch);
    if (is_here) {
        find_mask_by_call(topology);
        find_limits_by_call(topology);
    } else {
        find_limits_by_file(topology, root, scratch);
    }
    if (vine__proc_read(root, "/proc/self/status", scratch, VINE__PROC_FILE_BYTES) < 0)
        return;
    if (!is_here)
        find_mask_by_file(topology, scratch);
    if (find_number(scratch, "CapEff:", 16, &capabilities))
        topology->may_lock_beyond = (capabilities >> CAPABILITY_IPC_LOCK & 1) != 0;
}
