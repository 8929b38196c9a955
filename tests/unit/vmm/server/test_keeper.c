/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server links=runtime timeout=120 */
/*
 * VMs that nobody starts: at the server's beginning, and when they have ended. Time is the test's.
 */
#include "../../core/network/network_tests.h"

#include "server_world.h"
#include "vmm/server/keeper.h"
#include "vmm/server/state_file.h"

#define SECOND VINE_NS_PER_SECOND

static struct vine__keeper keeper;
static uint32_t note_count;

static void note(void *context, const char *uid, const char *name, const char *text)
{
    (void)context, (void)uid, (void)name;
    assert_true(text[0] != '\0');
    note_count++;
}

static int begin(void **state)
{
    const int error = world_begin(state);
    struct world *const world = *state;

    open_cores(1);
    note_count = 0;
    vine__keeper_init(&keeper, &world->registry, &world->saver.base, world->folder, note);
    keeper.clock = VINE_CLOCK_MANUAL;
    return error;
}

static int end(void **state)
{
    vine__keeper_fini(&keeper);
    close_cores();
    return world_end(state);
}

/* A VM that boots, with this in its configuration. */
static struct vine__vm *make(struct world *world, struct caller *caller, const char *more)
{
    char uid[VINE__CLIENT_UID_BYTES];
    char json[256];

    make_bootable(caller, "one", uid);
    (void)snprintf(json, sizeof(json), "{\"version\": 1, \"name\": \"one\"%s}", more);
    assert_string_equal(ask(caller, "24,1\n32,%s\n%zu,%s\n", uid, strlen(json), json), "24,1\n0\n");
    return vine__registry_find(&world->registry, NULL, uid, 32);
}

static void execute(struct caller *caller, const struct vine__vm *vm)
{
    assert_non_null(strstr(ask(caller, "9,1\n32,%s\n3,a b\n", vm->uid), "/tmp/console"));
}

static void crash(struct world *world, const struct vine__vm *vm)
{
    world_tell(world, vm->uid, VINE__VM_RUNNING, "");
    world_tell(world, vm->uid, VINE__VM_OFF, "crash");
    assert_int_equal(vm->state, VINE__VM_BACKOFF);
}

static void pass(struct world *world, uint64_t by_ns)
{
    vine_clock_advance(by_ns);
    step_often();
    world_settle(world);
}

/* ---- restarts -------------------------------------------------------------------------------- */

static void one_that_crashes_starts_again_later_each_time(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    struct vine__vm *const vm = make(world, alice, ", \"restart\": \"on_failure\"");
    uint64_t delay_ns = SECOND;

    vine__keeper_begin(&keeper);
    execute(alice, vm);
    for (int times = 0; times < 8; times++) {
        crash(world, vm);
        pass(world, delay_ns - SECOND / 10);
        assert_int_equal(vm->state, VINE__VM_BACKOFF);
        pass(world, SECOND / 5);
        assert_int_equal(vm->state, VINE__VM_STARTING);
        assert_string_equal(world->machines.parameters, "a b");
        delay_ns = delay_ns * 2 < 60 * SECOND ? delay_ns * 2 : 60 * SECOND;
    }
    /* One that has run well begins anew. */
    pass(world, 61 * SECOND);
    crash(world, vm);
    pass(world, SECOND + SECOND / 10);
    assert_int_equal(vm->state, VINE__VM_STARTING);
    hang_up(alice);
}

static void policies_say_what_is_a_reason(void **state)
{
    static const struct {
        const char *more, *ended_by;
        bool is_again;
    } cases[] = {
        {"", "crash", false},
        {", \"restart\": \"on_failure\"", "shutdown", false},
        {", \"restart\": \"on_failure\"", "panic", true},
        {", \"restart\": \"on_failure\"", "reset", true},
        {", \"restart\": \"always\"", "shutdown", true},
        {", \"restart\": \"never\"", "panic", false},
    };
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");

    vine__keeper_begin(&keeper);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vine__vm *const vm = make(world, alice, cases[i].more);

        execute(alice, vm);
        world_tell(world, vm->uid, VINE__VM_RUNNING, "");
        world_tell(world, vm->uid, VINE__VM_OFF, cases[i].ended_by);
        pass(world, 2 * SECOND);
        assert_int_equal(vm->state, cases[i].is_again ? VINE__VM_STARTING : VINE__VM_OFF);
        if (cases[i].is_again)
            (void)ask(alice, "14,1\n32,%s\n", vm->uid);
        assert_string_equal(ask(alice, "16,1\n32,%s\n", vm->uid), "16,1\n0\n");
    }
    hang_up(alice);
}

