/* The head of a request: one pass over its bytes, resumed at w->at wherever the
 * input was cut. A reader returns true when its part is complete, and false
 * when bytes are missing or the request is refused (w->status tells which).
 * What follows a judged head is in wire_body.c. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/wire.h"

#include "base/str.h"
#include "http/wire_bytes.h"

#include <string.h>

enum { MAX_VERB = 64, MAX_DIGITS = 18, MAX_PORT = 65535 };

/* What comes next in the head. 0 is also the first state of a body. */
enum {
    EMPTY,
    VERB,
    TARGET,
    VERSION,
    FIELD,
    NAME,
    BLANK,
    VALUE,
    LINE_END,
    LAST
};

static bool refuse(ct_wire *w, uint16_t status, const char *reason) {
    w->status = status;
    w->reason = reason;
    return false;
}

/* -- Host and target ------------------------------------------------------ */

static bool is_port(const char *p, uint32_t n) {
    uint32_t port = 0;

    if (n > 5) return false;
    for (uint32_t i = 0; i < n; i++) {
        if (!is_in(p[i], IS_DIGIT)) return false;
        port = port * 10 + (uint32_t)(p[i] - '0');
    }
    return port <= MAX_PORT;
}

/* The length of the IPv6 literal or name that `p` starts with; 0 if none. */
static uint32_t host_length(const char *p, uint32_t n) {
    uint32_t i = 0;

    if (n && p[0] == '[') {
        for (i = 1; i < n && p[i] != ']'; i++)
            if (!is_in(p[i], IS_HEX) && p[i] != ':' && p[i] != '.') return 0;
        return i < n && i > 1 ? i + 1 : 0;
    }
    for (;;) {
        i = skip(p, i, n, IN_HOST);
        if (n - i < 3 || p[i] != '%') return i;
        if (!is_in(p[i + 1], IS_HEX) || !is_in(p[i + 2], IS_HEX)) return i;
        i += 3;
    }
}

/* RFC 3986 §3.2, without userinfo and without an empty host. */
static bool is_authority(const char *p, uint32_t n) {
    uint32_t i = host_length(p, n);

    if (i == 0) return false;
    return i == n || (p[i] == ':' && is_port(p + i + 1, n - i - 1));
}

/* The length of "http://" or "https://" at the start of `p`; 0 if neither. */
static uint32_t scheme_length(const char *p, uint32_t n) {
    if (n >= 7 && ct_str_same(p, 7, "http://", 7)) return 7;
    if (n >= 8 && ct_str_same(p, 8, "https://", 8)) return 8;
    return 0;
}

/* RFC 9112 §3.2.2: the authority becomes `host`, the rest `target`. */
static bool split_absolute(ct_wire *w, const char *p) {
    const char *t = p + w->target.at;
    uint32_t n = w->target.n, begin = scheme_length(t, n), i = begin;

    while (i < n && t[i] != '/' && t[i] != '?') i++;
    if (begin == 0 || !is_authority(t + begin, i - begin))
        return refuse(w, 400, "bad request target");
    w->absolute = true;
    w->canonical = false;
    w->host = (ct_wire_span){ w->target.at + begin, i - begin };
    w->target = (ct_wire_span){ w->target.at + i, n - i };
    return true;
}

static bool judge_target(ct_wire *w, const char *p) {
    const char *t = p + w->target.at, *query;
    uint32_t n = w->target.n;

    if (w->verb.n < 3 || w->method == CT_METHOD_CONNECT) w->canonical = false;
    if (t[0] == '/') {
        if (n > 1 && t[1] == '/') w->canonical = false;
    } else if (w->method == CT_METHOD_CONNECT) {
        if (!is_authority(t, n)) return refuse(w, 400, "bad request target");
        return refuse(w, 501, "CONNECT is not implemented");
    } else if (n != 1 || t[0] != '*' || w->method != CT_METHOD_OPTIONS) {
        if (!split_absolute(w, p)) return false;
    }
    t = p + w->target.at;
    query = memchr(t, '?', w->target.n);
    w->path = query ? (uint32_t)(query - t) : w->target.n;
    if (w->path == 0) w->path = 1;
    return true;
}

/* -- Request line --------------------------------------------------------- */

