/* SPDX-License-Identifier: Apache-2.0 */
/* An appliance that writes what no appliance would: the application counts it, refuses it or breaks
 * the pipe, and nothing worse. The test itself plays the appliance, step by step. */
#include "liar.h"

/* ---- tests ----------------------------------------------------------------------------------- */

static void unknown_and_stale_and_forged_ids_are_counted_and_dropped(void **state)
{
    (void)state;
    struct vine_wire_submission submission;

    start();
    struct vine_task *task = issue(&submission);
    struct vine_wire_completion completion = {.kind = VINE_WIRE_TASK, .status = VINE_EDATA};
    const uint64_t forged[] = {
        0,
        UINT64_MAX,
        submission.operation + 1,            /* an operation that nobody took */
        submission.operation + (1ULL << 32), /* its next use */
        submission.operation - (1ULL << 32), /* its last use, or none */
        (submission.operation & ~0xffffffffULL) | 0xffffff,
    };
    for (size_t i = 0; i < sizeof forged / sizeof forged[0]; i++) {
        completion.operation = forged[i];
        complete(&completion);
    }
    completion.operation = submission.operation;
    completion.kind = 7;
    complete(&completion);
    assert_int_equal(vine_task_poll(task), -EAGAIN);
    assert_int_equal(ids_refused(), 7);
    completion.kind = VINE_WIRE_TASK;
    complete(&completion);
    complete(&completion); /* twice */
    assert_int_equal(vine_task_wait(task, LIMIT), -VINE_EDATA);
    assert_int_equal(vine_pipe_poll(liar.pipe), 0);
    assert_int_equal(ids_refused(), 8);
    vine_task_free(task);
    complete(&completion); /* when it is long over */
    assert_int_equal(vine_pipe_poll(liar.pipe), 0);
    assert_int_equal(ids_refused(), 9);
    assert_int_equal(vine_pipe_status(liar.pipe), 0);
    stop();
}

static void what_is_sent_back_ends_all_the_same_if_that_is_said(void **state)
{
    (void)state;
    struct vine_wire_submission submission;

    start();
    struct vine_task *task = issue(&submission);
    struct vine_wire_completion completion = {.kind = VINE_WIRE_SENT_BACK,
                                              .operation = submission.operation};

    complete(&completion);
    complete(&completion); /* it has been kept already */
    completion.operation++;
    complete(&completion); /* nobody's */
    assert_int_equal(vine_task_poll(task), -EAGAIN);
    assert_int_equal(ids_refused(), 1);
    completion.operation--;
    completion.kind = VINE_WIRE_TASK;
    completion.status = VINE_EDATA;
    complete(&completion);
    assert_int_equal(vine_task_wait(task, LIMIT), -VINE_EDATA);
    vine_task_free(task);
    completion.kind = VINE_WIRE_SENT_BACK;
    complete(&completion); /* when it is over */
    assert_int_equal(vine_pipe_poll(liar.pipe), 0);
    assert_int_equal(ids_refused(), 2);
    assert_int_equal(vine_pipe_status(liar.pipe), 0);
    stop();
}

static void an_unknown_status_is_a_failure(void **state)
{
    (void)state;
    static const uint16_t statuses[] = {1, 11, 999, 1000, VINE_ERROR_END, 65535};

    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        struct vine_wire_submission submission;

        start();
        struct vine_task *task = issue(&submission);
        const struct vine_wire_completion completion = {.operation = submission.operation,
                                                        .kind = VINE_WIRE_TASK,
                                                        .status = statuses[i],
                                                        .shape = 0xff};
        complete(&completion);
        assert_int_equal(vine_task_wait(task, LIMIT), -VINE_EFAILED);
        assert_int_equal(vine_pipe_status(liar.pipe), 0);
        stop();
    }
}

enum { GOOD_OFFSET = 1000 };

static struct vine_token good_token(void)
{
    return (struct vine_token){.offset_units = GOOD_OFFSET,
                               .length = 64,
                               .generation = 5,
                               .type = VINE_TYPE_U32,
                               .extent = 0};
}

