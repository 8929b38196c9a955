/* SPDX-License-Identifier: Apache-2.0 */
/* test: long=900 */
/*
 * A hostile application on a named segment, where both halves can be written by either side.
 *
 * Fault model: the application writes anything into both halves and the header at any moment, and
 * leaves; what it wrote into words that outlive it, it takes back. The segment is a file, or the
 * memory of a device. The appliance lives in a process of its own; a crash of
 * it, or a next application that it does not serve, is what fails a test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vine/appliance.h>
#include <vine/error.h>

#include "harness/emulator.h"
#include "harness/folder.h"
#include "harness/procedures.h"
#include "hostile/raw_application.c"
#include "hostile/words.h"
#include "unit/arch/memory/fake_sysfs.h"

/* The application's side of a segment, which may stall between its claim and what it does then. */
static int find_late(const struct vine_segment *segment, enum vine_segment_kind kind,
                     void **ret_base, uint64_t *ret_size_bytes);

#define vine_segment_find find_late
#include "core/talk/link_named.c"
#undef vine_segment_find

#define HANG_GUARD_SECONDS 100
#define SEGMENT_BYTES      (2u << 20)
#define CLAIM_NS           60000000000ULL

#define PATIENCE_NS 50000000ULL
#define DEVICE      "0000:00:04.0"

/* Where an application finds the segment, and where its appliance does: the two may differ, as they
 * do between two machines. */
struct fixture {
    char folder[64];
    char trees[2][FAKE_SYSFS_PATH_MAX]; /* empty: no devices */
    char address[112];
    pid_t appliance;
    struct told *told; /* by the appliance's log, in memory that we share with it */
};

struct told {
    uint32_t breaks;
    char last[256];
};

static int run_answer(struct vine_call *call)
{
    const uint32_t answer = 42;

    return vine_call_result(call, &answer, sizeof answer);
}

static const struct vine_argument arguments[] = {
    {"answer", VINE_RESULT, 0, 4, 4},
};

static const struct vine_argument input_arguments[] = {
    {"input", VINE_INPUT, VINE_TYPE_BYTES, 0, UINT64_MAX},
};

static const struct vine_procedure_definition definition = {
    .size_bytes = sizeof definition,
    .name = "answer",
    .run = run_answer,
    .arguments = arguments,
    .argument_count = 1,
};

static const struct vine_procedure_definition takes_input = {
    .size_bytes = sizeof takes_input,
    .name = "input",
    .run = run_noop,
    .arguments = input_arguments,
    .argument_count = 1,
};

#define PROCEDURE_INPUT (VINE_WIRE_PROCEDURES_FROM + 1)

static void tell(void *context, enum vine_log_level level, const char *message)
{
    struct told *told = context;

    if (level > VINE_LOG_WARNING)
        return;
    (void)snprintf(told->last, sizeof told->last, "%s", message);
    (void)vine__fetch_add_acq_rel_u32(&told->breaks, 1);
}

static int offer(struct vine_appliance *appliance)
{
    const int error = vine_appliance_register(appliance, &definition);

    return error ? error : vine_appliance_register(appliance, &takes_input);
}

static int ready_fd;

static void be_ready(void)
{
    if (write(ready_fd, "", 1) != 1)
        _exit(4);
}

#ifdef SERVE
static int serve_ready(const char *address, const struct vine_appliance_options *options)
{
    serving_on_reactors.started = be_ready;
    return SERVE(address, options, offer, 0);
}
#else
static int serve_ready(const char *address, const struct vine_appliance_options *options)
{
    struct vine_appliance *appliance = NULL;

    if (vine_appliance_create(options, &appliance) != 0)
        return 1;
    if (offer(appliance) != 0)
        return 2;
    if (vine_appliance_listen(appliance, address) != 0)
        return 3;
    be_ready();
    return vine_appliance_serve(appliance) ? 5 : 0;
}
#endif

static int serve(const char *address, struct told *told)
{
    const struct vine_appliance_options options = {
        .size_bytes = sizeof options,
        .segment_bytes = SEGMENT_BYTES,
        .log = tell,
        .log_context = told,
    };

    return serve_ready(address, &options);
}

static void begin(struct fixture *fixture)
{
    int ready[2];
    char byte;

    assert_int_equal(pipe(ready), 0);
    fixture->appliance = fork();
    assert_true(fixture->appliance >= 0);
    if (fixture->appliance == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)setenv("VINE_SYSFS", fixture->trees[0], 1);
        ready_fd = ready[1];
        _exit(serve(fixture->address, fixture->told));
    }
    (void)setenv("VINE_SYSFS", fixture->trees[1], 1);
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
}

