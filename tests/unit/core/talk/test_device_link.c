/* SPDX-License-Identifier: Apache-2.0 */
/* A pipe over a link between machines: who comes, who goes, and what the host says of it. Both
 * machines are made of files; the appliance is on threads of this process. */
#include "served.h"

#include <signal.h>
#include <sys/wait.h>

#include "core/talk/pipe_internal.h"
#include "harness/fake_machines.h"

#include <poll.h>
#include <pthread.h>

#define TURNED_BYTES 100000u

struct linked {
    struct fake_host host;
    struct served served;
    char last_name[32];      /* of the application that was opened last */
    uint32_t opened, closed; /* atomic */
};

static void see_event(void *context, const struct vine_appliance_event *event)
{
    struct linked *linked = context;

    if (event->kind == VINE_APPLIANCE_PIPE_OPENED) {
        (void)snprintf(linked->last_name, sizeof linked->last_name, "%s", event->name);
        vine__store_release_u32(&linked->opened, linked->opened + 1);
    } else if (event->kind == VINE_APPLIANCE_PIPE_CLOSED) {
        vine__store_release_u32(&linked->closed, linked->closed + 1);
    }
}

static void keep_quiet(void *context, enum vine_log_level level, const char *message)
{
    (void)context, (void)level, (void)message;
}

/* Each opening is a process of the machine with the applications, each start one of the other. */
static int open_at(const struct linked *linked, const char *address, uint64_t timeout_ns,
                   struct vine_pipe **ret_pipe)
{
    const struct vine_pipe_options options = {
        .size_bytes = sizeof options,
        .name = "a guest",
        .connect_timeout_ns = timeout_ns,
        .log = keep_quiet,
    };

    fake_use(&linked->host, 0);
    return vine_pipe_open(address, &options, ret_pipe);
}

static struct vine_pipe *open_pipe(const struct linked *linked, const char *address)
{
    struct vine_pipe *pipe = NULL;

    assert_int_equal(open_at(linked, address, LIMIT, &pipe), 0);
    return pipe;
}

static void start_appliance_at(struct linked *linked, const char *address)
{
    const struct vine_appliance_options options = {
        .size_bytes = sizeof options,
        .name = "the other guest",
        .log = keep_quiet,
        .event = see_event,
        .event_context = linked,
    };

    fake_use(&linked->host, 1);
    served_start_address(&linked->served, address, &options, 1);
}

static void start_appliance(struct linked *linked)
{
    start_appliance_at(linked, "pci:auto");
}

static int set_up(void **state)
{
    struct linked *linked = calloc(1, sizeof *linked);

    assert_non_null(linked);
    fake_start(&linked->host);
    fake_plug(&linked->host, 0, "zip");
    *state = linked;
    return 0;
}

static int tear_down(void **state)
{
    struct linked *linked = *state;

    fake_stop(&linked->host);
    free(linked);
    return 0;
}

/* Data goes there and comes back. */
static void works(struct vine_pipe *pipe)
{
    unsigned char *bytes = malloc(2 * TURNED_BYTES);
    size_t size = 0;

    assert_non_null(bytes);
    for (size_t i = 0; i < TURNED_BYTES; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 256);
    assert_int_equal(vine_pipe_call(pipe, "turn", bytes, TURNED_BYTES, bytes + TURNED_BYTES,
                                    TURNED_BYTES, &size),
                     0);
    assert_int_equal(size, TURNED_BYTES);
    for (size_t i = 0; i < TURNED_BYTES; i++)
        if ((bytes[i] ^ 0x20) != bytes[TURNED_BYTES + i])
            fail_msg("byte %zu came back as another", i);
    free(bytes);
}

static void wait_until_over(struct vine_pipe *pipe, int error)
{
    int status;

    while ((status = vine_pipe_status(pipe)) == 0)
        sched_yield();
    assert_int_equal(status, error);
}

static void wait_until_closed(struct linked *linked, uint32_t count)
{
    while (vine__load_acquire_u32(&linked->closed) < count)
        sched_yield();
    assert_int_equal(vine__load_acquire_u32(&linked->closed), count);
}

/* As a process that is killed: what it would say of that, nobody reads. */
static void vanish(struct vine_pipe *pipe)
{
    static struct vine_half_layout unread;

    pipe->half.layout = &unread;
    vine__pipe_break(pipe, -VINE_EPEERLOST, false, "as if killed");
    vine_pipe_close(pipe);
}

