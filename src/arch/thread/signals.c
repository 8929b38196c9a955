/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/thread/thread.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

bool vine__signal_is_event(int number)
{
    static const int others[] = {SIGSEGV, SIGBUS,  SIGFPE,    SIGILL,  SIGTRAP,
                                 SIGABRT, SIGSYS,  SIGTSTP,   SIGTTIN, SIGTTOU,
                                 SIGCONT, SIGPROF, SIGVTALRM, SIGKILL, SIGSTOP};

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (number == others[i])
            return false;
    /* Between them are two that belong to libc; the last one interrupts threads. */
    return (number >= 1 && number < __SIGRTMIN) || (number >= SIGRTMIN && number < SIGRTMAX);
}

void vine__signals_block(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    for (int number = 1; number <= SIGRTMAX; number++)
        if (vine__signal_is_event(number))
            (void)sigaddset(&set, number);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int vine__signals_open(const int *signals, uint32_t count, int *ret_fd)
{
    sigset_t set;
    int fd;

    (void)sigemptyset(&set);
    for (uint32_t i = 0; i < count; i++)
        if (sigaddset(&set, signals[i]) != 0)
            return -EINVAL;
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

int vine__signals_read(int fd, int *ret_signal)
{
    struct signalfd_siginfo info;
    const ssize_t size = read(fd, &info, sizeof(info));

    if (size < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    if (size != (ssize_t)sizeof(info))
        return -EIO;
    *ret_signal = (int)info.ssi_signo;
    return 0;
}

void vine__signal_let_through(int number)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, number);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void vine__signals_die_of(int number)
{
    (void)signal(number, SIG_DFL);
    vine__signal_let_through(number);
    (void)raise(number);
    _exit(128 + number);
}
