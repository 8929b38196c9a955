/* SPDX-License-Identifier: Apache-2.0 */
/* What an appliance's books say of pipes: what is in use, and what cannot be. */
#include "served.h"

#include "harness/emulator.h"

#include <vine/inspect.h>

#include "core/talk/pipe_internal.h"

#define FINDINGS_MAX 256

static struct served served;
static struct vine_finding findings[FINDINGS_MAX];

static int examine(struct vine_pipe *pipe)
{
    const int count = vine_inspect_books(pipe, findings, FINDINGS_MAX);

    assert_in_range(count, 0, FINDINGS_MAX);
    return count;
}

/* The finding of this kind and name; NULL: there is none. */
static const struct vine_finding *find(int count, enum vine_finding_kind kind, const char *name)
{
    for (int i = 0; i < count; i++)
        if (findings[i].kind == kind && strcmp(findings[i].name, name) == 0)
            return &findings[i];
    return NULL;
}

static uint64_t sum_of_ages(const struct vine_finding *finding)
{
    return finding->ages[0] + finding->ages[1] + finding->ages[2] + finding->ages[3];
}

static void what_is_in_use_is_told_by_procedure(void **state)
{
    struct vine_data *in = NULL, *outs[2] = {NULL};
    struct vine_task *tasks[3];

    (void)state;
    served_start(&served, NULL, 1);
    struct vine_pipe *pipe = served_open(&served, NULL);
    struct vine_pipe *asking = served_open(&served, NULL);
    struct vine_task_options turn = {
        .size_bytes = sizeof turn, .inputs = &in, .input_count = 1, .output_count = 1};

    assert_int_equal(vine_data_create(pipe, VINE_TYPE_BYTES, 5000, &in), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(vine_data_expect(pipe, VINE_TYPE_BYTES, 6000, &outs[i]), 0);
    turn.outputs = &outs[0];
    assert_int_equal(vine_task_run(pipe, served_get(pipe, "turn"), &turn, LIMIT, NULL, NULL), 0);
    for (uint64_t i = 0; i < 2; i++)
        tasks[i] = gate_issue(pipe, i, NULL);
    turn.outputs = &outs[1];
    assert_int_equal(vine_task_issue(pipe, served_get(pipe, "turn"), &turn, &tasks[2]), 0);
    gate_wait_for(1);

    int count;
    const struct vine_finding *finding;

    do { /* until all are taken */
        sched_yield();
        count = examine(asking);
        finding = find(count, VINE_FINDING_TASKS, "turn");
    } while (finding == NULL);
    assert_null(find(count, VINE_FINDING_FAULT, "submissions"));
    assert_int_equal(finding->count, 1);
    assert_int_equal(finding->bytes, 5000);
    assert_int_equal(sum_of_ages(finding), 1);
    finding = find(count, VINE_FINDING_TASKS, "gate");
    assert_non_null(finding);
    assert_int_equal(finding->count, 2);
    finding = find(count, VINE_FINDING_ROOM, "turn");
    assert_non_null(finding);
    assert_int_equal(finding->bytes, 6000);
    finding = find(count, VINE_FINDING_RESULTS, "turn");
    assert_non_null(finding);
    assert_int_equal(finding->count, 1);
    assert_int_equal(finding->bytes, 5000);
    assert_in_range(finding->oldest_ns, 0, LIMIT);

    /* What is given back is not in use. */
    gate_set(true);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(vine_task_wait(tasks[i], LIMIT), 0);
        vine_task_free(tasks[i]);
    }
    for (int i = 0; i < 2; i++)
        vine_data_free(outs[i]);
    vine_data_free(in);
    do {
        sched_yield();
        count = examine(asking);
    } while (find(count, VINE_FINDING_RESULTS, "turn") != NULL);
    assert_null(find(count, VINE_FINDING_TASKS, "gate"));
    vine_pipe_close(asking);
    vine_pipe_close(pipe);
    served_stop(&served);
}

/* The fault of this name in the pipe's half. One that asks at once is told what the last
 * examination found. */
static const struct vine_finding *fault_of(struct vine_pipe *asking, const char *name)
{
    const struct vine_finding *finding;

    do {
        sched_yield();
        finding = find(examine(asking), VINE_FINDING_FAULT, name);
    } while (finding == NULL);
    return finding;
}

static int count_faults(struct vine_pipe *asking)
{
    const int count = examine(asking);
    int faults = 0;

    for (int i = 0; i < count; i++)
        faults += findings[i].kind == VINE_FINDING_FAULT;
    return faults;
}

