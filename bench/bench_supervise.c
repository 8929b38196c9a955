/* SPDX-License-Identifier: Apache-2.0 */
/* needs: runtime */
/*
 * How soon a service is back whose process was killed: by the supervisor's own clock, from when it
 * hears of the end until the next process says that it serves. examples/supervised_echo.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define KILLS  100
#define BAR_MS 100

static pid_t supervisor;
static FILE *said;

static void start(const char *const *options)
{
    char path[PATH_MAX];
    char *argv[16] = {path, (char *)(uintptr_t) "--listen=127.0.0.1:0",
                      (char *)(uintptr_t) "--memory=256M"};
    int ends[2], argc = 3;
    const ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 64);

    bench_require(length > 0 && pipe(ends) == 0, "start");
    path[length] = '\0';
    (void)memcpy(strrchr(path, '/'), "/../examples/supervised_echo", 29);
    for (; *options != NULL; options++)
        argv[argc++] = (char *)(uintptr_t)*options;
    supervisor = fork();
    bench_require(supervisor >= 0, "fork");
    if (supervisor == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(ends[1], STDERR_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        (void)execv(path, argv);
        _exit(127);
    }
    (void)close(ends[1]);
    said = fdopen(ends[0], "r");
    bench_require(said != NULL, "fdopen");
}

/* The next process that serves. Returns how long that took since the last one's end. */
static double await(pid_t *ret_pid)
{
    char line[1024];

    while (fgets(line, sizeof(line), said) != NULL) {
        const char *const at = strstr(line, "(pid ");
        const char *const serves = strstr(line, " serves, ");

        if (at == NULL || serves == NULL)
            continue;
        *ret_pid = (pid_t)strtol(at + 5, NULL, 10);
        return strtod(serves + 9, NULL);
    }
    bench_require(false, "the supervisor has ended");
    return 0;
}

static void stop(void)
{
    char line[1024];

    (void)kill(supervisor, SIGTERM);
    while (fgets(line, sizeof(line), said) != NULL)
        continue;
    (void)fclose(said);
    (void)waitpid(supervisor, NULL, 0);
}

static void measure(const char *what, const char *const *options)
{
    double times_ms[KILLS];
    struct bench_row row = {.limit = NULL};
    pid_t pid;

    start(options);
    (void)await(&pid);
    for (int i = 0; i < KILLS; i++) {
        (void)kill(pid, SIGKILL);
        times_ms[i] = await(&pid);
    }
    stop();
    const double median_ms = bench_median(times_ms, KILLS); /* and sorts them */

    (void)snprintf(row.what, sizeof(row.what), "%s", what);
    (void)snprintf(row.measured, sizeof(row.measured), "%.1f ms, 99 of 100 in %.1f ms", median_ms,
                   times_ms[KILLS * 99 / 100 - 1]);
    (void)snprintf(row.bar, sizeof(row.bar), "all but one within %d ms", BAR_MS);
    row.is_met = times_ms[KILLS * 99 / 100 - 1] <= BAR_MS;
    bench_table_row(&row);
}

int main(void)
{
    bench_table_begin("Processes that are killed",
                      "From the end of one until the next one serves, by its supervisor's log.");
    measure("a process of one core is back after",
            (const char *const[]){"--smp=1", "--overprovisioned", NULL});
    measure("a process of two cores is back after",
            (const char *const[]){"--smp=2", "--overprovisioned", NULL});
    bench_table_end();
    return 0;
}
