/* SPDX-License-Identifier: Apache-2.0 */
/* test: long=600 */
/*
 * Every word that an appliance writes, with every value that is likely to hurt, and what it names
 * at the ends of its memory.
 *
 * Fault model: one word at a time, of the half's header, board, channels and ring, of completions,
 * tokens and descriptors, of what it tells of a procedure, and of messages, holds anything. It
 * lives in a process of its own and hangs up when nothing moves any more. The application bears the
 * word or ends the pipe; none of its tasks is left without an end, and another appliance serves it
 * meanwhile. Chance is the same again with VINE_TEST_SEED.
 */
#include "hostile/appliance_fixture.h"
#include "hostile/words.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <vine/appliance.h>

#define TASKS       20u /* of a pipe: more than its rings have slots */
#define IN_FLIGHT   4u
#define PATIENCE_NS 20000000ULL /* without a task the appliance hangs up */

enum place {
    HEADER_AT_WELCOME,
    WELCOME,
    HEADER,
    BOARD,
    CHANNEL_AT_OPENING,
    CHANNEL,
    SLOT,
    COMPLETION,
    COMPLETION_TOKEN,
    DESCRIPTOR,
    DESCRIPTOR_TOKEN,
    DESCRIPTION,
    MESSAGE_HEAD,
    MESSAGE_EXTENT,
    MESSAGE_BYE,
};

struct table {
    enum place place;
    const struct word *words;
    size_t count;
};

#define TABLE(place, words)                                                                        \
    {                                                                                              \
        place, words, VINE_ARRAY_COUNT(words)                                                      \
    }

static bool is_long;
static unsigned seed;

/* ---- the appliance --------------------------------------------------------------------------- */

/* What of the pipe is changed, and how. */
struct change {
    enum place place;
    const struct word *word;
    size_t value; /* which one */
};

static void apply(const struct change *change, enum place place, void *base)
{
    uint64_t values[WORD_VALUES];

    if (change->place != place)
        return;
    word_values(word_get(base, change->word), change->word->bytes, &seed, values);
    word_put(base, change->word, values[change->value]);
}

static bool has_left(const struct raw_appliance *raw)
{
    struct pollfd poll_fd = {.fd = raw->link.socket_fd, .events = POLLRDHUP};

    return vine__load_relaxed_u32(&raw->mirror.layout->board.closed.value) != 0 ||
           (poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & (POLLRDHUP | POLLHUP)) != 0);
}

/* The welcome goes by way of us. */
static void welcome(struct raw_appliance *raw, const struct change *change)
{
    const int socket_fd = raw->socket_fd;
    union vine__talk_any message;
    int ends[2];
    int fd = -1;

    must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), "sockets");
    raw->socket_fd = ends[0];
    raw_appliance_welcome(raw);
    must(vine__talk_receive(ends[1], &message, &fd, RAW_APPLIANCE_NS, &raw->why), "own welcome");
    close(ends[0]);
    close(ends[1]);
    raw->link.socket_fd = socket_fd;
    apply(change, HEADER_AT_WELCOME, vine_segment_base(raw->half.segment));
    apply(change, WELCOME, &message);
    must(vine__peer_send(socket_fd, &message, sizeof message.welcome, &fd, 1, RAW_APPLIANCE_NS),
         "welcome");
    close(fd);
}

/* The next task; false if none comes, as it well may where a word is taken seriously. */
static bool take(struct raw_appliance *raw, const struct change *change,
                 struct vine_wire_submission *ret_submission)
{
    const uint64_t patience_ns = change->place == HEADER ? RAW_APPLIANCE_NS : PATIENCE_NS;
    const uint64_t start_ns = vine__clock_now_ns();

    while (vine__clock_now_ns() - start_ns < patience_ns) {
        if (vine_spsc_pop(&raw->consumer, ret_submission) == 0 &&
            ret_submission->kind == VINE_WIRE_TASK)
            return true;
        if (has_left(raw))
            return false;
        (void)sched_yield();
    }
    return false;
}

static void complete_by_descriptor(struct raw_appliance *raw, const struct change *change,
                                   struct vine_wire_completion *completion)
{
    unsigned char block[sizeof(struct vine_wire_descriptor) + sizeof(struct vine_token)];
    const struct vine_wire_descriptor head = {.size_bytes = sizeof block, .token_count = 1};
    unsigned char *last = completion->body + VINE_RESULT_MAX - sizeof(struct vine_token);

