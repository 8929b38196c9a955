/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/launch/explain.h - the start, told step by step: what was found, what was decided.
 *
 * Owns:     nothing.
 * Threads:  one at a time: that which starts.
 * Blocking: as the function that gets the lines.
 * Trust:    not concerned.
 * Limits:   VINE__LINE_BYTES a line.
 *
 * Steps have fixed numbers, so that somebody who knows one start finds their way in another. Those
 * that are decided before anything runs are told by vine__explain_plan; whoever starts tells of the
 * others while they happen, in this order.
 */
#ifndef VINE_CORE_LAUNCH_EXPLAIN_H
#define VINE_CORE_LAUNCH_EXPLAIN_H

#include "core/launch/lines.h"
#include "core/launch/plan.h"

/* X(step, name, what happens in it) */
#define VINE__STEPS(X)                                                                             \
    X(SIGNALS, "signals",                                                                          \
      "SIGINT and SIGTERM stop the program and SIGUSR1 asks for its state, unless it handles "     \
      "them itself; SIGRTMAX asks a core that is blocked where it is; all others are the "         \
      "program's")                                                                                 \
    X(AFFINITY, "affinity", "whether threads are bound to processors")                             \
    X(PROCESSORS, "processors", "which there are, which may be used, and which are chosen")        \
    X(MEMORY, "memory", "how much there is by each source, and how much the cores get")            \
    X(HUGE_PAGES, "huge pages", "whether memory is made of huge pages")                            \
    X(LOCK_MEMORY, "lock memory", "whether memory is kept from being swapped out")                 \
    X(IO_QUEUES, "I/O queues", "how many there are, and how much each hands to the kernel")        \
    X(ALLOCATION, "allocation", "core by core: processor, node, memory, I/O queue")                \
    X(MAIN_THREAD, "main thread", "the thread of main becomes core 0")                             \
    X(SIGNALS_BLOCKED, "signals blocked", "no thread but that of core 0 is interrupted")           \
    X(THREADS, "threads", "one is made for each other core, and takes its memory")                 \
    X(REGISTERED, "barrier: reactors registered", "each thread has its processor and memory")      \
    X(MESSAGE_QUEUES, "message queues",                                                            \
      "one is made for each ordered pair of cores, and one for each core's calls to itself")       \
    X(CONSTRUCTED, "barrier: queues constructed", "each core can be written to by all others")     \
    X(QUEUES_STARTED, "queues started", "each core listens, and knows whose I/O queue it uses")    \
    X(INITED, "barrier: inited", "each core is ready to work")                                     \
    X(NETWORK, "network", "whose it is; it starts on a core with what is first opened there")      \
    X(CLOCK, "low-resolution clock",                                                               \
      "each core reads it as its loop begins, and then as it turns")                               \
    X(RUNNING, "loop running", "the program's main function is called on core 0")

enum vine__step {
#define VINE__STEP_ENUM(step, name, text) VINE__STEP_##step,
    VINE__STEPS(VINE__STEP_ENUM)
#undef VINE__STEP_ENUM
        VINE__STEP_COUNT,
};

/* Its name in what is printed, and what happens in it. */
const char *vine__step_name(enum vine__step step);
const char *vine__step_text(enum vine__step step);

/* Tell what came of a step: " 9. main thread: ...". With lines of which nobody hears, nothing. */
void vine__explain_step(const struct vine__lines *lines, enum vine__step step, const char *format,
                        ...) VINE_PRINTF(3, 4);

/* A detail of the step that was told last. */
void vine__explain_more(const struct vine__lines *lines, const char *format, ...) VINE_PRINTF(2, 3);

/* The steps from AFFINITY to ALLOCATION. A plan of NULL, since what was asked for is not to be had:
 * what was found, without decisions. */
void vine__explain_plan(const struct vine__lines *lines, const struct vine__topology *topology,
                        const struct vine__launch_options *options, const struct vine__plan *plan);

/* All steps of a start on a machine that is only described: nothing starts. */
void vine__explain_described(const struct vine__lines *lines, const struct vine__topology *topology,
                             const struct vine__launch_options *options,
                             const struct vine__plan *plan);

#endif
