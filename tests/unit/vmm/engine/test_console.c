/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine */
/*
 * Consoles: the terminal that QEMU makes, the link that leads there, and the log that is kept to a
 * limit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fake_qemu.h"
#include "machine_world.h"
#include "vmm/engine/console.h"

#define HERE "vine-init: here I am\n"

static const char *path_of(const char *name)
{
    static char paths[8][128];
    static uint32_t next;
    char *const path = paths[next++ % 8];

    (void)snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

/* ---- the link -------------------------------------------------------------------------------- */

static void expect_link(const char *path, const char *expected)
{
    char target[256];
    const ssize_t size = readlink(path, target, sizeof(target) - 1);

    if (expected == NULL) {
        assert_int_equal(size, -1);
        return;
    }
    assert_true(size >= 0);
    target[size] = '\0';
    assert_string_equal(target, expected);
}

static void a_link_of_our_own_is_replaced_and_removed(void **state)
{
    const char *const link = path_of("own");

    (void)state;
    assert_int_equal(vine__console_link_make(link, "/dev/pts/100007"), 0);
    expect_link(link, "/dev/pts/100007");
    assert_int_equal(vine__console_link_make(link, "/dev/pts/100008"), 0);
    expect_link(link, "/dev/pts/100008");
    vine__console_link_remove(link, "/dev/pts/100007"); /* somebody else's by now */
    expect_link(link, "/dev/pts/100008");
    vine__console_link_remove(link, "/dev/pts/100008");
    expect_link(link, NULL);
    vine__console_link_remove(link, "/dev/pts/100008");
}

static void what_is_no_link_to_a_terminal_stays(void **state)
{
    static const char *const targets[] = {"/etc/passwd", "/dev/pts/", "/dev/pts/../null",
                                          "/dev/pts/7/..", "/dev/pts/1234567890"};
    const char *const link = path_of("kept");

    (void)state;
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        assert_int_equal(symlink(targets[i], link), 0);
        assert_int_equal(vine__console_link_make(link, "/dev/pts/100007"), -EEXIST);
        vine__console_link_remove(link, targets[i][0] == '/' ? "/dev/pts/100007" : "");
        expect_link(link, targets[i]);
        assert_int_equal(unlink(link), 0);
    }
    assert_int_equal(mkdir(link, 0700), 0);
    assert_int_equal(vine__console_link_make(link, "/dev/pts/100007"), -EEXIST);
    assert_int_equal(rmdir(link), 0);
    assert_int_equal(vine__console_link_make(path_of("none/link"), "/dev/pts/1"), -ENOENT);
    assert_int_equal(vine__console_link_make(path_of(""), "/dev/pts/1"), -EINVAL);
}

static void a_folder_where_others_rename_gets_no_link(void **state)
{
    const char *const open_folder = path_of("open");

    (void)state;
    assert_int_equal(mkdir(open_folder, 0700), 0);
    assert_int_equal(chmod(open_folder, 0777), 0);
    assert_int_equal(vine__console_link_make(path_of("open/link"), "/dev/pts/100007"), -EPERM);
    assert_int_equal(chmod(open_folder, 01777), 0);
    assert_int_equal(vine__console_link_make(path_of("open/link"), "/dev/pts/100007"), 0);
    expect_link(path_of("open/link"), "/dev/pts/100007");
}

static void a_link_of_another_users_stays(void **state)
{
    const char *const link = path_of("open/theirs");

    (void)state;
    if (geteuid() != 0) {
        print_message("skipped: only root can give a link away\n");
        skip();
    }
    assert_int_equal(symlink("/dev/pts/100007", link), 0);
    assert_int_equal(lchown(link, 65534, 65534), 0);
    assert_int_equal(vine__console_link_make(link, "/dev/pts/100008"), -EEXIST);
    vine__console_link_remove(link, "/dev/pts/100007");
    expect_link(link, "/dev/pts/100007");
}

/* ---- terminals ------------------------------------------------------------------------------- */

static struct vine__machine *make_pty(const char *name, const char *link, const char *log)
{
    struct vine__machine_description description = describe(name);

    description.console = VINE__CONSOLE_PTY;
    description.console_link = link;
    description.console_log = log;
    description.console_log_bytes = log != NULL ? 65536 : 0;
    return make_of(&description, DEFAULTS);
}

