/* SPDX-License-Identifier: Apache-2.0 */
/* test: long=900 */
/*
 * A hostile application against an appliance that serves somebody else meanwhile.
 *
 * Fault model: the application writes anything into its half at any moment, sends anything over its
 * socket, and stops half way. The appliance lives in a process of its own; a crash of it, or a pipe
 * of the well-behaved application that stops working, is what fails a test.
 */
#include "hostile/application_fixture.h"
#include "hostile/words.h"

static void a_submission_of_unknown_kind_closes_the_pipe_with_a_reason(void **state)
{
    struct fixture *fixture = *state;
    struct vine_wire_submission submission = {.kind = 13};

    open_bad(fixture);
    assert_int_equal(raw_submit(&fixture->bad, 0, &submission), 0);
    closed_with(fixture, VINE_EPROTOCOL);
}

static void an_impossible_sequence_number_closes_the_pipe(void **state)
{
    struct fixture *fixture = *state;

    open_bad(fixture);
    vine__store_release_u64(&fixture->bad.channels[0].slots[0].sequence, 77);
    vine__link_wake(&fixture->bad.link);
    closed_with(fixture, VINE_ECORRUPT);
}

static void an_impossible_position_closes_the_pipe(void **state)
{
    struct fixture *fixture = *state;
    struct vine_wire_submission submission = task(procedures.noop);

    open_bad(fixture);
    vine__store_release_u64(&fixture->bad.half.layout->channels[0].consumed.value, 1u << 30);
    for (uint32_t i = 0; i < RAW_SLOTS; i++)
        if (raw_submit(&fixture->bad, 0, &submission) != 0)
            break;
    closed_with(fixture, VINE_ECORRUPT);
}

static void a_token_beyond_its_extent_closes_the_pipe(void **state)
{
    struct fixture *fixture = *state;
    const struct vine_token bad[] = {
        {.offset_units = UINT32_MAX, .length = 64, .type = VINE_TYPE_BYTES},
        {.offset_units = 0, .length = 65536, .type = VINE_TYPE_BYTES, .extent = 63},
        {.offset_units = (VINE__HALF_BYTES / 64) - 64, .length = 65536, .type = VINE_TYPE_BYTES},
        {.offset_units = 1, .length = 64, .type = VINE_TYPE_BYTES, .extent = UINT16_MAX},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct vine_wire_submission submission = task(procedures.echo);
        const struct vine_token tokens[2] = {bad[i], expect_token(64)};

        open_bad(fixture);
        put_tokens(&submission, tokens, 2);
        assert_int_equal(raw_submit(&fixture->bad, 0, &submission), 0);
        closed_with(fixture, VINE_EPROTOCOL);
    }
}

static void a_forged_token_of_the_appliances_half_ends_the_task_alone(void **state)
{
    struct fixture *fixture = *state;
    struct vine_wire_submission submission = task(procedures.echo);
    struct vine_wire_completion completion;
    const struct vine_token tokens[2] = {{.offset_units = 200,
                                          .length = 64,
                                          .generation = 1,
                                          .type = VINE_TYPE_BYTES | VINE_WIRE_TYPE_THEIRS},
                                         expect_token(64)};

    open_bad(fixture);
    put_tokens(&submission, tokens, 2);
    assert_int_equal(raw_submit(&fixture->bad, 0, &submission), 0);
    assert_int_equal(raw_complete(&fixture->bad, 0, &completion), 0);
    assert_int_equal(completion.status, VINE_ETOKEN);
    assert_int_equal(raw_ping(&fixture->bad, 0), 0);
    raw_close(&fixture->bad);
}

