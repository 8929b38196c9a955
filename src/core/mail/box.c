/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/mail/box.c - mailboxes, and letters that come to them.
 *
 * A letter to a mailbox is in its `letters`, or waits for room in `waiting`, or is the request that
 * is answered, or is gone:
 *
 *     count = the messages among `letters` <= VINE_MAIL_WAITING_MAX
 *     waiting is empty unless count == VINE_MAIL_WAITING_MAX
 *     office->held_bytes = those of all that are there
 */

#include <errno.h>
#include <string.h>

#include "arch/guard/closed.h"
#include "core/mail/mail_internal.h"

/* ---- lists of letters ------------------------------------------------------------------------ */

static void push(struct letters *letters, struct letter *letter)
{
    letter->next = NULL;
    if (letters->first != NULL)
        letters->last->next = letter;
    else
        letters->first = letter;
    letters->last = letter;
}

static struct letter *pop(struct letters *letters)
{
    struct letter *const letter = letters->first;

    if (letter != NULL)
        letters->first = letter->next;
    return letter;
}

/* Take the letter of that operation out. NULL: it is not there. */
static struct letter *take_out(struct letters *letters, uint32_t origin, uint64_t key)
{
    struct letter *before = NULL;

    for (struct letter *letter = letters->first; letter != NULL; letter = letter->next) {
        if (letter->origin != origin || letter->key != key) {
            before = letter;
            continue;
        }
        if (before != NULL)
            before->next = letter->next;
        else
            letters->first = letter->next;
        if (letters->last == letter)
            letters->last = before;
        return letter;
    }
    return NULL;
}

/* ---- the end of a letter --------------------------------------------------------------------- */

static uint64_t bytes_of(const struct letter *letter)
{
    return sizeof(*letter) + letter->size_bytes;
}

/* Nobody here needs it any more. */
static void over(struct letter *letter)
{
    vine__office_here()->held_bytes -= bytes_of(letter);
    if (letter->is_told)
        letter->is_over = true;
    else
        vine__closed_free(letter);
}

static void told(struct vine_core_call *call)
{
    struct letter *const letter = VINE_CONTAINER_OF(call, struct letter, notice);

    letter->is_told = false;
    if (letter->is_over)
        vine__closed_free(letter);
    vine__office_less(vine__office_here());
}

/* Who waits for it is told, once. */
static void tell(struct letter *letter, int result)
{
    letter->result = result;
    if (letter->origin == vine_core()) {
        (void)vine__letter_told(letter);
        return;
    }
    letter->is_told = true;
    vine__office_here()->under_way++;
    vine_core_call(&letter->notice, letter->origin, vine__letter_told, letter, told);
}

/* ---- coming ---------------------------------------------------------------------------------- */

struct box *vine__box_find(struct vine_mail_address address)
{
    const struct office *const office = vine__office_here();

    if (office == NULL || address.place >> 32 != vine_core())
        return NULL;
    return vine__number_find(&office->boxes, (uint32_t)address.place, address.key);
}

/* What speaks against it, or 0. */
static int look_at(const struct box *box, const struct letter *letter)
{
    if (box == NULL)
        return -EPIPE;
    if (letter->is_request != box->is_for_requests || letter->type_id != box->type_id ||
        letter->size_bytes != box->size_bytes || letter->reply_type_id != box->reply_type_id ||
        letter->reply_bytes != box->reply_bytes)
        return -EPROTOTYPE;
    if (vine__office_here()->held_bytes + bytes_of(letter) > VINE__MAIL_CORE_BYTES)
        return -ENOMEM;
    if (letter->is_offer && box->count == VINE_MAIL_WAITING_MAX)
        return -EAGAIN;
    return 0;
}

static void wake(const struct box *box)
{
    if (box->is_wanted)
        box->mail->wake(box->mail->context);
}

int64_t vine__letter_arrive(void *argument)
{
    struct letter *const letter = argument;
    struct box *const box = vine__box_find(letter->address);
    const int error = look_at(box, letter);

    if (error != 0) {
        vine__closed_free(letter);
        return error;
    }
    vine__office_here()->held_bytes += bytes_of(letter);
    if (!letter->is_request && box->count == VINE_MAIL_WAITING_MAX) {
        push(&box->waiting, letter);
        return ARRIVED_WAITING;
    }
    push(&box->letters, letter);
    wake(box);
    if (letter->is_request)
        return ARRIVED_WAITING;
    box->count++;
    return 0;
}

