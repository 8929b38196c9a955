/* SPDX-License-Identifier: Apache-2.0 */
/* test: long=1200 */
/*
 * Links between two machines, as a whole: a host, an appliance in one machine, an application at
 * each of several links in the other, all stepped in one thread out of one seed.
 *
 * What may fail, at any step:
 *   applications  close with tasks under way; vanish without a word, also while they wait to be
 *                 answered; come again at once
 *   appliance     shuts down; vanishes without a word; another one comes
 *   machines      stand still and go on; are lost with all that ran there, which the host tells
 *                 later or not at all before they are back
 *   host          says of either end that it is lost, and gives it to somebody else; unplugs links,
 *                 whose memory is zeros then, also between a task and its result's reader, and
 *                 plugs new ones in their place; stops in the middle of writing what it says
 * What may not: other memory holds what was written there, and no side lies (that is what
 * tests/unit/core/talk/test_device_words.c and the fuzzers are for).
 *
 * What holds all the while:
 *   - each task of a pipe that its application keeps ends once: with the right data, or, if any of
 *     the above has befallen its link, with an error that says so;
 *   - a pipe to which nothing has happened is usable, and its tasks end within AWAIT_TURNS turns of
 *     a loop that turns, whatever happens to other links;
 *   - whoever opens a pipe where both sides are there and both are told so gets one;
 *   - when no task is left no memory is held for any; when no pipe is left, nothing is.
 *
 * VINE_TEST_SEED gives the seed, which is printed; the same one makes the same steps.
 */
#include "sim/device_world.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#define AWAIT_TURNS 2000u
#define STEPS       6000u
#define RUNS        2u
#define RUNS_LONG   400u

/* ---- applications ---------------------------------------------------------------------------- */

/* The byte at `at` of the data of task `number`. */
static unsigned char byte_of(uint64_t number, uint32_t at)
{
    return (unsigned char)(number * 31 + at * 7 + at / 256);
}

static void count_call(struct vine_task *task, int status, void *context)
{
    (void)task, (void)status;
    ((struct job *)context)->calls++;
}

static void drop(struct job *job)
{
    vine_task_free(job->task);
    vine_data_free(job->output);
    vine_data_free(job->input);
    memset(job, 0, sizeof *job);
}

static void issue(uint32_t link)
{
    struct application *application = &world.applications[link];
    struct job *job = application->jobs;
    unsigned char bytes[DATA_MAX];
    int error;

    while (job < application->jobs + JOBS && job->task != NULL)
        job++;
    if (application->pipe == NULL || job == application->jobs + JOBS)
        return;
    memset(job, 0, sizeof *job);
    job->number = ++world.issued;
    job->size = (uint32_t)(1 + chance(DATA_MAX));
    for (uint32_t i = 0; i < job->size; i++)
        bytes[i] = byte_of(job->number, i);
    error = vine_data_create(application->pipe, VINE_TYPE_BYTES, job->size, &job->input);
    if (!error)
        error = vine_data_write(job->input, 0, bytes, job->size);
    if (!error)
        error = vine_data_expect(application->pipe, VINE_TYPE_BYTES, job->size, &job->output);

    const struct vine_task_options options = {
        .size_bytes = sizeof options,
        .inputs = &job->input,
        .input_count = 1,
        .outputs = &job->output,
        .output_count = 1,
        .callback = count_call,
        .context = job,
    };

    if (!error)
        error = vine_task_issue(application->pipe, application->procedures[chance(2)], &options,
                                &job->task);
    if (!error)
        return;
    assert_true(application->is_faulted || error == -EAGAIN);
    drop(job);
}

static bool is_honest(int error)
{
    return error == -VINE_EPEERLOST || error == -VINE_EDRAINING || error == -VINE_ECLOSED;
}

/* What a task has made is right, or it is known that it is not. */
static void read_result(const struct application *application, const struct job *job)
{
    unsigned char bytes[DATA_MAX];
    const unsigned char *const seen = vine_data_view(job->output);
    const bool is_right = seen[0] == byte_of(job->number, 0);

    assert_int_equal(vine_data_size(job->output), job->size);
    if (!is_right)
        assert_int_equal(vine_data_check(job->output), -VINE_EPEERLOST);

    const int error = vine_data_read(job->output, 0, bytes, job->size);

    if (error != 0) {
        assert_true(application->is_faulted && error == -VINE_EPEERLOST);
        return;
    }
    for (uint32_t i = 0; i < job->size; i++)
        if (bytes[i] != byte_of(job->number, i))
            fail_msg("step %llu: byte %u is wrong", (unsigned long long)world.step, i);
}

