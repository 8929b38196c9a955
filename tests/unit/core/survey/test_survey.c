/* SPDX-License-Identifier: Apache-2.0 */
/* What a survey tells of segments: of one at work, and of what was planted into copies of it. */
#include "surveyed.h"

#include "harness/emulator.h"

/* ---- refusals -------------------------------------------------------------------------------- */

static void what_is_no_memory_of_ours_is_refused_with_a_sentence(void **state)
{
    static struct vine__survey survey;
    struct vine__why why;

    (void)state;
    assert_int_equal(vine__survey_segment("file:/tmp/vine-there-is-none", &survey, &why), -ENOENT);
    assert_non_null(strstr(why.text, "/tmp/vine-there-is-none"));
    assert_int_equal(vine__survey_segment("file:/tmp", &survey, &why), -EINVAL);
    assert_int_equal(vine__survey_segment("file:", &survey, &why), -VINE_ECONFIG);
    assert_int_equal(vine__survey_segment("shm:a/b", &survey, &why), -EINVAL);
    assert_int_equal(vine__survey_segment("/tmp/a-socket", &survey, &why), -EOPNOTSUPP);
    assert_false(vine__survey_takes("/tmp/a-socket"));
    assert_false(vine__survey_takes("default"));
    assert_true(vine__survey_takes("shm:x"));
}

static void what_is_no_segment_is_told_as_such(void **state)
{
    struct vine__survey *survey;

    (void)state;
    put("#!/bin/sh\n", 10);
    survey = survey_file();
    assert_int_equal(survey->fault_count, 1);
    assert_string_equal(survey->findings[0].found, "10 bytes");
    free(survey);
    survey = survey_planted(0, "NOTASEG!", 8);
    assert_false(survey->is_segment);
    assert_int_equal(survey->fault_count, 1);
    assert_string_equal(survey->findings[0].found, "magic 2147455341544f4e");
    free(survey);
}

/* ---- a segment as it should be --------------------------------------------------------------- */

static void a_pipe_at_work_has_no_inconsistency_and_is_told_of(void **state)
{
    struct vine__survey *survey = survey_planted(0, model.bytes, 8);

    (void)state;
    skip_if_emulated("tells a process another start time of itself than others see");
    print_findings(survey);
    assert_int_equal(survey->fault_count, 0);
    assert_int_equal(survey->looks, 1);
    assert_true(survey->is_segment && survey->is_walked && survey->has_halves && survey->has_pipe);
    assert_int_equal(survey->channel_count, 1);
    assert_int_equal(survey->channels[0].submissions, 0);
    assert_int_equal(survey->channels[0].under_way, PENDING);
    assert_int_equal(survey->sides[0].pid, getpid());
    assert_int_equal(survey->sides[1].state, VINE_SEGMENT_ALIVE);
    free(survey);
}

static void a_survey_changes_nothing(void **state)
{
    struct vine__survey *survey = survey_planted(0, model.bytes, 8);
    static unsigned char before[sizeof model.bytes];

    (void)state;
    memcpy(before, model.bytes, model.size);
    read_file(surveyed_path);
    assert_memory_equal(model.bytes, before, model.size);
    free(survey);
}

/* As if the appliance had not told of the last ones yet. */
static void tasks_that_wait_are_told_by_procedure_with_what_they_name(void **state)
{
    const uint64_t consumed = model.positions[0] - PENDING;
    struct vine__survey *survey = survey_planted(consumed_at(1), &consumed, sizeof consumed);
    uint64_t waiting = 0, inputs = 0, bytes = 0, room = 0;

    (void)state;
    assert_int_equal(survey->fault_count, 0);
    assert_int_equal(survey->channels[0].submissions, PENDING);
    assert_int_equal(survey->channels[0].under_way, 0);
    for (uint32_t i = 0; i < survey->use_count; i++) {
        waiting += survey->uses[i].waiting;
        inputs += survey->uses[i].inputs;
        bytes += survey->uses[i].input_bytes;
        room += survey->uses[i].room_bytes;
    }
    assert_int_equal(survey->use_count, 3); /* gate, sum_bytes, turn */
    assert_int_equal(waiting, PENDING);
    assert_int_equal(inputs, 1);
    assert_int_equal(bytes, DATA_BYTES);
    assert_int_equal(room, DATA_BYTES);
    free(survey);
}

