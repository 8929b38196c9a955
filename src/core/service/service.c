/* SPDX-License-Identifier: Apache-2.0 */
/* core/service/service.c - a service on all cores: its connections become micro-processes. */

#include <vine/service.h>

#include <errno.h>

#include <vine/error.h>

#include "arch/guard/closed.h"
#include "core/process/process.h"
#include "core/service/service_internal.h"
#include "utils/atomic.h"

#define TLS_NS (10 * VINE_NS_PER_SECOND)

/* At the end, for those who are in the middle of a handshake. */
#define GREETED_NS      VINE_NS_PER_SECOND
#define GREETED_LOOK_NS (VINE_NS_PER_SECOND / 100)

/* All that were started, on core 0. They stay: the end of the reactors uses them to its last
 * turn. */
static struct vine_running *all;

/* ---- connections ----------------------------------------------------------------------------- */

/* One that was let in has gone. */
static void gone(void *context)
{
    struct vine__service_core *const core = context;

    core->connections--;
    (void)vine__fetch_add_relaxed_u32(&core->running->connections, UINT32_MAX);
}

static void refuse(const struct vine__process_kind *kind, struct vine_connection *connection,
                   int error, void *context)
{
    (void)kind;
    if (error == -VINE_ECLOSED)
        vine_connection_close(connection, NULL);
    else
        vine__service_turn_away(context, connection, VINE__AWAY_HEAPS, true);
}

/* The connection becomes a micro-process, or is refused. */
static void start(struct vine__service_core *core, struct vine_connection *connection)
{
    const struct vine_running *const running = core->running;
    const struct vine__process_options options = {
        .type = running->kind.service->coroutine,
        .kind = &running->kind.base,
        .argument = running->options.argument,
        .gone = gone,
        .context = core,
    };

    if (vine__process_start(connection, &options) != 0)
        gone(core);
}

/* A client that we greet. */
struct greeting {
    struct vine__service_core *core;
    struct vine_tls_start start;
};

static void greeted(struct vine_tls_start *handshake)
{
    struct greeting *const greeting = VINE_CONTAINER_OF(handshake, struct greeting, start);
    struct vine__service_core *const core = greeting->core;

    if (handshake->error == 0)
        start(core, handshake->connection);
    else
        gone(core);
    vine__closed_free(greeting);
    (void)vine__fetch_add_relaxed_u32(&core->running->greetings, UINT32_MAX);
}

static void greet(struct vine__service_core *core, struct vine_connection *connection)
{
    struct vine_running *const running = core->running;
    struct greeting *const greeting = vine__closed_alloc(sizeof(*greeting));

    if (greeting == NULL) {
        vine_connection_close(connection, NULL);
        gone(core);
        return;
    }
    (void)vine__fetch_add_relaxed_u32(&running->greetings, 1);
    greeting->core = core;
    greeting->start.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + running->options.tls_ns;
    vine_tls_accept(running->options.tls, &greeting->start, connection, greeted);
}

/* Whether this client may come now. */
static bool may_come(struct vine_running *running, struct vine_connection *connection)
{
    struct vine_address peer;

    return running->clients == NULL || vine_connection_get_peer(connection, &peer) != 0 ||
           vine__clients_may(running->clients, &peer, vine_clock_now(VINE_CLOCK_COARSE));
}

static void accepted(struct vine_connection *connection, void *context)
{
    struct vine_running *const running = context;
    struct vine__service_core *const core = &running->cores[vine_core()];
    const uint32_t most = running->options.connections_max;
    const bool has_tls = running->options.tls != NULL;

    if (vine__service_start_core(running->kind.service, &running->options) != 0) {
        vine_connection_close(connection, NULL);
        return;
    }
    if (VINE__UNLIKELY(!core->has_begun))
        vine__service_core_begin(core, running);
    core->accepted++;
    core->connections++;
    if (vine__fetch_add_relaxed_u32(&running->connections, 1) >= most && most != 0) {
        vine__service_turn_away(core, connection, VINE__AWAY_FULL, !has_tls);
        gone(core);
    } else if (!may_come(running, connection)) {
        vine__service_turn_away(core, connection, VINE__AWAY_RATE, !has_tls);
        gone(core);
    } else if (has_tls) {
        greet(core, connection);
    } else {
        start(core, connection);
    }
}

