/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/channel.h - submissions one way, completions the other, over either kind of ring.
 *
 * Owns:     nothing. Each side's memory is the caller's; ends are private to one thread.
 * Threads:  an end belongs to one thread at a time. Over mpmc queues there may be many ends of
 *           either kind, one a thread (vine_submitter_clone, vine_completer_clone).
 * Blocking: the calls that end in `_wait`, at most for their time-out; the others never.
 * Trust:    over spsc rings as vine/spsc.h: the other side may write anything. Over mpmc queues the
 *           parties cooperate.
 * Limits:   a submission and a completion have at most VINE_CHANNEL_BYTES bytes, so that 8 bytes
 *           are left for the id of an operation (vine/bridge.h).
 *
 * Three flavours:
 *   bare    VINE_CHANNEL_BARE: two spsc rings whose size is fixed at compile time, slots only: no
 *           sleeping, nobody is told.
 *   sync    the `_wait` calls block the thread: they spin a learned time, then sleep.
 *   async   vine_submitter_arm and vine_completer_arm say that we sleep and return; the next
 *           message then reaches an eventfd or a call, which the sending side was given
 *           (vine_submitter_notify_*, vine_completer_notify_*). Over spsc rings alone: there one
 *           sender knows its one receiver. Over mpmc queues every sender would have to know how
 *           each receiver wants to be told, of parties that come and go; they wait on one word.
 *
 * The typed layer, VINE_CHANNEL_TYPES(NAME, SUBMISSION, COMPLETION), makes struct NAME_submitter
 * and struct NAME_completer, and functions that take those types and no others.
 */
#ifndef VINE_CHANNEL_H
#define VINE_CHANNEL_H

#include <string.h>

#include <vine/base.h>
#include <vine/mpmc.h>
#include <vine/spsc.h>
#include <vine/wait.h>

VINE_BEGIN_DECLARATIONS

#define VINE_CHANNEL_BYTES 48

/* ---- what one side writes -------------------------------------------------------------------- */

/* The beginning of a side's memory; the slots of the ring that it fills follow. All zero at the
 * start; written by that side alone. */
struct vine_channel_side {
    struct {
        uint64_t value;
        unsigned char unused[VINE_CACHE_LINE - 8];
    } consumed; /* our position in the ring that the other side fills */
    struct vine_sleep_line for_message;
    struct vine_sleep_line for_space;
    unsigned char unused[VINE_CACHE_LINE];
} __attribute__((aligned(VINE_CACHE_LINE)));

/* The bytes of a side that sends through `slot_count` slots; 0 for an impossible count. */
VINE_API size_t vine_channel_side_size(uint32_t slot_count);

/* ---- one sender, one receiver, over every ring ----------------------------------------------- */

enum vine_ring_kind {
    VINE_RING_SPSC = 1,
    VINE_RING_MPMC = 2,
};

/* Private fields. */
struct vine_sender {
    enum vine_ring_kind kind;
    union {
        struct vine_spsc_producer spsc;
        struct vine_mpmc mpmc;
    } ring;
    struct vine_waker waker;   /* of who receives */
    struct vine_waiter waiter; /* for room */
};

struct vine_receiver {
    enum vine_ring_kind kind;
    union {
        struct vine_spsc_consumer spsc;
        struct vine_mpmc mpmc;
    } ring;
    struct vine_waker waker;   /* of who sends */
    struct vine_waiter waiter; /* for messages */
};

/*
 * Send one message; wake the receiver if it sleeps. The end's thread.
 *
 * Returns 0; -EAGAIN  the ring is full; -EINVAL  larger than a slot; -VINE_ECORRUPT  (spsc).
 */
VINE_API VINE_MUST_CHECK int vine_sender_send(struct vine_sender *sender, const void *bytes,
                                              size_t size);

/* As many as fit of `count`, one after the other; one wake for all. Returns their number, 0 for a
 * full ring, or a negative error. */
VINE_API VINE_MUST_CHECK int vine_sender_send_burst(struct vine_sender *sender,
                                                    const void *messages, size_t size,
                                                    uint32_t count);

/* Send one message, waiting for room. Returns 0; -ETIMEDOUT; -EINVAL; -VINE_ECORRUPT; what the
 * option `alive` returned. */
VINE_API VINE_MUST_CHECK int vine_sender_send_wait(struct vine_sender *sender, const void *bytes,
                                                   size_t size, uint64_t timeout_ns);

