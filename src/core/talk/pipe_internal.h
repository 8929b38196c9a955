/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/pipe_internal.h - what an application's pipe is made of.
 *
 * Owns:     the structs of the application's side.
 * Threads:  what a thread may touch is said above each group of fields. Locks are taken in this
 *           order: a channel's drain, a channel's issue_lock, the pipe's lock, the pipe's
 * link_lock. Blocking: wait.c alone sleeps.
 * Trust:    everything behind mirror pointers is the appliance's: copied, checked, used.
 * Limits:   those of vine/talk.h.
 *
 * The memory order, where no lock does it (between the two sides: see appliance_internal.h):
 *   E1  who ends the pipe: release of `status`               pairs with E2: what led to it
 *   E2  whoever uses it: acquire of `status`                 pairs with E1
 *   N1  opening: release of channel_count                    pairs with N2: the channels
 *   N2  who walks them without the lock: acquire of it       pairs with N1
 *   K1  a drainer that stops: release of `drain`             pairs with K2: all that it drained
 *   K2  the next one: acquire of `drain`                     pairs with K1
 *   L1  a task's end: release of its life                    pairs with L2: status and results
 *   L2  its user: acquire of its life                        pairs with L1
 *   R1  a result: release of has_result                      pairs with R2: memory, token, size
 *   R2  who looks at the data: acquire of has_result         pairs with R1
 *   A1  a task's end: release of is_awaited, and of refs     pairs with A2: done with the data
 *   A2  the next issuer: acquire of them                     pairs with A1
 *   T1  who wakes: release of `turn`, or memory_turn         pairs with T2
 *   T2  who will wait: acquire of it, before its last look   pairs with T1
 *   O1  a thread's end: release of is_over                   pairs with O2: it issues no more
 *   O2  who takes its channel over: acquire of is_over       pairs with O1
 *   G1  an issuer that has done: release of `issuing`        pairs with G2: what it did
 *   G2  who renews: acquire of `issuing`, which is 0         pairs with G1
 *   G3  who has renewed: release of `status`, 0              pairs with E2: rings, ids, all of it
 *   G4  who has renewed: release of `renewing`               pairs with G5: what it left
 *   G5  the next one: acquire of `renewing`                  pairs with G4
 *   G6  who has tried: release of the renewal's `turn`       pairs with G7
 *   G7  who waits for that: acquire of it, before it tries   pairs with G6
 *
 * Why there are locks at all: memory, data, sessions and the table of channels belong to the pipe,
 * and any thread may use a pipe; there is no core that could own them. A task without data on a
 * thread's own channel takes none of them.
 */
#ifndef VINE_CORE_TALK_PIPE_INTERNAL_H
#define VINE_CORE_TALK_PIPE_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>

#include <vine/talk.h>

#include "arch/peer/fork_guard.h"
#include "core/bridge/op_cache.h"
#include "core/ring/spsc_inline.h"
#include "core/talk/half.h"
#include "core/talk/link.h"
#include "core/talk/mirror.h"
#include "core/talk/ready.h"
#include "core/talk/store.h"
#include "core/talk/type.h"
#include "utils/assert.h"

#define VINE__TASKS_MOST   3072u /* in flight a channel: the cache keeps a quarter for ended ones */
#define VINE__ACCELERATORS 64u   /* virtual ones of a pipe, the pipe's own included */

#define VINE__PIPE_MAGIC        0x45504950454e4956ULL
#define VINE__DATA_MAGIC        0x41544144454e4956ULL
#define VINE__SESSION_MAGIC     0x53534553454e4956ULL
#define VINE__ACCELERATOR_MAGIC 0x4c454343454e4956ULL

/* A thread, as channels know it. It outlives its thread while a channel refers to it. */
struct vine__thread {
    uint32_t refs;    /* atomic */
    uint32_t is_over; /* atomic; set with release when the thread ends */
};

/* ---- tasks ---------------------------------------------------------------------------------- */

/* Bits of a task's life. IDLE: nobody's, or being composed by its issuer. */
#define VINE__TASK_IDLE    0u
#define VINE__TASK_PENDING 1u
#define VINE__TASK_CALLING 2u /* its callback runs */
#define VINE__TASK_ENDED   4u
#define VINE__TASK_FREED   8u /* by its user; the drainer gives it back when it ends */

