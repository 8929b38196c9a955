/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small programs of coroutines, and a naive interpreter of them: for test_coroutine_programs.c.
 *
 * The interpreter knows coroutines as rows of a table, who is ready as a list of numbers, and who
 * waits by looking at all of them. It is slow and short.
 */
#ifndef TESTS_COROUTINE_PROGRAMS_H
#define TESTS_COROUTINE_PROGRAMS_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <vine/future.h>
#include <vine/socket.h>

#define PROGRAMS    500
#define FUNCTIONS   5U
#define STEPS_MAX   14U
#define SLOTS       2U
#define BORN_MAX    40U
#define EVENTS_MAX  20000U
#define CANCELS_MAX 4U
#define MESSAGES    (VINE_MAILBOX_MAX + BORN_MAX)
#define MANY        (VINE_MAILBOX_MAX + 4U)

#include "stress/trace.h"

enum step_kind {
    STEP_SAY,
    STEP_YIELD,
    STEP_CALL,
    STEP_CHILD,
    STEP_START,
    STEP_RESPONDER,
    STEP_JOIN,
    STEP_CANCEL,
    STEP_PLAY,
    STEP_PAUSE,
    STEP_RAISE,
    STEP_RETURN,
    STEP_SLEEP,
    STEP_DEADLINE,
    STEP_SEND,
    STEP_RECV,
    STEP_SEND_MANY,
    STEP_RECV_MANY,
    STEP_WRITE,
    STEP_READ,
    STEP_CLOSE,
    STEP_ALLOC,
    STEP_FREE,
    STEP_KINDS,
    /* of the trace alone */
    STEP_BEGINS,
    STEP_CAUGHT,
    STEP_FINALLY,
    STEP_CANCELLED,
    STEP_ENDED,
};

struct step {
    uint8_t kind;
    uint8_t slot;    /* SLOTS: the parent */
    uint32_t number; /* to say, to sleep, the function, ... */
};

enum part_kind { BODY, CATCH, BEHIND, FINALLY, PARTS };

struct part {
    uint32_t count;
    struct step steps[STEPS_MAX];
};

struct function {
    bool has_catch, has_finally;
    struct part parts[PARTS];
};

struct program {
    struct function functions[FUNCTIONS];
};

/* ---- the reference --------------------------------------------------------------------------- */

enum waiting { NOTHING, TURN, A_CALL, A_JOIN, TIME, PLAYED, TO_SEND, TO_RECV, TO_WRITE, TO_READ };

/* A row of the table. */
struct row {
    uint32_t function;
    int parent;                       /* or -1 */
    uint8_t born_as;                  /* STEP_CALL, ... */
    bool is_left, has_ended, is_gone; /* gone: nobody can name it any more */
    bool is_cancelled, is_played, has_cancelled_all;
    int error, pending;
    enum part_kind part;
    bool in_finally, was_caught;
    uint32_t at;             /* step of the part */
    bool has_begun, goes_on; /* in the middle of a step */
    int slots[SLOTS + 1];
    uint64_t deadline;
    enum waiting waits;
    int waits_for;       /* whose end, or mailbox */
    uint64_t due, since; /* 0: it is not due */
    int due_error;
    int mail[MESSAGES];
    uint32_t mail_count;
    uint32_t written; /* bytes, or messages of many */
    int sends;
};

static struct reference {
    const struct program *program;
    struct trace *trace;
    struct row rows[BORN_MAX];
    uint32_t born;
    int ready[4 * BORN_MAX];
    uint32_t ready_count;
    uint64_t now, counter;
    uint32_t piped;
    bool is_shut;
} ref;

static inline void ref_ready_last(int who)
{
    ref.ready[ref.ready_count++] = who;
    ref.rows[who].waits = TURN;
}

static inline void ref_ready_first(int who)
{
    memmove(&ref.ready[1], &ref.ready[0], ref.ready_count * sizeof ref.ready[0]);
    ref.ready[0] = who;
    ref.ready_count++;
    ref.rows[who].waits = TURN;
}

static inline bool ref_is_blocked(const struct row *row)
{
    return row->waits > TURN;
}

static inline void ref_unblock(struct row *row)
{
    row->due = 0;
    row->waits = NOTHING;
}

