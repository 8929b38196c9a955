/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* What a machine is made of: this one, and ones that are only described. */
#include "arch/topology/topology.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "harness/fake_root.h"
#include "utils/config.h"
#include "utils/tables.h"

static struct vine__topology *describe(const char *description)
{
    const struct vine__topology_options options = {.description = description};
    struct vine__config_reason reason = {0};
    struct vine__topology *topology = NULL;
    const int error = vine__topology_create(&topology, &options, &reason);

    if (error != 0)
        fail_msg("%s: %d, %s", description, error, reason.text);
    assert_true(topology->is_described);
    return topology;
}

static void a_description_that_is_none_is_refused_with_what_is_wrong_in_it(void **state)
{
#define EXAMPLE "'pack:2 [numa(memory=64GB)] core:16 pu:2'"
    static const struct {
        const char *description, *wrong;
    } cases[] = {
        {"bogus:2", "'bogus:2' begins with no kind of thing; right would be pack"},
        {"pack:2 [bogus(memory=1GB)] pu:1", "'[bogus(memory=1GB)]' begins with no kind of thing"},
        {"pack:0 pu:1", "'pack:0' has no count; right would be 'pack:2', say"},
        {"pack:2 pu", "'pu' has no count; right would be 'pu:2', say"},
        {"pack:2 core:x pu:1", "'core:x' has no count"},
        {"pack:2 core:64", "the last level has to be pu, what runs one thread; right would be "
                           "'pack:2 core:64 pu:1'"},
        {"pack:2 [numa(memory=64GB)] core:64", "right would be 'pack:2 [numa(memory=64GB)] "
                                               "core:64 pu:1'"},
        {"nope.xml", "No such file or directory; right would be a file that `lstopo FILE.xml` "
                     "wrote, or words, as " EXAMPLE},
        {"nope", "No such file or directory"},
        {"/nowhere/machine.xml", "No such file or directory"},
        {"./2 of them", "No such file or directory"},
        {"/tmp", "this is a folder; right would be a file that `lstopo FILE.xml` wrote"},
        {"", "it is empty; right would be a file of hwloc's XML, or words, as " EXAMPLE},
        {"pack:2 [numa(memory=] pu:1",
         "no machine in hwloc's words: '[numa(memory=] pu:1' has "
         "a bracket that is not closed; right would be as in " EXAMPLE},
        {"pack:2 pack:2 pu:1", "right would be levels from the outermost to pu, as in " EXAMPLE},
        {" ", "no machine in hwloc's words: right would be levels"},
    };

    (void)state;
    for (size_t i = 0; i < VINE_ARRAY_COUNT(cases); i++) {
        const struct vine__topology_options options = {.description = cases[i].description};
        struct vine__topology *topology = NULL;
        struct vine__config_reason reason = {0};

        if (vine__topology_create(&topology, &options, &reason) != -EINVAL)
            fail_msg("'%s' was taken", cases[i].description);
        assert_null(topology);
        if (strstr(reason.text, cases[i].description) == NULL ||
            strstr(reason.text, cases[i].wrong) == NULL)
            fail_msg("'%s': %s", cases[i].description, reason.text);
        assert_int_equal(vine__topology_create(&topology, &options, NULL), -EINVAL);
    }
}

static void a_file_that_is_no_topology_is_refused_by_its_name(void **state)
{
    struct vine__topology *topology = NULL;
    struct vine__config_reason reason = {0};
    char path[128];
    const struct vine__topology_options options = {.description = path};

    (void)state;
    snprintf(path, sizeof(path), "%s/machine.xml", fake_root);
    for (int i = 0; i < 3; i++) {
        static const char *const texts[] = {"", "pack:2 pu:1",
                                            "<topology><object type=\"Machine\">"};

        fake_root_write("/machine.xml", texts[i]);
        assert_int_equal(vine__topology_create(&topology, &options, &reason), -EINVAL);
        assert_null(topology);
        assert_non_null(strstr(reason.text, "this file is no topology in hwloc's XML"));
    }
}

