/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/appliance_internal.h - what an appliance is made of.
 *
 * Owns:     the structs of the serving side.
 * Threads:  all of it is the loop's, but for what stands under "jobs": that is behind jobs_lock,
 *           and a running job is its worker's.
 * Blocking: the loop alone sleeps, in appliance_loop.c.
 * Trust:    everything behind mirror pointers is the application's: copied, checked, used.
 * Limits:   those of vine/appliance.h.
 *
 * The memory order, where no lock does it:
 *   P1  registering: release of a definition, then of the count   pairs with P2
 *   P2  the loop: acquire of the count, then of a definition      pairs with P1
 *   P5  the loop: release of a tally's address        pairs with P6
 *   P6  who sums them: acquire of it                  pairs with P5: a zeroed one
 *   P3  making a part: release of its address         pairs with P4
 *   P4  who looks at all parts: acquire of it         pairs with P3: what it is made of
 *   V1  who wakes: release of event_word                          pairs with V2
 *   V2  a loop that falls asleep: acquire of event_word           pairs with V1: looks come after
 *   Q1  vine_appliance_stop: release of `stops`                   pairs with Q2
 *   Q2  the loop: acquire of `stops`                              pairs with Q1
 *   F1  who begins or ends a leave-taking: release of `leaving`   pairs with F2: its socket
 *   F2  each part: acquire of `leaving`                           pairs with F1
 *   F3  a connection that arrived: release of placed_count        pairs with F4: it is a pipe
 *   F4  who sees whether all have left: acquire of placed_count   pairs with F3
 *   E1  a part that has examined its pipes: release of the number   pairs with E2
 *   E2  who tells what all parts found: acquire of it               pairs with E1
 *   J1  a job's end: release of its lane's `running`              pairs with J2
 *   J2  the loop: acquire of `running`, for a task that it runs   pairs with J1: the last is over
 * Between the two sides:
 *   B1  application: release of its count of channels             pairs with B2: their records
 *   B2  appliance: acquire of that count                          pairs with B1
 *   B3  appliance: release of a channel's state                   pairs with B4: its record
 *   B4  application: acquire of that state                        pairs with B3
 *   B5  either: release of `closed`                               pairs with B6: what it completed
 *   B6  the other: acquire of `closed`                            pairs with B5
 *   B7  either, in a named segment: release of `epoch`            pairs with B8: a clean half
 *   B8  the other: acquire of `epoch`                             pairs with B7
 *   W1, W2: ready.h
 *   B9  either, in a device: release of `meeting`                 pairs with B10: a whole half
 *   B10 the other: acquire of `meeting`                           pairs with B9
 */
#ifndef VINE_CORE_TALK_APPLIANCE_INTERNAL_H
#define VINE_CORE_TALK_APPLIANCE_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>

#include <vine/appliance.h>

#include "arch/peer/peer.h"
#include "core/bridge/op_cache.h"
#include "core/ring/spsc_inline.h"
#include "core/talk/ages.h"
#include "core/talk/examine.h"
#include "core/talk/executor.h"
#include "core/talk/half.h"
#include "core/talk/link.h"
#include "core/talk/mirror.h"
#include "core/talk/quota.h"
#include "core/talk/roll.h"
#include "core/talk/serving.h"
#include "core/talk/tally.h"
#include "core/talk/turns.h"
#include "core/talk/why.h"
#include "utils/assert.h"
#include "utils/container_of.h"
#include "utils/list.h"
#include "utils/table.h"

#define VINE__APPLIANCE_MAGIC 0x4c50504145454e56ULL
#define VINE__SERVED_MAGIC    0x4456525345454e56ULL

/* The type of an output's box until its task has ended. No token from outside has this bit (it is
 * masked away), so that nobody can name, use or release what is still being written. */
#define VINE__TYPE_UNFINISHED 0x8000

struct vine__served;

/* Tasks that run one after the other. */
struct vine__lane {
    struct vine__list jobs; /* waiting ones, oldest first */
    uint32_t running;       /* jobs of this lane that are ready or run: 0 or 1 */
};

struct vine__session {
    /* Of when it began: all its tasks run with that, whatever has replaced it since. */
    const struct vine_procedure_definition *definition;
    void *state;
    struct vine__lane lane;
    int64_t charged_bytes; /* by its handlers */
    uint16_t id;
    uint16_t procedure; /* its number */
    uint32_t jobs;      /* taken and not ended */
    bool is_stream;     /* the executor's, without a state */
    bool is_begun;      /* `begin` has run well, so that `end` is due */
    uint32_t is_failed; /* atomic: further tasks end with -VINE_ESESSION */
    bool is_ending;     /* free it when its jobs have ended */
    bool is_late;       /* it began while the appliance's pipes were being left */
    /* Of a stream: whose it is. */
    struct vine__served *pipe;
    void *kept;       /* by the executor; or NULL */
    bool is_end_told; /* to the executor; and that its pipe is over, too, or to be left: */
    bool is_over_told;
    struct vine__list lingering; /* in the pipe's, once it has ended and something is still kept */
};

