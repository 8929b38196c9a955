/* SPDX-License-Identifier: Apache-2.0 */
/* An appliance whose memory grows, and whose applications' memory does, while it serves others: in
 * steps, one in each turn of the loop. Steps and bytes are counted here, and nothing is timed. */
#include "harness/emulator.h"
#include "harness/procedures.h"
#include "hostile/stepped_appliance.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { NOOP, FILL, ENDS, MANY };

#define STEP  (128u << 10)
#define LARGE (64u << 20)
#define TURNS (4 * LARGE / STEP)

static struct stepped stepped;
static struct raw_application greedy[2];
static struct vine__served *served[2];
static struct raw_application modest;
static int many_ran;

/* A byte at either end of its output. */
static int run_fill(struct vine_call *call)
{
    size_t room;
    unsigned char *output = vine_call_output(call, 0, &room);

    output[0] = 1;
    output[room - 1] = 2;
    return vine_call_output_size(call, 0, room);
}

static int run_many(struct vine_call *call)
{
    int error = 0;

    many_ran++;
    for (uint32_t i = 0; i < 3 && !error; i++)
        error = vine_call_output_size(call, i, 1);
    return error;
}

static const struct vine_argument fill_arguments[] = {
    {"output", VINE_OUTPUT, VINE_TYPE_BYTES, 0, UINT32_MAX}};
static const struct vine_argument ends_arguments[] = {
    {"input", VINE_INPUT, VINE_TYPE_BYTES, 1, UINT32_MAX}, {"ends", VINE_RESULT, 0, 2, 2}};
static const struct vine_argument many_arguments[] = {
    {"a", VINE_OUTPUT, VINE_TYPE_BYTES, 0, UINT32_MAX},
    {"b", VINE_OUTPUT, VINE_TYPE_BYTES, 0, UINT32_MAX},
    {"c", VINE_OUTPUT, VINE_TYPE_BYTES, 0, UINT32_MAX}};

#define PROCEDURE(text, function, list)                                                            \
    {                                                                                              \
        .size_bytes = sizeof(struct vine_procedure_definition), .name = (text),                    \
        .flags = VINE_PROCEDURE_SHORT | VINE_ARGUMENTS_SHARED, .run = (function),                  \
        .arguments = (list), .argument_count = sizeof(list) / sizeof((list)[0]),                   \
    }

static const struct vine_procedure_definition procedures[] = {
    [NOOP] = {.size_bytes = sizeof procedures[0],
              .name = "noop",
              .flags = VINE_PROCEDURE_SHORT,
              .run = run_noop},
    [FILL] = PROCEDURE("fill", run_fill, fill_arguments),
    [ENDS] = PROCEDURE("ends", run_ends, ends_arguments),
    [MANY] = PROCEDURE("many", run_many, many_arguments),
};

static void start(uint64_t memory_max_bytes)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof options,
                                                   .memory_max_bytes = memory_max_bytes};

    stepped_start(&stepped, &options);
    stepped.appliance->turn_ticks = UINT64_MAX / 4; /* time is not what is looked at */
    stepped.appliance->active_ticks = 0;            /* who is idle sleeps at once */
    for (size_t i = 0; i < sizeof procedures / sizeof procedures[0]; i++)
        assert_int_equal(vine_appliance_register(stepped.appliance, &procedures[i]), 0);
    stepped_open(&stepped, &modest, 1);
    for (int i = 0; i < 2; i++) {
        stepped_open(&stepped, &greedy[i], 2);
        served[i] = stepped_newest(&stepped);
    }
}

static void stop(void)
{
    raw_close(&greedy[0]);
    raw_close(&greedy[1]);
    raw_close(&modest);
    stepped_stop(&stepped);
}

/* What the appliance has allocated of extents that it makes. */
static uint64_t made_bytes(void)
{
    uint64_t bytes = 0;

    for (int i = 0; i < 2; i++) {
        struct stat status;

        if (served[i]->half.growing == NULL)
            continue;
        assert_int_equal(fstat(vine__memory_fd(served[i]->half.growing), &status), 0);
        bytes += (uint64_t)status.st_blocks * 512;
    }
    return bytes;
}

