/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine timeout=1200 serial */
/*
 * Real guests, of `vine guest build`, under QEMU without hardware virtualization, and the server of
 * bells as a process of its own between them. Skips where there is no QEMU, no kernel to be had, or
 * no command.
 */
#include "vmm/engine/bells_client.h"

#include "arch/wake/eventfd.h"
#include "harness/folder.h"

#include <vine/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT_MS 300000 /* a hang guard, never reached */
#define QEMU     "qemu-system-x86_64"
#define VECTORS  2
#define FOR_HOST 0

static char folder[] = "/tmp/vine-test-XXXXXX";
static char path[64];
static pid_t server_pid;

/* Run to the end. Returns its exit code, or -1. */
static int run(const char *const *argv)
{
    int status = -1;
    const pid_t pid = fork();

    if (pid == 0) {
        (void)execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

/* Kernel and initrd, with the program in it and what starts it. Returns whether they are there. */
static bool build_guest(void)
{
    static const char lines[] = "run bell /usr/bin/vm_doorbell_guest\npoweroff\n";
    char program[512];
    char output[64];
    char file[64];
    char added[128];
    const char *const build = getenv("VINE_BUILD_DIR");
    const char *const command = getenv("VINE_COMMAND");

    if (build == NULL || command == NULL)
        return false;
    (void)snprintf(program, sizeof(program), "%s/tests/vm_doorbell_guest", build);
    (void)snprintf(output, sizeof(output), "%s/guest", folder);
    (void)snprintf(file, sizeof(file), "%s/init.conf", folder);
    (void)snprintf(added, sizeof(added), "%s:/etc/vine/init.conf", file);
    const int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, lines, sizeof(lines) - 1) != (ssize_t)sizeof(lines) - 1)
        return false;
    (void)close(fd);
    const char *const argv[] = {command, "guest", "build", "--quiet", "--output", output,
                                "--add", program, "--add", added,     NULL};
    return access(program, X_OK) == 0 && run(argv) == 0;
}