/* Of the last session in a place that failed or was told to end. */
struct vine__session_past {
    uint16_t id;    /* 0: none, since the place was used anew */
    uint16_t error; /* with which its tasks end; 0: there are no more */
};

enum vine__job_state {
    VINE__JOB_WAITING, /* for its turn in its lane, or until another task has ended */
    VINE__JOB_READY,   /* a worker may take it, or the loop for the executor */
    VINE__JOB_RUNNING,
    VINE__JOB_ENDED,
};

struct vine__call_input {
    const void *memory; /* shared, and then the private copy */
    uint64_t size_bytes;
    bool is_ours; /* lies in our half: `token` is kept until the task has ended */
    struct vine_token token;
};

struct vine__call_output {
    void *memory; /* NULL: not asked for, or room for nothing */
    struct vine_token token;
    uint64_t room_bytes;
    uint64_t size_bytes;
};

/* In the pipe's quota. */
struct vine__reason {
    char text[VINE_REASON_MAX + 1]; /* printable */
};

/* A task that was taken: what its handler sees, and where its completion goes. */
struct vine_call {
    struct vine__op operation; /* of the pipe's jobs */
    struct vine__served *pipe;
    const struct vine_procedure_definition *definition;
    struct vine__session *session;
    uint64_t wire_operation;
    uint32_t channel;
    uint16_t procedure; /* as the wire numbers it */
    bool is_last;
    bool is_builtin;   /* a procedure of the protocol itself: counts as no task */
    uint8_t job_state; /* enum vine__job_state; jobs_lock */
    uint32_t canceled; /* atomic */
    int status;
    const unsigned char *bytes;
    uint32_t bytes_size;
    uint32_t input_count;
    uint32_t output_count;
    uint32_t result_size;
    struct vine__reason *reason; /* why it fails, as its handler says; NULL: it says nothing */
    void *block;                 /* the private copy of a descriptor */
    uint32_t block_bytes;        /* as charged; 0: there is none */
    uint64_t turn_ticks;         /* what its pipe is charged while it runs, of virtual time */
    uint64_t copied_bytes;       /* charged for private copies of its inputs; 0 but while it runs */
    bool has_parcel; /* `parcel` is room for outputs and result that do not fit into a slot */
    struct vine_box parcel;
    uint64_t deadline_ticks; /* 0: there is none */
    struct vine__list timed; /* in the part's, if there is one and it is a job */
    bool is_late;            /* it was canceled for its deadline */
    bool is_given_up;        /* or because the pipe is to be left */
    uint64_t seen_ticks;
    uint64_t start_ticks;
    uint64_t end_ticks;
    struct vine__call_input inputs[VINE_TASK_DATA_MAX];
    struct vine__call_output outputs[VINE_TASK_DATA_MAX];
    unsigned char inline_bytes[VINE_WIRE_BODY_BYTES];
    unsigned char result[VINE_RESULT_MAX];
    struct vine__executed executed; /* the executor's, of a coroutine procedure */
    bool is_executed;               /* the executor has it */
    bool is_charged;                /* for its execution */
    bool is_now;                    /* it begins, and may end, before it is a job */
    bool is_cancel_told;            /* to the executor */
    struct vine__lane *lane;        /* NULL: runs whenever there is room */
    struct vine__list link;         /* in a lane, the pipe's ready jobs, or the done ones */
    bool is_listed;              /* in its channel's table of jobs, with the fields that follow */
    bool has_turn;               /* no other job of its lane comes first; jobs_lock */
    bool awaits;                 /* the end of the task that it comes after; jobs_lock */
    struct vine__list followers; /* jobs that await its end */
    struct vine__list follower;  /* among the followers of the one that it awaits */
    bool has_after;
    uint32_t after_channel;
    uint64_t after_operation;
    uint64_t after_position;
} __attribute__((aligned(VINE_CACHE_LINE)));

struct vine__served_channel {
    bool is_open;
    bool is_stream;
    uint32_t in_flight;   /* taken, and their completion not pushed */
    uint32_t unpublished; /* completions that are written and not published */
    struct vine_spsc_consumer submissions;
    struct vine_spsc_producer completions;
    const uint32_t *peer_sleeping;
    struct vine__link *rung;    /* a sleeper there is rung for by it; NULL: by futex */
    uint32_t rung_for;          /* the sleep that it was rung for last */
    const uint32_t *peer_epoch; /* the application's */
    struct vine__served *pipe;
    struct vine__lane *lanes; /* one for each virtual accelerator */
    struct vine__table jobs;  /* by operation: those in flight that the loop did not run itself */
    /* A submission that was taken from the ring and cannot go on yet. Those behind it wait. */
    bool is_held;
    uint32_t held_at;    /* the pipe's changes when it was last tried */
    uint64_t held_ticks; /* when it was first seen */
    uint64_t ahead;      /* how far it was looked at without taking anything: served_ahead.c */
    struct vine_wire_submission held;
    /* Of submissions that were canceled before they were taken: served_cancel.c. */
    bool is_canceled;    /* the held one */
    uint32_t mark_count; /* those that lie in the ring */
    uint64_t *marks;     /* a bit for each of its slots; NULL: there were none yet */
};

