/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/future.h - coroutines of one micro-process that wait for each other: futures, messages, and
 * requests with their answers.
 *
 * Owns:     futures lie where their maker puts them; messages in the heap, until they are taken.
 * Threads:  coroutines, for others of their own micro-process.
 * Blocking: the coroutine alone, and until its deadline (vine_deadline) at the latest.
 * Trust:    all of it is within one heap.
 * Limits:   VINE_MAILBOX_MAX messages that nobody has taken, for each coroutine: who sends more
 *           waits.
 *
 * A message has a type, which is named where it is sent and where it is taken: the compiler sees
 * that the values fit, and another type's message is told of as a mistake, with both names. Its
 * bytes are copied; what they point to lies in the same heap.
 *
 * Who waits for a coroutine that has ended gets -EPIPE. One that has been joined, or that nobody
 * joins, is gone when it ends, and so are its handles.
 */
#ifndef VINE_FUTURE_H
#define VINE_FUTURE_H

#include <vine/state.h>

VINE_BEGIN_DECLARATIONS

/* ---- futures --------------------------------------------------------------------------------- */

/* Lies in the frame of its maker, or in memory that stays at least as long. Fields are private. */
struct vine_future {
    struct vine__waiters waiting;
    struct vine__at_end at_end;
    void *value;
    int error;
    uint32_t makers; /* 1 until its maker ends */
    bool is_set;
};

/* It is there, without a value; before others know it. When its maker ends before it has one, who
 * waits is told by -EPIPE. */
#define vine_future_init(future) vine__do_at("vine_future_init", vine__future_init(that, (future)))

/* Wait until it has a value, a pointer, which any number of coroutines may do, at any time; or
 * raise what it failed with. */
#define vine_future_await(future, pointer_lvalue)                                                  \
    do {                                                                                           \
        vine__operation("vine_future_await", vine__future_begin(that, (future)),                   \
                        vine__future_await(that));                                                 \
        (pointer_lvalue) = that->operand;                                                          \
    } while (0)

/* Give it its value; or an error, a negative number. Once. */
#define vine_future_set(future, pointer)                                                           \
    vine__do_at("vine_future_set", vine__future_set(that, (future), (pointer), 0))
#define vine_future_fail(future, error_number)                                                     \
    vine__do_at("vine_future_fail", vine__future_set(that, (future), NULL, (error_number)))

/* ---- messages -------------------------------------------------------------------------------- */

#define VINE_MAILBOX_MAX 16

/* Send `value`, of type `type`, to a coroutine. Blocks while that one has as many as it may. Raises
 * -EPIPE: it has ended; -EDEADLK: it is the sender, and is full; -ENOMEM. */
#define vine_send(to, type, value)                                                                 \
    do {                                                                                           \
        static const struct vine__message_type vine__type = {#type, sizeof(type)};                 \
        vine__operation("vine_send",                                                               \
                        vine__send(that, (to), &vine__type, &(type const[]){(value)}),             \
                        vine__sent(that));                                                         \
    } while (0)

/* Take the first message that was sent to this coroutine, which has to be of that type; wait for
 * one. */
#define vine_recv(type, lvalue)                                                                    \
    do {                                                                                           \
        static const struct vine__message_type vine__type = {#type, sizeof(type)};                 \
        vine__operation("vine_recv", vine__take_begin(that, &vine__type), vine__recv(that));       \
        (lvalue) = *(type const *)that->operand;                                                   \
    } while (0)

/* ---- requests -------------------------------------------------------------------------------- */

/* Ask a coroutine, by vine_responder or any other one, and wait for its answer. Raises -EPIPE: it
 * has ended; what it refuses with; -EDEADLK: it asks itself; -ENOMEM. */
#define vine_request(to, type, value, reply_type, reply_lvalue)                                    \
    do {                                                                                           \
        static const struct vine__message_type vine__type = {#type, sizeof(type)};                 \
        static const struct vine__message_type vine__reply = {#reply_type, sizeof(reply_type)};    \
        vine__operation(                                                                           \
            "vine_request",                                                                        \
            vine__request(that, (to), &vine__type, &(type const[]){(value)}, &vine__reply),        \
            vine__requested(that));                                                                \
        (reply_lvalue) = *(reply_type const *)that->operand;                                       \
    } while (0)

/* Take the next request, which has to be of that type; wait for one. It is answered before the next
 * one is taken. */
#define vine_listen(type, lvalue)                                                                  \
    do {                                                                                           \
        static const struct vine__message_type vine__type = {#type, sizeof(type)};                 \
        vine__operation("vine_listen", vine__take_begin(that, &vine__type), vine__listen(that));   \
        (lvalue) = *(type const *)that->operand;                                                   \
    } while (0)

/* Answer it, with a value of the type that is awaited, or with an error, a negative number, which
 * is raised there. If who has asked does not wait any more, that is all the same here. */
#define vine_respond(type, value)                                                                  \
    do {                                                                                           \
        static const struct vine__message_type vine__type = {#type, sizeof(type)};                 \
        vine__do_at("vine_respond", vine__respond(that, &vine__type, &(type const[]){(value)}));   \
    } while (0)
#define vine_refuse(error_number) vine__do_at("vine_refuse", vine__refuse(that, (error_number)))

/* ---- what stands behind them; private -------------------------------------------------------- */

struct vine__message_type {
    const char *name;
    size_t size_bytes;
};

VINE_API void vine__future_init(struct vine_coroutine *that, struct vine_future *future);
VINE_API void vine__future_begin(struct vine_coroutine *that, struct vine_future *future);
VINE_API bool vine__future_await(struct vine_coroutine *that);
VINE_API void vine__future_set(struct vine_coroutine *that, struct vine_future *future, void *value,
                               int error);
VINE_API void vine__send(struct vine_coroutine *that, struct vine_coroutine *to,
                         const struct vine__message_type *type, const void *value);
VINE_API bool vine__sent(struct vine_coroutine *that);
VINE_API void vine__take_begin(struct vine_coroutine *that, const struct vine__message_type *type);
VINE_API bool vine__recv(struct vine_coroutine *that);
VINE_API void vine__request(struct vine_coroutine *that, struct vine_coroutine *to,
                            const struct vine__message_type *type, const void *value,
                            const struct vine__message_type *reply_type);
VINE_API bool vine__requested(struct vine_coroutine *that);
VINE_API bool vine__listen(struct vine_coroutine *that);
VINE_API void vine__respond(struct vine_coroutine *that, const struct vine__message_type *type,
                            const void *value);
VINE_API void vine__refuse(struct vine_coroutine *that, int error);

VINE_END_DECLARATIONS

#endif
