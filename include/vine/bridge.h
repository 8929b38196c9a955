/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/bridge.h - operations that cross a channel, matched with the completions that come back.
 *
 * Owns:     the pending operations and both handles, all allocated at creation. The channel's
 *           memory is the caller's.
 * Threads:  a handle belongs to one thread at a time; the one that submits and the one that
 *           receives may be two. With the locked cache over mpmc queues there may be many of either
 *           (NAME_clone_submit, NAME_clone_receive). What may be called from elsewhere says so.
 * Blocking: the calls that end in `_wait`, at most for their time-out; the others never.
 * Trust:    over spsc rings the completer may write anything. An id that is late, duplicate,
 *           unknown, forged or of another kind is counted and dropped; a completer that guesses an
 *           id completes that operation, its own, wrongly. Over mpmc queues the parties cooperate.
 * Limits:   VINE_BRIDGE_OPERATIONS_MAX pending operations, and no more than there are slots for
 *           completions; messages of VINE_CHANNEL_BYTES.
 *
 * A submission is registered in an op cache, gets an id (place and use of that place), crosses in a
 * wrapper that carries the id, and comes back as a completion in a wrapper with the same id. Then
 * its callback runs. Users' messages need no id of their own.
 *
 * An operation ends once: with its completion, by being abandoned, by its deadline, or with the
 * loss of the other side. One that ended without its completion keeps its place until that
 * completion comes, or none can come any more: a completer that is behind, or silent, uses up
 * places (-EAGAIN), and its late answers never meet another operation.
 *
 *     struct question { uint32_t a, b; };
 *     struct answer { uint64_t sum; };
 *     VINE_BRIDGE_TYPES(adder, struct question, struct answer);
 *
 *     // The side that submits; `end` is a struct vine_submitter of vine/channel.h.
 *     static void done(void *context, int status, const struct answer *answer)
 *     {
 *         *(uint64_t *)context = status == 0 ? answer->sum : 0;
 *     }
 *
 *     struct adder_driver driver;
 *     uint64_t sum;
 *     const struct adder_operation operation = {.callback = done, .context = &sum,
 *                                               .deadline_ns = now() + 1000000};
 *     error = adder_driver_create(&end, NULL, &driver);
 *     error = adder_submit(driver.submit, &(struct question){20, 22}, &operation, NULL);
 *     while (adder_receive(driver.receive) == 0)           // perhaps on another thread
 *         adder_expire(driver.receive, now());
 *     adder_close_submit(driver.submit);
 *     adder_close_receive(driver.receive);
 *
 *     // The side that completes; `other_end` is a struct vine_completer.
 *     struct adder_completer completer = {&other_end};
 *     struct adder_ticket ticket;
 *     struct question question;
 *     while (adder_submission_wait(completer, &ticket, &question, VINE_FOREVER) == 0)
 *         error = adder_complete(completer, ticket, &(struct answer){question.a + question.b});
 *
 * The handles are structs of one field that are passed by value, so that handing one to a call of
 * another is not a warning but an error.
 *
 * Caveats:  over mpmc queues all who submit share one bridge: completions reach whoever is first.
 */
#ifndef VINE_BRIDGE_H
#define VINE_BRIDGE_H

#include <string.h>

#include <vine/base.h>
#include <vine/channel.h>

VINE_BEGIN_DECLARATIONS

#define VINE_BRIDGE_OPERATIONS_MAX 4096

/* Names one operation of one bridge. Bits 0 to 23 are its place, 24 to 31 its kind, 32 to 63 the
 * use of that place. To the completer it is 8 bytes that it returns. */
struct vine_operation_id {
    uint64_t value;
};

enum vine_op_cache_kind {
    VINE_OP_CACHE_UNLOCKED, /* lock-free: one thread submits and abandons, one receives */
    VINE_OP_CACHE_LOCKED,   /* a mutex: any thread abandons, any number submits and receives */
};

/* All zero (or NULL instead of the struct) means the defaults. */
struct vine_bridge_options {
    size_t size_bytes; /* sizeof(struct vine_bridge_options) */
    enum vine_op_cache_kind cache;
    uint32_t operations_max; /* default: the slots for completions, at most the limit */
};

