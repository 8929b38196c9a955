/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/serving.h - an appliance in a process of its own, and an application with no-ops for it.
 *
 * Owns:     the appliance's process and socket.
 * Threads:  one a process; the appliance has no workers.
 * Blocking: bench_serving_start until the appliance answers, and where an application waits.
 * Trust:    both sides are ours; each treats the other as if it were not, as always.
 * Limits:   NOOPS_IN_FLIGHT tasks in flight.
 */
#ifndef VINE_BENCH_SERVING_H
#define VINE_BENCH_SERVING_H

#include <sys/types.h>

#include <vine/vine.h>

#include "bench.h"

#define NOOPS_IN_FLIGHT   64u
#define BENCH_LARGE_BYTES (1u << 20)

struct bench_serving {
    pid_t pid;
    char path[64];
};

struct bench_serving_options {
    bool is_pinned;        /* to the second processor */
    uint64_t spin_ns;      /* before it sleeps; 0: the default; 1: never */
    uint64_t *noops_begun; /* in shared memory: raised by each no-op; may be NULL */
    /* How it is served, in the process that serves: NULL: by vine_appliance_serve. It has what is
     * offered registered by bench_serving_offer, and returns after SIGTERM. */
    void (*serve)(const char *path, const struct vine_appliance_options *how);
};

/* It offers
 *   noop                   nothing, at once
 *   read   input           reads nothing of it, in place
 *   copy   input           the same with a private copy of it
 *   memcpy                 copies BENCH_LARGE_BYTES of its own
 *   fill   output          says that it has filled all of the room
 *   both   input, output   the same with both */
void bench_serving_start(struct bench_serving *serving,
                         const struct bench_serving_options *options);
void bench_serving_offer(struct vine_appliance *appliance);
void bench_serving_stop(const struct bench_serving *serving);

struct bench_application {
    struct vine_pipe *pipe;
    struct vine_procedure *noop;
};

void bench_application_open(struct bench_application *application,
                            const struct bench_serving *serving, enum vine_wait_mode mode,
                            uint64_t spin_ns);
struct vine_procedure *bench_application_procedure(const struct bench_application *application,
                                                   const char *name);

/* Run `count` no-ops one after the other. */
void bench_noop_trips(const struct bench_application *application, uint64_t count);

/* The same with NOOPS_IN_FLIGHT in flight: the oldest is waited for and freed, and another one
 * issued. They stay in flight in between, until bench_noop_drain. */
struct bench_noops {
    struct vine_task *tasks[NOOPS_IN_FLIGHT];
    uint32_t next;
};

void bench_noop_stream(const struct bench_application *application, struct bench_noops *noops,
                       uint64_t count);
void bench_noop_drain(struct bench_noops *noops);

#endif
