/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server links=runtime timeout=120 */
/*
 * Links between VMs that come and go: what is at each end, and who is asked to let go of what. The
 * engine's thread is the test's own.
 */
#include "engine_world.h"

#include "arch/wake/epoll.h"
#include "vmm/engine/machine_internal.h"

#define LINK_BYTES (64 << 10)

static struct vine__engine engine;
static bool is_closed;

static void closed(void *context)
{
    (void)context;
    is_closed = true;
}

static int begin(void **state)
{
    (void)state;
    vm_count = 0;
    open_cores(1);
    vine__mesh_open_to_aliens(stepped.mesh);
    engine = (struct vine__engine){.options = world_options()};
    vine_list_init(&engine.vms);
    vine_list_init(&engine.links);
    vine_list_init(&engine.starts);
    vine__engine_bells_open(&engine);
    if (vine__epoll_create(&engine.epoll_fd) != 0)
        return -1;
    return vine__errands_open("idle", NULL, NULL, &engine.errands);
}

static int end(void **state)
{
    (void)state;
    vine__engine_kill_all(&engine);
    is_closed = false;
    vine__errands_close(engine.errands, closed, NULL);
    until(is_closed);
    assert_true(vine_list_is_empty(&engine.links));
    close(engine.epoll_fd);
    vine__mesh_open_to_aliens(NULL);
    close_cores();
    return 0;
}

/* ---- VMs and links --------------------------------------------------------------------------- */

/* One turn of the engine's loop. */
static void turn(void)
{
    struct vine__epoll_event events[8];
    const int count = vine__epoll_wait(engine.epoll_fd, events, 8, 1000000);

    for (int i = 0; i < count; i++)
        vine__engine_hear(events[i].context);
    step_all();
}

static enum vine_server_error execute(struct vm *vm, char why[VINE__SERVER_WHY_BYTES])
{
    const struct vine__engine_start start = {
        .boot = &vm->boot, .parameters = "", .accelerator = VINE__ACCELERATOR_TCG};
    char console[VINE__VM_CONSOLE_BYTES];

    while (!vine__engine_links_prepare(&engine, &vm->boot))
        vine__engine_links_fill(&engine);
    return vine__engine_run(&engine, &start, why, console);
}

static void start(struct vm *vm)
{
    char why[VINE__SERVER_WHY_BYTES] = "";

    vm->told_count = 0;
    if (execute(vm, why) != VINE_SERVER_E_DONE)
        fail_msg("%s", why);
}

static void run(struct vm *vm)
{
    start(vm);
    until_turned(is_told(vm, VINE__VM_RUNNING));
}

static void stop(struct vm *vm)
{
    vine__engine_stop(vine__engine_find(&engine, vm->boot.uid), 60000, false);
    until_turned(is_told(vm, VINE__VM_OFF));
}

/* How an end of the link is that was made last, or ABSENT where there is none. */
static enum vine_status_side_state side(enum vine_status_end end)
{
    const struct vine__engine_link *const link =
        vine_list_is_empty(&engine.links)
            ? NULL
            : VINE_LIST_OBJECT(engine.links.prev, struct vine__engine_link, node);

    return link == NULL
               ? VINE_STATUS_ABSENT
               : (enum vine_status_side_state)vine__machine_link_side(link->link, end).state;
}

static bool are_attached(void)
{
    return side(VINE_STATUS_APPLICATION) == VINE_STATUS_ATTACHED &&
           side(VINE_STATUS_APPLIANCE) == VINE_STATUS_ATTACHED;
}

static uint32_t link_count(void)
{
    uint32_t count = 0;

    VINE_LIST_FOR_EACH(node, &engine.links)
    count++;
    return count;
}

