/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server links=runtime timeout=120 */
/*
 * The process of the doorbells is killed, while an engine runs VMs or while none does: what becomes
 * of their links. That process is the test's own program, and so are all QEMUs; the engine's thread
 * is the test.
 */
#include "engine_world.h"

#include "arch/clock/clock.h"
#include "arch/peer/process.h"
#include "arch/wake/epoll.h"
#include "vmm/engine/bells.h"

#define LINK_BYTES (64 << 10)

static const char *const bells_words[] = {"/proc/self/exe", "bells", NULL};
static const char *const no_words[] = {"/nowhere/bells", NULL};

static struct vine__engine engine;
static bool is_closed;

/* ---- the bells ------------------------------------------------------------------------------- */

static void say_pid(const char *path)
{
    char name[128];

    (void)snprintf(name, sizeof(name), "%s.pid", path);
    FILE *const file = fopen(name, "we");

    if (file == NULL || fprintf(file, "%d", (int)getpid()) < 0 || fclose(file) != 0)
        _exit(1);
}

/* As `vine guest bells --detach`, without lingering. */
static _Noreturn void be_bells(const char *path)
{
    const struct vine__bells_options options = {.path = path};
    struct vine__bells *bells;
    bool was_used = false;
    char byte = 0;
    int said[2];

    if (pipe(said) != 0)
        _exit(1);
    const pid_t pid = fork();

    if (pid != 0) {
        (void)close(said[1]);
        _exit(pid > 0 && read(said[0], &byte, 1) == 1 ? 0 : 1);
    }
    (void)alarm(600); /* should the test be gone */
    if (vine__bells_create(&bells, &options) != 0)
        _exit(1);
    say_pid(path);
    (void)!write(said[1], &byte, 1);
    (void)close(said[1]);
    while (!was_used || !vine__bells_is_idle(bells)) {
        was_used = was_used || !vine__bells_is_idle(bells);
        if (vine__bells_step(bells, VINE_NS_PER_SECOND) != 0)
            break;
    }
    _exit(0);
}

static pid_t read_bells(void)
{
    char name[128], text[16] = "";

    (void)snprintf(name, sizeof(name), "%s/bells.pid", folder);
    FILE *const file = fopen(name, "re");

    assert_non_null(file);
    (void)fgets(text, sizeof(text), file);
    (void)fclose(file);
    return (pid_t)strtol(text, NULL, 10);
}

static void await_end(int pidfd)
{
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};

    assert_int_equal(poll(&ended, 1, 60000), 1);
    close(pidfd);
}

