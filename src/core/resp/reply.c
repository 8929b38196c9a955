/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies, value by value. What is open, from the outside in, is how many values each still lacks:
 *
 *     left[n] > 0 for n < depth
 *
 * A value fills one place of the innermost; when that lacks no more, it fills one of the next, and
 * so on. An attribute fills none: what it belongs to comes behind it.
 */
#include <string.h>

#include "core/resp/number.h"
#include "core/resp/resp_internal.h"

#define COUNT_LARGEST (UINT32_C(1) << 31)

void vine_resp_reply_parser_init(struct vine_resp_reply_parser *parser,
                                 const struct vine_resp_reply_limits *limits)
{
    VINE_ASSERT(limits->depth_max <= VINE_RESP_DEPTH_MAX);
    VINE_ASSERT(limits->count_max <= COUNT_LARGEST && limits->bulk_bytes_max <= COUNT_LARGEST);
    *parser = (struct vine_resp_reply_parser){.limits = limits};
}

static enum vine_resp_status broken(struct vine_resp_reply_parser *parser,
                                    enum vine__resp_problem problem)
{
    parser->problem = (uint8_t)problem;
    return VINE_RESP_BROKEN;
}

static enum vine_resp_status more(struct vine_resp_reply_parser *parser, size_t more_bytes)
{
    parser->more_bytes = more_bytes;
    return VINE_RESP_MORE;
}

/* A value has ended. Returns whether the reply has. */
static bool fill_place(struct vine_resp_reply_parser *parser)
{
    while (parser->depth > 0) {
        const uint32_t innermost = parser->depth - 1;

        if (--parser->left[innermost] > 0)
            return false;
        parser->depth--;
        if (parser->attributes >> innermost & 1)
            return false;
    }
    return true;
}

static enum vine_resp_status told(struct vine_resp_reply_parser *parser,
                                  struct vine_resp_element *element,
                                  struct vine_resp_element *ret_element, size_t consumed_bytes)
{
    element->depth = parser->depth;
    element->is_last = fill_place(parser);
    *ret_element = *element;
    parser->consumed_bytes = consumed_bytes;
    parser->scanned = 0;
    return VINE_RESP_COMPLETE;
}

/* What holds others: its head. */
static enum vine_resp_status told_head(struct vine_resp_reply_parser *parser,
                                       struct vine_resp_element *element,
                                       struct vine_resp_element *ret_element, size_t consumed_bytes)
{
    const bool is_attribute = element->type == VINE_RESP_ATTRIBUTE;
    const uint32_t depth = parser->depth;

    if (element->integer < 0 || element->integer > parser->limits->count_max)
        return broken(parser, VINE__RESP_PROBLEM_COUNT);
    if (element->type == VINE_RESP_MAP || is_attribute) {
        element->integer *= 2;
        if (element->integer > parser->limits->count_max)
            return broken(parser, VINE__RESP_PROBLEM_COUNT);
    }
    if (element->integer == 0 && !is_attribute)
        return told(parser, element, ret_element, consumed_bytes);
    if (element->integer > 0) {
        if (depth == parser->limits->depth_max)
            return broken(parser, VINE__RESP_PROBLEM_DEPTH);
        parser->left[depth] = (uint32_t)element->integer;
        parser->attributes &= ~(UINT32_C(1) << depth);
        parser->attributes |= (uint32_t)is_attribute << depth;
        parser->depth++;
    }
    element->depth = depth;
    *ret_element = *element;
    parser->consumed_bytes = consumed_bytes;
    parser->scanned = 0;
    return VINE_RESP_COMPLETE;
}

/* The text of a value that is a line, in `element`: what it means. */
static bool understand_line(struct vine_resp_element *element)
{
    const char *const bytes = element->bytes;
    const size_t size = element->size_bytes;

    switch (element->type) {
    case VINE_RESP_NULL:
        return size == 0;
    case VINE_RESP_BOOLEAN:
        element->integer = size == 1 && bytes[0] == 't';
        return size == 1 && (bytes[0] == 't' || bytes[0] == 'f');
    case VINE_RESP_DOUBLE:
        return vine__resp_double(bytes, size, &element->real);
    case VINE_RESP_BIG_NUMBER: {
        const size_t first = size > 0 && (bytes[0] == '-' || bytes[0] == '+');

        for (size_t at = first; at < size; at++)
            if (bytes[at] < '0' || bytes[at] > '9')
                return false;
        return size > first;
    }
    case VINE_RESP_INTEGER: {
        const size_t first = size > 0 && bytes[0] == '+';

        return vine_resp_integer(bytes + first, size - first, &element->integer);
    }
    default:
        return true;
    }
}

static enum vine_resp_status parse_line(struct vine_resp_reply_parser *parser, const char *bytes,
                                        size_t size, struct vine_resp_element *ret_element)
{
    struct vine_resp_element element = {.type = (enum vine_resp_type)bytes[0]};
    const size_t from = parser->scanned == 0 ? 1 : parser->scanned;
    const char *const newline = memchr(bytes + from, '\n', size - from);
    const size_t end = newline == NULL ? size : (size_t)(newline - bytes);

    if (end - 1 > (size_t)parser->limits->line_bytes_max + 1)
        return broken(parser, VINE__RESP_PROBLEM_LINE_SIZE);
    if (newline == NULL) {
        parser->scanned = size;
        return more(parser, bytes[size - 1] == '\r' ? 1 : 2);
    }
    if (bytes[end - 1] != '\r' || memchr(bytes + 1, '\r', end - 2) != NULL)
        return broken(parser, VINE__RESP_PROBLEM_LINE_END);
    element.bytes = bytes + 1;
    element.size_bytes = end - 2;
    if (!understand_line(&element))
        return broken(parser, VINE__RESP_PROBLEM_NUMBER);
    return told(parser, &element, ret_element, end + 1);
}

