/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An examination: begun by who asks, done by all parts, each some steps a turn, told a page at a
 * time. Books are private to the loop that has the pipe, so that nobody else can look at them.
 */
#include "core/talk/examine.h"

#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "core/talk/appliance_internal.h"
#include "utils/atomic.h"

#define PIPES_A_TURN  8u
#define FOUND_FIRST   256u
#define FOUND_AT_ONCE 48u
/* Between two examinations passes so much more than the last one took. */
#define REST 16u

#define PIPE_OF(node) VINE_CONTAINER_OF(node, struct vine__served, link)

VINE_STATIC_ASSERT(FOUND_AT_ONCE * sizeof(struct vine_wire_finding) <= 16384,
                   "a page on the stack");

void vine__examination_init(struct vine__examination *examination)
{
    (void)pthread_mutex_init(&examination->lock, NULL);
}

void vine__examination_fini(struct vine__examination *examination)
{
    (void)pthread_mutex_destroy(&examination->lock);
    free(examination->found);
}

/* ---- a part's share -------------------------------------------------------------------------- */

bool vine__examine_wants(const struct vine_appliance *appliance)
{
    return vine__load_relaxed_u32(&appliance->common->examination.number) !=
           vine__load_relaxed_u32(&appliance->examining.number);
}

static void tell_asker(struct vine__examining *examining, const struct vine__served *pipe,
                       const struct vine_wire_finding *finding)
{
    struct vine__examination *examination = &pipe->appliance->common->examination;

    (void)examining;
    pthread_mutex_lock(&examination->lock);
    if (examination->count == examination->room && examination->room < VINE__EXAMINED_MAX) {
        const uint32_t room = examination->room == 0 ? FOUND_FIRST : 2 * examination->room;
        struct vine__found *found = realloc(examination->found, room * sizeof *found);

        if (found != NULL) {
            examination->found = found;
            examination->room = room;
        }
    }
    if (examination->count < examination->room)
        examination->found[examination->count++] =
            (struct vine__found){.uid = pipe->agreement.peer_uid, .wire = *finding};
    pthread_mutex_unlock(&examination->lock);
}

/* The one that is under way, or the next that was not looked at. */
static struct vine__served *next_pipe(struct vine_appliance *appliance, uint32_t number)
{
    VINE_LIST_FOR_EACH(node, &appliance->pipes)
    {
        struct vine__served *pipe = PIPE_OF(node);

        if (pipe->state == VINE__SERVED_OPEN && pipe->examined != number)
            return pipe;
    }
    return NULL;
}

bool vine__examine_turn(struct vine_appliance *appliance)
{
    struct vine__examining *examining = &appliance->examining;
    const uint32_t number = vine__load_relaxed_u32(&appliance->common->examination.number);

    for (uint32_t i = 0; i < PIPES_A_TURN; i++) {
        struct vine__served *pipe = next_pipe(appliance, number);

        if (pipe == NULL) {
            examining->pipe = 0;
            /* E1 pairs with E2: what was found before that all is. */
            vine__store_release_u32(&examining->number, number);
            return false;
        }
        if (examining->pipe != pipe->number) {
            examining->pipe = pipe->number;
            examining->tell = tell_asker;
            vine__examining_reset(examining);
        }
        examining->now_ticks = vine__clock_ticks();
        if (vine__examine_pipe(pipe, examining))
            return true;
        pipe->examined = number;
        examining->pipe = 0;
    }
    return true;
}

/* ---- who asks -------------------------------------------------------------------------------- */

/* Whether all parts have done theirs. */
static bool is_done(const struct vine__common *common, uint32_t number)
{
    for (uint32_t i = 0; i < vine__parts_count(common); i++) {
        const struct vine_appliance *part = vine__part_at(common, i);

        if (part == NULL || vine__load_relaxed_u32(&part->is_silent) != 0)
            continue;
        /* E2 pairs with E1. */
        if (vine__load_acquire_u32(&part->examining.number) != number)
            return false;
    }
    return true;
}

