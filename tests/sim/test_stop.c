/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=world links=runtime long=1200 */
/*
 * A stop at any moment: on each core some actors do one thing after the other, which are timers,
 * calls that are answered at once or later, waits for units, for signals and for room or items of a
 * queue, with deadlines and abort sources, and operations on files. The program is told to stop,
 * and each core ends what its actors have begun.
 *
 * What may fail: files, with -EIO, half done or interrupted; cores stand still; what is cancelled
 * may be too late; several cores stop the program at once.
 *
 * What holds: each function is called once, and none after its actor was over; no timer is early;
 * what was taken into a queue comes out once; in the end nothing is pending.
 */
#include "sim/world.h"

#include <vine/abort.h>
#include <vine/condition.h>
#include <vine/error.h>
#include <vine/file.h>
#include <vine/queue.h>
#include <vine/semaphore.h>

#include "utils/container_of.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define RUNS       4000
#define RUNS_PLANT 400
#define ACTORS     8 /* of each core */
#define SLOTS      2
#define BYTES      3000
#define ITEMS      8192

static enum { PLANT_NONE, PLANT_TIMER, PLANT_FORGETS, PLANT_REPLY } plant;

enum { TIMER, CALL, UNITS, SIGNAL, PUSH, POP, OPEN, WRITE, READ, SYNC, CLOSE, KINDS };

struct actor {
    struct vine_timer timer, answer;
    struct vine_core_call call;
    struct vine_reply reply;
    struct vine_waiting waiting;
    struct vine_file_op op;
    struct vine_file file;
    uint64_t due_ns;
    uint32_t core, kind;
    bool is_under_way, is_over;
    char path[16];
    unsigned char bytes[BYTES];
};

struct side { /* of a core */
    struct vine_stopper stopper;
    struct vine_semaphore units;
    struct vine_condition signal;
    struct vine_queue queue;
    struct vine_abort_source source;
    void *slots[SLOTS];
    uint64_t pushed, popped; /* items are numbers */
    bool came[ITEMS];
    uint32_t actors_left;
    bool is_stopping;
    struct actor actors[ACTORS];
};

static struct {
    struct side sides[WORLD_CORES_MAX];
    uint32_t begun; /* sides */
} program;

static void act(struct actor *actor);

