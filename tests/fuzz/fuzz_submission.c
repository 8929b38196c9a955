/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An appliance before an application that writes anything. The input is a row of steps of 64 bytes:
 * one that says which step, one for its channel, whether what was sent is taken at once, whether
 * its bit is changed, and whether idle channels leave the list; 6 of a place, 56 of a submission,
 * of a block in the application's half, or of its word of bits. The appliance is private to this
 * process; its half and the application's are plain memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "core/talk/ready.h"
#include "core/talk/served_internal.h"
#include "harness/procedures.h"
#include "utils/assert.h"

#define HALF_BYTES (64u << 10)
#define SLOTS      64u
#define RING_UNITS 256u /* where the application's ring lies */
#define STEP       64u
#define CHANNELS   2u /* of four that may be opened */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

struct fuzzed {
    struct vine_appliance *appliance;
    struct vine__served *pipe;
    unsigned char *application; /* its half */
    struct vine_spsc_producer producers[CHANNELS];
    struct vine__ready ready[CHANNELS];
    uint64_t completed;
};

static const struct vine_argument echo_arguments[] = {
    {"input", VINE_INPUT, VINE_TYPE_BYTES, 0, 8192},
    {"output", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 8192},
    {"number", VINE_SCALAR, 0, 0, 1000},
    {"more", VINE_BYTES, 0, 0, 256},
};

static const struct vine_procedure_definition echo = {
    .size_bytes = sizeof echo,
    .name = "echo",
    .run = run_echo,
    .arguments = echo_arguments,
    .argument_count = 4,
};

static int receive_nothing(struct vine__link *link, struct vine__why *why)
{
    (void)link, (void)why;
    return 0;
}

static void say_nothing(struct vine__link *link, int error, const char *text)
{
    (void)link, (void)error, (void)text;
}

static void do_nothing(struct vine__link *link)
{
    (void)link;
}

static const struct vine__link_operations operations = {
    .wake = do_nothing,
    .receive = receive_nothing,
    .bye = say_nothing,
    .close = do_nothing,
};

static void begin(struct fuzzed *fuzzed)
{
    struct vine_half_layout *layout;
    void *half = aligned_alloc(4096, HALF_BYTES);
    int error = vine_appliance_create(NULL, &fuzzed->appliance);

    fuzzed->application = aligned_alloc(4096, HALF_BYTES);
    VINE_ASSERT(error == 0 && half != NULL && fuzzed->application != NULL);
    memset(half, 0, HALF_BYTES);
    memset(fuzzed->application, 0, HALF_BYTES);
    error = vine_appliance_register(fuzzed->appliance, &echo);
    VINE_ASSERT(error == 0);
    fuzzed->pipe = vine__served_create(fuzzed->appliance);
    VINE_ASSERT(fuzzed->pipe != NULL);
    fuzzed->pipe->link_to.operations = &operations;
    fuzzed->pipe->agreement.channels_max = 4;
    fuzzed->pipe->agreement.tasks_max = SLOTS * 3 / 4;
    fuzzed->pipe->agreement.memory_max_bytes = 2 * HALF_BYTES;
    fuzzed->pipe->agreement.ready = true;
    fuzzed->appliance->active_ticks = 0;
    error = vine__half_place(&fuzzed->pipe->half, half, HALF_BYTES);
    VINE_ASSERT(error == 0);
    error = vine__mirror_place(&fuzzed->pipe->mirror, fuzzed->application, HALF_BYTES);
    VINE_ASSERT(error == 0);
    error = vine__served_open(fuzzed->pipe);
    VINE_ASSERT(error == 0);

    layout = (struct vine_half_layout *)(void *)fuzzed->application;
    for (uint32_t i = 0; i < CHANNELS; i++) {
        const uint32_t at = RING_UNITS + i * SLOTS;

        layout->channels[i].slot_count = SLOTS;
        layout->channels[i].ring_offset_units = at;
        layout->channels[i].state = 1;
        error = vine_spsc_producer_init(
            &fuzzed->producers[i],
            (struct vine_slot *)(void *)(fuzzed->application + at * VINE_TALK_UNIT), SLOTS,
            &((struct vine_half_layout *)half)->channels[i].consumed.value);
        VINE_ASSERT(error == 0);
        vine__ready_init(&fuzzed->ready[i], true, i, layout, half);
    }
    layout->board.channels.value = CHANNELS;
}

/* Poll, and run what was taken. Negative: the pipe is broken. */
static int serve(struct fuzzed *fuzzed)
{
    const int error = vine__served_poll(fuzzed->pipe, vine__clock_ticks());

    if (error < 0) {
        VINE_ASSERT(fuzzed->pipe->why.text[0] != 0);
        return error;
    }
    while (vine__job_run_one(fuzzed->appliance, &fuzzed->appliance->scratch))
        continue;
    (void)vine__jobs_complete(fuzzed->appliance);
    return 0;
}

static int step(struct fuzzed *fuzzed, const uint8_t *bytes)
{
    uint32_t place;
    struct vine_half_layout *layout = (struct vine_half_layout *)(void *)fuzzed->application;
    struct vine_wire_submission submission;
    const uint32_t channel = bytes[1] % CHANNELS;

    memcpy(&place, bytes + 4, sizeof place);
    memcpy(&submission, bytes + 8, sizeof submission);
    switch (bytes[0] % 4) {
    case 0: /* a block, for tokens and descriptors to name */
        memcpy(fuzzed->application + place % (HALF_BYTES - 64) / 8 * 8, bytes + 8, 56);
        return 0;
    case 1: /* what the application has read, or which channels are ready */
        if (bytes[1] & 4)
            memcpy(&layout->board.channels.ready, bytes + 8, sizeof(uint64_t));
        else
            layout->channels[channel].consumed.value = place;
        return 0;
    case 2: /* of a task that there is */
        submission.kind = VINE_WIRE_TASK | (submission.kind & VINE_WIRE_SESSION_LAST);
        submission.procedure %= VINE_WIRE_PROCEDURES_FROM + 1;
        break;
    default:
        break;
    }
    if (vine_spsc_push(&fuzzed->producers[channel], &submission, sizeof submission) != 0)
        return -EAGAIN;
    if ((bytes[1] & 8) == 0 && !vine__ready_is_listed(&fuzzed->ready[channel]))
        vine__ready_tell(&fuzzed->ready[channel]);
    if ((bytes[1] & 16) != 0 && vine__served_thin_out(fuzzed->pipe, vine__clock_ticks()))
        vine__served_look_once_more(fuzzed->pipe);
    return bytes[1] & 2 ? 0 : serve(fuzzed);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    struct fuzzed fuzzed;
    int error;

    memset(&fuzzed, 0, sizeof fuzzed);
    begin(&fuzzed);

    void *half = fuzzed.pipe->half.layout;

    error = serve(&fuzzed);
    for (size_t at = 0; size_bytes - at >= STEP && !error; at += STEP)
        error = step(&fuzzed, bytes + at);
    vine__served_end(fuzzed.pipe, error, fuzzed.pipe->why.text);
    vine_appliance_destroy(fuzzed.appliance);
    free(half);
    free(fuzzed.application);
    return 0;
}
