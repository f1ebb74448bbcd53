/* What one process counts. Its loop's thread alone writes; all processes of the
 * server read, at any time, so each number is whole, but they need not fit each
 * other. Nothing is locked, and a process that is killed leaves nothing undone.
 * Lifetime: process, or, on the board (data/board.h), the server's. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_COUNTERS_H
#define CT_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

typedef _Atomic uint64_t ct_count;

enum {
    CT_COUNT_METHODS = 10,   /* enum ct_method */
    CT_COUNT_STATUSES = 600, /* higher ones are counted as 599 */
    CT_COUNT_TIMES = 19,     /* bounds; see ct_counters_bounds */
    CT_COUNT_UNIT = 4        /* slots of a name are a multiple of it */
};

/* What only grows. In the process that takes the place of a dead one it goes on. */
typedef struct ct_counters {
    ct_count replies[CT_COUNT_METHODS][CT_COUNT_STATUSES / 100];
    ct_count statuses[CT_COUNT_STATUSES];
    ct_count refused[CT_COUNT_STATUSES]; /* of these: before a handler */
    ct_count cut;                        /* requests without a whole reply */
    ct_count times[CT_COUNT_TIMES + 1];  /* replies by their time; more */
    ct_count time;                       /* of all of them: nanoseconds */
    ct_count received, sent;             /* bytes, inside of TLS */
    ct_count accepted;                   /* connections */
    ct_count full, full_ip;              /* turned away, by which limit */
    ct_count tls, tls_resumed,
        tls_failed;            /* handshakes; resumed are in `tls` */
    ct_count stalls, stopped;  /* the watchdog's */
    ct_count warnings, errors; /* lines of the log */
} ct_counters;

/* What is open now. */
typedef struct ct_gauges {
    ct_count connections, requests, websockets;
    ct_count lua;      /* bytes of its Lua states */
    ct_count resident; /* bytes of memory */
    ct_count lag;      /* ns that the last look at the clock came too late */
} ct_gauges;

/* Upper bounds of `times`, in seconds. */
extern const double ct_counters_bounds[CT_COUNT_TIMES];

static inline void ct_count_add(ct_count *c, uint64_t n) {
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline void ct_count_set(ct_count *c, uint64_t n) {
    atomic_store_explicit(c, n, memory_order_relaxed);
}

static inline uint64_t ct_count_get(const ct_count *c) {
    return atomic_load_explicit(c, memory_order_relaxed);
}

/* The numbers of one handler class, as ct_counters: CT_HANDLER_COUNTS of them. */
enum {
    CT_HANDLER_REPLIES,
    CT_HANDLER_ERRORS, /* of these: 500 and above */
    CT_HANDLER_TIME,   /* nanoseconds, in all */
    CT_HANDLER_MAX,    /* nanoseconds */
    CT_HANDLER_TIMES,  /* the first of CT_COUNT_TIMES + 1, as `times` */
    CT_HANDLER_COUNTS = CT_HANDLER_TIMES + CT_COUNT_TIMES + 1
};

/* Counts a reply that was `seconds` under way; `handler` are its class's numbers. */
void ct_counters_reply(ct_counters *c, ct_count *handler, uint32_t method,
                       uint32_t status, double seconds);

/* The time, in seconds, that a share `q` (0 to 1) of replies took at most, by how
 * many of them were in each of the CT_COUNT_TIMES + 1 times; as straight lines
 * between two bounds. 0 when there were none. */
double ct_counters_quantile(const uint64_t *times, double q);

/* Counts one that was refused before a handler had it. */
void ct_counters_refusal(ct_counters *c, uint32_t method, uint32_t status);

/* How many replies there were. */
uint64_t ct_counters_replies(const ct_counters *c);

#endif