static void one_that_was_told_to_end_stays_off(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    struct vine__vm *const vm = make(world, alice, ", \"restart\": \"always\"");

    vine__keeper_begin(&keeper);
    execute(alice, vm);
    world_tell(world, vm->uid, VINE__VM_RUNNING, "");
    (void)ask(alice, "13,1\n32,%s\n0\n", vm->uid);
    assert_int_equal(vm->state, VINE__VM_OFF);
    pass(world, 100 * SECOND);
    assert_int_equal(vm->state, VINE__VM_OFF);
    hang_up(alice);
}

static void one_that_backs_off_is_shown_so_and_can_be_stopped_or_restarted(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    struct vine__vm *const vm = make(world, alice, ", \"restart\": \"always\"");
    uint64_t count;

    vine__keeper_begin(&keeper);
    execute(alice, vm);
    crash(world, vm);
    assert_non_null(strstr(ask(alice, "11,1\n32,%s\n", vm->uid), "backoff\n5,crash\n"));
    assert_string_equal(ask(alice, "23,1\n32,%s\n7,backoff\n1\n", vm->uid), "23,1\n0\n7,backoff\n");
    assert_string_equal(ask(alice, "13,1\n32,%s\n0\n", vm->uid), "13,1\n0\n");
    assert_int_equal(vm->state, VINE__VM_OFF);
    count = vm->start_count;
    pass(world, 100 * SECOND);
    assert_int_equal(vm->start_count, count);
    assert_non_null(strstr(ask(alice, "13,1\n32,%s\n0\n", vm->uid), "13,1\n9,"));
    /* Killed is the same; restarted, it does not wait. */
    execute(alice, vm);
    crash(world, vm);
    assert_string_equal(ask(alice, "14,1\n32,%s\n", vm->uid), "14,1\n0\n");
    assert_int_equal(vm->state, VINE__VM_OFF);
    execute(alice, vm);
    crash(world, vm);
    count = vm->start_count;
    assert_string_equal(ask(alice, "15,1\n32,%s\n0\n", vm->uid), "15,1\n0\n");
    assert_int_equal(vm->state, VINE__VM_STARTING);
    pass(world, 100 * SECOND);
    assert_int_equal(vm->start_count, count + 1);
    hang_up(alice);
}

static void whoever_starts_it_or_deletes_it_comes_first(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    struct vine__vm *const vm = make(world, alice, ", \"restart\": \"always\"");
    uint64_t count;

    vine__keeper_begin(&keeper);
    execute(alice, vm);
    crash(world, vm);
    execute(alice, vm);
    count = vm->start_count;
    pass(world, 100 * SECOND);
    assert_int_equal(vm->start_count, count);
    crash(world, vm);
    assert_string_equal(ask(alice, "16,1\n32,%s\n", vm->uid), "16,1\n0\n");
    pass(world, 100 * SECOND);
    hang_up(alice);
}

static void one_that_cannot_be_started_is_noted_and_tried_again(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    struct vine__vm *const vm = make(world, alice, ", \"restart\": \"on_failure\"");

    vine__keeper_begin(&keeper);
    execute(alice, vm);
    world->machines.refuses = true;
    crash(world, vm);
    pass(world, SECOND + SECOND / 10);
    assert_int_equal(vm->state, VINE__VM_BACKOFF);
    assert_true(note_count > 0);
    world->machines.refuses = false;
    pass(world, 2 * SECOND + SECOND / 10);
    assert_int_equal(vm->state, VINE__VM_STARTING);
    hang_up(alice);
}

/* ---- the beginning --------------------------------------------------------------------------- */

static void begin_anew(struct world *world)
{
    world_settle(world);
    vine__keeper_fini(&keeper);
    vine__keeper_init(&keeper, &world->registry, &world->saver.base, world->folder, note);
    keeper.clock = VINE_CLOCK_MANUAL;
    VINE_LIST_FOR_EACH(node, &world->registry.vms)
    {
        struct vine__vm *const vm = VINE_LIST_OBJECT(node, struct vine__vm, link);

        vm->is_new = true;
        vm->start_count = 0;
    }
    vine__keeper_begin(&keeper);
}

