/* SPDX-License-Identifier: Apache-2.0 */
/* What the appliance says of its own books, which are nowhere else in the segment. It is believed
 * as far as it can be true. */
#include "core/survey/survey_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/clock/clock.h"
#include "core/talk/message.h"
#include "utils/bits.h"
#include "utils/tables.h"

/* A copy that was not written meanwhile is tried for so often. */
#define TRIES_MAX 8

#define AT(field) offsetof(struct vine_account_layout, field)

/* Returns whether it is whole, and not of a moment in which it was written. */
static bool copy(struct vine__look *look, uint64_t offset, struct vine_account_layout *ret_account)
{
    for (int i = 0; i < TRIES_MAX; i++) {
        uint32_t before = 0, after = 0;

        if (!vine__survey_read(look, offset, &before, sizeof before) ||
            !vine__survey_read(look, offset, ret_account, sizeof *ret_account) ||
            !vine__survey_read(look, offset, &after, sizeof after))
            return false;
        if (before == after && (before & 1) == 0)
            return before != 0;
    }
    /* Who writes it for longer does not run. */
    vine__survey_note(look, offset, "the account is half written");
    return false;
}

/* It is all of one kind and age, and of no more than it counts. */
static bool adds_up(const struct vine_wire_finding *finding)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < VINE_ARRAY_COUNT(finding->ages); i++)
        if (finding->ages[i] > finding->count || (sum += finding->ages[i]) > finding->count)
            return false;
    return sum == finding->count;
}

static void take(struct vine__look *look, uint64_t offset, struct vine_wire_finding *finding)
{
    struct vine__survey_account *account = &look->survey->account;

    vine__talk_tame(finding->name, sizeof finding->name);
    vine__talk_tame(finding->found, sizeof finding->found);
    vine__talk_tame(finding->expected, sizeof finding->expected);
    if (finding->kind == VINE_WIRE_FOUND_FAULT) {
        vine__survey_fault(look, offset, finding->expected[0] != 0 ? finding->expected : "another",
                           "%s of the appliance: %s", finding->name, finding->found);
        return;
    }
    if (finding->kind < VINE_WIRE_FOUND_TASKS || finding->kind > VINE_WIRE_FOUND_RESULTS) {
        vine__survey_fault(look, offset + offsetof(struct vine_wire_finding, kind), "1 to 4",
                           "kind %u", finding->kind);
        return;
    }
    if (!adds_up(finding)) {
        vine__survey_fault(
            look, offset + offsetof(struct vine_wire_finding, ages),
            "ages of as many as are counted",
            "%" PRIu64 " counted, %" PRIu64 ", %" PRIu64 ", %" PRIu64 " and %" PRIu64 " by age",
            finding->count, finding->ages[0], finding->ages[1], finding->ages[2], finding->ages[3]);
        return;
    }

    struct vine__survey_in_use *use = &account->uses[account->count++];

    use->kind = finding->kind;
    memcpy(use->name, finding->name, sizeof use->name);
    use->count = finding->count;
    use->bytes = finding->bytes;
    use->oldest_ns = finding->oldest_ns;
    memcpy(use->ages, finding->ages, sizeof use->ages);
}

static void take_all(struct vine__look *look, uint64_t offset, struct vine_account_layout *layout)
{
    const uint64_t now_ns = vine__clock_now_ns();
    struct vine__survey_account *account = &look->survey->account;

    if (layout->count > VINE_ACCOUNT_FINDINGS || layout->found < layout->count) {
        vine__survey_fault(look, offset + AT(count), "31 at most, and no more than were found",
                           "%u of %u findings", layout->count, layout->found);
        return;
    }
    /* Its writer's clock is ours, unless it is in a namespace of time of its own. */
    if (layout->at_ns > now_ns)
        vine__survey_note(look, offset + AT(at_ns), "the account is of a time to come");
    account->is_there = true;
    account->age_ns = layout->at_ns < now_ns ? now_ns - layout->at_ns : 0;
    account->found = layout->found;
    for (uint32_t i = 0; i < layout->count; i++)
        take(look, offset + AT(findings) + i * sizeof layout->findings[0], &layout->findings[i]);
}

void vine__survey_at_account(struct vine__look *look)
{
    const struct vine_board_layout *board = &look->halves[VINE__APPLIANCE].board;
    const uint64_t at = (uint64_t)board->account_units * VINE_TALK_UNIT;
    struct vine_account_layout *layout;
    char text[72];

    /* Of a pipe that is over nothing is in use. */
    if (at == 0 || look->survey->closed[0] != 0 || look->survey->closed[1] != 0)
        return;
    vine__survey_at(look, "appliance's half, account");
    if (at < sizeof(struct vine_half_layout) ||
        !vine__range_is_within_u64(at, sizeof *layout, look->sizes[VINE__APPLIANCE])) {
        (void)snprintf(text, sizeof text, "8000 bytes from 12800 on, within %" PRIu64,
                       look->sizes[VINE__APPLIANCE]);
        vine__survey_fault(look,
                           look->bases[VINE__APPLIANCE] +
                               offsetof(struct vine_half_layout, board.account_units),
                           text, "an account at %" PRIu64, at);
        return;
    }
    layout = malloc(sizeof *layout);
    if (layout != NULL && copy(look, look->bases[VINE__APPLIANCE] + at, layout))
        take_all(look, look->bases[VINE__APPLIANCE] + at, layout);
    free(layout);
}
