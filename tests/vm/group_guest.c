/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs in a guest of test_groups.c, as root of a kernel's control groups: what is delegated, which
 * limits hold, and what the engine of the server does with it. Its QEMU is this program, by
 * fake_qemu.h of the unit tests.
 */
#include "../unit/vmm/server/engine_world.h"

#include "vmm/engine/group.h"

#include <ftw.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#define TOP  "/sys/fs/cgroup"
#define UNIT TOP "/vine.service"
#define MIB  (UINT64_C(1) << 20)

static struct vine__machines *machines;
static struct vine__groups *groups;
static bool is_closed;

/* ---- files of groups ------------------------------------------------------------------------- */

static int put(const char *path, const char *text)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    const bool is_put = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        (void)close(fd);
    return is_put ? 0 : -1;
}

/* Valid until the next call; "": there is none. */
static const char *get(const char *folder_path, const char *name)
{
    static char text[1024];
    char path[160];

    (void)snprintf(path, sizeof(path), "%s/%s", folder_path, name);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t size = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;

    if (fd >= 0)
        (void)close(fd);
    text[size > 0 ? size : 0] = '\0';
    return text;
}

static void expect_file(const char *folder_path, const char *name, const char *expected)
{
    if (strcmp(get(folder_path, name), expected) != 0)
        fail_msg("%s/%s: '%s'", folder_path, name, get(folder_path, name));
}

static void expect_group_of(pid_t pid, const char *expected)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
    expect_file(path, "cgroup", expected);
}

/* This process is in a group, as of a unit of systemd's. */
static void enter_unit(bool is_delegated)
{
    assert_int_equal(put(TOP "/cgroup.subtree_control", "+memory +cpu +pids"), 0);
    assert_int_equal(mkdir(UNIT, 0755), 0);
    assert_int_equal(put(UNIT "/cgroup.procs", "0"), 0);
    if (is_delegated)
        assert_int_equal(setxattr(UNIT, "user.delegate", "1", 1, 0), 0);
}

static int remove_folder(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)place;
    return type == FTW_DP ? rmdir(path) : 0;
}

static void open_delegated(void)
{
    char why[256] = "";

    if (vine__groups_open("", &groups, why, sizeof(why)) != 0)
        fail_msg("%s", why);
    assert_string_equal(why, "");
}

/* Returns its cgroup.procs. */
static int make_group(const char *name, const struct vine__group_limits *limits)
{
    char why[256];
    int fd = -1;

    assert_int_equal(vine__group_make(groups, name, limits, &fd, why, sizeof(why)), 0);
    assert_string_equal(why, "");
    return fd;
}

/* Returns 0 in the child, which is in the group. */
static pid_t fork_into(int fd)
{
    const pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0 && write(fd, "0", 1) != 1)
        _exit(100);
    if (pid == 0)
        (void)alarm(600);
    return pid;
}