static void be_modest(void)
{
    stepped_submit(&modest, 0, stepped_task(NOOP, 1));
    (void)stepped_complete(&stepped, &modest, 0, 2, NULL);
}

static void submit_fill(int who, uint32_t channel, uint32_t room)
{
    struct vine_wire_submission submission = stepped_task(FILL, 1);
    const struct vine_token token = stepped_expect(room);

    stepped_give(&submission, NULL, 0, &token, 1);
    stepped_submit(&greedy[who], channel, submission);
}

static void submit_ends(int who, uint32_t channel, struct vine_token token)
{
    struct vine_wire_submission submission = stepped_task(ENDS, 1);

    stepped_give(&submission, NULL, 0, &token, 1);
    stepped_submit(&greedy[who], channel, submission);
}

/* Whoever grows, and however many do. */
static void a_turn_makes_one_step_of_one_extent(void **state)
{
    (void)state;
    uint64_t seen = 0;
    uint64_t most = 0;
    uint32_t turns = 0;

    start(0);
    for (int i = 0; i < 2; i++)
        submit_fill(i, 0, LARGE);
    while (served[0]->half.extent_count < 2 || served[1]->half.extent_count < 2) {
        stepped_turn(&stepped);
        const uint64_t made = made_bytes();

        if (made > seen && made - seen > most)
            most = made - seen;
        seen = made;
        assert_true(turns++ < TURNS);
        if (turns % 64 == 0) {
            be_modest();
            seen = made_bytes();
        }
    }
    print_message("%u turns, the largest step of which was %llu bytes\n", turns,
                  (unsigned long long)most);
    assert_in_range(most, 1, STEP);
    assert_true(turns >= 2 * LARGE / STEP - 64); /* a few were taken by being modest */
    for (int i = 0; i < 2; i++)
        assert_int_equal(stepped_complete(&stepped, &greedy[i], 0, 4, NULL).status, 0);
    stop();
}

/* Between the beginning and the end of one pipe's growth the tasks of another come and go. */
static void another_pipe_goes_on_while_a_half_grows_by_hundreds_of_mib(void **state)
{
    (void)state;
    const uint32_t bytes = 200u << 20;
    uint32_t done = 0;

    start(0);
    submit_fill(0, 0, bytes);
    for (int i = 0; i < 4 && served[0]->half.growing == NULL; i++)
        stepped_turn(&stepped);
    assert_non_null(served[0]->half.growing);
    while (served[0]->half.growing != NULL) {
        be_modest();
        done++;
    }
    assert_true(served[0]->half.size_bytes >= bytes);
    print_message("%u tasks while it grew\n", done);
    assert_true(done >= bytes / STEP / 2 - 1); /* each of them took at most two turns */
    assert_int_equal(stepped_complete(&stepped, &greedy[0], 0, 4, NULL).status, 0);
    stop();
}

static void a_task_that_waits_for_memory_holds_its_own_channel_alone(void **state)
{
    (void)state;
    start(0);
    submit_fill(0, 0, LARGE);
    stepped_submit(&greedy[0], 0, stepped_task(NOOP, 2));
    stepped_submit(&greedy[0], 1, stepped_task(NOOP, 3));
    for (int i = 0; i < 8; i++)
        stepped_turn(&stepped);
    assert_int_equal(stepped_completed(&greedy[0], 0), 0);
    assert_int_equal(stepped_completed(&greedy[0], 1), 1);
    struct vine_wire_completion completion = stepped_complete(&stepped, &greedy[0], 0, TURNS, NULL);
    assert_int_equal(completion.operation, 1);
    assert_int_equal(completion.status, 0);
    completion = stepped_complete(&stepped, &greedy[0], 0, 4, NULL);
    assert_int_equal(completion.operation, 2);
    stop();
}

/* A small result does not wait until all that may follow has been made. */
static void extents_grow_with_what_is_needed(void **state)
{
    (void)state;
    uint32_t turns = 0;

    start(0);
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t came;

        submit_fill(0, 0, 1u << 20);
        (void)stepped_complete(&stepped, &greedy[0], 0, TURNS, &came);
        if (came > turns)
            turns = came;
    }
    assert_in_range(turns, 1, (8u << 20) / STEP + 8);
    assert_true(served[0]->half.extent_count < VINE_TALK_EXTENTS_MAX / 2);
    stop();
}

