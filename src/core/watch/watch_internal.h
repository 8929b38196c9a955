/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/watch/watch_internal.h - what the watcher keeps of each core.
 *
 * Memory orders:
 *
 *   K1  who looks: release, asked                  pairs with K2: nothing but the word itself
 *   K2  the interrupted thread: exchange, taking   pairs with K1
 *   K3  the interrupted thread: release, taken     pairs with K4: frames and glance are there
 *   K4  who looks: acquire of it                   pairs with K3
 *   D1  who asks: release of `answer`, asked       pairs with D2: the text is the core's
 *   D2  the core, when the call has come           pairs with D1, and needs no load for it
 *   D3  the core: release, answered                pairs with D4: the text is there
 *   D4  who asks: acquire of it                    pairs with D3
 *   W2  the watcher, before it sleeps: full fence  pairs with W1 (core/reactor)
 *   E1  who stops: release of `has_ended`          pairs with E2: nothing but the word itself
 *   E2  the watcher: acquire of it                 pairs with E1
 *   F1  who starts: release of the process's watch pairs with F2: it is whole
 *   F2  the interrupted thread: acquire of it      pairs with F1
 */
#ifndef VINE_CORE_WATCH_WATCH_INTERNAL_H
#define VINE_CORE_WATCH_WATCH_INTERNAL_H

#include "core/watch/watch.h"

#include "arch/backtrace/backtrace.h"
#include "arch/thread/thread.h"

#define VINE__WATCH_TEXT_BYTES 16384

/* Of a look at a thread. */
enum vine__look {
    VINE__LOOK_IDLE,
    VINE__LOOK_ASKED,
    VINE__LOOK_TAKING,
    VINE__LOOK_TAKEN,
};

/* Of what a core says of itself. */
enum vine__answer {
    VINE__ANSWER_NONE,
    VINE__ANSWER_ASKED, /* the text is the core's until it has answered, however late */
    VINE__ANSWER_THERE,
};

struct vine__watch_core {
    struct vine__watched what;
    uint32_t core;

    /* Where its thread is. Written by that thread between asked and taken. */
    uint32_t look; /* atomic: enum vine__look */
    uint32_t frame_count;
    void *frames[VINE__WATCH_FRAMES];
    struct vine__reactor_glance glance;

    /* What it says of itself, lines ended with newlines. */
    uint32_t answer; /* atomic: enum vine__answer */
    uint32_t text_length;
    char text[VINE__WATCH_TEXT_BYTES];

    /* The watcher's own. */
    uint64_t turns;        /* as they were last seen */
    uint64_t since_ns;     /* since when they are that many */
    uint64_t used_ns;      /* the thread's time on a processor when that was first seen */
    uint64_t waited_ns;    /* and waiting for one */
    uint64_t report_at_ns; /* the next report is due when it has been blocked that long */
    uint64_t check_at_ns;  /* before, it cannot have been */
    bool is_suspect;       /* the two times were taken */
    bool is_reported;
    uint64_t period_ns; /* when the period began in which these were counted */
    uint32_t reports;
    uint32_t left_out;
};

struct vine__watch {
    struct vine__watch_options options;
    struct vine__watch_core *cores;
    struct vine__symbolizer *symbolizer;
    struct vine__thread thread;
    uint32_t number;        /* of that thread, by the kernel; its own, as is what follows */
    uint64_t starved_ns;    /* how long it had waited for a processor */
    uint64_t starved_at_ns; /* when that was looked up */
    struct vine__watcher_bell bell;
    bool has_rung; /* while we waited */
    int signal_fd;
    int epoll_fd;
    uint32_t has_ended; /* atomic: E1 */
    bool is_started;
};

/* look.c */
int vine__looks_open(struct vine__watch *watch);
void vine__looks_close(void);

/* Find out where a core's thread is. Returns whether it has answered: frames and glance are those
 * of now. */
bool vine__look_at(struct vine__watch_core *core);

/* Log the frames that were taken, under the line before. */
void vine__look_tell(struct vine__watch *watch, const struct vine__watch_core *core,
                     enum vine_log_level level, const char *module);

/* state.c: log what all cores are doing. */
void vine__watch_tell_state(struct vine__watch *watch);

/* stall.c: look at all cores. Returns whether any is awake, or has been since the last time. */
bool vine__watch_look_round(struct vine__watch *watch, uint64_t now_ns);
/* Begin anew: the watcher itself did not run for a while, or slept. */
void vine__watch_begin_anew(struct vine__watch *watch, uint64_t now_ns);
/* Tell what is left to be told. */
void vine__watch_end_reports(struct vine__watch *watch);

#endif
