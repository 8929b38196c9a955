/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine */
/*
 * The life of machines whose QEMU is the test's own program (fake_qemu.h): how they end, and what
 * the pages of those linked with them say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/stat.h>

#include "fake_qemu.h"
#include "machine_world.h"
#include "vmm/engine/machine_internal.h"

/* ---- ends ------------------------------------------------------------------------------------ */

static void one_that_ends_at_once_says_why(void **state)
{
    struct vine__machine *const machine = make("exits", DEFAULTS);

    (void)state;
    start(machine);
    /* And nothing that a terminal takes for a command, or that is no character. */
    expect_end(machine, VINE__END_UNSTARTED, "exit code 1: no such?processor???");
    vine__machine_close(machine);
}

static void one_that_cannot_be_run_is_not_started(void **state)
{
    const struct vine__machine_description description = {
        .name = "m",
        .qemu = "/nowhere/qemu",
        .memory_bytes = 128 * MIB,
        .cpu_count = 1,
        .kernel = "/k",
    };
    const struct vine__machine_options options = {.folder = folder};
    struct vine__machine *machine;
    char why[256] = "";

    (void)state;
    assert_int_equal(vine__machine_create(&description, &options, &machine, why, sizeof(why)), 0);
    assert_int_equal(vine__machine_start(machine, why, sizeof(why)), -ENOENT);
    assert_non_null(strstr(why, "/nowhere/qemu"));
    assert_int_equal(vine__machine_state_of(machine), VINE__MACHINE_OFF);
    vine__machine_close(machine);
}

static void one_that_does_not_greet_is_killed(void **state)
{
    struct vine__machine *const machine =
        make("silent", (struct vine__machine_options){.start_timeout_ns = SHORT_NS});

    (void)state;
    start(machine);
    expect_end(machine, VINE__END_UNSTARTED, "no answer; it was killed");
    vine__machine_close(machine);
}

static void one_that_talks_nonsense_is_killed(void **state)
{
    struct vine__machine *machine = make("garbled", DEFAULTS);

    (void)state;
    start(machine);
    expect_end(machine, VINE__END_UNSTARTED, "broke the protocol; it was killed");
    vine__machine_close(machine);
    machine = begin("late", DEFAULTS);
    expect_end(machine, VINE__END_CRASH, "broke the protocol; it was killed");
    vine__machine_close(machine);
}

static void one_that_closes_its_control_socket_and_goes_on_is_killed(void **state)
{
    struct vine__machine *const machine =
        begin("closer", (struct vine__machine_options){.quit_timeout_ns = SHORT_NS});

    (void)state;
    expect_end(machine, VINE__END_CRASH, "closed its control socket");
    vine__machine_close(machine);
}

static void a_crash_is_told_with_its_signal(void **state)
{
    struct vine__machine *const machine = begin("crashes", DEFAULTS);

    (void)state;
    expect_end(machine, VINE__END_CRASH, "signal 9");
    vine__machine_close(machine);
}

static void a_panic_is_no_shutdown(void **state)
{
    struct vine__machine *const machine = begin("panics", DEFAULTS);

    (void)state;
    expect_end(machine, VINE__END_PANIC, "panicked");
    vine__machine_close(machine);
}

static void the_ladder_goes_from_button_to_quit_to_kill(void **state)
{
    /* Short is what passes in any case. */
    struct vine__machine_options options = {.button_timeout_ns = GUARD_NS,
                                            .quit_timeout_ns = GUARD_NS};
    struct vine__machine *machine = begin("good", options);

    (void)state;
    assert_int_equal(vine__machine_stop(machine), 0);
    (void)expect(machine, VINE__MACHINE_BUTTON);
    expect_end(machine, VINE__END_STOPPED, "as it was told");
    assert_int_equal(vine__machine_stop(machine), -ESRCH);
    vine__machine_close(machine);

    options.button_timeout_ns = SHORT_NS;
    machine = begin("deaf", options);
    assert_int_equal(vine__machine_stop(machine), 0);
    (void)expect(machine, VINE__MACHINE_BUTTON);
    expect_end(machine, VINE__END_QUIT, "");
    vine__machine_close(machine);

    options.quit_timeout_ns = SHORT_NS;
    machine = begin("stuck", options);
    assert_int_equal(vine__machine_stop(machine), 0);
    expect_end(machine, VINE__END_KILLED, "");
    vine__machine_close(machine);
}

