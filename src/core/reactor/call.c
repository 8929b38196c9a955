/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls to other cores and their replies. One that has no other before it travels alone (line.h);
 * all others go by rings, one for each ordered pair, of which reactor_internal.h proves that it is
 * never full. A message goes out at once, so that the other side sees it as early as can be;
 * whether it has to be woken is looked at once a turn.
 */
#include "core/reactor/line.h"
#include "core/reactor/reactor_internal.h"

#include <errno.h>

#include "arch/guard/closed.h"
#include "core/ring/spsc_inline.h"
#include "utils/atomic.h"
#include "utils/bits.h"
#include "utils/container_of.h"

#define LOOKS_A_TICK 8 /* at each, between two at the clock and at the kernel */

VINE_STATIC_ASSERT(sizeof(struct message) <= VINE_SPSC_BYTES, "a message is a slot");

/* Whoever sleeps there is woken at the end of the turn. */
static void tell(struct vine__reactor *reactor, uint32_t core)
{
    reactor->told[core / 64] |= UINT64_C(1) << core % 64;
}

static void send_message(struct vine__reactor *reactor, uint32_t core,
                         const struct message *message)
{
    const int error = vine__spsc_push(&reactor->links[core].out, message, sizeof(*message));

    VINE_ASSERT(error == 0); /* FLIGHT_MAX says why */
    tell(reactor, core);
}

static void send_call(struct vine__reactor *reactor, struct vine_core_call *call)
{
    const struct message message = {
        .call = call, .fn = call->fn, .argument = call->argument, .group = call->work.group};

    reactor->links[call->core].in_flight++;
    reactor->counts.calls_sent++;
    send_message(reactor, call->core, &message);
}

/* No other one of ours is on its way there: it has a line for itself. */
static void send_alone(struct vine__reactor *reactor, struct vine__link_to *link,
                       struct vine_core_call *call)
{
    struct message *const message = &link->asked.line->message;

    message->call = call;
    message->fn = call->fn;
    message->argument = call->argument;
    message->group = call->work.group;
    vine__line_give(&link->asked);
    link->in_flight = 1;
    reactor->counts.calls_sent++;
    tell(reactor, call->core);
}

static struct vine_core_call *call_of(struct vine_work *work)
{
    return VINE_CONTAINER_OF(work, struct vine_core_call, work);
}

static void end_call(struct vine_work *work)
{
    struct vine_core_call *const call = call_of(work);

    call->done(call);
}

void vine_core_call(struct vine_core_call *call, uint32_t core, vine_core_call_fn fn,
                    void *argument, vine_core_call_done_fn done)
{
    struct vine__reactor *const reactor = vine__reactor_here();

    VINE_ASSERT(core < reactor->mesh->options.core_count && fn != NULL && done != NULL);
    struct vine__link_to *const link = &reactor->links[core];

    *call = (struct vine_core_call){
        .work = {.fn = end_call, .group = reactor->group},
        .fn = fn,
        .argument = argument,
        .done = done,
        .core = core,
        .origin = reactor->core,
    };
    if (link->in_flight == 0) {
        send_alone(reactor, link, call);
        return;
    }
    if (link->in_flight < FLIGHT_MAX && link->waiting_first == NULL) {
        send_call(reactor, call);
        return;
    }
    if (link->waiting_first == NULL)
        link->waiting_first = call;
    else
        link->waiting_last->work.next = &call->work;
    link->waiting_last = call;
}

static void free_submit(struct vine_core_call *call)
{
    struct vine__reactor *const reactor = vine__reactor_here();

    call->work.next = reactor->submits != NULL ? &reactor->submits->work : NULL;
    reactor->submits = call;
}

int vine_submit_to(uint32_t core, vine_core_call_fn fn, void *argument)
{
    struct vine__reactor *const reactor = vine__reactor_here();
    struct vine_core_call *const call = reactor->submits;

    if (core >= reactor->mesh->options.core_count || fn == NULL)
        return -EINVAL;
    if (call == NULL)
        return -EAGAIN;
    reactor->submits = call->work.next != NULL ? call_of(call->work.next) : NULL;
    vine_core_call(call, core, fn, argument, free_submit);
    return 0;
}

/* ---- the other core -------------------------------------------------------------------------- */

static void reply(struct vine__reactor *reactor, struct vine__incoming *incoming, int64_t result)
{
    struct vine__link_to *const link = &reactor->links[incoming->origin];
    const struct message message = {.call = incoming->call, .result = result};
    const uint32_t origin = incoming->origin;

    reactor->counts.calls_served++;
    if (incoming->is_alone) {
        link->asking.line->message.result = result;
        vine__line_give(&link->asking);
        tell(reactor, origin);
        return;
    }
    incoming->next_free = link->free_incoming;
    link->free_incoming = incoming;
    send_message(reactor, origin, &message);
}

static void serve(struct vine_work *work)
{
    struct vine__reactor *const reactor = vine__reactor_here();
    struct vine__incoming *const incoming = VINE_CONTAINER_OF(work, struct vine__incoming, work);

    incoming->is_deferred = false;
    reactor->serving = incoming;
    const int64_t result = incoming->fn(incoming->argument);

    reactor->serving = NULL;
    if (!incoming->is_deferred)
        reply(reactor, incoming, result);
}

