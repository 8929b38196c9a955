/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Dates, entity tags and conditions, by the words of RFC 9110 5.6.7, 8.8 and 13. */
#include "http_tests.h"

#include <errno.h>
#include <stdio.h>

#include <vine/http_resource.h>
#include <vine/http_writer.h>

#define THEN   784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */
#define NOW    1793318400
#define DATE   "Sun, 06 Nov 1994 08:49:37 GMT"
#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define AFTER  "Sun, 06 Nov 1994 08:49:38 GMT"

/* ---- dates ----------------------------------------------------------------------------------- */

static void dates_that_are_none_are_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "Sun",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 1994 08:49:37 GMT",
        "Sun, 29 Feb 2100 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun, 06-Nov-1994 08:49:37 GMT",
        "Sunday, 06 Nov 94 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37",
        "Sunda, 06-Nov-94 08:49:37 GMT",
        "Monday 06-Nov-94 08:49:37 GMT",
        "Sun Nov 06 08:49:37 94",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Sun Nov  06 08:49:37 1994",
        "784111777",
        "0",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        int64_t seconds = 5;

        if (vine_http_date_read(slice_of(wrong[i]), NOW, &seconds) != -EINVAL)
            fail_msg("taken: %s", wrong[i]);
        assert_int_equal(seconds, 5);
    }
}

/* 5.6.7: "A recipient that parses a timestamp value in an HTTP field MUST accept all three". */
static void dates_of_all_three_forms_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } rows[] = {
        {DATE, THEN},
        {"Sunday, 06-Nov-94 08:49:37 GMT", THEN},
        {"Sun Nov  6 08:49:37 1994", THEN},
        {"Wed Nov 16 08:49:37 1994", THEN + 10 * 86400},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Tue, 29 Feb 2000 23:59:60 GMT", 951868800},
        {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
        {"Sat, 01 Jan 0000 00:00:00 GMT", -62167219200},
        /* "more than 50 years in the future as ... the most recent year in the past" */
        {"Friday, 01-Jan-75 00:00:00 GMT", 3313526400},
        {"Friday, 01-Jan-77 00:00:00 GMT", 220924800},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t seconds;

        if (vine_http_date_read(slice_of(rows[i].text), NOW, &seconds) != 0 ||
            seconds != rows[i].seconds)
            fail_msg("%s", rows[i].text);
    }
}

static void dates_that_are_written_are_read_back(void **state)
{
    uint64_t seed = 0x14057b7ef767814f;

    (void)state;
    for (int run = 0; run < 100000; run++) {
        const int64_t seconds = (int64_t)(chance(&seed) % 315569520000) - 62167219200;
        char text[VINE_HTTP_DATE_BYTES + 1];
        int64_t back;

        vine_http_date_write(seconds, text);
        assert_int_equal(vine_http_date_read(slice_of(text), NOW, &back), 0);
        assert_int_equal(back, seconds);
    }
}

/* ---- conditions ------------------------------------------------------------------------------ */

struct condition {
    const char *section;
    const char *method;
    const char *fields;
    unsigned expected;
};

#define MATCHES      "If-Match: \"a\"\r\n"
#define OTHER        "If-Match: \"b\"\r\n"
#define NONE_SAME    "If-None-Match: \"a\"\r\n"
#define NONE_OTHER   "If-None-Match: \"b\"\r\n"
#define SINCE(x)     "If-Modified-Since: " x "\r\n"
#define UNCHANGED(x) "If-Unmodified-Since: " x "\r\n"

