/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/reactor.h - a core's loop: work, scheduling groups, calls to other cores.
 *
 * Owns:     one loop a core, pinned to its processor; nothing of it is shared. Work and calls are
 *           the caller's memory, linked into queues while they are on their way.
 * Threads:  all of this is for the thread of a reactor, whose own core it concerns, but for
 *           vine_alien_*, which are for every other thread.
 * Blocking: never: who blocks a core blocks all that runs there, and the stall detector says so.
 * Trust:    all cores are one process and trust each other.
 * Limits:   VINE_CORES_MAX cores; vine_main starts 64 at most, since each has an arena of memory,
 *           and mimalloc has no more of them. VINE_GROUPS_MAX scheduling groups.
 *
 * A turn of the loop, in this order, which is part of the interface:
 *
 *   1. the ends of operations of the kernel (files, sockets, signals, who woke us), some hundreds
 *      at most
 *   2. messages of the other cores: replies, and calls, those of each core in their order
 *   3. calls of threads that are no reactor, objects that come home (vine/foreign.h), and memory
 *      that other cores have freed
 *   4. timers that are due; where the loop was away, blocked or stopped for 10 ms or more, not
 *      before the turn that finds no more ends, or has heard 16,384 of them: what came meanwhile is
 *      not late
 *   5. work, group by group by their shares, until the quota of the turn is used or none is left
 *   6. objects and memory of other cores go home, and who sleeps and was sent a message is woken;
 *      messages themselves went out as they were made. Operations that were begun go to the kernel
 *      with 1 of the next turn, in one system call with what that one takes, or with the sleep
 *
 * While more work waits than --max-task-backlog says, 1 to 3 take nothing new. Functions are called
 * from 5 alone, each by itself from the top of the loop: never within the
 * call that registered it. Between two turns that found nothing to do a core looks for messages a
 * few times more, for 2 and 5 alone: what such a look finds may run at once, as nothing is before
 * it, and then there is a whole turn. A core that finds nothing to do polls on for a while that the
 * loop learns, and then sleeps until something comes; an idle core costs nothing. The ends of
 * operations that end a sleep of more than 1 ms are 1 of a turn that goes on with 5.
 */
#ifndef VINE_REACTOR_H
#define VINE_REACTOR_H

#include <stdbool.h>

#include <vine/base.h>

VINE_BEGIN_DECLARATIONS

#define VINE_CORES_MAX  256
#define VINE_GROUPS_MAX 32
#define VINE_SHARES_MAX 1000

/* The calling thread's core, 0 .. vine_core_count() - 1. Reactors only. */
VINE_API uint32_t vine_core(void);
VINE_API uint32_t vine_core_count(void);

/* Whether the calling thread is a reactor's. */
VINE_API bool vine_on_reactor(void);

/* ---- work ----------------------------------------------------------------------------------- */

struct vine_work;
typedef void (*vine_work_fn)(struct vine_work *work);

/* A function to be called once. Its fields are here so that it can be embedded; private. It is in
 * use from when it is posted until its function is called, which may post it again, or free it. */
struct vine_work {
    struct vine_work *next;
    vine_work_fn fn;
    uint8_t group;
    bool is_posted;
};

/* Prepare work that runs in the scheduling group of whoever calls this. Not while it is posted. */
VINE_API void vine_work_init(struct vine_work *work, vine_work_fn fn);

/* Call its function later in this turn, or in another one, on this core: after all that was posted
 * to its group before, unless work is shuffled (--shuffle-seed), as it is by itself in debug
 * builds. Work that is posted already stays where it is. Never fails. */
VINE_API void vine_work_post(struct vine_work *work);

/* Whether the running function has used its part of the turn (--task-quota-ms): a long one returns
 * then, and posts itself again before to go on later. */
VINE_API bool vine_need_preempt(void);

/* ---- scheduling groups ---------------------------------------------------------------------- */

/* The same number on all cores; each core divides its own time. Group 0 is everybody's default. */
struct vine_group {
    uint8_t id;
};

/*
 * Make a group whose work gets time in proportion to its shares (1 .. VINE_SHARES_MAX; the default
 * group has 100) among the groups of the same parent that have work. `parent` is the default group,
 * which is beside its children then, or a group made with VINE_GROUP_HOLDS, which has no work of
 * its own and divides what it gets among its children: one nested level.
 * `name` is copied, 31 bytes of it at most. Core 0 only; other cores know the group from the next
 * turn.
 *
 * Returns 0, -EINVAL, or -ENOSPC: there are VINE_GROUPS_MAX.
 */
#define VINE_GROUP_HOLDS 1U
VINE_API VINE_MUST_CHECK int vine_group_create(const char *name, uint32_t shares,
                                               struct vine_group parent, uint32_t flags,
                                               struct vine_group *ret_group);

