/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server links=runtime timeout=120 */
/*
 * The VM server on reactors: clients at their sockets, in one thread.
 */
#include "../../core/network/network_tests.h"

#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <vine/service.h>

#include "core/file/file.h"
#include "server_world.h"
#include "vmm/server/service.h"

#define CALLERS_MANY 1000

static struct vine__server *server;
static struct world *served;
static uint32_t stopped;

static void stop_done(void *context)
{
    (void)context;
    stopped++;
}

/* ---- clients --------------------------------------------------------------------------------- */

static int connect_as(const struct world *world, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", world->folder, name);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* A turn of all cores, and all that store and engine were asked for. */
static void turn(void)
{
    step_all();
    if (!served->is_slow)
        world_settle(served);
}

static void turn_often(void)
{
    for (int i = 0; i < 200; i++)
        turn();
}

/* So many bytes come. */
static const char *hear(int fd, size_t size)
{
    static char text[4096];
    const uint64_t hang_ns = vine__clock_now_ns() + HANG_NS;
    size_t at = 0;

    assert_true(size < sizeof(text));
    while (at < size) {
        const ssize_t got = read(fd, text + at, size - at);
        const bool is_over = got == 0 || (got < 0 && errno != EAGAIN);

        if (got > 0)
            at += (size_t)got;
        else
            turn();
        text[at] = '\0';
        if (is_over || vine__clock_now_ns() > hang_ns)
            fail_msg("nothing comes any more behind `%s`", text);
    }
    return text;
}

static void expect(int fd, const char *text)
{
    assert_string_equal(hear(fd, strlen(text)), text);
}

static void expect_silence(int fd)
{
    char byte;

    turn_often();
    assert_int_equal(read(fd, &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
}

static void expect_end(int fd)
{
    ssize_t got = -1;
    char byte;

    until((got = read(fd, &byte, 1)) >= 0 || errno != EAGAIN);
    assert_true(got == 0 || (got < 0 && errno == ECONNRESET));
    close(fd);
}

/* ---- the server ------------------------------------------------------------------------------ */

static uint32_t connections_max, all_connections_max;
static uint64_t crowds, crowd; /* how often a client was told to have too many, and how many last */

static void count_crowd(const struct vine__client *client, uint64_t ended_count)
{
    assert_non_null(client);
    crowds++;
    crowd = ended_count;
}

static void open_server(struct world *world, struct vine__control *control)
{
    const struct vine__server_options options = {.registry = &world->registry,
                                                 .control = control,
                                                 .connections_max = connections_max,
                                                 .all_connections_max = all_connections_max,
                                                 .crowded = count_crowd};
    const struct vine__file_options files = {.requests_max = 64};
    char why[VINE__CLIENTS_WHY_BYTES] = "";

    stopped = 0;
    served = world;
    open_cores(1);
    assert_int_equal(vine__file_start(&files), 0);
    assert_int_equal(vine__server_start(&options, &server, why), 0);
}

static void close_server(void)
{
    vine__server_stop(server, stop_done, NULL);
    vine_stop(0);
    for (uint32_t i = 0; i < 1000 && stopped == 0; i++) {
        stepped.clock_ns += 10 * 1000 * 1000;
        step_all();
    }
    until(stopped == 1); /* an upload's file may still be being closed */
    close_cores();
    vine__file_end(0);
}

static void make_one(int fd, char uid[VINE__CLIENT_UID_BYTES])
{
    char text[80];

    say(fd, "6,1\n3,zip\n");
    memcpy(uid, hear(fd, 4 + 3 + 32 + 1) + 7, 32);
    uid[32] = '\0';
    (void)snprintf(text, sizeof(text), "8,1\n32,%s\n6,kernel\n", uid);
    say(fd, text);
    expect(fd, "8,1\n0,\n");
}

static void say_of(int fd, const char *format, const char *uid)
{
    char text[200];

    (void)snprintf(text, sizeof(text), format, uid);
    say(fd, text);
}

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

static uint32_t written_here; /* kernels, by core 0 itself, which would wait for the disk */

/* In the place of the system's. */
ssize_t write(int fd, const void *bytes, size_t size)
{
    struct stat status;

    written_here += size == 6 && memcmp(bytes, "kernel", 6) == 0 && fstat(fd, &status) == 0 &&
                    S_ISREG(status.st_mode) && syscall(SYS_gettid) == (long)getpid();
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

/* ---- the control socket ---------------------------------------------------------------------- */

static struct vine__control control;
static int stops[2]; /* how often the server was told to stop, without and with all VMs */

static void count_stop(struct vine__control *told, bool stops_vms)
{
    assert_ptr_equal(told, &control);
    stops[stops_vms]++;
}

static int open_controlled(struct world *world)
{
    static const struct vine__places places = {
        .configuration = "/c/server.conf", .state = "/s", .runtime = "/r"};
    static char path[64];

    (void)snprintf(path, sizeof(path), "%s/control", world->folder);
    control = (struct vine__control){
        .path = path, .version = "1.2.3", .places = &places, .stop = count_stop};
    open_server(world, &control);
    return connect_as(world, "control");
}

static void add_client_at(int fd, const struct world *world, const char *file, const char *name,
                          const char *rest, const char *answer)
{
    char json[500], text[600];

    (void)snprintf(json, sizeof(json),
                   "{\"version\":1,\"clients\":[{\"name\":\"%s\",\"pool\":\"main\",\"path\":\"%s/"
                   "%s\",\"mode\":"
                   "\"0600\",\"user\":-1,\"group\":-1,\"permissions\":7,\"limits\":{\"vms\":2,"
                   "\"memory\":1000000000,\"kernel\":1000,\"disk\":1000},%s}]}",
                   name, world->folder, file, rest);
    (void)snprintf(text, sizeof(text), "202,1\n%zu,%s\n", strlen(json), json);
    say(fd, text);
    expect(fd, answer);
}

static void add_client(int fd, const struct world *world, const char *name, const char *rest,
                       const char *answer)
{
    add_client_at(fd, world, name, name, rest, answer);
}

static bool is_saved(const struct world *world, const char *name)
{
    struct vine__clients clients;
    char why[VINE__CLIENTS_WHY_BYTES] = "";
    bool is_there;

    assert_int_equal(vine__clients_load(world->clients_path, &clients, why), 0);
    is_there = vine__clients_find(&clients, name) != NULL;
    vine__clients_fini(&clients);
    return is_there;
}

static void read_file(const char *path, char *text, size_t room)
{
    FILE *const file = fopen(path, "r");
    size_t size;

    assert_non_null(file);
    size = fread(text, 1, room - 1, file);
    text[size] = '\0';
    assert_int_equal(fclose(file), 0);
}

static void the_control_socket_is_the_servers_own(void **state)
{
    struct world *const world = *state;
    struct stat status;
    char text[200];
    int fd, root;

    fd = open_controlled(world);
    assert_int_equal(stat(control.path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    (void)snprintf(text, sizeof(text),
                   "1,1\n63\n200,1\n0\n5,1.2.3\n%d\n14,/c/server.conf\n2,/s\n2,/r\n102,1\n0\n0\n",
                   (int)getpid());
    say(fd, "1,1\n200,1\n102,1\n");
    expect(fd, text);
    root = connect_as(world, "root");
    say(root, "200,1\n201,1\n1,1\n");
    expect(root, "200,1\n4,this socket has not the permission\n"
                 "201,1\n4,this socket has not the permission\n1,1\n31\n");
    say(fd, "205,1\n2\n205,1\n0\n205,1\n1\n");
    expect(fd, "205,1\n6,0: VMs run on, or 1: they are stopped\n205,1\n0\n205,1\n0\n");
    assert_int_equal(stops[0], 1);
    assert_int_equal(stops[1], 1);
    memset(stops, 0, sizeof(stops));
    close(fd);
    close(root);
    close_server();
}

static bool is_served(const struct world *world, const char *name, int *ret_fd)
{
    ssize_t got = -1;
    char byte;

    *ret_fd = connect_as(world, name);
    /* Who is hung up on may be so before he says a word. */
    if (send(*ret_fd, "1,1\n", 4, MSG_NOSIGNAL) < 0)
        assert_int_equal(errno, EPIPE);
    until((got = read(*ret_fd, &byte, 1)) >= 0 || errno != EAGAIN);
    if (got == 1)
        return true;
    close(*ret_fd);
    return false;
}

static void connections_too_many_are_ended_and_the_control_socket_has_a_place(void **state)
{
    struct world *const world = *state;
    int fd, again, alice[2], bob, more;

    connections_max = 2;
    all_connections_max = 3;
    crowds = 0;
    fd = open_controlled(world);
    assert_true(is_served(world, "alice", &alice[0]));
    assert_true(is_served(world, "alice", &alice[1]));
    for (int i = 0; i < 3; i++)
        assert_false(is_served(world, "alice", &more));
    assert_int_equal(crowds, 1);
    assert_int_equal(crowd, 1);
    stepped.clock_ns += 60 * VINE_NS_PER_SECOND;
    assert_false(is_served(world, "alice", &more));
    assert_int_equal(crowds, 2);
    assert_int_equal(crowd, 3);
    assert_true(is_served(world, "bob", &bob));
    assert_false(is_served(world, "bob", &more));
    assert_int_equal(crowds, 3);
    assert_true(is_served(world, "control", &again));
    /* Who goes makes room. */
    close(alice[0]);
    until(is_served(world, "bob", &more));
    assert_false(is_served(world, "alice", &alice[0]));
    close(alice[1]);
    close(bob);
    close(more);
    close(again);
    close(fd);
    close_server();
    connections_max = 0;
    all_connections_max = 0;
}

static void a_client_comes_and_goes_while_the_server_runs(void **state)
{
    struct world *const world = *state;
    char uid[VINE__CLIENT_UID_BYTES], path[64], text[200];
    int fd, idle, waiting, half, alice;

    fd = open_controlled(world);
    alice = connect_as(world, "alice");
    add_client(fd, world, "carol", "\"vms\":[]", "202,1\n0\n");
    assert_true(is_saved(world, "carol"));
    add_client(fd, world, "carol", "\"vms\":[]", "202,1\n10,name: there is a client `carol`\n");
    add_client(fd, world, "control", "\"vms\":[]", "202,1\n10,path: it is the server's own\n");
    add_client(fd, world, "dora", "\"vms\":[\"00000000000000000000000000000000\"]",
               "202,1\n6,vms: a new client has none\n");
    idle = connect_as(world, "carol");
    waiting = connect_as(world, "carol");
    half = connect_as(world, "carol");
    make_one(idle, uid);
    say_of(idle, "9,1\n32,%s\n0,\n", uid);
    expect(idle, "9,1\n12,/tmp/console\n");
    fake_tell(world, uid, VINE__VM_RUNNING, NULL);
    say_of(waiting, "23,1\n32,%s\n3,off\n60000\n", uid);
    say(half, "6,1\n100,h");
    for (int i = 0; i < 100; i++) {
        stepped.clock_ns += VINE_NS_PER_SECOND / 10;
        turn();
    }
    say(fd, "203,1\n5,carol\n203,1\n5,carol\n");
    expect_end(idle);
    expect_end(waiting);
    expect_end(half);
    expect(fd, "203,1\n0\n203,1\n15,no such client\n");
    (void)snprintf(path, sizeof(path), "%s/carol", world->folder);
    assert_int_equal(access(path, F_OK), -1);
    assert_false(is_saved(world, "carol"));
    /* Its VM runs on, and is nobody's. */
    (void)snprintf(text, sizeof(text), "11,1\n5,no such VM\n12,1\n0\n0,\n");
    say_of(alice, "11,1\n32,%s\n12,1\n", uid);
    expect(alice, text);
    close(alice);
    close(fd);
    close_server();
}

static void a_vm_is_given_from_one_to_another(void **state)
{
    struct world *const world = *state;
    char uid[VINE__CLIENT_UID_BYTES], text[200];
    int fd, alice, bob;

    fd = open_controlled(world);
    alice = connect_as(world, "alice");
    bob = connect_as(world, "bob");
    make_one(alice, uid);
    say_of(fd, "204,1\n32,%s\n4,eric\n", uid);
    expect(fd, "204,1\n15,no such client\n");
    say(fd, "204,1\n3,zip\n3,bob\n");
    expect(fd, "204,1\n5,no such VM\n");
    say_of(fd, "204,1\n32,%s\n3,bob\n", uid);
    expect(fd, "204,1\n0\n");
    say(alice, "4,1\n");
    expect(alice, "4,1\n0,\n");
    (void)snprintf(text, sizeof(text), "4,1\n32,%s\n", uid);
    say(bob, "4,1\n");
    expect(bob, text);
    say_of(bob, "9,1\n32,%s\n0,\n", uid);
    expect(bob, "9,1\n12,/tmp/console\n");
    vine__clients_find(&world->clients, "alice")->limits.vms = 0;
    say_of(fd, "204,1\n32,%s\n5,alice\n", uid);
    expect(fd, "204,1\n8,as many VMs as there may be\n");
    say_of(bob, "14,1\n32,%s\n", uid);
    expect(bob, "14,1\n0\n");
    say_of(fd, "204,1\n32,%s\n0,\n", uid);
    expect(fd, "204,1\n0\n");
    say(bob, "4,1\n");
    expect(bob, "4,1\n0,\n");
    say_of(fd, "111,1\n32,%s\n", uid);
    expect(fd, "111,1\n0\n3,off\n6,killed\n11,that was it\n1\n");
    close(alice);
    close(bob);
    close(fd);
    close_server();
}

static void a_socket_that_cannot_be_had_makes_no_client(void **state)
{
    struct world *const world = *state;
    char path[64];
    int fd;

    fd = open_controlled(world);
    (void)snprintf(path, sizeof(path), "%s/carol", world->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    add_client(fd, world, "carol", "\"vms\":[]", "202,1\n13,");
    assert_null(vine__clients_find(&world->clients, "carol"));
    assert_int_equal(rmdir(path), 0);
    close(fd);
    close_server();
}

static void a_socket_in_a_folder_that_others_can_change_makes_no_client(void **state)
{
    struct world *const world = *state;
    char text[200], folder[64];
    int fd;

    fd = open_controlled(world);
    (void)snprintf(folder, sizeof(folder), "%s/open", world->folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(chmod(folder, 0777), 0);
    (void)snprintf(text, sizeof(text),
                   "202,1\n13,%s can be changed by others than root and the "
                   "server\n",
                   folder);
    add_client_at(fd, world, "open/carol", "carol", "\"vms\":[]", text);
    assert_null(vine__clients_find(&world->clients, "carol"));
    close(fd);
    close_server();
}

/* As another user. Returns 0: the connection was ended without a word. */
static int be_another(const struct world *world)
{
    char byte;
    int fd;

    if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0)
        return 1;
    fd = connect_as(world, "alice");
    if (write(fd, "1,1\n", 4) < 0 && errno != EPIPE)
        return 2;
    if (fcntl(fd, F_SETFL, 0) != 0)
        return 3;
    return read(fd, &byte, 1) <= 0 ? 0 : 4;
}

static void who_is_not_meant_is_not_served_though_the_name_lets_him_in(void **state)
{
    struct world *const world = *state;
    int status = 0;
    char path[64];
    pid_t child;

    if (geteuid() != 0) {
        print_message("skipped: only root can be another user\n");
        skip();
    }
    open_server(world, NULL);
    (void)snprintf(path, sizeof(path), "%s/alice", world->folder);
    assert_int_equal(chmod(world->folder, 0711), 0);
    assert_int_equal(chmod(path, 0777), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(be_another(world));
    until(waitpid(child, &status, WNOHANG) == child);
    assert_int_equal(status, 0);
    close_server();
}

static void a_socket_that_cannot_be_made_keeps_no_other_from_being_there(void **state)
{
    struct world *const world = *state;
    struct vine__client *const bob = vine__clients_find(&world->clients, "bob");
    char folder[64], path[200], saved[4096];
    const char *text;
    int fd, alice;

    (void)snprintf(folder, sizeof(folder), "%s/later", world->folder);
    (void)snprintf(bob->path, sizeof(bob->path), "%s/bob", folder);
    fd = open_controlled(world);
    alice = connect_as(world, "alice");
    say(alice, "1,1\n");
    expect(alice, "1,1\n7\n");
    (void)snprintf(path, sizeof(path), "%s: ", folder);
    assert_memory_equal(bob->fault, path, strlen(path));
    say(fd, "201,1\n");
    text = hear(fd, 1000);
    assert_non_null(strstr(text, "\"fault\": \""));
    /* It is no part of what is kept. */
    assert_int_equal(vine__clients_save(world->clients_path, &world->clients), 0);
    read_file(world->clients_path, saved, sizeof(saved));
    assert_null(strstr(saved, "fault"));
    /* A plain file is told from an address that somebody holds. */
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(close(open(bob->path, O_CREAT | O_EXCL | O_WRONLY, 0600)), 0);
    assert_false(vine__server_open_missing(server));
    (void)snprintf(path, sizeof(path), "%s is there, and is no socket", bob->path);
    assert_string_equal(bob->fault, path);
    assert_int_equal(unlink(bob->path), 0);
    assert_false(vine__server_open_missing(server));
    assert_string_equal(bob->fault, "");
    close(connect_as(world, "later/bob"));
    close(alice);
    close(fd);
    close_server();
}

static void a_control_socket_that_cannot_be_made_is_named(void **state)
{
    struct world *const world = *state;
    const struct vine__server_options options = {.registry = &world->registry, .control = &control};
    char why[VINE__CLIENTS_WHY_BYTES] = "";

    control = (struct vine__control){.path = "/nowhere/control", .stop = count_stop};
    open_cores(1);
    assert_true(vine__server_start(&options, &server, why) < 0);
    assert_memory_equal(why, "control: /nowhere: ", 19);
    close_cores();
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
        TEST(the_control_socket_is_the_servers_own),
        TEST(connections_too_many_are_ended_and_the_control_socket_has_a_place),
        TEST(a_client_comes_and_goes_while_the_server_runs),
        TEST(a_vm_is_given_from_one_to_another),
        TEST(a_socket_that_cannot_be_had_makes_no_client),
        TEST(a_socket_in_a_folder_that_others_can_change_makes_no_client),
        TEST(who_is_not_meant_is_not_served_though_the_name_lets_him_in),
        TEST(a_socket_that_cannot_be_made_keeps_no_other_from_being_there),
        TEST(a_control_socket_that_cannot_be_made_is_named),
    };

    return run_by_both(tests);
}