static void this_machine_has_what_the_kernel_says(void **state)
{
    const struct vine__topology_options options = {0};
    struct vine__topology *topology = NULL;
    cpu_set_t mask;

    (void)state;
    assert_int_equal(vine__topology_create(&topology, &options, NULL), 0);
    assert_false(topology->is_described);
    assert_true(topology->node_count >= 1);
    assert_true(topology->core_count >= 1);
    assert_int_equal(topology->page_bytes, sysconf(_SC_PAGESIZE));
    assert_int_equal(sched_getaffinity(0, sizeof(mask), &mask), 0);
    assert_true(topology->mask.is_known);
    assert_string_equal(topology->mask.source, "sched_getaffinity");
    for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        bool is_there = false;

        assert_int_equal(vine__cpus_has(&topology->mask.cpus, cpu), CPU_ISSET(cpu, &mask) != 0);
        for (uint32_t i = 0; i < topology->processor_count; i++)
            is_there = is_there || topology->processors[i].cpu == cpu;
        if (CPU_ISSET(cpu, &mask))
            assert_true(is_there);
    }
    for (uint32_t i = 0; i < topology->processor_count; i++) {
        assert_true(topology->processors[i].node < topology->node_count);
        assert_true(topology->processors[i].core < topology->core_count);
    }
    /* Each count of memory has its source. */
    assert_non_null(vine__topology_least(topology, VINE__FACT_MEMORY_TOTAL));
    for (uint32_t i = 0; i < topology->fact_count; i++)
        assert_true(topology->facts[i].source[0] != '\0');
    /* Looking has not moved this thread. */
    cpu_set_t after;
    assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
    assert_true(CPU_EQUAL(&mask, &after));
    vine__topology_destroy(topology);
}

static void two_sockets_of_64_cores_are_as_described(void **state)
{
    struct vine__topology *const topology = describe("pack:2 [numa(memory=256GB)] core:64 pu:2");
    (void)state;
    assert_int_equal(topology->processor_count, 256);
    assert_int_equal(topology->core_count, 128);
    assert_int_equal(topology->package_count, 2);
    assert_int_equal(topology->node_count, 2);
    for (uint32_t i = 0; i < 256; i++) {
        assert_int_equal(topology->processors[i].cpu, i);
        assert_int_equal(topology->processors[i].core, i / 2);
        assert_int_equal(topology->processors[i].package, i / 128);
        assert_int_equal(topology->processors[i].node, i / 128);
        assert_int_equal(topology->processors[i].cache, VINE__TOPOLOGY_NONE);
    }
    assert_int_equal(topology->fact_count, 1);
    assert_int_equal(topology->facts[0].kind, VINE__FACT_MEMORY_NODES);
    assert_int_equal(topology->facts[0].value, UINT64_C(512000000000));
    assert_string_equal(topology->source, "pack:2 [numa(memory=256GB)] core:64 pu:2");
    /* It is not this machine: whose mask, group and limits say nothing of it. */
    assert_false(topology->mask.is_known);
    assert_false(topology->group.is_known);
    assert_int_equal(topology->lock_bytes, UINT64_MAX);
    vine__topology_destroy(topology);
}

static void caches_that_are_shared_have_one_number(void **state)
{
    struct vine__topology *const topology = describe("pack:1 l3:2 core:2 pu:2");
    (void)state;
    assert_int_equal(topology->cache_count, 2);
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(topology->processors[i].cache, i / 4);
    vine__topology_destroy(topology);
}

static void one_processor_is_a_machine(void **state)
{
    struct vine__topology *const topology = describe("pu:1");
    (void)state;
    assert_int_equal(topology->processor_count, 1);
    assert_int_equal(topology->core_count, 1);
    assert_int_equal(topology->node_count, 1);
    vine__topology_destroy(topology);
}

/* Two packages: one of two cores with 8 GB, one of a core with two siblings and 24 GB. The numbers
 * of processors go across, as on real ones. */
