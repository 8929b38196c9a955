/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults. The handler decides by where the code was: text that is listed as a service's, or a leaf
 * that such text called, holds nothing that others wait for, so that its stack can be abandoned
 * where it is. Everything else may hold a lock.
 *
 * Nothing is jumped out of: the handler changes where it returns to, and the kernel gives back the
 * signal mask and the alternate stack as it always does.
 */
#include "arch/guard/guard_internal.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 256

static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
static const char *const signal_names[] = {"SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL"};
#define SIGNAL_COUNT (sizeof(signals) / sizeof(signals[0]))

static struct sigaction before[SIGNAL_COUNT]; /* ours were installed */

/* ---- the end of the process ------------------------------------------------------------------ */

static char *put_text(char *at, const char *end, const char *text)
{
    while (*text != '\0' && at < end)
        *at++ = *text++;
    return at;
}

static char *put_hex(char *at, const char *end, uintptr_t value)
{
    char digits[2 * sizeof(value)];
    size_t count = 0;

    do {
        digits[count++] = "0123456789abcdef"[value % 16];
        value /= 16;
    } while (value != 0);
    at = put_text(at, end, "0x");
    while (count > 0 && at < end)
        *at++ = digits[--count];
    return at;
}

/* On standard error, for nobody else can be asked to any more. */
static void tell(size_t index, const siginfo_t *info, const ucontext_t *context)
{
    char line[LINE_BYTES];
    const char *const end = line + sizeof(line) - 1;
    char *at = put_text(line, end, "vine: ");

    at = put_text(at, end, signal_names[index]);
    at = put_text(at, end, " at ");
    at = put_hex(at, end, vine__guard_context_pc(context));
    at = put_text(at, end, ", address ");
    at = put_hex(at, end, (uintptr_t)info->si_addr);
    at = put_text(at, end, ": not in a service's own code, so the process ends\n");
    (void)!write(STDERR_FILENO, line, (size_t)(at - line));
}

/* It goes to who handled it before us, or to the kernel, which ends the process when the handler
 * returns: by the same instruction, or by the signal anew where somebody sent it. */
static void pass_on(int number, siginfo_t *info, void *context)
{
    const struct sigaction fallback = {.sa_handler = SIG_DFL};
    size_t index = 0;

    while (signals[index] != number)
        index++;

    const struct sigaction *const action = &before[index];

    if ((action->sa_flags & SA_SIGINFO) != 0) {
        action->sa_sigaction(number, info, context);
        return;
    }
    if (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN) {
        action->sa_handler(number);
        return;
    }
    if (action->sa_handler == SIG_IGN && info->si_code <= 0)
        return;
    tell(index, info, context);
    (void)sigaction(number, &fallback, NULL);
    if (info->si_code <= 0)
        (void)raise(number);
}

/* ---- faults of services ---------------------------------------------------------------------- */

static bool stack_has(const struct vine__guard_thread *thread, uintptr_t address)
{
    return address >= (uintptr_t)thread->stack &&
           address <= (uintptr_t)thread->stack_end - sizeof(uintptr_t);
}

/* Who called a leaf, or jumped to where no code is, is the one that tells. */
static bool is_contained(const struct vine__guard_thread *thread, const ucontext_t *context)
{
    const uintptr_t pc = vine__guard_context_pc(context);

    if (vine__guard_text_has(pc))
        return true;
    if (!vine__guard_leaf_has(pc) && !vine__guard_context_is_fetch(context))
        return false;
    if (!stack_has(thread, vine__guard_context_sp(context)))
        return false;

    const uintptr_t caller = vine__guard_context_return(context);

    return vine__guard_text_has(caller) || vine__guard_switch_has(caller);
}

static void handle(int number, siginfo_t *info, void *context)
{
    /* Before anything else: what follows reads the runtime's memory. */
    vine__guard_take_rights();

    struct vine__guard_thread *const thread = vine__guard_current;
    const int error_before = errno;

    /* A signal that somebody sent is no fault, wherever it came in. */
    if (info->si_code <= 0 || thread == NULL || thread->region == NULL ||
        !is_contained(thread, context)) {
        pass_on(number, info, context);
        errno = error_before;
        return;
    }

    const uintptr_t address = (uintptr_t)info->si_addr;

    thread->fault = (struct vine__guard_fault){
        .signal = number,
        .code = info->si_code,
        .address = address,
        .pc = vine__guard_context_pc(context),
        .is_stack_overflow = number == SIGSEGV &&
                             (uintptr_t)thread->stack - 1 - address < VINE__GUARD_STACK_GUARD_BYTES,
    };
    vine__guard_context_abandon(context);
    errno = error_before;
}

int vine__guard_faults_open(void)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};

    vine__guard_leaves_open();
    action.sa_sigaction = handle;
    (void)sigfillset(&action.sa_mask);
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        struct sigaction now;

        if (sigaction(signals[i], NULL, &now) != 0)
            return -errno;
        if ((now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == handle)
            continue;
        before[i] = now;
        if (sigaction(signals[i], &action, NULL) != 0)
            return -errno;
    }
    return 0;
}

void vine__guard_take_rights(void)
{
    if (vine__guard.kind == VINE__GUARD_PKU)
        vine__guard_rights_write(vine__guard_rights_outside);
}
