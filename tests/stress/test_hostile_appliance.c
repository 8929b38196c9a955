/* SPDX-License-Identifier: Apache-2.0 */
/* test: long=900 */
/*
 * A hostile appliance against an ordinary application.
 *
 * Fault model: the appliance writes anything into its half at any moment, and in a named segment
 * into all of it; sends anything over its socket, answers nothing, and stops half way. It lives in
 * a process of its own; a crash of the application, a wait longer than it should be, or a task that
 * never ends is what fails a test.
 */
#include "hostile/appliance_fixture.h"
#include "hostile/words.h"

/* ---- channels -------------------------------------------------------------------------------- */

static void open_impossible_channel(struct raw_appliance *raw, const void *part)
{
    const struct vine_channel_layout *record = part;
    struct vine_channel_layout *ours;

    raw->grant.tasks_max = record->wait_mode;
    raw_appliance_accept(raw);
    raw_appliance_welcome(raw);
    raw_appliance_meet(raw);
    ours = &raw->half.layout->channels[0];
    ours->slot_count = record->slot_count;
    ours->ring_extent = record->ring_extent;
    ours->ring_offset_units = record->ring_offset_units;
    raw_appliance_open_channel(raw);
}

static void impossible_channels_end_the_pipe(void **state)
{
    struct fixture *fixture = *state;
    /* wait_mode: how many tasks are granted */
    static const struct vine_channel_layout records[] = {
        {.wait_mode = 16, .slot_count = 0},
        {.wait_mode = 16, .slot_count = 3},
        {.wait_mode = 16, .slot_count = 8},
        {.wait_mode = 16, .slot_count = 4096},
        {.wait_mode = 16, .slot_count = 1u << 31},
        {.wait_mode = 16, .slot_count = 256, .ring_offset_units = UINT32_MAX},
        {.wait_mode = 16, .slot_count = 256, .ring_extent = 1},
        {.wait_mode = 16, .slot_count = 256, .ring_extent = UINT32_MAX},
        {.wait_mode = 1, .slot_count = 1},
        {.wait_mode = 1, .slot_count = 0},
    };

    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        begin(fixture, open_impossible_channel, &records[i]);
        assert_int_equal(open_pipe(fixture), 0);
        assert_int_equal(vine_procedure_get(fixture->pipe, "echo", &fixture->echo),
                         -VINE_EPROTOCOL);
        assert_int_equal(vine_pipe_status(fixture->pipe), -VINE_EPROTOCOL);
        all_have_ended(fixture);
        end(fixture);
    }
}

/* ---- the handshake --------------------------------------------------------------------------- */

struct greeting {
    uint16_t major, minor;
    uint32_t channels_max, tasks_max;
    uint64_t memory_max_bytes, half_bytes;
    int error;
};

static void greet(struct raw_appliance *raw, const void *part)
{
    const struct greeting *greeting = part;
    const struct vine_talk_welcome welcome = {
        .head = VINE__TALK_HEAD(VINE_TALK_WELCOME, welcome),
        .major = greeting->major,
        .minor = greeting->minor,
        .channels_max = greeting->channels_max,
        .tasks_max = greeting->tasks_max,
        .memory_max_bytes = greeting->memory_max_bytes,
        .features = UINT64_MAX,
        .half_bytes = greeting->half_bytes,
        .name = "\x1b[31m",
    };
    const int memory = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    raw_appliance_accept(raw);
    must(posix_fallocate(memory, 0, VINE__HALF_BYTES), "memory");
    must(vine__talk_send(raw->socket_fd, &welcome, memory, 0), "send");
}