/* As if the application had not read the last ones. */
static void completions_that_wait_are_told_with_their_results(void **state)
{
    const uint64_t consumed = 0;
    struct vine__survey *survey = survey_planted(consumed_at(0), &consumed, sizeof consumed);
    uint64_t completed = 0, results = 0;

    (void)state;
    print_findings(survey);
    assert_int_equal(survey->fault_count, 0);
    assert_int_equal(survey->channels[0].completions, model.positions[1]);
    for (uint32_t i = 0; i < survey->use_count; i++) {
        completed += survey->uses[i].completed;
        results += survey->uses[i].results;
    }
    assert_int_equal(completed, model.positions[1]);
    assert_true(results >= 2); /* a description of a procedure, and what was turned */
    free(survey);
}

/* What the appliance keeps private: what it has not completed, and what was not given back. */
static void what_the_appliance_says_of_its_books_is_told_by_procedure_and_age(void **state)
{
    static const struct {
        uint32_t kind;
        const char *name;
        uint64_t count, bytes;
    } wanted[] = {
        {VINE__SURVEY_TASKS, "gate", 2, 0},
        {VINE__SURVEY_TASKS, "turn", 1, DATA_BYTES},
        {VINE__SURVEY_TASKS, "sum_bytes", 1, 0},
        {VINE__SURVEY_ROOM, "turn", 1, DATA_BYTES},
        {VINE__SURVEY_RESULTS, "turn", 1, DATA_BYTES},
    };
    struct vine__survey *survey = survey_planted(0, model.bytes, 8);
    const struct vine__survey_account *account = &survey->account;

    (void)state;
    assert_int_equal(survey->fault_count, 0);
    assert_true(account->is_there);
    assert_in_range(account->age_ns, 0, LIMIT);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        uint32_t at = 0;

        while (at < account->count && (account->uses[at].kind != wanted[i].kind ||
                                       strcmp(account->uses[at].name, wanted[i].name) != 0))
            at++;
        assert_true(at < account->count);
        assert_int_equal(account->uses[at].count, wanted[i].count);
        assert_int_equal(account->uses[at].bytes, wanted[i].bytes);
        assert_int_equal(account->uses[at].ages[0] + account->uses[at].ages[1], wanted[i].count);
        assert_in_range(account->uses[at].oldest_ns, 1, LIMIT);
    }
    assert_int_equal(account->found, account->count);
    free(survey);
}

/* As an appliance from before there were accounts. */
static void an_appliance_that_gives_no_account_is_surveyed_without_it(void **state)
{
    const uint32_t none = 0;
    struct vine__survey *survey = survey_planted(account_units_at(), &none, sizeof none);

    (void)state;
    assert_int_equal(survey->fault_count, 0);
    assert_false(survey->account.is_there);
    free(survey);
}

static void an_account_of_a_pipe_that_is_over_is_not_told(void **state)
{
    const uint32_t lost = VINE_EPEERLOST;
    struct vine__survey *survey = survey_planted(
        model.bases[1] + offsetof(struct vine_half_layout, board.closed), &lost, sizeof lost);

    (void)state;
    assert_false(survey->account.is_there);
    free(survey);
}

static void an_account_that_is_half_written_is_a_note(void **state)
{
    const uint32_t odd = 7;
    struct vine__survey *survey = survey_planted(model.account, &odd, sizeof odd);

    (void)state;
    assert_int_equal(survey->fault_count, 0);
    assert_false(survey->account.is_there);
    assert_int_equal(survey->note_count, 1);
    free(survey);
}

static void who_has_died_is_a_note(void **state)
{
    const uint64_t nobody = (uint64_t)getpid() | UINT64_C(1) << VINE__SEGMENT_WORD_PID_BITS;
    struct vine__survey *survey = survey_planted(192, &nobody, sizeof nobody);

    (void)state;
    skip_if_emulated("tells a process another start time of itself than others see");
    assert_int_equal(survey->fault_count, 0);
    assert_int_equal(survey->note_count, 1);
    assert_int_equal(survey->sides[0].state, VINE_SEGMENT_DEAD);
    free(survey);
}

/* ---- what is planted ------------------------------------------------------------------------- */

struct plant {
    uint64_t offset;
    uint64_t value;
    size_t size;
    const char *found;
    const char *expected;
};

static void expect_told_at(const struct plant *plant, uint64_t offset)
{
    struct vine__survey *survey = survey_planted(plant->offset, &plant->value, plant->size);
    const struct vine__survey_finding *finding = fault_at(survey, offset);

    if (finding == NULL || strstr(finding->found, plant->found) == NULL ||
        strstr(finding->expected, plant->expected) == NULL) {
        print_findings(survey);
        fail_msg("%llu bytes of %llx at %llu are not told as `%s`, `%s`",
                 (unsigned long long)plant->size, (unsigned long long)plant->value,
                 (unsigned long long)plant->offset, plant->found, plant->expected);
    }
    free(survey);
}

