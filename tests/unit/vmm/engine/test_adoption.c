/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine */
/*
 * Machines that are let go of and found again: what they are, what they have, and what their pages
 * say of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "fake_qemu.h"
#include "machine_world.h"
#include "vmm/engine/adoption.h"
#include "vmm/engine/machine_internal.h"

#define APPLICATION VINE_STATUS_APPLICATION
#define APPLIANCE   VINE_STATUS_APPLIANCE
#define ANY         VINE__MACHINE_LINK_ANY_PLACE

/* What outlives who started a machine. */
struct kept {
    struct vine__machine_identity identity;
    int pages[VINE__MACHINE_PAGES];
};

static struct kept keep(const struct vine__machine *machine)
{
    struct kept kept;

    assert_int_equal(vine__machine_identify(machine, &kept.identity), 0);
    vine__machine_pages(machine, kept.pages);
    for (int i = 0; i < VINE__MACHINE_PAGES; i++) {
        kept.pages[i] = dup(kept.pages[i]);
        assert_true(kept.pages[i] >= 0);
    }
    return kept;
}

static void drop(const struct kept *kept)
{
    for (int i = 0; i < VINE__MACHINE_PAGES; i++)
        assert_int_equal(close(kept->pages[i]), 0);
}

/* Another object for the same process. */
static struct vine__machine *adopt(const char *name, const struct kept *kept,
                                   struct vine__machine_options options)
{
    struct vine__machine *const machine = make(name, options);
    char why[256] = "";

    if (vine__machine_adopt(machine, &kept->identity, kept->pages, why, sizeof(why)) != 0)
        fail_msg("%s", why);
    return machine;
}

/* Let go of it, and find it again. */
static struct vine__machine *renew(struct vine__machine *machine, const char *name)
{
    const struct kept kept = keep(machine);

    vine__machine_release(machine);
    struct vine__machine *const found = adopt(name, &kept, DEFAULTS);

    drop(&kept);
    return found;
}

static struct vine__machine_link *make_link(const char *name)
{
    struct vine__machine_link *link;

    assert_int_equal(vine__machine_link_create(name, (const uint64_t[2]){4096, MIB}, &link), 0);
    return link;
}

/* The same memories, and nothing else of the link. */
static struct vine__machine_link *renew_link(struct vine__machine_link *link)
{
    const int fds[2] = {vine__machine_link_fd(link, 0), vine__machine_link_fd(link, 1)};
    struct vine__machine_link *found;

