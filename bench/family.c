/* SPDX-License-Identifier: Apache-2.0 */
#include "family.h"

#include "bench.h"

#include <dirent.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define EVENT_FILE "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id"

typedef void (*thread_fn)(pid_t thread, void *context);

/* Calls `see` for each thread of a process; none if it has ended. */
static void each_thread(pid_t pid, thread_fn see, void *context)
{
    char path[64];
    const struct dirent *entry;

    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *const folder = opendir(path);

    if (folder == NULL)
        return;
    while ((entry = readdir(folder)) != NULL)
        if (entry->d_name[0] != '.')
            see((pid_t)strtol(entry->d_name, NULL, 10), context);
    (void)closedir(folder);
}

/* ---- who they are ---------------------------------------------------------------------------- */

struct search {
    struct family *family;
    pid_t pid; /* whose children are looked for */
};

static void add_children(pid_t thread, void *context)
{
    const struct search *const search = context;
    struct family *const family = search->family;
    char path[96];
    int child;

    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)search->pid, (int)thread);
    FILE *const file = fopen(path, "r");

    if (file == NULL)
        return;
    while (family->count < FAMILY_MAX && fscanf(file, "%d", &child) == 1)
        family->pids[family->count++] = child;
    (void)fclose(file);
}

void family_find(struct family *family, pid_t first)
{
    *family = (struct family){.pids = {first}, .count = 1};
    for (uint32_t i = 0; i < family->count; i++) {
        struct search search = {family, family->pids[i]};

        each_thread(search.pid, add_children, &search);
    }
}

/* ---- time and memory ------------------------------------------------------------------------- */

uint64_t family_used_ns(const struct family *family)
{
    uint64_t sum_ns = 0;

    for (uint32_t i = 0; i < family->count; i++) {
        struct timespec used = {0};
        clockid_t clock;

        if (clock_getcpuclockid(family->pids[i], &clock) == 0 && clock_gettime(clock, &used) == 0)
            sum_ns += (uint64_t)used.tv_sec * 1000000000ULL + (uint64_t)used.tv_nsec;
    }
    return sum_ns;
}

uint64_t family_private_bytes(const struct family *family)
{
    uint64_t kib = 0;

    for (uint32_t i = 0; i < family->count; i++) {
        char text[256];

        (void)snprintf(text, sizeof(text), "/proc/%d/smaps_rollup", (int)family->pids[i]);
        FILE *const file = fopen(text, "r");

        if (file == NULL)
            continue;
        /* Private_Clean, Private_Dirty and Private_Hugetlb. */
        while (fgets(text, sizeof(text), file) != NULL)
            if (strncmp(text, "Private_", 8) == 0)
                kib += strtoul(strchr(text, ':') + 1, NULL, 10);
        (void)fclose(file);
    }
    return kib * 1024;
}

/* ---- system calls ---------------------------------------------------------------------------- */

struct opening {
    struct family_calls *calls;
    uint64_t event;
    bool is_complete;
};

static void open_counter(pid_t thread, void *context)
{
    struct opening *const opening = context;
    struct family_calls *const calls = opening->calls;
    struct perf_event_attr attributes = {.type = PERF_TYPE_TRACEPOINT,
                                         .size = sizeof(attributes),
                                         .config = opening->event,
                                         .inherit = 1};

    if (calls->count == FAMILY_THREADS_MAX)
        return;
    const long fd = syscall(SYS_perf_event_open, &attributes, thread, -1, -1, PERF_FLAG_FD_CLOEXEC);

    if (fd >= 0)
        calls->fds[calls->count++] = (int)fd;
    else
        opening->is_complete = false;
}

bool family_calls_open(struct family_calls *calls, const struct family *family)
{
    struct opening opening = {.calls = calls, .is_complete = true};
    unsigned long long event = 0;
    FILE *const file = fopen(EVENT_FILE, "r");

    calls->count = 0;
    if (file == NULL)
        return false;
    const bool is_known = fscanf(file, "%llu", &event) == 1;

    (void)fclose(file);
    opening.event = event;
    for (uint32_t i = 0; is_known && i < family->count; i++)
        each_thread(family->pids[i], open_counter, &opening);
    return is_known && opening.is_complete && calls->count > 0;
}

uint64_t family_calls_read(const struct family_calls *calls)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < calls->count; i++) {
        uint64_t value = 0;

        if (read(calls->fds[i], &value, sizeof(value)) == (ssize_t)sizeof(value))
            sum += value;
    }
    return sum;
}
