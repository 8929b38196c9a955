/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
#include "unit/core/resp/resp_tests.h"

#include <stdbool.h>
#include <stdio.h>

#include <vine/resp.h>

#define ARGUMENTS_MAX 8
#define BULK_MAX      64
#define INLINE_MAX    40
#define COMMAND_MAX   200

static const struct vine_resp_limits limits = {
    .arguments_max = ARGUMENTS_MAX,
    .bulk_bytes_max = BULK_MAX,
    .inline_bytes_max = INLINE_MAX,
    .command_bytes_max = COMMAND_MAX,
};

/* What a stream says, as text: each command as "[word,word]", with bytes that do not print as \xx;
 * at its end "+N" if at least N more bytes are needed, or "!text". */
struct said {
    char text[4096];
    size_t size;
};

static void say(struct said *said, const char *bytes, size_t size)
{
    for (size_t n = 0; n < size; n++) {
        const unsigned char byte = (unsigned char)bytes[n];

        assert_true(said->size + 4 < sizeof(said->text));
        if (byte >= ' ' && byte < 0x7f && byte != '\\')
            said->text[said->size++] = (char)byte;
        else
            said->size += (size_t)snprintf(said->text + said->size, 4, "\\%02x", byte);
    }
    said->text[said->size] = '\0';
}

static void say_command(struct said *said, const struct vine_resp_parser *parser)
{
    say(said, "[", 1);
    for (uint32_t n = 0; n < parser->argument_count; n++) {
        if (n > 0)
            say(said, ",", 1);
        say(said, parser->arguments[n].bytes, parser->arguments[n].size_bytes);
    }
    say(said, "]", 1);
}

/* The stream comes in steps: at each of them, what has come of it is parsed, at another address
 * each time. `steps` are sizes, the last one all of it. */
static void read_stream(const char *bytes, const size_t *steps, size_t step_count,
                        struct said *said)
{
    struct vine_resp_argument arguments[ARGUMENTS_MAX];
    struct vine_resp_parser parser;
    enum vine_resp_status status = VINE_RESP_MORE;
    char number[16];
    size_t from = 0;

    said->size = 0;
    said->text[0] = '\0';
    vine_resp_parser_init(&parser, &limits, arguments, ARGUMENTS_MAX);
    for (size_t n = 0; n < step_count && status != VINE_RESP_BROKEN; n++) {
        /* Inline commands are unquoted in place, once their line is whole: that is kept. */
        char *const copy = copy_of(bytes + from, steps[n] - from);
        size_t at = 0;

        do {
            status = vine_resp_parse(&parser, copy + at, steps[n] - from);
            if (status == VINE_RESP_COMPLETE) {
                say_command(said, &parser);
                assert_true(parser.consumed_bytes <= steps[n] - from);
                assert_true(parser.consumed_bytes > 0);
                at += parser.consumed_bytes;
                from += parser.consumed_bytes;
            }
        } while (status == VINE_RESP_COMPLETE);
        free(copy);
        assert_true(status == VINE_RESP_MORE || status == VINE_RESP_BROKEN);
    }
    if (status == VINE_RESP_BROKEN) {
        char problem[VINE_RESP_PROBLEM_BYTES];
        const size_t size = vine_resp_parser_problem(&parser, problem);

        assert_int_equal(strlen(problem), size);
        assert_memory_equal(problem, "Protocol error: ", 16);
        say(said, "!", 1);
        say(said, problem + 16, size - 16);
    } else {
        const int size = snprintf(number, sizeof(number), "+%zu", parser.more_bytes);

        say(said, number, (size_t)size);
    }
}

