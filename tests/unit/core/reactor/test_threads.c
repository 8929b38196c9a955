/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Reactors in threads of their own, and threads that are no reactor beside them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include <vine/foreign.h>

#include "core/reactor/reactor.h"
#include "utils/atomic.h"
#include "utils/container_of.h"

#define CORES       3
#define CALLS       20000
#define ALIENS      3
#define ALIEN_CALLS 2000

struct thread {
    pthread_t id;
    uint32_t core;
};

static struct vine__mesh *mesh;
static struct vine__reactor *reactors[CORES];
static struct thread threads[CORES];
static pthread_barrier_t barrier;
static void (*first_work)(struct vine_work *work);
static struct vine_work first;

static void *run(void *context)
{
    const uint32_t core = ((struct thread *)context)->core;
    const struct vine__poller_options options = {.queue_depth = 32};
    struct vine__poller *poller;

    assert_int_equal(vine__poller_create(&poller, &options), 0);
    assert_int_equal(vine__reactor_create(&reactors[core], mesh, core, poller), 0);
    (void)pthread_barrier_wait(&barrier);
    if (core == 0 && first_work != NULL) {
        (void)vine__reactor_enter(reactors[0]);
        vine_work_init(&first, first_work);
        vine_work_post(&first);
    }
    vine__reactor_run(reactors[core]);
    if (core == 0)
        vine__mesh_open_to_aliens(NULL); /* none is on its way to a reactor that goes */
    (void)pthread_barrier_wait(&barrier);
    vine__reactor_destroy(reactors[core]);
    return NULL;
}

static void start(void (*work)(struct vine_work *work), const struct vine__mesh_options *wish)
{
    struct vine__mesh_options options = *wish;

    options.core_count = CORES;
    first_work = work;
    assert_int_equal(vine__mesh_create(&mesh, &options), 0);
    (void)pthread_barrier_init(&barrier, NULL, CORES + 1);
    for (uint32_t core = 0; core < CORES; core++) {
        threads[core].core = core;
        assert_int_equal(pthread_create(&threads[core].id, NULL, run, &threads[core]), 0);
    }
    (void)pthread_barrier_wait(&barrier);
    vine__mesh_open_to_aliens(mesh);
}

static int join(void)
{
    int code;

    (void)pthread_barrier_wait(&barrier);
    for (uint32_t core = 0; core < CORES; core++)
        (void)pthread_join(threads[core].id, NULL);
    (void)pthread_barrier_destroy(&barrier);
    code = vine__mesh_exit_code(mesh);
    vine__mesh_destroy(mesh);
    return code;
}

static struct vine_core_call calls[16];
static uint64_t calls_made, calls_ended, results;

static int64_t add_one(void *argument)
{
    return (int64_t)(uintptr_t)argument + 1;
}

static void call_on(struct vine_core_call *call)
{
    if (call->done != NULL) {
        calls_ended++;
        results += (uint64_t)vine_core_call_result(call);
    }
    if (calls_made < CALLS) {
        const uint32_t core = (uint32_t)(calls_made % CORES);

        calls_made++;
        vine_core_call(call, core, add_one, (void *)(uintptr_t)calls_made, call_on);
    } else if (calls_ended == CALLS) {
        vine_stop(5);
    }
}

static void make_calls(struct vine_work *work)
{
    (void)work;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        calls[i] = (struct vine_core_call){0};
        call_on(&calls[i]);
    }
}

static void calls_among_running_cores_all_end(void **state)
{
    const struct vine__mesh_options options = {.idle_poll_ns = 20000};

    (void)state;
    calls_made = calls_ended = results = 0;
    start(make_calls, &options);
    assert_int_equal(join(), 5);
    assert_int_equal(calls_ended, CALLS);
    assert_int_equal(results, (uint64_t)CALLS * (CALLS + 1) / 2 + CALLS);
}

