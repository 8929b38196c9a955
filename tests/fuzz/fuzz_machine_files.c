/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * What the kernel says of a machine, of a process and of its groups, in files that may say
 * anything: each part of the input behind "@N" is the Nth of them. A start finds what it can, and
 * whatever that is, a plan is made of it or refused with sentences.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/fake_root.h"

#include "arch/topology/topology.h"
#include "core/launch/plan.h"
#include "utils/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static const char *const paths[] = {
    "/proc/meminfo",
    "/proc/self/status",
    "/proc/self/limits",
    "/proc/self/cgroup",
    "/proc/self/mountinfo",
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/cpu.max",
    "/sys/fs/cgroup/cpuset.cpus.effective",
    "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
    "/sys/fs/cgroup/a/memory.max",
};

#define PATHS (sizeof(paths) / sizeof(paths[0]))

static void write_file(const char *path, const char *text, size_t size)
{
    char whole[256];
    FILE *file;

    snprintf(whole, sizeof(whole), "%s%s", fake_root, path);
    file = fopen(whole, "w");
    VINE_ASSERT(file != NULL);
    VINE_ASSERT(fwrite(text, 1, size, file) == size);
    VINE_ASSERT(fclose(file) == 0);
}

static void remove_root(void)
{
    (void)fake_root_remove(NULL);
}

static void make_root(void)
{
    static bool is_made;

    for (size_t i = 0; !is_made && i < PATHS; i++) {
        if (i == 0) {
            VINE_ASSERT(fake_root_make(NULL) == 0);
            (void)atexit(remove_root);
        }
        fake_root_write(paths[i], "");
    }
    is_made = true;
}

static void look(void)
{
    const struct vine__topology_options options = {
        .root = fake_root, .description = "numa:2(memory=8GiB) core:2 pu:2"};
    char name[] = "fuzzed";
    char *argv[] = {name, NULL};
    struct vine__topology *topology = NULL;
    struct vine__launch_options launch;
    struct vine__mistakes mistakes = {0};
    struct vine__plan *plan = NULL;

    VINE_ASSERT(vine__topology_create(&topology, &options, NULL) == 0);
    VINE_ASSERT(vine__cpus_count(&topology->mask.cpus) <= VINE__CPUS_MAX);
    for (uint32_t i = 0; i < topology->fact_count; i++)
        VINE_ASSERT(memchr(topology->facts[i].source, '\0', sizeof(topology->facts[i].source)));
    VINE_ASSERT(vine__launch_options_init(&launch, NULL, 1, argv, &mistakes) == 0);

    const int error = vine__plan_create(&plan, topology, &launch, &mistakes);

    VINE_ASSERT((error == 0) == (mistakes.count == 0));
    vine__plan_destroy(plan);
    vine__launch_options_fini(&launch);
    vine__topology_destroy(topology);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    const char *at = (const char *)bytes;
    const char *const end = at + size_bytes;
    bool is_written[PATHS] = {false};

    make_root();
    while (at < end && *at == '@' && end - at >= 2) {
        const size_t which = (size_t)(unsigned char)at[1] % PATHS;
        const char *next = at + 2;

        while (next < end && *next != '@')
            next++;
        write_file(paths[which], at + 2, (size_t)(next - at) - 2);
        is_written[which] = true;
        at = next;
    }
    for (size_t i = 0; i < PATHS; i++)
        if (!is_written[i])
            write_file(paths[i], "", 0);
    look();
    return 0;
}