static void impossible_welcomes_are_refused(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t half = VINE__HALF_BYTES;
    const struct greeting greetings[] = {
        {99, 0, 4, 16, 4 * half, half, -VINE_EVERSION},
        {1, 99, 4, 16, 4 * half, half, -VINE_EVERSION},
        {1, 0, 0, 16, 4 * half, half, -VINE_EPROTOCOL},
        {1, 0, 65, 16, 4 * half, half, -VINE_EPROTOCOL},
        {1, 0, 4, 0, 4 * half, half, -VINE_EPROTOCOL},
        {1, 0, 4, UINT32_MAX, 4 * half, half, -VINE_EPROTOCOL},
        {1, 0, 4, 16, half, half, -VINE_EPROTOCOL},
        {1, 0, 4, 16, 0, half, -VINE_EPROTOCOL},
        {1, 0, 4, 16, 4 * half, half, -VINE_EUNSEALED},
        {1, 0, 4, 16, UINT64_MAX, half, -VINE_EUNSEALED},
    };

    for (size_t i = 0; i < sizeof greetings / sizeof greetings[0]; i++) {
        begin(fixture, greet, &greetings[i]);
        assert_int_equal(open_pipe(fixture), greetings[i].error);
        end(fixture);
    }
}

static void say_garbage(struct raw_appliance *raw, const void *part)
{
    unsigned char garbage[300];
    const size_t *size = part;

    raw_appliance_accept(raw);
    memset(garbage, (int)*size, sizeof garbage);
    must(vine__peer_send(raw->socket_fd, garbage, *size, NULL, 0, 0), "send");
}

static void garbage_instead_of_a_welcome_is_refused(void **state)
{
    struct fixture *fixture = *state;

    for (size_t size = 1; size < 300; size += 37) {
        begin(fixture, say_garbage, &size);
        assert_int_equal(open_pipe(fixture), -VINE_EPROTOCOL);
        end(fixture);
    }
}

static void say_nothing(struct raw_appliance *raw, const void *part)
{
    (void)part;
    raw_appliance_accept(raw);
}

static void hang_up_at_once(struct raw_appliance *raw, const void *part)
{
    (void)part;
    raw_appliance_accept(raw);
    close(raw->socket_fd);
}

static void who_answers_no_hello_is_not_waited_for(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture, say_nothing, NULL);
    assert_int_equal(open_pipe_within(fixture, 4 * SHORT_NS), -ETIMEDOUT);
    end(fixture);
    begin(fixture, hang_up_at_once, NULL);
    assert_int_equal(open_pipe(fixture), -VINE_EPEERLOST);
    end(fixture);
}

/* ---- what comes over the socket -------------------------------------------------------------- */

struct growth {
    uint32_t index;
    uint64_t said_bytes;
    uint64_t real_bytes;
    int seals;
    int error;
};

static void grow_wrongly(struct raw_appliance *raw, const void *part)
{
    const struct growth *growth = part;
    const struct vine_talk_extent extent = {
        .head = VINE__TALK_HEAD(VINE_TALK_EXTENT, extent),
        .index = growth->index,
        .size_bytes = growth->said_bytes,
    };
    const int memory = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    raw_appliance_begin(raw);
    raw_appliance_wait(raw);
    must(posix_fallocate(memory, 0, (off_t)growth->real_bytes), "memory");
    must(fcntl(memory, F_ADD_SEALS, growth->seals), "seals");
    must(vine__talk_send(raw->link.socket_fd, &extent, memory, 0), "send");
}

static void bad_extents_end_the_pipe(void **state)
{
    struct fixture *fixture = *state;
    const int sealed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
    const struct growth growths[] = {
        {1, 65536, 65536, 0, -VINE_EUNSEALED},
        {1, 65536, 65536, F_SEAL_GROW, -VINE_EUNSEALED},
        {1, 65536, 4096, sealed, -VINE_ETRUNCATED},
        {0, 65536, 65536, sealed, -VINE_EPROTOCOL},
        {2, 65536, 65536, sealed, -VINE_EPROTOCOL},
        {UINT32_MAX, 65536, 65536, sealed, -VINE_EPROTOCOL},
        {1, 0, 65536, sealed, -VINE_EQUOTA},
        {1, UINT64_MAX, 65536, sealed, -VINE_EQUOTA},
    };

    for (size_t i = 0; i < sizeof growths / sizeof growths[0]; i++) {
        struct job job;
        int error;

        begin(fixture, grow_wrongly, &growths[i]);
        open_echo(fixture);
        error = issue(fixture, &job);
        if (!error)
            error = vine_task_wait(job.task, LATEST_NS);
        if (error != growths[i].error)
            print_error("growth %zu\n", i);
        assert_int_equal(error, growths[i].error);
        assert_int_equal(vine_pipe_status(fixture->pipe), growths[i].error);
        all_have_ended(fixture);
        let_go(&job);
        end(fixture);
    }
}

