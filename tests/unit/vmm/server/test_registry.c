/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server links=runtime */
/*
 * What store and engine do takes as long as it takes: who has asked is answered when it is done, or
 * is gone by then; nobody else is at the same VM meanwhile; and what fails is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server_world.h"

/* What work under way has come to. */
static const char *finish(struct caller *caller)
{
    assert_true(caller->is_waiting);
    assert_int_equal(vine__session_go_on(&caller->session, false), VINE__SESSION_WAITS);
    caller->wakes = 0;
    world_settle(caller->world);
    assert_true(caller->wakes > 0);
    caller_go_on(caller);
    assert_false(caller->is_waiting);
    return heard(caller);
}

/* The same, of what was done by now. */
static const char *answered(struct caller *caller)
{
    assert_true(caller->is_waiting);
    caller_go_on(caller);
    assert_false(caller->is_waiting);
    return heard(caller);
}

static struct vine__vm *find(const struct world *world, const char *uid)
{
    return vine__registry_find(&world->registry, NULL, uid, strlen(uid));
}

static bool is_in_state(const struct world *world, const char *uid, enum vine__vm_state state)
{
    return find(world, uid)->state == state;
}

static void work_is_answered_when_it_is_done(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES];

    make_bootable(alice, "zip", uid);
    world->is_slow = true;
    assert_string_equal(ask(alice, "6,1\n3,new\n"), "");
    assert_int_equal(world->registry.count, 1);
    assert_memory_equal(finish(alice), "6,1\n32,", 7);
    assert_int_equal(world->registry.count, 2);
    assert_string_equal(ask(alice, "24,1\n32,%s\n17,{\"memory\":\"512M\"}\n", uid), "");
    assert_string_equal(finish(alice), "24,1\n0\n");
    assert_string_equal(ask(alice, "17,1\n32,%s\n4,init\n", uid), "");
    assert_string_equal(finish(alice), "17,1\n0\n");
    assert_int_equal(find(world, uid)->facts.upload_bytes[VINE__UPLOAD_INITRD], 4);
    assert_string_equal(ask(alice, "9,1\n32,%s\n0,\n", uid), "");
    assert_true(is_in_state(world, uid, VINE__VM_STARTING));
    assert_string_equal(finish(alice), "9,1\n12,/tmp/console\n");
    assert_string_equal(ask(alice, "14,1\n32,%s\n", uid), "14,1\n0\n");
    assert_true(is_in_state(world, uid, VINE__VM_STOPPING));
    world_settle(world);
    assert_true(is_in_state(world, uid, VINE__VM_OFF));
    assert_string_equal(ask(alice, "16,1\n32,%s\n", uid), "");
    assert_non_null(find(world, uid));
    assert_string_equal(finish(alice), "16,1\n0\n");
    assert_null(find(world, uid));
    hang_up(alice);
}

/* Each kind of work, and its asker is gone before any of it was done. */
static void who_has_asked_may_be_gone_when_it_is_done(void **state)
{
    static const char *const requests[] = {
        "6,1\n3,new\n",       "24,1\n32,%s\n17,{\"memory\":\"512M\"}\n",
        "17,1\n32,%s\n1,x\n", "9,1\n32,%s\n0,\n",
        "14,1\n32,%s\n",      "16,1\n32,%s\n"};
    struct world *const world = *state;
    struct caller *const other = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES], text[128];

    make_bootable(other, "zip", uid);
    world->is_slow = true;
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        struct caller *const alice = call_in(world, "alice");

        (void)snprintf(text, sizeof(text), requests[i], uid);
        (void)ask(alice, "%s", text);
        hang_up(alice);
        world_settle(world);
    }
    assert_string_equal(ask(other, "2,1\n"), "2,1\n1\n"); /* `new` */
    assert_null(find(world, uid));
    assert_int_equal(world->machines.count, 0);
    hang_up(other);
}

