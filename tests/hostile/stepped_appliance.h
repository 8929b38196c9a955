/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/hostile/stepped_appliance.h - an appliance whose loop turns when the test says so, so that
 * what one turn does can be counted.
 *
 * Owns:     the appliance and its folder under /tmp.
 * Threads:  the test's turns the loop; what waits for the appliance runs on another one meanwhile.
 * Blocking: while that thread waits.
 * Trust:    none is deserved by the applications.
 * Limits:   for test programs alone.
 */
#ifndef VINE_TESTS_HOSTILE_STEPPED_APPLIANCE_H
#define VINE_TESTS_HOSTILE_STEPPED_APPLIANCE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vine/appliance.h>
#include <vine/error.h>

#include "arch/clock/clock.h"
#include "core/talk/appliance_internal.h"
#include "core/talk/message.h"
#include "harness/folder.h"
#include "hostile/raw_application.c"

struct stepped {
    struct vine_appliance *appliance;
    char folder[32];
    char path[64];
};

/* At an address of the test's. */
static inline void stepped_start_at(struct stepped *stepped, const char *address,
                                    const struct vine_appliance_options *options)
{
    (void)snprintf(stepped->path, sizeof stepped->path, "%s", address);
    assert_int_equal(vine_appliance_create(options, &stepped->appliance), 0);
    assert_int_equal(vine_appliance_listen(stepped->appliance, stepped->path), 0);
}

static inline void stepped_start(struct stepped *stepped,
                                 const struct vine_appliance_options *options)
{
    char path[sizeof stepped->path];

    memset(stepped, 0, sizeof *stepped);
    (void)snprintf(stepped->folder, sizeof stepped->folder, "/tmp/vine-stepped-XXXXXX");
    assert_int_equal(folder_make(stepped->folder), 0);
    (void)snprintf(path, sizeof path, "%s/socket", stepped->folder);
    stepped_start_at(stepped, path, options);
}

static inline void stepped_stop(struct stepped *stepped)
{
    vine_appliance_destroy(stepped->appliance);
    if (stepped->folder[0] != 0)
        (void)rmdir(stepped->folder);
}

/* One turn, which asks the descriptors too. */
static inline void stepped_turn(struct stepped *stepped)
{
    stepped->appliance->heard_ticks = 0;
    (void)vine__loop_turn(stepped->appliance, vine__clock_ticks());
}

/* ---- what waits for the appliance ------------------------------------------------------------ */

struct stepped_wait {
    int (*wait)(void *context);
    void *context;
    int result;
    uint32_t is_over; /* atomic */
};

static inline void *stepped_wait(void *context)
{
    struct stepped_wait *wait = context;

    wait->result = wait->wait(wait->context);
    vine__store_release_u32(&wait->is_over, 1);
    return NULL;
}

/* Turn the loop until `wait` has returned. */
static inline int stepped_turn_while(struct stepped *stepped, int (*wait)(void *context),
                                     void *context)
{
    struct stepped_wait waiting = {.wait = wait, .context = context};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, stepped_wait, &waiting), 0);
    while (vine__load_acquire_u32(&waiting.is_over) == 0)
        stepped_turn(stepped);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return waiting.result;
}

struct stepped_open {
    struct raw_application *raw;
    const char *path;
    uint32_t channels;
    uint32_t without; /* features */
};

static inline int stepped_open_now(void *context)
{
    struct stepped_open *open = context;
    int error = raw_open_without(open->raw, open->path, open->without);

    for (uint32_t i = 0; i < open->channels && !error; i++)
        error = raw_open_channel(open->raw);
    return error;
}

/* An application with so many channels, that does not know these features. */
static inline void stepped_open_without(struct stepped *stepped, struct raw_application *raw,
                                        uint32_t channels, uint32_t features)
{
    struct stepped_open open = {
        .raw = raw, .path = stepped->path, .channels = channels, .without = features};

    assert_int_equal(stepped_turn_while(stepped, stepped_open_now, &open), 0);
}

/* An application with so many channels. */
static inline void stepped_open(struct stepped *stepped, struct raw_application *raw,
                                uint32_t channels)
{
    stepped_open_without(stepped, raw, channels, 0);
}

static inline struct vine_appliance_stats stepped_stats(const struct stepped *stepped)
{
    struct vine_appliance_stats stats;

    vine_appliance_get_stats(stepped->appliance, &stats);
    return stats;
}

/* ---- submissions ----------------------------------------------------------------------------- */

static inline struct vine_wire_submission stepped_task(uint32_t procedure, uint64_t operation)
{
    return (struct vine_wire_submission){
        .operation = operation,
        .procedure = (uint16_t)(VINE_WIRE_PROCEDURES_FROM + procedure),
        .kind = VINE_WIRE_TASK,
    };
}

static inline void stepped_submit(struct raw_application *raw, uint32_t channel,
                                  struct vine_wire_submission submission)
{
    assert_int_equal(raw_submit(raw, channel, &submission), 0);
}

/* Bytes at the body's start, tokens at its end. */
static inline void stepped_give(struct vine_wire_submission *submission, const void *bytes,
                                uint32_t size, const struct vine_token *tokens, uint32_t count)
{
    submission->shape = VINE_WIRE_SHAPE(size, count);
    if (size > 0)
        memcpy(submission->body, bytes, size);
    if (count > 0)
        memcpy(submission->body + VINE_WIRE_BODY_BYTES - count * sizeof *tokens, tokens,
               count * sizeof *tokens);
}

static inline struct vine_token stepped_expect(uint32_t room)
{
    return (struct vine_token){.length = room, .type = VINE_TYPE_BYTES | VINE_WIRE_TYPE_EXPECT};
}

/* Memory of the application's own; what was there before lies in it. */
static inline struct vine_token stepped_own(struct raw_application *raw, uint32_t length)
{
    struct vine__box box;

    assert_int_equal(vine__half_alloc(&raw->half, length, &box), 0);
    return (struct vine_token){.offset_units = box.offset_units,
                               .length = length,
                               .type = VINE_TYPE_BYTES,
                               .extent = (uint16_t)box.extent};
}

/* The pipe that was opened last, as the appliance sees it. */
static inline struct vine__served *stepped_newest(struct stepped *stepped)
{
    struct vine__served *newest = NULL;

    VINE_LIST_FOR_EACH(node, &stepped->appliance->pipes)
    {
        struct vine__served *pipe = VINE_LIST_OBJECT(node, struct vine__served, link);

        if (newest == NULL || pipe->number > newest->number)
            newest = pipe;
    }
    assert_non_null(newest);
    return newest;
}

/* Turn until a completion has come, at most so many times. */
static inline struct vine_wire_completion stepped_complete(struct stepped *stepped,
                                                           struct raw_application *raw,
                                                           uint32_t channel, uint32_t turns_max,
                                                           uint32_t *ret_turns)
{
    struct vine_wire_completion completion = {0};
    uint32_t turns = 0;

    while (vine_spsc_pop(&raw->channels[channel].consumer, &completion) != 0) {
        assert_true(turns++ < turns_max);
        stepped_turn(stepped);
    }
    if (ret_turns != NULL)
        *ret_turns = turns;
    return completion;
}

/* How many completions have come. */
static inline uint32_t stepped_completed(struct raw_application *raw, uint32_t channel)
{
    struct vine_wire_completion completion;
    uint32_t count = 0;

    while (vine_spsc_pop(&raw->channels[channel].consumer, &completion) == 0)
        count++;
    return count;
}

#endif
