/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/thread/thread.h"

#include "arch/guard/guard.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>

static vine__interrupt_fn on_interrupt; /* set before the handler is there */
static bool is_ours;                    /* whether the signal is */

static void handle(int number, siginfo_t *info, void *context)
{
    /* First: the rights of what was interrupted may be those of one heap. */
    vine__guard_take_rights();

    const int error_before = errno;

    (void)number;
    (void)info;
    on_interrupt(context);
    errno = error_before;
}

int vine__interrupts_open(vine__interrupt_fn fn)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};

    on_interrupt = fn;
    action.sa_sigaction = handle;
    (void)sigfillset(&action.sa_mask);
    is_ours = sigaction(SIGRTMAX, &action, NULL) == 0;
    /* valgrind keeps that signal for itself, and says that there is none. */
    return is_ours || errno == EINVAL ? 0 : -errno;
}

int vine__interrupt(pthread_t id)
{
    return is_ours ? -pthread_kill(id, SIGRTMAX) : -ENOTSUP;
}