    memcpy(block, &head, sizeof head);
    memcpy(block + sizeof head, last, sizeof(struct vine_token));
    apply(change, DESCRIPTOR, block);
    apply(change, DESCRIPTOR_TOKEN, block + sizeof head);

    const struct vine_token token = raw_appliance_token(raw, block, sizeof block);

    memcpy(last, &token, sizeof token);
    completion->shape = VINE_WIRE_SHAPE(0, VINE_WIRE_DESCRIPTOR);
}

static void send_message(struct raw_appliance *raw, const struct change *change)
{
    struct vine__memory_options options = VINE__MEMORY_OPTIONS_DEFAULT;
    struct vine_talk_extent extent = {
        .head = VINE__TALK_HEAD(VINE_TALK_EXTENT, extent), .index = 1, .size_bytes = 65536};
    struct vine_talk_reason bye = {.head = VINE__TALK_HEAD(VINE_TALK_BYE, bye),
                                   .major = VINE_TALK_MAJOR,
                                   .error = VINE_EFAILED,
                                   .text = "because"};
    struct vine__memory *memory = NULL;
    int fd;

    if (change->place == MESSAGE_BYE) {
        apply(change, MESSAGE_BYE, &bye);
        (void)!vine__peer_send(raw->link.socket_fd, &bye, sizeof bye, NULL, 0, 0);
        return;
    }
    options.backend = VINE__MEMORY_MEMFD;
    options.size_bytes = 65536;
    must(vine__memory_create(&options, &memory), "extent");
    fd = vine__memory_fd(memory);
    apply(change, MESSAGE_HEAD, &extent);
    apply(change, MESSAGE_EXTENT, &extent);
    (void)!vine__peer_send(raw->link.socket_fd, &extent, sizeof extent, &fd, 1, 0);
    vine__memory_close(memory);
}

/* All that may be tried in it before the pipe is closed: nobody looks. */
static void apply_to_header(struct raw_appliance *raw, const struct change *change, size_t value)
{
    const struct change next = {change->place, change->word, value % WORD_VALUES};

    apply(&next, HEADER, vine_segment_base(raw->half.segment));
}

/* The first task of its own: whatever is changed late is changed now. */
static void answer_first(struct raw_appliance *raw, const struct change *change,
                         const struct vine_wire_submission *submission)
{
    const struct vine_token token = raw_appliance_token(raw, "hello", 6);
    const struct vine_wire_completion good = raw_appliance_good(submission, &token);
    struct vine_wire_completion completion = good;

    apply_to_header(raw, change, 0);
    apply(change, BOARD, &raw->half.layout->board);
    apply(change, CHANNEL, &raw->half.layout->channels[0]);
    apply(change, SLOT, vine__spsc_slot_at(&raw->producer, 1));
    if (change->place >= MESSAGE_HEAD)
        send_message(raw, change);
    if (change->place == DESCRIPTOR || change->place == DESCRIPTOR_TOKEN)
        complete_by_descriptor(raw, change, &completion);
    apply(change, COMPLETION_TOKEN, completion.body + VINE_RESULT_MAX - sizeof token);
    apply(change, COMPLETION, &completion);
    raw_appliance_complete(raw, &completion);
    /* The task that it was for may not have recognized it. */
    if (change->place == COMPLETION)
        raw_appliance_complete(raw, &good);
}

static void serve(struct raw_appliance *raw, const struct change *change)
{
    const uint64_t start_ns = vine__clock_now_ns();
    struct vine_wire_description echo = raw_appliance_description("echo");
    const struct vine_channel_layout *theirs;
    struct vine_wire_submission submission;

    while (vine__load_acquire_u32(&raw->mirror.layout->board.channels.value) == 0) {
        if (has_left(raw))
            return;
        must(vine__clock_now_ns() - start_ns > RAW_APPLIANCE_NS ? -ETIMEDOUT : 0, "a channel");
        (void)sched_yield();
    }
    /* With what we seem to grant its ring may have grown beyond what we take. */
    theirs = &raw->mirror.layout->channels[0];
    if (raw->link.operations->receive(&raw->link, &raw->why) != 0 ||
        vine__mirror_resolve(&raw->mirror, theirs->ring_extent, theirs->ring_offset_units,
                             theirs->slot_count * sizeof(struct vine_slot), NULL) == NULL)
        return;
    raw_appliance_meet(raw);
    raw->half.layout->channels[0].state = 1;
    apply(change, CHANNEL_AT_OPENING, &raw->half.layout->channels[0]);
    (void)vine__futex_wake(&raw->half.layout->channels[0].state, INT32_MAX);
    if (!take(raw, change, &submission))
        return;
    apply(change, DESCRIPTION, &echo);

    const struct vine_token answer = raw_appliance_token(raw, &echo, sizeof echo);
    const struct vine_wire_completion completion = raw_appliance_good(&submission, &answer);

    raw_appliance_complete(raw, &completion);
    if (!take(raw, change, &submission))
        return;
    answer_first(raw, change, &submission);
    for (size_t task = 1; take(raw, change, &submission); task++) {
        const struct vine_token token = raw_appliance_token(raw, "hello", 6);
        const struct vine_wire_completion next = raw_appliance_good(&submission, &token);

        apply_to_header(raw, change, task);
        raw_appliance_complete(raw, &next);
    }
}