struct vine__virtual_accelerator {
    bool is_used;
    bool is_ordered;
};

enum vine__served_state {
    VINE__SERVED_HANDSHAKE, /* connected, has not said hello */
    VINE__SERVED_OPEN,
    VINE__SERVED_CLOSING, /* waits for its last running job */
    VINE__SERVED_OVER,    /* to be freed by vine__served_reap */
};

/* A pipe, as the appliance sees it. */
struct vine__served {
    uint64_t magic;
    struct vine_appliance *appliance;
    struct vine__list link;   /* all pipes */
    struct vine__list active; /* those that are polled */
    enum vine__served_state state;
    bool is_active;
    uint64_t number;             /* for the log */
    uint64_t deadline_ns;        /* of the handshake */
    uint32_t look;               /* the last look around that came to it */
    uint64_t busy_ticks;         /* when it was last found busy */
    uint32_t shares;             /* beside other pipes that are busy; see appliance_loop.c */
    int visit_max;               /* submissions that the next visit may take */
    uint64_t visit_ticks;        /* and time, before it ends */
    uint64_t debt_ticks;         /* of the loop's time for tasks, more than its share */
    uint64_t heard_debt_ticks;   /* the same for what came by descriptors */
    uint64_t seen_ticks;         /* the loop's clock, after what it last did for this pipe */
    bool is_awaited;             /* was left to us; its application has not said hello yet */
    bool is_frozen;              /* no more is taken from its rings */
    bool sends_back;             /* further sessions are the next appliance's */
    bool has_sent_back;          /* some, which wait until this one has left the pipe */
    bool is_given_up;            /* what runs and what goes on was told to end, so as to leave it */
    uint32_t sessions_late;      /* those that began while it is to be left */
    uint32_t next_channel;       /* with which the next visit begins */
    uint32_t changes;            /* raised by whatever may let a submission that is held go on */
    uint64_t looked_ticks;       /* named segments: when its process was last asked for */
    struct vine__served **place; /* links: where it stands in its place, until nothing is left */
    /* Moves to other parts: served_move.c. */
    bool is_moving;          /* none of its tasks is taken */
    uint32_t moves_to;       /* which part */
    uint64_t move_by_ticks;  /* or it stays */
    uint64_t rest_ticks;     /* that it is left in peace afterwards, */
    uint64_t rests_by_ticks; /* until then; 0: it has never tried to move */
    struct vine__list mover; /* in its part's list, while it is moving */
    uint32_t measure;        /* the part's to which the following belong */
    uint32_t begun;          /* tasks of coroutines */
    uint64_t used_ticks;     /* by visits to it */
    uint64_t seen_bytes;     /* as the last look around found what it holds */
    uint32_t sleep_epoch;
    uint32_t woken_epoch; /* the application's last one in which it was woken */
    /* Channels, a bit for each. served_ready.c */
    uint64_t listed;        /* are visited; where bits were not agreed on all that are open */
    uint64_t answered;      /* as our board says it */
    uint64_t found;         /* on the list, and had something since it was thinned out */
    uint64_t leaving;       /* were taken off it, and are to be looked at once more */
    uint64_t thinned_ticks; /* when that was */
    struct vine__link link_to;
    struct vine__half half;
    struct vine__mirror mirror;
    struct vine__agreement agreement;
    uint32_t channel_count; /* atomic, written by the loop: opened so far */
    struct vine__served_channel *channels[VINE_TALK_CHANNELS_MAX];
    struct vine__virtual_accelerator *accelerators;
    uint32_t session_count;          /* also those that end when their jobs have ended */
    struct vine__session **sessions; /* by place */
    struct vine__session_past session_pasts[VINE_WIRE_SESSION_PLACES]; /* by place */
    struct vine__quota quota;
    struct vine__list growing; /* in the appliance's list, while memory of it is made or mapped */
    struct vine__op_cache jobs;
    uint32_t running;            /* jobs that workers run now; jobs_lock */
    uint32_t copying;            /* jobs that run with private copies of their inputs; jobs_lock */
    uint32_t jobs_taken;         /* atomic, written by the loop: not ended */
    uint32_t sessions_kept;      /* those that the executor keeps something for */
    struct vine__list lingering; /* and of these the ones that have ended */
    void *kept;                  /* by the executor, for all its tasks; or NULL */
    struct vine__list ready;     /* jobs that a worker may take; jobs_lock */
    struct vine__turn turn;      /* among the pipes with ready jobs; jobs_lock */
    struct vine__why why;
    struct vine__rolled rolled;
    struct vine__ages ages; /* of boxes of our half */
    uint32_t examined;      /* the last examination that looked at it */
    /* statistics, atomic: written by the loop, read by any */
    uint64_t tasks_done, tasks_failed, bytes_in, bytes_out;
};

/* Copies of so many bytes are no pipe's: each thread has the memory for them anyway. */
#define VINE__SCRATCH_OWN (64u << 10)