static void who_starts_one_is_answered_when_its_console_is_there(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice"), *const other = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES];

    world->machines.late_console = "/dev/pts/7";
    make_bootable(alice, "zip", uid);
    assert_string_equal(ask(other, "25,1\n32,%s\n", uid), "25,1\n9,the VM is off\n");
    assert_string_equal(ask(alice, "9,1\n32,%s\n0,\n", uid), "");
    assert_int_equal(world->machines.count, 1);
    assert_string_equal(ask(other, "25,1\n32,%s\n", uid), "25,1\n9,its console is not there yet\n");
    world_tell(world, uid, VINE__VM_RUNNING, NULL);
    assert_string_equal(answered(alice), "9,1\n10,/dev/pts/7\n");
    assert_string_equal(ask(other, "25,1\n32,%s\n", uid), "25,1\n0\n10,/dev/pts/7\n");
    assert_string_equal(ask(other, "14,1\n32,%s\n", uid), "14,1\n0\n");
    assert_string_equal(ask(other, "25,1\n32,%s\n", uid), "25,1\n9,the VM is off\n");
    /* One that ends before that has none. */
    assert_string_equal(ask(alice, "9,1\n32,%s\n0,\n", uid), "");
    world_tell(world, uid, VINE__VM_OFF, "unstarted");
    assert_string_equal(answered(alice), "9,1\n21,error 13: that was it\n");
    assert_string_equal(ask(alice, "9,1\n32,%s\n0,\n", uid), "");
    assert_string_equal(ask(other, "14,1\n32,%s\n", uid), "14,1\n0\n");
    assert_string_equal(answered(alice), "9,1\n20,error 9: that was it\n");
    hang_up(alice);
    hang_up(other);
}

static void nobody_else_is_at_a_vm_that_is_changed(void **state)
{
    static const char *const requests[] = {
        "24,1\n32,%s\n2,{}\n",
        "17,1\n32,%s\n1,x\n",
        "16,1\n32,%s\n",
    };
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice"), *const other = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES], text[128], expected[128];

    make_bootable(alice, "zip", uid);
    world->is_slow = true;
    assert_string_equal(ask(alice, "24,1\n32,%s\n2,{}\n", uid), "");
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        (void)snprintf(text, sizeof(text), requests[i], uid);
        (void)snprintf(expected, sizeof(expected), "%.5s14,another request changes this VM\n",
                       requests[i]);
        assert_string_equal(ask(other, "%s", text), expected);
    }
    assert_string_equal(ask(other, "9,1\n32,%s\n0,\n", uid),
                        "9,1\n41,error 14: another request changes this VM\n");
    assert_string_equal(finish(alice), "24,1\n0\n");
    /* One that is about to run runs. */
    assert_string_equal(ask(alice, "9,1\n32,%s\n0,\n", uid), "");
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        (void)snprintf(text, sizeof(text), requests[i], uid);
        (void)snprintf(expected, sizeof(expected), "%.5s9,the VM runs\n", requests[i]);
        assert_string_equal(ask(other, "%s", text), expected);
    }
    assert_string_equal(finish(alice), "9,1\n12,/tmp/console\n");
    /* And questions are answered all the time. */
    (void)ask(alice, "14,1\n32,%s\n", uid);
    assert_memory_equal(ask(other, "11,1\n32,%s\n", uid), "11,1\n0\n8,stopping\n", 18);
    hang_up(alice);
    hang_up(other);
}

static void who_has_no_pool_makes_none(void **state)
{
    struct world *const world = *state;
    struct caller *poor;

    world_add(world, "poor", 7)->pool[0] = '\0';
    poor = call_in(world, "poor");
    assert_string_equal(ask(poor, "6,1\n1,a\n"),
                        "6,1\n47,error 8: there is no pool for this client's VMs\n");
    hang_up(poor);
}

static void those_that_are_made_count(void **state)
{
    struct world *const world = *state;
    struct caller *callers[5];
    struct caller *const other = call_in(world, "alice");

    world->is_slow = true;
    for (int i = 0; i < 4; i++) {
        callers[i] = call_in(world, "alice");
        assert_string_equal(ask(callers[i], "6,1\n1,%d\n", i), "");
        if (i == 0)
            assert_string_equal(ask(other, "6,1\n1,0\n"), "6,1\n27,error 10: the name is taken\n");
    }
    assert_string_equal(ask(other, "6,1\n1,4\n"),
                        "6,1\n37,error 8: as many VMs as there may be.\n");
    for (int i = 0; i < 4; i++)
        hang_up(callers[i]);
    world_settle(world);
    assert_string_equal(ask(other, "2,1\n"), "2,1\n4\n");
    hang_up(other);
}

/* ---- stopped before it ran ------------------------------------------------------------------- */

static void one_that_is_stopped_while_it_is_taken_out_never_runs(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice"), *const other = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES];

    make_bootable(alice, "zip", uid);
    world->is_slow = true;
    (void)ask(alice, "9,1\n32,%s\n0,\n", uid);
    assert_string_equal(ask(other, "13,1\n32,%s\n100\n", uid), "13,1\n0\n");
    assert_true(is_in_state(world, uid, VINE__VM_STOPPING));
    assert_string_equal(finish(alice), "9,1\n37,error 9: it was stopped before it ran\n");
    assert_true(is_in_state(world, uid, VINE__VM_OFF));
    assert_int_equal(world->machines.questions, 0);
    assert_false(vine__store_memory_is_out(world->store, uid));
    hang_up(alice);
    hang_up(other);
}

