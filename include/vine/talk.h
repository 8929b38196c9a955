/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/talk.h - the application's side of a pipe: data, tasks, accelerators, sessions.
 *
 * Owns:     a pipe owns its half of the shared memory and everything created from it: data, tasks,
 *           accelerators, sessions. Closing the pipe ends all of them.
 * Threads:  any thread may use a pipe. A thread's first task opens a channel of its own, so threads
 *           do not contend; any thread may wait for, cancel or free any task.
 * Blocking: where a function says so, at most for the time-out that it is given, or else for the
 *           pipe's `call_timeout_ns`, also where an appliance lives and does not answer. The loss
 *           of the appliance ends every wait within a second in which the machine runs us.
 * Trust:    the appliance may write anything into its half at any moment. No call touches memory
 *           outside the two halves because of it; the worst answers are wrong results,
 *           -VINE_ECORRUPT and -VINE_EPEERLOST. Results can change under a reader: copy them with
 *           vine_data_read, or read each byte once.
 * Limits:   VINE_TASK_DATA_MAX data and VINE_TASK_BYTES_MAX bytes a task; memory, channels and
 *           tasks by the quotas that vine_pipe_get_limits tells.
 *
 * Caveats:  a pipe does not survive fork: every call in the child returns -VINE_EFORK, and the
 *           memory is not mapped there. The library starts no thread: callbacks run inside
 *           vine_pipe_poll, vine_task_poll and the waits, on the thread that calls them.
 *
 * Renewal:  a pipe can go on with another appliance, when its own has gone and the pipe was opened
 *           with `reconnect_ns`. The threads that use it see to that, within their calls: each call
 *           but those made in callbacks may then take the time of one handshake. Until it has
 *           succeeded, calls that may wait do so, and the others return -EAGAIN. Own data, results
 *           that have come, procedures and accelerators stay valid; sessions end with
 *           -VINE_EPEERLOST. Of the tasks in flight, those that the old appliance did not begin, as
 *           it said when it drained, and those that are idempotent are issued anew to the new one,
 *           in their order, and may end as tasks do; the others end with -VINE_EPEERLOST.
 */
#ifndef VINE_TALK_H
#define VINE_TALK_H

#include <stdbool.h>

#include <vine/base.h>
#include <vine/wait.h>

VINE_BEGIN_DECLARATIONS

#define VINE_NAME_MAX       31   /* bytes of a procedure's, appliance's or type's name */
#define VINE_ARGUMENTS_MAX  8    /* arguments of a procedure */
#define VINE_TASK_DATA_MAX  8    /* inputs and outputs of a task, together */
#define VINE_TASK_BYTES_MAX 4096 /* bytes that travel with a task itself */
#define VINE_RESULT_MAX     32   /* bytes that travel with its completion */
#define VINE_REASON_MAX     120  /* bytes of the reason with which a task fails */

struct vine_pipe;
struct vine_accelerator;
struct vine_procedure;
struct vine_data;
struct vine_session;
struct vine_task;

/* ---- pipes ---------------------------------------------------------------------------------- */

/* All zero (or NULL instead of the struct) means the defaults. */
struct vine_pipe_options {
    size_t size_bytes;         /* sizeof(struct vine_pipe_options) */
    const char *name;          /* what the appliance's operator sees; default the program's name */
    uint64_t memory_max_bytes; /* of both halves together; default and bound: what it grants */
    uint32_t channels_max;     /* threads with a channel of their own; default the appliance's */
    uint32_t tasks_max;        /* in flight a channel; default the appliance's */
    enum vine_wait_mode wait_mode;
    bool throttle; /* wait where -EAGAIN or -VINE_EQUOTA would be returned */
    /* Longest spin before a sleep; 1: never; default 50,000, and 500,000 between machines. */
    uint64_t spin_ns;
    uint64_t connect_timeout_ns; /* default 5 s */
    uint64_t call_timeout_ns;    /* of calls that wait and are given no time-out of their own: they
                                  * return -ETIMEDOUT; default 60 s; VINE_FOREVER: none */
    vine_log_fn log;
    void *log_context;
    /* When the appliance is lost or drains: for how long to look for another one at the address,
     * which is looked up anew, or in the same named segment, or at the same link; see Renewal. 0:
     * the pipe is over then, as it is where an older appliance made the segment, or the link is
     * unplugged. */
    uint64_t reconnect_ns;
};

