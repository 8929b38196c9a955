/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Random programs of micro-processes, from a seed (VINE_SEED, or this test's own), each run twice:
 * by micro-processes of one core that open mailboxes, send, offer, ask, take, answer, give up,
 * fail, fault and end with the operations that users have, and by a naive interpreter of what is
 * promised of mail (mail_programs.h), which has neither heaps nor records. What happened, in which
 * order and to whom, has to be the same: what was delivered, who waited for room and was let in
 * when, and who was told that his peer is gone.
 */
#include "../unit/core/process/process_tests.h"

#include <stdlib.h>

#include <vine/mail.h>

#include "stress/mail_programs.h"

#define DUE_NS (UINT64_C(100) * 1000 * 1000)

/* ---- a program ------------------------------------------------------------------------------- */

static uint64_t seed_state;

static uint32_t roll(uint32_t below)
{
    seed_state ^= seed_state << 13;
    seed_state ^= seed_state >> 7;
    seed_state ^= seed_state << 17;
    return (uint32_t)((seed_state >> 11) % below);
}

static struct step random_step(void)
{
    static const uint8_t often[] = {STEP_OPEN,      STEP_OPEN_REQUESTS, STEP_SEND,   STEP_SEND,
                                    STEP_SEND_MANY, STEP_SEND_MANY,     STEP_OFFER,  STEP_REQUEST,
                                    STEP_REQUEST,   STEP_REQUEST,       STEP_RECV,   STEP_RECV,
                                    STEP_RECV_MANY, STEP_LISTEN,        STEP_ANSWER, STEP_LISTEN,
                                    STEP_ANSWER,    STEP_SLEEP,         STEP_SLEEP};
    const bool is_often = roll(6) > 0;

    return (struct step){
        .kind = is_often ? often[roll(sizeof often)] : (uint8_t)roll(STEP_KINDS),
        .slot = (uint8_t)roll(SLOTS),
        .peer = (uint8_t)roll(PEERS),
        .is_apart = roll(4) > 0,
        .wait = roll(3) > 0 ? (uint8_t)(1 + roll(9)) : 0,
        .number = 1 + roll(40),
    };
}

/* Where such a mailbox is with most. */
static uint8_t usual_slot(const struct step *step)
{
    return step->kind == STEP_REQUEST || step->kind == STEP_LISTEN || step->kind == STEP_ANSWER ||
           step->kind == STEP_OPEN_REQUESTS;
}

static void random_part(struct part *part, uint32_t count)
{
    part->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct step *const step = &part->steps[i];

        *step = random_step();
        if (i > 0 && step[-1].kind == STEP_LISTEN && roll(4) > 0)
            step->kind = STEP_ANSWER;
        if (roll(5) > 0)
            step->slot = usual_slot(step);
        if (step->kind == STEP_SLEEP && step->wait == 0)
            step->wait = 1;
    }
}

static void random_program(struct program *program)
{
    memset(program, 0, sizeof(*program));
    for (uint32_t who = 0; who < PEERS; who++) {
        struct script *const script = &program->scripts[who];

        script->has_catch = roll(4) > 0;
        random_part(&script->parts[BODY], 5 + roll(STEPS_MAX - 4));
        random_part(&script->parts[CATCH], roll(4));
        random_part(&script->parts[BEHIND], script->has_catch ? roll(8) : 0);
        /* So that most of them find each other. */
        if (roll(5) > 0) {
            script->parts[BODY].steps[0] = (struct step){.kind = STEP_OPEN};
            script->parts[BODY].steps[1] = (struct step){.kind = STEP_OPEN_REQUESTS, .slot = 1};
            script->parts[BODY].steps[2] = (struct step){.kind = STEP_SLEEP, .wait = 1};
        }
    }
}

/* ---- by micro-processes ---------------------------------------------------------------------- */

static const struct program *program;
static struct trace done;
static struct dues dues;
static struct vine_mail_address addresses[PEERS][SLOTS];

struct said {
    uint32_t value;
    char more[60];
};

