/* SPDX-License-Identifier: Apache-2.0 */
/* An appliance that says why tasks failed as no appliance would. */
#include "liar.h"

/* The same once more: the procedure is known by now, and nobody is asked. */
static struct vine_task *issue_again(struct vine_wire_submission *ret_submission)
{
    struct vine_procedure *procedure = NULL;
    struct vine_task *task = NULL;

    assert_int_equal(vine_procedure_get(liar.pipe, "lie", &procedure), 0);
    assert_int_equal(vine_data_create(liar.pipe, VINE_TYPE_U32, 64, &input), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(vine_data_expect(liar.pipe, VINE_TYPE_U32, 64, &outputs[i]), 0);
    const struct vine_task_options options = {.size_bytes = sizeof options,
                                              .inputs = &input,
                                              .input_count = 1,
                                              .outputs = outputs,
                                              .output_count = 2};
    assert_int_equal(vine_task_issue(liar.pipe, procedure, &options, &task), 0);
    do
        take(ret_submission);
    while ((ret_submission->kind & VINE_WIRE_KIND_MASK) != VINE_WIRE_TASK);
    return task;
}

static bool is_known;

static void begin(void)
{
    start();
    is_known = false;
}

/* What a task is told to have failed of. */
static size_t reason_of(struct vine_wire_completion *completion, char text[VINE_REASON_MAX + 1])
{
    struct vine_wire_submission submission;
    struct vine_task *task = is_known ? issue_again(&submission) : issue(&submission);
    size_t size;

    is_known = true;
    completion->operation = submission.operation;
    completion->kind = VINE_WIRE_TASK;
    completion->status = VINE_EDATA;
    complete(completion);
    assert_int_equal(vine_task_wait(task, LIMIT), -VINE_EDATA);
    assert_int_equal(vine_pipe_status(liar.pipe), 0);
    size = vine_task_reason(task, text, VINE_REASON_MAX + 1);
    assert_in_range(size, 0, VINE_REASON_MAX);
    assert_int_equal(strlen(text), size);
    vine_task_free(task);
    vine_data_free(input);
    vine_data_free(outputs[0]);
    vine_data_free(outputs[1]);
    return size;
}

static void any_shape_is_a_failed_task_and_nothing_worse(void **state)
{
    (void)state;
    char text[VINE_REASON_MAX + 1];

    begin();
    for (uint32_t shape = 0; shape < 256; shape++) {
        struct vine_wire_completion completion = {.shape = (uint8_t)shape};
        size_t size;

        memset(completion.body, 0x9b, sizeof completion.body);
        size = reason_of(&completion, text);
        assert_int_equal(size, shape <= VINE_RESULT_MAX ? shape : 0);
        assert_int_equal(strspn(text, "?"), size);
    }
    stop();
}

/* A descriptor whose parts are these. */
static size_t described(uint32_t size_bytes, uint16_t token_count, uint32_t bytes_size,
                        uint32_t length, char text[VINE_REASON_MAX + 1])
{
    const struct vine_wire_descriptor head = {
        .size_bytes = size_bytes, .token_count = token_count, .bytes_size = bytes_size};
    struct vine_wire_completion completion = {.shape = VINE_WIRE_SHAPE(0, VINE_WIRE_DESCRIPTOR)};
    struct vine_box box;

    assert_int_equal(vine__half_create_box(&liar.half, VINE_TYPE_BYTES, length, 0, &box), 0);
    memset(box.memory, 'n', length);
    memcpy(box.memory, &head, length < sizeof head ? length : sizeof head);
    memcpy(completion.body + 16, &box.token, 16);
    return reason_of(&completion, text);
}

static void descriptors_that_do_not_add_up_are_no_reasons(void **state)
{
    (void)state;
    enum { HEAD = sizeof(struct vine_wire_descriptor) };
    char text[VINE_REASON_MAX + 1];

    begin();
    assert_int_equal(described(HEAD + 50, 0, 50, HEAD + 50, text), 50);
    assert_int_equal(strspn(text, "n"), 50);
    assert_int_equal(
        described(HEAD + VINE_REASON_MAX, 0, VINE_REASON_MAX, HEAD + VINE_REASON_MAX, text),
        VINE_REASON_MAX);
    assert_int_equal(described(HEAD + 121, 0, 121, HEAD + 121, text), 0);
    assert_int_equal(described(HEAD + 50, 0, 51, HEAD + 50, text), 0);
    assert_int_equal(described(HEAD + 51, 0, 51, HEAD + 50, text), 0);
    assert_int_equal(described(HEAD + 66, 1, 50, HEAD + 66, text), 0);
    assert_int_equal(described(HEAD, 0, 0, HEAD, text), 0);
    assert_int_equal(described(HEAD, 0, 0, HEAD - 1, text), 0);
    assert_int_equal(described(UINT32_MAX, UINT16_MAX, UINT32_MAX, HEAD + 50, text), 0);
    stop();
}

static void a_token_of_no_memory_is_no_reason(void **state)
{
    (void)state;
    const struct vine_token tokens[] = {
        {.offset_units = UINT32_MAX, .length = 100, .generation = 1, .type = 1},
        {.offset_units = 1, .length = 100, .generation = 1, .type = 1, .extent = 63},
        {.offset_units = 1, .length = 100, .generation = 1, .type = 1, .extent = 0xffff},
        {.offset_units = 0, .length = 0},
    };
    char text[VINE_REASON_MAX + 1];

    begin();
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        struct vine_wire_completion completion = {.shape =
                                                      VINE_WIRE_SHAPE(0, VINE_WIRE_DESCRIPTOR)};

        memcpy(completion.body + 16, &tokens[i], 16);
        assert_int_equal(reason_of(&completion, text), 0);
    }
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_shape_is_a_failed_task_and_nothing_worse),
        cmocka_unit_test(descriptors_that_do_not_add_up_are_no_reasons),
        cmocka_unit_test(a_token_of_no_memory_is_no_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
