/* The last errors of a process, in memory that others read: a ring, whose writer
 * may be killed at any instant. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_RECENT_H
#define CT_RECENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CT_RECENT_LINES = 16, CT_RECENT_TEXT = 400 };

typedef struct ct_recent_line {
    double time;    /* seconds since 1970 */
    char where[16]; /* that speaks */
    char id[72];    /* of the request, or "" */
    char text[CT_RECENT_TEXT];
} ct_recent_line;

typedef struct ct_recent {
    _Atomic uint32_t next; /* how many lines there have been */
    struct {
        _Atomic uint32_t version; /* odd: it is being written */
        ct_recent_line line;
    } lines[CT_RECENT_LINES];
} ct_recent;

/* Adds a line; each part is cut to its room. */
void ct_recent_add(ct_recent *r, const char *where, const char *id,
                   const char *text, size_t n);

/* The line that is `back` lines before the last (0: the last); false when there
 * is none, or it was being written. */
bool ct_recent_get(const ct_recent *r, uint32_t back, ct_recent_line *out);

#endif
