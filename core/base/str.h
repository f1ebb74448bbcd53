/* Pure functions on bytes: ASCII only, no locale, no zero terminator. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_STR_H
#define CT_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True when both have the same bytes, ASCII letters compared without case. */
bool ct_str_same(const char *a, size_t an, const char *b, size_t bn);

/* Parses [0-9]+ and nothing else. False when empty, not digits, or > 2^63-1. */
bool ct_str_decimal(const char *p, size_t n, uint64_t *out);

/* Writes `v` in decimal to `out` (at least 20 bytes); returns the length. */
size_t ct_str_from_u64(char *out, uint64_t v);

/* Writes `v` in lower-case hex to `out` (at least 16 bytes); the length. */
size_t ct_str_from_hex(char *out, uint64_t v);

/* True when `p` is one RFC 9110 §5.6.2 token. */
bool ct_str_is_token(const char *p, size_t n);

/* True when `p` may stand as a field value (RFC 9110 §5.5): HTAB, 0x20-0x7e,
 * 0x80-0xff; empty is fine. */
bool ct_str_is_field_value(const char *p, size_t n);

/* True when `p` is valid UTF-8 (no surrogates, no overlong forms). */
bool ct_str_is_utf8(const char *p, size_t n);

/* Percent-decodes to `out` (at least `n` bytes; may be `p` itself), '+' to a
 * space when `plus`; a bad %xx stays as it is. Returns the length. */
size_t ct_str_url_decode(const char *p, size_t n, bool plus, char *out);

/* The same for one character of `n` > 0 bytes; returns how many bytes it took. */
size_t ct_str_url_decode_one(const char *p, size_t n, bool plus, char *out);

/* Percent-encodes all but A-Za-z0-9_.-~ (and '/' unless `plus`; a space becomes
 * '+' when `plus`) to `out` (at least 3n bytes). Returns the length. */
size_t ct_str_url_encode(const char *p, size_t n, bool plus, char *out);

/* Writes `p` with & < > " ' as entities to `out` (at least 6n bytes). Returns
 * the length. */
size_t ct_str_html_escape(const char *p, size_t n, char *out);

#endif