static const struct {
    const char *bytes;
    size_t size;
    const char *says;
} streams[] = {
#define STREAM(bytes, says)                                                                        \
    {                                                                                              \
        bytes, sizeof(bytes) - 1, says                                                             \
    }
    /* Refused: counts. */
    STREAM("*x\r\n", "!invalid multibulk length"),
    STREAM("*\r\n", "!invalid multibulk length"),
    STREAM("*9\r\n", "!invalid multibulk length"),
    STREAM("*+1\r\n", "!invalid multibulk length"),
    STREAM("*01\r\n", "!invalid multibulk length"),
    STREAM("*-0\r\n", "!invalid multibulk length"),
    STREAM("*-\r\n", "!invalid multibulk length"),
    STREAM("* 1\r\n", "!invalid multibulk length"),
    STREAM("*1\rx", "!invalid multibulk length"),
    STREAM("*1\n", "!invalid multibulk length"),
    STREAM("*99999999999999999999999999", "!invalid multibulk length"),
    STREAM("*18446744073709551617\r\n", "!invalid multibulk length"),
    /* Refused: sizes. */
    STREAM("*1\r\n$65\r\n", "!invalid bulk length"),
    STREAM("*1\r\n$-1\r\n", "!invalid bulk length"),
    STREAM("*1\r\n$\r\n", "!invalid bulk length"),
    STREAM("*1\r\n$01\r\n", "!invalid bulk length"),
    STREAM("*1\r\n$1x\r\n", "!invalid bulk length"),
    STREAM("*1\r\n$4294967297\r\n", "!invalid bulk length"),
    STREAM("*1\r\n$9999999999999999999", "!invalid bulk length"),
    STREAM("*1\r\n:1\r\n", "!expected '$', got ':'"),
    STREAM("*1\r\nPING\r\n", "!expected '$', got 'P'"),
    STREAM("*1\r\n\r\n", "!expected '$', got ' '"),
    STREAM("*1\r\n*1\r\n", "!expected '$', got '*'"),
    /* Refused: what follows a bulk. */
    STREAM("*1\r\n$4\r\nPINGxx", "!no line end after a bulk"),
    STREAM("*1\r\n$4\r\nPING\rx", "!no line end after a bulk"),
    STREAM("*1\r\n$3\r\nPING\r\n", "!no line end after a bulk"),
    STREAM("*4\r\n$64\r\n0123456789012345678901234567890123456789012345678901234567890123\r\n"
           "$64\r\n0123456789012345678901234567890123456789012345678901234567890123\r\n"
           "$64\r\n",
           "!too big request"),
    /* Refused: lines. */
    STREAM("12345678901234567890123456789012345678901", "!too big inline request"),
    STREAM("12345678901234567890123456789012345678901\r\n", "!too big inline request"),
    STREAM("SET \"k\r\n", "!unbalanced quotes in request"),
    STREAM("SET 'k\r\n", "!unbalanced quotes in request"),
    STREAM("SET \"k\"x\r\n", "!unbalanced quotes in request"),
    STREAM("SET 'k''x'\r\n", "!unbalanced quotes in request"),
    STREAM("SET \"k\\\"\r\n", "!unbalanced quotes in request"),
    STREAM("SET \"k\\\r\n", "!unbalanced quotes in request"),
    STREAM("a b c d e f g h i\r\n", "!too many words in an inline request"),
    STREAM("GET \0\r\n", "!a NUL byte in an inline request"),
    /* What comes before is executed. */
    STREAM("PING\r\n*1\r\n$x", "[PING]!invalid bulk length"),
    /* Nothing, or too little. */
    STREAM("", "+1"),
    STREAM("*", "+1"),
    STREAM("*1", "+1"),
    STREAM("*1\r", "+1"),
    STREAM("*1\r\n", "+6"),
    STREAM("*2\r\n", "+12"),
    STREAM("*2\r\n$4", "+10"),
    STREAM("*2\r\n$4\r\n", "+12"),
    STREAM("*2\r\n$4\r\nPI", "+10"),
    STREAM("*2\r\n$4\r\nPING", "+8"),
    STREAM("*2\r\n$4\r\nPING\r", "+7"),
    STREAM("*2\r\n$4\r\nPING\r\n", "+6"),
    STREAM("*2\r\n$4\r\nPING\r\n$12\r\nab", "+12"),
    STREAM("PIN", "+1"),
    STREAM("1234567890123456789012345678901234567890", "+1"),
    /* Commands. */
    STREAM("*1\r\n$4\r\nPING\r\n", "[PING]+1"),
    STREAM("*2\r\n$3\r\nGET\r\n$0\r\n\r\n", "[GET,]+1"),
    STREAM("*3\r\n$3\r\nSET\r\n$2\r\n\r\n\r\n$5\r\na\0b\xff\"\r\n",
           "[SET,\\0d\\0a,a\\00b\\ff\"]+1"),
    STREAM("*8\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n$1\r\ng\r\n"
           "$1\r\nh\r\n",
           "[a,b,c,d,e,f,g,h]+1"),
    STREAM("*1\r\n$64\r\n0123456789012345678901234567890123456789012345678901234567890123\r\n",
           "[0123456789012345678901234567890123456789012345678901234567890123]+1"),
    STREAM("*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n", "[PING][QUIT]+1"),
    STREAM("*0\r\n*-1\r\n*-10\r\n*1\r\n$1\r\nx\r\n", "[][][][x]+1"),
    STREAM("PING\r\n", "[PING]+1"),
    STREAM("PING\n", "[PING]+1"),
    STREAM("\r\n\n \t\v\f \r\nPING\r\n", "[][][][PING]+1"),
    STREAM("PING\r\r\n", "[PING]+1"),
    STREAM("  SET\tkey   value  \r\nGET key\r\n", "[SET,key,value][GET,key]+1"),
    STREAM("a b c d e f g h\r\n", "[a,b,c,d,e,f,g,h]+1"),
    STREAM("SET k \"a b\\n\\r\\t\\b\\a\\\\\\\"\\x41\\xfF\\q'\"\r\n",
           "[SET,k,a b\\0a\\0d\\09\\08\\07\\5c\"A\\ffq']+1"),
    STREAM("SET k \"\\x4\" \"\\xg1\"\r\n", "[SET,k,x4,xg1]+1"),
    STREAM("SET k 'a \"b\" \\n it\\'s' \"\" ''\r\n", "[SET,k,a \"b\" \\5cn it's,,]+1"),
    STREAM("x\"y z\" 'a'\t\"b\"\r\n", "[xy z,a,b]+1"),
    STREAM("1234567890123456789012345678901234567890\n",
           "[1234567890123456789012345678901234567890]+1"),
#undef STREAM
};

