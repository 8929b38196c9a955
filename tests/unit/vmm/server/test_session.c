/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server links=runtime */
/*
 * What clients ask is done and answered, to the letter; and none knows anything of another's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/resource.h>

#include "server_world.h"

#define NO_VM "19,error 5: no such VM\n"

static void commands_1_to_9_are_answered_to_the_letter(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    char zip[VINE__CLIENT_UID_BYTES], app[VINE__CLIENT_UID_BYTES], expected[256];

    assert_string_equal(ask(alice, "1,1\n"), "1,1\n7\n");
    assert_string_equal(ask(alice, "2,1\n"), "2,1\n0\n");
    assert_string_equal(ask(alice, "4,1\n"), "4,1\n0,\n");
    assert_string_equal(ask(alice, "7,1\n"), "7,1\n1000\n");
    make_vm(alice, "zip", zip);
    make_vm(alice, "app", app);
    assert_string_equal(ask(alice, "2,1\n"), "2,1\n2\n");
    (void)snprintf(expected, sizeof(expected), "4,1\n65,%s;%s\n", zip, app);
    assert_string_equal(ask(alice, "4,1\n"), expected);
    (void)snprintf(expected, sizeof(expected), "3,1\n65,%s;%s\n", app, zip);
    assert_string_equal(ask(alice, "3,1\n3,1;0\n"), expected);
    (void)snprintf(expected, sizeof(expected), "3,1\n32,%s\n", zip);
    assert_string_equal(ask(alice, "3,1\n1,0\n"), expected);
    assert_string_equal(ask(alice, "3,1\n0,\n"), "3,1\n0,\n");
    assert_string_equal(ask(alice, "5,1\n65,%s;%s\n", zip, app),
                        "5,1\n29,{\"name\":\"zip\"};{\"name\":\"app\"}\n");
    assert_string_equal(ask(alice, "9,1\n32,%s\n5,quiet\n", zip),
                        "9,1\n29,error 9: the VM has no kernel\n");
    assert_string_equal(ask(alice, "8,1\n32,%s\n6,kernel\n", zip), "8,1\n0,\n");
    assert_string_equal(ask(alice, "9,1\n32,%s\n5,quiet\n", zip), "9,1\n12,/tmp/console\n");
    assert_string_equal(world->machines.parameters, "quiet");
    assert_string_equal(ask(alice, "9,1\n32,%s\n0,\n", zip), "9,1\n20,error 9: the VM runs\n");
    hang_up(alice);
}

static void their_errors_have_their_shapes(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES];

    make_bootable(alice, "zip", uid);
    assert_string_equal(ask(alice, "3,1\n1,1\n"), "3,1\n" NO_VM);
    assert_string_equal(ask(alice, "3,1\n3,0;1\n"), "3,1\n" NO_VM);
    assert_string_equal(ask(alice, "3,1\n2,0;\n"), "3,1\n34,error 6: an index is 1 to 5 digits\n");
    assert_string_equal(ask(alice, "3,1\n2,00\n"), "3,1\n34,error 6: an index is 1 to 5 digits\n");
    assert_string_equal(ask(alice, "3,1\n1,x\n"), "3,1\n34,error 6: an index is 1 to 5 digits\n");
    assert_string_equal(ask(alice, "5,1\n3,zip\n"), "5,1\n" NO_VM);
    assert_string_equal(ask(alice, "5,1\n33,%s;\n", uid), "5,1\n" NO_VM);
    assert_string_equal(ask(alice, "6,1\n3,zip\n"), "6,1\n27,error 10: the name is taken\n");
    assert_memory_equal(ask(alice, "6,1\n3,a/b\n"), "6,1\n", 4);
    assert_memory_equal(ask(alice, "6,1\n0,\n"), "6,1\n", 4);
    assert_string_equal(ask(alice, "8,1\n3,zip\n1,x\n"), "8,1\n" NO_VM);
    world->machines.refuses = true;
    assert_string_equal(ask(alice, "9,1\n32,%s\n0,\n", uid), "9,1\n25,error 13: it did not work\n");
    hang_up(alice);
}

static void what_is_not_permitted_changes_nothing(void **state)
{
    struct world *const world = *state;
    struct caller *const nobody = call_in(world, "nobody");
    struct caller *const alice = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES];

    make_bootable(alice, "zip", uid);
    assert_string_equal(ask(nobody, "1,1\n2,1\n7,1\n"), "1,1\n-1\n2,1\n-1\n7,1\n-1\n");
    assert_string_equal(ask(nobody, "4,1\n"),
                        "4,1\n43,error 4: this socket has not the permission\n");
    assert_string_equal(ask(nobody, "6,1\n3,foo\n"),
                        "6,1\n43,error 4: this socket has not the permission\n");
    assert_string_equal(ask(alice, "104,1\n"), "104,1\n4,this socket has not the permission\n");
    assert_string_equal(ask(alice, "114,1\n32,%s\n", uid),
                        "114,1\n4,this socket has not the permission\n");
    assert_int_equal(world->registry.count, 1);
    hang_up(nobody);
    hang_up(alice);
}

/* Each of them, of another's VM and of one that nobody has: the answers are the same. */
static void a_vm_of_another_is_as_one_that_is_not_there(void **state)
{
    static const char *const requests[] = {
        "5,1\n32,%s\n",        "8,1\n32,%s\n1,x\n",  "9,1\n32,%s\n0,\n",  "11,1\n32,%s\n",
        "13,1\n32,%s\n0\n",    "14,1\n32,%s\n",      "15,1\n32,%s\n0\n",  "16,1\n32,%s\n",
        "17,1\n32,%s\n1,x\n",  "18,1\n32,%s\n1,x\n", "20,1\n32,%s\n10\n", "23,1\n32,%s\n3,off\n0\n",
        "24,1\n32,%s\n2,{}\n", "25,1\n32,%s\n"};
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice"), *const bob = call_in(world, "bob");
    char uid[VINE__CLIENT_UID_BYTES];

    make_bootable(alice, "zip", uid);
    assert_string_equal(ask(alice, "9,1\n32,%s\n0,\n", uid), "9,1\n12,/tmp/console\n");
    assert_string_equal(ask(bob, "21,1\n"), "21,1\n0\n");
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        char text[128];
        char *others;

        (void)snprintf(text, sizeof(text), requests[i], uid);
        others = strdup(ask(bob, "%s", text));
        (void)snprintf(text, sizeof(text), requests[i], "00000000000000000000000000000000");
        assert_string_equal(ask(bob, "%s", text), others);
        assert_non_null(strstr(others, "no such VM"));
        free(others);
    }
    assert_string_equal(ask(bob, "2,1\n4,1\n12,1\n"), "2,1\n0\n4,1\n0,\n12,1\n0\n0,\n");
    assert_string_equal(ask(bob, "19,1\n"), "19,1\n0\n4\n1073741824\n1000\n5000\n0\n0\n0\n");
    assert_string_equal(ask(alice, "14,1\n32,%s\n", uid), "14,1\n0\n");
    assert_false(vine__session_next_event(&bob->session));
    /* And a name of one is free for the other. */
    make_vm(bob, "zip", uid);
    hang_up(alice);
    hang_up(bob);
}

