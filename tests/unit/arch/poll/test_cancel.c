/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
#include "poll_tests.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

/* ---- at each stage --------------------------------------------------------------------------- */

static void what_has_just_begun_ends_with_ecanceled_or_its_result(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    int pair[2];
    char byte;

    assert_int_equal(pipe(pair), 0);
    struct watched reading = WATCHED(VINE__POLL_READ, .fd = pair[0], .bytes = &byte, .size = 1,
                                     .offset = VINE__POLL_STREAM);

    vine__poller_begin(poller, &reading.operation);
    vine__poller_cancel(poller, &reading.operation);
    assert_int_equal(reading.calls, 0);
    assert_int_equal(wait_for(poller, &reading), -ECANCELED);
    assert_int_equal(reading.calls, 1);
    assert_int_equal(vine__poller_pending(poller), 0);

    /* It can be begun again, and nothing of the cancelling is left. */
    reading = WATCHED(VINE__POLL_READ, .fd = pair[0], .bytes = &byte, .size = 1,
                      .offset = VINE__POLL_STREAM);
    vine__poller_begin(poller, &reading.operation);
    (void)vine__poller_poll(poller, UINT32_MAX);
    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_int_equal(wait_for(poller, &reading), 1);
    close(pair[0]);
    close(pair[1]);
    vine__poller_destroy(poller);
}

static void what_the_kernel_has_ends_with_ecanceled_though_cancelled_twice(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    int pair[2];
    char byte;

    assert_int_equal(pipe(pair), 0);
    struct watched reading = WATCHED(VINE__POLL_READ, .fd = pair[0], .bytes = &byte, .size = 1,
                                     .offset = VINE__POLL_STREAM);
    struct watched other = WATCHED(VINE__POLL_READ, .fd = pair[0], .bytes = &byte, .size = 1,
                                   .offset = VINE__POLL_STREAM);

    vine__poller_begin(poller, &other.operation);
    vine__poller_begin(poller, &reading.operation);
    assert_int_equal(vine__poller_poll(poller, UINT32_MAX), 0);
    vine__poller_cancel(poller, &reading.operation);
    vine__poller_cancel(poller, &reading.operation);
    assert_int_equal(wait_for(poller, &reading), -ECANCELED);
    (void)vine__poller_poll(poller, UINT32_MAX);
    assert_int_equal(vine__poller_pending(poller), 1);

    /* The other one is as it was. */
    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_int_equal(wait_for(poller, &other), 1);
    close(pair[0]);
    close(pair[1]);
    vine__poller_destroy(poller);
}

static void what_has_ended_and_was_not_told_keeps_its_result(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    const int fd = eventfd(1, 0);
    struct watched nothing = WATCHED(VINE__POLL_NOTHING, 0);
    struct watched ready = WATCHED(VINE__POLL_READY, .fd = fd, .flags = POLLIN);

    vine__poller_begin(poller, &nothing.operation);
    vine__poller_begin(poller, &ready.operation);
    (void)vine__poller_flush(poller);
    vine__poller_cancel(poller, &nothing.operation);
    vine__poller_cancel(poller, &ready.operation);
    assert_int_equal(wait_for(poller, &nothing), 0);
    assert_int_equal(wait_for(poller, &ready), POLLIN);
    vine__poller_destroy(poller);
    close(fd);
}

static void what_waits_for_room_ends_with_ecanceled_and_is_never_done(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_with_depth(4);
    const int fd = eventfd(0, EFD_NONBLOCK);
    const uint64_t one = 1;
    struct watched many[100];

    for (uint32_t i = 0; i < 100; i++) {
        many[i] = WATCHED(VINE__POLL_WRITE, .fd = fd, .bytes = (void *)(uintptr_t)&one,
                          .size = sizeof(one), .offset = VINE__POLL_STREAM);
        vine__poller_begin(poller, &many[i].operation);
    }
    for (uint32_t i = 10; i < 100; i += 2)
        vine__poller_cancel(poller, &many[i].operation);
    uint64_t done = 0;

    for (uint32_t i = 0; i < 100; i++) {
        const int32_t result = wait_for(poller, &many[i]);

        assert_int_equal(result, i >= 10 && i % 2 == 0 ? -ECANCELED : (int32_t)sizeof(one));
        done += result > 0;
    }
    uint64_t total = 0;
    assert_int_equal(read(fd, &total, sizeof(total)), sizeof(total));
    assert_int_equal(total, done);
    vine__poller_destroy(poller);
    close(fd);
}

