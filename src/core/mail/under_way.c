/* SPDX-License-Identifier: Apache-2.0 */
/* core/mail/under_way.c - an operation from when it is begun until nobody waits for it: how it goes
 * to another core, and how it is told of and taken back. */

#include <errno.h>
#include <string.h>

#include "arch/guard/closed.h"
#include "core/mail/mail_internal.h"

int vine__operation_create(struct vine__mail *mail, const struct vine__ask *ask, uint32_t place,
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

static void withdrawn(struct vine_core_call *call)
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
    vine_core_call(&operation->take_back, (uint32_t)core, arrive_withdrawn, operation, withdrawn);
}

void vine__operation_forget(struct operation *operation)
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

void vine__operation_done(struct operation *operation, int result)
{
    if (operation->is_done)
        return;
    operation->is_done = true;
    operation->result = result;
    if (operation->mail != NULL)
        operation->mail->wake(operation->mail->context);
}

static void went(struct vine_core_call *call)
{
    struct operation *const operation = VINE_CONTAINER_OF(call, struct operation, go);
    const int64_t result = vine_core_call_result(call);

    operation->calls--;
    if (result != ARRIVED_WAITING)
        vine__operation_done(operation, (int)result);
    free_operation(operation);
}

void vine__operation_go(struct operation *operation, uint32_t core, vine_core_call_fn fn,
                        void *argument)
{
    operation->calls++;
    vine_core_call(&operation->go, core, fn, argument, went);
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
