/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server links=runtime timeout=120 */
/*
 * VMs on the engine's thread: started, told of, stopped; one that hangs keeps nobody from another.
 */
#include "arch/peer/process.h"
#include "engine_world.h"
#include "vmm/engine/child.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <pthread.h>

#define HUNG 100
#define MIB  (1 << 20)

static struct vine__machines *machines;
static const char *parameters = "a b";
static bool is_closed;

static void closed(void *context)
{
    (void)context;
    is_closed = true;
}

static int begin_with(const struct vine__engine_options *options)
{
    open_cores(1);
    vine__mesh_open_to_aliens(stepped.mesh);
    return vine__engine_open(options, &machines);
}

static int begin(void **state)
{
    const struct vine__engine_options options = world_options();

    (void)state;
    return begin_with(&options);
}

static int end(void **state)
{
    (void)state;
    if (machines != NULL) {
        is_closed = false;
        vine__engine_close(machines, closed, NULL);
        until(is_closed);
    }
    vine__mesh_open_to_aliens(NULL);
    close_cores();
    return 0;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static const struct vm *first_done; /* since it was NULL */

static void done(struct vine__machines_work *work)
{
    struct vm *const vm = VINE_CONTAINER_OF(work, struct vm, work);

    vm->is_done = true;
    if (first_done == NULL)
        first_done = vm;
}

static void begin_start(struct vm *vm)
{
    vm->is_done = false;
    vm->told_count = 0;
    vm->work =
        (struct vine__machines_work){.done = done, .boot = &vm->boot, .parameters = parameters};
    machines->calls->start(machines, &vm->work);
    assert_false(vm->is_done);
}

static void start(struct vm *vm)
{
    begin_start(vm);
    until(vm->is_done);
    if (vm->work.error != VINE_SERVER_E_DONE)
        fail_msg("%s", vm->work.why);
}

static void run(struct vm *vm)
{
    start(vm);
    until(is_told(vm, VINE__VM_RUNNING));
}

static void expect_end(struct vm *vm, const char *ended_by, const char *text)
{
    until(is_told(vm, VINE__VM_OFF));
    if (strcmp(vm->ended_by, ended_by) != 0)
        fail_msg("%s: %s", vm->ended_by, vm->text);
    if (strstr(vm->text, text) == NULL)
        fail_msg("'%s' lacks '%s'", vm->text, text);
}

/* ---- memory that is being filled ------------------------------------------------------------- */

/* Pieces stand still at the first one, until they are let go on. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_shut, is_reached;
    int error; /* of those behind it */
    uint32_t pieces;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* In the place of the system's: it takes no memory. */
int posix_fallocate(int fd, off_t from, off_t size)
{
    int error;

    (void)fd;
    (void)from;
    (void)pthread_mutex_lock(&gate.lock);
    gate.pieces += size >= MIB;
    gate.is_reached |= size >= MIB;
    (void)pthread_cond_broadcast(&gate.changed);
    while (size >= MIB && gate.is_shut)
        (void)pthread_cond_wait(&gate.changed, &gate.lock);
    error = size >= MIB ? gate.error : 0;
    (void)pthread_mutex_unlock(&gate.lock);
    return error;
}

static void shut_gate(int error)
{
    gate.is_shut = true;
    gate.is_reached = false;
    gate.pieces = 0;
    gate.error = error;
}

static void await_piece(void)
{
    (void)pthread_mutex_lock(&gate.lock);
    while (!gate.is_reached)
        (void)pthread_cond_wait(&gate.changed, &gate.lock);
    (void)pthread_mutex_unlock(&gate.lock);
}

static void open_gate(void)
{
    (void)pthread_mutex_lock(&gate.lock);
    gate.is_shut = false;
    (void)pthread_cond_broadcast(&gate.changed);
    (void)pthread_mutex_unlock(&gate.lock);
}

static void others_start_and_end_while_the_memory_of_a_link_is_filled(void **state)
{
    struct vm *const application = make_vm(GOOD), *const appliance = make_vm(GOOD);
    struct vm *const another = make_vm(GOOD), *const killed = make_vm(DEAF);

    (void)state;
    link_vms(application, appliance, 64 * MIB);
    run(application);
    run(killed);
    shut_gate(0);
    begin_start(appliance);
    await_piece();
    first_done = NULL;
    begin_start(another);
    machines->calls->kill(machines, killed->boot.uid);
    open_gate();
    until(appliance->is_done);
    assert_ptr_equal(first_done, another);
    expect_end(killed, "killed", "");
    until(is_told(appliance, VINE__VM_RUNNING));
    assert_true(gate.pieces > 2);
}

static void one_that_is_killed_while_its_link_is_filled_does_not_start(void **state)
{
    struct vm *const application = make_vm(GOOD), *const appliance = make_vm(GOOD);

    (void)state;
    link_vms(application, appliance, 64 * MIB);
    run(application);
    shut_gate(0);
    begin_start(appliance);
    await_piece();
    machines->calls->kill(machines, appliance->boot.uid);
    open_gate();
    until(appliance->is_done);
    assert_int_equal(appliance->work.error, VINE_SERVER_E_BAD_STATE);
    assert_string_equal(appliance->work.why, "it was stopped before it ran");
    assert_int_equal(appliance->told_count, 0);
    assert_true(gate.pieces <= 2);
    /* And then it does. */
    run(appliance);
}

static void the_engine_ends_while_a_link_is_filled(void **state)
{
    struct vm *const application = make_vm(GOOD), *const appliance = make_vm(GOOD);

    (void)state;
    link_vms(application, appliance, 64 * MIB);
    run(appliance);
    shut_gate(0);
    begin_start(application);
    await_piece();
    is_closed = false;
    vine__engine_close(machines, closed, NULL);
    open_gate();
    until(is_closed);
    assert_true(application->is_done);
    assert_int_equal(application->work.error, VINE_SERVER_E_BAD_STATE);
    expect_end(appliance, "killed", "");
    machines = NULL;
}

static void a_link_that_finds_no_memory_is_told_when_its_application_starts(void **state)
{
    struct vm *const application = make_vm(GOOD), *const appliance = make_vm(GOOD);

    (void)state;
    link_vms(application, appliance, 64 * MIB);
    run(appliance);
    shut_gate(ENOSPC);
    open_gate();
    begin_start(application);
    until(application->is_done);
    assert_int_equal(application->work.error, VINE_SERVER_E_FAILED);
    assert_non_null(strstr(application->work.why, "there is no memory for twice 67108864 bytes"));
    gate.error = 0;
    run(application);
}

/* ---- lives ----------------------------------------------------------------------------------- */

static void one_that_is_started_runs_until_it_is_stopped(void **state)
{
    struct vm *const vm = make_vm(GOOD);
    char console[128];

    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        run(vm);
        (void)snprintf(console, sizeof(console), "%s/%s-vttyS0", folder, vm->boot.uid);
        assert_string_equal(vm->work.console, ""); /* not known yet */
        assert_string_equal(vm->text, console);
        machines->calls->stop(machines, vm->boot.uid, 60000, false);
        expect_end(vm, "stopped", "");
    }
}

