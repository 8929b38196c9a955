/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h - the parts of `vine run`: the run as a whole, and one file on its way through it.
 *
 * A file is cut into chunks; a chunk is read once and goes with one task, or two with --sums.
 * Results are written in the order of the chunks, whatever order they end in. Files are told of
 * (printed, entered in SHA256SUMS) in the order of the walk, so that the same input gives the same
 * output.
 */
#ifndef VINE_TOOLS_RUN_H
#define VINE_TOOLS_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "engine.h"
#include "output.h"
#include "progress.h"
#include "recipe.h"
#include "state.h"
#include "sums.h"
#include "walk.h"

#define RUN_FILES_MAX     64    /* open at once */
#define RUN_UNRETIRED_MAX 16384 /* ended, but one before them in the walk has not */

enum file_outcome {
    FILE_ACTIVE,
    FILE_DONE,
    FILE_UNCHANGED, /* its result was there already */
    FILE_PASSED,    /* no regular file, or none that the procedure takes */
    FILE_FAILED,
};

struct file {
    struct file *next; /* in the order of the walk */
    char *path;        /* relative to its argument */
    char *shown;       /* for people, and as hashes name it */
    char *result_path; /* below OUT, or NULL */
    char *reason;      /* why it failed or was passed over, or NULL */
    enum file_outcome outcome;
    int fd;
    struct stat before; /* when it was opened */
    struct output_file output;
    bool changed_once;
    bool wants_restart; /* when its tasks have ended: read it from the beginning */
    bool is_retry;      /* ... because it changed */
    uint32_t restarts;  /* for sessions that the appliance gave up */
    uint32_t in_flight;

    uint64_t chunk_bytes;
    uint64_t chunk_count; /* at least 1: an empty file is one empty chunk */
    uint64_t next_main;   /* the chunks to issue next */
    uint64_t next_sum;
    uint64_t written; /* chunks whose results are in the output */
    uint64_t output_size;
    struct work *early; /* results that wait for those before them, by index */
    struct engine_session *session;
    struct engine_session *sum_session;

    uint64_t expand_offset; /* of the source: how much was taken */
    bool expand_has_more;   /* of what was taken: send an empty input */
    bool expand_is_over;    /* the last task was issued */

    bool main_is_done;
    bool sum_is_done;
    unsigned char result[VINE_RESULT_MAX];
    size_t result_size;
    unsigned char sum[SUMS_BYTES_MAX];
    size_t sum_size;
};

struct run_options {
    struct recipe recipe;
    uint64_t chunk_bytes;
    uint32_t jobs;
    bool has_level;
    uint64_t level;
    const char *key; /* or NULL */
    bool with_sums;
    bool verify;
    bool json;
    bool quiet;
    bool verbose;
};

struct run {
    struct run_options options;
    struct engine *engine;
    struct walk *walk;
    bool walk_has_ended;
    struct output output; /* fd -1: there is none */
    struct state state;
    struct sums sums;
    struct progress progress;

    struct file *first; /* not told of yet */
    struct file **last;
    uint32_t unretired;
    struct file *active[RUN_FILES_MAX]; /* in the order of the walk */
    uint32_t active_count;
    uint32_t files_max;
    uint32_t tasks_max;
    uint64_t memory_max;
    uint64_t memory;     /* of the tasks in flight */
    struct work *unsent; /* made, but refused for now; they go before any other */
    struct work **unsent_last;

    int lost;      /* the error with which the appliance was lost */
    int refused;   /* why the last task could not be issued */
    bool is_fatal; /* no further file can go well */

    /* Get an engine after it was lost. Returns a status. */
    int (*reconnect)(struct run *run, void *context);
    void *reconnect_context;
};

/* run_loop.c: whether a signal asks the run to stop. */
bool run_is_stopped(void);

/* run_loop.c: carry out the run. Returns a status; 128 + a signal's number if one ended it. */
int run_loop(struct run *run);

/* run_feed.c: take up the next file of the walk. Returns false at its end, or when there is no
 * room. */
bool run_take_file(struct run *run);

enum feed {
    FEED_ISSUED,
    FEED_REFUSED, /* no room for now: run->refused */
    FEED_NOTHING, /* the file has nothing to issue, for now or at all */
};

/* run_feed.c: issue the file's next chunk. */
enum feed run_feed_file(struct run *run, struct file *file);

/* run_feed.c: issue again what was refused. Returns false if it still is. */
bool run_feed_unsent(struct run *run);

/* run_file.c: work of the file has ended; takes it. */
void run_file_take(struct run *run, struct work *work);

/* run_file.c: whether an error is the appliance's end, and not the file's. */
bool run_is_loss(int error);

/* run_file.c: the file has failed; tell why. Its tasks still end. */
void run_file_fail(struct run *run, struct file *file, const char *what, int error);

/* run_file.c: the file is none to work on, and was none to be named. */
void run_file_pass(struct file *file, const char *why);

/* run_file.c: if nothing of it is under way: restart it, finish it, or end it as failed. */
void run_file_settle(struct run *run, struct file *file);

/* run_file.c: put the file back to where it can go on with another engine, or to its beginning. */
void run_file_rewind(struct run *run, struct file *file, bool from_the_start);

/* run_file.c: it changed while it was read: once more, or it fails. */
void run_file_changed(struct run *run, struct file *file);

/* run_file.c: tell of the files that have ended, in order, and free them. */
void run_retire(struct run *run);

/* run_file.c: the run ends before its time: tell also of those that have ended behind one that has
 * not. Called once, last. */
void run_tell_ended(struct run *run);

/* run_file.c: forget a file that was not told of, with its half result. */
void run_file_free(struct run *run, struct file *file);

void run_work_free(struct run *run, struct work *work);

#endif