/* Pipes that are opened for a word of a table. */
static size_t pipes_for(const struct table *table)
{
    return table->place == HEADER ? 1 : WORD_VALUES;
}

/* One pipe for each word and value, as the application opens them. */
static void play_tables(struct raw_appliance *raw, const void *part)
{
    raw->grant.tasks_max = IN_FLIGHT;
    for (const struct table *table = part; table->count > 0; table++)
        for (size_t i = 0; i < table->count; i++)
            for (size_t v = 0; v < pipes_for(table); v++) {
                const struct change change = {table->place, &table->words[i], v};

                raw_appliance_accept(raw);
                welcome(raw, &change);
                serve(raw, &change);
                raw_appliance_hang_up(raw);
            }
}

/* ---- the application ------------------------------------------------------------------------- */

static struct {
    char path[96];
    pid_t process;
    struct vine_pipe *pipe;
} good;

static int run_turn(struct vine_call *call)
{
    size_t size = 0;
    size_t room = 0;
    const unsigned char *from = vine_call_bytes(call, 0, &size);
    unsigned char *to = vine_call_output(call, 1, &room);

    for (size_t i = 0; i < size && i < room; i++)
        to[i] = from[i] ^ 0x20;
    return vine_call_output_size(call, 1, size < room ? size : room);
}

static const struct vine_argument turn_arguments[] = {
    {"input", VINE_INPUT, VINE_TYPE_BYTES, 0, 64},
    {"output", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 64},
};

static const struct vine_procedure_definition turn = {
    .size_bytes = sizeof turn,
    .name = "turn",
    .run = run_turn,
    .arguments = turn_arguments,
    .argument_count = 2,
};

static int be_good(void)
{
    struct vine_appliance *appliance = NULL;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (vine_appliance_create(NULL, &appliance) != 0 ||
        vine_appliance_register(appliance, &turn) != 0 ||
        vine_appliance_listen(appliance, good.path) != 0)
        return 1;
    return vine_appliance_serve(appliance) ? 2 : 0;
}

static int setup_good(void **state)
{
    const struct fixture *fixture;
    int error = -VINE_ENOAPPLIANCE;

    if (setup(state) != 0)
        return -1;
    fixture = *state;
    (void)snprintf(good.path, sizeof good.path, "%s/good", fixture->folder);
    good.process = fork();
    assert_true(good.process >= 0);
    if (good.process == 0)
        _exit(be_good());
    while (error == -VINE_ENOAPPLIANCE) {
        assert_int_equal(waitpid(good.process, NULL, WNOHANG), 0);
        error = vine_pipe_open(good.path, NULL, &good.pipe);
    }
    assert_int_equal(error, 0);
    return 0;
}

static int teardown_good(void **state)
{
    vine_pipe_close(good.pipe);
    assert_int_equal(kill(good.process, SIGKILL), 0);
    assert_int_equal(waitpid(good.process, NULL, 0), good.process);
    (void)unlink(good.path);
    return teardown(state);
}

static void good_serves(void)
{
    char output[5];
    size_t size = 0;

    assert_int_equal(vine_pipe_call(good.pipe, "turn", "Hello", 5, output, sizeof output, &size),
                     0);
    assert_int_equal(size, 5);
    assert_memory_equal(output, "hELLO", 5);
}

/* Open a pipe and have tasks run until one does not. Returns how the pipe stands then. */
static int use_pipe(struct fixture *fixture, const struct word *word, size_t value)
{
    int error = open_pipe_within(fixture, HANG_GUARD_SECONDS * VINE_NS_PER_SECOND);

    if (error)
        return error;
    error = vine_procedure_get(fixture->pipe, "echo", &fixture->echo);
    for (uint32_t i = 0; i < TASKS && !error; i++) {
        struct job job;

        error = issue(fixture, &job);
        if (!error)
            error = vine_task_wait(job.task, HANG_GUARD_SECONDS * VINE_NS_PER_SECOND);
        let_go(&job);
    }
    if (error == -ETIMEDOUT)
        print_error("%s: value %zu: a wait did not end\n", word->name, value);
    assert_int_not_equal(error, -ETIMEDOUT);
    all_have_ended(fixture);
    vine_pipe_close(fixture->pipe);
    fixture->pipe = NULL;
    return error;
}

