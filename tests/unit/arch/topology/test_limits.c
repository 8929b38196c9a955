/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* What a process may use, read from trees of files: masks, groups, memory, huge pages. */
#include "arch/topology/topology_internal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness/fake_root.h"

#define MOUNT_V2 "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup rw\n"

static struct vine__topology *look(const char *hugepages)
{
    const struct vine__topology_options options = {
        .description = "pack:2 [numa(memory=4GB)] core:4 pu:1",
        .root = fake_root,
        .hugepages = hugepages,
    };
    struct vine__topology *topology = NULL;

    assert_int_equal(vine__topology_create(&topology, &options, NULL), 0);
    return topology;
}

/* The fact of a kind from a source that ends so. */
static const struct vine__fact *find(const struct vine__topology *topology,
                                     enum vine__fact_kind kind, const char *end)
{
    for (uint32_t i = 0; i < topology->fact_count; i++) {
        const struct vine__fact *const fact = &topology->facts[i];
        const size_t length = strlen(fact->source), end_length = strlen(end);

        if (fact->kind == kind && length >= end_length &&
            strcmp(fact->source + length - end_length, end) == 0)
            return fact;
    }
    return NULL;
}

static void an_empty_tree_says_nothing(void **state)
{
    struct vine__topology *const topology = look(NULL);
    (void)state;
    assert_false(topology->mask.is_known);
    assert_false(topology->group.is_known);
    assert_int_equal(topology->fact_count, 1); /* what the description says of its nodes */
    assert_int_equal(topology->lock_bytes, UINT64_MAX);
    assert_false(topology->may_lock_beyond);
    assert_null(vine__topology_least(topology, VINE__FACT_MEMORY_LIMIT));
    assert_null(vine__topology_greatest(topology, VINE__FACT_TIME_LIMIT));
    vine__topology_destroy(topology);
}

static void files_full_of_nonsense_say_nothing(void **state)
{
    static const char *const paths[] = {"/proc/meminfo",
                                        "/proc/self/status",
                                        "/proc/self/limits",
                                        "/proc/self/cgroup",
                                        "/proc/self/mountinfo",
                                        "/sys/fs/cgroup/cpu.max",
                                        "/sys/fs/cgroup/memory.max",
                                        "/sys/fs/cgroup/cpuset.cpus.effective"};
    static const char *const texts[] = {
        "",
        "\n\n\n",
        "MemTotal:\nCpus_allowed_list:\n0::\n - cgroup2 \nMax locked memory\n",
        "MemTotal: -1 kB\nCpus_allowed_list: 5-\nCapEff: zzz\n0::relative\n",
        "MemTotal: 99999999999999999999 kB\nCapEff: -1\n0::/..\n1 2 3 - cgroup2 x\n",
        "Cpus_allowed_list: 0-99999\nMax locked memory unknown\n0:: /\n- cgroup2 cgroup2\n",
        "MemTotal: 18446744073709551615 kB\n1 2 3:4 / relative rw - cgroup2 cgroup2 rw\n",
    };
    (void)state;
    for (size_t t = 0; t < sizeof(texts) / sizeof(texts[0]); t++) {
        for (size_t p = 0; p < sizeof(paths) / sizeof(paths[0]); p++)
            fake_root_write(paths[p], texts[t]);

        struct vine__topology *const topology = look(NULL);

        assert_false(topology->mask.is_known);
        assert_false(topology->group.is_known);
        assert_int_equal(topology->fact_count, 1);
        assert_int_equal(topology->lock_bytes, UINT64_MAX);
        vine__topology_destroy(topology);
    }
}

static void mask_memory_and_limits_come_from_proc(void **state)
{
    (void)state;
    fake_root_write("/proc/meminfo", "MemTotal:       8000000 kB\nMemFree:        1 kB\n"
                                     "MemAvailable:   5000000 kB\n");
    fake_root_write("/proc/self/status", "Name:\tx\nCapEff:\t0000000000004000\n"
                                         "Cpus_allowed:\tff\nCpus_allowed_list:\t0-2,5\n");
    fake_root_write("/proc/self/limits",
                    "Limit                     Soft Limit           Hard Limit           Units\n"
                    "Max locked memory         8388608              unlimited            bytes\n"
                    "Max address space         4000000000           unlimited            bytes\n");

    struct vine__topology *const topology = look(NULL);
    char list[VINE__CPUS_TEXT_BYTES];

    vine__cpus_format(&topology->mask.cpus, list, sizeof(list));
    assert_true(topology->mask.is_known);
    assert_string_equal(list, "0-2,5");
    assert_int_equal(find(topology, VINE__FACT_MEMORY_TOTAL, "MemTotal")->value,
                     UINT64_C(8000000) * 1024);
    assert_int_equal(find(topology, VINE__FACT_MEMORY_AVAILABLE, "MemAvailable")->value,
                     UINT64_C(5000000) * 1024);
    assert_int_equal(find(topology, VINE__FACT_MEMORY_LIMIT, "RLIMIT_AS")->value,
                     UINT64_C(4000000000));
    assert_int_equal(topology->lock_bytes, 8388608);
    assert_true(topology->may_lock_beyond);
    vine__topology_destroy(topology);
}