/* As if the appliance's process had been killed: it says nothing, and leaves its half behind. */
static void appliance_vanishes(struct linked *linked, uint32_t link)
{
    served_stop(&linked->served);
    vine__store_release_u32(&fake_half(&linked->host, link, 1)->board.closed.value, 0);
}

/* ---- opening --------------------------------------------------------------------------------- */

static void a_machine_without_a_link_is_refused(void **state)
{
    struct linked *linked = *state;
    struct vine_pipe *pipe = NULL;

    start_appliance(linked);
    assert_int_equal(open_at(linked, "pci:zap", LIMIT, &pipe), -VINE_ENOAPPLIANCE);
    fake_set_command_line(&linked->host, 0, "quiet");
    assert_int_equal(open_at(linked, "pci:zip", LIMIT, &pipe), -VINE_ECONFIG);
    served_stop(&linked->served);
}

static void the_end_of_an_appliance_is_none_for_an_application(void **state)
{
    struct linked *linked = *state;
    struct vine_pipe *pipe = NULL;

    fake_use(&linked->host, 1);
    assert_int_equal(vine_pipe_open("pci:zip", NULL, &pipe), -VINE_ENOAPPLIANCE);
}

static void a_pipe_opens_by_the_links_name_and_without(void **state)
{
    static const char *const addresses[] = {"pci:auto", "pci:zip"};
    struct linked *linked = *state;

    for (int listen = 0; listen < 2; listen++) {
        start_appliance_at(linked, addresses[listen]);
        for (int i = 0; i < 2; i++) {
            struct vine_pipe *pipe = open_pipe(linked, addresses[i]);

            works(pipe);
            vine_pipe_close(pipe);
        }
        served_stop(&linked->served);
    }
}

static void an_appliance_of_one_link_leaves_the_others_alone(void **state)
{
    struct linked *linked = *state;
    struct vine_pipe *pipe = NULL;

    fake_plug(&linked->host, 1, "zap");
    start_appliance_at(linked, "pci:zap");
    assert_int_equal(open_at(linked, "pci:zip", SECOND / 50, &pipe), -ETIMEDOUT);
    pipe = open_pipe(linked, "pci:zap");
    works(pipe);
    vine_pipe_close(pipe);
    served_stop(&linked->served);
}

static void both_sides_know_how_the_other_calls_itself(void **state)
{
    struct linked *linked = *state;
    struct vine_pipe *pipe;

    start_appliance(linked);
    pipe = open_pipe(linked, "pci:auto");
    assert_string_equal(pipe->agreement.peer_name, "the other guest");
    assert_int_equal(vine__load_acquire_u32(&linked->opened), 1);
    assert_string_equal(linked->last_name, "a guest");
    vine_pipe_close(pipe);
    served_stop(&linked->served);
}

static void an_end_belongs_to_one_handle(void **state)
{
    struct linked *linked = *state;
    struct vine_pipe *second = NULL;
    struct vine_pipe *pipe;

    start_appliance(linked);
    pipe = open_pipe(linked, "pci:zip");
    assert_int_equal(open_at(linked, "pci:zip", LIMIT, &second), -EBUSY);
    assert_int_equal(open_at(linked, "pci:auto", LIMIT, &second), -EBUSY);
    works(pipe);
    vine_pipe_close(pipe);
    pipe = open_pipe(linked, "pci:zip");
    works(pipe);
    vine_pipe_close(pipe);
    served_stop(&linked->served);
}

/* Until it ends, however it ends. The child is there before any thread is. */
static void an_end_belongs_to_one_process_until_that_is_killed(void **state)
{
    struct linked *linked = *state;
    struct vine_pipe *pipe = NULL;
    int begin[2];
    int ready[2];
    char byte = 0;

    assert_int_equal(pipe2(begin, O_CLOEXEC), 0);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);

    const pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        if (read(begin[0], &byte, 1) == 1 && open_at(linked, "pci:zip", LIMIT, &pipe) == 0 &&
            write(ready[1], "", 1) == 1)
            (void)pause();
        _exit(1);
    }
    (void)close(ready[1]);
    start_appliance(linked);
    assert_int_equal(write(begin[1], "", 1), 1);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(open_at(linked, "pci:zip", LIMIT, &pipe), -EBUSY);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    pipe = open_pipe(linked, "pci:zip");
    works(pipe);
    vine_pipe_close(pipe);
    wait_until_closed(linked, 2);
    served_stop(&linked->served);
    (void)close(ready[0]);
    (void)close(begin[0]);
    (void)close(begin[1]);
}

