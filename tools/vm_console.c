/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_console.c - `vine vm console`: this terminal as the console of a VM.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "json.h"
#include "message.h"
#include "status.h"
#include "vm_text.h"
#include "vm_verbs.h"

#define ESCAPE 0x1d /* Ctrl-] */

struct console_values {
    const char *socket;
    bool no_history;
    bool json;
};

struct console {
    int fd;
    bool is_typed;  /* somebody sits there: Ctrl-] leaves */
    bool has_input; /* standard input has not ended */
    bool has_left;
    size_t pending; /* typed, and not taken by the guest yet */
    char typed[256];
};

/* ---- the terminal ---------------------------------------------------------------------------- */

static struct termios before; /* for whatever ends us */
static volatile sig_atomic_t ended_by;
static volatile sig_atomic_t is_to_stop;

static void note_signal(int signal)
{
    if (signal == SIGTSTP)
        is_to_stop = 1;
    else
        ended_by = signal;
}

/* Those that can be caught end the loop, or have it stop for a while; the terminal is given back
 * before. They are let in while it waits, and nowhere else. */
static void catch_signals(sigset_t *ret_outside)
{
    static const int signals[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT,
                                  SIGALRM, SIGUSR1, SIGUSR2, SIGTSTP};
    struct sigaction action = {.sa_handler = note_signal};
    sigset_t set;

    sigemptyset(&set);
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        (void)sigaction(signals[i], &action, NULL);
        (void)sigaddset(&set, signals[i]);
    }
    (void)sigprocmask(SIG_BLOCK, &set, ret_outside);
}

static void make_raw(struct console *console)
{
    struct termios raw;

    console->is_typed = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
    if (!console->is_typed)
        return;
    message_note("Ctrl-] leaves the console; the VM goes on");
    raw = before;
    cfmakeraw(&raw);
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
}

static void give_back(const struct console *console)
{
    if (!console->is_typed)
        return;
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    fputs("\n", stdout);
    (void)fflush(stdout);
}

/* Until somebody has us go on. */
static void stop(struct console *console)
{
    is_to_stop = 0;
    give_back(console);
    (void)raise(SIGSTOP);
    make_raw(console);
}

/* ---- both ways ------------------------------------------------------------------------------- */

static void send_typed(struct console *console)
{
    const ssize_t sent = write(console->fd, console->typed, console->pending);

    if (sent > 0) {
        console->pending -= (size_t)sent;
        memmove(console->typed, console->typed + sent, console->pending);
    } else if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        console->pending = 0;
        console->has_input = false;
    }
}

static void take_typed(struct console *console)
{
    const ssize_t got = read(STDIN_FILENO, console->typed, sizeof(console->typed));
    const char *escape = NULL;

    if (got <= 0) {
        console->has_input = got < 0 && (errno == EAGAIN || errno == EINTR);
        return;
    }
    if (console->is_typed)
        escape = memchr(console->typed, ESCAPE, (size_t)got);
    console->has_left = escape != NULL;
    console->pending = escape != NULL ? (size_t)(escape - console->typed) : (size_t)got;
    send_typed(console);
}

/* Returns whether there may be more. A pty says -EIO when its other end has gone. */
static bool take_said(const struct console *console)
{
    char bytes[4096];
    const ssize_t got = read(console->fd, bytes, sizeof(bytes));

    if (got <= 0)
        return got < 0 && (errno == EAGAIN || errno == EINTR);
    (void)fwrite(bytes, 1, (size_t)got, stdout);
    return fflush(stdout) == 0;
}

static void go_on(struct console *console, const sigset_t *outside)
{
    bool is_there = true;

    while (is_there && !console->has_left && ended_by == 0) {
        struct pollfd fds[] = {
            {.fd = console->fd, .events = (short)(POLLIN | (console->pending > 0 ? POLLOUT : 0))},
            {.fd = console->has_input && console->pending == 0 ? STDIN_FILENO : -1,
             .events = POLLIN},
        };

        if (ppoll(fds, 2, NULL, outside) < 0) {
            if (is_to_stop != 0 && ended_by == 0)
                stop(console);
            continue;
        }
        if ((fds[0].revents & POLLOUT) != 0)
            send_typed(console);
        if ((fds[0].revents & ~POLLOUT) != 0)
            is_there = take_said(console);
        if (fds[1].revents != 0)
            take_typed(console);
    }
    if (!is_there && console->is_typed)
        fputs("\r\n", stdout);
    if (!is_there)
        message_note("the console has ended");
}

/* ---- the console ----------------------------------------------------------------------------- */

/* In a folder for all, anybody may have put a terminal of his own in its place. */
static int check_link(const char *path, uint32_t server_user)
{
    struct stat link;

    if (lstat(path, &link) != 0) {
        message_error("%s: %m", message_escape(path));
        return STATUS_FAILED;
    }
    if (S_ISLNK(link.st_mode) && link.st_uid != server_user && link.st_uid != 0) {
        message_error("%s: it is not the server's", message_escape(path));
        return STATUS_DENIED;
    }
    return STATUS_DONE;
}

