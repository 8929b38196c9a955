/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/reactor/reactor.h - reactors as those see them who start, step and extend them.
 *
 * Owns:     a mesh: the rings between its reactors and what they know of each other. Each reactor
 *           has a poller, wheels and queues of its own.
 * Threads:  a mesh is made by one thread; then each reactor is made, run and destroyed by its own,
 *           or all of them by one thread that steps them in turns.
 * Blocking: vine__reactor_run.
 * Trust:    all cores are one process.
 * Limits:   those of vine/reactor.h.
 */
#ifndef VINE_CORE_REACTOR_REACTOR_H
#define VINE_CORE_REACTOR_REACTOR_H

#include <stdbool.h>

#include <vine/reactor.h>
#include <vine/timer.h>

#include "arch/poll/poll.h"

struct vine__mesh;
struct vine__reactor;

struct vine__mesh_options {
    uint32_t core_count;
    bool is_polled;           /* never sleep */
    uint64_t idle_poll_ns;    /* how long an idle core looks around at most */
    uint64_t task_quota_ns;   /* what work may use of a turn; 0: 500 us */
    uint32_t backlog_max;     /* runnable work beyond which nothing new is taken; 0: 1000 */
    uint64_t shuffle_seed;    /* not 0: work runs in an order of its choice */
    uint64_t stop_limit_ns;   /* for all stoppers together; 0: 10 s */
    const uint64_t *clock_ns; /* a test's steady clock; NULL: the machine's */
};

/* Returns 0, -EINVAL or -ENOMEM. */
VINE_MUST_CHECK int vine__mesh_create(struct vine__mesh **ret_mesh,
                                      const struct vine__mesh_options *options);
/* Once all its reactors are destroyed. */
void vine__mesh_destroy(struct vine__mesh *mesh);

/* What vine_stop was told; 0 without it. */
int vine__mesh_exit_code(const struct vine__mesh *mesh);

/* Whether the limit was over before all that was to stop had stopped. */
bool vine__mesh_was_cut_short(const struct vine__mesh *mesh);

/* Where threads that are no reactor send their calls, from now on; NULL: nowhere. Waits for those
 * that are at it. */
void vine__mesh_open_to_aliens(struct vine__mesh *mesh);

/* Make the reactor of `core` on the calling thread, which it belongs to from then on. The poller is
 * the reactor's then, in any case. */
VINE_MUST_CHECK int vine__reactor_create(struct vine__reactor **ret_reactor,
                                         struct vine__mesh *mesh, uint32_t core,
                                         struct vine__poller *poller);
void vine__reactor_destroy(struct vine__reactor *reactor);

/* Turn until the mesh has stopped. */
void vine__reactor_run(struct vine__reactor *reactor);

/* One turn, as this reactor, on the calling thread. Returns whether there was anything to do. For
 * who steps several in one thread. */
bool vine__reactor_step(struct vine__reactor *reactor);

/* The same for what a core without work does between two turns: it looks for calls and replies that
 * travel alone, and runs one. */
bool vine__reactor_peek(struct vine__reactor *reactor);

/* Fall asleep as vine__reactor_run does, for who steps reactors over pollers whose sleep returns at
 * once (arch/poll/sim.h says until when it would last): to the other cores it sleeps, and they wake
 * its poller, until it is stepped again. */
void vine__reactor_doze(struct vine__reactor *reactor);

/* Until when a reactor that has nothing to do may sleep, in nanoseconds of the steady clock; now,
 * if something is there; VINE_FOREVER. */
uint64_t vine__reactor_idle_until(struct vine__reactor *reactor);

/* Become this reactor for what is called next, or none: returns who it was. Tests. */
struct vine__reactor *vine__reactor_enter(struct vine__reactor *reactor);

/* Be in this group for what is made next, within a running function: returns which one it was. */
struct vine_group vine__group_enter(struct vine_group group);

/* Have the function of a timer that lies in no wheel called as if its time had come: soon, behind
 * those of its group whose time has, unless it is cancelled before. */
void vine__timer_call(struct vine_timer *timer);

bool vine__reactor_has_stopped(const struct vine__reactor *reactor);

/* As vine_at_stop, but for what others here rest on: it is called after all that they register,
 * also later. Returns false: this core has stopped, and `fn` is not called. */
VINE_MUST_CHECK bool vine__at_stop_last(struct vine_stopper *stopper, vine_stopper_fn fn);