/* The group of what runs now. */
VINE_API struct vine_group vine_group_current(void);

/* Have `work` run in `group`. Before it is posted. */
VINE_API void vine_work_set_group(struct vine_work *work, struct vine_group group);

/* ---- calls to other cores ------------------------------------------------------------------- */

struct vine_core_call;

/* Runs on the other core, in the group of the caller. What it returns is the reply, unless it has
 * taken the call by vine_core_call_defer. */
typedef int64_t (*vine_core_call_fn)(void *argument);
typedef void (*vine_core_call_done_fn)(struct vine_core_call *call);

/* One call on its way. Private fields. */
struct vine_core_call {
    struct vine_work work; /* how its end runs here */
    vine_core_call_fn fn;
    void *argument;
    vine_core_call_done_fn done;
    int64_t result;
    uint32_t core; /* where it runs */
    uint32_t origin;
};

/*
 * Have `fn(argument)` called on `core` (this one is allowed, and the same), and then `done` here,
 * in the group of the caller, with vine_core_call_result. `call` is used until then. Calls from
 * one core to another begin in order. Never fails: what exceeds the bound of calls in flight waits
 * here. Neither function is NULL: vine_submit_to is for those who want no reply.
 */
VINE_API void vine_core_call(struct vine_core_call *call, uint32_t core, vine_core_call_fn fn,
                             void *argument, vine_core_call_done_fn done);

static inline int64_t vine_core_call_result(const struct vine_core_call *call)
{
    return call->result;
}

/*
 * The same for those who want no reply, without memory of their own.
 *
 * Returns 0, -EINVAL: no such core, or -EAGAIN: this core has VINE_SUBMITS_MAX of them on their
 *         way, of which some will have ended in a later turn.
 */
#define VINE_SUBMITS_MAX 1024
VINE_API VINE_MUST_CHECK int vine_submit_to(uint32_t core, vine_core_call_fn fn, void *argument);

/* A call that is answered later: what the running function of a call takes to answer by itself. */
struct vine__incoming;
struct vine_reply {
    struct vine__incoming *incoming; /* private */
};

/* Take the running call: what its function returns does not matter then. Once a call. It counts
 * among those that may be in flight until it is answered, and the others wait: who needs a call to
 * the same core to answer does not take as many as may be in flight (64). */
VINE_API struct vine_reply vine_core_call_defer(void);

/* Answer it, on the core that took it. Once. */
VINE_API void vine_core_call_reply(struct vine_reply reply, int64_t result);

/* ---- from threads that are no reactor -------------------------------------------------------- */

/* Have `fn(argument)` called on `core`; its result is lost. Any thread, but not a signal handler.
 * Returns 0, -EINVAL, -ENOMEM, or -ESHUTDOWN: the reactors have stopped. */
VINE_API VINE_MUST_CHECK int vine_alien_submit_to(uint32_t core, vine_core_call_fn fn,
                                                  void *argument);

/* The same, and wait for its reply. Threads that are no reactor only. Returns 0 or as above. */
VINE_API VINE_MUST_CHECK int vine_alien_call(uint32_t core, vine_core_call_fn fn, void *argument,
                                             int64_t *ret_result);

/* ---- the end --------------------------------------------------------------------------------- */

/*
 * Stop all reactors; vine_main returns `code`. Any core; the first one counts. Returns at once:
 * before the loops end, what was registered by vine_at_stop is called.
 *
 *   1. core 0's, one after the other, the last one first. All cores work as ever meanwhile, so that
 *      a program registers there what it has on all of them
 *   2. core 0's network ends: what is under way with it, with -ECANCELED
 *   3. the same on all other cores, beside each other
 *   4. the loops return, wherever they are: what is still under way is never called
 *
 * All of it together has 10 seconds, or under a supervisor what that leaves a process
 * (vine/supervise.h); what takes longer is left, which vine_main tells.
 */
VINE_API void vine_stop(int code);

struct vine_stopper;
/* Begins to stop what it stands for, and sees to it that vine_stopper_done is called once, at once
 * or later, when that is over. */
typedef void (*vine_stopper_fn)(struct vine_stopper *stopper);

/* Private fields. */
struct vine_stopper {
    struct vine_work work;
    struct vine_stopper *next;
    vine_stopper_fn fn;
    bool is_last;
    bool is_stopping; /* its function has been called, and it is not done */
};

/* Have `fn` called on this core when the reactors stop. `stopper` is in use until then, for good if
 * nobody stops. One that is registered when this core has called all of its own is not called. */
VINE_API void vine_at_stop(struct vine_stopper *stopper, vine_stopper_fn fn);

/* It has stopped: the next one is called. The core of the stopper, once; to say so twice, or before
 * its function was called, fails an assertion. */
VINE_API void vine_stopper_done(struct vine_stopper *stopper);

VINE_END_DECLARATIONS

#endif