static struct side *here(void)
{
    return &program.sides[vine_core()];
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void look_at_end(struct side *side)
{
    if (side->actors_left > 0)
        return;
    world_holds(side->pushed - side->popped <= SLOTS, "%llu items went in and %llu came out",
                (unsigned long long)side->pushed, (unsigned long long)side->popped);
    vine_semaphore_fini(&side->units);
    vine_condition_fini(&side->signal);
    vine_queue_fini(&side->queue);
    vine_abort_source_fini(&side->source);
    vine_stopper_done(&side->stopper);
}

static void end(struct actor *actor, int64_t result)
{
    world_trace(actor->kind, (uint64_t)result);
    world_holds(actor->is_under_way && !actor->is_over, "what is over ends once more: kind %u",
                actor->kind);
    actor->is_under_way = false;
    act(actor);
}

static void on_timer(struct vine_timer *timer)
{
    struct actor *const actor = VINE_CONTAINER_OF(timer, struct actor, timer);

    world_holds(world.now_ns >= actor->due_ns, "a timer is early");
    end(actor, 0);
}

static void on_answered(struct vine_core_call *call)
{
    struct actor *const actor = VINE_CONTAINER_OF(call, struct actor, call);

    world_holds(vine_core_call_result(call) == 42, "a call is answered with %lld",
                (long long)vine_core_call_result(call));
    end(actor, 42);
}

static void on_waited(struct vine_waiting *waiting)
{
    struct actor *const actor = VINE_CONTAINER_OF(waiting, struct actor, waiting);
    struct side *const side = here();
    const int result = waiting->result;

    world_holds(result == 0 || result == -ETIMEDOUT || result == -ECANCELED ||
                    (result == -VINE_ECLOSED && side->is_stopping),
                "a wait ends with %d", result);
    if (result == 0 && actor->kind == UNITS)
        vine_semaphore_signal(&side->units, 1);
    if (result == 0 && actor->kind == POP) {
        const uint64_t item = (uintptr_t)vine_queue_item(waiting);

        world_holds(item >= 1 && item <= side->pushed && !side->came[item % ITEMS],
                    "item %llu of %llu comes twice", (unsigned long long)item,
                    (unsigned long long)side->pushed);
        side->came[item % ITEMS] = true;
        side->popped++;
    }
    end(actor, result);
}

static void on_file(struct vine_file_op *op)
{
    struct actor *const actor = VINE_CONTAINER_OF(op, struct actor, op);
    const int64_t result = vine_file_result(op);

    world_holds(result >= 0 || result == -EIO || result == -ECANCELED, "a file ends with %lld",
                (long long)result);
    end(actor, result);
}

/* ---- what is done ---------------------------------------------------------------------------- */

static void answer_now(struct vine_timer *timer)
{
    struct actor *const actor = VINE_CONTAINER_OF(timer, struct actor, answer);

    vine_core_call_reply(actor->reply, 42);
}

static int64_t be_called(void *argument)
{
    struct actor *const actor = argument;

    if (world_chance(2) == 0)
        return 42;
    actor->reply = vine_core_call_defer();
    if (plant == PLANT_REPLY && world_chance(50) == 0)
        return 42; /* and nobody answers */
    vine_timer_init(&actor->answer, VINE_CLOCK_STEADY, answer_now);
    vine_timer_arm_after(&actor->answer, world_between(0, 2 * MS));
    return 0;
}

static void begin_timer(struct actor *actor)
{
    const enum vine_clock clock = world_chance(2) == 0 ? VINE_CLOCK_STEADY : VINE_CLOCK_COARSE;
    const uint64_t delay_ns = world_between(0, 3 * MS);

    actor->due_ns = vine_clock_now(clock) + delay_ns;
    vine_timer_init(&actor->timer, clock, on_timer);
    vine_timer_arm_after(&actor->timer, delay_ns);
    if (world_chance(4) == 0) { /* once more, and at another time */
        actor->due_ns = vine_clock_now(clock) + 2 * delay_ns;
        vine_timer_arm_at(&actor->timer, actor->due_ns);
    }
}

static void begin_wait(struct actor *actor)
{
    struct side *const side = here();

    vine_waiting_init(&actor->waiting, on_waited);
    if (world_chance(2) == 0)
        vine_waiting_set_deadline(&actor->waiting,
                                  vine_clock_now(VINE_CLOCK_COARSE) + world_between(0, 20 * MS));
    if (world_chance(2) == 0)
        vine_waiting_set_abort(&actor->waiting, &side->source);
    if (actor->kind == UNITS)
        vine_semaphore_wait(&side->units, &actor->waiting, world_between(1, 2));
    else if (actor->kind == SIGNAL)
        vine_condition_wait(&side->signal, &actor->waiting);
    else
        vine_queue_pop(&side->queue, &actor->waiting);
}

static void push(struct side *side)
{
    if (side->pushed + 1 < ITEMS &&
        vine_queue_try_push(&side->queue, (void *)(uintptr_t)(side->pushed + 1)) == 0)
        side->pushed++;
}

static void begin_file(struct actor *actor)
{
    const uint64_t offset = world_chance(5000);
    const uint64_t size = world_between(1, BYTES);
    struct vine_file_op *const op = &actor->op;

    vine_file_op_init(op, on_file);
    if (actor->kind == OPEN)
        vine_file_open(op, &actor->file, NULL, actor->path,
                       O_RDWR | O_CREAT | (world_chance(2) == 0 ? O_DIRECT : 0), 0600);
    else if (actor->kind == WRITE)
        vine_file_write(op, &actor->file, actor->bytes, size, offset);
    else if (actor->kind == READ)
        vine_file_read(op, &actor->file, actor->bytes, size, offset);
    else if (actor->kind == SYNC)
        vine_file_sync(op, &actor->file, 0);
    else
        vine_file_close(op, &actor->file);
}

static void begin(struct actor *actor)
{
    struct side *const side = here();

    actor->is_under_way = true;
    if (actor->kind == TIMER)
        begin_timer(actor);
    else if (actor->kind == CALL)
        vine_core_call(&actor->call, (uint32_t)world_chance(world.core_count), be_called, actor,
                       on_answered);
    else if (actor->kind < OPEN)
        begin_wait(actor);
    else
        begin_file(actor);
    if (world_chance(8) == 0 && actor->kind >= OPEN && actor->kind != CLOSE)
        vine_file_cancel(&actor->op);
    if (world_chance(8) == 0 && (actor->kind == UNITS || actor->kind == SIGNAL))
        (void)vine_waiting_cancel(&actor->waiting);
    if (world_chance(2) == 0)
        vine_condition_signal(&side->signal);
    push(side);
}

static void act(struct actor *actor)
{
    struct side *const side = here();

    actor->kind = (uint32_t)world_chance(KINDS);
    if (actor->kind == PUSH)
        actor->kind = POP;
    if (actor->kind > OPEN && !actor->file.is_open)
        actor->kind = OPEN;
    if (actor->kind == OPEN && actor->file.is_open)
        actor->kind = WRITE;
    if (side->is_stopping && actor->file.is_open) {
        actor->kind = CLOSE;
    } else if (side->is_stopping) {
        actor->is_over = true;
        side->actors_left--;
        look_at_end(side);
        return;
    }
    begin(actor);
}

/* ---- the stop -------------------------------------------------------------------------------- */

static void stop_actor(struct actor *actor)
{
    if (!actor->is_under_way || (plant == PLANT_FORGETS && actor->kind == SIGNAL))
        return;
    if (actor->kind == TIMER) {
        const bool is_cancelled = plant == PLANT_TIMER || vine_timer_cancel(&actor->timer);

        world_holds(is_cancelled, "a timer that was not called cannot be cancelled");
        end(actor, -ECANCELED);
    } else if (actor->kind == UNITS || actor->kind == SIGNAL || actor->kind == POP) {
        (void)vine_waiting_cancel(&actor->waiting);
    } else if (actor->kind >= OPEN && actor->kind != CLOSE) {
        vine_file_cancel(&actor->op);
    }
}

static void stop_side(struct vine_stopper *stopper)
{
    struct side *const side = VINE_CONTAINER_OF(stopper, struct side, stopper);

    side->is_stopping = true;
    vine_semaphore_break(&side->units);
    if (plant != PLANT_FORGETS)
        vine_condition_break(&side->signal);
    vine_queue_close(&side->queue);
    for (uint32_t i = 0; i < ACTORS; i++)
        stop_actor(&side->actors[i]);
}

static int64_t begin_side(void *nothing)
{
    struct side *const side = here();

    (void)nothing;
    vine_semaphore_init(&side->units, 2);
    vine_condition_init(&side->signal);
    vine_queue_init(&side->queue, side->slots, SLOTS);
    vine_abort_source_init(&side->source);
    vine_at_stop(&side->stopper, stop_side);
    side->actors_left = ACTORS;
    program.begun++;
    for (uint32_t i = 0; i < ACTORS; i++) {
        struct actor *const actor = &side->actors[i];

        actor->core = vine_core();
        (void)snprintf(actor->path, sizeof(actor->path), "/%u.%u", vine_core(), i);
        act(actor);
    }
    return 0;
}

static int64_t stop_here(void *nothing)
{
    (void)nothing;
    vine_abort_request(&here()->source);
    vine_stop(0);
    return 0;
}

static void run(uint64_t seed)
{
    struct world_options options = {.pause_chance = seed % 3 == 0 ? 10 : 0};

    options.disk_short = 100;
    options.disk_interrupt = 30;
    options.disk_read_error = 10;
    options.disk_write_error = 10;
    options.disk_sync_error = 10;
    options.backlog_max = seed % 4 == 0 ? 4 : 0;
    memset(&program, 0, sizeof(program));
    world_open(seed, &options);
    for (uint32_t core = 0; core < world.core_count; core++)
        if (vine_submit_to(core, begin_side, NULL) != 0)
            world_break("no place for a call");
    while (program.begun < world.core_count)
        world_run_for(10 * US);
    world_run_for(world_between(0, seed % 8 == 0 ? 60 * MS : 5 * MS));
    for (uint32_t core = 0; core < world.core_count; core++)
        if (core == 0 || world_chance(3) == 0)
            if (vine_submit_to(core, stop_here, NULL) != 0)
                world_break("no place for a call");
    world_run();
    for (uint32_t core = 0; core < world.core_count; core++)
        world_holds(program.sides[core].actors_left == 0, "core %u has %u actors left", core,
                    program.sides[core].actors_left);
    world_close();
}

static void all_that_was_begun_ends_once_whenever_the_program_stops(void **state)
{
    (void)state;
    plant = PLANT_NONE;
    world_try_seeds(run, RUNS);
}

static void a_seed_makes_the_same_trace_twice(void **state)
{
    (void)state;
    plant = PLANT_NONE;
    world_try_traces(run);
}

static void a_timer_that_is_given_up_and_not_cancelled_is_found_out(void **state)
{
    (void)state;
    plant = PLANT_TIMER;
    assert_true(world_finds(run, RUNS_PLANT));
}

static void a_wait_that_nobody_ends_is_found_out(void **state)
{
    (void)state;
    plant = PLANT_FORGETS;
    assert_true(world_finds(run, RUNS_PLANT));
}

static void a_call_that_nobody_answers_is_found_out(void **state)
{
    (void)state;
    plant = PLANT_REPLY;
    assert_true(world_finds(run, RUNS_PLANT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_was_begun_ends_once_whenever_the_program_stops),
        cmocka_unit_test(a_seed_makes_the_same_trace_twice),
        cmocka_unit_test(a_timer_that_is_given_up_and_not_cancelled_is_found_out),
        cmocka_unit_test(a_wait_that_nobody_ends_is_found_out),
        cmocka_unit_test(a_call_that_nobody_answers_is_found_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
