/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine */
/*
 * Control groups of machines: what is delegated, in folders of the test's own. What the kernel
 * makes of it is tested in a guest (tests/vm/test_groups.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "harness/fake_root.h"
#include "vmm/engine/group.h"

#define TOP "/sys/fs/cgroup"

/* "+memory", "+cpu", "+pids", each from the beginning of what is a file here. */
#define ALL_OF_THEM "+pidsry"

static void expect_file(const char *path, const char *expected)
{
    char whole[256], text[256] = "";

    (void)snprintf(whole, sizeof(whole), "%s%s", fake_root, path);
    FILE *const file = fopen(whole, "re");

    if (file == NULL)
        fail_msg("%s: %s", path, strerror(errno));
    (void)!fread(text, 1, sizeof(text) - 1, file);
    (void)fclose(file);
    assert_string_equal(text, expected);
}

static void expect_none(const char *wanted)
{
    struct vine__groups *groups;
    char why[256] = "";

    assert_int_equal(vine__groups_open(fake_root, &groups, why, sizeof(why)), -EOPNOTSUPP);
    if (strstr(why, wanted) == NULL)
        fail_msg("%s", why);
}

static struct vine__groups *open_groups(void)
{
    struct vine__groups *groups;
    char why[256] = "";

    if (vine__groups_open(fake_root, &groups, why, sizeof(why)) != 0)
        fail_msg("%s", why);
    assert_string_equal(why, "");
    return groups;
}

/* Returns what cannot be limited. */
static const char *make(struct vine__groups *groups, const struct vine__group_limits *limits)
{
    static char why[256];
    int fd;

    assert_int_equal(vine__group_make(groups, "one", limits, &fd, why, sizeof(why)), 0);
    assert_int_equal(write(fd, "0", 1), 1);
    assert_int_equal(close(fd), 0);
    return why;
}

/* As the kernel shows a group: these files are there. */
static void fake_group(const char *group)
{
    static const char *const names[] = {"cgroup.procs", "cgroup.subtree_control",
                                        "memory.max",   "cpu.max",
                                        "cpu.weight",   "pids.max"};
    char path[256];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", group, names[i]);
        fake_root_write(path, "");
    }
}

static void what_is_not_delegated_is_left_alone(void **state)
{
    (void)state;
    fake_root_write("/proc/self/cgroup", "1:memory:/a\n");
    expect_none("no control groups of version 2");
    fake_root_write("/proc/self/cgroup", "1:memory:/a\n0::/some.slice/one\n");
    expect_none("not at /sys/fs/cgroup");
    fake_group(TOP "/some.slice/one");
    expect_none("/some.slice/one was not delegated");
    expect_file(TOP "/some.slice/one/cgroup.subtree_control", "");
    fake_root_write("/proc/self/cgroup", "0::/../one\n");
    expect_none("no control groups of version 2");
}

static void the_root_of_what_is_seen_is_ours_if_it_can_be_written(void **state)
{
    (void)state;
    fake_root_write("/proc/self/cgroup", "0::/\n");
    fake_group(TOP);
    vine__groups_close(open_groups());
    expect_file(TOP "/cgroup.subtree_control", ALL_OF_THEM);
}

static void a_process_that_is_where_groups_are_made_moves_down(void **state)
{
    char path[256];

    (void)state;
    fake_root_write("/proc/self/cgroup", "0::/vine.service\n");
    fake_group(TOP "/vine.service");
    fake_group(TOP "/vine.service/vine-server");
    (void)snprintf(path, sizeof(path), "%s" TOP "/vine.service", fake_root);
    if (setxattr(path, "user.delegate", "1", 1, 0) != 0) {
        print_message("skipped: this file system has no attributes of users'\n");
        skip();
    }
    vine__groups_close(open_groups());
    expect_file(TOP "/vine.service/cgroup.subtree_control", ALL_OF_THEM);
    /* One that is there already makes them above. */
    fake_root_write("/proc/self/cgroup", "0::/vine.service/vine-server\n");
    fake_group(TOP "/vine.service/vm.one");
    struct vine__groups *const groups = open_groups();
    const struct vine__group_limits limits = {
        .memory_bytes = UINT64_C(1) << 32, .cpu_percent = 250, .cpu_weight = 50, .task_count = 64};
    char why[64];
    int fd;

    assert_string_equal(make(groups, &limits), "");
    expect_file(TOP "/vine.service/vm.one/cgroup.procs", "0");
    expect_file(TOP "/vine.service/vm.one/memory.max", "4294967296");
    expect_file(TOP "/vine.service/vm.one/cpu.max", "250000 100000");
    expect_file(TOP "/vine.service/vm.one/cpu.weight", "50");
    expect_file(TOP "/vine.service/vm.one/pids.max", "64");
    assert_int_equal(vine__group_make(groups, "../one", &limits, &fd, why, sizeof(why)), -EINVAL);
    assert_int_equal(vine__group_make(groups, "", &limits, &fd, why, sizeof(why)), -EINVAL);
    vine__groups_close(groups);
}

