/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spsc ring: what it refuses, what a hostile other side achieves, then what it carries. Both
 * ends are in one process here; each step of a two-sided story is taken in one thread, but for the
 * last test, which has two.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vine/error.h>
#include <vine/spsc.h>

#include "core/ring/spsc_inline.h"

#define SLOTS 8

struct pair {
    struct vine_slot slots[SLOTS];
    uint64_t consumed __attribute__((aligned(64)));
    struct vine_spsc_producer producer;
    struct vine_spsc_consumer consumer;
};

static void open_pair(struct pair *pair)
{
    memset(pair, 0, sizeof(*pair));
    assert_int_equal(vine_spsc_producer_init(&pair->producer, pair->slots, SLOTS, &pair->consumed),
                     0);
    assert_int_equal(vine_spsc_consumer_init(&pair->consumer, pair->slots, SLOTS, &pair->consumed),
                     0);
}

static int push_number(struct pair *pair, uint64_t number)
{
    return vine_spsc_push(&pair->producer, &number, sizeof(number));
}

static int pop_number(struct pair *pair, uint64_t *ret_number)
{
    unsigned char bytes[VINE_SPSC_BYTES];
    const int error = vine_spsc_pop(&pair->consumer, bytes);

    if (error == 0)
        memcpy(ret_number, bytes, sizeof(*ret_number));
    return error;
}

static void init_refuses_impossible_counts_and_addresses(void **state)
{
    static const uint32_t bad[] = {0, 1, 3, 6, 1000, VINE_SPSC_SLOTS_MAX * 2, UINT32_MAX};
    struct pair pair;
    (void)state;

    open_pair(&pair);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(
            vine_spsc_producer_init(&pair.producer, pair.slots, bad[i], &pair.consumed), -EINVAL);
        assert_int_equal(
            vine_spsc_consumer_init(&pair.consumer, pair.slots, bad[i], &pair.consumed), -EINVAL);
    }
    assert_int_equal(vine_spsc_producer_init(&pair.producer, NULL, SLOTS, &pair.consumed), -EINVAL);
    assert_int_equal(vine_spsc_producer_init(&pair.producer, pair.slots, SLOTS, NULL), -EINVAL);
    assert_int_equal(vine_spsc_consumer_init(&pair.consumer, NULL, SLOTS, &pair.consumed), -EINVAL);
    assert_int_equal(vine_spsc_consumer_init(&pair.consumer, pair.slots, SLOTS, NULL), -EINVAL);

    const uintptr_t odd = (uintptr_t)pair.slots + 8;
    assert_int_equal(vine_spsc_consumer_init(&pair.consumer, (const struct vine_slot *)odd, SLOTS,
                                             &pair.consumed),
                     -EINVAL);
    assert_int_equal(pair.consumer.slot_count, SLOTS); /* untouched */
}

static void push_to_a_full_ring_returns_eagain(void **state)
{
    struct pair pair;
    uint64_t number = 0;
    (void)state;

    open_pair(&pair);
    for (uint64_t i = 0; i < SLOTS; i++)
        assert_int_equal(push_number(&pair, i), 0);
    const struct vine_slot before = pair.slots[0];
    assert_int_equal(push_number(&pair, 99), -EAGAIN);
    assert_memory_equal(&before, &pair.slots[0], sizeof(before));
    assert_int_equal(vine_spsc_space(&pair.producer), 0);
    assert_int_equal(vine_spsc_used(&pair.producer), SLOTS);

    /* Room comes with a quarter of the ring, not before. */
    assert_int_equal(pop_number(&pair, &number), 0);
    assert_int_equal(push_number(&pair, 99), -EAGAIN);
    assert_int_equal(pop_number(&pair, &number), 0);
    assert_int_equal(number, 1);
    assert_int_equal(vine_spsc_space(&pair.producer), 2);
    assert_int_equal(push_number(&pair, 8), 0);
}