    assert_int_equal(vine__machine_link_adopt(vine__machine_link_name(link),
                                              (const uint64_t[2]){4096, MIB}, fds, &found),
                     0);
    vine__machine_link_close(link);
    return found;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void one_that_was_let_go_of_is_found_as_it_was(void **state)
{
    struct vine__machine *machine = begin("good", DEFAULTS);
    const pid_t pid = vine__machine_pid(machine);

    (void)state;
    for (int round = 0; round < 3; round++) {
        machine = renew(machine, "good");
        assert_int_equal(vine__machine_state_of(machine), VINE__MACHINE_STARTING);
        (void)expect(machine, VINE__MACHINE_STARTED);
        assert_int_equal(vine__machine_state_of(machine), VINE__MACHINE_RUNNING);
        assert_int_equal(vine__machine_pid(machine), pid);
    }
    assert_int_equal(vine__machine_pause(machine), 0);
    (void)expect(machine, VINE__MACHINE_PAUSES);
    machine = renew(machine, "good");
    (void)expect(machine, VINE__MACHINE_STARTED);
    assert_int_equal(vine__machine_state_of(machine), VINE__MACHINE_PAUSED);
    assert_int_equal(vine__machine_resume(machine), 0);
    (void)expect(machine, VINE__MACHINE_RESUMES);
    assert_int_equal(vine__machine_stop(machine), 0);
    (void)expect(machine, VINE__MACHINE_BUTTON);
    expect_end(machine, VINE__END_STOPPED, "as it was told");
    /* And it can be started again. */
    start(machine);
    (void)expect(machine, VINE__MACHINE_STARTED);
    assert_int_equal(vine__machine_kill(machine), 0);
    expect_end(machine, VINE__END_KILLED, "");
    vine__machine_close(machine);
}

static void one_that_was_not_let_go_yet_is_started(void **state)
{
    struct vine__machine *machine = make("good", DEFAULTS);

    (void)state;
    start(machine);
    machine = renew(machine, "good");
    (void)expect(machine, VINE__MACHINE_STARTED);
    assert_int_equal(vine__machine_state_of(machine), VINE__MACHINE_RUNNING);
    vine__machine_close(machine);
}

static void how_an_adopted_one_ends_is_what_it_said_last(void **state)
{
    struct vine__machine *machine = renew(begin("good", DEFAULTS), "good");

    (void)state;
    (void)expect(machine, VINE__MACHINE_STARTED);
    assert_int_equal(kill(vine__machine_pid(machine), SIGKILL), 0);
    expect_end(machine, VINE__END_CRASH, "its exit status is not known here");
    vine__machine_close(machine);

    machine = renew(begin("stuck", DEFAULTS), "stuck");
    assert_int_equal(vine__machine_kill(machine), 0);
    expect_end(machine, VINE__END_KILLED, "");
    vine__machine_close(machine);
}

static void one_that_has_ended_meanwhile_has_vanished(void **state)
{
    struct vine__machine *machine = begin("good", DEFAULTS);
    const struct kept kept = keep(machine);

    (void)state;
    vine__machine_close(machine);
    machine = adopt("good", &kept, DEFAULTS);
    assert_int_equal(vine__machine_identify(machine, &(struct vine__machine_identity){0}), -ESRCH);
    expect_end(machine, VINE__END_VANISHED, "how is not known");
    assert_string_equal(vine__machine_end_word(vine__machine_ended_by(machine)), "vanished");
    vine__machine_close(machine);
    /* Also if nobody waits for it to be told. */
    vine__machine_close(adopt("good", &kept, DEFAULTS));
    drop(&kept);
}

static void another_process_of_that_number_is_left_alone(void **state)
{
    struct vine__machine *machine = begin("good", DEFAULTS);
    const pid_t pid = vine__machine_pid(machine);
    struct kept kept = keep(machine);

    (void)state;
    vine__machine_release(machine);
    kept.identity.start_ticks++;
    machine = adopt("good", &kept, DEFAULTS);
    vine__machine_close(machine);
    assert_int_equal(kill(pid, 0), 0);
    kept.identity.start_ticks--;
    kept.identity.scope++; /* the machine has booted anew */
    machine = adopt("good", &kept, DEFAULTS);
    expect_end(machine, VINE__END_VANISHED, "");
    vine__machine_close(machine);
    assert_int_equal(kill(pid, SIGKILL), 0);
    drop(&kept);
}

/* ---- its control socket ---------------------------------------------------------------------- */

static void one_whom_another_controls_is_waited_for(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct vine__machine *machine = begin("good", DEFAULTS);
    const int other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct kept kept = keep(machine);

    (void)state;
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", kept.identity.qmp_path);
    assert_int_equal(connect(other, (struct sockaddr *)&address, sizeof(address)), 0);
    vine__machine_release(machine);
    machine = adopt("good", &kept, (struct vine__machine_options){.start_timeout_ns = SHORT_NS});
    assert_non_null(strstr(expect(machine, VINE__MACHINE_REFUSED).text, "does not answer"));
    assert_int_equal(vine__machine_state_of(machine), VINE__MACHINE_STARTING);
    assert_int_equal(close(other), 0);
    (void)expect(machine, VINE__MACHINE_STARTED);
    vine__machine_close(machine);
    drop(&kept);
}

static void one_whose_control_socket_is_gone_can_be_killed(void **state)
{
    struct vine__machine *machine = begin("good", DEFAULTS);
    const struct kept kept = keep(machine);
    struct vine__machine_event event;

    (void)state;
    vine__machine_release(machine);
    assert_int_equal(unlink(kept.identity.qmp_path), 0);
    machine = adopt("good", &kept, (struct vine__machine_options){.start_timeout_ns = SHORT_NS});
    assert_non_null(strstr(expect(machine, VINE__MACHINE_REFUSED).text, "is not there"));
    /* It is told once. */
    assert_int_equal(vine__machine_wait_event(machine, VINE_NS_PER_SECOND, &event), -ETIMEDOUT);
    assert_int_equal(vine__machine_pause(machine), -ESRCH);
    assert_int_equal(vine__machine_stop(machine), 0);
    expect_end(machine, VINE__END_KILLED, "");
    vine__machine_close(machine);
    drop(&kept);
}

static void one_that_does_not_say_whether_it_runs_is_killed(void **state)
{
    struct vine__machine *const machine = renew(begin("lies", DEFAULTS), "lies");

    (void)state;
    expect_end(machine, VINE__END_CRASH, "does not say whether its guest runs");
    vine__machine_close(machine);
}

/* ---- its console ----------------------------------------------------------------------------- */

static void a_console_is_found_again(void **state)
{
    struct vine__machine_description description = describe("good");
    const struct vine__machine_options options = {0};
    char link[128], path[32], target[64] = "";
    char why[256];

    (void)state;
    (void)snprintf(link, sizeof(link), "%s/console", folder);
    description.console = VINE__CONSOLE_PTY;
    description.console_link = link;
    struct vine__machine *machine = make_of(&description, options);

    start(machine);
    (void)expect(machine, VINE__MACHINE_STARTED);
    (void)snprintf(path, sizeof(path), "%s", vine__machine_console_path(machine));
    struct kept kept = keep(machine);

    vine__machine_release(machine);
    assert_true(readlink(link, target, sizeof(target)) > 0);
    assert_string_equal(target, path);
    assert_int_equal(unlink(link), 0);
    machine = make_of(&description, options);
    assert_int_equal(vine__machine_adopt(machine, &kept.identity, kept.pages, why, sizeof(why)), 0);
    (void)expect(machine, VINE__MACHINE_STARTED);
    assert_string_equal(vine__machine_console_path(machine), path);
    assert_string_equal(vine__machine_console_link(machine), link);
    assert_int_equal(readlink(link, target, sizeof(target)), strlen(path));

    /* The link of one that has vanished goes. */
    kill(vine__machine_pid(machine), SIGKILL);
    vine__machine_release(machine);
    assert_int_equal(readlink(link, target, sizeof(target)), strlen(path));
    machine = make_of(&description, options);
    assert_int_equal(vine__machine_adopt(machine, &kept.identity, kept.pages, why, sizeof(why)), 0);
    (void)expect(machine, VINE__MACHINE_ENDED);
    assert_int_equal(readlink(link, target, sizeof(target)), -1);
    vine__machine_close(machine);
    drop(&kept);
}

/* Which a chatty guest has made long while nobody looked, whether it runs still or not. */
static void a_log_is_brought_to_its_limit_again(void **state)
{
    struct vine__machine_description description = describe("good");
    const struct vine__machine_options options = {.log_check_ns = 3600 * VINE_NS_PER_SECOND};
    char log[128], why[256];
    struct stat status;

    (void)state;
    (void)snprintf(log, sizeof(log), "%s/chatty.log", folder);
    description.console = VINE__CONSOLE_PTY;
    description.console_log = log;
    description.console_log_bytes = 65536;
    struct vine__machine *machine = make_of(&description, options);

    start(machine);
    (void)expect(machine, VINE__MACHINE_STARTED);
    const struct kept kept = keep(machine);

    for (int round = 0; round < 2; round++) {
        if (round == 1)
            kill(vine__machine_pid(machine), SIGKILL);
        vine__machine_release(machine);
        assert_int_equal(truncate(log, 1 << 20), 0);
        machine = make_of(&description, options);
        assert_int_equal(vine__machine_adopt(machine, &kept.identity, kept.pages, why, sizeof(why)),
                         0);
        (void)expect(machine, round == 0 ? VINE__MACHINE_STARTED : VINE__MACHINE_ENDED);
        assert_int_equal(stat(log, &status), 0);
        assert_true(status.st_size <= 65536);
    }
    vine__machine_close(machine);
    drop(&kept);
}

/* ---- links ----------------------------------------------------------------------------------- */

struct couple {
    struct vine__machine *machines[2];
    struct vine__machine_link *link;
};

/* The application has the link from its start, the appliance gets it while it runs. */
static struct couple begin_couple(void)
{
    struct couple couple = {.machines = {make("good", DEFAULTS), make("second", DEFAULTS)},
                            .link = make_link("pair")};
    uint32_t place;

