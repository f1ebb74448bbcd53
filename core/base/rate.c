/* Two processes that make a bucket for the same new key at once may make two, of
 * which the later is never found again; one that is given up while another takes
 * from it may keep what that took. Both are off by a request or two, in a race, and
 * so is what a process leaves that is killed between the two words: the new key
 * with the old one's time, which was the soonest of its window. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rate.h"

#include "base/assert.h"
#include "base/digest.h"
#include "base/hash.h"
#include <stdatomic.h>

enum { WINDOW = 8 }; /* buckets that a key may be in */

typedef struct bucket {
    _Atomic(uint64_t) key;  /* 0: never used */
    _Atomic(uint64_t) full; /* when it is full again: microseconds */
} bucket;

struct ct_rate {
    ct_hash_key key;
    uint32_t mask;
    _Alignas(64) bucket buckets[];
};

size_t ct_rate_size(uint32_t buckets) {
    return sizeof(ct_rate) + buckets * sizeof(bucket);
}

ct_rate *ct_rate_init(void *memory, uint32_t buckets) {
    ct_rate *r = memory;

    ct_assert(buckets >= WINDOW && (buckets & (buckets - 1)) == 0);
    if (r->mask) return r;
    ct_digest_random(&r->key, sizeof r->key);
    r->mask = buckets - 1;
    return r;
}

static bucket *at(ct_rate *r, uint64_t key, uint32_t i) {
    return &r->buckets[((uint32_t)(key >> 32) + i) & r->mask];
}

/* The key's bucket, or the one to be used for it. */
static bucket *find(ct_rate *r, uint64_t key) {
    bucket *best = at(r, key, 0);

    for (uint32_t i = 0; i < WINDOW; i++) {
        bucket *b = at(r, key, i);
        uint64_t found = atomic_load(&b->key);

        if (found == key) return b;
        if (atomic_load(&b->full) < atomic_load(&best->full)) best = b;
    }
    return best;
}

static bucket *get(ct_rate *r, uint64_t key) {
    bucket *b = find(r, key);
    uint64_t old = atomic_load(&b->key);

    if (old != key && atomic_compare_exchange_strong(&b->key, &old, key))
        atomic_store(&b->full, 0);
    return b;
}

static void describe(ct_rate_state *out, double ahead, double interval,
                     double burst) {
    double left = (burst * interval - ahead) / interval;

    out->remaining = left > 0 ? (uint32_t)(left + 1e-6) : 0;
    out->reset = ahead * 1e-6;
    out->retry = left >= 1 - 1e-6 ? 0 : (1 - left) * interval * 1e-6;
}

bool ct_rate_take(ct_rate *r, const void *p, size_t n, const ct_rate_rule *rule,
                  double now, ct_rate_state *out) {
    uint64_t key = ct_hash64(&r->key, p, n), time = (uint64_t)(now * 1e6);
    bucket *b = get(r, key ? key : 1);
    uint64_t full = atomic_load(&b->full);
    double ahead, interval = rule->interval * 1e6;

    do {
        ahead = full > time ? (double)(full - time) : 0;
        out->allowed = ahead + interval <= rule->burst * interval + 0.5;
        if (!out->allowed) break;
    } while (!atomic_compare_exchange_weak(
        &b->full, &full, (full > time ? full : time) + (uint64_t)interval));
    describe(out, out->allowed ? ahead + interval : ahead, interval,
             rule->burst);
    return out->allowed;
}
