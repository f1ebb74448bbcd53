/* Rows of workers are added up; what belongs to a process has its worker as a
 * label. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "data/metrics_text.h"

#include "abi.h"
#include "base/mem.h"
#include "base/version.h"
#include "data/text.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct writer {
    ct_text t;
    const ct_board *board;
    const ct_metrics *metrics;
    uint32_t first, rows; /* see ct_board_first() */
    uint32_t workers;
    double now; /* seconds since 1970 */
} writer;

/* -- Adding up ------------------------------------------------------------- */

/* The sum of a number at an offset in ct_board_row. */
static double sum(const writer *w, size_t offset) {
    bool grows = offset >= offsetof(ct_board_row, counters);
    double n = 0;

    for (uint32_t i = grows ? w->first : 0; i <= w->rows; i++) {
        const char *row =
            (const char *)&w->board->rows[ct_board_row_of(i, w->rows)];

        n += (double)ct_count_get(
            (const ct_count *)(const void *)(row + offset));
    }
    return n;
}

#define COUNTER(field) offsetof(ct_board_row, counters.field)
#define GAUGE(field)   offsetof(ct_board_row, now.field)

static void begin(writer *w, const char *name, const char *type,
                  const char *help) {
    ct_text_begin(&w->t, name, strlen(name), type, help, strlen(help));
}

static void sample(writer *w, const char *labels, double value) {
    ct_text_sample(&w->t, labels, strlen(labels), value);
}

static void single(writer *w, const char *name, const char *type,
                   const char *help, double value) {
    begin(w, name, type, help);
    sample(w, "", value);
    ct_text_end(&w->t);
}

/* -- Requests -------------------------------------------------------------- */

static void put_requests(writer *w) {
    static const char *const methods[CT_COUNT_METHODS] = {
        "other",  "GET",     "HEAD",  "POST",  "PUT",
        "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"
    };

    begin(w, "ctornado_http_requests_total", "counter",
          "Requests answered, by method and class of the status.");
    for (uint32_t m = 0; m < CT_COUNT_METHODS; m++)
        for (uint32_t c = 1; c < CT_COUNT_STATUSES / 100; c++) {
            double n =
                sum(w, COUNTER(replies) + (m * (CT_COUNT_STATUSES / 100) + c) *
                                              sizeof(ct_count));
            char labels[64];

            snprintf(labels, sizeof labels, "method=\"%s\",status=\"%uxx\"",
                     methods[m], c);
            if (n > 0 || (m == CT_METHOD_GET && c != 1)) sample(w, labels, n);
        }
    ct_text_end(&w->t);
}

/* One series for each status that there was. */
static void put_statuses(writer *w, const char *name, const char *help,
                         size_t offset) {
    begin(w, name, "counter", help);
    for (uint32_t i = 100; i < CT_COUNT_STATUSES; i++) {
        double n = sum(w, offset + i * sizeof(ct_count));
        char labels[32];

        snprintf(labels, sizeof labels, "code=\"%u\"", i);
        if (n > 0) sample(w, labels, n);
    }
    ct_text_end(&w->t);
}

static void put_times(writer *w) {
    double counts[CT_COUNT_TIMES + 1];
    ct_text_histogram h = { .bounds = ct_counters_bounds,
                            .counts = counts,
                            .n = CT_COUNT_TIMES,
                            .sum = sum(w, COUNTER(time)) * 1e-9 };

    for (uint32_t i = 0; i <= CT_COUNT_TIMES; i++)
        counts[i] = sum(w, COUNTER(times) + i * sizeof(ct_count));
    begin(w, "ctornado_http_request_duration_seconds", "histogram",
          "Time from the end of a request's head to the end of its reply.");
    ct_text_histogram_sample(&w->t, "", 0, &h);
    ct_text_end(&w->t);
}

/* -- Single numbers -------------------------------------------------------- */

typedef struct number {
    const char *name, *labels, *help; /* help NULL: of the family before */
    size_t offset;
    bool gauge;
} number;

