/* SPDX-License-Identifier: Apache-2.0 */
/* One pipe, as its loop knows it. */
#include "core/talk/examine.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "core/ring/spsc_look.h"
#include "core/talk/appliance_internal.h"
#include "utils/bits.h"

/* Entries of books that a turn looks at: some 20 us. */
#define ENTRIES_A_TURN 8192u
/* Books with more blocks in use are not added up. */
#define ADDED_UP_MAX 4096u

#define NO_CHANNEL UINT32_MAX

/* ---- what is in use -------------------------------------------------------------------------- */

static struct vine__examined_use *use_of(struct vine__examining *examining, uint32_t kind,
                                         uint16_t procedure)
{
    uint32_t i = 0;

    while (i < examining->use_count &&
           (examining->uses[i].kind != kind || examining->uses[i].procedure != procedure))
        i++;
    if (i == VINE__EXAMINED_USES)
        return &examining->uses[i - 1];
    if (i == examining->use_count) {
        examining->uses[i] = (struct vine__examined_use){.kind = kind, .procedure = procedure};
        if (++examining->use_count == VINE__EXAMINED_USES)
            examining->uses[i].procedure = 0; /* whatever has no place of its own */
    }
    return &examining->uses[i];
}

static void count_use(struct vine__examined_use *use, uint64_t bytes, uint64_t age_ticks)
{
    static const uint64_t limits[] = {VINE_NS_PER_SECOND, 60 * VINE_NS_PER_SECOND,
                                      3600 * VINE_NS_PER_SECOND};
    const uint64_t age_ns = vine__clock_ticks_to_ns(age_ticks);
    uint32_t class = 0;

    while (class < 3 && age_ns >= limits[class])
        class ++;
    use->count++;
    use->bytes += bytes;
    use->ages[class]++;
    use->oldest_ticks = vine__max_u64(use->oldest_ticks, age_ticks);
}

/* Who looks at what. */
struct walker {
    const struct vine__served *pipe;
    struct vine__examining *examining;
};

static void see_box(void *context, const struct vine__box_seen *box)
{
    const struct walker *walker = context;
    const uint64_t now_ticks = walker->examining->now_ticks;
    const uint32_t kind =
        (box->type & VINE__TYPE_UNFINISHED) != 0 ? VINE_WIRE_FOUND_ROOM : VINE_WIRE_FOUND_RESULTS;

    count_use(use_of(walker->examining, kind, box->mark), box->bytes,
              vine__elapsed(vine__ages_since(&walker->pipe->ages, box->generation, now_ticks),
                            now_ticks));
}

/* Tasks that were taken, and are not the loop's own. */
static void see_tasks(const struct vine__served_channel *channel, struct vine__examining *examining)
{
    uint64_t position = 0;
    void *found;

    while (channel->jobs.slots != NULL &&
           vine__table_next(&channel->jobs, &position, NULL, &found)) {
        const struct vine_call *call = found;
        uint64_t bytes = 0;

        for (uint32_t i = 0; i < call->input_count; i++)
            bytes += call->inputs[i].size_bytes;
        count_use(use_of(examining, VINE_WIRE_FOUND_TASKS, call->procedure), bytes,
                  vine__elapsed(call->seen_ticks, examining->now_ticks));
    }
}

static void name_procedure(const struct vine__common *common, uint16_t procedure, char *ret_name,
                           size_t size)
{
    const uint32_t index = (uint32_t)procedure - VINE_WIRE_PROCEDURES_FROM;
    const struct vine_procedure_definition *definition = NULL;

    if (procedure != 0 && procedure < VINE_WIRE_PROCEDURES_FROM)
        definition = vine__builtin_definition(procedure);
    else if (procedure != 0 && index < VINE_APPLIANCE_PROCEDURES_MAX)
        /* P2 pairs with P1: also one that is withdrawn. */
        definition =
            vine__load_acquire_pointer((void *const *)(uintptr_t)&common->procedures[index]);
    (void)snprintf(ret_name, size, "%s", definition != NULL ? definition->name : "");
}

