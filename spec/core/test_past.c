/* What a server has of its elders' numbers: sums by name, which only grow. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "data/past.h"

#include "base/mem.h"
#include "check.h"
#include "data/history.h"
#include "data/metrics_text.h"
#include "data/overview.h"
#include <unistd.h>

/* A server: `shared` is its own, `found` what it has of its elder. */
typedef struct server {
    ct_shared shared, found;
    ct_board *board;
    ct_metrics *metrics;
    ct_past past;
} server;

static void begin(server *s, const server *elder, uint32_t workers) {
    *s = (server){ 0 };
    s->board = ct_shared_get(&s->shared, "board", sizeof *s->board);
    s->metrics = ct_metrics_get(&s->shared);
    ct_board_set_workers(s->board, workers);
    s->board->started = 1000 + workers;
    s->board->heir = s->board->elder = elder != NULL;
    if (elder) ct_past_lend(&elder->shared, &s->found);
    for (uint32_t i = 0; i < s->found.count; i++) /* as over an exec */
        s->found.pieces[i].fd = dup(s->found.pieces[i].fd);
    ct_past_init(&s->past, &s->found, s->board, s->metrics);
}

static void take_over(server *s) {
    s->past.loaded = true;
    s->board->heir = 0;
    ct_past_carry(&s->past);
}

static void end(server *s) {
    ct_shared_fini(&s->found);
    ct_shared_fini(&s->shared);
}

static uint32_t family(server *s, const char *name, uint32_t type,
                       const char *help) {
    static const double bounds[] = { 1, 10 };
    ct_metric_wish w = { .name = { name, (uint32_t)strlen(name) },
                         .labels = { "a", 1 },
                         .help = { help, (uint32_t)strlen(help) },
                         .bounds = bounds,
                         .bound_count = type == CT_METRIC_HISTOGRAM ? 2 : 0,
                         .type = type };

    return ct_metrics_family(s->metrics, &w);
}

static uint32_t series(server *s, uint32_t at) {
    return ct_metrics_series(s->metrics, at, "a=\"x\"", 5);
}

static bool shows(const server *s, const char *part) {
    char *text = ct_metrics_text(s->board, s->metrics, false);
    bool found = strstr(text, part) != NULL;

    ct_free(text);
    return found;
}

static void reply(server *s, uint32_t row, double seconds) {
    uint32_t slot = ct_metrics_handler(s->metrics, "handler=\"H\"", 11);

    ct_counters_reply(&s->board->rows[row].counters,
                      s->metrics->rows[row] + slot, 1, 200, seconds);
}

static void inc(server *s, uint32_t row, const char *name, double n) {
    uint32_t at = series(s, family(s, name, CT_METRIC_COUNTER, "Of old."));

    ct_metrics_add(s->metrics->rows[row], at, n);
}

#define GETS     "requests_total{method=\"GET\",status=\"2xx\"} "
#define BY_CLASS "handler_requests_total{handler=\"H\"} "

static void test_chain(void) {
    server a, b, c;

    begin(&a, NULL, 2);
    reply(&a, 0, 0.5);
    reply(&a, 1, 2);
    inc(&a, 0, "one", 1.5);
    inc(&a, 1, "one", 2);
    a.board->reloads = 3;
    a.metrics->dropped = 4;

    begin(&b, &a, 1);
    CHECK(shows(&b, GETS "2\n") && shows(&b, BY_CLASS "2\n"));
    CHECK(!shows(&b, "one{"));
    family(&b, "one", CT_METRIC_COUNTER, "New.");
    reply(&b, 0, 0.1);
    CHECK(shows(&b, GETS "2\n")); /* the elder tells nothing of it yet */
    inc(&a, 1, "two", 5);
    ct_past_carry(&b.past);
    CHECK(!shows(&b, "two{")); /* its help may still come */
    b.past.loaded = true;
    ct_past_carry(&b.past);
    CHECK(shows(&b, "two{a=\"x\"} 5\n"));
    take_over(&b);
    CHECK(shows(&b, GETS "3\n") && shows(&b, BY_CLASS "3\n"));
    CHECK(shows(&b, "one{a=\"x\"} 3.5\n") && shows(&b, "# HELP one New.\n"));
    CHECK(shows(&b, "reloads_total{result=\"ok\"} 3\n"));
    CHECK(shows(&b, "metrics_dropped_total 4\n"));
    CHECK(shows(&b, "handler_seconds_max{handler=\"H\"} 2\n"));

    begin(&c, &b, 3);
    take_over(&c);
    reply(&a, 0, 0.5); /* while all three are there */
    inc(&a, 0, "one", 1);
    inc(&b, 0, "one", 1);
    inc(&c, 2, "one", 1);
    ct_past_carry(&b.past);
    ct_past_carry(&c.past);
    CHECK(shows(&c, GETS "4\n") && shows(&c, "one{a=\"x\"} 6.5\n"));
    CHECK(shows(&c, "ctornado_metrics_dropped_total 4\n"));
    inc(&b, 0, "one", 1);
    c.board->elder = 0;
    ct_past_carry(&c.past); /* for the last time */
    CHECK(!c.past.old_board && !c.found.count);
    inc(&b, 0, "one", 1);
    ct_past_carry(&c.past);
    CHECK(shows(&c, "one{a=\"x\"} 7.5\n"));
    end(&a), end(&b), end(&c);
}