/* What a renewal of the pipe does with a pending task: see renew.c. */
#define VINE__AGAIN_KEPT    1u /* `submission` is what was sent */
#define VINE__AGAIN_TWICE   4u /* it is idempotent */
#define VINE__AGAIN_WAITING 2u /* it was not begun, and is to be issued anew */

/* Written by the issuer until its life is PENDING, then by the drainer until it is ENDED. */
struct vine_task {
    struct vine__op operation; /* of the channel's op cache */
    uint32_t life;             /* atomic; VINE__TASK_ bits */
    int32_t status;
    struct vine__channel *channel;
    uint64_t issued_ticks;
    vine_task_fn callback;
    void *context;
    uint8_t input_count;
    uint8_t output_count; /* data of the outputs follow those of the inputs */
    uint8_t result_size;
    bool is_last;        /* of its session */
    bool has_descriptor; /* `descriptor` is allocated */
    bool has_reason;     /* `reason` is allocated; written by the drainer */
    bool has_uses;       /* data, session, accelerator or descriptor to let go of at its end */
    uint8_t again;       /* VINE__AGAIN_ bits */
    /* 64: */
    uint64_t ended_ticks;
    uint64_t position; /* of its submission in the ring */
    uint32_t queued;   /* in units of 16 ns */
    uint32_t run;
    unsigned char result[VINE_RESULT_MAX];
    const struct vine_procedure *procedure;
    /* 128: */
    struct vine_session *session;
    struct vine_accelerator *accelerator;
    char *reason;      /* of a failed one, ended by a zero byte */
    uint64_t canceled; /* its id, if its user has asked for that; behind the pipe's lock */
    struct vine__box descriptor;
    struct vine_data *data[VINE_TASK_DATA_MAX];
    struct vine_wire_submission submission; /* a copy of what was sent: VINE__AGAIN_KEPT */
} __attribute__((aligned(VINE_CACHE_LINE)));

VINE_STATIC_ASSERT(offsetof(struct vine_task, session) <= 128,
                   "a task without data lives in two lines");

/* ---- channels ------------------------------------------------------------------------------- */

struct vine__channel {
    /* Written at opening, but for the owner. */
    struct vine_pipe *pipe;
    struct vine_channel_layout *ours;
    struct vine__thread *owner; /* atomic; NULL: shared; written with the pipe's lock */
    uint32_t index;
    uint32_t tasks_max;
    bool is_stream;
    bool is_shared; /* issuers hold issue_lock */
    pthread_mutex_t issue_lock;

    /* The issuer's: the owner's, or whoever holds issue_lock. */
    struct vine_spsc_producer producer __attribute__((aligned(VINE_CACHE_LINE)));
    uint64_t issued;  /* atomic for readers */
    uint32_t issuing; /* atomic: 1 while it uses the ring */
    uint32_t slot_count;
    struct vine__ready ready;
    struct vine_slot *slots; /* of our half */
    struct vine__op_cache tasks;

    /* The drainer's: whoever set `drain`. */
    uint32_t drain __attribute__((aligned(VINE_CACHE_LINE))); /* 1 while somebody drains */
    bool has_completions; /* the appliance has opened its ring; `completions` is valid */
    bool is_left;         /* by a former appliance, and not met by the next one yet */
    uint32_t sleeps;      /* of the drainer: another number each time, and never 0 */
    struct vine_spsc_consumer completions;
    uint64_t ended; /* atomic for readers: of those issued */
    uint64_t done;
    uint64_t failed;
    uint64_t lost;
    uint64_t spin_ticks; /* how long a wait spins at first */

    /* Threads that wait while another one drains sleep on `turn`. */
    uint32_t turn __attribute__((aligned(VINE_CACHE_LINE)));
    uint32_t waiters;
};

/* ---- what tasks use ------------------------------------------------------------------------- */

struct vine_data {
    uint64_t link; /* the store's, while it is free */
    uint64_t magic;
    struct vine_pipe *pipe;
    uint32_t refs;       /* atomic: the user's, and one for each pending task */
    uint32_t is_awaited; /* atomic: an output of a pending task */
    uint32_t has_result; /* atomic, with release: memory, token and size below are there */
    uint16_t type;
    bool is_result; /* made by vine_data_expect */
    const void *memory;
    uint64_t size_bytes; /* atomic */
    uint64_t size_max_bytes;
    struct vine__box box;    /* of own data, and of a result that is_home */
    struct vine_token token; /* of a result, as it was received; all zero if it is empty */
    uint32_t renewal;        /* of the pipe, when the result came: whose half it lies in */
    bool is_home;            /* a copy of a former appliance's result lies in our half */
};

