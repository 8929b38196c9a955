/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=world links=runtime long=1200 */
/*
 * A store of keys whose shards are the cores, over core/reactor and core/sync as they are: all
 * cores have clients, which call the core of a key, and cores call each other both ways at once. A
 * shard answers at once or later; it takes only so many requests at a time (a semaphore), and
 * copies each write to the next core before it answers. Of one key there is one write at a time.
 *
 * What may fail: rings and the backlog are full, cores stand still, patience ends while a request
 * waits for its units; the program stops in the middle of all this.
 *
 * What holds: each call ends once; each key is linearizable: a read has the value of the last write
 * that ended before it began, or of one that ran beside it; at the end each write that was
 * acknowledged is in the shard, and in its copy. Nothing is left.
 */
#include "sim/world.h"

#include <vine/error.h>
#include <vine/gate.h>
#include <vine/semaphore.h>
#include <vine/sharded.h>

#include "utils/container_of.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RUNS        4000
#define RUNS_PLANT  400
#define KEYS        12
#define CLIENTS_MAX 500
#define REQUESTS    12
#define UNITS       3

/* Requests of one core that may be at one shard. A call that is answered later counts among those
 * that may be in flight (64) until then: were there as many requests as that, the copies by which a
 * shard answers them would find no place among those of the other direction. */
#define AT_SHARD 56

static enum { PLANT_NONE, PLANT_STALE, PLANT_EARLY, PLANT_LOST, PLANT_UNIT } plant;

/* Of one core. */
struct shard {
    uint64_t values[KEYS]; /* of the keys that are this core's */
    uint64_t before[KEYS]; /* what they were before the last write */
    uint64_t copies[KEYS]; /* of those of the core before it */
    struct vine_semaphore room;
    struct vine_gate gate;
    struct vine_waiting closing;
    struct vine_reply stopped;
};

struct request {
    struct vine_core_call call, copy;
    struct vine_waiting waiting;
    struct vine_work work;
    struct vine_timer timer;
    struct vine_reply reply;
    struct shard *shard;
    uint32_t key, turns;
    uint64_t value; /* written; 0: a read */
    uint64_t found;
    uint64_t oldest; /* of a read: the last write that had ended when it began */
    bool is_under_way;
};

struct client {
    struct request request;
    struct vine_core_call over;
    struct client *next; /* of those whose request waits for its shard */
    uint32_t core, left;
};

/* What a core has at a shard. */
struct way {
    uint32_t count;
    struct client *first, **last;
};

/* Writes of a key are numbers that grow: by order of their beginning. */
struct key {
    uint64_t begun;        /* the last number that was handed out */
    uint64_t acknowledged; /* the greatest value that was in the shard for sure */
    bool is_written;       /* by one client at a time, so that numbers are an order */
};

static struct {
    struct vine_sharded *shards;
    struct client clients[CLIENTS_MAX];
    struct key keys[KEYS];
    struct way ways[WORLD_CORES_MAX][WORLD_CORES_MAX];
    uint32_t client_count, clients_left;
    struct vine_stopper stopper;
    struct vine_map_reduce drain;
    struct vine_core_call drains[WORLD_CORES_MAX];
    struct {
        uint64_t values[KEYS], copies[KEYS];
    } ends[WORLD_CORES_MAX];
    bool has_stopped_shards, stops_early, has_begun;
} store;

static void begin_request(struct client *client);
static int64_t one_over(void *nothing);

/* ---- a shard --------------------------------------------------------------------------------- */

static uint32_t core_of(uint32_t key)
{
    return key % world.core_count;
}

static void answer(struct request *request, int64_t result)
{
    struct shard *const shard = request->shard;

    if (plant != PLANT_UNIT || world_chance(100) != 0)
        vine_semaphore_signal(&shard->room, 1);
    vine_core_call_reply(request->reply, result);
    vine_gate_leave(&shard->gate);
}

static void see_copied(struct vine_core_call *call)
{
    struct request *const request = VINE_CONTAINER_OF(call, struct request, copy);

    request->shard->before[request->key] = request->shard->values[request->key];
    request->shard->values[request->key] = request->value;
    if (plant == PLANT_LOST && world_chance(50) == 0)
        request->shard->values[request->key]--;
    answer(request, 0);
}

