/* SPDX-License-Identifier: Apache-2.0 */
/* core/mail/inside.c - the operations of vine/mail.h as they run inside: what they write down for
 * those outside, and what they find when that is done. */

#include <string.h>

#include "core/heap/poison.h"
#include "core/mail/mail_internal.h"

/* A type is known by its name and size, to those outside as to others' heaps. FNV-1a, by Fowler,
 * Noll and Vo. */
VINE__INSIDE uint64_t vine__mail_type_id(const struct vine__message_type *type)
{
    uint64_t id = UINT64_C(0xcbf29ce484222325) ^ type->size_bytes;

    for (const char *at = type->name; *at != '\0'; at++)
        id = (id ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
    return id;
}

VINE__INSIDE static uint64_t place_of(const struct vine_coroutine *that, const void *object)
{
    return (uint64_t)((uintptr_t)object - (uintptr_t)that->inside);
}

/* A paper with room for so much; what an earlier operation wrote goes. NULL: why is raised. */
VINE__INSIDE static struct paper *write_down(struct vine_coroutine *that, size_t size_bytes,
                                             enum vine__ask_kind kind)
{
    struct paper *paper;

    vine__disown(that, that->scratch);
    that->scratch = paper = vine__own(that, sizeof(*paper) + size_bytes);
    that->operand_size = kind;
    that->operand_at = 0;
    if (paper == NULL)
        vine__raise(that, -ENOMEM);
    return paper;
}

VINE__INSIDE bool vine__mail_done(struct vine_coroutine *that)
{
    struct paper *const paper = that->scratch;

    if (that->error != 0)
        return true;
    if (that->operand_at++ == 0) {
        vine__ask(that, (enum vine__ask_kind)that->operand_size, 0, place_of(that, paper), NULL);
        return false;
    }
    switch (that->operand_size) {
    case VINE__ASK_MAIL_REQUEST:
        that->operand = paper->bytes;
        return true;
    case VINE__ASK_MAIL_FIND:
        that->operand = &paper->address;
        return true;
    default:
        that->result = paper->error;
        vine__disown(that, paper);
        that->scratch = NULL;
        return true;
    }
}

/* ---- mailboxes ------------------------------------------------------------------------------- */

/* A handle of one that is closed points to what the heap has given back. */
VINE__INSIDE VINE__HEAP_UNSEEN __attribute__((noinline)) static bool
is_own(const struct vine_coroutine *that, const struct vine_mailbox *mailbox)
{
    VINE__MEMCHECK_LOOK_BEGINS();

    const bool is = place_of(that, mailbox) <= that->inside->heap.size_bytes - sizeof(*mailbox) &&
                    mailbox->owner == that && mailbox->alive.key == mailbox->address.key;

    VINE__MEMCHECK_LOOK_ENDS();
    return is;
}

VINE__INSIDE static void check(const struct vine_coroutine *that,
                               const struct vine_mailbox *mailbox, const char *operation)
{
    if (!is_own(that, mailbox))
        vine__misuse(that, "%s of a mailbox that is not this coroutine's, or not open", operation);
}

VINE__INSIDE static void check_type(const struct vine_coroutine *that,
                                    const struct vine__message_type *is,
                                    const struct vine__message_type *wanted, const char *operation)
{
    if (is != wanted &&
        (is->size_bytes != wanted->size_bytes || strcmp(is->name, wanted->name) != 0))
        vine__misuse(that, "%s %s, and the mailbox is for %s", operation, is->name, wanted->name);
}

VINE__INSIDE void vine__mail_open(struct vine_coroutine *that,
                                  const struct vine__message_type *type,
                                  const struct vine__message_type *reply_type)
{
    struct vine_mailbox *const mailbox = vine__own(that, sizeof(*mailbox) + type->size_bytes);

    that->operand = mailbox;
    that->operand_at = 0;
    if (mailbox == NULL) {
        vine__raise(that, -ENOMEM);
        return;
    }
    mailbox->type = type;
    mailbox->type_id = vine__mail_type_id(type);
    mailbox->size_bytes = (uint32_t)type->size_bytes;
    if (reply_type != NULL) {
        mailbox->reply_type = reply_type;
        mailbox->reply_type_id = vine__mail_type_id(reply_type);
        mailbox->reply_bytes = (uint32_t)reply_type->size_bytes;
    }
    mailbox->owner = that;
    /* Before it is asked for: whatever ends the coroutine, the key is wrong then. */
    mailbox->closing = (struct vine__at_end){
        .count = &mailbox->alive.halves[0], .waiters = &mailbox->nobody, .is_early = true};
    vine__at_end_add(that, &mailbox->closing);
}

VINE__INSIDE bool vine__mail_opened(struct vine_coroutine *that)
{
    struct vine_mailbox *const mailbox = that->operand;
    struct vine__inside *const inside = that->inside;

    if (that->error != 0)
        return true;
    if (that->operand_at++ == 0) {
        vine__ask(that, VINE__ASK_MAIL_OPEN, 0, place_of(that, mailbox), NULL);
        return false;
    }
    inside->mailbox_count++;
    mailbox->counting = (struct vine__at_end){
        .count = &inside->mailbox_count, .waiters = &mailbox->nobody, .is_early = true};
    vine__at_end_add(that, &mailbox->counting);
    return true;
}

VINE__INSIDE void vine__mail_close(struct vine_coroutine *that, struct vine_mailbox *mailbox)
{
    check(that, mailbox, "vine_mail_close");
    vine__at_end_remove(that, &mailbox->closing);
    vine__at_end_remove(that, &mailbox->counting);
    that->inside->mailbox_count--;
    mailbox->alive.halves[0]--;
    vine__disown(that, mailbox);
}

VINE__INSIDE struct vine_mail_address vine__mail_address(const struct vine_coroutine *that,
                                                         const struct vine_mailbox *mailbox)
{
    check(that, mailbox, "vine_mail_address");
    return mailbox->address;
}

/* ---- names ----------------------------------------------------------------------------------- */

VINE__INSIDE static struct paper *write_name(struct vine_coroutine *that, const char *name,
                                             enum vine__ask_kind kind)
{
    struct paper *const paper = write_down(that, 0, kind);
    const size_t length = strnlen(name, VINE_MAIL_NAME_BYTES);

    if (paper == NULL)
        return NULL;
    if (length == 0)
        vine__misuse(that, "a mailbox has no empty name");
    if (length == VINE_MAIL_NAME_BYTES) {
        vine__raise(that, -ENAMETOOLONG);
        return NULL;
    }
    memcpy(paper->name, name, length);
    return paper;
}

VINE__INSIDE void vine__mail_publish(struct vine_coroutine *that,
                                     const struct vine_mailbox *mailbox, const char *name)
{
    check(that, mailbox, "vine_mail_publish");

    struct paper *const paper = write_name(that, name, VINE__ASK_MAIL_PUBLISH);

    if (paper != NULL)
        paper->box = mailbox->number;
}

VINE__INSIDE void vine__mail_find(struct vine_coroutine *that, const char *name)
{
    (void)write_name(that, name, VINE__ASK_MAIL_FIND);
}

/* ---- sending --------------------------------------------------------------------------------- */

VINE__INSIDE void vine__mail_send(struct vine_coroutine *that, struct vine_mail_address to,
                                  const struct vine__message_type *type, const void *value,
                                  bool is_offer)
{
    struct paper *const paper =
        write_down(that, type->size_bytes, is_offer ? VINE__ASK_MAIL_OFFER : VINE__ASK_MAIL_SEND);

    if (paper == NULL)
        return;
    paper->address = to;
    paper->type_id = vine__mail_type_id(type);
    paper->size_bytes = (uint32_t)type->size_bytes;
    memcpy(paper->bytes, value, type->size_bytes);
}

VINE__INSIDE void vine__mail_request(struct vine_coroutine *that, struct vine_mail_address to,
                                     const struct vine__message_type *type, const void *value,
                                     const struct vine__message_type *reply_type)
{
    const size_t room =
        type->size_bytes > reply_type->size_bytes ? type->size_bytes : reply_type->size_bytes;
    struct paper *const paper = write_down(that, room, VINE__ASK_MAIL_REQUEST);

    if (paper == NULL)
        return;
    paper->address = to;
    paper->type_id = vine__mail_type_id(type);
    paper->reply_type_id = vine__mail_type_id(reply_type);
    paper->size_bytes = (uint32_t)type->size_bytes;
    paper->reply_bytes = (uint32_t)reply_type->size_bytes;
    memcpy(paper->bytes, value, type->size_bytes);
}

VINE__INSIDE void vine__mail_respond(struct vine_coroutine *that, struct vine_mailbox *mailbox,
                                     const struct vine__message_type *type, const void *value,
                                     int error)
{
    const char *const operation = type != NULL ? "vine_mail_respond" : "vine_mail_refuse";

    check(that, mailbox, operation);
    if (!mailbox->is_answering)
        vine__misuse(that, "%s without a request", operation);
    if (type != NULL)
        check_type(that, type, mailbox->reply_type, operation);
    else if (error >= 0)
        vine__misuse(that, "what is refused with is a negative number");

    const uint32_t size_bytes = type != NULL ? mailbox->reply_bytes : 0;
    struct paper *const paper = write_down(that, size_bytes, VINE__ASK_MAIL_RESPOND);

    if (paper == NULL)
        return;
    mailbox->is_answering = false;
    paper->box = mailbox->number;
    paper->size_bytes = size_bytes;
    paper->error = error;
    if (type != NULL)
        memcpy(paper->bytes, value, size_bytes);
}

/* ---- taking ---------------------------------------------------------------------------------- */

VINE__INSIDE void vine__mail_take(struct vine_coroutine *that, struct vine_mailbox *mailbox,
                                  const struct vine__message_type *type, bool is_request)
{
    const char *const operation = is_request ? "vine_mail_listen" : "vine_mail_recv";

    check(that, mailbox, operation);
    check_type(that, type, mailbox->type, operation);
    if (is_request != (mailbox->reply_type != NULL))
        vine__misuse(that, "%s of a mailbox for %s", operation,
                     is_request ? "messages" : "requests");
    if (mailbox->is_answering)
        vine__misuse(that, "vine_mail_listen before the request before is answered");
    that->on = NULL;
    that->operand = mailbox;
}

VINE__INSIDE bool vine__mail_taken(struct vine_coroutine *that)
{
    struct vine_mailbox *const mailbox = that->operand;

    if (mailbox->is_full) {
        mailbox->is_full = false;
        mailbox->is_answering = mailbox->reply_type != NULL;
        that->operand = mailbox->bytes;
        return true;
    }
    mailbox->reader = that;
    that->waits = &mailbox->reader;
    if (mailbox->is_asked) {
        vine__block(that);
    } else {
        mailbox->is_asked = true;
        vine__ask(that, VINE__ASK_MAIL_TAKE, 0, mailbox->number, &mailbox->is_asked);
    }
    return false;
}

VINE__INSIDE void vine__mail_came(struct vine__inside *inside, const struct vine__item *item)
{
    struct vine_mailbox *const mailbox = (void *)((unsigned char *)inside + item->place);

    mailbox->is_asked = false;
    mailbox->is_full = true;
    if (mailbox->reader != NULL)
        vine__wake(mailbox->reader, 0);
}
