/* One reading of the clocks per turn of the loop, shared by all that need the
 * time. Lifetime: process; one for each loop. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_CLOCK_H
#define CT_CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum { CT_DATE_LEN = 29 }; /* "Sun, 06 Nov 1994 08:49:37 GMT" */

typedef struct ct_clock {
    uint64_t mono_ms;        /* CLOCK_MONOTONIC, milliseconds: for deadlines */
    double precise;          /* the same in seconds */
    double wall;             /* CLOCK_REALTIME, seconds since 1970 */
    double ahead, wall_till; /* of `wall` to `precise`; when it is read again */
    time_t date_at;          /* the second that `date` shows */
    char date[CT_DATE_LEN + 1]; /* IMF-fixdate (RFC 9110 §5.6.7) */
} ct_clock;

/* Reads the monotonic clock, and every 10 ms the other one and, when the second
 * changed, formats the date. */
void ct_clock_update(ct_clock *c);

/* CLOCK_MONOTONIC now, in seconds: for measuring what one turn costs. */
double ct_clock_precise(void);

/* Writes the IMF-fixdate of `at` and a zero byte to `out` (at least
 * CT_DATE_LEN + 1 bytes). What is outside of the years 1 to 9999 becomes the
 * nearest date in them. Never depends on the locale. */
void ct_clock_format_date(time_t at, char *out);

#endif