static void send_garbage(struct raw_appliance *raw, const void *part)
{
    unsigned char garbage[300];
    const size_t *size = part;

    raw_appliance_begin(raw);
    raw_appliance_wait(raw);
    memset(garbage, (int)*size, sizeof garbage);
    must(vine__peer_send(raw->link.socket_fd, garbage, *size, NULL, 0, 0), "send");
}

static void garbage_on_the_socket_ends_the_pipe(void **state)
{
    struct fixture *fixture = *state;

    for (size_t size = 1; size < 300; size += 37) {
        struct job job;
        int error;

        begin(fixture, send_garbage, &size);
        open_echo(fixture);
        error = issue(fixture, &job);
        if (!error)
            error = vine_task_wait(job.task, LATEST_NS);
        assert_int_equal(error, -VINE_EPROTOCOL);
        all_have_ended(fixture);
        let_go(&job);
        end(fixture);
    }
}

/* ---- silence and death ----------------------------------------------------------------------- */

static void begin_and_stay(struct raw_appliance *raw, const void *part)
{
    (void)part;
    raw_appliance_begin(raw);
}

/* A loss is told within a second. A busy machine may be late now and then, our code may not be late
 * each time: `lose` says how long it took. */
static void is_told_soon(struct fixture *fixture, uint64_t (*lose)(struct fixture *fixture))
{
    uint64_t took_ns = lose(fixture);

    for (int i = 0; i < 9 && took_ns >= PROMPT_NS; i++)
        took_ns = lose(fixture);
    assert_true(took_ns < PROMPT_NS);
}

/* Wait for a loss that has happened, to the end of everything. Returns how long it took. */
static uint64_t wait_for_loss(struct fixture *fixture, struct job *jobs, uint32_t count)
{
    const uint64_t start_ns = vine__clock_now_ns();

    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(vine_task_wait(jobs[i].task, LATEST_NS), -VINE_EPEERLOST);
        let_go(&jobs[i]);
    }

    const uint64_t took_ns = vine__clock_now_ns() - start_ns;

    assert_int_equal(vine_pipe_status(fixture->pipe), -VINE_EPEERLOST);
    all_have_ended(fixture);
    end(fixture);
    return took_ns;
}

static uint64_t time_out_and_lose(struct fixture *fixture)
{
    struct job jobs[16];

    begin(fixture, begin_and_stay, NULL);
    open_echo(fixture);
    for (uint32_t i = 0; i < 16; i++)
        assert_int_equal(issue(fixture, &jobs[i]), 0);
    assert_int_equal(vine_task_wait(jobs[3].task, SHORT_NS), -ETIMEDOUT);
    assert_int_equal(vine_task_cancel(jobs[3].task), 0);
    assert_int_equal(vine_task_wait(jobs[3].task, SHORT_NS), -ETIMEDOUT);
    assert_int_equal(vine_pipe_status(fixture->pipe), 0);
    kill_appliance(fixture);
    return wait_for_loss(fixture, jobs, 16);
}

static void no_answer_is_a_time_out_and_then_a_loss(void **state)
{
    is_told_soon(*state, time_out_and_lose);
}

static void hang_up_later(struct raw_appliance *raw, const void *part)
{
    struct vine_wire_submission submission;

    (void)part;
    raw_appliance_begin(raw);
    raw_appliance_take(raw, &submission);
    raw_appliance_hang_up(raw);
}

static uint64_t lose_one_task(struct fixture *fixture, play_fn play)
{
    struct job job;

    begin(fixture, play, NULL);
    open_echo(fixture);
    assert_int_equal(issue(fixture, &job), 0);
    return wait_for_loss(fixture, &job, 1);
}

