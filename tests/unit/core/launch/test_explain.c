/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* A start in words: each step in its place, each number with its source. */
#include "core/launch/explain.h"

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
#include "unit/core/launch/planning.h"

static struct planning planning;

static char text[64 * 1024];
static size_t text_length;

static void keep(void *context, const char *line)
{
    const int added = snprintf(text + text_length, sizeof(text) - text_length, "%s\n", line);

    (void)context;
    assert_true(added > 0 && (size_t)added < sizeof(text) - text_length);
    text_length += (size_t)added;
}

static const struct vine__lines lines = {.fn = keep};

static void reset(void)
{
    text_length = 0;
    text[0] = '\0';
}

static void has(const char *what)
{
    if (strstr(text, what) == NULL)
        fail_msg("'%s' is not in:\n%s", what, text);
}

/* Whether the steps from `first` to `last` are there, each once, in their order. */
static void has_steps(enum vine__step first, enum vine__step last)
{
    const char *at = text;

    for (enum vine__step step = first; step <= last; step++) {
        char begin[64];

        snprintf(begin, sizeof(begin), "%2u. %s: ", (unsigned int)step + 1, vine__step_name(step));
        at = strstr(at, begin);
        if (at == NULL)
            fail_msg("'%s' is not in its place in:\n%s", begin, text);
        at++;
        assert_null(strstr(at, begin));
    }
}

static void of_a_plan_that_is_not_to_be_had_what_was_found_is_told(void **state)
{
    (void)state;
    reset();
    assert_int_equal(planning_try(&planning,
                                  planning_describe("numa:1(memory=8GiB) core:4 pu:1", NULL),
                                  "--smp 9 --memory 1T"),
                     -EINVAL);
    vine__explain_plan(&lines, planning.topology, &planning.options, NULL);
    has_steps(VINE__STEP_AFFINITY, VINE__STEP_ALLOCATION);
    has(" 3. processors: not decided\n    machine    4 processors, 4 cores");
    has(" 4. memory: not decided\n    nodes      8 GiB (the description)\n");
    has(" 8. allocation: not decided\n");
    planning_end(&planning);
}

static void each_source_is_shown_and_which_one_counts(void **state)
{
    (void)state;
    fake_root_write("/proc/meminfo", "MemTotal: 16777216 kB\nMemAvailable: 1048576 kB\n");
    fake_root_write("/proc/self/status", "Cpus_allowed_list:\t0-5\n");
    fake_root_write("/proc/self/limits", "Max locked memory         8388608  8388608  bytes\n");
    fake_root_write("/proc/self/cgroup", "0::/a\n");
    fake_root_write("/proc/self/mountinfo", "31 23 0:28 / /cg rw - cgroup2 cgroup rw\n");
    fake_root_write("/cg/a/memory.max", "8589934592\n");
    fake_root_write("/cg/memory.max", "858993459200\n");
    fake_root_write("/cg/cpuset.cpus.effective", "1-7\n");
    fake_root_write("/cg/a/cpu.max", "350000 100000\n");
    reset();
    planning_make(&planning, planning_describe("numa:2(memory=2GiB) core:4 pu:1", fake_root),
                  "--num-io-queues 1 --reserve-memory 1G");
    vine__explain_plan(&lines, planning.topology, &planning.options, planning.plan);
    has_steps(VINE__STEP_AFFINITY, VINE__STEP_ALLOCATION);
    has(" 2. affinity: each thread is bound to its processor (default)\n");
    has("3 cores on 3 processors: 3 of 5: time is limited to that of 3.50 (/cg/a/cpu.max)\n");
    has("    mask       0-5 (/proc/self/status, Cpus_allowed_list)\n");
    has("    cgroup     1-7 (/cg/cpuset.cpus.effective)\n");
    has("    time       that of 3.50 processors (/cg/a/cpu.max)\n");
    has("    usable     1-5\n    chosen     1-2,4\n");
    has(" 4. memory: 6.93 GiB for 3 cores, 2.31 GiB each (default)\n");
    has("    nodes      4 GiB (the description)\n");
    has("    total      16 GiB (/proc/meminfo, MemTotal), more than the limit\n");
    has("    available  1 GiB (/proc/meminfo, MemAvailable)\n");
    has("    limit      8 GiB (/cg/a/memory.max), which counts\n");
    has("    limit      800 GiB (/cg/memory.max)\n");
    has("    note       others use some of it now");
    has("    reserved   1 GiB (--reserve-memory 1G)\n");
    has(" 5. huge pages: none are asked for (--hugepages)\n");
    has(" 7. I/O queues: 1 for 3 cores (--num-io-queues 1), each hands at most 128 operations");
    has("        0          1          0  its own      2.31 GiB\n"
        "        1          2          0  of core 0    2.31 GiB\n"
        "        2          4          1  of core 0    2.31 GiB\n");
    planning_end(&planning);
}

