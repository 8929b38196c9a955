/* SPDX-License-Identifier: Apache-2.0 */
/* Words of a link between machines, each of which one side alone writes, and writes as no library
 * does: on either side one that plays a part, on the other ours, which it must not harm. */
#include "hostile/stepped_appliance.h"

#include <sched.h>

#include <vine/talk.h>

#include "core/talk/pipe_internal.h"
#include "harness/fake_machines.h"
#include "harness/procedures.h"

#define TURNS_MAX 1000u

struct words {
    struct fake_host host;
    struct stepped stepped;
    struct raw_application zip; /* the one that plays a part */
    struct raw_application zap; /* a good one, at another link */
};

static const struct vine_argument echo_arguments[] = {
    {"in", VINE_INPUT, VINE_TYPE_BYTES, 0, 65536},
    {"out", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 65536},
};

static const struct vine_procedure_definition procedures[] = {
    {.size_bytes = sizeof procedures[0],
     .name = "noop",
     .flags = VINE_PROCEDURE_SHORT,
     .run = run_noop},
    {.size_bytes = sizeof procedures[0],
     .name = "echo",
     .flags = VINE_PROCEDURE_SHORT,
     .run = run_echo,
     .arguments = echo_arguments,
     .argument_count = 2},
};

enum { NOOP, ECHO };

static void keep_quiet(void *context, enum vine_log_level level, const char *message)
{
    (void)context, (void)level, (void)message;
}

struct opening {
    struct raw_application *raw;
    const char *address;
};

static int open_raw(void *context)
{
    struct opening *opening = context;
    const int error = raw_open(opening->raw, opening->address);

    return error ? error : raw_open_channel(opening->raw);
}

static void open_zip(struct words *words)
{
    struct opening opening = {.raw = &words->zip, .address = "pci:zip"};

    assert_int_equal(stepped_turn_while(&words->stepped, open_raw, &opening), 0);
}

static int set_up(void **state)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof options, .log = keep_quiet};
    struct words *words = calloc(1, sizeof *words);
    struct opening opening = {.address = "pci:zap"};

    assert_non_null(words);
    opening.raw = &words->zap;
    fake_start(&words->host);
    fake_plug(&words->host, 0, "zip");
    fake_plug(&words->host, 1, "zap");
    fake_use(&words->host, 1);
    stepped_start_at(&words->stepped, "pci:auto", &options);
    for (int i = 0; i < 2; i++)
        assert_int_equal(vine_appliance_register(words->stepped.appliance, &procedures[i]), 0);
    fake_use(&words->host, 0);
    assert_int_equal(stepped_turn_while(&words->stepped, open_raw, &opening), 0);
    *state = words;
    return 0;
}

static int tear_down(void **state)
{
    struct words *words = *state;

    raw_close(&words->zap);
    stepped_stop(&words->stepped);
    fake_stop(&words->host);
    free(words);
    return 0;
}

/* ---- a hostile application ------------------------------------------------------------------- */

static void pings(struct words *words, struct raw_application *raw)
{
    stepped_submit(raw, 0, stepped_task(NOOP, 7));

    const struct vine_wire_completion completion =
        stepped_complete(&words->stepped, raw, 0, TURNS_MAX, NULL);

    assert_int_equal(completion.operation, 7);
    assert_int_equal(completion.status, 0);
}

/* The good one's pipe is left; and whoever comes next at the other link is served. */
static void ends_and_is_followed(struct words *words, const char *what)
{
    for (uint32_t i = 0; stepped_stats(&words->stepped).pipes_open != 1; i++) {
        if (i == TURNS_MAX)
            fail_msg("%s: goes on", what);
        stepped_turn(&words->stepped);
    }
    raw_close(&words->zip);
    pings(words, &words->zap);
    open_zip(words);
    pings(words, &words->zip);
    raw_close(&words->zip);
    /* Without a word: until the next one comes. */
    open_zip(words);
    raw_close(&words->zip);
    pings(words, &words->zap);
}