/* What a link lacks is looked for at the next one. */
static void auto_finds_the_link_that_has_an_appliance(void **state)
{
    struct linked *linked = *state;
    struct vine_pipe *pipe;

    fake_plug(&linked->host, 1, "zap");
    start_appliance(linked);
    fake_say(&linked->host, 0, 1, VINE_STATUS_LOST, VINE_STATUS_REASON_CRASH);
    pipe = open_pipe(linked, "pci:auto");
    assert_string_equal(pipe->link.end->link.name, "zap");
    works(pipe);
    vine_pipe_close(pipe);
    served_stop(&linked->served);
}

static void nobody_is_waited_for_where_the_host_says_that_nobody_is(void **state)
{
    struct linked *linked = *state;
    struct vine_pipe *pipe = NULL;

    fake_say(&linked->host, 0, 1, VINE_STATUS_ABSENT, VINE_STATUS_REASON_NONE);
    assert_int_equal(open_at(linked, "pci:zip", LIMIT, &pipe), -VINE_ENOAPPLIANCE);
    fake_say(&linked->host, 0, 1, VINE_STATUS_LOST, VINE_STATUS_REASON_PANIC);
    assert_int_equal(open_at(linked, "pci:zip", LIMIT, &pipe), -VINE_ENOAPPLIANCE);
    fake_say(&linked->host, 0, 1, VINE_STATUS_ATTACHED, VINE_STATUS_REASON_NONE);
    assert_int_equal(open_at(linked, "pci:zip", SECOND / 50, &pipe), -ETIMEDOUT);
}

/* A host that loses its processor while it writes has not said that there is no link. */
static void a_host_that_writes_all_the_while_is_waited_for(void **state)
{
    struct linked *linked = *state;
    struct vine_pipe *pipe = NULL;

    start_appliance(linked);
    fake_tear(&linked->host, 0, 0);
    assert_int_equal(open_at(linked, "pci:zip", SECOND / 50, &pipe), -ETIMEDOUT);
    fake_mend(&linked->host, 0, 0);
    pipe = open_pipe(linked, "pci:zip");
    works(pipe);
    vine_pipe_close(pipe);
    served_stop(&linked->served);
}

static void devices_that_are_smaller_than_the_host_says_are_refused(void **state)
{
    struct linked *linked = *state;
    struct vine_pipe *pipe = NULL;

    for (int end = 0; end < 2; end++) {
        for (int machine = 0; machine < 2; machine++)
            fake_entry(&linked->host, machine, 0)->size_bytes[end] += 4096;
        assert_int_equal(open_at(linked, "pci:zip", LIMIT, &pipe), -VINE_ETRUNCATED);
        fake_tell(&linked->host, 0);
    }
    fake_remove_devices(&linked->host, 0, 0);
    assert_int_equal(open_at(linked, "pci:zip", SECOND / 50, &pipe), -ENODEV);
}

/* Take the device of the appliance's half away from a machine but for its folder, or bring it
 * back. */
static void hide_device(struct linked *linked, int machine, bool is_hidden)
{
    static const char *const files[] = {"resource2", "enable"};
    char bdf[16];

    fake_bdf(machine, 0, 1, bdf);
    for (size_t i = 0; i < 2; i++) {
        char path[2 * FAKE_SYSFS_PATH_MAX], away[2 * FAKE_SYSFS_PATH_MAX + 8];

        (void)snprintf(path, sizeof path, "%s/bus/pci/devices/%s/%s",
                       linked->host.machines[machine].sysfs, bdf, files[i]);
        (void)snprintf(away, sizeof away, "%s.later", path);
        assert_int_equal(is_hidden ? rename(path, away) : rename(away, path), 0);
    }
}

static void *find_device(void *linked)
{
    (void)poll(NULL, 0, 20);
    hide_device(linked, 0, false);
    return NULL;
}

