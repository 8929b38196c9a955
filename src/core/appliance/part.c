/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An appliance's part on a core: rings are polled by the core's loop, and what comes by sockets is
 * told by its ring of operations.
 *
 * All sockets and pidfds of the part, and the eventfd by which it is woken, are in one epoll
 * descriptor, and that one is armed in the ring: one operation for each time that something came,
 * however many pipes there are. A pipe's own descriptors in the ring would be two operations for
 * each, where epoll keeps them armed; what they would save is one epoll_wait a wake-up, half a
 * microsecond (docs/decisions/0032). While the core is busy this costs less than the plain loop,
 * which asks its epoll descriptor every 20 us.
 *
 * It is armed for one event, and anew once that has been dealt with: armed for many it would not
 * tell of what is left in a socket of which we have read a part.
 *
 * An application in a named segment has no descriptor of ours: it raises a word and wakes who
 * waits there. That wait is an operation in the ring, too, where the kernel has such. Where it has
 * not, the core sleeps for moments alone while it listens there (vine__nap_ns). Doorbells of
 * machines are descriptors; where there are none the same holds.
 */
#include "core/appliance/serving_internal.h"

#include <errno.h>
#include <poll.h>

#include "utils/atomic.h"
#include "utils/container_of.h"

/* A turn of the loop visits pipes for so long, and then does its other work. */
#define ROUND_NS 250000

static struct vine__part *part_of(struct vine__polled *polled)
{
    return VINE_CONTAINER_OF(polled, struct vine__part, polled);
}

static int64_t take_end(void *argument)
{
    vine__serving_part_over(argument);
    return 0;
}

/* Core 0 may free it as soon as it knows: nothing of it is touched after that. */
static void tell_over(struct vine_work *work)
{
    struct vine__part *const part = VINE_CONTAINER_OF(work, struct vine__part, telling);

    if (vine_submit_to(0, take_end, part->serving) != 0)
        vine_work_post(work); /* as many calls as may be are on their way */
}

/* Waited for with what it holds now: what the turns before have not seen has raised it since, or
 * raises it later. */
static void wait_for_word(struct vine__part *part)
{
    uint32_t value;

    if (VINE__LIKELY(!part->has_word) || part->is_waiting || part->is_deaf)
        return;
    part->raised.bytes = vine__serving_word(part->appliance, &value);
    part->raised.offset = value;
    part->is_waiting = true;
    vine__reactor_begin(&part->raised);
}

static void arm(struct vine__part *part)
{
    wait_for_word(part);
    if (part->is_armed || vine__serving_is_told(part->appliance))
        return;
    part->is_armed = true;
    vine__reactor_begin(&part->ready);
}

/* Whether the kernel tells us of all that comes, as far as it can. */
static bool is_listening(const struct vine__part *part)
{
    return part->is_armed && (!part->has_word || part->is_waiting || part->is_deaf);
}

/* What coroutines still have of pipes keeps these. */
static void end_when_alone(struct vine__part *part)
{
    if (part->coroutines != NULL)
        vine__coroutines_wait(part->coroutines, &part->telling);
    else
        vine_work_post(&part->telling);
}

void vine__part_end_if_silent(struct vine__part *part)
{
    if (part->is_over && !part->is_armed && !part->is_waiting && part->moving == 0)
        end_when_alone(part);
}

static void be_told(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct vine__part *const part = VINE_CONTAINER_OF(operation, struct vine__part, ready);

    (void)result; /* what is wrong shows when the descriptors are asked */
    (void)flags;
    part->is_armed = false;
    if (part->is_over)
        vine__part_end_if_silent(part);
    else
        vine__serving_tell(part->appliance);
}

static void be_raised(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct vine__part *const part = VINE_CONTAINER_OF(operation, struct vine__part, raised);

    (void)flags;
    part->is_waiting = false;
    if (part->is_over) {
        vine__part_end_if_silent(part);
        return;
    }
    if (result != 0 && result != -EAGAIN && result != -EINTR) {
        part->is_deaf = true;
        vine__serving_word_is_deaf(part->appliance);
    }
    vine__serving_word_raised(part->appliance);
}

static void end(struct vine__part *part)
{
    part->is_over = true;
    vine__polled_end(&part->polled);
    if (part->is_armed)
        vine__poller_cancel(vine__reactor_poller(), &part->ready);
    if (part->is_waiting)
        vine__poller_cancel(vine__reactor_poller(), &part->raised);
    vine__part_end_if_silent(part);
}

static bool poll_part(struct vine__polled *polled, uint64_t now_ticks)
{
    struct vine__part *const part = part_of(polled);
    const enum vine__serving_state state = vine__serving_turn(part->appliance, now_ticks);

    if (VINE__UNLIKELY(state == VINE__SERVING_OVER)) {
        end(part);
        return true;
    }
    arm(part);
    vine__part_balance(part, now_ticks);
    return state == VINE__SERVING_BUSY;
}

static bool look_at_part(struct vine__polled *polled, uint64_t now_ticks)
{
    return vine__serving_look(part_of(polled)->appliance, now_ticks);
}

static bool lie_down(struct vine__polled *polled, uint64_t *ret_limit_ns)
{
    struct vine__part *const part = part_of(polled);

    return is_listening(part) && vine__serving_lie_down(part->appliance, ret_limit_ns);
}

static void get_up(struct vine__polled *polled)
{
    vine__serving_get_up(part_of(polled)->appliance);
}

/* The first part has been made with the serving: it listens. */
static int make(struct vine__part *part)
{
    struct vine_serving *const serving = part->serving;
    struct vine_appliance *appliance = serving->first;
    int error = 0;

    if (part->core != 0)
        error = vine__serving_create(&serving->appliance_options, serving->first, &appliance);
    else
        vine__serving_set_placer(appliance, vine__serving_spread, serving);
    if (error != 0)
        return error;
    if (serving->has_coroutines && part->core != 0) {
        error = vine__coroutines_create(appliance, &serving->coroutine_options, &part->coroutines);
        if (error != 0) {
            vine_appliance_destroy(appliance);
            return error;
        }
    }
    vine__serving_hear_when_told(appliance);
    vine__serving_begin(appliance, ROUND_NS);
    /* A1 pairs with A2. */
    vine__store_release_pointer((void **)&part->appliance, appliance);
    return 0;
}

int vine__part_begin(struct vine__part *part)
{
    const int error = make(part);
    uint32_t value;

    if (error != 0)
        return error;
    vine_work_init(&part->telling, tell_over);
    part->ready = (struct vine__operation){
        .fn = be_told,
        .kind = VINE__POLL_READY,
        .fd = vine__serving_descriptor(part->appliance),
        .flags = POLLIN,
    };
    part->has_word = vine__serving_word(part->appliance, &value) != NULL;
    part->raised = (struct vine__operation){.fn = be_raised, .kind = VINE__POLL_WORD, .fd = -1};
    part->polled = (struct vine__polled){
        .poll = poll_part, .look = look_at_part, .lie_down = lie_down, .get_up = get_up};
    vine__part_balance_begin(part);
    vine__polled_begin(&part->polled);
    return 0;
}