static void who_may_do_all_does_it_to_all(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice"), *const root = call_in(world, "root");
    char uid[VINE__CLIENT_UID_BYTES], expected[256];

    make_bootable(alice, "zip", uid);
    assert_string_equal(ask(root, "2,1\n"), "2,1\n0\n");
    assert_string_equal(ask(root, "105,1\n32,%s\n", uid),
                        "105,1\n0\n20,{\"name\":\"alice.zip\"}\n");
    assert_string_equal(ask(root, "102,1\n"), "102,1\n0\n1\n");
    (void)snprintf(expected, sizeof(expected), "112,1\n0\n46,%s,off,alice.zip\n", uid);
    assert_string_equal(ask(root, "112,1\n"), expected);
    assert_string_equal(ask(root, "14,1\n32,%s\n", uid), "14,1\n5,no such VM\n");
    assert_string_equal(ask(root, "109,1\n32,%s\n0,\n", uid), "109,1\n0\n12,/tmp/console\n");
    assert_string_equal(ask(root, "114,1\n32,%s\n", uid), "114,1\n0\n");
    assert_string_equal(ask(root, "106,1\n5,carol\n3,new\n"), "106,1\n15,no such client\n");
    assert_memory_equal(ask(root, "106,1\n3,bob\n3,new\n"), "106,1\n0\n32,", 11);
    assert_int_equal(vine__clients_find(&world->clients, "bob")->vm_count, 1);
    assert_string_equal(ask(root, "116,1\n32,%s\n", uid), "116,1\n0\n");
    assert_string_equal(ask(alice, "2,1\n"), "2,1\n0\n");
    hang_up(alice);
    hang_up(root);
}

