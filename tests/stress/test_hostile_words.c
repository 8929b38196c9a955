/* SPDX-License-Identifier: Apache-2.0 */
/* test: long=600 */
/*
 * Every word that an application writes, with every value that is likely to hurt.
 *
 * Fault model: one word at a time, of the half's header, board, channels and rings, of submissions,
 * tokens and descriptors, and of messages, holds anything, before the appliance has looked at it or
 * after. The pipe works on or is closed with a reason, and meanwhile another application is served
 * with what it asked for. Chance is the same again with VINE_TEST_SEED.
 */
#include "hostile/application_fixture.h"
#include "hostile/words.h"

#define MARK UINT64_C(0x1122334455667788)

/* So many tasks, one after the other, are more than an appliance takes in one visit, and than a
 * ring holds: boards are looked at between two visits, and positions when a ring seems full. */
#define TASKS_UNTIL_SEEN (RAW_SLOTS + 1)

static unsigned seed;
static bool is_long;
static unsigned survived, closed; /* values that the pipe bore, and those that closed it */

/* After each value in the long run, else after each few. */
static void look_at_the_other(struct fixture *fixture)
{
    static unsigned values;

    if (is_long || ++values % 8 == 0)
        good_is_served(fixture);
}

/* ---- what came of it ------------------------------------------------------------------------- */

/* Whether the pipe still works; its completions up to now are passed over. */
static bool works(struct raw_application *raw)
{
    struct vine_wire_submission ping = task(9999);
    struct vine_wire_completion completion;

    ping.operation = MARK;
    if (raw_submit(raw, 0, &ping) != 0)
        return false;
    do {
        if (raw_complete(raw, 0, &completion) != 0)
            return false;
    } while (completion.operation != MARK || completion.status != VINE_EPROCEDURE);
    return true;
}

/* After a value: the pipe works, or was closed with a reason, and then it is opened anew. */
static bool settle(struct fixture *fixture, const struct word *word, uint64_t value)
{
    const bool is_open = works(&fixture->bad);

    if (is_open) {
        survived++;
    } else {
        const int error = raw_wait_closed(&fixture->bad);

        if (error <= 1000 || error > VINE_EOVERFLOW || fixture->bad.why.text[0] == 0)
            print_error("%s = %#llx: the pipe was closed with %d: %s\n", word->name,
                        (unsigned long long)value, error, fixture->bad.why.text);
        assert_in_range(error, 1001, VINE_EOVERFLOW);
        assert_true(fixture->bad.why.text[0] != 0);
        raw_close(&fixture->bad);
        open_bad(fixture);
        closed++;
    }
    look_at_the_other(fixture);
    return is_open;
}

static void begin(unsigned *ret_seed)
{
    *ret_seed = word_seed();
    print_message("seed %u\n", *ret_seed);
    survived = closed = 0;
}

/* Both happened, or the test tries nothing. */
static void both_happened(void)
{
    print_message("%u values were borne, %u closed the pipe\n", survived, closed);
    assert_true(survived > 0);
    assert_true(closed > 0);
}

/* ---- words of the half ----------------------------------------------------------------------- */

static void no_word_of_a_header_matters_after_the_handshake(void **state)
{
    struct fixture *fixture = *state;

    begin(&seed);
    open_bad(fixture);
    for (size_t i = 0; i < VINE_ARRAY_COUNT(header_words); i++) {
        const struct word *word = &header_words[i];
        void *header = vine_segment_base(fixture->bad.half.segment);
        const uint64_t own = word_get(header, word);
        uint64_t values[WORD_VALUES];

        word_values(own, word->bytes, &seed, values);
        for (size_t v = 0; v < WORD_VALUES; v++) {
            word_put(header, word, values[v]);
            assert_true(settle(fixture, word, values[v]));
        }
        word_put(header, word, own);
    }
    raw_close(&fixture->bad);
}

/* Until what has just been written was seen, or the pipe is closed. */
static void until_seen(struct fixture *fixture, uint32_t tasks)
{
    for (uint32_t i = 0; i < tasks && works(&fixture->bad); i++)
        continue;
}