static void tell_uses(const struct vine__served *pipe, struct vine__examining *examining)
{
    for (uint32_t i = 0; i < examining->use_count; i++) {
        const struct vine__examined_use *use = &examining->uses[i];
        struct vine_wire_finding finding = {
            .pipe = pipe->number,
            .kind = use->kind,
            .channel = NO_CHANNEL,
            .count = use->count,
            .bytes = use->bytes,
            .oldest_ns = vine__clock_ticks_to_ns(use->oldest_ticks),
        };

        memcpy(finding.ages, use->ages, sizeof finding.ages);
        name_procedure(pipe->appliance->common, use->procedure, finding.name, sizeof finding.name);
        examining->tell(examining, pipe, &finding);
    }
}

/* ---- what cannot be -------------------------------------------------------------------------- */

/* What a fault is about. */
struct place {
    const struct walker *walker;
    uint32_t channel;
    const void *where; /* in the application's half, or NULL: it is about our own books */
    const char *name;
};

static void fault(const struct place *at, const char *expected, const char *format, ...)
    VINE_PRINTF(3, 4);

static void fault(const struct place *at, const char *expected, const char *format, ...)
{
    const struct vine__served *pipe = at->walker->pipe;
    struct vine_wire_finding finding = {
        .pipe = pipe->number,
        .kind = VINE_WIRE_FOUND_FAULT,
        .channel = at->channel,
        .offset = at->where != NULL ? (uint64_t)((const unsigned char *)at->where -
                                                 (const unsigned char *)pipe->mirror.layout)
                                    : UINT64_MAX,
    };
    va_list arguments;

    (void)snprintf(finding.name, sizeof finding.name, "%s", at->name);
    (void)snprintf(finding.expected, sizeof finding.expected, "%s", expected);
    va_start(arguments, format);
    (void)vsnprintf(finding.found, sizeof finding.found, format, arguments);
    va_end(arguments);
    at->walker->examining->tell(at->walker->examining, pipe, &finding);
}

static void look_at_board(const struct walker *walker)
{
    const struct vine__served *pipe = walker->pipe;
    const struct vine_board_layout *board = &pipe->mirror.layout->board;
    const uint32_t opened = vine__load_relaxed_u32(&board->channels.value);
    const uint64_t ready = vine__load_relaxed_u64(&board->channels.ready);
    const uint32_t most = pipe->agreement.channels_max;
    const uint64_t open = opened < 64 ? (UINT64_C(1) << opened) - 1 : UINT64_MAX;
    char text[48];

    if (opened < pipe->channel_count || opened > most) {
        (void)snprintf(text, sizeof text, "%u to %u", pipe->channel_count, most);
        fault(&(struct place){walker, NO_CHANNEL, &board->channels.value, "board"}, text,
              "%u channels", opened);
    } else if (pipe->agreement.ready && (ready & ~open) != 0) {
        fault(&(struct place){walker, NO_CHANNEL, &board->channels.ready, "board"},
              "bits of open channels alone", "ready %" PRIx64 " with %u channels", ready, opened);
    }
}

/* How far the application has read our completions. */
static void look_at_consumer(const struct walker *walker, uint32_t index)
{
    const struct vine__served *pipe = walker->pipe;
    const struct vine_spsc_producer *ring = &pipe->channels[index]->completions;
    const uint64_t consumed = vine__load_relaxed_u64(ring->consumed);
    char text[56];

    if (consumed - ring->consumed_seen <= ring->position - ring->consumed_seen)
        return;
    (void)snprintf(text, sizeof text, "%" PRIu64 " to %" PRIu64, ring->consumed_seen,
                   ring->position);
    fault(&(struct place){walker, index, ring->consumed, "completions"}, text, "consumed %" PRIu64,
          consumed);
}

