/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/mail/operation.c - what coroutines ask for of mail, begun outside.
 *
 * A coroutine that waits may be woken by something else: its deadline, a cancellation, its end. The
 * inside says so to nobody. But it is seen after a run, as that coroutine does not wait by that
 * number any more; then the operation is nobody's, and what it sent is taken back.
 */

#include <errno.h>
#include <string.h>

#include "arch/guard/closed.h"
#include "core/heap/poison.h"
#include "core/mail/mail_internal.h"

/* ---- the heap, which is not to be believed --------------------------------------------------- */

/* Of memory that the heap may have given to somebody else by now; or 0, outside of it. */
VINE__HEAP_UNSEEN __attribute__((noinline)) static uint64_t word_at(const struct vine__mail *mail,
                                                                    uint64_t place)
{
    const unsigned char *const at = bytes_at(mail, place, sizeof(uint64_t));
    uint64_t word = 0;

    VINE__MEMCHECK_LOOK_BEGINS();
    if (at != NULL && place % sizeof(uint64_t) == 0)
        word = *(const uint64_t *)(const void *)at;
    VINE__MEMCHECK_LOOK_ENDS();
    return word;
}

/* ---- beginning and end ----------------------------------------------------------------------- */

struct vine__mail *vine__mail_create(const struct vine__heap *heap, vine__mail_wake_fn wake,
                                     void *context)
{
    struct vine__mail *const mail = vine__closed_alloc(sizeof(*mail));

    if (mail == NULL || vine__office_here() == NULL) {
        vine__closed_free(mail);
        return NULL;
    }
    mail->heap = heap;
    mail->wake = wake;
    mail->context = context;
    vine__list_init(&mail->operations);
    return mail;
}