static const number numbers[] = {
    { "ctornado_http_requests_in_flight", "", "Requests under way.",
      GAUGE(requests), true },
    { "ctornado_http_requests_cut_total", "",
      "Requests that got no whole reply: the client left, or a handler failed.",
      COUNTER(cut), false },
    { "ctornado_http_received_bytes_total", "",
      "Bytes received, inside of TLS.", COUNTER(received), false },
    { "ctornado_http_sent_bytes_total", "", "Bytes sent, inside of TLS.",
      COUNTER(sent), false },
    { "ctornado_connections_open", "", "HTTP connections.", GAUGE(connections),
      true },
    { "ctornado_connections_accepted_total", "", "HTTP connections so far.",
      COUNTER(accepted), false },
    { "ctornado_connections_refused_total", "limit=\"max_connections\"",
      "Connections answered 503, by the limit that was reached.", COUNTER(full),
      false },
    { "ctornado_connections_refused_total", "limit=\"max_connections_per_ip\"",
      NULL, COUNTER(full_ip), false },
    { "ctornado_websockets_open", "", "WebSockets, of clients and servers.",
      GAUGE(websockets), true },
    { "ctornado_tls_handshakes_total", "result=\"ok\"",
      "TLS handshakes as a server.", COUNTER(tls), false },
    { "ctornado_tls_handshakes_total", "result=\"failed\"", NULL,
      COUNTER(tls_failed), false },
    { "ctornado_tls_resumed_total", "",
      "Handshakes that went on with an earlier session.", COUNTER(tls_resumed),
      false },
    { "ctornado_loop_stalls_total", "",
      "Times that Lua held the loop longer than stall_warning.",
      COUNTER(stalls), false },
    { "ctornado_loop_stopped_total", "",
      "Times that Lua was stopped by cpu_limit.", COUNTER(stopped), false },
    { "ctornado_log_lines_total", "level=\"warning\"",
      "Warnings and errors, whether they were logged or not.",
      COUNTER(warnings), false },
    { "ctornado_log_lines_total", "level=\"error\"", NULL, COUNTER(errors),
      false },
};

static void put_numbers(writer *w) {
    const size_t count = sizeof numbers / sizeof *numbers;

    for (size_t i = 0; i < count; i++) {
        const number *n = &numbers[i];

        if (n->help) begin(w, n->name, n->gauge ? "gauge" : "counter", n->help);
        sample(w, n->labels, sum(w, n->offset));
        if (i + 1 == count || n[1].help) ct_text_end(&w->t);
    }
}

/* Those that no request is under way on; a request may outlive its connection. */
static void put_idle(writer *w) {
    double idle = sum(w, GAUGE(connections)) - sum(w, GAUGE(requests));

    single(w, "ctornado_connections_idle", "gauge",
           "HTTP connections without a request under way.",
           idle > 0 ? idle : 0);
}

/* -- Processes ------------------------------------------------------------- */

typedef struct of_worker {
    const char *name, *help;
    double (*get)(const writer *w, const ct_board_row *r);
} of_worker;

static double is_up(const writer *w, const ct_board_row *r) {
    (void)w;
    return r->state == CT_WORKER_SERVING;
}

static double generation(const writer *w, const ct_board_row *r) {
    (void)w;
    return r->generation;
}

static double old(const writer *w, const ct_board_row *r) {
    (void)w;
    return r->old;
}

static double lua(const writer *w, const ct_board_row *r) {
    (void)w;
    return (double)ct_count_get(&r->now.lua);
}

static double resident(const writer *w, const ct_board_row *r) {
    (void)w;
    return (double)ct_count_get(&r->now.resident);
}

static double lag(const writer *w, const ct_board_row *r) {
    (void)w;
    return (double)ct_count_get(&r->now.lag) * 1e-9;
}

static double uptime(const writer *w, const ct_board_row *r) {
    return r->started ? w->now - (double)r->started : 0;
}

static const of_worker of_workers[] = {
    { "ctornado_worker_up", "1 while the worker serves.", is_up },
    { "ctornado_worker_uptime_seconds", "Age of the process.", uptime },
    { "ctornado_worker_generation", "How often its sites were loaded.",
      generation },
    { "ctornado_worker_old_generations",
      "Earlier generations that still have work.", old },
    { "ctornado_worker_lua_bytes", "Memory of its Lua state.", lua },
    { "ctornado_worker_resident_bytes", "Memory of the process.", resident },
    { "ctornado_worker_loop_lag_seconds",
      "How late the last tick of a second was.", lag },
};

static void put_workers(writer *w) {
    for (size_t k = 0; k < sizeof of_workers / sizeof *of_workers; k++) {
        begin(w, of_workers[k].name, "gauge", of_workers[k].help);
        for (uint32_t i = 0; i < w->workers; i++) {
            char labels[32];

            snprintf(labels, sizeof labels, "worker=\"%u\"", i + 1);
            sample(w, labels, of_workers[k].get(w, &w->board->rows[i]));
        }
        ct_text_end(&w->t);
    }
}