/* The task's end, when its completion carries these two tokens. */
static int end_with(uint8_t shape, const struct vine_token tokens[2])
{
    struct vine_wire_submission submission;
    struct vine_wire_completion completion = {.kind = VINE_WIRE_TASK, .shape = shape};

    start();
    struct vine_task *task = issue(&submission);
    completion.operation = submission.operation;
    memcpy(completion.body, tokens, 2 * sizeof *tokens);
    complete(&completion);
    const int status = vine_task_wait(task, LIMIT);
    if (status == -VINE_ECORRUPT) {
        assert_int_equal(vine_pipe_status(liar.pipe), -VINE_ECORRUPT);
        assert_non_null(strstr(told, "impossible results"));
    } else if (status == 0) {
        /* Whatever it is, it lies within the half. */
        for (int i = 0; i < 2; i++) {
            unsigned char bytes[64];

            assert_true(vine_data_size(outputs[i]) <= 64);
            assert_int_equal(vine_data_read(outputs[i], 0, bytes, vine_data_size(outputs[i])), 0);
        }
    }
    stop();
    return status;
}

static void results_within_the_half_are_taken(void **state)
{
    (void)state;
    struct vine_token tokens[2] = {good_token(), {0}};

    assert_int_equal(end_with(VINE_WIRE_SHAPE(0, 2), tokens), 0);
    tokens[1] = good_token(); /* the same memory twice harms nobody but its writer */
    assert_int_equal(end_with(VINE_WIRE_SHAPE(0, 2), tokens), 0);
}

static void results_beyond_the_half_break_the_pipe(void **state)
{
    (void)state;
    struct vine_token tokens[2] = {good_token(), good_token()};

    tokens[1].offset_units = UINT32_MAX;
    assert_int_equal(end_with(VINE_WIRE_SHAPE(0, 2), tokens), -VINE_ECORRUPT);
    tokens[1].offset_units = (128u << 10) / 64;
    assert_int_equal(end_with(VINE_WIRE_SHAPE(0, 2), tokens), -VINE_ECORRUPT);
    tokens[1] = good_token();
    tokens[1].extent = 1;
    assert_int_equal(end_with(VINE_WIRE_SHAPE(0, 2), tokens), -VINE_ECORRUPT);
    tokens[1].extent = UINT16_MAX;
    assert_int_equal(end_with(VINE_WIRE_SHAPE(0, 2), tokens), -VINE_ECORRUPT);
}

static void results_of_another_shape_break_the_pipe(void **state)
{
    (void)state;
    struct vine_token tokens[2] = {good_token(), good_token()};

    tokens[0].length = 68; /* more than the room */
    assert_int_equal(end_with(VINE_WIRE_SHAPE(0, 2), tokens), -VINE_ECORRUPT);
    tokens[0].length = 63; /* half an element */
    assert_int_equal(end_with(VINE_WIRE_SHAPE(0, 2), tokens), -VINE_ECORRUPT);
    tokens[0].length = 0; /* empty, but not quite */
    assert_int_equal(end_with(VINE_WIRE_SHAPE(0, 2), tokens), -VINE_ECORRUPT);
    tokens[0] = good_token();
    tokens[0].type = VINE_TYPE_BYTES;
    assert_int_equal(end_with(VINE_WIRE_SHAPE(0, 2), tokens), -VINE_ECORRUPT);
    tokens[0].type = VINE_TYPE_U32 | VINE_WIRE_TYPE_THEIRS;
    assert_int_equal(end_with(VINE_WIRE_SHAPE(0, 2), tokens), -VINE_ECORRUPT);
    tokens[0] = good_token();
    assert_int_equal(end_with(VINE_WIRE_SHAPE(0, 1), tokens), -VINE_ECORRUPT);
    assert_int_equal(end_with(VINE_WIRE_SHAPE(0, 0), tokens), -VINE_ECORRUPT);
    assert_int_equal(end_with(VINE_WIRE_SHAPE(1, 2), tokens), -VINE_ECORRUPT);
    assert_int_equal(end_with(VINE_WIRE_SHAPE(63, 0), tokens), -VINE_ECORRUPT);
    assert_int_equal(end_with(VINE_WIRE_SHAPE(1, 3), tokens), -VINE_ECORRUPT);
}