static void one_that_is_not_up_yet_can_be_stopped(void **state)
{
    struct vine__machine *machine =
        make("silent", (struct vine__machine_options){.quit_timeout_ns = SHORT_NS});

    (void)state;
    start(machine);
    assert_int_equal(vine__machine_state_of(machine), VINE__MACHINE_STARTING);
    assert_int_equal(vine__machine_pause(machine), -ESRCH);
    assert_int_equal(vine__machine_stop(machine), 0);
    expect_end(machine, VINE__END_KILLED, "");
    vine__machine_close(machine);
}

static void closing_kills_and_leaves_nothing(void **state)
{
    struct vine__machine *const machine = begin("stuck", DEFAULTS);
    const pid_t pid = vine__machine_pid(machine);
    char path[128];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/stuck.qmp", folder);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(getpgid(pid), pid);
    vine__machine_close(machine);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(access(path, F_OK), -1);
}

static void nothing_is_inherited_that_is_not_its_own(void **state)
{
    const int stray = dup(0); /* that somebody has left open for every child */
    struct vine__machine *const machine = begin("leaks", DEFAULTS);

    (void)state;
    assert_int_equal(close(stray), 0);
    assert_int_equal(vine__machine_kill(machine), 0);
    expect_end(machine, VINE__END_KILLED, "");
    vine__machine_close(machine);
}

/* And a QEMU keeps it, whatever became of who has started it. */
static void a_disk_that_may_be_written_is_one_machines_at_a_time(void **state)
{
    char path[128], why[256] = "";
    struct vine__machine_disk disk = {.path = path};
    struct vine__machine_description description = describe("stuck");
    struct vine__machine *first, *second;
    int fd;

    (void)state;
    description.disks = &disk;
    description.disk_count = 1;
    (void)snprintf(path, sizeof(path), "%s/disk", folder);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 4096), 0);
    assert_int_equal(close(fd), 0);
    first = make_of(&description, DEFAULTS);
    start(first);
    (void)expect(first, VINE__MACHINE_STARTED);
    description.name = "silent";
    second = make_of(&description, DEFAULTS);
    assert_int_equal(vine__machine_start(second, why, sizeof(why)), -EBUSY);
    assert_non_null(strstr(why, path));
    vine__machine_close(second);
    disk.is_read_only = true;
    second = make_of(&description, DEFAULTS);
    start(second);
    vine__machine_close(second);
    disk.is_read_only = false;
    assert_int_equal(vine__machine_kill(first), 0);
    expect_end(first, VINE__END_KILLED, "");
    vine__machine_close(first);
    second = make_of(&description, DEFAULTS);
    start(second);
    vine__machine_close(second);
}

static void a_doorbell_is_handed_over_for_one_start(void **state)
{
    const struct vine__machine_description description = {
        .name = "leaks",
        .qemu = "/proc/self/exe",
        .memory_bytes = 128 * MIB,
        .cpu_count = 1,
        .kernel = "/none",
        .doorbell_vectors = 2,
    };
    const struct vine__machine_options options = {.folder = folder};
    struct vine__machine *machine;
    char why[256] = "";
    char byte;
    int ends[2];

    (void)state;
    assert_int_equal(vine__machine_create(&description, &options, &machine, why, sizeof(why)), 0);
    assert_int_equal(vine__machine_start(machine, why, sizeof(why)), -ENOTCONN);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    vine__machine_give_doorbell(machine, ends[1]);
    start(machine);
    (void)expect(machine, VINE__MACHINE_STARTED);
    assert_int_equal(vine__machine_kill(machine), 0);
    expect_end(machine, VINE__END_KILLED, "");
    /* Nobody holds it any more. */
    assert_int_equal(read(ends[0], &byte, 1), 0);
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(vine__machine_start(machine, why, sizeof(why)), -ENOTCONN);
    vine__machine_close(machine);
}

