/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server links=runtime timeout=300 */
/*
 * The command's verbs on VMs and clients: against a server with an engine that only says that it
 * runs machines, stepped in this process while the command runs; and against servers that lie.
 */
#include "../unit/core/network/network_tests.h"

#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>

#include <vine/service.h>

#include "../unit/vmm/server/server_world.h"
#include "core/file/file.h"
#include "vmm/server/service.h"

static struct world *served;
static struct vine__server *server;
static struct vine__control control;
static struct vine__places places = {.configuration = "/c", .state = "/s"};
static uint32_t stopped;
static char said[1 << 16]; /* by the last command, on both of its outputs */

/* ---- a server in this process ---------------------------------------------------------------- */

static void stop_done(void *context)
{
    (void)context;
    stopped++;
}

static void stop_server(struct vine__control *told, bool stops_vms)
{
    (void)told, (void)stops_vms;
}

/* A turn of all cores by the machine's own clock, and all that store and engine were asked for.
 * Whatever was started runs. */
static void turn(void)
{
    static uint64_t last_ns;
    const uint64_t now_ns = vine__clock_now_ns();
    struct fake_machines *const fake = &served->machines;

    stepped.clock_ns += last_ns != 0 ? now_ns - last_ns : 0;
    last_ns = now_ns;
    step_all();
    world_settle(served);
    for (uint32_t i = 0; i < fake->count; i++) {
        const struct vine__vm *const vm =
            vine__registry_find(&served->registry, NULL, fake->uids[i], VINE__CLIENT_UID_BYTES - 1);

        if (vm != NULL && vm->state == VINE__VM_STARTING)
            fake_tell(served, vm->uid, VINE__VM_RUNNING, NULL);
    }
    (void)sched_yield();
}

static int begin(void **state)
{
    static char path[64];
    struct vine__server_options options = {.control = &control};
    char why[VINE__CLIENTS_WHY_BYTES] = "";

    if (world_begin(state) != 0)
        return -1;
    served = *state;
    stopped = 0;
    (void)snprintf(path, sizeof(path), "%s/control.sock", served->folder);
    (void)snprintf(places.runtime, sizeof(places.runtime), "%s", served->folder);
    control = (struct vine__control){
        .path = path, .version = "1", .places = &places, .stop = stop_server};
    open_cores(1);
    if (vine__file_start(&(struct vine__file_options){.requests_max = 64}) != 0)
        return -1;
    options.registry = &served->registry;
    return vine__server_start(&options, &server, why);
}

static int end(void **state)
{
    vine__server_stop(server, stop_done, NULL);
    vine_stop(0);
    for (uint32_t i = 0; i < 1000 && stopped == 0; i++) {
        stepped.clock_ns += 10 * 1000 * 1000;
        turn();
    }
    until(stopped == 1); /* an upload's file may still be being closed */
    close_cores();
    vine__file_end(0);
    return world_end(state) != 0 || stopped != 1;
}

/* ---- the command ----------------------------------------------------------------------------- */

/* A shell, in which `vine` is the command. */
static pid_t begin_shell_saying(const char *line, const char *file)
{
    char *script = NULL, path[64];
    const pid_t child = fork();
    int fd;

    assert_true(child >= 0);
    if (child != 0)
        return child;
    (void)snprintf(path, sizeof(path), "%s/%s", served->folder, file);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0 || chdir(served->folder) != 0 ||
        asprintf(&script, "vine() { \"$VINE_COMMAND\" \"$@\"; }; %s", line) < 0)
        _exit(99);
    (void)signal(SIGALRM, SIG_DFL);
    (void)execl("/bin/sh", "sh", "-c", script, (char *)NULL);
    _exit(98);
}

static pid_t begin_shell(const char *line)
{
    return begin_shell_saying(line, "said");
}

static void read_said(void)
{
    char path[64];
    ssize_t size;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/said", served->folder);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    size = read(fd, said, sizeof(said) - 1);
    assert_true(size >= 0);
    said[size] = '\0';
    (void)close(fd);
}