/* The task's end, when its completion names this descriptor, of which `length` bytes. */
static int end_with_descriptor(const struct vine_wire_descriptor *head, uint32_t length)
{
    struct vine_wire_submission submission;
    struct vine_wire_completion completion = {.kind = VINE_WIRE_TASK,
                                              .shape = VINE_WIRE_SHAPE(0, 3)};
    const struct vine_token tokens[8] = {{0}};
    struct vine_box box;

    start();
    struct vine_task *task = issue(&submission);
    assert_int_equal(vine__half_create_box(&liar.half, VINE_TYPE_BYTES, 4096, 0, &box), 0);
    memset(box.memory, 0xff, 4096);
    memcpy(box.memory, head, sizeof *head);
    memcpy((char *)box.memory + sizeof *head, tokens, sizeof tokens);
    box.token.length = length;
    completion.operation = submission.operation;
    memcpy(completion.body + 16, &box.token, 16);
    complete(&completion);
    const int status = vine_task_wait(task, LIMIT);
    stop();
    return status;
}

static void descriptors_have_to_add_up(void **state)
{
    (void)state;
    struct vine_wire_descriptor head = {
        .size_bytes = 32 + 32 + 5, .token_count = 2, .bytes_size = 5};

    assert_int_equal(end_with_descriptor(&head, 69), 0);
    assert_int_equal(end_with_descriptor(&head, 70), -VINE_ECORRUPT);
    assert_int_equal(end_with_descriptor(&head, 31), -VINE_ECORRUPT);
    assert_int_equal(end_with_descriptor(&head, 4096), -VINE_ECORRUPT);
    assert_int_equal(end_with_descriptor(&head, UINT32_MAX), -VINE_ECORRUPT);
    head.token_count = 3;
    assert_int_equal(end_with_descriptor(&head, 69), -VINE_ECORRUPT);
    head = (struct vine_wire_descriptor){.size_bytes = 32 + 48, .token_count = 3};
    assert_int_equal(end_with_descriptor(&head, 80), -VINE_ECORRUPT); /* more than outputs */
    head = (struct vine_wire_descriptor){.size_bytes = 64 + 33, .token_count = 2, .bytes_size = 33};
    assert_int_equal(end_with_descriptor(&head, 97), -VINE_ECORRUPT);
    head = (struct vine_wire_descriptor){
        .size_bytes = 69, .token_count = 2, .bytes_size = UINT32_MAX - 58};
    assert_int_equal(end_with_descriptor(&head, 69), -VINE_ECORRUPT);
    head =
        (struct vine_wire_descriptor){.size_bytes = 69, .token_count = UINT16_MAX, .bytes_size = 5};
    assert_int_equal(end_with_descriptor(&head, 69), -VINE_ECORRUPT);
}

static void an_impossible_sequence_breaks_the_pipe(void **state)
{
    (void)state;
    static const uint64_t sequences[] = {7, UINT64_MAX, 1ULL << 63, SLOTS + 3};

    for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++) {
        struct vine_wire_submission submission;

        start();
        struct vine_task *task = issue(&submission);
        vine__store_release_u64(&liar.slots[liar.completions.position % SLOTS].sequence,
                                sequences[i]);
        assert_int_equal(vine_task_wait(task, LIMIT), -VINE_ECORRUPT);
        assert_int_equal(vine_pipe_status(liar.pipe), -VINE_ECORRUPT);
        assert_non_null(strstr(told, "sequence"));
        stop();
    }
}