/* What its guest reads of the link that it has. */
static const struct vine_status_link *page_entry(const struct vm *vm)
{
    const struct vine_status_page *const page =
        vine__engine_find(&engine, vm->boot.uid)->machine->status.page;
    uint32_t place = 0;

    while (place < page->link_count && page->links[place].is_plugged == 0)
        place++;
    assert_true(place < page->link_count);
    return &page->links[place];
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void a_link_is_there_once_both_run_whoever_was_first(void **state)
{
    for (int first = 0; first < 2; first++) {
        struct vm *const ends[2] = {make_vm(GOOD), make_vm(GOOD)};

        link_vms(ends[0], ends[1], LINK_BYTES);
        run(ends[first]);
        assert_int_equal(link_count(), 0);
        run(ends[!first]);
        until_turned(are_attached());
        assert_int_equal(link_count(), 1);
        for (int end = 0; end < 2; end++)
            assert_int_equal(page_entry(ends[end])->channels, 1);
        stop(ends[0]);
        until_turned(link_count() == 0);
        stop(ends[1]);
    }
    (void)state;
}

static void two_that_start_at_once_are_linked_when_they_can_be(void **state)
{
    struct vm *const application = make_vm(GOOD), *const appliance = make_vm(GOOD);

    (void)state;
    link_vms(application, appliance, LINK_BYTES);
    start(application);
    start(appliance);
    until_turned(are_attached());
}

static void an_application_that_dies_is_taken_from_its_appliance_which_serves_others(void **state)
{
    struct vm *const appliance = make_vm(SERVES);
    struct vm *const dies = make_vm(CRASHES), *const other = make_vm(GOOD);

    (void)state;
    link_vms(other, appliance, LINK_BYTES);
    link_vms(dies, appliance, LINK_BYTES);
    run(appliance);
    run(other);
    start(dies);
    until_turned(is_told(dies, VINE__VM_OFF));
    until_turned(link_count() == 1);
    until_turned(are_attached());
    assert_true(is_told(appliance, VINE__VM_RUNNING));
    assert_string_equal(appliance->note, "");
}

static void an_appliance_that_comes_back_finds_its_applications_link(void **state)
{
    struct vm *const application = make_vm(GOOD), *const appliance = make_vm(GOOD);
    const struct vine__engine_link *link;
    uint64_t generation;

    (void)state;
    link_vms(application, appliance, LINK_BYTES);
    run(appliance);
    run(application);
    until_turned(are_attached());
    link = VINE_LIST_OBJECT(engine.links.next, struct vine__engine_link, node);
    generation = vine__machine_link_side(link->link, VINE_STATUS_APPLIANCE).generation;
    stop(appliance);
    assert_int_equal(side(VINE_STATUS_APPLIANCE), VINE_STATUS_LOST);
    assert_int_equal(side(VINE_STATUS_APPLICATION), VINE_STATUS_ATTACHED);
    run(appliance);
    until_turned(are_attached());
    assert_ptr_equal(VINE_LIST_OBJECT(engine.links.next, struct vine__engine_link, node), link);
    assert_true(vine__machine_link_side(link->link, VINE_STATUS_APPLIANCE).generation > generation);
}

static void an_application_that_comes_back_has_another_link(void **state)
{
    struct vm *const application = make_vm(GOOD), *const appliance = make_vm(KEEPS);

    (void)state;
    link_vms(application, appliance, LINK_BYTES);
    run(appliance);
    for (int times = 0; times < 2; times++) {
        run(application);
        until_turned(are_attached());
        /* Its guest does not let go of the former one. */
        assert_int_equal(link_count(), 1 + (uint32_t)times);
        if (times == 0)
            stop(application);
    }
}

static void what_does_not_fit_into_memory_is_refused_with_why(void **state)
{
    struct vm *const application = make_vm(GOOD), *const appliance = make_vm(GOOD);
    char why[VINE__SERVER_WHY_BYTES] = "";

    (void)state;
    link_vms(application, appliance, UINT64_C(1) << 36);
    run(appliance);
    assert_int_equal(execute(application, why), VINE_SERVER_E_FAILED);
    assert_non_null(strstr(why, "link vm1: there is no memory for twice 68719476736 bytes"));
    assert_null(vine__engine_find(&engine, application->boot.uid));
    assert_int_equal(link_count(), 0);
    /* An appliance starts all the same, and that is noted. */
    stop(appliance);
    run(application);
    run(appliance);
    until_turned(appliance->note[0] != '\0');
    assert_non_null(strstr(appliance->note, "there is no memory"));
}

static void a_link_that_an_appliance_was_not_started_for_is_refused_with_why(void **state)
{
    struct vm *const application = make_vm(GOOD), *const appliance = make_vm(GOOD);
    char why[VINE__SERVER_WHY_BYTES] = "";

    (void)state;
    run(appliance);
    link_vms(application, appliance, LINK_BYTES);
    assert_int_equal(execute(application, why), VINE_SERVER_E_FAILED);
    assert_non_null(strstr(why, "vm1: it was started without a place for the link"));
    assert_int_equal(link_count(), 0);
}

static void what_cannot_be_plugged_is_noted_once(void **state)
{
    struct vm *const appliance = make_vm(REFUSES);
    struct vm *const one = make_vm(GOOD), *const two = make_vm(GOOD);

    (void)state;
    link_vms(one, appliance, LINK_BYTES);
    link_vms(two, appliance, LINK_BYTES);
    run(one);
    run(appliance);
    until_turned(are_attached());
    run(two);
    until_turned(appliance->note[0] != '\0');
    assert_non_null(strstr(appliance->note, "no room"));
    appliance->note[0] = '\0';
    for (int turns = 0; turns < 100; turns++)
        turn();
    assert_string_equal(appliance->note, "");
}

static void a_link_brings_a_network_and_a_port_for_both(void **state)
{
    struct vm *const appliance = make_vm(GOOD), *const application = make_vm(GOOD);
    const struct vine__machine_description *there, *here;
    char why[VINE__SERVER_WHY_BYTES] = "";

    (void)state;
    link_vms(application, appliance, LINK_BYTES);
    for (int i = 0; i < 2; i++) {
        struct vine__boot_link *const link = (i == 0 ? appliance : application)->boot.links;

        link->has_network = link->has_serial = true;
    }
    run(application);
    run(appliance);
    there = &vine__engine_find(&engine, appliance->boot.uid)->description;
    here = &vine__engine_find(&engine, application->boot.uid)->description;
    assert_int_equal(there->network, VINE__NETWORK_STREAM_LISTEN);
    assert_int_equal(here->network, VINE__NETWORK_STREAM_CONNECT);
    assert_string_equal(there->network_socket, here->network_socket);
    assert_string_equal(here->serial_socket, there->serial_socket);
    assert_true(here->serial_connects);
    assert_false(there->serial_connects);
    /* No second one. */
    stop(application);
    link_vms(application, make_vm(GOOD), LINK_BYTES);
    application->boot.links[1].has_network = true;
    assert_int_equal(execute(application, why), VINE_SERVER_E_FAILED);
    assert_non_null(strstr(why, "two of its links bring a network"));
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(int argc, char **argv)
{
    world_main(argc, argv);
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_link_is_there_once_both_run_whoever_was_first),
        IN_WORLD(two_that_start_at_once_are_linked_when_they_can_be),
        IN_WORLD(an_application_that_dies_is_taken_from_its_appliance_which_serves_others),
        IN_WORLD(an_appliance_that_comes_back_finds_its_applications_link),
        IN_WORLD(an_application_that_comes_back_has_another_link),
        IN_WORLD(what_does_not_fit_into_memory_is_refused_with_why),
        IN_WORLD(a_link_that_an_appliance_was_not_started_for_is_refused_with_why),
        IN_WORLD(what_cannot_be_plugged_is_noted_once),
        IN_WORLD(a_link_brings_a_network_and_a_port_for_both),
    };

    if (folder_make(folder) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
