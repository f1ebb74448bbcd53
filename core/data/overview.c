/* SPDX-License-Identifier: Apache-2.0 */
#include "data/overview.h"

#include "base/mem.h"
#include "data/text.h"
#include <stdlib.h>
#include <string.h>

/* What stands before the name in a record. */
static const char LABEL[] = "handler=";

static unsigned long long of(const ct_count *c) {
    return ct_count_get(c);
}

/* -- Workers --------------------------------------------------------------- */

static void put_worker(ct_text *t, uint32_t index, const ct_board_row *r) {
    static const char *const states[] = { "down", "starting", "serving",
                                          "ending" };
    uint32_t state = r->state;

    ct_text_put(t, "%s{\"worker\":%u,\"pid\":%d,\"state\":\"%s\"",
                index ? "," : "", index + 1, (int)r->pid,
                states[state < 4 ? state : 0]);
    ct_text_put(t, ",\"generation\":%u,\"old\":%u,\"started\":%lld",
                r->generation, r->old, (long long)r->started);
    ct_text_put(t, ",\"connections\":%llu,\"requests\":%llu",
                of(&r->now.connections), of(&r->now.requests));
    ct_text_put(t, ",\"websockets\":%llu,\"handled\":%llu",
                of(&r->now.websockets),
                (unsigned long long)ct_counters_replies(&r->counters));
    ct_text_put(t, ",\"lua\":%llu,\"resident\":%llu,\"lag\":%.6f",
                of(&r->now.lua), of(&r->now.resident),
                (double)of(&r->now.lag) * 1e-9);
    ct_text_put(t, ",\"stalls\":%llu,\"errors\":%llu", of(&r->counters.stalls),
                of(&r->counters.errors));
    ct_text_put(t, ",\"restarts\":%u}", r->restarts);
}

static void put_workers(ct_text *t, const ct_board *b) {
    ct_text_put(t, "\"workers\":[");
    for (uint32_t i = 0; i < ct_board_workers(b); i++)
        put_worker(t, i, &b->rows[i]);
    ct_text_put(t, "]");
}

static void put_statuses(ct_text *t, const ct_board *b) {
    uint32_t rows = ct_board_rows(b);
    const char *comma = "";

    ct_text_put(t, ",\"statuses\":{");
    for (uint32_t code = 100; code < CT_COUNT_STATUSES; code++) {
        unsigned long long n = 0;

        for (uint32_t i = ct_board_first(b); i <= rows; i++)
            n += of(&b->rows[ct_board_row_of(i, rows)].counters.statuses[code]);
        if (!n) continue;
        ct_text_put(t, "%s\"%u\":%llu", comma, code, n);
        comma = ",";
    }
    ct_text_put(t, "}");
}

/* -- Handlers -------------------------------------------------------------- */

typedef struct handler {
    const ct_metric *record;
    uint64_t numbers[CT_HANDLER_COUNTS];
} handler;

static void add_up(handler *h, const ct_board *b, const ct_metrics *m) {
    uint32_t rows = ct_board_rows(b);

    for (uint32_t i = ct_board_first(b); i <= rows; i++)
        for (uint32_t k = 0; k < CT_HANDLER_COUNTS; k++) {
            const ct_count *row = m->rows[ct_board_row_of(i, rows)];
            uint64_t n = ct_count_get(&row[h->record->slot + k]);

            if (k != CT_HANDLER_MAX)
                h->numbers[k] += n;
            else if (n > h->numbers[k])
                h->numbers[k] = n;
        }
}

static int by_time(const void *a, const void *b) {
    const handler *x = a, *y = b;
    uint64_t m = x->numbers[CT_HANDLER_TIME], n = y->numbers[CT_HANDLER_TIME];

    return m != n ? (m < n) - (m > n) : (x > y) - (x < y);
}

/* Those that have answered; returns how many. */
static uint32_t collect(handler *list, const ct_board *b, const ct_metrics *m) {
    uint32_t count = 0;

    for (uint32_t i = 0; i < CT_METRICS_TABLE; i++) {
        uint32_t at = atomic_load_explicit(&m->table[i], memory_order_acquire);
        handler h = { .record = ct_metrics_find(m, at, CT_METRIC_HANDLER) };

        if (!h.record) continue;
        add_up(&h, b, m);
        if (h.numbers[CT_HANDLER_REPLIES]) list[count++] = h;
    }
    qsort(list, count, sizeof *list, by_time);
    return count;
}

static double most(const handler *h) {
    return (double)h->numbers[CT_HANDLER_MAX] * 1e-9;
}

/* A straight line between two bounds may go beyond what there was. */
static double quantile(const handler *h, double q) {
    double n = ct_counters_quantile(&h->numbers[CT_HANDLER_TIMES], q);

    return n < most(h) ? n : most(h);
}

static void put_handler(ct_text *t, const handler *h) {
    const char *label = ct_metric_key(h->record);
    size_t skipped = sizeof LABEL - 1;

    if (h->record->key_size <= skipped) return;
    ct_text_put(t, "%s\n{\"name\":", t->samples++ ? "," : "");
    ct_buf_add(&t->out, label + skipped, h->record->key_size - skipped);
    ct_text_put(t, ",\"requests\":%llu,\"errors\":%llu",
                (unsigned long long)h->numbers[CT_HANDLER_REPLIES],
                (unsigned long long)h->numbers[CT_HANDLER_ERRORS]);
    ct_text_put(t, ",\"seconds\":%.9g,\"max\":%.9g",
                (double)h->numbers[CT_HANDLER_TIME] * 1e-9, most(h));
    ct_text_put(t, ",\"p50\":%.9g,\"p99\":%.9g}", quantile(h, 0.5),
                quantile(h, 0.99));
}

static void put_handlers(ct_text *t, const ct_board *b, const ct_metrics *m) {
    handler *list =
        ct_alloc(CT_METRICS_SLOTS / CT_HANDLER_COUNTS * sizeof *list);
    uint32_t count = collect(list, b, m);

    ct_text_put(t, ",\"handlers\":[");
    for (uint32_t i = 0; i < count && i < CT_OVERVIEW_HANDLERS; i++)
        put_handler(t, &list[i]);
    ct_text_put(t, "]");
    ct_free(list);
}

char *ct_overview_text(const ct_board *b, const ct_metrics *m) {
    ct_text t = { .json = true };

    ct_text_put(&t, "{");
    put_workers(&t, b);
    put_statuses(&t, b);
    put_handlers(&t, b, m);
    ct_text_put(&t, "}");
    ct_buf_add(&t.out, "", 1);
    return t.out.data;
}