/* ---- execution ------------------------------------------------------------------------------- */

static void states_are_what_events_have_told(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES];

    make_bootable(alice, "zip", uid);
    assert_string_equal(ask(alice, "11,1\n32,%s\n", uid), "11,1\n0\n3,off\n0,\n0,\n0\n");
    (void)ask(alice, "9,1\n32,%s\n0,\n", uid);
    assert_string_equal(ask(alice, "11,1\n32,%s\n", uid), "11,1\n0\n8,starting\n0,\n0,\n1\n");
    world_tell(world, uid, VINE__VM_RUNNING, NULL);
    assert_string_equal(ask(alice, "11,1\n32,%s\n", uid), "11,1\n0\n7,running\n0,\n0,\n1\n");
    world_tell(world, uid, VINE__VM_OFF, "crash");
    assert_string_equal(ask(alice, "11,1\n32,%s\n", uid),
                        "11,1\n0\n3,off\n5,crash\n11,that was it\n1\n");
    assert_string_equal(ask(alice, "13,1\n32,%s\n0\n", uid), "13,1\n9,the VM is off\n");
    assert_string_equal(ask(alice, "20,1\n32,%s\n5\n", uid), "20,1\n0\n5,this\n\n");
    hang_up(alice);
}

static void one_that_hangs_is_stopping_until_it_is_killed(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES];

    world->machines.hangs = true;
    make_bootable(alice, "zip", uid);
    (void)ask(alice, "9,1\n32,%s\n0,\n", uid);
    world_tell(world, uid, VINE__VM_RUNNING, NULL);
    assert_string_equal(ask(alice, "13,1\n32,%s\n0\n", uid), "13,1\n0\n");
    assert_int_equal(world->machines.stop_ms, 30000);
    assert_string_equal(ask(alice, "13,1\n32,%s\n250\n", uid), "13,1\n0\n");
    assert_int_equal(world->machines.stop_ms, 250);
    assert_memory_equal(ask(alice, "11,1\n32,%s\n", uid), "11,1\n0\n8,stopping\n", 18);
    world_tell(world, uid, VINE__VM_RUNNING, NULL); /* it does not count any more */
    assert_memory_equal(ask(alice, "11,1\n32,%s\n", uid), "11,1\n0\n8,stopping\n", 18);
    assert_string_equal(ask(alice, "16,1\n32,%s\n", uid), "16,1\n14,the VM is stopping\n");
    assert_string_equal(ask(alice, "14,1\n32,%s\n", uid), "14,1\n0\n");
    assert_memory_equal(ask(alice, "11,1\n32,%s\n", uid), "11,1\n0\n3,off\n6,killed\n", 22);
    assert_string_equal(ask(alice, "16,1\n32,%s\n", uid), "16,1\n0\n");
    hang_up(alice);
}

