/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server links=runtime */
/*
 * Whatever ends the server while a VM is made or removed: the next one finds whose each VM is, and
 * a client's list has the VMs that there are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server_world.h"
#include "vmm/server/state_file.h"

/* What the next server finds. */
struct next {
    uint32_t vms;    /* in the pool */
    uint32_t owned;  /* of these, by alice */
    uint32_t listed; /* VMs of hers, as her limits count them */
};

/* clients.json as it is now, for free(). */
static char *clients_file(const struct world *world)
{
    char *bytes;
    size_t size;

    assert_int_equal(vine__state_file_read(world->clients_path, &bytes, &size), 0);
    return bytes;
}

static void count_all(const struct vine__registry *registry, struct next *next)
{
    const struct vine__client *const alice = vine__clients_find(registry->clients, "alice");

    next->vms = registry->count;
    next->listed = alice->vm_count;
    VINE_LIST_FOR_EACH(node, &registry->vms)
    next->owned += VINE_LIST_OBJECT(node, struct vine__vm, link)->owner == alice;
}

/* It begins with this clients.json, and opens what the store has now, or does not. */
static struct next begin_next(const struct world *world, const char *file, bool opens)
{
    char why[VINE__CLIENTS_WHY_BYTES];
    struct next next = {.vms = 0};
    struct vine__registry registry;
    struct vine__clients clients;
    struct vine__vm_facts *facts;
    const uint32_t count = vine__store_memory_list(world->store, &facts);

    assert_int_equal(vine__clients_parse("file", file, strlen(file), &clients, why), 0);
    vine__registry_init(&registry, &clients, NULL, world->store);
    if (opens)
        vine__registry_resolve(&registry, "work", facts, count, true);
    for (uint32_t i = 0; i < count; i++) {
        if (opens)
            assert_int_equal(vine__registry_adopt(&registry, &facts[i]), 0);
        vine__vm_facts_fini(&facts[i]);
    }
    free(facts);
    count_all(&registry, &next);
    vine__registry_fini(&registry);
    vine__clients_fini(&clients);
    return next;
}

#define ASSERT_NEXT(found, ...)                                                                    \
    do {                                                                                           \
        const struct next is = (found), wanted = {__VA_ARGS__};                                    \
        assert_memory_equal(&is, &wanted, sizeof(is));                                             \
    } while (0)

/* The server ends now. */
static struct next end_now(const struct world *world)
{
    char *const file = clients_file(world);
    const struct next next = begin_next(world, file, true);

    free(file);
    return next;
}

static void one_that_is_made_is_its_owners_whenever_the_server_ends(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    char first[VINE__CLIENT_UID_BYTES], *before;

    make_vm(alice, "first", first);
    ASSERT_NEXT(end_now(world), .vms = 1, .owned = 1, .listed = 1);
    world->is_slow = true;
    (void)ask(alice, "6,1\n3,zip\n");
    ASSERT_NEXT(end_now(world), .vms = 1, .owned = 1, .listed = 1);
    assert_true(world_step(world));
    /* It is on the disk, and the store has not begun. */
    before = clients_file(world);
    ASSERT_NEXT(begin_next(world, before, true), .vms = 1, .owned = 1, .listed = 1);
    ASSERT_NEXT(begin_next(world, before, false), .listed = 2);
    /* The store has it, and nothing more is written. */
    assert_true(world_step(world));
    ASSERT_NEXT(end_now(world), .vms = 2, .owned = 2, .listed = 2);
    assert_false(world_step(world));
    free(before);
    caller_go_on(alice);
    assert_memory_equal(heard(alice), "6,1\n32,", 7);
    hang_up(alice);
}

static void one_that_is_removed_counts_no_more_whenever_the_server_ends(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    char zip[VINE__CLIENT_UID_BYTES], app[VINE__CLIENT_UID_BYTES], *before;

    make_vm(alice, "zip", zip);
    make_vm(alice, "app", app);
    world->is_slow = true;
    (void)ask(alice, "16,1\n32,%s\n", zip);
    before = clients_file(world);
    ASSERT_NEXT(begin_next(world, before, true), .vms = 2, .owned = 2, .listed = 2);
    assert_true(world_step(world));
    ASSERT_NEXT(begin_next(world, before, true), .vms = 1, .owned = 1, .listed = 1);
    /* It counts as long as nobody can tell. */
    ASSERT_NEXT(begin_next(world, before, false), .listed = 2);
    assert_true(world_step(world));
    ASSERT_NEXT(end_now(world), .vms = 1, .owned = 1, .listed = 1);
    free(before);
    caller_go_on(alice);
    assert_string_equal(heard(alice), "16,1\n0\n");
    assert_int_equal(world->machines.forgotten_count, 1);
    assert_string_equal(world->machines.forgotten_uid, zip);
    hang_up(alice);
}