static void one_that_is_killed_while_it_is_executed_is_killed_then(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice"), *const other = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES];

    make_bootable(alice, "zip", uid);
    world->is_slow = true;
    (void)ask(alice, "9,1\n32,%s\n0,\n", uid);
    assert_true(vine__store_memory_step(world->store));
    assert_int_equal(world->machines.asked_count, 1);
    assert_string_equal(ask(other, "14,1\n32,%s\n", uid), "14,1\n0\n");
    assert_int_equal(world->machines.questions, 2); /* the engine may end the start by it */
    assert_string_equal(finish(alice), "9,1\n12,/tmp/console\n");
    assert_memory_equal(ask(other, "11,1\n32,%s\n", uid), "11,1\n0\n3,off\n6,killed\n", 22);
    assert_false(vine__store_memory_is_out(world->store, uid));
    hang_up(alice);
    hang_up(other);
}

static void one_that_is_to_start_again_does_so_whenever_that_is_said(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice"), *const other = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES];

    make_bootable(alice, "zip", uid);
    world->is_slow = true;
    /* How far it has come by then. */
    for (int steps = 0; steps < 5; steps++) {
        (void)ask(alice, "9,1\n32,%s\n0,\n", uid);
        for (int i = 0; i < steps; i++) {
            if (i == 2) /* it runs, and ends */
                (void)ask(other, "14,1\n32,%s\n", uid);
            assert_true(world_step(world));
        }
        assert_string_equal(ask(other, "15,1\n32,%s\n100\n", uid),
                            steps < 4 ? "15,1\n0\n" : "15,1\n9,the VM is off\n");
        world_settle(world);
        caller_go_on(alice);
        (void)heard(alice);
        if (steps < 4)
            assert_true(is_in_state(world, uid, VINE__VM_STARTING));
        assert_int_equal(world->machines.count, steps < 4);
        (void)ask(other, "14,1\n32,%s\n", uid);
        world_settle(world);
        assert_true(is_in_state(world, uid, VINE__VM_OFF));
    }
    hang_up(alice);
    hang_up(other);
}

/* ---- what fails ------------------------------------------------------------------------------ */

static void what_the_store_cannot_do_is_told_and_changes_nothing(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES];

    make_bootable(alice, "zip", uid);
    vine__store_memory_fail(world->store, VINE__VM_CREATE, VINE_SERVER_E_FULL);
    assert_string_equal(ask(alice, "6,1\n3,new\n"),
                        "6,1\n37,error 12: the store was told to fail.\n");
    vine__store_memory_fail(world->store, VINE__VM_REMOVE, VINE_SERVER_E_FULL);
    assert_string_equal(ask(alice, "16,1\n32,%s\n", uid), "16,1\n12,the store was told to fail\n");
    vine__store_memory_fail(world->store, VINE__VM_PUT, VINE_SERVER_E_FULL);
    assert_string_equal(ask(alice, "17,1\n32,%s\n1,x\n", uid),
                        "17,1\n12,the store was told to fail\n");
    assert_string_equal(ask(alice, "19,1\n"), "19,1\n0\n4\n1073741824\n1000\n5000\n1\n0\n6\n");
    vine__store_memory_fail(world->store, VINE__VM_TAKE_OUT, VINE_SERVER_E_FULL);
    assert_string_equal(ask(alice, "9,1\n32,%s\n0,\n", uid),
                        "9,1\n36,error 12: the store was told to fail\n");
    assert_string_equal(ask(alice, "11,1\n32,%s\n", uid),
                        "11,1\n0\n3,off\n9,unstarted\n26,the store was told to fail\n0\n");
    assert_int_equal(world->registry.count, 1);
    hang_up(alice);
}

