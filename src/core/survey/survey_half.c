/* SPDX-License-Identifier: Apache-2.0 */
/* Boards and channels of both halves, and what one says of the other. */
#include "core/survey/survey_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <vine/wait.h>

#include "core/talk/half.h"
#include "core/talk/message.h"
#include "core/talk/talk_protocol.h"
#include "utils/bits.h"

#define BOARD(field)          offsetof(struct vine_half_layout, board.field)
#define LEFT_TO_ANOTHER       UINT32_MAX
#define RING_OF(record)       ((uint64_t)(record)->ring_offset_units * VINE_TALK_UNIT)
#define RING_BYTES_OF(record) ((uint64_t)(record)->slot_count * sizeof(struct vine_slot))

static uint64_t record_at(const struct vine__look *look, uint32_t side, uint32_t channel)
{
    return look->bases[side] + offsetof(struct vine_half_layout, channels) +
           channel * sizeof(struct vine_channel_layout);
}

/* ---- boards ---------------------------------------------------------------------------------- */

/* Both sides have raised theirs from the claims that the header counts; none is ahead of it. */
static void look_at_epochs(struct vine__look *look)
{
    struct vine__survey *survey = look->survey;
    const uint32_t claims = (uint32_t)survey->sides[VINE__APPLICATION].claims;
    char text[48];

    (void)snprintf(text, sizeof text, "%u at most, the claims of its side", claims);
    for (uint32_t side = 0; side < 2; side++) {
        survey->epochs[side] = look->halves[side].board.epoch;
        vine__survey_at(look, "%s, board", vine__half_of(side));
        if ((int32_t)(claims - survey->epochs[side]) < 0)
            vine__survey_fault(look, look->bases[side] + BOARD(epoch), text, "epoch %u",
                               survey->epochs[side]);
    }
    survey->has_pipe = survey->epochs[0] == survey->epochs[1] && survey->epochs[0] != 0;
    if (survey->has_pipe || (survey->epochs[0] | survey->epochs[1]) == 0)
        return;
    vine__survey_at(look, "both halves");
    vine__survey_note(look, look->bases[0] + BOARD(epoch),
                      "no pipe: the application's is of claim %u, the appliance's of claim %u",
                      survey->epochs[0], survey->epochs[1]);
}

static void look_at_grants(struct vine__look *look)
{
    const struct vine_board_layout *board = &look->halves[VINE__APPLIANCE].board;
    const uint64_t base = look->bases[VINE__APPLIANCE];

    vine__survey_at(look, "appliance's half, board");
    if (board->channels_max == 0 || board->channels_max > VINE_TALK_CHANNELS_MAX)
        vine__survey_fault(look, base + BOARD(channels_max), "1 to 64", "channels_max %u",
                           board->channels_max);
    else
        look->survey->channels_max = board->channels_max;
    if (board->tasks_max == 0 || board->tasks_max > VINE_SPSC_SLOTS_MAX / 2)
        vine__survey_fault(look, base + BOARD(tasks_max), "1 to 524288", "tasks_max %u",
                           board->tasks_max);
    else
        look->survey->tasks_max = board->tasks_max;
    look->survey->features_common =
        board->features & look->halves[VINE__APPLICATION].board.features;
}

static void look_at_farewells(struct vine__look *look)
{
    for (uint32_t side = 0; side < 2; side++) {
        const struct vine_board_layout *board = &look->halves[side].board;
        const uint32_t closed = board->closed.value;

        vine__survey_at(look, "%s, board", vine__half_of(side));
        look->survey->closed[side] = closed;
        look->survey->is_asleep[side] = (board->sleep_epoch.value & 1) != 0;
        if (closed != 0 && closed != LEFT_TO_ANOTHER && vine__error_from_wire(closed, 0) == 0)
            vine__survey_fault(look, look->bases[side] + BOARD(closed), "0, or 1001 to 1999",
                               "closed %u", closed);
    }
}

