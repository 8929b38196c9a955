/* SPDX-License-Identifier: Apache-2.0 */
/* needs: runtime */
/*
 * What coroutines of one micro-process cost, within one run: a switch between two that yield, a
 * call and its return, a child and its join, a message and its answer. Beside them a call through a
 * pointer, which is the least that a scheduler does for each turn, and a pair of swapcontext, which
 * is what a coroutine with a stack of its own costs with libc. They play in turns.
 *
 *   bench_coroutine [ROUNDS]    21 without
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#include <vine/coroutine.h>

#include "arch/guard/guard.h"
#include "core/heap/heap.h"
#include "core/state/state.h"

#define ROUNDS_MAX   99
#define COUNT        200000U
#define SWITCH_NS    5.0 /* the bar */
#define SWITCH_WHAT  "what a turn has to do: two jumps that go by memory, and a queue"
#define CONTEXT_TURN 64U /* fewer of these, as they are slow: two system calls each */

/* ---- coroutines ------------------------------------------------------------------------------ */

VINE_COROUTINE(yields)
{
    struct {
        uint32_t i;
    } *self;

    vine_begin();
    for (self->i = 0; self->i < COUNT / 2; self->i++)
        vine_yield();
    vine_end();
}

VINE_COROUTINE(switches)
{
    struct {
        struct vine_coroutine *a, *b;
    } *self;

    vine_begin();
    vine_child(yields, NULL, self->a);
    vine_child(yields, NULL, self->b);
    vine_join(self->a);
    vine_join(self->b);
    vine_end();
}

VINE_COROUTINE(does_nothing)
{
    struct {
        uint32_t i;
    } *self;

    vine_begin();
    self->i++;
    vine_end();
}

VINE_COROUTINE(calls)
{
    struct {
        uint32_t i;
    } *self;

    vine_begin();
    for (self->i = 0; self->i < COUNT; self->i++)
        vine_call(does_nothing, NULL);
    vine_end();
}

VINE_COROUTINE(joins)
{
    struct {
        uint32_t i;
        struct vine_coroutine *child;
    } *self;

    vine_begin();
    for (self->i = 0; self->i < COUNT; self->i++) {
        vine_child(does_nothing, NULL, self->child);
        vine_join(self->child);
    }
    vine_end();
}

VINE_COROUTINE(answers)
{
    struct {
        uint32_t number;
    } *self;

    vine_begin();
    for (;;) {
        vine_listen(uint32_t, self->number);
        vine_respond(uint32_t, self->number + 1);
    }
    vine_end();
}

VINE_COROUTINE(asks)
{
    struct {
        uint32_t i;
        struct vine_coroutine *child;
    } *self;

    vine_begin();
    vine_responder(answers, NULL, self->child);
    while (self->i < COUNT)
        vine_request(self->child, uint32_t, self->i, uint32_t, self->i);
    vine_end();
}

/* ---- what is played -------------------------------------------------------------------------- */

static struct vine__heap_pool *pool;
static struct vine__inside *inside;

static void drain(void *argument)
{
    vine__inside_begin(inside, argument);
    vine__inside_drain(inside);
}

static void play_coroutines(const struct vine_coroutine_type *type)
{
    static const struct vine__record record = {.quota = UINT32_MAX};
    struct vine__guard_fault fault;
    struct vine__heap *heap;

    bench_check(vine__heap_take(pool, VINE__HEAP_ANY_COLOUR, &heap), "a heap");
    inside = vine__inside_init(heap, sizeof(struct vine__inside), type, NULL);
    bench_require(inside != NULL, "a first coroutine");
    bench_check(vine__guard_run(&heap->region, drain, (void *)(uintptr_t)&record, &fault), "run");
    bench_require(inside->has_ended && inside->error == 0, "an end");
    vine__heap_give(heap);
}

static void play_switches(void)
{
    play_coroutines(&vine__type_switches);
}

static void play_calls(void)
{
    play_coroutines(&vine__type_calls);
}

static void play_joins(void)
{
    play_coroutines(&vine__type_joins);
}

static void play_asks(void)
{
    play_coroutines(&vine__type_asks);
}

static volatile uint32_t touched;