static void another_server(struct world *world)
{
    begin_anew(world);
    vine__keeper_look(&keeper);
    world_settle(world);
}

static void a_list_that_makes_no_sense_is_told_and_kept(void **state)
{
    struct world *const world = *state;
    char path[64], kept[72];

    (void)snprintf(path, sizeof(path), "%s/running.json", world->folder);
    (void)snprintf(kept, sizeof(kept), "%s.bad", path);
    vine__keeper_begin(&keeper);
    assert_int_equal(note_count, 0);
    assert_int_equal(vine__state_file_replace(path, "[7", 2), 0);
    another_server(world);
    assert_int_equal(note_count, 1);
    assert_int_equal(access(kept, F_OK), 0);
    assert_int_equal(access(path, F_OK), -1);
    another_server(world);
    assert_int_equal(note_count, 1);
}

static void what_starts_by_itself_is_said_by_autostart(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    struct vine__vm *const vm = make(world, alice, "");
    const char *const json = "{\"version\": 1, \"name\": \"one\", \"autostart\": \"always\"}";

    another_server(world);
    assert_int_equal(vm->state, VINE__VM_OFF);
    assert_string_equal(ask(alice, "24,1\n32,%s\n%zu,%s\n", vm->uid, strlen(json), json),
                        "24,1\n0\n");
    another_server(world);
    assert_int_equal(vm->state, VINE__VM_STARTING);
    hang_up(alice);
}

static void one_that_is_stopping_when_all_begins_stays_off(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    struct vine__vm *const vm = make(world, alice, ", \"restart\": \"always\"");

    vine__keeper_begin(&keeper);
    execute(alice, vm);
    world_tell(world, vm->uid, VINE__VM_RUNNING, "");
    world->machines.hangs = true;
    (void)ask(alice, "13,1\n32,%s\n0\n", vm->uid);
    assert_int_equal(vm->state, VINE__VM_STOPPING);
    another_server(world);
    world_tell(world, vm->uid, VINE__VM_OFF, "stopped");
    pass(world, 100 * SECOND);
    assert_int_equal(vm->state, VINE__VM_OFF);
    hang_up(alice);
}

/* The machine loses its power: nobody tells the list. */
static void lose_power(struct world *world, const struct vine__vm *vm)
{
    char *bytes;
    size_t size;

    assert_int_equal(vine__state_file_read(keeper.path, &bytes, &size), 0);
    world_tell(world, vm->uid, VINE__VM_OFF, "crash");
    assert_int_equal(vine__state_file_replace(keeper.path, bytes, size), 0);
    free(bytes);
}

/* It ran when the former server ended, and is found to have ended since. */
static void find_ended(struct world *world, struct vine__vm *vm, bool is_stopping)
{
    const struct vine__machines_found found = {
        .console = "", .parameters = "a b", .has_ended = true, .is_stopping = is_stopping};
    struct vine__boot *const boot = calloc(1, sizeof(*boot));

    assert_non_null(boot);
    memcpy(world->machines.uids[world->machines.count++], vm->uid, sizeof(vm->uid));
    vine__registry_resume(vm, boot, &found);
}

static void one_that_has_ended_between_two_servers_starts_as_its_policies_say(void **state)
{
    static const struct {
        const char *more;
        bool was_stopped, is_again;
    } cases[] = {
        {"", false, false},
        {", \"autostart\": \"always\"", false, true},
        {", \"autostart\": \"as_before\"", false, true},
        {", \"restart\": \"on_failure\"", false, true},
        {", \"restart\": \"always\"", false, true},
        {", \"autostart\": \"always\"", true, false},
        {", \"autostart\": \"as_before\"", true, false},
        {", \"restart\": \"always\"", true, false},
    };
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");

    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        struct vine__vm *const vm = make(world, alice, cases[i / 2].more);

        begin_anew(world);
        find_ended(world, vm, cases[i / 2].was_stopped);
        if (i % 2 == 1)
            vine__keeper_look(&keeper);
        world_tell(world, vm->uid, VINE__VM_OFF, "vanished");
        vine__keeper_look(&keeper);
        assert_int_equal(vm->state, cases[i / 2].is_again ? VINE__VM_BACKOFF : VINE__VM_OFF);
        pass(world, 2 * SECOND);
        assert_int_equal(vm->state, cases[i / 2].is_again ? VINE__VM_STARTING : VINE__VM_OFF);
        if (cases[i / 2].is_again) {
            assert_string_equal(world->machines.parameters, "a b");
            (void)ask(alice, "14,1\n32,%s\n", vm->uid);
        }
        /* It stays so: what has been stopped is not among those that ran before, either. */
        pass(world, 2 * SECOND);
        assert_int_equal(vm->state, VINE__VM_OFF);
        assert_string_equal(ask(alice, "16,1\n32,%s\n", vm->uid), "16,1\n0\n");
    }
    hang_up(alice);
}