/* One for whom there was no descriptor but the one that is kept. */
static void shed(struct vine_connection *connection, void *context)
{
    struct vine_running *const running = context;
    struct vine__service_core *const core = &running->cores[vine_core()];

    if (!core->has_begun)
        vine__service_core_begin(core, running);
    core->accepted++;
    vine__service_turn_away(core, connection, VINE__AWAY_DESCRIPTORS, running->options.tls == NULL);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void look_at_greetings(struct vine_timer *timer)
{
    struct vine_running *const running = VINE_CONTAINER_OF(timer, struct vine_running, greeted);

    if (vine__load_relaxed_u32(&running->greetings) > 0 &&
        vine_clock_now(VINE_CLOCK_COARSE) < running->greeted_until_ns)
        vine_timer_arm_after(timer, GREETED_LOOK_NS);
    else
        vine_stopper_done(&running->stopper);
}

static void see_closed(struct vine_work *work)
{
    struct vine_running *const running = VINE_CONTAINER_OF(work, struct vine_running, closed);

    /* Who is being greeted was let in, and may ask for something yet: as long as it is not known on
     * which core, all of them have to go on. */
    running->greeted_until_ns = vine_clock_now(VINE_CLOCK_COARSE) + GREETED_NS;
    vine_timer_init(&running->greeted, VINE_CLOCK_COARSE, look_at_greetings);
    look_at_greetings(&running->greeted);
}

static void stop(struct vine_stopper *stopper)
{
    struct vine_running *const running = VINE_CONTAINER_OF(stopper, struct vine_running, stopper);

    vine_listener_close(running->listener, &running->closed);
}

/* Listen at the address, or at a socket that does so already. */
static int listen_at(struct vine_running *running, const struct vine_address *address, int fd)
{
    if (address != NULL)
        return vine_listen(address, &running->options.listen, accepted, running,
                           &running->listener);
    return vine_listen_descriptor(fd, &running->options.listen, accepted, running,
                                  &running->listener);
}

static int begin(const struct vine_service *service, const struct vine_address *address, int fd,
                 const struct vine_service_options *options, struct vine_running **ret_running)
{
    struct vine_running *const running = vine__closed_alloc(sizeof(*running));
    int error;

    if (running == NULL)
        return -ENOMEM;
    vine__service_kind_init(&running->kind, service);
    running->kind.base.refuse = refuse;
    running->options = *options;
    if (running->options.tls_ns == 0)
        running->options.tls_ns = TLS_NS;
    running->options.listen.size_bytes = sizeof(running->options.listen);
    running->options.listen.shed = shed;
    if (service->is_on_one_core)
        running->options.listen.balance = VINE_BALANCE_HERE;
    running->cores = vine__closed_alloc(vine_core_count() * sizeof(*running->cores));
    error = running->cores != NULL ? vine__service_prepare(service, options) : -ENOMEM;
    if (error == 0 && options->client_rate > 0)
        error = vine__clients_create(options->client_rate, &running->clients);
    if (error == 0)
        error = listen_at(running, address, fd);
    if (error != 0) {
        vine__clients_destroy(running->clients);
        vine__closed_free(running->cores);
        vine__closed_free(running);
        return error;
    }
    running->next = all;
    all = running;
    vine_work_init(&running->closed, see_closed);
    vine_at_stop(&running->stopper, stop);
    *ret_running = running;
    return 0;
}

int vine_service_start(const struct vine_service *service, const struct vine_address *address,
                       const struct vine_service_options *options,
                       struct vine_running **ret_running)
{
    return begin(service, address, -1, options, ret_running);
}

int vine_service_start_at(const struct vine_service *service, int fd,
                          const struct vine_service_options *options,
                          struct vine_running **ret_running)
{
    return begin(service, NULL, fd, options, ret_running);
}

const struct vine_address *vine_service_address(const struct vine_running *running)
{
    return vine_listener_address(running->listener);
}
