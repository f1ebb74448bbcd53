/* What the processes of a server show each other: their states, and numbers by
 * name. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_METRICS_H
#define CT_ABI_METRICS_H
#include "abi/base.h"

typedef enum ct_server_state {
    CT_SERVER_STARTING, /* no worker serves yet */
    CT_SERVER_SERVING,  /* at least one does */
    CT_SERVER_ENDING    /* what is under way is answered, no more */
} ct_server_state;

/* The state of all workers together. */
int ct_abi_server_state(ct_vm *vm);

/* Texts, each valid until the next call of one of these: what `ctornado status
 * json` shows; all metrics, in Prometheus' format or as JSON; the last errors of
 * the log, as JSON. */
void ct_abi_server_status(ct_vm *vm, ct_str *out);
void ct_abi_metrics_text(ct_vm *vm, int json, ct_str *out);
void ct_abi_metrics_errors(ct_vm *vm, ct_str *out);

/* Likewise, for a dashboard: workers, statuses and handlers (data/overview.h); the
 * samples of the last minutes after that number, and what their columns are
 * (data/history.h). Samples are taken from ct_abi_history_begin() on, as long
 * as the server lives. */
void ct_abi_overview(ct_vm *vm, ct_str *out);
void ct_abi_history_begin(ct_vm *vm);
void ct_abi_history(ct_vm *vm, uint32_t after, ct_str *out);
void ct_abi_history_columns(ct_vm *vm, ct_str *out);

typedef enum ct_metric_type {
    CT_METRIC_COUNTER,
    CT_METRIC_GAUGE, /* the sum of all workers */
    CT_METRIC_GAUGE_MAX,
    CT_METRIC_GAUGE_MIN, /* of those that have set it */
    CT_METRIC_HISTOGRAM
} ct_metric_type;

/* The most bounds of a histogram, and bytes of a series' labels. */
enum { CT_METRICS_BOUNDS = 64, CT_METRICS_KEY = 2048 };

/* What a metric is asked for with; all has been checked. */
typedef struct ct_metric_wish {
    ct_str name, labels, help; /* labels: their names, with "," between */
    const double *bounds;      /* rising */
    uint32_t bound_count, type;
} ct_metric_wish;

/* The metric of a name; 0: no room. Asked for with other labels, bounds or another
 * type it is another one, which is shown in place of the one before. */
uint32_t ct_abi_metric(ct_vm *vm, const ct_metric_wish *wish);

/* The series of a metric with these labels, as they are printed (a="x",b="y",
 * escaped); 0: no room. */
uint32_t ct_abi_metric_series(ct_vm *vm, uint32_t metric, const char *labels,
                              uint32_t size);

/* Of a series of a counter or gauge. */
void ct_abi_metric_add(ct_vm *vm, uint32_t series, double n);
void ct_abi_metric_set(ct_vm *vm, uint32_t series, double n);

/* Of a series of the histogram `metric`. */
void ct_abi_metric_observe(ct_vm *vm, uint32_t metric, uint32_t series,
                           double value);

/* Where replies of a handler class are counted: times CT_REPLY_HANDLER, one of the
 * flags of a reply. `labels` as above. 0: no room. */
uint32_t ct_abi_handler(ct_vm *vm, const char *labels, uint32_t size);

/* What comes to this listener is not counted, and has some room beyond
 * max_connections. */
int ct_abi_listen_uncounted(ct_vm *vm, uint32_t listener);

#endif
