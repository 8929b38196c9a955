/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server links=runtime timeout=120 */
/*
 * The VM server on reactors: clients at their sockets, in one thread.
 */
#include "service_world.h"

#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define CALLERS_MANY 1000

static void each_client_is_served_at_its_own_socket(void **state)
{
    struct world *const world = *state;
    char uid[VINE__CLIENT_UID_BYTES];
    struct stat status;
    char path[64];
    int alice, bob;

    vine__clients_find(&world->clients, "alice")->mode = 0662;
    open_server(world, NULL);
    (void)snprintf(path, sizeof(path), "%s/alice", world->folder);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0662);
    alice = connect_as(world, "alice");
    bob = connect_as(world, "bob");
    say(alice, "1,1\n");
    expect(alice, "1,1\n7\n");
    make_one(alice, uid);
    say(alice, "2,1\n");
    expect(alice, "2,1\n1\n");
    say(bob, "2,1\n4,1\n");
    expect(bob, "2,1\n0\n4,1\n0,\n");
    say_of(bob, "14,1\n32,%s\n", uid);
    expect(bob, "14,1\n5,no such VM\n");
    say_of(alice, "9,1\n32,%s\n5,quiet\n", uid);
    expect(alice, "9,1\n12,/tmp/console\n");
    close(alice);
    close(bob);
    close_server();
    assert_int_equal(stat(path, &status), -1);
}

static void bytes_may_come_one_by_one_and_answers_may_be_large(void **state)
{
    struct world *const world = *state;
    char text[600], uid[VINE__CLIENT_UID_BYTES];
    int alice;

    open_server(world, NULL);
    alice = connect_as(world, "alice");
    make_one(alice, uid);
    (void)snprintf(text, sizeof(text), "8,1\n32,%s\n4,abcd\n5,1\n32,%s\n1,1\n", uid, uid);
    for (size_t at = 0; text[at] != '\0'; at++) {
        assert_int_equal(write(alice, text + at, 1), 1);
        step_often();
    }
    expect(alice, "8,1\n0,\n5,1\n14,{\"name\":\"zip\"}\n1,1\n7\n");
    /* Larger than the room that a connection has to write. */
    (void)snprintf(text, sizeof(text), "24,1\n32,%s\n20011,{\"text\":\"", uid);
    say(alice, text);
    for (int i = 0; i < 200; i++) {
        char piece[101];

        memset(piece, 'x', 100);
        piece[100] = '\0';
        say(alice, piece);
        step_all();
    }
    say(alice, "\"}\n");
    expect(alice, "24,1\n0\n");
    say_of(alice, "5,1\n32,%s\n1,1\n", uid);
    expect(alice, "5,1\n20011,{\"text\":\"");
    for (int i = 0; i < 200; i++)
        (void)hear(alice, 100);
    expect(alice, "\"}\n1,1\n7\n");
    close(alice);
    close_server();
}

static void framing_that_is_lost_ends_the_connection(void **state)
{
    struct world *const world = *state;
    int alice;

    open_server(world, NULL);
    alice = connect_as(world, "alice");
    say(alice, "hello\n1,1\n");
    expect(alice, "0,0\n1,a request begins with COMMAND,VERSION\n1,1\n7\n");
    say(alice, "3,1\nx,\n1,1\n");
    expect(alice, "3,1\n48,error 1: a string begins with LENGTH and a comma\n");
    expect_end(alice);
    close_server();
}

/* Kernels, by a thread itself: core 0, which counts them, would wait for the disk. */
static _Thread_local uint32_t written_here;

/* In the place of the system's. */
ssize_t write(int fd, const void *bytes, size_t size)
{
    struct stat status;

    written_here += size == 6 && memcmp(bytes, "kernel", 6) == 0 && fstat(fd, &status) == 0 &&
                    S_ISREG(status.st_mode);
    return syscall(SYS_write, fd, bytes, size);
}

static void an_upload_is_not_written_by_core_0(void **state)
{
    struct world *const world = *state;
    char uid[VINE__CLIENT_UID_BYTES];
    int alice;

    open_server(world, NULL);
    alice = connect_as(world, "alice");
    written_here = 0;
    make_one(alice, uid);
    assert_int_equal(written_here, 0);
    close(alice);
    close_server();
}

static void half_of_a_kernel_is_none_and_its_sender_is_not_waited_for(void **state)
{
    struct world *const world = *state;
    char uid[VINE__CLIENT_UID_BYTES], byte;
    int alice, other;

    open_server(world, NULL);
    alice = connect_as(world, "alice");
    other = connect_as(world, "alice");
    make_one(alice, uid);
    say_of(alice, "8,1\n32,%s\n900,half", uid);
    step_often();
    say_of(other, "16,1\n32,%s\n", uid);
    expect(other, "16,1\n14,an upload to this VM is under way\n");
    /* It is silent for longer than it may be, which counts from when what has come is written. */
    while (read(alice, &byte, 1) < 0 && errno == EAGAIN) {
        stepped.clock_ns += VINE_NS_PER_SECOND / 10;
        step_all();
    }
    expect_end(alice);
    step_often();
    say_of(other, "16,1\n32,%s\n", uid);
    expect(other, "16,1\n0\n");
    close(other);
    close_server();
}

