/* SPDX-License-Identifier: Apache-2.0 */
/* needs: runtime */
/*
 * Many pipes and channels at one appliance on one reactor: what a task of ten busy channels costs
 * among 10,000, how many tasks a second 64 applications get beside one, and what an application
 * with little to do waits beside one that floods.
 *
 *   bench_crowd [ROUNDS]    15 without
 *
 * The appliance has the last processor, and applications have the first: at most one of them runs
 * at a time. So a flood and who waits beside it are one thread by turns, and so are ten channels;
 * the 64 applications are processes.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <vine/runtime.h>
#include <vine/serving.h>

#include "duet.h"
#include "serving.h"
#include "utils/atomic.h"

#define PIPES        1000u
#define CHANNELS     10u /* a pipe */
#define BUSY         10u
#define EACH         4u /* tasks in flight on each of them */
#define APPLICATIONS 64u
#define FLOOD        128u /* tasks in flight */
#define TRIPS        1000u
#define TRIES        3 /* of each figure but rates in a round, of which the best counts */
#define WARM_UP      200u
#define TASKS        8000u
/* That applications have in a round: the scheduler comes around to all of them in less. */
#define TURN_NS 500000000u
#define BURN_NS 200 /* a task of the flood */
#define QUIET_S 4

/* ---- the appliance --------------------------------------------------------------------------- */

static const char *path;
static const struct vine_appliance_options *how;

static int run_burn(struct vine_call *call)
{
    const uint64_t start_ns = bench_now_ns();

    (void)call;
    while (bench_now_ns() - start_ns < BURN_NS)
        continue;
    return 0;
}

static const struct vine_procedure_definition burn = {
    .size_bytes = sizeof(burn),
    .name = "burn",
    .flags = VINE_PROCEDURE_SHORT,
    .run = run_burn,
};

static int begin(int argc, char **argv)
{
    const struct vine_serving_options options = {.size_bytes = sizeof(options), .appliance = how};
    struct vine_serving *serving = NULL;

    (void)argc;
    (void)argv;
    bench_check(vine_serving_create(&options, &serving), "create");
    bench_serving_offer(vine_serving_appliance(serving));
    bench_check(vine_appliance_register(vine_serving_appliance(serving), &burn), "register");
    bench_check(vine_serving_start(serving, path), "start");
    return VINE_MAIN_GOES_ON;
}

/* On the processor that it is pinned to: one core. */
static void serve(const char *at, const struct vine_appliance_options *options)
{
    char name[] = "bench_crowd", cores[] = "--smp=1";
    char *arguments[] = {name, cores, NULL};

    path = at;
    how = options;
    bench_require(vine_main(2, arguments, NULL, begin) == 0, "reactors");
}

static void start(struct bench_serving *serving)
{
    bench_serving_start(serving,
                        &(struct bench_serving_options){.is_pinned = true, .serve = serve});
}

/* ---- applications ---------------------------------------------------------------------------- */

static void open_application(struct bench_application *application,
                             const struct bench_serving *serving)
{
    const struct vine_pipe_options options = {
        .size_bytes = sizeof(options),
        .name = "crowd",
        .tasks_max = 128,
    };
    int error = -VINE_ENOAPPLIANCE;

    for (int tries = 0; error == -VINE_ENOAPPLIANCE && tries < 10000; tries++) {
        error = vine_pipe_open(serving->path, &options, &application->pipe);
        if (error == -VINE_ENOAPPLIANCE)
            (void)usleep(1000);
    }
    bench_check(error, "open");
    application->noop = bench_application_procedure(application, "noop");
}

static struct vine_task *issue(const struct bench_application *application,
                               struct vine_procedure *procedure)
{
    struct vine_task *task = NULL;

    bench_check(vine_task_issue(application->pipe, procedure, NULL, &task), "issue");
    return task;
}

static void end(struct vine_task *task)
{
    bench_check(vine_task_wait(task, VINE_FOREVER), "wait");
    vine_task_free(task);
}

/* Ten busy channels, one of each of as many pipes. */
struct busy {
    struct bench_application *applications[BUSY];
    struct vine_task *tasks[BUSY][EACH];
};