/* More requests to cancel than the queue has room for, and some of them for what ends meanwhile. */
static void a_thousand_are_cancelled_through_a_queue_of_four(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_with_depth(4);
    struct watched *many = calloc(1000, sizeof(*many));
    const int never = eventfd(0, 0);
    const int soon = eventfd(0, 0);
    uint32_t cancelled = 0;

    assert_non_null(many);
    for (uint32_t i = 0; i < 1000; i++) {
        many[i] = WATCHED(VINE__POLL_READY, .fd = i % 10 == 0 ? soon : never, .flags = POLLIN);
        vine__poller_begin(poller, &many[i].operation);
    }
    assert_int_equal(vine__poller_poll(poller, UINT32_MAX), 0);
    assert_int_equal(eventfd_write(soon, 1), 0);
    for (uint32_t i = 0; i < 1000; i++)
        vine__poller_cancel(poller, &many[i].operation);
    for (uint32_t i = 0; i < 1000; i++) {
        const int32_t result = wait_for(poller, &many[i]);

        assert_int_equal(many[i].calls, 1);
        if (i % 10 != 0)
            assert_int_equal(result, -ECANCELED);
        else
            assert_true(result == -ECANCELED || result == POLLIN);
        cancelled += result == -ECANCELED;
    }
    assert_in_range(cancelled, 900, 1000);
    assert_int_equal(vine__poller_pending(poller), 0);
    vine__poller_destroy(poller);
    close(never);
    close(soon);
    free(many);
}

/* ---- from within functions ------------------------------------------------------------------- */

struct canceller {
    struct vine__operation operation;
    struct vine__poller *poller;
    struct watched *other;
};

static void cancel_other(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct canceller *canceller = (struct canceller *)operation;

    (void)result;
    (void)flags;
    if (!canceller->other->is_over)
        vine__poller_cancel(canceller->poller, &canceller->other->operation);
}

static void of_two_that_end_together_one_may_cancel_the_other(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    const int fd = eventfd(0, 0);

    for (int i = 0; i < 10; i++) {
        struct watched *other = calloc(1, sizeof(*other));
        struct canceller canceller = {
            .operation = {.fn = cancel_other, .kind = VINE__POLL_READY, .fd = fd, .flags = POLLIN},
            .poller = poller,
            .other = other};
        uint64_t count;

        assert_non_null(other);
        *other = WATCHED(VINE__POLL_READY, .fd = fd, .flags = POLLIN);
        vine__poller_begin(poller, &canceller.operation);
        vine__poller_begin(poller, &other->operation);
        assert_int_equal(vine__poller_poll(poller, UINT32_MAX), 0);
        assert_int_equal(eventfd_write(fd, 1), 0);
        (void)wait_for(poller, other);
        assert_true(other->result == POLLIN || other->result == -ECANCELED);
        /* Its memory is its owner's again: nothing may come to it later. */
        free(other);
        while (vine__poller_pending(poller) > 0)
            (void)vine__poller_sleep(poller, UINT32_MAX, HANG_NS);
        assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
    }
    vine__poller_destroy(poller);
    close(fd);
}

struct once {
    struct vine__operation operation;
    struct vine__poller *poller;
    uint32_t calls;
    int32_t result;
};

static void cancel_itself(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct once *once = (struct once *)operation;

    once->calls++;
    once->result = result;
    if ((flags & VINE__POLL_MORE) != 0)
        vine__poller_cancel(once->poller, operation);
}

static void a_multishot_may_be_cancelled_by_its_own_function(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    const int fd = eventfd(0, 0);
    struct once once = {.operation = {.fn = cancel_itself,
                                      .kind = VINE__POLL_READY,
                                      .fd = fd,
                                      .flags = POLLIN,
                                      .is_multishot = true},
                        .poller = poller};

    vine__poller_begin(poller, &once.operation);
    assert_int_equal(vine__poller_poll(poller, UINT32_MAX), 0);
    assert_int_equal(eventfd_write(fd, 1), 0);
    while (vine__poller_pending(poller) > 0)
        (void)vine__poller_sleep(poller, UINT32_MAX, HANG_NS);
    assert_int_equal(once.calls, 2);
    assert_int_equal(once.result, -ECANCELED);
    vine__poller_destroy(poller);
    close(fd);
}

/* ---- destroying ------------------------------------------------------------------------------ */

static int32_t answer(void *context)
{
    (void)context;
    return 42;
}