static void publishing_makes_room_at_once(void **state)
{
    struct pair pair;
    uint64_t number = 0;
    (void)state;

    open_pair(&pair);
    for (uint64_t i = 0; i < SLOTS; i++)
        assert_int_equal(push_number(&pair, i), 0);
    assert_int_equal(pop_number(&pair, &number), 0);
    vine_spsc_consumer_publish(&pair.consumer);
    assert_int_equal(push_number(&pair, 8), 0);
    assert_int_equal(push_number(&pair, 9), -EAGAIN);
}

static void pop_from_an_empty_ring_returns_eagain_and_publishes(void **state)
{
    struct pair pair;
    uint64_t number = 7;
    (void)state;

    open_pair(&pair);
    assert_int_equal(pop_number(&pair, &number), -EAGAIN);
    assert_int_equal(number, 7);
    assert_int_equal(push_number(&pair, 1), 0);
    assert_int_equal(pop_number(&pair, &number), 0);
    assert_int_equal(pair.consumed, 0);
    assert_int_equal(pop_number(&pair, &number), -EAGAIN);
    assert_int_equal(pair.consumed, 1);
}

static void a_message_larger_than_a_slot_is_refused(void **state)
{
    struct pair pair;
    unsigned char bytes[VINE_SPSC_BYTES + 1] = {0};
    (void)state;

    open_pair(&pair);
    assert_int_equal(vine_spsc_push(&pair.producer, bytes, sizeof(bytes)), -EINVAL);
    assert_int_equal(vine_spsc_push_burst(&pair.producer, bytes, sizeof(bytes), 1), -EINVAL);
    assert_int_equal(vine_spsc_push_burst(&pair.producer, bytes, 8, (uint32_t)INT_MAX + 1),
                     -EINVAL);
    assert_int_equal(vine_spsc_pop_burst(&pair.consumer, bytes, (uint32_t)INT_MAX + 1), -EINVAL);
    assert_int_equal(vine_spsc_ready(&pair.consumer), 0);
}

static void a_position_that_was_never_pushed_is_corrupt(void **state)
{
    static const uint64_t lies[] = {5, SLOTS, 1000, UINT64_MAX, UINT64_MAX - SLOTS, 1ULL << 63};
    (void)state;

    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct pair pair;
        uint64_t many[SLOTS] = {0};

        open_pair(&pair);
        for (uint64_t n = 0; n < 4; n++)
            assert_int_equal(push_number(&pair, n), 0);
        pair.consumed = lies[i];
        assert_int_equal(vine_spsc_space(&pair.producer), -VINE_ECORRUPT);
        assert_int_equal(vine_spsc_used(&pair.producer), -VINE_ECORRUPT);
        assert_int_equal(vine_spsc_push_burst(&pair.producer, many, 8, SLOTS), -VINE_ECORRUPT);
        /* What the lie was about is not believed later either. */
        pair.consumed = 4;
        assert_int_equal(vine_spsc_space(&pair.producer), SLOTS);
    }
}

static void a_position_that_runs_backwards_is_corrupt(void **state)
{
    struct pair pair;
    (void)state;

    open_pair(&pair);
    for (uint64_t n = 0; n < 6; n++)
        assert_int_equal(push_number(&pair, n), 0);
    pair.consumed = 5;
    assert_int_equal(vine_spsc_space(&pair.producer), 7);
    pair.consumed = 4;
    assert_int_equal(vine_spsc_space(&pair.producer), -VINE_ECORRUPT);
}