/*
 * Connect to the appliance at `address` and set up the two halves. Any thread; blocks for at most
 * the connect time-out.
 *
 * An address is a socket's PATH (it has a '/'), a NAME under the runtime directory
 * ($XDG_RUNTIME_DIR/vine, for root /run/vine, else /tmp/vine-UID), `file:PATH` or `shm:NAME` for a
 * named segment, `pci:BDF`, `pci:NAME` or `pci:auto` in a VM, `link:PATH` for an end of a link to a
 * VM that this machine runs, or `vinetalk:[FILE]` for what the configuration file (~/.vinetalk)
 * says. NULL: $VINE_APPLIANCE, else the configured one, else the name `default`.
 *
 * Returns 0                   *ret_pipe is open;
 *         -VINE_ENOAPPLIANCE  nobody listens there (no file, or a stale one);
 *         -ETIMEDOUT          somebody does, but does not answer;
 *         -ENODEV             there is no such device; of a link whose devices are missing for
 *                             good, after the connect time-out;
 *         -EACCES             we may not connect, or the runtime directory is not ours alone;
 *         -EBUSY              a named segment that another application uses;
 *         -VINE_EVERSION, -VINE_EFINGERPRINT, -VINE_EPROTOCOL, -VINE_EUNSEALED, -VINE_ETRUNCATED,
 *         -VINE_EMAGIC, -VINE_ECORRUPT, -VINE_EINITIALIZING
 *                             what is there is not an appliance that we can talk to;
 *         -VINE_EDRAINING, -VINE_EQUOTA  it takes no further pipe;
 *         -VINE_ECONFIG       the address or the configuration is malformed;
 *         another negated errno of the system. The reason is logged in full.
 */
VINE_API VINE_MUST_CHECK int vine_pipe_open(const char *address,
                                            const struct vine_pipe_options *options,
                                            struct vine_pipe **ret_pipe);

/*
 * Close the pipe and everything made from it; no other thread may be in a call on it. Unfinished
 * tasks are abandoned without callbacks. NULL is allowed. Does not wait for the appliance.
 */
VINE_API void vine_pipe_close(struct vine_pipe *pipe);

/* 0 while the pipe is usable, else why it is not: -VINE_EPEERLOST, -VINE_ECORRUPT, -VINE_EFORK or
 * the reason with which the appliance closed it; -EAGAIN  it is being renewed. Any thread; looks at
 * the peer, and never blocks but for a renewal. */
VINE_API VINE_MUST_CHECK int vine_pipe_status(struct vine_pipe *pipe);

/*
 * Take all completions that have arrived on any channel and run their callbacks. Any thread; never
 * blocks.
 *
 * Returns the number of tasks that ended, or a negative code as vine_pipe_status.
 */
VINE_API VINE_MUST_CHECK int vine_pipe_poll(struct vine_pipe *pipe);

/*
 * One descriptor for a program with a loop of its own (epoll, libuv, poll): it becomes readable
 * when tasks of the pipe, on whichever channel, may have ended, or when the pipe is over. It is
 * made by the first call, stays the pipe's, and is to be watched for reading, level-triggered, and
 * never read. Any thread; does not block.
 *
 * Returns 0; -EMFILE or another negated errno; or as vine_pipe_status.
 */
VINE_API VINE_MUST_CHECK int vine_pipe_descriptor(struct vine_pipe *pipe, int *ret_fd);