static void a_device_whose_memory_comes_later_is_waited_for(void **state)
{
    struct linked *linked = *state;
    struct vine_pipe *pipe = NULL;
    pthread_t thread;

    /* A kernel shows a device that is plugged first, gives it addresses, and shows its memory. */
    hide_device(linked, 0, true);
    assert_int_equal(open_at(linked, "pci:zip", SECOND / 50, &pipe), -ENODEV);
    hide_device(linked, 1, true);
    start_appliance(linked);
    hide_device(linked, 1, false);
    assert_int_equal(pthread_create(&thread, NULL, find_device, linked), 0);
    pipe = open_pipe(linked, "pci:zip");
    assert_int_equal(pthread_join(thread, NULL), 0);
    works(pipe);
    vine_pipe_close(pipe);
    served_stop(&linked->served);
}

/* ---- one after the other --------------------------------------------------------------------- */

static void one_application_after_the_other_is_served(void **state)
{
    struct linked *linked = *state;

    start_appliance(linked);
    for (uint32_t i = 0; i < 50; i++) {
        struct vine_pipe *pipe = open_pipe(linked, "pci:zip");

        if (i % 10 == 0)
            works(pipe);
        else
            assert_int_equal(vine_pipe_call(pipe, "noop", NULL, 0, NULL, 0, NULL), 0);
        vine_pipe_close(pipe);
    }
    wait_until_closed(linked, 50);
    served_stop(&linked->served);
}

static void an_application_that_vanishes_is_followed(void **state)
{
    struct linked *linked = *state;
    struct vine_appliance_stats stats;

    start_appliance(linked);
    for (uint32_t i = 0; i < 30; i++) {
        struct vine_pipe *pipe = open_pipe(linked, "pci:zip");

        assert_int_equal(vine_pipe_call(pipe, "noop", NULL, 0, NULL, 0, NULL), 0);
        if (i % 3 == 0)
            vine_task_free(gate_issue(pipe, i, NULL));
        gate_set(true);
        vanish(pipe);
    }
    vine_pipe_close(open_pipe(linked, "pci:zip"));
    wait_until_closed(linked, 31);
    vine_appliance_get_stats(linked->served.appliance, &stats);
    /* None of them is told from one that lies: it was followed. */
    assert_int_equal(stats.pipes_lost, 30);
    assert_int_equal(stats.pipes_broken, 0);
    served_stop(&linked->served);
}

static void an_application_that_gave_up_is_not_answered_later(void **state)
{
    struct linked *linked = *state;
    struct vine_pipe *pipe = NULL;

    fake_plug(&linked->host, 1, "zap");
    for (int i = 0; i < 3; i++)
        assert_int_equal(open_at(linked, "pci:zip", SECOND / 50, &pipe), -ETIMEDOUT);
    start_appliance(linked);
    /* Once this one is served, the other place has been looked at. */
    for (uint32_t i = 1; i <= 3; i++) {
        vine_pipe_close(open_pipe(linked, "pci:zap"));
        wait_until_closed(linked, i);
        assert_int_equal(vine__load_acquire_u32(&linked->opened), i);
    }
    vine_pipe_close(open_pipe(linked, "pci:zip"));
    wait_until_closed(linked, 4);
    served_stop(&linked->served);
    /* Nor is one that has closed its pipe, by the next appliance. */
    start_appliance(linked);
    for (uint32_t i = 5; i <= 7; i++) {
        vine_pipe_close(open_pipe(linked, "pci:zap"));
        wait_until_closed(linked, i);
        assert_int_equal(vine__load_acquire_u32(&linked->opened), i);
    }
    served_stop(&linked->served);
}

static void an_appliance_that_shuts_down_says_so(void **state)
{
    struct linked *linked = *state;
    struct vine_pipe *pipe;

    start_appliance(linked);
    pipe = open_pipe(linked, "pci:zip");
    works(pipe);
    served_stop(&linked->served);
    wait_until_over(pipe, -VINE_EDRAINING);
    vine_pipe_close(pipe);
}

/* The next one does not answer somebody whose pipe was the last one's. */
static void an_appliance_that_vanishes_and_comes_back_is_another(void **state)
{
    struct linked *linked = *state;

    start_appliance(linked);
    for (int i = 0; i < 10; i++) {
        struct vine_pipe *pipe = open_pipe(linked, "pci:zip");

        works(pipe);
        appliance_vanishes(linked, 0);
        start_appliance(linked);
        wait_until_over(pipe, -VINE_EPEERLOST);
        vine_pipe_close(pipe);
    }
    vine_pipe_close(open_pipe(linked, "pci:zip"));
    served_stop(&linked->served);
}

