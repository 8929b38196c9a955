/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/reactor/reactor_internal.h - what the files of the loop share.
 *
 * Memory orders between cores:
 *
 *   R1  who sends: full fence after its message     pairs with R2: of a message and a sleeper one
 *   R2  who sleeps: full fence after its word       sees the other
 *   R3  who makes a group: release of `group_count` pairs with R4: its record is complete
 *   R4  who meets a group: acquire of it            pairs with R3
 *   R5  who stops: release of `has_stopped`         pairs with R6: what was done before the end
 *   R6  each turn: acquire of it                    pairs with R5
 *   R7  an alien: acq_rel of the head of its list   pairs with R8: the call is composed
 *   R8  the reactor: acq_rel of it                  pairs with R7
 *   R9  the reactor: release of an alien's `ended`  pairs with R10: its result
 *   R10 the alien: acquire of it                    pairs with R9
 *   R11 who writes a line: release of its number    pairs with R12: the call, or the result
 *   R12 who waits for it: acquire of it             pairs with R11
 *   R13 who sends objects home: acq_rel of their list   pairs with R14: what was done before
 *   R14 their home: acq_rel of it                   pairs with R13
 *   W1  who wakes: full fence after `is_awake`      pairs with W2 (core/watch): of one who wakes
 *                                                   and a watcher who sleeps one sees the other
 *
 * Messages themselves are a matter of core/ring.
 */
#ifndef VINE_CORE_REACTOR_REACTOR_INTERNAL_H
#define VINE_CORE_REACTOR_REACTOR_INTERNAL_H

#include "core/reactor/reactor.h"

#include <vine/foreign.h>
#include <vine/spsc.h>
#include <vine/timer.h>

#include "arch/clock/clock.h"
#include "core/ring/spin.h"
#include "core/timer/wheel.h"
#include "utils/assert.h"

#define VINE__REACTOR_MAGIC 0x72656163746f7221ULL

/*
 * Calls of one core to another that have no reply yet. One of them may travel alone, in a line. In
 * the ring from A to B lie at most that many calls of A's, and as many replies of A's to calls of
 * B's; a quarter of the ring may have been read and not be given back yet:
 *
 *     2 * FLIGHT_MAX + RING_SLOTS / 4 <= RING_SLOTS
 *
 * so that no push ever finds the ring full, and no two cores wait for each other.
 */
#define FLIGHT_MAX 64
#define RING_SLOTS 256
VINE_STATIC_ASSERT(2 * FLIGHT_MAX + RING_SLOTS / 4 <= RING_SLOTS, "a ring has room for all");

/* What travels. A call's line stays with its owner meanwhile. */
struct message {
    struct vine_core_call *call;
    vine_core_call_fn fn; /* NULL: a reply */
    union {
        void *argument;
        int64_t result;
    };
    uint8_t group;
};

/*
 * A call that travels alone, and its reply: line.h. Both sides write it, in turns.
 */
struct vine__line {
    _Alignas(VINE_CACHE_LINE) uint64_t number; /* atomic: R11; odd: a call, even: its reply */
    struct message message;
};
VINE_STATIC_ASSERT(sizeof(struct vine__line) == VINE_CACHE_LINE, "it moves at once");

/* One side of it. */
struct vine__line_end {
    struct vine__line *line;
    uint64_t number;    /* the last one that we have written or taken */
    bool is_waiting;    /* for the next one; else it is ours to write */
    bool is_left_alone; /* for a turn */
    bool is_due;        /* after that: it is likely to be there */
};

/* A call of another core, here. */
struct vine__incoming {
    struct vine_work work;
    struct vine_core_call *call;
    vine_core_call_fn fn;
    void *argument;
    uint32_t origin;
    bool is_deferred;
    bool is_alone; /* it came in a line, and so goes its reply */
    struct vine__incoming *next_free;
};

/* Foreign objects that go home at the end of the turn. */
struct vine__lot {
    struct vine_foreign *first, *last;
};

/* What one core has to do with another one. Written by that core alone, but for `consumed`. */
struct vine__link_to {
    struct vine_spsc_producer out;
    struct vine_spsc_consumer in;
    struct vine__line_end asked;          /* a call of ours */
    struct vine__line_end asking;         /* a call of theirs */
    uint32_t in_flight;                   /* calls of ours without a reply */
    struct vine_core_call *waiting_first; /* calls that exceed FLIGHT_MAX, by work.next */
    struct vine_core_call *waiting_last;
    struct vine__lot leaving;
    struct vine__incoming *free_incoming;
    struct vine__incoming alone; /* the one in `asking` */
    struct vine__incoming incoming[FLIGHT_MAX];
};

