/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.h - what does the work of `vine run`: an appliance through a pipe, or threads of this
 * process that call the same libraries, to compare.
 *
 * Owns:     blocks (memory that inputs are read into), sessions, and the tasks under way.
 * Threads:  one thread uses an engine.
 * Blocking: engine_wait alone.
 * Limits:   tasks in flight as engine_tasks_max tells; memory as the engine grants: -VINE_EQUOTA is
 *           answered by waiting for a task that ends.
 */
#ifndef VINE_TOOLS_ENGINE_H
#define VINE_TOOLS_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vine/talk.h>

#include "recipe.h"

/* Which of an engine's two procedures a task or session is of. */
enum engine_role {
    ENGINE_MAIN, /* the one that was asked for */
    ENGINE_SUM,  /* sha256, for --sums */
};

struct engine;
struct engine_session;

/* Memory for an input, counted: several tasks may use one. */
struct block {
    struct engine *engine;
    unsigned references;
    void *bytes;
    uint64_t size;
    struct vine_data *data; /* where the engine is a pipe */
};

struct work {
    struct work *next; /* for lists of whoever holds it */
    void *owner;       /* the caller's */
    uint64_t index;    /* the caller's */
    uint64_t cost;     /* the caller's */
    enum engine_role role;
    struct block *input; /* the work holds a reference */
    uint64_t room;
    struct engine_session *session; /* or NULL */
    bool is_last;                   /* of its session */

    int status;                       /* once it has ended */
    char reason[VINE_REASON_MAX + 1]; /* of an error, in the words of who did it; or "" */
    const void *output;
    uint64_t output_size;
    unsigned char result[VINE_RESULT_MAX];
    size_t result_size;
    uint64_t queued_ns;
    uint64_t run_ns;

    struct engine *engine; /* the rest is the engine's own */
    struct vine_task *task;
    struct vine_data *data;
    void *memory;
    size_t slot;
    struct work *next_in_session;
};

struct engine_operations {
    int (*block_create)(struct engine *engine, uint64_t size, struct block *block);
    void (*block_free)(struct block *block);
    int (*session_open)(struct engine *engine, enum engine_role role,
                        struct engine_session **ret_session);
    void (*session_close)(struct engine *engine, struct engine_session *session);
    int (*issue)(struct engine *engine, struct work *work);
    int (*wait)(struct engine *engine, uint64_t timeout_ns);
    int (*check)(const struct work *work); /* NULL: its memory cannot go */
    void (*work_free)(struct engine *engine, struct work *work);
    void (*stop)(struct engine *engine); /* what is under way ends here, whatever comes of it */
    void (*destroy)(struct engine *engine);
};

struct engine {
    const struct engine_operations *operations;
    uint32_t tasks_max;
    uint64_t memory_max; /* of inputs and rooms of the tasks in flight */
    uint32_t in_flight;
    struct work *done; /* ended, not taken yet; in the order in which they ended */
    struct work **done_tail;
};

/* Returns 0, -VINE_EQUOTA, -ENOMEM, or an error of the pipe. The bytes are aligned to a cache
 * line. */
int engine_block_create(struct engine *engine, uint64_t size, struct block **ret_block);
void engine_block_ref(struct block *block);
void engine_block_unref(struct block *block); /* NULL is allowed */

int engine_session_open(struct engine *engine, enum engine_role role,
                        struct engine_session **ret_session);
void engine_session_close(struct engine *engine, struct engine_session *session);

/* Begin the work. Returns 0; -EAGAIN or -VINE_EQUOTA: not begun, try again when another has ended;
 * or an error of the pipe. */
int engine_issue(struct engine *engine, struct work *work);

/* Wait until some work has ended, at most so long. Returns 0, or an error of the pipe (then all
 * work under way ends with an error as well). */
int engine_wait(struct engine *engine, uint64_t timeout_ns);

/* After its output was used: 0, or -VINE_EPEERLOST: it was not there to the end. */
int engine_check(const struct work *work);

/* Take work that has ended, or NULL. */
struct work *engine_next_done(struct engine *engine);

/* Free work that is not under way: its output, its hold on the input, itself. */
void engine_work_free(struct engine *engine, struct work *work);

/* Frees what is under way too. Of blocks and sessions there must be none but that work's. */
void engine_destroy(struct engine *engine);

/* For engines: `work` has ended. */
void engine_finish(struct engine *engine, struct work *work);

struct engine_options {
    const struct recipe *recipe;
    bool with_sums;
    bool has_level;
    uint64_t level;
    const char *key;      /* the procedure's argument of this name, or NULL; stays the caller's */
    uint32_t threads;     /* engine_threads alone */
    uint64_t deadline_ns; /* engine_pipe alone: of each task; 0: none */
};

/* An open pipe becomes an engine, which closes it in the end. Returns 0; -VINE_EPROCEDURE with the
 * missing one's name in *ret_missing; an error of the pipe. */
int engine_pipe_create(struct vine_pipe *pipe, const struct engine_options *options,
                       struct engine **ret_engine, const char **ret_missing);

/* Threads of this process. Returns 0; -ENOTSUP: not this procedure; -ENOMEM, -EAGAIN. */
int engine_threads_create(const struct engine_options *options, struct engine **ret_engine);

#endif
