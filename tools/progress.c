/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <vine/base.h>

#include "human.h"
#include "message.h"

#define TERMINAL_PERIOD_NS (VINE_NS_PER_SECOND / 10)
#define LOG_PERIOD_NS      (10 * VINE_NS_PER_SECOND)
#define PATIENCE_NS        (VINE_NS_PER_SECOND / 4) /* so that a signal is seen soon */

#define P50 500000
#define P99 990000

void progress_init(struct progress *progress, bool quiet)
{
    memset(progress, 0, sizeof(*progress));
    vine__histogram_init(&progress->queued);
    vine__histogram_init(&progress->run);
    progress->begun_ns = human_now_ns();
    progress->is_terminal = isatty(STDERR_FILENO);
    progress->period_ns = quiet ? 0 : progress->is_terminal ? TERMINAL_PERIOD_NS : LOG_PERIOD_NS;
    progress->next_ns = progress->begun_ns + progress->period_ns;
}

void progress_task(struct progress *progress, uint64_t queued_ns, uint64_t run_ns)
{
    progress->tasks++;
    vine__histogram_record(&progress->queued, queued_ns);
    vine__histogram_record(&progress->run, run_ns);
}

static uint64_t per_second(uint64_t amount, uint64_t elapsed_ns)
{
    return elapsed_ns > 0 ? (uint64_t)((double)amount * 1e9 / (double)elapsed_ns) : 0;
}

static void put_times(const struct progress *progress, char *text, size_t size)
{
    char numbers[4][HUMAN_MAX];

    snprintf(text, size, "queue %s/%s, run %s/%s",
             human_ns(vine__histogram_percentile(&progress->queued, P50), numbers[0]),
             human_ns(vine__histogram_percentile(&progress->queued, P99), numbers[1]),
             human_ns(vine__histogram_percentile(&progress->run, P50), numbers[2]),
             human_ns(vine__histogram_percentile(&progress->run, P99), numbers[3]));
}

void progress_tell(struct progress *progress, uint32_t tasks_in_flight)
{
    char line[512], numbers[5][HUMAN_MAX];
    const uint64_t now = progress->period_ns > 0 ? human_now_ns() : 0;

    if (progress->period_ns == 0 || now < progress->next_ns)
        return;
    progress->next_ns = now + progress->period_ns;
    const uint64_t elapsed = now - progress->begun_ns;
    /* In eighty columns. */
    snprintf(line, sizeof(line), "%s files, %s/s in, %s/s out, %u tasks; queue %s, run %s",
             human_count(progress->files_done + progress->files_skipped, numbers[0]),
             human_bytes(per_second(progress->bytes_in, elapsed), numbers[1]),
             human_bytes(per_second(progress->bytes_out, elapsed), numbers[2]), tasks_in_flight,
             human_ns(vine__histogram_percentile(&progress->queued, P50), numbers[3]),
             human_ns(vine__histogram_percentile(&progress->run, P50), numbers[4]));
    if (progress->is_terminal)
        message_progress(line);
    else
        message_note("%s", line);
}

uint64_t progress_patience_ns(const struct progress *progress)
{
    const uint64_t now = human_now_ns();

    if (progress->period_ns == 0 || progress->next_ns > now + PATIENCE_NS)
        return PATIENCE_NS;
    return progress->next_ns > now ? progress->next_ns - now : 1;
}

void progress_summary(const struct progress *progress, const char *what)
{
    char numbers[6][HUMAN_MAX], times[160], skipped[64] = "", failed[64] = "", passed[64] = "";
    const uint64_t elapsed = human_now_ns() - progress->begun_ns;

    message_progress("");
    if (progress->files_skipped > 0)
        snprintf(skipped, sizeof(skipped), ", %s unchanged",
                 human_count(progress->files_skipped, numbers[0]));
    if (progress->files_failed > 0)
        snprintf(failed, sizeof(failed), ", %s failed",
                 human_count(progress->files_failed, numbers[0]));
    if (progress->files_passed > 0)
        snprintf(passed, sizeof(passed), ", %s passed over",
                 human_count(progress->files_passed, numbers[0]));
    message_note("%s file%s done%s%s%s; %s in, %s out in %s: %s/s (%s)",
                 human_count(progress->files_done, numbers[1]),
                 progress->files_done == 1 ? "" : "s", skipped, failed, passed,
                 human_bytes(progress->bytes_in, numbers[2]),
                 human_bytes(progress->bytes_out, numbers[3]), human_ns(elapsed, numbers[4]),
                 human_bytes(per_second(progress->bytes_in, elapsed), numbers[5]), what);
    if (progress->tasks == 0)
        return;
    put_times(progress, times, sizeof(times));
    message_note("%s task%s; p50/p99 of %s", human_count(progress->tasks, numbers[0]),
                 progress->tasks == 1 ? "" : "s", times);
}

json_t *progress_json(const struct progress *progress)
{
    const uint64_t elapsed = human_now_ns() - progress->begun_ns;

    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:{s:I, s:I}, s:{s:I, s:I}}", "done",
                     (json_int_t)progress->files_done, "unchanged",
                     (json_int_t)progress->files_skipped, "failed",
                     (json_int_t)progress->files_failed, "passed_over",
                     (json_int_t)progress->files_passed, "bytes_in", (json_int_t)progress->bytes_in,
                     "bytes_out", (json_int_t)progress->bytes_out, "tasks",
                     (json_int_t)progress->tasks, "seconds", (double)elapsed / 1e9, "queue_ns",
                     "p50", (json_int_t)vine__histogram_percentile(&progress->queued, P50), "p99",
                     (json_int_t)vine__histogram_percentile(&progress->queued, P99), "service_ns",
                     "p50", (json_int_t)vine__histogram_percentile(&progress->run, P50), "p99",
                     (json_int_t)vine__histogram_percentile(&progress->run, P99));
}
