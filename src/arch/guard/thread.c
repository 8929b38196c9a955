/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a thread has for its runs. One mapping:
 *
 *     forbidden | alternate stack for signals | what the thread knows | forbidden | scratch stack
 *
 * Under `pku` what the thread knows has the runtime's key and all else key 0, for the kernel writes
 * a signal's frame, and the handler's first steps are made, with whatever rights are in force.
 */
#include "arch/guard/guard_internal.h"

#include "utils/assert.h"
#include "utils/atomic.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#define SIGNAL_STACK_BYTES (UINT64_C(64) << 10)

#define PAGE_BYTES 4096U /* wherever there are protection keys */

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51 /* of <linux/auxvec.h>; 0 where the kernel does not tell */
#endif

_Thread_local struct vine__guard_thread *vine__guard_current
    __attribute__((tls_model("initial-exec")));

/* Room for handlers, and for what the kernel saves of the processor, which grows with it. */
static size_t signal_stack_bytes(void)
{
    const size_t bytes = SIGNAL_STACK_BYTES + (size_t)getauxval(AT_MINSIGSTKSZ);

    return (bytes + vine__guard.page_bytes - 1) & ~(vine__guard.page_bytes - 1);
}

static int use_signal_stack(struct vine__guard_thread *thread, void *start, size_t size_bytes)
{
    const stack_t stack = {.ss_sp = start, .ss_size = size_bytes};
    stack_t before;

    if (sigaltstack(&stack, &before) != 0)
        return -errno;
    if ((before.ss_flags & SS_DISABLE) == 0) {
        thread->signal_stack_before = before.ss_sp;
        thread->signal_stack_before_bytes = before.ss_size;
    }
    return 0;
}

/* ---- the thread's own stack ------------------------------------------------------------------ */

static _Thread_local uintptr_t apart; /* where what is closed of it ends; 0: nothing is */

__attribute__((noinline)) void vine__guard_call_apart(void (*fn)(void *), void *context)
{
    const uintptr_t before = apart;
    /* Somewhere in it a page ends, and what `fn` has lies below all of it. */
    volatile unsigned char skipped[PAGE_BYTES];

    skipped[0] = 0;
    apart = ((uintptr_t)skipped + PAGE_BYTES - 1) & ~(uintptr_t)(PAGE_BYTES - 1);
    fn(context);
    apart = before;
}

/* Give the pages below `end`, of the calling thread's stack, a key. */
static int paint_stack(uintptr_t end, int key)
{
    const size_t page_bytes = vine__guard.page_bytes;
    pthread_attr_t attributes;
    void *start;
    size_t size_bytes;
    int error = vine__guard_pku_protect((void *)(end - page_bytes), page_bytes,
                                        PROT_READ | PROT_WRITE | PROT_GROWSDOWN, key);

    /* That was the first thread's, which grows; others' are mappings. */
    if (error != -EINVAL)
        return error;
    error = pthread_getattr_np(pthread_self(), &attributes);
    if (error != 0)
        return -error;
    error = -pthread_attr_getstack(&attributes, &start, &size_bytes);
    if (error == 0)
        error = vine__guard_pku_protect(start, end - (uintptr_t)start, PROT_READ | PROT_WRITE, key);
    (void)pthread_attr_destroy(&attributes);
    return error;
}

/* ---- taking part ----------------------------------------------------------------------------- */

static int allow(unsigned char *start, size_t size_bytes)
{
    return mprotect(start, size_bytes, PROT_READ | PROT_WRITE) == 0 ? 0 : -errno;
}

static void give_signal_stack_back(const struct vine__guard_thread *thread)
{
    stack_t before = {.ss_flags = SS_DISABLE};

    if (thread->signal_stack_before != NULL)
        before = (stack_t){.ss_sp = thread->signal_stack_before,
                           .ss_size = thread->signal_stack_before_bytes};
    VINE_ASSERT(sigaltstack(&before, NULL) == 0);
}

int vine__guard_thread_start(void)
{
    const size_t page_bytes = vine__guard.page_bytes;
    const size_t signal_bytes = signal_stack_bytes();
    const size_t all_bytes = page_bytes + signal_bytes + page_bytes +
                             VINE__GUARD_STACK_GUARD_BYTES + vine__guard.stack_bytes;

    VINE_ASSERT(vine__guard_current == NULL && page_bytes != 0);
    VINE_STATIC_ASSERT(sizeof(struct vine__guard_thread) <= 4096, "it has one page");

    unsigned char *const all =
        mmap(NULL, all_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (all == MAP_FAILED)
        return -errno;

    unsigned char *const signal_stack = all + page_bytes;
    struct vine__guard_thread *const thread = (void *)(signal_stack + signal_bytes);
    unsigned char *const stack =
        (unsigned char *)thread + page_bytes + VINE__GUARD_STACK_GUARD_BYTES;
    int error = allow(signal_stack, signal_bytes + page_bytes);

    if (error == 0)
        error = allow(stack, vine__guard.stack_bytes);
    if (error == 0)
        error = vine__guard_paint_runtime(thread, page_bytes);
    if (vine__guard.kind == VINE__GUARD_PKU)
        vine__guard_rights_write(vine__guard_rights_outside);
    if (error == 0 && vine__guard.kind == VINE__GUARD_PKU && apart != 0) {
        error = paint_stack(apart, vine__guard.keys.runtime);
        thread->closed_stack_end = apart;
    }
    if (error == 0)
        error = use_signal_stack(thread, signal_stack, signal_bytes);
    if (error != 0) {
        (void)munmap(all, all_bytes);
        return error;
    }
    thread->mapping = all;
    thread->mapping_bytes = all_bytes;
    thread->stack = stack;
    thread->stack_end = stack + vine__guard.stack_bytes - sizeof(struct vine__fiber);
    thread->stack_end -= (uintptr_t)thread->stack_end % 16;
    thread->fiber = (void *)thread->stack_end;
    thread->fiber->stack = stack;
    thread->fiber->stack_bytes = (size_t)(thread->stack_end - stack);
    vine__fiber_init(thread->fiber);
    vine__guard_current = thread;
    error = vine__guard_overrun_start(thread);
    if (error != 0) {
        vine__guard_current = NULL;
        vine__fiber_fini(thread->fiber);
        give_signal_stack_back(thread);
        (void)munmap(all, all_bytes);
        return error;
    }
    /* N1 (acquire and release) pairs with N2: whoever chooses anew sees us. */
    (void)vine__fetch_add_acq_rel_u32(&vine__guard.thread_count, 1);
    return 0;
}

void vine__guard_thread_stop(void)
{
    struct vine__guard_thread *const thread = vine__guard_current;

    if (thread == NULL)
        return;
    VINE_ASSERT(thread->region == NULL);
    vine__guard_overrun_stop(thread);
    give_signal_stack_back(thread);
    if (thread->closed_stack_end != 0)
        VINE_ASSERT(paint_stack(thread->closed_stack_end, 0) == 0);
    vine__fiber_fini(thread->fiber);
    vine__guard_current = NULL;
    VINE_ASSERT(munmap(thread->mapping, thread->mapping_bytes) == 0);
    /* N1 (acquire and release) pairs with N2: what was chosen is used no more. */
    (void)vine__fetch_sub_acq_rel_u32(&vine__guard.thread_count, 1);
}