static void what_was_refused_is_as_it_was(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES];

    make_vm(alice, "zip", uid);
    vine__store_memory_fail(world->store, VINE__VM_CREATE, VINE_SERVER_E_FULL);
    assert_non_null(strstr(ask(alice, "6,1\n3,new\n"), "error 12: "));
    vine__store_memory_fail(world->store, VINE__VM_REMOVE, VINE_SERVER_E_FULL);
    assert_memory_equal(ask(alice, "16,1\n32,%s\n", uid), "16,1\n12,", 8);
    assert_int_equal(world->machines.forgotten_count, 0);
    ASSERT_NEXT(end_now(world), .vms = 1, .owned = 1, .listed = 1);
    hang_up(alice);
}

/* As `vine pool rm` does it while there is no server. */
static void one_that_somebody_else_has_removed_counts_no_more(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    struct vine__client *const client = vine__clients_find(&world->clients, "alice");
    struct vine__vm_facts moved = {.pool = "another", .name = "zip"};
    char zip[VINE__CLIENT_UID_BYTES], app[VINE__CLIENT_UID_BYTES];

    make_vm(alice, "zip", zip);
    make_vm(alice, "app", app);
    vine__registry_drop(&world->registry, vine__registry_find(&world->registry, NULL, zip, 32));
    vine__registry_drop(&world->registry, vine__registry_find(&world->registry, NULL, app, 32));
    /* Neither another pool nor one that cannot be read as a whole says anything of them. */
    vine__registry_resolve(&world->registry, "other", NULL, 0, true);
    vine__registry_resolve(&world->registry, "work", NULL, 0, false);
    assert_int_equal(client->vm_count, 2);
    /* One is in another pool now. */
    memcpy(moved.uid, zip, sizeof(moved.uid));
    vine__registry_resolve(&world->registry, "another", &moved, 1, true);
    assert_string_equal(client->vms[0].pool, "another");
    /* What was said by those of pools that are closed stays. */
    assert_int_equal(world->machines.forgotten_count, 0);
    vine__registry_resolve(&world->registry, "work", NULL, 0, true);
    assert_int_equal(client->vm_count, 1);
    assert_string_equal(client->vms[0].uid, zip);
    assert_int_equal(world->machines.forgotten_count, 1);
    assert_string_equal(world->machines.forgotten_uid, app);
    world_settle(world);
    hang_up(alice);
}

/* A list that was written when pools were not in it. */
static void one_whose_pool_is_not_known_is_of_the_pool_that_has_it(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    struct vine__client *const client = vine__clients_find(&world->clients, "alice");
    char uid[VINE__CLIENT_UID_BYTES];
    struct vine__vm_facts *facts;

    make_vm(alice, "zip", uid);
    vine__registry_drop(&world->registry, vine__registry_find(&world->registry, NULL, uid, 32));
    assert_int_equal(vine__clients_place(client, uid, ""), 0);
    vine__registry_resolve(&world->registry, "work", NULL, 0, true);
    assert_int_equal(client->vm_count, 1);
    assert_int_equal(vine__store_memory_list(world->store, &facts), 1);
    vine__registry_resolve(&world->registry, "work", facts, 1, true);
    assert_string_equal(client->vms[0].pool, "work");
    vine__vm_facts_fini(facts);
    free(facts);
    hang_up(alice);
}

static void what_nobody_knows_is_known_when_the_pool_is_opened_again(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    const struct vine__client *const client = vine__clients_find(&world->clients, "alice");
    char uid[VINE__CLIENT_UID_BYTES];
    struct vine__vm_facts *facts;

    make_vm(alice, "zip", uid);
    vine__store_memory_be_silent(world->store, VINE__VM_REMOVE);
    assert_memory_equal(ask(alice, "16,1\n32,%s\n", uid), "16,1\n13,", 8);
    vine__store_memory_be_silent(world->store, VINE__VM_CREATE);
    (void)ask(alice, "6,1\n3,new\n");
    assert_int_equal(world->registry.count, 1);
    assert_int_equal(client->vm_count, 2);
    ASSERT_NEXT(end_now(world), .vms = 1, .owned = 1, .listed = 1);
    /* As this server finds them itself. */
    assert_int_equal(vine__store_memory_list(world->store, &facts), 1);
    vine__registry_resolve(&world->registry, "another", facts, 1, true);
    vine__registry_resolve(&world->registry, "work", facts, 0, false); /* one cannot be read */
    assert_int_equal(client->vm_count, 2);
    vine__registry_resolve(&world->registry, "work", facts, 1, true);
    assert_int_equal(world->registry.count, 0);
    assert_int_equal(vine__registry_adopt(&world->registry, facts), 0);
    assert_int_equal(client->vm_count, 1);
    assert_memory_equal(ask(alice, "2,1\n"), "2,1\n1\n", 6);
    free(facts);
    hang_up(alice);
}