static inline void ref_wake(int who)
{
    if (!ref_is_blocked(&ref.rows[who]))
        return;
    ref_unblock(&ref.rows[who]);
    ref_ready_last(who);
}

static inline void ref_block(int who, enum waiting waits, int waits_for)
{
    struct row *const row = &ref.rows[who];

    row->waits = waits;
    row->waits_for = waits_for;
    row->since = ++ref.counter;
    if (waits != A_CALL && waits != TIME && row->deadline != 0) {
        row->due = row->deadline;
        row->due_error = -ETIMEDOUT;
    }
}

/* The one that waits there since longest, or -1. */
static inline int ref_first(enum waiting waits, int waits_for)
{
    int first = -1;

    for (uint32_t i = 0; i < ref.born; i++)
        if (ref.rows[i].waits == waits && ref.rows[i].waits_for == waits_for &&
            (first < 0 || ref.rows[i].since < ref.rows[first].since))
            first = (int)i;
    return first;
}

/* Raise it in a coroutine. Returns false: it leaves anyway. */
static inline bool ref_cancel(int who, int error)
{
    struct row *const row = &ref.rows[who];
    const bool calls = row->waits == A_CALL;

    if (row->is_left || row->in_finally)
        return false;
    if (calls && ref_cancel(row->waits_for, error))
        return true;
    if (row->error == 0)
        row->error = error;
    if (!calls)
        ref_wake(who);
    return true;
}

static inline int ref_born(uint32_t function, int parent, uint8_t born_as)
{
    const int who = (int)ref.born++;
    struct row *const row = &ref.rows[who];

    memset(row, 0, sizeof(*row));
    row->function = function;
    row->parent = parent;
    row->born_as = born_as;
    for (uint32_t i = 0; i < SLOTS; i++)
        row->slots[i] = -1;
    row->slots[SLOTS] = parent;
    if (parent >= 0)
        row->deadline = ref.rows[parent].deadline;
    return who;
}

static inline int ref_error_of(const struct row *row)
{
    return row->is_cancelled && row->error == -ECANCELED ? 0 : row->error;
}

static inline void ref_left(int who);

static inline void ref_end(int who)
{
    struct row *const row = &ref.rows[who];
    struct row *const parent = row->parent >= 0 ? &ref.rows[row->parent] : NULL;
    int error = ref_error_of(row);

    row->has_ended = true;
    if (parent == NULL)
        return;
    if (row->born_as == STEP_CALL) {
        row->is_gone = true;
        if (parent->error == 0)
            parent->error = row->error;
        ref_unblock(parent);
        ref_ready_first(row->parent);
    } else if (parent->waits == A_JOIN && parent->waits_for == who) {
        ref_unblock(parent);
        ref_ready_first(row->parent);
    } else if (parent->is_left) {
        ref_left(row->parent);
    } else if (row->born_as == STEP_START) {
        row->is_gone = true;
        if (error != 0 && !ref_cancel(row->parent, error) && parent->pending == 0)
            parent->pending = error;
    }
}

/* Its function has ended, or one of its children after that. */
static inline void ref_left(int who)
{
    struct row *const row = &ref.rows[who];
    bool is_alone = true;
    int sender;

    row->is_left = true;
    while ((sender = ref_first(TO_SEND, who)) >= 0) {
        ref.rows[sender].error = -EPIPE;
        ref_wake(sender);
    }
    for (int i = (int)ref.born - 1; i >= 0; i--) {
        struct row *const child = &ref.rows[i];

        if (child->parent != who || child->is_gone)
            continue;
        if (!child->has_ended) {
            is_alone = false;
            continue;
        }
        if (row->error == 0)
            row->error = ref_error_of(child);
        child->is_gone = true;
    }
    if (is_alone) {
        ref_end(who);
        return;
    }

    const bool all = row->error != 0 && !row->has_cancelled_all;

    row->has_cancelled_all |= all;
    for (int i = (int)ref.born - 1; i >= 0; i--) {
        struct row *const child = &ref.rows[i];

        if (child->parent == who && !child->is_gone && !child->has_ended &&
            (all || (child->born_as == STEP_RESPONDER && !child->is_cancelled))) {
            child->is_cancelled = true;
            (void)ref_cancel(i, -ECANCELED);
        }
    }
}