static int64_t copy_here(void *argument)
{
    const struct request *const request = argument;
    struct shard *const shard = vine_sharded_local(store.shards);

    shard->copies[request->key] = request->value;
    return 0;
}

static void serve(struct request *request)
{
    struct shard *const shard = request->shard;

    if (request->value == 0) {
        request->found =
            plant == PLANT_STALE ? shard->before[request->key] : shard->values[request->key];
        answer(request, 0);
        return;
    }
    if (plant == PLANT_EARLY && world_chance(50) == 0) { /* and it never goes there */
        shard->values[request->key] = request->value;
        answer(request, 0);
        return;
    }
    vine_core_call(&request->copy, (vine_core() + 1) % world.core_count, copy_here, request,
                   see_copied);
}

/* A turn or a few later, or a while. */
static void serve_later(struct vine_work *work)
{
    struct request *const request = VINE_CONTAINER_OF(work, struct request, work);

    if (request->turns-- > 0)
        vine_work_post(work);
    else
        serve(request);
}

static void serve_in_time(struct vine_timer *timer)
{
    serve(VINE_CONTAINER_OF(timer, struct request, timer));
}

static void have_room(struct vine_waiting *waiting)
{
    struct request *const request = VINE_CONTAINER_OF(waiting, struct request, waiting);
    const uint64_t way = world_chance(6);

    if (waiting->result != 0) {
        world_holds(waiting->result == -ETIMEDOUT || waiting->result == -VINE_ECLOSED,
                    "waiting for units ends with %d", waiting->result);
        vine_core_call_reply(request->reply, waiting->result);
        vine_gate_leave(&request->shard->gate);
        return;
    }
    world_holds(vine_semaphore_units(&request->shard->room) < UNITS, "units out of nothing");
    if (way == 0) {
        vine_timer_init(&request->timer, VINE_CLOCK_STEADY, serve_in_time);
        vine_timer_arm_after(&request->timer, world_between(0, 300 * US));
    } else if (way < 3) {
        request->turns = (uint32_t)world_chance(4);
        vine_work_init(&request->work, serve_later);
        vine_work_post(&request->work);
    } else {
        serve(request);
    }
}

static int64_t take_here(void *argument)
{
    struct request *const request = argument;
    struct shard *const shard = vine_sharded_local(store.shards);

    if (shard == NULL)
        return -VINE_ECLOSED;
    const int error = vine_gate_enter(&shard->gate);

    if (error != 0)
        return error;
    request->shard = shard;
    request->reply = vine_core_call_defer();
    vine_waiting_init(&request->waiting, have_room);
    if (world_chance(4) == 0)
        vine_waiting_set_deadline(&request->waiting,
                                  vine_clock_now(VINE_CLOCK_COARSE) + world_between(0, 20 * MS));
    vine_semaphore_wait(&shard->room, &request->waiting, 1);
    return 0;
}

/* ---- clients --------------------------------------------------------------------------------- */

static void see_read(const struct request *request)
{
    world_trace(request->key, request->found);
    world_holds(request->found >= request->oldest,
                "key %u: read %llu, and %llu had been written before", request->key,
                (unsigned long long)request->found, (unsigned long long)request->oldest);
    world_holds(request->found <= store.keys[request->key].begun, "key %u: read %llu of %llu",
                request->key, (unsigned long long)request->found,
                (unsigned long long)store.keys[request->key].begun);
    /* Whoever reads later sees at least that. */
    if (request->found > store.keys[request->key].acknowledged)
        store.keys[request->key].acknowledged = request->found;
}

static void see_answered(struct vine_core_call *call);

static void next_on_way(struct way *way)
{
    struct client *const client = way->first;

    if (client == NULL) {
        way->count--;
        return;
    }
    way->first = client->next;
    vine_core_call(&client->request.call, core_of(client->request.key), take_here, &client->request,
                   see_answered);
}

static void see_answered(struct vine_core_call *call)
{
    struct request *const request = VINE_CONTAINER_OF(call, struct request, call);
    struct key *const key = &store.keys[request->key];
    const int64_t result = vine_core_call_result(call);

    world_holds(request->is_under_way, "a request has ended twice");
    request->is_under_way = false;
    world_holds(result == 0 || result == -ETIMEDOUT || result == -VINE_ECLOSED,
                "a request ends with %lld", (long long)result);
    if (request->value != 0) {
        key->is_written = false;
        if (result == 0 && request->value > key->acknowledged)
            key->acknowledged = request->value;
    } else if (result == 0) {
        see_read(request);
    }
    next_on_way(&store.ways[vine_core()][core_of(request->key)]);
    begin_request(VINE_CONTAINER_OF(request, struct client, request));
}

