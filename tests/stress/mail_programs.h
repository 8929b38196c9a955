/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small programs of micro-processes that send each other mail, and a naive interpreter of what is
 * promised of mail on one core: for test_mail_programs.c.
 *
 * The interpreter knows micro-processes, mailboxes and letters as rows of tables, and finds
 * whatever it wants by looking at all of them. What it knows beyond vine/mail.h is when a
 * micro-process runs: in the order in which something came for it, once for all that came; and that
 * a mailbox whose coroutine has given up waiting takes one message more.
 */
#ifndef TESTS_MAIL_PROGRAMS_H
#define TESTS_MAIL_PROGRAMS_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <vine/mail.h>

#define PEERS       5U
#define SLOTS       3U /* mailboxes of each */
#define STEPS_MAX   16U
#define EVENTS_MAX  8000U
#define MANY        (VINE_MAIL_WAITING_MAX + 4U)
#define DUES_MAX    8192U
#define LETTERS_MAX (PEERS * PARTS * STEPS_MAX * MANY)
#define OPENED_MAX  (PEERS * PARTS * STEPS_MAX)

#include "stress/trace.h"

enum step_kind {
    STEP_OPEN,
    STEP_OPEN_REQUESTS,
    STEP_CLOSE,
    STEP_SEND,
    STEP_SEND_MANY,
    STEP_OFFER,
    STEP_OFFER_MANY,
    STEP_REQUEST,
    STEP_RECV,
    STEP_RECV_MANY,
    STEP_LISTEN,
    STEP_ANSWER, /* by a response, or a refusal */
    STEP_SLEEP,
    STEP_RAISE,
    STEP_FAULT,
    STEP_RETURN,
    STEP_KINDS,
    /* of the trace alone */
    STEP_CAUGHT,
    STEP_FAILED, /* what a coroutine beside it has caught */
    STEP_ENDED,
};

struct step {
    uint8_t kind;
    uint8_t slot;    /* its own, or of the peer */
    uint8_t peer;    /* to whom */
    bool is_apart;   /* by another coroutine, which takes its errors */
    uint8_t wait;    /* how long at most, or 0: for ever; or how long to sleep */
    uint32_t number; /* to say */
};

enum part_kind { BODY, CATCH, BEHIND, PARTS };

struct part {
    uint32_t count;
    struct step steps[STEPS_MAX];
};

struct script {
    bool has_catch;
    struct part parts[PARTS];
};

struct program {
    struct script scripts[PEERS];
};

/* ---- time ------------------------------------------------------------------------------------ */

/* Each time that somebody waits for is his alone, so that nobody asks who of two is first. */
struct dues {
    bool is_taken[DUES_MAX];
    uint32_t last;
};

static inline uint32_t due_after(struct dues *dues, uint32_t now, uint32_t wait)
{
    uint32_t due = now + wait;

    while (due < DUES_MAX - 1 && dues->is_taken[due])
        due++;
    dues->is_taken[due] = true;
    if (due > dues->last)
        dues->last = due;
    return due;
}

/* ---- the reference --------------------------------------------------------------------------- */

enum waiting { NOTHING, AN_END, A_MESSAGE, TIME };

enum { NOBODY = -1, LEFT_WAITING = 1 };

struct letter {
    int from, operation; /* of whom, and the number of what */
    int box;             /* to which */
    uint32_t value;
    bool is_request, is_offer;
};

struct letters {
    int rows[VINE_MAIL_WAITING_MAX + PEERS + 1];
    uint32_t count;
};

struct box {
    int owner; /* NOBODY: it is closed */
    bool is_closing;
    bool is_for_requests;
    bool is_wanted; /* its micro-process has been told so */
    bool is_full;   /* and this has come in: */
    uint32_t value;
    bool is_answering;
    int answering; /* the letter, or NOBODY */
    uint32_t count;
    struct letters letters, waiting;
};

struct peer {
    bool is_posted, has_ended;
    enum part_kind part;
    uint32_t at, many;
    bool goes_on, was_caught;
    enum waiting waits;
    int waits_at;           /* the mailbox */
    uint32_t deadline, due; /* 0: never */
    int slots[SLOTS];       /* mailboxes, or NOBODY */
    int numbers[VINE_MAIL_BOXES_MAX];
    struct step ask;
    bool has_asked;
    int operation; /* the number of the one that is under way, or NOBODY */
    bool is_done;
    int result;
    uint32_t reply;
    int letter;
};

