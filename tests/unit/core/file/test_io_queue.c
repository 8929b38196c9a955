/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Which request goes next, over a device that is the test's: it ends what it has when the test says
 * so, in an order of a seed's choice.
 */
#include "file_tests.h"

#define DEVICE_MAX 64

static struct vine__io_queue queue;
static struct vine_io_request *device[DEVICE_MAX];
static uint32_t device_count;
static uint32_t device_most;
static uint64_t random_state;

static void to_device(struct vine__io_queue *from, struct vine_io_request *request)
{
    assert_ptr_equal(from, &queue);
    assert_true(device_count < DEVICE_MAX);
    device[device_count++] = request;
    if (device_count > device_most)
        device_most = device_count;
}

/* The device ends one. */
static struct vine_io_request *end_at(uint32_t index)
{
    struct vine_io_request *const request = device[index];

    device[index] = device[--device_count];
    vine__io_queue_ended(&queue, request);
    request->state = VINE__IO_IDLE;
    return request;
}

static struct vine_io_request *end_any(void)
{
    return end_at((uint32_t)(next_random(&random_state) % device_count));
}

static int open_queue(void **state)
{
    (void)state;
    world_open(1, 8);
    device_count = 0;
    device_most = 0;
    vine__io_queue_init(&queue, 8, to_device);
    return 0;
}

static int close_queue(void **state)
{
    (void)state;
    world_close();
    return 0;
}

static struct vine_io_class new_class(uint32_t shares)
{
    struct vine_io_class io_class = {0};

    assert_int_equal(vine_io_class_create("class", shares, &io_class), 0);
    return io_class;
}

static void add(struct vine_io_request *request, struct vine_io_class io_class, uint32_t size)
{
    *request = (struct vine_io_request){.io_class = io_class.id, .size = size};
    vine__io_queue_add(&queue, request);
}

static void impossible_classes_are_refused(void **state)
{
    (void)state;
    struct vine_io_class io_class = {.id = 77};

    assert_int_equal(vine_io_class_create(NULL, 1, &io_class), -EINVAL);
    assert_int_equal(vine_io_class_create("none", 0, &io_class), -EINVAL);
    assert_int_equal(vine_io_class_create("many", VINE_SHARES_MAX + 1, &io_class), -EINVAL);
    assert_int_equal(io_class.id, 77);
    for (uint32_t i = 1; i < VINE_IO_CLASSES_MAX; i++)
        assert_int_equal(new_class(1).id, i);
    io_class.id = 77;
    assert_int_equal(vine_io_class_create("one more", 1, &io_class), -ENOSPC);
    assert_int_equal(io_class.id, 77);
}

static void no_more_than_the_cap_goes_at_once(void **state)
{
    (void)state;
    static struct vine_io_request requests[100];

    for (int i = 0; i < 100; i++)
        add(&requests[i], (struct vine_io_class){0}, 4096);
    assert_int_equal(device_count, 8);
    for (int i = 0; i < 100; i++)
        (void)end_any();
    assert_int_equal(device_most, 8);
    assert_int_equal(device_count, 0);
    assert_int_equal(queue.submitted, 0);
}

static void requests_of_a_class_go_in_order(void **state)
{
    (void)state;
    static struct vine_io_request requests[100];

    vine__io_queue_init(&queue, 1, to_device);
    for (int i = 0; i < 100; i++)
        add(&requests[i], (struct vine_io_class){0}, 4096);
    for (int i = 0; i < 100; i++)
        assert_ptr_equal(end_any(), &requests[i]);
}

/* Each class keeps `DEPTH` requests of its size about; what has ended is begun anew. */
static void share(const uint32_t *sizes, uint64_t *ret_cost)
{
    enum { DEPTH = 16, ROUNDS = 60000 };
    static struct vine_io_request requests[2][DEPTH];
    const struct vine_io_class classes[2] = {new_class(100), new_class(200)};

    for (int i = 0; i < DEPTH; i++)
        for (int c = 0; c < 2; c++)
            add(&requests[c][i], classes[c], sizes[c]);
    for (int round = 0; round < ROUNDS; round++) {
        struct vine_io_request *const request = end_any();
        const int c = request->io_class == classes[1].id;

        ret_cost[c] += sizes[c] + VINE__IO_REQUEST_COST;
        add(request, classes[c], sizes[c]);
    }
}

static void two_classes_of_one_and_two_shares_get_one_and_two_parts(void **state)
{
    (void)state;
    uint64_t cost[2] = {0};

    share((const uint32_t[]){4096, 4096}, cost);
    const double ratio = (double)cost[1] / (double)cost[0];

    assert_true(ratio > 1.98 && ratio < 2.02);
}

static void large_requests_pay_for_their_bytes(void **state)
{
    (void)state;
    uint64_t cost[2] = {0};

    share((const uint32_t[]){512, 131072}, cost);
    const double ratio = (double)cost[1] / (double)cost[0];

    assert_true(ratio > 1.95 && ratio < 2.05);
}

static void who_slept_is_owed_nothing(void **state)
{
    (void)state;
    static struct vine_io_request busy[8], late[8];
    const struct vine_io_class a = new_class(100), b = new_class(100);
    int of_late = 0;

    vine__io_queue_init(&queue, 1, to_device);
    for (int i = 0; i < 8; i++)
        add(&busy[i], a, 4096);
    for (int i = 0; i < 10000; i++)
        add(end_any(), a, 4096);
    for (int i = 0; i < 8; i++)
        add(&late[i], b, 4096);
    for (int i = 0; i < 100; i++) {
        struct vine_io_request *const request = end_any();
        const bool is_late = request->io_class == b.id;

        of_late += is_late;
        add(request, is_late ? b : a, 4096);
    }
    assert_in_range(of_late, 48, 52);
}

static void one_that_waits_can_be_taken_out(void **state)
{
    (void)state;
    static struct vine_io_request requests[12];

    vine__io_queue_init(&queue, 1, to_device);
    for (int i = 0; i < 4; i++)
        add(&requests[i], (struct vine_io_class){0}, 4096);
    vine__io_queue_remove(&queue, &requests[3]);
    vine__io_queue_remove(&queue, &requests[1]);
    add(&requests[4], (struct vine_io_class){0}, 4096);
    assert_ptr_equal(end_any(), &requests[0]);
    assert_ptr_equal(end_any(), &requests[2]);
    assert_ptr_equal(end_any(), &requests[4]);
    assert_int_equal(device_count, 0);
    add(&requests[5], (struct vine_io_class){0}, 4096);
    add(&requests[6], (struct vine_io_class){0}, 4096);
    vine__io_queue_remove(&queue, &requests[6]);
    assert_int_equal(queue.active, 0);
    assert_ptr_equal(end_any(), &requests[5]);
    assert_int_equal(device_count, 0);
}

#define WITH_A_QUEUE(test) cmocka_unit_test_setup_teardown(test, open_queue, close_queue)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_A_QUEUE(impossible_classes_are_refused),
        WITH_A_QUEUE(no_more_than_the_cap_goes_at_once),
        WITH_A_QUEUE(requests_of_a_class_go_in_order),
        WITH_A_QUEUE(two_classes_of_one_and_two_shares_get_one_and_two_parts),
        WITH_A_QUEUE(large_requests_pay_for_their_bytes),
        WITH_A_QUEUE(who_slept_is_owed_nothing),
        WITH_A_QUEUE(one_that_waits_can_be_taken_out),
    };

    random_state = choose_seed();
    world_backend = VINE__POLL_BACKEND_EPOLL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
