/* All numbers of a server as text: what the framework counts, and what
 * applications do. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_METRICS_TEXT_H
#define CT_METRICS_TEXT_H

#include "data/board.h"
#include "data/metrics.h"
#include <stdbool.h>

/* In Prometheus' text format, version 0.0.4; with `json` an object: metrics, a
 * list of { name, type, help, series }, of which each has labels, and value or
 * count, sum and buckets. Caller frees with ct_free(). */
char *ct_metrics_text(const ct_board *b, const ct_metrics *m, bool json);

#endif