/* One word of `part` of the half, which is looked up anew for each pipe; and so many tasks. */
static void try_word(struct fixture *fixture, const struct word *word,
                     void *(*part)(struct fixture *fixture), uint32_t tasks)
{
    uint64_t values[WORD_VALUES];

    for (size_t v = 0; v < WORD_VALUES; v++) {
        void *base = part(fixture);
        const uint64_t own = word_get(base, word);

        word_values(own, word->bytes, &seed, values);
        word_put(base, word, values[v]);
        vine__link_wake(&fixture->bad.link);
        until_seen(fixture, tasks);
        if (settle(fixture, word, values[v]))
            word_put(base, word, own);
    }
}

static void *board(struct fixture *fixture)
{
    return &fixture->bad.half.layout->board;
}

static void *open_channel(struct fixture *fixture)
{
    return &fixture->bad.half.layout->channels[0];
}

static void any_word_of_a_board_and_of_an_open_channel_may_be_anything(void **state)
{
    struct fixture *fixture = *state;

    begin(&seed);
    open_bad(fixture);
    for (size_t i = 0; i < VINE_ARRAY_COUNT(board_words); i++)
        try_word(fixture, &board_words[i], board, TASKS_UNTIL_SEEN);
    for (size_t i = 0; i < VINE_ARRAY_COUNT(channel_words); i++)
        try_word(fixture, &channel_words[i], open_channel, TASKS_UNTIL_SEEN);
    both_happened();
    raw_close(&fixture->bad);
}

static void any_word_of_a_channel_may_be_anything_when_it_is_opened(void **state)
{
    struct fixture *fixture = *state;

    begin(&seed);
    for (size_t i = 0; i < VINE_ARRAY_COUNT(channel_words); i++) {
        const struct word *word = &channel_words[i];

        for (size_t v = 0; v < WORD_VALUES; v++) {
            struct vine_channel_layout *channel;
            uint64_t values[WORD_VALUES];
            struct vine__box ring;

            open_bad(fixture);
            channel = &fixture->bad.half.layout->channels[1];
            assert_int_equal(
                vine__half_alloc(&fixture->bad.half, RAW_SLOTS * sizeof(struct vine_slot), &ring),
                0);
            memset(ring.memory, 0, RAW_SLOTS * sizeof(struct vine_slot));
            *channel = (struct vine_channel_layout){
                .state = 1,
                .slot_count = RAW_SLOTS,
                .ring_extent = ring.extent,
                .ring_offset_units = ring.offset_units,
                .wait_mode = VINE_WAIT_SLEEPY,
            };
            word_values(word_get(channel, word), word->bytes, &seed, values);
            word_put(channel, word, values[v]);
            vine__store_release_u32(&fixture->bad.half.layout->board.channels.value, 2);
            vine__link_wake(&fixture->bad.link);
            until_seen(fixture, TASKS_UNTIL_SEEN);
            (void)settle(fixture, word, values[v]);
            raw_close(&fixture->bad);
        }
    }
    both_happened();
}

/* The slot after the one that a ping takes: so it is looked at for certain. */
static void *slot_after_next(struct fixture *fixture)
{
    return vine__spsc_slot_at(&fixture->bad.channels[0].producer, 1);
}

static void any_sequence_number_may_stand_in_a_slot(void **state)
{
    struct fixture *fixture = *state;

    begin(&seed);
    open_bad(fixture);
    /* In the first lap, and where another message lay before. */
    for (uint32_t tasks = 0; tasks <= RAW_SLOTS + 3; tasks += RAW_SLOTS + 3) {
        for (uint32_t i = 0; i < tasks; i++)
            assert_true(works(&fixture->bad));
        try_word(fixture, &slot_words[0], slot_after_next, 0);
    }
    both_happened();
    raw_close(&fixture->bad);
}

/* ---- submissions ----------------------------------------------------------------------------- */

/* Eight bytes in our half, as a token. */
static struct vine_token own_token(struct fixture *fixture)
{
    struct vine__box box;

    assert_int_equal(vine__half_alloc(&fixture->bad.half, 8, &box), 0);
    memcpy(box.memory, "abcdefg", 8);
    return (struct vine_token){.extent = (uint16_t)box.extent,
                               .offset_units = box.offset_units,
                               .length = 8,
                               .type = VINE_TYPE_BYTES};
}

static struct vine_wire_submission good_echo(struct fixture *fixture)
{
    struct vine_wire_submission submission = task(procedures.echo);
    const struct vine_token tokens[2] = {own_token(fixture), expect_token(8)};

    put_tokens(&submission, tokens, 2);
    return submission;
}

