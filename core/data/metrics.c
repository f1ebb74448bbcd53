/* Adding is: write all of a record to memory that nobody else has, then put its
 * offset into a free cell of the table by compare-and-swap. Whoever loses that
 * race gives the memory back if it can, and takes the winner's. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "data/metrics.h"

#include "base/digest.h"
#include <string.h>

enum { FIRST = 8, MASK = CT_METRICS_TABLE - 1 };

_Static_assert((CT_METRICS_TABLE & MASK) == 0, "a power of two");
_Static_assert(CT_METRICS_SLOTS / CT_COUNT_UNIT <= 16384,
               "14 bits of the flags of a reply");
_Static_assert(CT_HANDLER_COUNTS % CT_COUNT_UNIT == 0, "where slots begin");

ct_metrics *ct_metrics_get(ct_shared *shared) {
    ct_metrics *m = ct_shared_get(shared, "metrics", sizeof *m);

    if (!m || m->memory_used) return m;
    ct_digest_random(&m->key, sizeof m->key);
    m->memory_used = FIRST;
    m->slots_used = CT_HANDLER_COUNTS; /* those of handler 0 */
    return m;
}

/* -- Memory ---------------------------------------------------------------- */

/* Takes `n` of `most`; 0 when they are not there. */
static uint32_t take(_Atomic uint32_t *used, uint32_t n, uint32_t most) {
    uint32_t at = atomic_load(used);

    do {
        if (n > most - at) return 0;
    } while (!atomic_compare_exchange_weak(used, &at, at + n));
    return at;
}

/* Unless somebody has taken more meanwhile: then they are lost. */
static void give(_Atomic uint32_t *used, uint32_t at, uint32_t n) {
    uint32_t end = at + n;

    (void)atomic_compare_exchange_strong(used, &end, at);
}

static ct_metric *record_at(const ct_metrics *m, uint32_t at) {
    return (ct_metric *)(uintptr_t)(m->memory + at);
}

static uint32_t size_of(const ct_metric *r) {
    size_t n = sizeof *r + r->bounds * sizeof(double) + r->key_size;

    return (uint32_t)((n + r->help_size + 7) & ~(size_t)7);
}

static uint32_t whole_units(uint32_t slots) {
    return (slots + CT_COUNT_UNIT - 1) / CT_COUNT_UNIT * CT_COUNT_UNIT;
}

/* A record, what it is found by, and what else is in it. */
typedef struct draft {
    ct_metric head;
    const double *bound;
    const char *key, *help;
} draft;

static uint32_t write_record(ct_metrics *m, const draft *d) {
    uint32_t size = size_of(&d->head), slots = d->head.slots, slot = 0;
    uint32_t at = take(&m->memory_used, size, CT_METRICS_MEMORY);
    ct_metric *r;

    if (at && slots) slot = take(&m->slots_used, slots, CT_METRICS_SLOTS);
    if (!at || (slots && !slot)) {
        if (at) give(&m->memory_used, at, size);
        return 0;
    }
    r = record_at(m, at);
    memcpy(r, &d->head, sizeof *r);
    r->slot = slot;
    if (d->bound) memcpy(r->bound, d->bound, r->bounds * sizeof(double));
    if (r->key_size) memcpy(&r->bound[r->bounds], d->key, r->key_size);
    if (d->help)
        memcpy((char *)&r->bound[r->bounds] + r->key_size, d->help,
               r->help_size);
    return at;
}

static void unwrite(ct_metrics *m, uint32_t at) {
    const ct_metric *r;

    if (!at) return;
    r = record_at(m, at);
    if (r->slots) give(&m->slots_used, r->slot, r->slots);
    give(&m->memory_used, at, size_of(r));
}

/* -- The table ------------------------------------------------------------- */

static bool is_same(const ct_metric *r, const draft *d) {
    const ct_metric *h = &d->head;

    return r->kind == h->kind && r->parent == h->parent && r->type == h->type &&
           r->key_size == h->key_size && r->bounds == h->bounds &&
           memcmp(ct_metric_key(r), d->key, h->key_size) == 0 &&
           (!r->bounds ||
            memcmp(r->bound, d->bound, r->bounds * sizeof(double)) == 0);
}

/* The record, found or, with `add`, made; 0: it is not there, or no room. */
static uint32_t seek(ct_metrics *m, const draft *d, bool add) {
    uint64_t hash = ct_hash64(&m->key, d->key, d->head.key_size);
    uint32_t mine = 0;

    for (uint32_t i = 0; i < CT_METRICS_TABLE; i++) {
        _Atomic uint32_t *cell = &m->table[(hash + i) & MASK];
        uint32_t at = atomic_load_explicit(cell, memory_order_acquire);

        if (!at) {
            if (!mine && add) mine = write_record(m, d);
            if (!mine) return 0;
            if (atomic_compare_exchange_strong(cell, &at, mine)) return mine;
        }
        if (is_same(record_at(m, at), d)) {
            unwrite(m, mine);
            return at;
        }
    }
    unwrite(m, mine);
    return 0;
}

/* Likewise; 0 is counted. */
static uint32_t put(ct_metrics *m, const draft *d) {
    uint32_t at = d->head.key_size > CT_METRICS_KEY ? 0 : seek(m, d, true);

    if (!at) atomic_fetch_add(&m->dropped, 1);
    return at;
}