/* Memory that copies of inputs lie in, one for each thread that runs handlers. */
struct vine__scratch {
    unsigned char *memory;
    size_t size_bytes;
};

/*
 * What the parts of an appliance share, each of which is a struct vine_appliance that has a loop
 * and pipes of its own: what is offered, and who works. One that serves by itself is the only part.
 */
struct vine__common {
    uint32_t part_count;   /* atomic: of all that have ever been */
    uint32_t parts_there;  /* atomic: who leaves last frees this */
    uint32_t stops;        /* atomic: calls of vine_appliance_stop */
    uint32_t suspended;    /* atomic: the error with which new pipes are refused; 0: they are not */
    uint32_t worker_count; /* atomic */
    uint32_t workers_expected; /* counted already, and not yet here; under jobs_lock */
    uint32_t pipe_count;       /* atomic: of all parts, but for the buried ones */
    uint32_t pipes_open;       /* atomic: of all parts, or on their way from one to another */
    uint64_t pipe_numbers;     /* atomic: given so far */
    uint64_t generation;
    uint64_t table_seed;                           /* random: applications choose the keys */
    struct vine_appliance *parts[VINE__PARTS_MAX]; /* atomic; NULL: it is gone */

    uint32_t uid; /* of this process: who asks with it may know everything */
    struct vine__roll roll;
    struct vine__examination examination;

    /* Leaving all pipes to another process: leave.c. */
    uint32_t leaving;      /* atomic: not 0 while it is under way, and when all has been left */
    uint32_t placed_count; /* atomic: connections that are on their way to a part */
    pthread_mutex_t leave_lock;
    int leave_fd;          /* leave_lock: of the successor; -1: none */
    int32_t leave_former;  /* leave_lock: of which process it was, as the kernel said */
    uint64_t leave_ticks;  /* when that began */
    uint64_t lost_ticks;   /* atomic: when the successor was lost */
    uint32_t leave_number; /* atomic: how often one has begun */

    pthread_mutex_t told_lock; /* events are told one at a time */
    bool has_told_drain;       /* told_lock */

    /* Definitions, in the order of their registration; entries are replaced by release. */
    pthread_mutex_t procedures_lock;
    uint32_t procedure_count;
    const struct vine_procedure_definition *procedures[VINE_APPLIANCE_PROCEDURES_MAX];
    uint32_t withdrawn[VINE_APPLIANCE_PROCEDURES_MAX]; /* atomic: 1 where it is not offered */

    /* jobs: what follows changes often, unlike what loops look at above. Workers are few and their
     * jobs long: a lock costs them nothing. */
    _Alignas(VINE_CACHE_LINE) pthread_mutex_t jobs_lock;
    pthread_cond_t jobs_ready;
    struct vine__turns turns;  /* of pipes with ready jobs, by shares */
    struct vine__list errands; /* in the order in which they were begun */
    struct vine__list buried;  /* pipes whose memory is to be given back: by workers */
    uint32_t buried_count;     /* atomic: those that are, and the one under way */
    uint32_t parts_serving;    /* jobs_lock: those that have not ended */
    bool workers_end;
};

struct vine_appliance {
    uint64_t magic;
    struct vine__common *common;
    struct vine_appliance_options options;
    char name[VINE_NAME_MAX + 1];
    struct vine__address address;
    struct vine__peer_listener listener;
    struct vine_segment *named;
    uint32_t *named_word;               /* what a loop sleeps on that listens there */
    uint32_t named_epoch;               /* the claim of the application's side that was answered */
    struct vine__served *named_pipe;    /* NULL: nobody is there */
    struct vine__account *account;      /* of that one, from the first one on */
    struct vine__served_places *places; /* links between machines; NULL: it listens elsewhere */
    uint64_t busy_ticks;                /* when the loop last had something to do */
    int epoll_fd;
    int event_fd;        /* wakes a loop that sleeps in epoll */
    uint32_t event_word; /* raised by whoever wakes */
    uint32_t is_asleep;  /* atomic */
    bool is_draining;
    bool is_leaving;       /* as this part has seen it */
    uint32_t leave_number; /* which leave-taking that is */
    bool is_returning;     /* pipes that have sent something back are to be left to ourselves */
    bool is_listener_sent; /* and perhaps its lock not yet */
    bool is_listener_left; /* it is the successor's, and kept until all is left */
    uint64_t owner_ticks;  /* when it was last asked whose that is */
    bool has_left;         /* all of it */
    char leave_context;    /* by its address: the successor's socket, among the events */
    int taking_fd;         /* of whom we succeed, while pipes come; -1: none */
    bool has_ended;        /* jobs_lock: it is none of those that serve any more */