/* Tell the receiver by an eventfd, or by a call on this thread, instead of a futex: for receivers
 * that arm. spsc alone; before the first message. Returns 0 or -EINVAL. */
VINE_API VINE_MUST_CHECK int vine_sender_notify_eventfd(struct vine_sender *sender, int fd);
VINE_API VINE_MUST_CHECK int vine_sender_notify_call(struct vine_sender *sender, vine_wake_fn call,
                                                     void *context);

/* Take one message: VINE_SPSC_BYTES are copied. The end's thread. Returns 0, -EAGAIN or
 * -VINE_ECORRUPT. */
VINE_API VINE_MUST_CHECK int vine_receiver_receive(struct vine_receiver *receiver,
                                                   void *ret_bytes /* [VINE_SPSC_BYTES] */);

/* Take up to `count_max`, VINE_SPSC_BYTES apart. Returns their number or a negative error. */
VINE_API VINE_MUST_CHECK int vine_receiver_receive_burst(struct vine_receiver *receiver,
                                                         void *ret_messages, uint32_t count_max);

/* Take one message, waiting for it. Returns 0; -ETIMEDOUT; -VINE_ECORRUPT; what the option `alive`
 * returned. */
VINE_API VINE_MUST_CHECK int vine_receiver_receive_wait(struct vine_receiver *receiver,
                                                        void *ret_bytes, uint64_t timeout_ns);

/* Say that we sleep until the next message; see vine_wait_arm_message. spsc alone. Returns 0;
 * -EALREADY  there is a message; -EINVAL  not a spsc ring; -VINE_ECORRUPT. */
VINE_API VINE_MUST_CHECK int vine_receiver_arm(struct vine_receiver *receiver);
VINE_API void vine_receiver_disarm(struct vine_receiver *receiver);

/* One more for one more thread, over mpmc queues. Returns 0, or -EINVAL over spsc rings. */
VINE_API VINE_MUST_CHECK int vine_sender_clone(struct vine_sender *clone,
                                               const struct vine_sender *sender);
VINE_API VINE_MUST_CHECK int vine_receiver_clone(struct vine_receiver *clone,
                                                 const struct vine_receiver *receiver);

/* ---- the two ends of a channel --------------------------------------------------------------- */

/* All zero (or NULL instead of the struct) means the defaults. */
struct vine_channel_options {
    size_t size_bytes;         /* sizeof(struct vine_channel_options) */
    uint32_t submission_slots; /* a power of two; default 256 */
    uint32_t completion_slots; /* as many; it bounds what is in flight */
    struct vine_wait_options wait;
};

/* Private fields. The other end cannot be made of the same type: that does not compile. */
struct vine_submitter {
    struct vine_sender out;
    struct vine_receiver in;
    uint32_t in_flight;
    uint32_t in_flight_max;
};

struct vine_completer {
    struct vine_receiver in;
    struct vine_sender out;
};

/*
 * Prepare the end that submits, over two spsc rings. `ours` is our zeroed side, of
 * vine_channel_side_size(submission_slots); `theirs` is the other side's, of
 * vine_channel_side_size(completion_slots), which may be mapped read-only. Both are kept.
 *
 * Returns 0; -EINVAL  an impossible count, address or option; -ENOSYS  no membarrier for STREAM.
 */
VINE_API VINE_MUST_CHECK int vine_submitter_init(struct vine_submitter *submitter,
                                                 struct vine_channel_side *ours,
                                                 const struct vine_channel_side *theirs,
                                                 const struct vine_channel_options *options);

/* The same for the end that completes: `ours` has the completions' slots. */
VINE_API VINE_MUST_CHECK int vine_completer_init(struct vine_completer *completer,
                                                 struct vine_channel_side *ours,
                                                 const struct vine_channel_side *theirs,
                                                 const struct vine_channel_options *options);

/* The ends over two mpmc queues; the handles are cloned. Who submits need not be who receives the
 * completion, so what is in flight is not bounded here: a completer may find its queue full. Only
 * `wait` is looked at, with any mode but STREAM. */
VINE_API VINE_MUST_CHECK int vine_submitter_init_mpmc(struct vine_submitter *submitter,
                                                      const struct vine_mpmc *submissions,
                                                      const struct vine_mpmc *completions,
                                                      const struct vine_wait_options *wait);
