/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
#include "unit/core/resp/resp_tests.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include <vine/resp.h>

#define BULK_MAX 64
#define LINE_MAX 40

static const struct vine_resp_reply_limits limits = {
    .depth_max = 3,
    .count_max = 10,
    .bulk_bytes_max = BULK_MAX,
    .line_bytes_max = LINE_MAX,
};

/* What a stream says, as text: each value as its depth, its type and what it holds, the last one of
 * a reply with a full stop; at the end "+N" or "!text". */
struct said {
    char text[2048];
    size_t size;
};

static void say(struct said *said, const char *bytes, size_t size)
{
    assert_true(said->size + size < sizeof(said->text));
    memcpy(said->text + said->size, bytes, size);
    said->size += size;
    said->text[said->size] = '\0';
}

static void say_element(struct said *said, const struct vine_resp_element *element)
{
    char text[64];
    int size = snprintf(text, sizeof(text), "%u%c", element->depth, (char)element->type);

    say(said, text, (size_t)size);
    switch (element->type) {
    case VINE_RESP_INTEGER:
    case VINE_RESP_BOOLEAN:
    case VINE_RESP_ARRAY:
    case VINE_RESP_MAP:
    case VINE_RESP_SET:
    case VINE_RESP_PUSH:
    case VINE_RESP_ATTRIBUTE:
        size = snprintf(text, sizeof(text), "%lld", (long long)element->integer);
        say(said, text, (size_t)size);
        break;
    case VINE_RESP_DOUBLE:
        size = snprintf(text, sizeof(text), "%.17g", element->real);
        say(said, text, (size_t)size);
        break;
    case VINE_RESP_VERBATIM:
        say(said, element->format, 3);
        say(said, "/", 1);
        say(said, element->bytes, element->size_bytes);
        break;
    case VINE_RESP_NULL:
        break;
    default:
        say(said, element->bytes, element->size_bytes);
    }
    say(said, element->is_last ? "." : " ", 1);
}

static void read_stream(const char *bytes, const size_t *steps, size_t step_count,
                        struct said *said)
{
    struct vine_resp_reply_parser parser;
    enum vine_resp_status status = VINE_RESP_MORE;
    char text[VINE_RESP_PROBLEM_BYTES];
    size_t from = 0, size;

    said->size = 0;
    said->text[0] = '\0';
    vine_resp_reply_parser_init(&parser, &limits);
    for (size_t n = 0; n < step_count && status != VINE_RESP_BROKEN; n++) {
        do {
            char *const copy = copy_of(bytes + from, steps[n] - from);
            struct vine_resp_element element = {.size_bytes = 77};

            status = vine_resp_parse_reply(&parser, copy, steps[n] - from, &element);
            if (status == VINE_RESP_COMPLETE) {
                say_element(said, &element);
                assert_true(parser.consumed_bytes > 0);
                assert_true(parser.consumed_bytes <= steps[n] - from);
                from += parser.consumed_bytes;
            } else {
                assert_int_equal(element.size_bytes, 77);
            }
            free(copy);
        } while (status == VINE_RESP_COMPLETE);
    }
    if (status == VINE_RESP_BROKEN) {
        size = vine_resp_reply_parser_problem(&parser, text);
        assert_int_equal(strlen(text), size);
        say(said, "!", 1);
        say(said, text + 16, size - 16);
    } else {
        say(said, text, (size_t)snprintf(text, sizeof(text), "+%zu", parser.more_bytes));
    }
}