static void a_guest_speaks_at_the_terminal_that_the_link_leads_to(void **state)
{
    const char *const link = path_of("console");
    struct vine__machine *const machine = make_pty("good", link, NULL);
    struct stat status;
    char said[64] = "";
    size_t size = 0;

    (void)state;
    assert_null(vine__machine_console_path(machine));
    for (int round = 0; round < 2; round++) {
        start(machine);
        (void)expect(machine, VINE__MACHINE_STARTED);
        assert_string_equal(vine__machine_console_link(machine), link);
        expect_link(link, vine__machine_console_path(machine));
        assert_int_equal(stat(link, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
        assert_int_equal(status.st_uid, geteuid());

        const int fd = open(link, O_RDWR | O_NOCTTY | O_CLOEXEC);

        assert_true(fd >= 0);
        for (size = 0; size < strlen(HERE);) {
            const ssize_t count = read(fd, said + size, sizeof(said) - 1 - size);

            assert_true(count > 0);
            size += (size_t)count;
        }
        assert_memory_equal(said, HERE, strlen(HERE));
        assert_int_equal(close(fd), 0);
        assert_int_equal(vine__machine_quit(machine), 0);
        expect_end(machine, VINE__END_QUIT, "");
        expect_link(link, NULL);
        assert_null(vine__machine_console_path(machine));
        assert_null(vine__machine_console_link(machine));
    }
    vine__machine_close(machine);
}

static void who_is_killed_leaves_no_link(void **state)
{
    const char *const link = path_of("console");
    struct vine__machine *const machine = make_pty("stuck", link, NULL);

    (void)state;
    start(machine);
    (void)expect(machine, VINE__MACHINE_STARTED);
    vine__machine_close(machine);
    expect_link(link, NULL);
}

static void a_terminal_that_is_not_its_own_ends_a_machine(void **state)
{
    const char *const link = path_of("console");
    const int other = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct vine__machine *machine = make_pty("nowhere", link, NULL);

    (void)state;
    assert_true(other >= 0);
    assert_int_equal(setenv("FAKE_TERMINAL", ptsname(other), 1), 0);
    start(machine);
    expect_end(machine, VINE__END_UNSTARTED, "no terminal of its own");
    expect_link(link, NULL);
    vine__machine_close(machine);

    machine = make_pty("borrows", link, NULL);
    start(machine);
    expect_end(machine, VINE__END_UNSTARTED, "no terminal of its own");
    expect_link(link, NULL);
    vine__machine_close(machine);
    assert_int_equal(close(other), 0);
}

static void a_machine_runs_without_a_link_that_cannot_be_made(void **state)
{
    const char *const link = path_of("squatted");
    struct vine__machine *const machine = make_pty("good", link, NULL);
    const int fd = open(link, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    (void)state;
    assert_int_equal(close(fd), 0);
    start(machine);
    assert_non_null(strstr(expect(machine, VINE__MACHINE_REFUSED).text, "squatted cannot be made"));
    (void)expect(machine, VINE__MACHINE_STARTED);
    assert_null(vine__machine_console_link(machine));
    assert_non_null(vine__machine_console_path(machine));
    vine__machine_close(machine);
    assert_int_equal(access(link, F_OK), 0);
}

/* ---- the log --------------------------------------------------------------------------------- */

#define LINE_BYTES 16

static void append(int fd, uint32_t *number, uint32_t count)
{
    char line[LINE_BYTES + 1];

    for (uint32_t i = 0; i < count; i++) {
        (void)snprintf(line, sizeof(line), "%015u\n", (*number)++);
        assert_int_equal(write(fd, line, LINE_BYTES), LINE_BYTES);
    }
}

/* Lines are there once each and in order, up to the last that was written. */
static uint32_t expect_history(const char *path, uint32_t end)
{
    static char bytes[1 << 20];
    const size_t size = vine__console_log_tail(path, bytes, sizeof(bytes));
    const uint32_t count = (uint32_t)(size / LINE_BYTES);

    assert_int_equal(size % LINE_BYTES, 0);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(strtoul(bytes + (size_t)LINE_BYTES * i, NULL, 10), end - count + i);
    return count;
}

static off_t size_of(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 ? status.st_size : -1;
}

static void expect_limit_kept(const char *path, const char *old)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    uint32_t number = 0;

    assert_true(fd >= 0);
    for (int round = 0; round < 50; round++) {
        append(fd, &number, 997);
        assert_int_equal(vine__console_log_rotate(path, 65536), 0);
        assert_true(size_of(path) <= 65536);
        assert_true(size_of(old) <= 65536 + 4096);
        const uint32_t count = expect_history(path, number);

        assert_true(count == number || count * LINE_BYTES > 65536);
    }
    assert_true(size_of(old) > 0);
    /* Nobody has looked for long. */
    append(fd, &number, 20000);
    assert_int_equal(vine__console_log_rotate(path, 65536), 0);
    assert_true(size_of(path) <= 65536);
    assert_true(size_of(old) <= 65536 + 4096);
    assert_true(expect_history(path, number) * LINE_BYTES > 65536);
    /* Less room: the last of it. */
    char last[LINE_BYTES];

    assert_int_equal(vine__console_log_tail(path, last, sizeof(last)), sizeof(last));
    assert_int_equal(strtoul(last, NULL, 10), number - 1);
    assert_int_equal(close(fd), 0);
}

static void a_log_keeps_to_its_limit_and_loses_its_oldest(void **state)
{
    (void)state;
    assert_int_equal(vine__console_log_rotate(path_of("nolog"), 1), 0);
    assert_int_equal(vine__console_log_tail(path_of("nolog"), (char[1]){0}, 1), 0);
    expect_limit_kept(path_of("log"), path_of("log.1"));
    assert_int_equal(size_of(path_of("log.new")), -1);
}

/* As tmpfs, whose files cannot lose their beginning. */
static void so_does_one_that_can_only_be_emptied(void **state)
{
    char elsewhere[] = "/dev/shm/vine-console-XXXXXX";
    char path[64], old[64];

    (void)state;
    if (folder_make(elsewhere) != 0) {
        print_message("skipped: there is no /dev/shm to write to\n");
        skip();
    }
    (void)snprintf(path, sizeof(path), "%s/log", elsewhere);
    (void)snprintf(old, sizeof(old), "%s/log.1", elsewhere);
    expect_limit_kept(path, old);
}

static void what_is_appended_during_a_rotation_is_kept(void **state)
{
    const char *const path = path_of("busy");
    const int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    uint32_t number = 0;

    (void)state;
    append(fd, &number, 1024);
    if (fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096) != 0) {
        print_message("skipped: files cannot lose their beginning on this file system\n");
        skip();
    }
    assert_int_equal(ftruncate(fd, 0), 0);
    number = 0;
    const pid_t pid = fork();

    if (pid == 0) {
        append(fd, &number, 200000);
        _exit(0);
    }
    assert_true(pid > 0);
    int status = -1;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        char bytes[4 * LINE_BYTES];

        assert_int_equal(vine__console_log_rotate(path, 16384), 0);
        const size_t size = vine__console_log_tail(path, bytes, sizeof(bytes));

        for (size_t at = LINE_BYTES; at < size; at += LINE_BYTES)
            assert_int_equal(strtoul(bytes + at, NULL, 10),
                             strtoul(bytes + at - LINE_BYTES, NULL, 10) + 1);
    }
    assert_int_equal(status, 0);
    assert_true(expect_history(path, 200000) > 0);
    assert_int_equal(close(fd), 0);
}

