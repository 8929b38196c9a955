/* SPDX-License-Identifier: Apache-2.0 */
#include "children.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "utils/tables.h"

#include "console.h"

#define CHILDREN_MAX     64
#define RESTART_AFTER_MS 1000
#define GRACE_MS         5000
#define KILLED_MS        2000

static struct child {
    const char *name; /* NULL: the place is free */
    char **argv;
    pid_t pid; /* 0: it waits for its next start */
    enum child_kind kind;
    int64_t restart_ms; /* when */
} children[CHILDREN_MAX];

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* In the child. */
static _Noreturn void become(const struct child *child)
{
    sigset_t none;

    setsid();
    for (int signal_number = 1; signal_number < NSIG; signal_number++)
        signal(signal_number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (child->kind != CHILD_RUN) {
        const int fd = open("/dev/null", O_RDWR);
        if (fd > 0) {
            dup2(fd, STDIN_FILENO);
            close(fd);
        }
    }
    execv(child->argv[0], child->argv);
    console_say("%s: cannot run %s: %m", child->name, child->argv[0]);
    _exit(127);
}

static void start(struct child *child)
{
    const pid_t pid = fork();

    if (pid == 0)
        become(child);
    if (pid < 0) {
        console_say("%s: cannot start a process: %m", child->name);
        if (child->kind != CHILD_KEEP)
            child->name = NULL;
        child->pid = 0;
        child->restart_ms = now_ms() + RESTART_AFTER_MS;
        return;
    }
    child->pid = pid;
}

void children_start(const char *name, char **argv, enum child_kind kind)
{
    for (size_t i = 0; i < VINE_ARRAY_COUNT(children); i++) {
        if (children[i].name != NULL)
            continue;
        children[i] = (struct child){.name = name, .argv = argv, .kind = kind};
        start(&children[i]);
        return;
    }
    console_say("%s: too many programs run", name);
}

static void has_ended(struct child *child, int status)
{
    if (WIFSIGNALED(status))
        console_say("%s was ended by signal %d", child->name, WTERMSIG(status));
    else
        console_say("%s ended with %d", child->name, WEXITSTATUS(status));
    child->pid = 0;
    child->restart_ms = now_ms() + RESTART_AFTER_MS;
    if (child->kind != CHILD_KEEP)
        child->name = NULL;
}

/* Returns false if there is no process left. */
static bool reap(void)
{
    for (;;) {
        int status;
        const pid_t pid = waitpid(-1, &status, WNOHANG);

        if (pid <= 0)
            return pid == 0 || errno != ECHILD;
        for (size_t i = 0; i < VINE_ARRAY_COUNT(children); i++)
            if (children[i].name != NULL && children[i].pid == pid)
                has_ended(&children[i], status);
    }
}

void children_look(void)
{
    reap();
    for (size_t i = 0; i < VINE_ARRAY_COUNT(children); i++)
        if (children[i].name != NULL && children[i].pid == 0 && children[i].restart_ms <= now_ms())
            start(&children[i]);
}

bool children_are_awaited(void)
{
    for (size_t i = 0; i < VINE_ARRAY_COUNT(children); i++)
        if (children[i].name != NULL && children[i].kind == CHILD_RUN)
            return true;
    return false;
}

int children_patience_ms(void)
{
    const int64_t now = now_ms();
    int patience = -1;

    for (size_t i = 0; i < VINE_ARRAY_COUNT(children); i++) {
        if (children[i].name == NULL || children[i].pid != 0)
            continue;
        const int64_t wait = children[i].restart_ms > now ? children[i].restart_ms - now : 0;
        if (patience < 0 || wait < patience)
            patience = (int)wait;
    }
    return patience;
}

/* Returns whether all processes have ended within this time. */
static bool wait_for_all(int patience_ms)
{
    const int64_t until = now_ms() + patience_ms;
    sigset_t ended;

    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    while (reap()) {
        const int64_t left = until - now_ms();
        if (left <= 0)
            return false;
        sigtimedwait(&ended, NULL,
                     &(struct timespec){.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000});
    }
    return true;
}

void children_end(void)
{
    kill(-1, SIGTERM);
    kill(-1, SIGCONT); /* who stands still hears nothing */
    if (wait_for_all(GRACE_MS))
        return;
    console_say("some programs did not end: killing them");
    kill(-1, SIGKILL);
    if (!wait_for_all(KILLED_MS))
        console_say("some programs cannot be killed");
}
