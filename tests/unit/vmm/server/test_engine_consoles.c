/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server links=runtime timeout=120 */
/*
 * Where the console of a VM is, and whose.
 */
#include "engine_world.h"

#include <sys/stat.h>
#include <sys/wait.h>

static struct vine__machines *machines;
static bool is_closed;
static struct vine__console_owner owner; /* of consoles of what is started */

static void closed(void *context)
{
    (void)context;
    is_closed = true;
}

static int begin(void **state)
{
    const struct vine__engine_options options = world_options();

    (void)state;
    open_cores(1);
    vine__mesh_open_to_aliens(stepped.mesh);
    return vine__engine_open(&options, &machines);
}

static int end(void **state)
{
    (void)state;
    is_closed = false;
    vine__engine_close(machines, closed, NULL);
    until(is_closed);
    vine__mesh_open_to_aliens(NULL);
    close_cores();
    return 0;
}

static void done(struct vine__machines_work *work)
{
    VINE_CONTAINER_OF(work, struct vm, work)->is_done = true;
}

static void run(struct vm *vm)
{
    vm->work = (struct vine__machines_work){
        .done = done, .boot = &vm->boot, .parameters = "a b", .owner = owner};
    machines->calls->start(machines, &vm->work);
    until(vm->is_done);
    if (vm->work.error != VINE_SERVER_E_DONE)
        fail_msg("%s", vm->work.why);
    until(is_told(vm, VINE__VM_RUNNING));
}

static void kill_it(struct vm *vm)
{
    machines->calls->kill(machines, vm->boot.uid);
    until(is_told(vm, VINE__VM_OFF));
}

static void a_console_that_cannot_be_linked_is_its_terminal(void **state)
{
    struct vm *const vm = make_vm(GOOD);
    char console[128];
    int fd;

    (void)state;
    (void)snprintf(console, sizeof(console), "%s/%s-vttyS0", folder, vm->boot.uid);
    fd = open(console, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    run(vm);
    assert_memory_equal(vm->text, "/dev/pts/", 9);
    assert_non_null(strstr(vm->note, "somebody else has a file there"));
    kill_it(vm);
    assert_int_equal(unlink(console), 0);
}

static void expect_owner(const struct vm *vm, const struct vine__console_owner *expected)
{
    struct stat terminal;

    assert_int_equal(stat(vm->text, &terminal), 0);
    assert_int_equal(terminal.st_mode & 0777, expected->mode);
    assert_int_equal(terminal.st_uid, geteuid() == 0 ? expected->user_id : geteuid());
    assert_true(geteuid() != 0 || terminal.st_gid == expected->group_id);
}

static void a_console_is_its_owners(void **state)
{
    static const struct vine__console_owner daemon = {.user_id = 1, .group_id = 1, .mode = 0660},
                                            next = {.user_id = 2, .mode = 0600};
    struct vm *const vm = make_vm(GOOD);
    char path[64] = "";
    struct stat terminal;
    pid_t child;
    int status;

    (void)state;
    owner = daemon;
    run(vm);
    assert_true(readlink(vm->text, path, sizeof(path) - 1) > 0);
    owner = (struct vine__console_owner){.mode = 0};
    expect_owner(vm, &daemon);
    child = fork();
    if (child == 0)
        _exit((geteuid() == 0 && (setgid(1) != 0 || setuid(1) != 0)) ||
              open(path, O_RDWR | O_NOCTTY) < 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    machines->calls->give(machines, vm->boot.uid, &next);
    until(stat(vm->text, &terminal) == 0 && (terminal.st_mode & 0777) == 0600);
    expect_owner(vm, &next);
    kill_it(vm);
}

static void a_link_that_is_left_of_a_console_is_taken_away(void **state)
{
    static const char uid[] = "00000000000000000000000000000077";
    char console[128];
    struct stat link;

    (void)state;
    (void)snprintf(console, sizeof(console), "%s/%s-vttyS0", folder, uid);
    assert_int_equal(symlink("/dev/pts/0", console), 0);
    machines->calls->clear(machines, uid);
    assert_int_equal(lstat(console, &link), -1);
    /* Nothing else that is called so. */
    assert_int_equal(symlink("/dev/null", console), 0);
    machines->calls->clear(machines, uid);
    assert_int_equal(lstat(console, &link), 0);
    assert_int_equal(unlink(console), 0);
}

static void what_was_said_goes_with_the_vm(void **state)
{
    static const char uid[] = "00000000000000000000000000000078";
    static const char *const ends[] = {".log", ".log.1", ".log.new", ".log.2"};
    char path[128];
    struct stat status;

    (void)state;
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
            (void)snprintf(path, sizeof(path), "%s/%s%s", folder, uid, ends[i]);
            assert_int_equal(round == 0 ? mknod(path, S_IFREG | 0600, 0) : stat(path, &status),
                             round == 0 || i == 3 ? 0 : -1);
        }
        machines->calls->forget(machines, uid);
    }
    assert_int_equal(unlink(path), 0);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(int argc, char **argv)
{
    world_main(argc, argv);
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_console_that_cannot_be_linked_is_its_terminal),
        IN_WORLD(a_console_is_its_owners),
        IN_WORLD(a_link_that_is_left_of_a_console_is_taken_away),
        IN_WORLD(what_was_said_goes_with_the_vm),
    };

    if (folder_make(folder) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