#define STREAMS (sizeof(streams) / sizeof(streams[0]))

static void streams_are_taken_apart_or_refused(void **state)
{
    struct said said;
    (void)state;

    for (size_t n = 0; n < STREAMS; n++) {
        read_stream(streams[n].bytes, &streams[n].size, 1, &said);
        assert_string_equal(said.text, streams[n].says);
    }
}

static void where_a_stream_is_split_changes_nothing(void **state)
{
    struct said said;
    (void)state;

    for (size_t n = 0; n < STREAMS; n++) {
        size_t steps[400];

        for (size_t at = 0; at < streams[n].size; at++) {
            const size_t two[] = {at, streams[n].size};

            read_stream(streams[n].bytes, two, 2, &said);
            assert_string_equal(said.text, streams[n].says);
        }
        for (size_t at = 0; at <= streams[n].size; at++)
            steps[at] = at;
        read_stream(streams[n].bytes, steps, streams[n].size + 1, &said);
        assert_string_equal(said.text, streams[n].says);
    }
}

/* Whatever is refused may only be refused when all of it has come; so with what is whole. */
static void with_less_than_was_asked_for_no_command_is_complete(void **state)
{
    (void)state;

    for (size_t n = 0; n < STREAMS; n++) {
        for (size_t at = 0; at < streams[n].size; at++) {
            struct vine_resp_argument arguments[ARGUMENTS_MAX];
            struct vine_resp_parser parser;
            char *copy = copy_of(streams[n].bytes, at);

            vine_resp_parser_init(&parser, &limits, arguments, ARGUMENTS_MAX);
            if (vine_resp_parse(&parser, copy, at) == VINE_RESP_MORE && parser.more_bytes > 1) {
                const size_t size = at + parser.more_bytes - 1;

                free(copy);
                copy = copy_of(streams[n].bytes, size < streams[n].size ? size : at);
                assert_int_not_equal(
                    vine_resp_parse(&parser, copy, size < streams[n].size ? size : at),
                    VINE_RESP_COMPLETE);
            }
            free(copy);
        }
    }
}