struct answer {
    uint32_t value;
    char more[200]; /* larger than what was asked */
};

struct self {
    const struct script *script;
    const struct step *step;
    uint32_t who, i, many;
    struct vine_mailbox *boxes[SLOTS];
    bool is_for_requests[SLOTS], is_answering[SLOTS];
    uint32_t asked[SLOTS];
    struct said said;
    struct answer answer;
    int result, error;
};

/* It is not to begin before the time that the reference has, which counts in dues. */
static uint64_t until_due(uint64_t now_ns, uint32_t wait)
{
    if (wait == 0)
        return VINE_FOREVER;
    return due_after(&dues, (uint32_t)(now_ns / DUE_NS), wait) * DUE_NS - now_ns;
}

VINE_SERVICE_CODE __attribute__((noinline, no_sanitize("address", "undefined"))) static void
do_fault(void)
{
    *(volatile int *)0xbad0 = 1;
}

#define NOTE(self, what, value) note(&done, (self)->who, (what), (int64_t)(value))

/* Whoever of two coroutines does it: `its` is what the first one has. */
#define POST(its)                                                                                  \
    do {                                                                                           \
        (its)->said.value = (its)->who * 1000 + (its)->step->number + (its)->many;                 \
        vine_deadline(until_due(vine_now(), (its)->step->wait));                                   \
        (its)->result = 0;                                                                         \
        if ((its)->step->kind == STEP_REQUEST) {                                                   \
            vine_mail_request(addresses[(its)->step->peer][(its)->step->slot], struct said,        \
                              (its)->said, struct answer, (its)->answer);                          \
            (its)->result = (int)(its)->answer.value;                                              \
        } else if ((its)->step->kind == STEP_OFFER || (its)->step->kind == STEP_OFFER_MANY) {      \
            vine_mail_offer((its)->result, addresses[(its)->step->peer][(its)->step->slot],        \
                            struct said, (its)->said);                                             \
        } else {                                                                                   \
            vine_mail_send(addresses[(its)->step->peer][(its)->step->slot], struct said,           \
                           (its)->said);                                                           \
        }                                                                                          \
        NOTE(its, (its)->step->kind, (its)->result);                                               \
    } while (0)

VINE_COROUTINE(posts)
{
    struct {
        struct self *its;
        int error;
    } *self;

    vine_begin();
    self->its = vine_argument();
    POST(self->its);
    vine_catch(self->error)
    {
        NOTE(self->its, STEP_FAILED, self->error);
    }
    vine_end();
}

#define POSTS(count)                                                                               \
    for (self->many = 0; self->many < (count); self->many++) {                                     \
        if (self->step->is_apart) {                                                                \
            vine_deadline(VINE_FOREVER);                                                           \
            vine_call(posts, self);                                                                \
        } else {                                                                                   \
            POST(self);                                                                            \
        }                                                                                          \
    }

#define TAKES(count)                                                                               \
    for (self->many = 0; self->many < (count) && self->boxes[self->step->slot] != NULL &&          \
                         !self->is_for_requests[self->step->slot];                                 \
         self->many++) {                                                                           \
        vine_deadline(until_due(vine_now(), self->step->wait));                                    \
        vine_mail_recv(self->boxes[self->step->slot], struct said, self->said);                    \
        NOTE(self, self->step->kind, self->said.value);                                            \
    }

