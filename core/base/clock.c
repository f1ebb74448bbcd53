/* clock_gettime() is answered by the vDSO, without a system call. The date is
 * built by hand: strftime() depends on the locale and is slower. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <string.h>

enum { DAY = 86400, ERA_DAYS = 146097 /* in 400 years */ };

/* 0001-01-01 and the end of 9999-12-31: a year has four digits (RFC 9110
 * 5.6.7). */
static const time_t FIRST = -62135596800, LAST = 253402300799;

/* Seconds that the distance between the clocks is taken to be the same. */
static const double WALL_TIME = 0.01;

typedef struct civil {
    unsigned year, month, day; /* month 0 to 11 */
} civil;

/* Years are counted from March, so that the leap day is a year's last. */
static civil civil_from_days(long days) {
    unsigned long d = (unsigned long)(days + 719468); /* since 0000-03-01 */
    unsigned era = (unsigned)(d / ERA_DAYS), doe = (unsigned)(d % ERA_DAYS);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153; /* 0: March */
    civil c = { .day = doy - (153 * mp + 2) / 5 + 1 };

    c.month = mp < 10 ? mp + 2 : mp - 10;
    c.year = yoe + era * 400 + (c.month < 2);
    return c;
}

static char *two(char *out, unsigned v) {
    out[0] = (char)('0' + v / 10 % 10);
    out[1] = (char)('0' + v % 10);
    return out + 2;
}

static char *three(char *out, const char *names, unsigned i) {
    memcpy(out, names + 3 * i, 3);
    return out + 3;
}

void ct_clock_format_date(time_t at, char *out) {
    at = at < FIRST ? FIRST : at > LAST ? LAST : at;

    unsigned second = (unsigned)((at - FIRST) % DAY);
    long days = (at - second) / DAY;
    civil c = civil_from_days(days);

    /* 0001-01-01 was a Monday */
    out = three(out, "MonTueWedThuFriSatSun",
                (unsigned)((days - FIRST / DAY) % 7));
    *out++ = ',', *out++ = ' ';
    out = two(out, c.day);
    *out++ = ' ';
    out = three(out, "JanFebMarAprMayJunJulAugSepOctNovDec", c.month);
    *out++ = ' ';
    out = two(out, c.year / 100);
    out = two(out, c.year);
    *out++ = ' ';
    out = two(out, second / 3600);
    *out++ = ':';
    out = two(out, second / 60 % 60);
    *out++ = ':';
    out = two(out, second % 60);
    memcpy(out, " GMT", 5);
}

static void read_wall(ct_clock *c) {
    struct timespec wall;

    clock_gettime(CLOCK_REALTIME, &wall);
    c->ahead = (double)wall.tv_sec + (double)wall.tv_nsec * 1e-9 - c->precise;
    c->wall_till = c->precise + WALL_TIME;
    if (wall.tv_sec == c->date_at && c->date[0]) return;
    c->date_at = wall.tv_sec;
    ct_clock_format_date(wall.tv_sec, c->date);
}

void ct_clock_update(ct_clock *c) {
    c->precise = ct_clock_precise();
    c->mono_ms = (uint64_t)(int64_t)(c->precise * 1e3);
    if (c->precise >= c->wall_till) read_wall(c);
    c->wall = c->precise + c->ahead;
}

double ct_clock_precise(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
