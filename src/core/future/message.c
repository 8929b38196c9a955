/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/future/message.c - messages and requests between coroutines of one heap, inside.
 *
 * A message is the sender's until there is room for it, then its receiver's. A request stays with
 * who asks, who waits in one of two queues of the one that is asked: to be heard, then to be
 * answered; whoever does not wait any more has left it.
 */

#include <string.h>

#include <vine/future.h>

#include "core/state/state.h"

struct vine__message {
    struct vine__message *next; /* in a mailbox */
    const struct vine__message_type *type;
    const struct vine__message_type *reply_type; /* of a request */
    bool is_answered;
    _Alignas(16) unsigned char bytes[];
};

/* Who waits in the first three does so for its owner, and is told of that one's end. */
enum queue { SENDERS, ASKING, ASKED, OTHERS_COUNT, RECEIVING = OTHERS_COUNT, LISTENING, QUEUES };

struct vine__mailbox {
    struct vine__message *first, *last;
    uint32_t count;
    bool is_answering; /* a request was taken, and not answered */
    struct vine__waiters queues[QUEUES];
    struct vine__at_end at_ends[OTHERS_COUNT];
};

/* Returns NULL: -ENOMEM is raised in `that`. */
VINE__INSIDE static struct vine__mailbox *mailbox_of(struct vine_coroutine *that,
                                                     struct vine_coroutine *owner)
{
    struct vine__mailbox *const mailbox =
        owner->mailbox != NULL ? owner->mailbox : vine__own(owner, sizeof(*mailbox));

    if (mailbox == NULL) {
        vine__raise(that, -ENOMEM);
        return NULL;
    }
    if (owner->mailbox == NULL) {
        owner->mailbox = mailbox;
        for (int i = 0; i < OTHERS_COUNT; i++) {
            mailbox->at_ends[i] = (struct vine__at_end){
                .waiters = &mailbox->queues[i], .error = -EPIPE, .is_early = true};
            vine__at_end_add(owner, &mailbox->at_ends[i]);
        }
    }
    return mailbox;
}

/* What is left of an operation before. */
VINE__INSIDE static void drop(struct vine_coroutine *that)
{
    vine__disown(that, that->message);
    that->message = NULL;
}

/* A message of `that`, which is in `that->message` then, and the mailbox that it is for; or NULL,
 * and why is raised. */
VINE__INSIDE static struct vine__mailbox *prepare(struct vine_coroutine *that,
                                                  struct vine_coroutine *to, const char *operation,
                                                  const struct vine__message_type *type,
                                                  const struct vine__message_type *reply_type)
{
    size_t size_bytes = type->size_bytes;

    drop(that);
    if (!vine__is_there(that, to, operation)) {
        vine__raise(that, -EPIPE);
        return NULL;
    }

    struct vine__mailbox *const mailbox = mailbox_of(that, to);

    if (mailbox == NULL)
        return NULL;
    if (reply_type != NULL && reply_type->size_bytes > size_bytes)
        size_bytes = reply_type->size_bytes;
    that->message = vine__own(that, sizeof(*that->message) + size_bytes);
    if (that->message == NULL) {
        vine__raise(that, -ENOMEM);
        return NULL;
    }
    that->message->type = type;
    that->message->reply_type = reply_type;
    return mailbox;
}

VINE__INSIDE static void check(const struct vine_coroutine *that,
                               const struct vine__message_type *wanted,
                               const struct vine__message_type *there, const char *what,
                               const char *is)
{
    if (wanted != there &&
        (wanted->size_bytes != there->size_bytes || strcmp(wanted->name, there->name) != 0))
        vine__misuse(that, "%s %s, and %s %s", what, wanted->name, there->name, is);
}

/* ---- messages -------------------------------------------------------------------------------- */

/* The message of `from` is its receiver's now. */
VINE__INSIDE static void put(struct vine__mailbox *mailbox, struct vine_coroutine *from,
                             struct vine_coroutine *to)
{
    struct vine__message *const message = from->message;

    from->message = NULL;
    vine__pass(from, to, message);
    message->next = NULL;
    if (mailbox->first != NULL)
        mailbox->last->next = message;
    else
        mailbox->first = message;
    mailbox->last = message;
    mailbox->count++;
}

VINE__INSIDE void vine__send(struct vine_coroutine *that, struct vine_coroutine *to,
                             const struct vine__message_type *type, const void *value)
{
    struct vine__mailbox *const mailbox = prepare(that, to, "vine_send", type, NULL);

    if (mailbox == NULL)
        return;
    memcpy(that->message->bytes, value, type->size_bytes);
    that->operand = mailbox;
    if (mailbox->count < VINE_MAILBOX_MAX) {
        put(mailbox, that, to);
        vine__wake_first(&mailbox->queues[RECEIVING], 0);
    } else if (to == that) {
        vine__raise(that, -EDEADLK);
    }
}

