/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=world links=runtime long=2400 */
/*
 * An appliance on all cores, and applications of all kinds, with libvine's two ends as they are:
 * one thread, one seed.
 *
 * What may fail: applications close with tasks under way, vanish without a word, look for their
 * results late or never, fill every ring, cancel; handlers raise, crash, take more memory than
 * there is, and never end; there are more tasks than micro-processes; the appliance shuts down,
 * with or without patience, and another one comes; another one takes its place, and may shut down
 * before it has all pipes; pipes move from core to core, whatever they are at; cores stand still.
 *
 * What holds: each task that was taken ends once. It has the right result or the error that its
 * handler is known for; where somebody cancelled it or the appliance left, one that says so. What
 * goes through a stream comes back, all of it and in order, or the stream says that it will not. A
 * pipe to which nothing has happened can be opened, and is open; to move, or to go on with whoever
 * takes its appliance's place, is nothing. In the end nothing is left: no pipe, no micro-process,
 * no memory, no descriptor.
 */
#include "sim/serving_world.h"

#include <vine/stream.h>
#include <vine/talk.h>

#include "utils/container_of.h"

#include <dirent.h>
#include <sys/mman.h>

/* core/talk/pipe_internal.h, whose threads are others than those of reactors. */
void vine__pipe_break(struct vine_pipe *pipe, int error, bool tell, const char *why);

#define RUNS             400
#define RUNS_PLANT       40
#define APPLICATIONS_MAX 6
#define JOBS             24
#define TASKS            1500 /* a run */
#define TASKS_LONG       1000000
#define STREAM_BYTES     20000U

/* Rules that are broken on purpose. */
static enum { PLANT_NONE, PLANT_RESULT, PLANT_TASK, PLANT_PIPE } plant;

struct job {
    struct vine_task *task; /* NULL: free */
    struct vine_data *input, *output;
    uint32_t number, size, calls;
    uint32_t procedure;
    bool is_cancelled;
};

struct application {
    struct world_event event;
    struct vine_pipe *pipe; /* NULL: not there */
    struct vine_procedure *procedures[OFFERED];
    struct job jobs[JOBS];
    struct vine_stream *stream;
    uint32_t written, read; /* bytes of the stream */
    uint32_t life;          /* of the appliance, that it was opened in */
};

/* Of all runs: the process of a batch writes, and the one that waits for it reads. */
static struct counts {
    uint64_t issued, right, failed, cancelled, refused, lost, abandoned, streams;
    uint64_t pipes_moved, taken_over, renewed;
} *counts;

static struct {
    struct application applications[APPLICATIONS_MAX];
    uint32_t application_count;
    uint32_t issued;
    bool is_settling;
} run;

static unsigned char byte_of(uint64_t number, uint32_t at)
{
    return (unsigned char)(number * 31 + at * 7 + at / 256);
}

/* Whether the appliance that it was opened at may have left it. */
static bool is_left(const struct application *application)
{
    return application->life != appliance.lives || appliance.now == NULL || appliance.is_leaving;
}

static bool is_of_leaving(int error)
{
    return error == -VINE_EPEERLOST || error == -VINE_EDRAINING || error == -VINE_ECLOSED ||
           error == -VINE_ECANCELED;
}

/* ---- tasks ----------------------------------------------------------------------------------- */

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

/* Handlers that end well are asked for more often. */
static uint32_t any_procedure(void)
{
    return world_chance(8) == 0 ? (uint32_t)world_chance(OFFERED) : (uint32_t)world_chance(SLEEPS);
}

/* Returns whether there may be room for another one. */
static bool issue(struct application *application)
{
    struct job *job = application->jobs;
    unsigned char bytes[DATA_MAX];
    int error;

    while (job < application->jobs + JOBS && job->task != NULL)
        job++;
    if (job == application->jobs + JOBS)
        return false;
    *job = (struct job){.number = ++run.issued, .procedure = any_procedure()};
    job->size = (uint32_t)(1 + world_chance(world_chance(4) == 0 ? DATA_MAX : 30));
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
        error = vine_task_issue(application->pipe, application->procedures[job->procedure],
                                &options, &job->task);
    if (error) {
        world_holds(error == -EAGAIN || error == -VINE_EQUOTA ||
                        (is_left(application) && is_of_leaving(error)),
                    "task %u cannot be issued: %d", job->number, error);
        drop(job);
        return false;
    }
    counts->issued++;
    return true;
}