static void forget(struct vine_core_call *call)
{
    (void)call;
}

/* More calls at once than may be in flight; who is refused has had enough. */
static int64_t be_called(void *nothing)
{
    (void)nothing;
    return 0;
}

static void make_noise(void)
{
    const uint32_t core = (uint32_t)world_chance(world.core_count);

    for (uint32_t i = world_chance(20) == 0 ? 100 : 0; i > 0; i--)
        if (vine_submit_to(core, be_called, NULL) != 0)
            return;
}

static void begin_request(struct client *client)
{
    struct request *const request = &client->request;

    if (client->left-- == 0) {
        vine_core_call(&client->over, 0, one_over, NULL, forget);
        return;
    }
    request->key = (uint32_t)world_chance(KEYS);
    struct key *const key = &store.keys[request->key];

    request->value = 0;
    request->oldest = key->acknowledged;
    if (!key->is_written && world_chance(2) == 0) {
        key->is_written = true;
        request->value = ++key->begun;
    }
    request->is_under_way = true;
    make_noise();
    struct way *const way = &store.ways[client->core][core_of(request->key)];

    if (way->count < AT_SHARD) {
        way->count++;
        vine_core_call(&request->call, core_of(request->key), take_here, request, see_answered);
        return;
    }
    if (way->first == NULL)
        way->last = &way->first;
    client->next = NULL;
    *way->last = client;
    way->last = &client->next;
}