/* Bits of channels are those of channels that are there. */
static void look_at_bits(struct vine__look *look, uint32_t opened, uint32_t answered)
{
    const struct vine_board_layout *ours = &look->halves[VINE__APPLICATION].board;
    const struct vine_board_layout *theirs = &look->halves[VINE__APPLIANCE].board;
    const uint64_t open = opened < 64 ? (UINT64_C(1) << opened) - 1 : UINT64_MAX;
    const uint64_t known = answered < 64 ? (UINT64_C(1) << answered) - 1 : UINT64_MAX;
    const uint64_t base = look->bases[VINE__APPLIANCE];
    struct vine__survey *survey = look->survey;

    if ((survey->features_common & VINE_TALK_FEATURE_READY) == 0)
        return;
    vine__survey_at(look, "appliance's half, board");
    if ((theirs->sleep_epoch.listed & ~known) != 0)
        vine__survey_fault(look, base + BOARD(sleep_epoch.listed), "bits of open channels alone",
                           "listed %" PRIx64 " with %u channels", theirs->sleep_epoch.listed,
                           answered);
    if ((theirs->sleep_epoch.answered & ~known) != 0)
        vine__survey_fault(look, base + BOARD(sleep_epoch.answered), "bits of open channels alone",
                           "answered %" PRIx64 " with %u channels", theirs->sleep_epoch.answered,
                           answered);
    vine__survey_at(look, "application's half, board");
    if ((ours->channels.ready & ~open) != 0)
        vine__survey_fault(look, look->bases[VINE__APPLICATION] + BOARD(channels.ready),
                           "bits of open channels alone", "ready %" PRIx64 " with %u channels",
                           ours->channels.ready, opened);
    for (uint32_t i = 0; i < opened; i++) {
        survey->channels[i].is_listed = (theirs->sleep_epoch.listed >> i & 1) != 0;
        survey->channels[i].is_ready =
            ((ours->channels.ready ^ theirs->sleep_epoch.answered) >> i & 1) != 0;
    }
}

/* ---- channels -------------------------------------------------------------------------------- */

/* Whether the ring that a record names can be there. */
static bool look_at_record(struct vine__look *look, uint32_t side, uint32_t channel)
{
    const struct vine_channel_layout *record = &look->halves[side].channels[channel];
    const uint64_t at = record_at(look, side, channel);
    const uint32_t tasks_max = look->survey->tasks_max;
    const uint32_t most = tasks_max != 0 ? vine__ring_slots(tasks_max) : VINE_SPSC_SLOTS_MAX;
    char text[64];
    bool is_good = true;

    if (!vine__is_power_of_two_u64(record->slot_count) || record->slot_count < 2 ||
        record->slot_count > most) {
        (void)snprintf(text, sizeof text, "a power of two from 2 to %u", most);
        vine__survey_fault(look, at + 4, text, "slots %u", record->slot_count);
        is_good = false;
    }
    if (record->ring_extent != 0) {
        vine__survey_fault(look, at + 8, "0: a named half does not grow", "extent %u",
                           record->ring_extent);
        is_good = false;
    }
    if (RING_OF(record) < sizeof(struct vine_half_layout) ||
        !vine__range_is_within_u64(RING_OF(record), RING_BYTES_OF(record), look->sizes[side])) {
        (void)snprintf(text, sizeof text, "from 200 on, and within %" PRIu64 " bytes",
                       look->sizes[side]);
        vine__survey_fault(look, at + 12, text, "a ring at %u units of 64",
                           record->ring_offset_units);
        is_good = false;
    }
    if (record->wait_mode != VINE_WAIT_STREAM && record->wait_mode != VINE_WAIT_SLEEPY)
        vine__survey_fault(look, at + 16, "1 or 2", "wait mode %u", record->wait_mode);
    return is_good;
}

/* Rings of one half are apart. */
static bool is_apart(struct vine__look *look, uint32_t side, uint32_t channel)
{
    const struct vine_channel_layout *records = look->halves[side].channels;
    const struct vine_channel_layout *record = &records[channel];

    for (uint32_t i = 0; i < channel; i++) {
        if (records[i].state != 1 ||
            RING_OF(record) >= RING_OF(&records[i]) + RING_BYTES_OF(&records[i]) ||
            RING_OF(&records[i]) >= RING_OF(record) + RING_BYTES_OF(record))
            continue;
        vine__survey_fault(look, record_at(look, side, channel) + 12, "no overlap",
                           "a ring that overlaps that of channel %u", i);
        return false;
    }
    return true;
}

static bool is_untouched(const struct vine_channel_layout *record)
{
    return (record->state | record->slot_count | record->ring_extent | record->ring_offset_units |
            record->wait_mode) == 0 &&
           record->consumed.value == 0;
}

