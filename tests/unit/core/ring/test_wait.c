/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sleeping and waking: refusals, the sleeper's line step by step, then two threads that sleep for
 * every message. No test waits for a time to pass but those of time-outs, which are short and may
 * be exceeded freely. Where a lost wake-up would show, the backstop is an hour.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <vine/error.h>
#include <vine/wait.h>

#include "arch/wake/eventfd.h"
#include "utils/atomic.h"

#define SLOTS 4
#define HOUR  (3600 * VINE_NS_PER_SECOND)

struct ring {
    struct vine_slot slots[SLOTS];
    struct vine_sleep_line consumer_line;
    struct vine_sleep_line producer_line;
    uint64_t consumed __attribute__((aligned(64)));
    struct vine_spsc_producer producer;
    struct vine_spsc_consumer consumer;
    struct vine_waiter consumer_waiter;
    struct vine_waiter producer_waiter;
    struct vine_waker consumer_waker; /* the consumer's, of the producer */
    struct vine_waker producer_waker; /* the producer's, of the consumer */
};

static struct ring *open_ring(enum vine_wait_mode mode, uint64_t spin_ns, uint64_t backstop_ns)
{
    struct ring *ring = aligned_alloc(64, sizeof(*ring));
    const struct vine_wait_options options = {
        .size_bytes = sizeof(options),
        .mode = mode,
        .spin_ns = spin_ns,
        .backstop_ns = backstop_ns,
    };

    assert_non_null(ring);
    memset(ring, 0, sizeof(*ring));
    assert_int_equal(vine_spsc_producer_init(&ring->producer, ring->slots, SLOTS, &ring->consumed),
                     0);
    assert_int_equal(vine_spsc_consumer_init(&ring->consumer, ring->slots, SLOTS, &ring->consumed),
                     0);
    assert_int_equal(vine_waiter_init(&ring->consumer_waiter, &ring->consumer_line, &options), 0);
    assert_int_equal(vine_waiter_init(&ring->producer_waiter, &ring->producer_line, &options), 0);
    assert_int_equal(vine_waker_init(&ring->producer_waker, &ring->consumer_line, mode), 0);
    assert_int_equal(vine_waker_init(&ring->consumer_waker, &ring->producer_line, mode), 0);
    return ring;
}

static void push(struct ring *ring, uint64_t number)
{
    assert_int_equal(vine_spsc_push(&ring->producer, &number, sizeof(number)), 0);
    vine_wake_consumer(&ring->producer_waker, &ring->producer);
}

static void pop(struct ring *ring, uint64_t number)
{
    uint64_t words[7];

    assert_int_equal(vine_spsc_pop(&ring->consumer, words), 0);
    assert_int_equal(words[0], number);
    vine_wake_producer(&ring->consumer_waker, &ring->consumer);
}

static void handles_refuse_bad_lines_modes_and_options(void **state)
{
    struct ring *ring = open_ring(VINE_WAIT_SLEEPY, 1, HOUR);
    struct vine_wait_options options = {.size_bytes = sizeof(options) - 8};
    const uintptr_t odd = (uintptr_t)&ring->consumer_line + 8;
    (void)state;

    assert_int_equal(vine_waiter_init(&ring->consumer_waiter, NULL, NULL), -EINVAL);
    assert_int_equal(vine_waiter_init(&ring->consumer_waiter, (struct vine_sleep_line *)odd, NULL),
                     -EINVAL);
    assert_int_equal(vine_waiter_init(&ring->consumer_waiter, &ring->consumer_line, &options),
                     -EINVAL);
    options.size_bytes = sizeof(options);
    options.mode = (enum vine_wait_mode)77;
    assert_int_equal(vine_waiter_init(&ring->consumer_waiter, &ring->consumer_line, &options),
                     -EINVAL);
    assert_int_equal(vine_waker_init(&ring->consumer_waker, NULL, VINE_WAIT_SLEEPY), -EINVAL);
    assert_int_equal(vine_wait_mode_choose(VINE_WAIT_SLEEPY), VINE_WAIT_SLEEPY);
    free(ring);
}