static void collect(struct application *application, struct job *job)
{
    const int status = vine_task_poll(job->task);

    assert_true(job->calls <= 1);
    if (status == -EAGAIN) {
        assert_int_equal(job->calls, 0);
        return;
    }
    assert_int_equal(job->calls, 1);
    if (status != 0) {
        if (!application->is_faulted || !is_honest(status))
            fail_msg("step %llu: a task ended with %d, faulted %d", (unsigned long long)world.step,
                     status, application->is_faulted);
        world.lost++;
    } else {
        if (!world.is_settling && chance(64) == 0)
            unplug((uint32_t)(application - world.applications));
        read_result(application, job);
        world.done++;
    }
    drop(job);
}

/* Returns how many of its tasks have not ended. */
static uint32_t poll(uint32_t link)
{
    struct application *application = &world.applications[link];
    uint32_t left = 0;

    if (application->pipe == NULL)
        return 0;

    const int status = vine_pipe_poll(application->pipe);

    if (status < 0 && (!application->is_faulted || !is_honest(status)))
        fail_msg("step %llu: a pipe ended with %d, faulted %d", (unsigned long long)world.step,
                 status, application->is_faulted);
    for (uint32_t i = 0; i < JOBS; i++) {
        if (application->jobs[i].task != NULL)
            collect(application, &application->jobs[i]);
        left += application->jobs[i].task != NULL;
    }
    assert_true(status >= 0 || left == 0);
    return left;
}

static void leave(uint32_t link, bool is_killed)
{
    static struct vine_half_layout unread;
    struct application *application = &world.applications[link];

    if (application->pipe == NULL)
        return;
    /* What one that is killed would say of that, nobody reads. */
    if (is_killed) {
        application->pipe->half.layout = &unread;
        vine__pipe_break(application->pipe, -VINE_EPEERLOST, false, "killed");
    }
    for (uint32_t i = 0; i < JOBS; i++) {
        struct job *job = &application->jobs[i];

        if (job->task == NULL)
            continue;
        vine_task_free(job->task);
        vine_data_free(job->output);
        vine_data_free(job->input);
        assert_true(job->calls <= 1);
    }
    vine_pipe_close(application->pipe);
    memset(application, 0, sizeof *application);
}

/* ---- opening --------------------------------------------------------------------------------- */

struct opening {
    uint32_t link;
    uint64_t timeout_ns;
    struct vine_pipe *pipe;
    int result;
    uint32_t is_over; /* atomic */
};

static void *open_now(void *context)
{
    struct opening *opening = context;
    const struct vine_pipe_options options = {
        .size_bytes = sizeof options,
        .log = keep_quiet,
        .spin_ns = 1,
        .connect_timeout_ns = opening->timeout_ns,
    };
    char address[32];

    (void)snprintf(address, sizeof address, "pci:link%u", opening->link);
    opening->result = vine_pipe_open(address, &options, &opening->pipe);
    vine__store_release_u32(&opening->is_over, 1);
    return NULL;
}

/* An opening waits, and so it has a thread: which does nothing but wait from when it has called
 * until it is answered, so that chance has no part in it. */
