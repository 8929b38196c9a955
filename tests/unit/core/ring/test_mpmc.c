/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mpmc queue: what it refuses, what a stalled party leaves to the others, then what it carries.
 * A producer stalls here by moving the tail and doing nothing more, which is what a death between
 * two instructions looks like to the rest.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <vine/error.h>
#include <vine/mpmc.h>

#include "arch/clock/clock.h"
#include "core/ring/mpmc_layout.h"
#include "utils/atomic.h"

#define SLOTS 4

struct fixture {
    void *memory;
    size_t size;
    struct vine_mpmc queue;
};

static void open_queue(struct fixture *fixture, uint32_t slot_count)
{
    fixture->size = vine_mpmc_size(slot_count);
    fixture->memory = aligned_alloc(64, fixture->size);
    assert_non_null(fixture->memory);
    assert_int_equal(vine_mpmc_format(fixture->memory, fixture->size, slot_count), 0);
    assert_int_equal(vine_mpmc_attach(&fixture->queue, fixture->memory, fixture->size), 0);
    vine_mpmc_set_patience(&fixture->queue, 0);
}

static void close_queue(struct fixture *fixture)
{
    free(fixture->memory);
}

static int push_number(struct vine_mpmc *queue, uint64_t number)
{
    return vine_mpmc_push(queue, &number, sizeof(number));
}

static int pop_number(struct vine_mpmc *queue, uint64_t *ret_number)
{
    unsigned char bytes[VINE_MPMC_BYTES];
    const int error = vine_mpmc_pop(queue, bytes);

    if (error == 0)
        memcpy(ret_number, bytes, sizeof(*ret_number));
    return error;
}

static void expect(struct vine_mpmc *queue, uint64_t number)
{
    uint64_t found = UINT64_MAX;

    assert_int_equal(pop_number(queue, &found), 0);
    assert_int_equal(found, number);
}

static void format_and_attach_refuse_what_cannot_be(void **state)
{
    static const uint32_t bad[] = {0, 1, 3, 12, VINE_MPMC_SLOTS_MAX * 2, UINT32_MAX};
    struct fixture fixture;
    struct vine_mpmc other;
    (void)state;

    open_queue(&fixture, SLOTS);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(vine_mpmc_size(bad[i]), 0);
        assert_int_equal(vine_mpmc_format(fixture.memory, fixture.size, bad[i]), -EINVAL);
    }
    assert_int_equal(vine_mpmc_format(NULL, fixture.size, SLOTS), -EINVAL);
    assert_int_equal(vine_mpmc_format((char *)fixture.memory + 8, fixture.size, 2), -EINVAL);
    assert_int_equal(vine_mpmc_format(fixture.memory, fixture.size - 1, SLOTS), -EINVAL);
    assert_int_equal(vine_mpmc_attach(&other, NULL, fixture.size), -EINVAL);
    assert_int_equal(vine_mpmc_attach(&other, fixture.memory, 64), -VINE_ETRUNCATED);
    assert_int_equal(vine_mpmc_attach(&other, fixture.memory, fixture.size - 1), -VINE_ETRUNCATED);
    ((struct vine_mpmc_control *)fixture.memory)->slot_bytes = 128;
    assert_int_equal(vine_mpmc_attach(&other, fixture.memory, fixture.size), -VINE_EMAGIC);
    ((struct vine_mpmc_control *)fixture.memory)->slot_bytes = 64;
    assert_int_equal(vine_mpmc_attach(&other, fixture.memory, fixture.size), 0);
    ((struct vine_mpmc_control *)fixture.memory)->slot_count = 5;
    assert_int_equal(vine_mpmc_attach(&other, fixture.memory, fixture.size), -VINE_EMAGIC);
    memset(fixture.memory, 0, fixture.size);
    assert_int_equal(vine_mpmc_attach(&other, fixture.memory, fixture.size), -VINE_EMAGIC);
    close_queue(&fixture);
}