static uint8_t method_of(const char *p, uint32_t n) {
    static const char names[][8] = { "",      "GET",    "HEAD",    "POST",
                                     "PUT",   "DELETE", "OPTIONS", "PATCH",
                                     "TRACE", "CONNECT" };
    if (n > 7) return CT_METHOD_OTHER;
    for (int i = CT_METHOD_GET; i <= CT_METHOD_CONNECT; i++)
        if (memcmp(p, names[i], n) == 0 && names[i][n] == 0) return (uint8_t)i;
    return CT_METHOD_OTHER;
}

/* RFC 9112 §2.2: empty lines before a request are to be skipped; two are. */
static bool read_empty(ct_wire *w, const char *p, size_t n) {
    for (; w->step < 4; w->step++, w->at++) {
        if (w->at == n) return false;
        if (p[w->at] == (w->step & 1 ? '\n' : '\r')) continue;
        if (w->step & 1) return refuse(w, 400, "bare CR");
        break;
    }
    if (w->step) w->canonical = false;
    w->verb.at = w->at;
    w->state = VERB;
    return true;
}

static bool read_verb(ct_wire *w, const char *p, uint32_t end) {
    uint32_t most = w->verb.at + MAX_VERB + 1;

    w->at = skip(p, w->at, end < most ? end : most, IN_TOKEN);
    w->verb.n = w->at - w->verb.at;
    if (w->verb.n > MAX_VERB) return refuse(w, 400, "method too long");
    if (w->at == end) return false;
    if (p[w->at] != ' ' || w->verb.n == 0) return refuse(w, 400, "bad method");
    w->target.at = ++w->at;
    w->state = TARGET;
    return true;
}

static bool read_target(ct_wire *w, const char *p, uint32_t end) {
    w->at = skip(p, w->at, end, IN_TARGET);
    if (w->at == end) return false;
    w->target.n = w->at - w->target.at;
    if (p[w->at] != ' ' || w->target.n == 0)
        return refuse(w, 400, "bad byte in the request target");
    w->start = ++w->at;
    w->state = VERSION;
    return true;
}

/* The version and the line's end. */
static bool read_version(ct_wire *w, const char *p, uint32_t end) {
    static const char form[] = "HTTP/1.1\r\n";
    const uint32_t size = sizeof form - 1;

    if (w->at == w->start && end - w->at >= size &&
        memcmp(p + w->at, form, size) == 0)
        w->at += size;
    for (; w->at < w->start + size; w->at++) {
        char want = form[w->at - w->start];

        if (w->at == end) return false;
        if (want == '1' ? !is_in(p[w->at], IS_DIGIT) : p[w->at] != want)
            return refuse(w, 400, "bad HTTP version");
    }
    if (p[w->start + 5] != '1') return refuse(w, 505, "not HTTP/1");
    w->minor = p[w->start + 7] != '0';
    w->state = FIELD;
    return true;
}

static bool read_line(ct_wire *w, const char *p, uint32_t end) {
    switch (w->state) {
    case VERB:
        if (!read_verb(w, p, end)) return false;
        /* fall through */
    case TARGET:
        if (!read_target(w, p, end)) return false;
        /* fall through */
    default:
        if (!read_version(w, p, end)) return false;
    }
    w->method = method_of(p + w->verb.at, w->verb.n);
    return judge_target(w, p);
}

/* -- Fields that matter --------------------------------------------------- */

static bool judge_host(ct_wire *w, const char *p, uint32_t at, uint32_t n) {
    if (w->has_host) return refuse(w, 400, "two Host fields");
    w->has_host = true;
    if (n && !is_authority(p + at, n)) return refuse(w, 400, "bad Host");
    if (!w->absolute) w->host = (ct_wire_span){ at, n };
    return true;
}

/* One number of a Content-Length; all of them must be the same. */
static bool judge_number(ct_wire *w, const char *p, uint32_t n) {
    uint32_t zeros = 0;
    uint64_t length = 0;

    if (n == 0 || skip(p, 0, n, IS_DIGIT) != n)
        return refuse(w, 400, "bad Content-Length");
    while (zeros < n && p[zeros] == '0') zeros++;
    if (n - zeros > MAX_DIGITS) return refuse(w, 413, "huge Content-Length");
    if (zeros < n) ct_str_decimal(p + zeros, n - zeros, &length);
    if (w->has_length && w->length != length)
        return refuse(w, 400, "two lengths");
    w->has_length = true;
    w->length = length;
    return true;
}