static void what_is_left_of_a_limit_is_taken_away(void **state)
{
    (void)state;
    fake_root_write("/proc/self/cgroup", "0::/\n");
    fake_group(TOP);
    fake_group(TOP "/vm.one");
    struct vine__groups *const groups = open_groups();

    assert_string_equal(make(groups, &(struct vine__group_limits){0}), "");
    expect_file(TOP "/vm.one/memory.max", "max");
    expect_file(TOP "/vm.one/cpu.max", "max");
    expect_file(TOP "/vm.one/cpu.weight", "100");
    expect_file(TOP "/vm.one/pids.max", "max");
    vine__groups_close(groups);
}

static void remove_file(const char *path)
{
    char whole[256];

    (void)snprintf(whole, sizeof(whole), "%s%s", fake_root, path);
    assert_int_equal(unlink(whole), 0);
}

static void what_cannot_be_limited_is_told(void **state)
{
    const struct vine__group_limits memory = {.memory_bytes = 1 << 30};
    const struct vine__group_limits both = {
        .memory_bytes = 1 << 30, .cpu_percent = 100, .task_count = 10};

    (void)state;
    fake_root_write("/proc/self/cgroup", "0::/\n");
    fake_group(TOP);
    fake_group(TOP "/vm.one");
    remove_file(TOP "/cgroup.subtree_control");
    remove_file(TOP "/vm.one/cpu.max");
    remove_file(TOP "/vm.one/pids.max");
    struct vine__groups *const groups = open_groups();

    /* What is not wanted is not missed. */
    assert_string_equal(make(groups, &memory), "");
    assert_string_equal(make(groups, &both), "its control group has no cpu.max, pids.max");
    expect_file(TOP "/vm.one/memory.max", "1073741824");
    vine__groups_close(groups);
}

static void what_was_left_goes(void **state)
{
    char path[256];

    (void)state;
    fake_root_write("/proc/self/cgroup", "0::/\n");
    fake_group(TOP);
    fake_group(TOP "/vm.lives");
    for (int i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof(path), "%s" TOP "/%s", fake_root, i == 0 ? "vm.left" : "left");
        assert_int_equal(mkdir(path, 0700), 0);
    }
    vine__groups_close(open_groups());
    assert_int_equal(access(path, F_OK), 0); /* somebody else's */
    (void)snprintf(path, sizeof(path), "%s" TOP "/vm.left", fake_root);
    assert_int_equal(access(path, F_OK), -1);
    expect_file(TOP "/vm.lives/cgroup.procs", "");
}

static void why_the_kernel_has_ended_one_is_told(void **state)
{
    static const struct {
        const char *events;
        const char *expected; /* NULL: nothing */
    } cases[] = {
        {"", NULL},
        {"low 0\nhigh 0\nmax 7\noom 1\noom_kill 0\noom_group_kill 1\n", NULL},
        {"low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\n", "it took more memory than its limit"},
        {"low 0\nhigh 0\nmax 0\noom 0\noom_kill 2\n", "the host had no memory left for it"},
    };

    (void)state;
    fake_root_write("/proc/self/cgroup", "0::/\n");
    fake_group(TOP);
    struct vine__groups *const groups = open_groups();

    assert_null(vine__group_lack(groups, "one"));
    assert_null(vine__group_lack(groups, "../one"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fake_root_write(TOP "/vm.one/memory.events", cases[i].events);
        const char *const lack = vine__group_lack(groups, "one");

        if (cases[i].expected == NULL)
            assert_null(lack);
        else
            assert_string_equal(lack, cases[i].expected);
    }
    vine__groups_close(groups);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_root_make, fake_root_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_not_delegated_is_left_alone),
        TEST(the_root_of_what_is_seen_is_ours_if_it_can_be_written),
        TEST(a_process_that_is_where_groups_are_made_moves_down),
        TEST(what_is_left_of_a_limit_is_taken_away),
        TEST(what_cannot_be_limited_is_told),
        TEST(what_was_left_goes),
        TEST(why_the_kernel_has_ended_one_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