static void a_wait_for_nothing_times_out(void **state)
{
    struct ring *ring = open_ring(VINE_WAIT_SLEEPY, 0, HOUR);
    struct vine_wait_statistics statistics;
    (void)state;

    assert_int_equal(vine_wait_message(&ring->consumer_waiter, &ring->consumer, 0), -ETIMEDOUT);
    vine_waiter_statistics(&ring->consumer_waiter, &statistics);
    assert_int_equal(statistics.waits, 0);
    assert_int_equal(vine_wait_message(&ring->consumer_waiter, &ring->consumer, 1000), -ETIMEDOUT);
    /* One that was put aside while it spun has no time left to sleep; not each time. */
    for (uint64_t waits = 2; statistics.sleeps == 0; waits++) {
        assert_int_equal(vine_wait_message(&ring->consumer_waiter, &ring->consumer, 200000),
                         -ETIMEDOUT);
        vine_waiter_statistics(&ring->consumer_waiter, &statistics);
        assert_int_equal(statistics.waits, waits);
    }
    assert_int_equal(ring->consumer_line.awaited, 0);
    free(ring);
}

/* Else it would spin for an hour. A spin ends as well when others want the processor, so that one
 * try would not tell. */
static void a_long_spin_keeps_to_the_time_out(void **state)
{
    (void)state;

    for (int n = 0; n < 100; n++) {
        struct ring *ring = open_ring(VINE_WAIT_SLEEPY, HOUR, HOUR);

        assert_int_equal(vine_wait_message(&ring->consumer_waiter, &ring->consumer, 100000),
                         -ETIMEDOUT);
        free(ring);
    }
}

static int tell_dead(void *context)
{
    unsigned *calls = (unsigned *)context;

    return ++*calls < 3 ? 0 : -VINE_EPEERLOST;
}

static void the_backstop_asks_whether_the_peer_is_alive(void **state)
{
    struct ring *ring = open_ring(VINE_WAIT_SLEEPY, 1, 1000);
    unsigned calls = 0;
    const struct vine_wait_options options = {
        .size_bytes = sizeof(options),
        .spin_ns = 1,
        .backstop_ns = 1000,
        .alive = tell_dead,
        .alive_context = &calls,
    };
    struct vine_wait_statistics statistics;
    (void)state;

    assert_int_equal(vine_waiter_init(&ring->consumer_waiter, &ring->consumer_line, &options), 0);
    assert_int_equal(vine_wait_message(&ring->consumer_waiter, &ring->consumer, VINE_FOREVER),
                     -VINE_EPEERLOST);
    assert_int_equal(calls, 3);
    vine_waiter_statistics(&ring->consumer_waiter, &statistics);
    assert_int_equal(statistics.backstops, 3);
    assert_int_equal(ring->consumer_line.awaited, 0);
    free(ring);
}

static void a_corrupt_ring_ends_a_wait(void **state)
{
    struct ring *ring = open_ring(VINE_WAIT_SLEEPY, 1, HOUR);
    (void)state;

    ring->slots[0].sequence = 9;
    assert_int_equal(vine_wait_message(&ring->consumer_waiter, &ring->consumer, VINE_FOREVER),
                     -VINE_ECORRUPT);
    ring->slots[0].sequence = 0;
    for (uint64_t n = 0; n < SLOTS; n++)
        push(ring, n);
    ring->consumed = 99;
    assert_int_equal(vine_wait_space(&ring->producer_waiter, &ring->producer, VINE_FOREVER),
                     -VINE_ECORRUPT);
    free(ring);
}