/* The calling thread's reactor, and its poller. */
struct vine__reactor *vine__reactor_self(void);
struct vine__poller *vine__reactor_poller(void);

/* Hand `operation` to the kernel: its function is called in turn step 1, and only posts work. */
static inline void vine__reactor_begin(struct vine__operation *operation)
{
    vine__poller_begin(vine__reactor_poller(), operation);
}

/* ---- what nobody tells of (core/appliance) --------------------------------------------------- */

/*
 * Something that a core looks at by itself while it is awake, since whoever writes there makes no
 * system call for it. All of its functions are called from the loop, outside of any work; they may
 * post work and begin operations, and do little else that takes time. What they do is charged to no
 * group.
 */
struct vine__polled {
    struct vine__polled *next; /* private */
    /* Each turn, before work; while more work waits than --max-task-backlog says, not. Returns
     * whether anything was there. */
    bool (*poll)(struct vine__polled *polled, uint64_t now_ticks);
    /* The cheapest part of that: several times between two turns of a core that has nothing to do.
     * It does not end itself. */
    bool (*look)(struct vine__polled *polled, uint64_t now_ticks);
    /* The core would sleep: see to it that whoever writes from now on wakes it, and look once more.
     * Returns whether it may, at most for *ret_limit_ns if that is set. */
    bool (*lie_down)(struct vine__polled *polled, uint64_t *ret_limit_ns);
    /* It goes on, be it that it has slept or not. Also of those that were not asked. */
    void (*get_up)(struct vine__polled *polled);
};

/* Have it polled on this core from now on, and no more. */
void vine__polled_begin(struct vine__polled *polled);
void vine__polled_end(struct vine__polled *polled);

/* What a reactor has counted since it was made. */
struct vine__reactor_counts {
    uint64_t turns, idle_turns, sleeps;
    uint64_t works, timers, completions;
    uint64_t calls_sent, calls_served, replies;
    uint64_t foreign_destroyed;  /* objects of this core, once they were released */
    uint64_t awake_ns, slept_ns; /* since it runs */
    uint64_t backlog, backlog_most;
};
void vine__reactor_get_counts(const struct vine__reactor *reactor,
                              struct vine__reactor_counts *ret_counts);

/* What a scheduling group has had on a core. On that core. */
struct vine__group_counts {
    const char *name;
    uint64_t used_ns; /* its children's included */
    uint64_t works;
    uint32_t shares;
    uint32_t parent;
    bool holds;
};
/* How many groups the core has met: they have the numbers below this. */
uint32_t vine__reactor_group_count(const struct vine__reactor *reactor);
void vine__reactor_get_group(const struct vine__reactor *reactor, uint32_t id,
                             struct vine__group_counts *ret_counts);

/* ---- to be looked at (core/watch) ------------------------------------------------------------ */

/* What any thread may see of a reactor, a little late. */
struct vine__reactor_pulse {
    uint64_t turns;
    bool is_awake; /* it runs and does not sleep: the number of its turns has to grow */
};
struct vine__reactor_pulse vine__reactor_see(const struct vine__reactor *reactor);

/* What the calling thread's reactor is doing. Async-signal-safe. Returns whether it has one. */
struct vine__reactor_glance {
    uint32_t core;
    uint32_t group;
    uint64_t turns;
    uint64_t backlog;
    const char *group_name;
};
bool vine__reactor_look(struct vine__reactor_glance *ret_glance);

/* Somebody who watches reactors, and sleeps while all of them do. Whoever wakes signals `fd` (an
 * eventfd) if `is_asleep` is 1, and makes it 0, when the work has run that it was woken for. The
 * watcher stores 1, makes a full fence (W2), and then looks at all reactors once more. */
struct vine__watcher_bell {
    uint32_t is_asleep; /* atomic */
    int fd;
};
/* Before its reactors run, or after; NULL: nobody. */
void vine__mesh_set_bell(struct vine__mesh *mesh, struct vine__watcher_bell *bell);

/* Takes one line of a description, without a newline, valid during the call. */
typedef void (*vine__reactor_line_fn)(void *context, const char *line);

/* Describe what a reactor has done and what it has to do, on its own core. Long queues are counted
 * up to a limit. */
void vine__reactor_describe(const struct vine__reactor *reactor, vine__reactor_line_fn line,
                            void *context);

#endif
