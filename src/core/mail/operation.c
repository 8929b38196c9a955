/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/mail/operation.c - what coroutines ask for of mail, begun outside; and its ends, brought in.
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

/* Where so many bytes at `place` are, or NULL: not in the heap. */
static unsigned char *bytes_at(const struct vine__mail *mail, uint64_t place, uint64_t size_bytes)
{
    const uint64_t all = mail->heap->region.size_bytes;

    if (size_bytes > all || place > all - size_bytes)
        return NULL;
    return mail->heap->region.start + place;
}

static bool copy(const struct vine__mail *mail, void *to, uint64_t place, size_t size_bytes)
{
    const unsigned char *const from = bytes_at(mail, place, size_bytes);

    if (from != NULL)
        memcpy(to, from, size_bytes);
    return from != NULL;
}

/* Of memory that the heap may have given to somebody else by now; or 0, outside of it. */
VINE__HEAP_UNSEEN __attribute__((noinline)) static uint64_t word_at(const struct vine__mail *mail,
                                                                    uint64_t place)
{
    const unsigned char *const at = bytes_at(mail, place, sizeof(uint64_t));

    return at != NULL && place % sizeof(uint64_t) == 0 ? *(const uint64_t *)(const void *)at : 0;
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

static void free_operation(struct operation *operation)
{
    if (operation->mail != NULL || operation->calls > 0)
        return;
    vine__closed_free(operation);
    vine__office_less(vine__office_here());
}

static bool has_letter(const struct operation *operation)
{
    return operation->kind == VINE__ASK_MAIL_SEND || operation->kind == VINE__ASK_MAIL_OFFER ||
           operation->kind == VINE__ASK_MAIL_REQUEST;
}

static int64_t arrive_withdrawn(void *argument)
{
    const struct operation *const operation = argument;

    vine__letter_withdraw(operation->address, operation->take_back.origin, operation->key);
    return 0;
}

static void withdrawn(struct vine_call *call)
{
    struct operation *const operation = VINE_CONTAINER_OF(call, struct operation, take_back);

    operation->calls--;
    free_operation(operation);
}

/* Behind the letter, if that is still on its way. */
static void withdraw(struct operation *operation)
{
    const uint64_t core = operation->address.place >> 32;

    if (core == vine_core()) {
        vine__letter_withdraw(operation->address, vine_core(), operation->key);
        return;
    }
    operation->calls++;
    (vine_call)(&operation->take_back, (uint32_t)core, arrive_withdrawn, operation, withdrawn);
}

/* Nobody waits for it any more. */
static void forget(struct operation *operation)
{
    struct vine__mail *const mail = operation->mail;

    VINE_ASSERT(mail != NULL);
    vine__list_remove(&operation->link);
    mail->held_bytes -= operation->held_bytes;
    operation->mail = NULL;
    vine__number_give(&vine__office_here()->operations, operation->number);
    if (has_letter(operation) && !operation->is_done)
        withdraw(operation);
    free_operation(operation);
}

void vine__mail_destroy(struct vine__mail *mail)
{
    if (mail == NULL)
        return;
    while (!vine__list_is_empty(&mail->operations))
        forget(VINE_LIST_OBJECT(vine__list_first(&mail->operations), struct operation, link));
    for (uint32_t i = 0; i < VINE_MAIL_BOXES_MAX; i++)
        if (mail->boxes[i] != NULL)
            vine__box_close(mail->boxes[i]);
    vine__closed_free(mail);
}

void vine__operation_done(struct operation *operation, int result)
{
    if (operation->is_done)
        return;
    operation->is_done = true;
    operation->result = result;
    if (operation->mail != NULL)
        operation->mail->wake(operation->mail->context);
}

static void went(struct vine_call *call)
{
    struct operation *const operation = VINE_CONTAINER_OF(call, struct operation, go);
    const int64_t result = vine_call_result(call);

    operation->calls--;
    if (result != ARRIVED_WAITING)
        vine__operation_done(operation, (int)result);
    free_operation(operation);
}

static void go(struct operation *operation, uint32_t core, vine_call_fn fn, void *argument)
{
    operation->calls++;
    (vine_call)(&operation->go, core, fn, argument, went);
}

int64_t vine__letter_told(void *argument)
{
    const struct letter *const letter = argument;
    const struct office *const office = vine__office_here();
    struct operation *const operation =
        office != NULL ? vine__number_find(&office->operations, letter->number, letter->key) : NULL;

    if (operation == NULL)
        return 0;
    if (letter->result == 0 && letter->is_request)
        memcpy(operation->reply, letter->bytes, operation->reply_bytes);
    vine__operation_done(operation, letter->result);
    return 0;
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* An operation of the coroutine at `place`. An honest heap holds it and what it wrote down: one
 * that claims more than it could is not. Returns 0, -VINE_ECORRUPT or -ENOMEM. */
static int create(struct vine__mail *mail, const struct vine__ask *ask, uint32_t place,
                  const struct paper *paper, struct operation **ret_operation)
{
    struct office *const office = vine__office_here();
    const uint32_t held_bytes =
        (uint32_t)sizeof(struct vine_coroutine) + (paper != NULL ? paper->size_bytes : 0);
    const uint32_t reply_bytes =
        ask->kind == VINE__ASK_MAIL_REQUEST && paper != NULL ? paper->reply_bytes : 0;
    struct operation *operation;
    int error;

    if (mail->held_bytes + held_bytes > mail->heap->limit_bytes)
        return -VINE_ECORRUPT;
    operation = vine__closed_alloc(sizeof(*operation) + reply_bytes);
    if (operation == NULL)
        return -ENOMEM;
    operation->key = ++office->operation_key;
    error = vine__number_take(&office->operations, operation, operation->key, &operation->number);
    if (error != 0) {
        vine__closed_free(operation);
        return error;
    }
    office->under_way++;
    operation->mail = mail;
    operation->place = place;
    operation->asked = ask->number;
    operation->paper = (uint32_t)ask->a;
    operation->held_bytes = held_bytes;
    operation->kind = ask->kind;
    operation->reply_bytes = reply_bytes;
    mail->held_bytes += held_bytes;
    vine__list_push_back(&mail->operations, &operation->link);
    *ret_operation = operation;
    return 0;
}

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
    go(operation, (uint32_t)core, vine__letter_arrive, letter);
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
    box->is_published = true;
    operation->address = box->address;
    go(operation, 0, vine__name_publish, operation);
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
    error = create(mail, ask, place, &paper, &operation);
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
        go(operation, 0, vine__name_find, operation);
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
    error = create(mail, ask, place, NULL, &operation);
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
            forget(operation);
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

    return ask != NULL && ask->number == operation->asked && ask->kind == operation->kind;
}

void vine__mail_look(struct vine__mail *mail)
{
    VINE_LIST_FOR_EACH(node, &mail->operations)
    {
        struct operation *const operation = VINE_LIST_OBJECT(node, struct operation, link);

        if (!is_awaited(mail, operation))
            forget(operation);
    }
    look_at_boxes(mail);
}

/* ---- bringing in ----------------------------------------------------------------------------- */

/* What a coroutine finds that is still there, as was looked at after the run before. */
static void write_end(const struct operation *operation)
{
    struct vine__mail *const mail = operation->mail;
    const uint32_t place = operation->paper;
    unsigned char *to = NULL;

    if (operation->kind == VINE__ASK_MAIL_OFFER) {
        to = bytes_at(mail, place + offsetof(struct paper, error), sizeof(operation->result));
        if (to != NULL)
            memcpy(to, &operation->result, sizeof(operation->result));
    } else if (operation->kind == VINE__ASK_MAIL_FIND) {
        to = bytes_at(mail, place + offsetof(struct paper, address), sizeof(operation->address));
        if (to != NULL)
            memcpy(to, &operation->address, sizeof(operation->address));
    } else if (operation->kind == VINE__ASK_MAIL_REQUEST && operation->result == 0) {
        to = bytes_at(mail, place + offsetof(struct paper, bytes), operation->reply_bytes);
        if (to != NULL)
            memcpy(to, operation->reply, operation->reply_bytes);
    }
}

static bool put(struct vine__record *record, struct vine__item item)
{
    if (record->item_count == VINE__ITEMS_MAX)
        return false;
    record->items[record->item_count++] = item;
    return true;
}

static bool bring_message(struct vine__mail *mail, struct box *box, struct vine__record *record)
{
    const struct letter *const letter = vine__box_first(box);
    unsigned char *to;

    if (letter == NULL)
        return true;
    if (!put(record, (struct vine__item){.kind = VINE__ITEM_MAIL, .place = box->place}))
        return false;
    to = bytes_at(mail, box->place + offsetof(struct vine_mailbox, bytes), letter->size_bytes);
    if (to != NULL)
        memcpy(to, letter->bytes, letter->size_bytes);
    vine__box_take(box);
    return true;
}

bool vine__mail_bring(struct vine__mail *mail, struct vine__record *record)
{
    /* These first: they are few, and operations may be as many as there is room for each time. */
    for (uint32_t i = 0; i < VINE_MAIL_BOXES_MAX; i++)
        if (mail->boxes[i] != NULL && !bring_message(mail, mail->boxes[i], record))
            return false;
    VINE_LIST_FOR_EACH(node, &mail->operations)
    {
        struct operation *const operation = VINE_LIST_OBJECT(node, struct operation, link);
        const int64_t result =
            operation->kind == VINE__ASK_MAIL_OFFER ? 0 : (int64_t)operation->result;

        if (!operation->is_done)
            continue;
        if (!put(record, (struct vine__item){.kind = VINE__ITEM_ASK,
                                             .place = operation->place,
                                             .number = operation->asked,
                                             .result = result}))
            return false;
        write_end(operation);
        forget(operation);
    }
    return true;
}