static int setup(void **state, const char *kind)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/vine-named-XXXXXX");
    assert_int_equal(folder_make(fixture->folder), 0);
    if (strcmp(kind, "pci:") == 0) {
        /* The appliance lives in the first tree, and we in the second. */
        assert_int_equal(fake_sysfs_pair(fixture->folder, DEVICE, SEGMENT_BYTES, fixture->trees),
                         0);
        (void)snprintf(fixture->address, sizeof fixture->address, "pci:%s", DEVICE);
    } else {
        (void)snprintf(fixture->address, sizeof fixture->address, "file:%s/bar", fixture->folder);
    }
    fixture->told = mmap(NULL, sizeof *fixture->told, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(fixture->told != MAP_FAILED);
    begin(fixture);
    *state = fixture;
    return 0;
}

static int setup_file(void **state)
{
    return setup(state, "file:");
}

static int setup_pci(void **state)
{
    return setup(state, "pci:");
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    int status = 0;

    /* It lived until now: what ends it is our signal. */
    assert_int_equal(kill(fixture->appliance, SIGKILL), 0);
    assert_int_equal(waitpid(fixture->appliance, &status, 0), fixture->appliance);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(fake_sysfs_destroy(fixture->folder), 0);
    (void)munmap(fixture->told, sizeof *fixture->told);
    free(fixture);
    return 0;
}

static void is_served(const struct fixture *fixture)
{
    const struct vine_pipe_options options = {
        .size_bytes = sizeof options,
        .connect_timeout_ns = CLAIM_NS,
    };
    struct vine_pipe *pipe = NULL;
    uint32_t answer = 0;
    size_t size = 0;

    assert_int_equal(vine_pipe_open(fixture->address, &options, &pipe), 0);
    assert_int_equal(vine_pipe_call(pipe, "answer", NULL, 0, &answer, sizeof answer, &size), 0);
    assert_int_equal(size, sizeof answer);
    assert_int_equal(answer, 42);
    vine_pipe_close(pipe);
}

/* Words of a half; most of them among the board and the first channels. */
static void write_at_random(void *base, uint64_t size_bytes, unsigned *seed)
{
    const uint64_t words = rand_r(seed) % 4 == 0 ? size_bytes / 8 : 2048 / 8;
    uint64_t *word = (uint64_t *)base + (uint64_t)rand_r(seed) % words;

    vine__store_relaxed_u64(word, rand_r(seed) % 2 ? UINT64_MAX << (rand_r(seed) % 64)
                                                   : (uint64_t)rand_r(seed) % 300);
}

static void be_hostile(const struct fixture *fixture, unsigned *seed)
{
    struct vine__why why = {""};
    const struct vine__handshake_wish wish = {
        .name = "hostile", .timeout_ns = CLAIM_NS, .why = &why};
    struct vine__address address;
    struct vine__link link;
    struct vine__half half;
    struct vine__mirror mirror;
    struct vine__agreement agreement;
    void *bases[2];
    uint64_t sizes[2];

    assert_int_equal(vine__address_resolve(fixture->address, false, &address, &why), 0);
    vine__link_init(&link, &half, &mirror);
    assert_int_equal(vine__link_attach(&link, &address, &wish, &agreement), 0);
    assert_int_equal(
        vine_segment_find(link.named, VINE_SEGMENT_KIND_APPLICATION_HALF, &bases[0], &sizes[0]), 0);
    assert_int_equal(
        vine_segment_find(link.named, VINE_SEGMENT_KIND_APPLIANCE_HALF, &bases[1], &sizes[1]), 0);
    for (unsigned i = 0; i < 300; i++) {
        write_at_random(bases[i % 2], sizes[i % 2], seed);
        if (i % 16 == 0)
            vine__link_wake(&link);
    }
    vine__half_close(&half);
    vine__mirror_close(&mirror);
    link.operations->close(&link);
}

