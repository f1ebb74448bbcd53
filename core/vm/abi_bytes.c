/* The part of abi.h that is pure functions on bytes. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/str.h"
#include <string.h>
#include <time.h>

int ct_abi_is_token(const char *p, uint32_t size) {
    return ct_str_is_token(p, size);
}

int ct_abi_is_field_value(const char *p, uint32_t size) {
    return ct_str_is_field_value(p, size);
}

int ct_abi_is_utf8(const char *p, uint32_t size) {
    return ct_str_is_utf8(p, size);
}

uint32_t ct_abi_url_decode(const char *p, uint32_t size, int plus, char *out) {
    return (uint32_t)ct_str_url_decode(p, size, plus, out);
}

uint32_t ct_abi_url_encode(const char *p, uint32_t size, int plus, char *out) {
    return (uint32_t)ct_str_url_encode(p, size, plus, out);
}

uint32_t ct_abi_html_escape(const char *p, uint32_t size, char *out) {
    return (uint32_t)ct_str_html_escape(p, size, out);
}

void ct_abi_sha1_hex(const char *p, uint32_t size, char *out) {
    ct_digest_sha1_hex(p, size, out);
}

void ct_abi_random(char *out, uint32_t size) {
    ct_digest_random(out, size);
}

void ct_abi_http_date(double at, char *out) {
    ct_clock_format_date((time_t)at, out);
}

static ct_str decoded(const char *p, size_t n, char **at) {
    ct_str s = { *at, (uint32_t)ct_str_url_decode(p, n, true, *at) };

    *at += s.n;
    return s;
}

int ct_abi_form(const char *p, uint32_t size, char *scratch, ct_pair *out,
                uint32_t max) {
    const char *end = p + size;
    uint32_t n = 0;

    while (p < end) {
        const char *next = memchr(p, '&', (size_t)(end - p));
        const char *stop = next ? next : end, *equals;

        if (stop > p) {
            if (n == max) return -1;
            equals = memchr(p, '=', (size_t)(stop - p));
            if (!equals) equals = stop;
            out[n].name = decoded(p, (size_t)(equals - p), &scratch);
            if (equals < stop) equals++;
            out[n].value = decoded(equals, (size_t)(stop - equals), &scratch);
            n++;
        }
        p = stop + 1;
    }
    return (int)n;
}
