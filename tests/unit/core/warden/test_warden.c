/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that have a link and are killed: who is told, and of what nobody is. Both machines are
 * made of files; whoever dies is a process of its own. */
#include "unit/core/talk/served.h"

#include <signal.h>
#include <sys/inotify.h>
#include <sys/wait.h>

#include "core/talk/pipe_internal.h"
#include "core/warden/warden.h"
#include "harness/fake_machines.h"

static struct fake_host host;

static void keep_quiet(void *context, enum vine_log_level level, const char *message)
{
    (void)context, (void)level, (void)message;
}

static int set_up(void **state)
{
    (void)state;
    fake_start(&host);
    fake_plug(&host, 0, "zip");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fake_stop(&host);
    return 0;
}

static struct vine__warden *open_warden(int machine)
{
    const struct vine__warden_options options = {
        .sysfs_root = host.machines[machine].sysfs,
        .command_line = host.machines[machine].command_line,
    };
    struct vine__warden *warden = NULL;

    assert_int_equal(vine__warden_open(&options, &warden), 0);
    return warden;
}

static uint32_t look(struct vine__warden *warden, struct vine__warden_finding *ret_finding)
{
    struct vine__warden_finding findings[VINE_STATUS_LINKS_MAX];
    const uint32_t count = vine__warden_look(warden, findings, VINE_STATUS_LINKS_MAX);

    if (count > 0)
        *ret_finding = findings[0];
    return count;
}

static struct vine_pipe *open_pipe(void)
{
    const struct vine_pipe_options options = {
        .size_bytes = sizeof options, .connect_timeout_ns = LIMIT, .log = keep_quiet};
    struct vine_pipe *pipe = NULL;

    fake_use(&host, 0);
    assert_int_equal(vine_pipe_open("pci:zip", &options, &pipe), 0);
    return pipe;
}

static void serve_forever(struct served *served)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof options, .log = keep_quiet};

    fake_use(&host, 1);
    served_start_address(served, "pci:auto", &options, 1);
}

/* A process that does its part, says so, and waits for its end; it leaves none of its words. */
static pid_t start(void (*part)(void))
{
    int ends[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        part();
        (void)!write(ends[1], "", 1);
        for (;;)
            (void)pause();
    }
    (void)close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    (void)close(ends[0]);
    return pid;
}

