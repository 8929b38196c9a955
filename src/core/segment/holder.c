/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who makes a segment and who takes part in it: three lines, each with the name of a process, each
 * changed by compare-and-swap alone. No lock: whoever dies leaves a name that says so.
 *
 * A name is two words, the word of pid and start time, and the scope in which that pid counts. They
 * change together. Were the scope written behind the word, who is stopped in between, for however
 * long, could be judged by a process of another scope, which knows nothing of it.
 *
 * A creator and somebody who enters agree without either waiting:
 *     creator:  claim; status = initializing; full fence; look at the sides; ...; publish
 *     entering: word = self; full fence; look at the status
 * At least one of them sees the other's store. If the creator sees a living word it restores the
 * status and leaves; if the entering one sees `initializing` it takes its word back.
 *
 *   H1  release of a holder's name or count          pairs with H2: looks at a holder never go
 *   H2  acquire of them                              back, and what the last one did is over
 *   S1  release of the status                        pairs with A1: the claim before it, all
 *   A1  acquire of the status, here and in check.c   that it stands for after it
 */
#include "core/segment/presence.h"
#include "core/segment/segment_internal.h"

#include "arch/cpu/cpu.h"
#include "arch/peer/process.h"
#include "utils/assert.h"
#include "utils/atomic.h"

#include <errno.h>

#define PID_MASK ((UINT64_C(1) << VINE__SEGMENT_WORD_PID_BITS) - 1)

/* Someone who enters and finds a creator at work has its word there for a moment. */
#define LOOKS_MAX 64

static int check_replaceable(const struct vine__segment_header *header,
                             const struct vine__segment_reporter *to, bool *ret_is_segment);
static int look_for_the_living(struct vine__segment_header *header,
                               const struct vine__identity *self,
                               const struct vine__segment_reporter *to);
static int take_own_side(struct vine__segment_header *header, enum vine_segment_side side,
                         const struct vine__identity *self,
                         const struct vine__segment_reporter *to);
static int busy(const struct vine__segment_reporter *to, const char *what, int32_t pid);
static bool swap(struct vine__segment_holder *line, uint64_t word_before, uint64_t scope_before,
                 uint64_t word, uint64_t scope);
static bool is_of(const struct vine__segment_holder *line, const struct vine__identity *self);

uint64_t vine__segment_word(const struct vine__identity *self)
{
    VINE_ASSERT(self->pid > 0 && (uint64_t)self->pid <= PID_MASK);
    return (uint64_t)self->pid | self->start_ticks << VINE__SEGMENT_WORD_PID_BITS;
}

void vine__segment_holder_look(const struct vine__segment_holder *line,
                               const struct vine__identity *self,
                               struct vine__segment_holder_state *ret_state)
{
    /* H2 pairs with H1. One after the other they may be of two names, of which the first has just
     * left: of it, we may then say what we like. Who takes the line swaps what it has judged. */
    const uint64_t word = vine__load_acquire_u64(&line->word);
    const uint64_t scope = vine__load_acquire_u64(&line->scope);
    const int32_t pid = (int32_t)(word & PID_MASK);
    struct vine__segment_holder_state state = {
        .word = word,
        .scope = scope,
        /* H2 pairs with H1. */
        .claims = vine__load_acquire_u64(&line->claims),
        .pid = pid,
    };

    /* Of one from elsewhere we know nothing. */
    if (word == 0)
        state.state = VINE_SEGMENT_ABSENT;
    else if (scope == self->scope &&
             !vine__process_is_alive(pid, word >> VINE__SEGMENT_WORD_PID_BITS))
        state.state = VINE_SEGMENT_DEAD;
    else
        state.state = VINE_SEGMENT_ALIVE;
    *ret_state = state;
}

void vine__segment_presence_of(const struct vine__segment_holder *copy,
                               const struct vine__identity *self,
                               struct vine_segment_presence *ret_presence)
{
    struct vine__segment_holder_state state;

    vine__segment_holder_look(copy, self, &state);
    *ret_presence = (struct vine_segment_presence){
        .state = state.state, .pid = state.pid, .claims = state.claims};
}

int vine__segment_holder_take(struct vine__segment_holder *line, const struct vine__identity *self,
                              struct vine__segment_holder_state *ret_before)
{
    for (unsigned int tries = 0;; tries++) {
        vine__segment_holder_look(line, self, ret_before);
        if (ret_before->state == VINE_SEGMENT_ALIVE || tries == LOOKS_MAX)
            return -EBUSY;
        /* From the very name that we have judged, or not at all. */
        if (swap(line, ret_before->word, ret_before->scope, vine__segment_word(self), self->scope))
            break;
    }
    /* H1 pairs with H2. */
    (void)vine__fetch_add_acq_rel_u64(&line->claims, 1);
    return 0;
}

int vine__segment_holder_renew(struct vine__segment_holder *line, const struct vine__identity *self)
{
    if (!is_of(line, self))
        return -EBUSY;
    /* H1 pairs with H2: all that we did before the count. */
    (void)vine__fetch_add_acq_rel_u64(&line->claims, 1);
    return 0;
}

