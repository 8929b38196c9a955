/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim/device_world.h - two machines with links between them, in one process: the appliance of one,
 * the host that says how they are, and chance, which is one seed's.
 */
#ifndef VINE_TESTS_SIM_DEVICE_WORLD_H
#define VINE_TESTS_SIM_DEVICE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "harness/fake_machines.h"

#include <vine/appliance.h>
#include <vine/error.h>
#include <vine/talk.h>

#include "arch/clock/clock.h"
#include "core/talk/appliance_internal.h"
#include "core/talk/pipe_internal.h"
#include "harness/procedures.h"

#define JOBS     8
#define DATA_MAX 3000u

struct job {
    struct vine_task *task; /* NULL: free */
    struct vine_data *input;
    struct vine_data *output;
    uint64_t number; /* what its data is made of */
    uint32_t size;
    uint32_t calls; /* of its callback */
};

/* What is held for a pipe that has no task. */
struct held {
    uint64_t quota, ours, theirs;
};

struct application {
    struct vine_pipe *pipe; /* NULL: not there */
    struct vine_procedure *procedures[2];
    struct vine__link_operations operations; /* in which to rest is to let the appliance turn */
    bool is_faulted; /* something has befallen its link, its appliance or its machine */
    struct held held;
    struct job jobs[JOBS];
};

static struct world {
    struct fake_host host;
    struct vine_appliance *appliance; /* NULL: not there */
    struct application applications[FAKE_LINKS];
    bool is_paused[2];
    bool is_down[2];
    bool is_torn[2][FAKE_LINKS];
    bool is_settling; /* nothing befalls anybody */
    uint64_t chance;
    uint64_t step;
    uint64_t issued;
    uint64_t opened, done, lost, settled; /* for whoever reads what was run */
} world;

static const struct vine_argument echo_arguments[] = {
    {"in", VINE_INPUT, VINE_TYPE_BYTES, 0, DATA_MAX},
    {"out", VINE_OUTPUT, VINE_TYPE_BYTES, 0, DATA_MAX},
};

#define ECHO                                                                                       \
    .size_bytes = sizeof(struct vine_procedure_definition), .run = run_echo,                       \
    .arguments = echo_arguments, .argument_count = 2

static const struct vine_procedure_definition procedures[2] = {
    {ECHO, .name = "echo_short", .flags = VINE_PROCEDURE_SHORT},
    {ECHO, .name = "echo"},
};

/* splitmix64 */
static inline uint64_t chance(uint64_t below)
{
    uint64_t z = (world.chance += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % below;
}

static inline void keep_quiet(void *context, enum vine_log_level level, const char *message)
{
    (void)context, (void)level, (void)message;
}

/* ---- the appliance --------------------------------------------------------------------------- */

static inline bool is_served(void)
{
    return world.appliance != NULL && !world.is_paused[1] && !world.is_down[1];
}

/* What the loop does by time it does by chance: pipes fall asleep, and it looks around. */
static inline void turn(void)
{
    struct vine_appliance *appliance = world.appliance;

    if (!is_served())
        return;
    appliance->heard_ticks = 0;
    appliance->turn_ticks = UINT64_MAX / 4;
    appliance->active_ticks = chance(2) ? 0 : UINT64_MAX / 4;
    appliance->backstop_ticks = chance(16) ? UINT64_MAX / 2 : 0;
    (void)vine__loop_turn(appliance, vine__clock_ticks());
}

static inline void rest(struct vine__link *link, uint32_t rings, uint64_t waited_ns,
                        uint64_t timeout_ns)
{
    (void)link, (void)rings, (void)waited_ns, (void)timeout_ns;
    turn();
}

static inline void start_appliance(void)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof options, .log = keep_quiet};

    if (world.appliance != NULL || world.is_down[1] || world.is_paused[1])
        return;
    fake_use(&world.host, 1);
    assert_int_equal(vine_appliance_create(&options, &world.appliance), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(vine_appliance_register(world.appliance, &procedures[i]), 0);
    assert_int_equal(vine_appliance_listen(world.appliance, "pci:auto"), 0);
}

static inline void fault_all(void)
{
    for (uint32_t i = 0; i < FAKE_LINKS; i++)
        world.applications[i].is_faulted = true;
}

static inline void stop_appliance(void)
{
    if (world.appliance == NULL || world.is_paused[1])
        return;
    fault_all();
    vine_appliance_destroy(world.appliance);
    world.appliance = NULL;
}

/* As if killed: what it writes when it is destroyed it did not write. */
static inline void kill_appliance(void)
{
    unsigned char *left;

    if (world.appliance == NULL)
        return;
    left = malloc((size_t)FAKE_LINKS * FAKE_HALF_BYTES);
    assert_non_null(left);
    for (size_t i = 0; i < FAKE_LINKS; i++)
        memcpy(left + i * FAKE_HALF_BYTES, world.host.links[i].memory[1], FAKE_HALF_BYTES);
    fault_all();
    vine_appliance_destroy(world.appliance);
    world.appliance = NULL;
    for (size_t i = 0; i < FAKE_LINKS; i++)
        memcpy(world.host.links[i].memory[1], left + i * FAKE_HALF_BYTES, FAKE_HALF_BYTES);
    free(left);
}