static void what_cannot_be_put_back_is_kept_told_and_used_again(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES];

    make_bootable(alice, "zip", uid);
    (void)ask(alice, "9,1\n32,%s\n0,\n", uid);
    vine__store_memory_fail(world->store, VINE__VM_PUT_BACK, VINE_SERVER_E_FULL);
    world_tell(world, uid, VINE__VM_OFF, "crash");
    assert_string_equal(
        ask(alice, "11,1\n32,%s\n", uid),
        "11,1\n0\n3,off\n7,unsaved\n75,that was it; its disks are not back in the pool: "
        "the store was told to fail\n1\n");
    assert_true(vine__store_memory_is_out(world->store, uid));
    vine__registry_settle(&world->registry);
    world_settle(world);
    assert_true(vine__store_memory_is_out(world->store, uid));
    assert_memory_equal(ask(alice, "11,1\n32,%s\n", uid), "11,1\n0\n3,off\n7,unsaved\n75,", 26);
    assert_string_equal(ask(alice, "21,1\n"), "21,1\n0\n");
    vine__store_memory_fail(world->store, VINE__VM_PUT_BACK, VINE_SERVER_E_DONE);
    vine__registry_settle(&world->registry);
    assert_string_equal(ask(alice, "9,1\n32,%s\n0,\n", uid),
                        "9,1\n43,error 14: the disks of this VM are put back\n");
    world_settle(world);
    assert_false(vine__store_memory_is_out(world->store, uid));
    assert_false(vine__session_next_event(&alice->session)); /* it is as it was */
    assert_string_equal(ask(alice, "11,1\n32,%s\n", uid),
                        "11,1\n0\n3,off\n5,crash\n11,that was it\n1\n");
    assert_string_equal(ask(alice, "9,1\n32,%s\n0,\n", uid), "9,1\n12,/tmp/console\n");
    hang_up(alice);
}

static void one_that_the_engine_refuses_is_put_back_before_that_is_told(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES];

    make_bootable(alice, "zip", uid);
    world->machines.refuses = true;
    assert_memory_equal(ask(alice, "9,1\n32,%s\n0,\n", uid), "9,1\n25,error 13: ", 17);
    assert_false(vine__store_memory_is_out(world->store, uid));
    assert_true(is_in_state(world, uid, VINE__VM_OFF));
    hang_up(alice);
}

/* ---- whose they are -------------------------------------------------------------------------- */

static uint32_t given_count;

static void is_given(struct vine__giving *giving)
{
    (void)giving;
    given_count++;
}

/* Give it to the client, and see what comes of that. */
static enum vine_server_error give(struct world *world, const char *uid,
                                   struct vine__client *client, char *why)
{
    const uint32_t before = given_count;
    struct vine__giving giving = {.done = is_given};
    enum vine_server_error told =
        vine__registry_give(&world->registry, find(world, uid), client, &giving);

    assert_int_equal(given_count, before);
    if (told == VINE_SERVER_E_DONE) {
        while (given_count == before)
            assert_true(world_step(world));
        told = giving.error;
    }
    memcpy(why, giving.why, sizeof(giving.why));
    return told;
}

static void what_is_made_for_a_client_that_goes_is_removed(void **state)
{
    struct world *const world = *state;
    struct caller *const root = call_in(world, "root");
    struct vine__client *const bob = vine__clients_find(&world->clients, "bob");
    char uid[VINE__CLIENT_UID_BYTES];

    world->is_slow = true;
    assert_string_equal(ask(root, "106,1\n3,bob\n3,new\n"), "");
    vine__registry_leave(&world->registry, bob);
    assert_ptr_equal(vine__clients_detach(&world->clients, "bob"), bob);
    vine__client_destroy(bob);
    assert_string_equal(finish(root), "106,1\n15,the client is gone\n");
    assert_int_equal(world->registry.count, 0);
    /* What it had is nobody's. */
    world->is_slow = false;
    make_vm(root, "zip", uid);
    vine__registry_leave(&world->registry, vine__clients_find(&world->clients, "root"));
    assert_null(find(world, uid)->owner);
    assert_string_equal(find(world, uid)->name, "root.zip");
    hang_up(root);
}

static void a_vm_at_which_a_request_is_stays_whose_it_is(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice"), *const waits = call_in(world, "alice");
    struct vine__client *const others = vine__clients_find(&world->clients, "bob");
    char uid[VINE__CLIENT_UID_BYTES], why[VINE__SERVER_WHY_BYTES] = "", request[128];

    make_vm(alice, "zip", uid);
    (void)snprintf(request, sizeof(request), "8,1\n32,%s\n6,ker", uid);
    send_bytes(alice, request, strlen(request));
    assert_int_equal(give(world, uid, others, why), VINE_SERVER_E_BUSY);
    assert_string_equal(why, "an upload to this VM is under way");
    assert_string_equal(find(world, uid)->owner->name, "alice");
    assert_string_equal(ask(alice, "nel\n"), "8,1\n0,\n");
    world->is_slow = true;
    (void)snprintf(request, sizeof(request), "9,1\n32,%s\n0,\n", uid);
    send_bytes(alice, request, strlen(request));
    assert_int_equal(give(world, uid, others, why), VINE_SERVER_E_BUSY);
    assert_string_equal(why, "the VM is about to run");
    world->is_slow = false;
    world_settle(world);
    caller_go_on(alice);
    fake_tell(world, uid, VINE__VM_RUNNING, NULL);
    /* Who waits for it is told that it is not there any more. */
    (void)snprintf(request, sizeof(request), "23,1\n32,%s\n3,off\n60000\n", uid);
    send_bytes(waits, request, strlen(request));
    assert_true(waits->is_waiting);
    assert_int_equal(give(world, uid, others, why), VINE_SERVER_E_DONE);
    assert_int_equal(waits->wakes, 1);
    caller_go_on(waits);
    assert_string_equal(heard(waits), "23,1\n5,no such VM\n");
    hang_up(alice);
    hang_up(waits);
}