static struct vine_wire_submission good_count(struct fixture *fixture)
{
    struct vine_wire_submission submission = task(procedures.count);

    (void)fixture;
    submission.session = 0x0101;
    return submission;
}

static struct vine_wire_submission good_lookup(struct fixture *fixture)
{
    struct vine_wire_submission submission = task(VINE_WIRE_LOOKUP);
    const struct vine_token token = expect_token(sizeof(struct vine_wire_description));

    (void)fixture;
    put_tokens(&submission, &token, 1);
    submission.shape = VINE_WIRE_SHAPE(4, 1);
    memcpy(submission.body, "echo", 4);
    return submission;
}

static struct vine_wire_submission good_list(struct fixture *fixture)
{
    struct vine_wire_submission submission = task(VINE_WIRE_LIST_ACCELERATORS);
    const struct vine_token token = expect_token(1024);

    (void)fixture;
    put_tokens(&submission, &token, 1);
    return submission;
}

static struct vine_wire_submission good_acquire(struct fixture *fixture)
{
    struct vine_wire_submission submission = task(VINE_WIRE_ACQUIRE_ACCELERATOR);
    const struct vine_wire_acquire acquire = {.type = "cpu", .accelerator = 3};

    (void)fixture;
    submission.shape = VINE_WIRE_SHAPE(sizeof acquire, 0);
    memcpy(submission.body, &acquire, sizeof acquire);
    return submission;
}

static struct vine_wire_submission good_release_of_accelerator(struct fixture *fixture)
{
    struct vine_wire_submission submission = task(VINE_WIRE_RELEASE_ACCELERATOR);

    (void)fixture;
    submission.shape = VINE_WIRE_SHAPE(2, 0);
    submission.body[0] = 3;
    return submission;
}

static struct vine_wire_submission good_cancel(struct fixture *fixture)
{
    (void)fixture;
    return (struct vine_wire_submission){.kind = VINE_WIRE_CANCEL, .operation = 1};
}

static struct vine_wire_submission good_end_of_session(struct fixture *fixture)
{
    (void)fixture;
    return (struct vine_wire_submission){.kind = VINE_WIRE_SESSION_END, .session = 0x0101};
}

/* Of a result that was made for it. */
static struct vine_wire_submission good_release(struct fixture *fixture)
{
    struct vine_wire_submission echo = good_echo(fixture);
    struct vine_wire_submission release = {.kind = VINE_WIRE_RELEASE};
    struct vine_wire_completion completion;
    struct vine_token token;

    assert_int_equal(raw_submit(&fixture->bad, 0, &echo), 0);
    assert_int_equal(raw_complete(&fixture->bad, 0, &completion), 0);
    assert_int_equal(completion.status, 0);
    memcpy(&token, completion.body + VINE_RESULT_MAX - sizeof token, sizeof token);
    put_tokens(&release, &token, 1);
    return release;
}

typedef struct vine_wire_submission (*make_fn)(struct fixture *fixture);

/* Try a word at `at` in the submission. */
static void try_submission(struct fixture *fixture, make_fn make, const struct word *word,
                           uint32_t at)
{
    uint64_t values[WORD_VALUES];

    /* Results that are not given back and tasks that never end go with the pipe. */
    open_bad(fixture);
    for (size_t v = 0; v < WORD_VALUES; v++) {
        struct vine_wire_submission submission = make(fixture);
        unsigned char *base = (unsigned char *)&submission + at;

        word_values(word_get(base, word), word->bytes, &seed, values);
        word_put(base, word, values[v]);
        assert_int_equal(raw_submit(&fixture->bad, 0, &submission), 0);
        (void)settle(fixture, word, values[v]);
    }
    raw_close(&fixture->bad);
}

static void any_word_of_a_submission_may_be_anything(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        make_fn make;
        uint32_t tokens; /* that its body ends with */
    } kinds[] = {
        {good_echo, 2},   {good_count, 0},   {good_lookup, 1},
        {good_list, 1},   {good_acquire, 0}, {good_release_of_accelerator, 0},
        {good_cancel, 0}, {good_release, 1}, {good_end_of_session, 0},
    };

    begin(&seed);
    for (size_t k = 0; k < VINE_ARRAY_COUNT(kinds); k++) {
        for (size_t i = 0; i < VINE_ARRAY_COUNT(submission_words); i++)
            try_submission(fixture, kinds[k].make, &submission_words[i], 0);
        for (uint32_t token = 0; token < kinds[k].tokens; token++)
            for (size_t i = 0; i < VINE_ARRAY_COUNT(token_words); i++)
                try_submission(fixture, kinds[k].make, &token_words[i],
                               (uint32_t)(sizeof(struct vine_wire_submission) -
                                          (token + 1) * sizeof(struct vine_token)));
    }
    both_happened();
}

