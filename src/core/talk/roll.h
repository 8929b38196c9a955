/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/roll.h - the roll of an appliance's pipes: those that are open, of all its parts, and
 * the last ones that were.
 *
 * Owns:     copies of what is told of pipes that are over. Open ones stay their part's.
 * Threads:  any, behind its lock: pipes come and go seldom, and who asks is bounded. What is told
 *           of an open pipe is read while its loop writes it, word by word.
 * Blocking: for as long as somebody else calls or writes a page of it.
 * Trust:    names are what applications call themselves.
 * Limits:   VINE__ROLL_CLOSED pipes that are over; the oldest goes.
 */
#ifndef VINE_CORE_TALK_ROLL_H
#define VINE_CORE_TALK_ROLL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/talk/talk_layout.h"
#include "utils/list.h"

#define VINE__ROLL_CLOSED 128u

struct vine__served;

/* A pipe's place in it; of an open one inside of the pipe. */
struct vine__rolled {
    struct vine__list link;
    uint64_t sequence; /* in the order of opening */
    uint64_t since_ns;
};

struct vine__roll {
    pthread_mutex_t lock;
    struct vine__list open; /* by sequence */
    uint64_t sequence;      /* of the last one */
    uint64_t closed_count;  /* so far; the last ones are kept, each in its place */
    struct vine__roll_closed {
        uint64_t since_ns;
        uint64_t closed_ns;
        struct vine_wire_pipe said; /* but for the durations */
    } closed[VINE__ROLL_CLOSED];
};

/* Whose pipes to tell of. */
struct vine__roll_reader {
    const struct vine__served *pipe; /* by which it is asked */
    bool sees_all;                   /* else those of its user */
};

void vine__roll_init(struct vine__roll *roll);
void vine__roll_fini(struct vine__roll *roll);

/* A pipe is open: it is told of from here on; and until it is closed here. Its loop. */
void vine__roll_open(struct vine__roll *roll, struct vine__served *pipe);
void vine__roll_close(struct vine__roll *roll, struct vine__served *pipe, int error,
                      const char *why);

/* Tell of at most `count` pipes behind the place *cursor, 0: from the first on, open ones before
 * those that are over. Returns how many; *cursor is where to go on then, 0: that was all. */
uint32_t vine__roll_read(struct vine__roll *roll, const struct vine__roll_reader *reader,
                         struct vine_wire_pipe *pipes, uint32_t count, uint64_t *cursor);

#endif