static void wrong_arguments_end_the_task_alone(void **state)
{
    struct fixture *fixture = *state;
    const struct vine_token input = {.offset_units = 300, .length = 64, .type = VINE_TYPE_BYTES};
    const struct {
        struct vine_token tokens[2];
        uint32_t count;
        uint16_t status;
    } cases[] = {
        {{input}, 1, VINE_EARGUMENT},
        {{expect_token(64), input}, 2, VINE_EARGUMENT},
        {{{.offset_units = 300, .length = 64, .type = VINE_TYPE_U64}, expect_token(64)},
         2,
         VINE_EARGUMENT},
        {{input, expect_token(1u << 20)}, 2, VINE_ETOOBIG},
        {{input, expect_token(16)}, 2, VINE_EOVERFLOW},
        {{input, expect_token(64)}, 2, 0},
    };

    open_bad(fixture);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct vine_wire_submission submission = task(procedures.echo);
        struct vine_wire_completion completion;

        put_tokens(&submission, cases[i].tokens, cases[i].count);
        assert_int_equal(raw_submit(&fixture->bad, 0, &submission), 0);
        assert_int_equal(raw_complete(&fixture->bad, 0, &completion), 0);
        assert_int_equal(completion.status, cases[i].status);
    }
    raw_close(&fixture->bad);
}

static void a_result_is_released_once_and_not_again(void **state)
{
    struct fixture *fixture = *state;
    struct vine_wire_submission submission = task(procedures.echo);
    struct vine_wire_completion completion;
    struct vine_token token;
    const struct vine_token tokens[2] = {
        {.offset_units = 300, .length = 64, .type = VINE_TYPE_BYTES}, expect_token(64)};

    open_bad(fixture);
    put_tokens(&submission, tokens, 2);
    assert_int_equal(raw_submit(&fixture->bad, 0, &submission), 0);
    assert_int_equal(raw_complete(&fixture->bad, 0, &completion), 0);
    assert_int_equal(completion.status, 0);
    memcpy(&token, completion.body + VINE_RESULT_MAX - sizeof token, sizeof token);

    struct vine_wire_submission release = {.kind = VINE_WIRE_RELEASE};

    put_tokens(&release, &token, 1);
    assert_int_equal(raw_submit(&fixture->bad, 0, &release), 0);
    assert_int_equal(raw_ping(&fixture->bad, 0), 0);
    assert_int_equal(raw_submit(&fixture->bad, 0, &release), 0);
    closed_with(fixture, VINE_ETOKEN);
}

static void a_descriptor_that_does_not_add_up_closes_the_pipe(void **state)
{
    struct fixture *fixture = *state;
    const struct vine_wire_descriptor bad[] = {
        {.size_bytes = 4096, .token_count = 2},
        {.size_bytes = 32, .token_count = 9},
        {.size_bytes = 32, .bytes_size = UINT32_MAX},
        {.size_bytes = 32, .has_after = 1, .after_channel = UINT32_MAX},
        {.size_bytes = 32, .has_after = 1, .after_channel = 16}, /* one more than was granted */
        {.size_bytes = 32, .has_after = 1, .after_channel = 1},  /* not opened */
        {.size_bytes = 32, .has_after = 1, .after_position = 0}, /* itself */
        {.size_bytes = 32, .has_after = 1, .after_position = UINT64_MAX},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct vine_wire_submission submission = task(procedures.noop);
        struct vine__box box;

        open_bad(fixture);
        assert_int_equal(vine__half_alloc(&fixture->bad.half, 4096, &box), 0);
        memcpy(box.memory, &bad[i], sizeof bad[i]);

        const struct vine_token token = {
            .offset_units = box.offset_units, .length = 32, .type = VINE_TYPE_BYTES};

        put_tokens(&submission, &token, 1);
        submission.shape = VINE_WIRE_SHAPE(0, VINE_WIRE_DESCRIPTOR);
        assert_int_equal(raw_submit(&fixture->bad, 0, &submission), 0);
        closed_with(fixture, VINE_EPROTOCOL);
    }
}