/* Of a resource with the entity tag "a", changed at DATE. */
static const struct condition of_strong[] = {
    {"13 none", "GET", "", 0},
    {"13.1.1 the same", "PUT", MATCHES, 0},
    {"13.1.1 another", "PUT", OTHER, 412},
    {"13.1.1 another, of GET", "GET", OTHER, 412},
    {"13.1.1 one of a list", "PUT", "If-Match: \"x\", \"y\" , \"a\"\r\n", 0},
    {"13.1.1 one of several fields", "PUT", OTHER MATCHES, 0},
    {"13.1.1 '*'", "PUT", "If-Match: *\r\n", 0},
    {"13.1.1 \"MUST use the strong comparison\"", "PUT", "If-Match: W/\"a\"\r\n", 412},
    {"13.1.1 no entity tag", "PUT", "If-Match: a\r\n", 412},
    {"13.1.1 an open quote", "PUT", "If-Match: \"a\r\n", 412},
    {"13.1.1 empty", "PUT", "If-Match:\r\n", 412},
    {"13.1.2 the same of GET", "GET", NONE_SAME, 304},
    {"13.1.2 the same of HEAD", "HEAD", NONE_SAME, 304},
    {"13.1.2 the same of PUT", "PUT", NONE_SAME, 412},
    {"13.1.2 another", "GET", NONE_OTHER, 0},
    {"13.1.2 '*' of GET", "GET", "If-None-Match: *\r\n", 304},
    {"13.1.2 '*' of PUT", "PUT", "If-None-Match: *\r\n", 412},
    {"13.1.2 \"MUST use the weak comparison\"", "GET", "If-None-Match: W/\"a\"\r\n", 304},
    {"13.1.2 one of a list with empty members", "GET", "If-None-Match: , \"b\",,W/\"a\"\r\n", 304},
    {"8.8.3 w is not W", "GET", "If-None-Match: w/\"a\"\r\n", 0},
    {"8.8.3 a backslash escapes nothing", "GET", "If-None-Match: \"\\\", \"a\"\r\n", 304},
    {"8.8.3 a comma within", "GET", "If-None-Match: \"b,\", \"a\"\r\n", 304},
    {"8.8.3 no space within", "GET", "If-None-Match: \"a b\", \"a\"\r\n", 0},
    {"8.8.3 no characters between", "GET", "If-None-Match: \"b\"x, \"a\"\r\n", 0},
    {"13.1.3 unchanged since", "GET", SINCE(DATE), 304},
    {"13.1.3 unchanged since, later", "GET", SINCE(AFTER), 304},
    {"13.1.3 changed since", "GET", SINCE(BEFORE), 0},
    {"13.1.3 in another form", "GET", SINCE("Sunday, 06-Nov-94 08:49:37 GMT"), 304},
    {"13.1.3 \"MUST ignore ... if ... not a valid HTTP-date\"", "GET", SINCE("yesterday"), 0},
    {"13.1.3 \"... has more than one member\"", "GET", SINCE(DATE) SINCE(DATE), 0},
    {"13.1.3 \"... neither GET nor HEAD\"", "PUT", SINCE(DATE), 0},
    {"13.1.3 of HEAD", "HEAD", SINCE(DATE), 304},
    {"13.1.3 \"MUST ignore ... if the request contains an If-None-Match\"", "GET",
     NONE_OTHER SINCE(DATE), 0},
    {"13.1.4 unchanged since", "PUT", UNCHANGED(DATE), 0},
    {"13.1.4 changed since", "PUT", UNCHANGED(BEFORE), 412},
    {"13.1.4 changed since, of GET", "GET", UNCHANGED(BEFORE), 412},
    {"13.1.4 \"MUST ignore ... If-Match\"", "PUT", MATCHES UNCHANGED(BEFORE), 0},
    {"13.1.4 \"MUST ignore ... not a valid HTTP-date\"", "PUT", UNCHANGED("never"), 0},
    {"13.2.1 of OPTIONS", "OPTIONS", OTHER, 0},
    {"13.2.1 of TRACE", "TRACE", NONE_SAME, 0},
    {"13.2.2 If-Match before If-None-Match", "GET", NONE_SAME OTHER, 412},
    {"13.2.2 If-Match, then If-None-Match", "GET", MATCHES NONE_SAME, 304},
    {"13.2.2 If-Match, then If-Modified-Since", "GET", MATCHES SINCE(DATE), 304},
    {"13.2.2 If-Unmodified-Since before If-None-Match", "GET", NONE_SAME UNCHANGED(BEFORE), 412},
    {"13.2.2 If-Unmodified-Since, then If-None-Match", "GET", NONE_SAME UNCHANGED(DATE), 304},
    {"13.2.2 If-Unmodified-Since, then If-Modified-Since", "GET", SINCE(DATE) UNCHANGED(DATE), 304},
    {"13.2.2 all of them hold", "GET", MATCHES NONE_OTHER SINCE(DATE) UNCHANGED(BEFORE), 0},
};