static void a_vm_that_is_given_away_is_the_other_ones(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice"), *const bob = call_in(world, "bob");
    struct vine__client *const others = vine__clients_find(&world->clients, "bob");
    char uid[VINE__CLIENT_UID_BYTES], expected[128], why[VINE__SERVER_WHY_BYTES];

    make_vm(alice, "zip", uid);
    assert_int_equal(give(world, uid, others, why), VINE_SERVER_E_DONE);
    assert_string_equal(ask(alice, "2,1\n"), "2,1\n0\n");
    (void)snprintf(expected, sizeof(expected), "12,1\n0\n46,%s,off,alice.zip\n", uid);
    assert_string_equal(ask(bob, "12,1\n"), expected);
    /* Back, and it has its name again; and what cannot be written has not been. */
    world->registry.clients_file.path = "/nowhere/clients.json";
    assert_int_equal(give(world, uid, NULL, why), VINE_SERVER_E_FAILED);
    assert_ptr_equal(find(world, uid)->owner, others);
    assert_string_equal(ask(bob, "2,1\n"), "2,1\n1\n");
    world->registry.clients_file.path = world->clients_path;
    assert_int_equal(give(world, uid, vine__clients_find(&world->clients, "alice"), why),
                     VINE_SERVER_E_DONE);
    (void)snprintf(expected, sizeof(expected), "12,1\n0\n40,%s,off,zip\n", uid);
    assert_string_equal(ask(alice, "12,1\n"), expected);
    others->limits.vms = 0;
    assert_int_equal(give(world, uid, others, why), VINE_SERVER_E_LIMIT);
    assert_string_equal(ask(alice, "12,1\n"), expected);
    hang_up(alice);
    hang_up(bob);
}

static void the_console_of_one_that_runs_is_its_owners(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    struct vine__client *const bob = vine__clients_find(&world->clients, "bob");
    const struct vine__console_owner *const owner = &world->machines.owner;
    char uid[VINE__CLIENT_UID_BYTES], why[VINE__SERVER_WHY_BYTES];

    bob->user = 7;
    bob->group = 8;
    bob->mode = 0660;
    make_bootable(alice, "zip", uid);
    (void)ask(alice, "9,1\n32,%s\n0,\n", uid);
    assert_int_equal(give(world, uid, bob, why), VINE_SERVER_E_DONE);
    assert_true(owner->user_id == 7 && owner->group_id == 8 && owner->mode == 0660);
    vine__registry_leave(&world->registry, bob);
    assert_true(owner->user_id == 0 && owner->group_id == 0 && owner->mode == 0600);
    hang_up(alice);
}