static void impossible_channels_close_the_pipe(void **state)
{
    struct fixture *fixture = *state;
    const struct vine_channel_layout bad[] = {
        {.state = 1, .slot_count = 3},
        {.state = 1, .slot_count = 1u << 30},
        {.state = 1, .slot_count = 2 * RAW_SLOTS}, /* twice what the tasks granted take */
        {.state = 1, .slot_count = 256, .ring_offset_units = UINT32_MAX},
        {.state = 1, .slot_count = 256, .ring_extent = 40},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        open_bad(fixture);
        memcpy(&fixture->bad.half.layout->channels[1], &bad[i], sizeof bad[i]);
        vine__store_release_u32(&fixture->bad.half.layout->board.channels.value, 2);
        vine__link_wake(&fixture->bad.link);
        closed_with(fixture, VINE_EPROTOCOL);
    }
    open_bad(fixture);
    vine__store_release_u32(&fixture->bad.half.layout->board.channels.value, UINT32_MAX);
    vine__link_wake(&fixture->bad.link);
    closed_with(fixture, VINE_EPROTOCOL);
}

/* What a task still writes has a token already, which could be guessed from the one before. */
static void a_guessed_token_of_an_unfinished_result_names_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct vine_wire_submission submission = task(procedures.echo);
    struct vine_wire_completion completion;
    struct vine_token token;
    const struct vine_token tokens[2] = {
        {.offset_units = 300, .length = 64, .type = VINE_TYPE_BYTES}, expect_token(256)};

    for (uint32_t ahead = 1; ahead < 4; ahead++) {
        struct vine_wire_submission release = {.kind = VINE_WIRE_RELEASE};
        struct vine_wire_submission use = task(procedures.echo);

        open_bad(fixture);
        put_tokens(&submission, tokens, 2);
        assert_int_equal(raw_submit(&fixture->bad, 0, &submission), 0);
        assert_int_equal(raw_complete(&fixture->bad, 0, &completion), 0);
        memcpy(&token, completion.body + VINE_RESULT_MAX - sizeof token, sizeof token);
        put_tokens(&release, &token, 1);
        assert_int_equal(raw_submit(&fixture->bad, 0, &release), 0);
        assert_int_equal(raw_ping(&fixture->bad, 0), 0);

        token.generation += ahead;
        token.length = 256;

        struct vine_token guessed[2] = {token, expect_token(256)};

        guessed[0].type |= VINE_WIRE_TYPE_THEIRS;
        put_tokens(&use, guessed, 2);
        put_tokens(&release, &token, 1);
        assert_int_equal(raw_submit(&fixture->bad, 0, &submission), 0);
        assert_int_equal(raw_submit(&fixture->bad, 0, &use), 0);
        assert_int_equal(raw_submit(&fixture->bad, 0, &release), 0);
        closed_with(fixture, VINE_ETOKEN);
    }
}

/* A connection that has said nothing yet. */
static int connect_to(const struct fixture *fixture)
{
    int fd = -1;

    skip_at_link();
    assert_int_equal(vine__peer_connect(fixture->path, RAW_LIMIT_NS, &fd), 0);
    return fd;
}

static void connections_that_say_nothing_keep_nobody_out(void **state)
{
    struct fixture *fixture = *state;
    int silent[400];

    for (size_t i = 0; i < sizeof silent / sizeof silent[0]; i++)
        silent[i] = connect_to(fixture);
    open_bad(fixture);
    assert_int_equal(raw_ping(&fixture->bad, 0), 0);
    raw_close(&fixture->bad);
    for (size_t i = 0; i < sizeof silent / sizeof silent[0]; i++)
        close(silent[i]);
}

static int refused_with(int fd)
{
    union vine__talk_any message;
    int came = -1;
    struct vine__why why;
    const int error = vine__talk_receive(fd, &message, &came, RAW_LIMIT_NS, &why);

    close(fd);
    if (error)
        return error;
    assert_int_equal(message.head.type, VINE_TALK_REFUSE);
    return (int)message.reason.error;
}

static struct vine_talk_hello hello_of(uint64_t half_bytes)
{
    struct vine_talk_hello hello = {
        .head = VINE__TALK_HEAD(VINE_TALK_HELLO, hello),
        .major = VINE_TALK_MAJOR,
        .minor = VINE_TALK_MINOR,
        .half_bytes = half_bytes,
    };

    return hello;
}