/* All of it behind the pipe's lock. */
struct vine_session {
    uint64_t link;
    uint64_t magic;
    struct vine_pipe *pipe;
    struct vine_procedure *procedure;
    struct vine__channel *channel; /* of its pending tasks */
    uint32_t pending;
    uint16_t id;
    bool is_stream;   /* tasks may follow the last input */
    bool is_begun;    /* a task was issued */
    bool has_last;    /* the last task was issued */
    bool is_complete; /* the last task ended well: the appliance has ended the session */
    bool is_closed;
    bool is_cut;    /* the appliance was told to end what is pending */
    bool has_ended; /* a task of it: the appliance has begun it */
    bool is_lost;   /* with the appliance that had it */
};

struct vine_accelerator {
    uint64_t link; /* the store's, or the next one that waits to be retired */
    uint64_t magic;
    struct vine_pipe *pipe;
    uint32_t refs; /* atomic: the user's, and one for each pending task */
    uint16_t id;
    uint16_t order;               /* enum vine_accelerator_order */
    char type[VINE_NAME_MAX + 1]; /* that was asked for */
    uint32_t is_acquired;         /* atomic: the appliance knows it */
    uint64_t tasks_issued;        /* atomic, as the others */
    uint64_t tasks_ended;
    uint64_t queued_units; /* of 16 ns */
    uint64_t run_units;
};

struct vine_procedure {
    struct vine_procedure_info info;
    struct vine_procedure *next;
    uint16_t id; /* another one after a renewal */
    uint8_t input_count;
    uint8_t output_count;
    bool needs_bytes; /* even no bytes have to be checked */
    uint32_t error;   /* atomic: why the appliance that has come does not have it; 0: it has */
    const struct vine_argument *inputs[VINE_ARGUMENTS_MAX];
    const struct vine_argument *outputs[VINE_ARGUMENTS_MAX];
    char names[VINE_ARGUMENTS_MAX][16];
};

/* A message without completion that found no room in a ring. */
struct vine__kept_message {
    struct vine__kept_message *next;
    struct vine_wire_submission message;
};

/* What programs with a loop of their own wait for. Behind its lock, which comes before all others
 * and is never held while callbacks run. */
struct vine__descriptor {
    pthread_mutex_t lock;
    int epoll_fd;         /* what they wait for; -1: nobody has asked for it */
    int event_fd;         /* signalled by threads of this process */
    uint32_t epoch;       /* of sleeps, as our board says it */
    uint64_t ended;       /* tasks, when it was armed last */
    uint64_t quiet_ticks; /* since when none has ended */
};

/* What a former appliance wrote, mapped until its last result is freed. */
struct vine__former {
    struct vine__former *next;
    struct vine__mirror mirror;
    uint32_t renewal; /* of the pipe, while it was the appliance's */
    uint64_t results;
};

/* What the end of a pipe to an appliance says of tasks that were not completed. */
enum vine__loss {
    VINE__LOSS_OF_TASKS,   /* they may have run */
    VINE__LOSS_OF_NOTHING, /* none of them was begun */
};

/* How a pipe goes on with another appliance: renew.c. */
struct vine__renewal {
    /* Written at opening. */
    bool is_wanted;   /* a lost appliance is looked for */
    bool is_possible; /* over sockets, and elsewhere where both sides know of it */
    bool has_barrier; /* issuers need no fence: membarrier reaches them */
    uint64_t patience_ns;
    uint64_t connect_timeout_ns;
    char *address;
    char name[32];
    uint32_t channels_wish, tasks_wish;
    uint64_t memory_wish;

    uint32_t renewing; /* atomic: 1 while a thread does it */
    uint32_t turn;     /* raised when it has tried: others sleep on it */
    uint32_t count;    /* atomic: of those that went well */
    uint64_t reissued; /* atomic: tasks */

    /* Behind link_lock. */
    enum vine__loss loss;
    bool is_moved;       /* its socket is another process's now, who waits to be greeted */
    int error;           /* with which the last appliance was lost */
    uint64_t lost_ticks; /* and when */

    /* Who renews. */
    bool is_settled; /* rings and tasks of the former appliance are dealt with */
    uint64_t due_ticks;

    /* Behind the pipe's lock. */
    uint64_t results; /* of the present appliance that are not freed */
    struct vine__former *formers;
};

