/* Dates against strftime() in the C locale, and the readings of the clocks. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include "check.h"

static bool is_as_strftime(time_t at) {
    char got[CT_DATE_LEN + 1], want[64];
    struct tm tm;

    gmtime_r(&at, &tm);
    strftime(want, sizeof want, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    ct_clock_format_date(at, got);
    return strcmp(got, want) == 0;
}

static void test_known_dates(void) {
    char out[CT_DATE_LEN + 1];

    ct_clock_format_date(784111777, out);
    CHECK_STR(out, "Sun, 06 Nov 1994 08:49:37 GMT");
    ct_clock_format_date(0, out);
    CHECK_STR(out, "Thu, 01 Jan 1970 00:00:00 GMT");
    ct_clock_format_date(951827696, out);
    CHECK_STR(out, "Tue, 29 Feb 2000 12:34:56 GMT");
    ct_clock_format_date(253402300799, out);
    CHECK_STR(out, "Fri, 31 Dec 9999 23:59:59 GMT");
}

/* Each day from the year 1439 to 2500, at another second of the day each. */
static void test_each_day(void) {
    int wrong = 0;

    for (time_t day = -193600; day < 193600; day++)
        wrong += !is_as_strftime(day * 86400 + day * 7919 % 86400);
    CHECK(wrong == 0);
}

/* A file may have any date, and an application any number. */
static void test_far_dates(void) {
    char out[CT_DATE_LEN + 1];

    ct_clock_format_date(-1, out);
    CHECK_STR(out, "Wed, 31 Dec 1969 23:59:59 GMT");
    ct_clock_format_date(-62135596800, out);
    CHECK_STR(out, "Mon, 01 Jan 0001 00:00:00 GMT");
    ct_clock_format_date(INT64_MIN, out);
    CHECK_STR(out, "Mon, 01 Jan 0001 00:00:00 GMT");
    ct_clock_format_date(INT64_MAX, out);
    CHECK_STR(out, "Fri, 31 Dec 9999 23:59:59 GMT");
}

static void test_update(void) {
    ct_clock c = { 0 };
    char want[CT_DATE_LEN + 1];

    ct_clock_update(&c);
    ct_clock_format_date(c.date_at, want);
    CHECK_STR(c.date, want);
    CHECK((time_t)c.wall == c.date_at);
    CHECK(c.mono_ms > 0);

    uint64_t before = c.mono_ms;
    double precise = ct_clock_precise();
    ct_clock_update(&c);
    CHECK(c.mono_ms >= before);
    CHECK((double)c.mono_ms / 1000 >= precise - 0.001);
    CHECK(ct_clock_precise() >= precise);
}

int main(void) {
    test_known_dates();
    test_each_day();
    test_far_dates();
    test_update();
    return check_report();
}
