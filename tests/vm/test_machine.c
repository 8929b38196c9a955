/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine long=900 */
/*
 * The life of real machines: a guest boots under TCG and ends in every way that there is, and links
 * come and go while it runs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "arch/clock/clock.h"
#include "guest.h"
#include "utils/atomic.h"
#include "vmm/engine/engine.h"

#define MIB       (UINT64_C(1) << 20)
#define GUARD_NS  (240 * VINE_NS_PER_SECOND)
#define LINK_SIZE (4 * MIB)

static struct guest guest;

/* One machine with what it said so far. */
struct run {
    struct vine__machine *machine;
    char said[65536];
    size_t said_size;
    uint64_t begin_ns;
    size_t seen; /* up to where a test has looked */
};

static struct run begin(const char *what, struct vine__machine_options options)
{
    static const char *words[2];
    static char option[32];
    struct run run = {.begin_ns = vine__clock_now_ns()};
    char why[256] = "";

    (void)snprintf(option, sizeof(option), "test.do=%s", what);
    words[0] = option;
    words[1] = "quiet";
    const struct vine__machine_description description = {
        .name = "guest",
        .memory_bytes = 128 * MIB,
        .cpu_count = 1,
        .kernel = guest.kernel,
        .initrd = guest.initrd,
        .kernel_options = words,
        .kernel_option_count = 2,
        .clock_khz = vine__machine_clock_khz(),
        .console = VINE__CONSOLE_PIPE,
        .links_max = 2,
        .link_bytes_max = LINK_SIZE,
    };

    options.folder = guest.folder;
    options.dies_with_us = true;
    if (vine__machine_create(&description, &options, &run.machine, why, sizeof(why)) != 0)
        fail_msg("%s", why);
    return run;
}

static void start(struct run *run)
{
    char why[256] = "";

    if (vine__machine_start(run->machine, why, sizeof(why)) != 0)
        fail_msg("%s", why);
}

static void hear(struct run *run)
{
    const int fd = vine__machine_console_fd(run->machine);
    const ssize_t size =
        read(fd, run->said + run->said_size, sizeof(run->said) - 1 - run->said_size);

    if (size > 0)
        run->said_size += (size_t)size;
}

/* Turn the loop once: the machine's descriptor and its console's. */
static void turn(struct run *run)
{
    if (vine__clock_now_ns() - run->begin_ns > GUARD_NS)
        fail_msg("nothing comes any more; it said:\n%s", run->said);
    struct pollfd fds[] = {
        {.fd = vine__machine_fd(run->machine), .events = POLLIN},
        {.fd = vine__machine_console_fd(run->machine), .events = POLLIN},
    };

    if (vine__machine_state_of(run->machine) == VINE__MACHINE_OFF)
        fds[1].fd = -1; /* its end is a hang-up for ever */
    (void)poll(fds, 2, 1000);
    hear(run);
    vine__machine_process(run->machine);
}

static struct vine__machine_event expect(struct run *run, enum vine__machine_event_kind kind)
{
    struct vine__machine_event event;

    while (!vine__machine_next_event(run->machine, &event))
        turn(run);
    if (event.kind != kind)
        fail_msg("%s, while %d was awaited\n%s", event.text, (int)kind, run->said);
    return event;
}

static void expect_end(struct run *run, enum vine__machine_end end)
{
    const struct vine__machine_event event = expect(run, VINE__MACHINE_ENDED);

    if (vine__machine_ended_by(run->machine) != end)
        fail_msg("%s (%s)\n%s", event.text,
                 vine__machine_end_word(vine__machine_ended_by(run->machine)), run->said);
    assert_int_equal(vine__machine_state_of(run->machine), VINE__MACHINE_OFF);
    assert_int_equal(vine__machine_pid(run->machine), 0);
}