static void restart_starts_with_the_former_parameters(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES];

    make_bootable(alice, "zip", uid);
    (void)ask(alice, "9,1\n32,%s\n5,a=1 b\n", uid);
    world->machines.parameters[0] = '\0';
    assert_string_equal(ask(alice, "15,1\n32,%s\n100\n", uid), "15,1\n0\n");
    assert_string_equal(world->machines.parameters, "a=1 b");
    assert_string_equal(ask(alice, "11,1\n32,%s\n", uid),
                        "11,1\n0\n8,starting\n7,stopped\n11,that was it\n2\n");
    world->machines.refuses = true;
    assert_string_equal(ask(alice, "15,1\n32,%s\n100\n", uid), "15,1\n0\n");
    assert_string_equal(ask(alice, "11,1\n32,%s\n", uid),
                        "11,1\n0\n3,off\n9,unstarted\n31,who runs the server is told why\n2\n");
    hang_up(alice);
}

static void no_question_touches_a_vm(void **state)
{
    struct world *const world = *state;
    struct caller *const root = call_in(world, "root");
    char uid[VINE__CLIENT_UID_BYTES];
    uint32_t before;

    make_bootable(root, "zip", uid);
    (void)ask(root, "9,1\n32,%s\n0,\n", uid);
    before = world->machines.questions;
    (void)ask(root, "1,1\n2,1\n4,1\n7,1\n10,1\n12,1\n19,1\n102,1\n104,1\n112,1\n");
    (void)ask(root, "11,1\n32,%s\n5,1\n32,%s\n111,1\n32,%s\n", uid, uid, uid);
    assert_int_equal(world->machines.questions, before);
    hang_up(root);
}

/* ---- waiting, and events --------------------------------------------------------------------- */

static void wait_ends_with_the_state_the_time_or_the_vm(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice"), *const other = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES];

    make_bootable(alice, "zip", uid);
    assert_string_equal(ask(alice, "23,1\n32,%s\n3,off\n0\n", uid), "23,1\n0\n3,off\n");
    assert_string_equal(ask(alice, "23,1\n32,%s\n7,running\n0\n", uid),
                        "23,1\n11,not in this time\n");
    assert_memory_equal(ask(alice, "23,1\n32,%s\n4,gone\n0\n", uid), "23,1\n6,a state is", 17);
    assert_memory_equal(ask(alice, "23,1\n32,%s\n3,off\n-1\n", uid), "23,1\n6,milli", 12);

    assert_string_equal(ask(alice, "23,1\n32,%s\n7,running\n500\n", uid), "");
    assert_true(alice->is_waiting);
    assert_int_equal(alice->session.wait_ms, 500);
    alice->wakes = 0;
    (void)ask(other, "9,1\n32,%s\n0,\n", uid);
    assert_int_equal(alice->wakes, 0);
    /* It runs for a moment, and that was waited for. */
    world_tell(world, uid, VINE__VM_RUNNING, NULL);
    world_tell(world, uid, VINE__VM_OFF, "crash");
    assert_true(alice->wakes > 0);
    assert_int_equal(vine__session_go_on(&alice->session, false), VINE__SESSION_ANSWERED);
    take_answer(alice);
    assert_string_equal(heard(alice), "23,1\n0\n7,running\n");

    assert_string_equal(ask(alice, "23,1\n32,%s\n7,running\n500\n", uid), "");
    assert_int_equal(vine__session_go_on(&alice->session, false), VINE__SESSION_WAITS);
    assert_int_equal(vine__session_go_on(&alice->session, true), VINE__SESSION_ANSWERED);
    take_answer(alice);
    assert_string_equal(heard(alice), "23,1\n11,not in this time\n");

    assert_string_equal(ask(alice, "23,1\n32,%s\n7,running\n500\n", uid), "");
    alice->wakes = 0;
    assert_string_equal(ask(other, "16,1\n32,%s\n", uid), "16,1\n0\n");
    assert_int_equal(alice->wakes, 1);
    assert_int_equal(vine__session_go_on(&alice->session, false), VINE__SESSION_ANSWERED);
    take_answer(alice);
    assert_string_equal(heard(alice), "23,1\n5,no such VM\n");
    hang_up(alice);
    hang_up(other);
}