/* After a task that has ended: an echo by a descriptor, or a look-up, whose name stands in it. */
#define BLOCK_BYTES (sizeof(struct vine_wire_descriptor) + 2 * sizeof(struct vine_token))

static struct vine_wire_submission good_descriptor(struct fixture *fixture, bool is_echo,
                                                   unsigned char ret_block[BLOCK_BYTES],
                                                   struct vine__box *ret_box)
{
    const struct vine_token tokens[2] = {
        is_echo ? own_token(fixture) : expect_token(sizeof(struct vine_wire_description)),
        expect_token(8)};
    const struct vine_wire_descriptor head = {
        .size_bytes = BLOCK_BYTES - (is_echo ? 0 : 12),
        .token_count = is_echo ? 2 : 1,
        .bytes_size = is_echo ? 0 : 4,
        .has_after = 1,
        .after_operation = MARK,
    };
    struct vine_wire_submission submission = task(is_echo ? procedures.echo : VINE_WIRE_LOOKUP);

    assert_true(works(&fixture->bad));
    assert_int_equal(vine__half_alloc(&fixture->bad.half, BLOCK_BYTES, ret_box), 0);
    memcpy(ret_block, &head, sizeof head);
    memcpy(ret_block + sizeof head, tokens, sizeof tokens);
    if (!is_echo)
        memcpy(ret_block + sizeof head + sizeof tokens[0], "echo", 4);

    const struct vine_token token = {.extent = (uint16_t)ret_box->extent,
                                     .offset_units = ret_box->offset_units,
                                     .length = head.size_bytes,
                                     .type = VINE_TYPE_BYTES};

    put_tokens(&submission, &token, 1);
    submission.shape = VINE_WIRE_SHAPE(0, VINE_WIRE_DESCRIPTOR);
    return submission;
}

static void try_descriptor(struct fixture *fixture, bool is_echo, const struct word *word,
                           uint32_t at)
{
    unsigned char block[BLOCK_BYTES];
    uint64_t values[WORD_VALUES];

    open_bad(fixture);
    for (size_t v = 0; v < WORD_VALUES; v++) {
        struct vine__box box;
        const struct vine_wire_submission submission =
            good_descriptor(fixture, is_echo, block, &box);

        word_values(word_get(block + at, word), word->bytes, &seed, values);
        word_put(block + at, word, values[v]);
        memcpy(box.memory, block, sizeof block);
        assert_int_equal(raw_submit(&fixture->bad, 0, &submission), 0);
        (void)settle(fixture, word, values[v]);
    }
    raw_close(&fixture->bad);
}

static void any_word_of_a_descriptor_may_be_anything(void **state)
{
    struct fixture *fixture = *state;

    begin(&seed);
    for (int is_echo = 0; is_echo < 2; is_echo++) {
        for (size_t i = 0; i < VINE_ARRAY_COUNT(descriptor_words); i++)
            try_descriptor(fixture, is_echo, &descriptor_words[i], 0);
        for (uint32_t token = 0; token < 1u + (uint32_t)is_echo; token++)
            for (size_t i = 0; i < VINE_ARRAY_COUNT(token_words); i++)
                try_descriptor(fixture, is_echo, &token_words[i],
                               (uint32_t)(sizeof(struct vine_wire_descriptor) +
                                          token * sizeof(struct vine_token)));
    }
    both_happened();
}

/* ---- a half that is offered ------------------------------------------------------------------ */