static void start_server(void)
{
    const char *const argv[] = {getenv("VINE_COMMAND"), "guest", "bells", "--socket", path, NULL};
    int fd = -1;

    server_pid = fork();
    if (server_pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    for (int error = -1; error != 0;) {
        assert_int_equal(waitpid(server_pid, NULL, WNOHANG), 0);
        error = vine__bells_connect(path, &fd);
    }
    (void)close(fd);
}

static void kill_server(void)
{
    assert_int_equal(kill(server_pid, SIGKILL), 0);
    assert_int_equal(waitpid(server_pid, NULL, 0), server_pid);
}

struct guest {
    pid_t pid;
    int console_fd;
    size_t size;
    char text[4096]; /* of the console, from the first line that was not looked at */
};

static _Noreturn void become_qemu(int socket_fd, int console_fd, const char *options)
{
    char chardev[64];
    char append[256];
    char kernel[64];
    char initrd[64];
    const char *const argv[] = {QEMU,
                                "-M",
                                "q35",
                                "-accel",
                                "tcg,thread=multi",
                                "-m",
                                "256",
                                "-smp",
                                "1",
                                "-nodefaults",
                                "-no-user-config",
                                "-display",
                                "none",
                                "-no-reboot",
                                "-serial",
                                "stdio",
                                "-device",
                                "intel-iommu,intremap=on",
                                "-chardev",
                                chardev,
                                "-device",
                                "ivshmem-doorbell,chardev=bells,vectors=2,addr=3",
                                "-kernel",
                                kernel,
                                "-initrd",
                                initrd,
                                "-append",
                                append,
                                NULL};

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(console_fd, 1);
    (void)dup2(console_fd, 2);
    const int null = open("/dev/null", O_RDONLY);
    (void)dup2(null, 0);
    (void)fcntl(socket_fd, F_SETFD, 0);
    (void)snprintf(chardev, sizeof(chardev), "socket,id=bells,fd=%d", socket_fd);
    (void)snprintf(kernel, sizeof(kernel), "%s/guest/vmlinux", folder);
    (void)snprintf(initrd, sizeof(initrd), "%s/guest/initrd.img", folder);
    (void)snprintf(append, sizeof(append),
                   "console=ttyS0 quiet panic=-1 no_timer_check intel_iommu=on "
                   "vine.doorbell=0000:00:03.0 %s",
                   options);
    (void)execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static void boot(struct guest *guest, int socket_fd, const char *options)
{
    int console[2];

    assert_int_equal(pipe2(console, O_CLOEXEC), 0);
    guest->size = 0;
    guest->pid = fork();
    if (guest->pid == 0)
        become_qemu(socket_fd, console[1], options);
    assert_true(guest->pid > 0);
    (void)close(console[1]);
    (void)close(socket_fd);
    guest->console_fd = console[0];
}

static void end(struct guest *guest)
{
    (void)kill(guest->pid, SIGKILL);
    assert_int_equal(waitpid(guest->pid, NULL, 0), guest->pid);
    (void)close(guest->console_fd);
}

/* The next line of the console that begins with "bell: ", without that. */
static void hear(struct guest *guest, char *ret_line, size_t size)
{
    static const char mark[] = "bell: ";

    for (;;) {
        char *const end_of_line = memchr(guest->text, '\n', guest->size);

        if (end_of_line != NULL) {
            const size_t length = (size_t)(end_of_line - guest->text) + 1;
            char *begin;

            *end_of_line = '\0';
            begin = strstr(guest->text, mark);
            if (begin != NULL)
                (void)snprintf(ret_line, size, "%.*s", (int)strcspn(begin + sizeof(mark) - 1, "\r"),
                               begin + sizeof(mark) - 1);
            else
                printf("%s\n", guest->text);
            memmove(guest->text, guest->text + length, guest->size - length);
            guest->size -= length;
            if (begin != NULL)
                return;
            continue;
        }
        struct pollfd poll_fd = {.fd = guest->console_fd, .events = POLLIN};
        assert_true(guest->size < sizeof(guest->text));
        assert_int_equal(poll(&poll_fd, 1, LIMIT_MS), 1);
        const ssize_t got =
            read(guest->console_fd, guest->text + guest->size, sizeof(guest->text) - guest->size);
        assert_true(got > 0);
        guest->size += (size_t)got;
    }
}

static void hear_line(struct guest *guest, const char *line)
{
    char heard[256];

    hear(guest, heard, sizeof(heard));
    assert_string_equal(heard, line);
}

/* The next whole batch. */
static uint32_t hear_batch(struct guest *guest)
{
    char heard[256];

    do
        hear(guest, heard, sizeof(heard));
    while (strncmp(heard, "batch ", 6) != 0);
    printf("    %s\n", heard);
    char *at = heard + 6;
    (void)strtoul(at, &at, 10);
    assert_memory_equal(at, " lost ", 6);
    return (uint32_t)strtoul(at + 6, NULL, 10);
}

struct pair {
    int control;
    uint32_t ids[2];
    struct guest guests[2];
};

/* Two peers with their guests, of the roles, linked or not. */
static void boot_pair(struct pair *pair, const char *const roles[2], bool are_linked)
{
    static const char *const names[] = {"application", "appliance"};
    char options[64];
    char open[64];
    int fds[2];

    assert_int_equal(vine__bells_connect(path, &pair->control), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(vine__bells_add(pair->control, names[i], VECTORS, &pair->ids[i], &fds[i]),
                         0);
    if (are_linked)
        assert_int_equal(vine__bells_allow(pair->control, pair->ids[0], pair->ids[1]), 0);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(options, sizeof(options), "bell.role=%s bell.peer=%u", roles[i],
                       pair->ids[1 - i]);
        boot(&pair->guests[i], fds[i], options);
    }
    for (int i = 0; i < 2; i++) {
        hear_line(&pair->guests[i], "a second one: EBUSY: another process has the doorbell");
        (void)snprintf(open, sizeof(open), "open as %u with %u", pair->ids[i], VECTORS);
        hear_line(&pair->guests[i], open);
    }
}

static void end_pair(struct pair *pair)
{
    end(&pair->guests[0]);
    end(&pair->guests[1]);
    (void)close(pair->control);
}

static void ring_from_host(const struct pair *pair, uint32_t which)
{
    int event_fd;

    assert_int_equal(vine__bells_event(pair->control, pair->ids[which], FOR_HOST, &event_fd), 0);
    assert_int_equal(vine__eventfd_signal(event_fd), 0);
    (void)close(event_fd);
}

static void guests_wake_one_another_and_survive_the_server(void **state)
{
    static const char *const roles[] = {"ping", "pong"};
    static struct pair pair;
    char heard[256];

    (void)state;
    start_server();
    boot_pair(&pair, roles, true);
    (void)hear_batch(&pair.guests[0]); /* rings may be lost until the other one has a driver */
    for (int i = 0; i < 3; i++)
        assert_int_equal(hear_batch(&pair.guests[0]), 0);
    ring_from_host(&pair, 0);
    do
        hear(&pair.guests[0], heard, sizeof(heard));
    while (strcmp(heard, "the host rang") != 0);

    /* Under load: what they have goes on without the server. */
    kill_server();
    (void)hear_batch(&pair.guests[0]);
    for (int i = 0; i < 3; i++)
        assert_int_equal(hear_batch(&pair.guests[0]), 0);
    end_pair(&pair);

    start_server();
    boot_pair(&pair, roles, true);
    (void)hear_batch(&pair.guests[0]);
    assert_int_equal(hear_batch(&pair.guests[0]), 0);
    /* One ends: the other hears nothing any more, and lives. */
    end(&pair.guests[1]);
    do
        hear(&pair.guests[0], heard, sizeof(heard));
    while (strcmp(heard, "silence") != 0);
    end(&pair.guests[0]);
    (void)close(pair.control);
    kill_server();
}

static void a_guest_reaches_nobody_that_it_is_not_linked_with(void **state)
{
    static const char *const roles[] = {"watch", "knock"};
    static struct pair pair;

    (void)state;
    start_server();
    boot_pair(&pair, roles, false);
    hear_line(&pair.guests[1], "knocked");
    ring_from_host(&pair, 0);
    /* It tells the highest vector first: the knocks would come before this. */
    hear_line(&pair.guests[0], "rung at 0");
    end_pair(&pair);
    kill_server();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guests_wake_one_another_and_survive_the_server),
        cmocka_unit_test(a_guest_reaches_nobody_that_it_is_not_linked_with),
    };
    static const char *const probe[] = {QEMU, "--version", NULL};

    if (run(probe) != 0) {
        printf("skipped: no " QEMU " (package: qemu-system-x86)\n");
        return 77;
    }
    if (folder_make(folder) != 0 || !build_guest()) {
        printf("skipped: no guest can be built here\n");
        return 77;
    }
    (void)snprintf(path, sizeof(path), "%s/bells", folder);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
