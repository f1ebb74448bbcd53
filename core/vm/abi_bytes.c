/* The part of abi.h that is pure functions on bytes. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/form.h"
#include "base/str.h"
#include "io/address.h"
#include <stdbool.h>
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

uint32_t ct_abi_digest(uint32_t hash, const char *p, uint32_t size, char *out) {
    return (uint32_t)ct_digest((ct_hash)hash, p, size, out);
}

uint32_t ct_abi_hmac(uint32_t hash, const char *key, uint32_t key_size,
                     const char *p, uint32_t size, char *out) {
    return (uint32_t)ct_digest_hmac((ct_hash)hash, key, key_size, p, size, out);
}

int ct_abi_same(const char *a, uint32_t a_size, const char *b,
                uint32_t b_size) {
    return ct_digest_same(a, a_size, b, b_size);
}

uint32_t ct_abi_base64(const char *p, uint32_t size, char *out) {
    return (uint32_t)ct_digest_base64(p, size, out);
}

int ct_abi_unbase64(const char *p, uint32_t size, char *out) {
    size_t n;

    return ct_digest_unbase64(p, size, out, &n) ? (int)n : -1;
}

void ct_abi_hex(const char *p, uint32_t size, char *out) {
    ct_digest_hex(p, size, out);
}

int ct_abi_unhex(const char *p, uint32_t size, char *out) {
    return ct_digest_unhex(p, size, out) ? (int)(size / 2) : -1;
}

void ct_abi_http_date(double at, char *out) {
    static const double FAR = 1e12; /* behind the year 9999; NaN is before */

    ct_clock_format_date((time_t)(at > -FAR ? at < FAR ? at : FAR : -FAR), out);
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Behind a digit at `i`: "e999" or "E+999". */
static bool has_large_exponent(const char *p, uint32_t i, uint32_t size) {
    if (++i == size || (p[i] != 'e' && p[i] != 'E')) return false;
    if (i + 1 < size && p[i + 1] == '+') i++;
    return size - i > 3 && is_digit(p[i + 1]) && is_digit(p[i + 2]) &&
           is_digit(p[i + 3]);
}

int ct_abi_has_large_number(const char *p, uint32_t size) {
    uint32_t row = 0;

    for (uint32_t i = 0; i < size; i++) {
        row = is_digit(p[i]) ? row + 1 : 0;
        if (row && (row == 100 || has_large_exponent(p, i, size))) return 1;
    }
    return 0;
}

int ct_abi_is_clean(const char *p, uint32_t size) {
    if (!size) return 1;
    if (p[0] == ' ' || p[size - 1] == ' ') return 0;
    for (uint32_t i = 0; i < size; i++)
        if (p[i] < 0x20 || p[i] == 0x7f) return 0;
    return 1;
}

int ct_abi_cookie_class(const char *p, uint32_t size) {
    int class = 0;

    for (uint32_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)p[i];

        if (c <= 0x20) return 3;
        if (c == ';' || c == 0x7f)
            class = 2;
        else if (c != ':' && !ct_str_is_token(p + i, 1) && class == 0)
            class = 1;
    }
    return class;
}

int ct_abi_form_last(const char *p, uint32_t size, const char *name,
                     uint32_t name_size, uint32_t max, char *out) {
    return ct_form_last(p, size, (ct_str){ name, name_size }, max, out);
}

int ct_abi_form(const char *p, uint32_t size, char *scratch, ct_pair *out,
                uint32_t max, int *ascii) {
    bool all = false;
    int n = ct_form_split(p, size, scratch, out, max, &all);

    *ascii = all;
    return n;
}

uint32_t ct_abi_ip_bytes(const char *p, uint32_t size, char *out) {
    ct_peer peer;

    if (!ct_peer_parse(&peer, p, size)) return 0;
    memcpy(out, peer.ip, sizeof peer.ip);
    return peer.family == AF_INET ? 4 : 16;
}
