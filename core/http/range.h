/* Conditional requests and ranges (RFC 9110 §13, §14): pure functions on field
 * values. What may be ignored is ignored when it is malformed. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_RANGE_H
#define CT_RANGE_H

#include "abi.h"
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum { CT_RANGES_MAX = 16 }; /* of one request; with more, all is sent */

typedef struct ct_range {
    uint64_t from, size; /* bytes; size > 0 */
} ct_range;

/* Parses a date: the three forms of RFC 9110 §5.6.7, and the zones of RFC 5322;
 * UTC without any. False when it is none. */
bool ct_range_date(ct_str text, time_t *out);

/* True when the list of entity tags in `text` (If-None-Match) has `etag`, or
 * begins with "*"; compared weakly. */
bool ct_range_has_etag(ct_str text, ct_str etag);

/* Parses a Range field for a representation of `size` bytes. Returns how many
 * ranges there are in `out`; 0: send all of it; -1: answer 416. */
int ct_range_parse(ct_str text, uint64_t size, ct_range out[CT_RANGES_MAX]);

/* True when If-Range allows the ranges: the strong `etag` itself, or exactly the
 * date `modified`. */
bool ct_range_may(ct_str if_range, ct_str etag, time_t modified);

/* The weight, in thousandths, that the Accept-Encoding field `text` gives to
 * `coding`; 0: must not be used. */
int ct_range_weight(ct_str text, ct_str coding);

#endif