const ct_metric *ct_metrics_find(const ct_metrics *m, uint32_t at,
                                 ct_metric_kind kind) {
    const ct_metric *r = record_at(m, at);

    if (at < FIRST || at >= m->memory_used || at % 8) return NULL;
    if (at > CT_METRICS_MEMORY - sizeof *r) return NULL;
    return r->kind == kind ? r : NULL;
}

/* -- Names ----------------------------------------------------------------- */

uint32_t ct_metrics_family(ct_metrics *m, const ct_metric_wish *w) {
    draft d = { .head = { .kind = CT_METRIC_NAME, .key_size = w->name.n },
                .key = w->name.p };
    uint32_t name = put(m, &d), at;

    if (!name || w->bound_count > CT_METRICS_BOUNDS) return 0;
    d = (draft){ .head = { .kind = CT_METRIC_FAMILY,
                           .parent = name,
                           .key_size = w->labels.n,
                           .help_size = w->help.n,
                           .type = w->type,
                           .bounds = w->bound_count },
                 .bound = w->bounds,
                 .key = w->labels.p,
                 .help = w->help.p };
    at = put(m, &d);
    if (at) atomic_store(&record_at(m, name)->current, at);
    return at;
}

static uint32_t slot_of(const ct_metrics *m, uint32_t at) {
    return at ? record_at(m, at)->slot : 0;
}

uint32_t ct_metrics_series(ct_metrics *m, uint32_t family, const char *labels,
                           size_t size) {
    const ct_metric *f = ct_metrics_find(m, family, CT_METRIC_FAMILY);
    draft d = { .head = { .kind = CT_METRIC_SERIES,
                          .parent = family,
                          .slots = CT_COUNT_UNIT,
                          .key_size = (uint32_t)size },
                .key = labels };

    if (!f) return 0;
    if (f->type == CT_METRIC_HISTOGRAM)
        d.head.slots = whole_units(f->bounds + 2);
    return slot_of(m, put(m, &d));
}

uint32_t ct_metrics_handler(ct_metrics *m, const char *labels, size_t size) {
    draft d = { .head = { .kind = CT_METRIC_HANDLER,
                          .slots = CT_HANDLER_COUNTS,
                          .key_size = (uint32_t)size },
                .key = labels };

    return slot_of(m, put(m, &d));
}

uint32_t ct_metrics_copy(ct_metrics *m, const ct_metric *r, uint32_t parent,
                         bool add) {
    draft d = { .head = { .kind = r->kind,
                          .parent = parent,
                          .slots = r->slots,
                          .key_size = r->key_size,
                          .help_size = r->help_size,
                          .type = r->type,
                          .bounds = r->bounds },
                .bound = r->bounds ? r->bound : NULL,
                .key = ct_metric_key(r),
                .help = ct_metric_help(r) };
    uint32_t at = seek(m, &d, add), none = 0;

    if (at && add && r->kind == CT_METRIC_FAMILY)
        (void)atomic_compare_exchange_strong(&record_at(m, parent)->current,
                                             &none, at);
    return at;
}

/* -- Numbers --------------------------------------------------------------- */

/* A gauge that nobody has set is all zero bits; 0 itself is kept as -0. */
static uint64_t bits_of(double n) {
    uint64_t bits;

    if (n == 0) n = -0.0;
    memcpy(&bits, &n, sizeof bits);
    return bits;
}

double ct_metrics_value(const ct_count *slots, uint32_t slot) {
    uint64_t bits = ct_count_get(&slots[slot]);
    double n;

    memcpy(&n, &bits, sizeof n);
    return n == 0 ? 0 : n;
}

void ct_metrics_set(ct_count *slots, uint32_t slot, double n) {
    ct_count_set(&slots[slot], bits_of(n));
}

void ct_metrics_add(ct_count *slots, uint32_t slot, double n) {
    ct_metrics_set(slots, slot, ct_metrics_value(slots, slot) + n);
}

void ct_metrics_observe(ct_count *slots, const ct_metric *family, uint32_t slot,
                        double value) {
    uint32_t i = 0;

    while (i < family->bounds && value > family->bound[i]) i++;
    ct_metrics_add(slots, slot + i, 1);
    ct_metrics_add(slots, slot + family->bounds + 1, value);
}

static bool is_gauge(const ct_metrics *m, const ct_metric *series) {
    const ct_metric *f = ct_metrics_find(m, series->parent, CT_METRIC_FAMILY);

    return f && f->type >= CT_METRIC_GAUGE && f->type <= CT_METRIC_GAUGE_MIN;
}

/* The master does so, which may be root, with what a worker has written. */
void ct_metrics_clear(ct_metrics *m, uint32_t row) {
    for (uint32_t i = 0; i < CT_METRICS_TABLE; i++) {
        uint32_t at = atomic_load_explicit(&m->table[i], memory_order_acquire);

        const ct_metric *r = ct_metrics_find(m, at, CT_METRIC_SERIES);
        uint32_t slot = r ? r->slot : CT_METRICS_SLOTS;

        if (slot < CT_METRICS_SLOTS && is_gauge(m, r))
            ct_count_set(&m->rows[row][slot], 0);
    }
}