struct vine_reply vine_core_call_defer(void)
{
    struct vine__incoming *const incoming = vine__reactor_here()->serving;

    VINE_ASSERT(incoming != NULL && !incoming->is_deferred);
    incoming->is_deferred = true;
    return (struct vine_reply){.incoming = incoming};
}

void vine_core_call_reply(struct vine_reply answer, int64_t result)
{
    reply(vine__reactor_here(), answer.incoming, result);
}

/* ---- what comes ------------------------------------------------------------------------------ */

/* A reply: its end is what is to run. */
static struct vine_work *accept_reply(struct vine__reactor *reactor, struct vine__link_to *link,
                                      const struct message *message)
{
    struct vine_core_call *const call = message->call;
    struct vine_core_call *const next = link->waiting_first;

    link->in_flight--;
    reactor->counts.replies++;
    call->result = message->result;
    if (VINE__UNLIKELY(next != NULL)) {
        link->waiting_first = next->work.next != NULL ? call_of(next->work.next) : NULL;
        next->work.next = NULL;
        send_call(reactor, next);
    }
    return &call->work;
}

static struct vine_work *accept_call(struct vine__incoming *incoming, uint32_t origin,
                                     const struct message *message)
{
    incoming->work = (struct vine_work){.fn = serve, .group = message->group};
    incoming->call = message->call;
    incoming->fn = message->fn;
    incoming->argument = message->argument;
    incoming->origin = origin;
    return &incoming->work;
}

/* The next message of a ring. */
static struct vine_work *accept_next(struct vine__reactor *reactor, struct vine__link_to *link,
                                     uint32_t origin)
{
    const struct message *const message = (const void *)vine__spsc_next(&link->in)->payload;
    struct vine__incoming *const incoming = link->free_incoming;
    struct vine_work *work;

    if (message->fn == NULL) {
        work = accept_reply(reactor, link, message);
    } else {
        VINE_ASSERT(incoming != NULL); /* there are as many as calls in flight */
        link->free_incoming = incoming->next_free;
        work = accept_call(incoming, origin, message);
    }
    vine__spsc_advance(&link->in);
    return work;
}

/* What is in a line: a reply to us or a call of theirs. */
static struct vine_work *accept_alone(struct vine__reactor *reactor, struct vine__line_end *end,
                                      uint32_t origin)
{
    struct vine__link_to *const link = &reactor->links[origin];
    const struct message *const message = &end->line->message;
    struct vine_work *const work = end == &link->asked ? accept_reply(reactor, link, message)
                                                       : accept_call(&link->alone, origin, message);

    vine__line_take(end);
    return work;
}

static uint32_t take_alone(struct vine__reactor *reactor, struct vine__line_end *end,
                           uint32_t origin)
{
    if (!vine__line_is_there(end))
        return 0;
    vine__work_post_in_order(reactor, accept_alone(reactor, end, origin));
    return 1;
}

/* At most what can lie in a ring, so that one core cannot keep us from the others. */
static bool take_from(struct vine__reactor *reactor, uint32_t origin)
{
    struct vine__link_to *const link = &reactor->links[origin];
    const bool is_in_ring = vine__spsc_ready(&link->in) > 0;
    uint32_t taken = 0;

    if (!vine__line_is_left_alone(&link->asked))
        taken += take_alone(reactor, &link->asked, origin);
    if (!vine__line_is_left_alone(&link->asking) && !is_in_ring)
        taken += take_alone(reactor, &link->asking, origin);
    if (!is_in_ring) {
        vine__spsc_consumer_publish(&link->in);
        return taken > 0;
    }
    do {
        /* A line that was empty above may have been written since, before what is found here. */
        taken += take_alone(reactor, &link->asking, origin);
        vine__work_post_in_order(reactor, accept_next(reactor, link, origin));
    } while (++taken < RING_SLOTS && vine__spsc_ready(&link->in) > 0);
    return true;
}

bool vine__calls_take(struct vine__reactor *reactor)
{
    const uint32_t core_count = reactor->mesh->options.core_count;
    bool is_busy = false;

    for (uint32_t core = 0; core < core_count; core++)
        is_busy |= take_from(reactor, core);
    return is_busy;
}

/* ---- between two turns of an idle core ------------------------------------------------------- */

/* Nothing is before it: it runs as if it had been posted and chosen. What is counted comes after
 * what the other side waits for. */
static void run_alone(struct vine__reactor *reactor, struct vine__line_end *end, uint32_t origin,
                      uint64_t now_ticks)
{
    struct vine_work *const work = accept_alone(reactor, end, origin);
    const uint8_t group = work->group;

    VINE_ASSERT(!vine__group_find(reactor, group)->holds);
    reactor->group = group;
    reactor->quota_end_ticks = now_ticks + reactor->quota_ticks;
    work->fn(work);
    vine__work_ran_one(reactor, group, now_ticks);
    end->is_left_alone = end->is_waiting;
}