static void who_waits_may_hang_up(void **state)
{
    struct world *const world = *state;
    struct caller *alice = call_in(world, "alice"), *const other = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES];

    make_bootable(other, "zip", uid);
    assert_string_equal(ask(alice, "21,1\n23,1\n32,%s\n7,running\n500\n", uid), "21,1\n0\n");
    hang_up(alice);
    (void)ask(other, "9,1\n32,%s\n0,\n", uid);
    world_tell(world, uid, VINE__VM_RUNNING, NULL);
    hang_up(other);
}

static void events_are_pushed_in_order_and_gaps_are_seen(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice"), *const root = call_in(world, "root");
    char uid[VINE__CLIENT_UID_BYTES], expected[256];
    int count = 0;

    make_bootable(alice, "zip", uid);
    assert_string_equal(ask(alice, "21,1\n21,1\n"), "21,1\n0\n21,1\n0\n");
    assert_string_equal(ask(root, "121,1\n"), "121,1\n0\n");
    (void)ask(alice, "9,1\n32,%s\n0,\n", uid);
    world_tell(world, uid, VINE__VM_OFF, "crash");
    assert_true(vine__session_next_event(&alice->session));
    take_answer(alice);
    (void)snprintf(expected, sizeof(expected), "22,1\n0\n1\n32,%s\n8,starting\n0,\n0,\n", uid);
    assert_string_equal(heard(alice), expected);
    assert_true(vine__session_next_event(&alice->session));
    take_answer(alice);
    (void)snprintf(expected, sizeof(expected), "22,1\n0\n2\n32,%s\n8,stopping\n0,\n0,\n", uid);
    assert_string_equal(heard(alice), expected);
    assert_true(vine__session_next_event(&alice->session));
    take_answer(alice);
    (void)snprintf(expected, sizeof(expected),
                   "22,1\n0\n3\n32,%s\n3,off\n5,crash\n11,that was it\n", uid);
    assert_string_equal(heard(alice), expected);
    assert_false(vine__session_next_event(&alice->session));
    for (int i = 0; i < VINE__SESSION_EVENTS_MAX; i++) {
        (void)ask(alice, "9,1\n32,%s\n0,\n", uid);
        world_tell(world, uid, VINE__VM_OFF, "crash");
    }
    for (; vine__session_next_event(&root->session); count++)
        take_answer(root);
    assert_int_equal(count, VINE__SESSION_EVENTS_MAX);
    (void)heard(root);
    (void)ask(alice, "9,1\n32,%s\n0,\n", uid);
    assert_true(vine__session_next_event(&root->session));
    take_answer(root);
    (void)snprintf(expected, sizeof(expected), "22,1\n0\n%d\n", 4 + 3 * VINE__SESSION_EVENTS_MAX);
    assert_memory_equal(heard(root), expected, strlen(expected));
    hang_up(alice);
    hang_up(root);
}

/* ---- uploads and limits ---------------------------------------------------------------------- */

static void uploads_are_stored_when_all_of_them_has_come(void **state)
{
    struct world *const world = *state;
    struct caller *alice = call_in(world, "alice");
    struct caller *const other = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES], text[8] = "";

    make_vm(alice, "zip", uid);
    assert_string_equal(ask(alice, "8,1\n32,%s\n9,half of", uid), "");
    assert_string_equal(ask(other, "8,1\n32,%s\n1,x\n", uid),
                        "8,1\n43,error 14: an upload to this VM is under way\n");
    assert_string_equal(ask(other, "16,1\n32,%s\n", uid),
                        "16,1\n14,an upload to this VM is under way\n");
    assert_string_equal(ask(other, "19,1\n"), "19,1\n0\n4\n1073741824\n1000\n5000\n1\n0\n9\n");
    hang_up(alice);
    assert_string_equal(ask(other, "19,1\n"), "19,1\n0\n4\n1073741824\n1000\n5000\n1\n0\n0\n");
    assert_int_equal(vine__store_memory_file(world->store, uid, VINE__UPLOAD_KERNEL), -1);
    assert_string_equal(ask(other, "8,1\n32,%s\n6,kernel\n", uid), "8,1\n0,\n");
    assert_string_equal(ask(other, "18,1\n32,%s\n4,disk\n", uid), "18,1\n0\n");
    assert_int_equal(pread(vine__store_memory_file(world->store, uid, VINE__UPLOAD_KERNEL), text,
                           sizeof(text), 0),
                     6);
    assert_memory_equal(text, "kernel", 6);
    /* One that is not whole takes no place of what there is. */
    alice = call_in(world, "alice");
    assert_string_equal(ask(alice, "8,1\n32,%s\n3,new!", uid),
                        "8,1\n53,error 1: no newline behind as many bytes as were said\n");
    assert_true(alice->is_lost);
    assert_int_equal(pread(vine__store_memory_file(world->store, uid, VINE__UPLOAD_KERNEL), text,
                           sizeof(text), 0),
                     6);
    hang_up(alice);
    hang_up(other);
}