enum outcome { WENT_ON, BLOCKS, RAISED, RETURNS };

static inline enum outcome ref_make(int who, const struct step *step)
{
    struct row *const row = &ref.rows[who];
    int child;

    if (row->goes_on) { /* from a call */
        row->goes_on = false;
        return WENT_ON;
    }
    if (ref.born == BORN_MAX)
        return WENT_ON;
    child = ref_born(step->number, who, step->kind);
    if (step->kind == STEP_CALL) {
        ref_ready_first(child);
        ref_block(who, A_CALL, child);
        row->goes_on = true;
        return BLOCKS;
    }
    ref_ready_last(child);
    if (step->kind != STEP_START)
        row->slots[step->slot] = child;
    return WENT_ON;
}

static inline enum outcome ref_join(int who, const struct step *step)
{
    struct row *const row = &ref.rows[who];

    if (!row->goes_on) {
        row->waits_for = step->slot < SLOTS ? row->slots[step->slot] : -1;
        if (row->waits_for < 0)
            return WENT_ON;
        row->slots[step->slot] = -1;
    }

    struct row *const child = &ref.rows[row->waits_for];

    if (!child->has_ended) {
        ref_block(who, A_JOIN, row->waits_for);
        row->goes_on = true;
        return BLOCKS;
    }
    row->goes_on = false;
    row->error = ref_error_of(child);
    child->is_gone = true;
    return row->error != 0 ? RAISED : WENT_ON;
}

static inline enum outcome ref_send(int who, const struct step *step)
{
    struct row *const row = &ref.rows[who];
    const int to = row->slots[step->slot];

    if (row->goes_on) { /* its message was taken */
        row->goes_on = false;
        return WENT_ON;
    }
    if (to < 0)
        return WENT_ON;
    if (ref.rows[to].is_left) {
        row->error = -EPIPE;
        return RAISED;
    }
    if (ref.rows[to].mail_count < VINE_MAILBOX_MAX) {
        const int receiver = ref_first(TO_RECV, to);

        ref.rows[to].mail[ref.rows[to].mail_count++] = (int)step->number;
        if (receiver >= 0)
            ref_wake(receiver);
        return WENT_ON;
    }
    row->sends = (int)step->number;
    row->goes_on = true;
    ref_block(who, TO_SEND, to);
    return BLOCKS;
}

static inline enum outcome ref_recv(int who)
{
    struct row *const row = &ref.rows[who];
    int sender;

    if (row->mail_count == 0) {
        row->goes_on = true;
        ref_block(who, TO_RECV, who);
        return BLOCKS;
    }
    row->goes_on = false;
    note(ref.trace, (uint32_t)who, STEP_RECV, row->mail[0]);
    row->mail_count--;
    memmove(&row->mail[0], &row->mail[1], row->mail_count * sizeof row->mail[0]);
    sender = ref_first(TO_SEND, who);
    if (sender >= 0) {
        row->mail[row->mail_count++] = ref.rows[sender].sends;
        ref_wake(sender);
    }
    return WENT_ON;
}

/* One message after the other. */
static inline enum outcome ref_many(int who, const struct step *step)
{
    struct row *const row = &ref.rows[who];

    if (!row->goes_on) {
        row->written = 0;
    } else if (step->kind == STEP_SEND_MANY) {
        row->goes_on = false; /* it was taken */
        row->written++;
    }
    for (; row->written < MANY; row->written++) {
        const enum outcome outcome =
            step->kind == STEP_SEND_MANY ? ref_send(who, step) : ref_recv(who);

        if (outcome != WENT_ON)
            return outcome;
    }
    return WENT_ON;
}

static inline enum outcome ref_write(int who, const struct step *step)
{
    struct row *const row = &ref.rows[who];
    int reader;

    if (!row->goes_on) {
        if (ref_first(TO_WRITE, 0) >= 0)
            return WENT_ON;
        row->written = 0;
    }
    row->goes_on = false;
    while (row->written < step->number) {
        const uint32_t left = step->number - row->written;
        const uint32_t room = VINE_PIPE_BYTES - ref.piped;

        if (ref.is_shut) {
            row->error = -EPIPE;
            return RAISED;
        }
        if (room == 0) {
            row->goes_on = true;
            ref_block(who, TO_WRITE, 0);
            return BLOCKS;
        }
        row->written += left < room ? left : room;
        ref.piped += left < room ? left : room;
        reader = ref_first(TO_READ, 0);
        if (reader >= 0)
            ref_wake(reader);
    }
    return WENT_ON;
}