    vine__machine_link_set_channels(couple.link, 5);
    assert_int_equal(
        vine__machine_link_attach(couple.link, APPLICATION, couple.machines[0], 1, &place), 0);
    for (int i = 0; i < 2; i++) {
        start(couple.machines[i]);
        (void)expect(couple.machines[i], VINE__MACHINE_STARTED);
    }
    assert_int_equal(
        vine__machine_link_attach(couple.link, APPLIANCE, couple.machines[1], 0, &place), 0);
    (void)expect(couple.machines[1], VINE__MACHINE_PLUGGED);
    vine__machine_set_doorbell(couple.machines[0], 3);
    vine__machine_set_doorbell(couple.machines[1], 4);
    return couple;
}

static void close_couple(struct couple *couple)
{
    vine__machine_link_close(couple->link);
    vine__machine_close(couple->machines[0]);
    vine__machine_close(couple->machines[1]);
}

/* Release both, and the link, and find all of them; the appliance may end meanwhile. */
static void renew_couple(struct couple *couple, bool appliance_ends)
{
    static const char *const names[2] = {"good", "second"};
    const struct kept kept[2] = {keep(couple->machines[0]), keep(couple->machines[1])};
    const pid_t pid = vine__machine_pid(couple->machines[1]);
    uint32_t place;

    for (int i = 0; i < 2; i++)
        vine__machine_release(couple->machines[i]);
    if (appliance_ends) {
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
    }
    couple->link = renew_link(couple->link);
    for (uint32_t i = 0; i < 2; i++) {
        couple->machines[i] = adopt(names[i], &kept[i], DEFAULTS);
        assert_int_equal(vine__machine_link_attach(couple->link, (enum vine_status_end)i,
                                                   couple->machines[i], ANY, &place),
                         0);
        assert_int_equal(place, 1 - i);
        drop(&kept[i]);
    }
}

static void links_are_entered_again_and_no_guest_sees_a_change(void **state)
{
    struct couple couple = begin_couple();
    struct vine_status_link before[2];
    uint32_t place;

    (void)state;
    for (uint32_t i = 0; i < 2; i++)
        before[i] = couple.machines[i]->status.page->links[1 - i];
    for (int round = 0; round < 3; round++) {
        renew_couple(&couple, false);
        for (uint32_t i = 0; i < 2; i++) {
            const struct vine_status_link *const now =
                &couple.machines[i]->status.page->links[1 - i];

            (void)expect(couple.machines[i], VINE__MACHINE_STARTED);
            assert_int_equal(now->sequence % 2, 0);
            assert_true(now->sequence > before[i].sequence);
            before[i].sequence = now->sequence;
            assert_memory_equal(now, &before[i], sizeof(*now));
        }
    }
    /* What comes is told as ever. */
    assert_int_equal(vine__machine_pause(couple.machines[1]), 0);
    (void)expect(couple.machines[1], VINE__MACHINE_PAUSES);
    assert_int_equal(couple.machines[0]->status.page->links[1].sides[APPLIANCE].state,
                     VINE_STATUS_PAUSED);
    vine__machine_link_detach(couple.link, APPLIANCE);
    assert_int_equal(expect(couple.machines[1], VINE__MACHINE_UNPLUGGED).place, 0);
    assert_int_equal(couple.machines[0]->status.page->links[1].sides[APPLIANCE].state,
                     VINE_STATUS_LOST);
    /* Another generation is one. */
    assert_int_equal(
        vine__machine_link_attach(couple.link, APPLIANCE, couple.machines[1], 0, &place), 0);
    (void)expect(couple.machines[1], VINE__MACHINE_PLUGGED);
    assert_int_equal(couple.machines[0]->status.page->links[1].sides[APPLIANCE].generation,
                     before[0].sides[APPLIANCE].generation + 1);
    assert_int_equal(couple.machines[1]->status.page->links[0].generation,
                     before[1].generation + 1);
    assert_int_equal(couple.machines[1]->status.page->links[0].channels, 5);
    close_couple(&couple);
}

static void the_other_end_hears_of_one_that_has_vanished(void **state)
{
    struct couple couple = begin_couple();
    const uint64_t generation =
        couple.machines[0]->status.page->links[1].sides[APPLIANCE].generation;

    (void)state;
    renew_couple(&couple, true);
    (void)expect(couple.machines[0], VINE__MACHINE_STARTED);
    expect_end(couple.machines[1], VINE__END_VANISHED, "");
    const struct vine_status_side *const side =
        &couple.machines[0]->status.page->links[1].sides[APPLIANCE];

    assert_int_equal(side->state, VINE_STATUS_LOST);
    assert_int_equal(side->reason, VINE_STATUS_REASON_CRASH);
    assert_int_equal(side->generation, generation);
    start(couple.machines[1]);
    (void)expect(couple.machines[1], VINE__MACHINE_STARTED);
    assert_int_equal(side->state, VINE_STATUS_ATTACHED);
    assert_int_equal(side->generation, generation + 1);
    close_couple(&couple);
}

static void links_that_nobody_enters_are_unplugged(void **state)
{
    struct couple couple = begin_couple();
    uint32_t place;

    (void)state;
    for (int i = 0; i < 2; i++)
        couple.machines[i] = renew(couple.machines[i], i == 0 ? "good" : "second");
    for (int i = 0; i < 2; i++) {
        (void)expect(couple.machines[i], VINE__MACHINE_STARTED);
        assert_int_equal(couple.machines[i]->status.page->links[1 - i].is_plugged, 0);
        assert_int_equal(expect(couple.machines[i], VINE__MACHINE_UNPLUGGED).place, 1 - i);
    }
    /* The place is free then. */
    vine__machine_link_close(couple.link);
    couple.link = make_link("other");
    assert_int_equal(
        vine__machine_link_attach(couple.link, APPLICATION, couple.machines[0], 1, &place), 0);
    (void)expect(couple.machines[0], VINE__MACHINE_PLUGGED);
    close_couple(&couple);
}

static void what_was_half_plugged_is_taken_back(void **state)
{
    for (int steps = 0; steps < 5; steps++) {
        struct vine__machine *machine = begin("good", DEFAULTS);
        struct vine__machine_link *link = make_link("hot");
        struct vine__machine_event event;
        uint32_t place;

        (void)state;
        assert_int_equal(vine__machine_link_attach(link, APPLIANCE, machine, 0, &place), 0);
        /* Some of the answers have been heard. */
        for (int i = 0; i < steps && machine->event_count == 0; i++) {
            (void)poll(&(struct pollfd){.fd = vine__machine_fd(machine), .events = POLLIN}, 1, -1);
            vine__machine_process(machine);
        }
        if (vine__machine_next_event(machine, &event)) {
            vine__machine_close(machine);
            vine__machine_link_close(link);
            continue; /* it was quick */
        }
        machine = renew(machine, "good");
        link = renew_link(link);
        assert_int_equal(vine__machine_link_attach(link, APPLIANCE, machine, 0, &place), -ENOENT);
        (void)expect(machine, VINE__MACHINE_STARTED);
        for (;;) {
            const int error = vine__machine_link_attach(link, APPLIANCE, machine, 0, &place);

            if (error == 0)
                break;
            assert_int_equal(error, -EBUSY); /* it is on its way out */
            (void)expect(machine, VINE__MACHINE_UNPLUGGED);
        }
        (void)expect(machine, VINE__MACHINE_PLUGGED);
        vine__machine_close(machine);
        vine__machine_link_close(link);
    }
}

/* Its description may say something else by now: what it was started with holds. */
static void one_has_as_many_places_as_it_was_started_with(void **state)
{
    static const uint32_t numbers[] = {0, 1, 2, VINE_STATUS_LINKS_MAX};
    struct vine__machine *machine = begin("good", DEFAULTS);
    const struct kept kept = keep(machine);
    char why[256] = "";

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct vine__machine_description description = describe("good");
        struct vine__machine_link *links[3];
        uint32_t place;

        description.links_max = numbers[i];
        vine__machine_release(machine);
        machine = make_of(&description, DEFAULTS);
        assert_int_equal(vine__machine_adopt(machine, &kept.identity, kept.pages, why, sizeof(why)),
                         0);
        (void)expect(machine, VINE__MACHINE_STARTED);
        for (int link = 0; link < 3; link++)
            links[link] = make_link("more");
        /* One at a time: so is it with this QEMU. */
        for (uint32_t wanted = 0; wanted < 2; wanted++) {
            assert_int_equal(
                vine__machine_link_attach(links[wanted], APPLIANCE, machine, wanted, &place), 0);
            (void)expect(machine, VINE__MACHINE_PLUGGED);
            vine__machine_link_detach(links[wanted], APPLIANCE);
            (void)expect(machine, VINE__MACHINE_UNPLUGGED);
        }
        assert_int_equal(vine__machine_link_attach(links[2], APPLIANCE, machine, 2, &place),
                         -EINVAL);
        for (int link = 0; link < 3; link++)
            vine__machine_link_close(links[link]);
    }
    vine__machine_close(machine);
    drop(&kept);
}

