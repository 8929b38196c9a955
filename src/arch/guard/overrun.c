/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs that take too long. A timer of the thread's own processor time ticks a few times within the
 * limit, so that a thread that sleeps is never woken and a run costs one addition: a run that is
 * seen at that many ticks, one after the other, has had its time.
 *
 * It is abandoned as by a fault if it is in text that holds nothing. Otherwise the timer ticks
 * faster until it is seen there: at first in the service's own text, where no list of its heap is
 * half changed, after a while in the runtime's for inside, too. Who is seen in neither for several
 * times the limit never comes back from a library, and then the process ends.
 */
#include "arch/guard/guard_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TICKS          4U  /* within the limit */
#define STRICT_TICKS   32U /* fast ones after it, in which only the service's own text will do */
#define PATIENCE       3U  /* so many times the limit passes before the process ends */
#define FAST_NS        UINT64_C(2000000)
#define TICK_LEAST_NS  UINT64_C(1000000)
#define NS_PER_SECOND  UINT64_C(1000000000)
#define OVERRUN_SIGNAL SIGVTALRM

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static uint64_t slow_ns(void)
{
    const uint64_t ns = vine__guard.run_ns / TICKS;

    return ns > TICK_LEAST_NS ? ns : TICK_LEAST_NS;
}

static uint64_t fast_ns(void)
{
    return FAST_NS < slow_ns() ? FAST_NS : slow_ns();
}

static void set_timer(struct vine__guard_overrun *overrun, bool is_fast)
{
    const uint64_t ns = is_fast ? fast_ns() : slow_ns();
    const struct timespec each = {.tv_sec = (time_t)(ns / NS_PER_SECOND),
                                  .tv_nsec = (long)(ns % NS_PER_SECOND)};

    overrun->is_fast = is_fast;
    (void)timer_settime(overrun->timer, 0, &(struct itimerspec){each, each}, NULL);
}

/* Nobody else can end it. */
static void end_process(const struct vine__guard_fault *fault)
{
    sigset_t set;

    vine__guard_tell_end(fault, true, "a run takes too long in what is not a service's own code");
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGXCPU);
    (void)signal(SIGXCPU, SIG_DFL);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    (void)raise(SIGXCPU);
}

/* A run is at it for longer than it may. */
static void look_at(struct vine__guard_thread *thread, ucontext_t *context)
{
    struct vine__guard_overrun *const overrun = &thread->overrun;
    const uint32_t late = overrun->ticks - TICKS;
    const uintptr_t pc = vine__guard_context_pc(context);
    const struct vine__guard_fault fault = {.signal = SIGXCPU, .address = pc, .pc = pc};

    if (vine__guard_is_contained(thread, context, late < STRICT_TICKS)) {
        overrun->ticks = 0;
        set_timer(overrun, false);
        vine__guard_abandon(thread, &fault, context);
        return;
    }
    if (!overrun->is_fast)
        set_timer(overrun, true);
    if (late > STRICT_TICKS && late * fast_ns() > PATIENCE * vine__guard.run_ns)
        end_process(&fault);
}

static void tick(int number, siginfo_t *info, void *context)
{
    /* Before anything else: what follows reads the runtime's memory. */
    vine__guard_take_rights();

    struct vine__guard_thread *const thread = vine__guard_current;
    const int error_before = errno;

    (void)number;
    if (thread == NULL || info->si_code != SI_TIMER)
        return;

    struct vine__guard_overrun *const overrun = &thread->overrun;

    if (thread->region == NULL || thread->run_count != overrun->run_count) {
        overrun->run_count = thread->run_count;
        overrun->ticks = 0;
        if (overrun->is_fast)
            set_timer(overrun, false);
    } else if (++overrun->ticks >= TICKS) {
        look_at(thread, context);
    }
    errno = error_before;
}

int vine__guard_overrun_start(struct vine__guard_thread *thread)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = OVERRUN_SIGNAL};

    if (vine__guard.run_ns == 0)
        return 0;
    action.sa_sigaction = tick;
    (void)sigfillset(&action.sa_mask);
    if (sigaction(OVERRUN_SIGNAL, &action, NULL) != 0)
        return -errno;
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &thread->overrun.timer) != 0)
        return -errno;
    thread->overrun.has_timer = true;
    set_timer(&thread->overrun, false);
    return 0;
}

void vine__guard_overrun_stop(struct vine__guard_thread *thread)
{
    if (thread->overrun.has_timer)
        (void)timer_delete(thread->overrun.timer);
    thread->overrun.has_timer = false;
}
