/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* What a machine does not bear: told by what was asked, what there is, what would be right. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "harness/fake_root.h"
#include "unit/core/launch/planning.h"

#define FOUR "numa:1(memory=8GB) core:4 pu:1"

static struct vine__topology *four(void)
{
    return planning_describe(FOUR, NULL);
}

/* Four processors, of which the mask has 0-2 and the cgroup 1-3, with these many MB. */
static struct vine__topology *limited(const char *memory_max)
{
    fake_root_write("/proc/self/status", "Cpus_allowed_list:\t0-2\n");
    fake_root_write("/proc/self/cgroup", "0::/g\n");
    fake_root_write("/proc/self/mountinfo", "31 23 0:28 / /cg rw - cgroup2 cgroup rw\n");
    fake_root_write("/cg/g/cpuset.cpus.effective", "1-3\n");
    fake_root_write("/cg/g/memory.max", memory_max);
    fake_root_write("/proc/meminfo", "MemTotal: 8000000 kB\nMemAvailable: 900000 kB\n");
    fake_root_write("/proc/self/limits", "Max locked memory         8388608    8388608    bytes\n");
    return planning_describe(FOUR, fake_root);
}

static void a_cpuset_that_is_no_subset_names_who_is_missing_and_why(void **state)
{
    (void)state;
    planning_refuse(four(), "--cpuset 2-5", "--cpuset 2-5: 4-5 may not be used", "4-5 not there",
                    FOUR, "right would be a part of 0-3", NULL);
    planning_refuse(limited("max"), "--cpuset 0-5", "0,3-5 may not be used", "4-5 not there",
                    "3 not in the process's mask (/proc/self/status, Cpus_allowed_list)",
                    "0 not in its cgroup (/cg/g/cpuset.cpus.effective)",
                    "right would be a part of 1-2", NULL);
}

static void no_processor_that_may_be_used_is_told(void **state)
{
    (void)state;
    struct vine__topology *const topology = limited("max");

    fake_root_write("/cg/g/cpuset.cpus.effective", "3\n");
    vine__topology_destroy(topology);
    planning_refuse(planning_describe(FOUR, fake_root), "--max-io-requests 9",
                    "no processor may be used", "3 not in the process's mask",
                    "0-2 not in its cgroup", NULL);
}

static void more_cores_than_processors_are_refused_unless_they_may_share(void **state)
{
    struct planning planning;

    (void)state;
    planning_refuse(four(), "--smp 5", "--smp 5: there are 4 processors that may be used (0-3)",
                    "right would be at most --smp 4", "--overprovisioned", NULL);
    planning_refuse(four(), "--smp 2 --cpuset 3",
                    "--smp 2: there is 1 processor that may be used (3)", NULL);
    planning_make(&planning, four(), "--smp 6 --cpuset 1,3 --overprovisioned");
    planning_expect_cpus(&planning, "1 1 1 3 3 3");
    assert_false(planning.plan->is_pinned);
    assert_int_equal(planning.plan->idle_poll_ns, 0);
    planning_end(&planning);
    planning_make(&planning, four(),
                  "--smp 5 --overprovisioned --thread-affinity 1 --idle-poll-time-us 7");
    planning_expect_cpus(&planning, "0 1 2 3 3");
    assert_true(planning.plan->is_pinned);
    assert_int_equal(planning.plan->idle_poll_ns, 7000);
    planning_end(&planning);
}

static void more_memory_than_there_is_names_each_number(void **state)
{
    (void)state;
    planning_refuse(four(), "--memory 9G", "--memory 9G", "7.45 GiB (the description)",
                    "of which 1.50 GiB are reserved", "at most 5.95 GiB (--memory 6093M)",
                    "--reserve-memory", NULL);
    planning_refuse(four(), "--memory 90%", "--memory 90%", "at most 5.95 GiB", NULL);
    planning_refuse(four(), "--memory 6G --reserve-memory 25%", "of which 1.86 GiB are reserved",
                    NULL);
    planning_refuse(limited("1073741824"), "--memory 2G", "1 GiB (/cg/g/memory.max)",
                    "of which 256 MiB are reserved", "--memory 768M", NULL);
}

static void a_reserve_that_leaves_nothing_is_refused(void **state)
{
    (void)state;
    planning_refuse(four(), "--reserve-memory 8G", "--reserve-memory 8G: there are 7.45 GiB", NULL);
    planning_refuse(four(), "--reserve-memory 100%", "--reserve-memory 100%", NULL);
}

static void too_little_for_the_cores_that_were_asked_for_is_refused(void **state)
{
    (void)state;
    planning_refuse(four(), "--smp 4 --memory 100M", "100 MiB for 4 cores is too little",
                    "each needs 32 MiB", "--smp", NULL);
    planning_refuse(four(), "--memory 1M", "1 MiB for 4 cores is too little", NULL);
    planning_refuse(four(), "--memory 0", "0 bytes for 4 cores is too little", NULL);
}

static void memory_of_which_nobody_knows_is_asked_for(void **state)
{
    struct planning planning;
    struct vine__topology *topology = four();

    (void)state;
    topology->fact_count = 0;
    planning_refuse(topology, "", "--memory: neither /proc/meminfo nor hwloc says", "--memory 4G",
                    NULL);
    topology = four();
    topology->fact_count = 0;
    planning_refuse(topology, "--memory 50%", "neither /proc/meminfo nor hwloc", NULL);
    topology = four();
    topology->fact_count = 0;
    planning_make(&planning, topology, "--memory 256M");
    assert_int_equal(planning.plan->memory_bytes, 256 << 20);
    planning_end(&planning);
}

