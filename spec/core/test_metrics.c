/* Names that several processes add at once, some of which are killed; a full
 * store; what a worker that is replaced leaves; and the ring of errors. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "data/metrics.h"

#include "base/mem.h"
#include "check.h"
#include "data/metrics_text.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NAMES = 200, CHILDREN = 4 };

static uint32_t add(ct_metrics *m, const char *name, uint32_t type) {
    ct_metric_wish w = { .name = { name, (uint32_t)strlen(name) },
                         .labels = { "a", 1 },
                         .help = { "Help.", 5 },
                         .type = type };

    return ct_metrics_family(m, &w);
}

static uint32_t series(ct_metrics *m, uint32_t family, const char *labels) {
    return ct_metrics_series(m, family, labels, strlen(labels));
}

static void test_names(void) {
    ct_shared s = { 0 };
    ct_metrics *m = ct_metrics_get(&s);
    uint32_t one = add(m, "one", CT_METRIC_COUNTER), used = m->memory_used;
    uint32_t x = series(m, one, "a=\"x\""), y = series(m, one, "a=\"y\"");

    CHECK(one && x && y && x != y && x >= CT_HANDLER_COUNTS);
    CHECK(add(m, "one", CT_METRIC_COUNTER) == one);
    CHECK(series(m, one, "a=\"x\"") == x);
    CHECK(series(m, one + 8, "a=\"x\"") == 0 && series(m, 0, "") == 0);
    CHECK(m->memory_used > used && ct_metrics_get(&s) == m);
    used = m->memory_used;
    CHECK(add(m, "one", CT_METRIC_GAUGE) != one);
    CHECK(m->memory_used > used);
    used = m->memory_used;
    CHECK(add(m, "one", CT_METRIC_COUNTER) == one && m->memory_used == used);
    ct_shared_fini(&s);
}

static void test_full(void) {
    ct_shared s = { 0 };
    ct_metrics *m = ct_metrics_get(&s);
    uint32_t one = add(m, "one", CT_METRIC_COUNTER), last = 0, at = 0;
    char labels[32];

    for (uint32_t i = 0; i < CT_METRICS_TABLE + 1; i++) {
        snprintf(labels, sizeof labels, "a=\"%u\"", i);
        at = series(m, one, labels);
        if (at) last = at;
        if (!at) break;
    }
    CHECK(at == 0 && m->dropped == 1);
    CHECK(last > 10000 && last < CT_METRICS_SLOTS);
    CHECK(series(m, one, "a=\"0\"") == CT_HANDLER_COUNTS);
    CHECK(add(m, "two", CT_METRIC_COUNTER) == 0 || m->dropped == 1);
    CHECK(ct_metrics_handler(m, "handler=\"x\"", 11) == 0);
    ct_shared_fini(&s);
}

static void test_too_long(void) {
    ct_shared s = { 0 };
    ct_metrics *m = ct_metrics_get(&s);
    uint32_t one = add(m, "one", CT_METRIC_COUNTER);
    char text[CT_METRICS_KEY + 1];

    memset(text, 'x', sizeof text);
    CHECK(ct_metrics_series(m, one, text, sizeof text) == 0);
    CHECK(m->dropped == 1);
    CHECK(ct_metrics_series(m, one, text, sizeof text - 1) != 0);
    ct_shared_fini(&s);
}

/* -- Processes ------------------------------------------------------------- */

/* Adds the same names as all others, and counts each of them once. */
static void child(ct_metrics *m, uint32_t row) {
    char name[32];

    for (int i = 0; i < NAMES; i++) {
        uint32_t family, at;

        snprintf(name, sizeof name, "name_%d", i);
        family = add(m, name, CT_METRIC_COUNTER);
        at = series(m, family, "a=\"x\"");
        if (!family || !at) _exit(1);
        ct_metrics_add(m->rows[row], at, 1);
    }
    _exit(0);
}

static void test_processes(void) {
    ct_shared s = { 0 };
    ct_metrics *m = ct_metrics_get(&s);
    pid_t pids[CHILDREN];
    char name[32];

    for (uint32_t i = 0; i < CHILDREN; i++)
        if ((pids[i] = fork()) == 0) child(m, i);
    for (uint32_t i = 0; i < CHILDREN; i++) {
        int status = -1;

        CHECK(waitpid(pids[i], &status, 0) == pids[i] && status == 0);
    }
    for (int i = 0; i < NAMES; i++) {
        double sum = 0;
        uint32_t at;

        snprintf(name, sizeof name, "name_%d", i);
        at = series(m, add(m, name, CT_METRIC_COUNTER), "a=\"x\"");
        for (uint32_t k = 0; k < CHILDREN; k++)
            sum += ct_metrics_value(m->rows[k], at);
        if (sum != CHILDREN) CHECK(sum == CHILDREN);
    }
    CHECK(m->dropped == 0);
    ct_shared_fini(&s);
}

