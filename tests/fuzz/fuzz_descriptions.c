/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an application understands of an appliance's answers: descriptions of procedures, and lists
 * of accelerators. The input is three bytes, then an answer:
 *   0  how often the answer is said to need more room
 *   1  for how many procedures or accelerators there is room
 *   2  where in the answer the name begins that is asked for
 * All questions get that answer. Whatever it is: what is understood of it is within its bounds,
 * texts end and can be printed, no name is there twice.
 */
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "core/talk/message.h"
#include "core/talk/pipe_internal.h"
#include "utils/assert.h"
#include "utils/bits.h"

/* The questions are talk's own. What carries them is not: the answer is there at once. */
static int expect_answer(struct vine_pipe *pipe, uint32_t type, uint64_t room,
                         struct vine_data **ret_data);
static int run_question(struct vine_pipe *pipe, struct vine_procedure *question,
                        const struct vine_task_options *options);
static uint64_t answer_size(const struct vine_data *data);
static int read_answer(const struct vine_data *data, uint64_t offset, void *bytes, uint64_t size);
static void free_answer(struct vine_data *data);

#define vine_data_expect       expect_answer
#define vine__task_run_builtin run_question
#define vine_data_size         answer_size
#define vine_data_read         read_answer
#define vine_data_free         free_answer
#include "core/talk/procedure.c"

#define HEAD 3u
#define MOST 16u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static struct {
    const uint8_t *bytes;
    size_t size_bytes;
    uint64_t room;
    uint32_t overflows; /* to come */
    uint32_t held;      /* not freed */
} given;

static int expect_answer(struct vine_pipe *pipe, uint32_t type, uint64_t room,
                         struct vine_data **ret_data)
{
    (void)pipe;
    VINE_ASSERT(type == VINE_TYPE_BYTES && room > 0 && room <= LIST_BYTES_MAX);
    given.room = room;
    given.held++;
    *ret_data = NULL;
    return 0;
}

static int run_question(struct vine_pipe *pipe, struct vine_procedure *question,
                        const struct vine_task_options *options)
{
    (void)pipe;
    VINE_ASSERT(question->output_count == 1 && options->output_count == 1);
    if (given.overflows == 0)
        return 0;
    given.overflows--;
    return -VINE_EOVERFLOW;
}

static uint64_t answer_size(const struct vine_data *data)
{
    (void)data;
    return vine__min_u64(given.size_bytes, given.room);
}

static int read_answer(const struct vine_data *data, uint64_t offset, void *bytes, uint64_t size)
{
    VINE_ASSERT(offset == 0 && size <= answer_size(data));
    if (size > 0)
        memcpy(bytes, given.bytes, size);
    return 0;
}

static void free_answer(struct vine_data *data)
{
    (void)data;
    given.held--;
}

/* ---- what is understood ---------------------------------------------------------------------- */

static void is_a_text(const char *text, size_t size)
{
    const size_t length = strnlen(text, size);

    VINE_ASSERT(length < size);
    for (size_t i = 0; i < length; i++)
        VINE_ASSERT(text[i] >= ' ' && text[i] <= '~');
}

static void is_an_error(int error)
{
    VINE_ASSERT(error == -VINE_EPROTOCOL || error == -VINE_EPROCEDURE || error == -VINE_EOVERFLOW);
    given.overflows = 0;
}

