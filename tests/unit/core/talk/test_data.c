/* SPDX-License-Identifier: Apache-2.0 */
#include "served.h"

static struct served served;
static struct vine_pipe *pipe_of_test;

static void start(uint64_t memory_max_bytes, bool throttle)
{
    const struct vine_pipe_options options = {
        .size_bytes = sizeof options, .memory_max_bytes = memory_max_bytes, .throttle = throttle};

    served_start(&served, NULL, 1);
    pipe_of_test = served_open(&served, &options);
}

static void stop(void)
{
    vine_pipe_close(pipe_of_test);
    served_stop(&served);
}

static int create(uint32_t type, uint64_t size, struct vine_data **ret_data)
{
    return vine_data_create(pipe_of_test, type, size, ret_data);
}

static void impossible_types_and_sizes_are_refused(void **state)
{
    (void)state;
    struct vine_data *data = NULL;

    start(1u << 20, false);
    assert_int_equal(create(0, 8, &data), -EINVAL);
    assert_int_equal(create(VINE_TYPE_F64 + 1, 8, &data), -EINVAL);
    assert_int_equal(create(0x4000, 8, &data), -EINVAL);
    assert_int_equal(create(VINE_TYPE_U64, 12, &data), -EINVAL);
    assert_int_equal(create(VINE_TYPE_F32, 6, &data), -EINVAL);
    assert_int_equal(vine_data_expect(pipe_of_test, VINE_TYPE_U32, 3, &data), -EINVAL);
    assert_int_equal(vine_data_expect(pipe_of_test, VINE_TYPE_BYTES, 1ULL << 33, &data),
                     -VINE_ETOOBIG);
    assert_int_equal(create(VINE_TYPE_BYTES, 2u << 20, &data), -VINE_ETOOBIG);
    assert_null(data);
    assert_int_equal(create(VINE_TYPE_USER, 3, &data), 0);
    vine_data_free(data);
    vine_data_free(NULL);
    stop();
}

static void what_is_written_is_read_and_nothing_beyond(void **state)
{
    (void)state;
    struct vine_data *data = NULL;
    char bytes[8] = "";

    start(0, false);
    assert_int_equal(create(VINE_TYPE_BYTES, 6, &data), 0);
    assert_int_equal(vine_data_size(data), 6);
    assert_int_equal((uintptr_t)vine_data_map(data) % VINE_CACHE_LINE, 0);
    assert_ptr_equal(vine_data_view(data), vine_data_map(data));
    assert_int_equal(vine_data_write(data, 0, "abcdef", 6), 0);
    assert_int_equal(vine_data_write(data, 4, "xyz", 3), -EINVAL);
    assert_int_equal(vine_data_write(data, UINT64_MAX, "x", 1), -EINVAL);
    assert_int_equal(vine_data_read(data, 2, bytes, 4), 0);
    assert_string_equal(bytes, "cdef");
    assert_int_equal(vine_data_read(data, 2, bytes, 5), -EINVAL);
    assert_int_equal(vine_data_read(data, 7, bytes, 0), -EINVAL);
    assert_int_equal(vine_data_read(data, 6, bytes, 0), 0);
    vine_data_free(data);
    stop();
}

static void a_place_for_a_result_is_nothing_yet(void **state)
{
    (void)state;
    struct vine_data *place = NULL;
    char byte;

    start(0, false);
    assert_int_equal(vine_data_expect(pipe_of_test, VINE_TYPE_BYTES, 100, &place), 0);
    assert_int_equal(vine_data_size(place), 0);
    assert_null(vine_data_map(place));
    assert_null(vine_data_view(place));
    assert_int_equal(vine_data_write(place, 0, "a", 1), -EINVAL);
    assert_int_equal(vine_data_read(place, 0, &byte, 1), -EINVAL);
    assert_int_equal(vine_data_resize(place, 0), -EINVAL);
    vine_data_free(place);
    stop();
}

static void run_turn_of(struct vine_data *from, struct vine_data *to)
{
    const struct vine_task_options options = {.size_bytes = sizeof options,
                                              .inputs = &from,
                                              .input_count = 1,
                                              .outputs = &to,
                                              .output_count = 1};

    assert_int_equal(
        vine_task_run(pipe_of_test, served_get(pipe_of_test, "turn"), &options, LIMIT, NULL, NULL),
        0);
}

