/* SPDX-License-Identifier: Apache-2.0 */
/* test: long=2000 */
/*
 * The mpmc queue under schedules that no processor comes by: all parties are coroutines of one
 * thread, each gives way before every access to what they share, and chance says who goes on, and
 * who stands still for a while in the middle of a call. Nobody has patience. What is shown is that
 * every message arrives once and whole, and that nobody gets stuck; weak memory is the model's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <cmocka.h>

#include <vine/mpmc.h>

#include "utils/atomic.h"

static void give_way(void);

/* The queue's own source, in which each access gives way first. */
#define vine__load_acquire_u64(word)         (give_way(), vine__load_acquire_u64(word))
#define vine__load_relaxed_u64(word)         (give_way(), vine__load_relaxed_u64(word))
#define vine__store_release_u64(word, value) (give_way(), vine__store_release_u64(word, value))
#define vine__store_relaxed_u64(word, value) (give_way(), vine__store_relaxed_u64(word, value))
#define vine__compare_exchange_acq_rel_u64(word, expected, value)                                  \
    (give_way(), vine__compare_exchange_acq_rel_u64(word, expected, value))

#include "core/ring/mpmc.c"

#define PRODUCERS_MAX 3
#define CONSUMERS_MAX 3
#define PARTIES_MAX   (PRODUCERS_MAX + CONSUMERS_MAX)
#define EACH_MAX      16
#define STACK_BYTES   65536
#define STUCK_STEPS   300000 /* without a message, of parties that all go on */

/* The thread sanitizer is told whose stack it sees. Null in other builds. */
__attribute__((weak)) void *__tsan_get_current_fiber(void);
__attribute__((weak)) void *__tsan_create_fiber(unsigned flags);
__attribute__((weak)) void __tsan_destroy_fiber(void *fiber);
__attribute__((weak)) void __tsan_switch_to_fiber(void *fiber, unsigned flags);

struct coroutine {
    ucontext_t context;
    void *fiber;
};

struct party {
    struct coroutine coroutine;
    struct vine_mpmc queue;
    unsigned char stack[STACK_BYTES];
};

static struct {
    struct coroutine scheduler;
    struct party parties[PARTIES_MAX];
    uint32_t current;
    uint32_t producers;
    uint32_t consumers;
    uint32_t each;
    uint32_t taken;
    bool is_running;
    unsigned char seen[PRODUCERS_MAX * EACH_MAX];
    bool is_torn;
    uint64_t random;
} play;

static void go_over(struct coroutine *from, struct coroutine *to)
{
    if (__tsan_switch_to_fiber)
        __tsan_switch_to_fiber(to->fiber, 0);
    (void)swapcontext(&from->context, &to->context);
}

static void give_way(void)
{
    if (play.is_running)
        go_over(&play.parties[play.current].coroutine, &play.scheduler);
}

static uint32_t chance(uint32_t below)
{
    play.random = play.random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(play.random >> 33) % below;
}

static void produce(int self)
{
    for (uint32_t n = 0; n < play.each; n++) {
        uint64_t message[WORDS];

        for (size_t word = 0; word < WORDS; word++)
            message[word] = (uint64_t)self * play.each + n;
        while (vine_mpmc_push(&play.parties[self].queue, message, sizeof(message)) != 0)
            give_way();
    }
    for (;;)
        give_way();
}

static void consume(int self)
{
    for (;;) {
        uint64_t message[WORDS];

        if (vine_mpmc_pop(&play.parties[self].queue, message) != 0) {
            give_way();
            continue;
        }
        for (size_t word = 1; word < WORDS; word++)
            play.is_torn |= message[word] != message[0];
        if (message[0] < sizeof(play.seen))
            play.seen[message[0]]++;
        play.taken++;
    }
}

/* Run one schedule. Returns whether all messages came. */
static bool run(uint64_t seed)
{
    play.random = seed;
    play.taken = 0;
    play.is_running = false;
    memset(play.seen, 0, sizeof(play.seen));

    const uint32_t slots = chance(3) ? 2 : 4;
    const size_t size = vine_mpmc_size(slots);
    void *memory = aligned_alloc(VINE_CACHE_LINE, size);
    struct vine_mpmc queue;

    assert_non_null(memory);
    assert_int_equal(vine_mpmc_format(memory, size, slots), 0);
    assert_int_equal(vine_mpmc_attach(&queue, memory, size), 0);
    vine_mpmc_set_patience(&queue, 0);
    play.producers = 1 + chance(PRODUCERS_MAX);
    play.consumers = 1 + chance(CONSUMERS_MAX);
    play.each = 4 + chance(EACH_MAX - 4);

    const uint32_t parties = play.producers + play.consumers;

    for (uint32_t n = 0; n < parties; n++) {
        struct party *party = &play.parties[n];
        ucontext_t *context = &party->coroutine.context;

        vine_mpmc_clone(&party->queue, &queue);
        if (__tsan_create_fiber)
            party->coroutine.fiber = __tsan_create_fiber(0);
        assert_int_equal(getcontext(context), 0);
        context->uc_stack.ss_sp = party->stack;
        context->uc_stack.ss_size = sizeof(party->stack);
        context->uc_link = NULL;
        makecontext(context, (void (*)(void))(void *)(n < play.producers ? produce : consume), 1,
                    (int)n);
    }

    if (__tsan_get_current_fiber)
        play.scheduler.fiber = __tsan_get_current_fiber();

    uint32_t still = UINT32_MAX; /* who stands still, until when */
    uint64_t until = 0;
    uint64_t last = 0;
    uint32_t taken = 0;

    play.is_running = true;
    for (uint64_t step = 0; taken < play.producers * play.each && step - last < STUCK_STEPS;) {
        if (step >= until) {
            still = chance(3) ? chance(parties) : UINT32_MAX;
            until = step + chance(600);
        }
        step++;
        play.current = chance(parties);
        if (play.current == still)
            continue;
        for (uint32_t n = 1 + chance(chance(4) ? 6 : 60); n > 0; n--, step++)
            go_over(&play.scheduler, &play.parties[play.current].coroutine);
        if (play.taken != taken) {
            taken = play.taken;
            last = step;
        }
    }
    play.is_running = false;
    for (uint32_t n = 0; n < parties && __tsan_destroy_fiber; n++)
        __tsan_destroy_fiber(play.parties[n].coroutine.fiber);
    free(memory);
    return taken == play.producers * play.each;
}

static void every_message_arrives_once_under_any_schedule(void **state)
{
    const char *given = getenv("VINE_TEST_SEED");
    const char *is_long = getenv("VINE_TEST_LONG");
    const uint64_t first = given ? strtoull(given, NULL, 0) : 1;
    (void)state;

    for (uint64_t n = 0; n < (is_long ? 20000u : 1000u); n++) {
        const bool is_whole = run(first + n);

        if (!is_whole || play.is_torn)
            fail_msg("seed %llu: %u of %u messages, torn %d", (unsigned long long)(first + n),
                     play.taken, play.producers * play.each, play.is_torn);
        for (uint32_t message = 0; message < play.producers * play.each; message++)
            assert_int_equal(play.seen[message], 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_arrives_once_under_any_schedule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