/* A bulk whose head took `head` bytes. */
static enum vine_resp_status parse_bulk(struct vine_resp_reply_parser *parser, const char *bytes,
                                        size_t size, size_t head,
                                        struct vine_resp_element *ret_element)
{
    const struct vine_resp_reply_limits *const limits = parser->limits;
    struct vine_resp_element element = *ret_element;
    const size_t bulk_bytes = (size_t)element.integer;

    if (element.integer < 0 || element.integer > limits->bulk_bytes_max)
        return broken(parser, VINE__RESP_PROBLEM_BULK_SIZE);
    element.size_bytes = bulk_bytes;
    element.integer = 0;
    if (element.type == VINE_RESP_BULK && limits->payload_bytes_min != 0 &&
        bulk_bytes >= limits->payload_bytes_min) {
        (void)told(parser, &element, ret_element, head);
        return VINE_RESP_PAYLOAD;
    }
    if (size < head + bulk_bytes + 2)
        return more(parser, head + bulk_bytes + 2 - size);
    if (bytes[head + bulk_bytes] != '\r' || bytes[head + bulk_bytes + 1] != '\n')
        return broken(parser, VINE__RESP_PROBLEM_BULK_END);
    element.bytes = bytes + head;
    if (element.type == VINE_RESP_VERBATIM) {
        if (bulk_bytes < 4 || element.bytes[3] != ':')
            return broken(parser, VINE__RESP_PROBLEM_FORMAT);
        memcpy(element.format, element.bytes, 3);
        element.bytes += 4;
        element.size_bytes -= 4;
    }
    return told(parser, &element, ret_element, head + bulk_bytes + 2);
}

/* What begins with a number of bytes or values. */
static enum vine_resp_status parse_counted(struct vine_resp_reply_parser *parser, const char *bytes,
                                           size_t size, struct vine_resp_element *ret_element)
{
    struct vine_resp_element element = {.type = (enum vine_resp_type)bytes[0]};
    const bool is_bulk = element.type == VINE_RESP_BULK || element.type == VINE_RESP_BULK_ERROR ||
                         element.type == VINE_RESP_VERBATIM;
    const ptrdiff_t taken = vine__resp_head(bytes + 1, size - 1, &element.integer);
    enum vine_resp_status status;

    if (taken == 0)
        return more(parser, bytes[size - 1] == '\r' ? 1 : 2);
    if (taken < 0)
        return broken(parser, is_bulk ? VINE__RESP_PROBLEM_BULK_SIZE : VINE__RESP_PROBLEM_COUNT);
    if (element.integer == -1 &&
        (element.type == VINE_RESP_BULK || element.type == VINE_RESP_ARRAY)) {
        element.type = VINE_RESP_NULL;
        element.integer = 0;
        return told(parser, &element, ret_element, (size_t)taken + 1);
    }
    if (!is_bulk)
        return told_head(parser, &element, ret_element, (size_t)taken + 1);
    status = parse_bulk(parser, bytes, size, (size_t)taken + 1, &element);
    if (status == VINE_RESP_COMPLETE || status == VINE_RESP_PAYLOAD)
        *ret_element = element;
    return status;
}

enum vine_resp_status vine_resp_parse_reply(struct vine_resp_reply_parser *parser,
                                            const char *bytes, size_t size_bytes,
                                            struct vine_resp_element *ret_element)
{
    if (parser->problem != VINE__RESP_PROBLEM_NONE)
        return VINE_RESP_BROKEN;
    if (size_bytes == 0)
        return more(parser, 1);
    switch (bytes[0]) {
    case VINE_RESP_SIMPLE:
    case VINE_RESP_ERROR:
    case VINE_RESP_INTEGER:
    case VINE_RESP_NULL:
    case VINE_RESP_DOUBLE:
    case VINE_RESP_BOOLEAN:
    case VINE_RESP_BIG_NUMBER:
        return parse_line(parser, bytes, size_bytes, ret_element);
    case VINE_RESP_BULK:
    case VINE_RESP_BULK_ERROR:
    case VINE_RESP_VERBATIM:
    case VINE_RESP_ARRAY:
    case VINE_RESP_MAP:
    case VINE_RESP_SET:
    case VINE_RESP_PUSH:
    case VINE_RESP_ATTRIBUTE:
        return parse_counted(parser, bytes, size_bytes, ret_element);
    default:
        parser->got = bytes[0];
        return broken(parser, VINE__RESP_PROBLEM_TYPE);
    }
}

size_t vine_resp_reply_parser_problem(const struct vine_resp_reply_parser *parser,
                                      char text[VINE_RESP_PROBLEM_BYTES])
{
    return vine__resp_problem_text(parser->problem, parser->got, text);
}
