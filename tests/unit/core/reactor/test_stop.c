/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
#include "harness/assertion.h"
#include "harness/stepped.h"

#include "utils/container_of.h"

#define CORES 3

static struct stepped world;
static struct vine__mesh_options options;
static int order[16];
static int order_count;

struct service {
    struct vine_stopper stopper;
    int number;
};

static int set_up(void **state)
{
    (void)state;
    order_count = 0;
    options = (struct vine__mesh_options){.stop_limit_ns = VINE_NS_PER_SECOND};
    stepped_open(&world, CORES, 5, &options);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stepped_close(&world);
    return 0;
}

static bool all_have_stopped(void)
{
    for (uint32_t core = 0; core < CORES; core++)
        if (!vine__reactor_has_stopped(world.reactors[core]))
            return false;
    return true;
}

static void stop_service(struct vine_stopper *stopper)
{
    order[order_count++] = VINE_CONTAINER_OF(stopper, struct service, stopper)->number;
    vine_stopper_done(stopper);
}

static void who_stops_gives_the_code(void **state)
{
    (void)state;
    vine_stop(3);
    assert_false(all_have_stopped());
    stepped_settle(&world);
    assert_true(all_have_stopped());
    assert_int_equal(vine__mesh_exit_code(world.mesh), 3);
    assert_false(vine__mesh_was_cut_short(world.mesh));
}

static void the_first_to_stop_counts(void **state)
{
    (void)state;
    (void)vine__reactor_enter(world.reactors[2]);
    vine_stop(1);
    (void)stepped_step(&world, 2);
    (void)stepped_step(&world, 0);
    (void)vine__reactor_enter(world.reactors[1]);
    vine_stop(9);
    vine_stop(10);
    stepped_settle(&world);
    assert_true(all_have_stopped());
    assert_int_equal(vine__mesh_exit_code(world.mesh), 1);
}

static void services_stop_in_the_reverse_order_of_their_start(void **state)
{
    struct service services[4];

    (void)state;
    for (int i = 0; i < 4; i++) {
        services[i].number = i;
        vine_at_stop(&services[i].stopper, stop_service);
    }
    vine_stop(0);
    stepped_settle(&world);
    assert_int_equal(order_count, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(order[i], 3 - i);
}

static struct vine_stopper *slow;

static void stop_slowly(struct vine_stopper *stopper)
{
    slow = stopper;
}

static void a_service_may_take_its_time(void **state)
{
    struct service quick = {.number = 1};
    struct service late = {.number = 2};

    (void)state;
    vine_at_stop(&quick.stopper, stop_service);
    vine_at_stop(&late.stopper, stop_slowly);
    vine_stop(0);
    stepped_settle(&world);
    assert_int_equal(order_count, 0);
    assert_false(all_have_stopped());
    (void)vine__reactor_enter(world.reactors[0]);
    vine_stopper_done(slow);
    stepped_settle(&world);
    assert_int_equal(order_count, 1);
    assert_true(all_have_stopped());
}

static void ending_what_was_slow(void)
{
    vine_stopper_done(slow);
}

static void ending_what_was_slow_twice(void)
{
    vine_stopper_done(slow);
    vine_stopper_done(slow);
}

static void what_has_stopped_says_so_once_and_not_before_it_was_asked(void **state)
{
    struct service quick = {.number = 1};
    struct service late = {.number = 2};

    (void)state;
    vine_at_stop(&quick.stopper, stop_service);
    vine_at_stop(&late.stopper, stop_slowly);
    slow = &late.stopper;
    assert_true(child_fails_an_assertion(ending_what_was_slow));
    vine_stop(0);
    stepped_settle(&world);
    (void)vine__reactor_enter(world.reactors[0]);
    assert_true(child_fails_an_assertion(ending_what_was_slow_twice));
    vine_stopper_done(slow);
    assert_true(child_fails_an_assertion(ending_what_was_slow));
    stepped_settle(&world);
    (void)vine__reactor_enter(world.reactors[0]);
    assert_true(child_fails_an_assertion(ending_what_was_slow));
    assert_int_equal(order_count, 1);
    assert_true(all_have_stopped());
}

static void what_core_0_has_stops_before_the_others_begin(void **state)
{
    struct service first = {.number = 0};
    struct service others[CORES];

    (void)state;
    for (uint32_t core = 1; core < CORES; core++) {
        (void)vine__reactor_enter(world.reactors[core]);
        others[core].number = (int)core;
        vine_at_stop(&others[core].stopper, stop_service);
    }
    vine_stop(0);
    (void)vine__reactor_enter(world.reactors[0]);
    vine_at_stop(&first.stopper, stop_slowly);
    stepped_settle(&world);
    assert_int_equal(order_count, 0);
    (void)vine__reactor_enter(world.reactors[0]);
    vine_stopper_done(slow);
    stepped_settle(&world);
    assert_int_equal(order_count, CORES - 1);
    assert_true(all_have_stopped());
}

static void what_others_rest_on_stops_after_all_of_them(void **state)
{
    struct service services[3];

    (void)state;
    services[0].number = 0;
    vine_at_stop(&services[0].stopper, stop_service);
    services[1].number = 1;
    assert_true(vine__at_stop_last(&services[1].stopper, stop_service));
    services[2].number = 2;
    vine_at_stop(&services[2].stopper, stop_service);
    vine_stop(0);
    stepped_settle(&world);
    assert_int_equal(order_count, 3);
    assert_int_equal(order[0], 2);
    assert_int_equal(order[1], 0);
    assert_int_equal(order[2], 1);
    (void)vine__reactor_enter(world.reactors[0]);
    assert_false(vine__at_stop_last(&services[1].stopper, stop_service));
}

static void a_service_that_never_stops_is_left_after_the_limit(void **state)
{
    struct service never = {.number = 1};

    (void)state;
    vine_at_stop(&never.stopper, stop_slowly);
    vine_stop(4);
    stepped_settle(&world);
    assert_false(all_have_stopped());
    world.clock_ns += 2 * VINE_NS_PER_SECOND;
    stepped_settle(&world);
    assert_true(all_have_stopped());
    assert_true(vine__mesh_was_cut_short(world.mesh));
    assert_int_equal(vine__mesh_exit_code(world.mesh), 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(who_stops_gives_the_code),
        TEST(the_first_to_stop_counts),
        TEST(services_stop_in_the_reverse_order_of_their_start),
        TEST(a_service_may_take_its_time),
        TEST(what_has_stopped_says_so_once_and_not_before_it_was_asked),
        TEST(what_core_0_has_stops_before_the_others_begin),
        TEST(what_others_rest_on_stops_after_all_of_them),
        TEST(a_service_that_never_stops_is_left_after_the_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
