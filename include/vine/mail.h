/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/mail.h - messages and requests between micro-processes of one service process, on the same
 * core or on another one.
 *
 * Owns:     a mailbox is the coroutine's that opened it, and closes when that one ends; messages
 *           are nobody's heap's until they are taken.
 * Threads:  coroutines; a mailbox is taken from by its coroutine alone, and sent to by all; outside
 *           of coroutines by who is on its core.
 * Blocking: the coroutine alone, and until its deadline (vine_deadline) at the latest.
 * Trust:    the other micro-process is another connection's: that a message has the mailbox's type
 *           and size is checked, what its bytes say is not. An address cannot be guessed; who was
 *           given it may send, and pass it on.
 * Limits:   VINE_MAIL_BOXES_MAX mailboxes of a micro-process, of VINE_MAIL_WAITING_MAX messages
 *           that nobody has taken, of VINE_MAIL_BYTES_MAX bytes each; 64 MiB of them on a core.
 *           On their way to other cores are 64 of a micro-process, and 256 from one core to each
 *           other one: whoever sends more waits in turn.
 *
 * The operations are those of vine/future.h, with addresses for coroutines:
 *
 *     vine_mail_open(self->box, struct line);
 *     self->me = vine_mail_address(self->box);
 *     ...
 *     vine_mail_recv(self->box, struct line, self->line);
 *
 * and in another micro-process
 *
 *     vine_mail_send(self->to, struct line, self->line);
 *
 * A mailbox has one type, and its name and size are the message's, too, or -EPROTOTYPE is raised
 * where it is sent. Bytes are copied out of the one heap and into the other: a pointer in a message
 * means nothing there.
 *
 * Who sends to a full mailbox waits. When the mailbox closes, whatever ended its coroutine, those
 * who wait for room or for an answer get -EPIPE, and so do all who come later. What a sender was
 * told is sent (its operation has ended) stays sent when the sender ends.
 *
 * Caveats:  after -ETIMEDOUT or a cancellation a message is taken back, unless it is on another
 *           core and was put into the mailbox in that moment: then it is delivered all the same.
 *           Two that send each other requests at the same time wait for each other: a deadline
 *           ends that.
 */
#ifndef VINE_MAIL_H
#define VINE_MAIL_H

#include <errno.h>

#include <vine/future.h>
#include <vine/state.h>

VINE_BEGIN_DECLARATIONS

#define VINE_MAIL_BYTES_MAX   4096
#define VINE_MAIL_WAITING_MAX 16
#define VINE_MAIL_BOXES_MAX   4
#define VINE_MAIL_NAME_BYTES  32 /* with the zero behind it */
#define VINE_MAIL_NAMES_MAX   64

struct vine_mailbox;

/* May be copied and sent. All zero: nobody's. The fields are private. */
struct vine_mail_address {
    uint64_t place, key;
};

static inline bool vine_mail_is_same(struct vine_mail_address one, struct vine_mail_address other)
{
    return one.place == other.place && one.key == other.key;
}

/* ---- mailboxes ------------------------------------------------------------------------------- */

/* Open one for messages of `type`, of at most VINE_MAIL_BYTES_MAX bytes; `ret_mailbox`, a struct
 * vine_mailbox *, is this coroutine's alone. Raises -ENOSPC: the micro-process has as many as it
 * may; -ENOMEM. While one is open the micro-process cannot park (vine_park). */
#define vine_mail_open(ret_mailbox, type)                                                          \
    do {                                                                                           \
        vine__mail_type(vine__type, type);                                                         \
        vine__operation("vine_mail_open", vine__mail_open(that, &vine__type, NULL),                \
                        vine__mail_opened(that));                                                  \
        (ret_mailbox) = that->operand;                                                             \
    } while (0)

/* The same for requests, which are answered by a `reply_type`. */
#define vine_mail_open_requests(ret_mailbox, type, reply_type)                                     \
    do {                                                                                           \
        vine__mail_type(vine__type, type);                                                         \
        vine__mail_type(vine__reply, reply_type);                                                  \
        vine__operation("vine_mail_open_requests",                                                 \
                        vine__mail_open(that, &vine__type, &vine__reply),                          \
                        vine__mail_opened(that));                                                  \
        (ret_mailbox) = that->operand;                                                             \
    } while (0)

/* Close it before its coroutine ends. What is in it is lost. */
#define vine_mail_close(mailbox) vine__do_at("vine_mail_close", vine__mail_close(that, (mailbox)))

/* Where to send to it. */
#define vine_mail_address(mailbox) vine__mail_address(that, (mailbox))

/* Have it known by a name, to all of this service process, while it is open. Raises -EEXIST;
 * -ENOSPC: there are VINE_MAIL_NAMES_MAX names; -ENAMETOOLONG. */