/* Takes the next element of a list from p[*at..n); false at its end. */
static bool next_element(const char *p, uint32_t n, uint32_t *at,
                         ct_wire_span *element) {
    uint32_t begin = *at, end = *at;

    if (begin > n) return false;
    while (end < n && p[end] != ',') end++;
    *at = end + 1;
    while (begin < end && is_blank(p[begin])) begin++;
    while (end > begin && is_blank(p[end - 1])) end--;
    *element = (ct_wire_span){ begin, end - begin };
    return true;
}

static bool judge_length(ct_wire *w, const char *p, uint32_t n) {
    ct_wire_span number;
    uint32_t at = 0;

    if (w->has_encoding) return refuse(w, 400, "length and encoding");
    while (next_element(p, n, &at, &number))
        if (!judge_number(w, p + number.at, number.n)) return false;
    return true;
}

/* RFC 9112 §6.1. What is almost "chunked" may be that to another reader. */
static bool judge_encoding(ct_wire *w, const char *p, uint32_t n) {
    if (w->has_length) return refuse(w, 400, "length and encoding");
    if (w->has_encoding) return refuse(w, 400, "two Transfer-Encoding fields");
    if (w->minor == 0) return refuse(w, 400, "Transfer-Encoding in HTTP/1.0");
    w->has_encoding = true;
    w->chunked = ct_str_same(p, n, "chunked", 7);
    if (w->chunked) return true;
    if (ct_str_is_token(p, n)) return refuse(w, 501, "unknown coding");
    return refuse(w, 400, "bad Transfer-Encoding");
}

static bool judge_expect(ct_wire *w, const char *p, uint32_t n) {
    if (w->minor == 0) return true;
    w->expect = true;
    if (ct_str_same(p, n, "100-continue", 12)) return true;
    return refuse(w, 417, "unknown expectation");
}

static bool judge_connection(ct_wire *w, const char *p, uint32_t n) {
    ct_wire_span e;
    uint32_t at = 0;

    while (next_element(p, n, &at, &e)) {
        const char *option = p + e.at;

        if (ct_str_same(option, e.n, "close", 5)) w->wants_close = true;
        if (ct_str_same(option, e.n, "keep-alive", 10)) w->wants_keep = true;
        if (ct_str_same(option, e.n, "upgrade", 7)) w->wants_upgrade = true;
    }
    return true;
}

/* Looks at the field w->name with the value p[at..at + n). */
static bool judge_field(ct_wire *w, const char *p, uint32_t at, uint32_t n) {
    const char *name = p + w->name.at, *value = p + at;
    uint32_t len = w->name.n;

    switch (len) {
    case 4:
        if (!ct_str_same(name, len, "Host", 4)) break;
        return judge_host(w, p, at, n);
    case 6:
        if (!ct_str_same(name, len, "Expect", 6)) break;
        return judge_expect(w, value, n);
    case 7:
        if (ct_str_same(name, len, "Upgrade", 7)) w->has_upgrade = true;
        break;
    case 10:
        if (!ct_str_same(name, len, "Connection", 10)) break;
        return judge_connection(w, value, n);
    case 14:
        if (!ct_str_same(name, len, "Content-Length", 14)) break;
        return judge_length(w, value, n);
    case 17:
        if (!ct_str_same(name, len, "Transfer-Encoding", 17)) break;
        return judge_encoding(w, value, n);
    }
    return true;
}

/* -- Field lines ---------------------------------------------------------- */

/* The first byte of a field line, or of the empty line. */
static bool read_start(ct_wire *w, const char *p, uint32_t end,
                       uint32_t max_fields) {
    if (w->at == end) return false;
    w->name.at = w->at;
    w->state = NAME;
    if (p[w->at] == '\r') {
        w->at++;
        w->state = LAST;
    } else if (is_blank(p[w->at])) {
        return refuse(w, 400, "white space before a field");
    } else if (++w->fields > max_fields) {
        return refuse(w, 431, "too many fields");
    }
    return true;
}