    struct vine__list pipes;     /* those that have been welcomed */
    struct vine__list strangers; /* connections that have not said hello, oldest first */
    struct vine__list awaited;   /* pipes that were left to us, and have not said hello */
    struct vine__list growing;   /* pipes with memory that is made or mapped, a step a turn */
    struct vine__list over;      /* pipes to be freed */
    struct vine__list active;
    uint32_t pipe_count; /* atomic, written by the loop: all, also those that are closing */
    uint32_t stranger_count;
    bool is_deaf;         /* out of descriptors: the listener is not watched for a while */
    bool is_looking;      /* a look around is under way */
    uint32_t look;        /* its number */
    uint64_t memory_seen; /* by it, so far */
    uint64_t turn_ticks, events_ticks, active_ticks, ages_ticks, sweep_ticks, backstop_ticks,
        spin_ticks;
    uint64_t swept_ticks;         /* when idle pipes were last looked for */
    uint32_t busy_count;          /* pipes that were active in the last whole turn */
    uint64_t forgiven_ticks;      /* to all who owe, since nobody else wants the time */
    uint64_t units_a_tick;        /* of 16 ns, as durations cross; 32 bits behind the point */
    uint64_t longest_ticks;       /* what such a duration can tell */
    uint64_t heard_ticks;         /* when the descriptors were last asked */
    uint64_t round_ticks;         /* that a turn goes on with visits to pipes; 0: to all of them */
    bool hears_when_told;         /* they are asked when somebody says so, and else not */
    bool is_told;                 /* he has */
    bool is_word_deaf;            /* nobody hears when `named_word` is raised */
    uint32_t stops_heard;         /* by the last turn */
    vine__serving_place_fn place; /* who takes connections; NULL: it does so itself */
    void *place_context;
    vine__serving_send_fn send_pipe; /* to other parts; NULL: none goes */
    void *send_context;
    struct vine__list movers;     /* pipes that go to other parts when their tasks have ended */
    uint64_t used_ticks;          /* by visits to pipes */
    uint32_t measure;             /* the number of the last one, of which pipes took what */
    uint32_t begun;               /* tasks of coroutines, in it */
    uint64_t looked_ticks;        /* when a look around was last finished */
    struct vine__scratch scratch; /* the loop's */

    const struct vine__executor *executor; /* NULL: coroutine procedures are refused */
    void *executor_context;

    struct vine__list timed; /* jobs with a deadline, in no order */
    uint64_t dispatch_ticks; /* that a handler may hold the loop */
    uint64_t told_ticks;     /* when it was last told that one did for longer; 0: never */

    struct vine__list done; /* jobs_lock: jobs for the loop to complete, or for the executor */
    struct vine__list errands_done; /* jobs_lock; and those whose part is to be told: */
    struct vine__list errands_telling;
    uint32_t done_count;   /* atomic: of both, a look without the lock */
    uint32_t errand_count; /* that have been begun and not been told of */
    bool is_over;          /* it has no turn any more */
    uint32_t is_silent;    /* atomic: nor does it look at its books for anybody */
    struct vine__examining examining;

    /* statistics: written by the loop, read by any */
    uint64_t pipes_accepted, pipes_refused, pipes_broken, pipes_lost, pipes_moved;
    uint64_t tasks_taken; /* jobs that have not been completed */
    uint64_t tasks_done, tasks_failed, bytes_in, bytes_out, busy_ns;
    uint64_t memory_bytes;
    /* Of procedures, by their places, from the first task on; NULL before. Atomic. */
    struct vine__tally *tallies[VINE_APPLIANCE_PROCEDURES_MAX];
};

/* appliance.c */
void vine__appliance_log(const struct vine_appliance *appliance, enum vine_log_level level,
                         const char *format, ...) VINE_PRINTF(3, 4);
/* Tell that it drains, once for all parts, before any of them tells what comes of it. */
void vine__appliance_tell_drain(const struct vine_appliance *appliance);
/* Tell of an event; `pipe` and `reason` may be NULL. */
void vine__appliance_tell(const struct vine_appliance *appliance,
                          enum vine_appliance_event_kind kind, const struct vine__served *pipe,
                          int error, const char *reason);
/* The shares of a pipe that is being opened. */
uint32_t vine__appliance_shares(const struct vine__served *pipe);
void vine__appliance_wake(struct vine_appliance *appliance);
/* It serves no more: the last one lets the workers go. */
void vine__part_ends(struct vine_appliance *appliance);

/* The procedure in this place, below the count of them; NULL: withdrawn. */
static inline const struct vine_procedure_definition *
vine__procedure_at(const struct vine_appliance *appliance, uint32_t index)
{
    if (vine__load_relaxed_u32(&appliance->common->withdrawn[index]) != 0)
        return NULL;
    /* P2 pairs with P1. */
    return vine__load_acquire_pointer(
        (void *const *)(uintptr_t)&appliance->common->procedures[index]);
}

/* Those that have ever been: of some others there was no place. */
static inline uint32_t vine__parts_count(const struct vine__common *common)
{
    const uint32_t count = vine__load_relaxed_u32(&common->part_count);

    return count < VINE__PARTS_MAX ? count : VINE__PARTS_MAX;
}

/* A part by its number below the count; NULL: it is gone, or not there yet. */
static inline struct vine_appliance *vine__part_at(const struct vine__common *common,
                                                   uint32_t index)
{
    /* P4 pairs with P3. */
    return vine__load_acquire_pointer((void *const *)(uintptr_t)&common->parts[index]);
}

