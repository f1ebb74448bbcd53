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

/* What Accept-Encoding says of each coding, in thousandths; 0: must not be used;
 * -1: nothing. */
typedef struct ct_weights {
    int br, gzip, identity, any;
} ct_weights;

/* Adds what one Accept-Encoding field says to `w`, which begins with -1: several
 * fields are one list (RFC 9110 §5.3). */
void ct_range_weights(ct_str text, ct_weights *w);

/* True for "gzip" and its old name "x-gzip" (RFC 9110 §8.4.1.3). */
bool ct_range_is_gzip(ct_str coding);

#endif
