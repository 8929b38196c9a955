/* SPDX-License-Identifier: Apache-2.0 */
/* needs: runtime */
/*
 * What moving pipes is for: busy pipes that all began on one core of two, where they stay and where
 * they are moved by load.
 *
 *   bench_moves [ROUNDS]    7 without
 *
 * The appliance has both processors, as two reactors; the application, a thread that issues and
 * waits, has what they leave of the two. Tasks are so long that it needs little.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vine/runtime.h>
#include <vine/serving.h>

#include "serving.h"

#define ROUNDS_MOST 99
#define PIPES       8u
#define OPENED      (3 * PIPES) /* of which so many are on one core */
#define EACH        4u          /* tasks in flight on each */
#define BURN_NS     50000       /* a task */
#define SETTLE_NS   2000000000u /* until it is counted */
#define COUNT_NS    1000000000u

/* ---- the appliance --------------------------------------------------------------------------- */

static const char *path;
static const struct vine_appliance_options *how;
static bool pipes_stay;

static int run_burn(struct vine_call *call)
{
    const uint64_t start_ns = bench_now_ns();
    const uint32_t core = vine_core();

    while (bench_now_ns() - start_ns < BURN_NS)
        continue;
    return vine_call_result(call, &core, sizeof core);
}

static const struct vine_argument core_argument[] = {
    {"core", VINE_RESULT, 0, 0, sizeof(uint32_t)},
};

static const struct vine_procedure_definition burn = {
    .size_bytes = sizeof(burn),
    .name = "burn",
    .flags = VINE_PROCEDURE_SHORT,
    .run = run_burn,
    .arguments = core_argument,
    .argument_count = 1,
};

static int begin(int argc, char **argv)
{
    const struct vine_serving_options options = {
        .size_bytes = sizeof(options), .appliance = how, .pipes_stay = pipes_stay};
    struct vine_serving *serving = NULL;

    (void)argc;
    (void)argv;
    bench_check(vine_serving_create(&options, &serving), "create");
    bench_serving_offer(vine_serving_appliance(serving));
    bench_check(vine_appliance_register(vine_serving_appliance(serving), &burn), "register");
    bench_check(vine_serving_start(serving, path), "start");
    return VINE_MAIN_GOES_ON;
}

static void serve(const char *at, const struct vine_appliance_options *options)
{
    char name[] = "bench_moves", cores[] = "--smp=2", shared[] = "--overprovisioned";
    char *arguments[] = {name, cores, shared, NULL};

    path = at;
    how = options;
    bench_require(vine_main(3, arguments, NULL, begin) == 0, "reactors");
}

/* ---- the application ------------------------------------------------------------------------- */

struct busy {
    struct bench_application application;
    struct vine_procedure *burn;
    struct vine_task *tasks[EACH];
};

static uint32_t core_of(const struct busy *busy)
{
    uint32_t core = 0;
    size_t size = sizeof core;

    bench_check(vine_task_run(busy->application.pipe, busy->burn, NULL, VINE_FOREVER, &core, &size),
                "run");
    return core;
}

/* Pipes that begin on core 0, and no others. */
static void open_all(struct busy *all, const struct bench_serving *serving)
{
    struct busy opened[OPENED] = {0};
    uint32_t count = 0;

    for (uint32_t i = 0; i < OPENED; i++) {
        bench_application_open(&opened[i].application, serving, VINE_WAIT_SLEEPY, 1);
        opened[i].burn = bench_application_procedure(&opened[i].application, "burn");
    }
    for (uint32_t i = 0; i < OPENED; i++)
        if (count < PIPES && core_of(&opened[i]) == 0)
            all[count++] = opened[i];
        else
            vine_pipe_close(opened[i].application.pipe);
    bench_require(count == PIPES, "pipes on one core");
}

/* Keep all busy for so long. Returns how many tasks ended a second. */
static double flood(struct busy *all, uint64_t time_ns)
{
    const uint64_t start_ns = bench_now_ns();
    uint64_t count = 0;

    while (bench_now_ns() - start_ns < time_ns) {
        bool is_idle = true;

        for (uint32_t i = 0; i < PIPES; i++)
            for (uint32_t n = 0; n < EACH; n++) {
                struct vine_task **const task = &all[i].tasks[n];

                if (*task != NULL && vine_task_poll(*task) == -EAGAIN)
                    continue;
                count += *task != NULL;
                vine_task_free(*task);
                bench_check(vine_task_issue(all[i].application.pipe, all[i].burn, NULL, task),
                            "issue");
                is_idle = false;
            }
        if (is_idle)
            (void)usleep(50);
    }
    return (double)count * 1e9 / (double)(bench_now_ns() - start_ns);
}

static double play(bool stay, double *ret_on_other)
{
    struct bench_serving serving;
    struct busy all[PIPES] = {0};
    uint32_t on_other = 0;
    double rate;

    pipes_stay = stay;
    bench_serving_start(&serving, &(struct bench_serving_options){.serve = serve});
    open_all(all, &serving);
    (void)flood(all, SETTLE_NS);
    rate = flood(all, COUNT_NS);
    for (uint32_t i = 0; i < PIPES; i++) {
        for (uint32_t n = 0; n < EACH; n++) {
            bench_check(vine_task_wait(all[i].tasks[n], VINE_FOREVER), "wait");
            vine_task_free(all[i].tasks[n]);
        }
        on_other += core_of(&all[i]) != 0;
        vine_pipe_close(all[i].application.pipe);
    }
    bench_serving_stop(&serving);
    *ret_on_other = on_other;
    return rate;
}

int main(int argument_count, char **arguments)
{
    const char *const asked = argument_count > 1 ? arguments[1] : getenv("VINE_BENCH_ROUNDS");
    const long rounds = asked != NULL ? strtol(asked, NULL, 10) : 7;
    double stayed[ROUNDS_MOST], moved[ROUNDS_MOST], ratios[ROUNDS_MOST], on_other[ROUNDS_MOST];
    struct bench_row row = {.limit = NULL};

    bench_require(rounds >= 1 && rounds <= ROUNDS_MOST, "rounds");
    for (long round = 0; round < rounds; round++) {
        stayed[round] = play(true, &on_other[round]);
        bench_require(on_other[round] == 0, "a pipe that stays");
        moved[round] = play(false, &on_other[round]);
        ratios[round] = moved[round] / stayed[round];
    }
    bench_table_begin("Pipes that move", "Tasks of 50 us of the loop's, of eight pipes that all "
                                         "began on one core of two; counted for a second, two "
                                         "seconds after they were busy first.");
    (void)snprintf(row.what, sizeof row.what, "tasks a second where pipes move, %.0f of 8 by then",
                   bench_median(on_other, (uint32_t)rounds));
    (void)snprintf(row.measured, sizeof row.measured, "%.0f",
                   bench_median(moved, (uint32_t)rounds));
    (void)snprintf(row.beside, sizeof row.beside, "where they stay: %.0f",
                   bench_median(stayed, (uint32_t)rounds));

    const double median = bench_median(ratios, (uint32_t)rounds); /* sorts them */

    (void)snprintf(row.ratio, sizeof row.ratio, "%.2f (%.2f .. %.2f)", median, ratios[rounds / 4],
                   ratios[rounds - 1 - rounds / 4]);
    bench_table_row(&row);
    bench_table_end();
    return 0;
}