static void only_what_a_sleeper_awaits_wakes_it_and_only_once(void **state)
{
    struct ring *ring = open_ring(VINE_WAIT_SLEEPY, 1, HOUR);
    (void)state;

    push(ring, 0);
    assert_int_equal(ring->producer_waker.wakes, 0);

    /* Awaits the message after the next: not yet. */
    ring->consumer_line.awaited = 3;
    push(ring, 1);
    assert_int_equal(ring->producer_waker.wakes, 0);
    push(ring, 2);
    assert_int_equal(ring->producer_waker.wakes, 1);
    push(ring, 3);
    assert_int_equal(ring->producer_waker.wakes, 1);

    /* A producer sleeps for the position after 0; a quarter of four slots is one. */
    ring->producer_line.awaited = 1;
    pop(ring, 0);
    assert_int_equal(ring->consumer_waker.wakes, 1);
    pop(ring, 1);
    assert_int_equal(ring->consumer_waker.wakes, 1);
    free(ring);
}

static void a_line_full_of_lies_costs_wakes_and_nothing_else(void **state)
{
    static const uint64_t lies[] = {1, UINT64_MAX, 1ULL << 63, (1ULL << 63) + 1, 0x12345};
    struct ring *ring = open_ring(VINE_WAIT_SLEEPY, 1, HOUR);
    (void)state;

    for (uint64_t n = 0; n < 100; n++) {
        ring->consumer_line.awaited = lies[n % 5];
        push(ring, n);
        ring->producer_line.awaited = lies[(n + 2) % 5];
        pop(ring, n);
    }
    assert_true(ring->producer_waker.wakes <= 100);
    free(ring);
}

static void count_call(void *context)
{
    ++*(unsigned *)context;
}

static void an_armed_consumer_is_called_once(void **state)
{
    struct ring *ring = open_ring(VINE_WAIT_SLEEPY, 1, HOUR);
    unsigned calls = 0;
    (void)state;

    vine_waker_use_call(&ring->producer_waker, count_call, &calls);
    assert_int_equal(vine_wait_arm_message(&ring->consumer_waiter, &ring->consumer), 0);
    assert_int_equal(calls, 0);
    push(ring, 0);
    push(ring, 1);
    assert_int_equal(calls, 1);
    vine_wait_disarm(&ring->consumer_waiter);
    assert_int_equal(vine_wait_arm_message(&ring->consumer_waiter, &ring->consumer), -EALREADY);
    assert_int_equal(ring->consumer_line.awaited, 0);
    pop(ring, 0);
    pop(ring, 1);
    assert_int_equal(vine_wait_arm_message(&ring->consumer_waiter, &ring->consumer), 0);
    push(ring, 2);
    assert_int_equal(calls, 2);
    free(ring);
}

static void an_armed_producer_gets_its_eventfd(void **state)
{
    struct ring *ring = open_ring(VINE_WAIT_SLEEPY, 1, HOUR);
    uint64_t count = 0;
    int fd = -1;
    (void)state;

    assert_int_equal(vine__eventfd_create(&fd), 0);
    vine_waker_use_eventfd(&ring->consumer_waker, fd);
    assert_int_equal(vine_wait_arm_space(&ring->producer_waiter, &ring->producer), -EALREADY);
    for (uint64_t n = 0; n < SLOTS; n++)
        push(ring, n);
    assert_int_equal(vine_wait_arm_space(&ring->producer_waiter, &ring->producer), 0);
    assert_int_equal(vine__eventfd_drain(fd, &count), -EAGAIN);
    pop(ring, 0);
    assert_int_equal(vine__eventfd_drain(fd, &count), 0);
    assert_int_equal(count, 1);
    vine_wait_disarm(&ring->producer_waiter);
    assert_int_equal(vine_wait_space(&ring->producer_waiter, &ring->producer, 0), 0);
    assert_int_equal(close(fd), 0);
    free(ring);
}

static void an_idle_waiter_learns_not_to_spin_and_a_busy_one_to_spin_again(void **state)
{
    struct ring *ring = open_ring(VINE_WAIT_SLEEPY, 20000, HOUR);
    struct vine_waiter *waiter = &ring->consumer_waiter;
    struct vine_wait_statistics statistics;
    (void)state;

    /* Five are enough, but for those that were put aside while they spun. */
    do {
        assert_int_equal(vine_wait_message(waiter, &ring->consumer, 200000), -ETIMEDOUT);
        vine_waiter_statistics(waiter, &statistics);
    } while (statistics.spin_ns > 1100);
    assert_true(statistics.spin_ns >= 900);
    /* Spins that pay raise nothing; sleeps shorter than the longest spin do. How long a sleep takes
     * is the machine's business, so that only the bounds are certain. */
    for (int n = 0; n < 8; n++) {
        (void)!vine_wait_message(waiter, &ring->consumer, 1500);
        vine_waiter_statistics(waiter, &statistics);
        assert_in_range(statistics.spin_ns, 900, 20100);
    }
    free(ring);
}

