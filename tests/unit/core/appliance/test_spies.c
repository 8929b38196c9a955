/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * What a hostile handler finds of another application's pipe, whose memory its process maps:
 *
 *   reading the half that the other application wrote     pku: trapped; else open
 *   reading the half that the appliance writes to it      pku: trapped; else open
 *   writing the half that the other application wrote     trapped, whatever guards heaps
 *
 * Who is trapped ends its own task.
 */
#include "handlers.h"

/* Where the first application's bytes are, as a procedure of the appliance has seen them. */
static const char *volatile its_input;
static const char *volatile its_output;

static int show(struct vine_call *call)
{
    size_t size = 0;

    its_input = vine_call_bytes(call, 0, &size);
    its_output = vine_call_output(call, 1, &size);
    memcpy((char *)(uintptr_t)its_output, "answer", 6);
    return vine_call_output_size(call, 1, 6);
}

VINE_COROUTINE(spies)
{
    struct {
        char wish;
        char byte;
        ssize_t length;
    } *self;

    vine_begin();
    vine_read(self->length, &self->wish, 1);
    if (self->wish == 'i')
        self->byte = *(const volatile char *)its_input;
    else if (self->wish == 'o')
        self->byte = *(const volatile char *)its_output;
    else
        *(volatile char *)(uintptr_t)its_input = 'X';
    vine_write(&self->byte, 1);
    vine_end();
}

static const struct vine_argument of_show[] = {
    {"in", VINE_INPUT, VINE_TYPE_BYTES, 0, ARGUMENT_MAX},
    {"out", VINE_OUTPUT, VINE_TYPE_BYTES, 0, ARGUMENT_MAX},
};

static const struct vine_procedure_definition procedures[] = {
    HANDLER(spies),
    {.size_bytes = sizeof(struct vine_procedure_definition),
     .name = "show",
     .arguments = of_show,
     .argument_count = 2,
     .run = show,
     .flags = VINE_PROCEDURE_SHORT | VINE_ARGUMENTS_SHARED},
};

static void look(struct vine_pipe *pipe, const char *wish, const char *answer)
{
    struct issued issued = issue(pipe, "spies", NULL, wish, 1, 8, false);

    if (answer != NULL)
        expect_text(&issued, answer);
    else
        (void)finish(&issued, -VINE_EFAILED, NULL, 0);
}

static void use(struct vine_pipe *pipe, struct application *application)
{
    const bool is_closed = guard_kind == VINE__GUARD_PKU;
    struct vine_pipe *other = NULL;
    struct issued shown;
    char large[600000], bytes[8];

    (void)application;
    assert_int_equal(vine_pipe_open(served.path, NULL, &other), 0);
    /* In memory that was there from the beginning, and where the halves have grown. */
    for (size_t size = 64; size <= sizeof large; size = size == 64 ? sizeof large : SIZE_MAX) {
        memset(large, 's', size);
        shown = issue(pipe, "show", NULL, large, size, size, false);
        assert_int_equal(vine_task_wait(shown.task, LIMIT_NS), 0);
        look(other, "i", is_closed ? NULL : "s");
        look(other, "o", is_closed ? NULL : "a");
        look(other, "w", NULL);
        assert_int_equal(finish(&shown, 0, bytes, sizeof bytes), 6);
        assert_memory_equal(bytes, "answer", 6);
    }
    vine_pipe_close(other);
}

static void a_handler_that_spies_on_another_pipe_dies_of_it(void **state)
{
    (void)state;
    serve(procedures, sizeof procedures / sizeof procedures[0], NULL, 0);
    serve_applications(use, 1);
    serve_no_more();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handler_that_spies_on_another_pipe_dies_of_it),
    };

    return run_by_all_guards(tests);
}
