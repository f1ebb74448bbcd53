/* Numbers are only ever raised, by compare-and-swap, to sums which never fall: it does
 * not matter which processes do so at a time, nor how late one of them is. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "data/past.h"

#include <string.h>

/* The number is that of the layout: another one when ct_board, ct_metrics or what is
 * in them changes, or what one of their numbers means. */
static const char BOARD[] = "elder-board-2";
static const char METRICS[] = "elder-metrics-1";

_Static_assert(sizeof(ct_board) == 4769992 && sizeof(ct_metrics) == 136904736,
               "another layout: it needs another number, and here its sizes");

enum { COUNTERS = sizeof(ct_counters) / sizeof(ct_count) };

/* -- Sums ------------------------------------------------------------------ */

static void raise_count(ct_count *c, uint64_t n) {
    uint64_t was = ct_count_get(c);

    while (was < n && !atomic_compare_exchange_weak(c, &was, n)) continue;
}

static void raise_small(_Atomic uint32_t *c, uint32_t n) {
    uint32_t was = atomic_load(c);

    while (was < n && !atomic_compare_exchange_weak(c, &was, n)) continue;
}

static double number_of(uint64_t bits) {
    double n;

    memcpy(&n, &bits, sizeof n);
    return n;
}

static void raise_number(ct_count *c, double n) {
    uint64_t was = ct_count_get(c), bits;

    memcpy(&bits, &n, sizeof bits);
    while (number_of(was) < n && !atomic_compare_exchange_weak(c, &was, bits))
        continue;
}

/* -- What the framework counts --------------------------------------------- */

static const ct_count *counters_of(const ct_board *b, uint32_t row) {
    return (const ct_count *)(const void *)&b->rows[row].counters;
}

static void carry_board(const ct_past *p) {
    const ct_board *old = p->old_board;
    uint32_t rows = ct_board_rows(old);
    uint64_t sums[COUNTERS] = { 0 };
    ct_count *to = (ct_count *)(void *)&p->board->rows[CT_BOARD_PAST].counters;

    for (uint32_t i = 0; i <= rows; i++) {
        const ct_count *row = counters_of(old, ct_board_row_of(i, rows));

        for (uint32_t k = 0; k < COUNTERS; k++)
            sums[k] += ct_count_get(&row[k]);
    }
    for (uint32_t k = 0; k < COUNTERS; k++) raise_count(&to[k], sums[k]);
    raise_small(&p->board->past_replaced, old->replaced + old->past_replaced);
    raise_small(&p->board->past_reloads, old->reloads + old->past_reloads);
    raise_small(&p->board->past_reloads_failed,
                old->reloads_failed + old->past_reloads_failed);
    p->board->past_started = ct_board_service_started(old);
    p->board->past_upgrades = old->past_upgrades + 1;
    raise_count(&p->board->past_dropped,
                ct_count_get(&p->old_metrics->dropped) +
                    ct_count_get(&old->past_dropped));
}

/* -- Handlers and applications --------------------------------------------- */

/* A number of a handler: the sum of all rows, or the most. */
static uint64_t count_at(const ct_past *p, uint32_t slot, bool most) {
    uint32_t rows = ct_board_rows(p->old_board);
    uint64_t n = 0;

    for (uint32_t i = 0; i <= rows; i++) {
        uint64_t one =
            ct_count_get(&p->old_metrics->rows[ct_board_row_of(i, rows)][slot]);

        n = !most ? n + one : one > n ? one : n;
    }
    return n;
}

static double value_at(const ct_past *p, uint32_t slot) {
    uint32_t rows = ct_board_rows(p->old_board);
    double n = 0;

    for (uint32_t i = 0; i <= rows; i++)
        n += ct_metrics_value(p->old_metrics->rows[ct_board_row_of(i, rows)],
                              slot);
    return n;
}

/* A process that is not trusted may have written it. */
static bool is_sound(const ct_metrics *m, const ct_metric *r) {
    size_t at = (size_t)((const char *)r - m->memory);
    size_t size = sizeof *r + (size_t)r->bounds * sizeof(double) +
                  (size_t)r->key_size + r->help_size;

    return at + size <= CT_METRICS_MEMORY && r->bounds <= CT_METRICS_BOUNDS &&
           r->key_size <= CT_METRICS_KEY && r->slot <= CT_METRICS_SLOTS &&
           r->slots <= CT_METRICS_SLOTS - r->slot;
}