VINE_API VINE_MUST_CHECK int vine_completer_init_mpmc(struct vine_completer *completer,
                                                      const struct vine_mpmc *submissions,
                                                      const struct vine_mpmc *completions,
                                                      const struct vine_wait_options *wait);

/* One more end for one more thread, over mpmc queues. Returns 0, or -EINVAL over spsc rings. */
VINE_API VINE_MUST_CHECK int vine_submitter_clone(struct vine_submitter *clone,
                                                  const struct vine_submitter *submitter);
VINE_API VINE_MUST_CHECK int vine_completer_clone(struct vine_completer *clone,
                                                  const struct vine_completer *completer);

/*
 * Take a submitter apart, so that one thread may submit and another take completions. It is not
 * used any more, and nothing counts what is in flight: that is up to who uses its halves.
 *
 * Returns 0; -EBUSY  something is in flight. `ret_in_flight_max` is the number of the completions'
 *         slots, which what is in flight must not exceed.
 */
VINE_API VINE_MUST_CHECK int vine_submitter_split(const struct vine_submitter *submitter,
                                                  struct vine_sender *ret_sender,
                                                  struct vine_receiver *ret_receiver,
                                                  uint32_t *ret_in_flight_max);

/*
 * Submit, and take completions. As the calls of vine_sender and vine_receiver, but that never more
 * is in flight than the other side has room to complete: -EAGAIN then, too, and from `_wait`
 * -EAGAIN at once, since only our own taking of completions makes room. A completer that follows
 * its submissions one to one never finds its ring full.
 */
VINE_API VINE_MUST_CHECK int vine_submitter_submit(struct vine_submitter *submitter,
                                                   const void *bytes, size_t size);
VINE_API VINE_MUST_CHECK int vine_submitter_submit_burst(struct vine_submitter *submitter,
                                                         const void *messages, size_t size,
                                                         uint32_t count);
VINE_API VINE_MUST_CHECK int vine_submitter_submit_wait(struct vine_submitter *submitter,
                                                        const void *bytes, size_t size,
                                                        uint64_t timeout_ns);
VINE_API VINE_MUST_CHECK int vine_submitter_receive(struct vine_submitter *submitter,
                                                    void *ret_bytes /* [VINE_SPSC_BYTES] */);
VINE_API VINE_MUST_CHECK int vine_submitter_receive_burst(struct vine_submitter *submitter,
                                                          void *ret_messages, uint32_t count_max);
VINE_API VINE_MUST_CHECK int vine_submitter_receive_wait(struct vine_submitter *submitter,
                                                         void *ret_bytes, uint64_t timeout_ns);

/*
 * The async flavour, of spsc rings alone. Arming says that we sleep until the next message comes;
 * disarming, that we are awake. How the other end is told of what we send, should it be armed, is
 * up to us: through an eventfd, which stays the caller's, or by a call on the thread that sends.
 * The thread of the end.
 *
 * Arming returns 0          who sends next tells, once;
 *                -EALREADY  there is a message: nobody tells;
 *                -EINVAL    over mpmc queues; -VINE_ECORRUPT.
 * Notifying returns 0; -EINVAL  over mpmc queues, or no eventfd, or no call.
 */
VINE_API VINE_MUST_CHECK int vine_submitter_arm(struct vine_submitter *submitter);
VINE_API void vine_submitter_disarm(struct vine_submitter *submitter);
VINE_API VINE_MUST_CHECK int vine_submitter_notify_eventfd(struct vine_submitter *submitter,
                                                           int fd);
VINE_API VINE_MUST_CHECK int vine_submitter_notify_call(struct vine_submitter *submitter,
                                                        vine_wake_fn call, void *context);
VINE_API VINE_MUST_CHECK int vine_completer_arm(struct vine_completer *completer);
VINE_API void vine_completer_disarm(struct vine_completer *completer);
VINE_API VINE_MUST_CHECK int vine_completer_notify_eventfd(struct vine_completer *completer,
                                                           int fd);
VINE_API VINE_MUST_CHECK int vine_completer_notify_call(struct vine_completer *completer,
                                                        vine_wake_fn call, void *context);

/* ---- types ----------------------------------------------------------------------------------- */

#ifdef __cplusplus
#define VINE_CHANNEL_ASSERT(condition, text) static_assert(condition, text)
#else
#define VINE_CHANNEL_ASSERT(condition, text) _Static_assert(condition, text)
#endif