static void a_full_queue_and_an_empty_one_return_eagain(void **state)
{
    struct fixture fixture;
    uint64_t number = 7;
    (void)state;

    open_queue(&fixture, SLOTS);
    for (int lap = 0; lap < 3; lap++) {
        assert_int_equal(pop_number(&fixture.queue, &number), -EAGAIN);
        assert_int_equal(pop_number(&fixture.queue, &number), -EAGAIN);
        for (uint64_t n = 0; n < SLOTS; n++)
            assert_int_equal(push_number(&fixture.queue, n), 0);
        assert_int_equal(push_number(&fixture.queue, 99), -EAGAIN);
        assert_int_equal(push_number(&fixture.queue, 99), -EAGAIN);
        assert_int_equal(vine_mpmc_used(&fixture.queue), SLOTS);
        for (uint64_t n = 0; n < SLOTS; n++)
            expect(&fixture.queue, n);
    }
    assert_int_equal(fixture.queue.stepped_over, 0);
    close_queue(&fixture);
}

static void a_message_larger_than_a_slot_is_refused(void **state)
{
    struct fixture fixture;
    unsigned char bytes[VINE_MPMC_BYTES + 1] = {0};
    (void)state;

    open_queue(&fixture, SLOTS);
    assert_int_equal(vine_mpmc_push(&fixture.queue, bytes, sizeof(bytes)), -EINVAL);
    assert_int_equal(vine_mpmc_push_burst(&fixture.queue, bytes, sizeof(bytes), 1), -EINVAL);
    assert_int_equal(vine_mpmc_push_burst(&fixture.queue, bytes, 1, UINT32_MAX), -EINVAL);
    assert_int_equal(vine_mpmc_pop_burst(&fixture.queue, bytes, UINT32_MAX), -EINVAL);
    close_queue(&fixture);
}

static void stamps_that_nobody_writes_do_not_hang_a_call(void **state)
{
    static const uint64_t stamps[] = {3, UINT64_MAX, 1ULL << 40, 0xfffffffffffffffcULL};
    (void)state;

    for (size_t i = 0; i < sizeof(stamps) / sizeof(stamps[0]); i++) {
        struct fixture fixture;
        uint64_t number;

        open_queue(&fixture, SLOTS);
        for (int n = 0; n < SLOTS; n++)
            fixture.queue.slots[n].stamp = stamps[i];
        (void)!push_number(&fixture.queue, 1);
        (void)!pop_number(&fixture.queue, &number);
        (void)!vine_mpmc_used(&fixture.queue);
        close_queue(&fixture);
    }
}

static void cursors_that_nobody_moved_there_do_not_hang_a_call(void **state)
{
    static const uint64_t cursors[] = {1, SLOTS, SLOTS + 1, 1ULL << 40, UINT64_MAX};
    (void)state;

    for (size_t i = 0; i < sizeof(cursors) / sizeof(cursors[0]); i++) {
        for (size_t j = 0; j < sizeof(cursors) / sizeof(cursors[0]); j++) {
            struct fixture fixture;
            uint64_t number;

            open_queue(&fixture, SLOTS);
            fixture.queue.control->tail.value = cursors[i];
            fixture.queue.control->head.value = cursors[j];
            (void)!push_number(&fixture.queue, 1);
            (void)!pop_number(&fixture.queue, &number);
            close_queue(&fixture);
        }
    }
}

/* A producer takes the tail's position and stops. Returns the position. */
static uint64_t stall_a_producer(struct vine_mpmc *queue)
{
    return queue->control->tail.value++;
}

static void patience_decides_when_a_stalled_producer_is_stepped_over(void **state)
{
    struct fixture fixture;
    uint64_t number = 0;
    (void)state;

    open_queue(&fixture, SLOTS);
    vine_mpmc_set_patience(&fixture.queue, 3600 * VINE_NS_PER_SECOND);
    (void)stall_a_producer(&fixture.queue);
    assert_int_equal(push_number(&fixture.queue, 1), 0);
    for (int look = 0; look < 1000; look++)
        assert_int_equal(pop_number(&fixture.queue, &number), -EAGAIN);
    vine_mpmc_set_patience(&fixture.queue, 0);
    expect(&fixture.queue, 1);
    assert_int_equal(fixture.queue.stepped_over, 1);
    close_queue(&fixture);
}

/* A time to pass: longer than `fixture`'s patience. */
static void outlast(struct fixture *fixture)
{
    const uint64_t start = vine__clock_ticks();

    while (vine__clock_ticks() - start <= fixture->queue.patience_ticks) {
    }
}

