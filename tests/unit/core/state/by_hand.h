/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Coroutines of one heap, run by hand, with a clock that the test owns: for tests. What they say is
 * in `said`, letter by letter.
 */
#ifndef TESTS_BY_HAND_H
#define TESTS_BY_HAND_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <vine/heap.h>
#include <vine/socket.h>
#include <vine/state.h>

#include "arch/guard/guard.h"
#include "core/heap/heap.h"
#include "core/state/state.h"

static char said[4096];

__attribute__((unused)) static void say(const char *text)
{
    strncat(said, text, sizeof(said) - strlen(said) - 1);
}

__attribute__((unused)) static void say_number(long number)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%ld ", number);
    say(text);
}

static struct vine__heap_pool *pool;
static struct vine__heap *heap;
static struct vine__inside *inside;
static struct vine__record by_hand; /* the dispatch record */

/* In the test itself, as cmocka takes signals for itself before it. */
static void prepare(void)
{
    const struct vine__guard_options guard = {.wanted = VINE__GUARD_NONE};
    const struct vine__heap_pool_options options = {.count_max = 4, .heap_bytes = 1 << 20};
    char why[VINE__GUARD_WHY_BYTES];

    assert_int_equal(vine__guard_choose(&guard, why), 0);
    assert_int_equal(vine__guard_thread_start(), 0);
    assert_int_equal(vine__heap_pool_create(&options, &pool), 0);
    assert_int_equal(vine__heap_take(pool, VINE__HEAP_ANY_COLOUR, &heap), 0);
}

static void run_inside(void *argument)
{
    vine__inside_begin(inside, argument);
    for (uint32_t i = 0; i < by_hand.item_count; i++)
        vine__inside_take(inside, &by_hand.items[i]);
    vine__inside_drain(inside);
}

/* Run until nothing is ready. Returns how many faults there were, each of which was raised in who
 * had it. */
static uint32_t run_on(void)
{
    struct vine__guard_fault fault;
    uint32_t faults = 0;

    while (vine__guard_run(&heap->region, run_inside, &by_hand, &fault) != 0) {
        assert_true(++faults < 100);
        by_hand.item_count = 1;
        by_hand.items[0] = (struct vine__item){.kind = VINE__ITEM_RAISE, .result = -EFAULT};
    }
    by_hand.item_count = 0;
    return faults;
}

/* The same at a later time. */
__attribute__((unused)) static uint32_t run_at(uint64_t now_ns)
{
    by_hand.now_ns = now_ns;
    return run_on();
}

/* Run a coroutine as the first of a heap. */
static uint32_t begin(const struct vine_coroutine_type *type, void *argument)
{
    said[0] = '\0';
    by_hand = (struct vine__record){.quota = 1000000, .now_ns = 1000};
    prepare();
    inside = vine__inside_init(heap, sizeof(struct vine__inside), type, argument);
    assert_non_null(inside);
    return run_on();
}

/* Whatever there is goes. */
static void give_up(void)
{
    vine__heap_give(heap);
    vine__heap_pool_destroy(pool);
    vine__guard_thread_stop();
}

/* It has ended, with this error; everything was given back. */
static void end(int error)
{
    assert_true(inside->has_ended);
    assert_int_equal(inside->error, error);
    assert_int_equal(inside->coroutine_count, 1);
    assert_null(inside->due_first);
    assert_int_equal(vine__heap_validate(&inside->heap, heap->region.size_bytes), 0);
    give_up();
}

/* What is said on standard error meanwhile goes here. */
__attribute__((unused)) static char told[1024];

__attribute__((unused)) static uint32_t begin_listening(const struct vine_coroutine_type *type)
{
    int both[2];
    const int was = dup(STDERR_FILENO);

    assert_true(was >= 0);
    assert_int_equal(pipe(both), 0);
    (void)dup2(both[1], STDERR_FILENO);
    close(both[1]);

    const uint32_t faults = begin(type, NULL);

    (void)dup2(was, STDERR_FILENO);
    close(was);
    memset(told, 0, sizeof told);
    assert_true(read(both[0], told, sizeof(told) - 1) >= 0);
    close(both[0]);
    return faults;
}

#endif
