/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/guard/guard.h - running a function with the rights of one heap, and surviving its faults.
 *
 * Owns:     for each thread that takes part a scratch stack, an alternate stack for signals,
 *           what it knows of the heap that runs and, if runs have a limit, a timer; for the
 *           process the handlers of SIGSEGV, SIGBUS, SIGFPE and SIGILL, with a limit that of
 *           SIGVTALRM, too, and, with `pku`, protection keys.
 * Threads:  chosen once, before others; then each thread for itself.
 * Blocking: never; some calls are system calls, and say so.
 * Trust:    what runs inside may write anything where it has the rights, overflow its stack, fault,
 *           and leave registers as it likes. It must not make system calls, change the rights
 *           register itself, or be meant to: guards stop mistakes, not attackers' code.
 * Limits:   VINE__GUARD_COLOURS_MAX colours; VINE__GUARD_TEXTS_MAX ranges of text.
 *
 * Three kinds, of which the process has one:
 *
 *   none      nothing is closed. Faults are caught all the same.
 *   mprotect  a heap that does not run has no access rights; two system calls for each run. Rights
 *             are the process's: a heap that runs on another core is open, and so is what is not a
 *             heap.
 *   pku       memory has colours, by protection keys, and what runs has its own: two writes of a
 *             register for each run. Heaps of the same colour are open to each other; what carries
 *             no key (libraries' memory, statics, thread-local variables) is open to all.
 *
 * Caveats:  under `pku` any handler of a signal runs with the rights of key 0 alone: it has to be
 *           on the alternate stack (SA_ONSTACK) and to call vine__guard_take_rights first. Those of
 *           libc's own are not: a process whose threads take part does not change its user, and
 *           cancels none of them. A thread that was not started here has the rights of the thread
 *           that made it. Keys that the process has had stay its own, since memory has them.
 */
#ifndef VINE_ARCH_GUARD_GUARD_H
#define VINE_ARCH_GUARD_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vine/base.h>

#define VINE__GUARD_COLOURS_MAX 13U /* of 16 keys: 0, and two for the runtime */
#define VINE__GUARD_TEXTS_MAX   256U
#define VINE__GUARD_WHY_BYTES   256U

/* ---- the process ----------------------------------------------------------------------------- */

enum vine__guard_kind {
    VINE__GUARD_NONE,
    VINE__GUARD_MPROTECT,
    VINE__GUARD_PKU,
    VINE__GUARD_BEST, /* to choose: pku where it can be had, else mprotect */
};

struct vine__guard_options {
    enum vine__guard_kind wanted;
    /* Whether the cores' I/O is io_uring's: then `pku` wants rings whose work is done by their own
     * thread within its own calls, for elsewhere another heap's rights may be in force. */
    bool has_rings;
    size_t stack_bytes; /* of a thread's scratch stack; 0: 256 KiB */
    uint64_t run_ns;    /* how long a run may use a processor, at least a jiffy; 0: for ever */
};

/*
 * Choose what guards heaps, and be told of faults from now on. Before any thread takes part; again
 * only when none does any more.
 *
 * Returns 0: `ret_why` has a sentence of why it is not something better, or "";
 *         -EOPNOTSUPP   it cannot be had here, or cannot hold: `ret_why` says why; nothing changed;
 *         -EBUSY        threads take part.
 */
VINE_MUST_CHECK int vine__guard_choose(const struct vine__guard_options *options,
                                       char ret_why[VINE__GUARD_WHY_BYTES]);

/* Whether there can be such a guard here, as far as that is known beforehand. Returns 0, or
 * -EOPNOTSUPP and a sentence. */
VINE_MUST_CHECK int vine__guard_check(enum vine__guard_kind wanted,
                                      char ret_why[VINE__GUARD_WHY_BYTES]);

/*
 * Where there are protection keys have them, and memory that is closed (arch/guard/closed.h), so
 * that what is made before a guard is chosen can be closed, too. The calling thread, and those that
 * it makes from now on, have the rights to all of it; one that was made before has none. At the
 * beginning of a program, once; without it these begin when `pku` is chosen.
 */
void vine__guard_prepare(void);

enum vine__guard_kind vine__guard_kind(void);
uint32_t vine__guard_colour_count(void); /* at least 1 */
const char *vine__guard_name(enum vine__guard_kind kind);

/*
 * Who is told of a fault that is going to end the process: `fault` is it, `is_inside` whether it
 * came in a run. Called in the handler of the signal, with the runtime's rights: it may do what
 * such a handler may. NULL: nobody. Before threads take part.
 */
struct vine__guard_fault;
typedef void (*vine__guard_ending_fn)(const struct vine__guard_fault *fault, bool is_inside);
void vine__guard_at_end(vine__guard_ending_fn fn);

/* "SIGSEGV" for its number, of those that a fault may have; "a signal" for others. */
const char *vine__guard_signal_name(int number);

/* Text whose faults are the service's own: they end a run, and not the process. What is listed
 * without being asked for are the functions of utils/inside.h. Before such text runs, one thread at
 * a time; it stays listed. Returns 0 or -ENOSPC. */
VINE_MUST_CHECK int vine__guard_add_text(const void *start, const void *end);

/* ---- memory ---------------------------------------------------------------------------------- */

/*
 * Give memory a colour, the runtime's own key (closed to all that runs inside) or that of records
 * (they read it, the runtime writes it). Whole pages, mapped to be read and written. A system call
 * under `pku`, nothing otherwise. Returns 0, or what the kernel said: -ENOMEM where the process has
 * too many mappings.
 */
VINE_MUST_CHECK int vine__guard_paint(void *start, size_t size_bytes, uint32_t colour);
VINE_MUST_CHECK int vine__guard_paint_runtime(void *start, size_t size_bytes);
VINE_MUST_CHECK int vine__guard_paint_record(void *start, size_t size_bytes);

/* The same, where it is mapped already and perhaps only to be read. */
VINE_MUST_CHECK int vine__guard_paint_shared(void *start, size_t size_bytes, bool is_writable);

/* Memory of the runtime's own, with its key, and zero: for what must be believed. Whole pages.
 * Returns 0 or -ENOMEM. */
VINE_MUST_CHECK int vine__guard_memory_map(size_t size_bytes, void **ret_start);
/* And memory of a colour. */
VINE_MUST_CHECK int vine__guard_memory_map_coloured(size_t size_bytes, uint32_t colour,
                                                    void **ret_start);
void vine__guard_memory_unmap(void *start, size_t size_bytes);

/* ---- a thread -------------------------------------------------------------------------------- */

/* Call `fn` so that its frames, and those of all that it calls, share no page with the caller's.
 * Under `pku` these are closed to what runs inside, once the thread takes part; the caller's are
 * not, nor are thread-local variables. */
void vine__guard_call_apart(void (*fn)(void *), void *context);

/* The calling thread takes part, or does no more. Returns 0 or a negative error. */
VINE_MUST_CHECK int vine__guard_thread_start(void);
void vine__guard_thread_stop(void);

/* The first act of a signal's handler where there are keys; nothing otherwise. The rights of what
 * was interrupted come back when the handler returns. Async-signal-safe. */
void vine__guard_take_rights(void);

/* ---- a run ----------------------------------------------------------------------------------- */

/* What a run has the rights to: outside of the heap, in the runtime's memory. */
struct vine__guard_region {
    unsigned char *start; /* of its slot, a page's */
    size_t size_bytes;    /* that may be touched now, whole pages; the gate raises it */
    size_t slot_bytes;    /* addresses that it has */
    uint32_t colour;
    bool is_open; /* mprotect: it is accessible between runs, too */
};

/* Whether so many bytes from this address on lie in what may be touched now. */
static inline bool vine__guard_region_has(const struct vine__guard_region *region,
                                          uintptr_t address, size_t size_bytes)
{
    const uintptr_t at = address - (uintptr_t)region->start; /* wraps where it lies before that */

    return at <= region->size_bytes && size_bytes <= region->size_bytes - at;
}

struct vine__guard_fault {
    int signal;        /* SIGSEGV, SIGBUS, SIGFPE or SIGILL; SIGXCPU: it ran for too long */
    int code;          /* si_code */
    uintptr_t address; /* that was accessed; of the instruction for SIGFPE, SIGILL and SIGXCPU */
    uintptr_t pc;      /* where the code was */
    bool is_stack_overflow;
};

/*
 * Call `fn` on the thread's scratch stack with the rights of `region`, and take them away again. A
 * thread that takes part; not from inside. Rounding and exception masks of floating point are as
 * before, whatever `fn` did.
 *
 * Returns 0         `fn` has returned;
 *         -EFAULT   it faulted in listed text, and was abandoned where it was: `*ret_fault`;
 *         -ENOMEM   mprotect: the process has too many mappings; `fn` was not called.
 * A fault in other text (within malloc, say, whose lock a jump out would leave held) goes to who
 * handled that signal before, or else ends the process with a line that says so. A run that takes
 * too long is abandoned when it is next seen in listed text; if it never is, the process ends.
 */
VINE_MUST_CHECK int vine__guard_run(struct vine__guard_region *region, void (*fn)(void *),
                                    void *argument, struct vine__guard_fault *ret_fault);

/* Leave a region open between runs, so that they cost no system call and whoever is outside may
 * look at it; and close it. Nothing but under `mprotect`. Returns 0 or -ENOMEM. */
VINE_MUST_CHECK int vine__guard_open(struct vine__guard_region *region);
void vine__guard_close(struct vine__guard_region *region);

/* Call `fn` with the runtime's rights from inside a run, on the stack that is in use, and take them
 * away again. `fn` gets the region that runs, and is to check whatever else it is told. A fault
 * there is the runtime's. Returns what `fn` returned; -EPERM: nothing runs on this thread. */
int vine__guard_gate(int (*fn)(struct vine__guard_region *region, uintptr_t argument),
                     uintptr_t argument);

/* Whether the calling thread is inside a run now. */
bool vine__guard_is_inside(void);

/* ---- pages of slots, for core/heap ----------------------------------------------------------- */

/* Addresses with nothing behind them, aligned to their page. Returns 0 or -ENOMEM. */
VINE_MUST_CHECK int vine__guard_pages_reserve(size_t size_bytes, void **ret_start);
void vine__guard_pages_release(void *start, size_t size_bytes);

/* How many mappings a slot may become. */
uint32_t vine__guard_pages_mappings(void);
uint64_t vine__guard_pages_mappings_max(void); /* of the process: vm.max_map_count */

/* Make a region of such addresses: its start, slot and colour are set. No page of it may be touched
 * yet. `number`: of the slot, among its neighbours. Returns 0 or -ENOMEM. */
VINE_MUST_CHECK int vine__guard_pages_prepare(struct vine__guard_region *region, uint32_t number);

/* Make a region larger, by pages that are zero. It is open, or closed and stays so. Returns 0 or
 * -ENOMEM. */
VINE_MUST_CHECK int vine__guard_pages_grow(struct vine__guard_region *region, size_t size_bytes);

/* Make it smaller: what was there is gone, and its memory with it. Returns 0 or -ENOMEM: it is as
 * large as before, though what was there may be gone. */
VINE_MUST_CHECK int vine__guard_pages_shrink(struct vine__guard_region *region, size_t size_bytes);
/* Give back the memory of all of it, which reads zero then. */
void vine__guard_pages_drop(const struct vine__guard_region *region);

#endif