/* submitted == completed + abandoned + timed_out + lost + pending */
struct vine_bridge_stats {
    uint64_t submitted;
    uint64_t completed;
    uint64_t abandoned; /* by their submitter */
    uint64_t timed_out; /* abandoned for their deadline */
    uint64_t lost;      /* ended with the other side, or at closing */
    uint64_t pending;
    /* Completions that were dropped. */
    uint64_t late;       /* the first of an operation that was abandoned; frees its place */
    uint64_t duplicate;  /* of an operation whose completion has come */
    uint64_t unknown;    /* of a place that there is not */
    uint64_t forged;     /* of a use of a place that there was not yet */
    uint64_t wrong_kind; /* of a pending operation of another kind, which goes on waiting */
};

/* ---- types ----------------------------------------------------------------------------------- */

/*
 * Types and functions of one's own bridge, for use at file scope. SUBMISSION and COMPLETION are
 * trivially copyable, of at most VINE_CHANNEL_BYTES, and aligned to at most 8.
 *
 *   NAME_fn                     how an operation ends, see vine_operation_fn
 *   struct NAME_operation       .callback (NULL: nobody is told), .context; .deadline_ns on the
 *                               clock that NAME_expire is given, 0: none; .kind, which the
 *                               completer is told and its completion has to have
 *   struct NAME_driver          .submit and .receive, one of each:
 *   struct NAME_submit_handle
 *   struct NAME_receive_handle
 *   struct NAME_completer       .end is a struct vine_completer *
 *   struct NAME_ticket          .id; what the completer returns with the completion
 *
 *   NAME_driver_create(&submitter, options, &driver)          see vine_bridge_create
 *   NAME_submit(submit, &submission, &operation, &ret_id)     see vine_bridge_submit
 *   NAME_abandon(submit, id)                                  see vine_bridge_abandon
 *   NAME_clone_submit(submit, &clone)                         see vine_bridge_clone_submit
 *   NAME_close_submit(submit)                                 see vine_bridge_close_submit
 *
 *   NAME_receive(receive)    NAME_receive_wait(receive, timeout_ns)     see vine_bridge_receive
 *   NAME_arm(receive)        NAME_disarm(receive)                       see vine_receiver_arm
 *   NAME_expire(receive, now_ns)    NAME_next_deadline(receive)         see vine_bridge_expire
 *   NAME_lost(receive)                                        see vine_bridge_lost
 *   NAME_get_stats(receive, &stats)                           any thread
 *   NAME_clone_receive(receive, &clone)                       see vine_bridge_clone_receive
 *   NAME_close_receive(receive)                               see vine_bridge_close_receive
 *
 *   NAME_submission(completer, &ticket, &submission)    NAME_submission_wait(..., timeout_ns)
 *   NAME_complete(completer, ticket, &completion)       NAME_complete_wait(..., timeout_ns)
 *   NAME_ticket_kind(ticket)
 *
 * The completer's calls return as vine_receiver_receive and vine_sender_send. It may complete in
 * any order.
 */
