/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/guard/guard_internal.h - what the files of this folder share.
 *
 * Memory orders:
 *
 *   T1  who adds text: release of the count   pairs with T2: the range is there
 *   T2  a handler: acquire of it              pairs with T1
 *   N1  a thread that begins or ends: acquire and release of how many there are
 *                                             pairs with N2: what was chosen is not changed yet
 *   N2  who chooses: acquire of it            pairs with N1
 */
#ifndef VINE_ARCH_GUARD_GUARD_INTERNAL_H
#define VINE_ARCH_GUARD_GUARD_INTERNAL_H

#include "arch/guard/fiber.h"
#include "arch/guard/guard.h"

#include <signal.h>
#include <time.h>
#include <ucontext.h>

/* Protection keys; a negative one: none. */
struct vine__guard_keys {
    int runtime;
    int record;
    int colours[VINE__GUARD_COLOURS_MAX];
    uint32_t colour_count;
};

/* What was chosen. Written while no thread takes part, read on each run. */
struct vine__guard_state {
    enum vine__guard_kind kind;
    uint32_t colour_count;
    uint32_t thread_count; /* atomic: N1, N2 */
    size_t stack_bytes;
    size_t page_bytes;
    uint64_t run_ns;  /* that a run may use a processor; 0: there is no limit */
    bool has_markers; /* pages are forbidden by marks in the page table, not by mappings */
    struct vine__guard_keys keys;
    uint32_t rights[VINE__GUARD_COLOURS_MAX]; /* pku: the register's value inside, by colour */
};
extern struct vine__guard_state vine__guard;

/* And outside. A word of its own for the assembly. */
extern uint32_t vine__guard_rights_outside;

/* What a thread knows of its runs. Under `pku` it has the runtime's key. */
struct vine__guard_thread {
    void *outside_sp; /* first, for vine__guard_switch: where the thread was when the run began */
    struct vine__guard_region *region; /* that runs; NULL: none does */
    unsigned char *stack;              /* the scratch stack, behind its forbidden pages */
    unsigned char *stack_end;
    struct vine__fiber *fiber;
    struct vine__guard_fault fault; /* that abandoned the run */
    unsigned char *mapping;         /* all of what vine__guard_thread_start mapped */
    size_t mapping_bytes;
    uintptr_t closed_stack_end; /* of what of the thread's own stack is closed; 0: nothing is */
    void *signal_stack_before;  /* the alternate stack that there was; NULL: none */
    size_t signal_stack_before_bytes;
    uint64_t run_count; /* that have begun */
    bool is_outside;    /* the one that goes on has come out by the gate */
    struct vine__guard_overrun {
        timer_t timer;
        bool has_timer;
        bool is_fast;       /* it looks more often than as a rule */
        uint64_t run_count; /* the run that was seen at the last tick */
        uint32_t ticks;     /* at how many it was */
    } overrun;
};

/* Of the calling thread; NULL: it takes no part. In the block that every thread has from its start,
 * so that the assembly finds it in one step. */
extern _Thread_local struct vine__guard_thread *vine__guard_current
    __attribute__((tls_model("initial-exec")));

#define VINE__GUARD_STACK_GUARD_BYTES (UINT64_C(1) << 20) /* forbidden below a scratch stack */

/* ---- switch_*.c: by architecture ------------------------------------------------------------- */

/*
 * Note the stack pointer in `*outside_sp`, call `fn` on the stack that ends at `stack_end`, and
 * come back by what the calling thread's vine__guard_current has noted: nothing that ran inside is
 * believed. The second one writes the rights register on both ways. Returns 0, or 1: it came back
 * by vine__guard_context_abandon.
 */
int vine__guard_switch(void **outside_sp, void (*fn)(void *), void *argument, void *stack_end);
int vine__guard_switch_rights(void **outside_sp, void (*fn)(void *), void *argument,
                              void *stack_end, uint32_t rights);

/* Whether it is where these have called the function from, as one finds who makes its last call a
 * jump. */
bool vine__guard_switch_has(uintptr_t address);

/* Where a signal came in, and what the stack pointer was. Whether it came of fetching an
 * instruction. */
uintptr_t vine__guard_context_pc(const ucontext_t *context);
uintptr_t vine__guard_context_sp(const ucontext_t *context);
bool vine__guard_context_is_fetch(const ucontext_t *context);
/* What a function that has just been called, or keeps nothing on the stack, returns to. */
uintptr_t vine__guard_context_return(const ucontext_t *context);

/* Have the handler return to where vine__guard_switch was called, which returns 1. */
void vine__guard_context_abandon(ucontext_t *context);

/* The register of a thread's rights. Only where there is one: else why not. */
bool vine__guard_rights_exist(const char **ret_why);
uint32_t vine__guard_rights_read(void);
void vine__guard_rights_write(uint32_t rights);

/* ---- fault.c, text.c ------------------------------------------------------------------------- */

/* Handle the four signals, unless we do so already. Returns 0 or a negative error. */
int vine__guard_faults_open(void);

/* Whether what runs there may be abandoned: it is in listed text, or in a leaf that was called from
 * such. `is_strict`: not in text of the runtime's own. Async-signal-safe, as are these. */
bool vine__guard_is_contained(const struct vine__guard_thread *thread, const ucontext_t *context,
                              bool is_strict);
/* Note it, and have the handler return out of the run. */
void vine__guard_abandon(struct vine__guard_thread *thread, const struct vine__guard_fault *fault,
                         ucontext_t *context);
/* The process ends by `fault`: say so on standard error, as `why`, and to who wants to know. */
void vine__guard_tell_end(const struct vine__guard_fault *fault, bool is_inside, const char *why);

/* Is an address in listed text, or in a listed leaf. Async-signal-safe. */
bool vine__guard_text_has(uintptr_t address);
/* The same without the runtime's own text. */
bool vine__guard_text_is_added(uintptr_t address);
bool vine__guard_leaf_has(uintptr_t address);
void vine__guard_leaves_open(void);

/* ---- overrun.c ------------------------------------------------------------------------------- */

/* The calling thread's runs have a limit from now on, and no more. Returns 0 or an error. */
int vine__guard_overrun_start(struct vine__guard_thread *thread);
void vine__guard_overrun_stop(struct vine__guard_thread *thread);

/* ---- pages.c --------------------------------------------------------------------------------- */

/* Whether the kernel forbids pages by marks in the page table (MADV_GUARD_INSTALL, Linux 6.13). */
bool vine__guard_markers_exist(void);

/* ---- pku.c ----------------------------------------------------------------------------------- */

/* Whether `pku` holds with the I/O that there is, and get keys. Return 0; -EOPNOTSUPP and why. */
int vine__guard_pku_check(bool has_rings, char ret_why[VINE__GUARD_WHY_BYTES]);
int vine__guard_pku_open(struct vine__guard_keys *ret_keys, char ret_why[VINE__GUARD_WHY_BYTES]);

/* Compute the rights that go with them, and give the calling thread those outside. */
void vine__guard_pku_take(const struct vine__guard_keys *keys);

/* Give pages a key and their access rights, in one call; PROT_GROWSDOWN is understood. Returns 0 or
 * a negative error. */
int vine__guard_pku_protect(void *start, size_t size_bytes, int protection, int key);

#endif