static void a_meeting_that_changes_ends_the_pipe(void **state)
{
    struct words *words = *state;

    open_zip(words);
    vine__store_release_u64(&words->zip.half.layout->board.meeting, 0);
    ends_and_is_followed(words, "no meeting");
    assert_int_equal(stepped_stats(&words->stepped).pipes_broken, 0);
}

/* It has to be that of a half which is all there: one of which half is somebody else's is served,
 * or ended, as its words say. */
static void a_meeting_that_changes_again_and_again_is_answered_each_time(void **state)
{
    struct words *words = *state;

    open_zip(words);
    for (uint64_t i = 1; i <= 20; i++) {
        const struct vine_board_layout *theirs = &fake_half(&words->host, 0, 1)->board;

        vine__store_release_u64(&words->zip.half.layout->board.meeting, i);
        for (uint32_t turns = 0; vine__load_acquire_u64(&theirs->meeting) != i; turns++) {
            assert_true(turns < TURNS_MAX);
            stepped_turn(&words->stepped);
        }
        pings(words, &words->zap);
    }
    assert_true(stepped_stats(&words->stepped).pipes_open <= 2);
    vine__store_release_u64(&words->zip.half.layout->board.meeting, 0);
    ends_and_is_followed(words, "many meetings");
}

/* To answer takes as long as thousands of tasks, and the others have a right to that time. */
static void a_meeting_that_changes_all_the_while_is_answered_now_and_then(void **state)
{
    struct words *words = *state;
    const struct vine_board_layout *theirs = &fake_half(&words->host, 0, 1)->board;
    uint64_t last = 0;
    uint32_t answers = 0;

    open_zip(words);
    for (uint64_t i = 1; i <= 2000; i++) {
        vine__store_release_u64(&words->zip.half.layout->board.meeting, i);
        stepped_turn(&words->stepped);
        const uint64_t answered = vine__load_acquire_u64(&theirs->meeting);

        answers += answered != last;
        last = answered;
    }
    assert_in_range(answers, 2, 20);
    pings(words, &words->zap);
    vine__store_release_u64(&words->zip.half.layout->board.meeting, 0);
    ends_and_is_followed(words, "many meetings");
}

static void an_impossible_farewell_is_a_farewell(void **state)
{
    static const uint32_t numbers[] = {1, 22, 999, 1000, 1999, 2000, 1u << 31, UINT32_MAX};
    struct words *words = *state;

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        open_zip(words);
        vine__store_release_u32(&words->zip.half.layout->board.closed.value, numbers[i]);
        ends_and_is_followed(words, "closed");
    }
}

static void impossible_channels_end_the_pipe(void **state)
{
    static const struct {
        const char *what;
        uint32_t count, slots, extent, offset;
    } channels[] = {
        {"fewer channels", 0, 256, 0, 1024},
        {"more channels than are granted", 17, 256, 0, 1024},
        {"as many channels as there are numbers", UINT32_MAX, 256, 0, 1024},
        {"no slot", 2, 0, 0, 1024},
        {"an odd number of slots", 2, 255, 0, 1024},
        {"too many slots", 2, 1u << 31, 0, 1024},
        {"a ring behind the device", 2, 256, 0, (FAKE_HALF_BYTES >> 6) - 16},
        {"a ring far behind the device", 2, 256, 0, UINT32_MAX},
        {"a ring in memory that does not come", 2, 256, 1, 1024},
        {"a ring in an extent that cannot be", 2, 256, UINT32_MAX, 1024},
    };
    struct words *words = *state;

    for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++) {
        struct vine_half_layout *ours;

        open_zip(words);
        ours = words->zip.half.layout;
        ours->channels[1].slot_count = channels[i].slots;
        ours->channels[1].ring_extent = channels[i].extent;
        ours->channels[1].ring_offset_units = channels[i].offset;
        vine__store_release_u32(&ours->board.channels.value, channels[i].count);
        ends_and_is_followed(words, channels[i].what);
    }
    assert_int_equal(stepped_stats(&words->stepped).pipes_broken,
                     sizeof channels / sizeof channels[0]);
}