/* A side's record of a channel that is open. Returns whether its ring can be walked. */
static bool look_at_open(struct vine__look *look, uint32_t side, uint32_t channel)
{
    const struct vine_channel_layout *record = &look->halves[side].channels[channel];
    const struct vine_channel_layout *other = &look->halves[!side].channels[channel];
    char text[40];

    vine__survey_at(look, "%s, channel %u", vine__half_of(side), channel);
    if (record->state != 1) {
        vine__survey_fault(look, record_at(look, side, channel), "1", "state %u", record->state);
        return false;
    }
    if (!look_at_record(look, side, channel) || !is_apart(look, side, channel))
        return false;
    (void)snprintf(text, sizeof text, "%u, as in the application's half", other->slot_count);
    if (side == VINE__APPLIANCE && other->slot_count != record->slot_count) {
        vine__survey_fault(look, record_at(look, side, channel) + 4, text, "slots %u",
                           record->slot_count);
        return false;
    }
    return true;
}

static void walk_channel(struct vine__look *look, uint32_t channel, bool is_answered)
{
    const struct vine_channel_layout *ours = &look->halves[VINE__APPLICATION].channels[channel];
    struct vine__survey_channel *told = &look->survey->channels[channel];
    struct vine__ring_look rings[2] = {{0}, {0}};

    told->slot_count = ours->slot_count;
    told->is_answered = is_answered;
    told->is_stream = ours->wait_mode == VINE_WAIT_STREAM;
    told->is_awaited = ours->sleeping.value != 0;
    for (uint32_t side = 0; side < 2; side++) {
        const struct vine_channel_layout *record = &look->halves[side].channels[channel];

        if ((side == VINE__APPLIANCE && !is_answered) || !look_at_open(look, side, channel))
            continue;
        rings[side].slot_count = record->slot_count;
        rings[side].base = look->bases[side] + RING_OF(record);
        vine__survey_at_ring(look, side, channel,
                             record_at(look, !side, channel) +
                                 offsetof(struct vine_channel_layout, consumed),
                             &rings[side]);
    }
    told->submissions = rings[0].to - rings[0].from;
    told->completions = rings[1].to - rings[1].from;
    vine__survey_at_messages(look, channel, &rings[0], &rings[1]);
    free(rings[0].slots);
    free(rings[1].slots);
}

/* Who opens a channel writes its record first, and the count then. */
static void look_at_closed(struct vine__look *look, uint32_t side, uint32_t from)
{
    for (uint32_t i = from; i < VINE_TALK_CHANNELS_MAX; i++) {
        if (is_untouched(&look->halves[side].channels[i]))
            continue;
        vine__survey_at(look, "%s, channel %u", vine__half_of(side), i);
        vine__survey_fault(look, record_at(look, side, i), "zeros: it was not opened",
                           "a record with state %u", look->halves[side].channels[i].state);
    }
}

static void look_at_channels(struct vine__look *look)
{
    const struct vine_half_layout *theirs = &look->halves[VINE__APPLIANCE];
    const uint32_t most = look->survey->channels_max;
    uint32_t opened = look->halves[VINE__APPLICATION].board.channels.value;
    uint32_t answered = 0;
    char text[48];

    if (opened > most) {
        (void)snprintf(text, sizeof text, "%u at most, as were granted", most);
        vine__survey_at(look, "application's half, board");
        vine__survey_fault(look, look->bases[VINE__APPLICATION] + BOARD(channels.value), text,
                           "%u channels", opened);
        opened = most;
    }
    look->survey->channel_count = opened;
    while (answered < opened && theirs->channels[answered].state != 0)
        answered++;
    look_at_bits(look, opened, answered);
    for (uint32_t i = 0; i < opened; i++)
        walk_channel(look, i, i < answered);
    /* The next one of either side may be in the making. */
    look_at_closed(look, VINE__APPLICATION, opened + 1);
    look_at_closed(look, VINE__APPLIANCE, answered + 1);
}

/* The fronts are copied once; of one that is cleared meanwhile the epoch tells. */
void vine__survey_at_halves(struct vine__look *look)
{
    if (!look->survey->has_halves)
        return;
    for (uint32_t side = 0; side < 2; side++) {
        vine__survey_at(look, "%s", vine__half_of(side));
        if (!vine__survey_read(look, look->bases[side], &look->halves[side],
                               sizeof look->halves[side]))
            return;
    }
    look_at_epochs(look);
    if (!look->survey->has_pipe)
        return;
    look_at_grants(look);
    look_at_farewells(look);
    look_at_channels(look);
    vine__survey_at_account(look);
}