static void another_machine_is_shown_with_all_steps_and_nothing_starts(void **state)
{
    (void)state;
    reset();
    planning_make(&planning, planning_describe("pack:2 [numa(memory=64GiB)] core:32 pu:1", NULL),
                  "--num-io-queues 4 --overprovisioned --smp 64 --hugepages /mnt");
    vine__explain_described(&lines, planning.topology, &planning.options, planning.plan);
    has_steps(VINE__STEP_SIGNALS, VINE__STEP_RUNNING);
    has(" 2. affinity: threads are not bound to processors (--overprovisioned)\n");
    has("64 cores on 64 processors: --smp 64 of 64\n");
    has(" 5. huge pages: --hugepages /mnt: a description does not say how many there are\n");
    for (uint32_t i = 0; i < 64; i++) {
        char row[64];

        snprintf(row, sizeof(row), "\n    %5u  %9u  %9u  ", i, i, i / 32);
        has(row);
    }
    has("19. loop running: not done, as nothing starts");
    planning_end(&planning);
}

static void memory_of_several_nodes_is_told_piece_by_piece(void **state)
{
    struct vine__topology *const topology =
        planning_describe("numa:2(memory=8GiB) core:2 pu:1", NULL);

    (void)state;
    topology->nodes[1].memory_bytes *= 3;
    topology->facts[0].value *= 2;
    reset();
    planning_make(&planning, topology, "--reserve-memory 0");
    vine__explain_plan(&lines, planning.topology, &planning.options, planning.plan);
    has("        1          1          0  its own      4 GiB of node 0, 4 GiB of node 1\n");
    has("        2          2          1  its own      8 GiB\n");
    planning_end(&planning);
}

static void a_node_that_is_smaller_than_what_is_taken_of_it_is_told(void **state)
{
    struct vine__topology *topology = planning_describe("numa:1(memory=2GiB) core:2 pu:1", NULL);

    (void)state;
    /* As after memory was plugged in: the kernel knows of more than hwloc counts. */
    topology->is_described = false;
    topology->facts[0].value = UINT64_C(8) << 30;
    reset();
    planning_make(&planning, topology, "--memory 4G");
    vine__explain_plan(&lines, planning.topology, &planning.options, planning.plan);
    has("    note       cores get 4 GiB of node 0, and by hwloc it has 2 GiB: if that is right, "
        "right "
        "would be less --memory\n");
    planning_end(&planning);

    topology = planning_describe("numa:2(memory=2GiB) core:2 pu:1", NULL);
    topology->facts[0].value = UINT64_C(16) << 30;
    reset();
    planning_make(&planning, topology, "--memory 6G");
    vine__explain_plan(&lines, planning.topology, &planning.options, planning.plan);
    has("cores get 3 GiB of node 0, and by the description it has 2 GiB, to which");
    has("cores get 3 GiB of node 1, and by the description it has 2 GiB, to which");
    planning_end(&planning);

    reset();
    planning_make(&planning, planning_describe("numa:2(memory=2GiB) core:2 pu:1", NULL), "");
    vine__explain_plan(&lines, planning.topology, &planning.options, planning.plan);
    assert_null(strstr(text, "note "));
    planning_end(&planning);
}