/* ---- the pipe ------------------------------------------------------------------------------- */

struct vine_pipe {
    /* Written at opening. */
    uint64_t magic;
    uint64_t id;         /* unique in this process, never used again */
    uint64_t generation; /* of the process: see arch/peer/fork_guard.h */
    bool throttle;
    bool is_stream; /* set anew by a renewal, as what follows of the agreement is not */
    enum vine_wait_mode wait_mode;
    uint32_t channels_max;
    uint32_t tasks_max;
    uint64_t call_timeout_ns;
    uint64_t spin_ticks_max;
    uint64_t look_ticks;   /* how often somebody looks whether the appliance lives */
    uint64_t half_max;     /* bytes that our half may ever have */
    uint64_t memory_bytes; /* of both halves, as agreed */
    vine_log_fn log;
    void *log_context;

    /* Any thread's, atomic. */
    uint32_t status __attribute__((aligned(VINE_CACHE_LINE))); /* 0, or the error that ended it */
    uint32_t woken_epoch;   /* the appliance's last sleep epoch in which it was woken */
    uint32_t kept_count;    /* messages that wait for room in a ring */
    uint32_t channel_count; /* published with release */
    uint32_t is_armed;      /* a loop sleeps on the descriptor and is to be told: descriptor.c */
    uint32_t memory_turn;   /* raised when memory was given back while somebody waits for it */
    uint32_t memory_waiters;
    uint64_t looked_ticks;
    uint64_t mirror_bytes; /* mapped of the other half */
    uint64_t wakes_sent;
    uint64_t bytes_copied;
    struct vine__channel *channels[VINE_TALK_CHANNELS_MAX];

    /* Behind lock. */
    pthread_mutex_t lock __attribute__((aligned(VINE_CACHE_LINE)));
    struct vine__half half;
    struct vine__store datas;
    struct vine__store sessions;
    struct vine__store accelerators;
    struct vine__store messages;
    struct vine__kept_message *kept_first;
    struct vine__kept_message *kept_last;
    struct vine_accelerator *retiring;
    struct vine_accelerator *accelerator_at[VINE__ACCELERATORS]; /* by id; NULL: none */
    struct vine_procedure *procedures; /* remembered for as long as the pipe lives */
    uint32_t procedure_count;
    uint64_t accelerator_ids; /* a bit for each one in use */
    uint32_t session_places;  /* the one that was taken last; the next one follows it */
    struct vine_session *session_at[VINE_WIRE_SESSION_PLACES]; /* by place; 0 is none */
    uint8_t session_uses[VINE_WIRE_SESSION_PLACES];            /* of each place, so far */
    struct vine__thread **sharers; /* threads that took the shared channel, a reference of each */
    uint32_t sharers_max;          /* that there is room for */
    uint32_t sharer_count;         /* read without the lock, too */

    /* Behind link_lock, but for waking and vine__mirror_resolve. */
    pthread_mutex_t link_lock;
    struct vine__link link;
    struct vine__mirror mirror;
    struct vine__agreement agreement;

    struct vine__descriptor descriptor;
    struct vine__renewal renewal;
};

/* The status of a pipe that is being renewed: it is not over, and cannot be used. */
#define VINE__RENEWED_SOON (-EAGAIN)

/* ---- pipe.c --------------------------------------------------------------------------------- */

/* So often somebody who needs what was sent before takes some of it: more than a socket holds. */
#define VINE__PIPE_RECEIVES 64

/* End the pipe for a reason, which is logged; the first one counts. `tell`: the appliance, too. */
void vine__pipe_break(struct vine_pipe *pipe, int error, bool tell, const char *why);

/* Of a pipe that is over our board says so, though nobody is there to be told: whoever comes to the
 * other end next finds no application that waits. What we have said before stands. */
void vine__pipe_show_closed(struct vine_pipe *pipe);

/* Take what the appliance sent over the link, and see whether it lives and serves. Returns 0 or why
 * the pipe is over. Any thread; not with the pipe's lock. */
int vine__pipe_look(struct vine_pipe *pipe);

/* The same, if nobody has looked for a while. */
int vine__pipe_look_now_and_then(struct vine_pipe *pipe, uint64_t now_ticks);

/* Whether the appliance's board says that it has closed the pipe. Who drains: the pipe is not
 * renewed meanwhile. */