static inline void vine__count(uint64_t *counter, uint64_t more)
{
    vine__store_relaxed_u64(counter, vine__load_relaxed_u64(counter) + more);
}

/* One pipe more, or less. The total's order does not matter: it is a bound. */
static inline void vine__pipe_counted(struct vine_appliance *appliance, int more)
{
    vine__store_relaxed_u32(&appliance->pipe_count, appliance->pipe_count + (uint32_t)more);
    (void)vine__fetch_add_acq_rel_u32(&appliance->common->pipe_count, (uint32_t)more);
}

/* appliance_loop.c */
void vine__loop_prepare(struct vine_appliance *appliance);
/* How long to look before sleeping, unless the options say so. */
void vine__loop_set_spin(struct vine_appliance *appliance, uint64_t preset_ns);
/* One turn: visit the active pipes, complete what workers ended, hear what came. Returns whether
 * anything was done or is left to do. */
bool vine__loop_turn(struct vine_appliance *appliance, uint64_t now_ticks);
void vine__loop_activate(struct vine__served *pipe);
/* A pipe that has just been opened has so many shares, and may be visited. */
void vine__loop_set_shares(struct vine__served *pipe, uint32_t shares);
/* It is not polled any more, and its application is asked to wake us. What has come before that is
 * heard of is to be looked for afterwards, behind a barrier. */
void vine__loop_say_asleep(struct vine__served *pipe);
/* Whether anything waits in a pipe's rings. */
bool vine__loop_has_work(struct vine__served *pipe);

/* appliance_events.c: what the descriptors tell. Returns whether there may be more at once. */
bool vine__events_hear(struct vine_appliance *appliance, uint64_t timeout_ns);
/* What no event tells: handshakes that take too long, deaths where there is no pidfd, rings of
 * pipes that sleep. A part of the pipes a call; returns whether there are more. */
bool vine__events_look_around(struct vine_appliance *appliance);
/* A connection that has come: to whichever part. */
void vine__events_place(struct vine_appliance *appliance, int fd, bool is_awaited);
/* End a pipe from the loop; 0 and -VINE_ECLOSED: the application closed it. */
void vine__loop_end_pipe(struct vine__served *pipe, int error, const char *why);

/* Where nobody can wake us, how long to sleep after so long without anything to do: who comes then
 * waits a sixteenth of that at most, and looks cost less and less. */
#define VINE__NAP_LEAST_NS 50000
#define VINE__NAP_MOST_NS  20000000

static inline uint64_t vine__nap_ns(uint64_t idle_ns)
{
    const uint64_t nap_ns = idle_ns / 16;

    if (nap_ns < VINE__NAP_LEAST_NS)
        return VINE__NAP_LEAST_NS;
    return nap_ns < VINE__NAP_MOST_NS ? nap_ns : VINE__NAP_MOST_NS;
}

/* Between two looks at the counter, of which processors may have their own: never less than
 * nothing. */
static inline uint64_t vine__elapsed(uint64_t from_ticks, uint64_t to_ticks)
{
    return (int64_t)(to_ticks - from_ticks) > 0 ? to_ticks - from_ticks : 0;
}

/* What a pipe may hold beside the halves: a part of its memory that is never granted to them, so
 * that an application which fills its half can still have tasks. */
static inline uint64_t vine__beside_halves(const struct vine_appliance *appliance)
{
    return appliance->options.memory_max_bytes / 8;
}

/* served.c: pipes */
struct vine__served *vine__served_create(struct vine_appliance *appliance);
int vine__served_open(struct vine__served *pipe); /* after the handshake */
int vine__served_open_channels(struct vine__served *pipe);
/* End a pipe for a reason (0: the application closed it). It stays until vine__served_reap, which
 * the loop calls where nobody holds a pointer to a pipe, finds that no job of it runs any more. */
void vine__served_end(struct vine__served *pipe, int error, const char *why);
/* One of which the application had a pipe to another appliance, and finds out when it finds out. */
void vine__served_await(struct vine__served *pipe);
/* Its socket is another process's now: nothing is said to the application, nor counted. */
void vine__served_leave(struct vine__served *pipe);
void vine__served_discard(struct vine__served *pipe); /* one that was never opened */
void vine__served_end_if_over(struct vine__served *pipe);
/* Free what is over; whether there is more. Without workers a part of an extent a call. */
bool vine__served_reap(struct vine_appliance *appliance);
/* Give back the memory of a pipe of which nothing else is left, and the pipe. Any thread. */
void vine__served_bury(struct vine__served *pipe);
/* See whether memory of the pipe grows: if so it is stepped, one pipe in each turn. */
void vine__served_see_growth(struct vine__served *pipe);
/* One step of what grows; whether there was anything. */
bool vine__served_grow(struct vine_appliance *appliance);

/* served_move.c: let those pipes go to other parts that can. Returns whether any went, or stays. */
bool vine__served_step_moves(struct vine_appliance *part, uint64_t now_ticks);

/* What it takes is counted from here on. */
static inline void vine__measure_pipe(struct vine__served *pipe)
{
    pipe->measure = pipe->appliance->measure;
    pipe->used_ticks = 0;
    pipe->begun = 0;
}

