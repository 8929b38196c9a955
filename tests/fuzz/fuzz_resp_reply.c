/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * What a server answers to a client. The first bytes choose limits and the size of the pieces in
 * which the rest comes. Values are what they are however they come, lie within the bytes and within
 * the limits; and what they are, written again, is read as the same.
 */
#include <stdlib.h>
#include <string.h>

#include <vine/resp.h>

#include "utils/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

#define CHOICES    3
#define VALUES_MAX 256

struct outcome {
    struct vine_resp_element values[VALUES_MAX];
    size_t count;
    size_t consumed;
    bool is_broken;
};

static bool has_text(const struct vine_resp_element *element)
{
    switch (element->type) {
    case VINE_RESP_SIMPLE:
    case VINE_RESP_ERROR:
    case VINE_RESP_BULK:
    case VINE_RESP_BULK_ERROR:
    case VINE_RESP_VERBATIM:
    case VINE_RESP_BIG_NUMBER:
        return true;
    default:
        return false;
    }
}

static void check(const struct vine_resp_element *element, const char *bytes, size_t size,
                  const struct vine_resp_reply_parser *parser)
{
    const struct vine_resp_reply_limits *const limits = parser->limits;

    VINE_ASSERT(parser->consumed_bytes > 0 && parser->consumed_bytes <= size);
    VINE_ASSERT(element->depth <= limits->depth_max);
    if (has_text(element)) {
        VINE_ASSERT(element->bytes >= bytes);
        VINE_ASSERT(element->bytes + element->size_bytes <= bytes + parser->consumed_bytes);
        VINE_ASSERT(element->size_bytes <= limits->bulk_bytes_max ||
                    element->size_bytes <= limits->line_bytes_max);
    }
}

static void read_stream(const uint8_t *stream, size_t size, size_t piece,
                        const struct vine_resp_reply_limits *limits, struct outcome *outcome)
{
    struct vine_resp_reply_parser parser;
    size_t from = 0;

    memset(outcome, 0, sizeof(*outcome));
    vine_resp_reply_parser_init(&parser, limits);
    for (size_t to = piece; !outcome->is_broken; to += piece) {
        enum vine_resp_status status;

        to = to < size ? to : size;
        do {
            struct vine_resp_element element;
            char *const copy = malloc(to - from + 1);

            VINE_ASSERT(copy != NULL);
            memcpy(copy, stream + from, to - from);
            status = vine_resp_parse_reply(&parser, copy, to - from, &element);
            if (status == VINE_RESP_COMPLETE) {
                check(&element, copy, to - from, &parser);
                if (element.bytes != NULL) /* it outlives the copy */
                    element.bytes = (const char *)stream + from + (element.bytes - copy);
                if (outcome->count < VALUES_MAX)
                    outcome->values[outcome->count] = element;
                outcome->count++;
                from += parser.consumed_bytes;
            }
            free(copy);
        } while (status == VINE_RESP_COMPLETE);
        outcome->is_broken = status == VINE_RESP_BROKEN;
        outcome->consumed = from;
        if (to == size)
            break;
    }
}

static bool are_same(const struct vine_resp_element *one, const struct vine_resp_element *other)
{
    return one->type == other->type && one->depth == other->depth &&
           one->is_last == other->is_last && one->integer == other->integer &&
           memcmp(&one->real, &other->real, sizeof(one->real)) == 0 &&
           memcmp(one->format, other->format, sizeof(one->format)) == 0 &&
           (!has_text(one) || (one->size_bytes == other->size_bytes &&
                               memcmp(one->bytes, other->bytes, one->size_bytes) == 0));
}

/* A value without others in it, written and read again. */
static void write_again(const struct vine_resp_element *element,
                        const struct vine_resp_reply_limits *limits)
{
    struct vine_resp_reply_parser parser;
    struct vine_resp_element again, alone = *element;
    struct vine_resp_writer writer;
    char bytes[8192];

    vine_resp_writer_init(&writer, bytes, sizeof(bytes), 3);
    switch (element->type) {
    case VINE_RESP_INTEGER:
        VINE_ASSERT(vine_resp_write_integer(&writer, element->integer));
        break;
    case VINE_RESP_DOUBLE:
        VINE_ASSERT(vine_resp_write_double(&writer, element->real));
        break;
    case VINE_RESP_BULK:
        if (!vine_resp_write_bulk(&writer, element->bytes, element->size_bytes))
            return;
        break;
    case VINE_RESP_VERBATIM:
        if (!vine_resp_write_verbatim(&writer, element->format, element->bytes,
                                      element->size_bytes))
            return;
        break;
    case VINE_RESP_BOOLEAN:
        VINE_ASSERT(vine_resp_write_boolean(&writer, element->integer == 1));
        break;
    default:
        return;
    }
    if (writer.size_bytes > limits->line_bytes_max)
        return;
    vine_resp_reply_parser_init(&parser, limits);
    VINE_ASSERT(vine_resp_parse_reply(&parser, bytes, writer.size_bytes, &again) ==
                VINE_RESP_COMPLETE);
    alone.depth = 0;
    alone.is_last = true;
    VINE_ASSERT(element->type == VINE_RESP_DOUBLE
                    ? (again.real >= element->real && again.real <= element->real) ||
                          (again.real != again.real && element->real != element->real)
                    : are_same(&again, &alone));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    static struct outcome whole, pieces;
    struct vine_resp_reply_limits limits = {.bulk_bytes_max = 1000, .line_bytes_max = 200};

    if (size_bytes < CHOICES)
        return 0;
    limits.depth_max = bytes[0] % (VINE_RESP_DEPTH_MAX + 1);
    limits.count_max = bytes[1];
    read_stream(bytes + CHOICES, size_bytes - CHOICES, size_bytes, &limits, &whole);
    read_stream(bytes + CHOICES, size_bytes - CHOICES, 1 + bytes[2] % 32, &limits, &pieces);
    VINE_ASSERT(whole.count == pieces.count && whole.consumed == pieces.consumed);
    VINE_ASSERT(whole.is_broken == pieces.is_broken);
    for (size_t n = 0; n < whole.count && n < VALUES_MAX; n++) {
        VINE_ASSERT(are_same(&whole.values[n], &pieces.values[n]));
        write_again(&whole.values[n], &limits);
    }
    return 0;
}
