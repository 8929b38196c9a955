/* SPDX-License-Identifier: Apache-2.0 */
/* test: long=600 */
#include "served.h"

#include <vine/inspect.h>

static struct served served;
static struct vine_pipe *pipe_of_test;

static void start(const struct vine_pipe_options *options)
{
    served_start(&served, NULL, 2);
    pipe_of_test = served_open(&served, options);
}

static void stop(void)
{
    vine_pipe_close(pipe_of_test);
    served_stop(&served);
}

static int rounds(int few, int many)
{
    return getenv("VINE_TEST_LONG") != NULL ? many : few;
}

static uint32_t channels_open(void)
{
    struct vine_pipe_stats stats;

    vine_pipe_get_stats(pipe_of_test, &stats);
    return stats.channels_open;
}

static void *run_once(void *unused)
{
    assert_int_equal(
        vine_task_run(pipe_of_test, served_get(pipe_of_test, "noop"), NULL, LIMIT, NULL, NULL), 0);
    return unused;
}

static void in_another_thread(void *(*run)(void *), void *context)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, run, context), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void each_thread_gets_a_channel_with_its_first_task(void **state)
{
    (void)state;

    start(NULL);
    assert_int_equal(channels_open(), 0);
    run_once(NULL);
    assert_int_equal(channels_open(), 1);
    run_once(NULL);
    assert_int_equal(channels_open(), 1);
    in_another_thread(run_once, NULL);
    assert_int_equal(channels_open(), 2);
    stop();
}

static void the_channel_of_a_dead_thread_goes_to_the_next_one(void **state)
{
    (void)state;

    start(NULL);
    run_once(NULL);
    for (int i = 0; i < 100; i++)
        in_another_thread(run_once, NULL);
    assert_int_equal(channels_open(), 2);
    stop();
}

static void *issue_gate(void *ret_task)
{
    *(struct vine_task **)ret_task = gate_issue(pipe_of_test, 5, NULL);
    return NULL;
}

static void tasks_of_a_dead_thread_end_all_the_same(void **state)
{
    (void)state;
    struct vine_task *task = NULL;

    start(NULL);
    run_once(NULL);
    in_another_thread(issue_gate, &task);
    in_another_thread(run_once, NULL); /* not on that channel, which is busy */
    assert_int_equal(channels_open(), 3);
    assert_int_equal(vine_task_poll(task), -EAGAIN);
    gate_set(true);
    assert_int_equal(vine_task_wait(task, LIMIT), 0);
    vine_task_free(task);
    stop();
}

/* ---- many threads ---------------------------------------------------------------------------- */

#define THREADS 8
#define DEPTH   16

/* A channel goes to the next thread when its own ends. None ends before all had one. */
static pthread_barrier_t all_are_done;

/* Tasks in flight, each with an answer that tells it apart. */
static void *run_many_tasks(void *context)
{
    struct vine_task *tasks[DEPTH] = {NULL};
    uint64_t bytes[DEPTH][2];
    struct vine_procedure *answer = served_get(pipe_of_test, "answer");
    const uint64_t base = (uint64_t)(uintptr_t)context << 32;
    const int count = rounds(2000, 100000);

    for (int i = 0; i < count + DEPTH; i++) {
        const int slot = i % DEPTH;

        if (tasks[slot] != NULL) {
            uint64_t result = 0;

            assert_int_equal(vine_task_wait(tasks[slot], LIMIT), 0);
            assert_int_equal(vine_task_result(tasks[slot], &result, sizeof result), 8);
            assert_int_equal(result, bytes[slot][1]);
            vine_task_free(tasks[slot]);
            tasks[slot] = NULL;
        }
        if (i >= count)
            continue;
        bytes[slot][0] = 0;
        bytes[slot][1] = base + (uint64_t)i;
        const struct vine_task_options options = {
            .size_bytes = sizeof options, .bytes = bytes[slot], .bytes_size = 16};
        int error;

        while ((error = vine_task_issue(pipe_of_test, answer, &options, &tasks[slot])) == -EAGAIN)
            assert_true(vine_pipe_poll(pipe_of_test) >= 0);
        assert_int_equal(error, 0);
    }
    pthread_barrier_wait(&all_are_done);
    return NULL;
}