/* A visit to it took so long. */
static inline void vine__served_used(struct vine__served *pipe, uint64_t ticks)
{
    if (VINE__UNLIKELY(pipe->measure != pipe->appliance->measure))
        vine__measure_pipe(pipe);
    pipe->used_ticks += ticks;
    pipe->appliance->used_ticks += ticks;
}

/* A task of a coroutine of it has begun. */
static inline void vine__served_began(struct vine__served *pipe)
{
    if (VINE__UNLIKELY(pipe->measure != pipe->appliance->measure))
        vine__measure_pipe(pipe);
    pipe->begun++;
    pipe->appliance->begun++;
}

/* served_named.c: the one pipe of a named segment */
int vine__served_listen_named(struct vine_appliance *appliance, struct vine__why *why);
void vine__served_leave_named(struct vine_appliance *appliance);
void vine__served_look_named(struct vine_appliance *appliance, uint64_t now_ticks);
void vine__served_answer_named(struct vine_appliance *appliance, uint64_t now_ticks);
/* Whether its application's half may be somebody else's by now, who cleared it. */
bool vine__served_is_followed(struct vine__served *pipe);
uint32_t vine__served_named_word(const struct vine_appliance *appliance);
void vine__served_wait_named(struct vine_appliance *appliance, uint32_t event_word,
                             uint32_t named_word, uint64_t timeout_ns);
/* Wake a loop that sleeps there. Any thread; async-signal-safe. */
void vine__served_wake_named(struct vine_appliance *appliance);

/* served_links.c: a pipe for each link between machines */
struct vine__served_places;
int vine__served_listen_links(struct vine_appliance *appliance, struct vine__why *why);
void vine__served_leave_links(struct vine_appliance *appliance);
/* See what the host and the applications have changed. */
void vine__served_look_links(struct vine_appliance *appliance);
/* How long a loop that was idle for so long may sleep before it looks again. */
uint64_t vine__served_nap_links(const struct vine_appliance *appliance, uint64_t idle_ns);

/* served_task.c: take submissions. Negative: the pipe broke, see pipe->why.
 * `room` is how many more tasks can be taken, at most `wanted`. */
int vine__served_room(struct vine__served *pipe, struct vine__served_channel *channel, int wanted);
int vine__served_poll(struct vine__served *pipe, uint64_t now_ticks);

/* served_end.c: the end of a task, whose completion is seen once the channel is flushed. */
void vine__served_complete(struct vine_call *call);
void vine__served_flush(struct vine__served_channel *channel);

/* served_ahead.c: of a pipe of which nothing is taken any more, hear who cancels what still runs.
 * Returns how many messages have come. */
int vine__served_look_ahead(struct vine__served *pipe);
bool vine__served_is_any_ahead(const struct vine__served *pipe);

/* served_ready.c: which channels are visited. One that has just been opened is, and so are those
 * that the application's word says anew. */
void vine__served_enlist(struct vine__served *pipe, uint32_t channel);
void vine__served_hear(struct vine__served *pipe, uint64_t ready);
/* Whether that word says anything new. */
bool vine__served_is_told(const struct vine__served *pipe);
/* Take off the list what had nothing for a while. Returns whether any was taken off: then, with a
 * barrier in between, vine__served_look_once_more comes after. */
bool vine__served_thin_out(struct vine__served *pipe, uint64_t now_ticks);
void vine__served_look_once_more(struct vine__served *pipe);
/* What no application should make necessary: channels that are not on the list. */
void vine__served_look_at_all(struct vine__served *pipe);

/* builtin_page.c: those that tell operators, a page at a time. From where it is asked to go on, 0:
 * from the start; how many records its room takes, 0: not one; whether who asks may know of other
 * users' pipes; and the answer. */
uint64_t vine__builtin_place(const struct vine_call *call);
uint32_t vine__builtin_room(const struct vine_call *call, size_t record_bytes);
bool vine__builtin_sees_all(const struct vine__served *pipe);
void vine__builtin_answer(struct vine_call *call, const void *records, uint32_t record_bytes,
                          uint32_t count, uint64_t next);
int vine__builtin_list_statistics(struct vine_call *call);
int vine__builtin_list_pipes(struct vine_call *call);

/* builtin.c: procedures of the protocol itself. Returns the task's status. */
int vine__builtin_run(struct vine_call *call, uint16_t procedure);
const struct vine_procedure_definition *vine__builtin_definition(uint16_t procedure);

/* job.c */
void vine__job_run(struct vine_call *call, struct vine__scratch *scratch);
bool vine__job_run_one(struct vine_appliance *appliance, struct vine__scratch *scratch);
bool vine__jobs_complete(struct vine_appliance *appliance);
/* The loop, each second in which it is awake: workers that were not woken for what waits are. */
void vine__jobs_remind(struct vine_appliance *appliance);