static void look_at_slots(const struct walker *walker, uint32_t index)
{
    const struct vine__served *pipe = walker->pipe;
    const struct vine_spsc_consumer *ring = &pipe->channels[index]->submissions;

    for (uint64_t i = 0; i < ring->slot_count; i++) {
        const uint64_t sequence = vine__load_relaxed_u64(&ring->slots[i].sequence);
        const uint64_t next = vine__spsc_next_in(i, ring->slot_count, ring->position);
        char text[56];

        if (vine__spsc_may_hold(sequence, i, ring->slot_count, ring->published, ring->position))
            continue;
        (void)snprintf(text, sizeof text, "%" PRIu64 " or %" PRIu64, next + 1,
                       next >= ring->slot_count ? next - ring->slot_count + 1 : 0);
        fault(&(struct place){walker, index, &ring->slots[i], "submissions"}, text,
              "sequence %" PRIu64, sequence);
    }
}

/* A token of a submission that waits: of theirs within what we know of their half, of ours one that
 * lives. */
static void look_at_token(const struct walker *walker, uint32_t index, const void *where,
                          struct vine_token token)
{
    const struct vine__served *pipe = walker->pipe;
    const void *memory;

    if ((token.type & VINE_WIRE_TYPE_EXPECT) != 0)
        return;
    if ((token.type & VINE_WIRE_TYPE_THEIRS) == 0) {
        if (vine__mirror_find(&pipe->mirror, token.extent, token.offset_units, token.length,
                              &memory) == -VINE_ETOKEN)
            fault(&(struct place){walker, index, where, "token"}, "memory within its extent",
                  "%u bytes at %" PRIu64 " of extent %u", token.length,
                  (uint64_t)token.offset_units * VINE_TALK_UNIT, token.extent);
        return;
    }
    token.type &= VINE_WIRE_TYPE_MASK;
    if (!vine__box_is_living(pipe->half.book, &token))
        fault(&(struct place){walker, index, where, "token"}, "a result that was not given back",
              "generation %u at %" PRIu64 " of extent %u", token.generation,
              (uint64_t)token.offset_units * VINE_TALK_UNIT, token.extent);
}

static void look_at_submission(const struct walker *walker, uint32_t index, const void *where,
                               const struct vine_wire_submission *submission)
{
    const uint32_t kind = submission->kind & VINE_WIRE_KIND_MASK;
    const uint32_t bytes = VINE_WIRE_SHAPE_BYTES(submission->shape);
    const uint32_t tokens = VINE_WIRE_SHAPE_TOKENS(submission->shape);
    const uint32_t count = tokens == VINE_WIRE_DESCRIPTOR ? 1 : tokens;

    if (kind < VINE_WIRE_TASK || kind > VINE_WIRE_SESSION_END) {
        fault(&(struct place){walker, index, where, "submission"}, "kind 1 to 4", "kind %u", kind);
        return;
    }
    if (kind != VINE_WIRE_TASK && kind != VINE_WIRE_RELEASE)
        return;
    if (count * sizeof(struct vine_token) + bytes > VINE_WIRE_BODY_BYTES ||
        (tokens == VINE_WIRE_DESCRIPTOR && (bytes != 0 || kind == VINE_WIRE_RELEASE))) {
        fault(&(struct place){walker, index, where, "submission"}, "40 bytes of body at most",
              "shape %u: %u bytes and %u tokens", submission->shape, bytes, tokens);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct vine_token token;

        memcpy(&token, submission->body + VINE_WIRE_BODY_BYTES - (count - i) * sizeof token,
               sizeof token);
        if (kind == VINE_WIRE_RELEASE)
            token.type |= VINE_WIRE_TYPE_THEIRS;
        look_at_token(walker, index, where, token);
    }
}