static void random_words_in_both_halves_keep_nobody_from_being_served(void **state)
{
    skip_if_emulated("tells a process another start time of itself than others see");
    const struct fixture *fixture = *state;
    const char *seed_text = getenv("VINE_TEST_SEED");
    const unsigned rounds = getenv("VINE_TEST_LONG") ? 2000 : 50;
    unsigned seed = seed_text ? (unsigned)strtoul(seed_text, NULL, 0) : (unsigned)getpid();

    print_message("seed %u, %u rounds\n", seed, rounds);
    is_served(fixture);
    for (unsigned round = 0; round < rounds; round++) {
        (void)alarm(HANG_GUARD_SECONDS);
        be_hostile(fixture, &seed);
        is_served(fixture);
    }
    (void)alarm(0);
}

/* It holds its side while one appliance dies and the next one enters, and counts its claim anew
 * with whatever it has written. */
static void be_hostile_to_the_next(struct fixture *fixture, unsigned *seed)
{
    struct vine__why why = {""};
    const struct vine__handshake_wish wish = {
        .name = "hostile", .timeout_ns = CLAIM_NS, .why = &why};
    struct vine__address address;
    struct vine__link link;
    struct vine__half half;
    struct vine__mirror mirror;
    struct vine__agreement agreement;
    void *bases[2];
    uint64_t sizes[2];

    assert_int_equal(vine__address_resolve(fixture->address, false, &address, &why), 0);
    vine__link_init(&link, &half, &mirror);
    assert_int_equal(vine__link_attach(&link, &address, &wish, &agreement), 0);
    assert_int_equal(find_halves(link.named, bases, sizes), 0);
    for (unsigned i = 0; i < 200; i++)
        write_at_random(bases[i % 2], sizes[i % 2], seed);
    assert_int_equal(kill(fixture->appliance, SIGKILL), 0);
    assert_int_equal(waitpid(fixture->appliance, NULL, 0), fixture->appliance);
    for (unsigned i = 0; i < 200; i++)
        write_at_random(bases[i % 2], sizes[i % 2], seed);
    begin(fixture);
    for (unsigned i = 0; i < 300; i++) {
        struct vine_half_layout *ours = bases[0];

        write_at_random(bases[i % 2], sizes[i % 2], seed);
        if (i % 50 == 0) {
            assert_int_equal(count_anew(&link, bases[1]), 0);
            vine__store_release_u32(&ours->board.epoch, link.epoch);
        }
        if (i % 16 == 0)
            vine__link_wake(&link);
    }
    vine__half_close(&half);
    vine__mirror_close(&mirror);
    link.operations->close(&link);
}

static void random_words_keep_no_next_appliance_from_serving(void **state)
{
    skip_if_emulated("tells a process another start time of itself than others see");
    struct fixture *fixture = *state;
    const unsigned rounds = getenv("VINE_TEST_LONG") ? 500 : 10;
    unsigned seed = word_seed();

    print_message("seed %u, %u rounds\n", seed, rounds);
    for (unsigned round = 0; round < rounds; round++) {
        (void)alarm(HANG_GUARD_SECONDS);
        be_hostile_to_the_next(fixture, &seed);
        is_served(fixture);
    }
    (void)alarm(0);
}

/* ---- obvious breaks -------------------------------------------------------------------------- */

static void number_a_slot_wrongly(struct raw_application *bad)
{
    vine__store_release_u64(&bad->channels[0].slots[0].sequence, 0xdead);
    vine__link_wake(&bad->link);
}

static void name_what_lies_beyond(struct raw_application *bad)
{
    const struct vine_token token = {
        .offset_units = SEGMENT_BYTES / VINE_TALK_UNIT, .length = 1, .type = VINE_TYPE_BYTES};
    struct vine_wire_submission submission = {.operation = 1,
                                              .procedure = PROCEDURE_INPUT,
                                              .kind = VINE_WIRE_TASK,
                                              .shape = VINE_WIRE_SHAPE(0, 1)};

    memcpy(submission.body + VINE_WIRE_BODY_BYTES - sizeof token, &token, sizeof token);
    assert_int_equal(raw_submit(bad, 0, &submission), 0);
}

static void give_back_what_was_never_given(struct raw_application *bad)
{
    const struct vine_token token = {
        .offset_units = 64, .generation = 7, .length = 64, .type = VINE_TYPE_BYTES};
    struct vine_wire_submission submission = {.kind = VINE_WIRE_RELEASE,
                                              .shape = VINE_WIRE_SHAPE(0, 1)};

    memcpy(submission.body + VINE_WIRE_BODY_BYTES - sizeof token, &token, sizeof token);
    assert_int_equal(raw_submit(bad, 0, &submission), 0);
}

