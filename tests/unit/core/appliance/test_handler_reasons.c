/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* What coroutines say of why their tasks fail. */
#include "handlers.h"

#include <vine/stream.h>

/* Says what it reads, and fails; with nothing to read it fails without a word. */
VINE_COROUTINE(explains)
{
    struct {
        char text[200];
        ssize_t length;
    } *self;

    vine_begin();
    vine_read(self->length, self->text, sizeof self->text - 1);
    if (self->length > 0)
        vine_handled_reason(self->text);
    vine_raise(-VINE_EDATA);
    vine_end();
}

/* Says something, and ends well. */
VINE_COROUTINE(ends_well)
{
    struct {
        char text[8];
    } *self;

    vine_begin();
    self->text[0] = 'x';
    vine_handled_reason(self->text);
    vine_end();
}

/* One task after the other: it says what it reads, unless that begins with an x: then it fails. */
VINE_COROUTINE(goes_on)
{
    struct {
        char text[100];
        ssize_t length;
        bool is_there;
    } *self;

    vine_begin();
    do {
        vine_read(self->length, self->text, sizeof self->text - 1);
        if (self->length > 0 && self->text[0] == 'x')
            vine_raise(-VINE_EDATA);
        vine_handled_reason(self->text);
        vine_task_next(self->is_there);
    } while (self->is_there);
    vine_end();
}

/* Says what lies elsewhere. */
VINE_COROUTINE(lies_elsewhere)
{
    struct {
        int unused;
    } *self;

    vine_begin();
    vine_handled_reason("a constant of the program");
    vine_end();
}

static const struct vine_procedure_definition procedures[] = {
    HANDLER(explains), HANDLER(ends_well), HANDLER(lies_elsewhere), HANDLER(goes_on)};

static void expect_reason(struct vine_pipe *pipe, const char *name, const char *said, int status,
                          const char *reason)
{
    struct issued issued = issue(pipe, name, NULL, said, strlen(said), 10, false);
    char text[VINE_REASON_MAX + 1];

    assert_int_equal(vine_task_wait(issued.task, LIMIT_NS), status);
    (void)vine_task_reason(issued.task, text, sizeof text);
    assert_string_equal(text, reason);
    (void)finish(&issued, status, text, sizeof text);
}

static void ask(struct vine_pipe *pipe, struct application *application)
{
    char most[200];
    char cut[VINE_REASON_MAX + 1];

    (void)application;
    memset(most, 'm', sizeof most);
    most[150] = 0;
    memset(cut, 'm', sizeof cut);
    cut[VINE_REASON_MAX] = 0;
    expect_reason(pipe, "explains", "", -VINE_EDATA, "");
    expect_reason(pipe, "explains", "corrupt at byte 7", -VINE_EDATA, "corrupt at byte 7");
    expect_reason(pipe, "explains", most, -VINE_EDATA, cut);
    expect_reason(pipe, "explains", "\033[2J", -VINE_EDATA, "?[2J");
    expect_reason(pipe, "ends_well", "", 0, "");
    expect_reason(pipe, "goes_on", "said of a task that ended well", 0, "");
    expect_reason(pipe, "goes_on", "x", -VINE_EDATA, "");
    /* With a guard it has no right to have it read by somebody else; without, it is the same. */
    expect_reason(pipe, "lies_elsewhere", "", -VINE_EFAILED, vine_error_text(-EFAULT));
}

static void what_a_coroutine_says_is_told_of_its_task(void **state)
{
    (void)state;
    serve(procedures, 4, NULL, 0);
    serve_applications(ask, 1);
    serve_no_more();
}

static void use_stream(struct vine_pipe *pipe, struct application *application)
{
    struct vine_procedure *procedure = NULL;
    struct vine_stream *stream = NULL;
    char byte;
    size_t size;

    (void)application;
    assert_int_equal(vine_procedure_get(pipe, "explains", &procedure), 0);
    assert_int_equal(vine_stream_open(pipe, procedure, NULL, &stream), 0);
    assert_string_equal(vine_stream_reason(stream), "");
    assert_int_equal(vine_stream_write(stream, "no frame", 8, LIMIT_NS, &size), 0);
    assert_int_equal(vine_stream_read(stream, &byte, 1, LIMIT_NS, &size), -VINE_EDATA);
    assert_string_equal(vine_stream_reason(stream), "no frame");
    vine_stream_close(stream);
}

static void a_stream_says_why_it_failed(void **state)
{
    (void)state;
    serve(procedures, 4, NULL, 0);
    serve_applications(use_stream, 1);
    serve_no_more();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_coroutine_says_is_told_of_its_task),
        cmocka_unit_test(a_stream_says_why_it_failed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
