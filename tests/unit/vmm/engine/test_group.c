/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine */
/*
 * Control groups of machines: what is delegated, in folders of the test's own, and a machine in one
 * of the kernel's, where there are some that root may have.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "fake_qemu.h"
#include "harness/fake_root.h"
#include "machine_world.h"
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

static struct vine__groups *open_groups(const char *expected)
{
    struct vine__groups *groups;
    char why[256] = "";

    if (vine__groups_open(fake_root, &groups, why, sizeof(why)) != 0)
        fail_msg("%s", why);
    assert_string_equal(why, expected);
    return groups;
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
    vine__groups_close(open_groups(""));
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
    vine__groups_close(open_groups(""));
    expect_file(TOP "/vine.service/cgroup.subtree_control", ALL_OF_THEM);
    /* One that is there already makes them above. */
    fake_root_write("/proc/self/cgroup", "0::/vine.service/vine-server\n");
    fake_group(TOP "/vine.service/vm.one");
    struct vine__groups *const groups = open_groups("");
    const struct vine__group_limits limits = {
        .memory_bytes = UINT64_C(1) << 32, .cpu_percent = 250, .cpu_weight = 50, .task_count = 64};
    int fd;

    assert_int_equal(vine__group_make(groups, "one", &limits, &fd), 0);
    assert_int_equal(write(fd, "0", 1), 1);
    assert_int_equal(close(fd), 0);
    expect_file(TOP "/vine.service/vm.one/cgroup.procs", "0");
    expect_file(TOP "/vine.service/vm.one/memory.max", "4294967296");
    expect_file(TOP "/vine.service/vm.one/cpu.max", "250000 100000");
    expect_file(TOP "/vine.service/vm.one/cpu.weight", "50");
    expect_file(TOP "/vine.service/vm.one/pids.max", "64");
    assert_int_equal(vine__group_make(groups, "../one", &limits, &fd), -EINVAL);
    assert_int_equal(vine__group_make(groups, "", &limits, &fd), -EINVAL);
    vine__groups_close(groups);
}

static void what_is_left_of_a_limit_is_taken_away(void **state)
{
    int fd;

    (void)state;
    fake_root_write("/proc/self/cgroup", "0::/\n");
    fake_group(TOP);
    fake_group(TOP "/vm.one");
    struct vine__groups *const groups = open_groups("");

    assert_int_equal(vine__group_make(groups, "one", &(struct vine__group_limits){0}, &fd), 0);
    assert_int_equal(close(fd), 0);
    expect_file(TOP "/vm.one/memory.max", "max");
    expect_file(TOP "/vm.one/cpu.max", "max");
    expect_file(TOP "/vm.one/cpu.weight", "100");
    expect_file(TOP "/vm.one/pids.max", "max");
    vine__groups_close(groups);
}

static void what_cannot_be_limited_is_told(void **state)
{
    char path[256];

    (void)state;
    fake_root_write("/proc/self/cgroup", "0::/\n");
    fake_group(TOP);
    (void)snprintf(path, sizeof(path), "%s" TOP "/cgroup.subtree_control", fake_root);
    assert_int_equal(unlink(path), 0);
    vine__groups_close(open_groups("control groups do not limit here: memory, cpu, pids"));
}

/* ---- the kernel's ---------------------------------------------------------------------------- */

/* Where the kernel has groups of version 2 that this user may make. */
static bool find_kernel(char ret_path[64])
{
    static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    struct statfs system;

    for (int i = 0; i < 2; i++) {
        (void)snprintf(ret_path, 64, "%s", places[i]);
        if (statfs(ret_path, &system) == 0 && system.f_type == CGROUP2_SUPER_MAGIC &&
            access(ret_path, W_OK) == 0)
            return true;
    }
    return false;
}

static void expect_group_of(pid_t pid, const char *expected)
{
    char path[64], line[256];
    bool is_there = false;

    (void)snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
    FILE *const file = fopen(path, "re");

    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL)
        is_there = is_there || strcmp(line, expected) == 0;
    (void)fclose(file);
    assert_true(is_there);
}

static void a_machine_is_in_its_group_until_it_ends(void **state)
{
    char kernel[64], link[64], parent[130], name[64], expected[128], group[160];

    (void)state;
    if (!find_kernel(kernel)) {
        print_message("skipped: there are no control groups of version 2 that we may write to\n");
        skip();
    }
    /* Below one of the test's own, which goes with it. */
    (void)snprintf(name, sizeof(name), "vine-test-%d", (int)getpid());
    (void)snprintf(parent, sizeof(parent), "%s/%s", kernel, name);
    if (mkdir(parent, 0755) != 0) {
        print_message("skipped: no control group may be made here\n");
        skip();
    }
    fake_root_write("/proc/self/cgroup", "0::/\n");
    fake_root_write("/sys/fs/there", "");
    (void)snprintf(link, sizeof(link), "%s" TOP, fake_root);
    assert_int_equal(symlink(parent, link), 0);

    struct vine__groups *groups;
    char why[256];

    /* Whatever controllers there are. */
    assert_int_equal(vine__groups_open(fake_root, &groups, why, sizeof(why)), 0);
    const struct vine__machine_options options = {.groups = groups,
                                                  .limits = {.memory_bytes = UINT64_C(1) << 30,
                                                             .cpu_percent = 100,
                                                             .cpu_weight = 10,
                                                             .task_count = 100}};
    struct vine__machine *machine = begin("leaks", options);

    (void)snprintf(expected, sizeof(expected), "0::/%s/vm.leaks\n", name);
    expect_group_of(vine__machine_pid(machine), expected);
    (void)snprintf(group, sizeof(group), "%s/vm.leaks", parent);
    assert_int_equal(access(group, F_OK), 0);
    assert_int_equal(vine__machine_quit(machine), 0);
    expect_end(machine, VINE__END_QUIT, "");
    assert_int_equal(access(group, F_OK), -1);
    /* And also if it cannot be run at all. */
    vine__machine_close(machine);
    struct vine__machine_description description = describe("leaks");

    description.qemu = "/nowhere/qemu";
    machine = make_of(&description, options);
    assert_int_equal(vine__machine_start(machine, why, sizeof(why)), -ENOENT);
    assert_int_equal(access(group, F_OK), -1);
    vine__machine_close(machine);
    vine__groups_close(groups);
    assert_int_equal(rmdir(parent), 0);
    assert_int_equal(unlink(link), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_root_make, fake_root_remove)

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "-name") == 0)
        fake_qemu(argc, argv);
    const struct CMUnitTest tests[] = {
        TEST(what_is_not_delegated_is_left_alone),
        TEST(the_root_of_what_is_seen_is_ours_if_it_can_be_written),
        TEST(a_process_that_is_where_groups_are_made_moves_down),
        TEST(what_is_left_of_a_limit_is_taken_away),
        TEST(what_cannot_be_limited_is_told),
        TEST(a_machine_is_in_its_group_until_it_ends),
    };

    if (folder_make(folder) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