static inline enum outcome ref_read(int who, const struct step *step)
{
    struct row *const row = &ref.rows[who];
    const uint32_t size = step->number < ref.piped ? step->number : ref.piped;
    int writer;

    if (!row->goes_on && ref_first(TO_READ, 0) >= 0)
        return WENT_ON;
    row->goes_on = false;
    if (size == 0 && !ref.is_shut) {
        row->goes_on = true;
        ref_block(who, TO_READ, 0);
        return BLOCKS;
    }
    ref.piped -= size;
    writer = ref_first(TO_WRITE, 0);
    if (size > 0 && writer >= 0)
        ref_wake(writer);
    note(ref.trace, (uint32_t)who, STEP_READ, size);
    return WENT_ON;
}

static inline enum outcome ref_beside(int who, const struct step *step)
{
    struct row *const row = &ref.rows[who];
    const int other = row->slots[step->slot];

    if (other < 0)
        return WENT_ON;
    if (step->kind == STEP_PLAY) {
        ref.rows[other].is_played = true;
        if (ref.rows[other].waits == PLAYED)
            ref_wake(other);
    } else if (!ref.rows[other].has_ended) {
        ref.rows[other].is_cancelled = true;
        (void)ref_cancel(other, -ECANCELED);
    }
    return row->error != 0 ? RAISED : WENT_ON;
}

static inline enum outcome ref_time(int who, const struct step *step)
{
    struct row *const row = &ref.rows[who];
    const uint64_t at = ref.now + step->number;

    if (step->kind == STEP_DEADLINE) {
        row->deadline = step->slot == 0 ? 0 : ref.now + step->number * 3;
        if (row->born_as == STEP_CALL && ref.rows[row->parent].deadline != 0 &&
            (row->deadline == 0 || row->deadline > ref.rows[row->parent].deadline))
            row->deadline = ref.rows[row->parent].deadline;
        return WENT_ON;
    }
    if (row->goes_on) {
        row->goes_on = false;
        return WENT_ON;
    }
    row->goes_on = true;
    ref_block(who, TIME, 0);
    row->due = row->deadline != 0 && row->deadline < at ? row->deadline : at;
    row->due_error = row->due < at ? -ETIMEDOUT : 0;
    return BLOCKS;
}

static inline enum outcome ref_step(int who, const struct step *step)
{
    struct row *const row = &ref.rows[who];
    int reader;

    switch (step->kind) {
    case STEP_SAY:
        note(ref.trace, (uint32_t)who, STEP_SAY, step->number);
        return WENT_ON;
    case STEP_YIELD:
        row->goes_on = !row->goes_on;
        if (row->goes_on)
            ref_ready_last(who);
        return row->goes_on ? BLOCKS : WENT_ON;
    case STEP_CALL:
    case STEP_CHILD:
    case STEP_START:
    case STEP_RESPONDER:
        return ref_make(who, step);
    case STEP_JOIN:
        return ref_join(who, step);
    case STEP_CANCEL:
    case STEP_PLAY:
        return ref_beside(who, step);
    case STEP_PAUSE:
        row->goes_on = !row->is_played;
        row->is_played = false;
        if (row->goes_on)
            ref_block(who, PLAYED, 0);
        return row->goes_on ? BLOCKS : WENT_ON;
    case STEP_RAISE:
        row->error = -(int)step->number;
        return RAISED;
    case STEP_RETURN:
        return RETURNS;
    case STEP_SLEEP:
    case STEP_DEADLINE:
        return ref_time(who, step);
    case STEP_SEND:
        return ref_send(who, step);
    case STEP_RECV:
        return ref_recv(who);
    case STEP_SEND_MANY:
    case STEP_RECV_MANY:
        return ref_many(who, step);
    case STEP_WRITE:
        return ref_write(who, step);
    case STEP_READ:
        return ref_read(who, step);
    case STEP_CLOSE:
        if (step->number == 1 && ref_first(TO_WRITE, 0) < 0) {
            ref.is_shut = true;
            while ((reader = ref_first(TO_READ, 0)) >= 0)
                ref_wake(reader);
        }
        return WENT_ON;
    default:
        return WENT_ON; /* memory */
    }
}