/* Wait for the guest to say it, behind what was waited for before. */
static void expect_said(struct run *run, const char *text)
{
    const char *found;

    while ((found = strstr(run->said + run->seen, text)) == NULL) {
        if (vine__machine_state_of(run->machine) == VINE__MACHINE_OFF)
            fail_msg("it ended (%s) before it said '%s':\n%s", vine__machine_end_text(run->machine),
                     text, run->said);
        turn(run);
    }
    run->seen = (size_t)(found - run->said) + strlen(text);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void a_guest_that_powers_off_by_itself_has_shut_down(void **state)
{
    struct run run = begin("off", (struct vine__machine_options){0});

    (void)state;
    assert_int_equal(vine__machine_stop(run.machine), -ESRCH);
    start(&run);
    assert_int_equal(vine__machine_start(run.machine, NULL, 0), -EBUSY);
    (void)expect(&run, VINE__MACHINE_STARTED);
    expect_end(&run, VINE__END_SHUTDOWN);
    assert_non_null(strstr(run.said, "user space"));
    vine__machine_close(run.machine);
}

static void a_guest_that_hears_the_button_is_stopped_by_it(void **state)
{
    struct run run = begin("button", (struct vine__machine_options){0});

    (void)state;
    start(&run);
    (void)expect(&run, VINE__MACHINE_STARTED);
    expect_said(&run, "buttons: ");
    assert_int_equal(vine__machine_stop(run.machine), 0);
    assert_int_equal(vine__machine_stop(run.machine), 0);
    (void)expect(&run, VINE__MACHINE_BUTTON);
    expect_end(&run, VINE__END_STOPPED);
    vine__machine_close(run.machine);
}

static void a_deaf_guest_is_quit_after_its_time(void **state)
{
    struct run run =
        begin("deaf", (struct vine__machine_options){.button_timeout_ns = VINE_NS_PER_SECOND / 5});

    (void)state;
    start(&run);
    (void)expect(&run, VINE__MACHINE_STARTED);
    expect_said(&run, "user space");
    assert_int_equal(vine__machine_stop(run.machine), 0);
    (void)expect(&run, VINE__MACHINE_BUTTON);
    expect_end(&run, VINE__END_QUIT);
    vine__machine_close(run.machine);
}

static void a_stuck_qemu_is_killed_after_its_time(void **state)
{
    struct run run =
        begin("deaf", (struct vine__machine_options){.button_timeout_ns = VINE_NS_PER_SECOND / 5,
                                                     .quit_timeout_ns = VINE_NS_PER_SECOND / 5});

    (void)state;
    start(&run);
    (void)expect(&run, VINE__MACHINE_STARTED);
    assert_int_equal(kill(vine__machine_pid(run.machine), SIGSTOP), 0);
    /* To ask touches no machine. */
    assert_int_equal(vine__machine_state_of(run.machine), VINE__MACHINE_RUNNING);
    assert_int_equal(vine__machine_stop(run.machine), 0);
    expect_end(&run, VINE__END_KILLED);
    vine__machine_close(run.machine);
}

static void a_panic_is_told_from_a_stop_and_from_a_crash(void **state)
{
    struct run run = begin("panic", (struct vine__machine_options){0});

    (void)state;
    start(&run);
    (void)expect(&run, VINE__MACHINE_STARTED);
    expect_end(&run, VINE__END_PANIC);
    vine__machine_close(run.machine);
}

static void a_guest_that_reboots_wants_to_be_started_anew(void **state)
{
    struct run run = begin("reset", (struct vine__machine_options){0});

    (void)state;
    start(&run);
    (void)expect(&run, VINE__MACHINE_STARTED);
    expect_end(&run, VINE__END_RESET);
    vine__machine_close(run.machine);
}

/* ---- links ----------------------------------------------------------------------------------- */

static uint64_t *map_half(const struct vine__machine_link *link, enum vine_status_end end)
{
    void *const base = mmap(NULL, LINK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
                            vine__machine_link_fd(link, end), 0);

    assert_ptr_not_equal(base, MAP_FAILED);
    return base;
}

/* A link between the guest, which is the appliance, and this process. */
struct host_link {
    struct vine__machine_link *link;
    uint64_t *ours;
    uint64_t *theirs;
};

static struct host_link make_link(const char *name)
{
    struct host_link made = {0};

    assert_int_equal(
        vine__machine_link_create(name, (const uint64_t[2]){LINK_SIZE, LINK_SIZE}, &made.link), 0);
    assert_int_equal(vine__machine_link_attach_host(made.link, VINE_STATUS_APPLICATION), 0);
    made.ours = map_half(made.link, VINE_STATUS_APPLICATION);
    made.theirs = map_half(made.link, VINE_STATUS_APPLIANCE);
    return made;
}

static void close_link(struct host_link *made)
{
    (void)munmap(made->ours, LINK_SIZE);
    (void)munmap(made->theirs, LINK_SIZE);
    vine__machine_link_close(made->link);
}

static void wait_for_count(struct run *run, struct host_link *made)
{
    const uint64_t before = vine__load_relaxed_u64(made->theirs);

    while (vine__load_relaxed_u64(made->theirs) == before) {
        struct pollfd fd = {.fd = vine__machine_fd(run->machine), .events = POLLIN};

        (void)poll(&fd, 1, 1);
        vine__machine_process(run->machine);
    }
}

/* The guest has the link, reads what we write, writes what we read, and nothing else. */
static void use_link(struct run *run, struct host_link *made, uint32_t place, uint64_t word)
{
    char text[64];

    vine__store_relaxed_u64(made->ours, word);
    (void)snprintf(text, sizeof(text), "place %u: reads %u", place, (unsigned)word);
    expect_said(run, text);
    wait_for_count(run, made);
    assert_int_equal(vine__load_relaxed_u64(made->ours + 1), 0);
}

static struct vine_status_side appliance_of(const struct host_link *made)
{
    return vine__machine_link_side(made->link, VINE_STATUS_APPLIANCE);
}

static void pause_and_resume(struct run *run, struct host_link *made)
{
    assert_int_equal(vine__machine_pause(run->machine), 0);
    (void)expect(run, VINE__MACHINE_PAUSES);
    assert_int_equal(vine__machine_state_of(run->machine), VINE__MACHINE_PAUSED);
    assert_int_equal(appliance_of(made).state, VINE_STATUS_PAUSED);
    assert_int_equal(vine__machine_resume(run->machine), 0);
    (void)expect(run, VINE__MACHINE_RESUMES);
    assert_int_equal(appliance_of(made).state, VINE_STATUS_ATTACHED);
    wait_for_count(run, made);
}

static void links_come_and_go_while_a_guest_runs(void **state)
{
    /* Somebody else than we, if we may become somebody else: with no right but to what it is
     * given. */
    const uid_t nobody = geteuid() == 0 ? 65534 : 0;
    const unsigned round_count = getenv("VINE_TEST_LONG") != NULL ? 20 : 3;
    struct run run =
        begin("links", (struct vine__machine_options){.user_id = nobody, .group_id = nobody});
    struct host_link first = make_link("first");
    uint32_t place;
    char text[64];

    (void)state;
    assert_int_equal(vine__machine_link_attach(first.link, VINE_STATUS_APPLIANCE, run.machine,
                                               VINE__MACHINE_LINK_ANY_PLACE, &place),
                     0);
    assert_int_equal(place, 0);
    assert_int_equal(appliance_of(&first).state, VINE_STATUS_ABSENT);
    start(&run);
    (void)expect(&run, VINE__MACHINE_STARTED);
    struct stat status;

    (void)snprintf(text, sizeof(text), "/proc/%d", (int)vine__machine_pid(run.machine));
    assert_int_equal(stat(text, &status), 0);
    assert_int_equal(status.st_uid, nobody != 0 ? nobody : geteuid());
    assert_int_equal(appliance_of(&first).state, VINE_STATUS_ATTACHED);
    assert_int_equal(appliance_of(&first).generation, 1);
    expect_said(&run, "place 0: link first, appliance, generation 1");
    use_link(&run, &first, 0, 7);
    pause_and_resume(&run, &first);

    for (unsigned round = 1; round <= round_count; round++) {
        struct host_link second = make_link("second");

        assert_int_equal(vine__machine_link_attach(second.link, VINE_STATUS_APPLIANCE, run.machine,
                                                   VINE__MACHINE_LINK_ANY_PLACE, &place),
                         0);
        assert_int_equal(place, 1);
        assert_int_equal(expect(&run, VINE__MACHINE_PLUGGED).place, 1);
        (void)snprintf(text, sizeof(text), "place 1: link second, appliance, generation %u", round);
        expect_said(&run, text);
        use_link(&run, &second, 1, round);
        vine__machine_link_detach(second.link, VINE_STATUS_APPLIANCE);
        assert_int_equal(appliance_of(&second).state, VINE_STATUS_LOST);
        assert_int_equal(appliance_of(&second).reason, VINE_STATUS_REASON_UNPLUGGED);
        assert_int_equal(expect(&run, VINE__MACHINE_UNPLUGGED).place, 1);
        expect_said(&run, "place 1: gone");
        close_link(&second);
    }

    assert_int_equal(kill(vine__machine_pid(run.machine), SIGKILL), 0);
    expect_end(&run, VINE__END_CRASH);
    assert_int_equal(appliance_of(&first).state, VINE_STATUS_LOST);
    assert_int_equal(appliance_of(&first).reason, VINE_STATUS_REASON_CRASH);
    vine__machine_close(run.machine);
    close_link(&first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_that_powers_off_by_itself_has_shut_down),
        cmocka_unit_test(a_guest_that_hears_the_button_is_stopped_by_it),
        cmocka_unit_test(a_deaf_guest_is_quit_after_its_time),
        cmocka_unit_test(a_stuck_qemu_is_killed_after_its_time),
        cmocka_unit_test(a_panic_is_told_from_a_stop_and_from_a_crash),
        cmocka_unit_test(a_guest_that_reboots_wants_to_be_started_anew),
        cmocka_unit_test(links_come_and_go_while_a_guest_runs),
    };
    const int status = guest_prepare(&guest);

    return status != 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