static const struct {
    const char *bytes, *says;
} streams[] = {
    /* Refused. */
    {"x\r\n", "!unknown type 'x'"},
    {";4\r\n", "!unknown type ';'"},
    {"\r\n", "!unknown type ' '"},
    {":\r\n", "!invalid number"},
    {":1x\r\n", "!invalid number"},
    {":9223372036854775808\r\n", "!invalid number"},
    {":1\n", "!a line that does not end as lines do"},
    {"+a\rb\r\n", "!a line that does not end as lines do"},
    {"+12345678901234567890123456789012345678901\r\n", "!too long a line"},
    {"+12345678901234567890123456789012345678901\r", "!too long a line"},
    {"_x\r\n", "!invalid number"},
    {"#x\r\n", "!invalid number"},
    {"#tt\r\n", "!invalid number"},
    {",\r\n", "!invalid number"},
    {",1.\r\n", "!invalid number"},
    {",.5\r\n", "!invalid number"},
    {",1e\r\n", "!invalid number"},
    {",1e5e5\r\n", "!invalid number"},
    {",0x10\r\n", "!invalid number"},
    {",1,5\r\n", "!invalid number"},
    {",Inf\r\n", "!invalid number"},
    {"(\r\n", "!invalid number"},
    {"(-\r\n", "!invalid number"},
    {"(1a\r\n", "!invalid number"},
    {"$65\r\n", "!invalid bulk length"},
    {"$-2\r\n", "!invalid bulk length"},
    {"$?\r\n", "!invalid bulk length"},
    {"$01\r\n", "!invalid bulk length"},
    {"!-1\r\n", "!invalid bulk length"},
    {"=-1\r\n", "!invalid bulk length"},
    {"$1\r\nab\r\n", "!no line end after a bulk"},
    {"=3\r\ntxt\r\n", "!verbatim text without a format"},
    {"=4\r\ntext\r\n", "!verbatim text without a format"},
    {"*11\r\n", "!invalid multibulk length"},
    {"*-2\r\n", "!invalid multibulk length"},
    {"%-1\r\n", "!invalid multibulk length"},
    {"%6\r\n", "!invalid multibulk length"},
    {"|6\r\n", "!invalid multibulk length"},
    {"*?\r\n", "!invalid multibulk length"},
    {"*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", "0*1 1*1 2*1 !too deep"},
    {"*1\r\n:x\r\n", "0*1 !invalid number"},
    /* Too little. */
    {"", "+1"},
    {"+OK", "+2"},
    {"+OK\r", "+1"},
    {"$5", "+2"},
    {"$5\r", "+1"},
    {"$5\r\n", "+7"},
    {"$5\r\nhello", "+2"},
    {"*2\r\n:1\r\n", "0*2 1:1 +1"},
    /* Values. */
    {"+OK\r\n", "0+OK.+1"},
    {"+\r\n", "0+.+1"},
    {"+1234567890123456789012345678901234567890\r\n",
     "0+1234567890123456789012345678901234567890.+1"},
    {"-ERR no\r\n", "0-ERR no.+1"},
    {":-5\r\n:+5\r\n:0\r\n", "0:-5.0:5.0:0.+1"},
    {"$5\r\na\r\nbc\r\n$0\r\n\r\n", "0$a\r\nbc.0$.+1"},
    {"$-1\r\n*-1\r\n_\r\n", "0_.0_.0_.+1"},
    {"#t\r\n#f\r\n", "0#1.0#0.+1"},
    {",1.5\r\n,-2e3\r\n,10\r\n,1E-2\r\n,inf\r\n,-inf\r\n,nan\r\n",
     "0,1.5.0,-2000.0,10.0,0.01.0,inf.0,-inf.0,nan.+1"},
    {",0.1\r\n,-12.5e-1\r\n,1e400\r\n,1e-99999999999999999999\r\n",
     "0,0.10000000000000001.0,-1.25.0,inf.0,0.+1"},
    {"(123456789012345678901234567890\r\n(-1\r\n", "0(123456789012345678901234567890.0(-1.+1"},
    {"!5\r\nERR a\r\n", "0!ERR a.+1"},
    {"=7\r\ntxt:abc\r\n=4\r\nmkd:\r\n", "0=txt/abc.0=mkd/.+1"},
    {"*0\r\n%0\r\n~0\r\n>0\r\n", "0*0.0%0.0~0.0>0.+1"},
    {"*2\r\n:1\r\n:2\r\n:3\r\n", "0*2 1:1 1:2.0:3.+1"},
    {"*2\r\n*1\r\n*0\r\n$1\r\na\r\n+x\r\n", "0*2 1*1 2*0 1$a.0+x.+1"},
    {"*1\r\n*1\r\n*1\r\n:1\r\n+x\r\n", "0*1 1*1 2*1 3:1.0+x.+1"},
    {"%2\r\n+a\r\n:1\r\n+b\r\n~1\r\n_\r\n", "0%4 1+a 1:1 1+b 1~1 2_.+1"},
    {">1\r\n+m\r\n+OK\r\n", "0>1 1+m.0+OK.+1"},
    /* An attribute is no value of what it stands in. */
    {"|1\r\n+a\r\n:1\r\n+x\r\n", "0|2 1+a 1:1 0+x.+1"},
    {"*1\r\n|1\r\n+a\r\n*1\r\n:1\r\n+x\r\n+y\r\n", "0*1 1|2 2+a 2*1 3:1 1+x.0+y.+1"},
    {"|0\r\n+x\r\n", "0|0 0+x.+1"},
    {"|1\r\n+a\r\n:1\r\n*1\r\n:2\r\n+y\r\n", "0|2 1+a 1:1 0*1 1:2.0+y.+1"},
    {"*1\r\n|0\r\n+x\r\n", "0*1 1|0 1+x.+1"},
};