static void tokens_outside_the_device_end_the_pipe(void **state)
{
    static const struct vine_token tokens[] = {
        {.offset_units = UINT32_MAX, .length = 64, .type = VINE_TYPE_BYTES},
        {.offset_units = (FAKE_HALF_BYTES >> 6) - 65, .length = 8192, .type = VINE_TYPE_BYTES},
        {.offset_units = (FAKE_HALF_BYTES >> 6), .length = 1, .type = VINE_TYPE_BYTES},
        {.offset_units = 1024, .length = 64, .type = VINE_TYPE_BYTES, .extent = 1},
        {.offset_units = 1024, .length = 64, .type = VINE_TYPE_BYTES, .extent = 64},
    };
    struct words *words = *state;

    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        struct vine_wire_submission submission = stepped_task(ECHO, i);
        const struct vine_token both[2] = {tokens[i], stepped_expect(64)};

        open_zip(words);
        stepped_give(&submission, NULL, 0, both, 2);
        stepped_submit(&words->zip, 0, submission);
        ends_and_is_followed(words, "a token");
    }
    assert_int_equal(stepped_stats(&words->stepped).pipes_broken, sizeof tokens / sizeof tokens[0]);
}

static void an_impossible_position_ends_the_pipe(void **state)
{
    struct words *words = *state;

    open_zip(words);
    pings(words, &words->zip);
    vine__store_release_u64(&words->zip.half.layout->channels[0].consumed.value, UINT64_MAX / 2);
    /* It is looked at when the ring of completions seems to be full. */
    for (uint32_t i = 0; i < 8 * RAW_SLOTS; i++) {
        const struct vine_wire_submission submission = stepped_task(NOOP, i);

        if (raw_submit(&words->zip, 0, &submission) != 0 || i % 64 == 0)
            stepped_turn(&words->stepped);
    }
    ends_and_is_followed(words, "a position");
    assert_int_equal(stepped_stats(&words->stepped).pipes_broken, 1);
}

/* It was checked when the pipe began, and is not believed again. */
static void a_header_that_changes_while_it_is_served_changes_nothing(void **state)
{
    struct words *words = *state;

    open_zip(words);
    for (int value = 0; value < 256; value += 255) {
        memset(words->host.links[0].memory[0], value, VINE_SEGMENT_HEADER_BYTES);
        pings(words, &words->zip);
    }
    vine__store_release_u64(&words->zip.half.layout->board.meeting, 0);
    ends_and_is_followed(words, "a header");
}

static void a_half_without_a_header_is_refused_and_told(void **state)
{
    struct words *words = *state;
    const struct vine_board_layout *theirs = &fake_half(&words->host, 0, 1)->board;

    open_zip(words);
    memset(words->host.links[0].memory[0], 0, VINE_SEGMENT_HEADER_BYTES);
    vine__store_release_u64(&words->zip.half.layout->board.meeting, 99);
    for (uint32_t i = 0; vine__load_acquire_u64(&theirs->meeting) != 99; i++) {
        assert_true(i < TURNS_MAX);
        stepped_turn(&words->stepped);
    }
    assert_int_not_equal(vine__load_acquire_u32(&theirs->closed.value), 0);
    ends_and_is_followed(words, "no header");
    assert_int_equal(stepped_stats(&words->stepped).pipes_refused, 1);
}

static void another_version_is_refused_and_told(void **state)
{
    struct words *words = *state;
    const struct vine_board_layout *theirs = &fake_half(&words->host, 0, 1)->board;

    open_zip(words);
    words->zip.half.layout->board.version = (VINE_TALK_MAJOR + 1) << 16;
    vine__store_release_u64(&words->zip.half.layout->board.meeting, 99);
    for (uint32_t i = 0; vine__load_acquire_u64(&theirs->meeting) != 99; i++) {
        assert_true(i < TURNS_MAX);
        stepped_turn(&words->stepped);
    }
    assert_int_equal(vine__load_acquire_u32(&theirs->closed.value), VINE_EVERSION);
    ends_and_is_followed(words, "another version");
}

/* ---- what the host writes -------------------------------------------------------------------- */