static void other_memories_are_refused(void **state)
{
    struct vine__machine *machine = begin("good", DEFAULTS);
    struct vine__machine_link *const link = make_link("l");
    struct vine__machine_link *other;
    struct kept kept = keep(machine);
    char why[256] = "";

    (void)state;
    vine__machine_release(machine);
    machine = make("good", DEFAULTS);
    const int swapped[2] = {kept.pages[1], kept.pages[0]};
    const int mixed[2] = {kept.pages[0], vine__machine_link_fd(link, 0)};

    assert_int_equal(vine__machine_adopt(machine, &kept.identity, swapped, why, sizeof(why)),
                     -EINVAL);
    assert_int_equal(vine__machine_adopt(machine, &kept.identity, mixed, why, sizeof(why)),
                     -EINVAL);
    kept.identity.links_max = 3;
    assert_int_equal(vine__machine_adopt(machine, &kept.identity, kept.pages, why, sizeof(why)),
                     -EINVAL);
    assert_non_null(strstr(why, "books"));
    assert_int_equal(vine__machine_link_adopt("l", (const uint64_t[2]){4096, MIB},
                                              (const int[2]){kept.pages[0], kept.pages[1]}, &other),
                     -EINVAL);
    assert_int_equal(vine__machine_link_adopt("l", (const uint64_t[2]){4096, MIB},
                                              (const int[2]){-1, -1}, &other),
                     -EINVAL);
    kept.identity.links_max = 2;
    assert_int_equal(vine__machine_adopt(machine, &kept.identity, NULL, why, sizeof(why)), 0);
    assert_int_equal(vine__machine_adopt(machine, &kept.identity, NULL, why, sizeof(why)), -EBUSY);
    vine__machine_close(machine);
    vine__machine_link_close(link);
    drop(&kept);
}

