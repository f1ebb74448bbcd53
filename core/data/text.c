/* What a label's value is escaped by is valid in JSON as well: who made it has
 * seen to it that it has no control characters. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "data/text.h"

#include "base/log.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PIECE = 512, NUMBER = 32 };

static const double EXACT = 9007199254740992; /* 2^53 */

void ct_text_put(ct_text *t, const char *format, ...) {
    char text[PIECE];
    va_list list;
    int n;

    va_start(list, format);
    n = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (n > 0 && n < PIECE) ct_buf_add(&t->out, text, (size_t)n);
}

static void add(ct_text *t, const char *p, size_t n) {
    if (n) ct_buf_add(&t->out, p, n);
}

static const char *number(const ct_text *t, double v, char out[NUMBER]) {
    if (isnan(v) || isinf(v)) {
        if (t->json) return "null";
        return isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf";
    }
    if (v == floor(v) && fabs(v) < EXACT)
        snprintf(out, NUMBER, "%.0f", v);
    else
        snprintf(out, NUMBER, "%.15g", v);
    return out;
}

/* -- Families -------------------------------------------------------------- */

static void add_json(ct_text *t, const char *p, size_t n) {
    size_t room = 6 * n + 1;
    char *at = ct_buf_reserve(&t->out, room);

    ct_buf_added(&t->out, ct_log_escape(at, room, p, n, true));
}

/* In help, a newline and a backslash are escaped. */
static void add_help(ct_text *t, const char *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\n')
            add(t, "\\n", 2);
        else if (p[i] == '\\')
            add(t, "\\\\", 2);
        else
            add(t, p + i, 1);
    }
}

void ct_text_begin(ct_text *t, const char *name, size_t size, const char *type,
                   const char *help, size_t help_size) {
    t->name = name;
    t->name_size = (int)size;
    t->samples = 0;
    if (t->json) {
        ct_text_put(t, "%s{\"name\":\"%.*s\",\"type\":\"%s\",\"help\":\"",
                    t->families ? ",\n" : "", t->name_size, name, type);
        add_json(t, help, help_size);
        ct_text_put(t, "\",\"series\":[");
    } else {
        ct_text_put(t, "# HELP %.*s ", t->name_size, name);
        add_help(t, help, help_size);
        ct_text_put(t, "\n# TYPE %.*s %s\n", t->name_size, name, type);
    }
    t->families++;
}

void ct_text_end(ct_text *t) {
    if (t->json) ct_text_put(t, "]}");
}

/* -- Samples --------------------------------------------------------------- */

/* a="x",b="y" as "a":"x","b":"y". */
static void add_labels(ct_text *t, const char *p, size_t n) {
    const char *end = p + n;

    while (p < end) {
        const char *value = memchr(p, '=', (size_t)(end - p)), *q;

        if (!value) return;
        ct_text_put(t, "\"%.*s\":", (int)(value - p), p);
        for (q = value + 2; q < end && *q != '"'; q++)
            if (*q == '\\') q++;
        add(t, value + 1, (size_t)(q - value));
        p = q + 1;
        if (p < end) add(t, ",", 1);
        p++;
    }
}

static void begin_json(ct_text *t, const char *labels, size_t size) {
    ct_text_put(t, "%s{\"labels\":{", t->samples++ ? "," : "");
    add_labels(t, labels, size);
    ct_text_put(t, "},");
}

static void put_line(ct_text *t, const char *suffix, const char *labels,
                     size_t size, const char *value) {
    ct_text_put(t, "%.*s%s", t->name_size, t->name, suffix);
    if (size) {
        add(t, "{", 1);
        add(t, labels, size);
        add(t, "}", 1);
    }
    ct_text_put(t, " %s\n", value);
}

void ct_text_sample(ct_text *t, const char *labels, size_t size, double value) {
    char text[NUMBER];

    if (!t->json) {
        put_line(t, "", labels, size, number(t, value, text));
        return;
    }
    begin_json(t, labels, size);
    ct_text_put(t, "\"value\":%s}", number(t, value, text));
}

static void put_bucket(ct_text *t, const char *labels, size_t size,
                       const char *bound, double count) {
    char text[NUMBER];

    ct_text_put(t, "%.*s_bucket{", t->name_size, t->name);
    add(t, labels, size);
    ct_text_put(t, "%sle=\"%s\"} %s\n", size ? "," : "", bound,
                number(t, count, text));
}

static void put_histogram(ct_text *t, const char *labels, size_t size,
                          const ct_text_histogram *h) {
    char text[NUMBER];
    double count = 0;

    for (uint32_t i = 0; i < h->n; i++)
        put_bucket(t, labels, size, number(t, h->bounds[i], text),
                   count += h->counts[i]);
    put_bucket(t, labels, size, "+Inf", count += h->counts[h->n]);
    put_line(t, "_sum", labels, size, number(t, h->sum, text));
    put_line(t, "_count", labels, size, number(t, count, text));
}

void ct_text_histogram_sample(ct_text *t, const char *labels, size_t size,
                              const ct_text_histogram *h) {
    char text[NUMBER], more[NUMBER];
    double count = 0;

    if (!t->json) {
        put_histogram(t, labels, size, h);
        return;
    }
    begin_json(t, labels, size);
    ct_text_put(t, "\"buckets\":[");
    for (uint32_t i = 0; i < h->n; i++)
        ct_text_put(t, "%s[%s,%s]", i ? "," : "", number(t, h->bounds[i], text),
                    number(t, count += h->counts[i], more));
    count += h->counts[h->n];
    ct_text_put(t, "],\"sum\":%s,\"count\":%s}", number(t, h->sum, text),
                number(t, count, more));
}
