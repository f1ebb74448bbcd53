/* "a=b&c+d=%41": names and values as a form or a query has them
 * (application/x-www-form-urlencoded, WHATWG URL §5). Pure. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_FORM_H
#define CT_FORM_H

#include "abi.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Splits `n` bytes into decoded pairs, of which out[] takes at most `max`; their
 * bytes are in `scratch` (at least `n`), one behind the other. A piece without
 * "=" is a name with an empty value, an empty piece is none, a bad %xx stays as
 * it is. *ascii says whether all that was decoded is ASCII. Returns how many
 * pairs, or -1 for more than `max`. */
int ct_form_split(const char *p, size_t n, char *scratch, ct_pair *out,
                  uint32_t max, bool *ascii);

/* The last value of `name`, decoded to `out` (at least `n` bytes): its length,
 * -1 when there is none, -2 for more than `max` pairs. */
int ct_form_last(const char *p, size_t n, ct_str name, uint32_t max, char *out);

#endif