static void write_file(const char *path, uint32_t from, uint32_t to)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    append(fd, &from, to - from);
    assert_int_equal(close(fd), 0);
}

static void a_rotation_that_was_interrupted_is_finished(void **state)
{
    const char *const path = path_of("cut");

    (void)state;
    /* Before anything was cut off: the copy is half done. */
    write_file(path_of("cut.1"), 0, 1000);
    write_file(path, 1000, 3000);
    write_file(path_of("cut.new"), 1000, 1500);
    assert_int_equal(expect_history(path, 3000), 3000);
    assert_int_equal(vine__console_log_rotate(path, UINT64_MAX), 0);
    assert_int_equal(size_of(path_of("cut.new")), -1);
    assert_int_equal(expect_history(path, 3000), 3000);
    /* And after. */
    write_file(path_of("cut.new"), 1000, 2000);
    write_file(path, 2000, 3000);
    assert_int_equal(expect_history(path, 3000), 2000);
    assert_int_equal(vine__console_log_rotate(path, UINT64_MAX), 0);
    assert_int_equal(size_of(path_of("cut.new")), -1);
    assert_int_equal(expect_history(path, 3000), 2000);
    /* What somebody has put there is not followed. */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(vine__console_log_rotate(path, 1), -ELOOP);
    assert_int_equal(vine__console_log_tail(path, (char[1]){0}, 1), 0);
}