static void patience_does_not_begin_before_the_position_is_taken(void **state)
{
    struct fixture fixture;
    uint64_t number = 0;
    (void)state;

    open_queue(&fixture, SLOTS);
    vine_mpmc_set_patience(&fixture.queue, 1000);
    assert_int_equal(pop_number(&fixture.queue, &number), -EAGAIN);
    outlast(&fixture);
    (void)stall_a_producer(&fixture.queue);
    assert_int_equal(push_number(&fixture.queue, 1), 0);
    assert_int_equal(pop_number(&fixture.queue, &number), -EAGAIN);
    assert_int_equal(fixture.queue.stepped_over, 0);
    outlast(&fixture);
    expect(&fixture.queue, 1);
    close_queue(&fixture);
}

static void a_dead_producer_blocks_its_own_slot_and_no_other(void **state)
{
    struct fixture fixture;
    uint64_t number;
    (void)state;

    open_queue(&fixture, SLOTS);
    (void)stall_a_producer(&fixture.queue);
    /* Many laps with the three slots that are left. */
    for (uint64_t n = 0; n < 10 * SLOTS; n++) {
        assert_int_equal(push_number(&fixture.queue, 2 * n), 0);
        assert_int_equal(push_number(&fixture.queue, 2 * n + 1), 0);
        expect(&fixture.queue, 2 * n);
        expect(&fixture.queue, 2 * n + 1);
        assert_int_equal(pop_number(&fixture.queue, &number), -EAGAIN);
    }
    close_queue(&fixture);
}

/* What a consumer leaves that dies behind the step by which it takes a message: the head lags. One
 * that dies before it leaves nothing. */
static void a_dead_consumer_takes_no_more_than_the_message_that_it_has(void **state)
{
    struct fixture fixture;
    struct vine_mpmc other;
    (void)state;

    open_queue(&fixture, SLOTS);
    for (uint64_t n = 0; n < 10 * SLOTS; n++) {
        const uint64_t head = fixture.queue.control->head.value;

        vine_mpmc_clone(&other, &fixture.queue);
        assert_int_equal(push_number(&fixture.queue, 2 * n), 0);
        assert_int_equal(push_number(&fixture.queue, 2 * n + 1), 0);
        expect(&other, 2 * n);
        fixture.queue.control->head.value = head;
        expect(&fixture.queue, 2 * n + 1);
    }
    assert_int_equal(fixture.queue.stepped_over, 0);
    close_queue(&fixture);
}

static void a_head_that_goes_back_loses_and_repeats_nothing(void **state)
{
    struct fixture fixture;
    struct vine_mpmc other;
    uint64_t number = 0;
    (void)state;

    open_queue(&fixture, SLOTS);
    for (uint64_t n = 0; n < 100 * SLOTS; n++) {
        assert_int_equal(push_number(&fixture.queue, n), 0);
        expect(&fixture.queue, n);
    }
    for (uint64_t n = 0; n < SLOTS; n++) {
        assert_int_equal(push_number(&fixture.queue, n), 0);
        fixture.queue.control->head.value = n; /* a consumer's store that took its time */
        vine_mpmc_clone(&other, &fixture.queue);
        if (n % 2 == 0)
            expect(&fixture.queue, n);
        else
            expect(&other, n);
    }
    fixture.queue.control->head.value = 1;
    vine_mpmc_clone(&other, &fixture.queue);
    assert_int_equal(pop_number(&other, &number), -EAGAIN);
    assert_int_equal(vine_mpmc_used(&fixture.queue), 0);
    for (uint64_t n = 0; n < SLOTS; n++)
        assert_int_equal(push_number(&fixture.queue, n), 0);
    assert_int_equal(push_number(&fixture.queue, 99), -EAGAIN);
    close_queue(&fixture);
}

static void all_slots_but_one_may_be_lost_and_the_last_still_serves(void **state)
{
    struct fixture fixture;
    (void)state;

    open_queue(&fixture, SLOTS);
    for (int n = 0; n < SLOTS - 1; n++)
        (void)stall_a_producer(&fixture.queue);
    for (uint64_t n = 0; n < 5 * SLOTS; n++) {
        assert_int_equal(push_number(&fixture.queue, n), 0);
        expect(&fixture.queue, n);
    }
    close_queue(&fixture);
}

