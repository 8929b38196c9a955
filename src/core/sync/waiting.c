/* SPDX-License-Identifier: Apache-2.0 */
#include <vine/waiting.h>

#include "core/sync/waiting_internal.h"
#include "utils/assert.h"
#include "utils/container_of.h"

#include <errno.h>

/* What the next wait has is the next one's alone. */
static void forget(struct vine_waiting *waiting)
{
    waiting->source = NULL;
    waiting->deadline_ns = VINE_FOREVER;
}

static void call(struct vine_work *work)
{
    struct vine_waiting *waiting = VINE_CONTAINER_OF(work, struct vine_waiting, work);

    VINE_ASSERT(waiting->state == VINE_WAITING_ENDS);
    waiting->state = VINE_WAITING_IDLE;
    waiting->fn(waiting);
}

static void dequeue(struct vine_waiting *waiting)
{
    struct vine_waiters *waiters = waiting->waiters;

    if (waiting->prev != NULL)
        waiting->prev->next = waiting->next;
    else
        waiters->first = waiting->next;
    if (waiting->next != NULL)
        waiting->next->prev = waiting->prev;
    else
        waiters->last = waiting->prev;
    waiting->waiters = NULL;
}

void vine__waiting_end(struct vine_waiting *waiting, int result)
{
    VINE_ASSERT(waiting->state == VINE_WAITING_WAITS);
    if (waiting->waiters != NULL)
        dequeue(waiting);
    (void)vine_timer_cancel(&waiting->timer);
    (void)vine__abort_remove(&waiting->abort);
    forget(waiting);
    waiting->result = result;
    waiting->state = VINE_WAITING_ENDS;
    vine_work_post(&waiting->work);
}

void vine__waiters_end(struct vine_waiters *waiters, int result)
{
    while (waiters->first != NULL)
        vine__waiting_end(waiters->first, result);
}

/* It goes without what it waited for: there may be enough for those behind it now. */
static void give_up(struct vine_waiting *waiting, int result)
{
    struct vine_waiters *waiters = waiting->waiters;

    vine__waiting_end(waiting, result);
    if (waiters->left != NULL)
        waiters->left(waiters);
}

static void expire(struct vine_timer *timer)
{
    give_up(VINE_CONTAINER_OF(timer, struct vine_waiting, timer), -ETIMEDOUT);
}

static void abort_waiting(struct vine_abort_node *node)
{
    give_up(VINE_CONTAINER_OF(node, struct vine_waiting, abort), -ECANCELED);
}

void vine_waiting_init(struct vine_waiting *waiting, vine_waiting_fn fn)
{
    *waiting = (struct vine_waiting){.fn = fn, .abort.fn = abort_waiting};
    vine_work_init(&waiting->work, call);
    vine_timer_init(&waiting->timer, VINE_CLOCK_COARSE, expire);
    forget(waiting);
}

void vine_waiting_set_deadline(struct vine_waiting *waiting, uint64_t deadline_ns)
{
    VINE_ASSERT(waiting->state == VINE_WAITING_IDLE);
    waiting->deadline_ns = deadline_ns != 0 ? deadline_ns : VINE_FOREVER;
}

void vine_waiting_set_abort(struct vine_waiting *waiting, struct vine_abort_source *source)
{
    VINE_ASSERT(waiting->state == VINE_WAITING_IDLE);
    waiting->source = source;
}

bool vine_waiting_cancel(struct vine_waiting *waiting)
{
    if (waiting->state != VINE_WAITING_WAITS)
        return false;
    give_up(waiting, -ECANCELED);
    return true;
}

bool vine__waiting_begin(struct vine_waiting *waiting)
{
    VINE_ASSERT(waiting->state == VINE_WAITING_IDLE);
    waiting->state = VINE_WAITING_WAITS;
    if (waiting->source == NULL || !vine_abort_is_requested(waiting->source))
        return true;
    vine__waiting_end(waiting, -ECANCELED);
    return false;
}

void vine__waiting_enqueue(struct vine_waiters *waiters, struct vine_waiting *waiting)
{
    waiting->waiters = waiters;
    waiting->next = NULL;
    waiting->prev = waiters->last;
    if (waiters->last != NULL)
        waiters->last->next = waiting;
    else
        waiters->first = waiting;
    waiters->last = waiting;
    if (waiting->source != NULL) {
        const int error = vine__abort_add(waiting->source, &waiting->abort);

        VINE_ASSERT(error == 0); /* vine__waiting_begin has looked */
    }
    if (waiting->deadline_ns != VINE_FOREVER)
        vine_timer_arm_at(&waiting->timer, waiting->deadline_ns);
}
