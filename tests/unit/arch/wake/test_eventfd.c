/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/wake/eventfd.h"
#include "harness/emulator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void draining_what_nobody_signalled_is_eagain(void **state)
{
    (void)state;
    int fd;
    uint64_t count = 77;
    assert_int_equal(vine__eventfd_create(&fd), 0);
    assert_int_equal(vine__eventfd_drain(fd, &count), -EAGAIN);
    assert_int_equal(count, 77);
    close(fd);
}

static void what_is_not_an_eventfd_is_refused(void **state)
{
    (void)state;
    skip_if_emulated("has limits of its own for descriptors");
    uint64_t count = 77;
    assert_int_equal(vine__eventfd_drain(-1, &count), -EBADF);
    assert_int_equal(vine__eventfd_signal(-1), -EBADF);
    assert_int_equal(count, 77);
}

static void draining_does_not_sleep_though_another_holder_made_it_blocking(void **state)
{
    (void)state;
    int fd;
    uint64_t count;
    assert_int_equal(vine__eventfd_create(&fd), 0);
    const int theirs = dup(fd);
    assert_int_equal(fcntl(theirs, F_SETFL, 0), 0);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(vine__eventfd_drain(fd, &count), -EAGAIN);
    assert_int_equal(vine__eventfd_signal(theirs), 0);
    assert_int_equal(vine__eventfd_drain(fd, &count), 0);
    assert_int_equal(count, 1);
    close(theirs);
    close(fd);
}

static void a_full_counter_counts_as_signalled(void **state)
{
    (void)state;
    int fd;
    uint64_t count = UINT64_MAX - 1;
    assert_int_equal(vine__eventfd_create(&fd), 0);
    assert_int_equal(write(fd, &count, sizeof(count)), sizeof(count));
    assert_int_equal(vine__eventfd_signal(fd), 0);
    assert_int_equal(vine__eventfd_drain(fd, &count), 0);
    assert_true(count == UINT64_MAX - 1);
    close(fd);
}

static void signals_add_up_and_are_taken_at_once(void **state)
{
    (void)state;
    int fd;
    uint64_t count;
    assert_int_equal(vine__eventfd_create(&fd), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(vine__eventfd_signal(fd), 0);
    assert_int_equal(vine__eventfd_drain(fd, &count), 0);
    assert_int_equal(count, 3);
    assert_int_equal(vine__eventfd_drain(fd, &count), -EAGAIN);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draining_what_nobody_signalled_is_eagain),
        cmocka_unit_test(what_is_not_an_eventfd_is_refused),
        cmocka_unit_test(draining_does_not_sleep_though_another_holder_made_it_blocking),
        cmocka_unit_test(a_full_counter_counts_as_signalled),
        cmocka_unit_test(signals_add_up_and_are_taken_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
