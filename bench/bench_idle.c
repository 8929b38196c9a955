/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What idle pipes cost: processor time of 100 and of 1,000 of them, and memory of each, both sides
 * and all in. The appliance and the application are processes of their own; each pipe has run a
 * task.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <vine/vine.h>

#define PIPES_MOST 1000
#define QUIET_S    5

static struct vine_appliance *appliance;

static int run_noop(struct vine_call *call)
{
    (void)call;
    return 0;
}

static void check(int error, const char *what)
{
    if (error == 0)
        return;
    fprintf(stderr, "bench_idle: %s: %s\n", what, vine_error_text(error));
    exit(1);
}

static void stop(int number)
{
    (void)number;
    vine_appliance_stop(appliance);
}

static int serve(const char *path)
{
    static const struct vine_procedure_definition noop = {
        .size_bytes = sizeof noop,
        .name = "noop",
        .run = run_noop,
        .flags = VINE_PROCEDURE_SHORT,
    };

    check(vine_appliance_create(NULL, &appliance), "create");
    check(vine_appliance_register(appliance, &noop), "register");
    signal(SIGTERM, stop);
    check(vine_appliance_listen(appliance, path), "listen");
    check(vine_appliance_serve(appliance), "serve");
    vine_appliance_destroy(appliance);
    return 0;
}

/* Processor time that a process has used, in seconds. */
static double processor_seconds(pid_t pid)
{
    char name[64];
    unsigned long user = 0;
    unsigned long system = 0;

    (void)snprintf(name, sizeof name, "/proc/%d/stat", (int)pid);

    FILE *file = fopen(name, "r");

    if (file == NULL ||
        fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
               &system) != 2)
        exit(1);
    fclose(file);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* Memory of a process with its share of what it shares, in KiB. */
static double resident_kib(pid_t pid)
{
    char name[64];
    char line[256];
    double kib = 0;

    (void)snprintf(name, sizeof name, "/proc/%d/smaps_rollup", (int)pid);

    FILE *file = fopen(name, "r");

    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Pss: %lf", &kib) == 1)
            break;
    if (file != NULL)
        fclose(file);
    return kib;
}

int main(void)
{
    static struct vine_pipe *pipes[PIPES_MOST];
    static const int steps[] = {100, PIPES_MOST};
    struct rlimit limit;
    char path[64];
    int open_count = 0;
    double before_kib = 0; /* with one pipe */

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    (void)snprintf(path, sizeof path, "/tmp/vine-bench-%d.socket", (int)getpid());

    const pid_t server = fork();

    if (server == 0)
        return serve(path);
    for (size_t step = 0; step < sizeof steps / sizeof steps[0]; step++) {
        for (; open_count < steps[step]; open_count++) {
            struct vine_procedure *noop;
            int error = -VINE_ENOAPPLIANCE;

            while (error == -VINE_ENOAPPLIANCE)
                error = vine_pipe_open(path, NULL, &pipes[open_count]);
            check(error, "open");
            check(vine_procedure_get(pipes[open_count], "noop", &noop), "noop");
            check(vine_task_run(pipes[open_count], noop, NULL, VINE_FOREVER, NULL, NULL), "run");
            if (open_count == 0)
                before_kib = resident_kib(server) + resident_kib(getpid());
        }

        const struct timespec settle = {.tv_sec = 1};
        const struct timespec quiet = {.tv_sec = QUIET_S};

        nanosleep(&settle, NULL);

        const double before_s = processor_seconds(server) + processor_seconds(getpid());

        nanosleep(&quiet, NULL);
        printf("%4d idle pipes: %.2f %% of a core (below 1)", open_count,
               100 * (processor_seconds(server) + processor_seconds(getpid()) - before_s) /
                   QUIET_S);
        if (step > 0)
            printf("; %.0f KiB resident each, both sides and all in (below 512)",
                   (resident_kib(server) + resident_kib(getpid()) - before_kib) / open_count);
        printf("\n");
    }
    for (int i = 0; i < open_count; i++)
        vine_pipe_close(pipes[i]);
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    return 0;
}
