/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channels: what they refuse, the bound of what is in flight, then the three flavours over both
 * kinds of ring.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include <vine/channel.h>
#include <vine/error.h>

struct question {
    uint32_t a;
    uint32_t b;
};

struct answer {
    uint64_t sum;
    unsigned char rest[VINE_CHANNEL_BYTES - 8];
};

VINE_CHANNEL_TYPES(adder, struct question, struct answer);
VINE_CHANNEL_BARE(tiny, struct question, struct answer, 4);

#define HOUR (3600 * VINE_NS_PER_SECOND)

struct channel {
    void *submitter_side;
    void *completer_side;
    struct adder_submitter submitter;
    struct adder_completer completer;
};

static void *side(uint32_t slot_count)
{
    const size_t size = vine_channel_side_size(slot_count);
    void *memory = aligned_alloc(64, size);

    assert_non_null(memory);
    memset(memory, 0, size);
    return memory;
}

static struct vine_channel_options small(void)
{
    return (struct vine_channel_options){
        .size_bytes = sizeof(struct vine_channel_options),
        .submission_slots = 8,
        .completion_slots = 4,
        .wait = {.backstop_ns = HOUR},
    };
}

static struct channel *open_channel(const struct vine_channel_options *options)
{
    struct channel *channel = malloc(sizeof(*channel));

    assert_non_null(channel);
    channel->submitter_side = side(options->submission_slots);
    channel->completer_side = side(options->completion_slots);
    assert_int_equal(vine_submitter_init(&channel->submitter.end, channel->submitter_side,
                                         channel->completer_side, options),
                     0);
    assert_int_equal(vine_completer_init(&channel->completer.end, channel->completer_side,
                                         channel->submitter_side, options),
                     0);
    return channel;
}

static void close_channel(struct channel *channel)
{
    free(channel->submitter_side);
    free(channel->completer_side);
    free(channel);
}

/* Take one submission and complete it. */
static void serve_one(struct channel *channel)
{
    struct question question;
    struct answer answer = {.sum = 0};

    assert_int_equal(adder_submission(&channel->completer, &question), 0);
    answer.sum = (uint64_t)question.a + question.b;
    assert_int_equal(adder_complete(&channel->completer, &answer), 0);
}

static void ends_refuse_impossible_counts_and_options(void **state)
{
    struct vine_channel_options options = small();
    struct vine_submitter submitter;
    struct vine_completer completer;
    void *ours = side(8);
    void *theirs = side(8);
    (void)state;

    assert_int_equal(vine_channel_side_size(0), 0);
    assert_int_equal(vine_channel_side_size(3), 0);
    assert_int_equal(vine_channel_side_size(UINT32_MAX), 0);
    options.submission_slots = 3;
    assert_int_equal(vine_submitter_init(&submitter, ours, theirs, &options), -EINVAL);
    assert_int_equal(vine_completer_init(&completer, ours, theirs, &options), -EINVAL);
    options = small();
    assert_int_equal(vine_submitter_init(&submitter, NULL, theirs, &options), -EINVAL);
    assert_int_equal(vine_submitter_init(&submitter, ours, NULL, &options), -EINVAL);
    options.size_bytes--;
    assert_int_equal(vine_submitter_init(&submitter, ours, theirs, &options), -EINVAL);
    assert_int_equal(vine_completer_init(&completer, ours, theirs, &options), -EINVAL);
    options = small();
    options.wait.size_bytes = 1;
    assert_int_equal(vine_submitter_init(&submitter, ours, theirs, &options), -EINVAL);
    free(ours);
    free(theirs);
}

static void no_more_is_in_flight_than_there_is_room_to_complete(void **state)
{
    const struct vine_channel_options options = small();
    struct channel *channel = open_channel(&options);
    const struct question question = {.a = 1, .b = 2};
    const struct question many[8] = {{.a = 1}};
    struct answer answer = {.sum = 0};
    (void)state;

    for (int n = 0; n < 3; n++)
        assert_int_equal(adder_submit(&channel->submitter, &question), 0);
    assert_int_equal(vine_submitter_submit_burst(&channel->submitter.end, many, sizeof(many[0]), 8),
                     1);
    assert_int_equal(adder_submit(&channel->submitter, &question), -EAGAIN);
    assert_int_equal(adder_submit_wait(&channel->submitter, &question, HOUR), -EAGAIN);
    assert_int_equal(vine_submitter_submit_burst(&channel->submitter.end, many, sizeof(many[0]), 8),
                     0);
    for (int n = 0; n < 4; n++)
        serve_one(channel);
    assert_int_equal(adder_submit(&channel->submitter, &question), -EAGAIN);
    assert_int_equal(adder_completion(&channel->submitter, &answer), 0);
    assert_int_equal(answer.sum, 3);
    assert_int_equal(adder_submit(&channel->submitter, &question), 0);
    close_channel(channel);
}