static void one_that_is_told_to_starts_paused(void **state)
{
    struct vine__machine *const machine =
        begin("good", (struct vine__machine_options){.starts_paused = true});

    (void)state;
    assert_int_equal(vine__machine_state_of(machine), VINE__MACHINE_PAUSED);
    assert_int_equal(vine__machine_resume(machine), 0);
    (void)expect(machine, VINE__MACHINE_RESUMES);
    assert_int_equal(vine__machine_state_of(machine), VINE__MACHINE_RUNNING);
    assert_int_equal(vine__machine_quit(machine), 0);
    expect_end(machine, VINE__END_QUIT, "");
    vine__machine_close(machine);
}

static void one_that_stands_still_goes_on_to_hear_the_button(void **state)
{
    struct vine__machine *const machine = begin("good", DEFAULTS);

    (void)state;
    assert_int_equal(vine__machine_pause(machine), 0);
    (void)expect(machine, VINE__MACHINE_PAUSES);
    assert_int_equal(vine__machine_stop(machine), 0);
    (void)expect(machine, VINE__MACHINE_RESUMES);
    (void)expect(machine, VINE__MACHINE_BUTTON);
    expect_end(machine, VINE__END_STOPPED, "");
    vine__machine_close(machine);
}

/* QEMU has been told to, and has not said so yet. */
static void one_that_is_about_to_stand_still_hears_the_button_too(void **state)
{
    struct vine__machine *const machine = begin("good", DEFAULTS);
    struct vine__machine_event event;

    (void)state;
    assert_int_equal(vine__machine_pause(machine), 0);
    assert_int_equal(vine__machine_stop(machine), 0);
    do
        assert_int_equal(vine__machine_wait_event(machine, GUARD_NS, &event), 0);
    while (event.kind != VINE__MACHINE_ENDED);
    assert_int_equal(vine__machine_ended_by(machine), VINE__END_STOPPED);
    vine__machine_close(machine);
}

/* ---- links ----------------------------------------------------------------------------------- */

static struct vine__machine_link *make_link(const char *name)
{
    struct vine__machine_link *link;

    assert_int_equal(vine__machine_link_create(name, (const uint64_t[2]){4096, MIB}, &link), 0);
    return link;
}

static const struct vine_status_link *entry(const struct vine__machine *machine, uint32_t place)
{
    return &machine->status.page->links[place];
}

static void expect_side(const struct vine_status_link *entry, enum vine_status_end end,
                        uint32_t state, uint32_t reason, uint64_t generation)
{
    assert_int_equal(entry->is_plugged, 1);
    assert_int_equal(entry->sides[end].state, state);
    assert_int_equal(entry->sides[end].reason, reason);
    assert_int_equal(entry->sides[end].generation, generation);
}

#define APPLICATION VINE_STATUS_APPLICATION
#define APPLIANCE   VINE_STATUS_APPLIANCE

/* Two machines with one link: the application's in place 0, the appliance's in place 1. */
struct couple {
    struct vine__machine *machines[2];
    struct vine__machine_link *link;
};

static struct couple make_couple(const char *application, const char *appliance)
{
    struct couple couple = {.machines = {make(application, DEFAULTS), make(appliance, DEFAULTS)},
                            .link = make_link("pair")};
    uint32_t place;

    assert_int_equal(vine__machine_link_attach(couple.link, APPLICATION, couple.machines[0],
                                               VINE__MACHINE_LINK_ANY_PLACE, &place),
                     0);
    assert_int_equal(place, 0);
    assert_int_equal(
        vine__machine_link_attach(couple.link, APPLIANCE, couple.machines[1], 1, &place), 0);
    return couple;
}

static void close_couple(struct couple *couple)
{
    vine__machine_link_close(couple->link);
    vine__machine_close(couple->machines[0]);
    vine__machine_close(couple->machines[1]);
}

