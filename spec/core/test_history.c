/* Samples: one at a time, the last ones kept, none that is half written; and what
 * the overview tells. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "data/history.h"

#include "base/mem.h"
#include "check.h"
#include "data/overview.h"
#include <stdio.h>
#include <stdlib.h>

/* As if the last one were a second older. */
static void wait_a_second(ct_history *h) {
    h->taken -= 1000;
}

static uint32_t count_lines(const char *text) {
    uint32_t n = 0;

    for (; *text; text++) n += *text == '\n';
    return n;
}

static uint32_t samples_after(const ct_history *h, uint32_t after) {
    char *text = ct_history_text(h, after);
    uint32_t n = count_lines(text);

    ct_free(text);
    return n;
}

static void test_taking(void) {
    ct_shared s = { 0 };
    ct_board *b = ct_shared_get(&s, "board", sizeof *b);
    ct_history *h = ct_history_get(&s);
    char *text;

    b->workers = 2;
    ct_history_take(h, b);
    CHECK(h->last == 0); /* nobody wants them */
    text = ct_history_text(h, 0);
    CHECK_STR(text, "[]");
    ct_free(text);

    h->wanted = true;
    ct_history_take(h, b);
    ct_history_take(h, b);
    CHECK(h->last == 1); /* the second came too soon */
    ct_count_set(&b->rows[0].counters.sent, 7);
    ct_count_set(&b->rows[1].counters.sent, 35);
    ct_count_set(&b->rows[2].counters.sent, 100); /* not in use */
    wait_a_second(h);
    ct_history_take(h, b);
    CHECK(h->last == 2 && samples_after(h, 0) == 2 && samples_after(h, 1) == 1);
    CHECK(samples_after(h, 2) == 0);
    CHECK(samples_after(h, 9) == 2); /* a number of another server */
    text = ct_history_text(h, 1);
    CHECK(strstr(text, ",42,") != NULL);
    ct_free(text);
    ct_shared_fini(&s);
}

static void test_ring(void) {
    ct_shared s = { 0 };
    ct_board *b = ct_shared_get(&s, "board", sizeof *b);
    ct_history *h = ct_history_get(&s);
    char *text;

    h->wanted = true;
    for (int i = 0; i < 2 * CT_HISTORY_SAMPLES; i++) {
        ct_history_take(h, b);
        wait_a_second(h);
    }
    CHECK(samples_after(h, 0) == CT_HISTORY_SAMPLES);
    text = ct_history_text(h, 0);
    CHECK(strncmp(text, "[\n[301,", 7) == 0);
    ct_free(text);
    h->samples[400 % CT_HISTORY_SAMPLES].number = 0; /* its writer was killed */
    CHECK(samples_after(h, 0) == CT_HISTORY_SAMPLES - 1);
    ct_shared_fini(&s);
}

static uint32_t count_char(const char *text, char c) {
    uint32_t n = 0;

    for (; *text; text++) n += *text == c;
    return n;
}

/* Each sample has a number for each name. */
static void test_columns(void) {
    ct_shared s = { 0 };
    ct_board *b = ct_shared_get(&s, "board", sizeof *b);
    ct_history *h = ct_history_get(&s);
    char *columns = ct_history_columns(), *text, *end;

    h->wanted = true;
    ct_history_take(h, b);
    text = ct_history_text(h, 0);
    end = strchr(columns, ']');
    CHECK(end && strstr(end, "\"bounds\":[5e-05,"));
    if (end) *end = '\0';
    CHECK(count_char(columns, ',') == count_char(text, ','));
    ct_free(columns);
    ct_free(text);
    ct_shared_fini(&s);
}

static void test_overview(void) {
    ct_shared s = { 0 };
    ct_board *b = ct_shared_get(&s, "board", sizeof *b);
    ct_metrics *m = ct_metrics_get(&s);
    static const char label[] = "handler=\"a\\\"b\"";
    uint32_t slot = ct_metrics_handler(m, label, sizeof label - 1);
    char *text;

    (void)ct_metrics_handler(m, "handler=\"unused\"", 16);
    b->workers = 2;
    ct_counters_reply(&b->rows[0].counters, &m->rows[0][slot], 1, 200, 0.5);
    ct_counters_reply(&b->rows[1].counters, &m->rows[1][slot], 1, 500, 1.5);
    text = ct_overview_text(b, m);
    CHECK(strstr(text, "\"worker\":2,\"pid\":0,\"state\":\"down\"") != NULL);
    CHECK(strstr(text, "\"statuses\":{\"200\":1,\"500\":1}") != NULL);
    CHECK(strstr(text, "\"handlers\":[\n{\"name\":\"a\\\"b\",\"requests\":2,"
                       "\"errors\":1,\"seconds\":2,\"max\":1.5,"
                       "\"p50\":0.5,\"p99\":1.5}]") != NULL);
    ct_free(text);
    ct_shared_fini(&s);
}

int main(void) {
    test_taking();
    test_ring();
    test_columns();
    test_overview();
    return check_report();
}