static void one_that_was_stopped_between_two_servers_did_not_run_before(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    struct vine__vm *const vm = make(world, alice, ", \"autostart\": \"as_before\"");

    another_server(world);
    execute(alice, vm);
    lose_power(world, vm);
    begin_anew(world);
    find_ended(world, vm, true);
    world_tell(world, vm->uid, VINE__VM_OFF, "vanished");
    another_server(world);
    assert_int_equal(vm->state, VINE__VM_OFF);
    hang_up(alice);
}

static void what_ran_before_starts_as_before(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    struct vine__vm *const vm = make(world, alice, ", \"autostart\": \"as_before\"");

    another_server(world);
    assert_int_equal(vm->state, VINE__VM_OFF);
    execute(alice, vm);
    lose_power(world, vm);
    another_server(world);
    assert_int_equal(vm->state, VINE__VM_STARTING);
    world_tell(world, vm->uid, VINE__VM_OFF, "shutdown");
    another_server(world);
    assert_int_equal(vm->state, VINE__VM_OFF);
    /* What makes no sense says that nothing ran. */
    assert_int_equal(vine__state_file_replace(keeper.path, "[7", 2), 0);
    another_server(world);
    assert_int_equal(vm->state, VINE__VM_OFF);
    hang_up(alice);
}

/* ---- pools that are opened later ------------------------------------------------------------- */

/* Returns whether it starts, as is seen before the store has been asked for what it boots from. */
static bool starts_when_it_comes(struct world *world, const char *uid, const char *autostart)
{
    struct vine__vm_facts facts = {.upload_bytes = {[VINE__UPLOAD_KERNEL] = 6}};
    const struct vine__vm *vm;
    bool starts;

    (void)snprintf(facts.uid, sizeof(facts.uid), "%s", uid);
    (void)snprintf(facts.name, sizeof(facts.name), "n%s", uid + 28);
    assert_true(asprintf(&facts.configuration,
                         "{\"version\": 1, \"name\": \"%s\", \"autostart\": \"%s\"}", facts.name,
                         autostart) > 0);
    facts.configuration_bytes = strlen(facts.configuration);
    assert_int_equal(vine__registry_adopt(&world->registry, &facts), 0);
    vm = vine__registry_find(&world->registry, NULL, uid, 32);
    vine__keeper_look(&keeper);
    starts = vm->state == VINE__VM_STARTING;
    world_settle(world);
    vine__keeper_look(&keeper); /* it was looked at */
    assert_int_equal(vm->state, VINE__VM_OFF);
    return starts;
}

static void one_that_would_start_as_before_runs_when_that_is_on_the_disk(void **state)
{
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    struct vine__vm *const vm = make(world, alice, ", \"autostart\": \"as_before\"");

    another_server(world);
    world->saver.holds = true;
    assert_string_equal(ask(alice, "9,1\n32,%s\n0,\n", vm->uid), "");
    assert_int_equal(vm->state, VINE__VM_STARTING);
    assert_false(vine__store_memory_is_out(world->store, vm->uid));
    world->saver.holds = false;
    world_settle(world);
    assert_int_equal(world->machines.count, 1);
    hang_up(alice);
}

#define LATE(digit) "0000000000000000000000000000000" digit

static void what_comes_later_starts_as_it_would_have_at_the_beginning(void **state)
{
    static const char before[] = "{\"version\": 1, \"vms\": [\"" LATE("3") "\", 7]}";
    struct world *const world = *state;
    struct caller *const alice = call_in(world, "alice");
    struct vine__vm *const vm = make(world, alice, ", \"autostart\": \"as_before\"");

    assert_int_equal(vine__state_file_replace(keeper.path, before, sizeof(before) - 1), 0);
    another_server(world);
    execute(alice, vm); /* and the list is written */
    another_server(world);
    assert_false(starts_when_it_comes(world, LATE("1"), "never"));
    assert_true(starts_when_it_comes(world, LATE("2"), "always"));
    assert_true(starts_when_it_comes(world, LATE("3"), "as_before"));
    assert_false(starts_when_it_comes(world, LATE("4"), "as_before"));
    /* Told to end, it does not start when its pool comes again. */
    vine__registry_drop(&world->registry,
                        vine__registry_find(&world->registry, NULL, LATE("3"), 32));
    assert_false(starts_when_it_comes(world, LATE("3"), "as_before"));
    hang_up(alice);
}

