/* The request's cookies, without a table of them: RFC 6265 §5.4's pairs, split at
 * ";" only, as browsers do. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_COOKIE_H
#define CT_COOKIE_H

#include "http/head.h"
#include <stdbool.h>

/* The value of the last cookie of that name in any Cookie field, as sent: with
 * its quotes, if it has any. False when there is none. Borrows from the head. */
bool ct_cookie_find(ct_head *h, ct_str name, ct_str *value);

#endif
