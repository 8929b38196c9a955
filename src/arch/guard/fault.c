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
static vine__guard_ending_fn ending;          /* or NULL */

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

void vine__guard_at_end(vine__guard_ending_fn fn)
{
    ending = fn;
}

const char *vine__guard_signal_name(int number)
{
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        if (signals[i] == number)
            return signal_names[i];
    return number == SIGXCPU ? "SIGXCPU" : "a signal";
}

/* On standard error, for nobody else can be asked to any more; and to who wants to know. */
void vine__guard_tell_end(const struct vine__guard_fault *fault, bool is_inside, const char *why)
{
    char line[LINE_BYTES];
    const char *const end = line + sizeof(line) - 1;
    char *at = put_text(line, end, "vine: ");

    at = put_text(at, end, vine__guard_signal_name(fault->signal));
    at = put_text(at, end, " at ");
    at = put_hex(at, end, fault->pc);
    at = put_text(at, end, ", address ");
    at = put_hex(at, end, fault->address);
    at = put_text(at, end, ": ");
    at = put_text(at, end, why);
    at = put_text(at, end, ", so the process ends\n");
    (void)!write(STDERR_FILENO, line, (size_t)(at - line));
    if (ending != NULL)
        ending(fault, is_inside);
}

static struct vine__guard_fault describe(const siginfo_t *info, const ucontext_t *context)
{
    return (struct vine__guard_fault){
        .signal = info->si_signo,
        .code = info->si_code,
        .address = (uintptr_t)info->si_addr,
        .pc = vine__guard_context_pc(context),
    };
}

/* It goes to who handled it before us, or to the kernel, which ends the process when the handler
 * returns: by the same instruction, or by the signal anew where somebody sent it. */
static void pass_on(int number, siginfo_t *info, void *context, bool is_inside)
{
    const struct vine__guard_fault fault = describe(info, context);
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
    vine__guard_tell_end(&fault, is_inside, "not in a service's own code");
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
bool vine__guard_is_contained(const struct vine__guard_thread *thread, const ucontext_t *context,
                              bool is_strict)
{
    bool (*const has)(uintptr_t) = is_strict ? vine__guard_text_is_added : vine__guard_text_has;
    const uintptr_t pc = vine__guard_context_pc(context);

    if (thread->is_outside)
        return false;
    if (has(pc))
        return true;
    if (!vine__guard_leaf_has(pc) && !vine__guard_context_is_fetch(context))
        return false;
    if (!stack_has(thread, vine__guard_context_sp(context)))
        return false;

    const uintptr_t caller = vine__guard_context_return(context);

    return has(caller) || vine__guard_switch_has(caller);
}

void vine__guard_abandon(struct vine__guard_thread *thread, const struct vine__guard_fault *fault,
                         ucontext_t *context)
{
    thread->fault = *fault;
    vine__guard_context_abandon(context);
}

static void handle(int number, siginfo_t *info, void *context)
{
    /* Before anything else: what follows reads the runtime's memory. */
    vine__guard_take_rights();

    struct vine__guard_thread *const thread = vine__guard_current;
    const int error_before = errno;

    const bool is_inside = thread != NULL && thread->region != NULL;

    /* A signal that somebody sent is no fault, wherever it came in. */
    if (info->si_code <= 0 || !is_inside || !vine__guard_is_contained(thread, context, false)) {
        pass_on(number, info, context, is_inside);
        errno = error_before;
        return;
    }

    struct vine__guard_fault fault = describe(info, context);

    fault.is_stack_overflow = number == SIGSEGV && (uintptr_t)thread->stack - 1 - fault.address <
                                                       VINE__GUARD_STACK_GUARD_BYTES;
    vine__guard_abandon(thread, &fault, context);
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
    /* Whatever guards heaps: memory is closed where there are keys. */
    if (vine__guard.keys.colour_count != 0)
        vine__guard_rights_write(vine__guard_rights_outside);
}