static void an_impossible_position_breaks_the_pipe(void **state)
{
    (void)state;
    struct vine_wire_submission submission;
    struct vine_procedure *procedure = NULL;
    int error = 0;

    start();
    vine_task_free(issue(&submission));
    assert_int_equal(vine_procedure_get(liar.pipe, "lie", &procedure), 0);
    /* The lie is looked at when the ring seems full, for the first time after a lap. */
    for (uint32_t i = 0; i < 2 * SLOTS && error == 0; i++) {
        struct vine_data *places[2] = {NULL, NULL};
        struct vine_task *task = NULL;

        for (int k = 0; k < 2; k++)
            assert_int_equal(vine_data_expect(liar.pipe, VINE_TYPE_U32, 4, &places[k]), 0);
        const struct vine_task_options options = {.size_bytes = sizeof options,
                                                  .inputs = &input,
                                                  .input_count = 1,
                                                  .outputs = places,
                                                  .output_count = 2};
        error = vine_task_issue(liar.pipe, procedure, &options, &task);
        if (error == 0) {
            struct vine_wire_completion completion = {.kind = VINE_WIRE_TASK, .status = VINE_EDATA};

            take(&submission);
            vine__store_release_u64(&liar.half.layout->channels[0].consumed.value, 1u << 20);
            completion.operation = submission.operation;
            complete(&completion);
            assert_int_equal(vine_task_wait(task, LIMIT), -VINE_EDATA);
            vine_task_free(task);
        }
        vine_data_free(places[0]);
        vine_data_free(places[1]);
    }
    assert_int_equal(error, -VINE_ECORRUPT);
    assert_int_equal(vine_pipe_status(liar.pipe), -VINE_ECORRUPT);
    assert_non_null(strstr(told, "position"));
    stop();
}

static void an_impossible_channel_breaks_the_pipe(void **state)
{
    (void)state;
    static const struct {
        uint32_t slot_count;
        uint32_t extent;
        uint32_t offset_units;
    } lies[] = {
        {0, 0, 1000},         {3, 0, 1000},         {191, 0, 1000}, {128, 0, 1000},
        {1u << 31, 0, 1000},  {1u << 20, 0, 1000},  {256, 5, 1000}, {256, 65536, 1000},
        {256, 0, UINT32_MAX}, {256, 0, 2048 - 255}, {4096, 0, 0},
    };

    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct vine_accelerator *accelerator = NULL;

        start();
        liar.half.layout->channels[0].slot_count = lies[i].slot_count;
        liar.half.layout->channels[0].ring_extent = lies[i].extent;
        liar.half.layout->channels[0].ring_offset_units = lies[i].offset_units;
        show_channel();
        /* Its answer has nowhere to come from. */
        assert_int_equal(vine_accelerator_acquire(liar.pipe, NULL, VINE_ORDERED, &accelerator),
                         -VINE_EPROTOCOL);
        assert_int_equal(vine_pipe_status(liar.pipe), -VINE_EPROTOCOL);
        stop();
    }
}

static void answers_that_describe_nothing_are_refused(void **state)
{
    (void)state;
    struct vine_wire_description wires[8];
    struct vine_procedure *procedure = NULL;

    for (int i = 0; i < 8; i++)
        wires[i] = description();
    memset(wires[0].name, 'x', sizeof wires[0].name);
    wires[1].name[0] = 0;
    wires[2].id = 3;
    wires[3].argument_count = 9;
    wires[4].argument_count = UINT32_MAX;
    wires[5].arguments[0].kind = 77;
    wires[6].arguments[1].data_type = 0x8001;
    (void)snprintf(wires[7].name, sizeof wires[7].name, "another");
    for (int i = 0; i < 8; i++) {
        start();
        assert_int_equal(get_procedure("lie", &wires[i], sizeof wires[i], &procedure),
                         -VINE_EPROTOCOL);
        stop();
    }
    start();
    assert_int_equal(get_procedure("lie", &wires[7], 519, &procedure), -VINE_EPROTOCOL);
    stop();
    start();
    assert_int_equal(get_procedure("lie", NULL, 0, &procedure), -VINE_EPROTOCOL);
    stop();
    assert_null(procedure);
}

static void an_appliance_cannot_think_of_new_names_without_end(void **state)
{
    (void)state;
    struct vine_wire_description wire = description();
    struct vine_procedure *procedure = NULL;
    int known = 0;
    int error = 0;

    start();
    while (error == 0 && known < 10000) {
        (void)snprintf(wire.name, sizeof wire.name, "lie %d", known);
        error = get_procedure(wire.name, &wire, sizeof wire, &procedure);
        known += error == 0;
    }
    assert_int_equal(error, -VINE_EQUOTA);
    assert_int_equal(known, 4096);
    /* Those that are known stay so. */
    assert_int_equal(vine_procedure_get(liar.pipe, "lie 0", &procedure), 0);
    assert_int_equal(vine_pipe_status(liar.pipe), 0);
    stop();
}

