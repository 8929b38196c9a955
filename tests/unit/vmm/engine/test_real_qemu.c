/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine */
/*
 * What the other tests take from a QEMU of their own making, with the real one: a machine as root
 * runs it, as nobody and in QEMU's sandbox.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <sys/stat.h>

#include <vine/error.h>

#include "machine_world.h"
#include "tiny_guest.h"
#include "vmm/engine/console.h"

#define NOBODY 65534

static char kernel[64], log_path[64], link_path[64];

static bool has_qemu(void)
{
    return system("command -v qemu-system-x86_64 >/dev/null") == 0; /* NOLINT(cert-env33-c) */
}

static struct vine__machine_description describe_real(const char *name)
{
    struct vine__machine_description description = describe(name);

    description.qemu = NULL;
    description.kernel = kernel;
    description.console = VINE__CONSOLE_PTY;
    description.console_log = log_path;
    description.console_log_bytes = 1 << 20;
    description.console_link = link_path;
    return description;
}

static struct vine__machine *begin_real(const char *name)
{
    const struct vine__machine_description description = describe_real(name);
    const uid_t nobody = geteuid() == 0 ? NOBODY : 0;
    struct vine__machine *const machine = make_of(
        &description, (struct vine__machine_options){.user_id = nobody, .group_id = nobody});

    start(machine);
    (void)expect(machine, VINE__MACHINE_STARTED);
    return machine;
}

/* Read until what was awaited was said. */
static void await_text(int fd, const char *expected)
{
    char said[4096] = "";
    size_t size = 0;

    while (strstr(said, expected) == NULL) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};

        assert_int_equal(poll(&ready, 1, (int)(GUARD_NS / 1000000)), 1);
        const ssize_t count = read(fd, said + size, sizeof(said) - 1 - size);

        if (count <= 0)
            fail_msg("'%s' and no '%s': %s", said, expected, strerror(errno));
        size += (size_t)count;
        said[size] = '\0';
    }
}

static void a_console_is_heard_and_hears(void **state)
{
    struct stat status;

    (void)state;
    if (!has_qemu())
        skip();
    struct vine__machine *const machine = begin_real("pty");
    const int fd = open(link_path, O_RDWR | O_NOCTTY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_uid, geteuid());
    /* What it said before somebody came is in the log; it may hear from the second byte on. */
    while (vine__console_log_tail(log_path, (char[64]){0}, 64) < strlen(TINY_GUEST_SAYS))
        (void)poll(NULL, 0, 10);
    assert_int_equal(write(fd, "one\ntwo\n", 8), 8);
    await_text(fd, "two");
    char said[4096] = "";

    /* QEMU writes to the terminal first. */
    while (strstr(said, "two") == NULL)
        said[vine__console_log_tail(log_path, said, sizeof(said) - 1)] = '\0';
    assert_memory_equal(said, TINY_GUEST_SAYS, strlen(TINY_GUEST_SAYS));
    assert_int_equal(close(fd), 0);
    assert_int_equal(vine__machine_quit(machine), 0);
    expect_end(machine, VINE__END_QUIT, "");
    assert_int_equal(access(link_path, F_OK), -1);
    vine__machine_close(machine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_console_is_heard_and_hears),
    };

    if (folder_make(folder) != 0 || chmod(folder, 0711) != 0)
        return 1;
    (void)snprintf(kernel, sizeof(kernel), "%s/tiny", folder);
    (void)snprintf(log_path, sizeof(log_path), "%s/log", folder);
    (void)snprintf(link_path, sizeof(link_path), "%s/console", folder);
    if (tiny_guest_write(kernel) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
