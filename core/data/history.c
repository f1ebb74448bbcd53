/* A sample has sums over all workers, of which most only grow: who shows them
 * takes differences, so a sample that is missing, or late, does no harm. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "data/history.h"

#include "base/buf.h"
#include "data/text.h"
#include <stddef.h>
#include <string.h>

/* Ticks are a second apart, and may come a little early. */
enum { GAP = 900 }; /* ms */

#define COUNTER(field) offsetof(ct_board_row, counters.field)
#define GAUGE(field)   offsetof(ct_board_row, now.field)

/* What is added up as it is. */
typedef struct column {
    const char *name;
    size_t offset;
} column;

static const column columns[] = {
    { "seconds_ns", COUNTER(time) },
    { "cut", COUNTER(cut) },
    { "received", COUNTER(received) },
    { "sent", COUNTER(sent) },
    { "accepted", COUNTER(accepted) },
    { "full", COUNTER(full) },
    { "full_ip", COUNTER(full_ip) },
    { "tls_failed", COUNTER(tls_failed) },
    { "stalls", COUNTER(stalls) },
    { "stopped", COUNTER(stopped) },
    { "warnings", COUNTER(warnings) },
    { "errors", COUNTER(errors) },
    { "connections", GAUGE(connections) },
    { "requests", GAUGE(requests) },
    { "websockets", GAUGE(websockets) },
    { "lua", GAUGE(lua) },
    { "resident", GAUGE(resident) },
};

enum {
    COLUMNS = sizeof columns / sizeof *columns,
    CLASSES = CT_COUNT_STATUSES / 100,
    TIMES = CT_COUNT_TIMES + 1
};

/* In this order: when (ms since 1970), replies by class, by time, the columns, and
 * what is the server's. */
enum {
    WHEN,
    REPLIES,
    REPLY_TIMES = REPLIES + CLASSES - 1,
    SUMS = REPLY_TIMES + TIMES,
    REFUSED = SUMS + COLUMNS,
    RELOADS,
    RELOADS_FAILED,
    REPLACED,
    NUMBERS
};

_Static_assert((int)NUMBERS <= (int)CT_HISTORY_NUMBERS, "a sample's room");

ct_history *ct_history_get(ct_shared *shared) {
    return ct_shared_get(shared, "history", sizeof(ct_history));
}

/* -- Taking ---------------------------------------------------------------- */

static uint64_t at(const ct_board_row *r, size_t offset) {
    return ct_count_get(
        (const ct_count *)(const void *)((const char *)r + offset));
}

static void add_row(uint64_t n[NUMBERS], const ct_board_row *r) {
    const ct_counters *c = &r->counters;

    for (uint32_t m = 0; m < CT_COUNT_METHODS; m++)
        for (uint32_t k = 1; k < CLASSES; k++)
            n[REPLIES + k - 1] += ct_count_get(&c->replies[m][k]);
    for (uint32_t i = 0; i < TIMES; i++)
        n[REPLY_TIMES + i] += ct_count_get(&c->times[i]);
    for (uint32_t i = 0; i < COLUMNS; i++)
        n[SUMS + i] += at(r, columns[i].offset);
    for (uint32_t i = 0; i < CT_COUNT_STATUSES; i++)
        n[REFUSED] += ct_count_get(&c->refused[i]);
}

static void add_up(uint64_t n[NUMBERS], const ct_board *b) {
    ct_clock now = { 0 };

    ct_clock_update(&now);
    n[WHEN] = (uint64_t)(now.wall * 1000);
    for (uint32_t i = 0, rows = ct_board_rows(b); i <= rows; i++)
        add_row(n, &b->rows[ct_board_row_of(i, rows)]);
    n[RELOADS] = b->reloads + b->past_reloads;
    n[RELOADS_FAILED] = b->reloads_failed + b->past_reloads_failed;
    n[REPLACED] = b->replaced + b->past_replaced;
}

void ct_history_take(ct_history *h, const ct_board *b) {
    uint64_t n[NUMBERS] = { 0 }, now = ct_board_now(), before = h->taken;
    ct_history_sample *s;
    uint32_t number;

    if (!h->wanted || b->heir) return;
    if (before && now < before + GAP) return;
    if (!atomic_compare_exchange_strong(&h->taken, &before, now)) return;
    add_up(n, b);
    number = h->last + 1;
    s = &h->samples[number % CT_HISTORY_SAMPLES];
    atomic_store(&s->number, 0);
    for (uint32_t i = 0; i < NUMBERS; i++) ct_count_set(&s->numbers[i], n[i]);
    atomic_store_explicit(&s->number, number, memory_order_release);
    h->last = number;
}

/* -- Text ------------------------------------------------------------------ */

/* False when it is not there any more, or not whole. */
static bool copy(const ct_history *h, uint32_t number, uint64_t out[NUMBERS]) {
    const ct_history_sample *s = &h->samples[number % CT_HISTORY_SAMPLES];

    if (atomic_load_explicit(&s->number, memory_order_acquire) != number)
        return false;
    for (uint32_t i = 0; i < NUMBERS; i++)
        out[i] = ct_count_get(&s->numbers[i]);
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&s->number, memory_order_relaxed) == number;
}

char *ct_history_text(const ct_history *h, uint32_t after) {
    uint32_t last = h->last;
    uint64_t n[NUMBERS];
    ct_text t = { .json = true };

    if (after > last) after = 0; /* of another server, before this one */
    if (last - after > CT_HISTORY_SAMPLES) after = last - CT_HISTORY_SAMPLES;
    ct_text_put(&t, "[");
    for (uint32_t number = after + 1; number && number <= last; number++) {
        if (!copy(h, number, n)) continue;
        ct_text_put(&t, "%s\n[%u", t.samples++ ? "," : "", number);
        for (uint32_t i = 0; i < NUMBERS; i++)
            ct_text_put(&t, ",%llu", (unsigned long long)n[i]);
        ct_text_put(&t, "]");
    }
    ct_text_put(&t, "]");
    ct_buf_add(&t.out, "", 1);
    return t.out.data;
}

char *ct_history_columns(void) {
    ct_text t = { .json = true };

    ct_text_put(&t, "{\"columns\":[\"number\",\"time_ms\"");
    for (uint32_t i = 1; i < CLASSES; i++)
        ct_text_put(&t, ",\"replies_%uxx\"", i);
    for (uint32_t i = 0; i < TIMES; i++) ct_text_put(&t, ",\"times_%u\"", i);
    for (uint32_t i = 0; i < COLUMNS; i++)
        ct_text_put(&t, ",\"%s\"", columns[i].name);
    ct_text_put(&t, ",\"refused\",\"reloads\",\"reloads_failed\","
                    "\"replaced\"],\"bounds\":[");
    for (uint32_t i = 0; i < CT_COUNT_TIMES; i++)
        ct_text_put(&t, "%s%g", i ? "," : "", ct_counters_bounds[i]);
    ct_text_put(&t, "]}");
    ct_buf_add(&t.out, "", 1);
    return t.out.data;
}