static void texts_are_tamed(void **state)
{
    (void)state;
    struct vine_wire_description wire = description();
    struct vine_procedure *procedure = NULL;

    memset(wire.summary, '\033', sizeof wire.summary);
    memset(wire.accelerator_type, 0xff, sizeof wire.accelerator_type);
    memset(wire.arguments[0].name, '\n', sizeof wire.arguments[0].name);
    start();
    assert_int_equal(get_procedure("lie", &wire, sizeof wire, &procedure), 0);
    const struct vine_procedure_info *info = vine_procedure_describe(procedure);
    assert_int_equal(strlen(info->summary), 127);
    assert_null(strchr(info->summary, '\033'));
    assert_int_equal(strlen(info->accelerator_type), 31);
    assert_int_equal(strlen(info->arguments[0].name), 15);
    assert_null(strchr(info->arguments[0].name, '\n'));
    stop();
}

static void a_reason_on_the_board_ends_the_pipe_with_it(void **state)
{
    (void)state;
    struct vine_wire_submission submission;

    start();
    struct vine_task *task = issue(&submission);
    vine__store_release_u32(&liar.half.layout->board.closed.value, VINE_EQUOTA);
    assert_int_equal(vine_task_wait(task, LIMIT), -VINE_EQUOTA);
    assert_int_equal(vine_pipe_status(liar.pipe), -VINE_EQUOTA);
    stop();
    start();
    vine__store_release_u32(&liar.half.layout->board.closed.value, 4711);
    assert_int_equal(vine_pipe_status(liar.pipe), -VINE_ECLOSED);
    stop();
}

static void a_farewell_ends_the_pipe_with_its_reason(void **state)
{
    (void)state;

    start();
    liar.link.operations->bye(&liar.link, -VINE_EDRAINING, "that is all");
    assert_int_equal(vine_pipe_status(liar.pipe), -VINE_EDRAINING);
    assert_non_null(strstr(told, "that is all"));
    stop();
}

static void who_first_hears_of_it_by_growing_has_the_reason_too(void **state)
{
    (void)state;
    struct vine_data *data = NULL;

    start();
    liar.link.operations->bye(&liar.link, -VINE_EDRAINING, "that is all");
    liar.link.operations->close(&liar.link);
    assert_int_equal(vine_data_create(liar.pipe, VINE_TYPE_U32, 2 * VINE__HALF_BYTES, &data),
                     -VINE_EDRAINING);
    stop();
}

/* Its extent lies in the socket behind more messages than are read in one go. */
static void what_was_completed_before_a_farewell_counts(void **state)
{
    (void)state;
    struct vine_wire_completion completion = {.kind = VINE_WIRE_TASK,
                                              .shape = VINE_WIRE_SHAPE(0, 2)};
    struct vine_wire_submission submission;
    struct vine_box box;

    start();
    struct vine_task *task = issue(&submission);
    for (int i = 0; i < 100; i++)
        vine__link_wake(&liar.link);
    assert_int_equal(vine__half_create_box(&liar.half, VINE_TYPE_U32, VINE__HALF_BYTES, 0, &box),
                     0);
    assert_int_not_equal(box.token.extent, 0);
    memcpy(box.memory, "last", 4);
    box.token.length = 64;
    completion.operation = submission.operation;
    memcpy(completion.body, &box.token, sizeof box.token);
    memcpy(completion.body + sizeof box.token, &box.token, sizeof box.token);
    complete(&completion);
    vine__store_release_u32(&liar.half.layout->board.closed.value, VINE_EDRAINING);
    liar.link.operations->bye(&liar.link, -VINE_EDRAINING, "that is all");
    assert_int_equal(vine_pipe_status(liar.pipe), -VINE_EDRAINING);
    assert_int_equal(vine_task_wait(task, LIMIT), 0);
    assert_memory_equal(vine_data_view(outputs[0]), "last", 4);
    assert_int_equal(vine_pipe_status(liar.pipe), -VINE_EDRAINING);
    vine_task_free(task);
    stop();
}