static void surplus_completions_do_not_make_room_beyond_the_bound(void **state)
{
    const struct vine_channel_options options = small();
    struct channel *channel = open_channel(&options);
    const struct answer forged = {.sum = 9};
    const struct question question = {.a = 1};
    struct answer answer;
    (void)state;

    for (int n = 0; n < 3; n++)
        assert_int_equal(adder_complete(&channel->completer, &forged), 0);
    for (int n = 0; n < 3; n++)
        assert_int_equal(adder_completion(&channel->submitter, &answer), 0);
    for (int n = 0; n < 4; n++)
        assert_int_equal(adder_submit(&channel->submitter, &question), 0);
    assert_int_equal(adder_submit(&channel->submitter, &question), -EAGAIN);
    close_channel(channel);
}

static void a_corrupt_ring_is_reported_through_a_channel(void **state)
{
    const struct vine_channel_options options = small();
    struct channel *channel = open_channel(&options);
    struct answer answer;
    (void)state;

    ((struct vine_slot *)((struct vine_channel_side *)channel->completer_side + 1))->sequence = 3;
    assert_int_equal(adder_completion(&channel->submitter, &answer), -VINE_ECORRUPT);
    assert_int_equal(adder_completion_wait(&channel->submitter, &answer, HOUR), -VINE_ECORRUPT);
    close_channel(channel);
}

static void waits_time_out(void **state)
{
    struct vine_channel_options options = small();
    struct channel *channel;
    struct question question = {.a = 1};
    struct answer answer = {.sum = 0};
    (void)state;

    options.submission_slots = 2;
    channel = open_channel(&options);
    assert_int_equal(adder_completion_wait(&channel->submitter, &answer, 0), -ETIMEDOUT);
    assert_int_equal(adder_completion_wait(&channel->submitter, &answer, 1000), -ETIMEDOUT);
    assert_int_equal(adder_submission_wait(&channel->completer, &question, 1000), -ETIMEDOUT);
    assert_int_equal(adder_submit(&channel->submitter, &question), 0);
    assert_int_equal(adder_submit(&channel->submitter, &question), 0);
    assert_int_equal(adder_submit(&channel->submitter, &question), -EAGAIN);
    assert_int_equal(adder_submit_wait(&channel->submitter, &question, 1000), -ETIMEDOUT);
    for (int n = 0; n < 4; n++)
        assert_int_equal(adder_complete(&channel->completer, &answer), 0);
    assert_int_equal(adder_complete_wait(&channel->completer, &answer, 1000), -ETIMEDOUT);
    close_channel(channel);
}

static void bursts_pass_through_a_channel(void **state)
{
    const struct vine_channel_options options = small();
    struct channel *channel = open_channel(&options);
    const struct question questions[4] = {{1, 1}, {2, 2}, {3, 3}, {4, 4}};
    const struct answer answers[4] = {{.sum = 2}, {.sum = 4}, {.sum = 6}, {.sum = 8}};
    unsigned char bytes[8 * VINE_SPSC_BYTES];
    (void)state;

    assert_int_equal(
        vine_submitter_submit_burst(&channel->submitter.end, questions, sizeof(questions[0]), 4),
        4);
    assert_int_equal(vine_receiver_receive_burst(&channel->completer.end.in, bytes, 8), 4);
    assert_memory_equal(bytes + 3 * VINE_SPSC_BYTES, &questions[3], sizeof(questions[3]));
    assert_int_equal(
        vine_sender_send_burst(&channel->completer.end.out, answers, sizeof(answers[0]), 4), 4);
    assert_int_equal(vine_submitter_receive_burst(&channel->submitter.end, bytes, 8), 4);
    assert_memory_equal(bytes + 2 * VINE_SPSC_BYTES, &answers[2], sizeof(answers[2]));
    close_channel(channel);
}

static void count_call(void *context)
{
    ++*(unsigned *)context;
}

static void an_async_submitter_is_told_by_a_call(void **state)
{
    const struct vine_channel_options options = small();
    struct channel *channel = open_channel(&options);
    const struct question question = {.a = 1, .b = 1};
    struct answer answer;
    unsigned calls = 0;
    (void)state;

    assert_int_equal(vine_completer_notify_call(&channel->completer.end, NULL, NULL), -EINVAL);
    assert_int_equal(vine_completer_notify_eventfd(&channel->completer.end, -1), -EINVAL);
    assert_int_equal(vine_completer_notify_call(&channel->completer.end, count_call, &calls), 0);
    assert_int_equal(vine_submitter_arm(&channel->submitter.end), 0);
    assert_int_equal(adder_submit(&channel->submitter, &question), 0);
    assert_int_equal(adder_submit(&channel->submitter, &question), 0);
    serve_one(channel);
    serve_one(channel);
    assert_int_equal(calls, 1);
    vine_submitter_disarm(&channel->submitter.end);
    assert_int_equal(vine_submitter_arm(&channel->submitter.end), -EALREADY);
    assert_int_equal(adder_completion(&channel->submitter, &answer), 0);
    assert_int_equal(adder_completion(&channel->submitter, &answer), 0);
    assert_int_equal(adder_completion(&channel->submitter, &answer), -EAGAIN);
    close_channel(channel);
}