static void is_sound(const struct vine_procedure *procedure)
{
    const struct vine_procedure_info *info = &procedure->info;
    uint32_t inputs = 0;
    uint32_t outputs = 0;

    VINE_ASSERT(procedure->id >= VINE_WIRE_PROCEDURES_FROM);
    is_a_text(info->name, sizeof info->name);
    VINE_ASSERT(info->name[0] != 0);
    is_a_text(info->accelerator_type, sizeof info->accelerator_type);
    is_a_text(info->summary, sizeof info->summary);
    VINE_ASSERT(info->argument_count <= VINE_ARGUMENTS_MAX);
    for (uint32_t i = 0; i < info->argument_count; i++) {
        const struct vine_argument *argument = &info->arguments[i];

        VINE_ASSERT(argument->name == procedure->names[i]);
        is_a_text(argument->name, sizeof procedure->names[i]);
        VINE_ASSERT(argument->kind >= VINE_SCALAR && argument->kind <= VINE_RESULT);
        if (argument->kind == VINE_INPUT)
            VINE_ASSERT(procedure->inputs[inputs++] == argument);
        else if (argument->kind == VINE_OUTPUT)
            VINE_ASSERT(procedure->outputs[outputs++] == argument);
    }
    VINE_ASSERT(inputs == procedure->input_count && outputs == procedure->output_count);
}

static void ask_for_procedures(struct vine_pipe *pipe, size_t count)
{
    struct vine_procedure *procedures[MOST] = {NULL};
    const int found = vine_procedure_list(pipe, procedures, count);

    if (found < 0)
        is_an_error(found);
    for (size_t i = 0; i < MOST; i++) {
        VINE_ASSERT(found < 0 || (procedures[i] != NULL) == (i < count && i < (size_t)found));
        VINE_ASSERT(procedures[i] == NULL || find(pipe, procedures[i]->info.name) == procedures[i]);
    }
}

static void ask_for_one(struct vine_pipe *pipe, const char *name)
{
    struct vine_procedure *procedure = NULL;
    struct vine_procedure *again = NULL;
    const int error = vine_procedure_get(pipe, name, &procedure);

    if (error) {
        is_an_error(error);
        VINE_ASSERT(procedure == NULL);
        return;
    }
    VINE_ASSERT(strcmp(procedure->info.name, name) == 0);
    VINE_ASSERT(vine_procedure_get(pipe, name, &again) == 0 && again == procedure);
}

static void ask_for_accelerators(struct vine_pipe *pipe, const char *type, size_t count)
{
    struct vine_accelerator_info infos[MOST];

    memset(infos, 0xff, sizeof infos);

    const int found = vine_accelerator_list(pipe, type, infos, count);

    if (found < 0)
        is_an_error(found);
    for (size_t i = 0; i < MOST; i++) {
        if (found < 0 || i >= count || i >= (size_t)found) {
            VINE_ASSERT((unsigned char)infos[i].type[0] == 0xff);
            continue;
        }
        is_a_text(infos[i].type, sizeof infos[i].type);
        is_a_text(infos[i].name, sizeof infos[i].name);
        VINE_ASSERT(type == NULL || strcmp(infos[i].type, type) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    static struct vine_pipe pipe = {.lock = PTHREAD_MUTEX_INITIALIZER};
    char name[VINE_NAME_MAX + 2] = "";

    if (size_bytes < HEAD || vine__fork_guard_init(&pipe.generation) != 0)
        return 0;
    memset(&given, 0, sizeof given);
    given.bytes = bytes + HEAD;
    given.size_bytes = size_bytes - HEAD;
    if (bytes[2] < given.size_bytes)
        memcpy(name, given.bytes + bytes[2],
               vine__min_u64(sizeof name - 1, given.size_bytes - bytes[2]));
    given.overflows = bytes[0] % 4;
    ask_for_one(&pipe, name);
    ask_for_procedures(&pipe, bytes[1] % (MOST + 1));
    ask_for_one(&pipe, name);
    given.overflows = bytes[0] / 4 % 4;
    ask_for_accelerators(&pipe, NULL, bytes[1] % (MOST + 1));
    ask_for_accelerators(&pipe, name, bytes[1] % (MOST + 1));
    VINE_ASSERT(given.held == 0);
    while (pipe.procedures != NULL) {
        struct vine_procedure *procedure = pipe.procedures;

        pipe.procedures = procedure->next;
        is_sound(procedure);
        VINE_ASSERT(find(&pipe, procedure->info.name) == NULL);
        free(procedure);
        pipe.procedure_count--;
    }
    VINE_ASSERT(pipe.procedure_count == 0);
    return 0;
}
