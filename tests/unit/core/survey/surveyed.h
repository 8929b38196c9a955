/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/core/survey/surveyed.h - a segment with a pipe at work, copied, and what is planted
 * into copies of it.
 */
#ifndef VINE_TESTS_SURVEYED_H
#define VINE_TESTS_SURVEYED_H

#include "../talk/served.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "core/segment/segment_layout.h"
#include "core/survey/survey.h"
#include "core/talk/talk_layout.h"

#define MODEL_BYTES (1u << 20)
#define PENDING     4 /* tasks that were taken and are not completed */
#define DATA_BYTES  1000u

static const struct vine_appliance_options surveyed_options = {
    .size_bytes = sizeof surveyed_options, .segment_bytes = MODEL_BYTES};

/* A copy, and where things are in it. */
static struct {
    unsigned char bytes[MODEL_BYTES + 65536];
    size_t size;
    uint64_t bases[2], rings[2];
    uint64_t slots;
    uint64_t positions[2]; /* of the next message in either ring */
    uint64_t account;
} model;

static char surveyed_path[] = "/tmp/vine-surveyed-XXXXXX";
static char surveyed_address[64];

static inline uint64_t word_at(uint64_t offset)
{
    uint64_t value;

    memcpy(&value, model.bytes + offset, sizeof value);
    return value;
}

static inline uint64_t record_at(uint32_t side)
{
    return model.bases[side] + offsetof(struct vine_half_layout, channels);
}

static inline uint64_t consumed_at(uint32_t side)
{
    return record_at(side) + offsetof(struct vine_channel_layout, consumed);
}

static inline uint64_t slot_at(uint32_t side, uint64_t position)
{
    return model.rings[side] + (position & (model.slots - 1)) * 64;
}

static inline void read_file(const char *path)
{
    FILE *file = fopen(path, "rb");

    assert_non_null(file);
    model.size = fread(model.bytes, 1, sizeof model.bytes, file);
    assert_int_equal(fclose(file), 0);
}

static inline void find_places(void)
{
    const struct vine__segment_header *header = (const void *)model.bytes;

    for (uint32_t i = 0; i < VINE__SEGMENT_SPEC_COUNT; i++)
        if (header->specs[i].kind == VINE_SEGMENT_KIND_APPLICATION_HALF)
            model.bases[0] = header->specs[i].offset_bytes;
        else if (header->specs[i].kind == VINE_SEGMENT_KIND_APPLIANCE_HALF)
            model.bases[1] = header->specs[i].offset_bytes;
    for (uint32_t side = 0; side < 2; side++) {
        const struct vine_channel_layout *record = (const void *)(model.bytes + record_at(side));

        model.slots = record->slot_count;
        model.rings[side] = model.bases[side] + record->ring_offset_units * 64ULL;
        while (word_at(slot_at(side, model.positions[side])) == model.positions[side] + 1)
            model.positions[side]++;
    }
}

/* Three no-ops, a result that is held, and two tasks before the gate, behind which two wait: one
 * with an input, one with a descriptor. */
static inline void work(struct vine_pipe *pipe, struct vine_task *tasks[PENDING],
                        struct vine_data *data[3])
{
    static const char long_text[100] = "Hello";
    struct vine_task_options turn = {.size_bytes = sizeof turn,
                                     .inputs = &data[0],
                                     .input_count = 1,
                                     .outputs = &data[1],
                                     .output_count = 1};
    const struct vine_task_options sum = {
        .size_bytes = sizeof sum, .bytes = long_text, .bytes_size = sizeof long_text};
    struct vine_procedure *const turning = served_get(pipe, "turn");
    struct vine_procedure *const summing = served_get(pipe, "sum_bytes");