/* A producer that stalls inside vine_mpmc_push is played by a thread that is held by its message:
 * there is no hook in the code, so that the return is done by hand, as `finish` does it. */
static void a_producer_that_comes_back_gives_its_slot_back(void **state)
{
    struct fixture fixture;
    uint64_t number = 0;
    (void)state;

    open_queue(&fixture, SLOTS);

    const uint64_t position = stall_a_producer(&fixture.queue);

    for (uint64_t n = 0; n < 2 * SLOTS; n++) {
        assert_int_equal(push_number(&fixture.queue, n), 0);
        expect(&fixture.queue, n);
    }

    struct vine_mpmc_slot *slot = &fixture.queue.slots[position % SLOTS];
    const uint64_t stuck = slot->stamp;

    assert_int_equal(stuck & 3, VINE__MPMC_STUCK);
    assert_int_equal((stuck >> 2) % SLOTS, position % SLOTS);
    slot->stamp = ((stuck >> 2) + SLOTS) << 2 | VINE__MPMC_FREE;
    fixture.queue.stepped_over = 0;
    for (uint64_t n = 0; n < SLOTS; n++)
        assert_int_equal(push_number(&fixture.queue, n), 0);
    assert_int_equal(push_number(&fixture.queue, 99), -EAGAIN);
    for (uint64_t n = 0; n < SLOTS; n++)
        expect(&fixture.queue, n);
    assert_int_equal(pop_number(&fixture.queue, &number), -EAGAIN);
    close_queue(&fixture);
}

/* The others go round twice while a producer is away; then its slot is two laps ahead of what is
 * next to it. */
static void who_gives_a_slot_back_late_hides_no_message_of_others(void **state)
{
    struct fixture fixture;
    uint64_t number = 0;
    (void)state;

    open_queue(&fixture, 2);
    (void)stall_a_producer(&fixture.queue);
    assert_int_equal(pop_number(&fixture.queue, &number), -EAGAIN);
    for (uint64_t n = 1; n <= 3; n += 2) {
        assert_int_equal(push_number(&fixture.queue, n), 0);
        assert_int_equal(push_number(&fixture.queue, 99), -EAGAIN); /* steps over the slot */
        if (n == 1)
            expect(&fixture.queue, n);
    }
    assert_int_equal(fixture.queue.slots[0].stamp, 4 << 2 | VINE__MPMC_STUCK);
    fixture.queue.slots[0].stamp = 6 << 2 | VINE__MPMC_FREE;
    expect(&fixture.queue, 3);
    for (uint64_t n = 0; n < 10; n++) {
        assert_int_equal(push_number(&fixture.queue, n), 0);
        expect(&fixture.queue, n);
    }
    close_queue(&fixture);
}

static void a_queue_whose_slots_are_all_lost_is_full(void **state)
{
    struct fixture fixture;
    uint64_t number = 0;
    (void)state;

    open_queue(&fixture, SLOTS);
    for (int n = 0; n < SLOTS; n++)
        (void)stall_a_producer(&fixture.queue);
    for (int n = 0; n < 3; n++) {
        assert_int_equal(pop_number(&fixture.queue, &number), -EAGAIN);
        assert_int_equal(push_number(&fixture.queue, 1), -EAGAIN);
    }
    close_queue(&fixture);
}

/* A producer made position SLOTS void and died before it moved the tail there. */
static void a_tail_that_lags_behind_makes_nothing_void(void **state)
{
    struct fixture fixture;
    uint64_t number = 0;
    (void)state;

    open_queue(&fixture, SLOTS);
    (void)stall_a_producer(&fixture.queue);
    for (uint64_t n = 1; n < SLOTS; n++) {
        assert_int_equal(push_number(&fixture.queue, n), 0);
        expect(&fixture.queue, n);
    }
    fixture.queue.slots[0].stamp = (2 * SLOTS) << 2 | VINE__MPMC_FREE;
    fixture.queue.stepped_over = 0;
    for (int n = 0; n < 10; n++)
        assert_int_equal(pop_number(&fixture.queue, &number), -EAGAIN);
    assert_int_equal(fixture.queue.stepped_over, 0);
    assert_int_equal(vine_mpmc_used(&fixture.queue), 0);
    for (uint64_t n = 0; n < SLOTS - 1; n++)
        assert_int_equal(push_number(&fixture.queue, n), 0);
    for (uint64_t n = 0; n < SLOTS - 1; n++)
        expect(&fixture.queue, n);
    close_queue(&fixture);
}