static void one_that_ends_by_itself_is_told_of_with_why(void **state)
{
    struct vm *const crashes = make_vm(CRASHES), *const panics = make_vm(PANICS);
    struct vm *const exits = make_vm(EXITS);

    (void)state;
    start(crashes);
    start(panics);
    start(exits);
    expect_end(crashes, "crash", "signal 9");
    expect_end(panics, "panic", "");
    expect_end(exits, "unstarted", "no such?processor");
}

static void one_that_does_not_hear_the_button_is_quit_in_time(void **state)
{
    struct vm *const vm = make_vm(DEAF);

    (void)state;
    run(vm);
    machines->calls->stop(machines, vm->boot.uid, 1, false);
    expect_end(vm, "quit", "");
}

static void nothing_happens_to_who_is_not_there(void **state)
{
    struct vm *const vm = make_vm(GOOD), *const other = make_vm(GOOD);

    (void)state;
    run(vm);
    machines->calls->kill(machines, other->boot.uid);
    machines->calls->stop(machines, other->boot.uid, 1, false);
    machines->calls->kill(machines, vm->boot.uid);
    expect_end(vm, "killed", "");
    assert_int_equal(other->told_count, 0);
}

static void a_hundred_that_hang_keep_nobody_from_another(void **state)
{
    struct vm *hung[HUNG];
    struct vm *const vm = make_vm(GOOD);

    (void)state;
    for (uint32_t i = 0; i < HUNG; i++)
        start(hung[i] = make_vm(SILENT));
    run(vm);
    machines->calls->stop(machines, vm->boot.uid, 0, false);
    expect_end(vm, "stopped", "");
    for (uint32_t i = 0; i < HUNG; i++)
        assert_int_equal(hung[i]->told_count, 0);
    for (uint32_t i = 0; i < HUNG; i++)
        machines->calls->kill(machines, hung[i]->boot.uid);
    for (uint32_t i = 0; i < HUNG; i++)
        expect_end(hung[i], "killed", "");
}

