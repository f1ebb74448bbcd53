/* Series of numbers by name, which all processes of a server count in: the shared
 * piece "metrics". Names are only ever added, so that a slot, once known, stays.
 * A row of slots belongs to each worker, which alone writes there; who reads adds
 * the rows up. Nothing is locked: a process that is killed while it adds a name
 * loses the memory of that name, no more. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_METRICS_H
#define CT_METRICS_H

#include "abi.h"
#include "base/counters.h"
#include "base/hash.h"
#include "data/board.h"
#include "data/shared.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CT_METRICS_SLOTS = 65536,   /* of a row, in units of CT_COUNT_UNIT */
    CT_METRICS_TABLE = 16384,   /* cells; a power of two */
    CT_METRICS_MEMORY = 1 << 21 /* bytes of names */
};

typedef enum ct_metric_kind {
    CT_METRIC_NAME,   /* what a family is called; leads to the newest of them */
    CT_METRIC_FAMILY, /* a name with its type, labels and bounds */
    CT_METRIC_SERIES, /* the label values of a family */
    CT_METRIC_HANDLER /* a handler class */
} ct_metric_kind;

typedef struct ct_metric {
    uint32_t kind;   /* ct_metric_kind */
    uint32_t parent; /* of a series: its family; of a family: its name */
    uint32_t slot, slots;
    uint32_t key_size, help_size;
    uint32_t type, bounds; /* of a family */
    _Atomic uint32_t
        current; /* of a name: the family that was last asked for */
    double
        bound[]; /* `bounds` of them; then `key_size` and `help_size` bytes */
} ct_metric;

typedef struct ct_metrics {
    ct_hash_key key; /* random: label values may be a client's choice */
    _Atomic uint32_t memory_used, slots_used;
    ct_count dropped;                         /* names that found no room */
    _Atomic uint32_t table[CT_METRICS_TABLE]; /* offsets in `memory`; 0: free */
    _Alignas(8) char memory[CT_METRICS_MEMORY];
    ct_count rows[CT_WORKERS + 1][CT_METRICS_SLOTS]; /* last: the elders' */
} ct_metrics;

/* The piece of that name in `shared`; NULL with errno set when there is no memory.
 * The master asks for it first. */
ct_metrics *ct_metrics_get(ct_shared *shared);

/* The family of a name, which is the one shown of those of this name from here
 * on; 0: no room. Help is that of the first who asked. */
uint32_t ct_metrics_family(ct_metrics *m, const ct_metric_wish *wish);

/* The first slot of a series of a family: of one with these labels, as they are
 * printed (a="x",b="y"; escaped); 0: no room. */
uint32_t ct_metrics_series(ct_metrics *m, uint32_t family, const char *labels,
                           size_t size);

/* The first of CT_HANDLER_COUNTS slots for a handler class; 0: no room. */
uint32_t ct_metrics_handler(ct_metrics *m, const char *labels, size_t size);

/* What `at` stands for; NULL when it is none, or not of that kind. */
const ct_metric *ct_metrics_find(const ct_metrics *m, uint32_t at,
                                 ct_metric_kind kind);

/* The same record here as `r`, which is of other metrics: its parent's record is
 * `parent` here. With `add` it is made if there is none; a family is then only shown
 * if nobody has asked for its name. 0: there is none, or no room. */
uint32_t ct_metrics_copy(ct_metrics *m, const ct_metric *r, uint32_t parent,
                         bool add);

/* The place of a process is taken by another: its gauges are 0, its counters go
 * on. */
void ct_metrics_clear(ct_metrics *m, uint32_t row);

/* Numbers are doubles, but those of handlers. `slots` is a row. */
void ct_metrics_add(ct_count *slots, uint32_t slot, double n);
void ct_metrics_set(ct_count *slots, uint32_t slot, double n);
double ct_metrics_value(const ct_count *slots, uint32_t slot);

/* Adds a value to a series of a histogram: slots for each bound and for what is
 * above, and then their sum. */
void ct_metrics_observe(ct_count *slots, const ct_metric *family, uint32_t slot,
                        double value);

static inline const char *ct_metric_key(const ct_metric *r) {
    return (const char *)&r->bound[r->bounds];
}

static inline const char *ct_metric_help(const ct_metric *r) {
    return ct_metric_key(r) + r->key_size;
}

#endif