static void bursts_take_what_fits(void **state)
{
    struct fixture fixture;
    uint64_t numbers[SLOTS * 2];
    unsigned char bytes[VINE_MPMC_BYTES * SLOTS * 2];
    (void)state;

    open_queue(&fixture, SLOTS);
    for (uint64_t n = 0; n < SLOTS * 2; n++)
        numbers[n] = n;
    assert_int_equal(vine_mpmc_push_burst(&fixture.queue, numbers, 8, SLOTS * 2), SLOTS);
    assert_int_equal(vine_mpmc_push_burst(&fixture.queue, numbers, 8, 1), 0);
    assert_int_equal(vine_mpmc_pop_burst(&fixture.queue, bytes, SLOTS * 2), SLOTS);
    for (uint64_t n = 0; n < SLOTS; n++) {
        uint64_t number;

        memcpy(&number, bytes + n * VINE_MPMC_BYTES, sizeof(number));
        assert_int_equal(number, n);
    }
    assert_int_equal(vine_mpmc_pop_burst(&fixture.queue, bytes, 1), 0);
    close_queue(&fixture);
}

static void a_sleeper_made_for_another_kind_is_refused(void **state)
{
    struct fixture fixture;
    struct vine_sleep_line line = {.awaited = 0};
    struct vine_waiter waiter;
    const struct vine_wait_options stream = {
        .size_bytes = sizeof(stream),
        .mode = VINE_WAIT_STREAM,
    };
    (void)state;

    open_queue(&fixture, SLOTS);
    assert_int_equal(vine_waiter_init(&waiter, &line, NULL), 0);
    assert_int_equal(vine_mpmc_wait_message(&fixture.queue, &waiter, 0), -EINVAL);
    assert_int_equal(vine_mpmc_waiter_init(&waiter, &stream), -EINVAL);
    assert_int_equal(vine_mpmc_waiter_init(&waiter, NULL), 0);
    assert_int_equal(vine_mpmc_wait_message(&fixture.queue, &waiter, 0), -ETIMEDOUT);
    assert_int_equal(vine_mpmc_wait_space(&fixture.queue, &waiter, 0), 0);
    close_queue(&fixture);
}

static void who_sleeps_behind_a_stalled_producer_gets_the_next_message(void **state)
{
    struct fixture fixture;
    struct vine_waiter waiter;
    const struct vine_wait_options options = {
        .size_bytes = sizeof(options),
        .spin_ns = 1,
        .backstop_ns = 3600 * VINE_NS_PER_SECOND,
    };
    uint64_t number = 0;
    int error;
    (void)state;

    open_queue(&fixture, SLOTS);
    vine_mpmc_set_patience(&fixture.queue, 1000);
    assert_int_equal(vine_mpmc_waiter_init(&waiter, &options), 0);
    (void)stall_a_producer(&fixture.queue);
    assert_int_equal(push_number(&fixture.queue, 5), 0);
    while ((error = pop_number(&fixture.queue, &number)) == -EAGAIN)
        assert_int_equal(vine_mpmc_wait_message(&fixture.queue, &waiter, VINE_FOREVER), 0);
    assert_int_equal(error, 0);
    assert_int_equal(number, 5);
    close_queue(&fixture);
}

/* ---- threads --------------------------------------------------------------------------------- */

#define SLEEPERS 2

struct sleeper {
    struct vine_mpmc queue;
    pthread_t thread;
    bool is_producer;
    int error;
};

static void *sleep_for_one(void *context)
{
    struct sleeper *sleeper = (struct sleeper *)context;
    const struct vine_wait_options options = {
        .size_bytes = sizeof(options),
        .spin_ns = 1,
        .backstop_ns = 3600 * VINE_NS_PER_SECOND,
    };
    struct vine_waiter waiter;

    sleeper->error = vine_mpmc_waiter_init(&waiter, &options);
    if (sleeper->error == 0 && sleeper->is_producer)
        sleeper->error = vine_mpmc_wait_space(&sleeper->queue, &waiter, VINE_FOREVER);
    else if (sleeper->error == 0)
        sleeper->error = vine_mpmc_wait_message(&sleeper->queue, &waiter, VINE_FOREVER);
    return NULL;
}