/*
 * To be called each time before the loop waits: take what has ended, run callbacks, and arm the
 * descriptor, which without it may stay silent. One thread, the loop's; others may issue, wait and
 * poll meanwhile, and whoever of them ends a task runs its callback. Never blocks; not within a
 * callback. Who looks at tasks by vine_task_poll does so between this call and the wait.
 *
 * *ret_timeout_ns is for how long to wait at most. 0: there is more, come again at once. Where the
 * appliance rings it is the limit of what one that does not, against its word, can delay: 0.1 to 1
 * s. Where it cannot (older ones, named segments, links between machines) the descriptor tells of
 * this process's own threads alone, and this is how often to look: 0.05 to 2 ms while tasks are in
 * flight.
 *
 * Returns the number of tasks that have ended since the last call, whoever noticed; -EINVAL  nobody
 * has asked for the descriptor; -EDEADLK  within a callback; or as vine_pipe_status: the pipe is
 * over, and the descriptor stays readable.
 */
VINE_API VINE_MUST_CHECK int vine_pipe_arm(struct vine_pipe *pipe, uint64_t *ret_timeout_ns);

/* The loop is awake, and has something else to do before it arms again: spares the appliance the
 * system call of waking it for what ends meanwhile. As vine_pipe_arm, and within a callback too. */
VINE_API void vine_pipe_disarm(struct vine_pipe *pipe);

struct vine_pipe_limits {
    uint64_t memory_max_bytes; /* granted for both halves together */
    uint32_t channels_max;
    uint32_t tasks_max;   /* in flight a channel */
    bool heeds_deadlines; /* of tasks; an older appliance does not */
};

struct vine_pipe_stats {
    uint64_t tasks_issued;
    uint64_t tasks_done; /* ended well */
    uint64_t tasks_failed;
    uint64_t tasks_lost;    /* ended with -VINE_EPEERLOST */
    uint64_t bytes_copied;  /* by vine_data_write and vine_data_read */
    uint64_t memory_bytes;  /* of our half and what is mapped of the other */
    uint64_t wakes_sent;    /* times that the appliance had to be woken */
    uint64_t ids_refused;   /* completions with a late, duplicate, unknown or forged id */
    uint32_t channels_open; /* at most channels_max of its limits */
    uint32_t tasks_in_flight;
    uint64_t renewals;       /* times that it went on with another appliance */
    uint64_t tasks_reissued; /* to the one that came, of those that were in flight */
    /* Threads that live and issue through the last channel, where one waits for another; 0: each
     * has a channel of its own. For all of them to have one, channels_max were to be greater by
     * one less than this. */
    uint32_t threads_sharing;
};

/* Any thread; never blocks. */
VINE_API void vine_pipe_get_limits(struct vine_pipe *pipe, struct vine_pipe_limits *ret_limits);
VINE_API void vine_pipe_get_stats(struct vine_pipe *pipe, struct vine_pipe_stats *ret_stats);

/* ---- what the appliance offers --------------------------------------------------------------- */

enum vine_argument_kind {
    VINE_SCALAR = 1, /* one uint64_t among the task's bytes; min and max bound its value */
    VINE_BYTES =
        2, /* the rest of the task's bytes; min and max bound its size; at most one, last */
    VINE_INPUT = 3,  /* data that the procedure reads; min and max bound its size */
    VINE_OUTPUT = 4, /* data that it writes; min and max bound the room that a task may state */
    VINE_RESULT = 5, /* bytes that travel with the completion; max at most VINE_RESULT_MAX */
};

/* What data holds. The sides refuse data of another type than a procedure states. */
enum vine_data_type {
    VINE_TYPE_BYTES = 1,
    VINE_TYPE_U32 = 2,
    VINE_TYPE_U64 = 3,
    VINE_TYPE_F32 = 4,
    VINE_TYPE_F64 = 5,
    VINE_TYPE_USER = 256, /* from here on: the program's own; the element size is 1 */
};

struct vine_argument {
    const char *name;
    uint32_t kind;      /* enum vine_argument_kind */
    uint32_t data_type; /* enum vine_data_type, of VINE_INPUT and VINE_OUTPUT */
    uint64_t min;
    uint64_t max;
};