static pid_t kill_bells(void)
{
    const pid_t pid = read_bells();
    int pidfd;

    assert_int_equal(vine__process_pidfd(pid, &pidfd), 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    await_end(pidfd);
    return pid;
}

/* ---- the engine ------------------------------------------------------------------------------ */

static void closed(void *context)
{
    (void)context;
    is_closed = true;
}

static void open_engine(struct vine__errands *errands)
{
    engine = (struct vine__engine){.options = world_options(), .errands = errands};
    engine.options.leaves_vms = true;
    engine.options.bells = bells_words;
    vine_list_init(&engine.vms);
    vine_list_init(&engine.links);
    vine_list_init(&engine.starts);
    assert_int_equal(vine__epoll_create(&engine.epoll_fd), 0);
    vine__engine_load(&engine);
    vine__engine_bells_open(&engine);
}

static void close_engine(void)
{
    vine__engine_bells_close(&engine);
    close(engine.epoll_fd);
    json_decref(engine.left);
    json_decref(engine.left_links);
    engine.left_count = 0; /* what is told late asks for them */
    free(engine.left_uids);
}

static int begin(void **state)
{
    struct vine__errands *errands;

    (void)state;
    vm_count = 0;
    open_cores(1);
    vine__mesh_open_to_aliens(stepped.mesh);
    if (vine__errands_open("idle", NULL, NULL, &errands) != 0)
        return -1;
    open_engine(errands);
    return 0;
}

static int end(void **state)
{
    (void)state;
    vine__engine_kill_all(&engine);
    assert_true(vine_list_is_empty(&engine.links));
    (void)!vine__engine_save(&engine);
    close_engine();
    is_closed = false;
    vine__errands_close(engine.errands, closed, NULL);
    until(is_closed);
    vine__mesh_open_to_aliens(NULL);
    close_cores();
    return 0;
}

/* One turn of the engine's loop. */
static void turn(void)
{
    struct vine__epoll_event events[8];

    (void)vine__engine_bells_renew(&engine, vine__clock_now_ns());
    const int count = vine__epoll_wait(engine.epoll_fd, events, 8, 1000000);

    for (int i = 0; i < count; i++)
        if (events[i].context == &engine.bells)
            vine__engine_bells_lose(&engine);
        else
            vine__engine_hear(events[i].context);
    vine__engine_links_fill(&engine);
    step_all();
}

static void run(struct vm *vm)
{
    const struct vine__engine_start start = {
        .boot = &vm->boot, .parameters = "", .accelerator = VINE__ACCELERATOR_TCG};
    char why[VINE__SERVER_WHY_BYTES] = "", console[VINE__VM_CONSOLE_BYTES];

    while (!vine__engine_links_prepare(&engine, &vm->boot))
        vine__engine_links_fill(&engine);
    if (vine__engine_run(&engine, &start, why, console) != VINE_SERVER_E_DONE)
        fail_msg("%s", why);
    until_turned(is_told(vm, VINE__VM_RUNNING));
}

/* Another engine, for the VMs that there are. */
static void leave_engine(void)
{
    vine__engine_release_all(&engine);
    close_engine();
}

static void next_engine(void)
{
    char why[VINE__SERVER_WHY_BYTES];
    struct vine__engine_vm *vm;

    open_engine(engine.errands);
    for (uint32_t i = 0; i < vm_count; i++) {
        vms[i].told_count = 0;
        vms[i].note[0] = '\0';
        if (vine__engine_adopt(&engine, &vms[i].boot, why, &vm) != VINE_SERVER_E_DONE)
            fail_msg("%s", why);
    }
    vine__engine_adopt_links(&engine);
    for (uint32_t i = 0; i < vm_count; i++)
        until_turned(is_told(&vms[i], VINE__VM_RUNNING));
}

/* ---- links ----------------------------------------------------------------------------------- */

static const struct vine__engine_link *last_link(void)
{
    return vine_list_is_empty(&engine.links)
               ? NULL
               : VINE_LIST_OBJECT(engine.links.prev, struct vine__engine_link, node);
}

/* So often was this end of the link taken that was made last. */
static uint64_t generation(enum vine_status_end end)
{
    return vine__machine_link_side(last_link()->link, end).generation;
}

/* The link of an application that has one. NULL: it has none now. */
static const struct vine__engine_link *link_of(const struct vm *application)
{
    VINE_LIST_FOR_EACH(node, &engine.links)
    {
        const struct vine__engine_link *const link =
            VINE_LIST_OBJECT(node, struct vine__engine_link, node);

        if (strcmp(link->uids[VINE_STATUS_APPLICATION], application->boot.uid) == 0 &&
            !link->is_going)
            return link;
    }
    return NULL;
}

static bool are_attached(const struct vm *application)
{
    const struct vine__engine_link *const link = link_of(application);

    return link != NULL &&
           vine__machine_link_side(link->link, VINE_STATUS_APPLICATION).state ==
               VINE_STATUS_ATTACHED &&
           vine__machine_link_side(link->link, VINE_STATUS_APPLIANCE).state == VINE_STATUS_ATTACHED;
}

static void run_couple(struct vm *application, struct vm *appliance)
{
    link_vms(application, appliance, LINK_BYTES);
    run(appliance);
    run(application);
    until_turned(are_attached(application));
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void links_outlive_the_bells_and_the_engine_behind_them(void **state)
{
    struct vm *const application = make_vm(GOOD), *const appliance = make_vm(GOOD);
    uint64_t generations[2], number;

    (void)state;
    run_couple(application, appliance);
    for (int end = 0; end < 2; end++)
        generations[end] = generation((enum vine_status_end)end);
    number = last_link()->number;
    for (int times = 0; times < 2; times++) {
        const pid_t pid = kill_bells();

        until_turned(read_bells() != pid && engine.bells.control_fd >= 0);
        if (times == 0) /* else they were nobody's already */
            until_turned(application->note[0] != '\0' && appliance->note[0] != '\0');
        leave_engine();
        next_engine();
        assert_string_equal(application->note, "");
        assert_true(are_attached(application));
        assert_int_equal(last_link()->number, number);
        for (int end = 0; end < 2; end++)
            assert_int_equal(generation((enum vine_status_end)end), generations[end]);
    }
}

/* As links have the name of their appliance that are given none. */
static void links_of_one_name_stay_whose_they_are(void **state)
{
    struct vm *const appliance = make_vm(SERVES);
    struct vm *const applications[2] = {make_vm(GOOD), make_vm(GOOD)};
    uint32_t places[2];

    (void)state;
    link_vms(applications[1], appliance, LINK_BYTES);
    run_couple(applications[0], appliance);
    run(applications[1]);
    until_turned(are_attached(applications[1]));
    for (int i = 0; i < 2; i++)
        places[i] = link_of(applications[i])->places[VINE_STATUS_APPLIANCE];
    for (int times = 0; times < 2; times++) {
        leave_engine();
        next_engine();
        for (int i = 0; i < 2; i++) {
            assert_true(are_attached(applications[i]));
            assert_int_equal(link_of(applications[i])->places[VINE_STATUS_APPLIANCE], places[i]);
        }
    }
}

static void who_has_lost_its_bells_is_told_of(void **state)
{
    struct vm *const application = make_vm(GOOD), *const appliance = make_vm(GOOD);

    (void)state;
    run_couple(application, appliance);
    (void)kill_bells();
    until_turned(application->note[0] != '\0' && appliance->note[0] != '\0');
    assert_non_null(strstr(appliance->note, "the process of its doorbells has ended: "));
    assert_true(are_attached(application));
}

static void where_no_other_bells_can_be_started_links_go_on(void **state)
{
    struct vm *const application = make_vm(GOOD), *const appliance = make_vm(GOOD);

    (void)state;
    run_couple(application, appliance);
    engine.options.bells = no_words;
    (void)kill_bells();
    until_turned(application->note[0] != '\0' && appliance->note[0] != '\0');
    assert_non_null(strstr(application->note, "ended, and none can be started"));
    assert_true(are_attached(application));
}

static void who_starts_later_is_linked_with_who_has_lost_its_bells(void **state)
{
    struct vm *const application = make_vm(GOOD), *const appliance = make_vm(SERVES);
    struct vm *const later = make_vm(GOOD);

    (void)state;
    link_vms(later, appliance, LINK_BYTES);
    run_couple(application, appliance);
    (void)kill_bells();
    until_turned(appliance->note[0] != '\0');
    run(later);
    until_turned(are_attached(later));
    assert_true(are_attached(application));
    assert_true(vine__engine_find(&engine, later->boot.uid)->bell != VINE_STATUS_NO_DOORBELL);
}

/* No engine and no bells: of links nothing is left but what both QEMUs have. */
static void links_that_nobody_has_kept_come_anew(void **state)
{
    /* One link comes while the other one is on its way out. */
    struct vm *const application = make_vm(SERVES), *const other = make_vm(SERVES);
    struct vm *const appliance = make_vm(SERVES);

    (void)state;
    link_vms(other, appliance, LINK_BYTES);
    run_couple(application, appliance);
    run(other);
    until_turned(are_attached(other));
    for (int times = 0; times < 2; times++) {
        leave_engine();
        (void)kill_bells();
        next_engine();
        assert_non_null(strstr(appliance->note, "its links are unplugged and plugged anew"));
        until_turned(are_attached(application) && are_attached(other));
    }
    /* And these are kept. */
    const uint64_t number = last_link()->number;

    leave_engine();
    next_engine();
    assert_string_equal(appliance->note, "");
    assert_true(are_attached(application) && are_attached(other));
    assert_int_equal(last_link()->number, number);
}

static void nobody_stays_behind_engine_and_machines(void **state)
{
    struct vm *const application = make_vm(GOOD), *const appliance = make_vm(GOOD);
    pid_t pids[2];
    int pidfd;

    (void)state;
    run_couple(application, appliance);
    assert_int_equal(vine__process_pidfd(read_bells(), &pidfd), 0);
    pids[0] = vine__machine_pid(vine__engine_find(&engine, application->boot.uid)->machine);
    pids[1] = vine__machine_pid(vine__engine_find(&engine, appliance->boot.uid)->machine);
    leave_engine();
    for (int i = 0; i < 2; i++)
        assert_int_equal(kill(pids[i], SIGKILL), 0);
    await_end(pidfd);
    /* All of it is over for the next one. */
    open_engine(engine.errands);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "bells") == 0)
        be_bells(argv[2]);
    world_main(argc, argv);
    const struct CMUnitTest tests[] = {
        IN_WORLD(links_outlive_the_bells_and_the_engine_behind_them),
        IN_WORLD(links_of_one_name_stay_whose_they_are),
        IN_WORLD(who_has_lost_its_bells_is_told_of),
        IN_WORLD(where_no_other_bells_can_be_started_links_go_on),
        IN_WORLD(who_starts_later_is_linked_with_who_has_lost_its_bells),
        IN_WORLD(links_that_nobody_has_kept_come_anew),
        IN_WORLD(nobody_stays_behind_engine_and_machines),
    };

    if (folder_make(folder) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
