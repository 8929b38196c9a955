/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands: an array of bulks, or a line of words. While a command comes, its arguments are known
 * by their offsets, since the bytes may move between two calls; they become pointers when it is
 * complete, or cut. Nothing is looked at twice but a head that has not come whole, of a few bytes.
 *
 *     expected == arguments of the command that were not cut, with those that are still to come;
 *                 of a line, how many more there may be
 */
#include <string.h>

#include "core/resp/resp_internal.h"

enum stage {
    STAGE_START,
    STAGE_LINE,    /* `at`: how far no line end was seen */
    STAGE_WORDS,   /* `at`: behind the last word; `bulk_size_bytes`: where the line's words end */
    STAGE_HEAD,    /* `at`: at the head of the next bulk */
    STAGE_BODY,    /* `at`: at the bytes of a bulk */
    STAGE_PAYLOAD, /* `at`: the same, and the caller takes them */
    STAGE_TAIL,    /* `at`: behind them */
    STAGE_BROKEN,
};

#define BULK_BYTES_MIN 6 /* "$0\r\n\r\n" */

void vine_resp_parser_init(struct vine_resp_parser *parser, const struct vine_resp_limits *limits,
                           struct vine_resp_argument *arguments, uint32_t argument_room)
{
    VINE_ASSERT(argument_room > 0);
    *parser = (struct vine_resp_parser){
        .limits = limits,
        .arguments = arguments,
        .argument_room = argument_room,
    };
}

static enum vine_resp_status broken(struct vine_resp_parser *parser,
                                    enum vine__resp_problem problem)
{
    parser->stage = STAGE_BROKEN;
    parser->problem = (uint8_t)problem;
    return VINE_RESP_BROKEN;
}

static enum vine_resp_status more(struct vine_resp_parser *parser, size_t more_bytes)
{
    parser->more_bytes = more_bytes;
    return VINE_RESP_MORE;
}

/* Offsets become pointers. */
static void point(struct vine_resp_parser *parser, const char *bytes)
{
    for (uint32_t n = 0; n < parser->argument_count; n++)
        parser->arguments[n].bytes = bytes + (uintptr_t)parser->arguments[n].bytes;
}

/* All arguments have come. */
static enum vine_resp_status complete(struct vine_resp_parser *parser, const char *bytes, size_t at)
{
    point(parser, bytes);
    parser->stage = STAGE_START;
    parser->consumed_bytes = at;
    return VINE_RESP_COMPLETE;
}

static void add(struct vine_resp_parser *parser, size_t offset, uint32_t size_bytes)
{
    parser->arguments[parser->argument_count++] = (struct vine_resp_argument){
        .bytes = (const char *)(uintptr_t)offset,
        .size_bytes = size_bytes,
    };
}

/* ---- a line of words ------------------------------------------------------------------------- */