struct vine_procedure_info {
    char name[VINE_NAME_MAX + 1];
    char accelerator_type[VINE_NAME_MAX + 1];
    char summary[128];
    bool copies_arguments; /* inputs are copied into private memory before they are used */
    bool has_sessions;     /* work may span tasks: see vine_session_open */
    bool has_streams;      /* by a coroutine: see vine/stream.h */
    bool has_streams_only; /* and no other sessions: see vine_session_open */
    bool is_idempotent;    /* running a task twice has the effects of running it once */
    uint32_t argument_count;
    struct vine_argument arguments[VINE_ARGUMENTS_MAX]; /* names point into this struct's pipe */
};

/*
 * Find a procedure by name; asks the appliance once and remembers. Any thread; blocks for a round
 * trip, at most the call time-out. The procedure lives as long as the pipe. When that is renewed,
 * and the next appliance has no such procedure, or one with other arguments, tasks of it are
 * refused with -VINE_EPROCEDURE and -VINE_ECHANGED.
 *
 * Returns 0; -VINE_EPROCEDURE  there is none of this name; -VINE_EQUOTA  the pipe remembers 4096
 * already; -ETIMEDOUT; or as vine_pipe_status.
 */
VINE_API VINE_MUST_CHECK int vine_procedure_get(struct vine_pipe *pipe, const char *name,
                                                struct vine_procedure **ret_procedure);

/* What is known of a procedure. Any thread; valid as long as the pipe. */
VINE_API const struct vine_procedure_info *
vine_procedure_describe(const struct vine_procedure *procedure);

/*
 * Ask for all procedures. Any thread; blocks as vine_procedure_get does. Writes at most `count`
 * pointers.
 *
 * Returns how many there are (which may be more than `count`), or a negative code.
 */
VINE_API VINE_MUST_CHECK int vine_procedure_list(struct vine_pipe *pipe,
                                                 struct vine_procedure **procedures, size_t count);

/* ---- accelerators ---------------------------------------------------------------------------- */

struct vine_accelerator_info {
    char type[VINE_NAME_MAX + 1]; /* "cpu" */
    char name[64];                /* of the device */
    uint32_t parallelism;         /* tasks that it runs at once */
    uint32_t tasks_queued;
    uint64_t tasks_done;
    uint64_t busy_ns;
};

/* The appliance's physical accelerators of `type` (NULL: all). Any thread; blocks as
 * vine_procedure_get does.
 * Returns how many there are (which may be more than `count`), or a negative code. */
VINE_API VINE_MUST_CHECK int vine_accelerator_list(struct vine_pipe *pipe, const char *type,
                                                   struct vine_accelerator_info *infos,
                                                   size_t count);

enum vine_accelerator_order {
    VINE_ORDERED,  /* tasks that one thread issues run one after the other, in that order */
    VINE_PARALLEL, /* tasks run as there is room */
};

/*
 * Acquire a virtual accelerator: a handle through which tasks are issued, mapped by the appliance
 * onto physical accelerators of `type` (NULL: "cpu"). Any thread; blocks as vine_procedure_get
 * does.
 *
 * Returns 0; -VINE_EACCELERATOR  none of this type; -VINE_EQUOTA  too many; -ETIMEDOUT; or as
 *         vine_pipe_status.
 */
VINE_API VINE_MUST_CHECK int vine_accelerator_acquire(struct vine_pipe *pipe, const char *type,
                                                      enum vine_accelerator_order order,
                                                      struct vine_accelerator **ret_accelerator);

/* Give it back. Tasks on it go on to their end. NULL is allowed. Any thread; never blocks. */
VINE_API void vine_accelerator_release(struct vine_accelerator *accelerator);

enum vine_accelerator_state {
    VINE_ACCELERATOR_FREE, /* nothing was issued on it that has not ended */
    VINE_ACCELERATOR_BUSY, /* something has not ended */
    VINE_ACCELERATOR_LOST, /* the pipe is over, see vine_pipe_status: nothing can be issued */
};

struct vine_accelerator_stats {
    enum vine_accelerator_state state;
    uint64_t tasks_issued;
    uint64_t tasks_ended;
    uint64_t queued_ns; /* sums over the ended tasks, as the appliance measured them */
    uint64_t run_ns;
};