static void kill_it(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void be_appliance(void)
{
    static struct served served;

    serve_forever(&served);
}

static void be_application(void)
{
    (void)open_pipe();
}

static void an_application_is_told_of_an_appliance_that_was_killed(void **state)
{
    struct vine__warden_finding finding;
    struct vine__warden *warden;
    const pid_t pid = start(be_appliance);
    struct vine_pipe *pipe = open_pipe();

    (void)state;
    warden = open_warden(1);
    assert_int_equal(look(warden, &finding), 0);
    assert_int_equal(vine_pipe_status(pipe), 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    /* It is not reaped yet: its end is enough. */
    vine__warden_wait(warden, LIMIT);
    assert_int_equal(look(warden, &finding), 1);
    assert_string_equal(finding.link, "zip");
    assert_int_equal(finding.pid, pid);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    while (vine_pipe_status(pipe) == 0)
        sched_yield();
    assert_int_equal(vine_pipe_status(pipe), -VINE_EPEERLOST);
    assert_int_equal(look(warden, &finding), 0);
    vine_pipe_close(pipe);
    vine__warden_close(warden);
}

static uint32_t closed;

static void count_closed(void *context, const struct vine_appliance_event *event)
{
    (void)context;
    if (event->kind == VINE_APPLIANCE_PIPE_CLOSED)
        vine__store_release_u32(&closed, vine__load_relaxed_u32(&closed) + 1);
}

static void an_appliance_is_told_of_an_application_that_was_killed(void **state)
{
    const struct vine_appliance_options options = {
        .size_bytes = sizeof options, .log = keep_quiet, .event = count_closed};
    struct vine__warden *warden = open_warden(0);
    struct vine__warden_finding finding;
    struct vine_appliance_stats stats;
    struct served served;
    int ends[2];
    pid_t pid;
    char byte;

    (void)state;
    closed = 0;
    /* Threads do not come along: the process is there before the appliance's are. */
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        be_application();
        (void)!write(ends[1], "", 1);
        for (;;)
            (void)pause();
    }
    fake_use(&host, 1);
    served_start_address(&served, "pci:auto", &options, 1);
    (void)close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    (void)close(ends[0]);
    assert_int_equal(look(warden, &finding), 0);
    kill_it(pid);
    assert_int_equal(vine__load_acquire_u32(&closed), 0);
    vine__warden_wait(warden, LIMIT);
    assert_int_equal(look(warden, &finding), 1);
    assert_int_equal(finding.pid, pid);
    while (vine__load_acquire_u32(&closed) == 0)
        sched_yield();
    vine_appliance_get_stats(served.appliance, &stats);
    assert_int_equal(stats.pipes_lost, 1);
    served_stop(&served);
    vine__warden_close(warden);
}

static void who_came_and_went_between_two_looks_is_told_of_too(void **state)
{
    struct vine__warden *warden = open_warden(1);
    struct vine__warden_finding finding;
    struct vine_pipe *pipe;
    pid_t pid;

    (void)state;
    assert_int_equal(look(warden, &finding), 0);
    pid = start(be_appliance);
    pipe = open_pipe();
    kill_it(pid);
    assert_int_equal(look(warden, &finding), 1);
    assert_int_equal(finding.pid, 0);
    while (vine_pipe_status(pipe) == 0)
        sched_yield();
    assert_int_equal(vine_pipe_status(pipe), -VINE_EPEERLOST);
    vine_pipe_close(pipe);
    vine__warden_close(warden);
}

static void who_said_farewell_is_not_told_of_again(void **state)
{
    struct vine__warden *warden = open_warden(0);
    struct vine__warden_finding finding;
    const pid_t pid = start(be_appliance);

    (void)state;
    for (int i = 0; i < 3; i++) {
        vine_pipe_close(open_pipe());
        assert_int_equal(look(warden, &finding), 0);
    }
    assert_int_equal(fake_half(&host, 0, 0)->board.closed.value, VINE_ECLOSED);
    kill_it(pid);
    vine__warden_close(warden);
}

/* Neither when the other end is gone by then, nor when another one is awaited there. */
static void who_closes_a_pipe_that_was_lost_is_not_told_of(void **state)
{
    struct vine__warden *theirs = open_warden(1), *ours = open_warden(0);
    struct vine__warden_finding finding;

    (void)state;
    for (int reconnects = 0; reconnects < 2; reconnects++) {
        const struct vine_pipe_options options = {
            .size_bytes = sizeof options,
            .connect_timeout_ns = LIMIT,
            .log = keep_quiet,
            .reconnect_ns = reconnects ? VINE_FOREVER : 0,
        };
        const pid_t pid = start(be_appliance);
        struct vine_pipe *pipe = NULL;

        fake_use(&host, 0);
        assert_int_equal(vine_pipe_open("pci:zip", &options, &pipe), 0);
        assert_int_equal(look(theirs, &finding), 0);
        kill_it(pid);
        assert_int_equal(look(theirs, &finding), 1);
        if (reconnects) /* a call that does not wait for the next one has found out */
            vine__pipe_break(pipe, -VINE_EPEERLOST, false, "its process has died");
        while (!reconnects && vine_pipe_status(pipe) == 0)
            sched_yield();
        /* Who comes there now finds nobody, though the pipe is not closed yet. */
        assert_int_equal(fake_half(&host, 0, 0)->board.closed.value, reconnects ? 0 : VINE_ECLOSED);
        vine_pipe_close(pipe);
        assert_int_equal(look(ours, &finding), 0);
    }
    vine__warden_close(ours);
    vine__warden_close(theirs);
}

static void who_has_waited_in_vain_shows_that_nobody_waits(void **state)
{
    const struct vine_pipe_options options = {
        .size_bytes = sizeof options,
        .connect_timeout_ns = LIMIT,
        .log = keep_quiet,
        .reconnect_ns = 1,
    };
    const pid_t pid = start(be_appliance);
    struct vine_pipe *pipe = NULL;

    (void)state;
    fake_use(&host, 0);
    assert_int_equal(vine_pipe_open("pci:zip", &options, &pipe), 0);
    kill_it(pid);
    fake_say(&host, 0, 1, VINE_STATUS_LOST, VINE_STATUS_REASON_CRASH);
    while (vine_pipe_status(pipe) != -VINE_EPEERLOST)
        sched_yield();
    assert_int_equal(fake_half(&host, 0, 0)->board.closed.value, VINE_ECLOSED);
    vine_pipe_close(pipe);
}

/* Of what others have written there, nothing is read as a board, and nothing is changed. */
static void memory_that_holds_no_half_is_left_alone(void **state)
{
    struct vine__warden *warden = open_warden(0);
    struct vine__warden_finding finding;
    unsigned char *memory = host.links[0].memory[0];

    (void)state;
    memset(memory, 0xa5, FAKE_HALF_BYTES);
    fake_half(&host, 0, 0)->board.closed.value = 0;
    assert_int_equal(look(warden, &finding), 0);
    assert_int_equal(fake_half(&host, 0, 0)->board.closed.value, 0);
    for (size_t i = 0; i < VINE_SEGMENT_HEADER_BYTES; i++)
        assert_int_equal(memory[i], 0xa5);
    vine__warden_close(warden);
}

/* The lock is the process's, but not its child's, which the kernel gives nothing back for. */
static void a_child_of_the_dead_keeps_no_end(void **state)
{
    struct vine__warden *warden = open_warden(1);
    struct vine__warden_finding finding;
    int ends[2];
    pid_t child = 0;
    pid_t pid;
    struct vine_pipe *pipe;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        be_appliance();
        child = fork();
        if (child != 0)
            (void)!write(ends[1], &child, sizeof child);
        for (;;)
            (void)pause();
    }
    assert_int_equal(read(ends[0], &child, sizeof child), sizeof child);
    pipe = open_pipe();
    assert_int_equal(look(warden, &finding), 0);
    kill_it(pid);
    vine__warden_wait(warden, LIMIT);
    assert_int_equal(look(warden, &finding), 1);
    while (vine_pipe_status(pipe) == 0)
        sched_yield();
    vine_pipe_close(pipe);
    assert_int_equal(kill(child, SIGKILL), 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
    vine__warden_close(warden);
}

/* A descriptor that tells of who opens the memory that machine 0 writes: who maps it anew. */
static int tell_of_opens(void)
{
    char path[512];
    const int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

    assert_true(fd >= 0);
    fake_memory_path(&host, 0, VINE_STATUS_APPLICATION, path);
    assert_true(inotify_add_watch(fd, path, IN_OPEN) >= 0);
    return fd;
}

/* Whether somebody did since this was asked last. */
static bool were_opened(int fd)
{
    struct inotify_event events[64];

    return read(fd, events, sizeof events) > 0;
}

/* A machine that rests is looked at four times a second, and to map a device costs it milliseconds
 * where its code is translated. */
static void looks_at_an_end_that_nobody_has_map_nothing_anew(void **state)
{
    struct vine__warden *warden = open_warden(0);
    struct vine__warden_finding finding;
    const int opens = tell_of_opens();
    pid_t pid;

    (void)state;
    assert_int_equal(look(warden, &finding), 0);
    assert_true(were_opened(opens));
    for (int i = 0; i < 20; i++)
        assert_int_equal(look(warden, &finding), 0);
    assert_false(were_opened(opens));

    /* After a farewell, too. */
    pid = start(be_appliance);
    vine_pipe_close(open_pipe());
    assert_true(were_opened(opens));
    for (int i = 0; i < 20; i++)
        assert_int_equal(look(warden, &finding), 0);
    assert_false(were_opened(opens));
    kill_it(pid);

    /* What is no half is looked at as one once. */
    memset(host.links[0].memory[0], 0xa5, FAKE_HALF_BYTES);
    fake_half(&host, 0, 0)->board.closed.value = 0;
    assert_int_equal(look(warden, &finding), 0);
    assert_true(were_opened(opens));
    for (int i = 0; i < 20; i++)
        assert_int_equal(look(warden, &finding), 0);
    assert_false(were_opened(opens));
    (void)close(opens);
    vine__warden_close(warden);
}

/* Where nobody comes and goes there are fewer looks, and as many again when somebody does. */
static void a_machine_that_rests_is_looked_at_less_often(void **state)
{
    struct vine__warden *warden = open_warden(1);
    struct vine__warden_finding finding;
    const uint64_t pause_ns = vine__warden_pause_ns(warden);
    pid_t pid;

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(look(warden, &finding), 0);
    assert_true(vine__warden_pause_ns(warden) > pause_ns);
    assert_true(vine__warden_pause_ns(warden) <= VINE_NS_PER_SECOND);
    pid = start(be_appliance);
    assert_int_equal(look(warden, &finding), 0);
    assert_int_equal(vine__warden_pause_ns(warden), pause_ns);
    for (int i = 0; i < 100; i++)
        assert_int_equal(look(warden, &finding), 0);
    assert_true(vine__warden_pause_ns(warden) > pause_ns);
    kill_it(pid);
    assert_int_equal(look(warden, &finding), 0);
    assert_int_equal(vine__warden_pause_ns(warden), pause_ns);
    vine__warden_close(warden);
}

/* What is kept of a look is not taken for the next link's. */
static void a_link_that_is_plugged_anew_is_mapped_anew(void **state)
{
    struct vine__warden *warden = open_warden(1);
    struct vine__warden_finding finding;
    struct vine_pipe *pipe;
    pid_t pid;

    (void)state;
    assert_int_equal(look(warden, &finding), 0);
    fake_unplug(&host, 0);
    fake_plug(&host, 0, "zip");
    pid = start(be_appliance);
    pipe = open_pipe();
    kill_it(pid);
    assert_int_equal(look(warden, &finding), 1);
    while (vine_pipe_status(pipe) == 0)
        sched_yield();
    assert_int_equal(vine_pipe_status(pipe), -VINE_EPEERLOST);
    vine_pipe_close(pipe);
    vine__warden_close(warden);
}

static void links_come_and_go_and_nothing_is_kept(void **state)
{
    struct vine__warden *warden = open_warden(1);
    struct vine__warden_finding finding;
    const uint32_t held = fake_count_held(&host);

    (void)state;
    for (int i = 0; i < 5; i++) {
        const pid_t pid = start(be_appliance);

        assert_int_equal(look(warden, &finding), 0);
        fake_unplug(&host, 0);
        assert_int_equal(look(warden, &finding), 0);
        assert_int_equal(fake_count_held(&host), held);
        kill_it(pid);
        fake_plug(&host, 0, "zip");
    }
    assert_int_equal(look(warden, &finding), 0);
    vine__warden_close(warden);
}

static void a_machine_without_links_has_nothing_to_watch(void **state)
{
    const struct vine__warden_options options = {
        .sysfs_root = host.machines[0].sysfs,
        .command_line = host.machines[0].command_line,
    };
    struct vine__warden *warden = NULL;

    (void)state;
    fake_set_command_line(&host, 0, "quiet");
    assert_int_equal(vine__warden_open(&options, &warden), -ENODEV);
    vine__warden_close(NULL);
}

#define WATCHED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WATCHED(an_application_is_told_of_an_appliance_that_was_killed),
        WATCHED(an_appliance_is_told_of_an_application_that_was_killed),
        WATCHED(who_came_and_went_between_two_looks_is_told_of_too),
        WATCHED(who_said_farewell_is_not_told_of_again),
        WATCHED(who_closes_a_pipe_that_was_lost_is_not_told_of),
        WATCHED(who_has_waited_in_vain_shows_that_nobody_waits),
        WATCHED(memory_that_holds_no_half_is_left_alone),
        WATCHED(a_child_of_the_dead_keeps_no_end),
        WATCHED(looks_at_an_end_that_nobody_has_map_nothing_anew),
        WATCHED(a_machine_that_rests_is_looked_at_less_often),
        WATCHED(a_link_that_is_plugged_anew_is_mapped_anew),
        WATCHED(links_come_and_go_and_nothing_is_kept),
        WATCHED(a_machine_without_links_has_nothing_to_watch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
