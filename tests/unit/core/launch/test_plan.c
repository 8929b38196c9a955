/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Which processors, memory and queues a machine's cores get. */
#include <errno.h>
#include <hwloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "harness/fake_root.h"
#include "unit/core/launch/planning.h"

#define MIB (UINT64_C(1) << 20)

static struct planning planning;

static struct vine__topology *machine(const char *description)
{
    return planning_describe(description, NULL);
}

/* The equations that hold for every plan. */
static void check(void)
{
    const struct vine__plan *const plan = planning.plan;
    uint64_t sum_bytes = 0;
    uint32_t queues = 0;

    for (uint32_t i = 0; i < plan->core_count; i++) {
        const struct vine__plan_core *const core = &plan->cores[i];
        uint64_t bytes = 0;

        assert_int_equal(planning.topology->processors[core->processor].cpu, core->cpu);
        assert_int_equal(planning.topology->processors[core->processor].node, core->node);
        assert_int_equal(core->memory_bytes, plan->cores[0].memory_bytes);
        assert_true(core->piece_count >= 1);
        for (uint32_t j = 0; j < core->piece_count; j++)
            bytes += core->pieces[j].bytes;
        assert_int_equal(bytes, core->memory_bytes);
        assert_int_equal(bytes % plan->unit_bytes, 0);
        sum_bytes += bytes;
        assert_true(core->io_core < plan->core_count);
        assert_int_equal(plan->cores[core->io_core].io_core, core->io_core);
        queues += core->io_core == i;
    }
    assert_int_equal(sum_bytes, plan->memory_bytes);
    assert_int_equal(queues, plan->io_queue_count);
}

static void by_itself_all_processors_are_used_and_each_core_has_a_queue(void **state)
{
    (void)state;
    planning_make(&planning, machine("pack:2 [numa(memory=256GiB)] core:32 pu:1"), "");
    check();
    assert_int_equal(planning.plan->core_count, 64);
    assert_string_equal(planning.plan->cores_why, "all that may be used");
    for (uint32_t i = 0; i < 64; i++) {
        assert_int_equal(planning.plan->cores[i].cpu, i);
        assert_int_equal(planning.plan->cores[i].node, i / 32);
        assert_int_equal(planning.plan->cores[i].piece_count, 1);
        assert_int_equal(planning.plan->cores[i].pieces[0].node, i / 32);
        assert_int_equal(planning.plan->cores[i].io_core, i);
    }
    assert_int_equal(planning.plan->io_requests_max, 128);
    assert_true(planning.plan->is_pinned);
    assert_int_equal(planning.plan->idle_poll_ns, 200000);
    assert_int_equal(planning.plan->reserve_bytes, planning.plan->bound_bytes * 7 / 100);
    planning_end(&planning);
}

static void siblings_come_last(void **state)
{
    (void)state;
    planning_make(&planning, machine("numa:1(memory=32GB) core:4 pu:2"), "--smp 4");
    planning_expect_cpus(&planning, "0 2 4 6");
    planning_end(&planning);
    planning_make(&planning, machine("numa:1(memory=32GB) core:4 pu:2"), "--smp 6");
    planning_expect_cpus(&planning, "0 1 2 3 4 6");
    check();
    planning_end(&planning);
    /* Of a core whose first sibling may not be used the other one is as good. */
    planning_make(&planning, machine("numa:1(memory=32GB) core:4 pu:2"),
                  "--smp 3 --cpuset 1,2,3,5");
    planning_expect_cpus(&planning, "1 2 5");
    planning_end(&planning);
}

static void nodes_get_equal_parts(void **state)
{
    (void)state;
    planning_make(&planning, machine("numa:2(memory=32GB) core:8 pu:2"), "--smp 6");
    planning_expect_cpus(&planning, "0 2 4 16 18 20");
    check();
    planning_end(&planning);
    /* An odd one goes to the first. */
    planning_make(&planning, machine("numa:4(memory=8GB) core:2 pu:1"), "--smp 5");
    planning_expect_cpus(&planning, "0 1 2 4 6");
    planning_end(&planning);
    /* A physical core elsewhere is better than a sibling here. */
    planning_make(&planning, machine("numa:2(memory=32GB) core:4 pu:2"),
                  "--smp 5 --cpuset 0-3,8-15");
    planning_expect_cpus(&planning, "0 2 8 10 12");
    planning_end(&planning);
}