static void both_pages_tell_how_either_side_is(void **state)
{
    struct couple couple = make_couple("good", "keeps");
    const struct vine_status_link *const pages[2] = {entry(couple.machines[0], 0),
                                                     entry(couple.machines[1], 1)};

    (void)state;
    assert_int_equal(pages[0]->end, APPLICATION);
    assert_int_equal(pages[1]->end, APPLIANCE);
    start(couple.machines[0]);
    (void)expect(couple.machines[0], VINE__MACHINE_STARTED);
    for (int i = 0; i < 2; i++) {
        expect_side(pages[i], APPLICATION, VINE_STATUS_ATTACHED, 0, 1);
        expect_side(pages[i], APPLIANCE, VINE_STATUS_ABSENT, 0, 0);
    }
    start(couple.machines[1]);
    (void)expect(couple.machines[1], VINE__MACHINE_STARTED);
    assert_int_equal(vine__machine_pause(couple.machines[1]), 0);
    (void)expect(couple.machines[1], VINE__MACHINE_PAUSES);
    for (int i = 0; i < 2; i++)
        expect_side(pages[i], APPLIANCE, VINE_STATUS_PAUSED, 0, 1);
    assert_int_equal(vine__machine_resume(couple.machines[1]), 0);
    (void)expect(couple.machines[1], VINE__MACHINE_RESUMES);
    vine__machine_set_doorbell(couple.machines[1], 4);
    for (int i = 0; i < 2; i++) {
        expect_side(pages[i], APPLIANCE, VINE_STATUS_ATTACHED, 0, 1);
        assert_int_equal(pages[i]->sides[APPLIANCE].doorbell_peer, 4);
        assert_int_equal(pages[i]->sides[APPLIANCE].doorbell_vector, VINE_STATUS_VECTOR_LINK(1));
    }
    assert_int_equal(couple.machines[1]->status.page->doorbell_peer, 4);

    /* It ends, and comes back: another generation. */
    assert_int_equal(kill(vine__machine_pid(couple.machines[1]), SIGKILL), 0);
    expect_end(couple.machines[1], VINE__END_CRASH, "signal 9");
    expect_side(pages[0], APPLIANCE, VINE_STATUS_LOST, VINE_STATUS_REASON_CRASH, 1);
    start(couple.machines[1]);
    (void)expect(couple.machines[1], VINE__MACHINE_STARTED);
    expect_side(pages[0], APPLIANCE, VINE_STATUS_ATTACHED, 0, 2);
    assert_int_equal(vine__machine_stop(couple.machines[1]), 0);
    (void)expect(couple.machines[1], VINE__MACHINE_BUTTON);
    expect_end(couple.machines[1], VINE__END_STOPPED, "");
    expect_side(pages[0], APPLIANCE, VINE_STATUS_LOST, VINE_STATUS_REASON_SHUTDOWN, 2);
    close_couple(&couple);
}

static void a_reset_is_a_loss_and_another_generation(void **state)
{
    struct couple couple = make_couple("good", "resets");
    const struct vine_status_link *const page = entry(couple.machines[0], 0);
    struct vine__machine_event event;

    (void)state;
    start(couple.machines[1]);
    (void)expect(couple.machines[1], VINE__MACHINE_STARTED);
    assert_int_equal(vine__machine_wait_event(couple.machines[1], GUARD_NS, &event), 0);
    assert_int_equal(event.kind, VINE__MACHINE_RESETS);
    assert_int_equal(page->sides[APPLIANCE].generation, 2);
    expect_end(couple.machines[1], VINE__END_RESET, "");
    expect_side(page, APPLIANCE, VINE_STATUS_LOST, VINE_STATUS_REASON_RESET, 2);
    close_couple(&couple);
}

