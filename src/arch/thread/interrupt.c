/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/thread/thread.h"

#include "arch/guard/guard.h"

#include <errno.h>
#include <signal.h>

static vine__interrupt_fn on_interrupt; /* set before the handler is there */

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
    return sigaction(SIGRTMAX, &action, NULL) == 0 ? 0 : -errno;
}

int vine__interrupt(pthread_t id)
{
    return -pthread_kill(id, SIGRTMAX);
}