static void answers_that_are_not_read_hold_no_more_than_they_may_together(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    uint64_t held_bytes = 0;
    char uid[VINE__CLIENT_UID_BYTES], expected[2100], text[2001];

    alice->session.held_bytes = &held_bytes;
    make_vm(alice, "zip", uid);
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_string_equal(ask(alice, "24,1\n32,%s\n2011,{\"text\":\"%s\"}\n", uid, text),
                        "24,1\n0\n");
    held_bytes = VINE__SESSION_HELD_BYTES_MAX - 2000; /* another connection's */
    assert_string_equal(ask(alice, "5,1\n32,%s\n", uid),
                        "5,1\n58,error 8: answers that were not read hold all that they may\n");
    assert_string_equal(ask(alice, "2,1\n"), "2,1\n1\n");
    held_bytes = 7;
    (void)snprintf(expected, sizeof(expected), "5,1\n2011,{\"text\":\"%s\"}\n", text);
    assert_string_equal(ask(alice, "5,1\n32,%s\n", uid), expected);
    assert_int_equal(held_bytes, 7);
    hang_up(alice);
}

static void what_is_too_large_is_told_before_it_comes(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES], zeros[1001];

    memset(zeros, '0', sizeof(zeros) - 1);
    zeros[sizeof(zeros) - 1] = '\0';
    make_vm(alice, "zip", uid);
    assert_string_equal(ask(alice, "8,1\n32,%s\n4294967296,", uid),
                        "8,1\n36,error 8: larger than a kernel may be\n");
    hang_up(alice);

    struct caller *const again = call_in(world, "alice");

    assert_string_equal(ask(again, "8,1\n32,%s\n1001,0%s\n2,1\n", uid, zeros),
                        "8,1\n36,error 8: larger than a kernel may be\n2,1\n1\n");
    assert_string_equal(ask(again, "8,1\n32,%s\n1000,%s\n", uid, zeros), "8,1\n0,\n");
    assert_string_equal(ask(again, "8,1\n32,%s\n0,\n", uid),
                        "8,1\n31,error 6: there is nothing in it\n");
    assert_string_equal(ask(again, "18,1\n32,%s\n4001,", uid),
                        "18,1\n8,more on the disk than there may be\n");
    hang_up(again);
}

static void limits_hold_for_all_of_a_clients_together(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    char first[VINE__CLIENT_UID_BYTES], second[VINE__CLIENT_UID_BYTES];

    make_bootable(alice, "a", first);
    make_bootable(alice, "b", second);
    assert_string_equal(ask(alice, "24,1\n32,%s\n17,{\"memory\":\"768M\"}\n", first), "24,1\n0\n");
    assert_string_equal(ask(alice, "24,1\n32,%s\n17,{\"memory\":\"512M\"}\n", second), "24,1\n0\n");
    assert_string_equal(ask(alice, "9,1\n32,%s\n0,\n", first), "9,1\n12,/tmp/console\n");
    assert_string_equal(ask(alice, "9,1\n32,%s\n0,\n", second),
                        "9,1\n38,error 8: more memory than there may be\n");
    assert_string_equal(ask(alice, "24,1\n32,%s\n2,{}\n", first), "24,1\n9,the VM runs\n");
    (void)ask(alice, "14,1\n32,%s\n", first);
    assert_string_equal(ask(alice, "9,1\n32,%s\n0,\n", second), "9,1\n12,/tmp/console\n");
    (void)ask(alice, "6,1\n1,c\n6,1\n1,d\n");
    assert_string_equal(ask(alice, "6,1\n1,e\n"),
                        "6,1\n37,error 8: as many VMs as there may be.\n");
    hang_up(alice);
}