VINE__ALWAYS_INLINE bool vine__pipe_is_closed(const struct vine_pipe *pipe)
{
    /* Relaxed: who sees it looks. */
    return vine__load_relaxed_u32(&pipe->mirror.layout->board.closed.value) != 0;
}

void vine__pipe_wake_slow(struct vine_pipe *pipe, uint32_t epoch);

/* 0, or why the pipe cannot be used; VINE__RENEWED_SOON  it is being renewed. */
VINE__ALWAYS_INLINE int vine__pipe_check(const struct vine_pipe *pipe)
{
    if (VINE__UNLIKELY(vine__forked(pipe->generation)))
        return -VINE_EFORK;
    /* E2 pairs with E1. */
    return -(int)vine__load_acquire_u32(&pipe->status);
}

/* After what is no message: wake the appliance if it sleeps. In a `stream` channel the appliance's
 * membarrier stands for our fence between what was written and the epoch. */
VINE__ALWAYS_INLINE void vine__pipe_wake(struct vine_pipe *pipe,
                                         const struct vine__channel *channel)
{
    if (channel->is_stream)
        vine__compiler_barrier();
    else
        vine__fence_full();

    const uint32_t epoch = vine__load_relaxed_u32(&channel->ready.heard->value);

    if (VINE__UNLIKELY((epoch & 1) != 0))
        vine__pipe_wake_slow(pipe, epoch);
}

/* Of a channel that is not on the appliance's list; the channel's issuer. */
void vine__channel_tell_slow(struct vine__channel *channel);

/* After publishing a message: the appliance finds it, and is awake. The channel's issuer. */
VINE__ALWAYS_INLINE void vine__channel_tell(struct vine_pipe *pipe, struct vine__channel *channel)
{
    if (channel->is_stream)
        vine__compiler_barrier();
    else
        vine__fence_full();
    if (VINE__UNLIKELY(!vine__ready_is_listed(&channel->ready)))
        vine__channel_tell_slow(channel);

    const uint32_t epoch = vine__load_relaxed_u32(&channel->ready.heard->value);

    if (VINE__UNLIKELY((epoch & 1) != 0))
        vine__pipe_wake_slow(pipe, epoch);
}

/* ---- memory.c: our half ---------------------------------------------------------------------- */

/* Returns 0; -VINE_EQUOTA; -VINE_ETOOBIG; -ENOMEM. Takes the pipe's lock. */
VINE_MUST_CHECK int vine__pipe_alloc(struct vine_pipe *pipe, uint64_t size_bytes,
                                     struct vine__box *ret_box);
void vine__pipe_free(struct vine_pipe *pipe, const struct vine__box *box);

/* The memory of the appliance that a token names. Returns 0; -VINE_ECORRUPT if there is none. */
VINE_MUST_CHECK int vine__pipe_resolve(struct vine_pipe *pipe, const struct vine_token *token,
                                       const void **ret_memory);

/* Wait a little until something may have been given back. */
void vine__pipe_wait_for_memory(struct vine_pipe *pipe, uint32_t turn_seen);

/* ---- thread.c ------------------------------------------------------------------------------- */

struct vine__thread *vine__thread_ref(struct vine__thread *thread);
void vine__thread_unref(struct vine__thread *thread);

/* The calling thread's channel. Opens one if it has none, which does not block. Returns 0;
 * -VINE_EQUOTA  no memory for its ring; -ENOMEM. */
VINE_MUST_CHECK int vine__thread_channel_slow(struct vine_pipe *pipe,
                                              struct vine__channel **ret_channel);

/* See which threads still issue through the shared channel, and say it on our board. Returns how
 * many do; 0: one at most. The pipe's lock is held. */
uint32_t vine__pipe_count_sharers(struct vine_pipe *pipe);
void vine__pipe_forget_sharers(struct vine_pipe *pipe);

#define VINE__THREAD_CHANNELS 4u /* pipes that a thread finds at once */

struct vine__thread_local {
    struct vine__thread *self;      /* NULL: not needed yet */
    const struct vine_task *called; /* the task whose callback runs on this thread */
    struct vine_spinner spinner;
    char reason[VINE_REASON_MAX + 1]; /* of the last task that failed in a call */
    uint32_t next;                    /* of `known` to be replaced */
    struct {
        uint64_t pipe_id;
        struct vine__channel *channel;
    } known[VINE__THREAD_CHANNELS];
};

extern _Thread_local struct vine__thread_local vine__this_thread;

