/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listeners. One has a part for each core that may get connections of it; the part's memory is the
 * listener's, and its fields the part's core's until that has answered the call that ends it.
 *
 * It ends in two steps: first the part of the core that made it, which may be giving connections to
 * the others, and then those.
 */
#include "core/network/network_internal.h"

#include <errno.h>

#include "arch/guard/closed.h"
#include "utils/atomic.h"
#include "utils/container_of.h"

/* ---- accepting, on each core ----------------------------------------------------------------- */

static int64_t begin_part(void *argument)
{
    struct vine__listener_part *const part = argument;

    if (part->network == NULL && vine__network_here(&part->network) != 0) {
        part->listener->network->stack->part_drop(part);
        return 0;
    }
    vine__list_push_back(&part->network->parts, &part->link);
    part->has_begun = true;
    part->network->stack->accept_begin(part);
    return 0;
}

static void look_at_part(struct vine__listener_part *part)
{
    struct vine__network *const network = part->network;

    if (!part->is_ending || part->arriving != 0 || (part->has_begun && !part->has_ended))
        return;
    /* One that was only given connections is not among what the network waits for: it may have
     * gone. */
    const bool is_waited_for = part->has_begun;

    vine__list_remove(&part->link);
    /* The listener may be freed from now on. */
    vine_core_call_reply(part->reply, 0);
    if (is_waited_for)
        vine__network_look(network);
}

void vine__listener_part_ended(struct vine__listener_part *part)
{
    VINE_ASSERT(part->is_ending && !part->has_ended);
    part->has_ended = true;
    look_at_part(part);
}

static int64_t end_part(void *argument)
{
    struct vine__listener_part *const part = argument;

    part->reply = vine_core_call_defer();
    part->is_ending = true;
    if (part->has_begun)
        part->network->stack->accept_end(part);
    else
        look_at_part(part);
    return 0;
}

/* All of those that are there, before anything that they begin runs. */
static void tell_arrivals(struct vine_work *work)
{
    struct vine__listener_part *const part =
        VINE_CONTAINER_OF(work, struct vine__listener_part, arrival);
    const struct vine_listener *const listener = part->listener;

    for (uint32_t left = part->arriving; left > 0; left--) {
        struct vine_connection *const connection = part->arrived_first;

        part->arrived_first = connection->arrived;
        connection->arrived = NULL;
        if (VINE__UNLIKELY(connection->is_shed))
            listener->shed(connection, listener->context);
        else
            listener->fn(connection, listener->context);
        part->arriving--;
    }
    if (part->arriving > 0)
        vine_work_post(work); /* those came meanwhile */
    look_at_part(part);
}

void vine__listener_arrived(struct vine__listener_part *part, struct vine_connection *connection)
{
    if (connection->network->is_stopping) {
        connection->network->counts.refused++;
        vine__connection_drop(connection);
        return;
    }
    connection->network->counts.accepted++;
    if (part->arrived_first != NULL)
        part->arrived_last->arrived = connection;
    else
        part->arrived_first = connection;
    part->arrived_last = connection;
    if (part->arriving++ > 0)
        return;
    vine_work_init(&part->arrival, tell_arrivals);
    vine_work_set_group(&part->arrival, part->listener->group);
    vine_work_post(&part->arrival);
}

static uint32_t fewest_connections(struct vine_listener *listener)
{
    uint32_t chosen = listener->network->core;
    uint64_t fewest = UINT64_MAX;

    for (uint32_t i = 0; i < listener->part_count; i++) {
        const struct vine__listener_part *const part =
            &listener->parts[(listener->turn + i) % listener->part_count];
        const uint64_t load = vine__load_relaxed_u64(&vine__network_loads[part->core].connections);

        if (load < fewest && !part->takes_none) {
            fewest = load;
            chosen = part->core;
        }
    }
    listener->turn++; /* among equals the next one */
    return chosen;
}

uint32_t vine__listener_choose(struct vine__listener_part *part)
{
    const bool is_distributed = part->listener->balance == VINE_BALANCE_DISTRIBUTE;
    const uint32_t core = is_distributed ? fewest_connections(part->listener) : part->core;

    (void)vine__fetch_add_relaxed_u64(&vine__network_loads[core].connections, 1);
    return core;
}

void vine__listener_unchoose(uint32_t core)
{
    (void)vine__fetch_add_relaxed_u64(&vine__network_loads[core].connections, UINT64_MAX);
}

/* ---- the listener, on the core that made it -------------------------------------------------- */

static void look_at_listener(struct vine_listener *listener)
{
    struct vine__network *const network = listener->network;
    struct vine_work *const closed = listener->closed;

    if (!listener->has_ended || !listener->is_closed)
        return;
    vine__list_remove(&listener->link);
    vine__closed_free(listener);
    if (closed != NULL)
        vine_work_post(closed);
    vine__network_look(network);
}

static void see_end_of_part(struct vine_core_call *call);

static void end_others(struct vine_listener *listener)
{
    for (uint32_t i = 0; i < listener->part_count; i++) {
        struct vine__listener_part *const part = &listener->parts[i];

        if (part->core != listener->network->core)
            vine_core_call(&part->end, part->core, end_part, part, see_end_of_part);
    }
}