static void bad_configurations_are_told_of_and_not_taken(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES];

    make_vm(alice, "zip", uid);
    assert_string_equal(ask(alice, "24,1\n32,%s\n14,{\"text\":\"a;b\"}\n", uid), "24,1\n0\n");
    assert_string_equal(ask(alice, "24,1\n32,%s\n13,{\"a\":1,\"a\":2}\n", uid),
                        "24,1\n6,the configuration, line 1: duplicate object key near '\"a\"'\n");
    assert_memory_equal(ask(alice, "24,1\n32,%s\n2,[]\n", uid), "24,1\n6,", 7);
    assert_memory_equal(ask(alice, "24,1\n32,%s\n1,{\n", uid), "24,1\n6,", 7);
    assert_memory_equal(ask(alice, "24,1\n32,%s\n13,{\"memory\":-1}\n", uid), "24,1\n6,", 7);
    assert_string_equal(ask(alice, "5,1\n32,%s\n", uid), "5,1\n19,{\"text\":\"a\\u003bb\"}\n");
    hang_up(alice);
}

/* ---- what stays ------------------------------------------------------------------------------ */

static void whose_a_vm_is_is_on_the_disk_before_it_is_told(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES], why[VINE__CLIENTS_WHY_BYTES];
    struct vine__clients kept;

    make_vm(alice, "zip", uid);
    assert_int_equal(vine__clients_load(world->clients_path, &kept, why), 0);
    assert_string_equal(vine__clients_owner(&kept, uid)->name, "alice");
    vine__clients_fini(&kept);
    assert_string_equal(ask(alice, "16,1\n32,%s\n", uid), "16,1\n0\n");
    assert_int_equal(vine__clients_load(world->clients_path, &kept, why), 0);
    assert_null(vine__clients_owner(&kept, uid));
    vine__clients_fini(&kept);
    /* What cannot be written has not been. */
    world->registry.clients_file.path = "/nowhere/clients.json";
    assert_memory_equal(ask(alice, "6,1\n3,app\n"), "6,1\n", 4);
    assert_string_equal(ask(alice, "2,1\n"), "2,1\n0\n");
    assert_int_equal(world->registry.count, 0);
    hang_up(alice);
}

static void what_a_store_has_is_its_owners_again(void **state)
{
    struct vine__vm_facts mine = {.uid = "00000000000000000000000000000001",
                                  .name = "mine",
                                  .configuration = strdup("{}"),
                                  .configuration_bytes = 2,
                                  .memory_bytes = 1,
                                  .upload_bytes = {[VINE__UPLOAD_KERNEL] = 6}};
    struct vine__vm_facts nobodys = {.uid = "00000000000000000000000000000002",
                                     .name = "nobodys",
                                     .problem = strdup("memory: is no; size")};
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice"), *const root = call_in(world, "root");

    assert_int_equal(vine__clients_give(&world->clients,
                                        vine__clients_find(&world->clients, "alice"),
                                        "00000000000000000000000000000001", ""),
                     0);
    assert_string_equal(ask(alice, "2,1\n"), "2,1\n0\n"); /* the store has it not yet */
    assert_int_equal(vine__registry_adopt(&world->registry, &mine), 0);
    assert_int_equal(vine__registry_adopt(&world->registry, &nobodys), 0);
    assert_string_equal(ask(alice, "4,1\n"), "4,1\n32,00000000000000000000000000000001\n");
    assert_string_equal(ask(root, "102,1\n"), "102,1\n0\n2\n");
    assert_string_equal(ask(root, "105,1\n32,00000000000000000000000000000002\n"),
                        "105,1\n13,the configuration cannot be read: memory: is no; size\n");
    assert_string_equal(ask(root, "105,1\n32,00000000000000000000000000000001\n"),
                        "105,1\n0\n2,{}\n");
    assert_string_equal(ask(root, "109,1\n32,00000000000000000000000000000002\n0,\n"),
                        "109,1\n13,memory: is no; size\n");
    assert_int_equal(vine__registry_adopt(&world->registry, &nobodys), -EEXIST);
    hang_up(alice);
    hang_up(root);
}