static void many_threads(void)
{
    pthread_t threads[THREADS];
    struct vine_pipe_stats stats;

    assert_int_equal(pthread_barrier_init(&all_are_done, NULL, THREADS), 0);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_many_tasks, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    pthread_barrier_destroy(&all_are_done);
    vine_pipe_get_stats(pipe_of_test, &stats);
    assert_int_equal(stats.tasks_in_flight, 0);
    assert_int_equal(stats.ids_refused, 0);
    assert_true(stats.tasks_done >= (uint64_t)THREADS * 2000);
    assert_int_equal(stats.tasks_failed, 0);
}

static void threads_with_channels_of_their_own_do_not_mix_up(void **state)
{
    (void)state;

    start(NULL);
    many_threads();
    assert_int_equal(channels_open(), THREADS);
    stop();
}

static void threads_beyond_the_quota_share_the_last_channel(void **state)
{
    (void)state;
    const struct vine_pipe_options options = {.size_bytes = sizeof options, .channels_max = 3};

    start(&options);
    many_threads();
    assert_int_equal(channels_open(), 3);
    stop();
}

static uint32_t threads_sharing(void)
{
    struct vine_pipe_stats stats;

    vine_pipe_get_stats(pipe_of_test, &stats);
    return stats.threads_sharing;
}

/* What an operator is told, who asks by a pipe of his own, of the oldest one. */
static uint32_t told_sharing(void)
{
    struct vine_pipe *const asker = served_open(&served, NULL);
    struct vine_pipe_facts facts;

    assert_true(vine_inspect_pipes(asker, &facts, 1) >= 2);
    vine_pipe_close(asker);
    assert_false(facts.is_own || facts.is_closed);
    return facts.threads_sharing;
}

#define STAYING 5

static struct staying {
    pthread_t thread;
    pthread_barrier_t steps;
    bool runs_again;
} staying[STAYING];

/* Has a channel, until the test lets it go. */
static void *stay(void *context)
{
    struct staying *self = context;

    do {
        run_once(NULL);
        pthread_barrier_wait(&self->steps);
        pthread_barrier_wait(&self->steps);
    } while (self->runs_again);
    return NULL;
}

static void begin_to_stay(struct staying *self)
{
    self->runs_again = false;
    assert_int_equal(pthread_barrier_init(&self->steps, NULL, 2), 0);
    assert_int_equal(pthread_create(&self->thread, NULL, stay, self), 0);
    pthread_barrier_wait(&self->steps);
}

static void end_to_stay(struct staying *self)
{
    pthread_barrier_wait(&self->steps);
    assert_int_equal(pthread_join(self->thread, NULL), 0);
    pthread_barrier_destroy(&self->steps);
}

static void who_shares_a_channel_is_counted(void **state)
{
    (void)state;
    const struct vine_pipe_options options = {.size_bytes = sizeof options, .channels_max = 3};

    start(&options);
    assert_int_equal(threads_sharing(), 0);
    for (uint32_t i = 0; i < STAYING; i++) {
        begin_to_stay(&staying[i]);
        /* The third one has the last channel, and is alone there. */
        assert_int_equal(threads_sharing(), i < 3 ? 0 : i - 1);
        assert_int_equal(told_sharing(), i < 3 ? 0 : i - 1);
    }
    assert_int_equal(channels_open(), 3);
    /* One that has issued before is not counted twice. */
    staying[4].runs_again = true;
    pthread_barrier_wait(&staying[4].steps);
    pthread_barrier_wait(&staying[4].steps);
    staying[4].runs_again = false;
    assert_int_equal(threads_sharing(), 3);
    /* Who ends does not share any more: one with a channel of its own, then others. */
    end_to_stay(&staying[0]);
    assert_int_equal(threads_sharing(), 3);
    end_to_stay(&staying[3]);
    assert_int_equal(threads_sharing(), 2);
    assert_int_equal(told_sharing(), 2);
    /* The next one finds a channel that is free. */
    begin_to_stay(&staying[0]);
    assert_int_equal(threads_sharing(), 2);
    end_to_stay(&staying[4]);
    /* Nobody has asked here: who uses the pipe looks now and then. */
    while (told_sharing() != 0)
        assert_int_equal(vine_pipe_status(pipe_of_test), 0);
    end_to_stay(&staying[0]);
    end_to_stay(&staying[1]);
    end_to_stay(&staying[2]);
    assert_int_equal(threads_sharing(), 0);
    stop();
}