static int end_shell(pid_t child)
{
    const uint64_t hang_ns = vine__clock_now_ns() + HANG_NS;
    int status;

    while (waitpid(child, &status, WNOHANG) == 0) {
        turn();
        if (vine__clock_now_ns() > hang_ns)
            fail_msg("the command does not end");
    }
    read_said();
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

/* Expect a status and a text. */
static void expect(int status, const char *text, const char *line)
{
    const int got = end_shell(begin_shell(line));

    if (got != status || strstr(said, text) == NULL)
        fail_msg("`%s`: %d instead of %d, and it says: %s", line, got, status, said);
}

/* ---- what they do ---------------------------------------------------------------------------- */

/* One of alice's. */
static void make_zip(void)
{
    expect(0, "", "printf kernel >k; vine vm create zip -s alice --kernel k");
}

static void a_vm_is_made_shown_started_and_ended(void **state)
{
    (void)state;
    expect(0, "", "printf kernel >k; printf disk >d");
    expect(0, "", "vine vm ls -s alice");
    assert_string_equal(said, "");
    expect(0, "", "vine vm create zip -s alice --kernel k --initrd k --disk d --memory 128M");
    assert_int_equal(strlen(said), 33);
    expect(0, "zip                      off       ", "vine vm ls -s alice");
    expect(0, "\"memory\": 134217728", "vine vm show zip -s alice --json");
    expect(0, "\"state\": \"off\"", "vine vm show zip -s alice --json");
    expect(1, "there is no VM \"zap\"", "vine vm show zap -s alice");
    expect(0, "zip: console at /tmp/console\n", "vine vm start zip -s alice --options quiet");
    assert_string_equal(served->machines.parameters, "quiet");
    expect(1, "the server says: ", "vine vm start zip -s alice");
    expect(0, "", "vine vm wait zip running -s alice");
    expect(75, "zip: the server says: not in this time",
           "vine vm wait zip off -s alice --timeout 10ms");
    expect(2, "a state is off", "vine vm wait zip gone -s alice");
    expect(0, "the guest\nhas said this\n", "vine vm log zip -s alice");
    expect(2, "from 1 B to 64 KiB", "vine vm log zip -s alice -n 1M");
    expect(0, "\"log\": \"this\\n\"", "vine vm log zip -s alice -n 5 --json");
    expect(0, "zip: off: stopped, that was it\n", "vine vm stop zip -s alice --timeout 2s");
    assert_int_equal(served->machines.stop_ms, 2000);
    expect(0, "\"ended_by\": \"stopped\"", "vine vm show zip -s alice --json");
    expect(0, "", "vine vm start zip -s alice --no-wait && vine vm wait zip running -s alice");
    expect(0, "", "vine vm restart zip -s alice && vine vm kill zip -s alice");
    expect(0, "\"ended_by\": \"killed\"", "vine vm show zip -s alice --json");
    expect(0, "",
           "echo '{\"memory\": \"64M\", \"text\": \"a;b\"}' | vine vm configure zip - -s alice");
    expect(0, "\"text\": \"a;b\"", "vine vm show zip -s alice --json");
    expect(2,
           "zip: the server says: ", "echo '{\"memory\": []}' | vine vm configure zip - -s alice");
    expect(2, "x:2:", "echo '{' >x; vine vm configure zip x -s alice");
    expect(2, "unable to open x/y: ", "vine vm configure zip x/y -s alice");
    expect(2, "this is no JSON object", "echo [] | vine vm configure zip - -s alice");
    expect(0, "", "vine vm start zip -s alice");
    served->machines.refuses = true;
    expect(1, "zip: off: unstarted, who runs the server is told why",
           "vine vm restart zip -s alice");
    expect(1, "zip: the server says: it did not work", "vine vm start zip -s alice");
    served->machines.refuses = false;
}

static void its_files_and_limits_are_changed_while_it_is_off(void **state)
{
    (void)state;
    expect(0, "", "printf kernel >k; vine vm create zip -s alice && vine vm ls -s alice");
    expect(1, "the VM has no kernel", "vine vm start zip -s alice");
    expect(0, "{\n  \"name\": \"zip\",\n  \"uid\": \"", "vine vm kernel zip k -s alice --json");
    expect(0, "{\n  \"name\": \"zip\",\n  \"uid\": \"",
           "vine vm limits zip --processors 1 -s alice --json");
    expect(0, "", "vine vm show zip -s alice --json");
    assert_null(strstr(said, "limits"));
    expect(2, "say which limit changes", "vine vm limits zip -s alice");
    expect(2, "the disk \"a/b\": a name is", "vine vm disk zip a/b k -s alice");
    expect(0, "", "vine vm initrd zip k -s alice && vine vm disk zip root k -s alice");
    expect(2, "`root` alone", "vine vm disk zip data k -s alice");
    expect(2, "takes no file away", "vine vm initrd zip --none -s alice");
    expect(2, "say either --pool", "vine vm limits zip --memory 1G --pool p -s alice");
    expect(0, "", "vine vm limits zip --memory 1G --cpu-percent 50 -s alice");
    expect(0, "\"cpu_percent\": 50", "vine vm show zip -s alice --json");
    expect(0, "", "vine vm start zip -s alice");
    expect(1, "the VM runs", "vine vm rm zip -s alice");
    expect(1, "zip: the server says: the VM runs", "vine vm kernel zip k -s alice");
    expect(1, "zip: the server says: the VM runs", "vine vm initrd zip k -s alice");
    expect(1, "zip: the server says: the VM runs", "vine vm disk zip root k -s alice");
    expect(1, "zip: the server says: the VM runs", "vine vm limits zip --memory 1G -s alice");
    expect(0, "", "vine vm kill zip -s alice");
    expect(0, "[\n  {\n    \"name\": \"zip\",\n    \"uid\": \"", "vine vm rm zip -s alice --json");
    assert_int_equal(served->registry.count, 0);
    expect(1, "there is no VM \"zip\"", "vine vm rm zip -s alice");
}

/* A VM of alice's that a pool has and cannot start. */
static void adopt_bad(void)
{
    struct vine__vm_facts facts = {.uid = "00000000000000000000000000000001",
                                   .name = "bad",
                                   .problem = strdup("memory: is no size"),
                                   .upload_bytes = {[VINE__UPLOAD_KERNEL] = 6}};

    assert_int_equal(vine__clients_give(&served->clients,
                                        vine__clients_find(&served->clients, "alice"), facts.uid,
                                        ""),
                     0);
    assert_int_equal(vine__registry_adopt(&served->registry, &facts), 0);
}

static void a_configuration_that_cannot_be_read_is_not_taken_for_an_empty_one(void **state)
{
    static const char told[] = "the configuration cannot be read: memory: is no size";

    (void)state;
    adopt_bad();
    expect(1, told, "vine vm limits bad --memory 128M -s alice");
    expect(1, told, "vine vm limits bad --memory 128M -s root");
    expect(0, "state   off: unusable, memory: is no size", "vine vm show bad -s alice");
    assert_non_null(strstr(said, "its configuration cannot be read"));
    expect(0, "unusable, memory: is no size", "vine vm ls -s alice");
    expect(0, "\"problem\": \"memory: is no size\"", "vine vm ls -s alice --json");
    expect(0, "\"state\": \"off\"", "vine vm show bad -s alice --json");
    assert_null(strstr(said, "configuration"));
}

static void what_is_not_permitted_is_told_apart_from_what_fails(void **state)
{
    (void)state;
    expect(77, "this socket has not the permission", "vine vm ls -s nobody");
    expect(77, "this socket has not the permission", "vine vm create a -s nobody");
    expect(77, "this socket has not the permission", "vine client ls -s root");
    expect(77, "this socket has not the permission", "vine vm events -s nobody");
    expect(69, "no VM server is at ./no", "vine vm ls -s ./no");
    expect(69, "\"exit_status\":69", "vine vm ls -s ./no --json");
    expect(2, "too long for a socket", "vine vm ls -s $(printf %0110d 0)");
    expect(2, "too few arguments", "vine vm show -s alice");
    expect(1, "the server says: the name is taken",
           "vine vm create a -s alice && "
           "vine vm create a -s alice");
    expect(1, "there is no VM \"\\033[31m\"", "vine vm show \"$(printf '\\033[31m')\" -s alice");
}

static void who_may_not_look_for_a_vm_says_its_uid(void **state)
{
    (void)state;
    make_zip();
    expect(0, "",
           "vine vm start zip -s alice && vine vm ls -s alice --json | jq -r '.[].uid' >uid && "
           "vine client add ron -s control.sock --permissions run && "
           "vine client add may -s control.sock --permissions manage && "
           "vine client give alice.zip ron -s control.sock");
    expect(77, "this socket has not the permission", "vine vm ls -s ron.sock");
    expect(77,
           "zip: this socket has not the permission to look for a VM by its name, which takes "
           "`manage` and `run`: say which by its UID\n",
           "vine vm stop zip -s ron.sock");
    expect(0, "the guest\n", "vine vm log $(cat uid) -s ron.sock");
    expect(0, "", "vine vm wait $(cat uid) running -s ron.sock");
    expect(0, "", "vine vm restart $(cat uid) -s ron.sock");
    expect(0, ": off: stopped, that was it\n", "vine vm stop $(cat uid) -s ron.sock");
    /* To start one takes both permissions, as to look. */
    expect(77, "the server says: this socket has not the permission",
           "vine vm start $(cat uid) -s ron.sock");
    expect(77, "the server says: this socket has not the permission",
           "vine vm rm $(cat uid) -s ron.sock");
    expect(1, "the server says: no such VM", "vine vm kill $(tr 0-9 1-90 <uid) -s ron.sock");
    expect(0, "", "vine client give alice.zip may -s control.sock");
    expect(77, "the server says: this socket has not the permission",
           "vine vm kill $(cat uid) -s may.sock");
    expect(0, "", "vine vm rm $(cat uid) -s may.sock");
}

static void what_passes_by_itself_may_be_tried_again(void **state)
{
    (void)state;
    make_zip();
    expect(0, "", "vine vm start zip -s alice");
    served->machines.hangs = true;
    expect(0, "", "vine vm stop zip -s alice --no-wait");
    expect(75, "zip: the server says: the VM is stopping", "vine vm start zip -s alice");
    expect(75, "zip: the server says: the VM is stopping", "vine vm rm zip -s alice");
    served->machines.hangs = false;
    expect(0, "", "vine vm kill zip -s alice && vine vm start zip -s alice");
}

static void what_is_refused_is_not_there(void **state)
{
    (void)state;
    expect(2, "does not begin with `-`", "vine vm create -s alice -- -x");
    expect(0, "", "head -c 2000 /dev/zero >k; truncate -s 4G large");
    expect(1, "larger than a kernel may be", "vine vm create zip -s alice --kernel k");
    expect(0, "", "vine vm ls -s alice");
    assert_string_equal(said, "");
    expect(1, "larger than a kernel may be", "vine vm create zip -s alice --kernel large");
    expect(1, "./missing: No such file", "vine vm create zip -s alice --kernel ./missing");
    expect(1, "no file of a size", "vine vm create zip -s alice --kernel /dev/null");
    expect(0, "", "vine vm ls -s alice");
    assert_string_equal(said, "");
    assert_int_equal(served->registry.count, 0);
}

static void who_may_do_all_sees_all(void **state)
{
    (void)state;
    make_zip();
    expect(0, "", "vine vm create zip -s root --owner bob --kernel k");
    expect(1, "there is no VM \"zip\"", "vine vm show zip -s root");
    expect(0, "name    bob.zip", "vine vm show bob.zip -s root");
    expect(0, "",
           "for uid in $(vine vm ls -s root --json | jq -r '.[].uid'); do vine vm start "
           "-s root $uid || exit 1; done");
    assert_int_equal(served->machines.count, 2);
    expect(0, "running", "vine vm ls -s bob");
    expect(1, "there is no VM \"app\"", "vine vm stop -s bob app zip --json");
    assert_int_equal(served->machines.count, 1);
    assert_non_null(strstr(said, "\"ended_by\": \"stopped\""));
}

/* A client of which a test has to know no more than what it may. */
static void add_client(const char *name, const char *permissions)
{
    char line[160];

    (void)snprintf(line, sizeof(line),
                   "vine client add %s -s control.sock --pool work --permissions %s", name,
                   permissions);
    expect(0, "", line);
}

static void who_may_not_see_its_permissions_has_them_all_the_same(void **state)
{
    (void)state;
    make_zip();
    add_client("p24", "manage-all,run-all");
    expect(0, "alice.zip ", "vine vm ls -s p24.sock");
    expect(0, "alice.zip: console at", "vine vm start alice.zip -s p24.sock");
    expect(0, "", "vine vm kill alice.zip -s p24.sock && vine vm rm alice.zip -s p24.sock");
    add_client("p6", "manage,run");
    expect(0, "", "vine vm create zap -s p6.sock && vine vm ls -s p6.sock");
    expect(0, "", "vine vm rm zap -s p6.sock");
    assert_int_equal(served->registry.count, 0);
}

static void among_all_ones_own_are_known_by_their_own_names_too(void **state)
{
    (void)state;
    make_zip();
    expect(0, "", "vine vm create t1 -s root --kernel k && vine vm start t1 -s root");
    expect(0, "root.t1 ", "vine vm ls -s root");
    expect(0, "", "vine vm stop root.t1 -s root && vine vm show t1 -s root");
    expect(1, "there is no VM \"zip\"", "vine vm rm zip -s root");
    /* What is called so among all is not what is called so among its own. */
    expect(0, "", "vine client add t -s control.sock --pool work --permissions 31");
    expect(0, "", "vine vm create t1 -s t.sock && vine client give t.t1 --nobody -s control.sock");
    expect(0, "", "vine vm create t.t1 -s t.sock");
    expect(1, "there are several VMs \"t.t1\"", "vine vm rm t.t1 -s t.sock");
    expect(0, "", "vine vm rm t.t.t1 -s t.sock && vine vm rm t.t1 -s t.sock");
    expect(0, "", "vine vm rm t1 -s root && vine vm ls -s root");
    assert_int_equal(served->registry.count, 1);
}

static void of_several_the_one_that_fails_is_named_and_the_others_are_done(void **state)
{
    (void)state;
    make_zip();
    expect(0, "", "vine vm create app -s alice --kernel k && vine vm start zip -s alice");
    expect(1, "zip: the server says: the VM runs", "vine vm start zip app -s alice");
    assert_non_null(strstr(said, "app: console at /tmp/console"));
    expect(1, "app: the server says: the VM runs",
           "vine vm kill zip -s alice && "
           "vine vm rm zip app -s alice");
    expect(1, "[\n  {\n    \"name\": \"no\",\n    \"error\": \"there is no VM",
           "vine vm kill no app -s alice --json 2>err");
    assert_non_null(strstr(said, "\"name\": \"app\","));
    assert_non_null(strstr(said, "\"ended_by\": \"killed\""));
    expect(1, "\"error\": \"app: the server says: the VM is off\"",
           "vine vm stop app -s alice --json 2>err");
}

static void disks_that_are_not_back_are_told_where_one_looks(void **state)
{
    static const char told[] =
        "off: unsaved, that was it; its disks are not back in the pool: the store was told to fail";

    (void)state;
    make_zip();
    vine__store_memory_fail(served->store, VINE__VM_PUT_BACK, VINE_SERVER_E_FULL);
    expect(0, "", "vine vm start zip -s alice");
    expect(1, told, "vine vm stop zip -s alice");
    expect(0, told, "vine vm show zip -s alice");
    expect(0, "unsaved, that was it; its disks are not back", "vine vm ls -s alice");
    expect(0, "\"problem\": \"that was it; its disks", "vine vm ls -s alice --json");
    expect(0, "", "vine vm start zip -s alice");
    expect(1, told, "vine vm kill zip -s alice --json");
    assert_non_null(strstr(said, "\"ended_by\": \"unsaved\""));
    vine__store_memory_fail(served->store, VINE__VM_PUT_BACK, VINE_SERVER_E_DONE);
    expect(0, "", "vine vm start zip -s alice && vine vm stop zip -s alice");
    expect(0, "zip                      off       ", "vine vm ls -s alice");
    assert_null(strstr(said, "disks"));
}

static void what_is_wrong_with_the_servers_files_is_told_to_who_runs_it(void **state)
{
    (void)state;
    expect(0, "", "vine vm ls -s control.sock");
    assert_string_equal(said, "");
    control.faults = "[\"/r/machines.json: line 1: no JSON; it is kept as /r/machines.json.bad\"]";
    expect(0, "the server: /r/machines.json: line 1", "vine vm ls -s control.sock");
    expect(0, "", "vine vm ls -s alice");
    assert_string_equal(said, "");
}

static void events_are_printed_as_they_come(void **state)
{
    pid_t child, other;

    (void)state;
    expect(2, "takes a number from 1 to", "vine vm events -s alice -n 0");
    make_zip();
    child = begin_shell("vine vm events -s alice --count 4 --json");
    while (vine_list_is_empty(&served->registry.watchers))
        turn();
    other = begin_shell_saying("vine vm start zip -s alice && vine vm kill zip -s alice", "other");
    assert_int_equal(end_shell(other), 0);
    assert_int_equal(end_shell(child), 0);
    assert_non_null(strstr(said, "{\"number\":1,\"uid\":"));
    assert_non_null(strstr(said, "\"state\":\"starting\""));
    assert_non_null(strstr(said, "\"state\":\"off\",\"ended_by\":\"killed\""));
}

static void clients_come_and_go_by_the_control_socket(void **state)
{
    (void)state;
    make_zip();
    expect(0, "/carol.sock\n", "vine client add carol -s control.sock --pool work --vms 1");
    expect(0, "carol            view,manage,run          pool work, 0 of 1 VMs",
           "vine client ls -s control.sock");
    expect(0, "\"permissions\": 31", "vine client ls -s control.sock --json");
    expect(1, "there is a client `carol`", "vine client add carol -s control.sock");
    expect(2, "--permissions view,x: say",
           "vine client add dora -s control.sock --permissions view,x");
    expect(2, "name: it is", "vine client add d.d -s control.sock");
    expect(0, "", "vine client give alice.zip carol -s control.sock && vine vm ls -s carol.sock");
    assert_non_null(strstr(said, "zip"));
    expect(0, "", "vine vm ls -s alice");
    assert_string_equal(said, "");
    expect(2, "say either", "vine client give alice.zip -s control.sock");
    expect(0, "", "vine client give alice.zip --nobody -s control.sock");
    expect(0, "", "vine client rm carol -s control.sock");
    expect(69, "no VM server is at", "vine vm ls -s carol.sock");
    expect(1, "no such client", "vine client rm carol -s control.sock");
}

/* ---- the console ----------------------------------------------------------------------------- */

static int open_terminal(char name[64])
{
    const int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

    assert_true(fd >= 0 && grantpt(fd) == 0 && unlockpt(fd) == 0);
    assert_int_equal(ptsname_r(fd, name, 64), 0);
    return fd;
}

/* Read what comes until the text is there. */
static void until_says(int fd, const char *text)
{
    const uint64_t hang_ns = vine__clock_now_ns() + HANG_NS;
    size_t size = 0;

    said[0] = '\0';
    while (strstr(said, text) == NULL) {
        const ssize_t got = read(fd, said + size, sizeof(said) - 1 - size);

        size += got > 0 ? (size_t)got : 0;
        said[size] = '\0';
        turn();
        if (vine__clock_now_ns() > hang_ns)
            fail_msg("never says `%s`, but `%s`", text, said);
    }
}

static pid_t begin_console(const char *terminal)
{
    const pid_t child = fork();
    int fd;

    assert_true(child >= 0);
    if (child != 0)
        return child;
    (void)setsid();
    fd = open(terminal, O_RDWR);
    if (fd < 0 || dup2(fd, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0 ||
        chdir(served->folder) != 0)
        _exit(99);
    (void)execl(getenv("VINE_COMMAND"), "vine", "vm", "console", "zip", "-s", "alice",
                (char *)NULL);
    _exit(98);
}

static int end_console(pid_t child)
{
    int status = 0;

    while (waitpid(child, &status, WNOHANG) == 0)
        turn();
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

/* Stopped, it has given the terminal back; it takes it again when it goes on. */
static void stop_and_go_on(pid_t child, int ours, int terminal, const struct termios *before)
{
    const uint64_t hang_ns = vine__clock_now_ns() + HANG_NS;
    struct termios now;
    int status;

    assert_int_equal(kill(child, SIGTSTP), 0);
    while (waitpid(child, &status, WNOHANG | WUNTRACED) == 0) {
        turn();
        if (vine__clock_now_ns() > hang_ns)
            fail_msg("the console does not stop");
    }
    assert_true(WIFSTOPPED(status));
    assert_int_equal(tcgetattr(terminal, &now), 0);
    assert_true(now.c_iflag == before->c_iflag && now.c_oflag == before->c_oflag &&
                now.c_cflag == before->c_cflag && now.c_lflag == before->c_lflag);
    assert_int_equal(kill(child, SIGCONT), 0);
    until_says(ours, "Ctrl-]");
    do {
        turn();
        assert_int_equal(tcgetattr(terminal, &now), 0);
        if (vine__clock_now_ns() > hang_ns)
            fail_msg("the console does not go on");
    } while ((now.c_lflag & ICANON) != 0);
}

static void a_console_is_left_with_the_terminal_as_it_was(void **state)
{
    char guest_name[64], ours_name[64], link[64];
    struct termios before, after, raw;
    int guest, line, ours, keep;
    pid_t child;

    (void)state;
    make_zip();
    guest = open_terminal(guest_name);
    ours = open_terminal(ours_name);
    line = open(guest_name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    keep = open(ours_name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(line >= 0 && keep >= 0 && tcgetattr(line, &raw) == 0);
    cfmakeraw(&raw);
    assert_int_equal(tcsetattr(line, TCSANOW, &raw), 0);
    assert_int_equal(tcgetattr(keep, &before), 0);
    (void)snprintf(link, sizeof(link), "%s/console", served->folder);
    served->machines.late_console = link;
    assert_int_equal(symlink(guest_name, link), 0);
    /* What a former machine has left there is nobody's console. */
    expect(1, "the VM is off", "vine vm console zip -s alice");
    expect(0, link, "vine vm start zip -s alice");
    expect(0, link, "vine vm console zip -s alice --json");
    expect(0, link, "vine vm show zip -s alice --json");
    served->machines.said_fds[0] = guest;
    served->machines.said_fds[1] = line;
    for (int by_signal = 0; by_signal < 2; by_signal++) {
        assert_int_equal(write(guest, "stale", 5), 5);
        assert_int_equal(poll(&(struct pollfd){.fd = line, .events = POLLIN}, 1, -1), 1);
        child = begin_console(ours_name);
        until_says(ours, "Ctrl-]");
        assert_null(strstr(said, "stale"));
        /* Each byte once, also of what is said while somebody comes. */
        assert_non_null(strstr(said, "the guest\r\nhas said this\r\nand that\r\n"));
        assert_int_equal(write(guest, "login: ", 7), 7);
        until_says(ours, "login: ");
        assert_int_equal(write(ours, "me\r\x03", 4), 4);
        until_says(guest, "me\r\x03");
        stop_and_go_on(child, ours, keep, &before);
        assert_int_equal(write(ours, "you", 3), 3);
        until_says(guest, "you");
        assert_int_equal(tcgetattr(keep, &after), 0);
        assert_true((after.c_lflag & ICANON) == 0);
        if (by_signal)
            assert_int_equal(kill(child, SIGTERM), 0);
        else
            assert_int_equal(write(ours, "\x1d", 1), 1);
        assert_int_equal(end_console(child), by_signal ? 143 : 0);
        assert_int_equal(tcgetattr(keep, &after), 0);
        assert_true(after.c_iflag == before.c_iflag && after.c_oflag == before.c_oflag &&
                    after.c_cflag == before.c_cflag && after.c_lflag == before.c_lflag);
    }
    served->machines.said_fds[0] = 0;
    assert_int_equal(unlink(link), 0);
    /* Nothing of somebody else's, and nothing that is no terminal. */
    expect(1, "/console: No such file", "vine vm console zip -s alice");
    assert_int_equal(symlink("/dev/null", link), 0);
    expect(1, "it is no terminal", "vine vm console zip -s alice");
    if (geteuid() == 0) {
        assert_int_equal(lchown(link, 65534, 65534), 0);
        served->machines.questions = 0;
        expect(77, "it is not the server's", "vine vm console zip -s alice");
    }
    assert_int_equal(unlink(link), 0);
    (void)close(guest), (void)close(line), (void)close(ours), (void)close(keep);
}

/* ---- servers that lie ------------------------------------------------------------------------ */

/* Say these parts, which `|` divides, each when something was asked. */
static void lie(int fd, const char *answer)
{
    char asked[4096];

    while (read(fd, asked, sizeof(asked)) > 0) {
        const size_t size = strcspn(answer, "|");

        if (write(fd, answer, size) != (ssize_t)size || answer[size] == '\0')
            break;
        answer += size + 1;
    }
    (void)shutdown(fd, SHUT_WR);
    while (read(fd, asked, sizeof(asked)) > 0)
        ;
}

/* Takes one connection. */
static pid_t begin_liar(const char *answer)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd, taken;
    pid_t child;

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/liar", served->folder);
    (void)unlink(address.sun_path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 4), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        taken = accept(fd, NULL, NULL);
        (void)close(fd);
        (void)signal(SIGPIPE, SIG_IGN);
        lie(taken, answer);
        _exit(0);
    }
    (void)close(fd);
    return child;
}

#define UID "00000000000000000000000000000000"

static const struct {
    const char *answer;
    const char *line;
    int status;
    const char *says;
} lies[] = {
    {"", "vine vm ls", 75, "ended the connection"},
    {"HTTP/1.1 400 Bad Request\r\n", "vine vm ls", 69, "no VM server"},
    {"1,1\n99999999999999999999\n", "vine vm ls", 69, "no VM server"},
    {"1,1\n7000000\n", "vine vm ls", 69, "permissions that are none"},
    {"1,1\n7\n|12,2\n", "vine vm ls", 69, "an answer to something else"},
    {"1,1\n7\n|12,1\n0\n4294967296,", "vine vm ls", 69, "a string that is too long"},
    {"1,1\n7\n|12,1\n0\n-1,x", "vine vm ls", 69, "a length that is none"},
    {"1,1\n7\n|12,1\n0\n007,abcdefg\n", "vine vm ls", 69, "a length that is none"},
    {"1,1\n7\n|12,1\n0\n8,short\n", "vine vm ls", 75, "ended the connection"},
    {"1,1\n7\n|12,1\n0\n3,abc;", "vine vm ls", 69, "a string without an end"},
    {"1,1\n7\n|12,1\n0\n3,abc\n", "vine vm ls", 69, "a list of VMs that is none"},
    {"1,1\n7\n|12,1\n0\n41," UID ",off,\033[2J\n", "vine vm ls", 69, "a list of VMs that is none"},
    {"1,1\n7\n|12,1\n0\n40," UID ",OFF,zip\n", "vine vm ls", 69, "a list of VMs that is none"},
    {"1,1\n7\n|12,1\n5,\033]0;owned\007\n", "vine vm ls", 1, "\\033]0;owned\\007"},
    {"1,1\n7\n|12,1\n999,new\n", "vine vm ls", 1, "the server says: new"},
    {"0,0\n8,too many\n", "vine vm ls", 75, "the server says: too many"},
    {"1,1\n7\n|0,0\n1,what\n", "vine vm ls", 1, "the server says: what"},
    {"0,0\n0\n", "vine vm ls", 69, "an answer to something else"},
    {"1,1\n7\n|12,1\n2,no such command\n", "vine vm ls", 69, "no such command"},
    {"1,1\n7\n|12,1\n0,really\n", "vine vm ls", 69, "a status that is none"},
    {"1,1\n7\n|12,1\n0\n40," UID ",off,zip\nmore\n", "vine vm show zip", 69, "more than was asked"},
    {"1,1\n7\n|6,1\n35,error 10: \033[1m.aaaaaaaaaaaaaaaaaaaa\n", "vine vm create zip", 1,
     "\\033[1m"},
    {"1,1\n7\n|6,1\n32," UID "\n|8,1\n0,\n", "vine vm create zip --kernel large", 69,
     "a file that was not sent yet"},
    {"1,1\n7\n|6,1\n32," UID "\n|8,1\n11,no, \033[31mno\n", "vine vm create zip --kernel large", 1,
     "no, \\033[31mno"},
    {"1,1\n7\n|6,1\n32,\033[31m890123456789012345678901234\n", "vine vm create zip", 0,
     "\\033[31m8901"},
    {"1,1\n7\n|21,1\n0\n22,1\n0\n1\n32," UID "\n8,run\033[7mn\n0,\n0,\n", "vine vm events", 75,
     "run\\033[7mn"},
    /* One that ran when it was listed is started if it does not any more. */
    {"1,1\n63\n|206,1\n0\n39,[{\"name\":\"p\",\"folder\":\"/\",\"open\":true}]\n"
     "|209,1\n0\n32," UID "\n|112,1\n0\n44," UID ",running,zip\n|105,1\n0\n2,{}\n"
     "|111,1\n0\n3,off\n0,\n0,\n1\n|109,1\n0\n8,/console\n|123,1\n0\n7,running\n",
     "vine up /p", 0, "zip: runs, console at /console"},
    {"1,1\n63\n|201,1\n0\n2,{}\n", "vine client ls", 69, "no VM server that we understand"},
};

static void no_server_is_believed(void **state)
{
    (void)state;
    expect(0, "", "truncate -s 1G large");
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        const pid_t liar = begin_liar(lies[i].answer);
        char line[128];

        (void)snprintf(line, sizeof(line), "%s -s liar", lies[i].line);
        expect(lies[i].status, lies[i].says, line);
        assert_null(memchr(said, '\033', strlen(said)));
        (void)kill(liar, SIGKILL);
        (void)waitpid(liar, NULL, 0);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_vm_is_made_shown_started_and_ended),
        TEST(its_files_and_limits_are_changed_while_it_is_off),
        TEST(a_configuration_that_cannot_be_read_is_not_taken_for_an_empty_one),
        TEST(what_is_not_permitted_is_told_apart_from_what_fails),
        TEST(who_may_not_look_for_a_vm_says_its_uid),
        TEST(what_passes_by_itself_may_be_tried_again),
        TEST(what_is_refused_is_not_there),
        TEST(who_may_do_all_sees_all),
        TEST(who_may_not_see_its_permissions_has_them_all_the_same),
        TEST(among_all_ones_own_are_known_by_their_own_names_too),
        TEST(of_several_the_one_that_fails_is_named_and_the_others_are_done),
        TEST(disks_that_are_not_back_are_told_where_one_looks),
        TEST(what_is_wrong_with_the_servers_files_is_told_to_who_runs_it),
        TEST(events_are_printed_as_they_come),
        TEST(clients_come_and_go_by_the_control_socket),
        TEST(a_console_is_left_with_the_terminal_as_it_was),
        TEST(no_server_is_believed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