static void and_so_they_do_when_everybody_sleeps_at_once(void **state)
{
    const struct vine__mesh_options options = {.idle_poll_ns = 0};

    (void)state;
    calls_made = calls_ended = results = 0;
    start(make_calls, &options);
    assert_int_equal(join(), 5);
    assert_int_equal(calls_ended, CALLS);
    assert_int_equal(results, (uint64_t)CALLS * (CALLS + 1) / 2 + CALLS);
}

/* ---- order ----------------------------------------------------------------------------------- */

#define BURST  3 /* the first one travels alone, and the replies to the others by the ring */
#define BURSTS 40000

/* What two cores ask of each other. */
struct asker {
    struct vine_core_call calls[BURST];
    uint64_t asked;
    uint32_t away;
    /* The other core's. */
    uint64_t begun, out_of_order;
};

static struct asker askers[2];
static struct vine_core_call starts[2];
static uint32_t askers_ended; /* core 0's */

static int64_t begin_next(void *number)
{
    struct asker *const asker = &askers[1 - vine_core()];

    asker->out_of_order += (uint64_t)(uintptr_t)number != asker->begun;
    asker->begun++;
    return 0;
}

static int64_t end_asker(void *argument)
{
    (void)argument;
    if (++askers_ended == 2)
        vine_stop(9);
    return 0;
}

static void ask_burst(struct asker *asker);

static void see_begun(struct vine_core_call *call)
{
    struct asker *const asker = &askers[vine_core()];

    (void)call;
    if (--asker->away > 0)
        return;
    if (asker->asked < BURSTS * BURST)
        ask_burst(asker);
    else
        assert_int_equal(vine_submit_to(0, end_asker, NULL), 0);
}

static void ask_burst(struct asker *asker)
{
    asker->away = BURST;
    for (uint32_t i = 0; i < BURST; i++)
        vine_core_call(&asker->calls[i], 1 - vine_core(), begin_next,
                       (void *)(uintptr_t)asker->asked++, see_begun);
}

static int64_t begin_to_ask(void *argument)
{
    (void)argument;
    ask_burst(&askers[vine_core()]);
    return 0;
}

static void see_begun_to_ask(struct vine_core_call *call)
{
    (void)call;
}

static void have_both_ask(struct vine_work *work)
{
    (void)work;
    for (uint32_t core = 0; core < 2; core++)
        vine_core_call(&starts[core], core, begin_to_ask, NULL, see_begun_to_ask);
}

static void calls_begin_in_order_while_replies_go_the_same_way(void **state)
{
    const struct vine__mesh_options options = {.idle_poll_ns = 20000};

    (void)state;
    start(have_both_ask, &options);
    assert_int_equal(join(), 9);
    for (uint32_t core = 0; core < 2; core++) {
        assert_int_equal(askers[core].begun, BURSTS * BURST);
        assert_int_equal(askers[core].out_of_order, 0);
    }
}

/* ---- foreign objects ------------------------------------------------------------------------- */

#define OBJECTS 3000

struct object {
    struct vine_foreign foreign;
    struct vine_core_call call;
};

static struct object objects[OBJECTS];
static uint32_t objects_destroyed, objects_destroyed_elsewhere;

static void destroy_object(struct vine_foreign *foreign)
{
    (void)foreign;
    objects_destroyed++;
    objects_destroyed_elsewhere += vine_core() != 0;
    if (objects_destroyed == OBJECTS)
        vine_stop(7);
}

static int64_t release_object(void *argument)
{
    struct object *const object = argument;

    vine_foreign_release(&object->foreign);
    return 0;
}

static void see_released(struct vine_core_call *call)
{
    (void)call;
}

static void hand_out_objects(struct vine_work *work)
{
    (void)work;
    for (uint32_t i = 0; i < OBJECTS; i++) {
        vine_foreign_init(&objects[i].foreign, destroy_object);
        vine_core_call(&objects[i].call, i % CORES, release_object, &objects[i], see_released);
    }
}