static uint64_t lose_by_hang_up(struct fixture *fixture)
{
    return lose_one_task(fixture, hang_up_later);
}

static void a_hang_up_half_way_is_a_loss(void **state)
{
    is_told_soon(*state, lose_by_hang_up);
}

static void die_and_leave_a_child(struct raw_appliance *raw, const void *part)
{
    struct vine_wire_submission submission;

    (void)part;
    raw_appliance_begin(raw);
    raw_appliance_take(raw, &submission);
    /* The child keeps the socket open: nobody hears of a hang-up. */
    if (fork() == 0)
        stay();
    _exit(0);
}

static uint64_t lose_by_death(struct fixture *fixture)
{
    return lose_one_task(fixture, die_and_leave_a_child);
}

static void a_child_that_keeps_the_socket_hides_no_death(void **state)
{
    is_told_soon(*state, lose_by_death);
}

static void welcome_and_die(struct raw_appliance *raw, const void *part)
{
    (void)part;
    raw_appliance_accept(raw);
    raw_appliance_welcome(raw);
    (void)first_channel(raw);
    _exit(0);
}

static void a_death_before_the_first_answer_ends_the_question(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture, welcome_and_die, NULL);
    assert_int_equal(open_pipe(fixture), 0);
    assert_int_equal(vine_procedure_get(fixture->pipe, "echo", &fixture->echo), -VINE_EPEERLOST);
    all_have_ended(fixture);
    end(fixture);
}

/* ---- descriptions ---------------------------------------------------------------------------- */

struct answer {
    struct vine_wire_description description;
    uint32_t size;
};

static void describe_wrongly(struct raw_appliance *raw, const void *part)
{
    const struct answer *answer = part;

    raw_appliance_accept(raw);
    raw_appliance_welcome(raw);
    raw_appliance_meet(raw);
    raw_appliance_open_channel(raw);
    raw_appliance_describe(raw, &answer->description, answer->size);
    raw_appliance_describe(raw, &answer->description, answer->size);
}

#define ANSWERS 10

static void wrong_descriptions_are_refused(void **state)
{
    struct fixture *fixture = *state;
    static struct answer answers[ANSWERS];
    struct vine_procedure *found = NULL;

    for (size_t i = 0; i < ANSWERS; i++) {
        answers[i].description = raw_appliance_description("echo");
        answers[i].size = sizeof answers[i].description;
    }
    memset(answers[0].description.name, 'x', sizeof answers[0].description.name);
    answers[1].description.argument_count = 1000;
    answers[2].description.argument_count = UINT32_MAX;
    answers[3].description.id = VINE_WIRE_LOOKUP;
    answers[4].description.arguments[0].kind = 99;
    answers[5].description.arguments[1].data_type = 0;
    answers[6].description.arguments[1].data_type = UINT32_MAX;
    answers[7].description.name[0] = 0;
    answers[8].size--;
    answers[9].size = 1;
    for (size_t i = 0; i < ANSWERS; i++) {
        begin(fixture, describe_wrongly, &answers[i]);
        assert_int_equal(open_pipe(fixture), 0);
        assert_int_equal(vine_procedure_get(fixture->pipe, "echo", &found), -VINE_EPROTOCOL);
        assert_int_equal(vine_procedure_list(fixture->pipe, &found, 1), -VINE_EPROTOCOL);
        end(fixture);
    }
}

static void texts_of_a_description_are_ended_and_printable(void **state)
{
    struct fixture *fixture = *state;
    static struct answer answer;
    const struct vine_procedure_info *info;

    answer.description = raw_appliance_description("echo");
    answer.size = sizeof answer.description;
    memset(answer.description.summary, '\x1b', sizeof answer.description.summary);
    memset(answer.description.accelerator_type, 0xff, sizeof answer.description.accelerator_type);
    memset(answer.description.arguments[0].name, '\n', sizeof answer.description.arguments[0].name);
    begin(fixture, describe_wrongly, &answer);
    open_echo(fixture);
    info = vine_procedure_describe(fixture->echo);
    assert_int_equal(strlen(info->summary), sizeof info->summary - 1);
    assert_int_equal(strlen(info->accelerator_type), sizeof info->accelerator_type - 1);
    assert_int_equal(info->summary[0], '?');
    assert_int_equal(info->arguments[0].name[0], '?');
    end(fixture);
}