/* Nor does the one after that, if nobody has looked meanwhile. */
static void an_appliance_knows_whom_those_before_it_have_answered(void **state)
{
    struct linked *linked = *state;
    struct vine_pipe *pipe;
    struct vine_pipe *other;

    fake_plug(&linked->host, 1, "zap");
    start_appliance(linked);
    pipe = open_pipe(linked, "pci:zip");
    for (int i = 0; i < 3; i++) {
        served_stop(&linked->served);
        if (i == 0)
            vine__store_release_u32(&fake_half(&linked->host, 0, 1)->board.closed.value, 0);
        start_appliance(linked);
        /* Once this one is served, the other place has been looked at. */
        other = open_pipe(linked, "pci:zap");
        works(other);
        vine_pipe_close(other);
    }
    wait_until_over(pipe, -VINE_EPEERLOST);
    vine_pipe_close(pipe);
    pipe = open_pipe(linked, "pci:zip");
    works(pipe);
    vine_pipe_close(pipe);
    served_stop(&linked->served);
}

static void whoever_waits_when_an_appliance_comes_back_is_answered(void **state)
{
    struct linked *linked = *state;
    struct vine_pipe *pipe;

    start_appliance(linked);
    pipe = open_pipe(linked, "pci:zip");
    appliance_vanishes(linked, 0);
    vanish(pipe);
    start_appliance(linked);
    pipe = open_pipe(linked, "pci:zip");
    works(pipe);
    vine_pipe_close(pipe);
    served_stop(&linked->served);
}

/* ---- what the host says ---------------------------------------------------------------------- */

/* Tasks that run when the pipe ends, and a data that both sides hold. */
static void is_told_and_can_open_anew(struct linked *linked, struct vine_pipe *pipe,
                                      struct vine_task *task)
{
    assert_int_equal(vine_task_wait(task, LIMIT), -VINE_EPEERLOST);
    vine_task_free(task);
    wait_until_over(pipe, -VINE_EPEERLOST);
    vine_pipe_close(pipe);
    gate_set(true);
    fake_take_end(&linked->host, 0, 1);
    pipe = open_pipe(linked, "pci:zip");
    works(pipe);
    vine_pipe_close(pipe);
}

static void an_application_is_told_that_the_other_machine_is_lost(void **state)
{
    struct linked *linked = *state;

    start_appliance(linked);
    for (uint32_t reason = 0; reason <= VINE_STATUS_REASON_RESET; reason++) {
        struct vine_pipe *pipe = open_pipe(linked, "pci:zip");
        struct vine_task *task;

        gate_set(false);
        task = gate_issue(pipe, 1, NULL);
        gate_wait_for(1);
        fake_say(&linked->host, 0, 1, VINE_STATUS_LOST, (enum vine_status_reason)reason);
        is_told_and_can_open_anew(linked, pipe, task);
    }
    served_stop(&linked->served);
}

static void an_application_is_told_that_the_other_machine_has_started_anew(void **state)
{
    struct linked *linked = *state;
    struct vine_pipe *pipe;
    struct vine_task *task;

    start_appliance(linked);
    pipe = open_pipe(linked, "pci:zip");
    task = gate_issue(pipe, 1, NULL);
    gate_wait_for(1);
    fake_take_end(&linked->host, 0, 1);
    is_told_and_can_open_anew(linked, pipe, task);
    served_stop(&linked->served);
}

static void an_appliance_is_told_of_the_end_of_the_other_machine(void **state)
{
    struct linked *linked = *state;
    struct vine_appliance_stats stats;
    uint32_t lost = 0;

    start_appliance(linked);
    for (int how = 0; how < 3; how++) {
        struct vine_pipe *pipe = open_pipe(linked, "pci:zip");

        works(pipe);
        if (how == 0)
            fake_say(&linked->host, 0, 0, VINE_STATUS_LOST, VINE_STATUS_REASON_CRASH);
        else if (how == 1)
            fake_say(&linked->host, 0, 0, VINE_STATUS_ABSENT, VINE_STATUS_REASON_NONE);
        else
            fake_take_end(&linked->host, 0, 0);
        wait_until_closed(linked, ++lost);
        vine_appliance_get_stats(linked->served.appliance, &stats);
        assert_int_equal(stats.pipes_lost, lost);
        assert_int_equal(stats.pipes_open, 0);
        /* One that lives all the same is told why. */
        wait_until_over(pipe, -VINE_EPEERLOST);
        vine_pipe_close(pipe);
        fake_take_end(&linked->host, 0, 0);
    }
    vine_pipe_close(open_pipe(linked, "pci:zip"));
    served_stop(&linked->served);
}

