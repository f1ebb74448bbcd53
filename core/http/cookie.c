/* Tornado: the last cookie of a name wins; RFC 6265 leaves it open. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/cookie.h"

#include <string.h>

static ct_str trimmed(const char *p, const char *end) {
    while (p < end && (*p == ' ' || *p == '\t')) p++;
    while (end > p && (end[-1] == ' ' || end[-1] == '\t')) end--;
    return (ct_str){ p, (uint32_t)(end - p) };
}

static bool find_in(ct_str field, ct_str name, ct_str *value) {
    const char *p = field.p, *end = p + field.n;
    bool found = false;

    while (p < end) {
        const char *stop = memchr(p, ';', (size_t)(end - p)), *equals;
        ct_str key;

        if (!stop) stop = end;
        equals = memchr(p, '=', (size_t)(stop - p));
        if (equals) {
            key = trimmed(p, equals);
            if (key.n == name.n && !memcmp(key.p, name.p, key.n)) {
                *value = trimmed(equals + 1, stop);
                found = true;
            }
        }
        p = stop + 1;
    }
    return found;
}

bool ct_cookie_find(ct_head *h, ct_str name, ct_str *value) {
    uint32_t from = 0;
    bool found = false;
    ct_str field;

    while (ct_head_find_from(h, "Cookie", 6, &from, &field))
        found |= find_in(field, name, value);
    return found;
}