static void a_link_is_plugged_and_unplugged_while_its_machine_runs(void **state)
{
    struct vine__machine *const machine = begin("good", DEFAULTS);
    struct vine__machine_link *const link = make_link("hot");
    uint32_t place;

    (void)state;
    assert_int_equal(vine__machine_link_attach_host(link, APPLICATION), 0);
    assert_int_equal(vine__machine_link_attach_host(link, APPLICATION), -EBUSY);
    for (uint64_t round = 1; round <= 3; round++) {
        assert_int_equal(vine__machine_link_attach(link, APPLIANCE, machine, 0, &place), 0);
        assert_int_equal(vine__machine_link_attach(link, APPLIANCE, machine,
                                                   VINE__MACHINE_LINK_ANY_PLACE, &place),
                         -EBUSY);
        assert_int_equal(entry(machine, 0)->is_plugged, 0);
        assert_int_equal(expect(machine, VINE__MACHINE_PLUGGED).place, 0);
        expect_side(entry(machine, 0), APPLICATION, VINE_STATUS_ATTACHED, 0, 1);
        expect_side(entry(machine, 0), APPLIANCE, VINE_STATUS_ATTACHED, 0, round);
        assert_int_equal(entry(machine, 0)->generation, round);
        vine__machine_link_detach(link, APPLIANCE);
        assert_int_equal(entry(machine, 0)->is_plugged, 0);
        assert_int_equal(vine__machine_link_side(link, APPLIANCE).reason,
                         VINE_STATUS_REASON_UNPLUGGED);
        assert_int_equal(vine__machine_link_attach(link, APPLIANCE, machine,
                                                   VINE__MACHINE_LINK_ANY_PLACE, &place),
                         -EBUSY);
        assert_int_equal(expect(machine, VINE__MACHINE_UNPLUGGED).place, 0);
    }
    vine__machine_close(machine);
    vine__machine_link_close(link);
}

static void what_cannot_be_plugged_leaves_nothing_behind(void **state)
{
    struct vine__machine *const machine = begin("refuses", DEFAULTS);
    struct vine__machine_link *const link = make_link("hot");
    struct vine__machine_event event;
    uint32_t place;

    (void)state;
    assert_int_equal(vine__machine_link_attach(link, APPLIANCE, machine, 1, &place), 0);
    event = expect(machine, VINE__MACHINE_REFUSED);
    assert_int_equal(event.place, 1);
    assert_non_null(strstr(event.text, "no room  "));
    /* By then the half that was there has gone too, and place and end are free. */
    assert_int_equal(vine__machine_link_attach(link, APPLIANCE, machine, 1, &place), 0);
    (void)expect(machine, VINE__MACHINE_REFUSED);
    assert_int_equal(entry(machine, 1)->is_plugged, 0);
    assert_int_equal(vine__machine_link_side(link, APPLIANCE).state, VINE_STATUS_ABSENT);
    vine__machine_link_close(link);
    vine__machine_close(machine);
}

static void a_guest_that_does_not_let_go_is_told_of(void **state)
{
    struct vine__machine *const machine =
        begin("keeps", (struct vine__machine_options){.unplug_timeout_ns = SHORT_NS});
    struct vine__machine_link *const link = make_link("hot");
    struct vine__machine_link *const other = make_link("other");
    uint32_t place;

    (void)state;
    assert_int_equal(vine__machine_link_attach(link, APPLIANCE, machine, 0, &place), 0);
    (void)expect(machine, VINE__MACHINE_PLUGGED);
    vine__machine_link_detach(link, APPLIANCE);
    assert_non_null(strstr(expect(machine, VINE__MACHINE_REFUSED).text, "does not come off"));
    /* It may be closed all the same; its place stays taken. */
    vine__machine_link_close(link);
    assert_int_equal(vine__machine_link_attach(other, APPLIANCE, machine, 0, &place), -EBUSY);
    assert_int_equal(
        vine__machine_link_attach(other, APPLIANCE, machine, VINE__MACHINE_LINK_ANY_PLACE, &place),
        0);
    assert_int_equal(place, 1);
    vine__machine_close(machine);
    vine__machine_link_close(other);
}

static void a_guest_that_takes_a_device_out_by_itself_has_lost_the_link(void **state)
{
    struct vine__machine *const machine = begin("ejects", DEFAULTS);
    struct vine__machine_link *const link = make_link("hot");
    uint32_t place;

    (void)state;
    for (int round = 0; round < 3; round++) {
        assert_int_equal(vine__machine_link_attach(link, APPLIANCE, machine, 0, &place), 0);
        (void)expect(machine, VINE__MACHINE_PLUGGED);
        (void)expect(machine, VINE__MACHINE_UNPLUGGED);
        assert_int_equal(entry(machine, 0)->is_plugged, 0);
        assert_int_equal(vine__machine_link_side(link, APPLIANCE).state, VINE_STATUS_LOST);
    }
    vine__machine_close(machine);
    vine__machine_link_close(link);
}