static void a_sequence_out_of_turn_is_corrupt(void **state)
{
    static const uint64_t lies[] = {2,          3,          SLOTS,           SLOTS + 1,
                                    UINT64_MAX, 1ULL << 32, (1ULL << 32) + 1};
    (void)state;

    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct pair pair;
        unsigned char bytes[VINE_SPSC_BYTES * 2];

        open_pair(&pair);
        pair.slots[0].sequence = lies[i];
        assert_int_equal(vine_spsc_ready(&pair.consumer), -VINE_ECORRUPT);
        assert_int_equal(vine_spsc_pop(&pair.consumer, bytes), -VINE_ECORRUPT);
        assert_int_equal(vine_spsc_pop_burst(&pair.consumer, bytes, 2), -VINE_ECORRUPT);
        assert_int_equal(pair.consumer.position, 0);
    }
}

static void zero_is_an_empty_slot_in_the_first_lap_only(void **state)
{
    struct pair pair;
    uint64_t number;
    (void)state;

    open_pair(&pair);
    for (uint64_t n = 0; n < SLOTS; n++) {
        assert_int_equal(push_number(&pair, n), 0);
        assert_int_equal(pop_number(&pair, &number), 0);
    }
    assert_int_equal(vine_spsc_ready(&pair.consumer), 0);
    pair.slots[0].sequence = 0;
    assert_int_equal(vine_spsc_ready(&pair.consumer), -VINE_ECORRUPT);
}

static void a_burst_before_a_corrupt_slot_is_returned_first(void **state)
{
    struct pair pair;
    uint64_t messages[3] = {1, 2, 3};
    unsigned char bytes[VINE_SPSC_BYTES * SLOTS];
    (void)state;

    open_pair(&pair);
    assert_int_equal(vine_spsc_push_burst(&pair.producer, messages, 8, 3), 3);
    pair.slots[2].sequence = 77;
    assert_int_equal(vine_spsc_pop_burst(&pair.consumer, bytes, SLOTS), 2);
    assert_int_equal(vine_spsc_pop_burst(&pair.consumer, bytes, SLOTS), -VINE_ECORRUPT);
}

static void what_we_wrote_ourselves_is_never_read_back(void **state)
{
    struct pair pair;
    uint64_t number = 0;
    (void)state;

    /* The producer's own slots and the consumer's own position turn to rubbish: each side's own
     * answers do not change. */
    open_pair(&pair);
    for (uint64_t n = 0; n < 3; n++)
        assert_int_equal(push_number(&pair, n), 0);
    memset(&pair.slots[3], 0xff, sizeof(pair.slots[3]));
    assert_int_equal(push_number(&pair, 3), 0);
    for (uint64_t n = 0; n < 4; n++) {
        pair.consumed = UINT64_MAX;
        assert_int_equal(pop_number(&pair, &number), 0);
        assert_int_equal(number, n);
    }
}

static void a_burst_takes_what_fits_and_keeps_order(void **state)
{
    struct pair pair;
    uint64_t messages[SLOTS * 2];
    unsigned char bytes[VINE_SPSC_BYTES * SLOTS * 2];
    (void)state;

    open_pair(&pair);
    for (uint64_t n = 0; n < SLOTS * 2; n++)
        messages[n] = 1000 + n;
    assert_int_equal(vine_spsc_push_burst(&pair.producer, messages, 8, 0), 0);
    assert_int_equal(vine_spsc_push_burst(&pair.producer, messages, 8, 5), 5);
    assert_int_equal(vine_spsc_pop_burst(&pair.consumer, bytes, 0), 0);
    assert_int_equal(vine_spsc_pop_burst(&pair.consumer, bytes, 2), 2);
    assert_int_equal(vine_spsc_push_burst(&pair.producer, messages + 5, 8, SLOTS * 2), 5);
    assert_int_equal(vine_spsc_push_burst(&pair.producer, messages, 8, 1), 0);
    assert_int_equal(vine_spsc_pop_burst(&pair.consumer, bytes, SLOTS * 2), SLOTS);
    for (uint64_t n = 0; n < SLOTS; n++) {
        uint64_t number;

        memcpy(&number, bytes + n * VINE_SPSC_BYTES, sizeof(number));
        assert_int_equal(number, 1002 + n);
    }
}