#define STREAMS (sizeof(streams) / sizeof(streams[0]))

static void replies_are_taken_apart_or_refused(void **state)
{
    struct said said;
    (void)state;

    for (size_t n = 0; n < STREAMS; n++) {
        const size_t size = strlen(streams[n].bytes);

        read_stream(streams[n].bytes, &size, 1, &said);
        assert_string_equal(said.text, streams[n].says);
    }
}

static void where_a_reply_is_split_changes_nothing(void **state)
{
    struct said said;
    (void)state;

    for (size_t n = 0; n < STREAMS; n++) {
        const size_t size = strlen(streams[n].bytes);
        size_t steps[200];

        for (size_t at = 0; at <= size; at++) {
            const size_t two[] = {at, size};

            read_stream(streams[n].bytes, two, 2, &said);
            assert_string_equal(said.text, streams[n].says);
            steps[at] = at;
        }
        read_stream(streams[n].bytes, steps, size + 1, &said);
        assert_string_equal(said.text, streams[n].says);
    }
}

static void large_bulks_are_the_callers_to_take(void **state)
{
    static const char stream[] = "*2\r\n$4\r\n0123\r\n$5\r\n01234\r\n+OK\r\n";
    struct vine_resp_reply_limits large = limits;
    struct vine_resp_reply_parser parser;
    struct vine_resp_element element;
    size_t at = 0;
    (void)state;

    large.payload_bytes_min = 5;
    vine_resp_reply_parser_init(&parser, &large);
    for (int n = 0; n < 2; n++) {
        assert_int_equal(
            vine_resp_parse_reply(&parser, stream + at, sizeof(stream) - 1 - at, &element),
            VINE_RESP_COMPLETE);
        at += parser.consumed_bytes;
    }
    /* The head suffices. */
    assert_int_equal(vine_resp_parse_reply(&parser, stream + at, 4, &element), VINE_RESP_PAYLOAD);
    assert_int_equal(parser.consumed_bytes, 4);
    assert_int_equal(element.type, VINE_RESP_BULK);
    assert_int_equal(element.size_bytes, 5);
    assert_int_equal(element.depth, 1);
    assert_true(element.is_last);
    at += parser.consumed_bytes + element.size_bytes + 2;
    assert_int_equal(vine_resp_parse_reply(&parser, stream + at, sizeof(stream) - 1 - at, &element),
                     VINE_RESP_COMPLETE);
    assert_int_equal(element.type, VINE_RESP_SIMPLE);
    assert_int_equal(element.depth, 0);
}

/* ---- what is written is read ----------------------------------------------------------------- */

#define VALUES_MAX 64

struct value {
    uint32_t depth;
    enum vine_resp_type type;
    int64_t integer;
    double real;
    char text[24];
    size_t size;
};

static struct {
    struct value values[VALUES_MAX];
    size_t count;
} written;

static struct value *add(enum vine_resp_type type, uint32_t depth, uint64_t *seed)
{
    struct value *const value = &written.values[written.count++];

    *value = (struct value){.type = type, .depth = depth};
    value->size = chance(seed) % sizeof(value->text);
    for (size_t n = 0; n < value->size; n++)
        value->text[n] = (char)('a' + chance(seed) % 26);
    return value;
}

