/* SPDX-License-Identifier: Apache-2.0 */
#include "tracing.h"

#include "bench.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "utils/atomic.h"

/* The signal with which it stopped, high bit included for system calls. */
static int wait_for_stop(pid_t pid)
{
    int status = 0;

    bench_require(waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status), "a traced process");
    return WSTOPSIG(status);
}

static void go_on(enum __ptrace_request how, pid_t pid, int signal_number)
{
    bench_require(ptrace(how, pid, NULL, (void *)(intptr_t)signal_number) == 0, "ptrace");
}

/* What to deliver of the signal with which it stopped. */
static int passed_on(int signal_number)
{
    return signal_number == SIGTRAP || signal_number == (SIGTRAP | 0x80) ||
                   signal_number == SIGUSR1 || signal_number == SIGSTOP
               ? 0
               : signal_number;
}

void trace_end(pid_t pid)
{
    (void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
}

void trace_stop(pid_t pid)
{
    bench_require(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0, "interrupt");
    (void)wait_for_stop(pid);
}

void trace_run_to_mark(pid_t pid)
{
    int with = 0;

    do {
        go_on(PTRACE_CONT, pid, passed_on(with));
        with = wait_for_stop(pid);
    } while (with != SIGUSR1);
}

/* ---- steps ----------------------------------------------------------------------------------- */

#if defined(__x86_64__)

#include <sys/user.h>
#include <x86intrin.h>

/* Places of the code, and whether they read the counter: those that were seen. */
#define PLACES 65536u

static struct {
    uint64_t address;
    bool reads_clock;
} places[PLACES];

static uint64_t counter; /* as the traced process sees it */

static bool reads_clock(pid_t pid, uint64_t address)
{
    const size_t place = (address * 0x9e3779b97f4a7c15u) >> 48;

    if (places[place].address != address) {
        const uint64_t code = (uint64_t)ptrace(PTRACE_PEEKTEXT, pid, (void *)address, NULL);

        places[place].address = address;
        places[place].reads_clock =
            (code & 0xffff) == 0x310f || (code & 0xffffff) == 0xf9010f; /* rdtsc, rdtscp */
    }
    return places[place].reads_clock;
}

static void set_register(pid_t pid, size_t offset, uint64_t value)
{
    bench_require(ptrace(PTRACE_POKEUSER, pid, (void *)offset, (void *)value) == 0, "register");
}

/* One step; returns the signal that it ended with. */
static int step(pid_t pid, int with)
{
    const uint64_t address = (uint64_t)ptrace(PTRACE_PEEKUSER, pid,
                                              (void *)offsetof(struct user_regs_struct, rip), NULL);
    const bool is_clock = reads_clock(pid, address);

    go_on(PTRACE_SINGLESTEP, pid, passed_on(with));
    with = wait_for_stop(pid);
    counter++;
    if (is_clock) {
        set_register(pid, offsetof(struct user_regs_struct, rax), counter & UINT32_MAX);
        set_register(pid, offsetof(struct user_regs_struct, rdx), counter >> 32);
    }
    return with;
}

/* Other processes have other code at the same places; time goes on. */
static void begin_steps(void)
{
    const uint64_t now = __rdtsc();

    memset(places, 0, sizeof(places));
    counter = counter > now ? counter : now;
}

#else

static int step(pid_t pid, int with)
{
    go_on(PTRACE_SINGLESTEP, pid, passed_on(with));
    return wait_for_stop(pid);
}

static void begin_steps(void)
{
}

#endif

bool trace_begin(pid_t pid)
{
    if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)(intptr_t)PTRACE_O_TRACESYSGOOD) != 0)
        return false;
    trace_stop(pid);
    begin_steps();
    return true;
}

uint64_t trace_step_to_mark(pid_t pid)
{
    uint64_t steps = 0;
    int with = 0;

    do {
        with = step(pid, with);
        steps++;
    } while (with != SIGUSR1);
    return steps;
}

uint64_t trace_step_to_value(pid_t pid, const uint64_t *word, uint64_t value)
{
    uint64_t steps = 0;
    int with = 0;

    while (vine__load_relaxed_u64(word) < value) {
        with = step(pid, with);
        steps++;
    }
    return steps;
}

/* ---- system calls ---------------------------------------------------------------------------- */

static bool is_look(uint64_t number)
{
    return
#ifdef SYS_epoll_wait
        number == SYS_epoll_wait ||
#endif
        number == SYS_epoll_pwait || number == SYS_epoll_pwait2;
}

static void count_call(pid_t pid, struct trace_calls *calls)
{
    struct __ptrace_syscall_info info;

    bench_require(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) > 0, "call");
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
        return;
    if (is_look(info.entry.nr))
        calls->looks++;
    else if (info.entry.nr == SYS_sched_yield)
        calls->offers++;
    else if (info.entry.nr == SYS_membarrier)
        calls->barriers++;
    else
        calls->others++;
}

void trace_calls_until(pid_t pid, bool (*is_over)(void *context), void *context,
                       struct trace_calls *ret_calls)
{
    int with = 0;

    *ret_calls = (struct trace_calls){0};
    for (;;) {
        go_on(PTRACE_SYSCALL, pid, passed_on(with));
        with = wait_for_stop(pid);
        if (with == (SIGTRAP | 0x80))
            count_call(pid, ret_calls);
        if (with == SIGUSR1 || (is_over != NULL && is_over(context)))
            return;
    }
}

void trace_calls_to_mark(pid_t pid, struct trace_calls *ret_calls)
{
    trace_calls_until(pid, NULL, NULL, ret_calls);
}