static void start_sleepers(struct sleeper *sleepers, struct fixture *fixture, bool are_producers)
{
    const struct vine_mpmc_sleepers *counted =
        are_producers ? &fixture->queue.control->for_space : &fixture->queue.control->for_message;

    for (int n = 0; n < SLEEPERS; n++) {
        sleepers[n].is_producer = are_producers;
        vine_mpmc_clone(&sleepers[n].queue, &fixture->queue);
        assert_int_equal(pthread_create(&sleepers[n].thread, NULL, sleep_for_one, &sleepers[n]), 0);
    }
    /* Who is counted has taken its last look or will find what comes; most are asleep by now. */
    while (vine__load_acquire_u32(&counted->count) < SLEEPERS)
        sched_yield();
    for (int n = 0; n < 1000; n++)
        sched_yield();
}

static void expect_all_awake(struct sleeper *sleepers)
{
    struct timespec guard;

    assert_int_equal(clock_gettime(CLOCK_REALTIME, &guard), 0);
    guard.tv_sec += 60;
    for (int n = 0; n < SLEEPERS; n++) {
        assert_int_equal(pthread_timedjoin_np(sleepers[n].thread, NULL, &guard), 0);
        assert_int_equal(sleepers[n].error, 0);
    }
}

/* Two messages, and one call for both: as when the first one's producer was late, so that whoever
 * was woken for the second one found nothing that could be taken. */
static void a_wake_up_reaches_as_many_as_there_are_messages(void **state)
{
    struct sleeper sleepers[SLEEPERS];
    struct fixture fixture;
    (void)state;

    open_queue(&fixture, SLOTS);
    start_sleepers(sleepers, &fixture, false);
    for (uint64_t n = 0; n < SLEEPERS; n++)
        assert_int_equal(push_number(&fixture.queue, n), 0);
    vine_mpmc_wake_consumers(&fixture.queue, 1);
    expect_all_awake(sleepers);
    close_queue(&fixture);
}

static void a_wake_up_reaches_as_many_as_there_is_room_for(void **state)
{
    struct sleeper sleepers[SLEEPERS];
    struct fixture fixture;
    (void)state;

    open_queue(&fixture, SLOTS);
    for (uint64_t n = 0; n < SLOTS; n++)
        assert_int_equal(push_number(&fixture.queue, n), 0);
    start_sleepers(sleepers, &fixture, true);
    for (uint64_t n = 0; n < SLEEPERS; n++)
        expect(&fixture.queue, n);
    vine_mpmc_wake_producers(&fixture.queue, 1);
    expect_all_awake(sleepers);
    close_queue(&fixture);
}

#define PRODUCERS 3
#define CONSUMERS 3
#define EACH      20000ULL

struct crowd {
    struct vine_mpmc queue;
    uint64_t seen[PRODUCERS][EACH];
    uint64_t taken;
    uint64_t failures;
    uint64_t next_producer;
    uint64_t patience_ns;
};

static void *produce(void *context)
{
    struct crowd *crowd = (struct crowd *)context;
    const uint64_t self = vine__fetch_add_acq_rel_u64(&crowd->next_producer, 1);
    struct vine_mpmc queue;
    struct vine_waiter waiter;

    vine_mpmc_clone(&queue, &crowd->queue);
    if (vine_mpmc_waiter_init(&waiter, NULL) != 0)
        return crowd;
    for (uint64_t n = 0; n < EACH; n++) {
        const uint64_t message[7] = {self, n, n * 3, n * 5, n * 7, n * 11, n * 13};

        while (vine_mpmc_push(&queue, message, sizeof(message)) != 0)
            (void)!vine_mpmc_wait_space(&queue, &waiter, VINE_NS_PER_SECOND);
        vine_mpmc_wake_consumers(&queue, 1);
    }
    return NULL;
}