static void a_client_names_its_own_vms_and_no_others(void **state)
{
    static const char json[] = "{\"links\":[{\"appliance\":\"zip\"}]}";
    struct vine__vm_facts given = {.uid = "00000000000000000000000000000001",
                                   .name = "whole",
                                   .pool = "work",
                                   .configuration = strdup("{\"name\":\"whole\"}"),
                                   .configuration_bytes = 16};
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice"), *const bob = call_in(world, "bob");
    struct caller *const root = call_in(world, "root");
    char zip[VINE__CLIENT_UID_BYTES], app[VINE__CLIENT_UID_BYTES], uid[VINE__CLIENT_UID_BYTES];
    char why[VINE__SERVER_WHY_BYTES];

    make_vm(alice, "zip", zip);
    make_vm(alice, "app", app);
    make_vm(bob, "app", uid);
    assert_string_equal(ask(alice, "24,1\n32,%s\n%zu,%s\n", app, strlen(json), json), "24,1\n0\n");
    assert_string_equal(
        ask(root, "105,1\n32,%s\n", app),
        "105,1\n0\n50,{\"links\":[{\"appliance\":\"alice.zip\",\"name\":\"zip\"}]}\n");
    assert_string_equal(ask(alice, "5,1\n32,%s\n", app),
                        "5,1\n44,{\"links\":[{\"appliance\":\"zip\",\"name\":\"zip\"}]}\n");
    /* That of another is as one that is not there, whichever name is tried. */
    assert_string_equal(ask(bob, "24,1\n32,%s\n%zu,%s\n", uid, strlen(json), json),
                        "24,1\n6,links[0].appliance: you have no VM `zip` in this pool\n");
    assert_string_equal(
        ask(bob, "24,1\n32,%s\n37,{\"links\":[{\"appliance\":\"alice.zip\"}]}\n", uid),
        "24,1\n6,links[0].appliance: you have no VM `alice.zip` in this pool\n");
    /* Whoever may do all says whole names; and what was given has its whole name. */
    assert_string_equal(
        ask(root, "124,1\n32,%s\n37,{\"links\":[{\"appliance\":\"alice.zip\"}]}\n", uid),
        "124,1\n0\n");
    assert_string_equal(ask(bob, "5,1\n32,%s\n", uid),
                        "5,1\n37,{\"links\":[{\"appliance\":\"alice.zip\"}]}\n");
    assert_int_equal(vine__registry_adopt(&world->registry, &given), 0);
    assert_int_equal(give(world, "00000000000000000000000000000001",
                          vine__clients_find(&world->clients, "bob"), why),
                     VINE_SERVER_E_DONE);
    assert_string_equal(ask(bob, "24,1\n32,%s\n33,{\"links\":[{\"appliance\":\"whole\"}]}\n", uid),
                        "24,1\n0\n");
    assert_string_equal(ask(bob, "5,1\n32,00000000000000000000000000000001\n"),
                        "5,1\n16,{\"name\":\"whole\"}\n");
    hang_up(alice);
    hang_up(bob);
    hang_up(root);
}

/* ---- over a restart -------------------------------------------------------------------------- */

static const struct vine__machines_found found_running = {.console = "/tmp/old",
                                                          .parameters = "quiet"};

/* A VM whose machine was found to run. */
static void resume(struct world *world, struct caller *alice,
                   const struct vine__machines_found *found, char uid[VINE__CLIENT_UID_BYTES])
{
    struct vine__boot *const boot = calloc(1, sizeof(*boot));

    assert_non_null(boot);
    make_bootable(alice, "zip", uid);
    memcpy(world->machines.uids[world->machines.count++], uid, VINE__CLIENT_UID_BYTES);
    vine__registry_resume(find(world, uid), boot, found);
}

static void one_that_runs_already_goes_on(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES];

    resume(world, alice, &found_running, uid);
    assert_true(is_in_state(world, uid, VINE__VM_RUNNING));
    assert_string_equal(ask(alice, "15,1\n32,%s\n100\n", uid), "15,1\n0\n");
    assert_string_equal(world->machines.parameters, "quiet");
    assert_true(is_in_state(world, uid, VINE__VM_STARTING));
    hang_up(alice);
}

static void one_that_was_to_restart_stops_and_starts(void **state)
{
    const struct vine__machines_found found = {
        .console = "/tmp/old", .parameters = "quiet", .is_stopping = true, .starts_again = true};
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES];

    resume(world, alice, &found, uid);
    assert_true(is_in_state(world, uid, VINE__VM_STOPPING));
    fake_tell(world, uid, VINE__VM_RUNNING, ""); /* as it is found */
    assert_true(is_in_state(world, uid, VINE__VM_STOPPING));
    fake_end(&world->machines, uid, "stopped");
    world_settle(world);
    assert_true(is_in_state(world, uid, VINE__VM_STARTING));
    assert_string_equal(world->machines.parameters, "quiet");
    hang_up(alice);
}

/* It never runs for who is told of it. */
static void one_that_has_ended_meanwhile_is_put_back(void **state)
{
    const struct vine__machines_found found = {.parameters = "quiet", .has_ended = true};
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES];

    resume(world, alice, &found, uid);
    assert_true(is_in_state(world, uid, VINE__VM_STOPPING));
    fake_tell(world, uid, VINE__VM_OFF, "vanished");
    world_settle(world);
    assert_true(is_in_state(world, uid, VINE__VM_OFF));
    assert_string_equal(find(world, uid)->ended_by, "vanished");
    hang_up(alice);
}