/* From one core to another: the ring, and the line of a call that travels alone. */
struct vine__pair {
    struct vine_slot slots[RING_SLOTS];
    struct vine__line line;
    _Alignas(VINE_CACHE_LINE) uint64_t consumed;
};

/* A scheduling group as its maker described it; complete before it is counted. */
struct vine__group_record {
    char name[32];
    uint32_t shares;
    uint8_t parent;
    bool holds;
};

/* The same on one core, which gives it its part of the time. */
struct vine__group {
    struct vine_work *first, *last;
    double used;   /* ticks, divided by shares: who has least is next. 2^53 of them are a month
                      in which this is exact, and ten years in which it is to a microsecond */
    double floor;  /* a holder: `used` of the child that ran last, before it ran */
    double weight; /* 1 / shares */
    uint64_t ticks;
    uint64_t works;
    uint32_t active; /* a holder: which children have work */
    uint8_t parent;
    bool holds;
    struct vine_timer_node due; /* a ring of timers whose time has come */
    struct vine_work timers;    /* calls them */
};

struct vine__alien {
    struct vine__alien *next;
    struct vine__alien **link; /* what points to it, once it is taken */
    struct vine_core_call call;
    vine_core_call_fn fn;
    void *argument;
    int64_t result;
    int error;
    uint32_t ended;    /* atomic: R9 */
    bool frees_itself; /* nobody waits */
};

/* What others write of a core: a line of its own. */
struct vine__inbox {
    _Alignas(VINE_CACHE_LINE) uint32_t is_asleep; /* written by its core; taken by who wakes it */
    _Alignas(VINE_CACHE_LINE) void *aliens;       /* newest first */
    void *foreigners;                             /* objects of ours that others have released */
};

struct vine__mesh {
    struct vine__mesh_options options;
    struct vine__pair *pairs; /* [from * core_count + to] */
    struct vine__reactor *reactors[VINE_CORES_MAX];
    struct vine__inbox *inboxes;
    struct vine__group_record groups[VINE_GROUPS_MAX];
    uint32_t group_count;            /* atomic: R3 */
    uint32_t has_stopped;            /* atomic: R5 */
    struct vine__watcher_bell *bell; /* or NULL */
    int exit_code;                   /* core 0's until then */
    bool is_stopping;                /* core 0's, and so is what follows */
    bool is_cut_short;               /* the limit was over before all was stopped */
    uint32_t cores_stopping;
    struct vine_core_call stop_calls[VINE_CORES_MAX];
    struct vine_timer stop_limit;
};

/* What each turn looks at comes first and together: after a sleep it is in no cache. */
struct vine__reactor {
    uint64_t magic;
    struct vine__mesh *mesh;
    struct vine__poller *poller;
    uint32_t core;

    const uint64_t *clock_ns; /* the test's, or NULL */

    /* The turn that runs. */
    uint64_t quota_end_ticks;
    uint64_t worked_ticks; /* when work ended last */
    uint64_t quota_ticks;
    uint64_t random; /* of the shuffle; 0: none */
    uint8_t group;   /* of what runs */
    struct vine__incoming *serving;

    /* Time. */
    uint64_t now_ns; /* the coarse clock */
    uint64_t manual_ns;
    uint64_t clock_ticks; /* when now_ns was read */
    uint64_t clock_every_ticks;
    uint64_t back_by_ns; /* when the clock would be read anew at the latest */
    uint32_t to_hear;    /* it was away: so many ends of operations at most go before timers */

    /* Sleep. */
    uint32_t is_awake; /* atomic: for whoever watches, as is counts.turns */
    uint64_t started_ticks, slept_ticks;
    uint64_t long_sleep_ticks;
    struct vine_spinner spinner;
    struct vine__spin spin;
    uint64_t idle_since_ticks;
    uint64_t idle_poll_ticks;
    bool is_idle, may_spin;

    /* What nobody tells of. */
    struct vine__polled *polled;
    uint64_t polled_limit_ns; /* of the sleep */
    bool has_polled_down;     /* since they were asked last */

    struct vine__reactor_counts counts;

    /* Work. */
    uint32_t group_count; /* of those that we have met */
    uint32_t active;      /* groups below the root that have work */
    double floor;         /* `used` of the group that ran last at the root, before it ran */
    uint32_t backlog;
    struct vine__group groups[VINE_GROUPS_MAX];

