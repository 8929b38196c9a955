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

    snprintf(text, size, "wait %s/%s, run %s/%s",
             human_ns(vine__histogram_percentile(&progress->queued, P50), numbers[0]),
             human_ns(vine__histogram_percentile(&progress->queued, P99), numbers[1]),
             human_ns(vine__histogram_percentile(&progress->run, P50), numbers[2]),
             human_ns(vine__histogram_percentile(&progress->run, P99), numbers[3]));
}

/* "p50/p99", with one unit where both have the same. */
static const char *brief_pair(const struct vine__histogram *times, char ret_text[2 * HUMAN_MAX])
{
    char p50[HUMAN_MAX], p99[HUMAN_MAX];

    human_ns_brief(vine__histogram_percentile(times, P50), p50);
    human_ns_brief(vine__histogram_percentile(times, P99), p99);
    char *unit = p50 + strspn(p50, "0123456789.");
    if (strcmp(unit, p99 + strspn(p99, "0123456789.")) == 0)
        *unit = '\0';
    snprintf(ret_text, 2 * HUMAN_MAX, "%s/%s", p50, p99);
    return ret_text;
}

const char *progress_line(const struct progress *progress, uint64_t elapsed_ns,
                          uint32_t tasks_in_flight, char ret_text[PROGRESS_LINE_MAX])
{
    char files[HUMAN_MAX], in[HUMAN_MAX], out[HUMAN_MAX];
    char queued[2 * HUMAN_MAX], run[2 * HUMAN_MAX];

    snprintf(ret_text, PROGRESS_LINE_MAX,
             "%s files %s/%sMB/s in/out %u task%s p50/p99 wait %s run %s",
             human_count_brief(progress->files_done + progress->files_skipped, files),
             human_megabytes_brief(per_second(progress->bytes_in, elapsed_ns), in),
             human_megabytes_brief(per_second(progress->bytes_out, elapsed_ns), out),
             tasks_in_flight, tasks_in_flight == 1 ? "" : "s",
             brief_pair(&progress->queued, queued), brief_pair(&progress->run, run));
    return ret_text;
}

void progress_tell(struct progress *progress, uint32_t tasks_in_flight)
{
    char line[PROGRESS_LINE_MAX];
    const uint64_t now = progress->period_ns > 0 ? human_now_ns() : 0;

    if (progress->period_ns == 0 || now < progress->next_ns)
        return;
    progress->next_ns = now + progress->period_ns;
    progress_line(progress, now - progress->begun_ns, tasks_in_flight, line);
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

/* Of the work: syncing is told apart. */
static uint64_t worked_ns(const struct progress *progress)
{
    return human_now_ns() - progress->begun_ns - progress->sync_ns;
}

void progress_summary(const struct progress *progress, const char *what)
{
    char numbers[6][HUMAN_MAX], times[160], skipped[64] = "", failed[64] = "", passed[64] = "",
                                            synced[80] = "";
    const uint64_t elapsed = worked_ns(progress);

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
    if (progress->sync_ns > 0)
        snprintf(synced, sizeof(synced), "; synced in %s", human_ns(progress->sync_ns, numbers[0]));
    message_note("%s file%s done%s%s%s; %s in, %s out in %s: %s/s (%s)%s",
                 human_count(progress->files_done, numbers[1]),
                 progress->files_done == 1 ? "" : "s", skipped, failed, passed,
                 human_bytes(progress->bytes_in, numbers[2]),
                 human_bytes(progress->bytes_out, numbers[3]), human_ns(elapsed, numbers[4]),
                 human_bytes(per_second(progress->bytes_in, elapsed), numbers[5]), what, synced);
    if (progress->tasks == 0)
        return;
    put_times(progress, times, sizeof(times));
    message_note("%s task%s; p50/p99: %s", human_count(progress->tasks, numbers[0]),
                 progress->tasks == 1 ? "" : "s", times);
}

json_t *progress_json(const struct progress *progress)
{
    const uint64_t elapsed = worked_ns(progress);

    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:{s:I, s:I}, s:{s:I, s:I}}", "done",
        (json_int_t)progress->files_done, "unchanged", (json_int_t)progress->files_skipped,
        "failed", (json_int_t)progress->files_failed, "passed_over",
        (json_int_t)progress->files_passed, "bytes_in", (json_int_t)progress->bytes_in, "bytes_out",
        (json_int_t)progress->bytes_out, "tasks", (json_int_t)progress->tasks, "seconds",
        (double)elapsed / 1e9, "sync_seconds", (double)progress->sync_ns / 1e9, "queue_ns", "p50",
        (json_int_t)vine__histogram_percentile(&progress->queued, P50), "p99",
        (json_int_t)vine__histogram_percentile(&progress->queued, P99), "service_ns", "p50",
        (json_int_t)vine__histogram_percentile(&progress->run, P50), "p99",
        (json_int_t)vine__histogram_percentile(&progress->run, P99));
}