static struct reference {
    const struct program *program;
    struct trace *trace;
    struct dues dues;
    uint32_t now;
    struct peer peers[PEERS];
    int queue[2 * PEERS];
    uint32_t queued;
    struct box boxes[OPENED_MAX];
    uint32_t box_count;
    struct letter letters[LETTERS_MAX];
    uint32_t letter_count;
    int operations;
    int addresses[PEERS][SLOTS];
} ref;

static inline void ref_post(int who)
{
    if (ref.peers[who].is_posted || ref.peers[who].has_ended)
        return;
    ref.peers[who].is_posted = true;
    ref.queue[ref.queued++] = who;
}

/* ---- its letters ----------------------------------------------------------------------------- */

static inline void ref_push(struct letters *letters, int letter)
{
    letters->rows[letters->count++] = letter;
}

static inline int ref_take(struct letters *letters, uint32_t at)
{
    const int letter = letters->rows[at];

    letters->count--;
    memmove(&letters->rows[at], &letters->rows[at + 1],
            (letters->count - at) * sizeof letters->rows[0]);
    return letter;
}

static inline void ref_done(int who, int result)
{
    struct peer *const peer = &ref.peers[who];

    if (peer->operation == NOBODY || peer->is_done)
        return;
    peer->is_done = true;
    peer->result = result;
    ref_post(who);
}

static inline void ref_tell(int number, int result, uint32_t reply)
{
    const struct letter *const letter = &ref.letters[number];

    if (ref.peers[letter->from].operation != letter->operation)
        return;
    ref.peers[letter->from].reply = reply;
    ref_done(letter->from, result);
}

static inline int ref_arrive(int number)
{
    const struct letter *const letter = &ref.letters[number];
    struct box *const box = letter->box != NOBODY ? &ref.boxes[letter->box] : NULL;

    if (box == NULL || box->owner == NOBODY)
        return -EPIPE;
    if (box->is_for_requests != letter->is_request)
        return -EPROTOTYPE;
    if (!letter->is_request && box->count == VINE_MAIL_WAITING_MAX) {
        if (letter->is_offer)
            return -EAGAIN;
        ref_push(&box->waiting, number);
        return LEFT_WAITING;
    }
    ref_push(&box->letters, number);
    if (box->is_wanted)
        ref_post(box->owner);
    if (letter->is_request)
        return LEFT_WAITING;
    box->count++;
    return 0;
}

static inline void ref_withdraw(int number)
{
    struct box *const box = &ref.boxes[ref.letters[number].box];

    if (box->owner == NOBODY)
        return;
    if (box->answering == number)
        box->answering = NOBODY;
    for (uint32_t i = box->is_for_requests ? 0 : box->letters.count; i < box->letters.count; i++)
        if (box->letters.rows[i] == number)
            (void)ref_take(&box->letters, i);
    for (uint32_t i = 0; i < box->waiting.count; i++)
        if (box->waiting.rows[i] == number)
            (void)ref_take(&box->waiting, i);
}

static inline void ref_close(struct box *box)
{
    box->owner = NOBODY;
    for (; box->letters.count > 0; (void)ref_take(&box->letters, 0))
        if (box->is_for_requests)
            ref_tell(box->letters.rows[0], -EPIPE, 0);
    for (; box->waiting.count > 0; (void)ref_take(&box->waiting, 0))
        ref_tell(box->waiting.rows[0], -EPIPE, 0);
    if (box->answering != NOBODY)
        ref_tell(box->answering, -EPIPE, 0);
}

/* ---- its steps ------------------------------------------------------------------------------- */

enum outcome { WENT_ON, BLOCKS, RAISED, RETURNS };

/* Before whatever may wait, whether or not it will. */
static inline void ref_limit(struct peer *peer, uint32_t wait)
{
    peer->deadline = wait != 0 ? due_after(&ref.dues, ref.now, wait) : 0;
}

static inline enum outcome ref_wait(struct peer *peer, enum waiting waits)
{
    peer->waits = waits;
    peer->goes_on = true;
    peer->due = peer->deadline;
    return BLOCKS;
}