/* What it last said may be of another machine than the one that calls. */
static void nobody_is_answered_while_the_host_writes(void **state)
{
    struct words *words = *state;
    const struct vine_board_layout *theirs = &fake_half(&words->host, 0, 1)->board;

    open_zip(words);
    vine__store_release_u64(&words->zip.half.layout->board.meeting, 0);
    for (uint32_t i = 0; i < 10; i++)
        stepped_turn(&words->stepped);
    fake_tear(&words->host, 1, 0);
    vine__store_release_u64(&words->zip.half.layout->board.meeting, 5);
    for (uint32_t i = 0; i < 100; i++)
        stepped_turn(&words->stepped);
    assert_int_not_equal(theirs->meeting, 5);
    fake_mend(&words->host, 1, 0);
    for (uint32_t i = 0; vine__load_acquire_u64(&theirs->meeting) != 5; i++) {
        assert_true(i < TURNS_MAX);
        stepped_turn(&words->stepped);
    }
    raw_close(&words->zip);
}

/* An entry that no host writes is as good as none, and another host's fault is none of a pipe. */
static void an_entry_that_cannot_be_ends_its_link_alone(void **state)
{
    struct words *words = *state;

    open_zip(words);
    fake_tear(&words->host, 1, 0);
    fake_entry(&words->host, 1, 0)->end = 7;
    fake_mend(&words->host, 1, 0);
    for (uint32_t i = 0; stepped_stats(&words->stepped).pipes_open != 1; i++) {
        assert_true(i < TURNS_MAX);
        stepped_turn(&words->stepped);
    }
    raw_close(&words->zip);
    pings(words, &words->zap);
    fake_tell(&words->host, 0);
    open_zip(words);
    pings(words, &words->zip);
    raw_close(&words->zip);
}

/* ---- a hostile appliance --------------------------------------------------------------------- */

static int open_pipe(void *context)
{
    const struct vine_pipe_options options = {
        .size_bytes = sizeof options, .log = keep_quiet, .connect_timeout_ns = RAW_LIMIT_NS};

    return vine_pipe_open("pci:zip", &options, context);
}

static void an_appliance_with_impossible_words_is_left(void **state)
{
    static const struct {
        const char *what;
        uint64_t meeting; /* 0: as it is */
        uint32_t closed;
        int error;
    } parts[] = {
        {"another meeting", 1, 0, -VINE_EPEERLOST},
        {"closed with 1", 0, 1, -VINE_ECLOSED},
        {"closed with 999", 0, 999, -VINE_ECLOSED},
        {"closed with all ones", 0, UINT32_MAX, -VINE_ECLOSED},
        {"closed for a reason", 0, VINE_EDRAINING, -VINE_EDRAINING},
    };
    struct words *words = *state;

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct vine_board_layout *theirs = &fake_half(&words->host, 0, 1)->board;
        struct vine_pipe *pipe = NULL;

        assert_int_equal(stepped_turn_while(&words->stepped, open_pipe, &pipe), 0);
        assert_int_equal(vine_pipe_status(pipe), 0);
        if (parts[i].meeting != 0)
            vine__store_release_u64(&theirs->meeting, parts[i].meeting);
        vine__store_release_u32(&theirs->closed.value, parts[i].closed);
        if (vine_pipe_status(pipe) != parts[i].error)
            fail_msg("%s: %d", parts[i].what, vine_pipe_status(pipe));
        vine_pipe_close(pipe);
    }
}

/* A half that its writer has laid out, and not as an appliance does. */
struct pretended {
    struct words *words;
    struct vine__half half;
    enum vine_segment_side side;
    uint32_t version, channels_max, tasks_max;
};

static void *pretend(void *context)
{
    struct pretended *pretended = context;
    const struct vine_board_layout *theirs = &fake_half(&pretended->words->host, 2, 0)->board;
    struct vine_board_layout *ours = &pretended->half.layout->board;
    uint64_t meeting;

    while ((meeting = vine__load_acquire_u64(&theirs->meeting)) == 0)
        (void)sched_yield();
    ours->version = pretended->version;
    ours->channels_max = pretended->channels_max;
    ours->tasks_max = pretended->tasks_max;
    vine__store_release_u64(&ours->meeting, meeting);
    return NULL;
}