/* Adds names until it is killed. */
static void add_for_ever(ct_metrics *m, unsigned round) {
    char name[32];

    for (unsigned i = 0;; i = (i + 1) % 3000) {
        snprintf(name, sizeof name, "a=\"%u %u\"", round, i);
        (void)series(m, add(m, "one", CT_METRIC_COUNTER), name);
    }
}

static bool is_whole(const ct_metrics *m) {
    for (uint32_t i = 0; i < CT_METRICS_TABLE; i++) {
        uint32_t at = m->table[i];
        const ct_metric *r;

        if (!at) continue;
        r = ct_metrics_find(m, at, CT_METRIC_SERIES);
        if (!r) continue;
        if (!r->slot || r->slot >= m->slots_used) return false;
        if (memcmp(ct_metric_key(r), "a=\"", 3) != 0) return false;
    }
    return true;
}

static void test_killed(void) {
    ct_shared s = { 0 };
    ct_metrics *m = ct_metrics_get(&s);

    for (unsigned round = 0; round < 20; round++) {
        uint32_t before = m->memory_used;
        pid_t pid = fork();

        if (pid == 0) add_for_ever(m, round % 4);
        while (round < 4 && m->memory_used == before) continue;
        usleep(200 * round);
        kill(pid, SIGKILL);
        CHECK(waitpid(pid, NULL, 0) == pid);
        CHECK(is_whole(m));
        CHECK(series(m, add(m, "after", CT_METRIC_COUNTER), "a=\"x\"") != 0);
    }
    ct_shared_fini(&s);
}

/* -- Numbers --------------------------------------------------------------- */

static void test_replaced(void) {
    ct_shared s = { 0 };
    ct_metrics *m = ct_metrics_get(&s);
    uint32_t counter = series(m, add(m, "c", CT_METRIC_COUNTER), "");
    uint32_t gauge = series(m, add(m, "g", CT_METRIC_GAUGE), "");

    for (uint32_t row = 0; row < 2; row++) {
        ct_metrics_add(m->rows[row], counter, 2);
        ct_metrics_set(m->rows[row], gauge, 5);
    }
    ct_metrics_clear(m, 0);
    CHECK(ct_metrics_value(m->rows[0], counter) == 2);
    CHECK(ct_metrics_value(m->rows[0], gauge) == 0);
    CHECK(ct_metrics_value(m->rows[1], gauge) == 5);
    ct_shared_fini(&s);
}

/* What a worker with less rights has written leads the master nowhere else. */
static void test_spoiled(void) {
    ct_shared s = { 0 };
    ct_metrics *m = ct_metrics_get(&s);
    uint32_t gauge = series(m, add(m, "g", CT_METRIC_GAUGE), "");

    ct_metrics_set(m->rows[0], gauge, 5);
    for (uint32_t i = 0; i < CT_METRICS_TABLE; i++) {
        ct_metric *r = (ct_metric *)(void *)(m->memory + m->table[i]);

        if (!m->table[i])
            m->table[i] = UINT32_MAX - 7 - 8 * i;
        else if (r->kind == CT_METRIC_SERIES)
            r->slot = UINT32_MAX;
    }
    m->memory_used = UINT32_MAX;
    ct_metrics_clear(m, CT_WORKERS);
    CHECK(ct_metrics_value(m->rows[0], gauge) == 5);
    CHECK(!ct_metrics_find(m, CT_METRICS_MEMORY, CT_METRIC_NAME));
    ct_shared_fini(&s);
}

static bool has(const char *text, const char *part) {
    return strstr(text, part) != NULL;
}

static bool near(double a, double b) {
    return a > b * 0.999999 && a < b * 1.000001;
}

static void test_quantiles(void) {
    uint64_t times[CT_COUNT_TIMES + 1] = { 0 };

    CHECK(ct_counters_quantile(times, 0.99) <= 0);
    times[4] = 98; /* 0.5 to 1 ms */
    times[10] = 2; /* 50 to 100 ms */
    CHECK(near(ct_counters_quantile(times, 0.49), 0.75e-3));
    CHECK(near(ct_counters_quantile(times, 0.98), 1e-3));
    CHECK(near(ct_counters_quantile(times, 0.99), 0.075));
    CHECK(near(ct_counters_quantile(times, 1), 0.1));
    times[CT_COUNT_TIMES] = 1000; /* more than the last bound says */
    CHECK(near(ct_counters_quantile(times, 0.99), 60));
}