/* ---- anything -------------------------------------------------------------------------------- */

struct chance {
    unsigned seed;
    unsigned rounds;
};

static void act_at_random(struct raw_appliance *raw, unsigned *seed)
{
    struct vine_wire_submission submission = {.operation = (uint64_t)rand_r(seed)};
    void *half = raw->half.layout;
    void *theirs = NULL;
    uint64_t theirs_bytes = 0;

    /* Of a named segment all can be written. */
    if (raw->named != NULL && rand_r(seed) % 2 == 0 &&
        vine_segment_find(raw->named, VINE_SEGMENT_KIND_APPLICATION_HALF, &theirs, &theirs_bytes) ==
            0)
        half = theirs;

    uint64_t *word = (uint64_t *)half +
                     (unsigned)rand_r(seed) % ((VINE__HALF_BYTES - VINE_SEGMENT_HEADER_BYTES) / 8);

    switch (rand_r(seed) % 16) {
    case 0:
        vine__store_relaxed_u64(word, (uint64_t)rand_r(seed));
        return;
    case 1:
        vine__store_relaxed_u64(word, UINT64_MAX << (rand_r(seed) % 64));
        return;
    default:
        break;
    }
    (void)!vine_spsc_pop(&raw->consumer, &submission);

    const struct vine_token token = {
        .offset_units = (uint32_t)rand_r(seed) % 2100, .length = 6, .type = VINE_TYPE_BYTES};
    struct vine_wire_completion completion = raw_appliance_good(&submission, &token);
    unsigned char *bytes = (unsigned char *)&completion;

    if (rand_r(seed) % 4 == 0)
        bytes[(unsigned)rand_r(seed) % sizeof completion] = (unsigned char)rand_r(seed);
    raw_appliance_complete(raw, &completion);
}

static void be_random(struct raw_appliance *raw, const void *part)
{
    struct chance chance = *(const struct chance *)part;

    for (unsigned round = 0; round < chance.rounds; round++) {
        raw_appliance_begin(raw);
        raw_appliance_wait(raw);
        for (unsigned i = 0; i < 300; i++) {
            act_at_random(raw, &chance.seed);
            if (i % 32 == 0) /* where both share a processor, the other has a turn now and then */
                (void)sched_yield();
        }
        raw_appliance_hang_up(raw);
    }
}

static void random_words_in_the_half_hurt_nobody(void **state)
{
    struct fixture *fixture = *state;
    const char *seed_text = getenv("VINE_TEST_SEED");
    /* What it writes into a named segment, the next application would find there: each has an
     * appliance of its own. */
    const bool is_named = strchr(fixture->path, ':') != NULL;
    const unsigned rounds = (getenv("VINE_TEST_LONG") ? 5000u : 200u) / (is_named ? 4u : 1u);
    struct chance chance = {
        .seed = seed_text ? (unsigned)strtoul(seed_text, NULL, 0) : (unsigned)getpid(),
        .rounds = is_named ? 1 : rounds,
    };

    print_message("seed %u, %u rounds\n", chance.seed, rounds);
    if (!is_named)
        begin(fixture, be_random, &chance);
    for (unsigned round = 0; round < rounds; round++, chance.seed++) {
        struct job jobs[16];
        uint32_t count = 0;

        (void)alarm(HANG_GUARD_SECONDS);
        if (is_named)
            begin(fixture, be_random, &chance);
        open_echo(fixture);
        while (count < 16) {
            const int error = issue(fixture, &jobs[count]);

            if (error) {
                let_go(&jobs[count]);
                break;
            }
            if (count++ % 4 == 3)
                (void)!vine_pipe_poll(fixture->pipe);
        }
        for (uint32_t i = 0; i < count; i++) {
            assert_int_not_equal(vine_task_wait(jobs[i].task, LATEST_NS), -ETIMEDOUT);
            let_go(&jobs[i]);
        }
        all_have_ended(fixture);
        vine_pipe_close(fixture->pipe);
        fixture->pipe = NULL;
        if (is_named)
            end(fixture);
    }
    if (!is_named)
        end(fixture);
}

