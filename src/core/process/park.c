/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/process/park.c - connections between two requests that hold no heap.
 *
 * A parked one is its connection and a record here. The first byte brings it a micro-process anew,
 * of the same colour, since that is what its buffers have.
 */

#include <vine/outside.h>

#include "arch/guard/closed.h"
#include "core/process/process_internal.h"
#include "utils/atomic.h"

#define TICK_NS    (10 * 1000 * 1000ULL)
#define TICKS      30U  /* so long it waits before it is let go */
#define REST_TICKS 100U /* and so long before it need not rest any more */
#define LOOKS_MIN  64U  /* at a tick, if the last one found nobody */
#define LOOKS_MAX  256U /* at a tick, unless that is less than half of them */
#define WARM_MAX   64U  /* heaps that keep their memory where nobody has been busy for a while */

struct parked {
    struct vine__list link;
    struct origin *origin;
    uint8_t colour;
    bool was_seen; /* while the core drains */
    bool is_over;
    bool has_kept; /* `kept` is there */
    union {
        struct vine_receive receive;
        struct vine_work closed; /* when that is over */
    };
    struct vine_kept *kept[]; /* outside, for the next micro-process: one, where there is any */
};

/* With what the network has of a connection, 512 bytes as they are allocated. */
VINE_STATIC_ASSERT(sizeof(struct parked) <= 128, "a parked connection is small");

static struct vine_kept *kept_of(const struct parked *parked)
{
    return parked->has_kept ? parked->kept[0] : NULL;
}

static void forget(struct parked *parked)
{
    vine__list_remove(&parked->link);
    vine__processes_here()->parked_count--;
    vine__closed_free(parked);
}

/* Nothing is left of it any more. */
static void leave(struct parked *parked)
{
    struct processes *const core = vine__processes_here();
    const struct vine__process_options options = parked->origin->options;
    struct vine_kept *const kept = kept_of(parked);

    vine__origin_give(parked->origin);
    forget(parked);
    if (kept != NULL)
        kept->end(kept);
    if (options.gone != NULL)
        options.gone(options.context);
    vine__processes_let_go(core);
}

static void closed(struct vine_work *work)
{
    leave(VINE_CONTAINER_OF(work, struct parked, closed));
}

static void tell_end(const struct parked *parked, int error)
{
    const struct vine__process_options *const options = &parked->origin->options;
    const struct vine__process_end process_end = {.error = error, .type = options->type};

    if (options->ended != NULL)
        options->ended(options->context, &process_end);
}

/* It came to its end while it was parked. */
static void end(struct parked *parked, int error)
{
    struct vine_connection *const connection = parked->receive.connection;

    tell_end(parked, error);
    parked->is_over = true;
    vine_work_init(&parked->closed, closed);
    vine_connection_close(connection, &parked->closed);
}

static void received(struct vine_receive *receive)
{
    struct parked *const parked = VINE_CONTAINER_OF(receive, struct parked, receive);
    struct processes *const core = vine__processes_here();
    int error;

    if (receive->size <= 0) {
        end(parked, (int)receive->size);
        return;
    }
    error = vine__process_begin(core, receive->connection, &parked->origin->options, parked->colour,
                                receive, kept_of(parked));
    if (error != 0) {
        tell_end(parked, error); /* it was refused: the connection is gone */
        leave(parked);
        return;
    }
    core->counts.unparkings++;
    vine__origin_give(parked->origin);
    forget(parked);
}

/* ---- who may be let go ----------------------------------------------------------------------- */

/*
 * Most who wait for a next request have it soon, and making a micro-process anew for each would
 * cost more than the memory is worth. So those alone are let go that have waited for a while.
 * Nobody is armed, listed or counted for that on the way of a request: a timer looks at some of the
 * core's micro-processes, by turns, as long as a round over all of them finds any that wait.
 */