static void a_broken_stream_stays_broken(void **state)
{
    struct vine_resp_argument arguments[ARGUMENTS_MAX];
    struct vine_resp_parser parser;
    char bytes[] = "*x\r\n", good[] = "PING\r\n";
    (void)state;

    vine_resp_parser_init(&parser, &limits, arguments, ARGUMENTS_MAX);
    assert_int_equal(vine_resp_parse(&parser, bytes, 4), VINE_RESP_BROKEN);
    assert_int_equal(vine_resp_parse(&parser, good, 6), VINE_RESP_BROKEN);
}

/* ---- room for arguments ---------------------------------------------------------------------- */

static void room_is_asked_for_when_arguments_come(void **state)
{
    static const char *const commands[] = {
        "*5\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n",
        "a \"b\" c 'd' e\r\n",
    };
    (void)state;

    for (size_t n = 0; n < 2; n++) {
        const size_t size = strlen(commands[n]);
        struct vine_resp_argument small[2], larger[3], large[ARGUMENTS_MAX];
        struct vine_resp_parser parser;
        char *const copy = copy_of(commands[n], size);

        vine_resp_parser_init(&parser, &limits, small, 2);
        /* Five were announced; nothing has come of the third one. */
        if (commands[n][0] == '*')
            assert_int_equal(vine_resp_parse(&parser, copy, 18), VINE_RESP_MORE);
        assert_int_equal(vine_resp_parse(&parser, copy, size), VINE_RESP_ROOM);
        assert_int_equal(vine_resp_parse(&parser, copy, size), VINE_RESP_ROOM);
        assert_int_equal(parser.argument_count, 2);
        memcpy(larger, small, sizeof(small));
        vine_resp_parser_set_room(&parser, larger, 3);
        assert_int_equal(vine_resp_parse(&parser, copy, size), VINE_RESP_ROOM);
        memcpy(large, larger, sizeof(larger));
        vine_resp_parser_set_room(&parser, large, ARGUMENTS_MAX);
        assert_int_equal(vine_resp_parse(&parser, copy, size), VINE_RESP_COMPLETE);
        assert_int_equal(parser.consumed_bytes, size);
        assert_int_equal(parser.argument_count, 5);
        for (uint32_t at = 0; at < 5; at++) {
            assert_int_equal(parser.arguments[at].size_bytes, 1);
            assert_int_equal(parser.arguments[at].bytes[0], "abcde"[at]);
            assert_null(parser.arguments[at].owner);
        }
        free(copy);
    }
}

/* ---- commands in parts ----------------------------------------------------------------------- */

#define PAYLOAD_MIN 10

/* A caller that takes what there is of a command whenever there is not all of it, from a stream
 * that comes in pieces. What it has not consumed stands at the beginning of `buffer`. */
struct caller {
    struct vine_resp_parser parser;
    struct vine_resp_argument arguments[ARGUMENTS_MAX];
    char buffer[512];
    size_t size;
    char taken[8][BULK_MAX];
    size_t sizes[8];
    size_t count;
    size_t missing; /* of the payload at hand, which is the last of these */
};

static void consume(struct caller *caller, size_t size)
{
    caller->size -= size;
    memmove(caller->buffer, caller->buffer + size, caller->size);
}

