/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/thread/thread.h - threads on processors of their own, and signals that interrupt none.
 *
 * Owns:     nothing; a thread is its starter's to join.
 * Threads:  any.
 * Blocking: vine__thread_join.
 * Trust:    not concerned.
 * Limits:   processors below VINE__THREAD_PROCESSORS_MAX.
 */
#ifndef VINE_ARCH_THREAD_THREAD_H
#define VINE_ARCH_THREAD_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <vine/base.h>

#define VINE__THREAD_PROCESSORS_MAX 4096
#define VINE__THREAD_ANYWHERE       UINT32_MAX

struct vine__thread {
    pthread_t id;
    void (*fn)(void *context);
    void *context;
};

/* Start a thread with the signal mask of the caller; `thread` is used until it is joined. `name` is
 * what `top -H` shows, cut to 15 bytes. Returns 0 or a negative error. */
VINE_MUST_CHECK int vine__thread_start(struct vine__thread *thread, const char *name,
                                       void (*fn)(void *context), void *context);
void vine__thread_join(struct vine__thread *thread);

/* Let the calling thread run on this processor alone. Returns 0 or a negative error. */
VINE_MUST_CHECK int vine__thread_pin(uint32_t processor);

/* Where a thread may run: noted, and taken over by another one, which may have inherited less. */
struct vine__thread_places {
    uint64_t processors[VINE__THREAD_PROCESSORS_MAX / 64];
};
VINE_MUST_CHECK int vine__thread_get_places(struct vine__thread_places *ret_places);
void vine__thread_use_places(const struct vine__thread_places *places);

/* The same for who does not have them: those that were noted last, before any other thread. Where
 * none were, the calling thread may run where it may. */
void vine__thread_note_places(const struct vine__thread_places *places);
void vine__thread_use_noted_places(void);

/* The kernel's number of the calling thread, and the processor that it runs on now. */
uint32_t vine__thread_number(void);
uint32_t vine__thread_processor(void);

/* How long a thread that has not been joined has used a processor. Any thread. */
uint64_t vine__thread_used_ns(pthread_t id);
pthread_t vine__thread_self(void);

/* How long a thread of this process, by the kernel's number, could have run and had no processor; a
 * wait that is going on is counted when it is over. 0: the kernel does not say. */
uint64_t vine__thread_waited_ns(uint32_t number);

/* Whether it runs now, or waits for a processor: not whether it sleeps in the kernel. */
bool vine__thread_is_runnable(uint32_t number);

/*
 * To interrupt a thread where it is: `fn` is called there, within whatever it does, with the third
 * argument of a signal's handler, each time that vine__interrupt is called; calls that come before
 * the first was heard are one. By the last real-time signal, SIGRTMAX, which is no event. Once for
 * the process and for good, since one may still be on its way to a thread that does not run.
 * Returns 0 or a negative error; vine__interrupt -ENOTSUP: valgrind has that signal.
 */
typedef void (*vine__interrupt_fn)(void *context);
VINE_MUST_CHECK int vine__interrupts_open(vine__interrupt_fn fn);
VINE_MUST_CHECK int vine__interrupt(pthread_t id);

/*
 * Signals as events: all but those that tell of a fault of the code itself (SIGSEGV, SIGBUS,
 * SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS), those of a shell's job control, of profilers, that by
 * which threads are interrupted, and what cannot be had.
 */
bool vine__signal_is_event(int number);

/* Keep them from the calling thread and from those that it starts. */
void vine__signals_block(void);

/* A descriptor from which vine__signals_read takes those of `signals` (numbers, `count` of them)
 * that came for the process. Non-blocking. Returns 0 or a negative error. */
VINE_MUST_CHECK int vine__signals_open(const int *signals, uint32_t count, int *ret_fd);

/* Returns 0, or -EAGAIN: none has come. */
VINE_MUST_CHECK int vine__signals_read(int fd, int *ret_signal);

/* From now on the calling thread gets this signal as if it had never been blocked. */
void vine__signal_let_through(int number);

/* End the process as this signal does where nobody handles it. */
__attribute__((noreturn)) void vine__signals_die_of(int number);

#endif