static void put_server(writer *w) {
    const ct_board *b = w->board;

    begin(w, "ctornado_build_info", "gauge", "The version that runs.");
    sample(w, "version=\"" CT_VERSION_TEXT "\"", 1);
    ct_text_end(&w->t);
    single(w, "ctornado_start_time_seconds", "gauge",
           "When this program started, in seconds since 1970.",
           (double)b->started);
    single(w, "ctornado_service_start_time_seconds", "gauge",
           "When the first of the programs started whose place this one took.",
           (double)ct_board_service_started(b));
    single(w, "ctornado_workers", "gauge", "Places of workers.", b->workers);
    single(w, "ctornado_worker_restarts_total", "counter",
           "Workers that died and were replaced.",
           b->replaced + b->past_replaced);
    begin(w, "ctornado_reloads_total", "counter", "Reloads of the sites.");
    sample(w, "result=\"ok\"", b->reloads + b->past_reloads);
    sample(w, "result=\"failed\"", b->reloads_failed + b->past_reloads_failed);
    ct_text_end(&w->t);
    single(w, "ctornado_metrics_dropped_total", "counter",
           "Numbers that were not counted, because there are too many series.",
           (double)(ct_count_get(&w->metrics->dropped) +
                    ct_count_get(&b->past_dropped)));
}

/* -- Handlers and applications --------------------------------------------- */

/* Records of one kind, in an order that does not change. */
typedef struct records {
    const ct_metric *list[CT_METRICS_TABLE];
    uint32_t count;
} records;

static int compare_text(const ct_metric *a, const ct_metric *b) {
    size_t n = a->key_size < b->key_size ? a->key_size : b->key_size;
    int order = memcmp(ct_metric_key(a), ct_metric_key(b), n);

    return order ? order
                 : (a->key_size > b->key_size) - (a->key_size < b->key_size);
}

static int compare(const void *a, const void *b) {
    const ct_metric *x = *(const ct_metric *const *)a;
    const ct_metric *y = *(const ct_metric *const *)b;

    if (x->parent != y->parent) return x->parent < y->parent ? -1 : 1;
    return compare_text(x, y);
}

static records *collect(const ct_metrics *m, ct_metric_kind kind) {
    records *r = ct_alloc(sizeof *r);

    r->count = 0;
    for (uint32_t i = 0; i < CT_METRICS_TABLE; i++) {
        uint32_t at = atomic_load_explicit(&m->table[i], memory_order_acquire);
        const ct_metric *found = ct_metrics_find(m, at, kind);

        if (found) r->list[r->count++] = found;
    }
    qsort(r->list, r->count, sizeof(const ct_metric *), compare);
    return r;
}

static double handler_number(const writer *w, uint32_t slot, bool most) {
    double n = 0;

    for (uint32_t i = w->first; i <= w->rows; i++) {
        const ct_count *row = w->metrics->rows[ct_board_row_of(i, w->rows)];
        double one = (double)ct_count_get(&row[slot]);

        n = !most ? n + one : one > n ? one : n;
    }
    return n;
}

static void put_handler_times(writer *w, const records *r) {
    double counts[CT_COUNT_TIMES + 1];
    ct_text_histogram h = { .bounds = ct_counters_bounds,
                            .counts = counts,
                            .n = CT_COUNT_TIMES };

    begin(w, "ctornado_handler_duration_seconds", "histogram",
          "Time from the end of a request's head to the end of its reply, by "
          "the handler class.");
    for (uint32_t i = 0; i < r->count; i++) {
        const ct_metric *one = r->list[i];

        for (uint32_t k = 0; k <= CT_COUNT_TIMES; k++)
            counts[k] =
                handler_number(w, one->slot + CT_HANDLER_TIMES + k, false);
        h.sum = handler_number(w, one->slot + CT_HANDLER_TIME, false) * 1e-9;
        ct_text_histogram_sample(&w->t, ct_metric_key(one), one->key_size, &h);
    }
    ct_text_end(&w->t);
}

static void put_handlers(writer *w) {
    static const struct {
        const char *name, *type, *help;
        double scale;
    } of[CT_HANDLER_TIMES] = {
        { "ctornado_handler_requests_total", "counter",
          "Replies of a handler class.", 1 },
        { "ctornado_handler_errors_total", "counter",
          "Its replies with a status of 500 or above.", 1 },
        { "ctornado_handler_seconds_total", "counter",
          "Time that they took, in all.", 1e-9 },
        { "ctornado_handler_seconds_max", "gauge",
          "The longest that one took since the start.", 1e-9 },
    };
    records *r = collect(w->metrics, CT_METRIC_HANDLER);

    for (uint32_t k = 0; k < CT_HANDLER_TIMES; k++) {
        begin(w, of[k].name, of[k].type, of[k].help);
        for (uint32_t i = 0; i < r->count; i++)
            ct_text_sample(
                &w->t, ct_metric_key(r->list[i]), r->list[i]->key_size,
                handler_number(w, r->list[i]->slot + k, k == CT_HANDLER_MAX) *
                    of[k].scale);
        ct_text_end(&w->t);
    }
    put_handler_times(w, r);
    ct_free(r);
}