static void a_place_is_given_again_as_late_as_can_be(void **state)
{
    struct vine__machine *const machine = make("good", DEFAULTS);
    struct vine__machine_link *const link = make_link("any");
    uint32_t place;

    (void)state;
    for (uint32_t round = 0; round < 5; round++) {
        assert_int_equal(vine__machine_link_attach(link, APPLIANCE, machine,
                                                   VINE__MACHINE_LINK_ANY_PLACE, &place),
                         0);
        assert_int_equal(place, round % 2);
        vine__machine_link_detach(link, APPLIANCE);
    }
    vine__machine_close(machine);
    vine__machine_link_close(link);
}

static void a_link_that_is_taken_away_during_the_start_goes_when_it_can(void **state)
{
    struct vine__machine *const machine = make("good", DEFAULTS);
    struct vine__machine_link *const link = make_link("early");
    uint32_t place;

    (void)state;
    assert_int_equal(vine__machine_link_attach(link, APPLIANCE, machine, 0, &place), 0);
    start(machine);
    vine__machine_link_detach(link, APPLIANCE);
    (void)expect(machine, VINE__MACHINE_STARTED);
    (void)expect(machine, VINE__MACHINE_UNPLUGGED);
    vine__machine_close(machine);
    vine__machine_link_close(link);
}

static void places_and_sizes_have_limits(void **state)
{
    struct vine__machine *const machine = make("good", DEFAULTS);
    struct vine__machine_link *links[3];
    struct vine__machine_link *large;
    uint32_t place;

    (void)state;
    assert_int_equal(vine__machine_link_create("l", (const uint64_t[2]){4096, 4096 + 1}, &large),
                     -EINVAL);
    assert_int_equal(vine__machine_link_create("l l", (const uint64_t[2]){4096, 4096}, &large),
                     -EINVAL);
    assert_int_equal(vine__machine_link_create("l", (const uint64_t[2]){4096, 2 * MIB}, &large), 0);
    assert_int_equal(vine__machine_link_attach(large, APPLIANCE, machine, 0, &place), -E2BIG);
    for (int i = 0; i < 3; i++) {
        links[i] = make_link("l");
        assert_int_equal(vine__machine_link_attach(links[i], APPLIANCE, machine,
                                                   VINE__MACHINE_LINK_ANY_PLACE, &place),
                         i < 2 ? 0 : -ENOSPC);
    }
    assert_int_equal(vine__machine_link_attach(links[2], APPLIANCE, machine, 2, &place), -EINVAL);
    for (int i = 0; i < 3; i++)
        vine__machine_link_close(links[i]);
    vine__machine_link_close(large);
    vine__machine_close(machine);
}

/* ---- the probe ------------------------------------------------------------------------------- */

static enum vine__accelerator probe(const char *qemu_is, const char *device, bool asks_anew,
                                    char why[VINE__PROBE_TEXT_BYTES])
{
    const struct vine__machine_description description = {
        .name = "guest",
        .qemu = "/proc/self/exe",
        .memory_bytes = 128 * MIB,
        .cpu_count = 1,
        .kernel = "/proc/self/exe",
    };
    const struct vine__probe_options options = {
        .description = &description,
        .folder = folder,
        .device = device,
        /* Only who is stuck is not waited for. */
        .timeout_ns = strcmp(qemu_is, "stuck") == 0 ? SHORT_NS : GUARD_NS,
        .asks_anew = asks_anew,
    };

    (void)setenv("FAKE_PROBED", qemu_is, 1);
    return vine__probe_accelerator(&options, why);
}