static ino_t inode_of(int fd)
{
    struct stat status;

    assert_int_equal(fstat(fd, &status), 0);
    return status.st_ino;
}

/* Nobody has kept anything: its page is still in its QEMU. */
static void one_whose_pages_are_lost_is_given_its_links_anew(void **state)
{
    struct couple couple = begin_couple();
    uint64_t generations[2];
    uint32_t place;

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct kept kept = keep(couple.machines[i]);
        char why[256] = "";

        generations[i] = couple.machines[i]->status.page->links[1 - i].generation;
        vine__machine_release(couple.machines[i]);
        couple.machines[i] = make(i == 0 ? "good" : "second", DEFAULTS);
        assert_int_equal(
            vine__machine_adopt(couple.machines[i], &kept.identity, NULL, why, sizeof(why)), 0);
        assert_true(inode_of(couple.machines[i]->status.fd) == inode_of(kept.pages[0]));
        drop(&kept);
    }
    vine__machine_link_close(couple.link);
    couple.link = make_link("other");
    for (int i = 0; i < 2; i++) {
        const struct vine_status_page *const page = couple.machines[i]->status.page;

        assert_int_equal(page->links[1 - i].is_plugged, 0);
        (void)expect(couple.machines[i], VINE__MACHINE_STARTED);
        assert_int_equal(expect(couple.machines[i], VINE__MACHINE_UNPLUGGED).place, 1 - i);
        assert_int_equal(vine__machine_link_attach(couple.link, (enum vine_status_end)i,
                                                   couple.machines[i], (uint32_t)(1 - i), &place),
                         0);
        (void)expect(couple.machines[i], VINE__MACHINE_PLUGGED);
        /* It is seen to be another one. */
        assert_int_equal(page->links[1 - i].is_plugged, 1);
        assert_int_equal(page->links[1 - i].generation, generations[i] + 1);
        assert_int_equal(page->links[1 - i].sequence % 2, 0);
    }
    close_couple(&couple);
}