/* Over the workers that have set it, for a maximum and a minimum. */
static double value(const writer *w, uint32_t slot, uint32_t type) {
    bool grows = type == CT_METRIC_COUNTER || type == CT_METRIC_HISTOGRAM;
    double all = 0;
    bool any = false;

    for (uint32_t i = grows ? w->first : 0; i <= w->rows; i++) {
        const ct_count *row = w->metrics->rows[ct_board_row_of(i, w->rows)];
        double n = ct_metrics_value(row, slot);

        if (!ct_count_get(&row[slot])) continue;
        if (!any)
            all = n;
        else if (type == CT_METRIC_GAUGE_MAX)
            all = n > all ? n : all;
        else if (type == CT_METRIC_GAUGE_MIN)
            all = n < all ? n : all;
        else
            all += n;
        any = true;
    }
    return all;
}

static void put_series(writer *w, const ct_metric *f, const ct_metric *s) {
    double counts[CT_METRICS_BOUNDS + 1];
    ct_text_histogram h = { .bounds = f->bound,
                            .counts = counts,
                            .n = f->bounds };

    if (f->type != CT_METRIC_HISTOGRAM) {
        ct_text_sample(&w->t, ct_metric_key(s), s->key_size,
                       value(w, s->slot, f->type));
        return;
    }
    for (uint32_t i = 0; i <= f->bounds; i++)
        counts[i] = value(w, s->slot + i, f->type);
    h.sum = value(w, s->slot + f->bounds + 1, f->type);
    ct_text_histogram_sample(&w->t, ct_metric_key(s), s->key_size, &h);
}

/* The first of `r` that belongs to the family at `parent`. */
static uint32_t first_of(const records *r, uint32_t parent) {
    uint32_t low = 0, high = r->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (r->list[middle]->parent < parent)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void put_family(writer *w, const ct_metric *name, uint32_t at,
                       const records *series) {
    static const char *const types[] = { "counter", "gauge", "gauge", "gauge",
                                         "histogram" };
    const ct_metric *f = ct_metrics_find(w->metrics, at, CT_METRIC_FAMILY);

    if (!f) return; /* its process was killed while it added it */
    ct_text_begin(&w->t, ct_metric_key(name), name->key_size, types[f->type],
                  ct_metric_help(f), f->help_size);
    for (uint32_t i = first_of(series, at);
         i < series->count && series->list[i]->parent == at; i++)
        put_series(w, f, series->list[i]);
    ct_text_end(&w->t);
}

static void put_applications(writer *w) {
    records *names = collect(w->metrics, CT_METRIC_NAME);
    records *series = collect(w->metrics, CT_METRIC_SERIES);

    for (uint32_t i = 0; i < names->count; i++)
        put_family(w, names->list[i], names->list[i]->current, series);
    ct_free(names);
    ct_free(series);
}

/* -- All ------------------------------------------------------------------- */

static double seconds_since_1970(void) {
    ct_clock now = { 0 };

    ct_clock_update(&now);
    return now.wall;
}

char *ct_metrics_text(const ct_board *b, const ct_metrics *m, bool json) {
    writer w = { .t = { .json = json },
                 .board = b,
                 .metrics = m,
                 .first = ct_board_first(b),
                 .rows = ct_board_rows(b),
                 .workers = ct_board_workers(b),
                 .now = seconds_since_1970() };

    if (json) ct_text_put(&w.t, "{\"time\":%.3f,\"metrics\":[\n", w.now);
    put_server(&w);
    put_workers(&w);
    put_requests(&w);
    put_statuses(&w, "ctornado_http_responses_total", "Replies by status.",
                 COUNTER(statuses));
    put_statuses(&w, "ctornado_http_refused_total",
                 "Requests refused before a handler had them, by status.",
                 COUNTER(refused));
    put_times(&w);
    put_numbers(&w);
    put_idle(&w);
    put_handlers(&w);
    put_applications(&w);
    if (json) ct_text_put(&w.t, "\n]}\n");
    ct_buf_add(&w.t.out, "", 1);
    return w.t.out.data;
}