static void caches_get_equal_parts_within_a_node(void **state)
{
    (void)state;
    planning_make(&planning, machine("numa:1(memory=32GB) l3:4 core:4 pu:1"), "--smp 6");
    planning_expect_cpus(&planning, "0 1 4 5 8 12");
    planning_end(&planning);
}

static void one_core_has_everything(void **state)
{
    (void)state;
    planning_make(&planning, machine("numa:1(memory=4GiB) pu:1"), "");
    check();
    assert_int_equal(planning.plan->core_count, 1);
    assert_int_equal(planning.plan->bound_bytes, 4096 * MIB);
    assert_int_equal(planning.plan->reserve_bytes, 1024 * MIB); /* a quarter: it is a small one */
    assert_int_equal(planning.plan->memory_bytes, 3072 * MIB);
    assert_int_equal(planning.plan->cores[0].io_core, 0);
    planning_end(&planning);
}

static void memory_that_a_node_lacks_comes_from_the_other(void **state)
{
    struct vine__topology *const topology = machine("numa:2(memory=8GiB) core:2 pu:1");

    (void)state;
    topology->nodes[1].memory_bytes = 24576 * MIB;
    topology->facts[0].value = 32768 * MIB;
    planning_make(&planning, topology, "--reserve-memory 0");
    check();
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(planning.plan->cores[i].memory_bytes, 8192 * MIB);
    /* 8 GiB for two cores that want 8 each: both have half of theirs there. */
    for (uint32_t i = 0; i < 2; i++) {
        const struct vine__plan_core *const core = &planning.plan->cores[i];

        assert_int_equal(core->piece_count, 2);
        assert_int_equal(core->pieces[0].node, 0);
        assert_int_equal(core->pieces[0].bytes, 4096 * MIB);
        assert_int_equal(core->pieces[1].node, 1);
        assert_int_equal(core->pieces[1].bytes, 4096 * MIB);
    }
    assert_int_equal(planning.plan->cores[2].piece_count, 1);
    /* So it is asked of the kernel, by its own numbers. */
    topology->nodes[1].os_index = 5;
    const struct vine__plan_place mixed = vine__plan_place(topology, &planning.plan->cores[1]);
    const struct vine__plan_place own = vine__plan_place(topology, &planning.plan->cores[2]);

    assert_int_equal(mixed.node, VINE__ARENA_NODE_ANY);
    assert_int_equal(mixed.piece_count, 2);
    assert_int_equal(mixed.pieces[0].node, 0);
    assert_int_equal(mixed.pieces[0].size_bytes, 4096 * MIB);
    assert_int_equal(mixed.pieces[1].node, 5);
    assert_int_equal(mixed.pieces[1].size_bytes, 4096 * MIB);
    assert_int_equal(own.node, 5);
    assert_int_equal(own.piece_count, 0);
    planning_end(&planning);
}

static void of_more_pieces_than_an_arena_knows_the_last_are_anybodys(void **state)
{
    struct vine__topology *const topology = machine("numa:10(memory=1GiB) core:1 pu:1");

    (void)state;
    planning_make(&planning, topology, "--smp 1 --reserve-memory 0");
    check();
    assert_int_equal(planning.plan->cores[0].piece_count, 10);
    const struct vine__plan_place place = vine__plan_place(topology, &planning.plan->cores[0]);

    assert_int_equal(place.piece_count, VINE__ARENA_PIECES_MAX);
    assert_int_equal(place.node, VINE__ARENA_NODE_ANY);
    planning_end(&planning);
}

static void on_a_machine_of_one_node_nothing_is_bound(void **state)
{
    (void)state;
    planning_make(&planning, machine("numa:1(memory=4GiB) core:2 pu:1"), "");
    const struct vine__plan_place place =
        vine__plan_place(planning.topology, &planning.plan->cores[1]);

    assert_int_equal(place.node, VINE__ARENA_NODE_ANY);
    assert_int_equal(place.piece_count, 0);
    planning_end(&planning);
}

