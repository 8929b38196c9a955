/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words of a named segment, which both sides map and either may write: attach words and claims,
 * boards, records of channels. The input is a row of steps of 16 bytes: which step, one of its own,
 * a place, a value of 8. An appliance listens and turns when a step says so; applications come and
 * go. Whatever was written, once the words that outlive an application are as they were, the next
 * one is served.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "core/segment/segment_internal.h"
#include "core/talk/appliance_internal.h"
#include "harness/procedures.h"
#include "utils/assert.h"
#include "utils/bits.h"

#define SEGMENT_BYTES (384u << 10)
#define SLOTS         16u
#define RING_UNITS    256u /* where an application's ring lies in its half */
#define STEP          16u
#define STEPS_MAX     64u
#define TURNS_MAX     1000u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

struct fuzzed {
    struct vine_appliance *appliance;
    struct vine_segment *mapped; /* by nobody, to write anything into */
    struct vine__address address;
    struct vine__why why;
    void *halves[2]; /* the application's, the appliance's */
    struct vine_spsc_producer producer;
    bool is_attached;
    struct vine__link link; /* of the application that is attached */
    struct vine__half half;
    struct vine__mirror mirror;
};

static const struct vine_procedure_definition noop = {
    .size_bytes = sizeof noop,
    .name = "noop",
    .flags = VINE_PROCEDURE_SHORT,
    .run = run_noop,
};

static struct vine__segment_header *header_of(const struct fuzzed *fuzzed)
{
    return vine_segment_base(fuzzed->mapped);
}

static void begin(struct fuzzed *fuzzed)
{
    const struct vine_appliance_options options = {
        .size_bytes = sizeof options,
        .segment_bytes = SEGMENT_BYTES,
        .segment_truncate = true,
        .channels_max = 4,
        .tasks_max = SLOTS / 2,
    };
    struct vine_segment_options mine;
    uint64_t size = 0;
    char name[64];
    int error = vine_appliance_create(&options, &fuzzed->appliance);

    VINE_ASSERT(error == 0);
    fuzzed->appliance->turn_ticks = UINT64_MAX / 4; /* time is not what is looked at */
    (void)snprintf(name, sizeof name, "shm:vine-fuzz-%d", (int)getpid());
    error = vine_appliance_register(fuzzed->appliance, &noop);
    VINE_ASSERT(error == 0);
    error = vine_appliance_listen(fuzzed->appliance, name);
    VINE_ASSERT(error == 0);
    error = vine__address_resolve(name, false, &fuzzed->address, &fuzzed->why);
    VINE_ASSERT(error == 0);
    vine__address_to_segment(&fuzzed->address, &mine);
    mine.fingerprint = vine__half_fingerprint();
    error = vine_segment_attach(&mine, &fuzzed->mapped, NULL);
    VINE_ASSERT(error == 0);
    for (uint32_t i = 0; i < 2; i++) {
        error = vine_segment_find(fuzzed->mapped,
                                  i == 0 ? VINE_SEGMENT_KIND_APPLICATION_HALF
                                         : VINE_SEGMENT_KIND_APPLIANCE_HALF,
                                  &fuzzed->halves[i], &size);
        VINE_ASSERT(error == 0);
    }
}

static void turn(struct fuzzed *fuzzed)
{
    fuzzed->appliance->heard_ticks = 0; /* applications that come, too */
    (void)vine__loop_turn(fuzzed->appliance, vine__clock_ticks());
}

/* ---- applications ---------------------------------------------------------------------------- */

/* One of libvine's. The appliance does not turn meanwhile: that it has answered is `pretended`. */
static void attach(struct fuzzed *fuzzed, bool is_pretended)
{
    const struct vine__handshake_wish wish = {.name = "fuzzed", .why = &fuzzed->why};
    struct vine__agreement agreement;
    struct vine_half_layout *theirs = fuzzed->halves[1];

    if (fuzzed->is_attached)
        return;
    if (is_pretended) {
        theirs->board.epoch = (uint32_t)header_of(fuzzed)->sides[0].claims + 1;
        theirs->board.channels_max += theirs->board.channels_max == 0;
        theirs->board.tasks_max += theirs->board.tasks_max == 0;
    }
    fuzzed->why.text[0] = 0;

    vine__link_init(&fuzzed->link, &fuzzed->half, &fuzzed->mirror);

    const int error = vine__link_attach(&fuzzed->link, &fuzzed->address, &wish, &agreement);

    if (error) {
        VINE_ASSERT(fuzzed->why.text[0] != 0);
        return;
    }
    VINE_ASSERT(agreement.channels_max >= 1 && agreement.channels_max <= VINE_TALK_CHANNELS_MAX);
    VINE_ASSERT(agreement.tasks_max >= 1 && agreement.tasks_max <= VINE_SPSC_SLOTS_MAX / 2);
    fuzzed->is_attached = true;
}

static void detach(struct fuzzed *fuzzed, bool with_farewell)
{
    if (!fuzzed->is_attached)
        return;
    if (with_farewell)
        fuzzed->link.operations->bye(&fuzzed->link, -VINE_ECLOSED, "");
    fuzzed->link.operations->close(&fuzzed->link);
    vine__mirror_close(&fuzzed->mirror);
    vine__half_close(&fuzzed->half);
    fuzzed->is_attached = false;
}