VINE__ALWAYS_INLINE int vine__thread_channel(struct vine_pipe *pipe,
                                             struct vine__channel **ret_channel)
{
    const struct vine__thread_local *self = &vine__this_thread;

    for (uint32_t i = 0; i < VINE__THREAD_CHANNELS; i++)
        if (VINE__LIKELY(self->known[i].pipe_id == pipe->id)) {
            *ret_channel = self->known[i].channel;
            return 0;
        }
    return vine__thread_channel_slow(pipe, ret_channel);
}

/* Whether the calling thread is the only one that issues through the channel. Relaxed: if it is its
 * owner, it wrote that itself. */
VINE__ALWAYS_INLINE bool vine__channel_is_mine(const struct vine__channel *channel)
{
    const struct vine__thread *self = vine__this_thread.self;

    return self != NULL && vine__load_relaxed_pointer((void *const *)&channel->owner) == self;
}

/* ---- channel.c ------------------------------------------------------------------------------ */

/* Open the next channel; the pipe's lock is held. */
VINE_MUST_CHECK int vine__channel_open(struct vine_pipe *pipe, bool is_shared,
                                       struct vine__channel **ret_channel);
void vine__channel_destroy(struct vine__channel *channel);

/* See whether the appliance has opened its end; the drainer. 1, 0, or negative: the pipe broke. */
int vine__channel_meet(struct vine__channel *channel);

/* Send a message that has no completion, at once, or when there is room or the pipe can be used
 * again, to the appliance of that renewal and no other. Any thread. */
void vine__pipe_tell(struct vine_pipe *pipe, const struct vine_wire_submission *message,
                     uint32_t renewal);

/* Send what waited for room, by a channel whose issuer the caller is. */
void vine__channel_flush_slow(struct vine__channel *channel);

VINE__ALWAYS_INLINE void vine__channel_flush(struct vine__channel *channel)
{
    if (VINE__UNLIKELY(vine__load_relaxed_u32(&channel->pipe->kept_count) != 0))
        vine__channel_flush_slow(channel);
}

/* How long who waits may sleep before it sends again what found no room. */
#define VINE__KEPT_NS 1000000

/* Send what waited for room. Any thread, that is no channel's issuer at the time. */
void vine__pipe_flush_slow(struct vine_pipe *pipe);

VINE__ALWAYS_INLINE void vine__pipe_flush(struct vine_pipe *pipe)
{
    if (VINE__UNLIKELY(vine__load_relaxed_u32(&pipe->kept_count) != 0))
        vine__pipe_flush_slow(pipe);
}

/* Between these two the caller is the channel's issuer: if the pipe can be used, which it asks
 * next, nobody renews it meanwhile.
 *
 *   issuer:      write issuing; [barrier]; read status; use the ring; write issuing
 *   who renews:  status says so; barrier; read issuing of all channels, until each was 0
 */
VINE__ALWAYS_INLINE void vine__channel_lock(struct vine__channel *channel)
{
    if (VINE__UNLIKELY(channel->is_shared))
        pthread_mutex_lock(&channel->issue_lock);
    vine__store_relaxed_u32(&channel->issuing, 1);
    if (VINE__LIKELY(channel->pipe->renewal.has_barrier))
        vine__compiler_barrier();
    else
        vine__fence_full();
}

VINE__ALWAYS_INLINE void vine__channel_unlock(struct vine__channel *channel)
{
    vine__store_release_u32(&channel->issuing, 0); /* G1 pairs with G2 */
    if (VINE__UNLIKELY(channel->is_shared))
        pthread_mutex_unlock(&channel->issue_lock);
}

/* Ended tasks are counted by the drainer: in between the number is too high, never too low. */
VINE__ALWAYS_INLINE uint32_t vine__channel_in_flight(const struct vine__channel *channel)
{
    const uint64_t ended = vine__load_relaxed_u64(&channel->ended);

    return (uint32_t)(vine__load_relaxed_u64(&channel->issued) - ended);
}

/* ---- completion.c: from the ring to tasks; the drainer --------------------------------------- */

/* Take all completions that are there and run callbacks. Returns how many; negative: the pipe
 * broke. */
int vine__channel_drain(struct vine__channel *channel);

/* End a pending task without a completion. */
void vine__task_lose(struct vine__channel *channel, struct vine_task *task, int status);

/* End every pending task with the pipe's status. */
void vine__channel_end_all(struct vine__channel *channel);

/* ---- wait.c --------------------------------------------------------------------------------- */