/* Two sockets of 40 and 24 cores with 64 and 192 GiB, as lstopo would write it. */
static void write_uneven_machine(const char *path)
{
    hwloc_topology_t topology;
    hwloc_bitmap_t kept = hwloc_bitmap_alloc();

    assert_int_equal(hwloc_topology_init(&topology), 0);
    assert_int_equal(
        hwloc_topology_set_synthetic(topology, "pack:2 [numa(memory=64GiB)] core:40 pu:1"), 0);
    assert_int_equal(hwloc_topology_load(topology), 0);
    hwloc_bitmap_set_range(kept, 0, 63);
    assert_int_equal(hwloc_topology_restrict(topology, kept, 0), 0);
    for (unsigned int i = 0; i < 2; i++) {
        const hwloc_obj_t node = hwloc_get_obj_by_type(topology, HWLOC_OBJ_NUMANODE, i);

        assert_non_null(node);
        node->attr->numanode.local_memory = (i == 0 ? 64U : 192U) * 1024 * MIB;
    }
    assert_int_equal(hwloc_topology_export_xml(topology, path, 0), 0);
    hwloc_topology_destroy(topology);
    hwloc_bitmap_free(kept);
}

static void two_uneven_sockets_of_64_cores_share_evenly(void **state)
{
    char path[1024];
    uint64_t from[2] = {0, 0};
    uint32_t queues[2] = {0, 0};

    (void)state;
    assert_true(snprintf(path, sizeof(path), "%s/uneven.xml", fake_root) < (int)sizeof(path));
    write_uneven_machine(path);
    planning_make(&planning, machine(path), "--num-io-queues 16");
    check();
    assert_int_equal(planning.plan->core_count, 64);
    assert_int_equal(planning.plan->bound_bytes, 256 * 1024 * MIB);
    for (uint32_t i = 0; i < 64; i++) {
        const struct vine__plan_core *const core = &planning.plan->cores[i];

        assert_int_equal(core->cpu, i);
        assert_int_equal(core->node, i < 40 ? 0 : 1);
        /* 93 % of 256 GiB by 64, in units of 32 MiB. */
        assert_int_equal(core->memory_bytes, 3808 * MIB);
        assert_int_equal(core->pieces[0].node, core->node);
        assert_int_equal(core->piece_count, i < 40 ? 2 : 1);
        for (uint32_t j = 0; j < core->piece_count; j++)
            from[core->pieces[j].node] += core->pieces[j].bytes;
        if (i < 40) /* what the node has for 40 of them, and the rest is the other's */
            assert_in_range(core->pieces[0].bytes, 1504 * MIB, 1536 * MIB);
        queues[core->node] += core->io_core == i;
        assert_int_equal(planning.plan->cores[core->io_core].node, core->node);
    }
    assert_true(from[0] <= 64 * 1024 * MIB && from[1] <= 192 * 1024 * MIB);
    assert_int_equal(queues[0], 10);
    assert_int_equal(queues[1], 6);
    assert_int_equal(vine__plan_place(planning.topology, &planning.plan->cores[0]).piece_count, 2);
    assert_int_equal(vine__plan_place(planning.topology, &planning.plan->cores[63]).node, 1);
    planning_end(&planning);
}

static void a_node_without_memory_or_without_processors_is_no_obstacle(void **state)
{
    struct vine__topology *topology = machine("numa:3(memory=4GiB) core:2 pu:1");

    (void)state;
    topology->nodes[1].memory_bytes = 0;
    topology->facts[0].value = 8192 * MIB;
    planning_make(&planning, topology, "--memory 6G --reserve-memory 0");
    check();
    assert_int_equal(planning.plan->cores[2].node, 1);
    assert_int_not_equal(planning.plan->cores[2].pieces[0].node, 1);
    for (uint32_t i = 2; i < 4; i++) { /* nor is the kernel asked for what is not there */
        const struct vine__plan_place place = vine__plan_place(topology, &planning.plan->cores[i]);

        assert_int_not_equal(place.node, 1);
        for (uint32_t j = 0; j < place.piece_count; j++)
            assert_int_not_equal(place.pieces[j].node, 1);
    }
    planning_end(&planning);

    topology = machine("numa:2(memory=4GiB) core:1 pu:1");
    topology->processors[1].node = 0; /* the second one is memory alone */
    planning_make(&planning, topology, "--reserve-memory 0");
    check();
    assert_int_equal(planning.plan->memory_bytes, 8192 * MIB);
    planning_end(&planning);
}