/* As a QEMU does that its guest rules: it has it open. */
static void a_log_that_is_locked_is_read_and_rotated_like_others(void **state)
{
    const char *const path = path_of("locked");
    const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    uint32_t number = 0;

    (void)state;
    assert_true(fd >= 0);
    append(fd, &number, 1200);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(expect_history(path, number), 1200);
    assert_int_equal(vine__console_log_rotate(path, 16384), 0);
    assert_true(size_of(path) <= 16384);
    assert_int_equal(expect_history(path, number), 1200);
    assert_int_equal(close(fd), 0);
}

static void a_machine_keeps_its_log_over_starts_and_to_its_limit(void **state)
{
    const char *const log = path_of("machine.log");
    struct vine__machine_description description = describe("good");
    uint32_t number = 0;

    (void)state;
    description.console = VINE__CONSOLE_PTY;
    description.console_log = log;
    description.console_log_bytes = 65536;
    struct vine__machine *const machine = make_of(
        &description, (struct vine__machine_options){.log_check_ns = VINE_NS_PER_SECOND / 100});
    struct vine__machine_event event;

    write_file(log, number, 1000);
    start(machine);
    (void)expect(machine, VINE__MACHINE_STARTED);
    while (size_of(log) != 1000 * LINE_BYTES + (off_t)strlen(HERE))
        (void)poll(NULL, 0, 10);
    /* It grows as it would by QEMU's hand. */
    const int fd = open(log, O_WRONLY | O_APPEND | O_CLOEXEC);

    number = 0;
    append(fd, &number, 65536 / LINE_BYTES);
    assert_int_equal(close(fd), 0);
    for (int turn = 0; turn < 6000 && size_of(log) > 65536; turn++)
        (void)!vine__machine_wait_event(machine, VINE_NS_PER_SECOND / 100, &event);
    assert_true(size_of(log) <= 65536);
    assert_true(size_of(path_of("machine.log.1")) > 0);
    vine__machine_close(machine);
}

/* However seldom it is looked at. */
static void a_log_is_kept_to_its_limit_when_a_machine_ends(void **state)
{
    const char *const log = path_of("ended.log");
    struct vine__machine_description description = describe("good");

    (void)state;
    description.console = VINE__CONSOLE_PTY;
    description.console_log = log;
    description.console_log_bytes = 65536;
    struct vine__machine *const machine = make_of(
        &description, (struct vine__machine_options){.log_check_ns = 3600 * VINE_NS_PER_SECOND});
    uint32_t number = 0;

    start(machine);
    (void)expect(machine, VINE__MACHINE_STARTED);
    while (size_of(log) != (off_t)strlen(HERE))
        (void)poll(NULL, 0, 10);
    const int fd = open(log, O_WRONLY | O_APPEND | O_CLOEXEC);

    append(fd, &number, 65536 / LINE_BYTES);
    assert_int_equal(close(fd), 0);
    assert_int_equal(vine__machine_quit(machine), 0);
    expect_end(machine, VINE__END_QUIT, "");
    assert_true(size_of(log) <= 65536);
    assert_true(size_of(path_of("ended.log.1")) > 0);
    vine__machine_close(machine);
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "-name") == 0)
        fake_qemu(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_link_of_our_own_is_replaced_and_removed),
        cmocka_unit_test(what_is_no_link_to_a_terminal_stays),
        cmocka_unit_test(a_folder_where_others_rename_gets_no_link),
        cmocka_unit_test(a_link_of_another_users_stays),
        cmocka_unit_test(a_guest_speaks_at_the_terminal_that_the_link_leads_to),
        cmocka_unit_test(who_is_killed_leaves_no_link),
        cmocka_unit_test(a_terminal_that_is_not_its_own_ends_a_machine),
        cmocka_unit_test(a_machine_runs_without_a_link_that_cannot_be_made),
        cmocka_unit_test(a_log_keeps_to_its_limit_and_loses_its_oldest),
        cmocka_unit_test(so_does_one_that_can_only_be_emptied),
        cmocka_unit_test(what_is_appended_during_a_rotation_is_kept),
        cmocka_unit_test(a_rotation_that_was_interrupted_is_finished),
        cmocka_unit_test(a_log_that_is_locked_is_read_and_rotated_like_others),
        cmocka_unit_test(a_machine_keeps_its_log_over_starts_and_to_its_limit),
        cmocka_unit_test(a_log_is_kept_to_its_limit_when_a_machine_ends),
    };

    if (folder_make(folder) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