static void limits_of_all_groups_above_count(void **state)
{
    struct vine__topology *topology;
    char list[VINE__CPUS_TEXT_BYTES];
    (void)state;
    fake_root_write("/proc/self/cgroup", "0::/a/b\n");
    fake_root_write("/proc/self/mountinfo", "22 1 0:5 / /proc rw - proc proc rw\n" MOUNT_V2);
    fake_root_write("/sys/fs/cgroup/cpuset.cpus.effective", "0-7\n");
    fake_root_write("/sys/fs/cgroup/a/cpuset.cpus.effective", "1-4\n");
    fake_root_write("/sys/fs/cgroup/a/memory.max", "1000000\n");
    fake_root_write("/sys/fs/cgroup/a/cpu.max", "max 100000\n");
    fake_root_write("/sys/fs/cgroup/a/b/memory.max", "max\n");
    fake_root_write("/sys/fs/cgroup/a/b/cpu.max", "250000 100000\n");
    topology = look(NULL);
    /* The own group has no cpuset: what the next one above says holds for it. */
    vine__cpus_format(&topology->group.cpus, list, sizeof(list));
    assert_string_equal(list, "1-4");
    assert_string_equal(topology->group.source, "/sys/fs/cgroup/a/cpuset.cpus.effective");
    assert_int_equal(topology->fact_count, 3);
    assert_int_equal(find(topology, VINE__FACT_MEMORY_LIMIT, "/a/memory.max")->value, 1000000);
    assert_int_equal(find(topology, VINE__FACT_TIME_LIMIT, "/a/b/cpu.max")->value, 2500);
    vine__topology_destroy(topology);

    fake_root_write("/sys/fs/cgroup/a/b/cpuset.cpus.effective", "2\n");
    fake_root_write("/sys/fs/cgroup/a/b/memory.max", "900000\n");
    fake_root_write("/sys/fs/cgroup/a/cpu.max", "50000 100000\n");
    topology = look(NULL);
    vine__cpus_format(&topology->group.cpus, list, sizeof(list));
    assert_string_equal(list, "2");
    assert_int_equal(vine__topology_least(topology, VINE__FACT_MEMORY_LIMIT)->value, 900000);
    assert_int_equal(vine__topology_greatest(topology, VINE__FACT_MEMORY_LIMIT)->value, 1000000);
    assert_int_equal(vine__topology_least(topology, VINE__FACT_TIME_LIMIT)->value, 500);
    vine__topology_destroy(topology);
}

