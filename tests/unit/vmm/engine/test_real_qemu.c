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
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "machine_world.h"
#include "tiny_guest.h"
#include "vmm/engine/adoption.h"
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
    if (!has_qemu()) {
        print_message("skipped: there is no qemu-system-x86_64\n");
        skip();
    }
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

/* ---- a predecessor that is killed ------------------------------------------------------------ */

struct left {
    struct vine__machine_identity identity;
    int pages[VINE__MACHINE_PAGES];
    int links[2][2];
};

static const uint64_t sizes[2] = {4096, MIB};
static const char *const names[2] = {"cold", "hot"};

/* One link from the start, and one while it runs; then wait for the end. */
static void predecessor(int answer_fd)
{
    const struct vine__machine_description description = describe_real("heir");
    const uid_t nobody = geteuid() == 0 ? NOBODY : 0;
    struct vine__machine *const machine = make_of(
        &description, (struct vine__machine_options){.user_id = nobody, .group_id = nobody});
    struct vine__machine_link *links[2];
    struct left left;
    uint32_t place;

    for (int i = 0; i < 2; i++)
        assert_int_equal(vine__machine_link_create(names[i], sizes, &links[i]), 0);
    assert_int_equal(vine__machine_link_attach(links[0], 0, machine, 0, &place), 0);
    start(machine);
    (void)expect(machine, VINE__MACHINE_STARTED);
    assert_int_equal(vine__machine_link_attach(links[1], 1, machine, 1, &place), 0);
    (void)expect(machine, VINE__MACHINE_PLUGGED);
    assert_int_equal(vine__machine_identify(machine, &left.identity), 0);
    vine__machine_pages(machine, left.pages);
    for (uint32_t i = 0; i < 4; i++)
        left.links[i / 2][i % 2] = vine__machine_link_fd(links[i / 2], i % 2);
    assert_int_equal(write(answer_fd, &left, sizeof(left)), sizeof(left));
    for (;;)
        (void)pause();
}

/* A descriptor of another process, as who keeps them has them. */
static int take(pid_t pid, int fd)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
    const int taken = open(path, O_RDWR | O_CLOEXEC);

    assert_true(taken >= 0);
    return taken;
}

static void who_comes_after_one_that_was_killed_finds_all_of_it(void **state)
{
    const struct vine__machine_description description = describe_real("heir");
    const struct rlimit seconds = {300, 300}; /* of work, if the test should leave it */
    struct vine__machine_link *links[2];
    struct vine_status_link before[2];
    struct left left;
    char why[256] = "";
    int ends[2];
    uint32_t place;

    (void)state;
    if (!has_qemu()) {
        print_message("skipped: there is no qemu-system-x86_64\n");
        skip();
    }
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    const pid_t pid = fork();

    if (pid == 0) {
        (void)setrlimit(RLIMIT_CPU, &seconds);
        predecessor(ends[1]);
    }
    assert_int_equal(close(ends[1]), 0);
    assert_int_equal(read(ends[0], &left, sizeof(left)), sizeof(left));
    for (int i = 0; i < VINE__MACHINE_PAGES; i++)
        left.pages[i] = take(pid, left.pages[i]);
    for (int i = 0; i < 4; i++)
        left.links[i / 2][i % 2] = take(pid, left.links[i / 2][i % 2]);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    /* What its guest has before its eyes. */
    const struct vine_status_page *const page =
        mmap(NULL, VINE_STATUS_PAGE_BYTES, PROT_READ, MAP_SHARED, left.pages[0], 0);

    assert_ptr_not_equal(page, MAP_FAILED);
    memcpy(before, page->links, sizeof(before));

    struct vine__machine *const machine = make_of(&description, DEFAULTS);

    if (vine__machine_adopt(machine, &left.identity, left.pages, why, sizeof(why)) != 0)
        fail_msg("%s", why);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(vine__machine_link_adopt(names[i], sizes, left.links[i], &links[i]), 0);
        assert_int_equal(vine__machine_link_attach(links[i], (enum vine_status_end)i, machine,
                                                   VINE__MACHINE_LINK_ANY_PLACE, &place),
                         0);
        assert_int_equal(place, i);
    }
    (void)expect(machine, VINE__MACHINE_STARTED);
    assert_int_equal(vine__machine_pid(machine), left.identity.pid);
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(page->links[i].sequence > before[i].sequence);
        before[i].sequence = page->links[i].sequence;
        assert_memory_equal(&page->links[i], &before[i], sizeof(before[i]));
    }
    const int fd = open(link_path, O_RDWR | O_NOCTTY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "three\n", 6), 6);
    await_text(fd, "three");
    assert_int_equal(close(fd), 0);
    /* Its guest does not hear the button. */
    assert_int_equal(vine__machine_quit(machine), 0);
    expect_end(machine, VINE__END_QUIT, "");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(vine__machine_link_side(links[i], (enum vine_status_end)i).state,
                         VINE_STATUS_LOST);
        vine__machine_link_close(links[i]);
    }
    vine__machine_close(machine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_console_is_heard_and_hears),
        cmocka_unit_test(who_comes_after_one_that_was_killed_finds_all_of_it),
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