static void touch(void)
{
    touched = touched + 1;
}

static void (*volatile through)(void) = touch;

static void play_pointer(void)
{
    for (uint32_t n = 0; n < COUNT; n++)
        through();
}

static ucontext_t here, there;

static void swap_back(void)
{
    for (;;)
        (void)swapcontext(&there, &here);
}

static void play_contexts(void)
{
    static char stack[64 * 1024];

    (void)getcontext(&there);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = sizeof(stack);
    makecontext(&there, swap_back, 0);
    for (uint32_t n = 0; n < COUNT / CONTEXT_TURN / 2; n++)
        (void)swapcontext(&here, &there);
}

/* ---- the contests ---------------------------------------------------------------------------- */

static struct contest {
    const char *name;
    void (*play)(void);
    uint32_t count;
    double bar_ns; /* or 0 */
    double ns[ROUNDS_MAX];
} contests[] = {
    {"a call through a pointer", play_pointer, COUNT, 0, {0}},
    {"a switch", play_switches, COUNT, SWITCH_NS, {0}},
    {"a call and its return", play_calls, COUNT, 0, {0}},
    {"a child and its join", play_joins, COUNT, 0, {0}},
    {"a request and its answer", play_asks, COUNT, 0, {0}},
    {"a swapcontext", play_contexts, COUNT / CONTEXT_TURN, 0, {0}},
};

#define CONTESTS (sizeof contests / sizeof contests[0])

static double play(const struct contest *contest)
{
    const uint64_t begin_ns = bench_now_ns();

    contest->play();
    return (double)(bench_now_ns() - begin_ns) / contest->count;
}

static void print(struct contest *contest, uint32_t rounds)
{
    struct bench_row row = {.limit = SWITCH_WHAT};
    double ratios[ROUNDS_MAX];
    double ns;

    for (uint32_t round = 0; round < rounds; round++)
        ratios[round] = contest->ns[round] / contests[0].ns[round];
    ns = bench_median(contest->ns, rounds);
    (void)snprintf(row.what, sizeof(row.what), "%s", contest->name);
    (void)snprintf(row.measured, sizeof(row.measured), "%.1f ns", ns);
    if (contest != &contests[0]) {
        (void)snprintf(row.ratio, sizeof(row.ratio), "%.1f", bench_median(ratios, rounds));
        (void)snprintf(row.beside, sizeof(row.beside), "%s", contests[0].name);
    }
    if (contest->bar_ns > 0) {
        (void)snprintf(row.bar, sizeof(row.bar), "at most %.0f ns", contest->bar_ns);
        row.is_met = ns <= contest->bar_ns;
    }
    bench_table_row(&row);
}

int main(int argument_count, char **arguments)
{
    const char *asked = argument_count > 1 ? arguments[1] : getenv("VINE_BENCH_ROUNDS");
    const long rounds_asked = asked != NULL ? strtol(asked, NULL, 10) : 21;
    const uint32_t rounds = (uint32_t)rounds_asked;
    const struct vine__guard_options guard = {.wanted = VINE__GUARD_NONE};
    const struct vine__heap_pool_options heaps = {.count_max = 2};
    char why[VINE__GUARD_WHY_BYTES];
    char note[128];

    bench_require(rounds_asked >= 1 && rounds_asked <= ROUNDS_MAX, "rounds");
    bench_pin(1);
    bench_check(vine__guard_choose(&guard, why), "a guard");
    bench_check(vine__guard_thread_start(), "a thread's stacks");
    bench_check(vine__heap_pool_create(&heaps, &pool), "a pool");
    for (uint32_t round = 0; round <= rounds; round++)
        for (size_t n = 0; n < CONTESTS; n++)
            contests[n].ns[round > 0 ? round - 1 : 0] = play(&contests[n]);
    (void)snprintf(note, sizeof(note), "Within one micro-process, one run. Medians of %u rounds.",
                   rounds);
    bench_table_begin("Coroutines", note);
    for (size_t n = 1; n < CONTESTS; n++)
        print(&contests[n], rounds);
    print(&contests[0], rounds);
    bench_table_end();
    vine__heap_pool_destroy(pool);
    vine__guard_thread_stop();
    return 0;
}