/* The lock is held. */
static void begin(struct vine_appliance *appliance)
{
    struct vine__common *common = appliance->common;
    struct vine__examination *examination = &common->examination;
    uint32_t number = vine__load_relaxed_u32(&examination->number) + 1;

    number += number == 0;
    examination->count = 0;
    examination->is_running = true;
    examination->begun_ticks = vine__clock_ticks();
    vine__store_relaxed_u32(&examination->number, number);
}

static void wake_parts(const struct vine_appliance *appliance)
{
    const struct vine__common *common = appliance->common;

    for (uint32_t i = 0; i < vine__parts_count(common); i++) {
        struct vine_appliance *part = vine__part_at(common, i);

        if (part != NULL && part != appliance)
            vine__appliance_wake(part);
    }
}

/* Begin one, or go on with the one under way, or with the last one if that is of just now. Returns
 * its number; the lock is held. */
static uint32_t join(struct vine_appliance *appliance)
{
    struct vine__examination *examination = &appliance->common->examination;
    const uint64_t took = vine__elapsed(examination->begun_ticks, examination->ended_ticks);
    const uint64_t rest = vine__elapsed(examination->ended_ticks, vine__clock_ticks());

    if (!examination->is_running &&
        (vine__load_relaxed_u32(&examination->number) == 0 || rest > REST * took))
        begin(appliance);
    return vine__load_relaxed_u32(&examination->number);
}

static bool may_see(const struct vine__served *reader, bool sees_all,
                    const struct vine__found *found)
{
    return sees_all || found->wire.pipe == reader->number ||
           (found->uid != VINE__UID_UNKNOWN && found->uid == reader->agreement.peer_uid);
}

/* Copy what there is from *index on. The lock is held. */
static uint32_t read_page(const struct vine__examination *examination, struct vine_call *call,
                          struct vine_wire_finding *page, uint32_t most, uint32_t *index)
{
    const bool sees_all = vine__builtin_sees_all(call->pipe);
    uint32_t count = 0;

    for (; *index < examination->count && count < most; ++*index)
        if (may_see(call->pipe, sees_all, &examination->found[*index]))
            page[count++] = examination->found[*index].wire;
    return count;
}

int vine__builtin_examine(struct vine_call *call)
{
    struct vine_appliance *appliance = call->pipe->appliance;
    struct vine__examination *examination = &appliance->common->examination;
    const uint32_t room = vine__builtin_room(call, sizeof(struct vine_wire_finding));
    const uint32_t most = room < FOUND_AT_ONCE ? room : FOUND_AT_ONCE;
    const uint64_t from = vine__builtin_place(call);
    struct vine_wire_finding page[FOUND_AT_ONCE];
    uint32_t number = (uint32_t)(from >> 32), index = (uint32_t)from, count = 0;
    bool is_new = false, is_more = true;

    if (room == 0)
        return -VINE_EOVERFLOW;
    pthread_mutex_lock(&examination->lock);
    if (from == 0) {
        const uint32_t before = vine__load_relaxed_u32(&examination->number);

        number = join(appliance);
        is_new = number != before;
    }
    if (number != vine__load_relaxed_u32(&examination->number)) {
        pthread_mutex_unlock(&examination->lock);
        return -VINE_ECANCELED; /* another one has begun meanwhile */
    }
    if (examination->is_running && is_done(appliance->common, number)) {
        examination->is_running = false;
        examination->ended_ticks = vine__clock_ticks();
    }
    if (!examination->is_running) {
        count = read_page(examination, call, page, most, &index);
        is_more = index < examination->count;
    }
    pthread_mutex_unlock(&examination->lock);
    if (is_new)
        wake_parts(appliance);
    vine__builtin_answer(call, page, sizeof page[0], count,
                         is_more ? (uint64_t)number << 32 | index : 0);
    return 0;
}