VINE__ALWAYS_INLINE bool vine__channel_try_drain(struct vine__channel *channel)
{
    uint32_t free = 0;

    /* K2 pairs with K1. */
    return vine__load_relaxed_u32(&channel->drain) == 0 &&
           vine__compare_exchange_acq_rel_u32(&channel->drain, &free, 1);
}

void vine__channel_stop_draining(struct vine__channel *channel);

/* The same by who arms the descriptor, and need not be told. */
void vine__channel_stop_looking(struct vine__channel *channel);

/* Drain a channel once, if nobody else does. The number of tasks that ended. */
uint32_t vine__channel_poll(struct vine__channel *channel);

/* Wait until the task has ended, or, if it is NULL, until one more may be issued. Returns 0,
 * -ETIMEDOUT, or -EDEADLK inside of a callback. */
VINE_MUST_CHECK int vine__channel_wait(struct vine__channel *channel, const struct vine_task *task,
                                       uint64_t timeout_ns);

/* ---- descriptor.c --------------------------------------------------------------------------- */

void vine__descriptor_init(struct vine__descriptor *descriptor);
/* `in_child`: of a fork, where the lock may be held for ever. */
void vine__descriptor_close(struct vine__descriptor *descriptor, bool in_child);

/* Watch the link that the pipe has now. The lock is held. */
VINE_MUST_CHECK int vine__descriptor_renew(struct vine_pipe *pipe, bool is_same_socket);

void vine__pipe_tell_loop_slow(struct vine_pipe *pipe);

/* Tasks may have ended, or what the appliance sent to wake the loop was taken: a loop that sleeps
 * on the descriptor shall look. A full fence stands before it. */
VINE__ALWAYS_INLINE void vine__pipe_tell_loop(struct vine_pipe *pipe)
{
    if (VINE__UNLIKELY(vine__load_relaxed_u32(&pipe->is_armed) != 0))
        vine__pipe_tell_loop_slow(pipe);
}

/* ---- renew.c: the pipe goes on with another appliance ---------------------------------------- */

/* Whether the end of this one, for this reason, is not the pipe's. link_lock is held. */
bool vine__renewal_begins(struct vine_pipe *pipe, int error);
void vine__renewal_fini(struct vine_pipe *pipe);

/* Try once, if it is time to. Not within a callback, and holding nothing. Returns 0: the pipe can
 * be used; VINE__RENEWED_SOON; or why it is over. */
int vine__pipe_renew(struct vine_pipe *pipe);

/* The same again and again, for at most so long. Returns VINE__RENEWED_SOON when that is over. */
int vine__pipe_await(struct vine_pipe *pipe, uint64_t timeout_ns);

/* Take what came over the link while the pipe is renewed. Returns 0, or why it cannot be used. */
VINE_MUST_CHECK int vine__renew_hear(struct vine_pipe *pipe);

/* As vine__pipe_check, for calls that may wait for the pipe to be renewed. */
VINE__ALWAYS_INLINE int vine__pipe_ready(struct vine_pipe *pipe)
{
    const int error = vine__pipe_check(pipe);

    return VINE__UNLIKELY(error == VINE__RENEWED_SOON)
               ? vine__pipe_await(pipe, pipe->call_timeout_ns)
               : error;
}

/* The count of renewals, by which results and messages are told apart. */
VINE__ALWAYS_INLINE uint32_t vine__pipe_renewals(const struct vine_pipe *pipe)
{
    return vine__load_relaxed_u32(&pipe->renewal.count);
}

/* ---- renew_tasks.c: all channels are the caller's, as issuer and as drainer ------------------ */

/* What the former appliance completed is taken; tasks that go on wait, others end. */
void vine__renew_settle(struct vine_pipe *pipe, enum vine__loss loss);
/* Of those that go on end what was canceled meanwhile. */
void vine__renew_drop(struct vine_pipe *pipe);
/* Leave the former appliance: empty the rings, which nobody is to read before they are joined. */
void vine__renew_leave(struct vine_pipe *pipe);
/* Join them with the next one's, which the pipe has by now. The pipe's lock is held. */
void vine__renew_join(struct vine_pipe *pipe);
/* Issue what waits. Returns 0 or -ENOMEM. */
VINE_MUST_CHECK int vine__renew_issue(struct vine_pipe *pipe);

/* ---- renew_ask.c: the same ------------------------------------------------------------------- */