static void an_async_completer_is_told_by_an_eventfd_until_it_is_awake(void **state)
{
    const struct vine_channel_options options = small();
    struct channel *channel = open_channel(&options);
    const struct question question = {.a = 1, .b = 1};
    const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    uint64_t told = 0;
    (void)state;

    assert_true(fd >= 0);
    assert_int_equal(vine_submitter_notify_eventfd(&channel->submitter.end, fd), 0);
    assert_int_equal(adder_submit(&channel->submitter, &question), 0);
    assert_int_equal(read(fd, &told, sizeof(told)), -1); /* nobody slept */
    assert_int_equal(vine_completer_arm(&channel->completer.end), -EALREADY);
    vine_completer_disarm(&channel->completer.end);
    serve_one(channel);
    assert_int_equal(vine_completer_arm(&channel->completer.end), 0);
    assert_int_equal(adder_submit(&channel->submitter, &question), 0);
    assert_int_equal(adder_submit(&channel->submitter, &question), 0);
    assert_int_equal(read(fd, &told, sizeof(told)), sizeof(told));
    assert_int_equal(told, 1);
    vine_completer_disarm(&channel->completer.end);
    assert_int_equal(adder_submit(&channel->submitter, &question), 0);
    assert_int_equal(read(fd, &told, sizeof(told)), -1);
    close(fd);
    close_channel(channel);
}

static void the_bare_flavour_is_slots_and_nothing_else(void **state)
{
    struct tiny_side *ours = aligned_alloc(64, sizeof(*ours));
    struct tiny_side *theirs = aligned_alloc(64, sizeof(*theirs));
    struct tiny_submitter submitter;
    struct tiny_completer completer;
    struct question question = {.a = 20, .b = 22};
    struct answer answer = {.sum = 0};
    (void)state;

    assert_non_null(ours);
    assert_non_null(theirs);
    assert_int_equal(sizeof(*ours), 5 * 64);
    memset(ours, 0, sizeof(*ours));
    memset(theirs, 0, sizeof(*theirs));
    assert_int_equal(tiny_submitter_init(&submitter, ours, theirs), 0);
    assert_int_equal(tiny_completer_init(&completer, theirs, ours), 0);
    assert_int_equal(tiny_submission(&completer, &question), -EAGAIN);
    for (int n = 0; n < 4; n++)
        assert_int_equal(tiny_submit(&submitter, &question), 0);
    assert_int_equal(tiny_submit(&submitter, &question), -EAGAIN);
    question.a = 0;
    assert_int_equal(tiny_submission(&completer, &question), 0);
    answer.sum = (uint64_t)question.a + question.b;
    assert_int_equal(tiny_complete(&completer, &answer), 0);
    answer.sum = 0;
    assert_int_equal(tiny_completion(&submitter, &answer), 0);
    assert_int_equal(answer.sum, 42);
    free(ours);
    free(theirs);
}

/* ---- threads --------------------------------------------------------------------------------- */

#define ROUNDS 5000U

static void *serve(void *context)
{
    struct channel *channel = (struct channel *)context;

    for (uint32_t n = 0; n < ROUNDS; n++) {
        struct question question;
        struct answer answer = {.sum = 0};

        if (adder_submission_wait(&channel->completer, &question, VINE_FOREVER) != 0)
            return channel;
        answer.sum = (uint64_t)question.a + question.b;
        if (adder_complete_wait(&channel->completer, &answer, VINE_FOREVER) != 0)
            return channel;
    }
    return NULL;
}

static void ask(enum vine_wait_mode mode, uint64_t spin_ns)
{
    struct vine_channel_options options = small();
    struct channel *channel;
    pthread_t thread;
    void *failed;
    uint32_t asked = 0;
    uint32_t answered = 0;

    options.wait.mode = mode;
    options.wait.spin_ns = spin_ns;
    channel = open_channel(&options);
    assert_int_equal(pthread_create(&thread, NULL, serve, channel), 0);
    while (answered < ROUNDS) {
        const struct question question = {.a = asked, .b = 1};
        struct answer answer = {.sum = 0};
        int error = -EAGAIN;

        if (asked < ROUNDS)
            error = adder_submit(&channel->submitter, &question);
        if (error == 0) {
            asked++;
            continue;
        }
        assert_int_equal(error, -EAGAIN);
        assert_int_equal(adder_completion_wait(&channel->submitter, &answer, VINE_FOREVER), 0);
        assert_int_equal(answer.sum, answered + 1);
        answered++;
    }
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    close_channel(channel);
}

