/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.h - what `vine run` has done so far, and the line that tells it.
 *
 * On a terminal the line is at the bottom, renewed at most ten times a second; elsewhere it is a
 * line of its own every ten seconds.
 */
#ifndef VINE_TOOLS_PROGRESS_H
#define VINE_TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "utils/histogram.h"

struct progress {
    uint64_t files_done;
    uint64_t files_skipped; /* whole already */
    uint64_t files_failed;
    uint64_t files_passed; /* links, fifos and the like */
    uint64_t bytes_in;     /* read, of sources */
    uint64_t bytes_out;    /* written, of results */
    uint64_t tasks;
    uint64_t begun_ns;
    uint64_t sync_ns;   /* what it took at the end until the results were on the disk */
    uint64_t next_ns;   /* when the line is due */
    uint64_t period_ns; /* 0: no line */
    bool is_terminal;
    struct vine__histogram queued;
    struct vine__histogram run;
};

void progress_init(struct progress *progress, bool quiet);

/* A task has ended. */
void progress_task(struct progress *progress, uint64_t queued_ns, uint64_t run_ns);

/* What is told so long after the beginning: fits eighty columns, as long as files come by fewer
 * than 1,000 MB/s and fewer than 100 tasks are in flight. Returns `ret_text`. */
#define PROGRESS_LINE_MAX 256
const char *progress_line(const struct progress *progress, uint64_t elapsed_ns,
                          uint32_t tasks_in_flight, char ret_text[PROGRESS_LINE_MAX]);

/* Tell, if it is time. */
void progress_tell(struct progress *progress, uint32_t tasks_in_flight);

/* How long one may wait so that the line keeps its time. */
uint64_t progress_patience_ns(const struct progress *progress);

/* The summary, as lines on stderr, or as an object. `what` says who did the work. */
void progress_summary(const struct progress *progress, const char *what);
json_t *progress_json(const struct progress *progress);

#endif