static void check_result(const struct job *job)
{
    unsigned char bytes[DATA_MAX];

    world_holds(vine_data_size(job->output) == job->size, "task %u: %llu bytes of %u", job->number,
                (unsigned long long)vine_data_size(job->output), job->size);
    world_holds(vine_data_read(job->output, 0, bytes, job->size) == 0,
                "what task %u made cannot be read", job->number);
    for (uint32_t i = 0; i < job->size; i++)
        world_holds(bytes[i] == byte_of(job->number + (plant == PLANT_RESULT), i),
                    "task %u: byte %u is wrong", job->number, i);
}

static void check_end(const struct application *application, const struct job *job, int status)
{
    const int own = status_of[job->procedure];

    if (plant == PLANT_TASK && job->number == 100)
        return;
    if (status == 0 && own == 0) {
        check_result(job);
        counts->right++;
    } else if (status == -VINE_ECANCELED && job->is_cancelled) {
        counts->cancelled++;
    } else if (is_of_leaving(status) && is_left(application)) {
        counts->lost++;
    } else if (status == -VINE_EQUOTA && job->procedure >= ECHOES) {
        counts->refused++;
    } else {
        world_holds(status == own && own != 0, "task %u of %s ended with %d", job->number,
                    offered[job->procedure].name, status);
        counts->failed++;
    }
}

/* Returns how many have not ended. */
static uint32_t collect(struct application *application)
{
    const int state = vine_pipe_poll(application->pipe);
    uint32_t left = 0;

    world_holds(state >= 0 || (is_left(application) && is_of_leaving(state)),
                "a pipe ended with %d", state);
    for (uint32_t i = 0; i < JOBS; i++) {
        struct job *const job = &application->jobs[i];
        const int status = job->task != NULL ? vine_task_poll(job->task) : 0;

        if (job->task == NULL)
            continue;
        if (status == -EAGAIN) {
            left++;
            continue;
        }
        world_holds(job->calls == 1, "the callback of task %u was called %u times", job->number,
                    job->calls);
        world_trace(job->number, (uint64_t)status);
        check_end(application, job, status);
        drop(job);
    }
    world_holds(state >= 0 || left == 0, "a pipe ended before %u of its tasks", left);
    return left;
}

static void cancel(struct application *application, bool all)
{
    for (uint32_t i = 0; i < JOBS; i++) {
        struct job *const job = &application->jobs[i];

        if (job->task == NULL || (!all && world_chance(4) != 0))
            continue;
        job->is_cancelled = true;
        (void)!vine_task_cancel(job->task);
    }
}

/* ---- streams --------------------------------------------------------------------------------- */

/* How a stream ends to which nothing happened: when all has come back. */
static void see_stream_end(struct application *application, int error)
{
    if (error == 0)
        world_holds(application->read == STREAM_BYTES, "a stream ended after %u bytes",
                    application->read);
    else
        world_holds((is_left(application) && is_of_leaving(error)) || error == -VINE_EQUOTA,
                    "a stream ended with %d", error);
    counts->streams += error == 0;
    world_trace(application->read, (uint64_t)error);
    vine_stream_close(application->stream);
    application->stream = NULL;
}

/* Write a piece of it. Returns 0 or an error. */
static int write_on(struct application *application)
{
    unsigned char piece[2000];
    size_t size = world_between(1, sizeof piece);
    size_t part = 0;

    if (application->written == STREAM_BYTES)
        return vine_stream_end(application->stream, 0);
    if (size > STREAM_BYTES - application->written)
        size = STREAM_BYTES - application->written;
    for (size_t i = 0; i < size; i++)
        piece[i] = byte_of(0, application->written + (uint32_t)i);

    const int error = vine_stream_write(application->stream, piece, size, 0, &part);

    application->written += (uint32_t)part;
    return error;
}

static void move_stream(struct application *application)
{
    unsigned char piece[3000];
    size_t size = 0;
    int error = 0;

    if (application->stream == NULL) {
        if (run.is_settling || vine_stream_open(application->pipe, application->procedures[ECHOES],
                                                NULL, &application->stream) != 0)
            return;
        application->written = application->read = 0;
    }
    for (uint64_t count = world_chance(6); count > 0 && !error; count--)
        error = write_on(application);
    if (error == 0 || error == -EAGAIN || error == -EPIPE || error == -VINE_EQUOTA)
        error =
            vine_stream_read(application->stream, piece, world_between(1, sizeof piece), 0, &size);
    if (error == -EAGAIN)
        return;
    for (size_t i = 0; i < size && error == 0; i++)
        world_holds(piece[i] == byte_of(0, application->read++),
                    "byte %u of a stream is another one", application->read - 1);
    if (error != 0 || size == 0)
        see_stream_end(application, error);
}

/* ---- pipes ----------------------------------------------------------------------------------- */

