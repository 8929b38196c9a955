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
    if (!operation->is_forgotten || operation->calls > 0)
        return;
    vine__closed_free(operation);
    vine__office_less(vine__office_here());
}

static bool has_letter(const struct operation *operation)
{
    return operation->kind == VINE__ASK_MAIL_SEND || operation->kind == VINE__ASK_MAIL_OFFER ||
           operation->kind == VINE__ASK_MAIL_REQUEST;
}

/* ---- on its way ------------------------------------------------------------------------------ */

static uint32_t core_of(const struct operation *operation)
{
    return has_letter(operation) ? (uint32_t)(operation->address.place >> 32) : 0;
}

static struct route *route_of(const struct operation *operation)
{
    return &vine__office_here()->routes[core_of(operation)];
}

static int64_t is_closed(void *nothing)
{
    (void)nothing;
    return -EPIPE;
}

static void call(struct operation *operation, struct vine_core_call *call, vine_core_call_fn fn,
                 void *argument, vine_core_call_done_fn done)
{
    operation->calls++;
    vine_core_call(call, core_of(operation), fn, argument, done);
}

static void went(struct vine_core_call *call);

static void leave(struct operation *operation)
{
    struct letter *const letter = operation->letter;
    struct box *box;

    operation->stage = STAGE_GONE;
    operation->letter = NULL;
    if (letter != NULL) {
        call(operation, &operation->go, vine__letter_arrive, letter, went);
    } else if (operation->kind == VINE__ASK_MAIL_FIND) {
        call(operation, &operation->go, vine__name_find, operation, went);
    } else {
        /* From here on its end has to be told there; it may have come meanwhile. */
        box = vine__box_find(operation->address);
        if (box != NULL)
            box->is_published = true;
        call(operation, &operation->go, box != NULL ? vine__name_publish : is_closed, operation,
             went);
    }
}

/* Those that wait for this route, as far as it may have more. */
static void go_on(struct route *route)
{
    while (route->on_way < ROUTE_ON_WAY_MAX && !vine__list_is_empty(&route->waiting)) {
        struct vine__list *const first = vine__list_pop_front(&route->waiting);

        route->on_way++;
        leave(VINE_LIST_OBJECT(first, struct operation, queue));
    }
}

static void enqueue(struct operation *operation)
{
    struct route *const route = route_of(operation);

    operation->mail->on_way++;
    operation->stage = STAGE_IN_QUEUE;
    vine__list_push_back(&route->waiting, &operation->queue);
    go_on(route);
}

/* One less of these is on its way: the next ones, or nothing is left of a micro-process. */
static void less(struct vine__mail *mail)
{
    mail->on_way--;
    if (mail->heap == NULL) {
        if (mail->on_way == 0)
            vine__closed_free(mail);
        return;
    }
    VINE_LIST_FOR_EACH(node, &mail->operations)
    {
        struct operation *const operation = VINE_LIST_OBJECT(node, struct operation, link);

        if (mail->in_turn == 0 || mail->on_way >= ON_WAY_MAX)
            return;
        if (operation->stage != STAGE_IN_TURN)
            continue;
        mail->in_turn--;
        enqueue(operation);
    }
}

/* A call has come back, or will not be made: of this operation, which may be gone then. */
static void came_back(struct operation *operation)
{
    struct vine__mail *const mail = operation->mail;
    struct route *const route = route_of(operation);

    operation->calls--;
    route->on_way--;
    go_on(route);
    free_operation(operation);
    less(mail);
}

static void went(struct vine_core_call *call)
{
    struct operation *const operation = VINE_CONTAINER_OF(call, struct operation, go);
    const int64_t result = vine_core_call_result(call);

    if (result != ARRIVED_WAITING)
        vine__operation_done(operation, (int)result);
    came_back(operation);
}

void vine__operation_go(struct operation *operation, struct letter *letter)
{
    struct vine__mail *const mail = operation->mail;

    operation->letter = letter;
    if (mail->on_way < ON_WAY_MAX) {
        enqueue(operation);
        return;
    }
    operation->stage = STAGE_IN_TURN;
    mail->in_turn++;
}

/* ---- and back -------------------------------------------------------------------------------- */

static int64_t arrive_withdrawn(void *argument)
{
    const struct operation *const operation = argument;

    vine__letter_withdraw(operation->address, operation->take_back.origin, operation->key);
    return 0;
}

static void withdrawn(struct vine_core_call *call)
{
    came_back(VINE_CONTAINER_OF(call, struct operation, take_back));
}

/* Behind the letter, if that is still on its way. */
static void withdraw(struct operation *operation)
{
    if (operation->stage == STAGE_HERE) {
        vine__letter_withdraw(operation->address, vine_core(), operation->key);
        return;
    }
    /* Whatever is on its way already: this frees more than it takes. */
    operation->mail->on_way++;
    route_of(operation)->on_way++;
    call(operation, &operation->take_back, arrive_withdrawn, operation, withdrawn);
}

/* It has not left, and will not. */
static void stay(struct operation *operation)
{
    struct vine__mail *const mail = operation->mail;

    vine__closed_free(operation->letter);
    operation->letter = NULL;
    if (operation->stage == STAGE_IN_TURN) {
        mail->in_turn--;
    } else {
        vine__list_remove(&operation->queue);
        less(mail);
    }
}

void vine__operation_forget(struct operation *operation)
{
    struct vine__mail *const mail = operation->mail;

    VINE_ASSERT(!operation->is_forgotten);
    vine__list_remove(&operation->link);
    mail->held_bytes -= operation->held_bytes;
    operation->is_forgotten = true;
    vine__number_give(&vine__office_here()->operations, operation->number);
    if (operation->stage == STAGE_IN_TURN || operation->stage == STAGE_IN_QUEUE)
        stay(operation);
    else if (has_letter(operation) && !operation->is_done)
        withdraw(operation);
    free_operation(operation);
}

void vine__operation_done(struct operation *operation, int result)
{
    if (operation->is_done)
        return;
    operation->is_done = true;
    operation->result = result;
    if (!operation->is_forgotten)
        operation->mail->wake(operation->mail->context);
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