static void a_machine_that_pauses_keeps_its_pipe(void **state)
{
    struct linked *linked = *state;
    struct vine_pipe *pipe;

    start_appliance(linked);
    pipe = open_pipe(linked, "pci:zip");
    for (int end = 0; end < 2; end++) {
        fake_say(&linked->host, 0, end, VINE_STATUS_PAUSED, VINE_STATUS_REASON_NONE);
        assert_int_equal(vine_pipe_status(pipe), 0);
        works(pipe);
        fake_say(&linked->host, 0, end, VINE_STATUS_ATTACHED, VINE_STATUS_REASON_NONE);
        works(pipe);
    }
    assert_int_equal(vine__load_acquire_u32(&linked->closed), 0);
    vine_pipe_close(pipe);
    served_stop(&linked->served);
}

static void a_page_that_is_written_all_the_while_ends_no_pipe(void **state)
{
    struct linked *linked = *state;
    struct vine_pipe *pipe;

    start_appliance(linked);
    pipe = open_pipe(linked, "pci:zip");
    for (int machine = 0; machine < 2; machine++) {
        fake_tear(&linked->host, machine, 0);
        fake_raise_changes(&linked->host, machine);
    }
    for (int i = 0; i < 10; i++) {
        assert_int_equal(vine_pipe_status(pipe), 0);
        works(pipe);
    }
    /* It says it all the same, later. */
    fake_say(&linked->host, 0, 1, VINE_STATUS_LOST, VINE_STATUS_REASON_CRASH);
    wait_until_over(pipe, -VINE_EPEERLOST);
    vine_pipe_close(pipe);
    served_stop(&linked->served);
}

static void a_link_that_is_unplugged_ends_on_both_sides(void **state)
{
    struct linked *linked = *state;
    struct vine_pipe *pipe;
    struct vine_task *task;

    start_appliance(linked);
    pipe = open_pipe(linked, "pci:zip");
    task = gate_issue(pipe, 1, NULL);
    gate_wait_for(1);
    fake_unplug(&linked->host, 0);
    assert_int_equal(vine_task_wait(task, LIMIT), -VINE_EPEERLOST);
    vine_task_free(task);
    wait_until_over(pipe, -VINE_EPEERLOST);
    vine_pipe_close(pipe);
    /* It may be another device's memory by now. */
    assert_int_equal(fake_half(&linked->host, 0, 0)->board.closed.value, 0);
    wait_until_closed(linked, 1);
    gate_set(true);
    served_stop(&linked->served);
}

static void a_link_is_plugged_and_unplugged_while_the_appliance_runs(void **state)
{
    struct linked *linked = *state;
    struct vine_pipe *healthy;
    uint32_t held = 0;

    start_appliance(linked);
    healthy = open_pipe(linked, "pci:zip");
    for (uint32_t i = 0; i < 20; i++) {
        struct vine_pipe *pipe;

        fake_plug(&linked->host, 1, "zap");
        pipe = open_pipe(linked, "pci:zap");
        works(pipe);
        works(healthy);
        fake_unplug(&linked->host, 1);
        wait_until_over(pipe, -VINE_EPEERLOST);
        wait_until_closed(linked, i + 1);
        vine_pipe_close(pipe);
    }
    works(healthy);
    vine_pipe_close(healthy);
    served_stop(&linked->served);
    held = fake_count_held(&linked->host);
    /* Nothing of it is left: as much as when nobody had come yet. */
    start_appliance(linked);
    vine_pipe_close(open_pipe(linked, "pci:zip"));
    served_stop(&linked->served);
    assert_int_equal(fake_count_held(&linked->host), held);
    assert_true(held < 3 * 20);
}