static bool look_at(struct vine__reactor *reactor, uint32_t core, uint64_t now_ticks)
{
    struct vine__link_to *const link = &reactor->links[core];

    if (core == reactor->core && link->in_flight == 0)
        return false;
    if (vine__line_look(&link->asked))
        run_alone(reactor, &link->asked, core, now_ticks);
    else if (vine__line_look(&link->asking))
        run_alone(reactor, &link->asking, core, now_ticks);
    else if (vine__spsc_ready(&link->in) > 0)
        (void)take_from(reactor, core);
    else
        return false;
    return true;
}

bool vine__calls_look(struct vine__reactor *reactor, uint32_t looks)
{
    const uint32_t core_count = reactor->mesh->options.core_count;
    uint64_t now_ticks = 0;

    VINE_ASSERT(reactor->active == 0);
    if (VINE__UNLIKELY(reactor->random != 0)) /* what is shuffled has to be posted */
        return vine__calls_take(reactor);
    if (core_count == 1) /* its calls to itself are of its own turns */
        return false;
    for (uint32_t i = 0; i < looks / core_count || i == 0; i++) {
        if (i % LOOKS_A_TICK == 0) {
            if (vine__poller_has_news(reactor->poller))
                return false;
            now_ticks = vine__reactor_ticks(reactor);
        }
        for (uint32_t core = 0; core < core_count; core++)
            if (look_at(reactor, core, now_ticks))
                return true;
    }
    return false;
}

bool vine__calls_are_there(struct vine__reactor *reactor)
{
    const uint32_t core_count = reactor->mesh->options.core_count;

    for (uint32_t core = 0; core < core_count; core++) {
        struct vine__link_to *const link = &reactor->links[core];

        if (vine__spsc_ready(&link->in) > 0 || vine__line_is_there(&link->asked) ||
            vine__line_is_there(&link->asking))
            return true;
        /* Who sleeps keeps nothing back. */
        vine__spsc_consumer_publish(&link->in);
    }
    return false;
}

void vine__wake_core(struct vine__mesh *mesh, uint32_t core)
{
    uint32_t *const is_asleep = &mesh->inboxes[core].is_asleep;

    /* Relaxed, and the exchange has no pair: the caller's fence stands before it, and all that is
     * decided is which of several wakers makes the system call. */
    if (vine__load_relaxed_u32(is_asleep) != 0 && vine__exchange_acq_rel_u32(is_asleep, 0) != 0)
        vine__poller_wake(mesh->reactors[core]->poller);
}

void vine__calls_wake_others(struct vine__reactor *reactor)
{
    bool is_fenced = false;

    for (uint32_t word = 0; word < VINE_CORES_MAX / 64; word++) {
        for (uint64_t told = reactor->told[word]; told != 0; told &= told - 1) {
            const uint32_t core = 64 * word + vine__lowest_bit_u64(told);

            if (!is_fenced)
                vine__fence_full(); /* R1 pairs with R2 */
            is_fenced = true;
            if (core != reactor->core)
                vine__wake_core(reactor->mesh, core);
        }
        reactor->told[word] = 0;
    }
}

/* ---- set-up ---------------------------------------------------------------------------------- */

static int init_link(struct vine__reactor *reactor, uint32_t core)
{
    struct vine__mesh *const mesh = reactor->mesh;
    const uint32_t core_count = mesh->options.core_count;
    struct vine__pair *const out = &mesh->pairs[reactor->core * core_count + core];
    struct vine__pair *const in = &mesh->pairs[core * core_count + reactor->core];
    struct vine__link_to *const link = &reactor->links[core];
    int error = vine_spsc_producer_init(&link->out, out->slots, RING_SLOTS, &out->consumed);

    if (error == 0)
        error = vine_spsc_consumer_init(&link->in, in->slots, RING_SLOTS, &in->consumed);
    link->asked.line = &out->line;
    link->asking.line = &in->line;
    link->asking.is_waiting = true;
    link->alone.is_alone = true;
    for (uint32_t i = 0; i < FLIGHT_MAX; i++) {
        link->incoming[i].next_free = link->free_incoming;
        link->free_incoming = &link->incoming[i];
    }
    return error;
}

int vine__calls_init(struct vine__reactor *reactor)
{
    const uint32_t core_count = reactor->mesh->options.core_count;
    int error = 0;

    reactor->links = vine__closed_alloc(core_count * sizeof(*reactor->links));
    reactor->submits_memory =
        vine__closed_alloc(VINE_SUBMITS_MAX * sizeof(*reactor->submits_memory));
    if (reactor->links == NULL || reactor->submits_memory == NULL)
        return -ENOMEM;
    for (uint32_t core = 0; core < core_count && error == 0; core++)
        error = init_link(reactor, core);
    for (uint32_t i = 0; i < VINE_SUBMITS_MAX; i++) {
        struct vine_core_call *const call = &reactor->submits_memory[i];

        call->work.next = reactor->submits != NULL ? &reactor->submits->work : NULL;
        reactor->submits = call;
    }
    return error;
}

void vine__calls_fini(struct vine__reactor *reactor)
{

    vine__closed_free(reactor->links);
    vine__closed_free(reactor->submits_memory);
}
