/* Most pieces are a few bytes long: one loop that splits, decodes and copies is
 * cheaper than a search for each separator. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/form.h"

#include "base/str.h"
#include <string.h>

typedef struct reader {
    const char *p, *end;
    char *out;
    unsigned char bits; /* of all bytes decoded */
} reader;

/* Copies bytes that mean nothing in a form. */
static void plain(reader *r) {
    static const bool special[256] = {
        ['&'] = true, ['='] = true, ['%'] = true, ['+'] = true
    };
    const char *p = r->p, *end = r->end;
    char *out = r->out;
    unsigned bits = 0;

    for (; p < end && !special[(unsigned char)*p]; p++) {
        bits |= (unsigned char)*p;
        *out++ = *p;
    }
    r->p = p;
    r->out = out;
    r->bits |= (unsigned char)bits;
}

/* Decodes up to the next '&', or up to an '=' if that ends it. */
static ct_str piece(reader *r, bool equals_ends) {
    const char *start = r->out;

    for (plain(r); r->p < r->end; plain(r)) {
        if (*r->p == '&' || (*r->p == '=' && equals_ends)) break;
        r->p +=
            ct_str_url_decode_one(r->p, (size_t)(r->end - r->p), true, r->out);
        r->bits |= (unsigned char)*r->out++;
    }
    return (ct_str){ start, (uint32_t)(r->out - start) };
}

int ct_form_split(const char *p, size_t n, char *scratch, ct_pair *out,
                  uint32_t max, bool *ascii) {
    reader r = { p, p + n, scratch, 0 };
    uint32_t count = 0;

    while (r.p < r.end) {
        if (*r.p == '&') {
            r.p++;
            continue;
        }
        if (count == max) return -1;
        out[count].name = piece(&r, true);
        if (r.p < r.end && *r.p == '=') r.p++;
        out[count++].value = piece(&r, false);
    }
    *ascii = r.bits < 0x80;
    return (int)count;
}

/* The next piece of "a=b&c" at *p: its name and value, still encoded. False at
 * the end. */
static bool next_pair(const char **p, const char *end, ct_pair *out) {
    while (*p < end) {
        const char *start = *p, *equals;
        const char *stop = memchr(start, '&', (size_t)(end - start));

        if (!stop) stop = end;
        *p = stop + 1;
        if (stop == start) continue;
        equals = memchr(start, '=', (size_t)(stop - start));
        if (!equals) equals = stop;
        out->name = (ct_str){ start, (uint32_t)(equals - start) };
        if (equals < stop) equals++;
        out->value = (ct_str){ equals, (uint32_t)(stop - equals) };
        return true;
    }
    return false;
}

/* True when the encoded `name` stands for `wanted`. */
static bool is_named(ct_str name, ct_str wanted, char *scratch) {
    if (name.n < wanted.n) return false;
    if (name.n == wanted.n && !memcmp(name.p, wanted.p, name.n)) return true;
    return ct_str_url_decode(name.p, name.n, true, scratch) == wanted.n &&
           !memcmp(scratch, wanted.p, wanted.n);
}

int ct_form_last(const char *p, size_t n, ct_str name, uint32_t max,
                 char *out) {
    const char *end = p + n;
    ct_str last = { NULL, 0 };
    uint32_t count = 0;
    ct_pair pair;

    while (next_pair(&p, end, &pair)) {
        if (count++ == max) return -2;
        if (is_named(pair.name, name, out)) last = pair.value;
    }
    if (!last.p) return -1;
    return (int)ct_str_url_decode(last.p, last.n, true, out);
}
