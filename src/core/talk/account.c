/* SPDX-License-Identifier: Apache-2.0 */
#include "core/talk/account.h"

#include <stdlib.h>
#include <string.h>

#include "arch/clock/clock.h"
#include "core/talk/appliance_internal.h"
#include "core/talk/examine.h"
#include "utils/atomic.h"
#include "utils/container_of.h"

#define EVERY_NS (VINE_NS_PER_SECOND / 4)

struct vine__account {
    struct vine_account_layout *place; /* NULL: there was no room in the half */
    uint64_t begun_ticks;              /* the last look */
    uint64_t moved;                    /* in the rings, as that look began */
    bool is_looking;
    struct vine__examining examining;
    uint32_t found, count;
    struct vine_wire_finding findings[VINE_ACCOUNT_FINDINGS];
};

/* What is wrong with the application's half is seen by who looks at the segment. */
static void keep(struct vine__examining *examining, const struct vine__served *pipe,
                 const struct vine_wire_finding *finding)
{
    struct vine__account *account = VINE_CONTAINER_OF(examining, struct vine__account, examining);

    (void)pipe;
    if (finding->kind == VINE_WIRE_FOUND_FAULT && finding->offset != UINT64_MAX)
        return;
    account->found++;
    if (account->count < VINE_ACCOUNT_FINDINGS)
        account->findings[account->count++] = *finding;
}

void vine__account_open(struct vine_appliance *appliance)
{
    struct vine__half *half = &appliance->named_pipe->half;
    struct vine__account *account = appliance->account;
    struct vine__box box;

    if (account == NULL)
        account = appliance->account = malloc(sizeof *account);
    if (account == NULL)
        return;
    memset(account, 0, sizeof *account);
    account->examining.tell = keep;
    if (vine__half_alloc(half, sizeof *account->place, &box) != 0)
        return;
    account->place = box.memory;
    memset(account->place, 0, sizeof *account->place);
    half->layout->board.account_units = box.offset_units;
}

/* How far both rings of all channels are: while that stays, so does what is in use. */
static uint64_t moved_so_far(const struct vine__served *pipe)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < pipe->channel_count; i++)
        sum += pipe->channels[i]->submissions.position + pipe->channels[i]->completions.position;
    return sum;
}

static void write_down(const struct vine__account *account)
{
    struct vine_account_layout *place = account->place;
    const uint64_t ago_ticks = vine__elapsed(account->begun_ticks, vine__clock_ticks());

    vine__store_relaxed_u32(&place->version, place->version + 1);
    /* Between two versions that differ by one nothing else is read: all of it is written behind an
     * odd one, and before the next. Both fences are for who copies it, by a system call. */
    vine__fence_full();
    place->at_ns = vine__clock_now_ns() - vine__clock_ticks_to_ns(ago_ticks);
    place->found = account->found;
    place->count = account->count;
    memcpy(place->findings, account->findings, account->count * sizeof place->findings[0]);
    vine__fence_full();
    vine__store_relaxed_u32(&place->version, place->version + 1);
}

void vine__account_turn(struct vine_appliance *appliance, uint64_t now_ticks)
{
    struct vine__served *pipe = appliance->named_pipe;
    struct vine__account *account = appliance->account;

    if (account == NULL || account->place == NULL)
        return;
    if (!account->is_looking) {
        if (now_ticks - account->begun_ticks < vine__clock_ns_to_ticks(EVERY_NS))
            return;

        const uint64_t moved = moved_so_far(pipe);

        if (moved == account->moved)
            return;
        account->moved = moved;
        account->begun_ticks = now_ticks;
        account->found = account->count = 0;
        account->is_looking = true;
        vine__examining_reset(&account->examining);
    }
    account->examining.now_ticks = now_ticks;
    if (vine__examine_pipe(pipe, &account->examining))
        return;
    account->is_looking = false;
    write_down(account);
}

bool vine__account_wants(const struct vine_appliance *appliance)
{
    return appliance->named_pipe != NULL && appliance->account != NULL &&
           appliance->account->is_looking;
}

void vine__account_free(struct vine_appliance *appliance)
{
    free(appliance->account);
    appliance->account = NULL;
}
