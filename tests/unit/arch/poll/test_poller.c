/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
#include "poll_tests.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

static void what_is_no_backend_is_refused(void **state)
{
    (void)state;
    struct vine__poller *poller = NULL;

    assert_int_equal(
        vine__poller_create(
            &poller, &(struct vine__poller_options){.backend = VINE__POLL_BACKEND_EPOLL + 1}),
        -EINVAL);
    assert_int_equal(
        vine__poller_create(&poller, &(struct vine__poller_options){.queue_depth = 32769}),
        -EINVAL);
    assert_null(poller);
}

static void destroying_no_poller_is_nothing(void **state)
{
    (void)state;
    vine__poller_destroy(NULL);
}

static void nothing_ends_at_the_next_poll_and_not_before(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    struct watched nothing = WATCHED(VINE__POLL_NOTHING, 0);

    vine__poller_begin(poller, &nothing.operation);
    assert_int_equal(vine__poller_pending(poller), 1);
    assert_int_equal(nothing.calls, 0);
    (void)vine__poller_flush(poller);
    assert_int_equal(nothing.calls, 0);
    assert_int_equal(vine__poller_poll(poller, UINT32_MAX), 1);
    assert_int_equal(nothing.calls, 1);
    assert_int_equal(nothing.result, 0);
    assert_int_equal(vine__poller_pending(poller), 0);
    assert_int_equal(vine__poller_poll(poller, UINT32_MAX), 0);
    vine__poller_destroy(poller);
}

struct again {
    struct vine__operation operation;
    struct vine__poller *poller;
    uint32_t calls;
};

static void begin_again(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct again *again = (struct again *)operation;

    (void)result;
    (void)flags;
    if (++again->calls > 5)
        return;
    vine__poller_begin(again->poller, operation);
    (void)vine__poller_flush(again->poller);
}

static void what_a_function_begins_ends_at_another_poll(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    struct again again = {.operation = {.fn = begin_again, .kind = VINE__POLL_NOTHING},
                          .poller = poller};
    struct watched nothing = WATCHED(VINE__POLL_NOTHING, 0);

    vine__poller_begin(poller, &again.operation);
    vine__poller_begin(poller, &nothing.operation);
    for (uint32_t i = 1; i <= 5; i++) {
        (void)vine__poller_poll(poller, UINT32_MAX);
        assert_int_equal(again.calls, i);
    }
    assert_true(nothing.is_over);
    assert_int_equal(vine__poller_poll(poller, UINT32_MAX), 1);
    assert_int_equal(vine__poller_pending(poller), 0);
    vine__poller_destroy(poller);
}

static void a_poll_hands_out_no_more_than_it_is_asked_for(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    struct watched nothings[5];
    struct watched shown[5];
    const int fd = eventfd(1, 0);
    uint32_t over = 0;

    assert_true(fd >= 0);
    for (uint32_t i = 0; i < 5; i++) {
        nothings[i] = WATCHED(VINE__POLL_NOTHING, 0);
        shown[i] = WATCHED(VINE__POLL_READY, .fd = fd, .flags = POLLIN);
        vine__poller_begin(poller, &nothings[i].operation);
        vine__poller_begin(poller, &shown[i].operation);
    }
    while (over < 10) {
        const uint32_t count = vine__poller_sleep(poller, 3, HANG_NS);

        assert_in_range(count, 1, 3);
        over += count;
    }
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(nothings[i].calls, 1);
        assert_int_equal(shown[i].calls, 1);
        assert_int_equal(shown[i].result, POLLIN);
    }
    vine__poller_destroy(poller);
    close(fd);
}

static void begin_for_ever(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct again *again = (struct again *)operation;

    (void)flags;
    if (result != -ECANCELED)
        vine__poller_begin(again->poller, operation);
}

static void who_fills_every_poll_does_not_keep_others_from_being_heard(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    struct again busy[8];
    const int fd = eventfd(1, 0);
    struct watched shown = WATCHED(VINE__POLL_READY, .fd = fd, .flags = POLLIN);

    assert_true(fd >= 0);
    for (uint32_t i = 0; i < 8; i++) {
        busy[i] = (struct again){
            .operation = {.fn = begin_for_ever, .kind = VINE__POLL_NOTHING},
            .poller = poller,
        };
        vine__poller_begin(poller, &busy[i].operation);
    }
    (void)vine__poller_poll(poller, 4);
    vine__poller_begin(poller, &shown.operation);
    for (uint32_t i = 0; i < 100 && shown.calls == 0; i++)
        (void)vine__poller_poll(poller, 4);
    assert_int_equal(shown.calls, 1);
    vine__poller_destroy(poller);
    close(fd);
}

/* ---- more than there is room for ------------------------------------------------------------- */

#define MANY 1000

static void a_thousand_operations_through_a_queue_of_four_all_end_in_order(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_with_depth(4);
    struct watched *many = calloc(MANY, sizeof(*many));
    const int fd = eventfd(0, 0);
    const uint64_t one = 1;

    assert_non_null(many);
    assert_true(fd >= 0);
    for (uint32_t i = 0; i < MANY; i++) {
        many[i] = WATCHED(VINE__POLL_WRITE, .fd = fd, .bytes = (void *)(uintptr_t)&one,
                          .size = sizeof(one), .offset = VINE__POLL_STREAM);
        vine__poller_begin(poller, &many[i].operation);
    }
    assert_int_equal(vine__poller_pending(poller), MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        assert_int_equal(wait_for(poller, &many[i]), sizeof(one));
        assert_int_equal(many[i].calls, 1);
        if (i > 0)
            assert_int_equal(many[i].order, many[i - 1].order + 1);
    }
    uint64_t total = 0;
    assert_int_equal(read(fd, &total, sizeof(total)), sizeof(total));
    assert_int_equal(total, MANY);
    assert_int_equal(vine__poller_pending(poller), 0);
    vine__poller_destroy(poller);
    close(fd);
    free(many);
}