static void tasks_see_as_much_as_data_was_resized_to(void **state)
{
    (void)state;
    struct vine_data *words = NULL;
    struct vine_data *data = NULL;
    struct vine_data *place = NULL;

    start(0, false);
    assert_int_equal(create(VINE_TYPE_U64, 16, &words), 0);
    assert_int_equal(vine_data_resize(words, 12), -EINVAL);
    assert_int_equal(vine_data_resize(words, 24), -EINVAL);
    assert_int_equal(create(VINE_TYPE_BYTES, 10, &data), 0);
    assert_int_equal(vine_data_expect(pipe_of_test, VINE_TYPE_BYTES, 10, &place), 0);
    memcpy(vine_data_map(data), "abcdefghij", 10);
    for (uint64_t size = 0; size <= 10; size++) {
        assert_int_equal(vine_data_resize(data, size), 0);
        run_turn_of(data, place);
        assert_int_equal(vine_data_size(place), size);
        assert_memory_equal(vine_data_view(place), "ABCDEFGHIJ", size);
    }
    vine_data_free(words);
    vine_data_free(data);
    vine_data_free(place);
    stop();
}

static void a_result_is_the_input_of_the_next_task(void **state)
{
    (void)state;
    struct vine_data *data = NULL;
    struct vine_data *places[2] = {NULL, NULL};

    start(0, false);
    assert_int_equal(create(VINE_TYPE_BYTES, 100000, &data), 0);
    memset(vine_data_map(data), 'a', 100000);
    for (int i = 0; i < 2; i++)
        assert_int_equal(vine_data_expect(pipe_of_test, VINE_TYPE_BYTES, 100000, &places[i]), 0);
    run_turn_of(data, places[0]);
    run_turn_of(places[0], places[1]);
    assert_int_equal(vine_data_size(places[1]), 100000);
    assert_memory_equal(vine_data_view(places[0]), "AAAA", 4);
    assert_memory_equal(vine_data_view(places[1]), "aaaa", 4);

    /* An empty result is as good an input as any. */
    assert_int_equal(vine_data_resize(data, 0), 0);
    run_turn_of(data, places[0]);
    run_turn_of(places[0], places[1]);
    assert_int_equal(vine_data_size(places[1]), 0);
    assert_non_null(vine_data_view(places[1]));
    vine_data_free(data);
    vine_data_free(places[0]);
    vine_data_free(places[1]);
    stop();
}

static void memory_grows_to_the_quota_and_no_further(void **state)
{
    (void)state;
    struct vine_data *datas[64];
    struct vine_pipe_stats stats;
    int count = 0;
    int error;

    start(4u << 20, false);
    while ((error = create(VINE_TYPE_BYTES, 256u << 10, &datas[count])) == 0)
        count++;
    assert_int_equal(error, -VINE_EQUOTA);
    assert_in_range(count, 10, 15);
    vine_pipe_get_stats(pipe_of_test, &stats);
    assert_true(stats.memory_bytes <= 4u << 20);
    vine_data_free(datas[--count]);
    assert_int_equal(create(VINE_TYPE_BYTES, 256u << 10, &datas[count]), 0);
    count++;
    while (count > 0)
        vine_data_free(datas[--count]);
    stop();
}

static void freed_data_are_kept_for_the_task_that_uses_them(void **state)
{
    (void)state;
    struct vine_data *data = NULL;
    struct vine_data *place = NULL;
    struct vine_data *others[8];
    struct vine_task *task = NULL;

    start(0, false);
    struct vine_task *before = gate_issue(pipe_of_test, 0, NULL);
    gate_wait_for(1);
    assert_int_equal(create(VINE_TYPE_BYTES, 1000, &data), 0);
    assert_int_equal(vine_data_expect(pipe_of_test, VINE_TYPE_BYTES, 1000, &place), 0);
    memset(vine_data_map(data), 'x', 1000);
    const struct vine_task_options options = {.size_bytes = sizeof options,
                                              .inputs = &data,
                                              .input_count = 1,
                                              .outputs = &place,
                                              .output_count = 1};
    assert_int_equal(
        vine_task_issue(pipe_of_test, served_get(pipe_of_test, "turn"), &options, &task), 0);
    vine_data_free(data);
    for (int i = 0; i < 8; i++) { /* whoever gets that memory now would spoil it */
        assert_int_equal(create(VINE_TYPE_BYTES, 1000, &others[i]), 0);
        memset(vine_data_map(others[i]), 0, 1000);
    }
    gate_set(true);
    assert_int_equal(vine_task_wait(task, LIMIT), 0);
    assert_memory_equal(vine_data_view(place), "XXXX", 4);
    vine_task_free(before);
    vine_task_free(task);
    vine_data_free(place);
    for (int i = 0; i < 8; i++)
        vine_data_free(others[i]);
    stop();
}