static void a_large_extent_of_the_application_is_looked_through_in_steps(void **state)
{
    (void)state;
    uint32_t turns;
    struct vine_wire_completion completion;

    start(0);
    const struct vine_token token = stepped_own(&greedy[0], LARGE);
    unsigned char *memory = greedy[0].half.extents[token.extent].base;
    memory[0] = 7;
    memory[LARGE - 1] = 9;
    submit_ends(0, 0, token);
    stepped_submit(&greedy[0], 1, stepped_task(NOOP, 3));
    for (int i = 0; i < 8; i++) {
        stepped_turn(&stepped);
        be_modest();
    }
    assert_int_equal(stepped_completed(&greedy[0], 1), 1);
    completion = stepped_complete(&stepped, &greedy[0], 0, TURNS, &turns);
    assert_int_equal(completion.status, 0);
    assert_int_equal(completion.body[0], 7);
    assert_int_equal(completion.body[1], 9);
    assert_true(turns >= LARGE / STEP - 32);
    stop();
}

/* Sealed, and without its last page. */
static int holey_memory(uint64_t bytes)
{
    const int fd = memfd_create("holey", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    assert_int_equal(posix_fallocate(fd, 0, (off_t)bytes - 4096), 0);
    assert_int_equal(
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL), 0);
    return fd;
}

static void a_hole_in_a_large_extent_breaks_the_pipe(void **state)
{
    (void)state;
    skip_if_emulated("answers by itself what would show a hole");
    const struct vine_talk_extent extent = {
        .head = VINE__TALK_HEAD(VINE_TALK_EXTENT, extent), .index = 1, .size_bytes = LARGE};

    start(0);
    const int fd = holey_memory(LARGE);
    assert_int_equal(vine__talk_send(greedy[0].link.socket_fd, &extent, fd, 0), 0);
    close(fd);
    for (uint32_t i = 0; stepped_stats(&stepped).pipes_open == 3; i++) {
        assert_true(i < TURNS);
        stepped_turn(&stepped);
    }
    assert_int_equal(raw_wait_closed(&greedy[0]), VINE_EUNSEALED);
    be_modest();
    stop();
}