/* One step of the coroutine whose mailboxes they are. */
#define STEP()                                                                                     \
    do {                                                                                           \
        switch (self->step->kind) {                                                                \
        case STEP_OPEN:                                                                            \
        case STEP_OPEN_REQUESTS:                                                                   \
            if (self->boxes[self->step->slot] != NULL)                                             \
                break;                                                                             \
            vine_deadline(VINE_FOREVER);                                                           \
            if (self->step->kind == STEP_OPEN)                                                     \
                vine_mail_open(self->boxes[self->step->slot], struct said);                        \
            else                                                                                   \
                vine_mail_open_requests(self->boxes[self->step->slot], struct said,                \
                                        struct answer);                                            \
            self->is_for_requests[self->step->slot] = self->step->kind == STEP_OPEN_REQUESTS;      \
            addresses[self->who][self->step->slot] =                                               \
                vine_mail_address(self->boxes[self->step->slot]);                                  \
            NOTE(self, self->step->kind, 0);                                                       \
            break;                                                                                 \
        case STEP_CLOSE:                                                                           \
            if (self->boxes[self->step->slot] != NULL)                                             \
                vine_mail_close(self->boxes[self->step->slot]);                                    \
            self->boxes[self->step->slot] = NULL;                                                  \
            self->is_answering[self->step->slot] = false;                                          \
            break;                                                                                 \
        case STEP_SEND:                                                                            \
        case STEP_OFFER:                                                                           \
        case STEP_REQUEST:                                                                         \
            POSTS(1)                                                                               \
            break;                                                                                 \
        case STEP_SEND_MANY:                                                                       \
        case STEP_OFFER_MANY:                                                                      \
            POSTS(MANY)                                                                            \
            break;                                                                                 \
        case STEP_RECV:                                                                            \
            TAKES(1)                                                                               \
            break;                                                                                 \
        case STEP_RECV_MANY:                                                                       \
            TAKES(MANY)                                                                            \
            break;                                                                                 \
        case STEP_LISTEN:                                                                          \
            if (self->boxes[self->step->slot] == NULL ||                                           \
                !self->is_for_requests[self->step->slot] || self->is_answering[self->step->slot])  \
                break;                                                                             \
            vine_deadline(until_due(vine_now(), self->step->wait));                                \
            vine_mail_listen(self->boxes[self->step->slot], struct said, self->said);              \
            self->is_answering[self->step->slot] = true;                                           \
            self->asked[self->step->slot] = self->said.value;                                      \
            NOTE(self, STEP_LISTEN, self->said.value);                                             \
            break;                                                                                 \
        case STEP_ANSWER:                                                                          \
            if (!self->is_answering[self->step->slot])                                             \
                break;                                                                             \
            self->is_answering[self->step->slot] = false;                                          \
            vine_deadline(VINE_FOREVER);                                                           \
            self->answer.value = self->asked[self->step->slot] + 1;                                \
            if (self->step->number % 5 == 0)                                                       \
                vine_mail_refuse(self->boxes[self->step->slot], -(int)self->step->number);         \
            else                                                                                   \
                vine_mail_respond(self->boxes[self->step->slot], struct answer, self->answer);     \
            NOTE(self, STEP_ANSWER, 0);                                                            \
            break;                                                                                 \
        case STEP_SLEEP:                                                                           \
            vine_deadline(VINE_FOREVER);                                                           \
            vine_sleep(until_due(vine_now(), self->step->wait));                                   \
            break;                                                                                 \
        case STEP_RAISE:                                                                           \
            vine_raise(-(int)self->step->number);                                                  \
            break;                                                                                 \
        case STEP_FAULT:                                                                           \
            do_fault();                                                                            \
            break;                                                                                 \
        default:                                                                                   \
            vine_return();                                                                         \
            break;                                                                                 \
        }                                                                                          \
    } while (0)

#define PART(kind)                                                                                 \
    for (self->i = 0; self->i < self->script->parts[kind].count; self->i++) {                      \
        self->step = &self->script->parts[kind].steps[self->i];                                    \
        STEP();                                                                                    \
    }

#define BEGIN()                                                                                    \
    do {                                                                                           \
        self->who = *(const uint32_t *)vine_argument();                                            \
        self->script = &program->scripts[self->who];                                               \
    } while (0)

VINE_COROUTINE(plain)
{
    struct self *self;

    vine_begin();
    BEGIN();
    PART(BODY)
    vine_end();
}

VINE_COROUTINE(catches)
{
    struct self *self;

    vine_begin();
    BEGIN();
    PART(BODY)
    vine_catch(self->error)
    {
        NOTE(self, STEP_CAUGHT, self->error);
        PART(CATCH)
    }
    PART(BEHIND)
    vine_end();
}

