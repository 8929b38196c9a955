/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run: the reactors, whose turn it is, and the clock.
 */
#include "sim/world_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/file/file.h"
#include "core/metrics/metrics.h"
#include "core/network/network_internal.h"
#include "utils/assert.h"

struct world world;

/* ---- chance ---------------------------------------------------------------------------------- */

/* splitmix64, by Sebastiano Vigna. */
uint64_t world_random(void)
{
    uint64_t mixed = world.random += 0x9e3779b97f4a7c15ULL;

    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
    return mixed ^ (mixed >> 31);
}

/* ---- operations ------------------------------------------------------------------------------ */

void world_tell(struct world_request *request, int32_t result, uint32_t flags, uint16_t buffer)
{
    const struct vine__operation *const operation = request->operation;

    world_trace(operation->kind, world.now_ns);
    world_trace((uint64_t)operation->fd << 32 | (uint32_t)result, flags);
    vine__sim_tell(request->poller, request->operation, result, flags, buffer);
}

/* One of the world's. */
static bool has_descriptor(const struct vine__operation *operation)
{
    if (world_is_kernels(operation))
        return false;
    switch (operation->kind) {
    case VINE__POLL_CALL:
    case VINE__POLL_OPEN:
    case VINE__POLL_RENAME:
    case VINE__POLL_UNLINK:
    case VINE__POLL_MAKE_FOLDER:
    case VINE__POLL_CLOSE:
        return false;
    case VINE__POLL_STAT:
        return operation->path[0] == '\0';
    default:
        return true;
    }
}

void world_end_with(struct world_request *request, int32_t result, uint32_t flags, uint16_t buffer)
{
    const struct vine__operation *const operation = request->operation;

    if (has_descriptor(operation))
        world_descriptor_find(operation->fd)->under_way--;
    world_never(&request->event);
    world_tell(request, result, flags, buffer);
    free(request);
}

void world_end(struct world_request *request, int32_t result)
{
    world_end_with(request, result, 0, 0);
}

static void end_close(struct world_event *event)
{
    struct world_request *const request = VINE_CONTAINER_OF(event, struct world_request, event);

    world_descriptor_close(request->operation->fd);
    world_end(request, 0);
}

static void begin_close(struct world_request *request)
{
    const int fd = request->operation->fd;
    struct world_descriptor *const descriptor = world_descriptor_find(fd);

    world_holds(descriptor->under_way == 0, "descriptor %d is closed with %u operations under way",
                fd, descriptor->under_way);
    world_after(&request->event, 0, 20 * US, end_close);
}

static void end_call(struct world_event *event)
{
    struct world_request *const request = VINE_CONTAINER_OF(event, struct world_request, event);

    world_end(request, request->operation->call(request->operation->context));
}

static bool begin(void *context, struct vine__poller *poller, struct vine__operation *operation)
{
    (void)context;
    struct world_request *const request = calloc(1, sizeof(*request));

    VINE_ASSERT(request != NULL);
    request->poller = poller;
    request->operation = operation;
    operation->backend = request;
    if (operation->kind == VINE__POLL_CLOSE) {
        begin_close(request);
        return true;
    }
    if (operation->kind == VINE__POLL_CALL) {
        world_after(&request->event, 0, 100 * US, end_call);
        return true;
    }
    if (world_is_kernels(operation)) {
        world_kernel_begin(request);
        return true;
    }
    bool is_socket = false;

    if (has_descriptor(operation)) {
        struct world_descriptor *const descriptor = world_descriptor_find(operation->fd);

        descriptor->under_way++;
        is_socket = descriptor->socket != NULL;
    }
    if (is_socket)
        world_net_begin(request);
    else
        world_disk_begin(request);
    return true;
}

static void cancel(void *context, struct vine__poller *poller, struct vine__operation *operation)
{
    struct world_request *const request = operation->backend;

    (void)context;
    (void)poller;
    if (world.is_ending) {
        world_end(request, -ECANCELED);
        return;
    }
    request->is_cancelled = true;
    if (world_is_kernels(operation)) {
        world_kernel_cancel(request);
        return;
    }
    if (!has_descriptor(operation))
        return; /* it is too late */
    if (world_descriptor_find(operation->fd)->socket != NULL)
        world_net_cancel(request);
    else
        world_disk_cancel(request);
}

/* ---- a run ----------------------------------------------------------------------------------- */

static void open_core(uint32_t core, uint32_t io_queues)
{
    struct vine__file_options options = {.buffer_count = 8, .buffer_bytes = 16384};

    if (core < io_queues)
        options.requests_max = (uint32_t)world_between(1, 16);
    if (vine__poller_create_sim(&world.pollers[core], world.sim) != 0 ||
        vine__reactor_create(&world.reactors[core], world.mesh, core, world.pollers[core]) != 0)
        world_break("no memory");
    (void)vine__reactor_enter(world.reactors[core]);
    if (vine__file_start(&options) != 0)
        world_break("no memory");
    if (core >= io_queues)
        vine__io_queue_assign(core % io_queues);
}