static void see_end_of_part(struct vine_core_call *call)
{
    const struct vine__listener_part *const part =
        VINE_CONTAINER_OF(call, struct vine__listener_part, end);
    struct vine_listener *const listener = part->listener;

    if (part->core == listener->network->core)
        end_others(listener);
    if (--listener->parts_left > 0)
        return;
    struct vine__network *const network = listener->network;

    network->stack->unlisten(listener);
    listener->has_ended = true;
    if (listener->is_closed)
        look_at_listener(listener);
    else
        vine__network_look(network);
}

static void end_own(struct vine_listener *listener)
{
    for (uint32_t i = 0; i < listener->part_count; i++) {
        struct vine__listener_part *const part = &listener->parts[i];

        if (part->core == listener->network->core)
            vine_core_call(&part->end, part->core, end_part, part, see_end_of_part);
    }
}

void vine__listener_end(struct vine_listener *listener)
{
    if (listener->is_ending)
        return;
    listener->is_ending = true;
    if (listener->begins_left == 0)
        end_own(listener);
}

void vine_listener_close(struct vine_listener *listener, struct vine_work *done)
{
    VINE_ASSERT(!listener->is_closed);
    listener->is_closed = true;
    listener->closed = done;
    vine__listener_end(listener);
    look_at_listener(listener);
}

const struct vine_address *vine_listener_address(const struct vine_listener *listener)
{
    return &listener->address;
}

/* Calls of different groups have no order: a part is not ended before its beginning is answered. */
static void see_begin_of_part(struct vine_core_call *call)
{
    struct vine_listener *const listener =
        VINE_CONTAINER_OF(call, struct vine__listener_part, begin)->listener;

    if (--listener->begins_left == 0 && listener->is_ending)
        end_own(listener);
}

static void begin_parts(struct vine_listener *listener)
{
    for (uint32_t i = 0; i < listener->part_count; i++) {
        struct vine__listener_part *const part = &listener->parts[i];

        if (part->accepts) {
            listener->begins_left++;
            vine_core_call(&part->begin, part->core, begin_part, part, see_begin_of_part);
        }
    }
}

static int read_options(const struct vine_listen_options *options,
                        struct vine_listen_options *ret_wish)
{
    struct vine_listen_options wish = {0};

    if (options != NULL) {
        if (options->size_bytes < sizeof(size_t) || options->size_bytes > sizeof(wish))
            return -EINVAL;
        memcpy(&wish, options, options->size_bytes);
    }
    if (wish.balance > VINE_BALANCE_HERE)
        return -EINVAL;
    *ret_wish = wish;
    return 0;
}

static struct vine_listener *create(struct vine__network *network, uint8_t balance)
{
    const uint32_t count = balance == VINE_BALANCE_HERE ? 1 : vine_core_count();
    struct vine_listener *const listener =
        vine__closed_alloc(sizeof(*listener) + count * sizeof(listener->parts[0]));

    if (listener == NULL)
        return NULL;
    listener->network = network;
    listener->given = -1;
    listener->group = vine_group_current();
    listener->balance = balance;
    listener->part_count = count;
    listener->parts_left = count;
    for (uint32_t i = 0; i < count; i++) {
        listener->parts[i].listener = listener;
        listener->parts[i].core = count == 1 ? network->core : i;
        vine__list_init(&listener->parts[i].link);
    }
    return listener;
}

/* With an address or a descriptor. Frees the listener if it comes to nothing. */
static int begin(struct vine_listener *listener, const struct vine_listen_options *wish,
                 struct vine_listener **ret_listener)
{
    struct vine__network *const network = listener->network;
    const int error = network->stack->listen(listener, wish);

    if (error != 0) {
        vine__closed_free(listener);
        return error;
    }
    vine__list_push_back(&network->listeners, &listener->link);
    begin_parts(listener);
    *ret_listener = listener;
    return 0;
}

int vine_listen(const struct vine_address *address, const struct vine_listen_options *options,
                vine_accept_fn fn, void *context, struct vine_listener **ret_listener)
{
    struct vine_listen_options wish;
    struct vine__network *network;
    int error = vine__network_here(&network);

    if (error == 0)
        error = read_options(options, &wish);
    if (error != 0)
        return error;
    if (wish.balance == VINE_BALANCE_REUSE_PORT && address->any.sa_family == AF_UNIX)
        wish.balance = VINE_BALANCE_DISTRIBUTE;
    struct vine_listener *const listener = create(network, wish.balance);

    if (listener == NULL)
        return -ENOMEM;
    listener->address = *address;
    listener->fn = fn;
    listener->shed = wish.shed;
    listener->context = context;
    return begin(listener, &wish, ret_listener);
}

int vine_listen_descriptor(int fd, const struct vine_listen_options *options, vine_accept_fn fn,
                           void *context, struct vine_listener **ret_listener)
{
    struct vine_listen_options wish;
    struct vine__network *network;
    int error = vine__network_here(&network);

    if (error == 0)
        error = read_options(options, &wish);
    if (error != 0)
        return error;
    /* What only an address has. */
    if (fd < 0 || wish.is_ip6_only || wish.mode != 0)
        return fd < 0 ? -EBADF : -EINVAL;
    struct vine_listener *const listener = create(network, wish.balance);

    if (listener == NULL)
        return -ENOMEM;
    listener->given = fd;
    listener->fn = fn;
    listener->shed = wish.shed;
    listener->context = context;
    return begin(listener, &wish, ret_listener);
}
