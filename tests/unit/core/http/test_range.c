/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Ranges, by the words of RFC 9110 13.1.5, 14 and 15.3.7. */
#include "http_tests.h"

#include <stdio.h>

#include <vine/http_resource.h>
#include <vine/http_writer.h>

#define THEN 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */
#define MOST 4u

struct row {
    const char *section;
    const char *fields;
    uint64_t content_size;
    unsigned expected;
    size_t count;
    struct vine_http_range ranges[MOST];
};

#define RANGE(x) "Range: " x "\r\n"

static const struct row rows[] = {
    {"14.2 none", "", 10000, 200, 0, {{0, 0}}},
    {"14.1.2 the first 500 bytes", RANGE("bytes=0-499"), 10000, 206, 1, {{0, 500}}},
    {"14.1.2 the second 500 bytes", RANGE("bytes=500-999"), 10000, 206, 1, {{500, 500}}},
    {"14.1.2 the final 500 bytes", RANGE("bytes=-500"), 10000, 206, 1, {{9500, 500}}},
    {"14.1.2 or", RANGE("bytes=9500-"), 10000, 206, 1, {{9500, 500}}},
    {"14.1.2 the first and last bytes", RANGE("bytes=0-0,-1"), 10000, 206, 2, {{0, 1}, {9999, 1}}},
    {"14.1.2 with spaces",
     RANGE("bytes= 0-999, 4500-5499, -1000"),
     10000,
     206,
     3,
     {{0, 1000}, {4500, 1000}, {9000, 1000}}},
    {"14.1.2 touching ones become one",
     RANGE("bytes=500-600,601-999"),
     10000,
     206,
     1,
     {{500, 500}}},
    {"14.1.2 overlapping ones become one",
     RANGE("bytes=500-700,601-999"),
     10000,
     206,
     1,
     {{500, 500}}},
    {"14.1.2 more than there is", RANGE("bytes=0-"), 5, 206, 1, {{0, 5}}},
    {"14.1.2 \"equal to or greater than the current length\"",
     RANGE("bytes=3-5"),
     5,
     206,
     1,
     {{3, 2}}},
    {"14.1.2 \"shorter than the specified suffix-length\"",
     RANGE("bytes=-10"),
     5,
     206,
     1,
     {{0, 5}}},
    {"14.1.2 numbers beyond 64 bits",
     RANGE("bytes=1-99999999999999999999999"),
     5,
     206,
     1,
     {{1, 4}}},
    {"14.1.2 a suffix beyond 64 bits",
     RANGE("bytes=-99999999999999999999999"),
     5,
     206,
     1,
     {{0, 5}}},
    {"14.1 units of any case", RANGE("BYTES=0-0"), 5, 206, 1, {{0, 1}}},
    {"14.1.2 one that is nowhere among others", RANGE("bytes=9-,0-0"), 5, 206, 1, {{0, 1}}},
    {"15.3.7.2 the order of the request", RANGE("bytes=4-4,0-0"), 5, 206, 2, {{4, 1}, {0, 1}}},
    {"15.3.7.2 three that become one", RANGE("bytes=0-1,4-5,8-9,2-3,6-7"), 20, 206, 1, {{0, 10}}},
    {"15.3.7.2 the place of the first",
     RANGE("bytes=10-11,0-1,12-13"),
     20,
     206,
     2,
     {{10, 4}, {0, 2}}},
    {"15.5.17 \"first-pos ... greater than the current length\"",
     RANGE("bytes=5-"),
     5,
     416,
     0,
     {{0, 0}}},
    {"15.5.17 all of them nowhere", RANGE("bytes=5-6,9-"), 5, 416, 0, {{0, 0}}},
    {"15.5.17 an empty suffix", RANGE("bytes=-0"), 5, 416, 0, {{0, 0}}},
    {"15.5.17 of nothing", RANGE("bytes=0-"), 0, 416, 0, {{0, 0}}},
    {"15.5.17 numbers beyond 64 bits",
     RANGE("bytes=99999999999999999999999-"),
     5,
     416,
     0,
     {{0, 0}}},
    {"14.1.2 the end of nothing is nothing", RANGE("bytes=-5"), 0, 200, 0, {{0, 0}}},
    {"14.2 another unit", RANGE("lines=0-1"), 5, 200, 0, {{0, 0}}},
    {"14.2 no unit", RANGE("0-1"), 5, 200, 0, {{0, 0}}},
    {"14.2 a space in front of '='", RANGE("bytes =0-1"), 5, 200, 0, {{0, 0}}},
    {"14.1.1 \"invalid if the last-pos value is present and less\"",
     RANGE("bytes=3-2"),
     5,
     200,
     0,
     {{0, 0}}},
    {"14.1.1 no numbers", RANGE("bytes=-"), 5, 200, 0, {{0, 0}}},
    {"14.1.1 nothing", RANGE("bytes="), 5, 200, 0, {{0, 0}}},
    {"14.1.1 letters", RANGE("bytes=a-b"), 5, 200, 0, {{0, 0}}},
    {"14.1.1 hexadecimal", RANGE("bytes=0x0-1"), 5, 200, 0, {{0, 0}}},
    {"14.1.1 a sign", RANGE("bytes=+1-2"), 5, 200, 0, {{0, 0}}},
    {"14.1.1 two dashes", RANGE("bytes=1-2-3"), 5, 200, 0, {{0, 0}}},
    {"14.1.1 spaces within", RANGE("bytes=1 -2"), 5, 200, 0, {{0, 0}}},
    {"14.1.1 one that is wrong among others", RANGE("bytes=0-1,x"), 5, 200, 0, {{0, 0}}},
    {"14.2 two fields", RANGE("bytes=0-0") RANGE("bytes=1-1"), 5, 200, 0, {{0, 0}}},
    {"14.2 \"many small ranges\": more parts than are taken",
     RANGE("bytes=0-0,2-2,4-4,6-6,8-8"),
     10,
     200,
     0,
     {{0, 0}}},
    {"13.1.5 the same tag", RANGE("bytes=0-0") "If-Range: \"a\"\r\n", 5, 206, 1, {{0, 1}}},
    {"13.1.5 another tag", RANGE("bytes=0-0") "If-Range: \"b\"\r\n", 5, 200, 0, {{0, 0}}},
    {"13.1.5 a weak tag", RANGE("bytes=0-0") "If-Range: W/\"a\"\r\n", 5, 200, 0, {{0, 0}}},
    {"13.1.5 two tags", RANGE("bytes=0-0") "If-Range: \"a\", \"b\"\r\n", 5, 200, 0, {{0, 0}}},
    {"13.1.5 twice",
     RANGE("bytes=0-0") "If-Range: \"a\"\r\nIf-Range: \"a\"\r\n",
     5,
     200,
     0,
     {{0, 0}}},
    {"13.1.5 no tag", RANGE("bytes=0-0") "If-Range: a\r\n", 5, 200, 0, {{0, 0}}},
    {"13.1.5 the same date",
     RANGE("bytes=0-0") "If-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
     5,
     206,
     1,
     {{0, 1}}},
    {"13.1.5 \"exactly matches\"",
     RANGE("bytes=0-0") "If-Range: Sun, 06 Nov 1994 08:49:38 GMT\r\n",
     5,
     200,
     0,
     {{0, 0}}},
    {"13.1.5 nowhere, of what has changed",
     RANGE("bytes=9-") "If-Range: \"b\"\r\n",
     5,
     200,
     0,
     {{0, 0}}},
    {"13.1.5 without Range", "If-Range: \"b\"\r\n", 5, 200, 0, {{0, 0}}},
};