/* In places at which the appliance does not look by itself before the next task. */
static void what_cannot_be_of_the_other_half_is_told_with_its_offset(void **state)
{
    const struct vine_finding *finding;

    (void)state;
    served_start(&served, NULL, 1);
    struct vine_pipe *pipe = served_open(&served, NULL);
    struct vine_pipe *asking = served_open(&served, NULL);

    assert_int_equal(vine_pipe_call(pipe, "noop", NULL, 0, NULL, 0, NULL), 0);
    assert_int_equal(count_faults(asking), 0);

    struct vine_half_layout *half = pipe->half.layout;
    struct vine_channel_layout *record = &half->channels[0];
    const uint64_t consumed = __atomic_load_n(&record->consumed.value, __ATOMIC_ACQUIRE);
    struct vine_slot *slots = (void *)((unsigned char *)half + record->ring_offset_units * 64ULL);
    struct vine_slot *slot = &slots[record->slot_count - 2];

    __atomic_store_n(&record->consumed.value, 1000000, __ATOMIC_RELEASE);
    finding = fault_of(asking, "completions");
    assert_int_equal(finding->channel, 0);
    assert_int_equal(finding->offset, (unsigned char *)&record->consumed - (unsigned char *)half);
    assert_string_equal(finding->found, "consumed 1000000");
    __atomic_store_n(&record->consumed.value, consumed, __ATOMIC_RELEASE);

    __atomic_store_n(&slot->sequence, 1ULL << 40, __ATOMIC_RELEASE);
    finding = fault_of(asking, "submissions");
    assert_int_equal(finding->offset, (unsigned char *)slot - (unsigned char *)half);
    assert_string_equal(finding->found, "sequence 1099511627776");
    __atomic_store_n(&slot->sequence, 0, __ATOMIC_RELEASE);

    __atomic_fetch_or(&half->board.channels.ready, 1ULL << 50, __ATOMIC_ACQ_REL);
    finding = fault_of(asking, "board");
    assert_int_equal(finding->channel, -1);
    assert_string_equal(finding->expected, "bits of open channels alone");
    __atomic_fetch_and(&half->board.channels.ready, ~(1ULL << 50), __ATOMIC_ACQ_REL);

    while (count_faults(asking) != 0)
        sched_yield();
    assert_int_equal(vine_pipe_call(pipe, "noop", NULL, 0, NULL, 0, NULL), 0);
    vine_pipe_close(asking);
    vine_pipe_close(pipe);
    served_stop(&served);
}

/* More than fits into a page, of many pipes. */
static void many_pipes_are_told_page_by_page(void **state)
{
    struct vine_pipe *pipes[100];
    struct vine_data *data[100];
    int count;

    (void)state;
    served_start(&served, NULL, 1);
    for (int i = 0; i < 100; i++) {
        pipes[i] = served_open(&served, NULL);
        assert_int_equal(vine_data_expect(pipes[i], VINE_TYPE_BYTES, 100, &data[i]), 0);
        struct vine_data *in = NULL;

        assert_int_equal(vine_data_create(pipes[i], VINE_TYPE_BYTES, 10, &in), 0);
        const struct vine_task_options turn = {.size_bytes = sizeof turn,
                                               .inputs = &in,
                                               .input_count = 1,
                                               .outputs = &data[i],
                                               .output_count = 1};

        assert_int_equal(
            vine_task_run(pipes[i], served_get(pipes[i], "turn"), &turn, LIMIT, NULL, NULL), 0);
        vine_data_free(in);
    }
    count = examine(pipes[0]);
    int results = 0;

    for (int i = 0; i < count; i++)
        results +=
            findings[i].kind == VINE_FINDING_RESULTS && strcmp(findings[i].name, "turn") == 0;
    assert_int_equal(results, 100);
    /* Memory for none or one does not change how many there are. */
    assert_true(vine_inspect_books(pipes[0], NULL, 0) >= 100);
    for (int i = 0; i < 100; i++) {
        vine_data_free(data[i]);
        vine_pipe_close(pipes[i]);
    }
    served_stop(&served);
}

/* The memory of a named segment is there, whoever comes to it. */
static void halves_that_are_charged_to_nobody_add_up(void **state)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof options,
                                                   .segment_bytes = 4u << 20};

    (void)state;
    skip_if_emulated("tells a process another start time of itself than others see");
    served_start_at(&served, "file:", &options, 1);
    struct vine_pipe *pipe = served_open(&served, NULL);

    assert_int_equal(vine_pipe_call(pipe, "noop", NULL, 0, NULL, 0, NULL), 0);
    assert_int_equal(count_faults(pipe), 0);
    vine_pipe_close(pipe);
    served_stop(&served);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_in_use_is_told_by_procedure),
        cmocka_unit_test(what_cannot_be_of_the_other_half_is_told_with_its_offset),
        cmocka_unit_test(many_pipes_are_told_page_by_page),
        cmocka_unit_test(halves_that_are_charged_to_nobody_add_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
