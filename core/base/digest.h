/* Digests and random bytes, from libcrypto. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_DIGEST_H
#define CT_DIGEST_H

#include <stddef.h>

/* Writes the SHA-1 of `n` bytes as 40 lower-case hex digits to `out`. */
void ct_digest_sha1_hex(const char *p, size_t n, char *out);

/* Fills `out` with `n` bytes from getrandom(2); aborts when that fails. */
void ct_digest_random(void *out, size_t n);

#endif