/* State and statistics of a virtual accelerator, as this side knows them: what it issued, and what
 * has ended for it. Any thread; never blocks. */
VINE_API void vine_accelerator_get_stats(struct vine_accelerator *accelerator,
                                         struct vine_accelerator_stats *ret_stats);

/* ---- data ------------------------------------------------------------------------------------ */

/*
 * Allocate data for inputs in our half: `size_bytes` bytes of `data_type` (a VINE_TYPE_ value; the
 * size is a multiple of its element). Any thread; may grow the half by a further memory object,
 * else does not block (with throttle: until there is room, at most the call time-out).
 *
 * Returns 0; -VINE_EQUOTA  the pipe's memory is used up; -VINE_ETOOBIG  it would not fit an empty
 *         pipe; -ETIMEDOUT  with throttle; -EINVAL; or as vine_pipe_status.
 */
VINE_API VINE_MUST_CHECK int vine_data_create(struct vine_pipe *pipe, uint32_t data_type,
                                              uint64_t size_bytes, struct vine_data **ret_data);

/*
 * Make a place for a result of at most `size_max_bytes`: the appliance, who writes it, allocates it
 * in its half when a task runs; until then it has no size and cannot be read. May be used as an
 * input of later tasks. Any thread; never blocks.
 *
 * Returns 0; -EINVAL  no such type, or no multiple of its element; -VINE_ETOOBIG  more than the
 *         pipe's memory, or than 32 bits; -ENOMEM; or as vine_pipe_status.
 */
VINE_API VINE_MUST_CHECK int vine_data_expect(struct vine_pipe *pipe, uint32_t data_type,
                                              uint64_t size_max_bytes, struct vine_data **ret_data);

/*
 * Free data. Any thread; never blocks. What an unfinished or abandoned task uses is freed at that
 * task's end; a result goes back to the appliance with a release message. NULL is allowed.
 */
VINE_API void vine_data_free(struct vine_data *data);

/* Bytes that it holds; of a result, 0 until its task has ended well. Any thread. */
VINE_API uint64_t vine_data_size(const struct vine_data *data);

/* Copy bytes into our data or out of any data. Any thread; never blocks.
 * Returns 0; -EINVAL  beyond its size, or written to a result; -VINE_EPEERLOST  read, while the
 *         link to another machine was unplugged: they are not the data's. */
VINE_API VINE_MUST_CHECK int vine_data_write(struct vine_data *data, uint64_t offset,
                                             const void *bytes, size_t size);
VINE_API VINE_MUST_CHECK int vine_data_read(const struct vine_data *data, uint64_t offset,
                                            void *bytes, size_t size);

/* The memory itself, aligned to VINE_CACHE_LINE and valid until the data is freed: of our own data,
 * to fill in place; NULL for a result. Any thread. */
VINE_API void *vine_data_map(struct vine_data *data);

/* The memory itself for reading, of own data and of results; NULL before a result is there. What
 * lies in the appliance's half can change at any moment. Any thread. */
VINE_API const void *vine_data_view(const struct vine_data *data);

/*
 * Whether what was read in place until now counts: ask after reading. A link to another machine
 * that is unplugged takes its memory with it, and who still looks there sees zeros. vine_data_read
 * asks by itself. Any thread; never blocks.
 *
 * Returns 0; -VINE_EPEERLOST  the memory may not have been there.
 */
VINE_API VINE_MUST_CHECK int vine_data_check(const struct vine_data *data);

/* Set how many of the allocated bytes the next tasks shall see, at most what was allocated. Any
 * thread. Returns 0; -EINVAL  more than that, no multiple of the element, or a result. */
VINE_API VINE_MUST_CHECK int vine_data_resize(struct vine_data *data, uint64_t size_bytes);

/* ---- sessions -------------------------------------------------------------------------------- */