static void *consume(void *context)
{
    struct crowd *crowd = (struct crowd *)context;
    struct vine_mpmc queue;
    struct vine_waiter waiter;
    uint64_t last[PRODUCERS] = {0};

    vine_mpmc_clone(&queue, &crowd->queue);
    if (vine_mpmc_waiter_init(&waiter, NULL) != 0)
        return crowd;
    while (vine__load_acquire_u64(&crowd->taken) < PRODUCERS * EACH) {
        uint64_t message[7];

        if (vine_mpmc_pop(&queue, message) != 0) {
            (void)!vine_mpmc_wait_message(&queue, &waiter, 1000000);
            continue;
        }
        vine_mpmc_wake_producers(&queue, 1);
        (void)vine__fetch_add_acq_rel_u64(&crowd->taken, 1);

        const uint64_t n = message[1];

        if (message[0] >= PRODUCERS || n >= EACH || message[2] != n * 3 || message[6] != n * 13 ||
            n + 1 < last[message[0]]) {
            (void)vine__fetch_add_acq_rel_u64(&crowd->failures, 1);
            return crowd;
        }
        last[message[0]] = n + 1;
        (void)vine__fetch_add_acq_rel_u64(&crowd->seen[message[0]][n], 1);
    }
    return NULL;
}

static void run_crowd(uint64_t patience_ns)
{
    struct crowd *crowd = calloc(1, sizeof(*crowd));
    struct fixture fixture;
    pthread_t threads[PRODUCERS + CONSUMERS];

    assert_non_null(crowd);
    open_queue(&fixture, 16);
    crowd->queue = fixture.queue;
    vine_mpmc_set_patience(&crowd->queue, patience_ns);
    for (size_t i = 0; i < PRODUCERS + CONSUMERS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, i < PRODUCERS ? produce : consume, crowd), 0);
    for (size_t i = 0; i < PRODUCERS + CONSUMERS; i++) {
        void *failed;

        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_int_equal(crowd->failures, 0);
    for (size_t producer = 0; producer < PRODUCERS; producer++)
        for (size_t n = 0; n < EACH; n++)
            assert_int_equal(crowd->seen[producer][n], 1);
    close_queue(&fixture);
    free(crowd);
}

static void many_threads_exchange_every_message_once(void **state)
{
    (void)state;
    run_crowd(VINE_MPMC_PATIENCE_NS);
}

static void no_message_is_lost_or_doubled_when_nobody_has_patience(void **state)
{
    (void)state;
    run_crowd(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(format_and_attach_refuse_what_cannot_be),
        cmocka_unit_test(a_full_queue_and_an_empty_one_return_eagain),
        cmocka_unit_test(a_message_larger_than_a_slot_is_refused),
        cmocka_unit_test(stamps_that_nobody_writes_do_not_hang_a_call),
        cmocka_unit_test(cursors_that_nobody_moved_there_do_not_hang_a_call),
        cmocka_unit_test(patience_decides_when_a_stalled_producer_is_stepped_over),
        cmocka_unit_test(patience_does_not_begin_before_the_position_is_taken),
        cmocka_unit_test(a_dead_producer_blocks_its_own_slot_and_no_other),
        cmocka_unit_test(a_dead_consumer_takes_no_more_than_the_message_that_it_has),
        cmocka_unit_test(a_head_that_goes_back_loses_and_repeats_nothing),
        cmocka_unit_test(all_slots_but_one_may_be_lost_and_the_last_still_serves),
        cmocka_unit_test(a_producer_that_comes_back_gives_its_slot_back),
        cmocka_unit_test(who_gives_a_slot_back_late_hides_no_message_of_others),
        cmocka_unit_test(a_queue_whose_slots_are_all_lost_is_full),
        cmocka_unit_test(a_tail_that_lags_behind_makes_nothing_void),
        cmocka_unit_test(bursts_take_what_fits),
        cmocka_unit_test(a_sleeper_made_for_another_kind_is_refused),
        cmocka_unit_test(who_sleeps_behind_a_stalled_producer_gets_the_next_message),
        cmocka_unit_test(a_wake_up_reaches_as_many_as_there_are_messages),
        cmocka_unit_test(a_wake_up_reaches_as_many_as_there_is_room_for),
        cmocka_unit_test(many_threads_exchange_every_message_once),
        cmocka_unit_test(no_message_is_lost_or_doubled_when_nobody_has_patience),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
