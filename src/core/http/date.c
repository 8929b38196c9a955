/* SPDX-License-Identifier: Apache-2.0 */
/* Dates (RFC 9110 5.6.7), without libc's, which look at time zones and locales. */
#include <vine/http_writer.h>

#include "utils/inside.h"

#define SECONDS_PER_DAY 86400
/* 0000-01-01 and 9999-12-31 23:59:59. */
#define SECONDS_MIN (-62167219200)
#define SECONDS_MAX 253402300799

static const char day_names[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct date {
    int64_t year;
    unsigned month; /* 1 to 12 */
    unsigned day;   /* 1 to 31 */
};

/* H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days: years begin in March,
 * eras have 400 of them, and 146,097 days. */
VINE__INSIDE static struct date date_of_days(int64_t days)
{
    days += 719468;
    const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    const unsigned of_era = (unsigned)(days - era * 146097);
    const unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    const unsigned month = (5 * of_year + 2) / 153;
    struct date date;

    date.day = of_year - (153 * month + 2) / 5 + 1;
    date.month = month < 10 ? month + 3 : month - 9;
    date.year = (int64_t)year + era * 400 + (date.month <= 2);
    return date;
}

VINE__INSIDE static char *write_digits(char *at, unsigned value, unsigned count)
{
    for (unsigned i = count; i-- > 0; value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + count;
}

VINE__INSIDE static char *write_text(char *at, const char *text, size_t size_bytes)
{
    memcpy(at, text, size_bytes);
    return at + size_bytes;
}

VINE__INSIDE void vine_http_date_write(int64_t seconds, char text[VINE_HTTP_DATE_BYTES + 1])
{
    char *at = text;

    seconds = seconds < SECONDS_MIN ? SECONDS_MIN : seconds;
    seconds = seconds > SECONDS_MAX ? SECONDS_MAX : seconds;
    const int64_t days = (seconds - (seconds < 0 ? SECONDS_PER_DAY - 1 : 0)) / SECONDS_PER_DAY;
    const unsigned second = (unsigned)(seconds - days * SECONDS_PER_DAY);
    const struct date date = date_of_days(days);

    /* 1970 began with a Thursday. */
    at = write_text(at, day_names[(days % 7 + 7 + 4) % 7], 3);
    at = write_text(at, ", ", 2);
    at = write_digits(at, date.day, 2);
    at = write_text(at, " ", 1);
    at = write_text(at, month_names[date.month - 1], 3);
    at = write_text(at, " ", 1);
    at = write_digits(at, (unsigned)date.year, 4);
    at = write_text(at, " ", 1);
    at = write_digits(at, second / 3600, 2);
    at = write_text(at, ":", 1);
    at = write_digits(at, second / 60 % 60, 2);
    at = write_text(at, ":", 1);
    at = write_digits(at, second % 60, 2);
    memcpy(at, " GMT", 5);
}

VINE__INSIDE const char *vine_http_date_refresh(struct vine_http_date *date, int64_t seconds)
{
    if (date->seconds != seconds || date->text[0] == '\0') {
        vine_http_date_write(seconds, date->text);
        date->seconds = seconds;
    }
    return date->text;
}
