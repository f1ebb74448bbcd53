/* Digests, HMAC, base64, hex, random bytes, and a comparison that tells nothing
 * by the time it takes. From libcrypto. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_DIGEST_H
#define CT_DIGEST_H

#include "abi.h"
#include <stdbool.h>
#include <stddef.h>

enum { CT_DIGEST_SIZE = 64 }; /* of the longest */

/* Writes the SHA-1 of `n` bytes as 40 lower-case hex digits to `out`. */
void ct_digest_sha1_hex(const char *p, size_t n, char *out);

/* Writes the digest of `n` bytes to `out` (CT_DIGEST_SIZE); returns its size. */
size_t ct_digest(ct_hash hash, const char *p, size_t n, char *out);

/* A digest of bytes that come in pieces. Lifetime: its owner's. */
typedef struct ct_digest_run ct_digest_run;

/* Caller frees with ct_digest_free(). */
ct_digest_run *ct_digest_new(ct_hash hash);
void ct_digest_update(ct_digest_run *d, const void *p, size_t n);

/* As ct_digest(); only ct_digest_free() may follow. */
size_t ct_digest_final(ct_digest_run *d, char *out);

/* NULL is fine. */
void ct_digest_free(ct_digest_run *d);

/* As ct_digest(), for the HMAC with that key, which is in memory until the next one. */
size_t ct_digest_hmac(ct_hash hash, const char *key, size_t key_n,
                      const char *p, size_t n, char *out);

/* True when both have the same bytes. Only a difference in length shows in the
 * time that it takes. */
bool ct_digest_same(const char *a, size_t an, const char *b, size_t bn);

/* Writes base64 with padding to `out` (at least (n + 2) / 3 * 4 + 1 bytes: a
 * zero is written behind it); returns its length. */
size_t ct_digest_base64(const char *p, size_t n, char *out);

/* Decodes base64 to `out` (at least n / 4 * 3 bytes). False, and nothing said
 * about `out`, for other characters, white space, or wrong padding. */
bool ct_digest_unbase64(const char *p, size_t n, char *out, size_t *out_n);

/* Writes 2n lower-case hex digits to `out`. */
void ct_digest_hex(const char *p, size_t n, char *out);

/* Decodes hex digits of either case to `out` (n / 2 bytes). False for an odd
 * number of them or anything else. */
bool ct_digest_unhex(const char *p, size_t n, char *out);

/* Fills `out` with `n` bytes from getrandom(2); aborts when that fails. */
void ct_digest_random(void *out, size_t n);

#endif