static void leave(struct application *application, bool is_killed)
{
    struct vine_pipe_stats stats;

    vine_pipe_get_stats(application->pipe, &stats);
    counts->renewed += stats.renewals;
    /* One that is killed says nothing any more. */
    if (is_killed)
        vine__pipe_break(application->pipe, -VINE_EPEERLOST, false, "killed");
    for (uint32_t i = 0; i < JOBS; i++) {
        struct job *const job = &application->jobs[i];

        world_holds(job->calls <= 1, "task %u was told of %u times", job->number, job->calls);
        counts->abandoned += job->task != NULL;
        if (job->task != NULL)
            drop(job);
    }
    vine_stream_close(application->stream);
    vine_pipe_close(application->pipe);
    application->stream = NULL;
    application->pipe = NULL;
}

static void open_pipe(struct application *application)
{
    const struct vine_pipe_options options = {
        .size_bytes = sizeof options,
        .log = keep_quiet,
        .spin_ns = 1,
        .connect_timeout_ns = VINE_NS_PER_SECOND,
    };
    const uint32_t life = appliance.lives;
    const bool was_there = appliance.now != NULL && !appliance.is_leaving;
    int error = vine_pipe_open(appliance.path, &options, &application->pipe);

    application->life = life;
    for (uint32_t i = 0; i < OFFERED && !error; i++)
        error = vine_procedure_get(application->pipe, offered[i].name, &application->procedures[i]);
    world_holds(error == 0 || !was_there || is_left(application), "a pipe cannot be opened: %d",
                error);
    world_trace(life, (uint64_t)error);
    if (!error)
        return;
    vine_pipe_close(application->pipe);
    application->pipe = NULL;
}

/* ---- what they do ---------------------------------------------------------------------------- */

static void act(struct world_event *event);

static void act_soon(struct application *application)
{
    world_after(&application->event, 100, world_chance(64) == 0 ? 5 * MS : 40 * US, act);
}

static void do_something(struct application *application)
{
    const uint64_t what = world_chance(128);

    if (what < 40)
        for (uint64_t count = 1 + world_chance(4); count > 0 && issue(application); count--)
            continue;
    else if (what < 44)
        while (issue(application))
            continue;
    else if (what < 64)
        move_stream(application);
    else if (what < 68)
        cancel(application, false);
    else if (what == 68 || what == 69)
        leave(application, what == 68);
    else if (collect(application) > 0 && world_chance(64) == 0)
        cancel(application, true);
}

/* It issues nothing more; all that is under way ends, and then its pipe. */
static void settle(struct application *application)
{
    cancel(application, true);
    if (application->stream != NULL)
        move_stream(application);
    else if (collect(application) == 0)
        leave(application, false);
}

static void act(struct world_event *event)
{
    struct application *const application = VINE_CONTAINER_OF(event, struct application, event);

    if (appliance.is_starting) { /* who waits for it would keep it from that */
        act_soon(application);
        return;
    }
    if (application->pipe != NULL && vine_pipe_status(application->pipe) != 0) {
        (void)collect(application);
        leave(application, false);
    }
    if (run.is_settling && application->pipe == NULL)
        return;
    if (application->pipe == NULL)
        open_pipe(application);
    else if (run.is_settling)
        settle(application);
    else
        do_something(application);
    act_soon(application);
}

/* ---- a run ----------------------------------------------------------------------------------- */

static uint32_t count_descriptors(void)
{
    DIR *const folder = opendir("/proc/self/fd");
    uint32_t count = 0;

    world_holds(folder != NULL, "no /proc");
    while (readdir(folder) != NULL)
        count++;
    (void)closedir(folder);
    return count;
}

static bool is_any_there(void)
{
    for (uint32_t i = 0; i < run.application_count; i++)
        if (run.applications[i].pipe != NULL)
            return true;
    return false;
}

/* What is left of them once they are gone, and the appliance has seen that. */
static void see_nothing_left(void)
{
    struct vine_appliance_stats stats;

    appliance.stays = true;
    run.is_settling = true;
    while (is_any_there() || appliance.now == NULL || appliance.is_leaving ||
           appliance.former != NULL)
        world_run_for(MS);
    do {
        world_run_for(2 * MS);
        (void)vine__reactor_enter(world.reactors[0]);
        vine_appliance_get_stats(vine_serving_appliance(appliance.now), &stats);
    } while (stats.pipes_open > 0);
    world_never(&appliance.moving);
    /* Micro-processes that were cancelled end by themselves, or by force after a second. */
    world_run_for(3 * VINE_NS_PER_SECOND);
    (void)vine__reactor_enter(world.reactors[0]);
    vine_appliance_get_stats(vine_serving_appliance(appliance.now), &stats);
    for (uint32_t core = 0; core < appliance.now->core_count; core++)
        world_holds(vine__coroutines_count(appliance.now->parts[core].coroutines) == 0,
                    "core %u has %u streams left", core,
                    vine__coroutines_count(appliance.now->parts[core].coroutines));
    world_holds(stats.tasks_running == 0, "%u tasks are left", stats.tasks_running);
}