/* At a link a number on the board says hello: with another one our half is looked at anew. */
static void offer_anew(struct fixture *fixture, const struct word *word, size_t v,
                       bool is_of_header)
{
    struct raw_application *bad = &fixture->bad;
    uint64_t values[WORD_VALUES];

    join_bad(fixture);

    struct vine_board_layout *ours = &bad->half.layout->board;
    const struct vine_board_layout *theirs = &bad->mirror.layout->board;
    void *base = is_of_header ? vine_segment_base(bad->half.segment) : (void *)ours;
    const uint64_t start_ns = vine__clock_now_ns();

    word_values(word_get(base, word), word->bytes, &seed, values);
    word_put(base, word, values[v]);
    bad->link.meeting++;
    vine__store_release_u64(&ours->meeting, bad->link.meeting);
    vine__link_wake(&bad->link);
    /* Who has closed its half is not answered. */
    while (vine__load_relaxed_u32(&ours->closed.value) == 0 &&
           vine__load_acquire_u64(&theirs->meeting) != bad->link.meeting) {
        assert_true(vine__clock_now_ns() - start_ns < RAW_LIMIT_NS);
        (void)sched_yield();
    }
    if (raw_open_channel(bad) == 0 && works(bad)) {
        survived++;
    } else {
        assert_in_range(raw_wait_closed(bad), 1001, VINE_EOVERFLOW);
        closed++;
    }
    raw_close(bad);
    look_at_the_other(fixture);
}

static void any_word_of_a_half_may_be_anything_when_it_is_offered(void **state)
{
    struct fixture *fixture = *state;

    /* Elsewhere it goes with a hello: see below. */
    if (!is_at_link()) {
        print_message("skipped: elsewhere it goes with a hello\n");
        skip();
    }
    begin(&seed);
    for (size_t v = 0; v < WORD_VALUES; v++) {
        for (size_t i = 0; i < VINE_ARRAY_COUNT(board_words); i++)
            offer_anew(fixture, &board_words[i], v, false);
        for (size_t i = 0; i < VINE_ARRAY_COUNT(header_words); i++)
            offer_anew(fixture, &header_words[i], v, true);
    }
    both_happened();
}

/* ---- messages -------------------------------------------------------------------------------- */

static struct vine_talk_hello good_hello(const struct vine__half *half, const uint8_t uuid[16])
{
    struct vine_talk_hello hello = {
        .head = VINE__TALK_HEAD(VINE_TALK_HELLO, hello),
        .major = VINE_TALK_MAJOR,
        .minor = VINE_TALK_MINOR,
        .channels_max = 2,
        .tasks_max = 8,
        .memory_max_bytes = 4 * VINE__HALF_BYTES,
        .half_bytes = half->size_bytes,
        .name = "words",
    };

    memcpy(hello.uuid, uuid, sizeof hello.uuid);
    return hello;
}

/* Shake hands with a word changed in the hello, or in the header of the half that goes with it. */
static void greet(struct fixture *fixture, const struct word *word, size_t v, bool is_of_header)
{
    static const uint8_t uuid[16] = "one of my pipes";
    const struct vine__half_options options = {.uuid = uuid,
                                               .side = VINE_SEGMENT_APPLICATION,
                                               .generation = 1,
                                               .bytes_max = VINE__HALF_BYTES};
    union vine__talk_any answer;
    uint64_t values[WORD_VALUES];
    struct vine__half half;
    struct vine__why why = {""};
    int fd = -1;
    int socket_fd = -1;

    assert_int_equal(vine__half_create(&half, &options), 0);

    struct vine_talk_hello hello = good_hello(&half, uuid);
    void *base = is_of_header ? vine_segment_base(half.segment) : (void *)&hello;

    word_values(word_get(base, word), word->bytes, &seed, values);
    word_put(base, word, values[v]);
    assert_int_equal(vine__peer_connect(fixture->path, RAW_LIMIT_NS, &socket_fd), 0);
    assert_int_equal(vine__peer_send(socket_fd, &hello, sizeof hello,
                                     (const int[]){vine_segment_fd(half.segment)}, 1, RAW_LIMIT_NS),
                     0);
    assert_int_equal(vine__talk_receive(socket_fd, &answer, &fd, RAW_LIMIT_NS, &why), 0);
    if (answer.head.type == VINE_TALK_WELCOME) {
        survived++;
        assert_true(fd >= 0);
        close(fd);
    } else {
        closed++;
        assert_int_equal(answer.head.type, VINE_TALK_REFUSE);
        assert_in_range(answer.reason.error, 1001, VINE_EOVERFLOW);
        assert_true(answer.reason.text[0] != 0);
    }
    close(socket_fd);
    vine__half_close(&half);
    look_at_the_other(fixture);
}