static void an_appliance_that_grants_what_cannot_be_is_refused(void **state)
{
    static const struct {
        const char *what;
        enum vine_segment_side side;
        uint32_t version, channels_max, tasks_max;
        int error;
    } parts[] = {
        {"another version", VINE_SEGMENT_APPLIANCE, (VINE_TALK_MAJOR + 1) << 16, 4, 16,
         -VINE_EVERSION},
        {"no channel", VINE_SEGMENT_APPLIANCE, VINE_TALK_VERSION, 0, 16, -VINE_EPROTOCOL},
        {"too many channels", VINE_SEGMENT_APPLIANCE, VINE_TALK_VERSION, 65, 16, -VINE_EPROTOCOL},
        {"no task", VINE_SEGMENT_APPLIANCE, VINE_TALK_VERSION, 4, 0, -VINE_EPROTOCOL},
        {"too many tasks", VINE_SEGMENT_APPLIANCE, VINE_TALK_VERSION, 4, UINT32_MAX,
         -VINE_EPROTOCOL},
        {"an application's half", VINE_SEGMENT_APPLICATION, VINE_TALK_VERSION, 4, 16,
         -VINE_EPROTOCOL},
    };
    struct words *words = *state;
    const uint8_t uuid[VINE_SEGMENT_IDENTITY_BYTES] = {1};

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const struct vine_pipe_options options = {
            .size_bytes = sizeof options, .log = keep_quiet, .connect_timeout_ns = RAW_LIMIT_NS};
        struct pretended pretended = {
            .words = words,
            .version = parts[i].version,
            .channels_max = parts[i].channels_max,
            .tasks_max = parts[i].tasks_max,
        };
        struct vine__half_options half_options = {
            .uuid = uuid,
            .side = parts[i].side,
            .device_bytes = FAKE_HALF_BYTES,
            .bytes_max = FAKE_HALF_BYTES,
            .sysfs_root = words->host.machines[1].sysfs,
        };
        struct vine_pipe *pipe = NULL;
        pthread_t thread;
        char bdf[16];

        /* The appliance does not turn meanwhile, and so does not come to this link. */
        fake_plug(&words->host, 2, "zop");
        fake_bdf(1, 2, 1, bdf);
        half_options.device = bdf;
        assert_int_equal(vine__half_create(&pretended.half, &half_options), 0);
        assert_int_equal(pthread_create(&thread, NULL, pretend, &pretended), 0);

        const int error = vine_pipe_open("pci:zop", &options, &pipe);

        if (error != parts[i].error)
            fail_msg("%s: %d", parts[i].what, error);
        assert_int_equal(pthread_join(thread, NULL), 0);
        /* Who is not wanted is told. */
        assert_int_not_equal(fake_half(&words->host, 2, 0)->board.closed.value, 0);
        vine__half_close(&pretended.half);
        fake_unplug(&words->host, 2);
    }
}

#define WORDS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORDS(a_meeting_that_changes_ends_the_pipe),
        WORDS(a_meeting_that_changes_again_and_again_is_answered_each_time),
        WORDS(a_meeting_that_changes_all_the_while_is_answered_now_and_then),
        WORDS(an_impossible_farewell_is_a_farewell),
        WORDS(impossible_channels_end_the_pipe),
        WORDS(tokens_outside_the_device_end_the_pipe),
        WORDS(an_impossible_position_ends_the_pipe),
        WORDS(a_header_that_changes_while_it_is_served_changes_nothing),
        WORDS(a_half_without_a_header_is_refused_and_told),
        WORDS(another_version_is_refused_and_told),
        WORDS(nobody_is_answered_while_the_host_writes),
        WORDS(an_entry_that_cannot_be_ends_its_link_alone),
        WORDS(an_appliance_with_impossible_words_is_left),
        WORDS(an_appliance_that_grants_what_cannot_be_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
