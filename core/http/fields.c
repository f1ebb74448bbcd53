/* A line is found by its length first: names of the same length are rare. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/fields.h"

#include <string.h>

/* The length of the line at `p`, its CRLF included. */
static size_t line_size(const char *p, const char *end) {
    const char *lf = memchr(p, '\n', (size_t)(end - p));

    return (size_t)(lf - p) + 1;
}

static bool is_named(const char *line, size_t n, ct_str name) {
    return n > name.n + 3 && line[name.n] == ':' &&
           memcmp(line, name.p, name.n) == 0;
}

void ct_fields_add(ct_buf *fields, ct_str name, ct_str value) {
    size_t n = name.n + value.n + 4;
    char *at = ct_buf_reserve(fields, n);

    memcpy(at, name.p, name.n);
    memcpy(at + name.n, ": ", 2);
    if (value.n) memcpy(at + name.n + 2, value.p, value.n);
    memcpy(at + n - 2, "\r\n", 2);
    ct_buf_added(fields, n);
}

bool ct_fields_remove(ct_buf *fields, ct_str name, ct_str prefix) {
    char *at = ct_buf_bytes(fields), *end = at + fields->len;
    size_t before = fields->len;

    while (at < end) {
        size_t n = line_size(at, end);

        if (is_named(at, n, name) && n - name.n - 4 >= prefix.n &&
            (!prefix.n || !memcmp(at + name.n + 2, prefix.p, prefix.n))) {
            memmove(at, at + n, (size_t)(end - at) - n);
            end -= n;
            fields->len -= n;
        } else {
            at += n;
        }
    }
    return fields->len < before;
}

bool ct_fields_find(const ct_buf *fields, ct_str name, uint32_t index,
                    ct_str *value) {
    const char *at = ct_buf_bytes(fields), *end = at + fields->len;

    while (at < end) {
        size_t n = line_size(at, end);

        if (is_named(at, n, name) && !index--) {
            *value = (ct_str){ at + name.n + 2, (uint32_t)(n - name.n - 4) };
            return true;
        }
        at += n;
    }
    return false;
}