static void of_several_processes_each_is_told_its_part(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        reset();
        memset(&planning, 0, sizeof(planning));
        planning.topology = planning_describe("numa:2(memory=8GiB) core:2 pu:1", NULL);
        planning_read(&planning, "--reserve-memory 0");
        planning.options.process_index = i;
        planning.options.process_count = 2;
        assert_int_equal(vine__plan_create(&planning.plan, planning.topology, &planning.options,
                                           &planning.mistakes),
                         0);
        vine__explain_described(&lines, planning.topology, &planning.options, planning.plan);
        has(i == 0 ? "    process    0 of 2, which has its part of processors and memory\n"
                   : "    process    1 of 2, which has its part of processors and memory\n");
        has(i == 0 ? "    usable     0-1\n" : "    usable     2-3\n");
        has(" 4. memory: 8 GiB for 2 cores, 4 GiB each (default)\n");
        planning_end(&planning);
    }
}

static void huge_pages_and_locks_are_told_with_what_there_is(void **state)
{
    struct vine__topology *const topology =
        planning_describe("numa:1(memory=8GiB) core:2 pu:1", NULL);

    (void)state;
    topology->is_described = false;
    topology->huge.page_bytes = 2 << 20;
    topology->huge.free_count = topology->nodes[0].huge_page_count = 100;
    snprintf(topology->huge.path, sizeof(topology->huge.path), "/mnt/huge");
    snprintf(topology->huge.source, sizeof(topology->huge.source), "/sys/huge");
    topology->lock_bytes = 8 << 20;
    topology->may_lock_beyond = true;
    reset();
    planning_make(&planning, topology, "--hugepages /mnt/huge --lock-memory 1");
    vine__explain_plan(&lines, planning.topology, &planning.options, planning.plan);
    has(" 4. memory: 192 MiB for 2 cores, 96 MiB each (default)\n");
    has(" 5. huge pages: 96 of 2 MiB from /mnt/huge\n    free       100 (/sys/huge)\n"
        "               100 on node 0\n");
    has(" 6. lock memory: yes (--lock-memory 1)\n    huge pages are never swapped out\n"
        "    limit      8 MiB (RLIMIT_MEMLOCK), which CAP_IPC_LOCK lifts\n");
    planning_end(&planning);
}

static void whose_wish_a_number_is_is_told(void **state)
{
    static char name[] = "x";
    static char *const argv[] = {name, NULL};
    const struct vine_options program = {.size_bytes = sizeof(program),
                                         .defaults = (const char *const[]){"--memory=1G", NULL}};

    (void)state;
    memset(&planning, 0, sizeof(planning));
    planning.topology = planning_describe("numa:1(memory=8GiB) core:2 pu:1", NULL);
    assert_int_equal(vine__launch_options_init(&planning.options, &program, 1, (char **)argv,
                                               &planning.mistakes),
                     0);
    assert_int_equal(
        vine__plan_create(&planning.plan, planning.topology, &planning.options, &planning.mistakes),
        0);
    reset();
    vine__explain_plan(&lines, planning.topology, &planning.options, planning.plan);
    has("1 GiB for 2 cores, 512 MiB each (--memory 1G, the program's own default)\n");
    planning_end(&planning);
}

static void steps_of_a_running_start_have_their_numbers(void **state)
{
    (void)state;
    reset();
    vine__explain_step(&lines, VINE__STEP_MAIN_THREAD, "thread %d on processor %d", 12, 3);
    vine__explain_more(&lines, "a detail: %s", "x");
    vine__explain_step(&lines, VINE__STEP_REGISTERED, "%d of %d", 2, 2);
    assert_string_equal(text, " 9. main thread: thread 12 on processor 3\n    a detail: x\n"
                              "12. barrier: reactors registered: 2 of 2\n");
    reset();
    vine__explain_step(&(struct vine__lines){0}, VINE__STEP_NETWORK, "nobody hears this");
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_a_plan_that_is_not_to_be_had_what_was_found_is_told),
        cmocka_unit_test_setup_teardown(each_source_is_shown_and_which_one_counts, fake_root_make,
                                        fake_root_remove),
        cmocka_unit_test(another_machine_is_shown_with_all_steps_and_nothing_starts),
        cmocka_unit_test(memory_of_several_nodes_is_told_piece_by_piece),
        cmocka_unit_test(a_node_that_is_smaller_than_what_is_taken_of_it_is_told),
        cmocka_unit_test(of_several_processes_each_is_told_its_part),
        cmocka_unit_test(huge_pages_and_locks_are_told_with_what_there_is),
        cmocka_unit_test(whose_wish_a_number_is_is_told),
        cmocka_unit_test(steps_of_a_running_start_have_their_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