/* Those that wait, the held one among them. */
static void look_at_waiting(const struct walker *walker, uint32_t index)
{
    const struct vine__served *pipe = walker->pipe;
    const struct vine__served_channel *channel = pipe->channels[index];
    const struct vine_spsc_consumer *ring = &channel->submissions;

    if (channel->is_held)
        look_at_submission(walker, index,
                           &ring->slots[(ring->position - 1) & (ring->slot_count - 1)],
                           &channel->held);
    for (uint64_t at = ring->position; at < ring->position + ring->slot_count; at++) {
        const struct vine_slot *slot = &ring->slots[at & (ring->slot_count - 1)];
        struct vine_wire_submission submission;

        /* C1 pairs with P2, of spsc_inline.h. */
        if (vine__load_acquire_u64(&slot->sequence) != at + 1)
            break;
        memcpy(&submission, slot->payload, sizeof submission);
        look_at_submission(walker, index, slot, &submission);
    }
}

/* What we have of the pipe adds up. */
static void look_at_own_books(const struct walker *walker)
{
    const struct vine__served *pipe = walker->pipe;
    uint64_t in_flight = 0;
    const uint64_t held = vine__quota_held(&pipe->quota);
    /* Memory that neither of the two has made is charged to nobody. */
    const uint64_t charged = (pipe->half.quota != NULL ? pipe->half.size_bytes : 0) +
                             (pipe->mirror.quota != NULL ? pipe->mirror.size_bytes : 0);
    char text[64];

    for (uint32_t i = 0; i < pipe->channel_count; i++)
        in_flight += pipe->channels[i]->in_flight;
    if (in_flight != pipe->jobs_taken) {
        (void)snprintf(text, sizeof text, "%u, as were taken", pipe->jobs_taken);
        fault(&(struct place){walker, NO_CHANNEL, NULL, "tasks"}, text, "%" PRIu64 " in flight",
              in_flight);
    }
    if (held < charged) {
        (void)snprintf(text, sizeof text, "%" PRIu64 " at least, as both halves have", charged);
        fault(&(struct place){walker, NO_CHANNEL, NULL, "quota"}, text, "%" PRIu64 " bytes held",
              held);
    }
    if (pipe->mirror.told_bytes > pipe->mirror.bytes_max) {
        (void)snprintf(text, sizeof text, "%" PRIu64 " at most, as agreed", pipe->mirror.bytes_max);
        fault(&(struct place){walker, NO_CHANNEL, NULL, "extents"}, text,
              "%" PRIu64 " bytes announced", pipe->mirror.told_bytes);
    }
    for (uint32_t i = 0; i < pipe->half.extent_count; i++) {
        struct vine_allocator *allocator = pipe->half.extents[i].allocator;

        if (vine_allocator_books_bytes(allocator) <= ADDED_UP_MAX * 64 &&
            vine_allocator_validate(allocator) != 0)
            fault(&(struct place){walker, NO_CHANNEL, NULL, "books"}, "that they add up",
                  "extent %u", i);
    }
}

bool vine__examine_pipe(struct vine__served *pipe, struct vine__examining *examining)
{
    struct walker walker = {pipe, examining};

    if (pipe->mirror.layout == NULL || pipe->half.layout == NULL)
        return false;
    if (examining->channel == 0 && examining->walk.extent == 0 && examining->walk.entry == 0)
        look_at_board(&walker);
    if (examining->channel < pipe->channel_count) {
        const uint32_t index = examining->channel++;

        look_at_consumer(&walker, index);
        look_at_slots(&walker, index);
        look_at_waiting(&walker, index);
        see_tasks(pipe->channels[index], examining);
        if (examining->channel < pipe->channel_count)
            return true;
    }
    if (vine__boxes_walk(pipe->half.book, &examining->walk, ENTRIES_A_TURN, see_box, &walker))
        return true;
    look_at_own_books(&walker);
    tell_uses(pipe, examining);
    return false;
}
