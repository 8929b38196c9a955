/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/wake/signaller.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "arch/wake/eventfd.h"
#include "harness/emulator.h"

static struct vine__signaller signaller;

static int set_up(void **state)
{
    (void)state;
    return vine__signaller_open(&signaller);
}

static int tear_down(void **state)
{
    (void)state;
    vine__signaller_close(&signaller);
    vine__signaller_close(&signaller);
    return 0;
}

static void each_signal_counts(void **state)
{
    uint64_t count = 0;
    int fd;

    (void)state;
    assert_int_equal(vine__eventfd_create(&fd), 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(vine__signaller_signal(&signaller, fd), 0);
    assert_int_equal(vine__eventfd_drain(fd, &count), 0);
    assert_int_equal(count, 1000);
    (void)close(fd);
}

/* A write would sleep here: this test would not end. */
static void a_full_counter_that_blocks_keeps_nobody(void **state)
{
    const uint64_t full = UINT64_MAX - 1;
    int fd;

    (void)state;
    assert_int_equal(vine__eventfd_create(&fd), 0);
    assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(vine__signaller_signal(&signaller, fd), 0);
    (void)close(fd);
}

static void what_is_no_eventfd_is_refused(void **state)
{
    const struct vine__signaller none = {0};
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(vine__signaller_signal(&signaller, fds[1]), -EINVAL);
    assert_int_equal(vine__signaller_signal(&signaller, -1), -EBADF);
    assert_int_equal(vine__signaller_signal(&none, fds[1]), -ENOTCONN);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_signal_counts),
        cmocka_unit_test(a_full_counter_that_blocks_keeps_nobody),
        cmocka_unit_test(what_is_no_eventfd_is_refused),
    };

    if (is_emulated("knows no io_setup"))
        return 77;
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