/* What holds of each value: `is_borne` if nothing may come of it. */
static void try_tables(struct fixture *fixture, const struct table *tables, bool is_borne)
{
    unsigned borne = 0;
    unsigned ended = 0;

    seed = word_seed();
    print_message("seed %u\n", seed);
    begin(fixture, play_tables, tables);
    for (const struct table *table = tables; table->count > 0; table++)
        for (size_t i = 0; i < table->count; i++)
            for (size_t v = 0; v < pipes_for(table); v++) {
                (void)alarm(2 * HANG_GUARD_SECONDS);

                const int error = use_pipe(fixture, &table->words[i], v);

                if (error)
                    ended++;
                else
                    borne++;
                if (is_borne && error)
                    print_error("%s: value %zu: %s\n", table->words[i].name, v,
                                vine_error_text(error));
                assert_true(!is_borne || error == 0);
                if (is_long || (borne + ended) % 8 == 0)
                    good_serves();
            }
    end(fixture);
    good_serves();
    print_message("%u pipes worked on, %u ended\n", borne, ended);
    assert_true(borne > 0);
    assert_true(is_borne || ended > 0);
}

static void any_word_of_a_welcome_and_of_its_half_may_be_anything(void **state)
{
    static const struct table tables[] = {
        TABLE(WELCOME, welcome_words), TABLE(HEADER_AT_WELCOME, header_words), {.count = 0}};

    try_tables(*state, tables, false);
}

static void no_word_of_a_header_matters_after_the_handshake(void **state)
{
    static const struct table tables[] = {TABLE(HEADER, header_words), {.count = 0}};

    try_tables(*state, tables, true);
}

static void any_word_of_a_board_a_channel_and_a_slot_may_be_anything(void **state)
{
    static const struct table tables[] = {TABLE(BOARD, board_words),
                                          TABLE(CHANNEL, channel_words),
                                          TABLE(CHANNEL_AT_OPENING, channel_words),
                                          TABLE(SLOT, slot_words),
                                          {.count = 0}};

    try_tables(*state, tables, false);
}

static void any_word_of_a_completion_may_be_anything(void **state)
{
    static const struct table tables[] = {TABLE(COMPLETION, completion_words),
                                          TABLE(COMPLETION_TOKEN, token_words),
                                          TABLE(DESCRIPTOR, descriptor_words),
                                          TABLE(DESCRIPTOR_TOKEN, token_words),
                                          {.count = 0}};

    try_tables(*state, tables, false);
}

static void any_word_of_a_description_and_of_a_message_may_be_anything(void **state)
{
    static const struct table tables[] = {TABLE(DESCRIPTION, description_words),
                                          TABLE(MESSAGE_HEAD, head_words),
                                          TABLE(MESSAGE_EXTENT, extent_words),
                                          TABLE(MESSAGE_BYE, reason_words),
                                          {.count = 0}};

    try_tables(*state, tables, false);
}

/* ---- ends of its memory ---------------------------------------------------------------------- */

#define ROOM 65536u

/* A result as the appliance tells of it: so many bytes that begin so many units before the end of
 * an extent. */
struct border {
    uint32_t extent;
    uint32_t units_before;
    uint32_t length;
    int error;
};

/* Take so many bytes, which are the last ones of an extent, and write into the last of them. */
static void fill(struct raw_appliance *raw, uint32_t extent, uint64_t bytes)
{
    const struct vine__half_extent *at;
    struct vine__box box;

    must(vine__half_alloc(&raw->half, bytes, &box), "memory");
    at = &raw->half.extents[extent];
    must(box.extent == extent &&
                 VINE_TALK_UNIT * (uint64_t)box.offset_units + bytes == at->size_bytes
             ? 0
             : -EINVAL,
         "an extent's end");
    memset(at->base + at->size_bytes - ROOM, 7, ROOM);
    at->base[at->size_bytes - 1] = 9;
}