static inline enum outcome ref_ask(struct peer *peer, const struct step *step, uint32_t wait)
{
    ref_limit(peer, wait);
    peer->ask = *step;
    peer->has_asked = true;
    return ref_wait(peer, AN_END);
}

/* An error is the coroutine's own, or one's that it has called. */
static inline enum outcome ref_ended(int who, const struct step *step, int result)
{
    struct peer *const peer = &ref.peers[who];

    peer->goes_on = false;
    if (result == 0 && step->kind == STEP_REQUEST)
        result = (int)peer->reply;
    if (result >= 0 || step->kind == STEP_OFFER || step->kind == STEP_OFFER_MANY) {
        note(ref.trace, (uint32_t)who, step->kind, result);
        return WENT_ON;
    }
    if (!step->is_apart) {
        peer->result = result;
        return RAISED;
    }
    note(ref.trace, (uint32_t)who, STEP_FAILED, result);
    return WENT_ON;
}

static inline enum outcome ref_post_step(int who, const struct step *step)
{
    struct peer *const peer = &ref.peers[who];
    const bool is_many = step->kind == STEP_SEND_MANY || step->kind == STEP_OFFER_MANY;
    enum outcome outcome;

    if (!peer->goes_on)
        peer->many = 0;
    while (peer->goes_on || peer->many < (is_many ? MANY : 1)) {
        if (!peer->goes_on)
            return ref_ask(peer, step, step->wait);
        outcome = ref_ended(who, step, peer->result);
        peer->many++;
        if (outcome != WENT_ON)
            return outcome;
    }
    return WENT_ON;
}

static inline enum outcome ref_take_step(int who, const struct step *step)
{
    struct peer *const peer = &ref.peers[who];
    struct box *const box =
        peer->slots[step->slot] != NOBODY ? &ref.boxes[peer->slots[step->slot]] : NULL;
    const bool is_request = step->kind == STEP_LISTEN;

    if (box == NULL || box->is_for_requests != is_request || (is_request && box->is_answering))
        return WENT_ON;
    if (!peer->goes_on)
        peer->many = 0;
    for (; peer->many < (step->kind == STEP_RECV_MANY ? MANY : 1); peer->many++) {
        if (peer->goes_on && peer->result < 0) {
            peer->goes_on = false;
            return RAISED;
        }
        if (!peer->goes_on)
            ref_limit(peer, step->wait);
        if (!box->is_full) {
            peer->waits_at = peer->slots[step->slot];
            if (!box->is_wanted) {
                peer->ask = *step;
                peer->has_asked = true;
            }
            return ref_wait(peer, A_MESSAGE);
        }
        peer->goes_on = false;
        box->is_full = false;
        box->is_answering = is_request;
        note(ref.trace, (uint32_t)who, step->kind, box->value);
    }
    return WENT_ON;
}

static inline enum outcome ref_own_step(int who, const struct step *step)
{
    struct peer *const peer = &ref.peers[who];
    int *const slot = &peer->slots[step->slot];

    switch (step->kind) {
    case STEP_OPEN:
    case STEP_OPEN_REQUESTS:
        if (peer->goes_on) {
            ref.addresses[who][step->slot] = *slot;
            return ref_ended(who, step, peer->result);
        }
        return *slot != NOBODY ? WENT_ON : ref_ask(peer, step, 0);
    case STEP_CLOSE:
        if (*slot != NOBODY)
            ref.boxes[*slot].is_closing = true;
        *slot = NOBODY;
        return WENT_ON;
    case STEP_ANSWER:
        if (peer->goes_on)
            return ref_ended(who, step, peer->result);
        if (*slot == NOBODY || !ref.boxes[*slot].is_answering)
            return WENT_ON;
        ref.boxes[*slot].is_answering = false;
        return ref_ask(peer, step, 0);
    case STEP_SLEEP:
        if (!peer->goes_on) {
            ref_limit(peer, step->wait);
            return ref_wait(peer, TIME);
        }
        peer->goes_on = false;
        return WENT_ON;
    case STEP_RETURN:
        return RETURNS;
    default:
        peer->result = step->kind == STEP_FAULT ? -EFAULT : -(int)step->number;
        return RAISED;
    }
}