/* Where all places have something on its way out, one will be free. */
static void who_waits_for_a_place_is_told_so(void **state)
{
    struct vine__machine *machine = make("good", DEFAULTS);
    struct vine__machine_link *links[3] = {make_link("one"), make_link("two"), make_link("next")};
    char why[256] = "";
    uint32_t place;

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(vine__machine_link_attach(links[i], APPLIANCE, machine, ANY, &place), 0);
    assert_int_equal(vine__machine_link_attach(links[2], APPLIANCE, machine, ANY, &place), -ENOSPC);
    start(machine);
    (void)expect(machine, VINE__MACHINE_STARTED);
    const struct kept kept = keep(machine);

    vine__machine_release(machine);
    machine = make("good", DEFAULTS);
    assert_int_equal(vine__machine_adopt(machine, &kept.identity, NULL, why, sizeof(why)), 0);
    (void)expect(machine, VINE__MACHINE_STARTED);
    for (int i = 0; i < 2; i++) {
        const int error = vine__machine_link_attach(links[2], APPLIANCE, machine, ANY, &place);

        if (error == 0)
            break;
        assert_int_equal(error, -EAGAIN);
        (void)expect(machine, VINE__MACHINE_UNPLUGGED);
    }
    vine__machine_close(machine);
    for (int i = 0; i < 3; i++)
        vine__machine_link_close(links[i]);
    drop(&kept);
}

