/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server links=runtime */
/*
 * A VM that is restarted keeps its disks out of the pool in between; where its second start is
 * refused, by whatever, they are put back as after any other end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server_world.h"

/* One that runs, and has been told to restart; it has not ended yet. */
static struct vine__vm *restart_one(struct world *world, struct caller *alice)
{
    char uid[VINE__CLIENT_UID_BYTES];

    make_bootable(alice, "zip", uid);
    assert_non_null(strchr(ask(alice, "9,1\n32,%s\n0,\n", uid), '/'));
    world->machines.hangs = true;
    assert_string_equal(ask(alice, "15,1\n32,%s\n100\n", uid), "15,1\n0\n");
    return vine__registry_find(&world->registry, NULL, uid, strlen(uid));
}

static void assert_off_and_back(struct world *world, const struct vine__vm *vm)
{
    assert_int_equal(vm->state, VINE__VM_OFF);
    assert_int_equal(vm->phase, VINE__VM_IDLE);
    assert_string_equal(vine__vm_end_word(vm), "unstarted");
    assert_false(vine__store_memory_is_out(world->store, vm->uid));
}

static void one_that_starts_again_keeps_its_disks_out(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    struct vine__vm *const vm = restart_one(world, alice);

    vine__store_memory_fail(world->store, VINE__VM_PUT_BACK, VINE_SERVER_E_FAILED);
    world_tell(world, vm->uid, VINE__VM_OFF, "stopped");
    assert_int_equal(vm->state, VINE__VM_STARTING);
    assert_true(vine__store_memory_is_out(world->store, vm->uid));
    hang_up(alice);
}

static void one_beyond_its_clients_limits_is_put_back(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    struct vine__vm *const vm = restart_one(world, alice);

    vm->owner->limits.memory_bytes = 1;
    fake_tell(world, vm->uid, VINE__VM_OFF, "stopped");
    assert_int_equal(vm->state, VINE__VM_STOPPING); /* until they are back */
    world_settle(world);
    assert_off_and_back(world, vm);
    hang_up(alice);
}

static void one_that_the_store_does_not_take_out_again_is_put_back(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    struct vine__vm *const vm = restart_one(world, alice);

    vine__store_memory_fail(world->store, VINE__VM_TAKE_OUT, VINE_SERVER_E_FULL);
    world_tell(world, vm->uid, VINE__VM_OFF, "stopped");
    assert_off_and_back(world, vm);
    hang_up(alice);
}

static void one_that_the_engine_does_not_start_again_is_put_back(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    struct vine__vm *const vm = restart_one(world, alice);

    world->machines.refuses = true;
    world_tell(world, vm->uid, VINE__VM_OFF, "stopped");
    assert_off_and_back(world, vm);
    hang_up(alice);
}

/* What cannot be put back then is told as after any other end, and is when there is room. */
static void one_that_is_refused_and_not_put_back_is_unsaved(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    struct vine__vm *const vm = restart_one(world, alice);

    vm->owner->limits.memory_bytes = 1;
    vine__store_memory_fail(world->store, VINE__VM_PUT_BACK, VINE_SERVER_E_FULL);
    world_tell(world, vm->uid, VINE__VM_OFF, "stopped");
    assert_int_equal(vm->state, VINE__VM_OFF);
    assert_string_equal(vine__vm_end_word(vm), "unsaved");
    vine__store_memory_fail(world->store, VINE__VM_PUT_BACK, VINE_SERVER_E_DONE);
    vine__registry_settle(&world->registry);
    world_settle(world);
    assert_off_and_back(world, vm);
    hang_up(alice);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, world_begin, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_that_starts_again_keeps_its_disks_out),
        TEST(one_beyond_its_clients_limits_is_put_back),
        TEST(one_that_the_store_does_not_take_out_again_is_put_back),
        TEST(one_that_the_engine_does_not_start_again_is_put_back),
        TEST(one_that_is_refused_and_not_put_back_is_unsaved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