static void what_should_be_known_of_one_is_told_while_it_runs(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES];

    resume(world, alice, &found_running, uid);
    vine__registry_note(find(world, uid), "no bells");
    assert_string_equal(ask(alice, "11,1\n32,%s\n", uid),
                        "11,1\n0\n7,running\n0,\n8,no bells\n1\n");
    fake_tell(world, uid, VINE__VM_OFF, "crash");
    world_settle(world);
    assert_null(strstr(ask(alice, "11,1\n32,%s\n", uid), "no bells"));
    hang_up(alice);
}

#define LEFT_UID "00000000000000000000000000000002"

/* Its pool is opened while the server serves. */
static void adopt_left(struct world *world)
{
    struct vine__vm_facts left = {.uid = LEFT_UID,
                                  .name = "left",
                                  .is_taken_out = true,
                                  .upload_bytes = {[VINE__UPLOAD_KERNEL] = 6}};

    world->machines.left_uid = LEFT_UID;
    assert_int_equal(vine__registry_adopt(&world->registry, &left), 0);
}

static void one_that_was_left_running_is_left_alone_until_it_goes_on(void **state)
{
    struct world *const world = *state;
    struct caller *const root = call_in(world, "root");
    struct vine__boot *const boot = calloc(1, sizeof(*boot));

    assert_non_null(boot);
    adopt_left(world);
    vine__registry_settle(&world->registry); /* its guest writes what could be put back */
    world_settle(world);
    assert_non_null(strstr(ask(root, "116,1\n32," LEFT_UID "\n"), "116,1\n14,the VM runs"));
    assert_non_null(strstr(ask(root, "124,1\n32," LEFT_UID "\n2,{}\n"), "124,1\n14,"));
    assert_non_null(strstr(ask(root, "117,1\n32," LEFT_UID "\n1,x\n"), "117,1\n14,"));
    assert_null(strchr(ask(root, "109,1\n32," LEFT_UID "\n0,\n"), '/'));
    assert_int_equal(world->machines.questions + world->machines.cleared_count, 0);
    vine__registry_resume(find(world, LEFT_UID), boot, &found_running);
    assert_true(is_in_state(world, LEFT_UID, VINE__VM_RUNNING));
    hang_up(root);
}

/* The store cannot say what it was booted from. */
static void one_that_runs_and_cannot_go_on_is_tried_again_or_killed(void **state)
{
    struct world *const world = *state;
    struct caller *const root = call_in(world, "root");

    adopt_left(world);
    memcpy(world->machines.uids[world->machines.count++], LEFT_UID, sizeof(LEFT_UID));
    vine__registry_give_up(find(world, LEFT_UID), "no such file");
    for (int times = 0; times < 2; times++) {
        assert_non_null(strstr(ask(root, "111,1\n32," LEFT_UID "\n"), "cannot go on with it: "));
        assert_non_null(strstr(ask(root, "116,1\n32," LEFT_UID "\n"), "116,1\n14,the VM runs"));
        assert_non_null(strstr(ask(root, "124,1\n32," LEFT_UID "\n2,{}\n"), "124,1\n14,"));
        assert_non_null(strstr(ask(root, "113,1\n32," LEFT_UID "\n0\n"), "113,1\n14,the VM runs"));
        vine__registry_settle(&world->registry); /* its guest writes what could be put back */
        assert_int_equal(find(world, LEFT_UID)->phase, VINE__VM_STUCK);
        assert_null(strchr(ask(root, "109,1\n32," LEFT_UID "\n0,\n"), '/'));
    }
    world->machines.left_uid = NULL; /* as an engine says when it tells of the end */
    assert_string_equal(ask(root, "114,1\n32," LEFT_UID "\n"), "114,1\n0\n");
    world_settle(world);
    assert_true(is_in_state(world, LEFT_UID, VINE__VM_OFF));
    assert_int_equal(find(world, LEFT_UID)->phase, VINE__VM_IDLE);
    hang_up(root);
}

static void one_that_was_left_running_and_does_not_run_is_as_any_other(void **state)
{
    struct world *const world = *state;
    struct caller *const root = call_in(world, "root");

    adopt_left(world);
    find(world, LEFT_UID)->facts.is_taken_out = false;
    world->machines.left_uid = NULL;
    vine__registry_give_up(find(world, LEFT_UID), "it has ended");
    assert_int_equal(world->machines.cleared_count, 1);
    vine__registry_drop(&world->registry, find(world, LEFT_UID));
    assert_string_equal(ask(root, "112,1\n"), "112,1\n0\n0,\n");
    hang_up(root);
}