static void objects_come_home_from_running_cores(void **state)
{
    const struct vine__mesh_options options = {.idle_poll_ns = 0};

    (void)state;
    start(hand_out_objects, &options);
    assert_int_equal(join(), 7);
    assert_int_equal(objects_destroyed, OBJECTS);
    assert_int_equal(objects_destroyed_elsewhere, 0);
}

/* ---- aliens ---------------------------------------------------------------------------------- */

static uint64_t counted[CORES];

static int64_t count_up(void *argument)
{
    (void)argument;
    return (int64_t)++counted[vine_core()];
}

static int64_t stop(void *argument)
{
    (void)argument;
    vine_stop(6);
    return 0;
}

static void *be_alien(void *nothing)
{
    int64_t result = 0;

    (void)nothing;
    for (uint32_t i = 0; i < ALIEN_CALLS; i++) {
        assert_int_equal(vine_alien_submit_to(i % CORES, count_up, NULL), 0);
        if (i % 16 == 0) {
            assert_int_equal(vine_alien_call(i % CORES, count_up, NULL, &result), 0);
            assert_true(result > 0);
        }
    }
    return NULL;
}

static int64_t read_count(void *argument)
{
    (void)argument;
    return (int64_t)counted[vine_core()];
}

static void threads_that_are_no_reactor_call_and_wait(void **state)
{
    const struct vine__mesh_options options = {.idle_poll_ns = 0};
    pthread_t aliens[ALIENS];
    int64_t total = 0;
    int64_t result;

    (void)state;
    for (uint32_t core = 0; core < CORES; core++)
        counted[core] = 0;
    start(NULL, &options);
    for (uint32_t i = 0; i < ALIENS; i++)
        assert_int_equal(pthread_create(&aliens[i], NULL, be_alien, NULL), 0);
    for (uint32_t i = 0; i < ALIENS; i++)
        (void)pthread_join(aliens[i], NULL);
    assert_int_equal(vine_alien_call(CORES, count_up, NULL, &result), -EINVAL);
    for (uint32_t core = 0; core < CORES; core++) {
        assert_int_equal(vine_alien_call(core, read_count, NULL, &result), 0);
        total += result;
    }
    assert_int_equal(total, ALIENS * (ALIEN_CALLS + ALIEN_CALLS / 16));
    assert_int_equal(vine_alien_submit_to(1, stop, NULL), 0);
    assert_int_equal(join(), 6);
    assert_int_equal(vine_alien_submit_to(0, count_up, NULL), -ESHUTDOWN);
    assert_int_equal(vine_alien_call(0, count_up, NULL, &result), -ESHUTDOWN);
}

/* Takes the call, never answers, and has all stop. */
static int64_t never_answer(void *argument)
{
    (void)argument;
    (void)vine_core_call_defer();
    vine_stop(8);
    return 0;
}

static void *call_who_never_answers(void *ret_error)
{
    int64_t result = 0;

    *(int *)ret_error = vine_alien_call(1, never_answer, NULL, &result);
    return NULL;
}

static void who_waits_for_an_answer_hears_that_all_have_stopped(void **state)
{
    const struct vine__mesh_options options = {.idle_poll_ns = 0};
    pthread_t alien;
    int error = 0;

    (void)state;
    start(NULL, &options);
    assert_int_equal(pthread_create(&alien, NULL, call_who_never_answers, &error), 0);
    assert_int_equal(join(), 8);
    (void)pthread_join(alien, NULL);
    assert_int_equal(error, -ESHUTDOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_among_running_cores_all_end),
        cmocka_unit_test(and_so_they_do_when_everybody_sleeps_at_once),
        cmocka_unit_test(calls_begin_in_order_while_replies_go_the_same_way),
        cmocka_unit_test(objects_come_home_from_running_cores),
        cmocka_unit_test(threads_that_are_no_reactor_call_and_wait),
        cmocka_unit_test(who_waits_for_an_answer_hears_that_all_have_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
