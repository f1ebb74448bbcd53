/* Rate limits for keys that clients choose, in a block of memory that processes
 * may share: no locks, no allocation, a fixed size. A bucket is two words, the
 * hash of its key and the time at which it will be full again (GCRA), so that
 * taking from it is one compare-and-swap. When a key finds no room, the bucket
 * that is full soonest is given up: what is lost is the least. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_RATE_H
#define CT_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ct_rate ct_rate;

typedef struct ct_rate_rule {
    double interval; /* seconds in which a bucket gets one back, 1e-6 to 1e6 */
    double burst;    /* what it holds, 1 or more */
} ct_rate_rule;

typedef struct ct_rate_state {
    bool allowed;
    uint32_t remaining; /* that would be allowed at once */
    double retry;       /* seconds until one is allowed; 0: now */
    double reset;       /* seconds until the bucket is full */
} ct_rate_state;

/* How many bytes a table of that many buckets (a power of two, 8 or more) has. */
size_t ct_rate_size(uint32_t buckets);

/* Makes a table in zeroed memory of that size, aligned to 64 bytes; with a random
 * key. One that is there already stays. Before others look at it. */
ct_rate *ct_rate_init(void *memory, uint32_t buckets);

/* Takes one from the bucket of the key `p`. `now`: CLOCK_MONOTONIC, in seconds,
 * which all processes have in common. Returns whether it was allowed. */
bool ct_rate_take(ct_rate *r, const void *p, size_t n, const ct_rate_rule *rule,
                  double now, ct_rate_state *out);

#endif