static void another_major_version_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct vine_talk_hello hello = hello_of(VINE__HALF_BYTES);
    const int fd = connect_to(fixture);
    const int memory = memfd_create("x", MFD_CLOEXEC);

    hello.major = 99;
    assert_int_equal(vine__talk_send(fd, &hello, memory, 0), 0);
    assert_int_equal(refused_with(fd), VINE_EVERSION);
    close(memory);
}

static void descriptors_that_are_no_halves_are_refused(void **state)
{
    struct fixture *fixture = *state;
    unsigned char page[4096];
    const int seals_all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
    const int seals[] = {0, F_SEAL_SHRINK, F_SEAL_SHRINK | F_SEAL_GROW,
                         F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL, seals_all};

    for (size_t i = 0; i < sizeof seals / sizeof seals[0]; i++) {
        const struct vine_talk_hello hello = hello_of(VINE__HALF_BYTES);
        const int fd = connect_to(fixture);
        const int memory = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        memset(page, 0x5a, sizeof page);
        /* Written, not only allocated: a page that nobody touched counts as a hole. */
        for (uint32_t at = 0; at < VINE__HALF_BYTES; at += sizeof page)
            assert_int_equal(pwrite(memory, page, sizeof page, at), sizeof page);
        assert_int_equal(fcntl(memory, F_ADD_SEALS, seals[i]), 0);
        assert_int_equal(vine__talk_send(fd, &hello, memory, 0), 0);
        /* With all seals it is memory, but no segment. */
        assert_int_equal(refused_with(fd), seals[i] == seals_all ? VINE_EMAGIC : VINE_EUNSEALED);
        close(memory);
    }

    const char *const others[] = {"/dev/zero", "/dev/null", "/proc/self/maps", "/etc/passwd"};

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        const struct vine_talk_hello hello = hello_of(VINE__HALF_BYTES);
        const int fd = connect_to(fixture);
        const int memory = open(others[i], O_RDONLY | O_CLOEXEC);

        assert_true(memory >= 0);
        assert_int_equal(vine__talk_send(fd, &hello, memory, 0), 0);
        assert_int_equal(refused_with(fd), VINE_EUNSEALED);
        close(memory);
    }
}

static void a_half_smaller_than_it_claims_is_refused(void **state)
{
    struct fixture *fixture = *state;
    const struct vine_talk_hello hello = hello_of(1u << 20);
    const int fd = connect_to(fixture);
    const int memory = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_int_equal(posix_fallocate(memory, 0, 4096), 0);
    assert_int_equal(
        fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL),
        0);
    assert_int_equal(vine__talk_send(fd, &hello, memory, 0), 0);
    assert_int_equal(refused_with(fd), VINE_ETRUNCATED);
    close(memory);
}

static void garbage_instead_of_a_hello_is_refused(void **state)
{
    struct fixture *fixture = *state;
    unsigned char garbage[200];

    for (size_t size = 1; size < sizeof garbage; size += 13) {
        const int fd = connect_to(fixture);

        memset(garbage, (int)size, sizeof garbage);
        assert_int_equal(vine__peer_send(fd, garbage, size, NULL, 0, 0), 0);
        assert_int_equal(refused_with(fd), VINE_EPROTOCOL);
    }
}

static void who_connects_and_says_nothing_is_sent_away(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(refused_with(connect_to(fixture)), VINE_EPROTOCOL);
}

/* An extent that was announced and is not what it says, or is too large for the quota. */
static void bad_extents_close_the_pipe(void **state)
{
    struct fixture *fixture = *state;
    const struct {
        uint32_t index;
        uint64_t bytes;
        int error;
    } cases[] = {
        {7, 4096, VINE_EPROTOCOL}, {0, 4096, VINE_EPROTOCOL},  {1, 1ULL << 40, VINE_EQUOTA},
        {1, 0, VINE_EQUOTA},       {1, 65536, VINE_EUNSEALED},
    };

    skip_at_link();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct vine_talk_extent extent = {
            .head = VINE__TALK_HEAD(VINE_TALK_EXTENT, extent),
            .index = cases[i].index,
            .size_bytes = cases[i].bytes,
        };
        const int memory = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        open_bad(fixture);
        assert_int_equal(posix_fallocate(memory, 0, 65536), 0);
        assert_int_equal(vine__talk_send(fixture->bad.link.socket_fd, &extent, memory, 0), 0);
        closed_with(fixture, cases[i].error);
        close(memory);
    }
}