static void one_channel_is_enough_for_all(void **state)
{
    (void)state;
    const struct vine_pipe_options options = {
        .size_bytes = sizeof options, .channels_max = 1, .tasks_max = 5, .spin_ns = 1};

    start(&options);
    many_threads();
    assert_int_equal(channels_open(), 1);
    stop();
}

static void threads_may_throttle_on_a_shared_channel(void **state)
{
    (void)state;
    const struct vine_pipe_options options = {
        .size_bytes = sizeof options, .channels_max = 1, .tasks_max = 4, .throttle = true};

    start(&options);
    many_threads();
    stop();
}

/* ---- waiting for what another thread issued -------------------------------------------------- */

static struct vine_task *watched;

static void *wait_for_watched(void *unused)
{
    assert_int_equal(vine_task_wait(watched, LIMIT), 0);
    return unused;
}

static void any_number_of_threads_wait_for_one_task(void **state)
{
    (void)state;
    pthread_t threads[THREADS];

    start(NULL);
    for (int round = 0; round < rounds(50, 2000); round++) {
        gate_set(false);
        watched = gate_issue(pipe_of_test, 0, NULL);
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, wait_for_watched, NULL), 0);
        gate_set(true);
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        vine_task_free(watched);
    }
    stop();
}

static pthread_mutex_t hand_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t hand_changed = PTHREAD_COND_INITIALIZER;
static struct vine_task *hand[64];
static int hand_count;
static int hand_total;

/* Waits for tasks that others issued, and frees them. */
static void *take_from_hand(void *unused)
{
    for (;;) {
        pthread_mutex_lock(&hand_lock);
        while (hand_count == 0 && hand_total > 0)
            pthread_cond_wait(&hand_changed, &hand_lock);
        if (hand_count == 0) {
            pthread_mutex_unlock(&hand_lock);
            return unused;
        }
        struct vine_task *task = hand[--hand_count];
        hand_total--;
        pthread_cond_broadcast(&hand_changed);
        pthread_mutex_unlock(&hand_lock);
        assert_int_equal(vine_task_wait(task, LIMIT), 0);
        vine_task_free(task);
    }
}

static void issuing_and_waiting_live_on_different_threads(void **state)
{
    (void)state;
    pthread_t threads[3];
    const int count = rounds(5000, 200000);

    start(NULL);
    hand_total = count;
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_from_hand, NULL), 0);
    for (int i = 0; i < count; i++) {
        struct vine_task *task = NULL;
        int error;

        while ((error = vine_task_issue(pipe_of_test, served_get(pipe_of_test, "noop"), NULL,
                                        &task)) == -EAGAIN)
            assert_true(vine_pipe_poll(pipe_of_test) >= 0);
        assert_int_equal(error, 0);
        pthread_mutex_lock(&hand_lock);
        while (hand_count == 64)
            pthread_cond_wait(&hand_changed, &hand_lock);
        hand[hand_count++] = task;
        pthread_cond_broadcast(&hand_changed);
        pthread_mutex_unlock(&hand_lock);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    stop();
}

static void *open_gate(void *unused)
{
    gate_wait_for(2);
    gate_set(true);
    return unused;
}

