/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Random programs of coroutines, from a seed (VINE_SEED, or this test's own), each run twice: by
 * coroutines that interpret it with the operations that users have, and by a naive interpreter of
 * what these operations promise (coroutine_programs.h), without frames, queues that are
 * linked, or a heap. What happened, in which order and to whom, has to be the same.
 */
#include "../unit/core/state/by_hand.h"

#include <stdlib.h>

#include <vine/future.h>

#include "core/socket/socket.h"
#include "stress/coroutine_programs.h"

/* ---- a program ------------------------------------------------------------------------------- */

static uint64_t seed_state;

static uint32_t roll(uint32_t below)
{
    seed_state ^= seed_state << 13;
    seed_state ^= seed_state >> 7;
    seed_state ^= seed_state << 17;
    return (uint32_t)((seed_state >> 11) % below);
}

static struct step random_step(uint32_t function)
{
    static const uint8_t often[] = {
        STEP_SAY,   STEP_YIELD, STEP_CHILD, STEP_CHILD, STEP_JOIN,      STEP_CALL,     STEP_SEND,
        STEP_RECV,  STEP_WRITE, STEP_READ,  STEP_SLEEP, STEP_PAUSE,     STEP_PLAY,     STEP_SEND,
        STEP_YIELD, STEP_ALLOC, STEP_ALLOC, STEP_FREE,  STEP_SEND_MANY, STEP_RECV_MANY};
    struct step step = {
        .kind = roll(3) < 2 ? often[roll(sizeof often)] : (uint8_t)roll(STEP_KINDS),
        .slot = (uint8_t)roll(SLOTS + 1),
        .number = 1 + roll(40),
    };

    if (step.kind == STEP_WRITE || step.kind == STEP_READ)
        step.number = 1 + roll(2500);
    if (step.kind == STEP_CHILD || step.kind == STEP_CALL || step.kind == STEP_START ||
        step.kind == STEP_RESPONDER) {
        step.slot = (uint8_t)roll(SLOTS);
        if (function + 1 >= FUNCTIONS)
            step.kind = STEP_YIELD;
        else
            step.number = function + 1 + roll(FUNCTIONS - function - 1);
    }
    return step;
}

static void random_part(struct part *part, uint32_t function, uint32_t count_max)
{
    part->count = count_max == STEPS_MAX ? 5 + roll(STEPS_MAX - 4) : roll(count_max + 1);
    for (uint32_t i = 0; i < part->count; i++)
        part->steps[i] = random_step(function);
}

static void random_program(struct program *program)
{
    memset(program, 0, sizeof(*program));
    for (uint32_t i = 0; i < FUNCTIONS; i++) {
        struct function *const function = &program->functions[i];

        function->has_catch = roll(2) == 0;
        function->has_finally = roll(2) == 0;
        random_part(&function->parts[BODY], i, STEPS_MAX);
        for (uint32_t n = 0; i < 2 && n < function->parts[BODY].count && n < 4 - 2 * i; n++)
            function->parts[BODY].steps[n] = (struct step){
                .kind = STEP_CHILD, .slot = (uint8_t)roll(SLOTS), .number = i + 1 + roll(3)};
        random_part(&function->parts[CATCH], i, 3);
        random_part(&function->parts[BEHIND], i, 3);
        random_part(&function->parts[FINALLY], i, 3);
        if (!function->has_catch)
            function->parts[BEHIND].count = 0;
    }
}

/* ---- by coroutines --------------------------------------------------------------------------- */

static const struct program *program;
static struct trace done;
static struct vine_socket *shared; /* a pipe of the first one's */

/* Who is to be born: what its argument points to. */
static struct birth {
    uint32_t id;
    uint32_t function;
    struct vine_coroutine *parent;
} births[BORN_MAX];
static uint32_t birth_count;

static struct birth *give_birth(uint32_t function, struct vine_coroutine *parent)
{
    struct birth *const birth = &births[birth_count];

    *birth = (struct birth){.id = birth_count++, .function = function, .parent = parent};
    return birth;
}

struct self {
    struct birth *birth;
    const struct function *function;
    struct vine_coroutine *slots[SLOTS + 1]; /* the last one: the parent */
    struct vine_coroutine *handle;
    struct birth *child;
    void *memory[SLOTS + 1];
    struct step step;
    uint32_t i, many;
    int value, error;
    ssize_t length;
    char bytes[2500];
};

static const struct vine_coroutine_type *type_of(uint32_t function);

#define NOTE(what, value) note(&done, self->birth->id, (what), (int64_t)(value))

/* One step, within whatever coroutine this is. */
#define STEP()                                                                                     \
    do {                                                                                           \
        switch (self->step.kind) {                                                                 \
        case STEP_SAY:                                                                             \
            NOTE(STEP_SAY, self->step.number);                                                     \
            break;                                                                                 \
        case STEP_YIELD:                                                                           \
            vine_yield();                                                                          \
            break;                                                                                 \
        case STEP_CALL:                                                                            \
            if (birth_count == BORN_MAX)                                                           \
                break;                                                                             \
            self->child = give_birth(self->step.number, that);                                     \
            vine__operation("vine_call",                                                           \
                            vine__call(that, type_of(self->step.number), self->child),             \
                            vine__called(that));                                                   \
            break;                                                                                 \
        case STEP_CHILD:                                                                           \
        case STEP_START:                                                                           \
        case STEP_RESPONDER:                                                                       \
            if (birth_count == BORN_MAX)                                                           \
                break;                                                                             \
            self->child = give_birth(self->step.number, that);                                     \
            vine__do_at("vine_child",                                                              \
                        self->handle =                                                             \
                            vine__child(that, type_of(self->step.number), self->child,             \
                                        self->step.kind == STEP_CHILD   ? VINE__CHILD_JOINED       \
                                        : self->step.kind == STEP_START ? VINE__CHILD_DETACHED     \
                                                                        : VINE__CHILD_RESPONDER)); \
            if (self->step.kind != STEP_START)                                                     \
                self->slots[self->step.slot] = self->handle;                                       \
            break;                                                                                 \
        case STEP_JOIN:                                                                            \
            self->handle = self->step.slot < SLOTS ? self->slots[self->step.slot] : NULL;          \
            if (self->handle == NULL)                                                              \
                break;                                                                             \
            self->slots[self->step.slot] = NULL;                                                   \
            vine_join(self->handle);                                                               \
            break;                                                                                 \
        case STEP_CANCEL:                                                                          \
            if (self->slots[self->step.slot] != NULL)                                              \
                vine_cancel(self->slots[self->step.slot]);                                         \
            break;                                                                                 \
        case STEP_PLAY:                                                                            \
            if (self->slots[self->step.slot] != NULL)                                              \
                vine_play(self->slots[self->step.slot]);                                           \
            break;                                                                                 \
        case STEP_PAUSE:                                                                           \
            vine_pause();                                                                          \
            break;                                                                                 \
        case STEP_RAISE:                                                                           \
            vine_raise(-(int)self->step.number);                                                   \
            break;                                                                                 \
        case STEP_RETURN:                                                                          \
            vine_return();                                                                         \
            break;                                                                                 \
        case STEP_SLEEP:                                                                           \
            vine_sleep(self->step.number);                                                         \
            break;                                                                                 \
        case STEP_DEADLINE:                                                                        \
            vine_deadline(self->step.slot == 0 ? VINE_FOREVER : self->step.number * 3);            \
            break;                                                                                 \
        case STEP_SEND:                                                                            \
            if (self->slots[self->step.slot] != NULL)                                              \
                vine_send(self->slots[self->step.slot], int, (int)self->step.number);              \
            break;                                                                                 \
        case STEP_RECV:                                                                            \
            vine_recv(int, self->value);                                                           \
            NOTE(STEP_RECV, self->value);                                                          \
            break;                                                                                 \
        case STEP_SEND_MANY:                                                                       \
            for (self->many = 0; self->many < MANY; self->many++)                                  \
                if (self->slots[self->step.slot] != NULL)                                          \
                    vine_send(self->slots[self->step.slot], int, (int)self->step.number);          \
            break;                                                                                 \
        case STEP_RECV_MANY:                                                                       \
            for (self->many = 0; self->many < MANY; self->many++) {                                \
                vine_recv(int, self->value);                                                       \
                NOTE(STEP_RECV, self->value);                                                      \
            }                                                                                      \
            break;                                                                                 \
        case STEP_WRITE:                                                                           \
            if (shared->output->writing.first == NULL)                                             \
                vine_write_on(shared, self->bytes, self->step.number);                             \
            break;                                                                                 \
        case STEP_READ:                                                                            \
            if (shared->input->reading.first != NULL)                                              \
                break;                                                                             \
            vine_read_on(shared, self->length, self->bytes, self->step.number);                    \
            NOTE(STEP_READ, self->length);                                                         \
            break;                                                                                 \
        case STEP_CLOSE:                                                                           \
            if (self->step.number == 1 && shared->output->writing.first == NULL)                   \
                vine_close_output_on(shared);                                                      \
            break;                                                                                 \
        case STEP_ALLOC:                                                                           \
            if (self->memory[self->step.slot] != NULL)                                             \
                break;                                                                             \
            vine_alloc(self->memory[self->step.slot], self->step.number * 8);                      \
            if (*(char *)self->memory[self->step.slot] != 0)                                       \
                NOTE(STEP_ALLOC, 1);                                                               \
            memset(self->memory[self->step.slot], 0xA5, self->step.number * 8);                    \
            break;                                                                                 \
        default:                                                                                   \
            vine_free(self->memory[self->step.slot]);                                              \
            self->memory[self->step.slot] = NULL;                                                  \
            break;                                                                                 \
        }                                                                                          \
    } while (0)

#define PART(part)                                                                                 \
    for (self->i = 0; self->i < self->function->parts[part].count; self->i++) {                    \
        self->step = self->function->parts[part].steps[self->i];                                   \
        NOTE(STEP_BEGINS, self->step.kind);                                                        \
        STEP();                                                                                    \
    }

#define BEGIN()                                                                                    \
    do {                                                                                           \
        self->birth = vine_argument();                                                             \
        self->function = &program->functions[self->birth->function];                               \
        self->slots[SLOTS] = self->birth->parent;                                                  \
        if (self->birth->parent == NULL)                                                           \
            vine_pipe(shared);                                                                     \
    } while (0)

/* Where its finally finds them though it has not begun. */
#define SELF_IN_FINALLY()                                                                          \
    do {                                                                                           \
        self->birth = vine_argument();                                                             \
        self->function = &program->functions[self->birth->function];                               \
        self->slots[SLOTS] = self->birth->parent;                                                  \
    } while (0)

/* clang-format off */
#define CATCH_PART()                                                                               \
    vine_catch(self->error)                                                                        \
    {                                                                                              \
        SELF_IN_FINALLY();                                                                         \
        NOTE(STEP_CAUGHT, self->error);                                                            \
        PART(CATCH)                                                                                \
    }                                                                                              \
    PART(BEHIND)

#define FINALLY_PART()                                                                             \
    vine_finally()                                                                                 \
    {                                                                                              \
        SELF_IN_FINALLY();                                                                         \
        NOTE(STEP_FINALLY, 0);                                                                     \
        PART(FINALLY)                                                                              \
    }
/* clang-format on */

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
    CATCH_PART()
    vine_end();
}

