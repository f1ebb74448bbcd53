/* SPDX-License-Identifier: Apache-2.0 */
#include "data/status.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/version.h"
#include <stdarg.h>
#include <stdio.h>

__attribute__((format(printf, 2, 3))) static void put(ct_buf *b,
                                                      const char *format, ...) {
    char text[512];
    va_list list;
    int n;

    va_start(list, format);
    n = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (n > 0 && n < (int)sizeof text) ct_buf_add(b, text, (size_t)n);
}

static unsigned long long of(const ct_count *c) {
    return ct_count_get(c);
}

static unsigned long long handled_by(const ct_board_row *r) {
    return ct_counters_replies(&r->counters);
}

/* Which generations have how much memory: "7":4194304,"6":... */
static void put_memory(ct_buf *b, const ct_board_row *r) {
    put(b, ",\"memory\":{\"%u\":%llu", r->generation, of(&r->now.lua));
    for (uint32_t i = 0; i < r->old && i < CT_BOARD_OLD; i++)
        put(b, ",\"%u\":%llu", r->old_numbers[i],
            (unsigned long long)r->old_lua[i]);
    ct_buf_add(b, "}}", 2);
}

static void put_worker(ct_buf *b, uint32_t index, const ct_board_row *r) {
    static const char *const states[] = { "down", "starting", "serving",
                                          "ending" };
    uint32_t state = r->state;

    put(b,
        "%s{\"worker\":%u,\"pid\":%d,\"state\":\"%s\",\"generation\":%u,"
        "\"old_generations\":%u,\"connections\":%llu,\"requests\":%llu,"
        "\"handled\":%llu,\"lua_bytes\":%llu,\"started\":%lld",
        index ? "," : "", index + 1, (int)r->pid, states[state < 4 ? state : 0],
        r->generation, r->old, of(&r->now.connections), of(&r->now.requests),
        handled_by(r), of(&r->now.lua), (long long)r->started);
    put_memory(b, r);
}

char *ct_status_text(const ct_board *b) {
    unsigned long long handled = 0;
    ct_buf out = { 0 };
    uint32_t rows = ct_board_rows(b), workers = ct_board_workers(b);

    for (uint32_t i = ct_board_first(b); i <= rows; i++)
        handled += handled_by(&b->rows[ct_board_row_of(i, rows)]);
    put(&out,
        "{\"version\":\"%s\",\"pid\":%d,\"started\":%lld,"
        "\"program_started\":%lld,\"upgrades\":%u,\"handled\":%llu,"
        "\"replaced\":%u,\"reloads\":%u,\"reloads_failed\":%u,\"workers\":[",
        CT_VERSION_TEXT, (int)b->pid, (long long)ct_board_service_started(b),
        (long long)b->started, b->past_upgrades, handled,
        b->replaced + b->past_replaced, b->reloads + b->past_reloads,
        b->reloads_failed + b->past_reloads_failed);
    for (uint32_t i = 0; i < workers; i++) put_worker(&out, i, &b->rows[i]);
    ct_buf_add(&out, "]}\n", 4);
    return out.data;
}