static unsigned ranges_of(const char *method, const struct row *row, int64_t now,
                          struct vine_http_range *ranges, size_t *count)
{
    const struct vine_http_state state = {
        .etag = {"\"a\"", 3}, .modified = THEN, .now = now, .exists = true};
    struct vine_http_field fields[FIELDS];
    struct vine_http_request request;
    char text[HEAD];
    const int size =
        snprintf(text, sizeof(text), "%s / HTTP/1.1\r\nHost: a\r\n%s\r\n", method, row->fields);

    vine_http_request_init(&request, fields, FIELDS, HEAD);
    assert_int_equal(vine_http_request_parse(&request, text, (size_t)size), size);
    return vine_http_ranges(&request, &state, row->content_size, ranges, MOST, count);
}

static void ranges_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct vine_http_range ranges[MOST];
        size_t count = 0;
        const unsigned status = ranges_of("GET", &rows[i], THEN + 1, ranges, &count);

        if (status != rows[i].expected || count != rows[i].count)
            fail_msg("%s: %u, %zu parts", rows[i].section, status, count);
        for (size_t j = 0; j < count; j++)
            if (ranges[j].first != rows[i].ranges[j].first ||
                ranges[j].size != rows[i].ranges[j].size)
                fail_msg("%s: part %zu is %u and %u", rows[i].section, j, (unsigned)ranges[j].first,
                         (unsigned)ranges[j].size);
    }
}

/* 14.2: "GET is the only method for which range handling is defined." */
static void methods_other_than_get_have_no_ranges(void **state)
{
    static const char *const methods[] = {"HEAD", "PUT", "POST", "OTHER"};
    const struct row row = {.fields = RANGE("bytes=0-0"), .content_size = 5};
    struct vine_http_range ranges[MOST];
    size_t count;

    (void)state;
    for (size_t i = 0; i < COUNT(methods); i++)
        assert_int_equal(ranges_of(methods[i], &row, THEN + 1, ranges, &count), 200);
}