static void a_burst_of_whole_slots_carries_every_byte(void **state)
{
    struct pair pair;
    unsigned char messages[VINE_SPSC_BYTES * SLOTS];
    unsigned char bytes[VINE_SPSC_BYTES * SLOTS];
    (void)state;

    open_pair(&pair);
    for (int lap = 0; lap < 5; lap++) {
        for (size_t n = 0; n < sizeof(messages); n++)
            messages[n] = (unsigned char)(n * 7 + (size_t)lap);
        memset(bytes, 0, sizeof(bytes));
        assert_int_equal(vine_spsc_push_burst(&pair.producer, messages, VINE_SPSC_BYTES, SLOTS),
                         SLOTS);
        assert_int_equal(vine_spsc_pop_burst(&pair.consumer, bytes, SLOTS), SLOTS);
        assert_memory_equal(messages, bytes, sizeof(bytes));
        vine_spsc_consumer_publish(&pair.consumer);
    }
}

static void a_burst_is_seen_whole_or_not_at_all(void **state)
{
    struct pair pair;
    uint64_t messages[4] = {1, 2, 3, 4};
    (void)state;

    /* The first sequence is what opens the burst: taken away, nothing is there. */
    open_pair(&pair);
    assert_int_equal(vine_spsc_push_burst(&pair.producer, messages, 8, 4), 4);
    pair.slots[0].sequence = 0;
    assert_int_equal(vine_spsc_ready(&pair.consumer), 0);
    pair.slots[0].sequence = 1;
    assert_int_equal(vine_spsc_ready(&pair.consumer), 1);
}

static void positions_pass_where_32_and_63_bits_end(void **state)
{
    static const uint64_t starts[] = {UINT32_MAX - 3ULL, (1ULL << 63) - 5, 1ULL << 32, 13};
    (void)state;

    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        struct pair pair;
        uint64_t number = 0;

        open_pair(&pair);
        vine_spsc_consumer_start_at(&pair.consumer, starts[i]);
        vine_spsc_producer_start_at(&pair.producer, starts[i]);
        assert_int_equal(pop_number(&pair, &number), -EAGAIN);
        for (uint64_t n = 0; n < 5 * SLOTS; n++) {
            assert_int_equal(push_number(&pair, n), 0);
            assert_int_equal(push_number(&pair, n + 100), 0);
            assert_int_equal(pop_number(&pair, &number), 0);
            assert_int_equal(number, n);
            assert_int_equal(pop_number(&pair, &number), 0);
            assert_int_equal(number, n + 100);
        }
        assert_int_equal(pop_number(&pair, &number), -EAGAIN);
        assert_int_equal(pair.consumed, starts[i] + 10 * SLOTS);
    }
}

static void the_word_of_a_sleeper_changes_with_every_message(void **state)
{
    static const uint64_t starts[] = {0, UINT32_MAX - 1ULL, UINT32_MAX, 3ULL << 32,
                                      (1ULL << 63) - 5};
    (void)state;

    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        struct pair pair;
        uint64_t number = 0;

        open_pair(&pair);
        vine_spsc_consumer_start_at(&pair.consumer, starts[i]);
        vine_spsc_producer_start_at(&pair.producer, starts[i]);
        for (uint64_t n = 0; n < 3 * SLOTS; n++) {
            const uint32_t *word = vine__spsc_next_word(&pair.consumer);
            const uint32_t old = vine__spsc_old_word(&pair.consumer);

            assert_int_equal(*word, old);
            assert_int_equal(push_number(&pair, n), 0);
            assert_int_not_equal(*word, old);
            assert_int_equal(pop_number(&pair, &number), 0);
        }
    }
}