static void the_least_limit_counts_and_the_kernels_total(void **state)
{
    (void)state;
    fake_root_write("/proc/meminfo", "MemTotal: 16777216 kB\nMemAvailable: 1 kB\n");
    fake_root_write("/proc/self/cgroup", "0::/a/b\n");
    fake_root_write("/proc/self/mountinfo", "31 23 0:28 / /cg rw - cgroup2 cgroup rw\n");
    fake_root_write("/cg/a/memory.max", "8589934592\n");
    /* hwloc has heard of 4 GiB alone. */
    planning_make(&planning, planning_describe("numa:2(memory=2GiB) core:2 pu:1", fake_root), "");
    check();
    assert_string_equal(planning.plan->total->source, "/proc/meminfo, MemTotal");
    assert_string_equal(planning.plan->limit->source, "/cg/a/memory.max");
    assert_int_equal(planning.plan->bound_bytes, 8192 * MIB);
    assert_int_equal(planning.plan->reserve_bytes, 1536 * MIB);
    assert_int_equal(planning.plan->memory_bytes, 6656 * MIB);
    for (uint32_t i = 0; i < 4; i++) /* a node is as much larger as the total says */
        assert_int_equal(planning.plan->cores[i].piece_count, 1);
    planning_end(&planning);

    /* A limit beyond what there is limits nothing. */
    fake_root_write("/cg/a/memory.max", "85899345920\n");
    planning_make(&planning, planning_describe("numa:2(memory=2GiB) core:2 pu:1", fake_root),
                  "--memory 50% --reserve-memory 10%");
    assert_int_equal(planning.plan->bound_bytes, 16384 * MIB);
    assert_int_equal(planning.plan->memory_bytes, 8192 * MIB);
    planning_end(&planning);
}

static void mask_and_group_say_which_processors_may_be_used(void **state)
{
    (void)state;
    fake_root_write("/proc/meminfo", "MemTotal: 16777216 kB\n");
    fake_root_write("/proc/self/status", "Cpus_allowed_list:\t0-2,4-99\n");
    fake_root_write("/proc/self/cgroup", "0::/\n");
    fake_root_write("/proc/self/mountinfo", "31 23 0:28 / /cg rw - cgroup2 cgroup rw\n");
    fake_root_write("/cg/cpuset.cpus.effective", "1-5\n");
    planning_make(&planning, planning_describe("numa:1(memory=2GiB) core:8 pu:1", fake_root), "");
    planning_expect_cpus(&planning, "1 2 4 5");
    planning_end(&planning);

    /* Time for two and a half of four carries two. */
    fake_root_write("/cg/cpu.max", "250000 100000\n");
    planning_make(&planning, planning_describe("numa:1(memory=2GiB) core:8 pu:1", fake_root), "");
    planning_expect_cpus(&planning, "1 2");
    assert_string_equal(planning.plan->cores_why,
                        "2 of 4: time is limited to that of 2.50 (/cg/cpu.max)");
    planning_end(&planning);
    planning_make(&planning, planning_describe("numa:1(memory=2GiB) core:8 pu:1", fake_root),
                  "--smp 3");
    assert_int_equal(planning.plan->core_count, 3);
    planning_end(&planning);
    planning_make(&planning, planning_describe("numa:1(memory=2GiB) core:8 pu:1", fake_root),
                  "--cpuset 1,2,4");
    planning_expect_cpus(&planning, "1 2 4");
    planning_end(&planning);
    fake_root_write("/cg/cpu.max", "10000 100000\n");
    planning_make(&planning, planning_describe("numa:1(memory=2GiB) core:8 pu:1", fake_root), "");
    assert_int_equal(planning.plan->core_count, 1);
    planning_end(&planning);
}

static void where_memory_is_short_and_nobody_asked_there_are_fewer_cores(void **state)
{
    (void)state;
    planning_make(&planning, machine("numa:1(memory=256MiB) core:64 pu:1"), "");
    check();
    assert_int_equal(planning.plan->core_count, 6);
    assert_non_null(strstr(planning.plan->cores_why, "6 of 64: 192 MiB of memory suffice"));
    planning_end(&planning);
}