/* A terminal device and nothing else. What it has kept from before is of no use: QEMU says no more
 * to a terminal that it knows nobody has open, and so that is a piece of what was said. */
static int open_console(const char *path, int *ret_fd)
{
    const int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0) {
        message_error("%s: %m", message_escape(path));
        return errno == EACCES ? STATUS_DENIED : STATUS_FAILED;
    }
    if (isatty(fd) == 0) {
        message_error("%s: it is no terminal", message_escape(path));
        (void)close(fd);
        return STATUS_FAILED;
    }
    (void)tcflush(fd, TCIFLUSH);
    *ret_fd = fd;
    return STATUS_DONE;
}

/* Where it is, as the server says, which is asked first: of one that is off there is none. */
static int find_of(struct vm_server *server, const struct vm *vm, char **ret_path)
{
    char *path;
    int status = vm_console_get(server, vm->uid, &path);

    if (status != STATUS_DONE)
        return status;
    status = check_link(path, vm_server_user(server));
    if (status == STATUS_DONE)
        *ret_path = path;
    else
        free(path);
    return status;
}

/*
 * The log has what was said before we opened the terminal, and since then both have it: where the
 * log ends as the terminal begins, that is the same, and shown once. What is in the log and on its
 * way to the terminal at this moment comes twice; nothing is missing.
 */
static void show_history(const char *log, size_t size, int fd)
{
    static char said[128 << 10];
    size_t count = 0, both;
    ssize_t got;

    while (count < sizeof(said) && (got = read(fd, said + count, sizeof(said) - count)) > 0)
        count += (size_t)got;
    both = count < size ? count : size;
    while (memcmp(log + size - both, said, both) != 0)
        both--;
    vm_text_print(log, size);
    (void)fwrite(said + both, 1, count - both, stdout);
    (void)fflush(stdout);
}

static int open_with_history(const struct console_values *values, struct vm_server *server,
                             const struct vm *vm, const char *path, int *ret_fd)
{
    char *log = NULL;
    size_t size = 0;
    int fd;
    int status = open_console(path, &fd);

    if (status == STATUS_DONE && !values->no_history) {
        status = vm_log_get(server, vm->uid, 0, &log, &size);
        if (status == STATUS_DONE)
            show_history(log, size, fd);
        else
            (void)close(fd);
        free(log);
    }
    if (status == STATUS_DONE)
        *ret_fd = fd;
    return status;
}

/* The console, open; or with --json told, and -1. */
static int find(const struct console_values *values, const char *operand, int *ret_fd)
{
    struct vm_server *server;
    char *path = NULL;
    struct vm vm;
    int status = vm_open(values->socket, operand, &server, &vm);

    if (status != STATUS_DONE)
        return status;
    status = find_of(server, &vm, &path);
    if (status == STATUS_DONE && values->json) {
        json_t *const object = json_object();

        json_set_name(object, "console", path);
        status = json_print(object);
    } else if (status == STATUS_DONE) {
        status = open_with_history(values, server, &vm, path, ret_fd);
    }
    vm_server_close(server);
    free(path);
    return status;
}

static int run_console(const struct arguments *arguments)
{
    struct console console = {.fd = -1, .has_input = true};
    sigset_t outside;
    const int status = find(arguments->values, arguments->operands[0], &console.fd);

    if (status != STATUS_DONE || console.fd < 0)
        return status;
    catch_signals(&outside);
    make_raw(&console);
    go_on(&console, &outside);
    give_back(&console);
    (void)close(console.fd);
    return ended_by != 0 ? 128 + ended_by : STATUS_DONE;
}

#define VALUE(field) .offset = offsetof(struct console_values, field)

static const struct option console_options[] = {
    VM_SOCKET_OPTION(struct console_values),
    {.name = "no-history",
     .kind = OPTION_FLAG,
     VALUE(no_history),
     .help = "do not show first what was said before"},
    {.name = "json",
     .kind = OPTION_FLAG,
     VALUE(json),
     .help = "print where the console is as JSON, and no more"},
};

#undef VALUE

static const char *const console_description[] = {
    "Shows what the guest of VM has said, as `vine vm log` does, and then makes this terminal its "
    "console, until Ctrl-] is typed or the VM ends; the terminal is then what it was, also when a "
    "signal ended us that can be caught, or stopped us until we go on (SIGTSTP, SIGCONT). "
    "Meanwhile what the guest says comes as it is, so that it "
    "controls the terminal as whoever sits behind a serial line does. Where standard input is no "
    "terminal, its bytes go to the guest as they are.",
    NULL,
};

const struct verb verb_vm_console = {
    .name = "vm console",
    .synopsis = "VM",
    .description = console_description,
    .options = console_options,
    .option_count = sizeof(console_options) / sizeof(console_options[0]),
    .values_size = sizeof(struct console_values),
    .operands_min = 1,
    .operands_max = 1,
    .hints = {COMPLETE_VM},
    .run = run_console,
};