/*
 * Open a session: work that spans tasks, such as the hash of a file in chunks. All tasks of a
 * session use one procedure that has sessions, and run in the order in which they were issued, one
 * at a time. The state lives in the appliance and counts in the pipe's quota. Any thread; never
 * blocks.
 *
 * Of a procedure that has streams alone it is one: what its tasks bring is read in order, and what
 * is written goes to those that have room, in order. A task without room ends when its input was
 * taken, one without input when something was written or its room is full (with nothing at the
 * end), one with both when its input was taken and more is wanted. `session_last` ends the input,
 * and tasks without input may follow.
 *
 * Returns 0; -VINE_EQUOTA  too many; -VINE_ESESSION  the procedure has none; or as
 * vine_pipe_status.
 */
VINE_API VINE_MUST_CHECK int vine_session_open(struct vine_pipe *pipe,
                                               struct vine_procedure *procedure,
                                               struct vine_session **ret_session);

/*
 * Close it. Any thread; never blocks. NULL is allowed.
 *
 * Tasks still in flight run in their order and end as if it were open; wait for them, or free them.
 * The state goes with the last of them: without a last task, or after a failed one, it is
 * discarded.
 *
 * A stream whose input no last task has ended is cut off instead, since nothing could come that its
 * tasks in flight wait for: they end with -VINE_ECANCELED, those behind them with -VINE_ESESSION,
 * or with what was written to them. While there are some, only the thread that issued them closes
 * it. After a last task they end as the procedure reads and writes; what that writes and no task
 * has room for keeps them waiting, until they are canceled.
 */
VINE_API void vine_session_close(struct vine_session *session);

/* ---- tasks ----------------------------------------------------------------------------------- */

/* Runs once when the task has ended, well or not, on the thread that noticed. It may issue, free
 * and cancel tasks; it must not wait. `status` is what vine_task_poll would return. */
typedef void (*vine_task_fn)(struct vine_task *task, int status, void *context);

/* All zero means: nothing of it. */
struct vine_task_options {
    size_t size_bytes;                    /* sizeof(struct vine_task_options) */
    struct vine_accelerator *accelerator; /* NULL: the pipe's own, ordered, on cpu */
    const void *bytes; /* scalars (uint64_t each, in order), then bytes; copied */
    size_t bytes_size;
    struct vine_data *const *inputs; /* in the order of the procedure's VINE_INPUT arguments */
    uint32_t input_count;
    uint32_t output_count;
    struct vine_data *const *outputs; /* made by vine_data_expect */
    struct vine_session *session;
    bool session_last;             /* ends the session's state after this task */
    const struct vine_task *after; /* start only when that task of this pipe has ended */
    vine_task_fn callback;
    void *context;
    /* For so long, by the appliance's clock from when it first sees the task, somebody wants it: it
     * is not begun later, and canceled if it runs then, and ends with -VINE_EDEADLINE. What ends
     * well in spite of that has ended well. 0: for ever. An older appliance does not heed it. */
    uint64_t deadline_ns;
    bool idempotent; /* it may run twice: see Renewal; as its procedure may be */
};

/*
 * Issue a task. Any thread; never blocks, but with throttle for at most the call time-out. Bytes
 * are copied; data is used until the task ends.
 *
 * Returns 0              *ret_task is pending; free it with vine_task_free;
 *         -EAGAIN        as many are in flight as the channel takes: wait for one; or the pipe is
 *                        being renewed;
 *         -VINE_EQUOTA   too many tasks that have ended and were not freed, or no memory for the
 *                        bytes;
 *         -ETIMEDOUT     with throttle: nothing made room in time;
 *         -VINE_EARGUMENT, -VINE_ETOOBIG, -EINVAL  refused here, before anything was sent;
 *         or as vine_pipe_status.
 */
VINE_API VINE_MUST_CHECK int vine_task_issue(struct vine_pipe *pipe,
                                             struct vine_procedure *procedure,
                                             const struct vine_task_options *options,
                                             struct vine_task **ret_task);

/*
 * Wait until the task has ended. Any thread; blocks for at most `timeout_ns`. The task stays and
 * keeps its results until it is freed.
 *
 * Returns 0           it has ended well: the outputs hold their results;
 *         -ETIMEDOUT  it has not ended; it goes on;
 *         -VINE_EPEERLOST, -VINE_ECANCELED, -VINE_EFAILED, -VINE_EDATA, -VINE_EOVERFLOW, ...
 *                     how it ended.
 */