static void many_clients_are_served(void **state)
{
    struct world *const world = *state;
    struct caller *callers[1000];
    char name[32];

    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof(name), "client-%d", i);
        (void)world_add(world, name, 7);
        callers[i] = call_in(world, name);
        /* Half of them stop in the middle of something. */
        (void)ask(callers[i], i % 2 == 0 ? "1,1\n" : "6,1\n4294967295,");
    }
    for (int i = 0; i < 1000; i += 2)
        assert_string_equal(ask(callers[i], "2,1\n"), "2,1\n0\n");
    for (int i = 0; i < 1000; i++)
        hang_up(callers[i]);
}

static void what_a_kernel_is_told_is_text(void **state)
{
    static const char *const bad[] = {"a\xff", "a\nb", "\x1b[0", "\x7f"};
    struct caller *const alice = call_in(*state, "alice");
    char uid[VINE__CLIENT_UID_BYTES];

    make_bootable(alice, "one", uid);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_non_null(
            strstr(ask(alice, "9,1\n32,%s\n%zu,%s\n", uid, strlen(bad[i]), bad[i]), "error 6: "));
    assert_string_equal(ask(alice, "9,1\n32,%s\n3,a\tb\n", uid), "9,1\n12,/tmp/console\n");
    hang_up(alice);
}

/* The server is told to end while it starts one, which runs on: the engine has told of it before it
 * was closed, and can be asked no more. */
static void one_whose_start_is_done_when_the_engine_has_ended_is_told(void **state)
{
    static const struct vine__machines_calls calls = {
        .start = fake_start, .stop = fake_stop, .kill = fake_kill, .log = fake_log};
    struct vine__machines ended = {.calls = &calls};
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    char uid[VINE__CLIENT_UID_BYTES];

    make_bootable(alice, "one", uid);
    world->is_slow = true;
    assert_string_equal(ask(alice, "9,1\n32,%s\n0,\n", uid), "");
    while (world->machines.asked_count == 0)
        assert_true(world_step(world));
    world->registry.machines = &ended;
    assert_true(fake_step(&world->machines));
    caller_go_on(alice);
    assert_string_equal(heard(alice), "9,1\n12,/tmp/console\n");
    hang_up(alice);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)
    const struct CMUnitTest tests[] = {
        TEST(commands_1_to_9_are_answered_to_the_letter),
        TEST(their_errors_have_their_shapes),
        TEST(what_is_not_permitted_changes_nothing),
        TEST(a_vm_of_another_is_as_one_that_is_not_there),
        TEST(who_may_do_all_does_it_to_all),
        TEST(states_are_what_events_have_told),
        TEST(one_that_hangs_is_stopping_until_it_is_killed),
        TEST(restart_starts_with_the_former_parameters),
        TEST(no_question_touches_a_vm),
        TEST(wait_ends_with_the_state_the_time_or_the_vm),
        TEST(who_waits_may_hang_up),
        TEST(events_are_pushed_in_order_and_gaps_are_seen),
        TEST(uploads_are_stored_when_all_of_them_has_come),
        TEST(answers_that_are_not_read_hold_no_more_than_they_may_together),
        TEST(what_is_too_large_is_told_before_it_comes),
        TEST(limits_hold_for_all_of_a_clients_together),
        TEST(bad_configurations_are_told_of_and_not_taken),
        TEST(whose_a_vm_is_is_on_the_disk_before_it_is_told),
        TEST(what_a_store_has_is_its_owners_again),
        TEST(many_clients_are_served),
        TEST(what_a_kernel_is_told_is_text),
        TEST(one_whose_start_is_done_when_the_engine_has_ended_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