static inline enum outcome ref_step(int who, const struct step *step)
{
    switch (step->kind) {
    case STEP_SEND:
    case STEP_SEND_MANY:
    case STEP_OFFER:
    case STEP_OFFER_MANY:
    case STEP_REQUEST:
        return ref_post_step(who, step);
    case STEP_RECV:
    case STEP_RECV_MANY:
    case STEP_LISTEN:
        return ref_take_step(who, step);
    default:
        return ref_own_step(who, step);
    }
}

/* ---- its runs -------------------------------------------------------------------------------- */

/* An error is caught once, wherever it is raised. */
static inline void ref_go_on(int who)
{
    struct peer *const peer = &ref.peers[who];
    const struct script *const script = &ref.program->scripts[who];

    for (;;) {
        const struct part *const part = &script->parts[peer->part];
        enum outcome outcome = WENT_ON;

        if (peer->at == part->count) {
            if (peer->part == BEHIND || (peer->part == BODY && !script->has_catch)) {
                peer->result = 0;
                break;
            }
            peer->part = BEHIND;
            peer->at = 0;
            continue;
        }
        outcome = ref_step(who, &part->steps[peer->at]);
        if (outcome == BLOCKS)
            return;
        if (outcome == WENT_ON) {
            peer->at++;
            continue;
        }
        if (outcome == RETURNS) {
            peer->result = 0;
            break;
        }
        if (!script->has_catch || peer->was_caught)
            break;
        peer->was_caught = true;
        note(ref.trace, (uint32_t)who, STEP_CAUGHT, peer->result);
        peer->part = CATCH;
        peer->at = 0;
    }
    peer->has_ended = true;
}

/* Those of a micro-process that it has closed, or all, are closed, by their numbers. */
static inline void ref_look_at_boxes(struct peer *peer)
{
    for (uint32_t i = 0; i < VINE_MAIL_BOXES_MAX; i++) {
        const int box = peer->numbers[i];

        if (box == NOBODY || (!ref.boxes[box].is_closing && !peer->has_ended))
            continue;
        peer->numbers[i] = NOBODY;
        ref_close(&ref.boxes[box]);
    }
}

static inline int ref_open(int who, const struct step *step)
{
    struct peer *const peer = &ref.peers[who];
    uint32_t number = 0;

    ref_look_at_boxes(peer);
    while (peer->numbers[number] != NOBODY)
        number++;
    peer->numbers[number] = peer->slots[step->slot] = (int)ref.box_count;
    ref.boxes[ref.box_count++] = (struct box){
        .owner = who, .is_for_requests = step->kind == STEP_OPEN_REQUESTS, .answering = NOBODY};
    return 0;
}

static inline int ref_answer(const struct peer *peer, const struct step *step)
{
    struct box *const box = &ref.boxes[peer->slots[step->slot]];
    const int letter = box->answering;

    box->answering = NOBODY;
    if (letter == NOBODY)
        return 0;
    if (step->number % 5 == 0)
        ref_tell(letter, -(int)step->number, 0);
    else
        ref_tell(letter, 0, ref.letters[letter].value + 1);
    return 0;
}

static inline int ref_send(int who, const struct step *step)
{
    struct peer *const peer = &ref.peers[who];
    const int number = ref.addresses[step->peer][step->slot];
    const struct box *const box = number != NOBODY ? &ref.boxes[number] : NULL;
    const bool is_own = box != NULL && box->owner == who && !step->is_apart;

    if (is_own &&
        (step->kind == STEP_REQUEST || ((step->kind == STEP_SEND || step->kind == STEP_SEND_MANY) &&
                                        box->count == VINE_MAIL_WAITING_MAX)))
        return -EDEADLK;
    peer->letter = (int)ref.letter_count;
    ref.letters[ref.letter_count++] =
        (struct letter){.from = who,
                        .operation = peer->operation,
                        .box = number,
                        .value = (uint32_t)who * 1000 + step->number + peer->many,
                        .is_request = step->kind == STEP_REQUEST,
                        .is_offer = step->kind == STEP_OFFER || step->kind == STEP_OFFER_MANY};
    return ref_arrive(peer->letter);
}