static void a_container_sees_its_part_of_the_tree(void **state)
{
    (void)state;
    /* Without a namespace of its own: the mount begins where the path does. */
    fake_root_write("/proc/self/cgroup", "0::/docker/abc/inner\n");
    fake_root_write("/proc/self/mountinfo",
                    "31 23 0:28 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
    fake_root_write("/sys/fs/cgroup/memory.max", "3000\n");
    fake_root_write("/sys/fs/cgroup/inner/memory.max", "2000\n");

    struct vine__topology *topology = look(NULL);

    assert_int_equal(find(topology, VINE__FACT_MEMORY_LIMIT, "/cgroup/memory.max")->value, 3000);
    assert_int_equal(find(topology, VINE__FACT_MEMORY_LIMIT, "/inner/memory.max")->value, 2000);
    vine__topology_destroy(topology);

    /* The path lies beyond what is mounted: what can be seen counts, and nothing beside it. */
    fake_root_write("/proc/self/cgroup", "0::/../outside\n");
    fake_root_write("/proc/self/mountinfo", MOUNT_V2);
    fake_root_write("/sys/fs/outside/memory.max", "1\n");
    topology = look(NULL);
    assert_int_equal(topology->fact_count, 2);
    assert_int_equal(vine__topology_least(topology, VINE__FACT_MEMORY_LIMIT)->value, 3000);
    vine__topology_destroy(topology);

    fake_root_write("/proc/self/cgroup", "0::/docker/abcdef\n");
    fake_root_write("/proc/self/mountinfo",
                    "31 23 0:28 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
    fake_root_write("/sys/fs/cgroupdef/memory.max", "2\n");
    topology = look(NULL);
    assert_int_equal(topology->fact_count, 2);
    vine__topology_destroy(topology);
}

static void of_groups_of_version_1_beside_those_of_memory_count(void **state)
{
    (void)state;
    fake_root_write("/proc/self/cgroup", "4:hugetlb,memory:/x/z\n3:cpuset,cpu:/x\n0::/y\n");
    fake_root_write("/proc/self/mountinfo",
                    "34 31 0:31 / /sys/fs/cgroup/no rw - cgroup cgroup rw,memoryless,cpuset\n"
                    "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,hugetlb,memory\n"
                    "41 31 0:38 / /sys/fs/cgroup/a\\040b rw - cgroup2 cgroup2 rw\n");
    fake_root_write("/sys/fs/cgroup/memory/x/memory.max", "1\n");
    fake_root_write("/sys/fs/cgroup/no/x/z/memory.limit_in_bytes", "2\n");
    fake_root_write("/sys/fs/cgroup/no/x/cpuset.cpus.effective", "7\n");
    fake_root_write("/sys/fs/cgroup/a b/y/memory.max", "7000\n");
    /* What means no limit there; and one of the group above. */
    fake_root_write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    fake_root_write("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "6000\n");
    fake_root_write("/sys/fs/cgroup/memory/x/z/memory.limit_in_bytes", "8000\n");

    struct vine__topology *const topology = look(NULL);

    assert_int_equal(topology->fact_count, 4);
    assert_false(topology->group.is_known);
    assert_int_equal(find(topology, VINE__FACT_MEMORY_LIMIT, "/a b/y/memory.max")->value, 7000);
    assert_int_equal(find(topology, VINE__FACT_MEMORY_LIMIT, "/x/z/memory.limit_in_bytes")->value,
                     8000);
    assert_int_equal(vine__topology_least(topology, VINE__FACT_MEMORY_LIMIT)->value, 6000);
    vine__topology_destroy(topology);
}

static void a_tree_of_groups_that_is_too_deep_keeps_the_least_limit(void **state)
{
    char group[256] = "0::", path[256] = "/sys/fs/cgroup", file[300], text[32];

    (void)state;
    fake_root_write("/proc/self/mountinfo", MOUNT_V2);
    for (int i = 0; i < 50; i++) {
        strcat(group, "/g");
        strcat(path, "/g");
        snprintf(file, sizeof(file), "%s/memory.max", path);
        /* The innermost are looked at first; the least one is further out than there is room. */
        snprintf(text, sizeof(text), "%d\n", i == 2 ? 5 : 1000 + i);
        fake_root_write(file, text);
    }
    fake_root_write("/proc/self/cgroup", group);

    struct vine__topology *const topology = look(NULL);

    assert_int_equal(topology->fact_count, VINE__FACTS_MAX);
    assert_int_equal(vine__topology_least(topology, VINE__FACT_MEMORY_LIMIT)->value, 5);
    vine__topology_destroy(topology);
}

static void a_path_that_is_no_mount_of_huge_pages_says_why(void **state)
{
    struct vine__topology *topology = look("/nowhere/at/all");
    static char too_long[VINE__SOURCE_BYTES + 8];

    (void)state;
    assert_int_equal(topology->huge.error, -ENOENT);
    vine__topology_destroy(topology);
    topology = look(fake_root);
    assert_int_equal(topology->huge.error, -EMEDIUMTYPE);
    assert_int_equal(topology->huge.free_count, 0);
    assert_string_equal(topology->huge.path, fake_root);
    vine__topology_destroy(topology);
    memset(too_long, '/', sizeof(too_long) - 1);
    topology = look(too_long);
    assert_int_equal(topology->huge.error, -ENAMETOOLONG);
    vine__topology_destroy(topology);
}

static void huge_pages_are_counted_by_machine_and_node(void **state)
{
    struct vine__topology *const topology = look(NULL);

    (void)state;
    topology->huge.page_bytes = 2 << 20;
    vine__topology_count_huge_pages(topology, fake_root);
    assert_int_equal(topology->huge.free_count, 0);
    fake_root_write("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "100\n");
    fake_root_write("/sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages",
                    "70\n");
    fake_root_write("/sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages",
                    "30\n");
    fake_root_write("/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "3\n");
    vine__topology_count_huge_pages(topology, fake_root);
    assert_int_equal(topology->huge.free_count, 100);
    assert_int_equal(topology->nodes[0].huge_page_count, 30);
    assert_int_equal(topology->nodes[1].huge_page_count, 70);
    /* What others were promised is not to be had. */
    fake_root_write("/sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages", "40\n");
    vine__topology_count_huge_pages(topology, fake_root);
    assert_int_equal(topology->huge.free_count, 60);
    fake_root_write("/sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages", "400\n");
    vine__topology_count_huge_pages(topology, fake_root);
    assert_int_equal(topology->huge.free_count, 0);
    assert_string_equal(topology->huge.source, "/sys/kernel/mm/hugepages/hugepages-2048kB");
    topology->huge.page_bytes = 1 << 30;
    vine__topology_count_huge_pages(topology, fake_root);
    assert_int_equal(topology->huge.free_count, 3);
    vine__topology_destroy(topology);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_A_TREE(test) cmocka_unit_test_setup_teardown(test, fake_root_make, fake_root_remove)
        IN_A_TREE(an_empty_tree_says_nothing),
        IN_A_TREE(files_full_of_nonsense_say_nothing),
        IN_A_TREE(mask_memory_and_limits_come_from_proc),
        IN_A_TREE(limits_of_all_groups_above_count),
        IN_A_TREE(a_container_sees_its_part_of_the_tree),
        IN_A_TREE(of_groups_of_version_1_beside_those_of_memory_count),
        IN_A_TREE(a_tree_of_groups_that_is_too_deep_keeps_the_least_limit),
        IN_A_TREE(a_path_that_is_no_mount_of_huge_pages_says_why),
        IN_A_TREE(huge_pages_are_counted_by_machine_and_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
