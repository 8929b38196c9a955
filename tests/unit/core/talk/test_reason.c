/* SPDX-License-Identifier: Apache-2.0 */
/* Why a task failed, as its handler says: bounded, printable, and given back. */
#include "served.h"

#include <vine/inspect.h>

static struct served served;
static struct vine_pipe *pipe_of_test;

/* Ends as its scalar says, with its bytes as the reason. */
static int explain(struct vine_call *call)
{
    size_t size;
    const char *text = vine_call_bytes(call, 1, &size);

    if (size > 0)
        vine_call_reason(call, "%.*s", (int)size, text);
    return -(int)vine_call_scalar(call, 0, 0);
}

/* Says more than once. */
static int explain_twice(struct vine_call *call)
{
    vine_call_reason(call, "the first of %d", 2);
    vine_call_reason(call, "the second of %d", 2);
    return -(int)vine_call_scalar(call, 0, 0);
}

static const struct vine_argument explain_arguments[] = {
    {"status", VINE_SCALAR, 0, 0, 2000},
    {"text", VINE_BYTES, 0, 0, 1000},
};

#define EXPLAINS(called, function, kind)                                                           \
    {                                                                                              \
        .size_bytes = sizeof(struct vine_procedure_definition), .name = (called),                  \
        .run = (function), .flags = (kind), SERVED_ARGUMENTS(explain_arguments)                    \
    }

static const struct vine_procedure_definition definitions[] = {
    EXPLAINS("on_the_loop", explain, VINE_PROCEDURE_SHORT),
    EXPLAINS("on_a_worker", explain, 0),
    EXPLAINS("twice", explain_twice, 0),
};

static void start_at(const char *kind)
{
    served_start_at(&served, kind, NULL, 1);
    for (size_t i = 0; i < sizeof definitions / sizeof definitions[0]; i++)
        assert_int_equal(vine_appliance_register(served.appliance, &definitions[i]), 0);
    pipe_of_test = served_open(&served, NULL);
}

static void start(void)
{
    start_at("");
}

static void stop(void)
{
    vine_pipe_close(pipe_of_test);
    served_stop(&served);
}

static struct vine_task *issue(const char *name, uint64_t status, const char *text)
{
    unsigned char bytes[8 + 1000];
    const size_t size = strlen(text);
    const struct vine_task_options options = {
        .size_bytes = sizeof options, .bytes = bytes, .bytes_size = 8 + size};
    struct vine_task *task = NULL;

    memcpy(bytes, &status, 8);
    memcpy(bytes + 8, text, size);
    assert_int_equal(vine_task_issue(pipe_of_test, served_get(pipe_of_test, name), &options, &task),
                     0);
    return task;
}

/* What such a task says that ends so. */
static void expect(const char *name, uint64_t status, const char *text, const char *reason)
{
    char found[VINE_REASON_MAX + 2];
    char little[4] = "xxx";
    struct vine_task *task = issue(name, status, text);
    const int ended = status > 1000 || status == 0 ? -(int)status : -VINE_EFAILED;

    assert_int_equal(vine_task_wait(task, LIMIT), ended);
    assert_int_equal(vine_task_reason(task, found, sizeof found), strlen(reason));
    assert_string_equal(found, reason);
    assert_int_equal(vine_task_reason(task, little, sizeof little), strlen(reason));
    assert_int_equal(strlen(little), strlen(reason) < 3 ? strlen(reason) : 3);
    assert_int_equal(vine_task_reason(task, NULL, 0), strlen(reason));
    vine_task_free(task);
}

static void a_task_that_ends_well_has_no_reason(void **state)
{
    (void)state;
    start();
    expect("on_the_loop", 0, "said in vain", "");
    expect("on_a_worker", 0, "said in vain", "");
    stop();
}

static void a_handler_that_says_nothing_is_quoted_with_nothing(void **state)
{
    (void)state;
    start();
    expect("on_the_loop", VINE_EDATA, "", "");
    expect("on_a_worker", VINE_EDATA, "", "");
    stop();
}

static void what_the_handler_says_is_told_wherever_it_runs(void **state)
{
    (void)state;
    start();
    for (int i = 0; i < 2; i++) {
        const char *name = i == 0 ? "on_the_loop" : "on_a_worker";

        expect(name, VINE_EDATA, "corrupt frame at byte 1234", "corrupt frame at byte 1234");
        expect(name, VINE_EDATA, "thirty-two bytes fit into a slot", /* exactly */
               "thirty-two bytes fit into a slot");
        expect(name, VINE_EDATA, "and one of thirty-three wants more",
               "and one of thirty-three wants more");
    }
    expect("twice", VINE_EDATA, "", "the second of 2");
    stop();
}