static int64_t begin_clients(void *nothing)
{
    (void)nothing;
    for (uint32_t i = 0; i < store.client_count; i++)
        if (store.clients[i].core == vine_core())
            begin_request(&store.clients[i]);
    return 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void start_shard(void *instance, void *argument, struct vine_reply reply)
{
    struct shard *const shard = instance;

    (void)argument;
    vine_semaphore_init(&shard->room, UNITS);
    vine_gate_init(&shard->gate);
    vine_core_call_reply(reply, 0);
}

/* What the shards held at their end, against what clients were told by then. */
static void check(void)
{
    for (uint32_t key = 0; key < KEYS; key++) {
        const struct key *const known = &store.keys[key];
        const uint64_t value = store.ends[core_of(key)].values[key];
        const uint64_t copy = store.ends[(core_of(key) + 1) % world.core_count].copies[key];

        world_trace(key, value);
        world_holds(value >= known->acknowledged && value <= known->begun,
                    "key %u holds %llu at the end: %llu were acknowledged", key,
                    (unsigned long long)value, (unsigned long long)known->acknowledged);
        world_holds(copy >= known->acknowledged,
                    "the copy of key %u holds %llu at the end: %llu were acknowledged", key,
                    (unsigned long long)copy, (unsigned long long)known->acknowledged);
    }
}

static void stop_shard(void *instance, void *argument, struct vine_reply reply)
{
    struct shard *const shard = instance;

    (void)argument;
    world_holds(vine_semaphore_units(&shard->room) == UNITS, "%llu of %u units are back",
                (unsigned long long)vine_semaphore_units(&shard->room), UNITS);
    memcpy(store.ends[vine_core()].values, shard->values, sizeof(shard->values));
    memcpy(store.ends[vine_core()].copies, shard->copies, sizeof(shard->copies));
    vine_semaphore_fini(&shard->room);
    vine_gate_fini(&shard->gate);
    vine_core_call_reply(reply, 0);
}

static void look_at_end(void)
{
    if (store.has_stopped_shards && store.clients_left == 0)
        vine_stopper_done(&store.stopper);
}

static void shards_stopped(struct vine_sharded *sharded, void *argument)
{
    (void)argument;
    world_holds(vine_sharded_result(sharded) == 0, "stopping ends with %d",
                vine_sharded_result(sharded));
    store.has_stopped_shards = true;
    look_at_end();
}

static void shard_is_empty(struct vine_waiting *waiting)
{
    vine_core_call_reply(VINE_CONTAINER_OF(waiting, struct shard, closing)->stopped, 0);
}

static int64_t drain_here(void *nothing)
{
    struct shard *const shard = vine_sharded_local(store.shards);

    (void)nothing;
    shard->stopped = vine_core_call_defer();
    vine_waiting_init(&shard->closing, shard_is_empty);
    vine_gate_close(&shard->gate, &shard->closing);
    vine_semaphore_break(&shard->room);
    return 0;
}

static void all_are_empty(struct vine_map_reduce *drain)
{
    (void)drain;
    vine_sharded_stop(store.shards, shards_stopped);
}

/* No shard goes while another may still copy to it: first all of them are left, then they stop. */
static void stop_store(struct vine_stopper *stopper)
{
    (void)stopper;
    store.drain = (struct vine_map_reduce){.map = drain_here, .done = all_are_empty};
    vine_map_reduce(&store.drain, store.drains);
}

static int64_t one_over(void *nothing)
{
    (void)nothing;
    store.clients_left--;
    if (store.clients_left == 0 && !store.stops_early)
        vine_stop(0);
    look_at_end();
    return 0;
}

static void shards_started(struct vine_sharded *sharded, void *argument)
{
    (void)argument;
    world_holds(vine_sharded_result(sharded) == 0, "starting ends with %d",
                vine_sharded_result(sharded));
    store.has_begun = true;
    vine_at_stop(&store.stopper, stop_store);
    for (uint32_t core = 0; core < world.core_count; core++)
        if (vine_submit_to(core, begin_clients, NULL) != 0)
            world_break("no place for a call");
}

static void make_clients(void)
{
    store.client_count = (uint32_t)world_between(1, world_chance(4) == 0 ? CLIENTS_MAX : 20);
    store.clients_left = store.client_count;
    for (uint32_t i = 0; i < store.client_count; i++) {
        store.clients[i].core = (uint32_t)world_chance(world.core_count);
        store.clients[i].left = (uint32_t)world_between(1, REQUESTS);
    }
}

static void run(uint64_t seed)
{
    const struct vine_sharded_options shards = {
        .size_bytes = sizeof(shards),
        .instance_bytes = sizeof(struct shard),
        .start = start_shard,
        .stop = stop_shard,
    };
    const struct world_options options = {
        .backlog_max = seed % 4 == 0 ? 2 : 0,
        .pause_chance = seed % 3 == 0 ? 20 : 0,
    };

    memset(&store, 0, sizeof(store));
    world_open(seed, &options);
    make_clients();
    store.stops_early = world_chance(3) == 0;
    if (vine_sharded_create(&store.shards, &shards) != 0)
        world_break("no memory");
    vine_sharded_start(store.shards, shards_started);
    while (!store.has_begun)
        world_run_for(10 * US);
    if (store.stops_early) {
        world_run_for(world_between(0, 3 * MS));
        vine_stop(0);
    }
    world_run();
    check();
    vine_sharded_destroy(store.shards);
    world_close();
}

static void each_key_is_linearizable_and_no_acknowledged_write_is_lost(void **state)
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

static void a_read_of_the_value_before_is_found_out(void **state)
{
    (void)state;
    plant = PLANT_STALE;
    assert_true(world_finds(run, RUNS_PLANT));
}

static void an_answer_without_a_copy_is_found_out(void **state)
{
    (void)state;
    plant = PLANT_EARLY;
    assert_true(world_finds(run, RUNS_PLANT));
}

static void a_write_that_is_lost_is_found_out(void **state)
{
    (void)state;
    plant = PLANT_LOST;
    assert_true(world_finds(run, RUNS_PLANT));
}

static void a_unit_that_is_kept_is_found_out(void **state)
{
    (void)state;
    plant = PLANT_UNIT;
    assert_true(world_finds(run, RUNS_PLANT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_is_linearizable_and_no_acknowledged_write_is_lost),
        cmocka_unit_test(a_seed_makes_the_same_trace_twice),
        cmocka_unit_test(a_read_of_the_value_before_is_found_out),
        cmocka_unit_test(an_answer_without_a_copy_is_found_out),
        cmocka_unit_test(a_write_that_is_lost_is_found_out),
        cmocka_unit_test(a_unit_that_is_kept_is_found_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