VINE_COROUTINE(finishes)
{
    struct self *self;

    vine_begin();
    BEGIN();
    PART(BODY)
    FINALLY_PART()
    vine_end();
}

VINE_COROUTINE(catches_and_finishes)
{
    struct self *self;

    vine_begin();
    BEGIN();
    PART(BODY)
    CATCH_PART()
    FINALLY_PART()
    vine_end();
}

static const struct vine_coroutine_type *type_of(uint32_t function)
{
    static const struct vine_coroutine_type *const types[] = {
        &vine__type_plain, &vine__type_catches, &vine__type_finishes,
        &vine__type_catches_and_finishes};
    const struct function *const of = &program->functions[function];

    return types[(of->has_catch ? 1 : 0) + (of->has_finally ? 2 : 0)];
}

/* Time goes on when nothing is ready; where nobody waits for it, the first one is cancelled. */
static void run_by_coroutines(void)
{
    uint32_t faults;
    uint32_t cancels = 0;

    birth_count = 0;
    done.count = 0;
    faults = begin(type_of(0), give_birth(0, NULL));
    while (!inside->has_ended) {
        if (inside->due_ns != 0) {
            faults += run_at(inside->due_ns);
            continue;
        }
        if (cancels == CANCELS_MAX)
            break;
        note(&done, 0, STEP_CANCELLED, ++cancels);
        by_hand.item_count = 1;
        by_hand.items[0] = (struct vine__item){.kind = VINE__ITEM_CANCEL, .result = -ECANCELED};
        faults += run_on();
    }
    assert_int_equal(faults, 0);
    note(&done, 0, STEP_ENDED, inside->has_ended ? inside->error : 1);
    if (inside->has_ended) {
        end(inside->error);
        return;
    }
    assert_int_equal(vine__heap_validate(&inside->heap, heap->region.size_bytes), 0);
    give_up();
}

/* ---- both ------------------------------------------------------------------------------------ */

static void programs_do_what_the_reference_does(void **state)
{
    static struct program random;
    static struct trace expected;
    const char *const text = getenv("VINE_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 1;
    uint64_t events = 0;

    (void)state;
    program = &random;
    for (int i = 0; i < PROGRAMS; i++, seed++) {
        seed_state = seed * 0x9E3779B97F4A7C15ULL + 1;
        random_program(&random);
        expected.count = 0;
        run_reference(&random, &expected);
        run_by_coroutines();
        events += done.count;
        expect_trace(&expected, &done, "coroutines", seed);
    }
    assert_true(events > PROGRAMS * 50); /* they did something */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs_do_what_the_reference_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
