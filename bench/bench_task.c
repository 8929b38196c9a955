/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a task costs, beside the bare mailbox: one at a time, and 64 in flight; with both wait
 * modes; and a sleeping appliance. One interleaved run; medians.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vine/vine.h>

#include "pair.h"

#define ROUND_TRIPS 200000u
#define BATCHES     60000u
#define IN_FLIGHT   64u

static struct vine_appliance *appliance;

static int run_noop(struct vine_call *call)
{
    (void)call;
    return 0;
}

static void stop(int number)
{
    (void)number;
    vine_appliance_stop(appliance);
}

static void check(int error, const char *what)
{
    if (error == 0)
        return;
    fprintf(stderr, "bench_task: %s: %s\n", what, vine_error_text(error));
    exit(1);
}

static int serve(const char *path)
{
    static const struct vine_procedure_definition noop = {
        .size_bytes = sizeof noop,
        .name = "noop",
        .run = run_noop,
        .flags = VINE_PROCEDURE_SHORT,
    };

    bench_pin(1);
    check(vine_appliance_create(NULL, &appliance), "create");
    check(vine_appliance_register(appliance, &noop), "register");
    signal(SIGTERM, stop);
    check(vine_appliance_listen(appliance, path), "listen");
    check(vine_appliance_serve(appliance), "serve");
    vine_appliance_destroy(appliance);
    return 0;
}

struct application {
    struct vine_pipe *pipe;
    struct vine_procedure *noop;
};

static struct application open_application(const char *path, enum vine_wait_mode mode)
{
    const struct vine_pipe_options options = {.size_bytes = sizeof options, .wait_mode = mode};
    struct application application = {0};
    int error = -VINE_ENOAPPLIANCE;

    while (error == -VINE_ENOAPPLIANCE)
        error = vine_pipe_open(path, &options, &application.pipe);
    check(error, "open");
    check(vine_procedure_get(application.pipe, "noop", &application.noop), "noop");
    return application;
}

static double round_trip(const struct application *application)
{
    uint64_t start_ns = 0;

    for (uint32_t i = 0; i < ROUND_TRIPS; i++) {
        struct vine_task *task;

        check(vine_task_issue(application->pipe, application->noop, NULL, &task), "issue");
        check(vine_task_wait(task, VINE_FOREVER), "wait");
        vine_task_free(task);
        if (i == 100)
            start_ns = bench_now_ns();
    }
    return (double)(bench_now_ns() - start_ns) / (ROUND_TRIPS - 101);
}

/* Millions of tasks a second with IN_FLIGHT in flight. */
static double rate(const struct application *application)
{
    struct vine_task *tasks[IN_FLIGHT] = {0};
    uint32_t next = 0;
    uint64_t start_ns = 0;

    for (uint32_t i = 0; i < BATCHES * IN_FLIGHT; i++) {
        if (tasks[next] != NULL) {
            check(vine_task_wait(tasks[next], VINE_FOREVER), "wait");
            vine_task_free(tasks[next]);
        }
        check(vine_task_issue(application->pipe, application->noop, NULL, &tasks[next]), "issue");
        next = (next + 1) % IN_FLIGHT;
        if (i == 1000)
            start_ns = bench_now_ns();
    }

    const double seconds = (double)(bench_now_ns() - start_ns) / 1e9;

    for (uint32_t i = 0; i < IN_FLIGHT; i++) {
        check(vine_task_wait(tasks[i], VINE_FOREVER), "wait");
        vine_task_free(tasks[i]);
    }
    return (BATCHES * IN_FLIGHT - 1001) / seconds / 1e6;
}

int main(void)
{
    char path[64];
    double line[BENCH_ROUNDS], mailbox[BENCH_ROUNDS], trip[2][BENCH_ROUNDS], tasks[2][BENCH_ROUNDS];
    double trip_ratio[2][BENCH_ROUNDS], rate_ratio[2][BENCH_ROUNDS];
    static const char *const modes[] = {"stream", "sleepy"};
    struct bench_pair *pair = bench_pair_start();

    (void)snprintf(path, sizeof path, "/tmp/vine-bench-%d.socket", (int)getpid());

    const pid_t server = fork();

    if (server == 0)
        return serve(path);
    bench_pin(0);

    const struct application applications[2] = {
        open_application(path, VINE_WAIT_STREAM),
        open_application(path, VINE_WAIT_SLEEPY),
    };

    for (int i = 0; i < BENCH_ROUNDS; i++) {
        line[i] = bench_line_round_trip(pair, ROUND_TRIPS);
        mailbox[i] = bench_mailbox_round_trip(pair, ROUND_TRIPS);
        for (int mode = 0; mode < 2; mode++) {
            trip[mode][i] = round_trip(&applications[mode]);
            tasks[mode][i] = rate(&applications[mode]);
            trip_ratio[mode][i] = trip[mode][i] / mailbox[i];
            rate_ratio[mode][i] = tasks[mode][i] * mailbox[i] / 1e3;
        }
    }
    printf("%-44s %10.0f ns\n", "cache line, round trip", bench_median(line, BENCH_ROUNDS));
    printf("%-44s %10.0f ns\n", "bare mailbox, round trip", bench_median(mailbox, BENCH_ROUNDS));
    for (int mode = 0; mode < 2; mode++)
        printf("no-op task, round trip, %-20s %10.0f ns   %5.2f x mailbox (at most 2.0)\n",
               modes[mode], bench_median(trip[mode], BENCH_ROUNDS),
               bench_median(trip_ratio[mode], BENCH_ROUNDS));
    for (int mode = 0; mode < 2; mode++)
        printf("no-op tasks, %u in flight, %-18s %10.2f M/s  %5.2f a mailbox round trip\n",
               IN_FLIGHT, modes[mode], bench_median(tasks[mode], BENCH_ROUNDS),
               bench_median(rate_ratio[mode], BENCH_ROUNDS));
    for (int mode = 0; mode < 2; mode++)
        vine_pipe_close(applications[mode].pipe);
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    bench_pair_stop(pair);
    return 0;
}
