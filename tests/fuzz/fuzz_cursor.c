/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser cursor. The input's first half is a program of reads, the second the message that it
 * runs on, copied to the end of an allocation of its size, where an address sanitizer sees a read
 * beyond it. A plain model says which reads must succeed.
 */
#include "utils/assert.h"
#include "utils/cursor.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

/* What the next read has to do, by the plainest means. */
struct model {
    const uint8_t *bytes;
    size_t size;
    size_t at;
    bool failed;
};

static uint64_t model_unsigned(struct model *model, size_t size)
{
    if (model->failed || model->size - model->at < size) {
        model->failed = true;
        return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)model->bytes[model->at + i] << (8 * i);
    model->at += size;
    return value;
}

static void model_skip(struct model *model, uint64_t size)
{
    if (model->failed || model->size - model->at < size)
        model->failed = true;
    else
        model->at += (size_t)size;
}

static void check_text(struct vine__cursor *cursor, struct model *model)
{
    char text[24];
    memset(text, '?', sizeof(text));
    vine__cursor_text(cursor, text, sizeof(text));
    const size_t length = (size_t)model_unsigned(model, 2);
    const uint8_t *from = model->bytes + model->at;
    if (!model->failed && length >= sizeof(text))
        model->failed = true;
    model_skip(model, length);
    if (!model->failed && length > 0 && memchr(from, '\0', length) != NULL)
        model->failed = true;
    if (model->failed) {
        VINE_ASSERT(text[0] == '\0');
    } else {
        VINE_ASSERT(strlen(text) == length);
        VINE_ASSERT(length == 0 || memcmp(text, from, length) == 0);
    }
}

static void check_zeros(struct vine__cursor *cursor, struct model *model, size_t size)
{
    vine__cursor_zeros(cursor, size);
    const size_t at = model->at;
    model_skip(model, size);
    for (size_t i = 0; i < size && !model->failed; i++) {
        if (model->bytes[at + i] != 0)
            model->failed = true;
    }
}

static void run(const uint8_t *program, size_t step_count, const uint8_t *message, size_t size)
{
    struct vine__cursor cursor = vine__cursor_of(message, size);
    struct model model = {.bytes = message, .size = size};
    for (size_t step = 0; step < step_count; step++) {
        const size_t operand = program[step] >> 4;
        uint8_t copy[16];
        switch (program[step] & 7) {
        case 0:
            VINE_ASSERT(vine__cursor_u8(&cursor) == model_unsigned(&model, 1));
            break;
        case 1:
            VINE_ASSERT(vine__cursor_u16(&cursor) == model_unsigned(&model, 2));
            break;
        case 2:
            VINE_ASSERT(vine__cursor_u32(&cursor) == model_unsigned(&model, 4));
            break;
        case 3:
            VINE_ASSERT(vine__cursor_u64(&cursor) == model_unsigned(&model, 8));
            break;
        case 4:
            check_text(&cursor, &model);
            break;
        case 5:
            check_zeros(&cursor, &model, operand);
            break;
        case 6:
            vine__cursor_bytes(&cursor, copy, operand);
            model_skip(&model, operand);
            break;
        default:
            /* Sizes as a hostile message would give them. */
            vine__cursor_skip(&cursor, operand == 15 ? SIZE_MAX : operand);
            model_skip(&model, operand == 15 ? SIZE_MAX : operand);
            break;
        }
        VINE_ASSERT(vine__cursor_has_failed(&cursor) == model.failed);
        VINE_ASSERT(vine__cursor_left(&cursor) == (model.failed ? 0 : model.size - model.at));
    }
    VINE_ASSERT((vine__cursor_check(&cursor) == 0) == !model.failed);
    VINE_ASSERT((vine__cursor_finish(&cursor) == 0) == (!model.failed && model.at == model.size));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    const size_t step_count = size_bytes / 2;
    const size_t size = size_bytes - step_count;
    uint8_t *message = malloc(size > 0 ? size : 1);
    VINE_ASSERT(message != NULL);
    if (size > 0)
        memcpy(message, bytes + step_count, size);
    run(bytes, step_count, message, size);
    free(message);
    return 0;
}