static void kvm_is_believed_only_when_user_space_spoke(void **state)
{
    enum vine__accelerator accelerator;
    char why[VINE__PROBE_TEXT_BYTES];

    (void)state;
    assert_false(vine__probe_latest(folder, &accelerator, why));
    assert_int_equal(probe("boots", "/nowhere/kvm", false, why), VINE__ACCELERATOR_TCG);
    assert_non_null(strstr(why, "/nowhere/kvm cannot be opened"));
    /* Hangs, as where a guest does not boot: and that is remembered. */
    assert_int_equal(probe("stuck", "/dev/null", false, why), VINE__ACCELERATOR_TCG);
    assert_non_null(strstr(why, "nothing came of its user space"));
    assert_int_equal(probe("boots", "/dev/null", false, why), VINE__ACCELERATOR_TCG);
    assert_non_null(strstr(why, "nothing came of its user space"));
    assert_non_null(strstr(why, "remembered for 0 min"));
    /* Which whoever boots nothing sees too. */
    assert_true(vine__probe_latest(folder, &accelerator, why));
    assert_int_equal(accelerator, VINE__ACCELERATOR_TCG);
    assert_non_null(strstr(why, "remembered for 0 min"));
    /* Until somebody wants to know. */
    assert_int_equal(probe("boots", "/dev/null", true, why), VINE__ACCELERATOR_KVM);
    assert_non_null(strstr(why, "KVM boots this guest"));
    assert_int_equal(probe("exits", "/dev/null", false, why), VINE__ACCELERATOR_KVM);
    assert_int_equal(probe("exits", "/dev/null", true, why), VINE__ACCELERATOR_TCG);
    assert_non_null(strstr(why, "no such?processor"));
}

static void one_whose_user_cannot_come_to_its_kernel_is_refused(void **state)
{
    struct vine__machine_description description = describe("good");
    char path[64], why[256] = "";

    (void)state;
    if (geteuid() != 0) {
        print_message("skipped: only root can be another user\n");
        skip();
    }
    (void)snprintf(path, sizeof(path), "%s/kernel", folder);
    assert_int_equal(chmod(folder, 0700), 0);
    description.kernel = path;
    struct vine__machine *const machine =
        make_of(&description, (struct vine__machine_options){.user_id = 65534, .group_id = 65534});

    assert_int_equal(vine__machine_start(machine, why, sizeof(why)), -EACCES);
    if (strncmp(why, folder, strlen(folder)) != 0 || strstr(why, "user 65534") == NULL)
        fail_msg("%s", why);
    vine__machine_close(machine);
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "-name") == 0)
        fake_qemu(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_ends_at_once_says_why),
        cmocka_unit_test(one_that_cannot_be_run_is_not_started),
        cmocka_unit_test(one_whose_user_cannot_come_to_its_kernel_is_refused),
        cmocka_unit_test(one_that_does_not_greet_is_killed),
        cmocka_unit_test(one_that_talks_nonsense_is_killed),
        cmocka_unit_test(one_that_closes_its_control_socket_and_goes_on_is_killed),
        cmocka_unit_test(a_crash_is_told_with_its_signal),
        cmocka_unit_test(a_panic_is_no_shutdown),
        cmocka_unit_test(the_ladder_goes_from_button_to_quit_to_kill),
        cmocka_unit_test(one_that_is_not_up_yet_can_be_stopped),
        cmocka_unit_test(closing_kills_and_leaves_nothing),
        cmocka_unit_test(nothing_is_inherited_that_is_not_its_own),
        cmocka_unit_test(a_disk_that_may_be_written_is_one_machines_at_a_time),
        cmocka_unit_test(a_doorbell_is_handed_over_for_one_start),
        cmocka_unit_test(one_that_is_told_to_starts_paused),
        cmocka_unit_test(one_that_stands_still_goes_on_to_hear_the_button),
        cmocka_unit_test(one_that_is_about_to_stand_still_hears_the_button_too),
        cmocka_unit_test(both_pages_tell_how_either_side_is),
        cmocka_unit_test(a_reset_is_a_loss_and_another_generation),
        cmocka_unit_test(a_link_is_plugged_and_unplugged_while_its_machine_runs),
        cmocka_unit_test(what_cannot_be_plugged_leaves_nothing_behind),
        cmocka_unit_test(a_guest_that_does_not_let_go_is_told_of),
        cmocka_unit_test(a_guest_that_takes_a_device_out_by_itself_has_lost_the_link),
        cmocka_unit_test(a_place_is_given_again_as_late_as_can_be),
        cmocka_unit_test(a_link_that_is_taken_away_during_the_start_goes_when_it_can),
        cmocka_unit_test(places_and_sizes_have_limits),
        cmocka_unit_test(kvm_is_believed_only_when_user_space_spoke),
    };

    if (folder_make(folder) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