/* ---- the header of a named segment ----------------------------------------------------------- */

struct header_change {
    const struct word *word;
    size_t value;
    unsigned *seed;
};

static void answer_with_another_header(struct raw_appliance *raw, const void *part)
{
    const struct header_change *change = part;
    struct vine_wire_submission submission;
    uint64_t values[WORD_VALUES];
    void *header = vine_segment_base(raw->named);

    raw_appliance_begin(raw);
    raw_appliance_wait(raw);
    word_values(word_get(header, change->word), change->word->bytes, change->seed, values);
    word_put(header, change->word, values[change->value]);
    for (;;) {
        raw_appliance_take(raw, &submission);

        const struct vine_token token = raw_appliance_token(raw, "hello", 6);
        const struct vine_wire_completion completion = raw_appliance_good(&submission, &token);

        raw_appliance_complete(raw, &completion);
    }
}

/* It tells who lives. So a lie may make a loss of the pipe, or hide one; and no more than that. */
static void any_word_of_the_header_hurts_nobody(void **state)
{
    struct fixture *fixture = *state;
    unsigned seed = word_seed();
    const size_t stride = getenv("VINE_TEST_LONG") ? 1 : 5; /* each value comes with some words */
    unsigned answered = 0;

    print_message("seed %u\n", seed);
    for (size_t i = 0; i < VINE_ARRAY_COUNT(header_words); i++)
        for (size_t v = i % stride; v < WORD_VALUES; v += stride) {
            const struct header_change change = {&header_words[i], v, &seed};

            (void)rand_r(&seed); /* the appliance's is a copy */
            begin(fixture, answer_with_another_header, &change);
            open_echo(fixture);
            for (int task = 0; task < 4; task++) {
                struct job job;
                int error = issue(fixture, &job);

                if (task == 2)
                    kill_appliance(fixture);
                if (!error)
                    error = vine_task_wait(job.task, task < 2 ? LATEST_NS : SHORT_NS / 20);
                assert_true(error == 0 || error == -VINE_EPEERLOST || error == -VINE_ECLOSED ||
                            (task >= 2 && error == -ETIMEDOUT));
                answered += error == 0;
                let_go(&job);
            }
            end(fixture);
        }
    assert_true(answered > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOSTILE(impossible_channels_end_the_pipe),
        HOSTILE(impossible_welcomes_are_refused),
        HOSTILE(garbage_instead_of_a_welcome_is_refused),
        HOSTILE(who_answers_no_hello_is_not_waited_for),
        HOSTILE(bad_extents_end_the_pipe),
        HOSTILE(garbage_on_the_socket_ends_the_pipe),
        HOSTILE(no_answer_is_a_time_out_and_then_a_loss),
        HOSTILE(a_hang_up_half_way_is_a_loss),
        HOSTILE(a_child_that_keeps_the_socket_hides_no_death),
        HOSTILE(a_death_before_the_first_answer_ends_the_question),
        HOSTILE(wrong_descriptions_are_refused),
        HOSTILE(texts_of_a_description_are_ended_and_printable),
        HOSTILE(random_words_in_the_half_hurt_nobody),
    };
    const struct CMUnitTest named[] = {
        HOSTILE_NAMED(impossible_channels_end_the_pipe),
        HOSTILE_NAMED(no_answer_is_a_time_out_and_then_a_loss),
        HOSTILE_NAMED(a_death_before_the_first_answer_ends_the_question),
        HOSTILE_NAMED(wrong_descriptions_are_refused),
        HOSTILE_NAMED(random_words_in_the_half_hurt_nobody),
        HOSTILE_NAMED(any_word_of_the_header_hurts_nobody),
    };

    signal(SIGPIPE, SIG_IGN);

    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    if (!is_emulated("tells a process another start time of itself than others see"))
        failed += cmocka_run_group_tests(named, NULL, NULL);
    return failed;
}
