/* SPDX-License-Identifier: Apache-2.0 */
#include "serve_progress.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <vine/appliance.h>

#include "human.h"
#include "message.h"

#define PERIOD_MS 250
#define LINE_MAX  160
#define PAST      4 /* rates are of the last so many periods */

/* What was counted at a moment. */
struct count {
    uint64_t now_ns, in, out;
};

static uint64_t rate(uint64_t amount, uint64_t elapsed_ns)
{
    return elapsed_ns > 0 ? (uint64_t)((double)amount * 1e9 / (double)elapsed_ns) : 0;
}

static void put_line(const struct vine_appliance_stats *stats, const struct count *past,
                     const struct count *now, char line[LINE_MAX])
{
    char tasks[HUMAN_MAX], in[HUMAN_MAX], out[HUMAN_MAX];
    const uint64_t elapsed_ns = now->now_ns - past->now_ns;

    snprintf(line, LINE_MAX, "%u pipe%s %s tasks %s/%sMB/s in/out %u task%s at work",
             stats->pipes_open, stats->pipes_open == 1 ? "" : "s",
             human_count_brief(stats->tasks_done, tasks),
             human_megabytes_brief(rate(now->in - past->in, elapsed_ns), in),
             human_megabytes_brief(rate(now->out - past->out, elapsed_ns), out),
             stats->tasks_running, stats->tasks_running == 1 ? "" : "s");
}

static void *progress_main(void *context)
{
    const struct serve_progress *progress = context;
    struct pollfd fd = {.fd = progress->stop_fd, .events = POLLIN};
    struct count counts[PAST] = {{.now_ns = human_now_ns()}};
    char line[LINE_MAX], before[LINE_MAX] = "";

    for (uint32_t turn = 1; poll(&fd, 1, PERIOD_MS) <= 0; turn++) {
        struct vine_appliance_stats stats;
        const struct count *const past = &counts[turn < PAST ? 0 : turn % PAST];

        vine_appliance_get_stats(progress->appliance, &stats);
        const struct count now = {human_now_ns(), stats.bytes_in, stats.bytes_out};

        put_line(&stats, past, &now, line);
        counts[turn % PAST] = now;
        /* Of one that idles there is nothing new. */
        if (stats.pipes_accepted > 0 && strcmp(line, before) != 0)
            message_progress(line);
        memcpy(before, line, sizeof(before));
    }
    message_progress("");
    return NULL;
}

int serve_progress_begin(struct serve_progress *progress, struct vine_appliance *appliance)
{
    sigset_t all, before;
    int error;

    if (!isatty(STDERR_FILENO))
        return 0;
    progress->appliance = appliance;
    progress->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (progress->stop_fd < 0)
        return -errno;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&progress->thread, NULL, progress_main, progress);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    progress->has_thread = error == 0;
    if (error != 0)
        close(progress->stop_fd);
    return -error;
}

void serve_progress_end(struct serve_progress *progress)
{
    if (!progress->has_thread)
        return;
    (void)!write(progress->stop_fd, &(uint64_t){1}, sizeof(uint64_t));
    pthread_join(progress->thread, NULL);
    close(progress->stop_fd);
    progress->has_thread = false;
}