int vine__mail_tell(struct vine_mail_address address, const struct vine__message_type *type,
                    const void *value)
{
    struct letter *letter;

    if (vine__box_find(address) == NULL)
        return -EPIPE;
    letter = vine__closed_alloc_raw(sizeof(*letter) + type->size_bytes);
    if (letter == NULL)
        return -ENOMEM;
    *letter = (struct letter){
        .address = address,
        .type_id = vine__mail_type_id(type),
        .size_bytes = (uint32_t)type->size_bytes,
        .origin = vine_core(), /* where its key is no operation's */
        .is_offer = true,
    };
    memcpy(letter->bytes, value, type->size_bytes);
    return (int)vine__letter_arrive(letter);
}

void vine__letter_withdraw(struct vine_mail_address address, uint32_t origin, uint64_t key)
{
    struct box *const box = vine__box_find(address);
    struct letter *letter;

    if (box == NULL)
        return;
    if (box->answering != NULL && box->answering->origin == origin && box->answering->key == key) {
        letter = box->answering;
        box->answering = NULL;
    } else {
        letter = take_out(box->is_for_requests ? &box->letters : &box->waiting, origin, key);
    }
    if (letter != NULL)
        over(letter);
}

/* ---- taking ---------------------------------------------------------------------------------- */

struct letter *vine__box_first(const struct box *box)
{
    return box->is_wanted ? box->letters.first : NULL;
}

void vine__box_take(struct box *box)
{
    struct letter *const letter = pop(&box->letters);
    struct letter *waits;

    box->is_wanted = false;
    if (box->is_for_requests) {
        box->is_answering = true;
        box->answering = letter;
        return;
    }
    box->count--;
    over(letter);
    waits = pop(&box->waiting);
    if (waits == NULL)
        return;
    push(&box->letters, waits);
    box->count++;
    tell(waits, 0);
}

void vine__box_answer(struct box *box, const unsigned char *bytes, int error)
{
    struct letter *const letter = box->answering;

    box->is_answering = false;
    box->answering = NULL;
    if (letter == NULL)
        return;
    if (error == 0)
        memcpy(letter->bytes, bytes, box->reply_bytes);
    tell(letter, error);
    over(letter);
}

/* ---- beginning and end ----------------------------------------------------------------------- */

struct box *vine__box_create(struct vine__mail *mail, int *ret_error)
{
    struct office *const office = vine__office_here();
    struct box *const box = vine__closed_alloc(sizeof(*box));
    uint32_t number = 0;
    uint64_t key = 0;
    int error = box != NULL ? vine__office_key(office, &key) : -ENOMEM;

    if (error == 0)
        error = vine__number_take(&office->boxes, box, key, &number);
    if (error != 0) {
        vine__closed_free(box);
        *ret_error = error;
        return NULL;
    }
    office->under_way++;
    box->mail = mail;
    box->address =
        (struct vine_mail_address){.place = (uint64_t)vine_core() << 32 | number, .key = key};
    return box;
}

static void gone(struct vine_core_call *call)
{
    vine__closed_free(VINE_CONTAINER_OF(call, struct box, unpublish));
    vine__office_less(vine__office_here());
}

void vine__box_close(struct box *box)
{
    struct office *const office = vine__office_here();
    struct letter *letter;

    vine__number_give(&office->boxes, (uint32_t)box->address.place);
    while ((letter = pop(&box->letters)) != NULL) {
        if (box->is_for_requests)
            tell(letter, -EPIPE);
        over(letter);
    }
    while ((letter = pop(&box->waiting)) != NULL) {
        tell(letter, -EPIPE);
        over(letter);
    }
    if (box->answering != NULL) {
        tell(box->answering, -EPIPE);
        over(box->answering);
    }
    if (box->is_published) {
        vine_core_call(&box->unpublish, 0, vine__name_forget, box, gone);
        return;
    }
    vine__closed_free(box);
    vine__office_less(office);
}