#define vine_mail_publish(mailbox, name)                                                           \
    vine__operation("vine_mail_publish", vine__mail_publish(that, (mailbox), (name)),              \
                    vine__mail_done(that))

/* Who has that name. Raises -ENOENT: nobody; -ENAMETOOLONG. */
#define vine_mail_find(name, address_lvalue)                                                       \
    do {                                                                                           \
        vine__operation("vine_mail_find", vine__mail_find(that, (name)), vine__mail_done(that));   \
        (address_lvalue) = *(const struct vine_mail_address *)that->operand;                       \
    } while (0)

/* ---- messages -------------------------------------------------------------------------------- */

/* Send `value`, of type `type`. Blocks while the mailbox is full. Raises -EPIPE: nobody is there,
 * or not any more; -EPROTOTYPE: that mailbox is for something else; -EDEADLK: it is the sender's
 * own, and full; -ENOMEM. */
#define vine_mail_send(address, type, value)                                                       \
    do {                                                                                           \
        vine__mail_type(vine__type, type);                                                         \
        vine__operation(                                                                           \
            "vine_mail_send",                                                                      \
            vine__mail_send(that, (address), &vine__type, &(type const[]){(value)}, false),        \
            vine__mail_done(that));                                                                \
    } while (0)

/* The same for who does not wait for room, and goes on whatever becomes of the other one:
 * `result_lvalue` is 0; -EAGAIN: it is full; or what vine_mail_send would raise. */
#define vine_mail_offer(result_lvalue, address, type, value)                                       \
    do {                                                                                           \
        vine__mail_type(vine__type, type);                                                         \
        vine__operation(                                                                           \
            "vine_mail_offer",                                                                     \
            vine__mail_send(that, (address), &vine__type, &(type const[]){(value)}, true),         \
            vine__mail_done(that));                                                                \
        (result_lvalue) = (int)that->result;                                                       \
    } while (0)

/* Take the first message out of a mailbox of this coroutine; wait for one. */
#define vine_mail_recv(mailbox, type, lvalue)                                                      \
    do {                                                                                           \
        vine__mail_type(vine__type, type);                                                         \
        vine__operation("vine_mail_recv", vine__mail_take(that, (mailbox), &vine__type, false),    \
                        vine__mail_taken(that));                                                   \
        (lvalue) = *(type const *)that->operand;                                                   \
    } while (0)

/* ---- to many --------------------------------------------------------------------------------- */

/* Those who are told the same: a field of a coroutine's state, and nobody at first. */
#define VINE_MAIL_GROUP(members_max)                                                               \
    struct {                                                                                       \
        uint32_t count, at;                                                                        \
        int result;                                                                                \
        struct vine_mail_member members[members_max];                                              \
    }

struct vine_mail_member {
    struct vine_mail_address address;
    uint32_t missed; /* messages for which it has had no room since the last one that it got */
};

/* Take somebody into it. Whether there was room. */
#define vine_mail_group_add(group_pointer, address)                                                \
    vine__mail_group_add((group_pointer)->members,                                                 \
                         sizeof((group_pointer)->members) / sizeof((group_pointer)->members[0]),   \
                         &(group_pointer)->count, (address))

/* Offer `message_lvalue`, of type `type`, to all of them but `except`, or nobody (all zero). Its
 * field `missed_field` becomes for each how many it has missed before this one. Who is gone, or
 * takes something else, is of the group no more. */
#define vine_mail_offer_all(group_pointer, except, type, message_lvalue, missed_field)             \
    for ((group_pointer)->at = (group_pointer)->count; (group_pointer)->at-- > 0;) {               \
        if (vine_mail_is_same((group_pointer)->members[(group_pointer)->at].address, (except)))    \
            continue;                                                                              \
        (message_lvalue).missed_field = (group_pointer)->members[(group_pointer)->at].missed;      \
        vine_mail_offer((group_pointer)->result,                                                   \
                        (group_pointer)->members[(group_pointer)->at].address, type,               \
                        message_lvalue);                                                           \
        vine__mail_group_told((group_pointer)->members, (group_pointer)->at,                       \
                              &(group_pointer)->count, (group_pointer)->result);                   \
    }

/* ---- requests -------------------------------------------------------------------------------- */

/* Ask, and wait for the answer. Raises what vine_mail_send does, and what is refused with. */
#define vine_mail_request(address, type, value, reply_type, reply_lvalue)                          \
    do {                                                                                           \
        vine__mail_type(vine__type, type);                                                         \
        vine__mail_type(vine__reply, reply_type);                                                  \
        vine__operation("vine_mail_request",                                                       \
                        vine__mail_request(that, (address), &vine__type, &(type const[]){(value)}, \
                                           &vine__reply),                                          \
                        vine__mail_done(that));                                                    \
        (reply_lvalue) = *(reply_type const *)that->operand;                                       \
    } while (0)