#define VINE_BRIDGE_TYPES(NAME, SUBMISSION, COMPLETION)                                            \
    VINE_CHANNEL_CHECK(SUBMISSION)                                                                 \
    VINE_CHANNEL_CHECK(COMPLETION)                                                                 \
    struct NAME##_wrapped_submission {                                                             \
        struct vine_operation_id id;                                                               \
        SUBMISSION message;                                                                        \
    };                                                                                             \
    struct NAME##_wrapped_completion {                                                             \
        struct vine_operation_id id;                                                               \
        COMPLETION message;                                                                        \
    };                                                                                             \
    VINE_CHANNEL_ASSERT(sizeof(struct NAME##_wrapped_submission) <= VINE_SPSC_BYTES, "fits");      \
    VINE_CHANNEL_ASSERT(sizeof(struct NAME##_wrapped_completion) <= VINE_SPSC_BYTES, "fits");      \
    typedef void (*NAME##_fn)(void *context, int status, const COMPLETION *completion);            \
    struct NAME##_operation {                                                                      \
        NAME##_fn callback;                                                                        \
        void *context;                                                                             \
        uint64_t deadline_ns;                                                                      \
        uint8_t kind;                                                                              \
    };                                                                                             \
    struct NAME##_submit_handle {                                                                  \
        struct vine_bridge_submit *handle;                                                         \
    };                                                                                             \
    struct NAME##_receive_handle {                                                                 \
        struct vine_bridge_receive *handle;                                                        \
    };                                                                                             \
    struct NAME##_driver {                                                                         \
        struct NAME##_submit_handle submit;                                                        \
        struct NAME##_receive_handle receive;                                                      \
    };                                                                                             \
    struct NAME##_completer {                                                                      \
        struct vine_completer *end;                                                                \
    };                                                                                             \
    struct NAME##_ticket {                                                                         \
        struct vine_operation_id id;                                                               \
    };                                                                                             \
    VINE_BRIDGE_DRIVER(NAME, SUBMISSION, COMPLETION)                                               \
    VINE_BRIDGE_RECEIVE(NAME)                                                                      \
    VINE_BRIDGE_COMPLETER(NAME, SUBMISSION, COMPLETION)                                            \
    VINE_CHANNEL_ASSERT(sizeof(struct NAME##_driver) > 0, "")

/* ---- what the types are made of -------------------------------------------------------------- */

struct vine_bridge_submit;
struct vine_bridge_receive;

/*
 * How an operation ends: NAME_fn, with the completion's type. Called on the thread that receives,
 * expires, loses or closes, never within the submission itself. `completion` is a private copy, and
 * NULL unless `status` is 0; the others are -ETIMEDOUT, -VINE_EPEERLOST and -VINE_ECLOSED. It may
 * submit and abandon, if its thread may; its place is free already. It does not receive, expire,
 * lose (-EDEADLK) or close.
 */
typedef void (*vine_operation_fn)(void);

/* Calls a NAME_fn as what it is. */
typedef void (*vine_bridge_call_fn)(vine_operation_fn callback, void *context, int status,
                                    const void *completion);

/* An operation, whatever its types. */
struct vine_bridge_operation {
    vine_operation_fn callback;
    void *context;
    uint64_t deadline_ns;
    uint8_t kind;
};

/*
 * Make a driver over a channel. `submitter` is taken apart and not used any more. Everything is
 * allocated here.
 *
 * Returns 0; -EINVAL   impossible options, or more operations than slots for completions;
 *            -EBUSY    something is in flight on the channel;
 *            -ENOMEM.
 */
VINE_API VINE_MUST_CHECK int vine_bridge_create(const struct vine_submitter *submitter,
                                                const struct vine_bridge_options *options,
                                                vine_bridge_call_fn call,
                                                struct vine_bridge_submit **ret_submit,
                                                struct vine_bridge_receive **ret_receive);

/*
 * Register an operation and send it. `wrapped` begins with room for the id; all `size` bytes are
 * copied. `ret_id` may be NULL; it is written before the operation can end. The handle's thread.
 *
 * Returns 0                 it ends once, perhaps already on another thread;
 *         -EAGAIN           as many operations as there may be are pending or abandoned, or the
 *                           ring is full; nothing is registered;
 *         -VINE_ECORRUPT    the ring is; nothing is registered;
 *         -VINE_EPEERLOST, -VINE_ECLOSED  the other side is lost, or nobody receives any more.
 */
VINE_API VINE_MUST_CHECK int vine_bridge_submit(struct vine_bridge_submit *handle, void *wrapped,
                                                size_t size,
                                                const struct vine_bridge_operation *operation,
                                                struct vine_operation_id *ret_id);

/*
 * Stop waiting for an operation: its callback will not run. What the other side uses for it stays
 * in use; only its completion, or its loss, ends that. The handle's thread; with the locked cache
 * any thread.
 *
 * Returns 0; -EALREADY  it has ended, or its callback runs now.
 */
VINE_API VINE_MUST_CHECK int vine_bridge_abandon(struct vine_bridge_submit *handle,
                                                 struct vine_operation_id id);

/* One more handle for one more thread. Returns 0; -EINVAL  not the locked cache over mpmc queues;
 * -ENOMEM. The handle's thread. */
VINE_API VINE_MUST_CHECK int vine_bridge_clone_submit(struct vine_bridge_submit *handle,
                                                      struct vine_bridge_submit **ret_clone);
VINE_API VINE_MUST_CHECK int vine_bridge_clone_receive(struct vine_bridge_receive *handle,
                                                       struct vine_bridge_receive **ret_clone);

/* Submit no more. What is pending goes on. The last handle to close, of either kind, ends what is
 * left with -VINE_ECLOSED and frees the bridge. The handle's thread; NULL does nothing. */
VINE_API void vine_bridge_close_submit(struct vine_bridge_submit *handle);

/* Receive no more. When nobody receives, submitting is refused, and what is pending ends with
 * -VINE_ECLOSED, here or when the last handle closes. The handle's thread; NULL does nothing. */
VINE_API void vine_bridge_close_receive(struct vine_bridge_receive *handle);

/*
 * Take completions that have come, as many as may be pending at most, and run callbacks. The
 * handle's thread.
 *
 * Returns how many were taken, dropped ones included; 0: idle;
 *         -VINE_ECORRUPT    the ring is; what was pending still is: see vine_bridge_lost;
 *         -VINE_EPEERLOST, -VINE_ECLOSED  the bridge is over; what was submitted meanwhile has been
 *                           ended;
 *         -EDEADLK          within a callback.
 */
VINE_API VINE_MUST_CHECK int vine_bridge_receive(struct vine_bridge_receive *handle);

/* The same, waiting for a first one. Also returns -ETIMEDOUT, and what the channel's option `alive`
 * returned. Deadlines do not end the wait: see vine_bridge_next_deadline. */
VINE_API VINE_MUST_CHECK int vine_bridge_receive_wait(struct vine_bridge_receive *handle,
                                                      uint64_t timeout_ns);

/* Asynchronous waiting, as vine_receiver_arm and vine_receiver_disarm. The handle's thread. */
VINE_API VINE_MUST_CHECK int vine_bridge_arm(struct vine_bridge_receive *handle);
VINE_API void vine_bridge_disarm(struct vine_bridge_receive *handle);

/*
 * Abandon the operations whose deadline is `now_ns` or earlier, and run their callbacks with
 * -ETIMEDOUT. Costs a load if none is due, else a walk over all operations. The handle's thread.
 *
 * Returns how many; -EDEADLK  within a callback.
 */
VINE_API int vine_bridge_expire(struct vine_bridge_receive *handle, uint64_t now_ns);

/* When to call vine_bridge_expire next, at the latest; VINE_FOREVER: there is no deadline. It may
 * turn out that nothing is due then. Any thread. */
VINE_API uint64_t vine_bridge_next_deadline(const struct vine_bridge_receive *handle);

/*
 * The other side is lost: no completion comes any more. Ends all that is pending with
 * -VINE_EPEERLOST, and further submissions with that error. What the other side had completed
 * before is lost, too, unless it was received before. The handle's thread.
 *
 * Returns how many ended; -EDEADLK  within a callback.
 */
VINE_API int vine_bridge_lost(struct vine_bridge_receive *handle);

/* Any thread. The counts are read one after the other. */
VINE_API void vine_bridge_get_stats(const struct vine_bridge_receive *handle,
                                    struct vine_bridge_stats *ret_stats);

#define VINE_BRIDGE_CALL VINE_MUST_CHECK __attribute__((unused)) static inline int
#define VINE_BRIDGE_VOID __attribute__((unused)) static inline void

#define VINE_BRIDGE_DRIVER(NAME, SUBMISSION, COMPLETION)                                           \
    VINE_BRIDGE_VOID NAME##_call(vine_operation_fn callback, void *context, int status,            \
                                 const void *completion)                                           \
    {                                                                                              \
        ((NAME##_fn)callback)(context, status, (const COMPLETION *)completion);                    \
    }                                                                                              \
    VINE_BRIDGE_CALL NAME##_driver_create(const struct vine_submitter *submitter,                  \
                                          const struct vine_bridge_options *options,               \
                                          struct NAME##_driver *ret_driver)                        \
    {                                                                                              \
        return vine_bridge_create(submitter, options, NAME##_call, &ret_driver->submit.handle,     \
                                  &ret_driver->receive.handle);                                    \
    }                                                                                              \
    VINE_BRIDGE_CALL NAME##_submit(                                                                \
        struct NAME##_submit_handle submit, const SUBMISSION *submission,                          \
        const struct NAME##_operation *operation, struct vine_operation_id *ret_id)                \
    {                                                                                              \
        struct NAME##_wrapped_submission wrapped;                                                  \
        struct vine_bridge_operation plain;                                                        \
                                                                                                   \
        plain.callback = (vine_operation_fn)operation->callback;                                   \
        plain.context = operation->context;                                                        \
        plain.deadline_ns = operation->deadline_ns;                                                \
        plain.kind = operation->kind;                                                              \
        memcpy(&wrapped.message, submission, sizeof(wrapped.message));                             \
        return vine_bridge_submit(submit.handle, &wrapped,                                         \
                                  sizeof(wrapped.id) + sizeof(wrapped.message), &plain, ret_id);   \
    }                                                                                              \
    VINE_BRIDGE_CALL NAME##_abandon(struct NAME##_submit_handle submit,                            \
                                    struct vine_operation_id id)                                   \
    {                                                                                              \
        return vine_bridge_abandon(submit.handle, id);                                             \
    }                                                                                              \
    VINE_BRIDGE_CALL NAME##_clone_submit(struct NAME##_submit_handle submit,                       \
                                         struct NAME##_submit_handle *ret_clone)                   \
    {                                                                                              \
        return vine_bridge_clone_submit(submit.handle, &ret_clone->handle);                        \
    }                                                                                              \
    VINE_BRIDGE_VOID NAME##_close_submit(struct NAME##_submit_handle submit)                       \
    {                                                                                              \
        vine_bridge_close_submit(submit.handle);                                                   \
    }

#define VINE_BRIDGE_RECEIVE(NAME)                                                                  \
    VINE_BRIDGE_CALL NAME##_receive(struct NAME##_receive_handle receive)                          \
    {                                                                                              \
        return vine_bridge_receive(receive.handle);                                                \
    }                                                                                              \
    VINE_BRIDGE_CALL NAME##_receive_wait(struct NAME##_receive_handle receive,                     \
                                         uint64_t timeout_ns)                                      \
    {                                                                                              \
        return vine_bridge_receive_wait(receive.handle, timeout_ns);                               \
    }                                                                                              \
    VINE_BRIDGE_CALL NAME##_arm(struct NAME##_receive_handle receive)                              \
    {                                                                                              \
        return vine_bridge_arm(receive.handle);                                                    \
    }                                                                                              \
    VINE_BRIDGE_VOID NAME##_disarm(struct NAME##_receive_handle receive)                           \
    {                                                                                              \
        vine_bridge_disarm(receive.handle);                                                        \
    }                                                                                              \
    __attribute__((unused)) static inline int NAME##_expire(struct NAME##_receive_handle receive,  \
                                                            uint64_t now_ns)                       \
    {                                                                                              \
        return vine_bridge_expire(receive.handle, now_ns);                                         \
    }                                                                                              \
    __attribute__((unused)) static inline uint64_t NAME##_next_deadline(                           \
        struct NAME##_receive_handle receive)                                                      \
    {                                                                                              \
        return vine_bridge_next_deadline(receive.handle);                                          \
    }                                                                                              \
    __attribute__((unused)) static inline int NAME##_lost(struct NAME##_receive_handle receive)    \
    {                                                                                              \
        return vine_bridge_lost(receive.handle);                                                   \
    }                                                                                              \
    VINE_BRIDGE_VOID NAME##_get_stats(struct NAME##_receive_handle receive,                        \
                                      struct vine_bridge_stats *ret_stats)                         \
    {                                                                                              \
        vine_bridge_get_stats(receive.handle, ret_stats);                                          \
    }                                                                                              \
    VINE_BRIDGE_CALL NAME##_clone_receive(struct NAME##_receive_handle receive,                    \
                                          struct NAME##_receive_handle *ret_clone)                 \
    {                                                                                              \
        return vine_bridge_clone_receive(receive.handle, &ret_clone->handle);                      \
    }                                                                                              \
    VINE_BRIDGE_VOID NAME##_close_receive(struct NAME##_receive_handle receive)                    \
    {                                                                                              \
        vine_bridge_close_receive(receive.handle);                                                 \
    }