void vine__segment_holder_leave(struct vine__segment_holder *line,
                                const struct vine__identity *self)
{
    if (is_of(line, self))
        (void)swap(line, vine__segment_word(self), self->scope, 0, 0);
}

int vine__segment_begin(struct vine__segment_header *header, enum vine_segment_side side,
                        const struct vine__identity *self, const struct vine__segment_reporter *to)
{
    struct vine__segment_holder_state before;
    bool is_segment = false;

    int error = check_replaceable(header, to, &is_segment);
    if (error != 0)
        return error;
    if (vine__segment_holder_take(&header->claim, self, &before) != 0)
        return busy(to, "is being made", before.pid);

    /* Ours to decide from here on, since nobody else gets the claim while we live; but somebody
     * may have had it, and made a segment, since we looked. */
    error = check_replaceable(header, to, &is_segment);
    if (error == 0)
        error = look_for_the_living(header, self, to);
    if (error == 0) {
        /* Relaxed: nobody but who has the claim changes it. */
        const uint32_t status_before = vine__load_relaxed_u32(&header->status);
        /* S1 pairs with A1. */
        vine__store_release_u32(&header->status, VINE__SEGMENT_STATUS_INITIALIZING);
        /* The magic before everything that follows: whoever finds what we leave, should we die,
         * knows that it is a segment's. Pairs with the acquires of vine__segment_copy. */
        vine__store_release_u64(&header->magic, VINE__SEGMENT_MAGIC);
        vine__fence_full();
        error = look_for_the_living(header, self, to);
        if (error == 0 && side != VINE_SEGMENT_NOBODY)
            error = take_own_side(header, side, self, to);
        if (error != 0) {
            /* S1 pairs with A1: the magic first. */
            vine__store_relaxed_u64(&header->magic, is_segment ? VINE__SEGMENT_MAGIC : 0);
            vine__store_release_u32(&header->status, status_before);
        }
    }
    if (error != 0)
        vine__segment_holder_leave(&header->claim, self);
    return error;
}

void vine__segment_abandon(struct vine__segment_header *header, enum vine_segment_side side,
                           const struct vine__identity *self)
{
    /* S1 pairs with A1. */
    vine__store_release_u32(&header->status, VINE__SEGMENT_STATUS_CORRUPTED);
    if (side != VINE_SEGMENT_NOBODY)
        vine__segment_holder_leave(vine__segment_side_of(header, side), self);
    vine__segment_holder_leave(&header->claim, self);
}

void vine__segment_end(struct vine__segment_header *header, const struct vine__identity *self)
{
    /* Pairs with the acquires of vine__segment_copy. */
    vine__store_release_u64(&header->magic, 0);
    vine__segment_holder_leave(&header->claim, self);
}

bool vine__segment_is_ours(const struct vine__segment_header *header,
                           const struct vine__identity *self)
{
    return is_of(&header->claim, self);
}

int vine__segment_diagnose(const struct vine__segment_header *header,
                           const struct vine__identity *self,
                           const struct vine__segment_reporter *to)
{
    /* H2 pairs with H1: counted before the first look at the word. */
    const uint64_t claims = vine__load_acquire_u64(&header->claim.claims);
    struct vine__segment_holder_state claim;
    struct vine__segment_holder_state later;

    vine__segment_holder_look(&header->claim, self, &claim);
    if (claim.state == VINE_SEGMENT_ALIVE)
        return vine__segment_refuse(to, -VINE_EINITIALIZING, "process %d is initializing it",
                                    (int)claim.pid);

    /* A1 pairs with S1: the second look at the claim is no older than the status. */
    const uint64_t magic = vine__load_acquire_u64(&header->magic);
    const uint32_t status = vine__load_acquire_u32(&header->status);

    /* Nobody, or a dead one, had the claim a moment ago. The status is what they left only if
     * nobody took it meanwhile, were it but for a moment. */
    vine__segment_holder_look(&header->claim, self, &later);
    if (later.word != claim.word || later.claims != claims ||
        status == VINE__SEGMENT_STATUS_INITIALIZED)
        return vine__segment_refuse(to, -VINE_EINITIALIZING, "was made anew a moment ago");
    if (claim.state == VINE_SEGMENT_DEAD)
        return vine__segment_refuse(to, -VINE_ECORRUPT, "process %d died while it initialized it",
                                    (int)claim.pid);
    if (magic == VINE__SEGMENT_MAGIC && status == VINE__SEGMENT_STATUS_INITIALIZING)
        return vine__segment_refuse(to, -VINE_ECORRUPT, "nobody finished its initialization");
    return vine__segment_refuse(to, -VINE_EINITIALIZING, "it is not initialized yet");
}