static void look(struct fuzzed *fuzzed)
{
    struct vine_segment_options options;
    struct vine_segment_report report;
    struct vine_segment *seen = NULL;

    if (fuzzed->is_attached) {
        fuzzed->why.text[0] = 0;

        const int error = fuzzed->link.operations->receive(&fuzzed->link, &fuzzed->why);

        VINE_ASSERT(error == 0 || (error <= -1000 && error > -2000 && fuzzed->why.text[0] != 0));
        (void)fuzzed->link.operations->peer_lost(&fuzzed->link);
    }
    vine__address_to_segment(&fuzzed->address, &options);
    options.read_only = true;

    const int error = vine_segment_attach(&options, &seen, &report);

    if (error) {
        VINE_ASSERT(report.why[0] != 0);
        return;
    }
    VINE_ASSERT(vine_segment_participants(seen) >= 0);
    vine_segment_unref(seen);
}

/* One that does what the words of the format ask for, without asking whether it may. */
static void come(struct fuzzed *fuzzed)
{
    struct vine_half_layout *ours = fuzzed->halves[0];
    struct vine_half_layout *theirs = fuzzed->halves[1];
    unsigned char *ring = (unsigned char *)ours + RING_UNITS * VINE_TALK_UNIT;
    int error;

    memset(ours, 0, RING_UNITS * VINE_TALK_UNIT + SLOTS * sizeof(struct vine_slot));
    ours->channels[0].slot_count = SLOTS;
    ours->channels[0].ring_offset_units = RING_UNITS;
    ours->channels[0].state = 1;
    ours->board.channels.value = 1;
    error = vine_spsc_producer_init(&fuzzed->producer, (struct vine_slot *)(void *)ring, SLOTS,
                                    &theirs->channels[0].consumed.value);
    VINE_ASSERT(error == 0);
    ours->board.epoch = (uint32_t)header_of(fuzzed)->sides[0].claims;
}

static void submit(struct fuzzed *fuzzed, uint64_t operation)
{
    const struct vine_wire_submission submission = {
        .operation = operation, .procedure = VINE_WIRE_PROCEDURES_FROM, .kind = VINE_WIRE_TASK};

    (void)!vine_spsc_push(&fuzzed->producer, &submission, sizeof submission);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void another_appliance(struct fuzzed *fuzzed, bool truncate, bool removes)
{
    struct vine_segment_options options;
    struct vine_segment_report report;
    struct vine_segment *made = NULL;
    int error;

    vine__address_to_segment(&fuzzed->address, &options);
    options.side = VINE_SEGMENT_APPLIANCE;
    options.segment_bytes = SEGMENT_BYTES;
    options.truncate = truncate;
    error = removes ? vine_segment_remove(&options, &report)
                    : vine_segment_create(&options, &made, &report);
    VINE_ASSERT(error == 0 || report.why[0] != 0);
    vine_segment_unref(made);
}

static void step(struct fuzzed *fuzzed, const uint8_t *bytes)
{
    const size_t words = sizeof(struct vine_half_layout) / sizeof(uint64_t);
    uint64_t value;
    uint16_t place;

    memcpy(&place, bytes + 2, sizeof place);
    memcpy(&value, bytes + 8, sizeof value);
    switch (bytes[0] % 10) {
    case 0:
        ((uint64_t *)(void *)header_of(fuzzed))[place % (sizeof(struct vine__segment_header) / 8)] =
            value;
        break;
    case 1:
        ((uint64_t *)fuzzed->halves[0])[place % words] = value;
        break;
    case 2:
        ((uint64_t *)fuzzed->halves[1])[place % words] = value;
        break;
    case 3:
        attach(fuzzed, bytes[1] & 1);
        break;
    case 4:
        detach(fuzzed, bytes[1] & 1);
        break;
    case 5:
        look(fuzzed);
        break;
    case 6:
        if (fuzzed->is_attached)
            come(fuzzed);
        break;
    case 7:
        if (fuzzed->producer.slots != NULL)
            submit(fuzzed, value);
        break;
    case 8:
        another_appliance(fuzzed, bytes[1] & 1, bytes[1] & 2);
        break;
    default:
        break;
    }
    for (uint32_t i = 0; i < bytes[1] / 64u; i++)
        turn(fuzzed);
}

/* ---- who comes next -------------------------------------------------------------------------- */

static void is_served(struct fuzzed *fuzzed, const struct vine__segment_header *good)
{
    const struct vine_half_layout *theirs = fuzzed->halves[1];
    const uint64_t claims = fuzzed->appliance->named_epoch; /* as many as it knows of */
    uint64_t done;
    int error;

    memcpy(header_of(fuzzed), good, sizeof *good);
    header_of(fuzzed)->sides[0].claims = claims;
    error = vine_segment_claim(fuzzed->mapped, VINE_SEGMENT_APPLICATION, NULL);
    VINE_ASSERT(error == 0);
    come(fuzzed);
    for (uint32_t i = 0; fuzzed->appliance->named_epoch != (uint32_t)(claims + 1); i++) {
        VINE_ASSERT(i < TURNS_MAX);
        turn(fuzzed);
    }
    done = fuzzed->appliance->tasks_done;
    submit(fuzzed, 1);
    for (uint32_t i = 0; fuzzed->appliance->tasks_done == done; i++) {
        VINE_ASSERT(i < TURNS_MAX && theirs->board.closed.value == 0);
        turn(fuzzed);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    const size_t most = vine__min_u64(size_bytes, STEPS_MAX * STEP);
    struct vine__segment_header good;
    struct fuzzed fuzzed;

    memset(&fuzzed, 0, sizeof fuzzed);
    begin(&fuzzed);
    memcpy(&good, header_of(&fuzzed), sizeof good);
    for (size_t at = 0; most - at >= STEP; at += STEP)
        step(&fuzzed, bytes + at);
    detach(&fuzzed, false);
    is_served(&fuzzed, &good);
    vine_segment_unref(fuzzed.mapped);
    vine_appliance_destroy(fuzzed.appliance);
    return 0;
}