static void serve(uint64_t seed)
{
    const uint32_t descriptors = count_descriptors();
    char lock[80];

    world_open(seed, &(struct world_options){.core_count = (uint32_t)(1 + seed % 4),
                                             .pause_chance = seed % 3 == 0 ? 2 : 0});
    memset(&run, 0, sizeof run);
    memset(&appliance, 0, sizeof appliance);
    appliance.micro_processes_max = world_chance(4) == 0 ? 8 : 256;
    (void)snprintf(appliance.folder, sizeof appliance.folder, "/tmp/vine-test-XXXXXX");
    world_holds(mkdtemp(appliance.folder) != NULL, "no folder");
    (void)snprintf(appliance.path, sizeof appliance.path, "%s/socket", appliance.folder);
    appliance.loses_pipes = plant == PLANT_PIPE;
    appliance_start(NULL);
    if (world.core_count > 1)
        world_after(&appliance.moving, 0, MS, appliance_move);
    run.application_count = (uint32_t)(1 + world_chance(APPLICATIONS_MAX));
    for (uint32_t i = 0; i < run.application_count; i++)
        act_soon(&run.applications[i]);
    while (run.issued < TASKS)
        world_run_for(MS);
    see_nothing_left();
    (void)vine__reactor_enter(world.reactors[0]);
    appliance.is_over = true;
    vine_stop(0);
    world_run();
    world_close();
    (void)unlink(appliance.path);
    (void)snprintf(lock, sizeof lock, "%s.lock", appliance.path);
    (void)unlink(lock);
    (void)rmdir(appliance.folder);
    counts->pipes_moved += appliance.pipes_moved;
    counts->taken_over += appliance.taken_over;
    world_holds(count_descriptors() == descriptors, "%u descriptors were, %u are open", descriptors,
                count_descriptors());
    world_holds(counts->issued == counts->right + counts->failed + counts->cancelled +
                                      counts->refused + counts->lost + counts->abandoned,
                "of %llu tasks not all are accounted for", (unsigned long long)counts->issued);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void each_task_ends_once_whatever_befalls(void **state)
{
    (void)state;
    memset(counts, 0, sizeof *counts);
    world_try_seeds(serve, RUNS);
    print_message("of %llu tasks %llu were right, %llu failed as they had to, %llu were cancelled, "
                  "%llu refused, %llu lost and %llu abandoned; %llu streams; %llu pipes moved, "
                  "%llu appliances were taken over, and %llu pipes went on\n",
                  (unsigned long long)counts->issued, (unsigned long long)counts->right,
                  (unsigned long long)counts->failed, (unsigned long long)counts->cancelled,
                  (unsigned long long)counts->refused, (unsigned long long)counts->lost,
                  (unsigned long long)counts->abandoned, (unsigned long long)counts->streams,
                  (unsigned long long)counts->pipes_moved, (unsigned long long)counts->taken_over,
                  (unsigned long long)counts->renewed);
    if (getenv("VINE_TEST_RUNS") == NULL)
        assert_true(counts->right > 0 && counts->failed > 0 && counts->cancelled > 0 &&
                    counts->refused > 0 && counts->lost > 0 && counts->abandoned > 0 &&
                    counts->streams > 0 && counts->pipes_moved > 0 && counts->taken_over > 0 &&
                    counts->renewed > 0);
    if (getenv("VINE_TEST_LONG") != NULL)
        assert_true(counts->issued >= TASKS_LONG);
}

static void the_same_seed_makes_the_same_run(void **state)
{
    (void)state;
    world_try_traces(serve);
}

static void what_is_broken_on_purpose_is_found(void **state)
{
    (void)state;
    for (plant = PLANT_RESULT; plant <= PLANT_PIPE; plant++)
        assert_true(world_finds(serve, RUNS_PLANT));
    plant = PLANT_NONE;
}

/* Of all those that crash. */
static void say_nothing(void *context, const char *module, enum vine_log_level level,
                        const char *line)
{
    (void)context, (void)module, (void)level, (void)line;
}

int main(void)
{
    static const struct vine_log_target nobody = {.fn = say_nothing};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_makes_the_same_run),
        cmocka_unit_test(what_is_broken_on_purpose_is_found),
        cmocka_unit_test(each_task_ends_once_whatever_befalls),
    };

    vine_log_direct(&nobody);
    counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return counts == MAP_FAILED ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