static void test_kinds(void) {
    server a, b;
    uint32_t sizes, gauge;
    const ct_metric *f;

    begin(&a, NULL, 1);
    sizes = family(&a, "sizes", CT_METRIC_HISTOGRAM, "");
    f = ct_metrics_find(a.metrics, sizes, CT_METRIC_FAMILY);
    ct_metrics_observe(a.metrics->rows[0], f, series(&a, sizes), 5);
    ct_metrics_observe(a.metrics->rows[0], f, series(&a, sizes), 50);
    gauge = series(&a, family(&a, "depth", CT_METRIC_GAUGE, ""));
    ct_metrics_set(a.metrics->rows[0], gauge, 7);
    begin(&b, &a, 1);
    take_over(&b);
    CHECK(shows(&b, "sizes_bucket{a=\"x\",le=\"1\"} 0\n"));
    CHECK(shows(&b, "sizes_bucket{a=\"x\",le=\"10\"} 1\n"));
    CHECK(shows(&b, "sizes_count{a=\"x\"} 2\n"));
    CHECK(shows(&b, "sizes_sum{a=\"x\"} 55\n"));
    CHECK(!shows(&b, "depth"));
    end(&a), end(&b);
}

/* Another type now: what was counted under the name is not shown. */
static void test_changed(void) {
    server a, b;

    begin(&a, NULL, 1);
    inc(&a, 0, "one", 5);
    begin(&b, &a, 1);
    family(&b, "one", CT_METRIC_GAUGE, "");
    take_over(&b);
    CHECK(shows(&b, "# TYPE one gauge\n") && !shows(&b, "one{"));
    end(&a), end(&b);
}

static void test_other_layout(void) {
    server a, b;

    begin(&a, NULL, 1);
    reply(&a, 0, 0.5);
    begin(&b, NULL, 1);
    ct_shared_lend(&a.shared, "metrics", &b.found, "elder-metrics-1");
    ct_shared_lend(&a.shared, "board", &b.found, "elder-board-0");
    for (uint32_t i = 0; i < b.found.count; i++)
        b.found.pieces[i].fd = dup(b.found.pieces[i].fd);
    b.board->elder = 1;
    ct_past_init(&b.past, &b.found, b.board, b.metrics);
    CHECK(!b.past.old_board && !b.past.old_metrics && !b.found.count);
    CHECK(shows(&b, GETS "0\n"));
    end(&a), end(&b);
}

/* One that a process with less rights has spoiled. */
static void test_unsound(void) {
    server a, b;
    ct_metric *r;
    uint32_t at;

    begin(&a, NULL, 1);
    inc(&a, 0, "one", 5);
    reply(&a, 0, 0.5);
    for (uint32_t i = 0; i < CT_METRICS_TABLE; i++) {
        at = a.metrics->table[i];
        r = (ct_metric *)(void *)(a.metrics->memory + at);
        if (at && r->kind == CT_METRIC_SERIES) r->slot = UINT32_MAX - 8;
        if (at && r->kind == CT_METRIC_HANDLER) r->key_size = UINT32_MAX;
    }
    a.metrics->table[0] = CT_METRICS_MEMORY - 8;
    a.metrics->memory_used = UINT32_MAX;
    begin(&b, &a, 1);
    take_over(&b);
    CHECK(shows(&b, GETS "1\n") && !shows(&b, "one{") && !shows(&b, BY_CLASS));
    end(&a), end(&b);
}

static void test_other_readers(void) {
    server a, b;
    ct_history *h;
    char *text;

    begin(&a, NULL, 1);
    reply(&a, 0, 0.5);
    begin(&b, &a, 1);
    h = ct_history_get(&b.shared);
    h->wanted = true;
    ct_history_take(h, b.board);
    CHECK(h->last == 0); /* it has not taken over */
    take_over(&b);
    ct_history_take(h, b.board);
    CHECK(h->last == 1);
    text = ct_history_text(h, 0);
    CHECK(strstr(text, ",500000000,") != NULL); /* seconds_ns */
    ct_free(text);
    text = ct_overview_text(b.board, b.metrics);
    CHECK(strstr(text, "\"statuses\":{\"200\":1}") != NULL);
    CHECK(strstr(text, "\"requests\":1,\"errors\":0,\"seconds\":0.5") != NULL);
    ct_free(text);
    end(&a), end(&b);
}

int main(void) {
    test_chain();
    test_kinds();
    test_changed();
    test_other_layout();
    test_unsound();
    test_other_readers();
    return check_report();
}
