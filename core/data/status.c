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

/* Which generations have how much memory: "7":4194304,"6":... */
static void put_memory(ct_buf *b, const ct_board_row *r) {
    put(b, ",\"memory\":{\"%u\":%llu", r->generation,
        (unsigned long long)r->lua);
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
        "\"old_generations\":%u,\"connections\":%u,\"requests\":%u,"
        "\"handled\":%llu,\"lua_bytes\":%llu,\"started\":%lld",
        index ? "," : "", index + 1, (int)r->pid, states[state < 4 ? state : 0],
        r->generation, r->old, r->connections, r->requests,
        (unsigned long long)r->handled, (unsigned long long)r->lua,
        (long long)r->started);
    put_memory(b, r);
}

char *ct_status_text(const ct_board *b) {
    unsigned long long handled = b->handled_before;
    ct_buf out = { 0 };
    uint32_t workers = b->workers;

    for (uint32_t i = 0; i < workers && i < CT_WORKERS; i++)
        handled += b->rows[i].handled;
    put(&out,
        "{\"version\":\"%s\",\"pid\":%d,\"started\":%lld,\"handled\":%llu,"
        "\"replaced\":%u,\"workers\":[",
        CT_VERSION_TEXT, (int)b->pid, (long long)b->started, handled,
        b->replaced);
    for (uint32_t i = 0; i < workers && i < CT_WORKERS; i++)
        put_worker(&out, i, &b->rows[i]);
    ct_buf_add(&out, "]}\n", 4);
    return out.data;
}