static void results_of_abandoned_tasks_go_back(void **state)
{
    (void)state;
    struct vine_pipe_stats stats;

    start(2u << 20, true);
    struct vine_procedure *turn = served_get(pipe_of_test, "turn");
    /* A hundred times what the pipe holds. */
    for (int i = 0; i < 2000; i++) {
        struct vine_data *data = NULL;
        struct vine_data *place = NULL;
        struct vine_task *task = NULL;

        assert_int_equal(create(VINE_TYPE_BYTES, 50000, &data), 0);
        assert_int_equal(vine_data_expect(pipe_of_test, VINE_TYPE_BYTES, 50000, &place), 0);
        const struct vine_task_options options = {.size_bytes = sizeof options,
                                                  .inputs = &data,
                                                  .input_count = 1,
                                                  .outputs = &place,
                                                  .output_count = 1};
        assert_int_equal(vine_task_issue(pipe_of_test, turn, &options, &task), 0);
        vine_data_free(data);
        if (i % 2) {
            /* The appliance may have had no room for one of them: it says so. */
            const int status = vine_task_wait(task, LIMIT);

            assert_true(status == 0 || status == -VINE_EQUOTA);
        }
        vine_data_free(place);
        vine_task_free(task);
    }
    do {
        assert_true(vine_pipe_poll(pipe_of_test) >= 0);
        vine_pipe_get_stats(pipe_of_test, &stats);
    } while (stats.tasks_in_flight > 0);
    assert_int_equal(stats.tasks_issued, 2001);
    assert_int_equal(stats.tasks_done + stats.tasks_failed, 2001);
    assert_true(stats.tasks_done > 1000);
    assert_int_equal(stats.ids_refused, 0);
    stop();
}

static void with_throttle_data_wait_for_room(void **state)
{
    (void)state;
    struct vine_data *data = NULL;
    struct vine_data *further = NULL;
    struct vine_data *place = NULL;
    struct vine_task *task = NULL;

    start(2u << 20, true);
    assert_int_equal(create(VINE_TYPE_BYTES, 1500000, &data), 0);
    assert_int_equal(create(VINE_TYPE_BYTES, 1500000, &further),
                     -VINE_EQUOTA); /* nothing will end */
    assert_int_equal(vine_data_expect(pipe_of_test, VINE_TYPE_BYTES, 10, &place), 0);
    const struct vine_task_options options = {.size_bytes = sizeof options,
                                              .inputs = &data,
                                              .input_count = 1,
                                              .outputs = &place,
                                              .output_count = 1};
    assert_int_equal(
        vine_task_issue(pipe_of_test, served_get(pipe_of_test, "turn"), &options, &task), 0);
    vine_data_free(data);
    assert_int_equal(create(VINE_TYPE_BYTES, 1500000, &further), 0);
    vine_task_free(task);
    vine_data_free(place);
    vine_data_free(further);
    stop();
}

static void large_data_cross_whole(void **state)
{
    (void)state;
    const size_t size = 40u << 20;
    struct vine_data *data = NULL;
    struct vine_data *place = NULL;

    start(0, false);
    assert_int_equal(create(VINE_TYPE_BYTES, size, &data), 0);
    assert_int_equal(vine_data_expect(pipe_of_test, VINE_TYPE_BYTES, size, &place), 0);
    unsigned char *bytes = vine_data_map(data);
    for (size_t i = 0; i < size; i += 4096)
        bytes[i] = (unsigned char)(i >> 12);
    run_turn_of(data, place);
    assert_int_equal(vine_data_size(place), size);
    const unsigned char *turned = vine_data_view(place);
    for (size_t i = 0; i < size; i += 4096)
        assert_int_equal(turned[i], bytes[i] ^ 0x20);
    vine_data_free(data);
    vine_data_free(place);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(impossible_types_and_sizes_are_refused),
        cmocka_unit_test(what_is_written_is_read_and_nothing_beyond),
        cmocka_unit_test(a_place_for_a_result_is_nothing_yet),
        cmocka_unit_test(tasks_see_as_much_as_data_was_resized_to),
        cmocka_unit_test(a_result_is_the_input_of_the_next_task),
        cmocka_unit_test(memory_grows_to_the_quota_and_no_further),
        cmocka_unit_test(freed_data_are_kept_for_the_task_that_uses_them),
        cmocka_unit_test(results_of_abandoned_tasks_go_back),
        cmocka_unit_test(with_throttle_data_wait_for_room),
        cmocka_unit_test(large_data_cross_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