void world_open(uint64_t seed, const struct world_options *options)
{
    const struct vine__sim_options sim_options = {.begin = begin, .cancel = cancel};
    struct vine__mesh_options mesh_options = {.clock_ns = &world.now_ns,
                                              .backlog_max = options->backlog_max,
                                              .stop_limit_ns = options->stop_limit_ns};
    const uint64_t hash = world.seed == seed ? world.hash : 0; /* of before a crash */

    memset(&world, 0, sizeof(world));
    world.options = *options;
    world.seed = seed;
    world.hash = hash;
    world.random = (seed + hash) * 0x2545f4914f6cdd1dULL;
    world.core_count = options->core_count != 0 ? options->core_count
                                                : (uint32_t)world_between(2, WORLD_CORES_MAX);
    mesh_options.core_count = world.core_count;
    mesh_options.shuffle_seed = world_random() | 1;
    if (vine__sim_create(&world.sim, &sim_options) != 0)
        world_break("no memory");
    world.now_ns = vine__sim_now_ns(world.sim);
    if (vine__mesh_create(&world.mesh, &mesh_options) != 0)
        world_break("no memory");
    const uint32_t io_queues =
        options->io_queues != 0 ? options->io_queues : (uint32_t)world_between(1, world.core_count);

    for (uint32_t core = 0; core < world.core_count; core++)
        open_core(core, io_queues);
    (void)vine__reactor_enter(world.reactors[0]);
}

void world_calm(void)
{
    const struct world_options loud = world.options;

    world.options = (struct world_options){
        .disk_bytes = loud.disk_bytes,
        .disk_sector_bytes = loud.disk_sector_bytes,
        .net_segment_bytes = loud.net_segment_bytes,
        .net_buffer_bytes = loud.net_buffer_bytes,
        .descriptor_max = loud.descriptor_max,
    };
}

/* The cores that can be stepped; or when there may be one. */
static uint32_t find_awake(uint32_t awake[WORLD_CORES_MAX], uint64_t *ret_next_ns)
{
    uint64_t next_ns = world_events_next_ns();
    uint32_t count = 0;

    for (uint32_t core = 0; core < world.core_count; core++) {
        uint64_t until_ns = world.paused_until_ns[core];

        if (until_ns <= world.now_ns && world.is_asleep[core])
            until_ns = vine__sim_sleeps_until(world.pollers[core]);
        if (until_ns <= world.now_ns)
            awake[count++] = core;
        else if (until_ns < next_ns)
            next_ns = until_ns;
    }
    *ret_next_ns = next_ns;
    return count;
}

static void advance(uint64_t to_ns)
{
    world.now_ns = to_ns;
    vine__sim_advance(world.sim, to_ns);
}

static void step(uint32_t core)
{
    if (world_happens(world.options.pause_chance)) {
        world.paused_until_ns[core] = world.now_ns + world_between(US, 5 * MS);
        return;
    }
    /* One that was not asleep may look at its calls alone, as between two turns. */
    const bool is_peek = !world.is_asleep[core] && world_chance(4) == 0;

    world.is_asleep[core] = false;
    const bool is_busy = is_peek ? vine__reactor_peek(world.reactors[core])
                                 : vine__reactor_step(world.reactors[core]);

    world_trace(core, is_busy);
    advance(world.now_ns + world_between(100, 2 * US));
    if (is_busy || is_peek || world_chance(3) != 0)
        return;
    vine__reactor_doze(world.reactors[core]);
    world.is_asleep[core] = true;
}

static void do_nothing(struct world_event *event)
{
    (void)event;
}

bool world_step(void)
{
    uint32_t awake[WORLD_CORES_MAX];
    uint64_t next_ns;

    if (vine__reactor_has_stopped(world.reactors[0]))
        return false;
    world_kernel_look();
    world_events_run();
    const uint32_t count = find_awake(awake, &next_ns);

    world_holds(++world.steps < WORLD_STEPS_MAX, "no end after %u steps", WORLD_STEPS_MAX);
    if (count > 0)
        step(awake[world_chance(count)]);
    else if (next_ns == VINE_FOREVER)
        world_break("nothing is left to happen, and the reactors have not stopped");
    else
        advance(next_ns);
    return true;
}

void world_run_for(uint64_t time_ns)
{
    const uint64_t end_ns = time_ns == VINE_FOREVER ? VINE_FOREVER : world.now_ns + time_ns;
    struct world_event end = {.place = 0};

    world.is_asleep[0] = false; /* the test may have called something there */
    if (end_ns != VINE_FOREVER)
        world_at(&end, end_ns, do_nothing); /* so that the clock gets there */
    while (world.now_ns < end_ns && world_step())
        continue;
    world_never(&end);
}

void world_run(void)
{
    world_run_for(VINE_FOREVER);
}

static void close_cores(void)
{
    (void)vine__reactor_enter(NULL);
    for (uint32_t core = 0; core < world.core_count; core++) {
        vine__reactor_destroy(world.reactors[core]);
        vine__file_end(core);
        vine__metrics_end(core);
    }
    vine__mesh_destroy(world.mesh);
    vine__sim_destroy(world.sim);
    world_events_clear();
    world_kernel_clear();
    world_net_clear();
    world_descriptors_clear();
    world.core_count = 0;
}

void world_close(void)
{
    world_holds(!vine__mesh_was_cut_short(world.mesh), "the stop was cut short");
    for (uint32_t core = 0; core < world.core_count; core++) {
        const uint32_t pending = vine__poller_pending(world.pollers[core]);

        world_holds(pending == 0, "core %u has %u operations left", core, pending);
        world_holds(vine__network_loads[core].connections == 0, "core %u counts %llu connections",
                    core, (unsigned long long)vine__network_loads[core].connections);
    }
    world_holds(world_descriptors_open() == 0, "%u descriptors are left", world_descriptors_open());
    world.is_ending = true;
    close_cores();
}

void world_crash(void)
{
    world_disk_crash();
    world.is_ending = true;
    close_cores();
}
