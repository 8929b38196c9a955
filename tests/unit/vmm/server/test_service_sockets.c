/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server links=runtime timeout=120 */
/*
 * The VM server's own socket, and those of clients: who makes them, where, and for whom.
 */
#include "service_world.h"

#include <sys/stat.h>
#include <sys/wait.h>

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

/* Who is not is told why, and that before he says a word. */
static bool is_served(const struct world *world, const char *name, int *ret_fd)
{
    static const char farewell[] = "0,0\n8,there are as many connections as may be\n";
    char text[sizeof(farewell)] = "";
    size_t size = 0;
    ssize_t got = -1;

    *ret_fd = connect_as(world, name);
    if (send(*ret_fd, "1,1\n", 4, MSG_NOSIGNAL) < 0)
        assert_int_equal(errno, EPIPE);
    until((got = read(*ret_fd, text, 1)) >= 0 || errno != EAGAIN);
    assert_int_equal(got, 1);
    if (text[0] == '1')
        return true;
    size = 1;
    until((got = read(*ret_fd, text + size, sizeof(text) - size)) > 0
              ? (size += (size_t)got) == sizeof(text)
              : got == 0 || errno != EAGAIN);
    assert_string_equal(text, farewell);
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

/* What is on its way to the disk is nobody else's to change, and others are served. */
static void a_client_comes_and_goes_when_that_is_on_the_disk(void **state)
{
    static const char busy[] = "14,this client is being added or removed\n";
    struct world *const world = *state;
    char uid[VINE__CLIENT_UID_BYTES], text[200];
    int fd, other, bob;

    fd = open_controlled(world);
    other = connect_as(world, "control");
    bob = connect_as(world, "bob");
    make_one(bob, uid);
    world->saver.holds = true;
    add_client(fd, world, "carol", "\"vms\":[]", "");
    expect_silence(fd);
    (void)snprintf(text, sizeof(text), "203,1\n%s204,1\n%s", busy, busy);
    say_of(other, "203,1\n5,carol\n204,1\n32,%s\n5,carol\n", uid);
    expect(other, text);
    assert_false(is_saved(world, "carol"));
    world->saver.holds = false;
    expect(fd, "202,1\n0\n");
    assert_true(is_saved(world, "carol"));
    world->saver.holds = true;
    say(fd, "203,1\n3,bob\n");
    expect_silence(fd);
    (void)snprintf(text, sizeof(text), "203,1\n%s", busy);
    say(other, "203,1\n3,bob\n");
    expect(other, text);
    say(bob, "6,1\n3,new\n");
    expect(bob, "6,1\n37,error 14: the client is being removed\n");
    say(bob, "2,1\n");
    expect(bob, "2,1\n1\n");
    /* It stays if that cannot be written. */
    world->registry.clients_file.work.path = "/nowhere/clients.json";
    world->saver.holds = false;
    expect(fd, "203,1\n13,the list of clients cannot be written\n");
    say(bob, "6,1\n3,new\n");
    (void)hear(bob, strlen("6,1\n32,") + 33);
    assert_true(is_saved(world, "bob"));
    close(fd);
    close(other);
    close(bob);
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

/* As another user. Returns 0: the connection was ended, and it was said why. */
static int be_another(const struct world *world)
{
    static const char farewell[] = "0,0\n4,this socket is for others\n";
    char text[sizeof(farewell)] = "";
    int fd;

    if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0)
        return 1;
    fd = connect_as(world, "alice");
    /* The connection may have ended by now, which is no end of this process. */
    if (send(fd, "1,1\n", 4, MSG_NOSIGNAL) < 0 && errno != EPIPE)
        return 2;
    if (fcntl(fd, F_SETFL, 0) != 0)
        return 3;
    for (size_t size = 0; size < sizeof(text) - 1;) {
        const ssize_t got = read(fd, text + size, sizeof(text) - 1 - size);

        if (got <= 0)
            return 4;
        size += (size_t)got;
    }
    return strcmp(text, farewell) == 0 && read(fd, text, 1) <= 0 ? 0 : 5;
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
    denials = denied = 0;
    for (uint64_t i = 0; i < 4; i++) {
        stepped.clock_ns += i == 3 ? 60 * VINE_NS_PER_SECOND : 0;
        child = fork();
        assert_true(child >= 0);
        if (child == 0)
            _exit(be_another(world));
        until(waitpid(child, &status, WNOHANG) == child);
        assert_int_equal(status, 0);
        assert_int_equal(denials, i < 3 ? 1 : 2);
        assert_int_equal(denied, i < 3 ? 1 : 3);
    }
    close_server();
}

static void a_socket_that_cannot_be_made_keeps_no_other_from_being_there(void **state)
{
    struct world *const world = *state;
    struct vine__client *const bob = vine__clients_find(&world->clients, "bob");
    char folder[64], path[200], *file;
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
    file = vine__clients_print_file(&world->clients);
    assert_null(strstr(file, "fault"));
    free(file);
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
        TEST(the_control_socket_is_the_servers_own),
        TEST(connections_too_many_are_ended_and_the_control_socket_has_a_place),
        TEST(a_client_comes_and_goes_while_the_server_runs),
        TEST(a_client_comes_and_goes_when_that_is_on_the_disk),
        TEST(a_vm_is_given_from_one_to_another),
        TEST(a_socket_that_cannot_be_had_makes_no_client),
        TEST(a_socket_in_a_folder_that_others_can_change_makes_no_client),
        TEST(who_is_not_meant_is_not_served_though_the_name_lets_him_in),
        TEST(a_socket_that_cannot_be_made_keeps_no_other_from_being_there),
        TEST(a_control_socket_that_cannot_be_made_is_named),
    };

    return run_by_both(tests);
}