static void expect_told(const struct plant *plant)
{
    expect_told_at(plant, plant->offset);
}

#define HEADER(field)       offsetof(struct vine__segment_header, field)
#define BOARD(side, field)  (model.bases[side] + offsetof(struct vine_half_layout, board.field))
#define RECORD(side, field) (record_at(side) + offsetof(struct vine_channel_layout, field))

static void each_wrong_field_of_the_header_is_told(void **state)
{
    const struct plant plants[] = {
        {HEADER(version_major), 1, 2, "major version 1", "2"},
        {HEADER(version_major), 99, 2, "major version 99", "2"},
        {HEADER(status), 3, 4, "status 3 (corrupted)", "2 (initialized)"},
        {HEADER(status), 0, 4, "status 0 (fresh)", "2"},
        {HEADER(status), 77, 4, "status 77", "2"},
        {HEADER(status), 1, 4, "initializing", "somebody alive"},
        {HEADER(fingerprint), 5, 8, "fingerprint 0000000000000005", ""},
        {HEADER(features), 1ULL << 40, 8, "features", "above 31"},
        {HEADER(generation), 0, 8, "generation 0", "1"},
        {HEADER(size_bytes), 100, 8, "size_bytes 100", "4096"},
        {HEADER(size_bytes), 1ULL << 40, 8, "size_bytes 1099511627776", "at most"},
        {HEADER(header_bytes), 8192, 4, "header_bytes 8192", "4096"},
        {HEADER(line_bytes), 128, 4, "line_bytes 128", "64"},
        {HEADER(slot_bytes), 128, 4, "slot_bytes 128", "64"},
        {HEADER(extent_count), 65, 4, "extent_count 65", "64"},
        {HEADER(specs), 99 | 1ULL << 32, 8, "kind 99", "1 to 7"},
        {HEADER(specs) + 24, 1, 4, "kind 1", "one region of a kind"},
        {192, 1ULL << 30, 8, "without a process", "0"},
        {136, 7, 8, "scope 0000000000000007", "nobody"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof plants / sizeof plants[0]; i++)
        expect_told(&plants[i]);
}

static void a_region_that_leads_out_of_the_segment_is_told(void **state)
{
    struct vine__survey *survey;
    const uint64_t far = UINT64_MAX - 63;

    (void)state;
    survey = survey_planted(HEADER(specs) + 8, &far, sizeof far);
    assert_non_null(fault_at(survey, HEADER(specs)));
    assert_false(survey->has_halves);
    free(survey);
    survey = survey_planted(HEADER(specs) + 16, &far, sizeof far);
    assert_non_null(fault_at(survey, HEADER(specs)));
    free(survey);
}

static void each_wrong_word_of_boards_and_channels_is_told(void **state)
{
    const struct plant plants[] = {
        {BOARD(0, epoch), 1000000, 4, "epoch 1000000", "claims"},
        {BOARD(1, epoch), 1000000, 4, "epoch 1000000", "claims"},
        {BOARD(1, channels_max), 0, 4, "channels_max 0", "1 to 64"},
        {BOARD(1, channels_max), 65, 4, "channels_max 65", "1 to 64"},
        {BOARD(1, tasks_max), 1u << 30, 4, "tasks_max", "524288"},
        {BOARD(0, closed), 12, 4, "closed 12", "1001"},
        {BOARD(1, closed), 5000, 4, "closed 5000", "1001"},
        {BOARD(0, channels.value), 40, 4, "40 channels", "16 at most"},
        {BOARD(0, channels.ready), 1ULL << 9, 8, "ready 200", "open channels"},
        {BOARD(1, sleep_epoch.listed), 1ULL << 63, 8, "listed 8000000000000000", "open channels"},
        {BOARD(1, sleep_epoch.answered), 4, 8, "answered 4", "open channels"},
        {RECORD(0, state), 2, 4, "state 2", "1"},
        {RECORD(1, state), 9, 4, "state 9", "1"},
        {RECORD(0, slot_count), 255, 4, "slots 255", "power of two"},
        {RECORD(0, slot_count), 1u << 19, 4, "slots 524288", "power of two from 2 to 256"},
        {RECORD(1, slot_count), 128, 4, "slots 128", "256, as in the application's half"},
        {RECORD(0, ring_extent), 1, 4, "extent 1", "0"},
        {RECORD(0, ring_offset_units), 3, 4, "a ring at 3 units", "from 200"},
        {RECORD(1, ring_offset_units), 1u << 30, 4, "a ring at 1073741824 units", "within"},
        {RECORD(0, wait_mode), 3, 4, "wait mode 3", "1 or 2"},
        {RECORD(0, state) + 5 * sizeof(struct vine_channel_layout), 1, 4, "state 1", "not opened"},
        {RECORD(1, state) + 5 * sizeof(struct vine_channel_layout), 1, 4, "state 1", "not opened"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof plants / sizeof plants[0]; i++)
        expect_told(&plants[i]);
}

#define ACCOUNT(field) (model.account + offsetof(struct vine_account_layout, field))

static void each_wrong_word_of_an_account_is_told(void **state)
{
    const struct plant plants[] = {
        {BOARD(1, account_units), 1, 4, "an account at 64", "from 12800"},
        {BOARD(1, account_units), UINT32_MAX, 4, "an account at 274877906880", "from 12800"},
        {ACCOUNT(count), 32, 4, "32 of", "31 at most"},
        {ACCOUNT(count), UINT32_MAX, 4, "4294967295 of", "31 at most"},
        {ACCOUNT(findings[0].kind), 0, 4, "kind 0", "1 to 4"},
        {ACCOUNT(findings[1].kind), 5, 4, "kind 5", "1 to 4"},
    };
    const struct plant miscounted = {ACCOUNT(findings[0].ages[2]), UINT64_MAX, 8,
                                     "18446744073709551615 and 0 by age", "as many as"};
    const struct plant fault = {ACCOUNT(findings[0].kind), VINE_WIRE_FOUND_FAULT, 4,
                                "of the appliance", ""};

    (void)state;
    for (size_t i = 0; i < sizeof plants / sizeof plants[0]; i++)
        expect_told(&plants[i]);
    expect_told_at(&miscounted, ACCOUNT(findings[0].ages));
    expect_told_at(&fault, ACCOUNT(findings[0]));
}

static void positions_out_of_range_are_told_by_who_has_them(void **state)
{
    char words[64];
    const struct plant plants[] = {
        {consumed_at(1), model.positions[0] + 100, 8, "consumed", words},
        {consumed_at(1), UINT64_MAX, 8, "consumed 18446744073709551615", words},
        {consumed_at(0), 1ULL << 40, 8, "consumed 1099511627776", "by the slots"},
    };

    (void)state;
    (void)snprintf(words, sizeof words, "0 to %llu, by the slots",
                   (unsigned long long)model.positions[0]);
    for (size_t i = 0; i < sizeof plants / sizeof plants[0]; i++)
        expect_told(&plants[i]);
}

static void each_slot_with_an_impossible_sequence_is_told(void **state)
{
    (void)state;
    for (uint32_t side = 0; side < 2; side++)
        for (uint64_t i = 0; i < model.slots; i += 37) {
            const struct plant plant = {slot_at(side, i), 1ULL << 50, 8,
                                        "sequence 1125899906842624", " or "};

            expect_told(&plant);
        }
}

/* A burst's first sequence comes last. */
static void a_gap_before_messages_is_a_burst_under_way(void **state)
{
    const uint64_t position = model.positions[0];
    const uint64_t sequence = position + 2;
    struct vine__survey *survey =
        survey_planted(slot_at(0, position + 1), &sequence, sizeof sequence);

    (void)state;
    assert_int_equal(survey->fault_count, 0);
    assert_true(survey->note_count >= 1);
    assert_int_equal(survey->channels[0].submissions, 0);
    free(survey);
}

/* In tasks that were not taken: the model, with the appliance's position set back. */
static void each_wrong_message_is_told(void **state)
{
    const uint64_t first = model.positions[0] - PENDING;
    const uint64_t task = slot_at(0, first) + 8, turn = slot_at(0, first + 2) + 8;
    const uint64_t sum = slot_at(0, first + 3) + 8;
    const uint64_t block = model.bases[0] + (word_at(sum + 40) & UINT32_MAX) * 64;
    const uint64_t token = turn + 24;
    const uint64_t saved = word_at(consumed_at(1));
    const struct plant plants[] = {
        {task + 14, 9, 1, "kind 9", "1 to 4"},
        {task + 15, 0x3f, 1, "63 bytes and 0 tokens", "40 bytes"},
        {task + 15, 0xc5, 1, "5 bytes and 3 tokens", "40 bytes"},
        {task + 12, 0x0100, 2, "session 256", "1 to 255"},
        {token, 1, 4, "a token of 1000 bytes at 64", "from 12800"},
        {token, UINT32_MAX, 4, "a token of 1000 bytes", "within"},
        {token + 4, UINT32_MAX, 4, "a token of 4294967295 bytes", "within"},
        {token + 14, 3, 2, "a token of extent 3", "extent 0"},
        {sum + 44, 8, 4, "a descriptor of 8 bytes", "32 to"},
        {sum + 40, UINT32_MAX, 4, "a token of", "within"},
        {block, 7, 4, "a descriptor of 7 bytes", "add up to"},
        {block + 4, 60000, 2, "60000 tokens", "add up to"},
        {block + 8, 1u << 30, 4, "1073741824 bytes", "add up to"},
    };

    (void)state;
    memcpy(model.bytes + consumed_at(1), &first, sizeof first);
    for (size_t i = 0; i < sizeof plants / sizeof plants[0]; i++) {
        const struct plant plant = plants[i];

        /* Fields of a token, and of a descriptor, are told at its start. */
        expect_told_at(&plant, plant.offset - block < 32        ? block
                               : plant.offset - token < 16      ? token
                               : plant.offset - (sum + 40) < 16 ? sum + 40
                                                                : plant.offset);
    }

    const uint64_t operation = word_at(task);
    struct vine__survey *survey = survey_planted(turn, &operation, sizeof operation);

    assert_non_null(strstr(survey->findings[0].found, "two tasks in flight"));
    free(survey);
    memcpy(model.bytes + consumed_at(1), &saved, sizeof saved);
}

static void each_wrong_completion_is_told(void **state)
{
    const uint64_t saved = word_at(consumed_at(0)), none = 0;
    const uint64_t last = slot_at(1, model.positions[1] - 1) + 8;
    const struct plant plants[] = {
        {last + 8, 7, 2, "status 7", "1001"},
        {last + 10, 4, 1, "kind 4", "1"},
        {last + 11, 0x3f, 1, "63 bytes and 0 tokens", "32 bytes"},
    };

    (void)state;
    memcpy(model.bytes + consumed_at(0), &none, sizeof none);
    for (size_t i = 0; i < sizeof plants / sizeof plants[0]; i++)
        expect_told(&plants[i]);
    memcpy(model.bytes + consumed_at(0), &saved, sizeof saved);
}

static void every_length_of_a_file_that_was_cut_is_surveyed(void **state)
{
    (void)state;
    for (size_t size = 0; size < model.size; size += 4096 + 4096 * (size / 65536)) {
        struct vine__survey *survey;

        put(model.bytes, size);
        survey = survey_file();
        assert_true(survey->fault_count >= 1);
        free(survey);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_memory_of_ours_is_refused_with_a_sentence),
        cmocka_unit_test(what_is_no_segment_is_told_as_such),
        cmocka_unit_test(a_pipe_at_work_has_no_inconsistency_and_is_told_of),
        cmocka_unit_test(a_survey_changes_nothing),
        cmocka_unit_test(tasks_that_wait_are_told_by_procedure_with_what_they_name),
        cmocka_unit_test(completions_that_wait_are_told_with_their_results),
        cmocka_unit_test(what_the_appliance_says_of_its_books_is_told_by_procedure_and_age),
        cmocka_unit_test(an_appliance_that_gives_no_account_is_surveyed_without_it),
        cmocka_unit_test(an_account_of_a_pipe_that_is_over_is_not_told),
        cmocka_unit_test(an_account_that_is_half_written_is_a_note),
        cmocka_unit_test(who_has_died_is_a_note),
        cmocka_unit_test(each_wrong_field_of_the_header_is_told),
        cmocka_unit_test(a_region_that_leads_out_of_the_segment_is_told),
        cmocka_unit_test(each_wrong_word_of_boards_and_channels_is_told),
        cmocka_unit_test(each_wrong_word_of_an_account_is_told),
        cmocka_unit_test(positions_out_of_range_are_told_by_who_has_them),
        cmocka_unit_test(each_slot_with_an_impossible_sequence_is_told),
        cmocka_unit_test(a_gap_before_messages_is_a_burst_under_way),
        cmocka_unit_test(each_wrong_message_is_told),
        cmocka_unit_test(each_wrong_completion_is_told),
        cmocka_unit_test(every_length_of_a_file_that_was_cut_is_surveyed),
    };

    return cmocka_run_group_tests(tests, make_model, remove_model);
}