/* ns a task, once. */
static double try_busy_ns(struct busy *busy, uint64_t count)
{
    uint64_t start_ns = 0;

    for (uint64_t n = 0; n < count + WARM_UP; n += BUSY) {
        const uint32_t place = n / BUSY % EACH;

        if (n == WARM_UP)
            start_ns = bench_now_ns();
        for (uint32_t i = 0; i < BUSY; i++) {
            if (busy->tasks[i][place] != NULL)
                end(busy->tasks[i][place]);
            busy->tasks[i][place] = issue(busy->applications[i], busy->applications[i]->noop);
        }
    }

    const uint64_t took_ns = bench_now_ns() - start_ns;

    for (uint32_t i = 0; i < BUSY; i++)
        for (uint32_t place = 0; place < EACH; place++) {
            end(busy->tasks[i][place]);
            busy->tasks[i][place] = NULL;
        }
    return (double)took_ns / (double)count;
}

/* Whoever else wants one of the processors gets it, for as long as some thousand tasks take: what
 * was disturbed least counts. */
static double busy_ns(struct busy *busy)
{
    double least_ns = try_busy_ns(busy, TASKS);

    for (int n = 1; n < TRIES; n++)
        least_ns = fmin(least_ns, try_busy_ns(busy, TASKS));
    return least_ns;
}

static struct bench_application crowd[PIPES];

/* A channel for this thread in each pipe. */
static void *use_all(void *unused)
{
    for (uint32_t n = 0; n < PIPES; n++)
        end(issue(&crowd[n], crowd[n].noop));
    return unused;
}

static void open_crowd(const struct bench_serving *serving)
{
    pthread_t threads[CHANNELS - 1];
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    for (uint32_t n = 0; n < PIPES; n++)
        open_application(&crowd[n], serving);
    (void)use_all(NULL);
    for (uint32_t i = 0; i < CHANNELS - 1; i++)
        bench_require(pthread_create(&threads[i], NULL, use_all, NULL) == 0, "thread");
    for (uint32_t i = 0; i < CHANNELS - 1; i++)
        (void)pthread_join(threads[i], NULL);
}

/* ---- a flood, and somebody beside it --------------------------------------------------------- */

struct flood {
    struct bench_application application;
    struct vine_procedure *procedure;
    struct vine_task *tasks[FLOOD];
    uint32_t next;
};

/* Let go of those that are over and issue as many anew. */
static void fill(struct flood *flood)
{
    for (uint32_t n = 0; n < FLOOD; n++) {
        struct vine_task **task = &flood->tasks[flood->next];

        if (*task != NULL) {
            if (vine_task_poll(*task) == -EAGAIN)
                return;
            vine_task_free(*task);
        }
        *task = issue(&flood->application, flood->procedure);
        flood->next = (flood->next + 1) % FLOOD;
    }
}

static void drain(struct flood *flood)
{
    for (uint32_t n = 0; n < FLOOD; n++) {
        if (flood->tasks[n] != NULL)
            end(flood->tasks[n]);
        flood->tasks[n] = NULL;
    }
}