static void open_answered(struct opening *opening)
{
    const struct vine_board_layout *ours = &fake_half(&world.host, opening->link, 0)->board;
    const struct vine_board_layout *theirs = &fake_half(&world.host, opening->link, 1)->board;
    const uint64_t old = vine__load_relaxed_u64(&ours->meeting);
    uint64_t meeting = old;
    pthread_t thread;

    opening->timeout_ns = 60 * VINE_NS_PER_SECOND;
    assert_int_equal(pthread_create(&thread, NULL, open_now, opening), 0);
    while ((meeting == 0 || meeting == old) && vine__load_acquire_u32(&opening->is_over) == 0) {
        (void)sched_yield();
        meeting = vine__load_acquire_u64(&ours->meeting);
    }
    for (uint32_t i = 0; vine__load_acquire_u64(&theirs->meeting) != meeting; i++) {
        if (i == AWAIT_TURNS)
            fail_msg("step %llu: link %u is not answered", (unsigned long long)world.step,
                     opening->link);
        turn();
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* Any entry of the applications' machine may become the one that is looked for. */
static bool is_page_torn(void)
{
    return world.is_torn[0][0] || world.is_torn[0][1] || world.is_torn[0][2] || world.is_torn[0][3];
}

static void open_pipe(uint32_t link)
{
    struct application *application = &world.applications[link];
    struct opening opening = {.link = link, .timeout_ns = 1};
    const bool is_told = world.host.links[link].is_plugged && is_there(link, 1);

    if (application->pipe != NULL)
        return;
    fake_use(&world.host, 0);
    if (!is_told || !is_served() || !is_there(link, 0) || world.is_torn[0][link] ||
        world.is_torn[1][link]) {
        (void)open_now(&opening);
        assert_int_equal(opening.result,
                         is_told || is_page_torn() ? -ETIMEDOUT : -VINE_ENOAPPLIANCE);
        /* It may also have been killed while it waited. */
        if (chance(2))
            fake_half(&world.host, link, 0)->board.closed.value = 0;
        return;
    }
    open_answered(&opening);
    assert_int_equal(opening.result, 0);
    application->pipe = opening.pipe;
    application->is_faulted = false;
    application->operations = *opening.pipe->link.operations;
    application->operations.rest = rest;
    opening.pipe->link.operations = &application->operations;
    opening.pipe->look_ticks = 0;
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            vine_procedure_get(application->pipe, procedures[i].name, &application->procedures[i]),
            0);
    for (uint32_t i = 0; i < 20; i++) {
        (void)poll(link);
        turn();
    }
    application->held = held_for(link);
    world.opened++;
}

/* ---- machines -------------------------------------------------------------------------------- */

static void pause_machine(int machine)
{
    world.is_paused[machine] = !world.is_paused[machine];
    if (chance(2))
        say_of_machine(machine,
                       world.is_paused[machine] ? VINE_STATUS_PAUSED : VINE_STATUS_ATTACHED);
}

/* All that ran there is gone; the host may say so later. */
static void crash_machine(int machine)
{
    if (world.is_down[machine])
        return;
    world.is_paused[machine] = false;
    if (machine == 1)
        kill_appliance();
    for (uint32_t i = 0; machine == 0 && i < FAKE_LINKS; i++)
        leave(i, true);
    world.is_down[machine] = true;
    if (chance(2))
        say_of_machine(machine, VINE_STATUS_LOST);
}

static void return_machine(int machine)
{
    if (!world.is_down[machine])
        return;
    world.is_down[machine] = false;
    for (uint32_t i = 0; i < FAKE_LINKS; i++)
        regain(i, machine);
}

/* ---- what has to hold ------------------------------------------------------------------------ */

/* A pipe to which nothing has happened brings its tasks to their end. */
static void await(uint32_t link)
{
    uint32_t turns = 0;

    if (world.applications[link].is_faulted || !is_served() || world.is_paused[0])
        return;
    while (poll(link) > 0) {
        if (turns++ == AWAIT_TURNS)
            fail_msg("step %llu: the tasks of link %u do not end", (unsigned long long)world.step,
                     link);
        turn();
    }
}

static void turn_until_nobody_is_served(void)
{
    for (uint32_t i = 0; world.appliance->pipe_count > 0; i++) {
        if (i == AWAIT_TURNS)
            fail_msg("step %llu: %u pipes are left", (unsigned long long)world.step,
                     world.appliance->pipe_count);
        turn();
    }
}

/* All goes on, all tasks end, and nothing is left of them; all pipes end, and nothing is left. */
static void settle(void)
{
    static uint32_t held;

    world.is_settling = true;
    for (int machine = 0; machine < 2; machine++) {
        for (uint32_t i = 0; i < FAKE_LINKS; i++)
            mend(i, machine);
        world.is_paused[machine] = false;
        return_machine(machine);
        say_of_machine(machine, VINE_STATUS_ATTACHED);
    }
    for (uint32_t i = 0; i < FAKE_LINKS; i++) {
        plug(i);
        for (int end = 0; end < 2; end++)
            if (!is_there(i, end))
                regain(i, end);
    }
    start_appliance();
    for (uint32_t i = 0; i < FAKE_LINKS; i++) {
        struct application *application = &world.applications[i];

        await(i);
        for (uint32_t turns = 0; turns < 50; turns++) {
            (void)poll(i);
            turn();
        }
        if (application->pipe != NULL && !application->is_faulted) {
            const struct held now = held_for(i);

            assert_int_equal(now.ours, application->held.ours);
            assert_int_equal(now.theirs, application->held.theirs);
            assert_int_equal(now.quota, application->held.quota);
        }
        /* And whatever has befallen it has ended it. */
        if (application->pipe != NULL && application->is_faulted)
            assert_int_not_equal(vine_pipe_status(application->pipe), 0);
        leave(i, chance(2));
    }
    /* Whoever was killed is followed by nobody: the host says it. */
    for (uint32_t i = 0; i < FAKE_LINKS; i++)
        fake_say(&world.host, i, 0, VINE_STATUS_LOST, VINE_STATUS_REASON_CRASH);
    turn_until_nobody_is_served();
    assert_true(world.settled == 0 || fake_count_held(&world.host) == held);
    held = fake_count_held(&world.host);
    for (uint32_t i = 0; i < FAKE_LINKS; i++) {
        fake_take_end(&world.host, i, 0);
        open_pipe(i);
        assert_non_null(world.applications[i].pipe);
        issue(i);
        await(i);
    }
    world.settled++;
    world.is_settling = false;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void step_application(uint64_t what, uint32_t link)
{
    if (world.is_paused[0] || world.is_down[0])
        return;
    if (what < 30)
        for (uint64_t count = 1 + chance(4); count > 0; count--)
            issue(link);
    else if (what < 50)
        (void)poll(link);
    else if (what < 62)
        open_pipe(link);
    else if (what < 65)
        leave(link, chance(2));
    else
        await(link);
}

static void step_host(uint64_t what, uint32_t link)
{
    const int machine = (int)chance(2);

    switch (what) {
    case 0:
        lose(link, machine);
        break;
    case 1:
    case 2:
        regain(link, machine);
        break;
    case 3:
        unplug(link);
        break;
    case 4:
    case 5:
        plug(link);
        break;
    case 6:
        tear(link, machine);
        break;
    case 7:
    case 8:
        mend(link, 0);
        mend(link, 1);
        break;
    case 9:
        if (world.is_paused[machine] || chance(3) == 0)
            pause_machine(machine);
        break;
    case 10:
        if (chance(4) == 0)
            crash_machine(machine);
        break;
    default:
        for (int i = 0; i < 2; i++) {
            return_machine(i);
            if (world.is_paused[i])
                pause_machine(i);
        }
        break;
    }
}

static void step(void)
{
    const uint64_t what = chance(128);
    const uint32_t link = (uint32_t)chance(FAKE_LINKS);

    if (what < 68)
        step_application(what, link);
    else if (what < 108)
        for (uint64_t turns = 1 + chance(4); turns > 0; turns--)
            turn();
    else if (what < 114)
        start_appliance();
    else if (what < 124)
        step_host(chance(12), link);
    else if (what == 124 && chance(2))
        kill_appliance();
    else if (what == 125 && chance(2))
        stop_appliance();
    else if (what == 126 && chance(2))
        settle();
}

static void run(uint64_t seed)
{
    print_message("seed %llu: ", (unsigned long long)seed);
    memset(&world, 0, sizeof world);
    world.chance = seed;
    fake_start(&world.host);
    for (uint32_t i = 0; i < FAKE_LINKS; i++)
        plug(i);
    start_appliance();
    for (world.step = 0; world.step < STEPS; world.step++)
        step();
    settle();
    for (uint32_t i = 0; i < FAKE_LINKS; i++)
        leave(i, false);
    vine_appliance_destroy(world.appliance);
    fake_stop(&world.host);
    print_message("%llu pipes, %llu tasks done, %llu lost, settled %llu times\n",
                  (unsigned long long)world.opened, (unsigned long long)world.done,
                  (unsigned long long)world.lost, (unsigned long long)world.settled);
    assert_true(world.done > 0);
}

static void whatever_befalls_a_link_each_task_ends_once_and_nothing_is_left(void **state)
{
    const char *given = getenv("VINE_TEST_SEED");
    const uint64_t first = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) << 10;
    const uint32_t runs = getenv("VINE_TEST_LONG") != NULL ? RUNS_LONG : RUNS;

    (void)state;
    for (uint32_t i = 0; i < runs; i++)
        run(first + i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_befalls_a_link_each_task_ends_once_and_nothing_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