static void several_links_are_served_at_once(void **state)
{
    static const char *const names[FAKE_LINKS] = {"pci:zip", "pci:one", "pci:two", "pci:three"};
    struct linked *linked = *state;
    struct vine_pipe *pipes[FAKE_LINKS];
    struct vine_task *tasks[FAKE_LINKS];

    for (uint32_t i = 1; i < FAKE_LINKS; i++)
        fake_plug(&linked->host, i, names[i] + strlen("pci:"));
    start_appliance(linked);
    for (uint32_t i = 0; i < FAKE_LINKS; i++)
        pipes[i] = open_pipe(linked, i % 2 == 0 ? names[i] : "pci:auto");
    for (uint32_t i = 0; i < FAKE_LINKS; i++)
        tasks[i] = gate_issue(pipes[i], i, NULL);
    gate_set(true);
    for (uint32_t i = 0; i < FAKE_LINKS; i++) {
        assert_int_equal(vine_task_wait(tasks[i], LIMIT), 0);
        vine_task_free(tasks[i]);
    }
    /* The end of one is none of the others'. */
    vanish(pipes[0]);
    fake_say(&linked->host, 1, 1, VINE_STATUS_LOST, VINE_STATUS_REASON_CRASH);
    wait_until_over(pipes[1], -VINE_EPEERLOST);
    vine_pipe_close(pipes[1]);
    for (uint32_t i = 2; i < FAKE_LINKS; i++) {
        works(pipes[i]);
        vine_pipe_close(pipes[i]);
    }
    served_stop(&linked->served);
}

/* What the appliance would give is less at times. */
static void a_pipe_has_no_more_channels_than_the_host_says(void **state)
{
    static const struct {
        uint32_t said, granted;
    } rows[] = {{0, 16}, {2, 2}, {1, 1}, {17, 16}, {UINT32_MAX, 16}};
    struct linked *linked = *state;

    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        struct vine_pipe_limits limits;
        struct vine_pipe *pipe;

        linked->host.links[0].channels = rows[row].said;
        fake_tell(&linked->host, 0);
        start_appliance(linked);
        pipe = open_pipe(linked, "pci:zip");
        vine_pipe_get_limits(pipe, &limits);
        assert_int_equal(limits.channels_max, rows[row].granted);
        works(pipe);
        vine_pipe_close(pipe);
        served_stop(&linked->served);
    }
}

#define LINKED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINKED(a_machine_without_a_link_is_refused),
        LINKED(the_end_of_an_appliance_is_none_for_an_application),
        LINKED(a_pipe_opens_by_the_links_name_and_without),
        LINKED(an_appliance_of_one_link_leaves_the_others_alone),
        LINKED(both_sides_know_how_the_other_calls_itself),
        LINKED(an_end_belongs_to_one_handle),
        LINKED(an_end_belongs_to_one_process_until_that_is_killed),
        LINKED(auto_finds_the_link_that_has_an_appliance),
        LINKED(nobody_is_waited_for_where_the_host_says_that_nobody_is),
        LINKED(a_host_that_writes_all_the_while_is_waited_for),
        LINKED(devices_that_are_smaller_than_the_host_says_are_refused),
        LINKED(a_device_whose_memory_comes_later_is_waited_for),
        LINKED(one_application_after_the_other_is_served),
        LINKED(an_application_that_vanishes_is_followed),
        LINKED(an_application_that_gave_up_is_not_answered_later),
        LINKED(an_appliance_that_shuts_down_says_so),
        LINKED(an_appliance_that_vanishes_and_comes_back_is_another),
        LINKED(an_appliance_knows_whom_those_before_it_have_answered),
        LINKED(whoever_waits_when_an_appliance_comes_back_is_answered),
        LINKED(an_application_is_told_that_the_other_machine_is_lost),
        LINKED(an_application_is_told_that_the_other_machine_has_started_anew),
        LINKED(an_appliance_is_told_of_the_end_of_the_other_machine),
        LINKED(a_machine_that_pauses_keeps_its_pipe),
        LINKED(a_page_that_is_written_all_the_while_ends_no_pipe),
        LINKED(a_link_that_is_unplugged_ends_on_both_sides),
        LINKED(a_link_is_plugged_and_unplugged_while_the_appliance_runs),
        LINKED(several_links_are_served_at_once),
        LINKED(a_pipe_has_no_more_channels_than_the_host_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