static void a_thread_serves_another_sleeping_or_spinning(void **state)
{
    (void)state;
    ask(VINE_WAIT_SLEEPY, 0);
    ask(VINE_WAIT_SLEEPY, 1);
    if (vine_wait_mode_choose(VINE_WAIT_STREAM) == VINE_WAIT_STREAM) {
        ask(VINE_WAIT_STREAM, 0);
        ask(VINE_WAIT_STREAM, 1);
    }
}

struct hall {
    struct vine_completer completer;
    uint32_t rounds;
};

static void *serve_hall(void *context)
{
    struct hall *hall = (struct hall *)context;
    struct vine_completer completer;

    if (vine_completer_clone(&completer, &hall->completer) != 0)
        return hall;
    for (uint32_t n = 0; n < hall->rounds; n++) {
        uint64_t words[7];

        if (vine_receiver_receive_wait(&completer.in, words, VINE_FOREVER) != 0)
            return hall;
        words[1] = words[0] + 1;
        if (vine_sender_send_wait(&completer.out, words, sizeof(words), VINE_FOREVER) != 0)
            return hall;
    }
    return NULL;
}

static void many_completers_serve_one_submitter_over_mpmc(void **state)
{
    const size_t size = vine_mpmc_size(8);
    void *memory[2] = {aligned_alloc(64, size), aligned_alloc(64, size)};
    struct vine_mpmc queues[2];
    struct vine_submitter submitter;
    struct vine_submitter spsc_submitter = {.out.kind = VINE_RING_SPSC};
    struct hall hall = {.rounds = ROUNDS};
    pthread_t threads[2];
    uint32_t asked = 0;
    uint64_t sum = 0;
    (void)state;

    for (int n = 0; n < 2; n++) {
        assert_non_null(memory[n]);
        assert_int_equal(vine_mpmc_format(memory[n], size, 8), 0);
        assert_int_equal(vine_mpmc_attach(&queues[n], memory[n], size), 0);
    }
    assert_int_equal(vine_submitter_init_mpmc(&submitter, &queues[0], &queues[1], NULL), 0);
    assert_int_equal(vine_completer_init_mpmc(&hall.completer, &queues[0], &queues[1], NULL), 0);
    assert_int_equal(vine_submitter_clone(&submitter, &spsc_submitter), -EINVAL);
    assert_int_equal(vine_submitter_arm(&submitter), -EINVAL);
    assert_int_equal(vine_submitter_notify_eventfd(&submitter, 0), -EINVAL);
    assert_int_equal(vine_submitter_notify_call(&submitter, count_call, NULL), -EINVAL);
    assert_int_equal(vine_completer_arm(&hall.completer), -EINVAL);
    for (int n = 0; n < 2; n++)
        assert_int_equal(pthread_create(&threads[n], NULL, serve_hall, &hall), 0);
    for (uint32_t answered = 0; answered < 2 * ROUNDS;) {
        const uint64_t number = asked;
        uint64_t words[7];
        int error = -EAGAIN;

        if (asked < 2 * ROUNDS && asked - answered < 8)
            error = vine_submitter_submit(&submitter, &number, sizeof(number));
        if (error == 0) {
            asked++;
            continue;
        }
        assert_int_equal(error, -EAGAIN);
        assert_int_equal(vine_submitter_receive_wait(&submitter, words, VINE_FOREVER), 0);
        assert_int_equal(words[1], words[0] + 1);
        sum += words[0];
        answered++;
    }
    assert_int_equal(sum, (uint64_t)ROUNDS * (2 * ROUNDS - 1));
    for (int n = 0; n < 2; n++) {
        void *failed;

        assert_int_equal(pthread_join(threads[n], &failed), 0);
        assert_null(failed);
        free(memory[n]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_refuse_impossible_counts_and_options),
        cmocka_unit_test(no_more_is_in_flight_than_there_is_room_to_complete),
        cmocka_unit_test(surplus_completions_do_not_make_room_beyond_the_bound),
        cmocka_unit_test(a_corrupt_ring_is_reported_through_a_channel),
        cmocka_unit_test(waits_time_out),
        cmocka_unit_test(bursts_pass_through_a_channel),
        cmocka_unit_test(an_async_submitter_is_told_by_a_call),
        cmocka_unit_test(an_async_completer_is_told_by_an_eventfd_until_it_is_awake),
        cmocka_unit_test(the_bare_flavour_is_slots_and_nothing_else),
        cmocka_unit_test(a_thread_serves_another_sleeping_or_spinning),
        cmocka_unit_test(many_completers_serve_one_submitter_over_mpmc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
