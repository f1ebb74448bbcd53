/* Every function is a scan from left to right: the values are the client's. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/range.h"

#include "base/str.h"
#include <string.h>

/* -- Scanning -------------------------------------------------------------- */

static ct_str from(ct_str s, size_t n) {
    return (ct_str){ s.p + n, s.n - (uint32_t)n };
}

static ct_str trim(ct_str s) {
    while (s.n && (*s.p == ' ' || *s.p == '\t')) s = from(s, 1);
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) s.n--;
    return s;
}

/* What stands before the next `c`, trimmed; *s moves behind it. */
static ct_str cut(ct_str *s, char c) {
    const char *end = s->n ? memchr(s->p, c, s->n) : NULL;
    ct_str piece = *s;

    if (end) {
        piece.n = (uint32_t)(end - s->p);
        *s = from(*s, piece.n + 1);
    } else {
        *s = from(*s, s->n);
    }
    return trim(piece);
}

/* -- Dates ----------------------------------------------------------------- */

static bool zone_is_good(const char *p, time_t *at) {
    int hours, minutes, sign;

    while (*p == ' ') p++;
    if (!*p || !strcmp(p, "GMT") || !strcmp(p, "UTC") || !strcmp(p, "Z"))
        return true;
    sign = *p == '-' ? 1 : -1;
    if ((*p != '+' && *p != '-') || strlen(p) != 5 ||
        strspn(p + 1, "0123456789") != 4)
        return false;
    hours = (p[1] - '0') * 10 + p[2] - '0';
    minutes = (p[3] - '0') * 10 + p[4] - '0';
    *at += sign * (hours * 3600 + minutes * 60);
    return true;
}

bool ct_range_date(ct_str text, time_t *out) {
    static const char *const forms[] = { "%a, %d %b %Y %H:%M:%S",
                                         "%d %b %Y %H:%M:%S",
                                         "%a, %d-%b-%y %H:%M:%S",
                                         "%a %b %d %H:%M:%S %Y" };
    char copy[64];

    text = trim(text);
    if (!text.n || text.n >= sizeof copy || memchr(text.p, 0, text.n))
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = 0;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tm tm = { 0 };
        const char *rest = strptime(copy, forms[i], &tm);

        if (!rest) continue;
        *out = timegm(&tm);
        return zone_is_good(rest, out);
    }
    return false;
}

/* -- Entity tags ----------------------------------------------------------- */

static ct_str strong(ct_str etag) {
    return etag.n > 2 && !memcmp(etag.p, "W/", 2) ? from(etag, 2) : etag;
}

bool ct_range_has_etag(ct_str text, ct_str etag) {
    etag = strong(etag);
    text = trim(text);
    if (text.n && *text.p == '*') return true;
    while (text.n) {
        const char *start = memchr(text.p, '"', text.n), *end;
        size_t left;

        if (!start) return false;
        left = text.n - (size_t)(start - text.p);
        end = left > 1 ? memchr(start + 1, '"', left - 1) : NULL;
        if (!end) return false;
        if (etag.n == (size_t)(end - start) + 1 &&
            !memcmp(start, etag.p, etag.n))
            return true;
        text = from(text, (size_t)(end - text.p) + 1);
    }
    return false;
}

bool ct_range_may(ct_str if_range, ct_str etag, time_t modified) {
    time_t at;

    if_range = trim(if_range);
    if (if_range.n && (*if_range.p == '"' || *if_range.p == 'W'))
        if (memchr(if_range.p, '"', if_range.n))
            return if_range.n == etag.n && *etag.p == '"' &&
                   !memcmp(if_range.p, etag.p, etag.n);
    return ct_range_date(if_range, &at) && at == modified;
}

/* -- Ranges ---------------------------------------------------------------- */

typedef enum part { IGNORE, EMPTY, WHOLE, GOOD } part;