static void work_under_way_is_nothing_that_an_opened_pool_decides(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice"), *const other = call_in(world, "alice");
    const struct vine__client *const client = vine__clients_find(&world->clients, "alice");
    char uid[VINE__CLIENT_UID_BYTES];
    struct vine__vm_facts *facts;

    make_vm(alice, "zip", uid);
    world->is_slow = true;
    (void)ask(alice, "16,1\n32,%s\n", uid);
    (void)ask(other, "6,1\n3,new\n");
    /* The pool is opened while both are on their way to it. */
    assert_int_equal(vine__store_memory_list(world->store, &facts), 1);
    vine__registry_resolve(&world->registry, "work", facts, 1, true);
    vine__vm_facts_fini(facts);
    free(facts);
    assert_int_equal(client->vm_count, 2);
    world_settle(world);
    ASSERT_NEXT(end_now(world), .vms = 1, .owned = 1, .listed = 1);
    hang_up(alice);
    hang_up(other);
}

static void room_for_the_list_is_no_condition_of_making_some(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES];

    make_vm(alice, "zip", uid);
    world->registry.clients_file.path = "/nowhere/clients.json";
    assert_non_null(strstr(ask(alice, "6,1\n3,new\n"), "error 13: "));
    assert_memory_equal(ask(alice, "16,1\n32,%s\n", uid), "16,1\n13,", 8);
    assert_int_equal(world->registry.count, 0);
    assert_string_equal(ask(alice, "2,1\n"), "2,1\n0\n");
    hang_up(alice);
}

static void is_given(struct vine__giving *giving)
{
    (void)giving;
}

static void one_that_is_given_away_is_the_other_ones_when_that_is_on_the_disk(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice"), *const bob = call_in(world, "bob");
    struct vine__client *const others = vine__clients_find(&world->clients, "bob");
    struct vine__giving giving = {.done = is_given}, again = {.done = is_given};
    char uid[VINE__CLIENT_UID_BYTES];
    struct vine__vm *vm;

    make_vm(alice, "zip", uid);
    world->saver.holds = true;
    vm = vine__registry_find(&world->registry, NULL, uid, strlen(uid));
    assert_int_equal(vine__registry_give(&world->registry, vm, others, &giving),
                     VINE_SERVER_E_DONE);
    assert_string_equal(ask(alice, "16,1\n32,%s\n", uid), "16,1\n14,the VM gets another owner\n");
    assert_int_equal(vine__registry_give(&world->registry, vm, NULL, &again), VINE_SERVER_E_BUSY);
    assert_string_equal(ask(bob, "11,1\n32,%s\n", uid), "11,1\n5,no such VM\n");
    assert_string_equal(ask(alice, "11,1\n32,%s\n", uid), "11,1\n0\n3,off\n0,\n0,\n0\n");
    /* Both are gone when it is written: it is nobody's. */
    vine__registry_leave(&world->registry, others);
    vine__registry_leave(&world->registry, vine__clients_find(&world->clients, "alice"));
    world->saver.holds = false;
    world_settle(world);
    assert_int_equal(giving.error, VINE_SERVER_E_DONE);
    assert_null(vm->owner);
    hang_up(alice);
    hang_up(bob);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)
    const struct CMUnitTest tests[] = {
        TEST(one_that_is_made_is_its_owners_whenever_the_server_ends),
        TEST(one_that_is_removed_counts_no_more_whenever_the_server_ends),
        TEST(what_was_refused_is_as_it_was),
        TEST(one_that_somebody_else_has_removed_counts_no_more),
        TEST(one_whose_pool_is_not_known_is_of_the_pool_that_has_it),
        TEST(what_nobody_knows_is_known_when_the_pool_is_opened_again),
        TEST(work_under_way_is_nothing_that_an_opened_pool_decides),
        TEST(one_that_is_given_away_is_the_other_ones_when_that_is_on_the_disk),
        TEST(room_for_the_list_is_no_condition_of_making_some),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
