/* libcurl 7.88 takes a message with both Content-Length and chunks, several
 * lengths that differ, and any bytes in a field: what a proxy in between may see
 * otherwise. Lines behind the head are trailers, which nobody asks for. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/response.h"

#include "base/str.h"
#include <string.h>

void ct_response_init(ct_response *r, size_t max) {
    ct_buf lines = r->lines;

    lines.head = lines.len = 0; /* its memory serves the next head */
    *r = (ct_response){ .max = max, .lines = lines };
}

void ct_response_fini(ct_response *r) {
    ct_buf_fini(&r->lines);
}

static bool refuse(ct_response *r, const char *why) {
    r->why = why;
    return false;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* "HTTP/1.1 200 OK", "HTTP/2 200 ". */
static bool take_status(ct_response *r, const char *p, size_t n) {
    const char *end = p + n, *at = p + 5;

    if (at == end || !is_digit(*at)) return refuse(r, "bad status line");
    r->version = (uint32_t)(*at++ - '0') * 10;
    if (end - at >= 2 && *at == '.' && is_digit(at[1])) {
        r->version += (uint32_t)(at[1] - '0');
        at += 2;
    }
    if (end - at < 4 || *at != ' ' || at[1] < '1' || at[1] > '9' ||
        !is_digit(at[2]) || !is_digit(at[3]) || (end - at > 4 && at[4] != ' '))
        return refuse(r, "bad status line");
    r->code = (uint32_t)(at[1] - '0') * 100 + (uint32_t)(at[2] - '0') * 10 +
              (uint32_t)(at[3] - '0');
    if (!ct_str_is_field_value(at, (size_t)(end - at)))
        return refuse(r, "bad status line");
    return true;
}

static bool begin(ct_response *r, const char *p, size_t n) {
    uint32_t heads = r->heads + 1;

    ct_response_init(r, r->max);
    r->heads = heads;
    if (heads > CT_RESPONSE_INTERIM)
        return refuse(r, "too many interim responses");
    return take_status(r, p, n);
}

static bool is_space(char c) {
    return c == ' ' || c == '\t';
}

/* One or more equal numbers (RFC 9110 §8.6). */
static bool take_length(ct_response *r, const char *p, size_t n) {
    const char *end = p + n;

    while (p <= end) {
        const char *stop = memchr(p, ',', (size_t)(end - p));
        const char *next = stop ? stop + 1 : end + 1;
        uint64_t value;

        if (!stop) stop = end;
        while (p < stop && is_space(*p)) p++;
        while (stop > p && is_space(stop[-1])) stop--;
        if (!ct_str_decimal(p, (size_t)(stop - p), &value) ||
            (r->has_length && value != r->length))
            return refuse(r, "bad Content-Length");
        r->has_length = true;
        r->length = value;
        p = next;
    }
    return true;
}

static bool is_name(const char *p, size_t n, const char *name) {
    return ct_str_same(p, n, name, strlen(name));
}

/* RFC 9110 §8.4.1.3; a second field would be a second coding. */
static void take_coding(ct_response *r, const char *p, size_t n) {
    r->gzip = !r->coded && (is_name(p, n, "gzip") || is_name(p, n, "x-gzip"));
    r->coded = true;
}

static bool take_field(ct_response *r, const char *p, size_t n) {
    const char *colon = memchr(p, ':', n), *value;
    size_t name, size;

    if (is_space(*p)) /* RFC 9112 §5.2: obs-fold */
        return ct_str_is_field_value(p, n) || refuse(r, "bad header line");
    if (!colon) return refuse(r, "bad header line");
    name = (size_t)(colon - p);
    value = colon + 1;
    size = n - name - 1;
    if (!ct_str_is_token(p, name) || !ct_str_is_field_value(value, size))
        return refuse(r, "bad header line");
    while (size && is_space(*value)) value++, size--;
    while (size && is_space(value[size - 1])) size--;
    if (is_name(p, name, "Content-Length")) return take_length(r, value, size);
    if (is_name(p, name, "Content-Encoding")) take_coding(r, value, size);
    if (!is_name(p, name, "Transfer-Encoding")) return true;
    r->chunked = true;
    return is_name(value, size, "chunked") ||
           refuse(r, "unknown Transfer-Encoding");
}

static bool finish(ct_response *r) {
    r->whole = r->code >= 200 || r->code == 101;
    if (r->chunked && r->has_length)
        return refuse(r, "both Content-Length and Transfer-Encoding");
    if (r->code == 204 && (r->chunked || (r->has_length && r->length)))
        return refuse(r, "a 204 with a body");
    return true;
}

bool ct_response_line(ct_response *r, const char *p, size_t n) {
    size_t size = n;

    while (size && (p[size - 1] == '\n' || p[size - 1] == '\r')) size--;
    if (size >= 5 && memcmp(p, "HTTP/", 5) == 0) {
        if (!begin(r, p, size)) return false;
    } else if (r->whole) {
        return true; /* a trailer */
    } else if (!r->code) {
        return refuse(r, "bad status line");
    } else if (!size) {
        return finish(r);
    } else if (!take_field(r, p, size)) {
        return false;
    }
    if (r->lines.len + size + 2 > r->max) {
        r->over = true;
        return refuse(r, "the header is too long");
    }
    ct_buf_add(&r->lines, p, size);
    ct_buf_add(&r->lines, "\r\n", 2);
    return true;
}