/* Of one with W/"a" and no date. */
static const struct condition of_weak[] = {
    {"13.1.1 a weak tag matches strongly nothing", "PUT", "If-Match: W/\"a\"\r\n", 412},
    {"13.1.1 nor a strong one", "PUT", MATCHES, 412},
    {"13.1.1 '*'", "PUT", "If-Match: *\r\n", 0},
    {"13.1.2 a strong one of the same text", "GET", NONE_SAME, 304},
    {"13.1.3 \"MUST ignore ... if the resource does not have a modification date\"", "GET",
     SINCE(AFTER), 0},
    {"13.1.4 \"MUST ignore ... if the resource does not have a modification date\"", "PUT",
     UNCHANGED(BEFORE), 0},
};

/* Of none. */
static const struct condition of_nothing[] = {
    {"13.1.1 '*'", "PUT", "If-Match: *\r\n", 412},    {"13.1.1 a tag", "PUT", MATCHES, 412},
    {"13.1.2 '*'", "PUT", "If-None-Match: *\r\n", 0}, {"13.1.2 a tag", "PUT", NONE_SAME, 0},
    {"13.1.4 no date", "PUT", UNCHANGED(DATE), 0},
};

static void parse(struct vine_http_request *request, struct vine_http_field *fields, char *text,
                  size_t size_max, const char *method, const char *lines)
{
    const int size = snprintf(text, size_max, "%s / HTTP/1.1\r\nHost: a\r\n%s\r\n", method, lines);

    vine_http_request_init(request, fields, FIELDS, HEAD);
    assert_int_equal(vine_http_request_parse(request, text, (size_t)size), size);
}

static void assert_conditions(const struct condition *rows, size_t count,
                              const struct vine_http_state *state)
{
    for (size_t i = 0; i < count; i++) {
        struct vine_http_field fields[FIELDS];
        struct vine_http_request request;
        char text[HEAD];

        parse(&request, fields, text, sizeof(text), rows[i].method, rows[i].fields);
        if (vine_http_condition(&request, state) != rows[i].expected)
            fail_msg("%s: %u", rows[i].section, vine_http_condition(&request, state));
    }
}

static void conditions_hold_in_the_order_of_the_standard(void **state)
{
    const struct vine_http_state strong = {
        .etag = {"\"a\"", 3}, .modified = THEN, .now = NOW, .exists = true};
    const struct vine_http_state weak = {
        .etag = {"W/\"a\"", 5}, .modified = VINE_HTTP_NO_DATE, .now = NOW, .exists = true};
    const struct vine_http_state nothing = {.modified = VINE_HTTP_NO_DATE, .now = NOW};

    (void)state;
    assert_conditions(of_strong, COUNT(of_strong), &strong);
    assert_conditions(of_weak, COUNT(of_weak), &weak);
    assert_conditions(of_nothing, COUNT(of_nothing), &nothing);
}

static void entity_tags_of_files_are_weak_while_they_may_change_unseen(void **state)
{
    char text[VINE_HTTP_ETAG_BYTES];
    size_t size;

    (void)state;
    size = vine_http_etag_write(0x1f, 0x10, 0, 0x11, text);
    assert_text((struct vine_http_slice){text, size}, "\"1f-10-0\"");
    size = vine_http_etag_write(0, 16, 255, 16, text);
    assert_text((struct vine_http_slice){text, size}, "W/\"0-10-ff\"");
    size = vine_http_etag_write(UINT64_MAX, -1, UINT32_MAX, INT64_MIN, text);
    assert_text((struct vine_http_slice){text, size},
                "W/\"ffffffffffffffff-ffffffffffffffff-ffffffff\"");
    assert_true(size <= VINE_HTTP_ETAG_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_that_are_none_are_refused),
        cmocka_unit_test(dates_of_all_three_forms_are_read),
        cmocka_unit_test(dates_that_are_written_are_read_back),
        cmocka_unit_test(conditions_hold_in_the_order_of_the_standard),
        cmocka_unit_test(entity_tags_of_files_are_weak_while_they_may_change_unseen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
