/* SPDX-License-Identifier: Apache-2.0 */
/*
 * my_library.c - a procedure library for `vine appliance --procs DIR`: count words.
 *
 *     cc -shared -fPIC my_library.c -o DIR/my_library.so
 *
 * Nothing is linked: the library calls back into the appliance that loads it. When the file
 * changes, the running appliance takes up the new version.
 */
#include <stdbool.h>
#include <stdint.h>

#include <vine/vine.h>

#define TEXT_BYTES (16u << 20)

/* A file's words may come in chunks, as the tasks of a session: a word can be cut in two. */
struct words {
    uint64_t count;
    bool is_inside;
};

static void add_words(struct words *words, const uint8_t *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        const uint8_t byte = text[i]; /* may change: read once */
        const bool is_space = byte == ' ' || (byte >= '\t' && byte <= '\r');

        words->count += words->is_inside ? 0 : !is_space;
        words->is_inside = !is_space;
    }
}

static int run(struct vine_call *call)
{
    struct words own = {0};
    struct words *words = vine_call_state(call);
    size_t size;
    const uint8_t *text = vine_call_bytes(call, 0, &size);

    if (!words)
        words = &own; /* not in a session: one task is all */
    add_words(words, text, size);
    return vine_call_result(call, &words->count, sizeof(words->count));
}

static const struct vine_argument arguments[] = {
    {.name = "text", .kind = VINE_INPUT, .data_type = VINE_TYPE_BYTES, .max = TEXT_BYTES},
    {.name = "words", .kind = VINE_RESULT, .max = sizeof(uint64_t)},
};

VINE_PROCEDURE(count_words, .summary = "count words", .flags = VINE_ARGUMENTS_SHARED, .run = run,
               .arguments = arguments, .argument_count = 2, .state_bytes = sizeof(struct words));

VINE_PROCEDURE_LIBRARY();