static void take(struct caller *caller, uint32_t count)
{
    for (uint32_t n = 0; n < count; n++) {
        const struct vine_resp_argument *const argument = &caller->arguments[n];

        assert_true(argument->bytes >= caller->buffer &&
                    argument->bytes + argument->size_bytes <= caller->buffer + caller->size);
        memcpy(caller->taken[caller->count], argument->bytes, argument->size_bytes);
        caller->sizes[caller->count++] = argument->size_bytes;
    }
}

static void cut(struct caller *caller)
{
    vine_resp_parser_cut(&caller->parser, caller->buffer);
    take(caller, caller->parser.cut_count);
    consume(caller, caller->parser.consumed_bytes);
    caller->missing = caller->parser.payload_bytes;
    if (caller->missing > 0)
        caller->sizes[caller->count++] = caller->missing;
}

static void take_payload(struct caller *caller)
{
    const size_t now = caller->size < caller->missing ? caller->size : caller->missing;
    const size_t last = caller->count - 1;

    memcpy(caller->taken[last] + caller->sizes[last] - caller->missing, caller->buffer, now);
    consume(caller, now);
    caller->missing -= now;
}

/* Returns whether a command is complete. */
static bool parse_in_parts(struct caller *caller)
{
    enum vine_resp_status status;

    for (;;) {
        if (caller->missing > 0)
            take_payload(caller);
        if (caller->missing > 0)
            return false;
        status = vine_resp_parse(&caller->parser, caller->buffer, caller->size);
        assert_int_not_equal(status, VINE_RESP_BROKEN);
        if (status == VINE_RESP_COMPLETE)
            break;
        cut(caller);
        if (status == VINE_RESP_MORE)
            return false;
    }
    take(caller, caller->parser.argument_count);
    consume(caller, caller->parser.consumed_bytes);
    return true;
}

static void commands_can_be_taken_as_they_come(void **state)
{
    static const struct {
        const char *stream;
        uint32_t bytes_max;
    } commands[] = {
        {"*4\r\n$4\r\nMSET\r\n$9\r\nnot large\r\n$10\r\n0123456789\r\n"
         "$26\r\nabcdefghijklmnopqrstuvwxyz\r\n",
         50}, /* its payloads do not count */
        {"MSET \"not large\" '0123456789' abcdefghijklmnopqrstuvwxyz\r\n", 100},
    };
    static const char *const words[] = {"MSET", "not large", "0123456789",
                                        "abcdefghijklmnopqrstuvwxyz"};
    struct vine_resp_limits large = limits;
    (void)state;

    large.payload_bytes_min = PAYLOAD_MIN;
    for (size_t n = 0; n < 2; n++)
        for (size_t piece = 1; piece <= strlen(commands[n].stream); piece++)
            for (uint32_t room = 1; room <= 4; room++) {
                const size_t size = strlen(commands[n].stream);
                struct caller caller = {.size = 0};
                bool is_complete = false;

                large.command_bytes_max = commands[n].bytes_max;
                large.inline_bytes_max = commands[n].bytes_max;
                vine_resp_parser_init(&caller.parser, &large, caller.arguments, room);
                for (size_t at = 0; at < size; at += piece) {
                    const size_t now = size - at < piece ? size - at : piece;

                    assert_false(is_complete);
                    memcpy(caller.buffer + caller.size, commands[n].stream + at, now);
                    caller.size += now;
                    is_complete = parse_in_parts(&caller);
                }
                assert_true(is_complete);
                assert_int_equal(caller.size, 0);
                assert_int_equal(caller.count, 4);
                for (size_t word = 0; word < 4; word++) {
                    assert_int_equal(caller.sizes[word], strlen(words[word]));
                    assert_memory_equal(caller.taken[word], words[word], strlen(words[word]));
                }
            }
}