    for (int i = 0; i < 3; i++)
        assert_int_equal(vine_pipe_call(pipe, "noop", NULL, 0, NULL, 0, NULL), 0);
    assert_int_equal(vine_data_create(pipe, VINE_TYPE_BYTES, DATA_BYTES, &data[0]), 0);
    for (int i = 1; i < 3; i++)
        assert_int_equal(vine_data_expect(pipe, VINE_TYPE_BYTES, DATA_BYTES, &data[i]), 0);
    assert_int_equal(vine_task_issue(pipe, turning, &turn, &tasks[0]), 0);
    assert_int_equal(vine_task_wait(tasks[0], LIMIT), 0);
    vine_task_free(tasks[0]);
    for (uint64_t i = 0; i < 2; i++)
        tasks[i] = gate_issue(pipe, i, NULL);
    turn.outputs = &data[2];
    assert_int_equal(vine_task_issue(pipe, turning, &turn, &tasks[2]), 0);
    assert_int_equal(vine_task_issue(pipe, summing, &sum, &tasks[3]), 0);
    gate_wait_for(1);
}

static inline uint64_t account_units_at(void)
{
    return model.bases[1] + offsetof(struct vine_half_layout, board.account_units);
}

/* How many tasks the appliance has written down; it may be about to do so. */
static inline uint64_t tasks_in_account(void)
{
    struct vine_account_layout account;
    uint64_t count = 0;

    model.account = model.bases[1] + (word_at(account_units_at()) & UINT32_MAX) * VINE_TALK_UNIT;
    memcpy(&account, model.bytes + model.account, sizeof account);
    for (uint32_t i = 0; (account.version & 1) == 0 && i < account.count; i++)
        if (account.findings[i].kind == VINE_WIRE_FOUND_TASKS)
            count += account.findings[i].count;
    return count;
}

/* Until the appliance has told that it took all of them, and has written it down. */
static inline void wait_until_taken(const char *path)
{
    do {
        sched_yield();
        memset(model.positions, 0, sizeof model.positions);
        read_file(path);
        find_places();
    } while (word_at(consumed_at(1)) != model.positions[0] ||
             word_at(consumed_at(0)) != model.positions[1] || tasks_in_account() != PENDING);
}

static inline int make_model(void **state)
{
    struct served served;
    struct vine_pipe *pipe;
    struct vine_task *tasks[PENDING];
    struct vine_data *data[3];
    const int fd = mkstemp(surveyed_path);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    (void)snprintf(surveyed_address, sizeof surveyed_address, "file:%s", surveyed_path);
    served_start_at(&served, "file:", &surveyed_options, 1);
    pipe = served_open(&served, NULL);
    work(pipe, tasks, data);
    wait_until_taken(served.path + strlen("file:"));
    gate_set(true);
    for (int i = 0; i < PENDING; i++) {
        assert_int_equal(vine_task_wait(tasks[i], LIMIT), 0);
        vine_task_free(tasks[i]);
    }
    for (int i = 0; i < 3; i++)
        vine_data_free(data[i]);
    vine_pipe_close(pipe);
    served_stop(&served);
    return 0;
}

static inline int remove_model(void **state)
{
    (void)state;
    return unlink(surveyed_path);
}

static inline void put(const void *bytes, size_t size)
{
    FILE *file = fopen(surveyed_path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* What is in the file is surveyed. For the caller to free. */
static inline struct vine__survey *survey_file(void)
{
    struct vine__survey *survey = calloc(1, sizeof *survey);
    struct vine__why why;

    assert_non_null(survey);
    assert_int_equal(vine__survey_segment(surveyed_address, survey, &why), 0);
    return survey;
}

/* The model with other bytes at an offset. */
static inline struct vine__survey *survey_planted(uint64_t offset, const void *bytes, size_t size)
{
    static unsigned char copy[sizeof model.bytes];

    memcpy(copy, model.bytes, model.size);
    assert_true(offset + size <= model.size);
    memcpy(copy + offset, bytes, size);
    put(copy, model.size);
    return survey_file();
}

static inline const struct vine__survey_finding *fault_at(const struct vine__survey *survey,
                                                          uint64_t offset)
{
    for (uint32_t i = 0; i < survey->finding_count; i++)
        if (survey->findings[i].weight == VINE__SURVEY_FAULT &&
            survey->findings[i].offset == offset)
            return &survey->findings[i];
    return NULL;
}

static inline void print_findings(const struct vine__survey *survey)
{
    for (uint32_t i = 0; i < survey->finding_count; i++)
        print_message("%u at %llu, %s: %s; expected %s\n", survey->findings[i].weight,
                      (unsigned long long)survey->findings[i].offset, survey->findings[i].where,
                      survey->findings[i].found, survey->findings[i].expected);
}

#endif