static void destroying_ends_all_that_is_pending_and_leaves_no_descriptor(void **state)
{
    (void)state;
    int pair[2];
    char bytes[4];
    assert_int_equal(pipe(pair), 0);
    const uint32_t before = count_descriptors();
    struct vine__poller *poller = poller_with_depth(4);
    const int fd = eventfd(0, 0);
    struct watched reading = WATCHED(VINE__POLL_READ, .fd = pair[0], .bytes = bytes, .size = 4,
                                     .offset = VINE__POLL_STREAM);
    struct watched ready =
        WATCHED(VINE__POLL_READY, .fd = fd, .flags = POLLIN, .is_multishot = true);
    struct watched nothing = WATCHED(VINE__POLL_NOTHING, 0);
    struct watched calls[30];
    struct watched waiting[30];
    struct vine__poll_buffers *buffers;

    assert_int_equal(vine__poller_buffers_create(poller, 8, 64, &buffers), 0);
    vine__poller_begin(poller, &reading.operation);
    vine__poller_begin(poller, &ready.operation);
    (void)vine__poller_poll(poller, UINT32_MAX);
    for (int i = 0; i < 30; i++) {
        calls[i] = WATCHED(VINE__POLL_CALL, .call = answer);
        vine__poller_begin(poller, &calls[i].operation);
    }
    for (int i = 0; i < 30; i++) {
        waiting[i] = WATCHED(VINE__POLL_READY, .fd = fd, .flags = POLLIN);
        vine__poller_begin(poller, &waiting[i].operation);
    }
    vine__poller_begin(poller, &nothing.operation);
    vine__poller_destroy(poller);

    assert_int_equal(reading.result, -ECANCELED);
    assert_true(ready.is_over);
    assert_int_equal(ready.result, -ECANCELED);
    assert_int_equal(nothing.result, 0);
    for (int i = 0; i < 30; i++) {
        assert_true(calls[i].is_over && waiting[i].is_over);
        assert_true(calls[i].result == 42 || calls[i].result == -ECANCELED);
        assert_int_equal(waiting[i].result, -ECANCELED);
    }
    close(fd);
    assert_int_equal(count_descriptors(), before);
    close(pair[0]);
    close(pair[1]);
}

struct persistent {
    struct vine__operation operation;
    struct vine__poller *poller;
    struct watched follower;
};

static void begin_follower(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct persistent *persistent = (struct persistent *)operation;

    (void)result;
    (void)flags;
    vine__poller_begin(persistent->poller, &persistent->follower.operation);
}

static void what_begins_while_the_poller_is_destroyed_ends_with_ecanceled(void **state)
{
    (void)state;
    const int fd = eventfd(0, 0);
    const int ready = eventfd(1, 0);
    struct vine__poller *poller = poller_create();
    struct persistent persistent = {
        .operation = {.fn = begin_follower, .kind = VINE__POLL_READY, .fd = fd, .flags = POLLIN},
        .poller = poller,
        .follower = WATCHED(VINE__POLL_READY, .fd = ready, .flags = POLLIN)};

    vine__poller_begin(poller, &persistent.operation);
    vine__poller_destroy(poller);
    assert_true(persistent.follower.is_over);
    assert_int_equal(persistent.follower.result, -ECANCELED);
    close(fd);
    close(ready);
}

static void pollers_come_and_go_without_leaving_anything(void **state)
{
    (void)state;
    const uint32_t before = count_descriptors();

    for (int i = 0; i < 50; i++) {
        struct vine__poller *poller = poller_create();
        struct watched calling = WATCHED(VINE__POLL_CALL, .call = answer);

        if (i % 2 == 0)
            assert_int_equal(run(poller, &calling), 42);
        vine__poller_destroy(poller);
    }
    assert_int_equal(count_descriptors(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_just_begun_ends_with_ecanceled_or_its_result),
        cmocka_unit_test(what_the_kernel_has_ends_with_ecanceled_though_cancelled_twice),
        cmocka_unit_test(what_has_ended_and_was_not_told_keeps_its_result),
        cmocka_unit_test(what_waits_for_room_ends_with_ecanceled_and_is_never_done),
        cmocka_unit_test(a_thousand_are_cancelled_through_a_queue_of_four),
        cmocka_unit_test(of_two_that_end_together_one_may_cancel_the_other),
        cmocka_unit_test(a_multishot_may_be_cancelled_by_its_own_function),
        cmocka_unit_test(destroying_ends_all_that_is_pending_and_leaves_no_descriptor),
        cmocka_unit_test(what_begins_while_the_poller_is_destroyed_ends_with_ecanceled),
        cmocka_unit_test(pollers_come_and_go_without_leaving_anything),
    };
    return RUN_OVER_BACKENDS(tests);
}