int vine__segment_check_unused(const struct vine__segment_header *header,
                               enum vine_segment_side side, const struct vine__identity *self,
                               const struct vine__segment_reporter *to)
{
    const struct vine__segment_holder *const lines[] = {&header->claim, &header->sides[0],
                                                        &header->sides[1]};
    const enum vine_segment_side sides[] = {VINE_SEGMENT_NOBODY, VINE_SEGMENT_APPLICATION,
                                            VINE_SEGMENT_APPLIANCE};
    bool is_segment = false;

    const int error = check_replaceable(header, to, &is_segment);
    if (error != 0)
        return error;
    for (int i = 0; i < 3; i++) {
        struct vine__segment_holder_state holder;
        if (i != 0 && sides[i] != side)
            continue;
        vine__segment_holder_look(lines[i], self, &holder);
        if (holder.state == VINE_SEGMENT_ALIVE && !is_of(lines[i], self))
            return busy(to, "is in use", holder.pid);
    }
    return 0;
}

int vine__segment_enter(struct vine__segment_header *header, enum vine_segment_side side,
                        const struct vine__identity *self, const struct vine__segment_reporter *to)
{
    struct vine__segment_holder *const line = vine__segment_side_of(header, side);
    struct vine__segment_holder_state before;
    const char *const text = side == VINE_SEGMENT_APPLICATION ? "is in use by an application"
                                                              : "is in use by an appliance";

    /* A1 pairs with S1. */
    if (vine__load_acquire_u32(&header->status) != VINE__SEGMENT_STATUS_INITIALIZED)
        return vine__segment_refuse(to, -VINE_EINITIALIZING, "is being made anew");
    if (vine__segment_holder_take(line, self, &before) != 0)
        return busy(to, text, before.pid);

    vine__fence_full();
    /* A creator clears the words of the dead only, but one that finished between our two looks at
     * the status counts as another segment than the one that the caller checked: it checks again
     * after us. A1 pairs with S1. */
    if (vine__load_acquire_u32(&header->status) != VINE__SEGMENT_STATUS_INITIALIZED) {
        vine__segment_holder_leave(line, self);
        return vine__segment_refuse(to, -VINE_EINITIALIZING, "is being made anew");
    }
    if (to->report != NULL && before.state == VINE_SEGMENT_DEAD)
        to->report->dead_pid = before.pid;
    return 0;
}

/* Whether a segment may be made here, as far as the content goes, and whether there is one. */
static int check_replaceable(const struct vine__segment_header *header,
                             const struct vine__segment_reporter *to, bool *ret_is_segment)
{
    struct vine__segment_header copy;

    vine__segment_copy(header, &copy);
    if (!vine__segment_is_begun(&copy) && !vine__segment_is_fresh(&copy))
        return vine__segment_refuse(to, -VINE_EMAGIC, "holds something that is no segment");
    *ret_is_segment = copy.magic == VINE__SEGMENT_MAGIC;
    return 0;
}

/* The creator's own side. Whoever is there now entered before it saw us and leaves at once. */
static int take_own_side(struct vine__segment_header *header, enum vine_segment_side side,
                         const struct vine__identity *self, const struct vine__segment_reporter *to)
{
    struct vine__segment_holder_state before = {0};

    for (unsigned int tries = 0; tries < LOOKS_MAX; tries++) {
        if (vine__segment_holder_take(vine__segment_side_of(header, side), self, &before) == 0) {
            if (to->report != NULL && before.state == VINE_SEGMENT_DEAD)
                to->report->dead_pid = before.pid;
            return 0;
        }
        vine__cpu_relax();
    }
    return busy(to, "is in use", before.pid);
}

static int look_for_the_living(struct vine__segment_header *header,
                               const struct vine__identity *self,
                               const struct vine__segment_reporter *to)
{
    for (int side = 0; side < 2; side++) {
        struct vine__segment_holder_state state;
        vine__segment_holder_look(&header->sides[side], self, &state);
        if (state.state == VINE_SEGMENT_ALIVE)
            return busy(to, side == 0 ? "is in use by an application" : "is in use by an appliance",
                        state.pid);
    }
    return 0;
}

static int busy(const struct vine__segment_reporter *to, const char *what, int32_t pid)
{
    if (to->report != NULL)
        to->report->holder_pid = pid;
    return vine__segment_refuse(to, -EBUSY, "%s, process %d", what, (int)pid);
}

/* Put one name in place of another. */
static bool swap(struct vine__segment_holder *line, uint64_t word_before, uint64_t scope_before,
                 uint64_t word, uint64_t scope)
{
    const uint64_t before[2] = {word_before, scope_before};
    const uint64_t after[2] = {word, scope};

    /* H1 pairs with H2. */
    return vine__compare_exchange_acq_rel_pair(&line->word, before, after);
}

/* Relaxed: if it is ours, we wrote it, and only we change it. */
static bool is_of(const struct vine__segment_holder *line, const struct vine__identity *self)
{
    return vine__load_relaxed_u64(&line->word) == vine__segment_word(self) &&
           vine__load_relaxed_u64(&line->scope) == self->scope;
}