/* The plan of one of `count` processes. */
static void plan_process(const char *text, const char *line, uint32_t index, uint32_t count)
{
    memset(&planning, 0, sizeof(planning));
    planning.topology = machine(text);
    planning_read(&planning, line);
    planning.options.process_index = index;
    planning.options.process_count = count;
    if (vine__plan_create(&planning.plan, planning.topology, &planning.options,
                          &planning.mistakes) != 0)
        fail_msg("%s: %s", line, planning.mistakes.text);
    check();
}

static void processes_that_serve_side_by_side_divide_processors_and_memory(void **state)
{
    static const char text[] = "numa:2(memory=8GiB) core:3 pu:1";
    uint64_t all, sum = 0;

    (void)state;
    plan_process(text, "", 0, 1);
    all = planning.plan->memory_bytes;
    planning_end(&planning);
    /* A node for each, and half of what there is. */
    plan_process(text, "", 0, 2);
    planning_expect_cpus(&planning, "0 1 2");
    assert_int_equal(planning.plan->memory_bytes, all / 2);
    planning_end(&planning);
    plan_process(text, "", 1, 2);
    planning_expect_cpus(&planning, "3 4 5");
    planning_end(&planning);
    /* What the user says is divided, too, but for the number of cores. */
    for (uint32_t i = 0; i < 2; i++) {
        plan_process(text, "--cpuset=1,4-5 --memory=1G --smp=1", i, 2);
        planning_expect_cpus(&planning, i == 0 ? "1" : "4");
        assert_int_equal(planning.plan->memory_bytes, UINT64_C(512) << 20);
        planning_end(&planning);
    }
    /* Every processor is somebody's, and with more processes than those somebody has it, too. */
    for (uint32_t i = 0; i < 4; i++) {
        plan_process(text, "", i, 4);
        sum += planning.plan->core_count;
        planning_end(&planning);
    }
    assert_int_equal(sum, 6);
    for (uint32_t i = 0; i < 8; i++) {
        plan_process(text, "", i, 8);
        assert_int_equal(planning.plan->core_count, 1);
        planning_end(&planning);
    }
}

static void there_are_no_more_cores_than_there_can_be(void **state)
{
    (void)state;
    planning_make(&planning, machine("pack:4 [numa(memory=512GB)] core:16 pu:2"), "");
    check();
    assert_int_equal(planning.plan->core_count, VINE__PLAN_CORES_MAX);
    for (uint32_t i = 0; i < VINE__PLAN_CORES_MAX; i++) /* one of each core */
        assert_int_equal(planning.plan->cores[i].cpu, 2 * i);
    planning_end(&planning);
}

static void huge_pages_are_taken_as_they_lie_on_the_nodes(void **state)
{
    struct vine__topology *topology = machine("numa:2(memory=64GiB) core:2 pu:1");

    (void)state;
    topology->is_described = false;
    topology->huge.page_bytes = 1024 * MIB;
    topology->huge.free_count = 9;
    topology->nodes[0].huge_page_count = 2;
    topology->nodes[1].huge_page_count = 7;
    planning_make(&planning, topology, "--hugepages /h");
    check();
    assert_true(planning.plan->is_huge);
    assert_int_equal(planning.plan->unit_bytes, 1024 * MIB);
    assert_int_equal(planning.plan->memory_bytes, 8192 * MIB);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(planning.plan->cores[i].pieces[0].bytes, (i < 2 ? 1024 : 2048) * MIB);
    planning_end(&planning);
    topology = machine("numa:2(memory=64GiB) core:2 pu:1");
    topology->is_described = false;
    topology->huge.page_bytes = 2 * MIB;
    topology->huge.free_count = 512;
    topology->nodes[0].huge_page_count = topology->nodes[1].huge_page_count = 256;
    planning_make(&planning, topology, "--hugepages /h --memory 300M --lock-memory 1");
    assert_int_equal(planning.plan->memory_bytes, 256 * MIB);
    assert_true(planning.plan->is_locked);
    planning_end(&planning);
}

