/* Writes families of numbers, in Prometheus' text format or as JSON. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_TEXT_H
#define CT_TEXT_H

#include "base/buf.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ct_text {
    ct_buf out;
    bool json;
    uint32_t families, samples; /* so far; samples: of this family */
    const char *name;           /* of this family */
    int name_size;
} ct_text;

/* A histogram: how many are at most each bound, and above the bound before. */
typedef struct ct_text_histogram {
    const double *bounds;
    const double *counts; /* one more than bounds */
    uint32_t n;           /* of bounds */
    double sum;
} ct_text_histogram;

/* `type`: "counter", "gauge" or "histogram". */
void ct_text_begin(ct_text *t, const char *name, size_t size, const char *type,
                   const char *help, size_t help_size);

/* A number; `labels` as they are printed (a="x",b="y"). */
void ct_text_sample(ct_text *t, const char *labels, size_t size, double value);
void ct_text_histogram_sample(ct_text *t, const char *labels, size_t size,
                              const ct_text_histogram *h);

/* Ends a family. */
void ct_text_end(ct_text *t);

/* Adds text by a format: at most 512 bytes. */
void ct_text_put(ct_text *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
