/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
#include "harness/assertion.h"
#include "harness/stepped.h"

#include <stdlib.h>

#include <vine/foreign.h>

#include "utils/container_of.h"

#define CORES 4
#define MANY  1000

struct object {
    struct vine_foreign foreign;
    uint64_t number;
    struct object *inner; /* released by its destructor */
};

static struct stepped world;
static uint32_t destroyed[CORES]; /* by home */
static uint64_t sum;

static int set_up(void **state)
{
    (void)state;
    sum = 0;
    for (uint32_t core = 0; core < CORES; core++)
        destroyed[core] = 0;
    stepped_open(&world, CORES, 7, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stepped_close(&world);
    return 0;
}

static void destroy(struct vine_foreign *foreign)
{
    struct object *const object = VINE_CONTAINER_OF(foreign, struct object, foreign);

    assert_int_equal(vine_core(), vine_foreign_home(foreign));
    destroyed[vine_core()]++;
    sum += object->number;
    if (object->inner != NULL)
        vine_foreign_release(&object->inner->foreign);
    free(object);
}

static struct object *make_at(uint32_t home, uint64_t number)
{
    struct vine__reactor *const before = vine__reactor_enter(world.reactors[home]);
    struct object *const object = calloc(1, sizeof(*object));

    assert_non_null(object);
    object->number = number;
    vine_foreign_init(&object->foreign, destroy);
    (void)vine__reactor_enter(before);
    return object;
}

static void release_at(uint32_t core, struct object *object)
{
    struct vine__reactor *const before = vine__reactor_enter(world.reactors[core]);

    vine_foreign_release(&object->foreign);
    (void)vine__reactor_enter(before);
}

/* ---- what must not be done ------------------------------------------------------------------- */

static void destroy_nothing(struct vine_foreign *foreign)
{
    (void)foreign;
}

static void releasing_twice(void)
{
    static struct vine_foreign foreign;

    vine_foreign_init(&foreign, destroy_nothing);
    vine_foreign_release(&foreign);
    vine_foreign_release(&foreign);
}

static void ending_it_on_another_core(void)
{
    static struct vine_foreign foreign;

    vine_foreign_init(&foreign, destroy_nothing);
    (void)vine__reactor_enter(world.reactors[1]);
    vine_foreign_fini(&foreign);
}

static void ending_what_was_released(void)
{
    static struct vine_foreign foreign;

    vine_foreign_init(&foreign, destroy_nothing);
    vine_foreign_release(&foreign);
    vine_foreign_fini(&foreign);
}

static void releasing_on_no_core(void)
{
    static struct vine_foreign foreign;

    vine_foreign_init(&foreign, destroy_nothing);
    (void)vine__reactor_enter(NULL);
    vine_foreign_release(&foreign);
}

static void what_must_not_be_done_fails_an_assertion(void **state)
{
    (void)state;
    assert_true(child_fails_an_assertion(releasing_twice));
    assert_true(child_fails_an_assertion(ending_it_on_another_core));
    assert_true(child_fails_an_assertion(ending_what_was_released));
    assert_true(child_fails_an_assertion(releasing_on_no_core));
}

/* ---- going home ------------------------------------------------------------------------------ */

static void an_object_is_destroyed_at_home_and_never_within_its_release(void **state)
{
    (void)state;
    for (uint32_t home = 0; home < CORES; home++)
        for (uint32_t core = 0; core < CORES; core++) {
            struct object *const object = make_at(home, 1);

            destroyed[home] = 0;
            release_at(core, object);
            assert_int_equal(destroyed[home], 0);
            stepped_settle(&world);
            assert_int_equal(destroyed[home], 1);
        }
    assert_int_equal(sum, CORES * CORES);
}

static void one_that_is_not_released_is_ended_at_home(void **state)
{
    struct object *const object = make_at(0, 1);

    (void)state;
    vine_foreign_fini(&object->foreign);
    free(object);
    stepped_settle(&world);
    assert_int_equal(destroyed[0], 0);
}

/* Where each is read in between: by a call, like any other argument. */
static int64_t read_it(void *argument)
{
    struct object *const object = argument;
    const int64_t number = (int64_t)object->number;

    vine_foreign_release(&object->foreign);
    return number;
}

static int64_t numbers;

static void see_number(struct vine_core_call *call)
{
    numbers += vine_core_call_result(call);
}

static void one_is_read_elsewhere_and_comes_home(void **state)
{
    struct vine_core_call calls[CORES];

    (void)state;
    numbers = 0;
    for (uint32_t core = 0; core < CORES; core++)
        vine_core_call(&calls[core], core, read_it, make_at(0, core + 1), see_number);
    stepped_settle(&world);
    assert_int_equal(numbers, 1 + 2 + 3 + 4);
    assert_int_equal(sum, numbers);
    assert_int_equal(destroyed[0], CORES);
}

/* Any number, in whatever order the cores run, and more than are destroyed in one turn. */
static void all_that_are_released_come_home(void **state)
{
    uint64_t made = 0;

    (void)state;
    for (uint32_t i = 0; i < MANY; i++) {
        release_at((uint32_t)(stepped_random(&world) % CORES), make_at(i % CORES, i));
        made += i;
        if (stepped_random(&world) % 8 == 0)
            (void)stepped_step(&world, (uint32_t)(stepped_random(&world) % CORES));
    }
    stepped_settle(&world);
    assert_int_equal(sum, made);
    for (uint32_t core = 0; core < CORES; core++)
        assert_int_equal(destroyed[core], MANY / CORES);
}

static void a_destructor_releases_what_its_object_had(void **state)
{
    struct object *const outer = make_at(1, 1);

    (void)state;
    outer->inner = make_at(2, 2);
    outer->inner->inner = make_at(1, 4);
    release_at(3, outer);
    stepped_settle(&world);
    assert_int_equal(sum, 7);
    assert_int_equal(destroyed[1], 2);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void destroy_wherever(struct vine_foreign *foreign)
{
    struct object *const object = VINE_CONTAINER_OF(foreign, struct object, foreign);

    sum += object->number;
    if (object->inner != NULL)
        vine_foreign_release(&object->inner->foreign);
    free(object);
}

/* Core 0 goes first: what the others still have of it is destroyed when the last has gone. */
static void what_is_on_its_way_at_the_end_is_destroyed(void **state)
{
    uint64_t made = 0;

    (void)state;
    for (uint32_t home = 0; home < CORES; home++)
        for (uint32_t core = 0; core < CORES; core++) {
            struct object *const object = make_at(home, 1 + made);

            object->foreign.destroy = destroy_wherever;
            release_at(core, object);
            made++;
        }
    stepped_close(&world);
    assert_int_equal(sum, made * (made + 1) / 2);
    stepped_open(&world, CORES, 7, NULL);
}

/* What the destructor of one releases as its home goes. */
static void and_so_is_what_those_release(void **state)
{
    struct object *const outer = make_at(1, 1);

    (void)state;
    outer->inner = make_at(3, 2);
    outer->inner->foreign.destroy = destroy_wherever;
    outer->foreign.destroy = destroy_wherever;
    release_at(1, outer);
    stepped_close(&world);
    assert_int_equal(sum, 3);
    stepped_open(&world, CORES, 7, NULL);
}

/* By then nobody is a reactor any more. */
static void and_what_those_release_that_have_outlived_their_core(void **state)
{
    struct object *const outer = make_at(2, 1);

    (void)state;
    outer->inner = make_at(0, 2); /* goes before 2 does */
    outer->inner->inner = make_at(1, 4);
    outer->inner->inner->inner = make_at(3, 8);
    for (struct object *object = outer; object != NULL; object = object->inner)
        object->foreign.destroy = destroy_wherever;
    release_at(2, outer);
    stepped_close(&world);
    assert_int_equal(sum, 15);
    stepped_open(&world, CORES, 7, NULL);
}

static struct vine__operation closing;
static uint32_t closings;

static void on_closed(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    (void)operation;
    (void)result;
    (void)flags;
    closings++;
}

/* As one does whose object has a file. */
static void close_and_destroy(struct vine_foreign *foreign)
{
    closing = (struct vine__operation){
        .fn = on_closed, .kind = VINE__POLL_CLOSE, .fd = dup(STDERR_FILENO)};
    vine__reactor_begin(&closing);
    destroy_wherever(foreign);
}

static void a_destructor_begins_operations_at_the_end_too(void **state)
{
    struct object *const object = make_at(1, 1);

    (void)state;
    closings = 0;
    object->foreign.destroy = close_and_destroy;
    release_at(1, object);
    stepped_close(&world);
    assert_int_equal(sum, 1);
    assert_int_equal(closings, 1);
    stepped_open(&world, CORES, 7, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_must_not_be_done_fails_an_assertion),
        TEST(an_object_is_destroyed_at_home_and_never_within_its_release),
        TEST(one_that_is_not_released_is_ended_at_home),
        TEST(one_is_read_elsewhere_and_comes_home),
        TEST(all_that_are_released_come_home),
        TEST(a_destructor_releases_what_its_object_had),
        TEST(what_is_on_its_way_at_the_end_is_destroyed),
        TEST(and_so_is_what_those_release),
        TEST(and_what_those_release_that_have_outlived_their_core),
        TEST(a_destructor_begins_operations_at_the_end_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