void vine__mail_destroy(struct vine__mail *mail)
{
    if (mail == NULL)
        return;
    mail->heap = NULL;
    mail->on_way++; /* this call */
    while (!vine__list_is_empty(&mail->operations))
        vine__operation_forget(
            VINE_LIST_OBJECT(vine__list_first(&mail->operations), struct operation, link));
    for (uint32_t i = 0; i < VINE_MAIL_BOXES_MAX; i++)
        if (mail->boxes[i] != NULL)
            vine__box_close(mail->boxes[i]);
    if (--mail->on_way == 0)
        vine__closed_free(mail);
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* What it does to itself, or 0. */
static int look_at_own(const struct operation *operation)
{
    const struct box *const box = vine__box_find(operation->address);

    if (box == NULL || box->mail != operation->mail || box->owner != operation->place ||
        operation->kind == VINE__ASK_MAIL_OFFER)
        return 0;
    return operation->kind == VINE__ASK_MAIL_REQUEST || box->count == VINE_MAIL_WAITING_MAX
               ? -EDEADLK
               : 0;
}

/* It goes to its mailbox. Its bytes are copied out of the heap here. */
static int post(struct operation *operation, const struct paper *paper)
{
    const uint32_t room =
        paper->size_bytes > paper->reply_bytes ? paper->size_bytes : paper->reply_bytes;
    const uint64_t core = paper->address.place >> 32;
    struct letter *letter;
    int error;

    operation->address = paper->address;
    error = core < vine_core_count() ? look_at_own(operation) : -EPIPE;
    if (error != 0)
        return error;
    letter = vine__closed_alloc_raw(sizeof(*letter) + room);
    if (letter == NULL)
        return -ENOMEM;
    *letter = (struct letter){
        .address = paper->address,
        .type_id = paper->type_id,
        .reply_type_id = paper->reply_type_id,
        .size_bytes = paper->size_bytes,
        .reply_bytes = paper->reply_bytes,
        .origin = vine_core(),
        .number = operation->number,
        .key = operation->key,
        .is_request = operation->kind == VINE__ASK_MAIL_REQUEST,
        .is_offer = operation->kind == VINE__ASK_MAIL_OFFER,
    };
    /* That it lies in the heap was looked at. */
    (void)copy(operation->mail, letter->bytes, operation->paper + offsetof(struct paper, bytes),
               paper->size_bytes);
    if (core == vine_core())
        return (int)vine__letter_arrive(letter);
    vine__operation_go(operation, letter);
    return ARRIVED_WAITING;
}

static struct box *box_of(const struct vine__mail *mail, uint64_t number)
{
    return number < VINE_MAIL_BOXES_MAX ? mail->boxes[number] : NULL;
}

static int answer(struct vine__mail *mail, const struct paper *paper, uint64_t place)
{
    struct box *const box = box_of(mail, paper->box);
    unsigned char bytes[VINE_MAIL_BYTES_MAX];

    if (box == NULL || !box->is_answering || paper->error > 0 ||
        (paper->error == 0 && paper->size_bytes != box->reply_bytes))
        return -VINE_ECORRUPT;
    if (paper->error == 0)
        (void)copy(mail, bytes, place + offsetof(struct paper, bytes), paper->size_bytes);
    vine__box_answer(box, bytes, paper->error);
    return 0;
}

static int publish(struct operation *operation, const struct paper *paper)
{
    struct box *const box = box_of(operation->mail, paper->box);

    if (box == NULL)
        return -VINE_ECORRUPT;
    operation->address = box->address;
    vine__operation_go(operation, NULL);
    return ARRIVED_WAITING;
}

/* A paper of the coroutine at `place`. */
static int begin(struct vine__mail *mail, const struct vine__ask *ask, uint32_t place)
{
    struct operation *operation = NULL;
    struct paper paper;
    int result;
    int error;

    if (!copy(mail, &paper, ask->a, sizeof(paper)) || paper.size_bytes > VINE_MAIL_BYTES_MAX ||
        paper.reply_bytes > VINE_MAIL_BYTES_MAX || paper.name[sizeof(paper.name) - 1] != '\0' ||
        bytes_at(mail, ask->a,
                 sizeof(paper) + (paper.size_bytes > paper.reply_bytes ? paper.size_bytes
                                                                       : paper.reply_bytes)) ==
            NULL)
        return -VINE_ECORRUPT;
    error = vine__operation_create(mail, ask, place, &paper, &operation);
    if (error != 0)
        return error;
    memcpy(operation->name, paper.name, sizeof(operation->name));
    switch (ask->kind) {
    case VINE__ASK_MAIL_SEND:
    case VINE__ASK_MAIL_OFFER:
    case VINE__ASK_MAIL_REQUEST:
        result = post(operation, &paper);
        break;
    case VINE__ASK_MAIL_RESPOND:
        result = answer(mail, &paper, ask->a);
        break;
    case VINE__ASK_MAIL_PUBLISH:
        result = publish(operation, &paper);
        break;
    default:
        vine__operation_go(operation, NULL);
        result = ARRIVED_WAITING;
        break;
    }
    if (result == -VINE_ECORRUPT)
        return result;
    if (result != ARRIVED_WAITING)
        vine__operation_done(operation, result);
    return 0;
}

/* A mailbox at `ask->a`. Its number, its address and its key are written into it. */
static int open(struct vine__mail *mail, const struct vine__ask *ask, uint32_t place)
{
    struct operation *operation = NULL;
    struct vine_mailbox inside;
    struct box *box = NULL;
    uint32_t number = 0;
    int error;

    if (ask->a % _Alignof(struct vine_mailbox) != 0 ||
        !copy(mail, &inside, ask->a, sizeof(inside)) || inside.size_bytes > VINE_MAIL_BYTES_MAX ||
        inside.reply_bytes > VINE_MAIL_BYTES_MAX ||
        bytes_at(mail, ask->a, sizeof(inside) + inside.size_bytes) == NULL)
        return -VINE_ECORRUPT;
    error = vine__operation_create(mail, ask, place, NULL, &operation);
    if (error != 0)
        return error;
    while (number < VINE_MAIL_BOXES_MAX && mail->boxes[number] != NULL)
        number++;
    if (number == VINE_MAIL_BOXES_MAX)
        error = -ENOSPC;
    else
        box = vine__box_create(mail, &error);
    vine__operation_done(operation, error);
    if (box == NULL)
        return 0;
    mail->boxes[number] = box;
    box->place = (uint32_t)ask->a;
    box->owner = place;
    box->type_id = inside.type_id;
    box->size_bytes = inside.size_bytes;
    box->is_for_requests = inside.reply_type != NULL;
    box->reply_type_id = inside.reply_type_id;
    box->reply_bytes = inside.reply_bytes;

    struct vine_mailbox *const there = (void *)bytes_at(mail, ask->a, sizeof(*there));

    there->alive.key = box->address.key;
    there->address = box->address;
    there->number = number;
    return 0;
}

static int want(struct vine__mail *mail, uint64_t number)
{
    struct box *const box = box_of(mail, number);

    if (box == NULL || box->is_wanted || box->is_answering)
        return -VINE_ECORRUPT;
    box->is_wanted = true;
    if (vine__box_first(box) != NULL)
        mail->wake(mail->context);
    return 0;
}

/* Mailboxes that close before others open have given back their numbers. */
static void look_at_boxes(struct vine__mail *mail)
{
    for (uint32_t i = 0; i < VINE_MAIL_BOXES_MAX; i++) {
        struct box *const box = mail->boxes[i];

        if (box == NULL ||
            word_at(mail, box->place + offsetof(struct vine_mailbox, alive)) == box->address.key)
            continue;
        mail->boxes[i] = NULL;
        vine__box_close(box);
    }
}

int vine__mail_ask(struct vine__mail *mail, const struct vine__ask *ask, uint32_t place)
{
    /* One that asks anew does not wait for what it asked before. */
    VINE_LIST_FOR_EACH(node, &mail->operations)
    {
        struct operation *const operation = VINE_LIST_OBJECT(node, struct operation, link);

        if (operation->place == place)
            vine__operation_forget(operation);
    }
    switch (ask->kind) {
    case VINE__ASK_MAIL_OPEN:
        look_at_boxes(mail);
        return open(mail, ask, place);
    case VINE__ASK_MAIL_TAKE:
        return want(mail, ask->a);
    case VINE__ASK_MAIL_SEND:
    case VINE__ASK_MAIL_OFFER:
    case VINE__ASK_MAIL_REQUEST:
    case VINE__ASK_MAIL_RESPOND:
    case VINE__ASK_MAIL_PUBLISH:
    case VINE__ASK_MAIL_FIND:
        return begin(mail, ask, place);
    default:
        return -VINE_ECORRUPT;
    }
}

VINE__HEAP_UNSEEN __attribute__((noinline)) static bool
is_awaited(const struct vine__mail *mail, const struct operation *operation)
{
    const struct vine__ask *const ask = (const void *)bytes_at(
        mail, operation->place + offsetof(struct vine_coroutine, ask), sizeof(*ask));

    VINE__MEMCHECK_LOOK_BEGINS();

    const bool is = ask != NULL && ask->number == operation->asked && ask->kind == operation->kind;

    VINE__MEMCHECK_LOOK_ENDS();
    return is;
}

void vine__mail_look(struct vine__mail *mail)
{
    VINE_LIST_FOR_EACH(node, &mail->operations)
    {
        struct operation *const operation = VINE_LIST_OBJECT(node, struct operation, link);

        if (!is_awaited(mail, operation))
            vine__operation_forget(operation);
    }
    look_at_boxes(mail);
}
