/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/core/talk/liar.h - an appliance that a test plays, step by step, and an honest
 * application.
 *
 * Owns:     one of each a program.
 * Threads:  the test's, and one that shakes hands or answers a question.
 * Blocking: while they do.
 * Limits:   one channel.
 */
#ifndef VINE_TESTS_LIAR_H
#define VINE_TESTS_LIAR_H

#include "harness/must.h"
#include "served.h"

#include "arch/peer/peer.h"
#include "arch/wake/futex.h"
#include "core/ring/spsc_inline.h"
#include "core/talk/half.h"
#include "core/talk/link.h"
#include "core/talk/message.h"
#include "core/talk/mirror.h"

#define SLOTS 256u

static struct {
    char folder[32];
    char path[64];
    struct vine__peer_listener listener;
    pthread_t thread; /* that shakes hands and answers questions */
    struct vine__link link;
    struct vine__half half;
    struct vine__mirror mirror;
    struct vine__agreement agreement;
    struct vine_spsc_consumer submissions;
    struct vine_spsc_producer completions;
    struct vine_slot *slots;
    struct vine__why why;
    const void *answer; /* to the next question */
    size_t answer_size;
    struct vine_pipe *pipe; /* the honest application's */
} liar;

static char told[512];

static inline void take_log(void *context, enum vine_log_level level, const char *message)
{
    (void)context;
    (void)level;
    (void)snprintf(told, sizeof told, "%s", message);
}

static inline void *shake_hands(void *unused)
{
    const struct vine__grant grant = {
        .name = "liar",
        .channels_max = 2,
        .tasks_max = 192,
        .memory_max_bytes = 16u << 20,
        .generation = 1,
        .why = &liar.why,
    };
    union vine__talk_any message;
    int socket_fd = -1;
    int half_fd = -1;

    MUST_BE(vine__peer_accept(liar.listener.fd, LIMIT, &socket_fd), 0);
    MUST_BE(vine__talk_receive(socket_fd, &message, &half_fd, LIMIT, &liar.why), 0);
    vine__link_init(&liar.link, &liar.half, &liar.mirror);
    liar.link.socket_fd = socket_fd;
    MUST_BE(vine__link_welcome(&liar.link, &message.hello, half_fd, &grant, &liar.agreement), 0);
    close(half_fd);
    return unused;
}

static inline void start(void)
{
    const struct vine_pipe_options options = {
        .size_bytes = sizeof options, .log = take_log, .spin_ns = 1};

    memset(&liar, 0, sizeof liar);
    told[0] = 0;
    (void)snprintf(liar.folder, sizeof liar.folder, "/tmp/vine-test-XXXXXX");
    assert_non_null(mkdtemp(liar.folder));
    (void)snprintf(liar.path, sizeof liar.path, "%s/socket", liar.folder);
    assert_int_equal(vine__peer_listen(&liar.listener, liar.path, NULL), 0);
    assert_int_equal(pthread_create(&liar.thread, NULL, shake_hands, NULL), 0);
    assert_int_equal(vine_pipe_open(liar.path, &options, &liar.pipe), 0);
    assert_int_equal(pthread_join(liar.thread, NULL), 0);
}

static inline void stop(void)
{
    vine_pipe_close(liar.pipe);
    liar.link.operations->close(&liar.link);
    vine__mirror_close(&liar.mirror);
    vine__half_close(&liar.half);
    vine__peer_listener_close(&liar.listener);
    char lock[80];
    (void)snprintf(lock, sizeof lock, "%s.lock", liar.path);
    (void)unlink(lock);
    (void)unlink(liar.path);
    (void)rmdir(liar.folder);
}

/* Open our end of channel 0, as it should be; its record is shown last. */
static inline void prepare_channel(void)
{
    const struct vine_channel_layout *theirs = &liar.mirror.layout->channels[0];
    struct vine_channel_layout *ours = &liar.half.layout->channels[0];
    struct vine__box box;
    const void *ring;

    assert_int_equal(vine__load_acquire_u32(&liar.mirror.layout->board.channels.value), 1);
    ring = vine__mirror_resolve(&liar.mirror, theirs->ring_extent, theirs->ring_offset_units,
                                (uint64_t)theirs->slot_count * sizeof(struct vine_slot), NULL);
    assert_non_null(ring);
    assert_int_equal(
        vine_spsc_consumer_init(&liar.submissions, ring, theirs->slot_count, &ours->consumed.value),
        0);
    assert_int_equal(vine__half_alloc(&liar.half, SLOTS * sizeof(struct vine_slot), &box), 0);
    memset(box.memory, 0, SLOTS * sizeof(struct vine_slot));
    liar.slots = box.memory;
    assert_int_equal(
        vine_spsc_producer_init(&liar.completions, box.memory, SLOTS, &theirs->consumed.value), 0);
    ours->slot_count = SLOTS;
    ours->ring_extent = box.extent;
    ours->ring_offset_units = box.offset_units;
    ours->wait_mode = theirs->wait_mode;
}