/* executor.c: it is its turn. jobs_lock is not held. */
void vine__executor_begin(struct vine_call *call);
/* The same before it is a job. Returns whether it has begun, and job_state then says more. */
bool vine__executor_begin_now(struct vine_call *call);
/* What the executor keeps for a pipe is to go, as that is over; or is to spare memory: returns
 * whether any was spared. */
void vine__executor_leave(struct vine__served *pipe);
bool vine__executor_spare(struct vine__served *pipe);
/* One that the executor has is not wanted any more. */
void vine__executor_cancel(struct vine_call *call);

/* Whether a procedure has streams here; without a state, too, it has no other sessions. */
static inline bool vine__has_streams(const struct vine_appliance *appliance,
                                     const struct vine_procedure_definition *definition)
{
    return VINE__UNLIKELY(definition->coroutine != NULL) && appliance->executor != NULL;
}

/* Whether a task is the executor's. Its session is known. */
static inline bool vine__is_streamed(const struct vine_call *call)
{
    return VINE__UNLIKELY(call->definition->coroutine != NULL) &&
           (call->definition->run == NULL || (call->session != NULL && call->session->is_stream));
}

/* deadline.c */
/* It has become a job, and has a deadline. */
void vine__deadline_watch(struct vine_call *call);
/* End those of which the deadline is over: a few of them a call. Returns whether there were. */
bool vine__deadlines_look(struct vine_appliance *appliance, uint64_t now_ticks);
/* For how long no deadline will be over, at most `limit_ns`. */
uint64_t vine__deadlines_rest_ns(struct vine_appliance *appliance, uint64_t limit_ns);

static inline bool vine__is_late(const struct vine_call *call, uint64_t now_ticks)
{
    return VINE__UNLIKELY(call->deadline_ticks != 0) &&
           (int64_t)(now_ticks - call->deadline_ticks) >= 0;
}

/* job_order.c */
VINE__ALWAYS_INLINE bool vine__lane_is_idle(const struct vine__lane *lane)
{
    /* Acquire pairs with the release in vine__job_end_locked: what the lane's last job did is over.
     * A lane that runs nothing has nobody waiting. */
    return vine__load_acquire_u32(&lane->running) == 0;
}

/* Have its inputs copied at the pipe's expense while it runs. jobs_lock, unless it runs on the loop
 * without having been handed over. Returns 0 or -VINE_EQUOTA. */
int vine__job_charge_copies(struct vine_call *call);
void vine__job_give_copies(struct vine_call *call);
/* Let workers see the pipe's ready jobs, if it has any. Returns whether they did not see them
 * before. jobs_lock is held. */
bool vine__jobs_show(struct vine__served *pipe);
/* Hand a task to the workers, now or when it is its turn. Returns 0; a positive Vine error that
 * ends the task; a negative one that breaks the pipe. */
int vine__job_submit(struct vine_call *call);
/* The same of one that has begun before it was one. Returns 0 or a negative error. */
int vine__job_submit_begun(struct vine_call *call);
/* It ends: the next one in its lane has its turn, and the loop completes it. jobs_lock is held. */
void vine__job_end_locked(struct vine_call *call);
/* It goes on without its lane, where the next one has its turn. jobs_lock is held. */
void vine__job_leave_lane_locked(struct vine_call *call);
/* It is completed: from here on nothing finds it, and nothing awaits it. */
void vine__job_forget(struct vine_call *call);
/* Those that wait end, running ones are told. Returns whether there is one. */
bool vine__job_cancel(struct vine__served *pipe, uint32_t channel, uint64_t wire_operation);
void vine__job_cancel_call(struct vine_call *call);
void vine__jobs_cancel(struct vine__served *pipe);
/* The same, and those that end by it are told as lost. */
void vine__jobs_give_up(struct vine__served *pipe);

/* session.c */
/* Whether one of this id goes on, or tasks of it are refused. */
bool vine__session_is_known(const struct vine__served *pipe, uint16_t id);
/* With what a task of a session runs: the session's own definition, if it has begun with this
 * procedure, or that which is offered now. */
const struct vine_procedure_definition *
vine__session_definition(const struct vine__served *pipe, uint16_t id, uint16_t procedure,
                         const struct vine_procedure_definition *definition);
/* The session of a task. Returns 0, or the positive error with which the task ends. */
int vine__session_find_or_make(struct vine__served *pipe,
                               const struct vine_wire_submission *submission,
                               const struct vine_procedure_definition *definition,
                               struct vine__session **ret_session);
/* A task ended with that error before it was one of its session's, if it names one. */
void vine__session_refused(struct vine__served *pipe, const struct vine_wire_submission *submission,
                           int error);
/* `is_cut`: its tasks may still come, over another channel than this was told. */
void vine__session_end(struct vine__served *pipe, uint16_t id, bool is_cut);
void vine__session_job_ended(struct vine__served *pipe, struct vine_call *call);
/* A task of it is the executor's: it may have been ended before that. And whether the executor has
 * ended what it had for it, so that further tasks come too late. */
void vine__session_begun(struct vine__session *session);
bool vine__session_is_over(const struct vine__session *session);
/* All of them end, and those that linger as well. */
void vine__sessions_free(struct vine__served *pipe);

#endif