static const char uneven[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<topology version=\"2.0\">\n"
    " <object type=\"Machine\" os_index=\"0\" cpuset=\"0x0000000f\" complete_cpuset=\"0x0000000f\""
    " allowed_cpuset=\"0x0000000f\" nodeset=\"0x00000003\" complete_nodeset=\"0x00000003\""
    " allowed_nodeset=\"0x00000003\" gp_index=\"1\">\n"
    "  <object type=\"Package\" os_index=\"0\" cpuset=\"0x00000005\" complete_cpuset=\"0x00000005\""
    " nodeset=\"0x00000001\" complete_nodeset=\"0x00000001\" gp_index=\"2\">\n"
    "   <object type=\"NUMANode\" os_index=\"0\" cpuset=\"0x00000005\""
    " complete_cpuset=\"0x00000005\" nodeset=\"0x00000001\" complete_nodeset=\"0x00000001\""
    " gp_index=\"3\" local_memory=\"8000000000\"/>\n"
    "   <object type=\"Core\" os_index=\"0\" cpuset=\"0x00000001\" complete_cpuset=\"0x00000001\""
    " nodeset=\"0x00000001\" complete_nodeset=\"0x00000001\" gp_index=\"4\">\n"
    "    <object type=\"PU\" os_index=\"0\" cpuset=\"0x00000001\" complete_cpuset=\"0x00000001\""
    " nodeset=\"0x00000001\" complete_nodeset=\"0x00000001\" gp_index=\"5\"/>\n"
    "   </object>\n"
    "   <object type=\"Core\" os_index=\"1\" cpuset=\"0x00000004\" complete_cpuset=\"0x00000004\""
    " nodeset=\"0x00000001\" complete_nodeset=\"0x00000001\" gp_index=\"6\">\n"
    "    <object type=\"PU\" os_index=\"2\" cpuset=\"0x00000004\" complete_cpuset=\"0x00000004\""
    " nodeset=\"0x00000001\" complete_nodeset=\"0x00000001\" gp_index=\"7\"/>\n"
    "   </object>\n"
    "  </object>\n"
    "  <object type=\"Package\" os_index=\"1\" cpuset=\"0x0000000a\" complete_cpuset=\"0x0000000a\""
    " nodeset=\"0x00000002\" complete_nodeset=\"0x00000002\" gp_index=\"8\">\n"
    "   <object type=\"NUMANode\" os_index=\"1\" cpuset=\"0x0000000a\""
    " complete_cpuset=\"0x0000000a\" nodeset=\"0x00000002\" complete_nodeset=\"0x00000002\""
    " gp_index=\"9\" local_memory=\"24000000000\"/>\n"
    "   <object type=\"Core\" os_index=\"0\" cpuset=\"0x0000000a\" complete_cpuset=\"0x0000000a\""
    " nodeset=\"0x00000002\" complete_nodeset=\"0x00000002\" gp_index=\"10\">\n"
    "    <object type=\"PU\" os_index=\"1\" cpuset=\"0x00000002\" complete_cpuset=\"0x00000002\""
    " nodeset=\"0x00000002\" complete_nodeset=\"0x00000002\" gp_index=\"11\"/>\n"
    "    <object type=\"PU\" os_index=\"3\" cpuset=\"0x00000008\" complete_cpuset=\"0x00000008\""
    " nodeset=\"0x00000002\" complete_nodeset=\"0x00000002\" gp_index=\"12\"/>\n"
    "   </object>\n"
    "  </object>\n"
    " </object>\n"
    "</topology>\n";

static void an_uneven_machine_in_a_file_is_as_the_file_says(void **state)
{
    static const struct vine__processor expected[] = {
        {.cpu = 0, .core = 0, .package = 0, .cache = VINE__TOPOLOGY_NONE, .node = 0},
        {.cpu = 2, .core = 1, .package = 0, .cache = VINE__TOPOLOGY_NONE, .node = 0},
        {.cpu = 1, .core = 2, .package = 1, .cache = VINE__TOPOLOGY_NONE, .node = 1},
        {.cpu = 3, .core = 2, .package = 1, .cache = VINE__TOPOLOGY_NONE, .node = 1},
    };
    char path[128];

    (void)state;
    fake_root_write("/uneven.xml", uneven);
    snprintf(path, sizeof(path), "%s/uneven.xml", fake_root);

    struct vine__topology *const topology = describe(path);

    assert_int_equal(topology->processor_count, 4);
    assert_memory_equal(topology->processors, expected, sizeof(expected));
    assert_int_equal(topology->node_count, 2);
    assert_int_equal(topology->nodes[0].memory_bytes, UINT64_C(8000000000));
    assert_int_equal(topology->nodes[1].memory_bytes, UINT64_C(24000000000));
    vine__topology_destroy(topology);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_description_that_is_none_is_refused_with_what_is_wrong_in_it),
        cmocka_unit_test(a_file_that_is_no_topology_is_refused_by_its_name),
        cmocka_unit_test(this_machine_has_what_the_kernel_says),
        cmocka_unit_test(two_sockets_of_64_cores_are_as_described),
        cmocka_unit_test(caches_that_are_shared_have_one_number),
        cmocka_unit_test(one_processor_is_a_machine),
        cmocka_unit_test(an_uneven_machine_in_a_file_is_as_the_file_says),
    };
    return cmocka_run_group_tests(tests, fake_root_make, fake_root_remove);
}