static void what_was_cut_counts_among_the_arguments(void **state)
{
    struct vine_resp_limits few = limits;
    struct caller caller = {.size = 0};
    (void)state;

    few.arguments_max = 3;
    vine_resp_parser_init(&caller.parser, &few, caller.arguments, 2);
    caller.size = (size_t)snprintf(caller.buffer, sizeof(caller.buffer), "a b c d\r\n");
    assert_int_equal(vine_resp_parse(&caller.parser, caller.buffer, caller.size), VINE_RESP_ROOM);
    cut(&caller);
    assert_int_equal(caller.count, 2);
    assert_int_equal(vine_resp_parse(&caller.parser, caller.buffer, caller.size), VINE_RESP_BROKEN);
}

static void a_payload_is_told_until_it_is_cut(void **state)
{
    char stream[] = "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$10\r\n";
    struct vine_resp_limits large = limits;
    struct vine_resp_argument arguments[ARGUMENTS_MAX];
    struct vine_resp_parser parser;
    (void)state;

    large.payload_bytes_min = PAYLOAD_MIN;
    vine_resp_parser_init(&parser, &large, arguments, ARGUMENTS_MAX);
    assert_int_equal(vine_resp_parse(&parser, stream, sizeof(stream) - 1), VINE_RESP_PAYLOAD);
    assert_int_equal(vine_resp_parse(&parser, stream, sizeof(stream) - 1), VINE_RESP_PAYLOAD);
    vine_resp_parser_cut(&parser, stream);
    assert_int_equal(parser.consumed_bytes, sizeof(stream) - 1);
    assert_int_equal(parser.payload_bytes, 10);
    assert_int_equal(parser.cut_count, 2);
    assert_ptr_equal(arguments[1].bytes, stream + 17);
    assert_int_equal(arguments[1].size_bytes, 3);
    assert_int_equal(vine_resp_parse(&parser, stream, 0), VINE_RESP_MORE);
    assert_int_equal(parser.more_bytes, 2);
    vine_resp_parser_cut(&parser, stream);
    assert_int_equal(parser.consumed_bytes, 0);
    assert_int_equal(parser.payload_bytes, 0);
}

/* ---- numbers --------------------------------------------------------------------------------- */

static void numbers_are_read_as_redis_reads_them(void **state)
{
    static const char *const wrong[] = {
        "",
        "-",
        "+1",
        " 1",
        "1 ",
        "01",
        "-0",
        "-01",
        "1.0",
        "0x1",
        "a",
        "1e3",
        "--1",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "99999999999999999999999",
    };
    static const struct {
        const char *text;
        int64_t number;
    } right[] = {
        {"0", 0},
        {"1", 1},
        {"-1", -1},
        {"10", 10},
        {"-10", -10},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
    };
    int64_t number = 77;
    (void)state;

    for (size_t n = 0; n < sizeof(wrong) / sizeof(wrong[0]); n++) {
        char *const copy = copy_of(wrong[n], strlen(wrong[n]));

        assert_false(vine_resp_integer(copy, strlen(wrong[n]), &number));
        assert_int_equal(number, 77);
        free(copy);
    }
    for (size_t n = 0; n < sizeof(right) / sizeof(right[0]); n++) {
        char *const copy = copy_of(right[n].text, strlen(right[n].text));

        assert_true(vine_resp_integer(copy, strlen(right[n].text), &number));
        assert_int_equal(number, right[n].number);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_are_taken_apart_or_refused),
        cmocka_unit_test(where_a_stream_is_split_changes_nothing),
        cmocka_unit_test(with_less_than_was_asked_for_no_command_is_complete),
        cmocka_unit_test(a_broken_stream_stays_broken),
        cmocka_unit_test(room_is_asked_for_when_arguments_come),
        cmocka_unit_test(commands_can_be_taken_as_they_come),
        cmocka_unit_test(what_was_cut_counts_among_the_arguments),
        cmocka_unit_test(a_payload_is_told_until_it_is_cut),
        cmocka_unit_test(numbers_are_read_as_redis_reads_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