static void the_smallest_ring_works(void **state)
{
    struct pair pair;
    uint64_t number = 0;
    (void)state;

    open_pair(&pair);
    assert_int_equal(vine_spsc_producer_init(&pair.producer, pair.slots, 2, &pair.consumed), 0);
    assert_int_equal(vine_spsc_consumer_init(&pair.consumer, pair.slots, 2, &pair.consumed), 0);
    for (uint64_t n = 0; n < 20; n += 2) {
        assert_int_equal(push_number(&pair, n), 0);
        assert_int_equal(push_number(&pair, n + 1), 0);
        assert_int_equal(push_number(&pair, 99), -EAGAIN);
        assert_int_equal(pop_number(&pair, &number), 0);
        assert_int_equal(number, n);
        assert_int_equal(pop_number(&pair, &number), 0);
        assert_int_equal(pop_number(&pair, &number), -EAGAIN);
    }
}

#define MESSAGES 200000ULL

static void *produce(void *context)
{
    struct pair *pair = (struct pair *)context;
    uint64_t burst[SLOTS][7];
    uint64_t next = 0;
    uint32_t seed = 1;

    while (next < MESSAGES) {
        seed = seed * 1103515245 + 12345;

        uint64_t count = 1 + (seed >> 16) % SLOTS;

        if (count > MESSAGES - next)
            count = MESSAGES - next;
        for (uint64_t n = 0; n < count; n++)
            for (uint64_t word = 0; word < 7; word++)
                burst[n][word] = (next + n) * 7 + word;

        const int pushed =
            vine_spsc_push_burst(&pair->producer, burst, sizeof(burst[0]), (uint32_t)count);

        if (pushed < 0)
            return pair;
        next += (uint64_t)pushed;
        if (pushed == 0)
            (void)sched_yield();
    }
    return NULL;
}

static void two_threads_exchange_every_message_once_and_in_order(void **state)
{
    struct pair *pair = aligned_alloc(64, sizeof(*pair));
    pthread_t thread;
    void *failed;
    uint64_t next = 0;
    (void)state;

    assert_non_null(pair);
    open_pair(pair);
    assert_int_equal(pthread_create(&thread, NULL, produce, pair), 0);
    while (next < MESSAGES) {
        uint64_t messages[3][7];
        const int popped = vine_spsc_pop_burst(&pair->consumer, messages, (uint32_t)(1 + next % 3));

        assert_true(popped >= 0);
        if (popped == 0)
            (void)sched_yield();
        for (int n = 0; n < popped; n++, next++)
            for (uint64_t word = 0; word < 7; word++)
                assert_int_equal(messages[n][word], next * 7 + word);
    }
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    free(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_refuses_impossible_counts_and_addresses),
        cmocka_unit_test(push_to_a_full_ring_returns_eagain),
        cmocka_unit_test(publishing_makes_room_at_once),
        cmocka_unit_test(pop_from_an_empty_ring_returns_eagain_and_publishes),
        cmocka_unit_test(a_message_larger_than_a_slot_is_refused),
        cmocka_unit_test(a_position_that_was_never_pushed_is_corrupt),
        cmocka_unit_test(a_position_that_runs_backwards_is_corrupt),
        cmocka_unit_test(a_sequence_out_of_turn_is_corrupt),
        cmocka_unit_test(zero_is_an_empty_slot_in_the_first_lap_only),
        cmocka_unit_test(a_burst_before_a_corrupt_slot_is_returned_first),
        cmocka_unit_test(what_we_wrote_ourselves_is_never_read_back),
        cmocka_unit_test(a_burst_takes_what_fits_and_keeps_order),
        cmocka_unit_test(a_burst_of_whole_slots_carries_every_byte),
        cmocka_unit_test(a_burst_is_seen_whole_or_not_at_all),
        cmocka_unit_test(positions_pass_where_32_and_63_bits_end),
        cmocka_unit_test(the_word_of_a_sleeper_changes_with_every_message),
        cmocka_unit_test(the_smallest_ring_works),
        cmocka_unit_test(two_threads_exchange_every_message_once_and_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