static bool is_blank(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* The value of a hexadecimal digit, or -1. */
static int digit_of(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* What stands behind a backslash in double quotes at `from`. Returns how many bytes it takes. */
static size_t unescape(const char *from, size_t size, char *ret_byte)
{
    static const char names[] = "nrtba", meanings[] = "\n\r\t\b\a";
    const char *name;

    if (size >= 3 && from[0] == 'x' && digit_of(from[1]) >= 0 && digit_of(from[2]) >= 0) {
        *ret_byte = (char)(digit_of(from[1]) * 16 + digit_of(from[2]));
        return 3;
    }
    name = memchr(names, from[0], sizeof(names) - 1);
    *ret_byte = name == NULL ? from[0] : meanings[name - names];
    return 1;
}

/* The part of a word in quotes, from behind the quote at *at on, is written to *to, which is not
 * behind it. Returns whether the quote ends, and the word with it. */
static bool unquote(char *bytes, size_t *at, size_t end, size_t *to)
{
    const char quote = bytes[*at - 1];

    while (*at < end) {
        const size_t left = end - *at - 1;
        char byte = bytes[(*at)++];

        if (byte == quote)
            return left == 0 || is_blank(bytes[*at]);
        if (byte == '\\' && quote == '"' && left > 0) {
            *at += unescape(bytes + *at, left, &byte);
        } else if (byte == '\\' && quote == '\'' && left > 0 && bytes[*at] == quote) {
            byte = quote;
            ++*at;
        }
        bytes[(*to)++] = byte;
    }
    return false;
}

/* The next word, from *at on, with what is in quotes unquoted in place. Returns false where quotes
 * are not balanced. The words of a line, as Redis' sdssplitargs tells them apart. */
static bool next_word(struct vine_resp_parser *parser, char *bytes, size_t *at, size_t end)
{
    const size_t first = *at;
    size_t to = first;

    while (*at < end) {
        const char byte = bytes[(*at)++];

        if (byte == ' ' || byte == '\t' || byte == '\r')
            break;
        if (byte == '"' || byte == '\'') {
            if (!unquote(bytes, at, end, &to))
                return false;
            break;
        }
        bytes[to++] = byte;
    }
    add(parser, first, (uint32_t)(to - first));
    return true;
}

static enum vine_resp_status parse_words(struct vine_resp_parser *parser, char *bytes)
{
    const size_t end = parser->bulk_size_bytes;
    size_t at = parser->at;

    for (;;) {
        while (at < end && is_blank(bytes[at]))
            at++;
        parser->at = at;
        if (at == end)
            return complete(parser, bytes, bytes[end] == '\r' ? end + 2 : end + 1);
        if (parser->argument_count == parser->expected)
            return broken(parser, VINE__RESP_PROBLEM_INLINE_COUNT);
        if (parser->argument_count == parser->argument_room)
            return VINE_RESP_ROOM;
        if (!next_word(parser, bytes, &at, end))
            return broken(parser, VINE__RESP_PROBLEM_QUOTES);
    }
}

static enum vine_resp_status parse_line(struct vine_resp_parser *parser, char *bytes, size_t size)
{
    const size_t line_max = parser->limits->inline_bytes_max;
    const char *const newline =
        size > parser->at ? memchr(bytes + parser->at, '\n', size - parser->at) : NULL;
    size_t end = newline == NULL ? size : (size_t)(newline - bytes);

    if (end > line_max)
        return broken(parser, VINE__RESP_PROBLEM_INLINE_SIZE);
    if (newline == NULL) {
        parser->at = size;
        return more(parser, 1);
    }
    /* Redis takes it for the line's end, and then waits for another one. */
    if (memchr(bytes, '\0', end) != NULL)
        return broken(parser, VINE__RESP_PROBLEM_INLINE_NUL);
    if (end > 0 && bytes[end - 1] == '\r')
        end--;
    parser->stage = STAGE_WORDS;
    parser->at = 0;
    parser->bulk_size_bytes = (uint32_t)end;
    return parse_words(parser, bytes);
}

/* ---- an array of bulks ----------------------------------------------------------------------- */

/* What is missing at least: of `needed` bytes from `at` on, and of as many bulks behind them. */
static enum vine_resp_status more_bulks(struct vine_resp_parser *parser, size_t at, size_t needed,
                                        uint32_t bulks_after, size_t size)
{
    const size_t whole = needed + (size_t)bulks_after * BULK_BYTES_MIN;

    parser->at = at;
    return more(parser, whole > size - at ? whole - (size - at) : 1);
}

/* The head of a bulk at *at. Returns VINE_RESP_COMPLETE, and the rest of it is to be parsed. */
static enum vine_resp_status parse_head(struct vine_resp_parser *parser, const char *bytes,
                                        size_t size, size_t *at)
{
    const struct vine_resp_limits *const limits = parser->limits;
    const uint32_t missing = parser->expected - parser->argument_count;
    int64_t number = 0;
    ptrdiff_t taken;

    if (*at == size)
        return more_bulks(parser, *at, 0, missing, size);
    if (parser->argument_count == parser->argument_room) {
        parser->at = *at;
        return VINE_RESP_ROOM;
    }
    if (bytes[*at] != '$') {
        parser->got = bytes[*at];
        return broken(parser, VINE__RESP_PROBLEM_NO_BULK);
    }
    taken = vine__resp_head(bytes + *at + 1, size - *at - 1, &number);
    if (taken == 0)
        return more_bulks(parser, *at, 0, missing, size);
    if (taken < 0 || number < 0 || number > limits->bulk_bytes_max)
        return broken(parser, VINE__RESP_PROBLEM_BULK_SIZE);
    *at += (size_t)taken + 1;
    parser->bulk_size_bytes = (uint32_t)number;
    parser->stage = STAGE_BODY;
    if (limits->payload_bytes_min != 0 && number >= limits->payload_bytes_min) {
        parser->stage = STAGE_PAYLOAD;
        number = 0;
    }
    if (*at + (uint64_t)number + 2 > limits->command_bytes_max)
        return broken(parser, VINE__RESP_PROBLEM_COMMAND_SIZE);
    if (parser->stage == STAGE_PAYLOAD) {
        parser->at = *at;
        return VINE_RESP_PAYLOAD;
    }
    return VINE_RESP_COMPLETE;
}

/* What ends a bulk, at `at`. */
static enum vine_resp_status parse_tail(struct vine_resp_parser *parser, const char *bytes,
                                        size_t size, size_t at)
{
    parser->stage = STAGE_TAIL;
    if ((size > at && bytes[at] != '\r') || (size > at + 1 && bytes[at + 1] != '\n'))
        return broken(parser, VINE__RESP_PROBLEM_BULK_END);
    if (size < at + 2)
        return more_bulks(parser, at, 2, parser->expected - parser->argument_count, size);
    parser->stage = STAGE_HEAD;
    return VINE_RESP_COMPLETE;
}

static enum vine_resp_status parse_bulks(struct vine_resp_parser *parser, const char *bytes,
                                         size_t size)
{
    size_t at = parser->at;

    for (;;) {
        enum vine_resp_status status;

        if (parser->stage == STAGE_HEAD) {
            status = parse_head(parser, bytes, size, &at);
            if (status != VINE_RESP_COMPLETE)
                return status;
        }
        if (parser->stage == STAGE_BODY) {
            if (size - at < parser->bulk_size_bytes)
                return more_bulks(parser, at, (size_t)parser->bulk_size_bytes + 2,
                                  parser->expected - parser->argument_count - 1, size);
            add(parser, at, parser->bulk_size_bytes);
            at += parser->bulk_size_bytes;
        }
        status = parse_tail(parser, bytes, size, at);
        if (status != VINE_RESP_COMPLETE)
            return status;
        at += 2;
        if (parser->argument_count == parser->expected)
            return complete(parser, bytes, at);
    }
}

/* ---- either ---------------------------------------------------------------------------------- */

static enum vine_resp_status parse_start(struct vine_resp_parser *parser, char *bytes, size_t size)
{
    int64_t count = 0;
    ptrdiff_t taken;

    parser->argument_count = 0;
    parser->at = 0;
    if (size == 0)
        return more(parser, 1);
    if (bytes[0] != '*') {
        parser->stage = STAGE_LINE;
        parser->expected = parser->limits->arguments_max;
        return parse_line(parser, bytes, size);
    }
    taken = vine__resp_head(bytes + 1, size - 1, &count);
    if (taken == 0)
        return more(parser, 1);
    if (taken < 0 || count > parser->limits->arguments_max)
        return broken(parser, VINE__RESP_PROBLEM_COUNT);
    if (count <= 0)
        return complete(parser, bytes, (size_t)taken + 1);
    parser->stage = STAGE_HEAD;
    parser->expected = (uint32_t)count;
    parser->at = (size_t)taken + 1;
    return parse_bulks(parser, bytes, size);
}

enum vine_resp_status vine_resp_parse(struct vine_resp_parser *parser, char *bytes,
                                      size_t size_bytes)
{
    VINE_ASSERT(size_bytes >= parser->at || parser->stage == STAGE_START);
    switch (parser->stage) {
    case STAGE_START:
        return parse_start(parser, bytes, size_bytes);
    case STAGE_LINE:
        return parse_line(parser, bytes, size_bytes);
    case STAGE_WORDS:
        return parse_words(parser, bytes);
    case STAGE_PAYLOAD:
        return VINE_RESP_PAYLOAD;
    case STAGE_BROKEN:
        return VINE_RESP_BROKEN;
    default:
        return parse_bulks(parser, bytes, size_bytes);
    }
}

void vine_resp_parser_set_room(struct vine_resp_parser *parser,
                               struct vine_resp_argument *arguments, uint32_t argument_room)
{
    VINE_ASSERT(argument_room >= parser->argument_count);
    parser->arguments = arguments;
    parser->argument_room = argument_room;
}

void vine_resp_parser_cut(struct vine_resp_parser *parser, const char *bytes)
{
    /* Of a line whose end has not come, nothing was taken apart. */
    const size_t taken = parser->stage == STAGE_LINE ? 0 : parser->at;

    point(parser, bytes);
    parser->cut_count = parser->argument_count;
    parser->consumed_bytes = taken;
    parser->payload_bytes = 0;
    parser->expected -= parser->argument_count;
    parser->argument_count = 0;
    parser->at -= taken;
    if (parser->stage == STAGE_WORDS)
        parser->bulk_size_bytes -= (uint32_t)taken;
    if (parser->stage != STAGE_PAYLOAD)
        return;
    parser->payload_bytes = parser->bulk_size_bytes;
    parser->expected--;
    parser->stage = STAGE_TAIL;
}

size_t vine_resp_parser_problem(const struct vine_resp_parser *parser,
                                char text[VINE_RESP_PROBLEM_BYTES])
{
    return vine__resp_problem_text(parser->problem, parser->got, text);
}
