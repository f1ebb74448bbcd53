/* SPDX-License-Identifier: Apache-2.0 */
#include "data/errors_text.h"

#include "base/log.h"
#include "base/recent.h"
#include "data/text.h"
#include <string.h>

static void put_text(ct_text *t, const char *name, const char *text) {
    char out[6 * CT_RECENT_TEXT];
    size_t n = ct_log_escape(out, sizeof out, text, strlen(text), true);

    ct_text_put(t, ",\"%s\":\"", name);
    ct_buf_add(&t->out, out, n);
    ct_text_put(t, "\"");
}

char *ct_errors_text(const ct_board *b) {
    ct_text t = { .json = true };
    ct_recent_line line;
    uint32_t rows = ct_board_rows(b);

    ct_text_put(&t, "[");
    for (uint32_t i = 0; i < rows; i++)
        for (uint32_t back = 0; back < CT_RECENT_LINES; back++) {
            if (!ct_recent_get(&b->rows[i].recent, back, &line)) continue;
            ct_text_put(&t, "%s\n{\"time\":%.3f,\"worker\":%u",
                        t.samples++ ? "," : "", line.time, i + 1);
            put_text(&t, "logger", line.where);
            put_text(&t, "request", line.id);
            put_text(&t, "message", line.text);
            ct_text_put(&t, "}");
        }
    ct_text_put(&t, "\n]\n");
    ct_buf_add(&t.out, "", 1);
    return t.out.data;
}