static struct one ones[PEERS];

static void see_end_of(void *context, const struct vine__process_end *end)
{
    struct one *const one = context;

    see_end(one, end);
    note(&done, (uint32_t)(one - ones), STEP_ENDED, end->error);
}

static void start(uint32_t who)
{
    static uint32_t numbers[PEERS];
    const struct vine__process_options options = {
        .type = program->scripts[who].has_catch ? &vine__type_catches : &vine__type_plain,
        .argument = &numbers[who],
        .ended = see_end_of,
        .gone = see_going,
        .context = &ones[who]};

    numbers[who] = who;
    ones[who] = (struct one){.fd = -1};
    assert_int_equal(vine__process_start(NULL, &options), 0);
}

static void settle(void)
{
    while (stepped_step(&stepped, 0))
        continue;
}

/* Time goes on when nobody has anything to do, until nobody waits for a time that comes. */
static void run_by_processes(void)
{
    uint32_t compared;

    open_processes();
    done.count = 0;
    dues = (struct dues){.last = 0};
    memset(addresses, 0, sizeof(addresses));
    for (uint32_t who = 0; who < PEERS; who++)
        start(who);
    settle();
    while (stepped.clock_ns < (uint64_t)(dues.last + 1) * DUE_NS) {
        stepped.clock_ns += DUE_NS / 10;
        settle();
    }
    compared = done.count;
    vine_stop(0); /* those that wait for each other are cancelled, which is not compared */
    advance(8 * VINE_NS_PER_SECOND);
    for (uint32_t who = 0; who < PEERS; who++)
        assert_int_equal(ones[who].goings, 1);
    close_cores();
    done.count = compared;
}

/* ---- both ------------------------------------------------------------------------------------ */

static uint64_t said[STEP_ENDED + 1]; /* how often what came about, */
static uint64_t failed[EDQUOT + 1];   /* and with which errors */

static void look_at_all(const struct trace *trace)
{
    for (uint32_t n = 0; n < trace->count; n++) {
        const struct event *const event = &trace->events[n];

        said[event->what]++;
        if (event->value < 0 && event->value >= -EDQUOT)
            failed[-event->value]++;
    }
}

static void compare(uint32_t count)
{
    static struct program random;
    static struct trace expected;
    const char *const text = getenv("VINE_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 1;
    uint64_t events = 0;

    program = &random;
    for (uint32_t i = 0; i < count; i++, seed++) {
        seed_state = seed * 0x9E3779B97F4A7C15ULL + 1;
        random_program(&random);
        expected.count = 0;
        run_reference(&random, &expected);
        run_by_processes();
        events += done.count;
        look_at_all(&done);
        expect_trace(&expected, &done, "micro-processes", seed);
    }
    assert_true(events > count * 20ULL); /* they did something */
}

static void programs_do_what_the_reference_does(void **state)
{
    static const int errors[] = {EPIPE,   EPROTOTYPE, EAGAIN,
                                 EDEADLK, ETIMEDOUT,  EFAULT}; /* and what is refused with */
    static const uint8_t kinds[] = {
        STEP_OPEN,       STEP_OPEN_REQUESTS, STEP_SEND,   STEP_SEND_MANY, STEP_OFFER,
        STEP_OFFER_MANY, STEP_REQUEST,       STEP_RECV,   STEP_RECV_MANY, STEP_LISTEN,
        STEP_ANSWER,     STEP_CAUGHT,        STEP_FAILED, STEP_ENDED};

    (void)state;
    compare(500);
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        assert_true(failed[errors[i]] >= 10);
    for (size_t i = 0; i < sizeof(kinds); i++)
        assert_true(said[kinds[i]] >= 10);
}

static void closed_heaps_do_the_same(void **state)
{
    (void)state;
    guard_kind = VINE__GUARD_MPROTECT;
    compare(50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs_do_what_the_reference_does),
        cmocka_unit_test(closed_heaps_do_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