static void lay_a_ring_beyond(struct raw_application *bad)
{
    struct vine_channel_layout *record = &bad->half.layout->channels[1];

    record->slot_count = RAW_SLOTS;
    record->ring_offset_units = SEGMENT_BYTES / VINE_TALK_UNIT;
    vine__store_release_u32(&record->state, 1);
    vine__store_release_u32(&bad->half.layout->board.channels.value, 2);
    vine__link_wake(&bad->link);
}

static void who_breaks_the_protocol_is_sent_away_with_a_reason(void **state)
{
    skip_if_emulated("tells a process another start time of itself than others see");
    const struct fixture *fixture = *state;
    static struct raw_application bad;
    static const struct {
        void (*act)(struct raw_application *bad);
        uint32_t error;
        const char *reason;
    } breaks[] = {
        {number_a_slot_wrongly, VINE_ECORRUPT, "sequence number in the submissions of channel 0"},
        {name_what_lies_beyond, VINE_EPROTOCOL, "a token names memory beyond its extent"},
        {give_back_what_was_never_given, VINE_ETOKEN, "a release of what is no result"},
        {lay_a_ring_beyond, VINE_EPROTOCOL, "a token names memory beyond its extent"},
    };

    for (size_t i = 0; i < VINE_ARRAY_COUNT(breaks); i++) {
        const uint32_t told = vine__load_acquire_u32(&fixture->told->breaks);

        (void)alarm(HANG_GUARD_SECONDS);
        assert_int_equal(raw_open(&bad, fixture->address), 0);
        assert_int_equal(raw_open_channel(&bad), 0);
        breaks[i].act(&bad);
        while (vine__load_acquire_u32(&fixture->told->breaks) == told)
            (void)sched_yield();
        assert_non_null(strstr(fixture->told->last, breaks[i].reason));
        while (vine__load_acquire_u32(&bad.mirror.layout->board.closed.value) == 0)
            (void)sched_yield();
        assert_int_equal(bad.mirror.layout->board.closed.value, breaks[i].error);
        raw_close(&bad);
        is_served(fixture);
    }
    (void)alarm(0);
}

/* It clears the half that the last one left, and maybe before the appliance has looked. */
static void who_follows_another_at_once_breaks_nothing(void **state)
{
    skip_if_emulated("tells a process another start time of itself than others see");
    const struct fixture *fixture = *state;

    (void)alarm(HANG_GUARD_SECONDS);
    for (int i = 0; i < 200; i++)
        is_served(fixture);
    assert_int_equal(vine__load_acquire_u32(&fixture->told->breaks), 0);
    (void)alarm(0);
}

/* ---- every word ------------------------------------------------------------------------------ */

/* A value in a word of either side while a pipe is open, and what was there before again when it is
 * not: what the next application finds is of its own and of the appliance's making. */
static void try_word(const struct fixture *fixture, struct raw_application *bad, uint64_t offset,
                     const struct word *word, size_t value, unsigned *seed)
{
    uint64_t values[WORD_VALUES];

    (void)alarm(2 * HANG_GUARD_SECONDS);
    if (bad->link.named == NULL) {
        assert_int_equal(raw_open(bad, fixture->address), 0);
        assert_int_equal(raw_open_channel(bad), 0);
    }

    unsigned char *base = (unsigned char *)vine_segment_base(bad->link.named) + offset;
    const uint64_t own = word_get(base, word);

    word_values(own, word->bytes, seed, values);
    word_put(base, word, values[value]);
    vine__link_wake(&bad->link);

    /* Whether it is closed is not always told: the other one's words may be our own. */
    bad->limit_ns = PATIENCE_NS;

    const int error = raw_ping(bad, 0);

    bad->limit_ns = RAW_LIMIT_NS;

    word_put(base, word, own);
    if (error)
        raw_close(bad);
}

struct part {
    const struct word *words;
    size_t count;
    uint64_t offset; /* in the segment */
};

#define PART_OF(words, offset)                                                                     \
    {                                                                                              \
        words, VINE_ARRAY_COUNT(words), offset                                                     \
    }
#define HALF(index) (VINE_SEGMENT_HEADER_BYTES + (index)*half_bytes)
#define CHANNEL(half, index)                                                                       \
    (HALF(half) + offsetof(struct vine_half_layout, channels[0]) +                                 \
     (index) * sizeof(struct vine_channel_layout))