static void wait_any_sees_tasks_of_several_channels(void **state)
{
    (void)state;
    struct vine_task *tasks[3] = {NULL, NULL, NULL};
    pthread_t opener;
    size_t index = 9;

    start(NULL);
    for (int i = 0; i < 2; i++)
        in_another_thread(issue_gate, &tasks[i]);
    gate_wait_for(2);
    in_another_thread(issue_gate, &tasks[2]);
    assert_int_equal(channels_open(), 3);
    assert_int_equal(vine_task_wait_any(tasks, 3, 3000000, &index), -ETIMEDOUT);
    assert_int_equal(pthread_create(&opener, NULL, open_gate, NULL), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(vine_task_wait_any(tasks, 3, LIMIT, &index), 0);
        vine_task_free(tasks[index]);
        tasks[index] = NULL;
    }
    assert_int_equal(pthread_join(opener, NULL), 0);
    stop();
}

static void *cancel_watched(void *unused)
{
    assert_int_equal(vine_task_cancel(watched), 0);
    return unused;
}

static void another_thread_cancels_what_we_wait_for(void **state)
{
    (void)state;
    pthread_t canceler;

    start(NULL);
    watched = gate_issue(pipe_of_test, 0, NULL);
    gate_wait_for(1);
    assert_int_equal(pthread_create(&canceler, NULL, cancel_watched, NULL), 0);
    assert_int_equal(vine_task_wait(watched, LIMIT), -VINE_ECANCELED);
    assert_int_equal(pthread_join(canceler, NULL), 0);
    vine_task_free(watched);
    stop();
}

static void *use_data(void *unused)
{
    struct vine_procedure *turn = served_get(pipe_of_test, "turn");

    for (int i = 0; i < rounds(300, 20000); i++) {
        struct vine_data *data = NULL;
        struct vine_data *place = NULL;
        const uint64_t size = 1 + (uint64_t)(i * 37) % 20000;

        assert_int_equal(vine_data_create(pipe_of_test, VINE_TYPE_BYTES, size, &data), 0);
        assert_int_equal(vine_data_expect(pipe_of_test, VINE_TYPE_BYTES, size, &place), 0);
        memset(vine_data_map(data), 'a' + i % 26, size);
        const struct vine_task_options options = {.size_bytes = sizeof options,
                                                  .inputs = &data,
                                                  .input_count = 1,
                                                  .outputs = &place,
                                                  .output_count = 1};
        assert_int_equal(vine_task_run(pipe_of_test, turn, &options, LIMIT, NULL, NULL), 0);
        assert_int_equal(vine_data_size(place), size);
        const char *bytes = vine_data_view(place);
        assert_int_equal(bytes[0], 'A' + i % 26);
        assert_int_equal(bytes[size - 1], 'A' + i % 26);
        vine_data_free(data);
        vine_data_free(place);
    }
    return unused;
}

static void threads_share_the_memory_of_a_pipe(void **state)
{
    (void)state;
    pthread_t threads[4];

    start(NULL);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_data, NULL), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_thread_gets_a_channel_with_its_first_task),
        cmocka_unit_test(the_channel_of_a_dead_thread_goes_to_the_next_one),
        cmocka_unit_test(tasks_of_a_dead_thread_end_all_the_same),
        cmocka_unit_test(threads_with_channels_of_their_own_do_not_mix_up),
        cmocka_unit_test(threads_beyond_the_quota_share_the_last_channel),
        cmocka_unit_test(who_shares_a_channel_is_counted),
        cmocka_unit_test(one_channel_is_enough_for_all),
        cmocka_unit_test(threads_may_throttle_on_a_shared_channel),
        cmocka_unit_test(any_number_of_threads_wait_for_one_task),
        cmocka_unit_test(issuing_and_waiting_live_on_different_threads),
        cmocka_unit_test(wait_any_sees_tasks_of_several_channels),
        cmocka_unit_test(another_thread_cancels_what_we_wait_for),
        cmocka_unit_test(threads_share_the_memory_of_a_pipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