static void what_is_no_mount_of_huge_pages_is_told_as_such(void **state)
{
    struct vine__topology *topology = four();

    (void)state;
    topology->is_described = false; /* as of this machine, with a path that is none */
    topology->huge.error = -EMEDIUMTYPE;
    planning_refuse(topology, "--hugepages /tmp", "--hugepages /tmp: this is no mount of hugetlbfs",
                    "mount -t hugetlbfs none PATH", NULL);
    topology = four();
    topology->is_described = false;
    topology->huge.error = -ENOENT;
    planning_refuse(topology, "--hugepages /nowhere", "--hugepages /nowhere: No such file", NULL);
}

static struct vine__topology *huge(uint64_t count)
{
    struct vine__topology *const topology = four();

    topology->is_described = false;
    topology->huge.page_bytes = 2 << 20;
    topology->huge.free_count = count;
    topology->nodes[0].huge_page_count = count;
    snprintf(topology->huge.source, sizeof(topology->huge.source), "/sys/huge");
    return topology;
}

static void too_few_huge_pages_are_refused_with_how_many_it_takes(void **state)
{
    (void)state;
    planning_refuse(huge(10), "--hugepages /h --memory 1G",
                    "--hugepages /h: 512 pages of 2 MiB are needed for --memory 1G, and 10 are "
                    "free, 20 MiB (/sys/huge)",
                    "at least 512 free ones", "nr_hugepages", "or less --memory", NULL);
    planning_refuse(huge(0), "--hugepages /h", "64 pages of 2 MiB are needed, 32 MiB a core",
                    "0 are free", NULL);
    planning_refuse(huge(63), "--hugepages /h --smp 4", "64 pages", "63 are free", NULL);
}

static void memory_that_may_not_be_locked_is_told(void **state)
{
    struct vine__topology *topology = limited("max");

    (void)state;
    planning_refuse(topology, "--lock-memory 1 --memory 512M", "512 MiB would be locked",
                    "RLIMIT_MEMLOCK allows 8 MiB", "ulimit -l", "--lock-memory 0", NULL);
    topology = limited("max");
    topology->may_lock_beyond = true;
    planning_refuse(topology, "--lock-memory 1 --memory 1G", "1 GiB would be taken at once",
                    "878.90 MiB could be had now (/proc/meminfo, MemAvailable)", "--memory 878M",
                    NULL);
}

static void queues_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    planning_refuse(four(), "--num-io-queues 5", "--num-io-queues 5: there are 4 cores",
                    "right would be at most 4", NULL);
    planning_refuse(four(), "--num-io-queues 3 --max-io-requests 2",
                    "--max-io-requests 2: there are 3 I/O queues", "at least 3", NULL);
}

static void cores_that_never_sleep_and_share_processors_are_refused(void **state)
{
    struct planning planning;

    (void)state;
    planning_refuse(four(), "--poll-mode --overprovisioned",
                    "--poll-mode: a core that never sleeps", "right would be one of the two",
                    "--idle-poll-time-us", NULL);
    planning_make(&planning, four(), "--poll-mode --overprovisioned=0");
    planning_end(&planning);
    planning_make(&planning, four(), "--poll-mode=0 --overprovisioned");
    planning_end(&planning);
}

static void all_that_is_wrong_is_told_at_once(void **state)
{
    (void)state;
    planning_refuse(four(), "--cpuset 9 --smp 60 --memory 1T --num-io-queues 61", "--cpuset 9",
                    "--smp 60", "--memory 1T", "--num-io-queues 61", NULL);
}

static void processes_that_share_huge_pages_have_to_say_how_many(void **state)
{
    struct planning planning = {0};

    (void)state;
    planning.topology = planning_describe("numa:1(memory=8GiB) core:2 pu:1", NULL);
    planning.topology->is_described = false;
    planning.topology->huge.page_bytes = 2 << 20;
    planning.topology->huge.free_count = planning.topology->nodes[0].huge_page_count = 64;
    planning_read(&planning, "--hugepages /mnt/huge");
    planning.options.process_count = 2;
    assert_int_equal(
        vine__plan_create(&planning.plan, planning.topology, &planning.options, &planning.mistakes),
        -EINVAL);
    assert_non_null(strstr(planning.mistakes.text, "the first of 2 processes would take all"));
    assert_non_null(strstr(planning.mistakes.text, "right would be --memory 128M at most"));
    planning_end(&planning);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processes_that_share_huge_pages_have_to_say_how_many),
        cmocka_unit_test(a_cpuset_that_is_no_subset_names_who_is_missing_and_why),
        cmocka_unit_test(no_processor_that_may_be_used_is_told),
        cmocka_unit_test(more_cores_than_processors_are_refused_unless_they_may_share),
        cmocka_unit_test(more_memory_than_there_is_names_each_number),
        cmocka_unit_test(a_reserve_that_leaves_nothing_is_refused),
        cmocka_unit_test(too_little_for_the_cores_that_were_asked_for_is_refused),
        cmocka_unit_test(memory_of_which_nobody_knows_is_asked_for),
        cmocka_unit_test(what_is_no_mount_of_huge_pages_is_told_as_such),
        cmocka_unit_test(too_few_huge_pages_are_refused_with_how_many_it_takes),
        cmocka_unit_test(memory_that_may_not_be_locked_is_told),
        cmocka_unit_test(queues_that_do_not_fit_are_refused),
        cmocka_unit_test(cores_that_never_sleep_and_share_processors_are_refused),
        cmocka_unit_test(all_that_is_wrong_is_told_at_once),
    };
    return cmocka_run_group_tests(tests, fake_root_make, fake_root_remove);
}
