/* SPDX-License-Identifier: Apache-2.0 */
/* Dates in the three forms of RFC 9110 5.6.7. */
#include <vine/http_resource.h>

#include <errno.h>

#include "http_internal.h"

#define SECONDS_PER_DAY 86400

static const char day_names[7][10] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                      "Thursday", "Friday", "Saturday"};
static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* What is still to read. What did not fit makes it fail, and whatever comes after. */
struct cursor {
    const char *at;
    size_t left;
    bool failed;
};

VINE__INSIDE static bool skip(struct cursor *cursor, const char *text, size_t size_bytes)
{
    if (cursor->left < size_bytes || memcmp(cursor->at, text, size_bytes) != 0)
        return false;
    cursor->at += size_bytes;
    cursor->left -= size_bytes;
    return true;
}

VINE__INSIDE static void expect(struct cursor *cursor, const char *text)
{
    if (!skip(cursor, text, strlen(text)))
        cursor->failed = true;
}

VINE__INSIDE static unsigned digits(struct cursor *cursor, unsigned count)
{
    unsigned value = 0;

    if (cursor->left < count) {
        cursor->failed = true;
        return 0;
    }
    for (unsigned i = 0; i < count; i++) {
        cursor->failed |= !vine__http_is_digit(cursor->at[i]);
        value = value * 10 + ((unsigned char)cursor->at[i] - '0');
    }
    cursor->at += count;
    cursor->left -= count;
    return value;
}

VINE__INSIDE static unsigned month(struct cursor *cursor)
{
    for (unsigned i = 0; i < 12; i++)
        if (skip(cursor, month_names[i], 3))
            return i + 1;
    cursor->failed = true;
    return 1;
}

struct time {
    int64_t year;
    unsigned month;
    unsigned day;
    unsigned hour;
    unsigned minute;
    unsigned second;
};

VINE__INSIDE static void read_clock(struct cursor *cursor, struct time *time)
{
    time->hour = digits(cursor, 2);
    expect(cursor, ":");
    time->minute = digits(cursor, 2);
    expect(cursor, ":");
    time->second = digits(cursor, 2);
}

/* The latest year with these two digits that is at most 50 years after that of `now`; years are of
 * 365.2425 days here, which moves their borders by hours. */
VINE__INSIDE static int64_t whole_year(unsigned two, int64_t now)
{
    const int64_t seconds_per_year = 31556952;
    const int64_t latest = 1970 + now / seconds_per_year + 50;

    return latest - (latest - (int64_t)two) % 100;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994". */
VINE__INSIDE static void read_date(struct cursor *cursor, int64_t now, struct time *time)
{
    unsigned day = 0;

    while (day < 7 && !skip(cursor, day_names[day], 3))
        day++;
    if (day == 7) {
        cursor->failed = true;
        return;
    }
    if (skip(cursor, ", ", 2)) {
        time->day = digits(cursor, 2);
        expect(cursor, " ");
        time->month = month(cursor);
        expect(cursor, " ");
        time->year = digits(cursor, 4);
        expect(cursor, " ");
        read_clock(cursor, time);
        expect(cursor, " GMT");
    } else if (skip(cursor, " ", 1)) {
        time->month = month(cursor);
        expect(cursor, " ");
        time->day = skip(cursor, " ", 1) ? digits(cursor, 1) : digits(cursor, 2);
        expect(cursor, " ");
        read_clock(cursor, time);
        expect(cursor, " ");
        time->year = digits(cursor, 4);
    } else {
        expect(cursor, day_names[day] + 3);
        expect(cursor, ", ");
        time->day = digits(cursor, 2);
        expect(cursor, "-");
        time->month = month(cursor);
        expect(cursor, "-");
        time->year = whole_year(digits(cursor, 2), now);
        expect(cursor, " ");
        read_clock(cursor, time);
        expect(cursor, " GMT");
    }
}

VINE__INSIDE static bool is_time(const struct time *time)
{
    static const uint8_t days[12] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool is_leap = time->year % 4 == 0 && (time->year % 100 != 0 || time->year % 400 == 0);

    return time->day >= 1 && time->day <= days[time->month - 1] &&
           (is_leap || time->month != 2 || time->day < 29) && time->hour < 24 &&
           time->minute < 60 && time->second <= 60; /* RFC 9110 5.6.7: a leap second may be 60 */
}

/* H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil. */
VINE__INSIDE static int64_t days_of(const struct time *time)
{
    const int64_t year = time->year - (time->month <= 2);
    const int64_t era = (year >= 0 ? year : year - 399) / 400;
    const int64_t of_era = year - era * 400;
    const int64_t of_year =
        (153 * (time->month > 2 ? time->month - 3 : time->month + 9) + 2) / 5 + time->day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

VINE__INSIDE int vine_http_date_read(struct vine_http_slice text, int64_t now, int64_t *ret_seconds)
{
    struct cursor cursor = {.at = text.text, .left = text.size};
    struct time time = {.month = 1};

    read_date(&cursor, now, &time);
    if (cursor.failed || cursor.left > 0 || !is_time(&time))
        return -EINVAL;
    *ret_seconds =
        days_of(&time) * SECONDS_PER_DAY + time.hour * 3600 + time.minute * 60 + time.second;
    return 0;
}