static void nothing_starts_any_more_once_all_are_stopped(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    char runs[VINE__CLIENT_UID_BYTES], is_off[VINE__CLIENT_UID_BYTES];

    make_bootable(alice, "runs", runs);
    make_bootable(alice, "off", is_off);
    assert_non_null(strchr(ask(alice, "9,1\n32,%s\n0,\n", runs), '/'));
    world->machines.hangs = true;
    vine__registry_stop_all(&world->registry);
    assert_true(is_in_state(world, runs, VINE__VM_STOPPING));
    assert_string_equal(ask(alice, "9,1\n32,%s\n0,\n", is_off),
                        "9,1\n33,error 9: the server stops all VMs\n");
    assert_non_null(strstr(ask(alice, "15,1\n32,%s\n0\n", runs), "15,1\n9,"));
    fake_tell(world, runs, VINE__VM_OFF, "stopped");
    world_settle(world);
    assert_true(is_in_state(world, runs, VINE__VM_OFF));
    assert_true(is_in_state(world, is_off, VINE__VM_OFF));
    hang_up(alice);
}

static void one_that_goes_on_once_all_are_stopped_is_stopped_too(void **state)
{
    struct world *const world = *state;
    struct vine__boot *const boot = calloc(1, sizeof(*boot));

    assert_non_null(boot);
    adopt_left(world);
    memcpy(world->machines.uids[world->machines.count++], LEFT_UID, sizeof(LEFT_UID));
    vine__registry_stop_all(&world->registry);
    vine__registry_resume(find(world, LEFT_UID), boot, &found_running);
    assert_true(is_in_state(world, LEFT_UID, VINE__VM_STOPPING));
    world_settle(world);
    assert_int_equal(world->machines.count, 0);
}

static void an_unusable_one_is_told_of_and_can_be_removed(void **state)
{
    struct vine__vm_facts bad = {.uid = "00000000000000000000000000000001",
                                 .name = "bad",
                                 .problem = strdup("ab_vmcfg.cfg: No such file"),
                                 .upload_bytes = {[VINE__UPLOAD_KERNEL] = 6}};
    struct world *const world = *state;
    struct caller *const root = call_in(world, "root");

    assert_int_equal(vine__registry_adopt(&world->registry, &bad), 0);
    assert_string_equal(ask(root, "109,1\n32,00000000000000000000000000000001\n0,\n"),
                        "109,1\n13,ab_vmcfg.cfg: No such file\n");
    assert_string_equal(ask(root, "112,1\n"),
                        "112,1\n0\n40,00000000000000000000000000000001,off,bad\n");
    vine__registry_drop(&world->registry, find(world, "00000000000000000000000000000001"));
    assert_string_equal(ask(root, "112,1\n"), "112,1\n0\n0,\n");
    hang_up(root);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)
    const struct CMUnitTest tests[] = {
        TEST(work_is_answered_when_it_is_done),
        TEST(who_has_asked_may_be_gone_when_it_is_done),
        TEST(who_starts_one_is_answered_when_its_console_is_there),
        TEST(nobody_else_is_at_a_vm_that_is_changed),
        TEST(who_has_no_pool_makes_none),
        TEST(those_that_are_made_count),
        TEST(one_that_is_stopped_while_it_is_taken_out_never_runs),
        TEST(one_that_is_killed_while_it_is_executed_is_killed_then),
        TEST(one_that_is_to_start_again_does_so_whenever_that_is_said),
        TEST(what_the_store_cannot_do_is_told_and_changes_nothing),
        TEST(what_cannot_be_put_back_is_kept_told_and_used_again),
        TEST(one_that_the_engine_refuses_is_put_back_before_that_is_told),
        TEST(what_is_made_for_a_client_that_goes_is_removed),
        TEST(a_vm_at_which_a_request_is_stays_whose_it_is),
        TEST(a_vm_that_is_given_away_is_the_other_ones),
        TEST(the_console_of_one_that_runs_is_its_owners),
        TEST(a_client_names_its_own_vms_and_no_others),
        TEST(one_that_runs_already_goes_on),
        TEST(one_that_has_ended_meanwhile_is_put_back),
        TEST(what_should_be_known_of_one_is_told_while_it_runs),
        TEST(one_that_was_to_restart_stops_and_starts),
        TEST(one_that_was_left_running_is_left_alone_until_it_goes_on),
        TEST(one_that_runs_and_cannot_go_on_is_tried_again_or_killed),
        TEST(one_that_was_left_running_and_does_not_run_is_as_any_other),
        TEST(nothing_starts_any_more_once_all_are_stopped),
        TEST(one_that_goes_on_once_all_are_stopped_is_stopped_too),
        TEST(an_unusable_one_is_told_of_and_can_be_removed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