static void who_waits_is_woken_and_others_are_served_meanwhile(void **state)
{
    struct world *const world = *state;
    char uid[VINE__CLIENT_UID_BYTES];
    int alice, other;

    open_server(world, NULL);
    alice = connect_as(world, "alice");
    other = connect_as(world, "alice");
    make_one(alice, uid);
    say_of(alice, "23,1\n32,%s\n7,running\n60000\n1,1\n", uid);
    expect_silence(alice);
    say_of(other, "9,1\n32,%s\n0,\n", uid);
    expect(other, "9,1\n12,/tmp/console\n");
    expect_silence(alice);
    world_tell(world, uid, VINE__VM_RUNNING, NULL);
    expect(alice, "23,1\n0\n7,running\n1,1\n7\n");
    say_of(alice, "23,1\n32,%s\n3,off\n500\n", uid);
    step_often();
    for (int i = 0; i < 10; i++) {
        stepped.clock_ns += VINE_NS_PER_SECOND / 10;
        step_all();
    }
    expect(alice, "23,1\n11,not in this time\n");
    /* One that goes while it waits is gone. */
    say_of(alice, "23,1\n32,%s\n3,off\n60000\n", uid);
    step_often();
    close(alice);
    step_often();
    say_of(other, "14,1\n32,%s\n", uid);
    expect(other, "14,1\n0\n");
    close(other);
    close_server();
}

static void events_are_pushed_between_answers(void **state)
{
    struct world *const world = *state;
    char uid[VINE__CLIENT_UID_BYTES], text[250];
    int alice;

    open_server(world, NULL);
    alice = connect_as(world, "alice");
    make_one(alice, uid);
    say(alice, "21,1\n");
    expect(alice, "21,1\n0\n");
    say_of(alice, "9,1\n32,%s\n0,\n", uid);
    (void)snprintf(text, sizeof(text),
                   "9,1\n12,/tmp/console\n22,1\n0\n1\n32,%s\n8,starting\n0,\n0,\n", uid);
    expect(alice, text);
    world_tell(world, uid, VINE__VM_RUNNING, NULL);
    (void)snprintf(text, sizeof(text), "22,1\n0\n2\n32,%s\n7,running\n0,\n0,\n", uid);
    expect(alice, text);
    /* Those that come while it waits are told behind that answer. */
    say_of(alice, "23,1\n32,%s\n3,off\n60000\n", uid);
    expect_silence(alice);
    world_tell(world, uid, VINE__VM_OFF, "crash");
    (void)snprintf(text, sizeof(text),
                   "23,1\n0\n3,off\n22,1\n0\n3\n32,%s\n8,stopping\n0,\n0,\n"
                   "22,1\n0\n4\n32,%s\n3,off\n5,crash\n11,that was it\n",
                   uid, uid);
    expect(alice, text);
    close(alice);
    close_server();
}

static void many_who_are_silent_or_stop_in_the_middle_hold_up_nobody(void **state)
{
    struct world *const world = *state;
    static int fds[CALLERS_MANY];
    int alice;

    connections_max = CALLERS_MANY;
    open_server(world, NULL);
    for (int i = 0; i < CALLERS_MANY; i++) {
        fds[i] = connect_as(world, "bob");
        if (i % 3 == 0)
            say(fds[i], "6,1\n4294967295,");
        else if (i % 3 == 1)
            say(fds[i], "1,1\n");
        if (i % 50 == 0)
            step_often();
    }
    step_often();
    alice = connect_as(world, "alice");
    say(alice, "1,1\n");
    expect(alice, "1,1\n7\n");
    for (int i = 0; i < CALLERS_MANY; i++) {
        if (i % 3 == 1)
            expect(fds[i], "1,1\n7\n");
        close(fds[i]);
    }
    close(alice);
    close_server();
    connections_max = 0;
}

static bool is_hung_up(int fd)
{
    struct pollfd looked = {.fd = fd};

    return poll(&looked, 1, 0) == 1 && (looked.revents & POLLHUP) != 0;
}

static void who_does_not_read_events_holds_up_nobody_and_is_ended(void **state)
{
    struct world *const world = *state;
    char uid[VINE__CLIENT_UID_BYTES];
    int slow, other;

    open_server(world, NULL);
    slow = connect_as(world, "alice");
    other = connect_as(world, "alice");
    make_one(other, uid);
    say(slow, "21,1\n");
    expect(slow, "21,1\n0\n");
    say_of(other, "9,1\n32,%s\n0,\n", uid);
    expect(other, "9,1\n12,/tmp/console\n");
    /* Until the kernel keeps no more of them for it, and it was waited for long enough. */
    for (int i = 0; !is_hung_up(slow); i++) {
        fake_tell(world, uid, i % 2 == 0 ? VINE__VM_RUNNING : VINE__VM_PAUSED, NULL);
        stepped.clock_ns += VINE_NS_PER_SECOND / 100;
        turn();
        if (i % 1000 == 0) {
            say(other, "1,1\n");
            expect(other, "1,1\n7\n");
        }
    }
    say(other, "1,1\n");
    expect(other, "1,1\n7\n");
    close(slow);
    close(other);
    close_server();
}
int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)
    const struct CMUnitTest tests[] = {
        TEST(each_client_is_served_at_its_own_socket),
        TEST(bytes_may_come_one_by_one_and_answers_may_be_large),
        TEST(framing_that_is_lost_ends_the_connection),
        TEST(half_of_a_kernel_is_none_and_its_sender_is_not_waited_for),
        TEST(an_upload_is_not_written_by_core_0),
        TEST(who_waits_is_woken_and_others_are_served_meanwhile),
        TEST(events_are_pushed_between_answers),
        TEST(many_who_are_silent_or_stop_in_the_middle_hold_up_nobody),
        TEST(who_does_not_read_events_holds_up_nobody_and_is_ended),
    };

    return run_by_both(tests);
}
