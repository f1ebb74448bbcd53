/* Pure functions on bytes. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_BYTES_H
#define CT_ABI_BYTES_H
#include "abi/base.h"

/* -- Bytes: pure functions; `out` belongs to the caller --------------------- */

int ct_abi_is_token(const char *p, uint32_t size);
int ct_abi_is_field_value(const char *p, uint32_t size);
int ct_abi_is_utf8(const char *p, uint32_t size);
uint32_t ct_abi_url_decode(const char *p, uint32_t size, int plus, char *out);
uint32_t ct_abi_url_encode(const char *p, uint32_t size, int plus, char *out);
uint32_t ct_abi_html_escape(const char *p, uint32_t size, char *out);
void ct_abi_sha1_hex(const char *p, uint32_t size, char *out);
void ct_abi_random(char *out, uint32_t size);

typedef enum ct_hash {
    CT_HASH_SHA1,
    CT_HASH_SHA256,
    CT_HASH_SHA512,
    CT_HASHES
} ct_hash;

/* The digest (or HMAC) of `size` bytes, raw, to `out` (64 bytes): its length. */
uint32_t ct_abi_digest(uint32_t hash, const char *p, uint32_t size, char *out);
uint32_t ct_abi_hmac(uint32_t hash, const char *key, uint32_t key_size,
                     const char *p, uint32_t size, char *out);

/* A digest of bytes that come in pieces, of this generation (freed with it): its
 * handle, or 0 when there are CT_DIGESTS already. */
enum { CT_DIGESTS = 4096 };
uint32_t ct_abi_digest_new(ct_vm *vm, uint32_t hash);
int ct_abi_digest_update(ct_vm *vm, uint32_t digest, const char *p,
                         uint32_t size);

/* Frees the handle; before that, writes the digest to `out` (64 bytes) unless
 * that is NULL. Returns its length, 0 for an old handle. */
uint32_t ct_abi_digest_final(ct_vm *vm, uint32_t digest, char *out);

/* 1 when both have the same bytes, in a time that depends on lengths alone. */
int ct_abi_same(const char *a, uint32_t a_size, const char *b, uint32_t b_size);

/* Base64 to `out` (at least (size + 2) / 3 * 4 + 1 bytes): its length. */
uint32_t ct_abi_base64(const char *p, uint32_t size, char *out);

/* Back to bytes (`out`: at least as many as `size`): their number, or -1 for
 * what is no base64 with its padding. */
int ct_abi_unbase64(const char *p, uint32_t size, char *out);

/* The same for hex: 2 * size digits, and -1 for what is not hex. */
void ct_abi_hex(const char *p, uint32_t size, char *out);
int ct_abi_unhex(const char *p, uint32_t size, char *out);

/* The date of `at`, seconds since 1970, as HTTP writes it, and a zero byte: 30
 * bytes. What is outside of the years 1 to 9999, or NaN, becomes their first or
 * last second. */
void ct_abi_http_date(double at, char *out);

/* True when there may be a number of more than 1e99 in JSON: digits with an
 * exponent of more than two digits, or a hundred of them in a row. */
int ct_abi_has_large_number(const char *p, uint32_t size);

/* True when `p` is printable ASCII that neither begins nor ends with a space:
 * an argument that needs no cleaning. */
int ct_abi_is_clean(const char *p, uint32_t size);

/* What a cookie's value or attribute has: 0 nothing that needs quotes, 1
 * something that does, 2 also ';' or DEL, 3 also spaces or controls. */
int ct_abi_cookie_class(const char *p, uint32_t size);

/* The last value of `name` in "a=b&c", decoded to `out` (at least `size` bytes):
 * its length, -1 when there is none, -2 for more than `max` pairs. */
int ct_abi_form_last(const char *p, uint32_t size, const char *name,
                     uint32_t name_size, uint32_t max, char *out);

/* Splits "a=b&c" into decoded pairs whose bytes are in `scratch` (at least
 * `size` bytes); returns how many, or -1 for more than `max`. *ascii is 1 when
 * all that was decoded is ASCII, else 0. */
int ct_abi_form(const char *p, uint32_t size, char *scratch, ct_pair *out,
                uint32_t max, int *ascii);

/* An IP address without a port, to `out` in network order, of which IPv4 fills 4
 * bytes and IPv6 16: how many, or 0 when it is none. */
uint32_t ct_abi_ip_bytes(const char *p, uint32_t size, char *out);

/* A compiled regular expression of this generation (freed with it): its handle,
 * or 0: see ct_abi_why(). */
uint32_t ct_abi_regex(ct_vm *vm, const char *pattern, uint32_t size);

/* One for reading streams up to its first match. */
uint32_t ct_abi_regex_search(ct_vm *vm, const char *pattern, uint32_t size);

/* Where its first match ends, or -1. */
int ct_abi_regex_find(ct_vm *vm, uint32_t regex, const char *p, uint32_t size);
void ct_abi_regex_free(ct_vm *vm, uint32_t regex);
int ct_abi_regex_groups(ct_vm *vm, uint32_t regex);
const char *ct_abi_regex_name(ct_vm *vm, uint32_t regex, int group);
int ct_abi_regex_match(ct_vm *vm, uint32_t regex, const char *p, uint32_t size,
                       int32_t *offsets, int max);

#endif