static void any_word_of_either_side_keeps_nobody_from_being_served(void **state)
{
    skip_if_emulated("tells a process another start time of itself than others see");
    const struct fixture *fixture = *state;
    const bool is_long = getenv("VINE_TEST_LONG") != NULL;
    const uint64_t half_bytes = (SEGMENT_BYTES - VINE_SEGMENT_HEADER_BYTES) / 2 / 4096 * 4096;
    const struct part parts[] = {
        PART_OF(header_words, 0),
        PART_OF(board_words, HALF(0)),
        PART_OF(board_words, HALF(1)),
        PART_OF(channel_words, CHANNEL(0, 0)),
        PART_OF(channel_words, CHANNEL(1, 0)),
        PART_OF(channel_words, CHANNEL(0, 1)),
        PART_OF(channel_words, CHANNEL(1, 1)),
    };
    static struct raw_application bad;
    unsigned seed = word_seed();
    unsigned closed = 0;
    unsigned tried = 0;

    print_message("seed %u\n", seed);
    memset(&bad, 0, sizeof bad);
    for (size_t p = 0; p < VINE_ARRAY_COUNT(parts); p++)
        for (size_t i = 0; i < parts[p].count; i++)
            for (size_t v = 0; v < WORD_VALUES; v++) {
                try_word(fixture, &bad, parts[p].offset, &parts[p].words[i], v, &seed);
                closed += bad.link.named == NULL;
                if (++tried % (is_long ? 1 : 16) != 0)
                    continue;
                if (bad.link.named != NULL)
                    raw_close(&bad);
                is_served(fixture);
            }
    if (bad.link.named != NULL)
        raw_close(&bad);
    is_served(fixture);
    print_message("%u values were tried, %u closed the pipe\n", tried, closed);
    assert_true(closed > 0 && closed < tried);
    (void)alarm(0);
}

/* ---- what is left behind --------------------------------------------------------------------- */

/* In the epoch of a half: the number of one of the claims that come next. */
static void leave_epoch(const struct fixture *fixture, enum vine_segment_kind kind, uint32_t ahead)
{
    static struct raw_application bad;
    struct vine_segment_presence presence;
    struct vine_half_layout *half;
    void *base = NULL;
    uint64_t size_bytes = 0;

    memset(&bad, 0, sizeof bad);
    assert_int_equal(raw_open(&bad, fixture->address), 0);
    assert_int_equal(vine_segment_presence(bad.link.named, VINE_SEGMENT_APPLICATION, &presence), 0);
    assert_int_equal(vine_segment_find(bad.link.named, kind, &base, &size_bytes), 0);
    half = base;
    vine__store_relaxed_u32(&half->board.epoch, (uint32_t)presence.claims + ahead);
    if (kind == VINE_SEGMENT_KIND_APPLICATION_HALF)
        vine__store_relaxed_u32(&half->board.channels.value, VINE_TALK_CHANNELS_MAX + 1);
    raw_close(&bad);
}

static void what_the_last_one_left_is_taken_for_no_answer(void **state)
{
    skip_if_emulated("tells a process another start time of itself than others see");
    const struct fixture *fixture = *state;
    const struct vine_pipe_options options = {
        .size_bytes = sizeof options,
        .connect_timeout_ns = PATIENCE_NS,
    };

    (void)alarm(HANG_GUARD_SECONDS);
    for (uint32_t ahead = 1; ahead <= 4; ahead++) {
        struct vine_pipe *pipe = NULL;
        int status = 0;

        leave_epoch(fixture, VINE_SEGMENT_KIND_APPLIANCE_HALF, ahead);
        assert_int_equal(kill(fixture->appliance, SIGSTOP), 0);
        assert_int_equal(waitpid(fixture->appliance, &status, WUNTRACED), fixture->appliance);
        assert_int_equal(vine_pipe_open(fixture->address, &options, &pipe), -ETIMEDOUT);
        assert_int_equal(kill(fixture->appliance, SIGCONT), 0);
        is_served(fixture);
    }
    (void)alarm(0);
}

static bool is_stalling;

/* Until the appliance has answered the claim: it takes what the last one left for ours. */
static int find_late(const struct vine_segment *segment, enum vine_segment_kind kind,
                     void **ret_base, uint64_t *ret_size_bytes)
{
    struct vine_segment_presence presence;
    void *base = NULL;
    uint64_t size_bytes = 0;

    assert_int_equal(vine_segment_presence(segment, VINE_SEGMENT_APPLICATION, &presence), 0);
    assert_int_equal(
        vine_segment_find(segment, VINE_SEGMENT_KIND_APPLIANCE_HALF, &base, &size_bytes), 0);

    const struct vine_half_layout *theirs = base;

    while (is_stalling && vine__load_acquire_u32(&theirs->board.epoch) != (uint32_t)presence.claims)
        sched_yield();
    is_stalling = false;
    return vine_segment_find(segment, kind, ret_base, ret_size_bytes);
}