/* Where it goes by what is raised, or to its end. Returns false: out. */
static inline bool ref_unwind(int who)
{
    struct row *const row = &ref.rows[who];
    const struct function *const function = &ref.program->functions[row->function];

    row->goes_on = false;
    row->at = 0;
    if (row->error != 0 && function->has_catch && !row->was_caught && !row->in_finally) {
        note(ref.trace, (uint32_t)who, STEP_CAUGHT, row->error);
        row->error = 0;
        row->was_caught = true;
        row->part = CATCH;
        return true;
    }
    if (function->has_finally && !row->in_finally) {
        note(ref.trace, (uint32_t)who, STEP_FINALLY, 0);
        row->pending = row->error;
        row->error = 0;
        row->in_finally = true;
        row->part = FINALLY;
        return true;
    }
    if (row->error == 0)
        row->error = row->pending;
    return false;
}

/* A coroutine's turn, until it blocks or ends. */
static inline void ref_run(int who)
{
    struct row *const row = &ref.rows[who];
    const struct function *const function = &ref.program->functions[row->function];
    bool goes_on = true;

    row->waits = NOTHING;
    if (row->error != 0)
        goes_on = ref_unwind(who);
    while (goes_on) {
        const struct part *const part = &function->parts[row->part];
        enum outcome outcome;

        if (row->at == part->count) {
            if (row->part == BODY || row->part == CATCH) {
                row->part = BEHIND;
                row->at = 0;
            } else {
                goes_on = ref_unwind(who);
            }
            continue;
        }
        if (!row->goes_on)
            note(ref.trace, (uint32_t)who, STEP_BEGINS, part->steps[row->at].kind);
        outcome = ref_step(who, &part->steps[row->at]);
        if (outcome == BLOCKS)
            return;
        row->at++;
        if (outcome != WENT_ON)
            goes_on = ref_unwind(who);
    }
    ref_left(who);
}

static inline bool ref_pass_time(void)
{
    uint64_t due = 0;

    for (uint32_t i = 0; i < ref.born; i++)
        if (ref.rows[i].due != 0 && (due == 0 || ref.rows[i].due < due))
            due = ref.rows[i].due;
    if (due == 0)
        return false;
    if (due > ref.now)
        ref.now = due;
    for (;;) {
        int first = -1;

        for (uint32_t i = 0; i < ref.born; i++) {
            const struct row *const row = &ref.rows[i];

            if (row->due != 0 && row->due <= ref.now &&
                (first < 0 || row->due < ref.rows[first].due ||
                 (row->due == ref.rows[first].due && row->since < ref.rows[first].since)))
                first = (int)i;
        }
        if (first < 0)
            return true;
        if (ref.rows[first].error == 0)
            ref.rows[first].error = ref.rows[first].due_error;
        ref_wake(first);
    }
}

static inline void run_reference(const struct program *program, struct trace *trace)
{
    uint32_t cancels = 0;

    memset(&ref, 0, sizeof ref);
    ref.program = program;
    ref.trace = trace;
    ref.now = 1000;
    ref_ready_last(ref_born(0, -1, STEP_CHILD));
    while (!ref.rows[0].has_ended) {
        if (ref.ready_count > 0) {
            const int who = ref.ready[0];

            ref.ready_count--;
            memmove(&ref.ready[0], &ref.ready[1], ref.ready_count * sizeof ref.ready[0]);
            ref_run(who);
            continue;
        }
        if (ref_pass_time())
            continue;
        if (cancels == CANCELS_MAX)
            break;
        note(trace, 0, STEP_CANCELLED, ++cancels);
        (void)ref_cancel(0, -ECANCELED);
    }
    note(trace, 0, STEP_ENDED, ref.rows[0].has_ended ? ref.rows[0].error : 1);
}

#endif
