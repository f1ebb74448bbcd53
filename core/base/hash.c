/* Reads the last, partial word byte by byte: never past the end. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <string.h>

typedef struct state {
    uint64_t v0, v1, v2, v3;
} state;

static uint64_t rotate(uint64_t x, int by) {
    return x << by | x >> (64 - by);
}

static void mix(state *s) {
    s->v0 += s->v1, s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v3, s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 += s->v3, s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 += s->v1, s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v2 = rotate(s->v2, 32);
}

static void take(state *s, uint64_t word) {
    s->v3 ^= word;
    mix(s);
    s->v0 ^= word;
}

uint64_t ct_hash64(const ct_hash_key *key, const void *p, size_t n) {
    state s = { key->k0 ^ 0x736f6d6570736575, key->k1 ^ 0x646f72616e646f6d,
                key->k0 ^ 0x6c7967656e657261, key->k1 ^ 0x7465646279746573 };
    const uint8_t *at = p;
    uint64_t word = (uint64_t)n << 56;
    size_t left = n;

    for (; left >= 8; left -= 8, at += 8) {
        uint64_t whole;

        memcpy(&whole, at, 8);
        take(&s, whole);
    }
    for (size_t i = 0; i < left; i++) word |= (uint64_t)at[i] << 8 * i;
    take(&s, word);
    s.v2 ^= 0xff;
    for (int i = 0; i < 3; i++) mix(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