static void write_value(struct vine_resp_writer *writer, uint32_t depth, uint64_t *seed)
{
    struct value *value;
    uint64_t count = chance(seed) % 4;
    double real;

    switch (chance(seed) % (depth < limits.depth_max && written.count < VALUES_MAX / 3 ? 10 : 7)) {
    case 0:
        value = add(VINE_RESP_INTEGER, depth, seed);
        value->integer = (int64_t)(chance(seed) >> chance(seed) % 64);
        assert_true(vine_resp_write_integer(writer, value->integer));
        return;
    case 1:
        value = add(VINE_RESP_BULK, depth, seed);
        assert_true(vine_resp_write_bulk(writer, value->text, value->size));
        return;
    case 2:
        (void)add(VINE_RESP_NULL, depth, seed);
        assert_true(count < 2 ? vine_resp_write_null(writer) : vine_resp_write_null_array(writer));
        return;
    case 3:
        value = add(VINE_RESP_DOUBLE, depth, seed);
        do {
            const uint64_t word = chance(seed);

            memcpy(&real, &word, sizeof(real));
        } while (!isfinite(real));
        value->real = real;
        assert_true(vine_resp_write_double(writer, real));
        return;
    case 4:
        value = add(VINE_RESP_BOOLEAN, depth, seed);
        value->integer = count < 2;
        assert_true(vine_resp_write_boolean(writer, count < 2));
        return;
    case 5:
        value = add(VINE_RESP_VERBATIM, depth, seed);
        assert_true(vine_resp_write_verbatim(writer, "txt", value->text, value->size));
        return;
    case 6:
        value = add(VINE_RESP_SIMPLE, depth, seed);
        value->text[value->size > 0 ? value->size - 1 : 0] = '\0';
        value->size = strlen(value->text);
        assert_true(vine_resp_write_simple(writer, value->text));
        return;
    case 7:
        value = add(VINE_RESP_MAP, depth, seed);
        value->integer = (int64_t)count * 2;
        assert_true(vine_resp_write_map(writer, count));
        break;
    case 8:
        value = add(VINE_RESP_SET, depth, seed);
        value->integer = (int64_t)count;
        assert_true(vine_resp_write_set(writer, count));
        break;
    default:
        value = add(VINE_RESP_ARRAY, depth, seed);
        value->integer = (int64_t)count;
        assert_true(vine_resp_write_array(writer, count));
    }
    for (int64_t left = value->integer; left > 0; left--)
        write_value(writer, depth + 1, seed);
}

static void assert_is(const struct vine_resp_element *element, const struct value *value)
{
    assert_int_equal(element->type, value->type);
    assert_int_equal(element->depth, value->depth);
    assert_int_equal(element->integer, value->integer);
    assert_true(element->real >= value->real && element->real <= value->real);
    if (value->type == VINE_RESP_BULK || value->type == VINE_RESP_SIMPLE ||
        value->type == VINE_RESP_VERBATIM) {
        assert_int_equal(element->size_bytes, value->size);
        assert_memory_equal(element->bytes, value->text, value->size);
    }
}

static void what_is_written_in_protocol_3_is_read_as_it_was(void **state)
{
    uint64_t seed = 7;
    (void)state;

    for (int round = 0; round < 3000; round++) {
        struct vine_resp_writer writer;
        struct vine_resp_reply_parser parser;
        char bytes[8192];
        size_t at = 0;

        written.count = 0;
        vine_resp_writer_init(&writer, bytes, sizeof(bytes), 3);
        write_value(&writer, 0, &seed);
        vine_resp_reply_parser_init(&parser, &limits);
        for (size_t n = 0; n < written.count; n++) {
            struct vine_resp_element element;

            assert_int_equal(
                vine_resp_parse_reply(&parser, bytes + at, writer.size_bytes - at, &element),
                VINE_RESP_COMPLETE);
            assert_is(&element, &written.values[n]);
            assert_int_equal(element.is_last, n + 1 == written.count);
            at += parser.consumed_bytes;
        }
        assert_int_equal(at, writer.size_bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_are_taken_apart_or_refused),
        cmocka_unit_test(where_a_reply_is_split_changes_nothing),
        cmocka_unit_test(large_bulks_are_the_callers_to_take),
        cmocka_unit_test(what_is_written_in_protocol_3_is_read_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