static void it_is_cut_off_and_printable(void **state)
{
    (void)state;
    char text[1000];
    char cut[VINE_REASON_MAX + 1];

    memset(text, 'y', sizeof text);
    text[sizeof text - 1] = 0;
    memset(cut, 'y', sizeof cut);
    cut[VINE_REASON_MAX] = 0;
    start();
    expect("on_the_loop", VINE_EDATA, text, cut);
    text[VINE_REASON_MAX] = 0;
    expect("on_a_worker", VINE_EDATA, text, cut);
    expect("on_the_loop", VINE_EDATA, "\033[31m\n\xff", "?[31m??");
    stop();
}

/* Its number does not cross. */
static void an_errno_is_told_by_its_meaning(void **state)
{
    (void)state;
    start();
    expect("on_a_worker", ENOSPC, "", vine_error_text(-ENOSPC));
    expect("on_the_loop", ENOSPC, "the disk of the archive", "the disk of the archive");
    stop();
}

static void calls_that_wait_remember_the_last_one(void **state)
{
    (void)state;
    unsigned char result[32];
    uint64_t bytes[] = {VINE_EDATA, 0x6f736f73};
    const struct vine_task_options options = {
        .size_bytes = sizeof options, .bytes = bytes, .bytes_size = 12};

    start();
    assert_int_equal(vine_task_run(pipe_of_test, served_get(pipe_of_test, "on_a_worker"), &options,
                                   LIMIT, NULL, NULL),
                     -VINE_EDATA);
    assert_string_equal(vine_task_last_reason(), "soso");
    assert_int_equal(
        vine_task_run(pipe_of_test, served_get(pipe_of_test, "noop"), NULL, LIMIT, NULL, NULL), 0);
    assert_string_equal(vine_task_last_reason(), "");
    assert_int_equal(vine_task_run(pipe_of_test, served_get(pipe_of_test, "on_a_worker"), &options,
                                   LIMIT, NULL, NULL),
                     -VINE_EDATA);
    assert_int_equal(vine_pipe_call(pipe_of_test, "turn", "x", 1, result, sizeof result, NULL), 0);
    assert_string_equal(vine_task_last_reason(), "");
    stop();
}

static uint64_t held_bytes(void)
{
    struct vine_pipe_facts facts[2];

    assert_int_equal(vine_inspect_pipes(pipe_of_test, facts, 2), 1);
    return facts[0].held_bytes;
}

static void long_reasons_are_given_back(void **state)
{
    (void)state;
    static const char text[] = "a sentence that is a good deal longer than a completion has room";
    uint64_t before = 0;

    start();
    for (int i = 0; i < 4000; i++) {
        expect("on_the_loop", VINE_EDATA, text, text);
        if (i == 400)
            before = held_bytes();
    }
    assert_int_equal(held_bytes(), before);
    stop();
}

/* Of those that were abandoned, and those that nobody freed. */
static void nobody_has_to_read_them(void **state)
{
    (void)state;
    static const char text[] = "a sentence that is a good deal longer than a completion has room";

    start();
    vine_task_free(issue("on_a_worker", VINE_EDATA, text));
    struct vine_task *task = issue("on_a_worker", VINE_EDATA, text);
    assert_int_equal(vine_task_wait(task, LIMIT), -VINE_EDATA);
    stop();
}

static void named_segments_carry_them_too(void **state)
{
    (void)state;
    static const char text[] = "a sentence that is a good deal longer than a completion has room";

    start_at("file:");
    expect("on_the_loop", VINE_EDATA, text, text);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_that_ends_well_has_no_reason),
        cmocka_unit_test(a_handler_that_says_nothing_is_quoted_with_nothing),
        cmocka_unit_test(what_the_handler_says_is_told_wherever_it_runs),
        cmocka_unit_test(it_is_cut_off_and_printable),
        cmocka_unit_test(an_errno_is_told_by_its_meaning),
        cmocka_unit_test(calls_that_wait_remember_the_last_one),
        cmocka_unit_test(long_reasons_are_given_back),
        cmocka_unit_test(nobody_has_to_read_them),
        cmocka_unit_test(named_segments_carry_them_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
