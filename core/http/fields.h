/* The header fields of a reply while a handler sets them: finished lines in one
 * buffer, "Name: value\r\n", in order. Small, so every search is a scan. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_FIELDS_H
#define CT_FIELDS_H

#include "abi.h"
#include "base/buf.h"
#include <stdbool.h>

/* Appends a line. `name` and `value` have been checked by the caller. */
void ct_fields_add(ct_buf *fields, ct_str name, ct_str value);

/* Removes the lines of that name (compared byte by byte: names are canonical)
 * whose value begins with `prefix`. True when there were any. */
bool ct_fields_remove(ct_buf *fields, ct_str name, ct_str prefix);

/* The value of the line number `index` (0 on) of that name; false when there is
 * none. Borrows; valid until the buffer changes. */
bool ct_fields_find(const ct_buf *fields, ct_str name, uint32_t index,
                    ct_str *value);

#endif