VINE_API VINE_MUST_CHECK int vine_task_wait(struct vine_task *task, uint64_t timeout_ns);

/* The same for whichever of `count` tasks ends first; *ret_index tells which. NULL entries are
 * skipped. Returns -EINVAL when all are. */
VINE_API VINE_MUST_CHECK int vine_task_wait_any(struct vine_task *const *tasks, size_t count,
                                                uint64_t timeout_ns, size_t *ret_index);

/* Look without blocking: -EAGAIN while it is pending, else as vine_task_wait. Any thread. */
VINE_API VINE_MUST_CHECK int vine_task_poll(struct vine_task *task);

/* Ask the appliance to drop the task, or to stop it where its procedure looks. It ends in any case
 * with its own completion, -VINE_ECANCELED if it was in time. One that waits for the pipe to go on
 * with another appliance ends without it; of one of a session that appliance is asked. Any thread;
 * never blocks. Returns 0, or why the pipe is over. */
VINE_API VINE_MUST_CHECK int vine_task_cancel(struct vine_task *task);

/* Free a task. One that has not ended is abandoned: it runs to its end, its callback is not called,
 * its data is kept until then. NULL is allowed. Any thread; never blocks. */
VINE_API void vine_task_free(struct vine_task *task);

/* Copy the bytes that came with the completion. Any thread, after the task has ended well.
 * Returns their count (which may be more than `size`). */
VINE_API size_t vine_task_result(const struct vine_task *task, void *bytes, size_t size);

/*
 * Why the task failed, in the words of its handler: a short sentence such as "corrupt frame at byte
 * 1234". `text` gets at most `size` bytes of it, ended by a zero byte. It is what the appliance
 * says, in printable ASCII, and no more than that. Any thread, after the task has ended with an
 * error. Returns its length, at most VINE_REASON_MAX; 0: nothing was said.
 */
VINE_API size_t vine_task_reason(const struct vine_task *task, char *text, size_t size);

/* The same of the task that failed last in vine_task_run or vine_pipe_call on this thread; empty
 * where that said nothing. Valid until the next such call. */
VINE_API const char *vine_task_last_reason(void);

/* Durations by one machine's clock each; times of the two sides are never subtracted. */
struct vine_task_stats {
    uint64_t queued_ns; /* in the appliance, from when it first saw the task until it ran */
    uint64_t run_ns;    /* in the appliance */
    uint64_t total_ns;  /* here, from issue until its completion was taken */
};

/* Any thread, after the task has ended. */
VINE_API void vine_task_get_stats(const struct vine_task *task, struct vine_task_stats *ret_stats);

/*
 * Issue and wait in one call: like vine_task_issue, vine_task_wait, vine_task_result and
 * vine_task_free. `result` (may be NULL) takes at most *result_size bytes and the true size is put
 * there. If the time-out ends it, the task is abandoned. Any thread; blocks.
 */
VINE_API VINE_MUST_CHECK int vine_task_run(struct vine_pipe *pipe, struct vine_procedure *procedure,
                                           const struct vine_task_options *options,
                                           uint64_t timeout_ns, void *result, size_t *result_size);

/*
 * The shortest way: run `procedure` on a copy of `input` and copy what it makes, an output or a
 * result, to `output`. Scalars and bytes of the procedure must be optional: they are not sent. Any
 * thread; blocks until the task ends, at most the call time-out: a procedure that takes longer
 * wants a longer one, or vine_task_run.
 *
 * Returns 0 and the size in *ret_size (may be NULL), or a negative code; -VINE_EOVERFLOW  `output`
 * is too small; -ETIMEDOUT  the task has not ended, and was abandoned.
 */
VINE_API VINE_MUST_CHECK int vine_pipe_call(struct vine_pipe *pipe, const char *procedure,
                                            const void *input, size_t input_size, void *output,
                                            size_t output_max, size_t *ret_size);

VINE_END_DECLARATIONS

#endif