static const ct_metric *find(const ct_past *p, uint32_t at,
                             ct_metric_kind kind) {
    const ct_metric *r = ct_metrics_find(p->old_metrics, at, kind);

    return r && is_sound(p->old_metrics, r) ? r : NULL;
}

static void carry_handler(const ct_past *p, const ct_metric *old) {
    uint32_t at = ct_metrics_copy(p->metrics, old, 0, true);
    const ct_metric *r = ct_metrics_find(p->metrics, at, CT_METRIC_HANDLER);
    ct_count *to = p->metrics->rows[CT_BOARD_PAST];

    if (!r || old->slots != CT_HANDLER_COUNTS) return;
    for (uint32_t k = 0; k < CT_HANDLER_COUNTS; k++)
        raise_count(&to[r->slot + k],
                    count_at(p, old->slot + k, k == CT_HANDLER_MAX));
}

/* The sum of a histogram falls when values below 0 are observed. */
static void carry_numbers(const ct_past *p, const ct_metric *family,
                          const ct_metric *old, uint32_t slot) {
    bool histogram = family->type == CT_METRIC_HISTOGRAM;
    uint32_t count = histogram ? family->bounds + 2 : 1;
    ct_count *to = p->metrics->rows[CT_BOARD_PAST];

    if (count > old->slots) return;
    for (uint32_t k = 0; k < count; k++) {
        double n = value_at(p, old->slot + k);
        bool sum = histogram && k == count - 1;

        if (sum && (n < 0 || (count > 2 && family->bound[0] < 0)))
            ct_metrics_set(to, slot + k, n);
        else
            raise_number(&to[slot + k], n);
    }
}

/* While sites load the families are theirs to add: the help shown is the first's who
 * asks. */
static void carry_series(const ct_past *p, const ct_metric *old) {
    bool add = p->loaded;
    const ct_metric *family = find(p, old->parent, CT_METRIC_FAMILY);
    const ct_metric *name =
        family ? find(p, family->parent, CT_METRIC_NAME) : NULL;
    const ct_metric *r;
    uint32_t at;

    if (!name || (family->type != CT_METRIC_COUNTER &&
                  family->type != CT_METRIC_HISTOGRAM))
        return;
    at = ct_metrics_copy(p->metrics, name, 0, add);
    if (at) at = ct_metrics_copy(p->metrics, family, at, add);
    if (at) at = ct_metrics_copy(p->metrics, old, at, true);
    r = ct_metrics_find(p->metrics, at, CT_METRIC_SERIES);
    if (r && r->slots == old->slots) carry_numbers(p, family, old, r->slot);
}

static void carry_metrics(const ct_past *p) {
    for (uint32_t i = 0; i < CT_METRICS_TABLE; i++) {
        uint32_t at = atomic_load_explicit(&p->old_metrics->table[i],
                                           memory_order_acquire);
        const ct_metric *r = find(p, at, CT_METRIC_HANDLER);

        if (r) carry_handler(p, r);
        r = find(p, at, CT_METRIC_SERIES);
        if (r) carry_series(p, r);
    }
}

/* -- All ------------------------------------------------------------------- */

void ct_past_forget(ct_shared *shared) {
    ct_shared_drop(shared, "elder-"); /* of whatever layout */
}

static void let_go(ct_past *p) {
    p->old_board = NULL;
    p->old_metrics = NULL;
    ct_past_forget(p->shared);
}

void ct_past_init(ct_past *p, ct_shared *shared, ct_board *board,
                  ct_metrics *metrics) {
    *p = (ct_past){ .shared = shared, .board = board, .metrics = metrics };
    p->old_board = ct_shared_find(shared, BOARD, sizeof *board);
    p->old_metrics = ct_shared_find(shared, METRICS, sizeof *metrics);
    if (p->old_board && p->old_metrics)
        ct_past_carry(p);
    else
        let_go(p);
}

void ct_past_carry(ct_past *p) {
    bool last = !p->board->elder;

    if (!p->old_board) return;
    carry_board(p);
    carry_metrics(p);
    if (last) let_go(p);
}

void ct_past_lend(const ct_shared *shared, ct_shared *heir) {
    ct_shared_lend(shared, "board", heir, BOARD);
    ct_shared_lend(shared, "metrics", heir, METRICS);
}