/* ---- two threads ----------------------------------------------------------------------------- */

#define ROUNDS 3000ULL

/* Both threads sleep for nearly everything: a ring of four slots, and no spin. */
static void *produce(void *context)
{
    struct ring *ring = (struct ring *)context;
    uint64_t next = 0;

    while (next < ROUNDS) {
        const uint64_t numbers[3] = {next, next + 1, next + 2};
        const uint64_t left = ROUNDS - next;
        const int pushed =
            vine_spsc_push_burst(&ring->producer, numbers, sizeof(numbers[0]),
                                 (uint32_t)(left < 1 + next % 3 ? left : 1 + next % 3));

        if (pushed < 0)
            return ring;
        if (pushed > 0)
            vine_wake_consumer(&ring->producer_waker, &ring->producer);
        else if (vine_wait_space(&ring->producer_waiter, &ring->producer, VINE_FOREVER) != 0)
            return ring;
        next += (uint64_t)pushed;
    }
    return NULL;
}

static void exchange(enum vine_wait_mode mode, uint64_t spin_ns)
{
    struct ring *ring = open_ring(mode, spin_ns, HOUR);
    pthread_t thread;
    void *failed;
    uint64_t next = 0;

    assert_int_equal(pthread_create(&thread, NULL, produce, ring), 0);
    while (next < ROUNDS) {
        uint64_t words[7];
        const int error = vine_spsc_pop(&ring->consumer, words);

        vine_wake_producer(&ring->consumer_waker, &ring->consumer);
        if (error == 0) {
            assert_int_equal(words[0], next);
            next++;
            continue;
        }
        assert_int_equal(error, -EAGAIN);
        assert_int_equal(vine_wait_message(&ring->consumer_waiter, &ring->consumer, VINE_FOREVER),
                         0);
    }
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    assert_int_equal(ring->consumer_waiter.backstops, 0);
    free(ring);
}

static void no_wake_up_is_lost_in_sleepy_mode(void **state)
{
    (void)state;
    exchange(VINE_WAIT_SLEEPY, 1);
    exchange(VINE_WAIT_SLEEPY, 0);
}

static void no_wake_up_is_lost_in_stream_mode(void **state)
{
    (void)state;
    if (vine_wait_mode_choose(VINE_WAIT_STREAM) != VINE_WAIT_STREAM) {
        print_message("skipped: this kernel has no membarrier\n");
        skip();
    }
    exchange(VINE_WAIT_STREAM, 1);
    exchange(VINE_WAIT_STREAM, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handles_refuse_bad_lines_modes_and_options),
        cmocka_unit_test(a_wait_for_nothing_times_out),
        cmocka_unit_test(a_long_spin_keeps_to_the_time_out),
        cmocka_unit_test(the_backstop_asks_whether_the_peer_is_alive),
        cmocka_unit_test(a_corrupt_ring_ends_a_wait),
        cmocka_unit_test(only_what_a_sleeper_awaits_wakes_it_and_only_once),
        cmocka_unit_test(a_line_full_of_lies_costs_wakes_and_nothing_else),
        cmocka_unit_test(an_armed_consumer_is_called_once),
        cmocka_unit_test(an_armed_producer_gets_its_eventfd),
        cmocka_unit_test(an_idle_waiter_learns_not_to_spin_and_a_busy_one_to_spin_again),
        cmocka_unit_test(no_wake_up_is_lost_in_sleepy_mode),
        cmocka_unit_test(no_wake_up_is_lost_in_stream_mode),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
