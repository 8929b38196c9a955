/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init.c - the first process of a guest: prepares the machine, starts what init.conf says, and
 * powers off when it is told to, with clean disks.
 *
 * It never exits, since the kernel panics if it does. One thread; whatever may go wrong is told on
 * the console, and init goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "button.h"
#include "children.h"
#include "configuration.h"
#include "console.h"
#include "doorbell.h"
#include "modules.h"
#include "mounts.h"
#include "network.h"
#include "watch.h"

#define BUTTONS_MAX 8
#define FILES_MAX   65536

static struct configuration configuration;

static _Noreturn void power_off(void)
{
    sync();
    reboot(RB_POWER_OFF);
    console_say("cannot power off: %m");
    for (;;)
        pause();
}

/* A bug of ours: without this the kernel would panic, and leave disks as they are. Nothing but
 * system calls: what else is broken is not known. */
static void on_fault(int signal_number)
{
    char text[] = "vine-init: init itself failed by signal 00\n";

    text[sizeof(text) - 4] = (char)('0' + signal_number / 10 % 10);
    text[sizeof(text) - 3] = (char)('0' + signal_number % 10);
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    sync();                     /* NOLINT(bugprone-signal-handler): POSIX does not list it */
    (void)reboot(RB_POWER_OFF); /* NOLINT(bugprone-signal-handler): nor this one */
    _exit(EXIT_FAILURE);
}

/* Returns a descriptor that is readable when one of our signals has come, or -1. */
static int prepare_signals(void)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    sigset_t ours;

    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        signal(faults[i], on_fault);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&ours);
    sigaddset(&ours, SIGCHLD);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGINT); /* of Ctrl-Alt-Del, too */
    sigaddset(&ours, SIGPWR);
    sigprocmask(SIG_BLOCK, &ours, NULL);
    reboot(RB_DISABLE_CAD);
    return signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Whether one of the signals that have come asks us to power off. */
static bool take_signals(int fd)
{
    struct signalfd_siginfo signals[16];
    const ssize_t size = read(fd, signals, sizeof(signals));
    bool wanted = false;

    for (ssize_t i = 0; size > 0 && i < size / (ssize_t)sizeof(signals[0]); i++)
        wanted |= signals[i].ssi_signo != SIGCHLD;
    return wanted;
}

static void complain(void *context, unsigned number, const char *why)
{
    (void)context;
    console_say("%s:%u: %s", CONFIGURATION_FILE, number, why);
}

static void read_configuration(void)
{
    static char text[CONFIGURATION_BYTES_MAX + 1];
    const int fd = open(CONFIGURATION_FILE, O_RDONLY | O_CLOEXEC);
    size_t size = 0;
    ssize_t got = 1;

    if (fd < 0) {
        console_say("cannot read %s: %m", CONFIGURATION_FILE);
        return;
    }
    while (got > 0 && size < sizeof(text)) {
        got = read(fd, text + size, sizeof(text) - size);
        if (got > 0)
            size += (size_t)got;
    }
    close(fd);
    if (size > CONFIGURATION_BYTES_MAX) {
        console_say("%s is larger than %d bytes: its end is left out", CONFIGURATION_FILE,
                    CONFIGURATION_BYTES_MAX);
        size = CONFIGURATION_BYTES_MAX;
    }
    configuration_parse(text, size, complain, NULL, &configuration);
}

static void tell(const struct configuration_line *line, int error)
{
    if (error == 0)
        return;
    errno = -error;
    console_say("%s:%u: %s %s: %m", CONFIGURATION_FILE, line->number,
                configuration_keyword(line->kind), line->words[0]);
}

static void do_line(const struct configuration_line *line)
{
    char **const words = line->words;

    switch (line->kind) {
    case LINE_HOSTNAME:
        tell(line, sethostname(words[0], strlen(words[0])) == 0 ? 0 : -errno);
        break;
    case LINE_ENV:
        tell(line, putenv(words[0]) == 0 ? 0 : -ENOMEM);
        break;
    case LINE_NET:
        tell(line, network_set(words[0], words[1]));
        break;
    case LINE_MOUNT:
        tell(line, mounts_add(words[0], words[1], words[2], line->word_count > 3 ? words[3] : ""));
        break;
    case LINE_RUN:
        children_start(words[0], words + 1, CHILD_RUN);
        break;
    case LINE_START:
        children_start(words[0], words + 1, CHILD_START);
        break;
    case LINE_KEEP:
        children_start(words[0], words + 1, CHILD_KEEP);
        break;
    case LINE_WATCH:
        break; /* heeded before the first line */
    case LINE_POWEROFF:
        break; /* its loop's business */
    }
}

/* Do the lines and wait for what happens, until the machine is to be powered off. */
static void serve(int signals)
{
    struct pollfd polls[1 + BUTTONS_MAX] = {{.fd = signals, .events = POLLIN}};
    const size_t poll_count = 1 + button_open(polls + 1, BUTTONS_MAX);
    size_t next = 0;
    bool ended = false;

    if (poll_count == 1)
        console_say("there is no power button");
    while (!ended) {
        while (next < configuration.line_count && !children_are_awaited()) {
            if (configuration.lines[next].kind == LINE_POWEROFF)
                return;
            do_line(&configuration.lines[next++]);
        }
        poll(polls, poll_count, children_patience_ms());
        if (polls[0].revents != 0)
            ended = take_signals(signals);
        for (size_t i = 1; i < poll_count; i++)
            if (polls[i].revents == POLLIN)
                ended |= button_was_pressed(&polls[i]);
            else if (polls[i].revents != 0)
                polls[i].fd = -1; /* the device is gone */
        children_look();
    }
}

static void prepare_machine(void)
{
    struct timespec since_boot;

    umask(022);
    /* Each pipe takes descriptors; 1,024 is what a kernel begins with. */
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){.rlim_cur = FILES_MAX, .rlim_max = FILES_MAX});
    mounts_make_system();
    console_open();
    clock_gettime(CLOCK_BOOTTIME, &since_boot);
    console_say("the kernel was up after %d.%03d s", (int)since_boot.tv_sec,
                (int)(since_boot.tv_nsec / 1000000));
    clearenv();
    putenv("PATH=/usr/bin:/bin");
    putenv("HOME=/root");
    putenv("XDG_RUNTIME_DIR=/run");
    modules_load(MODULES_LIST);
    doorbell_bind();
    if (network_set("lo", "127.0.0.1/8") != 0)
        console_say("cannot raise the interface lo: %m");
}

int main(void)
{
    if (getpid() != 1) {
        fputs("vine-init: this is the first process of a guest (see `vine guest --help`)\n",
              stderr);
        return 2;
    }
    const int signals = prepare_signals();
    prepare_machine();
    read_configuration();
    watch_start(&configuration);
    serve(signals);
    console_say("powering off");
    children_end();
    mounts_end();
    power_off();
}