static void what_the_last_one_left_is_not_taken_for_the_next_one(void **state)
{
    skip_if_emulated("tells a process another start time of itself than others see");
    const struct fixture *fixture = *state;

    (void)alarm(HANG_GUARD_SECONDS);
    for (int i = 0; i < 8; i++) {
        leave_epoch(fixture, VINE_SEGMENT_KIND_APPLICATION_HALF, 1);
        is_stalling = true;
        is_served(fixture);
        assert_false(is_stalling);
    }
    (void)alarm(0);
}

/* ---- what a file allows ---------------------------------------------------------------------- */

/* An application that is served, with a channel, in a process of its own; what it does then is
 * up to `act`. It has ended when the next one comes. */
static void play(const struct fixture *fixture,
                 void (*act)(struct raw_application *raw, int say_fd))
{
    int said[2];
    char byte = 0;

    (void)alarm(HANG_GUARD_SECONDS);
    assert_int_equal(pipe2(said, O_CLOEXEC), 0);

    const pid_t application = fork();

    if (application == 0) {
        static struct raw_application raw;

        close(said[0]);
        if (raw_open(&raw, fixture->address) != 0 || raw_open_channel(&raw) != 0)
            _exit(1);
        act(&raw, said[1]);
        _exit(0);
    }
    close(said[1]);
    assert_int_equal(waitpid(application, NULL, 0), application);
    assert_int_equal(read(said[0], &byte, 1), 1);
    is_served(fixture);
    close(said[0]); /* a child that was left hears that */
    (void)alarm(0);
}

/* Its descriptors are all there in the child, and the segment is mapped anew. */
static void leave_a_child(struct raw_application *raw, int say_fd)
{
    struct pollfd polled = {say_fd, 0, 0};
    const int fd = vine_segment_fd(raw->link.named);

    if (fork() != 0)
        return;
    if (fd >= 0 && mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED &&
        write(say_fd, "", 1) == 1)
        (void)poll(&polled, 1, -1); /* until nobody reads what we say */
    _exit(0);
}

static void punch_holes(struct raw_application *raw, int say_fd)
{
    const int fd = vine_segment_fd(raw->link.named);
    const off_t behind = VINE_SEGMENT_HEADER_BYTES;

    /* Both halves are gone; the header is left, so that it is still a segment. */
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, behind, SEGMENT_BYTES - behind) ==
            0 &&
        write(say_fd, "", 1) == 1)
        vine__link_wake(&raw->link);
}

static void a_child_that_keeps_the_segment_keeps_nobody_out(void **state)
{
    skip_if_emulated("tells a process another start time of itself than others see");
    play(*state, leave_a_child);
}

static void holes_in_both_halves_crash_nobody(void **state)
{
    skip_if_emulated("tells a process another start time of itself than others see");
    play(*state, punch_holes);
}

#define NAMED(test, setup) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAMED(random_words_in_both_halves_keep_nobody_from_being_served, setup_file),
        NAMED(random_words_keep_no_next_appliance_from_serving, setup_file),
        NAMED(random_words_keep_no_next_appliance_from_serving, setup_pci),
        NAMED(random_words_in_both_halves_keep_nobody_from_being_served, setup_pci),
        NAMED(any_word_of_either_side_keeps_nobody_from_being_served, setup_file),
        NAMED(any_word_of_either_side_keeps_nobody_from_being_served, setup_pci),
        NAMED(who_breaks_the_protocol_is_sent_away_with_a_reason, setup_file),
        NAMED(who_breaks_the_protocol_is_sent_away_with_a_reason, setup_pci),
        NAMED(who_follows_another_at_once_breaks_nothing, setup_file),
        NAMED(what_the_last_one_left_is_taken_for_no_answer, setup_file),
        NAMED(what_the_last_one_left_is_not_taken_for_the_next_one, setup_file),
        NAMED(a_child_that_keeps_the_segment_keeps_nobody_out, setup_file),
        NAMED(a_child_that_keeps_the_segment_keeps_nobody_out, setup_pci),
        NAMED(holes_in_both_halves_crash_nobody, setup_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
