/* A keyed hash for tables whose keys clients choose: SipHash-1-3 (Aumasson and
 * Bernstein, 2012), of which nobody without the key can make collisions. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_HASH_H
#define CT_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct ct_hash_key {
    uint64_t k0, k1; /* random: ct_digest_random() */
} ct_hash_key;

uint64_t ct_hash64(const ct_hash_key *key, const void *p, size_t n);

#endif