/* What it has asked for, once it blocks. */
static inline void ref_take_ask(int who)
{
    struct peer *const peer = &ref.peers[who];
    const struct step *const ask = &peer->ask;
    int result;

    peer->has_asked = false;
    if (peer->waits == A_MESSAGE) {
        ref.boxes[peer->waits_at].is_wanted = true;
        if (ref.boxes[peer->waits_at].letters.count > 0)
            ref_post(who);
        return;
    }
    peer->operation = ref.operations++;
    peer->is_done = false;
    peer->letter = NOBODY;
    if (ask->kind == STEP_OPEN || ask->kind == STEP_OPEN_REQUESTS)
        result = ref_open(who, ask);
    else if (ask->kind == STEP_ANSWER)
        result = ref_answer(peer, ask);
    else
        result = ref_send(who, ask);
    if (result != LEFT_WAITING)
        ref_done(who, result);
}

static inline void ref_bring_message(struct box *box)
{
    int letter;

    if (!box->is_wanted || box->letters.count == 0)
        return;
    letter = ref_take(&box->letters, 0);
    box->is_wanted = false;
    box->is_full = true;
    box->value = ref.letters[letter].value;
    if (box->is_for_requests) {
        box->answering = letter;
        return;
    }
    box->count--;
    if (box->waiting.count == 0)
        return;
    letter = ref_take(&box->waiting, 0);
    ref_push(&box->letters, letter);
    box->count++;
    ref_tell(letter, 0, 0);
}

static inline void ref_run(int who)
{
    struct peer *const peer = &ref.peers[who];
    const bool has_result = peer->operation != NOBODY && peer->is_done;
    bool is_awake = peer->waits == NOTHING;

    peer->is_posted = false;
    if (has_result) {
        peer->operation = NOBODY;
        is_awake = true;
    }
    for (uint32_t i = 0; i < VINE_MAIL_BOXES_MAX; i++)
        if (peer->numbers[i] != NOBODY)
            ref_bring_message(&ref.boxes[peer->numbers[i]]);
    if (peer->waits == A_MESSAGE && ref.boxes[peer->waits_at].is_full) {
        is_awake = true;
        peer->result = 0;
    } else if (!is_awake && peer->due != 0 && peer->due <= ref.now) {
        is_awake = true;
        peer->result = peer->waits == TIME ? 0 : -ETIMEDOUT;
    }
    if (!is_awake)
        return;
    peer->waits = NOTHING;
    peer->due = 0;
    ref_go_on(who);
    if (peer->operation != NOBODY) { /* it has given that up */
        if (peer->letter != NOBODY && ref.letters[peer->letter].box != NOBODY)
            ref_withdraw(peer->letter);
        peer->operation = NOBODY;
    }
    if (peer->has_asked)
        ref_take_ask(who);
    ref_look_at_boxes(peer);
    if (peer->has_ended)
        note(ref.trace, (uint32_t)who, STEP_ENDED, peer->result);
}

/* Nobody has anything to do: the time of the first who waits for one comes. Returns whether there
 * is one. */
static inline bool ref_next(void)
{
    int first = NOBODY;

    for (int who = 0; who < (int)PEERS; who++)
        if (!ref.peers[who].has_ended && ref.peers[who].due != 0 &&
            (first == NOBODY || ref.peers[who].due < ref.peers[first].due))
            first = who;
    if (first == NOBODY)
        return false;
    ref.now = ref.peers[first].due;
    ref_run(first);
    return true;
}

static inline void run_reference(const struct program *program, struct trace *trace)
{
    memset(&ref, 0, sizeof(ref));
    ref.program = program;
    ref.trace = trace;
    memset(ref.addresses, 0xff, sizeof(ref.addresses)); /* NOBODY */
    for (int who = 0; who < (int)PEERS; who++) {
        struct peer *const peer = &ref.peers[who];

        peer->operation = peer->letter = NOBODY;
        memset(peer->slots, 0xff, sizeof(peer->slots));
        memset(peer->numbers, 0xff, sizeof(peer->numbers));
        ref_post(who);
    }
    do {
        while (ref.queued > 0) {
            const int who = ref.queue[0];

            ref.queued--;
            memmove(&ref.queue[0], &ref.queue[1], ref.queued * sizeof ref.queue[0]);
            if (!ref.peers[who].has_ended)
                ref_run(who);
        }
    } while (ref_next());
}

#endif