static void a_malformed_message_breaks_the_pipe(void **state)
{
    (void)state;
    const struct vine_talk_head bad[] = {
        {.magic = 1, .type = VINE_TALK_WAKE, .size_bytes = 8},
        {.magic = VINE_TALK_MAGIC, .type = 99, .size_bytes = 8},
        {.magic = VINE_TALK_MAGIC, .type = VINE_TALK_EXTENT, .size_bytes = 8},
        {.magic = VINE_TALK_MAGIC, .type = VINE_TALK_WAKE, .size_bytes = 9},
        {.magic = VINE_TALK_MAGIC, .type = VINE_TALK_HELLO, .size_bytes = 8},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        start();
        assert_int_equal(vine__peer_send(liar.link.socket_fd, &bad[i], sizeof bad[i], NULL, 0, 0),
                         0);
        assert_int_equal(vine_pipe_status(liar.pipe), -VINE_EPROTOCOL);
        stop();
    }
}

/* Random bytes in every word that the application reads, while it works. */
static void noise_is_survived(void **state)
{
    (void)state;
    uint64_t seed = 88172645463325252ULL;

    for (int round = 0; round < 60; round++) {
        struct vine_wire_submission submission;
        struct vine_task *task;
        unsigned char *half;

        start();
        task = issue(&submission);
        half = (unsigned char *)liar.half.layout;
        for (int i = 0; i < 400; i++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            if (i % 2) {
                /* A completion that begins well and goes on at random. */
                struct vine_wire_completion completion = {.operation = submission.operation,
                                                          .kind = VINE_WIRE_TASK};
                uint64_t more = seed;

                completion.shape = (uint8_t)seed;
                for (size_t k = 0; k < sizeof completion.body; k++) {
                    more = more * 6364136223846793005ULL + 1442695040888963407ULL;
                    completion.body[k] = (more >> 60) < 6 ? (uint8_t)(more >> 33) : 0;
                }
                (void)!vine_spsc_push(&liar.completions, &completion, sizeof completion);
            } else {
                half[512 + seed % 192] = (unsigned char)(seed >> 32);
            }
            (void)!vine_pipe_poll(liar.pipe);
            if (vine_task_poll(task) != -EAGAIN)
                break;
        }
        for (int i = 0; i < 2; i++) {
            unsigned char bytes[64];
            const uint64_t size = vine_data_size(outputs[i]);

            assert_true(size <= 64);
            if (size > 0)
                assert_int_equal(vine_data_read(outputs[i], 0, bytes, size), 0);
        }
        vine_task_free(task);
        stop();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_and_stale_and_forged_ids_are_counted_and_dropped),
        cmocka_unit_test(what_is_sent_back_ends_all_the_same_if_that_is_said),
        cmocka_unit_test(an_unknown_status_is_a_failure),
        cmocka_unit_test(results_within_the_half_are_taken),
        cmocka_unit_test(results_beyond_the_half_break_the_pipe),
        cmocka_unit_test(results_of_another_shape_break_the_pipe),
        cmocka_unit_test(descriptors_have_to_add_up),
        cmocka_unit_test(an_impossible_sequence_breaks_the_pipe),
        cmocka_unit_test(an_impossible_position_breaks_the_pipe),
        cmocka_unit_test(an_impossible_channel_breaks_the_pipe),
        cmocka_unit_test(answers_that_describe_nothing_are_refused),
        cmocka_unit_test(an_appliance_cannot_think_of_new_names_without_end),
        cmocka_unit_test(texts_are_tamed),
        cmocka_unit_test(a_reason_on_the_board_ends_the_pipe_with_it),
        cmocka_unit_test(a_farewell_ends_the_pipe_with_its_reason),
        cmocka_unit_test(who_first_hears_of_it_by_growing_has_the_reason_too),
        cmocka_unit_test(what_was_completed_before_a_farewell_counts),
        cmocka_unit_test(a_malformed_message_breaks_the_pipe),
        cmocka_unit_test(noise_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
