/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/peer/lockfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/vine-test-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/lock", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void a_lock_that_is_held_is_busy_and_names_its_holder(void **state)
{
    (void)state;
    int fd, other = -7;
    pid_t holder = -1;
    assert_int_equal(vine__lockfile_acquire(path, &fd, NULL), 0);
    assert_int_equal(vine__lockfile_acquire(path, &other, &holder), -EBUSY);
    assert_int_equal(holder, getpid());
    assert_int_equal(other, -7);
    assert_int_equal(vine__lockfile_acquire(path, &other, NULL), -EBUSY);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    struct stat found;
    assert_int_equal(fstat(fd, &found), 0);
    assert_int_equal(found.st_mode & 07777, 0600);
    vine__lockfile_release(path, fd);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(vine__lockfile_acquire(path, &fd, NULL), 0);
    vine__lockfile_release(path, fd);
}

static void a_link_a_folder_and_a_missing_folder_are_refused(void **state)
{
    (void)state;
    int fd;
    char below[80];
    assert_int_equal(symlink("target", path), 0);
    assert_int_equal(vine__lockfile_acquire(path, &fd, NULL), -ELOOP);
    unlink(path);
    assert_int_equal(vine__lockfile_acquire(folder, &fd, NULL), -EISDIR);
    snprintf(below, sizeof(below), "%s/missing/lock", folder);
    assert_int_equal(vine__lockfile_acquire(below, &fd, NULL), -ENOENT);
}

static void nonsense_in_the_file_is_an_unknown_holder(void **state)
{
    (void)state;
    int fd, other;
    pid_t holder = -1;
    assert_int_equal(vine__lockfile_acquire(path, &fd, NULL), 0);
    const char *const nonsense[] = {"", "me\n", "-5\n", "99999999999999\n", "\n\n"};
    for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, nonsense[i], strlen(nonsense[i]), 0), strlen(nonsense[i]));
        assert_int_equal(vine__lockfile_acquire(path, &other, &holder), -EBUSY);
        assert_int_equal(holder, 0);
    }
    vine__lockfile_release(path, fd);
}

static void a_killed_holder_leaves_its_lock_to_the_next(void **state)
{
    (void)state;
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int fd;
        if (vine__lockfile_acquire(path, &fd, NULL) != 0)
            _exit(1);
        (void)!write(ends[1], "x", 1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    int fd;
    pid_t holder = 0;
    assert_int_equal(vine__lockfile_acquire(path, &fd, &holder), -EBUSY);
    assert_int_equal(holder, child);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(vine__lockfile_acquire(path, &fd, &holder), 0);
    vine__lockfile_release(path, fd);
    close(ends[0]);
    close(ends[1]);
}

static void of_many_that_race_one_at_a_time_has_it(void **state)
{
    (void)state;
    enum { CHILDREN = 4, ROUNDS = 500 };
    char count_path[80];
    snprintf(count_path, sizeof(count_path), "%s/count", folder);
    const int count_fd = open(count_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    long count = 0;
    assert_int_equal(pwrite(count_fd, &count, sizeof(count), 0), sizeof(count));
    for (int i = 0; i < CHILDREN; i++) {
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child != 0)
            continue;
        for (int round = 0; round < ROUNDS;) {
            int fd;
            const int error = vine__lockfile_acquire(path, &fd, NULL);
            if (error == -EBUSY || error == -EAGAIN)
                continue;
            if (error != 0)
                _exit(1);
            /* Two at once would lose a step. */
            if (pread(count_fd, &count, sizeof(count), 0) != sizeof(count))
                _exit(2);
            count++;
            if (pwrite(count_fd, &count, sizeof(count), 0) != sizeof(count))
                _exit(3);
            vine__lockfile_release(path, fd);
            round++;
        }
        _exit(0);
    }
    int failures = 0;
    for (int i = 0; i < CHILDREN; i++) {
        int status;
        assert_true(wait(&status) > 0);
        failures += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    }
    assert_int_equal(failures, 0);
    assert_int_equal(pread(count_fd, &count, sizeof(count), 0), sizeof(count));
    assert_int_equal(count, CHILDREN * ROUNDS);
    close(count_fd);
    unlink(count_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lock_that_is_held_is_busy_and_names_its_holder),
        cmocka_unit_test(a_link_a_folder_and_a_missing_folder_are_refused),
        cmocka_unit_test(nonsense_in_the_file_is_an_unknown_holder),
        cmocka_unit_test(a_killed_holder_leaves_its_lock_to_the_next),
        cmocka_unit_test(of_many_that_race_one_at_a_time_has_it),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