/* 8.8.2.2: a date says little in the second that it tells. */
static void a_date_of_this_second_is_no_strong_validator(void **state)
{
    const struct row row = {
        .fields = RANGE("bytes=0-0") "If-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        .content_size = 5,
    };
    struct vine_http_range ranges[MOST];
    size_t count;

    (void)state;
    assert_int_equal(ranges_of("GET", &row, THEN, ranges, &count), 200);
    assert_int_equal(ranges_of("GET", &row, THEN + 1, ranges, &count), 206);
}

/* Beside a map of bytes: each byte that is asked for is in one part and no other. */
static void parts_of_chance_have_each_byte_once(void **state)
{
    uint64_t seed = 0x5851f42d4c957f2d;

    (void)state;
    for (int run = 0; run < 20000; run++) {
        char text[HEAD], asked[32] = "", given[32] = "";
        struct row row = {.fields = text, .content_size = 32};
        struct vine_http_range ranges[MOST];
        size_t size = (size_t)snprintf(text, sizeof(text), "Range: bytes="), count = 0;

        for (uint64_t i = chance(&seed) % 6 + 1; i > 0; i--) {
            const unsigned first = (unsigned)(chance(&seed) % 32);
            const unsigned last = first + (unsigned)(chance(&seed) % (32 - first));

            size += (size_t)snprintf(text + size, sizeof(text) - size, "%u-%u,", first, last);
            memset(asked + first, 1, last - first + 1);
        }
        memcpy(text + size, "\r\n", 3);
        if (ranges_of("GET", &row, THEN + 1, ranges, &count) == 200)
            continue;
        for (size_t i = 0; i < count; i++)
            for (uint64_t at = ranges[i].first; at < ranges[i].first + ranges[i].size; at++)
                given[at]++;
        assert_memory_equal(asked, given, sizeof(asked));
    }
}

/* ---- answers --------------------------------------------------------------------------------- */

static struct vine_http_slice written(const struct vine_http_writer *writer)
{
    return (struct vine_http_slice){writer->bytes, writer->size};
}

static void one_part_and_none_are_told_of(void **state)
{
    const struct vine_http_range range = {42, 1192};
    struct vine_http_writer writer;
    char bytes[256];

    (void)state;
    vine_http_writer_init(&writer, bytes, sizeof(bytes));
    vine_http_write_content_range(&writer, range, 1234);
    vine_http_write_unsatisfied(&writer, 0);
    assert_text(written(&writer),
                "Content-Range: bytes 42-1233/1234\r\nContent-Range: bytes */0\r\n");
}

static void several_parts_are_written_and_counted_before(void **state)
{
    static const struct vine_http_range ranges[] = {{500, 3}, {0, 2}};
    struct vine_http_multipart multipart = {
        .boundary = "THIS",
        .content_type = "text/plain",
        .ranges = ranges,
        .range_count = 2,
        .content_size = 8000,
    };
    struct vine_http_writer writer;
    char bytes[512];

    (void)state;
    vine_http_writer_init(&writer, bytes, sizeof(bytes));
    vine_http_write_multipart_type(&writer, &multipart);
    assert_text(written(&writer), "Content-Type: multipart/byteranges; boundary=THIS\r\n");
    vine_http_writer_init(&writer, bytes, sizeof(bytes));
    vine_http_write_part(&writer, &multipart, 0);
    vine_http_write_bytes(&writer, "abc", 3);
    vine_http_write_part(&writer, &multipart, 1);
    vine_http_write_bytes(&writer, "de", 2);
    vine_http_write_part(&writer, &multipart, 2);
    assert_text(written(&writer), "\r\n--THIS\r\nContent-Type: text/plain\r\n"
                                  "Content-Range: bytes 500-502/8000\r\n\r\nabc"
                                  "\r\n--THIS\r\nContent-Type: text/plain\r\n"
                                  "Content-Range: bytes 0-1/8000\r\n\r\nde\r\n--THIS--\r\n");
    assert_int_equal(vine_http_multipart_size(&multipart), writer.size);
    multipart.content_type = NULL;
    vine_http_writer_init(&writer, bytes, sizeof(bytes));
    vine_http_write_part(&writer, &multipart, 0);
    vine_http_write_part(&writer, &multipart, 1);
    vine_http_write_part(&writer, &multipart, 2);
    assert_int_equal(vine_http_multipart_size(&multipart), writer.size + 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_read),
        cmocka_unit_test(methods_other_than_get_have_no_ranges),
        cmocka_unit_test(a_date_of_this_second_is_no_strong_validator),
        cmocka_unit_test(parts_of_chance_have_each_byte_once),
        cmocka_unit_test(one_part_and_none_are_told_of),
        cmocka_unit_test(several_parts_are_written_and_counted_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