/* A slot's payload seen as a message of the user's type. */
#define VINE_CHANNEL_SLOT(type)                                                                    \
    union {                                                                                        \
        type message;                                                                              \
        unsigned char bytes[VINE_SPSC_BYTES];                                                      \
    }

/*
 * Types and functions of one's own channel, for use at file scope. SUBMISSION and COMPLETION are
 * trivially copyable, of at most VINE_CHANNEL_BYTES, and aligned to at most 8.
 *
 *   struct NAME_submitter   .end is a struct vine_submitter, to be given to vine_submitter_init
 *     NAME_submit(s, &submission)                NAME_submit_wait(s, &submission, timeout_ns)
 *     NAME_completion(s, &completion)            NAME_completion_wait(s, &completion, timeout_ns)
 *   struct NAME_completer   .end is a struct vine_completer
 *     NAME_submission(c, &submission)            NAME_submission_wait(c, &submission, timeout_ns)
 *     NAME_complete(c, &completion)              NAME_complete_wait(c, &completion, timeout_ns)
 */
#define VINE_CHANNEL_TYPES(NAME, SUBMISSION, COMPLETION)                                           \
    VINE_CHANNEL_CHECK(SUBMISSION)                                                                 \
    VINE_CHANNEL_CHECK(COMPLETION)                                                                 \
    struct NAME##_submitter {                                                                      \
        struct vine_submitter end;                                                                 \
    };                                                                                             \
    struct NAME##_completer {                                                                      \
        struct vine_completer end;                                                                 \
    };                                                                                             \
    VINE_CHANNEL_SEND(NAME##_submit, struct NAME##_submitter, SUBMISSION, vine_submitter_submit,   \
                      &handle->end)                                                                \
    VINE_CHANNEL_RECEIVE(NAME##_completion, struct NAME##_submitter, COMPLETION,                   \
                         vine_submitter_receive, &handle->end)                                     \
    VINE_CHANNEL_RECEIVE(NAME##_submission, struct NAME##_completer, SUBMISSION,                   \
                         vine_receiver_receive, &handle->end.in)                                   \
    VINE_CHANNEL_SEND(NAME##_complete, struct NAME##_completer, COMPLETION, vine_sender_send,      \
                      &handle->end.out)                                                            \
    VINE_CHANNEL_ASSERT(sizeof(struct NAME##_submitter) > 0, "")

#define VINE_CHANNEL_CHECK(type)                                                                   \
    VINE_CHANNEL_ASSERT(sizeof(type) <= VINE_CHANNEL_BYTES, "a message fits beside an id");        \
    VINE_CHANNEL_ASSERT(__alignof__(type) <= 8, "a slot's payload is aligned to 8");

#define VINE_CHANNEL_SEND(name, handle_type, type, call, end)                                      \
    VINE_MUST_CHECK __attribute__((unused)) static inline int name(handle_type *handle,            \
                                                                   const type *message)            \
    {                                                                                              \
        return call(end, message, sizeof(*message));                                               \
    }                                                                                              \
    VINE_MUST_CHECK __attribute__((unused)) static inline int name##_wait(                         \
        handle_type *handle, const type *message, uint64_t timeout_ns)                             \
    {                                                                                              \
        return call##_wait(end, message, sizeof(*message), timeout_ns);                            \
    }

#define VINE_CHANNEL_RECEIVE(name, handle_type, type, call, end)                                   \
    VINE_MUST_CHECK __attribute__((unused)) static inline int name(handle_type *handle,            \
                                                                   type *ret_message)              \
    {                                                                                              \
        VINE_CHANNEL_SLOT(type) slot;                                                              \
        const int error = call(end, slot.bytes);                                                   \
                                                                                                   \
        if (error == 0)                                                                            \
            memcpy(ret_message, slot.bytes, sizeof(*ret_message));                                 \
        return error;                                                                              \
    }                                                                                              \
    VINE_MUST_CHECK __attribute__((unused)) static inline int name##_wait(                         \
        handle_type *handle, type *ret_message, uint64_t timeout_ns)                               \
    {                                                                                              \
        VINE_CHANNEL_SLOT(type) slot;                                                              \
        const int error = call##_wait(end, slot.bytes, timeout_ns);                                \
                                                                                                   \
        if (error == 0)                                                                            \
            memcpy(ret_message, slot.bytes, sizeof(*ret_message));                                 \
        return error;                                                                              \
    }