/* ---- what is held ---------------------------------------------------------------------------- */

static inline uint64_t live_bytes(const struct vine__half *half)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < half->extent_count; i++) {
        struct vine_allocator_stats stats;

        assert_int_equal(vine_allocator_stats(half->extents[i].allocator, &stats), 0);
        bytes += stats.live_bytes;
    }
    return bytes;
}

static inline struct vine__served *served_at(uint32_t link)
{
    VINE_LIST_FOR_EACH(node, &world.appliance->pipes)
    {
        struct vine__served *pipe = VINE_LIST_OBJECT(node, struct vine__served, link);

        if (pipe->state == VINE__SERVED_OPEN &&
            pipe->link_to.end->link.place == fake_place(1, link))
            return pipe;
    }
    return NULL;
}

/* Books of the half, records of tasks and tables of them may have grown; they stay. */
static inline uint64_t stays(const struct vine__served *served)
{
    uint64_t bytes = served->half.extents[0].books_bytes +
                     (uint64_t)served->jobs.count * sizeof(struct vine_call);

    for (uint32_t i = 0; i < served->channel_count; i++)
        if (served->channels[i]->jobs.slots != NULL)
            bytes += vine__table_bytes(served->agreement.tasks_max);
    return bytes;
}

static inline struct held held_for(uint32_t link)
{
    const struct vine__served *served = served_at(link);
    const struct vine_pipe *pipe = world.applications[link].pipe;

    assert_non_null(served);
    assert_int_equal(served->jobs_taken, 0);
    return (struct held){
        .quota = vine__quota_held(&served->quota) - stays(served),
        .ours = live_bytes(&pipe->half),
        .theirs = live_bytes(&served->half),
    };
}

/* ---- the host -------------------------------------------------------------------------------- */

static inline bool is_there(uint32_t link, int end)
{
    return world.host.links[link].ends[end].state == VINE_STATUS_ATTACHED ||
           world.host.links[link].ends[end].state == VINE_STATUS_PAUSED;
}

/* A host that is in the middle of writing an entry says nothing else of its link. */
static inline bool is_torn(uint32_t link)
{
    return world.is_torn[0][link] || world.is_torn[1][link];
}

static inline void lose(uint32_t link, int end)
{
    if (!world.host.links[link].is_plugged || is_torn(link))
        return;
    world.applications[link].is_faulted = true;
    fake_say(&world.host, link, end, VINE_STATUS_LOST,
             (enum vine_status_reason)chance(VINE_STATUS_REASON_RESET + 1));
}

static inline void regain(uint32_t link, int end)
{
    if (!world.host.links[link].is_plugged || is_torn(link) || world.is_down[end] ||
        (is_there(link, end) && chance(4)))
        return;
    world.applications[link].is_faulted = true;
    fake_take_end(&world.host, link, end);
}

static inline void unplug(uint32_t link)
{
    if (!world.host.links[link].is_plugged || is_torn(link))
        return;
    world.applications[link].is_faulted = true;
    fake_unplug(&world.host, link);
    for (int writer = 0; writer < 2; writer++)
        if (chance(2))
            fake_vanish(&world.host, link, writer);
}

static inline void plug(uint32_t link)
{
    char name[16];

    if (world.host.links[link].is_plugged || is_torn(link))
        return;
    (void)snprintf(name, sizeof name, "link%u", link);
    fake_plug(&world.host, link, name);
}

static inline void tear(uint32_t link, int machine)
{
    const struct vine_pipe *pipe = world.applications[link].pipe;

    /* Of two sentences, the second unfinished, nobody knows whether the first was an unplugging:
     * a task that ends then ends the pipe, and here it must be known what ends it. */
    if (machine == 0 && pipe != NULL &&
        pipe->link.sequence != fake_entry(&world.host, 0, link)->sequence)
        return;
    fake_tear(&world.host, machine, link);
    world.is_torn[machine][link] = true;
    if (chance(2))
        fake_raise_changes(&world.host, machine);
}

static inline void mend(uint32_t link, int machine)
{
    if (world.is_torn[machine][link])
        fake_mend(&world.host, machine, link);
    world.is_torn[machine][link] = false;
}

static inline void say_of_machine(int machine, enum vine_status_side_state state)
{
    for (uint32_t i = 0; i < FAKE_LINKS; i++)
        if (world.host.links[i].is_plugged && !is_torn(i) && is_there(i, machine))
            fake_say(&world.host, i, machine, state, VINE_STATUS_REASON_NONE);
}

#endif