    /* Other cores. */
    struct vine__link_to *links;        /* [core_count] */
    uint64_t told[VINE_CORES_MAX / 64]; /* cores to which something was sent in this turn */
    struct vine_core_call *submits;     /* free ones, by work.next */
    struct vine__alien *aliens;         /* taken, and not ended */
    struct vine_core_call *submits_memory;

    /* Foreign objects: those released here, by home, and ours that others have released. */
    uint64_t leaving[VINE_CORES_MAX / 64]; /* homes of some */
    bool has_leaving;
    struct vine_foreign *came_home;
    struct vine_work destroying;

    /* The end. */
    struct vine_stopper *stoppers;
    struct vine_reply stop_reply;
    struct vine_core_call stop_call;
    bool has_asked_to_stop;
    bool has_called_stoppers; /* nothing starts any more that others rest on */

    struct vine__wheel wheels[VINE_CLOCK_COUNT];
};

/* The initial-exec model: a load of a word, wherever the library lies. */
extern _Thread_local struct vine__reactor *vine__self __attribute__((tls_model("initial-exec")));

static inline struct vine__reactor *vine__reactor_here(void)
{
    struct vine__reactor *const reactor = vine__self;

    VINE_ASSERT(reactor != NULL); /* the caller's thread is no reactor */
    return reactor;
}

/* What work is charged by: the processor's ticks, or nanoseconds of a test's clock. */
static inline uint64_t vine__reactor_ticks(const struct vine__reactor *reactor)
{
    if (VINE__UNLIKELY(reactor->clock_ns != NULL))
        return *reactor->clock_ns;
    return vine__clock_ticks();
}

/* work.c */
void vine__work_init_groups(struct vine__reactor *reactor);
bool vine__work_run(struct vine__reactor *reactor);
void vine__work_ran_one(struct vine__reactor *reactor, uint8_t id, uint64_t start_ticks);
void vine__work_post_to(struct vine__reactor *reactor, struct vine_work *work);

/* The same, behind all that came so before, with a shuffle too: calls of a core to another one. */
void vine__work_post_in_order(struct vine__reactor *reactor, struct vine_work *work);
/* group.c: the group of this number, which may have been made since. */
struct vine__group *vine__group_find(struct vine__reactor *reactor, uint8_t id);
void vine__group_init_mesh(struct vine__mesh *mesh);

/* polled.c */
bool vine__polled_poll(struct vine__reactor *reactor, uint64_t now_ticks);
bool vine__polled_look(struct vine__reactor *reactor); /* in place of vine__calls_look */
bool vine__polled_lie_down(struct vine__reactor *reactor);
void vine__polled_get_up(struct vine__reactor *reactor);

/* call.c */
#define VINE__CALLS_LOOKS 128 /* at other cores' calls, between two turns of one that is idle */
int vine__calls_init(struct vine__reactor *reactor);
void vine__calls_fini(struct vine__reactor *reactor);
bool vine__calls_take(struct vine__reactor *reactor);
bool vine__calls_look(struct vine__reactor *reactor, uint32_t looks); /* it has no work */
bool vine__calls_are_there(struct vine__reactor *reactor);
void vine__calls_wake_others(struct vine__reactor *reactor);

/* alien.c */
bool vine__aliens_take(struct vine__reactor *reactor);
bool vine__aliens_are_there(const struct vine__reactor *reactor);
void vine__aliens_refuse(struct vine__reactor *reactor);

/* foreign.c */
void vine__foreign_init(struct vine__reactor *reactor);
void vine__foreign_fini(struct vine__reactor *reactor); /* as this reactor; it runs no more */
bool vine__foreign_take(struct vine__reactor *reactor);
bool vine__foreign_are_there(const struct vine__reactor *reactor);
bool vine__foreign_send(struct vine__reactor *reactor);
void vine__foreign_end_mesh(struct vine__mesh *mesh); /* of which no reactor is left */

/* Wake it if it sleeps. After a full fence. */
void vine__wake_core(struct vine__mesh *mesh, uint32_t core);

/* timers.c */
void vine__timers_init(struct vine__reactor *reactor);
void vine__timers_init_group(struct vine__reactor *reactor, uint32_t id);
bool vine__timers_take(struct vine__reactor *reactor);
uint64_t vine__timers_next_ns(struct vine__reactor *reactor);
bool vine__timers_are_exact(const struct vine__reactor *reactor); /* some go by the microsecond */

/* reactor.c: the machine's clock, or the test's. */
uint64_t vine__reactor_clock_ns(const struct vine__reactor *reactor);

#endif