static uint32_t open_fds(void)
{
    uint32_t count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void a_pipe_that_ends_while_it_grows_leaves_nothing(void **state)
{
    (void)state;
    start(0);
    const uint32_t fds = open_fds();
    struct raw_application third;
    stepped_open(&stepped, &third, 1);
    struct vine__served *pipe = stepped_newest(&stepped);
    const struct vine_token token = stepped_own(&third, LARGE);
    struct vine_wire_submission submission = stepped_task(ENDS, 1);
    stepped_give(&submission, NULL, 0, &token, 1);
    stepped_submit(&third, 0, submission);
    for (int i = 0; i < 8; i++)
        stepped_turn(&stepped);
    assert_non_null(pipe->mirror.growing);
    raw_close(&third);
    while (stepped.appliance->pipe_count > 3)
        stepped_turn(&stepped);
    assert_true(vine__list_is_empty(&stepped.appliance->growing));
    assert_int_equal(open_fds(), fds);
    be_modest();
    stop();
}

/* ---- what cannot be had ---------------------------------------------------------------------- */

/* Room for outputs and for what tells of them is there before a handler runs. */
static void a_task_without_room_for_its_results_does_not_run(void **state)
{
    (void)state;
    struct vine_wire_submission submission = stepped_task(MANY, 1);
    struct vine_token tokens[3] = {stepped_expect(1), stepped_expect(1), stepped_expect(1)};
    struct vine_wire_descriptor head = {.size_bytes = sizeof head + sizeof tokens,
                                        .token_count = 3};
    uint32_t room = 1u << 20;

    start(1u << 20);
    /* All of it, in ever smaller pieces, but for less than a descriptor takes. */
    while (room >= 64) {
        submit_fill(0, 0, room);
        if (stepped_complete(&stepped, &greedy[0], 0, TURNS, NULL).status != 0)
            room /= 2;
    }
    many_ran = 0;
    struct vine_token block = stepped_own(&greedy[0], head.size_bytes);
    unsigned char *memory = greedy[0].half.extents[block.extent].base + block.offset_units * 64ULL;
    memcpy(memory, &head, sizeof head);
    memcpy(memory + sizeof head, tokens, sizeof tokens);
    stepped_give(&submission, NULL, 0, &block, 1);
    submission.shape = VINE_WIRE_SHAPE(0, VINE_WIRE_DESCRIPTOR);
    stepped_submit(&greedy[0], 0, submission);
    assert_int_equal(stepped_complete(&stepped, &greedy[0], 0, TURNS, NULL).status, VINE_EQUOTA);
    assert_int_equal(many_ran, 0);
    stepped_submit(&greedy[0], 0, stepped_task(NOOP, 1));
    assert_int_equal(stepped_complete(&stepped, &greedy[0], 0, 4, NULL).status, 0);
    stop();
}

/* ---- giving back ----------------------------------------------------------------------------- */

static void without_workers_a_turn_unmaps_a_part_of_one_extent(void **state)
{
    (void)state;
    uint32_t turns = 0;

    start(0);
    submit_fill(0, 0, LARGE);
    (void)stepped_complete(&stepped, &greedy[0], 0, TURNS, NULL);
    submit_ends(0, 0, stepped_own(&greedy[0], LARGE));
    (void)stepped_complete(&stepped, &greedy[0], 0, TURNS, NULL);
    assert_int_equal(served[0]->half.extent_count + served[0]->mirror.extent_count, 4);
    raw_close(&greedy[0]);
    while (vine__list_is_empty(&stepped.appliance->over))
        stepped_turn(&stepped);
    while (stepped.appliance->pipe_count == 3) {
        stepped_turn(&stepped);
        turns++;
        be_modest();
    }
    /* be_modest turns once or twice. */
    assert_true(turns >= 2 * LARGE / (1u << 20) / 3);
    stepped_open(&stepped, &greedy[0], 1);
    stop();
}

static void *work(void *appliance)
{
    vine_appliance_work(appliance);
    return NULL;
}

static void workers_give_back_what_pipes_leave(void **state)
{
    (void)state;
    pthread_t worker;

    start(0);
    submit_fill(0, 0, LARGE);
    (void)stepped_complete(&stepped, &greedy[0], 0, TURNS, NULL);
    stepped.appliance->common->worker_count = 1; /* who is busy for now */
    raw_close(&greedy[0]);
    while (stepped.appliance->pipe_count == 3)
        stepped_turn(&stepped);
    assert_int_equal(stepped.appliance->common->buried_count, 1);
    assert_false(vine__list_is_empty(&stepped.appliance->common->buried));
    stepped.appliance->common->worker_count = 0;
    stepped.appliance->common->workers_end = true;
    assert_int_equal(pthread_create(&worker, NULL, work, stepped.appliance), 0);
    assert_int_equal(pthread_join(worker, NULL), 0);
    assert_int_equal(stepped.appliance->common->buried_count, 0);
    assert_true(vine__list_is_empty(&stepped.appliance->common->buried));
    stepped_open(&stepped, &greedy[0], 1);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_makes_one_step_of_one_extent),
        cmocka_unit_test(another_pipe_goes_on_while_a_half_grows_by_hundreds_of_mib),
        cmocka_unit_test(a_task_that_waits_for_memory_holds_its_own_channel_alone),
        cmocka_unit_test(extents_grow_with_what_is_needed),
        cmocka_unit_test(a_large_extent_of_the_application_is_looked_through_in_steps),
        cmocka_unit_test(a_hole_in_a_large_extent_breaks_the_pipe),
        cmocka_unit_test(a_pipe_that_ends_while_it_grows_leaves_nothing),
        cmocka_unit_test(a_task_without_room_for_its_results_does_not_run),
        cmocka_unit_test(without_workers_a_turn_unmaps_a_part_of_one_extent),
        cmocka_unit_test(workers_give_back_what_pipes_leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