/* Have the next appliance know our virtual accelerators, and learn its numbers of our procedures.
 * Returns 0, or why it cannot be asked. */
VINE_MUST_CHECK int vine__renew_ask(struct vine_pipe *pipe, uint64_t timeout_ns);
/* Understand what an appliance says of a procedure: procedure.c. */
VINE_MUST_CHECK int vine__procedure_understand(struct vine_wire_description *wire,
                                               struct vine_procedure *procedure);

/* ---- task.c --------------------------------------------------------------------------------- */

/* Whether a user may look at how it ended: it has, or this is its callback. */
VINE__ALWAYS_INLINE bool vine__task_is_over(const struct vine_task *task)
{
    const uint32_t life = vine__load_acquire_u32(&task->life); /* L2 pairs with L1 */

    return (life & VINE__TASK_ENDED) != 0 ||
           ((life & VINE__TASK_CALLING) != 0 && vine__this_thread.called == task);
}

void vine__task_forget_reason(struct vine_task *task);

/* Tell the appliance that has come, if its user has canceled it. */
void vine__task_cancel_again(const struct vine_task *task);

VINE__ALWAYS_INLINE void vine__task_recycle(struct vine_task *task)
{
    struct vine__channel *channel = task->channel;

    if (VINE__UNLIKELY(task->has_reason))
        vine__task_forget_reason(task);
    vine__store_relaxed_u32(&task->life, VINE__TASK_IDLE);
    if (VINE__LIKELY(vine__channel_is_mine(channel)))
        vine__op_give_own(&channel->tasks, &task->operation);
    else
        vine__op_give(&channel->tasks, &task->operation);
}

/* For vine_task_last_reason. */
void vine__task_remember_reason(const struct vine_task *task);

/* Issue; wait for room for at most `timeout_ns`, then -ETIMEDOUT. With 0 never wait. */
VINE_MUST_CHECK int vine__task_issue(struct vine_pipe *pipe, struct vine_procedure *procedure,
                                     const struct vine_task_options *options, uint64_t timeout_ns,
                                     struct vine_task **ret_task);

/* Issue a task of a procedure of the protocol itself and wait for its end. */
VINE_MUST_CHECK int vine__task_run_builtin(struct vine_pipe *pipe, struct vine_procedure *procedure,
                                           const struct vine_task_options *options);

/* ---- data.c, pipe_session.c, accelerator.c, procedure.c -------------------------------------- */

void vine__data_unref(struct vine_data *data);
void vine__data_give_back(struct vine_pipe *pipe, const struct vine_token *token, uint32_t renewal);
/* A result is not needed any more: the appliance is told, or what a former one wrote is unmapped
 * with its last. */
void vine__data_release_result(struct vine_pipe *pipe, const struct vine_token *token,
                               uint32_t renewal);
/* A copy of a former appliance's result in our half, for it to be an input. Returns 0, or as
 * vine__pipe_alloc. */
VINE_MUST_CHECK int vine__data_bring_home(struct vine_data *data);
/* How an input is named. */
void vine__data_name(const struct vine_data *data, struct vine_token *ret_token);

/* As vine_session_open, or for a stream. */
VINE_MUST_CHECK int vine__session_open(struct vine_pipe *pipe, struct vine_procedure *procedure,
                                       bool is_stream, struct vine_session **ret_session);
/* A task of the session is about to be issued by `channel`. Returns 0; -EINVAL; -VINE_ESESSION. */
VINE_MUST_CHECK int vine__session_use(struct vine_session *session, struct vine__channel *channel,
                                      const struct vine_procedure *procedure, bool is_last);
/* The appliance shall end it now, with the tasks of it that are pending: of streams, with the
 * thread that issued them. */
void vine__session_cut(struct vine_session *session);
/* Tell the appliance that has come which ones are cut. */
void vine__sessions_cut_again(struct vine_pipe *pipe);
void vine__session_task_ended(struct vine_session *session, const struct vine_task *task);

void vine__accelerator_unref(struct vine_accelerator *accelerator);
/* Tell the appliance of accelerators that nobody uses any more, as far as there is room. */
void vine__accelerators_retire(struct vine_pipe *pipe);

extern struct vine_procedure vine__builtin_lookup;
extern struct vine_procedure vine__builtin_list_procedures;
extern struct vine_procedure vine__builtin_list_accelerators;
extern struct vine_procedure vine__builtin_acquire;
extern struct vine_procedure vine__builtin_release;

#endif