static inline void show_channel(void)
{
    uint32_t *state = &liar.half.layout->channels[0].state;

    vine__store_release_u32(state, 1);
    (void)vine__futex_wake(state, INT32_MAX);
}

static inline void take(struct vine_wire_submission *ret_submission)
{
    assert_int_equal(vine_spsc_pop(&liar.submissions, ret_submission), 0);
}

static inline void complete(const struct vine_wire_completion *completion)
{
    uint32_t *word = (uint32_t *)&liar.slots[liar.completions.position % SLOTS].sequence;

    assert_int_equal(vine_spsc_push(&liar.completions, completion, sizeof *completion), 0);
    (void)vine__futex_wake(word, INT32_MAX); /* else whoever sleeps would look in its own time */
}

/* Play the appliance on a thread until one look-up has its answer. */
static inline void *answer_one(void *unused)
{
    struct vine_wire_completion completion = {.kind = VINE_WIRE_TASK};
    struct vine_wire_submission submission;
    struct vine_box box;

    if (liar.slots == NULL) {
        while (vine__load_acquire_u32(&liar.mirror.layout->board.channels.value) == 0)
            sched_yield();
        prepare_channel();
        show_channel();
    }
    do
        while (vine_spsc_pop(&liar.submissions, &submission) != 0)
            sched_yield();
    while ((submission.kind & VINE_WIRE_KIND_MASK) != VINE_WIRE_TASK);
    completion.operation = submission.operation;
    completion.shape = VINE_WIRE_SHAPE(0, 1);
    if (liar.answer_size > 0) {
        MUST_BE(vine__half_create_box(&liar.half, VINE_TYPE_BYTES, liar.answer_size, 0, &box), 0);
        memcpy(box.memory, liar.answer, liar.answer_size);
        memcpy(completion.body + 16, &box.token, 16);
    }
    complete(&completion);
    return unused;
}

static inline int get_procedure(const char *name, const void *answer, size_t size,
                                struct vine_procedure **ret_procedure)
{
    liar.answer = answer;
    liar.answer_size = size;
    assert_int_equal(pthread_create(&liar.thread, NULL, answer_one, NULL), 0);
    const int error = vine_procedure_get(liar.pipe, name, ret_procedure);
    assert_int_equal(pthread_join(liar.thread, NULL), 0);
    return error;
}

/* A description of a procedure with one input and two outputs. */
static inline struct vine_wire_description description(void)
{
    struct vine_wire_description wire = {.name = "lie", .id = 16, .argument_count = 4};

    for (uint32_t i = 0; i < 3; i++)
        wire.arguments[i] = (struct vine_wire_argument){.name = "x",
                                                        .kind = i ? VINE_OUTPUT : VINE_INPUT,
                                                        .data_type = VINE_TYPE_U32,
                                                        .max = 4096};
    wire.arguments[3] = (struct vine_wire_argument){.name = "r", .kind = VINE_RESULT, .max = 32};
    return wire;
}

static struct vine_data *input;
static struct vine_data *outputs[2];

/* A task of it, taken by us. */
static inline struct vine_task *issue(struct vine_wire_submission *ret_submission)
{
    const struct vine_wire_description wire = description();
    struct vine_procedure *procedure = NULL;
    struct vine_task *task = NULL;

    assert_int_equal(get_procedure("lie", &wire, sizeof wire, &procedure), 0);
    assert_int_equal(vine_data_create(liar.pipe, VINE_TYPE_U32, 64, &input), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(vine_data_expect(liar.pipe, VINE_TYPE_U32, 64, &outputs[i]), 0);
    const struct vine_task_options options = {.size_bytes = sizeof options,
                                              .inputs = &input,
                                              .input_count = 1,
                                              .outputs = outputs,
                                              .output_count = 2};
    assert_int_equal(vine_task_issue(liar.pipe, procedure, &options, &task), 0);
    do
        take(ret_submission);
    while ((ret_submission->kind & VINE_WIRE_KIND_MASK) != VINE_WIRE_TASK);
    return task;
}

static inline uint64_t ids_refused(void)
{
    struct vine_pipe_stats stats;

    vine_pipe_get_stats(liar.pipe, &stats);
    return stats.ids_refused;
}

#endif