static void test_text(void) {
    ct_shared s = { 0 };
    ct_metrics *m = ct_metrics_get(&s);
    ct_board *b = ct_shared_get(&s, "board", sizeof *b);
    uint32_t low = series(m, add(m, "low", CT_METRIC_GAUGE_MIN), "");
    uint32_t high = series(m, add(m, "high", CT_METRIC_GAUGE_MAX), "");
    uint32_t handler = ct_metrics_handler(m, "handler=\"H\"", 11);
    char *text;

    b->workers = 3;
    for (uint32_t i = 0; i < 2; i++) { /* the third has not set any */
        ct_metrics_set(m->rows[i], low, 7 + i);
        ct_metrics_set(m->rows[i], high, -7 - (double)i);
        ct_counters_reply(&b->rows[i].counters, m->rows[i] + handler, 1,
                          i ? 500 : 200, i + 0.5);
    }
    add(m, "low", CT_METRIC_COUNTER); /* a later generation has it otherwise */
    text = ct_metrics_text(b, m, false);
    CHECK(has(text, "\nhigh -7\n") && !has(text, "\nlow 7\n"));
    CHECK(has(text, "# TYPE low counter\n"));
    CHECK(has(text, "requests_total{method=\"GET\",status=\"2xx\"} 1\n"));
    CHECK(has(text, "requests_total{method=\"GET\",status=\"5xx\"} 1\n"));
    CHECK(has(text, "duration_seconds_bucket{le=\"0.25\"} 0\n"));
    CHECK(has(text, "duration_seconds_bucket{le=\"0.5\"} 1\n"));
    CHECK(has(text, "duration_seconds_bucket{le=\"2.5\"} 2\n"));
    CHECK(has(text, "duration_seconds_sum 2\n"));
    CHECK(has(text, "handler_requests_total{handler=\"H\"} 2\n"));
    CHECK(has(text, "handler_errors_total{handler=\"H\"} 1\n"));
    CHECK(has(text, "handler_seconds_max{handler=\"H\"} 1.5\n"));
    CHECK(has(text, "# TYPE ctornado_handler_duration_seconds histogram\n"));
    CHECK(has(text, "n_seconds_bucket{handler=\"H\",le=\"0.25\"} 0\n"));
    CHECK(has(text, "n_seconds_bucket{handler=\"H\",le=\"0.5\"} 1\n"));
    CHECK(has(text, "n_seconds_bucket{handler=\"H\",le=\"+Inf\"} 2\n"));
    CHECK(has(text, "handler_duration_seconds_sum{handler=\"H\"} 2\n"));
    CHECK(has(text, "handler_duration_seconds_count{handler=\"H\"} 2\n"));
    ct_free(text);
    add(m, "low", CT_METRIC_GAUGE_MIN);
    text = ct_metrics_text(b, m, false);
    CHECK(has(text, "\nlow 7\n"));
    ct_free(text);
    ct_shared_fini(&s);
}

/* -- Errors ---------------------------------------------------------------- */

static void test_recent(void) {
    ct_recent r = { 0 };
    ct_recent_line line;
    char text[2 * CT_RECENT_TEXT];

    CHECK(!ct_recent_get(&r, 0, &line));
    for (uint32_t i = 0; i < CT_RECENT_LINES + 3; i++) {
        snprintf(text, sizeof text, "line %u", i);
        ct_recent_add(&r, "app", "id", text, strlen(text));
    }
    CHECK(ct_recent_get(&r, 0, &line));
    CHECK_STR(line.text, "line 18");
    CHECK_STR(line.where, "app");
    CHECK_STR(line.id, "id");
    CHECK(ct_recent_get(&r, CT_RECENT_LINES - 1, &line));
    CHECK_STR(line.text, "line 3");
    CHECK(!ct_recent_get(&r, CT_RECENT_LINES, &line));

    r.lines[r.next % CT_RECENT_LINES].version |= 1; /* its writer was killed */
    CHECK(!ct_recent_get(&r, CT_RECENT_LINES - 1, &line));
    memset(text, 'x', sizeof text);
    ct_recent_add(&r, "a part with a long name", "", text, sizeof text);
    CHECK(ct_recent_get(&r, 0, &line));
    CHECK(strlen(line.text) == CT_RECENT_TEXT - 1);
    CHECK_STR(line.where, "a part with a l");
    CHECK_STR(line.id, "");
}

int main(void) {
    test_names();
    test_full();
    test_too_long();
    test_processes();
    test_killed();
    test_replaced();
    test_spoiled();
    test_quantiles();
    test_text();
    test_recent();
    return check_report();
}