#define VINE_BRIDGE_COMPLETER(NAME, SUBMISSION, COMPLETION)                                        \
    __attribute__((unused)) static inline uint8_t NAME##_ticket_kind(struct NAME##_ticket ticket)  \
    {                                                                                              \
        return (uint8_t)(ticket.id.value >> 24);                                                   \
    }                                                                                              \
    __attribute__((unused)) static inline int NAME##_unwrap(int error, const unsigned char *bytes, \
                                                            struct NAME##_ticket *ret_ticket,      \
                                                            SUBMISSION *ret_submission)            \
    {                                                                                              \
        if (error == 0) {                                                                          \
            memcpy(&ret_ticket->id, bytes, sizeof(ret_ticket->id));                                \
            memcpy(ret_submission, bytes + sizeof(ret_ticket->id), sizeof(*ret_submission));       \
        }                                                                                          \
        return error;                                                                              \
    }                                                                                              \
    VINE_BRIDGE_CALL NAME##_submission(struct NAME##_completer completer,                          \
                                       struct NAME##_ticket *ret_ticket,                           \
                                       SUBMISSION *ret_submission)                                 \
    {                                                                                              \
        unsigned char bytes[VINE_SPSC_BYTES];                                                      \
        const int error = vine_receiver_receive(&completer.end->in, bytes);                        \
                                                                                                   \
        return NAME##_unwrap(error, bytes, ret_ticket, ret_submission);                            \
    }                                                                                              \
    VINE_BRIDGE_CALL NAME##_submission_wait(struct NAME##_completer completer,                     \
                                            struct NAME##_ticket *ret_ticket,                      \
                                            SUBMISSION *ret_submission, uint64_t timeout_ns)       \
    {                                                                                              \
        unsigned char bytes[VINE_SPSC_BYTES];                                                      \
        const int error = vine_receiver_receive_wait(&completer.end->in, bytes, timeout_ns);       \
                                                                                                   \
        return NAME##_unwrap(error, bytes, ret_ticket, ret_submission);                            \
    }                                                                                              \
    VINE_BRIDGE_CALL NAME##_complete(struct NAME##_completer completer,                            \
                                     struct NAME##_ticket ticket, const COMPLETION *completion)    \
    {                                                                                              \
        struct NAME##_wrapped_completion wrapped;                                                  \
                                                                                                   \
        wrapped.id = ticket.id;                                                                    \
        memcpy(&wrapped.message, completion, sizeof(wrapped.message));                             \
        return vine_sender_send(&completer.end->out, &wrapped,                                     \
                                sizeof(wrapped.id) + sizeof(wrapped.message));                     \
    }                                                                                              \
    VINE_BRIDGE_CALL NAME##_complete_wait(struct NAME##_completer completer,                       \
                                          struct NAME##_ticket ticket,                             \
                                          const COMPLETION *completion, uint64_t timeout_ns)       \
    {                                                                                              \
        struct NAME##_wrapped_completion wrapped;                                                  \
                                                                                                   \
        wrapped.id = ticket.id;                                                                    \
        memcpy(&wrapped.message, completion, sizeof(wrapped.message));                             \
        return vine_sender_send_wait(&completer.end->out, &wrapped,                                \
                                     sizeof(wrapped.id) + sizeof(wrapped.message), timeout_ns);    \
    }

VINE_END_DECLARATIONS

#endif