static void closing_kills_and_tells(void **state)
{
    const struct vine__engine_options options = world_options();
    struct vm *const good = make_vm(GOOD), *const hung = make_vm(SILENT);

    run(good);
    start(hung);
    (void)end(state);
    assert_true(is_told(good, VINE__VM_OFF));
    assert_true(is_told(hung, VINE__VM_OFF));
    assert_int_equal(begin_with(&options), 0);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void expect_refusal(struct vm *vm, const char *why)
{
    begin_start(vm);
    until(vm->is_done);
    assert_int_equal(vm->work.error, VINE_SERVER_E_FAILED);
    if (strstr(vm->work.why, why) == NULL)
        fail_msg("'%s' lacks '%s'", vm->work.why, why);
    assert_int_equal(vm->told_count, 0);
}

static void what_cannot_be_started_is_refused_with_why(void **state)
{
    struct vm *const no_disk = make_vm(GOOD), *const no_kernel = make_vm(GOOD);

    (void)state;
    no_disk->boot.disks[0].path = (char *)(uintptr_t) "/nowhere/disk";
    no_disk->boot.disk_count = 1;
    expect_refusal(no_disk, "/nowhere/disk");
    no_kernel->boot.kernel = NULL;
    expect_refusal(no_kernel, "a kernel is wanting");
}

static void what_was_said_is_told_from_its_end(void **state)
{
    struct vm *const vm = make_vm(GOOD);
    char text[64];
    size_t size = 0;

    (void)state;
    assert_int_equal(machines->calls->log(machines, vm->boot.uid, text, sizeof(text)), 0);
    run(vm);
    until((size = machines->calls->log(machines, vm->boot.uid, text, 5)) > 0);
    assert_int_equal(size, 5);
    assert_memory_equal(text, "I am\n", 5);
}

/* ---- engines after one another --------------------------------------------------------------- */

static struct vine__engine_resume resume;
static struct vine__boot *boots[1];
static bool is_resumed, runs, has_ended, is_stopping, starts_again;

static void resumed(struct vine__engine_resume *which, struct vine__boot *boot,
                    const struct vine__machines_found *found, const char *why)
{
    assert_ptr_equal(which, &resume);
    assert_ptr_equal(boot, boots[0]);
    runs = found != NULL;
    if (!runs) {
        assert_true(why[0] != '\0');
        return;
    }
    assert_string_equal(found->parameters, "a b");
    /* Else it is told when it is known. */
    assert_true(found->console[0] == '\0' || strstr(found->console, "-vttyS0") != NULL);
    has_ended = found->has_ended;
    is_stopping = found->is_stopping;
    starts_again = found->starts_again;
}

static void all_resumed(struct vine__engine_resume *which)
{
    assert_ptr_equal(which, &resume);
    is_resumed = true;
}

static void next_engine(void)
{
    struct vine__engine_options options = world_options();

    options.leaves_vms = true;
    assert_int_equal(begin_with(&options), 0);
}

static void another_engine(void **state)
{
    (void)end(state);
    next_engine();
}

static void go_on_with(struct vm *vm)
{
    boots[0] = &vm->boot;
    vm->told_count = 0;
    is_resumed = false;
    resume = (struct vine__engine_resume){
        .boots = boots, .count = 1, .resumed = resumed, .done = all_resumed};
    vine__engine_resume(machines, &resume);
    until(is_resumed);
}

static uint32_t count_left(void)
{
    uint32_t count;

    (void)vine__engine_left(machines, &count);
    return count;
}

/* Of the only one that is written down. */
static pid_t read_pid(void)
{
    char path[64];
    json_t *root;
    pid_t pid;

    (void)snprintf(path, sizeof(path), "%s/machines.json", folder);
    root = json_load_file(path, 0, NULL);
    assert_int_equal(json_unpack(root, "{s:[{s:{s:i}}]}", "vms", "identity", "pid", &pid), 0);
    json_decref(root);
    return pid;
}

static void one_outlives_its_engine_and_the_next_goes_on_with_it(void **state)
{
    struct vm *const vm = make_vm(GOOD);
    uint32_t count;

    another_engine(state);
    assert_int_equal(count_left(), 0);
    run(vm);
    for (int times = 0; times < 2; times++) {
        vm->told_count = 0;
        another_engine(state);
        assert_int_equal(vm->told_count, 0);
        assert_string_equal(vine__engine_left(machines, &count)[0], vm->boot.uid);
        assert_int_equal(count, 1);
        go_on_with(vm);
        assert_true(runs && !has_ended);
        assert_int_equal(count_left(), 0);
        until(is_told(vm, VINE__VM_RUNNING));
    }
    machines->calls->stop(machines, vm->boot.uid, 60000, false);
    expect_end(vm, "stopped", "");
    another_engine(state);
    assert_int_equal(count_left(), 0);
}

static void one_that_nobody_goes_on_with_is_left_to_the_next(void **state)
{
    struct vm *const vm = make_vm(GOOD), *const other = make_vm(GOOD);

    another_engine(state);
    run(vm);
    another_engine(state);
    run(other); /* and what is written down then has both */
    another_engine(state);
    assert_int_equal(count_left(), 2);
    go_on_with(vm);
    assert_true(runs);
    go_on_with(other);
    assert_true(runs);
    machines->calls->kill(machines, vm->boot.uid);
    machines->calls->kill(machines, other->boot.uid);
    expect_end(vm, "killed", "");
    expect_end(other, "killed", "");
}

static void one_that_was_left_can_be_killed(void **state)
{
    struct vm *const vm = make_vm(GOOD);

    another_engine(state);
    run(vm);
    another_engine(state);
    vm->told_count = 0;
    machines->calls->kill(machines, vm->boot.uid);
    expect_end(vm, "killed", "");
    assert_int_equal(count_left(), 0);
    assert_false(machines->calls->is_left(machines, vm->boot.uid));
    another_engine(state);
    assert_int_equal(count_left(), 0);
}

static void who_starts_one_that_was_left_goes_on_with_it(void **state)
{
    struct vm *const vm = make_vm(GOOD);
    pid_t pid;

    another_engine(state);
    run(vm);
    pid = read_pid();
    another_engine(state);
    run(vm);
    assert_int_equal(count_left(), 0);
    assert_int_equal(read_pid(), pid);
    machines->calls->stop(machines, vm->boot.uid, 60000, false);
    expect_end(vm, "stopped", "");
}

static void one_that_has_ended_meanwhile_is_told_of(void **state)
{
    struct vm *const vm = make_vm(GOOD);
    pid_t pid;

    another_engine(state);
    run(vm);
    pid = read_pid();
    another_engine(state);
    assert_int_equal(kill(pid, SIGKILL), 0);
    until(kill(pid, 0) != 0 || waitpid(pid, NULL, WNOHANG) == pid);
    go_on_with(vm);
    assert_true(runs && has_ended);
    until(is_told(vm, VINE__VM_OFF));
    assert_int_equal(vm->told_count, 1);
    assert_true(vm->text[0] != '\0');
}

/* Between engines: until when the only one may take to stop, in what is written down, which becomes
 * this. Returns what it was; -1: it was not being stopped. */
static json_int_t set_deadline(json_int_t deadline_ns)
{
    char path[64];
    json_t *root, *vm, *was;
    json_int_t was_ns;

    (void)snprintf(path, sizeof(path), "%s/machines.json", folder);
    root = json_load_file(path, 0, NULL);
    vm = json_array_get(json_object_get(root, "vms"), 0);
    was = json_object_get(json_object_get(vm, "stop"), "deadline_ns");
    was_ns = was != NULL ? json_integer_value(was) : -1;
    assert_int_equal(
        json_object_set_new(vm, "stop",
                            json_pack("{s:I, s:b}", "deadline_ns", deadline_ns, "starts_again", 0)),
        0);
    assert_int_equal(json_dump_file(root, path, 0), 0);
    json_decref(root);
    return was_ns;
}

/* Between engines: the process that is written down is this many boots away. Returns its pid. */
static pid_t move_scope(json_int_t by)
{
    char path[64];
    json_t *root, *identity;
    pid_t pid;

    (void)snprintf(path, sizeof(path), "%s/machines.json", folder);
    root = json_load_file(path, 0, NULL);
    identity = json_object_get(json_array_get(json_object_get(root, "vms"), 0), "identity");
    pid = (pid_t)json_integer_value(json_object_get(identity, "pid"));
    assert_int_equal(json_object_set_new(
                         identity, "scope",
                         json_integer(json_integer_value(json_object_get(identity, "scope")) + by)),
                     0);
    assert_int_equal(json_dump_file(root, path, 0), 0);
    json_decref(root);
    return pid;
}

static void one_that_cannot_go_on_is_ended_and_nobody_else_is(void **state)
{
    struct vm *const vm = make_vm(GOOD);
    struct vine__child child;
    uint64_t start_ticks;

    for (json_int_t by = 1; by >= 0; by--) {
        another_engine(state);
        vm->boot.kernel = (char *)(uintptr_t) "/none";
        run(vm);
        (void)end(state);
        vm->boot.kernel = NULL; /* with which it cannot be made again */
        const pid_t pid = move_scope(by);

        assert_int_equal(vine__process_start_time(pid, &start_ticks), 0);
        assert_int_equal(vine__child_adopt(pid, start_ticks, &child), 0);
        next_engine();
        go_on_with(vm);
        assert_false(runs);
        assert_int_equal(vine__child_reap(&child), by == 0);
        vine__child_signal(&child, SIGKILL);
        vine__child_close(&child);
    }
}

static void a_stop_goes_on_with_the_next_engine(void **state)
{
    struct vm *const vm = make_vm(DEAF);

    another_engine(state);
    run(vm);
    machines->calls->stop(machines, vm->boot.uid, 3600000, true);
    another_engine(state);
    go_on_with(vm);
    assert_true(runs && is_stopping && starts_again);
    until(is_told(vm, VINE__VM_RUNNING));
    (void)end(state);
    /* As if an hour had passed, while nobody was there. */
    assert_true(set_deadline(1) > 1);
    next_engine();
    go_on_with(vm);
    assert_true(runs && is_stopping && !starts_again);
    until(is_told(vm, VINE__VM_OFF));
}

/* Its guest has not heard the button of the former engine. */
static void one_that_is_to_stop_is_told_so_again(void **state)
{
    struct vm *const vm = make_vm(GOOD);

    another_engine(state);
    run(vm);
    (void)end(state);
    assert_int_equal(set_deadline(INT64_MAX), -1);
    next_engine();
    go_on_with(vm);
    assert_true(runs && is_stopping);
    expect_end(vm, "stopped", "");
}

/* In a process of its own, which is killed by the QEMU that it starts, as its first act. */
static void start_and_be_killed(struct vm *vm)
{
    struct vine__engine_options options = world_options();
    char victim[16];

    (void)snprintf(victim, sizeof(victim), "%d", (int)getpid());
    options.leaves_vms = true;
    if (setenv("FAKE_VICTIM", victim, 1) != 0 || begin_with(&options) != 0)
        _exit(1);
    begin_start(vm);
    until(vm->is_done);
    pause();
    _exit(2);
}

static void one_whose_engine_is_killed_while_it_starts_is_found_by_the_next(void **state)
{
    struct vm *const vm = make_vm(KILLS);
    uint32_t count;
    int status;

    (void)end(state);
    const pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        start_and_be_killed(vm);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    next_engine();
    assert_string_equal(vine__engine_left(machines, &count)[0], vm->boot.uid);
    assert_int_equal(count, 1);
    go_on_with(vm);
    assert_true(runs);
    until(is_told(vm, VINE__VM_RUNNING));
    machines->calls->stop(machines, vm->boot.uid, 60000, false);
    expect_end(vm, "stopped", "");
}

/* Where it cannot be written down, it does not run. */
static void one_that_nobody_would_find_is_not_started(void **state)
{
    struct vm *const vm = make_vm(GOOD);
    char path[64];

    (void)end(state);
    (void)snprintf(path, sizeof(path), "%s/machines.json.new", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    next_engine();
    expect_refusal(vm, "that it runs cannot be written down");
    assert_int_equal(rmdir(path), 0);
    parameters = "\xff"; /* no text */
    expect_refusal(vm, "that it runs cannot be written down");
    parameters = "a b";
    run(vm);
    machines->calls->kill(machines, vm->boot.uid);
    expect_end(vm, "killed", "");
}

static void write_down(const char *text)
{
    char path[64];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/machines.json", folder);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void what_makes_no_sense_is_nobody(void **state)
{
    (void)end(state);
    write_down("{\"version\": 1, \"vms\": [7, {}, {\"uid\": \"x\"}], \"links\": 7}");
    next_engine();
    assert_int_equal(count_left(), 0);
}

static void a_file_that_makes_no_sense_is_told_and_kept(void **state)
{
    static const char *const texts[] = {"[7", "{\"version\": 1, \"vms\": 7}"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        (void)end(state);
        write_down(texts[i]);
        noted_file[0] = '\0';
        next_engine();
        assert_int_equal(count_left(), 0);
        assert_non_null(strstr(noted_file, "; it is kept as "));
        assert_int_equal(unlink(strrchr(noted_file, ' ') + 1), 0);
    }
    noted_file[0] = '\0';
    another_engine(state);
    assert_string_equal(noted_file, "");
}

static void one_of_which_too_little_is_written_down_is_refused(void **state)
{
    struct vm *const vm = make_vm(GOOD);
    char text[100];

    (void)snprintf(text, sizeof(text), "{\"version\": 1, \"vms\": [{\"uid\": \"%s\"}]}",
                   vm->boot.uid);
    write_down(text);
    another_engine(state);
    assert_int_equal(count_left(), 1);
    go_on_with(vm);
    assert_false(runs);
    assert_int_equal(count_left(), 0);
}

/* ---- accelerators ---------------------------------------------------------------------------- */

static void where_kvm_is_wanted_a_guest_that_it_does_not_boot_is_refused(void **state)
{
    struct vine__engine_options options = world_options();
    struct vm *vm;

    (void)end(state);
    options.accelerator = VINE__SERVER_ACCELERATOR_KVM;
    assert_int_equal(setenv("FAKE_PROBED", "exits", 1), 0);
    assert_int_equal(begin_with(&options), 0);
    vm = make_vm(GOOD);
    expect_refusal(vm, "the accelerator is to be kvm, but");
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(int argc, char **argv)
{
    world_main(argc, argv);
    const struct CMUnitTest tests[] = {
        IN_WORLD(one_that_is_started_runs_until_it_is_stopped),
        IN_WORLD(one_that_ends_by_itself_is_told_of_with_why),
        IN_WORLD(one_that_does_not_hear_the_button_is_quit_in_time),
        IN_WORLD(nothing_happens_to_who_is_not_there),
        IN_WORLD(a_hundred_that_hang_keep_nobody_from_another),
        IN_WORLD(closing_kills_and_tells),
        IN_WORLD(others_start_and_end_while_the_memory_of_a_link_is_filled),
        IN_WORLD(one_that_is_killed_while_its_link_is_filled_does_not_start),
        IN_WORLD(the_engine_ends_while_a_link_is_filled),
        IN_WORLD(a_link_that_finds_no_memory_is_told_when_its_application_starts),
        IN_WORLD(what_cannot_be_started_is_refused_with_why),
        IN_WORLD(what_was_said_is_told_from_its_end),
        IN_WORLD(one_outlives_its_engine_and_the_next_goes_on_with_it),
        IN_WORLD(one_that_nobody_goes_on_with_is_left_to_the_next),
        IN_WORLD(one_that_was_left_can_be_killed),
        IN_WORLD(who_starts_one_that_was_left_goes_on_with_it),
        IN_WORLD(one_that_has_ended_meanwhile_is_told_of),
        IN_WORLD(one_that_cannot_go_on_is_ended_and_nobody_else_is),
        IN_WORLD(a_stop_goes_on_with_the_next_engine),
        IN_WORLD(one_that_is_to_stop_is_told_so_again),
        IN_WORLD(one_whose_engine_is_killed_while_it_starts_is_found_by_the_next),
        IN_WORLD(one_that_nobody_would_find_is_not_started),
        IN_WORLD(what_makes_no_sense_is_nobody),
        IN_WORLD(a_file_that_makes_no_sense_is_told_and_kept),
        IN_WORLD(one_of_which_too_little_is_written_down_is_refused),
        IN_WORLD(where_kvm_is_wanted_a_guest_that_it_does_not_boot_is_refused),
    };

    if (folder_make(folder) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