VINE__INSIDE bool vine__sent(struct vine_coroutine *that)
{
    struct vine__mailbox *const mailbox = that->operand;

    if (that->message == NULL || that->error != 0)
        return true;
    vine__wait(that, &mailbox->queues[SENDERS]);
    return false;
}

VINE__INSIDE void vine__take_begin(struct vine_coroutine *that,
                                   const struct vine__message_type *type)
{
    drop(that);
    that->operand = (void *)(uintptr_t)type;
    (void)mailbox_of(that, that);
}

VINE__INSIDE bool vine__recv(struct vine_coroutine *that)
{
    struct vine__mailbox *const mailbox = that->mailbox;

    if (that->error != 0)
        return true;
    if (mailbox->first == NULL) {
        vine__wait(that, &mailbox->queues[RECEIVING]);
        return false;
    }

    struct vine__message *const message = mailbox->first;
    struct vine_coroutine *const sender = mailbox->queues[SENDERS].first;

    mailbox->first = message->next;
    mailbox->count--;
    that->message = message;
    if (sender != NULL) {
        put(mailbox, sender, that);
        vine__wake(sender, 0);
    }
    check(that, that->operand, message->type, "vine_recv of", "was sent");
    that->operand = message->bytes;
    return true;
}

/* ---- requests -------------------------------------------------------------------------------- */

VINE__INSIDE void vine__request(struct vine_coroutine *that, struct vine_coroutine *to,
                                const struct vine__message_type *type, const void *value,
                                const struct vine__message_type *reply_type)
{
    struct vine__mailbox *const mailbox = prepare(that, to, "vine_request", type, reply_type);

    if (mailbox == NULL)
        return;
    if (to == that) {
        vine__raise(that, -EDEADLK);
        return;
    }
    memcpy(that->message->bytes, value, type->size_bytes);
    that->operand = mailbox;
}

VINE__INSIDE bool vine__requested(struct vine_coroutine *that)
{
    struct vine__mailbox *const mailbox = that->operand;

    if (that->error != 0)
        return true;
    if (that->message->is_answered) {
        that->operand = that->message->bytes;
        return true;
    }
    vine__wait(that, &mailbox->queues[ASKING]);
    vine__wake_first(&mailbox->queues[LISTENING], 0);
    return false;
}

VINE__INSIDE bool vine__listen(struct vine_coroutine *that)
{
    struct vine__mailbox *const mailbox = that->mailbox;
    struct vine_coroutine *asker;

    if (that->error != 0)
        return true;
    if (mailbox->is_answering)
        vine__misuse(that, "vine_listen before the request before is answered");
    asker = mailbox->queues[ASKING].first;
    if (asker == NULL) {
        vine__wait(that, &mailbox->queues[LISTENING]);
        return false;
    }
    check(that, that->operand, asker->message->type, "vine_listen for", "is asked with");
    vine__wait_there(asker, &mailbox->queues[ASKED]);
    mailbox->is_answering = true;
    that->operand = asker->message->bytes;
    return true;
}

/* Who awaits the answer, or NULL: it does not any more. */
VINE__INSIDE static struct vine_coroutine *asker_of(struct vine_coroutine *that,
                                                    const char *operation)
{
    struct vine__mailbox *const mailbox = that->mailbox;

    if (mailbox == NULL || !mailbox->is_answering)
        vine__misuse(that, "%s without a request", operation);
    mailbox->is_answering = false;
    return mailbox->queues[ASKED].first;
}

VINE__INSIDE void vine__respond(struct vine_coroutine *that, const struct vine__message_type *type,
                                const void *value)
{
    struct vine_coroutine *const asker = asker_of(that, "vine_respond");

    if (asker == NULL)
        return;
    check(that, type, asker->message->reply_type, "vine_respond with", "is awaited");
    memcpy(asker->message->bytes, value, type->size_bytes);
    asker->message->is_answered = true;
    vine__wake(asker, 0);
}

VINE__INSIDE void vine__refuse(struct vine_coroutine *that, int error)
{
    struct vine_coroutine *const asker = asker_of(that, "vine_refuse");

    if (error >= 0)
        vine__misuse(that, "what is refused with is a negative number");
    if (asker == NULL)
        return;
    asker->error = error;
    vine__wake(asker, 0);
}