static void answer_at_border(struct raw_appliance *raw, const void *part)
{
    const struct vine_wire_description echo = raw_appliance_description("echo");
    struct vine_wire_submission submission;

    for (const struct border *border = part; border->length > 0; border++) {
        raw_appliance_accept(raw);
        raw_appliance_welcome(raw);
        fill(raw, 0, ROOM);
        raw_appliance_meet(raw);
        raw_appliance_open_channel(raw);
        raw_appliance_describe(raw, &echo, sizeof echo);
        raw_appliance_take(raw, &submission);
        fill(raw, 1, 2 * VINE__HALF_BYTES);

        const struct vine__half_extent *extent = &raw->half.extents[border->extent % 2];
        const struct vine_token token = {
            .extent = (uint16_t)border->extent,
            .offset_units = (uint32_t)(extent->size_bytes / VINE_TALK_UNIT) - border->units_before,
            .length = border->length,
            .generation = 1,
            .type = VINE_TYPE_BYTES,
        };
        const struct vine_wire_completion completion = raw_appliance_good(&submission, &token);

        raw_appliance_complete(raw, &completion);
        while (!has_left(raw))
            (void)sched_yield();
        raw_appliance_hang_up(raw);
    }
}

static void results_end_with_their_extent_and_not_beyond(void **state)
{
    struct fixture *fixture = *state;
    static unsigned char bytes[ROOM];
    static const struct border borders[] = {
        {0, 1, 1, 0},
        {0, 1, 64, 0},
        {0, 1024, ROOM, 0},
        {0, 1, 65, -VINE_ECORRUPT},
        {0, 1, ROOM, -VINE_ECORRUPT},
        {0, 1023, ROOM, -VINE_ECORRUPT},
        {0, 0, 1, -VINE_ECORRUPT},
        {0, UINT32_MAX, 64, -VINE_ECORRUPT},
        {0, 1u << 26, 64, -VINE_ECORRUPT},
        {0, 1u << 31, 64, -VINE_ECORRUPT},
        {1, 1, 64, 0},
        {1, 1024, ROOM, 0},
        {1, 1, 65, -VINE_ECORRUPT},
        {1, 1023, ROOM, -VINE_ECORRUPT},
        {1, 0, 1, -VINE_ECORRUPT},
        {1, 1u << 26, 64, -VINE_ECORRUPT},
        {2, 1024, 64, -VINE_ECORRUPT},
        {UINT16_MAX, 1024, 64, -VINE_ECORRUPT},
        {.length = 0},
    };

    begin(fixture, answer_at_border, borders);
    for (const struct border *border = borders; border->length > 0; border++) {
        struct vine_data *input = NULL;
        struct vine_data *output = NULL;
        struct vine_task *task = NULL;

        (void)alarm(HANG_GUARD_SECONDS);
        open_echo(fixture);
        assert_int_equal(vine_data_create(fixture->pipe, VINE_TYPE_BYTES, 1, &input), 0);
        assert_int_equal(vine_data_expect(fixture->pipe, VINE_TYPE_BYTES, ROOM, &output), 0);

        const struct vine_task_options options = {
            .size_bytes = sizeof options,
            .inputs = &input,
            .input_count = 1,
            .outputs = &output,
            .output_count = 1,
        };

        assert_int_equal(vine_task_issue(fixture->pipe, fixture->echo, &options, &task), 0);
        assert_int_equal(vine_task_wait(task, LATEST_NS), border->error);
        if (border->error == 0) {
            const bool is_last = border->units_before * (uint64_t)VINE_TALK_UNIT == border->length;

            assert_int_equal(vine_data_size(output), border->length);
            assert_int_equal(vine_data_read(output, 0, bytes, border->length), 0);
            assert_int_equal(bytes[0], 7);
            assert_int_equal(bytes[border->length - 1], is_last ? 9 : 7);
        }
        vine_task_free(task);
        vine_data_free(output);
        vine_data_free(input);
        vine_pipe_close(fixture->pipe);
        fixture->pipe = NULL;
        good_serves();
    }
    end(fixture);
}

#define BESIDE_GOOD(test) cmocka_unit_test_setup_teardown(test, setup_good, teardown_good)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BESIDE_GOOD(any_word_of_a_welcome_and_of_its_half_may_be_anything),
        BESIDE_GOOD(no_word_of_a_header_matters_after_the_handshake),
        BESIDE_GOOD(any_word_of_a_board_a_channel_and_a_slot_may_be_anything),
        BESIDE_GOOD(any_word_of_a_completion_may_be_anything),
        BESIDE_GOOD(any_word_of_a_description_and_of_a_message_may_be_anything),
        BESIDE_GOOD(results_end_with_their_extent_and_not_beyond),
    };

    is_long = getenv("VINE_TEST_LONG") != NULL;
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