static bool read_name(ct_wire *w, const char *p, uint32_t end) {
    w->at = skip(p, w->at, end, IN_TOKEN);
    if (w->at == end) return false;
    w->name.n = w->at - w->name.at;
    if (p[w->at] != ':' || w->name.n == 0)
        return refuse(w, 400, "bad field name");
    w->names |= ct_wire_name_bit(p + w->name.at, w->name.n);
    w->at++;
    w->state = BLANK;
    return true;
}

static bool read_blank(ct_wire *w, const char *p, uint32_t end) {
    for (;; w->at++) {
        if (w->at == end) return false;
        if (p[w->at] == '\t') w->canonical = false;
        if (!is_blank(p[w->at])) break;
    }
    w->start = w->at;
    w->state = VALUE;
    return true;
}

static bool read_value(ct_wire *w, const char *p, uint32_t end) {
    w->at = skip_value(p, w->at, end);
    if (w->at == end) return false;
    if (p[w->at] != '\r') return refuse(w, 400, "control byte in a field");
    w->at++;
    w->state = LINE_END;
    return true;
}

static bool read_line_end(ct_wire *w, const char *p, uint32_t end) {
    uint32_t last = w->at - 1;

    if (w->at == end) return false;
    if (p[w->at] != '\n') return refuse(w, 400, "bare CR");
    w->at++;
    w->state = FIELD;
    while (last > w->start && is_blank(p[last - 1])) last--;
    return judge_field(w, p, w->start, last - w->start);
}

static bool read_field(ct_wire *w, const char *p, uint32_t end) {
    switch (w->state) {
    case NAME:
        if (!read_name(w, p, end)) return false;
        /* fall through */
    case BLANK:
        if (!read_blank(w, p, end)) return false;
        /* fall through */
    case VALUE:
        if (!read_value(w, p, end)) return false;
        /* fall through */
    default: return read_line_end(w, p, end);
    }
}

/* The line feed of the empty line, and what only the whole head can tell. */
static bool read_last(ct_wire *w, const char *p, uint32_t end) {
    if (w->at == end) return false;
    if (p[w->at] != '\n') return refuse(w, 400, "bare CR");
    if (w->minor && !w->has_host) return refuse(w, 400, "no Host");
    w->at++;
    w->expect = w->expect && ct_wire_has_body(w);
    w->keep_alive = !w->wants_close && (w->minor || w->wants_keep);
    w->upgrade = w->minor && w->wants_upgrade && w->has_upgrade;
    w->left = w->length;
    w->step = 0;
    w->state = EMPTY;
    return true;
}

static bool read_fields(ct_wire *w, const ct_wire_limits *limits, const char *p,
                        uint32_t end) {
    for (;;) {
        if (w->state == FIELD && !read_start(w, p, end, limits->max_fields))
            return false;
        if (w->state == LAST) return read_last(w, p, end);
        if (!read_field(w, p, end)) return false;
    }
}

/* -- The whole ------------------------------------------------------------ */

static uint32_t least(uint64_t a, uint64_t b) {
    uint64_t n = a < b ? a : b;

    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/* Bytes are missing, unless there is a refusal or `end` is the limit itself. */
static ct_wire_verdict stop(ct_wire *w, uint64_t limit, uint16_t status,
                            const char *reason) {
    if (!w->status && w->at >= limit) refuse(w, status, reason);
    return w->status ? CT_WIRE_BAD : CT_WIRE_MORE;
}

void ct_wire_init(ct_wire *w) {
    memset(w, 0, sizeof *w);
    w->canonical = true;
}

ct_wire_verdict ct_wire_head(ct_wire *w, const ct_wire_limits *limits,
                             const char *p, size_t n) {
    uint64_t limit;

    if (w->status) return CT_WIRE_BAD;
    if (w->state == EMPTY && !read_empty(w, p, n))
        return stop(w, UINT64_MAX, 0, NULL);
    if (w->state < FIELD) {
        limit = w->verb.at +
                (uint64_t)least(limits->max_line_size, limits->max_header_size);
        if (!read_line(w, p, least(n, limit)))
            return stop(w, limit, w->state == VERB ? 400 : 414,
                        "request line too long");
    }
    limit = w->verb.at + (uint64_t)limits->max_header_size;
    if (!read_fields(w, limits, p, least(n, limit)))
        return stop(w, limit, 431, "head too long");
    return CT_WIRE_DONE;
}
