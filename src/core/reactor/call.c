/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls to other cores and their replies: one ring for each ordered pair, of which
 * reactor_internal.h proves that it is never full. A message goes out at once, so that the other
 * side sees it as early as can be; whether it has to be woken is looked at once a turn.
 */
#include "core/reactor/reactor_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "core/ring/spsc_inline.h"
#include "utils/atomic.h"
#include "utils/bits.h"
#include "utils/container_of.h"

VINE_STATIC_ASSERT(sizeof(struct message) <= VINE_SPSC_BYTES, "a message is a slot");

static void send_message(struct vine__reactor *reactor, uint32_t core,
                         const struct message *message)
{
    const int error = vine__spsc_push(&reactor->links[core].out, message, sizeof(*message));

    VINE_ASSERT(error == 0); /* FLIGHT_MAX says why */
    reactor->told[core / 64] |= UINT64_C(1) << core % 64;
}

static void send_call(struct vine__reactor *reactor, struct vine_call *call)
{
    const struct message message = {
        .call = call, .fn = call->fn, .argument = call->argument, .group = call->work.group};

    reactor->links[call->core].in_flight++;
    reactor->counts.calls_sent++;
    send_message(reactor, call->core, &message);
}

static struct vine_call *call_of(struct vine_work *work)
{
    return VINE_CONTAINER_OF(work, struct vine_call, work);
}

static void end_call(struct vine_work *work)
{
    struct vine_call *const call = call_of(work);

    call->done(call);
}

void vine_call(struct vine_call *call, uint32_t core, vine_call_fn fn, void *argument,
               vine_call_done_fn done)
{
    struct vine__reactor *const reactor = vine__reactor_here();

    VINE_ASSERT(core < reactor->mesh->options.core_count && fn != NULL);
    struct vine__link_to *const link = &reactor->links[core];

    *call = (struct vine_call){
        .work = {.fn = end_call, .group = reactor->group},
        .fn = fn,
        .argument = argument,
        .done = done,
        .core = core,
        .origin = reactor->core,
    };
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

static void free_submit(struct vine_call *call)
{
    struct vine__reactor *const reactor = vine__reactor_here();

    call->work.next = reactor->submits != NULL ? &reactor->submits->work : NULL;
    reactor->submits = call;
}

int vine_submit_to(uint32_t core, vine_call_fn fn, void *argument)
{
    struct vine__reactor *const reactor = vine__reactor_here();
    struct vine_call *const call = reactor->submits;

    if (core >= reactor->mesh->options.core_count || fn == NULL)
        return -EINVAL;
    if (call == NULL)
        return -EAGAIN;
    reactor->submits = call->work.next != NULL ? call_of(call->work.next) : NULL;
    vine_call(call, core, fn, argument, free_submit);
    return 0;
}

/* ---- the other core -------------------------------------------------------------------------- */

static void reply(struct vine__reactor *reactor, struct vine__incoming *incoming, int64_t result)
{
    struct vine__link_to *const link = &reactor->links[incoming->origin];
    const struct message message = {.call = incoming->call, .result = result};
    const uint32_t origin = incoming->origin;

    incoming->next_free = link->free_incoming;
    link->free_incoming = incoming;
    reactor->counts.calls_served++;
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

struct vine_reply vine_call_defer(void)
{
    struct vine__incoming *const incoming = vine__reactor_here()->serving;

    VINE_ASSERT(incoming != NULL && !incoming->is_deferred);
    incoming->is_deferred = true;
    return (struct vine_reply){.incoming = incoming};
}

void vine_call_reply(struct vine_reply answer, int64_t result)
{
    reply(vine__reactor_here(), answer.incoming, result);
}

/* ---- what comes ------------------------------------------------------------------------------ */

static void take_reply(struct vine__reactor *reactor, struct vine__link_to *link,
                       const struct message *message)
{
    struct vine_call *const call = message->call;

    link->in_flight--;
    reactor->counts.replies++;
    call->result = message->result;
    /* `fn` of a stopped call may be NULL; its end is the caller's all the same. */
    vine__work_post_to(reactor, &call->work);
    if (link->waiting_first != NULL) {
        struct vine_call *const next = link->waiting_first;

        link->waiting_first = next->work.next != NULL ? call_of(next->work.next) : NULL;
        next->work.next = NULL;
        send_call(reactor, next);
    }
}

static void take_call(struct vine__reactor *reactor, struct vine__link_to *link, uint32_t origin,
                      const struct message *message)
{
    struct vine__incoming *const incoming = link->free_incoming;

    VINE_ASSERT(incoming != NULL); /* there are as many as calls in flight */
    link->free_incoming = incoming->next_free;
    incoming->work = (struct vine_work){.fn = serve, .group = message->group};
    incoming->call = message->call;
    incoming->fn = message->fn;
    incoming->argument = message->argument;
    incoming->origin = origin;
    vine__work_post_to(reactor, &incoming->work);
}

/* At most what can lie in a ring, so that one core cannot keep us from the others. */
static bool take_from(struct vine__reactor *reactor, uint32_t origin)
{
    struct vine__link_to *const link = &reactor->links[origin];
    union {
        struct message message;
        unsigned char bytes[VINE_SPSC_BYTES];
    } slot;
    uint32_t taken = 0;

    while (taken < RING_SLOTS && vine__spsc_pop(&link->in, slot.bytes) == 0) {
        if (slot.message.fn == NULL)
            take_reply(reactor, link, &slot.message);
        else
            take_call(reactor, link, origin, &slot.message);
        taken++;
    }
    return taken > 0;
}

bool vine__calls_take(struct vine__reactor *reactor)
{
    const uint32_t core_count = reactor->mesh->options.core_count;
    bool is_busy = false;

    for (uint32_t core = 0; core < core_count; core++)
        is_busy |= take_from(reactor, core);
    return is_busy;
}

bool vine__calls_are_there(struct vine__reactor *reactor)
{
    const uint32_t core_count = reactor->mesh->options.core_count;

    for (uint32_t core = 0; core < core_count; core++) {
        if (vine__spsc_ready(&reactor->links[core].in) > 0)
            return true;
        /* Who sleeps keeps nothing back. */
        vine__spsc_consumer_publish(&reactor->links[core].in);
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

    reactor->links = calloc(core_count, sizeof(*reactor->links));
    reactor->submits_memory = calloc(VINE_SUBMITS_MAX, sizeof(*reactor->submits_memory));
    if (reactor->links == NULL || reactor->submits_memory == NULL)
        return -ENOMEM;
    for (uint32_t core = 0; core < core_count && error == 0; core++)
        error = init_link(reactor, core);
    for (uint32_t i = 0; i < VINE_SUBMITS_MAX; i++) {
        struct vine_call *const call = &reactor->submits_memory[i];

        call->work.next = reactor->submits != NULL ? &reactor->submits->work : NULL;
        reactor->submits = call;
    }
    return error;
}

void vine__calls_fini(struct vine__reactor *reactor)
{
    free(reactor->links);
    free(reactor->submits_memory);
}