/* ---- identities ------------------------------------------------------------------------------ */

static void an_identity_can_be_written_down(void **state)
{
    static const char *const bad[] = {
        "[]",
        "{}",
        "{\"pid\": 0, \"start_ticks\": 1, \"scope\": 1, \"qmp\": \"/q\", \"console\": \"\", "
        "\"links_max\": 0, \"link_bytes_max\": 0}",
        "{\"pid\": 1, \"start_ticks\": 1, \"scope\": 1, \"qmp\": \"/q\", "
        "\"console\": \"/dev/pts/123456789012345\", \"links_max\": 0, \"link_bytes_max\": 0}",
        "{\"pid\": 1, \"start_ticks\": 1, \"scope\": 1, \"qmp\": \"/q\", \"console\": \"\", "
        "\"links_max\": 33, \"link_bytes_max\": 4096}",
        "{\"pid\": 1, \"start_ticks\": 1, \"scope\": 1, \"qmp\": \"/q\", \"console\": \"\", "
        "\"links_max\": 1, \"link_bytes_max\": 4097}",
        "{\"pid\": 1, \"start_ticks\": 1, \"scope\": 1, \"qmp\": \"/q\", \"console\": \"\", "
        "\"links_max\": 0, \"link_bytes_max\": 0, \"more\": 1}",
    };
    struct vine__machine *const machine = begin("good", DEFAULTS);
    struct vine__machine_identity identity, loaded;
    char why[256];

    (void)state;
    memset(&identity, 0, sizeof(identity));
    memset(&loaded, 0, sizeof(loaded));
    assert_int_equal(vine__machine_identify(machine, &identity), 0);
    identity.scope |= UINT64_C(1) << 63;
    json_t *const object = vine__machine_identity_save(&identity);

    assert_int_equal(vine__machine_identity_load(object, &loaded, why, sizeof(why)), 0);
    assert_int_equal(loaded.pid, identity.pid);
    assert_true(loaded.start_ticks == identity.start_ticks && loaded.scope == identity.scope);
    assert_string_equal(loaded.qmp_path, identity.qmp_path);
    assert_string_equal(loaded.console_path, identity.console_path);
    assert_int_equal(loaded.links_max, 2);
    assert_int_equal(loaded.link_bytes_max, MIB);
    json_decref(object);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        json_t *const wrong = json_loads(bad[i], 0, NULL);

        assert_non_null(wrong);
        assert_int_equal(vine__machine_identity_load(wrong, &loaded, why, sizeof(why)), -EINVAL);
        assert_non_null(strstr(why, "identity"));
        json_decref(wrong);
    }
    vine__machine_close(machine);
    vine__machine_release(NULL);
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "-name") == 0)
        fake_qemu(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_was_let_go_of_is_found_as_it_was),
        cmocka_unit_test(one_that_was_not_let_go_yet_is_started),
        cmocka_unit_test(how_an_adopted_one_ends_is_what_it_said_last),
        cmocka_unit_test(one_that_has_ended_meanwhile_has_vanished),
        cmocka_unit_test(another_process_of_that_number_is_left_alone),
        cmocka_unit_test(one_whom_another_controls_is_waited_for),
        cmocka_unit_test(one_whose_control_socket_is_gone_can_be_killed),
        cmocka_unit_test(one_that_does_not_say_whether_it_runs_is_killed),
        cmocka_unit_test(a_console_is_found_again),
        cmocka_unit_test(a_log_is_brought_to_its_limit_again),
        cmocka_unit_test(links_are_entered_again_and_no_guest_sees_a_change),
        cmocka_unit_test(the_other_end_hears_of_one_that_has_vanished),
        cmocka_unit_test(links_that_nobody_enters_are_unplugged),
        cmocka_unit_test(what_was_half_plugged_is_taken_back),
        cmocka_unit_test(one_has_as_many_places_as_it_was_started_with),
        cmocka_unit_test(other_memories_are_refused),
        cmocka_unit_test(one_whose_pages_are_lost_is_given_its_links_anew),
        cmocka_unit_test(who_waits_for_a_place_is_told_so),
        cmocka_unit_test(an_identity_can_be_written_down),
    };

    if (folder_make(folder) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