/* Take the next request; wait for one. It is answered before the next one is taken. */
#define vine_mail_listen(mailbox, type, lvalue)                                                    \
    do {                                                                                           \
        vine__mail_type(vine__type, type);                                                         \
        vine__operation("vine_mail_listen", vine__mail_take(that, (mailbox), &vine__type, true),   \
                        vine__mail_taken(that));                                                   \
        (lvalue) = *(type const *)that->operand;                                                   \
    } while (0)

/* Answer it, or refuse it with an error, a negative number, which is raised there. If who has asked
 * does not wait any more, that is all the same here. */
#define vine_mail_respond(mailbox, type, value)                                                    \
    do {                                                                                           \
        vine__mail_type(vine__type, type);                                                         \
        vine__operation(                                                                           \
            "vine_mail_respond",                                                                   \
            vine__mail_respond(that, (mailbox), &vine__type, &(type const[]){(value)}, 0),         \
            vine__mail_done(that));                                                                \
    } while (0)
#define vine_mail_refuse(mailbox, error_number)                                                    \
    vine__operation("vine_mail_refuse",                                                            \
                    vine__mail_respond(that, (mailbox), NULL, NULL, (error_number)),               \
                    vine__mail_done(that))

/* ---- from outside ---------------------------------------------------------------------------- */

/*
 * For functions outside (vine/outside.h), timers, and what else a core runs that is no coroutine:
 * offer a message to a mailbox of this core, whose address a coroutine has given. An expression.
 *
 * Is 0; -EAGAIN: it is full; -EPIPE: it is closed, or another core's; -EPROTOTYPE; -ENOMEM.
 */
#define vine_mail_tell(address, type, value)                                                       \
    __extension__({                                                                                \
        vine__mail_type(vine__type, type);                                                         \
        vine__mail_tell((address), &vine__type, &(type const[]){(value)});                         \
    })

/* ---- what stands behind them; private -------------------------------------------------------- */

#define vine__mail_type(name, type)                                                                \
    _Static_assert(sizeof(type) <= VINE_MAIL_BYTES_MAX, "a message is small: " #type);             \
    static const struct vine__message_type name = {#type, sizeof(type)}

VINE_SERVICE_CODE static inline bool vine__mail_group_add(struct vine_mail_member *members,
                                                          size_t members_max, uint32_t *count,
                                                          struct vine_mail_address address)
{
    const struct vine_mail_member member = {address, 0};

    if (*count >= members_max)
        return false;
    members[(*count)++] = member;
    return true;
}

/* Members are gone through from the last one on: the one that takes a place was told already. */
VINE_SERVICE_CODE static inline void vine__mail_group_told(struct vine_mail_member *members,
                                                           uint32_t at, uint32_t *count, int result)
{
    if (result == -EAGAIN)
        members[at].missed++;
    else if (result == 0)
        members[at].missed = 0;
    else
        members[at] = members[--*count];
}

VINE_API void vine__mail_open(struct vine_coroutine *that, const struct vine__message_type *type,
                              const struct vine__message_type *reply_type);
VINE_API bool vine__mail_opened(struct vine_coroutine *that);
VINE_API void vine__mail_close(struct vine_coroutine *that, struct vine_mailbox *mailbox);
VINE_API struct vine_mail_address vine__mail_address(const struct vine_coroutine *that,
                                                     const struct vine_mailbox *mailbox);
VINE_API void vine__mail_publish(struct vine_coroutine *that, const struct vine_mailbox *mailbox,
                                 const char *name);
VINE_API void vine__mail_find(struct vine_coroutine *that, const char *name);
VINE_API void vine__mail_send(struct vine_coroutine *that, struct vine_mail_address to,
                              const struct vine__message_type *type, const void *value,
                              bool is_offer);
VINE_API void vine__mail_request(struct vine_coroutine *that, struct vine_mail_address to,
                                 const struct vine__message_type *type, const void *value,
                                 const struct vine__message_type *reply_type);
VINE_API VINE_MUST_CHECK int vine__mail_tell(struct vine_mail_address address,
                                             const struct vine__message_type *type,
                                             const void *value);
VINE_API bool vine__mail_done(struct vine_coroutine *that);
VINE_API void vine__mail_take(struct vine_coroutine *that, struct vine_mailbox *mailbox,
                              const struct vine__message_type *type, bool is_request);
VINE_API bool vine__mail_taken(struct vine_coroutine *that);
VINE_API void vine__mail_respond(struct vine_coroutine *that, struct vine_mailbox *mailbox,
                                 const struct vine__message_type *type, const void *value,
                                 int error);

VINE_END_DECLARATIONS

#endif