static int compare(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left;
    const uint64_t b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

struct trips {
    double p50_ns, p99_ns;
};

/* `flood`: NULL: alone. */
static struct trips try_light_trips(const struct bench_application *light, struct flood *flood)
{
    static uint64_t took_ns[TRIPS];

    for (uint32_t n = 0; n < TRIPS + WARM_UP; n++) {
        if (flood != NULL)
            fill(flood);

        const uint64_t start_ns = bench_now_ns();

        end(issue(light, light->noop));
        if (n >= WARM_UP)
            took_ns[n - WARM_UP] = bench_now_ns() - start_ns;
    }
    if (flood != NULL)
        drain(flood);
    qsort(took_ns, TRIPS, sizeof(took_ns[0]), compare);
    return (struct trips){(double)took_ns[TRIPS / 2], (double)took_ns[TRIPS / 100 * 99]};
}

static struct trips light_trips(const struct bench_application *light, struct flood *flood)
{
    struct trips best = try_light_trips(light, flood);

    for (int n = 1; n < TRIES; n++) {
        const struct trips trips = try_light_trips(light, flood);

        best.p50_ns = fmin(best.p50_ns, trips.p50_ns);
        best.p99_ns = fmin(best.p99_ns, trips.p99_ns);
    }
    return best;
}

/* ---- applications that are processes --------------------------------------------------------- */

/* In memory that all have. Bells are pipes: a byte begins a turn or ends one. */
static struct {
    uint32_t is_over; /* of a turn; atomic */
    struct {
        uint64_t tasks;
        char line[56];
    } of[APPLICATIONS];
} *shared;

static struct {
    pid_t pid;
    int to, from;
} applications[APPLICATIONS];

static void be_application(uint32_t index, const struct bench_serving *serving, int from, int to)
{
    struct bench_application application;
    struct bench_noops noops = {.next = 0};
    char byte;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    open_application(&application, serving);
    bench_noop_trips(&application, 1);
    bench_require(write(to, "r", 1) == 1, "write");
    while (read(from, &byte, 1) == 1) {
        while (vine__load_relaxed_u32(&shared->is_over) == 0) {
            bench_noop_stream(&application, &noops, NOOPS_IN_FLIGHT);
            shared->of[index].tasks += NOOPS_IN_FLIGHT;
        }
        bench_noop_drain(&noops);
        bench_require(write(to, "d", 1) == 1, "write");
    }
    _exit(0);
}

static void hear(uint32_t index)
{
    char byte;

    bench_require(read(applications[index].from, &byte, 1) == 1, "an application");
}

static void start_applications(const struct bench_serving *serving)
{
    for (uint32_t n = 0; n < APPLICATIONS; n++) {
        int there[2], back[2];

        bench_require(pipe(there) == 0 && pipe(back) == 0, "pipe");
        applications[n].pid = fork();
        bench_require(applications[n].pid >= 0, "fork");
        if (applications[n].pid == 0) {
            (void)close(there[1]);
            be_application(n, serving, there[0], back[1]);
        }
        (void)close(there[0]);
        (void)close(back[1]);
        applications[n].to = there[1];
        applications[n].from = back[0];
        hear(n);
    }
}

/* Millions of tasks a second that the first so many of them get. */
static double play_applications(uint32_t count)
{
    const struct timespec turn = {.tv_nsec = TURN_NS};
    uint64_t tasks = 0;

    vine__store_relaxed_u32(&shared->is_over, 0);
    for (uint32_t n = 0; n < count; n++)
        shared->of[n].tasks = 0;

    const uint64_t start_ns = bench_now_ns();

    for (uint32_t n = 0; n < count; n++)
        bench_require(write(applications[n].to, "g", 1) == 1, "write");
    (void)nanosleep(&turn, NULL);
    vine__store_relaxed_u32(&shared->is_over, 1);
    for (uint32_t n = 0; n < count; n++)
        hear(n);

    const uint64_t took_ns = bench_now_ns() - start_ns;

    for (uint32_t n = 0; n < count; n++)
        tasks += shared->of[n].tasks;
    return (double)tasks * 1e3 / (double)took_ns;
}

/* Those that began later hold the bells of those before them, too: the last one ends first. */
static void end_applications(void)
{
    for (uint32_t n = 0; n < APPLICATIONS; n++)
        (void)close(applications[n].to);
    for (uint32_t n = 0; n < APPLICATIONS; n++)
        (void)waitpid(applications[n].pid, NULL, 0);
}

/* ---- tables ---------------------------------------------------------------------------------- */

#define ROUNDS_MAX 201

/* A figure and the one that it is held against, of each round. */
struct figures {
    const char *what, *beside, *unit;
    double bar;
    bool is_least;
    const char *limit;
    double measured[ROUNDS_MAX], reference[ROUNDS_MAX];
};

static void print(const struct figures *figures, int rounds)
{
    struct bench_row row = {.limit = figures->limit};
    double ratios[ROUNDS_MAX], measured[ROUNDS_MAX], reference[ROUNDS_MAX];

    for (int n = 0; n < rounds; n++) {
        measured[n] = figures->measured[n];
        reference[n] = figures->reference[n];
        ratios[n] = measured[n] / reference[n];
    }

    const double ratio = bench_median(ratios, (size_t)rounds);
    const double value = bench_median(measured, (size_t)rounds);

    (void)snprintf(row.what, sizeof(row.what), "%s", figures->what);
    (void)snprintf(row.measured, sizeof(row.measured), value < 100 ? "%.2f %s" : "%.0f %s", value,
                   figures->unit);
    (void)snprintf(row.ratio, sizeof(row.ratio), "%.2f (%.2f .. %.2f)", ratio, ratios[rounds / 4],
                   ratios[rounds * 3 / 4]);
    (void)snprintf(row.beside, sizeof(row.beside), "%s: %.4g %s", figures->beside,
                   bench_median(reference, (size_t)rounds), figures->unit);
    (void)snprintf(row.bar, sizeof(row.bar), figures->is_least ? "at least %.2f" : "at most %.2f",
                   figures->bar);
    row.is_met = figures->is_least ? ratio >= figures->bar : ratio <= figures->bar;
    bench_table_row(&row);
}

static void print_idle(const struct bench_serving *serving)
{
    const struct timespec second = {.tv_sec = 1}, quiet = {.tv_sec = QUIET_S};
    struct bench_row row = {.limit = NULL};
    struct timespec before, after;
    clockid_t clock;

    bench_require(clock_getcpuclockid(serving->pid, &clock) == 0, "clock_getcpuclockid");
    (void)nanosleep(&second, NULL); /* until the last pipe has been put to sleep */
    (void)clock_gettime(clock, &before);
    (void)nanosleep(&quiet, NULL);
    (void)clock_gettime(clock, &after);

    const double used_s =
        (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9;

    (void)snprintf(row.what, sizeof(row.what),
                   "processor time of an appliance with %u idle channels of %u pipes",
                   PIPES * CHANNELS, PIPES);
    (void)snprintf(row.measured, sizeof(row.measured), "%.3f %% of one", 100 * used_s / QUIET_S);
    (void)snprintf(row.bar, sizeof(row.bar), "below 1 %%");
    row.is_met = used_s / QUIET_S < 0.01;
    bench_table_row(&row);
}

static struct figures busy_figures = {
    .what = "a task of 10 busy channels among 10,000 of 1,000 pipes",
    .beside = "10 channels of 10 pipes alone",
    .unit = "ns",
    .bar = 1.2,
    .limit = "what lies between: lines of others in the caches",
};
static struct figures rate_figures = {
    .what = "no-ops a second of 64 applications, processes on one processor",
    .beside = "one of them",
    .unit = "million",
    .bar = 0.8,
    .is_least = true,
    .limit = "64 processes share one processor, and each turn of theirs wakes another one",
};
static struct figures noop_figures = {
    .what = "p99 of a no-op beside a flood of no-ops",
    .beside = "alone",
    .unit = "ns",
    .bar = 2,
    .limit = "a visit to the flood, and what both cost the one processor of the applications",
};
static struct figures burn_figures = {
    .what = "p99 of a no-op beside a flood of tasks of 200 ns",
    .beside = "alone",
    .unit = "ns",
    .bar = 2,
    .limit = "the same; a task that runs is not interrupted",
};
static struct figures median_figures = {
    .what = "p50 of a no-op beside a flood of tasks of 200 ns",
    .beside = "alone",
    .unit = "ns",
    .bar = 2,
    .limit = "the same",
};

static void play(int rounds, struct busy *few, struct busy *many, struct bench_application *light,
                 struct flood *flood)
{
    for (int n = 0; n < rounds; n++) {
        struct trips trips = light_trips(light, NULL);

        busy_figures.reference[n] = busy_ns(few);
        busy_figures.measured[n] = busy_ns(many);
        rate_figures.reference[n] = play_applications(1);
        rate_figures.measured[n] = play_applications(APPLICATIONS);
        noop_figures.reference[n] = burn_figures.reference[n] = trips.p99_ns;
        median_figures.reference[n] = trips.p50_ns;
        flood->procedure = flood->application.noop;
        noop_figures.measured[n] = light_trips(light, flood).p99_ns;
        flood->procedure = bench_application_procedure(&flood->application, "burn");
        trips = light_trips(light, flood);
        burn_figures.measured[n] = trips.p99_ns;
        median_figures.measured[n] = trips.p50_ns;
    }
}

int main(int argc, char **argv)
{
    const int wanted = duet_rounds(argc, argv, 15);
    const int rounds = wanted < ROUNDS_MAX ? wanted : ROUNDS_MAX;
    static struct bench_application alone[BUSY];
    static struct busy few, many;
    struct bench_serving small, large;
    struct bench_application light;
    static struct flood flood;

    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    bench_require(shared != MAP_FAILED, "mmap");
    start(&small);
    start(&large);
    bench_pin(0);
    start_applications(&small);
    for (uint32_t i = 0; i < BUSY; i++) {
        open_application(&alone[i], &small);
        few.applications[i] = &alone[i];
        many.applications[i] = &crowd[i * (PIPES / BUSY)];
    }
    open_application(&light, &small);
    open_application(&flood.application, &small);
    open_crowd(&large);

    bench_table_begin("Many pipes at one appliance",
                      "An appliance on one reactor has one processor, and all applications have "
                      "the other.");
    print_idle(&large);
    play(rounds, &few, &many, &light, &flood);
    print(&busy_figures, rounds);
    print(&rate_figures, rounds);
    print(&noop_figures, rounds);
    print(&median_figures, rounds);
    print(&burn_figures, rounds);
    bench_table_end();
    end_applications();
    for (uint32_t n = 0; n < PIPES; n++)
        vine_pipe_close(crowd[n].pipe);
    bench_serving_stop(&small);
    bench_serving_stop(&large);
    return 0;
}