/* One that a former server has left running, with this in its configuration. */
static struct vine__vm *adopt_left(struct world *world, const char *more)
{
    struct vine__vm_facts facts = {.uid = LATE("5"),
                                   .name = "left",
                                   .is_taken_out = true,
                                   .upload_bytes = {[VINE__UPLOAD_KERNEL] = 6}};

    assert_true(asprintf(&facts.configuration, "{\"version\": 1, \"name\": \"left\"%s}", more) > 0);
    facts.configuration_bytes = strlen(facts.configuration);
    world->machines.left_uid = LATE("5");
    assert_int_equal(vine__registry_adopt(&world->registry, &facts), 0);
    return vine__registry_find(&world->registry, NULL, LATE("5"), 32);
}

/* Another pool's opening has all looked at, before the server has gone on with this one. */
static void one_that_was_left_running_is_looked_at_when_the_server_goes_on(void **state)
{
    static const struct vine__machines_found found = {.console = "/tmp/console", .parameters = ""};
    struct vine__boot *const boot = calloc(1, sizeof(*boot));
    struct world *const world = *state;
    struct vine__vm *vm;

    assert_non_null(boot);
    another_server(world);
    vm = adopt_left(world, ", \"autostart\": \"always\"");
    vine__keeper_look(&keeper);
    assert_int_equal(vm->state, VINE__VM_OFF);
    assert_int_equal(note_count, 0);
    vine__registry_resume(vm, boot, &found);
    vine__keeper_look(&keeper);
    assert_int_equal(vm->state, VINE__VM_RUNNING);
}

/* It runs, whatever it is called while its next start is awaited. */
static void one_that_the_server_cannot_go_on_with_is_killed_while_it_backs_off(void **state)
{
    struct world *const world = *state;
    struct caller *const root = call_in(world, "root");
    struct vine__vm *vm;

    another_server(world);
    vm = adopt_left(world, ", \"restart\": \"always\"");
    memcpy(world->machines.uids[world->machines.count++], vm->uid, sizeof(vm->uid));
    vine__registry_give_up(vm, "no such file");
    assert_null(strchr(ask(root, "109,1\n32,%s\n0,\n", vm->uid), '/'));
    assert_int_equal(vm->state, VINE__VM_BACKOFF);
    world->machines.left_uid = NULL; /* as an engine says when it tells of the end */
    assert_string_equal(ask(root, "114,1\n32,%s\n", vm->uid), "114,1\n0\n");
    assert_int_equal(world->machines.count, 0);
    assert_int_equal(vm->state, VINE__VM_OFF);
    pass(world, 100 * SECOND);
    assert_int_equal(vm->state, VINE__VM_OFF);
    hang_up(root);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(one_that_crashes_starts_again_later_each_time),
        IN_WORLD(policies_say_what_is_a_reason),
        IN_WORLD(one_that_was_told_to_end_stays_off),
        IN_WORLD(one_that_backs_off_is_shown_so_and_can_be_stopped_or_restarted),
        IN_WORLD(whoever_starts_it_or_deletes_it_comes_first),
        IN_WORLD(one_that_cannot_be_started_is_noted_and_tried_again),
        IN_WORLD(a_list_that_makes_no_sense_is_told_and_kept),
        IN_WORLD(what_starts_by_itself_is_said_by_autostart),
        IN_WORLD(what_ran_before_starts_as_before),
        IN_WORLD(one_that_would_start_as_before_runs_when_that_is_on_the_disk),
        IN_WORLD(one_that_is_stopping_when_all_begins_stays_off),
        IN_WORLD(one_that_has_ended_between_two_servers_starts_as_its_policies_say),
        IN_WORLD(one_that_was_stopped_between_two_servers_did_not_run_before),
        IN_WORLD(what_comes_later_starts_as_it_would_have_at_the_beginning),
        IN_WORLD(one_that_was_left_running_is_looked_at_when_the_server_goes_on),
        IN_WORLD(one_that_the_server_cannot_go_on_with_is_killed_while_it_backs_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