static void ends_beyond_the_queue_of_ends_are_not_lost(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_with_depth(4);
    struct watched *many = calloc(MANY, sizeof(*many));
    const int fd = eventfd(0, 0);
    uint32_t over = 0;

    assert_non_null(many);
    assert_true(fd >= 0);
    for (uint32_t i = 0; i < MANY; i++) {
        many[i] = WATCHED(VINE__POLL_READY, .fd = fd, .flags = POLLIN);
        vine__poller_begin(poller, &many[i].operation);
    }
    assert_int_equal(vine__poller_poll(poller, UINT32_MAX), 0);
    /* All thousand end at once. */
    assert_int_equal(eventfd_write(fd, 1), 0);
    while (over < MANY) {
        const uint32_t count = vine__poller_sleep(poller, 7, HANG_NS);

        assert_in_range(count, 1, 7);
        over += count;
    }
    for (uint32_t i = 0; i < MANY; i++) {
        assert_int_equal(many[i].calls, 1);
        assert_int_equal(many[i].result, POLLIN);
    }
    vine__poller_destroy(poller);
    close(fd);
    free(many);
}

/* ---- sleep and wake -------------------------------------------------------------------------- */

static void a_sleep_ends_when_its_time_is_over(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();

    assert_int_equal(vine__poller_sleep(poller, UINT32_MAX, 0), 0);
    assert_int_equal(vine__poller_sleep(poller, UINT32_MAX, 1), 0);
    assert_int_equal(vine__poller_sleep(poller, UINT32_MAX, 2000000), 0);
    vine__poller_destroy(poller);
}

static void a_wake_before_the_sleep_ends_it_though_a_poll_lay_between(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();

    for (int i = 0; i < 3; i++) {
        vine__poller_wake(poller);
        vine__poller_wake(poller);
        assert_int_equal(vine__poller_poll(poller, UINT32_MAX), 0);
        assert_int_equal(vine__poller_sleep(poller, UINT32_MAX, VINE_FOREVER), 0);
    }
    vine__poller_destroy(poller);
}

struct waker {
    struct vine__poller *poller;
    uint32_t count;
};

static void *wake_main(void *argument)
{
    struct waker *waker = argument;

    (void)__atomic_fetch_add(&waker->count, 1, __ATOMIC_RELAXED);
    vine__poller_wake(waker->poller);
    return NULL;
}

static void a_sleep_without_end_is_ended_by_another_thread(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();

    for (int i = 0; i < 200; i++) {
        struct waker waker = {.poller = poller};
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, wake_main, &waker), 0);
        while (__atomic_load_n(&waker.count, __ATOMIC_RELAXED) == 0)
            (void)vine__poller_sleep(poller, UINT32_MAX, VINE_FOREVER);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    vine__poller_destroy(poller);
}

static void *count_main(void *argument)
{
    struct waker *waker = argument;

    for (uint32_t i = 0; i < 20000; i++) {
        (void)__atomic_fetch_add(&waker->count, 1, __ATOMIC_RELAXED);
        vine__poller_wake(waker->poller);
    }
    return NULL;
}

static void no_wake_is_lost_among_many(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    struct waker waker = {.poller = poller};
    pthread_t threads[2];

    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_main, &waker), 0);
    /* Each sleep is without end: the last wake has to end the last of them. */
    while (__atomic_load_n(&waker.count, __ATOMIC_RELAXED) < 40000)
        (void)vine__poller_sleep(poller, UINT32_MAX, VINE_FOREVER);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    vine__poller_destroy(poller);
}

static void what_ends_ends_a_sleep(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    const int fd = eventfd(0, 0);
    struct watched ready = WATCHED(VINE__POLL_READY, .fd = fd, .flags = POLLIN);

    vine__poller_begin(poller, &ready.operation);
    assert_int_equal(vine__poller_sleep(poller, UINT32_MAX, 1000000), 0);
    assert_int_equal(eventfd_write(fd, 1), 0);
    assert_int_equal(wait_for(poller, &ready), POLLIN);
    vine__poller_destroy(poller);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_backend_is_refused),
        cmocka_unit_test(destroying_no_poller_is_nothing),
        cmocka_unit_test(nothing_ends_at_the_next_poll_and_not_before),
        cmocka_unit_test(what_a_function_begins_ends_at_another_poll),
        cmocka_unit_test(a_poll_hands_out_no_more_than_it_is_asked_for),
        cmocka_unit_test(who_fills_every_poll_does_not_keep_others_from_being_heard),
        cmocka_unit_test(a_thousand_operations_through_a_queue_of_four_all_end_in_order),
        cmocka_unit_test(ends_beyond_the_queue_of_ends_are_not_lost),
        cmocka_unit_test(a_sleep_ends_when_its_time_is_over),
        cmocka_unit_test(a_wake_before_the_sleep_ends_it_though_a_poll_lay_between),
        cmocka_unit_test(a_sleep_without_end_is_ended_by_another_thread),
        cmocka_unit_test(no_wake_is_lost_among_many),
        cmocka_unit_test(what_ends_ends_a_sleep),
    };
    return RUN_OVER_BACKENDS(tests);
}