static void any_word_of_a_hello_and_of_its_half_may_be_anything(void **state)
{
    struct fixture *fixture = *state;

    skip_at_link();
    begin(&seed);
    for (size_t v = 0; v < WORD_VALUES; v++) {
        for (size_t i = 0; i < VINE_ARRAY_COUNT(head_words); i++)
            greet(fixture, &head_words[i], v, false);
        for (size_t i = 0; i < VINE_ARRAY_COUNT(hello_words); i++)
            greet(fixture, &hello_words[i], v, false);
        for (size_t i = 0; i < VINE_ARRAY_COUNT(header_words); i++)
            greet(fixture, &header_words[i], v, true);
    }
    both_happened();
}

/* A message on an open pipe, with the descriptor of good memory or none. */
static void send_message(struct fixture *fixture, void *message, size_t size,
                         const struct word *word, size_t v, bool has_memory)
{
    struct vine__memory_options options = VINE__MEMORY_OPTIONS_DEFAULT;
    struct vine_wire_submission submission = task(procedures.ends);
    const struct vine_token token = {.extent = 1, .length = 8, .type = VINE_TYPE_BYTES};
    struct vine__memory *memory = NULL;
    unsigned char changed[VINE_TALK_MESSAGE];
    uint64_t values[WORD_VALUES];
    int fds[1] = {-1};

    open_bad(fixture);
    if (has_memory) {
        options.backend = VINE__MEMORY_MEMFD;
        options.size_bytes = 65536;
        assert_int_equal(vine__memory_create(&options, &memory), 0);
        fds[0] = vine__memory_fd(memory);
    }
    memcpy(changed, message, size);
    word_values(word_get(changed, word), word->bytes, &seed, values);
    word_put(changed, word, values[v]);
    assert_int_equal(vine__peer_send(fixture->bad.link.socket_fd, changed, size, fds,
                                     has_memory ? 1 : 0, RAW_LIMIT_NS),
                     0);
    /* What names the extent has the message read first. */
    put_tokens(&submission, &token, 1);
    (void)raw_submit(&fixture->bad, 0, &submission);
    if (works(&fixture->bad)) {
        survived++;
    } else {
        (void)raw_wait_closed(&fixture->bad);
        closed++;
    }
    raw_close(&fixture->bad);
    vine__memory_close(memory);
    look_at_the_other(fixture);
}

static void any_word_of_a_message_may_be_anything(void **state)
{
    struct fixture *fixture = *state;
    struct vine_talk_extent extent = {
        .head = VINE__TALK_HEAD(VINE_TALK_EXTENT, extent), .index = 1, .size_bytes = 65536};
    struct vine_talk_reason bye = {.head = VINE__TALK_HEAD(VINE_TALK_BYE, bye),
                                   .major = VINE_TALK_MAJOR,
                                   .error = VINE_EFAILED,
                                   .text = "because"};
    struct vine_talk_head wake = VINE__TALK_HEAD(VINE_TALK_WAKE, wake);

    skip_at_link();
    begin(&seed);
    for (size_t v = 0; v < WORD_VALUES; v++) {
        for (size_t i = 0; i < VINE_ARRAY_COUNT(head_words); i++) {
            send_message(fixture, &extent, sizeof extent, &head_words[i], v, true);
            send_message(fixture, &bye, sizeof bye, &head_words[i], v, false);
            send_message(fixture, &wake, sizeof wake, &head_words[i], v, false);
        }
        for (size_t i = 0; i < VINE_ARRAY_COUNT(extent_words); i++)
            send_message(fixture, &extent, sizeof extent, &extent_words[i], v, true);
        for (size_t i = 0; i < VINE_ARRAY_COUNT(reason_words); i++)
            send_message(fixture, &bye, sizeof bye, &reason_words[i], v, false);
    }
    both_happened();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOSTILE(no_word_of_a_header_matters_after_the_handshake),
        HOSTILE(any_word_of_a_board_and_of_an_open_channel_may_be_anything),
        HOSTILE(any_word_of_a_channel_may_be_anything_when_it_is_opened),
        HOSTILE(any_sequence_number_may_stand_in_a_slot),
        HOSTILE(any_word_of_a_submission_may_be_anything),
        HOSTILE(any_word_of_a_descriptor_may_be_anything),
        HOSTILE(any_word_of_a_half_may_be_anything_when_it_is_offered),
        HOSTILE(any_word_of_a_hello_and_of_its_half_may_be_anything),
        HOSTILE(any_word_of_a_message_may_be_anything),
    };

    is_long = getenv("VINE_TEST_LONG") != NULL;
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