/* Digits of any number: what is too large for a file is just that. */
static bool parse_number(ct_str s, uint64_t *out) {
    if (ct_str_decimal(s.p, s.n, out)) return true;
    for (uint32_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9') return false;
    *out = INT64_MAX;
    return s.n > 0;
}

/* "-n": the last n bytes. */
static part parse_suffix(ct_str s, uint64_t size, ct_range *out) {
    uint64_t n;

    if (!parse_number(s, &n)) return IGNORE;
    if (!n || !size) return EMPTY;
    if (n >= size) return WHOLE;
    *out = (ct_range){ size - n, n };
    return GOOD;
}

/* "a-b", "a-", and, as Tornado has it, "a". */
static part parse_one(ct_str s, uint64_t size, ct_range *out) {
    ct_str first = cut(&s, '-'), last = trim(s);
    uint64_t a, b = size;

    if (!first.n) return parse_suffix(last, size, out);
    if (!parse_number(first, &a)) return IGNORE;
    if (last.n && !parse_number(last, &b)) return IGNORE;
    if (a >= size || (last.n && b < a)) return EMPTY;
    if (!last.n || b >= size) b = size - 1;
    *out = (ct_range){ a, b - a + 1 };
    return out->size == size ? WHOLE : GOOD;
}

int ct_range_parse(ct_str text, uint64_t size, ct_range out[CT_RANGES_MAX]) {
    ct_str unit = cut(&text, '=');
    int n = 0, empty = 0;

    if (!ct_str_same(unit.p, unit.n, "bytes", 5) || !trim(text).n) return 0;
    do {
        ct_range range;
        ct_str piece = cut(&text, ',');

        if (!piece.n) return 0;
        switch (parse_one(piece, size, &range)) {
        case IGNORE:
        case WHOLE: return 0;
        case EMPTY: empty++; break;
        case GOOD:
            if (n == CT_RANGES_MAX) return 0;
            out[n++] = range;
        }
    } while (text.n);
    return n ? n : empty ? -1 : 0;
}

/* -- Content codings ------------------------------------------------------- */

/* "0", "0.5", "1.000" in thousandths; -1 when it is none. */
static int parse_weight(ct_str s) {
    int value = 0;

    if (!s.n || s.n > 5 || (*s.p != '0' && *s.p != '1')) return -1;
    value = (*s.p - '0') * 1000;
    if (s.n > 1 && s.p[1] != '.') return -1;
    for (uint32_t i = 2, unit = 100; i < s.n; i++, unit /= 10) {
        if (s.p[i] < '0' || s.p[i] > '9') return -1;
        value += (s.p[i] - '0') * (int)unit;
    }
    return value > 1000 ? -1 : value;
}

/* The weight of a name with the parameters behind it; 0 for a wrong one. */
static int weight_of(ct_str params) {
    int weight = 1000;

    while (params.n) {
        ct_str value = cut(&params, ';'), key = cut(&value, '=');

        if (ct_str_same(key.p, key.n, "q", 1))
            weight = parse_weight(trim(value));
    }
    return weight < 0 ? 0 : weight;
}

/* What stands first counts, whether it was in this field or in one before. */
static void set_weight(int *known, int weight) {
    if (*known < 0) *known = weight;
}

void ct_range_weights(ct_str text, ct_weights *w) {
    while (text.n) {
        ct_str item = cut(&text, ','), name = cut(&item, ';');
        int weight = weight_of(item);

        if (ct_str_same(name.p, name.n, "br", 2))
            set_weight(&w->br, weight);
        else if (ct_range_is_gzip(name))
            set_weight(&w->gzip, weight);
        else if (ct_str_same(name.p, name.n, "identity", 8))
            set_weight(&w->identity, weight);
        else if (name.n == 1 && *name.p == '*')
            set_weight(&w->any, weight);
    }
}

bool ct_range_is_gzip(ct_str coding) {
    return ct_str_same(coding.p, coding.n, "gzip", 4) ||
           ct_str_same(coding.p, coding.n, "x-gzip", 6);
}