/* Returns whether it is let go: all is sent and nothing has come. */
static bool park(struct vine__process *process)
{
    struct processes *const core = vine__core_of(process);
    struct parked *parked;

    if (process->origin->options.is_held)
        return false;
    parked = vine__closed_alloc(process->kept != NULL ? offsetof(struct parked, kept[1])
                                                      : sizeof(*parked));
    if (parked == NULL)
        return false;
    if (!vine__polling_detach(&process->polling, &parked->receive, received)) {
        vine__closed_free(parked);
        return false;
    }
    parked->origin = process->origin;
    if (process->kept != NULL) {
        parked->has_kept = true;
        parked->kept[0] = process->kept;
    }
    parked->colour = process->polling.colour;
    vine__list_push_back(&core->parked, &parked->link);
    core->parked_count++;
    core->counts.parkings++;
    process->origin = NULL;
    process->kept = NULL;
    vine__process_end(process, &(struct vine__process_end){.error = 0}, true);
    return true;
}

/* Look at the next one, which is the last then. Returns whether it was let go. */
static bool look_at_next(struct processes *core, uint32_t ticks_least)
{
    struct vine__process *const process =
        VINE_LIST_OBJECT(core->all.next, struct vine__process, link);

    vine__list_remove(&process->link);
    vine__list_push_back(&core->all, &process->link);
    if (process->polling.is_resting && !process->polling.has_ended) {
        core->park_goes_on = true;
        if (core->park_tick - process->polling.park_tick < (ticks_least > 0 ? REST_TICKS : 0))
            return false;
        vine__process_leave_rest(process);
        return true;
    }
    if (!process->polling.is_parking || process->polling.has_ended)
        return false;
    core->park_goes_on = true;
    return core->park_tick - process->polling.park_tick >= ticks_least && park(process);
}

/* So many ticks: fewer where there are many, for their memory adds up. */
static uint32_t patience(uint32_t count)
{
    return count < 384 ? TICKS : count < 1024 ? TICKS / 8 : 1;
}

static void tick(struct vine_timer *timer)
{
    struct processes *const core = VINE_CONTAINER_OF(timer, struct processes, park_timer);

    const uint32_t many = core->count / 2 > LOOKS_MAX ? core->count / 2 : LOOKS_MAX;
    /* Each look is at memory that nobody needs just now. */
    const uint32_t looks = core->has_parked ? many : LOOKS_MIN;

    core->has_parked = false;
    core->park_tick++;
    for (uint32_t i = 0; i < looks && core->park_left > 0 && core->count > 0; i++) {
        core->park_left--;
        core->has_parked |= look_at_next(core, patience(core->count));
    }
    if (core->park_left == 0 || core->count == 0) {
        core->is_park_timer_armed = core->park_goes_on;
        core->park_goes_on = false;
        core->park_left = core->count;
    }
    if (core->is_park_timer_armed)
        vine_timer_arm_after(&core->park_timer, TICK_NS);
    else
        vine__heap_pool_trim(core->heaps, WARM_MAX);
}

void vine__parker_begin(struct vine__process *process)
{
    struct processes *const core = vine__core_of(process);

    process->polling.park_tick = core->park_tick;
    if (VINE__UNLIKELY(!core->is_park_timer_armed)) {
        core->is_park_timer_armed = true;
        core->park_left = core->count;
        vine_timer_init(&core->park_timer, VINE_CLOCK_COARSE, tick);
        vine_timer_arm_after(&core->park_timer, TICK_NS);
    }
}

bool vine__parkers_hurry(struct processes *core)
{
    uint32_t gone = 0;

    for (uint32_t i = 0; i < LOOKS_MAX && i < core->count; i++)
        gone += look_at_next(core, 0);
    return gone > 0;
}

void vine__parkers_end(struct processes *core)
{
    if (core->is_park_timer_armed)
        (void)vine_timer_cancel(&core->park_timer);
}

void vine__parked_look(struct processes *core)
{
    VINE_LIST_FOR_EACH(node, &core->parked)
    {
        struct parked *const parked = VINE_LIST_OBJECT(node, struct parked, link);

        if (parked->was_seen && !parked->is_over)
            vine_receive_cancel(&parked->receive);
        parked->was_seen = true;
    }
}