static void a_flood_that_never_reads_delays_nobody_else(void **state)
{
    struct fixture *fixture = *state;
    struct vine_wire_submission submission = task(procedures.noop);
    uint32_t sent = 0;

    open_bad(fixture);
    for (uint32_t i = 0; i < 100000; i++) {
        sent += raw_submit(&fixture->bad, 0, &submission) == 0;
        if (i % 1000 == 0)
            assert_int_equal(raw_ping(&fixture->good, 0), 0);
        vine__link_wake(&fixture->bad.link);
    }
    /* Completions that nobody reads fill their ring, and then no more is taken. */
    assert_true(sent <= 2 * RAW_SLOTS);
    raw_close(&fixture->bad);
}

/* The whole half, at random, with a valid start. Whatever it is, only this pipe may suffer. */
static void random_words_in_the_half_hurt_this_pipe_alone(void **state)
{
    struct fixture *fixture = *state;
    const unsigned rounds = getenv("VINE_TEST_LONG") ? 3000 : is_at_link() ? 20 : 100;
    unsigned seed = word_seed();

    print_message("seed %u, %u rounds\n", seed, rounds);
    for (unsigned round = 0; round < rounds; round++) {
        struct raw_application *bad = &fixture->bad;

        open_bad(fixture);
        for (unsigned i = 0; i < 200; i++) {
            struct vine_wire_submission submission = task((uint16_t)(rand_r(&seed) % 20));
            unsigned char *bytes = (unsigned char *)&submission;
            uint64_t *word =
                (uint64_t *)(void *)bad->half.layout + (unsigned)rand_r(&seed) % (120 * 1024 / 8);

            for (int n = 0; n < 4; n++)
                bytes[8 + (unsigned)rand_r(&seed) % (sizeof submission - 8)] =
                    (unsigned char)rand_r(&seed);
            switch (rand_r(&seed) % 4) {
            case 0:
                vine__store_relaxed_u64(word, (uint64_t)rand_r(&seed));
                break;
            case 1:
                vine__store_relaxed_u64(word, UINT64_MAX << (rand_r(&seed) % 64));
                break;
            default:
                (void)raw_submit(bad, 0, &submission);
                break;
            }
        }
        vine__link_wake(&bad->link);
        assert_int_equal(raw_ping(&fixture->good, 0), 0);
        raw_close(bad);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOSTILE(a_submission_of_unknown_kind_closes_the_pipe_with_a_reason),
        HOSTILE(an_impossible_sequence_number_closes_the_pipe),
        HOSTILE(an_impossible_position_closes_the_pipe),
        HOSTILE(a_token_beyond_its_extent_closes_the_pipe),
        HOSTILE(a_forged_token_of_the_appliances_half_ends_the_task_alone),
        HOSTILE(wrong_arguments_end_the_task_alone),
        HOSTILE(a_result_is_released_once_and_not_again),
        HOSTILE(a_descriptor_that_does_not_add_up_closes_the_pipe),
        HOSTILE(impossible_channels_close_the_pipe),
        HOSTILE(another_major_version_is_refused),
        HOSTILE(descriptors_that_are_no_halves_are_refused),
        HOSTILE(a_half_smaller_than_it_claims_is_refused),
        HOSTILE(garbage_instead_of_a_hello_is_refused),
        HOSTILE(who_connects_and_says_nothing_is_sent_away),
        HOSTILE(bad_extents_close_the_pipe),
        HOSTILE(a_guessed_token_of_an_unfinished_result_names_nothing),
        HOSTILE(connections_that_say_nothing_keep_nobody_out),
        HOSTILE(a_flood_that_never_reads_delays_nobody_else),
        HOSTILE(random_words_in_the_half_hurt_this_pipe_alone),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