/*
 * The bare flavour: SLOTS is a constant. One side's memory is a zeroed struct NAME_side. Calls that
 * end in `_init` take our side and the other's and return 0; the others return as vine_spsc_push
 * and vine_spsc_pop.
 *
 *   struct NAME_submitter: NAME_submitter_init, NAME_submit, NAME_completion
 *   struct NAME_completer: NAME_completer_init, NAME_submission, NAME_complete
 */
#define VINE_CHANNEL_BARE(NAME, SUBMISSION, COMPLETION, SLOTS)                                     \
    VINE_CHANNEL_CHECK(SUBMISSION)                                                                 \
    VINE_CHANNEL_CHECK(COMPLETION)                                                                 \
    VINE_CHANNEL_ASSERT((SLOTS) >= VINE_SPSC_SLOTS_MIN && (SLOTS) <= VINE_SPSC_SLOTS_MAX &&        \
                            ((SLOTS) & ((SLOTS)-1)) == 0,                                          \
                        "a power of two within the limits");                                       \
    struct NAME##_side {                                                                           \
        struct {                                                                                   \
            uint64_t value;                                                                        \
            unsigned char unused[VINE_CACHE_LINE - 8];                                             \
        } consumed;                                                                                \
        struct vine_slot slots[SLOTS];                                                             \
    };                                                                                             \
    struct NAME##_submitter {                                                                      \
        struct vine_spsc_producer out;                                                             \
        struct vine_spsc_consumer in;                                                              \
    };                                                                                             \
    struct NAME##_completer {                                                                      \
        struct vine_spsc_consumer in;                                                              \
        struct vine_spsc_producer out;                                                             \
    };                                                                                             \
    VINE_CHANNEL_BARE_INIT(NAME, submitter, SLOTS)                                                 \
    VINE_CHANNEL_BARE_INIT(NAME, completer, SLOTS)                                                 \
    VINE_CHANNEL_BARE_SEND(NAME##_submit, struct NAME##_submitter, SUBMISSION)                     \
    VINE_CHANNEL_BARE_RECEIVE(NAME##_completion, struct NAME##_submitter, COMPLETION)              \
    VINE_CHANNEL_BARE_RECEIVE(NAME##_submission, struct NAME##_completer, SUBMISSION)              \
    VINE_CHANNEL_BARE_SEND(NAME##_complete, struct NAME##_completer, COMPLETION)                   \
    VINE_CHANNEL_ASSERT(sizeof(struct NAME##_side) == 64 * ((SLOTS) + 1), "slots only")

#define VINE_CHANNEL_BARE_INIT(NAME, end, SLOTS)                                                   \
    VINE_MUST_CHECK __attribute__((unused)) static inline int NAME##_##end##_init(                 \
        struct NAME##_##end *handle, struct NAME##_side *ours, const struct NAME##_side *theirs)   \
    {                                                                                              \
        const int error =                                                                          \
            vine_spsc_producer_init(&handle->out, ours->slots, SLOTS, &theirs->consumed.value);    \
                                                                                                   \
        return error ? error                                                                       \
                     : vine_spsc_consumer_init(&handle->in, theirs->slots, SLOTS,                  \
                                               &ours->consumed.value);                             \
    }

#define VINE_CHANNEL_BARE_SEND(name, handle_type, type)                                            \
    VINE_MUST_CHECK __attribute__((unused)) static inline int name(handle_type *handle,            \
                                                                   const type *message)            \
    {                                                                                              \
        return vine_spsc_push(&handle->out, message, sizeof(*message));                            \
    }

#define VINE_CHANNEL_BARE_RECEIVE(name, handle_type, type)                                         \
    VINE_MUST_CHECK __attribute__((unused)) static inline int name(handle_type *handle,            \
                                                                   type *ret_message)              \
    {                                                                                              \
        VINE_CHANNEL_SLOT(type) slot;                                                              \
        const int error = vine_spsc_pop(&handle->in, slot.bytes);                                  \
                                                                                                   \
        if (error == 0)                                                                            \
            memcpy(ret_message, slot.bytes, sizeof(*ret_message));                                 \
        return error;                                                                              \
    }

VINE_END_DECLARATIONS

#endif