static int await_exit(pid_t pid)
{
    int status = -1;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* ---- what is delegated ----------------------------------------------------------------------- */

static void a_group_that_was_not_delegated_is_left_as_it_is(void **state)
{
    char why[256] = "";

    (void)state;
    enter_unit(false);
    assert_int_equal(vine__groups_open("", &groups, why, sizeof(why)), -EOPNOTSUPP);
    assert_string_equal(why, "control group /vine.service was not delegated to this program");
    expect_group_of(getpid(), "0::/vine.service\n");
    expect_file(UNIT, "cgroup.subtree_control", "");
}

static void one_that_was_delegated_is_divided_and_this_process_moves_down(void **state)
{
    (void)state;
    enter_unit(true);
    for (int times = 0; times < 2; times++) {
        open_delegated();
        expect_group_of(getpid(), "0::/vine.service/vine-server\n");
        expect_file(UNIT, "cgroup.subtree_control", "cpu memory pids\n");
        vine__groups_close(groups);
        groups = NULL;
    }
}

/* What can be seen from there has another beginning. Returns 0, or where it went wrong. */
static int look_from_a_container(void)
{
    const struct vine__group_limits limits = {.memory_bytes = 64 * MIB};
    char why[256];
    int fd;

    if (unshare(CLONE_NEWCGROUP | CLONE_NEWNS) != 0 || umount2(TOP, MNT_DETACH) != 0 ||
        mount("cgroup", TOP, "cgroup2", 0, "") != 0)
        return 1;
    if (vine__groups_open("", &groups, why, sizeof(why)) != 0 || why[0] != '\0')
        return 2;
    if (vine__group_make(groups, "one", &limits, &fd, why, sizeof(why)) != 0 || why[0] != '\0')
        return 3;
    if (strcmp(get(TOP "/vm.one", "memory.max"), "67108864\n") != 0)
        return 4;
    vine__group_remove(groups, "one");
    return access(TOP "/vm.one", F_OK) == 0 ? 5 : 0;
}

static void the_first_group_of_a_container_is_one_as_any_other(void **state)
{
    (void)state;
    enter_unit(false);
    const pid_t pid = fork();

    if (pid == 0)
        _exit(look_from_a_container());
    assert_int_equal(await_exit(pid), 0);
    expect_group_of(getpid(), "0::/vine.service/vine-server\n");
}

static void what_was_left_goes_unless_somebody_is_in_it(void **state)
{
    (void)state;
    enter_unit(true);
    open_delegated();
    const int fd = make_group("lives", &(struct vine__group_limits){0});
    const pid_t pid = fork_into(fd);

    if (pid == 0)
        for (;;)
            (void)pause();
    while (strcmp(get(UNIT "/vm.lives", "cgroup.procs"), "") == 0)
        (void)sched_yield();
    assert_int_equal(close(fd), 0);
    assert_int_equal(close(make_group("left", &(struct vine__group_limits){0})), 0);
    vine__groups_close(groups);
    open_delegated();
    assert_int_equal(access(UNIT "/vm.left", F_OK), -1);
    assert_int_equal(access(UNIT "/vm.lives", F_OK), 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    (void)await_exit(pid);
    vine__group_remove(groups, "lives");
    assert_int_equal(access(UNIT "/vm.lives", F_OK), -1);
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void limits_are_the_kernels(void **state)
{
    const struct vine__group_limits limits = {
        .memory_bytes = UINT64_C(1) << 32, .cpu_percent = 250, .cpu_weight = 50, .task_count = 64};

    (void)state;
    enter_unit(true);
    open_delegated();
    /* The second time nothing is limited, in a group that somebody keeps. */
    const int fd = make_group("one", &limits);
    const pid_t pid = fork_into(fd);

    if (pid == 0)
        for (;;)
            (void)pause();
    while (strcmp(get(UNIT "/vm.one", "cgroup.procs"), "") == 0)
        (void)sched_yield();
    expect_file(UNIT "/vm.one", "memory.max", "4294967296\n");
    expect_file(UNIT "/vm.one", "cpu.max", "250000 100000\n");
    expect_file(UNIT "/vm.one", "cpu.weight", "50\n");
    expect_file(UNIT "/vm.one", "pids.max", "64\n");
    assert_int_equal(close(fd), 0);
    assert_int_equal(close(make_group("one", &(struct vine__group_limits){0})), 0);
    expect_file(UNIT "/vm.one", "memory.max", "max\n");
    expect_file(UNIT "/vm.one", "cpu.max", "max 100000\n");
    expect_file(UNIT "/vm.one", "cpu.weight", "100\n");
    expect_file(UNIT "/vm.one", "pids.max", "max\n");
    assert_int_equal(kill(pid, SIGKILL), 0);
    (void)await_exit(pid);
}

static void no_more_processes_than_the_limit_are_there(void **state)
{
    (void)state;
    enter_unit(true);
    open_delegated();
    const int fd = make_group("one", &(struct vine__group_limits){.task_count = 2});
    const pid_t pid = fork_into(fd);

    if (pid == 0) {
        const pid_t second = fork();

        if (second == 0)
            for (;;)
                (void)pause();
        const bool is_refused = second > 0 && fork() < 0 && errno == EAGAIN;

        (void)kill(second, SIGKILL);
        _exit(is_refused && waitpid(second, NULL, 0) == second ? 0 : 1);
    }
    assert_int_equal(await_exit(pid), 0);
    assert_int_equal(close(fd), 0);
    vine__group_remove(groups, "one");
    assert_int_equal(access(UNIT "/vm.one", F_OK), -1);
}

static unsigned long throttled(void)
{
    const char *const at = strstr(get(UNIT "/vm.one", "cpu.stat"), "nr_throttled ");

    return at != NULL ? strtoul(at + strlen("nr_throttled "), NULL, 10) : 0;
}

static void who_takes_more_of_a_processor_than_its_limit_waits(void **state)
{
    (void)state;
    enter_unit(true);
    open_delegated();
    const int fd = make_group("one", &(struct vine__group_limits){.cpu_percent = 5});
    const pid_t pid = fork_into(fd);

    if (pid == 0)
        for (;;)
            (void)getppid();
    while (throttled() == 0)
        (void)poll(NULL, 0, 10);
    assert_int_equal(kill(pid, SIGKILL), 0);
    (void)await_exit(pid);
    assert_int_equal(close(fd), 0);
}

/* ---- the engine of the server ---------------------------------------------------------------- */

static void closed(void *context)
{
    (void)context;
    is_closed = true;
}

static void begin_engine(void)
{
    struct vine__engine_options options = world_options();

    options.leaves_vms = true;
    open_cores(1);
    vine__mesh_open_to_aliens(stepped.mesh);
    assert_int_equal(vine__engine_open(&options, &machines), 0);
}

static void end_engine(void)
{
    is_closed = false;
    vine__engine_close(machines, closed, NULL);
    until(is_closed);
    machines = NULL;
    vine__mesh_open_to_aliens(NULL);
    close_cores();
}

static void done(struct vine__machines_work *work)
{
    VINE_CONTAINER_OF(work, struct vm, work)->is_done = true;
}

static struct vm *run(enum kind kind, uint64_t memory_bytes)
{
    struct vm *const vm = make_vm(kind);

    vm->configuration.limits.memory_bytes = memory_bytes;
    vm->work = (struct vine__machines_work){.done = done, .boot = &vm->boot, .parameters = ""};
    machines->calls->start(machines, &vm->work);
    until(vm->is_done);
    if (vm->work.error != VINE_SERVER_E_DONE)
        fail_msg("%s", vm->work.why);
    return vm;
}

static void expect_end(const struct vm *vm, const char *ended_by, const char *text)
{
    until(is_told(vm, VINE__VM_OFF));
    assert_string_equal(vm->ended_by, ended_by);
    if (strstr(vm->text, text) == NULL)
        fail_msg("%s", vm->text);
}

/* The group of a VM, of which it is told whether it is there. */
static bool has_group(const struct vm *vm, char ret_path[128])
{
    (void)snprintf(ret_path, 128, UNIT "/vm.%.32s", vm->boot.uid);
    return access(ret_path, F_OK) == 0;
}

static pid_t pid_in(const char *group)
{
    return (pid_t)strtol(get(group, "cgroup.procs"), NULL, 10);
}

static void without_a_group_machines_run_without_limits_and_that_is_told(void **state)
{
    (void)state;
    enter_unit(false);
    begin_engine();
    struct vm *const vm = run(GOOD, 64 * MIB);

    until(is_told(vm, VINE__VM_RUNNING) && vm->note[0] != '\0');
    assert_string_equal(vm->note, "its limits do not hold: control group /vine.service was not "
                                  "delegated to this program");
    machines->calls->stop(machines, vm->boot.uid, 60000, false);
    expect_end(vm, "stopped", "");
}

static void a_machine_is_in_its_group_until_it_ends(void **state)
{
    char group[128];

    (void)state;
    enter_unit(true);
    begin_engine();
    struct vm *const free_one = run(GOOD, 0);

    /* Without limits nothing is moved or divided. */
    expect_group_of(getpid(), "0::/vine.service\n");
    struct vm *const vm = run(GOOD, 64 * MIB);

    until(is_told(vm, VINE__VM_RUNNING) && is_told(free_one, VINE__VM_RUNNING));
    assert_string_equal(vm->note, "");
    assert_false(has_group(free_one, group));
    assert_true(has_group(vm, group));
    expect_file(group, "memory.max", "67108864\n");
    assert_true(pid_in(group) > 0);
    machines->calls->stop(machines, vm->boot.uid, 60000, false);
    machines->calls->stop(machines, free_one->boot.uid, 60000, false);
    expect_end(vm, "stopped", "");
    expect_end(free_one, "stopped", "");
    assert_false(has_group(vm, group));
    /* Nor is one left of what ends as it starts. */
    struct vm *const exits = run(EXITS, 64 * MIB);

    expect_end(exits, "unstarted", "no such");
    assert_false(has_group(exits, group));
}

static void one_that_takes_more_memory_than_its_limit_is_ended_and_that_is_told(void **state)
{
    char group[128];

    (void)state;
    enter_unit(true);
    begin_engine();
    struct vm *const vm = run(HUNGRY, 64 * MIB), *const other = run(GOOD, 64 * MIB);

    expect_end(vm, "crash",
               "QEMU was ended by signal 9 (Killed): it took more memory than its limit");
    assert_false(has_group(vm, group));
    until(is_told(other, VINE__VM_RUNNING));
    machines->calls->stop(machines, other->boot.uid, 60000, false);
    expect_end(other, "stopped", "");
}

static void resumed(struct vine__engine_resume *resume, struct vine__boot *boot,
                    const struct vine__machines_found *found, const char *why)
{
    (void)resume;
    (void)boot;
    if (found == NULL)
        fail_msg("%s", why);
}

static bool is_resumed;

static void all_resumed(struct vine__engine_resume *resume)
{
    (void)resume;
    is_resumed = true;
}

static void go_on_with(struct vm *vm)
{
    struct vine__boot *boots[] = {&vm->boot};
    struct vine__engine_resume resume = {
        .boots = boots, .count = 1, .resumed = resumed, .done = all_resumed};

    vm->told_count = 0;
    is_resumed = false;
    vine__engine_resume(machines, &resume);
    until(is_resumed);
}

static void a_group_goes_too_when_its_server_came_back(void **state)
{
    char group[128];

    (void)state;
    enter_unit(true);
    begin_engine();
    struct vm *const lives = run(GOOD, 64 * MIB), *const ends = run(GOOD, 64 * MIB);

    until(is_told(lives, VINE__VM_RUNNING) && is_told(ends, VINE__VM_RUNNING));
    end_engine();
    assert_true(has_group(lives, group));
    assert_true(has_group(ends, group));
    const pid_t pid = pid_in(group);

    assert_int_equal(kill(pid, SIGKILL), 0);
    (void)await_exit(pid);
    assert_true(has_group(ends, group));
    begin_engine();
    go_on_with(ends);
    expect_end(ends, "vanished", "");
    assert_false(has_group(ends, group));
    go_on_with(lives);
    until(is_told(lives, VINE__VM_RUNNING));
    assert_true(has_group(lives, group));
    expect_file(group, "memory.max", "67108864\n");
    machines->calls->stop(machines, lives->boot.uid, 60000, false);
    expect_end(lives, "stopped", "");
    assert_false(has_group(lives, group));
}

/* ---------------------------------------------------------------------------------------------- */

static int leave(void **state)
{
    (void)state;
    if (machines != NULL)
        end_engine();
    vine__groups_close(groups);
    groups = NULL;
    if (put(TOP "/cgroup.procs", "0") != 0)
        return -1;
    return nftw(UNIT, remove_folder, 16, FTW_DEPTH | FTW_PHYS);
}

#define TEST(name) cmocka_unit_test_teardown(name, leave)

int main(int argc, char **argv)
{
    world_main(argc, argv);
    const struct CMUnitTest tests[] = {
        TEST(a_group_that_was_not_delegated_is_left_as_it_is),
        TEST(one_that_was_delegated_is_divided_and_this_process_moves_down),
        TEST(the_first_group_of_a_container_is_one_as_any_other),
        TEST(what_was_left_goes_unless_somebody_is_in_it),
        TEST(limits_are_the_kernels),
        TEST(no_more_processes_than_the_limit_are_there),
        TEST(who_takes_more_of_a_processor_than_its_limit_waits),
        TEST(without_a_group_machines_run_without_limits_and_that_is_told),
        TEST(a_machine_is_in_its_group_until_it_ends),
        TEST(one_that_takes_more_memory_than_its_limit_is_ended_and_that_is_told),
        TEST(a_group_goes_too_when_its_server_came_back),
    };

    if (folder_make(folder) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