static void queues_are_spread_over_nodes_and_neighbours_share_them(void **state)
{
    static const uint32_t expected[] = {0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12};

    (void)state;
    planning_make(&planning, machine("numa:2(memory=8GB) core:8 pu:1"),
                  "--num-io-queues 4 --max-io-requests 1000");
    check();
    for (uint32_t i = 0; i < 16; i++)
        assert_int_equal(planning.plan->cores[i].io_core, expected[i]);
    assert_int_equal(planning.plan->io_requests_max, 250);
    planning_end(&planning);

    /* Three on uneven nodes: by how many cores they have. */
    planning_make(&planning, machine("numa:2(memory=8GB) core:6 pu:1"),
                  "--cpuset 0-5,6-8 --num-io-queues 3");
    check();
    static const uint32_t uneven[] = {0, 0, 0, 3, 3, 3, 6, 6, 6};
    for (uint32_t i = 0; i < 9; i++)
        assert_int_equal(planning.plan->cores[i].io_core, uneven[i]);
    planning_end(&planning);
}

static void where_queues_are_fewer_than_nodes_neighbours_share_one(void **state)
{
    static const uint32_t expected[] = {0, 0, 0, 0, 4, 4};

    (void)state;
    planning_make(&planning, machine("numa:3(memory=8GB) core:2 pu:1"), "--num-io-queues 2");
    check();
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(planning.plan->cores[i].io_core, expected[i]);
    planning_end(&planning);
    planning_make(&planning, machine("numa:8(memory=8GB) core:1 pu:1"),
                  "--num-io-queues 3 --cpuset 1-7");
    check();
    static const uint32_t seven[] = {0, 0, 0, 3, 3, 5, 5};
    for (uint32_t i = 0; i < 7; i++)
        assert_int_equal(planning.plan->cores[i].io_core, seven[i]);
    planning_end(&planning);
    /* Fewer requests than cores: as many queues as there are requests. */
    planning_make(&planning, machine("numa:1(memory=8GB) core:4 pu:1"), "--max-io-requests 2");
    check();
    assert_int_equal(planning.plan->io_queue_count, 2);
    assert_int_equal(planning.plan->io_requests_max, 1);
    planning_end(&planning);
}

static void this_machine_has_a_plan(void **state)
{
    const struct vine__topology_options options = {0};
    struct vine__topology *topology = NULL;

    (void)state;
    assert_int_equal(vine__topology_create(&topology, &options, NULL), 0);
    planning_make(&planning, topology, "--smp 1");
    check();
    assert_true(vine__cpus_has(&topology->mask.cpus, planning.plan->cores[0].cpu));
    assert_true(planning.plan->bound_bytes > planning.plan->reserve_bytes);
    planning_end(&planning);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_itself_all_processors_are_used_and_each_core_has_a_queue),
        cmocka_unit_test(siblings_come_last),
        cmocka_unit_test(nodes_get_equal_parts),
        cmocka_unit_test(caches_get_equal_parts_within_a_node),
        cmocka_unit_test(one_core_has_everything),
        cmocka_unit_test(memory_that_a_node_lacks_comes_from_the_other),
        cmocka_unit_test(of_more_pieces_than_an_arena_knows_the_last_are_anybodys),
        cmocka_unit_test(on_a_machine_of_one_node_nothing_is_bound),
        cmocka_unit_test_setup_teardown(two_uneven_sockets_of_64_cores_share_evenly, fake_root_make,
                                        fake_root_remove),
        cmocka_unit_test(a_node_without_memory_or_without_processors_is_no_obstacle),
        cmocka_unit_test_setup_teardown(the_least_limit_counts_and_the_kernels_total,
                                        fake_root_make, fake_root_remove),
        cmocka_unit_test_setup_teardown(mask_and_group_say_which_processors_may_be_used,
                                        fake_root_make, fake_root_remove),
        cmocka_unit_test(where_memory_is_short_and_nobody_asked_there_are_fewer_cores),
        cmocka_unit_test(processes_that_serve_side_by_side_divide_processors_and_memory),
        cmocka_unit_test(there_are_no_more_cores_than_there_can_be),
        cmocka_unit_test(huge_pages_are_taken_as_they_lie_on_the_nodes),
        cmocka_unit_test(queues_are_spread_over_nodes_and_neighbours_share_them),
        cmocka_unit_test(where_queues_are_fewer_than_nodes_neighbours_share_one),
        cmocka_unit_test(this_machine_has_a_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
